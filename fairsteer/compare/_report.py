"""The report of a comparison: one page for decision makers, and the tables that it cites.

`report_files` returns what ``fairsteer compare --output DIR`` writes beside ``results.csv``. Every
number of the page is in one of these tables.
"""

from __future__ import annotations

import datetime
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import fairlearn
import numpy as np
import pandas as pd
import sklearn
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import fairsteer
from fairsteer.compare import _wording as words
from fairsteer.compare._bootstrap import (
    DRAWS,
    LEVEL,
    chance_gaps,
    group_table,
    interval_table,
    resample,
)
from fairsteer.compare._export import write_csv
from fairsteer.compare._methods import BASELINE, Method
from fairsteer.compare._options import ComparisonOptions
from fairsteer.compare._report_changes import attack_table, change_table, choice_table
from fairsteer.compare._report_figures import tradeoff_figure, who_pays_figure
from fairsteer.compare._run import GAPS, Comparison
from fairsteer.compare._summaries import best_methods, group_outcomes
from fairsteer.compare._table import Table
from fairsteer.core.constraints import CONSTRAINTS
from fairsteer.metrics._report import BENEFICIAL_RATES, RATES

REPORT = "report.html"
INTERVALS = "intervals.csv"
GROUPS = "groups.csv"
CHOICES = "choices.csv"
CHANGES = "changes.csv"
ATTACKS = "attacks.csv"
RUN = "run.csv"
FILES = (INTERVALS, GROUPS, CHOICES, CHANGES, ATTACKS, RUN, REPORT)


class NothingToReport(ValueError):
    """No method of a comparison finished."""


@dataclass(frozen=True)
class Subject:
    """The subject of the report: one method with one estimator.

    Parameters
    ----------
    estimator : str
        The name of the estimator.
    method : Method
        The method.
    """

    estimator: str
    method: Method

    @property
    def constraint(self) -> str:
        """The gap that the method targets; equalized odds if it targets none."""
        return self.method.constraint or CONSTRAINTS[0]


def report_files(comparison: Comparison, command: str) -> dict[str, str]:
    """Make the report of a comparison and the tables that it cites.

    Parameters
    ----------
    comparison : Comparison
        From `fairsteer.compare.compare`.
    command : str
        The command line that reproduces it.

    Returns
    -------
    dict of str to str
        `FILES`: the content of each file by its name, the page last. Without steering among the
        methods ``choices.csv`` has a header only, without ``unmitigated`` ``changes.csv``.

    Raises
    ------
    NothingToReport
        If every method failed in some repeat.
    """
    table, options, methods = comparison.table, comparison.options, comparison.methods
    finished = comparison.finished
    full = {key: runs for key, runs in finished.items() if methods[key[1]].max_gap is None}
    subject = choose_subject(full, methods)
    data = table.target, table.groups
    resampled = resample(*data, finished, options.random_state)
    chance = chance_gaps(*data, finished, options.random_state)
    shown = {name: None for _, name in full}
    problems = words.describe_failures(comparison.failures, comparison.warnings, methods)
    tables = {
        INTERVALS: interval_table(resampled, chance),
        GROUPS: group_table(resampled, group_outcomes(*data, full)),
        CHOICES: choice_table(comparison),
        CHANGES: change_table(comparison, shown),
        ATTACKS: attack_table(
            comparison, subject.estimator, dict.fromkeys((BASELINE, subject.method.name))
        ),
        RUN: run_table(table, options, subject, problems, command),
    }
    page = render(table, subject, methods, tables)
    return {**{name: write_csv(frame) for name, frame in tables.items()}, REPORT: page}


def choose_subject(finished: Iterable[tuple[str, str]], methods: Mapping[str, Method]) -> Subject:
    """Choose the subject of the report.

    The first steering that did not fail, otherwise the first other method except ``unmitigated``,
    otherwise ``unmitigated``; with the first estimator that has it.

    Parameters
    ----------
    finished : iterable of (estimator, method)
        The methods that did not fail, without those for the frontier only.
    methods : dict of str to Method
        Every method by name.

    Returns
    -------
    Subject

    Raises
    ------
    NothingToReport
        If no method finished.
    """
    candidates = [Subject(estimator, methods[name]) for estimator, name in finished]
    if not candidates:
        raise NothingToReport("every method failed; the printed tables give the reasons.")
    rank = {"steering": 0, BASELINE: 2, "constant": 3}
    return min(candidates, key=lambda subject: rank.get(subject.method.family, 1))


def run_table(
    table: Table,
    options: ComparisonOptions,
    subject: Subject,
    problems: list[str],
    command: str,
) -> pd.DataFrame:
    """Tabulate table, options, command and versions.

    Parameters
    ----------
    table : Table
        The compared table.
    options : ComparisonOptions
        The options of the comparison.
    subject : Subject
        The subject of the report.
    problems : list of str
        Failures and warnings of methods.
    command : str
        The command line that reproduces the comparison.

    Returns
    -------
    DataFrame
        The columns ``name`` and ``value``; a name may occur several times.
    """
    facts = {
        "table": table.name,
        "conventions": table.conventions,
        "sensitive": " & ".join(table.sensitive),
        "favorable": table.favorable,
        "rows": len(table.target),
        "favorable_share": table.target.mean(),
        "features": table.data.shape[1],
        "folds": options.cv,
        "repeats": options.repeats,
        "seed": options.random_state,
        "bootstrap_draws": DRAWS,
        "interval_level": LEVEL,
        "reported_estimator": subject.estimator,
        "reported_method": subject.method.name,
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "fairsteer": fairsteer.__version__,
        "scikit-learn": sklearn.__version__,
        "fairlearn": fairlearn.__version__,
        "numpy": np.__version__,
        "pandas": pd.__version__,
        "python": platform.python_version(),
    }
    repeated = {"warning": table.warnings, "failure": problems}
    rows = [*facts.items(), *((name, text) for name, texts in repeated.items() for text in texts)]
    return pd.DataFrame(rows, columns=["name", "value"])


def render(
    table: Table,
    subject: Subject,
    methods: Mapping[str, Method],
    tables: Mapping[str, pd.DataFrame],
) -> str:
    """Render the page.

    Parameters
    ----------
    table : Table
        The compared table.
    subject : Subject
        The subject of the report.
    methods : dict of str to Method
        Every method by name.
    tables : dict of str to DataFrame
        By file name.

    Returns
    -------
    str
        HTML that needs no other file and no script.
    """
    intervals, groups, run = tables[INTERVALS], tables[GROUPS], tables[RUN]
    full = intervals[[methods[name].max_gap is None for name in intervals["method"]]]
    own = full[full["estimator"] == subject.estimator]
    measured = own.set_index(["method", "measure"])
    own_groups = groups[groups["estimator"] == subject.estimator]
    paying = own_groups[own_groups["method"] == subject.method.name]
    compared = BASELINE in set(own["method"]) and subject.method.name != BASELINE
    estimators = [
        {
            "name": words.estimator_title(name),
            "methods": _by_method(full[full["estimator"] == name]),
            "paying": summarize_methods(groups[groups["estimator"] == name]),
            "figures": [
                tradeoff_figure(rows, gap, methods, words.estimator_title(name)) for gap in GAPS
            ],
        }
        for name, rows in intervals.groupby("estimator", sort=False)
    ]
    texts = run.groupby("name")["value"].agg(list)
    return (
        _environment()
        .get_template("report.html")
        .render(
            table=table,
            subject=subject,
            words=words,
            facts=run.drop_duplicates("name").set_index("name")["value"].to_dict(),
            texts={name: texts.get(name, []) for name in ("warning", "failure")},
            compared=compared,
            gap=measured.loc[(subject.method.name, subject.constraint)],
            accuracy=measured.loc[(subject.method.name, "accuracy")],
            baseline=measured.loc[BASELINE] if compared else None,
            best=best_methods(own, subject.constraint),
            who=summarize_groups(paying),
            who_figure=who_pays_figure(paying) if compared else None,
            counts=table.groups.value_counts().sort_index(),
            estimators=estimators,
            estimator_name=words.estimator_title(subject.estimator),
            choices=_of_subject(tables[CHOICES], subject),
            changes=_of_subject(tables[CHANGES], subject),
            attacks=tables[ATTACKS].set_index(["method", "constraint"]),
            limits=words.list_limits(subject.method, table.sensitive, len(table.target)),
            constraints=GAPS,
            methods=methods,
            frontier=any(method.max_gap is not None for method in methods.values()),
        )
    )


def _of_subject(table: pd.DataFrame, subject: Subject) -> pd.DataFrame:
    """Return the rows of the reported method with the reported estimator."""
    own = (table["estimator"] == subject.estimator) & (table["method"] == subject.method.name)
    return table[own]


def summarize_groups(groups: pd.DataFrame) -> dict:
    """Find who gains and who loses under one method.

    Parameters
    ----------
    groups : DataFrame
        Rows of one estimator and method of `fairsteer.compare._bootstrap.group_table`.

    Returns
    -------
    dict
        ``rows``: the rates of every group; ``loser`` and ``winner``: the rows of the selection rate
        that fell and rose most, None if none did; ``accuracy``: likewise the largest fall in
        accuracy; ``flagged``: (rate, groups) of leveling down.
    """
    by_rate = {rate: groups[groups["rate"] == rate] for rate in RATES}
    return {
        "rows": [
            (group, own.set_index("rate")) for group, own in groups.groupby("group", sort=False)
        ],
        "loser": _largest_change(by_rate["selection_rate"], -1),
        "winner": _largest_change(by_rate["selection_rate"], 1),
        "accuracy": _largest_change(by_rate["accuracy"], -1),
        "flagged": _flagged_groups(groups),
    }


def summarize_methods(groups: pd.DataFrame) -> list[dict]:
    """Find who gains and who loses under every method but ``unmitigated``.

    Parameters
    ----------
    groups : DataFrame
        Rows of one estimator of `fairsteer.compare._bootstrap.group_table`.

    Returns
    -------
    list of dict
        `summarize_groups` of every method, and its ``method``.
    """
    return [
        {"method": method, **summarize_groups(own)}
        for method, own in groups.groupby("method", sort=False)
        if method != BASELINE and own["before"].notna().any()
    ]


def _flagged_groups(groups: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """Return the groups that lost by leveling down, by rate."""
    hit = groups[groups["leveling_down"].eq(True)]
    found = ((rate, hit.loc[hit["rate"] == rate, "group"].tolist()) for rate in BENEFICIAL_RATES)
    return [(rate, names) for rate, names in found if names]


def _largest_change(rows: pd.DataFrame, sign: int) -> pd.Series | None:
    """Return the row whose rate rose (sign 1) or fell (-1) most, None if none did."""
    change = sign * rows["change"]
    return rows.loc[change.idxmax()] if change.max() > 0.0 else None


def _by_method(intervals: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the intervals of every method, indexed by measure."""
    return [
        (method, own.set_index("measure"))
        for method, own in intervals.groupby("method", sort=False)
    ]


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("fairsteer.compare"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": lambda value: _data(value, f"{100 * value:.1f}%"),
        "whole_percent": lambda value: _data(value, f"{100 * value:.0f}%"),
        "points": lambda value: _data(value, f"{100 * value:.1f}"),
        "signed": lambda value: _data(value, _signed(100 * value)),
        "decimals": lambda value: _data(value, f"{value:.3f}"),
        "own_units": lambda value, decimals: _data(value, _minus(f"{value:,.{decimals}f}")),
        "count": lambda value: _data(value, f"{value:,}"),
    }
    return environment


def _data(value, text: str) -> Markup:
    """Show a rounded number, with the full number for programs."""
    if pd.isna(value):
        return Markup("&ndash;")
    return Markup('<data value="{}">{}</data>').format(value, text)


def _signed(value: float) -> str:
    text = _minus(f"{value:+.1f}")
    return "0.0" if text[1:] == "0.0" else text


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")
