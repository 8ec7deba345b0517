"""Tables of a comparison: means over repeats, outcomes of every group, and the frontier."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from fairsteer.compare._methods import BASELINE, Method
from fairsteer.compare._run import MEASURES
from fairsteer.exceptions import UsageError
from fairsteer.metrics._report import RATES, count_denominators, fairness_report, leveling_down

FRONTIER_COLUMNS = (
    "dataset",
    "estimator",
    "constraint",
    "method",
    "max_gap",
    "accuracy",
    "accuracy_spread",
    "gap",
    "gap_spread",
    "floor",
)


def summarize(results: pd.DataFrame) -> pd.DataFrame:
    """Average the results over the repeats.

    Parameters
    ----------
    results : DataFrame
        ``results`` of a comparison.

    Returns
    -------
    DataFrame
        Index (estimator, method) in the order of the comparison, steering that may leave a
        gap last; columns (measure, "mean") and (measure, "spread"), the standard deviation over the
        repeats (NaN for one repeat).
    """
    grouped = results.groupby(["estimator", "method"], sort=False)[list(MEASURES)]
    summary = grouped.agg(["mean", "std"])
    # A method that failed in one repeat has no mean: the others would be different splits.
    broken = grouped.agg(lambda values: values.isna().any())
    for measure in MEASURES:
        summary.loc[broken[measure], measure] = np.nan
    return summary.rename(columns={"std": "spread"}, level=1)


def group_outcomes(
    target: pd.Series, groups: pd.Series, predictions: Mapping[tuple[str, str], np.ndarray]
) -> pd.DataFrame:
    """Tabulate the outcomes of every group, against ``unmitigated`` with the same estimator.

    Parameters
    ----------
    target, groups : Series
        Label and group of every row.
    predictions : dict of (estimator, method) to ndarray of shape (repeats, n)
        0/1 predictions of the methods to tabulate.

    Returns
    -------
    DataFrame
        Index (estimator, method, group); the columns ``rows``, each rate as (rate, "before") and
        (rate, "after"), means over the repeats, and ``(rate, "leveling_down")`` for selection rate
        and TPR, as `fairsteer.metrics.leveling_down` defines it. "before" is NaN without
        predictions of ``unmitigated``.
    """
    codes, names = pd.factorize(groups, sort=True)
    rows = count_denominators(target, codes, names)
    rates = {key: _mean_rates(target, groups, runs) for key, runs in predictions.items()}
    parts = {
        (estimator, method): _compare_rates(rates.get((estimator, BASELINE)), after, rows)
        for (estimator, method), after in rates.items()
    }
    if not parts:
        return pd.DataFrame()
    return pd.concat(parts, names=["estimator", "method", "group"])


def _mean_rates(target, groups, runs) -> pd.DataFrame:
    """Average the rates of every group over the repeats."""
    reports = [
        fairness_report(target, predicted, sensitive_features=groups, pos_label=1)
        for predicted in runs
    ]
    return sum(report.iloc[:-1] for report in reports) / len(reports)


def _compare_rates(before, after, rows) -> pd.DataFrame:
    out = pd.DataFrame({("rows", ""): after["rows"].astype(int)})
    for rate in RATES:
        out[rate, "before"] = np.nan if before is None else before[rate]
        out[rate, "after"] = after[rate]
    flags = leveling_down(after if before is None else before, after, rows)
    for rate in flags:
        out[rate, "leveling_down"] = flags[rate]
    out.columns = pd.MultiIndex.from_tuples(out.columns)
    return out


def frontier_table(results: pd.DataFrame, methods: Iterable[Method]) -> pd.DataFrame:
    """Tabulate accuracy and gap of steering by the gap it may leave, and of the other methods.

    Parameters
    ----------
    results : DataFrame
        ``results`` of `fairsteer.compare.compare` with ``frontier=True``.
    methods : iterable of Method
        The values of its ``methods``.

    Returns
    -------
    DataFrame
        For every estimator and constraint steering with this constraint, first with the gap that
        chance explains and then by ``max_gap`` in ascending order, then the methods that target
        this gap or none, with the columns `FRONTIER_COLUMNS`: means over the repeats, their
        standard deviations (NaN for one repeat) and the noise floor of the gap. ``max_gap`` is NaN
        where none was given; the numbers are NaN where a method failed. Without ``frontier=True``
        it has no rows.

    Raises
    ------
    UsageError
        If the arguments are not those of a comparison.
    """
    named = isinstance(results, pd.DataFrame) and {"estimator", "method"} <= set(results)
    methods = list(methods) if isinstance(methods, Iterable) else [methods]
    if not named or not all(isinstance(method, Method) for method in methods):
        raise UsageError(
            "a frontier needs the results of compare and the values of its methods: pass "
            "comparison.results and comparison.methods.values()."
        )
    summary, methods = summarize(results), sorted(methods, key=_frontier_order)
    rows = []
    for estimator in results["estimator"].unique():
        for constraint in dict.fromkeys(m.constraint for m in methods if m.max_gap is not None):
            for method in (m for m in methods if m.constraint in (None, constraint)):
                measured = summary.loc[(estimator, method.name)]
                rows.append(
                    {
                        "dataset": results["dataset"].iloc[0],
                        "estimator": estimator,
                        "constraint": constraint,
                        "method": method.family,
                        "max_gap": method.max_gap,
                        "accuracy": measured["accuracy", "mean"],
                        "accuracy_spread": measured["accuracy", "spread"],
                        "gap": measured[constraint, "mean"],
                        "gap_spread": measured[constraint, "spread"],
                        "floor": measured[f"floor_{constraint}", "mean"],
                    }
                )
    table = pd.DataFrame(rows, columns=list(FRONTIER_COLUMNS))
    return table.astype({"max_gap": float})


def _frontier_order(method: Method) -> tuple[bool, float]:
    """Order steering by the gap it may leave before the other methods."""
    return method.family != "steering", method.max_gap or 0.0


def best_methods(intervals: pd.DataFrame, constraint: str) -> pd.DataFrame:
    """Return the most accurate method and the method with the smallest gap.

    A constant prediction has no gap and is left out where there are other methods.

    Parameters
    ----------
    intervals : DataFrame
        Rows of one estimator of `fairsteer.compare._bootstrap.interval_table`.
    constraint : str
        Which gap.

    Returns
    -------
    DataFrame
        Two rows, ``most accurate`` and ``smallest gap``, with the columns ``method``, ``accuracy``
        and ``gap``.
    """
    values = intervals.pivot(index="method", columns="measure", values="value")
    values = values.drop(index="constant", errors="ignore") if len(values) > 1 else values
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
