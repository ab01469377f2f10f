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
    if begin in there and end in there:
        before, rest = there.split(begin, 1)
        after = rest.split(end, 1)[1]
    else:
        before, after = (there.rstrip() + "\n\n" if there.strip() else ""), "\n"
    page.write_text(f"{before}{section}{after}", encoding="utf-8")
