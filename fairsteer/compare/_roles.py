"""Check target and sensitive columns of a file, and encode their values."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fairsteer.compare._table import MAX_GROUPS, as_text, join_groups, list_names, shorten
from fairsteer.compare._texts import looks_missing
from fairsteer.exceptions import UsageError

MANY_DROPPED = 0.05
"""A larger share of rows without target or group is worth a warning."""


def check_roles(
    frame: pd.DataFrame, path: Path, target: str, sensitive: Sequence[str], drop: Sequence[str]
) -> None:
    """Raise an error if a column does not exist or has two roles.

    Parameters
    ----------
    frame : DataFrame
        The table.
    path : Path
        Its file, for the message.
    target : str
        The name of the target.
    sensitive, drop : sequence of str
        The names of sensitive columns and of those to leave out.

    Raises
    ------
    UsageError
        One sentence.
    """
    for name in (target, *sensitive, *drop):
        if name not in frame:
            parts = [part.strip() for part in name.split(",")]
            if len(parts) > 1 and all(part in frame for part in parts):
                raise UsageError(
                    f"'{path.name}' has no column {name!r}, but {list_names(parts, 12)}: pass an "
                    "option for each column, as in --sensitive a --sensitive b."
                )
            near = difflib.get_close_matches(name, list(frame), n=3)
            if near:
                hint = f"did you mean {' or '.join(map(repr, near))}?"
            else:
                hint = f"the columns are {list_names(frame, 12)}."
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


def encode_target(column: pd.Series, favorable) -> tuple[pd.Series, dict[int, str]]:
    """Return the target as 0/1, and the text of each label.

    Parameters
    ----------
    column : Series
        The target, without missing values.
    favorable : value or None
        The favorable value; None is the last of the sorted values.

    Returns
    -------
    label : Series of int
        1 where the value is the favorable one.
    names : dict of int to str
        Both values as text.

    Raises
    ------
    UsageError
        If there are not two values, or the favorable one is not among them; one sentence.
    """
    values = _sort(column.unique())
    texts = [as_text(value) for value in values]
    if len(values) < 2:
        raise UsageError(
            f"the target {column.name!r} must have two values, but has only the value "
            f"{texts[0]!r}: choose another column."
        )
    if len(values) > 2:
        shown = f"{', '.join(map(shorten, texts[:6]))}{', ...' * (len(texts) > 6)}"
        markers = [shlex.quote(text) for text in texts if looks_missing(text)][:3]
        remedy = f", or pass --missing {' --missing '.join(markers)}" if markers else ""
        raise UsageError(
            f"the target {column.name!r} must have two values, but has {len(values)} values "
            f"({shown}): bin it into two{remedy}."
        )
    best = values[-1]
    if favorable is not None:
        best = find_favorable(values, favorable, f"the target {column.name!r}")
    other = values[1 - values.index(best)]
    return (column == best).astype(int), {1: as_text(best), 0: as_text(other)}


def find_favorable(values, favorable, where: str):
    """Return the value that is meant by a text, in any case and without blanks at both ends.

    Parameters
    ----------
    values : sequence
        The values that occur.
    favorable : value or str
        The favorable one.
    where : str
        What has these values, for the message.

    Returns
    -------
    value

    Raises
    ------
    UsageError
        If there is none, or there are several; one sentence.
    """
    texts, wanted = [*map(as_text, values)], as_text(favorable).strip()
    same = [value for value in values if as_text(value) == wanted]
    matching = same or [value for value in values if _matches(value, favorable)]
    if not matching:
        matching = [v for v in values if as_text(v).strip().casefold() == wanted.casefold()]
    if len(matching) != 1:
        folded = {text.casefold(): text for text in texts}
        near = difflib.get_close_matches(wanted.casefold(), list(folded), n=1)
        hint = f" Did you mean {folded[near[0]]!r}?" if near else ""
        shown = " and ".join(repr(shorten(text)) for text in texts[:2])
        shown = list_names(texts) if len(texts) > 2 else shown
        raise UsageError(
            f"the favorable value {favorable!r} is not a value of {where}; the values are "
            f"{shown}.{hint}"
        )
    return matching[0]


def make_groups(attributes: pd.DataFrame) -> pd.Series:
    """Return the group of every row, the intersection of its attributes.

    Parameters
    ----------
    attributes : DataFrame
        The sensitive columns, without missing values.

    Returns
    -------
    Series of str

    Raises
    ------
    UsageError
        If an attribute has too many values or there is one group only; one sentence.
    """
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


def describe_dropped(roles: pd.DataFrame) -> list[str]:
    """Write a warning if many rows have no target or no sensitive value.

    Parameters
    ----------
    roles : DataFrame
        Target and sensitive columns of all rows.

    Returns
    -------
    list of str
        At most one sentence.
    """
    absent = roles.isna()
    n_dropped = absent.any(axis=1).sum()
    if n_dropped <= MANY_DROPPED * len(roles):
        return []
    columns = [f"{name!r} in {count}" for name, count in absent.sum().items() if count]
    return [
        f"{n_dropped} of {len(roles)} rows ({n_dropped / len(roles):.0%}) are left out because a "
        f"cell is missing: {', '.join(columns)}."
    ]


def describe_markers(roles: pd.DataFrame) -> list[str]:
    """Write a warning of labels and groups that may stand for missing values.

    Parameters
    ----------
    roles : DataFrame
        Target and sensitive columns, without missing values.

    Returns
    -------
    list of str
        At most one sentence.
    """
    found = [
        f"{shorten(as_text(value))!r} of {name!r} in {(roles[name] == value).sum()} rows"
        for name in roles
        for value in roles[name].unique()
        if looks_missing(as_text(value))
    ]
    if not found:
        return []
    shown = ", ".join(found[:4]) + ", ..." * (len(found) > 4)
    return [
        f"these values are kept as labels and groups: {shown}; if they mean that the value is "
        "missing, name them with --missing."
    ]


def _sort(values) -> list:
    values = list(values)
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=str)


def _matches(value, wanted) -> bool:
    if isinstance(value, (bool, np.bool_)) and str(value).lower() == str(wanted).strip().lower():
        return True
    try:
        return float(value) == float(wanted)
    except (TypeError, ValueError):
        return False
