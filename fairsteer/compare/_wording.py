"""The sentences around the printed tables: conventions, protocol, footnotes, failures."""

from __future__ import annotations

import fairlearn
import pandas as pd
import sklearn

import fairsteer
from fairsteer.compare._methods import FRONTIER_METHODS, METHODS
from fairsteer.compare._run import Comparison
from fairsteer.compare._table import Table

METHOD_TITLES = {
    "unmitigated": "No intervention",
    "steering": "Steering",
    "correlation_remover": "CorrelationRemover",
    "exponentiated_gradient": "ExponentiatedGradient",
    "threshold_optimizer": "ThresholdOptimizer",
}
DEFINITIONS = {
    "demographic_parity": "Every group is predicted favorable at the same rate, whatever its "
    "members' true labels are.",
    "equal_opportunity": "Of the people whose true label is favorable, the same share is "
    "predicted favorable in every group.",
    "equalized_odds": "Equal opportunity, and of the people whose true label is not favorable "
    "the same share is predicted favorable in every group, too. The gap is the larger of the two.",
}
RATE_NAMES = {
    "selection_rate": "predicted favorable",
    "tpr": "predicted favorable, of the truly favorable",
    "fpr": "predicted favorable, of the others",
    "accuracy": "predicted correctly",
}

ABOVE_ITS_VALUE = (
    "The interval lies above the gap itself because every draw of rows adds chance to it."
)


def header(comparison: Comparison) -> list[str]:
    """Say what was compared and how.

    Parameters
    ----------
    comparison : Comparison
        From `fairsteer.compare.compare`.

    Returns
    -------
    list of str
        Lines.
    """
    table, options = comparison.table, comparison.options
    repeats = "" if options.repeats == 1 else f", {options.repeats} repeats"
    versions = (
        f"fairsteer {fairsteer.__version__}, scikit-learn {sklearn.__version__}, "
        f"fairlearn {fairlearn.__version__}"
    )
    return [
        f"Table: {table.conventions}",
        *table_lines(table),
        f"Protocol: {options.cv}-fold cross-validation{repeats}, stratified on label and "
        f"group, seed {options.random_state}; "
        f"everything is fitted on training rows, every number is "
        f"measured on the pooled held-out rows. {versions}.",
    ]


def table_lines(table: Table) -> list[str]:
    """Name the groups and what the user should look at.

    Parameters
    ----------
    table : Table
        What is compared on.

    Returns
    -------
    list of str
        Lines.
    """
    counts = table.groups.value_counts().sort_index()
    groups = ", ".join(f"{group}: {rows:,}" for group, rows in counts.items())
    return [
        f"Sensitive attribute: {' & '.join(table.sensitive)} ({groups}); positive label: "
        f"{table.favorable} ({table.target.mean():.1%} of {len(table.target):,} rows).",
        *(f"Warning: {text}" for text in table.warnings),
    ]


def gap_notes(comparison: Comparison) -> list[str]:
    """Explain the first table.

    Parameters
    ----------
    comparison : Comparison
        From `fairsteer.compare.compare`.

    Returns
    -------
    list of str
        Footnotes.
    """
    shown = {METHODS[name].family: METHODS[name] for name in comparison.options.methods}
    needing = [family for family, m in shown.items() if m.attribute_at_prediction]
    free = [family for family, m in shown.items() if not m.attribute_at_prediction]
    lines = [
        "Gaps are fairlearn's differences between groups, 0 is best; * is the gap that the method "
        "targets. In parentheses the noise floor, the gap that chance alone leaves on these rows: "
        "a gap below its floor is not an achievement.",
        "acc.: accuracy; bal. acc.: balanced accuracy; fit s: seconds to fit one fold.",
    ]
    if comparison.options.repeats > 1:
        lines.append("spread: the standard deviation over the repeats, of the number above it.")
    if any(f in shown for f in ("exponentiated_gradient", "threshold_optimizer")):
        lines.append("No AUC (-): the method gives randomised decisions, no ranking.")
    if "steering" in shown:
        lines.append(
            "Steering chooses among a few settings by cross-validation within the training rows "
            "(documented in fairsteer.estimators.TunedSteering); the other methods run with their "
            "defaults."
        )
    if needing:
        others = f"; not {' and '.join(free)}" if free else ""
        lines.append(f"Need the attribute at prediction: {', '.join(needing)}{others}.")
    return lines


def frontier_notes(comparison: Comparison) -> list[str]:
    """Explain the frontier tables.

    Parameters
    ----------
    comparison : Comparison
        From `fairsteer.compare.compare` with ``frontier=True``.

    Returns
    -------
    list of str
        Footnotes.
    """
    lines = [
        "Strength s moves a row s of the way. At 0 the "
        "estimator sees the table as it is; at 1 the row is that of the first table.",
        "The floor is the noise floor of the gap before it.",
    ]
    if comparison.options.repeats > 1:
        lines.append("+/-: the standard deviation over the repeats.")
    return lines


def who_pays_notes(compared: bool, flagged: bool) -> list[str]:
    """Explain the second table.

    Parameters
    ----------
    compared : bool
        Whether there is a "before".
    flagged : bool
        Whether any rate is marked as levelling down.

    Returns
    -------
    list of str
        Footnotes.
    """
    if not compared:
        return ["Without the method nothing there is no before to compare with."]
    meaning = (
        "the gap in this rate closed because this group lost and no group gained, each by more "
        "than .01, and two or more of this group lost"
    )
    return [
        "Rates before -> after: of nothing, then of the method, with the same estimator.",
        f"!> marks levelling down: {meaning}."
        if flagged
        else f"No levelling down here (it would be marked !>: {meaning}).",
    ]


def describe_failures(comparison: Comparison) -> list[str]:
    """Report what failed and what warned.

    A method at a further strength is named only where it differs from the method itself.

    Parameters
    ----------
    comparison : Comparison
        From `fairsteer.compare.compare`.

    Returns
    -------
    list of str
        Lines, none if all went well.
    """
    lines = []
    for word, texts in (("Failed", comparison.failures), ("Warned", comparison.warnings)):
        who: dict[str, list[str]] = {}
        for (estimator, method), reasons in texts.items():
            known = texts.get((estimator, method.partition("@")[0]), ()) if "@" in method else ()
            for reason in reasons:
                if reason in known:
                    continue
                who.setdefault(reason, []).append(f"{method} ({estimator})")
        lines += [f"{word}: {', '.join(names)}: {reason}" for reason, names in who.items()]
    return lines


def gap_name(constraint: str) -> str:
    """Write a constraint as words."""
    return constraint.replace("_", " ")


def method_name(name: str) -> str:
    """Write a method as words."""
    method = METHODS[name]
    family = METHOD_TITLES[method.family]
    return family if method.constraint is None else f"{family} for {gap_name(method.constraint)}"


def point_name(name: str) -> str:
    """Write a method as words, without its constraint but with a strength below 1."""
    method = (METHODS | FRONTIER_METHODS)[name]
    strength = f" at strength {method.strength:g}" if method.strength < 1.0 else ""
    return METHOD_TITLES[method.family] + strength


def verdict(value: float, floor: float, floor_high: float) -> str:
    """Set a gap beside what chance leaves.

    Parameters
    ----------
    value, floor, floor_high : float
        The gap, and the mean and the quantile of the same predictions' gaps over permutations of
        the group, as in `fairsteer.compare._bootstrap.interval_table`.

    Returns
    -------
    str
        One sentence.
    """
    if value <= floor:
        return "This is no more than chance alone leaves on so many rows."
    if value <= floor_high:
        return (
            "This is more than chance alone leaves on average, but not by so much that chance is "
            "ruled out."
        )
    return "A gap remains: chance alone leaves one so large in at most one case in twenty."


def certain(low: float, high: float) -> str:
    """Say whether a change can be told from none."""
    if low <= 0.0 <= high:
        return "The interval includes no change: these rows do not tell a loss from a gain."
    return "The interval does not include zero."


def limits(comparison: Comparison, method: str) -> list[str]:
    """Say what the numbers of a report do not say.

    Parameters
    ----------
    comparison : Comparison
        What is reported.
    method : str
        The one that the report is about.

    Returns
    -------
    list of str
        Paragraphs.
    """
    steering = METHODS[method].family == "steering"
    lines = []
    if METHODS[method].attribute_at_prediction:
        attribute = " & ".join(comparison.table.sensitive)
        lines.append(
            f"{METHOD_TITLES[METHODS[method].family]} needs to know {attribute} of every person, "
            "also of those it is applied to later. Some laws forbid that, and often it is not known. "
            "The figures do not hold for people whose attribute is missing."
        )
    if steering:
        lines += [
            "Steering spreads people with identical values by a draw, and that is made for "
            "batches. Scored one by one, people with many twins all get the same draw, and the "
            "gaps measured here do not hold for them.",
            "Steering assumes that features, once ranked, follow a bell-shaped law for each label "
            "and group. Real features do not quite; gaps shrink but need not vanish.",
        ]
    if METHODS[method].family in ("exponentiated_gradient", "threshold_optimizer"):
        lines.append("Its decisions are partly drawn by lot: alike people may be treated unlike.")
    lines += [
        f"All figures are measured on {len(comparison.table.target):,} rows. A perfectly fair "
        "classifier shows a gap on finitely many rows, too: that is what is called chance here. "
        "The smaller a group, the less is known about it.",
        "The intervals say how much the figures would vary over other rows of the same kind. They "
        "do not cover training the models anew, nor people of another kind or another time.",
        "Who takes the best of many methods by this very table takes some luck with it; confirm "
        "the choice on rows that were not used here.",
        "The labels are taken as they are. If they record an injustice, equal rates repeat it.",
        "Equal gaps are not justice. A gap can close because the better-off group loses; the "
        "section on who pays shows it. Which definition of fairness is the right one is a "
        "question about people and law, not about this table.",
    ]
    return lines


def best_others(intervals: pd.DataFrame, constraint: str) -> pd.DataFrame:
    """Return the most accurate method and the one with the smallest gap.

    Parameters
    ----------
    intervals : DataFrame
        From `fairsteer.compare._bootstrap.interval_table`, the rows of one estimator.
    constraint : str
        Which gap.

    Returns
    -------
    DataFrame
        Two rows, ``most accurate`` and ``smallest gap``, with the columns ``method``, ``accuracy``
        and ``gap``; methods of the frontier do not count.
    """
    shown = intervals[intervals["method"].isin(list(METHODS))]
    values = shown.pivot(index="method", columns="measure", values="value")
    names = {
        "most accurate": values["accuracy"].idxmax(),
        "smallest gap": values[constraint].idxmin(),
    }
    return pd.DataFrame(
        {
            what: {"method": n, "accuracy": values["accuracy"][n], "gap": values[constraint][n]}
            for what, n in names.items()
        }
    ).T
