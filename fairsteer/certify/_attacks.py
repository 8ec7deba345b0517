"""The strongest attack that half of the certification rows suggest, measured on the other half."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fairsteer.certify._bounds import (
    largest,
    pair_errors,
    threshold_distances,
    total_variations,
)


class Attack(NamedTuple):
    """A gap that an attacker attains, and how much less the true one may be.

    Parameters
    ----------
    gap : float
        Attained on rows that the attack was not chosen on; 0 where it fails, NaN where a half has
        no rows to attack.
    error : float
        The attack's true gap is at least ``gap - error`` with the confidence of the certificate.
    """

    gap: float
    error: float


def split_halves(n_rows, random_state):
    """Return which rows choose the attack: about half of them, shape (n,)."""
    return np.random.default_rng(random_state).random(n_rows) < 0.5


def attack_outputs(outputs, codes, conditions, n_groups, n_outputs, error_rate, random_state):
    """Attack a finite output: predict 1 for the outputs that one group has more often.

    Parameters
    ----------
    outputs : ndarray of int of shape (n,)
        Positions of outputs.
    codes : ndarray of int of shape (n,)
        Positions of groups.
    conditions : list of ndarray of bool of shape (n,)
        Rows that are compared.
    n_groups, n_outputs : int
        Their numbers.
    error_rate : float
        Probability that the error is exceeded.
    random_state : int
        Seed of the halves.

    Returns
    -------
    Attack
    """
    chosen = split_halves(len(codes), random_state)
    halves = [
        count_outputs(outputs[own], codes[own], [c[own] for c in conditions], n_groups, n_outputs)
        for own in (chosen, ~chosen)
    ]
    place = _largest_place(total_variations(halves[0]))
    if place is None:
        return Attack(float("nan"), float("nan"))
    condition, a, b = place
    shares = halves[0][condition] / halves[0][condition].sum(axis=1, keepdims=True)
    return _measure(halves[1][condition], a, b, shares[a] > shares[b], error_rate)


def attack_threshold(scores, codes, conditions, n_groups, error_rate, random_state):
    """Attack a score: predict 1 up to the threshold with the largest gap; as `attack_outputs`."""
    chosen = split_halves(len(codes), random_state)
    own = [c[chosen] for c in conditions]
    distances, thresholds = threshold_distances(scores[chosen], codes[chosen], own, n_groups)
    place = _largest_place(distances)
    if place is None:
        return Attack(float("nan"), float("nan"))
    condition, a, b = place
    below = (scores <= thresholds[place]).astype(np.intp)
    counts = [
        count_outputs(below[half], codes[half], [conditions[condition][half]], n_groups, 2)[0]
        for half in (chosen, ~chosen)
    ]
    shares = counts[0][:, 1] / np.maximum(counts[0].sum(axis=1), 1)
    return _measure(counts[1], a, b, np.array([False, True]) ^ (shares[a] < shares[b]), error_rate)


def count_outputs(outputs, codes, conditions, n_groups, n_outputs):
    """Return the rows by condition, group and output, shape (C, G, m)."""
    cells = codes * n_outputs + outputs
    size = n_groups * n_outputs
    counts = [np.bincount(cells[own], minlength=size) for own in conditions]
    return np.array(counts).reshape(len(conditions), n_groups, n_outputs)


def _largest_place(distances):
    """Return the condition and pair of groups with the largest distance, None without rows."""
    if np.isnan(largest(distances)):
        return None
    return np.unravel_index(np.nanargmax(distances), distances.shape)


def _measure(counts, a, b, predicted, error_rate):
    """Return the difference of rates of a set of outputs between two groups, (G, m) counts."""
    sizes = counts.sum(axis=1)
    if not (sizes[a] and sizes[b]):
        return Attack(float("nan"), float("nan"))
    rates = counts[:, predicted].sum(axis=1) / np.maximum(sizes, 1)
    error = pair_errors(sizes[None, [a, b]].astype(np.float64), error_rate)[0, 0, 1]
    return Attack(float(max(rates[a] - rates[b], 0.0)), float(error))
