"""Shrinkage of covariances towards a multiple of the identity."""

from __future__ import annotations

import numpy as np

from fairsteer._linalg import Array


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
        Maximum-likelihood covariance.
    n_samples : float
        Number of rows behind it; used by ``"auto"`` only.
    shrinkage : float in [0, 1] or "auto"
        Weight of the target; ``"auto"`` is :func:`oas`.
    fallback_variance : float, default=1.0
        Variance of the target where the covariance is exactly zero (a single row, or
        identical rows), because there a multiple of its own mean variance would be no law.

    Returns
    -------
    ndarray of shape (d, d)
    """
    weight = oas(covariance, n_samples) if shrinkage == "auto" else float(shrinkage)
    n_features = covariance.shape[-1]
    mean_variance = float(np.trace(covariance)) / n_features
    if mean_variance == 0.0:
        mean_variance = fallback_variance
    shrunk: Array = (1.0 - weight) * covariance
    shrunk[np.diag_indices(n_features)] += weight * mean_variance
    return shrunk
