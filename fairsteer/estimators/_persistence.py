"""Fitted models in files: which fairsteer fitted them, and what skops must be told to trust."""

from __future__ import annotations

import warnings

from fairsteer._version import __version__
from fairsteer.exceptions import SteeringVersionWarning

TRUSTED_TYPES = [
    "fairsteer.core.affine.AffineMap",
    "fairsteer.core.certificates.Certificate",
    "fairsteer.estimators._classifier.SteeredClassifier",
    "fairsteer.estimators._concept.ConceptSteering",
    "fairsteer.core.copula.Copula",
    "fairsteer.core.copula.QuantileTable",
    "fairsteer.estimators._eraser.WithinLabelEraser",
    "fairsteer.core.families.LogNormal",
    "fairsteer.core.families.Normal",
    "fairsteer.core.gaussians.SubgroupGaussians",
    "fairsteer.core.moments.SubgroupMoments",
    "fairsteer.core.moves.Mover",
    "fairsteer.core.solvers._result.SteeringResult",
    "fairsteer.core.training_rows.StreamedRows",
    "fairsteer.estimators._transformer.OptimalSteeringTransformer",
]
"""What ``skops.io.load(file, trusted=...)`` needs besides its own defaults to load any estimator
of fairsteer."""


class FittedVersionMixin:
    """Carry the version that fitted an estimator, and warn where another one loads it.

    To the left of ``BaseEstimator``. The version is written by ``fit`` and not, as scikit-learn
    does for its own estimators, when a file is written: saving a loaded model again does not
    renew it.
    """

    def _record_version(self) -> None:
        """Write the version; call it once ``fit`` has succeeded."""
        self._fitted_with = __version__

    def __setstate__(self, state):
        super().__setstate__(state)
        fitted_with = state.get("_fitted_with", __version__)
        if fitted_with != __version__:
            warnings.warn(
                SteeringVersionWarning(type(self).__name__, fitted_with, __version__),
                stacklevel=2,
            )
