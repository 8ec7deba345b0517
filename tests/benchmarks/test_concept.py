"""The benchmark of concept steering runs, and its committed results keep their findings."""

import concept
import numpy as np
import pandas as pd
import pytest
from measuring import RESULTS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def written():
    return pd.read_csv(RESULTS / "concept.csv")


def test_it_prints_effects_of_every_group_before_and_after(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(concept, "WORLDS", ((2, 5, 600),))
    monkeypatch.setattr(concept, "N_JUDGED", 600)
    concept.main(["--quick", "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "2 groups, 5 dimensions, 600 states" in printed
    results = pd.read_csv(tmp_path / "concept-quick.csv")
    assert set(results["direction"]) == {*concept.NAIVE, *concept.FITTED, "shared_inferred"}
    assert results.notna().all(axis=None)
    logistic = results[results["probe"] == "logistic"]
    effects = logistic.pivot_table("effect", ["direction", "group"], "alpha")
    np.testing.assert_allclose(effects[2.0], 2 * effects[1.0], rtol=1e-4)
    spread = np.ptp(effects[1.0].unstack("group"), axis=1)
    assert spread["own"] > 0.1
    assert spread["pooled"] < 1e-5


def test_the_spread_falls_and_the_mean_effect_is_kept(written):
    table = concept.summary(written)
    for probe in ("logistic", "discriminant"):
        for direction in ("shared", "shared_inferred", "both", "every"):
            found = table.loc[(probe, direction)]
            assert found["fall against own"] >= 0.8
            assert found["mean kept"] == pytest.approx(1.0, abs=0.1)
    for direction in ("own_probe", "both"):
        assert table.loc[("own_logistic", direction), "fall against own"] >= 0.8
        assert table.loc[("own_logistic", direction), "mean kept"] == pytest.approx(1.0, abs=0.1)
