"""The panels under a student's hands: mouse, keyboard, buttons, a kernel that is restarted, a screen reader's view."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

SOON = 30_000


def knob(panel, name):
    """The slider of a setting, found as a screen reader finds it."""
    return panel.get_by_role("slider", name=re.compile(rf"^{name}"))


def status(panel):
    return panel.get_by_role("status")


def press(panel, name):
    panel.get_by_role("button", name=name, exact=True).click()


def count(panel):
    """Pictures shown so far."""
    return int(panel.locator(".ebll-frame img").get_attribute("data-count"))


def until(panel, text):
    """Wait until the status line says it."""
    status(panel).filter(has_text=text).wait_for(timeout=SOON)


def settled(panel):
    until(panel, re.compile("^(Done|Stopped|Validation images)"))


def done_with(panel, alpha):
    """Wait for the end of the run with this alpha: its last picture says so, and only then its own "Done" comes."""
    panel.get_by_alt_text(re.compile(rf"alpha {re.escape(alpha)}(,|\. |\.$)")).wait_for(timeout=SOON)
    until(panel, re.compile("^Done"))


def serious(page):
    found = Axe().run(page, context=".jp-OutputArea-output")
    bad = [v for v in found.response["violations"] if v["impact"] in ("serious", "critical")]
    return [(v["id"], v["nodes"][0]["html"]) for v in bad]


def drag(page, slider, share):
    """Drag a slider's handle to a share of its width with the mouse, in small moves."""
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    value, top = (float(slider.evaluate(f"e => e.{name}")) for name in ("value", "max"))
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 8 + (box["width"] - 16) * value / top, y)
    page.mouse.down()
    for i in range(1, 11):
        page.mouse.move(box["x"] + 8 + (box["width"] - 16) * (value / top + (share - value / top) * i / 10), y)
    page.mouse.up()


def test_notebook_04_runs_and_its_panel_obeys_mouse_and_keys(opened, keep):
    book = opened("04_ebll.ipynb")
    book.run_all(timeout=600)
    panel = book.panel(1)  # the first is a what_if, whose controls wait for Run
    settled(panel)
    alpha, before = knob(panel, "alpha"), (count(panel), panel.locator(".ebll-frame img").get_attribute("alt"))

    typed = panel.get_by_role("spinbutton", name=re.compile("^alpha"))
    drag(book.page, alpha, 0.8)
    done_with(panel, typed.input_value())
    assert alpha.evaluate("e => e.value / e.max") == pytest.approx(0.8, abs=0.07)
    assert count(panel) > before[0]
    assert panel.locator(".ebll-frame img").get_attribute("alt") != before[1], "the picture's text has changed with it"

    was = float(typed.input_value())
    alpha.focus()
    for _ in range(5):
        book.page.keyboard.press("ArrowLeft")
    done_with(panel, typed.input_value())
    assert float(typed.input_value()) < was

    press(panel, "Pin")
    until(panel, "Pinned as A")
    typed.fill("0.5")
    typed.press("Enter")
    done_with(panel, "0.5")
    press(panel, "Pin")
    until(panel, "Pinned as B")
    rows = panel.locator(".ebll-table tbody tr").all_inner_texts()
    assert {row.split()[0] for row in rows} == {"A", "B"}
    assert any("alpha 0.5" in row for row in rows)
    keep(panel, "forgetting-lab")


def test_run_pause_step_stop(opened):
    book = opened("panels.ipynb")
    book.run_all()
    panel = book.panel(0)
    settled(panel)
    press(panel, "Run")
    press(panel, "Pause")
    until(panel, re.compile("^Held"))
    shown = count(panel)
    press(panel, "Step")
    book.page.wait_for_function(
        "([e, n]) => Number(e.dataset.count) > n", arg=[panel.locator(".ebll-frame img").element_handle(), shown]
    )
    until(panel, re.compile("^Held"))
    press(panel, "Resume")
    until(panel, re.compile("^Done"))
    press(panel, "Run")
    press(panel, "Stop")
    until(panel, re.compile("^Stopped"))
    press(panel, "Stop")
    panel.get_by_role("alert").filter(has_text="Nothing is running").wait_for()


def test_values_are_read_by_pointer_and_by_keys(opened):
    book = opened("panels.ipynb")
    book.run_all()
    panel = book.panel(0)
    settled(panel)
    frame = panel.locator(".ebll-frame")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    book.page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.35 * box["height"])
    tip = panel.locator(".ebll-tip")
    tip.wait_for(state="visible")
    assert re.search(r"feature distance of letters.*step \d+.*EBLL: [\d.]+", tip.inner_text(), re.S)
    frame.focus()
    book.page.keyboard.press("ArrowRight")
    one = panel.locator(".ebll-spoken").inner_text()
    book.page.keyboard.press("ArrowDown")
    two = panel.locator(".ebll-spoken").inner_text()
    assert one != two
    assert "step" in two


def test_keys_on_a_panel_are_no_shortcuts_of_the_notebook(opened):
    book = opened("two.ipynb")
    book.run_all()
    panel, cells = book.panel(0), book.page.locator(".jp-Notebook .jp-Cell")
    before, frame, terms = cells.count(), panel.locator(".ebll-frame"), panel.get_by_label("loss terms of")
    run = panel.get_by_role("button", name="Run", exact=True)
    for part in (frame, run, panel.get_by_role("checkbox").first, terms):
        part.focus()
        book.page.keyboard.press("b")
        book.page.keyboard.press("Shift+M")
    shown = terms.input_value()
    terms.press("ArrowUp")
    assert terms.input_value() != shown, "the list itself has its keys"
    frame.press("ArrowRight")
    panel.locator(".ebll-tip").wait_for(state="visible")
    frame.press("Escape")
    panel.locator(".ebll-tip").wait_for(state="hidden")
    frame.press("Tab")
    assert not frame.evaluate("e => e === document.activeElement")
    run.press("Enter")
    until(panel, re.compile("^Done"))
    cells.last.locator(".jp-InputPrompt").click()
    book.page.keyboard.press("b")  # in the notebook it does insert a cell, and it came after all others
    book.page.wait_for_function(f"() => document.querySelectorAll('.jp-Notebook .jp-Cell').length > {before}")
    assert cells.count() == before + 1


def test_what_is_typed_and_cannot_be_is_told_in_words(opened):
    book = opened("two.ipynb")
    book.run_all()
    panel = book.panel(0)
    alpha, epochs = (panel.get_by_role("spinbutton", name=re.compile(f"^{name}")) for name in ("alpha", "epochs"))
    told, was = panel.get_by_role("alert"), alpha.input_value()
    answers = {"-1": "got -1", "abc": "must be a number, such as 0.5 or 1e-3; got 'abc'", "": "got nothing"}
    for typed, words in {**answers, "0,5": "Write a point", "ee-": "got 'ee-'", "1e400": "too large"}.items():
        alpha.fill(typed)
        alpha.press("Enter")
        told.filter(has_text=words).wait_for()
        book.page.wait_for_function("([e, was]) => e.value === was", arg=[alpha.element_handle(), was])
    epochs.fill("2.5")
    epochs.press("Enter")
    told.filter(has_text=re.compile("epochs.*whole number.*2.5")).wait_for()
    alpha.fill("0.5")
    alpha.press("Enter")
    done_with(panel, "0.5")
    told.wait_for(state="hidden")
    alpha.press("ArrowUp")
    assert float(alpha.input_value()) == 1, "arrow keys move to the slider's next value"


def test_in_a_narrow_window_nothing_is_cut(opened, keep):
    book = opened("two.ipynb")
    book.run_all()
    panel = book.panel(0)
    settled(panel)
    panel.locator(".jp-OutputArea-output").first.evaluate("e => { e.style.flex = 'none'; e.style.width = '272px'; }")
    table = panel.locator(".ebll-table")
    book.page.wait_for_function("e => e.tabIndex === 0", arg=table.element_handle())
    inside = """e => [...e.querySelectorAll('*')].filter(one => !one.closest('.ebll-table')
        && one.getBoundingClientRect().right > e.getBoundingClientRect().right).map(one => one.outerHTML)"""
    assert panel.locator(".ebll-panel").evaluate("e => [e.clientWidth, e.scrollWidth]") == [272, 272]
    assert panel.locator(".ebll-panel").evaluate(inside) == []
    assert table.evaluate("e => { e.scrollLeft = 1000; return e.scrollLeft + e.clientWidth >= e.scrollWidth - 1; }")
    assert serious(book.page) == []
    keep(panel, "narrow")


def test_what_if_marks_a_change_that_is_made_in_mid_run(opened, keep):
    book = opened("panels.ipynb")
    book.run_all()
    panel = book.panel(1)
    settled(panel)
    press(panel, "Run")
    until(panel, re.compile(r"step [1-9]\d+ "))
    typed = panel.get_by_role("spinbutton", name=re.compile("^alpha"))
    typed.fill("30")
    typed.press("Enter")
    until(panel, re.compile("^Done"))
    line = panel.get_by_role("textbox", name="as code").input_value()
    assert re.search(r"\(\d+, .alpha., 30.0\)", line)
    assert "is 30 from step" in panel.locator(".ebll-frame img").get_attribute("alt")
    keep(panel, "what-if")


def test_the_explorer_answers_to_the_keyboard(opened, keep):
    book = opened("panels.ipynb")
    book.run_all()
    panel = book.panel(2)
    image, size = panel.locator(".ebll-frame img"), knob(panel, "code size")
    before = image.get_attribute("alt")
    size.focus()
    for _ in range(4):
        book.page.keyboard.press("ArrowLeft")
    panel.get_by_alt_text(re.compile("code of 16")).wait_for(timeout=SOON)
    until(panel, re.compile("^Done"))
    assert "code of 16" not in before
    keep(panel, "submanifold-explorer")


def test_two_panels_do_not_disturb_each_other(opened):
    book = opened("two.ipynb")
    book.run_all()
    one, two = book.panel(0), book.panel(1)
    settled(one)
    settled(two)
    press(one, "Run")
    press(two, "Run")
    press(one, "Pause")
    until(two, re.compile("^Done"))
    until(one, re.compile("^Held"))
    press(one, "Resume")
    until(one, re.compile("^Done"))
    assert "mnist" not in status(one).inner_text()
    assert "mnist" in status(two).inner_text()


def test_a_cell_that_is_run_again_and_a_kernel_that_is_restarted_leave_one_working_panel(opened):
    book = opened("two.ipynb")
    book.run_all()
    press(book.panel(0), "Run")
    book.run_all()
    assert book.page.locator(".ebll-view").count() == 2
    settled(book.panel(0))
    book.menu("Kernel", "Restart Kernel…")
    book.page.locator(".jp-Dialog .jp-mod-accept").click()
    book.page.get_by_text("| Idle", exact=False).wait_for()
    for place in range(2):
        until(book.panel(place), re.compile("kernel of this panel has gone.*Run the cell again"))
        assert book.panel(place).locator(":is(input, select, button):enabled").count() == 0
        assert not book.panel(place).locator("progress").is_visible()
    book.run_all()
    press(book.panel(0), "Run")
    until(book.panel(0), re.compile("^Done"))
    assert book.panel(0).locator(".ebll-wrong").text_content() == ""


def test_no_serious_fault_for_those_who_use_a_screen_reader(opened):
    book = opened("panels.ipynb")
    book.run_all()
    for place in range(3):
        book.panel(place).locator(".ebll-frame img").wait_for()
    assert serious(book.page) == []


def test_axe_sees_what_is_wrong(opened):
    book = opened("two.ipynb")
    book.run_all()
    book.panel(0).locator(".ebll-frame img").evaluate("e => e.removeAttribute('alt')")
    assert [name for name, _ in serious(book.page)] == ["image-alt"]


def test_a_saved_notebook_holds_no_widget_state(opened, folder):
    book = opened("two.ipynb")
    book.run_all()
    book.menu("File", "Save Notebook")
    book.page.wait_for_function("() => !document.querySelector('.jp-mod-current.jp-mod-dirty')")
    book.page.wait_for_timeout(500)
    text = (folder / "two.ipynb").read_text(encoding="utf-8")
    assert '"image/png"' in text
    assert "application/vnd.jupyter.widget-state" not in text
