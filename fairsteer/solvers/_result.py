"""What the solvers return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fairsteer._linalg import Array
from fairsteer.affine import AffineMap
from fairsteer.gaussian import SubgroupGaussians

CONVERGED = 1e-6
"""Largest optimality at which a solution counts as converged."""


class GroupSolution(NamedTuple):
    """Optimal map of one group: ``B``, optimality (see SteeringResult), iterations."""

    matrix: Array
    optimality: float
    n_iter: int


@dataclass(frozen=True, eq=False)
class SteeringResult:
    """A nearest ideal law and how it was reached.

    Attributes
    ----------
    target : SubgroupGaussians
        The ideal law, each group in its own (native) frame.
    kl_divergence : float
        ``KL(target || data)`` in nats, priors included.
    kl_per_subgroup : ndarray of shape (K, G)
        Divergence of each subgroup's features, in nats, unweighted.
    group_maps : AffineMap of shape (G,)
        From the template (the reference group's frame) to each group's frame.
    optimality : float
        Frobenius norm of the gradient relative to the map,
        ``Sigma_r^{1/2} B' (dJ/dB) Sigma_r^{-1/2}``, with ``Sigma_r`` the reference's pooled
        covariance; for the whitened conditions of the gradient in the symmetric factor ``S``,
        ``S^{1/2} (dJ/dS) S^{1/2}``. The largest over groups; 0 where nothing is optimised.
    n_iter : int
        Iterations, summed over groups.
    converged : bool
        Whether ``optimality`` is at most 1e-6.
    reference_group : object
        Value of the group that keeps its law.
    solver : str
        Name of the solver.
    """

    target: SubgroupGaussians
    kl_divergence: float
    kl_per_subgroup: Array
    group_maps: AffineMap
    optimality: float
    n_iter: int
    converged: bool
    reference_group: object
    solver: str

    @property
    def ideal(self) -> SubgroupGaussians:
        """The ideal law in the reference frame, where all groups share one law per label."""
        target = self.target
        r = target.group_index(self.reference_group)
        return SubgroupGaussians(
            labels=target.labels,
            groups=target.groups,
            priors=target.priors,
            means=np.broadcast_to(target.means[:, r : r + 1], target.means.shape),
            covariances=np.broadcast_to(target.covariances[:, r : r + 1], target.covariances.shape),
            counts=target.counts,
        )
