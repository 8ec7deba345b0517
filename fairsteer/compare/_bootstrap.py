"""Bootstrap intervals of a comparison: the rows are drawn anew, the predictions stay as they are.

One draw of rows serves every method, so that differences between methods are paired. Rows of the
same group, label and predictions are counted together: how often each kind of row is drawn, with
replacement, follows a multinomial law, and no row has to be touched.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairsteer.compare._run import GAPS, Comparison
from fairsteer.compare._summaries import group_outcomes
from fairsteer.metrics._gaps import permuted_gaps
from fairsteer.metrics._report import BENEFICIAL_RATES, RATES

DRAWS = 1000
LEVEL = 0.95
CHANCE_LEVEL = 0.95
CHUNK = 100
BOOTSTRAPPED = ("accuracy", "balanced_accuracy", *GAPS)
INTERVAL_COLUMNS = (
    *("estimator", "method", "measure", "value", "low", "high", "floor", "floor_high"),
    *("change", "change_low", "change_high"),
)
GROUP_COLUMNS = (
    *("estimator", "method", "group", "rate", "rows", "before", "after", "low", "high"),
    *("change", "change_low", "change_high", "levelling_down"),
)


@dataclass(frozen=True, eq=False)
class Resampled:
    """Measures and rates of every method, on the table and on bootstrap draws of its rows.

    Parameters
    ----------
    methods : list of (estimator, method)
        Those that did not fail.
    groups : list of str
        Sorted.
    measures : dict of str to ndarray of shape (1 + n_draws, number of methods)
        `BOOTSTRAPPED`, means over the repeats; the first row is the table itself. NaN where a draw
        holds no row of a label of some group.
    rates : dict of str to ndarray of shape (1 + n_draws, number of methods, G)
        `fairsteer.metrics.RATES`, likewise.
    """

    methods: list[tuple[str, str]]
    groups: list[str]
    measures: dict[str, np.ndarray]
    rates: dict[str, np.ndarray]


def resample(comparison: Comparison, n_draws: int = DRAWS) -> Resampled:
    """Measure every method on bootstrap draws of the pooled held-out rows.

    Parameters
    ----------
    comparison : Comparison
        From `fairsteer.compare.compare`; its seed is that of the draws. At least one method must
        have predictions.
    n_draws : int, default=1000
        How often all rows are drawn with replacement.

    Returns
    -------
    Resampled
    """
    options, table = comparison.options, comparison.table
    repeats = range(options.repeats)
    methods = finished(comparison)
    runs = [comparison.predictions[*name, repeat] for name in methods for repeat in repeats]
    codes, groups = pd.factorize(table.groups, sort=True)
    sizes, selected = draw_counts(
        table.target, codes, np.array(runs), n_draws, options.random_state
    )
    rates, measures = _rates(sizes, selected), _measures(sizes, selected)

    def over_repeats(values):
        shape = (len(values), len(methods), len(repeats), *values.shape[2:])
        return values.reshape(shape).mean(axis=2)

    return Resampled(
        methods=methods,
        groups=list(groups),
        measures={name: over_repeats(values) for name, values in measures.items()},
        rates={name: over_repeats(values) for name, values in rates.items()},
    )


def finished(comparison: Comparison) -> list[tuple[str, str]]:
    """Return (estimator, method) of what did not fail in any repeat, the frontier's included."""
    options = comparison.options
    return [
        (estimator, method)
        for estimator in options.estimators
        for method in (*options.methods, *options.frontier)
        if all((estimator, method, r) in comparison.predictions for r in range(options.repeats))
    ]


def draw_counts(target, codes, predictions, n_draws: int, seed: int):
    """Count rows and predicted positives by label and group, on bootstrap draws of the rows.

    Parameters
    ----------
    target : array-like of int of shape (n,)
        0/1 labels.
    codes : ndarray of int of shape (n,)
        Groups 0 to G - 1.
    predictions : ndarray of int of shape (m, n)
        0/1 predictions of m runs.
    n_draws : int
        Number of draws.
    seed : int
        Of the draws.

    Returns
    -------
    sizes : ndarray of shape (1 + n_draws, 1, 2, G)
        Rows by label and group; first of the rows as they are, then of every draw.
    selected : ndarray of shape (1 + n_draws, m, 2, G)
        How many of these each run predicts positive.
    """
    kinds, counts = np.unique(np.vstack([target, codes, predictions]), axis=1, return_counts=True)
    n_groups = codes.max() + 1
    cells = np.eye(2 * n_groups)[kinds[0] * n_groups + kinds[1]]
    rng = np.random.default_rng(seed)
    sizes, selected = [], []
    for start in range(0, n_draws + 1, CHUNK):
        drawn = rng.multinomial(
            counts.sum(), counts / counts.sum(), size=min(CHUNK, n_draws + 1 - start)
        )
        if start == 0:
            drawn[0] = counts
        drawn = drawn.astype(float)
        sizes.append((drawn @ cells)[:, None])
        selected.append(
            np.stack([drawn @ (cells * positive[:, None]) for positive in kinds[2:]], axis=1)
        )
    return tuple(
        np.concatenate(parts).reshape(n_draws + 1, -1, 2, n_groups) for parts in (sizes, selected)
    )


def _rates(sizes, selected) -> dict[str, np.ndarray]:
    """Return the rates of every group, each of shape (draws, runs, G)."""
    with np.errstate(invalid="ignore"):
        by_label = selected / sizes
        right = sizes[:, :, 0] - selected[:, :, 0] + selected[:, :, 1]
        values = (
            selected.sum(axis=2) / sizes.sum(axis=2),
            by_label[:, :, 1],
            by_label[:, :, 0],
            right / sizes.sum(axis=2),
        )
    return dict(zip(RATES, values, strict=True))


def _measures(sizes, selected) -> dict[str, np.ndarray]:
    """Return `BOOTSTRAPPED`, each of shape (draws, runs)."""
    spread = {name: np.ptp(rate, axis=2) for name, rate in _rates(sizes, selected).items()}
    whole = _rates(sizes.sum(axis=3, keepdims=True), selected.sum(axis=3, keepdims=True))
    whole = {name: rate[:, :, 0] for name, rate in whole.items()}
    values = (
        whole["accuracy"],
        (whole["tpr"] + 1.0 - whole["fpr"]) / 2.0,
        spread["selection_rate"],
        spread["tpr"],
        np.maximum(spread["tpr"], spread["fpr"]),
    )
    return dict(zip(BOOTSTRAPPED, values, strict=True))


def interval_table(
    comparison: Comparison, resampled: Resampled, level: float = LEVEL
) -> pd.DataFrame:
    """Tabulate accuracy and gaps of every method with their intervals.

    Parameters
    ----------
    comparison : Comparison
        From `fairsteer.compare.compare`.
    resampled : Resampled
        Its draws.
    level : float, default=0.95
        Of the percentile intervals.

    Returns
    -------
    DataFrame
        One row per estimator, method and measure with the columns `INTERVAL_COLUMNS`: means over
        the repeats, the noise floor of a gap and the quantile `CHANCE_LEVEL` of the permutations
        that the floor is the mean of (else NaN), and the change against ``unmitigated`` with the
        same estimator, paired (NaN if ``unmitigated`` did not run).

    Notes
    -----
    To judge a gap compare it with ``floor_high``, not its interval with ``floor``: every draw of
    rows adds chance to a largest difference, so that its interval lies too high, the more groups
    the higher.
    """
    rows = []
    for m, (estimator, method) in enumerate(resampled.methods):
        chance = _chance(comparison, estimator, method)
        for measure, draws in resampled.measures.items():
            rows.append(
                {
                    "estimator": estimator,
                    "method": method,
                    "measure": measure,
                    **_interval(draws[:, m], level),
                    **chance.get(measure, {"floor": np.nan, "floor_high": np.nan}),
                    **_change(draws, resampled, m, level),
                }
            )
    return pd.DataFrame(rows, columns=list(INTERVAL_COLUMNS))


def _chance(comparison, estimator, method) -> dict[str, dict[str, float]]:
    """Return mean and quantile of the permuted gaps, each a mean over the repeats."""
    y, groups, seed = (
        comparison.table.target,
        comparison.table.groups,
        comparison.options.random_state,
    )
    repeats = [
        permuted_gaps(y, comparison.predictions[estimator, method, r], groups, random_state=seed)
        for r in range(comparison.options.repeats)
    ]
    drawn = {name: np.array([repeat[name] for repeat in repeats]) for name in GAPS}
    return {
        name: {
            "floor": values.mean(),
            "floor_high": np.quantile(values, CHANCE_LEVEL, axis=1).mean(),
        }
        for name, values in drawn.items()
    }


def group_table(comparison: Comparison, resampled: Resampled, level: float = LEVEL) -> pd.DataFrame:
    """Tabulate the rates of every group under every method with their intervals.

    Parameters
    ----------
    comparison, resampled, level
        As in `interval_table`.

    Returns
    -------
    DataFrame
        One row per estimator, method (those of the frontier left out), group and rate with the
        columns `GROUP_COLUMNS`: ``before`` is the rate under ``unmitigated`` with the same
        estimator, ``low`` and ``high`` are the interval of ``after``, the change is paired, and
        ``levelling_down`` is True or False for selection rate and TPR, otherwise missing.
    """
    outcomes = group_outcomes(comparison)
    rows = []
    for m, (estimator, method) in enumerate(resampled.methods):
        if method in comparison.options.frontier:
            continue
        for a, group in enumerate(resampled.groups):
            outcome = outcomes.loc[(estimator, method, group)]
            for rate, draws in resampled.rates.items():
                interval = _interval(draws[:, m, a], level)
                judged = rate in BENEFICIAL_RATES
                rows.append(
                    {
                        "estimator": estimator,
                        "method": method,
                        "group": group,
                        "rate": rate,
                        "rows": int(outcome["rows", ""]),
                        "before": outcome[rate, "before"],
                        "after": interval["value"],
                        "low": interval["low"],
                        "high": interval["high"],
                        **_change(draws[:, :, a], resampled, m, level),
                        "levelling_down": bool(outcome[rate, "levelling_down"]) if judged else None,
                    }
                )
    return pd.DataFrame(rows, columns=list(GROUP_COLUMNS))


def _interval(draws, level) -> dict[str, float]:
    """Return the value on the table and the percentile interval; undefined draws do not count."""
    tail = (1.0 - level) / 2.0
    low, high = np.nanquantile(draws[1:], [tail, 1.0 - tail])
    return {"value": draws[0], "low": low, "high": high}


def _change(draws, resampled, m, level) -> dict[str, float]:
    """Return the change against nothing, with its interval."""
    estimator, _ = resampled.methods[m]
    if (estimator, "unmitigated") not in resampled.methods:
        return dict.fromkeys(("change", "change_low", "change_high"), np.nan)
    base = resampled.methods.index((estimator, "unmitigated"))
    interval = _interval(draws[:, m] - draws[:, base], level)
    return {
        "change": interval["value"],
        "change_low": interval["low"],
        "change_high": interval["high"],
    }
