"""How a comparison looks in a terminal or a pipe. Nothing is computed here."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid
from rich.text import Text

from fairsteer.compare._methods import METHODS
from fairsteer.compare._run import GAPS, Comparison, Unit
from fairsteer.compare._summaries import frontier_table, group_outcomes, summarize
from fairsteer.compare._wording import (
    describe_failures,
    frontier_notes,
    gap_notes,
    header,
    who_pays_notes,
)
from fairsteer.metrics._report import BENEFICIAL_RATES, RATES

PIPE_WIDTH = 100
ESTIMATOR_NAMES = {"logistic": "logistic regression", "boosting": "gradient boosting"}


def make_console(stderr: bool = False) -> Console:
    """Make a console that colours a terminal and leaves a pipe plain.

    Parameters
    ----------
    stderr : bool, default=False
        Write to stderr instead of stdout.

    Returns
    -------
    Console
        Without markup, as group names may hold brackets.
    """
    console = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


class Reporter:
    """Shows how far the work is: a bar in a terminal, otherwise a line per finished method.

    Parameters
    ----------
    console : Console
        Where to; stderr, so that stdout holds the tables only.
    folds : int
        Units of work that finish one repeat of a method.
    repeats : int
        Repeats.
    """

    def __init__(self, console: Console, folds: int, repeats: int):
        self.console, self.per_method = console, folds * repeats
        self.done_by_method: Counter = Counter()
        self.task = None
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )

    def __enter__(self):
        if self.console.is_terminal:
            self.bar.start()
            self.task = self.bar.add_task("starting", total=None)
        return self

    def __exit__(self, *error):
        if self.console.is_terminal:
            self.bar.stop()

    def __call__(self, done: int, total: int, unit: Unit) -> None:
        """Take note of a finished unit of work."""
        name = f"{unit.method} ({unit.estimator})"
        if self.console.is_terminal:
            self.bar.update(self.task, completed=done, total=total, description=name)
            return
        self.done_by_method[unit.method, unit.estimator] += 1
        if self.done_by_method[unit.method, unit.estimator] == self.per_method:
            self.console.print(f"finished {name}, {done} of {total} fits", soft_wrap=True)


def show(console: Console, comparison: Comparison) -> None:
    """Print a comparison: conventions, protocol, the tables and their footnotes.

    The tables are accuracy and gaps, who pays and, where it was asked for, the frontier.

    Parameters
    ----------
    console : Console
        Where to.
    comparison : Comparison
        From `fairsteer.compare.compare`.
    """
    for line in header(comparison):
        console.print(line)
    summary, methods = summarize(comparison), list(comparison.options.methods)
    for estimator in comparison.options.estimators:
        console.print()
        _show_grid(console, gap_table(summary.loc[estimator].loc[methods], estimator))
    for line in gap_notes(comparison):
        console.print(line)
    outcomes = group_outcomes(comparison)
    if len(outcomes):
        flagged = outcomes[[(rate, "levelling_down") for rate in BENEFICIAL_RATES]].any(axis=None)
        for estimator in outcomes.index.unique("estimator"):
            console.print()
            _show_grid(console, who_pays_table(outcomes.loc[estimator], estimator))
        for line in who_pays_notes("unmitigated" in methods, flagged):
            console.print(line)
    if comparison.options.frontier:
        _show_frontier(console, comparison)
    lines = describe_failures(comparison)
    if lines:
        console.print()
    for line in lines:
        console.print(line)


def gap_table(summary: pd.DataFrame, estimator: str) -> Grid:
    """Lay out accuracy and gaps, one row per method.

    Parameters
    ----------
    summary : DataFrame
        The rows of one estimator of `fairsteer.compare.summarize`.
    estimator : str
        Its name.

    Returns
    -------
    rich.table.Table
        Ready to print.
    """
    grid = _grid(f"Accuracy and gaps, {ESTIMATOR_NAMES[estimator]}")
    grid.add_column("method", overflow="fold")
    columns = ("acc.", "bal.\nacc.", "AUC", "demographic\nparity", "equal\nopportunity")
    for name in (*columns, "equalized\nodds", "fit s"):
        grid.add_column(name, justify="right", overflow="fold")
    family = None
    for name, row in summary.iterrows():
        method = METHODS[name]
        if method.constraint and method.family != family:
            grid.add_row(method.family)
        family = method.family
        label = f"  {method.constraint}" if method.constraint else name
        repeated = not np.isnan(row["accuracy", "spread"])
        cells = [Text(f"{label}\n    spread" if repeated else label)]
        for measure in ("accuracy", "balanced_accuracy", "auc"):
            cells.append(Text(_with_spread(row[measure], "")))
        for gap in GAPS:
            aimed = gap == method.constraint
            floor = _number(row[f"floor_{gap}", "mean"])
            tail = f"{'*' if aimed else ' '}({floor})"
            cells.append(Text(_with_spread(row[gap], tail), style="bold" if aimed else ""))
        seconds = row["fit_seconds", "mean"]
        cells.append(Text("-" if np.isnan(seconds) else f"{seconds:.2f}"))
        grid.add_row(*cells)
    return grid


def who_pays_table(outcomes: pd.DataFrame, estimator: str) -> Grid:
    """Lay out what every method does to each group.

    Parameters
    ----------
    outcomes : DataFrame
        The rows of one estimator of `fairsteer.compare.group_outcomes`.
    estimator : str
        Its name.

    Returns
    -------
    rich.table.Table
        Ready to print.
    """
    grid = _grid(f"Who pays, {ESTIMATOR_NAMES[estimator]}")
    grid.add_column("method, group", overflow="fold")
    for name in ("rows", "selection rate", "TPR", "FPR", "accuracy"):
        grid.add_column(name, justify="right", overflow="fold")
    for name in outcomes.index.unique("method"):
        method = METHODS[name]
        title = (
            method.family if method.constraint is None else f"{method.family}\n-{method.constraint}"
        )
        grid.add_row(title if len(name) > 21 else name)
        for group, row in outcomes.loc[name].iterrows():
            cells = [Text(f"  {group}"), Text(str(row["rows", ""]))]
            grid.add_row(*cells, *(_change(row, rate, name == "unmitigated") for rate in RATES))
    return grid


def frontier_grid(frontier: pd.DataFrame, estimator: str, constraint: str) -> Grid:
    """Lay out a frontier, one row per strength of steering and per other method.

    Parameters
    ----------
    frontier : DataFrame
        The rows of one estimator and constraint of `fairsteer.compare._frontier.frontier_table`.
    estimator, constraint : str
        Their names.

    Returns
    -------
    rich.table.Table
        Ready to print.
    """
    gap = constraint.replace("_", " ")
    grid = _grid(f"Frontier of {gap}, {ESTIMATOR_NAMES[estimator]}")
    measures = ["accuracy", "accuracy_spread", "gap", "gap_spread", "floor"]
    names = ["accuracy", "  +/-", f"  {gap} gap", "  +/-", "  floor"]
    if frontier["accuracy_spread"].isna().all():
        measures, names = measures[::2], names[::2]
    grid.add_column("method", overflow="fold")
    for name in ("  strength  ", *names):
        grid.add_column(name, justify="right", overflow="fold")
    for _, row in frontier.iterrows():
        strength = "" if np.isnan(row["strength"]) else f"{row['strength']:g}  "
        grid.add_row(row["method"], strength, *(_number(row[measure]) for measure in measures))
    return grid


def _show_frontier(console: Console, comparison: Comparison) -> None:
    by_figure = frontier_table(comparison).groupby(["estimator", "constraint"], sort=False)
    for (estimator, constraint), rows in by_figure:
        console.print()
        _show_grid(console, frontier_grid(rows, estimator, constraint))
    for line in frontier_notes(comparison):
        console.print(line)


def _grid(title: str) -> Grid:
    return Grid(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=0,
        pad_edge=False,
    )


def _show_grid(console: Console, grid: Grid) -> None:
    """Print a table; in a pipe as wide as it needs to be, so that no cell is cut or folded."""
    width = console.width
    if not console.is_terminal:
        natural = console.measure(grid, options=console.options.update(max_width=10_000)).maximum
        console.width = max(width, natural)
    console.print(grid)
    console.width = width


def _with_spread(cell: pd.Series, tail: str) -> str:
    mean, spread = cell["mean"], cell["spread"]
    if np.isnan(mean):
        return "-"
    first = _number(mean) + tail
    if np.isnan(spread):
        return first
    # Under the number, not under the floor that follows it.
    return f"{first}\n{_number(spread)}{' ' * len(tail)}"


def _change(row: pd.Series, rate: str, only: bool) -> Text:
    before, after = row[rate, "before"], row[rate, "after"]
    if only or np.isnan(before):
        return Text(_number(after))
    hit = rate in BENEFICIAL_RATES and row[rate, "levelling_down"]
    arrow = "!>" if hit else "->"
    return Text(f"{_number(before)} {arrow} {_number(after)}", style="bold red" if hit else "")


def _number(value: float) -> str:
    if np.isnan(value):
        return "-"
    text = f"{value:.3f}"
    return text[1:] if text.startswith("0.") else text
