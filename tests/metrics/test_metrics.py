import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from fairlearn.metrics import (
    demographic_parity_difference,
    equal_opportunity_difference,
    equalized_odds_difference,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from numpy.testing import assert_allclose
from sklearn.metrics import accuracy_score

from fairsteer.metrics import (
    fairness_gaps,
    fairness_report,
    leveling_down,
    noise_floor,
    rms_tpr_gap,
    rms_tpr_gap_floor,
    tpr_by_label,
)
from fairsteer.metrics._gaps import (
    largest_differences,
    permuted_changes,
    permuted_gaps,
    spreads,
)

FAIRLEARN = {
    "demographic_parity": demographic_parity_difference,
    "equal_opportunity": equal_opportunity_difference,
    "equalized_odds": equalized_odds_difference,
}


@pytest.fixture
def sample():
    """300 rows, three groups of different size, predictions that depend on label and group."""
    rng = np.random.default_rng(3)
    groups = rng.choice(["a", "b", "c"], size=300, p=[0.5, 0.3, 0.2])
    y = rng.integers(0, 2, 300)
    p = 0.2 + 0.4 * y + 0.2 * (groups == "b")
    return y, (rng.random(300) < p).astype(int), groups


# ------------------------------------------------------------------------------------------- gaps


def test_gaps_equal_those_of_fairlearn(sample):
    y, predicted, groups = sample
    measured = fairness_gaps(y, predicted, sensitive_features=groups)
    assert list(measured) == list(FAIRLEARN)
    for name, difference in FAIRLEARN.items():
        assert measured[name] == difference(y, predicted, sensitive_features=groups)


def test_gaps_of_several_columns_are_those_of_the_intersection(sample):
    y, predicted, groups = sample
    age = np.arange(300) % 2
    joined = [f"{g}{a}" for g, a in zip(groups, age, strict=True)]
    both = fairness_gaps(y, predicted, sensitive_features=pd.DataFrame({"g": groups, "age": age}))
    assert both == fairness_gaps(y, predicted, sensitive_features=joined)


def test_gaps_take_lists_booleans_and_series_with_any_index(sample):
    y, predicted, groups = sample
    shuffled = pd.Series(groups, index=np.arange(300)[::-1])
    measured = fairness_gaps(list(y == 1), predicted == 1, sensitive_features=shuffled)
    assert measured == fairness_gaps(y, predicted, sensitive_features=groups)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [pl.Series, pl.DataFrame, pa.table])
def test_metrics_take_columns_of_other_libraries(sample, kind):
    y, predicted, groups = sample
    table = {"sex": groups.tolist()}
    attribute = pl.Series("sex", groups) if kind is pl.Series else kind(table)
    y_other, predicted_other = pl.Series(y), pa.chunked_array([predicted])
    report = fairness_report(y_other, predicted_other, sensitive_features=attribute)
    expected = fairness_report(y, predicted, sensitive_features=pd.DataFrame(table))
    pd.testing.assert_frame_equal(report, expected)
    measured = fairness_gaps(y_other, predicted_other, sensitive_features=attribute)
    assert measured == expected.attrs["gaps"]


def test_a_gap_that_depends_on_a_missing_subgroup_is_nan_and_one_in_fairlearn():
    y, predicted, groups = [1, 1, 0, 0], [1, 1, 0, 0], ["a", "a", "a", "b"]
    assert equal_opportunity_difference(y, predicted, sensitive_features=groups) == 1.0
    measured = fairness_gaps(y, predicted, sensitive_features=groups)
    floors = noise_floor(y, predicted, sensitive_features=groups)
    drawn = permuted_gaps(y, predicted, sensitive_features=groups)
    drawn = {name: values[0] for name, values in drawn.items()}
    for values in (measured, floors, drawn):
        assert np.isnan(values["equal_opportunity"])
        assert np.isnan(values["equalized_odds"])
        assert np.isfinite(values["demographic_parity"])
    no_negatives = fairness_gaps([1, 0, 1], [1, 0, 1], sensitive_features=["a", "a", "b"])
    assert np.isnan(no_negatives["equalized_odds"])
    assert no_negatives["equal_opportunity"] == 0


@pytest.mark.parametrize("function", [fairness_gaps, noise_floor, permuted_gaps])
def test_gaps_refuse_labels_other_than_0_and_1(function):
    with pytest.raises(ValueError, match=r"y_pred .*\[0, 2\]"):
        function([0, 1], [0, 2], sensitive_features=["a", "b"])


# ------------------------------------------------------------------------------------ noise floor


@pytest.mark.slow
@pytest.mark.parametrize("n_groups", [2, 3])
def test_noise_floor_is_the_mean_gap_over_permutations(sample, n_groups):
    y, predicted, groups = sample
    keep = np.isin(groups, ["a", "b", "c"][:n_groups])
    y, predicted, groups = y[keep], predicted[keep], groups[keep]
    rng = np.random.default_rng(0)
    drawn = {name: [] for name in FAIRLEARN}
    for _ in range(30):
        within = groups.copy()
        for label in (0, 1):
            within[y == label] = rng.permutation(groups[y == label])
        for name, difference in FAIRLEARN.items():
            permuted = rng.permutation(groups) if name == "demographic_parity" else within
            drawn[name].append(difference(y, predicted, sensitive_features=permuted))
    floor = noise_floor(y, predicted, sensitive_features=groups, n_permutations=20_000)
    for name, values in drawn.items():
        error = np.std(values) / np.sqrt(len(values))
        assert abs(floor[name] - np.mean(values)) < 4 * error, name


def test_permuted_gaps_are_those_of_the_floor_and_spread_like_permutations(sample):
    y, predicted, groups = sample
    drawn = permuted_gaps(
        y, predicted, sensitive_features=groups, n_permutations=500, random_state=4
    )
    floor = noise_floor(y, predicted, sensitive_features=groups, n_permutations=500, random_state=4)
    assert {values.shape for values in drawn.values()} == {(500,)}
    assert {name: values.mean() for name, values in drawn.items()} == floor
    rng = np.random.default_rng(0)
    codes = np.unique(groups, return_inverse=True)[1]
    shuffled = [np.bincount(rng.permutation(codes), weights=predicted) for _ in range(2000)]
    parity = np.ptp(shuffled / np.bincount(codes), axis=1)
    below = np.mean(parity <= np.quantile(drawn["demographic_parity"], 0.95))
    assert abs(below - 0.95) < 4 * np.sqrt(0.95 * 0.05 * (1 / 500 + 1 / 2000))


def test_noise_floor_agrees_with_theory_section_5():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 2000)
    groups = np.tile([0, 1], 2000)
    predicted = (rng.random(4000) < 0.3 + 0.3 * y).astype(int)
    floor = noise_floor(y, predicted, sensitive_features=groups, n_permutations=20_000)
    rate = predicted[y == 1].mean()
    expected = np.sqrt(2 / np.pi) * np.sqrt(rate * (1 - rate) * (2 / 1000))
    assert_allclose(floor["equal_opportunity"], expected, rtol=0.03)


def test_noise_floor_is_seeded_and_needs_no_order_of_rows(sample):
    y, predicted, groups = sample
    order = np.random.default_rng(1).permutation(300)
    floor = noise_floor(y, predicted, sensitive_features=groups)
    assert noise_floor(y[order], predicted[order], sensitive_features=groups[order]) == floor
    assert noise_floor(y, predicted, sensitive_features=groups, random_state=1) != floor


def test_noise_floor_of_constant_predictions_is_zero(sample):
    y, _, groups = sample
    assert set(noise_floor(y, np.ones_like(y), sensitive_features=groups).values()) == {0.0}


# ----------------------------------------------------------------------------------------- report


def test_report_holds_the_rates_of_every_group_and_the_gaps(sample):
    y, predicted, groups = sample
    report = fairness_report(y, predicted, sensitive_features=groups)
    assert list(report.columns) == ["rows", "selection_rate", "tpr", "fpr", "accuracy"]
    assert list(report.index) == ["a", "b", "c", "gap"]
    functions = {
        "selection_rate": selection_rate,
        "tpr": true_positive_rate,
        "fpr": false_positive_rate,
        "accuracy": accuracy_score,
    }
    for group in "abc":
        rows = groups == group
        assert report.loc[group, "rows"] == rows.sum()
        for name, rate in functions.items():
            assert_allclose(report.loc[group, name], rate(y[rows], predicted[rows]))
    assert report.attrs["gaps"] == fairness_gaps(y, predicted, sensitive_features=groups)
    assert report.loc["gap", "rows"] == 300
    assert report.loc["gap", "selection_rate"] == report.attrs["gaps"]["demographic_parity"]
    assert report.loc["gap", "tpr"] == report.attrs["gaps"]["equal_opportunity"]
    assert report.loc["gap", ["tpr", "fpr"]].max() == report.attrs["gaps"]["equalized_odds"]
    assert pd.api.types.is_integer_dtype(report["rows"])


def test_report_before_and_after(sample):
    y, predicted, groups = sample
    before = fairness_report(y, predicted, sensitive_features=groups)
    after = fairness_report(y, y, sensitive_features=groups)
    both = fairness_report(y, y, sensitive_features=groups, y_pred_before=predicted)
    for rate in ("selection_rate", "tpr", "fpr", "accuracy"):
        assert_allclose(both[rate, "before"], before[rate])
        assert_allclose(both[rate, "after"], after[rate])
    assert both.attrs["gaps"] == {"before": before.attrs["gaps"], "after": after.attrs["gaps"]}
    assert both["leveling_down"].dtype == bool
    assert list(both["rows"]) == list(before["rows"])


def report_leveling(after, tolerance=0.01):
    """Report on two groups with TPR 3/4 and 1/4 before, after an intervention."""
    y = [1, 1, 1, 1, 0] * 2
    groups = ["better"] * 5 + ["worse"] * 5
    before = [1, 1, 1, 0, 0] + [1, 0, 0, 0, 0]
    return fairness_report(
        y, after, sensitive_features=groups, y_pred_before=before, tolerance=tolerance
    )


def test_a_gap_closed_only_by_losses_is_leveling_down():
    report = report_leveling([1, 0, 0, 0, 0] * 2)
    assert report["leveling_down"].to_dict() == {"better": True, "worse": False, "gap": True}
    assert report.attrs["leveling_down"] == {"selection_rate": ["better"], "tpr": ["better"]}


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ([1, 1, 0, 0, 0] * 2, "one group loses, the other gains"),
        ([1, 1, 1, 0, 0] * 2, "the gap is closed by a gain"),
        ([1, 1, 1, 0, 0] + [1, 0, 0, 0, 0], "nothing changed"),
        ([1, 1, 1, 0, 0] + [0, 0, 0, 0, 0], "the worse-off lose: the gap grew"),
        ([1, 1, 1, 1, 0] + [1, 0, 0, 0, 0], "the better-off gain: the gap grew"),
    ],
)
def test_other_changes_are_not_leveling_down(after, why):
    report = report_leveling(after)
    assert not report["leveling_down"].any(), why
    assert report.attrs["leveling_down"] == {"selection_rate": [], "tpr": []}


def test_changes_within_the_tolerance_do_not_count():
    assert not report_leveling([1, 0, 0, 0, 0] * 2, tolerance=0.6)["leveling_down"].any()


def test_a_single_row_is_not_leveling_down():
    y = [1, 1, 1, 1, 0] * 2
    groups = ["better"] * 5 + ["worse"] * 5
    before = [1, 1, 1, 1, 0] + [1, 0, 0, 0, 0]
    one, two = [1, 1, 1, 0, 0] + [1, 0, 0, 0, 0], [1, 1, 0, 0, 0] + [1, 0, 0, 0, 0]
    for after, flagged in ((one, False), (two, True)):
        report = fairness_report(y, after, sensitive_features=groups, y_pred_before=before)
        assert report["leveling_down"].to_dict() == {
            "better": flagged,
            "worse": False,
            "gap": flagged,
        }


@pytest.mark.parametrize("n", [3, 7, 49, 93, 1001])
def test_rounding_does_not_turn_a_single_row_into_more(n):
    rates = pd.DataFrame({"selection_rate": [1.0, 0.0], "tpr": [1.0, 0.0]}, list("ab"))
    rows = pd.DataFrame({"selection_rate": [n, 1], "tpr": [n, 1]}, list("ab"))
    for lost, flagged in ((1, False), (2, True)):
        after = rates.copy()
        after.loc["a"] = (n - lost) / n
        flags = leveling_down(rates, after, rows, tolerance=0.0)
        assert flags.loc["a"].tolist() == [flagged, flagged]


def test_leveling_down_with_three_groups_flags_all_that_lost():
    before = pd.DataFrame({"selection_rate": [0.6, 0.5, 0.2], "tpr": [0.6, 0.5, 0.2]}, list("abc"))
    after = pd.DataFrame({"selection_rate": [0.3, 0.3, 0.2], "tpr": [0.3, 0.3, 0.3]}, list("abc"))
    rows = pd.DataFrame({"selection_rate": [20, 20, 20], "tpr": [10, 10, 10]}, list("abc"))
    flags = leveling_down(before, after, rows)
    assert flags["selection_rate"].tolist() == [True, True, False]
    assert flags["tpr"].tolist() == [False, False, False]  # c gained


def test_report_of_several_columns_has_only_the_intersections_that_occur():
    frame = pd.DataFrame({"sex": list("ffffmm"), "age": [30, 30, 60, 60, 30, 30]})
    y = ["n", "y"] * 3
    report = fairness_report(y, y, sensitive_features=frame)
    assert report.index.names == ["sex", "age"]
    assert list(report.index) == [("f", 30), ("f", 60), ("m", 30), ("gap", "")]
    assert report.loc[("f", 60), "rows"] == 2
    named = fairness_report(y, y, sensitive_features={"sex": frame["sex"], "age": frame["age"]})
    pd.testing.assert_frame_equal(named, report)


def test_the_last_sorted_label_is_favorable_by_default():
    y, groups = ["no", "yes", "no", "yes"], ["a", "a", "b", "b"]
    predicted = ["yes", "yes", "no", "no"]
    default = fairness_report(y, predicted, sensitive_features=groups)
    assert default.loc["a", "selection_rate"] == 1
    other = fairness_report(y, predicted, sensitive_features=groups, pos_label="no")
    assert other.loc["a", "selection_rate"] == 0


def test_more_than_two_labels_are_one_against_the_rest_but_accuracy_counts_all():
    y = [0, 1, 2, 0, 1, 2]
    predicted = [1, 0, 2, 0, 1, 2]
    report = fairness_report(y, predicted, sensitive_features=list("aaabbb"))
    assert report.loc["a", "selection_rate"] == pytest.approx(1 / 3)
    assert report.loc["a", "tpr"] == 1
    assert report.loc["a", "fpr"] == 0
    assert report.loc["a", "accuracy"] == pytest.approx(1 / 3)


def test_the_warning_of_undefined_rates_points_to_the_caller():
    with pytest.warns(UserWarning, match="no rows with label 1") as warned:
        fairness_report([1, 0, 0], [1, 0, 0], sensitive_features=["a", "a", "b"])
    assert {warning.filename for warning in warned} == {__file__}


def test_undefined_rates_are_nan_and_the_warning_names_their_groups():
    y, groups = [1, 0, 0, 0, 1], ["a", "a", "b", "b", "c"]
    with pytest.warns(UserWarning) as caught:
        report = fairness_report(y, y, sensitive_features=groups)
    positives, negatives = [str(warning.message) for warning in caught]
    for text, label, group, undefined in (
        (positives, "with label 1", "['b']", {"TPR", "equal_opportunity", "equalized_odds"}),
        (negatives, "with another label than 1", "['c']", {"FPR", "equalized_odds"}),
    ):
        assert label in text
        assert group in text
        measures = ("TPR", "FPR", "demographic_parity", "equal_opportunity", "equalized_odds")
        assert {name for name in measures if name in text} == undefined
    assert np.isnan(report.loc["b", "tpr"])
    assert np.isnan(report.loc["c", "fpr"])
    assert np.isnan(report.loc["gap", ["tpr", "fpr"]]).all()
    assert np.isnan(report.attrs["gaps"]["equal_opportunity"])


def test_a_missing_attribute_value_is_refused_with_the_name_of_its_column():
    frame = pd.DataFrame({"sex": ["f", "m"], "race": ["x", None]})
    with pytest.raises(ValueError, match="'race' has 1 missing"):
        fairness_report([0, 1], [0, 1], sensitive_features=frame)
    with pytest.raises(ValueError, match="'sex' has 1 missing"):
        fairness_report([0, 1], [0, 1], sensitive_features=pd.Series(["f", None], name="sex"))
    with pytest.raises(ValueError, match="'sensitive_features' has 1 missing"):
        fairness_report([0, 1], [0, 1], sensitive_features=[1.0, np.nan])


def test_missing_values_in_lists_of_text_do_not_become_text():
    nan = float("nan")
    for missing in (nan, None, np.nan, pd.NA):
        with pytest.raises(ValueError, match="'sensitive_features' has 1 missing"):
            fairness_gaps([0, 1], [0, 1], sensitive_features=["a", missing])
        with pytest.raises(ValueError, match=r"\[:, 1\]' has 1 missing"):
            fairness_gaps([0, 1], [0, 1], sensitive_features=[["a", "x"], ["b", missing]])
        with pytest.raises(ValueError, match="y_pred .* 1 row"):
            fairness_report(["a", "b"], ["a", missing], sensitive_features=["a", "b"])


def test_lists_and_arrays_give_the_same_report(sample):
    y, predicted, groups = sample
    report = fairness_report(y, predicted, sensitive_features=groups)
    lists = fairness_report(y.tolist(), predicted.tolist(), sensitive_features=groups.tolist())
    pd.testing.assert_frame_equal(lists, report)
    with pytest.raises(ValueError, match=r"y_true .*\[0, 'b'\]"):
        fairness_gaps([0, "b"], [0, 1], sensitive_features=["a", "b"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, np.nan], [0, 1], ["a", "b"]), "y_true .* 1 row"),
        (([0, 1], ["0", "1"], ["a", "b"]), "y_true and y_pred mix"),
        (([[0, 1], [1, 0]], [0, 1], ["a", "b"]), r"y_true .*\(2, 2\)"),
        (([], [], []), "y_true .*at least one row"),
        (([0, 1], [0, 1], [["a", "x"], "b"]), "'sensitive_features' holds lists"),
        (([0, 1, 1], [0, 1], ["a", "b"]), "y_pred has 2 rows, but y_true has 3"),
        (([0, 1], [0, 1], ["a", "b", "b"]), "sensitive_features has 3 rows, but y_true has 2"),
        (([0, 1], [0, 1], pd.DataFrame(index=[0, 1])), "sensitive_features must have shape"),
    ],
)
def test_bad_input_is_named(arguments, message):
    y, predicted, groups = arguments
    with pytest.raises((TypeError, ValueError), match=message):
        fairness_report(y, predicted, sensitive_features=groups)


def test_an_unknown_positive_label_is_refused():
    with pytest.raises(ValueError, match=r"pos_label='yes'.*\[0, 1\]"):
        fairness_report([0, 1], [0, 1], sensitive_features=["a", "b"], pos_label="yes")


def test_a_column_vector_of_labels_is_accepted():
    y = np.array([[0], [1], [0], [1]])
    assert fairness_report(y, y, sensitive_features=list("aabb")).loc["gap", "tpr"] == 0


@pytest.mark.filterwarnings("ignore:A boosted classifier recovers:fairsteer.SteeringWarning")
@pytest.mark.slow
def test_the_example_of_the_readme_prints_the_output_shown():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    code, shown = re.search(r"```python\n(.*?)```.*?```text\n(.*?)```", readme, re.DOTALL).groups()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    assert printed.getvalue().split() == shown.split()


# --------------------------------------------------------------------------------------- weights


def all_metrics(y, predicted, groups, **given):
    report = fairness_report(y, predicted, sensitive_features=groups, **given)
    gaps = fairness_gaps(y, predicted, sensitive_features=groups, **given)
    assert report.attrs["gaps"] == gaps
    rates = tpr_by_label(y, predicted, sensitive_features=groups, **given)
    assert report.attrs["tpr_gaps"] == rates["gap"].to_dict()
    rms = rms_tpr_gap(y, predicted, sensitive_features=groups, **given)
    assert report.attrs["rms_tpr_gap"] == rms
    return report.drop(columns="rows").to_numpy(), *gaps.values(), rms


@pytest.mark.parametrize("scale", [1.0, 1e-3, 7.0])
def test_weights_are_ratios_and_weight_2_is_the_row_twice(sample, scale):
    y, predicted, groups = sample
    times = np.random.default_rng(0).integers(0, 4, len(y))
    weighted = all_metrics(y, predicted, groups, sample_weight=times * scale)
    repeated = all_metrics(*(np.repeat(part, times) for part in sample))
    for found, expected in zip(weighted, repeated, strict=True):
        assert_allclose(found, expected, atol=1e-12)


def test_rows_are_counted_without_weights_and_a_row_of_weight_0_is_no_row(sample):
    y, predicted, groups = sample
    weights = np.where(groups == "c", 0.0, 3.0)
    kept = groups != "c"
    report = fairness_report(y, predicted, sensitive_features=groups, sample_weight=weights)
    expected = fairness_report(y[kept], predicted[kept], sensitive_features=groups[kept])
    pd.testing.assert_frame_equal(report, expected)
    floor = noise_floor(y, predicted, sensitive_features=groups, sample_weight=weights)
    assert floor == noise_floor(y[kept], predicted[kept], sensitive_features=groups[kept])


def test_floors_do_not_depend_on_positive_weights(sample):
    y, predicted, groups = sample
    weights = np.random.default_rng(0).random(len(y)) + 0.1
    for floor in (noise_floor, rms_tpr_gap_floor):
        found = floor(y, predicted, sensitive_features=groups, sample_weight=weights)
        assert found == floor(y, predicted, sensitive_features=groups)


# ---------------------------------------------------------------------------- scores and labels


@pytest.mark.parametrize(
    "function", [fairness_gaps, noise_floor, fairness_report, tpr_by_label, rms_tpr_gap]
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, object])
def test_scores_are_refused_with_the_way_to_labels(sample, function, dtype):
    y, predicted, groups = sample
    scores = (0.3 + 0.4 * predicted).astype(dtype)
    with pytest.raises(ValueError, match=r"scores.*np\.where\(y_pred >= 0\.5, 1, 0\)"):
        function(y, scores, sensitive_features=groups)


def test_scores_of_text_labels_and_before_an_intervention(sample):
    y, predicted, groups = sample
    y = np.where(y, "yes", "no")
    with pytest.raises(ValueError, match=r"y_pred_before has scores.*>= 0\.5, 'yes', 'no'\)"):
        fairness_report(y, y, sensitive_features=groups, y_pred_before=predicted + 0.5)


def test_labels_without_a_row_may_be_predicted_if_they_are_named():
    y, predicted, groups = ["x", "y", "x", "y"], ["x", "y", "z", "y"], ["a", "a", "b", "b"]
    rows = {"sensitive_features": groups}
    for function in (fairness_report, tpr_by_label, rms_tpr_gap, rms_tpr_gap_floor):
        with pytest.raises(ValueError, match=r"\['z'\].*\['x', 'y'\].*labels="):
            function(y, predicted, **rows)
    rates = tpr_by_label(y, predicted, **rows, labels=["x", "y", "z"])
    assert rates["gap"].to_dict() == {"x": 1.0, "y": 0.0}
    report = fairness_report(y, predicted, **rows, labels=["x", "y", "z"], pos_label="y")
    assert report["accuracy"].to_dict() == {"a": 1.0, "b": 0.5, "gap": 0.5}
    with pytest.warns(UserWarning, match="no rows with label 'z'"):
        named = fairness_report(y, predicted, **rows, pos_label="z")
    assert named.loc["b", "selection_rate"] == 0.5


# ------------------------------------------------------------------------- a group called "gap"


@pytest.mark.parametrize("names", [("a", "gap"), ("gap", "gap_")])
def test_the_gap_is_not_confused_with_a_group_of_this_name(names):
    y, predicted, groups = [1, 0, 1, 0], [1, 0, 0, 0], np.repeat(names, 2)
    own = names[1] + "_"
    report = fairness_report(y, predicted, sensitive_features=groups, y_pred_before=y)
    assert list(report.index) == [*names, own]
    assert report.loc[own, ("tpr", "after")] == 1.0
    rates = tpr_by_label(y, predicted, sensitive_features=groups)
    assert list(rates.columns) == [*names, own]
    assert rms_tpr_gap(y, predicted, sensitive_features=groups) == pytest.approx(np.sqrt(0.5))


def test_the_gap_of_several_columns_is_not_confused_either():
    groups = pd.DataFrame({"s": ["gap", "gap", "b", "b"] * 2, "t": ["", "x", "", "x"] * 2})
    y = np.repeat([0, 1], 4)
    report = fairness_report(y, y, sensitive_features=groups)
    assert report.index.is_unique
    assert len(report.loc["gap"]) == 2
    assert report.index[-1] == ("gap_", "")


@pytest.mark.parametrize("share", [0.1, 1.0])
@pytest.mark.parametrize("measure", [largest_differences, spreads])
def test_permuted_changes_spread_like_permutations(rng, share, measure):
    n = 600
    y, groups = rng.integers(2, size=n), rng.choice(3, size=n, p=[0.6, 0.3, 0.1])
    before = rng.integers(2, size=n)
    after = np.where(rng.random(n) < share, 1 - before, before)
    options = {"sensitive_features": groups, "n_permutations": 4000, "measure": measure}
    drawn = permuted_changes(y, before, after, **options)
    rates = {name: [] for name in drawn}

    def measure_means(moved, own):
        means = np.array([[moved[own == a].mean() for a in range(3)]])
        return measure(means, np.bincount(own, minlength=3))[0]

    for _ in range(4000):
        by_label = [
            measure_means((after - before)[y == label], rng.permutation(groups[y == label]))
            for label in (0, 1)
        ]
        whole = measure_means(after - before, rng.permutation(groups))
        for name, value in zip(rates, (whole, by_label[1], max(by_label)), strict=True):
            rates[name].append(value)
    for name, values in rates.items():
        assert drawn[name].mean() == pytest.approx(np.mean(values), rel=0.05)
        assert np.quantile(drawn[name], 0.95) == pytest.approx(np.quantile(values, 0.95), rel=0.08)
    none = permuted_changes(y, before, before, sensitive_features=groups)
    assert all((own == 0.0).all() for own in none.values())
