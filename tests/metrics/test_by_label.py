"""True positive rates of many labels against fairlearn's, and their floor against permutations."""

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import recall_score

from fairsteer.metrics import fairness_report, rms_tpr_gap, rms_tpr_gap_floor, tpr_by_label

LABELS, GROUPS = np.array(["x", "y", "z"]), np.array(["a", "b", "c"])


@pytest.fixture
def sample():
    """500 rows of three labels and groups, predicted correctly more often in some groups."""
    rng = np.random.default_rng(0)
    y, groups = rng.choice(LABELS, 500), rng.choice(GROUPS, 500, p=[0.5, 0.3, 0.2])
    known = rng.uniform(size=500) < np.where(groups == "a", 0.9, 0.6)
    return y, np.where(known, y, rng.choice(LABELS, 500)), groups


def test_rates_equal_fairlearn_for_every_label_against_the_rest(sample):
    y, predicted, groups = sample
    found = tpr_by_label(y, predicted, sensitive_features=groups)
    assert list(found.columns) == [*GROUPS, "gap"]
    for label in LABELS:
        frame = MetricFrame(
            metrics=recall_score,
            y_true=y == label,
            y_pred=predicted == label,
            sensitive_features=groups,
        )
        np.testing.assert_allclose(found.loc[label, GROUPS].astype(float), frame.by_group)
        assert found.loc[label, "gap"] == pytest.approx(frame.difference())
    expected = np.sqrt(np.mean(found["gap"] ** 2))
    assert rms_tpr_gap(y, predicted, sensitive_features=groups) == pytest.approx(expected)


def test_the_report_has_the_gaps_of_every_label_before_and_after(sample):
    y, predicted, groups = sample
    report = fairness_report(y, predicted, sensitive_features=groups)
    gap = tpr_by_label(y, predicted, sensitive_features=groups)["gap"]
    assert report.attrs["tpr_gaps"] == gap.to_dict()
    assert report.attrs["rms_tpr_gap"] == rms_tpr_gap(y, predicted, sensitive_features=groups)
    both = fairness_report(y, y, sensitive_features=groups, y_pred_before=predicted)
    assert both.attrs["tpr_gaps"]["before"] == gap.to_dict()
    assert both.attrs["rms_tpr_gap"] == {"before": report.attrs["rms_tpr_gap"], "after": 0.0}
    assert len(pd.concat([report, report])) == 2 * len(report)


def test_with_two_labels_the_positive_label_has_the_equal_opportunity_gap(sample):
    y, predicted, groups = (np.where(part == "z", "x", part) for part in sample)
    report = fairness_report(y, predicted, sensitive_features=groups, pos_label="y")
    assert report.attrs["tpr_gaps"]["y"] == pytest.approx(report.attrs["gaps"]["equal_opportunity"])


def test_several_attributes_are_their_intersection(sample):
    y, predicted, groups = sample
    age = np.arange(500) % 2
    found = tpr_by_label(
        y, predicted, sensitive_features=pd.DataFrame({"group": groups, "age": age})
    )
    assert found.columns.nlevels == 2
    joined = [f"{g}{a}" for g, a in zip(groups, age, strict=True)]
    expected = tpr_by_label(y, predicted, sensitive_features=joined)
    np.testing.assert_allclose(found, expected)


def test_a_missing_subgroup_leaves_gaps_undefined():
    y, groups = ["x", "x", "y", "y"], ["a", "b", "a", "a"]
    found = tpr_by_label(y, y, sensitive_features=groups)
    assert np.isnan(found.loc["y", "b"])
    assert np.isnan(found.loc["y", "gap"])
    assert found.loc["x", "gap"] == 0.0
    assert np.isnan(rms_tpr_gap(y, y, sensitive_features=groups))
    assert np.isnan(rms_tpr_gap_floor(y, y, sensitive_features=groups))


def test_the_floor_is_the_mean_over_permutations_within_labels(sample):
    y, predicted, groups = sample
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(400):
        permuted = groups.copy()
        for label in LABELS:
            rows = np.flatnonzero(y == label)
            permuted[rows] = rng.permutation(permuted[rows])
        drawn.append(rms_tpr_gap(y, predicted, sensitive_features=permuted))
    floor = rms_tpr_gap_floor(y, predicted, sensitive_features=groups, n_permutations=4000)
    assert floor == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / 20)
    again = rms_tpr_gap_floor(y, predicted, sensitive_features=groups, random_state=0)
    assert again == rms_tpr_gap_floor(y, predicted, sensitive_features=groups, random_state=0)
    assert floor < rms_tpr_gap(y, predicted, sensitive_features=groups)


@given(st.integers(0, 2**16), st.sampled_from([2, 3, 4]))
def test_order_of_rows_and_names_of_groups_do_not_matter(seed, n_groups):
    rng = np.random.default_rng(seed)
    y, predicted = rng.integers(0, 3, size=(2, 60))
    groups = rng.integers(0, n_groups, size=60)
    value = rms_tpr_gap(y, predicted, sensitive_features=groups)
    order = rng.permutation(60)
    names = np.array(["w", "q", "r", "k"])[rng.permutation(4)]
    renamed = rms_tpr_gap(y[order], predicted[order], sensitive_features=names[groups[order]])
    np.testing.assert_allclose(renamed, value)


@pytest.mark.parametrize(
    ("y", "predicted", "groups", "message"),
    [
        (["x", "y"], ["x"], ["a", "b"], "y_pred has 1 rows, but y_true has 2"),
        ([], [], [], "y_true .*at least one row"),
        (["x", None], ["x", "y"], ["a", "b"], "y_true .* 1 row"),
        (["x", "y"], ["x", "y"], ["a", None], "has 1 missing"),
        (["x", "y"], [0, 1], ["a", "b"], "y_true and y_pred mix"),
    ],
)
def test_bad_input_is_named(y, predicted, groups, message):
    with pytest.raises(ValueError, match=message):
        tpr_by_label(y, predicted, sensitive_features=groups)


def test_a_floor_needs_permutations():
    with pytest.raises(ValueError, match="n_permutations"):
        rms_tpr_gap_floor([0], [0], sensitive_features=["a"], n_permutations=0)
