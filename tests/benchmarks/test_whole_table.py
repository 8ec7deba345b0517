"""The whole-table procedure that the comparison with peers runs."""

import numpy as np
import pandas as pd
import pytest
import simulated
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from whole_table import (
    FEWEST_ROWS,
    NARROWED,
    SETTINGS,
    UNMITIGATED,
    Setting,
    SteeredTable,
    TunedSteering,
)

from fairsteer.estimators._table_encoding import standard_encoder

pytestmark = pytest.mark.slow

LOGISTIC = LogisticRegression(max_iter=2000)
BOOSTING = HistGradientBoostingClassifier(max_iter=20, random_state=0)


@pytest.fixture(scope="module")
def table():
    return simulated.simulated_table(1, 1500)


def test_the_setting_with_the_smallest_loss_is_chosen(table):
    data, y, groups = table
    tuned = TunedSteering("equalized_odds", LOGISTIC).fit(data, y, sensitive_features=groups)
    seen = tuned.comparison_
    assert seen["setting"].tolist() == [*SETTINGS["equalized_odds"], UNMITIGATED]
    left = seen[["gap", "floor"]].max(axis=1)
    loss = (seen["error"] + left)[:-1]
    assert loss.nunique() > 1
    assert tuned.setting_ == seen.loc[loss.idxmin(), "setting"]
    assert left[loss.idxmin()] < NARROWED * left.iloc[-1]


@pytest.mark.parametrize(("gap", "taken"), [(0.079, True), (0.081, False), (0.1, False)])
def test_steering_is_dropped_unless_it_narrows_the_gap_clearly(gap, taken):
    settings = [Setting(), Setting(weight_exponent=2.0)]
    tuned = TunedSteering("equalized_odds", LOGISTIC, settings=settings)
    rows = [
        (settings[0], 0.3, gap, 0.02),
        (settings[1], 0.4, 0.01, 0.02),
        (UNMITIGATED, 0.2, 0.1, 0.02),
    ]
    tuned.comparison_ = pd.DataFrame(rows, columns=["setting", "error", "gap", "floor"])
    assert tuned._choose_setting() == (settings[0] if taken else UNMITIGATED)


def test_few_rows_are_not_compared(table):
    data, y, groups = table
    subgroup = np.flatnonzero((y == 1) & (groups == "a"))
    kept = np.setdiff1d(np.arange(len(y)), subgroup[FEWEST_ROWS - 1 :])
    tuned = TunedSteering("equal_opportunity", LOGISTIC)
    tuned.fit(data.iloc[kept], y[kept], sensitive_features=groups[kept])
    assert tuned.comparison_ is None
    assert tuned.setting_ == SETTINGS["equal_opportunity"][0]
    single = TunedSteering("equal_opportunity", LOGISTIC, settings=[Setting(weight_exponent=0.5)])
    assert single.fit(data, y, sensitive_features=groups).comparison_ is None


def test_steered_tables_hold_the_tables_own_values(table):
    data, y, groups = table
    steered = SteeredTable("equalized_odds", Setting(), 1.0, 0)
    X, weights = steered.fit_transform(data, y, sensitive_features=groups)
    plain = standard_encoder(data).fit(data)
    moved = steered._steer(steered.order.transform(data), groups)
    for name in data:
        assert set(moved[name]) <= set(data[name])
    reference = groups == steered.steering.reference_group_
    pd.testing.assert_frame_equal(moved[reference], data[reference], check_dtype=False)
    assert list(X) == list(plain.get_feature_names_out())
    for i in (0, 1):
        for a in np.unique(groups):
            subgroup = (y == i) & (groups == a)
            expected = np.mean(y == i) * np.mean(groups == a) / np.mean(subgroup)
            np.testing.assert_allclose(weights[subgroup], expected)
