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
    np.testing.assert_allclose(inside, draws, atol=1e-9)


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
