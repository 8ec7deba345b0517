"""Probabilities of label and group under fitted Gaussians, and displacements averaged over them.

Functions with an argument ``xp`` work on NumPy arrays or, with ``xp=torch``, on tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import ndtri

from fairsteer.core.affine import AffineMap, MeanDisplacement, extend_rows
from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.linalg import Array, distinct, inv_spd
from fairsteer.core.marginals import Marginals


@dataclass(frozen=True, eq=False)
class LabelDensities:
    """The Gaussians of one group given each label, factorized for any number of rows.

    Parameters
    ----------
    origin : ndarray of shape (d,)
        Point that is subtracted from rows, see :func:`fairsteer.core.affine.extend_rows`.
    whiteners : ndarray of shape (1, d + 1, d) or (K, d + 1, d)
        Factors that whiten extended rows; a single matrix if the labels share a covariance.
    centers : ndarray of shape (K, d) or None
        Whitened means if the labels share a covariance, else None.
    slopes : ndarray of shape (K, d + 1) or None
        Log odds of the labels are linear in extended rows if the labels share a covariance: their
        slopes, priors included; else None.
    log_priors : ndarray of shape (K,)
        Logarithms of ``P(label, group)``.
    constants : ndarray of shape (K,)
        Log densities at the means.
    """

    origin: Array
    whiteners: Array
    centers: Array | None
    slopes: Array | None
    log_priors: Array
    constants: Array

    @classmethod
    def of_group(
        cls, gaussians: SubgroupGaussians, group: int, origin: Array | None = None
    ) -> LabelDensities:
        """Factorize the Gaussians of the group at a position."""
        means = gaussians.means[:, group]
        d = means.shape[1]
        origin = means.mean(axis=0) if origin is None else origin
        factors = np.linalg.cholesky(distinct(gaussians.covariances[:, group]))
        whiteners = [solve_triangular(factor, np.eye(d), lower=True) for factor in factors]
        shared = len(factors) == 1
        shifts = np.zeros_like(means[:1]) if shared else means - origin
        extended = np.stack(
            [
                np.vstack([whitener.T, -whitener @ shift])
                for whitener, shift in zip(whiteners, shifts, strict=True)
            ]
        )
        log_priors = np.log(gaussians.priors[:, group])
        centers = slopes = None
        if shared:
            centers = (means - origin) @ whiteners[0].T
            slopes = centers @ extended[0].T
            slopes[:, -1] += log_priors - 0.5 * np.einsum("ij,ij->i", centers, centers)
        return cls(
            origin=origin,
            whiteners=extended,
            centers=centers,
            slopes=slopes,
            log_priors=log_priors,
            constants=np.broadcast_to(
                -np.log(np.einsum("ijj->ij", factors)).sum(axis=1) - 0.5 * d * np.log(2.0 * np.pi),
                len(means),
            ),
        )

    def log_densities(self, rows: Any, xp: Any = np) -> Any:
        """Return the log density of every label at extended rows (n, d + 1), shape (K, n)."""
        if self.centers is None:
            squares = []
            for whitener in self.whiteners:
                white = rows @ whitener
                squares.append(xp.einsum("nj,nj->n", white, white))
            return -0.5 * xp.stack(squares) + self.constants[:, None]
        # Rows are whitened once for all labels: |z - c|^2 = |z|^2 - 2 z'c + |c|^2.
        white = rows @ self.whiteners[0]
        densities = self.centers @ white.T
        densities -= 0.5 * xp.einsum("ij,ij->i", self.centers, self.centers)[:, None]
        densities -= 0.5 * xp.einsum("nj,nj->n", white, white)
        densities += self.constants[:, None]
        return densities

    def log_joint(self, rows: Any, xp: Any = np) -> Any:
        """Return ``log p(x, label, group)`` of every label at extended rows, shape (K, n)."""
        return self.log_densities(rows, xp) + self.log_priors[:, None]

    def weights(self, rows: Any, strategy: str, draws: Any = None, xp: Any = np) -> Any:
        """Return the weights of the labels of rows whose label is unknown, shape (K, n).

        Parameters
        ----------
        rows : array of shape (n, d + 1)
            Rows of the group, extended at ``origin``.
        strategy : {"posterior", "map", "sample"}
            The posterior, 1 at its largest entry, or 1 at a label drawn from it.
        draws : array of shape (n,), default=None
            In (0, 1); used by ``"sample"`` only.
        xp : module, default=numpy
            Array namespace.

        Raises
        ------
        ValueError
            If a row is so far away that every density underflows; only with NumPy, and only where
            the labels have covariances of their own.
        """
        scores = self.log_joint(rows, xp) if self.slopes is None else self.slopes @ rows.T
        if xp is np:
            check_densities(scores)
        posterior = normalize(scores, xp)
        if strategy == "posterior":
            return posterior
        if strategy == "map":
            chosen = xp.argmax(posterior, axis=0)
        else:
            passed = draws > np.cumsum(posterior, axis=0)
            chosen = np.minimum(passed.sum(axis=0), len(posterior) - 1)
        numbers = xp.cumsum(xp.ones_like(self.constants), 0) - 1.0
        return (numbers[:, None] == chosen[None]) * xp.ones_like(posterior)


def normalize(scores: Any, xp: Any = np) -> Any:
    """Return the softmax of scores along the first axis."""
    # Sums along the short axis are fast if it comes first.
    powers = xp.exp(scores - xp.amax(scores, axis=0))
    # Not in place, which PyTorch could not differentiate.
    return powers / xp.sum(powers, axis=0)


def check_densities(scores: Array) -> None:
    """Check that the log densities (m, n) of rows are finite.

    Raises
    ------
    ValueError
        If a row is so far away that every density underflows.
    """
    lost = ~np.isfinite(scores).all(axis=0)
    if lost.any():
        raise ValueError(
            f"{int(lost.sum())} rows are so far from every fitted Gaussian that label "
            "probabilities underflow: check the features' units, or clip them to the range of the "
            "training rows."
        )


def subgroup_log_densities(gaussians: SubgroupGaussians, X: Array, group: int) -> Array:
    """Return the log density of every label in one group at the rows of X, shape (n, K)."""
    densities = LabelDensities.of_group(gaussians, group)
    with np.errstate(over="ignore", invalid="ignore"):
        logs: Array = densities.log_densities(extend_rows(X, densities.origin)).T
    return logs


def label_posterior(gaussians: SubgroupGaussians, X: Array, group: int) -> Array:
    """Return ``p(label | x, group)`` for rows of one group.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        The fitted distribution.
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
        If a row is so far away that every density underflows.
    """
    densities = LabelDensities.of_group(gaussians, group)
    with np.errstate(over="ignore", invalid="ignore"):
        posterior: Array = densities.weights(extend_rows(X, densities.origin), "posterior").T
    return posterior


def population_densities(gaussians: SubgroupGaussians) -> tuple[LabelDensities, ...]:
    """Return the label densities of every group, all with one origin."""
    origin = np.einsum("ia,iaj->j", gaussians.priors, gaussians.means)
    return tuple(LabelDensities.of_group(gaussians, a, origin) for a in range(gaussians.n_groups))


def group_posterior(
    population: tuple[LabelDensities, ...],
    X: Any,
    labels: NDArray[np.intp] | None = None,
    xp: Any = np,
) -> Any:
    """Return ``p(group | x)`` for rows of unknown group, shape (G, n).

    Parameters
    ----------
    population : tuple of LabelDensities
        From :func:`population_densities`.
    X : array of shape (n, d)
        Rows.
    labels : ndarray of shape (n,), default=None
        Positions of the labels, for ``p(group | x, label)``; default unknown.
    xp : module, default=numpy
        Array namespace.

    Raises
    ------
    ValueError
        If a row is so far away that every density underflows; only with NumPy.
    """
    rows = extend_rows(X, population[0].origin, xp)
    with np.errstate(over="ignore", invalid="ignore"):
        joint = [densities.log_joint(rows, xp) for densities in population]
        if labels is None:
            scores = xp.stack([_log_sum(own, xp) for own in joint])
        else:
            scores = np.stack([own[labels, np.arange(len(X))] for own in joint])
    if xp is np:
        check_densities(scores)
    return normalize(scores, xp)


def _log_sum(scores: Any, xp: Any) -> Any:
    """Return the logarithm of the sum of exponentials over the first axis."""
    largest = xp.amax(scores, axis=0)
    return largest + xp.log(xp.sum(xp.exp(scores - largest), axis=0))


@dataclass(frozen=True, eq=False)
class GroupMotion:
    """Displacement of rows of one group, on the common scale of the marginals.

    Parameters
    ----------
    marginals : Marginals
        Transforms between features, scores and the common scale.
    group : int
        Position of the group.
    displacement : MeanDisplacement
        Displacement of the scores, for every label or for all labels together.
    densities : LabelDensities or None
        Densities that weigh unknown labels; None if the displacement does not depend on the label.
    strategy : str
        Treatment of unknown labels, in ``LABEL_STRATEGIES``.
    strength : float
        Factor of the displacement, in [0, 1].
    noise : ndarray of shape (d, k), default=None
        Factor of Gaussian noise that is added to the scores.
    """

    marginals: Marginals
    group: int
    displacement: MeanDisplacement
    densities: LabelDensities | None
    strategy: str
    strength: float
    noise: Array | None = None

    def __call__(
        self, X: Any, draws: Any = None, labels: NDArray[np.intp] | None = None, xp: Any = np
    ) -> Any:
        """Return the displacements of rows.

        Parameters
        ----------
        X : array of shape (n, d)
            Rows.
        draws : array of shape (n, d + 1 + k), default=None
            Draws in (0, 1): d columns that spread tied values, one that chooses labels, and k of
            the noise.
        labels : ndarray of shape (n,), default=None
            Positions of known labels.
        xp : module, default=numpy
            Array namespace.

        Returns
        -------
        array of shape (n, d)
        """
        d = X.shape[1]
        ties, choice = (None, None) if draws is None else (draws[:, :d], draws[:, d])
        scores = self.marginals.scores(X, self.group, ties)
        rows = extend_rows(scores, self.displacement.origin, xp)
        n_labels, weights = len(self.displacement.shifts), None
        if self.densities is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                weights = self.densities.weights(rows, self.strategy, choice, xp).T
        elif labels is not None and n_labels > 1:
            weights = np.eye(n_labels)[labels]
        step = self.displacement(rows, weights)
        if self.noise is not None:
            quantiles = ndtri if xp is np else xp.special.ndtri
            step = step + quantiles(draws[:, d + 1 :]) @ self.noise.T
        step = self.marginals.carry(X, self.group, ties, step)
        if self.strength != 1.0:
            step *= self.strength
        return step


@dataclass(frozen=True, eq=False)
class PopulationMotion:
    """Displacement of rows of unknown group: the mean over groups, weighted by p(group | x).

    Parameters
    ----------
    marginals : Marginals
        Transforms between features and the common scale.
    population : tuple of LabelDensities
        Densities of every group, on the common scale.
    motions : tuple of callable or None
        Displacement of every group; None for a group whose rows are not moved.
    """

    marginals: Marginals
    population: tuple[LabelDensities, ...]
    motions: tuple[Any, ...]

    def __call__(
        self, X: Any, draws: Any = None, labels: NDArray[np.intp] | None = None, xp: Any = np
    ) -> Any:
        """Return the displacements (n, d) of rows (n, d), as `GroupMotion` does."""
        common = self.marginals.common(X, None if draws is None else draws[:, : X.shape[1]])
        known = labels if len(self.population[0].log_priors) > 1 else None
        weights = group_posterior(self.population, common, known, xp)
        moved = xp.zeros_like(X)
        for group, motion in enumerate(self.motions):
            if motion is not None:
                moved = moved + weights[group][:, None] * motion(X, draws, labels, xp)
        return moved


def posterior_displacement(
    gaussians: SubgroupGaussians,
    maps: AffineMap,
    X: Array,
    group: int,
    weights: Array | None = None,
) -> Array:
    """Return ``sum_i p(i | x, group) T_i(x) - x``, the label-free displacement of rows.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        The distribution that gives the posterior.
    maps : AffineMap of shape (K, G)
        ``T_i`` of every label and group.
    X : ndarray of shape (n, d)
        Rows that all belong to the group.
    group : int
        Position of the group.
    weights : ndarray of shape (n, K), default=None
        Weights of the labels, default the posterior.

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
    centered = scores - np.einsum("ni,inj->nj", posterior, scores)
    derivative: Array = np.einsum("ni,ijk->njk", posterior, maps.matrix[:, group])
    for i in range(gaussians.n_labels):
        shift = posterior[:, [i]] * maps[i, group].displacement(X)
        derivative += shift[:, :, None] * centered[i][:, None, :]
    return derivative
