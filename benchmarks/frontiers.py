"""Frontiers of a score against a gap: hypervolume, score at a gap, intervals. Pure functions.

Rows of the data are resampled with their predictions, the same rows for every method; models are
not retrained, so intervals cover the choice of held-out rows, not of training rows.
"""

from __future__ import annotations

import numpy as np

SCORES = ("accuracy", "balanced_accuracy", "auc")
GAPS = ("demographic_parity", "equal_opportunity", "equalized_odds")
LEVEL = 0.95


def dominated_hypervolume(
    scores, gaps, *, constant: float, unmitigated: float, gap: float
) -> float:
    """Return the area that a frontier dominates, as a share of what is attainable for free.

    Parameters
    ----------
    scores, gaps : array-like of shape (p,)
        The points of a method.
    constant : float
        Score of the reference point: that of the best constant prediction.
    unmitigated, gap : float
        Score and gap of the unmitigated model; the gap is that of the reference point.

    Returns
    -------
    float
        Area between the reference point and the staircase of undominated points, divided by that
        of the rectangle between the reference point and the point (`unmitigated`, no gap). NaN
        where this rectangle has no area.
    """
    free = (unmitigated - constant) * gap
    if not free > 0.0:
        return np.nan
    scores, gaps = np.asarray(scores, float), np.asarray(gaps, float)
    inside = (scores > constant) & (gaps < gap)
    order = np.argsort(gaps[inside], kind="stable")
    heights = np.maximum.accumulate(scores[inside][order] - constant)
    widths = np.diff(np.append(gaps[inside][order], gap))
    return float(heights @ widths) / free if len(heights) else 0.0


def best_within(scores, gaps, limit: float) -> int | None:
    """Return the position of the best score with a gap of at most `limit`, or None."""
    scores, gaps = np.asarray(scores, float), np.asarray(gaps, float)
    within = np.flatnonzero(gaps <= limit)
    return int(within[scores[within].argmax()]) if len(within) else None


def resample(n: int, n_resamples: int, random_state=0) -> np.ndarray:
    """Return how often each of `n` rows is drawn, shape (1 + n_resamples, n); first once each."""
    rng = np.random.default_rng(random_state)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples)
    return np.vstack([np.ones(n, dtype=counts.dtype), counts])


def measured(y, codes, predictions, counts) -> dict[str, np.ndarray]:
    """Measure accuracies and gaps of many predictions on many resamples at once.

    Parameters
    ----------
    y, codes : ndarray of int, shape (n,)
        0/1 labels, and groups 0, 1, ..., G - 1.
    predictions : ndarray of shape (p, n)
        0/1 predictions of p points.
    counts : ndarray of shape (b, n)
        From `resample`.

    Returns
    -------
    dict of ndarray of shape (b, p)
        ``accuracy``, ``balanced_accuracy`` and the three `GAPS`. A gap is NaN in a resample without
        a row of some label and group that it is about.
    """
    n_groups = codes.max() + 1
    rows = np.zeros((2, n_groups, len(counts)))
    positives = np.zeros((2, n_groups, len(counts), len(predictions)))
    for label in range(2):
        for group in range(n_groups):
            own = (y == label) & (codes == group)
            rows[label, group] = counts[:, own].sum(axis=1)
            # Counts below 2 ** 24 are exact in float32, at half the time.
            drawn = counts[:, own].astype(np.float32)
            positives[label, group] = drawn @ predictions[:, own].T.astype(np.float32)
    right = np.stack([(rows[0, ..., None] - positives[0]).sum(axis=0), positives[1].sum(axis=0)])
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = positives / rows[..., None]
        selected = positives.sum(axis=0) / rows.sum(axis=0)[..., None]
        recalls = right / rows.sum(axis=1)[..., None]
    spread = np.ptp(rates, axis=1)
    return {
        "accuracy": right.sum(axis=0) / rows.sum(axis=(0, 1))[:, None],
        "balanced_accuracy": recalls.mean(axis=0),
        "demographic_parity": np.ptp(selected, axis=0),
        "equal_opportunity": spread[1],
        "equalized_odds": spread.max(axis=0),
    }


def resampled_auc(y, score, counts) -> np.ndarray:
    """Return the area under the ROC curve on many resamples, ties counted half.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
        0/1 labels.
    score : ndarray of shape (n,)
        Scores of one model.
    counts : ndarray of shape (b, n)
        From `resample`.

    Returns
    -------
    ndarray of shape (b,)
        NaN in a resample without a row of some label.
    """
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(score[order]) > 0.0))
    drawn = counts[:, order]
    positives = np.add.reduceat(drawn * y[order], starts, axis=1)
    negatives = np.add.reduceat(drawn, starts, axis=1) - positives
    below = np.cumsum(negatives, axis=1) - negatives / 2.0
    with np.errstate(invalid="ignore"):
        pairs = positives.sum(axis=1) * negatives.sum(axis=1)
        return np.einsum("bk,bk->b", positives, below) / pairs


def interval(draws) -> tuple[float, float]:
    """Return the percentile interval of `LEVEL`; NaN draws are left out, and NaN if all are."""
    draws = np.asarray(draws, float)
    known = draws[~np.isnan(draws)]
    if not len(known):
        return np.nan, np.nan
    edge = 50.0 * (1.0 - LEVEL)
    low, high = np.percentile(known, [edge, 100.0 - edge])
    return float(low), float(high)
