"""The sentences around the printed tables: conventions, protocol, footnotes, failures."""

from __future__ import annotations

import fairlearn
import sklearn

import fairsteer
from fairsteer.compare._methods import METHODS
from fairsteer.compare._run import Comparison
from fairsteer.compare._table import Table


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
    table, settings = comparison.table, comparison.settings
    repeats = "" if settings.repeats == 1 else f", {settings.repeats} repeats"
    versions = (
        f"fairsteer {fairsteer.__version__}, scikit-learn {sklearn.__version__}, "
        f"fairlearn {fairlearn.__version__}"
    )
    return [
        f"Table: {table.conventions}",
        *table_lines(table),
        f"Protocol: {settings.folds}-fold cross-validation{repeats}, stratified on label and "
        f"group, seed {settings.seed}; everything is fitted on training rows, every number is "
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
        f"{table.favourable} ({table.target.mean():.1%} of {len(table.target):,} rows).",
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
    shown = {METHODS[name].family: METHODS[name] for name in comparison.settings.methods}
    needing = [family for family, m in shown.items() if m.attribute_at_prediction]
    free = [family for family, m in shown.items() if not m.attribute_at_prediction]
    lines = [
        "Gaps are fairlearn's differences between groups, 0 is best; * is the gap that the method "
        "targets. In parentheses the noise floor, the gap that chance alone leaves on these rows: "
        "a gap below its floor is not an achievement.",
        "acc.: accuracy; bal. acc.: balanced accuracy; fit s: seconds to fit one fold.",
    ]
    if comparison.settings.repeats > 1:
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
    if comparison.settings.repeats > 1:
        lines.append("+/-: the standard deviation over the repeats.")
    return lines


def who_pays_notes(compared: bool, flagged: bool) -> list[str]:
    """Explain the second table.

    Parameters
    ----------
    compared : bool
        Whether there is a "before".
    flagged : bool
        Whether any rate is marked as leveling down.

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
        f"!> marks leveling down: {meaning}."
        if flagged
        else f"No leveling down here (it would be marked !>: {meaning}).",
    ]


def troubles(comparison: Comparison) -> list[str]:
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
