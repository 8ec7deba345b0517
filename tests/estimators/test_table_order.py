import numpy as np
import pandas as pd
import pytest

from fairsteer.estimators._table_encoding import standard_encoder
from fairsteer.estimators._table_order import TargetOrder


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


def test_categories_stand_in_the_order_of_their_shares(table):
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


def test_gaps_and_new_values_have_a_place(table):
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
