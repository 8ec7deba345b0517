"""Ideal laws of (label, group), and the weights that lead to them."""

from __future__ import annotations

import numpy as np

from fairsteer.core.linalg import Array

PRIORS = ("keep", "independent", "nearest")
_SMALLEST_SHARE = 1e-9


def ideal_priors(priors: Array, kind: str, kl_per_subgroup: Array | None = None) -> Array:
    """Return the law of (label, group) that steering aims at.

    Parameters
    ----------
    priors : ndarray of shape (K, G)
        Law of the data.
    kind : {"keep", "independent", "nearest"}
        ``"keep"`` leaves it; ``"independent"`` is the product of its marginals (Kamiran and
        Calders' reweighing); ``"nearest"`` is the product law that minimises
        ``sum q~ (log(q~ / q) + KL)``, by alternating exact updates of the two factors; it
        may change the shares of groups and labels.
    kl_per_subgroup : ndarray of shape (K, G), default=None
        Divergences of the steered subgroups, in nats; zero when absent.

    Returns
    -------
    ndarray of shape (K, G)

    Raises
    ------
    ValueError
        If ``kind`` is unknown, or the nearest law has no place for a label or a group.
    """
    if kind not in PRIORS:
        raise ValueError(f"priors must be one of {list(PRIORS)}, got {kind!r}.")
    if kind == "keep":
        return priors
    labels, groups = priors.sum(axis=1), priors.sum(axis=0)
    if kind == "nearest":
        utility = np.log(priors)
        if kl_per_subgroup is not None:
            utility = utility - kl_per_subgroup
        for _ in range(1000):
            previous = labels
            labels = _normalised(utility @ groups)
            groups = _normalised(labels @ utility)
            if np.abs(labels - previous).max() < 1e-14:
                break
    if kind == "nearest" and min(labels.min(), groups.min()) < _SMALLEST_SHARE:
        raise ValueError(
            "priors='nearest' would leave a label or a group out, because steering it costs more "
            "divergence than dropping it: use priors='independent' or 'keep'."
        )
    return np.outer(labels, groups)


def prior_weights(priors: Array, ideal: Array) -> Array:
    """Return the weight ``q~ / q`` of a row of each cell, shape (K, G)."""
    return ideal / priors


def _normalised(log_values: Array) -> Array:
    values = np.exp(log_values - log_values.max())
    normalised: Array = values / values.sum()
    return normalised
