"""What a gap costs: steering over its strength, beside the other methods."""

from __future__ import annotations

import pandas as pd

from fairsteer.compare._methods import FRONTIER_METHODS, METHODS, Method
from fairsteer.compare._run import Comparison
from fairsteer.compare._summaries import summarise

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
    settings, summary = comparison.settings, summarise(comparison)
    run = [METHODS[name] for name in settings.methods]
    further = [FRONTIER_METHODS[name] for name in settings.frontier]
    rows = []
    for estimator in settings.estimators:
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
