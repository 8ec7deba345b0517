"""Closed form for one feature (Corollary 4.2 of Sharma et al. 2025)."""

from __future__ import annotations

import numpy as np

from fairsteer.core.solvers._problem import GroupProblem
from fairsteer.core.solvers._result import GroupSolution


def solve_univariate(problem: GroupProblem, *, reflect: bool) -> GroupSolution:
    """Return the global optimum for a single feature.

    Parameters
    ----------
    problem : GroupProblem
        With one feature.
    reflect : bool
        Whether the slope may be negative, as under the affine but not the whitened conditions. A
        negative slope is chosen only if its divergence is smaller, which happens when the order of
        the labels' means differs between the groups.

    Returns
    -------
    GroupSolution
    """
    p = problem.weighted_precisions[:, 0, 0]
    reference = problem.reference_means[:, 0] - np.average(problem.reference_means[:, 0], weights=p)
    group = problem.means[:, 0] - np.average(problem.means[:, 0], weights=p)
    alpha = float(p @ (problem.reference_covariances[:, 0, 0] + reference**2))
    beta = float(p @ (reference * group))
    # -log|g| + alpha g^2 / 2 - beta g has a stationary point of each sign; the one with the sign of
    # beta is lower.
    sign = -1.0 if reflect and beta < 0.0 else 1.0
    half = np.hypot(beta, 2.0 * np.sqrt(alpha))
    slope = sign * (
        (sign * beta + half) / (2.0 * alpha) if sign * beta >= 0 else 2.0 / (half - sign * beta)
    )
    matrix = np.array([[slope]])
    return GroupSolution(matrix, problem.optimality(matrix), 0)
