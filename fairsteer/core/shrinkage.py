"""Shrinkage of covariances toward a multiple of the identity, and of moments of subgroups."""

from __future__ import annotations

import numpy as np

from fairsteer.core.linalg import Array

_ROUNDING = 1e-20
"""Mean variance of identical rows, which is due to rounding."""


def oas(covariance: Array, n_samples: float) -> float:
    """Return the oracle approximating shrinkage coefficient.

    Parameters
    ----------
    covariance : ndarray of shape (d, d)
        Maximum-likelihood covariance.
    n_samples : float
        Number of rows (a sum of frequencies, which may be fractional).

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
    """Return a covariance shrunk toward its mean variance times the identity.

    Parameters
    ----------
    covariance : ndarray of shape (d, d)
        Maximum-likelihood covariance, in units in which variances are of order one.
    n_samples : float
        Number of rows; used by ``"auto"`` only.
    shrinkage : float in [0, 1] or "auto"
        Weight of the target; ``"auto"`` is :func:`oas`.
    fallback_variance : float, default=1.0
        Variance of the target where the covariance is zero up to rounding (a single row, or
        identical rows), because a target of mean variance zero is singular.

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
    """Shrink the moments of subgroups toward those predicted from their label and group.

    A mean is shrunk toward the sum of an effect of its label and an effect of its group (with a
    single label, toward the mean of all rows), by ``1 / (1 + n t)``. Here ``n`` is the number of
    rows of the subgroup and ``t`` the variance of the means around these effects, in units of the
    pooled within-subgroup variances; it is the moment estimate of DerSimonian and Laird, averaged
    over features. The effects are fitted with weights ``n / (1 + n t)``. A covariance is shrunk
    toward the pooled within-subgroup covariance, with the weight of d + 2 rows. The pooled
    covariance is unbiased: its denominator is the number of rows minus the number of subgroups.

    Parameters
    ----------
    counts, means, scatters : ndarray of shapes (K, G), (K, G, d), (K, G, d, d)
        Moments of subgroups; all counts positive.

    Returns
    -------
    means : ndarray of shape (K, G, d)
    scatters : ndarray of shape (K, G, d, d)
        For the same counts.

    References
    ----------
    DerSimonian and Laird (1986), "Meta-analysis in clinical trials", Controlled Clinical Trials
    7(3), for the estimate of the variance between subgroups.
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
    # If subgroups vary around the effects, large subgroups determine them no better than others.
    effects = _fitted_values(design, rows / (1.0 + rows * between)) @ values
    kept = (rows * between / (1.0 + rows * between))[:, None]
    moved = (effects + kept * (values - effects)).reshape(means.shape)
    share = ((d + 2.0) / (counts + d + 2.0))[:, :, None, None]
    return moved, (1.0 - share) * scatters + share * counts[:, :, None, None] * pooled


def _fitted_values(design: Array, weights: Array) -> Array:
    """Return the matrix from values to fitted values of weighted least squares."""
    root = np.sqrt(weights)
    # The columns of the design are linearly dependent, hence the pseudoinverse.
    hat: Array = design @ np.linalg.pinv(design * root[:, None]) * root
    return hat
