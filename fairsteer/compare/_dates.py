"""Read dates as days since 1970-01-01."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

EPOCH = datetime(1970, 1, 1)
_SAMPLE = 20
_DAYS = (
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y-%m",
    "%d %b %Y",
    "%d %B %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%B %d, %Y",
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
ISO = "ISO 8601"
FORMATS = (ISO, *(day + time for day in _DAYS for time in _TIMES))
"""Formats of dates. Years of two digits do not tell the century."""


def read_dates(texts: Sequence[str]) -> list[tuple[np.ndarray, str]]:
    """Read dates in every format that may be meant.

    Parameters
    ----------
    texts : sequence of str
        Stripped, distinct texts.

    Returns
    -------
    list of (ndarray of float, str)
        For every format that one of the first texts has the days since 1970-01-01, NaN for a text
        that is no date in that format, and the format. Times with a zone are converted to UTC.
    """
    sample = [text for text in texts[:_SAMPLE] if any(map(str.isdigit, text))]
    plausible = [
        date_format
        for date_format in FORMATS
        if any(not math.isnan(_parse(text, date_format)) for text in sample)
    ]
    return [(read_format(texts, date_format), date_format) for date_format in plausible]


def read_format(texts: Sequence[str], date_format: str) -> np.ndarray:
    """Read dates in one format.

    Parameters
    ----------
    texts : sequence of str
        Stripped texts.
    date_format : str
        One of `FORMATS`.

    Returns
    -------
    ndarray of float
        Days since 1970-01-01; NaN for a text that is no date in the format.
    """
    return np.array([_parse(text, date_format) for text in texts], dtype=float)


def _parse(text: str, date_format: str) -> float:
    try:
        if date_format == ISO:
            date = datetime.fromisoformat(text)
        else:
            date = datetime.strptime(text, date_format)
        if date.tzinfo is not None:
            date = date.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return math.nan
    return (date - EPOCH) / timedelta(days=1)
