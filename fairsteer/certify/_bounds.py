"""Finite-sample bounds on differences between groups; no distribution is assumed.

``counts`` are integers of shape (C, G, m): rows by condition (the label given which groups are
compared), group and output. A pair of groups without rows has distance NaN and bound 1.
"""

from __future__ import annotations

import numpy as np

from fairsteer.core.binomial import rate_limits


def pair_errors(sizes, error_rate, n_claims=1):
    """Return the widths of bounds on distances between groups, shape (C, G, G).

    One row of a group of n changes an empirical distance by at most 1 / n, so McDiarmid's
    inequality gives ``sqrt((1 / n_a + 1 / n_b) log(q / delta) / 2)``, whatever the number of
    outputs.

    Parameters
    ----------
    sizes : ndarray of shape (C, G)
        Rows by condition and group.
    error_rate : float
        delta, the probability with which a bound may fail.
    n_claims : int, default=1
        q, the number of distances that are bounded at once. 1 suffices for the largest distance.

    Returns
    -------
    ndarray of shape (C, G, G)
        Infinite where a group has no rows.
    """
    with np.errstate(divide="ignore"):
        inverse = 1.0 / sizes
    return np.sqrt(
        (inverse[:, :, None] + inverse[:, None, :]) * np.log(n_claims / error_rate) / 2.0
    )


def total_variations(counts):
    """Return the empirical total variation between groups, shape (C, G, G)."""
    shares = _shares(counts)
    return np.stack(
        [np.abs(shares - shares[:, [a]]).sum(axis=2) / 2.0 for a in range(shares.shape[1])], axis=1
    )


def threshold_distances(scores, codes, conditions, n_groups):
    """Return the largest gap of any threshold of a score (Kolmogorov-Smirnov), and where it is.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Scores.
    codes : ndarray of int of shape (n,)
        Positions of groups.
    conditions : list of ndarray of bool of shape (n,)
        Rows that are compared, by condition.
    n_groups : int
        Number of groups.

    Returns
    -------
    distances : ndarray of shape (C, G, G)
        NaN where a group has no rows.
    thresholds : ndarray of shape (C, G, G)
        The gap is that of the rows with a score of at most this value.
    """
    shape = len(conditions), n_groups, n_groups
    distances, thresholds = np.full(shape, np.nan), np.full(shape, np.nan)
    for place, own in enumerate(conditions):
        values, positions = np.unique(scores[own], return_inverse=True)
        table = np.zeros((n_groups, len(values)))
        np.add.at(table, (codes[own], positions), 1.0)
        shares = np.cumsum(_shares(table[None])[0], axis=1)
        for a in range(n_groups):
            for b in range(n_groups):
                if np.isfinite(shares[[a, b]]).all() and len(values):
                    gaps = np.abs(shares[a] - shares[b])
                    distances[place, a, b] = gaps.max()
                    thresholds[place, a, b] = values[gaps.argmax()]
    return distances, thresholds


def distance_bounds(distances, sizes, error_rate, n_claims=1):
    """Return distances plus their errors, at most 1, shape (C, G, G)."""
    bounds = np.minimum(distances + pair_errors(sizes, error_rate, n_claims), 1.0)
    return np.where(np.isnan(bounds), 1.0, bounds)


def rate_bounds(hits, sizes, error_rate, n_claims=1):
    """Return bounds on differences of rates between groups, shape (C, G, G).

    ``U_a - L_b`` of two-sided Clopper-Pearson intervals, for the order of the pair that is larger.
    The largest bound covers the largest difference of the true rates without a correction for the
    number of pairs: the pair and the order where the true difference is largest are fixed, and only
    their two intervals must hold.

    Parameters
    ----------
    hits, sizes : ndarray of int of shape (C, G)
        Rows that are predicted positive, and all rows, by condition and group.
    error_rate : float
        delta.
    n_claims : int, default=1
        Number of differences that are bounded at once.

    Returns
    -------
    ndarray of shape (C, G, G)
        1 where a group has no rows.
    """
    lower, upper = rate_limits(hits, sizes, error_rate / n_claims / 2.0)
    differences = upper[:, :, None] - lower[:, None, :]
    bounds = np.maximum(differences, differences.transpose(0, 2, 1))
    empty = sizes == 0
    return np.where(empty[:, :, None] | empty[:, None, :], 1.0, np.minimum(bounds, 1.0))


def largest(values):
    """Return the largest of values (C, G, G) of different groups; NaN if there is none."""
    upper = values[:, *np.triu_indices(values.shape[1], k=1)]
    return float(np.nanmax(upper)) if np.isfinite(upper).any() else float("nan")


def _shares(counts):
    """Return the share of every output among the rows of a group, NaN without rows."""
    with np.errstate(invalid="ignore"):
        return counts / counts.sum(axis=-1, keepdims=True)
