"""Tables of any column types, as estimators that encode them read them."""

from __future__ import annotations

import numpy as np

from fairsteer import _validation as check
from fairsteer.core.row_draws import value_words
from fairsteer.core.training_rows import TrainingRows
from fairsteer.estimators._base import SensitiveFeatureMixin
from fairsteer.estimators._table_encoding import encode, fit_encoder


class TableInputMixin(SensitiveFeatureMixin):
    """Encode the features of a table, and find the groups of its rows.

    The estimator has the parameters ``group_strategy`` and ``handle_unknown``, and keeps the
    encoder of ``fit`` as ``_encoder``.
    """

    def _read_table(self, X, sensitive_features, sample_weight, read_target, choose=None):
        """Return encoded rows of positive weight, the encoder, and the positions of these rows.

        ``read_target(n_rows, present)`` returns the labels of these rows as positions, and the
        distinct labels; numbers and None where there are none. ``choose(y, codes)`` returns the
        positions, among these rows, of those that the encoder is fitted to; default all.
        """
        positions = []
        if self.sensitive_feature_ids is not None:
            positions = check.sensitive_positions(X, self.sensitive_feature_ids)
        attribute = check.find_attribute(X, sensitive_features, positions)
        kept = np.delete(np.arange(X.shape[1]), positions)
        self._check_features_left(len(kept))
        weights = check.check_frequencies(sample_weight, X.shape[0])
        present = np.flatnonzero(weights)
        features = check.take_columns(X, kept)
        features = features.iloc[present] if hasattr(features, "iloc") else features[present]
        y, classes = read_target(X.shape[0], present)
        codes, groups = check.coded_groups(check.group_values(attribute)[present])
        if len(groups) < 2 or classes is not None:
            check.check_variety(np.arange(2) if classes is None else classes, groups)
        encoded = features
        if choose is not None:
            encoded = check.take_rows(features, choose(y, codes))
        encoder = fit_encoder(encoded)
        names = features.columns.tolist() if hasattr(features, "columns") else kept.tolist()
        rows = TrainingRows(
            features=encode(encoder, features),
            names=names,
            label_codes=y,
            group_codes=codes,
            weights=check.scale_to_rows(weights[present]),
            classes=classes,
            groups=check.storable_groups(groups),
            sensitive_positions=positions,
            attribute_names=check.attribute_names(attribute),
        )
        return rows, encoder, present

    def _check_features_left(self, n_features):
        """Refuse a number of columns that the estimator cannot use."""

    def _codes(self, table, sensitive_features):
        """Return the positions of the groups of new rows, -1 where unknown."""
        may_miss = self.group_strategy == "posterior"
        attribute = check.find_attribute(
            table, sensitive_features, self.sensitive_positions_, required=not may_miss
        )
        if attribute is not None:
            attribute = check.match_attribute(attribute, self.sensitive_names_)
        return check.attribute_codes(
            attribute,
            self.groups_,
            table.shape[0],
            allow_missing=may_miss,
            allow_unseen=self.handle_unknown == "pooled",
        )

    def _features(self, table):
        """Return the encoded features of new rows."""
        kept = np.delete(np.arange(table.shape[1]), self.sensitive_positions_)
        return encode(self._encoder, check.take_columns(table, kept))

    def _may_lack_attribute(self):
        return self.group_strategy == "posterior"

    def _words(self, features, codes, row_ids):
        """Return the word of each row that its draws depend on."""
        if row_ids is None:
            return value_words(features, codes)
        return check.row_words(row_ids, len(codes))
