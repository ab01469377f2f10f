"""The lab's page in Chromium, from disk and without a network: it trains, answers, remembers, and survives faults."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

import ebll
from ebll.web import WebConfig
from tests.browser import lab

BOX = {"width": 420, "left": 44, "right": 404}  # of a panel, in lab.js
DONE = "document.querySelector('[role=status]').textContent.includes('are done')"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return ebll.web.write_page(tmp_path_factory.mktemp("web") / "lab.html").as_uri()


@pytest.fixture
def visit(chromium, file):
    """Open the page at an address, without a network; its console may hold no error, and it may ask for no file."""
    pages, errors, asked = [], [], []

    def open_(state="epochs=2", script="", **options):
        page = chromium.new_page(**{"viewport": {"width": 1300, "height": 1000}} | options)
        page.set_default_timeout(30_000)
        page.context.set_offline(True)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        if script:
            page.add_init_script(script)
        page.goto(f"{file}#{state}")
        pages.append(page)
        return page

    yield open_
    for page in pages:
        page.close()
    assert errors == []
    assert {url.partition("#")[0] for url in asked if not url.startswith(("blob:", "data:"))} == {file}


def numbers(page):
    """Old and new accuracy and distance of each method at the scrubber's step."""
    rows = page.locator(".values tbody tr").all()
    return {
        row.locator("th").inner_text().strip(): [float(row.locator("td").nth(i).inner_text()) for i in range(3)]
        for row in rows
    }


def wrong(page):
    return page.locator(".wrong").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1300])
def test_it_trains_and_shuts_nobody_out(visit, scheme, width):
    page = visit(color_scheme=scheme, viewport={"width": width, "height": 1000})
    page.wait_for_function(DONE)
    assert len(numbers(page)) == 4
    assert all(len(one.get_attribute("aria-label")) > 60 for one in page.locator(".panels svg").all())
    page.get_by_text("Draw your own task").click()
    assert Axe().run(page).violations_count == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_moved_slider_trains_again_and_the_address_and_the_line_follow(visit):
    page = visit()
    page.wait_for_function(DONE)
    before = numbers(page)
    page.get_by_label("alpha α").focus()
    page.keyboard.press("Home")
    page.wait_for_function("location.hash.includes('alpha=0')")
    page.wait_for_function(DONE)
    after = numbers(page)
    assert after["Fine-tuning"] == before["Fine-tuning"]  # the same seed, and alpha is nothing to it
    assert after["EBLL"] == after["LwF"] != before["EBLL"]  # nothing is left of the code term
    line = page.get_by_label("The line of Python").input_value()
    assert WebConfig.read(line).alpha == 0
    page.get_by_label("The line of Python").fill(WebConfig(new="digits", epochs=2, seed=3).line())
    page.keyboard.press("Enter")
    page.wait_for_function("location.hash.includes('digits') && location.hash.includes('seed=3')")
    again = visit(page.url.partition("#")[2])
    assert (
        again.get_by_label("The line of Python").input_value() == page.get_by_label("The line of Python").input_value()
    )


def test_it_holds_steps_and_begins_again(visit):
    page = visit("epochs=30")
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function("document.querySelector('[role=status]').textContent === 'Held at step 0.'")
    for step in (1, 2):
        page.get_by_role("button", name="Step", exact=True).click()
        page.wait_for_function(f"document.querySelector('[role=status]').textContent === 'Held at step {step}.'")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("!document.querySelector('[role=status]').textContent.startsWith('Held')")
    page.get_by_role("button", name="Pause").click()
    page.wait_for_function("document.querySelector('[role=status]').textContent.startsWith('Held')")


def test_the_scrubber_reads_an_earlier_step(visit):
    page = visit()
    page.wait_for_function(DONE)
    end = numbers(page)
    page.get_by_label("Step of the run").focus()
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('caption').textContent.startsWith('Step 0 ')")
    assert numbers(page)["Fine-tuning"][2] == 0 < end["Fine-tuning"][2]
    page.wait_for_function("location.hash.includes('at=0')")


def test_the_pointer_over_a_panel_reads_a_step_and_a_click_keeps_it(visit):
    page = visit()
    page.wait_for_function(DONE)
    caption, panel = page.locator("caption"), page.locator(".panels svg").first
    panel.hover(position={"x": 2, "y": 60}, force=True)  # left of the lines
    page.wait_for_function("document.querySelector('caption').textContent.startsWith('Step 0 ')")
    assert {distance for _, _, distance in numbers(page).values()} == {0}
    page.mouse.move(2, 2)
    page.wait_for_function("document.querySelector('caption').textContent.startsWith('Step 38 ')")
    box = panel.bounding_box()
    middle = (BOX["left"] + BOX["right"]) / 2 / BOX["width"]
    panel.click(position={"x": box["width"] * middle, "y": 60}, force=True)
    page.mouse.move(2, 2)
    page.wait_for_function("location.hash.includes('at=19')")
    assert caption.inner_text().startswith("Step 19 ")


def test_four_signs_are_drawn_by_mouse_and_by_keyboard_and_learned(visit):
    page = visit()
    page.get_by_text("Draw your own task").click()
    page.get_by_role("button", name="Learn these signs").click()
    assert "sign 1 has none" in wrong(page)
    page.get_by_role("button", name="Add to sign 1").click()
    assert "empty" in wrong(page)
    pad = page.locator(".pad")
    box = pad.bounding_box()
    strokes = [((40, 40), (150, 150)), ((100, 30), (100, 170)), ((30, 100), (170, 100))]
    for i, (begin, end) in enumerate(strokes, 1):
        page.mouse.move(box["x"] + begin[0], box["y"] + begin[1])
        page.mouse.down()
        page.mouse.move(box["x"] + end[0], box["y"] + end[1], steps=6)
        page.mouse.up()
        page.get_by_role("button", name=f"Add to sign {i}").click()
    pad.focus()
    for key in ("ArrowUp", " ", *["ArrowLeft"] * 6, *["ArrowDown"] * 8, *["ArrowRight"] * 8):
        page.keyboard.press(key)
    page.get_by_role("button", name="Add to sign 4").click()
    page.get_by_role("button", name="Learn these signs").click()
    page.wait_for_function("location.hash.includes('new=own') && location.hash.includes('signs=')")
    page.wait_for_function(DONE)
    assert min(new for _, new, _ in numbers(page).values()) > 90
    assert not page.get_by_label("The line of Python").is_visible()  # the kit has none of the signs
    page.get_by_text("no line of Python").wait_for()
    again = visit(page.url.partition("#")[2])
    again.wait_for_function(DONE)
    assert numbers(again) == numbers(page)


@pytest.mark.parametrize(
    ("state", "told"),
    [("speed=3&epochs=2", "speed"), ("alpha=lots&epochs=2", "lots"), ("signs=abc&epochs=2", "damaged"),
     ("signs=0~0~0~0&new=own&epochs=2", "damaged"), ("at=0.5&epochs=2", "0.5"),
     ("new=own&epochs=2", "sign 1"), ("detail=joint&epochs=2", "joint")],
)  # fmt: skip
def test_an_unknown_address_is_told_and_the_page_goes_on(visit, state, told):
    page = visit(state)
    page.wait_for_function(f"document.querySelector('.wrong').textContent.includes('{told}')")
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function("document.querySelector('[role=status]').textContent === 'Held at step 0.'")


def test_a_run_that_diverges_is_told_and_the_page_goes_on(visit):
    page = visit("learning_rate=1000&epochs=2")
    for name in ("Fine-tuning", "LwF", "EBLL", "EBLL, separate operators"):
        page.wait_for_function(f"document.querySelector('.wrong').textContent.includes({name + ' at step'!r})")
    page.get_by_role("button", name="Tuned setting").click()
    page.wait_for_function(DONE)
    assert wrong(page) == ""
    assert page.locator(".panels path[opacity]").evaluate_all(
        "some => some.every(one => one.getAttribute('d') === 'M')"
    )


def test_a_line_that_is_refused_stays_to_be_mended_and_what_was_copied_is_told(visit):
    page = visit()
    page.wait_for_function(DONE)
    line = page.get_by_label("The line of Python")
    line.fill("alpha=lots")
    page.keyboard.press("Enter")
    assert "lots" in wrong(page)
    assert line.input_value() == "alpha=lots"
    page.get_by_role("button", name="Copy as Python").click()
    page.locator("p", has_text=re.compile("clipboard|selected")).wait_for()


@pytest.mark.parametrize(
    ("script", "told"),
    [("window.Worker = function () { throw new Error('no'); };", "no worker (Error: no)"),
     ("window.Worker = class extends Worker { constructor(url) { super(url); window.last = this; } };", "")],
)  # fmt: skip
def test_without_a_worker_and_after_one_has_died_it_trains(visit, script, told):
    page = visit(script=script)
    page.wait_for_function(DONE)
    assert told in wrong(page)
    if not told:
        page.evaluate("last.terminate(); last.dispatchEvent(new ErrorEvent('error', { message: 'out of memory' }))")
        page.wait_for_function("document.querySelector('.wrong').textContent.includes('out of memory')")
        page.wait_for_function(DONE)


def test_an_address_that_cannot_be_written_is_told_and_the_page_goes_on(visit):
    page = visit(script="history.replaceState = () => { throw new Error('full'); };")
    page.get_by_label("alpha").focus()
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('.wrong').textContent.includes('full')")
    page.wait_for_function(DONE)
    assert len(numbers(page)) == 4


NOTEBOOK = """
import ebll
shown = ebll.web.Lab(state="epochs=2")
shown
"""


def test_the_same_module_runs_in_a_notebook_through_anywidget(opened, folder):
    lab.write_notebook(folder / "web.ipynb", NOTEBOOK, "print(shown.state)")
    book = opened("web.ipynb")
    book.run_all()
    book.page.wait_for_function(
        "[...document.querySelectorAll('.ebll-lab [role=status]')].some(e => e.textContent.includes('are done'))"
    )
    book.page.locator(".ebll-lab").get_by_label("seed").focus()
    book.page.keyboard.press("ArrowRight")
    book.page.wait_for_timeout(1000)
    book.page.locator(".jp-CodeCell .cm-content").nth(1).click()
    book.page.keyboard.press("Shift+Enter")
    book.page.get_by_text("epochs=2&seed=1").wait_for()
