"""The folder of a saved model: the model, and how tables are read for it."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from fairsteer.compare._columns import Reading, read_again, read_group
from fairsteer.compare._files import read_file
from fairsteer.compare._table import Table, as_text, list_names
from fairsteer.estimators import TRUSTED_TYPES
from fairsteer.estimators._table_encoding import is_number
from fairsteer.exceptions import UsageError

MODEL = "model.skops"
SCHEMA = "schema.json"
CARD = "model_card.md"
METRICS = "metrics.csv"
CERTIFICATE = "certificate.json"
TRUSTED = [*TRUSTED_TYPES, "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]
"""Types that models of the command line need."""


@dataclass(frozen=True)
class Schema:
    """How a table is read for a model.

    Parameters
    ----------
    target, favorable, unfavorable : str
        The name of the target, and its values as text.
    sensitive : list of str
        The names of the sensitive columns.
    readings : dict of str to (kind, notation, unit)
        How every feature is read.
    groups : dict of str to str
        Whether the values of a sensitive column are numbers, booleans or text.
    categories : dict of str to list of str
        The values of features that are text.
    missing : list of str
        Further values that are missing.
    id : str or None
        The column of identifiers.
    certified : bool
        Whether the gap is certified, for draws by the values of rows.
    version : str
        The version of fairsteer.
    """

    target: str
    favorable: str
    unfavorable: str
    sensitive: list[str]
    readings: dict[str, tuple[str, str, str]]
    groups: dict[str, str]
    categories: dict[str, list[str]]
    missing: list[str]
    id: str | None
    certified: bool
    version: str


def describe_table(table: Table, id_column: str | None, certified: bool, version: str) -> Schema:
    """Describe how new tables are to be read.

    Parameters
    ----------
    table : Table
        The training table.
    id_column : str or None
        The column of identifiers.
    certified : bool
        Whether the gap of the model is certified.
    version : str
        The version of fairsteer.

    Returns
    -------
    Schema
    """
    readings = {
        name: tuple(table.readings.get(name, _usual_reading(column)))
        for name, column in table.data.items()
    }
    categories = {
        name: sorted(table.data[name].dropna().map(as_text).unique())
        for name, (kind, *_) in readings.items()
        if kind == "text"
    }
    return Schema(
        target=str(table.target.name),
        favorable=table.favorable,
        unfavorable=table.unfavorable,
        sensitive=list(table.sensitive),
        readings=readings,
        groups={str(name): _group_kind(column) for name, column in table.attributes.items()},
        categories=categories,
        missing=[*map(as_text, table.missing)],
        id=id_column,
        certified=certified,
        version=version,
    )


def _usual_reading(column: pd.Series) -> Reading:
    return Reading("number", ".") if is_number(column) else Reading("text")


def _group_kind(column: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(column):
        return "boolean"
    return "number" if is_number(column) else "text"


def write_schema(schema: Schema) -> str:
    """Return a schema as JSON."""
    return json.dumps(asdict(schema), indent=1, ensure_ascii=False) + "\n"


def dump_model(model) -> bytes:
    """Return a model in the format of skops."""
    import skops.io

    return skops.io.dumps(model)


def load_folder(folder: Path):
    """Load a model and its schema.

    Parameters
    ----------
    folder : Path
        Which ``fairsteer fit`` has written.

    Returns
    -------
    Pipeline, Schema
        The encoder and the SteeredClassifierCV; how tables are read.

    Raises
    ------
    UsageError
        If the folder has no model, or it cannot be loaded; one sentence.
    """
    import skops.io

    if not (folder / MODEL).is_file() or not (folder / SCHEMA).is_file():
        raise UsageError(f"'{folder}' has no model: pass a folder that fairsteer fit has written.")
    try:
        schema = Schema(**json.loads((folder / SCHEMA).read_text("utf-8")))
        model = skops.io.load(folder / MODEL, trusted=TRUSTED)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise UsageError(f"the model in '{folder}' cannot be loaded: {reason}.") from error
    return model, schema


@dataclass(frozen=True, eq=False)
class NewRows:
    """Rows of a file, as a model reads them.

    Parameters
    ----------
    cells : DataFrame
        All columns, as they are in the file.
    data : DataFrame
        The features.
    attributes : DataFrame
        The sensitive columns as text, None where missing.
    notes : list of str
        What differs from the training table, one sentence each.
    """

    cells: pd.DataFrame
    data: pd.DataFrame
    attributes: pd.DataFrame
    notes: list[str]


def read_rows(path: Path, schema: Schema, groups, replacements) -> NewRows:
    """Read new rows as the training table was read.

    Parameters
    ----------
    path : Path
        A CSV, Parquet or Excel file.
    schema : Schema
        Of the model.
    groups : sequence
        The groups of training: text, or tuples of text.
    replacements : dict of str to str
        The category that an unknown one of a feature is treated as.

    Returns
    -------
    NewRows

    Raises
    ------
    UsageError
        If the file cannot be read or lacks a feature; one sentence.
    """
    cells = read_file(path, least_columns=1).frame
    absent = [name for name in schema.readings if name not in cells]
    if absent:
        raise UsageError(
            f"'{path.name}' lacks features of the model: {list_names(absent, 12)}; its columns are "
            f"{list_names(cells, 12)}."
        )
    notes, columns = [], {}
    known = {*schema.readings, *schema.sensitive, schema.target, schema.id}
    further = [name for name in cells if name not in known]
    if further:
        notes.append(
            f"columns that the model does not know are kept unread: {list_names(further)}."
        )
    for name, reading in schema.readings.items():
        column, unread = read_again(cells[name], Reading(*reading), schema.missing)
        columns[name] = column
        if unread:
            kind = {"number": "numbers", "date": "dates", "boolean": "true or false"}[reading[0]]
            notes.append(
                f"cells of {name!r} that are not {kind} are taken as missing: {list_names(unread)}."
            )
        unseen = set()
        if name in schema.categories:
            unseen = set(column.dropna()) - set(schema.categories[name])
        if unseen:
            n_rows = int(column.isin(unseen).sum())
            notes.append(
                f"{_count(n_rows, 'row')} with values of {name!r} that were not in the training "
                f"table, treated like {replacements[name]!r}: {list_names(sorted(unseen))}."
            )
    attributes = _read_attributes(cells, schema, groups, notes)
    return NewRows(cells, pd.DataFrame(columns), attributes, notes)


def _read_attributes(cells, schema, groups, notes) -> pd.DataFrame:
    """Return the sensitive columns as text, None where missing."""
    columns = {}
    for name in schema.sensitive:
        if name not in cells:
            notes.append(f"there is no column {name!r}: every row is treated as one without group.")
            columns[name] = pd.Series([None] * len(cells), dtype=object)
            continue
        columns[name] = read_group(cells[name], schema.groups[name], schema.missing)
    attributes = pd.DataFrame(columns)
    attributes = attributes.where(attributes.notna(), None)
    missing = attributes.isna().any(axis=1)
    known = {group if isinstance(group, tuple) else (group,) for group in groups}
    unseen = [
        row not in known for row in attributes.itertuples(index=False, name=None)
    ] & ~missing.to_numpy()
    if missing.any() and all(name in cells for name in schema.sensitive):
        notes.append(
            f"{_count(int(missing.sum()), 'row')} without {' or '.join(schema.sensitive)}."
        )
    if unseen.any():
        found = attributes[unseen].agg(" & ".join, axis=1).unique()
        notes.append(
            f"{_count(int(unseen.sum()), 'row')} of groups that were not in the training table, "
            f"treated as rows without group: {list_names(found)}."
        )
    return attributes


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
