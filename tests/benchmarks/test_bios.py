"""The comparison on rows like embeddings of biographies still runs, on a small table."""

import bios
import numpy as np
import pandas as pd
import pytest

from fairsteer.datasets import make_bios_like
from fairsteer.metrics import rms_tpr_gap

pytestmark = pytest.mark.slow

OFFLINE = (
    *("unmitigated", "mean matching", "discriminants", "discriminants, weights"),
    *("fairsteer", "fairsteer, inferred"),
)


@pytest.fixture
def small(monkeypatch):
    """A table and methods that take seconds and need no other package."""
    monkeypatch.setattr(bios, "QUICK", (12_000, 60))
    monkeypatch.setattr(bios, "FOLDS", 2)
    monkeypatch.setattr(bios, "COMPONENTS", 40)
    monkeypatch.setattr(bios, "METHODS", {name: bios.METHODS[name] for name in OFFLINE})


def test_every_method_is_measured_on_held_out_rows(small, tmp_path, capsys):
    bios.main(["--quick", "--jobs", "1", "--output", str(tmp_path)])
    found = pd.read_csv(tmp_path / "bios-quick.csv").set_index("method")
    assert list(found.index) == list(OFFLINE)
    assert found["accuracy"].between(0.6, 0.9).all()
    assert found.loc["fairsteer", "rms_tpr_gap"] < found.loc["discriminants", "rms_tpr_gap"]
    rates = pd.read_csv(tmp_path / "bios-quick_professions.csv")
    assert rates.groupby("method").size().eq(28).all()
    gap = rates[rates["method"] == "unmitigated"]["lead"]
    assert found.loc["unmitigated", "rms_tpr_gap"] == pytest.approx(
        np.sqrt(np.mean(gap**2)), abs=1e-5
    )
    assert "| fairsteer, inferred |" in capsys.readouterr().out


def test_a_known_prediction_gives_its_known_gap():
    size, sample = (2_000, 4), make_bios_like(2_000, 4, random_state=3)
    truth = sample.target.to_numpy(object)
    wrong = np.where((sample.sensitive_features == "female") & (truth == "nurse"), "poet", truth)
    fold = (np.arange(2_000), dict.fromkeys(bios.METHODS, wrong))
    rows, rates = bios.measure(size, 3, [fold])
    expected = rms_tpr_gap(sample.target, wrong, sensitive_features=sample.sensitive_features)
    np.testing.assert_allclose([row["rms_tpr_gap"] for row in rows], expected)
    nurses = rates[(rates["profession"] == "nurse") & (rates["method"] == "unmitigated")]
    assert nurses["lead"].item() == -1.0


@pytest.mark.parametrize("name", OFFLINE)
def test_a_row_is_moved_by_training_rows_and_itself_alone(small, name):
    sample = make_bios_like(13_000, 60, random_state=0)
    rows, held_out = np.arange(12_000), np.arange(12_000, 13_000)
    fold = bios.Fold.of(sample, rows, held_out)
    assert set(vars(fold)) == {"X", "held_out", "y", "women", "held_out_women"}
    moved = bios.METHODS[name](fold)
    sample.data[12_500:] += 1.0
    sample.target[12_000:] = "poet"
    again = bios.METHODS[name](bios.Fold.of(sample, rows, held_out))
    np.testing.assert_array_equal(again.X, moved.X)
    np.testing.assert_allclose(again.held_out[:500], moved.held_out[:500], atol=1e-9)
    assert not np.allclose(again.held_out[500:], moved.held_out[500:])


def test_peers_move_held_out_rows_as_training_rows(small):
    for package in ("ot", "torch", "concept_erasure"):
        pytest.importorskip(package)
    sample = make_bios_like(6_000, 60, random_state=0)
    fold = bios.Fold.of(sample, np.arange(5_000), np.arange(4_000, 6_000))
    for method in (bios.moments_matching, bios.mimic, bios.leace):
        moved = method(fold)
        np.testing.assert_allclose(moved.held_out[:1_000], moved.X[4_000:], atol=1e-8)
    matched = bios.moments_matching(fold)
    for women in (matched.women, ~matched.women):
        target = fold.X[~fold.women]
        np.testing.assert_allclose(matched.X[women].mean(axis=0), target.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(np.cov(matched.X[women].T), np.cov(target.T), atol=1e-4)


def test_summary_compares_on_the_same_seed():
    results = pd.DataFrame(
        {
            "seed": [0, 0, 1, 1],
            "method": ["unmitigated", "other"] * 2,
            "accuracy": 0.8,
            "rms_tpr_gap": [0.2, 0.1, 0.1, 0.08],
            "floor": 0.03,
            "correlation": 0.5,
        }
    )
    found = bios.summary(results).set_index("method")
    assert found.loc["other", "share of unmitigated"] == pytest.approx(0.65)
    assert found.loc["other", "at worst"] == pytest.approx(0.8)


def test_steering_closes_more_of_the_gap_on_the_committed_rows():
    results = pd.read_csv(bios.RESULTS / "bios.csv")
    assert sorted(results["seed"].unique()) == list(bios.SEEDS)
    gap = results.pivot(index="seed", columns="method", values="rms_tpr_gap")
    accuracy = results.pivot(index="seed", columns="method", values="accuracy")
    assert gap["unmitigated"].between(0.12, 0.18).all()
    assert accuracy["unmitigated"].between(0.75, 0.82).all()
    assert (gap["LEACE"] > 0.85 * gap["unmitigated"]).all()
    matched = gap["mean and covariance matching"] / gap["unmitigated"]
    assert 0.5 < matched.mean() < 0.7
    assert (gap["fairsteer"] <= 0.4 * gap["unmitigated"]).all()
    assert (gap["fairsteer, inferred"] <= 0.6 * gap["unmitigated"]).all()
    assert (accuracy["fairsteer"] >= accuracy["unmitigated"] - 0.01).all()
    rivals = gap[["MiMiC", "LEACE"]].min(axis=1)
    assert (gap["fairsteer"] < rivals).all()
