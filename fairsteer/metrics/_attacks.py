"""Attacks: how well cross-validated classifiers recover a group from features."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairsteer.core.diagnostics import null_auc_deviation

CLASSIFIERS = ("linear", "boosted")


class Leakage(NamedTuple):
    """How well a classifier recovers the group on rows that it was not trained on.

    Parameters
    ----------
    auc : float
        Area under the ROC curve of each group against the rest, averaged over groups and folds;
        0.5 is chance. With two groups this is the usual AUC.
    auc_deviation : float
        Standard deviation of ``auc`` if the groups did not differ: :func:`null_auc_deviation`,
        averaged over groups, which is an upper bound because the AUCs of groups are correlated.
    z : float
        ``(auc - 0.5) / auc_deviation``.
    balanced_accuracy : float
        Share of a group's rows that are assigned to it, averaged over groups. 1 / G is chance.
    attack_advantage : float
        Estimate of a lower bound of the total variation distance between two groups, for the pair
        with the largest one: ``P_a(C) - P_b(C)`` for the rows C that the classifier finds more
        likely in a than in b, which is twice the pair's balanced accuracy minus 1. At least 0. By
        definition of the total variation distance, some classifier of these features has a gap of
        the size that it estimates.
    attack_advantage_deviation : float
        Upper bound of the standard deviation of ``attack_advantage``,
        ``sqrt(1 / n_a + 1 / n_b) / 2``.
    """

    auc: float
    auc_deviation: float
    z: float
    balanced_accuracy: float
    attack_advantage: float
    attack_advantage_deviation: float


def measure_leakage(X, codes, kind: str, cv: int, random_state: int) -> Leakage:
    """Measure how well a classifier recovers the group from features.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Features.
    codes : ndarray of int of shape (n,)
        Groups 0 to G - 1, each with at least ``cv`` rows.
    kind : {"linear", "boosted"}
        Logistic regression on standardized features, or gradient-boosted trees; all groups have the
        same total weight.
    cv : int
        Number of folds of the stratified cross-validation.
    random_state : int
        Seed of the folds and of the boosting.

    Returns
    -------
    Leakage

    References
    ----------
    Lopez-Paz and Oquab (2017), "Revisiting Classifier Two-Sample Tests", ICLR.
    """
    probabilities = np.empty((len(X), codes.max() + 1))
    aucs = []
    folds = StratifiedKFold(cv, shuffle=True, random_state=random_state)
    for train, test in folds.split(X, codes):
        fitted = _make_classifier(kind, random_state).fit(X[train], codes[train])
        probabilities[test] = fitted.predict_proba(X[test])
        # Per fold, because the scores of different models are not on the same scale.
        aucs.append(_average_auc(probabilities[test], codes[test]))
    return summarize_attack(probabilities, codes, float(np.mean(aucs)), cv)


def summarize_attack(probabilities, codes, auc: float, cv: int) -> Leakage:
    """Summarize out-of-fold probabilities of the groups.

    Parameters
    ----------
    probabilities : ndarray of shape (n, G)
        Probabilities of the groups.
    codes : ndarray of int of shape (n,)
        Groups 0 to G - 1.
    auc : float
        AUC, averaged over folds and groups.
    cv : int
        Number of folds.

    Returns
    -------
    Leakage
    """
    sizes = np.bincount(codes)
    deviation = np.mean([null_auc_deviation(size, len(codes) - size, cv) for size in sizes])
    correct = probabilities.argmax(axis=1) == codes
    advantages = {
        (a, b): np.mean(likelier[codes == a]) - np.mean(likelier[codes == b])
        for a, b in combinations(range(len(sizes)), 2)
        for likelier in [probabilities[:, a] > probabilities[:, b]]
    }
    pair = max(advantages, key=advantages.get)
    return Leakage(
        auc=auc,
        auc_deviation=float(deviation),
        z=float((auc - 0.5) / deviation),
        balanced_accuracy=float(np.mean(np.bincount(codes, weights=correct) / sizes)),
        attack_advantage=max(float(advantages[pair]), 0.0),
        attack_advantage_deviation=float(np.sqrt(np.sum(1.0 / sizes[list(pair)])) / 2.0),
    )


def _make_classifier(kind: str, random_state: int):
    if kind == "linear":
        regression = LogisticRegression(class_weight="balanced", max_iter=1000)
        return make_pipeline(StandardScaler(), regression)
    # Half of the default number of rounds at twice the default rate: as accurate, in half the time.
    return HistGradientBoostingClassifier(
        learning_rate=0.2,
        max_iter=50,
        class_weight="balanced",
        early_stopping=False,
        random_state=random_state,
    )


def _average_auc(probabilities, codes) -> float:
    return np.mean([roc_auc_score(codes == a, p) for a, p in enumerate(probabilities.T)])
