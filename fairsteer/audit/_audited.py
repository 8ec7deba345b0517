"""The rows of an audit: features before and after steering, labels and groups."""

from __future__ import annotations

from inspect import signature
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fairsteer import _validation as check
from fairsteer.audit._leakage import ANY_LABEL

WHEN = ("before", "after")


class AuditedRows(NamedTuple):
    """Rows of an audit.

    Parameters
    ----------
    features : dict of str to ndarray of shape (n, d)
        Before and after steering.
    names : list
        Names (or positions) of the features.
    labels : list
        Labels, sorted; in the end ``"any label"``.
    groups : ndarray of shape (G,)
        Groups.
    label_codes, group_codes : ndarray of shape (n,)
        Positions in ``labels`` and ``groups``.
    """

    features: dict[str, np.ndarray]
    names: list[Any]
    labels: list[Any]
    groups: np.ndarray
    label_codes: np.ndarray
    group_codes: np.ndarray

    def with_label(self) -> list[np.ndarray]:
        """Return which rows have each label, in the end any."""
        own = [self.label_codes == i for i in range(len(self.labels) - 1)]
        return [*own, np.ones(len(self.label_codes), dtype=bool)]

    def counts(self) -> np.ndarray:
        """Rows of each label, in the end any, and group."""
        size = len(self.groups)
        return np.array(
            [np.bincount(self.group_codes[r], minlength=size) for r in self.with_label()]
        )

    def drawn(self, size: int, seed: int) -> AuditedRows:
        """Draw rows in proportion to labels and groups: at equal steps, sorted by these."""
        n = len(self.label_codes)
        if n <= size:
            return self
        shuffled = np.random.default_rng(seed).random(n)
        order = np.lexsort((shuffled, self.group_codes, self.label_codes))
        chosen = order[np.arange(size) * n // size]
        return self._replace(
            features={when: X[chosen] for when, X in self.features.items()},
            label_codes=self.label_codes[chosen],
            group_codes=self.group_codes[chosen],
        )


def audited_rows(steering, X, y, sensitive_features) -> AuditedRows:
    """Check rows and steer them; see :func:`fairsteer.audit.audit_steering`."""
    table = check.check_table(X)
    ids = getattr(steering, "sensitive_feature_ids", None)
    positions = [] if ids is None else check.sensitive_positions(table, ids)
    attribute = check.sensitive_attribute(table, sensitive_features, positions)
    before, names = check.split_features(table, positions)
    values = check.group_values(attribute)
    labels = check.check_labels(y, len(before))
    groups = check.sorted_groups(values)
    if len(groups) < 2:
        raise ValueError(
            f"There is one group only ({groups.tolist()[0]!r}); an audit needs rows of at least "
            "two groups."
        )
    after = _steered(steering, table, positions, sensitive_features)
    if after.shape != before.shape:
        raise ValueError(
            f"{type(steering).__name__} turns {before.shape[1]} features into {after.shape[1]}, "
            "but an audit compares them one by one."
        )
    classes, label_codes = np.unique(labels, return_inverse=True)
    return AuditedRows(
        features={"before": before.astype(np.float64), "after": after},
        names=names,
        labels=[*classes.tolist(), ANY_LABEL],
        groups=groups,
        label_codes=label_codes,
        group_codes=check.group_codes(values, groups),
    )


def _steered(steering, table, positions, sensitive_features) -> np.ndarray:
    """Return the steered features, the group withheld where steering is to guess it."""
    takes_group = "sensitive_features" in signature(steering.transform).parameters
    if getattr(steering, "group_strategy", "given") == "posterior":
        sensitive_features = None
        if positions and isinstance(table, pd.DataFrame):
            table = table.copy()
            for position in positions:
                table.isetitem(position, None)
        elif positions:
            table = table.astype(np.result_type(table, np.float32))
            table[:, positions] = np.nan
    given = {"sensitive_features": sensitive_features} if takes_group else {}
    return np.asarray(steering.transform(table, **given), dtype=np.float64)
