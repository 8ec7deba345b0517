from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

from fairsteer.compare import _methods as mitigators
from fairsteer.compare import compare, frontier_table
from fairsteer.compare._methods import METHODS, make_estimator
from fairsteer.compare._options import check_options
from fairsteer.compare._run import Unit, run_unit
from fairsteer.compare._summaries import FRONTIER_COLUMNS
from fairsteer.core.constraints import CONSTRAINTS
from fairsteer.exceptions import UsageError
from tests.compare.test_compare import make_table, run_method, tabulate_outcomes

pytestmark = pytest.mark.slow

QUICK = ["exponentiated_gradient", "threshold_optimizer"]
STEERED = [f"steering-{constraint}" for constraint in CONSTRAINTS]
STRENGTHS = [0.0, 0.25, 0.5, 0.75, 1.0]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Keep many tiny fits from waiting for threads that other processes hold up."""
    with threadpool_limits(1):
        yield


def tabulate_frontier(comparison):
    return frontier_table(comparison.results, comparison.methods.values())


@pytest.fixture(scope="module")
def comparison():
    return compare(make_table(), repeats=2, cv=2, skip=QUICK, frontier=True)


@pytest.fixture(scope="module")
def frontier(comparison):
    return tabulate_frontier(comparison)


def test_the_columns_and_the_rows(frontier):
    assert tuple(frontier) == FRONTIER_COLUMNS == (
        "dataset", "estimator", "constraint", "method", "strength", "accuracy",
        "accuracy_spread", "gap", "gap_spread", "floor",
    )  # fmt: skip
    assert frontier["constraint"].tolist() == [c for c in CONSTRAINTS for _ in range(7)]
    one = frontier[frontier["constraint"] == "equal_opportunity"]
    assert one["method"].tolist() == ["steering"] * 5 + ["unmitigated", "correlation_remover"]
    assert_array_equal(one["strength"], [*STRENGTHS, np.nan, np.nan])
    assert set(frontier["dataset"]) == {"made"}
    assert frontier.drop(columns="strength").notna().all(axis=None)


def test_the_numbers_are_those_of_the_results(comparison, frontier):
    results = comparison.results.set_index("method")
    for row in frontier.itertuples():
        name = row.method
        if name == "steering":
            name += f"-{row.constraint}"
            name += "" if row.strength == 1.0 else f"@{row.strength:g}"
        rows = results.loc[name]
        assert len(rows) == 2
        assert row.accuracy == pytest.approx(rows["accuracy"].mean())
        assert row.accuracy_spread == pytest.approx(rows["accuracy"].std())
        assert row.gap == pytest.approx(rows[row.constraint].mean())
        assert row.gap_spread == pytest.approx(rows[row.constraint].std())
        assert row.floor == pytest.approx(rows[f"floor_{row.constraint}"].mean())


def test_methods_at_full_strength_keep_their_names_and_results(comparison):
    assert all("@" not in name for name in METHODS)
    further = [method.name for method in comparison.options.frontier]
    assert further == [f"{name}@{s:g}" for name in STEERED for s in STRENGTHS[:4]]
    plain = compare(make_table(), repeats=2, cv=2, skip=QUICK)
    shown = comparison.results["method"].isin(list(plain.methods))
    pd.testing.assert_frame_equal(
        comparison.results[shown].drop(columns="fit_seconds"),
        plain.results.drop(columns="fit_seconds"),
    )
    outcomes = tabulate_outcomes(comparison).query("~method.str.contains('@')")
    pd.testing.assert_frame_equal(outcomes, tabulate_outcomes(plain))
    assert tabulate_frontier(plain).empty
    assert tuple(tabulate_frontier(plain)) == FRONTIER_COLUMNS


@pytest.mark.parametrize("name", STEERED)
def test_strength_0_is_no_steering(name):
    table, train, test = make_table(), np.arange(160), np.arange(160, 240)
    method = replace(METHODS[name], strength=0.0)
    unit = Unit("logistic", method.name, 0, 0)
    still = run_unit(unit, method, make_estimator("logistic", 0), table, train, test, 0)
    blind = run_method("unmitigated", table, train, test)
    assert still.reason == blind.reason == ""
    assert_array_equal(still.predicted, blind.predicted)
    assert_allclose(still.score, blind.score, rtol=1e-12)


@pytest.mark.parametrize("name", STEERED)
def test_strength_1_is_the_plain_row_and_between_is_between(name, comparison):
    runs = [f"{name}@{strength:g}" for strength in STRENGTHS[:4]] + [name]
    scores = [comparison.scores["logistic", run, 0] for run in runs]
    moved = [np.abs(score - scores[0]).mean() for score in scores]
    assert np.all(np.diff(moved) > 0.0)


def test_a_skipped_constraint_has_no_frontier():
    options = check_options(make_table(), skip=STEERED[:1], frontier=True)
    assert {method.name.split("@")[0] for method in options.frontier} == set(STEERED[1:])
    assert not any("@" in method.name for method in options.methods)
    with pytest.raises(UsageError, match="steering, which is skipped; keep at least one"):
        check_options(make_table(), skip=["steering"], frontier=True)


def test_a_strength_that_failed_has_no_numbers(monkeypatch):
    procedure = mitigators.TunedSteering

    def refuse_half(constraint, estimator, *, strength, random_state):
        if strength == 0.5:
            raise RuntimeError("no way")
        return procedure(constraint, estimator, strength=strength, random_state=random_state)

    monkeypatch.setattr(mitigators, "TunedSteering", refuse_half)
    skip = [*QUICK, "correlation_remover", *STEERED[:2]]
    comparison = compare(make_table(), cv=2, skip=skip, frontier=True)
    frontier = tabulate_frontier(comparison)
    failed = frontier["strength"] == 0.5
    assert frontier.loc[failed, ["accuracy", "gap", "floor"]].isna().all(axis=None)
    assert frontier.loc[~failed, ["accuracy", "gap", "floor"]].notna().all(axis=None)
    assert list(comparison.failures) == [("logistic", f"{STEERED[2]}@0.5")]
