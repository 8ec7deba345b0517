"""The tables that can be compared, three by name and the user's own CSV, with their conventions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fairsteer import datasets
from fairsteer.compare._own_table import read_own_table
from fairsteer.compare._table import NAMED, Table, check_cells, join_groups
from fairsteer.exceptions import UsageError

__all__ = ["NAMED", "Table", "UsageError", "check_cells", "load_table"]


def load_table(
    source: str | Path = "diabetes",
    target: str | None = None,
    sensitive: str | Sequence[str] | None = None,
    favourable=None,
    drop: Sequence[str] = (),
) -> Table:
    """Load a table by name, or read the user's own CSV.

    Parameters
    ----------
    source : str or Path, default="diabetes"
        ``"diabetes"`` (embedded), ``"adult"``, ``"compas"`` or the path of a CSV file.
    target : str, optional
        CSV only: the column to predict; it must have two values.
    sensitive : str or sequence of str, optional
        CSV: the sensitive columns, several mean their intersection. Adult and COMPAS: ``"sex"`` or
        ``"race"``.
    favourable : value or str, optional
        CSV only: the favourable value of the target, compared as text and as a number, for booleans
        in either case; default the last of the sorted values.
    drop : sequence of str, optional
        CSV only: columns to leave out.

    Returns
    -------
    Table
        Features, 0/1 target and groups.

    Raises
    ------
    UsageError
        When the request and the table do not fit; one sentence that says why and what to do.

    Notes
    -----
    A CSV is read with pandas' defaults: an empty cell, ``NA``, ``N/A``, ``NaN``, ``null``, ``None``
    and the like are missing values. Its cells may be separated by commas, semicolons, tabs or bars,
    whichever cuts the header into most names and the row below it into no fewer cells; without
    commas between the cells, numbers may have decimal commas. Rows without target or sensitive
    value are dropped. Text columns with very many values are left out with a warning: more than 50
    of them and more than 5% of the rows, or more than half of the rows. Infinite numbers count as
    missing. Everything else is a feature; one that is a one-to-one copy of the target or of a
    sensitive column, and one without a name, stays but is warned of.
    """
    sensitive = (sensitive,) if isinstance(sensitive, str) else tuple(sensitive or ())
    drop = (drop,) if isinstance(drop, str) else tuple(drop)
    if str(source) in NAMED:
        return _named(str(source), target, sensitive, favourable, drop)
    return read_own_table(Path(source), target, sensitive, favourable, drop)


def _named(name, target, sensitive, favourable, drop) -> Table:
    given = {"target": target, "favourable": favourable, "drop": drop}
    unfit = [option for option, value in given.items() if value not in (None, ())]
    if unfit:
        raise UsageError(
            f"{unfit[0]} fits a CSV file only; {name!r} has its own, documented conventions."
        )
    if name == "diabetes":
        if sensitive not in ((), ("sex",)):
            raise UsageError("the embedded table 'diabetes' has one sensitive attribute, sex.")
        bunch = datasets.load_diabetes_progression()
    else:
        if len(sensitive) > 1 or not set(sensitive) <= {"sex", "race"}:
            raise UsageError(
                f"the sensitive attribute of {name!r} is either sex or race, not "
                f"{' '.join(map(repr, sensitive))}."
            )
        fetch = datasets.fetch_adult if name == "adult" else datasets.fetch_compas
        try:
            bunch = fetch(sensitive=sensitive[0]) if sensitive else fetch()
        except (OSError, ValueError) as error:
            raise UsageError(str(error)) from error
    attribute = bunch.sensitive_features
    data = bunch.data.drop(columns=[attribute.name]).reset_index(drop=True)
    return Table(
        name=name,
        data=data,
        target=pd.Series(np.asarray(bunch.target, dtype=int), name="target"),
        groups=join_groups(attribute.to_frame().reset_index(drop=True)),
        sensitive=(str(attribute.name),),
        favourable=str(bunch.target_names[1]),
        conventions=str(bunch.conventions),
    )
