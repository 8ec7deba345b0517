import gzip
import importlib.util
import io
import zipfile

import numpy as np
import pandas as pd
import pytest

from fairsteer.compare import load_table
from fairsteer.compare._files import read_file
from fairsteer.exceptions import UsageError


@pytest.fixture
def frame():
    """Make 40 rows with letters beyond ASCII."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "hired": ["no", "yes"] * 20,
            "sex": ["f", "f", "m", "m"] * 10,
            "größe": rng.normal(size=40),
            "city": rng.choice(["Köln", "Łódź", "São Paulo"], 40),
        }
    )


@pytest.fixture
def read(tmp_path):
    """Write bytes to a file and load it."""

    def write_and_load(content, name="people.csv"):
        (tmp_path / name).write_bytes(content)
        return load_table(tmp_path / name, "hired", "sex")

    return write_and_load


def pack(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("encoding", "stated"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", " (encoding UTF-16)"),
        ("utf-16-le", " (encoding UTF-16-LE)"),
        ("utf-16-be", " (encoding UTF-16-BE)"),
        ("utf-32", " (encoding UTF-32)"),
        ("cp1252", " (encoding Windows-1252)"),
    ],
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_encodings_are_found_and_stated(frame, read, encoding, stated, compress):
    if encoding == "cp1252":
        frame["city"] = frame["city"].replace("Łódź", "Malmö")
    plain = read(frame.to_csv(index=False).encode())
    table = read(compress(frame.to_csv(index=False).encode(encoding)))
    pd.testing.assert_frame_equal(table.data, plain.data)
    assert table.conventions.startswith(f"people.csv{stated}: 40 of 40")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("line", ["sep={}", '"sep={}"', "SEP={} "])
@pytest.mark.parametrize("separator", [";", "\t", ",", "^"])
def test_a_first_line_names_the_separator(frame, read, separator, line, end):
    frame = frame.rename(columns={"city": "a,b;c|d"})
    rows = frame.to_csv(index=False, sep=separator, lineterminator=end)
    table = read(f"{line.format(separator)}{end}{rows}".encode())
    pd.testing.assert_frame_equal(table.data, read(frame.to_csv(index=False).encode()).data)


def test_columns_without_name_and_cells_are_no_columns(frame, read):
    plain = read(frame.to_csv(index=False).encode())
    rows = "".join(f"{row},\n" for row in frame.to_csv(index=False).splitlines())
    table = read(rows.encode())
    pd.testing.assert_frame_equal(table.data, plain.data)
    assert table.warnings == plain.warnings


def test_parquet_is_read(frame, tmp_path, read):
    pytest.importorskip("pyarrow")
    plain = read(frame.to_csv(index=False).encode()).data
    frame["sex"] = frame["sex"] + " "
    frame["born"] = pd.date_range("2000-01-01", periods=40, tz="Europe/Paris")
    frame["day"] = [moment.date() for moment in frame["born"]]
    frame["n"] = pd.array([1, None] * 20, dtype="Int64")
    frame["flag"] = pd.array([True, None] * 20, dtype="boolean")
    frame["class"] = pd.Categorical(frame["city"])
    frame["few"] = ["?", "1,000", "2", "3"] * 10
    frame["list"] = [[i % 2] for i in range(40)]
    buffer = io.BytesIO()
    frame.set_index("city").to_parquet(buffer)
    table = read(buffer.getvalue(), "people.parquet")
    assert table.conventions.startswith("people.parquet (Parquet): 40 of 40")
    assert set(table.groups) == {"f", "m"}
    pd.testing.assert_frame_equal(table.data[list(plain)], plain)
    assert table.data["born"].tolist()[:2] == [10957 - 1 / 24, 10958 - 1 / 24]
    assert table.data["day"].tolist()[:2] == [10957, 10958]
    assert table.data["n"].isna().sum() == 20
    assert table.data["n"].dtype == float
    assert table.data["flag"].dropna().unique().tolist() == [True]
    assert table.data["class"].tolist() == frame["city"].tolist()
    np.testing.assert_array_equal(table.data["few"], [np.nan, 1000, 2, 3] * 10)
    assert table.data["list"].unique().tolist() == ["[0]", "[1]"]


@pytest.mark.parametrize("n_empty", [0, 1])
def test_excel_is_read(frame, tmp_path, n_empty):
    pytest.importorskip("openpyxl")
    frame["born"] = pd.date_range("2000-01-01", periods=40)
    frame["few"] = ["?", 1, 2.5, 3] * 10
    path = tmp_path / "people.xlsx"
    with pd.ExcelWriter(path) as writer:
        for i in range(n_empty):
            pd.DataFrame().to_excel(writer, sheet_name=f"Empty {i}", index=False)
        frame.to_excel(writer, sheet_name="People", index=False, startrow=2, startcol=1)
        pd.DataFrame({"note": ["x"]}).to_excel(writer, sheet_name="Notes", index=False)
    table = load_table(path, "hired", "sex")
    assert "Excel sheet 'People', the first of 2" in table.conventions
    # Excel keeps 15 digits.
    np.testing.assert_allclose(table.data["größe"], frame["größe"], rtol=1e-14)
    assert table.data["city"].tolist() == frame["city"].tolist()
    assert table.data["born"].tolist()[:2] == [10957, 10958]
    np.testing.assert_array_equal(table.data["few"], [np.nan, 1, 2.5, 3] * 10)


def test_cells_of_excel_are_read_whatever_they_are(frame, read, monkeypatch):
    cells = [["", *frame], *(["", *row] for row in frame.astype(object).to_numpy().tolist())]
    cells = pd.DataFrame([[""] * 5, *cells], dtype=object)
    sheets = {"Empty": pd.DataFrame(), "People": cells, "Notes": cells}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(pd, "read_excel", lambda *_, **options: sheets)
    table = read(pack(xl__workbook="x"), "people.xlsx")
    assert "Excel sheet 'People', the first of 2" in table.conventions
    np.testing.assert_array_equal(table.data["größe"], frame["größe"])
    sheets.clear()
    with pytest.raises(UsageError, match=r"Excel file '.*people\.xlsx' is empty"):
        read(pack(xl__workbook="x"), "people.xlsx")


@pytest.mark.parametrize(
    ("content", "name", "package"),
    [
        (b"PAR1...", "people.parquet", "pyarrow"),
        (pack(xl__workbook="x"), "people.xlsx", "openpyxl"),
        (pack(xl__workbook="x"), "people.csv", "openpyxl"),
    ],
)
def test_an_absent_extra_is_named(read, monkeypatch, content, name, package):
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda found: None if found == package else found
    )
    with pytest.raises(UsageError, match=rf"'.*{name}' is .*{package}.*fairsteer\[files\]"):
        read(content, name)


@pytest.mark.parametrize(
    ("content", "name", "fact"),
    [
        (b"PK\x03\x04" + bytes(100), "a.xlsx", "named like an Excel file, but is none"),
        (pack(people="x"), "a.xlsx", "named like an Excel file, but is none"),
        (b"a,b,c\n1,2,3\n", "a.xls", "named like an Excel file, but is none"),
        (b"", "a.XLSX", "named like an Excel file, but is none"),
        (b"\xd0\xcf\x11\xe0" + bytes(100), "a.xls", "Excel file of the format before 2007"),
        (pack(people="x"), "a.zip", "ZIP archive"),
        (b"BZh91AY", "a.csv.bz2", "bzip2"),
        (b"\xfd7zXZ\x00", "a.csv.xz", "xz"),
        (b"\x28\xb5\x2f\xfd\x00", "a.csv.zst", "zstd"),
        (gzip.compress(bytes(range(256)))[:-9], "a.csv.gz", "gzip, but cannot be decompressed"),
        (b"\x1f\x8b\x00", "a.csv.gz", "gzip, but cannot be decompressed"),
        (b"a,b,c\n1,2,3\n", "a.parquet", "named like a Parquet file, but is none"),
        (b"PAR1 and no more", "a.parquet", "Parquet file"),
    ],
)
def test_a_file_of_another_kind_is_one_sentence(tmp_path, content, name, fact):
    if "PAR1" in str(content):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=fact) as refused:
        read_file(tmp_path / name)
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_broken_workbook_is_one_sentence(tmp_path):
    pytest.importorskip("openpyxl")
    (tmp_path / "a.xlsx").write_bytes(pack(xl__workbook="x"))
    with pytest.raises(UsageError, match="cannot be read as an Excel file"):
        read_file(tmp_path / "a.xlsx")
