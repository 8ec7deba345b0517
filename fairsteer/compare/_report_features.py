"""What the steering of a comparison did to the features, and its audit.

A comparison keeps the setting that steering chose in every fold. With it and the fold's seed, the
same steering is fitted again without a search.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from fairsteer.audit._audit import SteeringAudit, audit_steering
from fairsteer.compare._run import split_rows, unit_seed
from fairsteer.compare._table import Table
from fairsteer.core.certificates import Certificate
from fairsteer.estimators._classifier_cv import UNMITIGATED, Setting, SteeredTable
from fairsteer.estimators._table_encoding import is_number

AUDIT_FOLDS = 5
AUDIT_ROWS = 5_000
FEATURE_COLUMNS = (
    *("feature", "moved", "group", "rows", "statistic", "category", "before", "after"),
)
AUDIT_COLUMNS = (
    *("features", "classifier", "label", "auc", "auc_deviation", "z"),
    *("balanced_accuracy", "attack_advantage", "attack_advantage_deviation", "rows"),
)
CERTIFICATE_COLUMNS = (
    *("constraint", "bound", "kind", "attack_advantage", "attack_advantage_deviation"),
)
SHOWN_FEATURES = 6
SHOWN_GROUPS = 6
SHOWN_CATEGORIES = 2


@dataclass(frozen=True, eq=False)
class SteeringSummary:
    """The effect of steering on the held-out rows of the first repeat.

    Parameters
    ----------
    features : DataFrame
        Statistics of every feature per group, before and after; see `features_table`.
    audit : SteeringAudit
        The audit of `SteeringByFold`, on the held-out rows.
    unsteered_folds : int
        Number of folds in which the search chose not to steer.
    """

    features: pd.DataFrame
    audit: SteeringAudit
    unsteered_folds: int


class SteeringByFold(BaseEstimator):
    """The steerings of all folds as one; a row is moved by that of the fold it is held out in.

    Parameters
    ----------
    constraint : str
        The gap that is targeted.
    splits : list of (train, test)
        Row positions of every fold.
    settings : sequence of Setting
        The setting of every fold.
    seeds : list of int
        The seed of every fold's draws.
    """

    family = "copula"

    def __init__(self, constraint, splits, settings, seeds):
        self.constraint, self.splits = constraint, splits
        self.settings, self.seeds = settings, seeds

    def fit(self, data, y, *, sensitive_features):
        """Fit every fold's steering on its training rows."""
        self.folds_ = []
        for (train, test), setting, seed in zip(
            self.splits, self.settings, self.seeds, strict=True
        ):
            steered = SteeredTable(self.constraint, setting, 1.0, seed)
            steered.fit_transform(
                data.iloc[train], y[train], sensitive_features=sensitive_features[train]
            )
            self.folds_.append((test, steered))
        return self

    @property
    def certificate_(self) -> dict[str, Certificate]:
        """The largest bound over the folds, for the gaps that every fold has a certificate for."""
        certificates = [steered.steering.certificate_ for _, steered in self.folds_]
        return {
            name: max((own[name] for own in certificates), key=lambda each: each.bound)
            for name in certificates[0]
            if all(name in own for own in certificates)
        }

    def order(self, data: pd.DataFrame) -> pd.DataFrame:
        """Return the table as numbers, each row by the order of its fold."""
        parts = [steered.order.transform(data.iloc[rows]) for rows, steered in self.folds_]
        return pd.concat(parts).sort_index()

    def transform(self, X: pd.DataFrame, *, sensitive_features) -> pd.DataFrame:
        """Steer every row of an ordered table."""
        groups = np.asarray(sensitive_features)
        parts = []
        for rows, steered in self.folds_:
            own = X.iloc[rows]
            moved = steered.steering.transform(own, sensitive_features=groups[rows])
            parts.append(pd.DataFrame(moved, own.index, own.columns))
        return pd.concat(parts).sort_index()

    def unorder(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return an ordered table to its own values."""
        parts = [steered.order.inverse_transform(X.iloc[rows]) for rows, steered in self.folds_]
        return pd.concat(parts).sort_index()


def summarize_steering(
    table: Table, constraint: str, settings: Sequence[Setting], random_state: int
) -> SteeringSummary:
    """Fit the steering of every fold of the first repeat again and summarize what it moved.

    Parameters
    ----------
    table : Table
        The compared table.
    constraint : str
        The gap that is targeted.
    settings : sequence of Setting
        What the comparison's steering chose in every fold of the first repeat.
    random_state : int
        The seed of the comparison.

    Returns
    -------
    SteeringSummary
    """
    cv = len(settings)
    data, groups = table.data.reset_index(drop=True), table.groups.to_numpy()
    steering = SteeringByFold(
        constraint,
        split_rows(table, cv, random_state),
        settings,
        [unit_seed(random_state, 0, fold) for fold in range(cv)],
    )
    # The comparison has reported the warnings of these fits.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steering.fit(data, table.target.to_numpy(), sensitive_features=groups)
        ordered = steering.order(data)
        moved = steering.transform(ordered, sensitive_features=groups)
        audit = audit_steering(
            steering,
            ordered,
            table.target.to_numpy(),
            sensitive_features=groups,
            cv=min(AUDIT_FOLDS, table.groups.value_counts().min()),
            max_rows=AUDIT_ROWS,
        )
    return SteeringSummary(
        features=features_table(
            steering.unorder(ordered),
            steering.unorder(moved),
            groups,
            _standardized_change(ordered, moved),
        ),
        audit=audit,
        unsteered_folds=sum(setting == UNMITIGATED for setting in settings),
    )


def features_table(
    before: pd.DataFrame, after: pd.DataFrame, groups: np.ndarray, change: pd.Series
) -> pd.DataFrame:
    """Tabulate the change of every feature in every group.

    Parameters
    ----------
    before, after : DataFrame of shape (n, d)
        The table's own values, without missing values.
    groups : ndarray of shape (n,)
        The group of every row.
    change : Series of shape (d,)
        How far each feature moved, in standard deviations.

    Returns
    -------
    DataFrame
        The columns `FEATURE_COLUMNS`, features that moved most first. The statistics of a numeric
        feature are mean and median, those of a categorical feature the share of each category;
        ``changed`` is the share of rows with a changed value (its ``before`` is NaN).
    """
    rows = []
    for name in change.sort_values(ascending=False, kind="stable").index:
        for group in np.unique(groups):
            own = groups == group
            pair = before[name].to_numpy()[own], after[name].to_numpy()[own]
            start = {"feature": name, "moved": change[name], "group": group, "rows": own.sum()}
            changed = np.nan, float(np.mean(pair[0] != pair[1]))
            values = {("changed", ""): changed}
            if is_number(before[name]):
                values["mean", ""] = tuple(float(np.mean(part)) for part in pair)
                values["median", ""] = tuple(float(np.median(part)) for part in pair)
            else:
                for category in sorted({*before[name], *after[name]}):
                    values["share", category] = tuple(float(np.mean(p == category)) for p in pair)
            for (statistic, category), (first, second) in values.items():
                what = {"statistic": statistic, "category": category}
                rows.append({**start, **what, "before": first, "after": second})
    return pd.DataFrame(rows, columns=list(FEATURE_COLUMNS))


def audit_tables(summary: SteeringSummary | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the audit and the certificate as plain tables, empty without a summary."""
    if summary is None:
        return pd.DataFrame(columns=list(AUDIT_COLUMNS)), pd.DataFrame(
            columns=list(CERTIFICATE_COLUMNS)
        )
    return (
        summary.audit.leakage.reset_index()[list(AUDIT_COLUMNS)],
        summary.audit.certificate.reset_index()[list(CERTIFICATE_COLUMNS)],
    )


def moved_features(features: pd.DataFrame) -> dict:
    """Select the features that moved most.

    Parameters
    ----------
    features : DataFrame
        From `features_table`, or empty.

    Returns
    -------
    dict
        ``groups``: at most `SHOWN_GROUPS` names, the largest groups, sorted; ``n_groups`` and
        ``n_features``, of all; ``shown``: for at most `SHOWN_FEATURES` features the name, how far
        it moved, rows ``(statistic, category, DataFrame by group)``, and the decimals that show
        four digits of its largest number.
    """
    if features.empty:
        return {"groups": [], "n_groups": 0, "n_features": 0, "shown": []}
    sizes = features.drop_duplicates("group").set_index("group")["rows"]
    groups = sorted(sizes.nlargest(SHOWN_GROUPS).index)
    names = features["feature"].unique()
    shown = []
    for name in names[:SHOWN_FEATURES]:
        own = features[features["feature"] == name]
        rows = [
            (statistic, category, rows.set_index("group").loc[groups])
            for (statistic, category), rows in own.groupby(["statistic", "category"], sort=False)
            if statistic != "share" or category in _largest_changes(own)
        ]
        shown.append((name, own["moved"].iloc[0], rows, _decimals(own)))
    return {
        "groups": groups,
        "n_groups": len(sizes),
        "n_features": len(names),
        "shown": shown,
    }


def _largest_changes(own: pd.DataFrame) -> list[str]:
    """Return the categories whose shares change most in some group."""
    shares = own[own["statistic"] == "share"]
    change = (shares["after"] - shares["before"]).abs().groupby(shares["category"]).max()
    return change.nlargest(SHOWN_CATEGORIES).index.tolist()


def _decimals(own: pd.DataFrame) -> int:
    numbers = own.loc[own["statistic"].isin(["mean", "median"]), ["before", "after"]]
    largest = numbers.abs().max(axis=None)
    return int(np.clip(3 - np.floor(np.log10(largest)), 0, 6)) if largest > 0.0 else 0


def _standardized_change(ordered: pd.DataFrame, moved: pd.DataFrame) -> pd.Series:
    """Return the root mean square change of every feature, in standard deviations."""
    deviation = ordered.std(ddof=0)
    change = np.sqrt(((moved - ordered) ** 2).mean())
    return change / deviation.where(deviation > 0.0, 1.0)
