"""The benchmarks of speed and scale still run, on small tables."""

import measuring
import numpy as np
import pandas as pd
import pytest
import scale
import speed
from measuring import PeakMemory, growth, in_turn, table

pytestmark = pytest.mark.slow


def test_speed_is_measured_against_limits_and_peers(tmp_path, capsys):
    speed.main(["--rows", "3000", "--features", "4", "--output", str(tmp_path)])
    own, peers = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("speed", "speed_peers"))
    assert own.set_index("what").loc["transform, every group moves", "limit"] == "2K products"
    np.testing.assert_allclose(own["ratio"], own["seconds"] / own["limit_seconds"])
    first = peers["fit_seconds"][peers["method"] == "fairsteer"].item()
    np.testing.assert_allclose(peers["fit_ratio"], peers["fit_seconds"] / first)
    assert {"fit, without solving", "transform, every group moves"} <= set(own["what"])
    assert {"fairsteer", "fairlearn CorrelationRemover"} <= set(peers["method"])
    assert (tmp_path / "speed_environment.csv").is_file()
    assert "| fairsteer |" in capsys.readouterr().out


def test_scale_grows_and_batches_add_up(tmp_path, capsys):
    options = ["--rows", "20000", "--features", "3", "--output", str(tmp_path)]
    scale.main(["--part", "growth", "--part", "batches", *options])
    found = pd.read_csv(tmp_path / "scale-part.csv").set_index("what")
    assert found.loc["exponent of transform", "value"] > 0.0
    assert found.loc["largest difference", "value"] < 1e-10
    assert "| batches | largest difference |" in capsys.readouterr().out


def test_a_cluster_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(scale, "N_PARTITIONS", 12)
    stored = scale.Stored(tmp_path, 20_000, 3)
    found = pd.DataFrame(scale.cluster(stored, tmp_path)).set_index("what")
    assert (found.loc["difference", "value"] < 1e-10).all()
    whole = found.loc["fit, a worker killed", "seconds"]
    assert 0.0 < found.loc["of this: after the kill", "seconds"] < whole
    assert 10.0 < found.loc["steering to Parquet; memory of a worker", "memory_mib"] < 1024.0
    assert found.loc["their difference from transform", "value"] < 1e-10
    assert found.loc["Parquet files", "value"] == scale.N_PARTITIONS


def test_many_features_are_fitted(tmp_path):
    rows = scale.wide(n=600, d=20, n_labels=5)
    assert rows[0]["value"] < 1e-6
    assert rows[0]["seconds"] > 0.0


def test_works_are_timed_in_turn_and_by_their_quickest_call(monkeypatch):
    ticks = iter([0.0, 3.0, 0.0, 5.0, 0.0, 2.0, 0.0, 7.0])
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(ticks))
    called = []
    taken = in_turn(lambda: called.append("a"), lambda: called.append("b"), times=2)
    assert taken == [2.0, 5.0]
    assert called == ["a", "b", "a", "b"]


def test_memory_and_growth_are_measured():
    with PeakMemory() as memory:
        block = np.ones(8_000_000)
        block += 1.0
    assert 0.9 * block.nbytes < memory.bytes < 1.5 * block.nbytes
    assert growth([10, 100, 1000], [2.0, 20.0, 200.0]) == pytest.approx(1.0)
    assert table(pd.DataFrame({"a": [1.0, np.nan]})) == "| a |\n| --- |\n| 1 |\n|  |"
