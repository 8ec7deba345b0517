"""Affirmative intervention: a separate problem for every group except the reference."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from fairsteer.core.affine import AffineMap
from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.linalg import Array, sqrtm, symmetrize
from fairsteer.core.solvers._problem import GroupProblem
from fairsteer.core.solvers._result import GroupSolution, Settings, Solution, Template
from fairsteer.core.solvers.affine import refine_affine, solve_affine
from fairsteer.core.solvers.tied import solve_tied
from fairsteer.core.solvers.univariate import solve_univariate
from fairsteer.core.solvers.whitened import solve_whitened

# With fewer features, threads mostly wait for the interpreter lock.
_MIN_THREADED_FEATURES = 100

GroupSolver = Callable[[GroupProblem, Settings, Array | None], GroupSolution]


def group_problem(
    gaussians: SubgroupGaussians, settings: Settings, template: Template, group: int
) -> GroupProblem:
    """Return the problem of mapping a template to one group."""
    share = settings.priors[:, group]
    return GroupProblem(
        weights=share / share.sum(),
        reference_means=template.means,
        reference_covariances=template.covariances,
        means=gaussians.means[:, group],
        covariances=gaussians.covariances[:, group],
    )


def affirmative(solve_group: GroupSolver) -> Callable[[SubgroupGaussians, Settings], Solution]:
    """Return a solver for all groups except the reference, given the solver of one group."""

    def solve(gaussians: SubgroupGaussians, settings: Settings) -> Solution:
        r, d = settings.reference, gaussians.n_features
        template = Template(gaussians.means[:, r], gaussians.covariances[:, r])
        others = [a for a in range(gaussians.n_groups) if a != r]
        problems = [group_problem(gaussians, settings, template, a) for a in others]
        starts = [None if settings.start is None else settings.start.maps.matrix[a] for a in others]
        own = [replace(settings, rng=rng) for rng in settings.rng.spawn(len(others))]
        with ThreadPoolExecutor() as pool:
            run = pool.map if d >= _MIN_THREADED_FEATURES else map
            solutions = list(run(solve_group, problems, own, starts))

        matrices = np.tile(np.eye(d), (gaussians.n_groups, 1, 1))
        offsets = np.zeros((gaussians.n_groups, d))
        for a, problem, solution in zip(others, problems, solutions, strict=True):
            matrices[a] = solution.matrix
            offsets[a] = problem.offset(solution.matrix)
        return Solution(
            maps=AffineMap(matrices, offsets),
            template=template,
            optimality=max(solution.optimality for solution in solutions),
            n_iter=sum(solution.n_iter for solution in solutions),
        )

    return solve


def identical(gaussians: SubgroupGaussians, settings: Settings) -> Solution:
    """Return the solution in which every group has the Gaussians of the reference."""
    r = settings.reference
    template = Template(gaussians.means[:, r], gaussians.covariances[:, r])
    maps = AffineMap.identity(gaussians.n_features, (gaussians.n_groups,))
    return Solution(maps, template, 0.0, 0)


def _whitened(problem: GroupProblem, settings: Settings, start: Array | None) -> GroupSolution:
    if start is not None:
        start = symmetrize(start @ sqrtm(problem.reference_covariances[settings.anchor]))
    return solve_whitened(
        problem, anchor=settings.anchor, start=start, max_iterations=settings.max_iterations
    )


def _affine(problem: GroupProblem, settings: Settings, start: Array | None) -> GroupSolution:
    if start is not None:
        return refine_affine(problem, start, settings.max_iterations)
    return solve_affine(
        problem,
        anchor=settings.anchor,
        n_init=settings.n_init,
        random_state=settings.rng,
        max_iterations=settings.max_iterations,
    )


univariate = affirmative(lambda p, s, _: solve_univariate(p, reflect=s.conditions == "affine"))
tied = affirmative(lambda p, s, _: solve_tied(p))
whitened = affirmative(_whitened)
affine = affirmative(_affine)
