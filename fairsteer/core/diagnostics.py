"""What a user should hear about a fit that succeeded, and about rows that come later."""

from __future__ import annotations

import numpy as np

from fairsteer.core.gaussians import SubgroupGaussians, cell_name
from fairsteer.core.groups import Grouping
from fairsteer.core.linalg import Array

JUDGED_ROWS = 2000
"""Rows that features and displacements are judged on."""
DISCRETE = 0.05
"""Chance of a tie of two rows above which a feature counts as discrete: under 20 equal values."""
UNMOVED = 0.01
"""Mean displacement, in standard deviations, under which steering changed almost nothing."""


def tie_probability(x: Array) -> float:
    """Return the share of pairs of the n values that are equal."""
    counts = np.unique(x, return_counts=True)[1].astype(float)
    return float(np.sum(counts * (counts - 1.0)) / (len(x) * (len(x) - 1.0)))


def discrete_features(X: Array) -> str | None:
    """Say so where more than half of the features (n, d) are discrete."""
    discrete = sum(tie_probability(x) > DISCRETE for x in X.T)
    if discrete <= X.shape[1] / 2:
        return None
    return (
        f"{discrete} of {X.shape[1]} features are discrete, which a Gaussian is not: a model that "
        "tells the groups' values apart, as tree ensembles do, may recover the group from the "
        "steered features, and gaps may even grow. Use family='copula', with categories as one "
        "column in a meaningful order, and look at fairsteer.audit.audit_steering."
    )


def nothing_moved(steps: list[Array], scale: Array) -> str | None:
    """Say so where no group's displacements (n, d) are more than tiny in the scale (d,)."""
    size = max(float(np.sqrt(np.mean((step / scale) ** 2))) for step in steps)
    if size >= UNMOVED:
        return None
    return (
        f"Steering moves no group by more than {size:.2g} standard deviations, almost nothing: the "
        "groups' features differ hardly at all in mean and covariance. A gap of the model then "
        "has other causes, such as base rates (see ideal_sample_weight)."
    )


def cells_below_dimension(law: SubgroupGaussians) -> str | None:
    """Say so where a full covariance is estimated from fewer rows than it has features."""
    d = law.n_features
    small = np.argwhere(law.counts <= d)
    if len(small) == 0:
        return None
    i, a = small[0]
    others = f" (and {len(small) - 1} other cells)" if len(small) > 1 else ""
    return (
        f"{cell_name(law.labels[i], law.groups[a])} has {law.counts[i, a]:g} rows for {d} "
        f"features{others}, so most of its covariance is the shrinkage's, not the data's: use "
        "covariance_type='tied' or 'diag', more shrinkage, or merge groups or labels."
    )


def groups_without_law(grouping: Grouping) -> str | None:
    """Say which groups have too few rows, and what becomes of them."""
    if not grouping.small:
        return None
    shown = ", ".join(repr(group) for group in grouping.small[:5])
    if len(grouping.small) > 5:
        shown += f" and {len(grouping.small) - 5} more"
    few = f"The group(s) {shown} have too few rows of some label for a law of their own, "
    if len(grouping.groups) == 1:
        return few + (
            "and so only one law is left and nothing is steered: merge groups or labels, or use "
            "covariance_type='tied' or 'diag'."
        )
    if grouping.merged:
        return few + "so they are steered together, as one group: gaps between them may stay."
    return few + ("even together, so their rows move as the population does: their gaps may stay.")


def drifted(
    scores: Array, mean: Array, deviation: Array, limit: float, group: object, names: Array
) -> str | None:
    """Say so where the mean of scores (n, d) of a group is far from that of training.

    Four standard errors of the mean of n rows are allowed on top of the limit.
    """
    distance = np.abs(scores.mean(axis=0) - mean) / deviation
    worst = int(np.argmax(distance))
    if distance[worst] <= limit + 4.0 / np.sqrt(len(scores)):
        return None
    return (
        f"The mean of the {len(scores)} row(s) of group {group!r} lies {distance[worst]:.1f} "
        f"standard deviations from that of training in column {names[worst]!r}: these rows are not "
        "like those the maps were fitted on. Check the column's units, or refit on newer rows."
    )
