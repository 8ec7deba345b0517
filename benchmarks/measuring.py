"""Wall time, memory and the machine, for benchmarks that compare within one run."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_info

MIB = 2.0**20
RESULTS = Path(__file__).parent / "results"


def seconds(work: Callable[[], object], times: int = 7) -> float:
    """Return the shortest wall time of several calls, in seconds."""
    return in_turn(work, times=times)[0]


def in_turn(*works: Callable[[], object], times: int = 11) -> list[float]:
    """Return the shortest wall time of each of several works, in seconds.

    They are called in turn, so that a machine which is slow for a while is slow for all.
    """
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(times):
        for own, work in zip(taken, works, strict=True):
            start = time.perf_counter()
            work()
            own.append(time.perf_counter() - start)
    return [min(own) for own in taken]


def anonymous_memory() -> float:
    """Return the bytes of this process that no file backs (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return float(line.split()[1]) * 1024.0
    raise RuntimeError("/proc/self/status names no RssAnon: memory is measured on Linux only.")


class PeakMemory:
    """The most memory within a ``with`` block beyond what there was before it, in bytes.

    Pages of files that are mapped into memory do not count. Sampled every two milliseconds.
    """

    def __enter__(self) -> PeakMemory:
        self._before = self._most = anonymous_memory()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        self.bytes = max(self._most, anonymous_memory()) - self._before

    def _watch(self) -> None:
        while not self._ended.wait(0.002):
            self._most = max(self._most, anonymous_memory())


def growth(sizes: list[int], taken: list[float]) -> float:
    """Return the exponent by which times grow with sizes, by least squares of logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(taken), 1)[0])


def environment() -> pd.DataFrame:
    """Return versions, cores, and the BLAS with its threads."""
    packages = ("fairsteer", "numpy", "scipy", "pandas", "scikit-learn")
    blas = [
        f"{info['internal_api']} {info['version']} ({info.get('architecture', '')}), "
        f"{info['num_threads']} threads"
        for info in threadpool_info()
        if info["user_api"] == "blas"
    ]
    facts = {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "processor": platform.machine(),
        "cores": str(os.cpu_count()),
        "blas": "; ".join(dict.fromkeys(blas)),
    }
    return pd.DataFrame({"name": facts.keys(), "value": facts.values()})


def write(rows: list[dict] | pd.DataFrame, name: str, folder: Path) -> pd.DataFrame:
    """Write rows and the environment as csv files of a folder, and return the rows."""
    folder.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(rows)
    frame.to_csv(folder / f"{name}.csv", index=False)
    environment().to_csv(folder / f"{name}_environment.csv", index=False)
    return frame


def table(frame: pd.DataFrame) -> str:
    """Return a frame as a table of Markdown, numbers to three digits."""

    def cell(value: object) -> str:
        if isinstance(value, float):
            return "" if np.isnan(value) else f"{value:.3g}"
        return str(value)

    lines = [frame.columns.tolist(), ["---"] * frame.shape[1]]
    lines += [[cell(value) for value in row] for row in frame.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def facts(environment: pd.DataFrame) -> str:
    """Return the environment as a sentence."""
    return ", ".join(f"{n} {v}" for n, v in environment.itertuples(index=False)) + "."
