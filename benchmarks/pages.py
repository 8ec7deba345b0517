"""Write the generated parts of the documentation from the committed csv files of the benchmarks.

    python benchmarks/pages.py

Every part lies between ``<!-- name -->`` and ``<!-- end of name -->``; the rest of a page is
written by hand and stays. Nothing is measured.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from measuring import RESULTS

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {
    "../README.md": ("gaps.readme_parts",),
    "bios.md": ("bios.page_parts",),
    "peers.md": ("peer_pages.accuracy_parts",),
    "peers_scores.md": ("peer_pages.score_parts",),
    "results.md": (
        "gaps.page_parts",
        "simulated.page_parts",
        "hidden.page_parts",
    ),
    "speed.md": ("speed.page_parts", "score_times.page_parts", "scale.page_parts"),
    "synthetic.md": ("synthetic.page_parts",),
    "experiments.md": ("whole_table.page_parts",),
    "user_guide/concepts.md": ("concept.page_parts",),
    "user_guide/discrete.md": ("defaults.page_parts",),
    "user_guide/guarantees.md": ("certificates.page_parts",),
}
"""By page the functions that return its parts, given the folder of the csv files."""


def generate(page: str, results: Path = RESULTS) -> dict[str, str]:
    """Return the generated parts of a page by name."""
    parts: dict[str, str] = {}
    for source in PAGES[page]:
        # Imported when needed, because the benchmarks import this module.
        module, function = source.split(".")
        parts |= getattr(import_module(module), function)(results)
    return parts


def fill(text: str, parts: dict[str, str]) -> str:
    """Return the text of a page with every part between its marks.

    Raises
    ------
    ValueError
        When the page does not have the two marks of a part exactly once and in this order.
    """
    for name, body in parts.items():
        start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if (text.count(start), text.count(end)) != (1, 1) or text.index(start) > text.index(end):
            raise ValueError(f"The page has no place for {name!r}: write {start} and {end} on it.")
        before, after = text.split(start)[0], text.split(end)[1]
        text = f"{before}{start}\n{body}\n{end}{after}"
    return text


def rewrite(page: str, results: Path = RESULTS, docs: Path = DOCS) -> None:
    """Write the generated parts of a page anew from the csv files of a folder."""
    file = docs / page
    text = fill(file.read_text(encoding="utf-8"), generate(page, results))
    file.write_text(text, encoding="utf-8")


def main() -> None:
    """Rewrite every page."""
    for page in PAGES:
        rewrite(page)
        print(page)


if __name__ == "__main__":
    main()
