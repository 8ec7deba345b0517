"""The copula family: features are Gaussian after a rank transform."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from fairsteer.core.families import EVERY_COLUMN, Columns
from fairsteer.core.linalg import Array

# Far enough from the ends of a rank interval for rounding not to leave it.
_EDGE = 1e-6


@dataclass(frozen=True, eq=False)
class QuantileTable:
    """The distribution of one feature: its values and how many rows lie at or below each.

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
    def of(cls, x: Array, weights: Array) -> QuantileTable:
        """Tabulate values x (n,) with frequencies (n,)."""
        values, positions = np.unique(x, return_inverse=True)
        counts = np.bincount(positions, weights)
        return cls(values, np.concatenate([[0.0], np.cumsum(counts) / counts.sum()]))

    def rank(self, x: Array, draws: Array) -> Array:
        """Return ranks in (0, 1): each value spread over its rank interval by a draw in (0, 1).

        A value that is not in the table is spread between the middles of its neighbours'
        intervals, beyond the largest (smallest) value between that one's middle and 1 (0).
        """
        position = np.searchsorted(self.values, x)
        nearest = np.minimum(position, len(self.values) - 1)
        known = self.values[nearest] == x
        middles = np.concatenate([[0.0], (self.cumulative[1:] + self.cumulative[:-1]) / 2, [1.0]])
        low = np.where(known, self.cumulative[nearest], middles[position])
        high = np.where(known, self.cumulative[nearest + 1], middles[position + 1])
        ranks: Array = low + draws * (high - low)
        return ranks

    def locate(self, ranks: Array) -> tuple[Array, Array]:
        """Return the value whose interval holds each rank, and the position inside it."""
        last = len(self.values) - 1
        position = np.minimum(np.searchsorted(self.cumulative[1:], ranks), last)
        low, high = self.cumulative[position], self.cumulative[position + 1]
        inside = np.clip((ranks - low) / (high - low), _EDGE, 1.0 - _EDGE)
        return self.values[position], inside


class Copula:
    """Normal scores from quantile tables, of all groups together or of each.

    A row's *scores* are the normal quantiles of its ranks; there the laws are Gaussian and
    steering acts. The *common scale*, where displacements add up, is that of the normal scores
    among all rows. With tables of each group, moved scores are read off the reference group's, so
    that its values stand for the same ranks of every group, and carried to the common scale.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Training rows.
    codes : ndarray of shape (n,)
        Positions of their groups.
    weights : ndarray of shape (n,)
        Frequencies.
    n_groups : int
        Number of groups.
    reference : int
        Position of the group whose tables values are read off.
    quantiles : {"pooled", "group"}
        Whose tables give the scores.
    ranked : ndarray of shape (n,)
        Frequencies of the rows that the tables of the groups count; 0 leaves a row out.
    """

    def __init__(
        self,
        X: Array,
        codes: NDArray[np.intp],
        weights: Array,
        n_groups: int,
        reference: int,
        quantiles: str,
        ranked: Array,
    ) -> None:
        self._pooled = [QuantileTable.of(x, weights) for x in X.T]
        self._by_group = [self._pooled] * n_groups
        if quantiles == "group":
            self._by_group = [
                [QuantileTable.of(x[own], ranked[own]) for x in X.T]
                for own in ((codes == a) & (ranked > 0.0) for a in range(n_groups))
            ]
        self._reference = reference

    def check(self, X: Array, columns: Columns = EVERY_COLUMN) -> None:
        """Refuse nothing: any value has a rank."""

    def scores(self, X: Array, group: int, draws: Array) -> Array:
        """Return the normal scores of rows (n, d) of one group; ties are spread by draws."""
        return _scores(self._by_group[group], X, draws)

    def common(self, X: Array, draws: Array) -> Array:
        """Return the normal scores among all groups' rows, shape (n, d)."""
        return _scores(self._pooled, X, draws)

    def carry(self, X: Array, group: int, draws: Array, step: Array) -> Array:
        """Turn a step in the scores into one on the common scale, by the reference's values."""
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
        """Return the values at points of the common scale, all of them seen in training."""
        columns = [
            table.locate(ndtr(column))[0]
            for table, column in zip(self._pooled, common.T, strict=True)
        ]
        return np.stack(columns, axis=1)


def _scores(tables: list[QuantileTable], X: Array, draws: Array) -> Array:
    columns = [
        _normal_score(table.rank(x, u)) for table, x, u in zip(tables, X.T, draws.T, strict=True)
    ]
    return np.stack(columns, axis=1)


def _normal_score(ranks: Array) -> Array:
    tiny = np.finfo(float).eps / 2.0
    scores: Array = ndtri(np.clip(ranks, tiny, 1.0 - tiny))
    return scores
