import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from fairsteer import WithinLabelEraser
from fairsteer.core.constraints import CONSTRAINTS
from fairsteer.core.erasure import within_label_eraser
from fairsteer.core.moments import subgroup_moments
from fairsteer.datasets import make_gaussian_subgroups
from tests.conftest import tied_gaussians, with_parts

pytestmark = pytest.mark.slow

FEATURES = [f"x{j}" for j in range(8)]


def draw(seed=0, n_samples=900, **parameters):
    sizes = {"n_labels": 3, "n_groups": 3, "n_features": 8} | parameters
    sample = make_gaussian_subgroups(n_samples, random_state=seed, **sizes)
    return sample.data, sample.target


def eraser(**parameters):
    return WithinLabelEraser("group", **parameters)


def numbers(X):
    return X.drop(columns="group").to_numpy()


def gaps(values, group, y=None):
    """Return the largest difference of group means, for each label or over all rows."""
    labels = np.zeros(len(values)) if y is None else y.to_numpy()
    table = pd.DataFrame(values).groupby([labels, group.to_numpy()]).mean()
    return table.groupby(level=0).agg(np.ptp).max(axis=1)


def agree(first, second):
    np.testing.assert_allclose(first, second, atol=1e-8)


@pytest.fixture
def data():
    return draw()


# What it erases


@pytest.mark.parametrize("shrinkage", [0, 0.01, "auto"])
def test_equalized_odds_equalises_the_means_within_every_label(data, shrinkage):
    X, y = data
    fitted = eraser(shrinkage=shrinkage).fit(X, y)
    assert gaps(numbers(X), X["group"], y).min() > 0.5
    assert gaps(fitted.transform(X), X["group"], y).max() < 1e-10
    assert fitted.n_directions_ == 6


@pytest.mark.parametrize("pos_label", [None, 0, 1, 2])
def test_equal_opportunity_equalises_the_means_within_the_positive_label(data, pos_label):
    X, y = data
    fitted = eraser(constraint="equal_opportunity", pos_label=pos_label).fit(X, y)
    assert fitted.pos_label_ == (2 if pos_label is None else pos_label)
    left = gaps(fitted.transform(X), X["group"], y)
    assert left.pop(fitted.pos_label_) < 1e-10
    assert left.min() > 0.1
    assert fitted.n_directions_ == 2


def test_demographic_parity_equalises_the_means(data):
    X, y = data
    fitted = eraser(constraint="demographic_parity").fit(X, y)
    moved = fitted.transform(X)
    assert gaps(moved, X["group"]).max() < 1e-10
    assert gaps(moved, X["group"], y).min() > 0.1
    assert fitted.n_directions_ == 2


@pytest.mark.parametrize("seed", [3, 10, 11])
def test_classifiers_that_never_see_the_group_close_their_gaps(seed):
    law = tied_gaussians(2, 2, 6, seed)
    law = with_parts(law, covariances=np.broadcast_to(law.covariances[:, :1], (2, 2, 6, 6)))
    X, y = draw(seed, n_samples=20_000, gaussians=law)
    new, new_y = draw(seed + 100, n_samples=20_000, gaussians=law)
    hidden = new.assign(group=None)

    def largest_gap(model):
        rates = (model.fit(X, y).predict(hidden) == 1).astype(float)
        return gaps(rates, new["group"], new_y).max()

    drop = ColumnTransformer([("keep", "passthrough", FEATURES[:6])])
    for classifier in (LogisticRegression(), LinearDiscriminantAnalysis()):
        before = largest_gap(make_pipeline(drop, classifier))
        after = largest_gap(make_pipeline(eraser(), classifier))
        assert after < 0.03
        assert before > 0.1


def test_transform_by_hand(data):
    X, y = data
    fitted = eraser(constraint="equal_opportunity", pos_label=1, shrinkage=0.3).fit(X, y)
    codes = X["group"].map({"a": 0, "b": 1, "c": 2}).to_numpy()
    moments = subgroup_moments(numbers(X), y.to_numpy(), codes, (3, 3))
    expected = within_label_eraser(
        *moments, constraint="equal_opportunity", positive=1, shrinkage=0.3
    )
    np.testing.assert_array_equal(fitted.map_.matrix, expected.map.matrix)
    np.testing.assert_array_equal(fitted.covariance_, expected.covariance)
    agree(fitted.transform(X), expected.map.apply(numbers(X)))
    agree(fitted.transform(X).mean(axis=0), numbers(X).mean(axis=0))


def test_twice_is_once(data):
    X, y = data
    fitted = eraser().fit(X, y)
    once = X.copy()
    once[FEATURES] = fitted.transform(X)
    agree(fitted.transform(once), once[FEATURES])


# What transform does to rows


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_labels_of_rows_left_out_of_fit_change_nothing(data, rng, constraint):
    X, y = data
    weights = np.where(np.arange(len(X)) < 600, 1.0, 0.0)
    shuffled = y.copy()
    shuffled[600:] = rng.permutation(y[600:])
    first, second = (
        eraser(constraint=constraint).fit_transform(X, labels, sample_weight=weights)
        for labels in (y, shuffled)
    )
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(
        first, eraser(constraint=constraint).fit(X[:600], y[:600]).transform(X)
    )


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_strength_is_linear_and_zero_is_the_identity(data, constraint):
    X, y = data
    none, some, all_ = (
        eraser(constraint=constraint, strength=s).fit_transform(X, y) for s in (0, 0.3, 1)
    )
    np.testing.assert_array_equal(none, numbers(X))
    np.testing.assert_allclose(some, 0.7 * numbers(X) + 0.3 * all_, rtol=0, atol=1e-12)


def test_partial_erasure_is_undone_by_a_model_that_is_not_regularised(data):
    X, y = data
    plain, part, whole = (
        LinearDiscriminantAnalysis().fit(moved, y).decision_function(moved)
        for moved in (eraser(strength=s).fit_transform(X, y) for s in (0, 0.9, 0.999))
    )
    np.testing.assert_allclose(plain, part, atol=1e-6)
    np.testing.assert_allclose(plain, whole, atol=1e-6)


@pytest.mark.parametrize(
    "anything", [None, np.nan, np.inf, pd.NA, "unseen", 7, [1]], ids=lambda value: repr(value)
)
def test_the_attribute_is_ignored_after_fit(data, anything):
    X, y = data
    fitted = eraser().fit(X, y)
    hidden = X.assign(group=pd.Series([anything] * len(X)))
    np.testing.assert_array_equal(fitted.transform(hidden), fitted.transform(X))
    as_array = WithinLabelEraser(8).fit(X.to_numpy(dtype=object), y)
    np.testing.assert_array_equal(
        as_array.transform(hidden.to_numpy(dtype=object)), fitted.transform(X)
    )


def test_groups_that_do_not_differ_are_left_alone(data):
    X, y = data
    alike = pd.concat([X.assign(group=name) for name in "abc"], ignore_index=True)
    labels = pd.concat([y] * 3, ignore_index=True)
    for constraint in CONSTRAINTS:
        fitted = eraser(constraint=constraint).fit(alike, labels)
        assert fitted.n_directions_ == 0
        np.testing.assert_array_equal(fitted.transform(X), numbers(X))


def test_a_column_constant_in_training_is_returned_unchanged(data):
    X, y = data
    plain = eraser().fit_transform(X, y)
    X.insert(1, "constant", 3.0)
    fitted = eraser().fit(X, y)
    np.testing.assert_array_equal(fitted.steered_features_, [0, 2, 3, 4, 5, 6, 7, 8])
    new = X.assign(constant=np.arange(len(X), dtype=float))
    moved = fitted.transform(new)
    np.testing.assert_array_equal(moved[:, 1], new["constant"])
    np.testing.assert_array_equal(np.delete(moved, 1, axis=1), plain)


# Permutations, units and weights


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("shrinkage", [0, 0.2, "auto"])
def test_rescaling_and_shifting_features_does_the_same_to_the_result(data, constraint, shrinkage):
    X, y = data
    scale, shift = np.geomspace(1e-2, 1e3, 8) * (-1) ** np.arange(8), 10.0 * np.arange(8)
    rescaled = X.copy()
    rescaled[FEATURES] = numbers(X) * scale + shift
    parameters = {"constraint": constraint, "shrinkage": shrinkage}
    first = eraser(**parameters).fit_transform(X, y)
    second = eraser(**parameters).fit_transform(rescaled, y)
    agree(first, (second - shift) / scale)


@pytest.mark.parametrize("shrinkage", [0.01, "auto"])
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_weights_are_frequencies(data, rng, constraint, shrinkage):
    X, y = data
    weights = rng.integers(0, 4, size=len(X))
    parameters = {"constraint": constraint, "shrinkage": shrinkage}
    weighted = eraser(**parameters).fit(X, y, sample_weight=weights)
    rows = np.repeat(np.arange(len(X)), weights)
    repeated = eraser(**parameters).fit(X.iloc[rows], y.iloc[rows])
    agree(weighted.transform(X), repeated.transform(X))
    np.testing.assert_allclose(weighted.covariance_, repeated.covariance_)


# Containers, names and types


# A scikit-learn citizen


def test_grid_search_over_strength_in_a_pipeline(data):
    X, y = data
    columns = ColumnTransformer(
        [("scale", StandardScaler(), FEATURES), ("keep", "passthrough", ["group"])],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    model = Pipeline(
        [("columns", columns), ("erase", eraser()), ("model", LogisticRegression(C=0.01))]
    )
    search = GridSearchCV(model, {"erase__strength": [0.0, 0.5, 1.0]}, cv=3).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.all(np.isfinite(scores))
    assert len(set(scores)) > 1
    hidden = X.assign(group=None)
    np.testing.assert_array_equal(search.predict(hidden), search.predict(X))
    assert list(model.fit(X, y)[:-1].get_feature_names_out()) == FEATURES
    assert cross_val_predict(model, X, y, cv=3).shape == (len(X),)


# The attribute by metadata routing: fit asks for it, transform does not


def test_fit_alone_requests_the_attribute():
    request = WithinLabelEraser().get_metadata_routing()
    assert request.fit.requests["sensitive_features"] is True
    assert request.transform.requests == {}
    for ids in ("group", 0, ["group", "age"]):
        request = WithinLabelEraser(ids).get_metadata_routing()
        assert request.fit.requests["sensitive_features"] is False
        assert request.transform.requests == {}


def test_the_attribute_is_routed_to_fit_and_not_needed_afterwards(data):
    X, y = data
    features, group = X[FEATURES].to_numpy(), X["group"]
    scaled = StandardScaler().fit_transform(features)
    moved = WithinLabelEraser().fit_transform(scaled, y, sensitive_features=group)
    by_hand = LogisticRegression().fit(moved, y).predict(moved)
    model = make_pipeline(StandardScaler(), WithinLabelEraser(), LogisticRegression())
    with config_context(enable_metadata_routing=True):
        model.fit(features, y, sensitive_features=group)
        np.testing.assert_array_equal(model.predict(features), by_hand)
        grid = {"withinlabeleraser__strength": [0.0, 1.0]}
        search = GridSearchCV(model, grid, cv=3).fit(features, y, sensitive_features=group)
        assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))
        with pytest.raises(TypeError, match="sensitive_features"):
            model.predict(features, sensitive_features=group)
    np.testing.assert_array_equal(model.predict(features), by_hand)


@pytest.mark.parametrize("enabled", [False, True])
def test_a_missing_attribute_never_means_no_erasure(data, enabled):
    X, y = data
    model = make_pipeline(StandardScaler(), WithinLabelEraser(), LogisticRegression())
    with (
        config_context(enable_metadata_routing=enabled),
        pytest.raises(ValueError, match="attribute is missing"),
    ):
        model.fit(X[FEATURES], y)


# What it warns of, and refuses


def test_labels_that_no_two_groups_share():
    X, y = draw(n_labels=2, n_groups=2)
    apart = (X["group"] == "a") == (y == 1)
    X, y = X[apart], y[apart]
    message = "constraint='{}'.*nothing to erase"
    for constraint in ("equalized_odds", "equal_opportunity"):
        with pytest.warns(UserWarning, match=message.format(constraint)):
            moved = eraser(constraint=constraint).fit_transform(X, y)
        np.testing.assert_array_equal(moved, numbers(X))
    fitted = eraser(constraint="demographic_parity").fit(X, y)
    assert gaps(fitted.transform(X), X["group"]).max() < 1e-10


def test_empty_cells_take_no_part(data):
    X, y = data
    kept = ~((X["group"] == "b") & (y == 1))
    X, y = X[kept], y[kept]
    fitted = eraser().fit(X, y)
    assert fitted.n_directions_ == 5
    assert gaps(fitted.transform(X), X["group"], y).max() < 1e-10
    positives = eraser(constraint="equal_opportunity", pos_label=1).fit(X, y)
    assert positives.n_directions_ == 1
    assert gaps(positives.transform(X), X["group"], y)[1] < 1e-10


def test_groups_that_differ_in_every_direction():
    X, y = draw(n_features=6)
    message = "3 groups differ along all 6 dimensions"
    with pytest.warns(UserWarning, match=message):
        moved = eraser().fit_transform(X, y)
    agree(moved, np.broadcast_to(numbers(X).mean(axis=0), moved.shape))
    with pytest.warns(UserWarning, match=message):
        part = eraser(strength=0.25).fit_transform(X, y)
    agree(part, 0.75 * numbers(X) + 0.25 * moved)
    np.testing.assert_array_equal(eraser(strength=0).fit_transform(X, y), numbers(X))
    assert eraser(constraint="demographic_parity").fit(X, y).n_directions_ == 2


def refuse(estimator, X, y, message, error=ValueError, **arguments):
    """Check the message of ``fit``, and that a failed fit leaves the estimator as it was."""
    with pytest.raises(error, match=message):
        estimator.fit(X, y, **arguments)
    assert not set(vars(estimator)) - set(estimator.get_params())
    with pytest.raises(NotFittedError, match="Call 'fit'"):
        estimator.transform(X)


def test_features_that_cannot_be_used(data):
    X, y = data
    refuse(eraser(), X.assign(x1=np.nan), y, r"NaN in column\(s\) \['x1'\].*imputer")
    refuse(eraser(), X.assign(x1=np.inf), y, r"infinity in column\(s\) \['x1'\].*replace")
    refuse(eraser(), X.assign(x1="text"), y, r"\['x1'\] hold text.*OneHotEncoder")
    refuse(eraser(), X.assign(**dict.fromkeys(FEATURES, 1.0)), y, "Every feature is constant")
    duplicate = X.assign(x1=X["x0"])
    message = r"covariance is not positive definite.*columns \['x0', 'x1'\].*shrinkage"
    refuse(eraser(shrinkage=0), duplicate, y, message)
    assert eraser().fit(duplicate, y).n_directions_ <= 7
    table = sparse.csr_array(numbers(X))
    plain = WithinLabelEraser()
    refuse(plain, table, y, "Sparse input", error=TypeError, sensitive_features=X["group"])


def test_attributes_that_cannot_be_used(data):
    X, y = data
    refuse(eraser(), X, y, "sensitive_feature_ids.*not both", sensitive_features=X["group"])
    refuse(WithinLabelEraser(), X[FEATURES], y, "attribute is missing: name its columns in X")
    refuse(WithinLabelEraser("sex"), X, y, "column 'sex' is not in X")
    refuse(eraser(), numbers(X), y, "'group' is given by name, but X has no column names")
    hole = X["group"].where(X.index != 7)
    refuse(eraser(), X.assign(group=hole), y, "'group' has 1 missing value.*Drop these rows")
    refuse(eraser(), X.assign(group="a"), y, r"one group only \('a'\).*at least two groups")
    message = "has 10 rows, but X has 900"
    refuse(WithinLabelEraser(), X[FEATURES], y, message, sensitive_features=X["group"][:10])


def test_labels_and_weights_that_cannot_be_used(data):
    X, y = data
    refuse(eraser(), X, None, "requires y to be passed, but the target y is None")
    refuse(eraser(), X, y[:-1], "y has 899 labels, but X has 900 rows")
    refuse(eraser(), X, y.astype(float).where(y.index != 3), "NaN or None in 1 row")
    refuse(eraser(), X, X["x0"], "y is continuous.*needs class labels.*bin it")
    refuse(eraser(), X, 0 * y, r"y has one class only \(0\).*at least two")
    refuse(eraser(pos_label=7), X, y, r"pos_label=7 is not among the labels \[0, 1, 2\]")
    refuse(eraser(), X, y, "not negative", sample_weight=np.full(len(X), -1.0))
    refuse(eraser(), X, y, "zero in every row", sample_weight=np.zeros(len(X)))


@pytest.mark.parametrize(
    "parameters",
    [
        {"constraint": "equal_odds"},
        {"shrinkage": 1.5},
        {"shrinkage": "oas"},
        {"strength": 1.01},
        {"strength": -0.5},
        {"sensitive_feature_ids": 1.5},
    ],
    ids=str,
)
def test_parameters_out_of_range(data, parameters):
    ((name, value),) = parameters.items()
    message = f"The '{name}' parameter of WithinLabelEraser must be.*Got {value!r}"
    refuse(WithinLabelEraser(**({"sensitive_feature_ids": "group"} | parameters)), *data, message)


def test_other_columns_at_transform_than_at_fit(data):
    X, y = data
    fitted = eraser().fit(X, y)
    for other, message in (
        (X.drop(columns="x1"), "seen at fit time, yet now missing:\n- x1"),
        (X.drop(columns=["x1", "group"]), "seen at fit time, yet now missing:\n- x1"),
        (X.assign(x8=0.0), "unseen at fit time:\n- x8"),
        (X[["group", *FEATURES]], "must be in the same order"),
        (X.assign(x2=np.nan), r"NaN in column\(s\) \['x2'\].*imputer"),
    ):
        with pytest.raises(ValueError, match=message):
            fitted.transform(other)
    plain = WithinLabelEraser().fit(X[FEATURES], y, sensitive_features=X["group"])
    with pytest.raises(ValueError, match="unseen at fit time:\n- group"):
        plain.transform(X)
    with pytest.raises(TypeError, match="sensitive_features"):
        plain.transform(X[FEATURES], sensitive_features=X["group"])
    with pytest.raises(NotFittedError, match="is not fitted yet. Call 'fit'"):
        eraser().get_feature_names_out()


# scikit-learn's own checks: their random groups leave nothing, or nothing to compare

OUR_RULES = {
    "check_estimators_nan_inf": "transform ignores the sensitive column, where the NaN stands",
    "check_positive_only_tag_during_fit": "scikit-learn 1.6 fails on categorical input by itself",
}
FURTHER_CHECKS = [
    "check_dataframe_column_names_consistency",
    "check_get_feature_names_out_error",
    "check_global_output_transform_pandas",
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
]


@pytest.mark.filterwarnings("ignore:The means of the:UserWarning")
@pytest.mark.filterwarnings("ignore:No label that constraint:UserWarning")
def test_estimator_checks():
    results = estimator_checks.check_estimator(WithinLabelEraser(0), on_skip=None, on_fail=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert len(results) > 50
    assert {name: failed[name] for name in failed if name not in OUR_RULES} == {}


@pytest.mark.filterwarnings("ignore:The means of the:UserWarning")
@pytest.mark.filterwarnings("ignore:No label that constraint:UserWarning")
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")
@pytest.mark.parametrize("name", FURTHER_CHECKS)
def test_further_estimator_checks(name):
    getattr(estimator_checks, name)("WithinLabelEraser", WithinLabelEraser(0))
