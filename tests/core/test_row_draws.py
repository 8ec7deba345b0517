import numpy as np
import pytest
from scipy.stats import kstest

from fairsteer.core.row_draws import RowDraws

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(word):
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


def draws_of_one_word(word, seed, n_draws):
    """The same, with Python's integers."""
    word = mix(mix((seed + GOLDEN) & MASK) ^ word)
    words = [mix((word + (j + 1) * GOLDEN) & MASK) >> 11 for j in range(n_draws)]
    return [(w + 0.5) * 2.0**-53 for w in words]


def row_draws(X, codes, seed, n_draws, places=None):
    """Draws of rows; places are the values' ranks unless given."""
    if places is None:
        places = ((x.argsort().argsort() + 0.5) / len(x) for x in X.T)
    return RowDraws.of_rows(X, places, codes, seed, n_draws)


def test_it_is_splitmix():
    words = np.array([0, 1, 5, MASK], dtype=np.uint64)
    expected = [draws_of_one_word(int(word), 7, 4) for word in words]
    np.testing.assert_array_equal(RowDraws(words, 7, 4)[:], expected)


def test_draws_are_uniform_and_unrelated(rng):
    X = rng.integers(0, 3, size=(20_000, 4)).astype(float)
    draws = row_draws(X, rng.integers(0, 3, size=20_000), 0, 3, (X / 3).T)[:]
    assert draws.min() > 0.0
    assert draws.max() < 1.0
    for column in draws.T:
        assert kstest(column, "uniform").pvalue > 1e-4
    features = np.column_stack([draws, X])
    correlation = np.corrcoef(features.T) - np.eye(7)
    assert np.abs(correlation).max() < 4 / np.sqrt(20_000)


def test_distinct_rows_do_not_depend_on_batch_or_order(rng):
    X, codes = rng.uniform(size=(50, 3)), rng.integers(0, 3, size=50)
    draws = row_draws(X, codes, 3, 2, X.T)[:]
    order = rng.permutation(50)
    shuffled = row_draws(X[order], codes[order], 3, 2, X[order].T)[:]
    np.testing.assert_array_equal(shuffled, draws[order])
    one = np.concatenate([row_draws(X[[i]], codes[[i]], 3, 2, X[[i]].T)[:] for i in range(50)])
    np.testing.assert_array_equal(one, draws)


def test_twins_are_spread_by_their_occurrence(rng):
    X = np.repeat(rng.uniform(size=(2, 3)), 3, axis=0)
    draws = row_draws(X, np.zeros(6, dtype=int), 0, 1, X.T)[:][:, 0]
    assert len(np.unique(draws)) == 6
    np.testing.assert_array_equal(
        row_draws(X[:2], np.zeros(2, dtype=int), 0, 1, X[:2].T)[:][:, 0], draws[:2]
    )


def test_distinct_rows_at_one_place_have_one_draw():
    X = np.array([[0.5], [0.5 + 1e-9], [0.5]])
    draws = row_draws(X, np.zeros(3, dtype=int), 0, 2, X.T)[:]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert np.all(draws[2] != draws[0])


def test_group_and_seed_count_and_the_sign_of_zero_does_not():
    X = np.array([[0.0, 1.0]])
    code = np.zeros(1, dtype=int)
    first = row_draws(X, code, 0, 1, X.T)[:]
    assert first != row_draws(X, code + 1, 0, 1, X.T)[:]
    assert first != row_draws(X, code, 1, 1, X.T)[:]
    twins = np.array([[-0.0, 1.0], [0.0, 1.0]])
    draws = row_draws(twins, np.zeros(2, dtype=int), 0, 1, twins.T)[:]
    assert first == draws[0]
    assert first != draws[1]


@pytest.mark.parametrize("share", [0.0, 1 / 3, 0.5, 0.25, 1.0])
def test_rounding_does_not_change_the_place_of_a_fraction(share):
    places = np.array([[share * (1 - 1e-12)], [share], [share * (1 + 1e-12)]])
    X = np.arange(3.0)[:, None]
    draws = row_draws(X, np.zeros(3, dtype=int), 0, 1, places.T)[:]
    assert len(np.unique(draws)) == 1


def test_draws_of_some_rows_are_those_of_all(rng):
    X, codes = rng.integers(0, 2, size=(30, 2)).astype(float), rng.integers(0, 3, size=30)
    draws = row_draws(X, codes, 5, 3)
    some = np.array([20, 3, 3, 11])
    np.testing.assert_array_equal(draws[some], row_draws(X, codes, 5, 3)[:][some])
