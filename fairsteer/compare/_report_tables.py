"""The tables of the report as its page lays them out; every number is one of the csv files."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fairsteer.metrics._report import BENEFICIAL_RATES, RATES

SHOWN_FEATURES = 6
SHOWN_GROUPS = 6
SHOWN_CATEGORIES = 2


def who_pays(groups: pd.DataFrame) -> dict:
    """Find who gains and who loses under one method.

    Parameters
    ----------
    groups : DataFrame
        From `fairsteer.compare._bootstrap.group_table`, the rows of one estimator and method.

    Returns
    -------
    dict
        ``rows``: per group a dict of its rates; ``loser`` and ``winner``: the rows of the selection
        rate that fell and rose most, None where none did; ``accuracy``: likewise the largest fall
        in accuracy; ``flagged``: (rate, groups) of leveling down.
    """
    by_rate = {rate: groups[groups["rate"] == rate] for rate in RATES}
    selected = by_rate["selection_rate"]
    return {
        "rows": [
            (group, own.set_index("rate")) for group, own in groups.groupby("group", sort=False)
        ],
        "loser": _extreme(selected, -1),
        "winner": _extreme(selected, 1),
        "accuracy": _extreme(by_rate["accuracy"], -1),
        "flagged": flagged(groups),
    }


def by_method(groups: pd.DataFrame) -> list[dict]:
    """Summarise who gains and who loses under every method but ``nothing``.

    Parameters
    ----------
    groups : DataFrame
        The rows of one estimator.

    Returns
    -------
    list of dict
        Each `who_pays` of a method, and its ``method``.
    """
    return [
        {"method": method, **who_pays(own)}
        for method, own in groups.groupby("method", sort=False)
        if method != "nothing" and own["before"].notna().any()
    ]


def flagged(groups: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """Return the groups that lost by leveling down, by rate."""
    hit = groups[groups["leveling_down"].eq(True)]
    found = ((rate, hit.loc[hit["rate"] == rate, "group"].tolist()) for rate in BENEFICIAL_RATES)
    return [(rate, names) for rate, names in found if names]


def moved_features(features: pd.DataFrame) -> dict:
    """Select the features that moved most.

    Parameters
    ----------
    features : DataFrame
        From `fairsteer.compare._report_features.features_table`, or empty.

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


def _extreme(rows: pd.DataFrame, sign: int) -> pd.Series | None:
    """Return the row whose rate rose (sign 1) or fell (-1) most, None where none did."""
    change = sign * rows["change"]
    return rows.loc[change.idxmax()] if change.max() > 0.0 else None
