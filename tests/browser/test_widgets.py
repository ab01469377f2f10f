"""The widgets under a student's hands: mouse, keyboard, buttons, a kernel that is restarted, a screen reader's view."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

SOON = 30_000


def slider(panel, name):
    """The slider of a setting, found as a screen reader finds it."""
    return panel.get_by_role("slider", name=re.compile(rf"^{name}"))


def status(panel):
    return panel.get_by_role("status")


def press(panel, name):
    panel.get_by_role("button", name=name, exact=True).click()


def count(panel):
    """Pictures shown so far."""
    return int(panel.locator(".ebll-plot").get_attribute("data-drawn"))


def text(panel):
    """The text alternative of the chart."""
    return panel.locator(".chart-wrapper").get_attribute("aria-label")


def until(panel, text):
    """Wait until the status line says it."""
    status(panel).filter(has_text=text).wait_for(timeout=SOON)


def settled(panel):
    until(panel, re.compile("^(Done|Stopped|Validation images)"))


def whole_run(panel):
    """A run to its end, whatever a test before has left."""
    press(panel, "Run")
    until(panel, re.compile("^Training"))
    until(panel, re.compile("^Done"))


def done_with(panel, alpha):
    """Wait for the end of the run with this alpha: its last picture says so, and only then its own "Done" comes."""
    panel.get_by_role("img", name=re.compile(rf"alpha {re.escape(alpha)}(,|\. |\.$)")).wait_for(timeout=SOON)
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
    panel = book.widget(1)  # in the first one a moved slider acts in mid-run
    settled(panel)
    alpha, before = slider(panel, "alpha"), (count(panel), text(panel))

    typed = panel.get_by_role("spinbutton", name=re.compile("^alpha"))
    drag(book.page, alpha, 0.8)
    done_with(panel, typed.input_value())
    assert alpha.evaluate("e => e.value / e.max") == pytest.approx(0.8, abs=0.07)
    assert count(panel) > before[0]
    assert text(panel) != before[1], "the picture's text has changed with it"

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


def test_run_pause_step_stop(executed):
    book = executed("panels.ipynb")
    panel = book.widget(0)
    settled(panel)
    press(panel, "Run")
    press(panel, "Pause")
    until(panel, re.compile("^Held"))
    shown = count(panel)
    press(panel, "Step")
    book.page.wait_for_function(
        "([e, n]) => Number(e.dataset.drawn) > n", arg=[panel.locator(".ebll-plot").element_handle(), shown]
    )
    until(panel, re.compile("^Held"))
    press(panel, "Resume")
    until(panel, re.compile("^Done"))
    press(panel, "Run")
    press(panel, "Stop")
    until(panel, re.compile("^Stopped"))
    press(panel, "Stop")
    panel.get_by_role("alert").filter(has_text="Nothing is running").wait_for()


def test_values_are_read_by_pointer_and_by_keys(executed):
    book = executed("panels.ipynb")
    panel = book.widget(0)
    whole_run(panel)
    plot, values = panel.locator(".ebll-plot"), panel.locator(".ebll-values")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    end = values.inner_text()
    book.page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    book.page.wait_for_function("([e, end]) => e.innerText !== end", arg=[values.element_handle(), end])
    assert re.search(r"EBLL\s+[\d.]+", values.inner_text())
    book.page.mouse.move(2, 2)
    plot.focus()
    book.page.keyboard.press("ArrowLeft")
    panel.locator(".ebll-spoken").filter(has_text=re.compile(r"^step \d+ of 152")).wait_for(state="attached")
    book.page.keyboard.press("Escape")


def test_the_scrubber_shows_a_moment_of_the_finished_run_in_every_view(executed, keep):
    book = executed("panels.ipynb")
    for place in (0, 2):
        panel = book.widget(place)
        if place == 0:
            whole_run(panel)
        scrubber, values = panel.locator(".ebll-scrub input"), panel.locator(".ebll-values")
        shown, end = count(panel), values.inner_text()
        scrubber.focus()
        book.page.keyboard.press("Home")
        book.page.wait_for_function("([e, end]) => e.innerText !== end", arg=[values.element_handle(), end])
        assert count(panel) > shown
        keep(panel, f"scrubbed-{place}")
        book.page.keyboard.press("End")
        book.page.wait_for_function("([e, end]) => e.innerText === end", arg=[values.element_handle(), end])


def test_keys_on_a_panel_are_no_shortcuts_of_the_notebook(executed):
    book = executed("two.ipynb")
    panel, cells = book.widget(0), book.page.locator(".jp-Notebook .jp-Cell")
    before, frame, terms = cells.count(), panel.locator(".ebll-plot"), panel.get_by_label("loss terms of")
    run = panel.get_by_role("button", name="Run", exact=True)
    for part in (frame, run, panel.get_by_role("checkbox").first, terms, slider(panel, "alpha")):
        part.focus()
        book.page.keyboard.press("b")
        book.page.keyboard.press("Shift+M")
    shown = terms.input_value()
    terms.press("ArrowUp")
    assert terms.input_value() != shown, "the list itself has its keys"
    frame.press("ArrowLeft")
    shown = panel.locator(".ebll-scrub span[aria-hidden]")
    shown.filter(has_text=" of ").wait_for()
    frame.press("Escape")
    shown.filter(has_text="(end)").wait_for()
    frame.press("Tab")
    assert not frame.evaluate("e => e === document.activeElement")
    run.press("Enter")
    until(panel, re.compile("^Done"))
    cells.last.locator(".jp-InputPrompt").click()
    book.page.keyboard.press("b")  # in the notebook it does insert a cell, and it came after all others
    book.page.wait_for_function(f"() => document.querySelectorAll('.jp-Notebook .jp-Cell').length > {before}")
    assert cells.count() == before + 1


def test_what_is_typed_and_cannot_be_is_told_in_words(executed):
    book = executed("two.ipynb")
    panel = book.widget(0)
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


def test_in_a_narrow_window_nothing_is_cut(executed, keep):
    book = executed("two.ipynb")
    panel = book.widget(0)
    settled(panel)
    panel.locator(".jp-OutputArea-output").first.evaluate("e => { e.style.flex = 'none'; e.style.width = '272px'; }")
    table = panel.locator(".ebll-table")
    book.page.wait_for_function("e => e.tabIndex === 0", arg=table.element_handle())
    inside = """e => [...e.querySelectorAll('*')].filter(one => !one.closest('.ebll-table, .ebll-values')
        && one.getBoundingClientRect().right > e.getBoundingClientRect().right).map(one => one.outerHTML)"""
    assert panel.locator(".ebll-panel").evaluate("e => [e.clientWidth, e.scrollWidth]") == [272, 272]
    assert panel.locator(".ebll-panel").evaluate(inside) == []
    assert table.evaluate("e => { e.scrollLeft = 1000; return e.scrollLeft + e.clientWidth >= e.scrollWidth - 1; }")
    assert serious(book.page) == []
    keep(panel, "narrow")
    panel.locator(".jp-OutputArea-output").first.evaluate("e => { e.style.flex = e.style.width = ''; }")


def test_a_change_that_is_made_in_mid_run_is_marked(executed, keep):
    book = executed("panels.ipynb")
    panel = book.widget(1)
    settled(panel)
    press(panel, "Run")
    until(panel, re.compile(r"step [1-9]\d+ "))
    typed = panel.get_by_role("spinbutton", name=re.compile("^alpha"))
    typed.fill("30")
    typed.press("Enter")
    until(panel, re.compile("^Done"))
    line = panel.get_by_role("textbox", name="as code").input_value()
    assert re.search(r"\(\d+, .alpha., 30.0\)", line)
    assert "is 30 from step" in text(panel)
    keep(panel, "mid-run")


def test_the_explorer_answers_to_the_keyboard(executed, keep):
    book = executed("panels.ipynb")
    panel = book.widget(2)
    size, before = slider(panel, "code size"), text(panel)
    size.focus()
    for _ in range(4):
        book.page.keyboard.press("ArrowLeft")
    panel.get_by_role("img", name=re.compile("code of 16")).wait_for(timeout=SOON)
    until(panel, re.compile("^Done"))
    assert "code of 16" not in before
    keep(panel, "submanifold-explorer")


def test_two_panels_do_not_disturb_each_other(executed):
    book = executed("two.ipynb")
    one, two = book.widget(0), book.widget(1)
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
    book = opened("again.ipynb")
    book.run_all()
    press(book.widget(0), "Run")
    book.run_all()
    assert book.page.locator(".ebll-chart").count() == 2
    settled(book.widget(0))
    book.menu("Kernel", "Restart Kernel…")
    book.page.locator(".jp-Dialog .jp-mod-accept").click()
    book.page.get_by_text("| Idle", exact=False).wait_for()
    for place in range(2):
        until(book.widget(place), re.compile("kernel of this widget has gone.*Run the cell again"))
        assert book.widget(place).locator(":is(input, select, button):enabled").count() == 0
        assert not book.widget(place).locator("progress").is_visible()
    book.run_all()
    press(book.widget(0), "Run")
    until(book.widget(0), re.compile("^Done"))
    assert book.widget(0).locator(".ebll-wrong").text_content() == ""


def test_no_serious_fault_for_a_screen_reader_and_no_widget_state_in_a_saved_notebook(opened, executed, folder):
    book = executed("panels.ipynb")
    for place in range(3):
        book.widget(place)
    assert serious(book.page) == []
    book = opened("again.ipynb")
    book.run_all()
    book.menu("File", "Save Notebook")
    book.page.wait_for_function("() => !document.querySelector('.jp-mod-current.jp-mod-dirty')")
    book.page.wait_for_timeout(500)
    text = (folder / "again.ipynb").read_text(encoding="utf-8")
    assert '"image/png"' in text
    assert "application/vnd.jupyter.widget-state" not in text
    book.widget(0).locator(".chart-wrapper").evaluate("e => e.removeAttribute('aria-label')")
    assert [name for name, _ in serious(book.page)] == ["role-img-alt"], "axe sees what is wrong"
