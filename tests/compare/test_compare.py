import dataclasses
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score
from threadpoolctl import threadpool_limits

from fairsteer.compare import _methods as mitigators
from fairsteer.compare import compare
from fairsteer.compare._methods import METHODS, make_estimator
from fairsteer.compare._options import check_options
from fairsteer.compare._run import COLUMNS, Unit, run_unit, split_rows
from fairsteer.compare._summaries import group_outcomes, summarize
from fairsteer.compare._table import Table
from fairsteer.exceptions import UsageError
from fairsteer.metrics import fairness_gaps, noise_floor

pytestmark = pytest.mark.slow

ALL = list(METHODS)
QUICK = ["exponentiated_gradient", "threshold_optimizer", "score_steering", "constant"]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Keep many tiny fits from waiting for threads that other processes hold up."""
    with threadpool_limits(1):
        yield


def make_table(n=240, groups=("a", "b", "c"), seed=0):
    """Make a mixed table in which the group moves features and label."""
    rng = np.random.default_rng(seed)
    group = rng.choice(list(groups), n)
    shift = np.array([list(groups).index(g) for g in group]) / len(groups)
    score = rng.normal(shift, 1.0)
    return Table(
        name="made",
        data=pd.DataFrame(
            {
                "score": score,
                "noise": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
                "job": rng.choice(["cook", "clerk", "nurse"], n),
                "count": np.where(rng.random(n) < 0.8, 0, rng.poisson(20, n)),
            }
        ),
        target=pd.Series((score + rng.normal(size=n) > 0.3).astype(int)),
        groups=pd.Series(group, dtype=object, name="group"),
        attributes=pd.DataFrame({"group": group}),
        favorable="1",
        conventions="made up",
    )


def run_method(name, table, train, test, estimator="logistic"):
    """Run one method on one split of the rows."""
    unit, classifier = Unit(estimator, name, 0, 0), make_estimator(estimator, 0)
    return run_unit(unit, METHODS[name], classifier, table, train, test, 0)


def tabulate_outcomes(comparison):
    table = comparison.table
    return group_outcomes(table.target, table.groups, comparison.finished)


@pytest.fixture(scope="module")
def full():
    """Compare every method, both repeats."""
    return compare(make_table(), repeats=2, cv=2)


def test_methods_are_in_the_documented_order():
    gaps_of = ["equalized_odds", "equal_opportunity", "demographic_parity"]
    expected = [
        "unmitigated",
        "constant",
        *(f"steering-{gap}" for gap in gaps_of),
        *(f"score_steering-{gap}" for gap in gaps_of),
        "correlation_remover",
        *(f"exponentiated_gradient-{gap}" for gap in gaps_of),
        *(f"threshold_optimizer-{gap}" for gap in gaps_of),
    ]
    assert expected == ALL


def test_the_columns_are_those_of_the_documentation(full):
    assert COLUMNS == (
        "dataset", "estimator", "method", "repeat", "accuracy", "balanced_accuracy", "auc",
        "demographic_parity", "equal_opportunity", "equalized_odds",
        "floor_demographic_parity", "floor_equal_opportunity", "floor_equalized_odds",
        "fit_seconds",
    )  # fmt: skip
    assert list(full.results) == list(COLUMNS)
    assert full.results["method"].tolist() == [name for name in ALL for _ in range(2)]
    assert full.results["repeat"].tolist() == [0, 1] * len(ALL)
    assert set(full.results["dataset"]) == {"made"}


def test_every_method_runs_on_three_groups_without_failure(full):
    assert full.failures == {}
    # On few rows steering may find nothing to narrow, and says so.
    for (_, method), texts in full.warnings.items():
        assert method.startswith("steering-")
        assert all("No candidate narrows the gap beyond chance" in text for text in texts)
    unranked = full.results["method"].str.startswith(("exponentiated", "threshold"))
    assert full.results["auc"].isna().equals(unranked)
    assert full.results.drop(columns="auc").notna().all(axis=None)
    assert (full.results["fit_seconds"] > 0).all()


def test_numbers_are_those_of_the_pooled_predictions(full):
    y, groups = full.table.target, full.table.groups
    for row in full.results.itertuples():
        key = (row.estimator, row.method, row.repeat)
        predicted = full.predictions[key]
        assert len(predicted) == len(y)
        assert row.accuracy == accuracy_score(y, predicted)
        assert row.balanced_accuracy == balanced_accuracy_score(y, predicted)
        measured = fairness_gaps(y, predicted, sensitive_features=groups)
        floors = noise_floor(y, predicted, sensitive_features=groups)
        for name, value in measured.items():
            assert getattr(row, name) == value
            assert getattr(row, f"floor_{name}") == floors[name]
        if key in full.scores:
            assert row.auc == roc_auc_score(y, full.scores[key])
            if row.method != "constant":
                assert_array_equal(full.scores[key] > 0.5, predicted == 1)
        else:
            assert np.isnan(row.auc)


def test_methods_change_predictions_and_unmitigated_ignores_the_group(full):
    base = full.predictions["logistic", "unmitigated", 0]
    for method in ALL[1:]:
        chosen = full.chosen.get(("logistic", method, 0), ())
        if all(choice.candidate == "unmitigated" for choice in chosen) and chosen:
            continue
        assert (full.predictions["logistic", method, 0] != base).any(), method
    table = full.table
    other = dataclasses.replace(table, groups=table.groups.sample(frac=1, random_state=0))
    rows = np.arange(len(base))
    outcomes = [run_method("unmitigated", t, rows[:160], rows[160:]) for t in (table, other)]
    assert_array_equal(outcomes[0].predicted, outcomes[1].predicted)


@pytest.mark.parametrize("estimator", ["logistic", "boosting"])
@pytest.mark.parametrize("method", ALL)
def test_labels_of_held_out_rows_change_no_prediction(method, estimator):
    if estimator == "boosting" and method.startswith("exponentiated"):
        pytest.skip("fifty boosted models a fit; logistic regression shows the same")
    table = make_table()
    train, test = np.arange(160), np.arange(160, 240)
    permuted = table.target.copy()
    permuted.iloc[test] = 1 - permuted.iloc[test]
    other = dataclasses.replace(table, target=permuted)
    first, second = (run_method(method, t, train, test, estimator) for t in (table, other))
    assert first.reason == second.reason == ""
    assert_array_equal(first.predicted, second.predicted)
    if first.score is not None:
        assert_array_equal(first.score, second.score)


@pytest.mark.parametrize("method", ALL[:5])
def test_held_out_rows_do_not_influence_each_other(method):
    table = make_table()
    train, test = np.arange(160), np.arange(160, 240)
    data = table.data.copy()
    data.loc[data.index[200:], "score"] = 1e6
    other = dataclasses.replace(table, data=data)
    first, second = (run_method(method, t, train, test) for t in (table, other))
    assert_array_equal(first.predicted[:40], second.predicted[:40])


def test_results_do_not_depend_on_the_number_of_jobs():
    table = make_table(groups=("a", "b"))
    options = {"cv": 2, "skip": ["exponentiated_gradient"], "random_state": 3}
    serial, parallel = compare(table, n_jobs=1, **options), compare(table, n_jobs=2, **options)
    timeless = [name for name in COLUMNS if name != "fit_seconds"]
    pd.testing.assert_frame_equal(serial.results[timeless], parallel.results[timeless])
    for key, predicted in serial.predictions.items():
        assert_array_equal(predicted, parallel.predictions[key])


def test_the_seed_decides():
    table = make_table(groups=("a", "b"))
    skip = ["exponentiated_gradient", "correlation_remover", "steering"]
    runs = [compare(table, random_state=seed, cv=2, skip=skip) for seed in (0, 0, 1)]
    for key, predicted in runs[0].predictions.items():
        assert_array_equal(predicted, runs[1].predictions[key])
    assert any((p != runs[2].predictions[key]).any() for key, p in runs[0].predictions.items())


def test_splits_are_stratified_on_label_and_group():
    table = make_table()
    subgroups = table.groups + table.target.astype(str)
    for train, test in split_rows(table, 4, 0):
        share = subgroups.iloc[test].value_counts() / subgroups.value_counts()
        assert (share - 0.25).abs().max() < 0.06
        assert set(train).isdisjoint(test)


def test_progress_is_called_for_every_unit():
    seen = []
    compare(
        make_table(groups=("a", "b")),
        cv=2,
        repeats=2,
        skip=[*QUICK, "steering", "correlation_remover"],
        progress=lambda done, total, unit: seen.append((done, total, unit)),
    )
    assert [(done, total) for done, total, _ in seen] == [(i, 4) for i in range(1, 5)]
    assert {unit for _, _, unit in seen} == {
        Unit("logistic", "unmitigated", repeat, fold) for repeat in range(2) for fold in range(2)
    }


def test_a_failing_method_is_reported_and_the_others_go_on(monkeypatch):
    def refuse(estimator, **_):
        raise RuntimeError("no\nway")

    monkeypatch.setattr(mitigators, "SteeredClassifierCV", refuse)
    outcome = compare(make_table(groups=("a", "b")), cv=2, skip=QUICK)
    failed = outcome.results["method"].str.startswith("steering")
    assert outcome.results.loc[failed, list(COLUMNS[4:])].isna().all(axis=None)
    assert outcome.results.loc[~failed, "accuracy"].notna().all()
    assert outcome.failures == {
        ("logistic", name): ("RuntimeError: no way",) for name in ALL if name.startswith("steering")
    }
    assert set(tabulate_outcomes(outcome).index.unique("method")) == {
        "unmitigated",
        "correlation_remover",
    }
    assert summarize(outcome.results).loc[("logistic", "steering-equalized_odds")].isna().all()


def test_warnings_are_reported_not_shown(monkeypatch):
    def warn(encoder, model, shared):
        warnings.warn("look here", RuntimeWarning, stacklevel=1)
        return mitigators.Unmitigated(encoder, model.estimator)

    monkeypatch.setattr(mitigators, "Steered", warn)
    outcome = compare(make_table(), cv=2, skip=[*QUICK, "correlation_remover"])
    assert set(outcome.warnings.values()) == {("RuntimeWarning: look here",)}
    assert len(outcome.warnings) == 3


def test_both_estimators():
    outcome = compare(
        make_table(groups=("a", "b")),
        cv=2,
        estimators=["boosting", "logistic", "boosting"],
        skip=QUICK,
    )
    assert list(outcome.options.estimators) == ["boosting", "logistic"]
    assert len(outcome.results) == 2 * 5
    assert outcome.failures == {}


def test_skip_takes_names_and_families():
    skip = ["steering", "threshold_optimizer-equalized_odds"]
    kept = [method.name for method in check_options(make_table(), skip=skip).methods]
    assert kept == [
        name
        for name in ALL
        if not name.startswith("steering") and name != "threshold_optimizer-equalized_odds"
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"skip": ["steer"]},
            "no method 'steer' to skip; there are unmitigated, constant, ",
        ),
        ({"skip": [name.split("-")[0] for name in ALL]}, "every method is skipped"),
        ({"estimators": ["forest"]}, "'forest'; there are logistic, boosting"),
        ({"estimators": []}, "estimators is empty.*logistic, boosting"),
        ({"repeats": 0}, "repeats must be at least 1, not 0"),
        ({"repeats": "2"}, "repeats must be an integer, not '2'"),
        ({"cv": 1}, r"cv \(--folds\) must be at least 2, not 1"),
        ({"cv": 2.5}, r"cv \(--folds\) must be an integer, not 2.5"),
        ({"random_state": -1}, r"random_state \(--seed\) must be at least 0, not -1"),
        ({"random_state": 2**32}, "must be at most 4294967295, not 4294967296"),
        ({"random_state": 2**32 - 1, "repeats": 2}, "must be at most 4294967294"),
        ({"n_jobs": 0}, r"n_jobs \(--jobs\) must be the number of parallel processes, or -1"),
        ({"cv": 60}, r"needs at least 60 rows, but label=0, group='a' has \d+.*use fewer folds"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(options, message):
    with pytest.raises(UsageError, match=message):
        compare(make_table(), **options)


def test_summary_is_mean_and_spread_over_repeats(full):
    summary = summarize(full.results)
    rows = full.results[full.results["method"] == "unmitigated"]
    unmitigated = summary.loc[("logistic", "unmitigated"), "accuracy"]
    assert unmitigated["mean"] == pytest.approx(rows["accuracy"].mean())
    assert unmitigated["spread"] == pytest.approx(rows["accuracy"].std())
    assert list(summary.index.get_level_values("method")) == ALL


def test_group_outcomes_compare_with_unmitigated(full):
    outcomes = tabulate_outcomes(full)
    assert outcomes.index.names == ["estimator", "method", "group"]
    base = outcomes.loc["logistic"].loc["unmitigated"]
    other = outcomes.loc["logistic"].loc["correlation_remover"]
    assert (base["tpr", "after"] == other["tpr", "before"]).all()
    assert base["rows", ""].to_dict() == full.table.groups.value_counts().to_dict()
    flagged = base[[("selection_rate", "leveling_down"), ("tpr", "leveling_down")]]
    assert not flagged.any(axis=None)
    y, groups = full.table.target.to_numpy(), full.table.groups.to_numpy()
    rows = (groups == "a") & (y == 1)
    rates = [
        full.predictions["logistic", "unmitigated", repeat][rows].mean() for repeat in range(2)
    ]
    assert base.loc["a", ("tpr", "after")] == pytest.approx(np.mean(rates))


def test_group_outcomes_do_not_flag_the_loss_of_one_row():
    table = dataclasses.replace(
        make_table(n=40, groups=("a", "b")),
        groups=pd.Series(["a", "b"] * 20),
        target=pd.Series([1, 1, 0, 0] * 10),
    )
    outcome = compare(table, cv=2, skip=["steering", *QUICK])
    everybody_but_b = np.where(np.arange(40) % 4 == 1, np.arange(40) < 12, 1)
    for lost, flagged in ((1, False), (2, True)):
        after = everybody_but_b.copy()
        after[np.arange(0, 4 * lost, 4)] = 0  # rows of group a with label 1
        predictions = {
            ("logistic", "unmitigated", 0): everybody_but_b,
            ("logistic", "correlation_remover", 0): after,
        }
        made = tabulate_outcomes(dataclasses.replace(outcome, predictions=predictions))
        flags = made.loc["logistic"].loc["correlation_remover"]["tpr", "leveling_down"]
        assert flags.to_dict() == {"a": flagged, "b": False}


def test_group_outcomes_without_unmitigated_have_no_before():
    outcomes = tabulate_outcomes(
        compare(make_table(), cv=2, skip=["unmitigated", "steering", *QUICK])
    )
    assert outcomes["tpr", "before"].isna().all()
    assert outcomes["tpr", "after"].notna().all()


def test_a_group_called_gap_is_a_group():
    table = make_table(groups=("gap", "b"))
    outcomes = tabulate_outcomes(compare(table, cv=2, skip=["steering", *QUICK]))
    assert sorted(outcomes.index.unique("group")) == ["b", "gap"]


def test_a_comparison_can_be_pickled(full):
    copy = pickle.loads(pickle.dumps(full))
    pd.testing.assert_frame_equal(copy.results, full.results)
