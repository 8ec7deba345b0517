"""How well classifiers recover a group from features: two-sample tests by cross-validation."""

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

CLASSIFIERS = ("linear", "boosted")
ANY_LABEL = "any label"


class Recoverability(NamedTuple):
    """What one classifier recovers of the group on rows it was not trained on.

    Parameters
    ----------
    auc : float
        Area under the ROC curve of each group against the rest, averaged over groups and folds;
        with two groups the plain one. 0.5 is chance.
    auc_deviation : float
        Standard deviation of ``auc`` if no group differed: :func:`null_auc_deviation`, averaged
        over groups, which is an upper bound because they are correlated.
    z : float
        ``(auc - 0.5) / auc_deviation``.
    balanced_accuracy : float
        Share of rows recovered in a group, averaged over groups. 1 / G is chance.
    advantage : float
        Lower bound of the total variation of two groups' laws, for the pair where it is largest:
        the difference ``P_a(C) - P_b(C)`` at the rows C that the classifier finds likelier in a
        than in b, which is twice the pair's balanced accuracy minus 1. At least 0. By definition
        of the total variation, a classifier of these features exists whose rates differ that much.
    advantage_deviation : float
        Largest standard deviation ``advantage`` can have, ``sqrt(1 / n_a + 1 / n_b) / 2``.
    """

    auc: float
    auc_deviation: float
    z: float
    balanced_accuracy: float
    advantage: float
    advantage_deviation: float


def recoverability(X, codes, kind: str, folds: int, seed: int) -> Recoverability:
    """Measure how well a classifier recovers the group.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Features.
    codes : ndarray of int of shape (n,)
        Groups 0 to G - 1, each with at least ``folds`` rows.
    kind : {"linear", "boosted"}
        Logistic regression on standardised features, or gradient-boosted trees; groups weigh alike.
    folds : int
        Folds of the stratified cross-validation.
    seed : int
        Seed of the folds.

    Returns
    -------
    Recoverability

    References
    ----------
    Lopez-Paz and Oquab (2017), "Revisiting Classifier Two-Sample Tests", ICLR.
    """
    probabilities = np.empty((len(X), codes.max() + 1))
    aucs = []
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(X, codes):
        fitted = _classifier(kind, seed).fit(X[train], codes[train])
        probabilities[test] = fitted.predict_proba(X[test])
        # Fold by fold, because scores of different models do not share a scale.
        aucs.append(_macro_auc(probabilities[test], codes[test]))
    return summary(probabilities, codes, float(np.mean(aucs)), folds)


def summary(probabilities, codes, auc: float, folds: int) -> Recoverability:
    """Summarise out-of-fold probabilities of the groups.

    Parameters
    ----------
    probabilities : ndarray of shape (n, G)
        Of every group.
    codes : ndarray of int of shape (n,)
        The groups.
    auc : float
        Averaged over folds and groups.
    folds : int
        Number of folds.

    Returns
    -------
    Recoverability
    """
    sizes = np.bincount(codes)
    deviation = np.mean([null_auc_deviation(size, len(codes) - size, folds) for size in sizes])
    right = probabilities.argmax(axis=1) == codes
    advantages = {
        (a, b): np.mean(likelier[codes == a]) - np.mean(likelier[codes == b])
        for a, b in combinations(range(len(sizes)), 2)
        for likelier in [probabilities[:, a] > probabilities[:, b]]
    }
    pair = max(advantages, key=advantages.get)
    return Recoverability(
        auc=auc,
        auc_deviation=float(deviation),
        z=float((auc - 0.5) / deviation),
        balanced_accuracy=float(np.mean(np.bincount(codes, weights=right) / sizes)),
        advantage=max(float(advantages[pair]), 0.0),
        advantage_deviation=float(np.sqrt(np.sum(1.0 / sizes[list(pair)])) / 2.0),
    )


def null_auc_deviation(n_group: int, n_rest: int, folds: int) -> float:
    """Return the standard deviation of a cross-validated AUC if the two laws are one.

    On one fold of m and n rows the AUC is the Mann-Whitney statistic divided by m n, with variance
    ``(m + n + 1) / (12 m n)`` (also Hanley and McNeil's formula at 0.5). The mean over k folds has
    a k-th of it, times ``1 + k / (k - 1)`` because every two folds share training rows.

    Parameters
    ----------
    n_group, n_rest : int
        Rows of the group and of the others, over all folds.
    folds : int
        Number of folds, k.

    Returns
    -------
    float

    References
    ----------
    Mann and Whitney (1947), Annals of Mathematical Statistics 18; Hanley and McNeil (1982),
    Radiology 143; Nadeau and Bengio (2003), "Inference for the Generalization Error", Machine
    Learning 52, for the factor.
    """
    independent = (n_group + n_rest + folds) / (12.0 * n_group * n_rest)
    return float(np.sqrt(independent * (1.0 + folds / (folds - 1.0))))


def _classifier(kind: str, seed: int):
    if kind == "linear":
        regression = LogisticRegression(class_weight="balanced", max_iter=1000)
        return make_pipeline(StandardScaler(), regression)
    # Half of the default's rounds at twice its rate: as sharp, in half the time.
    return HistGradientBoostingClassifier(
        learning_rate=0.2,
        max_iter=50,
        class_weight="balanced",
        early_stopping=False,
        random_state=seed,
    )


def _macro_auc(probabilities, codes) -> float:
    return np.mean([roc_auc_score(codes == a, p) for a, p in enumerate(probabilities.T)])
