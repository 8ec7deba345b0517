"""Nearest ideal distribution under the affine conditions: any invertible map per group."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.linalg import expm
from scipy.stats import ortho_group

from fairsteer.core.affine import transport_matrix
from fairsteer.core.linalg import Array, invsqrtm, symmetrize
from fairsteer.core.solvers._newton import Model, NewtonResult, minimize, pair_metric
from fairsteer.core.solvers._problem import GroupProblem
from fairsteer.core.solvers._result import TOO_SINGULAR, GroupSolution
from fairsteer.core.solvers.tied import tied_matrix
from fairsteer.core.solvers.whitened import solve_whitened

_TIE = 1e-9
_MAX_CONTRASTED = 4


def solve_affine(
    problem: GroupProblem,
    *,
    anchor: int,
    n_init: int = 1,
    random_state: np.random.Generator | None = None,
    max_iterations: int | None = None,
) -> GroupSolution:
    """Return the best local optimum found over all invertible ``B``.

    The objective is smooth but not convex. Newton's method starts from the optimal-transport map of
    the pooled covariances, the whitened optimum, the closed form for pooled covariances, and the
    maps that match the spectra of contrasts of the labels. So the divergence never exceeds that of
    the whitened conditions, and a distribution that is already ideal is recognized. Then follow
    ``n_init - 1`` random starts, which alternate between uniformly random rotations (or
    reflections) and random rotations of the best point so far. Among equal optima, the map nearest
    to the identity is returned.

    Parameters
    ----------
    problem : GroupProblem
        Any number of features and labels.
    anchor : int
        Position of the label whose covariance whitens in the whitened start.
    n_init : int, default=1
        One more than the number of random starts.
    random_state : numpy.random.Generator, default=None
        Source of the random starts.
    max_iterations : int, default=None
        Limit of Newton's method from each start, by default its own.

    Returns
    -------
    GroupSolution
    """
    reference, group = problem.pooled()
    frame = _Frame.from_problem(problem)
    starts = [
        frame.inward(matrix)
        for matrix in (
            transport_matrix(reference, group),
            solve_whitened(problem, anchor=anchor, max_iterations=max_iterations).matrix,
            tied_matrix(problem),
            *_spectral_matrices(problem),
        )
    ]
    found = [_descend(frame.problem, start, max_iterations) for start in starts]
    rng = random_state if random_state is not None else np.random.default_rng()
    for k in range(n_init - 1):
        start = _restart(_select(frame, found).point, k, rng)
        found.append(_descend(frame.problem, start, max_iterations))
    best = _select(frame, found)
    n_iter = sum(result.n_iter for result in found)
    return GroupSolution(frame.outward(best.point), best.gradient_norm, n_iter)


@dataclass(frozen=True, eq=False)
class _Frame:
    """Coordinates in which pooled covariances are the identity and the contrast is diagonal."""

    problem: GroupProblem
    left: Array
    right: Array

    @classmethod
    def from_problem(cls, problem: GroupProblem) -> _Frame:
        (_, whiten_reference), (_, whiten_group) = problem.roots
        # From the most frequent label to the rarest: the order of the labels does not matter.
        sizes = np.trace(problem.reference_covariances, axis1=1, axis2=2)
        scores = np.empty(len(sizes))
        scores[np.lexsort((sizes, problem.weights))] = np.linspace(-1.0, 1.0, len(sizes))
        contrast = np.einsum("i,ijk->jk", problem.weights * scores, problem.reference_covariances)
        turned = symmetrize(whiten_reference @ contrast @ whiten_reference)
        axes = np.linalg.eigh(turned)[1].T
        left, right = axes @ whiten_group, axes @ whiten_reference
        return cls(problem.in_coordinates(left, right), left, right)

    def inward(self, matrix: Array) -> Array:
        """Return a map between the original features in these coordinates."""
        return np.asarray(np.linalg.solve(self.right.T, (self.left @ matrix).T).T)

    def outward(self, point: Array) -> Array:
        """Return a point as a map between the original features."""
        return np.asarray(np.linalg.solve(self.left, point @ self.right))


def _spectral_matrices(problem: GroupProblem) -> list[Array]:
    """Return maps that match the spectra of contrasts of the labels' second moments.

    If an affine map takes all Gaussians of the reference to those of the group, it also takes the
    eigenvectors of ``sum_i w_i t_i E[xx' | i]`` relative to ``sum_i w_i E[xx' | i]``, up to their
    signs. The signs follow from the agreement of all moments in the two eigenbases, as those of a
    leading eigenvector. For distinct eigenvalues the result is that map. Several contrasts are
    tried, since the eigenvalues of one may coincide and the optimum reached depends on it.
    """
    weights = problem.weights
    sides = []
    for means, covariances in (
        (problem.reference_means, problem.reference_covariances),
        (problem.means, problem.covariances),
    ):
        centered = means - weights @ means
        moments = covariances + centered[:, :, None] * centered[:, None, :]
        whiten = invsqrtm(np.einsum("i,ijk->jk", weights, moments))
        sides.append((whiten, centered @ whiten, symmetrize(whiten @ moments @ whiten)))
    matrices = []
    for scores in _contrasts(weights):
        turned = []
        for whiten, centered, second in sides:
            axes = np.linalg.eigh(np.einsum("i,ijk->jk", weights * scores, second))[1]
            turned.append((axes.T @ whiten, centered @ axes, axes.T @ second @ axes))
        (frame, mean, moment), (own_frame, own_mean, own_moment) = turned
        products = mean * own_mean
        agreement = np.einsum("i,ijk,ijk->jk", weights, moment, own_moment)
        agreement += np.einsum("i,ij,ik->jk", weights, products, products)
        signs = np.where(np.linalg.eigh(agreement)[1][:, -1] < 0.0, -1.0, 1.0)
        if np.sum(weights @ products * signs) < 0.0:
            signs = -signs
        matrices.append(np.asarray(np.linalg.solve(own_frame, signs[:, None] * frame)))
    return matrices


def _contrasts(weights: Array) -> list[Array]:
    """Return contrasts of each label with the rest, and with each other label, shape (K,) each.

    Of many labels only the most frequent are used. The order of the labels does not matter.
    """
    if len(weights) == 2:
        return [np.array([1.0, -1.0])]  # all contrasts are the same
    frequent = np.argsort(-weights, kind="stable")[:_MAX_CONTRASTED]
    single = list(np.eye(len(weights))[frequent])
    return single + [one - other for one, other in combinations(single, 2)]


def refine_affine(
    problem: GroupProblem, matrix: Array, max_iterations: int | None = None
) -> GroupSolution:
    """Return the local optimum that Newton's method reaches from a given ``B``."""
    frame = _Frame.from_problem(problem)
    found = _descend(frame.problem, frame.inward(matrix), max_iterations)
    return GroupSolution(frame.outward(found.point), found.gradient_norm, found.n_iter)


def _descend(local: GroupProblem, start: Array, max_iterations: int | None = None) -> NewtonResult:
    try:
        return minimize(local.value, lambda e: _model(local, e), _move, start, max_iterations)
    except np.linalg.LinAlgError:
        return NewtonResult(start, np.inf, 0)


def _restart(best: Array, k: int, rng: np.random.Generator) -> Array:
    """Return a uniform rotation or reflection, or for odd k a rotation of the best point."""
    d = len(best)
    if k % 2 == 0:
        return np.asarray(ortho_group.rvs(d, random_state=rng)) if d > 1 else -best
    generator = rng.normal(size=(d, d))
    return _move(best, 0.5 * (generator - generator.T))


def _select(frame: _Frame, found: list[NewtonResult]) -> NewtonResult:
    found = [result for result in found if np.isfinite(result.point).all()]
    values = np.array([frame.problem.value(result.point) for result in found])
    if not np.isfinite(values).any():
        raise ValueError(TOO_SINGULAR)
    values[~np.isfinite(values)] = np.inf
    tied = np.flatnonzero(values <= values.min() + _TIE * max(1.0, abs(float(values.min()))))
    identity = np.eye(frame.problem.n_features)
    movement = [float(np.linalg.norm(found[k].point - identity)) for k in tied]
    return found[int(tied[int(np.argmin(movement))])]


def _model(problem: GroupProblem, e: Array) -> Model:
    """Expand ``X -> J(e exp(X))`` to second order.

    ``exp`` parametrizes rotations exactly, along which the objective is nearly flat. In coordinates
    in which the reference's covariances are nearly diagonal, the pullbacks of the group's
    precisions are nearly diagonal at the optimum, and the Hessian couples only entries (j, k) and
    (k, j).
    """
    quadratic = e.T @ problem.quadratic_gradient(e)
    precisions = e.T @ problem.weighted_precisions @ e
    curvature = problem.curvature(precisions)

    def hessian(x: Array) -> Array:
        return curvature(x) + 0.5 * (quadratic @ x.T + x.T @ quadratic)

    rows = np.broadcast_to(np.einsum("ijj->ij", precisions), problem.reference_means.shape)
    columns = np.einsum("ijj->ij", problem.reference_covariances)
    return Model(quadratic - np.eye(len(e)), hessian, *pair_metric(rows.T @ columns))


def _move(e: Array, x: Array) -> Array:
    moved: Array = e @ expm(x)
    return moved
