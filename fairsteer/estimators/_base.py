"""The sensitive attribute of an estimator's rows, and what fitted estimators record."""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np
import pandas as pd
from sklearn.utils._metadata_requests import SIMPLE_METHODS
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from fairsteer import _validation as check
from fairsteer._version import __version__
from fairsteer.core.training_rows import TrainingRows
from fairsteer.exceptions import SteeringVersionWarning

_OWN_TYPES = [
    "fairsteer.certify._certificate.FairnessCertificate",
    "fairsteer.core.affine.AffineMap",
    "fairsteer.core.certificates.Certificate",
    "fairsteer.core.channels.ChannelTarget",
    "fairsteer.core.channels.LabelFreeChannel",
    "fairsteer.core.gaussians.SubgroupGaussians",
    "fairsteer.core.groups.Grouping",
    "fairsteer.core.marginals.Copula",
    "fairsteer.core.marginals.LogNormal",
    "fairsteer.core.marginals.Normal",
    "fairsteer.core.marginals.QuantileTable",
    "fairsteer.core.moments.SubgroupMoments",
    "fairsteer.core.roc.RocCurve",
    "fairsteer.core.score_maps.MonotoneMaps",
    "fairsteer.core.score_maps.PartialMaps",
    "fairsteer.core.score_maps.ScoreChannel",
    "fairsteer.core.score_maps.ScoreKernels",
    "fairsteer.core.solvers._result.SteeringResult",
    "fairsteer.core.steering.FittedSteering",
    "fairsteer.core.steering.SteeringOptions",
    "fairsteer.core.training_rows.StreamedRows",
    "fairsteer.estimators._classifier.SteeredClassifier",
    "fairsteer.estimators._concept.ConceptSteering",
    "fairsteer.estimators._eraser.WithinLabelEraser",
    "fairsteer.estimators._rules.PlainRule",
    "fairsteer.estimators._rules.ScoreRule",
    "fairsteer.estimators._rules.SteeringRule",
    "fairsteer.estimators._score_models.ScoreModels",
    "fairsteer.estimators._score_steering.ScoreSteering",
    "fairsteer.estimators._steered_classifier_cv.SteeredClassifierCV",
    "fairsteer.estimators._table_encoding.KnownCategories",
    "fairsteer.estimators._table_encoding._column_name",
    "fairsteer.estimators._transformer.OptimalSteeringTransformer",
    "fairsteer.estimators._tree_bins.TreeBins",
]
_GROUP_TYPES = [
    "datetime.date",
    "datetime.datetime",
    "datetime.time",
    "datetime.timedelta",
    "datetime.timezone",
    "decimal.Decimal",
    "numpy.dtype",
    "pandas.Interval",
    "zoneinfo.ZoneInfo",
]
_SEARCH_TYPES = [
    "fairlearn.metrics._base_metrics.false_negative_rate",
    "fairlearn.metrics._base_metrics.false_positive_rate",
    "fairlearn.metrics._base_metrics.selection_rate",
    "fairlearn.metrics._base_metrics.true_negative_rate",
    "fairlearn.metrics._base_metrics.true_positive_rate",
    "fairlearn.metrics._fairness_metrics.demographic_parity_difference",
    "fairlearn.metrics._fairness_metrics.demographic_parity_ratio",
    "fairlearn.metrics._fairness_metrics.equal_opportunity_difference",
    "fairlearn.metrics._fairness_metrics.equal_opportunity_ratio",
    "fairlearn.metrics._fairness_metrics.equalized_odds_difference",
    "fairlearn.metrics._fairness_metrics.equalized_odds_ratio",
    "fairlearn.metrics._make_derived_metric._DerivedMetric",
    "fairsteer.metrics._by_label.rms_tpr_gap",
    "fairsteer.metrics._refit._MostAccurateWithin",
    "fairsteer.metrics._scorer.FairnessScorer",
    "functools.partial",
    "sklearn.metrics._classification.accuracy_score",
    "sklearn.metrics._classification.balanced_accuracy_score",
    "sklearn.metrics._classification.recall_score",
    "sklearn.metrics._ranking.roc_auc_score",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.tree._tree.Tree",
]
# Of encoders that older versions of scikit-learn wrote.
_OLD_TYPES = ["sklearn.compose._column_transformer._RemainderColsList"]
TRUSTED_TYPES = sorted([*_OWN_TYPES, *_GROUP_TYPES, *_SEARCH_TYPES, *_OLD_TYPES])
"""Types to pass as ``skops.io.load(file, trusted=...)`` to load any estimator of fairsteer.

They include values of groups (dates, intervals) and what a search holds that scores with
:func:`fairsteer.metrics.make_fairness_scorer`: splitters and common metrics.
"""


class FittedVersionMixin:
    """Record the version that fitted an estimator, and warn where another version loads it.

    It belongs to the left of ``BaseEstimator``. The version is recorded by ``fit`` and not, as
    scikit-learn does for its own estimators, when a file is written: saving a loaded model again
    does not renew it.
    """

    def _record_version(self) -> None:
        """Record the version; call it once ``fit`` has succeeded."""
        self._fitted_with = __version__

    def __setstate__(self, state):
        super().__setstate__(state)
        fitted_with = state.get("_fitted_with", __version__)
        if fitted_with != __version__:
            warnings.warn(
                SteeringVersionWarning(type(self).__name__, fitted_with, __version__),
                stacklevel=2,
            )


class SensitiveFeatureMixin(FittedVersionMixin):
    """Find the sensitive attribute, split it from the features, and drop it from the output.

    The estimator has a parameter ``sensitive_feature_ids``. Metadata requests for
    ``sensitive_features`` are on without ``set_fit_request``, and off where the attribute is a
    column of X. An estimator whose ``transform`` takes no attribute declares that request
    ``UNUSED``.
    """

    __metadata_request__fit: ClassVar = {"sensitive_features": True}
    __metadata_request__transform: ClassVar = {"sensitive_features": True}

    def get_feature_names_out(self, input_features=None):
        """Return the names of the output columns: those of X without the sensitive columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X; default those seen in ``fit``.

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        return np.delete(names, self.sensitive_positions_)

    def get_metadata_routing(self):
        """Return the routing requests: none for an attribute that is a column of X.

        Returns
        -------
        MetadataRequest
        """
        request = super().get_metadata_routing()
        if self.sensitive_feature_ids is not None:
            for name in SIMPLE_METHODS:
                method = getattr(request, name)
                if "sensitive_features" in method.requests:
                    method.add_request(param="sensitive_features", alias=False)
        return request

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if tags.transformer_tags is not None:
            tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _training_rows(
        self, X, y, sensitive_features, sample_weight, whole=True, attribute_names=None
    ) -> TrainingRows:
        """Return checked rows, with at least two labels and groups if they are `whole`.

        A batch that is not whole may have weights that are all 0, and then has no rows.
        ``attribute_names`` are those of earlier batches.
        """
        table = check.check_table(X)
        positions = []
        if self.sensitive_feature_ids is not None:
            positions = check.sensitive_positions(table, self.sensitive_feature_ids)
        attribute = check.find_attribute(table, sensitive_features, positions)
        attribute = check.match_attribute(attribute, attribute_names)
        features, names = check.split_features(table, positions)
        labels = check.check_labels(y, len(features))
        weights = check.check_frequencies(sample_weight, len(features), allow_zero=not whole)
        groups = check.group_values(attribute)
        present = weights > 0.0
        if not present.all():
            features, groups = features[present], groups[present]
            labels, weights = labels[present], weights[present]
        label_codes, classes = check.coded_labels(labels)
        group_codes, group_values = check.coded_groups(groups)
        if whole:
            check.check_variety(classes, group_values)
        return TrainingRows(
            features=features,
            names=names,
            label_codes=label_codes,
            group_codes=group_codes,
            weights=weights,
            classes=classes,
            groups=check.storable_groups(group_values),
            sensitive_positions=positions,
            attribute_names=check.attribute_names(attribute),
        )

    def _record(self, X, y, rows) -> None:
        """Record what later calls are checked against; call it once ``fit`` has succeeded.

        Without X its columns are those of earlier calls.
        """
        if X is not None:
            self._record_columns(X, y)
        self.sensitive_positions_ = np.array(rows.sensitive_positions, dtype=np.intp)
        self.sensitive_names_ = rows.attribute_names
        self.classes_, self.groups_ = rows.classes, rows.groups
        self._record_version()

    def _record_columns(self, X, y=None) -> None:
        """Record number and names of the columns of a table."""
        validate_data(self, X, y, reset=True, skip_check_array=True)
        self._columns = X.columns.tolist() if isinstance(X, pd.DataFrame) else None
        self.training_digest_ = check.digest_table(X)

    def _check_features(self, X) -> np.ndarray:
        """Return features of rows after ``fit``, whose sensitive columns may be absent."""
        return check.split_features(self._check_columns(X), self.sensitive_positions_)[0]

    def _check_columns(self, X):
        """Return rows after ``fit`` as a table with the columns of ``fit``."""
        table = check.check_table(X)
        if self._may_lack_attribute():
            table = check.add_absent_columns(table, self._columns, self.sensitive_positions_)
        self._match_columns(table)
        return table

    def _match_columns(self, table) -> None:
        """Refuse a table with other columns than in earlier calls."""
        validate_data(self, table, reset=False, skip_check_array=True)
        check.check_order(table, self._columns)

    def _may_lack_attribute(self) -> bool:
        """Return whether sensitive columns may be absent after ``fit``."""
        return True

    def _check_labels(self, y, n_rows) -> np.ndarray:
        """Return the label codes of rows after ``fit``."""
        return check.label_codes(check.check_labels(y, n_rows), self.classes_)
