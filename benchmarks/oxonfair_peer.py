"""OxonFair (Delaney et al., 2024) as a peer of benchmarks/gaps.py."""

from __future__ import annotations

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import train_test_split

HELD_OUT = 0.3
"""Share of the training rows on which it chooses the thresholds of the groups."""
LIMIT = 0.01
"""The gap that it may leave on these rows."""


def predict_oxonfair(base, X, y, codes, X_new, new_codes, constraint, seed):
    """Return 0/1 predictions of new rows.

    The classifier is fitted to some of the rows, and thresholds by group are chosen on the others,
    as the package advises: the most accurate ones within `LIMIT`.

    Parameters
    ----------
    base : classifier
        Unfitted.
    X, y, codes : ndarray of shape (n, d), (n,) and (n,)
        Training rows: encoded features, labels, and positions of the groups.
    X_new, new_codes : ndarray of shape (m, d) and (m,)
        New rows.
    constraint : str
        One of fairsteer's constraints.
    seed : int
        Of the split.

    Returns
    -------
    ndarray of int of shape (m,)
    """
    from oxonfair import FairPredictor, group_metrics

    measures = {
        "demographic_parity": group_metrics.demographic_parity,
        "equal_opportunity": group_metrics.equal_opportunity,
        "equalized_odds": group_metrics.equalized_odds_max,
    }
    fitted, chosen = train_test_split(
        np.arange(len(y)), test_size=HELD_OUT, random_state=seed, stratify=y + 2 * codes
    )
    model = clone(base).fit(X[fitted], y[fitted])
    rows = {"data": X[chosen], "target": y[chosen], "groups": codes[chosen]}
    fair = FairPredictor(model, rows)
    fair.fit(group_metrics.accuracy, measures[constraint], LIMIT)
    # Its predict asks for a target, which it does not use.
    unknown = np.zeros(len(X_new), dtype=int)
    new = {"data": X_new, "target": unknown, "groups": new_codes}
    return np.asarray(fair.predict(new)).ravel().astype(int)
