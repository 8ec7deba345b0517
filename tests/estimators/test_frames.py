"""Tables of every kind a user may hold: pandas' dtypes, polars and pyarrow frames."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline

from fairsteer import OptimalSteeringTransformer, SteeredClassifier, WithinLabelEraser
from fairsteer.datasets import make_gaussian_subgroups
from fairsteer.metrics import fairness_report

pytestmark = pytest.mark.slow

N = 300
SAMPLE = make_gaussian_subgroups(N, n_labels=3, n_groups=3, n_features=4, random_state=0)
X, GROUP, Y = SAMPLE.data, SAMPLE.sensitive_features, SAMPLE.target
FEATURES = X.drop(columns="group")
FRAMES = {"polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas}


def steering(ids="group"):
    return OptimalSteeringTransformer(ids, constraint="demographic_parity", pos_label=2)


def steered(table, ids="group", y=Y, **arguments):
    return steering(ids).fit_transform(table, y, **arguments)


@pytest.fixture(params=FRAMES)
def library(request):
    return request.param


@pytest.fixture
def frame(library):
    return FRAMES[library]


def column(library, values):
    """Make a column of the library; None is missing."""
    values = [None if pd.isna(value) else value for value in values]
    return pl.Series("values", values) if library == "polars" else pa.chunked_array([values])


# ------------------------------------------------------------------------------ polars and pyarrow


def test_a_frame_gives_what_pandas_gives(frame):
    expected = steering().fit(X, Y)
    found = steering().fit(frame(X), Y)
    assert list(found.feature_names_in_) == list(X)
    assert list(found.get_feature_names_out()) == list(FEATURES)
    assert_array_equal(found.groups_, ["a", "b", "c"])
    for new in (X, frame(X)):
        assert_array_equal(found.transform(new), expected.transform(X))
    assert_array_equal(expected.transform(frame(X)), expected.transform(X))


def test_a_frame_at_steer_and_ideal_sample_weight(frame):
    fitted = OptimalSteeringTransformer("group", priors="independent").fit(X, Y)
    assert_array_equal(fitted.transform_labeled(frame(X), Y), fitted.transform_labeled(X, Y))
    weights = fitted.ideal_sample_weight(frame(X), Y)
    assert_array_equal(weights, fitted.ideal_sample_weight(X, Y))


@pytest.mark.parametrize("method", ["steered", "erased"])
def test_a_frame_in_a_classifier(frame, method):
    kinds = {
        "steered": steering(),
        "erased": WithinLabelEraser("group", constraint="demographic_parity"),
    }
    model = SteeredClassifier(LogisticRegression(), kinds[method])
    expected = model.fit(X, Y).predict_proba(X)
    assert_array_equal(model.fit(frame(X), Y).predict_proba(frame(X)), expected)


def test_frames_in_searches_and_cross_validation(frame):
    model = make_pipeline(steering(), LogisticRegression())
    predicted = cross_val_predict(model, frame(X), Y, cv=3)
    assert_array_equal(predicted, cross_val_predict(model, X, Y, cv=3))
    grid = {"optimalsteeringtransformer__strength": [0.0, 1.0]}
    results = [GridSearchCV(model, grid, cv=3).fit(table, Y) for table in (frame(X), X)]
    one, two = (result.cv_results_["mean_test_score"] for result in results)
    assert_array_equal(one, two)
    assert_array_equal(results[0].predict(frame(X)), results[1].predict(X))


def test_an_attribute_from_another_library(library, frame):
    attribute = column(library, GROUP)
    expected = steered(FEATURES, None, sensitive_features=GROUP)
    for table in (FEATURES, frame(FEATURES), FEATURES.to_numpy()):
        assert_array_equal(steered(table, None, sensitive_features=attribute), expected)
    two = pd.DataFrame({"group": GROUP, "odd": np.arange(N) % 2})
    expected = steered(FEATURES, None, sensitive_features=two)
    assert_array_equal(steered(FEATURES, None, sensitive_features=frame(two)), expected)


def test_an_attribute_from_another_library_is_routed(library):
    attribute = column(library, GROUP)
    model = make_pipeline(steering(None), LogisticRegression())
    with config_context(enable_metadata_routing=True):
        model.fit(FEATURES, Y, sensitive_features=attribute)
        predicted = model.predict(FEATURES, sensitive_features=attribute)
    expected = make_pipeline(steering(), LogisticRegression()).fit(X, Y).predict(X)
    assert_array_equal(predicted, expected)


@pytest.mark.parametrize(
    "names", [{0: 0, 1: 1, 2: 2}, {0: "low", 1: "mid", 2: "top"}], ids=["numbers", "text"]
)
def test_labels_and_weights_from_another_library(library, names):
    y = Y.map(names)
    weights = np.arange(N) % 3 + 1
    expected = OptimalSteeringTransformer("group").fit(X, y, sample_weight=weights)
    found = OptimalSteeringTransformer("group").fit(
        X, column(library, y), sample_weight=column(library, weights)
    )
    assert_array_equal(found.classes_, sorted(names.values()))
    assert_array_equal(found.transform(X), expected.transform(X))


def test_a_report_on_columns_of_another_library(library):
    predicted = (X["x0"] > 0).astype(int)
    truth = (Y == 2).astype(int)
    expected = fairness_report(truth, predicted, sensitive_features=GROUP.rename("values"))
    found = fairness_report(
        column(library, truth),
        column(library, predicted),
        sensitive_features=column(library, GROUP),
    )
    assert_array_equal(found.to_numpy(), expected.to_numpy())


KINDS = {
    "polars text": lambda: pl.from_pandas(X),
    "polars categorical": lambda: pl.from_pandas(X).cast({"group": pl.Categorical}),
    "polars enum": lambda: pl.from_pandas(X).cast({"group": pl.Enum(["c", "a", "b"])}),
    "polars decimal": lambda: pl.from_pandas(X).cast({"x0": pl.Decimal(30, 20)}),
    "polars object": lambda: pl.from_pandas(FEATURES).with_columns(
        group=pl.Series(GROUP.tolist(), dtype=pl.Object)
    ),
    "pyarrow text": lambda: pa.table(X),
    "pyarrow dictionary": lambda: pa.table(X.astype({"group": "category"})),
    "pyarrow chunks": lambda: pa.concat_tables([pa.table(X[:100]), pa.table(X[100:])]),
    "pandas string": lambda: X.astype({"group": "string"}),
    "pandas object": lambda: X.astype({"group": object}),
    "pandas category": lambda: X.astype({"group": "category"}),
    "pandas ordered category": lambda: X.assign(
        group=pd.Categorical(GROUP, categories=["c", "b", "a"], ordered=True)
    ),
    "pandas unused category": lambda: X.assign(
        group=pd.Categorical(GROUP, categories=["a", "b", "c", "nobody"])
    ),
    "pandas arrow": lambda: X.convert_dtypes(dtype_backend="pyarrow"),
    "pandas arrow dictionary": lambda: X.astype(
        {"group": pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))}
    ),
    "pandas nullable": lambda: X.convert_dtypes(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_every_kind(kind):
    found = steering().fit(KINDS[kind](), Y)
    assert found.groups_.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(found.transform(X), steered(X))


TRUTHS = {
    "numpy": lambda values: X.assign(group=values),
    "pandas nullable": lambda values: X.assign(group=values.astype("boolean")),
    "pandas arrow": lambda values: X.assign(group=values.astype("bool[pyarrow]")),
    "polars": lambda values: pl.from_pandas(X.assign(group=values)),
    "pyarrow": lambda values: pa.table(X.assign(group=values)),
}


@pytest.mark.parametrize("kind", TRUTHS)
def test_a_boolean_attribute(kind):
    table = TRUTHS[kind](GROUP == "a")
    found = steering().fit(table, Y)
    assert found.groups_.dtype == bool
    expected = steered(X.assign(group=np.where(GROUP == "a", "yes", "no")))
    assert_array_equal(found.transform(table), expected)


@pytest.mark.parametrize(
    "dtype", ["int8", "Int64", "UInt8", "float32", "Float64", "int64[pyarrow]"]
)
def test_a_numeric_attribute(dtype):
    codes = GROUP.map({"a": 1, "b": 2, "c": 3})
    found = steering().fit(X.assign(group=codes.astype(dtype)), Y)
    assert found.groups_.tolist() == [1, 2, 3]
    # Groups are equal where their values are, whatever the type.
    assert_array_equal(found.transform(X.assign(group=codes)), steered(X))


@pytest.mark.parametrize("dtype", ["Float64", "float64[pyarrow]", object])
def test_numbers_of_other_types(dtype):
    assert_array_equal(steered(X.astype(dict.fromkeys(FEATURES, dtype))), steered(X))


@pytest.mark.filterwarnings("ignore::fairsteer.SteeringWarning")
def test_boolean_features(frame):
    numbers = X.assign(positive=(X["x0"] > 0).astype(float))
    truths = X.assign(positive=X["x0"] > 0)
    for table in (truths, truths.astype({"positive": "boolean"}), frame(truths)):
        assert_array_equal(steered(table), steered(numbers))


@pytest.mark.parametrize(
    "kind", [list, np.array, pd.Series.to_frame], ids=["list", "array", "frame"]
)
def test_an_attribute_without_a_frame(kind):
    expected = steered(X)
    assert_array_equal(steered(FEATURES, None, sensitive_features=kind(GROUP)), expected)
    table = [*map(list, zip(*(X[name] for name in X), strict=True))]
    assert_array_equal(steered(X.to_numpy(dtype=object), -1), expected)
    assert_array_equal(steered(np.array(table, dtype=object), 4), expected)


# ----------------------------------------------------------------------------------------- output


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_any_frame_in_and_the_chosen_one_out(frame, output):
    out = steering().set_output(transform=output).fit_transform(frame(X), Y)
    assert type(out).__module__.startswith(output)
    assert list(out.columns) == list(FEATURES)
    assert_array_equal(out.to_numpy(), steered(X))


@pytest.mark.parametrize("index", [np.arange(N)[::-1], [f"row {k}" for k in range(N)], [7] * N])
def test_the_index_of_pandas_frames_is_kept_and_pairs_no_rows(index):
    table, y, group = X.set_axis(index), Y.set_axis(index), GROUP.set_axis(index)
    column = steering().set_output(transform="pandas").fit_transform(table, y)
    assert_array_equal(column.index, table.index)
    assert_array_equal(column.to_numpy(), steered(X))
    # Rows are paired by position, as everywhere in scikit-learn.
    argument = steering(None).set_output(transform="pandas")
    out = argument.fit_transform(table[list(FEATURES)], y, sensitive_features=group)
    pd.testing.assert_frame_equal(out, column)


# ----------------------------------------------------------------------------------------- errors


def test_a_missing_number_is_named(frame):
    table = frame(X.assign(x1=X["x1"].where(X.index > 2)))
    with pytest.raises(ValueError, match=r"contains NaN in column\(s\) \['x1'\] \(3 rows\)"):
        steering().fit(table, Y)


def test_a_missing_attribute_is_named(library, frame):
    hole = GROUP.where(GROUP.index > 2)
    with pytest.raises(ValueError, match=r"'group' has 3 missing value\(s\)"):
        steering().fit(frame(X.assign(group=hole)), Y)
    with pytest.raises(ValueError, match=r"has 3 missing value\(s\)"):
        steering(None).fit(FEATURES, Y, sensitive_features=column(library, hole))
    truths = (GROUP == "a").astype("boolean").where(GROUP.index > 2)
    with pytest.raises(ValueError, match=r"'group' has 3 missing value\(s\)"):
        steering().fit(frame(X.assign(group=truths)), Y)


def test_a_missing_label_is_counted(library):
    with pytest.raises(ValueError, match=r"y contains NaN or None in 3 row\(s\)"):
        steering().fit(X, column(library, Y.where(Y.index > 2)))


def test_text_is_named(frame):
    for dtype in (object, "category"):
        table = frame(X.assign(town=pd.Series(["here"] * N, dtype=dtype)))
        with pytest.raises(ValueError, match=r"\['town'\] hold text or objects"):
            steering().fit(table, Y)


def test_other_columns_than_in_fit(frame):
    fitted = steering().fit(X, Y)
    with pytest.raises(ValueError, match="yet now missing:\n- x1"):
        fitted.transform(frame(X.drop(columns="x1")))
    with pytest.raises(ValueError, match="must be in the same order"):
        fitted.transform(frame(X[["x1", "x0", "x2", "x3", "group"]]))


def test_a_lazy_frame_is_to_be_collected():
    with pytest.raises(TypeError, match=r"LazyFrame.*\.collect\(\)"):
        steering().fit(pl.from_pandas(X).lazy(), Y)
