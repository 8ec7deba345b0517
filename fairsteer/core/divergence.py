"""Kullback-Leibler divergence between Gaussians, in nats."""

from __future__ import annotations

import numpy as np

from fairsteer.core.linalg import Array, inv_spd, logdet


def gaussian_kl(
    means: Array, covariances: Array, reference_means: Array, reference_covariances: Array
) -> Array:
    """Return ``KL(N(means, covariances) || N(reference_means, reference_covariances))``.

    Parameters
    ----------
    means, reference_means : ndarray of shape (..., d)
        Means of the first and the second law.
    covariances, reference_covariances : ndarray of shape (..., d, d)
        Symmetric positive definite covariances.

    Returns
    -------
    ndarray of shape (...)
        Divergences in nats, never negative.
    """
    difference = reference_means - means
    ratio = np.linalg.solve(reference_covariances, covariances)
    shift = np.einsum("...jk,...k->...j", inv_spd(reference_covariances), difference)
    trace = np.trace(ratio, axis1=-2, axis2=-1) - means.shape[-1]
    value = 0.5 * (trace - logdet(ratio) + np.sum(difference * shift, axis=-1))
    return np.asarray(np.maximum(value, 0.0))


def mixture_kl(priors: Array, reference_priors: Array, kl_per_subgroup: Array) -> float:
    """Return the divergence of two joint laws of label, group and features.

    Chain rule: divergence of the priors plus the mean of the subgroup divergences, in nats.

    Parameters
    ----------
    priors, reference_priors : ndarray of shape (K, G)
        Laws of (label, group).
    kl_per_subgroup : ndarray of shape (K, G)
        Divergences of the feature laws given label and group.
    """
    return float(np.sum(priors * (np.log(priors / reference_priors) + kl_per_subgroup)))
