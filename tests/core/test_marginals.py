import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ks_2samp, kstest, norm

from fairsteer.core.marginals import (
    FAMILIES,
    SUMMED_FAMILIES,
    Copula,
    QuantileTable,
    choose_family,
    find_one_hot,
    merge_blocks,
    order_categories,
    split_blocks,
    summed_marginals,
)

VALUES = arrays(float, st.integers(1, 30), elements=st.integers(-3, 3).map(float))


@given(VALUES, st.integers(0, 2**32 - 1))
def test_locating_a_rank_returns_value_and_draw(x, seed):
    rng = np.random.default_rng(seed)
    table = QuantileTable.from_values(x, rng.uniform(0.1, 3.0, size=len(x)))
    draws = rng.uniform(0.01, 0.99, size=len(x))
    values, inside = table.locate(table.rank(x, draws))
    np.testing.assert_array_equal(values, x)
    tied = table.tied[np.searchsorted(table.values, x)]
    np.testing.assert_allclose(inside, np.where(tied, draws, 0.5), atol=1e-9)


@given(VALUES, st.integers(0, 2**32 - 1))
def test_larger_values_rank_higher(x, seed):
    rng = np.random.default_rng(seed)
    table = QuantileTable.from_values(x, np.ones(len(x)))
    new = np.sort(np.concatenate([x, x + 0.5, [x.min() - 9, x.max() + 9]]))
    low, high = (table.rank(new, np.full(len(new), u)) for u in (1e-9, 1 - 1e-9))
    assert np.all(np.diff(low) >= -1e-12)
    assert np.all(np.diff(high) >= -1e-12)
    ranks = table.rank(new, rng.uniform(size=len(new)))
    assert np.all((ranks > 0) & (ranks < 1))


def test_a_weight_is_a_frequency(rng):
    x, weights = rng.integers(0, 5, size=30).astype(float), rng.integers(1, 4, size=30)
    weighted = QuantileTable.from_values(x, weights.astype(float))
    repeated = QuantileTable.from_values(np.repeat(x, weights), np.ones(weights.sum()))
    np.testing.assert_array_equal(weighted.values, repeated.values)
    np.testing.assert_allclose(weighted.cumulative, repeated.cumulative)


def test_unseen_values_rank_between_the_nearest_seen_values():
    table = QuantileTable.from_values(np.array([1.0, 1.0, 4.0, 4.0]), np.ones(4))
    half = np.array([0.5])
    assert table.rank(np.array([2.0]), half) == pytest.approx(0.5)
    assert table.rank(np.array([0.0]), half) == pytest.approx(0.125)
    assert table.rank(np.array([9.0]), half) == pytest.approx(0.875)


def test_values_without_ties_need_no_draw(rng):
    x = rng.normal(size=50)
    table = QuantileTable.from_values(x, np.ones(50))
    new = np.concatenate([x, rng.normal(size=200)])
    ranks = table.rank(new, rng.uniform(size=250))
    np.testing.assert_array_equal(ranks, table.rank(new, rng.uniform(size=250)))
    assert np.all(np.diff(ranks[np.argsort(new)]) >= 0.0)
    # A tied neighbor is spread, and so are the values next to it.
    tied = QuantileTable.from_values(np.array([0.0, 1.0, 1.0, 2.0, 3.0]), np.ones(5))
    values = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
    low, high = (tied.rank(values, np.full(6, u)) for u in (0.1, 0.9))
    assert (low != high).tolist() == [False, True, True, True, False, False]
    # Half-way between the middles of the intervals of 2 and 3.
    assert low[5] == pytest.approx(0.8)


def test_the_largest_numbers_have_ranks():
    table = QuantileTable.from_values(np.array([-1.7e308, 0.0, 1.7e308]), np.ones(3))
    ranks = table.rank(np.array([-1.7e308, -1e308, 1e308, 1.7e308]), np.full(4, 0.5))
    assert np.all(np.diff(ranks) > 0.0)


@pytest.mark.parametrize("scale", [1.0, 0.1, 1e6])
def test_ranks_and_places_survive_single_precision(rng, scale):
    x = scale * rng.integers(0, 9, size=300)
    table, draws = QuantileTable.from_values(x, np.ones(300)), rng.uniform(size=300)
    single = x.astype(np.float32).astype(float)
    np.testing.assert_array_equal(table.rank(single, draws), table.rank(x, draws))
    np.testing.assert_array_equal(table.place(single), table.place(x))


def one_hot(codes, size):
    return (codes[:, None] == np.arange(size)).astype(float)


def test_one_hot_blocks_are_runs_that_add_up_to_one_at_most(rng):
    n = 400
    number, flag = rng.normal(size=(n, 1)), rng.integers(0, 2, size=(n, 1)).astype(float)
    dropped = one_hot(rng.integers(0, 4, size=n), 4)[:, 1:]
    whole = one_hot(rng.integers(0, 3, size=n), 3)
    next_whole = one_hot(rng.integers(0, 2, size=n), 2)
    constant = np.zeros((n, 1))
    X = np.hstack([dropped[:, :2], constant, dropped[:, 2:], number, whole, next_whole, flag])
    found = [block.tolist() for block in find_one_hot(X)]
    assert found == [[0, 1, 3], [5, 6, 7], [8, 9]]
    assert [b.tolist() for b in find_one_hot(X.astype(np.float32))] == found
    assert find_one_hot(2.0 * X) == []
    assert find_one_hot(np.hstack([flag, rng.integers(0, 2, size=(n, 1))])) == []


def test_blocks_are_ordered_merged_and_split(rng):
    codes = rng.integers(0, 4, size=600)
    positive = rng.random(600) < np.array([0.5, 0.9, 0.1, 0.7])[codes]
    X = np.hstack([one_hot(codes, 4)[:, 1:], rng.normal(size=(600, 1))])
    blocks = order_categories(find_one_hot(X), X, positive, np.ones(600))
    merged = merge_blocks(X, blocks)
    np.testing.assert_array_equal(merged[:, 0], np.array([1, 3, 0, 2])[codes])
    assert not merged[:, 1:3].any()
    np.testing.assert_array_equal(merged[:, 3], X[:, 3])
    moved = merged.copy()
    moved[:300, 0] = 3 - merged[:300, 0]
    split_blocks(moved, merged, X, blocks)
    opposite = np.array([3, 2, 1, 0])
    # Ranks 0, 1, 2, 3 are the categories 2, 0, 3, 1.
    by_rank = np.array([2, 0, 3, 1])
    expected = np.where(np.arange(600) < 300, by_rank[opposite[merged[:, 0].astype(int)]], codes)
    np.testing.assert_array_equal(moved[:, :3], one_hot(expected, 4)[:, 1:])


def test_rows_that_break_a_block_stay_where_they_do_not_move(rng):
    codes = rng.integers(0, 3, size=90)
    X = one_hot(codes, 3)
    blocks = order_categories(find_one_hot(X), X, codes == 1, np.ones(90))
    strange = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.3, 0.0, 0.0]])
    merged = merge_blocks(strange, blocks)
    moved = merged.copy()
    split_blocks(moved, merged, strange, blocks)
    np.testing.assert_array_equal(moved, strange)


def test_the_family_is_chosen_by_the_features_that_vary(rng):
    steps, bell = rng.integers(0, 5, size=(500, 2)).astype(float), rng.normal(size=(500, 2))
    block = one_hot(rng.integers(0, 9, size=500), 9)
    constant = np.ones((500, 1))

    def chosen(*parts):
        X = np.hstack(parts)
        return choose_family(X, find_one_hot(X))

    assert chosen(steps, bell[:, :1], constant) == "copula"
    assert chosen(steps, bell) == "normal"
    # Nine indicators are one feature.
    assert chosen(block, bell) == "normal"
    assert chosen(block, bell[:, :1], steps[:, :1]) == "copula"
    assert chosen(block, np.float64(bell[:, :1])) == "normal"


@pytest.fixture
def ranked(rng):
    """Three groups whose features are a count, a rare indicator and a skewed number."""
    codes = rng.integers(0, 3, size=6000)
    X = np.column_stack(
        [
            rng.poisson(1.0 + codes),
            rng.uniform(size=6000) < 0.1 * (1 + codes),
            rng.exponential(1.0 + codes),
        ]
    ).astype(float)
    return (
        X,
        codes,
        Copula(X, codes, np.ones(6000), 3, 1, np.ones(6000)),
        rng.uniform(size=X.shape),
    )


def test_scores_are_standard_normal_within_each_group(ranked):
    X, codes, copula, draws = ranked
    for group in range(3):
        own = codes == group
        for column in copula.scores(X[own], group, draws[own]).T:
            assert kstest(column, norm.cdf).pvalue > 1e-4


def test_every_group_is_read_off_the_reference_groups_values(ranked):
    X, codes, copula, draws = ranked
    for group in range(3):
        own = codes == group
        step = copula.carry(X[own], group, draws[own], np.zeros((own.sum(), 3)))
        if group == 1:
            assert np.array_equal(step, np.zeros_like(step))
        moved = copula.inverse(copula.common(X[own], draws[own]) + step)
        for column, values, seen in zip(moved.T, X[codes == 1].T, X.T, strict=True):
            assert ks_2samp(column, values).pvalue > 1e-4
            assert np.isin(column, seen).all()


def test_increasing_functions_of_a_feature_within_groups_change_no_score(ranked):
    X, codes, copula, draws = ranked
    stretched = X * (1.0 + codes[:, None]) + codes[:, None]
    other = Copula(stretched, codes, np.ones(len(X)), 3, 1, np.ones(len(X)))
    for group in range(3):
        own = codes == group
        np.testing.assert_allclose(
            other.scores(stretched[own], group, draws[own]),
            copula.scores(X[own], group, draws[own]),
        )


def test_a_group_of_one_value_has_normal_scores_too(rng):
    X = np.column_stack([np.r_[np.full(400, 2.0), rng.integers(0, 9, size=400)]]).astype(float)
    codes = np.repeat([0, 1], 400)
    copula = Copula(X, codes, np.ones(800), 2, 1, np.ones(800))
    scores = copula.scores(X[:400], 0, rng.uniform(size=(400, 1)))
    assert kstest(scores[:, 0], norm.cdf).pvalue > 1e-4


def test_far_steps_end_at_the_largest_value(ranked):
    X, codes, copula, draws = ranked
    own = codes == 0
    for sign, extreme in ((1.0, X[codes == 1].max(axis=0)), (-1.0, X[codes == 1].min(axis=0))):
        step = copula.carry(X[own], 0, draws[own], np.full((own.sum(), 3), sign * 60.0))
        moved = copula.inverse(copula.common(X[own], draws[own]) + step)
        assert np.all(moved == extreme)


def test_pooled_scores_keep_the_groups_apart_and_steps_as_they_are(ranked):
    X, codes, _, draws = ranked
    copula = Copula(X, codes, np.ones(len(X)), 3, 1, None)
    scores = copula.common(X, draws)
    for column in scores.T:
        assert kstest(column, norm.cdf).pvalue > 1e-4
    for group in range(3):
        own = codes == group
        np.testing.assert_array_equal(copula.scores(X[own], group, draws[own]), scores[own])
        step = draws[own] - 0.5
        assert copula.carry(X[own], group, draws[own], step) is step
    np.testing.assert_array_equal(copula.inverse(scores), X)


NAMES = ["age", "gain", "hours"]


def fitted(name, X):
    if name in SUMMED_FAMILIES:
        return summed_marginals(name, NAMES)
    codes, weights = np.zeros(len(X), dtype=int), np.ones(len(X))
    return Copula(X, codes, weights, 1, 0, weights if name == "copula_by_group" else None)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_step_of_zero_leads_back(name, rng):
    X = rng.lognormal(size=(20, 3))
    family = fitted(name, X)
    draws = rng.uniform(size=X.shape)
    common = family.common(X, draws) + family.carry(X, 0, draws, np.zeros_like(X))
    np.testing.assert_allclose(family.inverse(common), X, rtol=1e-12)


@pytest.mark.parametrize("name", ["normal", "lognormal"])
def test_without_ranks_steps_stay_what_they_are(name, rng):
    X, step = rng.lognormal(size=(20, 3)), rng.normal(size=(20, 3))
    family = fitted(name, X)
    np.testing.assert_array_equal(family.carry(X, 0, X, step), step)
    np.testing.assert_array_equal(family.scores(X, 0, X), family.common(X, X))


def test_log_normal_scores_are_logarithms():
    X = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(fitted("lognormal", X).scores(X, 0, X), np.log(X))


def test_log_normal_names_the_columns_that_are_not_positive():
    message = "family='lognormal' needs positive features, but column(s) ['gain', 'hours'] have"
    X = np.array([[1.0, 0.0, 2.0], [2.0, 5.0, -3.0]])
    with pytest.raises(ValueError, match=re.escape(message)):
        fitted("lognormal", X).scores(X, 0, X)
