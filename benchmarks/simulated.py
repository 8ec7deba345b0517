"""Measure on simulated tables whether steering ever widens the gap that it targets.

    python benchmarks/simulated.py [--jobs 2]

Twenty tables of discrete columns, and two draws of each of six odd kinds, with ThresholdOptimizer
beside. Prints the largest change of the targeted gap over all tables, constraints and both
estimators, and writes benchmarks/results/simulated.csv and docs/results.md.
"""

from __future__ import annotations

import argparse
import warnings
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
ODD = ("small group", "separable", "discrete", "dominant", "rare", "fair")
N_ODD = 1_900
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


def odd_table(kind: str, seed: int, n: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Draw rows of a table that is unlike the usual ones in one respect.

    ``small group``: five groups, the smallest with 2% of the rows; ``separable``: one column shows
    the label; ``discrete``: whole numbers only; ``dominant``: one column is a million times as
    large as the others; ``rare``: 5% of the labels are positive; ``fair``: groups are drawn at
    random.
    """
    rng = np.random.default_rng([seed, 2])
    shares = [0.6, 0.2, 0.12, 0.06, 0.02] if kind == "small group" else [0.6, 0.4]
    groups = rng.choice(len(shares), size=n, p=shares)
    base = 0.05 if kind == "rare" else 0.45
    shift = np.zeros(n) if kind == "fair" else groups
    y = rng.binomial(1, base - (0.0 if kind == "rare" else 0.05) * shift)
    data = pd.DataFrame(
        {
            "a": rng.normal(size=n) + y - 0.5 * shift,
            "b": rng.normal(size=n) + 0.5 * y,
            "c": rng.poisson(2.0 + y + 0.5 * shift).astype(float),
        }
    )
    if kind == "discrete":
        data = data.round().clip(-2.0, 4.0)
    if kind == "separable":
        data["a"] = 10.0 * y + rng.normal(size=n)
    if kind == "dominant":
        data["a"] *= 1e6
    return data, y, np.array(list("abcde"))[groups]


def changes(kind: str, seed: int, n_train: int = N_TRAIN, n_test: int = N_TEST) -> pd.DataFrame:
    """Train with and without steering; one row for each estimator and constraint."""
    if kind == "simulated":
        data, y, groups = simulated_table(seed, n_train + n_test)
    else:
        data, y, groups = odd_table(kind, seed, n_train + n_test)
    train, test = slice(n_train), slice(n_train, None)

    def predicted(name, estimator, shared=None):
        procedure = make_procedure(METHODS[name], make_estimator(estimator, 0), data, 0, shared)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            procedure.fit(data[train], y[train], sensitive_features=groups[train])
            decisions = procedure.predict(data[test], sensitive_features=groups[test])[0]
        return decisions, getattr(procedure, "choice_", None)

    rows = []
    for estimator in NAMES:
        (before, _), shared = predicted("unmitigated", estimator), {}
        for constraint in CONSTRAINTS:
            after, choice = predicted(f"steering-{constraint}", estimator, shared)
            peer, _ = predicted(f"threshold_optimizer-{constraint}", estimator)
            row = {"kind": kind, "table": seed, "estimator": estimator, "constraint": constraint}
            for when, decisions in (("before", before), ("after", after), ("peer", peer)):
                row[f"accuracy_{when}"] = np.mean(decisions == y[test])
                row[f"gap_{when}"] = fairness_gaps(
                    y[test], decisions, sensitive_features=groups[test]
                )[constraint]
            row["floor"] = noise_floor(y[test], after, sensitive_features=groups[test])[constraint]
            rows.append(row | {"chosen": choice.candidate})
    frame = pd.DataFrame(rows)
    frame["change"] = frame["gap_after"] - frame["gap_before"]
    return frame


def markdown(frame: pd.DataFrame) -> str:
    """Return mean accuracy and gap before, after and of the peer as a Markdown table."""
    frame = frame.assign(tables=np.where(frame["kind"] == "simulated", "simulated", "odd"))
    heads = ["tables", "model", "constraint", "unmitigated", "steering", "ThresholdOptimizer"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for keys, rows in frame.groupby(["tables", "estimator", "constraint"], sort=False):
        tables, estimator, constraint = keys
        shown = [tables, NAMES[estimator], constraint.replace("_", " ")]
        means = rows.mean(numeric_only=True)
        shown += [
            f"{means[f'accuracy_{who}']:.3f} / {means[f'gap_{who}']:.3f}".replace("0.", ".")
            for who in ("before", "after", "peer")
        ]
        lines.append(f"| {' | '.join(shown)} |")
    return "\n".join(lines)


def largest_change(frame: pd.DataFrame) -> str:
    """Describe how often the targeted gap grows, and its largest change."""
    change = frame["change"]
    return (
        f"The targeted gap grows in {(change > 0.0).sum()} of {len(frame)} cells; the largest "
        f"change is {change.max():+.3f}, in {(change == change.max()).sum()} of them. The mean gap "
        f"is {frame['gap_after'].mean():.4f} at a mean accuracy of "
        f"{frame['accuracy_after'].mean():.4f}; that of ThresholdOptimizer is "
        f"{frame['gap_peer'].mean():.4f} at {frame['accuracy_peer'].mean():.4f}."
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
        Parallel(n_jobs=jobs)(
            [
                *(delayed(changes)("simulated", seed) for seed in range(N_TABLES)),
                *(delayed(changes)(kind, seed, N_ODD) for kind in ODD for seed in range(2)),
            ]
        ),
        ignore_index=True,
    )
    frame.round(4).to_csv(RESULTS / "simulated.csv", index=False)
    print(markdown(frame), largest_change(frame), sep="\n")
    worst = frame.loc[frame["change"].idxmax()]
    print(f"Largest change of a targeted gap over {len(frame)} cells: {worst['change']:+.4f}")
    print(f"({worst.to_dict()})")
    rewrite("results.md")


if __name__ == "__main__":
    main()
