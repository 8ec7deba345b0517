import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from fairsteer.core.crossings import crossings, interval_midpoints, interval_probabilities

FLOATS = st.floats(-3, 3)
SPREADS = st.floats(0.2, 3)


def balance(x, weights, means, deviations):
    return weights @ norm.pdf(np.asarray(x), means[:, None], deviations[:, None])


@given(FLOATS, FLOATS, SPREADS, SPREADS, st.floats(0.05, 20))
def test_two_densities_cross_where_the_quadratic_says(m, n, s, t, ratio):
    weights, means, deviations = np.array([ratio, -1.0]), np.array([m, n]), np.array([s, t])
    roots = crossings(weights, means, deviations)
    grid = np.linspace(-25, 25, 100_001)
    changes = np.flatnonzero(np.diff(np.sign(balance(grid, weights, means, deviations))))
    visible = roots[(roots > -25) & (roots < 25)]
    height = np.abs(balance(grid[changes], weights, means, deviations))
    assert len(changes) <= len(visible) + np.sum(height < 1e-12)
    for root in visible:
        value = balance([root], np.abs(weights), means, deviations)[0]
        assert abs(balance([root], weights, means, deviations)[0]) <= 1e-9 * max(value, 1e-300)


def test_more_densities_are_bracketed_and_polished():
    weights = np.array([1.0, -0.7, 0.4, -0.3])
    means, deviations = np.array([0.0, 1.0, 3.0, -4.0]), np.array([1.0, 0.6, 0.5, 0.8])
    roots = crossings(weights, means, deviations)
    grid = np.linspace(-12, 12, 1_000_001)
    signs = np.sign(balance(grid, weights, means, deviations))
    found = grid[np.flatnonzero(np.diff(signs))]
    inside = roots[(roots > -12) & (roots < 12)]
    assert len(inside) >= 3
    np.testing.assert_allclose(inside, found, atol=5e-5)


def test_weights_of_one_sign_and_equal_gaussians_never_cross():
    ones = np.ones(2)
    assert len(crossings(ones, np.array([0.0, 2.0]), ones)) == 0
    assert len(crossings(np.array([2.0, -1.0]), ones, ones)) == 0


def test_equal_deviations_cross_once():
    roots = crossings(np.array([1.0, -1.0]), np.array([0.0, 2.0]), np.ones(2))
    np.testing.assert_allclose(roots, [1.0])


def test_interval_probabilities_sum_to_one_and_keep_small_tails():
    cuts = np.array([-1.0, 0.5, 30.0])
    p = interval_probabilities(cuts, 0.0, 1.0)
    assert p.sum() == pytest.approx(1.0, abs=1e-15)
    np.testing.assert_allclose(p[:2], [norm.cdf(-1), norm.cdf(0.5) - norm.cdf(-1)], rtol=1e-12)
    assert p[3] == pytest.approx(norm.sf(30.0), rel=1e-10)
    assert np.array_equal(interval_probabilities(np.empty(0), 3.0, 2.0), [1.0])


def test_midpoints_lie_inside():
    cuts = np.array([-1.0, 0.5, 3.0])
    points = interval_midpoints(cuts, 1.0)
    assert np.array_equal(np.searchsorted(cuts, points), [0, 1, 2, 3])
    assert len(interval_midpoints(np.empty(0), 1.0)) == 1
