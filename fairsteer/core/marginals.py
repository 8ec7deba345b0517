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
DISCRETE = 0.05
"""Probability of a tie of two rows above which a feature counts as discrete: fewer than 20 values
of equal share."""
SAMPLED_ROWS = 2000
"""Rows on which features and displacements are measured."""

Columns = NDArray[np.intp] | slice
EVERY_COLUMN = slice(None)
Blocks = list[tuple[NDArray[np.intp], NDArray[np.intp]]]
# Keeps rounding inside a rank interval.
_EDGE = 1e-6
SINGLE_PRECISION = 2.0**-23
"""Relative difference up to which a value is taken for the nearest training value."""


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
    tied : ndarray of bool of shape (m,)
        Whether several rows have the value.
    """

    values: Array
    cumulative: Array
    tied: NDArray[np.bool_]

    @classmethod
    def from_values(cls, x: Array, weights: Array) -> QuantileTable:
        """Return the distribution of values x (n,) with frequencies (n,)."""
        values, positions, rows = np.unique(x, return_inverse=True, return_counts=True)
        counts = np.bincount(positions, weights)
        cumulative = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
        return cls(values, cumulative, (rows > 1) | (counts > 1.0))

    def place(self, x: Array) -> Array:
        """Return the middle of the rank interval of each value, in [0, 1].

        The same values in single precision have the same place.
        """
        nearest, known, position = self._find(x)
        places: Array = np.where(known, self._middles[nearest + 1], self.cumulative[position])
        return places

    def rank(self, x: Array, draws: Array) -> Array:
        """Return ranks in (0, 1), spread over the rank interval of tied values by draws in (0, 1).

        The interval of a value that is not in the table is bounded by the middles of the intervals
        of the next smaller and the next larger value, or by 0 or 1 where there is none. Where no
        neighbor is tied, nothing is drawn: a value of the table is in the middle of its interval,
        and ranks between two values are interpolated.
        """
        nearest, known, position = self._find(x)
        middles, last = self._middles, len(self.values) - 1
        before, after = np.maximum(position - 1, 0), np.minimum(position, last)
        start, end = self.values[before], self.values[after]
        # Halves, because the difference of the largest numbers overflows.
        gap = end / 2 - start / 2
        between = np.full(len(x), 0.5)
        np.divide(x / 2 - start / 2, gap, out=between, where=gap > 0.0)
        drawn = np.where(known, self.tied[nearest], self.tied[before] | self.tied[after])
        inside = np.where(drawn, draws, np.where(known, 0.5, between))
        low = np.where(known, self.cumulative[nearest], middles[position])
        high = np.where(known, self.cumulative[nearest + 1], middles[position + 1])
        ranks: Array = low + inside * (high - low)
        return ranks

    def locate(self, ranks: Array) -> tuple[Array, Array]:
        """Return the value whose interval contains each rank, and the position inside it."""
        last = len(self.values) - 1
        position = np.minimum(np.searchsorted(self.cumulative[1:], ranks), last)
        low, high = self.cumulative[position], self.cumulative[position + 1]
        inside = np.clip((ranks - low) / (high - low), _EDGE, 1.0 - _EDGE)
        return self.values[position], inside

    @property
    def _middles(self) -> Array:
        """Middles of the rank intervals, between 0 and 1."""
        return np.concatenate([[0.0], (self.cumulative[1:] + self.cumulative[:-1]) / 2, [1.0]])

    def _find(self, x: Array) -> tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.intp]]:
        """Return the nearest value, whether it equals x up to rounding, and how many are below."""
        position = np.searchsorted(self.values, x)
        before = np.maximum(position - 1, 0)
        nearest = np.minimum(position, len(self.values) - 1)
        below, above = self.values[before], self.values[nearest]
        nearest = np.where(x / 2 - below / 2 < above / 2 - x / 2, before, nearest)
        value = self.values[nearest]
        known = np.abs(x / 2 - value / 2) <= SINGLE_PRECISION * np.abs(value / 2)
        return nearest, known, position


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

    def place(self, x: Array, feature: int) -> Array:
        """Return where values (n,) of a feature are among those of all groups, in [0, 1]."""
        return self._pooled[feature].place(x)

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


def tie_probability(x: Array, weights: Array | None = None) -> float:
    """Return the share of pairs of the n values, with frequencies (n,), that are equal."""
    _, places = np.unique(x, return_inverse=True)
    counts = np.bincount(places, weights).astype(float)
    total = counts.sum()
    if total <= 1.0:
        return 0.0
    return float(np.sum(counts * np.maximum(counts - 1.0, 0.0)) / (total * (total - 1.0)))


def choose_family(
    X: Array, blocks: Sequence[NDArray[np.intp]], weights: Array | None = None
) -> str:
    """Return the copula where most features that vary are discrete, otherwise normal.

    Ties are counted among rows at equal steps. A block of indicators is one discrete feature.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Training rows.
    blocks : sequence of ndarray of int
        Positions of the columns of each block.
    weights : ndarray of shape (n,), default=None
        Frequencies of the rows.
    """
    joined = {int(j) for block in blocks for j in block}
    step = -(-len(X) // SAMPLED_ROWS)
    sample, own = X[::step], None if weights is None else weights[::step]
    others = [j for j in np.flatnonzero(X.min(axis=0) < X.max(axis=0)) if j not in joined]
    discrete = sum(tie_probability(sample[:, j], own) > DISCRETE for j in others)
    n_features = len(others) + len(blocks)
    return "copula" if 2 * (discrete + len(blocks)) > n_features else "normal"


def find_one_hot(X: Array) -> list[NDArray[np.intp]]:
    """Find blocks of columns of 0 and 1 that add up to 1 or less in every row.

    A block is a run of at least two such columns, ended by a column that does not fit or once every
    row has its 1. Columns of 0 only, or of 1 only, belong to no block and do not end one.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows.

    Returns
    -------
    list of ndarray of int
        Positions of the columns of each block.
    """
    blocks: list[list[int]] = [[]]
    taken = np.zeros(len(X), dtype=bool)
    # Most columns of numbers show in a few rows that they are none of indicators.
    likely = np.all(np.isin(X[:100], (0.0, 1.0)), axis=0)
    for j in range(X.shape[1]):
        ones = X[:, j] == 1.0 if likely[j] else taken
        if not likely[j] or not np.all(ones | (X[:, j] == 0.0)):
            blocks.append([])
        elif 0 < np.count_nonzero(ones) < len(X):
            if not blocks[-1] or np.any(taken & ones) or taken.all():
                blocks.append([])
                taken = np.zeros(len(X), dtype=bool)
            blocks[-1].append(j)
            taken |= ones
    return [np.array(block, dtype=np.intp) for block in blocks if len(block) > 1]


def order_categories(
    columns: list[NDArray[np.intp]], X: Array, positive: NDArray[np.bool_], weights: Array
) -> Blocks:
    """Order the categories of one-hot blocks of training rows by their share of positives.

    Parameters
    ----------
    columns : list of ndarray of int
        Positions of the columns of each block.
    X : ndarray of shape (n, d)
        Training rows.
    positive : ndarray of bool of shape (n,)
        Which rows are positive.
    weights : ndarray of shape (n,)
        Weights of the rows.

    Returns
    -------
    list of tuple of ndarray
        For each block the positions of its columns, and the ranks of its categories. Category 0 is
        that of rows without a 1; ties keep the order of categories.
    """
    blocks = []
    for block in columns:
        codes, size = _categories(X, block), len(block) + 1
        counts = np.bincount(codes, weights, size)
        shares = np.full(size, np.average(positive, weights=weights))
        hits = np.bincount(codes, weights * positive, size)
        np.divide(hits, counts, out=shares, where=counts > 0.0)
        blocks.append((block, np.argsort(np.argsort(shares, kind="stable"))))
    return blocks


def merge_blocks(X: Array, blocks: Blocks) -> Array:
    """Return a copy of rows (n, d): ranks of categories in the first column of a block, else 0."""
    merged = X.copy()
    for block, ranks in blocks:
        merged[:, block] = 0.0
        merged[:, block[0]] = ranks[_categories(X, block)]
    return merged


def split_blocks(moved: Array, merged: Array, X: Array, blocks: Blocks) -> None:
    """Return moved ranks to indicators, in place; rows that did not move stay as in X."""
    for block, ranks in blocks:
        first = block[0]
        changed = np.flatnonzero(moved[:, first] != merged[:, first])
        codes = np.argsort(ranks)[np.rint(moved[changed, first]).astype(np.intp)]
        moved[:, block] = X[:, block]
        moved[np.ix_(changed, block)] = codes[:, None] == np.arange(1, len(block) + 1)


def _categories(X: Array, block: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the category of each row: 1 plus the position of its 1, 0 if it has none."""
    indicators = X[:, block]
    return np.where(indicators.max(axis=1) > 0.5, indicators.argmax(axis=1) + 1, 0)
