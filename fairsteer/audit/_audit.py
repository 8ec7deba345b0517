"""Audit of a steering: how well classifiers recover the group before and after it."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

from fairsteer import _validation as check
from fairsteer.audit._advice import ANY_LABEL, advise, compared_labels, strongest
from fairsteer.core.marginals import DISCRETE, tie_probability
from fairsteer.metrics._attacks import CLASSIFIERS, Leakage, measure_leakage

WHEN = ("before", "after")
PRINTED_MOMENTS = 10


@dataclass(frozen=True, eq=False)
class SteeringAudit:
    """How well classifiers recover the group before and after steering; ``print`` it.

    Parameters
    ----------
    leakage : DataFrame
        Indexed by features (before, after), classifier (linear, boosted) and label (each label,
        then ``"any label"``); a skipped label is NaN. Columns, all on rows that the classifier was
        not trained on: ``auc``, the AUC of each group against the rest, averaged (0.5 is chance),
        ``auc_deviation``, its standard deviation if the groups did not differ, and ``z``, the
        number of these by which it exceeds 0.5; ``balanced_accuracy`` (1 / G is chance);
        ``attack_advantage``, an estimate of a lower bound of the total variation distance between
        two groups, with ``attack_advantage_deviation``; ``rows``.
    moments : DataFrame
        Indexed by feature, label and group. Columns ``("rows", "")`` and, each before and after,
        ``mean``, ``deviation`` (the standard deviation, divisor n) and ``difference``: the mean
        minus that of the reference group in units of the root mean square of both deviations; NaN
        or infinite if neither varies. ``.attrs["reference_group"]`` is the reference group.
    certificate : DataFrame
        Indexed by constraint: the largest ``attack_advantage`` after steering on the rows that the
        constraint compares, with its deviation, which is the gap that an attacker attains; and the
        model-based ``bound`` and its ``kind`` from the ``certificate_`` of the steering, NaN and
        None where there is none. The advantage should not exceed the bound.
    advice : list of str
        Sentences derived from these numbers.
    """

    leakage: pd.DataFrame
    moments: pd.DataFrame
    certificate: pd.DataFrame
    advice: list[str]

    def __str__(self):
        before = self.moments["difference", "before"].abs().fillna(0.0)
        largest = self.moments.loc[before.nlargest(PRINTED_MOMENTS).index]
        parts = {
            "Leakage of the group": self.leakage.round(3).to_string(),
            "Largest differences between groups before steering": largest.round(3).to_string(),
            "Advice": "\n".join(f"* {sentence}" for sentence in self.advice),
        }
        attacks = self.certificate.round(3).to_string(na_rep="-")
        parts["Gaps that an attacker attains, and model-based bounds"] = attacks
        return "\n\n".join(f"{title}\n{text}" for title, text in parts.items())


def audit_steering(
    steering, X, y, *, sensitive_features=None, cv=5, max_rows=20_000, random_state=0
) -> SteeringAudit:
    """Measure how well classifiers recover the group before and after steering.

    A linear and a boosted classifier are trained to predict the group, by cross-validation, on all
    rows and on those of each label, from the features (without sensitive columns) and from the
    steered features. An estimator of the same kind may still use what its classifier does not
    recover, for example groups of equal means that differ in spread: measure its gap, too.

    Parameters
    ----------
    steering : transformer, Pipeline or SteeredClassifier
        Fitted: an OptimalSteeringTransformer, a WithinLabelEraser or a similar transformer, or a
        model that has one. Of a Pipeline, the first step that steers is audited, on rows that the
        steps before it have transformed; of a SteeredClassifier, its ``steering_``. The
        ``transform`` drops the columns named by ``sensitive_feature_ids``, if it has this
        parameter, and keeps the number and order of the others. It gets the attribute if it
        takes ``sensitive_features``, except with ``group_strategy="posterior"``: then the rows are
        audited as rows of unknown group.
    X : array-like of shape (n, n_features_in_)
        Rows that were held out of ``fit``. An audit of training rows is too optimistic.
    y : array-like of shape (n,)
        Their labels.
    sensitive_features : array-like of shape (n,) or (n, m), default=None
        The attribute, unless it is a column of X.
    cv : int, default=5
        Number of folds. A label is skipped if a group has fewer rows of it; the advice names it.
    max_rows : int, default=20_000
        The classifiers use at most this number of rows, drawn in proportion to labels and groups;
        the moments use all rows.
    random_state : int, RandomState instance or None, default=0
        Seed of the draw, the folds and the boosting.

    Returns
    -------
    SteeringAudit

    Raises
    ------
    NotFittedError
        If the steering is not fitted.
    TypeError
        If there is no transformer, or no step of a Pipeline steers.
    ValueError
        If the input is invalid, the attribute is missing or given twice, a group has fewer rows
        than folds, or the transformer changes the number of features.

    Examples
    --------
    >>> from fairsteer import OptimalSteeringTransformer
    >>> from fairsteer.audit import audit_steering
    >>> from fairsteer.datasets import load_diabetes_progression
    >>> diabetes = load_diabetes_progression()
    >>> X, y = diabetes.data, diabetes.target
    >>> steering = OptimalSteeringTransformer("sex", random_state=0).fit(X[::2], y[::2])
    >>> audit = audit_steering(steering, X[1::2], y[1::2], cv=3)
    >>> auc = audit.leakage["auc"].xs("linear", level="classifier").unstack("label")
    >>> bool((auc.loc["after"] < auc.loc["before"]).all())
    True
    """
    check_scalar(cv, "cv", Integral, min_val=2)
    check_scalar(max_rows, "max_rows", Integral, min_val=1)
    seed = int(check_random_state(random_state).randint(2**31))
    steering, X = _find_steering(steering, X)
    check_is_fitted(steering)
    rows = _steer_rows(steering, X, y, sensitive_features)
    sample = rows.draw(max_rows, seed)
    leakage, skipped = _tabulate_leakage(sample, cv, seed)
    compared = compared_labels(steering, rows.labels[:-1])
    certificate = _tabulate_certificate(steering, leakage, compared)
    aim = compared.get(getattr(steering, "constraint", None), rows.labels[:-1])
    audited = [label for label in aim if label not in skipped]
    n_discrete = _count_discrete(sample.features["before"])
    advice = advise(steering, leakage, certificate, audited, n_discrete, len(rows.names))
    return SteeringAudit(
        leakage=leakage,
        moments=_tabulate_moments(rows, _find_reference(steering, rows)),
        certificate=certificate,
        advice=[*skipped.values(), *advice],
    )


def _find_steering(model, X):
    """Return the transformer within a model that steers, and rows as it gets them."""
    if isinstance(model, Pipeline):
        check_is_fitted(model)
        for k, (_, step) in enumerate(model.steps):
            if _steers(step):
                return _find_steering(step, model[:k].transform(X) if k else X)
    elif hasattr(model, "transform"):
        return model, X
    elif _steers(model):
        check_is_fitted(model)
        return model.steering_, X
    raise TypeError(
        "An audit needs a transformer that steers, or a Pipeline or SteeredClassifier with one, "
        f"but this {type(model).__name__} has none: pass the fitted transformer."
    )


def _steers(step) -> bool:
    """Return whether a step uses the sensitive attribute, or has a part that does."""
    if isinstance(step, Pipeline):
        return any(_steers(inner) for _, inner in step.steps)
    transform = getattr(step, "transform", None)
    if transform is None:
        return hasattr(step, "steering") or hasattr(step, "steering_")
    takes_group = "sensitive_features" in signature(transform).parameters
    return takes_group or hasattr(step, "sensitive_feature_ids")


class _AuditedRows(NamedTuple):
    """Features (n, d) before and after steering, and the positions of labels and groups.

    The last label is ``"any label"``.
    """

    features: dict[str, np.ndarray]
    names: list[Any]
    labels: list[Any]
    groups: list[Any]
    label_codes: np.ndarray
    group_codes: np.ndarray

    def label_masks(self) -> list[np.ndarray]:
        """Return which rows have each label."""
        own = [self.label_codes == i for i in range(len(self.labels) - 1)]
        return [*own, np.ones(len(self.label_codes), dtype=bool)]

    def count(self) -> np.ndarray:
        """Count the rows by label and group."""
        size = len(self.groups)
        masks = self.label_masks()
        return np.array([np.bincount(self.group_codes[rows], minlength=size) for rows in masks])

    def draw(self, size: int, seed: int) -> _AuditedRows:
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


def _steer_rows(steering, X, y, sensitive_features) -> _AuditedRows:
    table = check.check_table(X)
    ids = getattr(steering, "sensitive_feature_ids", None)
    positions = [] if ids is None else check.sensitive_positions(table, ids)
    attribute = check.find_attribute(table, sensitive_features, positions)
    before, names = check.split_features(table, positions)
    group_codes, groups = check.coded_groups(check.group_values(attribute))
    label_codes, classes = check.coded_labels(check.check_labels(y, len(before)))
    if len(groups) < 2:
        raise ValueError(
            f"There is one group only ({groups.tolist()[0]!r}); an audit needs rows of at least "
            "two groups."
        )
    after = _steer(steering, table, positions, sensitive_features)
    if after.shape != before.shape:
        raise ValueError(
            f"{type(steering).__name__} returns {after.shape[1]} features for {before.shape[1]}, "
            "but an audit needs a transformer that keeps their number."
        )
    return _AuditedRows(
        features={"before": before.astype(np.float64), "after": after},
        names=names,
        labels=[*classes.tolist(), ANY_LABEL],
        groups=groups.tolist(),
        label_codes=label_codes,
        group_codes=group_codes,
    )


def _steer(steering, table, positions, sensitive_features) -> np.ndarray:
    """Return the steered features, without passing the group if steering estimates it."""
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


def _tabulate_leakage(rows, cv, seed) -> tuple[pd.DataFrame, dict[Any, str]]:
    """Return the table of leakage, and a sentence for each label that is skipped."""
    counts = rows.count()
    smallest = counts.min(axis=1)
    groups = [rows.groups[code] for code in counts.argmin(axis=1)]
    if smallest[-1] < cv:
        raise ValueError(
            f"Group {groups[-1]!r} has {smallest[-1]} of the {len(rows.label_codes)} rows that the "
            f"classifiers use, fewer than cv={cv} folds: pass more rows, raise max_rows, use fewer "
            "folds, or merge this group with another."
        )
    skipped = {
        label: f"Label {label!r} is skipped: group {group!r} has {n_rows} row(s) with this label, "
        f"fewer than cv={cv} folds."
        for label, group, n_rows in zip(rows.labels, groups, smallest, strict=True)
        if n_rows < cv
    }
    results = [
        {}
        if label in skipped
        else measure_leakage(X[own], rows.group_codes[own], kind, cv, seed)._asdict()
        for X in rows.features.values()
        for kind in CLASSIFIERS
        for label, own in zip(rows.labels, rows.label_masks(), strict=True)
    ]
    index = _make_index(features=WHEN, classifier=CLASSIFIERS, label=rows.labels)
    table = pd.DataFrame(results, index=index, columns=Leakage._fields)
    table["rows"] = np.tile(counts.sum(axis=1), len(WHEN) * len(CLASSIFIERS))
    return table, skipped


def _tabulate_moments(rows, reference) -> pd.DataFrame:
    """Tabulate the moments of every feature by label and group."""
    statistics = np.stack([_standardize(rows, X, reference) for X in rows.features.values()])
    # (when, statistic, label, group, feature) -> (feature, label, group; statistic, when)
    values = statistics.transpose(4, 2, 3, 1, 0).reshape(-1, 3 * len(WHEN))
    columns = [(name, when) for name in ("mean", "deviation", "difference") for when in WHEN]
    index = _make_index(feature=rows.names, label=rows.labels, group=rows.groups)
    table = pd.DataFrame(values, index, pd.MultiIndex.from_tuples(columns))
    table.insert(0, ("rows", ""), np.tile(rows.count().ravel(), len(rows.names)))
    table.attrs["reference_group"] = rows.groups[reference]
    return table


def _standardize(rows, X, reference) -> np.ndarray:
    """Return means, deviations and standardized differences, shape (3, labels, groups, d)."""
    means, deviations = np.full((2, len(rows.labels), len(rows.groups), X.shape[1]), np.nan)
    for i, own in enumerate(rows.label_masks()):
        for a in range(len(rows.groups)):
            values = X[own & (rows.group_codes == a)]
            if len(values):
                shifted = values - values[0]  # so that the deviation of a constant is exactly 0
                means[i, a] = values[0] + shifted.mean(axis=0)
                deviations[i, a] = shifted.std(axis=0)
    scale = np.sqrt((deviations**2 + deviations[:, [reference]] ** 2) / 2.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        differences = (means - means[:, [reference]]) / scale
    return np.stack([means, deviations, differences])


def _find_reference(steering, rows) -> int:
    """Return the position of the steering's reference group, otherwise of the largest group."""
    wanted = getattr(steering, "reference_group_", None)
    if wanted in rows.groups:
        return rows.groups.index(wanted)
    return int(rows.count()[-1].argmax())


def _tabulate_certificate(steering, leakage, compared) -> pd.DataFrame:
    """Tabulate the largest attack advantage after steering, and the model-based bounds."""
    certificate = getattr(steering, "certificate_", {})
    rows = {}
    for name, labels in compared.items():
        bound = certificate.get(name)
        found = strongest(leakage, "after", CLASSIFIERS, labels, by="attack_advantage")
        rows[name] = {
            "bound": np.nan if bound is None else bound.bound,
            "kind": None if bound is None else bound.kind,
        }
        for column in ("attack_advantage", "attack_advantage_deviation"):
            rows[name][column] = np.nan if found is None else found[column]
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("constraint")


def _count_discrete(X) -> int:
    return sum(x.min() < x.max() and tie_probability(x) > DISCRETE for x in X.T)


def _make_index(**levels) -> pd.MultiIndex:
    """Return the product of the levels, in their order."""
    shape = [len(values) for values in levels.values()]
    return pd.MultiIndex(
        levels=[pd.Index(list(values), tupleize_cols=False) for values in levels.values()],
        codes=np.indices(shape).reshape(len(shape), -1),
        names=list(levels),
    )
