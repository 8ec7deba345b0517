import numpy as np
import pytest
from scipy.stats import multivariate_normal

from fairsteer.core.divergence import gaussian_kl, mixture_kl
from fairsteer.datasets._synthetic import random_gaussians


def test_it_agrees_with_monte_carlo():
    p, q = random_gaussians(1, 2, 3, 5), random_gaussians(1, 2, 3, 6)
    exact = gaussian_kl(p.means, p.covariances, q.means, q.covariances)
    assert exact.shape == (1, 2)
    for a in range(2):
        first = multivariate_normal(p.means[0, a], p.covariances[0, a], seed=0)
        second = multivariate_normal(q.means[0, a], q.covariances[0, a])
        draws = first.rvs(200_000)
        ratio = first.logpdf(draws) - second.logpdf(draws)
        error = ratio.std() / len(ratio) ** 0.5
        assert exact[0, a] == pytest.approx(ratio.mean(), abs=5 * error)


def test_it_is_zero_for_equal_gaussians_and_invariant_under_affine_maps(rng):
    p, q = random_gaussians(2, 3, 4, 1), random_gaussians(2, 3, 4, 2)
    assert np.all(gaussian_kl(p.means, p.covariances, p.means, p.covariances) < 1e-14)
    B, c = rng.normal(size=(4, 4)), rng.normal(size=4)
    before = gaussian_kl(p.means, p.covariances, q.means, q.covariances)
    after = gaussian_kl(
        p.means @ B.T + c, B @ p.covariances @ B.T, q.means @ B.T + c, B @ q.covariances @ B.T
    )
    np.testing.assert_allclose(after, before, rtol=1e-8)


def test_the_chain_rule_adds_priors_and_features():
    q = np.array([[0.1, 0.4], [0.3, 0.2]])
    p = np.array([[0.2, 0.2], [0.2, 0.4]])
    kl = np.array([[0.0, 1.0], [2.0, 0.0]])
    expected = sum(
        p[i, a] * (np.log(p[i, a] / q[i, a]) + kl[i, a]) for i in range(2) for a in range(2)
    )
    assert mixture_kl(p, q, kl) == pytest.approx(expected)
    assert mixture_kl(q, q, np.zeros((2, 2))) == 0.0
