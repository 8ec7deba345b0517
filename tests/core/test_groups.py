"""Which groups get a distribution of their own."""

import numpy as np

from fairsteer.core.groups import POOLED, UNKNOWN, merge_all_groups, merge_small_groups


def grouping(counts, needed=2, groups=None):
    counts = np.asarray(counts, dtype=float)
    names = [f"g{a}" for a in range(counts.shape[1])] if groups is None else groups
    values = np.empty(len(names), dtype=object)
    values[:] = names
    return merge_small_groups(values, counts, np.full(len(counts), float(needed)))


def test_large_groups_keep_their_distributions():
    found = grouping([[5, 2, 9], [4, 2, 2]])
    assert found.fitted.tolist() == ["g0", "g1", "g2"]
    assert found.position.tolist() == [0, 1, 2]
    assert (found.small, found.n_own, found.merged) == ([], 3, False)


def test_small_groups_share_one_distribution():
    found = grouping([[5, 1, 9, 1], [4, 3, 2, 1]])
    assert found.fitted.tolist() == ["g0", "g2", POOLED]
    assert found.position.tolist() == [0, 2, 1, 2]
    assert (found.small, found.n_own, found.merged) == (["g1", "g3"], 2, True)


def test_groups_too_small_even_together_have_no_distribution():
    found = grouping([[5, 1, 9, 0], [4, 3, 2, 1]])
    assert found.fitted.tolist() == ["g0", "g2"]
    assert found.position.tolist() == [0, UNKNOWN, 1, UNKNOWN]
    assert (found.n_own, found.merged) == (2, False)


def test_small_groups_alone_are_merged_whatever_they_hold():
    found = grouping([[1, 0], [0, 1]])
    assert found.fitted.tolist() == [POOLED]
    assert found.position.tolist() == [0, 0]


def test_every_kind_of_row_has_a_least_number():
    names = np.array(["a", "b", "c"], dtype=object)
    counts = np.array([[9.0, 3.0, 9.0], [9.0, 9.0, 1.0]])
    assert merge_small_groups(names, counts, np.array([4.0, 2.0])).small == ["b", "c"]
    assert merge_small_groups(names, counts, np.array([2.0, 2.0])).small == ["c"]
    assert merge_small_groups(names, counts, np.array([2.0, 1.0])).small == []


def test_all_groups_can_be_merged():
    found = merge_all_groups(np.array(["a", "pooled"], dtype=object))
    assert found.fitted.tolist() == ["pooled_"]
    assert found.position.tolist() == [0, 0]
    assert (found.small, found.n_own, found.merged) == (["a", "pooled"], 0, True)


def test_the_merged_group_has_a_name_of_its_own():
    found = grouping([[5, 1, 1], [4, 3, 1]], groups=["pooled", "pooled_", "c"])
    assert found.fitted.tolist() == ["pooled", "pooled__"]
    found = grouping([[5, 1, 1], [4, 3, 1]], groups=[("a", 1), ("a", 2), ("b", 1)])
    assert found.fitted.tolist() == [("a", 1), POOLED]
