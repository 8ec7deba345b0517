"""Trust-region Newton method on a manifold of matrices."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from fairsteer.core.linalg import Array

Operator = Callable[[Array], Array]


class Model(NamedTuple):
    """Gradient and Hessian at a point, and a metric that approximates the Hessian."""

    gradient: Array
    hessian: Operator
    metric: Operator
    inverse_metric: Operator


GRADIENT_TOLERANCE = 1e-12
MAX_ITERATIONS = 300
_MAX_RADIUS = 2.0
_MAX_CG_STEPS = 2000
_CG_STEPS_PER_UNKNOWN = 4
_SMALLEST_EIGENVALUE = 1e-3


class NewtonResult(NamedTuple):
    """Final point, norm of the gradient there, and number of iterations."""

    point: Array
    gradient_norm: float
    n_iter: int


def minimize(
    value: Callable[[Array], float],
    model: Callable[[Array], Model],
    retract: Callable[[Array, Array], Array],
    start: Array,
    max_iterations: int | None = None,
) -> NewtonResult:
    """Minimize a smooth function of a matrix.

    Parameters
    ----------
    value : callable
        From a point to the objective, not negative.
    model : callable
        From a point to the expansion of ``step -> value(retract(point, step))`` at step 0.
    retract : callable
        From a point and a step to the next point.
    start : ndarray of shape (d, d)
        First point.
    max_iterations : int, default=None
        Default ``MAX_ITERATIONS``.

    Returns
    -------
    NewtonResult

    References
    ----------
    Absil, Baker and Gallivan (2007), "Trust-region methods on Riemannian manifolds";
    the inner iteration is Steihaug's truncated conjugate gradient method (1983).
    """
    point, current, radius = start, value(start), 1.0
    local = model(point)
    norm = float(np.linalg.norm(local.gradient))
    n_iter = 0
    limit = MAX_ITERATIONS if max_iterations is None else max_iterations
    # A point that is singular up to rounding ends the descent.
    with suppress(np.linalg.LinAlgError):
        while norm > GRADIENT_TOLERANCE and n_iter < limit:
            n_iter += 1
            step, on_boundary = _truncated_cg(local, radius)
            predicted = -float(np.vdot(step, local.gradient + 0.5 * local.hessian(step)))
            candidate = retract(point, step)
            reached = value(candidate)
            if predicted < 1e-13 * max(1.0, abs(current)):
                # The decrease is below rounding error, so progress is measured by the gradient.
                new_local = model(candidate)
                new_norm = float(np.linalg.norm(new_local.gradient))
                if not new_norm < norm:
                    break
                point, current, local, norm = candidate, reached, new_local, new_norm
                continue
            ratio = (current - reached) / predicted if np.isfinite(reached) else -1.0
            if ratio < 0.25:
                radius *= 0.25
            elif ratio > 0.75 and on_boundary:
                # In the metric, an optimum of value 0 is about the root of twice the value away.
                radius = min(2.0 * radius, max(_MAX_RADIUS, float(np.sqrt(max(current, 0.0)))))
            if ratio > 0.05:
                local = model(candidate)
                point, current = candidate, reached
                norm = float(np.linalg.norm(local.gradient))
    return NewtonResult(point, norm, n_iter)


def _truncated_cg(local: Model, radius: float) -> tuple[Array, bool]:
    """Minimize the quadratic model in a ball; return the step and whether it hit the boundary."""
    step = np.zeros_like(local.gradient)
    residual = local.gradient
    pulled = local.inverse_metric(residual)
    direction = -pulled
    square = float(np.vdot(residual, pulled))
    norm = float(np.linalg.norm(residual))
    tolerance = min(0.1, norm**0.5) * norm
    for _ in range(min(_MAX_CG_STEPS, _CG_STEPS_PER_UNKNOWN * step.size)):
        image = local.hessian(direction)
        curvature = float(np.vdot(direction, image))
        if curvature <= 0.0:
            return _to_boundary(local.metric, step, direction, radius), True
        further = step + square / curvature * direction
        if np.vdot(further, local.metric(further)) >= radius**2:
            return _to_boundary(local.metric, step, direction, radius), True
        step = further
        residual = residual + square / curvature * image
        if np.vdot(residual, residual) <= tolerance**2:
            break
        pulled = local.inverse_metric(residual)
        previous, square = square, float(np.vdot(residual, pulled))
        direction = -pulled + square / previous * direction
    return step, False


def _to_boundary(metric: Operator, step: Array, direction: Array, radius: float) -> Array:
    image = metric(direction)
    a = float(np.vdot(direction, image))
    b = float(np.vdot(step, image))
    c = float(np.vdot(step, metric(step))) - radius**2
    return step + (-b + float(np.sqrt(max(b * b - a * c, 0.0)))) / a * direction


def pair_metric(curvatures: Array) -> tuple[Operator, Operator]:
    """Return ``X -> curvatures * X + X'`` and its inverse, made positive definite.

    Entries (j, k) and (k, j) form 2 by 2 blocks; a multiple of the identity is added to those whose
    smaller eigenvalue is below ``_SMALLEST_EIGENVALUE``.

    Parameters
    ----------
    curvatures : ndarray of shape (d, d)
        Positive.
    """
    first, second = curvatures, curvatures.T
    smaller = 0.5 * (first + second) - np.hypot(0.5 * (first - second), 1.0)
    lifted = curvatures + np.maximum(_SMALLEST_EIGENVALUE - smaller, 0.0)
    determinant = lifted * lifted.T - 1.0
    # On the diagonal X and X' are the same entry.
    own = np.eye(len(curvatures), dtype=bool)
    diagonal = np.diag(curvatures) + 1.0

    def metric(x: Array) -> Array:
        image: Array = np.where(own, diagonal * x, lifted * x + x.T)
        return image

    def inverse(x: Array) -> Array:
        solved: Array = np.where(own, x / diagonal, (lifted.T * x - x.T) / determinant)
        return solved

    return metric, inverse
