"""Read a CSV file: find its separator, check its header, reject files that would be misread."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import pandas as pd

from fairsteer.compare._table import NAMED
from fairsteer.exceptions import UsageError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def read_csv_file(path: Path) -> tuple[pd.DataFrame, str]:
    """Read a CSV file whose fields are separated by commas, semicolons, tabs or bars.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    frame : DataFrame
        The rows, with the names of the header.
    how : str
        How the file was read if it differs from the default, for example ``"fields separated by
        semicolons"``; else empty.

    Raises
    ------
    UsageError
        If the file cannot be read; one sentence.

    Notes
    -----
    The separator is the one that splits the header into most names and the next row into at least
    as many fields; a comma if several do. If the separator is not a comma, columns of numbers with
    decimal commas are converted to numbers.
    """
    if not path.is_file():
        raise UsageError(
            f"'{path}' is neither a file nor one of the named tables {', '.join(NAMED)}."
        )
    separator = ","
    try:
        header, separator = _read_header(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                path, sep=separator, index_col=False, low_memory=False, skipinitialspace=True
            )
    except pd.errors.EmptyDataError:
        raise UsageError(f"'{path}' is empty.") from None
    except pd.errors.ParserWarning:
        raise UsageError(
            f"'{path}' has rows with more fields than its header has names: name every column in "
            "the header (row names too), or remove the extra fields."
        ) from None
    except (pd.errors.ParserError, UnicodeDecodeError, csv.Error) as error:
        reason = str(error).strip().splitlines()[-1]
        raise UsageError(
            f"'{path}' is not a CSV table in UTF-8 with {SEPARATORS[separator]} between the fields "
            f"({reason})."
        ) from None
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read: {error.strerror}.") from None
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:
        raise UsageError(
            f"the header of '{path}' has {header.count(twice[0])} columns named {twice[0]!r}: "
            "rename all but one."
        )
    if frame.empty:
        raise UsageError(f"'{path}' has a header but no rows.")
    if frame.shape[1] < 3:
        raise UsageError(
            f"'{path}' has only the columns {', '.join(map(repr, frame))}, but needs a target, a "
            "sensitive column and a feature; are its fields separated by commas?"
        )
    if separator == ",":
        return frame, ""
    how = f"fields separated by {SEPARATORS[separator]}"
    frame, changed = _convert_decimal_commas(frame)
    return frame, f"{how}, decimal commas read as points" if changed else how


def _read_header(path: Path) -> tuple[list[str], str]:
    """Return the names in the first row that is not blank, and the separator between them."""
    candidates = []
    for separator in SEPARATORS:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
            filled = (row for row in rows if len(row) > 1 or "".join(row).strip())
            names, fields = next(filled, []), next(filled, [])
        # A separator within the names splits the header, but not the next row, into as many.
        candidates.append((len(fields) >= len(names) > 1, len(names), names, separator))
    _, _, names, separator = max(candidates, key=lambda candidate: candidate[:2])
    return names, separator


def _convert_decimal_commas(frame: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    changed = {}
    for name, column in frame.items():
        if pd.api.types.is_numeric_dtype(column) or not column.notna().any():
            continue
        text = column.dropna().astype(str)
        if text.str.fullmatch(r"[+-]?\d+(,\d+)?").all():
            changed[name] = text.str.replace(",", ".").astype(float).reindex(frame.index)
    return frame.assign(**changed), bool(changed)
