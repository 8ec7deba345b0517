"""``fairsteer compare``."""

from __future__ import annotations

import sys
from pathlib import Path

from fairsteer.commands._output import attempt, prepare_folder, write_files
from fairsteer.compare import _terminal as terminal
from fairsteer.compare import compare, frontier_table, load_table
from fairsteer.compare._export import write_csv
from fairsteer.compare._options import check_options

RESULTS = "results.csv"
FRONTIER = "frontier.csv"


def run_compare(arguments, command: str) -> int:
    """Compare, print the tables, and write the report.

    Parameters
    ----------
    arguments : Namespace
        Of ``fairsteer compare``.
    command : str
        The command line.

    Returns
    -------
    int
        0 on success, 1 if every method failed or a file could not be written.
    """
    table = load_table(
        "diabetes" if arguments.table is None else arguments.table,
        target=arguments.target,
        sensitive=arguments.sensitive,
        favorable=arguments.favorable,
        drop=arguments.drop or (),
        missing=arguments.missing or (),
    )
    options = {
        "estimators": arguments.estimator or ["logistic"],
        "repeats": arguments.repeats,
        "cv": arguments.folds,
        "random_state": arguments.seed,
        "n_jobs": arguments.jobs,
        "skip": arguments.skip or (),
        "frontier": arguments.frontier,
    }
    check_options(table, **options)
    output = arguments.output
    if output is not None:
        from fairsteer.compare._report import FILES

        prepare_folder(output, (RESULTS, FRONTIER, *FILES))
    elif arguments.frontier:
        print(
            "fairsteer: --output DIR saves the frontier as a table and as figures of the report.",
            file=sys.stderr,
        )
    errors = terminal.make_console(stderr=True)
    with terminal.Reporter(errors, arguments.folds * arguments.repeats) as progress:
        comparison = compare(table, **options, progress=progress)
    # The results took the time, so they are saved even if printing them fails.
    try:
        shown = attempt(
            "print the tables",
            lambda: terminal.show(terminal.make_console(), comparison),
            "redirect them",
        )
    finally:
        saved = output is None or _save(comparison, output, command)
    return 0 if comparison.predictions and shown and saved else 1


def _save(comparison, folder: Path, command: str) -> bool:
    from fairsteer.compare._report import NothingToReport, report_files

    if not comparison.predictions:
        print("fairsteer: every method failed; no file is written.", file=sys.stderr)
        return False
    results = comparison.results
    files = {RESULTS: write_csv(results)}
    if comparison.options.frontier:
        frontier = frontier_table(results, comparison.methods.values())
        files[FRONTIER] = write_csv(frontier)
    if not write_files(folder, files):
        return False
    try:
        files = report_files(comparison, command)
    except NothingToReport as error:
        print(f"fairsteer: there is no report: {error}", file=sys.stderr)
        return False
    return write_files(folder, files)
