"""When a transformer warns: of a fit that may not do what is expected, of rows that drift."""

from __future__ import annotations

import warnings

import numpy as np

from fairsteer.core.diagnostics import (
    JUDGED_ROWS,
    cells_below_dimension,
    discrete_features,
    drifted,
    groups_without_law,
    nothing_moved,
)
from fairsteer.core.moments import pool_labels
from fairsteer.exceptions import SteeringWarning


def warn_of_fit(steering, rows, draws, grouping):
    """Warn of features, moves, cells and groups that leave little of what steering promises.

    Parameters
    ----------
    steering : OptimalSteeringTransformer
        Just fitted.
    rows : TrainingRows or None
        Some that laws were estimated of, their groups those of the laws.
    draws : RowDraws, NoDraws or None
        Their draws.
    grouping : Grouping
        Which groups share laws.
    """
    law, cautions = steering.distribution_, [groups_without_law(grouping)]
    if rows is not None:
        cautions += _of_rows(steering, rows, draws)
    if steering.covariance_type == "full" and steering.small_cells != "shrunk":
        cautions.append(cells_below_dimension(law))
    for caution in filter(None, cautions):
        warnings.warn(caution, SteeringWarning, stacklevel=4)


def _of_rows(steering, rows, draws):
    """Return what a sample of the rows shows of features and moves."""
    rng = np.random.default_rng(steering._seed)
    law, strength, cautions = steering.distribution_, steering.strength, []

    def features(positions):
        chosen = _some(positions, rng)
        X = rows.features[np.ix_(chosen, steering.steered_features_)].astype(np.float64)
        return X, draws[chosen]

    if steering.family != "copula" and rows.n_rows > 1:
        cautions.append(discrete_features(features(np.arange(rows.n_rows))[0]))
    groups = np.unique(rows.group_codes)
    if strength > 0.0 and law.n_groups > 1 and len(groups) == law.n_groups:
        steps = []
        for group in groups:
            X, own_draws = features(np.flatnonzero(rows.group_codes == group))
            motion = steering._mover.motion(group)
            step = None if motion is None else motion(X, own_draws)
            steps.append(np.zeros_like(X) if step is None else step / strength)
        cautions.append(nothing_moved(steps, law.feature_scale))
    return cautions


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
    return positions[rng.choice(len(positions), JUDGED_ROWS, replace=False)]
