"""Directions in which a concept lies in every group, and those that work alike for all groups."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fairsteer.core.gaussians import SubgroupGaussians
from fairsteer.core.linalg import Array, is_spd, symmetrize


@dataclass(frozen=True, eq=False)
class EqualEffect:
    """Directions along which equal steps have equal effects, and the law they belong to.

    Parameters
    ----------
    directions : ndarray of shape (G, d)
        ``u_a``.
    law : SubgroupGaussians
        The nearest law whose concept directions these are.
    kl_divergence : float
        Its divergence from the law that was given, in nats.
    """

    directions: Array
    law: SubgroupGaussians
    kl_divergence: float


def concept_directions(law: SubgroupGaussians, positive: int = 1) -> Array:
    """Return ``v_a = mu_1a - mu_0a`` of every group, shape (G, d).

    Parameters
    ----------
    law : SubgroupGaussians
        Of two labels: the concept is there, or it is not.
    positive : int, default=1
        Position of the label that says it is.
    """
    directions: Array = law.means[positive] - law.means[1 - positive]
    return directions


def direction_covariances(law: SubgroupGaussians) -> Array:
    """Return ``C_a = Sigma_0a / n_0a + Sigma_1a / n_1a``, shape (G, d, d).

    The covariance of the difference of two sample means, so of the estimated direction.
    """
    covariances: Array = np.einsum("iajk,ia->ajk", law.covariances, 1.0 / law.counts)
    return covariances


def shared_probe(law: SubgroupGaussians, positive: int = 1) -> Array:
    """Return the linear discriminant of the concept that is blind to the group, shape (d,).

    ``W^{-1} (m_1 - m_0)``: ``m_i`` the mean of all rows of a label, ``W`` the covariance of rows
    around the mean of their label, so that what tells groups apart counts as noise.

    Parameters
    ----------
    law, positive
        As in :func:`concept_directions`; the counts are the groups' weights.
    """
    totals = law.counts.sum(axis=1)
    means = np.einsum("ia,iaj->ij", law.counts, law.means) / totals[:, None]
    shifts = law.means - means[:, None]
    within = np.einsum("ia,iajk->jk", law.counts, law.covariances)
    within += np.einsum("ia,iaj,iak->jk", law.counts, shifts, shifts)
    probe: Array = np.linalg.solve(within / totals.sum(), means[positive] - means[1 - positive])
    return probe


def own_probes(law: SubgroupGaussians, positive: int = 1) -> Array:
    """Return the linear discriminant of the concept within every group, shape (G, d).

    ``W_a^{-1} v_a``, ``W_a`` the group's covariance pooled over the two labels. Where these share
    one covariance it is the slope of the group's log odds of the concept.

    Parameters
    ----------
    law, positive
        As in :func:`concept_directions`.
    """
    shares = law.counts / law.counts.sum(axis=0)
    within = np.einsum("ia,iajk->ajk", shares, law.covariances)
    probes: Array = np.linalg.solve(within, concept_directions(law, positive)[..., None])[..., 0]
    return probes


def equal_effect(
    law: SubgroupGaussians, probes: Array, effects: Array, positive: int = 1
) -> EqualEffect:
    """Return the directions nearest to the groups' own along which probes change as they should.

    A probe ``b + r'h`` changes by ``t r'u`` when a state moves by ``t u``, so all groups have the
    same effect at every ``t`` exactly where ``R_a'u_a = e`` in every group. Of all laws with the
    law's covariances whose directions meet that, the nearest one in KL has
    ``u_a = v_a + C_a R_a (R_a'C_a R_a)^{-1} (e - R_a'v_a)``.
    Its divergence is ``1/(2n) sum_a (u_a - v_a)'C_a^{-1}(u_a - v_a)``: up to the factor n, the log
    likelihood that the estimated directions lose.

    Parameters
    ----------
    law : SubgroupGaussians
        Of two labels; ``C_a`` is that of :func:`direction_covariances`, n the sum of the counts.
    probes : ndarray of shape (G, k, d)
        ``R_a'``: for each group the slopes of k probes; rows must be linearly independent.
    effects : ndarray of shape (k,)
        ``e``: change of each probe's logit by one step.
    positive : int, default=1
        Position of the label that says that the concept is there.

    Returns
    -------
    EqualEffect

    Raises
    ------
    ValueError
        If the probes of a group are linearly dependent, one that is zero included; the message
        names the group.
    """
    found = np.einsum("akj,aj->ak", probes, concept_directions(law, positive))
    means, divergence = law.means.copy(), 0.0
    for a in range(law.n_groups):
        missing = effects - found[a]
        parts = [law.covariances[i, a] @ probes[a].T / law.counts[i, a] for i in (0, 1)]
        pull = _solve(symmetrize(probes[a] @ (parts[0] + parts[1])), missing, law.groups[a])
        # Each label's mean goes its share of the way: the more, the less certain it is.
        means[positive, a] += parts[positive] @ pull
        means[1 - positive, a] -= parts[1 - positive] @ pull
        divergence += 0.5 * float(missing @ pull) / law.counts.sum()
    nearest = replace(law, means=means)
    return EqualEffect(concept_directions(nearest, positive), nearest, divergence)


def _solve(gram: Array, target: Array, group: object) -> Array:
    if not is_spd(gram):
        group = group.item() if isinstance(group, np.generic) else group
        raise ValueError(
            f"group={group!r}: its probes are zero or linearly dependent, so that one step cannot "
            "have the effect asked for on each of them: ask for fewer probes."
        )
    solution: Array = np.linalg.solve(gram, target)
    return solution
