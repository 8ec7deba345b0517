"""Steer features to the nearest distribution on which fairness costs no accuracy."""

import importlib

from fairsteer._version import __version__ as __version__

_MODULES = {
    "TRUSTED_TYPES": "estimators",
    "Certificate": "core.certificates",
    "ConceptSteering": "estimators",
    "NoFairModelError": "exceptions",
    "OptimalSteeringTransformer": "estimators",
    "ScoreSteering": "estimators",
    "SteeredClassifier": "estimators",
    "SteeredClassifierCV": "estimators",
    "SteeringResult": "core.solvers",
    "SteeringVersionWarning": "exceptions",
    "SteeringWarning": "exceptions",
    "SubgroupGaussians": "core.gaussians",
    "WithinLabelEraser": "estimators",
    "bayes_metrics": "core.ideal",
    "estimate_gaussians": "core.gaussians",
    "ideal_gap": "core.ideal",
    "is_ideal": "core.ideal",
    "nearest_ideal": "core.solvers",
    "prior_gap": "core.ideal",
}
__all__ = list(_MODULES)


def __getattr__(name: str) -> object:
    """Import on first use, so that the command line starts without scikit-learn."""
    if name in _MODULES:
        value = getattr(importlib.import_module(f"fairsteer.{_MODULES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
