"""The widgets under a student's hands: mouse, keyboard, buttons, a kernel that is restarted, a screen reader's view."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

SOON = 30_000


def slider(panel, name):
    """The slider of a setting, found as a screen reader finds it."""
    return panel.get_by_role("slider", name=re.compile(rf"^{name}"))


def box(panel, name):
    """The box beside it, to type a value into."""
    return panel.get_by_role("spinbutton", name=re.compile(rf"^{name}"))


def enter(field, value):
    field.fill(value)
    field.press("Enter")


def press(panel, *names):
    for name in names:
        panel.get_by_role("button", name=name, exact=True).click()


def text(panel):
    """The text alternative of the chart."""
    return panel.locator(".chart-wrapper").get_attribute("aria-label")


def until(panel, text):
    """Wait until the status line says it."""
    panel.get_by_role("status").filter(has_text=re.compile(text)).wait_for(timeout=SOON)


def settled(panel):
    until(panel, "^(Done|Stopped)")


def done_with(panel, alpha):
    """Wait for the end of the run with this alpha: its last picture says so, and only then its own "Done" comes."""
    panel.get_by_role("img", name=re.compile(rf"alpha {re.escape(alpha)}(,|\. |\.$)")).wait_for(timeout=SOON)
    until(panel, "^Done")


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
    page.mouse.move(box["x"] + 8 + (box["width"] - 16) * share, y, steps=10)
    page.mouse.up()


def test_notebook_04_runs_and_its_panel_obeys_mouse_and_keys(opened, keep):
    book = opened("04_ebll.ipynb")
    book.run_all(timeout=600)
    panel = book.widget(1)  # in the first one a moved slider acts in mid-run
    settled(panel)
    alpha, typed, before = slider(panel, "alpha"), box(panel, "alpha"), text(panel)
    drag(book.page, alpha, 0.8)
    done_with(panel, typed.input_value())
    assert alpha.evaluate("e => e.value / e.max") == pytest.approx(0.8, abs=0.07)
    assert text(panel) != before, "the picture's text has changed with it"
    was = float(typed.input_value())
    alpha.focus()
    for _ in range(5):
        book.page.keyboard.press("ArrowLeft")
    done_with(panel, typed.input_value())
    assert float(typed.input_value()) < was
    press(panel, "Pin")
    until(panel, "Pinned as A")
    enter(typed, "0.5")
    done_with(panel, "0.5")
    press(panel, "Pin")
    until(panel, "Pinned as B")
    rows = panel.locator(".ebll-table tbody tr").all_inner_texts()
    assert {row.split()[0] for row in rows} == {"A", "B"}
    assert any("alpha 0.5" in row for row in rows)
    keep(panel, "forgetting-lab")


def test_run_pause_step_stop(executed):
    panel = executed("panels.ipynb").widget(0)
    settled(panel)
    press(panel, "Run", "Pause")
    until(panel, "^Held")
    before = panel.get_by_role("status").inner_text()
    press(panel, "Step")
    panel.get_by_role("status").filter(has_not_text=before).wait_for()
    until(panel, "^Held")
    press(panel, "Resume")
    until(panel, "^Done")
    press(panel, "Run", "Stop")
    until(panel, "^Stopped")
    press(panel, "Stop")
    panel.get_by_role("alert").filter(has_text="Nothing is running").wait_for()


def test_the_landscape_of_a_run_stands_below_it(executed, keep):
    panel = executed("panels.ipynb").widget(0)
    settled(panel)
    press(panel, "Run")
    until(panel, "^Training")
    until(panel, "^Done")
    press(panel, "Landscape")
    until(panel, "^Below")
    picture = panel.get_by_role("img", name=re.compile("^Paths in a plane of the weights"))
    assert picture.evaluate("e => e.complete && e.naturalWidth") > 500
    picture.scroll_into_view_if_needed()
    keep(picture, "landscape")


def test_a_change_that_is_made_in_mid_run_is_marked(executed, keep):
    panel = executed("panels.ipynb").widget(1)
    settled(panel)
    press(panel, "Run")
    until(panel, r"step [1-9]\d+ ")
    enter(box(panel, "alpha"), "30")
    until(panel, "^Done")
    line = panel.get_by_role("textbox", name="as code").input_value()
    assert re.search(r"\(\d+, .alpha., 30.0\)", line)
    assert "is 30 from step" in text(panel)
    keep(panel, "mid-run")


def test_the_explorer_answers_to_the_keyboard_and_its_scrubber_goes_back(executed, keep):
    book = executed("panels.ipynb")
    panel = book.widget(2)
    before, values = text(panel), panel.locator(".ebll-values")
    slider(panel, "code size").focus()
    for _ in range(4):
        book.page.keyboard.press("ArrowLeft")
    panel.get_by_role("img", name=re.compile("code of 16")).wait_for(timeout=SOON)
    until(panel, "^Done")
    assert "code of 16" not in before
    keep(panel, "submanifold-explorer")
    end = values.inner_text()
    panel.locator(".ebll-scrub input").focus()
    for key, same in (("Home", "!=="), ("End", "===")):
        book.page.keyboard.press(key)
        changed = f"([e, end]) => e.innerText {same} end"
        book.page.wait_for_function(changed, arg=[values.element_handle(), end])


def test_the_plane_is_played_and_a_moved_slider_draws_it_anew(executed, keep):
    book = executed("panels.ipynb")
    panel = book.widget(3)
    before, step = text(panel), panel.get_by_role("slider", name="step", exact=True)
    at = "([e, words]) => e.getAttribute('aria-valuetext').includes(words)"
    shade = """e => { const c = e.getContext('2d'), d = c.getImageData(0, 0, e.width, e.height).data;
        let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i] === 203 && d[i + 2] === 230; return n; }"""
    assert panel.locator("canvas").evaluate(shade) > 1000, "the shade of the lower moon's region"
    panel.get_by_role("button", name="Play", exact=True).click()
    book.page.wait_for_function(at, arg=[step.element_handle(), "step 20 of 200"])
    assert panel.locator("canvas").evaluate(shade) > 1000
    panel.get_by_role("button", name="Pause", exact=True).click()
    step.press("End")
    book.page.wait_for_function(at, arg=[step.element_handle(), "200 (end)"])
    enter(box(panel, "alpha"), "1")
    panel.get_by_role("img", name=re.compile(r"alpha 1,")).wait_for(timeout=SOON)
    until(panel, "^Done")
    assert text(panel) != before
    keep(panel, "plane")


def test_keys_on_a_panel_are_no_shortcuts_of_the_notebook(executed):
    book = executed("two.ipynb")
    panel, cells = book.widget(0), book.page.locator(".jp-Notebook .jp-Cell")
    before, terms = cells.count(), panel.get_by_label("in detail")
    run = panel.get_by_role("button", name="Run", exact=True)
    for part in (run, panel.get_by_role("checkbox").first, terms, slider(panel, "alpha")):
        part.focus()
        book.page.keyboard.press("b")
        book.page.keyboard.press("Shift+M")
    shown = terms.input_value()
    terms.press("ArrowUp")
    assert terms.input_value() != shown, "the list itself has its keys"
    run.press("Enter")
    until(panel, "^Done")
    cells.last.locator(".jp-InputPrompt").click()
    book.page.keyboard.press("b")  # in the notebook it does insert a cell, and it came after all others
    book.page.wait_for_function(f"() => document.querySelectorAll('.jp-Notebook .jp-Cell').length > {before}")
    assert cells.count() == before + 1


def test_what_is_typed_and_cannot_be_is_told_in_words(executed):
    book = executed("two.ipynb")
    panel = book.widget(0)
    alpha, told = box(panel, "alpha"), panel.get_by_role("alert")
    was = alpha.input_value()
    answers = {"-1": "got -1", "abc": "must be a number, such as 0.5 or 1e-3; got 'abc'", "": "got nothing"}
    for typed, words in {**answers, "0,5": "Write a point", "ee-": "got 'ee-'", "1e400": "too large"}.items():
        enter(alpha, typed)
        told.filter(has_text=words).wait_for()
        book.page.wait_for_function("([e, was]) => e.value === was", arg=[alpha.element_handle(), was])
    enter(box(panel, "epochs"), "2.5")
    told.filter(has_text=re.compile("epochs.*whole number.*2.5")).wait_for()
    enter(alpha, "0.5")
    done_with(panel, "0.5")
    told.wait_for(state="hidden")
    alpha.press("ArrowUp")
    assert float(alpha.input_value()) == 1, "arrow keys move to the slider's next value"


def test_in_a_narrow_window_nothing_is_cut(executed, keep):
    book = executed("two.ipynb")
    panel = book.widget(0)
    settled(panel)
    output, table = panel.locator(".jp-OutputArea-output").first, panel.locator(".ebll-table")
    output.evaluate("e => { e.style.flex = 'none'; e.style.width = '272px'; }")
    book.page.wait_for_function("e => e.tabIndex === 0", arg=table.element_handle())
    inside = """e => [...e.querySelectorAll('*')].filter(one => !one.closest('.ebll-table, .ebll-values')
        && one.getBoundingClientRect().right > e.getBoundingClientRect().right).map(one => one.outerHTML)"""
    assert panel.locator(".ebll-panel").evaluate("e => [e.clientWidth, e.scrollWidth]") == [272, 272]
    assert panel.locator(".ebll-panel").evaluate(inside) == []
    assert table.evaluate("e => { e.scrollLeft = 1000; return e.scrollLeft + e.clientWidth >= e.scrollWidth - 1; }")
    assert serious(book.page) == []
    keep(panel, "narrow")
    output.evaluate("e => { e.style.flex = e.style.width = ''; }")


def test_two_panels_do_not_disturb_each_other(executed):
    book = executed("two.ipynb")
    one, two = book.widget(0), book.widget(1)
    settled(one)
    settled(two)
    press(one, "Run", "Pause")
    press(two, "Run")
    until(one, "^Held")
    until(two, "^Done.*mnist")
    press(one, "Resume")
    until(one, "^Done.*textures")


def test_a_cell_run_again_a_restart_and_a_saved_notebook_leave_one_working_panel_and_no_state(opened, executed, folder):
    book = executed("panels.ipynb")
    assert serious(book.page) == []
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
        until(book.widget(place), "kernel of this widget has gone.*Run the cell again")
        assert book.widget(place).locator(":is(input, select, button):enabled").count() == 0
        assert not book.widget(place).locator("progress").is_visible()
    book.run_all()
    press(book.widget(0), "Run")
    until(book.widget(0), "^Done")
    assert book.widget(0).locator(".ebll-wrong").text_content() == ""
    book.menu("File", "Save Notebook")
    book.page.wait_for_function("() => !document.querySelector('.jp-mod-current.jp-mod-dirty')")
    book.page.wait_for_timeout(500)
    text = (folder / "again.ipynb").read_text(encoding="utf-8")
    assert "data:image/png;base64," in text
    assert "application/vnd.jupyter.widget-state" not in text
    book.widget(0).locator(".jp-OutputArea-output").first.evaluate("e => e.append(document.createElement('button'))")
    assert [name for name, _ in serious(book.page)] == ["button-name"], "axe sees what is wrong"
