"""Professions predicted from rows like embeddings of biographies: gaps between women and men.

    python benchmarks/bios.py [--jobs 2] [--quick]

Rows of :func:`fairsteer.datasets.make_bios_like` (60,000 x 768, five draws; ``--quick``: one of
20,000 x 100), 5-fold cross-validation stratified on profession and gender, pooled held-out
predictions of a logistic regression. Measured: accuracy; the root mean square over professions of
the gap of the true positive rate between the genders; its noise floor; the correlation of the gaps
(women's rate minus men's) with the published share of women. The geometry of the rows, the model's
penalty, the number of components and of passes were chosen on another draw (seed 0).

``unmitigated``                    the rows as they are
``mean matching``                  women's mean set to men's, genders known
``mean and covariance matching``   POT's ``LinearTransport`` of women onto men, genders known
``MiMiC``                          the same, genders predicted (quadratic discriminant analysis)
``LEACE``                          concept-erasure's, one map for all rows
``discriminants``                  60 principal components, then linear discriminants: 27 scores
``discriminants, weights``         these, training rows weighted: profession and gender independent
``discriminants, LEACE``           LEACE on the scores
``discriminants, matching``        mean and covariance matching on the scores, genders known
``fairsteer``                      the scores steered, genders known
``fairsteer, inferred``            the same, genders inferred by ``group_strategy="posterior"``

fairsteer steers three times with these weights as frequencies: each fit corrects what the fits
before it left because labels are unknown at prediction. Needs ``pip install -e ".[bench]"``.

Writes benchmarks/results/bios.csv, bios_professions.csv and bios_environment.csv
(``bios-quick...`` with ``--quick``) and, without ``--quick``, docs/bios.md and its figure.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from measuring import RESULTS, environment, facts, table
from pages import DOCS, rewrite
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline

from fairsteer import OptimalSteeringTransformer
from fairsteer.datasets import make_bios_like
from fairsteer.metrics import rms_tpr_gap, rms_tpr_gap_floor, tpr_by_label

FULL, QUICK = (60_000, 768), (20_000, 100)
SEEDS = (1, 2, 3, 4, 5)
FOLDS = 5
COMPONENTS = 60
PASSES = 3
STEERING = {
    "family": "normal",
    "conditions": "identical",
    "intervention": "all_subgroups",
    "covariance_type": "tied",
    "priors": "independent",
    "random_state": 0,
}


@dataclass(frozen=True, eq=False)
class Fold:
    """Training rows with label and gender, held-out rows with gender alone.

    Parameters
    ----------
    X, held_out : ndarray of shape (n, d), (m, d)
        Rows.
    y : ndarray of shape (n,)
        Professions of the training rows.
    women, held_out_women : ndarray of shape (n,), (m,)
        Whether a row is a woman's.
    """

    X: np.ndarray
    held_out: np.ndarray
    y: np.ndarray
    women: np.ndarray
    held_out_women: np.ndarray

    @classmethod
    def of(cls, sample, rows: np.ndarray, held_out: np.ndarray) -> Fold:
        """Cut a fold out of a sample of `make_bios_like`."""
        women = (sample.sensitive_features == "female").to_numpy()
        return cls(
            sample.data[rows],
            sample.data[held_out],
            sample.target.to_numpy()[rows],
            women[rows],
            women[held_out],
        )


def unmitigated(fold: Fold) -> Fold:
    """Return the rows as they are."""
    return fold


def mean_matching(fold: Fold) -> Fold:
    """Move the mean of women to the mean of men."""
    way = fold.X[~fold.women].mean(axis=0) - fold.X[fold.women].mean(axis=0)
    X = fold.X + fold.women[:, None] * way
    return replace(fold, X=X, held_out=fold.held_out + fold.held_out_women[:, None] * way)


def transported(fold: Fold, women, held_out_women) -> Fold:
    """Move the given rows of women by the transport that matches mean and covariance."""
    import ot

    transport = ot.da.LinearTransport().fit(Xs=fold.X[fold.women], Xt=fold.X[~fold.women])
    moved = fold.X.copy(), fold.held_out.copy()
    for rows, own in zip(moved, (women, held_out_women), strict=True):
        rows[own] = transport.transform(Xs=rows[own])
    return replace(fold, X=moved[0], held_out=moved[1])


def moments_matching(fold: Fold) -> Fold:
    """Transport the women."""
    return transported(fold, fold.women, fold.held_out_women)


def mimic(fold: Fold) -> Fold:
    """Transport the rows that a model predicts to be women's."""
    reader = make_pipeline(PCA(COMPONENTS, random_state=0), QuadraticDiscriminantAnalysis())
    reader.fit(fold.X, fold.women)
    return transported(fold, reader.predict(fold.X), reader.predict(fold.held_out))


def leace(fold: Fold) -> Fold:
    """Erase what is linear in the gender."""
    import torch
    from concept_erasure import LeaceFitter

    X, held_out = torch.as_tensor(fold.X), torch.as_tensor(fold.held_out)
    women = torch.as_tensor(fold.women[:, None].astype(float))
    eraser = LeaceFitter(X.shape[1], 1, dtype=torch.float64).update(X, women).eraser
    return replace(fold, X=eraser(X).numpy(), held_out=eraser(held_out).numpy())


def discriminants(fold: Fold) -> Fold:
    """Return linear discriminants of the principal components."""
    scores = make_pipeline(PCA(COMPONENTS, random_state=0), LinearDiscriminantAnalysis())
    scores.fit(fold.X, fold.y)
    return replace(fold, X=scores.transform(fold.X), held_out=scores.transform(fold.held_out))


def independent(fold: Fold) -> np.ndarray:
    """Return the weights of training rows that make profession and gender independent."""
    steering = OptimalSteeringTransformer(**STEERING)
    steering.fit(fold.X, fold.y, sensitive_features=fold.women)
    return steering.ideal_sample_weight(fold.X, fold.y, sensitive_features=fold.women)


def steered(fold: Fold, group_strategy: str = "given") -> Fold:
    """Steer `PASSES` times; inferred groups are not given to ``transform``."""
    given, weights = (fold.women, fold.held_out_women), independent(fold)
    if group_strategy == "posterior":
        given = tuple(np.full(len(women), None) for women in given)
    steering = OptimalSteeringTransformer(group_strategy=group_strategy, **STEERING)
    for _ in range(PASSES):
        steering.fit(fold.X, fold.y, sensitive_features=fold.women, sample_weight=weights)
        moved = [
            steering.transform(rows, sensitive_features=groups)
            for rows, groups in zip((fold.X, fold.held_out), given, strict=True)
        ]
        fold = replace(fold, X=moved[0], held_out=moved[1])
    return fold


METHODS = {
    "unmitigated": unmitigated,
    "mean matching": mean_matching,
    "mean and covariance matching": moments_matching,
    "MiMiC": mimic,
    "LEACE": leace,
    "discriminants": discriminants,
    "discriminants, weights": discriminants,
    "discriminants, LEACE": lambda fold: leace(discriminants(fold)),
    "discriminants, matching": lambda fold: moments_matching(discriminants(fold)),
    "fairsteer": lambda fold: steered(discriminants(fold)),
    "fairsteer, inferred": lambda fold: steered(discriminants(fold), "posterior"),
}


def predictions(size: tuple[int, int], seed: int, fold: int) -> tuple[np.ndarray, dict]:
    """Return the held-out rows of a fold and the predictions of every method."""
    sample = make_bios_like(*size, random_state=seed)
    strata = sample.target + sample.sensitive_features
    splits = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(sample.data, strata)
    rows, held_out = list(splits)[fold]
    given, found = Fold.of(sample, rows, held_out), {}
    for name, method in METHODS.items():
        moved = method(given)
        weights = independent(moved) if name.endswith("weights") else None
        model = LogisticRegression(C=0.1, max_iter=300)
        model.fit(moved.X.astype(np.float32), moved.y, weights)
        found[name] = model.predict(moved.held_out.astype(np.float32))
    return held_out, found


def measure(size: tuple[int, int], seed: int, folds) -> tuple[list[dict], pd.DataFrame]:
    """Return the measures of every method on a sample, and their true positive rates."""
    sample = make_bios_like(*size, random_state=seed)
    pooled = {name: np.empty(size[0], dtype=object) for name in METHODS}
    for held_out, found in folds:
        for name, predicted in found.items():
            pooled[name][held_out] = predicted
    rows, rates = [], []
    for name, predicted in pooled.items():
        given = (sample.target, predicted)
        by_label = tpr_by_label(*given, sensitive_features=sample.sensitive_features)
        by_label["lead"] = by_label["female"] - by_label["male"]
        shares = sample.female_shares[by_label.index]
        rows.append(
            {
                "seed": seed,
                "method": name,
                "accuracy": np.mean(predicted == sample.target),
                "rms_tpr_gap": rms_tpr_gap(*given, sensitive_features=sample.sensitive_features),
                "floor": rms_tpr_gap_floor(*given, sensitive_features=sample.sensitive_features),
                "correlation": np.corrcoef(by_label["lead"], shares)[0, 1],
            }
        )
        rates.append(
            by_label.drop(columns="gap")
            .assign(seed=seed, method=name, female_share=shares)
            .reset_index(names="profession")
        )
    return rows, pd.concat(rates, ignore_index=True)


def summary(results: pd.DataFrame) -> pd.DataFrame:
    """Average over seeds, with the mean and the largest share of the gap of `unmitigated`."""
    unmitigated = results[results["method"] == "unmitigated"].set_index("seed")["rms_tpr_gap"]
    results = results.assign(share=results["rms_tpr_gap"] / results["seed"].map(unmitigated))
    by = results.groupby("method", sort=False)
    found = by[["accuracy", "rms_tpr_gap", "floor", "correlation"]].mean()
    found.insert(2, "sd over seeds", by["rms_tpr_gap"].std(ddof=1))
    found["share of unmitigated"], found["at worst"] = by["share"].mean(), by["share"].max()
    return found.reset_index()


def page_parts(folder: Path) -> dict[str, str]:
    """Return the generated parts of docs/bios.md."""
    return {
        "bios": table(summary(pd.read_csv(folder / "bios.csv"))),
        "bios environment": facts(pd.read_csv(folder / "bios_environment.csv")),
    }


def draw(rates: pd.DataFrame, file: Path) -> None:
    """Draw the gaps of the professions against their shares of women, a panel per method."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    names = ["unmitigated", "LEACE", "MiMiC", "fairsteer", "fairsteer, inferred"]
    fig, axes = plt.subplots(
        1, len(names), figsize=(13, 3.4), sharex=True, sharey=True, layout="constrained"
    )
    for ax, name in zip(axes, names, strict=True):
        own = rates[rates["method"] == name].groupby("profession")[["female_share", "lead"]].mean()
        ax.axhline(0.0, color="0.6", linewidth=1)
        ax.scatter(
            own["female_share"], own["lead"], s=22, color="#0072B2", edgecolor="black", lw=0.4
        )
        slope, start = np.polyfit(own["female_share"], own["lead"], 1)
        ends = np.array([0.05, 0.95])
        ax.plot(ends, start + slope * ends, color="#D55E00", linestyle="--")
        ax.set_title(name)
        ax.set_xlabel("share of women")
    axes[0].set_ylabel("true positive rate,\nwomen less men")
    file.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(file, dpi=110)
    plt.close(fig)


def main(arguments: list[str] | None = None) -> None:
    """Run the comparison; print and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=-1, help="parallel processes, -1: every core")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    size, seeds = (QUICK, SEEDS[:1]) if options.quick else (FULL, SEEDS)
    tasks = [(seed, fold) for seed in seeds for fold in range(FOLDS)]
    done = joblib.Parallel(n_jobs=options.jobs, verbose=5)(
        joblib.delayed(predictions)(size, *task) for task in tasks
    )
    rows, rates = [], []
    for k, seed in enumerate(seeds):
        measured = measure(size, seed, done[k * FOLDS : (k + 1) * FOLDS])
        rows += measured[0]
        rates.append(measured[1])
    name = "bios-quick" if options.quick else "bios"
    options.output.mkdir(parents=True, exist_ok=True)
    results, rates = pd.DataFrame(rows).round(6), pd.concat(rates, ignore_index=True).round(6)
    results.to_csv(options.output / f"{name}.csv", index=False)
    rates.to_csv(options.output / f"{name}_professions.csv", index=False)
    environment().to_csv(options.output / f"{name}_environment.csv", index=False)
    print(table(summary(results)))
    if options.output == RESULTS and not options.quick:
        draw(rates, DOCS / "figures" / "bios.png")
        rewrite("bios.md")


if __name__ == "__main__":
    main()
