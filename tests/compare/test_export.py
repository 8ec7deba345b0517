import io

import numpy as np
import pandas as pd
import pytest

from fairsteer.compare._export import write_csv


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-x", "@SUM(A1)", "-", "=", "-1,5", "+49 30"])
def test_a_text_that_a_spreadsheet_would_run_is_guarded(text):
    frame = pd.DataFrame({"x": [text, "a"], text: [1, 2]})
    for column in (frame["x"], frame["x"].astype("category"), frame["x"].astype(object)):
        written = pd.read_csv(io.StringIO(write_csv(frame.assign(x=column))))
        assert list(written) == ["x", f"'{text}"]
        assert written["x"].tolist() == [f"'{text}", "a"]


@pytest.mark.parametrize("text", ["-1", "+1.5", "-1e-3", "a=b", " =1", "a-b", "", "f & m"])
def test_other_texts_are_written_as_they_are(text):
    frame = pd.DataFrame({"x": [text, "a"]})
    assert write_csv(frame) == frame.to_csv(index=False)


def test_numbers_and_missing_cells_are_written_as_they_are():
    frame = pd.DataFrame(
        {
            "number": [-1.5, np.nan],
            "whole": [-1, 2],
            "flag": [True, False],
            "mixed": [-1, None],
            "text": ["a", None],
        }
    ).astype({"mixed": object})
    assert write_csv(frame) == frame.to_csv(index=False)
    assert write_csv(pd.DataFrame()) == pd.DataFrame().to_csv(index=False)


def test_the_table_is_not_changed():
    frame = pd.DataFrame({"=x": ["=1"]})
    write_csv(frame)
    pd.testing.assert_frame_equal(frame, pd.DataFrame({"=x": ["=1"]}))
