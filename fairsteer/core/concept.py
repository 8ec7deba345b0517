"""Directions of a concept in every group, and directions with equal effects in all groups."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.linalg import Array, is_spd, symmetrize


@dataclass(frozen=True, eq=False)
class EqualEffect:
    """Directions along which equal steps have equal effects, and their distribution.

    Parameters
    ----------
    directions : ndarray of shape (G, d)
        ``u_a``.
    distribution : SubgroupGaussians
        The nearest distribution that has these concept directions.
    kl_divergence : float
        Its divergence from the given distribution, in nats.
    """

    directions: Array
    distribution: SubgroupGaussians
    kl_divergence: float


def concept_directions(gaussians: SubgroupGaussians, positive: int = 1) -> Array:
    """Return ``v_a = mu_1a - mu_0a`` of every group, shape (G, d).

    Parameters
    ----------
    gaussians : SubgroupGaussians
        With two labels: states with and without the concept.
    positive : int, default=1
        Position of the label with the concept.
    """
    directions: Array = gaussians.means[positive] - gaussians.means[1 - positive]
    return directions


def direction_covariances(gaussians: SubgroupGaussians) -> Array:
    """Return ``C_a = Sigma_0a / n_0a + Sigma_1a / n_1a``, shape (G, d, d).

    The covariance of the difference of two sample means, so of the estimated direction.
    """
    covariances: Array = np.einsum("iajk,ia->ajk", gaussians.covariances, 1.0 / gaussians.counts)
    return covariances


def shared_probe(gaussians: SubgroupGaussians, positive: int = 1) -> Array:
    """Return the linear discriminant of the concept that ignores groups, shape (d,).

    ``W^{-1} (m_1 - m_0)``, with ``m_i`` the mean of all rows of a label and ``W`` the covariance of
    rows around the mean of their label, so that differences between groups count as noise.

    Parameters
    ----------
    gaussians, positive
        As in :func:`concept_directions`; the counts are the groups' weights.
    """
    totals = gaussians.counts.sum(axis=1)
    means = np.einsum("ia,iaj->ij", gaussians.counts, gaussians.means) / totals[:, None]
    shifts = gaussians.means - means[:, None]
    within = np.einsum("ia,iajk->jk", gaussians.counts, gaussians.covariances)
    within += np.einsum("ia,iaj,iak->jk", gaussians.counts, shifts, shifts)
    probe: Array = np.linalg.solve(within / totals.sum(), means[positive] - means[1 - positive])
    return probe


def own_probes(gaussians: SubgroupGaussians, positive: int = 1) -> Array:
    """Return the linear discriminant of the concept within every group, shape (G, d).

    ``W_a^{-1} v_a``, with ``W_a`` the group's covariance pooled over the two labels. Where the
    labels share a covariance it is the slope of the group's log odds of the concept.

    Parameters
    ----------
    gaussians, positive
        As in :func:`concept_directions`.
    """
    shares = gaussians.counts / gaussians.counts.sum(axis=0)
    within = np.einsum("ia,iajk->ajk", shares, gaussians.covariances)
    probes: Array = np.linalg.solve(within, concept_directions(gaussians, positive)[..., None])[
        ..., 0
    ]
    return probes


def equal_effect(
    gaussians: SubgroupGaussians, probes: Array, effects: Array, positive: int = 1
) -> EqualEffect:
    """Return the directions nearest to the groups' own along which probes have given effects.

    A probe ``b + r'h`` changes by ``t r'u`` when a state moves by ``t u``, so the effect is the
    same in all groups for every ``t`` if and only if ``R_a'u_a = e`` in every group. Among all
    distributions with the same covariances whose directions satisfy this, the nearest one in KL
    has ``u_a = v_a + C_a R_a (R_a'C_a R_a)^{-1} (e - R_a'v_a)``.
    Its divergence is ``1/(2n) sum_a (u_a - v_a)'C_a^{-1}(u_a - v_a)``: up to the factor n, the loss
    in log likelihood of the estimated directions.

    Parameters
    ----------
    gaussians : SubgroupGaussians
        With two labels; ``C_a`` is from :func:`direction_covariances`, n the sum of the counts.
    probes : ndarray of shape (G, k, d)
        ``R_a'``: for each group the slopes of k probes, linearly independent rows.
    effects : ndarray of shape (k,)
        ``e``: change of each probe's logit by one step.
    positive : int, default=1
        Position of the label with the concept.

    Returns
    -------
    EqualEffect

    Raises
    ------
    ValueError
        If the probes of a group are linearly dependent or zero; the message names the group.
    """
    found = np.einsum("akj,aj->ak", probes, concept_directions(gaussians, positive))
    means, divergence = gaussians.means.copy(), 0.0
    for a in range(gaussians.n_groups):
        missing = effects - found[a]
        parts = [gaussians.covariances[i, a] @ probes[a].T / gaussians.counts[i, a] for i in (0, 1)]
        pull = _solve(symmetrize(probes[a] @ (parts[0] + parts[1])), missing, gaussians.groups[a])
        # The less certain a label's mean is, the more it moves.
        means[positive, a] += parts[positive] @ pull
        means[1 - positive, a] -= parts[1 - positive] @ pull
        divergence += 0.5 * float(missing @ pull) / gaussians.counts.sum()
    nearest = replace(gaussians, means=means)
    return EqualEffect(concept_directions(nearest, positive), nearest, divergence)


def _solve(gram: Array, target: Array, group: object) -> Array:
    if not is_spd(gram):
        group = group.item() if isinstance(group, np.generic) else group
        raise ValueError(
            f"group={group!r}: the probes are zero or linearly dependent, so no step has the "
            "wanted effect on all of them: pass fewer probes."
        )
    solution: Array = np.linalg.solve(gram, target)
    return solution
