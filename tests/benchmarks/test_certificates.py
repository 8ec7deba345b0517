"""The benchmarks of certificates and of ScoreSteering's time."""

import certificates
import fare
import numpy as np
import pandas as pd
import pytest
import score_times

from fairsteer.certify._bounds import total_variations
from fairsteer.core.constraints import CONSTRAINTS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("scope", certificates.SCOPES)
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_random_laws_are_covered(scope, constraint):
    row = certificates.count_violations(scope, constraint, n_distributions=20)
    assert row["violations"] <= 0.1
    assert row["excess"] > 0.0


def test_the_gap_of_a_law_is_that_of_many_rows():
    rng = np.random.default_rng(0)
    distribution = certificates.draw_distribution(rng, gaussian=False)
    y, groups, outputs = certificates.draw_rows(rng, *distribution, 400_000)
    m, n_groups = distribution[1].shape[2], distribution[0].shape[1]
    counts = np.zeros((2, n_groups, m))
    np.add.at(counts, (y, groups, outputs), 1.0)
    expected = certificates.true_gap(*distribution, "any_classifier", "equalized_odds")
    assert np.nanmax(total_variations(counts)) == pytest.approx(expected, abs=0.02)


def test_claimed_tables_fail_without_the_number_of_claims():
    without, within = certificates.claimed_tables(runs=800)
    assert without["violations"] > 0.03
    assert within["violations"] < 0.02


def test_the_tree_of_fare_hides_the_group():
    rng = np.random.default_rng(0)
    s, y = rng.integers(2, size=(2, 4_000))
    X = np.column_stack([y + rng.normal(size=4_000), s + 0.3 * rng.normal(size=4_000)])
    bounds, shares = [], []
    for gamma in (0.0, 0.9):
        splits = fare.grow_tree(X, y, s, gamma, 4)
        leaves = fare.apply_tree(splits, X)
        assert len(np.unique(leaves)) == len(splits) + 1 <= 4
        gap = certificates.total_variations(
            np.array([[np.bincount(leaves[s == a], minlength=4) for a in range(2)]])
        )[0, 0, 1]
        bounds.append(fare.bound_parity(leaves, s, 4, 0.05))
        shares.append(gap)
        assert gap < bounds[-1]
    by_group = fare.apply_tree([(0, 1, 0.5)], X)
    assert fare.bound_parity(by_group, s, 2, 0.05) > 0.8


def test_widths_shrink_with_rows_and_grow_with_bins():
    widths = certificates.table_of_widths().drop(columns="rows of each group")
    assert (widths.diff().dropna() < 0.0).all(axis=None)
    assert (widths.diff(axis=1).iloc[:, 1:] > 0.0).all(axis=None)


def test_a_fit_grows_with_the_rows():
    rows = pd.DataFrame([score_times.scale_row(n) for n in (300, 600)])
    assert (rows.filter(like="seconds") > 0.0).all(axis=None)
    frame = pd.DataFrame([{**rows.iloc[0], "rows": n} for n in (100_000, 1_000_000)])
    assert "to the power of 0.00" in score_times.in_words(frame)
