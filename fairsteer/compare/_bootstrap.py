"""Bootstrap intervals of a comparison: rows are drawn with replacement, predictions are fixed.

All methods share the draws, so that differences between methods are paired. Rows with the same
group, label and predictions are counted together: how often each kind of row is drawn follows a
multinomial distribution, so the cost does not depend on the number of rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairsteer.compare._methods import BASELINE
from fairsteer.compare._run import GAPS
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
    *("change", "change_low", "change_high", "leveling_down"),
)


@dataclass(frozen=True, eq=False)
class Resampled:
    """Measures and rates of every method, on the table and on bootstrap draws of its rows.

    Parameters
    ----------
    methods : list of (estimator, method)
        The resampled methods.
    groups : list of str
        Sorted.
    measures : dict of str to ndarray of shape (1 + n_draws, number of methods)
        `BOOTSTRAPPED`, means over the repeats; the first row is the table itself. NaN where a draw
        has no row of a label in some group.
    rates : dict of str to ndarray of shape (1 + n_draws, number of methods, G)
        `fairsteer.metrics.RATES`, likewise.
    """

    methods: list[tuple[str, str]]
    groups: list[str]
    measures: dict[str, np.ndarray]
    rates: dict[str, np.ndarray]


def resample(
    target: pd.Series,
    groups: pd.Series,
    predictions: Mapping[tuple[str, str], np.ndarray],
    random_state: int,
    n_draws: int = DRAWS,
) -> Resampled:
    """Measure every method on bootstrap draws of the pooled held-out rows.

    Parameters
    ----------
    target, groups : Series
        Label and group of every row.
    predictions : dict of (estimator, method) to ndarray of shape (repeats, n)
        0/1 predictions of at least one method.
    random_state : int
        Seed of the draws.
    n_draws : int, default=1000
        How often all rows are drawn with replacement.

    Returns
    -------
    Resampled
    """
    codes, names = pd.factorize(groups, sort=True)
    runs = np.concatenate(list(predictions.values()))
    sizes, selected = draw_counts(target, codes, runs, n_draws, random_state)
    rates, measures = _rates(sizes, selected), _measures(sizes, selected)

    def average_repeats(values):
        shape = (len(values), len(predictions), -1, *values.shape[2:])
        return values.reshape(shape).mean(axis=2)

    return Resampled(
        methods=list(predictions),
        groups=list(names),
        measures={name: average_repeats(values) for name, values in measures.items()},
        rates={name: average_repeats(values) for name, values in rates.items()},
    )


def draw_counts(target, codes, predictions, n_draws: int, random_state: int):
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
    random_state : int
        Seed of the draws.

    Returns
    -------
    sizes : ndarray of shape (1 + n_draws, 1, 2, G)
        Rows by label and group: first of the table itself, then of every draw.
    selected : ndarray of shape (1 + n_draws, m, 2, G)
        How many of them each run predicts positive.
    """
    kinds, counts = np.unique(np.vstack([target, codes, predictions]), axis=1, return_counts=True)
    n_groups = codes.max() + 1
    subgroups = np.eye(2 * n_groups)[kinds[0] * n_groups + kinds[1]]
    rng = np.random.default_rng(random_state)
    sizes, selected = [], []
    for start in range(0, n_draws + 1, CHUNK):
        drawn = rng.multinomial(
            counts.sum(), counts / counts.sum(), size=min(CHUNK, n_draws + 1 - start)
        )
        if start == 0:
            drawn[0] = counts
        drawn = drawn.astype(float)
        sizes.append((drawn @ subgroups)[:, None])
        selected.append(
            np.stack([drawn @ (subgroups * positive[:, None]) for positive in kinds[2:]], axis=1)
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


def chance_gaps(
    target: pd.Series,
    groups: pd.Series,
    predictions: Mapping[tuple[str, str], np.ndarray],
    random_state: int,
) -> dict[tuple[str, str], dict[str, dict[str, float]]]:
    """Measure the gaps that chance leaves: gaps after permutations of the groups.

    Parameters
    ----------
    target, groups, predictions, random_state
        As in `resample`.

    Returns
    -------
    dict of (estimator, method) to dict of gap to dict
        ``floor``, the mean over the permutations, and ``floor_high``, their quantile
        `CHANCE_LEVEL`; each a mean over the repeats.
    """
    found = {}
    for key, runs in predictions.items():
        repeats = [
            permuted_gaps(target, predicted, sensitive_features=groups, random_state=random_state)
            for predicted in runs
        ]
        drawn = {name: np.array([repeat[name] for repeat in repeats]) for name in GAPS}
        found[key] = {
            name: {
                "floor": values.mean(),
                "floor_high": np.quantile(values, CHANCE_LEVEL, axis=1).mean(),
            }
            for name, values in drawn.items()
        }
    return found


def interval_table(resampled: Resampled, chance, level: float = LEVEL) -> pd.DataFrame:
    """Tabulate accuracy and gaps of every method with their intervals.

    Parameters
    ----------
    resampled : Resampled
        The draws.
    chance : dict
        From `chance_gaps`, for the same methods.
    level : float, default=0.95
        Confidence level of the percentile intervals.

    Returns
    -------
    DataFrame
        One row per estimator, method and measure with the columns `INTERVAL_COLUMNS`: means over
        the repeats, ``floor`` and ``floor_high`` of a gap (else NaN), and the change against
        ``unmitigated`` with the same estimator, paired (NaN if ``unmitigated`` is missing).

    Notes
    -----
    Compare a gap with ``floor_high``, not its interval with ``floor``: resampling adds noise to a
    largest difference, which shifts its interval upwards, the more the more groups there are.
    """
    rows = []
    for m, (estimator, method) in enumerate(resampled.methods):
        for measure, draws in resampled.measures.items():
            floors = chance[estimator, method].get(measure)
            rows.append(
                {
                    "estimator": estimator,
                    "method": method,
                    "measure": measure,
                    **_interval(draws[:, m], level),
                    **(floors or {"floor": np.nan, "floor_high": np.nan}),
                    **_paired_change(draws, resampled.methods, m, level),
                }
            )
    return pd.DataFrame(rows, columns=list(INTERVAL_COLUMNS))


def group_table(resampled: Resampled, outcomes: pd.DataFrame, level: float = LEVEL) -> pd.DataFrame:
    """Tabulate the rates of every group under every method with their intervals.

    Parameters
    ----------
    resampled : Resampled
        The draws.
    outcomes : DataFrame
        From `fairsteer.compare._summaries.group_outcomes`; its methods are tabulated.
    level : float, default=0.95
        Confidence level of the percentile intervals.

    Returns
    -------
    DataFrame
        One row per estimator, method, group and rate with the columns `GROUP_COLUMNS`: ``before``
        is the rate under ``unmitigated`` with the same estimator, ``low`` and ``high`` are the
        interval of ``after``, the change is paired, and ``leveling_down`` is True or False for
        selection rate and TPR, otherwise missing.
    """
    tabulated = set(outcomes.index.droplevel("group"))
    rows = []
    for m, (estimator, method) in enumerate(resampled.methods):
        if (estimator, method) not in tabulated:
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
                        **_paired_change(draws[:, :, a], resampled.methods, m, level),
                        "leveling_down": bool(outcome[rate, "leveling_down"]) if judged else None,
                    }
                )
    return pd.DataFrame(rows, columns=list(GROUP_COLUMNS))


def _interval(draws, level) -> dict[str, float]:
    """Return the value on the table and the percentile interval; undefined draws do not count."""
    tail = (1.0 - level) / 2.0
    low, high = np.nanquantile(draws[1:], [tail, 1.0 - tail])
    return {"value": draws[0], "low": low, "high": high}


def _paired_change(draws, methods, m, level) -> dict[str, float]:
    """Return the change against the baseline, with its interval."""
    baseline = (methods[m][0], BASELINE)
    if baseline not in methods:
        return dict.fromkeys(("change", "change_low", "change_high"), np.nan)
    interval = _interval(draws[:, m] - draws[:, methods.index(baseline)], level)
    return {
        "change": interval["value"],
        "change_low": interval["low"],
        "change_high": interval["high"],
    }
