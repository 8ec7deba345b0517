"""The nearest ideal distribution in Kullback-Leibler divergence."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fairsteer._linalg import Array
from fairsteer.affine import AffineMap
from fairsteer.divergence import gaussian_kl, mixture_kl
from fairsteer.gaussian import SubgroupGaussians
from fairsteer.priors import PRIORS, ideal_priors
from fairsteer.solvers._problem import GroupProblem
from fairsteer.solvers._result import CONVERGED, GroupSolution, SteeringResult
from fairsteer.solvers.affine import solve_affine
from fairsteer.solvers.tied import solve_tied
from fairsteer.solvers.univariate import solve_univariate
from fairsteer.solvers.whitened import solve_whitened

__all__ = ["CONDITIONS", "SOLVERS", "SteeringResult", "default_reference_group", "nearest_ideal"]

CONDITIONS = ("affine", "whitened", "identical")


@dataclass(frozen=True)
class Settings:
    """What a solver may need besides the problem."""

    conditions: str
    anchor: int
    n_init: int
    rng: np.random.Generator


@dataclass(frozen=True)
class Solver:
    """A way to solve, the conditions it serves, and what it asks of the law."""

    solve: Callable[[GroupProblem, Settings], GroupSolution]
    conditions: tuple[str, ...]
    accepts: Callable[[SubgroupGaussians], bool]
    needs: str


def _identity(problem: GroupProblem, settings: Settings) -> GroupSolution:
    return GroupSolution(np.eye(problem.n_features), 0.0, 0)


def _is_tied(gaussians: SubgroupGaussians) -> bool:
    covariances = gaussians.covariances
    return bool(np.all(covariances == covariances[:1]))


SOLVERS: dict[str, Solver] = {
    "identical": Solver(_identity, ("identical",), lambda g: True, "any law"),
    "univariate": Solver(
        lambda p, s: solve_univariate(p, reflect=s.conditions == "affine"),
        ("affine", "whitened"),
        lambda g: g.n_features == 1,
        "exactly one feature",
    ),
    "tied": Solver(
        lambda p, s: solve_tied(p),
        ("affine",),
        _is_tied,
        "one covariance shared by all labels of a group (covariance_type='tied')",
    ),
    "whitened": Solver(
        lambda p, s: solve_whitened(p, anchor=s.anchor), ("whitened",), lambda g: True, "any law"
    ),
    "affine": Solver(
        lambda p, s: solve_affine(p, anchor=s.anchor, n_init=s.n_init, random_state=s.rng),
        ("affine",),
        lambda g: True,
        "any law",
    ),
}
"""Solvers by name, in the order in which ``solver="auto"`` tries them."""


def default_reference_group(priors: Array, positive: int = -1) -> int:
    """Return the position of the group that keeps its law unless the user names another.

    Two labels: the group with the largest ``P(positive | group)``; otherwise the group with
    the most rows. Ties go to the first.

    Parameters
    ----------
    priors : ndarray of shape (K, G)
        Law (or counts) of label and group.
    positive : int, default=-1
        Position of the positive label.
    """
    totals = priors.sum(axis=0)
    score = priors[positive] / totals if len(priors) == 2 else totals
    return int(np.argmax(score))


def nearest_ideal(
    gaussians: SubgroupGaussians,
    *,
    reference_group: object = None,
    conditions: str = "affine",
    anchor: object = None,
    priors: str = "keep",
    solver: str = "auto",
    n_init: int = 1,
    random_state: int | None = None,
) -> SteeringResult:
    """Find the ideal law nearest in ``KL(ideal || data)`` with the reference group's law kept.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        Law of the data: K labels, G groups, d features.
    reference_group : object, default=None
        Value of the group that keeps its law; see :func:`default_reference_group`.
    conditions : {"affine", "whitened", "identical"}, default="affine"
        What makes a law ideal. ``"whitened"`` are the paper's (Proposition 3.2) and depend on
        the features' units, ``"affine"`` are weaker and ``"identical"`` stricter; the
        divergences are ordered accordingly.
    anchor : object, default=None
        Label whose covariance whitens in the whitened conditions; default the last.
    priors : {"keep", "independent", "nearest"}, default="keep"
        Law of (label, group) of the target; see :func:`fairsteer.priors.ideal_priors`.
    solver : str, default="auto"
        ``"univariate"``, ``"tied"``, ``"whitened"``, ``"affine"`` or ``"identical"``.
    n_init : int, default=1
        ``n_init - 1`` random restarts of the affine solver.
    random_state : int, default=None
        Seed of the restarts.

    Returns
    -------
    SteeringResult

    Raises
    ------
    ValueError
        If an option is unknown, the group or label does not exist, there is one group only, or
        the solver does not serve these conditions or this law.

    Warns
    -----
    RuntimeWarning
        If a solver stops before its optimality is at most 1e-6.

    References
    ----------
    Sharma, Deshpande, Bhattacharyya and Shah (2025), "On Optimal Steering to Achieve Exact
    Fairness", section 4, arXiv 2509.15759.
    """
    if priors not in PRIORS:
        raise ValueError(f"priors must be one of {list(PRIORS)}, got {priors!r}.")
    if n_init < 1:
        raise ValueError(f"n_init must be at least 1, got {n_init!r}.")
    if gaussians.n_groups < 2:
        raise ValueError("steering needs at least two groups, but the law has one.")
    name = _choose_solver(gaussians, conditions, solver)
    settings = Settings(
        conditions=conditions,
        anchor=gaussians.n_labels - 1 if anchor is None else gaussians.label_index(anchor),
        n_init=n_init,
        rng=np.random.default_rng(random_state),
    )
    if reference_group is None:
        reference = default_reference_group(gaussians.priors)
    else:
        reference = gaussians.group_index(reference_group)

    ideal = ideal_priors(gaussians.priors, priors)
    while True:
        maps, optimality, n_iter = _solve_groups(gaussians, name, settings, reference, ideal)
        means, covariances = maps.pushforward(
            gaussians.means[:, reference, None], gaussians.covariances[:, reference, None]
        )
        kl = gaussian_kl(means, covariances, gaussians.means, gaussians.covariances)
        kl[:, reference] = 0.0
        previous, ideal = ideal, ideal_priors(gaussians.priors, priors, kl)
        if np.abs(ideal - previous).max() < 1e-9:
            break

    converged = optimality <= CONVERGED
    if not converged:
        warnings.warn(
            f"The {name} solver stopped at an optimality of {optimality:.1e} instead of "
            f"{CONVERGED:.0e}; a larger shrinkage or covariance_type='tied' conditions the "
            "problem better.",
            RuntimeWarning,
            stacklevel=2,
        )
    target = SubgroupGaussians(
        labels=gaussians.labels,
        groups=gaussians.groups,
        priors=previous,
        means=means,
        covariances=covariances,
        counts=gaussians.counts,
    )
    kl.flags.writeable = False
    return SteeringResult(
        target=target,
        kl_divergence=mixture_kl(previous, gaussians.priors, kl),
        kl_per_subgroup=kl,
        group_maps=maps,
        optimality=optimality,
        n_iter=n_iter,
        converged=converged,
        reference_group=gaussians.groups[reference],
        solver=name,
    )


def _choose_solver(gaussians: SubgroupGaussians, conditions: str, solver: str) -> str:
    if conditions not in CONDITIONS:
        raise ValueError(f"conditions must be one of {list(CONDITIONS)}, got {conditions!r}.")
    if solver == "auto":
        return next(
            name
            for name, candidate in SOLVERS.items()
            if conditions in candidate.conditions and candidate.accepts(gaussians)
        )
    if solver not in SOLVERS:
        raise ValueError(f"solver must be 'auto' or one of {list(SOLVERS)}, got {solver!r}.")
    chosen = SOLVERS[solver]
    if conditions not in chosen.conditions:
        raise ValueError(
            f"solver={solver!r} serves conditions {list(chosen.conditions)}, not {conditions!r}; "
            "solver='auto' chooses one that does."
        )
    if not chosen.accepts(gaussians):
        raise ValueError(
            f"solver={solver!r} needs {chosen.needs}; solver='auto' chooses one that fits."
        )
    return solver


def _solve_groups(
    gaussians: SubgroupGaussians, name: str, settings: Settings, reference: int, priors: Array
) -> tuple[AffineMap, float, int]:
    """Solve for every group but the reference; return maps (G,), optimality, iterations."""
    shape = (gaussians.n_groups, gaussians.n_features)
    matrices = np.broadcast_to(np.eye(shape[1]), (*shape, shape[1])).copy()
    offsets = np.zeros(shape)
    optimality, n_iter = 0.0, 0
    # Whitening is not equivariant under a change of units, everything else is made so.
    scale = np.ones(shape[1]) if name == "whitened" else gaussians.feature_scale
    for a in range(gaussians.n_groups):
        if a == reference or name == "identical":
            continue
        weights = priors[:, a] / priors[:, a].sum()
        centres = weights @ gaussians.means[:, reference], weights @ gaussians.means[:, a]
        units = np.diag(1.0 / scale)
        problem = GroupProblem(
            weights=weights,
            reference_means=gaussians.means[:, reference] - centres[0],
            reference_covariances=gaussians.covariances[:, reference],
            means=gaussians.means[:, a] - centres[1],
            covariances=gaussians.covariances[:, a],
        ).in_coordinates(units, units)
        solution = SOLVERS[name].solve(problem, settings)
        matrices[a] = scale[:, None] * solution.matrix / scale
        offsets[a] = scale * problem.offset(solution.matrix) + centres[1] - matrices[a] @ centres[0]
        optimality = max(optimality, solution.optimality)
        n_iter += solution.n_iter
    return AffineMap(matrices, offsets), optimality, n_iter
