"""The comparison on rows like embeddings of biographies still runs, on a small table."""

import bios
import numpy as np
import pandas as pd
import pytest

from fairsteer.datasets import make_bios_like
from fairsteer.metrics import rms_tpr_gap

OFFLINE = ("nothing", "mean matching", "discriminants", "fairsteer", "fairsteer, inferred")


@pytest.fixture
def small(monkeypatch):
    """A table and methods that take seconds and need no other package."""
    monkeypatch.setattr(bios, "QUICK", (12_000, 60))
    monkeypatch.setattr(bios, "FOLDS", 2)
    monkeypatch.setattr(bios, "COMPONENTS", 40)
    monkeypatch.setattr(bios, "METHODS", {name: bios.METHODS[name] for name in OFFLINE})


@pytest.mark.slow
def test_every_method_is_measured_on_held_out_rows(small, tmp_path, capsys):
    bios.main(["--quick", "--jobs", "1", "--output", str(tmp_path)])
    found = pd.read_csv(tmp_path / "bios-quick.csv").set_index("method")
    assert list(found.index) == list(OFFLINE)
    assert found["accuracy"].between(0.6, 0.9).all()
    assert found.loc["fairsteer", "rms_tpr_gap"] < found.loc["discriminants", "rms_tpr_gap"]
    rates = pd.read_csv(tmp_path / "bios-quick_professions.csv")
    assert rates.groupby("method").size().eq(28).all()
    gap = rates[rates["method"] == "nothing"]["lead"]
    assert found.loc["nothing", "rms_tpr_gap"] == pytest.approx(np.sqrt(np.mean(gap**2)), abs=1e-5)
    assert "| fairsteer, inferred |" in capsys.readouterr().out


def test_a_known_prediction_gives_its_known_gap():
    size, sample = (2_000, 4), make_bios_like(2_000, 4, random_state=3)
    truth = sample.target.to_numpy(object)
    wrong = np.where((sample.sensitive_features == "female") & (truth == "nurse"), "poet", truth)
    fold = (np.arange(2_000), dict.fromkeys(bios.METHODS, wrong))
    rows, rates = bios.measure(size, 3, [fold])
    expected = rms_tpr_gap(sample.target, wrong, sensitive_features=sample.sensitive_features)
    np.testing.assert_allclose([row["rms_tpr_gap"] for row in rows], expected)
    nurses = rates[(rates["profession"] == "nurse") & (rates["method"] == "nothing")]
    assert nurses["lead"].item() == -1.0


def test_training_rows_alone_are_fitted():
    sample = make_bios_like(6_000, 20, random_state=0)
    rows, held_out = np.arange(4_000), np.arange(4_000, 6_000)
    fold = bios.Fold(sample, rows, held_out)
    X, new = bios.mean_matching(fold)
    sample.data[4_100:] += 5.0
    again = bios.mean_matching(bios.Fold(sample, rows, held_out))
    np.testing.assert_array_equal(again[0], X)
    np.testing.assert_array_equal(again[1][:100], new[:100])
    assert not hasattr(fold, "held_out_y")


def test_summary_compares_on_the_same_seed():
    results = pd.DataFrame(
        {
            "seed": [0, 0, 1, 1],
            "method": ["nothing", "other"] * 2,
            "accuracy": 0.8,
            "rms_tpr_gap": [0.2, 0.1, 0.1, 0.08],
            "floor": 0.03,
            "correlation": 0.5,
        }
    )
    found = bios.summary(results).set_index("method")
    assert found.loc["other", "share of nothing's"] == pytest.approx(0.65)
    assert found.loc["other", "at worst"] == pytest.approx(0.8)
