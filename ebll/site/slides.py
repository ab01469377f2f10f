"""A notebook as slides: its title and sections, what to predict, its pictures and small tables, and what was seen."""

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
    sections: list[list[str]] = []
    summary = False
    for tag in soup.find_all(["h1", "h2", "p", "ol", "img", "table"]):
        if tag.find_parent("details") is not None:
            continue
        if tag.name in ("h1", "h2"):
            sections.append([_slide(tag, tag.find_next_sibling("p") if tag.name == "h1" else None)])
            summary = tag.get_text(strip=True) == "Summary"
        elif sections and _shown(tag, summary):
            sections[-1].append(_slide(tag, _list_below(tag)))
    return sections


def _shown(tag: Tag, summary: bool) -> bool:
    if tag.name == "p":
        first = tag.find("strong")
        return first is not None and tag.get_text(strip=True).startswith(SPOKEN)
    if tag.name == "ol":
        return summary
    return tag.name == "img" or (tag.find_parent(class_="output") is not None and len(tag.find_all("tr")) <= ROWS)


def _list_below(tag: Tag) -> Tag | None:
    """The list that belongs to a paragraph, or the link that belongs to a picture."""
    below = tag.find_next_sibling()
    fits = isinstance(below, Tag) and (tag.name, below.name) in (("p", "ul"), ("p", "ol"), ("img", "p"))
    return below if fits else None


def _slide(*parts: Tag | None) -> str:
    made = BeautifulSoup("".join(str(part) for part in parts if part is not None), "html.parser")
    for tag in made.find_all(id=True):
        del tag["id"]
    return str(made)
