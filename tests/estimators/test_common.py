"""Properties that all estimators share."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from fairsteer import OptimalSteeringTransformer, SteeredClassifier, WithinLabelEraser
from fairsteer.datasets import make_gaussian_subgroups

pytestmark = pytest.mark.filterwarnings("ignore::fairsteer.SteeringWarning")


# Tied covariances have a closed form, which is quick.
def normal(ids=None, **parameters):
    return OptimalSteeringTransformer(ids, covariance_type="tied", **parameters)


def classifier(ids=None):
    steering = normal(ids, priors="independent")
    return SteeredClassifier(LogisticRegression(max_iter=2000, tol=1e-8), steering)


def copula(ids=None):
    return normal(ids, family="copula", random_state=0)


def eraser(ids=None):
    # Three groups differ in two directions of four; within three labels in all of them.
    return WithinLabelEraser(ids, constraint="demographic_parity")


TRANSFORMERS = {"normal": normal, "copula": copula, "eraser": eraser}
ESTIMATORS = {**TRANSFORMERS, "classifier": classifier}
every_estimator = pytest.mark.parametrize("make", ESTIMATORS.values(), ids=ESTIMATORS)
every_transformer = pytest.mark.parametrize("make", TRANSFORMERS.values(), ids=TRANSFORMERS)


@pytest.fixture
def data():
    """Three labels, three groups, four features and the group as the second column."""
    drawn = make_gaussian_subgroups(600, n_labels=3, n_groups=3, n_features=4, random_state=0)
    return drawn.data[["x0", "group", "x1", "x2", "x3"]], drawn.target


def numbers(X):
    return X.drop(columns="group").to_numpy()


def compute(model, X, attribute=None):
    """Return what a fitted estimator computes from rows."""
    blind = isinstance(model, WithinLabelEraser) or attribute is None
    given = {} if blind else {"sensitive_features": attribute}
    if isinstance(model, SteeredClassifier):
        return model.predict_proba(X, **given)
    return np.asarray(model.transform(X, **given))


def agree(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@every_transformer
def test_fit_transform_is_fit_and_transform(data, make):
    X, y = data
    together = make("group").fit_transform(X, y)
    np.testing.assert_array_equal(together, make("group").fit(X, y).transform(X))
    assert np.abs(together - numbers(X)).max() > 0.1


@every_estimator
def test_column_position_argument_and_array_agree(data, make):
    X, y = data
    expected = compute(make("group").fit(X, y), X)
    group, features = X["group"], X.drop(columns="group")
    as_objects = X.to_numpy()
    agree(compute(make(1).fit(as_objects, y), as_objects), expected)
    agree(compute(make(["group"]).fit(X, y), X), expected)
    for table in (features, features.to_numpy(), features.to_numpy().tolist()):
        for attribute in (group, group.to_numpy(), group.tolist(), group.to_frame()):
            fitted = make().fit(table, y, sensitive_features=attribute)
            agree(compute(fitted, table, attribute), expected)


@every_estimator
def test_rows_one_by_one_equal_the_batch(data, make):
    X, y = data
    fitted = make("group").fit(X, y)
    alone = np.concatenate([compute(fitted, X.iloc[[k]]) for k in range(20)])
    np.testing.assert_allclose(alone, compute(fitted, X)[:20], atol=1e-12)


@every_estimator
def test_permuted_rows_give_permuted_results(data, make, rng):
    X, y = data
    order = rng.permutation(len(X))
    permuted = make("group").fit(X.iloc[order], y.iloc[order])
    agree(compute(permuted, X), compute(make("group").fit(X, y), X))


@every_estimator
def test_names_of_groups_and_kinds_of_labels_do_not_matter(data, make):
    X, y = data
    expected = compute(make("group").fit(X, y), X)
    renamed = X.assign(group=X["group"].map({name: f"the {name}" for name in X["group"].unique()}))
    agree(compute(make("group").fit(renamed, y), renamed), expected)
    text = np.array(["a", "b", "c"])[y]
    fitted = make("group").fit(X, text)
    agree(compute(fitted, X), expected)
    assert fitted.classes_.tolist() == ["a", "b", "c"]


@every_estimator
def test_weights_are_frequencies(data, make, rng):
    X, y = data
    if make is copula:
        pytest.skip("the copula gives each of identical rows a draw of its own")
    times = rng.integers(0, 3, size=len(X))
    weighted = make("group").fit(X, y, sample_weight=times)
    rows = np.repeat(np.arange(len(X)), times)
    repeated = make("group").fit(X.iloc[rows], y.iloc[rows])
    agree(compute(weighted, X), compute(repeated, X))


@every_estimator
def test_rows_of_weight_zero_are_absent(data, make):
    X, y = data
    present = np.arange(len(X)) < 500
    other = X.assign(group=np.where(present, X["group"], "nobody"))
    weighted = make("group").fit(other, np.where(present, y, 7), sample_weight=present.astype(int))
    expected = make("group").fit(X[present], y[present])
    agree(compute(weighted, X), compute(expected, X))
    assert weighted.classes_.tolist() == [0, 1, 2]


@every_transformer
def test_float32_stays_float32_and_other_numbers_become_float64(data, make):
    X, y = data
    group, features = X["group"], X.drop(columns="group")
    expected = make().fit_transform(features, y, sensitive_features=group)
    assert expected.dtype == np.float64
    for narrow in (features.astype(np.float32), features.to_numpy(dtype=np.float32)):
        moved = make().fit_transform(narrow, y, sensitive_features=group)
        assert moved.dtype == np.float32
        if make is not copula:  # float32 values have other draws
            np.testing.assert_allclose(moved, expected, atol=1e-4)
    whole = (10 * features).round().astype(int)
    assert make().fit_transform(whole, y, sensitive_features=group).dtype == np.float64


@every_transformer
def test_names_and_index_are_kept(data, make):
    X, y = data
    X.index = y.index = [f"row {k}" for k in range(len(X))]
    fitted = make("group").set_output(transform="pandas").fit(X, y)
    for frame in (fitted.transform(X), fitted.fit_transform(X, y)):
        assert isinstance(frame, pd.DataFrame)
        assert list(frame.columns) == ["x0", "x1", "x2", "x3"]
        assert list(frame.index) == list(X.index)
    assert list(fitted.feature_names_in_) == list(X.columns)
    assert fitted.n_features_in_ == 5
    assert list(fitted.get_feature_names_out()) == ["x0", "x1", "x2", "x3"]
    unnamed = make(1).fit(X.to_numpy(), y)
    assert list(unnamed.get_feature_names_out()) == ["x0", "x2", "x3", "x4"]
    assert list(unnamed.get_feature_names_out(list("pqrst"))) == ["p", "r", "s", "t"]
    with pytest.raises(ValueError, match="feature_names_in_"):
        fitted.get_feature_names_out(list("pqrst"))


@every_estimator
def test_clones_and_pickles_are_equal(data, make):
    X, y = data
    fitted = make("group").fit(X, y)
    expected = compute(fitted, X)
    np.testing.assert_array_equal(compute(pickle.loads(pickle.dumps(fitted)), X), expected)
    np.testing.assert_array_equal(compute(copy.deepcopy(fitted), X), expected)
    fresh = clone(fitted)
    with pytest.raises(NotFittedError):
        compute(fresh, X)
    agree(compute(fresh.fit(X, y), X), expected)


@every_estimator
def test_inputs_and_parameters_are_left_alone(data, make):
    X, y = data
    before_X, before_y, weights = X.copy(), y.copy(), np.ones(len(X))
    estimator = make("group")
    parameters = {name: repr(value) for name, value in estimator.get_params().items()}
    estimator.fit(X, y, sample_weight=weights)
    compute(estimator, X)
    pd.testing.assert_frame_equal(X, before_X)
    pd.testing.assert_series_equal(y, before_y)
    assert np.all(weights == 1.0)
    assert {name: repr(value) for name, value in estimator.get_params().items()} == parameters


@every_estimator
def test_a_second_fit_forgets_the_first(data, make):
    X, y = data
    twice = make("group").fit(X.iloc[:300, :4], y[:300]).fit(X, y)
    agree(compute(twice, X), compute(make("group").fit(X, y), X))


@every_estimator
@pytest.mark.parametrize(
    "spoil",
    [
        lambda X, y: (X.assign(x1=np.nan), y),
        lambda X, y: (X, y * 0),
        lambda X, y: (X.assign(group=None), y),
        lambda X, y: (X.assign(x0=0.0, x1=0.0, x2=0.0, x3=0.0), y),
    ],
    ids=["missing feature", "one label", "missing group", "constant features"],
)
def test_a_failed_second_fit_keeps_the_first(data, make, spoil):
    X, y = data
    fitted = make("group").fit(X, y)
    expected, attributes = compute(fitted, X), set(vars(fitted))
    with pytest.raises(ValueError):
        fitted.fit(*spoil(X, y))
    np.testing.assert_array_equal(compute(fitted, X), expected)
    assert set(vars(fitted)) == attributes


@every_estimator
def test_an_attribute_given_twice_or_not_at_all_is_refused(data, make):
    X, y = data
    with pytest.raises(ValueError, match=r"sensitive_feature_ids.*sensitive_features"):
        make("group").fit(X, y, sensitive_features=X["group"])
    features = X.drop(columns="group")
    with pytest.raises(ValueError, match=r"attribute is missing.*sensitive_feature_ids"):
        make().fit(features, y)
    if make is not eraser:
        fitted = make().fit(features, y, sensitive_features=X["group"])
        with pytest.raises(ValueError, match=r"attribute is missing.*sensitive_feature_ids"):
            compute(fitted, features)


@every_estimator
def test_a_group_or_columns_not_seen_in_fit_are_refused(data, make):
    X, y = data
    fitted = make("group").fit(X, y)
    with pytest.raises(ValueError, match="unseen at fit time|feature names"):
        compute(fitted, X.rename(columns={"x1": "other"}))
    if make is not eraser:
        with pytest.raises(ValueError, match="nobody"):
            compute(fitted, X.assign(group="nobody"))


# Several sensitive columns


@pytest.fixture
def two(data, rng):
    """Features, labels and a frame of two sensitive columns that share their values."""
    X, y = data
    sex = rng.integers(0, 2, size=len(X))
    race = (rng.random(len(X)) < 0.3 + 0.4 * sex).astype(int)
    features = X.drop(columns="group")
    features["x0"] += sex + 2.0 * race
    return features, y, pd.DataFrame({"sex": sex, "race": race})


@every_estimator
def test_columns_of_the_attribute_are_matched_by_name(two, make):
    X, y, both = two
    fitted = make().fit(X, y, sensitive_features=both)
    swapped = both[["race", "sex"]]
    np.testing.assert_array_equal(compute(fitted, X, swapped), compute(fitted, X, both))
    if make is not classifier:
        assert fitted.sensitive_names_ == ["sex", "race"]
    if make is eraser:
        return
    with pytest.raises(ValueError, match="'gender'"):
        compute(fitted, X, both.rename(columns={"sex": "gender"}))
    with pytest.raises(ValueError, match=r"1 column\(s\).* 2"):
        compute(fitted, X, both[["sex"]])
    with pytest.raises(ValueError, match=r"1 column\(s\).* 2"):
        compute(fitted, X, both["sex"].to_numpy())
    as_arrays = make().fit(X, y, sensitive_features=both.to_numpy())
    for model in (fitted, as_arrays):
        np.testing.assert_array_equal(compute(model, X, both.to_numpy()), compute(fitted, X, both))
    with pytest.raises(ValueError, match=r"1 column\(s\).* 2"):
        compute(as_arrays, X, both["sex"])
    one = make().fit(X, y, sensitive_features=both[["sex"]])
    compute(one, X, both[["sex"]].rename(columns={"sex": "gender"}))


@every_estimator
def test_columns_of_the_attribute_are_matched_by_name_in_a_pipeline(two, make):
    X, y, both = two
    steps = [make()] if make is classifier else [make(), LogisticRegression(max_iter=2000)]
    model = make_pipeline(*steps)
    with config_context(enable_metadata_routing=True):
        model.fit(X, y, sensitive_features=both)
        given = {} if make is eraser else {"sensitive_features": both}
        expected = model.predict(X, **given)
        if given:
            given["sensitive_features"] = both[["race", "sex"]]
        np.testing.assert_array_equal(model.predict(X, **given), expected)


def test_columns_of_the_attribute_are_matched_by_name_in_every_batch(two):
    X, y, both = two
    whole = normal().fit(X, y, sensitive_features=both)
    parts = normal()
    parts.partial_fit(X[:300], y[:300], sensitive_features=both[:300], finish=False)
    swapped = both[["race", "sex"]]
    with pytest.raises(ValueError, match="'gender'"):
        renamed = both.rename(columns={"sex": "gender"})
        parts.partial_fit(X[300:], y[300:], sensitive_features=renamed[300:])
    parts.partial_fit(X[300:], y[300:], sensitive_features=swapped[300:])
    agree(
        parts.transform(X, sensitive_features=swapped),
        whole.transform(X, sensitive_features=both),
    )
    other = normal().fit(X, y, sensitive_features=swapped)
    with pytest.raises(ValueError, match="same columns in the same order"):
        parts.merge(other)


@every_estimator
def test_two_columns_mean_their_intersection(two, make):
    X, y, both = two
    names = both["sex"].astype(str) + both["race"].astype(str)
    expected = compute(make().fit(X, y, sensitive_features=names), X, names)
    agree(compute(make().fit(X, y, sensitive_features=both), X, both), expected)
    table = X.assign(sex=both["sex"], race=both["race"])
    fitted = make(["sex", "race"]).fit(table, y)
    agree(compute(fitted, table), expected)
    if make is not classifier:
        assert fitted.groups_.tolist() == [(0, 0), (0, 1), (1, 0), (1, 1)]


# Metadata routing


METHODS = ("fit", "partial_fit", "transform", "predict", "predict_proba", "score")


@every_estimator
@pytest.mark.parametrize("ids", [None, "group", 0, ["group", "age"]], ids=str)
def test_requests_are_on_for_an_argument_and_off_for_a_column(make, ids):
    estimator = make(ids)
    routing = estimator.get_metadata_routing()
    asked = {
        method: getattr(routing, method).requests.get("sensitive_features")
        for method in METHODS
        if hasattr(estimator, method)
    }
    if make is eraser:
        assert asked.pop("transform") is None
    assert set(asked.values()) == {ids is None}


@every_estimator
@pytest.mark.parametrize("enabled", [False, True])
def test_a_column_needs_no_routing(data, make, enabled):
    X, y = data
    steps = [make("group")]
    if make is not classifier:
        steps.append(LogisticRegression(max_iter=2000))
    with config_context(enable_metadata_routing=enabled):
        predicted = make_pipeline(*steps).fit(X, y).predict(X)
    assert np.mean(predicted == y) > 0.4
