"""Kullback-Leibler divergence (in nats) and total variation between Gaussians."""

from __future__ import annotations

import numpy as np

from fairsteer.core.crossings import crossings, interval_probabilities
from fairsteer.core.linalg import Array

_PIVOT_RATIO = 100.0
"""Ratio of the pivots of a Cholesky factor from which its rounding errors are corrected."""


def gaussian_kl(
    means: Array, covariances: Array, reference_means: Array, reference_covariances: Array
) -> Array:
    """Return ``KL(N(means, covariances) || N(reference_means, reference_covariances))``.

    Parameters
    ----------
    means, reference_means : ndarray of shape (..., d)
        Means of the first and the second distribution.
    covariances, reference_covariances : ndarray of shape (..., d, d)
        Symmetric positive definite covariances.

    Returns
    -------
    ndarray of shape (...)
        Divergences in nats, never negative.

    Raises
    ------
    ValueError
        If a covariance is not positive definite beyond rounding.
    """
    try:
        factor = np.linalg.cholesky(covariances)
        reference = np.linalg.cholesky(reference_covariances)
    except np.linalg.LinAlgError:
        raise ValueError(
            "a divergence needs positive definite covariances, but one of them is singular up to "
            "rounding: raise shrinkage, or drop features that are almost linear combinations of "
            "others."
        ) from None
    # The factors' condition numbers are only the square roots of those of the covariances.
    ratio = np.linalg.solve(reference, factor)
    shift = np.linalg.solve(reference, (reference_means - means)[..., None])
    squares = np.sum(ratio**2, axis=(-2, -1)) - means.shape[-1] + np.sum(shift**2, axis=(-2, -1))
    value = 0.5 * squares + _half_logdet(reference) - _half_logdet(factor)
    if _is_ill_conditioned(factor) or _is_ill_conditioned(reference):
        # The derivative of the divergence corrects it for the rounding errors of the factors.
        eye, turned = np.eye(means.shape[-1]), np.swapaxes(ratio, -1, -2)
        own = _rounding_error(covariances, factor) * (turned @ ratio - eye)
        second_moments = ratio @ turned + shift * np.swapaxes(shift, -1, -2)
        other = _rounding_error(reference_covariances, reference) * (second_moments - eye)
        value += 0.5 * (np.sum(own, axis=(-2, -1)) - np.sum(other, axis=(-2, -1)))
    return np.asarray(np.maximum(value, 0.0))


def _half_logdet(factor: Array) -> Array:
    """Return half the log-determinant of a covariance from its Cholesky factor, shape (...)."""
    half: Array = np.sum(np.log(np.einsum("...jj->...j", factor)), axis=-1)
    return half


def _is_ill_conditioned(factor: Array) -> bool:
    """Whether rounding errors of a Cholesky factor (..., d, d) may matter."""
    pivots = np.einsum("...jj->...j", factor)
    return bool(np.any(pivots.max(axis=-1) > _PIVOT_RATIO * pivots.min(axis=-1)))


def _rounding_error(matrix: Array, factor: Array) -> Array:
    """Return ``L^{-1} (A - L L') L^{-T}`` for a matrix A and its Cholesky factor L.

    The factor is split into two parts of half as many digits, whose products have no rounding
    errors (Dekker's method), so the difference is right to about twice as many digits.
    """
    bits = (52 - factor.shape[-1].bit_length()) // 2
    unit = np.exp2(np.ceil(np.log2(np.abs(factor).max(axis=-1, keepdims=True))))
    cut = 1.5 * unit * 2.0 ** (52 - bits)
    high = (factor + cut) - cut
    low = factor - high
    turned = np.swapaxes(high, -1, -2)
    rest = ((matrix - high @ turned) - low @ turned) - factor @ np.swapaxes(low, -1, -2)
    half = np.linalg.solve(factor, rest)
    error: Array = np.linalg.solve(factor, np.swapaxes(half, -1, -2))
    return error


def mixture_kl(priors: Array, reference_priors: Array, kl_per_subgroup: Array) -> float:
    """Return the KL divergence of two joint distributions of label, group and features, in nats.

    By the chain rule, the divergence of the priors plus the mean divergence of the subgroups.

    Parameters
    ----------
    priors, reference_priors : ndarray of shape (K, G)
        ``P(label, group)`` of the first and the second distribution.
    kl_per_subgroup : ndarray of shape (K, G)
        Divergences of the features given label and group, in nats.
    """
    return float(np.sum(priors * (np.log(priors / reference_priors) + kl_per_subgroup)))


def total_variation_bound(kl: Array) -> Array:
    """Bound the total variation by a KL divergence: ``min(sqrt(KL / 2), sqrt(1 - exp(-KL)))``.

    The smaller of the bounds by Pinsker and by Bretagnolle and Huber, at most 1.

    Parameters
    ----------
    kl : ndarray of shape (...)
        Divergences in nats.
    """
    bound: Array = np.minimum(np.sqrt(kl / 2.0), np.sqrt(-np.expm1(-kl)))
    return bound


def univariate_total_variation(
    mean: float, variance: float, other_mean: float, other_variance: float
) -> float:
    """Return the exact total variation of two one-dimensional Gaussians."""
    means, variances = np.array([mean, other_mean]), np.array([variance, other_variance])
    return mixture_total_variation(np.array([1.0, -1.0]), means, variances)


def mixture_total_variation(weights: Array, means: Array, variances: Array) -> float:
    """Return the exact total variation of two one-dimensional mixtures of Gaussians.

    Half the integral of ``|sum_k weights_k N(x; means_k, variances_k)|``, summed over the intervals
    between sign changes (see :func:`fairsteer.core.crossings.crossings`).

    Parameters
    ----------
    weights : ndarray of shape (m,)
        Weights of the first mixture, which sum to 1, and minus those of the second.
    means, variances : ndarray of shape (m,)
        Parameters of the Gaussians.
    """
    deviations = np.sqrt(variances)
    cuts = crossings(weights, means, deviations)
    signed = sum(
        w * interval_probabilities(cuts, float(m), float(s))
        for w, m, s in zip(weights, means, deviations, strict=True)
    )
    return float(min(0.5 * np.sum(np.abs(signed)), 1.0))


def total_variation(
    means: Array, covariances: Array, other_means: Array, other_covariances: Array
) -> Array:
    """Return upper bounds on the total variation of pairs of Gaussians, shape (...).

    Exact for one feature; otherwise :func:`total_variation_bound` of the smaller of the two KL
    divergences.

    Parameters
    ----------
    means, other_means : ndarray of shape (..., d)
        Means.
    covariances, other_covariances : ndarray of shape (..., d, d)
        Symmetric positive definite covariances.
    """
    if means.shape[-1] == 1:
        parts = np.broadcast_arrays(
            means[..., 0], covariances[..., 0, 0], other_means[..., 0], other_covariances[..., 0, 0]
        )
        return np.asarray(np.vectorize(univariate_total_variation, otypes=[float])(*parts))
    forward = gaussian_kl(means, covariances, other_means, other_covariances)
    backward = gaussian_kl(other_means, other_covariances, means, covariances)
    return total_variation_bound(np.minimum(forward, backward))
