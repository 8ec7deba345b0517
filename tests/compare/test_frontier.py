import itertools
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

QUICK = ["exponentiated_gradient", "threshold_optimizer", "score_steering", "constant"]
STEERED = [f"steering-{constraint}" for constraint in CONSTRAINTS]
MAX_GAPS = [0.02, 0.05, 0.1, 0.2]


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
        "dataset", "estimator", "constraint", "method", "max_gap", "accuracy",
        "accuracy_spread", "gap", "gap_spread", "floor",
    )  # fmt: skip
    assert frontier["constraint"].tolist() == [c for c in CONSTRAINTS for _ in range(7)]
    one = frontier[frontier["constraint"] == "equal_opportunity"]
    assert one["method"].tolist() == ["steering"] * 5 + ["unmitigated", "correlation_remover"]
    assert_array_equal(one["max_gap"], [np.nan, *MAX_GAPS, np.nan, np.nan])
    assert set(frontier["dataset"]) == {"made"}
    assert frontier.drop(columns="max_gap").notna().all(axis=None)


def test_the_numbers_are_those_of_the_results(comparison, frontier):
    results = comparison.results.set_index("method")
    for row in frontier.itertuples():
        name = row.method
        if name == "steering":
            name += f"-{row.constraint}"
            name += "" if np.isnan(row.max_gap) else f"@{row.max_gap:g}"
        rows = results.loc[name]
        assert len(rows) == 2
        assert row.accuracy == pytest.approx(rows["accuracy"].mean())
        assert row.accuracy_spread == pytest.approx(rows["accuracy"].std())
        assert row.gap == pytest.approx(rows[row.constraint].mean())
        assert row.gap_spread == pytest.approx(rows[row.constraint].std())
        assert row.floor == pytest.approx(rows[f"floor_{row.constraint}"].mean())


def test_methods_of_the_first_table_keep_their_names_and_results(comparison):
    assert all("@" not in name for name in METHODS)
    further = [method.name for method in comparison.options.frontier]
    assert further == [f"{name}@{s:g}" for name in STEERED for s in MAX_GAPS]
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
def test_a_large_gap_that_may_stay_is_no_steering(name):
    table, train, test = make_table(), np.arange(160), np.arange(160, 240)
    method = replace(METHODS[name], max_gap=0.99)
    unit = Unit("logistic", method.name, 0, 0)
    still = run_unit(unit, method, make_estimator("logistic", 0), table, train, test, 0)
    blind = run_method("unmitigated", table, train, test)
    assert still.reason == blind.reason == ""
    assert still.choice.candidate == "unmitigated"
    assert_array_equal(still.predicted, blind.predicted)
    assert_allclose(still.score, blind.score, rtol=1e-12)


def test_a_gap_that_may_stay_is_seen_in_the_choice(comparison):
    mitigated = 0
    for name, allowed, repeat in itertools.product(STEERED, MAX_GAPS, range(2)):
        for choice in comparison.chosen["logistic", f"{name}@{allowed:g}", repeat]:
            # With 120 rows chance can hide that a candidate narrows the gap.
            if choice.candidate != "unmitigated":
                mitigated += 1
                # One standard deviation of the gap by chance is allowed beyond it.
                assert choice.gap <= max(allowed, choice.floor) + choice.floor
    assert mitigated > len(STEERED) * len(MAX_GAPS) * 2


def test_a_skipped_constraint_has_no_frontier():
    options = check_options(make_table(), skip=STEERED[:1], frontier=True)
    assert {method.name.split("@")[0] for method in options.frontier} == set(STEERED[1:])
    assert not any("@" in method.name for method in options.methods)
    with pytest.raises(UsageError, match="steering, which is skipped; keep at least one"):
        check_options(make_table(), skip=["steering"], frontier=True)


def test_a_gap_that_failed_has_no_numbers(monkeypatch):
    procedure = mitigators.SteeredClassifierCV

    def refuse_one(estimator, *, max_gap, **options):
        if max_gap == 0.05:
            raise RuntimeError("no way")
        return procedure(estimator, max_gap=max_gap, **options)

    monkeypatch.setattr(mitigators, "SteeredClassifierCV", refuse_one)
    skip = [*QUICK, "correlation_remover", *STEERED[:2]]
    comparison = compare(make_table(), cv=2, skip=skip, frontier=True)
    frontier = tabulate_frontier(comparison)
    failed = frontier["max_gap"] == 0.05
    assert frontier.loc[failed, ["accuracy", "gap", "floor"]].isna().all(axis=None)
    assert frontier.loc[~failed, ["accuracy", "gap", "floor"]].notna().all(axis=None)
    assert list(comparison.failures) == [("logistic", f"{STEERED[2]}@0.05")]
