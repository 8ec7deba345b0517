"""The documentation's examples run, its code does, and its reference leaves no public name out."""

import importlib
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import fairsteer

pytestmark = pytest.mark.slow

matplotlib = pytest.importorskip("matplotlib")

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLES = sorted((DOCS / "examples").glob("plot_*.py"))
GUIDE = sorted((DOCS / "user_guide").glob("*.md"))
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)
EXTRA = "language models need the extra [llm]"
NEEDS_TORCH = {"language_models"}
PAGES_WITH_CODE = [DOCS / "index.md", *(page for page in GUIDE if CODE.search(page.read_text()))]


def stem(path):
    return path.stem


@pytest.fixture(autouse=True)
def figures():
    import matplotlib.pyplot as plt

    with matplotlib.rc_context():
        plt.switch_backend("agg")
        yield plt
        plt.close("all")


def odds(namespace, name):
    return namespace["rows"][name]["equalized_odds"]


# What the text around an example says of its figures.
SHOWN = {
    "plot_01_pipeline": lambda n: (
        n["report"].loc["gap", ("tpr", "after")] < n["report"].loc["gap", ("tpr", "before")]
    ),
    "plot_02_routed_attribute": lambda n: (
        n["column"].predict(n["diabetes"].data) == n["predicted"]
    ).all(),
    "plot_03_grid_search": lambda n: n["best"]["mean_gap"] <= 0.15,
    "plot_04_discrete_features": lambda n: (
        n["auc"].loc[("after", "boosted"), "any label"]
        < n["auc"].loc[("before", "boosted"), "any label"]
    ),
    "plot_05_without_the_attribute": lambda n: (
        odds(n, "attribute inferred") < odds(n, "unmitigated")
        and odds(n, "one map for all") < odds(n, "unmitigated")
    ),
    "plot_06_certificate": lambda n: n["bounds"] == sorted(n["bounds"], reverse=True),
    "plot_07_audit": lambda n: (n["auc"]["after"] < n["auc"]["before"]).all(),
    "plot_08_several_attributes": lambda n: n["steering"].pooled_groups_ == [(2, "76+")],
    "plot_09_ideal_distribution": lambda n: (
        n["divergences"]["all_subgroups, affine"]
        <= n["divergences"]["affirmative, affine"]
        <= n["divergences"]["affirmative, identical"]
    ),
    "plot_10_steered_classifier": lambda n: odds(n, "steered") < odds(n, "unmitigated"),
    "plot_11_biographies": lambda n: (
        n["rows"]["steered"]["rms_tpr_gap"] < 0.8 * n["rows"]["scores"]["rms_tpr_gap"]
    ),
    "plot_12_concept": lambda n: (
        np.ptp([values[-1] for values in n["effects"]["equal effects"].values()])
        < 0.2 * np.ptp([values[-1] for values in n["effects"]["own directions"].values()])
    ),
    "plot_13_score_steering": lambda n: n["gap"] < 0.05 and n["before"].mean() > 0.0,
    "plot_14_certify": lambda n: (
        n["certificates"]["leaves, steered"].bound < n["certificates"]["leaves, unsteered"].bound
        and all(each.measured < each.bound for each in n["certificates"].values())
    ),
}


def test_every_example_has_its_claim():
    assert [path.stem for path in EXAMPLES] == sorted(SHOWN)


@pytest.mark.filterwarnings("ignore::fairsteer.SteeringWarning")
@pytest.mark.parametrize("path", EXAMPLES, ids=stem)
def test_examples_run_and_show_what_they_say(path, figures, capsys):
    namespace = runpy.run_path(str(path))
    assert figures.get_fignums()
    assert SHOWN[path.stem](namespace)


@pytest.mark.filterwarnings("ignore::fairsteer.SteeringWarning")
@pytest.mark.parametrize("path", PAGES_WITH_CODE, ids=stem)
def test_the_code_of_the_guide_runs(path, capsys):
    if path.stem in NEEDS_TORCH:
        pytest.importorskip("torch", reason=EXTRA)
        pytest.importorskip("transformers", reason=EXTRA)
    exec("\n".join(CODE.findall(path.read_text())), {})


@pytest.mark.parametrize("path", GUIDE, ids=stem)
def test_every_page_of_the_guide_is_in_its_contents(path):
    contents = (DOCS / "user_guide" / "index.md").read_text().split("```")[1].split()
    assert path.stem == "index" or path.stem in contents


@pytest.mark.parametrize("page", ["install", "own_table", "pipeline", "grid_search", "guarantees"])
def test_the_first_hour_is_one_click_away(page):
    assert f"(user_guide/{page}.md)" in (DOCS / "index.md").read_text()


def listed_names():
    return set(
        re.findall(
            r"^(?:   |.. py:data:: )(fairsteer[\w.]+)$",
            (DOCS / "api.rst").read_text(),
            re.MULTILINE,
        )
    )


@pytest.mark.parametrize(
    "module",
    [
        "fairsteer",
        "fairsteer.audit",
        "fairsteer.compare",
        "fairsteer.datasets",
        "fairsteer.llm",
        "fairsteer.metrics",
    ],
)
def test_the_reference_lists_every_public_name(module):
    if module == "fairsteer.llm":
        pytest.importorskip("torch", reason=EXTRA)
    public = {f"{module}.{name}" for name in importlib.import_module(module).__all__}
    assert public <= listed_names()


@pytest.mark.parametrize("name", sorted(listed_names()))
def test_the_reference_lists_names_that_exist(name):
    module, _, attribute = name.rpartition(".")
    if module == "fairsteer.llm":
        pytest.importorskip("torch", reason=EXTRA)
    assert getattr(importlib.import_module(module), attribute).__doc__


def test_the_guide_names_parameter_values_that_exist():
    text = "\n".join(page.read_text() for page in GUIDE)
    kinds = (fairsteer.OptimalSteeringTransformer, fairsteer.ScoreSteering)
    named = set(re.findall(r"`(\w+)=\"(\w+)\"`", text))
    accepted = {
        (name, value)
        for name, value in named
        for kind in kinds
        if name in kind().get_params() and _accepts(kind, name, value)
    }
    parameters = {name for kind in kinds for name in kind().get_params()}
    assert len(accepted) > 8
    assert {(name, value) for name, value in named if name in parameters} == accepted


def _accepts(kind, name, value):
    try:
        kind(**{name: value})._validate_params()
    except ValueError:
        return False
    return True
