"""The site of this kit in a browser, from disk and without a network: mathematics, search, keys, words for the ear."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from ebll.site import build
from tests.browser.conftest import ROOT

SIZES = {"light": (1400, 1000), "dark": (1920, 1080), "phone": (360, 740)}
LOOKED_AT = [  # each kind of page, and each size and scheme twice at least: axe takes seconds
    ("index.html", "phone"), ("notebooks/00_first_look.html", "dark"), ("notebooks/00_first_look.html", "phone"),
    ("notebooks/06_ewc_and_parameter_constraints.html", "light"), ("docs/equations.html", "light"),
    ("docs/equations.html", "dark"), ("docs/glossary.html", "phone"), ("api/losses.html", "dark"),
    ("slides/04_ebll.html", "light"), ("slides/04_ebll.html", "phone"),
]  # fmt: skip
# Without `preload`, which asks for style sheets in a way that pages from disk may not, and without frames, whose pages
# have tests of their own; and axe does not count a formula (MathML) as the text of a table's heading.
RULES = {"preload": False, "iframes": False, "rules": {"empty-table-header": {"enabled": False}}}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return build(tmp_path_factory.mktemp("site"), ROOT).folder


@pytest.fixture
def visit(chromium, site):
    """Open a page offline; nothing but files may be asked for, each has to be there, and no error may be said."""
    visits = []

    def open_(name, size="light", lacks="nothing"):
        width, height = SIZES[size]
        scheme = "light" if size == "light" else "dark"
        shape = {"width": width, "height": height}
        context = chromium.new_context(viewport=shape, offline=True, color_scheme=scheme)
        context.set_default_timeout(15_000)
        page, told = context.new_page(), []
        page.on("console", lambda message: told.append(f"{message.text} {message.location['url']}"))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on(
            "requestfailed",
            lambda request: None if request.url.startswith("blob:") else told.append(f"not there: {request.url}"),
        )
        page.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else told.append(request.url),
        )
        visits.append((context, told, lacks))
        page.goto((site / name).as_uri())
        return page

    yield open_
    for context, told, lacks in visits:
        context.close()
        assert [words for words in told if lacks not in words] == []


def first_chart(page):
    """The first chart of a page or of its slides, brought into sight and drawn."""
    box = page.locator(".chart").first
    if "/slides/" in page.url:
        turn_to(page, ".chart")
    else:
        box.scroll_into_view_if_needed()
    box.locator("[data-drawn]").wait_for()
    return box


def turn_to(page, what):
    """Show the slide with the first of these."""
    page.locator(".reveal.ready").wait_for()
    page.evaluate(f"""() => {{
        const {{ h, v }} = Reveal.getIndices(document.querySelector("{what}").closest("section"));
        Reveal.slide(h, v);
    }}""")


@pytest.mark.parametrize(("name", "size"), LOOKED_AT)
def test_nothing_shuts_people_out_nothing_sticks_out_and_formulas_are_set(visit, name, size):
    page = visit(name, size)
    for folded in page.locator("main details:not([open]) > summary").all()[:3]:
        folded.click()
    page.evaluate("document.fonts.ready")
    found = Axe().run(page, options=RULES).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator(".katex-error").count() == 0
    if name == "docs/equations.html":
        assert page.locator("main .katex").count() > 50
        loaded = "[...document.fonts].some((font) => font.family === 'KaTeX_Math' && font.status === 'loaded')"
        assert page.evaluate(loaded)
    bare = """document.querySelectorAll("main :is(pre, code, .katex)").forEach((tag) => tag.remove());
        document.querySelector("main").textContent.match(/.{0,20}[$].*/g)"""
    assert page.evaluate(bare) is None, "every formula is set"


def test_search_by_keys_finds_a_section_and_goes_there(visit):
    page = visit("notebooks/05_long_sequences.html")
    page.keyboard.press("/")
    page.get_by_role("searchbox").press_sequentially("code_distance")
    page.get_by_role("status").filter(has_text="sections").wait_for()
    page.get_by_role("searchbox").fill("catastrophic forgetting")
    shown = page.get_by_role("dialog").get_by_role("link").all_inner_texts()
    assert any(text.startswith("Glossary") for text in shown)
    assert [one["id"] for one in Axe().run(page, options=RULES).response["violations"]] == []
    page.get_by_role("searchbox").fill("code_distance")
    assert page.get_by_role("dialog").get_by_role("link").first.inner_text() == "ebll.losses: code_distance"
    page.keyboard.press("Enter")
    page.wait_for_url("**/api/losses.html#code_distance")
    page.keyboard.press("/")
    page.get_by_role("searchbox").fill("zzzz")
    page.get_by_role("status").filter(has_text="zzzz").wait_for()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0


def test_without_its_index_the_search_says_so(visit, site):
    page = visit("index.html", lacks="search.js")
    kept = (site / "assets" / "search.js").read_bytes()
    (site / "assets" / "search.js").unlink()
    try:
        page.get_by_role("button", name="Search").click()
        page.get_by_role("status").filter(has_text="assets").wait_for()
    finally:
        (site / "assets" / "search.js").write_bytes(kept)


def test_one_turns_pages_and_the_sweep_unfolds(visit):
    page = visit("notebooks/06_ewc_and_parameter_constraints.html")
    page.locator("[rel=next]").click()
    page.get_by_text("Move the sliders").first.click()
    frame = page.frame_locator(".try iframe").first
    frame.locator(".plot[data-drawn]").wait_for()
    assert frame.get_by_role("slider").count() > 2


@pytest.mark.parametrize(
    "name", ["notebooks/04_ebll.html", "slides/04_ebll.html", "notebooks/03_autoencoder_submanifold.html"]
)
def test_a_chart_is_alive_in_place_of_its_picture(visit, name):
    page = visit(name)
    box = first_chart(page)
    assert not box.locator("> img").is_visible()
    assert len(box.get_by_role("img").first.get_attribute("aria-label")) > 60
    end = box.locator(".ebll-values").inner_text()
    assert page.evaluate("plot => plot.scrollHeight <= plot.clientHeight", box.locator(".ebll-plot").element_handle())
    slider = box.get_by_role("slider")
    assert slider.bounding_box()["y"] < page.viewport_size["height"] or not name.startswith("slides")
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_function(
        "([box, end]) => box.innerText !== end", arg=[box.locator(".ebll-values").element_handle(), end]
    )
    assert Axe().run(page, ".chart", options=RULES).violations_count == 0
    if name.startswith("slides"):
        page.keyboard.press("PageDown")  # though the slider has the focus, which knows that key too
        page.wait_for_function("!document.querySelector('section.present:not(.stack) .chart')")
        return
    page.emulate_media(media="print")
    assert box.locator("> img").is_visible()


@pytest.mark.parametrize("name", ["notebooks/04_ebll.html", "slides/04_ebll.html"])
def test_the_pointer_reads_the_step_below_it_also_where_a_slide_is_scaled(visit, name):
    page = visit(name, "dark")
    box = first_chart(page)
    canvas = box.locator("canvas").bounding_box()
    shown = box.locator(".ebll-scrub span").last
    steps = []
    for share in (0.15, 0.4):  # of the width: in the left panel
        before = shown.inner_text()
        page.mouse.move(canvas["x"] + share * canvas["width"], canvas["y"] + 0.3 * canvas["height"])
        page.wait_for_function("([span, before]) => span.innerText !== before", arg=[shown.element_handle(), before])
        steps.append(int(shown.inner_text().split()[0]))
    assert 10 < steps[0] < 60 < 100 < steps[1] < 152


def test_without_its_scripts_a_chart_stays_a_picture_and_without_assets_the_page_says_so(visit, site):
    page = visit("notebooks/04_ebll.html", lacks="vega.js")
    page.route("**/vega.js", lambda route: route.abort())
    page.reload()
    box = page.locator(".chart").first
    box.scroll_into_view_if_needed()
    box.get_by_text("Copy the folder assets").wait_for()
    assert box.locator("img").is_visible()
    bare = visit("notebooks/04_ebll.html", lacks="assets/")
    bare.route("**/assets/**", lambda route: route.abort())
    bare.reload()
    assert bare.get_by_text("copy it along").is_visible()


@pytest.mark.parametrize("damage", ["content = 'H4sI'", "content = btoa('{}')", "chart = 'nothing'"])
def test_a_damaged_chart_stays_a_picture_with_a_sentence_and_the_next_one_lives(visit, damage):
    page = visit("notebooks/04_ebll.html")
    page.evaluate(f"document.querySelector('.chart').dataset.{damage}")
    damaged, sound = page.locator(".chart").all()
    damaged.scroll_into_view_if_needed()
    damaged.get_by_text("damaged").wait_for()
    assert damaged.locator("img").is_visible()
    assert damaged.get_by_role("slider").count() == 0
    sound.scroll_into_view_if_needed()
    sound.locator("[data-drawn]").wait_for()


def test_the_lab_trains_below_a_notebooks_chart_and_on_its_slide(visit):
    page = visit("notebooks/02_lwf_and_its_shortcomings.html")
    page.get_by_text("Train it yourself").click()
    page.frame_locator(".try iframe").get_by_text("steps are done").wait_for()
    page = visit("slides/02_lwf_and_its_shortcomings.html")
    turn_to(page, "iframe")
    page.frame_locator("section.present iframe").get_by_text("steps are done").wait_for()


def test_on_a_phone_the_contents_are_folded_and_on_paper_they_are_gone(visit):
    page = visit("notebooks/00_first_look.html", "phone")
    link = page.locator("#contents").get_by_role("link", name="05 Long task sequences")
    assert not link.is_visible()
    page.get_by_text("Contents", exact=True).click()
    link.click()
    page.wait_for_url("**/05_long_sequences.html")
    page.emulate_media(media="print")
    assert not page.locator("header, #contents, .turn").first.is_visible()
    assert page.locator("main img").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(34, 34, 34)", "dark ink on paper"


@pytest.mark.parametrize("name", ["04_ebll", "05_long_sequences", "09_what_forgetting_is_made_of"])
def test_slides_turn_by_keys_and_hold_all_that_is_on_them(visit, name):
    page = visit(f"slides/{name}.html", "dark")
    page.locator(".reveal.ready").wait_for()
    before = page.locator("section.present:not(.stack)").inner_text()
    page.keyboard.press("Space")
    page.wait_for_url(re.compile(r"#/(1|0/1)$"))
    assert page.locator("section.present:not(.stack)").inner_text() != before
    beyond = """[...document.querySelectorAll(".slides section section")].filter((slide) => {
        slide.hidden = false;
        slide.parentElement.style.display = slide.style.display = "block";
        return slide.scrollHeight > 760 || slide.scrollWidth > 1280;
    }).map((slide) => slide.textContent)"""
    assert page.evaluate(beyond) == []
