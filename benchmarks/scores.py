"""Score steering without any search, beside ThresholdOptimizer: docs/results.md, second table.

    FAIRSTEER_DATA=folder python benchmarks/scores.py [--jobs 2]

The protocol is that of benchmarks/gaps.py: 5 folds, stratified on label and group, accuracy and
gaps on the pooled out-of-fold predictions, two repeats on COMPAS and one on Adult. Score steering
is ``ScoreSteering`` of the base classifier, which sees the group, followed by a logistic regression
of the steered score; rows are identified by their number. ThresholdOptimizer draws its decisions:
the mean over five seeds is shown. ``floor`` and ``floor95`` are mean and 95% quantile of the gap
over permutations of the groups, averaged over the repeats. Writes benchmarks/results/scores.csv.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from fairlearn.postprocessing import ThresholdOptimizer
from gaps import NAMES, TABLES
from joblib import Parallel, delayed
from measuring import RESULTS
from pages import rewrite
from sklearn.linear_model import LogisticRegression

from fairsteer import ScoreSteering
from fairsteer.compare import load_table
from fairsteer.compare._methods import _THRESHOLD_CONSTRAINTS, make_estimator
from fairsteer.compare._run import split_rows
from fairsteer.core.constraints import CONSTRAINTS
from fairsteer.estimators._table_encoding import standard_encoder
from fairsteer.metrics import fairness_gaps
from fairsteer.metrics._gaps import permuted_gaps

SEEDS = 5
QUANTILE = 0.95


def predict_fold(name, sensitive, repeat, fold, estimator):
    """Return predictions of held-out rows by method and constraint, shape (seeds, m) each."""
    table = load_table(name, sensitive=sensitive)
    y, groups = np.asarray(table.target), np.asarray(table.groups)
    train, test = split_rows(table, 5, repeat)[fold]
    encoder = standard_encoder(table.data).fit(table.data.iloc[train])
    X = {id(part): encoder.transform(table.data.iloc[part]).to_numpy() for part in (train, test)}
    base, found = make_estimator(estimator, 0), {}
    for constraint in CONSTRAINTS:
        steering = ScoreSteering(base, constraint=constraint, random_state=0)
        scores = steering.fit_transform(
            X[id(train)], y[train], sensitive_features=groups[train], row_ids=train
        )
        model = LogisticRegression().fit(scores, y[train])
        moved = steering.transform(X[id(test)], sensitive_features=groups[test], row_ids=test)
        found["score_steering", constraint] = model.predict(moved)[None]
        peer = ThresholdOptimizer(
            estimator=base,
            constraints=_THRESHOLD_CONSTRAINTS[constraint],
            predict_method="auto",
            prefit=False,
        )
        peer.fit(X[id(train)], y[train], sensitive_features=groups[train])
        found["threshold_optimizer", constraint] = np.array(
            [
                peer.predict(X[id(test)], sensitive_features=groups[test], random_state=seed)
                for seed in range(SEEDS)
            ]
        )
    return test, found


def measure(y, groups, predictions, constraint):
    """Return accuracy, gap, and mean and 95% quantile of the gap under permutations."""
    predictions = predictions.astype(int)
    rows = []
    for own in predictions:
        drawn = permuted_gaps(y, own, sensitive_features=groups)[constraint]
        gap = fairness_gaps(y, own, sensitive_features=groups)[constraint]
        rows.append((np.mean(own == y), gap, drawn.mean(), np.quantile(drawn, QUANTILE)))
    return np.mean(rows, axis=0)


def cells(name, sensitive, repeats, jobs):
    """Return a row for each estimator and constraint of a table."""
    units = [(e, r, f) for e in NAMES for r in range(repeats) for f in range(5)]
    outcomes = Parallel(n_jobs=jobs)(
        delayed(predict_fold)(name, sensitive, repeat, fold, estimator)
        for estimator, repeat, fold in units
    )
    table = load_table(name, sensitive=sensitive)
    y, groups = np.asarray(table.target), np.asarray(table.groups)
    rows = []
    for estimator, short in NAMES.items():
        for constraint in CONSTRAINTS:
            row = {"table": f"{name} {sensitive}", "estimator": short, "constraint": constraint}
            for method in ("score_steering", "threshold_optimizer"):
                measured = []
                for repeat in range(repeats):
                    own = [
                        (test, found[method, constraint])
                        for (e, r, _), (test, found) in zip(units, outcomes, strict=True)
                        if (e, r) == (estimator, repeat)
                    ]
                    pooled = np.empty((len(own[0][1]), len(y)))
                    for test, predicted in own:
                        pooled[:, test] = predicted
                    measured.append(measure(y, groups, pooled, constraint))
                accuracy, gap, floor, floor95 = np.mean(measured, axis=0)
                row |= {f"{method} accuracy": accuracy, f"{method} gap": gap}
                if method == "score_steering":
                    row |= {"floor": floor, "floor95": floor95}
            rows.append(row)
    return pd.DataFrame(rows)


def markdown(frame: pd.DataFrame) -> str:
    """Return the table of the page."""
    lines = [
        "| table | model | constraint | score steering | floor, 95% | ThresholdOptimizer |",
        "|---|---|---|---|---|---|",
    ]
    for _, row in frame.iterrows():
        shown = [
            f"{row[f'{method} accuracy']:.3f} / {row[f'{method} gap']:.3f}"
            for method in ("score_steering", "threshold_optimizer")
        ]
        lines.append(
            f"| {row['table']} | {row['estimator']} | {row['constraint'].replace('_', ' ')} "
            f"| {shown[0]} | {row['floor']:.3f}, {row['floor95']:.3f} | {shown[1]} |"
        )
    return "\n".join(lines).replace("0.", ".")


def in_words(frame: pd.DataFrame) -> str:
    """Return how often the gap is below chance, and how the accuracy compares, by data set."""
    sentences = []
    for name in ("adult", "compas"):
        own = frame[frame["table"].str.startswith(name)]
        excess = own["score_steering gap"] - own["floor"]
        below = (own["score_steering gap"] < own["floor95"]).sum()
        lead = own["score_steering accuracy"] - own["threshold_optimizer accuracy"]
        sentences.append(
            f"{name.capitalize() if name == 'adult' else name.upper()}: the gap of score steering "
            f"is below the 95% quantile of its floor in {below} of {len(own)} rows, its mean "
            f"excess over the floor is {excess.mean():+.4f}, and its accuracy less that of "
            f"ThresholdOptimizer lies between {lead.min():+.3f} and {lead.max():+.3f}."
        )
    return " ".join(sentences)


def page_parts(folder: Path) -> dict[str, str]:
    """Return the parts of docs/results.md on score steering."""
    frame = pd.read_csv(folder / "scores.csv")
    return {"scores": markdown(frame), "scores in words": in_words(frame)}


def main() -> None:
    """Run every table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=-1, help="parallel processes, -1: every core")
    parser.add_argument("--table", choices=[f"{name}-{s}" for name, s, _ in TABLES])
    options = parser.parse_args()
    chosen = [t for t in TABLES if options.table in (None, f"{t[0]}-{t[1]}")]
    frame = pd.concat([cells(*table, jobs=options.jobs) for table in chosen], ignore_index=True)
    print(markdown(frame))
    if options.table is None:
        frame.round(4).to_csv(RESULTS / "scores.csv", index=False)
        print(in_words(frame))
        rewrite("results.md")


if __name__ == "__main__":
    main()
