"""The distinct texts of a column, and which texts stand for missing values."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fairsteer.compare._numbers import PLAIN
from fairsteer.compare._table import as_text

MISSING = frozenset(
    [
        *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
        *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    ]
)
"""Cells of features that are always missing, as for pandas."""
_MISSING_AMONG_NUMBERS = frozenset(
    [
        *("#div/0!", "#name?", "#null!", "#num!", "#ref!", "#value!", "#n/a"),
        *("n.a.", "na", "nan", "nil", "none", "null", "missing", "unknown", "not available"),
    ]
)


@dataclass(frozen=True, eq=False)
class DistinctTexts:
    """The distinct texts of a column, and which of them every row has.

    Parameters
    ----------
    texts : list of str
        Without blanks at both ends.
    codes : ndarray of int
        Positions in `texts`; -1 for a missing cell.
    """

    texts: list[str]
    codes: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """The number of rows of every text."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.texts))

    def expand(self, values: np.ndarray) -> pd.Series:
        """Return the value of every row, given that of every text."""
        if (self.codes < 0).any():
            numeric = values.dtype.kind in "if"
            # The last one is that of missing cells, whose code is -1.
            values = np.append(values.astype(float if numeric else object), [np.nan])
        return pd.Series(values[self.codes])


def find_distinct(
    column: pd.Series, missing: Collection, also_missing: Collection[str] = ()
) -> DistinctTexts:
    """Find the distinct texts of a column.

    Parameters
    ----------
    column : Series
        Cells of any kind.
    missing : collection
        Values that are missing, as text or as a number.
    also_missing : collection of str, optional
        Texts that are missing.

    Returns
    -------
    DistinctTexts
        Empty cells and missing values have no text.
    """
    cells = column.astype(object)
    if pd.api.types.infer_dtype(cells, skipna=True) != "string":
        cells = cells.map(str, na_action="ignore")
    codes, values = pd.factorize(cells)
    stripped = [value.strip() for value in values]
    absent = {"", *also_missing}
    if missing:
        absent.update(text for text in stripped if _is_among(text, missing))
    if absent.isdisjoint(stripped) and len(set(stripped)) == len(stripped):
        return DistinctTexts(stripped, codes)
    texts = [text for text in dict.fromkeys(stripped) if text not in absent]
    positions = {text: position for position, text in enumerate(texts)}
    # The last one is that of empty cells, whose code is -1.
    recoded = np.array([*(positions.get(text, -1) for text in stripped), -1])
    return DistinctTexts(texts, recoded[codes])


def looks_missing(text: str) -> bool:
    """Return whether a text commonly stands for a missing value.

    Parameters
    ----------
    text : str
        Without blanks at both ends.

    Returns
    -------
    bool
        True for ``?``, ``-``, ``n.a.``, ``unknown``, ``#DIV/0!`` and the like.
    """
    if text in MISSING or text.lower() in _MISSING_AMONG_NUMBERS:
        return True
    return not any(map(str.isalnum, text))


def _is_among(text: str, missing: Collection) -> bool:
    """Return whether a text is one of some values, as text or as a number."""
    for value in missing:
        wanted = as_text(value).strip()
        if text == wanted:
            return True
        if PLAIN.fullmatch(text) and PLAIN.fullmatch(wanted) and float(text) == float(wanted):
            return True
    return False
