"""The comparison with peers runs, resumes and repeats, and its results are consistent."""

from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import environments
import numpy as np
import pandas as pd
import peer_figures
import peer_methods
import peer_pages
import peer_tables
import peer_times
import peers
import pytest
from frontiers import (
    GAPS,
    SCORES,
    best_within,
    dominated_hypervolume,
    interval,
    measured,
    resample,
    resampled_auc,
)
from measuring import RESULTS
from pages import rewrite
from peer_measures import frontier_draws, frontier_rows
from peer_methods import ESTIMATORS, PEERS, Task
from peer_units import Plan, folds_of, units_of
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from fairsteer.metrics import fairness_gaps

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
COLUMNS = [
    *("dataset", "sensitive", "estimator", "method", "constraint", "strength", "repeat"),
    *("accuracy", "balanced_accuracy", "auc", *GAPS, "needs_group", "fit_seconds"),
]


# ---- frontiers -----------------------------------------------------------------------------------


def test_the_hypervolume_of_steps():
    reference = {"constant": 0.5, "unmitigated": 0.9, "gap": 0.4}
    free = 0.4 * 0.4
    assert dominated_hypervolume([0.6], [0.1], **reference) == pytest.approx(0.1 * 0.3 / free)
    both = dominated_hypervolume([0.6, 0.8], [0.1, 0.2], **reference)
    assert both == pytest.approx((0.1 * 0.1 + 0.3 * 0.2) / free)
    beaten = dominated_hypervolume([0.6, 0.55, 0.8], [0.1, 0.15, 0.2], **reference)
    assert beaten == pytest.approx(both)
    assert dominated_hypervolume([0.8, 0.6], [0.2, 0.1], **reference) == pytest.approx(both)
    assert dominated_hypervolume([0.45, 0.9], [0.0, 0.4], **reference) == 0.0
    assert dominated_hypervolume([0.9], [0.0], **reference) == pytest.approx(1.0)
    for unmitigated, gap in ((0.5, 0.4), (0.9, 0.0)):
        area = dominated_hypervolume([0.9], [0.0], constant=0.5, unmitigated=unmitigated, gap=gap)
        assert np.isnan(area)


def test_the_hypervolume_is_the_share_of_dominated_points(rng):
    accuracies, found = rng.uniform(0.4, 0.9, 12), rng.uniform(0.0, 0.5, 12)
    area = dominated_hypervolume(accuracies, found, constant=0.5, unmitigated=0.9, gap=0.4)
    grid = rng.uniform([0.5, 0.0], [0.9, 0.4], size=(100_000, 2))
    below = (grid[:, :1] <= accuracies) & (grid[:, 1:] >= found)
    assert area == pytest.approx(below.any(axis=1).mean(), abs=0.01)


def test_the_best_within_a_gap():
    assert best_within([0.6, 0.7, 0.8], [0.01, 0.02, 0.03], 0.02) == 1
    assert best_within([0.6, 0.7], [0.3, 0.2], 0.1) is None


def test_measures_of_a_resample_are_those_of_repeated_rows(rng):
    y, codes = rng.integers(0, 2, 300), rng.integers(0, 3, 300)
    predictions = rng.integers(0, 2, (4, 300))
    counts = resample(300, 5, random_state=1)
    assert np.all(counts[0] == 1)
    assert np.all(counts.sum(axis=1) == 300)
    found = measured(y, codes, predictions, counts)
    for b, k in np.ndindex(6, 4):
        rows = np.repeat(np.arange(300), counts[b])
        exact = fairness_gaps(y[rows], predictions[k][rows], sensitive_features=codes[rows])
        for gap in GAPS:
            assert found[gap][b, k] == pytest.approx(exact[gap])
        accuracy = np.mean(y[rows] == predictions[k][rows])
        assert found["accuracy"][b, k] == pytest.approx(accuracy)
        balanced = balanced_accuracy_score(y[rows], predictions[k][rows])
        assert found["balanced_accuracy"][b, k] == pytest.approx(balanced)


@pytest.mark.parametrize("digits", [1, 9])
def test_the_auc_of_a_resample_is_that_of_repeated_rows(rng, digits):
    y, score = rng.integers(0, 2, 200), rng.normal(size=200).round(digits)
    counts = resample(200, 5, random_state=2)
    found = resampled_auc(y, score, counts)
    for own, drawn in zip(found, counts, strict=True):
        rows = np.repeat(np.arange(200), drawn)
        assert own == pytest.approx(roc_auc_score(y[rows], score[rows]))
    assert np.isnan(resampled_auc(np.ones(3, int), score[:3], np.ones((1, 3), int)))


@pytest.fixture
def points(rng):
    """Three methods' predictions, measured on thirty resamples, by point."""
    y, codes = rng.integers(0, 2, 400), rng.integers(0, 2, 400)
    shares = {
        ("constant", "", 0.0): 0.0,
        ("unmitigated", "", 0.0): 0.6,
        (peer_methods.HEADLINE, "equal_opportunity", 1.0): 0.4,
        (peer_methods.HEADLINE, "equal_opportunity", 0.5): 0.5,
        (peer_methods.HEADLINE, "equalized_odds", 1.0): 0.9,
        ("LEACE", "", 1.0): 0.45,
    }
    shown = [np.where(rng.random(400) < share, y, codes * (share > 0)) for share in shares.values()]
    counts = resample(400, 30, random_state=3)
    drawn = measured(y, codes, np.array(shown), counts)
    drawn["auc"] = np.stack([resampled_auc(y, one, counts) for one in shown], axis=1)
    return {
        ("logistic", *point): {name: values[:, k] for name, values in drawn.items()}
        for k, point in enumerate(shares)
    }


@pytest.mark.parametrize("score", SCORES)
def test_a_resample_has_its_own_reference_point(points, score):
    found = frontier_draws(points, "logistic", score, "equal_opportunity")
    assert np.all(found["unmitigated", "hypervolume"] == 0.0)
    assert np.ptp(found["LEACE", "hypervolume"]) > 0.0
    for b in range(31):
        rows = [
            dict(zip(["estimator", "method", "constraint", "strength"], point, strict=True))
            | {name: drawn[b] for name, drawn in values.items()}
            for point, values in points.items()
        ]
        alone = pd.DataFrame(rows).assign(dataset="compas", sensitive="race")
        areas = peer_pages.hypervolumes(alone).query(
            "gap == 'equal_opportunity' and score == @score"
        )
        for method, area in areas.set_index("method")["hypervolume"].items():
            assert found[method, "hypervolume"][b] == pytest.approx(area)


def test_the_lead_is_paired(points):
    unmitigated = points["logistic", "unmitigated", "", 0.0]
    alike = {("logistic", name, "", 1.0): unmitigated for name in (peer_methods.HEADLINE, "LEACE")}
    ends = {point: points[point] for point in points if point[1] in ("constant", "unmitigated")}
    rows = frontier_rows({"dataset": "compas"}, ends | alike)
    same = rows[rows["method"].isin(["unmitigated", "LEACE"]) & rows["lead"].notna()]
    assert len(same) >= 2 * len(SCORES) * len(GAPS)
    assert np.all(same[["lead", "lead_low", "lead_high"]] == 0.0)
    spread = rows[(rows["method"] == "unmitigated") & (rows["measure"] != "hypervolume")]
    assert np.all(spread["low"] < spread["high"])


def test_a_method_without_a_score_has_no_frontier_for_it(points):
    unranked = {
        name: values.copy() for name, values in points["logistic", "LEACE", "", 1.0].items()
    }
    unranked["auc"][:] = np.nan
    points = {**points, ("logistic", "LEACE", "", 1.0): unranked}
    for score in SCORES:
        found = frontier_draws(points, "logistic", score, "equalized_odds")
        assert (("LEACE", "hypervolume") in found) == (score != "auc")


def test_a_gap_without_its_rows_is_missing():
    counts = np.array([[1, 1, 1, 1], [0, 2, 1, 1]])
    found = measured(np.array([1, 0, 1, 0]), np.array([0, 0, 1, 1]), np.ones((1, 4), int), counts)
    assert found["equal_opportunity"][0, 0] == 0.0
    assert np.isnan(found["equal_opportunity"][1, 0])
    assert interval([np.nan, 1.0, 1.0]) == (1.0, 1.0)
    assert np.all(np.isnan(interval([np.nan, np.nan])))


def test_an_interval_covers(rng):
    y, codes = np.ones(500, int), np.arange(500) % 2
    inside = 0
    for seed in range(40):
        predicted = np.random.default_rng(seed).binomial(1, 0.7, (1, 500))
        draws = measured(y, codes, predicted, resample(500, 200, seed))["accuracy"][1:, 0]
        low, high = interval(draws)
        inside += low <= 0.7 <= high
    assert inside >= 34


# ---- methods -------------------------------------------------------------------------------------


@pytest.fixture
def task():
    data, y, groups = peer_tables.load("lognormal group")
    fit, held_out = np.arange(240), np.arange(240, 300)
    rows = data.iloc[fit], y[fit], groups[fit], data.iloc[held_out], groups[held_out]
    return Task(*rows, {"logistic": ESTIMATORS["logistic"]}, (("", 1.0),), 7)


SLOW = ("fairsteer tuned", "fairlearn PrototypeRepresentationLearner")


def named(names):
    """Mark the names of methods that take seconds."""
    return [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in names]


@pytest.mark.filterwarnings("ignore")  # the packages warn of each other's versions
@pytest.mark.parametrize("name", named(n for n, peer in PEERS.items() if not peer.environment))
def test_every_method_decides(task, name):
    peer = PEERS[name].thinned(4)
    if peer.missing():
        pytest.skip(peer.missing())
    task = replace(task, settings=peer.settings[:1])
    found = list(peer.run(task))
    assert [(d.constraint, d.strength) for d in found] == list(task.settings)
    again = list(peer.run(replace(task)))
    for one, other in zip(found, again, strict=True):
        assert set(np.unique(one.predicted)) <= {0, 1}
        assert one.predicted.shape == (60,)
        assert one.seconds > 0.0
        np.testing.assert_array_equal(one.predicted, other.predicted)
        if one.score is not None:
            np.testing.assert_allclose(one.score, other.score)


@pytest.mark.parametrize(
    "name",
    [n for n, p in PEERS.items() if p.needs_group in ("no", "model") and n not in SLOW],
)
@pytest.mark.filterwarnings("ignore")
def test_a_method_that_needs_no_group_ignores_it(task, name):
    peer = PEERS[name].thinned(4)
    if peer.missing():
        pytest.skip(peer.missing())
    task = replace(task, settings=peer.settings[:1])
    other = replace(task, held_out_groups=task.held_out_groups[::-1].copy())
    assert np.any(task.held_out_groups != other.held_out_groups)
    for one, two in zip(peer.run(task), peer.run(other), strict=True):
        np.testing.assert_array_equal(one.predicted, two.predicted)


def test_the_tuned_choice_is_shared_by_the_strengths(task):
    run = peer_methods.tuned(2)
    settings = (("equal_opportunity", 1.0), ("equal_opportunity", 0.5))
    both = list(run(replace(task, settings=settings)))
    alone = list(run(replace(task, settings=settings[1:])))
    np.testing.assert_array_equal(both[1].predicted, alone[0].predicted)


def test_what_cannot_run_says_why():
    absent = replace(PEERS["LEACE"], modules=("no_such_module.part", "no_such_module"))
    assert absent.missing() == "no_such_module cannot be imported; install fairsteer[bench]"
    assert PEERS["unmitigated"].missing() == ""
    data = pd.DataFrame({"x": [1.0, -1.0]})
    assert "not all positive" in PEERS["fairsteer lognormal"].unfit(data)
    assert PEERS["fairsteer lognormal"].unfit(data + 2.0) == ""
    assert "10,001 rows are too many" in PEERS["fairlearn PrototypeRepresentationLearner"].unfit(
        pd.DataFrame({"x": np.zeros(10_001)})
    )


def test_large_tables_get_less_of_the_slow_methods():
    slow = PEERS["fairlearn ExponentiatedGradient"]
    small, large = (units_of(peers.FULL, "adult sex", slow, n) for n in (1_000, 50_000))
    assert (len(small), len(large)) == (5, 5)
    assert {s for _, s in small[0].settings} == {0.01, 0.05, 0.1}
    assert {s for _, s in large[0].settings} == {0.01}
    other, plenty = (units_of(peers.FULL, "adult sex", PEERS["LEACE"], n) for n in (1_000, 50_000))
    assert (len(other), len(plenty)) == (10, 10)
    assert {s for _, s in plenty[0].settings} == {1.0, 0.97}
    drawn = units_of(peers.FULL, "lognormal group", slow, 1_000)
    assert {s for _, s in drawn[0].settings} == {0.01}
    with_mlp = ["mlp" in units[0].estimators for units in (small, large, other, plenty)]
    assert with_mlp == [False, False, True, False]


def test_folds_have_every_label_and_group():
    _, y, groups = peer_tables.load("gaussian group")
    assert len(np.unique(groups)) == 3
    folds = folds_of(y, groups, 5, 0)
    cells = pd.Series(list(zip(y, groups, strict=True)))
    for _, held_out in folds:
        shares = cells[held_out].value_counts() / len(held_out)
        np.testing.assert_allclose(
            shares, cells.value_counts(normalize=True)[shares.index], atol=1.0 / len(held_out)
        )


def test_an_environment_that_cannot_be_made_says_why(monkeypatch, tmp_path):
    monkeypatch.setattr(environments.venv, "create", lambda *a, **k: None)
    said = CompletedProcess([], 1, "", "looking\nERROR: no matching distribution")
    monkeypatch.setattr(environments.subprocess, "run", lambda *a, **k: said)
    with pytest.raises(environments.EnvironmentFailed, match="could not install x==1: ERROR: no"):
        environments.python_with(("x==1",), tmp_path)
    lines = []
    plan = replace(peers.QUICK, peers=(PEERS["unmitigated"], PEERS["error-parity"]))
    kept, pythons, left_out = peers.prepare(plan, tmp_path, lines.append)
    assert [peer.name for peer in kept.peers] == ["unmitigated"]
    assert pythons == {}
    reasons = {row["method"]: row["reason"] for row in left_out}
    assert "no matching distribution" in reasons["error-parity"]
    assert set(reasons) == {"error-parity", *peer_methods.NOT_RUN}


def test_an_environment_is_made_once(monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(environments.venv, "create", lambda *a, **k: made.append(a))
    done = CompletedProcess([], 0, "", "")
    monkeypatch.setattr(environments.subprocess, "run", lambda *a, **k: done)
    first = environments.python_with(("x==1",), tmp_path)
    assert environments.python_with(("x==1",), tmp_path) == first
    assert len(made) == 1
    environments.python_with(("x==2",), tmp_path)
    assert len(made) == 2


# ---- the command ---------------------------------------------------------------------------------

SMALL = (
    "constant",
    "unmitigated",
    "fairsteer tuned",
    "fairsteer copula",
    "fairlearn CorrelationRemover",
    "fairlearn ExponentiatedGradient",
    "fairlearn ThresholdOptimizer",
)


def refuse(task):
    raise RuntimeError("this one\nalways fails")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Two runs of a small plan with one cache, and what they said."""
    folder = tmp_path_factory.mktemp("peers")
    failing = replace(PEERS["LEACE"], modules=())
    chosen = [replace(PEERS[name].thinned(4), slow=False) for name in SMALL]
    # One constraint of the slow one, and the headline without its inner cross-validation.
    k = SMALL.index("fairlearn ExponentiatedGradient")
    chosen[k] = replace(chosen[k], settings=chosen[k].settings[:1])
    untuned = replace(PEERS[peer_methods.HEADLINE], run=peer_methods.tuned(1))
    plan = Plan(
        "small",
        ("diabetes sex",),
        (*chosen, failing),
        ("logistic",),
        ("logistic",),
        repeats=2,
        sizes=(200,),
        folds=2,
        n_resamples=50,
    )
    found, said = [], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(peer_methods.PEERS, "LEACE", replace(failing, run=refuse))
        patch.setitem(peer_methods.PEERS, peer_methods.HEADLINE, untuned)
        patch.setattr(peers, "runtime", lambda *_: pd.DataFrame())
        for _ in range(2):
            lines = []
            found.append(dict(peers.run(plan, folder, 1, lines.append)))
            said.append(lines)
    return found, said


def test_the_csv_has_its_columns_and_rows(ran):
    results = ran[0][0][""]
    assert list(results) == COLUMNS
    assert set(results["method"]) == set(SMALL)
    assert set(results["repeat"]) == {0, 1}
    assert results.drop(columns="auc").notna().all(axis=None)
    randomised = results["method"].isin(SMALL[-2:])
    assert np.all(results["auc"].isna() == randomised)
    assert not results.duplicated(COLUMNS[:7]).any()
    steered = results[results["method"] == "fairsteer tuned"]
    assert set(steered["constraint"]) == set(GAPS)


def test_a_rerun_skips_what_is_done(ran):
    (first, second), (began, resumed) = ran
    n = 4 * len(SMALL)
    assert f"{n + 4} units of work, 0 of them done before." in began
    assert f"{n + 4} units of work, {n} of them done before." in resumed
    assert sum(line.startswith("[") for line in resumed) == 4
    pd.testing.assert_frame_equal(first[""], second[""])
    pd.testing.assert_frame_equal(first["_frontiers"], second["_frontiers"])


def test_the_same_seed_repeats_the_csv(tmp_path):
    names = ("constant", "unmitigated", "fairsteer copula", "fairsteer whitened", "LEACE")
    chosen = tuple(PEERS[name].thinned(4) for name in names)
    small = {"sources": ("diabetes sex",), "peers": chosen, "estimators": ("logistic",)}
    plan = replace(peers.QUICK, **small, sizes=(), n_resamples=9, folds=2)
    one, two = (dict(peers.run(plan, tmp_path / k, 1, lambda line: None)) for k in ("one", "two"))
    for part in ("", "_points", "_frontiers"):
        own, other = (
            tables[part].drop(columns="fit_seconds", errors="ignore") for tables in (one, two)
        )
        assert len(own)
        pd.testing.assert_frame_equal(own, other)
    again = dict(peers.run(replace(plan, seed=1), tmp_path / "one", 1, lambda line: None))
    assert not one[""]["accuracy"].equals(again[""]["accuracy"])


def test_a_failure_is_reported_and_the_others_run(ran):
    tables, lines = ran[0][0], ran[1][0]
    row = tables["_left_out"].set_index("method").loc["LEACE"]
    assert row["reason"] == "RuntimeError: this one always fails"
    assert row["dataset"] == "diabetes"
    assert any("LEACE, repeat 0, fold 0: failed: RuntimeError" in line for line in lines)
    assert any(line.startswith("Left out: AIF360 OptimPreproc: ") for line in lines)


def test_a_table_that_is_not_at_hand_is_reported(monkeypatch, tmp_path, capsys):
    peer_tables.load.cache_clear()

    def refuse(*args, **kwargs):
        raise peers.UsageError("adult.data is not there; download it.")

    source = replace(peer_tables.SOURCES["adult sex"], load=refuse)
    monkeypatch.setitem(peer_tables.SOURCES, "adult sex", source)
    chosen = tuple(PEERS[name] for name in ("constant", "unmitigated"))
    plan = replace(
        peers.QUICK, sources=("diabetes sex", "adult sex"), peers=chosen, sizes=(), n_resamples=9
    )
    lines = []
    tables = dict(peers.run(plan, tmp_path, 1, lines.append))
    assert set(tables[""]["dataset"]) == {"diabetes"}
    assert "Left out on adult sex: every method: adult.data is not there; download it." in lines
    assert len(tables["_runtime"]) == 0
    monkeypatch.setattr(peers, "QUICK", replace(plan, sources=("adult sex",)))
    with pytest.raises(SystemExit, match="2"):
        peers.main(["--quick", "--cache", str(tmp_path), "--output", str(tmp_path)])
    assert "none of the tables" in capsys.readouterr().err


def test_runtime_is_measured_by_rows(monkeypatch):
    chosen = tuple(PEERS[name] for name in ("unmitigated", "fairsteer lognormal", "error-parity"))
    plan = replace(peers.QUICK, peers=chosen, sizes=(200, 400, 800))
    times = peers.runtime(plan, {}, lambda line: None)
    assert list(times["n"]) == [200, 400, 800]
    assert set(times["method"]) == {"unmitigated"}
    assert (times["fit_seconds"] > 0.0).all()
    monkeypatch.setattr(peers, "LONGEST_FIT", 0.0)
    assert list(peers.runtime(plan, {}, lambda line: None)["n"]) == [200]


def test_hypervolumes_of_the_csv_are_those_of_the_run(ran):
    tables = ran[0][0]
    found = peer_pages.hypervolumes(tables[""])
    frontiers = tables["_frontiers"]
    for measure in ("hypervolume", "at 0.02", "at 0.05"):
        expected = frontiers[frontiers["measure"] == measure]
        keys = ["estimator", "score", "gap", "method"]
        values = found.set_index(keys)[measure].dropna()
        expected = expected.set_index(keys)["value"]
        assert len(values) == len(expected)
        np.testing.assert_allclose(values, expected[values.index])


def test_leads_are_differences_and_scores_lie_in_their_intervals(ran):
    frontiers = ran[0][0]["_frontiers"]
    assert np.all(frontiers["low"] <= frontiers["high"])
    idle = frontiers[
        (frontiers["method"] == "unmitigated") & (frontiers["measure"] == "hypervolume")
    ]
    assert len(idle) == len(SCORES) * len(GAPS)
    assert np.all(idle[["value", "low", "high"]] == 0.0)
    frontiers = frontiers[frontiers["score"] == "accuracy"]
    own = frontiers[frontiers["method"] == peer_methods.HEADLINE]
    volumes = own[own["measure"] == "hypervolume"].set_index("gap")["value"]
    others = frontiers[(frontiers["measure"] == "hypervolume") & frontiers["lead"].notna()]
    assert len(others) == 3 * (len(SMALL) - 2) + 1
    np.testing.assert_allclose(others["lead"], volumes[others["gap"]].values - others["value"])
    points = ran[0][0]["_points"]
    for name in (*SCORES, *GAPS):
        known = points[points[name].notna()]
        assert np.all(known[f"{name}_low"] <= known[f"{name}_high"])
        if name in SCORES:
            assert np.all(known[f"{name}_low"] <= known[name] + 1e-9)
            assert np.all(known[f"{name}_high"] >= known[name] - 1e-9)


def test_the_pages_and_the_figures_are_made_of_the_tables(ran, tmp_path):
    tables = dict(ran[0][0])
    tables["_runtime"] = pd.DataFrame(
        {"method": ["unmitigated"] * 2, "n": [200, 400], "fit_seconds": [0.1, 0.2]}
    )
    for part, table in tables.items():
        table.to_csv(tmp_path / f"peers{part}.csv", index=False)
    for name in ("peers.md", "peers_scores.md"):
        (tmp_path / name).write_text((ROOT / "docs" / name).read_text())
        rewrite(name, tmp_path, tmp_path)
        assert "Tables: diabetes sex." in (tmp_path / name).read_text()
    peer_figures.draw(tables, tmp_path)
    for score in ("", "-balanced_accuracy", "-auc"):
        assert (tmp_path / f"peers-diabetes-sex{score}.png").stat().st_size > 10_000
    assert (tmp_path / "peers-runtime.png").stat().st_size > 5_000


REDUCED, LEARNED = peer_times.SLOW


@pytest.fixture
def contest():
    """Results of one cell, and seconds of its settings."""
    rows = [
        (REDUCED, "equalized_odds", 0.1, 0.9, 0.2, 1.0),
        (REDUCED, "equalized_odds", 0.01, 0.7, 0.1, 3.0),
        ("fairsteer normal", "equalized_odds", 1.0, 0.8, 0.05, 0.3),
        ("fairsteer whitened", "equalized_odds", 1.0, 0.6, 0.05, 0.1),
        ("fairsteer copula", "equalized_odds", 1.0, 0.75, 0.05, 0.4),
        ("fairsteer whitened", "equalized_odds", 0.5, 0.9, 0.15, 0.1),
        (LEARNED, "", 50.0, 0.85, 0.1, 2.0),
        ("unmitigated", "", 0.0, 0.9, 0.3, 0.2),
    ]
    columns = ["method", "constraint", "strength", "accuracy", "equalized_odds", "seconds"]
    table = pd.DataFrame(rows, columns=columns).assign(
        dataset="diabetes", sensitive="sex", estimator="logistic"
    )
    table = table.assign(equal_opportunity=0.0, demographic_parity=0.0)
    return table.assign(balanced_accuracy=table["accuracy"], auc=np.nan)


def test_time_is_compared_at_equal_or_better_accuracy(contest):
    # Of two folds the mean counts.
    times = pd.concat([contest, contest.assign(seconds=3.0 * contest["seconds"])])
    found = peer_times.ratios(contest, times).set_index("peer")
    reduced = found.loc[REDUCED]
    assert (reduced["own"], reduced["peer gap"]) == ("fairsteer normal", 0.1)
    assert reduced["own seconds"] == pytest.approx(0.6)
    assert reduced["ratio"] == pytest.approx(10.0)
    assert reduced["plain fits"] == pytest.approx(15.0)
    assert (reduced["unmitigated accuracy"], reduced["unmitigated gap"]) == (0.9, 0.3)
    none_is_able = found.loc[LEARNED]
    assert none_is_able["own"] == "fairsteer normal"
    assert none_is_able["own accuracy"] < none_is_able["peer accuracy"]


@pytest.mark.filterwarnings("ignore")
def test_only_what_is_compared_is_timed(contest):
    contest = contest[contest["method"] != LEARNED]
    said = []
    times = peer_times.measure(contest, 2, 5, 0, {}, said.append)
    timed = contest.drop(contest.index[[0, 5]])
    assert set(times["fold"]) == {0, 1}
    for _, own in times.groupby("fold"):
        assert set(own["method"]) == set(timed["method"])
        assert dict(zip(own["method"], own["strength"], strict=True)) == dict(
            zip(timed["method"], timed["strength"], strict=True)
        )
    assert (times["seconds"] > 0.0).all()
    assert len(said) == len(times) == 10
    assert len(peer_times.ratios(contest, times)) == 1


def test_simulated_tables_and_the_mlp_are_not_timed(contest):
    assert list(peer_times.contests(contest))
    for other in ({"dataset": "lognormal", "sensitive": "group"}, {"estimator": "mlp"}):
        assert list(peer_times.contests(contest.assign(**other))) == []


def test_what_has_no_rival_is_not_timed(contest):
    alone = contest[~contest["method"].isin(peer_times.SLOW)]
    times = peer_times.measure(alone, 1, 5, 0, {}, print)
    assert list(times) == [*peer_times.CELL, *peer_times.POINT, "fold", "seconds"]
    assert len(times) == len(peer_times.ratios(alone, times)) == 0


def test_committed_hypervolumes_are_those_of_the_committed_results():
    tables = peer_pages.read(RESULTS)
    assert list(tables[""]) == COLUMNS
    keys = [*peer_pages.CELL, "score", "gap", "method"]
    found = peer_pages.hypervolumes(tables[""]).set_index(keys)
    written = tables["_frontiers"].query("measure == 'hypervolume'").set_index(keys)["value"]
    assert len(found) == len(written)
    np.testing.assert_allclose(found.loc[written.index, "hypervolume"], written, atol=2e-4)


def test_committed_leads_lie_in_their_intervals_and_unmitigated_has_no_area():
    frontiers = pd.read_csv(RESULTS / "peers_frontiers.csv")
    volumes = frontiers[frontiers["measure"] == "hypervolume"]
    idle = volumes[volumes["method"] == "unmitigated"]
    assert np.all(idle[["value", "low", "high"]] == 0.0)
    known = volumes[volumes["lead"].notna()]
    assert np.all(known["lead_low"] <= known["lead"] + 1e-9)
    assert np.all(known["lead"] <= known["lead_high"] + 1e-9)


def test_time_in_words_counts_what_is_lost(contest):
    contest = contest.assign(dataset="compas", sensitive="race")
    tables = {"": contest, "_times": contest}
    assert peer_pages.time_in_words(tables) == (
        "On Adult and COMPAS with LR steering is 10.0 to 10.0 times as fast as "
        "fairlearn ExponentiatedGradient (of 1 comparisons it is less accurate in 0, its gap is "
        "larger than the peer's in 0 and larger than the unmitigated gap in 0); "
        "6.7 to 6.7 times as fast as AIF360 LearnedFairRepresentations "
        "(of 1 comparisons it is less accurate in 1 by at most .050, its gap is "
        "larger than the peer's in 0 and larger than the unmitigated gap in 0)."
    )
    assert peer_pages.time_in_words({"": contest[:0], "_times": contest[:0]}) == ""


def test_a_process_times_on_one_thread_what_it_loads(contest, monkeypatch, tmp_path):
    torch = pytest.importorskip("torch")
    seen = []
    peer = PEERS["unmitigated"]

    def run(task):
        seen.append(torch.get_num_threads())
        return peer.run(task)

    monkeypatch.setitem(PEERS, "unmitigated", replace(peer, run=run, modules=("torch",)))
    contest.to_csv(tmp_path / "peers.csv", index=False)
    facts = pd.DataFrame({"name": ["folds", "seed"], "value": ["5", "0"]})
    facts.to_csv(tmp_path / "peers_environment.csv", index=False)
    rivals = contest["method"].isin([LEARNED, REDUCED])
    kept = contest[~rivals | (contest["strength"] == 0.01)]
    kept.to_csv(tmp_path / "peers.csv", index=False)
    before = (ROOT / "docs" / "peers.md").read_text()
    peer_times.main(["--folds", "1", "--results", str(tmp_path)])
    assert set(seen) == {1}
    assert len(pd.read_csv(tmp_path / "peers_times.csv")) == 5
    assert (tmp_path / "peers_times_environment.csv").is_file()
    assert (ROOT / "docs" / "peers.md").read_text() == before


def test_patience_ends():
    calls = []
    with peer_times.clock.patient(10.0):
        peer_times.clock.timed(calls.append, 1)
    assert len(calls) == peer_times.clock.RUNS
    assert peer_times.clock.SHORT == 1.0
    with peer_times.clock.patient(0.0):
        assert peer_times.clock.timed(lambda: 7)[0] == 7
        peer_times.clock.timed(calls.append, 1)
    assert len(calls) == peer_times.clock.RUNS + 1


def test_a_pin_of_another_version_makes_other_units(monkeypatch):
    own, other = (
        units_of(peers.QUICK, "diabetes sex", PEERS[n], 400)[0] for n in ("error-parity", "LEACE")
    )
    before = own.key(), other.key()
    assert (own.key(), other.key()) == before
    monkeypatch.setitem(peer_methods.ENVIRONMENTS, "error-parity", ("error-parity==0.0",))
    assert own.key() != before[0]
    assert other.key() == before[1]
