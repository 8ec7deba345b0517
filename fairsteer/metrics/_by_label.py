"""True positive rates of every label in every group, and the root mean square of their gaps."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.utils import check_scalar

from fairsteer._validation import check_column, index_groups, sort_labels


def tpr_by_label(y_true, y_pred, *, sensitive_features) -> pd.DataFrame:
    """Tabulate the true positive rate of every label in every group.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Labels and predictions, with any number of labels.
    sensitive_features : array-like of shape (n,) or (n, m), Series, DataFrame or mapping
        The sensitive attribute; several columns mean their intersection.

    Returns
    -------
    DataFrame
        One row per label of ``y_true`` and one column per group (a MultiIndex for several sensitive
        columns) with the share of the rows of this label that are predicted correctly, NaN without
        rows; and a column ``gap``, the largest minus the smallest share, NaN if any is NaN.

    Raises
    ------
    ValueError
        If lengths differ, there are no rows, values are missing, labels are of several types, or a
        group is named "gap".

    Examples
    --------
    >>> y, group = ["x", "x", "y", "y", "z", "z"], ["a", "b"] * 3
    >>> tpr_by_label(y, ["x", "x", "y", "x", "z", "z"], sensitive_features=group)["gap"].to_dict()
    {'x': 0.0, 'y': 1.0, 'z': 0.0}
    """
    labels, groups, hits, totals = _counts(y_true, y_pred, sensitive_features)
    gap = ("gap", *[""] * (groups.nlevels - 1)) if groups.nlevels > 1 else "gap"
    if gap in groups:
        raise ValueError(
            "A group of sensitive_features is named 'gap', like the column of gaps: rename it."
        )
    with np.errstate(invalid="ignore"):
        rates = hits / totals
    frame = pd.DataFrame(rates, index=pd.Index(labels, name="label"), columns=groups)
    frame[gap] = np.ptp(rates, axis=1)
    return frame


def rms_tpr_gap(y_true, y_pred, *, sensitive_features) -> float:
    """Return the root mean square over labels of the gaps of the true positive rate.

    Every label has the same weight, however rare. With two groups this is the usual measure for
    Bias in Bios (Ravfogel et al., 2020, "Null It Out", ACL); with more groups the gap of a label is
    its largest minus its smallest rate.

    Parameters
    ----------
    y_true, y_pred, sensitive_features
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
    return root_mean_square(
        tpr_by_label(y_true, y_pred, sensitive_features=sensitive_features)["gap"]
    )


def rms_tpr_gap_floor(
    y_true, y_pred, *, sensitive_features, n_permutations: int = 200, random_state=0
) -> float:
    """Return the `rms_tpr_gap` that occurs by chance alone on these rows.

    Parameters
    ----------
    y_true, y_pred, sensitive_features
        As in `tpr_by_label`.
    n_permutations : int, default=200
        Number of permutations of the groups within every label, at least 1.
    random_state : int, Generator or None, default=0
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
    check_scalar(n_permutations, "n_permutations", Integral, min_val=1)
    _, _, hits, totals = _counts(y_true, y_pred, sensitive_features)
    if not totals.all():
        return float("nan")
    rng = np.random.default_rng(random_state)
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


def _counts(y_true, y_pred, sensitive_features):
    """Return labels, groups, and the numbers of correct rows and of all rows for both."""
    y_true = check_column(y_true, "y_true")
    y_pred = check_column(y_pred, "y_pred", len(y_true))
    codes, groups = index_groups(sensitive_features, len(y_true), like="y_true")
    sort_labels(y_true, y_pred, names="y_true and y_pred")
    labels, places = np.unique(y_true, return_inverse=True)
    shape = (len(labels), len(groups))
    subgroups = places * shape[1] + codes
    totals = np.bincount(subgroups, minlength=shape[0] * shape[1]).reshape(shape)
    correct = y_true == y_pred
    hits = np.bincount(subgroups[correct], minlength=shape[0] * shape[1]).reshape(shape)
    return labels, groups, hits, totals
