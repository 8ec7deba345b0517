"""When a transformer warns: of a fit that may not do what is expected, of rows that drift."""

from __future__ import annotations

import warnings

import numpy as np

from fairsteer._cautions import (
    JUDGED_ROWS,
    SteeringWarning,
    cells_below_dimension,
    discrete_features,
    drifted,
    groups_without_law,
    nothing_moved,
)
from fairsteer.gaussian import pool_labels


def warn_of_fit(steering, X, codes, draws, grouping):
    """Warn of features, moves, cells and groups that leave little of what steering promises.

    Parameters
    ----------
    steering : OptimalSteeringTransformer
        Just fitted.
    X : ndarray of shape (n, d)
        The features that vary, of the rows that laws were estimated of.
    codes : ndarray of shape (n,)
        Positions of the rows' laws.
    draws : ndarray of shape (n, d + 1)
        Their draws.
    grouping : Grouping
        Which groups share laws.
    """
    rng = np.random.default_rng(steering._seed)
    law, strength = steering.distribution_, steering.strength
    cautions = [groups_without_law(grouping)]
    if steering.family != "copula":
        cautions.append(discrete_features(X[_some(np.arange(len(X)), rng)]))
    if strength > 0.0 and law.n_groups > 1:
        steps = []
        for group in range(law.n_groups):
            own = _some(np.flatnonzero(codes == group), rng)
            steps.append(steering._mover.of_group(X[own], draws[own], group) / strength)
        cautions.append(nothing_moved(steps, law.feature_scale))
    if steering.covariance_type == "full" and steering.small_cells != "shrunk":
        cautions.append(cells_below_dimension(law))
    for caution in filter(None, cautions):
        warnings.warn(caution, SteeringWarning, stacklevel=3)


def warn_of_drift(steering, X, draws, group, limit):
    """Warn where rows (n, d) of the group at a position lie far from those of training."""
    counts, means, scatters = (part[0, group] for part in pool_labels(*steering._moments))
    law, features = steering.distribution_, steering.steered_features_
    deviations = np.sqrt(np.diag(scatters) / counts)
    deviations = np.where(deviations > 0.0, deviations, law.feature_scale)
    scores = steering._mover.family.scores(X, group, draws[:, :-1])
    names = steering.get_feature_names_out()[features]
    caution = drifted(scores, means, deviations, limit, law.groups[group], names)
    if caution:
        warnings.warn(caution, SteeringWarning, stacklevel=4)


def _some(positions, rng):
    """Return at most `JUDGED_ROWS` of the positions."""
    if len(positions) <= JUDGED_ROWS:
        return positions
    return rng.choice(positions, JUDGED_ROWS, replace=False)
