import numpy as np
import pytest
from scipy.stats import multivariate_normal

from fairsteer.datasets._synthetic import random_gaussians
from fairsteer.posterior import label_posterior, log_density


def test_it_is_bayes_rule_with_scipys_densities(rng):
    law = random_gaussians(3, 3, 4, 0)
    X = rng.normal(size=(20, 4)) * 2
    for a in range(3):
        joint = np.column_stack(
            [
                law.priors[i, a]
                * multivariate_normal(law.means[i, a], law.covariances[i, a]).pdf(X)
                for i in range(3)
            ]
        )
        expected = joint / joint.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(label_posterior(law, X, a), expected, atol=1e-12)
        np.testing.assert_allclose(
            log_density(X, law.means[0, a], law.covariances[0, a]),
            np.log(joint[:, 0] / law.priors[0, a]),
            atol=1e-10,
        )


def test_far_away_rows_still_sum_to_one():
    law = random_gaussians(3, 3, 4, 0)
    posterior = label_posterior(law, np.full((2, 4), 1e6), 1)
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0)


def test_a_single_label_is_certain():
    law = random_gaussians(1, 2, 3, 0)
    assert np.array_equal(label_posterior(law, np.zeros((5, 3)), 0), np.ones((5, 1)))


def test_rows_beyond_floating_point_are_refused():
    law = random_gaussians(2, 2, 3, 0)
    with pytest.raises(ValueError, match=r"1 row\(s\) lie so far from the fitted laws"):
        label_posterior(law, np.array([[0.0, 0.0, 0.0], [1e200, 0.0, 0.0]]), 0)
