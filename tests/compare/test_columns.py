import io
import re
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairsteer.compare import load_table
from fairsteer.compare._columns import describe_notes, read_features, read_labels

FEW = ["20", "31", "45", "64", "70", "82", "93"]


def read(cells, separator=",", missing=(), **others):
    """Read one column; return it with the kinds of its notes."""
    frame = pd.DataFrame({"x": cells, **others}, dtype=object)
    data, notes, _ = read_features(frame, missing, separator)
    return data["x"], {kind for kind, columns in notes.items() if "x" in columns}


# --------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    "marker",
    ["?", "-", "--", "–", "…", "*", "n.a.", "N.A.", "Na", "unknown", "Missing"]
    + ["#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!"],
)
@pytest.mark.parametrize("cells", [FEW, ["2001-02-03", "2001-02-04", "2001-02-05"]])
def test_a_few_markers_among_numbers_or_dates_are_missing(marker, cells):
    plain, kinds = read([None, *cells])
    column, marked = read([f" {marker}", *cells])
    pd.testing.assert_series_equal(column, plain)
    assert marked == kinds | {"missing"}


@pytest.mark.parametrize("text", ["NA", "N/A", "None", "NULL", "nan", "#N/A", "<NA>", "", "  "])
def test_what_pandas_takes_for_missing_needs_no_note(text):
    column, kinds = read([text, *FEW])
    np.testing.assert_array_equal(column, [np.nan, *map(float, FEW)])
    assert kinds == set()


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["$5", "7"], [5, 7]),
        (["$1,000", "-$5.50", "$-6", "+$7"], [1000, -5.5, -6, 7]),
        (["5 €", "7€", "(8 €)", "($ 9)"][:3], [5, 7, -8]),
        (["1,000", "12"], [1000, 12]),
        (["1,234,567.5", "-1,000"], [1234567.5, -1000]),
        (["12,34,567", "5"], [1234567, 5]),
        (["1 234", "5\u00a0678", "9"], [1234, 5678, 9]),
        (["1'234.5", "2’000"], [1234.5, 2000]),
        (["57%", "8.5 %"], [57, 8.5]),
        (["0,31", "12"], [0.31, 12]),
        (["0,310", "12"], [0.31, 12]),
        (["1.234,5", "1.000.000"], [1234.5, 1e6]),
        (["1,5e-3", "2"], [0.0015, 2]),
        (["−5", "6"], [-5, 6]),
    ],
)
def test_numbers_as_people_write_them(cells, numbers):
    column, kinds = read(cells)
    np.testing.assert_array_equal(column, numbers)
    assert kinds == {"signs"}


@pytest.mark.parametrize(
    ("cells", "named"),
    [
        ([*FEW, "57%"], "57%"),
        (["57%", "58%", "59"], "59"),
        ([*FEW, "0.5", "0,31"], "0,31"),
        (["1.5", "1,234.5", "1.234,5"], "1.234,5"),
        (["$5", "$6", "€7"], "€7"),
        ([*FEW, "Total"], "Total"),
        ([*FEW, "3+"], "3+"),
        ([*FEW, "5 or 6"], "5 or 6"),
        ([*FEW, "1_000"], "1_000"),
        ([*FEW, "--5"], "--5"),
        ([*FEW, "$5€"], "$5€"),
        (["?", "?", "?", "1", "2"], "?"),
        (["2001-02-03", "2001-02-04", "soon"], "soon"),
        (["2001-02-03", "2001-02-04", "43835"], "43835"),
    ],
)
def test_cells_that_keep_a_column_from_being_numbers_are_named(cells, named):
    column, kinds = read(cells)
    assert column.tolist() == cells
    assert kinds == {"text"}
    _, notes, _ = read_features(pd.DataFrame({"x": cells}))
    (sentence,) = describe_notes(notes)
    assert f"'x' ({named!r})" in sentence


@pytest.mark.parametrize(
    "cells",
    [
        ["a", "b", "?"],
        ["A1", "2", "B3"],
        ["-", "+"],
        ["1", "-"],
        ["18-25", "26-35"],
        ["10.0.0.1", "10.0.0.2"],
        ["1/2", "3/4"],
        ["person 1", "person 2"],
        ["12:30", "13:30"],
    ],
)
def test_other_texts_are_categories(cells):
    column, kinds = read(cells)
    assert column.tolist() == cells
    assert kinds == set()


@pytest.mark.parametrize(
    ("cells", "separator", "other", "numbers"),
    [
        (["1,234", "5"], ",", [None, None], [1234, 5]),
        (["1,234", "5"], ";", [None, None], [1.234, 5]),
        (["1,234", "5"], ";", ["0.5", "1"], [1234, 5]),
        (["1,234", "5"], ",", ["0,5", "1"], [1.234, 5]),
        (["1.234", "5"], ";", [None, None], [1.234, 5]),
        (["1.234", "5"], ";", ["0,5", "1"], [1234, 5]),
        (["1.234", "5"], ",", ["0,5", "1"], [1.234, 5]),
        (["1.234", "5"], ";", ["0.5", "1"], [1.234, 5]),
    ],
)
def test_other_columns_tell_the_decimal_mark(cells, separator, other, numbers):
    column, _ = read(cells, separator, other=other)
    assert column.tolist() == numbers


def test_decimal_commas_need_no_note_where_semicolons_separate():
    assert read(["0,5", "1,25"], ";")[1] == {"decimal commas"}
    assert read(["1.000,5", "1,25"], ";")[1] == {"decimal commas", "signs"}
    assert read(["0,5", "1,25"], ",")[1] == {"signs"}


@pytest.mark.parametrize(
    ("cells", "values", "dtype"),
    [
        (["1", "-2"], [1, -2], np.int64),
        (["007", "08"], [7, 8], np.int64),
        (["1", "2.0"], [1, 2], float),
        (["1", None], [1, np.nan], float),
        ([".5", "5.", "1e3", "+1E-2"], [0.5, 5, 1000, 0.01], float),
        (["inf", "-Infinity"], [np.inf, -np.inf], float),
        (["9223372036854775807", "1"], [2**63 - 1, 1], np.int64),
        (["9223372036854775808", "1"], [2.0**63, 1], float),
        (["True", "FALSE"], [True, False], bool),
        (["true", None], [True, np.nan], object),
        ([None, None], [np.nan, np.nan], float),
    ],
)
def test_plain_values_keep_their_type(cells, values, dtype):
    column, kinds = read(cells)
    assert column.dtype == dtype
    pd.testing.assert_series_equal(column, pd.Series(values, name="x", dtype=dtype))
    assert kinds == set()


# ----------------------------------------------------------------------------------------- dates


@pytest.mark.parametrize(
    "date_format",
    ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d %B %Y", "%b %d, %Y"]
    + ["%d-%b-%Y", "%m/%d/%Y %I:%M %p", "%d.%m.%Y %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
)
def test_dates_become_days(date_format):
    dates = pd.Series(pd.date_range("1969-12-25", periods=30, freq="36h"))
    column, kinds = read([None, *dates.dt.strftime(date_format)])
    days = (dates - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)
    if ":" not in date_format:
        days = np.floor(days)
    np.testing.assert_allclose(column[1:], days)
    assert np.isnan(column[0])
    assert kinds == {"dates"}


def test_dates_with_zones_are_converted():
    column, _ = read(["1970-01-02 00:30:00+02:00", "1970-01-01T12:00:00Z"])
    np.testing.assert_allclose(column, [1 - 1.5 / 24, 0.5])


def test_dates_far_away_are_read():
    column, _ = read(["0001-01-01", "9999-12-31"])
    assert column.tolist() == [-719162, 2932896]


@pytest.mark.parametrize(
    "cells", [["01/02/2003", "03/04/2003"], ["1-2-2003 10:00", "3-4-2003 9:00"]]
)
def test_days_and_months_that_cannot_be_told_apart_are_named(cells):
    column, kinds = read(cells)
    assert (column.tolist(), kinds) == (cells, {"ambiguous"})


def test_days_and_months_that_are_the_same_in_both_orders_are_dates():
    assert read(["01/01/2003", "03/03/2003"])[1] == {"dates"}


# ----------------------------------------------------------------------- labels, groups and notes


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "2.0", None], [1, 2, np.nan]),
        (["1", "0"], [1, 0]),
        (["1", "01"], ["1", "01"]),
        (["0", "0.5"], [0, 0.5]),
        ([" a", "a ", "  "], ["a", "a", np.nan]),
        (["1", "NA"], ["1", "NA"]),
        (["inf", "1"], ["inf", "1"]),
        (["True", "false"], [True, False]),
        (["1,000", "57%"], ["1,000", "57%"]),
        (["2001-01-01", "2001-01-02"], ["2001-01-01", "2001-01-02"]),
        ([None, None], [np.nan, np.nan]),
    ],
)
def test_labels_are_numbers_only_if_all_are(cells, values):
    column = read_labels(pd.Series(cells, dtype=object, name="y"))
    pd.testing.assert_series_equal(column, pd.Series(values, name="y"))


@pytest.mark.parametrize("dtype", ["Int64", "float64", "Float32", "object"])
def test_typed_labels_keep_their_values(dtype):
    column = read_labels(pd.Series([1, 2, None, -9], dtype=dtype, name="y"), missing=["-9"])
    pd.testing.assert_series_equal(column, pd.Series([1, 2, np.nan, np.nan], name="y"))


def test_notes_list_few_columns_and_few_characters():
    cells = {f"column {i} {'x' * 99}": [*FEW, "y" * 9999] for i in range(5000)}
    (sentence,) = describe_notes({"text": cells})
    assert "column 0" in sentence
    assert len(sentence) < 600
    assert int(re.search(r"and (\d+) more columns", sentence)[1]) > 4980


# ------------------------------------------------------------------------------------ round trips

N_ROWS = 20
ROLES = {"hired": [0, 1] * 10, "sex": ["a", "a", "b", "b"] * 5}
texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8)
values = {
    "ints": st.integers(-(2**63), 2**63 - 1),
    "floats": st.floats(-1e150, 1e150) | st.none(),
    "flags": st.booleans(),
    # Texts that begin like this are neither numbers, dates, booleans nor missing.
    "texts": st.sampled_from("ab").flatmap(lambda start: texts.map(lambda text: f"{start}:{text}")),
}
tables = st.fixed_dictionaries(
    {name: st.lists(value, min_size=N_ROWS, max_size=N_ROWS) for name, value in values.items()}
)
formats = st.sampled_from(
    [(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), ("|", ".")]
)


@pytest.mark.slow
@settings(deadline=None)
@given(
    columns=tables,
    format=formats,
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    suffix=st.sampled_from([".csv", ".csv.gz"]),
)
def test_csv_round_trips(columns, format, encoding, suffix):
    separator, decimal = format
    columns["texts"] = [columns["texts"][i % 3] for i in range(N_ROWS)]
    frame = pd.DataFrame({**columns, **ROLES, "varies": range(N_ROWS)})
    frame["floats"] = frame["floats"].astype(float)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"people{suffix}"
        frame.to_csv(path, index=False, sep=separator, decimal=decimal, encoding=encoding)
        table = load_table(path, "hired", "sex")
    expected = frame.drop(columns=list(ROLES))
    expected["texts"] = expected["texts"].str.strip()
    pd.testing.assert_frame_equal(table.data, expected, check_exact=True)
    assert table.target.tolist() == ROLES["hired"]
    assert table.groups.tolist() == ROLES["sex"]
    told = [text for text in table.warnings if not text.startswith("features ")]
    assert told == []


@pytest.mark.slow
@settings(deadline=None)
@given(columns=tables)
def test_parquet_round_trips(columns):
    pytest.importorskip("pyarrow")
    columns["texts"] = [columns["texts"][i % 3] for i in range(N_ROWS)]
    frame = pd.DataFrame({**columns, **ROLES, "varies": range(N_ROWS)})
    frame["floats"] = frame["floats"].astype(float)
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.parquet"
        path.write_bytes(buffer.getvalue())
        table = load_table(path, "hired", "sex")
    expected = frame.drop(columns=list(ROLES))
    expected["texts"] = expected["texts"].str.strip()
    pd.testing.assert_frame_equal(table.data, expected, check_exact=True)
