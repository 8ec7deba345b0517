"""Fairness scorers in scikit-learn's model selection, and their errors and warnings."""

import copy
import pickle
import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import (
    MetricFrame,
    accuracy_score_difference,
    accuracy_score_group_min,
    demographic_parity_difference,
    demographic_parity_ratio,
    equal_opportunity_difference,
    equalized_odds_difference,
    make_derived_metric,
    mean_absolute_error_group_max,
    mean_prediction,
    recall_score_group_min,
    selection_rate_difference,
)
from fairlearn.postprocessing import ThresholdOptimizer
from numpy.testing import assert_allclose
from sklearn import clone, config_context
from sklearn.ensemble import AdaBoostClassifier
from sklearn.exceptions import UndefinedMetricWarning, UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import SVC

from fairsteer import OptimalSteeringTransformer, SteeredClassifier
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.metrics import make_fairness_scorer

CV = StratifiedKFold(3)
STRENGTHS = {"steer__strength": [0.0, 1.0]}
METRICS = {
    "parity": (demographic_parity_difference, False),
    "odds": (equalized_odds_difference, False),
    "ratio": (demographic_parity_ratio, True),
    "lowest": (recall_score_group_min, True),
}


SEARCHES_PASS_WEIGHTS = hasattr(GridSearchCV, "_check_scorers_accept_sample_weight")


@pytest.fixture(scope="module")
def rows():
    """Rows of three groups and three features: X with the attribute, without it, attribute, y."""
    sample = make_gaussian_subgroups(450, n_labels=2, n_groups=3, n_features=3, random_state=0)
    X = sample.data
    return X, X.drop(columns="group"), X["group"], sample.target


@pytest.fixture(scope="module")
def three_labels():
    sample = make_gaussian_subgroups(450, n_labels=3, n_groups=3, n_features=3, random_state=1)
    X, names = sample.data, np.array(["low", "middle", "top"])
    return X.drop(columns="group"), X["group"], names[np.unique(sample.target, return_inverse=1)[1]]


def pipeline(ids=None):
    steering = OptimalSteeringTransformer(ids, constraint="demographic_parity")
    return Pipeline([("steer", steering), ("classify", LogisticRegression())])


def scorers(ids=None):
    return {
        name: make_fairness_scorer(metric, sensitive_feature_ids=ids, greater_is_better=greater)
        for name, (metric, greater) in METRICS.items()
    }


def by_hand(rows, metric, greater, strength=1.0):
    """Score every fold without Pipeline, scorer or routing."""
    _, X, group, y = rows
    scores = []
    for train, test in CV.split(X, y):
        steering = OptimalSteeringTransformer(constraint="demographic_parity", strength=strength)
        moved = steering.fit_transform(
            X.iloc[train], y[train], sensitive_features=group.iloc[train]
        )
        model = LogisticRegression().fit(moved, y[train])
        new = steering.transform(X.iloc[test], sensitive_features=group.iloc[test])
        value = metric(y[test], model.predict(new), sensitive_features=group.iloc[test])
        scores.append(value if greater else -value)
    return np.array(scores)


def fitted(X, y):
    return LogisticRegression().fit(X, y)


# ---------------------------------------------------------------------- scikit-learn's own tools


@pytest.mark.slow
@pytest.mark.parametrize("name", METRICS)
def test_cross_validate_with_the_attribute_as_a_column(rows, name):
    X, *_, y = rows
    scores = cross_validate(pipeline("group"), X, y, cv=CV, scoring=scorers("group")[name])
    assert_allclose(scores["test_score"], by_hand(rows, *METRICS[name]))


@pytest.mark.slow
def test_cross_validate_several_metrics_with_the_attribute_as_a_column(rows):
    X, *_, y = rows
    scoring = {"accuracy": "accuracy", **scorers("group")}
    scores = cross_validate(pipeline("group"), X, y, cv=CV, scoring=scoring)
    for name, parts in METRICS.items():
        assert_allclose(scores[f"test_{name}"], by_hand(rows, *parts))
    assert np.all(scores["test_accuracy"] > 0.5)


@pytest.mark.slow
def test_cross_validate_with_the_attribute_routed_to_predict_and_metric(rows):
    _, X, group, y = rows
    params = {"sensitive_features": group}
    with config_context(enable_metadata_routing=True):
        one = cross_validate(pipeline(), X, y, cv=CV, scoring=scorers()["odds"], params=params)
        several = cross_validate(pipeline(), X, y, cv=CV, scoring=scorers(), params=params)
    assert_allclose(one["test_score"], by_hand(rows, *METRICS["odds"]))
    for name, parts in METRICS.items():
        assert_allclose(several[f"test_{name}"], by_hand(rows, *parts))


SEARCHES = {"grid": GridSearchCV, "random": partial(RandomizedSearchCV, n_iter=2)}


@pytest.mark.slow
@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
@pytest.mark.parametrize("routed", [False, True], ids=["column", "routed"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_searches_score_candidates_as_by_hand(rows, search, routed, jobs):
    X, features, group, y = rows
    ids = None if routed else "group"
    with config_context(enable_metadata_routing=routed):
        model = search(
            pipeline(ids),
            STRENGTHS,
            scoring=scorers(ids)["parity"],
            cv=CV,
            n_jobs=jobs,
            error_score="raise",
        )
        if routed:
            model.fit(features, y, sensitive_features=group)
        else:
            model.fit(X, y)
    results = model.cv_results_
    for params, *scores in zip(
        results["params"], *(results[f"split{k}_test_score"] for k in range(3)), strict=True
    ):
        assert_allclose(scores, by_hand(rows, *METRICS["parity"], params["steer__strength"]))
    assert model.best_params_ == {"steer__strength": 1.0}
    assert model.best_score_ > -0.2


@pytest.mark.slow
@pytest.mark.parametrize("routed", [False, True], ids=["column", "routed"])
def test_halving_search(rows, routed):
    X, features, group, y = rows
    ids = None if routed else "group"
    with config_context(enable_metadata_routing=routed):
        search = HalvingGridSearchCV(
            pipeline(ids),
            STRENGTHS,
            scoring=scorers(ids)["parity"],
            cv=CV,
            min_resources=225,
            factor=2,
            random_state=0,
            error_score="raise",
        )
        if routed:
            search.fit(features, y, sensitive_features=group)
        else:
            search.fit(X, y)
    results = search.cv_results_
    assert np.all(np.isfinite(results["mean_test_score"]))
    # The last round has all rows, so its folds are those of the search.
    assert search.n_resources_ == [225, 450]
    assert results["mean_test_score"][-1] == pytest.approx(
        by_hand(rows, *METRICS["parity"], search.best_params_["steer__strength"]).mean()
    )
    best_of_first = np.argmax(np.where(results["iter"] == 0, results["mean_test_score"], -1))
    assert search.best_params_ == results["params"][best_of_first]


@pytest.mark.slow
def test_string_labels_three_labels_and_several_attributes_in_a_search(three_labels):
    features, group, y = three_labels
    X = features.assign(group=group, half=np.where(np.arange(len(y)) % 2, "odd", "even"))
    ids = ["group", "half"]
    scoring = make_fairness_scorer(
        equalized_odds_difference, sensitive_feature_ids=ids, pos_label="middle"
    )
    search = GridSearchCV(
        pipeline(ids), STRENGTHS, scoring=scoring, cv=CV, error_score="raise"
    ).fit(X, y)
    model = search.best_estimator_
    truth, predicted = (np.array(v) == "middle" for v in (y, model.predict(X)))
    joined = X["group"].astype(str) + X["half"]
    expected = equalized_odds_difference(truth, predicted, sensitive_features=joined)
    assert scoring(model, X, y) == pytest.approx(-expected)


def test_a_metric_of_all_rows_where_predict_needs_the_attribute(rows):
    _, X, group, y = rows
    scoring = {
        "accuracy": make_fairness_scorer(accuracy_score, binarize=False, greater_is_better=True),
        "scikit-learn's": "accuracy",
    }
    with (
        config_context(enable_metadata_routing=True),
        pytest.warns(UserWarning, match="sensitive attribute is missing"),
    ):
        scores = cross_validate(
            pipeline(), X, y, cv=CV, scoring=scoring, params={"sensitive_features": group}
        )

    def accuracy(y_true, y_pred, *, sensitive_features):
        return accuracy_score(y_true, y_pred)

    assert_allclose(scores["test_accuracy"], by_hand(rows, accuracy, True))
    assert np.all(np.isnan(scores["test_scikit-learn's"]))


# ------------------------------------------------------------------ who gets the attribute


def test_an_estimator_that_takes_no_attribute_is_scored_by_its_features(rows):
    _, X, group, y = rows
    scorer = make_fairness_scorer(equalized_odds_difference)
    expected = equalized_odds_difference(y, fitted(X, y).predict(X), sensitive_features=group)
    for enabled in (False, True):
        with config_context(enable_metadata_routing=enabled):
            assert scorer(fitted(X, y), X, y, sensitive_features=group) == -expected
            boosting = AdaBoostClassifier(n_estimators=2).fit(X, y)
            assert -1 <= scorer(boosting, X, y, sensitive_features=group) <= 0
    with config_context(enable_metadata_routing=True):
        scores = cross_validate(
            LogisticRegression(), X, y, scoring=scorer, params={"sensitive_features": group}
        )
    assert np.all(np.isfinite(scores["test_score"]))


class Recorder(LogisticRegression):
    """Keep the attribute that predict gets."""

    def predict(self, X, *, sensitive_features="not passed"):
        self.got_ = sensitive_features
        return super().predict(X)


def test_an_argument_of_predict_gets_the_attribute_unless_it_is_declined(rows):
    _, X, group, y = rows
    scorer = make_fairness_scorer(demographic_parity_difference)
    model = Recorder().fit(X, y)
    scorer(model, X, y, sensitive_features=group)
    assert model.got_ is group
    with config_context(enable_metadata_routing=True):
        model.set_predict_request(sensitive_features=False)
        scorer(model, X, y, sensitive_features=group)
    assert model.got_ == "not passed"
    columns = make_fairness_scorer(demographic_parity_difference, sensitive_feature_ids=[0])
    with_signs = X.assign(x0=np.sign(X.iloc[:, 0]))
    columns(model, with_signs, y)
    assert model.got_ == "not passed"


def test_an_alias_reaches_the_metric_and_the_step_that_uses_it(rows):
    _, X, group, y = rows
    with config_context(enable_metadata_routing=True):
        model = pipeline()
        model[0].set_fit_request(sensitive_features="where")
        model[0].set_transform_request(sensitive_features="where")
        scorer = scorers()["parity"].set_score_request(sensitive_features="where")
        scores = cross_validate(model, X, y, cv=CV, scoring=scorer, params={"where": group})
    assert_allclose(scores["test_score"], by_hand(rows, *METRICS["parity"]))


def test_a_threshold_optimizer(rows):
    _, X, group, y = rows
    model = ThresholdOptimizer(
        estimator=LogisticRegression(), constraints="demographic_parity", prefit=False,
        predict_method="predict_proba",
    ).fit(X, y, sensitive_features=group)  # fmt: skip
    scorer = make_fairness_scorer(demographic_parity_difference, pos_label=1)
    assert scorer(model, X, y, sensitive_features=group) > -0.15
    with pytest.raises(ValueError, match="ThresholdOptimizer has no classes_.*pos_label"):
        make_fairness_scorer(demographic_parity_difference)(model, X, y, sensitive_features=group)


@pytest.mark.parametrize("group_strategy", ["given", "posterior"])
def test_a_pipeline_that_routes_is_not_scored_while_routing_is_off(rows, group_strategy):
    _, X, group, y = rows
    model = pipeline().set_params(steer__group_strategy=group_strategy)
    scorer = scorers()["parity"]
    with config_context(enable_metadata_routing=True):
        model.fit(X, y, sensitive_features=group)
        expected = demographic_parity_difference(
            y, model.predict(X, sensitive_features=group), sensitive_features=group
        )
        assert scorer(model, X, y, sensitive_features=group) == -expected
    with pytest.raises(ValueError, match="Pipeline .*enable_metadata_routing=True"):
        scorer(model, X, y, sensitive_features=group)


@pytest.mark.parametrize("ids", [None, "group"])
def test_a_steered_classifier(rows, ids):
    X, features, group, y = rows
    steering = OptimalSteeringTransformer(ids, constraint="demographic_parity")
    model = SteeredClassifier(LogisticRegression(), steering)
    params = {} if ids else {"sensitive_features": group}
    with config_context(enable_metadata_routing=True):
        table = X if ids else features
        scores = cross_validate(
            model, table, y, cv=CV, scoring=scorers(ids)["parity"], params=params
        )
        # The scorer's attribute is routed; the classifier reads its own from X and declines it.
        mixed = cross_validate(
            SteeredClassifier(LogisticRegression(), clone(steering).set_params(
                sensitive_feature_ids="group")), X, y, cv=CV, scoring=scorers()["parity"],
            params={"sensitive_features": group},
        )  # fmt: skip
    assert_allclose(scores["test_score"], by_hand(rows, *METRICS["parity"]))
    assert_allclose(mixed["test_score"], scores["test_score"])


# ------------------------------------------------------------------------ labels and responses


@pytest.mark.parametrize("kind", ["int", "bool", "text", "object"])
def test_labels_of_any_kind_become_one_and_zero(rows, kind):
    _, X, group, y = rows
    kinds = {
        "int": np.array([3, 7]),
        "bool": np.array([False, True]),
        "text": np.array(["no", "yes"]),
        "object": np.array(["no", "yes"], dtype=object),
    }[kind]
    labels = kinds[y]
    predicted = fitted(X, y).predict(X)
    model = LogisticRegression().fit(X, labels)
    for pos_label, truth, decided in ((None, y, predicted), (kinds[0], 1 - y, 1 - predicted)):
        scorer = make_fairness_scorer(equal_opportunity_difference, pos_label=pos_label)
        expected = equal_opportunity_difference(truth, decided, sensitive_features=group)
        assert scorer(model, X, labels, sensitive_features=group) == -expected
        assert scorer(model, X, list(labels), sensitive_features=list(group)) == -expected


def test_three_labels_are_binarized_unless_binarize_is_false(three_labels):
    X, group, y = three_labels
    model = fitted(X, y)
    predicted = model.predict(X)
    for pos_label, positive in ((None, "top"), ("low", "low")):
        scorer = make_fairness_scorer(selection_rate_difference, pos_label=pos_label)
        rates = [np.mean(predicted[group == g] == positive) for g in group.unique()]
        assert scorer(model, X, y, sensitive_features=group) == pytest.approx(
            min(rates) - max(rates)
        )
    scorer = make_fairness_scorer(accuracy_score_difference, binarize=False)
    rates = [np.mean(predicted[group == g] == y[group == g]) for g in group.unique()]
    assert scorer(model, X, y, sensitive_features=group) == pytest.approx(min(rates) - max(rates))


@pytest.mark.parametrize("method", ["predict_proba", "decision_function"])
@pytest.mark.parametrize("pos_label", ["low", "middle", "top"])
def test_scores_of_the_positive_label(three_labels, method, pos_label):
    X, group, y = three_labels
    model = fitted(X, y)
    lowest_auc = make_derived_metric(metric=roc_auc_score, transform="group_min")
    scorer = make_fairness_scorer(
        lowest_auc, pos_label=pos_label, greater_is_better=True, response_method=method
    )
    scores = getattr(model, method)(X)[:, ["low", "middle", "top"].index(pos_label)]
    expected = [
        roc_auc_score(y[group == g] == pos_label, scores[group == g]) for g in group.unique()
    ]
    assert scorer(model, X, y, sensitive_features=group) == pytest.approx(min(expected))


@pytest.mark.parametrize("method", ["predict_proba", "decision_function"])
def test_scores_of_either_of_two_labels(rows, method):
    _, X, group, y = rows
    model = fitted(X, y)
    lowest = make_derived_metric(metric=mean_prediction, transform="group_min")
    second = model.decision_function(X) if method[0] == "d" else model.predict_proba(X)[:, 1]
    first = -second if method[0] == "d" else 1 - second
    for pos_label, scores in ((1, second), (0, first)):
        scorer = make_fairness_scorer(lowest, pos_label=pos_label, response_method=method)
        means = [scores[group == g].mean() for g in group.unique()]
        assert scorer(model, X, y, sensitive_features=group) == pytest.approx(-min(means))


def test_regressors_are_scored_without_binarizing(rows):
    _, X, group, _ = rows
    target = X.iloc[:, 0] + X.iloc[:, 1] ** 2
    model = LinearRegression().fit(X, target)
    scorer = make_fairness_scorer(mean_absolute_error_group_max, binarize=False)
    errors = np.abs(model.predict(X) - target)
    expected = max(errors[group == g].mean() for g in group.unique())
    assert scorer(model, X, target, sensitive_features=group) == pytest.approx(-expected)
    with pytest.raises(ValueError, match="no classes_.*binarize=False"):
        make_fairness_scorer(mean_absolute_error_group_max)(
            model, X, target, sensitive_features=group
        )


def test_a_metric_gets_the_groups_themselves(rows):
    _, X, group, y = rows
    seen = []

    def my_metric(y_true, y_pred, *, sensitive_features):
        seen.append(list(sensitive_features))
        return 0.5

    scorer = make_fairness_scorer(my_metric, greater_is_better=True)
    mixed = pd.Series(
        np.array(["f", 1, 2.5], dtype=object)[group.factorize()[0]], index=X.index[::-1]
    )
    several = pd.DataFrame({"g": group, "h": np.arange(len(y)) % 2})
    for given in (group, group.to_numpy(), list(group), mixed):
        assert scorer(fitted(X, y), X, y, sensitive_features=given) == 0.5
        assert seen[-1] == list(given)
    scorer(fitted(X, y), X, y, sensitive_features=several)
    assert seen[-1] == list(zip(several["g"], several["h"], strict=True))


# ------------------------------------------------------------------------------------- weights


def test_weights_are_frequencies_and_reach_the_metric(rows):
    _, X, group, y = rows
    model = fitted(X.iloc[:, :1], y)
    X = X.iloc[:, :1]
    weights = np.arange(len(y)) % 3
    repeated = np.repeat(np.arange(len(y)), weights)
    for scorer in scorers().values():
        assert scorer(
            model, X, y, sensitive_features=group, sample_weight=weights
        ) == pytest.approx(
            scorer(model, X.iloc[repeated], y[repeated], sensitive_features=group.iloc[repeated])
        )
        assert scorer(model, X, y, sensitive_features=group) != pytest.approx(
            scorer(model, X, y, sensitive_features=group, sample_weight=weights)
        )


def test_weights_are_used_only_on_request(rows):
    X, features, group, y = rows
    weights = np.arange(len(y)) % 3
    model = LogisticRegression()
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(sample_weight=True)
        params = {"sensitive_features": group, "sample_weight": weights}
        undecided = make_fairness_scorer(demographic_parity_difference)
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight.*not explicitly set as"):
            cross_validate(model, features, y, scoring=undecided, params=params)
        scores = {
            flag: cross_validate(
                model,
                features,
                y,
                cv=CV,
                scoring=make_fairness_scorer(demographic_parity_difference).set_score_request(
                    sample_weight=flag
                ),
                params=params,
            )["test_score"]
            for flag in (False, True)
        }
    for fold, (train, test) in enumerate(CV.split(features, y)):
        predicted = (
            LogisticRegression()
            .fit(features.iloc[train], y[train], sample_weight=weights[train])
            .predict(features.iloc[test])
        )
        for flag in (False, True):
            gap = demographic_parity_difference(
                y[test],
                predicted,
                sensitive_features=group.iloc[test],
                sample_weight=weights[test] if flag else None,
            )
            assert scores[flag][fold] == pytest.approx(-gap)


class WithoutGroup(LogisticRegression):
    """Ignore the column that holds the group."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(X.drop(columns="group"), y, sample_weight)

    def predict(self, X):
        return super().predict(X.drop(columns="group"))


@pytest.mark.slow
def test_without_routing_a_search_passes_weights_as_to_the_scorers_of_scikit_learn(rows):
    X, *_, y = rows
    weights = 1.0 + np.arange(len(y)) % 3
    gap = make_fairness_scorer(selection_rate_difference, sensitive_feature_ids="group")
    search = GridSearchCV(
        WithoutGroup(), {}, scoring={"accuracy": "accuracy", "gap": gap}, refit=False, cv=CV
    ).fit(X, y, sample_weight=weights)
    expected = {True: [], False: []}
    for train, test in CV.split(X, y):
        model = WithoutGroup().fit(X.iloc[train], y[train], weights[train])
        for weighted, gaps in expected.items():
            weight = {"sample_weight": weights[test]} if weighted else {}
            gaps.append(gap(model, X.iloc[test], y[test], **weight))
    measured = search.cv_results_["mean_test_gap"][0]
    # scikit-learn passes weights to scorers without routing since 1.8.
    assert measured == pytest.approx(np.mean(expected[SEARCHES_PASS_WEIGHTS]))
    assert np.mean(expected[True]) != pytest.approx(np.mean(expected[False]))


def unweighted(y_true, y_pred, *, sensitive_features):
    return 0.25


def test_weights_are_refused_if_the_metric_takes_none(rows):
    _, X, group, y = rows
    scorer = make_fairness_scorer(unweighted)
    message = "unweighted takes no sample_weight"
    with pytest.raises(ValueError, match=message):
        scorer(fitted(X, y), X, y, sensitive_features=group, sample_weight=np.ones(len(y)))
    with pytest.raises(ValueError, match=message):
        scorer.set_score_request(sample_weight=True)
    assert not scorer._accept_sample_weight()
    with pytest.raises(ValueError, match="sample_weight .*finite and not negative"):
        scorers()["odds"](
            fitted(X, y), X, y, sensitive_features=group, sample_weight=-np.ones(len(y))
        )


def any_arguments(y_true, y_pred, **arguments):
    return float(len(arguments))


def no_arguments(y_true, y_pred):
    return 0.0


def test_the_signature_decides_what_a_metric_gets(rows):
    _, X, group, y = rows
    model, weights = fitted(X, y), np.ones(len(y))
    arguments = {"sensitive_features": group, "sample_weight": weights}
    keywords = make_fairness_scorer(any_arguments, greater_is_better=True)
    assert keywords(model, X, y, **arguments) == 2.0
    assert keywords(model, X, y, sensitive_features=group) == 1.0
    bound = make_fairness_scorer(partial(any_arguments, pos_label=1), greater_is_better=True)
    assert bound(model, X, y, **arguments) == 3.0
    assert make_fairness_scorer(no_arguments)(model, X, y, sensitive_features=group) == 0.0
    assert keywords._accept_sample_weight()
    assert not make_fairness_scorer(no_arguments)._accept_sample_weight()


# ------------------------------------------------------------------------------------ requests


def test_the_attribute_is_requested_unless_it_is_a_column_of_x():
    routed = make_fairness_scorer(equalized_odds_difference)
    assert routed.get_metadata_routing().score.requests == {
        "sensitive_features": True,
        "sample_weight": None,
    }
    columns = make_fairness_scorer(equalized_odds_difference, sensitive_feature_ids="group")
    assert columns.get_metadata_routing().score.requests == {"sample_weight": None}
    assert routed.set_score_request(sample_weight=True) is routed
    assert routed.get_metadata_routing().score.requests["sensitive_features"] is True
    routed.set_score_request(sensitive_features="where")
    assert routed.get_metadata_routing().score.requests["sensitive_features"] == "where"
    with pytest.raises(ValueError, match="reads the attribute from X"):
        columns.set_score_request(sensitive_features=True)


# ------------------------------------------------------------------------------- the object itself


LOWEST_RECALL = make_derived_metric(metric=recall_score, transform="group_min")
EXAMPLES = {
    "make_fairness_scorer(equalized_odds_difference)": lambda: make_fairness_scorer(
        equalized_odds_difference
    ),
    "make_fairness_scorer(demographic_parity_ratio, sensitive_feature_ids=['sex', 'race'], "
    "pos_label='yes', greater_is_better=True)": lambda: make_fairness_scorer(
        demographic_parity_ratio,
        sensitive_feature_ids=("sex", "race"),
        pos_label="yes",
        greater_is_better=True,
    ),
    "make_fairness_scorer(_DerivedMetric, greater_is_better=True, "
    "response_method='predict_proba')": lambda: make_fairness_scorer(
        LOWEST_RECALL, greater_is_better=True, response_method="predict_proba"
    ),
    "make_fairness_scorer(equalized_odds_difference(agg='mean'))": lambda: make_fairness_scorer(
        partial(equalized_odds_difference, agg="mean")
    ),
    "make_fairness_scorer(accuracy_score, binarize=False)": lambda: make_fairness_scorer(
        accuracy_score, binarize=False
    ),
}


@pytest.mark.parametrize(("text", "make"), EXAMPLES.items(), ids=range(len(EXAMPLES)))
def test_scorers_can_be_printed_pickled_copied_and_cloned(rows, text, make):
    scorer = make().set_score_request(sample_weight=False)
    assert repr(scorer) == text
    _, X, group, y = rows
    model = LogisticRegression().fit(X, np.array(["no", "yes"])[y])
    search = clone(GridSearchCV(LogisticRegression(), {}, scoring=scorer))
    for twin in (pickle.loads(pickle.dumps(scorer)), copy.deepcopy(scorer), search.scoring):
        assert repr(twin) == text
        requests = twin.get_metadata_routing().score.requests
        assert requests == scorer.get_metadata_routing().score.requests
        if scorer.sensitive_feature_ids is None and scorer.response_method == "predict":
            y_text = np.array(["no", "yes"])[y]
            arguments = {"sensitive_features": group}
            assert twin(model, X, y_text, **arguments) == scorer(model, X, y_text, **arguments)


def test_scorers_are_equal_if_they_score_alike():
    one, other = (make_fairness_scorer(equalized_odds_difference) for _ in range(2))
    assert one == other == pickle.loads(pickle.dumps(one))
    assert one != make_fairness_scorer(equalized_odds_difference, pos_label=1)
    assert one != make_fairness_scorer(demographic_parity_difference)
    assert one != other.set_score_request(sample_weight=True)


# --------------------------------------------------------------------------- missing subgroups


def fit_with_missing_subgroups():
    """Group 'b' has no positive, group 'c' no negative."""
    X = np.array([[1.0], [1.0], [0.0], [0.0], [0.0], [0.0], [1.0], [1.0]])
    y = np.array([1, 1, 0, 0, 0, 0, 1, 1])
    return LogisticRegression().fit(X, y), X, y, list("aaaabbcc")


@pytest.mark.parametrize(
    "metric",
    [
        demographic_parity_difference,
        equalized_odds_difference,
        accuracy_score_difference,
        partial(equal_opportunity_difference, method="to_overall"),
        unweighted,
    ],
)
def test_a_missing_subgroup_is_named_for_either_label(metric):
    model, X, y, groups = fit_with_missing_subgroups()
    with pytest.warns(UndefinedMetricWarning) as caught:
        score = make_fairness_scorer(metric)(model, X, y, sensitive_features=groups)
    assert score == -metric(y, model.predict(X), sensitive_features=groups)
    positives, negatives = [str(warning.message) for warning in caught]
    assert re.search(r"with label 1 in .*\['b'\].* 8 scored rows", positives)
    assert re.search(r"another label than 1 in .*\['c'\].* 8 scored rows", negatives)


@pytest.mark.parametrize("parameters", [{"binarize": False}, {}])
def test_without_groups_or_a_positive_label_there_is_no_warning(parameters):
    model, X, y, groups = fit_with_missing_subgroups()
    metric = unweighted if parameters else no_arguments
    make_fairness_scorer(metric, **parameters)(model, X, y, sensitive_features=groups)


def test_a_subgroup_of_weight_zero_is_missing():
    model, X, y, _ = fit_with_missing_subgroups()
    groups, weights = list("abababab"), [1, 0, 1, 1, 1, 1, 1, 0]
    scorer = make_fairness_scorer(equal_opportunity_difference)
    scorer(model, X, y, sensitive_features=groups)
    with pytest.warns(UndefinedMetricWarning, match=r"label 1 in .*\['b'\].* 6 "):
        scorer(model, X, y, sensitive_features=groups, sample_weight=weights)


def test_a_single_group_is_a_warning():
    model, X, y, _ = fit_with_missing_subgroups()
    scorer = make_fairness_scorer(equalized_odds_difference)
    with pytest.warns(UndefinedMetricWarning, match="8 .*'a'"):
        assert scorer(model, X, y, sensitive_features=["a"] * 8) == 0


def test_a_ratio_of_zeros_is_nan_with_a_warning():
    model, X, y, _ = fit_with_missing_subgroups()
    never = make_fairness_scorer(demographic_parity_ratio, greater_is_better=True)
    rejected = X * 0.0
    with pytest.warns(UndefinedMetricWarning, match="demographic_parity_ratio is NaN"):
        assert np.isnan(never(model, rejected, y, sensitive_features=list("ab" * 4)))


# --------------------------------------------------------------------------------------- errors


def test_a_missing_attribute_is_refused(rows):
    X, features, group, y = rows
    scorer = make_fairness_scorer(equalized_odds_difference)
    message = "needs the sensitive attribute.*sensitive_feature_ids.*sensitive_features="
    with pytest.raises(ValueError, match=message):
        scorer(fitted(features, y), features, y)
    with pytest.raises(ValueError, match=message):
        cross_validate(pipeline("group"), X, y, scoring=scorer, error_score="raise")
    with pytest.warns(UserWarning, match=message):
        scores = cross_validate(pipeline("group"), X, y, scoring=scorer, cv=2)
    assert np.isnan(scores["test_score"]).all()


def test_an_attribute_given_twice_is_refused(rows):
    X, _, group, y = rows
    scorer = make_fairness_scorer(equalized_odds_difference, sensitive_feature_ids="group")
    with pytest.raises(ValueError, match="sensitive_feature_ids of the scorer.*not both"):
        scorer(pipeline("group").fit(X, y), X, y, sensitive_features=group)


@pytest.mark.parametrize(
    ("ids", "message"),
    [("sex", "'sex' is not in X"), (9, "column 9 does not exist"), ([], "ids is empty")],
)
def test_missing_columns_are_named(rows, ids, message):
    X, *_, y = rows
    scorer = make_fairness_scorer(equalized_odds_difference, sensitive_feature_ids=ids)
    with pytest.raises(ValueError, match=message):
        scorer(pipeline("group").fit(X, y), X, y)


def test_a_missing_value_of_the_attribute_is_refused(rows):
    X, features, group, y = rows
    holed = group.astype(object).where(np.arange(len(y)) > 0, None)
    model = fitted(features, y)
    with pytest.raises(ValueError, match="'group' has 1 missing"):
        scorers()["odds"](model, features, y, sensitive_features=holed)
    with pytest.raises(ValueError, match="'group' has 1 missing"):
        scorers("group")["odds"](model, features.assign(group=holed), y)


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_predictions_of_another_length_are_refused(rows, method):
    _, X, group, y = rows
    metric = make_derived_metric(metric=mean_prediction, transform="difference")
    scorer = make_fairness_scorer(metric, response_method=method)
    with pytest.raises(ValueError, match="y_pred has 449 rows, but y_true has 450"):
        scorer(fitted(X, y), X.iloc[1:], y, sensitive_features=group)


def test_an_attribute_of_another_length_is_refused(rows):
    _, X, group, y = rows
    with pytest.raises(ValueError, match="sensitive_features has 449 rows, but y_true has 450"):
        scorers()["odds"](fitted(X, y), X, y, sensitive_features=group.iloc[1:])


def test_an_unknown_positive_label_is_refused(rows):
    _, X, group, y = rows
    scorer = make_fairness_scorer(equalized_odds_difference, pos_label="yes")
    with pytest.raises(ValueError, match=r"pos_label='yes'.*\[0, 1\]"):
        scorer(fitted(X, y), X, y, sensitive_features=group)


def test_a_missing_response_method_is_named(rows):
    _, X, group, y = rows
    scorer = make_fairness_scorer(selection_rate_difference, response_method="predict_proba")
    for model in (SVC(), make_pipeline(SVC())):
        with pytest.raises(AttributeError, match="has no predict_proba"):
            scorer(model.fit(X, y), X, y, sensitive_features=group)


def test_a_decision_function_of_pairs_has_no_column_of_the_positive_label():
    sample = make_gaussian_subgroups(400, n_labels=4, n_groups=3, n_features=2, random_state=0)
    X, group = sample.data.drop(columns="group"), sample.data["group"]
    model = SVC(decision_function_shape="ovo").fit(X, sample.target)
    gap = make_derived_metric(metric=mean_prediction, transform="difference")
    scorer = make_fairness_scorer(gap, response_method="decision_function")
    with pytest.raises(ValueError, match=r"decision_function .*\(400, 6\) for 4"):
        scorer(model, X, sample.target, sensitive_features=group)


def test_a_metric_must_be_callable():
    with pytest.raises(ValueError, match="metric must be a function.*'accuracy'"):
        make_fairness_scorer("accuracy")


def by_group(y_true, y_pred, *, sensitive_features):
    return MetricFrame(
        metrics=accuracy_score, y_true=y_true, y_pred=y_pred, sensitive_features=sensitive_features
    ).by_group


def test_a_metric_that_returns_a_table_is_refused(rows):
    _, X, group, y = rows
    with pytest.raises(ValueError, match="by_group returned a Series"):
        make_fairness_scorer(by_group)(fitted(X, y), X, y, sensitive_features=group)


def test_contradicting_parameters_are_refused():
    with pytest.raises(ValueError, match="response_method .*'predict_proba', .*'transform'"):
        make_fairness_scorer(equalized_odds_difference, response_method="transform")
    for parameters in ({"pos_label": 1}, {"response_method": "predict_proba"}):
        with pytest.raises(ValueError, match="binarize=False.*pos_label=None"):
            make_fairness_scorer(accuracy_score_group_min, binarize=False, **parameters)


@pytest.mark.parametrize("fold", [0, 1])
def test_a_fold_may_lack_a_label_that_the_estimator_predicts(rows, fold):
    _, X, group, y = rows
    model = LogisticRegression().fit(X, y)
    scorer = make_fairness_scorer(demographic_parity_difference)
    own = y == fold
    expected = demographic_parity_difference(
        y[own], model.predict(X[own]), sensitive_features=group[own]
    )
    with pytest.warns(UndefinedMetricWarning, match="no rows"):
        assert scorer(model, X[own], y[own], sensitive_features=group[own]) == -expected


def test_a_regressor_is_not_scored_as_a_classifier(rows):
    _, X, group, y = rows
    model = LinearRegression().fit(X, y)
    with pytest.raises(ValueError, match="y_pred has scores where labels are needed"):
        make_fairness_scorer(demographic_parity_difference, pos_label=1)(
            model, X, y, sensitive_features=group
        )
