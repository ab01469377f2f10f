"""The interactive charts in JupyterLab: pointer, keys, slider, export, a screen reader's view, no network."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser import lab


@pytest.fixture(scope="module")
def opened_book(executed, folder):
    lab.write_notebook(
        folder / "chart.ipynb",
        'import ebll\nmade = ebll.widgets.forgetting_lab("epochs=4")\nmade',
        "ebll.widgets.submanifold_explorer()",
        "print(made.chart.moment)",
        'made.sliders["alpha"].value += 10\nawait made.finished()',
    )
    return executed("chart.ipynb")


@pytest.fixture
def book(opened_book):
    """The page that all tests share, where no moment is chosen and nothing is zoomed."""
    opened_book.page.set_viewport_size({"width": 1300, "height": 1100})
    opened_book.page.mouse.move(2, 2)
    for place in (0, 1):
        plot(opened_book, place).focus()
        for key in ("Escape", "0"):
            opened_book.page.keyboard.press(key)
        pixels(opened_book, place)
    return opened_book


def run(book, place):
    """Run a cell to its end; returns what it printed."""
    cell = book.page.locator(".jp-CodeCell").nth(place)
    prompt = cell.locator(".jp-InputPrompt")
    before = prompt.inner_text()
    prompt.click()
    book.page.keyboard.press("Control+Enter")
    ended = "([e, before]) => /\\[\\d+\\]/.test(e.innerText) && e.innerText !== before"
    book.page.wait_for_function(ended, arg=[prompt.element_handle(), before])
    return "".join(cell.locator(".jp-OutputArea-output").all_inner_texts())


def plot(book, place=0):
    return book.page.locator(".ebll-plot").nth(place)


def pixels(book, place=0, box=(0, 0, 1, 1)):
    """A part of the picture (left, top, right, bottom as shares) as one string, once it is at rest."""
    plot(book, place).locator("canvas").wait_for()
    node, count = plot(book, place).element_handle(), None
    while count != (now := node.evaluate("e => e.dataset.drawn ?? null")) or now is None:
        count = now
        book.page.wait_for_timeout(150)
    return plot(book, place).locator("canvas").evaluate(
        """(e, [l, t, r, b]) => { const c = e.getContext('2d'), w = e.width, h = e.height;
        return Array.from(c.getImageData(l * w, t * h, (r - l) * w, (b - t) * h).data).join(',') }""",
        list(box),
    )  # fmt: skip


def rows(book, place=0):
    table = book.page.locator(".ebll-values").nth(place)
    return [row.split("\t") for row in table.locator("tr").all_inner_texts()]


def over(book, x, y):
    """A place in the first chart, in shares of its width and height."""
    canvas = plot(book).locator("canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def test_values_of_every_line_are_read_by_pointer(book, keep):
    keep(book.page.locator(".ebll-chart").nth(0), "chart-lab")
    ends, before = rows(book), pixels(book)
    assert [row[0] for row in ends[1:4]] == ["Fine-tuning", "LwF", "EBLL"]
    assert ends[0][1] == "feature distance"
    book.page.mouse.move(*over(book, 0.3, 0.55))
    assert pixels(book) != before
    assert all(float(now[1]) < float(end[1]) for now, end in zip(rows(book)[1:], ends[1:], strict=True))
    book.page.mouse.move(2, 2)
    assert (pixels(book), rows(book)) == (before, ends)


def test_the_slider_moves_every_view_and_python_knows_the_moment(book, keep):
    bars, distance, new = (0, 0.05, 1, 0.2), (0, 0.25, 1, 0.4), (0, 0.75, 1, 0.95)
    plane, holds, shares = (0, 0.2, 0.5, 0.9), (0.6, 0.2, 1, 0.5), (0.6, 0.5, 1, 1)
    for place, name, parts in ((0, "step", (bars, distance, new)), (1, "epoch", (plane, holds, shares))):
        slider = book.page.get_by_role("slider", name=name, exact=True)
        before, ends = [pixels(book, place, box) for box in parts], rows(book, place)
        slider.focus()
        for _ in range(4):
            book.page.keyboard.press("ArrowLeft")
        after = [pixels(book, place, box) for box in parts]
        assert [old == now for old, now in zip(before, after, strict=True)] == [False] * 3, name
        assert rows(book, place) != ends
        text = slider.get_attribute("aria-valuetext")
        assert re.fullmatch(rf"{name} \d+ of \d+", text)
        keep(book.page.locator(".ebll-chart").nth(place), f"chart-{name}")
        assert place or float(run(book, 2)) == float(text.split()[1])


def test_zoom_pan_and_reset(book):
    whole, (x, y) = pixels(book), over(book, 0.3, 0.55)
    book.page.mouse.move(x, y)
    book.page.keyboard.down("Control")
    for _ in range(4):
        book.page.mouse.wheel(0, -100)
    book.page.keyboard.up("Control")
    book.page.mouse.move(2, 2)
    near = pixels(book)
    assert near != whole
    book.page.mouse.move(x, y)
    book.page.mouse.down()
    book.page.mouse.move(x - 60, y, steps=5)
    book.page.mouse.up()
    book.page.mouse.move(2, 2)
    assert pixels(book) not in (near, whole)
    book.page.mouse.dblclick(x, y)
    book.page.mouse.move(2, 2)
    assert pixels(book) == whole


def test_the_menu_gives_svg_and_png(book, tmp_path):
    summary = plot(book).locator("summary")
    assert summary.get_attribute("aria-label") == "Save the chart as SVG or PNG"
    summary.click()
    links = plot(book).locator(".vega-actions a")
    assert links.all_inner_texts() == ["Save as SVG", "Save as PNG"]
    with book.page.expect_download() as caught:
        links.first.click()
    caught.value.save_as(tmp_path / "chart.svg")
    text = (tmp_path / "chart.svg").read_text(encoding="utf-8")
    assert "<svg" in text
    assert "feature distance of letters" in text


def test_keys_read_values_and_stay_in_the_chart(book):
    cells = book.page.locator(".jp-Notebook .jp-Cell").count()
    frame, spoken, whole = plot(book), book.page.locator(".ebll-spoken").first, pixels(book)
    frame.focus()
    for key in ("b", "Shift+M", "ArrowLeft", "ArrowLeft"):
        book.page.keyboard.press(key)
    read = pixels(book)
    values = r"feature distance [\d.]+; letters, % [\d.]+; textures, % [\d.]+"
    assert re.match(rf"step \d+ of \d+\. Fine-tuning: {values}", spoken.inner_text())
    for key, same in (("+", False), ("0", True)):
        book.page.keyboard.press(key)
        assert (pixels(book) == read) == same
    book.page.keyboard.press("ArrowDown")
    assert read == pixels(book)
    assert re.match(rf"step \d+ of \d+\. LwF: {values}", spoken.inner_text())
    book.page.keyboard.press("Escape")
    assert pixels(book) == whole
    book.page.keyboard.press("Tab")
    assert not frame.evaluate("e => e === document.activeElement")
    assert book.page.locator(".jp-Notebook .jp-Cell").count() == cells


def test_new_data_and_texts_come_without_a_new_chart(book):
    before, words = pixels(book), plot(book).locator("[role=img]")
    words.evaluate("e => { e.kept = true; }")
    text = words.get_attribute("aria-label")
    run(book, 3)
    assert pixels(book) != before
    assert words.get_attribute("aria-label") != text
    assert words.evaluate("e => e.kept")


def test_no_fault_for_a_screen_reader_nothing_from_a_network_and_nothing_cut_in_a_narrow_window(book, address, keep):
    found = Axe().run(book.page, context=".ebll-chart")
    assert [(one["id"], one["nodes"][0]["html"]) for one in found.response["violations"]] == []
    own = (address, address.replace("http", "ws"), "blob:", "data:")
    loaded = book.page.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
    assert [url for url in [*book.asked, *loaded] if not url.startswith(own)] == []
    book.page.set_viewport_size({"width": 760, "height": 1100})
    book.page.wait_for_timeout(500)
    for place, name in enumerate(("lab", "plane")):
        pixels(book, place)
        wide, inside = plot(book, place).evaluate("e => [e.querySelector('canvas').clientWidth, e.clientWidth]")
        keep(book.page.locator(".ebll-chart").nth(place), f"chart-{name}-760")
        assert wide <= inside, name
