"""One JupyterLab and one browser for all tests of this folder that a process runs."""

import contextlib
import functools
import os
from pathlib import Path

import nbformat
import pytest

from tests.browser import lab
from tests.notebook_rig import FIND

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def chromium():
    pytest.importorskip("playwright", reason="The browser tests need Playwright: pip install -e '.[browser]'.")
    pytest.importorskip("axe_playwright_python", reason="The browser tests need axe: pip install -e '.[browser]'.")
    if lab.chromium() is None:
        pytest.skip(lab.HOW)
    with lab.browser() as made:
        yield made


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """What JupyterLab shows: notebook 04 on a few images (all of them for screenshots), and small ones with panels."""
    made = tmp_path_factory.mktemp("lab")
    (made / "figures").symlink_to(ROOT / "figures")  # notebook 04 reads tables of the main job
    book = nbformat.read(ROOT / "notebooks" / "04_ebll.ipynb", as_version=4)
    if "EBLL_SCREENSHOTS" not in os.environ:
        book.cells.insert(0, nbformat.v4.new_code_cell(f"{FIND}\n__import__('notebook_kernel').shrink()"))
    nbformat.write(book, made / "04_ebll.ipynb")
    lab.write_notebook(
        made / "panels.ipynb",
        "import ebll\nebll.widgets.forgetting_lab()",
        'ebll.widgets.forgetting_lab(changes=[(60, "alpha", 0.0)], mode="mid-run", speed=25)',
        "ebll.widgets.submanifold_explorer()",
        "ebll.widgets.plane()",
    )
    for name in ("two", "again"):  # one for tests that share what was run, one for those that run it themselves
        cells = [f"ebll.widgets.forgetting_lab(epochs=2, new={task!r})" for task in ("textures", "mnist")]
        lab.write_notebook(made / f"{name}.ipynb", f"import ebll\n{cells[0]}", cells[1])
    return made


@pytest.fixture(scope="session")
def address(folder):
    with lab.jupyterlab(folder) as made:
        yield made


@contextlib.contextmanager
def opening(chromium, address):
    """A function that opens a notebook in a page of its own; what the console says may hold no error of ours."""
    books = []

    def open_(name):
        page = chromium.new_page(viewport={"width": 1400, "height": 1200})
        page.set_default_timeout(20_000)
        books.append(lab.Book(page, address, name))
        return books[-1]

    yield open_
    for book in books:
        book.page.close()
        assert book.errors() == []


@pytest.fixture
def opened(chromium, address):
    with opening(chromium, address) as open_:
        yield open_


@pytest.fixture(scope="module")
def executed(chromium, address):
    """Open a notebook and run it, once for all tests of a file."""
    with opening(chromium, address) as open_:

        @functools.cache
        def once(name):
            book = open_(name)
            book.run_all()
            return book

        yield once


@pytest.fixture
def keep():
    """Write a picture of a panel where EBLL_SCREENSHOTS says; nowhere otherwise."""
    where = os.environ.get("EBLL_SCREENSHOTS")

    def write(panel, name):
        if where:
            Path(where).mkdir(parents=True, exist_ok=True)
            panel.scroll_into_view_if_needed()
            panel.page.mouse.move(2, 2)
            panel.screenshot(path=Path(where) / f"{name}.png")

    return write
