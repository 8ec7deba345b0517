"""Estimators and methods of the user's own are compared beside the built-in ones."""

import dataclasses
import io
import pickle

import numpy as np
import pandas as pd
import pytest
from fairlearn.postprocessing import ThresholdOptimizer
from fairlearn.reductions import DemographicParity, ExponentiatedGradient
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from fairsteer import OptimalSteeringTransformer, SteeredClassifier
from fairsteer.compare import UsageError, compare, frontier_table, load_table
from fairsteer.compare._methods import make_user_method
from fairsteer.compare._report import report_files
from fairsteer.compare._run import Unit, run_unit, split_rows
from fairsteer.compare._terminal import make_console, show
from tests.compare.test_compare import make_table

BUILT_IN = [
    *("steering", "score_steering", "constant", "correlation_remover"),
    *("exponentiated_gradient", "threshold_optimizer"),
]
NUMBERS = ["score", "count"]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def table():
    """Make three groups, two numeric features, and two sensitive columns."""
    made = make_table()
    region = pd.Series(np.where(made.data["score"] > 0.3, "north", "south"))
    return dataclasses.replace(
        made, data=made.data[NUMBERS], attributes=made.attributes.assign(region=region)
    )


@dataclasses.dataclass
class Calls:
    """What a recorded classifier was called with."""

    fit: tuple = ()
    predict: tuple = ()
    predict_proba: tuple = ()


class Recorder(ClassifierMixin, BaseEstimator):
    """Predict the first column's sign; keep what it is called with."""

    def __init__(self, calls=None):
        self.calls = calls

    def __sklearn_clone__(self):
        return type(self)(self.calls)

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.calls.fit = X, y, None
        return self

    def predict(self, X):
        self.calls.predict = X, None
        return (X["score"] > 0).astype(int)


class AttributeRecorder(Recorder):
    def fit(self, X, y, *, sensitive_features):
        super().fit(X, y)
        self.calls.fit = X, y, sensitive_features
        return self

    def predict(self, X, *, sensitive_features):
        super().predict(X)
        self.calls.predict = X, sensitive_features
        return (X["score"] > 0).astype(int)

    def predict_proba(self, X, sensitive_features=None):
        self.calls.predict_proba = X, sensitive_features
        positive = 1 / (1 + np.exp(-X["score"].to_numpy()))
        return np.column_stack([1 - positive, positive])


class FitOnlyRecorder(Recorder):
    def fit(self, X, y, sensitive_features=None):
        super().fit(X, y)
        self.calls.fit = X, y, sensitive_features
        return self


class Broken(ClassifierMixin, BaseEstimator):
    def __init__(self, labels=None):
        self.labels = labels

    def fit(self, X, y):
        if self.labels is None:
            raise RuntimeError("no\nway")
        return self

    def predict(self, X):
        return np.resize(self.labels, (len(X), *np.shape(self.labels)[1:]))


def run(classifier, table):
    """Run a method of the user's own on one split."""
    train, test = np.arange(160), np.arange(160, 240)
    method = make_user_method("mine", classifier)
    outcome = run_unit(Unit("logistic", "mine", 0, 0), method, None, table, train, test, 0)
    assert outcome.reason == ""
    return method, outcome


@pytest.mark.slow
def test_columns_are_appended_where_fit_takes_no_attribute(table):
    recorder = Recorder(Calls())
    method, outcome = run(recorder, table)
    X, y, _ = recorder.calls.fit
    assert list(X) == [*NUMBERS, "group", "region"]
    pd.testing.assert_frame_equal(X[["group", "region"]], table.attributes.iloc[:160])
    assert_array_equal(y, table.target[:160])
    assert list(recorder.calls.predict[0]) == [*NUMBERS, "group", "region"]
    assert method.attribute_at_prediction
    assert outcome.score is None


@pytest.mark.slow
def test_the_attribute_is_passed_where_fit_takes_it(table):
    recorder = AttributeRecorder(Calls())
    method, outcome = run(recorder, table)
    X, _, attribute = recorder.calls.fit
    assert list(X) == NUMBERS
    pd.testing.assert_frame_equal(attribute, table.attributes.iloc[:160])
    for X, attribute in (recorder.calls.predict, recorder.calls.predict_proba):
        assert list(X) == NUMBERS
        pd.testing.assert_frame_equal(attribute, table.attributes.iloc[160:])
    assert method.attribute_at_prediction
    assert outcome.score.shape == (80,)


@pytest.mark.slow
def test_a_single_attribute_is_passed_as_a_series(table):
    recorder = AttributeRecorder(Calls())
    run(recorder, dataclasses.replace(table, attributes=table.attributes[["group"]]))
    pd.testing.assert_series_equal(recorder.calls.fit[2], table.attributes["group"].iloc[:160])


@pytest.mark.slow
def test_the_attribute_is_not_passed_to_a_predict_that_does_not_take_it(table):
    recorder = FitOnlyRecorder(Calls())
    method, _ = run(recorder, table)
    assert recorder.calls.fit[2] is not None
    assert list(recorder.calls.predict[0]) == NUMBERS
    assert not method.attribute_at_prediction


@pytest.mark.slow
def test_a_classifier_that_names_columns_gets_them(table):
    recorder = AttributeRecorder(Calls())
    recorder.get_params = lambda deep=True: {"steer__sensitive_feature_ids": "group"}
    assert make_user_method("mine", recorder).attribute_at_prediction
    steered = SteeredClassifier(LogisticRegression(), OptimalSteeringTransformer("group"))
    table = dataclasses.replace(table, attributes=table.attributes[["group"]])
    _, outcome = run(steered, table)
    train = pd.concat([table.data, table.attributes], axis=1)
    expected = steered.fit(train[:160], table.target[:160]).predict(train[160:])
    assert_array_equal(outcome.predicted, expected)


@pytest.mark.slow
def test_mitigators_of_fairlearn_run(table):
    reduction = ExponentiatedGradient(LogisticRegression(), DemographicParity())
    method, outcome = run(reduction, table)
    assert not method.attribute_at_prediction
    thresholds = ThresholdOptimizer(estimator=LogisticRegression(), predict_method="auto")
    method, outcome = run(thresholds, table)
    assert method.attribute_at_prediction
    assert set(outcome.predicted) == {0, 1}


@pytest.mark.slow
def test_the_user_s_classifier_is_not_changed(table):
    mine = LinearSVC()
    numeric = dataclasses.replace(table, attributes=table.attributes == "a")
    _, outcome = run(mine, numeric)
    assert not hasattr(mine, "coef_")
    assert np.ptp(outcome.score) > 1.0


@pytest.fixture(scope="module")
def comparison():
    """Compare two estimators, one of them the user's own, and two own methods, one broken."""
    mine = make_pipeline(
        FunctionTransformer(lambda X: X[["score", "count", "group"]]),
        OptimalSteeringTransformer("group"),
        LogisticRegression(),
    )
    return compare(
        dataclasses.replace(make_table(), data=make_table().data.drop(columns="noise")),
        estimators={"rf": RandomForestClassifier(5, random_state=0), "svm_": LinearSVC()},
        methods={"$mine$": mine, "broken": Broken()},
        cv=2,
        repeats=2,
        skip=["exponentiated_gradient", "threshold_optimizer", "steering-equal_opportunity",
              "steering-demographic_parity", "score_steering", "constant"],
        frontier=True,
    )  # fmt: skip


@pytest.mark.slow
def test_own_estimators_and_methods_are_in_the_results(comparison):
    results = comparison.results
    assert list(results["estimator"].unique()) == ["rf", "svm_"]
    shown = ["unmitigated", "steering-equalized_odds", "correlation_remover", "$mine$", "broken"]
    shown += [f"steering-equalized_odds@{s:g}" for s in (0.02, 0.05, 0.1, 0.2)]
    assert list(comparison.methods) == shown
    assert results["method"].tolist() == [m for _ in range(2) for m in shown for _ in range(2)]
    own = results[results["method"] == "$mine$"].drop(columns="estimator")
    assert own.notna().all(axis=None)
    pd.testing.assert_frame_equal(own[:2], own[2:].set_axis(own.index[:2]))
    assert results.query("method == 'broken'")["accuracy"].isna().all()


@pytest.mark.slow
def test_a_method_of_the_user_s_own_runs_once_per_fold():
    units = []
    compare(
        make_table(groups=("a", "b")),
        estimators=["logistic", "boosting"],
        methods={"mine": make_pipeline(FunctionTransformer(lambda X: X[NUMBERS]), LinearSVC())},
        cv=2,
        skip=[*BUILT_IN],
        progress=lambda done, total, unit: units.append((unit.method, unit.fold)),
    )
    assert sorted(units) == sorted(
        [("mine", 0), ("mine", 1), *[("unmitigated", 0), ("unmitigated", 1)] * 2]
    )


@pytest.mark.slow
def test_own_results_are_those_of_the_folds(comparison):
    table = comparison.table
    X = pd.concat([table.data[NUMBERS], table.attributes], axis=1)
    model = make_pipeline(OptimalSteeringTransformer("group"), LogisticRegression())
    for train, test in split_rows(table, 2, 1):
        model.fit(X.iloc[train], table.target.iloc[train])
        predicted = model.predict(X.iloc[test])
        assert_array_equal(predicted, comparison.predictions["svm_", "$mine$", 1][test])


@pytest.mark.slow
def test_failures_of_own_methods_are_reported_like_others(comparison):
    reason = ("RuntimeError: no way",)
    assert comparison.failures["rf", "broken"] == comparison.failures["svm_", "broken"] == reason
    # Steering also takes a classifier without probabilities.
    assert ("svm_", "steering-equalized_odds") not in comparison.failures


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "reason"),
    [([0.2, 0.7], "0 or 1"), (["yes", "no"], "0 or 1"), ([[0, 1]], "one label per row")],
)
def test_predictions_that_are_no_labels_are_a_failure(labels, reason):
    made = compare(make_table(), methods={"mine": Broken(labels)}, cv=2, skip=BUILT_IN)
    (message,) = made.failures["logistic", "mine"]
    assert reason in message


@pytest.mark.slow
def test_own_methods_are_printed(comparison):
    console = make_console()
    console.file, console.width = io.StringIO(), 120
    show(console, comparison)
    text = console.file.getvalue()
    for title in ("Accuracy and gaps, rf", "Who pays, svm_", "Frontier of equalized odds, rf"):
        assert title in text
    assert text.count("\n$mine$") == 2 * 3
    lines = " ".join(text.split())
    assert "Failed: broken: RuntimeError: no way" in lines
    assert "classifiers (the same row in every table): $mine$, broken." in lines
    assert "need the group of every row: steering, correlation_remover, $mine$, broken." in lines


@pytest.mark.slow
def test_own_methods_are_in_the_report_and_the_frontier(comparison):
    files = report_files(comparison, "x")
    page = files["report.html"]
    assert page.count('<tr data-method="$mine$"><th scope="row">$mine$</th>') == 4
    assert "A rf classifier predicts" in page
    assert page.count("$mine$: gap ") == 6
    assert "Failed: broken: RuntimeError: no way" in page
    intervals = pd.read_csv(io.StringIO(files["intervals.csv"]))
    own = intervals[intervals["method"] == "$mine$"]
    assert own["value"].notna().all()
    assert own["change"].notna().all()
    frontier = frontier_table(comparison.results, comparison.methods.values())
    assert "$mine$" in set(frontier["method"])


@pytest.mark.slow
def test_many_own_methods_are_all_drawn():
    methods = {f"m{k}": make_pipeline(SimpleImputer(), LogisticRegression(C=10.0**-k))
               for k in range(6)}  # fmt: skip
    table = load_table("diabetes")
    made = compare(table, methods=methods, cv=2, skip=BUILT_IN)
    page = report_files(made, "x")["report.html"]
    assert "A classifier predicts" in page
    assert all(page.count(f"{name}: gap ") == 3 for name in methods)


@pytest.mark.slow
def test_the_documented_example_runs_and_can_be_pickled():
    mine = make_pipeline(OptimalSteeringTransformer("sex"), LogisticRegression(max_iter=5000))
    made = compare(load_table(), methods={"mine": mine}, cv=2, skip=BUILT_IN)
    assert made.failures == {}
    copy = pickle.loads(pickle.dumps(made))
    assert copy.methods["mine"].classifier.steps[1][1].max_iter == 5000
    pd.testing.assert_frame_equal(copy.results, made.results)


@pytest.mark.slow
def test_own_estimators_behave_as_built_in_ones():
    table = make_table(groups=("a", "b"))
    skip = ["steering", "exponentiated_gradient"]
    built_in = compare(table, cv=2, skip=skip)
    own = compare(table, estimators={"own": LogisticRegression(max_iter=5000)}, cv=2, skip=skip)
    columns = ["estimator", "fit_seconds"]
    pd.testing.assert_frame_equal(
        own.results.drop(columns=columns), built_in.results.drop(columns=columns)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({"methods": {name: LinearSVC()}}, f"'{name}', which is built in") for name in
          ("unmitigated", "steering", "steering-equalized_odds", "threshold_optimizer")),
        ({"methods": {"a@b": LinearSVC()}}, "text without '@', not 'a@b'"),
        ({"methods": {1: LinearSVC()}}, "must be text without '@', not 1"),
        ({"methods": {"mine": LinearSVC}}, r"methods\['mine'\] must.*the class LinearSVC"),
        ({"methods": {"mine": "svm"}}, r"methods\['mine'\] must be an unfitted.* a str\."),
        ({"estimators": {"logistic": LinearSVC()}}, "estimators has the name 'logistic'"),
        ({"estimators": {"svm": SimpleImputer()}}, r"estimators\['svm'\] must be an unfitted"),
        ({"estimators": {}}, "estimators is empty"),
        ({"methods": {"mine": LinearSVC()}, "skip": ["mien"]}, "no method 'mien'.*mine"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_sentence(options, message):
    with pytest.raises(UsageError, match=message):
        compare(make_table(), **options)
