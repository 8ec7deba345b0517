"""What may import what, and what a plain import loads."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fairsteer

ROOT = Path(__file__).parents[1]


LINT_IMPORTS = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
TOOLS = {
    "ruff": ("-m", "ruff", "check", "--quiet", "--ignore", "F401,I001", "fairsteer"),
    "mypy": ("-m", "mypy"),
    "lint-imports": ("-c", LINT_IMPORTS, "--no-cache"),
}


# That the tools accept the package itself is checked where they are run, beside the tests.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "line", "tools"),
    [
        ("core/linalg.py", "import pandas", ["ruff", "mypy", "lint-imports"]),
        ("core/linalg.py", "import fairsteer.metrics", ["lint-imports"]),
        ("metrics/_gaps.py", "import rich", ["lint-imports"]),
        ("estimators/_base.py", "import fairsteer.audit", ["lint-imports"]),
        ("certify/_bounds.py", "import fairsteer.estimators", ["lint-imports"]),
    ],
)
def test_an_import_against_the_layers_is_refused(tmp_path, file, line, tools):
    shutil.copytree(ROOT / "fairsteer", tmp_path / "fairsteer")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    path = tmp_path / "fairsteer" / file
    code = path.read_text()
    marker = "from __future__ import annotations\n"
    assert marker in code
    path.write_text(code.replace(marker, f"{marker}\n{line}\n", 1))
    for tool in tools:
        command = [sys.executable, *TOOLS[tool]]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode != 0, tool
        assert line.split()[1] in done.stdout or Path(file).name in done.stdout, done.stdout


@pytest.mark.slow
def test_importing_is_quiet_and_light():
    code = (
        "import sys, sklearn; before = sklearn.get_config(); import fairsteer; "
        "assert sklearn.get_config() == before; "
        "print([name for name in ('matplotlib', 'torch', 'rich') if name in sys.modules])"
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
