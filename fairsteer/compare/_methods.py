"""The compared methods: each one fits on training rows and predicts other rows."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.preprocessing import CorrelationRemover
from fairlearn.reductions import (
    DemographicParity,
    EqualizedOdds,
    ExponentiatedGradient,
    GridSearch,
    TruePositiveRateParity,
)
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from fairsteer.core.constraints import CONSTRAINTS
from fairsteer.estimators._score_steering import ScoreSteering
from fairsteer.estimators._steered_classifier_cv import SteeredClassifierCV, fit_sharing
from fairsteer.estimators._table_encoding import standard_encoder

ESTIMATORS = ("logistic", "boosting")
BASELINE = "unmitigated"
MAX_GAPS = (0.02, 0.05, 0.1, 0.2)
"""Gaps that steering may leave, for the frontier only."""

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
    """A compared method.

    Parameters
    ----------
    family : str
        The part of the name before ``-``.
    constraint : str or None
        The gap that it targets.
    attribute_at_prediction : bool
        Whether it is given the sensitive attribute of the rows to predict.
    max_gap : float, optional
        The gap that steering may leave; None: what chance explains.
    classifier : classifier, optional
        The unfitted classifier of a method of the user's own, whose name is the family.
    limit : float, optional
        The gap that steering may leave where `max_gap` is None and chance explains less.
    """

    family: str
    constraint: str | None
    attribute_at_prediction: bool
    max_gap: float | None = None
    classifier: object = None
    limit: float | None = None

    @property
    def name(self) -> str:
        """The full name: ``family``, ``family-constraint`` or ``family-constraint@max_gap``."""
        name = self.family if self.constraint is None else f"{self.family}-{self.constraint}"
        return name if self.max_gap is None else f"{name}@{self.max_gap:g}"


METHODS = {
    method.name: method
    for method in (
        Method(BASELINE, None, attribute_at_prediction=False),
        Method("constant", None, attribute_at_prediction=False),
        *(Method("steering", c, attribute_at_prediction=True) for c in CONSTRAINTS),
        *(Method("score_steering", c, attribute_at_prediction=True) for c in CONSTRAINTS),
        Method("correlation_remover", None, attribute_at_prediction=True),
        *(Method("exponentiated_gradient", c, attribute_at_prediction=False) for c in CONSTRAINTS),
        *(Method("threshold_optimizer", c, attribute_at_prediction=True) for c in CONSTRAINTS),
    )
}
"""The built-in methods; the gap that steering may leave is what chance explains."""


class Choice(NamedTuple):
    """What steering chose in one fold, and what it measured on held-out training rows.

    Parameters
    ----------
    candidate : str
        Name of the candidate.
    parameters : str
        What the candidate chose itself, such as ``strength=1``.
    score, gap, floor : float
        Accuracy, gap and noise floor.
    """

    candidate: str
    parameters: str
    score: float
    gap: float
    floor: float


def make_estimator(name: str, random_state: int):
    """Make an unfitted built-in base classifier.

    Parameters
    ----------
    name : {"logistic", "boosting"}
        Which one.
    random_state : int
        Its random state.

    Returns
    -------
    classifier
        Logistic regression with scikit-learn's defaults, or histogram gradient boosting with 80
        iterations.
    """
    if name == "logistic":
        return LogisticRegression(max_iter=5000)
    return HistGradientBoostingClassifier(max_iter=80, random_state=random_state)


def make_user_method(name: str, classifier) -> Method:
    """Describe a method of the user's own.

    Parameters
    ----------
    name : str
        Its name.
    classifier : classifier
        Unfitted.

    Returns
    -------
    Method
    """
    attribute = _needs_columns(classifier) or _takes_attribute(classifier.predict)
    return Method(name, None, attribute_at_prediction=attribute, classifier=classifier)


def make_procedure(
    method: Method,
    estimator,
    data: pd.DataFrame,
    random_state: int,
    shared: dict | None = None,
):
    """Make the unfitted procedure of a method.

    Parameters
    ----------
    method : Method
        Which method.
    estimator : classifier
        The unfitted base classifier; it is cloned. A method of the user's own ignores it.
    data : DataFrame
        Only its column types are used.
    random_state : int
        Seed of methods that draw.
    shared : dict, optional
        What steering with several constraints shares, if the training rows, the estimator and the
        seed are the same.

    Returns
    -------
    procedure
        An object with ``fit(data, y, *, sensitive_features)`` and ``predict(data, *,
        sensitive_features)``, which returns 0/1 labels and scores (None where decisions are
        randomized). ``sensitive_features`` are the groups, for `UserMethod` the sensitive columns.
    """
    if method.classifier is not None:
        return UserMethod(method.classifier)
    encoder = standard_encoder(data)
    if method.family == "constant":
        return Unmitigated(encoder, DummyClassifier())
    if method.family == BASELINE:
        return Unmitigated(encoder, estimator)
    if method.family == "steering":
        model = SteeredClassifierCV(
            estimator,
            constraint=method.constraint,
            max_gap=method.limit if method.max_gap is None else method.max_gap,
            random_state=random_state,
        )
        return Steered(encoder, model, {} if shared is None else shared)
    if method.family == "score_steering":
        steering = ScoreSteering(estimator, constraint=method.constraint, random_state=random_state)
        return SteeredScore(encoder, steering)
    if method.family == "correlation_remover":
        return WithoutCorrelation(encoder, estimator)
    if method.family == "exponentiated_gradient":
        return Reduction(encoder, estimator, _MOMENTS[method.constraint](), random_state)
    constraint = _THRESHOLD_CONSTRAINTS[method.constraint]
    return Thresholds(encoder, estimator, constraint, random_state)


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
        """Predict 0/1 labels and their scores."""
        X = self._transform_features(self.encoder.transform(data), sensitive_features)
        return self.estimator.predict(X), _predict_scores(self.estimator, X)

    def _fit_features(self, X, groups):
        """Fit a step between encoder and classifier, and apply it."""
        return X

    def _transform_features(self, X, groups):
        return X


class Steered:
    """SteeredClassifierCV; rows draw by their place in the table.

    ``shared_seconds_`` is how long the fits took that were taken from another constraint.
    """

    def __init__(self, encoder, model, shared):
        self.encoder, self.model, self.shared = encoder, model, shared

    def fit(self, data, y, *, sensitive_features):
        """Fit on training rows."""
        X = self.encoder.fit_transform(data)
        fits, model = self.shared.get("fits"), self.model
        known = sum(fits.seconds.values()) if fits else 0.0
        self.shared["fits"] = fit_sharing(
            model, X, np.asarray(y), sensitive_features=sensitive_features, fits=fits
        )
        self.shared_seconds_ = known
        chosen = ", ".join(f"{name}={value:.3g}" for name, value in model.best_params_.items())
        measured = model.best_score_, model.best_gap_, model.noise_floor_
        self.choice_ = Choice(model.best_candidate_, chosen, *measured)
        return self

    def predict(self, data, *, sensitive_features):
        """Predict 0/1 labels and their scores."""
        p = self.model.predict_proba(
            self.encoder.transform(data),
            sensitive_features=sensitive_features,
            row_ids=np.asarray(data.index),
        )
        return self.model.classes_[p.argmax(axis=1)], p[:, 1]


class SteeredScore:
    """ScoreSteering, and a logistic regression of the steered score."""

    def __init__(self, encoder, steering):
        self.encoder, self.steering = encoder, steering

    def fit(self, data, y, *, sensitive_features):
        """Fit on training rows."""
        X = np.asarray(self.encoder.fit_transform(data), dtype=float)
        passed = {"sensitive_features": sensitive_features, "row_ids": np.asarray(data.index)}
        scores = self.steering.fit_transform(X, np.asarray(y), **passed)
        self.model = LogisticRegression().fit(scores, y)
        return self

    def predict(self, data, *, sensitive_features):
        """Predict 0/1 labels and their scores."""
        X = np.asarray(self.encoder.transform(data), dtype=float)
        passed = {"sensitive_features": sensitive_features, "row_ids": np.asarray(data.index)}
        scores = self.steering.transform(X, **passed)
        return self.model.predict(scores), self.model.predict_proba(scores)[:, 1]


class WithoutCorrelation(Unmitigated):
    """fairlearn's CorrelationRemover on the encoded features and the one-hot group."""

    def _fit_features(self, X, groups):
        self.indicated = np.unique(np.asarray(groups, dtype=object))[1:]
        ids = list(range(X.shape[1], X.shape[1] + len(self.indicated)))
        self.remover = CorrelationRemover(sensitive_feature_ids=ids)
        return self.remover.fit_transform(self._append_groups(X, groups))

    def _transform_features(self, X, groups):
        return self.remover.transform(self._append_groups(X, groups))

    def _append_groups(self, X, groups):
        indicators = np.asarray(groups)[:, None] == self.indicated[None, :]
        return np.column_stack([np.asarray(X, dtype=float), indicators])


class Reduction:
    """fairlearn's ExponentiatedGradient with its default settings; decisions are randomized."""

    def __init__(self, encoder, estimator, moment, random_state):
        self.encoder, self.random_state = encoder, random_state
        self.model = ExponentiatedGradient(clone(estimator), constraints=moment)

    def fit(self, data, y, *, sensitive_features):
        """Fit on training rows."""
        X = self.encoder.fit_transform(data)
        self.model.fit(X, np.asarray(y), sensitive_features=np.asarray(sensitive_features))
        return self

    def predict(self, data, *, sensitive_features):
        """Draw 0/1 labels; there are no scores."""
        X = self.encoder.transform(data)
        return self.model.predict(X, random_state=self.random_state), None


class Thresholds:
    """fairlearn's ThresholdOptimizer around the base classifier; decisions are randomized."""

    def __init__(self, encoder, estimator, constraint, random_state):
        self.random_state = random_state
        self.model = ThresholdOptimizer(
            estimator=make_pipeline(encoder, clone(estimator)),
            constraints=constraint,
            predict_method="auto",
            prefit=False,
        )

    def fit(self, data, y, *, sensitive_features):
        """Fit on training rows."""
        self.model.fit(data, np.asarray(y), sensitive_features=np.asarray(sensitive_features))
        return self

    def predict(self, data, *, sensitive_features):
        """Draw 0/1 labels; there are no scores."""
        drawn = self.model.predict(
            data,
            sensitive_features=np.asarray(sensitive_features),
            random_state=self.random_state,
        )
        return drawn, None


class UserMethod:
    """A classifier of the user's own, on the table's own columns.

    The sensitive columns are passed as ``sensitive_features`` where ``fit`` takes that argument
    and the classifier does not name columns of X; otherwise they are appended to X.
    """

    def __init__(self, classifier):
        self.model, self.appends = clone(classifier), _needs_columns(classifier)

    def fit(self, data, y, *, sensitive_features):
        """Fit on training rows."""
        X = self._append_columns(data, sensitive_features)
        passed = {} if self.appends else {"sensitive_features": squeeze(sensitive_features)}
        self.model.fit(X, y, **passed)
        return self

    def predict(self, data, *, sensitive_features):
        """Predict 0/1 labels and, where the classifier has them, scores."""
        X = self._append_columns(data, sensitive_features)

        def call(function):
            if self.appends or not _takes_attribute(function):
                return function(X)
            return function(X, sensitive_features=squeeze(sensitive_features))

        return call(self.model.predict), _predict_scores(self.model, call=call)

    def _append_columns(self, data, attributes):
        return pd.concat([data, attributes], axis=1) if self.appends else data


def _predict_scores(model, X=None, call=None):
    """Return scores that rank the rows; None if the classifier has none."""
    call = call or (lambda function: function(X))
    if hasattr(model, "predict_proba"):
        return call(model.predict_proba)[:, 1]
    if hasattr(model, "decision_function"):
        return call(model.decision_function)
    return None


def _takes_attribute(function) -> bool:
    return "sensitive_features" in inspect.signature(function).parameters


def _needs_columns(classifier) -> bool:
    """Return whether a classifier reads the attribute from X."""
    if isinstance(classifier, (ExponentiatedGradient, GridSearch)):
        return False  # Their fit takes sensitive_features among its keyword arguments.
    parameters = classifier.get_params() if hasattr(classifier, "get_params") else {}
    names_columns = any(
        name.rpartition("__")[2] == "sensitive_feature_ids" and value is not None
        for name, value in parameters.items()
    )
    return names_columns or not _takes_attribute(classifier.fit)


def squeeze(attributes: pd.DataFrame):
    """Return a single sensitive column as a Series."""
    return attributes.iloc[:, 0] if attributes.shape[1] == 1 else attributes
