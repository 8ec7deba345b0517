"""Columns and tables of every container give what plain arrays give, or one sentence."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from fairlearn.metrics import demographic_parity_difference
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression

from fairsteer import (
    ConceptSteering,
    OptimalSteeringTransformer,
    SteeredClassifier,
    WithinLabelEraser,
)
from fairsteer import _validation as check
from fairsteer.metrics import fairness_gaps, make_fairness_scorer

N = 60
RNG = np.random.default_rng(0)
GROUP = np.arange(N) % 2
LABEL = np.arange(N) // 2 % 2
X = RNG.normal(size=(N, 3)) + 0.8 * LABEL[:, None] + 0.6 * GROUP[:, None]
X = X.astype(np.float16).astype(np.float64)  # exact in every type of number
WEIGHT = np.where(np.arange(N) % 7, 1, 0)
DAYS = np.datetime64("2020-01-01") + np.arange(2)

NUMBERS = {
    "list": np.ndarray.tolist,
    "tuple": lambda codes: tuple(codes.tolist()),
    "list of NumPy numbers": list,
    "series": lambda codes: pd.Series(codes, index=np.arange(N)[::-1]),
    "index": pd.Index,
    "categorical": pd.Categorical,
    "categorical series": lambda codes: pd.Series(codes, dtype="category"),
    "big endian": lambda codes: codes.astype(">i8"),
    "big endian series": lambda codes: pd.Series(codes.astype(">i4")),
    "big endian fractions": lambda codes: codes.astype(">f4"),
    "half": lambda codes: codes.astype(np.float16),
    "half series": lambda codes: pd.Series(codes.astype(np.float16)),
    "single": lambda codes: codes.astype(np.float32),
    "long double": lambda codes: codes.astype(np.longdouble),
    "unsigned": lambda codes: codes.astype(np.uint8),
    "bool": lambda codes: codes.astype(bool),
    "object": lambda codes: codes.astype(object),
    "read-only": lambda codes: np.frombuffer(codes.tobytes(), dtype=codes.dtype),
    "memoryview": memoryview,
    "masked": np.ma.masked_array,
    "nullable": lambda codes: pd.Series(codes, dtype="Int64"),
    "nullable bool": lambda codes: pd.Series(codes.astype(bool), dtype="boolean"),
    "nullable array": lambda codes: pd.array(codes, dtype="Int64"),
    "sparse": lambda codes: pd.Series(pd.arrays.SparseArray(codes)),
    "arrow series": lambda codes: pd.Series(codes, dtype="int64[pyarrow]"),
    "arrow bool series": lambda codes: pd.Series(codes.astype(bool), dtype="bool[pyarrow]"),
    "arrow half series": lambda codes: pd.Series(
        codes.astype(np.float16), dtype=pd.ArrowDtype(pa.float16())
    ),
    "pyarrow": pa.array,
    "pyarrow bool": lambda codes: pa.array(codes.astype(bool)),
    "pyarrow chunks": lambda codes: pa.chunked_array([codes[:7], codes[7:]]),
    "polars": pl.Series,
    "polars bool": lambda codes: pl.Series(codes.astype(bool)),
}
ONE_COLUMN_TABLES = {
    "column": lambda codes: codes[:, None],
    "frame": lambda codes: pd.DataFrame({"a": codes}),
    "structured": lambda codes: codes.astype(np.int64).view([("a", np.int64)]),
    "pyarrow table": lambda codes: pa.table({"a": codes}),
    "pyarrow batch": lambda codes: pa.record_batch({"a": codes}),
    "polars frame": lambda codes: pl.DataFrame({"a": codes}),
}
TEXT = {
    "array": lambda text: text,
    "big endian": lambda text: text.astype(">U1"),
    "list of NumPy text": list,
    "list": np.ndarray.tolist,
    "object": lambda text: text.astype(object),
    "variable length": lambda text: text.astype(np.dtypes.StringDType()),
    "masked": np.ma.masked_array,
    "index": pd.Index,
    "categorical index": pd.CategoricalIndex,
    "string": lambda text: pd.Series(text, dtype="string"),
    "arrow string": lambda text: pd.Series(text, dtype=pd.ArrowDtype(pa.large_string())),
    "arrow dictionary": lambda text: pd.Series(
        pd.arrays.ArrowExtensionArray(pa.array(text.tolist()).dictionary_encode())
    ),
    "pyarrow": lambda text: pa.array(text.tolist()),
    "pyarrow dictionary": lambda text: pa.array(text.tolist()).dictionary_encode(),
    "polars": lambda text: pl.Series(text.tolist()),
    "polars enum": lambda text: pl.Series(text.tolist(), dtype=pl.Enum(["n", "y"])),
}
VALUES = {
    "dates": lambda codes: pd.Series(DAYS[codes]),
    "array of days": lambda codes: DAYS[codes],
    "array of nanoseconds": lambda codes: DAYS.astype("M8[ns]")[codes],
    "index of dates": lambda codes: pd.DatetimeIndex(DAYS[codes]),
    "dates with a zone": lambda codes: pd.Series(DAYS[codes]).dt.tz_localize("Europe/Berlin"),
    "dates of Python": lambda codes: [dt.date(2020, 1, 1 + code) for code in codes],
    "dates of polars": lambda codes: pl.Series([dt.date(2020, 1, 1 + code) for code in codes]),
    "dates of pyarrow": lambda codes: pa.array([dt.date(2020, 1, 1 + code) for code in codes]),
    "times": lambda codes: [dt.time(code) for code in codes],
    "durations": lambda codes: codes.astype("m8[D]"),
    "periods": lambda codes: pd.PeriodIndex(DAYS[codes], freq="D"),
    "intervals": lambda codes: pd.cut(codes + 0.5, [0, 1, 2]),
    "index of intervals": lambda codes: pd.IntervalIndex.from_breaks([0, 1, 2])[codes],
    "intervals of dates": lambda codes: pd.cut(
        pd.Series(DAYS[codes]), pd.to_datetime(["2019-12-31", "2020-01-01", "2020-01-02"])
    ),
    "decimals": lambda codes: [Decimal(code) for code in codes.tolist()],
    "bytes": lambda codes: np.array([b"n", b"y"])[codes],
    "two levels": lambda codes: pd.MultiIndex.from_arrays([codes, codes]),
    "two columns of one name": lambda codes: pd.DataFrame(
        np.column_stack([codes, codes]), columns=["a", "a"]
    ),
}


def containers(values=True, tables=True):
    """Return functions that put codes 0 and 1 into containers, by name."""
    letters = np.array(["n", "y"])
    text = {f"text, {name}": lambda c, f=make: f(letters[c]) for name, make in TEXT.items()}
    return NUMBERS | (ONE_COLUMN_TABLES if tables else {}) | text | (VALUES if values else {})


def steered(y, group, X=X, **weights):
    steering = OptimalSteeringTransformer(random_state=0)
    return steering.fit(X, y, sensitive_features=group, **weights).transform(
        X, sensitive_features=group
    )


def steered_in_parts(y, group):
    steering = OptimalSteeringTransformer(random_state=0)
    steering.partial_fit(X, y, sensitive_features=group, finish=False)
    return steering.partial_fit(X, y, sensitive_features=group).transform(
        X, sensitive_features=group
    )


def steered_by_label(y, group):
    steering = OptimalSteeringTransformer(random_state=0).fit(X, y, sensitive_features=group)
    return steering.transform_labeled(X, y, sensitive_features=group)


def probabilities(y, group, X=X):
    model = SteeredClassifier(LogisticRegression())
    model.fit(X, y, sensitive_features=group, sample_weight=WEIGHT)
    return model.predict_proba(X, sensitive_features=group)


def erased(y, group, X=X):
    return WithinLabelEraser().fit(X, y, sensitive_features=group).transform(X)


def stepped(y, group, X=X):
    return (
        ConceptSteering().fit(X, y, sensitive_features=group).transform(X, sensitive_features=group)
    )


METHODS = [steered, steered_in_parts, steered_by_label, probabilities, erased, stepped]


PLAIN = {method: method(LABEL, GROUP) for method in METHODS}
FEW = [
    "big endian",
    "half",
    "masked",
    "categorical",
    "arrow bool series",
    "pyarrow chunks",
    "pyarrow batch",
    "structured",
    "text, index",
    "text, variable length",
]


def groups_of(given, n_rows=N):
    """Return the codes and the groups of an attribute, as estimators find them."""
    attribute = check.attribute_from_argument(given, n_rows)
    codes, groups = check.coded_groups(check.group_values(attribute))
    stored = check.storable_groups(groups)
    assert_array_equal(check.attribute_codes(attribute, stored, n_rows), codes)
    assert_array_equal(check.known_group_codes(attribute, stored), codes)
    return codes, stored


@pytest.mark.parametrize("kind", containers(values=False))
@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_labels_in_every_container(kind):
    given = containers()[kind](LABEL)
    labels = check.check_labels(given, N)
    assert labels.dtype.isnative
    assert_array_equal(check.coded_labels(labels)[0], LABEL)
    assert_array_equal(check.label_codes(labels, np.unique(labels)), LABEL)
    assert_array_equal(check.check_column(given, "y_true", N), labels)


@pytest.mark.parametrize("kind", containers())
def test_attributes_in_every_container(kind):
    given = containers()[kind](GROUP)
    assert_array_equal(groups_of(given)[0], GROUP)
    assert_array_equal(check.index_groups(given, N)[0], GROUP)
    assert_array_equal(groups_of(check.take_rows(given, np.arange(9)), 9)[0], GROUP[:9])


@pytest.mark.parametrize("kind", [kind for kind in containers(tables=False) if "two" not in kind])
def test_attributes_in_mappings_and_columns(kind):
    given = containers()[kind](GROUP)
    assert_array_equal(groups_of({"a": given})[0], GROUP)
    assert_array_equal(check.index_groups({"a": given}, N)[0], GROUP)
    assert_array_equal(groups_of(check.take_rows({"a": given}, np.arange(9)), 9)[0], GROUP[:9])
    if isinstance(given, pd.Series | np.ndarray | list):
        column = given.to_numpy() if kind == "series" else given
        table = pd.DataFrame({"x": X[:, 0], "a": column})
        codes = check.coded_groups(check.group_values(check.attribute_from_columns(table, [1])))[0]
        assert_array_equal(codes, GROUP)


@pytest.mark.parametrize("kind", NUMBERS)
def test_groups_are_found_by_value_whatever_the_container(kind):
    attribute = check.attribute_from_argument(NUMBERS[kind](GROUP), N)
    assert_array_equal(check.attribute_codes(attribute, np.array([0, 1]), N), GROUP)


@pytest.mark.parametrize("kind", NUMBERS)
def test_weights_in_every_container(kind):
    weights = check.check_frequencies(NUMBERS[kind](WEIGHT), N)
    assert weights.dtype == np.float64
    assert_array_equal(weights, WEIGHT)


@pytest.mark.parametrize("kind", FEW)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_methods_give_the_same_for_labels_and_attributes_in_containers(method, kind):
    make = containers()[kind]
    assert_allclose(method(make(LABEL), make(GROUP)), PLAIN[method], rtol=1e-12)


@pytest.mark.parametrize("kind", FEW)
def test_gaps_in_containers(kind):
    make, predicted = containers()[kind], 1 - GROUP
    codes = (lambda codes: codes) if kind.startswith("text") else make
    expected = fairness_gaps(LABEL, predicted, sensitive_features=GROUP)
    found = fairness_gaps(codes(LABEL), codes(predicted), sensitive_features=make(GROUP))
    assert found == pytest.approx(expected)


def test_categories_of_every_container_decide_on_the_order_of_groups():
    level = pd.Categorical(["high", "low", "high"], categories=["low", "high"])
    for given in (level, pd.CategoricalIndex(level), pd.Series(level), {"level": level}):
        assert check.index_groups(given, 3)[1].tolist() == ["low", "high"]


FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
TABLES = {
    "lists": lambda: X.tolist(),
    "columns in order": lambda: np.asfortranarray(X),
    "big endian": lambda: X.astype(">f8"),
    "big endian frame": lambda: FRAME.astype(">f8"),
    "half": lambda: X.astype(np.float16),
    "half frame": lambda: FRAME.astype(np.float16),
    "long double": lambda: X.astype(np.longdouble),
    "object": lambda: X.astype(object),
    "object frame": lambda: FRAME.astype(object),
    "masked": lambda: np.ma.masked_array(X),
    "structured": lambda: FRAME.to_records(index=False),
    "structured, big endian": lambda: FRAME.astype(">f8").to_records(index=False),
    "nullable": lambda: FRAME.astype("Float64"),
    "sparse columns": lambda: FRAME.astype(pd.SparseDtype(float)),
    "categories": lambda: FRAME.astype("category"),
    "decimals": lambda: FRAME.map(Decimal),
    "arrow": lambda: FRAME.astype("float64[pyarrow]"),
    "arrow half": lambda: FRAME.astype(pd.ArrowDtype(pa.float16())),
    "pyarrow": lambda: pa.Table.from_pandas(FRAME),
    "pyarrow batch": lambda: pa.RecordBatch.from_pandas(FRAME),
    "pyarrow dictionary": lambda: pa.table(
        {name: pa.array(FRAME[name]).dictionary_encode() for name in FRAME}
    ),
    "polars": lambda: pl.DataFrame(X, schema=["a", "b", "c"]),
    "names that are numbers": lambda: FRAME.set_axis([5, 6, 7], axis=1),
    "names of two levels": lambda: FRAME.set_axis(
        pd.MultiIndex.from_tuples([("f", 1), ("f", 2), ("g", 1)]), axis=1
    ),
}


@pytest.mark.parametrize("kind", TABLES)
def test_features_in_every_container(kind):
    numbers = check.check_numbers(check.check_table(TABLES[kind]()))
    assert numbers.dtype == np.float64
    assert_array_equal(numbers, X)
    assert_allclose(steered(LABEL, GROUP, X=TABLES[kind]()), PLAIN[steered], rtol=1e-12)


@pytest.mark.parametrize(
    "kind", ["big endian frame", "structured, big endian", "pyarrow batch", "arrow half"]
)
@pytest.mark.parametrize("method", [probabilities, erased, stepped])
def test_methods_give_the_same_for_tables_of_other_types(method, kind):
    assert_allclose(method(LABEL, GROUP, X=TABLES[kind]()), PLAIN[method], rtol=1e-12)


@pytest.mark.parametrize("dtype", [">f4", "<f4"])
def test_single_precision_is_kept_in_any_order_of_bytes(dtype):
    assert steered(LABEL, GROUP, X=X.astype(dtype)).dtype == np.float32
    assert steered(LABEL, GROUP, X=FRAME.astype(dtype)).dtype == np.float32


@pytest.mark.filterwarnings("ignore::fairsteer.SteeringWarning")
@pytest.mark.parametrize(
    "dtype", ["bool", "boolean", "bool[pyarrow]", "category", object, "int8", "Int8", ">i2"]
)
def test_boolean_features_are_0_and_1(dtype):
    flag = RNG.random(N) < 0.5
    expected = steered(LABEL, GROUP, X=FRAME.assign(flag=flag.astype(float)))
    table = FRAME.assign(flag=pd.Series(flag).astype(dtype))
    assert_array_equal(steered(LABEL, GROUP, X=table), expected)


# Refusals


@pytest.mark.parametrize(
    ("table", "error", "words"),
    [
        (FRAME.assign(k=pd.Categorical([np.nan, *[1, 2, 3] * 19, 1, 2])), ValueError, "NaN.*'k'"),
        (
            FRAME.assign(k=pd.Categorical([None, *["1", "2", "3"] * 19, "1", "2"])),
            ValueError,
            "'k'",
        ),
        (FRAME.assign(k=pd.array([None, *[True] * 59], dtype="bool[pyarrow]")), ValueError, "'k'"),
        (FRAME.assign(k=pd.Timestamp("2020")), ValueError, "'k'"),
        (np.ma.masked_array(X, mask=X > 1), ValueError, "NaN"),
        (FRAME.set_axis(["a", "a", "c"], axis=1), ValueError, "'a' appears 2 times"),
        (FRAME.set_axis([1, 2, 1], axis=1), ValueError, "1 appears 2 times"),
        (pa.table(list(X.T), names=["a", "c", "c"]), ValueError, "'c' appears 2 times"),
        (FRAME.set_axis([1, "b", "c"], axis=1), TypeError, "columns.astype"),
        (pl.DataFrame(X).lazy(), TypeError, "LazyFrame.*collect"),
        (dict(FRAME), ValueError, "X is a dict.*DataFrame"),
        (X.astype(complex), ValueError, "complex"),
        (X.astype("S"), ValueError, "array of text"),
        (X.astype("U").astype(np.dtypes.StringDType()), ValueError, "array of text"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tables_that_are_refused(table, error, words):
    for method in (steered, probabilities, erased):
        with pytest.raises(error, match=words) as caught:
            method(LABEL, GROUP, X=table)
        assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["1", *LABEL[1:].tolist()], "int, str.*labels of one type"),
        (np.array(["1", *LABEL[1:].tolist()], dtype=object), "int, str.*labels of one type"),
        (pd.Series([True, *LABEL[1:].tolist()]), "bool, int.*labels of one type"),
        (LABEL.astype("S"), "bytes.*labels of one type"),
        (LABEL.astype(complex), "complex.*labels of one type"),
        (DAYS[LABEL], "Timestamp.*labels of one type"),
        (pd.cut(LABEL + 0.5, [0, 1, 2]), "Interval.*labels of one type"),
        (np.ma.masked_array(LABEL, mask=np.arange(N) < 3), "NaN or None in 3 row"),
        (pd.array([None, *LABEL[1:]], dtype="Int64"), "NaN or None in 1 row"),
        (pa.array([None, *LABEL[1:].tolist()]), "NaN or None in 1 row"),
        (pd.MultiIndex.from_arrays([LABEL, LABEL]), r"1d array.*\(60, 2\)"),
        (LABEL.astype(np.float16) / 3, "continuous"),
    ],
)
def test_labels_that_are_refused(labels, words):
    for method in METHODS:
        with pytest.raises(ValueError, match=words) as caught:
            method(labels, GROUP)
        assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (["a"] * N, "sample_weight must hold numbers"),
        (WEIGHT.astype(complex), "sample_weight must hold numbers"),
        (DAYS[LABEL], "sample_weight must hold numbers"),
        (np.ma.masked_array(WEIGHT, mask=WEIGHT > 0), "sample_weight .*finite"),
        (pd.array([None, *WEIGHT[1:]], dtype="Int64"), "sample_weight .*finite"),
        (pd.DataFrame({"w": WEIGHT}), r"\(60, 1\)"),
    ],
)
def test_weights_that_are_refused(weights, words):
    with pytest.raises(ValueError, match=words):
        steered(LABEL, GROUP, sample_weight=weights)


def test_missing_groups_are_refused_in_every_container():
    holes = np.arange(N) < 3
    for group in (
        np.ma.masked_array(GROUP, mask=holes),
        pd.Categorical(np.where(holes, np.nan, GROUP)),
        pd.Index(np.where(holes, np.nan, GROUP)),
        np.where(holes, np.datetime64("NaT"), DAYS[GROUP]),
        pa.array(np.where(holes, None, GROUP).tolist()),
    ):
        with pytest.raises(ValueError, match="'sensitive_features' has 3 missing"):
            steered(LABEL, group)


def test_frames_of_two_columns_of_one_name_are_not_matched_by_name():
    names = ["a", "a", "b"]
    group = pd.DataFrame(np.column_stack([GROUP, GROUP, GROUP]), columns=names)
    steering = OptimalSteeringTransformer().fit(X, LABEL, sensitive_features=group)
    assert_allclose(steering.transform(X, sensitive_features=group), PLAIN[steered])
    with pytest.raises(ValueError, match=r"\['b', 'a', 'a'\].*\['a', 'a', 'b'\]"):
        steering.transform(X, sensitive_features=group[["b"]].join(group.iloc[:, :2]))


# Names of columns

ROWS = np.column_stack([X, GROUP])
LEVELS = pd.MultiIndex.from_tuples([("f", "x0"), ("f", "x1"), ("f", "x2"), ("s", "sex")])
NAMES = {
    "numbers": ([10, 20, 30, 40], 40),
    "list of numbers": ([10, 20, 30, 40], [40]),
    "positions": (range(4), 3),
    "position among numbers": ([10, 20, 30, 40], 3),
    "fractions": ([0.5, 1.5, 2.5, 3.5], [3.5]),
    "tuple": (LEVELS, ("s", "sex")),
    "list of tuples": (LEVELS, [("s", "sex")]),
    "position among tuples": (LEVELS, -1),
    "dates": (pd.date_range("2020", periods=4), [pd.Timestamp("2020-01-04")]),
    "digits": (["0", "1", "2", "40"], "40"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_column_is_found_by_any_name(kind):
    names, ids = NAMES[kind]
    table = pd.DataFrame(ROWS, columns=names)
    steering = OptimalSteeringTransformer(ids)
    assert_allclose(steering.fit(table, LABEL).transform(table), PLAIN[steered], rtol=1e-12)
    merged = OptimalSteeringTransformer(ids).merge(steering)
    assert_allclose(merged.transform(table), PLAIN[steered], rtol=1e-12)
    scorer = make_fairness_scorer(demographic_parity_difference, sensitive_feature_ids=ids)
    model = SteeredClassifier(LogisticRegression(), steering).fit(table, LABEL)
    assert -1 <= scorer(model, table, LABEL) <= 0


@pytest.mark.parametrize("kind", NAMES)
def test_columns_in_another_order_are_refused_whatever_their_names(kind):
    names, ids = NAMES[kind]
    table = pd.DataFrame(ROWS, columns=names)
    for estimator in (OptimalSteeringTransformer(ids), WithinLabelEraser(ids)):
        fitted = estimator.fit(table, LABEL)
        with pytest.raises(ValueError, match="in the same order"):
            fitted.transform(table.iloc[:, [1, 0, 2, 3]])
    steering = OptimalSteeringTransformer(ids).fit(table, LABEL)
    with pytest.raises(ValueError, match="in the same order"):
        steering.partial_fit(table.iloc[:, [1, 0, 2, 3]], LABEL)


@pytest.mark.parametrize(
    ("names", "ids", "words"),
    [
        ([1, 2, 3, 0], 3, "column 3 is both a position and the name"),
        ([10, 20, 30, 40], 50, "column 50 does not exist"),
        (LEVELS, ("s", "race"), r"'s' is not in X.*\('s', 'sex'\)"),
        (LEVELS, "s", r"'s' is not in X.*\('s', 'sex'\)"),
    ],
)
def test_columns_that_are_not_found(names, ids, words):
    table = pd.DataFrame(ROWS, columns=names)
    for estimator in (OptimalSteeringTransformer(ids), WithinLabelEraser(ids)):
        with pytest.raises(ValueError, match=words):
            estimator.fit(table, LABEL)


# Values too large to square


@pytest.mark.parametrize("largest", [np.finfo(float).max, 1e200, 1e155])
def test_the_column_of_values_too_large_to_square_is_named(largest):
    table = FRAME.assign(income=np.where(np.arange(N) % 20, FRAME["a"], largest))
    for method in (steered, probabilities, erased, stepped):
        with pytest.raises(ValueError, match=r"\['income'\].*too large to square"):
            method(LABEL, GROUP, X=table)
    with pytest.raises(ValueError, match=r"\[3\].*too large to square"):
        steered(LABEL, GROUP, X=table.to_numpy())
    steering = OptimalSteeringTransformer().fit(
        FRAME.assign(income=X[:, 0] ** 2), LABEL, sensitive_features=GROUP
    )
    before = vars(steering).copy()
    with pytest.raises(ValueError, match=r"\['income'\].*too large to square"):
        steering.partial_fit(table, LABEL, sensitive_features=GROUP)
    assert vars(steering) == before


def test_ranks_need_no_squares():
    table = FRAME.assign(income=np.where(np.arange(N) % 20, FRAME["a"], 1e200))
    copula = OptimalSteeringTransformer(family="copula", random_state=0)
    moved = copula.fit(table, LABEL, sensitive_features=GROUP).transform(
        table, sensitive_features=GROUP
    )
    assert np.isfinite(moved).all()
