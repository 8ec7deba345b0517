"""The tables that can be compared, three by name and the user's own CSV, with their conventions."""

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
    MIN_CELL,
    NAMED,
    Table,
    as_text,
    check_cells,
    join_groups,
)
from fairsteer.estimators._table_encoding import is_number
from fairsteer.exceptions import UsageError

__all__ = ["NAMED", "Table", "UsageError", "check_cells", "load_table"]


def load_table(
    source: str | Path = "diabetes",
    target: str | None = None,
    sensitive: str | Sequence[str] | None = None,
    favorable=None,
    drop: Sequence[str] = (),
) -> Table:
    """Load a table by name, or read the user's own CSV.

    Parameters
    ----------
    source : str or Path, default="diabetes"
        ``"diabetes"`` (embedded), ``"adult"``, ``"compas"`` or the path of a CSV file.
    target : str, optional
        CSV only: the column to predict; it must have two values.
    sensitive : str or sequence of str, optional
        CSV: the sensitive columns, several mean their intersection. Adult and COMPAS: ``"sex"`` or
        ``"race"``.
    favorable : value or str, optional
        CSV only: the favorable value of the target, compared as text and as a number, for booleans
        in either case; default the last of the sorted values.
    drop : sequence of str, optional
        CSV only: columns to leave out.

    Returns
    -------
    Table
        Features, 0/1 target and groups.

    Raises
    ------
    UsageError
        When the request and the table do not fit; one sentence that says why and what to do.

    Notes
    -----
    A CSV is read with pandas' defaults: an empty cell, ``NA``, ``N/A``, ``NaN``, ``null``, ``None``
    and the like are missing values. Its cells may be separated by commas, semicolons, tabs or bars,
    whichever cuts the header into most names and the row below it into no fewer cells; without
    commas between the cells, numbers may have decimal commas. Rows without target or sensitive
    value are dropped. Text columns with very many values are left out with a warning: more than 50
    of them and more than 5% of the rows, or more than half of the rows. Infinite numbers count as
    missing. Everything else is a feature; one that is a one-to-one copy of the target or of a
    sensitive column, and one without a name, stays but is warned of.
    """
    sensitive = (sensitive,) if isinstance(sensitive, str) else tuple(sensitive or ())
    drop = (drop,) if isinstance(drop, str) else tuple(drop)
    if str(source) in NAMED:
        return _named(str(source), target, sensitive, favorable, drop)
    return _read_own(Path(source), target, sensitive, favorable, drop)


def _named(name, target, sensitive, favorable, drop) -> Table:
    given = {"target": target, "favorable": favorable, "drop": drop}
    unfit = [option for option, value in given.items() if value not in (None, ())]
    if unfit:
        raise UsageError(
            f"{unfit[0]} fits a CSV file only; {name!r} has its own, documented conventions."
        )
    if name == "diabetes":
        if sensitive not in ((), ("sex",)):
            raise UsageError("the embedded table 'diabetes' has one sensitive attribute, sex.")
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
    attribute = bunch.sensitive_features
    data = bunch.data.drop(columns=[attribute.name]).reset_index(drop=True)
    return Table(
        name=name,
        data=data,
        target=pd.Series(np.asarray(bunch.target, dtype=int), name="target"),
        groups=join_groups(attribute.to_frame().reset_index(drop=True)),
        sensitive=(str(attribute.name),),
        favorable=str(bunch.target_names[1]),
        conventions=str(bunch.conventions),
    )


def _read_own(path: Path, target, sensitive, favorable, drop) -> Table:
    """Read a CSV file into a `Table`; as `fairsteer.compare.load_table` does."""
    frame, found = read_csv_file(path)
    if target is None or not sensitive:
        raise UsageError(
            f"a CSV file needs its target and its sensitive columns: say --target COLUMN and "
            f"--sensitive COLUMN, from {_columns(frame)}."
        )
    _check_roles(frame, path, target, sensitive, drop)
    present = frame[[target, *sensitive]].notna().all(axis=1)
    kept = frame[present].reset_index(drop=True)
    if kept.empty:
        raise UsageError(f"no row of '{path.name}' has both a target and a sensitive value.")

    label, shown = _binary_target(kept[target], favorable)
    groups = _groups(kept[list(sensitive)])
    check_cells(
        label,
        groups,
        MIN_CELL,
        "bin or merge the rare values of the sensitive columns, or drop those rows",
        shown,
    )
    data, left_out = _features(kept.drop(columns=[target, *sensitive, *drop]), path)
    numbers = sum(is_number(data[name]) for name in data)
    default = "" if favorable is not None else " (the last of the sorted values)"
    conventions = (
        f"{path.name}{found and f' ({found})'}: {len(kept)} of {len(frame)} rows "
        f"({len(frame) - len(kept)} without target or sensitive value dropped), "
        f"favorable {target} = {shown[1]}{default}, "
        f"features: {numbers} numeric, {data.shape[1] - numbers} categorical."
    )
    attributes = {name: kept[name] for name in sensitive}
    if len(sensitive) > 1:
        attributes[" & ".join(sensitive)] = groups
    warnings = (*_suspicious(data, target, label, attributes),)
    if left_out:
        names = ", ".join(repr(name) for name in left_out)
        warnings = (f"left out as text with very many values: {names}.", *warnings)
    return Table(
        name=path.stem,
        data=data,
        target=label,
        groups=groups,
        sensitive=sensitive,
        favorable=shown[1],
        conventions=conventions,
        warnings=warnings,
    )


def _check_roles(frame, path, target, sensitive, drop) -> None:
    for name in (target, *sensitive, *drop):
        if name not in frame:
            near = difflib.get_close_matches(name, list(frame), n=3)
            hint = f"did you mean {' or '.join(map(repr, near))}" if near else _columns(frame)
            separator = "; " if near else ", which has "
            raise UsageError(f"there is no column {name!r} in '{path.name}'{separator}{hint}.")
    roles = [target, *sensitive]
    twice = [name for name in roles if roles.count(name) > 1]
    if twice:
        raise UsageError(
            f"the column {twice[0]!r} is named twice among target and sensitive columns; "
            "each must be a column of its own."
        )
    needed = [name for name in drop if name in roles]
    if needed:
        raise UsageError(f"the column {needed[0]!r} is needed; it cannot be dropped as well.")


def _binary_target(column: pd.Series, favorable):
    """Encode the target as 0/1 and say how its two values are written."""
    values = _sorted(column.unique())
    texts = [as_text(value) for value in values]
    if len(values) != 2:
        few = f"only the value {texts[0]!r}" if len(values) < 2 else f"{len(values)} values"
        listed = "" if len(values) < 2 else f" ({', '.join(texts[:6])}{', ...' * (len(texts) > 6)})"
        remedy = "choose a column with two" if len(values) < 2 else "bin it into two"
        raise UsageError(
            f"the target {column.name!r} must have two values, but has {few}{listed}: {remedy}."
        )
    best = values[-1]
    if favorable is not None:
        matching = [value for value in values if _same(value, favorable)]
        if not matching:
            raise UsageError(
                f"the favorable value {favorable!r} is not a value of the target "
                f"{column.name!r}, which has {texts[0]!r} and {texts[1]!r}."
            )
        best = matching[0]
    label = (column == best).astype(int)
    other = values[1 - values.index(best)]
    return label, {1: as_text(best), 0: as_text(other)}


def _groups(frame: pd.DataFrame) -> pd.Series:
    for name in frame:
        n_values = frame[name].nunique()
        if n_values > MAX_GROUPS:
            raise UsageError(
                f"the sensitive column {name!r} has {n_values} values, more than {MAX_GROUPS}: "
                "bin it into a few groups first."
            )
    groups = join_groups(frame)
    if groups.nunique() < 2:
        names = " & ".join(frame)
        raise UsageError(
            f"the sensitive column {names!r} has only the value {groups.iloc[0]!r}; "
            "a comparison needs at least two groups."
        )
    return groups


def _features(data: pd.DataFrame, path: Path):
    data = data.copy()
    left_out = [name for name in data if not is_number(data[name]) and _many_values(data[name])]
    data = data.drop(columns=left_out)
    for name in data:
        if is_number(data[name]):
            data[name] = data[name].replace([np.inf, -np.inf], np.nan)
    if not any(data[name].nunique(dropna=False) > 1 for name in data):
        names = ", ".join(repr(name) for name in left_out)
        reason = f" once the text with very many values ({names}) is left out" if left_out else ""
        raise UsageError(f"'{path.name}' has no feature that varies{reason}.")
    return data, left_out


def _suspicious(data: pd.DataFrame, target: str, label: pd.Series, attributes):
    """Yield a sentence for every feature that should perhaps not be one."""
    for name, column in data.items():
        remedy = f"leave it out with --drop {shlex.quote(name)}"
        if _one_to_one(column, label):
            yield f"the feature {name!r} is a one-to-one copy of the target {target!r}: {remedy}."
        for attribute, values in attributes.items():
            if _one_to_one(column, values):
                yield (
                    f"the feature {name!r} is a one-to-one copy of the sensitive column "
                    f"{attribute!r}, so that no method is blind to the group: {remedy}."
                )
        if name.startswith("Unnamed: "):
            yield f"{name!r} has no name in the header; if it only numbers the rows, {remedy}."


def _one_to_one(column: pd.Series, other: pd.Series) -> bool:
    """Say whether each value of one column always meets the same value of the other."""
    codes, other_codes = (
        pd.factorize(values, use_na_sentinel=False)[0] for values in (column, other)
    )
    n_values, n_others = codes.max() + 1, other_codes.max() + 1
    n_pairs = len(np.unique(codes * n_others + other_codes))
    return n_pairs == n_values == n_others


def _many_values(column: pd.Series) -> bool:
    n_values, n_rows = column.nunique(), len(column)
    return (n_values > 50 and n_values > 0.05 * n_rows) or n_values > 0.5 * n_rows


def _sorted(values) -> list:
    values = list(values)
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=str)


def _same(value, wanted) -> bool:
    if as_text(value) == as_text(wanted):
        return True
    if isinstance(value, (bool, np.bool_)) and str(value).lower() == str(wanted).strip().lower():
        return True
    try:
        return float(value) == float(wanted)
    except (TypeError, ValueError):
        return False


def _columns(frame: pd.DataFrame, limit: int = 12) -> str:
    names = ", ".join(repr(str(name)) for name in list(frame)[:limit])
    return names + (", ..." if frame.shape[1] > limit else "")
