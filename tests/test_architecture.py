"""The rules of the house: which module may import what."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fairsteer

ROOT = Path(fairsteer.__file__).parent
MODULES = ["_linalg", "affine", "divergence", "gaussian", "posterior", "priors", "shrinkage"]
MATHEMATICS = [
    *(ROOT / f"{name}.py" for name in MODULES),
    *sorted((ROOT / "solvers").glob("*.py")),
]
BANNED = {"sklearn", "pandas", "fairlearn", "rich", "pooch", "matplotlib"}
ABOVE = {"_validation", "transformer", "metrics", "compare", "datasets", "__main__"}


def imported(path):
    """Return every module a file imports, inside functions too, with dots."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 or "datasets" in path.parts, f"{path.name}: relative import"
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", MATHEMATICS, ids=lambda path: path.stem)
def test_mathematics_stands_on_numpy_and_scipy_alone(path):
    names = imported(path)
    assert not {name.split(".")[0] for name in names} & BANNED
    assert not names & {f"fairsteer.{name}" for name in ABOVE}


def test_the_import_rule_sees_a_violation(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("def f():\n    from sklearn.base import clone\n    import pandas as pd\n")
    assert {name.split(".")[0] for name in imported(path)} & BANNED == {"sklearn", "pandas"}


def test_importing_is_quiet_and_light():
    code = (
        "import sys, sklearn; before = sklearn.get_config(); import fairsteer; "
        "assert sklearn.get_config() == before; "
        "print([name for name in ('matplotlib', 'torch', 'pooch', 'rich') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")


@pytest.mark.parametrize("name", fairsteer.__all__)
def test_public_names_exist_and_are_described(name):
    described = getattr(fairsteer, name)
    assert len(described.__doc__.strip().splitlines()[0]) > 20
    if isinstance(described, type):
        for method, function in vars(described).items():
            if not method.startswith("_") and callable(function):
                assert function.__doc__, f"{name}.{method} has no docstring"
