"""Builds the site: which pages there are, what they share, and where their links lead."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import jinja2
import nbformat
from pygments.formatters import HtmlFormatter

from ebll.errors import DataMissing, InputError, OutputError, expanded
from ebll.files import prepare_folder, write_files
from ebll.site import api
from ebll.site.render import FRONT, TRY, Page, from_markdown, from_notebook
from ebll.site.slides import slides_of
from ebll.sweeps.explorer import front
from ebll.sweeps.page import vega
from ebll.widgets.controls import FRONT as WIDGETS

__all__ = ["Site", "build"]

VENDOR = Path(__file__).with_name("vendor")
REFERENCE = ("docs/equations.md", "docs/glossary.md")
MORE = ("notebooks/README.md", "docs/*.md", "benchmarks/RESULTS.md")
STYLES = (("xcode", ""), ("lightbulb", "screen and (prefers-color-scheme: dark)"))  # each colour has a contrast of 4.5


@dataclass(frozen=True)
class Site:
    """What was built: folder, pages, how many decks of slides, and a sentence for whatever could not be shown."""

    folder: Path
    pages: Sequence[Page]
    decks: int
    notes: Sequence[str]


def build(folder: str | Path, source: str | Path = ".", whole: bool = True) -> Site:
    """Write the course as web pages that work from disk, from a stick and from any web server, without network.

    folder   of the site; files of an older one are replaced, others stay
    source   the folder of the kit, with notebooks/, docs/ and README.md
    whole    with the library's pages, the sweep explorer's and the lab's, which take half of the time
    returns  `Site`; its notes name notebooks without outputs, cells without slides, links and pictures to nowhere
    raises   `DataMissing` where the kit's files are not in `source`; `InputError` for a file that cannot be shown;
             `OutputError` where the folder cannot be written
    """
    source, notes = expanded(source, "The folder of the kit").resolve(), []
    names = sorted(path.name for path in source.glob("notebooks/*.ipynb"))
    if not names or not (source / "README.md").is_file():
        raise DataMissing(
            f"A site is made of README.md, notebooks/*.ipynb and docs/*.md, which are not all in {source}. "
            "Run `ebll site` in the folder of the kit, or name that folder with --source."
        )
    out = prepare_folder(folder)
    if out.resolve() == source:
        raise OutputError(
            f"{folder} is the kit's own folder, whose files the site would mix with. Name another folder."
        )
    notebooks = [Page(f"notebooks/{Path(name).stem}.html", f"notebooks/{name}", "Notebooks") for name in names]
    index = Page("index.html", "README.md", "Start", title="Encoder Based Lifelong Learning")
    modules = api.modules() if whole else {}
    library = [Page("api/index.html", "ebll", "Reference")] if whole else []
    library += [Page(f"api/{name}.html", f"ebll.{name}", "Library") for name in modules]
    listed = [path.relative_to(source).as_posix() for pattern in MORE for path in sorted(source.glob(pattern))]
    documents = [
        Page(name.removesuffix(".md") + ".html", name, "Reference" if name in REFERENCE else "More")
        for name in [*REFERENCE, *(name for name in listed if name not in REFERENCE)]
        if name in listed
    ]
    pages = [index, *notebooks, *documents, *library]
    places = {page.source: page.path for page in [*notebooks, *documents]}
    places |= {page: page for page in TRY if whole}
    anchors: set[str] = set()
    copied: set[str] = set()

    def target(path: str, text: str) -> str | None:
        if path in places:
            return places[path]
        if found := re.match(r"ebll/(\w+)(?:\.py|/.*)?$", path):
            page = f"api/{found[1]}.html"
            return f"{page}#{text}" if f"{page}#{text}" in anchors else page if found[1] in modules else ""
        real = Path(os.path.realpath(source / path))
        if not os.path.exists(real) or not real.is_relative_to(source):
            return "" if path in TRY else None
        if real.is_dir():
            return ""
        copied.add(path)
        return path

    def fill(page: Page, content: Callable[[], str]) -> None:
        try:
            page.fill(content(), target, notes)
        except Exception as error:  # libraries raise what their parts raise
            told = f"{type(error).__name__}: {error}".splitlines()[0]
            raise InputError(
                f"{page.source} cannot be shown ({told}). Mend it, or take the kit's own: `make notebooks` writes "
                "all notebooks."
            ) from error

    for page, content in zip(library, api.contents(modules), strict=False):
        page.fill(content, target, notes)
        anchors.update(section["address"] for section in page.sections)
    for page in notebooks:
        fill(page, partial(_cells, source, page, notes))
    for page in documents:
        fill(page, lambda path=source / page.source: from_markdown(path.read_text(encoding="utf-8")))
    decks = {page.path: deck for page in notebooks if (deck := slides_of(page, notes))}
    places |= {path: path for path in map(_deck, decks)}
    fill(index, lambda: from_markdown(_start(source, notebooks, decks)))
    files = {out / path: text for path, text in _framed(pages, notebooks, decks).items()}
    write_files(files | {out / path: (source / path).read_bytes() for path in sorted(copied)})
    _assets(out / "assets", pages)
    write_files({out / ".nojekyll": ""})  # else GitHub Pages leaves out what it takes for drafts
    if whole:
        from ebll.sweeps.page import export
        from ebll.web import write_page

        export(out / "sweep.html")
        write_page(out / "lab.html")
    return Site(out, pages, len(decks), notes)


def _deck(page: str) -> str:
    """Where the slides of a notebook's page stand."""
    return page.replace("notebooks/", "slides/")


def _framed(pages: Sequence[Page], notebooks: Sequence[Page], decks: dict[str, list[list[str]]]) -> dict[str, str]:
    """path -> the whole HTML of a page, or of a notebook's slides."""
    groups: dict[str, list[Page]] = {}
    for page in pages:
        groups.setdefault(page.group, []).append(page)
    before = dict(zip((page.path for page in notebooks[1:]), notebooks, strict=False))
    after = dict(zip((page.path for page in notebooks), notebooks[1:], strict=False))
    frame = jinja2.Environment(loader=jinja2.FileSystemLoader(FRONT), autoescape=True, trim_blocks=True)
    template, deck, made = frame.get_template("page.html.j2"), frame.get_template("slides.html.j2"), {}
    for page in pages:
        turn = {"before": before.get(page.path), "after": after.get(page.path)}
        given = {"page": page, "groups": groups, "root": "../" * page.path.count("/"), "version": version("ebll")}
        if page.path in decks:
            turn["slides"] = _deck(page.path)
            made[turn["slides"]] = deck.render(page=page, sections=decks[page.path])
        made[page.path] = template.render(**given, **turn)
    return made


def _assets(folder: Path, pages: Sequence[Page]) -> None:
    """Write what the pages share: style, scripts, the words for the search, and the vendored libraries."""
    sections = [section for page in pages for section in page.sections]
    words = json.dumps(sections, ensure_ascii=False, separators=(",", ":"))
    made = {
        "search.js": f"window.SEARCH = {words};\n",  # a script, as pages from disk may not fetch
        "code.css": _colours(),
        "chart.css": (WIDGETS / "chart.css").read_bytes(),
    }
    if any('class="chart"' in page.body for page in pages):
        made |= {"charts.js": _charts(), "vega.js": vega(), "vega-licences.txt": front("licences.txt")}
    for origin, kind in ((FRONT, "*.[cj]s*"), (VENDOR, "*/**/*")):
        made |= {p.relative_to(origin).as_posix(): p.read_bytes() for p in sorted(origin.glob(kind)) if p.is_file()}
    write_files({folder / name: content for name, content in made.items()})


def _cells(source: Path, page: Page, notes: list[str]) -> str:
    """HTML of a notebook; one without outputs says so."""
    notebook = nbformat.read(source / page.source, as_version=4)
    for cell in notebook.cells:
        if (asked := cell.metadata.get("page", "").partition("#")[0]) not in {"", *TRY}:
            notes.append(f"{page.source}: {asked} is no page that unfolds below a cell; there are {', '.join(TRY)}.")
    if any(cell.get("outputs") for cell in notebook.cells):
        return from_notebook(notebook)
    notes.append(f"{page.source} is kept without outputs, so its page shows none: `make notebooks` runs it.")
    told = '<p class="notice">This notebook was kept without outputs, so no figure is shown below.</p>'
    return told + from_notebook(notebook)


def _start(source: Path, notebooks: Sequence[Page], decks: Collection[str]) -> str:
    """The first page as Markdown: the README's first paragraph and diagram, and the table of the notebooks."""
    readme = (source / "README.md").read_text(encoding="utf-8")
    first = readme.partition("\n\n")[2].partition("\n\n")[0]
    picture = re.search(r"<picture>.*?</picture>", readme, re.S)
    path = source / "notebooks" / "README.md"
    rows = re.findall(r"^\|.*\|$\n?", path.read_text(encoding="utf-8") if path.exists() else "", re.M)
    table = []
    for row in rows[: len(notebooks) + 2]:
        for page in notebooks:
            name = Path(page.source).name
            slides = f" ([slides]({_deck(page.path)}))" if page.path in decks else ""
            row = row.replace(f"[`{name}`]({name})", f"[{page.name}]({page.source}){slides}")
        table.append(row)
    return "\n\n".join(
        [
            "# Encoder Based Lifelong Learning",
            first,
            picture[0] if picture else "",
            "## See it forget",
            '<iframe title="A lab that trains in this page" src="lab.html" loading="lazy"></iframe>',
            "[The lab alone](lab.html), to send round or to put on a screen; and [maps of a sweep](sweep.html).",
            "## The notebooks",
            "Each page shows a notebook with its outputs; what its widgets drew answers to pointer and keyboard. To "
            "run one, open the kit in JupyterLab: `make lab`.",
            "".join(table),
        ]
    )


def _charts() -> str:
    """The script of the widgets' charts and their specifications, as pages from disk can load them."""
    specs = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in WIDGETS.glob("*.json")}
    specs = {name: spec for name, spec in specs.items() if "chart" in spec["usermeta"]["ebll"]}
    render, _, _ = (WIDGETS / "chart.js").read_text(encoding="utf-8").rpartition("export default")
    return f"window.CHARTS = (() => {{\n{render}\nreturn {{ render, specs: {json.dumps(specs)} }};\n}})();\n"


def _colours() -> str:
    """The style sheet of highlighted code, light and dark."""
    sheets = []
    for style, medium in STYLES:
        rules = HtmlFormatter(style=style, nobackground=True).get_style_defs(".highlight")
        rules = "\n".join(line for line in rules.splitlines() if line.startswith(".highlight ."))
        sheets.append(f"@media {medium} {{\n{rules}\n}}\n" if medium else f"{rules}\n")
    return "".join(sheets)
