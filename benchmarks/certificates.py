"""How often certificates fail, and how large they are on Adult and COMPAS: docs/certificates.md.

    FAIRSTEER_DATA=folder python benchmarks/certificates.py [--jobs 2]

Coverage: 1,000 random distributions (half discrete, half Gaussian scores) with 2 to 4 groups and
200 to 20,000 rows for every scope and constraint, one sample each; the worst case (two outputs,
rates .5 +- t), and tables whose entries are all claimed, with and without q. Real tables: 60% of
the rows fit, 40% certify, three splits; accuracy is that of the most frequent label of each bin
in the training rows, whose scores are out of fold. Resampled: the 40% that certify are drawn
with replacement from the table, so that the table itself is the population and its gap is known.

Writes benchmarks/results/certificate_coverage.csv, certificates.csv and certificates_resampled.csv.
"""

from __future__ import annotations

import argparse
import warnings
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from fare import apply_tree, bound_parity, grow_tree
from joblib import Parallel, delayed
from measuring import RESULTS, table
from pages import rewrite
from scipy.stats import norm
from sklearn.model_selection import train_test_split

from fairsteer import OptimalSteeringTransformer, ScoreSteering
from fairsteer.certify import certify
from fairsteer.certify._bounds import distance_bounds, total_variations
from fairsteer.compare import load_table
from fairsteer.compare._methods import make_estimator
from fairsteer.core.constraints import CONSTRAINTS
from fairsteer.estimators import TreeBins
from fairsteer.estimators._table_encoding import encode, fit_encoder

LEVEL = 0.95
SCOPES = ("any_classifier", "any_threshold", "model")
N_DISTRIBUTIONS, N_WORST, N_RESAMPLED = 1_000, 4_000, 200
SIZES = (200, 1_000, 5_000, 20_000)
NAMES = {"logistic": "LR", "boosting": "HGB"}
CELLS = (
    ("adult", "sex", "demographic_parity", "logistic", 8),
    ("adult", "sex", "demographic_parity", "boosting", 16),
    ("adult", "sex", "equal_opportunity", "logistic", 8),
    ("adult", "sex", "equalized_odds", "boosting", 16),
    ("compas", "race", "demographic_parity", "logistic", 8),
    ("compas", "race", "equal_opportunity", "logistic", 8),
    ("compas", "race", "equalized_odds", "logistic", 8),
)
"""Table, attribute, constraint, estimator and number of bins."""
GAMMAS = (0.0, 0.5, 0.8, 0.9, 0.95)
N_SPLITS = 3


# ---- coverage --------------------------------------------------------------------------------


def draw_distribution(rng, gaussian: bool):
    """Return shares (2, G), and cut points and cumulative distributions (2, G, m) of a score."""
    n_groups, m = int(rng.integers(2, 5)), int(rng.choice([2, 5, 20]))
    shares = rng.dirichlet(np.full(2 * n_groups, 2.0)).reshape(2, n_groups)
    if gaussian:
        means = rng.normal(scale=0.5, size=(2, n_groups, 1)) + np.array([0.0, 1.0])[:, None, None]
        cuts = np.linspace(-2.0, 3.0, m - 1)
        inner = norm.cdf(cuts, means, rng.uniform(0.5, 2.0, size=(2, n_groups, 1)))
        cumulative = np.concatenate([inner, np.ones((2, n_groups, 1))], axis=2)
    else:
        base = rng.dirichlet(np.ones(m), size=(2, 1))
        own = rng.dirichlet(np.ones(m), size=(2, n_groups))
        weight = rng.uniform()
        cumulative = np.cumsum(weight * own + (1.0 - weight) * base, axis=2)
    return shares, cumulative


def true_gap(shares, cumulative, scope, constraint):
    """Return the gap of a distribution that a certificate bounds."""
    if constraint == "demographic_parity":
        conditional = shares / shares.sum(axis=0)
        cumulative = np.einsum("ia,iam->am", conditional, cumulative)[None]
    elif constraint == "equal_opportunity":
        cumulative = cumulative[1:]
    found = 0.0
    for a, b in combinations(range(shares.shape[1]), 2):
        difference = cumulative[:, a] - cumulative[:, b]
        if scope == "any_classifier":
            gaps = np.abs(np.diff(difference, prepend=0.0, axis=1)).sum(axis=1) / 2.0
        elif scope == "any_threshold":
            gaps = np.abs(difference).max(axis=1)
        else:
            gaps = np.abs(difference[:, _cut(cumulative)])
        found = max(found, float(gaps.max()))
    return found


def _cut(cumulative):
    """Return the last output that is predicted negative."""
    return (cumulative.shape[2] - 1) // 2


def draw_rows(rng, shares, cumulative, n):
    """Draw labels, groups and outputs of n rows."""
    y, groups = np.divmod(rng.choice(shares.size, n, p=shares.ravel()), shares.shape[1])
    outputs = (rng.uniform(size=(n, 1)) > cumulative[y, groups][:, :-1]).sum(axis=1)
    return y, groups, outputs


def count_violations(scope, constraint, n_distributions=N_DISTRIBUTIONS, seed=0):
    """Return a row of the coverage of random distributions."""
    failed, excess = 0, []
    for number in range(n_distributions):
        rng = np.random.default_rng([seed, number])
        distribution = draw_distribution(rng, gaussian=bool(number % 2))
        y, groups, outputs = draw_rows(rng, *distribution, int(rng.choice(SIZES)))
        if len(np.unique(groups)) < distribution[0].shape[1]:
            continue
        if scope == "model":
            outputs = (outputs > _cut(distribution[1])).astype(int)
        bound = certify(
            outputs,
            y=y,
            sensitive_features=groups,
            constraint=constraint,
            scope=scope,
            pos_label=1,
            attack=False,
        ).bound
        truth = true_gap(*distribution, scope, constraint)
        failed += truth > bound
        excess.append(bound - truth)
    return {
        "case": "random distributions",
        "scope": scope,
        "constraint": constraint,
        "runs": len(excess),
        "violations": failed / len(excess),
        "excess": float(np.mean(excess)),
    }


def worst_cases(runs=N_WORST, seed=0):
    """Return rows of the coverage with two outputs of rates .5 +- t."""
    rows = []
    for scope in SCOPES:
        for gap, n in ((0.1, 1_000), (0.2, 1_000), (0.2, 5_000)):
            rng = np.random.default_rng([seed, n, int(100 * gap)])
            failed = 0
            for _ in range(runs):
                groups = np.arange(n) % 2
                outputs = (rng.uniform(size=n) < 0.5 + gap * (groups - 0.5)).astype(int)
                bound = certify(
                    outputs,
                    sensitive_features=groups,
                    constraint="demographic_parity",
                    scope=scope,
                    attack=False,
                ).bound
                failed += gap > bound
            rows.append(
                {
                    "case": f"rates .5 ± {gap / 2:g}, {n:,} rows",
                    "scope": scope,
                    "constraint": "demographic_parity",
                    "runs": runs,
                    "violations": failed / runs,
                }
            )
    return rows


def claimed_tables(runs=N_WORST, n=500, n_groups=4, n_labels=3, seed=0):
    """Return how often a table of bounds fails in any entry, with and without q."""
    rng = np.random.default_rng(seed)
    rates = np.where(np.arange(n_groups) % 2, 0.6, 0.4)
    sizes = np.full((n_labels, n_groups), n)
    truth = np.abs(rates[:, None] - rates[None, :])
    upper = np.triu_indices(n_groups, k=1)
    q = n_labels * len(upper[0])
    failed = {1: 0, q: 0}
    for _ in range(runs):
        hits = rng.binomial(sizes, rates)
        distances = total_variations(np.stack([sizes - hits, hits], axis=2))
        for claims in failed:
            bounds = distance_bounds(distances, sizes.astype(float), 1.0 - LEVEL, claims)
            failed[claims] += bool((truth > bounds)[:, *upper].any())
    return [
        {
            "case": f"{q} entries of a table, {n} rows each, with{'' if c > 1 else 'out'} q",
            "scope": "any_classifier",
            "constraint": "equalized_odds",
            "runs": runs,
            "violations": count / runs,
        }
        for c, count in failed.items()
    ]


# ---- real tables -----------------------------------------------------------------------------


def split_rows(y, groups, seed):
    """Return the positions of rows that fit and of those that certify."""
    strata = pd.factorize(pd.Series(groups).astype(str) + pd.Series(y).astype(str))[0]
    return train_test_split(np.arange(len(y)), test_size=0.4, stratify=strata, random_state=seed)


def majority(bins, y, size):
    """Return the most frequent label of every bin."""
    positives = np.bincount(bins, y, minlength=size)
    return (2 * positives > np.bincount(bins, minlength=size)).astype(int)


def fit_bins(name, sensitive, constraint, estimator, n_bins, seed):
    """Fit a score steering; return its rows, training bins, and the bins of the other rows."""
    data = load_table(name, sensitive=sensitive)
    y, groups = np.asarray(data.target), np.asarray(data.groups)
    train, test = split_rows(y, groups, seed)
    steering = ScoreSteering(
        make_estimator(estimator, 0),
        constraint=constraint,
        output="bins",
        n_bins=n_bins,
        random_state=seed,
    )
    own = steering.fit_transform(
        data.data.iloc[train], y[train], sensitive_features=groups[train], row_ids=train
    )[:, 0]
    bins = steering.transform(data.data.iloc[test], sensitive_features=groups[test], row_ids=test)
    scores = steering.estimator_scores(data.data, sensitive_features=groups)
    return y, groups, train, test, own.astype(int), bins[:, 0].astype(int), scores


def certify_split(name, sensitive, constraint, estimator, n_bins, seed):
    """Return rows of one split: steered bins, bins of the unsteered score, and FARE."""
    y, groups, train, test, own, bins, scores = fit_bins(
        name, sensitive, constraint, estimator, n_bins, seed
    )
    cell = {
        "table": f"{name} {sensitive}",
        "constraint": constraint,
        "estimator": NAMES[estimator],
        "bins": n_bins,
        "split": seed,
    }
    edges = np.quantile(scores[train], np.arange(1, n_bins) / n_bins)
    plain = np.searchsorted(edges, scores, side="right")
    rows = []
    for method, training, found in (
        ("score steering", own, bins),
        ("unsteered score", plain[train], plain[test]),
    ):
        predicted = majority(training, y[train], n_bins + 1)[found]
        certificate = certify(
            found,
            y=y[test],
            sensitive_features=groups[test],
            constraint=constraint,
            scope="any_classifier",
            random_state=seed,
        )
        rows.append(
            cell
            | {
                "method": method,
                "accuracy": np.mean(predicted == y[test]),
                "measured": certificate.measured,
                "attacked": certificate.attacked,
                "bound": certificate.bound,
            }
        )
    if constraint == "demographic_parity" and n_bins == 8:
        rows += [cell | row for row in certify_trees(name, sensitive, train, test, n_bins)]
    return rows


def certify_trees(name, sensitive, train, test, n_bins):
    """Return rows of FARE, and of both certificates for leaves of steered rows."""
    data = load_table(name, sensitive=sensitive)
    y, groups = np.asarray(data.target), np.asarray(data.groups)
    s = (groups == np.unique(groups)[0]).astype(int)
    encoder = fit_encoder(data.data.iloc[train])
    X = encode(encoder, data.data)
    rows = []

    def row(method, leaves, bound):
        predicted = majority(leaves[train], y[train], n_bins)[leaves[test]]
        found = certify(
            leaves[test],
            sensitive_features=groups[test],
            constraint="demographic_parity",
            scope="any_classifier",
            random_state=0,
        )
        return {
            "method": method,
            "accuracy": np.mean(predicted == y[test]),
            "measured": found.measured,
            "attacked": found.attacked,
            "bound": found.bound if bound is None else bound,
        }

    for gamma in GAMMAS:
        leaves = apply_tree(grow_tree(X[train], y[train], s[train], gamma, n_bins), X)
        bound = bound_parity(leaves[test], s[test], n_bins, 1.0 - LEVEL)
        rows.append(row(f"FARE, gamma {gamma:g}", leaves, bound))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steering = OptimalSteeringTransformer(
            constraint="demographic_parity", family="copula", random_state=0
        ).fit(X[train], y[train], sensitive_features=groups[train])
    moved = steering.transform(X, sensitive_features=groups, row_ids=np.arange(len(X)))
    leaves = TreeBins(n_bins, random_state=0).fit(moved[train], y[train]).transform(moved)[:, 0]
    rows.append(row("leaves of steered rows", leaves, None))
    bound = bound_parity(leaves[test], s[test], n_bins, 1.0 - LEVEL)
    rows.append(row("leaves of steered rows, FARE's certificate", leaves, bound))
    return rows


def resampled(name, sensitive, constraint, estimator, n_bins, runs=N_RESAMPLED):
    """Return how often certificates fail on samples with replacement from a table."""
    y, groups, _, _, _, bins, _ = fit_bins(name, sensitive, constraint, estimator, n_bins, 0)
    data = load_table(name, sensitive=sensitive)
    y, groups = np.asarray(data.target), np.asarray(data.groups)
    _, test = split_rows(y, groups, 0)
    y, groups = y[test], groups[test]

    def measured(rows, seed):
        return certify(
            bins[rows],
            y=y[rows],
            sensitive_features=groups[rows],
            constraint=constraint,
            scope="any_classifier",
            random_state=seed,
        )

    truth = measured(np.arange(len(y)), 0).measured
    failed = attack_failed = above = 0
    for seed in range(runs):
        rows = np.random.default_rng(seed).choice(len(y), len(y))
        found = measured(rows, seed)
        failed += truth > found.bound
        attack_failed += found.attacked - found.attack_error > truth
        above += found.attacked > found.bound
    return {
        "table": f"{name} {sensitive}",
        "constraint": constraint,
        "runs": runs,
        "gap": truth,
        "bound_below_gap": failed / runs,
        "attack_less_error_above_gap": attack_failed / runs,
        "attack_above_bound": above / runs,
    }


# ---- pages -----------------------------------------------------------------------------------


def table_of_widths():
    """Return the width of the bound at equal groups, by rows of each group and bins."""
    rows = []
    for n in (250, 1_000, 4_000, 16_000, 64_000):
        own = np.sqrt(2.0 / n)
        row = {"rows of each group": f"{n:,}"}
        for m in (2, 8, 16, 25):
            spread = 0.4 * m * np.sqrt(1.0 / m * (1.0 - 1.0 / m))
            row[f"{m} bins"] = float(own * (spread + np.sqrt(np.log(20.0) / 2.0)))
        rows.append(row)
    return pd.DataFrame(rows)


def page_parts(folder: Path) -> dict[str, str]:
    """Return the generated parts of the page on guarantees."""
    frame = pd.read_csv(folder / "certificates.csv")
    keys = ["table", "constraint", "estimator", "bins", "method"]
    means = frame.groupby(keys, sort=False)[["accuracy", "measured", "attacked", "bound"]]
    shown = means.mean().round(3).reset_index()
    shown["constraint"] = shown["constraint"].str.replace("_", " ")
    coverage = pd.read_csv(folder / "certificate_coverage.csv")
    coverage["constraint"] = coverage["constraint"].str.replace("_", " ")
    drawn = pd.read_csv(folder / "certificates_resampled.csv")
    return {
        "certificates": table(shown),
        "coverage": table(coverage),
        "widths": table(table_of_widths()),
        "resampled": table(drawn),
    }


def main() -> None:
    """Run everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=-1, help="parallel processes, -1: every core")
    parallel = Parallel(n_jobs=parser.parse_args().jobs)
    coverage = parallel(
        delayed(count_violations)(scope, constraint)
        for scope in SCOPES
        for constraint in CONSTRAINTS
    )
    coverage += worst_cases() + claimed_tables()
    pd.DataFrame(coverage).round(4).to_csv(RESULTS / "certificate_coverage.csv", index=False)
    print(table(pd.DataFrame(coverage)))
    found = parallel(
        delayed(certify_split)(*cell, seed) for cell in CELLS for seed in range(N_SPLITS)
    )
    frame = pd.DataFrame([row for rows in found for row in rows])
    frame.round(4).to_csv(RESULTS / "certificates.csv", index=False)
    drawn = parallel(delayed(resampled)(*CELLS[k]) for k in (0, 3, 4, 6))
    pd.DataFrame(drawn).round(4).to_csv(RESULTS / "certificates_resampled.csv", index=False)
    for part in page_parts(RESULTS).values():
        print(part, end="\n\n")
    rewrite("user_guide/guarantees.md")


if __name__ == "__main__":
    main()
