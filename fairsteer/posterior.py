"""Probability of the label given features and group under fitted Gaussians."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import softmax

from fairsteer._linalg import Array
from fairsteer.gaussian import SubgroupGaussians


def log_density(X: Array, mean: Array, covariance: Array) -> Array:
    """Return the log density of N(mean, covariance) at the rows of X, shape (n,)."""
    factor = np.linalg.cholesky(covariance)
    standardised = solve_triangular(factor, (X - mean).T, lower=True)
    constant = np.log(np.diag(factor)).sum() + 0.5 * len(mean) * np.log(2.0 * np.pi)
    density: Array = -0.5 * np.sum(standardised**2, axis=0) - constant
    return density


def label_posterior(gaussians: SubgroupGaussians, X: Array, group: int) -> Array:
    """Return ``p(label | x, group)`` for rows of one group.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        The fitted law.
    X : ndarray of shape (n, d)
        Rows that all belong to the group.
    group : int
        Position of the group.

    Returns
    -------
    ndarray of shape (n, K)
        Rows sum to one.
    """
    scores = np.stack(
        [
            np.log(gaussians.priors[i, group])
            + log_density(X, gaussians.means[i, group], gaussians.covariances[i, group])
            for i in range(gaussians.n_labels)
        ],
        axis=1,
    )
    posterior: Array = softmax(scores, axis=1)
    return posterior
