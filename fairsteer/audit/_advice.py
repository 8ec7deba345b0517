"""What to make of an audit: sentences for a person, each derived from its numbers."""

from __future__ import annotations

import pandas as pd

from fairsteer.audit._leakage import ANY_LABEL, CLASSIFIERS
from fairsteer.core.constraints import CONSTRAINTS

# Chance alone exceeds three deviations in one of 740 tests, and an audit makes a dozen or more.
SURE_Z = 3.0
# The AUC of two Gaussians 0.18 deviations apart, which no classifier turns into a gap above .08.
SMALL_AUC = 0.55
# About three deviations of the AUC of two groups of 300 rows.
TREE_EDGE = 0.1
# Between Adult by sex (.93), where weighing the groups by p(group | x) took the equalized-odds gap
# of a logistic regression from .116 to .048, and COMPAS by race (.69), where it did nothing.
SHOWN_AUC = 0.75


def concerned_labels(steering, labels: list) -> dict[str, list]:
    """Return the labels within which each constraint compares the groups.

    Parameters
    ----------
    steering : estimator
        Fitted; its ``pos_label_``, if it has one, is the positive label, otherwise the last is.
    labels : list
        Labels of the audited rows, sorted.

    Returns
    -------
    dict of str to list
        By constraint. A positive label without rows is left out.
    """
    positive = getattr(steering, "pos_label_", labels[-1])
    concerned = labels, [label for label in labels if label == positive], [ANY_LABEL]
    return dict(zip(CONSTRAINTS, concerned, strict=True))


def strongest(
    table: pd.DataFrame, when: str, classifiers, labels, by: str = "auc"
) -> pd.Series | None:
    """Return the row of a recoverability table where the group is recovered best.

    Parameters
    ----------
    table : DataFrame
        As in :class:`fairsteer.audit.SteeringAudit`.
    when : {"before", "after"}
        Which features.
    classifiers, labels : sequence
        Rows to look at; skipped labels are passed over.
    by : str, default="auc"
        The column that decides.

    Returns
    -------
    Series or None
        Named ``(when, classifier, label)``; None if every label was skipped.
    """
    keys = [(when, kind, label) for kind in classifiers for label in labels]
    rows = table.loc[keys].dropna()
    return None if rows.empty else rows.loc[rows[by].idxmax()]


def advise(
    steering, table: pd.DataFrame, certificate: pd.DataFrame, labels: list, discrete: str
) -> list[str]:
    """Derive sentences from the numbers of an audit.

    Parameters
    ----------
    steering : estimator
        Its ``family`` and ``strength`` enter, where it has them.
    table, certificate : DataFrame
        As in :class:`fairsteer.audit.SteeringAudit`.
    labels : list
        The labels within which the constraint aimed at compares the groups.
    discrete : str
        How many features are discrete, as ``"2 of 3"``; empty if none is.

    Returns
    -------
    list of str
    """
    before = strongest(table, "before", CLASSIFIERS, labels)
    after = strongest(table, "after", CLASSIFIERS, labels)
    if before is None:
        return []
    if not _shows(before) and not _shows(after):
        return [
            "Nothing to steer: before steering neither a linear nor a boosted classifier recovers "
            f"the group {_within(labels)} ({_at_most(before)})."
        ]
    broken = _broken(steering, certificate)
    return [_left(steering, table, labels, discrete), *broken, _hidden(table)]


def _left(steering, table, labels, discrete) -> str:
    """Say what is left of the group in the steered features, and for which estimators."""
    boosted = strongest(table, "after", ["boosted"], labels)
    linear = table.loc[("after", "linear", boosted.name[-1])]
    if _shows(boosted) and boosted.auc - linear.auc >= TREE_EDGE:
        return (
            f"After steering boosting recovers the group {_within([boosted.name[-1]])} (AUC "
            f"{boosted.auc:.2f}) much better than a linear classifier ({linear.auc:.2f}): "
            + _why_trees(getattr(steering, "family", None), discrete)
        )
    after = strongest(table, "after", CLASSIFIERS, labels)
    if not _shows(after):
        return (
            "After steering neither a linear nor a boosted classifier recovers the group "
            f"{_within(labels)} ({_at_most(after)}): estimators of both kinds will do."
        )
    _, kind, label = after.name
    strength = getattr(steering, "strength", 1.0)
    consequence = (
        f"strength={strength} goes part of the way, 1 goes all of it."
        if strength < 1.0
        else f"a classifier of these features can have a gap of about {after.advantage:.2f}."
    )
    return (
        f"After steering a {kind} classifier still recovers the group {_within([label])} (AUC "
        f"{after.auc:.2f}, before {table.loc[('before', kind, label)].auc:.2f}): {consequence}"
    )


def _why_trees(family, discrete) -> str:
    if family is None:
        return (
            "the groups differ in more than their means. Use a linear estimator, or "
            "OptimalSteeringTransformer(family='copula')."
        )
    why = "the groups still differ in more than their means"
    if discrete:
        why = f"{discrete} features are discrete, and each group stands on a grid of its own"
    remedy = "a linear estimator" if family == "copula" else "family='copula' or a linear estimator"
    return f"{why}, so a tree ensemble will see the group. Use {remedy}."


def _broken(steering, certificate) -> list[str]:
    sure = certificate["advantage"] - SURE_Z * certificate["advantage_deviation"]
    gaps = [
        f"{row.advantage:.2f} in {name} ({row.kind} bound {row.bound:.2f})"
        for name, row in certificate[sure > certificate["bound"]].iterrows()
    ]
    if not gaps:
        return []
    why = "the rows do not follow the fitted law"
    if getattr(steering, "group_strategy", "given") == "posterior":
        why += ", and it knows the group, which is withheld here"
    return [
        "The certificate does not hold on these rows: a classifier of the steered features has a "
        f"gap of {', '.join(gaps)}. It speaks of the fitted model only: {why}."
    ]


def _hidden(table) -> str:
    auc = strongest(table, "before", CLASSIFIERS, [ANY_LABEL]).auc
    if auc >= SHOWN_AUC:
        return (
            f"If the group is unknown at prediction: the features show it (AUC {auc:.2f} before "
            "steering), so group_strategy='posterior' can work."
        )
    return (
        "If the group is unknown at prediction: the features do not show it well enough (AUC "
        f"{auc:.2f} before steering, {SHOWN_AUC} is needed) for group_strategy='posterior'; use "
        "WithinLabelEraser."
    )


def _at_most(row) -> str:
    return f"AUC at most {row.auc:.2f}, chance gives 0.50 ± {row.auc_deviation:.2f}"


def _shows(row) -> bool:
    return row.z >= SURE_Z and row.auc >= SMALL_AUC


def _within(labels) -> str:
    if len(labels) > 1:
        return "within a label"
    return "over all labels" if labels == [ANY_LABEL] else f"within label {labels[0]!r}"
