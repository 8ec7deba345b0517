"""The objective of an affirmative intervention on one group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fairsteer.core.linalg import Array, distinct, inv_spd, logdet, roots, sqrtm, symmetrize

_MOST_UNKNOWNS = 256
"""Size of B up to which the Hessian is kept as a matrix, because its products are faster then."""


@dataclass(frozen=True, eq=False)
class GroupProblem:
    """Find the map ``(B, c)`` that brings the reference's Gaussians nearest to those of a group.

    The objective ``J(B, c) = sum_i w_i KL(N(B m_i + c, B S_i B') || N(mu_i, Sigma_i))``, in nats,
    is the group's term in the divergence of an affirmative intervention, divided by its weight.

    Parameters
    ----------
    weights : ndarray of shape (K,)
        ``w_i``, positive, summing to 1.
    reference_means : ndarray of shape (K, d)
        ``m_i``.
    reference_covariances : ndarray of shape (K, d, d)
        ``S_i``.
    means : ndarray of shape (K, d)
        ``mu_i`` of the group that changes.
    covariances : ndarray of shape (K, d, d)
        ``Sigma_i`` of the group that changes.
    """

    weights: Array
    reference_means: Array
    reference_covariances: Array
    means: Array
    covariances: Array

    @property
    def n_features(self) -> int:
        """Number of features, d."""
        return int(self.means.shape[-1])

    @property
    def tied(self) -> bool:
        """Whether all labels share one covariance, in the reference and in the group."""
        return len(distinct(self.covariances)) == len(distinct(self.reference_covariances)) == 1

    @cached_property
    def weighted_precisions(self) -> Array:
        """``w_i Sigma_i^{-1}``, shape (K, d, d)."""
        return self.weights[:, None, None] * inv_spd(distinct(self.covariances))

    @cached_property
    def total_precision_inverse(self) -> Array:
        """``(sum_i w_i Sigma_i^{-1})^{-1}``, shape (d, d)."""
        return inv_spd(self.weighted_precisions.sum(axis=0))

    @cached_property
    def constant(self) -> float:
        """The terms of J that depend on neither B nor c."""
        log_ratio = logdet(distinct(self.covariances)) - logdet(
            distinct(self.reference_covariances)
        )
        return float(0.5 * np.sum(self.weights * (log_ratio - self.n_features)))

    def pooled(self) -> tuple[Array, Array]:
        """Return the mean covariance of the reference and of the group, shape (d, d) each."""
        if self.tied:
            return self.reference_covariances[0], self.covariances[0]
        reference = np.einsum("i,ijk->jk", self.weights, self.reference_covariances)
        return reference, np.einsum("i,ijk->jk", self.weights, self.covariances)

    def offset(self, matrix: Array) -> Array:
        """Return the optimal ``c`` given ``B``, shape (d,)."""
        gap = self.means - self.reference_means @ matrix.T
        if self.tied:
            return np.asarray(self.weights @ gap)
        best: Array = self.total_precision_inverse @ np.einsum(
            "ijk,ik->j", self.weighted_precisions, gap
        )
        return best

    def residuals(self, matrix: Array) -> Array:
        """Return ``e_i = B m_i + c - mu_i`` at the optimal ``c``, shape (K, d)."""
        gap = self.reference_means @ matrix.T - self.means
        return gap + self.offset(matrix)

    def value(self, matrix: Array) -> float:
        """Return ``J(B, c)`` at the optimal ``c``, in nats."""
        e = self.residuals(matrix)
        second_moments = matrix @ self.reference_covariances @ matrix.T
        second_moments += e[:, :, None] * e[:, None, :]
        quadratic = 0.5 * float(np.sum(self.weighted_precisions * second_moments))
        return self.constant - float(logdet(matrix)) + quadratic

    def quadratic_gradient(self, matrix: Array) -> Array:
        """Return ``dJ/dB + B^{-T}`` at the optimal ``c``, shape (d, d)."""
        e = self.residuals(matrix)
        if self.tied:
            products = (self.weights[:, None] * e).T @ self.reference_means
            total = matrix @ self.reference_covariances[0] + products
            return np.linalg.solve(self.covariances[0], total)
        inner = matrix @ self.reference_covariances + e[:, :, None] * self.reference_means[:, None]
        gradient: Array = np.sum(self.weighted_precisions @ inner, axis=0)
        return gradient

    def curvature(self, precisions: Array) -> Callable[[Array], Array]:
        """Return the Hessian of the quadratic part, which maps a direction (d, d) to (d, d).

        ``X -> sum_i P_i [X S_i + (X m_i + dc) m_i']``, with ``dc`` the derivative of the optimal
        offset and ``P_i`` weighted precisions in the coordinates of the direction.
        """
        d = self.n_features
        if d * d > _MOST_UNKNOWNS:
            return lambda direction: self._curve(precisions, direction)
        means = self.reference_means
        moments = self.reference_covariances + means[:, :, None] * means[:, None, :]
        pulls = np.tensordot(precisions, means, (0, 0)).reshape(d, d * d)
        products = np.tensordot(precisions, moments, (0, 0))
        hessian = products.transpose(0, 2, 1, 3).reshape(d * d, d * d)
        hessian -= pulls.T @ np.linalg.solve(precisions.sum(axis=0), pulls)
        return lambda direction: (hessian @ direction.ravel()).reshape(d, d)

    def _curve(self, precisions: Array, direction: Array) -> Array:
        shifts = self.reference_means @ direction.T
        pull = np.einsum("ijk,ik->j", precisions, shifts)
        shifts = shifts - np.linalg.solve(precisions.sum(axis=0), pull)
        inner = direction @ self.reference_covariances
        inner += shifts[:, :, None] * self.reference_means[:, None]
        product: Array = np.sum(precisions @ inner, axis=0)
        return product

    def in_coordinates(self, left: Array, right: Array) -> GroupProblem:
        """Return the problem for ``left B right^{-1}``, after linear maps of the features."""
        return GroupProblem(
            weights=self.weights,
            reference_means=self.reference_means @ right.T,
            reference_covariances=symmetrize(right @ self.reference_covariances @ right.T),
            means=self.means @ left.T,
            covariances=symmetrize(left @ self.covariances @ left.T),
        )

    @cached_property
    def roots(self) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Square roots and their inverses of the reference's and the group's pooled covariance."""
        reference, group = self.pooled()
        return roots(reference), roots(group)

    def relative_gradient(self, matrix: Array) -> Array:
        """Return ``Sigma_r^{1/2} B' (dJ/dB) Sigma_r^{-1/2}``, pooled ``Sigma_r``, shape (d, d)."""
        (root, whiten), _ = self.roots
        inner = matrix.T @ self.quadratic_gradient(matrix)
        relative: Array = root @ inner @ whiten
        return relative - np.eye(self.n_features)

    def symmetric_gradient(self, s: Array) -> Array:
        """Return ``S^{1/2} (dJ/dS) S^{1/2}`` for symmetric ``B = S``, shape (d, d)."""
        root = sqrtm(s)
        inner = symmetrize(root @ self.quadratic_gradient(s) @ root)
        return inner - np.eye(self.n_features)

    def optimality(self, matrix: Array, *, symmetric: bool = False) -> float:
        """Return the Frobenius norm of the relative (or the symmetric) gradient."""
        gradient = self.symmetric_gradient if symmetric else self.relative_gradient
        return float(np.linalg.norm(gradient(matrix)))
