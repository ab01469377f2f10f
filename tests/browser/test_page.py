"""The page of `ebll export` in a browser, from disk and without a network: sliders, keys, links, words for the ear."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from ebll.sweeps import export
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
        page.locator("[role=status]:not(:empty)").wait_for()
        page.locator(".plot[data-drawn]").wait_for()
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


def description(page):
    return page.locator(".plot [role=img]").get_attribute("aria-label")


def number(table, column, **settings):
    """A mean in % with one decimal, from the table itself."""
    rows = table[(table["failure"] == "") & (table["tasks"] == settings.pop("tasks", "letters-digits"))]
    for name, value in ({"method": "ebll", "distill_weight": 1.0, "recon_weight": 1e-2} | settings).items():
        rows = rows[rows[name] == value]
    return f"{100 * rows[column].mean():.1f}"


def row(page, group, name):
    table = page.get_by_role("group", name=group)
    found = table.locator("tbody tr").filter(has=page.get_by_role("rowheader", name=name, exact=True))
    return found.locator("td").all_inner_texts()


def numbers(page, name):
    return row(page, "Numbers of the chosen cell", name)


def shown(page, name="old"):
    """What the cells of a map say, row by row."""
    return page.locator(f".plot svg .{name}_layer_2_marks text").all_text_contents()


def test_arrow_keys_move_a_slider_from_value_to_value_and_all_views_follow(visit, sweep):
    page = visit()
    alpha, curves = slider(page, "alpha"), page.locator(".plot svg .curves_layer_1_pathgroup")
    assert alpha.get_attribute("aria-valuetext") == "3"
    before = curves.inner_html()
    page.keyboard.press("Tab")
    for _ in range(10):
        if alpha.evaluate("e => e === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    assert alpha.get_attribute("aria-valuetext") == "1"
    old, new = (number(sweep.table, f"{side}_validation", alpha=1.0) for side in ("old", "new"))
    told = "EBLL with alpha 1, distillation weight 1, reconstruction weight 0.01 on letters-digits, validation images: "
    until_told(page, f"{told}{old} % on the old task, {new} % on the new task", "(3 seeds)")
    assert page.get_by_role("status").inner_text() in description(page)
    assert [cell.split(" ")[0] for cell in numbers(page, "EBLL")[:2]] == [old, new]
    assert f"LwF: {numbers(page, 'LwF')[0].split(' ')[0]} %" in page.get_by_role("status").inner_text()
    assert before != curves.inner_html()
    page.keyboard.press("End")
    assert alpha.get_attribute("aria-valuetext") == "10"
    until_told(page, "(2 seeds, 1 failed)")
    assert page.locator(".failures").inner_text() == "Seed 1 failed: The loss became NaN at step 7."
    assert alpha.evaluate("e => getComputedStyle(e).outlineStyle") == "solid", "the focus is seen"
    assert "alpha=10, distill_weight=1, recon_weight=0.01, seed=0" in page.get_by_label("config").first.input_value()


def test_maps_show_numbers_missing_cells_and_failed_seeds(visit, sweep):
    page = visit()
    expected = [
        number(sweep.table, "old_validation", alpha=a, recon_weight=recon)
        for recon in (1.0, 1e-2, 1e-4)  # the larger value stands higher
        for a in (0.3, 1.0, 3.0, 10.0)
    ]
    expected[3] = expected[10] = ""
    assert shown(page) == expected
    notes = page.locator(".plot svg .old_layer_3_marks text").all_text_contents()
    assert [note for note in notes if note] == ["×3", "×1", "–", "×1"]
    page.get_by_text("The maps as a table").click()
    table = page.get_by_role("group", name="Table of the maps")
    assert table.locator("tbody tr").count() == 12
    assert row(page, "Table of the maps", "3, 0.0001") == ["–", "–", "–", "not in this sweep"]
    assert table.locator("tr.chosen th").inner_text() == "3, 0.01"
    slider(page, "reconstruction").press("Home")
    until_told(page, "this combination is not in the sweep")
    assert numbers(page, "EBLL") == []
    slider(page, "alpha").press("End")
    slider(page, "reconstruction").press("End")
    until_told(page, "no numbers (0 seeds, 3 failed)")


def test_the_address_holds_the_state(visit):
    page = visit()
    slider(page, "alpha").press("Home")
    slider(page, "distillation").press("Home")
    page.get_by_label("Tasks").select_option("letters-textures")
    page.get_by_label("Rows").select_option("distill_weight")
    page.get_by_label("Measured on").select_option("test")
    page.get_by_label("near its front only").uncheck()
    until_told(page, "textures")
    state = "#" + page.url.partition("#")[2]
    assert state == (
        "#tasks=letters-textures&method=ebll&data=test&columns=alpha&rows=distill_weight&near=false"
        "&alpha=0.3&distill_weight=1&recon_weight=0.01"
    )
    other = visit(state=state)
    assert other.get_by_role("status").inner_text() == page.get_by_role("status").inner_text()
    assert not other.get_by_label("near its front only").is_checked()
    other.evaluate("location.hash = '#alpha=7&recon_weight=1&tasks=letters-mnist&data=test'")
    told = other.get_by_role("alert").filter(has_text="letters-mnist, alpha 7, which this sweep does not have")
    told.wait_for()
    until_told(other, "alpha 3", "weight 1 on letters-digits, test images")
    page.get_by_label("Columns").select_option("distill_weight")
    assert page.get_by_label("Rows").input_value() == "alpha", "they change places rather than meet"
    page.get_by_role("button", name="Reset").click()
    until_told(page, "alpha 3, distillation weight 1, reconstruction weight 0.01 on letters-digits, validation")


def test_a_click_chooses_a_cell_and_a_pinned_one_stays_for_comparison(visit, sweep):
    page = visit()
    page.get_by_role("button", name="Pin this cell").click()
    box = page.locator(".plot svg .new_cells_1_marks path").first.bounding_box()  # alpha 0.3, lambda 1
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    until_told(page, "alpha 0.3, distillation weight 1, reconstruction weight 1 on")
    pinned = number(sweep.table, "old_validation", alpha=3.0)
    assert numbers(page, "pinned cell")[0].split(" ")[0] == pinned
    until_told(page, f"pinned cell: {pinned} %")
    legend = page.locator(".plot svg .role-legend-label text").all_text_contents()
    assert legend.count("pinned cell") == 2
    box = page.locator(".plot svg [class*=tradeoff_cells] path").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    until_told(page, "reconstruction weight 1 on")


def test_the_trade_off_shows_what_is_near_the_front_or_all(visit, folder):
    far = tables()
    far.table.loc[far.table["alpha"] == 10, ["old", "new", "old_validation", "new_validation"]] = 0.05
    export(folder / "far.html", far)
    page = visit("far.html")
    ticks = page.locator(".plot svg .tradeoff_group .role-axis-label text")
    assert "20" not in ticks.all_text_contents()
    page.get_by_label("near its front only").uncheck()
    ticks.filter(has_text=re.compile("^20$")).first.wait_for(state="attached")


@pytest.mark.parametrize("size", SIZES)
def test_nothing_shuts_people_out_and_nothing_sticks_out(visit, size, keep):
    page = visit(size=size)
    page.get_by_text("The maps as a table").click()
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator(".plot svg.marks").bounding_box()["width"] <= SIZES[size][0]
    page.get_by_text("The maps as a table").click()
    keep(page.locator("body"), f"page-{size}")
    page.get_by_role("group", name="Numbers of the chosen cell").scroll_into_view_if_needed()
    if size == "phone":
        box = slider(page, "alpha").bounding_box()
        assert 0 <= box["y"] < 200, "the sliders stay in sight"
        assert box["width"] >= 100


@pytest.mark.parametrize(
    ("name", "made", "words"),
    [
        ("three", {"tasks": [["letters", "digits", "textures"]], "alpha": [(1.0, 3.0), (3.0, 1.0)]},
         ["alpha 1, 3", "on letters-digits-textures"]),
        ("one", {"method": "ebll", "tasks": ["letters", "digits"], "alpha": 1.0, "distill_weight": 1.0,
                 "recon_weight": 1e-2, "seed": 0}, ["EBLL on letters-digits", "(1 seed)"]),
        ("bare", {"curves": False}, ["% on the new task (3 seeds)"]),
        ("two-methods", {"method": ["ebll", "ebll-separate"]}, ["EBLL with alpha 3"]),
    ],
)  # fmt: skip
def test_sweeps_of_other_kinds(visit, folder, name, made, words):
    export(folder / f"{name}.html", tables(**made))
    page = visit(f"{name}.html")
    until_told(page, *words)
    assert page.get_by_role("slider").count() == (0 if name == "one" else 3)
    if name == "two-methods":
        page.get_by_label("Method").select_option("EBLL, separate operators")
        until_told(page, "EBLL, separate operators with alpha 3")
    assert [one["id"] for one in Axe().run(page).response["violations"]] == []


def test_on_paper_there_are_no_controls(visit):
    page = visit()
    page.emulate_media(media="print")
    assert page.get_by_role("slider").count() == 0
    assert page.get_by_role("status").is_visible()
    assert page.locator(".plot svg.marks").is_visible()
