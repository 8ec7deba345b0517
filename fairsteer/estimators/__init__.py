"""Estimators with the interface of scikit-learn."""

from importlib import import_module

from fairsteer.estimators._base import TRUSTED_TYPES
from fairsteer.estimators._classifier import SteeredClassifier
from fairsteer.estimators._concept import ConceptSteering
from fairsteer.estimators._eraser import WithinLabelEraser
from fairsteer.estimators._transformer import OptimalSteeringTransformer

__all__ = [
    "TRUSTED_TYPES",
    "ConceptSteering",
    "OptimalSteeringTransformer",
    "ScoreSteering",
    "SteeredClassifier",
    "SteeredClassifierCV",
    "TreeBins",
    "WithinLabelEraser",
]


_SLOW_TO_IMPORT = {
    "ScoreSteering": "_score_steering",
    "SteeredClassifierCV": "_steered_classifier_cv",
    "TreeBins": "_tree_bins",
}


def __getattr__(name):
    """Import what needs scikit-learn's model selection, which is slow to import, on first use."""
    if name in _SLOW_TO_IMPORT:
        module = import_module(f"{__name__}.{_SLOW_TO_IMPORT[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
