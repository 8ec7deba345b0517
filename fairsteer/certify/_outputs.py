"""What a model gives out: a finite output, a score, or decisions."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from fairsteer import _validation as check

SCOPES = ("auto", "any_classifier", "any_threshold", "model")


class Output(NamedTuple):
    """The output of a model for the certification rows.

    Parameters
    ----------
    scope : {"any_classifier", "any_threshold", "model"}
        The widest that applies, or the one that was asked for.
    values : ndarray of shape (n,)
        Outputs, scores or predictions.
    classes : ndarray or None
        Labels of a classifier.
    """

    scope: str
    values: np.ndarray
    classes: np.ndarray | None = None


def is_model(model) -> bool:
    """Return whether an argument is an estimator rather than an array of its output."""
    # Series have a method transform, too.
    return hasattr(model, "fit") or hasattr(model, "predict")


def read_array(values, scope, named) -> Output:
    """Return an array of bins, scores or predictions as an output.

    ``named`` is whether the values are known to be labels.
    """
    values = check.check_column(values, "model", np.shape(values)[0] if np.ndim(values) else 0)
    if scope == "auto":
        fractional = values.dtype.kind == "f" and np.any(values != np.floor(values))
        scope = "any_threshold" if fractional else "model"
        n_values = len(pd.unique(values))
        if scope == "model" and n_values > 2 and not named:
            raise ValueError(
                f"The array has {n_values} distinct values, which may be bins, scores or labels: "
                "pass scope='any_classifier' or 'any_threshold', or the pos_label of predictions."
            )
    if scope == "any_threshold":
        values = check.check_numbers(values[:, None])[:, 0].astype(np.float64)
    return Output(scope, values)


def read_model(model, X, scope, pos_label, sensitive_features, row_ids, random_state) -> Output:
    """Run a fitted model on rows and return its output.

    Raises
    ------
    ValueError
        If the rows are the table of fit, the scope does not apply, or draws depend on other rows.
    """
    check_is_fitted(model)
    refuse_training_table(model, X)
    for part in parts(model):
        if row_ids is None and getattr(part, "_draws_by_occurrence", False):
            raise ValueError(
                f"{type(part).__name__} gives the k-th of identical rows of a call the k-th draw, "
                "so its output depends on the other rows of the call, and a certificate would not "
                "hold for rows that come one by one: pass row_ids=, here and in deployment."
            )
    given = {"sensitive_features": sensitive_features, "row_ids": row_ids}
    finite = finite_part(model)
    if scope in ("auto", "any_classifier") and finite is not None:
        values = np.asarray(run(finite.transform, finite, X, given))
        return Output("any_classifier", _number_rows(values), getattr(model, "classes_", None))
    if scope == "any_classifier":
        raise ValueError(
            "scope='any_classifier' needs a finite output, which this "
            f"{type(model).__name__} does not have: end the steering with "
            "ScoreSteering(output='bins') or with fairsteer.estimators.TreeBins."
        )
    if not hasattr(model, "predict"):
        values = np.asarray(run(model.transform, model, X, given))
        if scope == "model" or values.ndim != 2 or values.shape[1] != 1:
            raise ValueError(
                f"This {type(model).__name__} returns {values.shape[-1]} column(s) and no "
                "decisions, so no scope applies: add a classifier (scope='model'), or "
                "fairsteer.estimators.TreeBins, which makes the output finite."
            )
        return Output("any_threshold", values[:, 0].astype(np.float64))
    classes = getattr(model, "classes_", None)
    if scope == "any_threshold":
        return Output(scope, _scores(model, X, given, classes, pos_label), classes)
    given["random_state"] = random_state
    return Output("model", np.asarray(run(model.predict, model, X, given)), classes)


def _scores(model, X, given, classes, pos_label):
    """Return the probability of the positive label, or the decision function."""
    if hasattr(model, "predict_proba"):
        values = np.asarray(run(model.predict_proba, model, X, given))
        found = np.flatnonzero(np.asarray(classes) == pos_label) if pos_label is not None else [-1]
        if len(found) != 1:
            raise ValueError(f"pos_label={pos_label!r} is not among the labels of the model.")
        return values[:, found[0]]
    if hasattr(model, "decision_function"):
        values = np.asarray(run(model.decision_function, model, X, given))
        if values.ndim == 1:
            return values
    raise ValueError(
        f"scope='any_threshold' needs one score per row, which this {type(model).__name__} does "
        "not have: use scope='model'."
    )


def run(method, model, X, given):
    """Call a method with what it takes of the attribute, identifiers and a seed."""
    taken = signature(method).parameters
    steps = parts(model)
    anything = any(p.kind is Parameter.VAR_KEYWORD for p in taken.values())

    def takes(name):
        if name in taken:
            return True
        return anything and any(
            name in signature(getattr(step, own)).parameters
            for step in steps
            for own in ("transform", "predict")
            if hasattr(step, own) and step is not model
        )

    arguments = {name: value for name, value in given.items() if value is not None and takes(name)}
    if not any(_needs_attribute(step) for step in steps):
        arguments.pop("sensitive_features", None)
    return method(X, **arguments)


def _needs_attribute(part) -> bool:
    """Return whether the attribute of rows is passed, rather than a column of X or inferred."""
    if getattr(part, "sensitive_feature_ids", None) is not None:
        return False
    if getattr(part, "group_strategy", "given") == "posterior":
        return False
    return any(
        "sensitive_features" in signature(getattr(part, name)).parameters
        for name in ("transform", "predict")
        if hasattr(part, name) and not isinstance(part, Pipeline)
    )


def parts(model) -> list:
    """Return a model, its steps and the models within these."""
    found = [model]
    if hasattr(model, "best_candidate_"):
        # SteeredClassifierCV passes the attribute and the draws of rows to its parts itself.
        return found
    if isinstance(model, Pipeline):
        for _, step in model.steps:
            found += parts(step) if step not in (None, "passthrough") else []
    for _, member, *_ in getattr(model, "transformers_", ()):
        found += parts(member) if hasattr(member, "fit") else []
    for name in ("steering_", "estimator_", "best_estimator_"):
        inner = getattr(model, name, None)
        if inner is not None and hasattr(inner, "fit"):
            found += parts(inner)
    return found


def finite_part(model):
    """Return the part of a model whose finite output is all that the rest sees, None without."""
    if isinstance(model, Pipeline):
        for k in range(len(model.steps), 0, -1):
            step = model.steps[k - 1][1]
            if hasattr(step, "transform") and getattr(step, "n_outputs_", None) is not None:
                return model[:k]
        return None
    finite = hasattr(model, "transform") and getattr(model, "n_outputs_", None) is not None
    return model if finite else None


def sensitive_ids(model):
    """Return the columns of X that a model reads the attribute from, None if it is passed."""
    for part in parts(model):
        ids = getattr(part, "sensitive_feature_ids", None)
        if ids is not None:
            return ids
    return None


def refuse_training_table(model, X) -> None:
    """Raise ValueError if a part of the model was fitted to these very rows."""
    if isinstance(model, Pipeline):
        for k, (_, step) in enumerate(model.steps):
            if any(hasattr(part, "training_digest_") for part in parts(step)):
                refuse_training_table(step, model[:k].transform(X) if k else X)
                return
    digests = {getattr(part, "training_digest_", None) for part in parts(model)} - {None}
    if digests and check.digest_table(X) in digests:
        raise ValueError(
            "X is the table that the model was fitted to, and a certificate needs rows that had no "
            "part in any choice: set rows aside before the fit."
        )


def _number_rows(values):
    """Return the position of each row (n, m) among the distinct rows, shape (n,)."""
    values = values.reshape(len(values), -1)
    if values.shape[1] == 1:
        return pd.factorize(values[:, 0])[0]
    return np.unique(values, axis=0, return_inverse=True)[1].reshape(-1)
