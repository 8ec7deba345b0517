"""Probability of the label given features and group under fitted Gaussians."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import logsumexp, softmax

from fairsteer._linalg import Array, inv_spd
from fairsteer.affine import AffineMap
from fairsteer.gaussian import SubgroupGaussians


def log_density(X: Array, mean: Array, covariance: Array) -> Array:
    """Return the log density of N(mean, covariance) at the rows of X, shape (n,)."""
    factor = np.linalg.cholesky(covariance)
    standardised = solve_triangular(factor, (X - mean).T, lower=True)
    constant = np.log(np.diag(factor)).sum() + 0.5 * len(mean) * np.log(2.0 * np.pi)
    with np.errstate(over="ignore"):
        density: Array = -0.5 * np.sum(standardised**2, axis=0) - constant
    return density


def subgroup_log_densities(gaussians: SubgroupGaussians, X: Array, group: int) -> Array:
    """Return the log density of every label's law in one group at the rows of X, shape (n, K)."""
    laws = zip(gaussians.means[:, group], gaussians.covariances[:, group], strict=True)
    return np.stack([log_density(X, mean, covariance) for mean, covariance in laws], axis=1)


def label_posterior(gaussians: SubgroupGaussians, X: Array, group: int) -> Array:
    """Return ``p(label | x, group)`` for rows of one group.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        The fitted law.
    X : ndarray of shape (n, d)
        Rows that all belong to the group.
    group : int
        Position of the group.

    Returns
    -------
    ndarray of shape (n, K)
        Rows sum to one.

    Raises
    ------
    ValueError
        If a row lies so far away that every density vanishes in floating point.
    """
    scores = subgroup_log_densities(gaussians, X, group) + np.log(gaussians.priors[:, group])
    _refuse_lost(scores)
    posterior: Array = softmax(scores, axis=1)
    return posterior


def label_weights(
    gaussians: SubgroupGaussians, X: Array, group: int, strategy: str, draws: Array
) -> Array:
    """Return what stands for the unknown label of rows of one group, shape (n, K).

    Parameters
    ----------
    gaussians, X, group
        As in :func:`label_posterior`.
    strategy : {"posterior", "map", "sample"}
        The posterior itself, 1 at its largest entry, or 1 at a label drawn from it.
    draws : ndarray of shape (n,)
        In (0, 1); used by ``"sample"`` alone.

    Returns
    -------
    ndarray of shape (n, K)
        Rows sum to one.
    """
    posterior = label_posterior(gaussians, X, group)
    if strategy == "posterior":
        return posterior
    if strategy == "map":
        chosen = posterior.argmax(axis=1)
    else:
        passed = draws[:, None] > np.cumsum(posterior, axis=1)
        chosen = np.minimum(passed.sum(axis=1), gaussians.n_labels - 1)
    weights: Array = np.eye(gaussians.n_labels)[chosen]
    return weights


def group_posterior(
    gaussians: SubgroupGaussians, X: Array, labels: NDArray[np.intp] | None = None
) -> Array:
    """Return ``p(group | x)`` for rows of unknown group, shape (n, G).

    Parameters
    ----------
    gaussians : SubgroupGaussians
        The fitted law.
    X : ndarray of shape (n, d)
        Rows.
    labels : ndarray of shape (n,), default=None
        Positions of their labels, for ``p(group | x, label)``; default unknown.

    Raises
    ------
    ValueError
        If a row lies so far away that every density vanishes in floating point.
    """
    joint = np.stack(
        [
            subgroup_log_densities(gaussians, X, a) + np.log(gaussians.priors[:, a])
            for a in range(gaussians.n_groups)
        ],
        axis=1,
    )
    rows = np.arange(len(X))
    scores = logsumexp(joint, axis=2) if labels is None else joint[rows, :, labels]
    _refuse_lost(scores)
    posterior: Array = softmax(scores, axis=1)
    return posterior


def posterior_displacement(
    gaussians: SubgroupGaussians,
    maps: AffineMap,
    X: Array,
    group: int,
    weights: Array | None = None,
) -> Array:
    """Return ``sum_i p(i | x, group) T_i(x) - x``, the label-free move of rows of one group.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        The law that gives the posterior.
    maps : AffineMap of shape (K, G)
        ``T_i`` of every label and group.
    X : ndarray of shape (n, d)
        Rows that all belong to the group.
    group : int
        Position of the group.
    weights : ndarray of shape (n, K), default=None
        What stands for the label; default the posterior.

    Returns
    -------
    ndarray of shape (n, d)
    """
    if weights is None:
        weights = label_posterior(gaussians, X, group)
    moved = np.zeros_like(X)
    for i in range(gaussians.n_labels):
        moved += weights[:, [i]] * maps[i, group].displacement(X)
    return moved


def posterior_derivative(
    gaussians: SubgroupGaussians, maps: AffineMap, X: Array, group: int
) -> Array:
    """Return the derivative ``DT(x)`` of the map of :func:`posterior_displacement`.

    ``DT = sum_i p_i M_i + sum_i (T_i(x) - x) grad p_i'``, where
    ``grad p_i = p_i (s_i - sum_k p_k s_k)`` and ``s_i`` is the gradient of the log density.

    Parameters
    ----------
    gaussians, maps, X, group
        As in :func:`posterior_displacement`.

    Returns
    -------
    ndarray of shape (n, d, d)
    """
    posterior = label_posterior(gaussians, X, group)
    precisions = inv_spd(gaussians.covariances[:, group])
    scores = np.stack(
        [-(X - mean) @ P for mean, P in zip(gaussians.means[:, group], precisions, strict=True)]
    )
    centred = scores - np.einsum("ni,inj->nj", posterior, scores)
    derivative: Array = np.einsum("ni,ijk->njk", posterior, maps.matrix[:, group])
    for i in range(gaussians.n_labels):
        shift = posterior[:, [i]] * maps[i, group].displacement(X)
        derivative += shift[:, :, None] * centred[i][:, None, :]
    return derivative


def _refuse_lost(scores: Array) -> None:
    lost = ~np.isfinite(scores).all(axis=1)
    if lost.any():
        raise ValueError(
            f"{int(lost.sum())} row(s) lie so far from the fitted laws that no label can be "
            "weighed: check the features' units, or clip them to the range seen in training."
        )
