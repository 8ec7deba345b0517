"""Run a comparison, without printing.

Protocol: k-fold cross-validation stratified on label and group. Encoders, steering and mitigators
are fitted on training rows only; accuracy and gaps are measured on the pooled out-of-fold
predictions.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from fairsteer.compare._methods import Choice, Method, make_procedure
from fairsteer.compare._options import ComparisonOptions, check_options
from fairsteer.compare._table import Table
from fairsteer.core.messages import shorten
from fairsteer.exceptions import UsageError
from fairsteer.metrics._gaps import fairness_gaps, noise_floor

GAPS = ("demographic_parity", "equal_opportunity", "equalized_odds")
FLOORS = tuple(f"floor_{name}" for name in GAPS)
MEASURES = ("accuracy", "balanced_accuracy", "auc", *GAPS, *FLOORS, "fit_seconds")
COLUMNS = ("dataset", "estimator", "method", "repeat", *MEASURES)


@dataclass(frozen=True, eq=False)
class Comparison:
    """The outcome of a comparison.

    A method of the user's own, which has its own classifier, runs once and has the same entries
    for every estimator.

    Parameters
    ----------
    table : Table
        The compared table.
    options : ComparisonOptions
        What was compared and how.
    results : DataFrame
        One row per estimator, method and repeat, with the columns `COLUMNS`; NaN where a method
        failed, and for the AUC of methods without scores.
    predictions, scores : dict of (estimator, method, repeat) to ndarray of shape (n,)
        Pooled out-of-fold 0/1 predictions and, where the method has them, scores, in the order of
        the table's rows.
    failures, warnings : dict of (estimator, method) to tuple of str
        The distinct errors and the distinct warnings of a method.
    chosen : dict of (estimator, method, repeat) to tuple of Choice
        What steering chose in each fold.
    """

    table: Table
    options: ComparisonOptions
    results: pd.DataFrame
    predictions: Mapping[tuple[str, str, int], np.ndarray]
    scores: Mapping[tuple[str, str, int], np.ndarray]
    failures: Mapping[tuple[str, str], tuple[str, ...]]
    warnings: Mapping[tuple[str, str], tuple[str, ...]]
    chosen: Mapping[tuple[str, str, int], tuple[Choice, ...]]

    @property
    def methods(self) -> dict[str, Method]:
        """Every method by name, steering that may leave a gap included."""
        return {method.name: method for method in (*self.options.methods, *self.options.frontier)}

    @property
    def finished(self) -> dict[tuple[str, str], np.ndarray]:
        """Predictions of shape (repeats, n) by (estimator, method), where no repeat failed."""
        repeats = range(self.options.repeats)
        return {
            (estimator, name): np.array([self.predictions[estimator, name, r] for r in repeats])
            for estimator in self.options.estimators
            for name in self.methods
            if all((estimator, name, r) in self.predictions for r in repeats)
        }


@dataclass(frozen=True)
class Unit:
    """One piece of work: a method with an estimator on one fold of one repeat."""

    estimator: str
    method: str
    repeat: int
    fold: int


@dataclass(frozen=True, eq=False)
class Outcome:
    """The outcome of a unit; ``reason`` is empty unless it failed, only steering has a choice."""

    unit: Unit
    predicted: np.ndarray | None = None
    score: np.ndarray | None = None
    seconds: float = np.nan
    choice: Choice | None = None
    reason: str = ""
    warnings: tuple[str, ...] = field(default=())


def compare(
    table: Table,
    *,
    estimators: Sequence[str] | Mapping[str, object] = ("logistic",),
    repeats: int = 1,
    cv: int = 5,
    random_state: int = 0,
    n_jobs: int = 1,
    skip: Sequence[str] = (),
    frontier: bool = False,
    methods: Mapping[str, object] | None = None,
    max_gap: float | None = None,
    progress: Callable[[int, int, Unit], None] | None = None,
) -> Comparison:
    """Compare steering with fairlearn's mitigators on one table.

    Parameters
    ----------
    table : Table
        From `fairsteer.compare.load_table`.
    estimators : sequence of {"logistic", "boosting"} or dict, default=("logistic",)
        The base classifiers: names of built-in classifiers, or unfitted classifiers by names of
        your own, for example ``{"rf": RandomForestClassifier()}``. They are cloned and see the
        encoded table; steering and exponentiated gradient need ``sample_weight`` in their ``fit``,
        steering needs ``predict_proba``.
    repeats : int, default=1
        Number of cross-validations, each with its own split.
    cv : int, default=5
        Folds of each.
    random_state : int, default=0
        Seed of the splits, the built-in estimators and randomized decisions. The result depends on
        no other seed, except those of classifiers of your own.
    n_jobs : int, default=1
        Parallel processes, -1 for one per core.
    skip : sequence of str
        Methods to leave out, by name or by the part before ``-``.
    frontier : bool, default=False
        Whether steering also runs with several gaps that it may leave, for
        `fairsteer.compare.frontier_table`.
    methods : dict of str to classifier, optional
        Methods of your own, compared beside the built-in ones: unfitted classifiers or pipelines by
        name, for example ``{"mine": make_pipeline(OptimalSteeringTransformer("sex"),
        LogisticRegression())}``. See Notes.
    max_gap : float in (0, 1), optional
        The gap that steering may leave; default what chance explains.
    progress : callable, optional
        Called as ``progress(done, total, unit)`` after each unit of work.

    Returns
    -------
    Comparison
        Results, predictions and failures.

    Raises
    ------
    UsageError
        If an option does not fit; one sentence.

    Notes
    -----
    A method of your own is cloned and fitted on the table's own features, not encoded, with labels
    0 and 1. If its ``fit`` takes ``sensitive_features``, the sensitive columns are passed by that
    argument (a Series, or a DataFrame if there are several), also to ``predict`` and
    ``predict_proba`` where they take it. Otherwise, and if one of its parameters
    ``sensitive_feature_ids`` is set, the sensitive columns are appended to the features under
    their own names.

    It has its own classifier, so it runs once, and its row is the same in the table of every
    estimator, where it is compared with that estimator's ``unmitigated``. Its errors are reported
    as those of the built-in methods are.
    """
    options = check_options(
        table,
        estimators=estimators,
        repeats=repeats,
        cv=cv,
        random_state=random_state,
        n_jobs=n_jobs,
        skip=skip,
        frontier=frontier,
        methods=methods,
        max_gap=max_gap,
    )
    if not (progress is None or callable(progress)):
        raise UsageError(f"progress must be a function, not {shorten(progress)}.")
    splits = [split_rows(table, cv, random_state + repeat) for repeat in range(repeats)]
    by_name = {method.name: method for method in (*options.methods, *options.frontier)}
    units = [
        Unit(estimator, name, repeat, fold)
        for k, estimator in enumerate(options.estimators)
        for name, method in by_name.items()
        if k == 0 or method.classifier is None
        for repeat in range(repeats)
        for fold in range(cv)
    ]
    work = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        delayed(run_units)(
            together,
            by_name,
            options.estimators[together[0].estimator],
            table,
            *splits[together[0].repeat][together[0].fold],
            random_state,
        )
        for together in group_units(units, by_name)
    )
    outcomes: dict[Unit, Outcome] = {}
    for some in work:
        for outcome in some:
            outcomes[outcome.unit] = outcome
            if progress is not None:
                progress(len(outcomes), len(units), outcome.unit)
    return _collect(table, options, splits, [outcomes[unit] for unit in units])


def group_units(units: list[Unit], methods: Mapping[str, Method]) -> list[list[Unit]]:
    """Group the units that share fits: those of steering on the same fold.

    Parameters
    ----------
    units : list of Unit
        All units.
    methods : dict of str to Method
        Methods by name.

    Returns
    -------
    list of list of Unit
    """
    groups: dict[tuple, list[Unit]] = {}
    for unit in units:
        method = methods[unit.method]
        family = method.family if method.family == "steering" else method.name
        key = unit.estimator, family, method.classifier is None, unit.repeat, unit.fold
        groups.setdefault(key, []).append(unit)
    return list(groups.values())


def run_units(units, methods, estimator, table, train, test, random_state) -> list[Outcome]:
    """Run units of one fold one after another, see `run_unit`."""
    shared: dict = {}
    return [
        run_unit(unit, methods[unit.method], estimator, table, train, test, random_state, shared)
        for unit in units
    ]


def run_unit(
    unit: Unit,
    method: Method,
    estimator,
    table: Table,
    train,
    test,
    random_state: int,
    shared: dict | None = None,
) -> Outcome:
    """Fit a method on training rows and predict the held-out rows.

    Parameters
    ----------
    unit : Unit
        Which fold of which repeat.
    method : Method
        Which method.
    estimator : classifier
        The unfitted base classifier.
    table : Table
        The compared table.
    train, test : ndarray of int
        Row positions. Of the test rows only features and group are used.
    random_state : int
        The seed of the comparison.
    shared : dict, optional
        What units of steering on the same fold share.

    Returns
    -------
    Outcome
        Predictions or the reason of the failure, and the warnings.
    """
    attributes = table.groups if method.classifier is None else table.attributes
    data, held_out = table.data.iloc[train], table.data.iloc[test]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # fairlearn 0.15 with pandas 3: notes for its authors, which no user can act on.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"fairlearn\.")
        # Errors of a method are reported with the table; the other methods go on.
        try:
            start = time.perf_counter()
            seed = unit_seed(random_state, unit.repeat, unit.fold)
            procedure = make_procedure(method, estimator, data, seed, shared)
            procedure.fit(data, table.target.iloc[train], sensitive_features=attributes.iloc[train])
            seconds = time.perf_counter() - start + getattr(procedure, "shared_seconds_", 0.0)
            predicted, score = procedure.predict(held_out, sensitive_features=attributes.iloc[test])
            outcome = {
                "predicted": _check_labels(predicted, len(test)),
                "score": _check_scores(score, len(test)),
                "seconds": seconds,
                "choice": getattr(procedure, "choice_", None),
            }
        except Exception as error:
            outcome = {"reason": _one_line(type(error), error)}
    given = (_one_line(warning.category, warning.message) for warning in caught)
    return Outcome(unit, warnings=tuple(dict.fromkeys(given)), **outcome)


def unit_seed(random_state: int, repeat: int, fold: int) -> int:
    """Return the seed of a method's draws in one fold of one repeat.

    Parameters
    ----------
    random_state, repeat, fold : int
        The seed of the comparison, and which fold.

    Returns
    -------
    int
    """
    return int(np.random.SeedSequence((random_state, repeat, fold)).generate_state(1)[0])


def split_rows(table: Table, cv: int, random_state: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split the rows of one repeat, stratified on label and group.

    Parameters
    ----------
    table : Table
        The compared table.
    cv : int
        Number of folds.
    random_state : int
        The seed of the comparison plus the number of the repeat.

    Returns
    -------
    list of (train, test)
        Row positions of every fold.
    """
    subgroups = table.groups.groupby([table.groups, table.target]).ngroup()
    splitter = StratifiedKFold(n_splits=cv, shuffle=True, random_state=random_state)
    return list(splitter.split(np.zeros(len(subgroups)), subgroups))


def _collect(table, options, splits, outcomes) -> Comparison:
    methods = {method.name: method for method in (*options.methods, *options.frontier)}
    by_run: dict[tuple[str, str, int], list[Outcome]] = {}
    for outcome in outcomes:
        unit = outcome.unit
        once = methods[unit.method].classifier is not None
        for estimator in options.estimators if once else (unit.estimator,):
            by_run.setdefault((estimator, unit.method, unit.repeat), []).append(outcome)
    predictions, scores, chosen, failures, notes, rows = {}, {}, {}, {}, {}, []
    for key in product(options.estimators, methods, range(options.repeats)):
        parts = by_run[key]
        for part in parts:
            if part.reason:
                failures.setdefault(key[:2], {})[part.reason] = None
            for note in part.warnings:
                notes.setdefault(key[:2], {})[note] = None
        measured = {}
        if not any(part.reason for part in parts):
            folds = [test for _, test in splits[key[2]]]
            predictions[key] = _pool([part.predicted for part in parts], folds)
            if parts[0].score is not None:
                scores[key] = _pool([part.score for part in parts], folds)
            if parts[0].choice is not None:
                chosen[key] = tuple(part.choice for part in parts)
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


def _pool(parts, folds) -> np.ndarray:
    pooled = np.concatenate(parts)
    pooled[np.concatenate(folds)] = pooled.copy()
    return pooled


def _check_labels(predicted, n_rows) -> np.ndarray:
    labels = np.asarray(predicted)
    if labels.shape != (n_rows,) or not np.isin(labels, (0, 1)).all():
        raise ValueError("predict must return one label per row, 0 or 1.")
    return labels.astype(np.int8)


def _check_scores(score, n_rows) -> np.ndarray | None:
    if score is None:
        return None
    scores = np.asarray(score)
    if scores.shape != (n_rows,) or not np.isfinite(scores).all():
        raise ValueError("predict_proba must return finite scores, one per row and label.")
    return scores


def _measure(table, seed, predicted, score, seconds) -> dict[str, float]:
    y = table.target.to_numpy()
    floors = noise_floor(y, predicted, sensitive_features=table.groups, random_state=seed)
    return {
        "accuracy": accuracy_score(y, predicted),
        "balanced_accuracy": balanced_accuracy_score(y, predicted),
        "auc": np.nan if score is None else roc_auc_score(y, score),
        **fairness_gaps(y, predicted, sensitive_features=table.groups),
        **{f"floor_{name}": value for name, value in floors.items()},
        "fit_seconds": seconds,
    }


def _one_line(kind: type, message) -> str:
    return f"{kind.__name__}: {' '.join(str(message).split())}"
