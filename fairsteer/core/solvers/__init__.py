"""The nearest ideal distribution in Kullback-Leibler divergence."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from fairsteer.core.affine import AffineMap
from fairsteer.core.divergence import gaussian_kl, mixture_kl
from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.linalg import Array, distinct, is_spd
from fairsteer.core.messages import subgroup_name
from fairsteer.core.priors import PRIORS, ideal_priors
from fairsteer.core.solvers import affirmative
from fairsteer.core.solvers._options import (
    check_choice,
    check_distribution,
    check_number,
    make_generator,
)
from fairsteer.core.solvers._result import (
    CONVERGED,
    TOO_SINGULAR,
    Settings,
    Solution,
    SteeringResult,
    Template,
)
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
_ILL_CONDITIONED = 1e6
"""Condition number of a covariance above which it is named as the cause of slow convergence."""
_FAR = 1e3
"""Distance of the means of labels, in standard deviations, that is named as the cause."""


@dataclass(frozen=True)
class Solver:
    """A solver and when it applies.

    Parameters
    ----------
    solve : callable
        From distribution and settings to solution.
    intervention : str
        In `INTERVENTIONS`.
    conditions : tuple of str
        Those of `CONDITIONS` that it handles.
    accepts : callable
        Whether it can solve for a distribution.
    needs : str
        What it requires of the distribution, for messages.
    """

    solve: Callable[[SubgroupGaussians, Settings], Solution]
    intervention: str
    conditions: tuple[str, ...]
    accepts: Callable[[SubgroupGaussians], bool] = lambda gaussians: True
    needs: str = "any distribution"


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
    "subgroups": Solver(solve_subgroups, "all_subgroups", ("affine", "whitened", "identical")),
}
"""Solvers by name, in the order in which ``solver="auto"`` tries them."""


def default_reference_group(priors: Array, positive: int = -1) -> int:
    """Return the position of the default reference group, which keeps its distribution.

    With two labels, the group with the largest ``P(positive | group)``; otherwise the group with
    the most rows. The first group wins ties.

    Parameters
    ----------
    priors : ndarray of shape (K, G)
        ``P(label, group)``, or counts.
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
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> SteeringResult:
    """Find the ideal distribution nearest in ``KL(ideal || data)``.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        Distribution of the data: K labels, G groups, d features.
    intervention : {"affirmative", "all_subgroups"}, default="affirmative"
        Whether the reference group keeps its distribution or every subgroup may change.
    reference_group : object, default=None
        Value of the group that keeps its distribution or, with ``"all_subgroups"``, whose frame the
        ideal distribution is expressed in; see :func:`default_reference_group`.
    conditions : {"affine", "whitened", "identical"}, default="affine"
        Which distributions are ideal. ``"whitened"`` are the conditions of Proposition 3.2 of the
        paper, which depend on the features' units; ``"affine"`` are weaker and ``"identical"``
        stricter, so their divergences are smaller and larger.
    anchor : object, default=None
        Label whose covariance whitens in the whitened conditions, default the last.
    priors : {"keep", "independent", "nearest"}, default="keep"
        ``P(label, group)`` of the target; see :func:`fairsteer.core.priors.ideal_priors`.
    solver : str, default="auto"
        ``"univariate"``, ``"tied"``, ``"whitened"``, ``"affine"``, ``"identical"`` or
        ``"subgroups"``.
    n_init : int, default=1
        One more than the number of random restarts of the affine solver.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the restarts.

    Returns
    -------
    SteeringResult

    Raises
    ------
    ValueError
        If an option is unknown, the group or label does not exist, there is only one group, the
        solver does not handle these conditions, this intervention or this distribution, or the
        covariances are so close to singular that the ideal distribution cannot be represented.
    TypeError
        If `gaussians` is not a `SubgroupGaussians`.

    Warns
    -----
    RuntimeWarning
        If a solver stops before its optimality is at most 1e-6.

    References
    ----------
    Sharma, Deshpande, Bhattacharyya and Shah (2025), "On Optimal Steering to Achieve Exact
    Fairness", section 4, arXiv 2509.15759.
    """
    check_distribution(gaussians)
    check_choice("priors", priors, PRIORS)
    check_number("n_init", n_init, 1, integer=True)
    rng = make_generator(random_state)
    if gaussians.n_groups < 2:
        raise ValueError("steering needs at least 2 groups, but the distribution has 1.")
    name = _choose_solver(gaussians, intervention, conditions, solver)
    if reference_group is None:
        reference = default_reference_group(gaussians.priors)
    else:
        reference = gaussians.group_index(reference_group)

    # Only the whitened conditions depend on the units of the features.
    scale = np.ones(gaussians.n_features) if conditions == "whitened" else gaussians.feature_scale
    centers = _centers(gaussians, conditions)
    standardized = gaussians.in_units(centers, scale)
    settings = Settings(
        conditions=conditions,
        reference=reference,
        anchor=gaussians.n_labels - 1 if anchor is None else gaussians.label_index(anchor),
        priors=ideal_priors(gaussians.priors, priors),
        n_init=n_init,
        rng=rng,
    )
    for _ in range(_MAX_ROUNDS):
        try:
            solution = SOLVERS[name].solve(standardized, settings)
        except np.linalg.LinAlgError:
            raise ValueError(TOO_SINGULAR) from None
        kl = _subgroup_kl(solution, standardized)
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
            f"{CONVERGED:.0e}{'' if settled else ' and before the priors converged'}: "
            f"{_advise(gaussians.in_units(centers, gaussians.feature_scale), settled)}",
            RuntimeWarning,
            stacklevel=2,
        )
    origin = centers[reference]
    if intervention == "all_subgroups" and conditions != "identical" and gaussians.n_labels == 1:
        origin = ideal_q.sum(axis=0) @ centers  # the mean of the barycenter
    maps = _map_in_units(solution.maps, origin, centers, scale)
    if intervention == "affirmative":
        template = Template(gaussians.means[:, reference], gaussians.covariances[:, reference])
    else:
        template = Template(
            solution.template.means * scale + origin,
            solution.template.covariances * np.outer(scale, scale),
        )
    frame = AffineMap.identity(gaussians.n_features, (gaussians.n_groups,))
    kl.flags.writeable = False
    return SteeringResult(
        target=_with_gaussians(gaussians, ideal_q, *_map_template(maps, template)),
        ideal=_with_gaussians(gaussians, ideal_q, *_map_template(frame, template)),
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
    """Return the result that keeps a distribution, for instance of a single group."""
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
        check_choice(name, value, known)
    if solver == "auto":
        fitting = [
            name
            for name, candidate in SOLVERS.items()
            if intervention == candidate.intervention
            and conditions in candidate.conditions
            and candidate.accepts(gaussians)
        ]
        if not fitting:
            handled = [
                c
                for c in CONDITIONS
                if any(
                    c in s.conditions for s in SOLVERS.values() if s.intervention == intervention
                )
            ]
            raise ValueError(
                f"no solver handles conditions={conditions!r} with intervention={intervention!r}; "
                f"use one of {handled}."
            )
        return fitting[0]
    chosen = SOLVERS[solver]
    if intervention != chosen.intervention or conditions not in chosen.conditions:
        raise ValueError(
            f"solver={solver!r} handles intervention={chosen.intervention!r} with conditions "
            f"{list(chosen.conditions)}, not {intervention!r} with {conditions!r}: use "
            "solver='auto'."
        )
    if not chosen.accepts(gaussians):
        raise ValueError(f"solver={solver!r} needs {chosen.needs}: use solver='auto'.")
    return solver


def _map_template(maps: AffineMap, template: Template) -> tuple[Array, Array]:
    """Return means (K, G, d) and covariances (K, G, d, d) of the mapped template."""
    covariances = distinct(template.covariances)
    means, mapped = maps.pushforward(template.means[:, None], covariances[:, None])
    return means, np.broadcast_to(mapped, (len(means), *mapped.shape[1:]))


def _centers(gaussians: SubgroupGaussians, conditions: str) -> Array:
    """Return the origin of every group's coordinates, shape (G, d).

    Maps contain a translation, so each group has an origin of its own and distances between groups
    cause no rounding errors. Under the identical conditions all groups have one distribution.
    """
    weights = gaussians.priors / gaussians.priors.sum(axis=0)
    centers: Array = np.einsum("ia,iaj->aj", weights, gaussians.means)
    if conditions == "identical":
        centers[:] = gaussians.priors.sum(axis=0) @ centers
    return centers


def _advise(gaussians: SubgroupGaussians, settled: bool) -> str:
    """Return what to do about a solver that stopped early, by its most likely cause."""
    variances = np.linalg.eigvalsh(distinct(gaussians.covariances))
    condition = variances[..., -1] / np.maximum(variances[..., 0], np.finfo(np.float64).tiny)
    i, a = np.unravel_index(int(np.argmax(condition)), condition.shape)
    deviations = np.sqrt(np.einsum("iajj->iaj", gaussians.covariances))
    spread = np.max(np.abs(gaussians.means) / deviations, axis=(0, 1))
    if condition[i, a] >= _ILL_CONDITIONED:
        return (
            f"the covariance of {subgroup_name(gaussians.labels[i], gaussians.groups[a])} has a "
            f"condition number of {condition[i, a]:.0e}. Use a larger shrinkage or "
            "covariance_type='tied', or drop features that are almost linear combinations of "
            "others."
        )
    if spread.max() >= _FAR:
        return (
            f"in the feature at position {int(np.argmax(spread))} the means of the labels lie "
            f"{spread.max():.0e} standard deviations apart. Check whether this feature determines "
            "the label."
        )
    if not settled:
        return "use priors='independent' or 'keep'."
    return "use a larger shrinkage or covariance_type='tied', which leave fewer optima."


def _subgroup_kl(solution: Solution, gaussians: SubgroupGaussians) -> Array:
    means, covariances = _map_template(solution.maps, solution.template)
    try:
        kl = gaussian_kl(
            means, distinct(covariances), gaussians.means, distinct(gaussians.covariances)
        )
    except ValueError:
        kl = np.full(gaussians.priors.shape, np.inf)
    if not np.isfinite(kl).all():
        _refuse_singular(gaussians, means, covariances)
    return kl


def _refuse_singular(gaussians: SubgroupGaussians, means: Array, covariances: Array) -> None:
    """Raise if a target (K, G, d), (K, G, d, d) is no distribution up to rounding."""
    for i, a in np.ndindex(means.shape[:2]):
        finite = np.isfinite(means[i, a]).all() and np.isfinite(covariances[i, a]).all()
        if not (finite and is_spd(covariances[i, a])):
            raise ValueError(
                "The nearest ideal distribution cannot be represented: in the subgroup "
                f"{subgroup_name(gaussians.labels[i], gaussians.groups[a])} its covariance is "
                "singular up to rounding, because the distributions of the groups differ too much "
                "in some directions. Raise shrinkage, use covariance_type='tied' or 'diag', or "
                "drop features that are almost linear combinations of others."
            )


def _map_in_units(maps: AffineMap, origin: Array, centers: Array, scale: Array) -> AffineMap:
    """Return maps of standardized features as maps from a frame around ``origin`` to the groups."""
    matrix = scale[:, None] * maps.matrix / scale
    offset = scale * maps.offset + centers - np.einsum("ajk,k->aj", matrix, origin)
    return AffineMap(matrix, offset)


def _with_gaussians(
    gaussians: SubgroupGaussians, priors: Array, means: Array, covariances: Array
) -> SubgroupGaussians:
    try:
        return replace(gaussians, priors=priors, means=means, covariances=covariances)
    except ValueError:
        _refuse_singular(gaussians, means, covariances)
        raise
