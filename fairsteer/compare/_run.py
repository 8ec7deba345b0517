"""The comparison that the command line and the report are made of: no printing here.

Protocol: k-fold cross-validation stratified on label and group. Encoders, steering and mitigators
are fitted on training rows only; accuracy and gaps are measured on the pooled out-of-fold
predictions.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from fairsteer.compare._methods import (
    ESTIMATORS,
    FRONTIER_METHODS,
    METHODS,
    make_estimator,
    make_procedure,
)
from fairsteer.compare._table import Table, check_cells
from fairsteer.estimators._classifier_cv import Setting
from fairsteer.exceptions import UsageError
from fairsteer.metrics._gaps import gaps, noise_floor

GAPS = ("demographic_parity", "equal_opportunity", "equalized_odds")
FLOORS = tuple(f"floor_{name}" for name in GAPS)
MEASURES = ("accuracy", "balanced_accuracy", "auc", *GAPS, *FLOORS, "fit_seconds")
COLUMNS = ("dataset", "estimator", "method", "repeat", *MEASURES)


@dataclass(frozen=True)
class ComparisonOptions:
    """What was asked of a comparison.

    Parameters
    ----------
    estimators, methods : tuple of str
        Names, in the order of the rows.
    repeats, cv, random_state, n_jobs : int
        Cross-validations, folds of each, random seed, parallel processes.
    frontier : tuple of str, default=()
        Names of steering at further strengths, which run after the methods.
    """

    estimators: tuple[str, ...]
    methods: tuple[str, ...]
    repeats: int
    cv: int
    random_state: int
    n_jobs: int
    frontier: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Comparison:
    """The outcome of a comparison.

    Parameters
    ----------
    table : Table
        What was compared on.
    options : ComparisonOptions
        How.
    results : DataFrame
        One row per estimator, method and repeat, with the columns `COLUMNS`; NaN where a method
        failed and for the AUC of randomised decisions.
    predictions, scores : dict of (estimator, method, repeat) to ndarray of shape (n,)
        Pooled out-of-fold 0/1 predictions and, where the method ranks, probabilities, in the order
        of the table's rows.
    failures, warnings : dict of (estimator, method) to tuple of str
        The different reasons why a method failed, and the different warnings that it gave.
    chosen : dict of (estimator, method, repeat) to tuple of Setting
        What steering chose in each fold; see `fairsteer.estimators._classifier_cv.Setting`.
    """

    table: Table
    options: ComparisonOptions
    results: pd.DataFrame
    predictions: Mapping[tuple[str, str, int], np.ndarray]
    scores: Mapping[tuple[str, str, int], np.ndarray]
    failures: Mapping[tuple[str, str], tuple[str, ...]]
    warnings: Mapping[tuple[str, str], tuple[str, ...]]
    chosen: Mapping[tuple[str, str, int], tuple[Setting, ...]]


@dataclass(frozen=True)
class Unit:
    """One piece of work: a method with an estimator on one fold of one repeat."""

    estimator: str
    method: str
    repeat: int
    fold: int


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a unit; ``reason`` is empty unless it failed, only steering has a setting."""

    unit: Unit
    predicted: np.ndarray | None = None
    score: np.ndarray | None = None
    seconds: float = np.nan
    setting: Setting | None = None
    reason: str = ""
    warnings: tuple[str, ...] = field(default=())


def compare(
    table: Table,
    *,
    estimators: Sequence[str] = ("logistic",),
    repeats: int = 1,
    cv: int = 5,
    random_state: int = 0,
    n_jobs: int = 1,
    skip: Sequence[str] = (),
    frontier: bool = False,
    progress: Callable[[int, int, Unit], None] | None = None,
) -> Comparison:
    """Compare steering with fairlearn's mitigators on one table.

    Parameters
    ----------
    table : Table
        From `fairsteer.compare.load_table`.
    estimators : sequence of {"logistic", "boosting"}, default=("logistic",)
        The base classifiers.
    repeats : int, default=1
        Number of cross-validations, each with its own split.
    cv : int, default=5
        Folds of each.
    random_state : int, default=0
        Seed of the splits, the estimators and randomised decisions; the result depends on nothing
        else.
    n_jobs : int, default=1
        Parallel processes, -1 for one per core.
    skip : sequence of str
        Methods to leave out, by name or by the part before ``-``.
    frontier : bool, default=False
        Whether steering runs at further strengths as well, for
        `fairsteer.compare._frontier.frontier_table`.
    progress : callable, optional
        Called as ``progress(done, total, unit)`` after each unit of work.

    Returns
    -------
    Comparison
        Results, predictions and what failed.

    Raises
    ------
    UsageError
        When the request does not fit; one sentence.
    """
    options = plan(
        table,
        estimators=estimators,
        repeats=repeats,
        cv=cv,
        random_state=random_state,
        n_jobs=n_jobs,
        skip=skip,
        frontier=frontier,
    )
    splits = [split_rows(table, cv, random_state + repeat) for repeat in range(repeats)]
    units = [
        Unit(estimator, method, repeat, fold)
        for estimator in options.estimators
        for method in (*options.methods, *options.frontier)
        for repeat in range(repeats)
        for fold in range(cv)
    ]
    work = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        delayed(run_unit)(unit, table, *splits[unit.repeat][unit.fold], random_state)
        for unit in units
    )
    outcomes: dict[Unit, Outcome] = {}
    for outcome in work:
        outcomes[outcome.unit] = outcome
        if progress is not None:
            progress(len(outcomes), len(units), outcome.unit)
    return _collect(table, options, splits, [outcomes[unit] for unit in units])


def plan(
    table: Table,
    *,
    estimators: Sequence[str] = ("logistic",),
    repeats: int = 1,
    cv: int = 5,
    random_state: int = 0,
    n_jobs: int = 1,
    skip: Sequence[str] = (),
    frontier: bool = False,
) -> ComparisonOptions:
    """Check a request before any work is done.

    Parameters
    ----------
    table, estimators, repeats, cv, random_state, n_jobs, skip, frontier
        As in `compare`.

    Returns
    -------
    ComparisonOptions
        The request, with the methods that remain.

    Raises
    ------
    UsageError
        When the request does not fit; one sentence.
    """
    estimators = tuple(dict.fromkeys(estimators))
    unknown = [name for name in estimators if name not in ESTIMATORS]
    if unknown or not estimators:
        raise UsageError(
            f"the estimator is one of {', '.join(ESTIMATORS)}, "
            f"not {', '.join(unknown) or 'nothing'}."
        )
    for name, value, smallest in (
        ("repeats", repeats, 1),
        ("cv (--folds)", cv, 2),
        ("random_state (--seed)", random_state, 0),
    ):
        if value < smallest:
            raise UsageError(f"{name} must be at least {smallest}, not {value}.")
    if n_jobs == 0:
        raise UsageError(
            "n_jobs (--jobs) must be the number of parallel processes, or -1 for one per core."
        )
    check_cells(
        table.target,
        table.groups,
        cv,
        f"with {cv} folds one of them would have none; use fewer folds or merge small groups",
    )
    methods = _remaining(skip)
    further = _further_strengths(methods) if frontier else ()
    return ComparisonOptions(estimators, methods, repeats, cv, random_state, n_jobs, further)


def run_unit(unit: Unit, table: Table, train, test, seed: int) -> Outcome:
    """Fit one method on training rows and predict the held-out ones.

    Parameters
    ----------
    unit : Unit
        Which method, estimator, repeat and fold.
    table : Table
        What to compare on.
    train, test : ndarray of int
        Row positions. Nothing of the test rows is used but their features and group.
    seed : int
        The comparison's seed.

    Returns
    -------
    Outcome
        Predictions or the reason of the failure, and the warnings given.
    """
    method = (METHODS | FRONTIER_METHODS)[unit.method]
    draw = unit_seed(seed, unit.repeat, unit.fold)
    data, groups = table.data.iloc[train], table.groups.iloc[train]
    held_out, held_out_groups = table.data.iloc[test], table.groups.iloc[test]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # fairlearn 0.15 with pandas 3: notes for its authors, which no user can act on.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"fairlearn\.")
        # Whatever a method raises is reported with the table; the other methods go on.
        try:
            start = time.perf_counter()
            estimator = make_estimator(unit.estimator, seed)
            procedure = make_procedure(method, estimator, data, draw)
            procedure.fit(data, table.target.iloc[train], sensitive_features=groups)
            seconds = time.perf_counter() - start
            predicted, score = procedure.predict(held_out, sensitive_features=held_out_groups)
        except Exception as error:
            outcome = {"reason": _one_line(type(error), error)}
        else:
            predicted = np.asarray(predicted).astype(np.int8)
            outcome = {
                "predicted": predicted,
                "score": score,
                "seconds": seconds,
                "setting": getattr(procedure, "setting_", None),
            }
    given = (_one_line(warning.category, warning.message) for warning in caught)
    return Outcome(unit, warnings=tuple(dict.fromkeys(given)), **outcome)


def unit_seed(seed: int, repeat: int, fold: int) -> int:
    """Return the seed of what a method draws in one fold of one repeat.

    Parameters
    ----------
    seed, repeat, fold : int
        The comparison's seed, and which fold.

    Returns
    -------
    int
    """
    return int(np.random.SeedSequence((seed, repeat, fold)).generate_state(1)[0])


def split_rows(table: Table, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split the rows of one repeat, stratified on label and group.

    Parameters
    ----------
    table : Table
        What is compared on.
    folds : int
        Number of folds.
    seed : int
        The comparison's seed plus the number of the repeat.

    Returns
    -------
    list of (train, test)
        Row positions of every fold.
    """
    cells = table.groups.groupby([table.groups, table.target]).ngroup()
    splitter = StratifiedKFold(n_splits=folds, shuffle=True, random_state=seed)
    return list(splitter.split(np.zeros(len(cells)), cells))


def _remaining(skip: Sequence[str]) -> tuple[str, ...]:
    names = dict.fromkeys([*(m.family for m in METHODS.values()), *METHODS])
    unknown = [name for name in skip if name not in names]
    if unknown:
        raise UsageError(
            f"there is no method {unknown[0]!r} to skip; there are {', '.join(names)}."
        )
    kept = [m.name for m in METHODS.values() if m.family not in skip and m.name not in skip]
    if not kept:
        raise UsageError("every method is skipped; leave at least one.")
    return tuple(kept)


def _further_strengths(methods: tuple[str, ...]) -> tuple[str, ...]:
    further = [m.name for m in FRONTIER_METHODS.values() if f"{m.family}-{m.constraint}" in methods]
    if not further:
        raise UsageError(
            "the frontier is steering over its strength, but steering is skipped; keep at least "
            "one constraint of it, or leave out the frontier."
        )
    return tuple(further)


def _collect(table, options, splits, outcomes) -> Comparison:
    by_run: dict[tuple[str, str, int], list[Outcome]] = {}
    for outcome in outcomes:
        unit = outcome.unit
        by_run.setdefault((unit.estimator, unit.method, unit.repeat), []).append(outcome)
    predictions, scores, chosen, failures, notes, rows = {}, {}, {}, {}, {}, []
    for key, parts in by_run.items():
        for part in parts:
            if part.reason:
                failures.setdefault(key[:2], {})[part.reason] = None
            for note in part.warnings:
                notes.setdefault(key[:2], {})[note] = None
        measured = {}
        if not any(part.reason for part in parts):
            folds = [test for _, test in splits[key[2]]]
            predictions[key] = _pooled([part.predicted for part in parts], folds)
            if parts[0].score is not None:
                scores[key] = _pooled([part.score for part in parts], folds)
            if parts[0].setting is not None:
                chosen[key] = tuple(part.setting for part in parts)
            seconds = float(np.mean([part.seconds for part in parts]))
            measured = _measure(
                table, options.random_state, predictions[key], scores.get(key), seconds
            )
        rows.append(
            {"dataset": table.name, **dict(zip(COLUMNS[1:4], key, strict=True)), **measured}
        )
    return Comparison(
        table=table,
        options=options,
        results=pd.DataFrame(rows, columns=list(COLUMNS)),
        predictions=predictions,
        scores=scores,
        failures={key: tuple(reasons) for key, reasons in failures.items()},
        warnings={key: tuple(texts) for key, texts in notes.items()},
        chosen=chosen,
    )


def _pooled(parts, folds) -> np.ndarray:
    pooled = np.concatenate(parts)
    pooled[np.concatenate(folds)] = pooled.copy()
    return pooled


def _measure(table, seed, predicted, score, seconds) -> dict[str, float]:
    y = table.target.to_numpy()
    floors = noise_floor(y, predicted, table.groups, random_state=seed)
    return {
        "accuracy": accuracy_score(y, predicted),
        "balanced_accuracy": balanced_accuracy_score(y, predicted),
        "auc": np.nan if score is None else roc_auc_score(y, score),
        **gaps(y, predicted, table.groups),
        **{f"floor_{name}": value for name, value in floors.items()},
        "fit_seconds": seconds,
    }


def _one_line(kind: type, message) -> str:
    return f"{kind.__name__}: {' '.join(str(message).split())}"
