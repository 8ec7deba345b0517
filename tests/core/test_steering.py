"""Displacements of a fitted steering equal their closed forms."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from fairsteer.core.groups import UNKNOWN
from fairsteer.core.posterior import GroupMotion, PopulationMotion
from fairsteer.core.steering import SteeringOptions, fit_steering
from fairsteer.core.training_rows import StreamedRows, TrainingRows
from fairsteer.datasets import make_gaussian_subgroups

STRENGTH = 0.7


def fit(covariance_type, reference):
    sample = make_gaussian_subgroups(900, n_groups=3, n_labels=3, n_features=4, random_state=0)
    X = sample.data.drop(columns="group").to_numpy()
    classes, label_codes = np.unique(sample.target, return_inverse=True)
    groups, group_codes = np.unique(sample.sensitive_features, return_inverse=True)
    weights = np.ones(len(X))
    names = list(range(4))
    rows = TrainingRows(X, names, label_codes, group_codes, weights, classes, groups, [], [None])
    options = SteeringOptions(
        covariance_type=covariance_type,
        reference_group=groups[reference],
        strength=STRENGTH,
        infer_groups=True,
    )
    data = StreamedRows.from_rows(rows, "normal", tied=options.tied_sums)
    return fit_steering(data, options, seed=0)


def joint_densities(gaussians, X):
    """Return P(i, a) p(x | i, a) by SciPy, shape (K, G, n)."""
    joint = np.empty((gaussians.n_labels, gaussians.n_groups, len(X)))
    for i, a in np.ndindex(joint.shape[:2]):
        density = multivariate_normal(gaussians.means[i, a], gaussians.covariances[i, a])
        joint[i, a] = gaussians.priors[i, a] * density.pdf(X)
    return joint


def displacements(maps, X):
    """Return strength (T_ia(x) - x), map by map, shape (K, G, n, d)."""
    steps = np.empty((*maps.shape, *X.shape))
    for i, a in np.ndindex(maps.shape):
        steps[i, a] = STRENGTH * (X @ maps.matrix[i, a].T + maps.offset[i, a] - X)
    return steps


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
@pytest.mark.parametrize("reference", [0, 2])
def test_motions_are_posterior_means_of_the_maps_displacements(covariance_type, reference, rng):
    """sum_i p(i | x, a) (T_ia(x) - x), and its mean over p(a | x) for unknown groups."""
    fitted = fit(covariance_type, reference)
    X = 2.0 * rng.normal(size=(40, 4))
    joint = joint_densities(fitted.distribution, X)
    steps = displacements(fitted.maps, X)
    given_group = joint / joint.sum(axis=0)
    expected = np.einsum("ian,iand->and", given_group, steps)
    for a in range(3):
        motion = fitted.motion(a)
        if a == reference:
            assert motion is None
            assert not expected[a].any()
            continue
        assert isinstance(motion, GroupMotion)
        np.testing.assert_allclose(motion(X), expected[a], atol=1e-10)
        assert np.abs(expected[a]).max() > 0.1
    motion = fitted.motion(UNKNOWN)
    assert isinstance(motion, PopulationMotion)
    population = joint_densities(fitted.population, X).sum(axis=0)
    mean = np.einsum("an,and->nd", population / population.sum(axis=0), expected)
    np.testing.assert_allclose(motion(X), mean, atol=1e-10)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_motions_of_labeled_rows_are_the_displacements_of_their_maps(covariance_type, rng):
    fitted = fit(covariance_type, 0)
    X, labels = 2.0 * rng.normal(size=(40, 4)), rng.integers(3, size=40)
    own = displacements(fitted.maps, X)[labels, :, np.arange(40)]
    for a in (1, 2):
        motion = fitted.motion(a, labeled=True)
        np.testing.assert_allclose(motion(X, labels=labels), own[:, a], atol=1e-10)
    joint = joint_densities(fitted.population, X)[labels, :, np.arange(40)]
    weights = joint / joint.sum(axis=1, keepdims=True)
    expected = np.einsum("na,nad->nd", weights, own)
    motion = fitted.motion(UNKNOWN, labeled=True)
    np.testing.assert_allclose(motion(X, labels=labels), expected, atol=1e-10)
