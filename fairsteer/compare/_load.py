"""Load a table to compare: a named data set, or the user's own CSV file."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fairsteer import datasets
from fairsteer.compare._csv import read_csv_file
from fairsteer.compare._table import (
    MAX_GROUPS,
    MIN_ROWS,
    NAMED,
    Table,
    as_text,
    check_subgroup_sizes,
    join_groups,
)
from fairsteer.estimators._table_encoding import is_number
from fairsteer.exceptions import UsageError


def load_table(
    source: str | Path = "diabetes",
    target: str | None = None,
    sensitive: str | Sequence[str] | None = None,
    favorable=None,
    drop: str | Sequence[str] = (),
) -> Table:
    """Load a named table or read a CSV file.

    Parameters
    ----------
    source : str or Path, default="diabetes"
        ``"diabetes"`` (comes with scikit-learn), ``"adult"``, ``"compas"`` or the path of a CSV
        file.
    target : str, optional
        CSV only: the column to predict; it must have two values.
    sensitive : str or sequence of str, optional
        CSV: the sensitive columns; several define groups by their intersection. Adult and COMPAS:
        ``"sex"`` or ``"race"``.
    favorable : value or str, optional
        CSV only: the favorable value of the target. It is compared as text and as a number, and
        booleans in any case. By default the last of the sorted values.
    drop : str or sequence of str, optional
        CSV only: columns to leave out.

    Returns
    -------
    Table
        Features, 0/1 target and groups.

    Raises
    ------
    UsageError
        If the arguments do not fit the table; one sentence with the reason and a remedy.

    Notes
    -----
    A CSV file is read with pandas' defaults: an empty field, ``NA``, ``N/A``, ``NaN``, ``null``,
    ``None`` and the like are missing values. Fields may be separated by commas, semicolons, tabs
    or bars: the separator is the one that splits the header into most names and the next row into
    at least as many fields. If the separator is not a comma, numbers may have decimal commas. Rows
    without a target or sensitive value are dropped. Text columns with many values (more than 50
    and more than 5% of the rows, or more than half of the rows) are left out with a warning.
    Infinite numbers count as missing. All other columns are features. A feature that is a
    one-to-one copy of the target or a sensitive column, or that has no name, is kept with a
    warning.
    """
    sensitive = (sensitive,) if isinstance(sensitive, str) else tuple(sensitive or ())
    drop = (drop,) if isinstance(drop, str) else tuple(drop)
    if str(source) in NAMED:
        return _load_named(str(source), target, sensitive, favorable, drop)
    return _load_csv(Path(source), target, sensitive, favorable, drop)


def _load_named(name, target, sensitive, favorable, drop) -> Table:
    given = {"target": target, "favorable": favorable, "drop": drop}
    unfit = [option for option, value in given.items() if value not in (None, ())]
    if unfit:
        raise UsageError(
            f"{unfit[0]} applies to CSV files only; {name!r} has its own, documented conventions."
        )
    if name == "diabetes":
        if sensitive not in ((), ("sex",)):
            raise UsageError("the table 'diabetes' has one sensitive attribute, sex.")
        bunch = datasets.load_diabetes_progression()
    else:
        if len(sensitive) > 1 or not set(sensitive) <= {"sex", "race"}:
            raise UsageError(
                f"the sensitive attribute of {name!r} is either sex or race, not "
                f"{' '.join(map(repr, sensitive))}."
            )
        fetch = datasets.fetch_adult if name == "adult" else datasets.fetch_compas
        try:
            bunch = fetch(sensitive=sensitive[0]) if sensitive else fetch()
        except (OSError, ValueError) as error:
            raise UsageError(str(error)) from error
    attributes = bunch.sensitive_features.to_frame().reset_index(drop=True)
    return Table(
        name=name,
        data=bunch.data.drop(columns=list(attributes)).reset_index(drop=True),
        target=pd.Series(np.asarray(bunch.target, dtype=int), name="target"),
        groups=join_groups(attributes),
        attributes=attributes,
        favorable=str(bunch.target_names[1]),
        conventions=str(bunch.conventions),
    )


def _load_csv(path: Path, target, sensitive, favorable, drop) -> Table:
    frame, how = read_csv_file(path)
    if target is None or not sensitive:
        raise UsageError(
            "a CSV file needs a target and a sensitive column (--target COLUMN and --sensitive "
            f"COLUMN); the columns are {_list_columns(frame)}."
        )
    _check_roles(frame, path, target, sensitive, drop)
    complete = frame[[target, *sensitive]].notna().all(axis=1)
    kept = frame[complete].reset_index(drop=True)
    if kept.empty:
        raise UsageError(f"no row of '{path.name}' has both a target and a sensitive value.")

    label, label_names = _encode_target(kept[target], favorable)
    attributes = kept[list(sensitive)]
    groups = _make_groups(attributes)
    check_subgroup_sizes(
        label,
        groups,
        MIN_ROWS,
        "bin or merge the rare values of the sensitive columns, or drop those rows",
        label_names,
    )
    data, left_out = _select_features(kept.drop(columns=[target, *sensitive, *drop]), path)
    numbers = sum(is_number(data[name]) for name in data)
    default = "" if favorable is not None else " (the last of the sorted values)"
    conventions = (
        f"{path.name}{how and f' ({how})'}: {len(kept)} of {len(frame)} rows "
        f"({len(frame) - len(kept)} without target or sensitive value dropped), "
        f"favorable {target} = {label_names[1]}{default}, "
        f"features: {numbers} numeric, {data.shape[1] - numbers} categorical."
    )
    warnings = [*_find_suspicious(data, target, label, attributes, groups)]
    if left_out:
        warnings.insert(0, f"text columns with many values are left out: {_list(left_out)}.")
    return Table(
        name=path.stem,
        data=data,
        target=label,
        groups=groups,
        attributes=attributes,
        favorable=label_names[1],
        conventions=conventions,
        warnings=tuple(warnings),
    )


def _check_roles(frame, path, target, sensitive, drop) -> None:
    for name in (target, *sensitive, *drop):
        if name not in frame:
            near = difflib.get_close_matches(name, list(frame), n=3)
            if near:
                hint = f"did you mean {' or '.join(map(repr, near))}?"
            else:
                hint = f"the columns are {_list_columns(frame)}."
            raise UsageError(f"'{path.name}' has no column {name!r}; {hint}")
    roles = [target, *sensitive]
    twice = [name for name in roles if roles.count(name) > 1]
    if twice:
        raise UsageError(
            f"the column {twice[0]!r} is named twice among target and sensitive columns; "
            "name different columns."
        )
    needed = [name for name in drop if name in roles]
    if needed:
        raise UsageError(
            f"the column {needed[0]!r} cannot be dropped: it is the target or a sensitive column."
        )


def _encode_target(column: pd.Series, favorable):
    """Return the target as 0/1, and the text of each label."""
    values = _sort(column.unique())
    texts = [as_text(value) for value in values]
    if len(values) < 2:
        raise UsageError(
            f"the target {column.name!r} must have two values, but has only the value "
            f"{texts[0]!r}: choose another column."
        )
    if len(values) > 2:
        shown = f"{', '.join(texts[:6])}{', ...' * (len(texts) > 6)}"
        raise UsageError(
            f"the target {column.name!r} must have two values, but has {len(values)} values "
            f"({shown}): bin it into two."
        )
    best = values[-1]
    if favorable is not None:
        matching = [value for value in values if _matches(value, favorable)]
        if not matching:
            raise UsageError(
                f"the favorable value {favorable!r} is not a value of the target "
                f"{column.name!r}; the values are {texts[0]!r} and {texts[1]!r}."
            )
        best = matching[0]
    other = values[1 - values.index(best)]
    return (column == best).astype(int), {1: as_text(best), 0: as_text(other)}


def _make_groups(attributes: pd.DataFrame) -> pd.Series:
    for name in attributes:
        n_values = attributes[name].nunique()
        if n_values > MAX_GROUPS:
            raise UsageError(
                f"the sensitive column {name!r} has {n_values} values, more than {MAX_GROUPS}: "
                "bin it into a few groups first."
            )
    groups = join_groups(attributes)
    if groups.nunique() < 2:
        raise UsageError(
            f"the sensitive column {groups.name!r} has only the value {groups.iloc[0]!r}; "
            "a comparison needs at least two groups."
        )
    return groups


def _select_features(data: pd.DataFrame, path: Path):
    """Return the features, and the names of text columns with too many values."""
    left_out = [name for name in data if not is_number(data[name]) and _has_many_values(data[name])]
    data = data.drop(columns=left_out)
    for name in data:
        if is_number(data[name]):
            data[name] = data[name].replace([np.inf, -np.inf], np.nan)
    if not any(data[name].nunique(dropna=False) > 1 for name in data):
        reason = f" after text columns with many values ({_list(left_out)}) are left out"
        raise UsageError(f"'{path.name}' has no feature that varies{reason * bool(left_out)}.")
    return data, left_out


def _find_suspicious(data: pd.DataFrame, target: str, label, attributes, groups):
    """Yield a warning for every feature that may have to be left out."""
    compared = dict(attributes.items())
    compared.setdefault(groups.name, groups)
    for name, column in data.items():
        remedy = f"leave it out with --drop {shlex.quote(name)}"
        if _is_one_to_one(column, label):
            yield f"the feature {name!r} is a one-to-one copy of the target {target!r}: {remedy}."
        for attribute, values in compared.items():
            if _is_one_to_one(column, values):
                yield (
                    f"the feature {name!r} is a one-to-one copy of the sensitive column "
                    f"{attribute!r}, so no method is blind to the group: {remedy}."
                )
        if name.startswith("Unnamed: "):
            yield f"{name!r} has no name in the header; if it only numbers the rows, {remedy}."


def _is_one_to_one(column: pd.Series, other: pd.Series) -> bool:
    """Return whether each value of a column occurs with one value of the other, and vice versa."""
    codes, other_codes = (
        pd.factorize(values, use_na_sentinel=False)[0] for values in (column, other)
    )
    n_values, n_others = codes.max() + 1, other_codes.max() + 1
    n_pairs = len(np.unique(codes * n_others + other_codes))
    return n_pairs == n_values == n_others


def _has_many_values(column: pd.Series) -> bool:
    n_values, n_rows = column.nunique(), len(column)
    return (n_values > 50 and n_values > 0.05 * n_rows) or n_values > 0.5 * n_rows


def _sort(values) -> list:
    values = list(values)
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=str)


def _matches(value, wanted) -> bool:
    if as_text(value) == as_text(wanted):
        return True
    if isinstance(value, (bool, np.bool_)) and str(value).lower() == str(wanted).strip().lower():
        return True
    try:
        return float(value) == float(wanted)
    except (TypeError, ValueError):
        return False


def _list(names) -> str:
    return ", ".join(repr(str(name)) for name in names)


def _list_columns(frame: pd.DataFrame, limit: int = 12) -> str:
    return _list(list(frame)[:limit]) + (", ..." if frame.shape[1] > limit else "")
