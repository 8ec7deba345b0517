"""Time the solvers and print the divergence and optimality that they reach.

    python benchmarks/solvers.py

The subgroup moments of one Adult and one COMPAS training split (``reference_moments.npz``) are read
from the folder that ``FAIRSTEER_DATA`` names; without it only the simulated distribution is solved.
Seconds include checking the distribution and computing divergences and targets.
"""

import os
import time
from pathlib import Path

import numpy as np

from fairsteer import SubgroupGaussians, nearest_ideal


def tied_distribution(n_labels: int = 28, n_features: int = 512) -> SubgroupGaussians:
    """Draw a distribution of two groups whose labels share a covariance."""
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


def reference_distributions() -> dict[str, SubgroupGaussians]:
    """Read the reference moments, if the file exists."""
    path = Path(os.environ.get("FAIRSTEER_DATA", "")) / "reference_moments.npz"
    if not path.is_file():
        return {}
    distributions = {}
    with np.load(path) as file:
        for name in ("adult", "compas"):
            priors = file[f"{name}_priors"]
            distributions[name] = SubgroupGaussians(
                labels=np.arange(2),
                groups=np.arange(2),
                priors=priors / priors.sum(),
                means=file[f"{name}_means"],
                covariances=file[f"{name}_covariances"],
                counts=priors,
            )
    return distributions


def main() -> None:
    """Print one row per distribution and conditions."""
    columns = ("distribution", "features", "labels", "conditions", "solver", "KL (nats)")
    print(f"| {' | '.join((*columns, 'optimality', 'seconds'))} |")
    print("|---|---:|---:|---|---|---:|---:|---:|")
    distributions = {
        "simulated, shared covariances": tied_distribution(),
        **reference_distributions(),
    }
    for name, distribution in distributions.items():
        for conditions in ("affine",) if name.startswith("sim") else ("affine", "whitened"):
            start = time.perf_counter()
            result = nearest_ideal(distribution, reference_group=1, conditions=conditions)
            seconds = time.perf_counter() - start
            print(
                f"| {name} | {distribution.n_features} | {distribution.n_labels} | {conditions} "
                f"| {result.solver} | {result.kl_divergence:.4f} | {result.optimality:.0e} "
                f"| {seconds:.2f} |"
            )


if __name__ == "__main__":
    main()
