"""What one fit of ScoreSteering costs, and how it grows with the rows.

    FAIRSTEER_DATA=folder python benchmarks/score_times.py

On Adult by sex, a fit is compared with what it consists of, in the same run: encoding the table,
``cross_val_predict`` with five folds, and one fit of the estimator. Simulated tables of ten
features and two groups show how seconds and memory of a fit and of ``transform`` grow to a million
rows. Writes benchmarks/results/score_times.csv, score_scale.csv and docs/speed.md.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import MIB, RESULTS, PeakMemory, facts, growth, in_turn, table, write
from pages import rewrite
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from fairsteer import ScoreSteering
from fairsteer.compare import load_table
from fairsteer.compare._methods import make_estimator
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.estimators._table_encoding import encode, fit_encoder

NAMES = {"logistic": "LR", "boosting": "HGB"}
SIZES = [10_000, 30_000, 100_000, 300_000, 1_000_000]
TIMES = 3


def fit_times(data: pd.DataFrame, y: np.ndarray, groups: np.ndarray) -> list[dict]:
    """Return seconds of a fit and of its parts for each estimator."""
    rows = []
    indicators = (groups[:, None] == np.unique(groups)[1:]).astype(np.float64)
    for name, short in NAMES.items():
        base = make_estimator(name, 0)

        def fit(base=base):
            ScoreSteering(base, random_state=0).fit(data, y, sensitive_features=groups)

        def parts(base=base):
            X = np.hstack([encode(fit_encoder(data), data), indicators])
            cross_val_predict(base, X, y, cv=5, method="predict_proba")
            clone(base).fit(X, y)

        own, limit = in_turn(fit, parts, times=TIMES)
        rows.append(
            {"estimator": short, "seconds": own, "parts_seconds": limit, "ratio": own / limit}
        )
    return rows


def scale_row(n: int) -> dict:
    """Return seconds and memory of a fit and of transform on n simulated rows."""
    sample = make_gaussian_subgroups(n, n_groups=2, n_features=10, random_state=0)
    X, groups = sample.data.drop(columns="group").to_numpy(), sample.sensitive_features.to_numpy()
    y = sample.target.to_numpy()
    steering = ScoreSteering(LogisticRegression(), random_state=0)
    row = {"rows": n}
    calls = {
        "fit": lambda: steering.fit(X, y, sensitive_features=groups),
        "transform": lambda: steering.transform(X, sensitive_features=groups),
    }
    for name, call in calls.items():
        start = time.perf_counter()
        with PeakMemory() as peak:
            call()
        row[f"{name}_seconds"] = time.perf_counter() - start
        row[f"{name}_mib"] = peak.bytes / MIB
    return row


def in_words(frame: pd.DataFrame) -> str:
    """Return the exponents of growth and the memory of the largest table."""
    largest = frame[frame["rows"] >= 100_000]
    fit, transform = (
        # Rounding could leave a zero with a sign.
        round(growth(largest["rows"].tolist(), largest[f"{what}_seconds"].tolist()), 2) + 0.0
        for what in ("fit", "transform")
    )
    last = frame.iloc[-1]
    return (
        f"From 100,000 rows on, the time of `fit` grows with the rows to the power of {fit:.2f}, "
        f"that of `transform` to the power of {transform:.2f}. At {last['rows']:,.0f} rows of ten "
        f"features they need {last['fit_mib']:.0f} and {last['transform_mib']:.0f} MiB beyond the "
        "table."
    )


def page_parts(folder: Path) -> dict[str, str]:
    """Return the parts of docs/speed.md on score steering."""
    scale = pd.read_csv(folder / "score_scale.csv")
    return {
        "score times": table(pd.read_csv(folder / "score_times.csv")),
        "score scale": table(scale),
        "score scale in words": in_words(scale),
        "score times environment": facts(pd.read_csv(folder / "score_times_environment.csv")),
    }


def main() -> None:
    """Measure, and write the results."""
    adult = load_table("adult", sensitive="sex")
    rows = fit_times(adult.data, np.asarray(adult.target), np.asarray(adult.groups))
    print(table(write(rows, "score_times", RESULTS)))
    scale = pd.DataFrame([scale_row(n) for n in SIZES])
    scale.to_csv(RESULTS / "score_scale.csv", index=False)
    print(table(scale), in_words(scale), sep="\n")
    rewrite("speed.md")


if __name__ == "__main__":
    main()
