"""A comparison in two tables: accuracy and gaps, and what each method does to each group."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fairsteer.compare._run import MEASURES, Comparison
from fairsteer.metrics._report import RATES, count_denominators, fairness_report, leveling_down


def summarise(comparison: Comparison) -> pd.DataFrame:
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
    """Say what every method does to each group, against ``nothing`` with the same estimator.

    Parameters
    ----------
    comparison : Comparison
        From `compare`.

    Returns
    -------
    DataFrame
        Index (estimator, method, group); the columns ``rows``, each rate as (rate, "before") and
        (rate, "after"), means over the repeats, and ``(rate, "leveling_down")`` for selection rate
        and TPR, as `fairsteer.metrics.leveling_down` defines it. "before" is NaN if ``nothing``
        was skipped. Methods that failed have no rows.
    """
    settings, table = comparison.settings, comparison.table
    codes, groups = pd.factorize(table.groups, sort=True)
    rows = count_denominators(table.target, codes, groups)
    parts = {}
    for estimator in settings.estimators:
        before = _mean_rates(comparison, estimator, "nothing")
        for method in settings.methods:
            after = _mean_rates(comparison, estimator, method)
            if after is not None:
                parts[estimator, method] = _against(before, after, rows)
    if not parts:
        return pd.DataFrame()
    return pd.concat(parts, names=["estimator", "method", "group"])


def _mean_rates(comparison, estimator, method) -> pd.DataFrame | None:
    """Average the rates per group over the repeats; None if the method has none."""
    keys = [(estimator, method, repeat) for repeat in range(comparison.settings.repeats)]
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
    flags = leveling_down(after if before is None else before, after, rows)
    for rate in flags:
        out[rate, "leveling_down"] = flags[rate]
    out.columns = pd.MultiIndex.from_tuples(out.columns)
    return out
