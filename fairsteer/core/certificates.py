"""Bounds on the gaps of every classifier of steered features, under the fitted Gaussians."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import logsumexp

from fairsteer.core.affine import AffineMap
from fairsteer.core.divergence import mixture_total_variation, total_variation
from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.linalg import Array
from fairsteer.core.posterior import subgroup_log_densities
from fairsteer.core.preimages import moved_log_densities


@dataclass(frozen=True)
class Certificate:
    """A model-based bound on a fairness gap of every classifier of steered features.

    Parameters
    ----------
    bound : float
        In [0, 1].
    kind : {"model", "model estimate"}
        ``"model"`` is a bound if the fitted Gaussians are the true distributions, ``"model
        estimate"`` a Monte Carlo estimate under them and no bound. Neither counts departures from
        the Gaussian model or the sampling error of the fitted parameters;
        :func:`fairsteer.certify.certify` gives bounds that hold without a model.
    """

    bound: float
    kind: str


def pairwise_total_variation(
    means: Array, covariances: Array, to_ideal: Array | None = None
) -> Array:
    """Bound the total variation between all pairs of groups, given the label.

    Parameters
    ----------
    means : ndarray of shape (K, G, d)
        Means of the features that a classifier sees.
    covariances : ndarray of shape (K, G, d, d)
        Their covariances.
    to_ideal : ndarray of shape (K, G), default=None
        Bounds on each subgroup's total variation from a distribution common to all groups; the
        triangle inequality is then used where it gives the smaller bound.

    Returns
    -------
    ndarray of shape (K, G, G)
        Symmetric, zero on the diagonal.
    """
    n_labels, n_groups = means.shape[:2]
    distances = np.zeros((n_labels, n_groups, n_groups))
    for a, b in combinations(range(n_groups), 2):
        direct = total_variation(means[:, a], covariances[:, a], means[:, b], covariances[:, b])
        if to_ideal is not None:
            direct = np.minimum(direct, to_ideal[:, a] + to_ideal[:, b])
        distances[:, a, b] = distances[:, b, a] = np.minimum(direct, 1.0)
    return distances


def equal_opportunity_bound(distances: Array, positive: int) -> float:
    """Bound the equal-opportunity gap by pairwise total variations (K, G, G)."""
    return float(distances[positive].max())


def equalized_odds_bound(distances: Array) -> float:
    """Bound the equalized-odds gap by pairwise total variations (K, G, G)."""
    return float(distances.max())


def demographic_parity_bound(distances: Array, priors: Array) -> float:
    """Bound the demographic-parity gap by pairwise total variations and base rates.

    ``sum_i min(pi_ia, pi_ib) TV_iab + 1/2 sum_i |pi_ia - pi_ib|``, ``pi_ia = P(i | a)``. The second
    term is the difference of base rates, which steering the features does not reduce.

    Parameters
    ----------
    distances : ndarray of shape (K, G, G)
        Total variations between groups given the label.
    priors : ndarray of shape (K, G)
        ``P(label, group)``.
    """
    conditional = priors / priors.sum(axis=0)
    first, second = conditional[:, :, None], conditional[:, None, :]
    shared = np.sum(np.minimum(first, second) * distances, axis=0)
    base_rates = 0.5 * np.sum(np.abs(first - second), axis=0)
    return float(min((shared + base_rates).max(), 1.0))


def univariate_parity_gap(means: Array, variances: Array, priors: Array) -> float:
    """Return the largest demographic-parity gap of all classifiers of one feature.

    It is the largest total variation between two groups' mixtures over labels.

    Parameters
    ----------
    means, variances : ndarray of shape (K, G)
        Parameters of the feature.
    priors : ndarray of shape (K, G)
        ``P(label, group)``.
    """
    conditional = priors / priors.sum(axis=0)
    gaps = [
        mixture_total_variation(
            np.concatenate([conditional[:, a], -conditional[:, b]]),
            np.concatenate([means[:, a], means[:, b]]),
            np.concatenate([variances[:, a], variances[:, b]]),
        )
        for a, b in combinations(range(priors.shape[1]), 2)
    ]
    return max(gaps)


def model_certificates(
    gaussians: SubgroupGaussians, maps: AffineMap, ideal: SubgroupGaussians, positive: int
) -> dict[str, Certificate]:
    """Bound the gaps of every classifier of features mapped by one affine map per group.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        Distribution fitted to the data.
    maps : AffineMap of shape (G,)
        Map of each group, whatever the label.
    ideal : SubgroupGaussians
        Ideal distribution in the common frame, where all groups agree.
    positive : int
        Position of the positive label.

    Returns
    -------
    dict of str to Certificate
        By constraint, of kind ``"model"``; for one feature each is attained by a classifier.
    """
    means, covariances = maps.pushforward(gaussians.means, gaussians.covariances)
    to_ideal = total_variation(means, covariances, ideal.means, ideal.covariances)
    distances = pairwise_total_variation(means, covariances, to_ideal)
    if gaussians.n_features == 1:
        parity = univariate_parity_gap(means[..., 0], covariances[..., 0, 0], gaussians.priors)
    else:
        parity = demographic_parity_bound(distances, gaussians.priors)
    bounds = {
        "equalized_odds": equalized_odds_bound(distances),
        "equal_opportunity": equal_opportunity_bound(distances, positive),
        "demographic_parity": parity,
    }
    return {name: Certificate(bound, "model") for name, bound in bounds.items()}


def estimated_certificates(
    gaussians: SubgroupGaussians,
    maps: AffineMap | None,
    ideal: SubgroupGaussians,
    reference: int,
    positive: int,
    *,
    n_samples: int,
    random_state: int,
) -> dict[str, Certificate]:
    """Estimate bounds on the gaps of every classifier of steered rows, by Monte Carlo.

    The largest gap over all classifiers is the total variation between the groups' distributions
    after steering. The total variation of each group from the ideal distribution is estimated at
    draws from the group; that of two groups is at most the sum of theirs (equal to it where one of
    them is the reference group of an affirmative intervention, which has the ideal distribution).
    The label-free map need not be injective: a draw for which not all preimages are found
    (:func:`fairsteer.core.preimages.moved_log_densities`) counts with the largest difference, 1.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        Distribution fitted to the data.
    maps : AffineMap of shape (K, G) or None
        Map of every label and group, averaged over the label's posterior; None for rows that are
        not moved.
    ideal : SubgroupGaussians
        Ideal distribution in the common frame.
    reference : int
        Position of the group whose base rates weigh the labels of the ideal distribution.
    positive : int
        Position of the positive label.
    n_samples : int
        Number of draws from each subgroup.
    random_state : int
        Seed.

    Returns
    -------
    dict of str to Certificate
        By constraint, of kind ``"model estimate"``.
    """
    conditional = gaussians.priors / gaussians.priors.sum(axis=0)
    rng = np.random.default_rng(random_state)
    given_label = np.zeros(gaussians.priors.shape)
    marginal = np.zeros(gaussians.n_groups)
    for a in range(gaussians.n_groups):
        X = _draws(gaussians, a, n_samples, rng)
        if maps is None:
            moved, settled = X, np.ones(len(X), dtype=bool)
            source = subgroup_log_densities(gaussians, X, a)
        else:
            moved, source, settled = moved_log_densities(gaussians, maps, X, a, rng)
        target = subgroup_log_densities(ideal, moved, a)
        drawn_from = np.repeat(np.arange(gaussians.n_labels), n_samples)
        own = np.arange(len(X)), drawn_from
        excess = np.where(settled, _excess(target[own] - source[own]), 1.0)
        given_label[:, a] = excess.reshape(-1, n_samples).mean(axis=1)
        mixtures = [
            logsumexp(densities, b=weights, axis=1)
            for densities, weights in (
                (target, conditional[:, reference]),
                (source, conditional[:, a]),
            )
        ]
        excess = np.where(settled, _excess(mixtures[0] - mixtures[1]), 1.0)
        marginal[a] = conditional[:, a] @ excess.reshape(-1, n_samples).mean(axis=1)
    pairs = np.array([_sum_two_largest(row) for row in given_label])
    bounds = {
        "equalized_odds": float(pairs.max()),
        "equal_opportunity": float(pairs[positive]),
        "demographic_parity": _sum_two_largest(marginal),
    }
    return {name: Certificate(min(bound, 1.0), "model estimate") for name, bound in bounds.items()}


def _draws(gaussians: SubgroupGaussians, group: int, size: int, rng: np.random.Generator) -> Array:
    """Draw ``size`` rows of every label of one group, label after label, (K * size, d)."""
    factors = np.linalg.cholesky(gaussians.covariances[:, group])
    normal = rng.standard_normal((gaussians.n_labels, size, factors.shape[-1]))
    rows = gaussians.means[:, group][:, None] + normal @ np.swapaxes(factors, -1, -2)
    return rows.reshape(-1, factors.shape[-1])


def _excess(log_ratio: Array) -> Array:
    """Return ``(1 - ratio)_+``, whose mean under the denominator is the total variation."""
    excess: Array = np.maximum(0.0, -np.expm1(np.minimum(log_ratio, 0.0)))
    return excess


def _sum_two_largest(distances: Array) -> float:
    return float(np.sort(distances)[-2:].sum())
