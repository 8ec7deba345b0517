"""One affine map for everybody that makes the groups' means equal: erasure within labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairsteer.core.affine import AffineMap
from fairsteer.core.constraints import CONSTRAINTS, compared_moments
from fairsteer.core.linalg import Array, invsqrtm, is_spd, sqrtm, symmetrize
from fairsteer.core.moments import pooled_scale
from fairsteer.core.shrinkage import shrink_covariance

RANK_TOLERANCE = 1e-8


@dataclass(frozen=True, eq=False)
class Erasure:
    """A map that erases the differences between groups, and what it was computed from.

    Parameters
    ----------
    map : AffineMap
        The map ``x -> centre + P (x - centre)``, a projection along the groups' differences.
    covariance : ndarray of shape (d, d)
        Pooled within-subgroup covariance after shrinkage, ``Sigma_w``.
    n_differences : int
        Differences between groups that were compared, the rows of ``D``; 0 where no label has
        rows of two groups.
    n_directions : int
        Dimensions that are lost, the rank of ``I - P``.
    """

    map: AffineMap
    covariance: Array
    n_differences: int
    n_directions: int


def within_label_eraser(
    counts: Array,
    means: Array,
    scatters: Array,
    *,
    constraint: str = "equalized_odds",
    positive: int = -1,
    shrinkage: float | str = 0.01,
) -> Erasure:
    """Return the affine map that makes the groups' means equal and changes the rows least.

    With the differences of the groups' means as rows of ``D`` and an orthonormal basis ``U`` of
    the columns of ``Sigma_w^{-1/2} D'``, it is ``x -> centre + P (x - centre)``,
    ``P = I - Sigma_w^{1/2} U U' Sigma_w^{-1/2}``, around the mean of all rows. Of all matrices
    with ``P D' = 0`` this one minimises ``tr(M (I - P) Sigma_w (I - P)')``, the mean square by
    which a row moves relative to its subgroup's mean, whatever positive definite ``M`` measures
    it.

    Parameters
    ----------
    counts, means, scatters : ndarray of shapes (K, G), (K, G, d), (K, G, d, d)
        From :func:`fairsteer.core.moments.subgroup_moments`. Subgroups may be empty, but every
        group needs rows of some label.
    constraint : {"equalized_odds", "equal_opportunity", "demographic_parity"}, \
default="equalized_odds"
        Which means are made equal: those given every label, those given the positive label, or
        those of all rows of a group.
    positive : int, default=-1
        Position of the positive label; used by equal opportunity only.
    shrinkage : float in [0, 1] or "auto", default=0.01
        Regularises ``Sigma_w`` in units of the features' within-subgroup standard deviations, as
        in :func:`fairsteer.estimate_gaussians`; ``"auto"`` counts all rows.

    Returns
    -------
    Erasure
        A difference below ``RANK_TOLERANCE`` standard deviations in the metric of ``Sigma_w``
        (or below that share of the largest) counts as none.

    Raises
    ------
    ValueError
        If the constraint is unknown or ``Sigma_w`` is singular.

    References
    ----------
    Belrose, Schneider-Joseph, Ravfogel, Cotterell, Raff and Biderman (2023), "LEACE: Perfect
    linear concept erasure in closed form", NeurIPS, arXiv 2306.03819; here within labels.
    """
    if constraint not in CONSTRAINTS:
        raise ValueError(f"constraint must be one of {list(CONSTRAINTS)}, got {constraint!r}.")
    compared = compared_moments(constraint, counts, means, scatters, positive)
    differences = _differences(*compared[:2])
    n_features = means.shape[2]
    scale = pooled_scale(counts, means, scatters)
    units = np.outer(scale, scale)
    total = float(counts.sum())
    covariance = shrink_covariance(scatters.sum(axis=(0, 1)) / total / units, total, shrinkage)
    covariance = symmetrize(covariance)
    if not is_spd(covariance):
        raise ValueError(
            "The pooled within-subgroup covariance is not positive definite, so the subgroups lie "
            "in fewer dimensions than there are features; raise shrinkage, or drop constant and "
            "duplicate features."
        )

    root, inverse_root = sqrtm(covariance), invsqrtm(covariance)
    basis, sizes, _ = np.linalg.svd(inverse_root @ (differences / scale).T, full_matrices=False)
    basis = basis[:, sizes > RANK_TOLERANCE * sizes.max(initial=1.0)]
    erased = scale[:, None] * (root @ basis @ basis.T @ inverse_root) / scale
    centre = np.einsum("ia,iaj->j", counts, means) / total
    return Erasure(
        map=AffineMap(np.eye(n_features) - erased, erased @ centre),
        covariance=covariance * units,
        n_differences=len(differences),
        n_directions=basis.shape[1],
    )


def _differences(counts: Array, means: Array) -> Array:
    """Return ``mu_ia - mu_ir``, r the label's first group with rows, shape (m, d)."""
    present = [label_means[n > 0.0] for n, label_means in zip(counts, means, strict=True)]
    return np.concatenate([own[1:] - own[:1] for own in present])
