"""A notebook's cells that are tagged "slide" as slides: headings, what to predict, what is seen, what was seen."""

from __future__ import annotations

from bs4 import BeautifulSoup, Tag

__all__ = ["slides_of"]

SPOKEN = ("Predict first", "What we saw", "Open question")  # how a paragraph begins that is a slide of its own
ROWS = 10  # of a table that can be read from the back of a room


def slides_of(body: str) -> list[list[str]]:
    """The slides of a page from notebooks/, by section, each as HTML; code, exercises and folded parts stay there.

    body  a page's, with its links turned; the slides stand in a folder beside that of the page
    """
    soup = BeautifulSoup(body, "html.parser")
    for link in soup.select("a[href]"):
        if not str(link["href"]).startswith(("../", "http", "mailto:")):
            link["href"] = f"../notebooks/{link['href']}"
    for frame in soup.select("details.try > iframe"):
        frame["data-src"] = frame["src"]  # reveal.js loads it with its slide
        del frame["src"], frame["loading"]
        frame.parent.replace_with(frame)
    sections: list[list[str]] = []
    summary = False
    for tag in soup.select("[data-slide] :is(h1, h2, p, ol, img, iframe, table)"):
        if tag.find_parent("details") is not None:
            continue
        if tag.name in ("h1", "h2"):
            sections.append([_slide(tag, tag.find_next_sibling("p") if tag.name == "h1" else None)])
            summary = tag.get_text(strip=True) == "Summary"
        elif sections and _shown(tag, summary):
            sections[-1].append(_slide(tag.find_parent(class_="chart") or tag, _list_below(tag)))
    return sections


def _shown(tag: Tag, summary: bool) -> bool:
    if tag.name == "p":
        first = tag.find("strong")
        return first is not None and tag.get_text(strip=True).startswith(SPOKEN)
    if tag.name == "ol":
        return summary
    return tag.name in ("img", "iframe") or len(tag.find_all("tr")) <= ROWS


def _list_below(tag: Tag) -> Tag | None:
    """The list that belongs to a paragraph."""
    below = tag.find_next_sibling()
    return below if tag.name == "p" and isinstance(below, Tag) and below.name in ("ul", "ol") else None


def _slide(*parts: Tag | None) -> str:
    made = BeautifulSoup("".join(str(part) for part in parts if part is not None), "html.parser")
    for tag in made.find_all(id=True):
        del tag["id"]
    return str(made)
