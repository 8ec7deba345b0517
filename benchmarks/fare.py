"""The tree and the certificate of FARE (Jovanovic et al., ICML 2023), written anew.

A tree is grown best first by the criterion ``(1 - gamma) Gini(y) + gamma (1/2 - Gini(s))``, so that
leaves tell little about the group s. Its leaves are a finite output. The certificate bounds the
balanced accuracy of the best adversary that guesses the group from the leaf, by Clopper-Pearson
intervals of every leaf (on one half of the rows), and Hoeffding's inequality for their mean and
Clopper-Pearson intervals of the group shares (on the other half).
"""

from __future__ import annotations

import numpy as np
from scipy.stats import beta

ERROR_RATES = {"leaves": 0.8, "mean": 0.1, "shares": 0.1}
"""Shares of the allowed error, as in the paper."""


def grow_tree(X, y, s, gamma, max_leaves, least=100):
    """Return the splits (leaf, column, threshold) of a tree in the order they are made.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Features.
    y, s : ndarray of int of shape (n,)
        Labels and groups, 0 or 1.
    gamma : float
        Weight of the group in the criterion.
    max_leaves, least : int
        Largest number of leaves, and smallest number of rows of a leaf.
    """
    leaves, splits = [np.arange(len(X))], []
    best = [_best_split(X, y, s, leaves[0], gamma, least)]
    while len(leaves) < max_leaves:
        k = int(np.argmax([gain for gain, *_ in best]))
        gain, column, threshold = best[k]
        if not gain > 0.0:
            break
        rows = leaves[k]
        below = X[rows, column] <= threshold
        leaves[k], new = rows[below], rows[~below]
        leaves.append(new)
        splits.append((k, column, threshold))
        best[k] = _best_split(X, y, s, leaves[k], gamma, least)
        best.append(_best_split(X, y, s, new, gamma, least))
    return splits


def apply_tree(splits, X):
    """Return the leaf of each row."""
    leaves = np.zeros(len(X), dtype=np.intp)
    for number, (leaf, column, threshold) in enumerate(splits, start=1):
        leaves[(leaves == leaf) & (X[:, column] > threshold)] = number
    return leaves


def _best_split(X, y, s, rows, gamma, least):
    """Return the largest decrease of the criterion, times the rows, with column and threshold."""
    n = len(rows)
    found = (0.0, -1, 0.0)
    if n < 2 * least:
        return found
    whole = n * _impurity(y[rows].mean(), s[rows].mean(), gamma)
    sizes = np.arange(1, n)
    for column in range(X.shape[1]):
        values = X[rows, column]
        order = np.argsort(values, kind="stable")
        values = values[order]
        cut = np.flatnonzero((values[:-1] < values[1:]) & (sizes >= least) & (sizes <= n - least))
        if not len(cut):
            continue
        left = sizes[cut]
        ys, ss = np.cumsum(y[rows][order]), np.cumsum(s[rows][order])
        parts = left * _impurity(ys[cut] / left, ss[cut] / left, gamma)
        right = n - left
        parts += right * _impurity((ys[-1] - ys[cut]) / right, (ss[-1] - ss[cut]) / right, gamma)
        k = int(np.argmin(parts))
        if whole - parts[k] > found[0]:
            found = (whole - parts[k], column, values[cut[k]])
    return found


def _impurity(p, q, gamma):
    return (1.0 - gamma) * 2.0 * p * (1.0 - p) + gamma * (0.5 - 2.0 * q * (1.0 - q))


def bound_parity(leaves, s, n_leaves, error_rate, random_state=0):
    """Return FARE's bound on the demographic-parity gap of every classifier of leaves."""
    rng = np.random.default_rng(random_state)
    first = rng.permutation(len(s)) < len(s) // 2
    rates = {name: share * error_rate for name, share in ERROR_RATES.items()}
    n = np.bincount(leaves[first], minlength=n_leaves)
    k = np.bincount(leaves[first], s[first], minlength=n_leaves)
    low, high = _interval(k, n, rates["leaves"] / n_leaves)
    other = ~first
    share = _interval(s[other].sum(), other.sum(), rates["shares"])
    # The weight of a group is largest where its share is smallest.
    weights = 0.5 / np.array([1.0 - share[1], share[0]])
    worst = np.maximum(weights[0] * (1.0 - low), weights[1] * high)
    spread = worst.max() - worst.min()
    slack = spread * np.sqrt(np.log(1.0 / rates["mean"]) / (2.0 * other.sum()))
    return float(min(2.0 * (worst[leaves[other]].mean() + slack) - 1.0, 1.0))


def _interval(k, n, error_rate):
    """Return two-sided Clopper-Pearson intervals."""
    with np.errstate(invalid="ignore"):
        low = np.where(k > 0, beta.ppf(error_rate / 2, k, n - k + 1), 0.0)
        high = np.where(k < n, beta.isf(error_rate / 2, k + 1, n - k), 1.0)
    return low, high
