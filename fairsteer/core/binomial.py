"""Confidence limits of rates."""

from __future__ import annotations

import numpy as np
from scipy.stats import beta

from fairsteer.core.linalg import Array


def rate_limits(hits: Array, sizes: Array, tail: float) -> tuple[Array, Array]:
    """Return limits of rates, each of which fails with a probability of at most ``tail``.

    Parameters
    ----------
    hits, sizes : ndarray of int of any shape
        Rows that count, and all rows.
    tail : float
        Probability that one limit fails.

    Returns
    -------
    lower, upper : ndarray
        Clopper and Pearson (1934), "The use of confidence or fiducial limits illustrated in the
        case of the binomial", Biometrika 26. 0 and 1 without rows.
    """
    with np.errstate(invalid="ignore"):
        lower = np.where(hits > 0, beta.ppf(tail, hits, sizes - hits + 1), 0.0)
        upper = np.where(hits < sizes, beta.isf(tail, hits + 1, sizes - hits), 1.0)
    return lower, upper
