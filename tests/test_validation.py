"""Bad input: every message names what is wrong and what to do, and a failed fit has no effect."""

import re
from contextlib import nullcontext

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

from fairsteer import OptimalSteeringTransformer, SteeringWarning, estimate_gaussians
from fairsteer import _validation as check
from fairsteer.datasets import make_gaussian_subgroups

N = 300


@pytest.fixture
def data():
    sample = make_gaussian_subgroups(N, n_labels=3, n_groups=3, n_features=3, random_state=0)
    return sample.data, sample.target


def steering(**parameters):
    return OptimalSteeringTransformer(**({"sensitive_feature_ids": "group"} | parameters))


def refuse(estimator, X, y, *messages, error=ValueError, **arguments):
    """Check the message of ``fit``, and that a failed fit leaves the estimator as it was."""
    with pytest.raises(error) as caught:
        estimator.fit(X, y, **arguments)
    for message in messages:
        assert re.search(message, str(caught.value)), str(caught.value)
    left = set(vars(estimator)) - set(estimator.get_params())
    assert not left
    with pytest.raises(NotFittedError, match=r"Call 'fit'"):
        estimator.transform(X)


def keep(data, rows):
    X, y = data
    return X[rows], y[rows]


# Features


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        (np.nan, ["NaN", r"\['x1'\] \(2 rows\)", "SimpleImputer"]),
        (np.inf, ["infinity", r"\['x1'\] \(2 rows\)", "infinity by NaN.*SimpleImputer"]),
        (-np.inf, ["infinity", r"\['x1'\] \(2 rows\)", "infinity by NaN.*SimpleImputer"]),
    ],
)
def test_nan_and_infinity(data, value, messages):
    X, y = data
    X.loc[[3, 5], "x1"] = value
    refuse(steering(), X, y, *messages)
    positions = [message.replace("'x1'", "1") for message in messages]
    array = X.drop(columns="group").to_numpy()
    refuse(OptimalSteeringTransformer(), array, y, *positions, sensitive_features=X["group"])


@pytest.mark.parametrize("dtype", ["Float64", object, "category"])
def test_missing_numbers_of_other_types(data, dtype):
    X, y = data
    X["x1"] = X["x1"].round().where(X.index != 3).astype(dtype)
    refuse(steering(), X, y, "NaN", r"\['x1'\] \(1 rows\)", "SimpleImputer")


def test_nan_and_infinity_together(data):
    X, y = data
    X.loc[3, "x1"], X.loc[4, "x2"] = np.nan, np.inf
    refuse(steering(), X, y, "NaN and infinity", r"\['x1', 'x2'\] \(2 rows\)", "SimpleImputer")


def test_nan_at_transform(data):
    X, y = data
    fitted = steering().fit(X, y)
    for call in (fitted.transform, lambda X: fitted.transform_labeled(X, y)):
        with pytest.raises(ValueError, match=r"NaN .*\['x2'\].*SimpleImputer"):
            call(X.assign(x2=np.nan))


@pytest.mark.parametrize("dtype", [object, "str", "category"])
def test_text_where_numbers_are_needed(data, dtype):
    X, y = data
    X.insert(0, "town", pd.Series(["here", "there", "1"] * (N // 3), dtype=dtype))
    message = r"\['town'\].*text.*OneHotEncoder\(sparse_output=False\).*ColumnTransformer"
    refuse(steering(), X, y, message)
    array = X.drop(columns="group").to_numpy(dtype=object)
    message = message.replace("'town'", "0")
    refuse(OptimalSteeringTransformer(), array, y, message, sensitive_features=X["group"])


def test_dates_are_not_numbers(data):
    X, y = data
    refuse(steering(), X.assign(x0=pd.Timestamp("2020-01-01")), y, r"\['x0'\].*objects")


def test_an_array_that_became_text(data):
    X, y = data
    array = np.column_stack(
        [X.drop(columns="group").to_numpy().astype(str), X["group"].astype(str)]
    )
    refuse(OptimalSteeringTransformer(-1), array.astype(str), y, "X .*text.*DataFrame")


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_input(data, kind):
    X, y = data
    table = kind(X.drop(columns="group").to_numpy())
    estimator = OptimalSteeringTransformer()
    refuse(
        estimator,
        table,
        y,
        "[Ss]parse",
        r"OneHotEncoder\(sparse_output=False\)",
        error=TypeError,
        sensitive_features=X["group"],
    )
    estimator.fit(X.drop(columns="group").to_numpy(), y, sensitive_features=X["group"])
    with pytest.raises(TypeError, match="sparse_output=False"):
        estimator.transform(table, sensitive_features=X["group"])


@pytest.mark.parametrize("as_frame", [True, False])
def test_tables_without_rows_or_columns(data, as_frame):
    X, y = data
    group = X["group"]
    table = X.drop(columns="group") if as_frame else X.drop(columns="group").to_numpy()
    column = X["x0"] if as_frame else X["x0"].to_numpy()
    nothing = table.iloc[:, :0] if as_frame else table[:, :0]
    plain = OptimalSteeringTransformer()
    refuse(plain, table[:0], y[:0], r"0 sample\(s\)", sensitive_features=group[:0])
    refuse(plain, nothing, y, r"0 feature\(s\)", sensitive_features=group)
    expected = "Expected a 2-dimensional container" if as_frame else "Expected 2D array"
    refuse(plain, column, y, expected, sensitive_features=group)


def test_columns_without_variation(data):
    X, y = data
    X[["x0", "x1", "x2"]] = [1.0, 2.0, 3.0]
    refuse(steering(), X, y, "[Ee]very feature is constant")


def test_column_names_of_mixed_types(data):
    X, y = data
    refuse(steering(), X.rename(columns={"x0": 0}), y, "columns.astype", error=TypeError)


# The sensitive attribute


def test_a_sensitive_column_that_is_missing(data):
    X, y = data
    message = r"'sex' is not in X.*\['x0', 'x1', 'x2', 'group'\]"
    refuse(steering(sensitive_feature_ids="sex"), X, y, message)
    refuse(steering(sensitive_feature_ids=["group", "sex"]), X, y, message)
    for position in (4, -5):
        message = f"column {position} does not exist.* 4 feature"
        refuse(steering(sensitive_feature_ids=position), X, y, message)
    array = X.assign(group=X["group"] == "a").to_numpy(dtype=float)
    refuse(steering(), array, y, "'group'.*no column names", r"set_output\(transform='pandas'\)")


def test_a_sensitive_column_named_twice(data):
    X, y = data
    for ids in (["group", "group"], ["group", 3], [3, -1]):
        refuse(steering(sensitive_feature_ids=ids), X, y, re.escape(str(ids)), "same column twice")


def test_a_sensitive_column_that_appears_twice_in_the_frame(data):
    X, y = data
    doubled = pd.concat([X, X["group"]], axis=1)
    refuse(steering(), doubled, y, "'group' .* 2 times in X", "rename or drop", "position")


def test_no_column_is_left(data):
    X, y = data
    refuse(
        steering(sensitive_feature_ids=[0, 1, 2, 3]),
        X,
        y,
        r"X has 4 feature\(s\), all .* sensitive",
    )
    refuse(steering(sensitive_feature_ids=[]), X, y, "sensitive_feature_ids is empty")


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_a_missing_attribute_value(data, missing):
    X, y = data
    hole = X["group"].astype(object)
    hole[[7, 8]] = missing
    messages = ["'group' has 2 missing value", r"\.fillna\('unknown'\)"]
    refuse(steering(), X.assign(group=hole), y, *messages)
    features = X.drop(columns="group")
    plain = OptimalSteeringTransformer()
    refuse(plain, features, y, *messages, sensitive_features=hole)
    messages[0] = "'sensitive_features' has 2 missing value"
    refuse(plain, features, y, *messages, sensitive_features=list(hole))
    refuse(plain, features, y, *messages, sensitive_features=hole.to_numpy())
    two = pd.DataFrame({"other": X["group"], "group": hole})
    refuse(plain, features, y, "'group' has 2 missing", sensitive_features=two)
    message = r"'sensitive_features\[:, 1\]' has 2 missing"
    refuse(plain, features, y, message, sensitive_features=two.to_numpy())
    fitted = steering().fit(X, y)
    with pytest.raises(ValueError, match="'group' has 2 missing"):
        fitted.transform(X.assign(group=hole))


@pytest.mark.parametrize("dtype", ["Int64", "float64", "category", "string"])
def test_a_missing_attribute_value_in_typed_columns(data, dtype):
    X, y = data
    codes = X["group"].map({"a": 1, "b": 2, "c": 3}).where(X.index != 7).astype(dtype)
    refuse(steering(), X.assign(group=codes), y, "'group' has 1 missing value")


@pytest.mark.parametrize("infinity", [np.inf, -np.inf, np.float32(np.inf)])
def test_an_infinite_attribute_value(data, infinity):
    X, y = data
    column = X["group"].map({"a": 1.0, "b": 2.0, "c": infinity})
    refuse(steering(), X.assign(group=column), y, "'group' contains infinity")


@pytest.mark.parametrize("container", [[1], {"a": 1}, {1}])
def test_an_attribute_made_of_containers(data, container):
    X, y = data
    column = pd.Series([container] * N)
    message = "'group' holds lists or other containers"
    refuse(steering(), X.assign(group=column), y, message, error=TypeError)


def test_both_sources_of_the_attribute_or_none(data):
    X, y = data
    refuse(
        steering(),
        X,
        y,
        "sensitive_feature_ids.*sensitive_features.*not both",
        sensitive_features=X["group"],
    )
    messages = ["sensitive attribute is missing", "sensitive_feature_ids", "routing=True"]
    refuse(OptimalSteeringTransformer(), X.drop(columns="group"), y, *messages)
    fitted = steering().fit(X, y)
    with pytest.raises(ValueError, match="not both"):
        fitted.transform(X, sensitive_features=X["group"])


def test_sensitive_features_of_the_wrong_shape(data):
    X, y = data
    features = X.drop(columns="group")
    plain = OptimalSteeringTransformer()
    refuse(
        plain, features, y, "has 10 rows, but X has 300", sensitive_features=X["group"].iloc[:10]
    )
    message = r"sensitive_features must have shape .* got \(\)"
    refuse(plain, features, y, message, sensitive_features="group")
    message = r"sensitive_features must have shape .* got \(300, 1, 1\)"
    cube = np.ones((N, 1, 1))
    refuse(plain, features, y, message, sensitive_features=cube)
    message = r"sensitive_features must have shape .* got \(300, 0\)"
    refuse(plain, features, y, message, sensitive_features=features.iloc[:, :0])
    refuse(plain, features, y, "sensitive_features must have shape", sensitive_features={})
    uneven = {"group": X["group"], "other": [0, 1]}
    refuse(plain, features, y, "has 2 rows, but X has 300", sensitive_features=uneven)


def test_a_group_unseen_in_fit(data):
    X, y = data
    fitted = steering().fit(X, y)
    message = r"\['d'\] were not seen in fit.*\['a', 'b', 'c'\].*handle_unknown='pooled'"
    for method in (fitted.transform, lambda X: fitted.transform_labeled(X, y)):
        with pytest.raises(ValueError, match=message):
            method(X.assign(group=X["group"].replace("b", "d")))


def test_one_group_only(data):
    X, y = keep(data, data[0]["group"] == "b")
    refuse(steering(), X, y, r"one group only \('b'\)")


# Subgroups


@pytest.mark.parametrize("constraint", ["equalized_odds", "demographic_parity"])
def test_an_empty_subgroup(data, constraint):
    X, y = keep(data, (data[0]["group"] != "b") | (data[1] != 1))
    if constraint == "equalized_odds":
        refuse(steering(), X, y, "label=1, group='b' has no rows")
        return
    fitted = steering(constraint=constraint).fit(X, y)
    assert fitted.distribution_.n_groups == 3
    for priors in ("independent", "nearest"):
        refuse(
            steering(constraint=constraint, priors=priors),
            X,
            y,
            "label=1, group='b' has no rows",
            "priors='keep'",
        )


def test_a_group_without_positives(data):
    X, y = keep(data, (data[0]["group"] != "b") | (data[1] != 1))
    estimator = steering(constraint="equal_opportunity", pos_label=1)
    refuse(estimator, X, y, r"\['b'\]", "label 1")
    assert steering(constraint="equal_opportunity", pos_label=2).fit(X, y).pos_label_ == 2


@pytest.mark.parametrize(
    ("parameters", "needed"),
    [
        ({"shrinkage": 0}, 4),
        ({"shrinkage": 0.01}, 2),
        ({"shrinkage": "auto"}, 2),
        ({"shrinkage": 0, "covariance_type": "tied"}, 1),
        ({"covariance_type": "diag"}, 1),
    ],
)
def test_a_subgroup_with_too_few_rows(data, parameters, needed):
    X, y = data
    subgroup = np.flatnonzero((X["group"] == "b") & (y == 1))

    def with_rows(count):
        rows = np.delete(np.arange(N), subgroup[count:])
        return X.iloc[rows], y.iloc[rows]

    warned = nullcontext()
    if needed == 2:
        message = "label=1, group='b' has 2 rows for 3 features"
        warned = pytest.warns(SteeringWarning, match=message)
    with warned:
        fitted = steering(**parameters).fit(*with_rows(needed))
    assert fitted.distribution_.counts[1, 1] == needed
    if needed == 1:
        return
    messages = [
        f"label=1, group='b' has {needed - 1} row\\(s\\) for 3 features",
        f"at least {needed} ",
        "covariance_type='tied' or 'diag'",
    ]
    if parameters["shrinkage"] == 0:
        messages.append("shrinkage")
    refuse(steering(**parameters), *with_rows(needed - 1), *messages)
    weights = np.ones(N)
    weights[subgroup[needed - 1 :]] = 0.0
    refuse(steering(**parameters), X, y, *messages, sample_weight=weights)


def test_a_subgroup_with_a_singular_covariance(data):
    X, y = data
    X.loc[(X["group"] == "b") & (y == 1), "x2"] = 0.0
    refuse(steering(shrinkage=0), X, y, "label=1, group='b'.*column 'x2' is constant.*shrinkage")


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_columns_that_are_linearly_dependent(data, covariance_type):
    X, y = data
    options = {"shrinkage": 0, "covariance_type": covariance_type}
    X = X.assign(total=3.0 - X["x0"] + 1e4 * X["x2"])
    refuse(steering(**options), X, y, r"group='a'.*columns \['x0', 'x2', 'total'\].*shrinkage")
    with pytest.raises(ValueError, match=r"group='a'.*columns \['x0', 'x2', 'total'\]"):
        estimate_gaussians(X.drop(columns="group"), y, sensitive_features=X["group"], **options)


# Labels and weights


def test_one_label_only(data):
    X, y = keep(data, data[1] == 1)
    refuse(steering(), X, y, r"y has one class only \(1\)")


@pytest.mark.parametrize("missing", [None, np.nan])
@pytest.mark.parametrize("convert", [pd.Series, list, np.array])
def test_missing_labels(data, missing, convert):
    X, y = data
    labels = y.map({0: "low", 1: "middle", 2: "high"}).astype(object)
    labels[[2, 9]] = missing
    values = np.array(labels, dtype=object) if convert is np.array else convert(labels)
    refuse(steering(), X, values, "y contains NaN or None in 2 row")
    numeric = y.astype(float).where(~y.index.isin([2, 9]))
    refuse(steering(), X, convert(numeric), "y contains NaN or None in 2 row")


def test_no_labels(data):
    X, y = data
    refuse(steering(), X, None, "requires y to be passed")
    fitted = steering().fit(X, y)
    with pytest.raises(ValueError, match="requires y to be passed"):
        fitted.transform_labeled(X, None)


def test_labels_that_are_not_classes(data, rng):
    X, y = data
    refuse(steering(), X, rng.normal(size=N), "y is continuous")
    mixed = y.astype(object).replace(1, "one")
    for labels in (mixed, mixed.tolist()):
        refuse(steering(), X, labels, r"y .*\(of type int, str\)", r"y.astype\(str\)")
    refuse(steering(), X, [[0, 1], *[[0]] * (N - 1)], "rows of y differ in length")
    refuse(steering(), X, np.column_stack([y, y]), r"y should be a 1d array.*\(300, 2\)")


def test_labels_of_the_wrong_length(data):
    X, y = data
    refuse(steering(), X, y[:-1], "y has 299 labels, but X has 300 rows")
    fitted = steering().fit(X, y)
    for method in (fitted.transform_labeled, fitted.ideal_sample_weight):
        with pytest.raises(ValueError, match="y has 299 labels, but X has 300 rows"):
            method(X, y[:-1])


def test_a_label_unseen_in_fit(data):
    X, y = data
    fitted = steering().fit(X, y)
    for method in (fitted.transform_labeled, fitted.ideal_sample_weight):
        message = r"\[7\] were not seen in fit.*\[0, 1, 2\]"
        with pytest.raises(ValueError, match=message):
            method(X, y.replace(1, 7))


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_weights_that_are_not_frequencies(data, bad):
    X, y = data
    weights = np.ones(N)
    weights[4] = bad
    refuse(steering(), X, y, "sample_weight .*finite and not negative", sample_weight=weights)


def test_weights_of_the_wrong_shape(data):
    X, y = data
    message = r"sample_weight must have shape \(300,\).* got \(299,\)"
    refuse(steering(), X, y, message, sample_weight=np.ones(N - 1))
    refuse(steering(), X, y, "sample_weight is zero in every row", sample_weight=np.zeros(N))


# Parameters


@pytest.mark.parametrize(
    "parameters",
    [
        {"constraint": "equal_odds"},
        {"conditions": "equal"},
        {"covariance_type": "spherical"},
        {"shrinkage": -0.1},
        {"shrinkage": 1.5},
        {"shrinkage": "oas"},
        {"priors": "uniform"},
        {"label_strategy": "argmax"},
        {"strength": 1.01},
        {"strength": -0.5},
        {"strength": "full"},
        {"sensitive_feature_ids": 1.5},
    ],
    ids=str,
)
def test_parameters_out_of_range(data, parameters):
    X, y = data
    ((name, value),) = parameters.items()
    message = f"The '{name}' parameter of OptimalSteeringTransformer must be.*Got {value!r}"
    refuse(steering(**parameters), X, y, message)


def test_identical_conditions_without_labels_change_nothing(data):
    X, y = data
    message = "label_strategy='posterior'"
    refuse(steering(conditions="identical", label_strategy="none"), X, y, message)


def test_values_that_do_not_occur(data):
    X, y = data
    message = r"pos_label='yes'.*\[0, 1, 2\]"
    refuse(steering(pos_label="yes"), X, y, message)
    message = r"reference_group='d'.*\['a', 'b', 'c'\]"
    refuse(steering(reference_group="d"), X, y, message)
    message = r"reference_group='b'.*\['a', 'c'\]"
    absent = (X["group"] != "b").astype(float)
    refuse(steering(reference_group="b"), X, y, message, sample_weight=absent)


# Transform after fit


def test_transform_before_fit(data):
    X, y = data
    for call in (
        lambda: steering().transform(X),
        lambda: steering().transform_labeled(X, y),
        lambda: steering().ideal_sample_weight(X, y),
        lambda: steering().get_feature_names_out(),
    ):
        with pytest.raises(NotFittedError, match="not fitted"):
            call()


def test_other_columns_at_transform_than_at_fit(data):
    X, y = data
    fitted = steering().fit(X, y)
    for other, message in (
        (X.drop(columns="x1"), "seen at fit time, yet now missing:\n- x1"),
        (X.drop(columns="group"), "seen at fit time, yet now missing:\n- group"),
        (X.assign(x3=0.0), "unseen at fit time:\n- x3"),
        (X[["x1", "x0", "x2", "group"]], "must be in the same order"),
    ):
        for method in (fitted.transform, lambda other: fitted.transform_labeled(other, y)):
            with pytest.raises(ValueError, match=message):
                method(other)
    array = X.drop(columns="group").to_numpy()
    plain = OptimalSteeringTransformer().fit(array, y, sensitive_features=X["group"])
    with pytest.raises(ValueError, match="X has 2 features, but .* is expecting 3 features"):
        plain.transform(array[:, :2], sensitive_features=X["group"])
    with pytest.raises(ValueError, match="sensitive attribute is missing"):
        plain.transform(array)


def test_a_failed_refit_keeps_the_first_fit(data):
    X, y = data
    fitted = steering(priors="independent").fit(X, y)
    before = vars(fitted).copy()
    moved = fitted.transform(X)
    smaller = X[["group", "x0"]]
    for bad_X, bad_y in (
        (smaller, y.where(y.index != 4)),
        (smaller[X["group"] == "a"], y[X["group"] == "a"]),
        (smaller.assign(x0=1.0), y),
        (smaller.assign(group=range(N)), y),
    ):
        with pytest.raises(ValueError):
            fitted.fit(bad_X, bad_y)
        assert vars(fitted) == before
    np.testing.assert_array_equal(fitted.transform(X), moved)


# Groups and labels of metrics


def test_long_lists_are_abbreviated():
    assert check.abbreviate(["a", 1, ("b", 2)]) == "['a', 1, ('b', 2)]"
    assert check.abbreviate(np.arange(6)) == "[0, 1, 2, 3, 4, 5]"
    assert check.abbreviate(pd.Index(list("abcdefg"))) == "['a', 'b', 'c', 'd', 'e', 'f', ...]"
    assert check.abbreviate([]) == "[]"


def test_a_message_about_many_groups_is_short(data):
    X, y = data
    fitted = steering().fit(X, y)
    with pytest.raises(ValueError, match=r"\[0, 1, 2, 3, 4, 5, \.\.\.\] were not seen in fit"):
        fitted.transform(X.assign(group=np.arange(N)))


ATTRIBUTES = {
    "list": (["b", "a", "b", "c"], None),
    "named": (pd.Series(["b", "a", "b", "c"], index=[3, 1, 2, 0], name="sex"), "sex"),
    "zero": (pd.Series(["b", "a", "b", "c"], name=0), 0),
    "column": (np.array([["b"], ["a"], ["b"], ["c"]]), None),
    "frame": (pd.DataFrame({"sex": ["b", "a", "b", "c"]}), "sex"),
    "mapping": ({"sex": ["b", "a", "b", "c"]}, "sex"),
    "polars": (pl.Series("sex", ["b", "a", "b", "c"]), "sex"),
    "pyarrow": (pa.table({"sex": ["b", "a", "b", "c"]}), "sex"),
}


@pytest.mark.parametrize("kind", ATTRIBUTES)
def test_groups_are_sorted_and_keep_the_name_of_their_column(kind):
    attribute, name = ATTRIBUTES[kind]
    codes, groups = check.index_groups(attribute, 4)
    assert codes.tolist() == [1, 0, 1, 2]
    assert groups.tolist() == ["a", "b", "c"]
    assert groups.name == name


@pytest.mark.parametrize("kind", ["frame", "mapping", "array", "polars"])
def test_several_columns_are_the_intersections_that_occur(kind):
    columns = {"sex": ["m", "f", "m", "f"], "age": [60, 30, 30, 30]}
    attribute = {
        "frame": pd.DataFrame(columns, index=[7, 5, 6, 4]),
        "mapping": columns,
        "array": np.array(list(zip(*columns.values(), strict=True)), dtype=object),
        "polars": pl.DataFrame(columns),
    }[kind]
    codes, groups = check.index_groups(attribute, 4)
    assert codes.tolist() == [2, 0, 1, 0]
    assert groups.tolist() == [("f", 30), ("m", 30), ("m", 60)]
    names = [f"sensitive_features[:, {j}]" for j in range(2)] if kind == "array" else [*columns]
    assert list(groups.names) == names


def test_categories_decide_on_the_order_of_groups():
    level = pd.Categorical(["high", "low", "high"], categories=["low", "middle", "high"])
    codes, groups = check.index_groups(pd.Series(level), 3)
    assert (codes.tolist(), groups.tolist()) == ([1, 0, 1], ["low", "high"])
    frame = pd.DataFrame({"level": level, "sex": ["f", "m", "m"]})
    codes, groups = check.index_groups(frame, 3)
    assert codes.tolist() == [1, 0, 2]
    assert groups.tolist() == [("low", "m"), ("high", "f"), ("high", "m")]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_index_groups_refuses_missing_values_of_any_type(missing):
    for attribute, name in (
        (["a", missing, "b"], "sensitive_features"),
        (pd.Series(["a", missing, "b"], name="sex"), "sex"),
        (pd.Series(pd.Categorical(["a", missing, "b"]), name="sex"), "sex"),
        ({"sex": ["a", "b", "b"], "race": ["x", "y", missing]}, "race"),
    ):
        with pytest.raises(ValueError, match=f"'{name}' has 1 missing value"):
            check.index_groups(attribute, 3)
    with pytest.raises(ValueError, match="sensitive_features has 3 rows, but y_true has 4"):
        check.index_groups(["a", "b", "b"], 4, like="y_true")


@pytest.mark.parametrize(
    "column", [[0, 1, 1], (0, 1, 1), np.array([[0], [1], [1]]), pl.Series([0, 1, 1])]
)
def test_a_column_of_labels_becomes_an_array(column):
    checked = check.check_column(column, "y_true", 3)
    assert checked.dtype.kind == "i"
    assert checked.tolist() == [0, 1, 1]


def test_a_list_of_several_types_keeps_them():
    assert check.check_column([0, "b", 2.5], "y_true").tolist() == [0, "b", 2.5]


@pytest.mark.parametrize(
    ("column", "fact"),
    [
        ([], "y_pred .*at least one row"),
        (3, "y_pred .*one column"),
        (np.zeros((2, 2)), r"y_pred .*\(2, 2\)"),
        ([[0, 1], [1]], "y_pred differ in length"),
        ([0, 1, 1], "y_pred has 3 rows, but y_true has 2"),
        ([0, None], "y_pred .*1 row"),
        (["a", np.nan], "y_pred .*1 row"),
        (pl.Series(["a", None]), "y_pred .*1 row"),
    ],
)
def test_what_is_not_a_column_of_labels(column, fact):
    with pytest.raises(ValueError, match=fact):
        check.check_column(column, "y_pred", 2)


def test_labels_of_several_columns_are_sorted_together():
    columns = np.array(["b", "a"]), np.array(["c", "a"], dtype=object)
    assert check.sort_labels(*columns, names="y_true and y_pred").tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="y_true and y_pred mix"):
        check.sort_labels(np.array([0]), np.array(["0"]), names="y_true and y_pred")


@pytest.mark.parametrize("as_frame", [True, False])
def test_integers_beyond_double_precision(as_frame):
    y, groups = [0, 1] * 20, [0, 0, 1, 1] * 10
    X = np.array([[2**60 + k, k] for k in range(4)] * 10)
    X = pd.DataFrame(X, columns=["id", "k"]) if as_frame else X
    huge = pd.DataFrame({"id": [10**30 + k for k in range(4)] * 10, "k": [0.5, 1, 2, 3] * 10})
    for table in (X, huge):
        with pytest.raises(ValueError, match=r"('id'|\[0\]).*double precision"):
            OptimalSteeringTransformer().fit(table, y, sensitive_features=groups)


def test_an_attribute_in_another_order_of_rows(data):
    X, y = data
    features, groups = X.drop(columns="group"), X["group"]
    with pytest.raises(ValueError, match="in another order"):
        OptimalSteeringTransformer().fit(features, y, sensitive_features=groups.iloc[::-1])
    other = groups.set_axis(range(1000, 1000 + len(X)))
    OptimalSteeringTransformer().fit(features, y, sensitive_features=other)


def test_a_mask_of_columns():
    with pytest.raises(ValueError, match="mask of booleans"):
        steering(sensitive_feature_ids=[False, True]).fit([[1.0, 0], [2.0, 1]], [0, 1])
