"""Maps of scores after which their distribution agrees between groups."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from fairsteer.core.channels import LabelFreeChannel
from fairsteer.core.groups import Grouping
from fairsteer.core.linalg import Array, read_only
from fairsteer.core.marginals import QuantileTable
from fairsteer.core.roc import RocCurve, concave_roc, lower_envelope, monotone_shares, score_kernel

MAX_LOG_ODDS = 10.0
"""Bound of the log odds of a segment that only one label reaches."""
SHRINKAGE_ROWS = 2.0
"""A subgroup of n rows is a mixture with weight 2 / (2 + n) of all groups' distribution."""
_GRID = 2001


@dataclass(frozen=True, eq=False)
class ScoreKernels:
    """Kernels from bins of the score to the segments of one ROC curve: equalized odds.

    Parameters
    ----------
    edges : ndarray of shape (m - 1,)
        Boundaries between the bins; a score on a boundary is in the upper bin.
    kernels : ndarray of shape (G, m, k)
        Probability of every segment given the bin of a row of each group.
    values : ndarray of shape (k,)
        Log odds of the positive label in each segment, ascending.
    target : RocCurve
        What all groups share; its segments, from the last to the first, are those of the kernels.
    curves : tuple of RocCurve
        What the score of each group allowed.
    """

    edges: Array
    kernels: Array
    values: Array
    target: RocCurve
    curves: tuple[RocCurve, ...]

    def __post_init__(self) -> None:
        for name in ("edges", "kernels", "values"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    def segments(self, scores: Array, codes: NDArray[np.intp], draws: Array) -> NDArray[np.intp]:
        """Return the segment of each row.

        Parameters
        ----------
        scores : ndarray of shape (n,)
            Scores.
        codes : ndarray of shape (n,)
            Positions of the groups.
        draws : ndarray of shape (n,)
            In (0, 1).

        Returns
        -------
        ndarray of int of shape (n,)
        """
        _, m, k = self.kernels.shape
        bins = codes * m + np.searchsorted(self.edges, scores, side="right")
        # One ascending table for all rows: the cumulative kernel of a bin between two integers.
        cumulative = np.cumsum(self.kernels.reshape(-1, k), axis=1)
        cumulative[:, -1] = 1.0
        table = (cumulative + np.arange(len(cumulative))[:, None]).ravel()
        found = np.searchsorted(table, bins + draws, side="left")
        return np.asarray(np.clip(found - bins * k, 0, k - 1))

    def __call__(self, scores: Array, codes: NDArray[np.intp], draws: Array) -> Array:
        """Return the steered log odds of rows, as `segments` does."""
        steered: Array = self.values[self.segments(scores, codes, draws)]
        return steered


def fit_kernels(
    scores: Array,
    label_codes: NDArray[np.intp],
    group_codes: NDArray[np.intp],
    weights: Array,
    n_groups: int,
    n_bins: int,
    shrinkage_rows: float = SHRINKAGE_ROWS,
    single_threshold: bool = False,
) -> ScoreKernels:
    """Find the kernels that carry the scores of every group onto the lower envelope.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Scores of rows that the scoring model was not fitted on.
    label_codes : ndarray of shape (n,)
        1 for the positive label, 0 for the other.
    group_codes : ndarray of shape (n,)
        Positions of the groups.
    weights : ndarray of shape (n,)
        Frequencies.
    n_groups : int
        Number of groups.
    n_bins : int
        Largest number of bins of the score, and of segments of the curve.
    shrinkage_rows : float, default=2
        The distribution of a subgroup of n rows is a mixture with weight
        ``shrinkage_rows / (shrinkage_rows + n)`` of that of all groups given the label.
    single_threshold : bool, default=False
        Whether the target is reduced to the two segments that a threshold with the fewest errors
        separates (one segment, where no threshold makes fewer errors than one label for all). Then
        the fewest rows draw: those near the group's own cut-off.

    Returns
    -------
    ScoreKernels
    """
    edges = bin_edges(scores, weights, n_bins)
    bins = np.searchsorted(edges, scores, side="right")
    m = len(edges) + 1
    cells = (group_codes * 2 + label_codes) * m + bins
    counts = np.bincount(cells, weights, minlength=n_groups * 2 * m).reshape(n_groups, 2, m)
    pooled = counts.sum(axis=0)
    pooled /= pooled.sum(axis=-1, keepdims=True)
    totals = counts.sum(axis=-1, keepdims=True)
    shares = (counts + shrinkage_rows * pooled) / (totals + shrinkage_rows)
    shares = np.array([monotone_shares(*own) for own in shares])
    curves = tuple(concave_roc(*own) for own in shares)
    envelope = lower_envelope(list(curves))
    priors = totals.sum(axis=0).ravel()
    log_prior = np.log(priors[1] / priors[0])
    share = priors[1] / priors.sum()
    target = envelope.with_fewest_errors(share) if single_threshold else envelope.simplify(n_bins)
    values = _log_ratio(target.positives, target.negatives) + log_prior
    kernels = []
    for own, total in zip(shares, totals, strict=True):
        positions = _log_ratio(own[1], own[0]) + log_prior
        # A group that is known by the pooled distribution only has no rows of its own.
        mix = total / total.sum() if total.sum() > 0.0 else np.full_like(total, 0.5)
        rows = (own * mix).sum(axis=0)
        if single_threshold:
            # The further a bin is from the other end, the less likely it goes there.
            positions, ends = np.linspace(0.0, 1.0, m), np.linspace(1.0, 0.0, len(values))
        costs = np.abs(positions[:, None] - (ends if single_threshold else values))
        kernels.append(score_kernel(own[0], own[1], target, costs, rows))
    return ScoreKernels(edges, np.stack(kernels)[:, :, ::-1], values[::-1], target, curves)


def bin_edges(scores: Array, weights: Array, n_bins: int) -> Array:
    """Return boundaries of at most n_bins bins with about equal weight.

    Parameters
    ----------
    scores, weights : ndarray of shape (n,)
        Values and their frequencies.
    n_bins : int
        Largest number of bins.

    Returns
    -------
    ndarray of shape (m - 1,)
        Distinct values that begin a bin.
    """
    table = QuantileTable.from_values(scores, weights)
    ranks = np.arange(1, n_bins) / n_bins
    begins = np.searchsorted(table.cumulative[1:-1], ranks) + 1
    return np.unique(table.values[begins[begins < len(table.values)]])


def best_threshold(steered: Array, positive: NDArray[np.bool_], weights: Array) -> float:
    """Return the threshold of a score above which predicting the positive label errs least.

    Parameters
    ----------
    steered : ndarray of shape (n,)
        Scores, with one distribution in all groups, so that one threshold serves them all.
    positive : ndarray of bool of shape (n,)
        Which rows have the positive label.
    weights : ndarray of shape (n,)
        Frequencies.

    Returns
    -------
    float
        Between two scores, or beyond all of them.
    """
    values, places = np.unique(steered, return_inverse=True)
    gains = np.bincount(places, np.where(positive, weights, -weights), minlength=len(values))
    above = np.append(np.cumsum(gains[::-1])[::-1], 0.0)
    best = int(np.argmax(above))
    edges = np.concatenate([[values[0] - 2.0], values, [values[-1] + 2.0]])
    return float((edges[best] + edges[best + 1]) / 2.0)


def _log_ratio(positives: Array, negatives: Array) -> Array:
    least = np.finfo(float).tiny
    ratio = np.log(np.maximum(positives, least)) - np.log(np.maximum(negatives, least))
    clipped: Array = np.clip(ratio, -MAX_LOG_ODDS, MAX_LOG_ODDS)
    return clipped


@dataclass(frozen=True, eq=False)
class MonotoneMaps:
    """Increasing maps of the score, one per group: demographic parity and equal opportunity.

    ``F^{-1}(F_a(s))`` carries the distribution ``F_a`` of a group to the barycenter, whose quantile
    function ``F^{-1}`` is the weighted mean of those of the groups.

    Parameters
    ----------
    tables : tuple of QuantileTable
        ``F_a``, of all rows or of positives.
    quantiles : ndarray of shape (m,)
        ``F^{-1}`` at equally spaced ranks from 0 to 1.
    """

    tables: tuple[QuantileTable, ...]
    quantiles: Array

    def __call__(self, scores: Array, codes: NDArray[np.intp], draws: Array) -> Array:
        """Return the steered scores of rows, all of shape (n,); draws in (0, 1) spread ties."""
        steered = np.empty(len(scores))
        ranks = np.linspace(0.0, 1.0, len(self.quantiles))
        for group, table in enumerate(self.tables):
            own = codes == group
            s, low, high = scores[own], table.values[0], table.values[-1]
            steered[own] = np.interp(table.rank(s, draws[own]), ranks, self.quantiles)
            # Beyond the range of positives the map goes on, or negatives would collapse.
            steered[own] += np.minimum(s - low, 0.0) + np.maximum(s - high, 0.0)
        return steered


def fit_monotone_maps(
    scores: Array,
    group_codes: NDArray[np.intp],
    weights: Array,
    n_groups: int,
    shrinkage_rows: float = SHRINKAGE_ROWS,
) -> MonotoneMaps:
    """Find the increasing maps that carry every group to the barycenter.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Scores of rows that the scoring model was not fitted on, all or of positives only.
    group_codes, weights, n_groups, shrinkage_rows
        As in :func:`fit_kernels`.

    Returns
    -------
    MonotoneMaps

    References
    ----------
    Chzhen, Denis, Hebiri, Oneto and Pontil (2020), "Fair regression with Wasserstein barycenters";
    Le Gouic, Loubes and Rigollet (2020), "Projection to fairness in statistical learning".
    """
    tables, ranks = [], np.linspace(0.0, 1.0, _GRID)
    quantiles, total = np.zeros(_GRID), weights.sum()
    everyone = QuantileTable.from_values(scores, weights)
    for group in range(n_groups):
        own = np.where(group_codes == group, weights, 0.0)
        size = own.sum()
        mixture = own + (shrinkage_rows / total) * weights
        table = QuantileTable.from_values(scores[mixture > 0], mixture[mixture > 0])
        # Frequencies decide on ties, which shares of the mixture do not show.
        tied = everyone.tied[np.searchsorted(everyone.values, table.values)]
        table = replace(table, tied=tied)
        middles = (table.cumulative[1:] + table.cumulative[:-1]) / 2
        quantiles += size / total * np.interp(ranks, middles, table.values)
        tables.append(table)
    return MonotoneMaps(tuple(tables), quantiles)


@dataclass(frozen=True, eq=False)
class PartialMaps:
    """Maps that steer a score part of the way, which leaves part of the gap.

    Parameters
    ----------
    maps : ScoreKernels or MonotoneMaps
        The maps at full strength.
    strength : float
        In (0, 1]. Increasing maps move scores by this share of the way; kernels apply to a row with
        this probability.
    """

    maps: ScoreKernels | MonotoneMaps
    strength: float

    def __call__(self, scores: Array, codes: NDArray[np.intp], draws: Array) -> Array:
        """Return the steered scores of rows, all of shape (n,), with draws in (0, 1)."""
        if self.strength == 1.0:
            return self.maps(scores, codes, draws)
        if isinstance(self.maps, MonotoneMaps):
            return scores + self.strength * (self.maps(scores, codes, draws) - scores)
        steered = self.maps(scores, codes, np.minimum(draws / self.strength, 1.0 - 1e-12))
        return np.where(draws < self.strength, steered, scores)

    @property
    def draws_groups(self) -> bool:
        """Whether rows of unknown group draw one, rather than mix the maps of all groups."""
        return isinstance(self.maps, ScoreKernels)


@dataclass(frozen=True, eq=False)
class ScoreChannel:
    """A label-free channel of several scores: equalized odds for more than two labels.

    Parameters
    ----------
    channel : LabelFreeChannel or None
        Of the groups that have a distribution of their own; None where fewer than two have one.
    grouping : Grouping
        Which of these serves each group.
    """

    channel: LabelFreeChannel | None
    grouping: Grouping

    def __call__(self, scores: Array, codes: NDArray[np.intp], draws: Array) -> Array:
        """Return the steered scores of rows (n, K - 1), with draws (n, K - 1) in (0, 1)."""
        if self.channel is None:
            return scores
        fitted = self.grouping.fitted_codes(codes)
        return self.channel.apply(scores, fitted, ndtri(draws))
