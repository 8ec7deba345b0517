"""Marginal transforms of features, after which subgroups are Gaussian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from fairsteer.core.linalg import Array

FAMILIES = ("normal", "lognormal", "copula", "copula_by_group")
"""Which quantities are Gaussian: the features, their logarithms, or their normal scores among all
rows or within each group."""
SUMMED_FAMILIES = ("normal", "lognormal")
"""Families for which moments, which are sums over rows, suffice."""

Columns = NDArray[np.intp] | slice
EVERY_COLUMN = slice(None)
# Keeps rounding inside a rank interval.
_EDGE = 1e-6


class Marginals(Protocol):
    """Transforms to scores in which subgroups are Gaussian, and to the scale of displacements.

    ``draws`` (n, d) in (0, 1) spread tied values; None for families without ranks.
    """

    def check(self, X: Array, columns: Columns = EVERY_COLUMN) -> None:
        """Raise ValueError if rows have no scores in these columns."""

    def scores(self, X: Array, group: int, draws: Array | None) -> Array:
        """Return the scores of rows (n, d) of one group."""

    def common(self, X: Array, draws: Array | None) -> Array:
        """Return rows of any group on the common scale, where displacements are added."""

    def carry(self, X: Array, group: int, draws: Array | None, step: Array) -> Array:
        """Convert a displacement of the scores of one group to the common scale."""

    def inverse(self, common: Array) -> Array:
        """Return the features of points on the common scale."""


class Normal:
    """Features are Gaussian as they are."""

    def check(self, X: Array, columns: Columns = EVERY_COLUMN) -> None:
        """Accept all rows."""

    def scores(self, X: Array, group: int, draws: Array | None) -> Array:
        """Return X."""
        return X

    def common(self, X: Array, draws: Array | None) -> Array:
        """Return X."""
        return X

    def carry(self, X: Array, group: int, draws: Array | None, step: Array) -> Array:
        """Return the step."""
        return step

    def inverse(self, common: Array) -> Array:
        """Return the points."""
        return common


class LogNormal:
    """Logarithms of the features are Gaussian.

    Parameters
    ----------
    names : sequence
        Names of the features, for messages.
    """

    def __init__(self, names: Sequence[object]) -> None:
        self.names = names

    def check(self, X: Array, columns: Columns = EVERY_COLUMN) -> None:
        """Raise ValueError if a column has a value without a logarithm.

        Raises
        ------
        ValueError
            If a value is not positive; the message names the columns.
        """
        if len(X) == 0:
            return
        lowest = X.min(axis=0)[columns]
        if np.any(lowest <= 0.0):
            bad = [name for name, low in zip(self.names, lowest, strict=True) if low <= 0.0]
            raise ValueError(describe_not_positive(bad, lowest.min()))

    def scores(self, X: Array, group: int, draws: Array | None) -> Array:
        """Return the logarithms of rows that pass ``check``."""
        self.check(X)
        return np.log(X)

    def common(self, X: Array, draws: Array | None) -> Array:
        """Return the logarithms."""
        return self.scores(X, 0, draws)

    def carry(self, X: Array, group: int, draws: Array | None, step: Array) -> Array:
        """Return the step."""
        return step

    def inverse(self, common: Array) -> Array:
        """Return the exponentials."""
        return np.exp(common)


def summed_marginals(family: str, names: Sequence[object]) -> Marginals:
    """Return the marginals of a family in `SUMMED_FAMILIES` for features of these names."""
    return Normal() if family == "normal" else LogNormal(names)


def describe_not_positive(columns: Sequence[object], lowest: float) -> str:
    """Return the message for columns with values that are not positive."""
    return (
        f"family='lognormal' needs positive features, but column(s) {columns} have values as low "
        f"as {lowest:g}: shift or drop them, or use family='normal'."
    )


@dataclass(frozen=True, eq=False)
class QuantileTable:
    """Empirical distribution of one feature.

    Parameters
    ----------
    values : ndarray of shape (m,)
        Distinct values, ascending.
    cumulative : ndarray of shape (m + 1,)
        Share of the rows below each value; the last is 1.
    """

    values: Array
    cumulative: Array

    @classmethod
    def from_values(cls, x: Array, weights: Array) -> QuantileTable:
        """Return the distribution of values x (n,) with frequencies (n,)."""
        values, positions = np.unique(x, return_inverse=True)
        counts = np.bincount(positions, weights)
        return cls(values, np.concatenate([[0.0], np.cumsum(counts) / counts.sum()]))

    def rank(self, x: Array, draws: Array) -> Array:
        """Return ranks in (0, 1), spread over the rank interval of each value by draws in (0, 1).

        The interval of a value that is not in the table is bounded by the midpoints of the
        intervals of the next smaller and the next larger value, or by 0 or 1 where there is none.
        """
        position = np.searchsorted(self.values, x)
        nearest = np.minimum(position, len(self.values) - 1)
        known = self.values[nearest] == x
        midpoints = np.concatenate([[0.0], (self.cumulative[1:] + self.cumulative[:-1]) / 2, [1.0]])
        low = np.where(known, self.cumulative[nearest], midpoints[position])
        high = np.where(known, self.cumulative[nearest + 1], midpoints[position + 1])
        ranks: Array = low + draws * (high - low)
        return ranks

    def locate(self, ranks: Array) -> tuple[Array, Array]:
        """Return the value whose interval contains each rank, and the position inside it."""
        last = len(self.values) - 1
        position = np.minimum(np.searchsorted(self.cumulative[1:], ranks), last)
        low, high = self.cumulative[position], self.cumulative[position + 1]
        inside = np.clip((ranks - low) / (high - low), _EDGE, 1.0 - _EDGE)
        return self.values[position], inside


class Copula:
    """Normal scores from quantile tables of all groups together or of each group.

    The *scores* of a row are the normal quantiles of its ranks; their distributions are modeled as
    Gaussian and steered. The *common scale*, on which displacements are added, is that of the
    normal scores among all rows. With a table per group, moved scores are converted to values by
    the table of the reference group, so equal ranks of all groups get equal values, then to the
    common scale.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Training rows.
    codes : ndarray of shape (n,)
        Positions of the rows' groups.
    weights : ndarray of shape (n,)
        Frequencies.
    n_groups : int
        Number of groups.
    reference : int
        Position of the group whose tables convert moved scores to values.
    ranked : ndarray of shape (n,) or None
        Frequencies of the rows in the tables of each group, 0 to leave a row out; None for one
        table of all groups together.
    """

    def __init__(
        self,
        X: Array,
        codes: NDArray[np.intp],
        weights: Array,
        n_groups: int,
        reference: int,
        ranked: Array | None,
    ) -> None:
        self._pooled = [QuantileTable.from_values(x, weights) for x in X.T]
        self._by_group = [self._pooled] * n_groups
        if ranked is not None:
            self._by_group = [
                [QuantileTable.from_values(x[own], ranked[own]) for x in X.T]
                for own in ((codes == a) & (ranked > 0.0) for a in range(n_groups))
            ]
        self._reference = reference

    def check(self, X: Array, columns: Columns = EVERY_COLUMN) -> None:
        """Accept all rows: any value has a rank."""

    def scores(self, X: Array, group: int, draws: Array | None) -> Array:
        """Return the normal scores of rows (n, d) of one group; ties are spread by draws."""
        return _scores(self._by_group[group], X, draws)

    def common(self, X: Array, draws: Array | None) -> Array:
        """Return the normal scores among all groups' rows, shape (n, d)."""
        return _scores(self._pooled, X, draws)

    def carry(self, X: Array, group: int, draws: Array | None, step: Array) -> Array:
        """Convert a displacement of scores to the common scale, by the reference's values."""
        if self._by_group[group] is self._pooled:
            return step
        moved = self.scores(X, group, draws) + step
        carried = np.empty_like(moved)
        tables = zip(self._by_group[self._reference], self._pooled, strict=True)
        for j, (own, pooled) in enumerate(tables):
            values, inside = own.locate(ndtr(moved[:, j]))
            carried[:, j] = _normal_score(pooled.rank(values, inside))
        carried -= self.common(X, draws)
        if group == self._reference:
            carried[step == 0.0] = 0.0
        return carried

    def inverse(self, common: Array) -> Array:
        """Return the training values at points on the common scale."""
        columns = [
            table.locate(ndtr(column))[0]
            for table, column in zip(self._pooled, common.T, strict=True)
        ]
        return np.stack(columns, axis=1)


def _scores(tables: list[QuantileTable], X: Array, draws: Array | None) -> Array:
    assert draws is not None
    columns = [
        _normal_score(table.rank(x, u)) for table, x, u in zip(tables, X.T, draws.T, strict=True)
    ]
    return np.stack(columns, axis=1)


def _normal_score(ranks: Array) -> Array:
    tiny = np.finfo(float).eps / 2.0
    scores: Array = ndtri(np.clip(ranks, tiny, 1.0 - tiny))
    return scores
