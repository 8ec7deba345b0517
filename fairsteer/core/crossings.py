"""Exact decision regions of weighted one-dimensional Gaussian densities."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from fairsteer.core.linalg import Array

_STEPS_PER_DEVIATION = 50
_REACH = 12.0
_NOISE = 1e-13
"""Sum of weighted densities, as a share of the largest density there, that counts as 0."""


def log_density_line(x: Array, mean: float, deviation: float) -> Array:
    """Return the log density of N(mean, deviation^2) at x, constants dropped, shape of x."""
    value: Array = -0.5 * ((x - mean) / deviation) ** 2 - np.log(deviation)
    return value


def crossings(weights: Array, means: Array, deviations: Array) -> Array:
    """Return where ``sum_k weights_k N(x; means_k, deviations_k^2)`` changes sign, sorted.

    Two terms cross at the roots of a quadratic, the log-likelihood ratio. For more terms, roots are
    bracketed on a grid with steps of a fiftieth of each standard deviation, then refined; two roots
    within a step can be missed.

    Parameters
    ----------
    weights : ndarray of shape (K,)
        Weights of either sign; zeros are ignored.
    means, deviations : ndarray of shape (K,)
        Parameters of the Gaussians.

    Returns
    -------
    ndarray of shape (m,)
    """
    used = weights != 0.0
    weights, means, deviations = weights[used], means[used], deviations[used]
    if not (np.any(weights > 0.0) and np.any(weights < 0.0)):
        return np.empty(0)
    if len(weights) == 2:
        return _quadratic_roots(weights, means, deviations)
    steps = np.linspace(-_REACH, _REACH, int(2 * _REACH * _STEPS_PER_DEVIATION) + 1)
    grid = np.unique(means[:, None] + deviations[:, None] * steps)

    def balance(x: Array) -> Array:
        logs = np.stack([log_density_line(x, m, s) for m, s in zip(means, deviations, strict=True)])
        total: Array = weights @ np.exp(logs - logs.max(axis=0))
        return total

    height = balance(grid)
    # Between mixtures that agree up to rounding, every sign change is noise.
    signs = np.sign(np.where(np.abs(height) > _NOISE, height, 0.0))
    found = np.flatnonzero(signs[:-1] * signs[1:] < 0.0)
    roots = [
        brentq(lambda x: float(balance(np.array([x]))[0]), grid[k], grid[k + 1], xtol=1e-14)
        for k in found
    ]
    return np.sort(np.concatenate([roots, grid[signs == 0.0]]))


def _quadratic_roots(weights: Array, means: Array, deviations: Array) -> Array:
    center, unit = means[1], deviations[1]
    m, s = (means[0] - center) / unit, deviations[0] / unit
    a = 0.5 * (1.0 - 1.0 / s**2)
    b = m / s**2
    c = np.log(abs(weights[0] / weights[1])) - np.log(s) - 0.5 * (m / s) ** 2
    if abs(a) < 1e-14 * (abs(b) + abs(c)):
        # The quadratic is linear up to rounding; a root far out has no probability beyond it.
        return np.empty(0) if abs(b) <= 1e-12 * abs(c) else np.array([center - unit * c / b])
    discriminant = b * b - 4.0 * a * c
    if discriminant <= 0.0:
        return np.empty(0)
    q = -0.5 * (b + np.copysign(np.sqrt(discriminant), b))
    roots = np.array([q / a, c / q]) if q != 0.0 else np.zeros(1)
    return np.sort(center + unit * roots)


def interval_probabilities(cuts: Array, mean: float, deviation: float) -> Array:
    """Return the probabilities of the intervals between sorted cuts under N(mean, deviation^2).

    Parameters
    ----------
    cuts : ndarray of shape (m,)
        Sorted; the outer intervals are unbounded.
    mean, deviation : float
        Parameters of the Gaussian.

    Returns
    -------
    ndarray of shape (m + 1,)
    """
    z = np.concatenate([[-np.inf], (cuts - mean) / deviation, [np.inf]])
    # Differences of the smaller tail lose no precision.
    upper = z[:-1] > 0.0
    below, above = ndtr(z), ndtr(-z)
    probabilities: Array = np.where(upper, above[:-1] - above[1:], below[1:] - below[:-1])
    return probabilities


def interval_midpoints(cuts: Array, unit: float) -> Array:
    """Return a point inside each interval between sorted cuts, shape (m + 1,)."""
    if len(cuts) == 0:
        return np.zeros(1)
    inner = 0.5 * (cuts[:-1] + cuts[1:])
    return np.concatenate([[cuts[0] - unit], inner, [cuts[-1] + unit]])
