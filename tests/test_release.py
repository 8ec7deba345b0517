"""What is shipped: a light import, types, a changelog, and versions that agree."""

import re
import runpy
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

import fairsteer

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OPTIONAL = ("matplotlib", "rich", "skops", "torch")
LIGHT = ("audit", "datasets", "metrics", "plotting")


def python(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_import_raises_no_warning_and_loads_nothing_optional():
    done = python(f"import sys, fairsteer; print(set({OPTIONAL}) & set(sys.modules))")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "set()", "")


@pytest.mark.slow
def test_public_modules_import_without_any_extra():
    # SciPy looks into a torch that is there, so that one cannot be a None.
    blocked = f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL[:-1]}))"
    imports = "; ".join(f"import fairsteer.{module}" for module in LIGHT)
    done = python(f"{blocked}; {imports}; print('all')")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "all", "")


BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
"""


@pytest.mark.slow
def test_without_torch_the_package_works_and_the_message_names_the_extra():
    done = python(
        f"{BLOCKED}\nimport fairsteer\nprint(fairsteer.ConceptSteering.__name__)\n"
        "try:\n    import fairsteer.llm\nexcept ImportError as error:\n    print(error)"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "ConceptSteering",
        "fairsteer.llm needs PyTorch (No module named 'torch'): pip install 'fairsteer[llm]'.",
    ]


@pytest.mark.slow
def test_the_benchmark_of_the_import_runs(capsys):
    script = runpy.run_path(str(ROOT / "benchmarks" / "import_time.py"))
    script["main"](["--runs", "1"])
    names = [line.rpartition("  ")[0].split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [*script["MODULES"], "ratio"]


def test_types_are_shipped():
    assert files("fairsteer").joinpath("py.typed").is_file()


def test_the_changelog_knows_the_version():
    headings = re.findall(r"^## \[(.+?)\](.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = {version for version, date in headings if date}
    unreleased = [version for version, date in headings if not date]
    assert unreleased == ["Unreleased"]
    assert fairsteer.__version__ in released or not released


def lower_bounds():
    """Return the lower bound of every dependency, extras included, that the suite runs with."""
    extras = PROJECT["optional-dependencies"]
    requirements = sum(
        (extras[name] for name in ("compare", "files", "test")), PROJECT["dependencies"]
    )
    return dict(r.split(">=") for r in requirements if ">=" in r)


# Linters and the type checker judge the text and do not run on the oldest versions.
RUN = sorted(set(lower_bounds()) - {"ruff", "mypy", "import-linter"})
OLDEST = dict(re.findall(r"^(\S+)==(.+?)(?:\.\*)?$", (ROOT / "tests/oldest.txt").read_text(), re.M))


@pytest.mark.parametrize("name", RUN)
def test_the_oldest_versions_are_the_lower_bounds(name):
    assert name in OLDEST, f"{name} is missing from tests/oldest.txt"
    assert OLDEST[name] == lower_bounds()[name]


def test_nothing_else_is_held_to_an_old_version():
    assert set(OLDEST) == set(RUN)


@pytest.mark.parametrize("minor", [11, 12, 13])
def test_classifiers_name_the_supported_pythons(minor):
    assert f"Programming Language :: Python :: 3.{minor}" in PROJECT["classifiers"]
    assert minor >= int(PROJECT["requires-python"].removeprefix(">=3."))
