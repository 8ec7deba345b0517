"""Families of feature laws: reparametrisations in which features are Gaussian."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fairsteer.core.linalg import Array

Columns = NDArray[np.intp] | slice
EVERY_COLUMN = slice(None)
"""The columns of the features, where X has no others."""


class Family(Protocol):
    """Scores in which subgroups are Gaussian, and the scale on which rows are moved.

    ``draws`` (n, d) in (0, 1) spread tied values where the family needs it.
    """

    def check(self, X: Array, columns: Columns = EVERY_COLUMN) -> None:
        """Refuse rows that have no scores in these columns."""

    def scores(self, X: Array, group: int, draws: Array) -> Array:
        """Map rows (n, d) of one group to where they are Gaussian given the label."""

    def common(self, X: Array, draws: Array) -> Array:
        """Map rows of any group to the scale on which displacements add up."""

    def carry(self, X: Array, group: int, draws: Array, step: Array) -> Array:
        """Turn a step in the scores of rows of one group into one on the common scale."""

    def inverse(self, common: Array) -> Array:
        """Map points of the common scale back to features."""


class Normal:
    """Features are Gaussian as they are."""

    def check(self, X: Array, columns: Columns = EVERY_COLUMN) -> None:
        """Refuse nothing."""

    def scores(self, X: Array, group: int, draws: Array) -> Array:
        """Return X."""
        return X

    def common(self, X: Array, draws: Array) -> Array:
        """Return X."""
        return X

    def carry(self, X: Array, group: int, draws: Array, step: Array) -> Array:
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
        Names of the features, for errors.
    """

    def __init__(self, names: Sequence[object]) -> None:
        self.names = names

    def check(self, X: Array, columns: Columns = EVERY_COLUMN) -> None:
        """Refuse rows that have no logarithm in some column of a feature.

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
            raise ValueError(not_positive(bad, lowest.min()))

    def scores(self, X: Array, group: int, draws: Array) -> Array:
        """Return the logarithms, of rows that pass ``check``."""
        self.check(X)
        return np.log(X)

    def common(self, X: Array, draws: Array) -> Array:
        """Return the logarithms."""
        return self.scores(X, 0, draws)

    def carry(self, X: Array, group: int, draws: Array, step: Array) -> Array:
        """Return the step."""
        return step

    def inverse(self, common: Array) -> Array:
        """Return the exponentials."""
        return np.exp(common)


def not_positive(columns: Sequence[object], lowest: float) -> str:
    """Say that columns without a logarithm hold values down to the lowest."""
    return (
        f"family='lognormal' needs positive features, but column(s) {columns} hold values down to "
        f"{lowest:g}: shift or drop them, or use family='normal'."
    )


FAMILIES = ("normal", "lognormal", "copula")
"""What is Gaussian: features, their logarithms, or their normal scores."""
SUMMED_FAMILIES = ("normal", "lognormal")
"""Families that have nothing to fit: laws are moments of the scores of single rows."""
QUANTILES = ("pooled", "group")
"""Whose ranks the copula takes: among all rows, or within the row's group."""


def summed_family(family: str, names: Sequence[object]) -> Family:
    """Return one of `SUMMED_FAMILIES` for features of these names."""
    return Normal() if family == "normal" else LogNormal(names)
