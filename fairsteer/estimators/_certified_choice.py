"""How SteeredClassifierCV chooses a candidate whose gap is certified on rows set aside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.model_selection import train_test_split

from fairsteer.certify import certify
from fairsteer.exceptions import NoFairModelError

MOST_CERTIFIED = 3


def set_aside(labels, codes, size, seed):
    """Return the positions of rows to fit on, and of those to certify on.

    Parameters
    ----------
    labels, codes : ndarray of shape (n,)
        Positions of label and group.
    size : float
        Share of the rows to certify on.
    seed : int
        Seed of the split.

    Returns
    -------
    ndarray, ndarray
    """
    everything = np.arange(len(labels))
    options = {"test_size": size, "random_state": seed}
    subgroups = labels + (labels.max() + 1) * codes
    for strata in (subgroups, labels):
        try:
            return train_test_split(everything, stratify=strata, **options)
        except ValueError:
            # Too few rows of a subgroup, or of a label, to be on both sides.
            continue
    return train_test_split(everything, **options)


def check_certifiable(rows, constraint):
    """Refuse rows whose gap a certificate would not be about.

    Parameters
    ----------
    rows : TrainingRows
        All rows.
    constraint : str
        One of `CONSTRAINTS`.

    Raises
    ------
    ValueError
        With more than two labels under equalized odds, or with weights.
    """
    if len(rows.classes) > 2 and constraint == "equalized_odds":
        raise ValueError(
            "confidence_level is for two labels under equalized odds: merge the labels to two, "
            "or use another constraint."
        )
    if not np.allclose(rows.weights, rows.weights[0]):
        raise ValueError(
            "confidence_level needs rows of equal weight, because a certificate counts rows: "
            "leave out sample_weight."
        )


def certify_first(
    fit_rule, order, fair, rows, words, positive, *, constraint, max_gap, confidence_level
):
    """Return the first candidate whose gap is certified, its rule and its certificate.

    Parameters
    ----------
    fit_rule : callable
        From the position of a candidate to its fitted rule.
    order : list of int
        Positions of candidates, the best first. At most `MOST_CERTIFIED` are tried, each at its
        share of the error.
    fair : ndarray of bool
        Which candidates have the smallest rate that is asked for.
    rows : TrainingRows
        The rows set aside.
    words : ndarray
        What draws depend on.
    positive : int
        Position of the positive label.
    constraint, max_gap, confidence_level
        As in SteeredClassifierCV.

    Returns
    -------
    int, rule, FairnessCertificate

    Raises
    ------
    NoFairModelError
        If there is none.
    """
    if len(np.unique(rows.group_codes)) < len(rows.groups):
        # Nothing is known of a group without certification rows.
        raise NoFairModelError(1.0, 1.0, max_gap, confidence_level, rows.n_rows)
    share = (1.0 - confidence_level) / MOST_CERTIFIED
    lowest = None
    for place in order[:MOST_CERTIFIED]:
        rule = fit_rule(place)
        decisions = rule.probabilities(rows.features, rows.group_codes, words).argmax(axis=1)
        found = certify(
            (decisions == positive).astype(int),
            y=(rows.label_codes == positive).astype(int),
            sensitive_features=rows.group_codes,
            constraint=constraint,
            confidence_level=1.0 - share,
            scope="model",
        )
        if found.bound <= max_gap and fair[place]:
            return place, rule, _rename(found, rows, positive, confidence_level)
        if lowest is None or found.bound < lowest.bound:
            lowest = found
    raise NoFairModelError(lowest.bound, lowest.measured, max_gap, confidence_level, rows.n_rows)


def _rename(certificate, rows, positive, confidence_level):
    """Return a certificate with the names of groups and labels in place of their positions."""
    names, labels = rows.groups.tolist(), rows.classes.tolist()
    others = [label for k, label in enumerate(labels) if k != positive]
    label = {1: labels[positive], 0: others[0] if len(others) == 1 else "other"}
    table = certificate.table.assign(
        label=[label.get(own, own) for own in certificate.table["label"]],
        first=[names[a] for a in certificate.table["first"]],
        second=[names[a] for a in certificate.table["second"]],
    )
    return replace(
        certificate,
        confidence_level=confidence_level,
        n_rows={names[a]: n for a, n in certificate.n_rows.items()},
        table=table,
    )
