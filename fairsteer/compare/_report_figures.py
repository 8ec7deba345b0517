"""The figures of the report, as SVG; every one is drawn from a table of the report."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

import numpy as np
import pandas as pd

from fairsteer.compare._methods import FRONTIER_METHODS, METHODS
from fairsteer.compare._wording import METHOD_TITLES, gap_name, point_name
from fairsteer.metrics._report import BENEFICIAL_RATES
from fairsteer.plotting import STYLES

WIDTH = 4.4
BAND = "#dddddd"
RATE_TITLES = {"selection_rate": "of all", "tpr": "of the truly favorable"}
BEFORE, AFTER = STYLES[1][0], STYLES[0][0]


def tradeoff_figure(rows: pd.DataFrame, constraint: str, estimator: str) -> dict[str, str]:
    """Return the title, the source and the alternative text of a trade-off figure."""
    points = tradeoff_points(rows, constraint)
    described = "; ".join(
        f"{point_name(name)}: gap {100 * point['gap', 'value']:.1f}, "
        f"accuracy {100 * point['accuracy', 'value']:.1f}"
        for name, point in points.iterrows()
    )
    return {
        "title": f"{gap_name(constraint)}, {estimator}",
        "source": _source(tradeoff_svg(rows, constraint)),
        "alt": f"Accuracy in percent against the {gap_name(constraint)} gap in percentage "
        f"points, {estimator}. {described}.",
    }


def who_pays_figure(paying: pd.DataFrame) -> dict[str, str]:
    """Return the source and the alternative text of the figure of one method's rates."""
    selected = paying[paying["rate"] == "selection_rate"]
    described = "; ".join(
        f"{row.group}: {100 * row.before:.1f} before, {100 * row.after:.1f} after"
        for row in selected.itertuples()
    )
    return {
        "source": _source(who_pays_svg(paying)),
        "alt": f"Percent predicted favorable in every group. {described}. The second half of the "
        "figure shows the same of the truly favorable; the table below has all numbers.",
    }


def _source(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{b64encode(svg).decode()}"


def tradeoff_svg(intervals: pd.DataFrame, constraint: str) -> bytes:
    """Draw accuracy against a gap for all methods that aim at it or at none.

    Parameters
    ----------
    intervals : DataFrame
        From `fairsteer.compare._bootstrap.interval_table`, the rows of one estimator.
    constraint : {"equalized_odds", "equal_opportunity", "demographic_parity"}
        Which gap.

    Returns
    -------
    bytes
        An SVG file: a marker and a colour for each family of methods, bars for the intervals, a
        line through steering at several strengths, grey below the noise floors: darker below the
        smallest, lighter up to the largest.
    """
    figure, ax = _figure(4.2)
    shown = tradeoff_points(intervals, constraint)
    right = 1.05 * 100.0 * shown["gap", "high"].max()
    floors = 100.0 * shown["gap", "floor"]
    for floor in (floors.min(), floors.max()):
        ax.axvspan(0.0, floor, color=BAND, alpha=0.6, linewidth=0)
    for (family, label), (colour, marker, _) in zip(METHOD_TITLES.items(), STYLES, strict=False):
        points = shown[shown["family", ""] == family].sort_values(("strength", ""))
        if points.empty:
            continue
        x, y = (100.0 * points[axis, "value"] for axis in ("gap", "accuracy"))
        ax.errorbar(
            x,
            y,
            xerr=_bars(points["gap"]),
            yerr=_bars(points["accuracy"]),
            color=colour,
            marker=marker,
            markersize=8,
            markeredgecolor="black",
            linestyle="solid" if len(points) > 1 else "none",
            elinewidth=0.7,
            label=label,
        )
    ax.set_xlim(-0.03 * right, right)
    ax.set_xlabel(f"{gap_name(constraint)} gap in points (less is fairer)")
    ax.set_ylabel("accuracy, % of rows")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return _svg(figure)


def tradeoff_points(intervals: pd.DataFrame, constraint: str) -> pd.DataFrame:
    """Select what a trade-off figure shows.

    Parameters
    ----------
    intervals, constraint
        As in `tradeoff_svg`.

    Returns
    -------
    DataFrame
        One row per method, columns ``("family", "")``, ``("strength", "")`` and, for ``accuracy``
        and ``gap``, those of the intervals.
    """
    known = METHODS | FRONTIER_METHODS
    aimed = [n for n in intervals["method"].unique() if known[n].constraint in (None, constraint)]
    by_measure = {
        axis: intervals[intervals["measure"] == measure].set_index("method").loc[aimed]
        for axis, measure in (("accuracy", "accuracy"), ("gap", constraint))
    }
    points = pd.concat(by_measure, axis=1)
    points["family", ""] = [known[name].family for name in aimed]
    points["strength", ""] = [known[name].strength for name in aimed]
    return points


def who_pays_svg(groups: pd.DataFrame) -> bytes:
    """Draw the rates of every group before and after.

    Parameters
    ----------
    groups : DataFrame
        From `fairsteer.compare._bootstrap.group_table`, the rows of one estimator and method, with
        a before.

    Returns
    -------
    bytes
        An SVG file: a hollow square for before, a full circle for after, an arrow between them.
    """
    names = groups["group"].unique()
    figure, axes = _figure(1.5 + 0.5 * len(names), 2)
    for ax, rate in zip(axes, BENEFICIAL_RATES, strict=True):
        rows = groups[groups["rate"] == rate]
        at = np.arange(len(rows))[::-1]
        before, after = 100.0 * rows["before"], 100.0 * rows["after"]
        for height, start, end in zip(at, before, after, strict=True):
            arrow = {"arrowstyle": "->", "color": "#555555", "shrinkA": 4, "shrinkB": 4}
            ax.annotate("", (end, height), (start, height), arrowprops=arrow)
        ax.plot(before, at, "s", color=BEFORE, markerfacecolor="white", label="before")
        ax.plot(after, at, "o", color=AFTER, label="after")
        ax.set_yticks(at, [_short(name) for name in rows["group"]], parse_math=False)
        ax.set_ylim(-0.6, len(rows) - 0.4)
        ax.margins(x=0.15)
        ax.set_title(RATE_TITLES[rate], fontsize=9)
    axes[1].set_yticklabels([])
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle("Predicted favorable, in percent", fontsize=10)
    return _svg(figure)


def _figure(height: float, columns: int = 1):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(1, columns)
    for ax in np.ravel(axes):
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25)
    return figure, axes


def _bars(points: pd.DataFrame) -> np.ndarray:
    """Return the lengths of asymmetric error bars, shape (2, n); the value may lie outside."""
    bars = np.array([points["value"] - points["low"], points["high"] - points["value"]])
    return 100.0 * np.maximum(bars, 0.0)


def _short(name: str, end: int = 8) -> str:
    """Leave out the middle of a long name: groups of several columns share their beginnings."""
    return name if len(name) <= 2 * end + 1 else f"{name[:end]}\N{HORIZONTAL ELLIPSIS}{name[-end:]}"


def _svg(figure) -> bytes:
    import matplotlib

    file = BytesIO()
    # Letters as outlines: the same on every machine, and "$" in a name is no formula.
    settings = {"svg.fonttype": "path", "svg.hashsalt": "fairsteer", "text.parse_math": False}
    with matplotlib.rc_context(settings):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()
