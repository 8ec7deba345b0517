"""Read the file of a table: CSV text in common encodings, Parquet or Excel."""

from __future__ import annotations

import codecs
import gzip
import importlib.util
import io
import json
import warnings
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fairsteer.compare._csv import parse_csv
from fairsteer.compare._table import NAMED, list_names
from fairsteer.exceptions import UsageError

EXCEL_SUFFIXES = (".xlsx", ".xlsm", ".xls", ".xlsb")
SAVE_AS_CSV = "or save it as CSV in UTF-8"
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "UTF-8-SIG",
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
REFUSED = {
    b"\xd0\xcf\x11\xe0": "an Excel file of the format before 2007: save it as .xlsx",
    b"BZh": "compressed by bzip2: unpack it",
    b"\xfd7zXZ": "compressed by xz: unpack it",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: unpack it",
}
"""How the content of files begins that are not read, and what they are."""


@dataclass(frozen=True, eq=False)
class RawTable:
    """The cells of a file.

    Parameters
    ----------
    frame : DataFrame
        The rows, with names stripped of blanks. Cells of CSV files are text; empty cells are
        missing.
    how : tuple of str
        How the file was read where it differs from commas and UTF-8, for example ``"fields
        separated by semicolons"``.
    separator : str
        The character between the fields of a CSV file; a comma for other files.
    """

    frame: pd.DataFrame
    how: tuple[str, ...] = ()
    separator: str = ","


def read_file(path: Path, least_columns: int = 3) -> RawTable:
    """Read a CSV, Parquet or Excel file, told apart by their content.

    Parameters
    ----------
    path : Path
        The file, which gzip may have compressed.
    least_columns : int, default=3
        The number of columns that it needs.

    Returns
    -------
    RawTable
        Its cells, not yet converted.

    Raises
    ------
    UsageError
        If the file cannot be read or has no table; one sentence.
    """
    if path.is_dir():
        raise UsageError(f"'{path}' is a folder: name the file in it.")
    if "://" in str(path) or str(path).startswith(("http:/", "https:/")):
        raise UsageError(f"'{path}' is an address: download the file, and name it here.")
    if not path.is_file():
        raise UsageError(
            f"'{path}' is neither a file nor one of the named tables {', '.join(NAMED)}."
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read: {error.strerror}.") from None
    if content.startswith(b"\x1f\x8b"):
        content = _decompress(content, path)
    for start, kind in REFUSED.items():
        if content.startswith(start):
            raise UsageError(f"'{path}' is {kind}, {SAVE_AS_CSV}.")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if content.startswith(b"PAR1"):
        table = _read_parquet(content, path)
    elif _is_excel(content):
        table = _read_excel(content, path)
    elif any(suffix in EXCEL_SUFFIXES for suffix in suffixes):
        raise UsageError(
            f"'{path}' is named like an Excel file, but is none: save it again as .xlsx, "
            f"{SAVE_AS_CSV}."
        )
    elif ".parquet" in suffixes:
        raise UsageError(f"'{path}' is named like a Parquet file, but is none.")
    elif content.startswith(b"PK\x03\x04"):
        raise UsageError(f"'{path}' is a ZIP archive: unpack it, {SAVE_AS_CSV}.")
    else:
        text, encoding = _decode(content, path)
        if _is_json(text):
            raise UsageError(
                f"'{path}' looks like JSON: read it with pandas.read_json, {SAVE_AS_CSV}."
            )
        frame, how, separator = parse_csv(text, path)
        table = RawTable(frame, (*encoding, *how), separator)
    frame = _check_columns(table.frame, path, least_columns)
    return RawTable(frame, table.how, table.separator)


def _decompress(content: bytes, path: Path) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(
            f"'{path}' is compressed by gzip, but cannot be decompressed ({error}): save it again."
        ) from None


def _decode(content: bytes, path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the text, and its encoding where it is not UTF-8."""
    encodings = ["UTF-8", "Windows-1252"]
    for mark, name in BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            encodings = [name]
            break
    else:
        # ASCII characters in UTF-16 have a zero in every other byte.
        sample = content[:1000]
        for zeros, name in ((sample[1::2], "UTF-16-LE"), (sample[::2], "UTF-16-BE")):
            if zeros.count(0) > len(sample) / 4:
                encodings = [name]
    for name in encodings:
        try:
            text = content.decode(name.replace("Windows-", "cp"))
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, () if name.startswith("UTF-8") else (f"encoding {name}",)
    raise UsageError(
        f"'{path}' is not a CSV table: it is not text in the encoding {' or '.join(encodings)}; "
        "save it as CSV in UTF-8."
    )


def _is_json(text: str) -> bool:
    """Return whether the text, or its first line, is an object or a list in JSON."""
    start = text.lstrip()
    if start[:1] not in ("{", "["):
        return False
    for part in (start.splitlines()[0], start):
        try:
            return isinstance(json.loads(part), dict | list)
        except ValueError:
            continue
    return False


def _is_excel(content: bytes) -> bool:
    if not content.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return any(name.startswith("xl/") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def _require(package: str, kind: str, path: Path) -> None:
    if importlib.util.find_spec(package) is None:
        raise UsageError(
            f"'{path}' is {kind} file, which {package} reads: pip install \"fairsteer[files]\" "
            f"brings it, {SAVE_AS_CSV}."
        )


def _read_parquet(content: bytes, path: Path) -> RawTable:
    _require("pyarrow", "a Parquet", path)
    try:
        frame = pd.read_parquet(io.BytesIO(content), engine="pyarrow")
    except Exception as error:
        raise UsageError(
            f"'{path}' cannot be read as a Parquet file: {_first_line(error)}."
        ) from None
    named = [name for name in frame.index.names if name is not None]
    frame = frame.reset_index(level=named, drop=False) if named else frame
    return RawTable(frame.reset_index(drop=True), ("Parquet",))


def _read_excel(content: bytes, path: Path) -> RawTable:
    _require("openpyxl", "an Excel", path)
    try:
        # Notes on styles and drop-down lists say nothing about cells.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            sheets = pd.read_excel(
                io.BytesIO(content),
                sheet_name=None,
                header=None,
                dtype=object,
                na_filter=False,
                engine="openpyxl",
            )
    except Exception as error:
        raise UsageError(
            f"'{path}' cannot be read as an Excel file: {_first_line(error)}."
        ) from None
    filled = {name: frame for name, frame in map(_trim_sheet, sheets.items()) if len(frame)}
    if not filled:
        raise UsageError(f"the Excel file '{path}' is empty.")
    name, rows = next(iter(filled.items()))
    frame = rows.iloc[1:].reset_index(drop=True).infer_objects()
    frame.columns = rows.iloc[0].tolist()
    others = f", the first of {len(filled)}" if len(filled) > 1 else ""
    return RawTable(frame, (f"Excel sheet {name!r}{others}",))


def _trim_sheet(sheet: tuple[str, pd.DataFrame]) -> tuple[str, pd.DataFrame]:
    """Make empty cells missing; leave out empty rows and columns."""
    name, cells = sheet
    cells = cells.map(lambda cell: None if isinstance(cell, str) and not cell.strip() else cell)
    return name, cells.dropna(how="all").dropna(axis=1, how="all")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")[:200] or type(error).__name__


def _check_columns(frame: pd.DataFrame, path: Path, least_columns: int) -> pd.DataFrame:
    """Return the frame with stripped names, without nameless empty columns; check it."""
    names = [
        "" if pd.api.types.is_scalar(name) and pd.isna(name) else str(name).strip()
        for name in frame
    ]
    empty = [not name and frame.iloc[:, i].isna().all() for i, name in enumerate(names)]
    for name, count in Counter(filter(None, names)).items():
        if count > 1:
            raise UsageError(
                f"the header of '{path}' has {count} columns named {name!r}: rename all but one."
            )
    if frame.empty:
        raise UsageError(f"'{path}' has a header but no rows.")
    frame = frame.set_axis([name or f"Unnamed: {i}" for i, name in enumerate(names)], axis=1)
    frame = frame.loc[:, [not flag for flag in empty]]
    if frame.shape[1] < least_columns:
        needs = ", but needs a target, a sensitive column and a feature" * (least_columns > 2)
        raise UsageError(
            f"'{path}' has only the columns {list_names(frame)}{needs}; are its fields separated "
            "by commas?"
        )
    return frame
