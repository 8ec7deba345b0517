"""Scorers of fairness metrics for scikit-learn's model selection.

``sklearn.metrics.make_scorer`` passes metadata to the metric only, but a steered model needs the
attribute in ``predict``, too. These scorers pass it to both, or read it from columns of X.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import partial
from inspect import Parameter, signature
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.metadata_routing import UNCHANGED, MetadataRequest

from fairsteer import _validation as check
from fairsteer.core.messages import shorten
from fairsteer.metrics._gaps import has_label
from fairsteer.metrics._responses import RESPONSE_METHODS, binarize, get_response


def make_fairness_scorer(
    metric,
    *,
    sensitive_feature_ids=None,
    pos_label=None,
    greater_is_better=False,
    response_method="predict",
    binarize=True,
):
    """Make a scorer of a fairness metric for ``scoring=`` in scikit-learn's model selection.

    Parameters
    ----------
    metric : callable
        A function of ``(y_true, y_pred, *, sensitive_features)`` that returns a number, such as
        fairlearn's ``equalized_odds_difference``. Use ``fairlearn.metrics.make_derived_metric`` to
        aggregate any other metric over groups (difference, ratio, minimum or maximum of a
        ``MetricFrame``), see Examples, and ``functools.partial`` to set more arguments. The
        signature decides what the metric gets: ``sensitive_features`` and ``sample_weight`` if it
        has these parameters or ``**kwargs``. A metric without ``sensitive_features``, such as
        ``accuracy_score``, is computed over all rows. This is useful for models that need the
        attribute in ``predict``, for which scikit-learn's own scorers fail.
    sensitive_feature_ids : str, int or sequence of these, default=None
        Names or positions of the columns of X that hold the sensitive attribute; several columns
        mean their intersection. By default the attribute is passed as ``sensitive_features=``,
        which in scikit-learn's tools needs ``sklearn.set_config(enable_metadata_routing=True)``;
        it is requested without ``set_score_request``.
    pos_label : object, default=None
        The positive (favorable) label; default the last of the estimator's ``classes_``. Set it
        if a label may be missing in a training fold.
    greater_is_better : bool, default=False
        Whether a large value of the metric is good. Use False for gaps, errors and losses: the
        score is then minus the metric, as in scikit-learn. Use True for ratios and accuracies.
        With the wrong value a search selects the worst candidate.
    response_method : {"predict", "predict_proba", "decision_function"}, default="predict"
        What the metric gets as ``y_pred``. The last two give the score of the positive label.
    binarize : bool, default=True
        Whether the metric gets 1 for the positive label and 0 for every other label, as
        fairlearn's rates need. With False it gets ``y`` and the predictions unchanged: for metrics
        that count every label, such as accuracy, and for regressors.

    Returns
    -------
    FairnessScorer
        Call it as ``scorer(estimator, X, y)``, with ``sensitive_features=`` if no column holds the
        attribute, and with ``sample_weight=`` if the metric takes weights.

    Raises
    ------
    ValueError
        If the metric is not callable, or parameters contradict each other. When called: if the
        attribute is missing or given twice, if the estimator routes it while metadata routing is
        off, if a label is unknown, or if the metric does not return a number.
    AttributeError
        When called, if the estimator lacks the response method.

    Warns
    -----
    UndefinedMetricWarning
        When called, for a metric that takes ``sensitive_features``: if there is a single group, or
        (with ``binarize=True``) if a group has no rows of the positive label or of the others,
        where fairlearn counts a rate as 0, so that the gap can be 1. For any metric: if it is NaN.
        The score is the value of the metric in all cases.

    See Also
    --------
    most_accurate_within : Choose by accuracy among candidates with a small gap.

    Notes
    -----
    ``TunedThresholdClassifierCV`` of scikit-learn accepts its own scorers only; everything else
    with a parameter ``scoring`` accepts this scorer.

    The attribute is passed to ``predict`` (or another response method) if and only if the
    estimator requests it: a Pipeline or another router whose steps request ``sensitive_features``,
    or an estimator whose method has this parameter, unless its metadata request is False.

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
    """A scorer; see :func:`make_fairness_scorer` for its parameters."""

    metric: Any
    sensitive_feature_ids: Any = None
    pos_label: Any = None
    greater_is_better: bool = False
    response_method: str = "predict"
    binarize: bool = True
    _requests: dict = field(default_factory=dict, init=False)

    def __post_init__(self):
        validate_parameter_constraints(
            {
                "sensitive_feature_ids": [str, int, np.integer, "array-like", None],
                "greater_is_better": ["boolean"],
                "binarize": ["boolean"],
            },
            {
                name: getattr(self, name)
                for name in ("sensitive_feature_ids", "greater_is_better", "binarize")
            },
            caller_name="make_fairness_scorer",
        )
        if self.response_method not in RESPONSE_METHODS:
            raise ValueError(
                f"response_method must be one of {', '.join(map(repr, RESPONSE_METHODS))}, not "
                f"{shorten(self.response_method)}."
            )
        if not self.binarize and (self.pos_label is not None or self.response_method != "predict"):
            raise ValueError(
                "binarize=False passes labels to the metric unchanged, so that none is positive: "
                "leave pos_label=None and response_method='predict', or use binarize=True."
            )
        if not callable(self.metric):
            raise ValueError(
                "metric must be a function of (y_true, y_pred, *, sensitive_features), not "
                f"{shorten(self.metric)}."
            )
        try:
            signature(self.metric)
        except ValueError as error:
            raise ValueError(
                f"{_name(self.metric)} has no signature that says what it takes: wrap it in a "
                "function of (y_true, y_pred, *, sensitive_features)."
            ) from error
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
            Rows, including the columns of ``sensitive_feature_ids``.
        y_true : array-like of shape (n,)
            Their labels.
        sensitive_features : array-like of shape (n,) or (n, m), default=None
            The attribute, unless it is a column of X. It is passed to the metric, and to the
            estimator if that requests it.
        sample_weight : array-like of shape (n,), default=None
            Weights, passed to the metric; rows of weight 0 are left out.

        Returns
        -------
        float
            The metric, or minus the metric if ``greater_is_better`` is False.
        """
        y_true = check.check_column(y_true, "y_true")
        attribute = self._attribute(X, sensitive_features)
        codes, groups = check.index_groups(attribute, len(y_true), like="y_true")
        alias = self._requests.get("sensitive_features")
        y_pred = get_response(
            estimator,
            self.response_method,
            X,
            sensitive_features,
            alias if isinstance(alias, str) else None,
        )
        if self.binarize:
            y_true, y_pred, pos_label = binarize(
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
        if _accepts(self.metric, "sensitive_features"):
            self._warn_undefined(y_true, codes, groups, pos_label)
            arguments["sensitive_features"] = pd.Series(groups.to_numpy()[codes], dtype=object)
        value = self.metric(y_true, y_pred, **arguments)
        return self._signed(value, len(codes))

    def set_score_request(self, *, sensitive_features=UNCHANGED, sample_weight=UNCHANGED):
        """Set which metadata the scorer requests from scikit-learn's tools.

        Parameters
        ----------
        sensitive_features : bool, None or str, default=UNCHANGED
            As in scikit-learn; initially True unless the attribute is a column of X.
        sample_weight : bool, None or str, default=UNCHANGED
            Initially None if the metric takes weights: passing weights without a request is then
            an error.

        Returns
        -------
        FairnessScorer
            This scorer.

        Raises
        ------
        ValueError
            If the attribute is a column of X, or the metric takes no weights.
        """
        if sensitive_features is not UNCHANGED:
            if self.sensitive_feature_ids is not None and sensitive_features:
                raise ValueError(
                    f"{self!r} reads the attribute from X: do not request sensitive_features, or "
                    "make the scorer without sensitive_feature_ids."
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
        shown = [_name(self.metric)]
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
        """Return whether scikit-learn may pass weights; it asks when metadata routing is off."""
        return _accepts(self.metric, "sample_weight")

    def _check_takes_weights(self):
        if not self._accept_sample_weight():
            raise ValueError(
                f"{_name(self.metric)} takes no sample_weight: score without weights, or use a "
                "metric with this parameter."
            )

    def _attribute(self, X, sensitive_features):
        if self.sensitive_feature_ids is None:
            if sensitive_features is None:
                raise ValueError(
                    f"{self!r} needs the sensitive attribute of the rows: name its columns in X "
                    "by sensitive_feature_ids, or pass sensitive_features= (with metadata routing "
                    "on, as params={'sensitive_features': ...} to cross_validate or to fit of a "
                    "search)."
                )
            return sensitive_features
        if sensitive_features is not None:
            raise ValueError(
                "Pass the sensitive attribute either by sensitive_feature_ids of the scorer or as "
                "sensitive_features, not both."
            )
        table = check.check_table(X)
        positions = check.sensitive_positions(table, self.sensitive_feature_ids)
        return check.take_columns(table, positions)

    def _warn_undefined(self, y_true, codes, groups, pos_label):
        name = _name(self.metric)
        if np.all(codes == codes[0]):
            _warn(
                f"{name} compares groups, but all {len(codes)} scored rows are of the group "
                f"{groups[codes[0]]!r}: score more rows."
            )
        if not self.binarize:
            return
        for label, text in (1, f"label {pos_label!r}"), (0, f"another label than {pos_label!r}"):
            lacking = groups[np.unique(codes[~has_label(y_true, codes, label)[codes]])]
            if len(lacking):
                _warn(
                    f"There are no rows with {text} in group(s) {check.abbreviate(lacking)} among "
                    f"the {len(codes)} scored rows, so that {name} may be undefined (fairlearn "
                    "counts a rate without rows as 0, which can give a gap of 1): score more rows, "
                    "or stratify the folds by label and group."
                )

    def _signed(self, value, n_rows) -> float:
        if np.ndim(value) != 0 or not isinstance(value, Real | np.number | np.bool_):
            raise ValueError(
                f"{_name(self.metric)} returned a {type(value).__name__}, but a score must be a "
                "number: aggregate over groups, for instance with "
                "fairlearn.metrics.make_derived_metric(metric=..., transform='difference')."
            )
        if np.isnan(value):
            _warn(
                f"{_name(self.metric)} is NaN on the {n_rows} scored rows (a ratio is NaN if the "
                "rate of every group is 0): score more rows, or use the difference."
            )
        return float(value) if self.greater_is_better else -float(value)


def _accepts(metric, name) -> bool:
    """Return whether a metric has a parameter of this name or ``**kwargs``."""
    parameters = signature(metric).parameters.values()
    return any(p.name == name or p.kind is Parameter.VAR_KEYWORD for p in parameters)


def _name(metric) -> str:
    """Return the name of a metric for messages."""
    if isinstance(metric, partial):
        arguments = [f"{name}={value!r}" for name, value in metric.keywords.items()]
        return f"{_name(metric.func)}({', '.join(arguments)})"
    return getattr(metric, "__name__", type(metric).__name__)


def _warn(text):
    warnings.warn(text, UndefinedMetricWarning, stacklevel=4)
