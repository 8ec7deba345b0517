"""Fit and transform against the limits that this machine sets, and against peers, in one run.

    python benchmarks/speed.py [--rows 1000000] [--features 50]

Two labels, two groups, double precision, arrays with the attribute beside them. Limits: one product
``X.T @ X`` over the data for ``fit``; for ``transform`` the 2K products of the rows with a d x d
matrix that posterior weights need (a density and a map for each of K labels). Every figure is the
shortest of eleven, taken in turn with its limit or with the peers. Peers (absent ones are left out;
``pip install -e ".[bench]"``) do the same work: one affine map a group. Writes
benchmarks/results/speed.csv and speed_peers.csv, and docs/speed.md.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import MIB, RESULTS, PeakMemory, facts, in_turn, table, write
from pages import rewrite

from fairsteer import OptimalSteeringTransformer, nearest_ideal

N_LABELS = 2


def data(n: int, d: int, dtype=np.float64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw rows whose means and scales differ between labels and groups."""
    rng = np.random.default_rng(0)
    y, groups = rng.integers(N_LABELS, size=n), rng.integers(2, size=n)
    X = rng.standard_normal((n, d), dtype=dtype)
    X *= (1.0 + 0.3 * groups[:, None]).astype(dtype)
    X[:, : d // 2] += (0.5 * y + 0.3 * groups)[:, None].astype(dtype)
    return X, y, groups


def own(X, y, groups) -> list[dict]:
    """Measure steering against the limits."""
    n, d = X.shape
    matrix = np.random.default_rng(1).normal(size=(d, d))

    def products(times: int):
        for _ in range(times):
            X @ matrix

    limits = {
        "X.T @ X": lambda: X.T @ X,
        "1 product": lambda: products(1),
        "2K products": lambda: products(2 * N_LABELS),
        "copy": X.copy,
    }
    rows = []

    def add(what: str, work: Callable[[], object], limit: str, output: float = 0.0):
        with PeakMemory() as memory:
            work()
        taken, least = in_turn(work, limits[limit])
        rows.append(
            {
                "what": what,
                "seconds": taken,
                "limit": limit,
                "limit_seconds": least,
                "ratio": taken / least,
                "memory_mib": max(memory.bytes - output, 0.0) / MIB,
            }
        )

    add("1 product", limits["1 product"], "copy", X.nbytes)

    def steering(**options) -> OptimalSteeringTransformer:
        return OptimalSteeringTransformer(**{"family": "normal"} | options)

    given = {"sensitive_features": groups}
    add(
        "fit, without solving",
        lambda: steering().partial_fit(X, y, finish=False, **given),
        "X.T @ X",
    )
    for conditions in ("affine", "whitened"):
        fitted = steering(conditions=conditions).fit(X, y, **given)
        add(
            f"fit, conditions={conditions}",
            lambda c=conditions: steering(conditions=c).fit(X, y, **given),
            "X.T @ X",
        )
        add(
            f"of this: nearest_ideal, conditions={conditions}",
            lambda f=fitted, c=conditions: nearest_ideal(f.distribution_, conditions=c),
            "X.T @ X",
        )
    for name, options in (
        ("every group moves", {"intervention": "all_subgroups", "conditions": "identical"}),
        ("the reference group stays", {"conditions": "whitened"}),
        ("one map a group", {"label_strategy": "none"}),
    ):
        some = slice(50_000)
        fitted = steering(**options).fit(X[some], y[some], sensitive_features=groups[some])
        add(
            f"transform, {name}",
            lambda f=fitted: f.transform(X, **given),
            "1 product" if name == "one map a group" else "2K products",
            X.nbytes,
        )
    return rows


def peers(X, y, groups) -> list[dict]:
    """Time one affine map a group, ours and others'."""
    methods: dict[str, tuple[Callable[[], object], Callable[[object], object]]] = {}

    def steering():
        return OptimalSteeringTransformer(
            family="normal",
            constraint="demographic_parity",
            reference_group=1,
            shrinkage=0.0,
        )

    given = {"sensitive_features": groups}
    methods["fairsteer"] = (
        lambda: steering().fit(X, y, **given),
        lambda f: f.transform(X, **given),
    )
    if find_spec("ot"):
        import ot

        def transported(transport):
            moved = X.copy()
            moved[groups == 0] = transport.transform(Xs=X[groups == 0])
            return moved

        methods["POT LinearTransport"] = (
            lambda: ot.da.LinearTransport().fit(Xs=X[groups == 0], Xt=X[groups == 1]),
            transported,
        )
    from fairlearn.preprocessing import CorrelationRemover

    with_group = np.column_stack([X, groups])
    methods["fairlearn CorrelationRemover"] = (
        lambda: CorrelationRemover(sensitive_feature_ids=[X.shape[1]]).fit(with_group),
        lambda remover: remover.transform(with_group),
    )
    if find_spec("concept_erasure"):
        import torch
        from concept_erasure import LeaceFitter

        rows_, codes = torch.as_tensor(X), torch.as_tensor(groups[:, None].astype(float))

        def leace():
            fitter = LeaceFitter(X.shape[1], 1, dtype=torch.float64)
            return fitter.update(rows_, codes).eraser

        methods["LEACE"] = leace, lambda eraser: eraser(rows_)
    fits = [fit for fit, _ in methods.values()]
    transforms = [partial(move, fit()) for fit, move in methods.values()]
    taken = np.array([in_turn(*fits), in_turn(*transforms)])
    ratios = taken / taken[:, :1]
    return [
        {
            "method": method,
            "fit_seconds": taken[0, k],
            "transform_seconds": taken[1, k],
            "fit_ratio": ratios[0, k],
            "transform_ratio": ratios[1, k],
        }
        for k, method in enumerate(methods)
    ]


def page_parts(folder: Path) -> dict[str, str]:
    """Return the generated parts of docs/speed.md that this benchmark measures."""
    return {
        "speed": table(pd.read_csv(folder / "speed.csv")),
        "speed environment": facts(pd.read_csv(folder / "speed_environment.csv")),
        "speed_peers": table(pd.read_csv(folder / "speed_peers.csv")),
    }


def main(arguments: list[str] | None = None) -> None:
    """Print and write both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    X, y, groups = data(options.rows, options.features)
    for name, measured in (("speed", own), ("speed_peers", peers)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other packages' of their dependencies
            rows = measured(X, y, groups)
        print(table(write(rows, name, options.output)), end="\n\n")
    if options.output == RESULTS:
        rewrite("speed.md")


if __name__ == "__main__":
    main()
