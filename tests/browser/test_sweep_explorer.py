"""The sweep explorer under a student's hands: sliders and cells, keys, a sweep that grows, a screen reader's view."""

import re
import shutil
from pathlib import Path

import pytest

from tests.browser import lab
from tests.browser.test_widgets import SOON, knob, serious, status

RIG = Path(__file__).parents[1] / "sweep_rig.py"
GROW = """
import threading, time
growing = ebll.sweeps.Sweep()
panel = ebll.panels.sweep_explorer(growing)
def fill():
    growing.configs[:] = found.configs
    for config in found.configs:
        growing.results[config] = found.results[config]
        time.sleep(0.05)
thread = threading.Thread(target=fill)
panel
"""


def count(panel):
    """Pictures shown so far."""
    return int(panel.locator(".ebll-frame img").get_attribute("data-count"))


@pytest.fixture(scope="module")
def notebook(folder):
    shutil.copy(RIG, folder)
    lab.write_notebook(
        folder / "sweep.ipynb",
        "import ebll\nfrom sweep_rig import whole\nfound = whole()",
        "one = ebll.panels.sweep_explorer(found.tables(), 'tasks=\"letters-mnist\"')\none",
        GROW.strip(),
        "thread.start()",
        "ebll.panels.sweep_explorer()",
    )
    return "sweep.ipynb"


@pytest.fixture
def book(opened, notebook):
    made = opened(notebook)
    made.run_all()
    return made


def shows(panel, text):
    """Wait until the picture's text says it."""
    panel.get_by_alt_text(re.compile(re.escape(text))).wait_for(timeout=SOON)


def test_sliders_snap_and_the_picture_follows_keys_and_typing(book, keep):
    panel = book.widget(0)
    shows(panel, "The chosen cell, alpha 1, reconstruction weight 0.01: old task 81.0")
    before = count(panel)
    slider, typed = knob(panel, "alpha"), panel.get_by_role("spinbutton", name=re.compile("^alpha"))
    slider.focus()
    book.page.keyboard.press("ArrowRight")
    shows(panel, "The chosen cell, alpha 10, reconstruction weight 0.01: old task 89.5")
    assert slider.get_attribute("aria-valuetext") == "10"
    assert count(panel) > before
    typed.fill("0.8")
    typed.press("Enter")
    shows(panel, "The chosen cell, alpha 1, ")
    panel.get_by_role("alert").filter(has_text="no 0.8; the nearest value is 1").wait_for()
    book.page.wait_for_function("e => e.value === '1'", arg=typed.element_handle())


def test_the_ready_made_sweep_is_there_at_once(book, keep):
    panel = book.widget(2)
    shows(panel, "letters-digits, EBLL: alpha 3, ")
    panel.get_by_label("tasks").select_option("letters-textures")
    shows(panel, "letters-textures, EBLL: alpha 3, ")
    shows(panel, "The chosen cell, alpha 3, distillation weight 2")
    keep(panel, "sweep-explorer")


def test_lists_change_tasks_data_and_edges(book):
    panel = book.widget(0)
    panel.get_by_label("tasks").select_option("letters-textures")
    shows(panel, "letters-textures, EBLL: ")
    panel.get_by_label("data").select_option("test")
    shows(panel, "All of test data")
    panel.get_by_label("rows").select_option(label="alpha α")
    shows(panel, "best at reconstruction weight 0")
    panel.get_by_label("method").select_option("LwF")
    shows(panel, "letters-textures, LwF")
    assert panel.get_by_role("slider").count() == 1


def test_a_click_on_a_cell_chooses_it_and_keys_read_its_values(book):
    panel = book.widget(0)
    frame = panel.locator(".ebll-frame")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    book.page.mouse.click(box["x"] + 0.14 * box["width"], box["y"] + 0.4 * box["height"])  # lower left of the first map
    shows(panel, "The chosen cell, alpha 0, reconstruction weight 0.0001")
    assert knob(panel, "alpha").get_attribute("aria-valuetext") == "0, off"
    book.page.mouse.move(2, 2)
    frame.focus()
    book.page.keyboard.press("ArrowRight")
    spoken = panel.locator(".ebll-spoken").inner_text()
    assert "old task, %; alpha α" in spoken
    assert re.search(r"λ 0.01: 8\d.\d ± 1.0 \(3 seeds\)", spoken)
    for _ in range(3):
        book.page.keyboard.press("ArrowDown")
    assert re.search(r"feature distance; step \d+", panel.locator(".ebll-spoken").inner_text())


def test_a_sweep_that_grows_is_shown_as_it_comes_and_the_choice_stays(book):
    panel = book.widget(1)
    status(panel).filter(has_text="of 90 runs so far").wait_for(timeout=SOON)
    slider = knob(panel, "alpha")
    slider.focus()
    book.page.keyboard.press("End")
    shows(panel, "alpha 10, ")
    status(panel).filter(has_text=re.compile(r"\. 90 runs\.")).wait_for(timeout=SOON)
    shows(panel, "The chosen cell, alpha 10")
    assert slider.get_attribute("aria-valuetext") == "10"


def test_no_serious_fault_and_nothing_is_cut_in_a_narrow_window(book, keep):
    panel = book.widget(0)
    shows(panel, "The chosen cell")
    assert serious(book.page) == []
    panel.locator(".jp-OutputArea-output").first.evaluate("e => { e.style.flex = 'none'; e.style.width = '272px'; }")
    book.page.wait_for_timeout(300)
    assert panel.locator(".ebll-panel").evaluate("e => [e.clientWidth, e.scrollWidth]") == [272, 272]
    inside = """e => [...e.querySelectorAll('*')].filter(one =>
        one.getBoundingClientRect().right > e.getBoundingClientRect().right + 1).map(one => one.outerHTML)"""
    assert panel.locator(".ebll-panel").evaluate(inside) == []
    keep(panel, "sweep-explorer-narrow")
