import numpy as np
import pytest
from scipy.stats import kstest

from fairsteer.core.row_draws import RowDraws, bin_places

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(word):
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


def draws_of_one_row(row, code, occurrence, seed, n_draws):
    """The same, with Python's integers."""
    word = mix((seed + GOLDEN) & MASK)
    for value in row:
        word = (mix(word ^ int(np.float64(value).view(np.uint64))) + GOLDEN) & MASK
    word = mix(word ^ (code & MASK))
    word = mix((word + occurrence * GOLDEN) & MASK)
    words = [mix((word + (j + 1) * GOLDEN) & MASK) >> 11 for j in range(n_draws)]
    return [(w + 0.5) * 2.0**-53 for w in words]


def test_it_is_splitmix_over_the_columns(rng):
    X = rng.normal(size=(6, 3))
    X[4] = X[1]
    codes = np.array([0, 1, 2, 0, 1, -1])
    occurrence = [0, 0, 0, 0, 1, 0]
    expected = [
        draws_of_one_row(x, int(c), k, 7, 4) for x, c, k in zip(X, codes, occurrence, strict=True)
    ]
    np.testing.assert_array_equal(RowDraws(X, codes, 7, 4)[:], expected)


def test_draws_are_uniform_and_unrelated(rng):
    X = rng.integers(0, 3, size=(20_000, 4)).astype(float)
    draws = RowDraws(X, rng.integers(0, 3, size=20_000), 0, 3)[:]
    assert draws.min() > 0.0
    assert draws.max() < 1.0
    for column in draws.T:
        assert kstest(column, "uniform").pvalue > 1e-4
    features = np.column_stack([draws, X])
    correlation = np.corrcoef(features.T) - np.eye(7)
    assert np.abs(correlation).max() < 4 / np.sqrt(20_000)


def test_distinct_rows_do_not_depend_on_batch_or_order(rng):
    X, codes = rng.normal(size=(50, 3)), rng.integers(0, 3, size=50)
    draws = RowDraws(X, codes, 3, 2)[:]
    order = rng.permutation(50)
    np.testing.assert_array_equal(RowDraws(X[order], codes[order], 3, 2)[:], draws[order])
    one = np.concatenate([RowDraws(X[[i]], codes[[i]], 3, 2)[:] for i in range(50)])
    np.testing.assert_array_equal(one, draws)


def test_twins_are_spread_by_their_occurrence(rng):
    X = np.repeat(rng.normal(size=(2, 3)), 3, axis=0)
    draws = RowDraws(X, np.zeros(6, dtype=int), 0, 1)[:][:, 0]
    assert len(np.unique(draws)) == 6
    np.testing.assert_array_equal(RowDraws(X[:2], np.zeros(2, dtype=int), 0, 1)[:][:, 0], draws[:2])


def test_group_and_seed_count_and_the_sign_of_zero_does_not():
    X = np.array([[0.0, 1.0]])
    code = np.zeros(1, dtype=int)
    first = RowDraws(X, code, 0, 1)[:]
    assert first != RowDraws(X, code + 1, 0, 1)[:]
    assert first != RowDraws(X, code, 1, 1)[:]
    assert first == RowDraws(np.array([[-0.0, 1.0]]), code, 0, 1)[:]


def test_draws_of_some_rows_are_those_of_all(rng):
    X, codes = rng.integers(0, 2, size=(30, 2)).astype(float), rng.integers(0, 3, size=30)
    draws = RowDraws(X, codes, 5, 3)
    some = np.array([20, 3, 3, 11])
    np.testing.assert_array_equal(draws[some], RowDraws(X, codes, 5, 3)[:][some])


def test_distinct_rows_with_one_key_have_one_draw():
    rows = np.array([[0.5], [0.5 + 1e-9], [0.5]])
    draws = RowDraws(np.ones((3, 1)), np.zeros(3, dtype=int), 0, 2, rows=rows)[:]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert np.all(draws[2] != draws[0])


def test_draws_by_identifier_are_uniform_and_differ_by_seed():
    words = np.arange(20_000, dtype=np.uint64)
    draws = RowDraws.of_identifiers(words, 3, 2)[:]
    for column in draws.T:
        assert kstest(column, "uniform").pvalue > 1e-4
    assert np.abs(np.corrcoef(draws.T)[0, 1]) < 4 / np.sqrt(20_000)
    again = RowDraws.of_identifiers(words[[7, 7, 3]], 3, 2)[:]
    np.testing.assert_array_equal(again, draws[[7, 7, 3]])
    assert np.all(RowDraws.of_identifiers(words[:9], 4, 2)[:] != draws[:9])


@pytest.mark.parametrize("share", [0.0, 1 / 3, 0.5, 0.25, 1.0])
def test_rounding_does_not_change_the_bin_of_a_share(share):
    places = share * np.array([1 - 1e-12, 1.0, 1 + 1e-12])
    bins = bin_places([places, np.array([0.0, 0.5, 1.0])])
    assert len(set(bins[:, 0])) == 1
    assert np.all(np.diff(bins[:, 1]) > 0)
