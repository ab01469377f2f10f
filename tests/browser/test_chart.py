"""The interactive charts in JupyterLab: pointer, keys, slider, export, a screen reader's view, no network."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser import lab

SOON = 30_000
MADE = """
import numpy as np, pandas as pd
from ebll.widgets import Chart, Explored, SubmanifoldConfig, explored_drawing, lab_drawing
METHODS = ["finetune", "ewc", "lwf", "ebll", "ebll-separate"]
def curves(count=30, grow=1.0):
    parts, steps = [], np.linspace(0, 300, count).astype(int)
    for i, method in enumerate(METHODS):
        rise = 1 - np.exp(-steps / (40 + 20 * i))
        parts.append(pd.DataFrame({
            "method": method, "step": steps, "feature_distance": grow * (9 - 1.7 * i) * rise,
            "accuracy": 0.85 - (0.4 - 0.08 * i) * rise, "accuracy_new": 0.1 + 0.8 * rise,
            "loss_task": 3 * (1.05 - rise), "loss_distill": 0.4 * rise + 0.01,
            "loss_code": 0.002 + 0.03 * rise if "ebll" in method else np.nan}))
    return pd.concat(parts, ignore_index=True)
"""
LAB = """
texts = dict(alt="Five methods learn mnist after letters.", heading="letters → mnist (MLP, seed 0): alpha 3",
             caption="One run a method, no interval; 128 held-out images of each task. Faint: the run before.")
before, changes = curves(grow=1.2).assign(run="before"), [(60, "alpha 0"), (200, "distill weight 2")]
more = dict(terms_of="ebll", beside=before, changes=changes, diverged=["finetune"])
chart = Chart(lab_drawing(curves(), old="letters", new="mnist", **more, **texts))
chart
"""
PLANE = """
rng, history = np.random.default_rng(0), []
spread = np.geomspace(1e-1, 1e-6, 256)
cloud = rng.normal(size=(40, 2)) * [3, 2]
x, y = np.meshgrid(np.linspace(-8, 8, 32), np.linspace(-6, 6, 32))
for epoch in range(9):
    history.append(Explored(
        SubmanifoldConfig(code_size=32), epoch, epochs=8, extent=(-8.0, 8.0, -6.0, 6.0),
        points=pd.DataFrame(np.hstack([cloud, cloud * (epoch / 9)]), columns=["x", "y", "x_back", "y_back"]),
        others=rng.normal(size=(400, 2)) * [3.5, 2.5], holds=(spread * (1 + epoch)).tolist(),
        accuracy={"direct": 0.86, "autoencoder": 0.1 + 0.08 * epoch, "pca": 0.8},
        missed={"autoencoder": 1 - 0.09 * epoch, "pca": 0.2}, field=(x**2 + y**2 / 2) / 80))
plane = Chart(explored_drawing(history))
plane
"""
MORE = "chart.show(lab_drawing(curves(60), old='letters', new='mnist', alt='Other words.'))"


@pytest.fixture(scope="module")
def chart_folder(folder):
    lab.write_notebook(folder / "chart.ipynb", MADE, LAB, PLANE, "print(chart.moment)", MORE)
    return folder


@pytest.fixture
def book(chart_folder, executed):
    """The page that all tests share, with both charts made anew."""
    made = executed("chart.ipynb")
    made.page.set_viewport_size({"width": 1300, "height": 1100})
    for place in (1, 2):
        run(made, place)
    made.page.locator(".ebll-plot canvas").nth(1).wait_for(timeout=SOON)
    drawn(made, 0)
    drawn(made, 1)
    return made


def run(book, place):
    prompt = book.page.locator(".jp-CodeCell .jp-InputPrompt").nth(place)
    prompt.click()
    ended = "([e, before]) => /\\[\\d+\\]/.test(e.innerText) && e.innerText !== before"
    before = prompt.inner_text()
    book.page.keyboard.press("Control+Enter")
    book.page.wait_for_function(ended, arg=[prompt.element_handle(), before], timeout=SOON)


def plot(book, place=0):
    return book.page.locator(".ebll-plot").nth(place)


def drawn(book, place=0):
    """Wait until the picture has been at rest for a while; returns how many there were."""
    node, count = plot(book, place).element_handle(), None
    while count != (now := node.evaluate("e => e.dataset.drawn ?? null")) or now is None:
        count = now
        book.page.wait_for_timeout(150)
    return int(count)


def pixels(book, place=0, box=None):
    """A part of the picture (left, top, right, bottom as shares), as one string."""
    return plot(book, place).locator("canvas").evaluate(
        """(e, [l, t, r, b]) => { const c = e.getContext('2d'), w = e.width, h = e.height;
        return Array.from(c.getImageData(l * w, t * h, (r - l) * w, (b - t) * h).data).join(',') }""",
        list(box or (0, 0, 1, 1)),
    )  # fmt: skip


def rows(book, place=0):
    table = book.page.locator(".ebll-values").nth(place)
    return [row.split("\t") for row in table.locator("tr").all_inner_texts()]


def over(book, x, y):
    canvas = plot(book).locator("canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def test_a_chart_is_drawn_and_its_values_are_read_by_pointer(book, keep):
    keep(book.page.locator(".ebll-chart").nth(0), "chart-lab")
    ends = rows(book)
    assert [row[0] for row in ends[1:6]] == ["Fine-tuning", "EWC", "LwF", "EBLL", "EBLL, separate operators"]
    assert ends[0][1] == "feature distance"
    before = pixels(book)
    book.page.mouse.move(*over(book, 0.25, 0.55))
    drawn(book)
    assert pixels(book) != before
    read = rows(book)
    assert read[1][0] == ends[1][0]
    assert float(read[1][1]) < float(ends[1][1]), "distances rise in these data"
    book.page.mouse.move(2, 2)
    drawn(book)
    assert rows(book) == ends
    assert pixels(book) == before


def test_the_slider_moves_every_view_and_python_knows_the_moment(book, keep):
    slider = book.page.get_by_role("slider", name="step")
    parts = {"bars": (0.2, 0.05, 1, 0.3), "upper left": (0, 0.4, 0.5, 0.62), "lower right": (0.5, 0.7, 1, 0.95)}
    before = {name: pixels(book, 0, box) for name, box in parts.items()}
    slider.focus()
    for _ in range(12):
        book.page.keyboard.press("ArrowLeft")
    drawn(book)
    for name, box in parts.items():
        assert pixels(book, 0, box) != before[name], name
    assert re.fullmatch(r"step \d+ of 300", slider.get_attribute("aria-valuetext"))
    keep(book.page.locator(".ebll-chart").nth(0), "chart-moment")
    run(book, 3)
    said = book.page.locator(".jp-CodeCell").nth(3).locator(".jp-OutputArea-output").inner_text()
    assert float(said) == float(slider.get_attribute("aria-valuetext").split()[1])

    epoch = book.page.get_by_role("slider", name="epoch")
    parts = [(0, 0.2, 0.5, 0.9), (0.6, 0.2, 1, 0.5), (0.6, 0.5, 1, 1)]
    before = [pixels(book, 1, box) for box in parts]
    keep(book.page.locator(".ebll-chart").nth(1), "chart-plane")
    epoch.focus()
    for _ in range(4):
        book.page.keyboard.press("ArrowLeft")
    drawn(book, 1)
    assert [pixels(book, 1, box) == old for box, old in zip(parts, before, strict=True)] == [False] * 3
    assert rows(book, 1)[2][:2] == ["through the autoencoder", "42"]


def test_zoom_pan_and_reset(book):
    whole = pixels(book)
    x, y = over(book, 0.3, 0.55)
    book.page.mouse.move(x, y)
    book.page.keyboard.down("Control")
    for _ in range(4):
        book.page.mouse.wheel(0, -100)
    book.page.keyboard.up("Control")
    book.page.mouse.move(2, 2)
    drawn(book)
    near = pixels(book)
    assert near != whole
    book.page.mouse.move(x, y)
    book.page.mouse.down()
    book.page.mouse.move(x - 60, y, steps=5)
    book.page.mouse.up()
    book.page.mouse.move(2, 2)
    drawn(book)
    assert pixels(book) not in (near, whole)
    book.page.mouse.dblclick(x, y)
    book.page.mouse.move(2, 2)
    drawn(book)
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
    frame, spoken = plot(book), book.page.locator(".ebll-spoken").first
    frame.focus()
    for key in ("b", "Shift+M", "ArrowLeft", "ArrowLeft"):
        book.page.keyboard.press(key)
    drawn(book)
    one = spoken.inner_text()
    assert re.match(r"step \d+ of 300\. Fine-tuning: feature distance [\d.]+; letters, % [\d.]+; mnist, % [\d.]+", one)
    book.page.keyboard.press("ArrowDown")
    drawn(book)
    assert re.match(r"step \d+ of 300\. EWC: ", spoken.inner_text())
    whole = pixels(book)
    book.page.keyboard.press("+")
    drawn(book)
    assert pixels(book) != whole
    book.page.keyboard.press("0")
    drawn(book)
    assert pixels(book) == whole
    book.page.keyboard.press("Escape")
    drawn(book)
    assert "end" in book.page.get_by_role("slider", name="step").get_attribute("aria-valuetext")
    book.page.keyboard.press("Tab")
    assert not frame.evaluate("e => e === document.activeElement")
    assert book.page.locator(".jp-Notebook .jp-Cell").count() == cells


def test_new_data_and_texts_come_without_a_new_chart(book):
    before, words = pixels(book), plot(book).locator("[role=img]")
    words.evaluate("e => { e.kept = true; }")
    assert words.get_attribute("aria-label").startswith("Five methods")
    run(book, 4)
    drawn(book)
    assert pixels(book) != before
    assert words.get_attribute("aria-label") == "Other words."
    assert words.evaluate("e => e.kept")


def test_no_fault_for_a_screen_reader_nothing_from_a_network_and_nothing_cut_in_a_narrow_window(book, address, keep):
    found = Axe().run(book.page, context=".ebll-chart")
    assert [(one["id"], one["nodes"][0]["html"]) for one in found.response["violations"]] == []
    own = (address, address.replace("http", "ws"), "blob:", "data:")
    loaded = book.page.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
    assert [url for url in [*book.asked, *loaded] if not url.startswith(own)] == []
    book.page.set_viewport_size({"width": 700, "height": 1100})
    book.page.wait_for_timeout(500)
    for place, name in enumerate(("lab", "plane")):
        drawn(book, place)
        wide, inside = plot(book, place).evaluate("e => [e.querySelector('canvas').clientWidth, e.clientWidth]")
        keep(book.page.locator(".ebll-chart").nth(place), f"chart-{name}-700")
        assert wide <= inside
