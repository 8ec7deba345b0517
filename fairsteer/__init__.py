"""Steer features to the nearest distribution on which fairness costs no accuracy."""

from fairsteer._version import __version__ as __version__
from fairsteer.core.certificates import Certificate
from fairsteer.core.gaussians import SubgroupGaussians, estimate_gaussians
from fairsteer.core.ideal import bayes_metrics, ideal_gap, is_ideal, prior_gap
from fairsteer.core.solvers import SteeringResult, nearest_ideal
from fairsteer.estimators import (
    TRUSTED_TYPES,
    ConceptSteering,
    OptimalSteeringTransformer,
    SteeredClassifier,
    WithinLabelEraser,
)
from fairsteer.exceptions import NoFairModelError, SteeringVersionWarning, SteeringWarning

__all__ = [
    "TRUSTED_TYPES",
    "Certificate",
    "NoFairModelError",
    "ConceptSteering",
    "OptimalSteeringTransformer",
    "ScoreSteering",
    "SteeredClassifier",
    "SteeredClassifierCV",
    "SteeringResult",
    "SteeringVersionWarning",
    "SteeringWarning",
    "SubgroupGaussians",
    "WithinLabelEraser",
    "bayes_metrics",
    "estimate_gaussians",
    "ideal_gap",
    "is_ideal",
    "nearest_ideal",
    "prior_gap",
]


def __getattr__(name: str) -> object:
    """Import on first use what needs slow parts of scikit-learn."""
    if name in ("ScoreSteering", "SteeredClassifierCV"):
        import fairsteer.estimators

        return getattr(fairsteer.estimators, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
