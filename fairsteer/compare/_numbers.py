"""Read text that people write for numbers: currency, percents, thousands, decimal commas."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

MARKS = (".", ",")
"""Decimal marks."""

PLAIN = re.compile(
    r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?)", re.IGNORECASE | re.ASCII
)
_CURRENCY = "[$€£¥₹₩₽₺₪₫₱฿¢]"
_BLANKS = " \u00a0\u2009\u202f'’"  # thousands separators beside points and commas
_EXPONENT = r"(?:[eE][+-]?\d+)?"
_DIGITS = {
    # Groups of two digits are those of India.
    ".": rf"(?:[1-9]\d?(?:,\d\d)+,\d{{3}}|[1-9]\d{{0,2}}(?:[,{_BLANKS}]\d{{3}})+|\d+)"
    r"(?:\.\d*)?|\.\d+",
    ",": rf"(?:[1-9]\d{{0,2}}(?:[.{_BLANKS}]\d{{3}})+|\d+)(?:,\d*)?|,\d+",
}
_FORMATS = {
    mark: re.compile(
        rf"(?P<sign>[+-]?)\s*(?P<before>{_CURRENCY}?)\s*(?P<sign_after>[+-]?)"
        rf"(?P<digits>(?:{digits}){_EXPONENT})\s*(?P<after>{_CURRENCY}|%|)",
        re.ASCII,
    )
    for mark, digits in _DIGITS.items()
}
_POINTS = {mark: str.maketrans({**dict.fromkeys(f".,{_BLANKS}"), mark: "."}) for mark in MARKS}


def read_plain_numbers(texts: Sequence[str]) -> np.ndarray | None:
    """Read numbers in the notation of programs.

    Parameters
    ----------
    texts : sequence of str
        Stripped texts.

    Returns
    -------
    ndarray or None
        Integers if every text is one, else floats; None if a text is no number.
    """
    if not all(map(PLAIN.fullmatch, texts)):
        return None
    try:
        return np.array([int(text) for text in texts], dtype=np.int64)
    except (ValueError, OverflowError):
        return np.array([float(text) for text in texts], dtype=float)


def read_numbers(texts: Sequence[str], counts: np.ndarray, mark: str) -> np.ndarray:
    """Read numbers with units and thousands separators.

    Parameters
    ----------
    texts : sequence of str
        Stripped, distinct texts.
    counts : ndarray of int
        The number of rows of each.
    mark : {".", ","}
        The decimal mark.

    Returns
    -------
    ndarray of float
        NaN for a text that is no number, and for one in a rarer unit than others: percents and
        other numbers do not mix, nor do two currencies. The number before ``%`` is kept as it is.
    """
    parsed = [parse_number(text, mark) for text in texts]
    numbers = np.array([number for number, _ in parsed], dtype=float)
    units = np.array([unit for _, unit in parsed], dtype=object)
    read = ~np.isnan(numbers)
    percent = units == "%"
    if counts[read & percent].sum() > counts[read & ~percent].sum():
        read &= percent
    else:
        read &= ~percent
        rows = {unit: counts[read & (units == unit)].sum() for unit in set(units[read]) - {""}}
        if rows:
            read &= np.isin(units, ["", max(sorted(rows), key=rows.get)])
    return np.where(read, numbers, np.nan)


def parse_number(text: str, mark: str) -> tuple[float, str]:
    """Parse a number with its unit.

    Parameters
    ----------
    text : str
        Without blanks at both ends.
    mark : {".", ","}
        The decimal mark.

    Returns
    -------
    number : float
        NaN if the text is no number.
    unit : str
        A currency sign, ``"%"`` or nothing.
    """
    text = text.replace("\N{MINUS SIGN}", "-")
    if PLAIN.fullmatch(text) and not (mark == "," and "." in text):
        return float(text), ""
    in_brackets = text.startswith("(") and text.endswith(")")
    match = _FORMATS[mark].fullmatch(text[1:-1].strip() if in_brackets else text)
    signs = match["sign"] + match["sign_after"] + "-" * in_brackets if match else "--"
    if len(signs) > 1 or (match["before"] and match["after"]):
        return math.nan, ""
    digits = match["digits"].translate(_POINTS[mark])
    return float(f"{signs}{digits}"), match["before"] or match["after"]
