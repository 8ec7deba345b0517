import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import hypergeom

from fairsteer.metrics import fairness_gaps, impact_ratios

MEN, WOMEN = np.repeat([1, 0], [50, 42]), np.repeat([1, 0], [34, 42])


def test_the_example_of_a_hiring_audit():
    decided = np.concatenate([MEN, WOMEN])
    table = impact_ratios(decided, sensitive_features=np.repeat(["men", "women"], [92, 76]))
    assert_allclose(table["selection_rate"].round(3), [0.543, 0.447])
    assert_allclose(table["impact_ratio"].round(2), [1.0, 0.82])
    assert table["rows"].tolist() == [92, 76]
    assert not table["below_four_fifths"].any()


def test_the_ratios_of_five_races():
    rates = {"asian": 0.642, "black": 0.375, "hispanic": 0.5, "white": 0.625, "other": 0.417}
    race = np.repeat(list(rates), 1000)
    decided = np.concatenate([np.arange(1000) < 1000 * rate for rate in rates.values()])
    table = impact_ratios(decided, sensitive_features={"race": race}).loc["race"]
    assert_allclose(table["impact_ratio"][list(rates)].round(2), [1.0, 0.58, 0.78, 0.97, 0.65])
    flagged = table.index[table["below_four_fifths"]]
    assert set(flagged) == {"black", "hispanic", "other"}
    assert np.isnan(table.loc["asian", "p_value"])


def test_fisher_s_test_is_the_sum_over_tables_that_are_less_likely():
    decided, group = np.concatenate([MEN, WOMEN]), np.repeat(["men", "women"], [92, 76])
    law = hypergeom(168, decided.sum(), 76)
    likely = law.pmf(np.arange(77))
    expected = likely[likely <= law.pmf(34) * (1 + 1e-7)].sum()
    table = impact_ratios(decided, sensitive_features=group)
    assert table["p_value"].iloc[1] == pytest.approx(expected, rel=1e-9)
    heavy = impact_ratios(decided, sensitive_features=group, sample_weight=np.full(168, 7.0))
    pd.testing.assert_frame_equal(heavy, table)


@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.booleans())
@settings(max_examples=40, deadline=None)
def test_attributes_and_intersections_are_those_of_the_rows(seed, n_groups, weighted):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"a": rng.choice(list("pqrs")[:n_groups], 120), "b": rng.choice(["x", "y"], 120)}
    )
    decided, weights = rng.integers(0, 2, 120), rng.integers(1, 4, 120)
    passed = {"sample_weight": weights} if weighted else {}
    table = impact_ratios(decided, sensitive_features=frame, min_share=0.0, pos_label=1, **passed)
    keys = {"a": frame["a"], "b": frame["b"], "a & b": frame["a"] + " & " + frame["b"]}
    assert list(dict.fromkeys(table.index.get_level_values("attribute"))) == list(keys)
    for attribute, groups in keys.items():
        own = table.loc[attribute]
        used = weights if weighted else np.ones(120)
        rates = (
            pd.Series(decided * used).groupby(groups).sum() / pd.Series(used).groupby(groups).sum()
        )
        assert_allclose(own["selection_rate"], rates[own.index])
        assert_array_equal(own["rows"], groups.value_counts()[own.index])
        if rates.max() > 0.0:
            assert_allclose(own["impact_ratio"], rates[own.index] / rates.max())


def test_small_groups_are_shown_but_not_compared():
    group = np.repeat(["a", "b", "tiny"], [60, 39, 1])
    decided = np.concatenate([np.arange(60) < 30, np.arange(39) < 13, [True]])
    table = impact_ratios(decided, sensitive_features=group).loc["group"]
    assert np.isnan(table.loc["tiny", ["impact_ratio", "p_value"]].astype(float)).all()
    assert table.loc["a", "impact_ratio"] == 1.0
    assert not table.loc["tiny", "below_four_fifths"]
    everyone = impact_ratios(decided, sensitive_features=group, min_share=0.0).loc["group"]
    assert everyone.loc["tiny", "impact_ratio"] == 1.0
    assert everyone.loc["a", "impact_ratio"] == 0.5


def test_scores_above_the_median_are_selected():
    scores, group = np.array([1, 2, 3, 4, 5, 6, 7, 8]), list("aaaabbbb")
    table = impact_ratios(scores=scores, sensitive_features=group)
    assert_array_equal(table["selection_rate"], [0.0, 1.0])
    weights = [1, 1, 1, 9, 1, 1, 1, 1]
    weighted = impact_ratios(scores=scores, sensitive_features=group, sample_weight=weights)
    assert_array_equal(weighted["selection_rate"], [0.0, 1.0])
    repeated = impact_ratios(
        scores=np.repeat(scores, weights), sensitive_features=np.repeat(group, weights)
    )
    assert_allclose(repeated["selection_rate"], weighted["selection_rate"])
    shifted = impact_ratios(scores=np.exp(scores), sensitive_features=group)
    pd.testing.assert_frame_equal(shifted, table)


def test_four_fifths_are_not_missed_by_rounding():
    group = np.repeat(["a", "b"], [6, 6])
    decided = np.concatenate([np.arange(6) < 5, np.arange(6) < 4])
    table = impact_ratios(decided, sensitive_features=group)
    assert (4 / 6) / (5 / 6) < 0.8
    assert not table["below_four_fifths"].any()


def test_nobody_may_be_selected():
    table = impact_ratios([0, 0, 0], sensitive_features=list("aab"), pos_label=1)
    assert_array_equal(table["selection_rate"], 0.0)
    assert table["impact_ratio"].isna().all()


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        ({}, "y_pred"),
        ({"y_pred": [0, 1], "scores": [0.1, 0.2]}, "y_pred"),
        ({"y_pred": [0, 0]}, "every decision is 0"),
        ({"y_pred": [0.3, 0.7]}, "scores"),
        ({"y_pred": ["no", "yes"], "pos_label": "Yes"}, "pos_label=.Yes"),
        ({"scores": ["low", "high"]}, "numbers"),
        ({"scores": [0.1, 0.2], "pos_label": 1}, "pos_label"),
        ({"y_pred": [0, 1, 1]}, "rows"),
    ],
)
def test_what_is_refused(arguments, fact):
    with pytest.raises(ValueError, match=fact):
        impact_ratios(**arguments, sensitive_features=["a", "b"])


def test_intervals_cover_the_true_gaps():
    rng, covered, widths = np.random.default_rng(0), [], []
    rates = np.array([[0.2, 0.5], [0.25, 0.6], [0.3, 0.55]])
    truth = {"equal_opportunity": 0.1, "equalized_odds": 0.1}
    for _ in range(300):
        codes, y = rng.integers(0, 3, 600), rng.integers(0, 2, 600)
        decided = rng.random(600) < rates[codes, y]
        found = fairness_gaps(
            y, decided.astype(int), sensitive_features=codes, confidence_level=0.9
        )
        covered.append([found[n].low <= gap <= found[n].high for n, gap in truth.items()])
        widths.append(found["equalized_odds"].high - found["equalized_odds"].low)
        assert all(own.low <= own.value <= own.high for own in found.values())
    assert np.mean(covered, axis=0).min() >= 0.9
    assert np.mean(widths) < 0.5


def test_a_large_gap_is_told_from_none():
    codes = np.repeat([0, 1], 500)
    decided = np.concatenate([np.arange(500) < 400, np.arange(500) < 100]).astype(int)
    plain = fairness_gaps(decided, decided, sensitive_features=codes)
    found = fairness_gaps(decided, decided, sensitive_features=codes, confidence_level=0.95)
    assert found["demographic_parity"].value == plain["demographic_parity"]
    assert found["demographic_parity"].low > 0.5
    assert fairness_gaps([0, 1], [0, 1], sensitive_features=list("ab"), confidence_level=0.95)[
        "equalized_odds"
    ][1:] == (0.0, 1.0)


def test_intervals_refuse_weights_and_levels():
    given = {"y_true": [0, 1, 0, 1], "y_pred": [0, 1, 1, 1], "sensitive_features": list("aabb")}
    with pytest.raises(ValueError, match="sample_weight"):
        fairness_gaps(**given, sample_weight=[1, 1, 2, 2], confidence_level=0.9)
    for level in (0.0, 1.0, "high"):
        with pytest.raises(ValueError, match="confidence_level"):
            fairness_gaps(**given, confidence_level=level)
