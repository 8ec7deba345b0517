"""Time the solvers and print what they reach.

    python benchmarks/solvers.py

The subgroup moments of one Adult and one COMPAS training split (``reference_moments.npz``) are read
from the folder that ``FAIRSTEER_DATA`` names; without it only the simulated law is solved. Seconds
include checking the law and computing divergences and targets.
"""

import os
import time
from pathlib import Path

import numpy as np

from fairsteer import SubgroupGaussians, nearest_ideal


def tied_law(n_labels: int = 28, n_features: int = 512) -> SubgroupGaussians:
    """Draw a law of two groups whose labels share a covariance."""
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(2, n_features, n_features))
    shared = factor @ np.swapaxes(factor, -1, -2) / n_features + np.eye(n_features)
    shape = (n_labels, 2, n_features, n_features)
    return SubgroupGaussians(
        labels=np.arange(n_labels),
        groups=np.arange(2),
        priors=np.full((n_labels, 2), 0.5 / n_labels),
        means=rng.normal(size=shape[:3]),
        covariances=np.broadcast_to(shared, shape),
        counts=np.ones((n_labels, 2)),
    )


def reference_laws() -> dict[str, SubgroupGaussians]:
    """Read the reference moments, if they are at hand."""
    path = Path(os.environ.get("FAIRSTEER_DATA", "")) / "reference_moments.npz"
    if not path.is_file():
        return {}
    laws = {}
    with np.load(path) as file:
        for name in ("adult", "compas"):
            priors = file[f"{name}_priors"]
            laws[name] = SubgroupGaussians(
                labels=np.arange(2),
                groups=np.arange(2),
                priors=priors / priors.sum(),
                means=file[f"{name}_means"],
                covariances=file[f"{name}_covariances"],
                counts=priors,
            )
    return laws


def main() -> None:
    """Print one row per law and conditions."""
    print("| law | features | labels | conditions | solver | KL (nats) | optimality | seconds |")
    print("|---|---:|---:|---|---|---:|---:|---:|")
    laws = {"simulated, shared covariances": tied_law(), **reference_laws()}
    for name, law in laws.items():
        for conditions in ("affine",) if name.startswith("sim") else ("affine", "whitened"):
            start = time.perf_counter()
            result = nearest_ideal(law, reference_group=1, conditions=conditions)
            seconds = time.perf_counter() - start
            print(
                f"| {name} | {law.n_features} | {law.n_labels} | {conditions} | {result.solver} "
                f"| {result.kl_divergence:.4f} | {result.optimality:.0e} | {seconds:.2f} |"
            )


if __name__ == "__main__":
    main()
