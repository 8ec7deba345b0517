"""The three fairness gaps and their noise floor.

A rate is *undefined* in a group without rows of the label that the rate conditions on. fairlearn
counts this rate as 0, so that a missing subgroup can produce a gap of 1. Here the rate is NaN, and
so is every gap that depends on it.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import pandas as pd
from fairlearn.metrics import (
    MetricFrame,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from sklearn.utils._param_validation import Interval, validate_params

from fairsteer._validation import (
    abbreviate,
    check_column,
    check_frequencies,
    check_true_labels,
    index_groups,
    refuse_scores,
)
from fairsteer.core.binomial import rate_limits
from fairsteer.core.solvers._options import make_generator

_RATES = {
    "demographic_parity": (selection_rate,),
    "equal_opportunity": (true_positive_rate,),
    "equalized_odds": (true_positive_rate, false_positive_rate),
}
"""By constraint the rates whose largest difference is the gap, as fairlearn defines it."""


RANDOM_STATE = ["random_state", np.random.Generator]
"""What ``random_state`` may be, for scikit-learn's validation of parameters."""


class GapInterval(NamedTuple):
    """A gap, and an interval of the gap on new rows.

    Parameters
    ----------
    value : float
        The gap of these rows.
    low, high : float
        Ends of the interval.
    """

    value: float
    low: float
    high: float


@validate_params(
    {"confidence_level": [Interval(Real, 0, 1, closed="neither"), None]},
    prefer_skip_nested_validation=True,
)
def fairness_gaps(
    y_true, y_pred, *, sensitive_features, sample_weight=None, confidence_level=None
) -> dict:
    """Measure the three fairness gaps of 0/1 predictions.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Labels and predictions, 1 = favorable.
    sensitive_features : array-like of shape (n,) or (n, m), Series, DataFrame or mapping
        The sensitive attribute; several columns mean their intersection.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows. Only their ratios matter; a row of weight 0 is no row.
    confidence_level : float in (0, 1), default=None
        If given, every gap comes with an interval. It counts rows, so weights are refused.

    Returns
    -------
    dict
        ``demographic_parity``, ``equal_opportunity`` and ``equalized_odds``: exactly fairlearn's
        ``demographic_parity_difference``, ``equal_opportunity_difference`` and
        ``equalized_odds_difference``, or NaN if a group has no rows of a label that the gap
        conditions on. With ``confidence_level`` each is a tuple ``(value, low, high)``.

    Raises
    ------
    ValueError
        If labels other than 0 and 1 occur, such as scores, values are missing, or lengths differ.

    Notes
    -----
    The intervals hold for independent rows of any distribution and for any number of rows, given
    how many there are of each group and label; ``y_pred`` must be the predictions of rows that the
    model was not fitted on. They are made of Clopper-Pearson limits ``L`` and ``U`` of the rates.
    ``high`` is the largest ``U_a - L_b``; the pair of groups whose true rates differ most is fixed,
    so each of its two limits may fail with a quarter of the error. ``low`` is the largest
    ``L_a - U_b``, where the limits of all rates share half of the error. The gap of a sample is too
    large on average, so the interval reaches farther below it than above.

    Examples
    --------
    >>> fairness_gaps([1, 1, 0, 0], [1, 0, 0, 0], sensitive_features=["a", "b", "a", "b"])
    {'demographic_parity': 0.5, 'equal_opportunity': 1.0, 'equalized_odds': 1.0}
    """
    if confidence_level is not None and sample_weight is not None:
        raise ValueError(
            "confidence_level needs rows of equal weight, because an interval counts rows: leave "
            "out sample_weight."
        )
    problem = _binary_problem(y_true, y_pred, sensitive_features, sample_weight)
    gaps = _measure_gaps(list(_RATES), *problem)
    if confidence_level is None:
        return gaps
    intervals = _gap_intervals(*problem[:3], 1.0 - confidence_level)
    return {name: GapInterval(gap, *intervals[name]) for name, gap in gaps.items()}


def _gap_intervals(y_true, y_pred, codes, error_rate) -> dict[str, tuple[float, float]]:
    """Return intervals of the gaps; (0, 1) where a gap is undefined."""
    conditions = {
        "demographic_parity": [np.ones(len(codes), dtype=bool)],
        "equal_opportunity": [y_true == 1],
        "equalized_odds": [y_true == 1, y_true == 0],
    }
    n_groups, defined, found = codes.max() + 1, _defined(y_true, codes), {}
    for name, rows in conditions.items():
        if not defined[name] or n_groups < 2:
            found[name] = (0.0, 1.0 if n_groups > 1 else 0.0)
            continue
        sizes = np.array([np.bincount(codes[own], minlength=n_groups) for own in rows])
        hits = np.array(
            [np.bincount(codes[own], y_pred[own], minlength=n_groups) for own in rows], dtype=int
        )
        lower, upper = rate_limits(hits, sizes, error_rate / 4.0)
        high = _largest_difference(upper, lower)
        lower, upper = rate_limits(hits, sizes, error_rate / 4.0 / sizes.size)
        low = _largest_difference(lower, upper)
        found[name] = (max(low, 0.0), min(high, 1.0))
    return found


def _largest_difference(first, second) -> float:
    """Return the largest entry of first less another entry of second in a row of (C, G)."""
    least, next_least = np.sort(second, axis=1)[:, :2].T
    own = np.arange(second.shape[1]) == second.argmin(axis=1)[:, None]
    return float((first - np.where(own, next_least[:, None], least[:, None])).max())


def measure_gap(constraint: str, y_true, y_pred, *, sensitive_features) -> float:
    """Measure the gap of one constraint, as `fairness_gaps` does."""
    problem = _binary_problem(y_true, y_pred, sensitive_features)
    return _measure_gaps([constraint], *problem)[constraint]


def _measure_gaps(constraints, y_true, y_pred, codes, weights) -> dict[str, float]:
    """Return the gaps of constraints."""
    rates = {rate.__name__: rate for name in constraints for rate in _RATES[name]}
    values = measure_rates(rates, y_true, y_pred, codes, weights)
    defined = _defined(y_true, codes)
    return {
        name: max(float(np.ptp(values[rate.__name__].to_numpy())) for rate in _RATES[name])
        if defined[name]
        else np.nan
        for name in constraints
    }


def measure_rates(rates, y_true, y_pred, codes, weights) -> pd.DataFrame:
    """Measure rates of 0/1 predictions in every group with fairlearn.

    fairlearn is given one row for each combination of group, label and prediction, weighted by the
    rows that have it: its time would grow with the number of rows.

    Parameters
    ----------
    rates : dict of str to callable
        fairlearn's rates by name.
    y_true, y_pred : ndarray of int of shape (n,)
        Labels and predictions, 0 or 1.
    codes : ndarray of int of shape (n,)
        The position of every row's group.
    weights : ndarray of shape (n,) or None
        Positive weights of the rows.

    Returns
    -------
    DataFrame of float
        One row per group, a column for each rate.
    """
    totals = np.bincount(4 * codes + 2 * y_true + y_pred, weights)
    cells = np.flatnonzero(totals)
    # As an array, the code of a single row would be squeezed to a number.
    by_group = MetricFrame(
        metrics=rates,
        y_true=cells // 2 % 2,
        y_pred=cells % 2,
        sensitive_features=pd.Series(cells // 4, name="group"),
        sample_params={name: {"sample_weight": pd.Series(totals[cells])} for name in rates},
    ).by_group
    # The rate of a single weighted row is an array in older versions of fairlearn.
    return by_group.map(lambda rate: float(np.squeeze(rate)))


@validate_params(
    {
        "n_permutations": [Interval(Integral, 1, None, closed="left")],
        "random_state": RANDOM_STATE,
    },
    prefer_skip_nested_validation=True,
)
def noise_floor(
    y_true,
    y_pred,
    *,
    sensitive_features,
    sample_weight=None,
    n_permutations: int = 200,
    random_state=0,
) -> dict[str, float]:
    """Measure the gaps that occur by chance alone on these rows.

    The floor is the mean gap of the same predictions over random permutations of the groups: within
    each label for equal opportunity and equalized odds, over all rows for demographic parity. A gap
    near its floor is what predictions that do not depend on the group show on these rows.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Labels and predictions, 1 = favorable.
    sensitive_features : array-like of shape (n,) or (n, m), Series, DataFrame or mapping
        The sensitive attribute; several columns mean their intersection.
    sample_weight : array-like of shape (n,), default=None
        A row of weight 0 is no row. Otherwise the floor does not depend on weights: it counts rows,
        because chance depends on their number.
    n_permutations : int, default=200
        Number of permutations.
    random_state : int, RandomState, Generator or None, default=0
        Seed of the permutations.

    Returns
    -------
    dict
        The floors of ``demographic_parity``, ``equal_opportunity`` and ``equalized_odds``; NaN
        where the gap is undefined.

    Raises
    ------
    ValueError
        As in `fairness_gaps`, or if an option is invalid.

    Examples
    --------
    >>> y_true, y_pred, group = [1, 0] * 50, [1, 1, 0, 0] * 25, ["a", "b", "b", "a"] * 25
    >>> floor = noise_floor(y_true, y_pred, sensitive_features=group)
    >>> {name: round(value, 2) for name, value in floor.items()}
    {'demographic_parity': 0.08, 'equal_opportunity': 0.11, 'equalized_odds': 0.15}
    """
    drawn = permuted_gaps(
        y_true,
        y_pred,
        sensitive_features=sensitive_features,
        sample_weight=sample_weight,
        n_permutations=n_permutations,
        random_state=random_state,
    )
    return {name: float(values.mean()) for name, values in drawn.items()}


def largest_differences(rates, sizes):
    """Return the largest difference between groups of rates (n, G)."""
    return np.ptp(rates, axis=1)


def spreads(rates, sizes):
    """Return the standard deviation, over rows, of the rates (n, G) of groups of these sizes.

    The largest difference of rates is mostly chance where a group has few rows; the spread is not.
    """
    shares = sizes / max(sizes.sum(), 1)
    means = rates @ shares
    return np.sqrt(np.maximum((rates - means[:, None]) ** 2 @ shares, 0.0))


def permuted_gaps(
    y_true,
    y_pred,
    *,
    sensitive_features,
    sample_weight=None,
    n_permutations: int = 200,
    random_state=0,
    measure=largest_differences,
) -> dict[str, np.ndarray]:
    """Measure the gaps after random permutations of the groups, see `noise_floor`.

    Parameters
    ----------
    y_true, y_pred, sensitive_features, sample_weight, n_permutations, random_state
        As in `noise_floor`.
    measure : {largest_differences, spreads}
        What is measured of the rates.

    Returns
    -------
    dict
        An array of shape (n_permutations,) for each of ``demographic_parity``,
        ``equal_opportunity`` and ``equalized_odds``; NaN where the gap is undefined.

    Notes
    -----
    If the groups of n rows are permuted, of which m are predicted positive, the numbers of
    predicted positives per group follow a multivariate hypergeometric distribution. They are drawn
    from it directly, at a cost that does not depend on n.
    """
    y_true, y_pred, codes, _ = _binary_problem(y_true, y_pred, sensitive_features, sample_weight)
    rng = make_generator(random_state)
    return _permute(y_true, [y_pred], codes, n_permutations, rng, measure)


def permuted_changes(
    y_true,
    before,
    after,
    *,
    sensitive_features,
    n_permutations: int = 200,
    random_state=0,
    measure=largest_differences,
) -> dict[str, np.ndarray]:
    """Measure the gaps that changed decisions open after random permutations of the groups.

    Parameters
    ----------
    y_true, before, after : array-like of shape (n,)
        Labels, and decisions of two models, 0 or 1.
    sensitive_features, n_permutations, random_state, measure
        As in `permuted_gaps`.

    Returns
    -------
    dict
        An array of shape (n_permutations,) for each gap: the largest difference between groups in
        the change of a rate, or the spread of the changes, if the decisions that differ fell on
        groups at random. The measure of a gap changes by no more than that.
    """
    y_true, before, codes, _ = _binary_problem(y_true, before, sensitive_features, None)
    after = np.asarray(after)
    moves = [(after > before).astype(int), (after < before).astype(int)]
    return _permute(y_true, moves, codes, n_permutations, make_generator(random_state), measure)


def _permute(y_true, counted, codes, n_permutations, rng, measure) -> dict[str, np.ndarray]:
    """Measure shares of rows, or the first shares less the second, by permutation."""
    n_groups = codes.max() + 1

    def draw_gaps(rows):
        sizes = np.bincount(codes[rows], minlength=n_groups)
        sums = [own[rows].sum() for own in counted]
        totals = rng.multivariate_hypergeometric(sizes, sum(sums), size=n_permutations)
        if len(sums) == 2:
            # A row that is counted first is not counted second.
            totals = 2 * _draw_part(totals, sums[0], rng) - totals
        return measure(totals / np.maximum(sizes, 1), sizes)

    tpr_gap, fpr_gap = draw_gaps(y_true == 1), draw_gaps(y_true == 0)
    drawn = {
        "demographic_parity": draw_gaps(np.ones(len(codes), dtype=bool)),
        "equal_opportunity": tpr_gap,
        "equalized_odds": np.maximum(tpr_gap, fpr_gap),
    }
    defined = _defined(y_true, codes)
    undefined = np.full(n_permutations, np.nan)
    return {name: drawn[name] if defined[name] else undefined for name in drawn}


def _draw_part(counts, n_rows, rng) -> np.ndarray:
    """Draw how many of ``n_rows`` rows are in each group, from counts (P, G) of their groups."""
    drawn = np.zeros_like(counts)
    left, others = np.full(len(counts), n_rows), counts.sum(axis=1)
    for group in range(counts.shape[1]):
        others = others - counts[:, group]
        drawn[:, group] = rng.hypergeometric(counts[:, group], others, left)
        left = left - drawn[:, group]
    return drawn


def has_label(y_true, codes, label) -> np.ndarray:
    """Return which groups have a row of a label."""
    return np.bincount(codes[y_true == label], minlength=codes.max() + 1) > 0


def _defined(y_true, codes) -> dict[str, bool]:
    positives = bool(has_label(y_true, codes, 1).all())
    negatives = bool(has_label(y_true, codes, 0).all())
    return {
        "demographic_parity": True,
        "equal_opportunity": positives,
        "equalized_odds": positives and negatives,
    }


def _binary_problem(y_true, y_pred, sensitive_features, sample_weight=None):
    y_true = check_true_labels(y_true)
    y_pred = check_column(y_pred, "y_pred", len(y_true))
    refuse_scores(y_pred, [0, 1])
    for name, y in (("y_true", y_true), ("y_pred", y_pred)):
        if not np.isin(y, [0, 1]).all():
            raise ValueError(
                f"{name} must hold 0 and 1 only (1 = favorable), but has "
                f"{abbreviate(pd.unique(y))}; fairness_report takes other labels."
            )
    codes, groups = index_groups(sensitive_features, len(y_true), like="y_true")
    weights, codes, groups, (y_true, y_pred) = select_weighted(
        sample_weight, codes, groups, [y_true.astype(int), y_pred.astype(int)]
    )
    return y_true, y_pred, codes, weights


def select_weighted(sample_weight, codes, groups, columns):
    """Select the rows of positive weight.

    Parameters
    ----------
    sample_weight : array-like of shape (n,) or None
        Weights.
    codes : ndarray of int of shape (n,)
        The position of every row's group.
    groups : Index of length G
        The groups.
    columns : list of ndarray of shape (n,)
        Further columns.

    Returns
    -------
    weights : ndarray or None
        Positive weights, the largest 1; None without weights.
    codes, groups, columns
        As given, without rows of weight 0 and groups that have no others.
    """
    if sample_weight is None:
        return None, codes, groups, columns
    weights = check_frequencies(sample_weight, len(codes))
    present = weights > 0.0
    places, codes = np.unique(codes[present], return_inverse=True)
    weights = weights[present] / weights.max()
    return weights, codes, groups[places], [column[present] for column in columns]


def name_gap(groups: pd.Index):
    """Return the name of the gap beside those of groups: "gap", or "gap_" if that is a group.

    Parameters
    ----------
    groups : Index
        The groups; a MultiIndex for several sensitive columns.

    Returns
    -------
    str or tuple
        A tuple for a MultiIndex.
    """
    first = set(groups.get_level_values(0))
    name = "gap"
    while name in first:
        name += "_"
    return (name, *[""] * (groups.nlevels - 1)) if groups.nlevels > 1 else name
