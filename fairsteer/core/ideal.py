"""How far a distribution is from ideal: residuals of the conditions, gaps of Bayes classifiers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairsteer.core.crossings import (
    crossings,
    interval_midpoints,
    interval_probabilities,
    log_density_line,
)
from fairsteer.core.gaussians import SubgroupGaussians, as_numbers
from fairsteer.core.linalg import Array, invsqrtm
from fairsteer.core.posterior import subgroup_log_densities
from fairsteer.core.solvers import nearest_ideal
from fairsteer.core.solvers._options import check_distribution, check_number, make_generator


@dataclass(frozen=True)
class BayesMetrics:
    """Error and gaps of a Bayes-optimal classifier.

    Parameters
    ----------
    error : float
        Probability of a wrong prediction.
    demographic_parity : float
        Largest difference of ``P(prediction | group)`` over predictions and pairs of groups.
    equal_opportunity : float
        Largest difference between groups of the true positive rate.
    equalized_odds : float
        Largest difference of ``P(prediction | label, group)`` over labels, predictions and pairs of
        groups.
    standard_error : dict of str to float
        Standard error of each of these, by its name; 0 where the value is exact.
    """

    error: float
    demographic_parity: float
    equal_opportunity: float
    equalized_odds: float
    standard_error: dict[str, float]


def ideal_gap(
    gaussians: SubgroupGaussians, conditions: str = "affine", *, anchor: object = None
) -> float:
    """Return how far a distribution is from ideal given the label (conditions 1 and 2).

    The largest absolute entry of ``Sigma_ia^{-1/2} (mu~_ia - mu_ia)`` and
    ``Sigma_ia^{-1/2} Sigma~_ia Sigma_ia^{-1/2} - I``, where the tilde marks the nearest
    distribution that satisfies the conditions and keeps the default reference group.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        The distribution.
    conditions : {"affine", "whitened", "identical"}, default="affine"
        Which conditions; see :func:`fairsteer.nearest_ideal`.
    anchor : object, default=None
        Label whose covariance whitens in the whitened conditions, default the last.

    Returns
    -------
    float
        Dimensionless; 0 if the conditions hold.
    """
    target = nearest_ideal(gaussians, conditions=conditions, anchor=anchor).target
    whiten = invsqrtm(gaussians.covariances)
    means = np.einsum("iajk,iak->iaj", whiten, target.means - gaussians.means)
    covariances = whiten @ target.covariances @ whiten - np.eye(gaussians.n_features)
    return float(max(np.abs(means).max(), np.abs(covariances).max()))


def prior_gap(gaussians: SubgroupGaussians) -> float:
    """Return the largest difference of ``P(label | group)`` between groups (condition 3)."""
    check_distribution(gaussians)
    conditional = gaussians.priors / gaussians.priors.sum(axis=0)
    return float(np.max(conditional.max(axis=1) - conditional.min(axis=1)))


def is_ideal(
    gaussians: SubgroupGaussians,
    conditions: str = "affine",
    priors: bool = False,
    tol: float = 1e-6,
) -> bool:
    """Return whether a distribution satisfies the ideal conditions.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        The distribution.
    conditions : {"affine", "whitened", "identical"}, default="affine"
        Which conditions on the features.
    priors : bool, default=False
        Whether ``P(label | group)`` must also be equal between groups (condition 3).
    tol : float, default=1e-6
        Largest :func:`ideal_gap`, and :func:`prior_gap`, that counts as 0.

    Returns
    -------
    bool
    """
    check_number("tol", tol, 0.0)
    if priors and prior_gap(gaussians) > tol:
        return False
    return ideal_gap(gaussians, conditions) <= tol


def bayes_metrics(
    gaussians: SubgroupGaussians,
    cost: ArrayLike | None = None,
    *,
    pos_label: object = None,
    n_samples: int = 200_000,
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
) -> BayesMetrics:
    """Return error and gaps of the Bayes-optimal classifier that knows the group.

    Exact for one feature, from the intervals of each prediction (if three or more labels enter a
    comparison of costs, two boundaries closer than a fiftieth of a standard deviation can be
    missed). For more features, Monte Carlo with an equal number of draws from every subgroup.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        The distribution.
    cost : array-like of shape (K, K), default=None
        ``cost[true, predicted]``, default 0 on the diagonal and 1 elsewhere.
    pos_label : object, default=None
        The positive label, default the last.
    n_samples : int, default=200_000
        Total number of draws (more than one feature only).
    random_state : int, RandomState, Generator or None, default=0
        Seed of the draws.

    Returns
    -------
    BayesMetrics

    Raises
    ------
    ValueError
        If the cost matrix has the wrong shape or is not finite, the label does not exist, or an
        option is invalid.
    TypeError
        If `gaussians` is not a `SubgroupGaussians`.
    """
    check_distribution(gaussians)
    check_number("n_samples", n_samples, 1, integer=True)
    rng = make_generator(random_state)
    n_labels = gaussians.n_labels
    positive = n_labels - 1 if pos_label is None else gaussians.label_index(pos_label)
    costs = 1.0 - np.eye(n_labels) if cost is None else as_numbers(cost, "cost")
    if costs.shape != (n_labels, n_labels):
        raise ValueError(
            f"cost must have shape ({n_labels}, {n_labels}), with true labels in rows and "
            f"predicted labels in columns, got {costs.shape}."
        )
    if not np.all(np.isfinite(costs)):
        raise ValueError("cost must be finite, but holds NaN or infinity.")
    if gaussians.n_features == 1:
        rates = np.stack([_exact_rates(gaussians, costs, a) for a in range(gaussians.n_groups)])
        variances = np.zeros_like(rates)
    else:
        draws = max(2, n_samples // (n_labels * gaussians.n_groups))
        rates = np.stack(
            [_sampled_rates(gaussians, costs, a, draws, rng) for a in range(gaussians.n_groups)]
        )
        variances = rates * (1.0 - rates) / draws
    return _bayes_metrics(gaussians.priors, rates, variances, positive)


def _exact_rates(gaussians: SubgroupGaussians, costs: Array, a: int) -> Array:
    """Return ``P(prediction j | label i)`` in group a, shape (K, K)."""
    means = gaussians.means[:, a, 0]
    deviations = np.sqrt(gaussians.covariances[:, a, 0, 0])
    priors = gaussians.priors[:, a]
    pairs = combinations(range(gaussians.n_labels), 2)
    cuts = [crossings(priors * (costs[:, j] - costs[:, k]), means, deviations) for j, k in pairs]
    edges = np.unique(np.concatenate(cuts))
    points = interval_midpoints(edges, float(deviations.max()))
    logs = np.stack(
        [log_density_line(points, m, s) for m, s in zip(means, deviations, strict=True)], axis=1
    )
    decisions = _decide(logs, priors, costs)
    rates = np.zeros_like(costs)
    for i, (m, s) in enumerate(zip(means, deviations, strict=True)):
        np.add.at(rates[i], decisions, interval_probabilities(edges, m, s))
    return rates


def _sampled_rates(
    gaussians: SubgroupGaussians, costs: Array, a: int, draws: int, rng: np.random.Generator
) -> Array:
    rates = np.zeros_like(costs)
    for i in range(gaussians.n_labels):
        factor = np.linalg.cholesky(gaussians.covariances[i, a])
        normal = rng.standard_normal((draws, gaussians.n_features))
        X = gaussians.means[i, a] + normal @ factor.T
        logs = subgroup_log_densities(gaussians, X, a)
        decisions = _decide(logs, gaussians.priors[:, a], costs)
        rates[i] = np.bincount(decisions, minlength=gaussians.n_labels) / draws
    return rates


def _decide(log_densities: Array, priors: Array, costs: Array) -> NDArray[np.intp]:
    """Return the predictions of smallest expected cost, shape (n,)."""
    weights = priors * np.exp(log_densities - log_densities.max(axis=1, keepdims=True))
    decisions: NDArray[np.intp] = np.argmin(weights @ costs, axis=1)
    return decisions


def _bayes_metrics(priors: Array, rates: Array, variances: Array, positive: int) -> BayesMetrics:
    """Return the metrics for given ``P(prediction | label, group)`` (G, K, K) and its variances."""
    conditional = (priors / priors.sum(axis=0)).T
    hits = np.einsum("aii->ai", rates)
    error = 1.0 - float(np.sum(priors.T * hits))
    error_variance = float(np.sum(priors.T**2 * np.einsum("aii->ai", variances)))
    selection = np.einsum("ai,aij->aj", conditional, rates)
    selection_variance = np.einsum("ai,aij->aj", conditional**2, variances)
    parity = _largest_difference(selection, selection_variance)
    opportunity = _largest_difference(
        rates[:, positive, positive], variances[:, positive, positive]
    )
    odds = _largest_difference(rates, variances)
    return BayesMetrics(
        error=error,
        demographic_parity=parity[0],
        equal_opportunity=opportunity[0],
        equalized_odds=odds[0],
        standard_error={
            "error": float(np.sqrt(error_variance)),
            "demographic_parity": parity[1],
            "equal_opportunity": opportunity[1],
            "equalized_odds": odds[1],
        },
    )


def _largest_difference(rates: Array, variances: Array) -> tuple[float, float]:
    """Return the largest difference between groups (first axis) and its standard error."""
    best = (-1.0, 0.0)
    for a, b in combinations(range(len(rates)), 2):
        difference = np.abs(rates[a] - rates[b])
        where = np.unravel_index(int(np.argmax(difference)), difference.shape)
        deviation = float(np.sqrt(variances[a][where] + variances[b][where]))
        best = max(best, (float(difference[where]), deviation))
    return best
