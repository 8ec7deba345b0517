"""Measure on twenty simulated tables whether steering ever widens the gap that it targets.

    python benchmarks/simulated.py [--jobs 2]

Prints the largest change of the targeted gap over all tables, constraints and both estimators, and
writes benchmarks/results/simulated.csv and docs/results.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from measuring import RESULTS
from pages import rewrite

from fairsteer.compare._methods import METHODS, make_estimator, make_procedure
from fairsteer.core.constraints import CONSTRAINTS
from fairsteer.metrics import fairness_gaps, noise_floor

N_TABLES, N_TRAIN, N_TEST = 20, 4_000, 40_000
NAMES = {"logistic": "LR", "boosting": "HGB"}
JOBS = ("clerk", "driver", "nurse", "smith", "teacher")


def simulated_table(seed: int, n: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Draw features, 0/1 labels and two or three groups from the distribution of a seed.

    Counts with many zeros, a score in steps, an indicator, a category and a rounded number, whose
    distributions shift with label and group in random directions, and base rates that differ.
    """
    shape, rng = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    n_groups = 2 + seed % 2
    groups = rng.choice(n_groups, size=n, p=shape.dirichlet(np.full(n_groups, 8.0)))
    y = rng.binomial(1, shape.uniform(0.25, 0.65, size=n_groups)[groups])

    def shifted(scale):
        by_label, by_group = shape.normal(scale=scale), shape.normal(scale=scale, size=n_groups)
        both = shape.normal(scale=0.3 * scale, size=n_groups)
        return by_label * y + by_group[groups] + both[groups] * y

    tastes = np.stack([shifted(0.6) for _ in JOBS], axis=1) + rng.gumbel(size=(n, len(JOBS)))
    data = pd.DataFrame(
        {
            "priors": rng.poisson(np.exp(0.4 * shifted(1.0)) * rng.gamma(1.0, size=n)),
            "score": np.clip(np.round(4.0 + shifted(1.0) + 1.5 * rng.normal(size=n)), 1, 7),
            "member": np.where(shifted(0.8) + rng.logistic(size=n) > 0.0, "yes", "no"),
            "job": np.array(JOBS)[tastes.argmax(axis=1)],
            "age": np.round(40.0 + 6.0 * shifted(0.7) + 12.0 * rng.normal(size=n)),
        }
    )
    return data, y, np.array(["a", "b", "c"])[groups]


def changes(seed: int, n_train: int = N_TRAIN, n_test: int = N_TEST) -> pd.DataFrame:
    """Train with and without steering; one row for each estimator and constraint."""
    data, y, groups = simulated_table(seed, n_train + n_test)
    train, test = slice(n_train), slice(n_train, None)

    def predicted(name, estimator):
        procedure = make_procedure(METHODS[name], make_estimator(estimator, 0), data, 0)
        procedure.fit(data[train], y[train], sensitive_features=groups[train])
        return procedure.predict(data[test], sensitive_features=groups[test])[0]

    rows = []
    for estimator in ("logistic", "boosting"):
        before = predicted("unmitigated", estimator)
        for constraint in CONSTRAINTS:
            after = predicted(f"steering-{constraint}", estimator)
            row = {"table": seed, "estimator": estimator, "constraint": constraint}
            for when, decisions in (("before", before), ("after", after)):
                row[f"accuracy_{when}"] = np.mean(decisions == y[test])
                row[f"gap_{when}"] = fairness_gaps(
                    y[test], decisions, sensitive_features=groups[test]
                )[constraint]
            row["floor"] = noise_floor(y[test], after, sensitive_features=groups[test])[constraint]
            rows.append(row)
    frame = pd.DataFrame(rows)
    frame["change"] = frame["gap_after"] - frame["gap_before"]
    return frame


def markdown(frame: pd.DataFrame) -> str:
    """Return mean accuracy and gap before and after steering as a Markdown table."""
    means = frame.groupby(["estimator", "constraint"]).mean(numeric_only=True)
    columns = [(estimator, when) for estimator in NAMES for when in ("before", "after")]
    heads = [f"{NAMES[estimator]} {when}" for estimator, when in columns]
    lines = [f"| constraint | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]
    for constraint in CONSTRAINTS:
        shown = [constraint.replace("_", " ")]
        for estimator, when in columns:
            row = means.loc[(estimator, constraint)]
            shown.append(f"{row[f'accuracy_{when}']:.3f} / {row[f'gap_{when}']:.3f}")
        lines.append(f"| {' | '.join(shown)} |")
    return "\n".join(lines).replace("0.", ".")


def largest_change(frame: pd.DataFrame) -> str:
    """Describe how often the targeted gap grows, and its largest change."""
    change = frame["change"]
    return (
        f"The targeted gap grows in {(change > 0.0).sum()} of {len(frame)} cells; the largest "
        f"change is {change.max():+.3f}, in {(change == change.max()).sum()} of them."
    )


def page_parts(folder: Path) -> dict[str, str]:
    """Return the parts of docs/results.md about simulated tables."""
    frame = pd.read_csv(folder / "simulated.csv")
    return {"simulated in words": largest_change(frame), "simulated": markdown(frame)}


def main() -> None:
    """Run every table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=-1, help="parallel processes, -1: every core")
    jobs = parser.parse_args().jobs
    frame = pd.concat(
        Parallel(n_jobs=jobs)(delayed(changes)(seed) for seed in range(N_TABLES)),
        ignore_index=True,
    )
    frame.round(4).to_csv(RESULTS / "simulated.csv", index=False)
    means = frame.groupby(["estimator", "constraint"])[
        ["accuracy_before", "accuracy_after", "gap_before", "gap_after", "floor"]
    ].mean()
    print(means.round(3).to_string())
    worst = frame.loc[frame["change"].idxmax()]
    print(f"Largest change of a targeted gap over {len(frame)} cells: {worst['change']:+.4f}")
    print(f"({worst.to_dict()})")
    rewrite("results.md")


if __name__ == "__main__":
    main()
