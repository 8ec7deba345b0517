"""Densities after the label-free map, which need not be injective."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairsteer.core.affine import AffineMap
from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.linalg import Array
from fairsteer.core.posterior import (
    posterior_derivative,
    posterior_displacement,
    subgroup_log_densities,
)

NEWTON_STEPS = 25
SOLVED = 1e-9
"""Residual below which Newton's method has converged, in units of the features' scale."""
APART = 1e-6
"""Distance above which two solutions are distinct, in the same units."""
STARTS = 8
"""Number of mixtures of the labels' maps that the search starts from, besides each map."""
MORE_STARTS = 40
"""Number of further mixtures for rows whose preimages do not sum to the degree of the map."""


def moved_log_densities(
    gaussians: SubgroupGaussians, maps: AffineMap, X: Array, group: int, rng: np.random.Generator
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Apply the label-free map to rows of one group; return densities after the map as well.

    The density at ``y = T(x)`` is ``sum p(z | i, group) / |det DT(z)|`` over all preimages ``z`` of
    y. Far from the data ``T`` is a mixture of affine maps, so the orientations ``sign det DT(z)``
    of all preimages sum to the degree of the map, the orientation of the mean map. Where those
    found do not, preimages are missing and the row is not settled.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        The fitted distribution, which also gives the posterior.
    maps : AffineMap of shape (K, G)
        Map of every label and group.
    X : ndarray of shape (n, d)
        Rows that all belong to the group.
    group : int
        Position of the group.
    rng : numpy.random.Generator
        Source of the starting points.

    Returns
    -------
    moved : ndarray of shape (n, d)
        ``T(x)``.
    log_densities : ndarray of shape (n, K)
        Log density of every label at the moved rows, after the map.
    settled : ndarray of shape (n,)
        False where preimages are known to be missing.
    """
    own = _Solutions(gaussians, maps, group, X)
    moved = X + posterior_displacement(gaussians, maps, X, group)
    if own.settled.all():
        return moved, own.log_densities, own.settled

    n_labels = gaussians.n_labels
    for weights in [*np.eye(n_labels), *rng.dirichlet(np.ones(n_labels), STARTS)]:
        own.search(moved, np.arange(len(X)), weights)
    for weights in rng.dirichlet(np.ones(n_labels), MORE_STARTS):
        own.search(moved, np.flatnonzero(~own.settled), weights)
    return moved, own.log_densities, own.settled


class _Solutions:
    """The distinct solutions of ``T(z) = y`` found so far for each row, with their densities."""

    def __init__(self, gaussians: SubgroupGaussians, maps: AffineMap, group: int, X: Array) -> None:
        self.gaussians, self.maps, self.group = gaussians, maps, group
        self.unit = gaussians.feature_scale
        weights = gaussians.priors[:, group] / gaussians.priors[:, group].sum()
        self.degree = np.linalg.slogdet(np.einsum("i,ijk->jk", weights, maps.matrix[:, group]))[0]
        self.found = X[None]
        self.log_densities, self.orientations = self._weigh(X)

    @property
    def settled(self) -> NDArray[np.bool_]:
        """Whether the orientations sum to the degree, shape (n,)."""
        settled: NDArray[np.bool_] = self.orientations == self.degree
        return settled

    def _weigh(self, Z: Array) -> tuple[Array, Array]:
        derivative = posterior_derivative(self.gaussians, self.maps, Z, self.group)
        sign, log_volume = np.linalg.slogdet(derivative)
        return subgroup_log_densities(self.gaussians, Z, self.group) - log_volume[:, None], sign

    def search(self, targets: Array, rows: NDArray[np.intp], weights: Array) -> None:
        """Search for another solution, starting from the solution of a mixture of the maps."""
        matrix = np.einsum("i,ijk->jk", weights, self.maps.matrix[:, self.group])
        offset = weights @ self.maps.offset[:, self.group]
        start = np.linalg.solve(matrix, (targets[rows] - offset).T).T
        solution, solved = self._newton(start, targets[rows])
        with np.errstate(invalid="ignore"):
            distance = np.abs((self.found[:, rows] - solution) / self.unit).max(axis=-1)
        new = solved & ~(distance <= APART).any(axis=0)
        rows, solution = rows[new], solution[new]
        if len(rows) == 0:
            return
        log_densities, orientations = self._weigh(solution)
        self.log_densities[rows] = np.logaddexp(self.log_densities[rows], log_densities)
        self.orientations[rows] += orientations
        layer = np.full_like(self.found[0], np.nan)
        layer[rows] = solution
        self.found = np.concatenate([self.found, layer[None]])

    def _residual(self, Z: Array, targets: Array) -> Array:
        moved = Z + posterior_displacement(self.gaussians, self.maps, Z, self.group)
        residual: Array = moved - targets
        return residual

    def _newton(self, Z: Array, targets: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Solve ``T(z) = y`` by damped Newton steps; return points and whether they converged."""
        Z = Z.copy()
        residual = self._residual(Z, targets)
        error = np.abs(residual / self.unit).max(axis=1)
        damping = np.ones(len(Z))
        for _ in range(NEWTON_STEPS):
            open_ = np.flatnonzero((error > SOLVED) & (damping > 1e-3))
            if len(open_) == 0:
                break
            derivative = posterior_derivative(self.gaussians, self.maps, Z[open_], self.group)
            regular = np.abs(np.linalg.det(derivative)) > 0.0
            open_, derivative = open_[regular], derivative[regular]
            step = np.linalg.solve(derivative, residual[open_][:, :, None])[:, :, 0]
            trial = Z[open_] - damping[open_, None] * step
            trial_residual = self._residual(trial, targets[open_])
            trial_error = np.abs(trial_residual / self.unit).max(axis=1)
            better = trial_error < error[open_]
            accepted = open_[better]
            Z[accepted], residual[accepted] = trial[better], trial_residual[better]
            error[accepted] = trial_error[better]
            damping[accepted] = np.minimum(1.0, 4.0 * damping[accepted])
            damping[open_[~better]] *= 0.25
        return Z, error <= SOLVED
