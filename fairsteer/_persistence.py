"""Fitted models in files: which fairsteer fitted them, and what skops must be told to trust."""

from __future__ import annotations

import warnings

from sklearn.exceptions import InconsistentVersionWarning

import fairsteer

TRUSTED_TYPES = [
    "fairsteer.affine.AffineMap",
    "fairsteer.bounds.Certificate",
    "fairsteer.classifier.SteeredClassifier",
    "fairsteer.concept.ConceptSteering",
    "fairsteer.copula.Copula",
    "fairsteer.copula.QuantileTable",
    "fairsteer.eraser.WithinLabelEraser",
    "fairsteer.families.LogNormal",
    "fairsteer.families.Normal",
    "fairsteer.gaussian.SubgroupGaussians",
    "fairsteer.moments.SubgroupMoments",
    "fairsteer.moves.Mover",
    "fairsteer.solvers._result.SteeringResult",
    "fairsteer.streamed.StreamedRows",
    "fairsteer.transformer.OptimalSteeringTransformer",
]
"""What ``skops.io.load(file, trusted=...)`` needs besides its own defaults to load any estimator
of fairsteer."""


class SteeringVersionWarning(InconsistentVersionWarning):
    """A model is loaded that another version of fairsteer fitted.

    Filters for scikit-learn's ``InconsistentVersionWarning`` catch it.

    Parameters
    ----------
    estimator_name : str
        Class of the model.
    fitted_with : str
        Version of fairsteer that fitted it.
    loaded_with : str
        Version of fairsteer that loads it.
    """

    def __init__(self, estimator_name: str, fitted_with: str, loaded_with: str) -> None:
        self.estimator_name = estimator_name
        self.fitted_with, self.loaded_with = fitted_with, loaded_with

    def __str__(self) -> str:
        return (
            f"This {self.estimator_name} was fitted with fairsteer {self.fitted_with} and is "
            f"loaded with fairsteer {self.loaded_with}, where it may fail or give other results: "
            f"fit it again, or install fairsteer=={self.fitted_with}."
        )


class FittedVersionMixin:
    """Carry the version that fitted an estimator, and warn where another one loads it.

    To the left of ``BaseEstimator``. The version is written by ``fit`` and not, as scikit-learn
    does for its own estimators, when a file is written: saving a loaded model again does not
    renew it.
    """

    def _record_version(self) -> None:
        """Write the version; call it once ``fit`` has succeeded."""
        self._fitted_with = fairsteer.__version__

    def __setstate__(self, state):
        super().__setstate__(state)
        fitted_with = state.get("_fitted_with", fairsteer.__version__)
        if fitted_with != fairsteer.__version__:
            warnings.warn(
                SteeringVersionWarning(type(self).__name__, fitted_with, fairsteer.__version__),
                stacklevel=2,
            )
