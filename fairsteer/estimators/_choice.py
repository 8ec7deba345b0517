"""How SteeredClassifierCV chooses among candidates, from their held-out predictions."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.metrics import get_scorer
from sklearn.utils import get_tags

from fairsteer.estimators._problem import Problem
from fairsteer.exceptions import SteeringWarning
from fairsteer.metrics._by_label import rms_tpr_gap, rms_tpr_gap_floor
from fairsteer.metrics._gaps import (
    largest_differences,
    permuted_changes,
    permuted_gaps,
    spreads,
)

CHANCE_QUANTILE = 0.95
DISPARITIES = {"gap": (largest_differences, Problem.gap), "spread": (spreads, Problem.spread)}
"""By name how chance and a problem measure what differs between groups.

The largest gap is what is to be closed, but it is mostly chance where a group has few rows; then
the spread shows what happens to the others.
"""
KEYS = {
    name: (
        f"mean_test_{name}",
        "floor" if name == "gap" else f"{name}_floor",
        f"{name}_deviation",
        f"{name}_by_chance",
        f"{name}_change_by_chance",
    )
    for name in DISPARITIES
}


def measure_candidate(problem: Problem, probabilities, scoring) -> dict[str, float]:
    """Return score, gap and noise floor of a candidate on held-out rows.

    Parameters
    ----------
    problem : Problem
        Training rows, folds and constraint.
    probabilities : ndarray of shape (n, K)
        Of the labels, each by a model of other rows.
    scoring : str or callable
        What is maximized, as in scikit-learn.

    Returns
    -------
    dict
        ``mean_test_score``, ``smallest_rate``, and for the gap and the spread the values by `KEYS`:
        the value, and, of values by chance, the mean, the standard deviation, the 95% quantile, and
        the 95% quantile of changes.
    """
    rows, positive = problem.rows, problem.positive
    decisions = probabilities.argmax(axis=1)
    y, codes = rows.label_codes, rows.group_codes
    compared = _find_compared(problem)
    scorer = get_scorer(scoring) if isinstance(scoring, str) else scoring
    held_out = _HeldOut(rows.classes, probabilities)
    places = np.arange(len(y))[:, None]
    weights = {} if np.allclose(rows.weights, 1.0) else {"sample_weight": rows.weights}
    score = float(scorer(held_out, places, rows.classes[y], **weights))
    if len(rows.classes) > 2 and problem.constraint == "equalized_odds":
        given = y[compared], decisions[compared]
        groups = {"sensitive_features": codes[compared]}
        gap = rms_tpr_gap(*given, sample_weight=rows.weights[compared], **groups)
        floor = rms_tpr_gap_floor(*given, random_state=problem.seed, **groups)
        whole = (gap, floor, 0.0, floor, 0.0)
        measured = {"gap": whole, "spread": tuple(value / 2.0 for value in whole)}
    else:
        places = np.flatnonzero(compared)
        truth, own, plain = (
            (part[compared] == positive).astype(int)
            for part in (y, decisions, problem.fits.blind[0].argmax(axis=1))
        )
        given = {"sensitive_features": codes[compared], "random_state": problem.seed}
        measured = {}
        for name, (measure, of_rates) in DISPARITIES.items():
            chance = permuted_gaps(truth, own, **given, measure=measure)[problem.constraint]
            changes = permuted_changes(truth, plain, own, **given, measure=measure)
            measured[name] = (
                of_rates(problem, probabilities[compared], places),
                float(chance.mean()),
                float(chance.std()),
                float(np.quantile(chance, CHANCE_QUANTILE)),
                float(np.quantile(changes[problem.constraint], CHANCE_QUANTILE)),
            )
    rates = problem.rates(probabilities, np.arange(len(y)))
    found = {"mean_test_score": score, "smallest_rate": float(np.nanmin(rates[-1]))}
    for name, values in measured.items():
        found |= dict(zip(KEYS[name], values, strict=True))
    return found


def _find_compared(problem):
    """Return the rows (n,) of groups with rows of every label that is compared."""
    rows = problem.rows
    if problem.constraint == "demographic_parity":
        return np.ones(rows.n_rows, dtype=bool)
    complete = (rows.counts > 0.0).all(axis=0)
    return complete[rows.group_codes] if complete.sum() > 1 else np.ones(rows.n_rows, bool)


class _HeldOut:
    """Held-out predictions, in the form that scorers ask for."""

    def __init__(self, classes, probabilities):
        self.classes_, self._p = classes, probabilities

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X):
        return self._p[X[:, 0]]

    def __sklearn_tags__(self):
        return get_tags(DummyClassifier())


def rank_candidates(results, *, max_gap, min_rate, certified) -> list[int]:
    """Return the positions of candidates, the best first, and add ``allowed`` to the results.

    Parameters
    ----------
    results : dict of ndarray
        The measures of `measure_candidate`, and ``candidate``.
    max_gap, min_rate : float or None
        As in SteeredClassifierCV.
    certified : bool
        Whether the gap is to be certified on other rows. Otherwise unmitigated comes first where
        it is allowed, and a limit below the noise floor is raised to it.

    Returns
    -------
    list of int
    """
    names, score = results["candidate"].tolist(), results["mean_test_score"]
    fair = np.ones(len(names), dtype=bool)
    if min_rate is not None:
        fair = results["smallest_rate"] >= min_rate
    within, excess = np.ones(len(names), dtype=bool), np.zeros(len(names))
    small, narrower = True, np.zeros(len(names), dtype=bool)
    plain = names.index("unmitigated") if "unmitigated" in names else None
    # Rates that differ by at most a gap have at most half of it as their standard deviation.
    for name, factor in (("gap", 1.0), ("spread", 0.5)):
        value, floor, deviation, by_chance, change = (results[key] for key in KEYS[name])
        limit = np.full(len(names), factor * (max_gap or 0.0))
        limit = (limit if certified else np.maximum(limit, floor)) + deviation
        within &= value <= limit
        excess = np.maximum(excess, (value - limit) / factor)
        if plain is not None:
            small &= value[plain] <= max(limit[plain], by_chance[plain])
            narrower |= value < value[plain] - change
    allowed = within & fair
    if plain is None:
        narrower[:] = True
    else:
        gap = results["mean_test_gap"]
        narrower &= gap <= gap[plain]
        if small and fair[plain] and not certified:
            # A gap that chance explains is left alone.
            allowed[plain], narrower[:] = True, False
        elif not fair[plain]:
            # Its smallest rate is a reason to mitigate, whatever its gap.
            narrower |= allowed
        narrower[plain] = True
    results["allowed"] = allowed & narrower
    # Allowed ones by score, then those of a sufficient rate that narrow the gap, by what is left.
    keys = [
        (not (a and n), not f, not n, -s if a else e, -s if f else g)
        for a, f, n, s, e, g in zip(
            allowed, fair, narrower, score, excess, results["mean_test_gap"], strict=True
        )
    ]
    return sorted(range(len(names)), key=lambda k: keys[k])


def warn_unmitigated(results, best):
    """Warn that unmitigated was chosen because no candidate narrows the gap, where that is so."""
    gap, spread = results["mean_test_gap"], results["mean_test_spread"]
    if results["candidate"][best] != "unmitigated" or len(gap) == 1:
        return
    narrower = gap < gap[best] - results["gap_change_by_chance"]
    narrower |= spread < spread[best] - results["spread_change_by_chance"]
    if (narrower & (gap <= gap[best])).any():
        return
    warnings.warn(
        "No candidate narrows the gap beyond chance on held-out rows: it is "
        f"{gap[best]:.3f} without mitigation, of which chance explains "
        f"{results['floor'][best]:.3f}. The estimator is left unmitigated.",
        SteeringWarning,
        stacklevel=4,
    )
