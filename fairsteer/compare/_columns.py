"""Convert the columns of a file: labels as they stand, features to numbers where possible."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from fairsteer._validation import abbreviate
from fairsteer.compare._dates import EPOCH, ISO, read_dates, read_format
from fairsteer.compare._numbers import (
    MARKS,
    PLAIN,
    parse_number,
    read_numbers,
    read_plain_numbers,
)
from fairsteer.compare._table import as_text, shorten
from fairsteer.compare._texts import MISSING, DistinctTexts, find_distinct, looks_missing
from fairsteer.estimators._table_encoding import is_number

MOSTLY = 0.5
"""A column is meant to be numbers or dates if at least this share of its cells is."""


class Reading(NamedTuple):
    """How the cells of a column are read.

    Parameters
    ----------
    kind : {"number", "date", "boolean", "text"}
        What they are.
    notation : str
        The decimal mark of numbers, or the format of dates.
    unit : str
        A currency sign, or ``"%"``, of numbers.
    """

    kind: str
    notation: str = ""
    unit: str = ""


_BOOLEANS = {
    **dict.fromkeys(("True", "TRUE", "true"), True),
    **dict.fromkeys(("False", "FALSE", "false"), False),
}


SENTENCES = {
    "missing": "cells among numbers or dates are read as missing: {}.",
    "signs": "numbers are read without currency, percent and thousands signs, decimal commas as "
    "points: {}.",
    "dates": "dates are read as days since 1970-01-01: {}.",
    "text": "columns with numbers or dates are read as categories because of other cells: {}; "
    "correct these cells, or name those that are missing with --missing.",
    "ambiguous": "dates are read as categories because day and month cannot be told apart: {}; "
    "write them as year-month-day.",
}
"""What a user should check: the columns of every kind and some of their cells."""


def read_labels(column: pd.Series, missing: Collection = ()) -> pd.Series:
    """Read the target or a sensitive column, in which only an empty cell is missing.

    Parameters
    ----------
    column : Series
        Cells of a file.
    missing : collection, optional
        Further values that are missing.

    Returns
    -------
    Series
        Numbers or booleans if all values are, else texts without blanks at both ends.
    """
    if is_number(column):
        return _without(_as_numpy(column), missing)
    distinct = find_distinct(column, missing)
    # Codes such as 01 are no numbers: 1 may be another one.
    plain = all(re.match(r"[+-]?(0?\.|0$|[1-9])", text) for text in distinct.texts)
    numbers = read_plain_numbers(distinct.texts) if plain else None
    return _expand_plain(distinct, numbers).rename(column.name)


def read_features(
    frame: pd.DataFrame, missing: Collection = (), separator: str = ","
) -> tuple[pd.DataFrame, dict[str, dict[str, list[str]]], dict[str, Reading]]:
    """Read features as numbers or dates where that is unambiguous; else as booleans or text.

    Parameters
    ----------
    frame : DataFrame
        Cells of a file.
    missing : collection, optional
        Values that are missing, besides the empty cell and `MISSING`.
    separator : str, default=","
        The separator of the file. Where no column tells whether the comma or the point is the
        decimal mark, it is the comma unless commas separate the fields.

    Returns
    -------
    data : DataFrame
        The converted columns.
    notes : dict of str to dict of str to list of str
        For the kinds of `SENTENCES` and for ``"decimal commas"`` (as usual in a file that commas do
        not separate) the columns, and some of their cells.
    readings : dict of str to Reading
        How every column was read.
    """
    notes: dict[str, dict[str, list[str]]] = defaultdict(dict)
    columns, written, readings = {}, {}, {}
    for name, column in frame.items():
        if is_number(column):
            columns[name] = _without(_as_numpy(column), missing)
            readings[name] = Reading("number", ".")
        elif pd.api.types.is_datetime64_any_dtype(column):
            columns[name], readings[name] = _count_days(column), Reading("date", ISO)
            notes["dates"][name] = []
        else:
            written[name] = find_distinct(column, missing, MISSING)
    mark = _find_decimal_mark([distinct.texts for distinct in written.values()])
    for name, distinct in written.items():
        columns[name], kinds, readings[name] = _read_feature(distinct, mark, separator)
        for kind, cells in kinds.items():
            notes[kind][name] = cells
    data = pd.DataFrame({name: columns[name] for name in frame})
    return data, dict(notes), readings


def read_again(
    column: pd.Series, reading: Reading, missing: Collection = ()
) -> tuple[pd.Series, list[str]]:
    """Read a column of new rows as that of the training rows was read.

    Parameters
    ----------
    column : Series
        Cells of a file.
    reading : Reading
        From `read_features`.
    missing : collection, optional
        Values that are missing, besides the empty cell and `MISSING`.

    Returns
    -------
    column : Series
        Numbers, days since 1970-01-01, booleans or text.
    unread : list of str
        Cells that are none of these, and do not look like missing values. They are read as missing.
    """
    if reading.kind == "number" and is_number(column):
        return _without(_as_numpy(column), missing).reset_index(drop=True), []
    if reading.kind == "date" and pd.api.types.is_datetime64_any_dtype(column):
        return _count_days(column).reset_index(drop=True), []
    distinct = find_distinct(column, missing, MISSING)
    texts = distinct.texts
    if reading.kind == "text":
        return distinct.expand(np.array(texts, dtype=object)), []
    if reading.kind == "boolean":
        values = np.array([_BOOLEANS.get(text, np.nan) for text in texts], dtype=object)
        absent = np.array([text not in _BOOLEANS for text in texts], dtype=bool)
    else:
        if reading.kind == "number":
            values = np.array([_read_number(text, reading) for text in texts], dtype=float)
        else:
            values = read_format(texts, reading.notation)
        absent = np.isnan(values)
    unread = [text for text in _pick(texts, absent) if not looks_missing(text)]
    return distinct.expand(values), unread


def describe_notes(notes: Mapping[str, Mapping[str, Sequence[str]]]) -> list[str]:
    """Write a sentence for every kind of note that a user should check.

    Parameters
    ----------
    notes : dict
        From `read_features`.

    Returns
    -------
    list of str
    """
    return [
        sentence.format(_list_cells(notes[kind]))
        for kind, sentence in SENTENCES.items()
        if kind in notes
    ]


def read_group(column: pd.Series, kind: str, missing: Collection = ()) -> pd.Series:
    """Read a sensitive column of new rows as text, whatever the other rows of the file are.

    Parameters
    ----------
    column : Series
        Cells of a file.
    kind : {"number", "boolean", "text"}
        What the values of the training table were.
    missing : collection, optional
        Values that are missing, besides the empty cell.

    Returns
    -------
    Series
        Text as the groups of training are written, None where it is missing.
    """
    distinct = find_distinct(column, missing)
    texts = list(distinct.texts)
    if kind == "number":
        texts = [as_text(float(text)) if PLAIN.fullmatch(text) else text for text in texts]
    elif kind == "boolean":
        texts = [str(_BOOLEANS.get(text, text)) for text in texts]
    return distinct.expand(np.array(texts, dtype=object)).astype(object)


def _read_number(text: str, reading: Reading) -> float:
    """Return a number; NaN if it is infinite or in another unit than those of training."""
    value, unit = parse_number(text, reading.notation)
    if unit != reading.unit and (unit or reading.unit == "%"):
        return math.nan
    return value if math.isfinite(value) else math.nan


def _read_feature(distinct: DistinctTexts, mark: str | None, separator: str):
    """Return the column, for every kind of note the cells that it is about, and the reading."""
    text = Reading("boolean" if set(distinct.texts) <= set(_BOOLEANS) else "text")
    preferred = mark or ("." if separator == "," else ",")
    texts, counts = distinct.texts, distinct.counts
    numbers = read_plain_numbers(texts)
    if numbers is not None and not (mark == "," != separator and _has_thousands(texts)):
        # Without a point in the column, the mark is that of the file.
        usual = "." if any("." in text for text in texts) else preferred
        return _expand_plain(distinct, numbers), {}, Reading("number", usual)
    guesses = [] if set(texts) <= set(_BOOLEANS) else _guess(texts, counts, preferred)
    if not guesses:
        return _expand_plain(distinct, None), {}, text
    values, reading = guesses[0]
    read = ~np.isnan(values)
    absent = ~read & np.array([*map(looks_missing, texts)])
    is_mostly_read = counts[read].sum() >= MOSTLY * counts.sum()
    if not (read | absent).all():
        notes = {"text": _pick(texts, ~(read | absent))} if is_mostly_read else {}
        return _expand_plain(distinct, None), notes, text
    if not is_mostly_read:
        return _expand_plain(distinct, None), {"text": _pick(texts, absent)}, text
    if not all(np.array_equal(values, same, equal_nan=True) for same, _ in guesses):
        return _expand_plain(distinct, None), {"ambiguous": _pick(texts, read)}, text
    notes = {"missing": _pick(texts, absent)} if absent.any() else {}
    if reading.kind == "date":
        return distinct.expand(values), {**notes, "dates": []}, reading
    notes |= _note_signs(_pick(texts, read), reading.notation, separator)
    units = {parse_number(text, reading.notation)[1] for text in _pick(texts, read)} - {""}
    return distinct.expand(values), notes, reading._replace(unit="".join(units))


def _guess(texts, counts, preferred) -> list[tuple[np.ndarray, Reading]]:
    """Return values that the texts may stand for, and how they are read.

    The guess with most rows; several formats of dates if they have equally many.
    """
    marks = sorted(MARKS, key=lambda mark: mark != preferred)
    guesses = [(read_numbers(texts, counts, mark), Reading("number", mark)) for mark in marks]
    guesses += [(days, Reading("date", written)) for days, written in read_dates(texts)]
    rows = [counts[~np.isnan(values)].sum() for values, _ in guesses]
    best = [guess for guess, count in zip(guesses, rows, strict=True) if count == max(rows)]
    values, reading = best[0]
    # A single value beside others, such as 1 and -, is a flag.
    if len(np.unique(values[~np.isnan(values)])) < 2:
        return []
    return best[:1] if reading.kind == "number" else best


def _note_signs(texts: Sequence[str], mark: str, separator: str) -> dict[str, list[str]]:
    """Return the notes on numbers that are not written as in programs."""
    notes = {
        "signs": [text for text in texts if not _is_usual(text, mark, separator)],
        "decimal commas": [text for text in texts if mark == "," != separator and "," in text],
    }
    return {kind: cells for kind, cells in notes.items() if cells}


def _find_decimal_mark(columns: Sequence[Sequence[str]]) -> str | None:
    """Return the decimal mark of the columns that can have only one, if it is the same one."""
    # Only numbers that programs do not write raise the question.
    unusual = [texts for texts in columns if not all(map(PLAIN.fullmatch, texts))]
    if not any(_fits(texts, ",") for texts in unusual):
        return None
    sole = set()
    for texts in columns:
        fitting = [mark for mark in MARKS if _fits(texts, mark)]
        if len(fitting) == 1:
            sole.update(fitting)
    return sole.pop() if len(sole) == 1 else None


def _has_thousands(texts: Sequence[str]) -> bool:
    """Return whether all points separate thousands, and there are points."""
    return any("." in text for text in texts) and _fits(texts, ",")


def _fits(texts: Sequence[str], mark: str) -> bool:
    """Return whether all texts are numbers with a decimal mark, or missing."""
    return all(not math.isnan(parse_number(text, mark)[0]) or looks_missing(text) for text in texts)


def _is_usual(text: str, mark: str, separator: str) -> bool:
    """Return whether a number is written as usual in a file with this separator."""
    if mark == ",":
        if "." in text or ("," in text and separator == ","):
            return False
        text = text.replace(",", ".")
    return PLAIN.fullmatch(text) is not None


def _without(column: pd.Series, missing: Collection) -> pd.Series:
    numbers = [float(text) for text in map(as_text, missing) if PLAIN.fullmatch(text.strip())]
    return column.mask(column.isin(numbers)) if numbers else column


def _as_numpy(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, np.dtype):
        return column
    is_whole = pd.api.types.is_integer_dtype(column) and not column.isna().any()
    return column.astype(np.int64 if is_whole else float)


def _count_days(column: pd.Series) -> pd.Series:
    if column.dt.tz is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    return (column - pd.Timestamp(EPOCH)) / pd.Timedelta(days=1)


def _expand_plain(distinct: DistinctTexts, numbers: np.ndarray | None) -> pd.Series:
    """Return numbers if given, else booleans if all texts are, else texts."""
    texts = distinct.texts
    if not texts:
        return distinct.expand(np.array([], dtype=float))
    if numbers is not None:
        return distinct.expand(numbers)
    if set(texts) <= set(_BOOLEANS):
        return distinct.expand(np.array([_BOOLEANS[text] for text in texts]))
    return distinct.expand(np.array(texts, dtype=object))


def _pick(texts: Sequence[str], chosen: np.ndarray) -> list[str]:
    return [text for text, flag in zip(texts, chosen, strict=True) if flag]


def _list_cells(columns: Mapping[str, Sequence[str]], limit: int = 350) -> str:
    """List columns with some of their cells, cut to a length that a sentence can have."""
    shown = []
    for name, cells in columns.items():
        examples = abbreviate([*map(shorten, cells)], 3)[1:-1]
        shown.append(f"{shorten(name)!r}{examples and f' ({examples})'}")
        if sum(map(len, shown)) > limit:
            break
    more = len(columns) - len(shown)
    return ", ".join(shown) + (f" and {more} more columns" if more else "")
