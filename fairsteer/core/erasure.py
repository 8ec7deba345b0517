"""Within-label erasure: one affine map for all rows that makes the groups' means equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairsteer.core.affine import AffineMap
from fairsteer.core.constraints import CONSTRAINTS, compared_moments
from fairsteer.core.gaussians import describe_singular
from fairsteer.core.linalg import Array, invsqrtm, is_spd, sqrtm, symmetrize
from fairsteer.core.moments import pooled_scale
from fairsteer.core.shrinkage import shrink_covariance

RANK_TOLERANCE = 1e-8


@dataclass(frozen=True, eq=False)
class Erasure:
    """The map that makes the groups' means equal, and the quantities it is computed from.

    Parameters
    ----------
    map : AffineMap
        The projection ``x -> center + P (x - center)`` along the differences of the means.
    covariance : ndarray of shape (d, d)
        Pooled within-subgroup covariance after shrinkage, ``Sigma_w``.
    n_differences : int
        Number of differences between groups' means, the rows of ``D``; 0 where no label has rows
        of two groups.
    n_directions : int
        Number of dimensions that are erased, the rank of ``I - P``.
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
    features: Sequence[object] | None = None,
) -> Erasure:
    """Return the affine map that makes the groups' means equal with the smallest change.

    The map is ``x -> center + P (x - center)`` with ``P = I - Sigma_w^{1/2} U U' Sigma_w^{-1/2}``,
    around the mean of all rows. The rows of ``D`` are the differences of the groups' means, and the
    columns of ``U`` are an orthonormal basis of the column space of ``Sigma_w^{-1/2} D'``. Among
    all matrices with ``P D' = 0`` this ``P`` minimizes ``tr(M (I - P) Sigma_w (I - P)')``, the mean
    squared change of a row relative to the mean of its subgroup, for every positive definite ``M``.

    Parameters
    ----------
    counts, means, scatters : ndarray of shapes (K, G), (K, G, d), (K, G, d, d)
        From :func:`fairsteer.core.moments.subgroup_moments`. Subgroups may be empty, but every
        group needs rows of some label.
    constraint : {"equalized_odds", "equal_opportunity", "demographic_parity"}, \
default="equalized_odds"
        Which means are made equal: those given each label, those given the positive label, or
        those of all rows of a group.
    positive : int, default=-1
        Position of the positive label; used by equal opportunity only.
    shrinkage : float in [0, 1] or "auto", default=0.01
        Regularizes ``Sigma_w`` in units of the features' within-subgroup standard deviations, as
        in :func:`fairsteer.estimate_gaussians`; ``"auto"`` ``"auto"`` counts all rows.
    features : sequence of length d, default=None
        Names of the features for messages, default their positions.

    Returns
    -------
    Erasure
        Differences below ``RANK_TOLERANCE`` standard deviations in the metric of ``Sigma_w``, or
        below this share of the largest, count as 0.

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
        names = range(n_features) if features is None else features
        text = describe_singular(covariance, names)
        raise ValueError(f"The pooled within-subgroup covariance {text}")

    root, inverse_root = sqrtm(covariance), invsqrtm(covariance)
    basis, sizes, _ = np.linalg.svd(inverse_root @ (differences / scale).T, full_matrices=False)
    basis = basis[:, sizes > RANK_TOLERANCE * sizes.max(initial=1.0)]
    erased = scale[:, None] * (root @ basis @ basis.T @ inverse_root) / scale
    center = np.einsum("ia,iaj->j", counts, means) / total
    return Erasure(
        map=AffineMap(np.eye(n_features) - erased, erased @ center),
        covariance=covariance * units,
        n_differences=len(differences),
        n_directions=basis.shape[1],
    )


def _differences(counts: Array, means: Array) -> Array:
    """Return ``mu_ia - mu_ir``, with r the first group with rows of label i, shape (m, d)."""
    present = [label_means[n > 0.0] for n, label_means in zip(counts, means, strict=True)]
    return np.concatenate([own[1:] - own[:1] for own in present])
