"""The command line: ``fairsteer COMMAND``, also as ``python -m fairsteer COMMAND``.

Modules that take time to import are imported by the commands that need them.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import shlex
import sys
from pathlib import Path

from fairsteer._version import __version__

ESTIMATORS = ("logistic", "boosting")
CONSTRAINTS = ("equalized_odds", "equal_opportunity", "demographic_parity")
COMMANDS = {
    "compare": "compare steering with fairlearn's mitigators on a table",
    "fit": "fit a model with small fairness gaps, and save it with a report",
    "predict": "predict new rows with a saved model",
    "audit": "measure how the decisions of any model differ between groups",
}
"""What each command does."""
EXAMPLES = {
    "compare": """\
examples:
  fairsteer compare                        the diabetes data of scikit-learn, no download
  fairsteer compare adult --sensitive race
  fairsteer compare table.csv --target hired --sensitive sex --favorable yes
""",
    "fit": """\
example:
  fairsteer fit table.csv --target hired --sensitive sex --favorable yes --output model
""",
    "predict": """\
example:
  fairsteer predict model new.csv --id number --output scored.csv
""",
    "audit": """\
example:
  fairsteer audit scored.csv --target hired --prediction prediction --sensitive sex --favorable yes
""",
}


def main(argv=None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        The arguments; default those of the process.

    Returns
    -------
    int
        0 on success, 1 if every method failed or a file could not be written, 2 after wrong usage
        or if no model is certified, 130 after Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else argv
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as done:
        return int(done.code or 0)
    needed = ["rich"]
    if arguments.command in ("fit", "predict"):
        needed.append("skops")
    reports = arguments.command == "compare" and arguments.output is not None
    if arguments.command == "fit" or reports:
        needed += ["matplotlib", "jinja2"]
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        return _refuse(f'{missing[0]} is missing: pip install "fairsteer[compare]" brings it.')
    for stream in (sys.stdout, sys.stderr):
        # A group name that the terminal cannot encode must not stop the command.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    from fairsteer.exceptions import UsageError  # it takes scikit-learn

    try:
        module = importlib.import_module(f"fairsteer.commands._{arguments.command}")
        run = getattr(module, f"run_{arguments.command}")
        return run(arguments, shlex.join(["fairsteer", *argv]))
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
        description="Steer features to the nearest distribution on which fairness costs no "
        "accuracy.",
    )
    parser.add_argument("--version", action="version", version=f"fairsteer {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    usages = {"compare": "[TABLE]", "fit": "TABLE", "predict": "DIR FILE", "audit": "FILE"}
    parts = {"compare": _add_compare, "fit": _add_fit, "predict": _add_predict, "audit": _add_audit}
    for name, words in COMMANDS.items():
        subparser = commands.add_parser(
            name,
            usage=f"%(prog)s {usages[name]} [options]",
            help=words,
            description=f"{words[0].upper()}{words[1:]}.",
            epilog=EXAMPLES[name],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parts[name](subparser.add_argument)
    return parser


def _add_compare(add) -> None:
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
        choices=ESTIMATORS,
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


def _add_fit(add) -> None:
    _add_table(add)
    add("--constraint", choices=CONSTRAINTS, default=CONSTRAINTS[0], help="the gap to close")
    add("--estimator", choices=ESTIMATORS, default=ESTIMATORS[0], help="the classifier")
    add("--max-gap", type=float, metavar="GAP", help="a gap that may be left, such as 0.05")
    add(
        "--confidence",
        type=float,
        metavar="LEVEL",
        help="certify with this confidence, such as 0.95, that the gap is at most --max-gap",
    )
    add("--id", metavar="COLUMN", help="a column of identifiers, which is no feature")
    _add_run(add)
    add("--output", type=_folder, metavar="DIR", required=True, help="a folder for the model")


def _add_predict(add) -> None:
    add("folder", type=_folder, metavar="DIR", help="the folder that fairsteer fit has written")
    add("table", metavar="FILE", help="a CSV, Parquet or Excel file with new rows")
    add(
        "--id",
        metavar="COLUMN",
        help="a column of identifiers, on which randomized decisions depend (default: that of "
        "fit, otherwise the values of the row)",
    )
    add("--output", type=_folder, metavar="FILE", required=True, help="the CSV file to write")


def _add_audit(add) -> None:
    add("table", metavar="FILE", help="a CSV, Parquet or Excel file")
    add("--target", metavar="COLUMN", help="the true labels (without: selection rates only)")
    add("--prediction", metavar="COLUMN", required=True, help="the decisions")
    add("--sensitive", action="append", metavar="COLUMN", required=True, help="may be repeated")
    add("--favorable", "--favourable", metavar="VALUE", required=True, help="favorable decision")
    add("--missing", action="append", metavar="VALUE", help="a cell that is a missing value")
    add(
        "--confidence",
        type=float,
        default=0.95,
        metavar="LEVEL",
        help="of the intervals (default: 0.95)",
    )
    add("--output", type=_folder, metavar="DIR", help="a folder for audit.md and audit.json")


def _add_table(add) -> None:
    add("table", metavar="TABLE", help="diabetes, adult, compas or a CSV, Parquet or Excel file")
    add("--target", metavar="COLUMN", help="the column to predict, with two values")
    add("--sensitive", action="append", metavar="COLUMN", help="may be repeated")
    add("--favorable", "--favourable", metavar="VALUE", help="the favorable value of the target")
    add("--drop", action="append", metavar="COLUMN", help="a column to leave out")
    add("--missing", action="append", metavar="VALUE", help="a cell that is a missing value")


def _add_run(add) -> None:
    add("--folds", type=int, default=5, metavar="N", help="folds (default: 5)")
    add("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")
    add("--jobs", type=int, default=1, metavar="N", help="parallel processes (default: 1)")


def _folder(name: str) -> Path:
    if not name:
        raise argparse.ArgumentTypeError("the name is empty")
    return Path(name)


def _refuse(sentence: str) -> int:
    print(f"fairsteer: {sentence}", file=sys.stderr)
    return 2
