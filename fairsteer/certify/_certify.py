"""Certify a fitted model on rows that had no part in it."""

from __future__ import annotations

from itertools import combinations
from numbers import Real

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from fairsteer import _validation as check
from fairsteer.certify._attacks import attack_outputs, attack_threshold, count_outputs
from fairsteer.certify._bounds import (
    distance_bounds,
    largest,
    rate_bounds,
    threshold_distances,
    total_variations,
)
from fairsteer.certify._certificate import FairnessCertificate
from fairsteer.certify._outputs import SCOPES, is_model, read_array, read_model, sensitive_ids
from fairsteer.core.constraints import ANY_LABEL, CONSTRAINTS, positive_position
from fairsteer.core.messages import shorten


@validate_params(
    {
        "constraint": [StrOptions(set(CONSTRAINTS))],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
        "scope": [StrOptions(set(SCOPES))],
        "attack": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def certify(
    model,
    X=None,
    y=None,
    *,
    sensitive_features=None,
    constraint="equalized_odds",
    pos_label=None,
    confidence_level=0.95,
    scope="auto",
    attack=True,
    random_state=None,
    row_ids=None,
) -> FairnessCertificate:
    """Bound a fairness gap on new rows, with a stated confidence and without any model of the data.

    Parameters
    ----------
    model : estimator or array-like of shape (n,)
        A fitted transformer, Pipeline or classifier, or the predictions, bins or scores of any
        model; X is None then. Everything about the model, its number of bins included, must have
        been fixed without the certification rows.
    X : array-like of shape (n, d), default=None
        Certification rows: a random sample of the rows that the model will see.
    y : array-like of shape (n,), default=None
        Their labels; not needed under demographic parity.
    sensitive_features : array-like of shape (n,) or (n, m), default=None
        The attribute, unless the model reads it from columns of X.
    constraint : {"equalized_odds", "equal_opportunity", "demographic_parity"}, \
default="equalized_odds"
        The gap: given every label, among the positives, or of all rows. With more than two labels,
        ``"model"`` and ``"any_threshold"`` compare the positive label with all others together.
    pos_label : object, default=None
        The positive label; default the last one.
    confidence_level : float, default=0.95
        Probability with which the bound holds. Where the best of c models is chosen on the same
        rows, use ``1 - (1 - confidence_level) / c``.
    scope : {"auto", "any_classifier", "any_threshold", "model"}, default="auto"
        ``"any_classifier"`` bounds the gap of every classifier of a finite output: the bins of
        ScoreSteering, the leaves of TreeBins, or a Pipeline in which all that follows sees only
        these. ``"any_threshold"`` bounds the gap of every threshold of a score (not of sets of
        intervals), ``"model"`` that of the decisions. ``"auto"`` is the widest that applies to a
        fitted model; an array is taken as decisions if it has two values or those of y, as scores
        if it has fractions.
    attack : bool, default=True
        Whether the strongest attack is measured, which bounds the gap from below.
    random_state : int, RandomState or None, default=None
        Seed of the halves of the attack, and of a model that draws its predictions.
    row_ids : array-like of shape (n,), default=None
        Identifiers that draws depend on, if they do in deployment.

    Returns
    -------
    FairnessCertificate

    Raises
    ------
    ValueError
        If rows have no part that can be compared, X is the table of fit, the scope does not apply,
        or the draws of rows depend on other rows of the call.

    Notes
    -----
    Let ``n_a`` be the rows of group a (with a label) and TV the largest difference between two
    groups' frequencies of any set of outputs, which is the gap of the worst classifier. With
    probability ``1 - delta``, ``TV <= TV_measured + sqrt((1/n_a + 1/n_b) ln(1/delta) / 2)``: the
    mean of the measured TV is at least TV, because it is convex, and one row of group a changes it
    by at most ``1/n_a`` (McDiarmid 1989). The number of outputs does not enter the second term. The
    same holds for thresholds with the Kolmogorov-Smirnov distance. ``"model"`` takes two-sided
    Clopper-Pearson intervals of the groups' rates. No correction for several pairs and labels is
    needed for the largest gap, since the pair and label where it is largest are fixed; ``table``
    has bounds that hold at once, with ``delta / q`` for q entries.

    Nothing is claimed for rows of another population, for groups that have no certification rows,
    or for features beside the output.

    Examples
    --------
    >>> import numpy as np
    >>> from fairsteer.certify import certify
    >>> rng = np.random.default_rng(0)
    >>> group, predicted = rng.choice(["a", "b"], 2000), rng.integers(2, size=2000)
    >>> certificate = certify(predicted, sensitive_features=group, constraint="demographic_parity")
    >>> certificate.scope, round(certificate.bound, 2)
    ('model', 0.07)
    """
    output = _read_output(model, X, y, scope, pos_label, sensitive_features, row_ids, random_state)
    n = len(output.values)
    attribute = _read_attribute(model, X, sensitive_features, n)
    codes, groups = check.coded_groups(check.group_values(attribute))
    groups = groups.tolist()
    if len(groups) < 2:
        raise ValueError(
            f"There is one group only ({shorten(groups[0])}): a certificate needs rows of at least "
            "two groups."
        )
    labels = _read_labels(y, n, constraint)
    conditions, names, pos_label = _find_conditions(
        labels, constraint, pos_label, output, binary=output.scope != "any_classifier"
    )
    error_rate = 1.0 - confidence_level
    seed = int(check_random_state(random_state).randint(2**31))
    find_bounds, distances, found = _measure(
        output, codes, conditions, len(groups), pos_label, error_rate, attack, seed
    )
    compared = np.any(conditions, axis=0)
    return FairnessCertificate(
        bound=largest(find_bounds(1)),
        measured=largest(distances),
        confidence_level=float(confidence_level),
        scope=output.scope,
        constraint=constraint,
        n_rows={
            group: int(np.count_nonzero(compared & (codes == a))) for a, group in enumerate(groups)
        },
        attacked=None if found is None else found.gap,
        attack_error=None if found is None else found.error,
        table=_tabulate(names, groups, distances, find_bounds(_count_claims(distances))),
    )


def _measure(output, codes, conditions, n_groups, pos_label, error_rate, attack, seed):
    """Return bounds by the number of claims, measured distances, and the attack."""
    sizes = np.array([np.bincount(codes[own], minlength=n_groups) for own in conditions])
    found = None
    if output.scope == "model":
        hits = np.array(
            [
                np.bincount(codes[own & (output.values == pos_label)], minlength=n_groups)
                for own in conditions
            ]
        )
        with np.errstate(invalid="ignore"):
            rates = hits / sizes
        distances = np.abs(rates[:, :, None] - rates[:, None, :])
        return lambda q: rate_bounds(hits, sizes, error_rate, q), distances, None
    if output.scope == "any_threshold":
        distances, _ = threshold_distances(output.values, codes, conditions, n_groups)
        if attack:
            found = attack_threshold(output.values, codes, conditions, n_groups, error_rate, seed)
    else:
        outputs, distinct = pd.factorize(output.values)
        size = n_groups, len(distinct)
        distances = total_variations(count_outputs(outputs, codes, conditions, *size))
        if attack:
            found = attack_outputs(outputs, codes, conditions, *size, error_rate, seed)
    return lambda q: distance_bounds(distances, sizes, error_rate, q), distances, found


def _read_output(model, X, y, scope, pos_label, sensitive_features, row_ids, random_state):
    """Return the output of the model."""
    if not is_model(model):
        if X is not None:
            raise ValueError(
                "X is passed beside an array of outputs: pass a fitted model with X, or the array "
                "alone."
            )
        named = pos_label is not None
        if not named and y is not None:
            named = set(pd.unique(np.asarray(model)).tolist()) <= set(np.unique(y).tolist())
        return read_array(model, scope, named)
    if X is None:
        raise ValueError("X is missing: pass the certification rows.")
    return read_model(model, X, scope, pos_label, sensitive_features, row_ids, random_state)


def _read_attribute(model, X, sensitive_features, n):
    """Return the attribute of the certification rows."""
    if sensitive_features is not None:
        return check.attribute_from_argument(sensitive_features, n, like="the output")
    ids = sensitive_ids(model) if is_model(model) else None
    if ids is None:
        raise ValueError(
            "sensitive_features is missing: a certificate compares groups, so pass the group of "
            "each row."
        )
    table = check.check_table(X)
    return check.find_attribute(table, None, check.sensitive_positions(table, ids))


def _read_labels(y, n, constraint):
    """Return labels, None under demographic parity."""
    if constraint == "demographic_parity":
        return None
    if y is None:
        raise ValueError(f"y is missing: constraint={constraint!r} compares rows of one label.")
    return check.check_labels(y, n)


def _find_conditions(labels, constraint, pos_label, output, binary):
    """Return the rows that are compared, a name for each such set, and the positive label."""
    n, decisions = len(output.values), output.scope == "model"
    if labels is None:
        known = output.classes
        if known is None:
            known = np.unique(output.values) if decisions else np.array([0, 1])
        if decisions or pos_label is not None:
            pos_label = known[positive_position(pos_label, known)]
        return [np.ones(n, dtype=bool)], [ANY_LABEL], pos_label
    known = np.unique(labels) if output.classes is None else np.asarray(output.classes)
    if decisions:
        known = _all_labels(known, labels, output.values)
    pos_label = known[positive_position(pos_label, known)]
    if constraint == "equal_opportunity":
        return [labels == pos_label], [pos_label], pos_label
    if binary:
        others = [label for label in known.tolist() if label != pos_label]
        name = others[0] if len(others) == 1 else f"not {pos_label}"
        return [labels != pos_label, labels == pos_label], [name, pos_label], pos_label
    present = np.unique(labels)
    return [labels == label for label in present], present.tolist(), pos_label


def _all_labels(known, labels, predictions):
    """Return labels with those predicted, which must be of the labels' type."""
    check.check_predictions(predictions, [*known.tolist(), *np.unique(labels).tolist()], "model")
    return known


def _count_claims(distances):
    """Return the number of pairs and conditions with rows to compare, at least 1."""
    upper = np.triu_indices(distances.shape[1], k=1)
    return max(int(np.isfinite(distances[:, *upper]).sum()), 1)


def _tabulate(names, groups, distances, bounds):
    """Tabulate distances and bounds by condition and pair of groups."""
    rows = [
        {
            "label": name,
            "first": groups[a],
            "second": groups[b],
            "measured": distances[place, a, b],
            "bound": bounds[place, a, b],
        }
        for place, name in enumerate(names)
        for a, b in combinations(range(len(groups)), 2)
    ]
    return pd.DataFrame(rows)
