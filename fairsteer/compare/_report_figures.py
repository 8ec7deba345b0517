"""The figures of the report, as SVG, each drawn from a table of the report."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from io import BytesIO

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fairsteer.compare._methods import Method
from fairsteer.compare._wording import METHOD_TITLES, family_title, gap_title
from fairsteer.metrics._report import BENEFICIAL_RATES
from fairsteer.plotting import STYLES

WIDTH = 4.4
BAND = "#dddddd"
FIGURE_RATES = {"selection_rate": "of all", "tpr": "of the truly favorable"}
BEFORE, AFTER = STYLES[1][0], STYLES[0][0]
# Letters as outlines look the same on every machine, and "$" in a name is no formula.
RC = {"svg.fonttype": "path", "svg.hashsalt": "fairsteer", "text.parse_math": False}


def tradeoff_figure(
    intervals: pd.DataFrame, constraint: str, methods: Mapping[str, Method], estimator: str
) -> dict[str, str]:
    """Draw accuracy against a gap and describe the figure.

    Parameters
    ----------
    intervals, constraint, methods
        As in `tradeoff_svg`.
    estimator : str
        The title of the estimator.

    Returns
    -------
    dict of str to str
        ``title``, ``source`` (a data URL) and ``alt``, the alternative text.
    """
    points = tradeoff_points(intervals, constraint, methods)
    described = "; ".join(
        f"{family_title(methods[name])}: gap {100 * point['gap', 'value']:.1f}, "
        f"accuracy {100 * point['accuracy', 'value']:.1f}"
        for name, point in points.iterrows()
    )
    return {
        "title": f"{gap_title(constraint)}, {estimator}",
        "source": _data_url(tradeoff_svg(intervals, constraint, methods)),
        "alt": f"Accuracy in percent against the {gap_title(constraint)} gap in percentage "
        f"points, {estimator}. {described}.",
    }


def tradeoff_svg(intervals: pd.DataFrame, constraint: str, methods: Mapping[str, Method]) -> bytes:
    """Draw accuracy against a gap for all methods that target this gap or none.

    Parameters
    ----------
    intervals : DataFrame
        Rows of one estimator of `fairsteer.compare._bootstrap.interval_table`.
    constraint : {"equalized_odds", "equal_opportunity", "demographic_parity"}
        Which gap.
    methods : dict of str to Method
        Every method by name.

    Returns
    -------
    bytes
        An SVG file: a marker and a color for each family of methods, bars for the intervals, a
        line through steering by the gap it may leave. Gray are the noise floors: darker up to the
        smallest, lighter up to the largest.
    """
    with matplotlib.rc_context(RC):
        return _svg(_draw_tradeoff(intervals, constraint, methods))


def _draw_tradeoff(intervals, constraint, methods) -> Figure:
    figure, ax = _make_figure(4.2)
    points = tradeoff_points(intervals, constraint, methods)
    right = 1.05 * 100.0 * points["gap", "high"].max()
    floors = 100.0 * points["gap", "floor"]
    for floor in (floors.min(), floors.max()):
        ax.axvspan(0.0, floor, color=BAND, alpha=0.6, linewidth=0)
    families = points["family", ""]
    for k, family in enumerate(dict.fromkeys([*METHOD_TITLES, *families])):
        own = points[families == family].sort_values(("max_gap", ""))
        if own.empty:
            continue
        color, marker, _ = STYLES[k % len(STYLES)]
        ax.errorbar(
            100.0 * own["gap", "value"],
            100.0 * own["accuracy", "value"],
            xerr=_error_bars(own["gap"]),
            yerr=_error_bars(own["accuracy"]),
            color=color,
            marker=marker,
            markersize=8,
            markeredgecolor="black",
            linestyle="solid" if len(own) > 1 else "none",
            elinewidth=0.7,
            # A legend omits labels that start with an underscore.
            label=f" {METHOD_TITLES.get(family, family)}",
        )
    ax.set_xlim(-0.03 * right, right)
    ax.set_xlabel(f"{gap_title(constraint)} gap in percentage points (0 is fair)")
    ax.set_ylabel("accuracy, % of rows")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return figure


def tradeoff_points(
    intervals: pd.DataFrame, constraint: str, methods: Mapping[str, Method]
) -> pd.DataFrame:
    """Select the points of a trade-off figure.

    Parameters
    ----------
    intervals, constraint, methods
        As in `tradeoff_svg`.

    Returns
    -------
    DataFrame
        One row per method, columns ``("family", "")``, ``("max_gap", "")`` and, for ``accuracy``
        and ``gap``, those of the intervals.
    """
    names = intervals["method"].unique()
    aimed = [name for name in names if methods[name].constraint in (None, constraint)]
    by_measure = {
        axis: intervals[intervals["measure"] == measure].set_index("method").loc[aimed]
        for axis, measure in (("accuracy", "accuracy"), ("gap", constraint))
    }
    points = pd.concat(by_measure, axis=1)
    points["family", ""] = [methods[name].family for name in aimed]
    points["max_gap", ""] = [methods[name].max_gap or 0.0 for name in aimed]
    return points


def who_pays_figure(groups: pd.DataFrame) -> dict[str, str]:
    """Draw the rates of every group before and after, and describe the figure.

    Parameters
    ----------
    groups : DataFrame
        As in `who_pays_svg`.

    Returns
    -------
    dict of str to str
        ``source`` (a data URL) and ``alt``, the alternative text.
    """
    selected = groups[groups["rate"] == "selection_rate"]
    described = "; ".join(
        f"{row.group}: {100 * row.before:.1f} before, {100 * row.after:.1f} after"
        for row in selected.itertuples()
    )
    return {
        "source": _data_url(who_pays_svg(groups)),
        "alt": f"Percent predicted favorable in every group. {described}. The second panel shows "
        "the same among the truly favorable; the table below has all numbers.",
    }


def who_pays_svg(groups: pd.DataFrame) -> bytes:
    """Draw the rates of every group before and after.

    Parameters
    ----------
    groups : DataFrame
        Rows of one estimator and method of `fairsteer.compare._bootstrap.group_table`, with values
        ``before``.

    Returns
    -------
    bytes
        An SVG file: hollow squares before, filled circles after, arrows between them.
    """
    with matplotlib.rc_context(RC):
        return _svg(_draw_who_pays(groups))


def _draw_who_pays(groups) -> Figure:
    figure, axes = _make_figure(1.5 + 0.5 * groups["group"].nunique(), 2)
    for ax, rate in zip(axes, BENEFICIAL_RATES, strict=True):
        rows = groups[groups["rate"] == rate]
        at = np.arange(len(rows))[::-1]
        before, after = 100.0 * rows["before"], 100.0 * rows["after"]
        for height, start, end in zip(at, before, after, strict=True):
            arrow = {"arrowstyle": "->", "color": "#555555", "shrinkA": 4, "shrinkB": 4}
            ax.annotate("", (end, height), (start, height), arrowprops=arrow)
        ax.plot(before, at, "s", color=BEFORE, markerfacecolor="white", label="before")
        ax.plot(after, at, "o", color=AFTER, label="after")
        ax.set_yticks(at, [_shorten(name) for name in rows["group"]])
        ax.set_ylim(-0.6, len(rows) - 0.4)
        ax.margins(x=0.15)
        ax.set_title(FIGURE_RATES[rate], fontsize=9)
    axes[1].set_yticklabels([])
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle("Predicted favorable, in percent", fontsize=10)
    return figure


def _make_figure(height: float, columns: int = 1):
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(1, columns)
    for ax in np.ravel(axes):
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25)
    return figure, axes


def _error_bars(points: pd.DataFrame) -> np.ndarray:
    """Return the lengths of asymmetric error bars, shape (2, n); the value may lie outside."""
    bars = np.array([points["value"] - points["low"], points["high"] - points["value"]])
    return 100.0 * np.maximum(bars, 0.0)


def _shorten(name: str, end: int = 8) -> str:
    """Omit the middle of a long name: names of intersections often start alike."""
    return name if len(name) <= 2 * end + 1 else f"{name[:end]}\N{HORIZONTAL ELLIPSIS}{name[-end:]}"


def _svg(figure: Figure) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def _data_url(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{b64encode(svg).decode()}"
