"""The attribute is a column of X in fit, and X lacks the column afterwards."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from fairsteer import OptimalSteeringTransformer, SteeredClassifier, WithinLabelEraser

N = 120
RNG = np.random.default_rng(0)
GROUP = np.arange(N) % 2
Y = np.arange(N) // 2 % 2
FEATURES = ["x0", "x1", "x2", "x3"]  # more than four groups can differ in
TABLE = pd.DataFrame(RNG.normal(size=(N, 4)) + Y[:, None] + GROUP[:, None], columns=FEATURES)
TABLE.insert(1, "sex", np.where(GROUP, "m", "f"))
TABLE["half"] = np.arange(N) // 4 % 2
IDS = ["half", "sex"]


def inferred(ids, **parameters):
    return OptimalSteeringTransformer(ids, group_strategy="posterior", random_state=0, **parameters)


ESTIMATORS = {
    "normal": lambda ids: inferred(ids),
    "copula": lambda ids: inferred(ids, family="copula"),
    "unseen groups": lambda ids: inferred(ids, handle_unknown="pooled"),
    "eraser": lambda ids: WithinLabelEraser(ids, constraint="demographic_parity"),
}
LIBRARIES = {
    "pandas": lambda table: table,
    "polars": pl.from_pandas,
    "pyarrow": pa.Table.from_pandas,
    "pyarrow batch": pa.RecordBatch.from_pandas,
}


def without_values(table, columns):
    return table.assign(**dict.fromkeys(columns))


@pytest.fixture(scope="module", params=ESTIMATORS)
def fitted(request):
    return ESTIMATORS[request.param](IDS).fit(TABLE, Y)


@pytest.mark.parametrize("library", LIBRARIES)
def test_absent_columns_are_columns_without_values(fitted, library):
    expected = fitted.transform(without_values(TABLE, IDS))
    found = fitted.transform(LIBRARIES[library](TABLE[FEATURES]))
    assert_array_equal(found, expected)


@pytest.mark.parametrize("column", IDS)
def test_one_of_two_columns_may_be_absent(fitted, column):
    expected = fitted.transform(without_values(TABLE, IDS))
    assert_array_equal(fitted.transform(TABLE.drop(columns=column)), expected)


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize(
    "as_array", [pd.DataFrame.to_numpy, lambda table: table.to_numpy().tolist()]
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_arrays_do_not_say_which_column_is_absent(kind, as_array):
    table = TABLE.drop(columns="half").assign(sex=GROUP)
    array = as_array(table[FEATURES])
    of_array = ESTIMATORS[kind](1).fit(table.to_numpy(), Y)
    of_frame = ESTIMATORS[kind](1).fit(table, Y)
    for estimator in (of_array, of_frame):
        with pytest.raises(ValueError, match="4 features, but .* 5 features"):
            estimator.transform(array)
    with pytest.raises(ValueError, match="4 features, but .* 5 features"):
        of_array.transform(table[FEATURES].set_axis(range(4), axis=1))


@pytest.mark.parametrize(
    "names", [[10, 20, 30, 40, 50], pd.MultiIndex.from_product([["f"], list("abcde")])]
)
def test_absent_columns_whose_names_are_not_text(names):
    table = pd.DataFrame(np.column_stack([TABLE[FEATURES], GROUP]), columns=names)
    for estimator in (inferred([table.columns[4]]), WithinLabelEraser([table.columns[4]])):
        estimator.fit(table, Y)
        unknown = table.astype({table.columns[4]: object})
        unknown.isetitem(4, None)
        assert_array_equal(estimator.transform(table.iloc[:, :4]), estimator.transform(unknown))


@pytest.mark.parametrize("steering", [inferred("sex"), WithinLabelEraser("sex")])
def test_classifiers_and_pipelines_need_no_column_either(steering):
    table = TABLE.drop(columns="half")
    logistic = LogisticRegression()
    for model in (SteeredClassifier(logistic, steering), make_pipeline(steering, logistic)):
        model.fit(table, Y)
        expected = model.predict_proba(without_values(table, ["sex"]))
        assert_array_equal(model.predict_proba(table[FEATURES]), expected)


def test_frames_keep_index_and_names(fitted):
    table = TABLE[FEATURES].set_axis(np.arange(N)[::-1])
    moved = fitted.set_output(transform="pandas").transform(table)
    assert list(moved.columns) == FEATURES
    assert_array_equal(moved.index, table.index)
    assert list(table.columns) == FEATURES  # the input is as it was
    fitted.set_output(transform="default")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (TABLE[["x0", "x2", "x3"]], "yet now missing:\n- x1"),
        (TABLE[["x1", "x0", "x2", "x3"]], "must be in the same order"),
        (TABLE[FEATURES].assign(x4=0.0), "unseen at fit time:\n- x4"),
        (TABLE[FEATURES].to_numpy()[:, :3], "3 features, but .* 6 features"),
        (TABLE.to_numpy()[:, :5], "5 features, but .* 6 features"),
    ],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_features_may_not_be_absent(fitted, table, words):
    with pytest.raises(ValueError, match=words):
        fitted.transform(table)


def test_rows_of_given_groups_need_the_column():
    given = OptimalSteeringTransformer("sex").fit(TABLE, Y)
    posterior = inferred("sex").fit(TABLE, Y)
    table = TABLE.drop(columns="sex")
    for call in (
        given.transform,
        lambda table: posterior.transform_labeled(table, Y),
        lambda table: posterior.ideal_sample_weight(table, Y),
        lambda table: posterior.fit(table, Y),
        lambda table: posterior.partial_fit(table, Y),
    ):
        with pytest.raises(ValueError, match="sex"):
            call(table)
    with pytest.raises(ValueError, match="not both"):
        posterior.transform(table, sensitive_features=GROUP)
