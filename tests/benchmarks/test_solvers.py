"""The benchmark of the solvers still runs."""

import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_it_prints_a_row_per_distribution(capsys, monkeypatch):
    monkeypatch.delenv("FAIRSTEER_DATA", raising=False)
    path = Path(__file__).parents[2] / "benchmarks" / "solvers.py"
    script = runpy.run_path(str(path))
    distribution = script["tied_distribution"](n_labels=3, n_features=4)
    script["main"].__globals__["tied_distribution"] = lambda: distribution
    script["main"]()
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 3
    assert "| tied |" in rows[2]
