"""Steered scores have one distribution in every group."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import linear_sum_assignment

from fairsteer.core.score_maps import bin_edges, fit_kernels, fit_monotone_maps


@pytest.fixture
def scores(rng):
    n = 30_000
    groups = rng.integers(0, 3, n)
    labels = (rng.random(n) < 0.3 + 0.1 * groups).astype(int)
    values = (
        rng.normal(size=n) * (1.0 + 0.2 * groups) + labels * (0.6 + 0.4 * groups) + 0.5 * groups
    )
    return values, labels, groups


def shares(values, groups, chosen):
    edges = np.unique(np.quantile(values, np.linspace(0, 1, 11)[1:-1]))
    bins = np.searchsorted(edges, values)
    return [
        np.bincount(bins[chosen & (groups == a)], minlength=10) / (chosen & (groups == a)).sum()
        for a in range(3)
    ]


def largest_distance(values, groups, chosen):
    own = shares(values, groups, chosen)
    return max(0.5 * np.abs(own[a] - own[b]).sum() for a in range(3) for b in range(a))


def test_kernels_equalize_scores_given_the_label(rng, scores):
    values, labels, groups = scores
    kernels = fit_kernels(values, labels, groups, np.ones(len(values)), 3, 20)
    steered = kernels(values, groups, rng.random(len(values)))
    assert set(np.unique(steered)) <= set(kernels.values)
    for label in (0, 1):
        assert largest_distance(values, groups, labels == label) > 0.2
        assert largest_distance(steered, groups, labels == label) < 0.04
    assert np.all(np.diff(kernels.values) > 0.0)
    # Without the draws the groups differ again.
    fixed = kernels(values, groups, np.full(len(values), 0.5))
    assert max(largest_distance(fixed, groups, labels == label) for label in (0, 1)) > 0.1


def test_the_values_are_calibrated(rng, scores):
    values, labels, groups = scores
    kernels = fit_kernels(values, labels, groups, np.ones(len(values)), 3, 10)
    segments = kernels.segments(values, groups, rng.random(len(values)))
    # The values hold for the label shares of all groups together.
    for k, value in enumerate(kernels.values):
        assert kernels.target.positives[::-1][k] == pytest.approx(
            np.mean(segments[labels == 1] == k), abs=0.02
        )
        ratio = kernels.target.positives[::-1][k] / kernels.target.negatives[::-1][k]
        expected = np.log(ratio) + np.log(labels.mean() / (1 - labels.mean()))
        assert value == pytest.approx(expected, abs=1e-6)


def test_a_small_group_is_drawn_to_the_others(rng):
    values = rng.normal(size=2000)
    labels = (values + rng.normal(size=2000) > 0).astype(int)
    groups = np.zeros(2000, dtype=int)
    groups[:6], labels[:6] = 1, [0, 1, 0, 1, 0, 1]
    values[:6] = [-1, 1, -1, 1, -1, 1]
    exact = fit_kernels(values, labels, groups, np.ones(2000), 2, 10, shrinkage_rows=0.0)
    shrunk = fit_kernels(values, labels, groups, np.ones(2000), 2, 10, shrinkage_rows=20.0)
    grid = np.linspace(0, 1, 50)
    assert exact.curves[1](np.array([0.0])) == pytest.approx(1.0)
    assert np.abs(shrunk.curves[1](grid) - shrunk.curves[0](grid)).max() < 0.5


def test_monotone_maps_equalize_all_rows(rng, scores):
    values, _, groups = scores
    maps = fit_monotone_maps(values, groups, np.ones(len(values)), 3)
    steered = maps(values, groups, rng.random(len(values)))
    assert largest_distance(steered, groups, np.ones(len(values), dtype=bool)) < 0.01
    for group in range(3):
        own = groups == group
        order = np.argsort(values[own])
        assert np.all(np.diff(steered[own][order]) >= 0.0)


def test_ties_are_spread_by_the_draws(rng):
    groups = np.repeat([0, 1], 5000)
    values = np.where(groups == 0, rng.integers(0, 2, 10_000), rng.integers(0, 4, 10_000)) * 1.0
    maps = fit_monotone_maps(values, groups, np.ones(10_000), 2)
    steered = maps(values, groups, rng.random(10_000))
    grid = np.linspace(steered.min(), steered.max(), 50)
    distribution = [np.searchsorted(np.sort(steered[groups == a]), grid) / 5000 for a in (0, 1)]
    assert np.abs(distribution[0] - distribution[1]).max() < 0.03


def test_maps_are_optimal_transport_in_one_dimension(rng):
    values = rng.normal(size=400)
    groups = np.repeat([0, 1], 200)
    values[groups == 1] = 2.0 * values[groups == 1] + 1.0
    maps = fit_monotone_maps(values, groups, np.ones(400), 2, shrinkage_rows=0.0)
    steered = maps(values, groups, np.full(400, 0.5))
    first, second = values[:200], values[200:]
    rows, matched = linear_sum_assignment((first[:, None] - second) ** 2)
    assert_allclose(steered[:200], (first[rows] + second[matched]) / 2, atol=0.02)


def test_scores_beyond_those_of_the_positives_keep_their_order():
    values, groups = np.array([0.0, 1.0, 2.0, 5.0, 6.0, 7.0]), np.array([0, 0, 0, 1, 1, 1])
    maps = fit_monotone_maps(values, groups, np.ones(6), 2, shrinkage_rows=0.0)
    beyond = maps(np.array([-3.0, -1.0, 3.0, 9.0]), np.zeros(4, dtype=int), np.full(4, 0.5))
    assert np.all(np.diff(beyond) > 0.0)


def test_edges_make_bins_of_equal_weight(rng):
    values = rng.normal(size=10_000)
    bins = np.searchsorted(bin_edges(values, np.ones(10_000), 8), values, side="right")
    assert_allclose(np.bincount(bins) / 10_000, 1 / 8, atol=1e-3)
    assert len(bin_edges(np.zeros(10), np.ones(10), 8)) == 0
    assert len(bin_edges(np.repeat([0.0, 1.0], 5), np.ones(10), 8)) == 1


def test_a_single_threshold_draws_for_the_fewest_rows(rng):
    n = 3000
    labels, groups = rng.integers(2, size=n), rng.integers(3, size=n)
    values = rng.normal(size=n) + labels * (1.0 + 0.5 * groups)
    whole = fit_kernels(values, labels, groups, np.ones(n), 3, 20)
    single = fit_kernels(values, labels, groups, np.ones(n), 3, 20, single_threshold=True)
    assert len(single.values) == 2
    vertex = single.target.false_positive[1], single.target.true_positive[1]
    share = labels.mean()
    for curve in (whole.target, single.target):
        errors = (1 - share) * curve.false_positive + share * (1 - curve.true_positive)
        assert errors.min() >= (1 - share) * vertex[0] + share * (1 - vertex[1]) - 1e-12
    # Both rates of every group are those of the point, with the shrunken distributions; without
    # shrinkage they are those of the rows.
    exact = fit_kernels(values, labels, groups, np.ones(n), 3, 20, 0.0, single_threshold=True)
    bins = np.searchsorted(exact.edges, values, side="right")
    positive = exact.kernels[groups, bins, -1]
    rates = [
        [positive[(groups == a) & (labels == label)].mean() for a in range(3)] for label in (0, 1)
    ]
    np.testing.assert_allclose(np.ptp(rates, axis=1), 0.0, atol=0.01)
    # Of a group above the curve only bins near its own cut-off draw.
    drawn = (single.kernels[:, :, -1] > 1e-6) & (single.kernels[:, :, -1] < 1 - 1e-6)
    spread = (whole.kernels > 1e-6).sum(axis=2) > 1
    assert drawn.sum() < spread.sum()


def test_one_label_for_everybody_can_make_the_fewest_errors():
    labels = np.r_[np.ones(190), np.zeros(10)].astype(int)
    values, groups = np.arange(200.0) % 7, np.arange(200) % 2
    kernels = fit_kernels(values, labels, groups, np.ones(200), 2, 5, single_threshold=True)
    assert len(kernels.values) == 1
    assert kernels.values[0] > 0.0
