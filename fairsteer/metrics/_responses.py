"""Responses of fitted estimators for scorers: the attribute where requested, labels as 1 and 0."""

from __future__ import annotations

from inspect import signature

import numpy as np
from sklearn import get_config
from sklearn.utils.metadata_routing import MetadataRouter, get_routing_for_object

from fairsteer._validation import (
    abbreviate,
    check_column,
    check_predictions,
    check_true_labels,
    refuse_scores,
    sort_labels,
)
from fairsteer.core.messages import shorten
from fairsteer.core.moments import find_value

RESPONSE_METHODS = ("predict", "predict_proba", "decision_function")


def get_response(estimator, method, X, sensitive_features=None, alias=None):
    """Call a response method, with the attribute if and only if the estimator requests it.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    method : str
        One of `RESPONSE_METHODS`.
    X : array-like of shape (n, p)
        Rows.
    sensitive_features : array-like of shape (n,) or (n, m), default=None
        Their attribute, unless it is a column of X.
    alias : str, default=None
        Another name under which steps of the estimator may request it.

    Returns
    -------
    array-like
        The response.

    Raises
    ------
    AttributeError
        If the estimator lacks the method.
    ValueError
        If the estimator routes the attribute, but metadata routing is off.
    """
    try:
        respond = getattr(estimator, method)
    except AttributeError as error:
        raise AttributeError(
            f"{type(estimator).__name__} has no {method}: use another response_method for the "
            "scorer, or another estimator."
        ) from error
    if sensitive_features is None:
        return respond(X)
    names = _requested(estimator, method, {"sensitive_features", alias or "sensitive_features"})
    return respond(X, **dict.fromkeys(names, sensitive_features))


def _requested(estimator, method, names) -> set[str]:
    """Return the names under which a response method requests the attribute.

    A router such as a Pipeline requests what its steps request. Any other estimator requests the
    attribute if its method has this parameter, unless its metadata request is False. This includes
    fairlearn's ThresholdOptimizer, whose metadata request is not set.
    """
    named = "sensitive_features" in signature(getattr(estimator, method)).parameters
    try:
        routing = get_routing_for_object(estimator)
    except NotImplementedError:  # raised by estimators without metadata routing
        return set()
    if isinstance(routing, MetadataRouter):
        consumed = routing.consumes(method, names)
        if consumed and not named and not get_config()["enable_metadata_routing"]:
            raise ValueError(
                f"{type(estimator).__name__} routes sensitive_features to its steps in {method}, "
                "but metadata routing is off: score within "
                "sklearn.config_context(enable_metadata_routing=True), or call sklearn.set_config."
            )
        return consumed
    declined = getattr(routing, method).requests.get("sensitive_features") is False
    return {"sensitive_features"} if named and not declined else set()


def binarize(estimator, y_true, y_pred, method, pos_label=None):
    """Convert labels and responses to 1 for the positive label and 0 for every other label.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    y_true : ndarray of shape (n,)
        Labels.
    y_pred : array-like of shape (n,) or (n, K)
        The response.
    method : str
        The method that returned it.
    pos_label : object, default=None
        The positive label; default the last of the estimator's ``classes_``.

    Returns
    -------
    y_true : ndarray of int of shape (n,)
        1 or 0.
    y_pred : ndarray of shape (n,)
        1 or 0, or the score of the positive label.
    pos_label : object
        The positive label.

    Raises
    ------
    ValueError
        If the positive label is unknown, ``predict`` returned scores or other values than labels,
        or the response has no column for the positive label or another length.
    """
    classes, pos_label = _resolve_labels(estimator, method, pos_label)
    y_true = check_true_labels(y_true)
    if method == "predict":
        y_pred = check_column(y_pred, "y_pred", len(y_true))
        if classes is None:
            refuse_scores(y_pred)
        else:
            # A fold may lack a label that the estimator knows.
            check_predictions(y_pred, _merge_labels(y_true, classes))
        y_pred = (y_pred == pos_label).astype(int)
    else:
        scores = _positive_scores(np.asarray(y_pred), classes, pos_label, method)
        y_pred = check_column(scores, "y_pred", len(y_true))
    return (y_true == pos_label).astype(int), y_pred, pos_label


def _merge_labels(y_true, classes) -> list:
    return sort_labels(y_true, np.array(classes, object), names="y_true and classes_").tolist()


def _resolve_labels(estimator, method, pos_label):
    """Return the estimator's labels, None if it has no ``classes_``, and the positive label."""
    if not hasattr(estimator, "classes_"):
        if pos_label is None or method != "predict":
            raise ValueError(
                f"{type(estimator).__name__} has no classes_, so its positive label is unknown: "
                "set pos_label (and response_method='predict') of the scorer, or binarize=False "
                "for a regressor."
            )
        return None, pos_label
    classes = np.asarray(estimator.classes_).tolist()
    if pos_label is None:
        return classes, classes[-1]
    if find_value(pos_label, classes) is None:
        raise ValueError(
            f"pos_label={shorten(pos_label)} is not among the labels of the fitted "
            f"{type(estimator).__name__}, which are {abbreviate(classes)}."
        )
    return classes, pos_label


def _positive_scores(scores, classes, pos_label, method):
    position = classes.index(pos_label)
    if scores.ndim == 1 and len(classes) == 2:
        return scores if position == 1 else -scores
    if scores.ndim != 2 or scores.shape[1] != len(classes):
        raise ValueError(
            f"{method} returned the shape {scores.shape} for {len(classes)} labels, without a "
            "column for the positive label: use a one-versus-rest decision function or "
            "response_method='predict_proba'."
        )
    return scores[:, position]
