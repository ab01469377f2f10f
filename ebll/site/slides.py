"""A notebook's cells that are tagged "slide" as slides: headings, what to predict, what is seen, what was seen."""

from __future__ import annotations

from bs4 import BeautifulSoup, Tag

from ebll.site.render import Page

__all__ = ["slides_of"]

SPOKEN = ("Predict first", "What we saw", "Open question")  # how a paragraph begins that is a slide of its own
ROWS = 10  # of a table that can be read from the back of a room


def slides_of(page: Page, notes: list[str]) -> list[list[str]]:
    """The slides of a page from notebooks/, by section, each as HTML; they stand in a folder beside that of the page.

    Of a tagged cell come headings, paragraphs that begin with one of `SPOKEN`, pictures, charts, tables of at most
    `ROWS` rows, and at the end of the section pages that unfold; a list stands with the heading or paragraph above it.
    What is folded does not come, nor a section that has nothing but a heading.

    page   with its links turned
    notes  gets a sentence for each tagged cell of which nothing comes
    """
    soup = BeautifulSoup(page.body, "html.parser")
    for link in soup.select("a[href]"):
        if str(link["href"]).startswith("#"):
            link["href"] = f"../{page.path}{link['href']}"
        elif not str(link["href"]).startswith(("../", "http", "mailto:")):
            link["href"] = f"../notebooks/{link['href']}"
    for frame in soup.select("details.try > iframe"):
        frame["data-src"] = frame["src"]  # reveal.js loads it with its slide
        del frame["src"], frame["loading"]
        frame.parent.replace_with(frame)
    sections: list[list[str]] = []
    frames: list[list[str]] = []  # of each section
    context = ""
    for cell in soup.select("[data-slide]"):
        count = sum(map(len, sections + frames))
        for tag in cell.find_all(["h1", "h2", "p", "img", "iframe", "table"]):
            if tag.find_parent("details") is not None:
                continue
            if tag.name in ("h1", "h2"):
                first = tag.find_next_sibling("p") if tag.name == "h1" else None
                sections.append([_slide(tag, first or _list_below(tag))])
                frames.append([])
                context = f'<p class="section">{tag.decode_contents()}</p>' if tag.name == "h2" else ""
            elif sections and tag.name == "iframe":
                frames[-1].append(_slide(tag))
            elif sections and _shown(tag):
                sections[-1].append(context + _slide(tag.find_parent(class_="chart") or tag, _list_below(tag)))
        if sum(map(len, sections + frames)) == count:
            begin = cell.get_text(" ", strip=True)[:40]
            notes.append(f"{page.source}: the cell tagged 'slide' that begins with {begin!r} has nothing for a slide.")
    made = [[*slides, *last] for slides, last in zip(sections, frames, strict=True)]
    return [slides for slides in made if len(slides) > 1 or "<li" in slides[0] or "<h1" in slides[0]]


def _shown(tag: Tag) -> bool:
    if tag.name == "p":
        first = tag.find("strong")
        return first is not None and tag.get_text(strip=True).startswith(SPOKEN)
    return tag.name == "img" or len(tag.find_all("tr")) <= ROWS


def _list_below(tag: Tag) -> Tag | None:
    """The list that belongs to a heading or a paragraph."""
    below = tag.find_next_sibling()
    fits = tag.name in ("h2", "p") and isinstance(below, Tag) and below.name in ("ul", "ol")
    return below if fits else None


def _slide(*parts: Tag | None) -> str:
    made = BeautifulSoup("".join(str(part) for part in parts if part is not None), "html.parser")
    for tag in made.find_all(id=True):
        del tag["id"]
    for code in made.select(".highlight"):
        code.decompose()
    return str(made)
