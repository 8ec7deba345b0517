"""How recoverable the group still is after steering, and for which estimators that matters."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

from fairsteer.audit._advice import advise, concerned_labels, strongest
from fairsteer.audit._audited import WHEN, audited_rows
from fairsteer.audit._leakage import CLASSIFIERS, Recoverability, recoverability
from fairsteer.core.diagnostics import DISCRETE, tie_probability

PRINTED_MOMENTS = 10


@dataclass(frozen=True, eq=False)
class SteeringAudit:
    """How recoverable the group is before and after steering; ``print`` it.

    Parameters
    ----------
    recoverability : DataFrame
        Indexed by features (before, after), classifier (linear, boosted) and label (each, then
        ``"any label"``); a label that was skipped is NaN. Columns, all on rows the classifier was
        not trained on: ``auc``, of each group against the rest, averaged (0.5 is chance),
        ``auc_deviation``, its standard deviation if no group differed, and ``z``, by how many of
        these it exceeds 0.5; ``balanced_accuracy`` (1 / G is chance); ``advantage``, a lower bound
        of the total variation between two groups, in other words a gap that some classifier has,
        with ``advantage_deviation``; ``rows``.
    moments : DataFrame
        Indexed by feature, label and group. Columns ``("rows", "")`` and, each before and after,
        ``mean``, ``deviation`` (the standard deviation, divisor n) and ``difference``: the mean
        minus the reference group's in units of the root mean square of both deviations; NaN or
        infinite where neither varies. ``.attrs["reference_group"]`` names the reference.
    certificate : DataFrame
        Indexed by constraint: ``bound`` and ``kind`` from the steering's ``certificate_``, and the
        largest ``advantage`` measured on the rows the constraint is about, which the bound should
        exceed. No rows if there is no certificate.
    advice : list of str
        Sentences derived from these numbers.
    """

    recoverability: pd.DataFrame
    moments: pd.DataFrame
    certificate: pd.DataFrame
    advice: list[str]

    def __str__(self):
        before = self.moments["difference", "before"].abs().fillna(0.0)
        largest = self.moments.loc[before.nlargest(PRINTED_MOMENTS).index]
        parts = {
            "Recoverability of the group": self.recoverability.round(3).to_string(),
            "Largest differences between groups before steering": largest.round(3).to_string(),
            "Advice": "\n".join(f"* {sentence}" for sentence in self.advice),
        }
        if len(self.certificate):
            parts["Certificate"] = self.certificate.round(3).to_string()
        return "\n\n".join(f"{title}\n{text}" for title, text in parts.items())


def audit_steering(
    steering, X, y, *, sensitive_features=None, cv=5, max_rows=20_000, random_state=0
) -> SteeringAudit:
    """Measure how well classifiers recover the group before and after steering.

    A linear and a boosted classifier are trained to tell the groups apart, by cross-validation, on
    all rows and on those of each label, first from the features (sensitive columns dropped), then
    from the steered ones. What neither recovers, an estimator of that kind cannot use.

    Parameters
    ----------
    steering : OptimalSteeringTransformer, WithinLabelEraser or similar
        Fitted. Its ``transform`` drops the columns named by ``sensitive_feature_ids``, if it has
        such a parameter, and keeps the number and order of the others. It is told the group if it
        takes ``sensitive_features``, except with ``group_strategy="posterior"``: then the audit
        is of rows of unknown group.
    X : array-like of shape (n, n_features_in_)
        Rows that were held out of ``fit``; on training rows the audit is of what was fitted to
        them, and looks better than new rows will.
    y : array-like of shape (n,)
        Their labels.
    sensitive_features : array-like of shape (n,) or (n, m), default=None
        The attribute, unless it stands in X.
    cv : int, default=5
        Folds. A label of which some group has fewer rows is skipped, and the advice says so.
    max_rows : int, default=20_000
        The classifiers see at most so many rows, drawn in proportion to labels and groups; the
        moments are those of all rows.
    random_state : int, RandomState instance or None, default=0
        Seed of the draw, the folds and the boosting.

    Returns
    -------
    SteeringAudit

    Raises
    ------
    NotFittedError
        If the steering is not fitted.
    ValueError
        If the input cannot be used, the attribute is missing or given twice, a group has fewer
        rows than folds, or the transformer changes the number of features.

    Examples
    --------
    >>> from fairsteer import OptimalSteeringTransformer
    >>> from fairsteer.audit import audit_steering
    >>> from fairsteer.datasets import load_diabetes_progression
    >>> diabetes = load_diabetes_progression()
    >>> X, y = diabetes.data, diabetes.target
    >>> steering = OptimalSteeringTransformer("sex", random_state=0).fit(X[::2], y[::2])
    >>> audit = audit_steering(steering, X[1::2], y[1::2], cv=3)
    >>> auc = audit.recoverability["auc"].xs("linear", level="classifier").unstack("label")
    >>> bool((auc.loc["after"] < auc.loc["before"]).all())
    True
    """
    check_is_fitted(steering)
    check_scalar(cv, "cv", Integral, min_val=2)
    check_scalar(max_rows, "max_rows", Integral, min_val=1)
    seed = int(check_random_state(random_state).randint(2**31))
    rows = audited_rows(steering, X, y, sensitive_features)
    drawn = rows.drawn(max_rows, seed)
    table, skipped = _recoverability_table(drawn, cv, seed)
    concerned = concerned_labels(steering, rows.labels[:-1])
    certificate = _certificate_table(steering, table, concerned)
    aim = concerned.get(getattr(steering, "constraint", None), rows.labels[:-1])
    audited = [label for label in aim if label not in skipped]
    advice = advise(steering, table, certificate, audited, _discrete(drawn.features["before"]))
    return SteeringAudit(
        recoverability=table,
        moments=_moments_table(rows, _reference(steering, rows)),
        certificate=certificate,
        advice=[*skipped.values(), *advice],
    )


def _recoverability_table(rows, cv, seed) -> tuple[pd.DataFrame, dict[Any, str]]:
    """Tabulate how well the group is recovered, and say why a label is skipped."""
    counts, total = rows.counts(), len(rows.label_codes)
    group = counts[-1].argmin()
    if counts[-1, group] < cv:
        raise ValueError(
            f"Group {rows.groups.tolist()[group]!r} has {counts[-1, group]} of the {total} rows "
            f"that the classifiers see, fewer than cv={cv} folds: pass more rows, raise max_rows, "
            "use fewer folds, or merge this group."
        )
    skipped = {
        label: f"Label {label!r} is skipped: group {rows.groups.tolist()[row.argmin()]!r} has "
        f"{row.min()} row(s) of it, fewer than cv={cv} folds."
        for label, row in zip(rows.labels, counts, strict=True)
        if row.min() < cv
    }
    results = [
        {}
        if label in skipped
        else recoverability(X[where], rows.group_codes[where], kind, cv, seed)._asdict()
        for X in rows.features.values()
        for kind in CLASSIFIERS
        for label, where in zip(rows.labels, rows.with_label(), strict=True)
    ]
    index = _index(features=WHEN, classifier=CLASSIFIERS, label=rows.labels)
    table = pd.DataFrame(results, index=index, columns=Recoverability._fields)
    table["rows"] = np.tile(counts.sum(axis=1), len(WHEN) * len(CLASSIFIERS))
    return table, skipped


def _moments_table(rows, reference) -> pd.DataFrame:
    """Tabulate the moments of every feature within each label (in the end any) and group."""
    statistics = np.stack([_statistics(rows, X, reference) for X in rows.features.values()])
    # (when, statistic, label, group, feature) -> (feature, label, group; statistic, when)
    values = statistics.transpose(4, 2, 3, 1, 0).reshape(-1, 3 * len(WHEN))
    columns = [(name, when) for name in ("mean", "deviation", "difference") for when in WHEN]
    index = _index(feature=rows.names, label=rows.labels, group=rows.groups)
    table = pd.DataFrame(values, index, pd.MultiIndex.from_tuples(columns))
    table.insert(0, ("rows", ""), np.tile(rows.counts().ravel(), len(rows.names)))
    table.attrs["reference_group"] = rows.groups.tolist()[reference]
    return table


def _statistics(rows, X, reference) -> np.ndarray:
    """Return means, deviations and standardised differences, shape (3, labels, groups, d)."""
    means, deviations = np.full((2, len(rows.labels), len(rows.groups), X.shape[1]), np.nan)
    for i, where in enumerate(rows.with_label()):
        for a in range(len(rows.groups)):
            values = X[where & (rows.group_codes == a)]
            if len(values):
                shifted = values - values[0]  # a constant keeps a deviation of exactly 0
                means[i, a] = values[0] + shifted.mean(axis=0)
                deviations[i, a] = shifted.std(axis=0)
    scale = np.sqrt((deviations**2 + deviations[:, [reference]] ** 2) / 2.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        differences = (means - means[:, [reference]]) / scale
    return np.stack([means, deviations, differences])


def _reference(steering, rows) -> int:
    """Return the position of the steering's reference group, else of the largest."""
    groups = rows.groups.tolist()
    wanted = getattr(steering, "reference_group_", None)
    return groups.index(wanted) if wanted in groups else int(rows.counts()[-1].argmax())


def _certificate_table(steering, table, concerned) -> pd.DataFrame:
    """Set the steering's certificate beside the largest advantage measured after steering."""
    certificate = getattr(steering, "certificate_", {})
    measured = {
        name: strongest(table, "after", CLASSIFIERS, concerned[name], by="advantage")
        for name in certificate
    }
    columns = {
        "bound": [each.bound for each in certificate.values()],
        "kind": [each.kind for each in certificate.values()],
    }
    for column in ("advantage", "advantage_deviation"):
        values = [np.nan if row is None else row[column] for row in measured.values()]
        columns[column] = np.array(values, dtype=np.float64)
    return pd.DataFrame(columns, index=pd.Index(list(certificate), name="constraint", dtype=object))


def _discrete(X) -> str:
    """Say how many features are discrete; empty if none is."""
    n_discrete = sum(x.min() < x.max() and tie_probability(x) > DISCRETE for x in X.T)
    return f"{n_discrete} of {X.shape[1]}" if n_discrete else ""


def _index(**levels) -> pd.MultiIndex:
    """Return the product of the levels, in their order."""
    shape = [len(values) for values in levels.values()]
    return pd.MultiIndex(
        levels=[pd.Index(list(values), tupleize_cols=False) for values in levels.values()],
        codes=np.indices(shape).reshape(len(shape), -1),
        names=list(levels),
    )
