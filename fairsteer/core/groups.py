"""Which groups have a law of their own, which share one, and which have none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairsteer.core.linalg import Array

UNKNOWN = -1
"""Position of the group of rows whose group is not known, or has no law."""
POOLED = "pooled"


@dataclass(frozen=True, eq=False)
class Grouping:
    """How groups share laws.

    Parameters
    ----------
    groups : ndarray of shape (G',)
        Groups that laws are estimated of, the merged one last.
    law_of : ndarray of shape (G,)
        Position of every original group's law in ``groups``, `UNKNOWN` where it has none.
    small : list
        Groups with a cell too small for a law.
    """

    groups: NDArray[Any]
    law_of: NDArray[np.intp]
    small: list[Any]

    @property
    def n_own(self) -> int:
        """Number of groups that have a law to themselves."""
        return len(self.law_of) - len(self.small)

    @property
    def merged(self) -> bool:
        """Whether the small groups share a law."""
        return len(self.groups) > self.n_own


def separate_groups(groups: NDArray[Any]) -> Grouping:
    """Return the grouping in which every one of the groups (G,) has its own law."""
    return Grouping(groups, np.arange(len(groups)), [])


def merge_all_groups(groups: NDArray[Any]) -> Grouping:
    """Return the grouping in which all of the groups (G,) share one law."""
    return Grouping(_array([_pooled_name(groups)]), np.zeros(len(groups), np.intp), groups.tolist())


def merge_small_groups(groups: NDArray[Any], counts: Array, needed: Array) -> Grouping:
    """Merge the groups with a cell of too few rows into one.

    Where even together they have too few, they get no law, unless no group is large enough: then
    all are merged, whatever their rows.

    Parameters
    ----------
    groups : ndarray of shape (G,)
        Group values.
    counts : ndarray of shape (K, G)
        Rows of every kind (a label, or all) of every group.
    needed : ndarray of shape (K,)
        The fewest rows of each kind.

    Returns
    -------
    Grouping
    """
    large = np.all(counts >= needed[:, None], axis=0)
    if large.all():
        return separate_groups(groups)
    if not large.any():
        return merge_all_groups(groups)
    own = groups[large].tolist()
    law_of = np.where(large, np.cumsum(large) - 1, UNKNOWN)
    if np.all(counts[:, ~large].sum(axis=1) >= needed):
        law_of[~large] = len(own)
        own.append(_pooled_name(groups))
    return Grouping(_array(own), law_of, groups[~large].tolist())


def _pooled_name(groups: NDArray[Any]) -> str:
    name = POOLED
    while name in groups.tolist():
        name += "_"
    return name


def _array(values: list[Any]) -> NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
