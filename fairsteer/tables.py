"""The tables that can be compared, three by name and the user's own CSV, with their conventions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

NAMED = ("diabetes", "adult", "compas")
MAX_GROUPS = 20
MIN_CELL = 5


class UsageError(ValueError):
    """A request that does not fit; the message is one sentence with the remedy."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table that is ready to compare.

    Parameters
    ----------
    name : str
        ``"diabetes"``, ``"adult"``, ``"compas"`` or the file's name without its ending.
    data : DataFrame of shape (n, d)
        The features, without target and sensitive columns.
    target : Series of int
        1 = favourable, 0 = not.
    groups : Series of str
        The group of every row; for several sensitive columns their intersection, ``"a & b"``.
    sensitive : tuple of str
        The names of the sensitive columns.
    favourable : str
        The favourable label, as text.
    conventions : str
        What was dropped, chosen and left out, in one sentence.
    warnings : tuple of str
        What the user should look at, one sentence each.
    """

    name: str
    data: pd.DataFrame
    target: pd.Series
    groups: pd.Series
    sensitive: tuple[str, ...]
    favourable: str
    conventions: str
    warnings: tuple[str, ...] = ()


def load_table(
    source: str | Path = "diabetes",
    target: str | None = None,
    sensitive: str | Sequence[str] | None = None,
    favourable=None,
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
    favourable : value or str, optional
        CSV only: the favourable value of the target, compared as text and as a number; default the
        last of the sorted values.
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
    and the like are missing values. Rows without target or sensitive value are dropped. Text
    columns with very many values are left out with a warning: more than 50 of them and more than 5%
    of the rows, or more than half of the rows. Infinite numbers count as missing. Everything else
    is a feature.
    """
    sensitive = (sensitive,) if isinstance(sensitive, str) else tuple(sensitive or ())
    drop = (drop,) if isinstance(drop, str) else tuple(drop)
    if str(source) in NAMED:
        return _named(str(source), target, sensitive, favourable, drop)
    from fairsteer._own_table import read_own_table

    return read_own_table(Path(source), target, sensitive, favourable, drop)


def check_cells(
    target: pd.Series, groups: pd.Series, smallest: int, remedy: str, shown=None
) -> None:
    """Refuse a table in which some (label, group) cell is too small.

    Parameters
    ----------
    target, groups : Series
        Label and group of every row.
    smallest : int
        The number of rows that every cell needs.
    remedy : str
        What to do about it, the end of the sentence.
    shown : dict, optional
        How to write the labels; default as they are.

    Raises
    ------
    UsageError
        Naming every cell that is too small, with its rows.
    """
    shown = shown or {}
    counts = pd.crosstab(groups, target).stack()
    small = [
        f"label={shown.get(label, label)!r}, group={group!r} has {count}"
        for (group, label), count in counts.items()
        if count < smallest
    ]
    if small:
        more = f" and {len(small) - 3} more cells" if len(small) > 3 else ""
        raise UsageError(
            f"every (label, group) cell needs at least {smallest} rows, but "
            f"{'; '.join(small[:3])}{more}: {remedy}."
        )


def _named(name, target, sensitive, favourable, drop) -> Table:
    from fairsteer import datasets

    given = {"target": target, "favourable": favourable, "drop": drop}
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
        except (OSError, ImportError) as error:
            raise UsageError(str(error)) from error
    attribute = bunch.sensitive_features
    data = bunch.data.drop(columns=[attribute.name]).reset_index(drop=True)
    return Table(
        name=name,
        data=data,
        target=pd.Series(np.asarray(bunch.target, dtype=int), name="target"),
        groups=join_groups(attribute.to_frame().reset_index(drop=True)),
        sensitive=(str(attribute.name),),
        favourable=str(bunch.target_names[1]),
        conventions=str(bunch.conventions),
    )


def join_groups(frame: pd.DataFrame) -> pd.Series:
    """Write the group of every row as text, several columns as their intersection ``"a & b"``.

    Parameters
    ----------
    frame : DataFrame
        The sensitive columns, without missing values.

    Returns
    -------
    Series of str
        Named like the columns.
    """
    groups = [" & ".join(map(as_text, row)) for row in frame.itertuples(index=False, name=None)]
    return pd.Series(groups, index=frame.index, dtype=object, name=" & ".join(map(str, frame)))


def as_text(value) -> str:
    """Write a value as text; 1.0 is "1", as missing cells turn integers into floats."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)
