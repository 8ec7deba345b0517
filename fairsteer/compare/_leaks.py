"""Find features that give the target or the group away, and identifiers."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Collection

import numpy as np
import pandas as pd

from fairsteer._validation import abbreviate
from fairsteer.estimators._table_encoding import is_number

CHANCE = 1e-6
"""A feature determines a column if an unrelated feature would do so less often than this."""
SHOWN = 4


def find_leaks(
    data: pd.DataFrame,
    label: pd.Series,
    attributes: pd.DataFrame,
    groups: pd.Series,
    rows: np.ndarray,
    dates: Collection[str] = (),
) -> list[str]:
    """Write a sentence for every kind of feature that may have to be left out.

    Parameters
    ----------
    data : DataFrame of shape (n, d)
        The features.
    label : Series
        The target, named after its column.
    attributes : DataFrame
        The sensitive columns.
    groups : Series
        Their intersection.
    rows : ndarray of int
        The positions of the rows in the file.
    dates : collection of str, optional
        The features that are dates; different ones are no identifiers.

    Returns
    -------
    list of str
        Sentences about copies of the target or of sensitive columns, features that determine them,
        identifiers and features without a name.
    """
    target = {f"the target {label.name!r}": _factorize(label)}
    columns = {
        f"the sensitive column {name!r}": _factorize(attributes[name]) for name in attributes
    }
    joint = {}
    if len(columns) > 1:
        joint[f"the sensitive columns {groups.name!r}"] = _factorize(groups)
    blind = "no method is blind to the group with them, so leave them out with"
    found = defaultdict(list)
    for name, column in data.items():
        codes = _factorize(column)
        for finding in (
            *_compare(codes, target, "leave them out with"),
            # What determines the intersection determines its columns.
            *(_compare(codes, joint, blind) or _compare(codes, columns, blind)),
            *_find_identifier(column, rows, name in dates),
        ):
            found[finding].append(name)
    return [
        f"{finding}: {abbreviate(names, SHOWN)[1:-1]}; {remedy} --drop "
        f"{' --drop '.join(map(shlex.quote, names[:SHOWN]))}{' ...' * (len(names) > SHOWN)}."
        for (finding, remedy), names in found.items()
    ]


def is_one_to_one(codes: np.ndarray, other_codes: np.ndarray) -> bool:
    """Return whether each value of a column occurs with one value of another, and vice versa.

    Parameters
    ----------
    codes, other_codes : ndarray of int
        The columns, whose values are numbered from 0 on; a missing value is a value too.

    Returns
    -------
    bool
    """
    return _is_function(codes, other_codes) and _is_function(other_codes, codes)


def determines(codes: np.ndarray, other_codes: np.ndarray) -> bool:
    """Return whether each value of a column occurs with one value of another, and not by chance.

    Parameters
    ----------
    codes, other_codes : ndarray of int
        The columns, whose values are numbered from 0 on; a missing value is a value too.

    Returns
    -------
    bool
        False if rows whose values in the column were drawn independently of the other column would
        also do so with a probability above `CHANCE`, as where all values differ.
    """
    if not _is_function(codes, other_codes):
        return False
    log_shares = np.log(np.bincount(other_codes) / len(other_codes))
    by_value = np.outer(np.bincount(codes), log_shares)
    return np.logaddexp.reduce(by_value, axis=1).sum() < np.log(CHANCE)


def is_row_number(column: pd.Series, rows: np.ndarray) -> bool:
    """Return whether a column grows by the same step from row to row.

    Parameters
    ----------
    column : Series
        A feature.
    rows : ndarray of int
        The positions of the rows in the file, ascending.

    Returns
    -------
    bool
    """
    if not is_number(column) or column.isna().any() or len(column) < 3:
        return False
    steps = np.diff(column.to_numpy(dtype=float)) / np.diff(rows)
    return steps[0] != 0 and np.allclose(steps, steps[0], rtol=1e-6, atol=0)


def is_identifier(column: pd.Series) -> bool:
    """Return whether a column has a different whole number in every row.

    Parameters
    ----------
    column : Series
        A feature.

    Returns
    -------
    bool
    """
    return is_number(column) and column.is_unique and bool((column % 1 == 0).all())


def _compare(codes, others, remedy):
    """Return what a feature gives away of other columns, with the remedy."""
    found = []
    for described, other_codes in others.items():
        if is_one_to_one(codes, other_codes):
            found.append((f"features that are a one-to-one copy of {described}", remedy))
        elif determines(codes, other_codes):
            found.append((f"features that determine {described} by each of their values", remedy))
    return found


def _find_identifier(column, rows, is_date):
    remedy = "unless they measure something, leave them out with"
    if column.name.startswith("Unnamed: "):
        yield "features without a name in the header", remedy
    elif is_row_number(column, rows):
        yield "features that number the rows", remedy
    elif not is_date and is_identifier(column):
        yield "features with a different whole number in every row, as identifiers have", remedy


def _factorize(column: pd.Series) -> np.ndarray:
    return pd.factorize(column, use_na_sentinel=False)[0]


def _is_function(codes: np.ndarray, other_codes: np.ndarray) -> bool:
    """Return whether each code occurs with one other code."""
    last = np.zeros(codes.max() + 1, dtype=np.intp)
    last[codes] = other_codes
    return np.array_equal(last[codes], other_codes)
