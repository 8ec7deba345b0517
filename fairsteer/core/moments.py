"""Counts, means and scatter matrices of subgroups, summed over blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairsteer.core.linalg import Array
from fairsteer.core.messages import abbreviate

_BLOCK_NUMBERS = 2**18
"""Numbers in a block of rows: 2 MiB, which fits into a cache."""
_LARGEST = 1e300
"""Upper limit of the sum of squares of a feature."""
_SHOWN = 6
"""Number of names in a message."""
_MOST_NUMBERS = 2**23
"""Upper limit, 64 MiB, where many features and subgroups make larger blocks faster."""


def row_blocks(n_rows: int, n_features: int, n_subgroups: int = 1) -> Iterator[slice]:
    """Yield slices that cut rows into blocks whose size does not depend on the number of rows."""
    d = max(n_features, 1)
    step = max(_BLOCK_NUMBERS // d, min(d * n_subgroups, _MOST_NUMBERS // d), 1)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


class RunningMoments:
    """Moments of subgroups, updated with every block of rows.

    Parameters
    ----------
    shape : (int, int)
        Numbers of labels and groups, (K, G).
    n_features : int
        Number of features, d.
    tied : bool, default=False
        Whether to keep one scatter matrix per group only, the sum over its labels.

    Attributes
    ----------
    counts : ndarray of shape (K, G)
        Numbers of rows (sums of frequencies).
    means : ndarray of shape (K, G, d)
        Zeros where there are no rows.
    scatters : ndarray of shape (K, G, d, d), or (1, G, d, d) if tied
        Weighted sums of outer products of deviations from the subgroup's mean.

    References
    ----------
    Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance", The American
    Statistician 37(3), for the moments of two samples combined.
    """

    def __init__(self, shape: tuple[int, int], n_features: int, *, tied: bool = False) -> None:
        self.tied = tied
        self.counts = np.zeros(shape)
        self.means = np.zeros((*shape, n_features))
        slots = (1 if tied else shape[0], shape[1])
        self.scatters = np.zeros((*slots, n_features, n_features))

    @property
    def parts(self) -> tuple[Array, Array, Array]:
        """Counts, means and scatter matrices."""
        return self.counts, self.means, self.scatters

    def update(
        self,
        X: Array,
        label_codes: NDArray[np.intp],
        group_codes: NDArray[np.intp],
        sample_weight: Array | None = None,
    ) -> None:
        """Add rows.

        Deviations are taken from the current mean of the subgroup (for its first block, from the
        mean of that block), so large offsets of the features lose no precision. The scatter of a
        constant feature is exactly 0.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            Rows.
        label_codes, group_codes : ndarray of shape (n,)
            Positions of their labels and groups.
        sample_weight : ndarray of shape (n,), default=None
            Frequencies.
        """
        if sample_weight is not None and np.all(sample_weight == 1.0):
            sample_weight = None
        with np.errstate(over="ignore", invalid="ignore"):  # see refuse_overflow
            self._update(X, label_codes, group_codes, sample_weight)

    def _update(
        self,
        X: Array,
        label_codes: NDArray[np.intp],
        group_codes: NDArray[np.intp],
        sample_weight: Array | None,
    ) -> None:
        n_labels, n_groups = self.counts.shape
        slots = self.scatters.shape[:2]
        for block in row_blocks(len(X), X.shape[1], slots[0] * slots[1]):
            # Sorted by group first, so that the labels of a group are contiguous.
            subgroups = group_codes[block] * n_labels + label_codes[block]
            if self.counts.size <= 256:
                subgroups = subgroups.astype(np.uint8)  # radix sort is faster
            order = np.argsort(subgroups, kind="stable")
            sizes = np.bincount(subgroups, minlength=self.counts.size).reshape(n_groups, n_labels)
            ends = np.cumsum(sizes).reshape(sizes.shape)
            rows = X[block].take(order, axis=0).astype(np.float64, copy=False)
            weights = None if sample_weight is None else sample_weight[block][order]
            for slot in np.ndindex(slots):
                a, labels = slot[1], range(n_labels) if self.tied else [slot[0]]
                own = slice(ends[a, labels[0]] - sizes[a, labels[0]], ends[a, labels[-1]])
                if own.start < own.stop:
                    self._extend(
                        slot,
                        [(i, sizes[a, i]) for i in labels if sizes[a, i]],
                        rows[own],
                        None if weights is None else weights[own],
                    )

    def _extend(
        self,
        slot: tuple[int, int],
        parts: list[tuple[int, int]],
        rows: Array,
        weights: Array | None,
    ) -> None:
        """Add rows (n, d) of one group and overwrite them; ``parts`` are labels and sizes."""
        pulls: list[Array] = []
        stop = 0
        for label, size in parts:
            start, stop = stop, stop + size
            own = rows[start:stop]
            share = np.ones(size) if weights is None else weights[start:stop]
            pull = self._recenter((label, slot[1]), own, share)
            if pull is not None:
                pulls.append(pull)
        if not pulls:
            return
        if weights is not None:
            rows *= np.sqrt(weights)[:, None]
        # Around the new mean m': sum (x - m)(x - m)' - N (m' - m)(m' - m)'.
        self.scatters[slot] += rows.T @ rows
        if len(pulls) == 1:
            self.scatters[slot] -= np.outer(pulls[0], pulls[0])
        else:
            stacked = np.stack(pulls)
            self.scatters[slot] -= stacked.T @ stacked

    def _recenter(self, subgroup: tuple[int, int], rows: Array, share: Array) -> Array | None:
        """Subtract the mean ``m`` from rows (n, d), update it, return ``sqrt(N) (m' - m)``."""
        count = float(share.sum())
        if count == 0.0:
            rows[:] = 0.0
            return None
        if self.counts[subgroup] == 0.0:
            origin = rows[0].copy()
            rows -= origin
            shift = share @ rows / count
            rows -= shift
            self.means[subgroup] = origin + shift
        else:
            rows -= self.means[subgroup]
        self.counts[subgroup] += count
        move = share @ rows / self.counts[subgroup]
        self.means[subgroup] += move
        pull: Array = np.sqrt(self.counts[subgroup]) * move
        return pull

    def add(
        self,
        parts: tuple[Array, Array, Array],
        labels: list[int],
        groups: list[int],
    ) -> None:
        """Add the moments of other rows.

        Parameters
        ----------
        parts : tuple of ndarray
            Their counts (K', G'), means and scatter matrices, with the same ``tied``.
        labels, groups : list of int, of length K' and G'
            Positions, among the labels and groups of this object, of their labels and groups;
            groups at -1 are left out.
        """
        counts, means, scatters = parts
        for a, group in enumerate(groups):
            if group < 0:
                continue
            for i, label in enumerate(labels):
                slot = (0 if self.tied else label, group)
                self._add_mean((label, group), slot, float(counts[i, a]), means[i, a])
            for k, scatter in enumerate(scatters[:, a]):
                self.scatters[0 if self.tied else labels[k], group] += scatter

    def _add_mean(
        self, subgroup: tuple[int, int], slot: tuple[int, int], count: float, mean: Array
    ) -> None:
        """Update count and mean of a subgroup, and its scatter by the distance of the means."""
        if count == 0.0:
            return
        before = self.counts[subgroup]
        total = before + count
        shift = mean - self.means[subgroup]
        self.counts[subgroup] = total
        self.means[subgroup] += shift * (count / total)
        if before:
            self.scatters[slot] += np.outer(shift, shift) * (before * count / total)


def subgroup_moments(
    X: Array,
    label_codes: NDArray[np.intp],
    group_codes: NDArray[np.intp],
    shape: tuple[int, int],
    sample_weight: Array | None = None,
    *,
    tied: bool = False,
) -> tuple[Array, Array, Array]:
    """Return the moments of the subgroups, in one pass over blocks of rows.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows.
    label_codes, group_codes : ndarray of shape (n,)
        Positions of their labels and groups.
    shape : (int, int)
        Numbers of labels and groups, (K, G).
    sample_weight : ndarray of shape (n,), default=None
        Frequencies.
    tied : bool, default=False
        Whether to sum the scatter matrices over the labels of a group.

    Returns
    -------
    counts : ndarray of shape (K, G)
        Sums of frequencies.
    means : ndarray of shape (K, G, d)
        Zeros for empty subgroups.
    scatters : ndarray of shape (K, G, d, d), or (1, G, d, d) if tied
        Weighted sums of outer products of deviations from the subgroup's mean.
    """
    running = RunningMoments(shape, X.shape[1], tied=tied)
    running.update(X, label_codes, group_codes, sample_weight)
    return running.parts


@dataclass(frozen=True, eq=False)
class SubgroupMoments:
    """Moments of subgroups with their labels and groups; moments of two tables can be merged.

    Parameters
    ----------
    labels : ndarray of shape (K,)
        Label values.
    groups : ndarray of shape (G,)
        Group values (for intersections a 1-d object array of tuples).
    counts : ndarray of shape (K, G)
        Numbers of rows (sums of frequencies).
    means : ndarray of shape (K, G, d)
        Zeros where there are no rows.
    scatters : ndarray of shape (K, G, d, d), or (1, G, d, d) if tied
        Weighted sums of outer products of deviations from the subgroup's mean.
    tied : bool, default=False
        Whether scatter matrices are summed over the labels of a group.
    """

    labels: NDArray[Any]
    groups: NDArray[Any]
    counts: Array
    means: Array
    scatters: Array
    tied: bool = False

    def __post_init__(self) -> None:
        for name in ("labels", "groups", "counts", "means", "scatters"):
            view = np.asarray(getattr(self, name)).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Copies and files lose write protection.
        self.__dict__.update(state)
        self.__post_init__()

    @property
    def parts(self) -> tuple[Array, Array, Array]:
        """Counts, means and scatter matrices."""
        return self.counts, self.means, self.scatters

    @property
    def varying(self) -> NDArray[np.bool_]:
        """Whether each feature varies over the rows, shape (d,)."""
        there = self.counts > 0.0
        means = self.means[there]
        within = np.einsum("iajj->iaj", self.scatters).any(axis=(0, 1))
        varying: NDArray[np.bool_] = within | np.any(means != means[:1], axis=0)
        return varying

    def of_features(self, positions: NDArray[np.intp]) -> SubgroupMoments:
        """Return the moments of the features at some positions."""
        if len(positions) == self.means.shape[2]:
            return self
        square = np.ix_(*map(np.arange, self.scatters.shape[:2]), positions, positions)
        return replace(self, means=self.means[:, :, positions], scatters=self.scatters[square])

    def regrouped(self, groups: NDArray[Any], position: NDArray[np.intp]) -> SubgroupMoments:
        """Return the moments after groups are merged, reordered or left out.

        Parameters
        ----------
        groups : ndarray of shape (G',)
            The new groups.
        position : ndarray of shape (G,)
            Position among the new groups for each group, -1 to leave it out.

        Returns
        -------
        SubgroupMoments
        """
        if np.array_equal(position, np.arange(len(groups))):
            return replace(self, groups=groups)
        running = self._empty(self.labels, groups)
        running.add(self.parts, list(range(len(self.labels))), position.tolist())
        return SubgroupMoments(self.labels, groups, *running.parts, self.tied)

    def merge(self, other: SubgroupMoments) -> SubgroupMoments:
        """Return the moments of the rows of both tables.

        Parameters
        ----------
        other : SubgroupMoments
            With the same features and the same ``tied``; labels and groups may differ.

        Returns
        -------
        SubgroupMoments
            With the labels and groups of both, sorted.

        Raises
        ------
        ValueError
            If the numbers of features differ, or labels or groups have no type in common (text in
            one table, numbers in the other).
        """
        n_features = self.means.shape[2]
        if other.means.shape[2] != n_features:
            raise ValueError(
                f"moments of {n_features} and of {other.means.shape[2]} features cannot be merged: "
                "compute both from the same columns."
            )
        labels = merged_values(self.labels, other.labels, "labels")
        groups = merged_values(self.groups, other.groups, "groups")
        running = self._empty(labels, groups)
        for part in (self, other):
            running.add(part.parts, positions(part.labels, labels), positions(part.groups, groups))
        return SubgroupMoments(labels, groups, *running.parts, self.tied)

    def _empty(self, labels: NDArray[Any], groups: NDArray[Any]) -> RunningMoments:
        return RunningMoments((len(labels), len(groups)), self.means.shape[2], tied=self.tied)


def refuse_overflow(counts: Array, means: Array, scatters: Array, names: list[Any]) -> None:
    """Refuse features (d,) whose sums of squares are too large to compute with.

    Parameters
    ----------
    counts, means, scatters : ndarray of shapes (K, G), (K, G, d), (K, G, d, d)
        From :func:`subgroup_moments`.
    names : list
        Names of the features.

    Raises
    ------
    ValueError
        If there are such features; the message names them.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("iajj->j", scatters) + np.einsum("ia,iaj->j", counts, means**2)
    large = [name for name, square in zip(names, squares, strict=True) if not square < _LARGEST]
    if large:
        shown = ", ".join(map(repr, large[:_SHOWN])) + ", ..." * (len(large) > _SHOWN)
        raise ValueError(
            f"Column(s) [{shown}] hold values too large to square (about 1e150 and more): drop "
            "these rows if they are mistakes, or rescale the columns."
        )


def merged_values(first: NDArray[Any], second: NDArray[Any], what: str) -> NDArray[Any]:
    """Return the distinct values of two arrays, sorted.

    Raises
    ------
    ValueError
        If the two have no kind of value in common (numbers, text, tuples of equal length).
    """
    if not len(first) or not len(second):
        return first if len(first) else second
    if not _kinds(first) & _kinds(second):
        raise ValueError(
            f"the {what} are {abbreviate(first)} in some rows and {abbreviate(second)} in others, "
            "which are of different types: convert them to the same type first."
        )
    distinct = sorted_values(list(dict.fromkeys([*first.tolist(), *second.tolist()])))
    if first.dtype != object and second.dtype != object:
        return np.array(distinct, dtype=np.result_type(first, second))
    merged = np.empty(len(distinct), dtype=object)
    merged[:] = distinct
    return merged


def _kinds(values: NDArray[Any]) -> set[object]:
    def kind(value: object) -> object:
        if isinstance(value, tuple):
            return len(value)
        return "number" if isinstance(value, Number) else type(value)

    return {kind(value) for value in values.tolist()}


def sorted_values(values: list[Any]) -> list[Any]:
    """Return distinct values sorted; mixed types are sorted by type name first."""
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=lambda value: (type(value).__name__, str(value)))


def positions(values: NDArray[Any], among: NDArray[Any]) -> list[int]:
    """Return the position of each value among others."""
    order = {value: k for k, value in enumerate(among.tolist())}
    return [order[value] for value in values.tolist()]


def find_value(value: object, among: list[Any]) -> int | None:
    """Return the position of a value, None if it is absent or cannot be compared, like an array."""
    try:
        return among.index(value) if value in among else None
    except (TypeError, ValueError):
        return None


def pool_labels(counts: Array, means: Array, scatters: Array) -> tuple[Array, Array, Array]:
    """Return the moments of each group over all labels: (1, G), (1, G, d), (1, G, d, d).

    Parameters
    ----------
    counts, means, scatters : ndarray of shapes (K, G), (K, G, d), (K, G, d, d)
        From :func:`subgroup_moments`.
    """
    totals = counts.sum(axis=0)
    pooled = np.einsum("ia,iaj->aj", counts, means) / totals[:, None]
    shifts = means - pooled
    between = np.einsum("ia,iaj,iak->ajk", counts, shifts, shifts)
    return totals[None], pooled[None], (scatters.sum(axis=0) + between)[None]


def pooled_scale(counts: Array, means: Array, scatters: Array) -> Array:
    """Return the pooled within-subgroup standard deviation of each feature, shape (d,).

    It is replaced by the standard deviation between subgroups for a feature that is constant within
    every subgroup, and by 1 for a constant feature.

    Parameters
    ----------
    counts, means, scatters : ndarray of shapes (K, G), (K, G, d), (K, G, d, d)
        From :func:`subgroup_moments`.
    """
    total = counts.sum()
    center = np.einsum("ia,iaj->j", counts, means) / total
    between = np.sqrt(np.einsum("ia,iaj->j", counts, (means - center) ** 2) / total)
    within = np.sqrt(np.einsum("iajj->j", scatters) / total)
    noise = 1e-10 * (between + np.abs(center))
    # Means of equal values in several batches can differ by rounding.
    varies = between > 1e-12 * np.abs(center)
    scale: Array = np.where(within > noise, within, np.where(varies, between, 1.0))
    return scale
