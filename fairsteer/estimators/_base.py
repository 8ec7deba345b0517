"""The sensitive attribute of an estimator's rows: a column of X, or passed beside it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from fairsteer import _validation as check
from fairsteer.core.training_rows import TrainingRows
from fairsteer.estimators._persistence import FittedVersionMixin


class SensitiveFeatureMixin(FittedVersionMixin):
    """Find the attribute, split it from the features, and drop it from the output.

    The estimator has a parameter ``sensitive_feature_ids``. Metadata requests for
    ``sensitive_features`` are on without ``set_fit_request``, and off where the attribute stands
    in X. An estimator whose ``transform`` takes no attribute declares that request ``UNUSED``.
    """

    __metadata_request__fit: ClassVar = {"sensitive_features": True}
    __metadata_request__transform: ClassVar = {"sensitive_features": True}

    def get_feature_names_out(self, input_features=None):
        """Return the names of the output columns: those of X, sensitive ones left out.

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
        return np.delete(names, self._sensitive_positions)

    def get_metadata_routing(self):
        """Return the routing requests: none for the attribute where it stands in X.

        Returns
        -------
        MetadataRequest
        """
        request = super().get_metadata_routing()
        if self.sensitive_feature_ids is not None:
            for method in (request.fit, request.partial_fit, request.transform):
                if "sensitive_features" in method.requests:
                    method.add_request(param="sensitive_features", alias=False)
        return request

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.categorical = self.sensitive_feature_ids is not None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _training_rows(self, X, y, sensitive_features, sample_weight, whole=True) -> TrainingRows:
        """Return checked rows, at least two labels and groups among them if they are `whole`."""
        table = check.check_table(X)
        positions = []
        if self.sensitive_feature_ids is not None:
            positions = check.sensitive_positions(table, self.sensitive_feature_ids)
        attribute = check.sensitive_attribute(table, sensitive_features, positions)
        features, names = check.split_features(table, positions)
        groups = check.group_values(attribute)
        labels = check.check_labels(y, len(features))
        weights = check.check_frequencies(sample_weight, len(features))
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
            groups=group_values,
            positions=positions,
        )

    def _record(self, X, y, rows: TrainingRows) -> None:
        """Write what later calls are checked against; call it once fit has succeeded.

        Without X its columns are those of the calls before.
        """
        if X is not None:
            validate_data(self, X, y, reset=True, skip_check_array=True)
        self._sensitive_positions = rows.positions
        self.classes_, self.groups_ = rows.classes, rows.groups
        self._record_version()

    def _check_rows(
        self, X, sensitive_features, allow_missing=False, allow_unseen=False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return features and group codes of rows after fit; -1 where the group is not known."""
        table = self._check_columns(X)
        codes = self._group_codes(table, sensitive_features, allow_missing, allow_unseen)
        return check.split_features(table, self._sensitive_positions)[0], codes

    def _check_groups(
        self, X, sensitive_features, allow_missing=False, allow_unseen=False
    ) -> np.ndarray:
        """Return group codes as `_check_rows` does, of rows with any features."""
        table = self._check_columns(X)
        return self._group_codes(table, sensitive_features, allow_missing, allow_unseen)

    def _check_features(self, X) -> np.ndarray:
        """Return features of rows after fit, whatever their sensitive columns hold."""
        return check.split_features(self._check_columns(X), self._sensitive_positions)[0]

    def _check_columns(self, X):
        """Return rows after fit as a table with the columns of fit."""
        table = check.check_table(X)
        validate_data(self, table, reset=False, skip_check_array=True)
        return table

    def _group_codes(self, table, sensitive_features, allow_missing, allow_unseen):
        positions = self._sensitive_positions
        if allow_missing and not positions and sensitive_features is None:
            return np.full(table.shape[0], -1)
        attribute = check.sensitive_attribute(table, sensitive_features, positions)
        if allow_missing:
            return check.known_group_codes(attribute, self.groups_, allow_unseen=allow_unseen)
        values = check.group_values(attribute)
        return check.group_codes(values, self.groups_, allow_unseen=allow_unseen)

    def _check_labels(self, y, rows) -> np.ndarray:
        """Return the label codes of rows after fit."""
        return check.label_codes(check.check_labels(y, len(rows)), self.classes_)

    def _resolve_pos_label(self, classes):
        """Return the parameter ``pos_label``, or the last class where it is None."""
        if self.pos_label is None:
            return classes[-1]
        if self.pos_label not in classes.tolist():
            raise ValueError(
                f"pos_label={self.pos_label!r} is not among the labels {classes.tolist()}."
            )
        return self.pos_label
