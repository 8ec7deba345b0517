"""What came of the units, measured: rows of peers.csv, points and frontiers with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
import peer_tables
from frontiers import (
    GAPS,
    SCORES,
    best_within,
    dominated_hypervolume,
    interval,
    measured,
    resample,
    resampled_auc,
)
from peer_methods import HEADLINE
from peer_units import Outcome, Plan, Unit, folds_of

from fairsteer.metrics import noise_floor

POINT = ["estimator", "method", "constraint", "strength"]
COLUMNS = [
    *("dataset", "sensitive", *POINT, "repeat", *SCORES, *GAPS),
    *("needs_group", "fit_seconds"),
]
LIMITS = (0.02, 0.05)


@dataclass(frozen=True, eq=False)
class Measured:
    """A table's results: rows of peers.csv, of the points, of the frontiers, and failures."""

    results: pd.DataFrame
    points: pd.DataFrame
    frontiers: pd.DataFrame
    failures: list[dict]


def pooled(outcomes: list[Outcome], folds) -> tuple[dict, list[str]]:
    """Pool the folds of one method and repeat.

    Returns
    -------
    decisions : dict of (estimator, constraint, strength) to (predicted, score or None, seconds)
        Of all rows; seconds are the mean over the folds. Empty if a fold failed.
    reasons : list of str
        The different reasons of the failures.
    """
    reasons = sorted({outcome.reason for outcome in outcomes if outcome.reason})
    if reasons:
        return {}, reasons
    n = sum(len(held_out) for _, held_out in folds)
    found = {}
    for parts in zip(*(outcome.decisions for outcome in outcomes), strict=True):
        predicted = np.empty(n, dtype=np.int8)
        score = None if parts[0].score is None else np.empty(n, dtype=np.float32)
        for outcome, part in zip(outcomes, parts, strict=True):
            held_out = folds[outcome.unit.fold][1]
            predicted[held_out] = part.predicted
            if score is not None:
                score[held_out] = part.score
        key = (parts[0].estimator, parts[0].constraint, parts[0].strength)
        found[key] = predicted, score, float(np.mean([part.seconds for part in parts]))
    return found, []


def measure(plan: Plan, source: str, outcomes: dict[Unit, Outcome]) -> Measured:
    """Measure everything that was run on one table."""
    _, y, groups = peer_tables.load(source)
    codes = np.unique(groups, return_inverse=True)[1]
    counts = resample(len(y), plan.n_resamples, plan.seed)
    names = peer_tables.SOURCES[source].columns
    rows, draws, floors, failures = [], {}, {}, {}
    for peer in plan.peers:
        mine = [
            o for unit, o in outcomes.items() if (unit.source, unit.peer) == (source, peer.name)
        ]
        for repeat in sorted({outcome.unit.repeat for outcome in mine}):
            folds = folds_of(y, groups, plan.folds, plan.seed + repeat)
            parts = sorted((o for o in mine if o.unit.repeat == repeat), key=lambda o: o.unit.fold)
            found, reasons = pooled(parts, folds)
            for reason in reasons:
                failures[peer.name, reason] = {**names, "method": peer.name, "reason": reason}
            if not found:
                continue
            stack = np.stack([predicted for predicted, _, _ in found.values()])
            measures = measured(y, codes, stack, counts)
            for k, (key, (predicted, score, seconds)) in enumerate(found.items()):
                estimator, constraint, strength = key
                point = (estimator, peer.name, constraint, strength)
                values = {name: drawn[:, k] for name, drawn in measures.items()}
                ranked = np.full(len(counts), np.nan)
                values["auc"] = ranked if score is None else resampled_auc(y, score, counts)
                draws.setdefault(point, []).append(values)
                floor = noise_floor(y, predicted, sensitive_features=groups, random_state=plan.seed)
                floors.setdefault(point, []).append(floor)
                rows.append(
                    {
                        **names,
                        **dict(zip(POINT, point, strict=True)),
                        "repeat": repeat,
                        **{name: drawn[0] for name, drawn in values.items()},
                        "needs_group": peer.needs_group,
                        "fit_seconds": seconds,
                    }
                )
    averaged = {
        point: {name: np.mean([each[name] for each in repeats], axis=0) for name in repeats[0]}
        for point, repeats in draws.items()
    }
    return Measured(
        pd.DataFrame(rows, columns=COLUMNS),
        point_rows(names, averaged, floors),
        frontier_rows(names, averaged),
        list(failures.values()),
    )


def point_rows(names: dict, averaged: dict, floors: dict) -> pd.DataFrame:
    """Return every point with intervals and noise floors, means over the repeats."""
    rows = []
    for point, values in averaged.items():
        row = {**names, **dict(zip(POINT, point, strict=True)), "repeats": len(floors[point])}
        for name in (*SCORES, *GAPS):
            low, high = interval(values[name][1:])
            row |= {name: values[name][0], f"{name}_low": low, f"{name}_high": high}
            if name in GAPS:
                row[f"{name}_floor"] = np.mean([floor[name] for floor in floors[point]])
        rows.append(row)
    return pd.DataFrame(rows)


def frontier_rows(names: dict, averaged: dict) -> pd.DataFrame:
    """Return hypervolumes and scores at a gap, with intervals, and the lead of `HEADLINE`.

    A hypervolume is recomputed in every resample, reference point and unit included. The point that
    is best within a gap is chosen on all rows and kept: its interval is that of its score.
    """
    rows = []
    for estimator, score, gap in product(dict.fromkeys(p[0] for p in averaged), SCORES, GAPS):
        drawn = frontier_draws(averaged, estimator, score, gap)
        for (method, measure), values in drawn.items():
            row = {**names, "estimator": estimator, "score": score, "gap": gap, "method": method}
            low, high = interval(values[1:])
            row |= {"measure": measure, "value": values[0], "low": low, "high": high}
            own = drawn.get((HEADLINE, measure))
            if own is not None and method != HEADLINE:
                lead = own - values
                low, high = interval(lead[1:])
                row |= {"lead": lead[0], "lead_low": low, "lead_high": high}
            rows.append(row)
    columns = ["lead", "lead_low", "lead_high"]
    return pd.DataFrame(rows).reindex(columns=[*rows[0], *(c for c in columns if c not in rows[0])])


def frontier_draws(averaged: dict, estimator: str, score: str, gap: str) -> dict:
    """Return the measures of every method's frontier in every resample.

    Methods without the score, such as randomised decisions without an AUC, have none.
    """
    constant, unmitigated = (
        averaged[estimator, name, "", 0.0] for name in ("constant", "unmitigated")
    )
    ends = zip(constant[score], unmitigated[score], unmitigated[gap], strict=True)
    references = [dict(zip(("constant", "unmitigated", "gap"), end, strict=True)) for end in ends]
    frontiers: dict[str, list] = {}
    for point, values in averaged.items():
        if point[0] == estimator and point[2] in ("", gap) and not np.isnan(values[score][0]):
            frontiers.setdefault(point[1], []).append(values)
    drawn = {}
    for method, points in frontiers.items():
        scores = np.stack([values[score] for values in points], axis=1)
        found = np.stack([values[gap] for values in points], axis=1)
        draws = zip(scores, found, references, strict=True)
        areas = [dominated_hypervolume(s, g, **reference) for s, g, reference in draws]
        drawn[method, "hypervolume"] = np.array(areas)
        for limit in LIMITS:
            best = best_within(scores[0], found[0], limit)
            if best is not None:
                drawn[method, f"at {limit:g}"] = scores[:, best]
    return drawn
