"""Pictures drawn in parts: whatever came before, a frame is what it would be if drawn from scratch."""

import io
import itertools
import subprocess
import sys
import threading

import matplotlib
import numpy as np
import pandas as pd
import pytest
from panel_rig import pixels
from PIL import Image

from ebll.figures import lab
from ebll.figures.live import LivePlot, Mark, Panel, Trace
from ebll.figures.style import METHODS, TERMS

pytestmark = pytest.mark.slow  # how pictures look; what they show is in the tests of their tables
PANELS = lab.lab_panels("letters", "textures", "ebll")
STEPS = 100
METHOD = dict(itertools.islice(METHODS.items(), 2, None))


def traces(names=("lwf", "ebll"), points=8, top=5.0, pale=(), cross=()):
    """Curves that differ by method and panel, the first of which reach `top`."""
    x, made = np.linspace(0, STEPS, points), []
    for i, name in enumerate(names):
        for panel, height in (("distance", top), ("old", 90.0), ("new", 60.0)):
            y = height * np.abs(np.sin(x / 30 + i)) * (1 - 0.1 * i)
            made.append(Trace(panel, METHOD[name].label, METHOD[name], x, y, name in pale, name in cross))
    made += [Trace("terms", look.label, look, x, 0.01 * top * (x + 1) ** (i - 1)) for i, look in
             enumerate(TERMS.values())]  # fmt: skip
    return made


def words(names=("lwf", "ebll"), **more):
    return {
        "title": "letters → textures",
        "caption": lab.lab_caption("letters", "textures", 128),
        "legend": [METHOD[name] for name in names],
        "inner": {"terms": list(TERMS.values())[:2]},
    } | more


def fresh():
    return LivePlot(PANELS, STEPS, "optimiser step on textures")


HISTORIES = {
    "nothing before": [],
    "a part of the points": [(traces(points=3), words()), (traces(points=5), words())],
    "lower limits": [(traces(top=0.5), words()), (traces(top=2.0), words())],
    "other limits, twice": [(traces(top=0.5), words()), (traces(), words()), (traces(top=0.7), words())],
    "more traces": [(traces(("lwf", "ewc", "ebll", "finetune")), words(("ewc", "ebll", "finetune")))],
    "traces in another order": [(traces(("ebll", "lwf")), words(("ebll", "lwf")))],
    "fewer traces": [(traces(("ebll",)), words(("ebll",)))],
    "another look of the same": [(traces(pale=("ebll",), cross=("lwf",)), words())],
    "another legend": [(traces(), words(("ebll",), inner=None))],
    "other marks": [(traces(), words(marks=[Mark(90, "alpha 3"), Mark(10, "alpha 0"), Mark(20, "alpha 1")]))],
    "other words": [(traces(), words(title="a much longer title, gone now", caption="one\n" * 9))],
    "no traces": [(traces(), words()), ([], words())],
    "values that are none": [(traces(top=np.nan), words()), (traces(top=-3.0), words())],
}
LOOKS = {
    "plain": (traces(), words()),
    "marked, pale and broken": (
        traces(("finetune", "lwf", "ebll"), pale=("lwf",), cross=("ebll",)),
        words(("finetune", "lwf", "ebll"), marks=[Mark(10, "alpha 0"), Mark(60, "alpha 30")]),
    ),
}


@pytest.fixture(scope="module")
def scratch():
    return {name: fresh().frame(shown, **told) for name, (shown, told) in LOOKS.items()}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("history", HISTORIES)
def test_a_frame_is_what_it_would_be_from_scratch(scratch, look, history):
    plot = fresh()
    for number, (shown, told) in enumerate(HISTORIES[history]):
        plot.frame(shown, quick=bool(number % 2), **told)
    shown, told = LOOKS[look]
    different = (pixels(plot.frame(shown, **told)) != pixels(scratch[look])).any(axis=2)
    assert not different.any(), f"{different.sum()} pixels, at {np.argwhere(different)[:3].tolist()}"


def test_limits_grow_and_shrink_only_in_reset():
    plot = fresh()
    heights = []
    for top in (0.5, 40.0, 3.0):
        plot.frame(traces(top=top), **words())
        heights.append(plot._axes["distance"].get_ylim())
    assert heights[0][1] < 40 <= heights[1][1] == heights[2][1]
    plot.reset(steps=STEPS)
    assert np.array_equal(
        pixels(plot.frame(*LOOKS["plain"][:1], **words())), pixels(fresh().frame(traces(), **words()))
    )


@pytest.mark.parametrize("top", [0.3, 1.0, 7.0, 149.0, 2e4])
def test_every_finite_value_is_inside_the_limits_and_percent_is_always_the_same(top):
    plot = fresh()
    plot.frame(traces(top=top), **words())
    for panel in ("distance", "terms"):
        peak = max(np.max(trace.y) for trace in traces(top=top) if trace.panel == panel)
        assert peak <= plot._axes[panel].get_ylim()[1] <= max(11 * peak, 10)
    assert plot._axes["old"].get_ylim() == plot._axes["new"].get_ylim() == (0, 100)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 1e18, -1e18, 1e308, 0.0])
def test_odd_values_leave_a_picture_and_the_rest_of_the_curve(odd):
    shown = [Trace(p.key, "EBLL", METHOD["ebll"], [0, 50, 100], [0.5, odd, 0.5]) for p in PANELS]
    plot = fresh()
    with matplotlib.rc_context({"agg.path.chunksize": 0}):
        drawn = plot.frame(shown, **words())
    assert pixels(drawn).shape == (570, 760, 3)
    (line,) = plot._drawn["distance", "EBLL"]
    low, high = plot._axes["distance"].get_ylim()
    expected = np.nan if np.isnan(odd) else np.clip(odd, low, high)
    assert np.array_equal(line.get_ydata(), [0.5, expected, 0.5], equal_nan=True)
    assert plot.readout()[0]["series"][0]["y"] == [0.5, odd if np.isfinite(odd) else None, 0.5]
    plot.frame(traces(), **words())


def test_a_nought_is_a_gap_where_the_axis_is_logarithmic_and_a_point_elsewhere():
    plot = fresh()
    plot.frame([Trace(p.key, "EBLL", METHOD["ebll"], [0, 50, 100, 150], [0.0, 0.5, 1e-6, 0.0]) for p in PANELS])
    drawn = {panel: line.get_ydata() for (panel, _), (line,) in plot._drawn.items()}
    assert np.array_equal(drawn["terms"], [np.nan, 0.5, 1e-3, np.nan], equal_nan=True)
    assert np.array_equal(drawn["distance"], [0.0, 0.5, 1e-6, 0.0])
    shown = next(part for part in plot.readout() if part["title"] == plot.panels[1].title)
    assert shown["series"][0]["y"] == [0.0, 0.5, 1e-6, 0.0], "under the pointer it is a value as any other"


def test_lines_stay_inside_their_axes():
    """Pixels outside all axes are the same with and without lines that go far beyond them."""
    plot, wild = fresh(), [Trace(p.key, "EBLL", METHOD["ebll"], [-900, 50, 900], [-1e9, 1e9, -1e9]) for p in PANELS]
    plot.frame(wild, **words())
    drawn, empty = pixels(plot.frame(wild, **words())), pixels(plot.frame([], **words()))
    outside = np.ones(drawn.shape[:2], bool)
    for part in plot.readout():
        left, top, right, bottom = np.array(part["box"]) * [760, 570, 760, 570]
        outside[int(top) - 5 : int(bottom) + 6, int(left) - 5 : int(right) + 6] = False  # markers on the edge are whole
    assert np.array_equal(drawn[outside], empty[outside])
    assert (drawn != empty).any()


def test_the_readout_has_the_boxes_ranges_and_values_of_the_axes():
    plot, shown = fresh(), traces()
    frame = pixels(plot.frame(shown, **words()))
    read = plot.readout()
    assert [part["title"] for part in read] == [panel.title for panel in PANELS]
    for panel, part in zip(PANELS, read, strict=True):
        axes = plot._axes[panel.key]
        box = axes.get_window_extent()
        left, top, right, bottom = np.array(part["box"]) * [760, 570, 760, 570]
        assert (left, 570 - bottom, right, 570 - top) == pytest.approx(box.extents, abs=0.1)
        assert tuple(part["range"]) == axes.get_xlim()
        mine = [trace for trace in shown if trace.panel == panel.key]
        assert [series["name"] for series in part["series"]] == [trace.name for trace in mine]
        for series, trace in zip(part["series"], mine, strict=True):
            assert series["x"] == list(trace.x)
            assert series["y"] == pytest.approx(list(trace.y), rel=1e-3)
    # The pixel where the readout places EBLL's last point has EBLL's colour.
    part = read[0]
    series, (low, high) = part["series"][-1], plot._axes["distance"].get_ylim()
    across = (series["x"][-1] - part["range"][0]) / (part["range"][1] - part["range"][0])
    up = (series["y"][-1] - low) / (high - low)
    left, top, right, bottom = np.array(part["box"]) * [760, 570, 760, 570]
    found = frame[int(bottom + up * (top - bottom)), int(left + across * (right - left))]
    assert found == pytest.approx([int(METHOD["ebll"].color[i : i + 2], 16) for i in (1, 3, 5)], abs=40)


def test_quick_is_a_jpeg_that_looks_like_the_png():
    plot = fresh()
    full, quick = plot.frame(traces(), **words()), plot.frame(traces(), quick=True, **words())
    assert [Image.open(io.BytesIO(one)).format for one in (full, quick)] == ["PNG", "JPEG"]
    away = np.abs(pixels(full).astype(int) - pixels(quick)).max(axis=2)
    assert np.quantile(away, 0.99) <= 24


def test_a_picture_is_independent_of_later_frames_and_has_words_and_numbers():
    plot, table = fresh(), pd.DataFrame({"step": [0, 1]}, index=[5, 6])
    plot.frame(traces(), **words())
    picture, twin = (plot.picture("Seen in words.", table) for _ in range(2))
    before = twin._repr_png_()
    plot.frame(traces(("ewc",), top=800.0), **words(("ewc",), title="later"))
    plot.reset()
    assert picture._repr_png_() == before
    data, metadata = picture._repr_mimebundle_()
    assert metadata == {"image/png": {"alt": "Seen in words."}}
    assert data["text/plain"] == picture.alt == "Seen in words."
    pd.testing.assert_frame_equal(picture.table, table.reset_index(drop=True))


def test_a_picture_has_the_lines_of_the_frame(scratch):
    plot = fresh()
    shown, told = LOOKS["marked, pale and broken"]
    plot.frame(shown, **told)
    picture = pixels(plot.picture("Seen.", pd.DataFrame())._repr_png_())
    frame = pixels(scratch["marked, pale and broken"])
    picture = np.asarray(Image.fromarray(picture).resize(frame.shape[1::-1]))
    assert np.mean(np.abs(picture.astype(int) - frame).max(axis=2) > 60) < 0.01


def test_threads_that_draw_at_once_get_whole_pictures(scratch):
    shared, plots, found, wrong = fresh(), [fresh() for _ in range(3)], [], []

    def draw(plot, look):
        try:
            for _ in range(3):
                found.append((look, plot.frame(LOOKS[look][0], **LOOKS[look][1])))
        except Exception as error:
            wrong.append(error)

    jobs = [(shared, "plain"), (shared, "marked, pale and broken"), *((plot, "plain") for plot in plots)]
    threads = [threading.Thread(target=draw, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert len(found) == 15
    assert all(np.array_equal(pixels(picture), pixels(scratch[look])) for look, picture in found)


def test_themes_of_the_notebook_neither_leak_in_nor_out(scratch):
    theme = {"axes.facecolor": "black", "font.size": 30, "font.family": "serif", "lines.markeredgecolor": "red",
             "lines.dash_capstyle": "projecting", "text.color": "white", "savefig.dpi": 30}  # fmt: skip
    shown, told = LOOKS["marked, pale and broken"]
    with matplotlib.rc_context(theme):
        themed = fresh().frame(shown, **told)
        assert {key: matplotlib.rcParams[key] for key in theme} == theme | {"font.family": ["serif"]}
    assert np.array_equal(pixels(themed), pixels(scratch["marked, pale and broken"]))


def test_one_panel_alone_and_a_trace_of_no_panel():
    plot = LivePlot([Panel("a", "A")], 10, "step")
    look = METHOD["ebll"]
    plot.frame([Trace("a", "x", look, [1], [2]), Trace("b", "y", look, [1], [2]), Trace("a", "empty", look, [], [])])
    assert [[s["name"] for s in part["series"]] for part in plot.readout()] == [["x"]]


@pytest.mark.slow
def test_pyplot_is_never_imported():
    code = "import sys, ebll.figures.live, ebll.figures.lab, ebll.figures.explorer as e; e.ExplorerPlot(); " \
           "sys.exit('matplotlib.pyplot' in sys.modules)"  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0
