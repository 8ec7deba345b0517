"""SteeredClassifierCV: the choice, what it accepts, and how it behaves in scikit-learn."""

import itertools
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator

from fairsteer import (
    TRUSTED_TYPES,
    NoFairModelError,
    OptimalSteeringTransformer,
    SteeredClassifierCV,
    SteeringWarning,
)
from fairsteer.certify import certify
from fairsteer.core.constraints import CONSTRAINTS
from fairsteer.estimators._candidates import CANDIDATES
from fairsteer.estimators._choice import KEYS, rank_candidates
from fairsteer.estimators._steered_classifier_cv import fit_sharing
from fairsteer.metrics import fairness_gaps

pytestmark = pytest.mark.filterwarnings("ignore:No candidate narrows:UserWarning")


def make_table(n, seed=0, n_groups=3):
    """Draw a mixed frame whose columns tell label and group."""
    rng = np.random.default_rng(seed)
    group = rng.integers(n_groups, size=n)
    y = (rng.random(n) < 0.6 - 0.15 * group).astype(int)
    return pd.DataFrame(
        {
            "test": rng.normal(50.0 + 8.0 * y - 5.0 * group, 10.0),
            "years": rng.poisson(3.0 + 2.0 * y),
            "school": np.where(rng.random(n) < 0.3 + 0.2 * y - 0.1 * group, "north", "south"),
            "size": rng.normal(size=n) + 0.3 * y,
            "rank": rng.normal(size=n) + 0.3 * y,
            "group": np.array(list("abcd"))[group],
        }
    ), np.where(y == 1, "yes", "no")


def make_model(estimator=None, **parameters):
    estimator = LogisticRegression(max_iter=1000) if estimator is None else estimator
    return SteeredClassifierCV(estimator, **{"sensitive_feature_ids": "group", **parameters})


@pytest.fixture(scope="module")
def table():
    return make_table(4_000)


@pytest.fixture(scope="module")
def new():
    return make_table(6_000, seed=1)


@pytest.fixture(scope="module")
def fitted(table):
    return make_model(random_state=0).fit(*table)


def gap_of(model, X, y, constraint, **given):
    predicted = model.predict(X, **given) == "yes"
    given = {"sensitive_features": X["group"]}
    return fairness_gaps((y == "yes").astype(int), predicted.astype(int), **given)[constraint]


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_the_gap_of_new_rows_is_closed(table, new, constraint):
    model = make_model(constraint=constraint, random_state=0).fit(*table)
    plain = make_model(constraint=constraint, candidates=["unmitigated"]).fit(*table)
    before, after = (gap_of(m, *new, constraint, row_ids=new[0].index) for m in (plain, model))
    assert before > 0.15
    assert after < 0.06
    assert model.score(*new) > 0.9 * plain.score(*new)
    assert model.best_candidate_ != "unmitigated"
    results = model.cv_results_
    assert results["candidate"].tolist() == ["unmitigated", "weights", "score", "cutoffs"]
    assert results["allowed"][model.best_index_]
    allowed = results["mean_test_score"][results["allowed"]]
    assert model.best_score_ == allowed.max()
    assert model.best_gap_ == results["mean_test_gap"][model.best_index_]


@pytest.mark.parametrize("name", [name for name in CANDIDATES if name != "unmitigated"])
def test_every_candidate_can_be_named(table, new, name):
    model = make_model(candidates=[name], random_state=0)
    model.fit(*table)
    assert model.best_candidate_ == name
    predicted = model.predict(new[0], row_ids=new[0].index)
    assert set(predicted) == {"no", "yes"}
    p = model.predict_proba(new[0], row_ids=new[0].index)
    assert_array_equal(model.classes_[p.argmax(axis=1)], predicted)
    assert_allclose(p.sum(axis=1), 1.0)


def test_a_user_s_own_steering_is_a_candidate(table):
    steering = OptimalSteeringTransformer(strength=0.5, random_state=0)
    model = make_model(candidates=["unmitigated", steering], random_state=0).fit(*table)
    names = model.cv_results_["candidate"].tolist()
    assert names == ["unmitigated", "OptimalSteeringTransformer"]
    with pytest.raises(ValueError, match="'fair' is not a candidate.*unmitigated"):
        make_model(candidates=["fair"]).fit(*table)
    with pytest.raises(ValueError, match="name, or an unfitted OptimalSteeringTransformer"):
        make_model(candidates=[3]).fit(*table)
    with pytest.raises(ValueError, match="candidates is empty"):
        make_model(candidates=[]).fit(*table)


def test_what_closes_nothing_is_left_alone():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(800, 3)), columns=list("uvw"))
    y = (X["u"] + rng.normal(size=800) > 0).astype(int)
    X["group"] = rng.choice(["a", "b"], 800)
    with pytest.warns(SteeringWarning, match="No candidate narrows the gap"):
        model = make_model(random_state=0).fit(X, y)
    assert model.best_candidate_ == "unmitigated"
    assert model.steering_ is None
    assert_array_equal(
        model.predict(X), model.unmitigated_estimator_.predict(X.drop(columns="group").to_numpy())
    )


def test_without_the_attribute(table, new):
    model = make_model(candidates="attribute_free", random_state=0).fit(*table)
    assert model.best_candidate_ in ("unmitigated", "weights", "eraser")
    assert model.predict(new[0].drop(columns="group")).shape == (6_000,)
    by_weights = make_model(candidates=["weights"], random_state=0).fit(*table)
    assert 0.0 <= by_weights.best_params_["power"] <= 3.0
    with_group = by_weights.predict(new[0])
    assert_array_equal(with_group, by_weights.predict(new[0].drop(columns="group")))


def test_rows_of_unknown_and_unseen_groups(table, new):
    model = make_model(group_strategy="posterior", handle_unknown="pooled", random_state=0)
    model.fit(*table)
    X = new[0].head(50).copy()
    known = model.predict_proba(X, row_ids=X.index)
    X.loc[:10, "group"] = None
    X.loc[11:20, "group"] = "new"
    some = model.predict_proba(X, row_ids=X.index)
    assert_array_equal(some[21:], known[21:])
    assert np.isfinite(some).all()
    strict = make_model(random_state=0).fit(*table)
    with pytest.raises(ValueError, match="new"):
        strict.predict(X[15:17])


def test_certified_models_and_none(table):
    X, y = make_table(8_000, seed=3)
    options = {"constraint": "demographic_parity", "confidence_level": 0.95, "random_state": 0}
    model = make_model(max_gap=0.15, **options).fit(X, y)
    found = model.fairness_certificate_
    assert found.bound <= 0.15
    assert found.confidence_level == 0.95
    assert sum(found.n_rows.values()) == 3_200
    assert set(found.n_rows) == {"a", "b", "c"}
    with pytest.raises(NoFairModelError) as caught:
        make_model(max_gap=0.05, **options).fit(X[:500], y[:500])
    assert caught.value.bound > 0.05
    assert f"{caught.value.bound:.3f}" in str(caught.value)
    with pytest.raises(ValueError, match="confidence_level needs max_gap"):
        make_model(confidence_level=0.9).fit(X, y)
    with pytest.raises(ValueError, match="cv must be a number"):
        make_model(max_gap=0.1, cv=KFold(3), **options).fit(X, y)
    with pytest.raises(ValueError, match="rows of equal weight"):
        make_model(max_gap=0.1, **options).fit(X, y, sample_weight=1.0 + (X["group"] == "a"))
    odds = options | {"constraint": "equalized_odds"}
    with pytest.raises(ValueError, match="two labels"):
        make_model(max_gap=0.1, **odds).fit(X, np.where(X["years"] > 4, "more", y))
    error = NoFairModelError(0.12, 0.02, 0.07, 0.95, 400)
    assert error.n_rows_needed == 1600
    assert "1,600" in str(error)


@pytest.mark.slow
def test_certificates_of_chosen_models_hold():
    # Many rows show the gap of the fitted model.
    X_all, y_all = make_table(40_000, seed=99, n_groups=2)
    failed = runs = 0
    for seed in range(10):
        X, y = make_table(1_500, seed=seed, n_groups=2)
        model = make_model(
            constraint="demographic_parity",
            max_gap=0.15,
            confidence_level=0.8,
            cv=2,
            random_state=seed,
        )
        try:
            model.fit(X, y)
        except NoFairModelError:
            continue
        runs += 1
        gap = gap_of(model, X_all, y_all, "demographic_parity", row_ids=X_all.index)
        failed += gap > model.fairness_certificate_.bound
    assert runs > 3
    assert failed <= 2


def test_max_gap_and_min_rate(table):
    loose = make_model(max_gap=0.9, random_state=0).fit(*table)
    assert loose.best_candidate_ == "unmitigated" or loose.best_score_ >= 0.6
    strict = make_model(min_rate=0.99, random_state=0).fit(*table)
    assert not strict.cv_results_["allowed"].any()
    results = make_model(min_rate=0.1, random_state=0).fit(*table).cv_results_
    assert results["allowed"].any()
    assert (results["smallest_rate"] > 0.1).all()


def test_three_labels(rng):
    X, _ = make_table(1_500)
    y = rng.choice(["low", "mid", "top"], 1_500)
    X["test"] += 20.0 * (y == "top") * (X["group"] == "a")
    X = X.drop(columns=["school"])
    model = make_model(random_state=0).fit(X, y)
    assert model.cv_results_["candidate"].tolist() == ["unmitigated", "weights", "table"]
    assert model.predict_proba(X).shape == (1_500, 3)
    with pytest.raises(ValueError, match="for two labels"):
        make_model(candidates=["score"]).fit(X, y)


def test_weights_are_frequencies(table):
    X, y = (part[:600] for part in table)
    repeated = np.arange(600) % 3 == 0
    weights = 1.0 + repeated
    both = pd.concat([X, X[repeated]]), np.concatenate([y, y[repeated]])
    options = {"candidates": ["score"], "random_state": 0, "cv": 2}
    weighted = make_model(**options).fit(X, y, sample_weight=weights)
    counted = make_model(**options).fit(*both)
    p, q = (model.predict_proba(X, row_ids=X.index) for model in (weighted, counted))
    assert np.mean(np.abs(p - q)) < 0.1
    none = make_model(**options).fit(X, y, sample_weight=np.where(X["group"] == "c", 0.0, 1.0))
    assert none.groups_.tolist() == ["a", "b"]


def test_scoring_may_be_any_scorer(table):
    for scoring in (
        "balanced_accuracy",
        "roc_auc",
        lambda model, X, y: np.mean(model.predict(X) == y),
    ):
        model = make_model(scoring=scoring, random_state=0, candidates=["score"]).fit(*table)
        assert 0.5 < model.best_score_ < 1.0


def test_decision_functions_without_probabilities(table):
    model = make_model(LinearSVC(), random_state=0).fit(*table)
    scores = model.decision_function(table[0], row_ids=table[0].index)
    predicted = model.predict(table[0], row_ids=table[0].index)
    assert_array_equal(scores > 0.0, predicted == "yes")


def test_labels_of_new_rows_and_their_order_move_nothing(fitted, new):
    X, _ = new
    order = np.random.default_rng(0).permutation(len(X))
    p = fitted.predict_proba(X, row_ids=X.index)
    assert_array_equal(fitted.predict_proba(X.iloc[order], row_ids=X.index[order]), p[order])
    assert_array_equal(fitted.predict_proba(X.iloc[:1], row_ids=X.index[:1]), p[:1])


def test_a_failed_fit_changes_nothing(fitted, table):
    X, y = table
    before = pickle.dumps(fitted)
    with pytest.raises(ValueError, match="group"):
        fitted.fit(X.assign(group="a"), y)
    with pytest.raises(TypeError, match="classifier"):
        clone(fitted).set_params(estimator=FunctionTransformer()).fit(X, y)
    assert pickle.dumps(fitted) == before


def test_it_prints_progress(table, capsys):
    make_model(verbose=1, random_state=0, candidates=["unmitigated", "score"]).fit(*table)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "score: score 0." in lines[1]


def test_without_refit_there_are_only_results(table):
    model = make_model(refit=False, random_state=0).fit(*table)
    assert model.best_candidate_
    with pytest.raises(NotFittedError):
        model.predict(table[0])


# ---- scikit-learn ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_estimator_checks():
    model = SteeredClassifierCV(
        LogisticRegression(max_iter=1000), [1], handle_unknown="pooled", cv=2, random_state=0
    )
    results = check_estimator(model, on_skip=None, on_fail=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert failed == {}
    assert sum(r["status"] == "passed" for r in results) > 45


@pytest.mark.slow
def test_searches_stacks_and_calibration(table):
    X, y = (part[:600] for part in table)
    model = make_model(random_state=0, cv=2)
    search = GridSearchCV(model, {"max_gap": [0.05, 0.2], "estimator__C": [0.1, 1.0]}, cv=2)
    assert search.fit(X, y).best_score_ > 0.5
    calibrated = CalibratedClassifierCV(model, cv=2).fit(X, y)
    assert calibrated.predict_proba(X).shape == (600, 2)
    stack = StackingClassifier([("fair", model)], cv=2).fit(X, y)
    assert stack.predict(X).shape == (600,)
    assert cross_val_predict(model, X, y, cv=2).shape == (600,)
    steps = make_pipeline(FunctionTransformer(), model).fit(X, y)
    assert_array_equal(steps.predict(X), model.fit(X, y).predict(X))
    own = clone(model).set_params(cv=KFold(2, shuffle=True, random_state=0)).fit(X, y)
    assert own.best_candidate_ in CANDIDATES


def test_files(fitted, new):
    X = new[0].head(100)
    p = fitted.predict_proba(X, row_ids=X.index)
    for loaded in (
        pickle.loads(pickle.dumps(fitted)),
        skops.io.loads(skops.io.dumps(fitted), trusted=TRUSTED_TYPES),
    ):
        assert_array_equal(loaded.predict_proba(X, row_ids=X.index), p)


def test_polars_arrays_and_routing(table):
    X, y = (part[:900] for part in table)
    options = {"random_state": 0, "candidates": ["score"]}
    expected = make_model(**options).fit(X, y).predict(X, row_ids=X.index)
    found = (
        make_model(**options).fit(pl.from_pandas(X), y).predict(pl.from_pandas(X), row_ids=X.index)
    )
    assert_array_equal(found, expected)
    numbers = X[["test", "years"]].to_numpy()
    routed = {"sensitive_features": X["group"]}
    with config_context(enable_metadata_routing=True):
        model = make_model(sensitive_feature_ids=None, **options)
        steps = make_pipeline(FunctionTransformer(), model).fit(numbers, y, **routed)
        predicted = steps.predict(numbers, row_ids=X.index, **routed)
    assert set(predicted) == {"no", "yes"}


def test_it_is_certified_like_other_models(fitted, new, table):
    found = certify(fitted, *new, row_ids=new[0].index, pos_label="yes")
    assert found.scope == "model"
    assert found.bound < 0.2
    with pytest.raises(ValueError, match="was fitted to"):
        certify(fitted, *table, row_ids=table[0].index)


def test_two_identical_fits_agree(table):
    one, two = (make_model(random_state=3, cv=3).fit(*table) for _ in range(2))
    assert_array_equal(one.predict(table[0]), two.predict(table[0]))
    for key, values in one.cv_results_.items():
        if key != "fit_time":
            assert_array_equal(values, two.cv_results_[key])


def test_certification_rows_have_no_part_in_the_encoding():
    X, y = make_table(900, seed=5)
    options = {"constraint": "demographic_parity", "candidates": ["unmitigated"], "max_gap": 0.9}
    model = make_model(confidence_level=0.9, random_state=0, **options).fit(X, y)
    mean = model._encoder.transform(X.drop(columns="group"))["test"].mean()
    assert abs(mean) > 1e-9
    whole = make_model(random_state=0, **options).fit(X, y)
    assert abs(whole._encoder.transform(X.drop(columns="group"))["test"].mean()) < 1e-9


def test_groups_without_a_label_do_not_hide_the_gap_of_others(table):
    X, y = (part.copy() for part in table)
    tiny = np.arange(3)
    X.loc[tiny, "group"], y[tiny] = "d", "no"
    model = make_model(random_state=0).fit(X, y)
    assert np.isfinite(model.cv_results_["mean_test_gap"]).all()
    assert model.best_candidate_ != "unmitigated"
    rare = np.where(np.arange(len(y)) < 1, "yes", "no")
    assert make_model(random_state=0).fit(X, rare).predict(X.head(3)).shape == (3,)


def rank(gap, rate=None, certified=False, min_rate=None, chance=0.02, spread=None):
    n = len(gap)
    results = {
        "candidate": np.array(["unmitigated", *"abc"][:n], dtype=object),
        "mean_test_score": np.linspace(0.85, 0.84, n),
        "smallest_rate": np.ones(n) if rate is None else np.array(rate),
    }
    for name, factor in (("gap", 1.0), ("spread", 0.5)):
        values = np.array(gap), np.full(n, 0.01), np.zeros(n), np.full(n, chance), np.full(n, 0.01)
        results |= {key: factor * own for key, own in zip(KEYS[name], values, strict=True)}
    if spread is not None:
        results |= {"mean_test_spread": np.array(spread), "spread_by_chance": np.full(n, 0.03)}
    order = rank_candidates(results, max_gap=0.05, min_rate=min_rate, certified=certified)
    return order, results["allowed"].tolist()


def test_a_gap_within_the_limit_is_left_alone_unless_it_is_to_be_certified():
    gap = [0.045, 0.042, 0.041, 0.005]
    assert rank(gap) == ([0, 1, 2, 3], [True, False, False, False])
    order, allowed = rank(gap, certified=True)
    assert order[:2] == [0, 3]
    assert allowed == [True, False, False, True]


def test_a_gap_that_chance_explains_is_left_alone():
    results = rank([0.08, 0.01, 0.01, 0.01], chance=0.07)
    assert results == ([1, 2, 3, 0], [False, True, True, True])
    results = rank([0.08, 0.01, 0.01, 0.01], chance=0.09)
    assert results == ([0, 1, 2, 3], [True, False, False, False])
    order, _ = rank([0.08, 0.01, 0.01, 0.01], chance=0.09, certified=True)
    assert order[0] == 1


def test_a_spread_that_chance_does_not_explain_is_closed():
    gap, spread = [0.08, 0.07, 0.06, 0.09], [0.04, 0.005, 0.035, 0.001]
    # The gap alone, mostly that of a small group, is within what chance leaves.
    assert rank(gap, chance=0.1)[0][0] == 0
    order, allowed = rank(gap, chance=0.1, spread=spread)
    # The last candidate has a smaller spread, but a larger gap.
    assert order[0] == 1
    assert allowed == [False, False, False, False]


def test_a_rate_that_is_too_small_is_a_reason_to_mitigate():
    order, allowed = rank([0.01, 0.01, 0.01, 0.005], [0.01, 0.2, 0.2, 0.2], min_rate=0.1)
    assert order[0] == 1
    assert allowed == [False, True, True, True]


def test_classifiers_of_several_constraints_and_gaps_share_fits(table):
    X, y = table
    fits, features = None, X.drop(columns="group")
    for constraint, max_gap in itertools.product(CONSTRAINTS, (None, 0.1)):
        options = {"constraint": constraint, "max_gap": max_gap, "random_state": 3}
        own, alone = (SteeredClassifierCV(LogisticRegression(), **options) for _ in range(2))
        known = fits.seconds.copy() if fits else {}
        fits = fit_sharing(own, features, y, sensitive_features=X["group"], fits=fits)
        alone.fit(features, y, sensitive_features=X["group"])
        for name in ("mean_test_score", "mean_test_gap", "floor", "allowed"):
            assert_array_equal(own.cv_results_[name], alone.cv_results_[name])
        assert own.best_candidate_ == alone.best_candidate_
        assert_array_equal(
            *(one.predict_proba(features, sensitive_features=X["group"]) for one in (own, alone))
        )
        assert {name: fits.seconds[name] for name in known} == known
    assert set(fits.seconds) == {"aware", "blind", "first_weighted"}
