"""What fit decides of rows and parameters: whose laws, which reference, what is refused."""

from __future__ import annotations

import numpy as np

from fairsteer.core.affine import transport_map
from fairsteer.core.copula import Copula
from fairsteer.core.gaussians import cell_name, gaussians_from_moments, minimum_rows
from fairsteer.core.groups import merge_all_groups, merge_small_groups, separate_groups
from fairsteer.core.moments import pool_labels, subgroup_moments
from fairsteer.core.row_draws import NoDraws, RowDraws
from fairsteer.core.solvers import default_reference_group, nearest_ideal, unchanged

ANY_LABEL = "any"
"""The one label of a law of all labels together."""


def check_combination(steering):
    """Refuse parameters that say nothing together."""
    changes_nothing = (
        steering.conditions == "identical"
        and steering.label_strategy == "none"
        and steering.quantiles != "group"
    )
    if steering.constraint == "equalized_odds" and changes_nothing:
        raise ValueError(
            "conditions='identical' with label_strategy='none' would change nothing, because "
            "under identical conditions only the label decides where a row goes: use "
            "label_strategy='posterior' or conditions='affine'."
        )
    if steering.family != "copula" and steering.quantiles != "pooled":
        raise ValueError(
            f"quantiles={steering.quantiles!r} says whose ranks the copula takes, but "
            f"family={steering.family!r} takes none: use family='copula'."
        )
    if steering.output == "scores" and steering.family != "copula":
        raise ValueError(
            f"output='scores' asks for the copula's normal scores, which family="
            f"{steering.family!r} has not: use family='copula' or output='original'."
        )


def estimation_options(steering):
    """Return how laws are estimated from moments."""
    return {
        "covariance_type": steering.covariance_type,
        "shrinkage": steering.shrinkage,
        "borrow": steering.small_cells == "shrunk",
    }


def tied_sums(steering):
    """Say whether nothing needs the scatter of one label alone."""
    one_law = steering.constraint == "equal_opportunity"
    return steering.covariance_type == "tied" and not one_law and steering.small_cells != "shrunk"


def grouping_of(steering, rows, positive):
    """Decide which groups get a law of their own."""
    if steering.small_cells != "pooled":
        return separate_groups(rows.groups)
    counts, n_features = rows.counts, len(rows.varying_features())
    checked = counts
    if steering.constraint == "demographic_parity":
        checked = counts.sum(axis=0, keepdims=True)
    elif steering.constraint == "equal_opportunity":
        checked = counts[[positive]]
    fewest = minimum_rows(n_features=n_features, **estimation_options(steering))
    needed = np.full(len(checked), float(fewest))
    if steering.priors != "keep":
        # A cell without rows leaves a large enough law, but no weight for its group.
        checked = np.vstack([checked, counts])
        needed = np.append(needed, np.full(len(counts), np.finfo(float).tiny))
    grouping = merge_small_groups(rows.groups, checked, needed)
    if rows.regrouped(grouping.groups, grouping.law_of).vary:
        return grouping
    return merge_all_groups(rows.groups)


def nearest_ideal_of(steering, distribution, reference_group):
    """Solve for the nearest ideal law, where there is more than one group."""
    if distribution.n_groups == 1:
        return unchanged(distribution)
    return nearest_ideal(
        distribution,
        intervention=steering.intervention,
        reference_group=reference_group,
        conditions="affine" if distribution.n_labels == 1 else steering.conditions,
        priors=steering.priors,
    )


def reference_of(steering, rows, positive, grouping):
    """Return the group that keeps its law; refuse one that has none."""
    groups = rows.groups
    if steering.reference_group is None:
        candidates = rows.counts[:, : max(grouping.n_own, 1)]
        return groups[default_reference_group(candidates, positive)]
    if steering.reference_group in grouping.small:
        raise ValueError(
            f"reference_group={steering.reference_group!r} has a cell with too few rows for a law "
            "of its own (small_cells='pooled'): choose another reference."
        )
    if steering.reference_group not in groups.tolist():
        raise ValueError(
            f"reference_group={steering.reference_group!r} is not among the groups "
            f"{groups.tolist()}."
        )
    return steering.reference_group


def check_counts(steering, rows, positive):
    """Refuse rows whose cells are too few, or lack what the constraint or the priors need."""
    counts, classes, groups = rows.counts, rows.classes, rows.groups
    if steering.small_cells != "pooled" and 2 * len(groups) > rows.n_rows:
        raise ValueError(
            f"The sensitive attribute has {len(groups)} different values in "
            f"{rows.n_rows} rows, so hardly any value has rows to compare: bin it into "
            "groups, for instance by pandas.cut, or merge the rare ones by "
            "small_cells='pooled'."
        )
    without_positive = groups[counts[positive] == 0.0].tolist()
    if steering.constraint == "equal_opportunity" and without_positive:
        raise ValueError(
            f"The group(s) {without_positive} have no row of the positive label "
            f"{classes.tolist()[positive]!r}, whose law equal opportunity equalises: drop or "
            "merge them."
        )
    empty = np.argwhere(counts == 0.0)
    if steering.constraint != "equalized_odds" and steering.priors != "keep" and len(empty):
        i, a = empty[0]
        raise ValueError(
            f"{cell_name(classes[i], groups[a])} has no rows, so no weights make label and "
            "group independent: drop or merge this group or label, or use priors='keep'."
        )


def law_of(steering, rows, moments, positive, estimation):
    """Return the law that the constraint equalises: of one label, of all, or of each."""
    labels = rows.classes
    if steering.constraint == "equal_opportunity":
        labels = labels[[positive]]
        moments = tuple(part[[positive]] for part in moments)
    elif steering.constraint == "demographic_parity":
        labels, moments = np.array([ANY_LABEL]), pool_labels(*moments)
    return gaussians_from_moments(labels, rows.groups, *moments, **estimation)


def ranked(steering, rows, varying, draws, positive, reference):
    """Fit the copula; return it with the moments of scores and of those among all rows."""
    X = rows.features[:, varying].astype(np.float64)
    ranked = rows.weights
    if steering.constraint == "equal_opportunity":
        ranked = np.where(rows.label_codes == positive, ranked, 0.0)
    family = Copula(
        X, rows.group_codes, rows.weights, len(rows.groups), reference, steering.quantiles, ranked
    )

    def moments(scores):
        return subgroup_moments(
            scores,
            rows.label_codes,
            rows.group_codes,
            rows.counts.shape,
            rows.weights,
            tied=tied_sums(steering),
        )

    spread = draws[:][:, :-1]
    common = moments(family.common(X, spread))
    if steering.quantiles == "pooled":
        return family, common, common
    scores = np.empty_like(X)
    for group in range(len(rows.groups)):
        own = rows.group_codes == group
        scores[own] = family.scores(X[own], group, spread[own])
    return family, moments(scores), common


def reference_maps(distribution, result):
    """Return maps into the reference frame: one for each group, and one for each label of it."""
    frames = result.group_maps.inverse()
    if distribution.n_labels == 1:
        return frames, frames[None]
    target = result.target
    transport = transport_map(
        distribution.means,
        distribution.covariances,
        target.means,
        target.covariances,
        distribution.feature_scale,
    )
    return frames, frames.compose(transport)


def draws_of(features, codes, n_steered, seed, dithered):
    """Return draws (n, n_steered + 1): of each row for every steered feature and for its label."""
    if dithered:
        return RowDraws(features, codes, seed, n_steered + 1)
    return NoDraws(n_steered + 1)
