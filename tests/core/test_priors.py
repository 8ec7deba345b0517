import numpy as np
import pytest
from scipy.optimize import minimize

from fairsteer.core.priors import ideal_priors, prior_weights
from fairsteer.datasets._synthetic import random_gaussians


def objective(ideal, priors, kl):
    return np.sum(ideal * (np.log(ideal / priors) + kl))


def test_keep_keeps_and_independent_multiplies():
    priors = random_gaussians(3, 4, 1, 0).priors
    assert np.array_equal(ideal_priors(priors, "keep"), priors)
    expected = np.outer(priors.sum(axis=1), priors.sum(axis=0))
    np.testing.assert_allclose(ideal_priors(priors, "independent"), expected)


@pytest.mark.parametrize("seed", range(5))
def test_nearest_equals_brute_force_over_product_distributions(seed, rng):
    priors = random_gaussians(3, 4, 1, seed).priors
    kl = rng.uniform(0, 1, size=priors.shape)

    def product(z):
        u, v = np.exp(z[:3]), np.exp(z[3:])
        return np.outer(u / u.sum(), v / v.sum())

    start = np.zeros(7)
    found = minimize(lambda z: objective(product(z), priors, kl), start, tol=1e-14)
    nearest = ideal_priors(priors, "nearest", kl)
    assert nearest.sum() == pytest.approx(1.0)
    assert np.linalg.matrix_rank(nearest, tol=1e-10) == 1
    assert objective(nearest, priors, kl) == pytest.approx(found.fun, abs=1e-7)
    assert objective(nearest, priors, kl) <= objective(
        ideal_priors(priors, "independent"), priors, kl
    )


def test_nearest_keeps_a_product_distribution():
    priors = np.outer([0.2, 0.5, 0.3], [0.6, 0.4])
    np.testing.assert_allclose(ideal_priors(priors, "nearest"), priors, atol=1e-12)


def test_weights_carry_the_data_to_the_ideal():
    priors = random_gaussians(3, 2, 1, 0).priors
    ideal = ideal_priors(priors, "independent")
    np.testing.assert_allclose(prior_weights(priors, ideal) * priors, ideal)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="priors must be one of"):
        ideal_priors(np.full((2, 2), 0.25), "equal")


def test_a_group_that_is_too_far_for_nearest_priors():
    priors = np.full((2, 2), 0.25)
    kl = np.array([[0.0, 800.0], [0.0, 800.0]])
    with pytest.raises(ValueError, match="priors='nearest' gives .* a prior near 0"):
        ideal_priors(priors, "nearest", kl)
