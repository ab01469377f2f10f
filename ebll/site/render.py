"""From a notebook, or Markdown, to the inside of a page with its links, its headings and its words for the search."""

from __future__ import annotations

import functools
import html
import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urldefrag

import nbformat
from bs4 import BeautifulSoup, NavigableString, Tag
from nbconvert import HTMLExporter

from ebll.widgets.chart import LIVE

__all__ = ["FRONT", "TRY", "Page", "from_markdown", "from_notebook", "relative", "slug"]

FRONT = Path(__file__).with_name("front")
TRY = {
    "sweep.html": "Move the sliders: maps of the sweep, in this page",
    "lab.html": "Train it yourself, in this page: a smaller net, with settings of its own",
}
"""Page of the site -> the words on which it unfolds, below the output of a cell whose metadata have it as `page`."""
CODE = re.compile(r'<div class="highlight[^>]*>.*?</pre>\s*</div>', re.S)
HEADINGS = re.compile("h[1-6]")


@dataclass
class Page:
    """One page of the site.

    path      where it stands in the site, with forward slashes
    source    the file of the kit that it is made from: what its links are relative to
    group     under which heading the contents name it
    title     its first heading
    toc       (anchor, text) of its sections
    sections  what the search finds: address, heading, page, text
    """

    path: str
    source: str
    group: str
    title: str = ""
    body: str = ""
    toc: list[tuple[str, str]] = field(default_factory=list)
    sections: list[dict[str, str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name in the contents: a notebook's with its number."""
        number = re.match(r"\d+[a-z]?(?=_)", PurePosixPath(self.path).name)
        return f"{number[0]} {self.title.partition(':')[0]}" if number else self.title.partition(":")[0]

    def fill(self, content: str, target: Callable[[str, str], str | None], notes: list[str]) -> None:
        """Take over HTML: name its headings, turn its links, list its sections.

        target  (path in the kit, text of the link) -> address in the site, "" for what is left out on purpose, None for
                what is not there
        notes   gets a sentence for each picture and link that leads nowhere
        """
        codes: list[str] = []

        def stash(found: re.Match[str]) -> str:
            codes.append(found[0])
            return f'<pre data-code="{len(codes) - 1}"></pre>'

        # Highlighted code is nine tenths of all tags, and nothing in it is changed.
        soup = BeautifulSoup(CODE.sub(stash, content), "html.parser")
        _name_headings(soup)
        self.title = self.title or next((told.get_text(" ", strip=True) for told in soup.select("h1")), self.source)
        for tag in soup.find_all(True):
            if tag.name == "style":
                tag.decompose()
            elif tag.name == "table":
                tag.attrs.pop("border", None)
                _merge_heads(tag)
                tag.wrap(soup.new_tag("div", attrs={"class": "scroll"}))
            elif tag.name == "th" and not tag.get_text(strip=True):
                tag.name = "td"  # an empty heading says nothing to those who listen
            elif tag.name == "code" and tag.get_text().endswith(".ipynb") and not tag.find_parent("a"):
                named = posixpath.join("notebooks", tag.get_text())  # a text names a notebook so
                if found := target(named, ""):
                    tag.wrap(soup.new_tag("a", href=relative(self.path, found)))
            elif tag.name == "h2":
                self.toc.append((str(tag["id"]), tag.get_text()))
            for key in ("href", "src", "srcset"):
                if tag.attrs and key in tag.attrs:
                    self._turn(tag, key, target, notes)
        for anchor, heading, text in _sections(soup, codes):
            address = f"{self.path}#{anchor}" if anchor else self.path
            self.sections.append({"address": address, "heading": heading, "page": self.title, "text": text})
        self.body = re.sub(r'<pre data-code="(\d+)"></pre>', lambda place: codes[int(place[1])], str(soup))

    def _turn(self, tag: Tag, key: str, target: Callable[[str, str], str | None], notes: list[str]) -> None:
        address, anchor = urldefrag(str(tag[key]))
        if not address or re.match(r"[a-z][a-z0-9+.-]*:", address):
            return
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(self.source), unquote(address)))
        found = target(wanted, tag.get_text())
        if found:
            tag[key] = relative(self.path, found) + (f"#{anchor}" if anchor else "")
            return
        if found is None:
            kind = "link to" if key == "href" else "picture"
            notes.append(f"{self.source}: the {kind} {address} leads nowhere, so only its text is shown.")
        if key == "href":
            tag.unwrap()
        elif tag.name == "iframe":
            (tag.find_parent("details") or tag).decompose()
        else:
            tag.replace_with(tag.get("alt", ""))


def relative(page: str, target: str) -> str:
    """The address of `target` as `page` has to write it; both are paths in the site."""
    path, hash_, anchor = target.partition("#")
    return posixpath.relpath(path, posixpath.dirname(page) or ".") + hash_ + anchor


def slug(text: str) -> str:
    """The anchor of a heading, as GitHub makes it: links within the documents lead to the same place here."""
    text = unicodedata.normalize("NFC", text).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def from_notebook(notebook: Any) -> str:
    """HTML of the cells of one from notebooks/, with the outputs that they are kept with; nothing is executed."""
    return _exporter().from_notebook_node(notebook, resources={"try": TRY, "live": LIVE})[0]


def from_markdown(text: str) -> str:
    """HTML of a document with GitHub's ways to write mathematics."""
    text = re.sub(r"\$`([^`]+)`\$", r"$\1$", text)
    text = re.sub(r"^```math\n(.*?)^```$", r"$$\n\1$$", text, flags=re.M | re.S)
    cell = nbformat.v4.new_markdown_cell(re.sub(r"<!--.*?-->", "", text, flags=re.S))
    return from_notebook(nbformat.v4.new_notebook(cells=[cell]))


@functools.cache
def _exporter() -> HTMLExporter:
    return HTMLExporter(template_name="cells", extra_template_basedirs=[str(FRONT)], exclude_anchor_links=True)


def _name_headings(soup: BeautifulSoup) -> None:
    for tag in soup.find_all("h1")[1:]:
        tag.name = "h2"  # a page has one title
    taken: set[str] = {str(tag["id"]) for tag in soup.find_all(id=True)}
    for tag in soup.find_all(HEADINGS):
        base = anchor = str(tag.get("id") or slug(tag.get_text()))
        count = 0
        while anchor in taken and not tag.get("id"):
            count += 1
            anchor = f"{base}-{count}"
        taken.add(anchor)
        tag["id"] = anchor


def _merge_heads(table: Tag) -> None:
    """One row of headings, where pandas writes the names of the index into a row of their own.

    Columns with a name, or of several levels, keep both rows.
    """
    rows = [row.find_all("th") for row in table.select("thead > tr")]
    if len(rows) != 2 or len(rows[0]) != len(rows[1]) or any(one.get("colspan") for one in rows[0]):
        return
    pairs = [(above, below.get_text(strip=True)) for above, below in zip(*rows, strict=True)]
    if any(above.get_text(strip=True) and text for above, text in pairs):
        return
    for above, text in pairs:
        above.string = above.get_text() or text
    rows[1][0].parent.decompose()


def _sections(soup: BeautifulSoup, codes: list[str]) -> Iterator[tuple[str, str, str]]:
    """(anchor, heading, text) of what stands below each heading; outputs of code and folded sources are left out."""
    found: list[tuple[str, str, list[str]]] = []

    def walk(tag: Tag) -> None:
        for child in tag.children:
            if isinstance(child, Tag):
                if child.name in ("h1", "h2", "h3"):
                    anchor = "" if child.name == "h1" else str(child["id"])
                    found.append((anchor, child.get_text(" ", strip=True), []))
                elif "data-code" in child.attrs and found:
                    found[-1][2].append(re.sub("<[^>]*>", "", codes[int(str(child["data-code"]))]))
                elif child.name != "details" and not (child.name == "pre" and "output" in (tag.get("class") or ())):
                    walk(child)
            elif type(child) is NavigableString and found:
                found[-1][2].append(child)

    walk(soup)
    for anchor, heading, texts in found:
        yield anchor, _plain(heading), _plain(html.unescape("".join(texts)))


def _plain(text: str) -> str:
    """Text without displayed formulas, with the letters of the others: what a result of the search shows."""
    text = re.sub(r"\$\$.*?\$\$", " ", text, flags=re.S)
    text = re.sub(r"\$[^$\n]+\$", lambda formula: re.sub(r"\\[,;! ]|[\\{}$]", "", formula[0]), text)
    return " ".join(text.split())
