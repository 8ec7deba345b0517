"""Load a table to compare: a named data set, or the user's own file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fairsteer import datasets
from fairsteer.compare._columns import describe_notes, read_features, read_labels
from fairsteer.compare._files import read_file
from fairsteer.compare._leaks import find_leaks
from fairsteer.compare._roles import (
    check_roles,
    describe_dropped,
    describe_markers,
    encode_target,
    make_groups,
)
from fairsteer.compare._table import (
    MIN_ROWS,
    NAMED,
    Table,
    check_subgroup_sizes,
    join_groups,
    list_names,
)
from fairsteer.estimators._table_encoding import is_number
from fairsteer.exceptions import UsageError

# Larger numbers have no variance in double precision.
_LARGEST = 1e150


def load_table(
    source: str | Path = "diabetes",
    target: str | None = None,
    sensitive: str | Sequence[str] | None = None,
    favorable=None,
    drop: str | Sequence[str] = (),
    missing=(),
) -> Table:
    """Load a named table or read a file.

    Parameters
    ----------
    source : str or Path, default="diabetes"
        ``"diabetes"`` (comes with scikit-learn), ``"adult"``, ``"compas"`` or the path of a CSV,
        Parquet or Excel file.
    target : str, optional
        Files only: the column to predict; it must have two values.
    sensitive : str or sequence of str, optional
        Files: the sensitive columns; several define groups by their intersection. Adult and
        COMPAS: ``"sex"`` or ``"race"``.
    favorable : value or str, optional
        Files only: the favorable value of the target. It is compared as text and as a number, and
        booleans in any case. By default the last of the sorted values.
    drop : str or sequence of str, optional
        Files only: columns to leave out.
    missing : value or sequence of values, optional
        Files only: cells that are missing values, in all columns. They are compared as text and as
        numbers.

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
    CSV files are UTF-8, UTF-16 or Windows-1252, and gzip may have compressed them. Fields are
    separated by commas, semicolons, tabs or bars: the separator is the one of a first line such as
    ``sep=;``, else the one that splits the header into most names and the next row into at least as
    many fields. Parquet and Excel files (the first sheet that is not empty) need the extra
    ``files``. Blanks at both ends of names and cells do not count.

    In the target and the sensitive columns only an empty cell and `missing` are missing; rows with
    a missing one are dropped. In features, ``NA``, ``N/A``, ``NaN``, ``null``, ``None`` and the
    like are also missing, and infinite numbers.

    A feature is numeric if its cells are numbers. These may have one currency or percent signs
    (``57%`` is 57), thousands separators and decimal commas if one notation fits the whole column;
    cells such as ``?``, ``-`` or ``#DIV/0!`` among them are missing. Dates become days since
    1970-01-01. Everything else is a category. A warning tells what was converted, and which cells
    keep a column from being numeric.

    Text columns with many values (more than 50 and more than 5% of the rows, or more than half of
    the rows) are left out with a warning. A feature that determines the target or a sensitive
    column, numbers the rows, differs in every row as identifiers do, or has no name is kept with a
    warning.
    """
    sensitive = (sensitive,) if isinstance(sensitive, str) else tuple(sensitive or ())
    drop = (drop,) if isinstance(drop, str) else tuple(drop)
    missing = (missing,) if np.isscalar(missing) else tuple(() if missing is None else missing)
    if not str(source):
        raise UsageError("the name of the table is empty: pass a file, or 'diabetes'.")
    if str(source) in NAMED:
        return _load_named(str(source), target, sensitive, favorable, drop, missing)
    return _load_file(Path(source), target, sensitive, favorable, drop, missing)


def _load_named(name, target, sensitive, favorable, drop, missing) -> Table:
    given = {"target": target, "favorable": favorable, "drop": drop, "missing": missing}
    unfit = [option for option, value in given.items() if value not in (None, ())]
    if unfit:
        raise UsageError(
            f"{unfit[0]} applies to your own files only; {name!r} has documented conventions."
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
        unfavorable=str(bunch.target_names[0]),
        conventions=str(bunch.conventions),
    )


def _load_file(path: Path, target, sensitive, favorable, drop, missing) -> Table:
    raw = read_file(path)
    frame = raw.frame
    # Names in the file have lost their blanks too.
    target = None if target is None else str(target).strip()
    sensitive, drop = ([str(name).strip() for name in names] for names in (sensitive, drop))
    if target is None or not sensitive:
        raise UsageError(
            f"the file '{path.name}' needs a target and a sensitive column (--target COLUMN and "
            f"--sensitive COLUMN); the columns are {list_names(frame, 12)}."
        )
    check_roles(frame, path, target, sensitive, drop)
    roles = pd.DataFrame({name: read_labels(frame[name], missing) for name in (target, *sensitive)})
    complete = roles.notna().all(axis=1)
    kept = roles[complete].reset_index(drop=True)
    if kept.empty:
        raise UsageError(f"no row of '{path.name}' has both a target and a sensitive value.")

    label, label_names = encode_target(kept[target], favorable)
    attributes = kept[sensitive]
    groups = make_groups(attributes)
    check_subgroup_sizes(
        label,
        groups,
        MIN_ROWS,
        "bin or merge the rare values of the sensitive columns, or drop those rows",
        label_names,
    )
    features = frame[complete].drop(columns=list(dict.fromkeys([target, *sensitive, *drop])))
    data, notes, readings = read_features(features.reset_index(drop=True), missing, raw.separator)
    data, left_out = _select_features(data, path)
    commas = ("decimal commas read as points",) if "decimal commas" in notes else ()
    read = ", ".join((*raw.how, *commas))
    numbers = sum(is_number(data[name]) for name in data)
    default = "" if favorable is not None else " (the last of the sorted values)"
    conventions = (
        f"{path.name}{f' ({read})' if read else ''}: {len(kept)} of {len(frame)} rows "
        f"({len(frame) - len(kept)} without target or sensitive value dropped), "
        f"favorable {target} = {label_names[1]}{default}, "
        f"features: {numbers} numeric, {data.shape[1] - numbers} categorical."
    )
    rows = np.flatnonzero(complete)
    warnings = [
        *describe_dropped(roles),
        *describe_markers(kept),
        *describe_notes(notes),
        *find_leaks(data, label, attributes, groups, rows, notes.get("dates", ())),
    ]
    if left_out:
        warnings.insert(0, f"text columns with many values are left out: {list_names(left_out)}.")
    return Table(
        name=Path(path.stem).stem if path.suffix == ".gz" else path.stem,
        data=data,
        target=label,
        groups=groups,
        attributes=attributes,
        favorable=label_names[1],
        conventions=conventions,
        warnings=tuple(warnings),
        unfavorable=label_names[0],
        readings={name: readings[name] for name in data},
        missing=missing,
    )


def _select_features(data: pd.DataFrame, path: Path):
    """Return the features, and the names of text columns with too many values."""
    left_out = [name for name in data if not is_number(data[name]) and _has_many_values(data[name])]
    data = data.drop(columns=left_out)
    for name in data:
        if is_number(data[name]):
            data[name] = data[name].replace([np.inf, -np.inf], np.nan)
            if data[name].abs().max() > _LARGEST:
                raise UsageError(
                    f"the column {name!r} of '{path.name}' has values too large to square: leave "
                    f"it out by --drop {name!r}, or change its unit."
                )
    if not any(data[name].nunique(dropna=False) > 1 for name in data):
        reason = f" after text columns with many values ({list_names(left_out)}) are left out"
        raise UsageError(f"'{path.name}' has no feature that varies{reason * bool(left_out)}.")
    return data, left_out


def _has_many_values(column: pd.Series) -> bool:
    n_values, n_rows = column.nunique(), len(column)
    return (n_values > 50 and n_values > 0.05 * n_rows) or n_values > 0.5 * n_rows
