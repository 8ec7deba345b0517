"""Estimators with the interface of scikit-learn."""

from fairsteer.estimators._base import TRUSTED_TYPES
from fairsteer.estimators._classifier import SteeredClassifier
from fairsteer.estimators._concept import ConceptSteering
from fairsteer.estimators._eraser import WithinLabelEraser
from fairsteer.estimators._score_steering import ScoreSteering
from fairsteer.estimators._transformer import OptimalSteeringTransformer

__all__ = [
    "TRUSTED_TYPES",
    "ConceptSteering",
    "OptimalSteeringTransformer",
    "ScoreSteering",
    "Setting",
    "SteeredClassifier",
    "TunedSteering",
    "WithinLabelEraser",
]


def __getattr__(name):
    """Import what needs scikit-learn's model selection, which is slow to import, on first use."""
    if name in ("Setting", "TunedSteering"):
        from fairsteer.estimators import _classifier_cv

        return getattr(_classifier_cv, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
