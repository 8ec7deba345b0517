"""What goes into the solvers and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fairsteer.core.affine import AffineMap
from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.linalg import Array

CONVERGED = 1e-6
"""Largest optimality at which a solution counts as converged."""


@dataclass(frozen=True, eq=False)
class Settings:
    """What a solver needs besides the law.

    Parameters
    ----------
    conditions : str
        Ideal conditions.
    reference : int
        Position of the reference group.
    anchor : int
        Position of the label whose covariance whitens.
    priors : ndarray of shape (K, G)
        Law of (label, group) of the target.
    n_init : int
        One more than the number of random starts.
    rng : numpy.random.Generator
        Their source.
    start : Solution, default=None
        A solution for nearby priors, to go on from.
    """

    conditions: str
    reference: int
    anchor: int
    priors: Array
    n_init: int
    rng: np.random.Generator
    start: Solution | None = None


class GroupSolution(NamedTuple):
    """Optimal map of one group: ``B``, optimality (see SteeringResult), iterations."""

    matrix: Array
    optimality: float
    n_iter: int


class Template(NamedTuple):
    """One law per label, carried by the groups' maps into their frames: (K, d), (K, d, d)."""

    means: Array
    covariances: Array


class Solution(NamedTuple):
    """Maps (G,) from a template, the template, optimality and iterations."""

    maps: AffineMap
    template: Template
    optimality: float
    n_iter: int


@dataclass(frozen=True, eq=False)
class SteeringResult:
    """A nearest ideal law and how it was reached.

    Attributes
    ----------
    target : SubgroupGaussians
        The ideal law, each group in its own (native) frame.
    ideal : SubgroupGaussians
        The same law in the template's frame, where all groups share one law per label.
    kl_divergence : float
        ``KL(target || data)`` in nats, priors included.
    kl_per_subgroup : ndarray of shape (K, G)
        Divergence of each subgroup's features, in nats, unweighted.
    group_maps : AffineMap of shape (G,)
        From the template's frame to each group's. The template's frame is the reference
        group's, whose map is the identity; with one label and all subgroups changing it is
        that of the barycentre.
    optimality : float
        Frobenius norm of the gradient relative to the map,
        ``Sigma_r^{1/2} B' (dJ/dB) Sigma_r^{-1/2}``, with ``Sigma_r`` the template's pooled
        covariance; for the whitened conditions of the gradient in the symmetric factor ``S``,
        ``S^{1/2} (dJ/dS) S^{1/2}``. The largest over groups; 0 where nothing is optimised.
    n_iter : int
        Iterations, summed over groups (``subgroups``: rounds, summed over starts).
    converged : bool
        Whether ``optimality`` is at most 1e-6.
    reference_group : object
        Value of the group that keeps its law, or whose frame is the template's.
    solver : str
        Name of the solver.
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
