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
from fairsteer.metrics._gaps import permuted_changes, permuted_gaps

CHANCE_QUANTILE = 0.95


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
        ``mean_test_score``, ``mean_test_gap``, ``floor``, ``gap_deviation``, ``gap_by_chance``,
        ``narrowing_by_chance`` and ``smallest_rate``.
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
        deviation, gap_by_chance, narrowing = 0.0, floor, 0.0
    else:
        gap = problem.gap(probabilities[compared], np.flatnonzero(compared))
        truth, own, plain = (
            (part[compared] == positive).astype(int)
            for part in (y, decisions, problem.fits.blind[0].argmax(axis=1))
        )
        drawing = {"sensitive_features": codes[compared], "random_state": problem.seed}
        drawn = permuted_gaps(truth, own, **drawing)[problem.constraint]
        floor, deviation = float(drawn.mean()), float(drawn.std())
        gap_by_chance = float(np.quantile(drawn, CHANCE_QUANTILE))
        changes = permuted_changes(truth, plain, own, **drawing)[problem.constraint]
        narrowing = float(np.quantile(changes, CHANCE_QUANTILE))
    rates = problem.rates(probabilities, np.arange(len(y)))
    return {
        "mean_test_score": score,
        "mean_test_gap": gap,
        "floor": floor,
        "gap_deviation": deviation,
        "gap_by_chance": gap_by_chance,
        "narrowing_by_chance": narrowing,
        "smallest_rate": float(np.nanmin(rates[-1])),
    }


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
    gap, score = results["mean_test_gap"], results["mean_test_score"]
    names = results["candidate"].tolist()
    limit = np.full(len(names), max_gap or 0.0)
    if not certified:
        limit = np.maximum(limit, results["floor"])
    limit = limit + results["gap_deviation"]
    fair = np.ones(len(names), dtype=bool)
    if min_rate is not None:
        fair = results["smallest_rate"] >= min_rate
    allowed, narrower = (gap <= limit) & fair, np.ones(len(names), dtype=bool)
    if "unmitigated" in names:
        plain = names.index("unmitigated")
        narrower = gap < gap[plain] - results["narrowing_by_chance"]
        small = gap[plain] <= max(limit[plain], results["gap_by_chance"][plain])
        if small and fair[plain] and not certified:
            # A gap that chance explains is left alone.
            allowed[plain], narrower[:] = True, False
        elif gap[plain] <= limit[plain] and not fair[plain]:
            # Its gap is no reason to mitigate, but its smallest rate is.
            narrower |= allowed
        narrower[plain] = True
    results["allowed"] = allowed & narrower
    excess = np.maximum(gap - limit, 0.0)
    # Allowed ones by score, then those that narrow the gap by what is left of it.
    keys = [
        (not (a and n), not n, -s if a else e, -s)
        for a, n, s, e in zip(allowed, narrower, score, excess, strict=True)
    ]
    return sorted(range(len(names)), key=lambda k: keys[k])


def warn_unmitigated(results, best):
    """Warn that unmitigated was chosen because no candidate narrows the gap, where that is so."""
    gap = results["mean_test_gap"]
    if results["candidate"][best] != "unmitigated" or len(gap) == 1:
        return
    if (gap < gap[best] - results["narrowing_by_chance"]).any():
        return
    warnings.warn(
        "No candidate narrows the gap beyond chance on held-out rows: it is "
        f"{gap[best]:.3f} without mitigation, of which chance explains "
        f"{results['floor'][best]:.3f}. The estimator is left unmitigated.",
        SteeringWarning,
        stacklevel=3,
    )
