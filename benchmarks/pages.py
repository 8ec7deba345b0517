"""Tables that benchmarks write into the pages of the documentation."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def put(page: Path, parts: dict[str, str]) -> None:
    """Put generated parts between their marks on a page.

    Raises
    ------
    ValueError
        When the page lacks the marks of a part.
    """
    text = page.read_text()
    for name, body in parts.items():
        marks = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if not all(mark in text for mark in marks):
            raise ValueError(f"{page.name} has no place for {name!r}; put {' and '.join(marks)}.")
        before, rest = text.split(marks[0])
        after = rest.split(marks[1])[1]
        text = f"{before}{marks[0]}\n{body}\n{marks[1]}{after}"
    page.write_text(text)
