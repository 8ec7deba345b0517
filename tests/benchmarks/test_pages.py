"""Every generated page shows the committed csv files, and nothing else between its marks."""

import re
import shutil
from functools import cache

import pandas as pd
import pytest
from measuring import RESULTS
from pages import DOCS, PAGES, fill, generate, rewrite

pytestmark = pytest.mark.slow

SHOWN_CELLS = [
    ("bios.md", "bios", "accuracy", "method == 'LEACE'"),
    ("bios.md", "bios_environment", "value", "name == 'date'"),
    ("peers.md", "peers", "accuracy", "method == 'unmitigated'"),
    ("peers.md", "peers_frontiers", "lead", "method == 'POT LinearTransport'"),
    ("peers.md", "peers_points", "equal_opportunity_floor", "method == 'unmitigated'"),
    ("peers.md", "peers_times", "seconds", "method == 'unmitigated'"),
    ("peers.md", "peers_left_out", "reason", "dataset == 'compas'"),
    ("peers_scores.md", "peers", "auc", "method == 'unmitigated'"),
    ("results.md", "gaps", "steering gap", "estimator == 'HGB'"),
    ("results.md", "hidden", "accuracy", "table == 'adult sex'"),
    ("results.md", "simulated", "change", "table == 3"),
    ("speed.md", "speed", "seconds", "limit == 'copy'"),
    ("speed.md", "speed_peers", "fit_ratio", "method == 'LEACE'"),
    ("speed.md", "scale", "value", "part == 'wide'"),
    ("synthetic.md", "synthetic", "kl", "separation == 2"),
    ("user_guide/concepts.md", "concept", "effect", "direction == 'both'"),
]


@cache
def committed_parts(page):
    return generate(page)


@pytest.mark.parametrize("page", PAGES)
def test_writing_a_page_anew_changes_nothing(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    assert fill(text, committed_parts(page)) == text
    marks = re.findall(r"^<!-- (?!end of )(.+) -->$", text, re.MULTILINE)
    assert sorted(marks) == sorted(committed_parts(page))


@pytest.mark.parametrize(("page", "name", "column", "row"), SHOWN_CELLS)
def test_a_changed_csv_cell_changes_its_page(tmp_path, page, name, column, row):
    for file in RESULTS.glob("*.csv"):
        shutil.copy(file, tmp_path)
    target = tmp_path / page
    target.parent.mkdir(exist_ok=True)
    shutil.copy(DOCS / page, target)
    table = pd.read_csv(tmp_path / f"{name}.csv")
    first = table.query(row).index[0]
    cell = table.loc[first, column]
    table.loc[first, column] = f"not {cell}" if isinstance(cell, str) else cell + 10.0
    table.to_csv(tmp_path / f"{name}.csv", index=False)
    rewrite(page, tmp_path, tmp_path)
    assert target.read_text(encoding="utf-8") != (DOCS / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_the_figures_of_a_page_exist(page):
    file = DOCS / page
    for figure in re.findall(r"\]\(([^)]*\.png)\)", file.read_text(encoding="utf-8")):
        assert (file.parent / figure).stat().st_size > 5_000


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "<!-- part -->\n",
        "<!-- end of part -->\n<!-- part -->\n",
        2 * "<!-- part -->\n<!-- end of part -->\n",
    ],
)
def test_a_part_without_its_place_is_refused(text):
    with pytest.raises(ValueError, match="'part'"):
        fill(text, {"part": "body"})


def test_a_part_replaces_what_was_between_its_marks():
    text = "before\n<!-- part -->\nold\n<!-- end of part -->\nafter\n"
    assert fill(text, {"part": "new"}) == text.replace("old", "new")
