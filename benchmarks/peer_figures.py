"""The figures of docs/peers.md: frontiers with intervals, and runtime against the number of rows.

Kinds of methods differ by color and line, methods of a kind by marker. The colors are Okabe and
Ito's: color-blind readers can distinguish them, and they print in different grays.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from frontiers import GAPS, SCORES
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from peer_methods import HEADLINE, PEERS
from peer_pages import CELL, SCORE_NAMES, SHORT, figure_name

STYLES = {
    "unmitigated": ("#777777", "none", 1.0),
    HEADLINE: ("#000000", "-", 2.2),
    "fairsteer": ("#0072B2", "-", 1.2),
    "features": ("#D55E00", "--", 0.9),
    "weights": ("#009E73", ":", 0.9),
    "rows": ("#009E73", ":", 0.9),
    "training": ("#CC79A7", "-.", 0.9),
    "decisions": ("#E69F00", (0, (3, 1, 1, 1, 1, 1)), 1.4),
}
"""Color, dashes and width."""
MARKERS = "osD^vP*Xhd<>"
UNDRAWN = ("constant", "fairsteer lognormal", "scikit-fair Reweighing")
"""A point without any gap, a family of one table, and the weights of AIF360 once more."""


def kind(method: str) -> str:
    """Return whose style a method has."""
    if method in (HEADLINE, "unmitigated"):
        return method
    return "fairsteer" if method.startswith("fairsteer") else PEERS[method].kind


def styles(methods) -> dict[str, dict]:
    """Give every method color, line and marker."""
    found, seen = {}, {}
    for method in (name for name in PEERS if name in set(methods)):
        color, dashes, width = STYLES[kind(method)]
        mark = seen.get(color, 0)
        seen[color] = mark + 1
        found[method] = {
            "color": color,
            "linestyle": dashes,
            "linewidth": width,
            "marker": "X" if method == "unmitigated" else MARKERS[mark],
            "markersize": 7 if method == "unmitigated" else 5,
            "markerfacecolor": color
            if kind(method) in (HEADLINE, "decisions", "unmitigated")
            else "white",
        }
    return found


def undominated(points: pd.DataFrame, score: str, gap: str) -> pd.DataFrame:
    """Return the points that no other point beats in both score and gap, sorted by gap."""
    order = points.sort_values([gap, score], ascending=[True, False])
    return order[order[score] > order[score].cummax().shift(fill_value=-1.0)]


def draw_frontiers(points: pd.DataFrame, score: str) -> Figure:
    """Draw the frontiers of one table: a row per estimator, a column per gap."""
    points = points[~points["method"].isin(UNDRAWN) & points[score].notna()]
    estimators = [name for name in SHORT if name in set(points["estimator"])]
    shown = styles(points["method"])
    figure = Figure(figsize=(11, 3.4 * len(estimators) + 1.5), layout="constrained")
    axes = figure.subplots(len(estimators), len(GAPS), squeeze=False)
    for i, estimator in enumerate(estimators):
        for j, gap in enumerate(GAPS):
            ax = axes[i, j]
            draw_panel(ax, points[points["estimator"] == estimator], score, gap, shown)
            if i == 0:
                ax.set_title(gap.replace("_", " "), fontsize=11)
            if i == len(estimators) - 1:
                ax.set_xlabel("gap (difference of rates)")
            if j == 0:
                ax.set_ylabel(f"{SHORT[estimator]}: {SCORE_NAMES[score]}")
    handles = [Line2D([], [], label=name, **style) for name, style in shown.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def draw_panel(ax: Axes, points: pd.DataFrame, score: str, gap: str, shown: dict) -> None:
    """Draw every method's undominated points with intervals; grey is below the noise floor."""
    mine = points[points["constraint"].isin(["", gap])]
    unmitigated = mine[mine["method"] == "unmitigated"].iloc[0]
    right = 1.25 * max(unmitigated[f"{gap}_high"], unmitigated[f"{gap}_floor"])
    ax.axvspan(0.0, unmitigated[f"{gap}_floor"], color="#dddddd", linewidth=0, zorder=0)
    for method, rows in mine.groupby("method", sort=False):
        front = undominated(rows, score, gap)
        style = shown[method]
        ax.plot(front[gap], front[score], zorder=4 if method == HEADLINE else 3, **style)
        ax.errorbar(
            front[gap],
            front[score],
            xerr=bars(front, gap),
            yerr=bars(front, score),
            linestyle="none",
            color=style["color"],
            elinewidth=0.6,
            alpha=0.45,
            zorder=2,
        )
    ax.set_xlim(0.0, right)
    near = mine[(mine[gap] <= right)]
    lowest = max(near[score].min(), unmitigated[score] - 0.12)
    ax.set_ylim(lowest - 0.01, max(near[score].max(), unmitigated[f"{score}_high"]) + 0.005)
    ax.spines[["top", "right"]].set_visible(False)


def bars(front: pd.DataFrame, name: str) -> list[pd.Series]:
    """Return what reaches below and above the points; near gap 0 an interval may lie above."""
    below, above = front[name] - front[f"{name}_low"], front[f"{name}_high"] - front[name]
    return [below.clip(lower=0.0), above.clip(lower=0.0)]


def draw_runtime(runtime: pd.DataFrame) -> Figure:
    """Draw seconds of a fit against the number of rows, both on a logarithmic scale."""
    runtime = runtime[~runtime["method"].isin(UNDRAWN)]
    shown = styles(runtime["method"])
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    ax = figure.subplots()
    for method, rows in runtime.groupby("method", sort=False):
        ax.plot(rows["n"], rows["fit_seconds"], label=method, **shown[method])
    ax.set_xscale("log")
    ax.set_yscale("log")
    sizes = sorted(runtime["n"].unique())
    ax.set_xticks(sizes, [f"{n:,}" for n in sizes], minor=False)
    ax.minorticks_off()
    ax.set_xlabel("training rows (simulated, two groups, ten features)")
    ax.set_ylabel("seconds of one fit, logistic regression")
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def draw(tables, folder: Path) -> None:
    """Write a figure of frontiers for every table, and the one of runtime."""
    folder.mkdir(parents=True, exist_ok=True)
    for (dataset, sensitive), points in tables["_points"].groupby(CELL[:2], sort=False):
        for score in SCORES:
            file = folder / figure_name(dataset, sensitive, score)
            draw_frontiers(points, score).savefig(file, dpi=110 if score == "accuracy" else 75)
    draw_runtime(tables["_runtime"]).savefig(folder / "peers-runtime.png", dpi=110)
