"""The benchmarks behind docs/results.md run, and the README shows their results."""

import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import gaps
import hidden
import numpy as np
import pandas as pd
import pytest
import simulated

from fairsteer.compare import load_table
from fairsteer.core.constraints import CONSTRAINTS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.mark.filterwarnings("ignore::FutureWarning:fairlearn")
def test_every_cell_of_a_table_is_printed(monkeypatch):
    monkeypatch.setattr(gaps, "NAMES", {"logistic": "LR"})
    table = load_table("diabetes", sensitive="sex")
    monkeypatch.setattr(gaps, "load_table", lambda *_, **__: replace(table, name="diabetes"))
    attack = gaps.measure_leakage
    monkeypatch.setattr(
        gaps, "measure_leakage", lambda X, codes, _, *rest: attack(X, codes, "linear", *rest)
    )
    families = gaps.FAMILIES if find_spec("oxonfair") else gaps.FAMILIES[:-1]
    frame = gaps.cells("diabetes", "sex", 2, 1, families)
    assert len(frame) == 3
    assert frame.notna().all(axis=None)
    assert (frame["steering attack"] >= 0.0).all()
    cell = frame.iloc[0]
    for ours in gaps.OURS:
        lines = gaps.markdown(frame, ours).splitlines()
        assert len(lines) == 5
        shown = f"{cell[f'{ours} accuracy']:.3f} / {cell[f'{ours} gap']:.3f}".replace("0.", ".")
        assert shown in lines[2]
    assert lines[0].count("|") == lines[2].count("|")
    some = frame[[*gaps.KEYS, "unmitigated gap"]].iloc[1:].assign(**{"unmitigated gap": 0.5})
    merged = gaps.merge(frame, some)
    assert list(merged) == list(frame)
    assert merged["unmitigated gap"].tolist() == [cell["unmitigated gap"], 0.5, 0.5]
    pd.testing.assert_frame_equal(
        merged.drop(columns="unmitigated gap"), frame.drop(columns="unmitigated gap")
    )


def test_leads_and_losses_are_named():
    families = ("steering", "threshold_optimizer")
    names = [f"{who} {what}" for who in families for what in ("accuracy", "gap")]
    rows = [(0.7, 0.01, 0.6, 0.02), (0.6, 0.03, 0.7, 0.02), (0.7, 0.03, 0.6, 0.02)]
    cells = pd.DataFrame(rows, columns=names).assign(
        table="adult sex", estimator="LR", constraint=["a_1", "b_2", "c_3"]
    )
    cells = cells.assign(**{"steering floor": 0.01, "steering floor95": 0.02})
    words = gaps.in_words(cells, "steering")
    assert "below the 95% quantile of its floor in 1 of 3 rows" in words
    assert "the differences lie between -0.1000 and +0.1000" in words
    assert "it is ahead in 1 of 3 rows and behind in 1 of them (adult sex LR b 2)." in words


def test_a_frontier_mixes_its_points():
    assert hidden.height([0.6, 0.7], [0.1, 0.3], 0.2) == pytest.approx(0.65)
    assert hidden.height([0.6, 0.7], [0.1, 0.3], 0.1) == pytest.approx(0.6)
    assert hidden.height([0.6, 0.5, 0.7], [0.1, 0.2, 0.3], 0.2) == pytest.approx(0.65)
    assert hidden.height([0.6, 0.7], [0.1, 0.3], 0.9) == pytest.approx(0.7)
    assert hidden.height([0.6], [0.1], 0.05) == -np.inf


def test_quick_gaps_are_fairlearns(rng):
    y, predicted, codes = (
        rng.integers(0, 2, size=300),
        rng.integers(0, 2, size=300),
        np.arange(300) % 3,
    )
    exact = hidden.fairness_gaps(y, predicted, sensitive_features=codes)
    for constraint in hidden.MOMENTS:
        found = hidden.quick_gap(constraint, y, predicted, codes)
        assert found == pytest.approx(exact[constraint])


def test_weights_make_label_and_group_independent(rng):
    groups = rng.choice(["a", "b", "c"], size=400)
    y = rng.binomial(1, np.where(groups == "a", 0.2, 0.6))
    weights = hidden.independent_weights(y, groups)
    sums = pd.Series(weights).groupby([y, groups]).sum().unstack()
    np.testing.assert_allclose(sums, np.outer(sums.sum(axis=1), sums.sum()) / 400)


@pytest.mark.filterwarnings("ignore")  # fairlearn's ExponentiatedGradient and pandas 3
def test_predictions_without_the_attribute(monkeypatch):
    table = load_table("diabetes")
    rows = table.data, table.target.to_numpy(), table.groups.to_numpy()
    monkeypatch.setattr(hidden, "load", lambda *_: rows)
    monkeypatch.setattr(hidden, "STRENGTHS", (1.0, 0.0))
    monkeypatch.setattr(hidden, "N_BOOTSTRAP", 5)
    frame, lines = hidden.compas()
    assert frame.notna().all(axis=None)
    assert len(lines) == 2 * len(hidden.ENCODINGS)
    full = frame["method"] == "eraser at 1, standard"
    none = frame["method"] == "eraser at 0, standard"
    assert np.all(frame.loc[full, "gap"].to_numpy() < frame.loc[none, "gap"].to_numpy())


def test_a_simulated_table_has_the_distribution_of_its_seed():
    data, y, groups = simulated.simulated_table(3, 500)
    again = simulated.simulated_table(3, 500)
    pd.testing.assert_frame_equal(data, again[0])
    np.testing.assert_array_equal(y, again[1])
    other = simulated.simulated_table(4, 500)
    assert len(np.unique(groups)) == 3
    assert len(np.unique(other[2])) == 2
    assert all(data[name].nunique() < 100 for name in data)


@pytest.mark.data
def test_the_script_of_the_readme_prints_its_table(capsys):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    script = next(
        block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
        if 'load_table("compas")' in block
    )  # fmt: skip
    exec(compile(script, "README.md", "exec"), {})
    printed = re.findall(r"(\w+): accuracy 0(\.\d+), gap 0(\.\d+)", capsys.readouterr().out)
    assert [name for name, *_ in printed] == list(CONSTRAINTS)
    for name, accuracy, gap in printed:
        row = re.search(
            rf"^\| {name.replace('_', ' ')} \| (\.\d+) \| (\.\d+) \|", readme, re.MULTILINE
        )
        assert float(row[1]) == pytest.approx(float(accuracy), abs=6e-4)
        assert float(row[2]) == pytest.approx(float(gap), abs=6e-4)


def test_the_change_of_simulated_gaps_is_counted():
    rows = pd.DataFrame(
        {
            "kind": "simulated",
            "table": [0, 0, 1, 1],
            "estimator": ["logistic", "boosting"] * 2,
            "constraint": "equalized_odds",
            "accuracy_before": 0.8,
            "gap_before": 0.1,
            "accuracy_after": [0.7, 0.75, 0.8, 0.75],
            "gap_after": [0.05, 0.12, 0.1, 0.12],
            "accuracy_peer": 0.6,
            "gap_peer": 0.2,
            "change": [-0.05, 0.02, 0.0, 0.02],
        }
    )
    words = simulated.largest_change(rows)
    assert "grows in 2 of 4 cells; the largest change is +0.020, in 2 of them." in words
    assert "is 0.0975 at a mean accuracy of 0.7500; that of ThresholdOptimizer is 0.2000" in words
    complete = [rows.assign(constraint=constraint) for constraint in CONSTRAINTS]
    complete.append(rows.assign(kind="rare"))
    lines = simulated.markdown(pd.concat(complete)).splitlines()
    assert len(lines) == 2 + 2 * (len(CONSTRAINTS) + 1)
    shown = "| simulated | LR | equalized odds | .800 / .100 | .750 / .075 | .600 / .200 |"
    assert lines[2] == shown
    assert lines[-2] == shown.replace("simulated", "odd")


@pytest.mark.parametrize("kind", simulated.ODD)
def test_no_gap_grows_on_odd_tables(kind, monkeypatch):
    monkeypatch.setattr(simulated, "NAMES", {"logistic": "LR"})
    frame = pd.concat([simulated.changes(kind, seed, simulated.N_ODD, 20_000) for seed in range(2)])
    assert frame["change"].max() <= 0.01
    assert (frame["accuracy_after"] >= frame["accuracy_peer"] - 0.005).all()
    if kind == "small group":
        assert (frame["gap_after"] < frame["gap_before"] - 0.1).all()
        sizes = pd.Series(simulated.odd_table(kind, 0, simulated.N_ODD)[2]).value_counts()
        assert len(sizes) == 5
        assert sizes.min() < 60
