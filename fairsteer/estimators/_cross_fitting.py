"""Scores of rows that the model was not fitted on, and the model of all rows."""

from __future__ import annotations

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import KFold, StratifiedKFold, check_cv

from fairsteer.estimators._classifier import fit_weighted


def cross_fit(estimator, X, y, weights, splits, score, n_jobs=None):
    """Return scores of all rows, each by a model of other rows, and the model of all rows.

    Parameters
    ----------
    estimator : classifier or regressor
        Unfitted; it is cloned.
    X : ndarray of shape (n, d)
        Features.
    y : ndarray of shape (n,)
        Labels or, for a regressor, numbers.
    weights : ndarray of shape (n,)
        Weights of the rows.
    splits : list of (ndarray, ndarray)
        Positions of the rows to fit on and of those to score, which together are all rows.
    score : callable
        From a fitted model and features to scores of shape (n,) or (n, m).
    n_jobs : int, default=None
        As in joblib.

    Returns
    -------
    scores : ndarray of shape (n,) or (n, m)
    estimator : classifier or regressor
        Fitted to all rows.
    """
    everything = np.arange(len(X))
    parts = [*splits, (everything, everything[:0])]
    parallel = Parallel(n_jobs=n_jobs)
    fitted = parallel(delayed(_fit_part)(estimator, X, y, weights, *part, score) for part in parts)
    model = fitted.pop()[0]
    scores = np.empty((len(X), *fitted[0][1].shape[1:]))
    for (_, held_out), (_, own) in zip(splits, fitted, strict=True):
        scores[held_out] = own
    return scores, model


def _fit_part(estimator, X, y, weights, kept, held_out, score):
    model = fit_weighted(clone(estimator), X[kept], y[kept], weights[kept])
    return (None, score(model, X[held_out])) if len(held_out) else (model, None)


def split_strata(cv, X, y, groups, n_labels, random_state):
    """Return folds that have the same share of every label and group, where rows suffice.

    Parameters
    ----------
    cv : int or cross-validation generator
        Number of folds, or how to split.
    X : ndarray of shape (n, d)
        Features; only a generator of the user's own may look at them.
    y : ndarray of shape (n,)
        Positions of labels or, if ``n_labels`` is None, numbers.
    groups : ndarray of shape (n,)
        Positions of groups.
    n_labels : int or None
        Number of labels; None for numbers.
    random_state : int
        Seed of the folds.

    Returns
    -------
    list of (ndarray, ndarray)

    Raises
    ------
    ValueError
        If a label has a single row, or the generator leaves rows out or repeats them.
    """
    if not isinstance(cv, int | np.integer):
        splits = list(check_cv(cv).split(X, y, groups))
        held_out = np.concatenate([own for _, own in splits])
        if not np.array_equal(np.sort(held_out), np.arange(len(X))):
            raise ValueError(
                f"cv={cv!r} must hold out every row exactly once, as KFold does, because each row "
                "gets the score of a model that was not fitted on it."
            )
        return splits
    if n_labels is None:
        n_splits = min(cv, len(X))
        return list(KFold(n_splits, shuffle=True, random_state=random_state).split(X))
    n_splits = min(cv, int(np.bincount(y, minlength=n_labels).min()))
    strata = groups * n_labels + y
    few = np.bincount(strata)[strata] < n_splits
    strata[few] = -1 - y[few]
    # Stratification over labels alone leaves no fold without a label.
    rare = np.bincount(strata + n_labels)[strata + n_labels] < n_splits
    strata = y if rare.any() else strata
    folds = StratifiedKFold(n_splits, shuffle=True, random_state=random_state)
    return list(folds.split(X, strata))
