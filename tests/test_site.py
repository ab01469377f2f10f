"""The site: every page of a small kit and of this one, by a parser of the tests; what is refused, in which words."""

import json
import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from click.testing import CliRunner
from messages import raises, review
from site_rig import EMBEDDED, LAB, SLIDE, Read, code, faults, kit, markdown, write

import ebll
from ebll.cli import cli
from ebll.errors import DataMissing, InputError, OutputError
from ebll.site import build
from ebll.site.render import Page, from_notebook, slug
from ebll.site.slides import slides_of
from ebll.widgets.chart import LIVE

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return kit(tmp_path_factory.mktemp("kit"))


@pytest.fixture(scope="module")
def site(source, tmp_path_factory):
    return build(tmp_path_factory.mktemp("out") / "site", source, whole=False)


@pytest.fixture(scope="module")
def first(site):
    return Read((site.folder / "notebooks" / "00_first.html").read_text(encoding="utf-8"))


def sections(site):
    text = (site.folder / "assets" / "search.js").read_text(encoding="utf-8")
    return json.loads(re.fullmatch(r"window\.SEARCH = (.*);\n", text, re.S)[1])


def test_every_link_resolves_nothing_is_loaded_from_elsewhere_and_pictures_have_words(site):
    assert list(faults(site.folder)) == []
    assert list(site.notes) == []
    assert (site.folder / "docs" / "numbers.csv").read_text(encoding="utf-8") == "a\n1\n"
    assert not (site.folder / "notebooks" / "source").exists()


def test_the_checks_see_faults(site, tmp_path):
    page = (site.folder / "docs" / "equations.html").read_text(encoding="utf-8")
    wrong = '<img src="http://x.org/a.png"><a href="b.html"></a><a href="#c"></a><h1 id="text"></h1>'
    (tmp_path / "a.html").write_text(page.replace("</main>", f"{wrong}</main>"), encoding="utf-8")
    told = "\n".join(faults(tmp_path))
    for words in ("heading", "id twice", "without words", "loads http://x.org/a.png", "b.html is", "#c has no"):
        assert words in told


def test_a_page_holds_all_of_its_notebook(first):
    for text in ("shown = 'a < b'\nprint(shown)", "a < b\n", "secret_figure()", "not written", "answer = 42", "0.86"):
        assert text in first.text
    pictures = {given["alt"]: given["src"] for given in first.all("img")}
    assert pictures == {"One image passes F.": EMBEDDED, "A < B in 3 of 5 seeds.": EMBEDDED}
    for formula in ("$F(x)_i < 2$", "$$\\tfrac12\\lVert F - F^*\\rVert_2^2$$", "$F$ moves"):
        assert formula in first.text
    assert "top: 0" not in first.text


def test_what_is_hidden_is_folded_and_what_is_not_stands_open(site):
    text = (site.folder / "notebooks" / "00_first.html").read_text(encoding="utf-8").partition("<main")[2]
    folded = re.findall(r"<details>.*?</details>", text, re.S)
    told = [Read(part).text for part in folded]
    assert [[word in text for text in told] for word in ("secret_figure", "answer = 42", "shown")] == [
        [True, False], [False, True], [False, False],
    ]  # fmt: skip


def test_pages_lead_to_each_other(site, first):
    turns = {given["rel"]: given["href"] for given in first.all("a") if "rel" in given}
    assert turns == {"next": "../notebooks/01b_second.html"}
    addresses = [given["href"] for given in first.all("a")]
    assert "01b_second.html" in addresses, "a notebook that a text names is a link"
    assert "../docs/glossary.html#words-of-the-field" in addresses
    assert [given["href"] for given in first.all("a") if "aria-current" in given] == ["../notebooks/00_first.html"]
    second = (site.folder / "notebooks" / "01b_second.html").read_text(encoding="utf-8")
    assert {"twice", "twice-1"} <= set(Read(second).ids)
    names = [page.name for page in site.pages]
    assert names[1:3] == ["00 A first look", "01b The second"]


def test_the_first_page_is_the_readmes_paragraph_and_picture_and_the_table_of_notebooks(site):
    page = Read((site.folder / "index.html").read_text(encoding="utf-8"))
    assert "The first paragraph" in page.text
    assert "The second paragraph" not in page.text
    assert page.all("source")[0]["srcset"] == "docs/dark.png"
    assert page.all("img") == [{"src": "docs/light.png", "alt": "Flow."}]
    assert [len(page.all(name)) for name in ("table", "tr")] == [1, 3]


def test_documents_write_mathematics_as_github_does(site):
    text = Read((site.folder / "docs" / "glossary.html").read_text(encoding="utf-8")).text
    assert "head $T_t$" in text
    assert "$a_{\\text{b}}$" in text
    assert "$$\nx^2\n$$" in Read((site.folder / "docs" / "equations.html").read_text(encoding="utf-8")).text


def test_the_search_knows_each_section_with_prose_and_code_and_no_outputs(site):
    found = {section["address"]: section for section in sections(site)}
    assert set(found) >= {"notebooks/00_first.html", "notebooks/00_first.html#what-moves", "docs/equations.html"}
    part = found["notebooks/00_first.html#what-moves"]
    assert (part["heading"], part["page"]) == ("What moves?", "A first look: what is lost")
    assert "The features F(x)_i < 2 move: Go on with" in part["text"]
    assert [word in part["text"] for word in ("check()", "What we saw", "written", "answer", "tfrac")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert "shown = 'a < b'" in found["notebooks/00_first.html"]["text"]


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("What moves?", "what-moves"),
        ("4. E4: `code_distance`", "4-e4-code_distance"),
        ("A – B", "a--b"),
        ("Größe", "größe"),
    ],
)
def test_anchors_are_githubs(heading, anchor):
    assert slug(heading) == anchor.replace("`", "")


def test_the_same_kit_gives_the_same_site(site, source, tmp_path):
    again = build(tmp_path, source, whole=False)
    names = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(site.folder) for path in site.folder.rglob("*") if path.is_file())
    assert [name for name in names if (tmp_path / name).read_bytes() != (site.folder / name).read_bytes()] == []
    assert [page.path for page in again.pages] == [page.path for page in site.pages]


def test_slides_are_the_tagged_cells_heading_pictures_and_what_was_seen(site, first):
    page = (site.folder / "slides" / "00_first.html").read_text(encoding="utf-8")
    told = [Read(part).text.strip() for part in re.findall(r"<section>(?!\s*<section>)(.*?)</section>", page, re.S)]
    begins = [
        "A first look: what is lostWords stand",
        *["What moves?"] * 5,
    ]  # which stands on each slide of its section
    ends = ["glossary.", "?", "?", "?", "0.86", "What we saw. $F$ moves, see 04."]
    for text, begin, end in zip(told, begins, ends, strict=True):
        assert (text.startswith(begin), text.endswith(end)) == (True, True)
    assert Read(page).all("img") == first.all("img")
    for word in ("print", "secret", "answer", "written"):
        assert word not in page.partition("<main")[2]
    second = (site.folder / "notebooks" / "01b_second.html").read_text(encoding="utf-8")
    assert [given["href"] for given in Read(second).all("a") if "slides" in given["href"]] == []  # no cell is tagged


def test_a_chart_of_a_widget_keeps_its_picture_and_what_it_shows_and_a_page_unfolds_below_it():
    cell = code("ebll.widgets.forgetting_lab()", LAB, page="lab.html#new=mnist", **SLIDE)
    notebook = nbformat.v4.new_notebook(cells=[markdown("# A lab", metadata=SLIDE), cell])
    body = from_notebook(notebook)
    (frame,) = Read(body).all("iframe")
    assert frame["src"] == "../lab.html#new=mnist"
    assert frame["title"]
    page, notes = Page("notebooks/a.html", "notebooks/a.ipynb", "Notebooks", body=body), []
    (slides,) = slides_of(page, notes)
    assert notes == []
    for html in (body, slides[1]):
        (box,) = [given for given in Read(html).all("div") if given.get("class") == "chart"]
        assert (box["data-chart"], box["data-content"]) == tuple(LAB["data"][LIVE].values())
        assert Read(html).all("img") == [{"alt": "A lab.", "src": EMBEDDED}]
    (later,) = Read(slides[2]).all("iframe")
    assert (later["data-src"], later.get("src")) == (frame["src"], None)  # loaded with its slide
    page.fill(body, lambda path, text: "", [])  # a site without the lab
    assert Read(page.body).all("details") == []


def test_a_table_has_one_row_of_headings_unless_columns_have_a_name():
    table = pd.DataFrame({"moons": [0.9], "blobs": [0.8]}, index=pd.Index(["EBLL"], name="method"))
    for given, rows in ((table, 2), (table.rename_axis(columns="task"), 3)):
        page = Page("notebooks/a.html", "notebooks/a.ipynb", "Notebooks")
        page.fill(given.to_html(), lambda path, text: "", [])
        made = Read(page.body)
        assert len(made.all("tr")) == rows
        assert all(word in made.text for word in ("method", "moons", "blobs", "EBLL"))
        assert ("task" in made.text) == (rows == 3)


def test_what_cannot_be_shown_is_told_and_the_rest_is_built(tmp_path):
    kit(tmp_path)
    write(
        tmp_path / "notebooks" / "00_first.ipynb",
        markdown("# Bare\n\n![A map.](../docs/map.png) [gone](x.md)", metadata=SLIDE),
        code("1", page="lap.html"),
        markdown("Nothing of this is for a slide.", metadata=SLIDE),
    )
    (tmp_path.parent / "secret.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "docs" / "mine.txt").symlink_to(tmp_path.parent / "secret.txt")
    (tmp_path / "docs" / "dark.png").unlink()
    (tmp_path / "docs" / "glossary.md").write_text(
        "# Glossary\n\n[out](../../etc/passwd) [no](#nothing) [mine](mine.txt)\n", "utf-8"
    )
    made = build(tmp_path / "out", tmp_path, whole=False)
    review("\n".join(made.notes))
    assert len(made.notes) == 8
    assert not (made.folder / "docs" / "mine.txt").exists()
    text = Read((made.folder / "notebooks" / "00_first.html").read_text(encoding="utf-8")).text
    assert "A map. gone" in text
    assert "kept without outputs" in text


def test_a_folder_that_is_no_kit_a_file_and_a_broken_notebook_are_refused(source, tmp_path):
    with raises(DataMissing, tmp_path.name):
        build(tmp_path / "out", tmp_path, whole=False)
    with raises(OutputError, "own folder"):
        build(source, source, whole=False)
    (tmp_path / "taken").write_text("mine", encoding="utf-8")
    with raises(OutputError, "taken"):
        build(tmp_path / "taken", source, whole=False)
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "mine"


def damaged(old, new):
    return lambda path: path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")


DAMAGE = {
    "cut off": lambda path: path.write_text('{"cells": ', encoding="utf-8"),
    "tags": damaged('"tags": [', '"tags": 5, "x": ['),
    "a cell without a source": damaged('"source"', '"sauce"'),
    "a loop": lambda path: (path.unlink(), path.symlink_to(path)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_notebook_that_cannot_be_shown_is_named(tmp_path, damage):
    kit(tmp_path)
    DAMAGE[damage](tmp_path / "notebooks" / "00_first.ipynb")
    with pytest.raises(InputError, match="00_first"):
        build(tmp_path / "out", tmp_path, whole=False)


@pytest.mark.parametrize("name", ["README.md", "docs/glossary.md", "notebooks/README.md"])
def test_a_document_that_is_no_text_is_named(tmp_path, name):
    kit(tmp_path)
    (tmp_path / name).write_bytes("# Käse\n\nx".encode("latin-1"))
    with raises(InputError, "cannot be shown"):
        build(tmp_path / "out", tmp_path, whole=False)


def test_the_command_refuses_with_exit_code_2(tmp_path):
    done = CliRunner().invoke(cli, ["site", str(tmp_path / "out"), "--source", str(tmp_path)])
    assert done.exit_code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_whole_site_of_this_kit(tmp_path):
    made = build(tmp_path, ROOT)
    assert list(made.notes) == []
    assert list(faults(tmp_path)) == []
    assert len(list((tmp_path / "notebooks").glob("*.html"))) == len(list((ROOT / "notebooks").glob("*.ipynb"))) + 1
    assert (tmp_path / "sweep.html").is_file()
    assert "Vega" in (tmp_path / "assets" / "vega-licences.txt").read_text("utf-8")  # which goes where its code goes
    equations = Read((tmp_path / "docs" / "equations.html").read_text(encoding="utf-8"))
    addresses = {given["href"] for given in equations.all("a")}
    assert {"../api/losses.html#code_distance", "../api/methods.html#EBLL.loss_terms"} <= addresses
    losses = (tmp_path / "api" / "losses.html").read_text(encoding="utf-8")
    assert set(ebll.losses.__all__) <= set(Read(losses).ids)
    assert not re.search(
        r" at 0x[0-9a-f]{6}", "".join(path.read_text("utf-8") for path in (tmp_path / "api").glob("*"))
    )
