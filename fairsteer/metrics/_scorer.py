"""Scorers for groups: a fairness metric in the form that scikit-learn's model selection takes.

``sklearn.metrics.make_scorer`` hands metadata to the metric only; a steered model needs the
attribute in ``predict`` too. The scorers here hand it to both, or read it from a column of X.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from inspect import signature
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils.metadata_routing import UNCHANGED, MetadataRequest

from fairsteer import _validation as check
from fairsteer.metrics._gaps import has_label
from fairsteer.metrics._metric import (
    labels_needed,
    metric_name,
    takes_groups,
    takes_weights,
    warn_of_sign,
)
from fairsteer.metrics._responses import RESPONSE_METHODS, binarized, response


def make_fairness_scorer(
    metric,
    *,
    sensitive_feature_ids=None,
    pos_label=None,
    greater_is_better=False,
    response_method="predict",
    binarize=True,
):
    """Make a scorer of a fairness metric, for ``scoring=`` in scikit-learn's model selection.

    Parameters
    ----------
    metric : callable
        ``metric(y_true, y_pred, *, sensitive_features)`` returning a number, such as fairlearn's
        ``equalized_odds_difference``. An aggregate of any other metric over groups (difference,
        ratio, minimum or maximum of a ``MetricFrame``) is made by
        ``fairlearn.metrics.make_derived_metric``, see Examples; further arguments of a metric are
        set by ``functools.partial``. A metric without ``sensitive_features``, such as
        ``accuracy_score``, is taken over all rows: this serves models that need the attribute
        routed to ``predict``, where scikit-learn's own scorers fail.
    sensitive_feature_ids : str, int or sequence of these, default=None
        Names or positions of the columns of X that hold the sensitive attribute; several mean
        their intersection. Default: the attribute is passed as ``sensitive_features=``, which
        in scikit-learn's tools needs ``sklearn.set_config(enable_metadata_routing=True)``; it is
        requested without ``set_score_request``.
    pos_label : object, default=None
        The positive (favourable) label; default the last of the estimator's ``classes_``. Name
        it where a label may be absent from a training fold.
    greater_is_better : bool, default=False
        False for gaps and losses: the score is then minus the metric, as in scikit-learn. Ratios
        need True.
    response_method : {"predict", "predict_proba", "decision_function"}, default="predict"
        What the metric gets as ``y_pred``. The last two mean the score of the positive label.
    binarize : bool, default=True
        Whether the metric gets 1 for the positive label and 0 for every other one, as fairlearn's
        rates need. With False it gets ``y`` and the predictions as they are: for metrics that
        count every label, such as accuracy, and for regressors.

    Returns
    -------
    FairnessScorer
        Called as ``scorer(estimator, X, y)``, with ``sensitive_features=`` where no column holds
        the attribute, and ``sample_weight=`` if the metric takes weights.

    Raises
    ------
    ValueError
        If the metric cannot be called, or parameters contradict each other. When called: if the
        attribute is missing, given twice, or to be routed while metadata routing is off, a label
        cannot be found, or the metric does not return one number.
    AttributeError
        When called, if the estimator lacks the response method.

    Warns
    -----
    UserWarning
        If the sign does not suit the metric's name: a ratio or score is best large, a difference,
        error or loss small.
    UndefinedMetricWarning
        When called: if a group lacks rows of a label that the metric is about (fairlearn counts
        its rate as 0, so that a gap can be 1 by absence alone), if there is one group only, or if
        the metric is NaN. The score is the metric's value all the same.

    See Also
    --------
    most_accurate_within : Choose by accuracy among candidates with a small gap.

    Notes
    -----
    ``TunedThresholdClassifierCV`` of scikit-learn takes its own scorers only; everything else that
    has ``scoring=`` takes this one.

    The attribute reaches ``predict`` (or another response method) exactly if the estimator asks
    for it: a Pipeline or another router whose steps request ``sensitive_features`` there, or an
    estimator whose method has this argument and no request that declines it.

    Examples
    --------
    >>> from fairlearn.metrics import equalized_odds_difference, make_derived_metric
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.metrics import recall_score
    >>> from sklearn.model_selection import cross_validate
    >>> from sklearn.pipeline import make_pipeline
    >>> from fairsteer import OptimalSteeringTransformer
    >>> from fairsteer.datasets import load_diabetes_progression
    >>> from fairsteer.metrics import make_fairness_scorer
    >>> diabetes = load_diabetes_progression()
    >>> model = make_pipeline(OptimalSteeringTransformer("sex"), LogisticRegression(max_iter=1000))
    >>> lowest_recall = make_derived_metric(metric=recall_score, transform="group_min")
    >>> scoring = {
    ...     "accuracy": "accuracy",
    ...     "gap": make_fairness_scorer(equalized_odds_difference, sensitive_feature_ids="sex"),
    ...     "lowest_recall": make_fairness_scorer(
    ...         lowest_recall, sensitive_feature_ids="sex", greater_is_better=True
    ...     ),
    ... }
    >>> scores = cross_validate(model, diabetes.data, diabetes.target, scoring=scoring)
    >>> scores["test_gap"].shape
    (5,)
    """
    return FairnessScorer(
        metric=metric,
        sensitive_feature_ids=sensitive_feature_ids,
        pos_label=pos_label,
        greater_is_better=greater_is_better,
        response_method=response_method,
        binarize=binarize,
    )


@dataclass(repr=False, kw_only=True)
class FairnessScorer:
    """What :func:`make_fairness_scorer` returns; its parameters stand there."""

    metric: Any
    sensitive_feature_ids: Any = None
    pos_label: Any = None
    greater_is_better: bool = False
    response_method: str = "predict"
    binarize: bool = True
    _requests: dict = field(default_factory=dict, init=False)

    def __post_init__(self):
        if self.response_method not in RESPONSE_METHODS:
            raise ValueError(
                f"response_method must be one of {', '.join(map(repr, RESPONSE_METHODS))}, not "
                f"{self.response_method!r}."
            )
        if not self.binarize and (self.pos_label is not None or self.response_method != "predict"):
            raise ValueError(
                "binarize=False hands the metric labels as they are, so there is no positive one: "
                "leave pos_label=None and response_method='predict', or keep binarize=True."
            )
        if not callable(self.metric):
            raise ValueError(
                "metric must be a function of (y_true, y_pred, *, sensitive_features), not "
                f"{self.metric!r}."
            )
        warn_of_sign(self.metric, self.greater_is_better, stacklevel=4)
        ids = self.sensitive_feature_ids
        if ids is None:
            self._requests["sensitive_features"] = True
        elif not isinstance(ids, str | int | np.integer):
            self.sensitive_feature_ids = list(ids)
        if self._accept_sample_weight():
            self._requests["sample_weight"] = None

    def __call__(self, estimator, X, y_true, *, sensitive_features=None, sample_weight=None):
        """Score a fitted estimator on rows.

        Parameters
        ----------
        estimator : estimator
            Fitted.
        X : array-like of shape (n, p)
            Rows, with the sensitive columns if ``sensitive_feature_ids`` names them.
        y_true : array-like of shape (n,)
            Their labels.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it stands in X. It goes to the metric, and to the estimator if
            that asks for it.
        sample_weight : array-like of shape (n,), default=None
            Weights, which go to the metric.

        Returns
        -------
        float
            The metric, or minus the metric if greater is not better.
        """
        y_true = check.check_column(y_true, "y_true")
        attribute = self._attribute(X, sensitive_features)
        codes, groups = check.index_groups(attribute, len(y_true), like="y_true")
        alias = self._requests.get("sensitive_features")
        y_pred = response(
            estimator,
            self.response_method,
            X,
            sensitive_features,
            alias if isinstance(alias, str) else None,
        )
        if self.binarize:
            y_true, y_pred, pos_label = binarized(
                estimator, y_true, y_pred, self.response_method, self.pos_label
            )
        else:
            y_pred, pos_label = check.check_column(y_pred, "y_pred", len(y_true)), None

        arguments = {}
        if sample_weight is not None:
            self._check_takes_weights()
            weights = check.check_frequencies(sample_weight, len(codes))
            present = weights > 0.0
            y_true, y_pred, codes = y_true[present], y_pred[present], codes[present]
            arguments["sample_weight"] = weights[present]
        if takes_groups(self.metric):
            self._warn_undefined(y_true, codes, groups, pos_label)
            arguments["sensitive_features"] = pd.Series(groups.to_numpy()[codes], dtype=object)
        value = self.metric(y_true, y_pred, **arguments)
        return self._signed(value, len(codes))

    def set_score_request(self, *, sensitive_features=UNCHANGED, sample_weight=UNCHANGED):
        """Say which metadata the scorer asks scikit-learn's tools for.

        Parameters
        ----------
        sensitive_features : bool, None or str, default=UNCHANGED
            As in scikit-learn; True unless the attribute stands in X.
        sample_weight : bool, None or str, default=UNCHANGED
            Default for a metric that takes weights is None: passing weights without saying
            whether scores are to use them is an error.

        Returns
        -------
        FairnessScorer
            Itself.

        Raises
        ------
        ValueError
            If the attribute stands in X, or the metric takes no weights.
        """
        if sensitive_features is not UNCHANGED:
            if self.sensitive_feature_ids is not None and sensitive_features:
                raise ValueError(
                    f"{self!r} reads the attribute from X: request no sensitive_features, or make "
                    "the scorer without sensitive_feature_ids."
                )
            self._requests["sensitive_features"] = sensitive_features
        if sample_weight is not UNCHANGED:
            if sample_weight:
                self._check_takes_weights()
            self._requests["sample_weight"] = sample_weight
        return self

    def get_metadata_routing(self):
        """Return the routing requests.

        Returns
        -------
        MetadataRequest
        """
        request = MetadataRequest(owner=self)
        for name, alias in self._requests.items():
            request.score.add_request(param=name, alias=alias)
        return request

    def __repr__(self):
        shown = [metric_name(self.metric)]
        shown += [
            f"{name}={value!r}"
            for name, parameter in signature(make_fairness_scorer).parameters.items()
            if name != "metric" and repr(value := getattr(self, name)) != repr(parameter.default)
        ]
        return f"make_fairness_scorer({', '.join(shown)})"

    def _routing_repr(self):
        """Name the scorer in scikit-learn's routing errors."""
        return repr(self)

    def _accept_sample_weight(self):
        """Tell scikit-learn, where routing is off, whether to pass weights."""
        return takes_weights(self.metric)

    def _check_takes_weights(self):
        if not self._accept_sample_weight():
            raise ValueError(
                f"{metric_name(self.metric)} takes no sample_weight: score without weights, or use "
                "a metric that has this argument."
            )

    def _attribute(self, X, sensitive_features):
        if self.sensitive_feature_ids is None:
            if sensitive_features is None:
                raise ValueError(
                    f"{self!r} needs the sensitive attribute of the rows: name its columns in X "
                    "by sensitive_feature_ids, or pass sensitive_features= "
                    "(params={'sensitive_features': ...} of cross_validate, an argument of fit of "
                    "a search), which needs sklearn.set_config(enable_metadata_routing=True)."
                )
            return sensitive_features
        if sensitive_features is not None:
            raise ValueError(
                "The sensitive attribute is given twice, by sensitive_feature_ids of the scorer "
                "and by sensitive_features=: pass one of the two."
            )
        table = check.check_table(X)
        positions = check.sensitive_positions(table, self.sensitive_feature_ids)
        return check.take_columns(table, positions)

    def _warn_undefined(self, y_true, codes, groups, pos_label):
        name = metric_name(self.metric)
        if np.all(codes == codes[0]):
            _warn(
                f"{name} compares groups, but the {len(codes)} rows scored are all of one group, "
                f"{groups[codes[0]]!r}: score more rows."
            )
        if not self.binarize:
            return
        texts = {1: f"label {pos_label!r}", 0: f"another label than {pos_label!r}"}
        for label in labels_needed(self.metric):
            lacking = np.unique(codes[~has_label(y_true, codes, label)[codes]])
            if len(lacking):
                _warn(
                    f"no row with {texts[label]} in group "
                    f"{', '.join(repr(groups[code]) for code in lacking)} among the {len(codes)} "
                    f"rows scored: {name} says nothing there (fairlearn counts a rate without "
                    "rows as 0, which can make a gap of 1): score more rows, or stratify the "
                    "folds by label and group."
                )

    def _signed(self, value, n_rows) -> float:
        if np.ndim(value) != 0 or not isinstance(value, Real | np.number | np.bool_):
            raise ValueError(
                f"{metric_name(self.metric)} returned a {type(value).__name__}, but a score is one "
                "number: aggregate over groups, for instance with "
                "fairlearn.metrics.make_derived_metric(metric=..., transform='difference')."
            )
        if np.isnan(value):
            _warn(
                f"{metric_name(self.metric)} is NaN on the {n_rows} rows scored, as a ratio is "
                "where every group's rate is 0: score more rows, or use the difference."
            )
        return float(value) if self.greater_is_better else -float(value)


def _warn(text):
    warnings.warn(text, UndefinedMetricWarning, stacklevel=4)
