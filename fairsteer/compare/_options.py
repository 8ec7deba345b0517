"""Check the options of a comparison before any work is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real

from fairsteer.compare._methods import (
    ESTIMATORS,
    MAX_GAPS,
    METHODS,
    Method,
    make_estimator,
    make_user_method,
)
from fairsteer.compare._table import Table, check_subgroup_sizes
from fairsteer.core.messages import shorten
from fairsteer.exceptions import UsageError


@dataclass(frozen=True, eq=False)
class ComparisonOptions:
    """The checked options of a comparison.

    Parameters
    ----------
    estimators : dict of str to classifier
        The unfitted base classifiers by name, in the order of the tables.
    methods : tuple of Method
        In the order of the rows.
    frontier : tuple of Method
        Steering that may leave a gap, which runs after the methods.
    repeats, cv, random_state, n_jobs : int
        Cross-validations, folds of each, random seed, parallel processes.
    """

    estimators: Mapping[str, object]
    methods: tuple[Method, ...]
    frontier: tuple[Method, ...]
    repeats: int
    cv: int
    random_state: int
    n_jobs: int


def check_options(
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
) -> ComparisonOptions:
    """Check the options of a comparison.

    Parameters
    ----------
    table, estimators, repeats, cv, random_state, n_jobs, skip, frontier, methods, max_gap
        As in `fairsteer.compare.compare`.

    Returns
    -------
    ComparisonOptions
        With the methods that are not skipped.

    Raises
    ------
    UsageError
        If an option does not fit; one sentence.
    """
    if not isinstance(table, Table):
        raise UsageError(f"table must come from load_table, not be a {type(table).__name__}.")
    for name, value, low in (
        ("repeats", repeats, 1),
        ("cv (--folds)", cv, 2),
        ("random_state (--seed)", random_state, 0),
        ("n_jobs (--jobs)", n_jobs, None),
    ):
        if not isinstance(value, Integral) or isinstance(value, bool):
            raise UsageError(f"{name} must be an integer, not {shorten(value)}.")
        if low is not None and value < low:
            raise UsageError(f"{name} must be at least {low}, not {value}.")
    if not isinstance(frontier, bool):
        raise UsageError(f"frontier must be True or False, not {shorten(frontier)}.")
    # Every repeat has a seed of its own, and NumPy takes seeds below 2**32.
    if random_state > 2**32 - repeats:
        raise UsageError(
            f"random_state (--seed) must be at most {2**32 - repeats}, not {random_state}."
        )
    if n_jobs == 0:
        raise UsageError(
            "n_jobs (--jobs) must be the number of parallel processes, or -1 for one per core."
        )
    classifiers = _check_estimators(estimators, random_state)
    check_subgroup_sizes(
        table.target,
        table.groups,
        cv,
        f"with {cv} folds, a fold would have none of its rows; use fewer folds or merge small "
        "groups",
    )
    own = _check_methods({} if methods is None else methods)
    if max_gap is not None and not (isinstance(max_gap, Real) and 0.0 < max_gap < 1.0):
        raise UsageError(f"max_gap must be a number between 0 and 1, not {shorten(max_gap)}.")
    kept = _skip_methods([*METHODS.values(), *own], skip)
    kept = tuple(replace(m, limit=max_gap) if m.family == "steering" else m for m in kept)
    further = _allow_gaps(kept) if frontier else ()
    return ComparisonOptions(classifiers, kept, further, repeats, cv, random_state, n_jobs)


def _check_estimators(estimators, random_state) -> dict[str, object]:
    """Return the base classifiers by name."""
    if isinstance(estimators, Mapping):
        for name, classifier in estimators.items():
            _check_name("estimators", name, ESTIMATORS)
            _check_classifier("estimators", name, classifier)
        classifiers = dict(estimators)
    else:
        names = _check_names("estimators", estimators)
        unknown = [name for name in names if name not in ESTIMATORS]
        if unknown:
            raise UsageError(
                f"there is no estimator {shorten(unknown[0])}; there are {', '.join(ESTIMATORS)}, "
                "and in Python a dict of your own classifiers by name."
            )
        classifiers = {name: make_estimator(name, random_state) for name in names}
    if not classifiers:
        raise UsageError(f"estimators is empty; name at least one of {', '.join(ESTIMATORS)}.")
    return classifiers


def _check_names(argument, names) -> tuple[str, ...]:
    """Return names that are given as one text or a sequence of texts."""
    if isinstance(names, str):
        return (names,)
    names = tuple(names) if isinstance(names, Iterable) else names
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"{argument} must be names, not {shorten(names)}.")
    return names


def _check_methods(methods) -> list[Method]:
    """Return the methods of the user's own."""
    if not isinstance(methods, Mapping):
        raise UsageError(f"methods must be a dict of classifiers by name, not {shorten(methods)}.")
    built_in = {*METHODS, *(method.family for method in METHODS.values())}
    for name, classifier in methods.items():
        _check_name("methods", name, built_in)
        _check_classifier("methods", name, classifier)
    return [make_user_method(name, classifier) for name, classifier in methods.items()]


def _check_name(argument, name, built_in) -> None:
    if not isinstance(name, str) or not name or "@" in name:
        raise UsageError(f"the names in {argument} must be text without '@', not {shorten(name)}.")
    if name in built_in:
        raise UsageError(f"{argument} has the name {name!r}, which is built in: choose another.")


def _check_classifier(argument, name, classifier) -> None:
    is_class = isinstance(classifier, type)
    if is_class or not (hasattr(classifier, "fit") and hasattr(classifier, "predict")):
        kind = f"the class {classifier.__name__}" if is_class else f"a {type(classifier).__name__}"
        raise UsageError(
            f"{argument}[{name!r}] must be an unfitted classifier with fit and predict, not {kind}."
        )


def _skip_methods(methods: list[Method], skip) -> tuple[Method, ...]:
    skip = _check_names("skip", skip)
    names = dict.fromkeys([*(m.family for m in methods), *(m.name for m in methods)])
    unknown = [name for name in skip if name not in names]
    if unknown:
        raise UsageError(
            f"there is no method {shorten(unknown[0])} to skip; there are "
            f"{', '.join(list(names)[:20])}."
        )
    kept = tuple(m for m in methods if m.family not in skip and m.name not in skip)
    if not kept:
        raise UsageError("every method is skipped; leave at least one.")
    return kept


def _allow_gaps(methods: Sequence[Method]) -> tuple[Method, ...]:
    further = tuple(
        replace(method, max_gap=max_gap)
        for method in methods
        if method.family == "steering"
        for max_gap in MAX_GAPS
    )
    if not further:
        raise UsageError(
            "the frontier needs steering, which is skipped; keep at least one of its constraints "
            "or leave out the frontier."
        )
    return further
