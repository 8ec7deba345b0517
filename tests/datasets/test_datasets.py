"""Data sets: rows, groups and rates against the csv module; samples against their own law.

Where the files come from is tested in test_datasets_files.py.
"""

import csv
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.api.types import is_integer_dtype, is_numeric_dtype
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import OneHotEncoder

from fairsteer.datasets import (
    fetch_adult,
    fetch_compas,
    load_diabetes_progression,
    make_gaussian_subgroups,
)
from fairsteer.datasets._synthetic import random_gaussians

HOME = os.environ.get("FAIRSTEER_DATA")
needs_files = [
    pytest.mark.data,
    pytest.mark.skipif(not HOME, reason="FAIRSTEER_DATA does not name a folder"),
]


def subgroup_counts(bunch):
    """Rows of each (group, label)."""
    return Counter(zip(bunch.sensitive_features, bunch.target, strict=True))


def assert_consistent(bunch):
    assert bunch.feature_names == list(bunch.data.columns)
    assert bunch.data.index.equals(pd.RangeIndex(len(bunch.data)))
    assert bunch.target.index.equals(bunch.data.index)
    assert is_integer_dtype(bunch.target)
    assert set(bunch.target) == set(range(len(bunch.target_names)))
    assert not bunch.frame.isna().any(axis=None)
    name = bunch.sensitive_features.name
    pd.testing.assert_series_equal(bunch.sensitive_features, bunch.data[name])
    pd.testing.assert_frame_equal(bunch.frame[bunch.feature_names], bunch.data)
    pd.testing.assert_series_equal(bunch.frame[bunch.target.name], bunch.target)
    assert len(bunch.frame.columns) == len(bunch.feature_names) + 1
    assert bunch.conventions.endswith(".")
    assert bunch.conventions in bunch.DESCR


@pytest.fixture(scope="module")
def adult_rows():
    """Cleaned rows of both Adult files that know every value, by position of the column."""
    rows = []
    for name in ["adult.data", "adult.test"]:
        with open(Path(HOME) / name, newline="") as lines:
            for row in csv.reader(lines):
                if len(row) == 15:
                    rows.append([value.strip().rstrip(".") for value in row])
    assert len(rows) == 48_842
    return [row for row in rows if "?" not in row]


@pytest.fixture(scope="module")
def compas_rows():
    """Return the filtered rows of COMPAS before and after other races are left out."""
    with open(Path(HOME) / "compas-scores-two-years.csv", newline="") as lines:
        header, *rows = csv.reader(lines)
    rows = [dict(zip(reversed(header), reversed(row), strict=True)) for row in rows]
    filtered = [
        row
        for row in rows
        if row["days_b_screening_arrest"] != ""
        and abs(float(row["days_b_screening_arrest"])) <= 30
        and row["is_recid"] != "-1"
        and row["c_charge_degree"] != "O"
    ]
    return filtered, [row for row in filtered if row["race"] in {"African-American", "Caucasian"}]


class TestAdult:
    pytestmark = needs_files

    def test_rows_and_cells_are_those_of_the_files(self, adult_rows):
        adult = fetch_adult()
        assert_consistent(adult)
        assert len(adult.data) == len(adult_rows) == 45_222
        assert subgroup_counts(adult) == Counter(
            (row[9], int(row[14] == ">50K")) for row in adult_rows
        )
        assert adult.sensitive_features.value_counts().to_dict() == {
            "Male": 30_527,
            "Female": 14_695,
        }
        assert adult.target.mean() == pytest.approx(0.24785, abs=1e-5)

    @pytest.mark.parametrize(
        ("column", "position"),
        [("age", 0), ("capital-gain", 10), ("hours-per-week", 12), ("workclass", 1), ("race", 8)],
    )
    def test_columns_are_those_of_the_files_in_their_order(self, adult_rows, column, position):
        values = fetch_adult().data[column]
        expected = [row[position] for row in adult_rows]
        assert values.astype(str).tolist() == expected

    def test_race_is_binary_only_as_the_sensitive_attribute(self, adult_rows):
        assert set(fetch_adult(sensitive="sex").data["race"]) == {row[8] for row in adult_rows}
        adult = fetch_adult(sensitive="race")
        assert_consistent(adult)
        assert adult.sensitive_features.name == "race"
        assert subgroup_counts(adult) == Counter(
            ("White" if row[8] == "White" else "Other", int(row[14] == ">50K"))
            for row in adult_rows
        )

    def test_features(self):
        data = fetch_adult().data
        numbers = ["age", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
        categories = ["workclass", "marital-status", "occupation", "relationship", "race", "sex"]
        assert list(data.columns) == numbers + categories
        assert all(is_numeric_dtype(data[name]) for name in numbers)
        for name in categories:
            assert not is_numeric_dtype(data[name])
            assert all(value == value.strip() for value in data[name].unique())

    def test_categories_go_through_a_column_transformer(self):
        encode = make_column_transformer(
            (OneHotEncoder(drop="first"), make_column_selector(dtype_exclude="number")),
            remainder="passthrough",
        )
        data = fetch_adult().data.head(2000)
        width = 5 + sum(data[name].nunique() - 1 for name in data.select_dtypes(exclude="number"))
        assert encode.fit_transform(data).shape == (2000, width)

    def test_conventions(self):
        conventions = fetch_adult().conventions
        for stated in ["48,842", "3,620", "45,222", "favorable label (1)", "50,000 dollars"]:
            assert stated in conventions
        assert "White against the rest" in fetch_adult(sensitive="race").conventions


class TestCompas:
    pytestmark = needs_files

    @pytest.mark.parametrize("sensitive", ["race", "sex"])
    def test_rows_and_cells_are_those_of_the_file(self, compas_rows, sensitive):
        compas = fetch_compas(sensitive=sensitive)
        filtered, kept = compas_rows
        assert_consistent(compas)
        assert len(filtered) == 6_172
        assert len(compas.data) == len(kept) == 5_278
        assert compas.sensitive_features.name == sensitive
        assert subgroup_counts(compas) == Counter(
            (row[sensitive], int(row["two_year_recid"] == "0")) for row in kept
        )

    def test_groups_and_base_rates(self):
        compas = fetch_compas()
        groups = compas.sensitive_features
        assert groups.value_counts().to_dict() == {"African-American": 3_175, "Caucasian": 2_103}
        rates = compas.target.groupby(groups).mean()
        assert rates["African-American"] == pytest.approx(1514 / 3175)
        assert rates["Caucasian"] == pytest.approx(1281 / 2103)

    def test_columns_are_those_of_the_file_in_their_order(self, compas_rows):
        data = fetch_compas().data
        assert list(data.columns) == [
            "age", "priors_count", "juv_fel_count", "juv_misd_count", "juv_other_count",
            "c_charge_degree", "race", "sex",
        ]  # fmt: skip
        for name in data.columns:
            assert data[name].astype(str).tolist() == [row[name] for row in compas_rows[1]]
        assert list(data.select_dtypes("number")) == list(data.columns[:5])

    def test_conventions(self):
        conventions = fetch_compas().conventions
        for stated in ["7,214", "1,042", "6,172", "5,278", "no recidivism within two years"]:
            assert stated in conventions


def test_the_string_na_does_not_drop_a_row(tmp_path, monkeypatch):
    """Made-up rows with N/A in the kept columns and one missing number of days."""
    header = "age,priors_count,juv_fel_count,juv_misd_count,juv_other_count,c_charge_degree,race,"
    header += "sex,days_b_screening_arrest,is_recid,two_year_recid,score_text"
    lines = [
        header,
        "30,0,0,0,0,N/A,Caucasian,Male,0,0,0,N/A",
        "31,1,0,0,0,F,Caucasian,N/A,-30,0,1,Low",
        "32,2,0,0,0,M,African-American,Female,,0,0,N/A",
        "33,3,0,0,0,M,African-American,Female,31,0,0,Low",
        "34,4,0,0,0,M,African-American,Female,30,-1,0,Low",
        "35,5,0,0,0,O,African-American,Female,30,1,0,Low",
        "36,6,0,0,0,M,Other,Female,30,1,0,Low",
        "37,7,0,0,0,M,African-American,Female,30,1,1,Low",
    ]
    path = tmp_path / "made-up.csv"
    path.write_text("\n".join(lines))
    monkeypatch.setattr("fairsteer.datasets._compas.locate", lambda file, home: path)
    compas = fetch_compas()
    assert compas.data["age"].tolist() == [30, 31, 37]
    assert compas.target.tolist() == [1, 0, 0]
    assert compas.data["c_charge_degree"].tolist() == ["N/A", "F", "M"]


@pytest.mark.parametrize("fetch", [fetch_adult, fetch_compas])
def test_unknown_sensitive_attribute(fetch):
    with pytest.raises(ValueError, match=r'sensitive must be "\w+" or "\w+", not \'age\'\.'):
        fetch(sensitive="age")


def test_diabetes_progression():
    diabetes = load_diabetes_progression()
    assert_consistent(diabetes)
    original = load_diabetes(scaled=False)
    np.testing.assert_array_equal(diabetes.data, original.data)
    np.testing.assert_array_equal(diabetes.target, original.target > np.median(original.target))
    assert diabetes.sensitive_features.value_counts().to_dict() == {1: 235, 2: 207}
    assert diabetes.target.sum() == 221
    for stated in ["442", "median of 140.5", "as 1 and 2 without saying which is which"]:
        assert stated in diabetes.conventions


class TestGaussianSubgroups:
    def test_moments_match_the_law(self):
        n = 60_000
        sample = make_gaussian_subgroups(n, n_labels=3, n_groups=3, n_features=4, random_state=1)
        assert_consistent(sample)
        truth = sample.gaussians
        assert truth.means.shape == (3, 3, 4)
        x = sample.data[["x0", "x1", "x2", "x3"]].to_numpy()
        for i, label in enumerate(truth.labels):
            for a, group in enumerate(truth.groups):
                rows = ((sample.target == label) & (sample.sensitive_features == group)).to_numpy()
                p, m = truth.priors[i, a], rows.sum()
                assert abs(m / n - p) < 5 * np.sqrt(p * (1 - p) / n)
                root = np.linalg.cholesky(truth.covariances[i, a])
                z = np.linalg.solve(root, (x[rows] - truth.means[i, a]).T)
                assert np.abs(z.mean(axis=1)).max() < 5 / np.sqrt(m)
                assert np.abs(np.cov(z) - np.eye(4)).max() < 5 * np.sqrt(2 / m)

    def test_random_state_reproduces_law_and_rows(self):
        first, again, other = (
            make_gaussian_subgroups(50, n_groups=3, random_state=seed) for seed in [7, 7, 8]
        )
        pd.testing.assert_frame_equal(first.frame, again.frame)
        np.testing.assert_array_equal(first.gaussians.means, again.gaussians.means)
        assert not np.array_equal(first.data["x0"], other.data["x0"])
        assert not np.array_equal(first.gaussians.means, other.gaussians.means)

    def test_a_given_law_is_kept_with_its_labels_and_tuple_groups(self):
        groups = np.empty(3, dtype=object)
        groups[:] = [("F", "old"), ("F", "young"), ("M", "old")]
        labels = np.array(["no", "yes"])
        law = replace(random_gaussians(2, 3, 4, 0), labels=labels, groups=groups)
        sample = make_gaussian_subgroups(500, gaussians=law, n_labels=9, random_state=0)
        assert sample.gaussians is law
        assert sample.data.shape == (500, 5)
        assert set(sample.sensitive_features) == set(groups)
        assert set(sample.target) == {"no", "yes"}
        assert sample.target_names == ["no", "yes"]

    def test_one_row_is_enough(self):
        assert make_gaussian_subgroups(1, random_state=0).frame.shape == (1, 4)

    @pytest.mark.parametrize("seed", range(5))
    def test_random_laws_are_well_conditioned(self, seed):
        law = random_gaussians(3, 4, 5, seed, n_samples=200)
        assert law.priors.sum() == pytest.approx(1)
        assert law.priors.min() > 0.5 / 12
        np.testing.assert_allclose(law.counts, 200 * law.priors)
        variances = np.linalg.eigvalsh(law.covariances)
        assert variances.min() > 0.49
        assert variances.max() < 2.01
        gaps = law.means[:, :, None] - law.means[:, None, :]
        assert np.abs(gaps[:, ~np.eye(4, dtype=bool)]).sum(axis=-1).min() > 0.1
        assert law.groups.tolist() == ["a", "b", "c", "d"]

    def test_many_groups_have_sorted_distinct_names(self):
        names = random_gaussians(1, 30, 1, 0).groups.tolist()
        assert names[:2] == ["aa", "ab"]
        assert names == sorted(set(names))

    @pytest.mark.parametrize("name", ["n_samples", "n_labels", "n_groups", "n_features"])
    def test_sizes_below_one_are_refused(self, name):
        with pytest.raises(ValueError, match=f"{name} == 0, must be >= 1"):
            make_gaussian_subgroups(**{"n_samples": 10, name: 0})
        with pytest.raises(TypeError, match=f"{name} must be an instance of int"):
            make_gaussian_subgroups(**{"n_samples": 10, name: 1.5})
