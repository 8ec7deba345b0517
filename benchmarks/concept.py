"""Effect of a step towards a concept in every group, before and after.

Run ``python benchmarks/concept.py`` for the full study (``--quick``: one world, one seed). States
are simulated: in every group the concept has a direction and a length of its own and the noise a
correlation of its own; groups are of unequal sizes and share of the concept. Directions are
fitted on some states; probes of the concept are fitted on 8000 others, where the effects are
measured too. The effect of a step is the mean change of a probe's logit.

Directions
    ``own``                       difference of the group's means, ``mu_1a - mu_0a``.
    ``pooled``                    difference of the means of all states, for all groups.
    ``shared``, ``own_probe``, ``both``, ``every``
                                  :class:`fairsteer.ConceptSteering` with that ``probe``.
    ``shared_inferred``           ``shared``, each state's group inferred from the state.

Probes
    ``logistic``                  one logistic regression for all groups.
    ``discriminant``              one linear discriminant (shrunk) for all groups.
    ``network``                   one network (a hidden layer of 32) for all groups: not linear, so
                                  it may read the concept differently in every group.
    ``own_logistic``              a logistic regression for every group.

Columns of ``concept.csv``, one row per world, seed, probe, direction, alpha and group
    ``n_groups``, ``n_features``, ``n_rows`` (states that directions are fitted on), ``seed``,
    ``probe``, ``direction``, ``alpha``, ``group``, ``effect``.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import RESULTS
from pages import rewrite
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairsteer import ConceptSteering, SteeringWarning

WORLDS = ((2, 8, 8000), (3, 32, 8000), (3, 128, 8000), (3, 128, 1500))
N_SEEDS = 5
N_JUDGED = 8000
PLACE = ["n_groups", "n_features", "n_rows", "seed"]
ALPHAS = (-1.0, 0.5, 1.0, 2.0)
FITTED = {"shared": "shared", "own_probe": "own", "both": "both", "every": "every"}
NAIVE = ("own", "pooled")
SHOWN = {
    "logistic": "one logistic regression",
    "network": "one neural network",
    "own_logistic": "a logistic regression for each group",
}
"""Probes of the table in the user guide."""


def geometry(n_groups: int, n_features: int, rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw centers (G, d), concept directions (G, d) and square roots of the noise (G, d, d).

    Directions are 40 degrees from a common one, each in another plane, with lengths from 2.5 down
    to 1. Standard deviations along random axes are log-normal with parameter .5. Centers are
    standard normal.
    """
    common, *others = np.linalg.qr(rng.normal(size=(n_features, n_groups + 1))).Q.T
    angle = np.deg2rad(40)
    lengths = np.linspace(2.5, 1.0, n_groups)[:, None]
    directions = lengths * (np.cos(angle) * common + np.sin(angle) * np.array(others))
    axes = np.linalg.qr(rng.normal(size=(n_groups, n_features, n_features))).Q
    roots = axes * np.exp(0.5 * rng.normal(size=(n_groups, 1, n_features)))
    return rng.normal(size=(n_groups, n_features)), directions, roots


def draw(world, n: int, rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw states (n, d), whether each has the concept, and their groups."""
    centers, directions, roots = world
    n_groups = len(centers)
    shares = np.arange(n_groups, 0, -1) / np.arange(1, n_groups + 1).sum()
    groups = rng.choice(n_groups, size=n, p=shares)
    concept = rng.binomial(1, np.linspace(0.5, 0.3, n_groups)[groups])
    noise = np.einsum("njk,nk->nj", roots[groups], rng.normal(size=(n, centers.shape[1])))
    return centers[groups] + (concept - 0.5)[:, None] * directions[groups] + noise, concept, groups


def movers(H, concept, groups) -> dict:
    """Return functions ``(H, groups, alpha) -> moved H``, fitted on states."""
    with warnings.catch_warnings():
        # Directions for two probes may be far from the data; the results show the effect.
        warnings.simplefilter("ignore", SteeringWarning)
        fits = {
            name: ConceptSteering(probe=probe).fit(H, concept, sensitive_features=groups)
            for name, probe in FITTED.items()
        }
    own = fits["shared"].directions_
    pooled = H[concept == 1].mean(axis=0) - H[concept == 0].mean(axis=0)
    moves = {
        "own": lambda H, groups, alpha: H + alpha * own[groups],
        "pooled": lambda H, groups, alpha: H + alpha * pooled,
    }
    for name, fit in fits.items():
        moves[name] = lambda H, groups, alpha, fit=fit: fit.transform(
            H, alpha=alpha, sensitive_features=groups
        )
    moves["shared_inferred"] = lambda H, groups, alpha: fits["shared"].transform(H, alpha=alpha)
    return moves


def judges(H, concept, groups, seed: int) -> dict:
    """Return functions ``(H, group) -> logit`` of states of one group."""
    logistic = LogisticRegression(max_iter=5000).fit(H, concept)
    discriminant = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(H, concept)
    network = make_pipeline(
        StandardScaler(),
        MLPClassifier((32,), alpha=0.1, early_stopping=True, random_state=seed),
    ).fit(H, concept)
    own = [
        LogisticRegression(max_iter=5000).fit(H[groups == a], concept[groups == a])
        for a in range(groups.max() + 1)
    ]

    def of_network(H, group):
        shares = np.clip(network.predict_proba(H), 1e-12, None)
        return np.log(shares[:, 1]) - np.log(shares[:, 0])

    return {
        "logistic": lambda H, group: logistic.decision_function(H),
        "discriminant": lambda H, group: discriminant.decision_function(H),
        "network": of_network,
        "own_logistic": lambda H, group: own[group].decision_function(H),
    }


def effects(n_groups: int, n_features: int, n_rows: int, seed: int) -> pd.DataFrame:
    """Return the effect of every direction, probe and alpha in every group of one world."""
    rng = np.random.default_rng([seed, n_groups, n_features])
    world = geometry(n_groups, n_features, rng)
    moves = movers(*draw(world, n_rows, rng))
    H, concept, groups = draw(world, N_JUDGED, rng)
    rows = []
    for probe, logit in judges(H, concept, groups, seed).items():
        for group in range(n_groups):
            own = H[groups == group]
            codes = np.full(len(own), group)
            before = logit(own, group)
            for direction, move in moves.items():
                for alpha in ALPHAS:
                    change = np.mean(logit(move(own, codes, alpha), group) - before)
                    rows.append((probe, direction, alpha, group, change))
    frame = pd.DataFrame(rows, columns=["probe", "direction", "alpha", "group", "effect"])
    place = dict(zip(PLACE, (n_groups, n_features, n_rows, seed), strict=True))
    return frame.assign(**place)[[*PLACE, *frame.columns]]


def summary(results: pd.DataFrame) -> pd.DataFrame:
    """Return, for each probe and direction, spread and mean of the effects over groups.

    Means over worlds, seeds and alphas of: the spread (range of the effects divided by alpha),
    its fall against both naive directions, the mean effect relative to that of the groups' own
    directions; and the smallest fall against these in any world and seed.
    """
    keys = [*PLACE, "probe", "direction", "alpha"]
    found = results.groupby(keys, sort=False)["effect"].agg(["min", "max", "mean"]).reset_index()
    found["spread"] = (found["max"] - found["min"]) / found["alpha"].abs()
    found["mean effect"] = found["mean"] / found["alpha"]
    table = found.groupby(["probe", "direction"], sort=False)[["spread", "mean effect"]].mean()
    for name in NAIVE:
        naive = table["spread"].xs(name, level="direction")
        table[f"fall against {name}"] = 1 - table["spread"].div(
            naive.where(naive > 1e-9), level="probe"
        )
    own = table["mean effect"].xs("own", level="direction")
    table["mean kept"] = table["mean effect"].div(own, level="probe")
    table["worst fall"] = worst_fall(found)
    return table


def worst_fall(found: pd.DataFrame) -> pd.Series:
    """Return the smallest fall of the spread against ``own`` in any world and seed."""
    spreads = found[found["alpha"] == 1.0].set_index([*PLACE, "probe", "direction"])["spread"]
    own = spreads.xs("own", level="direction")
    falls = 1 - spreads.unstack("direction").div(own, axis=0)
    return falls.stack().groupby(["probe", "direction"]).min()


def markdown(table: pd.DataFrame) -> str:
    """Return spread and mean effect of every direction, from `summary`, as a Markdown table."""
    lines = [f"| directions | {' | '.join(SHOWN.values())} |", "|---" + "|---:" * len(SHOWN) + "|"]
    for direction in table.index.unique("direction"):
        rows = [table.loc[(probe, direction)] for probe in SHOWN]
        shown = [f"{row['spread']:.2f} ({row['mean effect']:.2f})" for row in rows]
        lines.append(f"| `{direction}` | {' | '.join(shown)} |")
    return "\n".join(lines)


def page_parts(folder: Path) -> dict[str, str]:
    """Return the generated parts of docs/user_guide/concepts.md."""
    table = summary(pd.read_csv(folder / "concept.csv"))
    worst = table.loc[("logistic", "shared"), "worst fall"]
    return {
        "concept": markdown(table),
        "concept in words": (
            "Compared with the groups' own directions, the default lowers the spread on a shared "
            f"linear probe by at least {100 * worst:.0f}% in every world."
        ),
    }


def main(arguments: list[str] | None = None) -> None:
    """Run the study, write the csv and print effects and their summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the csv")
    parser.add_argument("--quick", action="store_true", help="a smaller study, in seconds")
    options = parser.parse_args(arguments)
    worlds, n_seeds = (WORLDS[:1], 1) if options.quick else (WORLDS, N_SEEDS)
    results = pd.concat(
        [effects(*world, seed) for world in worlds for seed in range(n_seeds)], ignore_index=True
    )
    options.output.mkdir(parents=True, exist_ok=True)
    name = "concept-quick.csv" if options.quick else "concept.csv"
    results.to_csv(options.output / name, index=False, float_format="%.6g")

    shown = results[(results.probe == "logistic") & (results.seed == 0)]
    shown = shown[shown.direction.isin(["own", "shared"])]
    print("Effect of alpha on the logit of one logistic regression, seed 0\n")
    columns = ["direction", "group"]
    for world, rows in shown.groupby(PLACE[:3], sort=False):
        print("{} groups, {} dimensions, {} states".format(*world))
        print(rows.pivot_table("effect", "alpha", columns).round(2).to_string(), "\n")
    print("Mean over worlds and seeds, a step of length 1\n")
    print(summary(results).round(3).to_string())
    if options.output == RESULTS and not options.quick:
        rewrite("user_guide/concepts.md")


if __name__ == "__main__":
    main()
