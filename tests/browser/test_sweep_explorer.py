"""The sweep explorer under a student's hands: sliders and cells, keys, a screen reader's view."""

import re
import shutil
from pathlib import Path

import pytest

from tests.browser import lab
from tests.browser.test_widgets import SOON, serious

RIG = Path(__file__).parents[1] / "sweep_rig.py"


@pytest.fixture(scope="module")
def book(executed, folder):
    shutil.copy(RIG, folder)
    lab.write_notebook(
        folder / "sweep.ipynb",
        "import ebll\nfrom sweep_rig import whole\nfound = whole()",
        "ebll.widgets.sweep_explorer(found, 'tasks=\"letters-mnist\"')",
        "ebll.widgets.sweep_explorer()",
    )
    return executed("sweep.ipynb")


def widget(book, place):
    found = book.page.locator(".ebll-sweep").nth(place)
    found.locator(".plot[data-drawn]").wait_for(timeout=SOON)
    return found


def says(panel, *words):
    for word in words:
        panel.get_by_role("status").filter(has_text=word).wait_for(timeout=SOON)


def slider(panel, name):
    return panel.get_by_role("slider", name=re.compile(rf"^{name}"))


def test_keys_lines_of_code_and_the_picture_follow(book):
    panel = widget(book, 0)
    says(panel, "EBLL with alpha 1, distillation weight 1, reconstruction weight 0.01 on letters-mnist", ": 79.0 %")
    cells = book.page.locator(".jp-Notebook .jp-Cell").count()
    slider(panel, "alpha").focus()
    book.page.keyboard.press("ArrowRight")
    book.page.keyboard.press("b")  # no shortcut of the notebook
    says(panel, "alpha 10, ", "87.5 %", "(2 seeds, 1 failed)")
    assert book.page.locator(".jp-Notebook .jp-Cell").count() == cells
    code = panel.get_by_label("as code").first
    assert "ebll.widgets.sweep_explorer(found, view='" in code.input_value()
    assert '"letters-mnist"' in code.input_value()
    code.fill('tasks="letters-textures", method="lwf", data="test"')
    code.press("Enter")
    says(panel, "LwF with distillation weight 1 on letters-textures", "test images")
    assert panel.get_by_role("slider").count() == 1
    code.fill("alpha=5")
    code.press("Enter")
    book.page.get_by_role("alert").filter(has_text="this sweep has no 5 for ebll").wait_for()
    panel.get_by_role("button", name="Reset").click()
    says(panel, "EBLL with alpha 1, ")


def test_a_click_on_a_cell_chooses_it_and_a_pinned_one_is_compared(book):
    panel = widget(book, 0)
    says(panel, "EBLL with alpha 1, ")
    panel.get_by_role("button", name="Pin this cell").click()
    cell = panel.locator(".plot svg .old_cells_0_marks path").first
    cell.hover(position={"x": 12, "y": 22})
    cell.click(position={"x": 12, "y": 22})
    says(panel, "alpha 0, ", "pinned cell: 79.0 %")
    assert panel.get_by_role("rowheader", name="pinned cell").is_visible()
    panel.get_by_role("button", name="Reset").click()


def test_the_precomputed_sweep_is_there_at_once(book, keep):
    panel = widget(book, 1)
    says(panel, "EBLL with alpha 3, ")
    panel.get_by_label("Tasks").select_option("letters-textures")
    panel.get_by_label("Rows").select_option("distill_weight")
    says(panel, "on letters-textures")
    keep(panel, "sweep-explorer")


def test_no_serious_fault_and_nothing_is_cut_in_a_narrow_window(book, keep):
    panel = widget(book, 0)
    assert serious(book.page) == []
    output = book.page.locator(".jp-OutputArea-output", has=panel).first
    output.evaluate("e => { e.style.flex = 'none'; e.style.width = '300px'; }")
    book.page.wait_for_timeout(500)
    assert panel.evaluate("e => e.scrollWidth <= e.clientWidth")
    inside = """e => [...e.querySelectorAll('*')].filter(one => !one.closest('.scroll, svg')
        && one.getBoundingClientRect().right > e.getBoundingClientRect().right + 1).map(one => one.outerHTML)"""
    assert panel.evaluate(inside) == []
    keep(panel, "sweep-explorer-narrow")
