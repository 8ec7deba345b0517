"""Steer features to the nearest distribution on which fair classifiers cost nothing."""

from fairsteer.gaussian import SubgroupGaussians, estimate_gaussians
from fairsteer.solvers import SteeringResult, nearest_ideal
from fairsteer.transformer import OptimalSteeringTransformer

__version__ = "0.1.0"

__all__ = [
    "OptimalSteeringTransformer",
    "SteeringResult",
    "SubgroupGaussians",
    "estimate_gaussians",
    "nearest_ideal",
]
