"""The first table of docs/results.md: accuracy, gap of the constraint, and noise floor.

    FAIRSTEER_DATA=folder python benchmarks/gaps.py [--jobs 2]

Writes benchmarks/results/gaps.csv (attribute known at prediction) and hidden.csv (not known, by
benchmarks/hidden.py), prints both as one table and writes docs/results.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import hidden
import pandas as pd
from measuring import RESULTS
from pages import rewrite

from fairsteer.compare import compare, load_table
from fairsteer.core.constraints import CONSTRAINTS

TABLES = (("compas", "race", 2), ("compas", "sex", 2), ("adult", "sex", 1), ("adult", "race", 1))
"""Name, sensitive attribute and repeats of the cross-validation."""
SHOWN = ("unmitigated", "steering", "threshold_optimizer")
NAMES = {"logistic": "LR", "boosting": "HGB"}


def cells(name: str, sensitive: str, repeats: int, jobs: int) -> pd.DataFrame:
    """Run a table with both estimators; return a row for each estimator and constraint."""
    table = load_table(name, sensitive=sensitive)
    results = compare(
        table,
        estimators=tuple(NAMES),
        repeats=repeats,
        n_jobs=jobs,
        skip=("correlation_remover", "exponentiated_gradient"),
    ).results
    means = results.groupby(["estimator", "method"]).mean(numeric_only=True)
    rows = []
    for estimator in NAMES:
        for constraint in CONSTRAINTS:
            row = {"table": f"{name} {sensitive}", "estimator": NAMES[estimator]}
            row["constraint"] = constraint
            for family in SHOWN:
                method = family if family == "unmitigated" else f"{family}-{constraint}"
                cell = means.loc[(estimator, method)]
                row[f"{family} accuracy"] = cell["accuracy"]
                row[f"{family} gap"] = cell[constraint]
                if family == "steering":
                    row["floor"] = cell[f"floor_{constraint}"]
            rows.append(row)
    return pd.DataFrame(rows)


def hidden_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of benchmarks/hidden.py at full strength, in the columns of `cells`."""
    frame = frame.assign(estimator=frame["estimator"].map(NAMES))
    keys = ["table", "estimator", "constraint"]
    baseline = frame[frame["method"] == "unmitigated"].set_index(keys)
    peer = frame[frame["method"] == "ExponentiatedGradient"].set_index(keys)
    steered = frame[frame["method"].str.startswith(("eraser at 1,", "steering"))]
    rows = []
    for _, cell in steered.iterrows():
        key = tuple(cell[keys])
        found = {"unmitigated": baseline.loc[key], "steering": cell}
        if key in peer.index:
            found["exponentiated_gradient"] = peer.loc[key]
        method = cell["method"].removeprefix("steering ").replace(" at 1", "")
        row = {
            "table": f"{cell['table']}, hidden: {method}",
            **dict(zip(keys[1:], key[1:], strict=True)),
        }
        for family, measures in found.items():
            row |= {f"{family} {name}": measures[name] for name in ("accuracy", "gap")}
        rows.append(row | {"floor": cell["floor"]})
    return pd.DataFrame(rows)


def markdown(frame: pd.DataFrame) -> str:
    """Return the table of docs/results.md."""
    lines = [
        "| table | model | constraint | unmitigated | steering | floor | fairlearn |",
        "|---|---|---|---|---|---|---|",
    ]
    for _, row in frame.round(4).iterrows():
        shown = [
            f"{row[f'{family} accuracy']:.3f} / {row[f'{family} gap']:.3f}"
            for family in (*SHOWN, "exponentiated_gradient")
            if pd.notna(row.get(f"{family} gap"))
        ]
        lines.append(
            f"| {row['table']} | {row['estimator']} | {row['constraint'].replace('_', ' ')} "
            f"| {shown[0]} | {shown[1]} | {row['floor']:.3f} | {(*shown, '-')[2]} |"
        )
    return "\n".join(lines).replace("0.", ".")


def ahead(frame: pd.DataFrame) -> str:
    """List where one method is ahead of the other in both accuracy and gap."""
    more = frame["steering accuracy"] - frame["threshold_optimizer accuracy"]
    less = frame["threshold_optimizer gap"] - frame["steering gap"]
    sentences = []
    for name, sign in (("`ThresholdOptimizer`", -1.0), ("Steering", 1.0)):
        cells = frame[(sign * more >= 0.0) & (sign * less >= 0.0)]
        listed = [
            f"{cell['table']} {cell['estimator']} {cell['constraint'].replace('_', ' ')}"
            for _, cell in cells.iterrows()
        ]
        sentences.append(
            f"{name} is at least as accurate with at most the gap in {len(cells)} of {len(frame)} "
            f"cells: {', '.join(listed) or 'none'}."
        )
    return " ".join(sentences)


def page_parts(folder: Path) -> dict[str, str]:
    """Return the first table of docs/results.md and the comparison below it."""
    known = pd.read_csv(folder / "gaps.csv")
    unknown = hidden_cells(pd.read_csv(folder / "hidden.csv"))
    return {
        "gaps": markdown(pd.concat([known, unknown], ignore_index=True)),
        "gaps in words": ahead(known),
    }


def main() -> None:
    """Run every table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=-1, help="parallel processes, -1: every core")
    parser.add_argument("--table", choices=[f"{name}-{s}" for name, s, _ in TABLES])
    options = parser.parse_args()
    chosen = [t for t in TABLES if options.table in (None, f"{t[0]}-{t[1]}")]
    frame = pd.concat([cells(*table, jobs=options.jobs) for table in chosen], ignore_index=True)
    lines = [ahead(frame)]
    if options.table is None:
        frame.round(4).to_csv(RESULTS / "gaps.csv", index=False)
        without, found = hidden.measured()
        lines += found
        frame = pd.concat([frame, hidden_cells(without)], ignore_index=True)
    print(markdown(frame))
    print(*lines, sep="\n")
    if options.table is None:
        rewrite("results.md")


if __name__ == "__main__":
    main()
