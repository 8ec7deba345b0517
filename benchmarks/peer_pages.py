"""The tables of docs/peers.md and peers_scores.md, made from the csv files of peers.py."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from frontiers import GAPS, SCORES, best_within, dominated_hypervolume
from measuring import facts
from peer_measures import LIMITS
from peer_methods import HEADLINE, PEERS, TRANSFORMS
from peer_times import CELL, averages, ratios

PARTS = (
    *("", "_points", "_frontiers", "_times", "_times_environment"),
    *("_runtime", "_left_out", "_environment"),
)
SCORE_NAMES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "auc": "AUC"}
SHORT = {"logistic": "LR", "boosting": "HGB", "mlp": "MLP"}
KINDS = {
    "features": "changes features",
    "features+weights": "changes features, weighs rows",
    "weights": "weighs rows",
    "rows": "adds rows",
    "training": "wraps training",
    "decisions": "changes decisions",
}
RIVALS = tuple(n for n in TRANSFORMS if n != "unmitigated" and not n.startswith("fairsteer"))
"""The methods that wins and losses are counted against."""
OWN = tuple(n for n in TRANSFORMS if n.startswith("fairsteer"))


def read(folder: Path, stem: str = "peers") -> dict[str, pd.DataFrame]:
    """Read the csv files of a run, by the last part of their names."""
    return {part: read_part(folder / f"{stem}{part}.csv") for part in PARTS}


def read_part(file: Path) -> pd.DataFrame:
    """Read a csv file; a method that targets no gap has an empty constraint."""
    found = pd.read_csv(file)
    return found.fillna({"constraint": ""}) if "constraint" in found else found


def hypervolumes(results: pd.DataFrame) -> pd.DataFrame:
    """Return the dominated hypervolume of every method, from peers.csv alone.

    The reference point has the score of ``constant`` and the gap of ``unmitigated``; the area is a
    share of the rectangle between it and the point with the score of ``unmitigated`` and no gap.
    A method's frontier for a gap has its points that target this gap and those that target none.
    """
    rows = []
    for cell, points in averages(results).groupby(CELL, sort=False):
        ends = points.set_index("method").loc[["constant", "unmitigated"]]
        for score, gap in product(SCORES, GAPS):
            (constant, unmitigated), widest = ends[score], ends.loc["unmitigated", gap]
            mine = points[points["constraint"].isin(["", gap]) & points[score].notna()]
            for method, frontier in mine.groupby("method", sort=False):
                scores, found = frontier[score].to_numpy(), frontier[gap].to_numpy()
                row = {**dict(zip(CELL, cell, strict=True)), "score": score, "gap": gap}
                row |= {"method": method}
                row["hypervolume"] = dominated_hypervolume(
                    scores, found, constant=constant, unmitigated=unmitigated, gap=widest
                )
                for limit in LIMITS:
                    best = best_within(scores, found, limit)
                    row[f"at {limit:g}"] = np.nan if best is None else scores[best]
                rows.append(row)
    return pd.DataFrame(rows)


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value, digits: int = 3) -> str:
    """Write a share without its leading zero, a dash for what is missing."""
    return "-" if pd.isna(value) else re.sub(r"^(-?)0\.", r"\1.", f"{value:.{digits}f}")


def signed(row, digits: int = 3) -> str:
    """Write a lead with its interval."""
    value, low, high = (f"{row[name]:+.{digits}f}" for name in ("lead", "lead_low", "lead_high"))
    return f"{value} ({low} to {high})".replace("0.", ".")


def cell_name(row) -> str:
    """Name a table and an estimator."""
    return f"{row['dataset']} {row['sensitive']} {SHORT[row['estimator']]}"


def methods_section(tables) -> str:
    """Tabulate what every method changes and needs."""
    run = tables[""].groupby("method")["strength"].unique()
    rows = []
    for peer in PEERS.values():
        if peer.name in run.index:
            targets = sorted({c.replace("_", " ") for c, _ in peer.settings if c})
            strengths = ", ".join(f"{s:g}" for s in run[peer.name])
            rows.append(
                [
                    peer.name,
                    KINDS[peer.kind],
                    peer.needs_group,
                    ", ".join(targets) or "none",
                    "none" if peer.strength == "none" else f"{peer.strength}: {strengths}",
                ]
            )
    return table(["method", "how", "needs at prediction", "target", "strength"], rows)


def hypervolume_section(volumes: pd.DataFrame, score: str, gap: str) -> str:
    """Tabulate `hypervolumes`, a row a method, a column a table and estimator."""
    found = volumes[(volumes["score"] == score) & (volumes["gap"] == gap)]
    cells = found[CELL].drop_duplicates()
    names = [cell_name(row) for _, row in cells.iterrows()]
    values = found.assign(cell=found.apply(cell_name, axis=1))
    wide = values.pivot(index="method", columns="cell", values="hypervolume")
    rows = []
    for method in (name for name in PEERS if name in wide.index and name != "constant"):
        shown = []
        for name in names:
            value = wide.loc[method, name]
            best = value == wide.loc[[n for n in wide.index if n in TRANSFORMS], name].max()
            shown.append(f"**{number(value, 2)}**" if best else number(value, 2))
        rows.append([method, *shown])
    return table(["method", *names], rows)


def wins(tables) -> pd.DataFrame:
    """Return, for every cell and gap, the strongest rival that transforms, and the lead over it."""
    volumes = tables["_frontiers"].query("measure == 'hypervolume' and score == 'accuracy'")
    rows = []
    for _, group in volumes.groupby([*CELL, "gap"], sort=False):
        rivals = group[group["method"].isin(RIVALS)]
        own = group[group["method"] == HEADLINE]
        if len(rivals) and len(own):
            best = rivals.loc[rivals["value"].idxmax()]
            rows.append({**best, "own": own["value"].iloc[0]})
    return pd.DataFrame(rows)


def verdict(row) -> str:
    """Name the winner, and whether the interval of the lead excludes 0."""
    sure = row["lead_low"] > 0 or row["lead_high"] < 0
    return ("win" if row["lead"] > 0 else "loss") + ("" if sure else ", within chance")


def wins_in_words(volumes: pd.DataFrame, score: str) -> str:
    """Count for each of fairsteer's methods the cells in which it is ahead of every rival."""
    found = volumes[volumes["score"] == score]
    first = found["dataset"].isin(["adult", "compas"]) & (found["estimator"] != "mlp")
    scopes = {
        "On Adult and COMPAS with LR and HGB": found[first],
        "On all tables with all models": found,
    }
    lines = []
    for scope, cells in scopes.items():
        for gap, own in cells.groupby("gap", sort=False):
            by = own.pivot(index=CELL, columns="method", values="hypervolume")
            best = by[[name for name in RIVALS if name in by]].max(axis=1)
            counts = ", ".join(
                f"*{name.removeprefix('fairsteer ')}* in {(by[name] > best).sum()}"
                for name in OWN
                if name in by
            )
            where = f"{scope}, {gap.replace('_', ' ')}, {len(by)} cells"
            lines.append(f"* {where}: {counts}.")
    return "\n".join(lines)


def wins_section(tables) -> str:
    """Tabulate wins and losses against methods that only transform."""
    rows = []
    for _, row in wins(tables).iterrows():
        rows.append(
            [
                cell_name(row),
                row["gap"].replace("_", " "),
                number(row["own"]),
                f"{row['method']} {number(row['value'])}",
                signed(row),
                verdict(row),
            ]
        )
    head = ["table, model", "gap", HEADLINE, "best other", "lead (95% interval)", "verdict"]
    return table(head, rows)


def decisions_section(tables) -> str:
    """Tabulate the accuracy within a gap against methods that change decisions."""
    others = [name for name, peer in PEERS.items() if peer.kind == "decisions"]
    frontiers = tables["_frontiers"]
    frontiers = frontiers[frontiers["score"] == "accuracy"]
    points = tables["_points"]
    plain = points[points["method"] == "unmitigated"].set_index(CELL)
    rows = []
    for (*cell, gap, measure), group in frontiers.groupby([*CELL, "gap", "measure"], sort=False):
        if measure == "hypervolume" or gap == "demographic_parity":
            continue
        by = group.set_index("method")
        name = cell_name(dict(zip(CELL, cell, strict=True)))
        line = [name, gap.replace("_", " "), measure.removeprefix("at ")]
        line.append(number(plain.loc[tuple(cell), f"{gap}_floor"]))
        line.append(number(by["value"].get(HEADLINE)))
        for other in others:
            if other in by.index:
                row = by.loc[other]
                lead = "" if pd.isna(row["lead"]) else f", {signed(row)}"
                line.append(number(row["value"]) + lead)
            else:
                line.append("-")
        rows.append(line)
    heads = [f"{other}, lead of {HEADLINE} (95% interval)" for other in others]
    return table(["table, model", "gap", "at most", "noise floor", HEADLINE, *heads], rows)


def runtime_section(tables) -> str:
    """Tabulate how much faster untuned steering is than the slow peers, with both gaps."""
    rows = []
    for _, row in ratios(tables[""], tables["_times"]).iterrows():
        shown = [
            f"{row.get(who, '')} {number(row[f'{who} accuracy'])} / {number(row[f'{who} gap'])}"
            f" / {row[f'{who} seconds']:.3f} s".lstrip()
            for who in ("unmitigated", "peer", "own")
        ]
        gap = row["gap"].replace("_", " ")
        shown += [f"{row['ratio']:.1f}", f"{row['plain fits']:.1f}"]
        rows.append([cell_name(row), gap, *shown])
    head = ["table, model", "gap", "unmitigated", "peer", "steering", "times faster", "plain fits"]
    return table(head, rows)


def time_in_words(tables) -> str:
    """Describe the ratios on Adult and COMPAS, a sentence per estimator."""
    found = ratios(tables[""], tables["_times"])
    if len(found):
        found = found[found["dataset"].isin(["adult", "compas"])]
    sentences = []
    for estimator, own in found.groupby("estimator", sort=False) if len(found) else ():
        parts = []
        for peer, rows in own.groupby("peer", sort=False):
            lost = rows["peer accuracy"] - rows["own accuracy"]
            wider = (rows["own gap"] > rows["peer gap"]).sum()
            worse = (rows["own gap"] > rows["unmitigated gap"]).sum()
            price = f"of {len(rows)} comparisons it is less accurate in {(lost > 0).sum()}"
            price += f" by at most {number(lost.max())}" * bool((lost > 0).any())
            price += f", its gap is larger than the peer's in {wider}"
            price += f" and larger than the unmitigated gap in {worse}"
            low, high = rows["ratio"].min(), rows["ratio"].max()
            parts.append(f"{low:.1f} to {high:.1f} times as fast as {peer} ({price})")
        sentences.append(
            f"On Adult and COMPAS with {SHORT[estimator]} steering is {'; '.join(parts)}."
        )
    return "\n".join(sentences)


def left_out_section(tables) -> str:
    """List the methods that did not run, with the reasons."""
    lines = []
    for _, row in tables["_left_out"].iterrows():
        where = "" if pd.isna(row["dataset"]) else f" on {row['dataset']} {row['sensitive']}"
        lines.append(f"* {row['method']}{where}: {row['reason']}.")
    return "\n".join(lines)


def figure_name(dataset: str, sensitive: str, score: str) -> str:
    """Return the name of the figure of a table's frontiers."""
    return "-".join(["peers", dataset, sensitive, *[score] * (score != "accuracy")]) + ".png"


def figures_section(tables, score: str) -> str:
    """Show the frontiers of every table."""
    cells = tables["_points"][["dataset", "sensitive"]].drop_duplicates()
    name = SCORE_NAMES[score]
    return "\n\n".join(
        f"![{name[0].upper()}{name[1:]} against the three gaps on {dataset} by {sensitive}, a row "
        f"an estimator, a line a method, with intervals]"
        f"(figures/{figure_name(dataset, sensitive, score)})"
        for dataset, sensitive in cells.itertuples(index=False)
    )


def environment_section(tables) -> str:
    """Name date, versions and options."""
    described = facts(tables["_environment"])
    cells = tables[""][["dataset", "sensitive"]].drop_duplicates()
    names = ", ".join(f"{d} {s}" for d, s in cells.itertuples(index=False))
    return f"Tables: {names}. {described[0].upper()}{described[1:]}"


def accuracy_parts(folder: Path, stem: str = "peers") -> dict[str, str]:
    """Return the generated parts of docs/peers.md."""
    tables = read(folder, stem)
    volumes = hypervolumes(tables[""])
    sections = {f"hypervolume {gap}": hypervolume_section(volumes, "accuracy", gap) for gap in GAPS}
    return {
        "environment": environment_section(tables),
        "methods": methods_section(tables),
        **sections,
        "figures": figures_section(tables, "accuracy"),
        "wins in words": wins_in_words(volumes, "accuracy"),
        "wins": wins_section(tables),
        "decisions": decisions_section(tables),
        "times environment": facts(tables["_times_environment"]),
        "time in words": time_in_words(tables),
        "runtime": runtime_section(tables),
        "left out": left_out_section(tables),
    }


def score_parts(folder: Path, stem: str = "peers") -> dict[str, str]:
    """Return the generated parts of docs/peers_scores.md: the scores other than accuracy."""
    tables = read(folder, stem)
    volumes = hypervolumes(tables[""])
    parts = {"environment": environment_section(tables)}
    for score in SCORES[1:]:
        parts[f"{score} wins in words"] = wins_in_words(volumes, score)
        parts[f"{score} figures"] = figures_section(tables, score)
        for gap in GAPS:
            parts[f"{score} hypervolume {gap}"] = hypervolume_section(volumes, score, gap)
    return parts
