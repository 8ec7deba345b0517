"""``fairsteer fit``."""

from __future__ import annotations

import sys
import warnings

import numpy as np

import fairsteer
from fairsteer.commands._card import make_card
from fairsteer.commands._model_folder import (
    CARD,
    CERTIFICATE,
    METRICS,
    MODEL,
    SCHEMA,
    describe_table,
    dump_model,
    write_schema,
)
from fairsteer.commands._output import prepare_folder, write_file
from fairsteer.compare import _terminal as terminal
from fairsteer.compare import compare, load_table
from fairsteer.compare._export import write_csv
from fairsteer.compare._methods import METHODS, make_estimator
from fairsteer.compare._report import FILES, NothingToReport, report_files
from fairsteer.compare._table import as_text
from fairsteer.estimators import SteeredClassifierCV
from fairsteer.exceptions import NoFairModelError, SteeringWarning, UsageError


def run_fit(arguments, command: str) -> int:
    """Fit a model to all rows, measure the procedure by cross-validation, and save both.

    Parameters
    ----------
    arguments : Namespace
        Of ``fairsteer fit``.
    command : str
        The command line.

    Returns
    -------
    int
        0 on success, 1 if there is no fair model or a file could not be written.
    """
    if arguments.confidence is not None and arguments.max_gap is None:
        raise UsageError("--confidence needs --max-gap, the gap to certify, such as 0.05.")
    for name in ("max_gap", "confidence"):
        value = getattr(arguments, name)
        if value is not None and not 0.0 < value < 1.0:
            raise UsageError(f"--{name.replace('_', '-')} must be between 0 and 1, not {value:g}.")
    dropped = [*(arguments.drop or ()), *([arguments.id] if arguments.id else ())]
    table = load_table(
        arguments.table,
        target=arguments.target,
        sensitive=arguments.sensitive,
        favorable=arguments.favorable,
        drop=dropped,
        missing=arguments.missing or (),
    )
    steering = f"steering-{arguments.constraint}"
    options = {
        "estimators": [arguments.estimator],
        "cv": arguments.folds,
        "random_state": arguments.seed,
        "n_jobs": arguments.jobs,
        "skip": [name for name in METHODS if name not in ("unmitigated", steering)],
        "max_gap": arguments.max_gap,
    }
    files = (MODEL, SCHEMA, CARD, METRICS, CERTIFICATE, *FILES)
    prepare_folder(arguments.output, files)
    errors = terminal.make_console(stderr=True)
    with terminal.Reporter(errors, arguments.folds) as progress:
        comparison = compare(table, **options, progress=progress)
    print("fairsteer: fitting the model to all rows.", file=sys.stderr)
    model, notes = fit_model(table, arguments)
    terminal.show(terminal.make_console(), comparison)
    for note in notes:
        print(f"fairsteer: {note}", file=sys.stderr)
    print(f"The model of all rows uses the candidate {model.best_candidate_!r}.")
    schema = describe_table(table, arguments.id, fairsteer.__version__)
    written = {
        MODEL: dump_model(model),
        SCHEMA: write_schema(schema),
        METRICS: write_csv(comparison.results),
        CARD: make_card(model, schema, comparison, steering, command),
    }
    certificate = model.fairness_certificate_
    if certificate is not None:
        print(certificate.summary())
        written[CERTIFICATE] = certificate.to_json()
    try:
        written |= report_files(comparison, command)
    except NothingToReport as error:
        print(f"fairsteer: there is no report: {error}", file=sys.stderr)
    saved = [write_file(arguments.output / name, text) for name, text in written.items()]
    return 0 if all(saved) else 1


def fit_model(table, arguments):
    """Return the model of all rows, and the warnings of its fit."""
    model = SteeredClassifierCV(
        make_estimator(arguments.estimator, arguments.seed),
        constraint=arguments.constraint,
        pos_label=table.favorable,
        max_gap=arguments.max_gap,
        confidence_level=arguments.confidence,
        group_strategy="posterior",
        handle_unknown="pooled",
        cv=arguments.folds,
        n_jobs=arguments.jobs,
        random_state=arguments.seed,
    )
    attributes = table.attributes.map(as_text)
    groups = attributes.iloc[:, 0] if attributes.shape[1] == 1 else attributes
    labels = np.where(table.target == 1, table.favorable, table.unfavorable)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SteeringWarning)
        try:
            model.fit(table.data, labels, sensitive_features=groups)
        except NoFairModelError as error:
            raise UsageError(str(error)) from error
    return model, [str(w.message) for w in caught if issubclass(w.category, SteeringWarning)]
