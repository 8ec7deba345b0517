"""The compared methods, each as one procedure: fit on training rows, predict on others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.preprocessing import CorrelationRemover
from fairlearn.reductions import (
    DemographicParity,
    EqualizedOdds,
    ExponentiatedGradient,
    TruePositiveRateParity,
)
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from fairsteer.core.certificates import CONSTRAINTS
from fairsteer.estimators._classifier_cv import TunedSteering
from fairsteer.estimators._table_encoding import standard_encoder

ESTIMATORS = ("logistic", "boosting")

_MOMENTS = {
    "equalized_odds": EqualizedOdds,
    "equal_opportunity": TruePositiveRateParity,
    "demographic_parity": DemographicParity,
}
_THRESHOLD_CONSTRAINTS = {
    "equalized_odds": "equalized_odds",
    "equal_opportunity": "true_positive_rate_parity",
    "demographic_parity": "demographic_parity",
}


@dataclass(frozen=True)
class Method:
    """What a compared method is called, aims at and needs.

    Parameters
    ----------
    family : str
        The part of the name before ``-``.
    constraint : str or None
        The gap that it targets.
    attribute_at_prediction : bool
        Whether it needs the sensitive attribute of the rows to predict.
    strength : float in [0, 1], default=1.0
        How much of the way steering moves a row; other methods have no strength but 1.
    """

    family: str
    constraint: str | None
    attribute_at_prediction: bool
    strength: float = 1.0

    @property
    def name(self) -> str:
        """The full name: ``family``, ``family-constraint`` or ``family-constraint@strength``."""
        name = self.family if self.constraint is None else f"{self.family}-{self.constraint}"
        return name if self.strength == 1.0 else f"{name}@{self.strength:g}"


METHODS = {
    method.name: method
    for method in (
        Method("unmitigated", None, attribute_at_prediction=False),
        *(Method("steering", c, attribute_at_prediction=True) for c in CONSTRAINTS),
        Method("correlation_remover", None, attribute_at_prediction=True),
        *(Method("exponentiated_gradient", c, attribute_at_prediction=False) for c in CONSTRAINTS),
        *(Method("threshold_optimizer", c, attribute_at_prediction=True) for c in CONSTRAINTS),
    )
}

STRENGTHS = (0.0, 0.25, 0.5, 0.75)
FRONTIER_METHODS = {
    method.name: method
    for method in (
        Method("steering", c, attribute_at_prediction=True, strength=s)
        for c in CONSTRAINTS
        for s in STRENGTHS
    )
}
"""Steering at further strengths, for the frontier only."""


def make_estimator(name: str, seed: int):
    """Make an unfitted base classifier.

    Parameters
    ----------
    name : {"logistic", "boosting"}
        Which one.
    seed : int
        Its random state.

    Returns
    -------
    classifier
        Logistic regression with scikit-learn's defaults, or histogram gradient boosting with 80
        iterations.
    """
    if name == "logistic":
        return LogisticRegression(max_iter=5000)
    return HistGradientBoostingClassifier(max_iter=80, random_state=seed)


def make_procedure(method: Method, estimator, data: pd.DataFrame, seed: int):
    """Make the unfitted procedure of a method.

    Parameters
    ----------
    method : Method
        One of `METHODS` or `FRONTIER_METHODS`.
    estimator : classifier
        The unfitted base classifier; it is cloned.
    data : DataFrame
        Says which columns are numbers; nothing is fitted on it.
    seed : int
        For methods that draw.

    Returns
    -------
    procedure
        An object with ``fit(data, y, *, sensitive_features)`` and ``predict(data, *,
        sensitive_features)``, which returns 0/1 labels and scores (None where the decisions are
        randomized).
    """
    if method.family == "steering":
        return TunedSteering(
            method.constraint, estimator, strength=method.strength, random_state=seed
        )
    encoder = standard_encoder(data)
    if method.family == "unmitigated":
        return Unmitigated(encoder, estimator)
    if method.family == "correlation_remover":
        return WithoutCorrelation(encoder, estimator)
    if method.family == "exponentiated_gradient":
        return Reduction(encoder, estimator, _MOMENTS[method.constraint](), seed)
    return Thresholds(encoder, estimator, _THRESHOLD_CONSTRAINTS[method.constraint], seed)


class Unmitigated:
    """The base classifier on the encoded features, blind to the group."""

    def __init__(self, encoder, estimator):
        self.encoder, self.estimator = encoder, clone(estimator)

    def fit(self, data, y, *, sensitive_features):
        """Fit on training rows."""
        X = self.encoder.fit_transform(data)
        self.estimator.fit(self._fit_features(X, sensitive_features), y)
        return self

    def predict(self, data, *, sensitive_features):
        """Predict 0/1 labels, with the probability of the favorable one."""
        X = self._features(self.encoder.transform(data), sensitive_features)
        return self.estimator.predict(X), self.estimator.predict_proba(X)[:, 1]

    def _fit_features(self, X, groups):
        """Learn what happens between encoder and classifier, and apply it."""
        return X

    def _features(self, X, groups):
        return X


class WithoutCorrelation(Unmitigated):
    """fairlearn's CorrelationRemover on the encoded features and the one-hot group."""

    def _fit_features(self, X, groups):
        self.indicated = np.unique(np.asarray(groups, dtype=object))[1:]
        ids = list(range(X.shape[1], X.shape[1] + len(self.indicated)))
        self.remover = CorrelationRemover(sensitive_feature_ids=ids)
        return self.remover.fit_transform(self._with_group(X, groups))

    def _features(self, X, groups):
        return self.remover.transform(self._with_group(X, groups))

    def _with_group(self, X, groups):
        indicators = np.asarray(groups)[:, None] == self.indicated[None, :]
        return np.column_stack([np.asarray(X, dtype=float), indicators])


class Reduction:
    """fairlearn's ExponentiatedGradient with its default settings; decisions are randomised."""

    def __init__(self, encoder, estimator, moment, seed):
        self.encoder, self.seed = encoder, seed
        self.model = ExponentiatedGradient(clone(estimator), constraints=moment)

    def fit(self, data, y, *, sensitive_features):
        """Fit on training rows."""
        X = self.encoder.fit_transform(data)
        self.model.fit(X, np.asarray(y), sensitive_features=np.asarray(sensitive_features))
        return self

    def predict(self, data, *, sensitive_features):
        """Draw 0/1 labels; there is no score."""
        X = self.encoder.transform(data)
        return self.model.predict(X, random_state=self.seed), None


class Thresholds:
    """fairlearn's ThresholdOptimizer around the base classifier; decisions are randomised."""

    def __init__(self, encoder, estimator, constraint, seed):
        self.seed = seed
        self.model = ThresholdOptimizer(
            estimator=make_pipeline(encoder, clone(estimator)),
            constraints=constraint,
            predict_method="predict_proba",
            prefit=False,
        )

    def fit(self, data, y, *, sensitive_features):
        """Fit on training rows."""
        self.model.fit(data, np.asarray(y), sensitive_features=np.asarray(sensitive_features))
        return self

    def predict(self, data, *, sensitive_features):
        """Draw 0/1 labels; there is no score."""
        drawn = self.model.predict(
            data, sensitive_features=np.asarray(sensitive_features), random_state=self.seed
        )
        return drawn, None
