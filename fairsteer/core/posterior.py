"""Probability of the label given features and group under fitted Gaussians."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from fairsteer.core.affine import AffineMap, extended
from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.linalg import Array, distinct, inv_spd


class LabelLaws:
    """The laws of one group's features given each label, factorised once for any number of rows.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        The fitted law.
    group : int
        Position of the group.
    """

    def __init__(self, gaussians: SubgroupGaussians, group: int) -> None:
        means = gaussians.means[:, group]
        self.origin = means.mean(axis=0)
        self._log_priors = np.log(gaussians.priors[:, group])
        factors = np.linalg.cholesky(distinct(gaussians.covariances[:, group]))
        eye = np.eye(means.shape[1])
        whiteners = [solve_triangular(factor, eye, lower=True) for factor in factors]
        self._centres = (means - self.origin) @ whiteners[0].T if len(factors) == 1 else None
        centres = np.zeros_like(means[:1]) if len(factors) == 1 else means - self.origin
        self._whiteners = [
            np.vstack([whitener.T, -whitener @ centre])
            for whitener, centre in zip(whiteners, centres, strict=True)
        ]
        volumes = np.log(np.einsum("ijj->ij", factors)).sum(axis=1)
        self._constants = volumes + 0.5 * means.shape[1] * np.log(2.0 * np.pi)

    def log_densities(self, X: Array) -> Array:
        """Return the log density of every label's law at the rows of X (n, d), shape (n, K)."""
        return self._log_densities(extended(X, self.origin))

    def _log_densities(self, rows: Array) -> Array:
        densities = np.empty((len(self._log_priors), len(rows)))
        with np.errstate(over="ignore", invalid="ignore"):
            if self._centres is not None:
                # Whitened once for all labels: |z - c|^2 = |z|^2 - 2 z'c + |c|^2.
                white = rows @ self._whiteners[0]
                np.matmul(self._centres, white.T, out=densities)
                squares = np.einsum("ij,ij->i", self._centres, self._centres)
                densities -= 0.5 * squares[:, None]
                densities -= 0.5 * np.einsum("nj,nj->n", white, white)
            else:
                for i, whitener in enumerate(self._whiteners):
                    white = rows @ whitener
                    densities[i] = np.einsum("nj,nj->n", white, white)
                densities *= -0.5
        densities -= self._constants[:, None]
        return densities.T

    def posterior(self, X: Array) -> Array:
        """Return ``p(label | x, group)`` for rows (n, d) of the group, shape (n, K).

        Raises
        ------
        ValueError
            If a row lies so far away that every density vanishes in floating point.
        """
        return self._posterior(extended(X, self.origin))

    def _posterior(self, rows: Array) -> Array:
        return _normalised(self._log_densities(rows) + self._log_priors)

    def weights(self, rows: Array, strategy: str, draws: Array) -> Array:
        """Return what stands for the unknown labels of rows, shape (n, K); rows sum to one.

        Parameters
        ----------
        rows : ndarray of shape (n, d + 1)
            Rows of the group, extended at ``origin``.
        strategy : {"posterior", "map", "sample"}
            The posterior itself, 1 at its largest entry, or 1 at a label drawn from it.
        draws : ndarray of shape (n,)
            In (0, 1); used by ``"sample"`` alone.
        """
        posterior = self._posterior(rows)
        if strategy == "posterior":
            return posterior
        if strategy == "map":
            chosen = posterior.argmax(axis=1)
        else:
            passed = draws[:, None] > np.cumsum(posterior, axis=1)
            chosen = np.minimum(passed.sum(axis=1), posterior.shape[1] - 1)
        weights: Array = np.eye(posterior.shape[1])[chosen]
        return weights


def subgroup_log_densities(gaussians: SubgroupGaussians, X: Array, group: int) -> Array:
    """Return the log density of every label's law in one group at the rows of X, shape (n, K)."""
    return LabelLaws(gaussians, group).log_densities(X)


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
    return LabelLaws(gaussians, group).posterior(X)


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
    return _normalised(scores)


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
    return maps[:, group].mean_displacement(X, weights)


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


def _normalised(scores: Array) -> Array:
    """Return the laws (n, m) that are proportional to exponentials, refusing rows without one."""
    lost = ~np.isfinite(scores).all(axis=1)
    if lost.any():
        raise ValueError(
            f"{int(lost.sum())} row(s) lie so far from the fitted laws that no label can be "
            "weighed: check the features' units, or clip them to the range seen in training."
        )
    # Sums over the short axis are fast where it comes first.
    powers: Array = np.exp(scores.T - scores.T.max(axis=0))
    powers /= powers.sum(axis=0)
    return powers.T
