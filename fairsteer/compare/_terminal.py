"""Print a comparison to a terminal or a pipe, without computing anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid
from rich.text import Text

from fairsteer.compare._methods import BASELINE, Method
from fairsteer.compare._run import GAPS, Comparison, Unit
from fairsteer.compare._summaries import frontier_table, group_outcomes, summarize
from fairsteer.compare._wording import (
    describe_comparison,
    describe_failures,
    estimator_title,
    explain_frontier,
    explain_gaps,
    explain_who_pays,
    gap_title,
)
from fairsteer.metrics._report import BENEFICIAL_RATES, RATES

PIPE_WIDTH = 100


def make_console(stderr: bool = False) -> Console:
    """Make a console with colors in a terminal and plain text in a pipe.

    Parameters
    ----------
    stderr : bool, default=False
        Write to stderr instead of stdout.

    Returns
    -------
    Console
        Without markup, as group names may contain brackets.
    """
    console = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


class Reporter:
    """Show progress: a bar in a terminal, otherwise a line per finished method.

    Parameters
    ----------
    console : Console
        Where to print; stderr, so that stdout has the tables only.
    n_units : int
        Units of work of every method with every estimator.
    """

    def __init__(self, console: Console, n_units: int):
        self.console, self.n_units = console, n_units
        self.finished_units: Counter = Counter()
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
        """Count a finished unit of work."""
        name = f"{unit.method} ({unit.estimator})"
        if self.console.is_terminal:
            self.bar.update(self.task, completed=done, total=total, description=name)
            return
        self.finished_units[name] += 1
        if self.finished_units[name] == self.n_units:
            self.console.print(f"finished {name}, {done} of {total} fits", soft_wrap=True)


def show(console: Console, comparison: Comparison) -> None:
    """Print a comparison: data, protocol, tables and footnotes.

    The tables are accuracy and gaps, the groups' rates and, if it was requested, the frontier.

    Parameters
    ----------
    console : Console
        Where to print.
    comparison : Comparison
        From `fairsteer.compare.compare`.
    """
    table, options, methods = comparison.table, comparison.options, comparison.methods
    names = [method.name for method in options.methods]
    _print_lines(console, describe_comparison(table, options))
    summary = summarize(comparison.results)
    for estimator in options.estimators:
        _print_grid(console, gap_table(summary.loc[estimator].loc[names], methods, estimator))
    _print_lines(console, explain_gaps(options.methods, options.repeats))
    full = {key: runs for key, runs in comparison.finished.items() if key[1] in names}
    outcomes = group_outcomes(table.target, table.groups, full)
    if len(outcomes):
        flagged = outcomes[[(rate, "leveling_down") for rate in BENEFICIAL_RATES]].any(axis=None)
        for estimator in outcomes.index.unique("estimator"):
            _print_grid(console, who_pays_table(outcomes.loc[estimator], methods, estimator))
        _print_lines(console, explain_who_pays(BASELINE in names, flagged))
    if options.frontier:
        frontier = frontier_table(comparison.results, methods.values())
        for (estimator, constraint), rows in frontier.groupby(
            ["estimator", "constraint"], sort=False
        ):
            _print_grid(console, frontier_grid(rows, estimator, constraint))
        _print_lines(console, explain_frontier(options.repeats))
    problems = describe_failures(comparison.failures, comparison.warnings, methods)
    if problems:
        console.print()
        _print_lines(console, problems)


def gap_table(summary: pd.DataFrame, methods: Mapping[str, Method], estimator: str) -> Grid:
    """Lay out accuracy and gaps, one row per method.

    Parameters
    ----------
    summary : DataFrame
        Rows of one estimator of `fairsteer.compare._summaries.summarize`.
    methods : dict of str to Method
        Every method by name.
    estimator : str
        The name of the estimator.

    Returns
    -------
    rich.table.Table
        Ready to print.
    """
    grid = _make_grid(f"Accuracy and gaps, {estimator_title(estimator)}")
    grid.add_column("method", overflow="fold")
    columns = ("acc.", "bal.\nacc.", "AUC", "demographic\nparity", "equal\nopportunity")
    for name in (*columns, "equalized\nodds", "fit s"):
        grid.add_column(name, justify="right", overflow="fold")
    family = None
    for name, row in summary.iterrows():
        method = methods[name]
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


def who_pays_table(outcomes: pd.DataFrame, methods: Mapping[str, Method], estimator: str) -> Grid:
    """Lay out the rates of every group under every method.

    Parameters
    ----------
    outcomes : DataFrame
        Rows of one estimator of `fairsteer.compare._summaries.group_outcomes`.
    methods : dict of str to Method
        Every method by name.
    estimator : str
        The name of the estimator.

    Returns
    -------
    rich.table.Table
        Ready to print.
    """
    grid = _make_grid(f"Who pays, {estimator_title(estimator)}")
    grid.add_column("method, group", overflow="fold")
    for name in ("rows", "selection rate", "TPR", "FPR", "accuracy"):
        grid.add_column(name, justify="right", overflow="fold")
    for name in outcomes.index.unique("method"):
        method = methods[name]
        title = (
            method.family if method.constraint is None else f"{method.family}\n-{method.constraint}"
        )
        grid.add_row(title if len(name) > 21 else name)
        for group, row in outcomes.loc[name].iterrows():
            cells = [Text(f"  {group}"), Text(str(row["rows", ""]))]
            grid.add_row(
                *cells, *(_before_and_after(row, rate, name == BASELINE) for rate in RATES)
            )
    return grid


def frontier_grid(frontier: pd.DataFrame, estimator: str, constraint: str) -> Grid:
    """Lay out a frontier, one row per gap that steering may leave and per other method.

    Parameters
    ----------
    frontier : DataFrame
        Rows of one estimator and constraint of `fairsteer.compare.frontier_table`.
    estimator, constraint : str
        Their names.

    Returns
    -------
    rich.table.Table
        Ready to print.
    """
    gap = gap_title(constraint)
    grid = _make_grid(f"Frontier of {gap}, {estimator_title(estimator)}")
    measures = ["accuracy", "accuracy_spread", "gap", "gap_spread", "floor"]
    names = ["accuracy", "  +/-", f"  {gap} gap", "  +/-", "  floor"]
    if frontier["accuracy_spread"].isna().all():
        measures, names = measures[::2], names[::2]
    grid.add_column("method", overflow="fold")
    for name in ("  max_gap  ", *names):
        grid.add_column(name, justify="right", overflow="fold")
    for _, row in frontier.iterrows():
        given = "" if np.isnan(row["max_gap"]) else f"{row['max_gap']:g}"
        allowed = given or ("floor" if row["method"] == "steering" else "")
        numbers = (_number(row[measure]) for measure in measures)
        grid.add_row(row["method"], f"{allowed}  ", *numbers)
    return grid


def _make_grid(title: str) -> Grid:
    return Grid(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=0,
        pad_edge=False,
    )


def _print_lines(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line)


def _print_grid(console: Console, grid: Grid) -> None:
    """Print a table; in a pipe as wide as necessary, so that no cell is cut or folded."""
    console.print()
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
    # Aligned with the number, not with the floor that follows it.
    return f"{first}\n{_number(spread)}{' ' * len(tail)}"


def _before_and_after(row: pd.Series, rate: str, only_after: bool) -> Text:
    before, after = row[rate, "before"], row[rate, "after"]
    if only_after or np.isnan(before):
        return Text(_number(after))
    hit = rate in BENEFICIAL_RATES and row[rate, "leveling_down"]
    arrow = "!>" if hit else "->"
    return Text(f"{_number(before)} {arrow} {_number(after)}", style="bold red" if hit else "")


def _number(value: float) -> str:
    if np.isnan(value):
        return "-"
    text = f"{value:.3f}"
    return text[1:] if text.startswith("0.") else text
