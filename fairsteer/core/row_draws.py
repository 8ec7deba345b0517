"""Reproducible uniform draws for each row, independent of the other rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairsteer.core.linalg import Array

_Words = NDArray[np.uint64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_BINS = 1024.0
# Irrational, because places are shares of rows: no fraction is at the edge of a bin.
_OFFSET = 1.0 / np.sqrt(5.0)


class RowDraws:
    """Numbers in (0, 1) from a hash of the seed, the values of a row and its occurrence.

    The hash is the finalizer of SplitMix64 (Steele, Lea and Flood 2014), chained over the columns.
    The k-th of identical rows of a call gets the k-th draw, so identical rows are spread. The draws
    of a row depend on no distinct row, nor on the order of rows or the process. One word is stored
    per row; ``draws[rows]`` computes the draws of rows.

    Parameters
    ----------
    X : ndarray of shape (n, m)
        Values to hash; 0.0 and -0.0 are equal.
    codes : ndarray of shape (n,)
        Position of each row's group, also hashed; -1 where it is unknown.
    seed : int
        Different seeds give independent draws.
    n_draws : int
        Number of draws per row.
    rows : ndarray of shape (n, d), default=None
        Rows that are identical where all values are, if these are not X.
    """

    def __init__(
        self,
        X: NDArray[Any],
        codes: NDArray[np.intp],
        seed: int,
        n_draws: int,
        rows: Array | None = None,
    ) -> None:
        self._n_draws = n_draws
        words = _hash_rows(X, codes, seed)
        identical = words if rows is None else _hash_rows(rows, codes, seed)
        with np.errstate(over="ignore"):
            self._words = _mix(words + _occurrence(identical) * _GOLDEN)

    @classmethod
    def of_identifiers(cls, words: _Words, seed: int, n_draws: int) -> RowDraws:
        """Return draws that depend on a word for each row (n,) and the seed only."""
        draws = cls.__new__(cls)
        with np.errstate(over="ignore"):
            draws._words = _mix(words ^ _mix(np.full(len(words), seed, dtype=np.uint64) + _GOLDEN))
        draws._n_draws = n_draws
        return draws

    def __getitem__(self, rows: Any) -> Array:
        """Return the draws of the rows at positions, shape (m, n_draws)."""
        words = self._words[rows]
        draws = np.empty((len(words), self._n_draws))
        with np.errstate(over="ignore"):
            for j in range(self._n_draws):
                bits = _mix(words + np.uint64(j + 1) * _GOLDEN) >> np.uint64(11)
                draws[:, j] = (bits.astype(np.float64) + 0.5) * 2.0**-53
        return draws


def bin_places(places: Iterable[Array]) -> NDArray[np.int16]:
    """Return bins of places in [0, 1], shape (n, d), from the places of each feature (n,).

    Rounding moves no share of rows to another bin, so draws by bins do not depend on it.
    """
    bins = [np.floor(place * _BINS + _OFFSET).astype(np.int16) for place in places]
    return np.stack(bins, axis=1)


def _hash_rows(X: NDArray[Any], codes: NDArray[np.intp], seed: int) -> _Words:
    with np.errstate(over="ignore"):
        words = _mix(np.full(len(X), seed, dtype=np.uint64) + _GOLDEN)
        for column in X.T:
            values = np.ascontiguousarray(column, dtype=np.float64) + 0.0
            words = _mix(words ^ values.view(np.uint64)) + _GOLDEN
        return _mix(words ^ codes.astype(np.int64).view(np.uint64))


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
