"""The first tables of docs/results.md: accuracy, gap of the constraint, and what chance explains.

    FAIRSTEER_DATA=folder python benchmarks/gaps.py [--jobs 2] [--table adult-sex] [--family NAME]

Cross-validation with five folds, stratified on label and group, as ``fairsteer compare`` runs it;
accuracy and gaps are measured on the pooled held-out predictions and averaged over the repeats.
``steering`` is SteeredClassifierCV and ``score_steering`` is ScoreSteering before a logistic
regression of its score; both are those of ``fairsteer compare``. ThresholdOptimizer is fitted to
the same estimator; its decisions are drawn, and the mean over five seeds is shown. OxonFair needs
the extra ``bench``; see benchmarks/oxonfair_peer.py. ``floor`` and
``floor95`` are mean and 95% quantile of the gap over permutations of the groups. ``attack`` is the
gap that a boosted classifier attains which is trained, by cross-validation, to guess the group from
the scores of the held-out rows: from the probabilities that the model returns, not from its
decisions. Writes benchmarks/results/gaps.csv, or one table or some families of it.
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from fairlearn.postprocessing import ThresholdOptimizer
from joblib import Parallel, delayed
from measuring import RESULTS
from oxonfair_peer import predict_oxonfair
from pages import rewrite
from sklearn.base import clone

from fairsteer.compare import load_table
from fairsteer.compare._methods import (
    _THRESHOLD_CONSTRAINTS,
    METHODS,
    make_estimator,
    make_procedure,
)
from fairsteer.compare._run import split_rows, unit_seed
from fairsteer.core.constraints import CONSTRAINTS
from fairsteer.estimators._table_encoding import standard_encoder
from fairsteer.metrics import fairness_gaps
from fairsteer.metrics._attacks import measure_leakage
from fairsteer.metrics._gaps import permuted_gaps

TABLES = (("compas", "race", 3), ("compas", "sex", 3), ("adult", "sex", 2), ("adult", "race", 2))
"""Name, sensitive attribute and repeats of the cross-validation."""
NAMES = {"logistic": "LR", "boosting": "HGB"}
KEYS = ["table", "estimator", "constraint"]
OURS = ("steering", "score_steering")
FAMILIES = ("unmitigated", *OURS, "threshold_optimizer", "oxonfair")
PEERS = {"threshold_optimizer": "ThresholdOptimizer", "oxonfair": "OxonFair"}
SEEDS = 5
QUANTILE = 0.95


def predict_fold(name, sensitive, repeat, fold, estimator, families):
    """Return held-out rows, predictions and scores by family and constraint, and the choices.

    Predictions have the shape (seeds, m), scores (m,).
    """
    table = load_table(name, sensitive=sensitive)
    train, test = split_rows(table, 5, repeat)[fold]
    base, seed = make_estimator(estimator, 0), unit_seed(0, repeat, fold)
    y, groups = table.target.iloc[train], table.groups
    predictions, scores, chosen, shared = {}, {}, {}, {}
    for method in METHODS.values():
        if method.family not in {"unmitigated", *OURS} & set(families):
            continue
        procedure = make_procedure(method, base, table.data.iloc[train], seed, shared)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            procedure.fit(table.data.iloc[train], y, sensitive_features=groups.iloc[train])
            decided, score = procedure.predict(
                table.data.iloc[test], sensitive_features=groups.iloc[test]
            )
        key = method.family, method.constraint
        predictions[key], scores[key] = np.asarray(decided)[None], score
        if method.family == "steering":
            chosen[method.constraint] = procedure.choice_.candidate
    encoder = standard_encoder(table.data).fit(table.data.iloc[train])
    X, X_test = (np.asarray(encoder.transform(table.data.iloc[part])) for part in (train, test))
    y, codes = np.asarray(y), np.unique(groups, return_inverse=True)[1]
    own, new = codes[train], codes[test]
    fitted = clone(base).fit(X, y) if "threshold_optimizer" in families else None
    for constraint in CONSTRAINTS:
        if fitted is not None:
            predictions["threshold_optimizer", constraint] = predict_thresholds(
                fitted, X, y, own, X_test, new, constraint
            )
        if "oxonfair" in families:
            predictions["oxonfair", constraint] = predict_oxonfair(
                base, X, y, own, X_test, new, constraint, seed
            )[None]
    return test, predictions, scores, chosen


def predict_thresholds(fitted, X, y, codes, X_new, new_codes, constraint):
    """Return predictions of ThresholdOptimizer, shape (seeds, m)."""
    peer = ThresholdOptimizer(
        estimator=fitted,
        constraints=_THRESHOLD_CONSTRAINTS[constraint],
        predict_method="auto",
        prefit=True,
    )
    peer.fit(X, y, sensitive_features=codes)
    return np.array(
        [
            peer.predict(X_new, sensitive_features=new_codes, random_state=draw)
            for draw in range(SEEDS)
        ]
    )


def measure(y, groups, predictions, constraint):
    """Return accuracy, gap, and mean and 95% quantile of the gap under permutations."""
    predictions = predictions.astype(int)
    rows = []
    for own in predictions:
        drawn = permuted_gaps(y, own, sensitive_features=groups)[constraint]
        gap = fairness_gaps(y, own, sensitive_features=groups)[constraint]
        rows.append((np.mean(own == y), gap, drawn.mean(), np.quantile(drawn, QUANTILE)))
    return np.mean(rows, axis=0)


def attack(y, codes, score, constraint):
    """Return the gap that a classifier attains which is trained to guess the group."""
    conditions = {
        "demographic_parity": [np.ones(len(y), dtype=bool)],
        "equal_opportunity": [y == 1],
        "equalized_odds": [y == 0, y == 1],
    }[constraint]
    return max(
        measure_leakage(score[own, None], codes[own], "boosted", 5, 0).attack_advantage
        for own in conditions
    )


def pool(found, name, key, n_rows):
    """Return the held-out values of all rows, of shape (seeds, n) or (n,)."""
    parts = [(fold[0], fold[name][key]) for fold in found]
    pooled = np.empty((*parts[0][1].shape[:-1], n_rows))
    for test, own in parts:
        pooled[..., test] = own
    return pooled


def cells(name, sensitive, repeats, jobs, families=FAMILIES):
    """Return a row for each estimator and constraint of a table."""
    table = load_table(name, sensitive=sensitive)
    y, groups = np.asarray(table.target), np.asarray(table.groups)
    codes = np.unique(groups, return_inverse=True)[1]
    rows = []
    for estimator, short in NAMES.items():
        units = [(repeat, fold) for repeat in range(repeats) for fold in range(5)]
        outcomes = Parallel(n_jobs=jobs)(
            delayed(predict_fold)(name, sensitive, *unit, estimator, families) for unit in units
        )
        for constraint in CONSTRAINTS:
            row = {"table": f"{name} {sensitive}", "estimator": short, "constraint": constraint}
            for family in families:
                key = family, None if family == "unmitigated" else constraint
                measured, attacked = [], []
                for repeat in range(repeats):
                    found = [o for o, (r, _) in zip(outcomes, units, strict=True) if r == repeat]
                    pooled = pool(found, 1, key, len(y))
                    measured.append(measure(y, groups, pooled, constraint))
                    if family in OURS:
                        score = pool(found, 2, key, len(y))
                        attacked.append(attack(y, codes, score, constraint))
                mean, spread = np.mean(measured, axis=0), np.std(measured, axis=0, ddof=1)
                row |= {f"{family} accuracy": mean[0], f"{family} gap": mean[1]}
                row |= {f"{family} accuracy spread": spread[0], f"{family} gap spread": spread[1]}
                if family in OURS:
                    row |= {f"{family} floor": mean[2], f"{family} floor95": mean[3]}
                    row[f"{family} attack"] = np.mean(attacked)
            if "steering" in families:
                counts = Counter(own[3][constraint] for own in outcomes)
                row["chosen"] = ", ".join(f"{c} {n}" for c, n in counts.most_common())
            rows.append(row)
            print(row, flush=True)
    return pd.DataFrame(rows)


def merge(kept: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the rows and columns of new results in place of those kept."""
    names = dict.fromkeys([*kept, *new])
    columns = [*(name for name in names if name != "chosen"), "chosen"]
    merged = new.set_index(KEYS).combine_first(kept.set_index(KEYS))
    order = pd.concat([kept[KEYS], new[KEYS]]).drop_duplicates()
    return merged.reindex(pd.MultiIndex.from_frame(order)).reset_index()[columns]


def markdown(frame: pd.DataFrame, ours: str) -> str:
    """Return a table of the page for one of our methods."""
    own = "SteeredClassifierCV" if ours == "steering" else "ScoreSteering"
    names = ["table", "model", "constraint", "unmitigated", own, "floor, 95%", "attacker"]
    peers = [family for family in PEERS if f"{family} gap" in frame]
    names += [PEERS[family] for family in peers] + (["chosen"] if ours == "steering" else [])
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for _, row in frame.iterrows():
        shown = {
            family: f"{row[f'{family} accuracy']:.3f} / {row[f'{family} gap']:.3f}"
            for family in ("unmitigated", ours, *peers)
        }
        parts = [
            *(row["table"], row["estimator"], row["constraint"].replace("_", " ")),
            *(shown["unmitigated"], shown[ours]),
            f"{row[f'{ours} floor']:.3f}, {row[f'{ours} floor95']:.3f}",
            f"{row[f'{ours} attack']:.3f}",
            *(shown[family] for family in peers),
        ]
        text = " | ".join(parts).replace("0.", ".")
        lines.append(f"| {text} | {row['chosen']} |" if ours == "steering" else f"| {text} |")
    return "\n".join(lines)


def in_words(frame: pd.DataFrame, ours: str) -> str:
    """Return how the gap compares with chance, and accuracy and gap with the peer."""
    sentences = []
    for name in ("adult", "compas"):
        own = frame[frame["table"].str.startswith(name)]
        if own.empty:
            continue
        excess = own[f"{ours} gap"] - own[f"{ours} floor"]
        below = int((own[f"{ours} gap"] < own[f"{ours} floor95"]).sum())
        lead = own[f"{ours} accuracy"] - own["threshold_optimizer accuracy"]
        more = own[f"{ours} gap"] - own["threshold_optimizer gap"]
        behind = own[(lead < -0.001) & (more > 0.001)]
        ahead = int(((lead > 0.001) & (more < -0.001)).sum())
        listed = [
            f"{row['table']} {row['estimator']} {row['constraint'].replace('_', ' ')}"
            for _, row in behind.iterrows()
        ]
        title = name.capitalize() if name == "adult" else name.upper()
        sentences.append(
            f"{title}: the gap is below the 95% quantile of its floor in {below} of {len(own)} "
            f"rows, its mean excess over the floor is {excess.mean():+.4f} and the largest "
            f"{excess.max():+.4f}. Accuracy is at least that of ThresholdOptimizer less .001 in "
            f"{int((lead >= -0.001).sum())} rows; the differences lie between {lead.min():+.4f} "
            f"and {lead.max():+.4f}. By more than .001 in both accuracy and gap it is ahead in "
            f"{ahead} of {len(own)} rows and behind in {len(behind)} of them"
            + (f" ({', '.join(listed)})." if listed else ".")
        )
    return "\n\n".join(sentences)


def page_parts(folder: Path) -> dict[str, str]:
    """Return the first two tables of docs/results.md and the sentences below them."""
    frame = pd.read_csv(folder / "gaps.csv")
    return {
        "gaps": markdown(frame, "steering"),
        "gaps in words": in_words(frame, "steering"),
        "scores": markdown(frame, "score_steering"),
        "scores in words": in_words(frame, "score_steering"),
    }


def readme_parts(folder: Path) -> dict[str, str]:
    """Return the table of the README: logistic regression on two of the tables."""
    frame = pd.read_csv(folder / "gaps.csv")
    shown = (frame["estimator"] == "LR") & frame["table"].isin(["compas race", "adult sex"])
    lines = [
        "| table | gap to close | unmitigated | SteeredClassifierCV | floor | ThresholdOptimizer |",
        "|---|---|---|---|---|---|",
    ]
    for _, row in frame[shown].iterrows():
        before, own, peer = (
            f"{row[f'{who} accuracy']:.3f} / {row[f'{who} gap']:.3f}"
            for who in ("unmitigated", "steering", "threshold_optimizer")
        )
        keys = row["table"].replace("compas", "COMPAS").replace("adult", "Adult"), row["constraint"]
        cells = *keys, before, own, f"{row['steering floor']:.3f}", peer
        lines.append(f"| {' | '.join(cells)} |".replace("0.", ".").replace("_", " "))
    return {"peer": "\n".join(lines)}


def main() -> None:
    """Run every table, or one, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=-1, help="parallel processes, -1: every core")
    parser.add_argument("--table", choices=[f"{name}-{s}" for name, s, _ in TABLES])
    parser.add_argument("--family", action="append", choices=FAMILIES, help="default: all")
    options = parser.parse_args()
    chosen = [t for t in TABLES if options.table in (None, f"{t[0]}-{t[1]}")]
    families = options.family or FAMILIES
    frame = pd.concat(
        [cells(*table, jobs=options.jobs, families=families) for table in chosen],
        ignore_index=True,
    ).round(4)
    if (options.table or options.family) and (RESULTS / "gaps.csv").exists():
        frame = merge(pd.read_csv(RESULTS / "gaps.csv"), frame)
    frame.to_csv(RESULTS / "gaps.csv", index=False)
    for ours in OURS:
        print(markdown(frame, ours), in_words(frame, ours), sep="\n\n")
    rewrite("results.md")
    rewrite("../README.md")


if __name__ == "__main__":
    main()
