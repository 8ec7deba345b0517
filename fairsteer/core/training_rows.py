"""Training rows, and the sums over rows that the normal families need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fairsteer.core.linalg import Array
from fairsteer.core.marginals import (
    SAMPLED_ROWS,
    choose_family,
    describe_not_positive,
    find_one_hot,
)
from fairsteer.core.moments import (
    RunningMoments,
    SubgroupMoments,
    refuse_overflow,
    row_blocks,
)

MOST_REPEATS = 10
EVERY_FEATURE_CONSTANT = (
    "Every feature is constant in the training rows, so there is nothing to steer: pass columns "
    "of X that vary."
)


class TrainingRows(NamedTuple):
    """Validated rows of a call to fit, without those of weight 0.

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
    sensitive_positions : list of int
        Positions of the sensitive columns of X.
    attribute_names : list or None
        Names of the columns of the attribute; None if they have no names.
    """

    features: np.ndarray
    names: list[Any]
    label_codes: np.ndarray
    group_codes: np.ndarray
    weights: np.ndarray
    classes: np.ndarray
    groups: np.ndarray
    sensitive_positions: list[int]
    attribute_names: list[Any]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.features)

    @property
    def counts(self) -> np.ndarray:
        """Number of rows (sum of frequencies) of every label and group, shape (K, G)."""
        shape = len(self.classes), len(self.groups)
        subgroups = self.label_codes * shape[1] + self.group_codes
        return np.bincount(subgroups, self.weights, shape[0] * shape[1]).reshape(shape)

    def repeated(self) -> TrainingRows:
        """Return each row as many times as its frequency, at most `MOST_REPEATS` times.

        Each repetition gets its own draw; frequencies above the limit, and fractions, are divided
        among the repetitions as weights.
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
        """Return the rows after groups are merged, reordered or left out.

        Parameters
        ----------
        groups : ndarray of shape (G',)
            The new groups.
        position : ndarray of shape (G,)
            Position among the new groups for each group, -1 to leave its rows out.
        """
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
        """Return the positions of the features that vary.

        Raises
        ------
        ValueError
            If no feature varies.
        """
        if not self.vary:
            raise ValueError(EVERY_FEATURE_CONSTANT)
        return np.flatnonzero(np.any(self.features != self.features[0], axis=0))


def is_discrete(rows: TrainingRows) -> bool:
    """Return whether most features are discrete, judged by rows at equal steps."""
    if rows.n_rows == 0:
        return False
    step = -(-rows.n_rows // SAMPLED_ROWS)
    X, weights = rows.features[::step], rows.weights[::step]
    return choose_family(X, find_one_hot(X), weights) == "copula"


@dataclass(frozen=True, eq=False)
class StreamedRows:
    """Sums over training rows, used instead of `TrainingRows` where the family needs no more.

    Parameters
    ----------
    moments : SubgroupMoments
        Moments of all features, or of their logarithms.
    n_rows : int
        Number of rows.
    names : list
        Names (or positions) of the features.
    sensitive_positions : list of int
        Positions of the sensitive columns of X.
    attribute_names : list or None
        Names of the columns of the attribute; None if they have no names.
    family : str
        One of `fairsteer.core.marginals.SUMMED_FAMILIES`.
    lowest, highest : ndarray of shape (d,)
        Smallest and largest values of the features, if these must be positive.
    unsteered : tuple of int
        Positions of indicators that are left as they are.
    discrete : bool
        Whether most features are discrete.

    Raises
    ------
    ValueError
        If the family takes logarithms of a feature that varies and is not positive, or values are
        too large to square.
    """

    moments: SubgroupMoments
    n_rows: int
    names: list[Any]
    sensitive_positions: list[int]
    attribute_names: list[Any]
    family: str
    lowest: Array
    highest: Array
    unsteered: tuple[int, ...] = ()
    discrete: bool = False

    def __post_init__(self) -> None:
        bad = (self.lowest <= 0.0) & (self.lowest < self.highest)
        if bad.any():
            columns = [name for name, b in zip(self.names, bad, strict=True) if b]
            raise ValueError(describe_not_positive(columns, self.lowest[bad].min()))
        refuse_overflow(*self.moments.parts, self.names)

    @classmethod
    def from_rows(
        cls,
        rows: TrainingRows,
        family: str,
        tied: bool = False,
        unsteered: tuple[int, ...] = (),
    ) -> StreamedRows:
        """Sum rows, block by block.

        Parameters
        ----------
        rows : TrainingRows
            Rows.
        family : str
            One of `fairsteer.core.marginals.SUMMED_FAMILIES`.
        tied : bool, default=False
            Whether to keep one scatter matrix per group only.
        unsteered : tuple of int, default=()
            Positions of indicators that are left as they are.

        Raises
        ------
        ValueError
            If the family takes logarithms of a feature that varies and is not positive.
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
                # Non-positive values are an error in __post_init__, unless the feature is constant.
                running.update(
                    np.log(np.where(values > 0.0, values, 1.0)),
                    rows.label_codes[block],
                    rows.group_codes[block],
                    rows.weights[block],
                )
        moments = SubgroupMoments(rows.classes, rows.groups, *running.parts, tied)
        return cls(
            moments,
            len(X),
            rows.names,
            rows.sensitive_positions,
            rows.attribute_names,
            family,
            lowest,
            highest,
            unsteered,
            is_discrete(rows),
        )

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
        """Number of rows (sum of frequencies) of every label and group, shape (K, G)."""
        return self.moments.counts

    @property
    def vary(self) -> bool:
        """Whether any feature varies."""
        return bool(self._steerable.any())

    @property
    def _steerable(self) -> np.ndarray:
        steerable = self.moments.varying.copy()
        steerable[list(self.unsteered)] = False
        return steerable

    def varying_features(self) -> np.ndarray:
        """Return the positions of the features that vary.

        Raises
        ------
        ValueError
            If no feature varies.
        """
        if not self.vary:
            raise ValueError(EVERY_FEATURE_CONSTANT)
        return np.flatnonzero(self._steerable)

    def regrouped(self, groups: np.ndarray, position: np.ndarray) -> StreamedRows:
        """Return the sums after groups are merged or left out; see `TrainingRows.regrouped`."""
        return replace(self, moments=self.moments.regrouped(groups, position))

    def merge(self, other: StreamedRows) -> StreamedRows:
        """Return the sums over the rows of both objects.

        Raises
        ------
        ValueError
            If the sums are of different kinds, or the rows together are invalid.
        """
        self.check_same(other.family, other.sensitive_positions, other.moments.tied)
        names, others = self.attribute_names, other.attribute_names
        if None not in (*names, *others) and names != others:
            raise ValueError(
                f"The columns of the sensitive attribute are {names} in some rows and {others} in "
                "others, so their groups differ: pass the same columns in the same order."
            )
        return replace(
            self,
            moments=self.moments.merge(other.moments),
            n_rows=self.n_rows + other.n_rows,
            lowest=np.minimum(self.lowest, other.lowest),
            highest=np.maximum(self.highest, other.highest),
            unsteered=tuple(sorted({*self.unsteered, *other.unsteered})),
            discrete=self.discrete or other.discrete,
        )

    def check_same(self, family: str, sensitive_positions: list[int], tied: bool) -> None:
        """Check that other sums can be added to these.

        Raises
        ------
        ValueError
            If the family, the sensitive columns or the kind of scatter matrices differ.
        """
        if tied != self.moments.tied:
            raise ValueError(
                "The sums kept with covariance_type='tied' differ from those kept otherwise: set "
                "covariance_type, constraint and small_groups before the first rows, and to the "
                "same values for all rows."
            )
        if (family, sensitive_positions) != (self.family, self.sensitive_positions):
            raise ValueError(
                "family or sensitive_feature_ids differs from that of the earlier rows, so their "
                "sums cannot be merged: set them before the first rows, and to the same values for "
                "all rows."
            )
