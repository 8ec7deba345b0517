"""Affine maps of features, and optimal-transport maps between Gaussians."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fairsteer.core.linalg import Array, distinct, roots, sqrtm, symmetrize


@dataclass(frozen=True, eq=False)
class AffineMap:
    """One affine map ``x -> matrix @ x + offset``, or an array of them.

    Parameters
    ----------
    matrix : ndarray of shape (..., d, d)
        Linear parts.
    offset : ndarray of shape (..., d)
        Translations. An array of maps is indexed by the leading axes: ``maps[i, a]``.

    Raises
    ------
    ValueError
        If the shapes disagree.
    """

    matrix: Array
    offset: Array

    def __post_init__(self) -> None:
        for name in ("matrix", "offset"):
            view = np.asarray(getattr(self, name), dtype=np.float64).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)
        if self.matrix.shape[:-1] != self.offset.shape or (
            self.matrix.shape[-1] != self.offset.shape[-1]
        ):
            raise ValueError(
                "matrix and offset must have shapes (..., d, d) and (..., d), got "
                f"{self.matrix.shape} and {self.offset.shape}."
            )

    def __getstate__(self) -> dict[str, Any]:
        # Without this, copies and files repeat a shared matrix for every label.
        shared = distinct(self.matrix) if self.matrix.ndim > 2 else self.matrix
        return {"matrix": shared, "offset": self.offset}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Copies and files lose write protection.
        offset = state["offset"]
        matrix = np.broadcast_to(state["matrix"], (*offset.shape, offset.shape[-1]))
        self.__dict__.update(matrix=matrix, offset=offset)
        self.__post_init__()

    @classmethod
    def identity(cls, n_features: int, shape: tuple[int, ...] = ()) -> AffineMap:
        """Return an array of identity maps of the given shape."""
        matrix = np.broadcast_to(np.eye(n_features), (*shape, n_features, n_features))
        return cls(matrix, np.zeros((*shape, n_features)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array of maps; ``()`` for a single map."""
        return self.offset.shape[:-1]

    def __getitem__(self, index: Any) -> AffineMap:
        return AffineMap(self.matrix[index], self.offset[index])

    def apply(self, X: Array) -> Array:
        """Apply a single map to the rows of ``X``, shape (n, d).

        The result is ``X`` plus a displacement, so an identity map returns ``X`` exactly.
        """
        return X + self.displacement(X)

    def displacement(self, X: Array) -> Array:
        """Return ``T(x) - x`` of a single map for the rows of ``X``, shape (n, d)."""
        moved: Array = X @ (self.matrix - np.eye(self.matrix.shape[-1])).T
        moved += self.offset
        return moved

    def mean_displacement(self, X: Array, weights: Array) -> Array:
        """Return the displacement by a weighted mean of the maps of K labels.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            Rows.
        weights : ndarray of shape (n, K)
            Weights of the maps, which sum to 1 in each row.

        Returns
        -------
        ndarray of shape (n, d)
            ``sum_i w_i (T_i(x) - x)``.
        """
        origin = np.zeros(X.shape[1])
        moved: Array = MeanDisplacement.of_maps(self, origin)(extend_rows(X, origin), weights)
        return moved

    @property
    def is_identity(self) -> bool:
        """Whether every map is exactly the identity."""
        eye = np.eye(self.matrix.shape[-1])
        return not self.offset.any() and bool(np.all(distinct(self.matrix) == eye))

    def inverse(self) -> AffineMap:
        """Return the inverse maps."""
        matrix = np.linalg.inv(self.matrix)
        return AffineMap(matrix, -np.einsum("...jk,...k->...j", matrix, self.offset))

    def compose(self, first: AffineMap) -> AffineMap:
        """Return the maps that apply ``first``, then these maps; shapes broadcast."""
        offset = np.einsum("...jk,...k->...j", self.matrix, first.offset) + self.offset
        if first.matrix.ndim <= self.matrix.ndim:
            return AffineMap(self.matrix @ first.matrix, offset)
        matrix = self.matrix @ distinct(first.matrix)
        return AffineMap(np.broadcast_to(matrix, (*offset.shape, matrix.shape[-1])), offset)

    def partial(self, strength: float) -> AffineMap:
        """Return the maps ``x + strength (T(x) - x)``: identity at strength 0, T at strength 1."""
        eye = np.eye(self.matrix.shape[-1])
        return AffineMap(eye + strength * (self.matrix - eye), strength * self.offset)

    def pushforward(self, means: Array, covariances: Array) -> tuple[Array, Array]:
        """Return means (..., d) and covariances (..., d, d) of the mapped Gaussians."""
        mapped = np.einsum("...jk,...k->...j", self.matrix, means) + self.offset
        spread = self.matrix @ covariances @ np.swapaxes(self.matrix, -1, -2)
        return mapped, symmetrize(spread)


def extend_rows(X: Any, origin: Any, xp: Any = np) -> Any:
    """Return rows minus a point, with a column of ones appended.

    A product with extended rows includes a constant term without another pass over the rows.

    Parameters
    ----------
    X : array of shape (n, d)
        Rows.
    origin : array of shape (d,)
        The point.
    xp : module, default=numpy
        Array namespace, NumPy or PyTorch.

    Returns
    -------
    array of shape (n, d + 1)
    """
    if xp is not np:
        return xp.concat([X - origin, xp.ones_like(X[:, :1])], 1)
    rows = np.empty((X.shape[0], X.shape[1] + 1))
    np.subtract(X, origin, out=rows[:, :-1])
    rows[:, -1] = 1.0
    return rows


@dataclass(frozen=True, eq=False)
class MeanDisplacement:
    """The displacement ``sum_i w_i (T_i(x) - x)`` by a weighted mean of the maps of K labels.

    It is computed as the displacement of the first map plus weighted differences of the others from
    it, which are constant where the labels share a matrix.

    Parameters
    ----------
    origin : ndarray of shape (d,)
        Point that is subtracted from rows, see :func:`extend_rows`.
    first : ndarray of shape (d + 1, d)
        Displacement of the first map, as a factor of extended rows.
    others : ndarray of shape (K - 1, d + 1, d), or (0, d + 1, d) where labels share a matrix
        Displacements of the other maps minus the displacement of the first.
    shifts : ndarray of shape (K, d)
        Displacements at ``origin`` minus the displacement of the first.
    """

    origin: Array
    first: Array
    others: Array
    shifts: Array

    @classmethod
    def of_maps(cls, maps: AffineMap, origin: Array) -> MeanDisplacement:
        """Prepare an array of maps of shape (K,)."""
        shared = distinct(maps.matrix)
        shifts = maps.offset + (maps.matrix @ origin - origin)
        linear = shared - np.eye(len(origin))
        differences = np.swapaxes(linear[1:] - linear[0], -1, -2)
        further = shifts - shifts[0]
        return cls(
            origin=origin,
            first=np.vstack([linear[0].T, shifts[:1]]),
            others=np.concatenate([differences, further[1 : len(linear), None]], axis=1),
            shifts=further,
        )

    def __call__(self, rows: Any, weights: Any = None) -> Any:
        """Return the displacements (n, d) of extended rows (n, d + 1) by weights (n, K)."""
        step = rows @ self.first
        if len(self.others) == 0 and len(self.shifts) > 1:
            step += weights @ self.shifts
        for i, other in enumerate(self.others, 1):
            # Not in place, which PyTorch could not differentiate.
            step += (rows @ other) * weights[:, [i]]
        return step


def transport_matrix(source: Array, target: Array) -> Array:
    """Return the symmetric M with ``M source M = target``, shape (..., d, d).

    It is the linear part of the optimal-transport map between Gaussians, with quadratic cost:
    ``source^{-1/2} (source^{1/2} target source^{1/2})^{1/2} source^{-1/2}``, computed as
    ``target^{1/2} U source^{-1/2}`` with U the orthogonal factor of ``target^{1/2} source^{1/2}``,
    whose condition number is not squared.
    """
    root, inverse_root = roots(source)
    target_root = sqrtm(target)
    left, _, right = np.linalg.svd(target_root @ root)
    return symmetrize(target_root @ (left @ right) @ inverse_root)


def transport_map(
    source_means: Array,
    source_covariances: Array,
    target_means: Array,
    target_covariances: Array,
    scale: Array | None = None,
) -> AffineMap:
    """Return the optimal-transport maps between Gaussians; the identity between equal ones.

    Parameters
    ----------
    source_means, target_means : ndarray of shape (..., d)
        Means.
    source_covariances, target_covariances : ndarray of shape (..., d, d)
        Symmetric positive definite covariances.
    scale : ndarray of shape (d,), default=None
        Unit of each feature in the transport cost, default 1. Rescaling a feature and its unit
        rescales the map.

    Returns
    -------
    AffineMap
        Array of maps, shaped as the leading axes.
    """
    unit = np.ones(source_means.shape[-1]) if scale is None else scale
    shape = np.broadcast_shapes(source_covariances.shape, target_covariances.shape)
    if source_covariances.ndim == target_covariances.ndim > 2:
        # Labels that share their covariances share the matrix, which is computed once.
        shared = [distinct(part) for part in (source_covariances, target_covariances)]
        if len(shared[0]) == len(shared[1]):
            source_covariances, target_covariances = shared
    source, target = np.broadcast_arrays(source_covariances, target_covariances)
    still = np.all(source == target, axis=(-2, -1))
    matrix = np.empty(source.shape)
    matrix[:] = np.eye(len(unit))
    square = np.outer(unit, unit)
    for place in np.argwhere(~still):
        i = tuple(place)
        moved = transport_matrix(source[i] / square, target[i] / square)
        matrix[i] = unit[:, None] * moved / unit
    matrix = np.broadcast_to(matrix, shape)
    offset = target_means - np.einsum("...jk,...k->...j", matrix, source_means)
    same = still & np.all(source_means == target_means, axis=-1)
    offset = np.where(same[..., None], 0.0, offset)
    return AffineMap(matrix, offset)
