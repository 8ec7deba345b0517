"""Convex program of Theorem 4.1 of Sharma et al. (2025)."""

from __future__ import annotations

import numpy as np
from scipy.linalg import expm

from fairsteer.core.affine import transport_matrix
from fairsteer.core.linalg import Array, invsqrtm, sqrtm, symmetrize
from fairsteer.core.solvers._newton import Model, minimize
from fairsteer.core.solvers._problem import GroupProblem
from fairsteer.core.solvers._result import GroupSolution


def solve_whitened(
    problem: GroupProblem,
    *,
    anchor: int,
    start: Array | None = None,
    max_iterations: int | None = None,
) -> GroupSolution:
    """Return the global optimum over ``B = S Sigma_kr^{-1/2}``, S symmetric positive definite.

    Parameters
    ----------
    problem : GroupProblem
        Any number of features and labels.
    anchor : int
        Position k of the label whose covariance whitens.
    start : ndarray of shape (d, d), default=None
        Initial S, symmetric positive definite. The objective is convex in S, so the optimum does
        not depend on it.
    max_iterations : int, default=None
        Limit of Newton's method, by default its own.

    Returns
    -------
    GroupSolution
    """
    # In principal axes, entries of small variance are not lost among rounding errors of large ones.
    axes = np.linalg.eigh(problem.pooled()[1])[1].T
    whiten = axes @ invsqrtm(problem.reference_covariances[anchor])
    inner = problem.in_coordinates(axes, whiten)
    start = transport_matrix(*inner.pooled()) if start is None else axes @ start @ axes.T
    found = minimize(
        inner.value, lambda s: _model(inner, s), _along_geodesic, start, max_iterations
    )
    return GroupSolution(axes.T @ found.point @ whiten, found.gradient_norm, found.n_iter)


def _model(problem: GroupProblem, s: Array) -> Model:
    """Expand ``Y -> J(L exp(Y) L)``, ``L = s^{1/2}``, Y symmetric, to second order."""
    root = sqrtm(s)
    gradient = problem.symmetric_gradient(s)
    local = problem.in_coordinates(np.linalg.inv(root), root)
    curvature = local.curvature(local.weighted_precisions)

    def hessian(y: Array) -> Array:
        curved = symmetrize(curvature(y))
        return curved + y + symmetrize(gradient @ y)

    def keep(y: Array) -> Array:
        return y

    return Model(gradient, hessian, keep, keep)


def _along_geodesic(s: Array, y: Array) -> Array:
    root = sqrtm(s)
    return symmetrize(root @ expm(y) @ root)
