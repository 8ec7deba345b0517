"""The rules of the house: which module may import what."""

import ast
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import fairsteer

ROOT = Path(fairsteer.__file__).parent
SETTINGS = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["tool"]
BANNED = set(SETTINGS["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"])
# What ruff lets import scikit-learn and the like stands above the line; all else is mathematics.
ABOVE = {
    path
    for pattern in SETTINGS["ruff"]["lint"]["per-file-ignores"]
    for path in ROOT.parent.glob(pattern)
    if ROOT in path.parents
}
FILES = sorted(path for path in ROOT.rglob("*.py"))
MATHEMATICS = [path for path in FILES if path not in ABOVE and path != ROOT / "__init__.py"]


def module_name(path):
    """Name a file as it is imported."""
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


def imported(path):
    """Return every module a file imports, inside functions too, with dots."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module_name(path).split(".")
                inside = package if path.name == "__init__.py" else package[:-1]
                base = ".".join([*inside, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", MATHEMATICS, ids=module_name)
def test_mathematics_stands_on_numpy_and_scipy_alone(path):
    names = imported(path)
    assert not {name.split(".")[0] for name in names} & BANNED
    assert not names & {module_name(above) for above in ABOVE}


def test_the_types_of_all_mathematics_are_checked():
    checked = {ROOT.parent / name for name in SETTINGS["mypy"]["files"]}
    assert [p for p in MATHEMATICS if p not in checked and p.parent not in checked] == []


ORDER = [
    "_linalg",
    "affine",
    "divergence",
    "dither",
    "families",
    "copula",
    "priors",
    "regions",
    "shrinkage",
    "moments",
    "gaussian",
    "directions",
    "grouping",
    "erasure",
    "_cautions",
    "posterior",
    "moves",
    "preimages",
    "bounds",
    "solvers",
    "ideal",
]


@pytest.mark.parametrize("path", MATHEMATICS, ids=module_name)
def test_mathematics_imports_what_stands_before_it(path):
    own = module_name(path).split(".")[1]
    earlier = set(ORDER[: ORDER.index(own) + 1])
    used = {name.split(".")[1] for name in imported(path) if name.startswith("fairsteer.")}
    assert used <= earlier


def test_imports_go_one_way():
    modules = {module_name(path): path for path in FILES}
    graph = {
        name: {other for other in imported(path) if other in modules and other != name}
        for name, path in modules.items()
    }
    for name, others in graph.items():
        # `from package import module` names both; the module alone is what is needed.
        others -= {other for other in others if any(o.startswith(f"{other}.") for o in others)}
        others.discard(name.rpartition(".")[0])
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_only_language_models_need_torch(path):
    names = {name.split(".")[0] for name in imported(path)}
    assert path.parent == ROOT / "llm" or not names & {"torch", "transformers"}


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
