"""Ten million rows from disk, in batches and on a cluster, and four thousand features.

    python benchmarks/scale.py [--part growth] [--part batches] [--part cluster] [--part wide]

``growth``   seconds of ``fit`` and ``transform`` on the first rows of a file of 10^7 x 50 doubles
             (4 GB, mapped into memory), from 10^5 rows on, and the exponents of their growth
``batches``  100 calls of ``partial_fit`` compared with one ``fit``
``cluster``  the file as 200 partitions of a Dask table on two worker processes of 1 GiB each: the
             fit beside that in memory, also with a worker killed half-way, and steering to Parquet
``wide``     4,096 features, 28 labels, 60,000 rows, ``covariance_type="tied"``

All parts by default. Scratch files lie in ``--folder``. Writes benchmarks/results/scale.csv and
docs/speed.md, or scale-part.csv where some parts only are run.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import (
    MIB,
    RESULTS,
    PeakMemory,
    anonymous_memory,
    facts,
    growth,
    seconds,
    table,
    write,
)
from pages import rewrite

from fairsteer import OptimalSteeringTransformer

N_BATCHES, N_PARTITIONS, N_WORKERS = 100, 200, 2
BLOCK = 100_000


class WorkersMemory:
    """The most memory of any worker within a ``with`` block that no file backs, in bytes.

    Sampled at both ends and five times a second.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster.
    """

    def __init__(self, client) -> None:
        self._client = client

    def __enter__(self) -> WorkersMemory:
        self.bytes = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._sample()

    def _watch(self) -> None:
        while not self._ended.wait(0.2):
            self._sample()

    def _sample(self) -> None:
        # A dead worker does not answer.
        answers = self._client.run(anonymous_memory, on_error="ignore")
        self.bytes = max([self.bytes, *answers.values()])


class Stored:
    """A table on disk: features, and labels and groups of every row.

    Parameters
    ----------
    folder : Path
        Where its files are written, unless they are there.
    n, d : int
        Rows and features.
    """

    def __init__(self, folder: Path, n: int, d: int) -> None:
        self.file = folder / f"rows-{n}-{d}.npy"
        self.codes = np.random.default_rng(0).integers(4, size=n)
        if not self.file.exists():
            part = self.file.with_suffix(".part")
            X = np.lib.format.open_memmap(part, "w+", np.float64, (n, d))
            rng = np.random.default_rng(1)
            mixing = np.eye(d) + 0.1 * rng.normal(size=(4, d, d))
            means = rng.normal(scale=0.5, size=(4, d))
            for start in range(0, n, BLOCK):
                codes = self.codes[start : start + BLOCK]
                noise = rng.normal(size=(len(codes), d))
                for code in range(4):
                    own = codes == code
                    X[start : start + BLOCK][own] = noise[own] @ mixing[code] + means[code]
            X.flush()
            del X
            part.rename(self.file)
        self.X = np.load(self.file, mmap_mode="r")
        self.y, self.groups = np.divmod(self.codes, 2)

    def read(self) -> None:
        """Read the file once, so that it is in memory for every measurement."""
        for start in range(0, len(self.X), BLOCK):
            self.X[start : start + BLOCK].sum()

    def rows(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return features, labels and groups of some rows."""
        own = slice(start, stop)
        return self.X[own], self.y[own], self.groups[own]


def steering() -> OptimalSteeringTransformer:
    """Return the transformer of every part but ``wide``."""
    return OptimalSteeringTransformer(family="normal", conditions="whitened")


def apart(one: OptimalSteeringTransformer, other: OptimalSteeringTransformer) -> float:
    """Return the largest difference of two fitted distributions, in standard deviations."""
    first, second = one.distribution_, other.distribution_
    scale = first.feature_scale
    return float(
        max(
            np.abs((first.means - second.means) / scale).max(),
            np.abs((first.covariances - second.covariances) / np.outer(scale, scale)).max(),
            np.abs(first.priors - second.priors).max(),
        )
    )


def grown(stored: Stored) -> list[dict]:
    """Time prefixes of the file."""
    n = len(stored.X)
    sizes = [n // 100, n // 32, n // 10, n // 3, n]
    rows, fit, transform = [], [], []
    for size in sizes:
        X, y, groups = stored.rows(0, size)

        def sums(X=X, y=y, groups=groups):
            steering().partial_fit(X, y, sensitive_features=groups, finish=False)

        with PeakMemory() as memory:
            sums()
        fit.append(seconds(sums))
        fitted, output = steering().fit(X, y, sensitive_features=groups), X.nbytes
        with PeakMemory() as moving:
            fitted.transform(X, sensitive_features=groups)
        transform.append(
            seconds(
                lambda X=X, f=fitted, g=groups: f.transform(X, sensitive_features=g),
                2 if size == n else 3,
            )
        )
        for what, taken, used in (
            ("fit, without solving", fit[-1], memory.bytes),
            ("transform", transform[-1], moving.bytes - output),
        ):
            rows.append({"part": "growth", "what": f"{what}, {size:,} rows", "seconds": taken})
            rows[-1]["memory_mib"] = used / MIB
    for what, taken in (("fit, without solving", fit), ("transform", transform)):
        rows.append(
            {"part": "growth", "what": f"exponent of {what}", "value": growth(sizes, taken)}
        )
    return rows


def batches(stored: Stored) -> list[dict]:
    """Compare many batches with one fit."""
    n = len(stored.X)
    stored.read()
    start = time.perf_counter()
    whole = steering().fit(stored.X, stored.y, sensitive_features=stored.groups)
    one = time.perf_counter() - start
    parts = steering()
    bounds = np.linspace(0, n, N_BATCHES + 1, dtype=int)
    start = time.perf_counter()
    for k, (low, high) in enumerate(zip(bounds, bounds[1:], strict=False)):
        X, y, groups = stored.rows(low, high)
        parts.partial_fit(X, y, sensitive_features=groups, finish=k == N_BATCHES - 1)
    taken = time.perf_counter() - start
    return [
        {"part": "batches", "what": "one fit", "seconds": one},
        {"part": "batches", "what": f"{N_BATCHES} batches", "seconds": taken},
        {"part": "batches", "what": "largest difference", "value": apart(whole, parts)},
    ]


def frame_of(bounds: tuple[int, int], file: str, y: str) -> pd.DataFrame:
    """Read one partition."""
    low, high = bounds
    X = np.load(file, mmap_mode="r")[low:high]
    frame = pd.DataFrame(np.array(X), columns=[f"x{j}" for j in range(X.shape[1])])
    codes = np.load(y, mmap_mode="r")[low:high]
    return frame.assign(group=codes % 2, label=codes // 2)


def with_a_worker_killed(
    client, fit, delay: float
) -> tuple[OptimalSteeringTransformer, float, float]:
    """Return a fit during which a worker died, its seconds, and those after the death.

    Parameters
    ----------
    client : distributed.Client
        Of a cluster that starts dead workers again.
    fit : callable
        Returns the fitted transformer.
    delay : float
        Seconds from the start to the death; halved where ``fit`` ends earlier.
    """
    for _ in range(10):
        pid = next(iter(client.run(os.getpid, on_error="ignore").values()))
        killed = []

        def kill(pid=pid, killed=killed):
            killed.append(time.perf_counter())
            os.kill(pid, signal.SIGKILL)

        killer = threading.Timer(delay, kill)
        start = time.perf_counter()
        killer.start()
        try:
            fitted = fit()
            ended = time.perf_counter()
        except BaseException:
            killer.cancel()
            raise
        killer.join()
        while pid in client.run(os.getpid, on_error="ignore").values():
            time.sleep(0.1)
        client.wait_for_workers(N_WORKERS, timeout=60)
        if killed[0] < ended:
            return fitted, ended - start, ended - killed[0]
        delay /= 2.0
    raise RuntimeError("Every fit ended before its worker was killed: take more rows.")


def cluster(stored: Stored, folder: Path, limit: str = "1GiB") -> list[dict]:
    """Fit and steer on local worker processes."""
    import dask.dataframe as dd
    from dask.distributed import Client, LocalCluster

    from fairsteer import distributed

    n, d = stored.X.shape
    codes = folder / f"codes-{n}.npy"
    np.save(codes, stored.codes)
    cuts = np.linspace(0, n, N_PARTITIONS + 1, dtype=int).tolist()
    bounds = list(zip(cuts, cuts[1:], strict=False))
    meta = frame_of((0, 1), str(stored.file), str(codes)).iloc[:0]
    frame = dd.from_map(
        frame_of, bounds, file=str(stored.file), y=str(codes), meta=meta, enforce_metadata=False
    )
    by_column = OptimalSteeringTransformer("group", family="normal", conditions="whitened")
    in_memory = steering().fit(stored.X, stored.y, sensitive_features=stored.groups)
    rows = []
    with (
        LocalCluster(
            n_workers=N_WORKERS,
            threads_per_worker=1,
            memory_limit=limit,
            dashboard_address=":0",
            local_directory=str(folder),
        ) as local,
        Client(local) as client,
    ):
        start = time.perf_counter()
        fitted = distributed.fit(by_column, frame, "label")
        taken = time.perf_counter() - start
        rows.append({"part": "cluster", "what": "fit", "seconds": taken})
        rows.append({"part": "cluster", "what": "difference", "value": apart(in_memory, fitted)})

        again, whole, after = with_a_worker_killed(
            client, lambda: distributed.fit(by_column, frame, "label"), taken / 2
        )
        rows += [
            {"part": "cluster", "what": "fit, a worker killed", "seconds": whole},
            {"part": "cluster", "what": "of this: after the kill", "seconds": after},
            {"part": "cluster", "what": "difference", "value": apart(in_memory, again)},
        ]

        start = time.perf_counter()
        steered = distributed.transform(fitted, frame.drop(columns="label"))
        written = Path(tempfile.mkdtemp(dir=folder))
        with WorkersMemory(client) as memory:
            steered.to_parquet(written)
        rows.append(
            {
                "part": "cluster",
                "what": "steering to Parquet; memory of a worker",
                "seconds": time.perf_counter() - start,
                "memory_mib": memory.bytes / MIB,
            }
        )
    some = pd.read_parquet(written / "part.0.parquet").to_numpy()
    X, _, groups = stored.rows(*bounds[0])
    expected = in_memory.transform(X, sensitive_features=groups)
    parts = len(list(written.glob("*.parquet")))
    rows.append({"part": "cluster", "what": "Parquet files", "value": float(parts)})
    rows.append(
        {
            "part": "cluster",
            "what": "their difference from transform",
            "value": float(np.abs(some - expected).max()),
        }
    )
    return rows


def wide(n: int = 60_000, d: int = 4_096, n_labels: int = 28, dtype=np.float64) -> list[dict]:
    """Fit and transform many features with covariances shared by the labels of a group."""
    rng = np.random.default_rng(0)
    y, groups = rng.integers(n_labels, size=n), rng.integers(2, size=n)
    X = np.empty((n, d), dtype)
    centers = rng.normal(scale=0.2, size=(n_labels, 2, d))
    scales = np.array([1.0, 1.3])
    for start in range(0, n, 4_096):
        own = slice(start, start + 4_096)
        noise = rng.normal(size=(len(y[own]), d))
        noise[:, 1:] += 0.5 * noise[:, :-1]
        X[own] = noise * scales[groups[own], None] + centers[y[own], groups[own]]
    fitted = OptimalSteeringTransformer(family="normal", covariance_type="tied")
    start = time.perf_counter()
    with PeakMemory() as memory:
        fitted.fit(X, y, sensitive_features=groups)
    fit = time.perf_counter() - start
    start = time.perf_counter()
    with PeakMemory() as moving:
        moved = fitted.transform(X, sensitive_features=groups)
    transform = time.perf_counter() - start
    name = f"{n:,} x {d:,}, {n_labels} labels, {np.dtype(dtype).name}"
    return [
        {
            "part": "wide",
            "what": f"fit, {name}",
            "seconds": fit,
            "memory_mib": memory.bytes / MIB,
            "value": fitted.result_.optimality,
        },
        {
            "part": "wide",
            "what": f"transform, {name}",
            "seconds": transform,
            "memory_mib": (moving.bytes - moved.nbytes) / MIB,
        },
        {"part": "wide", "what": "the table itself", "memory_mib": X.nbytes / MIB},
    ]


def page_parts(folder: Path) -> dict[str, str]:
    """Return the generated parts of docs/speed.md that this benchmark measures."""
    return {
        "scale": table(pd.read_csv(folder / "scale.csv")),
        "scale environment": facts(pd.read_csv(folder / "scale_environment.csv")),
    }


PARTS = ("growth", "batches", "cluster", "wide")


def main(arguments: list[str] | None = None) -> None:
    """Run the parts; print and write what they measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--features", type=int, default=50)
    parser.add_argument("--folder", type=Path, default=None, help="for scratch files")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    parts = options.part or PARTS
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if set(parts) - {"wide"}:
            stored = Stored(folder, options.rows, options.features)
        if "growth" in parts:
            rows += grown(stored)
        if "batches" in parts:
            rows += batches(stored)
        if "cluster" in parts:
            rows += cluster(stored, folder)
        if "wide" in parts:
            rows += wide()
    columns = ["part", "what", "seconds", "memory_mib", "value"]
    name = "scale-part" if options.part else "scale"
    print(table(write(pd.DataFrame(rows, columns=columns), name, options.output)))
    if options.output == RESULTS and not options.part:
        rewrite("speed.md")


if __name__ == "__main__":
    main()
