"""Functions of symmetric matrices, on batches of shape ``(..., d, d)``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf

Array = NDArray[np.floating[Any]]
_NO_PART = 1e-6
"""Share of the largest coefficient of a linear combination that counts as 0."""


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view of an array that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def symmetrize(matrix: Array) -> Array:
    """Return the symmetric part of ``matrix``, shape (..., d, d)."""
    return 0.5 * (matrix + np.swapaxes(matrix, -1, -2))


def _spectrum(matrix: Array) -> tuple[Array, Array]:
    values, vectors = np.linalg.eigh(matrix)
    # Rounding can make the smallest eigenvalues of a positive definite matrix negative.
    floor = np.finfo(np.float64).eps * values[..., -1:]
    return np.maximum(values, floor), vectors


def _spectral(matrix: Array, power: float) -> Array:
    values, vectors = _spectrum(matrix)
    powered: Array = (vectors * values[..., None, :] ** power) @ np.swapaxes(vectors, -1, -2)
    return powered


def sqrtm(matrix: Array) -> Array:
    """Return the symmetric positive definite square root, shape (..., d, d)."""
    return _spectral(matrix, 0.5)


def invsqrtm(matrix: Array) -> Array:
    """Return the inverse of the symmetric square root, shape (..., d, d)."""
    return _spectral(matrix, -0.5)


def roots(matrix: Array) -> tuple[Array, Array]:
    """Return the symmetric square root and its inverse, shape (..., d, d) each."""
    values, vectors = _spectrum(matrix)
    turned = np.swapaxes(vectors, -1, -2)
    root = np.sqrt(values)[..., None, :]
    return (vectors * root) @ turned, (vectors / root) @ turned


def inv_spd(matrix: Array) -> Array:
    """Return the inverse of symmetric positive definite matrices, shape (..., d, d)."""
    return symmetrize(np.linalg.inv(matrix))


def logdet(matrix: Array) -> Array:
    """Return ``log |det matrix|``, shape (...)."""
    value: Array = np.linalg.slogdet(matrix)[1]
    return value


def is_symmetric(matrix: Array) -> bool:
    """Whether all matrices of shape (..., d, d) are symmetric up to rounding."""
    difference = np.abs(matrix - np.swapaxes(matrix, -1, -2)).max(axis=(-2, -1), initial=0.0)
    return bool(np.all(difference <= 1e-8 * np.abs(matrix).max(axis=(-2, -1), initial=0.0)))


def is_spd(matrix: Array) -> bool:
    """Whether all symmetric matrices (..., d, d) are positive definite beyond rounding.

    Matrices are scaled to unit diagonal first, so the features' units do not matter.
    """
    diagonal = np.einsum("...jj->...j", matrix)
    if not np.all(diagonal > 0.0):
        return False
    scale = np.sqrt(diagonal)
    try:
        factor = np.linalg.cholesky(matrix / (scale[..., :, None] * scale[..., None, :]))
    except np.linalg.LinAlgError:
        return False
    return bool(np.all(np.einsum("...jj->...j", factor) ** 2 > _tolerance(scale.shape[-1])))


def _tolerance(n_features: int) -> float:
    """Return the unexplained share of a feature's variance that may be due to rounding."""
    return 10 * n_features * float(np.finfo(np.float64).eps)


def find_dependent(covariance: Array) -> list[int]:
    """Return the positions of features that are linearly dependent, or of a constant one.

    Parameters
    ----------
    covariance : ndarray of shape (d, d)
        Symmetric, not negative definite.

    Returns
    -------
    list of int
        The first feature that is a linear combination of earlier ones, after those; empty if the
        covariance is positive definite beyond rounding.
    """
    variances = np.diag(covariance)
    if not np.all(variances > 0.0):
        return [int(np.argmax(~(variances > 0.0)))]
    scale = np.sqrt(variances)
    correlation = covariance / np.outer(scale, scale)
    factor, failed = dpotrf(correlation, lower=True)
    pivots = np.diag(factor)[: failed - 1 if failed else None] ** 2
    small = np.flatnonzero(pivots <= _tolerance(len(scale)))
    if not failed and len(small) == 0:
        return []
    last = int(small[0]) if len(small) else failed - 1
    weights = np.abs(np.linalg.solve(correlation[:last, :last], correlation[:last, last]))
    return [*np.flatnonzero(weights > _NO_PART * weights.max()).tolist(), last]


def distinct(matrices: Array) -> Array:
    """Return the first matrix only, if all matrices along the first axis share its memory."""
    return matrices[:1] if matrices.strides[0] == 0 else matrices
