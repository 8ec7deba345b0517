"""Shrinkage of covariances towards a multiple of the identity."""

from __future__ import annotations

import numpy as np

from fairsteer.core.linalg import Array

_ROUNDING = 1e-20
"""Mean variance that rounding alone leaves to identical rows."""


def oas(covariance: Array, n_samples: float) -> float:
    """Return the oracle approximating shrinkage coefficient.

    Parameters
    ----------
    covariance : ndarray of shape (d, d)
        Maximum-likelihood covariance.
    n_samples : float
        Number of rows behind it (a sum of frequencies may be fractional).

    Returns
    -------
    float
        Coefficient in [0, 1].

    References
    ----------
    Chen, Wiesel, Eldar and Hero (2010), "Shrinkage algorithms for MMSE covariance estimation",
    IEEE Transactions on Signal Processing 58(10), equation 23, in the form scikit-learn uses.
    """
    n_features = covariance.shape[-1]
    mean_square = float(np.mean(covariance**2))
    mean_variance = float(np.trace(covariance)) / n_features
    denominator = (n_samples + 1.0) * (mean_square - mean_variance**2 / n_features)
    if denominator <= 0.0:
        return 1.0
    return min(float((mean_square + mean_variance**2) / denominator), 1.0)


def shrink_covariance(
    covariance: Array, n_samples: float, shrinkage: float | str, fallback_variance: float = 1.0
) -> Array:
    """Move a covariance towards (mean variance) times the identity.

    Parameters
    ----------
    covariance : ndarray of shape (d, d)
        Maximum-likelihood covariance, in units in which variances are of order one.
    n_samples : float
        Number of rows behind it; used by ``"auto"`` only.
    shrinkage : float in [0, 1] or "auto"
        Weight of the target; ``"auto"`` is :func:`oas`.
    fallback_variance : float, default=1.0
        Variance of the target where the covariance is zero up to rounding (a single row, or
        identical rows), because there a multiple of its own mean variance would be no law.

    Returns
    -------
    ndarray of shape (d, d)
    """
    weight = oas(covariance, n_samples) if shrinkage == "auto" else float(shrinkage)
    n_features = covariance.shape[-1]
    mean_variance = float(np.trace(covariance)) / n_features
    if mean_variance <= _ROUNDING:
        mean_variance = fallback_variance
    shrunk: Array = (1.0 - weight) * covariance
    shrunk[np.diag_indices(n_features)] += weight * mean_variance
    return shrunk


def toward_effects(counts: Array, means: Array, scatters: Array) -> tuple[Array, Array]:
    """Shrink the moments of cells towards the effects of their label and their group.

    A mean moves towards the sum of a label's and a group's effect (with one label: towards the
    mean of all), by ``1 / (1 + n t)``: ``n`` are the cell's rows and ``t`` is the variance of what
    these effects leave, estimated by moments from all cells in units of the pooled variances
    within cells (DerSimonian and Laird's estimate, the mean over features). The effects are fitted
    with weights ``n / (1 + n t)``. A covariance moves
    towards the pooled one within cells, which counts as d + 2 rows. Both take the unbiased pooled
    covariance: rows less cells in its denominator.

    Parameters
    ----------
    counts, means, scatters : ndarray of shapes (K, G), (K, G, d), (K, G, d, d)
        Moments of subgroups; all counts positive.

    Returns
    -------
    means : ndarray of shape (K, G, d)
    scatters : ndarray of shape (K, G, d, d)
        Sums over the same counts.

    References
    ----------
    DerSimonian and Laird (1986), "Meta-analysis in clinical trials", Controlled Clinical Trials
    7(3), for the estimate of the variance between cells.
    """
    (n_labels, n_groups), d = counts.shape, means.shape[-1]
    labels, groups = np.divmod(np.arange(n_labels * n_groups), n_groups)
    design = np.eye(n_labels)[labels]
    if n_labels > 1:
        design = np.hstack([design, np.eye(n_groups)[groups]])
    rows, values = counts.ravel(), means.reshape(-1, d)
    hat = _fitted_values(design, rows)
    effects = hat @ values
    pooled = scatters.sum(axis=(0, 1)) / max(rows.sum() - len(rows), 1.0)
    variances = np.diag(pooled)
    varying = variances > 0.0
    freedom = len(rows) - np.trace(hat)
    between = 0.0
    if freedom > 0.5 and varying.any():
        leftover = np.mean(rows @ (values - effects)[:, varying] ** 2 / variances[varying])
        slope = rows.sum() - rows @ np.diag(hat)
        between = max(0.0, (leftover - freedom) / slope)
    # Where cells differ beyond the effects, large cells tell no more of the effects than others.
    effects = _fitted_values(design, rows / (1.0 + rows * between)) @ values
    kept = (rows * between / (1.0 + rows * between))[:, None]
    moved = (effects + kept * (values - effects)).reshape(means.shape)
    share = ((d + 2.0) / (counts + d + 2.0))[:, :, None, None]
    return moved, (1.0 - share) * scatters + share * counts[:, :, None, None] * pooled


def _fitted_values(design: Array, weights: Array) -> Array:
    """Return the matrix from values to fitted values of weighted least squares."""
    root = np.sqrt(weights)
    # The design has one column too many.
    hat: Array = design @ np.linalg.pinv(design * root[:, None]) * root
    return hat
