"""Read a CSV file: find its separator, check its header, refuse what would be misread."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path

import pandas as pd

from fairsteer.compare._table import NAMED
from fairsteer.exceptions import UsageError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def read_csv_file(path: Path) -> tuple[pd.DataFrame, str]:
    """Read a CSV file whose cells are separated by commas, semicolons, tabs or bars.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    frame : DataFrame
        Its cells, with the names of its header.
    found : str
        How it was read where that is not the usual way, such as ``"cells separated by
        semicolons"``; else empty.

    Raises
    ------
    UsageError
        When the file cannot be read as it was meant; one sentence.

    Notes
    -----
    The separator is the one that cuts the header into most names and the row below it into no fewer
    cells, a comma in doubt. Without commas between the cells, columns of numbers with decimal
    commas are numbers.
    """
    if not path.is_file():
        raise UsageError(
            f"'{path}' is neither a file nor one of the named tables {', '.join(NAMED)}."
        )
    separator = ","
    try:
        header, separator = _header(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                path, sep=separator, index_col=False, low_memory=False, skipinitialspace=True
            )
    except pd.errors.EmptyDataError:
        raise UsageError(f"'{path}' is empty.") from None
    except pd.errors.ParserWarning:
        raise UsageError(
            f"'{path}' has rows with more cells than its header has names: name every column in "
            "the header (row names too), or remove the cells too many."
        ) from None
    except (pd.errors.ParserError, UnicodeDecodeError, csv.Error) as error:
        reason = str(error).strip().splitlines()[-1]
        raise UsageError(
            f"'{path}' is not a CSV table in UTF-8 with {SEPARATORS[separator]} between the cells "
            f"({reason})."
        ) from None
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read: {error.strerror}.") from None
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:
        raise UsageError(
            f"the header of '{path}' names {header.count(twice[0])} columns {twice[0]!r}: "
            "give every column a name of its own."
        )
    if frame.empty:
        raise UsageError(f"'{path}' has a header but no rows.")
    if frame.shape[1] < 3:
        raise UsageError(
            f"'{path}' has only the columns {', '.join(map(repr, frame))}, but needs a target, a "
            "sensitive column and a feature; are its cells separated by commas?"
        )
    if separator == ",":
        return frame, ""
    found = f"cells separated by {SEPARATORS[separator]}"
    frame, changed = _with_decimal_points(frame)
    return frame, f"{found}, decimal commas read as points" if changed else found


def _header(path: Path) -> tuple[list[str], str]:
    """Return the names in the first row that is not blank, and the separator between them."""
    candidates = []
    for separator in SEPARATORS:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
            filled = (row for row in rows if len(row) > 1 or "".join(row).strip())
            names, cells = next(filled, []), next(filled, [])
        # A sign within the names cuts the header, but not the row below it, into as many pieces.
        candidates.append((len(cells) >= len(names) > 1, len(names), names, separator))
    _, _, names, separator = max(candidates, key=lambda candidate: candidate[:2])
    return names, separator


def _with_decimal_points(frame: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    changed = {}
    for name, column in frame.items():
        if pd.api.types.is_numeric_dtype(column) or not column.notna().any():
            continue
        text = column.dropna().astype(str)
        if text.str.fullmatch(r"[+-]?\d+(,\d+)?").all():
            changed[name] = text.str.replace(",", ".").astype(float).reindex(frame.index)
    return frame.assign(**changed), bool(changed)
