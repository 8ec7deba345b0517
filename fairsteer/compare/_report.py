"""The report of a comparison for those who decide: one page, and the tables it cites.

`report_files` returns what ``fairsteer compare --output DIR`` writes beside ``results.csv``. Every
number of the page stands in one of these tables.
"""

from __future__ import annotations

import datetime
import platform
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
    finished,
    group_table,
    interval_table,
    resample,
)
from fairsteer.compare._methods import METHODS
from fairsteer.compare._report_features import (
    SteeringSummary,
    audit_tables,
    moved_features,
    summarize_steering,
)
from fairsteer.compare._report_figures import tradeoff_figure, who_pays_figure
from fairsteer.compare._run import GAPS, Comparison
from fairsteer.compare._terminal import ESTIMATOR_NAMES
from fairsteer.core.certificates import CONSTRAINTS
from fairsteer.metrics._report import BENEFICIAL_RATES, RATES

REPORT = "report.html"
INTERVALS = "intervals.csv"
GROUPS = "groups.csv"
FEATURES = "features.csv"
AUDIT = "audit.csv"
CERTIFICATE = "certificate.csv"
RUN = "run.csv"
FILES = (INTERVALS, GROUPS, FEATURES, AUDIT, CERTIFICATE, RUN, REPORT)


class NothingToReport(ValueError):
    """No method of a comparison ran to the end."""


@dataclass(frozen=True)
class Subject:
    """What the report is about: one method with one estimator.

    Parameters
    ----------
    estimator, method : str
        Their names.
    constraint : str
        The gap that is looked at.
    """

    estimator: str
    method: str
    constraint: str


def report_files(comparison: Comparison, command: str) -> dict[str, str]:
    """Make the report of a comparison and the tables that it cites.

    Parameters
    ----------
    comparison : Comparison
        From `fairsteer.compare.compare`.
    command : str
        What to type to get the same.

    Returns
    -------
    dict of str to str
        `FILES`: the content of each file by its name, the page last. Without steering among the
        methods ``features.csv``, ``audit.csv`` and ``certificate.csv`` have a header only.

    Raises
    ------
    NothingToReport
        If every method failed in some repeat.
    ImportError
        If matplotlib is missing.
    """
    subject = choose_subject(comparison)
    resampled = resample(comparison)
    intervals = interval_table(comparison, resampled)
    groups = group_table(comparison, resampled)
    summary = None
    if (subject.estimator, subject.method, 0) in comparison.chosen:
        summary = summarize_steering(comparison, subject.estimator, subject.method)
    audit, certificate = audit_tables(summary)
    features = pd.DataFrame() if summary is None else summary.features
    tables = {
        INTERVALS: intervals,
        GROUPS: groups,
        FEATURES: features,
        AUDIT: audit,
        CERTIFICATE: certificate,
        RUN: run_table(comparison, subject, summary, command),
    }
    page = render(comparison, subject, tables)
    return {**{name: table.to_csv(index=False) for name, table in tables.items()}, REPORT: page}


def choose_subject(comparison: Comparison) -> Subject:
    """Choose what the report is about.

    The first steering that did not fail, otherwise the first other method but ``unmitigated``,
    otherwise that; with the first estimator that has it. A method without a gap of its own is
    looked at for equalized odds.

    Parameters
    ----------
    comparison : Comparison
        From `fairsteer.compare.compare`.

    Returns
    -------
    Subject

    Raises
    ------
    NothingToReport
        If every method failed in some repeat.
    """
    known = [pair for pair in finished(comparison) if pair[1] in METHODS]
    if not known:
        raise NothingToReport("no method ran to the end; the printed tables say why.")
    rank = {"steering": 0, "unmitigated": 2}
    estimator, method = min(known, key=lambda pair: rank.get(METHODS[pair[1]].family, 1))
    return Subject(estimator, method, METHODS[method].constraint or CONSTRAINTS[0])


def run_table(
    comparison: Comparison, subject: Subject, summary: SteeringSummary | None, command: str
) -> pd.DataFrame:
    """Tabulate what was asked, by which command and with which versions.

    Parameters
    ----------
    comparison : Comparison
        From `fairsteer.compare.compare`.
    subject : Subject
        What the report is about.
    summary : SteeringSummary or None
        What the steering did.
    command : str
        What to type to get the same.

    Returns
    -------
    DataFrame
        The columns ``name`` and ``value``; a name may occur several times.
    """
    table, options = comparison.table, comparison.options
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
        "reported_method": subject.method,
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "fairsteer": fairsteer.__version__,
        "scikit-learn": sklearn.__version__,
        "fairlearn": fairlearn.__version__,
        "numpy": np.__version__,
        "pandas": pd.__version__,
        "python": platform.python_version(),
    }
    repeated = {
        "warning": table.warnings,
        "failure": words.describe_failures(comparison),
        "advice": (),
    }
    if summary is not None:
        facts["folds_without_steering"] = summary.unsteered_folds
        repeated["advice"] = summary.audit.advice
    rows = [*facts.items(), *((name, text) for name, texts in repeated.items() for text in texts)]
    return pd.DataFrame(rows, columns=["name", "value"])


def render(comparison: Comparison, subject: Subject, tables: dict[str, pd.DataFrame]) -> str:
    """Write the page.

    Parameters
    ----------
    comparison : Comparison
        From `fairsteer.compare.compare`.
    subject : Subject
        What the report is about.
    tables : dict of str to DataFrame
        By file name.

    Returns
    -------
    str
        HTML that needs no other file and no script.
    """
    intervals, groups, run = tables[INTERVALS], tables[GROUPS], tables[RUN]
    own = intervals[intervals["estimator"] == subject.estimator].set_index(["method", "measure"])
    paying = groups[
        (groups["estimator"] == subject.estimator) & (groups["method"] == subject.method)
    ]
    compared = "unmitigated" in own.index.unique("method") and subject.method != "unmitigated"
    estimators = [
        {
            "name": ESTIMATOR_NAMES[estimator],
            "methods": _methods(rows),
            "paying": by_method(groups[groups["estimator"] == estimator]),
            "figures": [tradeoff_figure(rows, c, ESTIMATOR_NAMES[estimator]) for c in GAPS],
        }
        for estimator, rows in intervals.groupby("estimator", sort=False)
    ]
    facts = run.drop_duplicates("name").set_index("name")["value"].to_dict()
    return (
        _environment()
        .get_template("report.html")
        .render(
            table=comparison.table,
            subject=subject,
            words=words,
            facts=facts,
            texts={
                n: run.loc[run["name"] == n, "value"].tolist()
                for n in ("warning", "failure", "advice")
            },
            compared=compared,
            gap=own.loc[(subject.method, subject.constraint)],
            accuracy=own.loc[(subject.method, "accuracy")],
            baseline=own.loc["unmitigated"] if compared else None,
            best=words.best_others(own.reset_index(), subject.constraint),
            who=who_pays(paying),
            who_figure=who_pays_figure(paying) if compared else None,
            counts=comparison.table.groups.value_counts().sort_index(),
            estimators=estimators,
            estimator_name=ESTIMATOR_NAMES[subject.estimator],
            steered=len(tables[FEATURES]) > 0,
            features=moved_features(tables[FEATURES]),
            audit=tables[AUDIT],
            certificate=tables[CERTIFICATE],
            limits=words.limits(comparison, subject.method),
            constraints=GAPS,
            methods=METHODS,
            frontier=bool(comparison.options.frontier),
        )
    )


def who_pays(groups: pd.DataFrame) -> dict:
    """Find who gains and who loses under one method.

    Parameters
    ----------
    groups : DataFrame
        From `fairsteer.compare._bootstrap.group_table`, the rows of one estimator and method.

    Returns
    -------
    dict
        ``rows``: per group a dict of its rates; ``loser`` and ``winner``: the rows of the selection
        rate that fell and rose most, None where none did; ``accuracy``: likewise the largest fall
        in accuracy; ``flagged``: (rate, groups) of levelling down.
    """
    by_rate = {rate: groups[groups["rate"] == rate] for rate in RATES}
    selected = by_rate["selection_rate"]
    return {
        "rows": [
            (group, own.set_index("rate")) for group, own in groups.groupby("group", sort=False)
        ],
        "loser": _extreme(selected, -1),
        "winner": _extreme(selected, 1),
        "accuracy": _extreme(by_rate["accuracy"], -1),
        "flagged": flagged(groups),
    }


def by_method(groups: pd.DataFrame) -> list[dict]:
    """Summarise who gains and who loses under every method but ``unmitigated``.

    Parameters
    ----------
    groups : DataFrame
        The rows of one estimator.

    Returns
    -------
    list of dict
        Each `who_pays` of a method, and its ``method``.
    """
    return [
        {"method": method, **who_pays(own)}
        for method, own in groups.groupby("method", sort=False)
        if method != "unmitigated" and own["before"].notna().any()
    ]


def flagged(groups: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """Return the groups that lost by levelling down, by rate."""
    hit = groups[groups["levelling_down"].eq(True)]
    found = ((rate, hit.loc[hit["rate"] == rate, "group"].tolist()) for rate in BENEFICIAL_RATES)
    return [(rate, names) for rate, names in found if names]


def _methods(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the intervals of every method of the first table, indexed by measure."""
    return [
        (method, own.set_index("measure"))
        for method, own in rows.groupby("method", sort=False)
        if method in METHODS
    ]


def _extreme(rows: pd.DataFrame, sign: int) -> pd.Series | None:
    """Return the row whose rate rose (sign 1) or fell (-1) most, None where none did."""
    change = sign * rows["change"]
    return rows.loc[change.idxmax()] if change.max() > 0.0 else None


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
    """Write a number so that a machine can read it in full."""
    if pd.isna(value):
        return Markup("&ndash;")
    return Markup('<data value="{}">{}</data>').format(value, text)


def _signed(value: float) -> str:
    text = _minus(f"{value:+.1f}")
    return "0.0" if text[1:] == "0.0" else text


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")
