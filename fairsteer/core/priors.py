"""Ideal priors of label and group, and the weights of rows that lead to them."""

from __future__ import annotations

import numpy as np

from fairsteer.core.linalg import Array

PRIORS = ("keep", "independent", "nearest")
_SMALLEST_SHARE = 1e-9


def ideal_priors(priors: Array, kind: str, kl_per_subgroup: Array | None = None) -> Array:
    """Return the priors ``P(label, group)`` of the ideal distribution.

    Parameters
    ----------
    priors : ndarray of shape (K, G)
        Priors of the data.
    kind : {"keep", "independent", "nearest"}
        ``"keep"`` returns the priors of the data; ``"independent"`` the product of their marginals
        (the reweighing of Kamiran and Calders); ``"nearest"`` the product distribution that
        minimizes ``sum q~ (log(q~ / q) + KL)``, found by alternating exact updates of the two
        factors, which may change the shares of groups and labels.
    kl_per_subgroup : ndarray of shape (K, G), default=None
        Divergences of the steered subgroups, in nats; default 0.

    Returns
    -------
    ndarray of shape (K, G)

    Raises
    ------
    ValueError
        If ``kind`` is unknown, or the nearest priors of a label or a group vanish.
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
            labels = _normalize(utility @ groups)
            groups = _normalize(labels @ utility)
            if np.abs(labels - previous).max() < 1e-14:
                break
    if kind == "nearest" and min(labels.min(), groups.min()) < _SMALLEST_SHARE:
        raise ValueError(
            "priors='nearest' gives a label or a group a prior near 0, because leaving it out "
            "costs less divergence than steering it: use priors='independent' or 'keep'."
        )
    return np.outer(labels, groups)


def prior_weights(priors: Array, ideal: Array) -> Array:
    """Return the weight ``q~ / q`` of the rows of each subgroup, shape (K, G)."""
    return ideal / priors


def _normalize(log_values: Array) -> Array:
    values = np.exp(log_values - log_values.max())
    normalized: Array = values / values.sum()
    return normalized
