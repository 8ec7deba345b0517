"""Functions of symmetric matrices, on batches of shape ``(..., d, d)``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


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
    tolerance = 10 * scale.shape[-1] * np.finfo(np.float64).eps
    return bool(np.all(np.einsum("...jj->...j", factor) ** 2 > tolerance))


def distinct(matrices: Array) -> Array:
    """Return the first matrix only, if all matrices along the first axis share its memory."""
    return matrices[:1] if matrices.strides[0] == 0 else matrices
