"""What steering chose in every fold, whose decisions changed, and what an attacker attains."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from sklearn.model_selection import cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from fairsteer.compare._methods import BASELINE
from fairsteer.compare._run import GAPS, Comparison
from fairsteer.metrics._attacks import summarize_attack

ATTACK_FOLDS = 5
ATTACK_ROWS = 20_000
CHOICE_COLUMNS = (
    *("estimator", "method", "repeat", "fold", "candidate", "parameters"),
    *("accuracy", "gap", "floor"),
)
CHANGE_COLUMNS = ("estimator", "method", "group", "rows", "gained", "lost", "changed")
ATTACK_COLUMNS = ("estimator", "method", "constraint", "attack", "attack_deviation")


def choice_table(comparison: Comparison) -> pd.DataFrame:
    """Tabulate what steering chose in every fold.

    Parameters
    ----------
    comparison : Comparison
        From `fairsteer.compare.compare`.

    Returns
    -------
    DataFrame
        `CHOICE_COLUMNS`: repeat and fold from 1, the candidate, what it chose itself, and its
        accuracy, gap and noise floor on held-out rows within the training rows of the fold.
    """
    rows = [
        (estimator, method, repeat + 1, fold + 1, *choice)
        for (estimator, method, repeat), choices in comparison.chosen.items()
        for fold, choice in enumerate(choices)
    ]
    return pd.DataFrame(rows, columns=list(CHOICE_COLUMNS))


def change_table(comparison: Comparison, methods: Iterable[str]) -> pd.DataFrame:
    """Tabulate how many people of every group have another decision than without mitigation.

    Parameters
    ----------
    comparison : Comparison
        From `fairsteer.compare.compare`.
    methods : iterable of str
        Names of the methods.

    Returns
    -------
    DataFrame
        `CHANGE_COLUMNS`: ``gained`` and ``lost`` are the shares of the group's rows that are
        predicted favorable only with the method, or only without it, and ``changed`` their sum;
        means over the repeats. Empty without ``unmitigated``.
    """
    groups = comparison.table.groups
    sizes = groups.value_counts()
    rows, finished = [], comparison.finished
    for (estimator, method), after in finished.items():
        before = finished.get((estimator, BASELINE))
        if before is None or method == BASELINE or method not in methods:
            continue
        for group in sizes.sort_index().index:
            own = np.asarray(groups == group)
            gained = np.mean((after > before)[:, own])
            lost = np.mean((after < before)[:, own])
            shares = gained, lost, gained + lost
            rows.append((estimator, method, group, int(sizes[group]), *shares))
    return pd.DataFrame(rows, columns=list(CHANGE_COLUMNS))


def attack_table(comparison: Comparison, estimator: str, methods: Iterable[str]) -> pd.DataFrame:
    """Tabulate the gaps that a classifier attains which is trained to guess the group.

    It is a decision tree, which sees the scores of held-out rows of the first repeat, and is
    cross-validated on at most `ATTACK_ROWS` of them.

    Parameters
    ----------
    comparison : Comparison
        From `fairsteer.compare.compare`.
    estimator : str
        Name of the estimator.
    methods : iterable of str
        Names of the methods.

    Returns
    -------
    DataFrame
        `ATTACK_COLUMNS`, for the methods that have scores. Groups with fewer rows than folds are
        left out; without two groups there is no row.
    """
    table, seed = comparison.table, comparison.options.random_state
    y = table.target.to_numpy()
    codes = pd.factorize(table.groups, sort=True)[0]
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(y))[:ATTACK_ROWS])
    y, codes, rows = y[chosen], codes[chosen], []
    for method in methods:
        score = comparison.scores.get((estimator, method, 0))
        if score is None:
            continue
        every, positive, negative = (
            _attack(score[chosen], codes, own)
            for own in (np.ones(len(y), dtype=bool), y == 1, y == 0)
        )
        by_gap = dict(zip(GAPS, ([every], [positive], [negative, positive]), strict=True))
        for constraint, own in by_gap.items():
            found = [attack for attack in own if attack is not None]
            if found:
                largest = max(found, key=lambda own: own.attack_advantage)
                measured = largest.attack_advantage, largest.attack_advantage_deviation
                rows.append((estimator, method, constraint, *measured))
    return pd.DataFrame(rows, columns=list(ATTACK_COLUMNS))


def _attack(score, codes, places):
    """Attack the scores of some rows, or return None where fewer than two groups have enough."""
    large = np.bincount(codes[places], minlength=codes.max() + 1) >= ATTACK_FOLDS
    own = places & large[codes]
    if large.sum() < 2:
        return None
    present = np.unique(codes[own], return_inverse=True)[1]
    tree = DecisionTreeClassifier(
        class_weight="balanced", max_leaf_nodes=32, min_samples_leaf=20, random_state=0
    )
    probabilities = cross_val_predict(
        tree, score[own, None], present, cv=ATTACK_FOLDS, method="predict_proba"
    )
    return summarize_attack(probabilities, present, np.nan, ATTACK_FOLDS)
