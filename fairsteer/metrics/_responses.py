"""What a fitted estimator answers to rows: asked with the attribute if it wants it, as 1 and 0."""

from __future__ import annotations

from inspect import signature

import numpy as np
from sklearn import get_config
from sklearn.utils.metadata_routing import MetadataRouter, get_routing_for_object

from fairsteer._validation import abbreviate, check_column

RESPONSE_METHODS = ("predict", "predict_proba", "decision_function")


def response(estimator, method, X, sensitive_features=None, alias=None):
    """Call a response method, with the attribute exactly if the estimator asks for it there.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    method : str
        One of `RESPONSE_METHODS`.
    X : array-like of shape (n, p)
        Rows.
    sensitive_features : array-like of shape (n,) or (n, m), default=None
        Their attribute, unless it stands in X.
    alias : str, default=None
        Another name under which steps of the estimator may ask for it.

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
            f"{type(estimator).__name__} has no {method}: choose another response_method for the "
            "scorer, or another estimator."
        ) from error
    if sensitive_features is None:
        return respond(X)
    names = _asked_for(estimator, method, {"sensitive_features", alias or "sensitive_features"})
    return respond(X, **dict.fromkeys(names, sensitive_features))


def _asked_for(estimator, method, names) -> set[str]:
    """Return the names under which a response method asks for the attribute.

    A router (a Pipeline) asks for what its steps request. Another estimator asks by an argument of
    its method, unless its request declines it; that covers fairlearn's ThresholdOptimizer, whose
    request is undecided.
    """
    named = "sensitive_features" in signature(getattr(estimator, method)).parameters
    try:
        routing = get_routing_for_object(estimator)
    except NotImplementedError:  # scikit-learn's sign of an estimator that routes nothing
        return set()
    if isinstance(routing, MetadataRouter):
        consumed = routing.consumes(method, names)
        if consumed and not named and not get_config()["enable_metadata_routing"]:
            raise ValueError(
                f"{type(estimator).__name__} routes the sensitive attribute to its steps in "
                f"{method}, but routing is off: score within "
                "sklearn.config_context(enable_metadata_routing=True), or set it by set_config."
            )
        return consumed
    declined = getattr(routing, method).requests.get("sensitive_features") is False
    return {"sensitive_features"} if named and not declined else set()


def binarized(estimator, y_true, y_pred, method, pos_label=None):
    """Give labels and predictions the form that rates need: 1 is the positive label.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    y_true : ndarray of shape (n,)
        Labels.
    y_pred : array-like of shape (n,) or (n, K)
        The response.
    method : str
        What it is the response of.
    pos_label : object, default=None
        The positive label; default the last of the estimator's.

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
        If the positive label is unknown or has no column of its own.
    """
    classes, pos_label = _labels(estimator, method, pos_label)
    if method == "predict":
        y_pred = (check_column(y_pred, "y_pred") == pos_label).astype(int)
    else:
        y_pred = _positive_scores(np.asarray(y_pred), classes, pos_label, method)
    return (y_true == pos_label).astype(int), y_pred, pos_label


def _labels(estimator, method, pos_label):
    """Return the estimator's labels, None if it does not tell them, and the positive one."""
    if not hasattr(estimator, "classes_"):
        if pos_label is None or method != "predict":
            raise ValueError(
                f"{type(estimator).__name__} has no classes_, so its positive label is unknown: "
                "give the scorer a pos_label (and response_method='predict'), or binarize=False "
                "if it is a regressor."
            )
        return None, pos_label
    classes = np.asarray(estimator.classes_).tolist()
    if pos_label is None:
        return classes, classes[-1]
    if pos_label not in classes:
        raise ValueError(
            f"pos_label={pos_label!r} is not among the labels of the fitted "
            f"{type(estimator).__name__}, which are {abbreviate(classes)}."
        )
    return classes, pos_label


def _positive_scores(scores, classes, pos_label, method):
    position = classes.index(pos_label)
    if scores.ndim == 1 and len(classes) == 2:
        return scores if position == 1 else -scores
    if scores.ndim != 2 or scores.shape[1] != len(classes):
        raise ValueError(
            f"{method} returned the shape {scores.shape} for {len(classes)} labels, so the "
            "positive label has no column: use a one-versus-rest decision function or "
            "response_method='predict_proba'."
        )
    return scores[:, position]
