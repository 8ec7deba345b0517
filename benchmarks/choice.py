"""SteeredClassifierCV beside ThresholdOptimizer: docs/results.md, third table.

    FAIRSTEER_DATA=folder python benchmarks/choice.py [--jobs 2] [--table adult-sex]

The protocol, the folds and the figures of ThresholdOptimizer are those of benchmarks/scores.py. The
choice is made within the training folds. ``chosen`` counts the candidates over folds and repeats.
Writes benchmarks/results/choice.csv, or the rows of one table of it.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from gaps import NAMES, TABLES
from joblib import Parallel, delayed
from measuring import RESULTS
from pages import rewrite
from scores import measure

from fairsteer import SteeredClassifierCV
from fairsteer.compare import load_table
from fairsteer.compare._methods import make_estimator
from fairsteer.compare._run import split_rows
from fairsteer.core.constraints import CONSTRAINTS

KEYS = ["table", "estimator", "constraint"]


def predict_fold(name, sensitive, repeat, fold, estimator, constraint):
    """Return held-out rows, their predictions, and the candidate that was chosen."""
    table = load_table(name, sensitive=sensitive)
    y, groups = np.asarray(table.target), np.asarray(table.groups)
    train, test = split_rows(table, 5, repeat)[fold]
    model = SteeredClassifierCV(make_estimator(estimator, 0), constraint=constraint, random_state=0)
    model.fit(table.data.iloc[train], y[train], sensitive_features=groups[train])
    predicted = model.predict(table.data.iloc[test], sensitive_features=groups[test], row_ids=test)
    return test, predicted, model.best_candidate_


def cells(name, sensitive, repeats, jobs):
    """Return a row for each estimator and constraint of a table."""
    table = load_table(name, sensitive=sensitive)
    y, groups = np.asarray(table.target), np.asarray(table.groups)
    rows = []
    for estimator, short in NAMES.items():
        for constraint in CONSTRAINTS:
            units = [(r, f) for r in range(repeats) for f in range(5)]
            found = Parallel(n_jobs=jobs)(
                delayed(predict_fold)(name, sensitive, *unit, estimator, constraint)
                for unit in units
            )
            measured = []
            for repeat in range(repeats):
                pooled = np.empty(len(y))
                for (r, _), (test, predicted, _) in zip(units, found, strict=True):
                    if r == repeat:
                        pooled[test] = predicted
                measured.append(measure(y, groups, pooled[None], constraint))
            accuracy, gap, floor, floor95 = np.mean(measured, axis=0)
            chosen = Counter(candidate for *_, candidate in found)
            rows.append(
                {
                    "table": f"{name} {sensitive}",
                    "estimator": short,
                    "constraint": constraint,
                    "accuracy": accuracy,
                    "gap": gap,
                    "floor": floor,
                    "floor95": floor95,
                    "chosen": ", ".join(f"{c} {n}" for c, n in chosen.most_common()),
                }
            )
    return pd.DataFrame(rows)


def with_peer(folder: Path) -> pd.DataFrame:
    """Return the results with those of ThresholdOptimizer on the same folds."""
    peer = pd.read_csv(folder / "scores.csv")
    peer = peer[[*KEYS, "threshold_optimizer accuracy", "threshold_optimizer gap"]]
    return pd.read_csv(folder / "choice.csv").merge(peer, on=KEYS)


def markdown(frame: pd.DataFrame) -> str:
    """Return the table of the page."""
    lines = [
        "| table | model | constraint | chosen | floor, 95% | ThresholdOptimizer | candidates |",
        "|---|---|---|---|---|---|---|",
    ]
    for _, row in frame.iterrows():
        peer = f"{row['threshold_optimizer accuracy']:.3f} / {row['threshold_optimizer gap']:.3f}"
        cells = [
            row["table"],
            row["estimator"],
            row["constraint"].replace("_", " "),
            f"{row['accuracy']:.3f} / {row['gap']:.3f}".replace("0.", "."),
            f"{row['floor']:.3f}, {row['floor95']:.3f}".replace("0.", "."),
            peer.replace("0.", "."),
            row["chosen"],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def in_words(frame: pd.DataFrame) -> str:
    """Return how the gap compares with chance, and the accuracy with the peer."""
    excess = frame["gap"] - frame["floor"]
    lead = frame["accuracy"] - frame["threshold_optimizer accuracy"]
    more = frame["gap"] - frame["threshold_optimizer gap"]
    behind = int(((lead < -0.001) & (more > 0.001)).sum())
    below = int((frame["gap"] < frame["floor95"]).sum())
    return (
        f"The gap is below the 95% quantile of its floor in {below} of {len(frame)} rows, its mean "
        f"excess over the floor is {excess.mean():+.4f} and the largest {excess.max():+.4f}. The "
        f"accuracy is at least that of ThresholdOptimizer less .001 in {(lead >= -0.001).sum()} "
        f"rows, the smallest lead is {lead.min():+.4f}; in {behind} rows both accuracy and gap are "
        "worse by more than .001."
    )


def page_parts(folder: Path) -> dict[str, str]:
    """Return the parts of docs/results.md on SteeredClassifierCV."""
    frame = with_peer(folder)
    return {"choice": markdown(frame), "choice in words": in_words(frame)}


def main() -> None:
    """Run every table, or one, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=-1, help="parallel processes, -1: every core")
    parser.add_argument("--table", choices=[f"{name}-{s}" for name, s, _ in TABLES])
    options = parser.parse_args()
    chosen = [t for t in TABLES if options.table in (None, f"{t[0]}-{t[1]}")]
    frame = pd.concat([cells(*table, jobs=options.jobs) for table in chosen], ignore_index=True)
    if options.table is not None and (RESULTS / "choice.csv").exists():
        kept = pd.read_csv(RESULTS / "choice.csv")
        frame = pd.concat([kept[~kept["table"].isin(frame["table"])], frame], ignore_index=True)
    frame.round(4).to_csv(RESULTS / "choice.csv", index=False)
    print(frame.round(4).to_string())
    if len(frame) == 24:
        print(in_words(with_peer(RESULTS)))
        rewrite("results.md")


if __name__ == "__main__":
    main()
