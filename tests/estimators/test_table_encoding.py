import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.preprocessing import OneHotEncoder

from fairsteer.estimators._table_encoding import TargetOrder, standard_encoder
from tests.conftest import examples


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "age": [20.0, 30.0, np.nan, 50.0, 60.0, 40.0],
            "job": ["cook", "clerk", None, "cook", "nurse", "nurse"],
            "owner": [True, False, True, True, False, False],
            "count": [0, 0, 0, 0, 0, 400],
        }
    )


def test_names_are_readable_and_the_first_category_is_dropped(frame):
    encoded = standard_encoder(frame).fit_transform(frame)
    assert list(encoded) == [
        "age", "count", "job=clerk", "job=cook", "job=nurse", "owner=True",
    ]  # fmt: skip
    assert not encoded.isna().any(axis=None)
    assert set(encoded.dtypes) == {np.dtype(float)}


def test_numbers_are_median_imputed_then_standardized(frame):
    encoded = standard_encoder(frame).fit_transform(frame)
    filled = np.array([20, 30, 40, 50, 60, 40.0])
    assert_allclose(encoded["age"], (filled - filled.mean()) / filled.std())


def test_a_missing_category_is_a_value_of_its_own():
    frame = pd.DataFrame({"job": ["cook", None, "clerk", np.nan, "cook", "!"]})
    encoded = standard_encoder(frame).fit_transform(frame)
    assert list(encoded) == ["job=(missing)", "job=clerk", "job=cook"]
    assert_array_equal(encoded["job=(missing)"], [0, 1, 0, 1, 0, 0])


def test_fitted_on_training_rows_only(frame):
    encoder = standard_encoder(frame).fit(frame.iloc[:4])
    alone = encoder.transform(frame.iloc[4:5])
    extreme = frame.iloc[4:].copy()
    extreme.iloc[1, 0] = 1e9
    assert_array_equal(encoder.transform(extreme).iloc[:1], alone)


def test_rare_and_unseen_categories_share_a_column():
    train = pd.DataFrame({"x": ["a"] * 500 + ["b"] * 490 + ["c"] * 5 + ["d"] * 5})
    encoder = standard_encoder(train).fit(train)
    assert list(encoder.get_feature_names_out()) == ["x=b", "x=(infrequent)"]
    held_out = pd.DataFrame({"x": ["a", "b", "c", "d", "never seen"]})
    assert_array_equal(encoder.transform(held_out), [[0, 0], [1, 0], [0, 1], [0, 1], [0, 1]])


def test_an_unseen_category_is_encoded_like_the_first_where_none_is_rare():
    train = pd.DataFrame({"x": ["b", "c"] * 10})
    encoder = standard_encoder(train).fit(train)
    assert_array_equal(
        encoder.transform(pd.DataFrame({"x": ["c", "zebra", None]})), [[1], [0], [0]]
    )


@examples(30)
@given(
    train=st.lists(st.sampled_from("aaaabbbcde"), min_size=2, max_size=300),
    later=st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=20),
)
def test_equals_the_one_hot_encoder_with_its_warning_ignored(train, later):
    train, later = pd.DataFrame({"x": train}), pd.DataFrame({"x": later})
    plain = OneHotEncoder(
        drop="first", min_frequency=0.01, handle_unknown="infrequent_if_exist", sparse_output=False
    ).fit(train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        expected = plain.transform(later)
    assert_array_equal(standard_encoder(train).fit(train).transform(later), expected)


def test_empty_constant_and_odd_columns_do_not_crash():
    n = 6
    frame = pd.DataFrame(
        {
            "no number": np.full(n, np.nan),
            "no text": pd.Series([None] * n, dtype=object),
            "one number": np.full(n, 7.0),
            "one text": ["x"] * n,
            "when": pd.date_range("2020-01-01", periods=n),
            "maybe": pd.Series([1, None, 3, 4, 5, 6], dtype="Int64"),
            "kind": pd.Categorical(list("aabbab")),
            "mixed": pd.Series([1, "1", 2.5, True, None, "x"], dtype=object),
        }
    )
    encoded = standard_encoder(frame).fit(frame).transform(frame.iloc[::-1])
    assert np.isfinite(encoded.to_numpy()).all()
    assert_array_equal(encoded["no number"], 0)
    assert "when=2020-01-02 00:00:00" in encoded
    assert "kind=b" in encoded


def test_numbers_or_categories_may_be_absent():
    for frame in (pd.DataFrame({"n": [1.0, 2.0]}), pd.DataFrame({"c": ["a", "b"]})):
        assert standard_encoder(frame).fit_transform(frame).shape == (2, 1)


def test_a_name_that_looks_encoded_gets_no_double():
    frame = pd.DataFrame({"job=cook": [1.0, 2.0], "job": ["baker", "cook"]})
    encoded = standard_encoder(frame).fit_transform(frame)
    assert list(encoded) == ["number__job=cook", "category__job=cook"]


def test_column_names_must_be_text():
    with pytest.raises(ValueError, match="must have a name that is text"):
        standard_encoder(pd.DataFrame([[1, 2]]))


def test_encoders_can_be_cloned(frame):
    encoder = clone(standard_encoder(frame))
    assert_array_equal(encoder.fit_transform(frame), standard_encoder(frame).fit_transform(frame))


@pytest.fixture
def table(rng):
    n = 500
    job = rng.choice(["clerk", "nurse", "pilot", "smith"], size=n, p=[0.5, 0.3, 0.195, 0.005])
    y = rng.binomial(
        1, pd.Series(job).map({"clerk": 0.5, "nurse": 0.2, "pilot": 0.8, "smith": 0.4})
    )
    data = pd.DataFrame(
        {
            "hours": rng.integers(10, 60, size=n),
            "job": job,
            "remote": rng.uniform(size=n) < 0.3 + 0.4 * y,
            "gain": rng.exponential(size=n),
        }
    )
    return data, y


def test_categories_are_ordered_by_their_shares_of_positives(table):
    data, y = table
    order = TargetOrder().fit(data, y)
    shares = pd.Series(y).groupby(data["job"]).mean()
    frequent = [job for job in order.ordered_["job"] if job != "smith"]
    assert frequent == shares.drop("smith").sort_values().index.tolist()
    assert order.ordered_["remote"].tolist() == ["False", "True"]
    ordered = order.transform(data)
    assert list(ordered) == list(data)
    assert {str(dtype) for dtype in ordered.dtypes} == {"float64"}
    assert sorted(ordered["job"].unique()) == [0.0, 1.0, 2.0, 3.0]


def test_the_table_comes_back_and_encodes_alike(table):
    data, y = table
    order = TargetOrder().fit(data, y)
    back = order.inverse_transform(order.transform(data))
    assert list(back) == list(data)
    np.testing.assert_array_equal(back["hours"], data["hours"])
    np.testing.assert_array_equal(back["job"], data["job"])
    first, second = (standard_encoder(d).fit_transform(d) for d in (data, back))
    pd.testing.assert_frame_equal(first, second)


def test_missing_and_unknown_values_are_ordered(table):
    data, y = table
    data.loc[:20, "job"] = None
    data["hours"] = data["hours"].astype(float)
    data.loc[5, "hours"] = np.nan
    data.loc[6, "gain"] = np.inf
    order = TargetOrder().fit(data, y)
    new = pd.DataFrame(
        {
            "hours": [np.nan, 20.0],
            "job": ["judge", None],
            "remote": [True, False],
            "gain": [1.0, 2.0],
        }
    )
    ordered = order.transform(new)
    assert np.isfinite(ordered.to_numpy()).all()
    assert np.isfinite(order.transform(data).to_numpy()).all()
    assert ordered.loc[0, "hours"] == data["hours"].median()
    assert order.inverse_transform(ordered)["job"].tolist() == ["smith", "(missing)"]


def test_numbers_alone_need_no_order(table):
    data, y = table
    numbers = data[["hours", "gain"]]
    order = TargetOrder().fit(numbers, y)
    np.testing.assert_array_equal(order.transform(numbers), numbers)
    assert order.ordered_ == {}
