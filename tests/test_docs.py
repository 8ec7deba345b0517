"""The documents name what exists, and their code runs."""

import importlib
import re
from pathlib import Path

import pytest

from fairsteer.core import solvers

DOCS = Path(__file__).parents[1] / "docs"
NAMES = sorted(set(re.findall(r"`(fairsteer(?:\.\w+)+)`", (DOCS / "theory.md").read_text())))


@pytest.mark.parametrize("name", NAMES)
def test_theory_names_functions_that_exist(name):
    if name.startswith("fairsteer.llm."):
        pytest.importorskip("torch", reason="language models need the extra [llm]")
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[cut:]:
            found = getattr(found, attribute)
        assert found.__doc__
        return
    pytest.fail(f"{name} does not exist")


def test_theory_names_many():
    assert len(NAMES) > 25


def test_the_page_on_solvers_runs(monkeypatch):
    monkeypatch.setattr(solvers, "CONDITIONS", solvers.CONDITIONS)
    before = dict(solvers.SOLVERS)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "add_a_solver.md").read_text(), re.DOTALL)
    assert len(blocks) == 4
    try:
        namespace = {}
        exec("\n".join(blocks), namespace)
        assert "diagonal" in solvers.CONDITIONS
    finally:
        solvers.SOLVERS.clear()
        solvers.SOLVERS.update(before)
    assert namespace["diagonal"].solver == namespace["result"].solver == "diagonal"
