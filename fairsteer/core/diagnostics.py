"""Warnings issued after ``fit``, and for drift in ``transform``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.groups import Grouping
from fairsteer.core.linalg import Array
from fairsteer.core.marginals import SAMPLED_ROWS
from fairsteer.core.messages import shorten, subgroup_name
from fairsteer.core.moments import pool_labels, positions
from fairsteer.core.steering import FittedSteering
from fairsteer.core.training_rows import TrainingRows

UNMOVED = 0.01
"""Mean displacement, in standard deviations, below which steering changed almost nothing."""


def find_problems(fitted: FittedSteering, sample: TrainingRows | None) -> list[str]:
    """Return a sentence for everything that may keep a fit from doing what is expected.

    Parameters
    ----------
    fitted : FittedSteering
        The fit.
    sample : TrainingRows or None
        Some of its rows, to measure features and displacements on.
    """
    options, found = fitted.options, [describe_small_groups(fitted.grouping)]
    if sample is not None:
        grouping = fitted.grouping
        place = np.array(positions(sample.groups, fitted.groups), dtype=np.intp)
        rows = sample.regrouped(grouping.fitted, grouping.position[place])
        rows = rows._replace(features=fitted.merge(rows.features))
        found += _measure_rows(fitted, rows)
    found.append(describe_blur(fitted))
    if options.covariance_type == "full" and options.small_groups != "shrunk":
        found.append(describe_few_rows(fitted.distribution))
    return [text for text in found if text]


def _measure_rows(fitted: FittedSteering, rows: TrainingRows) -> list[str | None]:
    """Return what a sample of rows shows of features and displacements."""
    rng = np.random.default_rng(fitted.seed)
    options, distribution = fitted.options, fitted.distribution
    strength, found = options.strength, []

    def choose(places: NDArray[np.intp]) -> NDArray[np.intp]:
        if len(places) <= SAMPLED_ROWS:
            return places
        return places[rng.choice(len(places), SAMPLED_ROWS, replace=False)]

    groups = np.unique(rows.group_codes)
    if strength > 0.0 and distribution.n_groups > 1 and len(groups) == distribution.n_groups:
        steps = []
        for group in groups:
            chosen = choose(np.flatnonzero(rows.group_codes == group))
            draws = fitted.draw(rows.features[chosen], rows.group_codes[chosen])
            X = rows.features[np.ix_(chosen, fitted.varying)].astype(np.float64)
            motion = fitted.motion(int(group))
            own = None if draws is None else draws[:]
            steps.append(np.zeros_like(X) if motion is None else motion(X, own) / strength)
        found.append(describe_unmoved(steps, distribution.feature_scale))
    return found


def describe_blur(fitted: FittedSteering) -> str | None:
    """Return a note where the channel blurs the reference group, too."""
    channel = fitted.channel
    if channel is None or not channel.blurred[fitted.reference]:
        return None
    groups = fitted.distribution.groups.tolist()
    sharp = [g for g, blurred in zip(groups, channel.blurred, strict=True) if not blurred]
    remedy = f"use reference_group={sharp[0]!r} to leave that group as it is. " if sharp else ""
    return (
        f"The channel blurs the reference group {groups[fitted.reference]!r}, too, because another "
        f"group's features say less about the label: {remedy}Every group can keep only what all "
        "groups have."
    )


def describe_recovery(before: float, after: float, ranks: bool) -> str:
    """Return a warning with the AUCs of a classifier that recovers the group."""
    remedy = "a linear estimator" if ranks else "family='copula' or a linear estimator"
    return (
        "A boosted classifier recovers the group within a label better after steering (AUC "
        f"{after:.2f}) than before ({before:.2f}), because features are discrete and the steered "
        "values of each group form a grid of their own. Tree ensembles may use it, and gaps may "
        "grow. Use "
        f"{remedy}, and check the result with fairsteer.audit.audit_steering."
    )


def describe_unsteered(names: str) -> str:
    """Return a note on blocks of indicators that are left as they are."""
    return (
        f"The columns {names} are one-hot. Affine maps return no indicators, so these columns are "
        "left as they are, and gaps that they cause remain: pass family='copula' with categories "
        "as one column in a meaningful order to steer them."
    )


def null_auc_deviation(n_group: int, n_rest: int, cv: int) -> float:
    """Return the standard deviation of a cross-validated AUC if the two distributions are equal.

    On a single fold with m and n rows the AUC is the Mann-Whitney statistic divided by m n, with
    variance ``(m + n + 1) / (12 m n)`` (also Hanley and McNeil's formula at 0.5). The mean over k
    folds has this variance divided by k, times ``1 + k / (k - 1)`` because the training sets of the
    folds overlap.

    Parameters
    ----------
    n_group, n_rest : int
        Rows of the group and of the others, over all folds.
    cv : int
        Number of folds, k.

    Returns
    -------
    float

    References
    ----------
    Mann and Whitney (1947), Annals of Mathematical Statistics 18; Hanley and McNeil (1982),
    Radiology 143; Nadeau and Bengio (2003), "Inference for the Generalization Error", Machine
    Learning 52, for the factor.
    """
    independent = (n_group + n_rest + cv) / (12.0 * n_group * n_rest)
    return float(np.sqrt(independent * (1.0 + cv / (cv - 1.0))))


def describe_unmoved(steps: list[Array], scale: Array) -> str | None:
    """Return a warning where the displacements (n, d) of all groups are tiny in scale (d,)."""
    size = max(float(np.sqrt(np.mean((step / scale) ** 2))) for step in steps)
    if size >= UNMOVED:
        return None
    return (
        f"Steering moves no group by more than {size:.2g} standard deviations: the means and "
        "covariances of the groups' features are almost equal. A gap of the model then has other "
        "causes, such as base rates (see ideal_sample_weight)."
    )


def describe_few_rows(distribution: SubgroupGaussians) -> str | None:
    """Return a warning where a full covariance is estimated from fewer rows than features."""
    d = distribution.n_features
    small = np.argwhere(distribution.counts <= d)
    if len(small) == 0:
        return None
    i, a = small[0]
    others = f" (and {len(small) - 1} other subgroups)" if len(small) > 1 else ""
    return (
        f"{subgroup_name(distribution.labels[i], distribution.groups[a])} has "
        f"{distribution.counts[i, a]:g} rows for {d} features{others}, so shrinkage determines "
        "most of its covariance: use covariance_type='tied' or 'diag', more shrinkage, or merge "
        "groups or labels."
    )


def describe_small_groups(grouping: Grouping) -> str | None:
    """Return a warning that names the groups with too few rows and says how they are treated."""
    if not grouping.small:
        return None
    shown = ", ".join(map(shorten, grouping.small[:5]))
    if len(grouping.small) > 5:
        shown += f" and {len(grouping.small) - 5} more"
    few = f"The group(s) {shown} have too few rows of some label for a distribution of their own"
    if len(grouping.fitted) == 1:
        return (
            f"{few}. Only one distribution is left, so nothing is steered: merge groups or "
            "labels, or use covariance_type='tied' or 'diag'."
        )
    if grouping.merged:
        return f"{few}, so they are steered together as one group: gaps between them may remain."
    return f"{few}, even together, so their rows are moved as the population: gaps may remain."


def find_drift(
    fitted: FittedSteering,
    features: Array,
    codes: NDArray[np.intp],
    limit: float,
    names: Array,
) -> list[str]:
    """Return a warning for every group whose rows are far from its training rows.

    Parameters
    ----------
    fitted : FittedSteering
        The fit.
    features : ndarray of shape (n, d)
        All features.
    codes : ndarray of shape (n,)
        Positions of groups, -1 where unknown.
    limit : float
        Distance of means, in fitted standard deviations, above which a group has drifted.
    names : ndarray of shape (d,)
        Names of the features.
    """
    codes, features = fitted.grouping.fitted_codes(codes), fitted.merge(features)
    draws, found = fitted.draw(features, codes), []
    pooled = pool_labels(*fitted.moments)
    for group in np.flatnonzero(np.bincount(codes + 1)[1:]):
        where = np.flatnonzero(codes == group)
        X = features[np.ix_(where, fitted.varying)].astype(np.float64)
        ties = None if draws is None else draws[where][:, :-1]
        scores = fitted.marginals.scores(X, int(group), ties)
        counts, means, scatters = (part[0, group] for part in pooled)
        deviations = np.sqrt(np.diag(scatters) / counts)
        deviations = np.where(deviations > 0.0, deviations, fitted.distribution.feature_scale)
        name = fitted.grouping.fitted[group]
        found.append(describe_drift(scores, means, deviations, limit, name, names[fitted.varying]))
    return [text for text in found if text]


def describe_drift(
    scores: Array, mean: Array, deviation: Array, limit: float, group: object, names: Array
) -> str | None:
    """Return a warning where the mean of scores (n, d) of a group is far from that of training.

    Four standard errors of the mean of n rows are allowed on top of the limit.
    """
    distance = np.abs(scores.mean(axis=0) - mean) / deviation
    worst = int(np.argmax(distance))
    if distance[worst] <= limit + 4.0 / np.sqrt(len(scores)):
        return None
    return (
        f"The mean of the {len(scores)} row(s) of group {group!r} is {distance[worst]:.1f} "
        f"standard deviations from the training mean in column {names[worst]!r}, so the fitted "
        "maps may not suit these rows: check the column's units, or refit on newer rows."
    )
