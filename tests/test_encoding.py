import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import skew
from sklearn.base import clone
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.estimator_checks import check_estimator

from fairsteer.encoding import KnownCategories, SkewTamer, standard_encoder, steering_encoder

ENCODERS = [standard_encoder, steering_encoder]


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


@pytest.mark.parametrize("make", ENCODERS)
def test_names_are_readable_and_the_first_category_is_dropped(frame, make):
    encoded = make(frame).fit_transform(frame)
    assert list(encoded) == [
        "age", "count", "job=clerk", "job=cook", "job=nurse", "owner=True",
    ]  # fmt: skip
    assert not encoded.isna().any(axis=None)
    assert set(encoded.dtypes) == {np.dtype(float)}


def test_numbers_are_median_imputed_then_standardised(frame):
    encoded = standard_encoder(frame).fit_transform(frame)
    filled = np.array([20, 30, 40, 50, 60, 40.0])
    assert_allclose(encoded["age"], (filled - filled.mean()) / filled.std())


def test_a_missing_category_is_a_value_of_its_own():
    frame = pd.DataFrame({"job": ["cook", None, "clerk", np.nan, "cook", "!"]})
    encoded = standard_encoder(frame).fit_transform(frame)
    assert list(encoded) == ["job=(missing)", "job=clerk", "job=cook"]
    assert_array_equal(encoded["job=(missing)"], [0, 1, 0, 1, 0, 0])


@pytest.mark.parametrize("make", ENCODERS)
def test_fitted_on_training_rows_only(frame, make):
    encoder = make(frame).fit(frame.iloc[:4])
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


@settings(deadline=None, max_examples=30)
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


@pytest.mark.parametrize("make", ENCODERS)
def test_empty_constant_and_odd_columns_do_not_crash(make):
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
    encoded = make(frame).fit(frame).transform(frame.iloc[::-1])
    assert np.isfinite(encoded.to_numpy()).all()
    assert_array_equal(encoded["no number"], 0)
    assert "when=2020-01-02 00:00:00" in encoded
    assert "kind=b" in encoded


@pytest.mark.parametrize("make", ENCODERS)
def test_numbers_or_categories_may_be_absent(make):
    for frame in (pd.DataFrame({"n": [1.0, 2.0]}), pd.DataFrame({"c": ["a", "b"]})):
        assert make(frame).fit_transform(frame).shape == (2, 1)


def test_a_name_that_looks_encoded_gets_no_double():
    frame = pd.DataFrame({"job=cook": [1.0, 2.0], "job": ["baker", "cook"]})
    encoded = standard_encoder(frame).fit_transform(frame)
    assert list(encoded) == ["number__job=cook", "category__job=cook"]


def test_column_names_must_be_text():
    with pytest.raises(ValueError, match="must have a name that is text"):
        standard_encoder(pd.DataFrame([[1, 2]]))


def test_encoders_can_be_cloned(frame):
    encoder = clone(steering_encoder(frame))
    assert_array_equal(encoder.fit_transform(frame), steering_encoder(frame).fit_transform(frame))


# -------------------------------------------------------------------------------------- SkewTamer


def test_skew_tamer_takes_skewed_counts_only():
    rng = np.random.default_rng(0)
    counts = np.where(rng.random(500) < 0.95, 0.0, rng.exponential(1000, 500))
    X = np.column_stack([counts, -counts, rng.normal(size=500), np.full(500, 3.0), counts * 1e200])
    tamer = SkewTamer().fit(X)
    assert tamer.tamed_.tolist() == [True, False, False, False, True]
    tamed = tamer.transform(X)
    assert_allclose(tamed[:, 0], np.log1p(counts))
    assert_array_equal(tamed[:, 1:4], X[:, 1:4])


def test_skew_tamer_s_threshold_is_the_sample_skewness():
    X = np.random.default_rng(1).gamma(1.0, size=(400, 1))
    value = skew(X[:, 0])
    assert not SkewTamer(max_skewness=value + 1e-9).fit(X).tamed_.any()
    assert SkewTamer(max_skewness=value - 1e-9).fit(X).tamed_.all()


def test_skew_tamer_clips_held_out_values_below_zero_and_keeps_its_input():
    X = np.array([[0.0]] * 20 + [[50.0]])
    held_out = np.array([[-3.0], [1.0]])
    assert_allclose(SkewTamer().fit(X).transform(held_out), [[0], [np.log(2)]])
    assert held_out[0, 0] == -3


def test_the_steering_encoder_tames_by_training_rows():
    train = pd.DataFrame({"x": [0.0] * 30 + [100.0], "y": np.arange(31.0)})
    encoder = steering_encoder(train).fit(train)
    plain = standard_encoder(train).fit(train)
    later = pd.DataFrame({"x": [1.0, 1e6], "y": [0.0, 1.0]})
    assert encoder.transform(later)["x"].iloc[1] < plain.transform(later)["x"].iloc[1]
    assert_allclose(encoder.transform(later)["y"], plain.transform(later)["y"])


def test_skew_tamer_is_a_scikit_learn_transformer():
    check_estimator(SkewTamer(), on_skip=None)


def test_known_categories_refuses_other_columns():
    fitted = KnownCategories().fit(pd.DataFrame({"a": ["x"]}))
    with pytest.raises(ValueError, match="feature names"):
        fitted.transform(pd.DataFrame({"b": ["x"]}))
