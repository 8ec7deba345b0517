"""Inputs and results of the solvers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fairsteer.core.affine import AffineMap
from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.linalg import Array

CONVERGED = 1e-6
"""Largest optimality at which a solution counts as converged."""
TOO_SINGULAR = (
    "The covariances are too close to singular: raise shrinkage, or drop features that are almost "
    "linear combinations of others."
)


@dataclass(frozen=True, eq=False)
class Settings:
    """Options of a solver.

    Parameters
    ----------
    conditions : str
        Ideal conditions.
    reference : int
        Position of the reference group.
    anchor : int
        Position of the label whose covariance whitens.
    priors : ndarray of shape (K, G)
        ``P(label, group)`` of the target.
    n_init : int
        One more than the number of random starts.
    rng : numpy.random.Generator
        Source of the random starts.
    start : Solution, default=None
        A solution for nearby priors to start from.
    max_iterations : int, default=None
        Limit of each run of Newton's method, by default its own.
    """

    conditions: str
    reference: int
    anchor: int
    priors: Array
    n_init: int
    rng: np.random.Generator
    start: Solution | None = None
    max_iterations: int | None = None


class GroupSolution(NamedTuple):
    """Optimal ``B`` of one group, its optimality (see SteeringResult), number of iterations."""

    matrix: Array
    optimality: float
    n_iter: int


class Template(NamedTuple):
    """A Gaussian per label, (K, d) and (K, d, d), which each group's map takes to its frame."""

    means: Array
    covariances: Array


class Solution(NamedTuple):
    """Maps (G,) from a template, the template, optimality and number of iterations."""

    maps: AffineMap
    template: Template
    optimality: float
    n_iter: int


@dataclass(frozen=True, eq=False)
class SteeringResult:
    """The nearest ideal distribution and how it was found.

    Attributes
    ----------
    target : SubgroupGaussians
        The ideal distribution, each group in its own frame.
    ideal : SubgroupGaussians
        The same distribution in the template's frame, where all groups have the same Gaussians.
    kl_divergence : float
        ``KL(target || data)`` in nats, priors included.
    kl_per_subgroup : ndarray of shape (K, G)
        Divergence of each subgroup's features, in nats, unweighted.
    group_maps : AffineMap of shape (G,)
        Maps from the template's frame to the frame of each group. The template's frame is that of
        the reference group, whose map is the identity; with ``"all_subgroups"`` and a single label
        it is that of the barycenter.
    optimality : float
        Frobenius norm of the gradient relative to the map,
        ``Sigma_r^{1/2} B' (dJ/dB) Sigma_r^{-1/2}``, with ``Sigma_r`` the template's pooled
        covariance; for the whitened conditions, of the gradient in the symmetric factor ``S``,
        ``S^{1/2} (dJ/dS) S^{1/2}``. The largest over groups; 0 if nothing is optimized.
    n_iter : int
        Number of iterations, summed over groups (solver ``"subgroups"``: rounds, summed over
        starts).
    converged : bool
        Whether ``optimality`` is at most 1e-6.
    reference_group : object
        Value of the group that keeps its distribution, or whose frame is the template's.
    solver : str
        Name of the solver.
    channel : LabelFreeChannel or None
        The channel of a fit with ``label_strategy="channel"``.
    """

    target: SubgroupGaussians
    ideal: SubgroupGaussians
    kl_divergence: float
    kl_per_subgroup: Array
    group_maps: AffineMap
    optimality: float
    n_iter: int
    converged: bool
    reference_group: object
    solver: str
    channel: Any = None

    @property
    def channel_kl(self) -> float | None:
        """The price of not knowing the label, in nats; None without a channel.

        The divergence of the channel's target less that of the nearest ideal distribution of an
        intervention on all subgroups.
        """
        if self.channel is None:
            return None
        from fairsteer.core.solvers import nearest_ideal  # which imports this module

        nearest = nearest_ideal(self.channel.source, intervention="all_subgroups")
        return float(self.channel.kl_divergence - nearest.kl_divergence)
