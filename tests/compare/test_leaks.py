import numpy as np
import pandas as pd
import pytest

from fairsteer.compare._leaks import (
    determines,
    find_leaks,
    is_identifier,
    is_one_to_one,
    is_row_number,
)

N = 120


@pytest.fixture
def table(rng):
    """Make a target, two attributes and two harmless features."""
    frame = pd.DataFrame(
        {
            "hired": rng.integers(0, 2, N),
            "sex": rng.choice(["f", "m"], N),
            "race": rng.choice(["x", "y", "z"], N),
            "age": rng.integers(18, 80, N),
            "score": rng.normal(size=N),
        }
    )
    groups = (frame["sex"] + " & " + frame["race"]).rename("sex & race")
    return frame, groups


def leaks(table, dates=(), **features):
    frame, groups = table
    data = frame[["age", "score"]].assign(**features)
    attributes = frame[["sex", "race"]]
    return find_leaks(data, frame["hired"], attributes, groups, np.arange(N), dates)


def test_harmless_features_are_not_named(table, rng):
    assert leaks(table) == []
    unique = rng.normal(size=N)
    assert leaks(table, unique=unique, constant=1, rounded=np.round(unique, 2)) == []


def test_a_feature_that_determines_the_target_is_named(table, rng):
    hired = table[0]["hired"]
    reason = np.where(hired == 1, None, rng.choice(["late", "rude"], N))
    grade = hired * 10 + rng.integers(0, 5, N)
    (sentence,) = leaks(table, reason=reason, grade=grade)
    assert "determine the target 'hired'" in sentence
    assert "--drop reason --drop grade." in sentence
    reason[np.flatnonzero(hired)[0]] = "late"
    assert len(leaks(table, reason=reason)) == 0


def test_a_feature_that_determines_an_attribute_is_named(table, rng):
    sex = table[0]["sex"]
    title = np.where(sex == "m", "Mr", rng.choice(["Ms", "Dr", "Mrs"], N))
    (sentence,) = leaks(table, title=title)
    assert "determine the sensitive column 'sex'" in sentence
    assert "--drop title" in sentence


def test_what_determines_all_attributes_is_named_once(table, rng):
    code = table[1] + rng.choice(["1", "2"], N)
    (sentence,) = leaks(table, code=code)
    assert "determine the sensitive columns 'sex & race'" in sentence
    (sentence,) = leaks(table, copy=table[1].map(hash))
    assert "one-to-one copy of the sensitive columns 'sex & race'" in sentence


def test_chance_does_not_determine():
    labels = np.arange(100) % 2
    assert not determines(np.repeat(np.arange(50), 2), labels)
    assert not determines(np.arange(100), labels)
    some = np.r_[:90, 80:90]
    assert not determines(some, labels[some])
    assert determines(np.arange(100) % 50, labels)


def test_a_rare_label_is_easily_determined_by_chance():
    labels = np.r_[0, np.ones(99, dtype=int)]
    assert not determines(labels, labels)
    assert is_one_to_one(labels, 1 - labels)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (np.arange(N), True),
        (np.arange(1, N + 1), True),
        (1000 - 7 * np.arange(N), True),
        (np.arange(N) * 0.1, True),
        (np.arange(N) // 2, False),
        (np.arange(N) ** 2, False),
        (np.zeros(N), False),
        (np.where(np.arange(N) < 1, np.nan, np.arange(N)), False),
        ([f"{i}" for i in range(N)], False),
    ],
)
def test_row_numbers(values, found):
    assert is_row_number(pd.Series(values), np.arange(N)) == found


def test_row_numbers_with_gaps_where_rows_are_missing():
    rows = np.array([0, 2, 3, 7, 8])
    assert is_row_number(pd.Series(rows + 1), rows)
    assert not is_row_number(pd.Series(range(5)), rows)


def test_identifiers(table, rng):
    ids = rng.permutation(10**6)[:N]
    assert is_identifier(pd.Series(ids))
    assert is_identifier(pd.Series(ids.astype(float)))
    assert not is_identifier(pd.Series(ids + 0.5))
    assert not is_identifier(pd.Series(np.r_[ids[1:], ids[1]]))
    (sentence,) = leaks(table, customer=ids, number=rng.permutation(N))
    assert "different whole number in every row" in sentence
    assert "--drop customer --drop number." in sentence
    assert leaks(table, born=ids, dates=["born"]) == []


def test_a_sentence_names_few_features(table):
    copies = {f"copy {i}": table[0]["hired"] for i in range(90)}
    (sentence,) = leaks(table, **copies)
    assert "'copy 3', ..." in sentence
    assert len(sentence) < 300
