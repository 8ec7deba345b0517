"""Frontiers of accuracy against a gap: hypervolume, accuracy at a gap, intervals. Pure functions.

Rows of the data are resampled with their predictions, the same rows for every method; nothing is
trained anew, so intervals tell what other held-out rows would change, not other training rows.
"""

from __future__ import annotations

import numpy as np

GAPS = ("demographic_parity", "equal_opportunity", "equalized_odds")
LEVEL = 0.95


def dominated_hypervolume(accuracies, gaps, *, accuracy: float, gap: float) -> float:
    """Return the area that a frontier dominates, as a share of what is attainable for free.

    Parameters
    ----------
    accuracies, gaps : array-like of shape (p,)
        The points of one method.
    accuracy : float
        Accuracy of the reference point: that of the best constant prediction.
    gap : float
        Gap of the reference point: that of the unmitigated model.

    Returns
    -------
    float
        Area between the reference point and the staircase of undominated points, in units of
        accuracy times gap.
    """
    accuracies, gaps = np.asarray(accuracies, float), np.asarray(gaps, float)
    inside = (accuracies > accuracy) & (gaps < gap)
    order = np.argsort(gaps[inside], kind="stable")
    heights = np.maximum.accumulate(accuracies[inside][order] - accuracy)
    widths = np.diff(np.append(gaps[inside][order], gap))
    return float(heights @ widths) if len(heights) else 0.0


def best_within(accuracies, gaps, limit: float) -> int | None:
    """Return the position of the most accurate point with a gap of at most `limit`, or None."""
    accuracies, gaps = np.asarray(accuracies, float), np.asarray(gaps, float)
    within = np.flatnonzero(gaps <= limit)
    return int(within[accuracies[within].argmax()]) if len(within) else None


def resample(n: int, n_resamples: int, random_state=0) -> np.ndarray:
    """Return how often each of `n` rows is drawn, shape (1 + n_resamples, n); first once each."""
    rng = np.random.default_rng(random_state)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=n_resamples)
    return np.vstack([np.ones(n, dtype=counts.dtype), counts])


def measured(y, codes, predictions, counts) -> dict[str, np.ndarray]:
    """Measure accuracy and gaps of many predictions on many resamples at once.

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
        ``accuracy`` and the three `GAPS`. A gap is NaN in a resample without a row of some label
        and group that it is about.
    """
    n_groups = codes.max() + 1
    rows = np.zeros((2, n_groups, len(counts)))
    positives = np.zeros((2, n_groups, len(counts), len(predictions)))
    for label in range(2):
        for group in range(n_groups):
            cell = (y == label) & (codes == group)
            rows[label, group] = counts[:, cell].sum(axis=1)
            # Counts below 2 ** 24 are exact in float32, at half the time.
            drawn = counts[:, cell].astype(np.float32)
            positives[label, group] = drawn @ predictions[:, cell].T.astype(np.float32)
    right = positives[1].sum(axis=0) + (rows[0, ..., None] - positives[0]).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = positives / rows[..., None]
        selected = positives.sum(axis=0) / rows.sum(axis=0)[..., None]
    spread = np.ptp(rates, axis=1)
    return {
        "accuracy": right / rows.sum(axis=(0, 1))[:, None],
        "demographic_parity": np.ptp(selected, axis=0),
        "equal_opportunity": spread[1],
        "equalized_odds": spread.max(axis=0),
    }


def interval(draws) -> tuple[float, float]:
    """Return the percentile interval of `LEVEL`; NaN draws are left out."""
    edge = 50.0 * (1.0 - LEVEL)
    low, high = np.nanpercentile(np.asarray(draws, float), [edge, 100.0 - edge])
    return float(low), float(high)
