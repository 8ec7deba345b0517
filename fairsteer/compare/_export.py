"""Write tables as CSV text that a spreadsheet does not execute."""

from __future__ import annotations

import pandas as pd

from fairsteer.compare._numbers import PLAIN


def write_csv(frame: pd.DataFrame) -> str:
    """Write a table as CSV, without its index.

    Parameters
    ----------
    frame : DataFrame
        Its names and texts may come from a user's file.

    Returns
    -------
    str
        A text that is no number and starts with ``=``, ``+``, ``-`` or ``@`` has an apostrophe
        before it, as spreadsheets would run it as a formula.
    """
    guarded = frame.rename(columns=_guard)
    for position, dtype in enumerate(guarded.dtypes):
        if not pd.api.types.is_numeric_dtype(dtype):
            column = guarded.iloc[:, position].astype(object)
            guarded.isetitem(position, column.map(_guard, na_action="ignore"))
    return guarded.to_csv(index=False)


def _guard(cell):
    if (
        isinstance(cell, str)
        and cell.startswith(("=", "+", "-", "@"))
        and not PLAIN.fullmatch(cell)
    ):
        return f"'{cell}"
    return cell
