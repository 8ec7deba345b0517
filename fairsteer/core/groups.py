"""Which fitted distribution each group uses: its own, a shared one or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairsteer.core.linalg import Array, read_only
from fairsteer.core.messages import abbreviate, shorten, subgroup_name
from fairsteer.core.moments import find_value
from fairsteer.core.solvers import default_reference_group
from fairsteer.core.training_rows import StreamedRows, TrainingRows

UNKNOWN = -1
"""Position of the group of rows whose group is unknown or has no fitted distribution."""
POOLED = "pooled"


@dataclass(frozen=True, eq=False)
class Grouping:
    """Which fitted distribution each group uses.

    Parameters
    ----------
    fitted : ndarray of shape (G',)
        Groups whose distributions are estimated, the merged group last.
    position : ndarray of shape (G,)
        Position in ``fitted`` of every original group, `UNKNOWN` where it has no distribution.
    small : list
        Groups with too few rows in some subgroup.
    """

    fitted: NDArray[Any]
    position: NDArray[np.intp]
    small: list[Any]

    def __post_init__(self) -> None:
        for name in ("fitted", "position"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Copies and files lose write protection.
        self.__dict__.update(state)
        self.__post_init__()

    @property
    def n_own(self) -> int:
        """Number of groups with a distribution of their own."""
        return len(self.position) - len(self.small)

    @property
    def merged(self) -> bool:
        """Whether the small groups share a distribution."""
        return len(self.fitted) > self.n_own

    @property
    def complete(self) -> bool:
        """Whether every group has a distribution, its own or a shared one."""
        return not np.any(self.position == UNKNOWN)

    def fitted_codes(self, codes: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return positions in ``fitted`` for positions of original groups (n,), -1 if unknown."""
        # Position -1 selects the last entry.
        return np.append(self.position, UNKNOWN)[codes]


def separate_groups(groups: NDArray[Any]) -> Grouping:
    """Return the grouping in which each of the groups (G,) has a distribution of its own."""
    return Grouping(groups, np.arange(len(groups)), [])


def merge_all_groups(groups: NDArray[Any]) -> Grouping:
    """Return the grouping in which all groups (G,) share a distribution."""
    return Grouping(_array([_pooled_name(groups)]), np.zeros(len(groups), np.intp), groups.tolist())


def merge_small_groups(groups: NDArray[Any], counts: Array, needed: Array) -> Grouping:
    """Merge the groups that have too few rows of some kind.

    Small groups that have too few rows even together get no distribution. If no group is large
    enough, all are merged.

    Parameters
    ----------
    groups : ndarray of shape (G,)
        Group values.
    counts : ndarray of shape (K, G)
        Number of rows of every kind (a label, or all labels) and group.
    needed : ndarray of shape (K,)
        Smallest sufficient number of rows of each kind.

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
    position = np.where(large, np.cumsum(large) - 1, UNKNOWN)
    if np.all(counts[:, ~large].sum(axis=1) >= needed):
        position[~large] = len(own)
        own.append(_pooled_name(groups))
    return Grouping(_array(own), position, groups[~large].tolist())


def pool_small_groups(
    data: TrainingRows | StreamedRows, constraint: str, priors: str, positive: int, needed: int
) -> Grouping:
    """Merge the groups that have too few rows for a distribution of their own.

    Parameters
    ----------
    data : TrainingRows or StreamedRows
        Rows, or sums over them.
    constraint, priors : str
        As in :class:`fairsteer.OptimalSteeringTransformer`.
    positive : int
        Position of the positive label.
    needed : int
        Smallest number of rows from which the distribution of a subgroup can be estimated.

    Returns
    -------
    Grouping
        All groups are merged if the features do not vary in the remaining groups.
    """
    counts = data.counts
    checked = counts
    if constraint == "demographic_parity":
        checked = counts.sum(axis=0, keepdims=True)
    elif constraint == "equal_opportunity":
        checked = counts[[positive]]
    fewest = np.full(len(checked), float(needed))
    if priors != "keep":
        # Without rows of some label a group has no weights.
        checked = np.vstack([checked, counts])
        fewest = np.append(fewest, np.full(len(counts), np.finfo(float).tiny))
    grouping = merge_small_groups(data.groups, checked, fewest)
    if data.regrouped(grouping.fitted, grouping.position).vary:
        return grouping
    return merge_all_groups(data.groups)


def choose_reference(
    rows: TrainingRows | StreamedRows, grouping: Grouping, wanted: object, positive: int
) -> int:
    """Return the position of the group that keeps its distribution, among the fitted groups.

    Parameters
    ----------
    rows : TrainingRows or StreamedRows
        Of the fitted groups.
    grouping : Grouping
        Which groups are fitted.
    wanted : object
        Value of the group, None for the default.
    positive : int
        Position of the positive label.

    Raises
    ------
    ValueError
        If the group does not exist or has no distribution of its own.
    """
    groups: list[object] = rows.groups.tolist()
    if wanted is None:
        return default_reference_group(rows.counts[:, : max(grouping.n_own, 1)], positive)
    if find_value(wanted, grouping.small) is not None:
        raise ValueError(
            f"reference_group={shorten(wanted)} has too few rows of some label for a distribution "
            "of its own (small_groups='pooled'): choose another reference group."
        )
    position = find_value(wanted, groups)
    if position is None:
        raise ValueError(
            f"reference_group={shorten(wanted)} is not among the groups {abbreviate(groups)}."
        )
    return position


def check_counts(
    rows: TrainingRows | StreamedRows,
    constraint: str,
    priors: str,
    positive: int,
    *,
    many_groups: bool,
) -> None:
    """Check that subgroups have enough rows for the constraint and the priors.

    Parameters
    ----------
    rows : TrainingRows or StreamedRows
        Of the fitted groups.
    constraint, priors : str
        As in :class:`fairsteer.OptimalSteeringTransformer`.
    positive : int
        Position of the positive label.
    many_groups : bool
        Whether there may be more groups than half of the rows.

    Raises
    ------
    ValueError
        If a subgroup is too small, or there are more groups than half of the rows.
    """
    counts, classes, groups = rows.counts, rows.classes, rows.groups
    if not many_groups and 2 * len(groups) > rows.n_rows:
        raise ValueError(
            f"The sensitive attribute has {len(groups)} different values in {rows.n_rows} rows, "
            "too many to compare: bin it into groups, for instance with pandas.cut, or merge rare "
            "values with small_groups='pooled'."
        )
    without_positive = groups[counts[positive] == 0.0].tolist()
    if constraint == "equal_opportunity" and without_positive:
        raise ValueError(
            f"The group(s) {abbreviate(without_positive)} have no row of the positive label "
            f"{shorten(classes[positive])}, which equal opportunity compares: drop or merge them."
        )
    empty = np.argwhere(counts == 0.0)
    if constraint != "equalized_odds" and priors != "keep" and len(empty):
        i, a = empty[0]
        raise ValueError(
            f"{subgroup_name(classes[i], groups[a])} has no rows, so no weights make label and "
            "group independent: drop or merge this group or label, or use priors='keep'."
        )


def _pooled_name(groups: NDArray[Any]) -> str:
    name = POOLED
    while name in groups.tolist():
        name += "_"
    return name


def _array(values: list[Any]) -> NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
