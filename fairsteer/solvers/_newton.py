"""Trust-region Newton method on a manifold of matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fairsteer._linalg import Array

Hessian = Callable[[Array], Array]

GRADIENT_TOLERANCE = 1e-11
MAX_ITERATIONS = 300
_MAX_RADIUS = 2.0
_MAX_CG_STEPS = 2000


class NewtonResult(NamedTuple):
    """Where the method stopped: point, norm of its gradient, iterations."""

    point: Array
    gradient_norm: float
    n_iter: int


def minimise(
    value: Callable[[Array], float],
    model: Callable[[Array], tuple[Array, Hessian]],
    retract: Callable[[Array, Array], Array],
    start: Array,
) -> NewtonResult:
    """Minimise a smooth function of a matrix.

    Parameters
    ----------
    value : callable
        Point to objective.
    model : callable
        Point to gradient and Hessian-vector product of ``step -> value(retract(point, step))``
        at step 0.
    retract : callable
        Point and step to the next point.
    start : ndarray of shape (d, d)
        First point.

    Returns
    -------
    NewtonResult

    References
    ----------
    Absil, Baker and Gallivan (2007), "Trust-region methods on Riemannian manifolds";
    the inner iteration is Steihaug's truncated conjugate gradient method (1983).
    """
    point, current, radius = start, value(start), 1.0
    gradient, hessian = model(point)
    norm = float(np.linalg.norm(gradient))
    n_iter = 0
    while norm > GRADIENT_TOLERANCE and n_iter < MAX_ITERATIONS:
        n_iter += 1
        step, on_boundary = _truncated_cg(gradient, hessian, radius)
        predicted = -float(np.sum(step * (gradient + 0.5 * hessian(step))))
        candidate = retract(point, step)
        reached = value(candidate)
        if predicted < 1e-13 * max(1.0, abs(current)):
            # The decrease drowns in rounding: only the gradient can still tell progress.
            new_gradient, new_hessian = model(candidate)
            new_norm = float(np.linalg.norm(new_gradient))
            if not new_norm < norm:
                break
            point, current, gradient, hessian, norm = (
                candidate,
                reached,
                new_gradient,
                new_hessian,
                new_norm,
            )
            continue
        ratio = (current - reached) / predicted if np.isfinite(reached) else -1.0
        if ratio < 0.25:
            radius *= 0.25
        elif ratio > 0.75 and on_boundary:
            radius = min(2.0 * radius, _MAX_RADIUS)
        if ratio > 0.05:
            point, current = candidate, reached
            gradient, hessian = model(point)
            norm = float(np.linalg.norm(gradient))
    return NewtonResult(point, norm, n_iter)


def _truncated_cg(gradient: Array, hessian: Hessian, radius: float) -> tuple[Array, bool]:
    """Minimise the quadratic model in a ball; return the step and whether it hit the border."""
    step = np.zeros_like(gradient)
    residual, direction = gradient, -gradient
    norm = float(np.linalg.norm(gradient))
    tolerance = min(0.1, norm**0.5) * norm
    for _ in range(_MAX_CG_STEPS):
        image = hessian(direction)
        curvature = float(np.sum(direction * image))
        square = float(np.sum(residual**2))
        length = square / curvature if curvature > 0.0 else np.inf
        if curvature <= 0.0 or np.linalg.norm(step + length * direction) >= radius:
            return step + _to_border(step, direction, radius) * direction, True
        step = step + length * direction
        residual = residual + length * image
        new_square = float(np.sum(residual**2))
        if new_square**0.5 <= tolerance:
            break
        direction = -residual + new_square / square * direction
    return step, False


def _to_border(step: Array, direction: Array, radius: float) -> float:
    a = float(np.sum(direction**2))
    b = float(np.sum(step * direction))
    c = float(np.sum(step**2)) - radius**2
    return (-b + float(np.sqrt(b * b - a * c))) / a
