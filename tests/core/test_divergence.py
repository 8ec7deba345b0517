from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.stats import multivariate_normal, norm

from fairsteer.core.divergence import gaussian_kl, mixture_kl, mixture_total_variation
from fairsteer.datasets._synthetic import random_gaussians
from tests.conftest import ill_conditioned


def decimal_factor(matrix):
    """Return the Cholesky factor of a matrix, in decimal arithmetic."""
    rows = [[Decimal(float(x)) for x in row] for row in matrix]
    factor = [[Decimal(0)] * len(rows) for _ in rows]
    for i, row in enumerate(rows):
        for j in range(i + 1):
            rest = row[j] - sum(factor[i][k] * factor[j][k] for k in range(j))
            factor[i][j] = rest.sqrt() if i == j else rest / factor[j][j]
    return factor


def decimal_kl(mean, covariance, reference_mean, reference):
    """Return the divergence to 50 digits."""
    with localcontext() as context:
        context.prec = 50
        own, other = decimal_factor(covariance), decimal_factor(reference)
        gap = [
            Decimal(float(b)) - Decimal(float(a)) for a, b in zip(mean, reference_mean, strict=True)
        ]
        d, total = len(own), -Decimal(len(own))
        for right in [*map(list, zip(*own, strict=True)), gap]:
            solved = []
            for i in range(d):
                rest = right[i] - sum(other[i][k] * solved[k] for k in range(i))
                solved.append(rest / other[i][i])
            total += sum(x * x for x in solved)
        total += 2 * sum(other[i][i].ln() - own[i][i].ln() for i in range(d))
        return float(total / 2)


@pytest.mark.parametrize("n_features", [2, 4, 6])
@pytest.mark.parametrize("kind", ["direction", "axes", "far means"])
def test_it_is_right_to_eight_digits_at_a_condition_of_1e10(kind, n_features):
    for seed in range(5):
        p = ill_conditioned(kind, 1e10, seed, n_features)
        found = gaussian_kl(
            p.means, p.covariances, p.means[:, [1, 2, 0]], p.covariances[:, [1, 2, 0]]
        )
        assert np.linalg.cond(p.covariances[0, 0]) > 1e9
        for i, a in np.ndindex(3, 3):
            b = (a + 1) % 3
            pair = p.means[i, a], p.covariances[i, a], p.means[i, b], p.covariances[i, b]
            assert found[i, a] == pytest.approx(decimal_kl(*pair), rel=1e-8)


def test_a_singular_covariance_is_refused():
    singular = np.ones((2, 2))
    for pair in ((singular, np.eye(2)), (np.eye(2), singular - 1e-16 * np.eye(2))):
        with pytest.raises(ValueError, match="positive definite.*raise shrinkage"):
            gaussian_kl(np.zeros(2), pair[0], np.zeros(2), pair[1])


@pytest.mark.parametrize("seed", range(5))
def test_the_distance_of_mixtures_is_the_integral(seed):
    gaussians = random_gaussians(3, 2, 1, seed)
    means, variances = gaussians.means[..., 0].T, gaussians.covariances[..., 0, 0].T
    weights = (gaussians.priors / gaussians.priors.sum(axis=0)).T * [[1.0], [-1.0]]
    x = np.linspace(-40.0, 40.0, 400_001)
    density = norm.pdf(x[:, None], means.ravel(), np.sqrt(variances.ravel())) @ weights.ravel()
    found = mixture_total_variation(weights.ravel(), means.ravel(), variances.ravel())
    assert found == pytest.approx(0.5 * trapezoid(np.abs(density), x), abs=1e-8)


def test_mixtures_that_agree_up_to_rounding_have_no_distance():
    means = np.array([0.0, 1.0, 3.0])
    both = np.concatenate([means, means[::-1] + 1e-16])
    weights = np.array([0.2, 0.3, 0.5, -0.5, -0.3, -0.2])
    assert mixture_total_variation(weights, both, np.full(6, 0.7)) < 1e-14


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
