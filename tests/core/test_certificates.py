import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from scipy.stats import norm

from fairsteer import OptimalSteeringTransformer, nearest_ideal
from fairsteer.core.affine import AffineMap
from fairsteer.core.certificates import (
    demographic_parity_bound,
    equal_opportunity_bound,
    equalized_odds_bound,
    estimated_certificates,
    model_certificates,
    pairwise_total_variation,
)
from fairsteer.core.divergence import (
    gaussian_kl,
    total_variation,
    total_variation_bound,
    univariate_total_variation,
)
from fairsteer.core.posterior import (
    posterior_derivative,
    posterior_displacement,
    subgroup_log_densities,
)
from fairsteer.core.preimages import moved_log_densities
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.datasets._synthetic import random_gaussians
from tests.conftest import examples


def paper_bounds(kl):
    """Return Proposition 4.4's bounds of the change of the error and of the gap, from nats."""
    return np.sqrt(2.0 * kl), np.sqrt(8.0 * kl)


@pytest.mark.slow
@given(st.floats(-3, 3), st.floats(0.1, 4), st.floats(-3, 3), st.floats(0.1, 4))
@examples(50)
def test_univariate_total_variation_is_the_integral(m, v, n, w):
    # Kinks where the densities cross mislead an adaptive rule; a fine grid has them within a step.
    x = np.linspace(-20.0, 20.0, 200_001)
    expected = trapezoid(0.5 * abs(norm.pdf(x, m, v**0.5) - norm.pdf(x, n, w**0.5)), x)
    assert univariate_total_variation(m, v, n, w) == pytest.approx(expected, abs=1e-6)


@given(st.floats(-3, 3), st.floats(0.1, 4), st.floats(-3, 3), st.floats(0.1, 4))
@examples(50)
def test_bounds_are_never_below_the_exact_distance(m, v, n, w):
    exact = univariate_total_variation(m, v, n, w)
    kl = gaussian_kl(np.array([m]), np.array([[v]]), np.array([n]), np.array([[w]]))
    assert exact <= total_variation_bound(kl) + 1e-9
    assert total_variation_bound(kl) <= min(np.sqrt(kl / 2), 1.0) + 1e-12


def test_the_second_bound_takes_over_at_large_divergence():
    small, large = total_variation_bound(np.array([0.1, 4.0]))
    assert small == pytest.approx(np.sqrt(0.05))
    assert large == pytest.approx(np.sqrt(1 - np.exp(-4.0)))


def test_total_variation_is_exact_for_one_feature_and_symmetric():
    p, q = random_gaussians(2, 3, 1, 0), random_gaussians(2, 3, 1, 1)
    distance = total_variation(p.means, p.covariances, q.means, q.covariances)
    assert distance.shape == (2, 3)
    expected = univariate_total_variation(
        p.means[1, 2, 0], p.covariances[1, 2, 0, 0], q.means[1, 2, 0], q.covariances[1, 2, 0, 0]
    )
    assert distance[1, 2] == expected
    p, q = random_gaussians(2, 3, 4, 0), random_gaussians(2, 3, 4, 1)
    forward = total_variation(p.means, p.covariances, q.means, q.covariances)
    backward = total_variation(q.means, q.covariances, p.means, p.covariances)
    np.testing.assert_allclose(forward, backward)


def test_gap_bounds_by_hand():
    distances = np.zeros((2, 3, 3))
    distances[0, 0, 1] = distances[0, 1, 0] = 0.3
    distances[1, 0, 2] = distances[1, 2, 0] = 0.2
    assert equalized_odds_bound(distances) == 0.3
    assert equal_opportunity_bound(distances, 1) == 0.2
    priors = np.array([[0.2, 0.1, 0.1], [0.2, 0.3, 0.1]])
    pairs = {
        (0, 1): 0.25 * 0.3 + 0.25,
        (0, 2): 0.5 * 0.2,
        (1, 2): 0.25,
    }
    assert demographic_parity_bound(distances, priors) == pytest.approx(max(pairs.values()))


@pytest.mark.parametrize("seed", range(20))
def test_any_classifier_obeys_and_the_papers_bound_is_never_tighter(seed):
    """Proposition 4.4: sqrt(8 KL) bounds the gaps; ours bound them too and are no looser."""
    gaussians = random_gaussians(2, 2, 1, seed)
    result = nearest_ideal(gaussians)
    maps = result.group_maps.inverse()
    certificates = model_certificates(gaussians, maps, result.ideal, 1)
    error_bounds, gap_bounds = paper_bounds(result.kl_per_subgroup)
    ours = np.sum(gaussians.priors * total_variation_bound(result.kl_per_subgroup))
    assert ours <= np.sum(gaussians.priors * error_bounds)
    assert ours <= paper_bounds(result.kl_divergence)[0]
    per_label = gap_bounds.max(axis=1)
    assert certificates["equal_opportunity"].bound <= per_label[1]
    assert certificates["equalized_odds"].bound <= per_label.max()
    base_rates = (
        0.5 * np.abs(np.diff(gaussians.priors / gaussians.priors.sum(axis=0), axis=1)).sum()
    )
    assert certificates["demographic_parity"].bound <= per_label.max() + base_rates
    mapped = gaussians.pushforward(maps)
    for threshold in np.linspace(-4, 4, 41):
        rates = norm.sf(threshold, mapped.means[..., 0], np.sqrt(mapped.covariances[..., 0, 0]))
        gaps = np.abs(rates[:, 0] - rates[:, 1])
        conditional = gaussians.priors / gaussians.priors.sum(axis=0)
        parity = abs(np.diff(np.sum(conditional * rates, axis=0))[0])
        assert gaps.max() <= certificates["equalized_odds"].bound + 1e-12
        assert gaps[1] <= certificates["equal_opportunity"].bound + 1e-12
        assert parity <= certificates["demographic_parity"].bound + 1e-12


@pytest.mark.parametrize("seed", range(10))
def test_parity_of_one_feature_is_attained_by_a_classifier(seed):
    """The classifier selects where one group's mixture is denser than the other's."""
    gaussians = random_gaussians(3, 3, 1, seed)
    identity = AffineMap.identity(1, (3,))
    found = model_certificates(gaussians, identity, gaussians.like_group(0), 2)
    conditional = gaussians.priors / gaussians.priors.sum(axis=0)
    grid = np.linspace(-30.0, 30.0, 600_001)
    spread = np.sqrt(gaussians.covariances[..., 0, 0])
    edges = norm.cdf(grid[:, None, None], gaussians.means[..., 0], spread)
    mass = np.einsum("ia,nia->na", conditional, np.diff(edges, axis=0))
    gaps = [np.sum(np.maximum(mass[:, a] - mass[:, b], 0.0)) for a in range(3) for b in range(a)]
    assert found["demographic_parity"].bound == pytest.approx(max(gaps), abs=1e-7)
    distances = pairwise_total_variation(gaussians.means, gaussians.covariances)
    assert max(gaps) < demographic_parity_bound(distances, gaussians.priors)


def test_the_triangle_through_the_ideal_distribution_never_loosens():
    gaussians = random_gaussians(3, 3, 4, 0)
    to_ideal = np.full((3, 3), 0.05)
    direct = pairwise_total_variation(gaussians.means, gaussians.covariances)
    both = pairwise_total_variation(gaussians.means, gaussians.covariances, to_ideal)
    assert np.all(both <= direct)
    assert both.max() == pytest.approx(0.1)


def test_estimates_equal_the_exact_distance_where_it_is_known():
    """Without maps and with the reference as the ideal, for one feature, it is an integral."""
    gaussians = random_gaussians(2, 2, 1, 3)
    found = estimated_certificates(
        gaussians, None, gaussians.like_group(0), 0, 1, n_samples=200_000, random_state=0
    )
    exact = [
        univariate_total_variation(
            gaussians.means[i, 1, 0],
            gaussians.covariances[i, 1, 0, 0],
            gaussians.means[i, 0, 0],
            gaussians.covariances[i, 0, 0, 0],
        )
        for i in range(2)
    ]
    assert found["equal_opportunity"].bound == pytest.approx(exact[1], abs=0.005)
    assert found["equalized_odds"].bound == pytest.approx(max(exact), abs=0.005)
    grid = np.linspace(-15, 15, 300_001)
    conditional = gaussians.priors / gaussians.priors.sum(axis=0)
    density = [
        sum(
            conditional[i, a]
            * norm.pdf(grid, gaussians.means[i, a, 0], gaussians.covariances[i, a, 0, 0] ** 0.5)
            for i in range(2)
        )
        for a in range(2)
    ]
    parity = 0.5 * np.abs(density[0] - density[1]).sum() * (grid[1] - grid[0])
    assert found["demographic_parity"].bound == pytest.approx(parity, abs=0.005)
    assert {c.kind for c in found.values()} == {"model estimate"}


def test_the_derivative_is_that_of_the_move(rng):
    gaussians = random_gaussians(3, 2, 3, 0)
    maps = OptimalSteeringTransformer(conditions="identical", shrinkage=0)
    data = make_gaussian_subgroups(4000, gaussians=gaussians, random_state=0)
    X = data.data.drop(columns="group").to_numpy()
    maps = maps.fit(X, data.target, sensitive_features=data.sensitive_features).maps_
    point, h = rng.normal(size=3), 1e-6
    moved = lambda x: x + posterior_displacement(gaussians, maps, x[None], 1)[0]  # noqa: E731
    jacobian = np.stack(
        [(moved(point + h * e) - moved(point - h * e)) / (2 * h) for e in np.eye(3)], axis=1
    )
    found = posterior_derivative(gaussians, maps, point[None], 1)[0]
    np.testing.assert_allclose(found, jacobian, atol=1e-6)


FOLDING = [((-2, 0), (0, -2), (2, 2)), ((-3, 0), (0, -3), (3, 3)), ((-1.5, 1), (0, -1.5), (1.5, 1))]


@pytest.fixture(params=FOLDING)
def folding(request):
    """Labels ordered differently in two groups: the posterior map goes back and forth."""
    rng = np.random.default_rng(0)
    n = 20_000
    y, groups = rng.integers(0, 3, size=n), rng.integers(0, 2, size=n)
    X = (np.array(request.param, dtype=float)[y, groups] + rng.normal(size=n))[:, None]
    return OptimalSteeringTransformer(random_state=0).fit(X, y, sensitive_features=groups)


def distances_by_quadrature(steering):
    """Total variation of each group after the map from the ideal, on a grid finer than folds."""
    gaussians, ideal = steering.distribution_, steering.ideal_
    grid = np.linspace(-12, 12, 400_001)
    edges = np.linspace(-12, 12, 2001)
    distances = np.zeros(gaussians.priors.shape)
    for i, a in np.ndindex(distances.shape):
        moved = grid + posterior_displacement(gaussians, steering.maps_, grid[:, None], a)[:, 0]
        mass = norm.pdf(grid, gaussians.means[i, a, 0], gaussians.covariances[i, a, 0, 0] ** 0.5)
        before = np.bincount(np.searchsorted(edges, moved), mass * (grid[1] - grid[0]), 2002)
        cumulative = norm.cdf(edges, ideal.means[i, a, 0], ideal.covariances[i, a, 0, 0] ** 0.5)
        distances[i, a] = 0.5 * np.abs(before - np.diff(cumulative, prepend=0, append=1)).sum()
    return distances


@pytest.mark.slow
def test_estimates_hold_where_the_move_folds(folding):
    """Each place that several rows move to has the density of all of them."""
    exact = distances_by_quadrature(folding).sum(axis=1)
    found = folding.certificate_
    assert found["equalized_odds"].bound == pytest.approx(exact.max(), abs=0.02)
    assert found["equal_opportunity"].bound == pytest.approx(exact[2], abs=0.02)
    assert exact.max() > 0.3


@pytest.mark.slow
def test_counting_one_row_per_place_certifies_too_little(folding, rng):
    gaussians, maps = folding.distribution_, folding.maps_
    exact = distances_by_quadrature(folding)[:, 1]
    short = np.zeros(3)
    for i in range(3):
        X = gaussians.means[i, 1] + rng.normal(size=(5000, 1)) * gaussians.covariances[i, 1] ** 0.5
        moved, log_densities, settled = moved_log_densities(gaussians, maps, X, 1, rng)
        assert settled.mean() > 0.999
        volume = np.log(np.abs(posterior_derivative(gaussians, maps, X, 1)[:, 0, 0]))
        alone = subgroup_log_densities(gaussians, X, 1) - volume[:, None]
        assert np.all(log_densities >= alone - 1e-9)
        ideal = subgroup_log_densities(folding.ideal_, moved, 1)[:, i]
        full, single = (np.maximum(0, 1 - np.exp(ideal - d[:, i])) for d in (log_densities, alone))
        assert full.mean() == pytest.approx(exact[i], abs=0.02)
        short[i] = exact[i] - single.mean()
    assert short.max() > 0.05
