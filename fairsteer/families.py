"""Families of feature laws: invertible reparametrisations in which features are Gaussian."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from fairsteer._linalg import Array


class Family(Protocol):
    """An invertible map of the features, the same for every row."""

    def forward(self, X: Array) -> Array:
        """Map features, shape (n, d), to where they are Gaussian given label and group."""

    def inverse(self, Z: Array) -> Array:
        """Map back."""


class Normal:
    """Features are Gaussian as they are."""

    def __init__(self, names: Sequence[object]) -> None:
        self.names = names

    def forward(self, X: Array) -> Array:
        """Return X."""
        return X

    def inverse(self, Z: Array) -> Array:
        """Return Z."""
        return Z


class LogNormal:
    """Logarithms of the features are Gaussian.

    Parameters
    ----------
    names : sequence
        Names of the features, for errors.
    """

    def __init__(self, names: Sequence[object]) -> None:
        self.names = names

    def forward(self, X: Array) -> Array:
        """Return the logarithms.

        Raises
        ------
        ValueError
            If a value is not positive; the message names the columns.
        """
        bad = np.any(X <= 0.0, axis=0)
        if bad.any():
            columns = [name for name, b in zip(self.names, bad, strict=True) if b]
            raise ValueError(
                f"family='lognormal' needs positive features, but column(s) {columns} hold values "
                f"down to {X[:, bad].min():g}: shift or drop them, or use family='normal'."
            )
        return np.log(X)

    def inverse(self, Z: Array) -> Array:
        """Return the exponentials."""
        return np.exp(Z)


FAMILIES: dict[str, type[Normal] | type[LogNormal]] = {"normal": Normal, "lognormal": LogNormal}
"""Families by name; each is made from the names of the features."""
