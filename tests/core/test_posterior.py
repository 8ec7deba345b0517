import numpy as np
import pytest
from scipy.stats import multivariate_normal

from fairsteer.core.affine import extend_rows
from fairsteer.core.posterior import (
    LabelDensities,
    group_posterior,
    label_posterior,
    population_densities,
    subgroup_log_densities,
)
from fairsteer.datasets._synthetic import random_gaussians
from tests.conftest import tied_gaussians


def test_it_is_bayes_rule_with_scipys_densities(rng):
    gaussians = random_gaussians(3, 3, 4, 0)
    X = rng.normal(size=(20, 4)) * 2
    for a in range(3):
        joint = np.column_stack(
            [
                gaussians.priors[i, a]
                * multivariate_normal(gaussians.means[i, a], gaussians.covariances[i, a]).pdf(X)
                for i in range(3)
            ]
        )
        expected = joint / joint.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(label_posterior(gaussians, X, a), expected, atol=1e-12)
        np.testing.assert_allclose(
            subgroup_log_densities(gaussians, X, a),
            np.log(joint / gaussians.priors[:, a]),
            atol=1e-10,
        )


def test_far_away_rows_still_sum_to_one():
    gaussians = random_gaussians(3, 3, 4, 0)
    posterior = label_posterior(gaussians, np.full((2, 4), 1e6), 1)
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0)


def test_a_single_label_is_certain():
    gaussians = random_gaussians(1, 2, 3, 0)
    assert np.array_equal(label_posterior(gaussians, np.zeros((5, 3)), 0), np.ones((5, 1)))


def test_rows_beyond_floating_point_are_refused():
    gaussians = random_gaussians(2, 2, 3, 0)
    with pytest.raises(ValueError, match="1 rows are so far"):
        label_posterior(gaussians, np.array([[0.0, 0.0, 0.0], [1e200, 0.0, 0.0]]), 0)


def test_the_posterior_of_the_group_is_bayes_rule_over_labels(rng):
    gaussians = random_gaussians(3, 3, 4, 1)
    X = rng.normal(size=(20, 4))
    joint = np.array(
        [
            sum(
                gaussians.priors[i, a]
                * multivariate_normal(gaussians.means[i, a], gaussians.covariances[i, a]).pdf(X)
                for i in range(3)
            )
            for a in range(3)
        ]
    ).T
    expected = joint / joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        group_posterior(population_densities(gaussians), X).T, expected, atol=1e-12
    )


def test_map_and_sample_choose_labels_by_the_posterior(rng):
    gaussians = random_gaussians(3, 2, 4, 0)
    X = np.repeat(rng.normal(size=(3, 4)), 20_000, axis=0)
    posterior = label_posterior(gaussians, X, 1)
    draws, densities = rng.uniform(size=len(X)), LabelDensities.of_group(gaussians, 1)
    rows = extend_rows(X, densities.origin)
    assert np.array_equal(densities.weights(rows, "posterior").T, posterior)
    likeliest = densities.weights(rows, "map").T
    assert np.array_equal(likeliest.argmax(axis=1), posterior.argmax(axis=1))
    sampled = densities.weights(rows, "sample", draws).T
    for weights in (likeliest, sampled):
        assert set(np.unique(weights)) == {0.0, 1.0}
        assert np.all(weights.sum(axis=1) == 1.0)
    shares = sampled.reshape(3, 20_000, 3).mean(axis=1)
    np.testing.assert_allclose(shares, posterior[::20_000], atol=5 * 0.5 / np.sqrt(20_000))


def test_densities_with_a_shared_covariance_are_those_of_scipy(rng):
    gaussians = tied_gaussians(3, 3, 4, 2)
    X = rng.normal(size=(20, 4)) * 3
    for a in range(3):
        expected = [
            multivariate_normal(gaussians.means[i, a], gaussians.covariances[i, a]).logpdf(X)
            for i in range(3)
        ]
        np.testing.assert_allclose(
            subgroup_log_densities(gaussians, X, a), np.transpose(expected), atol=1e-9
        )
    # Log odds are linear in the features, so they do not overflow.
    far = label_posterior(gaussians, np.array([[0.0] * 4, [1e200] * 4]), 0)[1]
    assert sorted(far) == [0.0, 0.0, 1.0]
