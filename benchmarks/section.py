"""Sections of a page that a benchmark writes anew, between two marks, while the rest of the page stays as it is."""

from __future__ import annotations

from pathlib import Path


def write_section(page: Path, name: str, text: str) -> None:
    """Put text between the marks of this name in a page; a page that lacks them gets them at its end.

    text   Markdown, without the marks
    """
    begin, end = f"<!-- {name}: written by a benchmark -->", f"<!-- end of {name} -->"
    there = page.read_text(encoding="utf-8") if page.is_file() else ""
    section = f"{begin}\n\n{text.strip()}\n\n{end}"
    before, found, rest = there.partition(begin)
    inside, closed, after = rest.partition(end)
    if not found:
        before, after = (there.rstrip() + "\n\n" if there.strip() else ""), "\n"
    elif not closed or "<!-- end of" in inside:
        raise ValueError(
            f"{page}: the section {name!r} begins and does not end. Put `{end}` where it ends, or delete it."
        )
    part = page.with_name(f"{page.name}.part")  # so that a stop in between leaves the page as it was
    part.write_text(f"{before}{section}{after}", encoding="utf-8")
    part.replace(page)
