"""The page of `ebll export` in a browser, from disk and without a network: sliders, keys, links, words for the ear."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from ebll.pages import export
from tests.tiny_pages import tables

SIZES = {"wide": (1200, 800), "phone": (360, 740), "tablet": (820, 1100)}


def fails(config):
    return config.method == "ebll" and config.alpha == 10 and (config.seed == 1 or config.recon_weight == 1)


def lacks(config):
    return config.method == "ebll" and config.alpha == 3 and config.recon_weight == 1e-4


@pytest.fixture(scope="module")
def sweep():
    return tables(fails=fails, leave_out=lacks)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, sweep):
    made = tmp_path_factory.mktemp("pages")
    export(made / "page.html", sweep)
    return made


@pytest.fixture
def visit(chromium, folder):
    """Open a page of the folder offline; nothing but that file may be asked for, and no error said."""
    visits = []

    def open_(name="page.html", state="", size="wide"):
        width, height = SIZES[size]
        context = chromium.new_context(viewport={"width": width, "height": height}, offline=True)
        context.set_default_timeout(15_000)
        page = context.new_page()
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        visits.append((context, said, asked))
        page.goto((folder / name).as_uri() + state)
        page.locator("#told:not(:empty)").wait_for()
        page.locator("#map-forgetting svg").wait_for()
        return page

    yield open_
    for context, said, asked in visits:
        context.close()
        assert said == []
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def slider(page, name):
    return page.get_by_role("slider", name=re.compile(rf"^{name}"))


def until_told(page, *words):
    for word in words:
        page.get_by_role("status").filter(has_text=word).wait_for()


def number(table, column, **settings):
    """A mean in % with one decimal, from the table itself."""
    rows = table[(table["failure"] == "") & (table["tasks"] == settings.pop("tasks", "letters-digits"))]
    for name, value in ({"method": "ebll", "distill_weight": 2.0, "recon_weight": 1e-2} | settings).items():
        rows = rows[rows[name] == value]
    return f"{100 * rows[column].mean():.1f}"


def numbers_row(page, name):
    row = page.locator("#numbers tbody tr").filter(has=page.get_by_role("rowheader", name=name, exact=True))
    return row.locator("td").all_inner_texts()


def shown_in(page, name):
    """What the cells of a map say, row by row."""
    return [text for text in page.locator(f"#{name} svg .mark-text.layer_2_marks text").all_text_contents() if text]


def test_arrow_keys_move_a_slider_from_value_to_value_and_all_views_follow(visit, sweep):
    page = visit()
    alpha = slider(page, "alpha")
    assert alpha.get_attribute("aria-valuetext") == "3"
    texts = {name: page.locator(f"#{name}").get_attribute("aria-label") for name in ("map-old", "curves", "seeds-new")}
    page.keyboard.press("Tab")
    for _ in range(10):
        if alpha.evaluate("e => e === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    assert alpha.get_attribute("aria-valuetext") == "1"
    until_told(page, "EBLL with alpha 1, distill_weight 2 and recon_weight 0.01 on letters, then digits")
    expected = [number(sweep.table, f"{side}_validation", alpha=1.0) for side in ("old", "new")]
    until_told(page, re.compile(rf"{expected[0]}\s%.*{expected[1]}\s%.*validation images, mean of 3 seeds"))
    assert [cell.split(" ")[0] for cell in numbers_row(page, "EBLL (chosen)")[:2]] == expected
    assert numbers_row(page, "LwF")[0].split(" ")[0] in page.get_by_role("status").inner_text()
    for name, before in texts.items():
        assert page.locator(f"#{name}").get_attribute("aria-label") != before, name
    page.keyboard.press("End")
    assert alpha.get_attribute("aria-valuetext") == "10"
    until_told(page, "mean of 2 seeds, 1 failed")
    assert page.locator("#failures").inner_text() == "Seed 1 failed: The loss became NaN at step 7."
    assert alpha.evaluate("e => getComputedStyle(e).outlineStyle") == "solid", "the focus is seen"


def test_maps_show_numbers_missing_cells_and_failed_seeds(visit, sweep):
    page = visit()
    expected = []
    for recon in (1.0, 1e-2, 1e-4):  # the larger value stands higher
        row = [number(sweep.table, "old_validation", alpha=a, recon_weight=recon) for a in (0.3, 1.0, 3.0, 10.0)]
        expected += row
    expected[3], expected[10] = "×3", "–"  # all seeds failed; not in the sweep
    assert shown_in(page, "map-old") == expected
    crosses = [text for text in page.locator("#map-old svg .layer_3_marks text").all_text_contents() if text]
    assert crosses == ["×1", "×1"]
    assert "2 cells without a value" in page.locator("#map-old").get_attribute("aria-label")
    page.get_by_text("The maps as a table").click()
    cells = page.locator("#cells")
    assert cells.locator("tbody tr").count() == 12
    missing = cells.locator("tr").filter(has=page.get_by_role("rowheader", name="3, 0.0001", exact=True))
    assert missing.locator("td").all_inner_texts() == ["–", "–", "–", "not in this sweep"]
    assert cells.locator("tr.chosen th").inner_text() == "3, 0.01"


def test_a_missing_cell_and_a_failed_one_are_told_in_words(visit):
    page = visit(state="#alpha=3&recon_weight=0.0001")
    until_told(page, "this combination is not in the sweep")
    assert page.locator("#seeds-old").is_hidden()
    assert page.locator("#seeds-caption").inner_text() == "No seed of this cell has ended."
    assert numbers_row(page, "EBLL (chosen)") == ["–", "–", "–", "not in this sweep"]
    slider(page, "alpha").press("End")
    slider(page, "recon_weight").press("End")
    until_told(page, "all 3 seeds failed. The loss became NaN at step 7.")
    slider(page, "alpha").press("Home")
    until_told(page, "alpha 0.3")
    page.locator("#seeds-old svg").wait_for()
    assert page.locator("#seeds-old svg").bounding_box()["width"] > 200, "a chart that comes back has its width"


def test_the_address_holds_the_state(visit):
    page = visit()
    slider(page, "alpha").press("Home")
    slider(page, "distill_weight").press("Home")
    page.get_by_label("Tasks, old then new").select_option("letters, then textures")
    page.get_by_label("Rows of the maps").select_option("distill_weight (λo)")
    page.get_by_role("radio", name="test images").check()
    until_told(page, "textures")
    state = "#" + page.url.partition("#")[2]
    assert state == "#tasks=letters-textures&data=test&rows=distill_weight&alpha=0.3&distill_weight=1&recon_weight=0.01"
    other = visit(state=state)
    assert other.get_by_role("status").inner_text() == page.get_by_role("status").inner_text()
    for name in ("map-new", "curves", "tradeoff"):
        assert page.locator(f"#{name}").get_attribute("role") == "img"
        texts = [one.locator(f"#{name}").get_attribute("aria-label") for one in (page, other)]
        assert texts[0] == texts[1]
    other.evaluate("location.hash = '#alpha=10&recon_weight=1&tasks=letters-digits'")
    until_told(other, "all 3 seeds failed")
    other.get_by_role("button", name="Back to the usual settings").click()
    until_told(other, "alpha 3, distill_weight 2 and recon_weight 0.01")


def test_an_address_that_asks_for_what_is_not_there_says_so(visit):
    page = visit(state="#alpha=7&tasks=letters-mnist&data=test")
    notice = page.locator("#notice")
    assert "letters-mnist and alpha 7, which this sweep does not have" in notice.inner_text()
    until_told(page, "alpha 3", "letters, then digits", "test images")


def test_validation_is_shown_first_and_test_on_demand(visit, sweep):
    page = visit()
    assert page.get_by_role("radio", name="validation images").is_checked()
    assert "never on test images" in page.locator("#maps-about").inner_text()
    page.get_by_role("radio", name="test images").check()
    until_told(page, re.compile(rf"{number(sweep.table, 'old', alpha=3.0)}\s%.*test images"))
    assert "Test images are for the report" in page.locator("#maps-about").inner_text()


def test_a_click_chooses_a_cell(visit):
    page = visit()
    box = page.locator("#map-new svg .layer_1_marks path").first.bounding_box()  # alpha 0.3, lambda 1
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    until_told(page, "alpha 0.3, distill_weight 2 and recon_weight 1 on")
    assert slider(page, "recon_weight").get_attribute("aria-valuetext") == "1"


def test_the_pareto_front_and_the_references_are_named(visit, sweep):
    page = visit()
    text = page.locator("#tradeoff").get_attribute("aria-label")
    told = re.findall(r"alpha (\S+) and recon_weight (\S+): (\S+) old, (\S+) new", text)
    assert told
    for alpha, recon, old, new in told:
        own = {"alpha": float(alpha), "recon_weight": float(recon)}
        assert (old, new) == tuple(number(sweep.table, f"{side}_validation", **own) for side in ("old", "new"))
    assert not any(alpha == "10" for alpha, *_ in told), "seeds of it failed"
    legend = page.locator("#tradeoff svg .role-legend-label text").all_text_contents()
    assert legend == ["Fine-tuning", "LwF", "EBLL"]
    assert page.locator("#curves svg .role-legend-label text").all_text_contents() == legend


def test_the_trade_off_shows_what_is_near_the_front_or_all(visit, folder, sweep):
    far = tables()
    far.table.loc[far.table["alpha"] == 10, ["old", "new", "old_validation", "new_validation"]] = 0.05
    export(folder / "far.html", far)
    page = visit("far.html")
    marks = page.locator("#tradeoff svg :is(.layer_1_marks, .layer_2_marks) path")
    page.locator("#tradeoff svg").wait_for()
    assert marks.count() == 9
    left_out = "3 marks below or to the left of the chart are left out."
    assert left_out in page.locator("#tradeoff-caption").inner_text()
    assert left_out in page.locator("#tradeoff").get_attribute("aria-label")
    slider(page, "alpha").press("End")
    until_told(page, "alpha 10")
    assert "left out" not in page.locator("#tradeoff-caption").inner_text()  # the chart reaches to the chosen one
    page.get_by_label("near the front only").uncheck()
    page.wait_for_function(
        "document.querySelectorAll('#tradeoff svg :is(.layer_1_marks, .layer_2_marks) path').length === 12"
    )
    assert "left out" not in page.locator("#tradeoff-caption").inner_text()
    assert "&near=no&" in page.url
    other = visit("far.html", state="#" + page.url.partition("#")[2])
    assert not other.get_by_label("near the front only").is_checked()


@pytest.mark.parametrize("size", SIZES)
def test_nothing_shuts_people_out_and_nothing_sticks_out(visit, size, keep):
    page = visit(size=size)
    page.get_by_text("The maps as a table").click()
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert len(shown_in(page, "map-old")) == 12, "there is room for the numbers"
    page.get_by_text("The maps as a table").click()
    keep(page.locator("body"), f"page-{size}")


def test_on_a_phone_the_sliders_stay_in_sight(visit):
    page = visit(size="phone")
    page.locator("#numbers").scroll_into_view_if_needed()
    box = slider(page, "alpha").bounding_box()
    assert 0 <= box["y"] < 200
    assert box["width"] >= 100


@pytest.mark.parametrize(
    ("name", "made", "words"),
    [
        ("three", {"tasks": [["letters", "digits", "textures"]], "alpha": [(1.0, 3.0), (3.0, 1.0)]},
         ["alpha 1, 3", "on letters-digits-textures", "on the old tasks (mean)"]),
        ("one", {"method": "ebll", "tasks": ["letters", "digits"], "alpha": 1.0, "distill_weight": 1.0,
                 "recon_weight": 1e-2, "seed": 0}, ["EBLL on letters, then digits", "mean of one seed"]),
        ("references", {"method": ["finetune", "lwf"]}, ["LwF with distill_weight 2 on"]),
        ("two-methods", {"method": ["ebll", "ebll-separate"]}, ["EBLL with alpha 3"]),
    ],
)  # fmt: skip
def test_sweeps_of_other_kinds(visit, folder, name, made, words):
    export(folder / f"{name}.html", tables(**made))
    page = visit(f"{name}.html")
    until_told(page, *words)
    assert page.get_by_role("slider").count() == {"one": 0, "references": 1}.get(name, 3)
    if name == "two-methods":
        page.get_by_label("Method").select_option("EBLL, separate operators")
        until_told(page, "EBLL, separate operators with alpha 3")
    assert [one["id"] for one in Axe().run(page).response["violations"]] == []


def test_without_curves_the_page_says_why_there_are_none(visit, folder):
    export(folder / "bare.html", tables(curves=False))
    page = visit("bare.html")
    assert page.locator("#curves").is_hidden()
    assert "log_every 0" in page.locator("#curves-caption").inner_text()
    assert "log_every 0" in page.locator("#maps-caption").inner_text()
    page.get_by_role("radio", name="test images").check()
    until_told(page, "forgetting", "points (test images")
    assert "log_every 0" not in page.locator("#maps-caption").inner_text()


def test_on_paper_there_are_no_controls(visit):
    page = visit()
    page.emulate_media(media="print")
    assert page.get_by_role("slider").count() == 0
    assert page.get_by_role("status").is_visible()
    assert page.locator("#map-old svg").is_visible()
