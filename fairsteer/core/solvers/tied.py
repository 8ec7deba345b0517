"""Global optimum in closed form for labels that share a covariance."""

from __future__ import annotations

import numpy as np

from fairsteer.core.linalg import Array
from fairsteer.core.solvers._problem import GroupProblem
from fairsteer.core.solvers._result import GroupSolution


def tied_matrix(problem: GroupProblem) -> Array:
    """Return the optimal ``B`` for the pooled covariances of both groups.

    ``B = Sigma_a^{1/2} E M^{-1/2} Sigma_r^{-1/2}`` with ``E = Z diag((s + sqrt(s^2 + 4)) / 2) U'``,
    where ``V`` are whitened, centered label means, ``M = I + V_r V_r'`` and
    ``M^{-1/2} V_r V_a' = U diag(s) Z'``. Directions with ``s = 0`` are determined up to a rotation;
    the rotation that moves the features least is used, so for a single label ``B`` is the
    optimal-transport map.

    Parameters
    ----------
    problem : GroupProblem
        Covariances of the labels are pooled.

    Returns
    -------
    ndarray of shape (d, d)
    """
    (root_reference, whiten_reference), (root_group, whiten_group) = problem.roots
    root_weights = np.sqrt(problem.weights)[:, None]
    center = problem.weights @ problem.reference_means
    v_reference = (root_weights * (problem.reference_means - center)) @ whiten_reference
    v_group = (root_weights * (problem.means - problem.weights @ problem.means)) @ whiten_group

    # M differs from I, and M^{-1/2} V_r' V_a from 0, in at most as many dimensions as labels.
    _, sizes, axes = np.linalg.svd(v_reference, full_matrices=False)
    shrink = 1.0 / np.sqrt(1.0 + sizes**2) - 1.0
    mean_root = np.eye(problem.n_features) + (axes.T * shrink) @ axes
    left, upper = np.linalg.qr(mean_root @ v_reference.T)
    right, lower = np.linalg.qr(v_group.T)
    u, s, z = np.linalg.svd(upper @ lower.T)
    rank = int(np.sum(s > 1e-12 * max(1.0, s[0]))) if len(problem.weights) > 1 else 0
    u, z = left @ u[:, :rank], right @ z[:rank].T
    gains = 0.5 * (s[:rank] + np.hypot(s[:rank], 2.0))

    u_free, z_free = complement(u), complement(z)
    alignment = u_free.T @ mean_root @ root_reference @ root_group @ z_free
    rotate_left, _, rotate_right = np.linalg.svd(alignment)
    rotation = (z * gains) @ u.T + z_free @ (rotate_left @ rotate_right).T @ u_free.T
    matrix: Array = root_group @ rotation @ mean_root @ whiten_reference
    return matrix


def complement(axes: Array) -> Array:
    """Return an orthonormal basis (d, d - k) of the complement of the columns of axes (d, k)."""
    d, rank = axes.shape
    return np.linalg.qr(axes, mode="complete")[0][:, rank:] if rank else np.eye(d)


def solve_tied(problem: GroupProblem) -> GroupSolution:
    """Return the global optimum for a covariance shared by any number of labels."""
    matrix = tied_matrix(problem)
    return GroupSolution(matrix, problem.optimality(matrix), 0)
