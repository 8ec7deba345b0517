"""A comparison in two tables: accuracy and gaps, and what each method does to each group."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fairsteer.compare._methods import FRONTIER_METHODS, METHODS, Method
from fairsteer.compare._run import MEASURES, Comparison
from fairsteer.metrics._report import RATES, fairness_report, levelling_down, receivers

FRONTIER_COLUMNS = (
    "dataset",
    "estimator",
    "constraint",
    "method",
    "strength",
    "accuracy",
    "accuracy_spread",
    "gap",
    "gap_spread",
    "floor",
)


def summarize(comparison: Comparison) -> pd.DataFrame:
    """Average the results over the repeats.

    Parameters
    ----------
    comparison : Comparison
        From `compare`.

    Returns
    -------
    DataFrame
        Index (estimator, method) in the order of the comparison, the frontier's methods last;
        columns (measure, "mean") and
        (measure, "spread"), the standard deviation over the repeats (NaN for one repeat).
    """
    grouped = comparison.results.groupby(["estimator", "method"], sort=False)[list(MEASURES)]
    summary = grouped.agg(["mean", "std"])
    # A method that failed in one repeat has no mean: the others would be different splits.
    broken = grouped.agg(lambda values: values.isna().any())
    for measure in MEASURES:
        summary.loc[broken[measure], measure] = np.nan
    return summary.rename(columns={"std": "spread"}, level=1)


def group_outcomes(comparison: Comparison) -> pd.DataFrame:
    """Say what every method does to each group, against ``unmitigated`` with the same estimator.

    Parameters
    ----------
    comparison : Comparison
        From `compare`.

    Returns
    -------
    DataFrame
        Index (estimator, method, group); the columns ``rows``, each rate as (rate, "before") and
        (rate, "after"), means over the repeats, and ``(rate, "levelling_down")`` for selection rate
        and TPR, as `fairsteer.metrics.levelling_down` defines it. "before" is NaN if
        ``unmitigated`` was skipped. Methods that failed have no rows.
    """
    options, table = comparison.options, comparison.table
    codes, groups = pd.factorize(table.groups, sort=True)
    rows = receivers(table.target, codes, groups)
    parts = {}
    for estimator in options.estimators:
        before = _mean_rates(comparison, estimator, "unmitigated")
        for method in options.methods:
            after = _mean_rates(comparison, estimator, method)
            if after is not None:
                parts[estimator, method] = _against(before, after, rows)
    if not parts:
        return pd.DataFrame()
    return pd.concat(parts, names=["estimator", "method", "group"])


def _mean_rates(comparison, estimator, method) -> pd.DataFrame | None:
    """Average the rates per group over the repeats; None if the method has none."""
    keys = [(estimator, method, repeat) for repeat in range(comparison.options.repeats)]
    if not all(key in comparison.predictions for key in keys):
        return None
    y, groups = comparison.table.target, comparison.table.groups
    reports = [
        fairness_report(y, comparison.predictions[key], sensitive_features=groups, pos_label=1)
        for key in keys
    ]
    return sum(report.iloc[:-1] for report in reports) / len(reports)


def _against(before, after, rows) -> pd.DataFrame:
    out = pd.DataFrame({("rows", ""): after["rows"].astype(int)})
    for rate in RATES:
        out[rate, "before"] = np.nan if before is None else before[rate]
        out[rate, "after"] = after[rate]
    flags = levelling_down(after if before is None else before, after, rows)
    for rate in flags:
        out[rate, "levelling_down"] = flags[rate]
    out.columns = pd.MultiIndex.from_tuples(out.columns)
    return out


def frontier_table(comparison: Comparison) -> pd.DataFrame:
    """Tabulate accuracy and gap of steering over its strength and of the other methods.

    Parameters
    ----------
    comparison : Comparison
        From `fairsteer.compare.compare` with ``frontier=True``.

    Returns
    -------
    DataFrame
        For every estimator and constraint the strengths of steering with this constraint in
        ascending order, then the methods that aim at this gap or at none, with the columns
        `FRONTIER_COLUMNS`: means over the repeats, their standard deviations (NaN for one repeat)
        and the noise floor of the gap. ``strength`` is NaN for all but steering; the numbers are
        NaN where a method failed. Without ``frontier=True`` it has no rows.
    """
    options, summary = comparison.options, summarize(comparison)
    run = [METHODS[name] for name in options.methods]
    further = [FRONTIER_METHODS[name] for name in options.frontier]
    rows = []
    for estimator in options.estimators:
        for constraint in dict.fromkeys(method.constraint for method in further):
            for method in _shown(run, further, constraint):
                measured = summary.loc[(estimator, method.name)]
                rows.append(
                    {
                        "dataset": comparison.table.name,
                        "estimator": estimator,
                        "constraint": constraint,
                        "method": method.family,
                        "strength": method.strength if method.family == "steering" else None,
                        "accuracy": measured["accuracy", "mean"],
                        "accuracy_spread": measured["accuracy", "spread"],
                        "gap": measured[constraint, "mean"],
                        "gap_spread": measured[constraint, "spread"],
                        "floor": measured[f"floor_{constraint}", "mean"],
                    }
                )
    table = pd.DataFrame(rows, columns=list(FRONTIER_COLUMNS))
    return table.astype({"strength": float})


def _shown(run: list[Method], further: list[Method], constraint: str) -> list[Method]:
    """Return steering by strength, then the others."""
    aimed = [method for method in (*further, *run) if method.constraint in (None, constraint)]
    return sorted(aimed, key=lambda method: method.family != "steering")
