"""Rates and gaps of a classifier by group, before and after an intervention; leveling down.

The gaps are those of fairlearn, except that a gap that depends on a missing subgroup is NaN.
"""

from __future__ import annotations

import warnings
from numbers import Real

import numpy as np
import pandas as pd
from fairlearn.metrics import false_positive_rate, selection_rate, true_positive_rate
from sklearn.metrics import accuracy_score
from sklearn.utils._param_validation import Interval, validate_params

from fairsteer._validation import abbreviate, index_groups
from fairsteer.core.messages import shorten
from fairsteer.core.moments import find_value
from fairsteer.metrics._by_label import check_labeled, root_mean_square, tpr_by_label
from fairsteer.metrics._gaps import (
    fairness_gaps,
    has_label,
    measure_rates,
    name_gap,
    select_weighted,
)

RATES = ("selection_rate", "tpr", "fpr", "accuracy")
BENEFICIAL_RATES = ("selection_rate", "tpr")
_TOLERANCE = {"tolerance": [Interval(Real, 0, None, closed="left")]}


@validate_params(_TOLERANCE, prefer_skip_nested_validation=True)
def fairness_report(
    y_true,
    y_pred,
    *,
    sensitive_features,
    sample_weight=None,
    y_pred_before=None,
    pos_label=None,
    labels=None,
    tolerance: float = 0.01,
) -> pd.DataFrame:
    """Tabulate the rates of a classifier by group, and who loses when a gap is closed.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Labels and predictions. With more than two labels the rates are those of ``pos_label``
        against the rest; accuracy counts every label.
    sensitive_features : array-like of shape (n,) or (n, m), Series, DataFrame or mapping
        The sensitive attribute; several columns mean their intersection.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows for rates and gaps. Only their ratios matter; a row of weight 0 is no
        row. The column ``rows``, and leveling down where it asks for more than one row, count rows.
    y_pred_before : array-like of shape (n,), optional
        Predictions before an intervention; ``y_pred`` are then those after it.
    pos_label : label, optional
        The favorable label; default the last of the sorted labels.
    labels : array-like of shape (K,), optional
        Labels that may be predicted though ``y_true`` has no row of them.
    tolerance : float, default=0.01
        Changes of a rate up to this size do not count as changes for leveling down.

    Returns
    -------
    DataFrame
        One row per group (a MultiIndex for several sensitive columns) with the columns ``rows``,
        ``selection_rate``, ``tpr``, ``fpr`` and ``accuracy``, then a last row ``gap`` (``gap_`` if
        a group is named "gap") with the number of all rows, and the largest minus the smallest
        value of each rate: for the selection rate the demographic parity gap, for TPR the equal
        opportunity gap, and the larger one of TPR and FPR is the equalized odds gap.

        With ``y_pred_before`` every rate has two columns, ``(rate, "before")`` and ``(rate,
        "after")``, and the column ``leveling_down`` flags the groups that lost by leveling down
        (see Notes); in the row ``gap`` it is True if any group is flagged.

        ``.attrs["gaps"]`` has the three gaps of `fairness_gaps`, ``.attrs["tpr_gaps"]`` the gap of
        the true positive rate of every label, ``.attrs["rms_tpr_gap"]`` their root mean square
        (see `tpr_by_label`, `rms_tpr_gap`). They are NaN if a group has no rows of a label. With
        ``y_pred_before`` each is a dict with the keys ``before`` and ``after``, and
        ``.attrs["leveling_down"]`` has the flagged groups of each rate.

    Raises
    ------
    ValueError
        If values are missing, lengths differ, labels are of several types, predictions are no
        labels of ``y_true``, such as scores, or ``pos_label`` is not among the labels.

    Warns
    -----
    UserWarning
        If a rate is undefined because a group has no rows of a label: the rate and the gaps that
        depend on it are NaN (fairlearn's functions count it as 0). The message names the groups.

    Notes
    -----
    A rate that benefits those who receive it (selection rate and TPR) is leveled down if its gap
    shrank and no rate rose, but the rate of a group fell, each by more than ``tolerance``: the gap
    was closed at the expense of some groups and to the benefit of none. The groups whose rate fell
    are flagged if the fall is also larger than one row of the rate's denominator (all rows of the
    group for the selection rate, those with ``pos_label`` for TPR), because a single row of a small
    group changes a rate by more than any tolerance. FPR and accuracy are never flagged: neither is
    a benefit that one of the three constraints equalizes.

    Examples
    --------
    >>> y, group = [1, 1, 1, 1, 0] * 2, ["a"] * 5 + ["b"] * 5
    >>> report = fairness_report(y, [1, 0, 0, 0, 0] * 2, sensitive_features=group,
    ...                          y_pred_before=[1, 1, 1, 0, 0] + [1, 0, 0, 0, 0])
    >>> report["tpr"]
         before  after
    a      0.75   0.25
    b      0.25   0.25
    gap    0.50   0.00
    >>> report["leveling_down"].to_dict()
    {'a': True, 'b': False, 'gap': True}
    """
    given = {"y_pred_before": y_pred_before, "y_pred": y_pred}
    if y_pred_before is None:
        del given["y_pred_before"]
    y_true, columns, labels = check_labeled(y_true, given, labels, pos_label)
    pos_label = _positive_label(pos_label, labels)
    codes, index = index_groups(sensitive_features, len(y_true), like="y_true")
    weights, codes, index, (y_true, *columns) = select_weighted(
        sample_weight, codes, index, [y_true, *columns]
    )
    predictions = dict(zip(("before", "after")[-len(columns) :], columns, strict=True))

    positive = (y_true == pos_label).astype(int)
    _warn_undefined(positive, codes, index, pos_label)
    rates, measured, by_label = {}, {}, {}
    rows = {"sensitive_features": codes, "sample_weight": weights}
    for when, y in predictions.items():
        predicted = (y == pos_label).astype(int)
        rates[when] = _rates_by_group(positive, predicted, y_true == y, codes, index, weights)
        measured[when] = fairness_gaps(positive, predicted, **rows)
        by_label[when] = tpr_by_label(y_true, y, **rows, labels=labels)["gap"]

    attributes = {
        "gaps": measured,
        "tpr_gaps": {when: spread.to_dict() for when, spread in by_label.items()},
        "rms_tpr_gap": {when: root_mean_square(spread) for when, spread in by_label.items()},
    }
    if y_pred_before is None:
        report = _with_gap_row(rates["after"])
        report.attrs.update({name: values["after"] for name, values in attributes.items()})
        return report
    denominators = count_denominators(positive, codes, index)
    flags = leveling_down(rates["before"], rates["after"], denominators, tolerance=tolerance)
    report = _before_after(rates["before"], rates["after"], flags)
    report.attrs.update(attributes)
    return report


def count_denominators(positive, codes, index) -> pd.DataFrame:
    """Count the rows in the denominators of the rates that benefit a group.

    Parameters
    ----------
    positive : array-like of shape (n,)
        1 for the favorable label, else 0.
    codes : ndarray of int of shape (n,)
        The position of every row's group in ``index``.
    index : Index
        The groups.

    Returns
    -------
    DataFrame
        One row per group: ``selection_rate`` counts all of its rows, ``tpr`` those with the
        favorable label.
    """
    counts = np.bincount(codes), np.bincount(codes, weights=positive).astype(int)
    return pd.DataFrame(dict(zip(BENEFICIAL_RATES, counts, strict=True)), index=index)


@validate_params(_TOLERANCE, prefer_skip_nested_validation=True)
def leveling_down(
    before: pd.DataFrame, after: pd.DataFrame, rows: pd.DataFrame, *, tolerance: float = 0.01
) -> pd.DataFrame:
    """Flag the groups whose rate fell when a gap was closed and the rate of no group rose.

    Parameters
    ----------
    before, after : DataFrame
        One row per group, with the columns ``selection_rate`` and ``tpr``.
    rows : DataFrame
        The numbers of rows in the denominators of these rates, in the same layout.
    tolerance : float, default=0.01
        Changes up to this size do not count, nor does the fall of a rate by a single row.

    Returns
    -------
    DataFrame of bool
        One row per group, the columns ``selection_rate`` and ``tpr``.

    Raises
    ------
    ValueError
        If an argument has other columns or groups, or ``tolerance`` is negative.
    """
    names = list(BENEFICIAL_RATES)
    for name, frame in {"before": before, "after": after, "rows": rows}.items():
        if not isinstance(frame, pd.DataFrame) or not set(names) <= set(frame.columns):
            raise ValueError(
                f"{name} must be a DataFrame with the columns 'selection_rate' and 'tpr'."
            )
        if not frame.index.equals(before.index):
            raise ValueError(f"{name} must have the same groups as before, in the same order.")
    before, after = before[names], after[names]
    change = after - before
    gap_change = (after.max() - after.min()) - (before.max() - before.min())
    closed = (gap_change < -tolerance) & ~(change > tolerance).any()
    # Rates are quotients: due to rounding, one lost row of 49 can exceed 1.
    lost = -change * rows[names] > 1 + 1e-6
    return (change < -tolerance) & lost & closed


def _before_after(before, after, flags) -> pd.DataFrame:
    frames = {"before": _with_gap_row(before), "after": _with_gap_row(after)}
    report = pd.DataFrame({("rows", ""): frames["after"]["rows"]})
    for rate in RATES:
        for when, frame in frames.items():
            report[(rate, when)] = frame[rate]
    hit = flags.any(axis=1)
    report[("leveling_down", "")] = np.append(hit, hit.any())
    report.columns = pd.MultiIndex.from_tuples(report.columns)
    report.attrs["leveling_down"] = {rate: list(flags.index[flags[rate]]) for rate in flags}
    return report


def _rates_by_group(positive, predicted, correct, codes, index, weights) -> pd.DataFrame:
    rates = measure_rates(
        {"selection_rate": selection_rate, "tpr": true_positive_rate, "fpr": false_positive_rate},
        positive,
        predicted,
        codes,
        weights,
    )
    right = np.asarray(correct, dtype=int)
    rates["accuracy"] = measure_rates(
        {"accuracy": accuracy_score}, np.ones_like(right), right, codes, weights
    )["accuracy"]
    rates.insert(0, "rows", np.bincount(codes))
    rates.loc[~has_label(positive, codes, 1), "tpr"] = np.nan
    rates.loc[~has_label(positive, codes, 0), "fpr"] = np.nan
    return rates.set_axis(index, axis=0)


def _with_gap_row(rates: pd.DataFrame) -> pd.DataFrame:
    spread = rates[list(RATES)].max(skipna=False) - rates[list(RATES)].min(skipna=False)
    values = pd.concat([pd.Series({"rows": rates["rows"].sum()}), spread])
    index = rates.index
    name = name_gap(index)
    if index.nlevels > 1:
        index = pd.MultiIndex.from_tuples([*index, name], names=index.names)
    else:
        index = pd.Index([*index, name], name=index.name, dtype=object)
    report = pd.DataFrame(np.vstack([rates, values]), index=index, columns=rates.columns)
    return report.astype({"rows": int})


def _warn_undefined(positive, codes, index, pos_label) -> None:
    for label, text, rate in (
        (1, f"label {pos_label!r}", "TPR, equal_opportunity and equalized_odds"),
        (0, f"another label than {pos_label!r}", "FPR and equalized_odds"),
    ):
        absent = index[~has_label(positive, codes, label)]
        if len(absent):
            warnings.warn(
                f"There are no rows with {text} in group(s) {abbreviate(absent)}: {rate} are "
                "undefined (NaN).",
                stacklevel=4,  # above validate_params
            )


def _positive_label(pos_label, labels):
    if pos_label is None:
        return labels[-1]
    if find_value(pos_label, labels.tolist()) is None:
        raise ValueError(
            f"pos_label={shorten(pos_label)} is not among the labels {abbreviate(labels)}."
        )
    return pos_label
