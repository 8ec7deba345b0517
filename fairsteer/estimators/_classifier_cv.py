"""Steering of a whole table for one estimator: what ``fairsteer compare`` runs.

Categories are put in order, the copula steers the table to values that occur in it, and the
estimator sees the steered table in the usual encoding, its rows weighted towards independence of
label and group. Which of a few settings does best for the estimator at hand is found by
cross-validation within the training rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold

from fairsteer.estimators._table_encoding import TargetOrder, standard_encoder
from fairsteer.estimators._transformer import OptimalSteeringTransformer

INNER_FOLDS = 5
FEWEST_ROWS = 30
"""Rows of the smallest (label, group) cell below which settings are not compared."""


@dataclass(frozen=True)
class Setting:
    """What cross-validation chooses among.

    Parameters
    ----------
    conditions : str, default="affine"
        ``conditions`` of the transformer.
    quantiles : str, default="pooled"
        Its ``quantiles``.
    strength : float, default=1.0
        Its ``strength``.
    emphasis : float, default=1.0
        Power of the weights that make label and group independent; 0 weighs all rows alike. A
        model that still recognises groups gains least by it where they have equal base rates;
        above 1 the group with the lower rate of positives counts for more than that.
    """

    conditions: str = "affine"
    quantiles: str = "pooled"
    strength: float = 1.0
    emphasis: float = 1.0


_STEERINGS = {
    "equalized_odds": (Setting(), Setting(conditions="identical")),
    "equal_opportunity": (Setting(), Setting(quantiles="group")),
    "demographic_parity": (Setting(quantiles="group"), Setting()),
}
SETTINGS = {
    constraint: [
        replace(steering, emphasis=emphasis)
        for steering, emphasis in product(steerings, (1.0, 1.5, 2.0))
    ]
    for constraint, steerings in _STEERINGS.items()
}
"""By constraint; the first one is taken where there are too few rows to compare."""
NOTHING = Setting(strength=0.0, emphasis=0.0)
"""Taken where on held-out rows the best setting does not narrow the gap clearly."""
NARROWED = 0.8
"""Share of the gap without steering that counts as clear: the gap must be smaller than that."""


class SteeredTable:
    """A table in order, steered, back in its own values, and encoded.

    Parameters
    ----------
    constraint : str
        The gap that is targeted.
    setting : Setting
        How.
    strength : float
        How much of the setting's strength.
    seed : int
        Of the draws.
    """

    def __init__(self, constraint: str, setting: Setting, strength: float, seed: int):
        self.order = TargetOrder()
        self.steering = OptimalSteeringTransformer(
            constraint=constraint,
            family="copula",
            conditions=setting.conditions,
            quantiles=setting.quantiles,
            priors="independent",
            strength=strength * setting.strength,
            random_state=seed,
        )

    def fit_transform(self, data, y, groups):
        """Fit on training rows; return them encoded, and their weights at emphasis 1."""
        X = self.order.fit(data, y).transform(data)
        self.steering.fit(X, y, sensitive_features=groups)
        steered = self._steered(X, groups)
        self.encoder = standard_encoder(steered)
        encoded = self.encoder.fit_transform(steered)
        return encoded, self.steering.ideal_sample_weight(X, y, sensitive_features=groups)

    def transform(self, data, groups):
        """Return rows without labels encoded."""
        return self.encoder.transform(self._steered(self.order.transform(data), groups))

    def _steered(self, X, groups):
        moved = self.steering.transform(X, sensitive_features=groups)
        return self.order.inverse_transform(pd.DataFrame(moved, X.index, X.columns))


class TunedSteering:
    """Choose a setting by cross-validation, steer the table, fit a classifier blind to the group.

    Of the settings the one with the smallest sum of error and gap is chosen, the gap counted as
    its noise floor where it is smaller, and `NOTHING` if even that one does not bring the gap below
    `NARROWED` of what it is without steering.

    Parameters
    ----------
    constraint : {"equalized_odds", "equal_opportunity", "demographic_parity"}
        The gap that is targeted.
    estimator : classifier
        The unfitted base classifier; it is cloned. It must take ``sample_weight``.
    strength : float in [0, 1], default=1.0
        Share of the steering, and of the weights' power; 0 is the estimator on the table as is.
    seed : int, default=0
        Of draws and of folds.
    settings : sequence of Setting, optional
        The candidates, by default `SETTINGS` of the constraint.

    Attributes
    ----------
    setting_ : Setting
        The chosen one.
    comparison_ : DataFrame or None
        Error, gap and floor of every candidate, `NOTHING` last, on rows of the training part held
        out from it; None where the smallest cell has fewer than `FEWEST_ROWS` rows, there is one
        candidate, or the strength is 0.
    """

    def __init__(self, constraint, estimator, strength=1.0, seed=0, settings=None):
        self.constraint, self.estimator = constraint, estimator
        self.strength, self.seed = strength, seed
        self.settings = SETTINGS[constraint] if settings is None else settings

    def fit(self, data, y, groups):
        """Fit on training rows.

        Parameters
        ----------
        data : DataFrame of shape (n, d)
            Features of any kind, without the sensitive attribute.
        y : array-like of shape (n,)
            0/1 labels.
        groups : array-like of shape (n,)
            The attribute.

        Returns
        -------
        TunedSteering
            Itself.
        """
        y, groups = np.asarray(y), np.asarray(groups)
        self.comparison_ = self._compared(data, y, groups)
        self.setting_ = self._chosen()
        self.table_ = self._table(self.setting_, self.strength)
        X, weights = self.table_.fit_transform(data, y, groups)
        emphasis = self.strength * self.setting_.emphasis
        self.model_ = clone(self.estimator).fit(X, y, sample_weight=weights**emphasis)
        return self

    def predict(self, data, groups):
        """Predict 0/1 labels, with the probability of the favourable one."""
        X = self.table_.transform(data, np.asarray(groups))
        return self.model_.predict(X), self.model_.predict_proba(X)[:, 1]

    def _chosen(self):
        if self.comparison_ is None:
            return self.settings[0]
        left = self.comparison_[["gap", "floor"]].max(axis=1)
        best = int((self.comparison_["error"] + left).iloc[:-1].argmin())
        return self.settings[best] if left[best] < NARROWED * left.iloc[-1] else NOTHING

    def _table(self, setting, strength=1.0):
        return SteeredTable(self.constraint, setting, strength, self.seed)

    def _compared(self, data, y, groups):
        """Return held-out error, gap and floor of every candidate."""
        from fairsteer.metrics._gaps import gap_of, noise_floor  # slow to import

        cells = pd.MultiIndex.from_arrays([y, groups]).factorize()[0]
        one = len(self.settings) == 1 or self.strength == 0.0
        if one or np.bincount(cells).min() < FEWEST_ROWS:
            return None
        candidates = [*self.settings, NOTHING]
        predicted = np.zeros((len(candidates), len(y)), dtype=int)
        folds = StratifiedKFold(INNER_FOLDS, shuffle=True, random_state=self.seed)
        for train, test in folds.split(cells, cells):
            tables = {}
            for k, setting in enumerate(candidates):
                key = replace(setting, emphasis=0.0)
                if key not in tables:
                    table = self._table(key)
                    fitted = table.fit_transform(data.iloc[train], y[train], groups[train])
                    tables[key] = *fitted, table.transform(data.iloc[test], groups[test])
                X, weights, X_test = tables[key]
                model = clone(self.estimator)
                model.fit(X, y[train], sample_weight=weights**setting.emphasis)
                predicted[k, test] = model.predict(X_test)
        rows = []
        for setting, decisions in zip(candidates, predicted, strict=True):
            gap = gap_of(self.constraint, y, decisions, groups)
            floor = noise_floor(y, decisions, groups, random_state=self.seed)[self.constraint]
            rows.append((setting, float(np.mean(decisions != y)), gap, floor))
        return pd.DataFrame(rows, columns=["setting", "error", "gap", "floor"])
