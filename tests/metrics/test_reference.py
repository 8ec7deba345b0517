"""Gaps, rates and reports against sums over rows in plain Python, for generated rows."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairsteer.metrics import fairness_gaps, fairness_report, rms_tpr_gap, tpr_by_label
from tests.conftest import examples

WEIGHTS = st.one_of(st.integers(0, 3), st.floats(0.01, 100.0))


def rows_of(labels):
    """Generate labels, predictions, groups and weights of rows; the first row has a weight."""
    row = st.tuples(
        st.sampled_from(labels), st.sampled_from(labels), st.sampled_from("abc"), WEIGHTS
    )
    first = st.tuples(
        st.sampled_from(labels),
        st.sampled_from(labels),
        st.sampled_from("abc"),
        st.floats(0.01, 100.0),
    )
    return st.builds(lambda one, others: [one, *others], first, st.lists(row, max_size=30))


def share(rows, hit, given):
    """Return the weighted share of the given rows that hit, NaN where there are none."""
    total = math.fsum(w for y, p, g, w in rows if given(y, p, g))
    if total == 0.0:
        return math.nan
    return math.fsum(w for y, p, g, w in rows if given(y, p, g) and hit(y, p)) / total


def gap(values):
    return math.nan if any(map(math.isnan, values)) else max(values) - min(values)


def larger(first, second):
    return math.nan if math.isnan(first) or math.isnan(second) else max(first, second)


def present(rows):
    return [row for row in rows if row[3] > 0.0]


def rates(rows, label):
    """Return selection rate, TPR, FPR and accuracy of every group, for one label of interest."""
    found = {}
    for group in sorted({g for _, _, g, _ in rows}):
        found[group] = (
            share(rows, lambda y, p: p == label, lambda y, p, g, a=group: g == a),
            share(rows, lambda y, p: p == label, lambda y, p, g, a=group: g == a and y == label),
            share(rows, lambda y, p: p == label, lambda y, p, g, a=group: g == a and y != label),
            share(rows, lambda y, p: p == y, lambda y, p, g, a=group: g == a),
        )
    return found


def arrays(rows):
    y, predicted, groups, weights = (np.array(part) for part in zip(*rows, strict=True))
    return (y, predicted), {"sensitive_features": groups, "sample_weight": weights}


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@given(rows_of((0, 1)))
@examples(30)
def test_gaps_of_decisions(rows):
    selection, tpr, fpr, _ = zip(*rates(present(rows), 1).values(), strict=True)
    columns, options = arrays(rows)
    found = fairness_gaps(*columns, **options)
    assert_close(found["demographic_parity"], gap(selection))
    assert_close(found["equal_opportunity"], gap(tpr))
    assert_close(found["equalized_odds"], larger(gap(tpr), gap(fpr)))


@given(rows_of(("x", "y", "z")))
def test_rates_of_every_label(rows):
    columns, options = arrays(rows)
    # Predictions of a label that no row has are allowed where it is announced.
    found = tpr_by_label(*columns, labels=["x", "y", "z"], **options)
    kept = present(rows)
    labels = sorted({y for y, _, _, _ in kept})
    assert found.index.tolist() == labels
    gaps = []
    for label in labels:
        expected = [tpr for _, tpr, _, _ in rates(kept, label).values()]
        gaps.append(gap(expected))
        assert_close(found.loc[label].to_numpy(dtype=float), [*expected, gaps[-1]])
    mean = math.nan if any(map(math.isnan, gaps)) else math.fsum(g * g for g in gaps) / len(gaps)
    assert_close(rms_tpr_gap(*columns, labels=["x", "y", "z"], **options), math.sqrt(mean))


@given(rows_of((1, 2, 3)), st.sampled_from((1, 2, 3)))
@examples(20)
def test_reports(rows, label):
    columns, options = arrays(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        report = fairness_report(*columns, labels=[1, 2, 3], pos_label=label, **options)
    kept = present(rows)
    expected = rates(kept, label)
    assert report.index.tolist() == [*expected, "gap"]
    names = ["selection_rate", "tpr", "fpr", "accuracy"]
    for group, values in expected.items():
        assert report.loc[group, "rows"] == sum(g == group for _, _, g, _ in kept)
        assert_close(report.loc[group, names].to_numpy(dtype=float), values)
    spread = [gap(values) for values in zip(*expected.values(), strict=True)]
    assert_close(report.loc["gap", names].to_numpy(dtype=float), spread)
    assert_close(report.attrs["gaps"]["equalized_odds"], larger(spread[1], spread[2]))


@given(rows_of((0, 1)), st.randoms(use_true_random=False), st.floats(1e-6, 1e6))
@examples(15)
def test_order_and_scale_of_weights_do_not_matter(rows, random, factor):
    columns, options = arrays(rows)
    expected = fairness_gaps(*columns, **options)
    shuffled = [(y, p, g, w * factor) for y, p, g, w in rows]
    random.shuffle(shuffled)
    columns, options = arrays(shuffled)
    assert fairness_gaps(*columns, **options) == pytest.approx(expected, nan_ok=True, abs=1e-12)
