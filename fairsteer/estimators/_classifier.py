"""A classifier of steered features, trained with the weights that lead to the ideal priors."""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone, is_classifier
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _estimator_has,
    check_is_fitted,
    has_fit_parameter,
)

from fairsteer import _validation as check
from fairsteer.estimators._eraser import WithinLabelEraser
from fairsteer.estimators._transformer import OptimalSteeringTransformer
from fairsteer.exceptions import SteeringWarning

_NEEDS = {"sensitive_features": True}
_TAKES = {"sensitive_features": True, "row_ids": True}
_METHODS = ("fit", "predict", "predict_proba", "predict_log_proba", "decision_function", "score")


class SteeredClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Classifier of steered features, with rows weighted to the ideal priors.

    The classifier sees steered features only, not the group. If its ``fit`` accepts weights, it is
    fitted with the ``ideal_sample_weight`` of the steering.

    Parameters
    ----------
    estimator : classifier
        The unfitted classifier, which is cloned.
    steering : OptimalSteeringTransformer or WithinLabelEraser, default=None
        The unfitted steering, which is cloned. Default:
        ``OptimalSteeringTransformer(priors="independent")``, for which the attribute is passed as
        ``sensitive_features=``.
    training : {"deployable", "ideal"}, default="deployable"
        What the classifier is trained on: rows steered without their labels, as new rows are, or
        rows steered with their labels (``transform_labeled``), whose distribution is ideal. The
        eraser does not use labels to move rows, so it supports ``"deployable"`` only.

    Attributes
    ----------
    steering_ : OptimalSteeringTransformer or WithinLabelEraser
        The fitted steering.
    estimator_ : classifier
        The classifier fitted to steered features.
    classes_ : ndarray of shape (K,)
        Labels, in the order of the columns of ``predict_proba``.
    n_features_in_ : int
        Number of columns of X, including sensitive columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, if X has them.

    Warns
    -----
    SteeringWarning
        In ``fit``, if the weights of rows differ and the classifier accepts none.

    Notes
    -----
    The methods request ``sensitive_features`` from metadata routing without ``set_fit_request`` and
    similar calls, unless the attribute is in columns of X. Direct calls need no routing. An eraser
    needs the attribute in ``fit`` only and ignores it afterwards.

    In a `Pipeline` the weights reach the last step, in a search the estimator that is tuned, in a
    voting or stacking classifier all members, if all accept weights. Requests set on these parts
    have no effect.

    Examples
    --------
    >>> from fairsteer import OptimalSteeringTransformer, SteeredClassifier
    >>> from fairsteer.datasets import load_diabetes_progression
    >>> from sklearn.linear_model import LogisticRegression
    >>> diabetes = load_diabetes_progression()
    >>> steering = OptimalSteeringTransformer("sex", priors="independent")
    >>> model = SteeredClassifier(LogisticRegression(max_iter=1000), steering)
    >>> model.fit(diabetes.data, diabetes.target).predict(diabetes.data.head(3)).shape
    (3,)
    """

    __metadata_request__fit: ClassVar = _NEEDS
    __metadata_request__predict: ClassVar = _TAKES
    __metadata_request__predict_proba: ClassVar = _TAKES
    __metadata_request__predict_log_proba: ClassVar = _TAKES
    __metadata_request__decision_function: ClassVar = _TAKES
    __metadata_request__score: ClassVar = _TAKES

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [HasMethods("fit")],
        "steering": "no_validation",
        "training": [StrOptions({"deployable", "ideal"})],
    }

    def __init__(self, estimator, steering=None, *, training="deployable"):
        self.estimator = estimator
        self.steering = steering
        self.training = training

    def fit(self, X, y, *, sensitive_features=None, sample_weight=None):
        """Fit the steering, then the classifier to steered rows.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
            Numbers; sensitive columns may have any values.
        y : array-like of shape (n,)
            Labels.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is in columns of X.
        sample_weight : array-like of shape (n,), default=None
            Frequencies: weight 2 is the row twice, weight 0 is no row. Weights whose sum is below
            the number of rows of positive weight, as in boosting, are scaled to sum to it. The
            steering is fitted with them, and the weights of the classifier are multiplied by them.

        Returns
        -------
        SteeredClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter or the input is invalid; the message says what to do.
        TypeError
            If X is sparse, `estimator` is not a classifier, or `steering` is not a steering.
        """
        self._validate_params()
        steering = self._new_steering()
        X = check.check_table(X)
        n_rows = len(X)
        y, weights = check.check_labels(y, n_rows), check.check_frequencies(sample_weight, n_rows)
        weights = check.scale_to_rows(weights)
        steering.fit(X, y, sensitive_features=sensitive_features, sample_weight=weights)

        # The steering has validated all rows; labels and groups of weight 0 only are unknown to it.
        present = np.flatnonzero(weights)
        if len(present) < n_rows:
            X, y, weights = check.take_rows(X, present), y[present], weights[present]
            if sensitive_features is not None:
                sensitive_features = check.take_rows(sensitive_features, present)
        if isinstance(steering, OptimalSteeringTransformer):
            ideal = steering.ideal_sample_weight(X, y, sensitive_features=sensitive_features)
            weights = weights * ideal
        if self.training == "ideal":
            moved = steering.transform_labeled(X, y, sensitive_features=sensitive_features)
        else:
            moved = _transform(steering, X, sensitive_features)
        estimator = fit_weighted(clone(self.estimator), moved, y, weights)

        # Attributes are set last, so that a failed fit changes nothing.
        self.steering_, self.estimator_ = steering, estimator
        return self

    def predict(self, X, *, sensitive_features=None, row_ids=None):
        """Predict labels.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is in columns of X.
        row_ids : array-like of shape (n,), default=None
            Identifiers of the rows, on which the draws of the steering then depend.

        Returns
        -------
        ndarray of shape (n,)
            Labels.
        """
        return self._call("predict", X, sensitive_features, row_ids)

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X, *, sensitive_features=None, row_ids=None):
        """Return label probabilities; only if the classifier has this method.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is in columns of X.
        row_ids : array-like of shape (n,), default=None
            Identifiers of the rows, on which the draws of the steering then depend.

        Returns
        -------
        ndarray of shape (n, K)
            Columns in the order of ``classes_``.
        """
        return self._call("predict_proba", X, sensitive_features, row_ids)

    @available_if(_estimator_has("predict_log_proba"))
    def predict_log_proba(self, X, *, sensitive_features=None, row_ids=None):
        """Return logarithms of label probabilities; only if the classifier has this method.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is in columns of X.
        row_ids : array-like of shape (n,), default=None
            Identifiers of the rows, on which the draws of the steering then depend.

        Returns
        -------
        ndarray of shape (n, K)
            Columns in the order of ``classes_``.
        """
        return self._call("predict_log_proba", X, sensitive_features, row_ids)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X, *, sensitive_features=None, row_ids=None):
        """Return the scores of the classifier; only if it has this method.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is in columns of X.
        row_ids : array-like of shape (n,), default=None
            Identifiers of the rows, on which the draws of the steering then depend.

        Returns
        -------
        ndarray of shape (n,) or (n, K)
            As returned by the classifier.
        """
        return self._call("decision_function", X, sensitive_features, row_ids)

    def score(self, X, y, sample_weight=None, *, sensitive_features=None, row_ids=None):
        """Return the accuracy of the predicted labels.

        Parameters
        ----------
        X : array-like of shape (n, n_features_in_)
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows; only their ratios matter.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is in columns of X.
        row_ids : array-like of shape (n,), default=None
            Identifiers of the rows, on which the draws of the steering then depend.

        Returns
        -------
        float
            Share of rows whose label is predicted correctly.
        """
        from sklearn.metrics import accuracy_score  # slow to import, as in ClassifierMixin

        predicted = self.predict(X, sensitive_features=sensitive_features, row_ids=row_ids)
        return accuracy_score(y, predicted, sample_weight=sample_weight)

    @property
    def classes_(self):
        """Labels, in the order of the columns of ``predict_proba``."""
        return self.estimator_.classes_

    @property
    def n_features_in_(self):
        """Number of columns of X, including sensitive columns."""
        return self.steering_.n_features_in_

    @property
    def feature_names_in_(self):
        """Column names, if X has them."""
        return self.steering_.feature_names_in_

    def set_params(self, **params):
        """Set parameters, also of the parts by the prefixes ``steering__`` and ``estimator__``.

        Parameters
        ----------
        **params : dict
            Values by name.

        Returns
        -------
        SteeredClassifier
            This object.

        Raises
        ------
        ValueError
            If a parameter does not exist, or a parameter of ``steering=None`` is set.
        """
        nested = sorted(name for name in params if name.startswith("steering__"))
        if nested and params.get("steering", self.steering) is None:
            raise ValueError(
                f"Invalid parameter {nested[0]!r}: steering=None has no parameters. Pass the "
                "default explicitly, steering=OptimalSteeringTransformer(priors='independent')."
            )
        return super().set_params(**params)

    def get_metadata_routing(self):
        """Return the metadata requests, without the attribute if it is in columns of X.

        Returns
        -------
        MetadataRequest
        """
        request = super().get_metadata_routing()
        if self._column_mode:
            for method in _METHODS:
                getattr(request, method).add_request(param="sensitive_features", alias=False)
        return request

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        if inner.classifier_tags is not None:
            tags.classifier_tags.multi_class = inner.classifier_tags.multi_class
            tags.classifier_tags.poor_score = inner.classifier_tags.poor_score
        tags.non_deterministic = inner.non_deterministic
        tags.target_tags.required = True
        tags.input_tags.categorical = self._column_mode
        return tags

    @property
    def _column_mode(self):
        return getattr(self.steering, "sensitive_feature_ids", None) is not None

    def _new_steering(self):
        if not is_classifier(self.estimator):
            raise TypeError(
                f"estimator must be a classifier, got a {type(self.estimator).__name__}: pass, for "
                "instance, LogisticRegression()."
            )
        if self.steering is None:
            return OptimalSteeringTransformer(priors="independent")
        if not isinstance(self.steering, OptimalSteeringTransformer | WithinLabelEraser):
            raise TypeError(
                "steering must be an OptimalSteeringTransformer or a WithinLabelEraser, got a "
                f"{type(self.steering).__name__}: put preprocessing steps into a Pipeline, with "
                "SteeredClassifier as its last step."
            )
        if self.training == "ideal" and isinstance(self.steering, WithinLabelEraser):
            raise ValueError(
                "training='ideal' moves training rows by their labels, but WithinLabelEraser does "
                "not use labels: use training='deployable' or an OptimalSteeringTransformer."
            )
        return clone(self.steering)

    def _call(self, method, X, sensitive_features, row_ids):
        check_is_fitted(self)
        moved = _transform(self.steering_, X, sensitive_features, row_ids)
        return getattr(self.estimator_, method)(moved)


def _transform(steering, X, sensitive_features, row_ids=None):
    if isinstance(steering, WithinLabelEraser):
        return steering.transform(X)
    return steering.transform(X, sensitive_features=sensitive_features, row_ids=row_ids)


def fit_weighted(estimator, X, y, weights):
    """Fit a classifier with sample weights, where they differ and it accepts them.

    Parameters
    ----------
    estimator : classifier
        It is fitted in place.
    X : ndarray or DataFrame of shape (n, d)
        Features.
    y : ndarray of shape (n,)
        Labels.
    weights : ndarray of shape (n,)
        Weights of the rows.

    Returns
    -------
    classifier
        The fitted estimator.

    Warns
    -----
    SteeringWarning
        If weights differ and the classifier accepts none.
    """
    parameters = {}
    if not np.allclose(weights, 1.0):
        name = weight_parameter(estimator)
        if name is not None:
            parameters[name] = weights
        elif not np.allclose(weights, weights[0]):
            warnings.warn(
                f"{type(estimator).__name__} accepts no sample_weight in fit, so it gives all rows "
                "the same weight: it ignores the weights that make label and group independent, "
                "and any sample_weight passed. Use a classifier that accepts weights, or steering "
                "with priors='keep', which needs none.",
                SteeringWarning,
                stacklevel=3,
            )
    # With routing on, every step would have to request the weights.
    with config_context(enable_metadata_routing=False):
        return estimator.fit(X, y, **parameters)


def weight_parameter(estimator):
    """Return the name of the parameter of ``fit`` for sample weights, None if there is none."""
    # These are slow to import.
    from sklearn.ensemble import StackingClassifier, VotingClassifier
    from sklearn.model_selection._search import BaseSearchCV
    from sklearn.pipeline import Pipeline

    if isinstance(estimator, Pipeline):
        step, last = estimator.steps[-1]
        name = weight_parameter(last)
        return None if name is None else f"{step}__{name}"
    if isinstance(estimator, BaseSearchCV):
        return weight_parameter(estimator.estimator)
    if isinstance(estimator, StackingClassifier | VotingClassifier):
        members = [member for _, member in estimator.estimators if member != "drop"]
        if getattr(estimator, "final_estimator", None) is not None:
            members.append(estimator.final_estimator)
        taken = all(weight_parameter(member) == "sample_weight" for member in members)
        return "sample_weight" if taken else None
    return "sample_weight" if has_fit_parameter(estimator, "sample_weight") else None
