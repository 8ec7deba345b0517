"""Steer the score of a binary classifier: distributions of scores that agree between groups.

Given the group, a score and the label are a dichotomy of two distributions, whose concave ROC
curve says all about the decisions that it supports. What can be reached from a score without the
label are the garblings, whose curves lie below (Blackwell 1953). So the most that all groups can
have, given equalized odds, is the lower envelope of their curves. Scores are binned; a kernel from
bins to the segments of the envelope carries every group onto it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, eye_array, kron

from fairsteer.core.linalg import Array, read_only

TOLERANCES = (1e-10, 1e-7)
"""Of the transport program, the second one if the first fails."""

_COLLINEAR = 1e-13


@dataclass(frozen=True, eq=False)
class RocCurve:
    """A concave ROC curve, linear between its vertices.

    Parameters
    ----------
    false_positive, true_positive : ndarray of shape (m + 1,)
        Rates at the vertices, ascending from 0 to 1.
    """

    false_positive: Array
    true_positive: Array

    def __post_init__(self) -> None:
        for name in ("false_positive", "true_positive"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    @property
    def negatives(self) -> Array:
        """Share of the negatives in each segment, in descending order of the score, (m,)."""
        return np.diff(self.false_positive)

    @property
    def positives(self) -> Array:
        """Share of the positives in each segment, (m,)."""
        return np.diff(self.true_positive)

    def __call__(self, false_positive: Array) -> Array:
        """Return the largest true positive rate at false positive rates."""
        # A vertical start would give x = 0 two values.
        first = int(np.searchsorted(self.false_positive, 0.0, side="right")) - 1
        rate: Array = np.interp(
            false_positive, self.false_positive[first:], self.true_positive[first:]
        )
        return rate

    def simplify(self, n_segments: int) -> RocCurve:
        """Return a curve of at most this many segments: chords, which lie below the curve."""
        x, y = self.false_positive, self.true_positive
        while len(x) - 1 > n_segments:
            before, after = np.diff(x), np.diff(y)
            lost = np.abs(before[:-1] * after[1:] - before[1:] * after[:-1])
            drop = 1 + int(np.argmin(lost))
            x, y = np.delete(x, drop), np.delete(y, drop)
        return RocCurve(x, y)

    def with_fewest_errors(self, share: float) -> RocCurve:
        """Return the chords to the vertex with the fewest errors, given the share of positives."""
        errors = (1.0 - share) * self.false_positive + share * (1.0 - self.true_positive)
        kept = np.unique([0, int(np.argmin(errors)), len(errors) - 1])
        return RocCurve(self.false_positive[kept], self.true_positive[kept])


def concave_roc(negatives: Array, positives: Array) -> RocCurve:
    """Return the concave ROC curve of two distributions over bins.

    Parameters
    ----------
    negatives, positives : ndarray of shape (m,)
        Probabilities of the bins given each label.

    Returns
    -------
    RocCurve
        Bins in descending order of their likelihood ratio, those of equal ratios together.
    """
    filled = (negatives > 0.0) | (positives > 0.0)
    negatives, positives = negatives[filled], positives[filled]
    order = np.argsort(-np.arctan2(positives, negatives), kind="stable")
    x = np.concatenate([[0.0], np.cumsum(negatives[order])])
    y = np.concatenate([[0.0], np.cumsum(positives[order])])
    return _without_collinear(x / x[-1], y / y[-1])


def lower_envelope(curves: list[RocCurve]) -> RocCurve:
    """Return the largest curve below all of them, which is concave again."""
    x = np.unique(np.concatenate([curve.false_positive for curve in curves]))
    heights = np.stack([curve(x) for curve in curves])
    left, right = heights[:, :-1], heights[:, 1:]
    crossings = [x]
    for a in range(len(curves)):
        for b in range(a):
            start, end = left[a] - left[b], right[a] - right[b]
            cross = start * end < 0.0
            share = start[cross] / (start[cross] - end[cross])
            crossings.append(x[:-1][cross] + share * np.diff(x)[cross])
    x = np.unique(np.concatenate(crossings))
    y = np.min([curve(x) for curve in curves], axis=0)
    return _without_collinear(np.concatenate([[0.0], x]), np.concatenate([[0.0], y]))


def monotone_shares(negatives: Array, positives: Array) -> tuple[Array, Array]:
    """Return distributions over bins whose likelihood ratio ascends with the bin.

    Neighboring bins whose ratio descends share one ratio, the least change in likelihood (the
    pool-adjacent-violators algorithm: the concave hull of the curve in the order of the bins). If a
    score ranks rows well, this keeps noise of small bins from deciding which bins are best.

    Parameters
    ----------
    negatives, positives : ndarray of shape (m,)
        Probabilities of the bins, in ascending order of the score, given each label.

    Returns
    -------
    negatives, positives : ndarray of shape (m,)
    """
    x = np.concatenate([[0.0], np.cumsum(negatives[::-1])])
    y = np.concatenate([[0.0], np.cumsum(positives[::-1])])
    blocks = _hull(x, y)
    pooled = [negatives[::-1].copy(), positives[::-1].copy()]
    for start, end in zip(blocks[:-1], blocks[1:], strict=True):
        mass = pooled[0][start:end] + pooled[1][start:end]
        total = mass.sum()
        shares = mass / total if total > 0.0 else mass
        for own in pooled:
            own[start:end] = own[start:end].sum() * shares
    return pooled[0][::-1], pooled[1][::-1]


def _without_collinear(x: Array, y: Array) -> RocCurve:
    """Return the curve without vertices that lie on (or, by rounding, below) a chord."""
    kept = _hull(x, y)
    return RocCurve(x[kept], y[kept])


def _hull(x: Array, y: Array) -> list[int]:
    """Return the positions of the vertices of the concave hull of an ascending curve."""
    kept: list[int] = []
    for k in range(len(x)):
        if kept and x[k] == x[kept[-1]] and y[k] == y[kept[-1]]:
            continue
        while len(kept) > 1:
            i, j = kept[-2], kept[-1]
            turn = (x[j] - x[i]) * (y[k] - y[j]) - (x[k] - x[j]) * (y[j] - y[i])
            if turn < -_COLLINEAR:
                break
            kept.pop()
        kept.append(k)
    return kept


def score_kernel(
    negatives: Array, positives: Array, target: RocCurve, costs: Array, weights: Array
) -> Array:
    """Return the kernel of least cost that carries bins onto the segments of a curve.

    Parameters
    ----------
    negatives, positives : ndarray of shape (m,)
        Probabilities of a group's bins given each label.
    target : RocCurve
        A curve of k segments, nowhere above that of the bins.
    costs : ndarray of shape (m, k)
        Cost of moving a row from a bin to a segment.
    weights : ndarray of shape (m,)
        Share of the group's rows in each bin.

    Returns
    -------
    ndarray of shape (m, k)
        Probability of every segment given the bin; rows sum to 1. A bin without rows has the row
        of its neighbor.

    Raises
    ------
    ValueError
        If the curve cannot be reached from the bins.

    Notes
    -----
    A transport program: probabilities ``P >= 0`` whose rows sum to 1 with ``P' f_0 = g_0`` and
    ``P' f_1 = g_1``.
    """
    filled = np.flatnonzero((negatives > 0.0) | (positives > 0.0))
    m, k = len(filled), len(target.negatives)
    # Variables are scaled to shares of rows, so that small bins are solved as precisely.
    mass = 0.5 * (negatives + positives)[filled]
    columns = eye_array(k, format="csr")
    equations = _stack(
        kron(eye_array(m), np.ones((1, k))),
        kron((negatives[filled] / mass)[None], columns),
        kron((positives[filled] / mass)[None], columns),
    )
    sides = np.concatenate([mass, target.negatives, target.positives])
    prices = (costs[filled] * (weights[filled] / mass)[:, None]).ravel()
    # Rounding can make the strict program infeasible; its solution is made exact below.
    for tolerance in TOLERANCES:
        found = linprog(
            prices,
            A_eq=equations,
            b_eq=sides,
            bounds=(0.0, None),
            method="highs-ds",
            options={
                "primal_feasibility_tolerance": tolerance,
                "dual_feasibility_tolerance": tolerance,
                "presolve": False,
            },
        )
        if found.x is not None:
            break
    else:
        raise ValueError(
            "the target distribution of scores cannot be reached from a group's scores: its ROC "
            "curve must lie nowhere above that of the group."
        )
    kernel = np.maximum(_solve_exactly(equations, sides, found.x).reshape(m, k), 0.0)
    kernel /= kernel.sum(axis=1, keepdims=True)
    nearest = np.abs(np.arange(len(negatives))[:, None] - filled).argmin(axis=1)
    return np.asarray(kernel[nearest])


def _solve_exactly(equations: Any, sides: Array, x: Array) -> Array:
    """Return a solution with the positive entries of one that holds up to a tolerance."""
    positive = x > 0.0
    part = equations[:, np.flatnonzero(positive)].toarray()
    exact = np.zeros_like(x)
    exact[positive] = x[positive] + np.linalg.lstsq(part, sides - part @ x[positive])[0]
    return exact if exact.min() >= 0.0 else x


def _stack(*blocks: coo_array) -> coo_array:
    from scipy.sparse import vstack

    return vstack(blocks, format="csr")
