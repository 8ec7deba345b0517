"""The table that methods are compared on, and the conditions it must meet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from fairsteer._validation import abbreviate
from fairsteer.exceptions import UsageError

NAMED = ("diabetes", "adult", "compas")
MAX_GROUPS = 20
MIN_ROWS = 5
"""Rows that every (label, group) subgroup of a file needs."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table that is ready to compare.

    Parameters
    ----------
    name : str
        ``"diabetes"``, ``"adult"``, ``"compas"`` or the name of the file without its suffix.
    data : DataFrame of shape (n, d)
        The features, without target and sensitive columns.
    target : Series of int
        1 = favorable, 0 = not.
    groups : Series of str
        The group of every row; the intersection ``"a & b"`` for several sensitive columns.
    attributes : DataFrame of shape (n, m)
        The sensitive columns with their own values.
    favorable : str
        The favorable label, as text.
    conventions : str
        How the table was read and which rows and columns were dropped, in one sentence.
    warnings : tuple of str
        Warnings for the user, one sentence each.
    unfavorable : str
        The other label, as text.
    readings : dict of str to Reading
        How the features of a file were read.
    missing : tuple
        Further values that are missing in the file.
    """

    name: str
    data: pd.DataFrame
    target: pd.Series
    groups: pd.Series
    attributes: pd.DataFrame
    favorable: str
    conventions: str
    warnings: tuple[str, ...] = ()
    unfavorable: str = "other"
    readings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    missing: tuple = ()

    @property
    def sensitive(self) -> tuple[str, ...]:
        """The names of the sensitive columns."""
        return tuple(map(str, self.attributes))


def check_subgroup_sizes(
    target: pd.Series, groups: pd.Series, smallest: int, remedy: str, label_names=None
) -> None:
    """Raise an error if a (label, group) subgroup has too few rows.

    Parameters
    ----------
    target, groups : Series
        Label and group of every row.
    smallest : int
        The number of rows that every subgroup needs.
    remedy : str
        What the user can do, as the end of the sentence.
    label_names : dict, optional
        How to write the labels; by default as they are.

    Raises
    ------
    UsageError
        The small subgroups with their numbers of rows.
    """
    names = label_names or {}
    counts = pd.crosstab(groups, target).stack()
    small = [
        f"label={names.get(label, label)!r}, group={group!r} has {count}"
        for (group, label), count in counts.items()
        if count < smallest
    ]
    if small:
        more = f" and {len(small) - 3} more subgroups" if len(small) > 3 else ""
        raise UsageError(
            f"every (label, group) subgroup needs at least {smallest} rows, but "
            f"{'; '.join(small[:3])}{more}: {remedy}."
        )


def join_groups(attributes: pd.DataFrame) -> pd.Series:
    """Write the group of every row as text, the intersection ``"a & b"`` for several columns.

    Parameters
    ----------
    attributes : DataFrame
        The sensitive columns, without missing values.

    Returns
    -------
    Series of str
        Named after the columns.
    """
    rows = attributes.itertuples(index=False, name=None)
    groups = [" & ".join(map(as_text, row)) for row in rows]
    name = " & ".join(map(str, attributes))
    return pd.Series(groups, index=attributes.index, dtype=object, name=name)


def as_text(value) -> str:
    """Write a value as text; 1.0 is "1", as missing values turn integers into floats."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def shorten(text: str, limit: int = 24) -> str:
    """Cut a text for a message.

    Parameters
    ----------
    text : str
        A name or a cell.
    limit : int, default=24
        The most characters to return.

    Returns
    -------
    str
        The text, or its beginning and dots.
    """
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def list_names(names: Iterable[str], limit: int = 6) -> str:
    """List names for a message.

    Parameters
    ----------
    names : iterable of str
        Names of columns.
    limit : int, default=6
        The most names to write.

    Returns
    -------
    str
        The first names in quotes, with dots for the others.
    """
    return abbreviate([*map(shorten, names)], limit)[1:-1]
