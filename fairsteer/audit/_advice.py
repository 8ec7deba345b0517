"""Advice of an audit: sentences derived from its numbers."""

from __future__ import annotations

import pandas as pd

from fairsteer.core.constraints import CONSTRAINTS
from fairsteer.metrics._attacks import CLASSIFIERS

ANY_LABEL = "any label"
# By chance, 1 of 740 tests exceeds three deviations, and an audit makes a dozen or more tests.
SURE_Z = 3.0
# The AUC of two Gaussians 0.18 deviations apart, for which no classifier has a gap above 0.08.
SMALL_AUC = 0.55
# About three deviations of the AUC of two groups of 300 rows.
TREE_EDGE = 0.1
# Between Adult by sex (0.93), where weighting the groups by p(group | x) reduced the equalized odds
# gap of a logistic regression from 0.116 to 0.048, and COMPAS by race (0.69), without an effect.
SHOWN_AUC = 0.75


def compared_labels(steering, labels: list) -> dict[str, list]:
    """Return the labels within which each constraint compares the groups.

    Parameters
    ----------
    steering : estimator
        Fitted; the positive label is its ``pos_label_`` if it has this attribute, otherwise the
        last label.
    labels : list
        Labels of the audited rows, sorted.

    Returns
    -------
    dict of str to list
        By constraint. A positive label without rows is omitted.
    """
    positive = getattr(steering, "pos_label_", labels[-1])
    compared = labels, [label for label in labels if label == positive], [ANY_LABEL]
    return dict(zip(CONSTRAINTS, compared, strict=True))


def strongest(
    leakage: pd.DataFrame, when: str, classifiers, labels, by: str = "auc"
) -> pd.Series | None:
    """Return the row of a leakage table where the group is recovered best.

    Parameters
    ----------
    leakage : DataFrame
        As in :class:`fairsteer.audit.SteeringAudit`.
    when : {"before", "after"}
        Which features.
    classifiers, labels : sequence
        Rows to search; skipped labels are ignored.
    by : str, default="auc"
        The column to maximize.

    Returns
    -------
    Series or None
        Its name is ``(when, classifier, label)``; None if every label was skipped.
    """
    keys = [(when, kind, label) for kind in classifiers for label in labels]
    rows = leakage.loc[keys].dropna()
    return None if rows.empty else rows.loc[rows[by].idxmax()]


def advise(
    steering,
    leakage: pd.DataFrame,
    certificate: pd.DataFrame,
    labels: list,
    n_discrete: int,
    n_features: int,
) -> list[str]:
    """Derive sentences from the numbers of an audit.

    Parameters
    ----------
    steering : estimator
        Its ``family``, ``strength`` and ``group_strategy`` are used if it has them.
    leakage, certificate : DataFrame
        As in :class:`fairsteer.audit.SteeringAudit`.
    labels : list
        The labels within which the constraint of the steering compares the groups.
    n_discrete, n_features : int
        How many features are discrete, and how many there are.

    Returns
    -------
    list of str
    """
    before = strongest(leakage, "before", CLASSIFIERS, labels)
    after = strongest(leakage, "after", CLASSIFIERS, labels)
    if before is None:
        return []
    if not _shows(before) and not _shows(after):
        return [
            "There is nothing to steer: before steering, neither a linear nor a boosted classifier "
            f"recovers the group {_within(labels)} ({_at_most(before)})."
        ]
    return [
        _describe_leakage(steering, leakage, labels, n_discrete, n_features),
        *_check_certificate(steering, certificate),
        _advise_unknown_group(leakage),
    ]


def _describe_leakage(steering, leakage, labels, n_discrete, n_features) -> str:
    """Say how well the group is recovered after steering, and by which classifiers."""
    boosted = strongest(leakage, "after", ["boosted"], labels)
    linear = leakage.loc[("after", "linear", boosted.name[-1])]
    if _shows(boosted) and boosted.auc - linear.auc >= TREE_EDGE:
        return (
            "After steering, a boosted classifier recovers the group "
            f"{_within([boosted.name[-1]])} (AUC {boosted.auc:.2f}) much better than a linear "
            f"classifier ({linear.auc:.2f}): "
            + _explain_trees(getattr(steering, "family", None), n_discrete, n_features)
        )
    after = strongest(leakage, "after", CLASSIFIERS, labels)
    if not _shows(after):
        return (
            "After steering, neither a linear nor a boosted classifier recovers the group "
            f"{_within(labels)} ({_at_most(after)}): estimators of both kinds can be used."
        )
    _, kind, label = after.name
    strength = getattr(steering, "strength", 1.0)
    consequence = (
        f"strength={strength} moves the rows only part of the way; use strength=1."
        if strength < 1.0
        else "a classifier of the steered features can have a gap of about "
        f"{after.attack_advantage:.2f}."
    )
    return (
        f"After steering, a {kind} classifier still recovers the group {_within([label])} (AUC "
        f"{after.auc:.2f}; before steering {leakage.loc[('before', kind, label)].auc:.2f}): "
        + consequence
    )


def _explain_trees(family, n_discrete, n_features) -> str:
    if family is None:
        return (
            "the groups differ in more than their means. Use a linear estimator, or "
            "OptimalSteeringTransformer(family='copula')."
        )
    why = "the groups still differ in more than their means"
    copula = family in ("copula", "copula_by_group")
    if n_discrete and not copula:
        why = (
            f"{n_discrete} of {n_features} features are discrete, and steering moves each group to "
            "different values"
        )
    remedy = "a linear estimator" if copula else "family='copula' or a linear estimator"
    return f"{why}, so that tree-based models can recover the group. Use {remedy}."


def _check_certificate(steering, certificate) -> list[str]:
    lowest = certificate["attack_advantage"] - SURE_Z * certificate["attack_advantage_deviation"]
    gaps = [
        f"{row.attack_advantage:.2f} in {name} ({row.kind} bound {row.bound:.2f})"
        for name, row in certificate[lowest > certificate["bound"]].iterrows()
    ]
    if not gaps:
        return []
    why = "the rows do not follow the fitted distribution"
    if getattr(steering, "group_strategy", "given") == "posterior":
        why += ", and it assumes that the group is known, whereas the audit does not pass the group"
    return [
        "The certificate does not hold on these rows: a classifier of the steered features has a "
        f"gap of {', '.join(gaps)}. The certificate is for the fitted model only: {why}."
    ]


def _advise_unknown_group(leakage) -> str:
    auc = strongest(leakage, "before", CLASSIFIERS, [ANY_LABEL]).auc
    if auc >= SHOWN_AUC:
        return (
            "If the group is unknown at prediction, group_strategy='posterior' can work: the "
            f"features predict the group (AUC {auc:.2f} before steering)."
        )
    return (
        "If the group is unknown at prediction, use WithinLabelEraser: the features do not predict "
        f"the group well enough for group_strategy='posterior' (AUC {auc:.2f} before steering, "
        f"at least {SHOWN_AUC} is needed)."
    )


def _at_most(row) -> str:
    return f"AUC at most {row.auc:.2f}; chance is 0.50 ± {row.auc_deviation:.2f}"


def _shows(row) -> bool:
    return row.z >= SURE_Z and row.auc >= SMALL_AUC


def _within(labels) -> str:
    if len(labels) > 1:
        return "within a label"
    return "over all labels" if labels == [ANY_LABEL] else f"within label {labels[0]!r}"
