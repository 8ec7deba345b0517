"""Label-free channels: equalized odds, exactly, for rows whose label is unknown.

Given the group, let features be Gaussian with one covariance for all labels. A *channel* is an
affine map of every group plus Gaussian noise that does not depend on the label. If it carries
the features given each label to one distribution in every group, equalized odds holds exactly for
every classifier that sees its output and neither the features nor the group. Such a distribution
is a garbling of what every group's features say about the label (Blackwell 1953; for Gaussian
shifts Hansen and Torgersen 1974), so it cannot say more than the least informative group.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from fairsteer.core.affine import AffineMap
from fairsteer.core.divergence import gaussian_kl, mixture_kl
from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.linalg import Array, distinct, logdet, read_only, roots, symmetrize
from fairsteer.core.solvers._problem import GroupProblem
from fairsteer.core.solvers.tied import complement, tied_matrix

# Relative size below which an eigenvalue is rounding.
_RANK = 1e-10
# A smaller gap is lost in the rounding of differences of nearly equal matrices.
_GAP = 1e-7
_MAX_STEPS = 60


@dataclass(frozen=True)
class ChannelTarget:
    """The most informative Gram matrix below those of all groups.

    Parameters
    ----------
    gram : ndarray of shape (K - 1, K - 1)
        ``M``, with ``M <= M_a`` for every group in the Loewner order.
    multipliers : ndarray of shape (G, K - 1, K - 1)
        Positive semidefinite ``Z_a``; ``log det M`` is at most
        ``sum_a tr(Z_a M_a) - log det sum_a Z_a - (K - 1)`` for any such matrices. On singular
        problems they are those of the problem within ``basis``.
    gap : float
        That bound minus ``log det M``, which is at least the distance from the optimum.
    basis : ndarray of shape (K - 1, k)
        Orthonormal basis of the contrasts that all groups distinguish.
    """

    gram: Array
    multipliers: Array
    gap: float
    basis: Array


def channel_target(grams: Array) -> ChannelTarget:
    """Find the Gram matrix of largest determinant below those of all groups.

    Parameters
    ----------
    grams : ndarray of shape (G, K - 1, K - 1)
        ``M_a = D_a' D_a``, where the columns of ``D_a`` are contrasts of the label means, whitened
        by the covariance of the group.

    Returns
    -------
    ChannelTarget

    Raises
    ------
    ValueError
        If no contrast of labels is distinguished in every group.

    Notes
    -----
    In closed form for two labels (the smallest squared distance), for two groups (a simultaneous
    diagonalization; Hadamard's inequality) and where one matrix is below all others. Otherwise
    ``log det`` is maximized by Newton steps on a logarithmic barrier, a convex problem of
    ``K (K - 1) / 2`` variables. Among contrasts that some group does not distinguish, nothing can
    be kept: each matrix is first replaced by the largest one below it on their complement.
    """
    basis = _shared_contrasts(grams)
    if basis.shape[1] == 0:
        raise ValueError(
            "no channel keeps any information about the label: no contrast of labels can be told "
            "from the features in every group. Use more features, or constraint="
            "'demographic_parity' or 'equal_opportunity'."
        )
    inner = grams
    if basis.shape[1] < len(basis):
        inverses = np.stack([_pseudo_inverse(gram) for gram in grams])
        inner = np.linalg.inv(symmetrize(basis.T @ inverses @ basis))
    scale = roots(symmetrize(inner.mean(axis=0)))
    relative = symmetrize(scale[1] @ inner @ scale[1])
    kept, multipliers = _largest_below(relative)
    bound = np.einsum("ajk,akj->", multipliers, relative)
    bound -= logdet(multipliers.sum(axis=0)) + len(kept)
    return ChannelTarget(
        gram=symmetrize(basis @ scale[0] @ kept @ scale[0] @ basis.T),
        multipliers=symmetrize(scale[1] @ multipliers @ scale[1]),
        gap=float(bound - logdet(kept)),
        basis=basis,
    )


def _largest_below(grams: Array) -> tuple[Array, Array]:
    """Return the matrix of largest determinant below nonsingular ones, and multipliers."""
    zeros = np.zeros_like(grams)
    for a, gram in enumerate(grams):
        slack = np.linalg.eigvalsh(grams - gram).min()
        if slack >= -4.0 * np.finfo(float).eps * np.abs(grams).max():
            zeros[a] = np.linalg.inv(gram)
            return gram, zeros
    if len(grams) == 2:
        return _smaller_of_two(*grams)
    return _climb(grams)


def _smaller_of_two(first: Array, second: Array) -> tuple[Array, Array]:
    """Return the optimum for two groups: the smaller eigenvalues of their pencil."""
    ratios, vectors = eigh(first, second)
    inverse = np.linalg.inv(vectors)
    kept = inverse.T @ (np.minimum(ratios, 1.0)[:, None] * inverse)
    first_binds = ratios < 1.0
    weights = np.stack([first_binds / ratios, ~first_binds])
    return symmetrize(kept), (vectors * weights[:, None]) @ vectors.T


def _climb(grams: Array) -> tuple[Array, Array]:
    """Maximize ``log det M`` below three or more matrices by an interior point method."""
    k = grams.shape[-1]
    kept = 0.99 * _sweep(grams)
    rows, columns = np.tril_indices(k)
    count = np.arange(len(rows))
    symmetric = np.zeros((len(rows), k, k))
    symmetric[count, rows, columns] = symmetric[count, columns, rows] = 1.0

    def slope(inverses: Array) -> Array:
        vector: Array = np.einsum("njk,jk->n", symmetric, inverses)
        return vector

    def curvature(inverse: Array) -> Array:
        moved = inverse @ symmetric @ inverse
        matrix: Array = np.einsum("njk,mjk->nm", symmetric, moved)
        return matrix

    barrier = 1.0
    while True:
        for _ in range(_MAX_STEPS):
            own, slack = np.linalg.inv(kept), np.linalg.inv(grams - kept)
            gradient = slope(own) - barrier * slope(slack.sum(axis=0))
            hessian = curvature(own)
            for inverse in slack:
                hessian += barrier * curvature(inverse)
            coefficients = np.linalg.solve(hessian, gradient)
            step = np.einsum("n,njk->jk", coefficients, symmetric)
            decrement = float(np.sqrt(max(gradient @ coefficients, 0.0)))
            length = 1.0 if decrement < 0.25 else 1.0 / (1.0 + decrement)
            # The barrier is self-concordant once divided by its parameter, hence halving.
            while not _is_between(kept + length * step, grams):
                length *= 0.5
            kept = kept + length * step
            if decrement**2 <= 1e-3 * barrier:
                break
        if barrier * k * len(grams) <= _GAP:
            return kept, _balance(np.linalg.inv(grams - kept), kept)
        barrier *= 0.1


def _balance(multipliers: Array, kept: Array) -> Array:
    """Return multipliers, by congruence, whose sum is the inverse of the matrix, as at optima."""
    change = roots(multipliers.sum(axis=0))[1] @ roots(kept)[1]
    balanced: Array = change.T @ multipliers @ change
    return balanced


def _sweep(grams: Array) -> Array:
    """Return a feasible start: pairs of groups one after another, in the best rotation."""
    found = []
    for start in range(len(grams)):
        kept = grams[start]
        for other in np.roll(grams, -start - 1, axis=0)[:-1]:
            kept, _ = _smaller_of_two(kept, other)
        found.append(kept)
    best: Array = max(found, key=logdet)
    return best


def _is_between(matrix: Array, grams: Array) -> bool:
    return bool(
        np.linalg.eigvalsh(matrix)[0] > 0.0 and np.linalg.eigvalsh(grams - matrix).min() > 0.0
    )


def _shared_contrasts(grams: Array) -> Array:
    """Return an orthonormal basis of the intersection of the ranges."""
    lost = sum(
        (np.eye(grams.shape[-1]) - _range_projection(gram) for gram in grams),
        np.zeros(grams.shape[1:]),
    )
    values, vectors = np.linalg.eigh(lost)
    basis: Array = vectors[:, values < 1e-6]
    if basis.shape[1] == len(basis):
        return np.eye(len(basis))
    return basis


def _range_projection(gram: Array) -> Array:
    values, vectors = np.linalg.eigh(gram)
    own = vectors[:, values > _RANK * max(values[-1], np.finfo(float).tiny)]
    projection: Array = own @ own.T
    return projection


def _pseudo_power(gram: Array, power: float) -> Array:
    values, vectors = np.linalg.eigh(gram)
    kept = values > _RANK * values[-1]
    vectors = vectors[:, kept]
    powered: Array = (vectors * values[kept] ** power) @ vectors.T
    return powered


def _pseudo_inverse(gram: Array) -> Array:
    return _pseudo_power(gram, -1.0)


@dataclass(frozen=True, eq=False)
class LabelFreeChannel:
    """An affine map of every group, and Gaussian noise, that need no label.

    Parameters
    ----------
    maps : AffineMap of shape (G,)
        The affine part, into the frame of the reference group.
    noise : ndarray of shape (G, d, k)
        A row of group a gets ``noise[a] @ z`` added, with standard normal ``z`` (k,).
    blurred : ndarray of shape (G,)
        Whether rows of the group get noise.
    source : SubgroupGaussians
        The distribution that is carried, one covariance per group.
    target : ChannelTarget
        What is kept about the label.
    kl_divergence : float
        ``KL(target || source)`` in nats, where the target's Gaussians are carried to every group
        by the affine map that brings them nearest.
    """

    maps: AffineMap
    noise: Array
    blurred: NDArray[np.bool_]
    source: SubgroupGaussians
    target: ChannelTarget
    kl_divergence: float

    def __post_init__(self) -> None:
        for name in ("noise", "blurred"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Copies and files lose write protection.
        self.__dict__.update(state)
        self.__post_init__()

    @property
    def n_draws(self) -> int:
        """Number of standard normal draws that a row needs."""
        return int(self.noise.shape[-1])

    def apply(self, rows: Array, codes: NDArray[np.intp], draws: Array) -> Array:
        """Move rows.

        Parameters
        ----------
        rows : ndarray of shape (n, d)
            Rows.
        codes : ndarray of shape (n,)
            Positions of their groups.
        draws : ndarray of shape (n, n_draws)
            Standard normal, independent of the labels.

        Returns
        -------
        ndarray of shape (n, d)
        """
        moved = np.empty_like(rows, dtype=np.float64)
        for group in np.unique(codes):
            own = codes == group
            moved[own] = self.maps[group].apply(rows[own])
            if self.blurred[group]:
                moved[own] += draws[own] @ self.noise[group].T
        return moved

    def push(self, means: Array, covariances: Array) -> tuple[Array, Array]:
        """Return means (K, G, d) and covariances (K, G, d, d) of what Gaussians become."""
        moved, spread = self.maps.pushforward(means, distinct(covariances))
        spread = spread + self.noise @ self.noise.transpose(0, 2, 1)
        return moved, np.broadcast_to(spread, covariances.shape)

    def pushforward(self) -> SubgroupGaussians:
        """Return the distribution of the output, which given the label is one in all groups."""
        means, covariances = self.push(self.source.means, self.source.covariances)
        return replace(self.source, means=means, covariances=covariances)


def gaussian_channel(gaussians: SubgroupGaussians, reference_group: object) -> LabelFreeChannel:
    """Return the label-free channel that makes equalized odds exact and keeps the most.

    Given a label, the output has the same Gaussian in every group, so any classifier of it that
    sees neither the features nor the group has an equalized odds gap of exactly 0. With two labels
    no treatment that ignores the label of the row, random or not, before, in or after training,
    that is exactly fair supports better decisions, for any loss: the output is the greatest common
    garbling of the groups' features. With more labels it is the one of largest determinant among
    affine maps with Gaussian noise. The gap of demographic parity is at most
    ``1/2 sum_i |P(i | a) - P(i | b)|``.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        One covariance per group for all labels. Others are pooled within the group, and the
        statements above then hold approximately.
    reference_group : object
        Value of the group in whose frame rows arrive. Its rows stay where they are if it is the
        least informative one.

    Returns
    -------
    LabelFreeChannel

    Raises
    ------
    ValueError
        If there is one label or one group only, the group does not exist, or no contrast of labels
        can be told from the features in every group.

    References
    ----------
    Blackwell (1953), "Equivalent comparisons of experiments", Annals of Mathematical Statistics.
    Hansen and Torgersen (1974), "Comparison of linear normal experiments", Annals of Statistics.
    """
    if gaussians.n_labels < 2 or gaussians.n_groups < 2:
        raise ValueError(
            "a channel needs at least 2 labels and 2 groups, got "
            f"{gaussians.n_labels} and {gaussians.n_groups}."
        )
    reference = gaussians.group_index(reference_group)
    tied = _tie(gaussians)
    root, whiten = roots(tied.covariances[0])
    shares = gaussians.priors.sum(axis=1)
    centers = np.einsum("i,iaj->aj", shares, gaussians.means)
    contrasts = _contrasts(gaussians.n_labels)
    differences = np.einsum("ajk,iak,ic->ajc", whiten, gaussians.means, contrasts)
    grams = symmetrize(differences.transpose(0, 2, 1) @ differences)
    target = channel_target(grams)

    arrived = _in_frame(differences[reference], grams[reference], target.gram)
    linear = np.stack(
        [_carry(own, gram, arrived) for own, gram in zip(differences, grams, strict=True)]
    )
    spread, k = np.eye(gaussians.n_features) - linear @ linear.transpose(0, 2, 1), len(grams[0])
    values, vectors = np.linalg.eigh(symmetrize(spread))
    # The noise has at most K - 1 dimensions; the others are rounding.
    k = min(k, gaussians.n_features)
    values, vectors = values[:, -k:], vectors[:, :, -k:]
    values = np.where(values > 1e-12, values, 0.0)
    noise = root[reference] @ (vectors * np.sqrt(values)[:, None, :])
    blurred = np.any(values > 0.0, axis=1, keepdims=True)[:, 0]
    matrix = root[reference] @ linear @ whiten
    stays = ~blurred & (np.arange(len(matrix)) == reference)
    matrix[stays] = np.eye(gaussians.n_features)
    offset = centers[reference] - np.einsum("ajk,ak->aj", matrix, centers)
    offset[stays] = 0.0

    means = centers[reference] + contrasts @ (root[reference] @ arrived).T
    means -= shares @ (means - centers[reference])
    return LabelFreeChannel(
        maps=AffineMap(matrix, offset),
        noise=noise,
        blurred=blurred,
        source=tied,
        target=target,
        kl_divergence=_carried_kl(tied, means, tied.covariances[0, reference]),
    )


def _tie(gaussians: SubgroupGaussians) -> SubgroupGaussians:
    """Return the distribution with the covariances of the labels pooled within each group."""
    if len(distinct(gaussians.covariances)) == 1:
        return gaussians
    shares = gaussians.priors / gaussians.priors.sum(axis=0)
    pooled = np.einsum("ia,iajk->ajk", shares, gaussians.covariances)
    return replace(
        gaussians, covariances=np.broadcast_to(pooled[None], gaussians.covariances.shape)
    )


def _contrasts(n_labels: int) -> Array:
    """Return orthonormal contrasts (K, K - 1): Helmert's, whose columns sum to 0."""
    full = np.eye(n_labels) - 1.0 / n_labels
    return np.linalg.qr(full[:, :-1])[0]


def _in_frame(differences: Array, own: Array, target: Array) -> Array:
    """Return ``D`` (d, K - 1) with ``D'D`` the target, nearest to the reference's differences."""
    root, inverse = _pseudo_power(own, 0.5), _pseudo_power(own, -0.5)
    between = _pseudo_power(symmetrize(root @ target @ root), 0.5)
    arrived: Array = differences @ inverse @ between @ inverse
    return arrived


def _carry(differences: Array, gram: Array, arrived: Array) -> Array:
    """Return the whitened linear map (d, d) of a group that takes its differences to `arrived`."""
    matrix = arrived @ _pseudo_inverse(gram) @ differences.T
    free_from, free_to = _free(differences), _free(arrived)
    left, _, right = np.linalg.svd(free_to.T @ free_from, full_matrices=False)
    matrix += free_to @ left @ right @ free_from.T
    return matrix


def _free(directions: Array) -> Array:
    """Return an orthonormal basis of the complement of the range of `directions` (d, m)."""
    left, sizes, _ = np.linalg.svd(directions, full_matrices=False)
    return complement(left[:, sizes > np.sqrt(_RANK) * max(sizes[0], np.finfo(float).tiny)])


def _carried_kl(source: SubgroupGaussians, means: Array, covariance: Array) -> float:
    """Return the divergence of a template that is carried to every group by its nearest map."""
    covariances = np.broadcast_to(covariance, (len(means), *covariance.shape))
    kl = np.empty(source.priors.shape)
    for a, weights in enumerate(source.priors.T):
        problem = GroupProblem(
            weights=weights / weights.sum(),
            reference_means=means,
            reference_covariances=covariances,
            means=source.means[:, a],
            covariances=source.covariances[:, a],
        )
        matrix = tied_matrix(problem)
        carried = AffineMap(matrix, problem.offset(matrix))
        kl[:, a] = gaussian_kl(
            *carried.pushforward(means, covariances[:1]),
            source.means[:, a],
            source.covariances[:1, a],
        )
    return mixture_kl(source.priors, source.priors, kl)
