"""The models behind a steered score, and how they score rows of known and unknown group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import clone

from fairsteer.estimators._classifier import fit_weighted
from fairsteer.estimators._cross_fitting import cross_fit

# Keeps log odds finite where a model is certain.
_LEAST = 1e-7


@dataclass(frozen=True, eq=False)
class ScoreModels:
    """Fitted models that score rows.

    Parameters
    ----------
    n_labels : int or None
        Number of labels; None where the estimator is a regressor.
    positive : int or None
        Position of the positive label.
    n_groups : int
        Number of groups.
    group_feature : bool
        Whether the estimator sees the group.
    estimator : classifier, regressor or None
        Of all rows; None where the single feature is the score.
    blind : classifier, regressor or None
        Sees no group; for rows without one, and for the average.
    group_classifier : classifier or None
        Of the group given the features, for rows without one.
    averaged : bool, default=False
        Whether the score of a row of known group is the mean of those of ``estimator`` and
        ``blind``.
    """

    n_labels: int | None
    positive: int | None
    n_groups: int
    group_feature: bool
    estimator: Any = None
    blind: Any = None
    group_classifier: Any = None
    averaged: bool = False

    def scores(self, X, codes):
        """Return the scores (n,) or (n, K - 1) of rows; codes are -1 for rows without a group."""
        if self.estimator is None:
            return X[:, 0].astype(np.float64)
        known = codes >= 0
        if not self.group_feature or (known.all() and not self.averaged):
            return self.score(self.estimator, self.with_group(X, codes))
        scores = self.score(self.blind, X)
        if known.any():
            features = self.with_group(X[known], codes[known])
            aware = self.score(self.estimator, features)
            scores[known] = 0.5 * (aware + scores[known]) if self.averaged else aware
        return scores

    def with_group(self, X, codes):
        """Return features with an indicator for every group but the first."""
        if not self.group_feature:
            return X
        groups = codes[:, None] == np.arange(1, self.n_groups)
        return np.hstack([X, groups.astype(X.dtype)])

    def score(self, model, X):
        """Return the scores of a model of these labels."""
        if self.n_labels is None:
            return np.asarray(model.predict(X), dtype=np.float64)
        if self.n_labels > 2:
            logs = np.log(np.maximum(self.probabilities(model, X), _LEAST))
            return logs[:, :-1] - logs[:, -1:]
        if not hasattr(model, "predict_proba"):
            return model.decision_function(X) * (1.0 if self.positive == 1 else -1.0)
        return self.log_odds(self.probabilities(model, X))

    def log_odds(self, probabilities):
        """Return the log odds (n,) of the positive label from probabilities (n, 2)."""
        p = probabilities[:, self.positive]
        return np.log(np.maximum(p, _LEAST)) - np.log(np.maximum(1.0 - p, _LEAST))

    def probabilities(self, model, X):
        """Return probabilities of all labels, 0 for those that the model was not fitted on."""
        if self.n_labels == 2 and not hasattr(model, "predict_proba"):
            p = expit(model.decision_function(X))
            return np.column_stack([1.0 - p, p])
        p = np.zeros((len(X), self.n_labels))
        p[:, model.classes_] = model.predict_proba(X)
        return p

    def group_shares(self, X, codes):
        """Return the weight of every group's map for each row, shape (n, G)."""
        shares = (codes[:, None] == np.arange(self.n_groups)).astype(np.float64)
        unknown = codes < 0
        if unknown.any():
            shares[unknown] = self.group_classifier.predict_proba(X[unknown])
        return shares

    def draw_groups(self, X, codes, draws):
        """Return the group of each row, drawn from its probabilities where it is unknown."""
        unknown = codes < 0
        if not unknown.any():
            return codes
        shares = self.group_shares(X[unknown], codes[unknown])
        passed = draws[unknown, None] > np.cumsum(shares, axis=1)[:, :-1]
        drawn = codes.copy()
        drawn[unknown] = passed.sum(axis=1)
        return drawn

    def mix_maps(self, maps, scores, X, codes, draws):
        """Return scores moved by the map of their group, or by the mean of those of all groups."""
        unknown = codes < 0
        steered = maps(scores, np.maximum(codes, 0), draws)
        if unknown.any():
            shares = self.group_shares(X[unknown], codes[unknown])
            moved = [
                maps(scores[unknown], np.full(int(unknown.sum()), group), draws[unknown])
                for group in range(self.n_groups)
            ]
            steered[unknown] = np.einsum("ng,gn->n", shares, np.array(moved))
        return steered


def fit_score_models(models, estimator, rows, splits, *, n_jobs, unknown_groups):
    """Fit the models; return them and the out-of-fold scores of the rows.

    Parameters
    ----------
    models : ScoreModels
        Without fitted models.
    estimator : classifier, regressor or None
        Unfitted; None where the single feature is the score.
    rows : TrainingRows
        Encoded; ``label_codes`` hold the numbers that a regressor predicts.
    splits, n_jobs
        As in ``cross_fit``.
    unknown_groups : bool
        Whether new rows may lack their group.

    Returns
    -------
    ScoreModels, ndarray of shape (n,) or (n, K - 1)
    """
    X, y, codes, weights = rows.features, rows.label_codes, rows.group_codes, rows.weights
    fitted = {}
    if unknown_groups:
        shares = clone(_group_classifier(estimator))
        fitted["group_classifier"] = fit_weighted(shares, X, codes, weights)
    if estimator is None:
        scores = X[:, 0].astype(np.float64)
    else:
        if unknown_groups and models.group_feature:
            fitted["blind"] = fit_weighted(clone(estimator), X, y, weights)
        features = models.with_group(X, codes)
        scores, fitted["estimator"] = cross_fit(
            estimator, features, y, weights, splits, models.score, n_jobs
        )
    return ScoreModels(**{**models.__dict__, **fitted}), scores


def _group_classifier(estimator):
    """Return the classifier of the group: of the kind of the estimator, where that is one."""
    from sklearn.base import is_classifier
    from sklearn.ensemble import HistGradientBoostingClassifier

    if is_classifier(estimator) and hasattr(estimator, "predict_proba"):
        return estimator
    return HistGradientBoostingClassifier(random_state=0)
