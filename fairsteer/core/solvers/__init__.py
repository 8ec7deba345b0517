"""The nearest ideal distribution in Kullback-Leibler divergence."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from fairsteer.core.affine import AffineMap
from fairsteer.core.divergence import gaussian_kl, mixture_kl
from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.linalg import Array, distinct
from fairsteer.core.priors import PRIORS, ideal_priors
from fairsteer.core.solvers import affirmative
from fairsteer.core.solvers._result import CONVERGED, Settings, Solution, SteeringResult, Template
from fairsteer.core.solvers.subgroups import solve_subgroups

__all__ = [
    "CONDITIONS",
    "INTERVENTIONS",
    "SOLVERS",
    "SteeringResult",
    "default_reference_group",
    "nearest_ideal",
    "unchanged",
]

CONDITIONS = ("affine", "whitened", "identical")
INTERVENTIONS = ("affirmative", "all_subgroups")
_SAME_PRIORS = 1e-8
_MAX_ROUNDS = 500


@dataclass(frozen=True)
class Solver:
    """A way to solve, the interventions and conditions it serves, and what it asks of the law."""

    solve: Callable[[SubgroupGaussians, Settings], Solution]
    intervention: str
    conditions: tuple[str, ...]
    accepts: Callable[[SubgroupGaussians], bool] = lambda gaussians: True
    needs: str = "any law"


def _is_tied(gaussians: SubgroupGaussians) -> bool:
    return len(distinct(gaussians.covariances)) == 1


SOLVERS: dict[str, Solver] = {
    "identical": Solver(affirmative.identical, "affirmative", ("identical",)),
    "univariate": Solver(
        affirmative.univariate,
        "affirmative",
        ("affine", "whitened"),
        lambda gaussians: gaussians.n_features == 1,
        "exactly one feature",
    ),
    "tied": Solver(
        affirmative.tied,
        "affirmative",
        ("affine",),
        _is_tied,
        "one covariance shared by all labels of a group (covariance_type='tied')",
    ),
    "whitened": Solver(affirmative.whitened, "affirmative", ("whitened",)),
    "affine": Solver(affirmative.affine, "affirmative", ("affine",)),
    "subgroups": Solver(solve_subgroups, "all_subgroups", CONDITIONS),
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
    intervention: str = "affirmative",
    reference_group: object = None,
    conditions: str = "affine",
    anchor: object = None,
    priors: str = "keep",
    solver: str = "auto",
    n_init: int = 1,
    random_state: int | None = None,
) -> SteeringResult:
    """Find the ideal law nearest in ``KL(ideal || data)``.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        Law of the data: K labels, G groups, d features.
    intervention : {"affirmative", "all_subgroups"}, default="affirmative"
        Whether the reference group keeps its law or every subgroup may change.
    reference_group : object, default=None
        Value of the group that keeps its law (or, with all subgroups, whose frame the ideal
        law takes); see :func:`default_reference_group`.
    conditions : {"affine", "whitened", "identical"}, default="affine"
        What makes a law ideal. ``"whitened"`` are the paper's (Proposition 3.2) and depend on
        the features' units, ``"affine"`` are weaker and ``"identical"`` stricter; the
        divergences are ordered accordingly.
    anchor : object, default=None
        Label whose covariance whitens in the whitened conditions; default the last.
    priors : {"keep", "independent", "nearest"}, default="keep"
        Law of (label, group) of the target; see :func:`fairsteer.core.priors.ideal_priors`.
    solver : str, default="auto"
        ``"univariate"``, ``"tied"``, ``"whitened"``, ``"affine"``, ``"identical"`` or
        ``"subgroups"``.
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
        the solver does not serve these conditions, this intervention or this law.

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
    name = _choose_solver(gaussians, intervention, conditions, solver)
    if reference_group is None:
        reference = default_reference_group(gaussians.priors)
    else:
        reference = gaussians.group_index(reference_group)

    # Whitening depends on the units of the features, everything else is made independent of them.
    scale = np.ones(gaussians.n_features) if conditions == "whitened" else gaussians.feature_scale
    centre = np.einsum("ia,iaj->j", gaussians.priors, gaussians.means)
    standardised = gaussians.in_units(centre, scale)
    settings = Settings(
        conditions=conditions,
        reference=reference,
        anchor=gaussians.n_labels - 1 if anchor is None else gaussians.label_index(anchor),
        priors=ideal_priors(gaussians.priors, priors),
        n_init=n_init,
        rng=np.random.default_rng(random_state),
    )
    for _ in range(_MAX_ROUNDS):
        solution = SOLVERS[name].solve(standardised, settings)
        kl = _subgroup_kl(solution, standardised)
        if intervention == "affirmative":
            kl[:, reference] = 0.0
        next_q = ideal_priors(gaussians.priors, priors, kl)
        settled = bool(np.abs(next_q - settings.priors).max() < _SAME_PRIORS)
        if settled:
            break
        settings = replace(settings, priors=next_q, start=solution)
    ideal_q = settings.priors

    converged = solution.optimality <= CONVERGED and settled
    if not converged:
        warnings.warn(
            f"The {name} solver stopped at an optimality of {solution.optimality:.1e} instead of "
            f"{CONVERGED:.0e}{'' if settled else ' and before the priors settled'}; a larger "
            "shrinkage or covariance_type='tied' conditions the problem better.",
            RuntimeWarning,
            stacklevel=2,
        )
    maps = _map_in_units(solution.maps, centre, scale)
    if intervention == "affirmative":
        template = Template(gaussians.means[:, reference], gaussians.covariances[:, reference])
    else:
        template = Template(
            solution.template.means * scale + centre,
            solution.template.covariances * np.outer(scale, scale),
        )
    frame = AffineMap.identity(gaussians.n_features, (gaussians.n_groups,))
    kl.flags.writeable = False
    return SteeringResult(
        target=_with_laws(gaussians, ideal_q, *_carry(maps, template)),
        ideal=_with_laws(gaussians, ideal_q, *_carry(frame, template)),
        kl_divergence=mixture_kl(ideal_q, gaussians.priors, kl),
        kl_per_subgroup=kl,
        group_maps=maps,
        optimality=solution.optimality,
        n_iter=solution.n_iter,
        converged=converged,
        reference_group=gaussians.groups[reference],
        solver=name,
    )


def unchanged(gaussians: SubgroupGaussians) -> SteeringResult:
    """Return the result for a law that stays as it is, such as that of a single group."""
    shape = (gaussians.n_labels, gaussians.n_groups)
    return SteeringResult(
        target=gaussians,
        ideal=gaussians,
        kl_divergence=0.0,
        kl_per_subgroup=np.zeros(shape),
        group_maps=AffineMap.identity(gaussians.n_features, shape[1:]),
        optimality=0.0,
        n_iter=0,
        converged=True,
        reference_group=gaussians.groups[0],
        solver="none",
    )


def _choose_solver(
    gaussians: SubgroupGaussians, intervention: str, conditions: str, solver: str
) -> str:
    for name, value, known in (
        ("intervention", intervention, INTERVENTIONS),
        ("conditions", conditions, CONDITIONS),
        ("solver", solver, ("auto", *SOLVERS)),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {list(known)}, got {value!r}.")
    if solver == "auto":
        return next(
            name
            for name, candidate in SOLVERS.items()
            if intervention == candidate.intervention
            and conditions in candidate.conditions
            and candidate.accepts(gaussians)
        )
    chosen = SOLVERS[solver]
    if intervention != chosen.intervention or conditions not in chosen.conditions:
        raise ValueError(
            f"solver={solver!r} serves intervention {chosen.intervention!r} with conditions "
            f"{list(chosen.conditions)}, not {intervention!r} with {conditions!r}; solver='auto' "
            "chooses one that does."
        )
    if not chosen.accepts(gaussians):
        raise ValueError(
            f"solver={solver!r} needs {chosen.needs}; solver='auto' chooses one that fits."
        )
    return solver


def _carry(maps: AffineMap, template: Template) -> tuple[Array, Array]:
    """Push the template through the maps: means (K, G, d), covariances (K, G, d, d)."""
    covariances = distinct(template.covariances)
    means, carried = maps.pushforward(template.means[:, None], covariances[:, None])
    return means, np.broadcast_to(carried, (len(means), *carried.shape[1:]))


def _subgroup_kl(solution: Solution, gaussians: SubgroupGaussians) -> Array:
    means, covariances = _carry(solution.maps, solution.template)
    return gaussian_kl(
        means, distinct(covariances), gaussians.means, distinct(gaussians.covariances)
    )


def _map_in_units(maps: AffineMap, centre: Array, scale: Array) -> AffineMap:
    matrix = scale[:, None] * maps.matrix / scale
    offset = scale * maps.offset + centre - np.einsum("ajk,k->aj", matrix, centre)
    return AffineMap(matrix, offset)


def _with_laws(
    gaussians: SubgroupGaussians, priors: Array, means: Array, covariances: Array
) -> SubgroupGaussians:
    return replace(gaussians, priors=priors, means=means, covariances=covariances)
