"""What is kept of training rows where their sums are enough: moments, in any number of batches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fairsteer._linalg import Array
from fairsteer.families import not_positive
from fairsteer.moments import RunningMoments, SubgroupMoments, row_blocks
from fairsteer.sensitive import EVERY_FEATURE_CONSTANT, TrainingRows


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
        One of `fairsteer.families.SUMMED_FAMILIES`.
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
