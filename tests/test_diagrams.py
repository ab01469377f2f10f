"""The diagrams: readable in both themes, nothing on top of each other, and the committed files are what is drawn."""

import functools
import itertools
import re
from xml.etree import ElementTree

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch
from tiny import SETTINGS, method, same, sequence, small, state

from docs.diagrams import draw
from docs.diagrams.sheet import THEMES, contrast, readable
from ebll import METHODS, run_sequence
from ebll.plots import style

SVG = "{http://www.w3.org/2000/svg}"
each = pytest.mark.parametrize(("name", "kind"), list(itertools.product(draw.DIAGRAMS, THEMES)))


@functools.cache
def drawn(name, kind):
    with style.drawing():
        return draw.DIAGRAMS[name](THEMES[kind])


def words(svg):
    root = ElementTree.fromstring(svg)
    return sorted("".join(part.itertext()) for kind in ("title", "desc", "text") for part in root.iter(SVG + kind))


def test_contrast_by_hand():
    assert contrast("#000000", "#ffffff") == contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#777777") == 1
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the greys on either side of WCAG's line
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_colours_of_the_plots_change_no_more_than_they_must(theme):
    for color_of_plots in (one.color for one in (*style.METHODS.values(), *style.TERMS.values())):
        color = readable(color_of_plots, theme)
        lowest = min(contrast(color, ground) for ground in (theme.ground, theme.band))
        assert lowest >= theme.ratio >= 4.5
        assert color == color_of_plots or lowest < theme.ratio + 0.3


@each
def test_every_text_and_line_stands_out_from_what_is_behind_it(name, kind):
    sheet = drawn(name, kind)
    patches = sorted(sheet.axes.patches, key=lambda patch: patch.get_zorder())
    filled = [p for p in patches if p.get_facecolor()[3] and not isinstance(p, FancyArrowPatch)]

    def behind(x, y, below):
        place = sheet.axes.transData.transform((x, y))
        under = [p for p in filled if p.get_zorder() < below and p.contains_point(place)]
        return to_hex(under[-1].get_facecolor()) if under else sheet.theme.ground

    for text in sheet.axes.texts:
        assert text.get_fontsize() >= 11
        assert contrast(to_hex(text.get_color()), behind(*text.get_position(), text.get_zorder())) >= 4.5, text
    for patch in (p for p in patches if p.get_linewidth() >= 1 and p.get_edgecolor()[3]):
        for ground in (sheet.theme.ground, sheet.theme.band):
            assert contrast(to_hex(patch.get_edgecolor()), ground) >= 3, patch
    for line in sheet.axes.lines:
        assert contrast(line.get_color(), sheet.theme.band) >= 3
    for part in (sheet.theme.trained, sheet.theme.frozen, sheet.theme.hatch):
        assert contrast(sheet.theme.ink, part) >= 4.5  # names stand on these


@pytest.mark.parametrize("name", draw.DIAGRAMS)
def test_no_two_texts_overlap_and_all_are_inside(name):
    sheet = drawn(name, "light")
    renderer = FigureCanvasAgg(sheet.figure).get_renderer()
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in sheet.axes.texts]
    assert len(boxes) > 15
    for (one, first), (other, second) in itertools.combinations(boxes, 2):
        assert not first.padded(-1.5).overlaps(second.padded(-1.5)), (one, other)
    for text, box in boxes:
        assert min(box.x0, 800 - box.x1, box.y0, sheet.height - box.y1) >= 2, text


@each
def test_the_committed_file_is_what_is_drawn_and_has_its_text(name, kind):
    path = draw.FOLDER / f"{name}-{kind}.svg"
    kept, alt = path.read_text(encoding="utf-8"), path.with_name(f"{name}.txt").read_text(encoding="utf-8").strip()
    sheet = drawn(name, kind)
    assert words(kept) == words(sheet.svg())  # not their bytes, which another version of matplotlib may write otherwise
    root = ElementTree.fromstring(kept)
    assert (root.get("role"), root.get("viewBox")) == ("img", f"0 0 800 {sheet.height}")
    assert root[0].tag == SVG + "title"
    assert root[1].tag == SVG + "desc"
    assert root[1].text == alt == sheet.alt
    assert len(kept) < 60_000
    assert not re.search(r"\bDate\b|metadata|Matplotlib", kept)
    assert THEMES[kind].ground in kept


def test_a_diagram_is_drawn_to_the_same_bytes_each_time():
    assert drawn("data-flow", "dark").svg() == drawn.__wrapped__("data-flow", "dark").svg()


def test_every_method_has_a_panel_and_its_words():
    sheet = drawn("networks", "light")
    as_others = {"code-only", "l2", "input-moments", "kfac"}  # the last three train and freeze what EWC does
    assert draw.PANELS.keys() | as_others >= METHODS.keys()
    shown = {text.get_text() for text in sheet.axes.texts}
    for label in ("Replay", *(METHODS[name].label for name in draw.PANELS if name in METHODS)):
        assert label in shown
        assert label.replace(", ", " with ") in sheet.alt


@pytest.mark.parametrize("name", [name for name in draw.PANELS if name in METHODS])
def test_parts_shown_as_frozen_are_those_that_a_second_task_leaves_as_they_are(name):
    tasks = sequence(2)
    run = run_sequence(tasks[:1], method(name), net=small, settings=SETTINGS)
    before, after = run.net, run_sequence(tasks, method(name), net=small, settings=SETTINGS).net
    parts = {"F": (before.features, after.features), "old": (before.heads[0], after.heads[0])}
    if name == "ebll-separate":  # the new operator begins as a copy of the old one
        parts["new"] = (after.heads[0][0], after.heads[1][0])
    else:
        parts["T"] = (before.operator, after.operator)
    frozen = {part for part, (then, now) in parts.items() if same(state(then), state(now))}
    assert frozen == set(draw.PANELS[name][1].split())
