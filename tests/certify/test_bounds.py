"""Finite-sample bounds hold as often as they say, and fail where their assumption is dropped."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import binomtest, ks_2samp

from fairsteer.certify._attacks import attack_outputs, attack_threshold, count_outputs
from fairsteer.certify._bounds import (
    distance_bounds,
    largest,
    pair_errors,
    rate_bounds,
    threshold_distances,
    total_variations,
)


@given(st.integers(2, 4), st.integers(1, 3), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_total_variation_is_the_gap_of_the_worst_set_of_outputs(n_groups, n_conditions, m, seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 20, size=(n_conditions, n_groups, m))
    shares = counts / counts.sum(axis=2, keepdims=True)
    found = total_variations(counts)
    for c in range(n_conditions):
        for a, b in combinations(range(n_groups), 2):
            gaps = [
                abs(sum(shares[c, a, j] - shares[c, b, j] for j in range(m) if chosen >> j & 1))
                for chosen in range(2**m)
            ]
            assert found[c, a, b] == pytest.approx(max(gaps))
            assert found[c, b, a] == found[c, a, b]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_thresholds_have_the_kolmogorov_smirnov_distance(seed):
    rng = np.random.default_rng(seed)
    scores, codes = rng.integers(8, size=200) / 8.0, np.arange(200) % 3
    conditions = [np.arange(200) < 120, np.arange(200) >= 120]
    distances, thresholds = threshold_distances(scores, codes, conditions, 3)
    for c, own in enumerate(conditions):
        for a, b in combinations(range(3), 2):
            first, second = scores[own & (codes == a)], scores[own & (codes == b)]
            assert distances[c, a, b] == pytest.approx(
                ks_2samp(first, second, method="asymp").statistic
            )
            gap = np.mean(first <= thresholds[c, a, b]) - np.mean(second <= thresholds[c, a, b])
            assert abs(gap) == pytest.approx(distances[c, a, b])


@given(
    st.lists(st.tuples(st.integers(1, 400), st.floats(0, 1)), min_size=2, max_size=4),
    st.floats(0.001, 0.5),
)
@settings(max_examples=50)
def test_rates_have_clopper_pearson_intervals(cells, error_rate):
    sizes = np.array([[n for n, _ in cells]])
    hits = np.array([[round(n * share) for n, share in cells]])
    found = rate_bounds(hits, sizes, error_rate)[0]
    intervals = [
        binomtest(int(k), int(n)).proportion_ci(1.0 - error_rate, method="exact")
        for k, n in zip(hits[0], sizes[0], strict=True)
    ]
    for a, b in combinations(range(len(cells)), 2):
        ends = (
            intervals[a].high - intervals[b].low,
            intervals[b].high - intervals[a].low,
        )
        assert found[a, b] == pytest.approx(min(max(ends), 1.0), abs=1e-9)


def test_widths_are_those_of_the_formula():
    found = pair_errors(np.array([[100.0, 400.0, 0.0]]), 0.05, 6)
    assert found[0, 0, 1] == pytest.approx(np.sqrt((1 / 100 + 1 / 400) * np.log(6 / 0.05) / 2))
    assert np.isinf(found[0, 0, 2])


def test_a_group_without_rows_has_bound_one():
    counts = np.zeros((2, 3, 4), dtype=int)
    counts[:, :2] = 1000
    counts[1, 2] = 1000
    distances = total_variations(counts)
    bounds = distance_bounds(distances, counts.sum(axis=2).astype(float), 0.05)
    assert np.isnan(distances[0, 0, 2])
    assert bounds[0, 0, 2] == 1.0
    assert bounds[1, 0, 2] < 0.1
    assert largest(distances) == 0.0
    hits = counts[..., 0]
    assert rate_bounds(hits, counts.sum(axis=2), 0.05)[0, 0, 2] == 1.0
    assert np.isnan(largest(np.full((1, 2, 2), np.nan)))


def draw_counts(rng, shares, n):
    """Draw counts (C, G, m) of n rows from shares that add up to 1."""
    return rng.multinomial(n, shares.ravel()).reshape(shares.shape)


@pytest.mark.slow
@pytest.mark.parametrize("n", [200, 2_000, 20_000])
@pytest.mark.parametrize("n_groups", [2, 4])
def test_bounds_of_random_laws_hold(n, n_groups):
    rng = np.random.default_rng([n, n_groups])
    failed = {"any": 0, "model": 0}
    for _ in range(600):
        m = int(rng.choice([2, 5, 20]))
        base, own = rng.dirichlet(np.ones(m), (2, 1)), rng.dirichlet(np.ones(m), (2, n_groups))
        weight = rng.uniform()
        shares = weight * own + (1.0 - weight) * base
        shares *= rng.dirichlet(np.full(2 * n_groups, 2.0)).reshape(2, n_groups, 1)
        counts = draw_counts(rng, shares, n)
        sizes = counts.sum(axis=2)
        bounds = distance_bounds(total_variations(counts), sizes.astype(float), 0.05)
        failed["any"] += largest(total_variations(shares)) > largest(bounds)
        rates = shares[..., 0] / shares.sum(axis=2)
        gap = largest(np.abs(rates[:, :, None] - rates[:, None, :]))
        failed["model"] += gap > largest(rate_bounds(counts[..., 0], sizes, 0.05))
    assert failed["any"] <= 0.02 * 600
    assert failed["model"] <= 0.03 * 600


@pytest.mark.slow
@pytest.mark.parametrize("gap", [0.1, 0.2])
def test_the_worst_case_is_covered_and_not_wasted(gap):
    # Two outputs, rates .5 +- gap / 2: the distance is nearly unbiased.
    rng, runs, n = np.random.default_rng(int(100 * gap)), 20_000, 1_000
    rates = np.array([0.5 - gap / 2, 0.5 + gap / 2])
    hits = rng.binomial(n, rates, size=(runs, 2))
    counts = np.stack([n - hits, hits], axis=2)
    sizes = np.full((runs, 2), n)
    above = gap > distance_bounds(total_variations(counts), sizes.astype(float), 0.05)[:, 0, 1]
    assert 0.001 < above.mean() < 0.05
    above = gap > rate_bounds(hits, sizes, 0.05)[:, 0, 1]
    assert 0.0005 < above.mean() < 0.05


@pytest.mark.slow
def test_claims_of_all_entries_need_the_number_of_entries():
    rng, runs = np.random.default_rng(0), 4_000
    n_groups, n_labels, n = 4, 3, 500
    rates = np.where(np.arange(n_groups) % 2, 0.6, 0.4)
    truth = np.abs(rates[:, None] - rates)
    upper = np.triu_indices(n_groups, k=1)
    failed = {1: 0, n_labels * len(upper[0]): 0}
    sizes = np.full((n_labels, n_groups), n)
    for _ in range(runs):
        hits = rng.binomial(sizes, rates)
        distances = total_variations(np.stack([sizes - hits, hits], axis=2))
        for claims in failed:
            bounds = distance_bounds(distances, sizes.astype(float), 0.05, claims)
            failed[claims] += bool((truth > bounds)[:, *upper].any())
    without, within = (count / runs for count in failed.values())
    assert without > 0.05
    assert within < 0.01


def test_an_attack_finds_the_outputs_of_one_group():
    rng = np.random.default_rng(0)
    codes = np.arange(20_000) % 2
    outputs = rng.integers(4, size=20_000)
    outputs[(codes == 1) & (rng.random(20_000) < 0.4)] = 3
    conditions = [np.ones(20_000, dtype=bool)]
    found = attack_outputs(outputs, codes, conditions, 2, 4, 0.05, 0)
    truth = 0.4 * 0.75
    assert found.gap - found.error < truth < found.gap + found.error
    scores = outputs + rng.random(20_000)
    found = attack_threshold(scores, codes, conditions, 2, 0.05, 0)
    assert found.gap - found.error < truth < found.gap + found.error
    turned = attack_threshold(-scores, codes, conditions, 2, 0.05, 0)
    assert turned.gap == pytest.approx(found.gap, abs=0.01)


def test_an_attack_on_noise_attains_about_nothing():
    # The plug-in distance of the same rows does not vanish.
    rng = np.random.default_rng(0)
    codes, outputs = rng.integers(3, size=3_000), rng.integers(20, size=3_000)
    conditions = [np.ones(3_000, dtype=bool)]
    found = attack_outputs(outputs, codes, conditions, 3, 20, 0.05, 0)
    plain = largest(total_variations(count_outputs(outputs, codes, conditions, 3, 20)))
    assert found.gap < found.error
    assert plain > 0.05


def test_attacks_without_rows_attain_nothing_known():
    codes, outputs = np.array([0, 0, 1]), np.array([0, 1, 0])
    conditions = [np.array([True, True, False])]
    assert np.isnan(attack_outputs(outputs, codes, conditions, 2, 2, 0.05, 0).gap)
    assert np.isnan(attack_threshold(outputs * 1.0, codes, conditions, 2, 0.05, 0).gap)


def test_counts_by_condition_group_and_output(rng):
    outputs, codes = rng.integers(3, size=50), rng.integers(2, size=50)
    conditions = [rng.random(50) < 0.5, np.ones(50, dtype=bool)]
    counts = count_outputs(outputs, codes, conditions, 2, 3)
    for c, own in enumerate(conditions):
        for a in range(2):
            for j in range(3):
                assert counts[c, a, j] == np.sum(own & (codes == a) & (outputs == j))
    assert_allclose(counts[1].sum(), 50)
