"""``fairsteer predict``."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np

from fairsteer.commands._model_folder import load_folder, read_rows
from fairsteer.commands._output import write_file
from fairsteer.compare._methods import squeeze
from fairsteer.compare._table import as_text
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
    pipeline, schema = load_folder(arguments.folder)
    if schema.certified and arguments.id is not None:
        raise UsageError(
            "--id cannot be used: the certificate of the model is for draws that depend on the "
            "values of rows."
        )
    output = arguments.output
    if output.is_dir():
        raise UsageError(f"'{output}' is a folder: name a file with --output.")
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder '{output.parent}': create it first.")
    path = Path(arguments.table)
    encoder, model = pipeline
    rows = read_rows(path, schema, model.groups_.tolist(), find_replacements(encoder))
    taken = [name for name in ADDED if name in rows.cells]
    if taken:
        raise UsageError(f"'{path.name}' has a column {taken[0]!r} already: rename it.")
    ids = _read_ids(rows.cells, arguments.id, schema.id, path)
    if ids is None and schema.id is not None:
        rows.notes.append(f"there is no column {schema.id!r}: draws depend on the values of rows.")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SteeringWarning)
        features = encoder.transform(rows.data)
        passed = {"sensitive_features": squeeze(rows.attributes), "row_ids": ids}
        probabilities = model.predict_proba(features, **passed)
        unmitigated = model.predict_unmitigated(features)
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
        f"{schema.target} = {schema.favorable}. The unmitigated model decides {changed} of them "
        "in another way."
    )
    return 0 if write_file(output, scored.to_csv(index=False)) else 1


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
    return cells[name].map(as_text).to_numpy(dtype=object)


def find_replacements(encoder) -> dict[str, str]:
    """Return the category of each feature that unknown ones are treated as.

    Parameters
    ----------
    encoder : ColumnTransformer
        The fitted standard encoder.

    Returns
    -------
    dict of str to str
    """
    (names,) = [names for part, _, names in encoder.transformers_ if part == "category"] or [()]
    if not len(names):
        return {}
    known = encoder.named_transformers_["category"][0]
    return dict(zip(names, known.replacements_, strict=True))
