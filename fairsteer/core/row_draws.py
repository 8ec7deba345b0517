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
# Irrational, because shares of rows are fractions: none is at the edge of a bin.
_OFFSET = 1.0 / np.sqrt(5.0)


class RowDraws:
    """Numbers in (0, 1) from a hash of the seed and a word for each row.

    The hash is the finalizer of SplitMix64 (Steele, Lea and Flood 2014). ``draws[rows]`` computes
    the draws of rows; only the words are stored.

    Parameters
    ----------
    words : ndarray of uint64 of shape (n,)
        Rows with equal words have equal draws.
    seed : int
        Different seeds give independent draws.
    n_draws : int
        Number of draws per row.
    """

    def __init__(self, words: _Words, seed: int, n_draws: int) -> None:
        self._n_draws = n_draws
        with np.errstate(over="ignore"):
            start = _mix(np.full(len(words), seed, dtype=np.uint64) + _GOLDEN)
            self._words = _mix(start ^ words)

    @classmethod
    def of_rows(
        cls,
        X: Array,
        places: Iterable[Array],
        codes: NDArray[np.intp],
        seed: int,
        n_draws: int,
    ) -> RowDraws:
        """Return draws that depend on the place of a row, its group and its occurrence.

        The k-th of identical rows of a call gets the k-th draw, so identical rows are spread. The
        draws of a row depend on no distinct row, nor on the order of rows or the process. Rounding
        to single precision, or other units, leaves the places and so the draws as they are.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            Rows, to find identical ones.
        places : iterable of ndarray of shape (n,)
            Where the values of each feature are among the training values, in [0, 1]. Places that
            differ by less than 1 / 1024 may count as equal.
        codes : ndarray of shape (n,)
            Position of each row's group; -1 where it is unknown.
        seed, n_draws : int
            As above.
        """
        with np.errstate(over="ignore"):
            group = _mix(codes.astype(np.int64).view(np.uint64))
            words, exact = group, group
            for place in places:
                bins = np.floor(place * _BINS + _OFFSET).astype(np.int64)
                words = _mix(words ^ bins.view(np.uint64)) + _GOLDEN
            for column in X.T:
                values = np.ascontiguousarray(column, dtype=np.float64) + 0.0
                exact = _mix(exact ^ values.view(np.uint64)) + _GOLDEN
            return cls(_mix(words) + _occurrence(exact) * _GOLDEN, seed, n_draws)

    def __getitem__(self, rows: Any) -> Array:
        """Return the draws of the rows at positions, shape (m, n_draws)."""
        words = self._words[rows]
        draws = np.empty((len(words), self._n_draws))
        with np.errstate(over="ignore"):
            for j in range(self._n_draws):
                bits = _mix(words + np.uint64(j + 1) * _GOLDEN) >> np.uint64(11)
                draws[:, j] = (bits.astype(np.float64) + 0.5) * 2.0**-53
        return draws


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
