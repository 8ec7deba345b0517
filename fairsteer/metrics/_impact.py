"""Selection rates of groups as shares of the highest one, and the four-fifths rule."""

from __future__ import annotations

from numbers import Real

import numpy as np
import pandas as pd
from scipy.stats import fisher_exact
from sklearn.utils._param_validation import Interval, validate_params

from fairsteer._validation import (
    abbreviate,
    check_column,
    index_groups,
    refuse_scores,
    sort_labels,
)
from fairsteer.core.messages import shorten
from fairsteer.core.moments import find_value
from fairsteer.metrics._gaps import select_weighted

FOUR_FIFTHS = 0.8
IMPACT_COLUMNS = (
    "rows",
    "share",
    "selection_rate",
    "impact_ratio",
    "below_four_fifths",
    "p_value",
)
# Quotients of rates are rounded: .24 / .3 is not below four fifths.
_ROUNDING = 1e-9


@validate_params(
    {"min_share": [Interval(Real, 0, 1, closed="left")]}, prefer_skip_nested_validation=True
)
def impact_ratios(
    y_pred=None,
    *,
    scores=None,
    pos_label=None,
    sensitive_features,
    sample_weight=None,
    min_share: float = 0.02,
) -> pd.DataFrame:
    """Compare the selection rate of every group with the highest one.

    Parameters
    ----------
    y_pred : array-like of shape (n,), optional
        Decisions. Rows with ``pos_label`` are selected.
    scores : array-like of shape (n,), optional
        In place of decisions: rows above the median score are selected.
    pos_label : label, optional
        The favorable decision; default the last of the sorted values of ``y_pred``.
    sensitive_features : array-like of shape (n,) or (n, m), Series, DataFrame or mapping
        The sensitive attribute. Of several columns each is compared, and then their intersection.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows for the rates and the median. A row of weight 0 is no row.
    min_share : float in [0, 1), default=0.02
        Groups with a smaller share of the rows are shown, but they are not compared: their ratio
        is NaN, and none is compared with them.

    Returns
    -------
    DataFrame
        Index (attribute, group), groups of an intersection joined by " & ". Columns: ``rows``,
        ``share`` (of all rows), ``selection_rate``, ``impact_ratio`` (to the highest rate of the
        attribute; NaN if that is 0), ``below_four_fifths`` and ``p_value`` of Fisher's exact test
        against the group with the highest rate, which counts rows whatever their weights.

    Raises
    ------
    ValueError
        If not exactly one of ``y_pred`` and ``scores`` is given, values are missing, lengths
        differ, all decisions are alike without ``pos_label``, or it is none of several decisions.

    Notes
    -----
    A ratio below four fifths is evidence of adverse impact in the Uniform Guidelines on Employee
    Selection Procedures (29 CFR 1607.4 D); New York City's Local Law 144 asks for the ratios by
    sex, by race and by their intersection, of scores by the share of rows above the median (6 RCNY
    5-300 to 5-301). A small p-value says that chance alone seldom makes such a difference; it is
    not corrected for the number of groups.

    Examples
    --------
    >>> import numpy as np
    >>> sex = np.repeat(["man", "woman"], [92, 76])
    >>> hired = np.concatenate([np.arange(92) < 50, np.arange(76) < 34]).astype(int)
    >>> impact_ratios(hired, sensitive_features={"sex": sex})["impact_ratio"].round(2).to_dict()
    {('sex', 'man'): 1.0, ('sex', 'woman'): 0.82}
    """
    if (y_pred is None) == (scores is None):
        raise ValueError("pass either y_pred, the decisions, or scores.")
    if scores is not None and pos_label is not None:
        raise ValueError("pos_label is of decisions; rows above the median score are selected.")
    name = "y_pred" if scores is None else "scores"
    column = check_column(y_pred if scores is None else scores, name)
    codes, groups = index_groups(sensitive_features, len(column), like=name)
    weights, codes, groups, (column,) = select_weighted(sample_weight, codes, groups, [column])
    weights = np.ones(len(column)) if weights is None else weights
    if scores is None:
        selected = column == _positive_label(column, pos_label)
    else:
        selected = column > _median(_numbers(column), weights)
    frames = [
        _compare_groups(selected, own[codes], names, weights, min_share).set_index(
            pd.MultiIndex.from_product([[attribute], names], names=["attribute", "group"])
        )
        for attribute, own, names in _attributes(groups)
    ]
    return pd.concat(frames)


def _attributes(groups: pd.Index):
    """Return name, position of every intersection's group, and groups of each attribute."""
    if groups.nlevels == 1:
        name = "group" if groups.name is None else groups.name
        return [(name, np.arange(len(groups)), groups.to_list())]
    found = []
    for level, name in enumerate(groups.names):
        names, own = np.unique(groups.codes[level], return_inverse=True)
        found.append((name, own, groups.levels[level][names].to_list()))
    joint = [" & ".join(map(str, group)) for group in groups]
    return [*found, (" & ".join(map(str, groups.names)), np.arange(len(groups)), joint)]


def _compare_groups(selected, codes, names, weights, min_share) -> pd.DataFrame:
    """Return rates and ratios of the groups of one attribute."""
    rows = np.bincount(codes, minlength=len(names))
    hits = np.bincount(codes, selected, minlength=len(names)).astype(int)
    rates = np.bincount(codes, weights * selected) / np.bincount(codes, weights)
    compared = rows >= min_share * len(codes)
    best = int(np.where(compared, rates, -1.0).argmax())
    with np.errstate(invalid="ignore"):
        ratios = np.where(compared, rates / rates[best], np.nan) if rates[best] else rates * np.nan
    table = pd.DataFrame(
        {
            "rows": rows,
            "share": rows / len(codes),
            "selection_rate": rates,
            "impact_ratio": ratios,
            "below_four_fifths": ratios < FOUR_FIFTHS - _ROUNDING,
            "p_value": [
                _test(hits[[a, best]], rows[[a, best]]) if compared[a] and a != best else np.nan
                for a in range(len(names))
            ],
        }
    )
    return table[list(IMPACT_COLUMNS)]


def _test(hits, rows) -> float:
    """Return the two-sided p-value of Fisher's exact test of two rates."""
    return float(fisher_exact([hits, rows - hits]).pvalue)


def _median(scores, weights) -> float:
    """Return the smallest score up to which half of the weight lies."""
    order = np.argsort(scores)
    passed = np.cumsum(weights[order])
    return float(scores[order][np.searchsorted(passed, passed[-1] / 2.0)])


def _numbers(scores):
    if scores.dtype.kind not in "biuf":
        raise ValueError("scores must be numbers; pass decisions as y_pred.")
    return scores


def _positive_label(column, pos_label):
    labels = sort_labels(column, names="y_pred").tolist()
    if pos_label is None:
        refuse_scores(column)
        if len(labels) == 1:
            raise ValueError(
                f"every decision is {shorten(labels[0])}: pass pos_label, the favorable decision."
            )
        return labels[-1]
    # Where all decisions are alike, nobody may have been selected.
    if len(labels) > 1 and find_value(pos_label, labels) is None:
        raise ValueError(
            f"pos_label={shorten(pos_label)} is not among the decisions {abbreviate(labels)}."
        )
    return pos_label
