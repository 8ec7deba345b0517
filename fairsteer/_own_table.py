"""Read the user's own CSV, or say in one sentence why it does not fit."""

from __future__ import annotations

import difflib
from pathlib import Path

import numpy as np
import pandas as pd

from fairsteer.encoding import is_number
from fairsteer.tables import (
    MAX_GROUPS,
    MIN_CELL,
    NAMED,
    Table,
    UsageError,
    as_text,
    check_cells,
    join_groups,
)


def read_own_table(path: Path, target, sensitive, favourable, drop) -> Table:
    """Read a CSV file into a `Table`; parameters and errors as in `fairsteer.tables.load_table`."""
    frame = _read(path)
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

    label, shown = _binary_target(kept[target], favourable)
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
    default = "" if favourable is not None else " (the last of the sorted values)"
    conventions = (
        f"{path.name}: {len(kept)} of {len(frame)} rows ({len(frame) - len(kept)} without "
        f"target or sensitive value dropped), favourable {target} = {shown[1]}{default}, "
        f"features: {numbers} numeric, {data.shape[1] - numbers} categorical."
    )
    warnings = ()
    if left_out:
        names = ", ".join(repr(name) for name in left_out)
        warnings = (f"left out as text with very many values: {names}.",)
    return Table(
        name=path.stem,
        data=data,
        target=label,
        groups=groups,
        sensitive=sensitive,
        favourable=shown[1],
        conventions=conventions,
        warnings=warnings,
    )


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UsageError(
            f"'{path}' is neither a file nor one of the named tables {', '.join(NAMED)}."
        )
    try:
        frame = pd.read_csv(path, low_memory=False, skipinitialspace=True)
    except pd.errors.EmptyDataError:
        raise UsageError(f"'{path}' is empty.") from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise UsageError(
            f"'{path}' is not a CSV table in UTF-8 with commas between the cells ({reason})."
        ) from None
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read: {error.strerror}.") from None
    if frame.empty:
        raise UsageError(f"'{path}' has a header but no rows.")
    if frame.shape[1] < 3:
        raise UsageError(
            f"'{path}' has only the columns {_columns(frame)}, but needs a target, a "
            "sensitive column and a feature; are its cells separated by commas?"
        )
    return frame


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


def _binary_target(column: pd.Series, favourable):
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
    if favourable is not None:
        matching = [value for value in values if _same(value, favourable)]
        if not matching:
            raise UsageError(
                f"the favourable value {favourable!r} is not a value of the target "
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
    try:
        return float(value) == float(wanted)
    except (TypeError, ValueError):
        return False


def _columns(frame: pd.DataFrame, limit: int = 12) -> str:
    names = ", ".join(repr(str(name)) for name in list(frame)[:limit])
    return names + (", ..." if frame.shape[1] > limit else "")
