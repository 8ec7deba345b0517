"""``fairsteer predict``."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np

from fairsteer.commands._model_folder import load_folder, read_rows
from fairsteer.commands._output import write_file
from fairsteer.compare._export import write_csv
from fairsteer.exceptions import SteeringWarning, UsageError

ADDED = ("prediction", "probability", "changed")
"""The columns that are added: the label, the probability of the favorable one, and whether the
unmitigated model predicts the other label."""


def run_predict(arguments, command: str) -> int:
    """Predict the rows of a file, and write them with their predictions.

    Parameters
    ----------
    arguments : Namespace
        Of ``fairsteer predict``.
    command : str
        The command line.

    Returns
    -------
    int
        0 on success, 1 if the file could not be written.
    """
    model, schema = load_folder(arguments.folder)
    output = arguments.output
    if output.is_dir():
        raise UsageError(f"'{output}' is a folder: name a file with --output.")
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder '{output.parent}': create it first.")
    path = Path(arguments.table)
    rows = read_rows(path, schema, model.groups_.tolist())
    taken = [name for name in ADDED if name in rows.cells]
    if taken:
        raise UsageError(f"'{path.name}' has a column {taken[0]!r} already: rename it.")
    ids = _read_ids(rows.cells, arguments.id, schema.id, path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SteeringWarning)
        passed = {"sensitive_features": _passed(rows.attributes), "row_ids": ids}
        probabilities = model.predict_proba(rows.data, **passed)
        unmitigated = model.predict_unmitigated(rows.data)
    predicted = model.classes_[probabilities.argmax(axis=1)]
    favorable = int(np.flatnonzero(model.classes_ == schema.favorable)[0])
    scored = rows.cells.assign(
        prediction=predicted,
        probability=probabilities[:, favorable],
        changed=predicted != unmitigated,
    )
    for note in (*rows.notes, *dict.fromkeys(str(warning.message) for warning in caught)):
        print(f"fairsteer: {note}", file=sys.stderr)
    changed = int(scored["changed"].sum())
    print(
        f"{len(scored)} rows: {int((predicted == schema.favorable).sum())} with "
        f"{schema.target} = {schema.favorable}, {changed} decided otherwise than by the "
        "unmitigated model."
    )
    return 0 if write_file(output, write_csv(scored)) else 1


def _read_ids(cells, chosen, default, path):
    """Return the identifiers of the rows, None where there is no such column."""
    name = default if chosen is None else chosen
    if name is None or (chosen is None and name not in cells):
        return None
    if name not in cells:
        raise UsageError(f"'{path.name}' has no column {name!r} for --id.")
    if cells[name].isna().any():
        raise UsageError(
            f"{int(cells[name].isna().sum())} rows of '{path.name}' have no {name!r}: every row "
            "needs an identifier."
        )
    return cells[name].astype(str).to_numpy(dtype=object)


def _passed(attributes):
    """Return a single sensitive column as a Series."""
    return attributes.iloc[:, 0] if attributes.shape[1] == 1 else attributes
