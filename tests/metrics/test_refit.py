"""Searches with two objectives: the best score among candidates with a small gap."""

import pickle

import numpy as np
import pytest
from fairlearn.metrics import demographic_parity_difference
from sklearn import clone, config_context
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline

from fairsteer import OptimalSteeringTransformer
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.metrics import make_fairness_scorer, most_accurate_within


def results(gaps, scores, gap="gap", score="accuracy"):
    return {
        f"mean_test_{gap}": -np.asarray(gaps, dtype=float),
        f"mean_test_{score}": np.asarray(scores, dtype=float),
        "params": [{"candidate": k} for k in range(len(gaps))],
    }


@pytest.mark.parametrize(
    ("eps", "gaps", "scores", "best"),
    [
        (0.1, [0.3, 0.1, 0.05], [0.9, 0.8, 0.7], 1),
        (1, [0.3, 0.1, 0.05], [0.9, 0.8, 0.7], 0),
        (0.0, [0.3, 0.0, 0.0], [0.9, 0.6, 0.7], 2),
        (0.1, [0.1, 0.05, 0.1], [0.8, 0.8, 0.8], 1),
        (0.1, [0.1, 0.1], [0.8, 0.8], 0),
        (0.1, [np.nan, 0.1, 0.0], [0.9, 0.8, np.nan], 1),
        (0.5, [0.4, 0.1], [-3.0, -2.0], 1),
    ],
)
def test_the_best_score_among_small_gaps(eps, gaps, scores, best):
    index = most_accurate_within(eps)(results(gaps, scores))
    assert index == best
    assert isinstance(index, int)


@pytest.mark.parametrize(
    ("gaps", "scores", "best"),
    [([0.3, 0.2, np.nan], [0.9, 0.5, 1.0], 1), ([0.2, 0.2, 0.3], [0.5, 0.6, 0.9], 1)],
)
def test_without_a_small_gap_the_smallest_with_a_warning(gaps, scores, best):
    with pytest.warns(UserWarning, match=rf"0\.05.* 0\.2, .*'candidate': {best}"):
        assert most_accurate_within(0.05)(results(gaps, scores)) == best


@pytest.mark.slow
def test_names_are_those_of_the_search():
    table = results([0.3, 0.1], [0.9, 0.8], gap="odds", score="auc")
    assert most_accurate_within(0.1, gap="odds", score="auc")(table) == 1
    with pytest.raises(ValueError, match=r"no score 'gap'.*\['odds', 'auc'\]"):
        most_accurate_within(0.1)(table)


def test_positive_gaps_are_refused():
    with pytest.raises(ValueError, match="'gap' are positive"):
        most_accurate_within(0.1)(results([-0.3, -0.1], [0.9, 0.8]))


def test_scores_that_are_all_nan_are_refused():
    with pytest.raises(ValueError, match="every candidate are NaN.*error_score"):
        most_accurate_within(0.1)(results([np.nan, 0.1], [0.9, np.nan]))


@pytest.mark.parametrize("eps", [-0.1, float("nan"), None, "0.1", True])
def test_eps_is_a_non_negative_number(eps):
    with pytest.raises(ValueError, match="eps must be"):
        most_accurate_within(eps)


def test_it_can_be_printed_pickled_compared_and_cloned():
    refit = most_accurate_within(0.1, gap="odds")
    assert repr(refit) == "most_accurate_within(0.1, gap='odds', score='accuracy')"
    search = clone(GridSearchCV(LogisticRegression(), {}, refit=refit))
    assert refit == pickle.loads(pickle.dumps(refit)) == search.refit
    assert refit != most_accurate_within(0.2, gap="odds")


@pytest.mark.slow
@pytest.mark.parametrize("routed", [False, True], ids=["column", "routed"])
@pytest.mark.parametrize("kind", [GridSearchCV, RandomizedSearchCV])
def test_a_search_over_steering_and_classifier(kind, routed):
    sample = make_gaussian_subgroups(450, n_labels=2, n_groups=3, n_features=3, random_state=2)
    X, group, y = sample.data, sample.data["group"], sample.target
    ids = None if routed else "group"
    steering = OptimalSteeringTransformer(ids, constraint="demographic_parity")
    pipeline = Pipeline([("steer", steering), ("classify", LogisticRegression())])
    candidates = {"steer__strength": [0.0, 0.5, 1.0], "classify__C": [0.01, 1.0]}
    parameters = {"n_iter": 6} if kind is RandomizedSearchCV else {}
    accuracy = make_fairness_scorer(
        accuracy_score, sensitive_feature_ids=ids, binarize=False, greater_is_better=True
    )
    gap = make_fairness_scorer(demographic_parity_difference, sensitive_feature_ids=ids)
    search = kind(
        pipeline,
        candidates,
        scoring={"accuracy": accuracy, "gap": gap},
        refit=most_accurate_within(0.2),
        cv=3,
        error_score="raise",
        **parameters,
    )
    with config_context(enable_metadata_routing=routed):
        if routed:
            search.fit(X.drop(columns="group"), y, sensitive_features=group)
        else:
            search.fit(X, y)
    gaps = -search.cv_results_["mean_test_gap"]
    accuracies = search.cv_results_["mean_test_accuracy"]
    within = gaps <= 0.2
    assert 0 < within.sum() < 6
    assert search.best_params_ == search.cv_results_["params"][search.best_index_]
    assert within[search.best_index_]
    assert accuracies[search.best_index_] == accuracies[within].max() < accuracies.max()
