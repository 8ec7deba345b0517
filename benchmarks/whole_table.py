"""Steering of a whole table for one classifier: what came before SteeredClassifierCV.

Categories are ordered, the copula moves the table to values that occur in it, and the classifier
is trained on the steered table in the standard encoding, its rows weighted so that label and group
are independent. Cross-validation within the training rows chooses among a few settings. The
comparison with peers runs it; benchmarks/results/whole_table.csv has its figures by the protocol of
benchmarks/gaps.py, with two repeats on COMPAS and one on Adult, at commit 832eba5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold

from fairsteer.estimators._table_encoding import TargetOrder, standard_encoder
from fairsteer.estimators._transformer import OptimalSteeringTransformer

INNER_FOLDS = 5
FEWEST_ROWS = 30
"""Rows of the smallest (label, group) subgroup below which settings are not compared."""


@dataclass(frozen=True)
class Setting:
    """A candidate of the cross-validation.

    Parameters
    ----------
    conditions : str, default="affine"
        ``conditions`` of the transformer.
    family : str, default="copula"
        ``family`` of the transformer, one of the two copulas.
    strength : float, default=1.0
        ``strength`` of the transformer.
    weight_exponent : float, default=1.0
        Exponent of the weights that make label and group independent; 0 gives all rows the same
        weight. Classifiers that still recognize groups gain least by that where groups have equal
        base rates; an exponent above 1 raises the base rate of the group with the lower one above
        the others'.
    """

    conditions: str = "affine"
    family: str = "copula"
    strength: float = 1.0
    weight_exponent: float = 1.0


_STEERINGS = {
    "equalized_odds": (Setting(), Setting(conditions="identical")),
    "equal_opportunity": (Setting(), Setting(family="copula_by_group")),
    "demographic_parity": (Setting(family="copula_by_group"), Setting()),
}
SETTINGS = {
    constraint: [
        replace(steering, weight_exponent=exponent)
        for steering, exponent in product(steerings, (1.0, 1.5, 2.0))
    ]
    for constraint, steerings in _STEERINGS.items()
}
"""Candidates by constraint; the first is used where there are too few rows to compare."""
UNMITIGATED = Setting(strength=0.0, weight_exponent=0.0)
"""Used where the best candidate does not clearly narrow the gap on held-out rows."""
NARROWED = 0.8
"""A gap below this share of the unmitigated gap is clearly narrower."""


class SteeredTable:
    """A table ordered, steered, returned to its own values, and encoded.

    Parameters
    ----------
    constraint : str
        The fairness constraint.
    setting : Setting
        How to steer.
    strength : float
        Share of the setting's strength.
    random_state : int
        Seed of the draws.
    """

    def __init__(self, constraint: str, setting: Setting, strength: float, random_state: int):
        self.order = TargetOrder()
        self.steering = OptimalSteeringTransformer(
            constraint=constraint,
            family=setting.family,
            conditions=setting.conditions,
            priors="independent",
            strength=strength * setting.strength,
            random_state=random_state,
        )

    def fit_transform(self, data, y, *, sensitive_features):
        """Fit on training rows; return them encoded, and their weights with exponent 1."""
        X = self.order.fit(data, y).transform(data)
        self.steering.fit(X, y, sensitive_features=sensitive_features)
        steered = self._steer(X, sensitive_features)
        self.encoder = standard_encoder(steered)
        encoded = self.encoder.fit_transform(steered)
        weights = self.steering.ideal_sample_weight(X, y, sensitive_features=sensitive_features)
        return encoded, weights

    def transform(self, data, *, sensitive_features):
        """Return rows without labels, steered and encoded."""
        return self.encoder.transform(self._steer(self.order.transform(data), sensitive_features))

    def _steer(self, X, sensitive_features):
        moved = self.steering.transform(X, sensitive_features=sensitive_features)
        return self.order.inverse_transform(pd.DataFrame(moved, X.index, X.columns))


class TunedSteering:
    """Steer a table and train a group-blind classifier, with settings chosen by cross-validation.

    The chosen setting has the smallest sum of error and gap on held-out rows, where a gap below
    its noise floor counts as the floor. If its gap is not below `NARROWED` times the unmitigated
    gap, the setting is `UNMITIGATED`.

    Parameters
    ----------
    constraint : {"equalized_odds", "equal_opportunity", "demographic_parity"}
        The fairness constraint.
    estimator : classifier
        The unfitted classifier; it is cloned. Its ``fit`` must take ``sample_weight``.
    strength : float in [0, 1], default=1.0
        Share of the steering, and of the weights' exponent; 0 trains the classifier on the table
        as it is.
    random_state : int, default=0
        Seed of the draws and the folds.
    settings : sequence of Setting, optional
        The candidates, by default `SETTINGS` of the constraint.

    Attributes
    ----------
    setting_ : Setting
        The chosen setting.
    comparison_ : DataFrame or None
        Error, gap and noise floor of every candidate, `UNMITIGATED` last, on held-out training
        rows. None where the smallest (label, group) subgroup has fewer than `FEWEST_ROWS` rows,
        where there is a single candidate, or where the strength is 0.
    """

    def __init__(self, constraint, estimator, *, strength=1.0, random_state=0, settings=None):
        self.constraint, self.estimator = constraint, estimator
        self.strength, self.random_state = strength, random_state
        self.settings = SETTINGS[constraint] if settings is None else settings

    def fit(self, data, y, *, sensitive_features):
        """Fit on training rows.

        Parameters
        ----------
        data : DataFrame of shape (n, d)
            Features of any kind, without the sensitive attribute.
        y : array-like of shape (n,)
            0/1 labels.
        sensitive_features : array-like of shape (n,)
            The group of every row.

        Returns
        -------
        TunedSteering
            The fitted object.
        """
        y, groups = np.asarray(y), np.asarray(sensitive_features)
        self.comparison_ = self._compare_settings(data, y, groups)
        self.setting_ = self._choose_setting()
        self.table_ = self._make_table(self.setting_, self.strength)
        X, weights = self.table_.fit_transform(data, y, sensitive_features=groups)
        exponent = self.strength * self.setting_.weight_exponent
        self.model_ = clone(self.estimator).fit(X, y, sample_weight=weights**exponent)
        return self

    def predict(self, data, *, sensitive_features):
        """Predict 0/1 labels and the probability of label 1.

        Parameters
        ----------
        data : DataFrame of shape (n, d)
            The columns of fit.
        sensitive_features : array-like of shape (n,)
            The group of every row.

        Returns
        -------
        labels, probabilities : ndarray of shape (n,)
            Predictions of the classifier on steered rows.
        """
        X = self.table_.transform(data, sensitive_features=np.asarray(sensitive_features))
        return self.model_.predict(X), self.model_.predict_proba(X)[:, 1]

    def _choose_setting(self):
        if self.comparison_ is None:
            return self.settings[0]
        left = self.comparison_[["gap", "floor"]].max(axis=1)
        best = int((self.comparison_["error"] + left).iloc[:-1].argmin())
        return self.settings[best] if left[best] < NARROWED * left.iloc[-1] else UNMITIGATED

    def _make_table(self, setting, strength=1.0):
        return SteeredTable(self.constraint, setting, strength, self.random_state)

    def _compare_settings(self, data, y, groups):
        """Return held-out error, gap and noise floor of every candidate."""
        from fairsteer.metrics._gaps import measure_gap, noise_floor  # slow to import

        subgroups = pd.MultiIndex.from_arrays([y, groups]).factorize()[0]
        single = len(self.settings) == 1 or self.strength == 0.0
        if single or np.bincount(subgroups).min() < FEWEST_ROWS:
            return None
        candidates = [*self.settings, UNMITIGATED]
        predicted = np.zeros((len(candidates), len(y)), dtype=int)
        folds = StratifiedKFold(INNER_FOLDS, shuffle=True, random_state=self.random_state)
        for train, test in folds.split(subgroups, subgroups):
            tables = {}
            for k, setting in enumerate(candidates):
                key = replace(setting, weight_exponent=0.0)
                if key not in tables:
                    table = self._make_table(key)
                    fitted = table.fit_transform(
                        data.iloc[train], y[train], sensitive_features=groups[train]
                    )
                    held_out = table.transform(data.iloc[test], sensitive_features=groups[test])
                    tables[key] = *fitted, held_out
                X, weights, X_test = tables[key]
                model = clone(self.estimator)
                model.fit(X, y[train], sample_weight=weights**setting.weight_exponent)
                predicted[k, test] = model.predict(X_test)
        rows = []
        for setting, decisions in zip(candidates, predicted, strict=True):
            gap = measure_gap(self.constraint, y, decisions, sensitive_features=groups)
            floor = noise_floor(
                y, decisions, sensitive_features=groups, random_state=self.random_state
            )[self.constraint]
            rows.append((setting, float(np.mean(decisions != y)), gap, floor))
        return pd.DataFrame(rows, columns=["setting", "error", "gap", "floor"])


def page_parts(folder: Path) -> dict[str, str]:
    """Return the table of docs/experiments.md."""
    frame = pd.read_csv(folder / "whole_table.csv")
    lines = [
        "| table | model | constraint | unmitigated | whole table | ThresholdOptimizer |",
        "|---|---|---|---|---|---|",
    ]
    for _, row in frame.iterrows():
        shown = [
            f"{row[f'{who} accuracy']:.3f} / {row[f'{who} gap']:.3f}"
            for who in ("unmitigated", "steering", "threshold_optimizer")
        ]
        keys = row["table"], row["estimator"], row["constraint"].replace("_", " ")
        lines.append(f"| {' | '.join((*keys, *shown))} |".replace("0.", "."))
    return {"whole table": "\n".join(lines)}
