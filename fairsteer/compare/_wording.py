"""The names and sentences of the printed tables and the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import fairlearn
import sklearn

import fairsteer
from fairsteer.compare._methods import Method
from fairsteer.compare._options import ComparisonOptions
from fairsteer.compare._table import Table

ESTIMATOR_TITLES = {"logistic": "logistic regression", "boosting": "gradient boosting"}
METHOD_TITLES = {
    "unmitigated": "No intervention",
    "constant": "Constant prediction",
    "steering": "Steering",
    "score_steering": "Score steering",
    "correlation_remover": "CorrelationRemover",
    "exponentiated_gradient": "ExponentiatedGradient",
    "threshold_optimizer": "ThresholdOptimizer",
}
RANDOMIZED = ("exponentiated_gradient", "threshold_optimizer")
"""Families whose decisions are randomized."""
DEFINITIONS = {
    "demographic_parity": "The share of people with a favorable prediction is the same in every "
    "group.",
    "equal_opportunity": "Among people whose true label is favorable, the share with a favorable "
    "prediction is the same in every group.",
    "equalized_odds": "Equal opportunity, and among people whose true label is not favorable, the "
    "share with a favorable prediction is the same in every group, too. The gap is the larger of "
    "the two.",
}
RATE_TITLES = {
    "selection_rate": "predicted favorable",
    "tpr": "predicted favorable among the truly favorable",
    "fpr": "predicted favorable among the others",
    "accuracy": "predicted correctly",
}

NOISE_FLOOR = (
    "the noise floor: the average gap of the same predictions when the groups are shuffled, which "
    "chance alone leaves on this many rows. A gap at or below its noise floor is not "
    "distinguishable from zero"
)
LEVELING_DOWN = (
    "the gap in a rate narrowed because a group lost and no group gained, each by more than one "
    "percentage point and by two people or more"
)
INTERVAL_ABOVE_GAP = (
    "The interval lies above the gap itself because resampling the rows adds noise to it."
)


def estimator_title(name: str) -> str:
    """Return the title of an estimator."""
    return ESTIMATOR_TITLES.get(name, name)


def gap_title(constraint: str) -> str:
    """Return the title of a gap."""
    return constraint.replace("_", " ")


def family_title(method: Method) -> str:
    """Return the title of a method, without its constraint but with the gap it may leave."""
    allowed = "" if method.max_gap is None else f" within {method.max_gap:g}"
    return METHOD_TITLES.get(method.family, method.family) + allowed


def method_title(method: Method) -> str:
    """Return the title of a method with its constraint."""
    target = "" if method.constraint is None else f" for {gap_title(method.constraint)}"
    return family_title(method) + target


def describe_comparison(table: Table, options: ComparisonOptions) -> list[str]:
    """Describe what was compared and how.

    Parameters
    ----------
    table : Table
        The compared table.
    options : ComparisonOptions
        The options.

    Returns
    -------
    list of str
        Lines.
    """
    counts = table.groups.value_counts().sort_index()
    groups = ", ".join(f"{group}: {rows:,}" for group, rows in counts.items())
    repeats = "" if options.repeats == 1 else f", {options.repeats} repeats"
    return [
        f"Table: {table.conventions}",
        f"Sensitive attribute: {' & '.join(table.sensitive)} ({groups}); favorable label: "
        f"{table.favorable} ({table.target.mean():.1%} of {len(table.target):,} rows).",
        *(f"Warning: {text}" for text in table.warnings),
        f"Protocol: {options.cv}-fold cross-validation{repeats}, stratified on label and group, "
        f"seed {options.random_state}; models are fitted on training rows and measured on the "
        f"pooled held-out rows. fairsteer {fairsteer.__version__}, scikit-learn "
        f"{sklearn.__version__}, fairlearn {fairlearn.__version__}.",
    ]


def explain_gaps(methods: Iterable[Method], repeats: int) -> list[str]:
    """Explain the table of accuracy and gaps.

    Parameters
    ----------
    methods : iterable of Method
        The rows of the table.
    repeats : int
        Number of cross-validations.

    Returns
    -------
    list of str
        Footnotes.
    """
    shown = {method.family: method for method in methods}
    needing = [family for family, method in shown.items() if method.attribute_at_prediction]
    lines = [
        "Gaps are fairlearn's differences between groups, 0 is best; * is the gap that the method "
        f"targets. In parentheses {NOISE_FLOOR}.",
        "acc.: accuracy; bal. acc.: balanced accuracy; fit s: seconds to fit one fold.",
    ]
    if repeats > 1:
        lines.append("spread: the standard deviation over the repeats of the number above it.")
    if any(family in shown for family in RANDOMIZED):
        lines.append("No AUC (-): decisions are randomized and give no ranking.")
    if "steering" in shown:
        lines.append(
            "Steering chooses among candidates by cross-validation within the training rows "
            "(fairsteer.SteeredClassifierCV); the other methods run with their defaults."
        )
    if needing:
        lines.append(f"These methods need the group of every row: {', '.join(needing)}.")
    own = [method.family for method in shown.values() if method.classifier is not None]
    if own:
        lines.append(
            f"Methods of your own, with their own classifiers (the same row in every table): "
            f"{', '.join(own)}."
        )
    return lines


def explain_frontier(repeats: int) -> list[str]:
    """Explain the frontier tables.

    Parameters
    ----------
    repeats : int
        Number of cross-validations.

    Returns
    -------
    list of str
        Footnotes.
    """
    lines = [
        "max_gap is the gap that steering may leave on held-out training rows; 'floor' there means "
        "no more than chance explains, as in the first table.",
        "floor: the noise floor of the gap before it.",
    ]
    if repeats > 1:
        lines.append("+/-: the standard deviation over the repeats.")
    return lines


def explain_who_pays(compared: bool, flagged: bool) -> list[str]:
    """Explain the table of the groups' rates.

    Parameters
    ----------
    compared : bool
        Whether ``unmitigated`` was run.
    flagged : bool
        Whether any rate is marked as leveling down.

    Returns
    -------
    list of str
        Footnotes.
    """
    if not compared:
        return ["unmitigated was not run, so there are no rates to compare with."]
    mark = "!> marks leveling down" if flagged else "No leveling down (it would be marked !>)"
    return [
        "Rates before -> after: of unmitigated, then of the method, with the same estimator.",
        f"{mark}: {LEVELING_DOWN}.",
    ]


def describe_failures(
    failures: Mapping[tuple[str, str], tuple[str, ...]],
    warnings: Mapping[tuple[str, str], tuple[str, ...]],
    methods: Mapping[str, Method],
) -> list[str]:
    """Describe which methods failed or warned, and why.

    Steering that may leave a gap is named only where it differs from steering that may not.

    Parameters
    ----------
    failures, warnings : dict of (estimator, method) to tuple of str
        Of a comparison.
    methods : dict of str to Method
        Every method by name.

    Returns
    -------
    list of str
        Lines, empty if no method failed or warned.
    """
    lines = []
    for word, texts in (("Failed", failures), ("Warned", warnings)):
        names: dict[str, dict[str, None]] = {}
        for (estimator, name), reasons in texts.items():
            known = texts.get((estimator, name.partition("@")[0]), ()) if "@" in name else ()
            shown = name if methods[name].classifier is not None else f"{name} ({estimator})"
            for reason in reasons:
                if reason not in known:
                    names.setdefault(reason, {})[shown] = None
        lines += [f"{word}: {', '.join(own)}: {reason}" for reason, own in names.items()]
    return lines


def judge_gap(value: float, floor: float, floor_high: float) -> str:
    """Compare a gap with the gaps that chance leaves.

    Parameters
    ----------
    value, floor, floor_high : float
        The gap, and mean and quantile of the same predictions' gaps over permutations of the
        groups, as in `fairsteer.compare._bootstrap.interval_table`.

    Returns
    -------
    str
        One sentence.
    """
    if value <= floor:
        return "This is no more than chance alone leaves on this many rows."
    if value <= floor_high:
        return "This is more than chance leaves on average, but chance is not ruled out."
    return "A gap remains: chance alone leaves a gap this large in at most one case in twenty."


def judge_change(low: float, high: float) -> str:
    """Say whether the interval of a change includes zero."""
    if low <= 0.0 <= high:
        return "The interval includes zero: these rows do not show whether it is a loss or a gain."
    return "The interval does not include zero."


def describe_attribute_need(method: Method, sensitive: Iterable[str]) -> str:
    """Say that a method needs the sensitive attribute."""
    return (
        f"{family_title(method)} needs to know {' & '.join(sensitive)} of every person, at "
        "prediction too."
    )


def list_limits(method: Method, sensitive: Iterable[str], n_rows: int) -> list[str]:
    """List the limits of the numbers in the report.

    Parameters
    ----------
    method : Method
        The method that the report is about.
    sensitive : iterable of str
        The names of the sensitive columns.
    n_rows : int
        Rows of the table.

    Returns
    -------
    list of str
        Paragraphs.
    """
    lines = []
    if method.attribute_at_prediction:
        lines.append(
            f"{describe_attribute_need(method, sensitive)} Using it may be illegal, and often it "
            "is not known. The numbers do not hold for people whose attribute is missing."
        )
    if method.family in ("steering", "score_steering"):
        drawn = (
            "near a group's cut-off" if method.constraint == "equalized_odds" else "at tied scores"
        )
        lines.append(
            f"Some decisions {drawn} are drawn. Two people with identical values can get different "
            "decisions. A person keeps a decision only while the model and the person's number in "
            "the table stay the same."
        )
        lines += [
            f"{family_title(method)} was fitted to make rates equal on the training rows. On other "
            "rows they differ by chance, and the result holds only while the rows come from the "
            "same source.",
        ]
    if method.family in RANDOMIZED:
        lines.append(
            "Its decisions are partly random, so identical people may be treated differently."
        )
    return [
        *lines,
        f"All numbers are measured on {n_rows:,} rows. Even a perfectly fair classifier shows a "
        "gap on finitely many rows, which is what this page calls chance. The smaller a group, "
        "the less is known about it.",
        "The intervals show how much the numbers would vary over other rows from the same source. "
        "They include neither the variation from training the models again nor other populations "
        "or times.",
        "Choosing the best of many methods on this table is optimistic; confirm the choice on "
        "rows that were not used here.",
        "The labels are taken as they are. If they record past discrimination, equal rates repeat "
        "it.",
        "Equal gaps are not justice. A gap can narrow because the better-off group loses; the "
        "section on who pays shows it. Which definition of fairness is right is a question about "
        "people and law, not about this table.",
    ]
