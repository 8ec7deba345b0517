"""Scores of rows that the model was not fitted on, and the model of all rows."""

from __future__ import annotations

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone, is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import StratifiedKFold, check_cv

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
    if is_classifier(estimator) and len(np.unique(y[kept])) == 1:
        # The only rows of a label are held out.
        estimator = DummyClassifier(strategy="prior")
    model = fit_weighted(clone(estimator), X[kept], y[kept], weights[kept])
    return (None, score(model, X[held_out])) if len(held_out) else (model, None)


def split_strata(n_splits, y, groups, n_labels, random_state):
    """Return folds that have the same share of every label and group, where rows suffice.

    Parameters
    ----------
    n_splits : int
        Number of folds; fewer where a label has fewer rows.
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
    """
    strata = np.zeros(len(y), dtype=np.intp)
    if n_labels is not None:
        n_splits = max(2, min(n_splits, int(np.bincount(y, minlength=n_labels).min())))
        # Small subgroups of a label are split together.
        subgroups = y + n_labels * (1 + groups)
        found = np.where(_counts(subgroups) < n_splits, y, subgroups)
        found = np.where(_counts(found) < n_splits, y, found)
        strata = found if _counts(found).min() >= n_splits else strata
    n_splits = min(n_splits, len(y))
    folds = StratifiedKFold(n_splits, shuffle=True, random_state=random_state)
    return list(folds.split(strata, strata))


def given_splits(cv, X, y, present):
    """Return the folds of a user's own generator, as positions among the rows that are present.

    Parameters
    ----------
    cv : cross-validation generator or iterable
        How to split all rows.
    X, y : array-like of shape (n, d) and (n,)
        All rows.
    present : ndarray of int
        Positions of the rows of positive weight.

    Returns
    -------
    list of (ndarray, ndarray)

    Raises
    ------
    ValueError
        If a row is not held out exactly once.
    """
    place = np.full(len(X), -1)
    place[present] = np.arange(len(present))
    splits = []
    for kept, held_out in check_cv(cv).split(X, y):
        kept, held_out = place[kept], place[held_out]
        splits.append((kept[kept >= 0], held_out[held_out >= 0]))
    every = np.concatenate([held_out for _, held_out in splits])
    if not np.array_equal(np.sort(every), np.arange(len(present))):
        raise ValueError(
            "cv must hold out every row exactly once, as KFold does, because each row gets the "
            "score of a model that was not fitted on it."
        )
    return splits


def _counts(values):
    """Return how many rows have the value of each row."""
    _, positions, counts = np.unique(values, return_inverse=True, return_counts=True)
    return counts[positions]
