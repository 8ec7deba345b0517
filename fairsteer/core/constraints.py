"""What each fairness constraint compares between groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairsteer.core.linalg import Array
from fairsteer.core.messages import abbreviate, shorten
from fairsteer.core.moments import find_value, pool_labels

CONSTRAINTS = ("equalized_odds", "equal_opportunity", "demographic_parity")
"""Names of the constraints, as in fairlearn's metrics."""
ANY_LABEL = "any"
"""The only label of a distribution of all labels together."""


def compared_labels(constraint: str, labels: NDArray[Any], positive: int) -> NDArray[Any]:
    """Return the labels given which a constraint compares the groups.

    Parameters
    ----------
    constraint : str
        One of `CONSTRAINTS`.
    labels : ndarray of shape (K,)
        Labels.
    positive : int
        Position of the positive label.

    Returns
    -------
    ndarray
        All labels, the positive label, or `ANY_LABEL` where labels are not compared apart.
    """
    if constraint == "equal_opportunity":
        return labels[[positive]]
    if constraint == "demographic_parity":
        return np.array([ANY_LABEL])
    return labels


def compared_moments(
    constraint: str, counts: Array, means: Array, scatters: Array, positive: int
) -> tuple[Array, Array, Array]:
    """Return the moments of the subgroups that a constraint compares.

    Parameters
    ----------
    constraint : str
        One of `CONSTRAINTS`.
    counts, means, scatters : ndarray of shapes (K, G), (K, G, d), (K, G, d, d)
        From :func:`fairsteer.core.moments.subgroup_moments`.
    positive : int
        Position of the positive label.

    Returns
    -------
    counts, means, scatters : ndarray
        With as many labels as :func:`compared_labels` returns.
    """
    if constraint == "equal_opportunity":
        return counts[[positive]], means[[positive]], scatters[[positive]]
    if constraint == "demographic_parity":
        return pool_labels(counts, means, scatters)
    return counts, means, scatters


def positive_position(pos_label: object, labels: NDArray[Any]) -> int:
    """Return the position of the positive label, the last one where ``pos_label`` is None.

    Raises
    ------
    ValueError
        If ``pos_label`` is not among the labels.
    """
    if pos_label is None:
        return len(labels) - 1
    position = find_value(pos_label, labels.tolist())
    if position is None:
        raise ValueError(
            f"pos_label={shorten(pos_label)} is not among the labels {abbreviate(labels)}."
        )
    return position
