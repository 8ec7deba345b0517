import numpy as np
import pandas as pd
import pytest
import simulated
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from fairsteer.compare._methods import METHODS
from fairsteer.compare._run import Unit, run_unit
from fairsteer.compare._table import Table
from fairsteer.core.constraints import CONSTRAINTS
from fairsteer.estimators._classifier_cv import (
    FEWEST_ROWS,
    INNER_FOLDS,
    NARROWED,
    SETTINGS,
    UNMITIGATED,
    Setting,
    SteeredTable,
    TunedSteering,
)
from fairsteer.estimators._table_encoding import standard_encoder
from fairsteer.metrics import fairness_gaps, noise_floor

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
    again = TunedSteering("equalized_odds", LOGISTIC).fit(data, y, sensitive_features=groups)
    pd.testing.assert_frame_equal(again.comparison_, seen)


def test_steering_that_narrows_no_gap_is_dropped(rng):
    """Groups drawn at random: there is no gap to narrow."""
    data, y, _ = simulated.simulated_table(1, 1500)
    groups = rng.choice(["a", "b"], size=1500)
    tuned = TunedSteering("equal_opportunity", LOGISTIC).fit(data, y, sensitive_features=groups)
    left = tuned.comparison_[["gap", "floor"]].max(axis=1)
    if tuned.setting_ == UNMITIGATED:
        encoder = standard_encoder(data).fit(data)
        plain = LogisticRegression(max_iter=2000).fit(encoder.transform(data), y)
        np.testing.assert_array_equal(
            tuned.predict(data, sensitive_features=groups)[0],
            plain.predict(encoder.transform(data)),
        )
    assert (tuned.setting_ == UNMITIGATED) == (
        left[:-1].iloc[_best(tuned)] >= NARROWED * left.iloc[-1]
    )


def _best(tuned):
    seen = tuned.comparison_[:-1]
    return int((seen["error"] + seen[["gap", "floor"]].max(axis=1)).argmin())


def test_losses_are_those_of_held_out_rows(table):
    """One candidate by hand: folds, steering and weights from the other folds' rows alone."""
    from sklearn.model_selection import StratifiedKFold

    data, y, groups = table
    setting = Setting(family="copula_by_group", weight_exponent=1.5)
    settings = [setting, Setting()]
    tuned = TunedSteering("demographic_parity", LOGISTIC, random_state=3, settings=settings)
    seen = tuned.fit(data, y, sensitive_features=groups).comparison_.iloc[0]
    subgroups = pd.Series(y.astype(str)) + groups
    predicted = np.zeros_like(y)
    for train, test in StratifiedKFold(INNER_FOLDS, shuffle=True, random_state=3).split(
        data, subgroups
    ):
        steered = SteeredTable("demographic_parity", setting, 1.0, 3)
        X, weights = steered.fit_transform(
            data.iloc[train], y[train], sensitive_features=groups[train]
        )
        model = LogisticRegression(max_iter=2000).fit(X, y[train], sample_weight=weights**1.5)
        predicted[test] = model.predict(
            steered.transform(data.iloc[test], sensitive_features=groups[test])
        )
    assert seen["error"] == pytest.approx(np.mean(predicted != y), abs=1e-12)
    gap = fairness_gaps(y, predicted, sensitive_features=groups)["demographic_parity"]
    assert seen["gap"] == pytest.approx(gap, abs=1e-12)


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


@pytest.mark.parametrize("model", [LOGISTIC, BOOSTING], ids=["logistic", "boosting"])
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_no_label_leaks_into_steered_rows(constraint, model):
    """On discrete features, where moves that look at labels give them away to a tree."""
    data, y, groups = simulated.simulated_table(4, 6000)
    train, new = slice(3000), slice(3000, None)
    setting = SETTINGS[constraint][:1]
    tuned = TunedSteering(constraint, model, settings=setting)
    tuned.fit(data[train], y[train], sensitive_features=groups[train])
    steered = np.mean(tuned.predict(data[new], sensitive_features=groups[new])[0] == y[new])
    encoder = standard_encoder(data).fit(data[train])
    plain = model.fit(encoder.transform(data[train]), y[train])
    unsteered = plain.score(encoder.transform(data[new]), y[new])
    assert steered == pytest.approx(unsteered, abs=0.03)
    seen = tuned.model_.score(
        tuned.table_.transform(data[train], sensitive_features=groups[train]), y[train]
    )
    assert seen <= plain.score(encoder.transform(data[train]), y[train]) + 0.03


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_labels_of_held_out_rows_change_no_prediction(constraint):
    data, y, groups = simulated.simulated_table(2, 900)
    train, test = np.arange(600), np.arange(600, 900)
    predictions = []
    for seed in (0, 1):
        labels = y.copy()
        labels[test] = np.random.default_rng(seed).permutation(labels[test])
        table = Table(
            name="simulated",
            data=data,
            target=pd.Series(labels),
            groups=pd.Series(groups),
            attributes=pd.DataFrame({"group": groups}),
            favorable="1",
            conventions="",
        )
        method = METHODS[f"steering-{constraint}"]
        unit = Unit("logistic", method.name, 0, 0)
        predictions.append(run_unit(unit, method, LOGISTIC, table, train, test, 0))
    assert predictions[0].reason == ""
    np.testing.assert_array_equal(predictions[0].predicted, predictions[1].predicted)
    np.testing.assert_array_equal(predictions[0].score, predictions[1].score)


@pytest.mark.parametrize("seed", range(2))
def test_steering_never_widens_the_gap_it_targets(seed):
    """The benchmark of twenty tables and both estimators in small: logistic regression on two."""
    data, y, groups = simulated.simulated_table(seed, 24_000)
    train, test = slice(4000), slice(4000, None)
    encoder = standard_encoder(data).fit(data[train])
    plain = LOGISTIC.fit(encoder.transform(data[train]), y[train])
    before = fairness_gaps(
        y[test], plain.predict(encoder.transform(data[test])), sensitive_features=groups[test]
    )
    for constraint in CONSTRAINTS:
        tuned = TunedSteering(constraint, LOGISTIC).fit(
            data[train], y[train], sensitive_features=groups[train]
        )
        decisions = tuned.predict(data[test], sensitive_features=groups[test])[0]
        after = fairness_gaps(y[test], decisions, sensitive_features=groups[test])[constraint]
        floor = noise_floor(y[test], decisions, sensitive_features=groups[test])[constraint]
        assert after <= max(before[constraint], floor) + 0.01
