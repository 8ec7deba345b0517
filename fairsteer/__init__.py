"""Steer features to the nearest distribution on which fair classifiers cost nothing."""

from fairsteer._cautions import SteeringWarning
from fairsteer._persistence import TRUSTED_TYPES, SteeringVersionWarning
from fairsteer.bounds import Certificate
from fairsteer.classifier import SteeredClassifier
from fairsteer.concept import ConceptSteering
from fairsteer.eraser import WithinLabelEraser
from fairsteer.gaussian import SubgroupGaussians, estimate_gaussians
from fairsteer.ideal import bayes_metrics, ideal_gap, is_ideal, prior_gap
from fairsteer.solvers import SteeringResult, nearest_ideal
from fairsteer.transformer import OptimalSteeringTransformer

__version__ = "0.1.0"

__all__ = [
    "TRUSTED_TYPES",
    "Certificate",
    "ConceptSteering",
    "OptimalSteeringTransformer",
    "SteeredClassifier",
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
