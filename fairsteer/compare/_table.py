"""What a table to compare is, and when it is refused; shared by the readers of tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairsteer.exceptions import UsageError

NAMED = ("diabetes", "adult", "compas")
MAX_GROUPS = 20
MIN_CELL = 5


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
        1 = favorable, 0 = not.
    groups : Series of str
        The group of every row; for several sensitive columns their intersection, ``"a & b"``.
    sensitive : tuple of str
        The names of the sensitive columns.
    favorable : str
        The favorable label, as text.
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
    favorable: str
    conventions: str
    warnings: tuple[str, ...] = ()


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
