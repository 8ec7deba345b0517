"""All-subgroups intervention (Proposition 4.3 of Sharma et al. 2025): every subgroup may change."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fairsteer.core.affine import AffineMap, transport_map
from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.linalg import Array, inv_spd, is_spd, roots, sqrtm, symmetrize
from fairsteer.core.solvers import affirmative
from fairsteer.core.solvers._problem import GroupProblem
from fairsteer.core.solvers._result import (
    TOO_SINGULAR,
    GroupSolution,
    Settings,
    Solution,
    Template,
)
from fairsteer.core.solvers.affine import refine_affine
from fairsteer.core.solvers.univariate import solve_univariate
from fairsteer.core.solvers.whitened import solve_whitened

MAX_ROUNDS = 2000
_MAX_STEPS_PER_ROUND = 10
"""Newton's method needs at most six on well-conditioned problems."""
_ROUGH = 1e-4
_GRADIENT_TOLERANCE = 1e-12
_ROUNDING = 1e-14
_MEMORY = 8


def fit_template(
    gaussians: SubgroupGaussians, priors: Array, maps: AffineMap, anchor: int | None = None
) -> Template:
    """Return the best template for given maps, in closed form.

    ``S_i^{-1} = sum_a q_ia B_a' P_ia B_a / sum_a q_ia`` and
    ``m_i = [sum_a q_ia B_a' P_ia B_a]^{-1} sum_a q_ia B_a' P_ia (mu_ia - c_a)``.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        Distribution of the data.
    priors : ndarray of shape (K, G)
        ``P(label, group)`` of the target.
    maps : AffineMap of shape (G,)
        Maps from the template to the groups.
    anchor : int, default=None
        Label whose covariance stays the identity (whitened conditions).

    Returns
    -------
    Template
    """
    back = np.swapaxes(maps.matrix, -1, -2)
    pulled = back @ (priors[:, :, None, None] * inv_spd(gaussians.covariances))
    precisions = symmetrize(np.sum(pulled @ maps.matrix, axis=1))
    weighted = np.einsum("iajk,iak->ij", pulled, gaussians.means - maps.offset)
    means = np.linalg.solve(precisions, weighted[..., None])[..., 0]
    covariances = inv_spd(precisions / priors.sum(axis=1)[:, None, None])
    if anchor is not None:
        covariances[anchor] = np.eye(gaussians.n_features)
    return Template(means, covariances)


def solve_subgroups(gaussians: SubgroupGaussians, settings: Settings) -> Solution:
    """Return the best solution found in which every subgroup may change.

    Template and maps are optimized in turn, which never increases the objective, starting from the
    affirmative optimum for every choice of the reference group. So the divergence is at most that
    of the best affirmative intervention. The number of steps of Newton's method is limited, so
    ill-conditioned problems end with the best solution found so far.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        Distribution of the data.
    settings : Settings
        Options; the template is expressed in the frame of the reference group.

    Returns
    -------
    Solution
    """
    if settings.conditions == "identical":
        maps = AffineMap.identity(gaussians.n_features, (gaussians.n_groups,))
        return Solution(maps, fit_template(gaussians, settings.priors, maps), 0.0, 1)
    frame = _frame(gaussians, settings)
    inward = frame.inverse()[None]
    try:
        local = gaussians.pushforward(inward)
    except ValueError:
        raise ValueError(TOO_SINGULAR) from None
    if gaussians.n_labels == 1:
        center = barycenter(local, settings.priors)
        maps = frame[None].compose(center.maps).compose(inward)
        return center._replace(maps=maps, template=Template(*frame.pushforward(*center.template)))
    starts = _starts(gaussians, settings)
    settings = replace(settings, max_iterations=_MAX_STEPS_PER_ROUND)
    steps = gaussians.n_groups * (60 + 5 * gaussians.n_features)
    runs = [
        _alternate(local, settings, inward.compose(start).compose(frame[None]), _ROUGH, steps)
        for start in starts
    ]
    best = min(runs, key=lambda run: run[-1].objective)
    final = _alternate(local, settings, best[-1].maps, _GRADIENT_TOLERANCE, 2 * steps)
    maps = frame[None].compose(final[-1].maps).compose(inward)
    template = Template(*frame.pushforward(*final[-1].template))
    rounds = sum(len(run) for run in [*runs, final])
    return Solution(*_in_frame_of(maps, template, settings.reference), final[-1].optimality, rounds)


def _frame(gaussians: SubgroupGaussians, settings: Settings) -> AffineMap:
    """Return the map to the features from coordinates in which rounding errors are small.

    They have the principal axes of the mean covariance. The affine conditions hold in any units, so
    there the variances are 1 too, and a direction of small variance counts as much as the others;
    a barycenter depends on the units.
    """
    pooled = np.einsum("ia,iajk->jk", settings.priors, gaussians.covariances)
    variances, axes = np.linalg.eigh(pooled)
    if settings.conditions == "affine" and gaussians.n_labels > 1:
        axes = axes * np.sqrt(np.maximum(variances, np.finfo(np.float64).eps * variances[-1]))
    return AffineMap(axes, np.zeros(gaussians.n_features))


def _starts(gaussians: SubgroupGaussians, settings: Settings) -> list[AffineMap]:
    """Return the maps of the affirmative optimum of every group, or of an earlier solution."""
    whiten = settings.conditions == "whitened"
    if settings.start is not None:
        solutions = [settings.start]
    else:
        solve = affirmative.whitened if whiten else affirmative.affine
        if gaussians.n_features == 1:
            solve = affirmative.univariate
        groups = range(gaussians.n_groups)
        settings = replace(settings, max_iterations=10 + 4 * gaussians.n_features)
        solutions = [solve(gaussians, replace(settings, reference=r)) for r in groups]
    if not whiten:
        return [solution.maps for solution in solutions]
    # The template is whitened at the anchor, so the square root moves to the maps.
    halves = [sqrtm(solution.template.covariances[settings.anchor]) for solution in solutions]
    return [
        AffineMap(solution.maps.matrix @ root, solution.maps.offset)
        for solution, root in zip(solutions, halves, strict=True)
    ]


def _improve(problem: GroupProblem, settings: Settings, matrix: Array) -> GroupSolution:
    if settings.conditions == "whitened":
        return solve_whitened(
            problem, anchor=settings.anchor, start=matrix, max_iterations=settings.max_iterations
        )
    if problem.n_features == 1:
        return solve_univariate(problem, reflect=True)
    return refine_affine(problem, matrix, settings.max_iterations)


@dataclass(frozen=True, eq=False)
class _State:
    """Maps, their best template, the groups' problems, objective in nats and optimality."""

    maps: AffineMap
    template: Template
    problems: list[GroupProblem]
    objective: float
    optimality: float


def _state(gaussians: SubgroupGaussians, settings: Settings, maps: AffineMap) -> _State:
    anchor = settings.anchor if settings.conditions == "whitened" else None
    template = fit_template(gaussians, settings.priors, maps, anchor)
    groups = range(gaussians.n_groups)
    problems = [affirmative.group_problem(gaussians, settings, template, a) for a in groups]
    pairs = list(zip(problems, maps.matrix, strict=True))
    return _State(
        maps=maps,
        template=template,
        problems=problems,
        objective=float(settings.priors.sum(axis=0) @ [p.value(matrix) for p, matrix in pairs]),
        optimality=max(p.optimality(m, symmetric=anchor is not None) for p, m in pairs),
    )


def _alternate(
    gaussians: SubgroupGaussians,
    settings: Settings,
    start: AffineMap,
    tolerance: float,
    max_steps: float = np.inf,
) -> list[_State]:
    """Optimize template and maps in turn until the gradient vanishes; return every round.

    No round starts after ``max_steps`` steps of Newton's method.

    Rounds converge linearly, so they are extrapolated from the most recent ones (Anderson's
    method); an extrapolation that increases the objective is rejected.
    """
    path = [_state(gaussians, settings, start)]
    points: list[Array] = []
    images: list[Array] = []
    steps = 0
    while path[-1].optimality > tolerance and len(path) < MAX_ROUNDS and steps < max_steps:
        current = path[-1]
        solutions = [
            _improve(problem, settings, matrix)
            for problem, matrix in zip(current.problems, current.maps.matrix, strict=True)
        ]
        steps += sum(solution.n_iter for solution in solutions)
        improved = [solution.matrix for solution in solutions]
        offsets = [p.offset(m) for p, m in zip(current.problems, improved, strict=True)]
        plain = AffineMap(np.stack(improved), np.stack(offsets))
        points, images = (
            [*points, _flatten(current.maps)][-_MEMORY:],
            [*images, _flatten(plain)][-_MEMORY:],
        )
        reached = _state(gaussians, settings, plain)
        if len(points) > 1:
            guess = _unflatten(_extrapolate(points, images), plain)
            if settings.conditions != "whitened" or is_spd(guess.matrix):
                further = _state(gaussians, settings, guess)
                if further.objective <= reached.objective:
                    reached = further
        if not reached.objective <= current.objective + _ROUNDING:
            break
        path.append(reached)
        recent = [state.optimality for state in path[-_MEMORY:]]
        if len(path) > _MEMORY and min(recent[1:]) >= recent[0]:
            break
    return path


def _extrapolate(points: list[Array], images: list[Array]) -> Array:
    """Return the combination of images whose linearly extrapolated step is shortest."""
    steps = np.stack(images) - np.stack(points)
    weights = np.linalg.lstsq(np.diff(steps, axis=0).T, steps[-1], rcond=None)[0]
    extrapolated: Array = images[-1] - weights @ np.diff(np.stack(images), axis=0)
    return extrapolated


def _flatten(maps: AffineMap) -> Array:
    return np.concatenate([maps.matrix.ravel(), maps.offset.ravel()])


def _unflatten(values: Array, like: AffineMap) -> AffineMap:
    size = like.matrix.size
    matrix = values[:size].reshape(like.matrix.shape)
    return AffineMap(matrix, values[size:].reshape(like.offset.shape))


def _in_frame_of(maps: AffineMap, template: Template, group: int) -> tuple[AffineMap, Template]:
    """Return maps and template in the frame of a group, whose map is then the identity."""
    frame = maps[group]
    moved = maps.compose(frame.inverse()[None])
    matrix, offset = moved.matrix.copy(), moved.offset.copy()
    matrix[group], offset[group] = np.eye(matrix.shape[-1]), 0.0
    return AffineMap(matrix, offset), Template(*frame.pushforward(*template))


def barycenter(gaussians: SubgroupGaussians, priors: Array) -> Solution:
    """Return the Wasserstein barycenter of the groups' Gaussians (one label) and the maps from it.

    With one label, every distribution is ideal under the affine conditions; the barycenter is the
    common Gaussian that moves the rows least.

    References
    ----------
    Alvarez-Esteban, del Barrio, Cuesta-Albertos and Matran (2016), "A fixed-point approach to
    barycenters in Wasserstein space", Theorem 4.2.
    """
    weights = priors[0]
    covariances = gaussians.covariances[0]
    mean = weights @ gaussians.means[0]
    center = np.einsum("a,ajk->jk", weights, covariances)
    own_roots, rounds, moved = sqrtm(covariances), 0, np.inf
    while moved > 1e-14 and rounds < MAX_ROUNDS:
        rounds, before = rounds + 1, moved
        root, inverse = roots(center)
        _, sizes, axes = np.linalg.svd(own_roots @ root)
        spread = np.einsum("aj,ajk,ajl->kl", weights[:, None] * sizes, axes, axes, optimize=True)
        previous, center = center, symmetrize(inverse @ spread @ spread @ inverse)
        moved = float(np.abs(center - previous).max() / np.abs(center).max())
        if moved >= before and rounds > _MEMORY:
            break  # what is left is rounding error
    maps = transport_map(mean[None], center[None], gaussians.means[0], covariances)
    # First-order optimality of a barycenter: the maps to the groups average to the identity.
    average = np.einsum("a,ajk->jk", weights, maps.matrix)
    residual = float(np.linalg.norm(average - np.eye(gaussians.n_features)))
    return Solution(maps, Template(mean[None], center[None]), residual, rounds)
