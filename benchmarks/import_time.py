"""How long ``import fairsteer`` takes, beside ``import fairlearn.metrics``.

Fresh processes of the two take turns, so that whatever else the machine does meets both alike.
Run ``python benchmarks/import_time.py [--runs N]``.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

MODULES = ("fairsteer", "fairlearn.metrics")
CODE = (
    "import time; start = time.process_time(); import {module}; print(time.process_time() - start)"
)


def import_seconds(module):
    """Return the processor seconds that importing a module takes in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE.format(module=module)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def compare(runs):
    """Return the median seconds of every module."""
    seconds = {module: [] for module in MODULES}
    for _ in range(runs):
        for module in MODULES:
            seconds[module].append(import_seconds(module))
    return {module: statistics.median(times) for module, times in seconds.items()}


def main(arguments=None):
    """Print both medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=11, help="of each, in fresh processes")
    medians = compare(parser.parse_args(arguments).runs)
    for module, seconds in medians.items():
        print(f"{module:<18} {seconds:.3f} s")
    print(f"{'ratio':<18} {medians[MODULES[0]] / medians[MODULES[1]]:.2f}")


if __name__ == "__main__":
    main()
