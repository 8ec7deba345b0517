"""True positive rates of every label in every group, and the root mean square of their gaps."""

from __future__ import annotations

from collections.abc import Hashable
from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import Interval, validate_params

from fairsteer._validation import (
    check_column,
    check_predictions,
    check_true_labels,
    index_groups,
    sort_labels,
)
from fairsteer.core.solvers._options import make_generator
from fairsteer.metrics._gaps import RANDOM_STATE, name_gap, select_weighted


def tpr_by_label(
    y_true, y_pred, *, sensitive_features, sample_weight=None, labels=None
) -> pd.DataFrame:
    """Tabulate the true positive rate of every label in every group.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Labels and predictions, with any number of labels.
    sensitive_features : array-like of shape (n,) or (n, m), Series, DataFrame or mapping
        The sensitive attribute; several columns mean their intersection.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows. Only their ratios matter; a row of weight 0 is no row.
    labels : array-like of shape (K,), default=None
        Labels that may be predicted though ``y_true`` has no row of them.

    Returns
    -------
    DataFrame
        One row per label of ``y_true`` and one column per group (a MultiIndex for several sensitive
        columns) with the share of the rows of this label that are predicted correctly, NaN without
        rows; and a last column ``gap`` (``gap_`` if a group is named "gap"), the largest minus the
        smallest share, NaN if any is NaN.

    Raises
    ------
    ValueError
        If lengths differ, there are no rows, values are missing, labels are of several types, or
        predictions are no labels of ``y_true``, such as scores.

    Examples
    --------
    >>> y, group = ["x", "x", "y", "y", "z", "z"], ["a", "b"] * 3
    >>> tpr_by_label(y, ["x", "x", "y", "x", "z", "z"], sensitive_features=group)["gap"].to_dict()
    {'x': 0.0, 'y': 1.0, 'z': 0.0}
    """
    known, groups, hits, totals = _counts(y_true, y_pred, sensitive_features, sample_weight, labels)
    with np.errstate(invalid="ignore"):
        rates = hits / totals
    frame = pd.DataFrame(rates, index=pd.Index(known, name="label"), columns=groups)
    frame[name_gap(groups)] = np.ptp(rates, axis=1)
    return frame


def rms_tpr_gap(y_true, y_pred, *, sensitive_features, sample_weight=None, labels=None) -> float:
    """Return the root mean square over labels of the gaps of the true positive rate.

    Every label has the same weight, however rare. With two groups this is the usual measure for
    Bias in Bios (Ravfogel et al., 2020, "Null It Out", ACL); with more groups the gap of a label is
    its largest minus its smallest rate.

    Parameters
    ----------
    y_true, y_pred, sensitive_features, sample_weight, labels
        As in `tpr_by_label`.

    Returns
    -------
    float
        NaN if a group has no rows of some label.

    Examples
    --------
    >>> y, group = ["x", "x", "y", "y", "z", "z"], ["a", "b"] * 3
    >>> round(rms_tpr_gap(y, ["x", "x", "y", "x", "z", "z"], sensitive_features=group), 3)
    0.577
    """
    rates = tpr_by_label(
        y_true,
        y_pred,
        sensitive_features=sensitive_features,
        sample_weight=sample_weight,
        labels=labels,
    )
    return root_mean_square(rates.iloc[:, -1])


@validate_params(
    {
        "n_permutations": [Interval(Integral, 1, None, closed="left")],
        "random_state": RANDOM_STATE,
    },
    prefer_skip_nested_validation=True,
)
def rms_tpr_gap_floor(
    y_true,
    y_pred,
    *,
    sensitive_features,
    sample_weight=None,
    labels=None,
    n_permutations: int = 200,
    random_state=0,
) -> float:
    """Return the `rms_tpr_gap` that occurs by chance alone on these rows.

    Parameters
    ----------
    y_true, y_pred, sensitive_features, labels
        As in `tpr_by_label`.
    sample_weight : array-like of shape (n,), default=None
        A row of weight 0 is no row. Otherwise the floor does not depend on weights: it counts rows,
        because chance depends on their number.
    n_permutations : int, default=200
        Number of permutations of the groups within every label, at least 1.
    random_state : int, RandomState, Generator or None, default=0
        Seed of the permutations.

    Returns
    -------
    float
        The mean over permutations; NaN if a group has no rows of some label.

    Notes
    -----
    As for `noise_floor`, permutations are drawn from the multivariate hypergeometric distribution
    of the numbers of correct predictions.
    """
    _, _, hits, totals = _counts(
        y_true, y_pred, sensitive_features, sample_weight, labels, weighted=False
    )
    if not totals.all():
        return float("nan")
    rng = make_generator(random_state)
    drawn = np.stack(
        [
            rng.multivariate_hypergeometric(sizes, correct, size=n_permutations)
            for sizes, correct in zip(totals, hits.sum(axis=1), strict=True)
        ],
        axis=1,
    )
    return float(np.sqrt(np.mean(np.ptp(drawn / totals, axis=2) ** 2, axis=1)).mean())


def root_mean_square(spread) -> float:
    """Return the root mean square of numbers, NaN if any is NaN."""
    return float(np.sqrt(np.mean(np.square(np.asarray(spread)))))


def _counts(y_true, y_pred, sensitive_features, sample_weight, labels, weighted=True):
    """Return labels, groups, and the numbers of correct rows and of all rows for both."""
    y_true, (y_pred,) = check_labeled(y_true, {"y_pred": y_pred}, labels)[:2]
    codes, groups = index_groups(sensitive_features, len(y_true), like="y_true")
    weights, codes, groups, (y_true, correct) = select_weighted(
        sample_weight, codes, groups, [y_true, y_true == y_pred]
    )
    known, places = np.unique(y_true, return_inverse=True)
    shape = (len(known), len(groups))
    subgroups = places * shape[1] + codes

    def count(rows):
        own = weights[rows] if weighted and weights is not None else None
        return np.bincount(subgroups[rows], own, minlength=shape[0] * shape[1]).reshape(shape)

    return known, groups, count(correct), count(np.ones(len(codes), dtype=bool))


def check_labeled(y_true, predictions, labels, pos_label=None):
    """Return true labels and predictions that are all labels.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Labels.
    predictions : dict of str to array-like of shape (n,)
        Predictions by the name of the argument.
    labels : array-like or None
        Further labels that may be predicted.
    pos_label : object, default=None
        Another one.

    Returns
    -------
    y_true : ndarray of shape (n,)
    predictions : list of ndarray of shape (n,)
    labels : ndarray
        All labels that occur or are given, sorted.

    Raises
    ------
    ValueError
        If values are missing, lengths differ, or a prediction is no label.
    """
    y_true = check_true_labels(y_true)
    columns = {name: check_column(y, name, len(y_true)) for name, y in predictions.items()}
    given = [] if labels is None else [check_column(labels, "labels")]
    known = sort_labels(y_true, *given, names="y_true and labels")
    allowed = known.tolist()
    if pos_label is not None and isinstance(pos_label, Hashable):
        allowed.append(pos_label)
    for name, column in columns.items():
        check_predictions(column, allowed, name)
    found = [*columns.values(), *given]
    return y_true, list(columns.values()), sort_labels(y_true, *found, names="y_true and y_pred")
