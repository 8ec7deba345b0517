import ast
import inspect
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from fairsteer.compare import (
    _columns,
    _csv,
    _dates,
    _export,
    _files,
    _leaks,
    _load,
    _numbers,
    _roles,
    _table,
    _texts,
)
from fairsteer.compare._load import load_table
from fairsteer.compare._table import Table, check_subgroup_sizes
from fairsteer.exceptions import UsageError
from tests.conftest import examples

needs_data = [
    pytest.mark.data,
    pytest.mark.skipif("FAIRSTEER_DATA" not in os.environ, reason="FAIRSTEER_DATA is not set"),
]


@pytest.fixture
def frame():
    """Make 80 rows of text, numbers and missing values; every subgroup has 20 rows."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "hired": ["no", "yes"] * 40,
            "sex": ["f", "f", "m", "m"] * 20,
            "age": np.where(rng.random(80) < 0.2, np.nan, rng.integers(18, 80, 80)),
            "job": rng.choice(["cook", "clerk", None], 80),
            "score": rng.normal(size=80),
            "flag": rng.random(80) < 0.5,
            "name": [f"person {i}" for i in range(80)],
        }
    )


@pytest.fixture
def load(tmp_path):
    """Write a table to a CSV and load it back."""

    def write_and_load(frame, target="hired", sensitive="sex", **options):
        path = tmp_path / "people.csv"
        frame.to_csv(path, index=False)
        return load_table(path, target, sensitive, **options)

    return write_and_load


def test_a_mixed_table(frame, load):
    table = load(frame)
    assert isinstance(table, Table)
    assert table.name == "people"
    assert list(table.data) == ["age", "job", "score", "flag"]
    assert table.target.tolist() == [0, 1] * 40
    assert table.groups.tolist() == ["f", "f", "m", "m"] * 20
    assert (table.sensitive, table.favorable) == (("sex",), "yes")
    assert table.warnings == ("text columns with many values are left out: 'name'.",)
    assert table.conventions == (
        "people.csv: 80 of 80 rows (0 without target or sensitive value dropped), favorable "
        "hired = yes (the last of the sorted values), features: 2 numeric, 2 categorical."
    )


def test_rows_without_target_or_sensitive_value_are_dropped_and_counted(frame, load):
    frame.loc[[0, 1], "hired"] = None
    frame.loc[[1, 2, 3], "sex"] = None
    table = load(frame)
    assert "76 of 80 rows (4 without target or sensitive value dropped)" in table.conventions
    assert len(table.data) == len(table.target) == len(table.groups) == 76
    assert table.data.index.equals(table.target.index)
    assert table.data.index.equals(table.groups.index)


@pytest.mark.parametrize(("n_missing", "warned"), [(4, False), (5, True)])
@pytest.mark.parametrize("column", ["hired", "sex"])
def test_many_dropped_rows_are_warned_of(frame, load, column, n_missing, warned):
    frame.loc[: n_missing - 1, column] = "  "
    warnings = load(frame, drop="name").warnings
    assert [f"{n_missing} of 80 rows" in text and repr(column) in text for text in warnings] == (
        [True] * warned
    )


def test_blanks_at_both_ends_of_names_and_values_do_not_count(frame, load):
    plain = load(frame)
    frame["sex"] = [f"{value}{' ' * (i % 3)}" for i, value in enumerate(frame["sex"])]
    frame["hired"] = [f"\t{value}\u00a0" for value in frame["hired"]]
    frame.columns = [f" {name} " for name in frame]
    for sensitive in ("sex", " sex"):
        table = load(frame, sensitive=sensitive, favorable="yes ")
        pd.testing.assert_frame_equal(table.data, plain.data)
        pd.testing.assert_frame_equal(table.attributes, plain.attributes)
        assert table.target.equals(plain.target)


@pytest.mark.parametrize("text", ["NA", "None", "nan", "null", "n/a", "?", "-"])
@pytest.mark.parametrize("column", ["hired", "sex"])
def test_only_an_empty_cell_is_a_missing_label_or_group(frame, load, column, text):
    frame[column] = frame[column].replace({"no": text, "f": text})
    table = load(frame, drop="name", favorable="yes")
    assert len(table.data) == 80
    assert (text in set(table.groups)) == (column == "sex")
    (warning,) = table.warnings
    assert f"{text!r} of {column!r} in 40 rows" in warning
    assert "--missing" in warning
    with pytest.raises(UsageError, match=f"'{column}' .*has only the value"):
        load(frame, missing=text)


@pytest.mark.parametrize("missing", ["-9", -9, -9.0, ["x", "-9.0"], np.array([-9, -8])])
def test_other_missing_values_are_named(frame, load, missing):
    frame.loc[:1, "hired"] = "-9"
    frame.loc[:2, "sex"] = "-9"
    frame["age"] = [-9, 1, 2, -9] * 20
    frame["job"] = ["-9", "cook"] * 40
    table = load(frame, missing=missing)
    assert len(table.data) == 77
    assert table.data["age"].isna().sum() == 39
    assert table.data["job"].isna().sum() == 38
    with pytest.raises(UsageError, match=r"3 values \(-9, no, yes\)"):
        load(frame)


def test_a_missing_looking_third_label_names_the_option(frame, load):
    frame.loc[:1, "hired"] = "?"
    with pytest.raises(UsageError, match=r"\?, no, yes.*--missing '\?'"):
        load(frame)


def test_codes_with_leading_zeros_are_different_groups(frame, load):
    frame["sex"] = ["01", "01", "1", "1"] * 20
    assert set(load(frame).groups) == {"01", "1"}
    frame["hired"] = ["1", "01"] * 40
    table = load(frame, favorable="1")
    assert table.favorable == "1"
    assert table.target.tolist() == [1, 0] * 40


def test_a_row_of_totals_without_a_label_leaves_the_columns_numeric(frame, load, tmp_path):
    path = tmp_path / "totals.csv"
    path.write_text(f"{frame.to_csv(index=False)},,Total,,sum: 3,,\n")
    table = load_table(path, "hired", "sex")
    pd.testing.assert_frame_equal(table.data, load(frame).data)
    assert "80 of 81 rows" in table.conventions


def test_a_column_that_is_not_a_feature_is_not_warned_of(frame, load):
    frame["cost"] = ["?", 1, 2, 3] * 20
    assert any("'cost'" in warning for warning in load(frame).warnings)
    assert not any("'cost'" in warning for warning in load(frame, drop="cost").warnings)


def test_row_numbers_are_found_where_rows_are_dropped(frame, load):
    frame["number"] = range(1, 81)
    frame.loc[[7, 30], "sex"] = None
    (warning,) = load(frame, drop="name").warnings
    assert "number the rows: 'number'" in warning


def test_messages_do_not_grow_with_the_table(load):
    rng = np.random.default_rng(0)
    cells = {f"a long name of a column {i}": ["?", "1", "2", "3", "4 " * 99] for i in range(400)}
    frame = pd.DataFrame(cells).loc[rng.integers(0, 5, 100)].reset_index(drop=True)
    frame = frame.assign(hired=["no", "yes"] * 50, sex=["f", "f", "m", "m"] * 25)
    copies = {f"copy {i}": frame["hired"] for i in range(100)}
    texts = {f"text {i}": [f"{i} {row}" for row in range(100)] for i in range(100)}
    frame = pd.concat([frame, pd.DataFrame(copies | texts)], axis=1)
    table = load(frame)
    assert len(table.warnings) == 3
    assert max(map(len, table.warnings)) < 600
    with pytest.raises(UsageError) as refused:
        load(frame, target="nothing")
    assert len(str(refused.value)) < 600


def test_several_sensitive_columns_are_their_intersection(frame, load):
    frame["young"] = np.arange(80) < 40
    table = load(frame, sensitive=["sex", "young"])
    assert sorted(set(table.groups)) == ["f & False", "f & True", "m & False", "m & True"]
    assert table.groups.name == "sex & young"
    assert "young" not in table.data
    assert table.sensitive == ("sex", "young")
    pd.testing.assert_frame_equal(table.attributes, frame[["sex", "young"]])


def test_columns_can_be_left_out(frame, load):
    table = load(frame, drop=["name", "score"])
    assert list(table.data) == ["age", "job", "flag"]
    assert table.warnings == ()
    assert list(load(frame, drop="age").data) == ["job", "score", "flag"]


@pytest.mark.parametrize(
    ("values", "favorable", "chosen"),
    [
        ([0, 1], "0", "0"),
        ([0, 1], "1.0", "1"),
        ([0, 1], 1, "1"),
        ([0.0, 1.0], "1", "1"),
        ([False, True], "1", "True"),
        ([False, True], "False", "False"),
        ([False, True], "true", "True"),
        ([False, True], "FALSE", "False"),
        (["a", "b"], "a", "a"),
        ([2, 10], None, "10"),
        (["2", "b"], None, "b"),
    ],
)
def test_the_favorable_value_is_compared_as_text_and_as_number(
    frame, load, values, favorable, chosen
):
    frame["hired"] = values * 40
    table = load(frame, favorable=favorable)
    assert table.favorable == chosen
    wanted = [str(value) == chosen or value == 1.0 == float(chosen == "1") for value in values]
    assert table.target.tolist() == [int(flag) for flag in wanted] * 40


def test_integers_next_to_missing_cells_keep_their_name(frame, load):
    frame["sex"] = [1.0, 1.0, 2.0, 2.0] * 20
    frame.loc[0, "sex"] = None
    assert set(load(frame).groups) == {"1", "2"}


def test_text_with_moderately_many_values_stays(load):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"hired": [0, 1] * 1000, "sex": rng.choice(["f", "m"], 2000)})
    frame["zip"] = [f"z{i % 59}" for i in range(2000)]
    frame["street"] = [f"s{i % 119}" for i in range(2000)]
    table = load(frame)
    assert list(table.data) == ["zip"]
    assert table.warnings == ("text columns with many values are left out: 'street'.",)


def test_infinite_numbers_count_as_missing(frame, load):
    frame.loc[:2, "score"] = [np.inf, -np.inf, 1.0]
    assert load(frame).data["score"].isna().tolist()[:3] == [True, True, False]


def test_a_comma_at_the_end_of_every_row_shifts_no_name(frame, load, tmp_path):
    header, *rows = frame.to_csv(index=False).splitlines()
    path = tmp_path / "trailing.csv"
    path.write_text("\n".join([header, *(f"{row}," for row in rows)]))
    table, plain = load_table(path, "hired", "sex"), load(frame)
    pd.testing.assert_frame_equal(table.data, plain.data)
    assert table.groups.equals(plain.groups)


@pytest.mark.parametrize(
    ("separator", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")]
)
@pytest.mark.parametrize("decimal", [".", ","])
def test_other_separators_are_found_and_stated(frame, load, tmp_path, separator, name, decimal):
    frame = frame.rename(columns={"job": "job, or none"})
    path = tmp_path / "people.csv"
    plain = load(frame)
    frame.to_csv(path, index=False, sep=separator, decimal=decimal)
    table = load_table(path, "hired", "sex")
    pd.testing.assert_frame_equal(table.data, plain.data)
    points = ", decimal commas read as points" if decimal == "," else ""
    assert table.conventions.startswith(
        f"people.csv (fields separated by {name}{points}): 80 of 80"
    )


def test_separators_within_names_do_not_count(frame, load):
    frame = frame.rename(columns={"score": "a;b;c;d;e;f;g;h;i"})
    table = load(frame)
    assert "a;b;c;d;e;f;g;h;i" in table.data
    assert "separated" not in table.conventions


def test_a_short_first_row_hides_no_separator(frame, load, tmp_path):
    path = tmp_path / "short.csv"
    path.write_text(frame.to_csv(index=False).replace("\n", "\nno,f\n", 1))
    table = load_table(path, "hired", "sex")
    assert list(table.data) == list(load(frame).data)
    assert len(table.data) == 81


def test_one_to_one_copies_are_warned_of_but_stay(frame, load):
    frame["young"] = np.arange(80) % 8 < 4
    frame["her or his"] = frame["sex"].map({"f": 1, "m": 0})
    frame["both"] = frame["sex"] + frame["young"].astype(str)
    frame["outcome"] = frame["hired"].map({"no": "-", "yes": "+"})
    frame["almost"] = frame["hired"].where(frame.index > 0, "yes")
    table = load(frame, sensitive=["sex", "young"], drop=["name"])
    assert {"her or his", "both", "outcome", "almost"} <= set(table.data)
    assert {warning.split(": ")[0]: warning.split(": ")[1] for warning in table.warnings} == {
        "features that are a one-to-one copy of the sensitive column 'sex'": "'her or his'; no "
        "method is blind to the group with them, so leave them out with --drop 'her or his'.",
        "features that are a one-to-one copy of the sensitive columns 'sex & young'": "'both'; no "
        "method is blind to the group with them, so leave them out with --drop both.",
        "features that are a one-to-one copy of the target 'hired'": "'outcome'; leave them out "
        "with --drop outcome.",
    }
    assert load(frame, drop=["name", "her or his", "both", "outcome"]).warnings == ()


def test_a_column_without_a_name_is_warned_of(frame, load):
    frame.insert(0, "", range(80))
    (warned,) = load(frame, drop="name").warnings
    assert "without a name in the header: 'Unnamed: 0'" in warned
    assert "--drop 'Unnamed: 0'" in warned


def test_pandas_missing_strings_are_missing(tmp_path, frame):
    frame["job"] = ["None", "cook"] * 40
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert load_table(tmp_path / "t.csv", "hired", "sex").data["job"].isna().sum() == 40


REFUSALS = {
    "many labels": (
        {"hired": [f"v{i % 3}" for i in range(80)]},
        {},
        r"target 'hired' must have two values, but has 3 values \(v0, v1, v2\): bin it into two",
    ),
    "very many labels": ({"hired": range(80)}, {}, r"80 values \(0, 1, 2, 3, 4, 5, \.\.\.\)"),
    "one label": ({"hired": "yes"}, {}, "only the value 'yes': choose another"),
    "one group": ({"sex": "f"}, {}, "'sex' has only the value 'f'; a comparison needs"),
    "many groups": (
        {"sex": range(80)},
        {},
        "the sensitive column 'sex' has 80 values, more than 20: bin it",
    ),
    "small subgroup": (
        {"sex": ["x"] * 4 + ["f", "f", "m", "m"] * 19},
        {},
        r"needs at least 5 rows, but label='no', group='x' has 2; label='yes', group='x' has 2: "
        "bin or merge",
    ),
    "empty subgroup": (
        {"sex": ["x", "f"] * 40},
        {},
        "label='no', group='f' has 0; label='yes', group='x' has 0: bin",
    ),
    "many small subgroups": (
        {"sex": [f"g{i % 20}" for i in range(80)]},
        {},
        "and 37 more subgroups",
    ),
    "no target left": ({"hired": None}, {}, "no row of 'people.csv' has both"),
    "unknown favorable": ({}, {"favorable": "maybe"}, "'maybe' is not a value.*'no' and 'yes'"),
    "near name": (
        {},
        {"target": "hird"},
        "no column 'hird'; did you mean 'hired'",
    ),
    "unknown name": (
        {},
        {"sensitive": "zzzz"},
        "no column 'zzzz'; the columns are 'hired', 'sex', 'age'",
    ),
    "unknown drop": ({}, {"drop": ["nme"]}, "did you mean 'name'"),
    "no roles": ({}, {"target": None}, "--target COLUMN and --sensitive COLUMN.*'hired'"),
    "no sensitive": ({}, {"sensitive": None}, "needs a target and a sensitive column"),
    "target is sensitive": ({}, {"sensitive": "hired"}, "'hired' is named twice"),
    "sensitive twice": ({}, {"sensitive": ["sex", "sex"]}, "'sex' is named twice"),
    "target dropped": ({}, {"drop": ["hired"]}, "'hired' cannot be dropped"),
    "no feature": (
        {},
        {"drop": ["age", "job", "score", "flag"]},
        r"no feature that varies after text columns with many values \('name'\) are left out",
    ),
    "only constants": (
        {"age": 1, "job": "x"},
        {"drop": ["score", "flag", "name"]},
        "'people.csv' has no feature that varies.$",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_does_not_fit_is_one_sentence(frame, load, case):
    columns, options, message = REFUSALS[case]
    with pytest.raises(UsageError, match=message) as refused:
        load(frame.assign(**columns), **options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"a,b,c\n", "has a header but no rows"),
        (b"a b c\n1 2 3\n", "only the columns 'a b c'.*separated by commas"),
        (b"\xff\xfe\x00\xd8", "not text in the encoding UTF-16"),
        (b"\x81\x8d\x90", "not text in the encoding UTF-8 or Windows-1252"),
        (b"a,b,c\n1,\0,2\n", "not text in the encoding UTF-8"),
        (b"a,b,c\n1,2,3\n1,2,3,4,5\n", "is not a CSV table.*commas between.*Expected 3 fields"),
        (b"a;b;c\n1;2;3\n1;2;3;4;5\n", "is not a CSV.*semicolons between.*Expected 3 fields"),
        (b"a,b,c\n1,2,3,4\n1,2,3,4\n", "more fields than its header has names: name every col"),
        (b"a,b,c,b\n1,2,3,4\n", "has 2 columns named 'b'"),
        (b'a,b, "b"\n1,2,3\n', "has 2 columns named 'b'"),
    ],
)
def test_a_file_that_is_no_table_is_one_sentence(tmp_path, content, message):
    path = tmp_path / "odd.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as refused:
        load_table(path, "a", "b")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "plain"), [("people.csv.gz", "people"), ("people.2020.csv", "people.2020")]
)
def test_the_table_is_named_after_its_file(frame, tmp_path, name, plain):
    frame.to_csv(tmp_path / name, index=False)
    assert load_table(tmp_path / name, "hired", "sex").name == plain


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(UsageError, match="neither a file nor one of the named tables diabetes"):
        load_table(tmp_path / "none.csv", "a", "b")
    with pytest.raises(UsageError, match="is a folder"):
        load_table(tmp_path, "a", "b")
    with pytest.raises(UsageError, match="is an address: download"):
        load_table("https://example.org/people.csv", "a", "b")


@pytest.mark.parametrize(
    ("text", "is_json"),
    [('[{"a": 1}]', True), ('{"a": 1}\n{"a": 2}', True), ("[id],y\n1,2", False)],
)
def test_json_is_refused_by_name(tmp_path, text, is_json):
    path = tmp_path / "people.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match="looks like JSON" if is_json else "only the columns"):
        load_table(path, "a", "b")


def test_several_columns_in_one_option_are_told_apart(load, frame):
    with pytest.raises(UsageError, match="an option for each column"):
        load(frame, sensitive="sex, job")


def test_the_favorable_value_is_found_without_regard_to_case(load, frame):
    assert load(frame, favorable=" YES").target.sum() == (frame["hired"] == "yes").sum()
    assert load(frame, favorable="No ").target.sum() == (frame["hired"] == "no").sum()
    with pytest.raises(UsageError, match="Did you mean 'yes'"):
        load(frame, favorable="yess")


@pytest.mark.parametrize(
    "module",
    [*(_columns, _csv, _dates, _export, _files, _leaks, _load, _numbers, _roles, _table, _texts)],
)
def test_the_readers_of_tables_import_at_the_top_only(module):
    tree = ast.parse(inspect.getsource(module))
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert all(node in tree.body for node in imports)


def test_small_subgroups_are_named():
    y, groups = pd.Series([0, 1, 1, 1]), pd.Series(["a", "a", "b", "b"])
    with pytest.raises(UsageError, match=r"label=0, group='a' has 1; label=1.*: merge\.$"):
        check_subgroup_sizes(y, groups, 2, "merge")
    check_subgroup_sizes(pd.Series([0, 1]), pd.Series(["a", "a"]), 1, "merge")


@pytest.mark.slow
@examples(25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=6) | st.none(),
        min_size=40,
        max_size=40,
    ),
    numbers=st.lists(st.floats(width=32) | st.none(), min_size=40, max_size=40),
)
def test_any_text_and_numbers_load(tmp_path, text, numbers):
    frame = pd.DataFrame({"y": [0, 1] * 20, "s": ["a", "a", "b", "b"] * 10, "ok": range(40)})
    frame["text"], frame["number"] = text, pd.array(numbers, dtype="Float64")
    frame.to_csv(tmp_path / "any.csv", index=False)
    table = load_table(tmp_path / "any.csv", "y", "s")
    assert "ok" in table.data
    assert len(table.data) == 40
    assert not np.isinf(table.data.select_dtypes("number").to_numpy(dtype=float)).any()


# ----------------------------------------------------------------------------------- named tables


def test_the_embedded_table():
    table = load_table()
    assert (table.name, table.sensitive, len(table.data)) == ("diabetes", ("sex",), 442)
    assert "sex" not in table.data
    assert set(table.target) == {0, 1}
    assert table.conventions


@pytest.mark.parametrize("option", ["target", "favorable", "drop", "missing"])
def test_options_for_files_do_not_fit_a_named_table(option):
    with pytest.raises(UsageError, match=f"{option} applies to your own files only; 'compas'"):
        load_table("compas", **{option: "x"})


def test_sensitive_attributes_of_named_tables():
    assert load_table("diabetes", sensitive="sex").sensitive == ("sex",)
    with pytest.raises(UsageError, match="'diabetes' has one sensitive attribute, sex"):
        load_table("diabetes", sensitive="age")
    with pytest.raises(UsageError, match="of 'adult' is either sex or race, not 'age'"):
        load_table("adult", sensitive="age")
    with pytest.raises(UsageError, match="either sex or race, not 'sex' 'race'"):
        load_table("compas", sensitive=["sex", "race"])


@pytest.mark.parametrize(
    ("name", "sensitive", "expected", "rows"),
    [
        pytest.param("adult", None, "sex", 45_222, marks=needs_data),
        pytest.param("adult", "race", "race", 45_222, marks=needs_data),
        pytest.param("compas", None, "race", 5_278, marks=needs_data),
        pytest.param("compas", "sex", "sex", 5_278, marks=needs_data),
    ],
)
def test_original_tables(name, sensitive, expected, rows):
    table = load_table(name, sensitive=sensitive)
    assert table.sensitive == (expected,)
    assert expected not in table.data
    assert len(table.data) == rows
    assert table.groups.nunique() == 2


def test_an_empty_name_and_values_too_large_are_refused(tmp_path):
    with pytest.raises(UsageError, match="empty"):
        load_table("")
    frame = pd.DataFrame(
        {"a": [1e300, 2.0] * 30, "sex": ["f", "m", "m"] * 20, "hired": [0, 1] * 30}
    )
    path = tmp_path / "people.csv"
    frame.to_csv(path, index=False)
    with pytest.raises(UsageError, match="'a'.*too large"):
        load_table(path, "hired", "sex")
