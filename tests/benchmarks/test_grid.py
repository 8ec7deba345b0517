"""The benchmark of the grid search runs, follows its own rule, and shows how far it is."""

import re

import grid
import pytest
from sklearn.model_selection import ParameterGrid

from fairsteer.datasets import load_diabetes_progression

pytestmark = pytest.mark.slow

EPS = 0.2
FEW = {f"{grid.STEERING}strength": [0.0, 1.0], f"{grid.CLASSIFIER}max_iter": [3, 6]}


def test_it_searches_24_configurations_in_3_folds():
    assert (len(ParameterGrid(grid.GRID)), grid.FOLDS) == (24, 3)


def test_it_reports_progress_and_prints_the_best(capfd, monkeypatch):
    monkeypatch.setattr(grid, "GRID", FEW)
    grid.run(load_diabetes_progression(), eps=EPS, jobs=1)
    out = capfd.readouterr().out
    assert "totalling 12 fits" in out
    ended = re.findall(r"\[CV (\d)/3; (\d)/4\] END", out)
    assert sorted(ended) == [(str(fold), str(k)) for fold in (1, 2, 3) for k in (1, 2, 3, 4)]
    lines = out.partition("The best of 4 configurations on 294 rows")[2].splitlines()
    assert lines[1].split() == ["max_iter", "strength", "accuracy", "gap", "within", "seconds"]
    assert "On 148 rows held out:" in lines
    assert lines[-1].startswith("12 fits and the last one in")


def test_the_first_of_the_ranking_is_the_chosen_one(monkeypatch):
    monkeypatch.setattr(grid, "GRID", FEW)
    rows = load_diabetes_progression()
    search = grid.make_search(rows.data, "sex", EPS, jobs=1).set_params(verbose=0)
    search.fit(rows.data, rows.target)
    table = grid.ranking(search, EPS)
    best = table.iloc[0]
    chosen = {name.rpartition("__")[2]: value for name, value in search.best_params_.items()}
    assert best[list(chosen)].to_dict() == chosen
    assert best["within"] and best["accuracy"] == table.loc[table["within"], "accuracy"].max()
    train = test = (rows.data, rows.target)
    measured = grid.held_out(search, train, test, "sex")
    assert measured.loc["chosen", "accuracy"] == pytest.approx(
        search.best_estimator_.score(rows.data, rows.target)
    )
    assert measured.loc["chosen", "gap"] < measured.loc["without steering", "gap"]
