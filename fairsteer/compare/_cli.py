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

_EPILOG = """\
examples:
  fairsteer compare                        the embedded diabetes study, no network
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
        0 when done, 1 when every method failed or the files could not be written, 2 after a
        request that does not fit, 130 after Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else argv
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as done:
        return int(done.code or 0)
    needed = ["rich", "joblib"]
    if arguments.output is not None:
        needed += ["matplotlib", "jinja2"]
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        return _refuse(f'{missing[0]} is missing: pip install "fairsteer[compare]" brings it.')
    from fairsteer.exceptions import UsageError

    for stream in (sys.stdout, sys.stderr):
        # A group name that the terminal's encoding lacks must not end the work.
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
        """Leave with one sentence instead of the usage text."""
        self.exit(2, f"fairsteer: {message}; see {self.prog} --help.\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="fairsteer",
        description=fairsteer.__doc__.strip(),
    )
    parser.add_argument("--version", action="version", version=f"fairsteer {fairsteer.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    compare = commands.add_parser(
        "compare",
        usage="%(prog)s [TABLE] [options]",
        help="compare steering with fairlearn's mitigators on a table",
        description="Compare steering with fairlearn's mitigators by cross-validation: accuracy, "
        "fairness gaps and who pays.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = compare.add_argument
    add(
        "table",
        nargs="?",
        metavar="TABLE",
        help="diabetes (embedded, the default), adult, compas or a CSV file; name it before the "
        "options",
    )
    add("--target", metavar="COLUMN", help="the column of the CSV to predict; two values")
    add(
        "--sensitive",
        nargs="+",
        action="extend",
        default=[],
        metavar="COLUMN",
        help="the sensitive columns; several mean their intersection (adult, compas: sex or race)",
    )
    add(
        "--favorable",
        "--favourable",
        dest="favorable",
        metavar="VALUE",
        help="the favorable value of the target (default: the last of the sorted values)",
    )
    add(
        "--drop",
        nargs="+",
        action="extend",
        default=[],
        metavar="COLUMN",
        help="columns of the CSV to leave out",
    )
    add(
        "--estimator",
        action="append",
        choices=("logistic", "boosting"),
        help="the base classifier; may be repeated (default: logistic)",
    )
    add(
        "--repeats",
        type=int,
        default=1,
        metavar="N",
        help="cross-validations with different splits (default: 1)",
    )
    add("--folds", type=int, default=5, metavar="N", help="folds of each (default: 5)")
    add("--seed", type=int, default=0, metavar="N", help="seed of everything drawn (default: 0)")
    add(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="parallel processes, -1 for one per core (default: 1)",
    )
    add(
        "--skip",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="methods to leave out, by name or by the part before '-'",
    )
    add(
        "--frontier",
        action="store_true",
        help="also run steering at strengths 0, .25, .5 and .75, and show accuracy against each "
        "gap beside the other methods; with --output in frontier.csv and in the figures of "
        "report.html",
    )
    add(
        "--output",
        type=Path,
        metavar="DIR",
        help="a folder for report.html, results.csv and the other tables that the report cites",
    )
    return parser


def _compare(arguments, command: str) -> int:
    from fairsteer.compare import _terminal as console
    from fairsteer.compare._load import load_table
    from fairsteer.compare._run import compare, plan
    from fairsteer.compare._table import NAMED

    if arguments.table is None:
        _check_order(arguments)
    table = load_table(
        arguments.table or NAMED[0],
        target=arguments.target,
        sensitive=arguments.sensitive,
        favorable=arguments.favorable,
        drop=arguments.drop,
    )
    options = {
        "estimators": arguments.estimator or ["logistic"],
        "repeats": arguments.repeats,
        "cv": arguments.folds,
        "random_state": arguments.seed,
        "n_jobs": arguments.jobs,
        "skip": arguments.skip,
        "frontier": arguments.frontier,
    }
    planned = plan(table, **options)
    output = arguments.output
    if output is not None:
        prepare_folder(output)
    elif arguments.frontier:
        print(
            "fairsteer: --output DIR saves the frontier as a table and as figures of the report.",
            file=sys.stderr,
        )
    errors = console.make_console(stderr=True)
    with console.Reporter(errors, planned.cv, planned.repeats) as progress:
        comparison = compare(table, **options, progress=progress)
    # The tables first: the time went into them. A pipe that closes early makes rich leave at once.
    try:
        shown = _try(
            "print the tables",
            lambda: console.show(console.make_console(), comparison),
            "send them elsewhere",
        )
    finally:
        saved = output is None or _save(comparison, output, command)
    return 0 if comparison.predictions and shown and saved else 1


def _save(comparison, folder: Path, command: str) -> bool:
    if not comparison.predictions:
        print("fairsteer: every method failed; nothing is written.", file=sys.stderr)
        return False
    saved = _write(folder / RESULTS, comparison.results.to_csv(index=False))
    if comparison.options.frontier:
        saved = _save_frontier(comparison, folder) and saved
    return saved and _save_report(comparison, folder, command)


def _save_report(comparison, folder: Path, command: str) -> bool:
    from fairsteer.compare._report import NothingToReport, report_files

    try:
        files = report_files(comparison, command)
    except NothingToReport as error:
        print(f"fairsteer: there is no report: {error}", file=sys.stderr)
        return False
    return all([_write(folder / name, text) for name, text in files.items()])


def _save_frontier(comparison, folder: Path) -> bool:
    from fairsteer.compare._summaries import frontier_table

    return _write(folder / FRONTIER, frontier_table(comparison).to_csv(index=False))


def _write(path: Path, content: str | bytes) -> bool:
    action = f"write '{path}'"
    saved = _try(action, lambda: write_atomically(path, content), "choose another --output")
    if saved:
        print(f"fairsteer: wrote {path}", file=sys.stderr)
    return saved


def _try(action: str, do, remedy: str) -> bool:
    """Do what may fail for reasons outside, and then say so in one sentence."""
    try:
        do()
    except OSError as error:
        reason = error.strerror or error
        print(f"fairsteer: cannot {action}: {reason}; {remedy}.", file=sys.stderr)
        return False
    return True


def _check_order(arguments) -> None:
    """Refuse a table that an option with several values has swallowed."""
    from fairsteer.compare._table import NAMED
    from fairsteer.exceptions import UsageError

    for value in (*arguments.sensitive, *arguments.drop, *arguments.skip):
        if value in NAMED or value.lower().endswith(".csv") or Path(value).is_file():
            raise UsageError(
                f"{value!r} looks like the table, but stands after an option that takes several "
                f"values: name the table before the options (fairsteer compare {value} ...)."
            )


def prepare_folder(folder: Path) -> None:
    """Create a folder with its parents and make sure that files can be written there.

    Parameters
    ----------
    folder : Path
        The folder; files in it are left alone.

    Raises
    ------
    UsageError
        When it cannot be created or written to, or holds a folder named like a file to write.
    """
    from fairsteer.compare._report import FILES
    from fairsteer.exceptions import UsageError

    for name in (RESULTS, *FILES):
        if (folder / name).is_dir():
            raise UsageError(
                f"'{folder / name}' is a folder: remove it or choose another --output."
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = "it is a file" if folder.is_file() else error.strerror
        raise UsageError(f"the output folder '{folder}' cannot be used: {reason}.") from error


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that it is there completely or not at all.

    Parameters
    ----------
    path : Path
        The file; an old one is replaced.
    content : str or bytes
        What it holds afterwards.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _refuse(sentence: str) -> int:
    print(f"fairsteer: {sentence}", file=sys.stderr)
    return 2
