"""Parse the text of a CSV file: find its separator, reject rows that would be misread."""

from __future__ import annotations

import csv
import io
import re
import warnings
from pathlib import Path

import pandas as pd

from fairsteer.exceptions import UsageError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def parse_csv(text: str, path: Path) -> tuple[pd.DataFrame, tuple[str, ...], str]:
    """Parse fields that are separated by commas, semicolons, tabs or bars.

    Parameters
    ----------
    text : str
        The content of the file.
    path : Path
        The file, for messages.

    Returns
    -------
    frame : DataFrame
        The rows as text, with the names of the header; empty cells are missing.
    how : tuple of str
        Empty for commas, else for example ``("fields separated by semicolons",)``.
    separator : str
        The separator.

    Raises
    ------
    UsageError
        If the text is no table; one sentence.

    Notes
    -----
    The separator is the one of a first line such as ``sep=;``, which Excel writes and reads. Else
    it is the one that splits the header into most names and the next row into at least as many
    fields; a comma if several do.
    """
    separators = tuple(SEPARATORS)
    stated = re.match(r'\s*"?sep=(.)"?[^\S\r\n]*(\r\n|\r|\n)', text, re.IGNORECASE)
    if stated:
        separators, text = (stated[1],), text[stated.end() :]
    separator = separators[0]
    try:
        header, separator = _read_header(text, separators)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.StringIO(text, newline=""),
                sep=separator,
                dtype=object,
                index_col=False,
                keep_default_na=False,
                na_values=[""],
                skipinitialspace=True,
            )
    except pd.errors.EmptyDataError:
        raise UsageError(f"'{path}' is empty.") from None
    except pd.errors.ParserWarning:
        raise UsageError(
            f"'{path}' has rows with more fields than its header has names: name every column in "
            "the header (row names too), or remove the extra fields."
        ) from None
    except (pd.errors.ParserError, csv.Error, ValueError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise UsageError(
            f"'{path}' is not a CSV table with {_name(separator)} between the fields ({reason})."
        ) from None
    # pandas numbers names that occur twice.
    frame.columns = header if len(header) == frame.shape[1] else list(frame)
    how = () if separator == "," else (f"fields separated by {_name(separator)}",)
    return frame, how, separator


def _name(separator: str) -> str:
    return SEPARATORS.get(separator, repr(separator))


def _read_header(text: str, separators: tuple[str, ...]) -> tuple[list[str], str]:
    """Return the names in the first row that is not blank, and the separator between them."""
    lines = io.StringIO(text, newline="")
    candidates = []
    for separator in separators:
        lines.seek(0)
        rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
        filled = (row for row in rows if len(row) > 1 or "".join(row).strip())
        names, fields = next(filled, []), next(filled, [])
        # A separator within the names splits the header, but not the next row, into as many.
        candidates.append((len(fields) >= len(names) > 1, len(names), names, separator))
    _, _, names, separator = max(candidates, key=lambda candidate: candidate[:2])
    return names, separator
