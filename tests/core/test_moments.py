"""Moments do not depend on the order of rows or on blocks."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairsteer.core import moments
from fairsteer.core.moments import (
    RunningMoments,
    SubgroupMoments,
    merged_values,
    pool_labels,
    row_blocks,
    subgroup_moments,
)
from tests.conftest import examples


def rows(seed, n=200, d=3, shape=(3, 3)):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)
    return X, rng.integers(shape[0], size=n), rng.integers(shape[1], size=n)


def labeled_moments(X, y, groups):
    labels, label_codes = np.unique(y, return_inverse=True)
    values, group_codes = np.unique(groups, return_inverse=True)
    shape = (len(labels), len(values))
    return SubgroupMoments(labels, values, *subgroup_moments(X, label_codes, group_codes, shape))


def assert_same(found, expected, **tolerance):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, **tolerance)


def rational_moments(X):
    """Return mean and scatter of floats in rational arithmetic, rounded once."""
    columns = [[Fraction(float(x)) for x in column] for column in X.T]
    means = [sum(column) / len(column) for column in columns]
    centered = [[x - m for x in column] for column, m in zip(columns, means, strict=True)]
    scatter = [[sum(x * y for x, y in zip(a, b, strict=True)) for b in centered] for a in centered]
    return np.array(means, dtype=float), np.array(scatter, dtype=float)


@given(st.integers(0, 10**6), st.integers(1, 90))
@examples(30)
def test_blocks_do_not_matter(seed, numbers):
    sample = rows(seed)
    whole = subgroup_moments(*sample, (3, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "_BLOCK_NUMBERS", numbers)
        assert_same(subgroup_moments(*sample, (3, 3)), whole, rtol=1e-11, atol=1e-11)


def test_blocks_cover_every_row_once():
    for n, d, n_subgroups in (
        (0, 3, 4),
        (1, 0, 4),
        (10, 2**30, 4),
        (2**20, 50, 4),
        (50_000, 768, 56),
    ):
        positions = [range(n)[block] for block in row_blocks(n, d, n_subgroups)]
        assert sum(len(part) for part in positions) == n
        assert all(a[-1] + 1 == b[0] for a, b in zip(positions, positions[1:], strict=False))


@given(st.integers(0, 10**6), st.lists(st.integers(0, 200), min_size=0, max_size=6))
@examples(30)
def test_batches_add_up_in_any_order(seed, cuts):
    X, y, groups = rows(seed)
    bounds = [0, *sorted(cuts), len(X)]
    running, backwards = RunningMoments((3, 3), 3), RunningMoments((3, 3), 3)
    parts = list(zip(bounds, bounds[1:], strict=False))
    for start, end in parts:
        running.update(X[start:end], y[start:end], groups[start:end])
    for start, end in parts[::-1]:
        backwards.update(X[start:end], y[start:end], groups[start:end])
    whole = subgroup_moments(X, y, groups, (3, 3))
    assert_same(running.parts, whole, rtol=1e-11, atol=1e-11)
    assert_same(backwards.parts, whole, rtol=1e-11, atol=1e-11)


def test_moments_are_those_of_numpy():
    X, y, groups = rows(0)
    counts, means, scatters = subgroup_moments(X, y, groups, (3, 3))
    for i, a in np.ndindex(3, 3):
        own = X[(y == i) & (groups == a)]
        assert counts[i, a] == len(own)
        np.testing.assert_allclose(means[i, a], own.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(scatters[i, a], len(own) * np.cov(own.T, ddof=0), rtol=1e-12)


@given(st.integers(0, 10**6))
@examples(20)
def test_frequencies_are_repeated_rows(seed):
    X, y, groups = rows(seed, n=60)
    times = np.random.default_rng(seed).integers(0, 4, size=60)
    weighted = subgroup_moments(X, y, groups, (3, 3), times.astype(float))
    repeated = (np.repeat(part, times, axis=0) for part in (X, y, groups))
    assert_same(weighted, subgroup_moments(*repeated, (3, 3)), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 1e6), (1e-8, 1e-2), (1e8, 1e14)])
def test_offsets_and_units_lose_no_precision(rng, monkeypatch, scale, offset):
    monkeypatch.setattr(moments, "_BLOCK_NUMBERS", 64)
    X = rng.normal(size=(300, 3)) * np.array([1.0, 1e-8, 1e8]) * scale
    X += offset * np.array([1.0, 1e-8, 1e8])
    zeros = np.zeros(300, dtype=np.intp)
    _, means, scatters = subgroup_moments(X, zeros, zeros, (1, 1))
    mean, scatter = rational_moments(X)
    np.testing.assert_allclose(means[0, 0], mean, rtol=1e-14)
    deviations = np.sqrt(np.diag(scatter))
    units = np.outer(deviations, deviations)
    np.testing.assert_allclose(scatters[0, 0] / units, scatter / units, atol=1e-8)


def test_sums_of_squares_would_lose_precision(rng):
    X = rng.normal(size=(300, 1)) + 1e8
    textbook = np.sum(X**2) - len(X) * X.mean() ** 2
    assert abs(textbook / rational_moments(X)[1].item() - 1.0) > 1e-3


def test_a_constant_feature_has_no_scatter(monkeypatch):
    monkeypatch.setattr(moments, "_BLOCK_NUMBERS", 7)
    X, y, groups = rows(1)
    X[:, 1] = 0.1
    _, means, scatters = subgroup_moments(X, y, groups, (3, 3))
    assert np.all(means[:, :, 1] == 0.1)
    assert np.all(scatters[:, :, 1] == 0.0)


def test_empty_subgroups_are_zeros():
    counts, means, scatters = subgroup_moments(np.ones((2, 3)), *np.array([[0, 1], [2, 0]]), (2, 3))
    assert counts.tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    assert np.all(means[counts == 0.0] == 0.0)
    assert np.all(scatters == 0.0)


def test_single_precision_is_summed_in_double():
    X, y, groups = rows(2)
    X = (X + 1e4).astype(np.float32)
    narrow = subgroup_moments(X, y, groups, (3, 3))
    assert narrow[2].dtype == np.float64
    assert_same(narrow, subgroup_moments(X.astype(np.float64), y, groups, (3, 3)), rtol=1e-12)


def test_found_two_tables_add_up():
    X, y, groups = rows(3)
    names = np.array(["a", "b", "cc"], dtype=object)[groups]
    first, second = y < 2, groups > 0
    one, two = (labeled_moments(X[m], y[m], names[m]) for m in (first, second))
    both = np.concatenate([np.flatnonzero(first), np.flatnonzero(second)])
    whole = labeled_moments(X[both], y[both], names[both])
    merged = one.merge(two)
    assert merged.labels.tolist() == whole.labels.tolist()
    assert merged.groups.tolist() == whole.groups.tolist()
    assert_same(merged.parts, whole.parts, rtol=1e-11, atol=1e-11)
    assert_same(two.merge(one).parts, whole.parts, rtol=1e-11, atol=1e-11)


def test_merging_needs_the_same_columns():
    X, y, groups = rows(4)
    with pytest.raises(ValueError, match="of 3 and of 2 features cannot be merged"):
        labeled_moments(X, y, groups).merge(labeled_moments(X[:, :2], y, groups))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (np.array([2, 1]), np.array([3, 1]), [1, 2, 3]),
        (np.array(["b"]), np.array(["longer", "a"]), ["a", "b", "longer"]),
        (np.array([True]), np.array([False, True]), [False, True]),
        (np.array(["x", 1], dtype=object), np.array([2.5]), [2.5, 1, "x"]),
    ],
)
def test_labels_and_groups_are_merged(first, second, expected):
    assert merged_values(first, second, "labels").tolist() == expected


def test_intersections_are_merged():
    pairs = np.empty(2, dtype=object)
    pairs[:] = [("F", 1), ("M", 0)]
    other = np.empty(1, dtype=object)
    other[:] = [("F", 0)]
    assert merged_values(pairs, other, "groups").tolist() == [("F", 0), ("F", 1), ("M", 0)]


def test_labels_pool_to_the_found_their_group():
    X, y, groups = rows(5)
    pooled = pool_labels(*subgroup_moments(X, y, groups, (3, 3)))
    expected = subgroup_moments(X, np.zeros_like(y), groups, (1, 3))
    assert_same(pooled, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("first", "second"),
    [([0, 1], ["0", "1"]), (["a"], [("a", 0)]), ([("a", 0)], [("a", 0, 1)]), ([True], ["True"])],
)
def test_values_of_different_types_are_not_merged(first, second):
    arrays = []
    for values in (first, second):
        arrays.append(np.empty(len(values), dtype=object))
        arrays[-1][:] = values
    with pytest.raises(ValueError, match="the groups are .* in some rows and .* in others"):
        merged_values(*arrays, "groups")


def test_moments_are_read_only():
    for found in (labeled_moments(*rows(6)), pickle.loads(pickle.dumps(labeled_moments(*rows(6))))):
        with pytest.raises(ValueError, match="read-only"):
            found.scatters[0, 0] = 0.0


@given(st.integers(0, 10**6), st.integers(1, 90), st.booleans())
@examples(30)
def test_tied_scatters_are_the_sums_over_labels(seed, numbers, weighted):
    X, y, groups = rows(seed)
    weights = np.random.default_rng(seed).uniform(size=len(X)) if weighted else None
    counts, means, scatters = subgroup_moments(X, y, groups, (3, 3), weights)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "_BLOCK_NUMBERS", numbers)
        tied = subgroup_moments(X, y, groups, (3, 3), weights, tied=True)
    expected = counts, means, scatters.sum(axis=0, keepdims=True)
    assert_same(tied, expected, rtol=1e-11, atol=1e-11)


def test_tied_found_two_tables_add_up():
    X, y, groups = rows(7)
    first, second = y < 1, y > 0

    def tied(mask):
        labels, codes = np.unique(y[mask], return_inverse=True)
        parts = subgroup_moments(X[mask], codes, groups[mask], (len(labels), 3), tied=True)
        return SubgroupMoments(labels, np.arange(3), *parts, tied=True)

    whole = tied(np.ones(len(X), dtype=bool))
    # With a single label, tied and other scatters have the same shape.
    for merged in (tied(first).merge(tied(second)), tied(second).merge(tied(first))):
        assert merged.tied
        assert_same(merged.parts, whole.parts, rtol=1e-11, atol=1e-11)
    regrouped = whole.regrouped(np.array(["x", "y"]), np.array([1, -1, 1]))
    kept = groups != 1
    expected = subgroup_moments(X[kept], y[kept], np.ones_like(y[kept]), (3, 2), tied=True)
    assert_same(regrouped.parts, expected, rtol=1e-11, atol=1e-11)
    some = whole.of_features(np.array([2, 0]))
    np.testing.assert_array_equal(some.scatters, whole.scatters[:, :, [2, 0]][..., [2, 0]])


@pytest.mark.parametrize("drift", [1.0, 1e6, -1e9])
def test_drifting_rows_lose_no_precision(rng, monkeypatch, drift):
    monkeypatch.setattr(moments, "_BLOCK_NUMBERS", 64)
    X = rng.normal(size=(300, 3)) + drift * np.arange(300)[:, None]
    zeros = np.zeros(300, dtype=np.intp)
    _, means, scatters = subgroup_moments(X, zeros, zeros, (1, 1))
    mean, scatter = rational_moments(X)
    np.testing.assert_allclose(means[0, 0], mean, rtol=1e-14)
    np.testing.assert_allclose(scatters[0, 0], scatter, rtol=1e-12)


def test_rows_of_no_weight_do_not_count(rng):
    X, y, groups = rows(8)
    weights = (y > 0).astype(float)
    counts, means, scatters = subgroup_moments(X, y, groups, (3, 3), weights)
    assert np.all(counts[0] == 0.0) and np.all(means[0] == 0.0) and np.all(scatters[0] == 0.0)
    tied = subgroup_moments(X, y, groups, (3, 3), weights, tied=True)
    np.testing.assert_allclose(tied[2][0], scatters.sum(axis=0), rtol=1e-11)


def test_many_subgroups_are_kept_apart():
    X, _, _ = rows(9, n=1200)
    y, groups = np.arange(1200) % 30, np.arange(1200) // 30 % 20
    counts, means, _ = subgroup_moments(X, y, groups, (30, 20))
    assert counts.min() >= 1.0
    own = (y == 29) & (groups == 19)
    np.testing.assert_allclose(means[29, 19], X[own].mean(axis=0), rtol=1e-12)
