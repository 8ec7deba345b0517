"""The command line: ``fairsteer compare``, also as ``python -m fairsteer compare``."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import sys
import tempfile
from pathlib import Path

import fairsteer
from fairsteer.compare import compare, frontier_table, load_table
from fairsteer.compare._export import write_csv
from fairsteer.compare._options import check_options
from fairsteer.core.messages import shorten
from fairsteer.exceptions import UsageError

_EPILOG = """\
examples:
  fairsteer compare                        the diabetes data of scikit-learn, no download
  fairsteer compare adult --sensitive race
  fairsteer compare table.csv --target hired --sensitive sex --favorable yes
"""
RESULTS = "results.csv"
FRONTIER = "frontier.csv"


def main(argv=None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        The arguments; default those of the process.

    Returns
    -------
    int
        0 on success, 1 if every method failed or a file could not be written, 2 after wrong usage,
        130 after Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else argv
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as done:
        return int(done.code or 0)
    needed = ["rich"]
    if arguments.output is not None:
        needed += ["matplotlib", "jinja2"]
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        return _refuse(f'{missing[0]} is missing: pip install "fairsteer[compare]" brings it.')
    for stream in (sys.stdout, sys.stderr):
        # A group name that the terminal cannot encode must not stop the command.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        return _compare(arguments, shlex.join(["fairsteer", *argv]))
    except UsageError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        print("fairsteer: interrupted.", file=sys.stderr)
        return 130


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        """Exit with one sentence instead of the usage text."""
        self.exit(2, f"fairsteer: {message}; see {self.prog} --help.\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="fairsteer",
        description=fairsteer.__doc__.strip(),
    )
    parser.add_argument("--version", action="version", version=f"fairsteer {fairsteer.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    subparser = commands.add_parser(
        "compare",
        usage="%(prog)s [TABLE] [options]",
        help="compare steering with fairlearn's mitigators on a table",
        description="Compare steering with fairlearn's mitigators by cross-validation: accuracy, "
        "fairness gaps and the rates of every group.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = subparser.add_argument
    add(
        "table",
        nargs="?",
        metavar="TABLE",
        help="diabetes (comes with scikit-learn, the default), adult, compas or a CSV, Parquet or "
        "Excel file",
    )
    add("--target", metavar="COLUMN", help="your file: the column to predict, with two values")
    add(
        "--sensitive",
        action="append",
        metavar="COLUMN",
        help="a sensitive column; may be repeated, groups are then intersections (adult, compas: "
        "sex or race)",
    )
    add(
        "--favorable",
        "--favourable",
        metavar="VALUE",
        help="your file: the favorable value of the target (default: the last of the sorted "
        "values)",
    )
    add(
        "--drop",
        action="append",
        metavar="COLUMN",
        help="your file: a column to leave out; may be repeated",
    )
    add(
        "--missing",
        action="append",
        metavar="VALUE",
        help="your file: a cell that is a missing value, such as NA; may be repeated (default: "
        "only empty cells, in features also NA, None, NaN and the like)",
    )
    add(
        "--estimator",
        action="append",
        choices=("logistic", "boosting"),
        help="a base classifier; may be repeated (default: logistic)",
    )
    add(
        "--repeats",
        type=int,
        default=1,
        metavar="N",
        help="cross-validations with different splits (default: 1)",
    )
    add("--folds", type=int, default=5, metavar="N", help="folds of each (default: 5)")
    add("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")
    add(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="parallel processes, -1 for one per core (default: 1)",
    )
    add(
        "--skip",
        action="append",
        metavar="NAME",
        help="a method to leave out, by name or by the part before '-'; may be repeated",
    )
    add(
        "--frontier",
        action="store_true",
        help="also run steering with several values of max_gap, the gap it may leave, and show "
        "accuracy against each gap beside the other methods; with --output in frontier.csv and in "
        "the figures of report.html",
    )
    add(
        "--output",
        type=_folder,
        metavar="DIR",
        help="a folder for report.html, results.csv and the other tables that the report cites",
    )
    return parser


def _folder(name: str) -> Path:
    if not name:
        raise argparse.ArgumentTypeError("the name of the folder is empty")
    return Path(name)


def _compare(arguments, command: str) -> int:
    from fairsteer.compare import _terminal as terminal  # rich is an optional dependency

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
        prepare_folder(output)
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
        shown = _try(
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
    if not all([_write(folder / name, text) for name, text in files.items()]):
        return False
    try:
        files = report_files(comparison, command)
    except NothingToReport as error:
        print(f"fairsteer: there is no report: {error}", file=sys.stderr)
        return False
    return all([_write(folder / name, text) for name, text in files.items()])


def _write(path: Path, content: str) -> bool:
    action = f"write '{path}'"
    saved = _try(action, lambda: write_atomically(path, content), "choose another --output")
    if saved:
        print(f"fairsteer: wrote {path}", file=sys.stderr)
    return saved


def _try(action: str, function, remedy: str) -> bool:
    """Run a function; report an OSError in one sentence and return False."""
    try:
        function()
    except OSError as error:
        reason = error.strerror or error
        print(f"fairsteer: cannot {action}: {reason}; {remedy}.", file=sys.stderr)
        return False
    return True


def prepare_folder(folder: Path) -> None:
    """Create a folder with its parents and check that files can be written there.

    Parameters
    ----------
    folder : Path
        The folder; other files in it are not changed.

    Raises
    ------
    UsageError
        If it cannot be created or written to, or has a folder named like a file to write.
    """
    from fairsteer.compare._report import FILES

    try:
        for name in (RESULTS, FRONTIER, *FILES):
            if (folder / name).is_dir():
                raise UsageError(
                    f"'{folder / name}' is a folder: remove it or choose another --output."
                )
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = "it is a file" if os.path.isfile(folder) else error.strerror
        shown = shorten(str(folder), 200)
        raise UsageError(f"the output folder {shown} cannot be used: {reason}.") from error


def write_atomically(path: Path, content: str) -> None:
    """Write a file completely or not at all.

    Parameters
    ----------
    path : Path
        The file; an existing file is replaced.
    content : str
        Its text.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content.encode())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _refuse(sentence: str) -> int:
    print(f"fairsteer: {sentence}", file=sys.stderr)
    return 2
