import defaults
import numpy as np
import pandas as pd
import pytest
from simulated import simulated_table


@pytest.mark.slow
def test_a_table_has_a_cell_for_each_estimator():
    data, y, groups = simulated_table(1, 900)
    rows = pd.DataFrame(list(defaults.cells("small", data, y, groups, 600)))
    assert rows["estimator"].tolist() == ["logistic", "boosting"]
    assert set(rows["family"]) == {"copula"}
    measures = rows[["accuracy_before", "accuracy_after", "gap_before", "gap_after"]].to_numpy()
    assert np.all((measures >= 0.0) & (measures <= 1.0))


def test_harmed_cells_are_counted():
    frame = pd.DataFrame(
        {
            "table": ["a", "a", "b", "b"],
            "estimator": ["logistic", "boosting"] * 2,
            "gap_before": [0.1, 0.1, 0.2, 0.2],
            "gap_after": [0.13, 0.11, 0.05, 0.25],
        }
    )
    words = defaults.in_words(frame)
    assert "2 of 4 cells" in words
    assert "+.050 (b, boosting)" in words
