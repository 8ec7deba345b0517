"""What is kept of training rows where their sums are enough: moments, in any number of batches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fairsteer.core.families import not_positive
from fairsteer.core.linalg import Array
from fairsteer.core.moments import RunningMoments, SubgroupMoments, row_blocks

MOST_REPEATS = 10
EVERY_FEATURE_CONSTANT = (
    "Every feature is constant in training, so there is nothing to steer: pass columns of X that "
    "vary."
)


class TrainingRows(NamedTuple):
    """Checked rows of a call to fit, those of weight 0 left out.

    Parameters
    ----------
    features : ndarray of shape (n, d)
        float32 or float64.
    names : list
        Names (or positions) of the features.
    label_codes, group_codes : ndarray of shape (n,)
        Positions in ``classes`` and ``groups``.
    weights : ndarray of shape (n,)
        Positive frequencies.
    classes : ndarray of shape (K,)
        Labels.
    groups : ndarray of shape (G,)
        Groups.
    positions : list of int
        Positions of the sensitive columns of X.
    """

    features: np.ndarray
    names: list[Any]
    label_codes: np.ndarray
    group_codes: np.ndarray
    weights: np.ndarray
    classes: np.ndarray
    groups: np.ndarray
    positions: list[int]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.features)

    @property
    def counts(self) -> np.ndarray:
        """Rows of every (label, group) cell, shape (K, G)."""
        shape = len(self.classes), len(self.groups)
        cells = self.label_codes * shape[1] + self.group_codes
        return np.bincount(cells, self.weights, shape[0] * shape[1]).reshape(shape)

    def repeated(self) -> TrainingRows:
        """Return each row as often as its frequency says, at most `MOST_REPEATS` times.

        Where each row gets a draw, a whole frequency is that many rows with a draw each; what
        exceeds the limit, and fractions, are shared out as weights.
        """
        times = np.minimum(np.ceil(self.weights), MOST_REPEATS).astype(np.intp)
        if np.all(times == 1):
            return self
        return self._replace(
            features=np.repeat(self.features, times, axis=0),
            label_codes=np.repeat(self.label_codes, times),
            group_codes=np.repeat(self.group_codes, times),
            weights=np.repeat(self.weights / times, times),
        )

    def regrouped(self, groups: np.ndarray, position: np.ndarray) -> TrainingRows:
        """Return the rows whose group has a position (not -1) among other groups, with these."""
        codes = position[self.group_codes]
        kept = slice(None) if np.all(codes >= 0) else codes >= 0
        return self._replace(
            features=self.features[kept],
            label_codes=self.label_codes[kept],
            group_codes=codes[kept],
            weights=self.weights[kept],
            groups=groups,
        )

    @property
    def vary(self) -> bool:
        """Whether any feature varies."""
        return bool(np.any(self.features != self.features[0]))

    def varying_features(self) -> np.ndarray:
        """Return the positions of the features that vary; refuse rows in which none does."""
        if not self.vary:
            raise ValueError(EVERY_FEATURE_CONSTANT)
        return np.flatnonzero(np.any(self.features != self.features[0], axis=0))


@dataclass(frozen=True, eq=False)
class StreamedRows:
    """Sums over training rows, in the place of `TrainingRows`.

    Parameters
    ----------
    moments : SubgroupMoments
        Of the scores of all features: the features, or their logarithms.
    n_rows : int
        Number of rows.
    names : list
        Names (or positions) of the features.
    positions : list of int
        Positions of the sensitive columns of X.
    family : str
        One of `fairsteer.core.families.SUMMED_FAMILIES`.
    lowest, highest : ndarray of shape (d,)
        Extreme values of the features; of interest where these need to be positive.
    """

    moments: SubgroupMoments
    n_rows: int
    names: list[Any]
    positions: list[int]
    family: str
    lowest: Array
    highest: Array

    def __post_init__(self) -> None:
        bad = (self.lowest <= 0.0) & (self.lowest < self.highest)
        if bad.any():
            columns = [name for name, b in zip(self.names, bad, strict=True) if b]
            raise ValueError(not_positive(columns, self.lowest[bad].min()))

    @classmethod
    def of(cls, rows: TrainingRows, family: str, tied: bool = False) -> StreamedRows:
        """Sum rows up, block by block; if `tied`, with one scatter matrix a group.

        Raises
        ------
        ValueError
            If a feature that varies has a logarithm to take and is not positive.
        """
        X, d = rows.features, rows.features.shape[1]
        running = RunningMoments((len(rows.classes), len(rows.groups)), d, tied=tied)
        lowest, highest = np.full(d, np.inf), np.full(d, -np.inf)
        if family == "normal":
            running.update(X, rows.label_codes, rows.group_codes, rows.weights)
        else:
            for block in row_blocks(*X.shape):
                values = X[block].astype(np.float64)
                lowest = np.minimum(lowest, values.min(axis=0))
                highest = np.maximum(highest, values.max(axis=0))
                # What is not positive is refused later, unless it is constant and does not count.
                running.update(
                    np.log(np.where(values > 0.0, values, 1.0)),
                    rows.label_codes[block],
                    rows.group_codes[block],
                    rows.weights[block],
                )
        moments = SubgroupMoments(rows.classes, rows.groups, *running.parts, tied)
        return cls(moments, len(X), rows.names, rows.positions, family, lowest, highest)

    @property
    def classes(self) -> np.ndarray:
        """Labels, shape (K,)."""
        return self.moments.labels

    @property
    def groups(self) -> np.ndarray:
        """Groups, shape (G,)."""
        return self.moments.groups

    @property
    def counts(self) -> Array:
        """Rows of every (label, group) cell, shape (K, G)."""
        return self.moments.counts

    @property
    def vary(self) -> bool:
        """Whether any feature varies."""
        return bool(self.moments.varying.any())

    def varying_features(self) -> np.ndarray:
        """Return the positions of the features that vary; refuse sums in which none does.

        Raises
        ------
        ValueError
            If no feature varies.
        """
        if not self.vary:
            raise ValueError(EVERY_FEATURE_CONSTANT)
        return np.flatnonzero(self.moments.varying)

    def regrouped(self, groups: np.ndarray, position: np.ndarray) -> StreamedRows:
        """Return the sums of the rows whose group has a position (not -1) among other groups."""
        return replace(self, moments=self.moments.regrouped(groups, position))

    def merge(self, other: StreamedRows) -> StreamedRows:
        """Return the sums of the rows of both.

        Raises
        ------
        ValueError
            If they are sums of different things, or ``of`` would refuse the rows together.
        """
        self.check_same(other.family, other.positions, other.moments.tied)
        return replace(
            self,
            moments=self.moments.merge(other.moments),
            n_rows=self.n_rows + other.n_rows,
            lowest=np.minimum(self.lowest, other.lowest),
            highest=np.maximum(self.highest, other.highest),
        )

    def check_same(self, family: str, positions: list[int], tied: bool) -> None:
        """Refuse another family, other sensitive columns, or scatter matrices of other cells.

        Raises
        ------
        ValueError
            If one of them differs.
        """
        if tied != self.moments.tied:
            raise ValueError(
                "covariance_type='tied' keeps other sums than the rows before have: set it, "
                "constraint and small_cells before the first rows, and alike everywhere."
            )
        if (family, positions) != (self.family, self.positions):
            raise ValueError(
                "family or sensitive_feature_ids differs from that of the rows before, so that "
                "their sums do not add up: set them before the first rows, and alike everywhere."
            )
