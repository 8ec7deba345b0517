"""How long a fit takes, one after another: slow peers, untuned steering, and the model alone.

    FAIRSTEER_DATA=folder python benchmarks/peer_times.py

benchmarks/peers.py, which calls this at its end, runs fits side by side; here there is one at a
time, on one thread. Which ones follows from ``peers.csv``: for every real table, gap and estimator
that both slow peers run with, their setting with the smallest gap, `FAST` steering at full
strength, and the estimator on the table as it is. Run by itself this times them anew and keeps the
rest: it writes ``peers_times.csv`` and, where ``--results`` are the project's, the tables of
docs/peers.md.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import clock
import numpy as np
import pandas as pd
from frontiers import GAPS, SCORES
from measuring import RESULTS, environment
from pages import rewrite
from peer_methods import PEERS
from peer_tables import SOURCES
from peer_units import Unit, task_of
from threadpoolctl import threadpool_limits

CELL = ["dataset", "sensitive", "estimator"]
POINT = ["method", "constraint", "strength"]
SLOW = ("fairlearn ExponentiatedGradient", "AIF360 LearnedFairRepresentations")
FAST = ("fairsteer normal", "fairsteer whitened", "fairsteer copula")
"""Steering without any tuning, at full strength."""
PATIENCE = 3.0
"""Seconds until which a fit is repeated."""
ESTIMATORS = ("logistic", "boosting")
"""Those that both slow peers run with."""
SIMULATED = [source.dataset for source in SOURCES.values() if source.simulated]


def averages(results: pd.DataFrame) -> pd.DataFrame:
    """Average the rows of peers.csv over the repeats."""
    grouped = results.groupby([*CELL, *POINT], sort=False)
    return grouped[[*SCORES, *GAPS]].mean().reset_index()


def contests(results: pd.DataFrame) -> Iterator[tuple[str, pd.Series, pd.DataFrame, pd.Series]]:
    """Yield a gap, a slow peer's setting, the settings of steering, and `unmitigated`."""
    real = results[~results["dataset"].isin(SIMULATED) & results["estimator"].isin(ESTIMATORS)]
    for _, group in averages(real).groupby(CELL, sort=False):
        plain = group[group["method"] == "unmitigated"]
        for gap, name in product(("equalized_odds", "equal_opportunity"), SLOW):
            peer = group[(group["method"] == name) & group["constraint"].isin(["", gap])]
            own = group[group["method"].isin(FAST) & (group["constraint"] == gap)]
            own = own[own["strength"] == own["strength"].max()]
            if not (peer.empty or own.empty or plain.empty):
                yield gap, peer.loc[peer[gap].idxmin()], own, plain.iloc[0]


def measure(
    results: pd.DataFrame, folds: int, of: int, seed: int, pythons, say: Callable[[str], None]
) -> pd.DataFrame:
    """Time the settings of every contest.

    Parameters
    ----------
    results : DataFrame
        Rows of peers.csv.
    folds, of : int
        How many folds to time, and of how many.
    seed : int
        Of the folds.
    pythons : mapping of str to str
        Interpreters of environments of their own.
    say : callable
        Receives a line for every measurement.

    Returns
    -------
    DataFrame
        One row per table, estimator, setting and fold.
    """
    fits = {}
    for _, peer, own, plain in contests(results):
        for point in (peer, plain, *(row for _, row in own.iterrows())):
            fits[tuple(point[[*CELL, *POINT]])] = None
    # Only threads of libraries that are loaded can be limited.
    for name in {fit[len(CELL)] for fit in fits}:
        PEERS[name].load()
    rows = []
    with threadpool_limits(1), clock.patient(PATIENCE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other packages warn of pandas to come
        for fold, fit in product(range(folds), fits):
            dataset, sensitive, estimator, method, *setting = fit
            source = f"{dataset} {sensitive}"
            unit = Unit(source, method, (tuple(setting),), (estimator,), 0, fold, of, seed)
            seconds = next(iter(PEERS[method].run(task_of(unit, pythons)))).seconds
            rows.append((*fit, fold, seconds))
            say(f"time of {unit}, {estimator}: {seconds:.3f} s")
    return pd.DataFrame(rows, columns=[*CELL, *POINT, "fold", "seconds"])


def conditions() -> pd.DataFrame:
    """Return versions and the like, threads as they are in `measure`."""
    with threadpool_limits(1):
        return environment()


def ratios(results: pd.DataFrame, times: pd.DataFrame) -> pd.DataFrame:
    """Return accuracy, gap and seconds of slow peers, the quickest steering and `unmitigated`.

    Of steering the quickest that is at least as accurate, or the most accurate where none is.
    ``ratio`` is the peer's seconds divided by steering's, ``plain fits`` by those of `unmitigated`.
    """
    seconds = times.groupby([*CELL, *POINT])["seconds"].mean()
    rows = []
    for gap, peer, own, plain in contests(results):
        taken = seconds.loc[pd.MultiIndex.from_frame(own[[*CELL, *POINT]])].to_numpy()
        able = np.flatnonzero(own["accuracy"] >= peer["accuracy"])
        best = able[taken[able].argmin()] if len(able) else own["accuracy"].to_numpy().argmax()
        row = {**peer[CELL], "gap": gap, "peer": peer["method"], "own": own["method"].iloc[best]}
        for who, point in (("peer", peer), ("own", own.iloc[best]), ("unmitigated", plain)):
            row |= {f"{who} accuracy": point["accuracy"], f"{who} gap": point[gap]}
            row[f"{who} seconds"] = seconds[tuple(point[[*CELL, *POINT]])]
        row["ratio"] = row["peer seconds"] / row["own seconds"]
        row["plain fits"] = row["peer seconds"] / row["unmitigated seconds"]
        rows.append(row)
    return pd.DataFrame(rows)


def main(arguments: list[str] | None = None) -> None:
    """Repeat the timing for the committed results; keep the other files."""
    import peer_pages

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    file = options.results / "peers_times.csv"
    results = peer_pages.read_part(options.results / "peers.csv")
    facts = pd.read_csv(options.results / "peers_environment.csv").set_index("name")["value"]
    of, seed = int(facts["folds"]), int(facts["seed"])
    times = measure(results, options.folds, of, seed, {}, lambda line: print(line, flush=True))
    times.round(9).to_csv(file, index=False)
    conditions().to_csv(file.with_name("peers_times_environment.csv"), index=False)
    if options.results == RESULTS:
        rewrite("peers.md")


if __name__ == "__main__":
    main()
