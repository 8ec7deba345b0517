"""Where a classifier takes the weights of its rows."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn import config_context
from sklearn.utils.validation import has_fit_parameter

from fairsteer.exceptions import SteeringWarning


def fit_weighted(estimator, X, y, weights):
    """Fit a classifier, with the weights of its rows where they matter and it takes them.

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
        If weights differ and the classifier takes none.
    """
    parameters = {}
    if not np.allclose(weights, 1.0):
        name = weight_parameter(estimator)
        if name is not None:
            parameters[name] = weights
        elif not np.allclose(weights, weights[0]):
            warnings.warn(
                f"{type(estimator).__name__} takes no sample_weight in fit, so every row counts "
                "alike for it: the weights that make label and group independent, and any "
                "sample_weight given, do not reach it. Use a classifier that takes weights, or "
                "steering with priors='keep', which asks for none.",
                SteeringWarning,
                stacklevel=3,
            )
    # Where weights go is decided here: under routing every step would have to request them.
    with config_context(enable_metadata_routing=False):
        return estimator.fit(X, y, **parameters)


def weight_parameter(estimator):
    """Return the name under which ``fit`` takes the weights of rows, None if it takes none."""
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
