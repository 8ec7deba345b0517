import numpy as np
import pytest
from sklearn.covariance import oas as sklearn_oas

from fairsteer.shrinkage import oas, shrink_covariance


@pytest.mark.parametrize(("n", "d"), [(5, 8), (30, 4), (200, 3), (2, 2)])
def test_oas_agrees_with_scikit_learn(rng, n, d):
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    X -= X.mean(axis=0)
    covariance = X.T @ X / n
    expected, weight = sklearn_oas(X, assume_centered=True)
    assert oas(covariance, n) == pytest.approx(weight, abs=1e-10)
    np.testing.assert_allclose(shrink_covariance(covariance, n, "auto"), expected, atol=1e-10)


def test_spherical_covariance_is_shrunk_completely():
    assert oas(2.0 * np.eye(3), 10) == 1.0


def test_shrinkage_keeps_the_trace_and_reaches_its_target(rng):
    factor = rng.normal(size=(4, 4))
    covariance = factor @ factor.T
    for weight in (0.0, 0.3, 1.0):
        shrunk = shrink_covariance(covariance, 10, weight)
        assert np.trace(shrunk) == pytest.approx(np.trace(covariance))
    np.testing.assert_allclose(shrunk, np.trace(covariance) / 4 * np.eye(4), atol=1e-12)


def test_a_covariance_of_zero_takes_the_fallback():
    np.testing.assert_allclose(shrink_covariance(np.zeros((2, 2)), 1, 0.1), 0.1 * np.eye(2))
