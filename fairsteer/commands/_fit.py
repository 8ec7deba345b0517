"""``fairsteer fit``."""

from __future__ import annotations

import sys
import warnings

import numpy as np
from sklearn.pipeline import Pipeline

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
from fairsteer.commands._output import attempt, prepare_folder, write_files
from fairsteer.compare import _terminal as terminal
from fairsteer.compare import compare, load_table
from fairsteer.compare._export import write_csv
from fairsteer.compare._methods import METHODS, make_estimator, squeeze
from fairsteer.compare._options import check_options
from fairsteer.compare._report import FILES, NothingToReport, report_files
from fairsteer.compare._table import as_text
from fairsteer.estimators import SteeredClassifierCV
from fairsteer.estimators._table_encoding import standard_encoder
from fairsteer.exceptions import NoFairModelError, SteeringWarning, UsageError


def run_fit(arguments, command: str) -> int:
    """Measure the procedure by cross-validation, fit a model, and save both.

    Parameters
    ----------
    arguments : Namespace
        Of ``fairsteer fit``.
    command : str
        The command line.

    Returns
    -------
    int
        0 on success, 1 if a file could not be written.

    Raises
    ------
    UsageError
        If the options do not fit, or no model is certified; then no file changes.
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
    check_options(table, **options)
    files = (MODEL, SCHEMA, CARD, METRICS, CERTIFICATE, *FILES)
    prepare_folder(arguments.output, files)
    errors = terminal.make_console(stderr=True)
    with terminal.Reporter(errors, arguments.folds) as progress:
        comparison = compare(table, **options, progress=progress)
    print("fairsteer: fitting the model.", file=sys.stderr)
    model, notes = fit_model(table, arguments)
    certificate = model[-1].fairness_certificate_
    certified = certificate is not None
    # Draws of a certified model depend on the values of rows, as those of its certificate do.
    id_column = None if certified else arguments.id
    schema = describe_table(table, id_column, certified, fairsteer.__version__)
    written = {
        MODEL: dump_model(model),
        SCHEMA: write_schema(schema),
        METRICS: write_csv(comparison.results),
    }
    if certified:
        written[CERTIFICATE] = certificate.to_json()
    saved = write_files(arguments.output, written)
    described = {CARD: make_card(model[-1], schema, comparison, steering, command)}
    try:
        described |= report_files(comparison, command)
    except NothingToReport as error:
        print(f"fairsteer: there is no report: {error}", file=sys.stderr)
    saved = write_files(arguments.output, described) and saved
    for name in set(files) - set(written) - set(described):
        # Of an earlier model in this folder.
        (arguments.output / name).unlink(missing_ok=True)
    for note in notes:
        print(f"fairsteer: {note}", file=sys.stderr)
    shown = attempt("print the tables", lambda: show_model(comparison, model[-1]), "redirect them")
    return 0 if saved and shown else 1


def show_model(comparison, model) -> None:
    """Print the comparison, and what the model is."""
    console = terminal.make_console()
    terminal.show(console, comparison)
    console.print(f"The fitted model uses the candidate {model.best_candidate_!r}.")
    if model.fairness_certificate_ is not None:
        console.print(model.fairness_certificate_.summary())
        console.print("The tables above are of the procedure without a certificate.")


def fit_model(table, arguments):
    """Fit the model.

    Parameters
    ----------
    table : Table
        The training table.
    arguments : Namespace
        Of ``fairsteer fit``.

    Returns
    -------
    Pipeline
        The encoder that the comparison uses, and a SteeredClassifierCV.
    list of str
        The warnings of its fit.
    """
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
    encoder = standard_encoder(table.data)
    labels = np.where(table.target == 1, table.favorable, table.unfavorable)
    groups = squeeze(table.attributes.map(as_text))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SteeringWarning)
        try:
            model.fit(encoder.fit_transform(table.data), labels, sensitive_features=groups)
        except NoFairModelError as error:
            raise UsageError(str(error)) from error
    notes = [str(w.message) for w in caught if issubclass(w.category, SteeringWarning)]
    return Pipeline([("encoder", encoder), ("model", model)]), notes
