import dataclasses

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import (
    MetricFrame,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import accuracy_score
from threadpoolctl import threadpool_limits

from fairsteer.compare import compare
from fairsteer.compare._bootstrap import (
    BOOTSTRAPPED,
    CHUNK,
    GROUP_COLUMNS,
    INTERVAL_COLUMNS,
    chance_gaps,
    draw_counts,
    group_table,
    interval_table,
    resample,
)
from fairsteer.compare._run import GAPS
from fairsteer.compare._summaries import summarize
from fairsteer.metrics import fairness_report
from fairsteer.metrics._gaps import permuted_gaps
from fairsteer.metrics._report import RATES
from tests.compare.test_compare import make_table, tabulate_outcomes

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning:fairlearn")]
METRICS = (selection_rate, true_positive_rate, false_positive_rate, accuracy_score)
NOT_COMPARED = [
    *("steering", "score_steering", "constant"),
    *("exponentiated_gradient", "threshold_optimizer"),
]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def comparison():
    """Compare two methods on three groups, both repeats."""
    return compare(make_table(n=400), cv=2, repeats=2, skip=NOT_COMPARED)


@pytest.fixture(scope="module")
def resampled(comparison):
    return draw(comparison, 3000)


def first_repeat(comparison):
    options = dataclasses.replace(comparison.options, repeats=1)
    return dataclasses.replace(comparison, options=options)


def draw(comparison, n_draws):
    table = comparison.table
    return resample(table.target, table.groups, comparison.finished, 0, n_draws)


def tabulate_intervals(comparison, resampled):
    table = comparison.table
    return interval_table(
        resampled, chance_gaps(table.target, table.groups, comparison.finished, 0)
    )


def tabulate_groups(comparison, resampled):
    return group_table(resampled, tabulate_outcomes(comparison))


def test_intervals_agree_with_those_of_metricframe(comparison):
    table, own = comparison.table, first_repeat(comparison)
    drawn = draw(own, 3000)
    rates = tabulate_groups(own, drawn).set_index(["method", "rate", "group"])
    measures = tabulate_intervals(own, drawn).set_index(["method", "measure"])
    frame = MetricFrame(
        metrics=dict(zip(RATES, METRICS, strict=True)),
        y_true=table.target,
        y_pred=comparison.predictions["logistic", "correlation_remover", 0],
        sensitive_features=table.groups,
        n_boot=200,
        ci_quantiles=[0.025, 0.975],
        random_state=0,
    )

    # Of 200 draws the outer quantiles have a standard error of a twentieth of the interval.
    def check(row, theirs):
        assert_allclose([row["low"], row["high"]], theirs, atol=0.2 * (row["high"] - row["low"]))

    for rate in RATES:
        for group in ("a", "b", "c"):
            theirs = [each.loc[group, rate] for each in frame.by_group_ci]
            check(rates.loc[("correlation_remover", rate, group)], theirs)
    own = measures.loc["correlation_remover"]
    check(own.loc["accuracy"], [each["accuracy"] for each in frame.overall_ci])
    differences = frame.difference_ci(method="between_groups")
    check(own.loc["demographic_parity"], [each["selection_rate"] for each in differences])
    check(own.loc["equal_opportunity"], [each["tpr"] for each in differences])


def odds_gap(y, predicted, groups):
    rates = [
        [predicted[(y == label) & (groups == group)].mean() for group in "abc"] for label in (0, 1)
    ]
    return np.ptp(rates, axis=1).max()


def test_changes_and_equalized_odds_agree_with_drawing_rows_one_by_one(comparison):
    y, groups = comparison.table.target.to_numpy(), comparison.table.groups.to_numpy()
    own = first_repeat(comparison)
    table = tabulate_intervals(own, draw(own, 3000)).set_index(["method", "measure"])
    names = ("unmitigated", "correlation_remover")
    predictions = [comparison.predictions["logistic", name, 0] for name in names]
    rng, differences, accuracy_changes = np.random.default_rng(3), [], []
    for _ in range(1000):
        rows = rng.integers(len(y), size=len(y))
        differences.append([odds_gap(y[rows], p[rows], groups[rows]) for p in predictions])
        right = [np.mean(p[rows] == y[rows]) for p in predictions]
        accuracy_changes.append(right[1] - right[0])
    differences = np.array(differences)
    odds = table.loc[("correlation_remover", "equalized_odds")]
    change = table.loc[("correlation_remover", "accuracy")]
    for row, low, high, drawn in (
        (odds, "low", "high", differences[:, 1]),
        (odds, "change_low", "change_high", differences[:, 1] - differences[:, 0]),
        (change, "change_low", "change_high", np.array(accuracy_changes)),
    ):
        expected = np.quantile(drawn, [0.025, 0.975])
        assert_allclose([row[low], row[high]], expected, atol=0.1 * np.ptp(expected))


def test_values_are_those_of_the_tables(comparison, resampled):
    table = tabulate_intervals(comparison, resampled)
    assert list(table) == list(INTERVAL_COLUMNS)
    summary = summarize(comparison.results)
    for row in table.itertuples():
        measured = summary.loc[(row.estimator, row.method)].xs("mean", level=1)
        assert row.value == pytest.approx(measured[row.measure], abs=1e-12)
        if row.measure in ("accuracy", "balanced_accuracy"):
            assert np.isnan([row.floor, row.floor_high]).all()
        else:
            assert row.floor == pytest.approx(measured[f"floor_{row.measure}"], abs=1e-12)
            assert row.floor < row.floor_high
    assert len(table) == 2 * len(BOOTSTRAPPED)
    assert (table["low"] < table["high"]).all()


def test_the_chance_quantile_is_the_mean_over_the_repeats(comparison, resampled):
    table = tabulate_intervals(comparison, resampled).set_index(["method", "measure"])
    y, groups = comparison.table.target, comparison.table.groups
    for method in ("unmitigated", "correlation_remover"):
        drawn = [
            permuted_gaps(
                y,
                comparison.predictions["logistic", method, r],
                sensitive_features=groups,
                random_state=0,
            )
            for r in range(2)
        ]
        for name in GAPS:
            expected = np.mean([np.quantile(repeat[name], 0.95) for repeat in drawn])
            assert table.loc[(method, name), "floor_high"] == pytest.approx(expected, abs=1e-12)


def test_rates_are_those_of_the_groups(comparison, resampled):
    table = tabulate_groups(comparison, resampled)
    assert list(table) == list(GROUP_COLUMNS)
    assert len(table) == 2 * 3 * len(RATES)
    assert_allclose(table["after"] - table["before"], table["change"], atol=1e-12)
    reports = [
        fairness_report(
            comparison.table.target,
            comparison.predictions["logistic", "correlation_remover", repeat],
            sensitive_features=comparison.table.groups,
        )
        for repeat in range(2)
    ]
    for row in table[table["method"] == "correlation_remover"].itertuples():
        assert row.after == pytest.approx(np.mean([r.loc[row.group, row.rate] for r in reports]))
        assert row.rows == reports[0].loc[row.group, "rows"]
        assert row.low < row.after < row.high
        assert (row.leveling_down is None) == (row.rate in ("fpr", "accuracy"))


def test_draws_keep_the_number_of_rows_and_the_first_is_the_table(comparison):
    table = comparison.table
    codes = pd.factorize(table.groups, sort=True)[0]
    predictions = np.array([comparison.predictions["logistic", "unmitigated", r] for r in range(2)])
    sizes, selected = draw_counts(table.target, codes, predictions, 2 * CHUNK + 7, 0)
    assert sizes.shape == (2 * CHUNK + 8, 1, 2, 3)
    assert selected.shape == (2 * CHUNK + 8, 2, 2, 3)
    assert_array_equal(sizes.sum(axis=(1, 2, 3)), len(codes))
    assert (selected <= sizes).all()
    for label in (0, 1):
        for a in range(3):
            own = (table.target == label).to_numpy() & (codes == a)
            assert sizes[0, 0, label, a] == own.sum()
            assert_array_equal(selected[0, :, label, a], predictions[:, own].sum(axis=1))
    share = sizes[1:].mean(axis=0) / sizes[0]
    assert_allclose(share, 1.0, atol=0.06)


def test_the_order_of_rows_does_not_matter(comparison):
    codes = pd.factorize(comparison.table.groups, sort=True)[0]
    target = comparison.table.target.to_numpy()
    predicted = comparison.predictions["logistic", "unmitigated", 0][None]
    order = np.random.default_rng(0).permutation(len(codes))
    first = draw_counts(target, codes, predicted, 20, 5)
    second = draw_counts(target[order], codes[order], predicted[:, order], 20, 5)
    other = draw_counts(target, codes, predicted, 20, 6)
    for one, same, different in zip(first, second, other, strict=True):
        assert_array_equal(one, same)
        assert (one != different).any()


def test_a_method_does_not_differ_from_itself(comparison, resampled):
    table = tabulate_intervals(comparison, resampled).set_index("method").loc["unmitigated"]
    assert_array_equal(table[["change", "change_low", "change_high"]], 0.0)


def test_without_unmitigated_there_is_no_change(comparison):
    rest = {key: p for key, p in comparison.predictions.items() if key[1] != "unmitigated"}
    alone = dataclasses.replace(comparison, predictions=rest)
    drawn = draw(alone, 20)
    assert drawn.methods == [("logistic", "correlation_remover")]
    for table in (tabulate_intervals(alone, drawn), tabulate_groups(alone, drawn)):
        assert table[["change", "change_low", "change_high"]].isna().all(axis=None)
        assert table[["low", "high"]].notna().all(axis=None)


def test_a_draw_without_a_subgroup_is_left_out():
    target, codes = np.array([1, 0, 1, 0, 1, 0]), np.array([0, 0, 1, 1, 2, 2])
    sizes, _ = draw_counts(target, codes, target[None], 50, 0)
    assert (sizes == 0).any()
    table = dataclasses.replace(
        make_table(n=6), target=pd.Series(target), groups=pd.Series(list("aabbcc"))
    )
    made = compare(make_table(), cv=2, skip=[*NOT_COMPARED, "correlation_remover"])
    predictions = {("logistic", "unmitigated", 0): target}
    small = dataclasses.replace(made, table=table, predictions=predictions)
    drawn = draw(small, 200)
    assert np.isnan(drawn.measures["equal_opportunity"]).any()
    row = tabulate_intervals(small, drawn).set_index("measure").loc["equal_opportunity"]
    assert (row["low"], row["high"]) == (0.0, 0.0)
