"""Gaps where the attribute is known in training only, and the price against ExponentiatedGradient.

    FAIRSTEER_DATA=folder python benchmarks/hidden.py

Prints the last table of docs/results.md and the comparison below it, and writes the table to
benchmarks/results/hidden.csv and to the page.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from fairlearn.reductions import EqualizedOdds, ExponentiatedGradient, TruePositiveRateParity
from measuring import RESULTS
from pages import rewrite
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

from fairsteer import OptimalSteeringTransformer, WithinLabelEraser
from fairsteer.compare import load_table
from fairsteer.compare._methods import make_estimator
from fairsteer.core.priors import ideal_priors, prior_weights
from fairsteer.estimators._table_encoding import TargetOrder, standard_encoder
from fairsteer.metrics import fairness_gaps, noise_floor

MOMENTS = {"equalized_odds": EqualizedOdds, "equal_opportunity": TruePositiveRateParity}
STRENGTHS = (1.0, 0.995, 0.99, 0.98, 0.97, 0.95, 0.9, 0.0)
ENCODINGS = {
    "standard": standard_encoder,
    "normal scores": lambda data: make_pipeline(
        TargetOrder(), QuantileTransformer(output_distribution="normal", random_state=0)
    ),
}
N_BOOTSTRAP = 200


def subgroup_codes(y, groups) -> np.ndarray:
    """Return a code of each row's label and group."""
    return pd.MultiIndex.from_arrays([y, groups]).factorize()[0]


def independent_weights(y, groups) -> np.ndarray:
    """Kamiran and Calders' weights: label and group independent."""
    codes = np.unique(groups, return_inverse=True)[1]
    counts = np.zeros((2, codes.max() + 1))
    np.add.at(counts, (y, codes), 1.0)
    priors = counts / counts.sum()
    return prior_weights(priors, ideal_priors(priors, "independent"))[y, codes]


def untouched(estimator, train, test):
    """Predict with the standard encoding alone."""
    data, y, _ = train
    encoder = standard_encoder(data).fit(data)
    return clone(estimator).fit(encoder.transform(data), y).predict(encoder.transform(test))


def erased(constraint, encoding, strength, estimator, train, test):
    """Predict rows without the attribute: encode, erase, reweigh."""
    data, y, groups = train
    encoder = ENCODINGS[encoding](data)
    X = np.asarray(encoder.fit_transform(data, y))
    eraser = WithinLabelEraser(constraint=constraint, strength=strength)
    X = eraser.fit_transform(X, y, sensitive_features=groups)
    model = clone(estimator).fit(X, y, sample_weight=independent_weights(y, groups))
    return model.predict(eraser.transform(np.asarray(encoder.transform(test))))


def steered_by_posterior(constraint, estimator, train, test):
    """Predict rows without the attribute: steered by p(group | x), training rows alike."""
    data, y, groups = train
    order = TargetOrder().fit(data, y)
    steering = OptimalSteeringTransformer(
        constraint=constraint,
        family="copula",
        conditions="identical",
        group_strategy="posterior",
        random_state=0,
    )
    steering.fit(order.transform(data), y, sensitive_features=groups)

    def steered(rows):
        X = order.transform(rows)
        return order.inverse_transform(pd.DataFrame(steering.transform(X), X.index, X.columns))

    moved = steered(data)
    encoder = standard_encoder(moved).fit(moved)
    model = clone(estimator)
    model.fit(encoder.transform(moved), y, sample_weight=independent_weights(y, groups))
    return model.predict(encoder.transform(steered(test)))


def reduced(constraint, estimator, train, test):
    """Predict with fairlearn's ExponentiatedGradient, its defaults, the standard encoding."""
    data, y, groups = train
    encoder = standard_encoder(data).fit(data)
    model = ExponentiatedGradient(clone(estimator), constraints=MOMENTS[constraint]())
    model.fit(encoder.transform(data), y, sensitive_features=groups)
    return model.predict(encoder.transform(test), random_state=0)


def out_of_fold(table, predict) -> np.ndarray:
    """Pool the predictions of five folds; `predict(train, test)` never sees a test group."""
    data, y, groups = table
    predicted = np.zeros_like(y)
    codes = subgroup_codes(y, groups)
    for fit, held in StratifiedKFold(5, shuffle=True, random_state=0).split(codes, codes):
        train = data.iloc[fit], y[fit], groups[fit]
        predicted[held] = predict(train, data.iloc[held])
    return predicted


def row(method, estimator, constraint, table, predicted) -> dict:
    """Measure the predictions of a method on a table."""
    _, y, groups = table
    return {
        "method": method,
        "estimator": estimator,
        "constraint": constraint,
        "accuracy": np.mean(predicted == y),
        "gap": fairness_gaps(y, predicted, sensitive_features=groups)[constraint],
        "floor": noise_floor(y, predicted, sensitive_features=groups)[constraint],
    }


def height(accuracies, found, gap) -> float:
    """Return the largest accuracy at a gap of at most `gap`, mixing two points at random."""
    points = sorted(zip(found, accuracies, strict=True))
    best = -np.inf
    for g, a in points:
        if g <= gap:
            best = max(best, a)
            for g2, a2 in points:
                if g2 > gap:
                    best = max(best, a + (a2 - a) * (gap - g) / (g2 - g))
    return best


def quick_gap(constraint, y, predicted, codes) -> float:
    """Return what `fairness_gaps` returns, for many resamples: codes are groups 0, 1, ..."""
    rates = [
        np.bincount(codes[y == label], predicted[y == label]) / np.bincount(codes[y == label])
        for label in ((1,) if constraint == "equal_opportunity" else (0, 1))
    ]
    return float(max(np.ptp(rate) for rate in rates))


def shortfall(table, frontier, peer, constraint) -> tuple[float, float]:
    """Return how far the frontier lies above the peer's point, with its paired bootstrap error.

    The mixture of strengths is chosen on the rows that are measured, which favors the frontier,
    and the bootstrap draws these rows anew without retraining.
    """
    _, y, groups = table
    codes = np.unique(groups, return_inverse=True)[1]

    def above(rows):
        accuracies = [np.mean(p[rows] == y[rows]) for p in frontier]
        found = [quick_gap(constraint, y[rows], p[rows], codes[rows]) for p in frontier]
        gap = quick_gap(constraint, y[rows], peer[rows], codes[rows])
        # Where a resample's frontier ends above the peer's gap, its end is used.
        return height(accuracies, found, max(gap, min(found))) - np.mean(peer[rows] == y[rows])

    rng = np.random.default_rng(0)
    draws = [above(rng.integers(len(y), size=len(y))) for _ in range(N_BOOTSTRAP)]
    return above(np.arange(len(y))), float(np.std(draws))


def load(name, sensitive):
    """Return features, labels and groups of a table."""
    table = load_table(name, sensitive=sensitive)
    return table.data, table.target.to_numpy(), table.groups.to_numpy()


def adult() -> pd.DataFrame:
    """Measure both methods without the attribute on Adult, with both estimators."""
    table, rows = load("adult", "sex"), []
    for name in ("logistic", "boosting"):
        estimator = make_estimator(name, 0)
        plain = out_of_fold(table, lambda *split, e=estimator: untouched(e, *split))
        for constraint in MOMENTS:
            rows.append(row("unmitigated", name, constraint, table, plain))
            for encoding in ENCODINGS:
                predicted = out_of_fold(
                    table,
                    lambda *split, e=estimator, c=constraint, k=encoding: erased(
                        c, k, 1.0, e, *split
                    ),
                )
                method = f"eraser at 1, {encoding}"
                rows.append(row(method, name, constraint, table, predicted))
            predicted = out_of_fold(
                table,
                lambda *split, e=estimator, c=constraint: steered_by_posterior(c, e, *split),
            )
            rows.append(row("steering by p(group given x)", name, constraint, table, predicted))
    return pd.DataFrame(rows).assign(table="adult sex")


def compas() -> tuple[pd.DataFrame, list[str]]:
    """Compare the eraser's frontier over strength with ExponentiatedGradient on COMPAS."""
    table, rows, lines = load("compas", "race"), [], []
    estimator = make_estimator("logistic", 0)
    plain = out_of_fold(table, lambda *split: untouched(estimator, *split))
    for constraint in MOMENTS:
        rows.append(row("unmitigated", "logistic", constraint, table, plain))
        peer = out_of_fold(table, lambda *split, c=constraint: reduced(c, estimator, *split))
        point = row("ExponentiatedGradient", "logistic", constraint, table, peer)
        rows.append(point)
        for encoding in ENCODINGS:
            frontier = [
                out_of_fold(
                    table,
                    lambda *split, c=constraint, k=encoding, s=strength: erased(
                        c, k, s, estimator, *split
                    ),
                )
                for strength in STRENGTHS
            ]
            for strength, predicted in zip(STRENGTHS, frontier, strict=True):
                method = f"eraser at {strength:g}, {encoding}"
                rows.append(row(method, "logistic", constraint, table, predicted))
            above, error = shortfall(table, frontier, peer, constraint)
            smallest = min(r["gap"] for r in rows[-len(STRENGTHS) :])
            beyond = " (the frontier ends before, at its smallest gap)" * (smallest > point["gap"])
            lines.append(
                f"{constraint}, {encoding}: accuracy at ExponentiatedGradient's gap{beyond} "
                f"{above:+.3f} against its own, bootstrap standard error {error:.3f}, "
                f"{above / error:+.1f} of these"
            )
        predicted = out_of_fold(
            table, lambda *split, c=constraint: steered_by_posterior(c, estimator, *split)
        )
        rows.append(row("steering by p(group given x)", "logistic", constraint, table, predicted))
    return pd.DataFrame(rows).assign(table="compas race"), lines


def markdown(frame: pd.DataFrame) -> str:
    """Return the table of docs/results.md."""
    lines = [
        "| table | method | model | constraint | accuracy | gap | floor |",
        "|---|---|---|---|---|---|---|",
    ]
    for _, r in frame.round(4).iterrows():
        names = (r["table"], r["method"], r["estimator"], r["constraint"].replace("_", " "))
        numbers = (f"{r[key]:.3f}".removeprefix("0") for key in ("accuracy", "gap", "floor"))
        lines.append(f"| {' | '.join((*names, *numbers))} |")
    return "\n".join(lines)


def page_parts(folder: Path) -> dict[str, str]:
    """Return the last table of docs/results.md."""
    return {"hidden": markdown(pd.read_csv(folder / "hidden.csv"))}


def measured() -> tuple[pd.DataFrame, list[str]]:
    """Run both tables, write the results, and return them with the frontier's comparison."""
    first, lines = compas()
    frame = pd.concat([first, adult()], ignore_index=True)
    frame.round(4).to_csv(RESULTS / "hidden.csv", index=False)
    return frame, lines


def main() -> None:
    """Print every method and strength."""
    frame, lines = measured()
    print(markdown(frame))
    print(*lines, sep="\n")
    rewrite("results.md")


if __name__ == "__main__":
    main()
