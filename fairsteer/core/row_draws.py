"""Reproducible uniform draws for each row, independent of the other rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairsteer.core.linalg import Array

_Words = NDArray[np.uint64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class RowDraws:
    """Numbers in (0, 1) from a hash of the seed, the values of a row and its occurrence.

    The hash is the finalizer of SplitMix64 (Steele, Lea and Flood 2014), chained over the columns.
    The k-th of identical rows of a call gets the k-th draw, so identical rows are spread. The draws
    of a row depend on no distinct row, nor on the order of rows or the process. One word is stored
    per row; ``draws[rows]`` computes the draws of rows.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Values to hash; 0.0 and -0.0 are equal.
    codes : ndarray of shape (n,)
        Position of each row's group, also hashed; -1 where it is unknown.
    seed : int
        Different seeds give independent draws.
    n_draws : int
        Number of draws per row.
    """

    def __init__(self, X: Array, codes: NDArray[np.intp], seed: int, n_draws: int = 0) -> None:
        if X.ndim == 1:  # TEMPORARY
            self._n_draws = seed
            with np.errstate(over="ignore"):
                self._words = _mix(_mix(np.full(len(X), codes, dtype=np.uint64) + _GOLDEN) ^ X)
            return
        self._n_draws = n_draws
        with np.errstate(over="ignore"):
            words = _mix(np.full(len(X), seed, dtype=np.uint64) + _GOLDEN)
            for column in X.T:
                values = np.ascontiguousarray(column, dtype=np.float64) + 0.0
                words = _mix(words ^ values.view(np.uint64)) + _GOLDEN
            words = _mix(words ^ codes.astype(np.int64).view(np.uint64))
            self._words = _mix(words + _occurrence(words) * _GOLDEN)

    def __getitem__(self, rows: Any) -> Array:
        """Return the draws of the rows at positions, shape (m, n_draws)."""
        words = self._words[rows]
        draws = np.empty((len(words), self._n_draws))
        with np.errstate(over="ignore"):
            for j in range(self._n_draws):
                bits = _mix(words + np.uint64(j + 1) * _GOLDEN) >> np.uint64(11)
                draws[:, j] = (bits.astype(np.float64) + 0.5) * 2.0**-53
        return draws


def row_words(X: Array, codes: NDArray[np.intp]) -> _Words:
    """Return a word for each row from its values in single precision and its group.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows.
    codes : ndarray of shape (n,)
        Positions of the groups, -1 where unknown.

    Returns
    -------
    ndarray of uint64 of shape (n,)
    """
    with np.errstate(over="ignore"):
        words = _mix(codes.astype(np.int64).view(np.uint64) + _GOLDEN)
        for column in X.T:
            values = np.ascontiguousarray(column, dtype=np.float32) + np.float32(0.0)
            words = _mix(words ^ values.view(np.uint32)) + _GOLDEN
    return words


def _mix(words: _Words) -> _Words:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _occurrence(words: _Words) -> _Words:
    """Return how many equal words precede each word."""
    order = np.argsort(words, kind="stable")
    position = np.arange(len(words))
    is_first = np.diff(words[order], prepend=~words[order][:1]) != 0
    first = np.maximum.accumulate(np.where(is_first, position, 0))
    occurrence = np.empty(len(words), dtype=np.uint64)
    occurrence[order] = (position - first).astype(np.uint64)
    return occurrence
