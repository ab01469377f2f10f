"""Where things stand in the pictures drawn in parts, and the words of the forgetting lab and the explorer."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from panel_rig import LONG, pixels
from plots_rig import out_of_view
from test_figures_live import METHOD, fresh, traces, words

from ebll.figures import lab
from ebll.figures.explorer import BARS, ExplorerPlot, explorer_alt
from ebll.figures.live import LivePlot, Mark
from ebll.live import LAB_METHODS

pytestmark = pytest.mark.slow  # how pictures look; what they show is in the tests of their tables
EIGHT = [f"pinned {name}" for name in "ABCDEFGH"]


def explored(code_size=16, title="letters A (MLP, seed 0)", caption="Held-out images. " * 13, **changes):
    rng = np.random.default_rng(code_size)
    points = pd.DataFrame(rng.normal(size=(20, 4)), columns=["x", "y", "x_back", "y_back"])
    return {
        "points": points,
        "others": rng.normal(size=(50, 2)),
        "accuracy": dict.fromkeys(BARS, 1.0),
        "missed": {"autoencoder": 0.123, "pca": 0.9},
        "holds": list(np.geomspace(0.1, 1e-9, 256)),
        "field": rng.random((8, 8)),
        "extent": (-3.0, 3.0, -2.0, 2.0),
        "code_size": code_size,
        "title": title,
        "caption": caption,
    } | changes


def lab_plot(old, new, names=("lwf", "ebll"), top=5.0, compared=(), marks=()):
    method = names[-1]
    plot = LivePlot(lab.lab_panels(old, new, method), 100, f"optimiser step on {new}")
    title = lab.lab_title(old, new, "cnn", 100, f"alpha 3, {'learning rate 0.002, ' * 8}")
    told = {"title": title, "caption": lab.lab_caption(old, new, 128, compared), "marks": marks}
    plot.frame(traces(names, top=top), **words(names, **told))
    return plot


def explorer(**changes):
    plot = ExplorerPlot()
    plot.frame(**explored(**changes))
    return plot


MARKS = [Mark(at, f"recon weight {at / 7:g}") for at in (0, 45, 55, 100)]
PLOTS = {
    "lab": lambda: lab_plot("letters", "textures"),
    "lab, all methods": lambda: lab_plot("letters", "textures", LAB_METHODS),
    "lab, long names": lambda: lab_plot(LONG, LONG[::-1], LAB_METHODS, compared=[*EIGHT, "the run before"]),
    "lab, many pinned": lambda: lab_plot("letters", "textures", compared=[*EIGHT, "the run before"]),
    "lab, marks": lambda: lab_plot("letters", "textures", marks=MARKS),
    "lab, large numbers": lambda: lab_plot("letters", "textures", top=4e14),
    "lab, beyond numbers": lambda: lab_plot("letters", "textures", top=1e200),
    "explorer": explorer,
    "explorer, long names": lambda: explorer(title=f"{LONG} class of a long name, too", caption=LONG * 8),
    "explorer, far": lambda: explorer(extent=(-300.0, 300.0, -20.0, 20.0), missed={"autoencoder": 3.4, "pca": 0.0}),
}


@pytest.fixture(scope="module")
def plots():
    return {name: make() for name, make in PLOTS.items()}


@pytest.mark.parametrize("name", PLOTS)
def test_parts_do_not_share_a_pixel(plots, name):
    canvas = plots[name]._canvas
    width, height = (round(100 * side) for side in (canvas.width, canvas.height))
    owners = np.zeros((height, width), int)
    for _, (left, top, right, bottom) in canvas._cells.values():
        owners[top:bottom, left:right] += 1
    owners[: round(100 * canvas._edges[0])] += 1
    owners[height - round(100 * canvas._edges[1]) :] += 1
    assert owners.max() == 1


@pytest.mark.parametrize("name", PLOTS)
def test_text_and_axes_are_inside_the_cell_of_their_part(plots, name):
    canvas = plots[name]._canvas
    renderer, height = canvas.figure.canvas.get_renderer(), 100 * canvas.height
    hidden = out_of_view(canvas.figure)
    for key, (axes, (left, top, right, bottom)) in canvas._cells.items():
        texts = [text for text in axes.findobj(Text) if text.get_visible() and text.get_text().strip()]
        for artist in [axes.patch, *(text for text in texts if text not in hidden)]:
            box = artist.get_window_extent(renderer)
            around = (left - 1, height - bottom - 1, right + 1, height - top + 1)
            inside = around[0] <= box.x0 and around[1] <= box.y0 and box.x1 <= around[2] and box.y1 <= around[3]
            assert inside, (key, artist, box.extents.round(1).tolist(), around)


@pytest.mark.parametrize("name", PLOTS)
def test_heading_legend_and_caption_are_inside_their_edges_and_apart(plots, name):
    canvas = plots[name]._canvas
    renderer, (head, foot) = canvas.figure.canvas.get_renderer(), (100 * edge for edge in canvas._edges)
    width, height = 100 * canvas.width, 100 * canvas.height
    title, caption = canvas.figure.texts
    (legend,) = canvas.figure.legends
    boxes = [one.get_window_extent(renderer) for one in (title, legend, caption)]
    for box in boxes:
        assert box.x0 >= 0, box.extents
        assert box.x1 <= width, box.extents
    assert all(box.y0 >= height - head - 0.5 for box in boxes[:2]), [box.extents for box in boxes[:2]]
    assert boxes[2].y1 <= foot + 0.5
    assert not any(one.padded(-1).overlaps(two.padded(-1)) for one, two in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("name", PLOTS)
def test_text_is_large_enough_and_labels_of_one_part_do_not_touch(plots, name):
    canvas = plots[name]._canvas
    renderer, hidden = canvas.figure.canvas.get_renderer(), out_of_view(canvas.figure)
    for axes, _ in canvas._cells.values():
        texts = [text for text in axes.findobj(Text) if text.get_visible() and text.get_text().strip()]
        texts = [text for text in texts if text not in hidden]
        assert min(text.get_fontsize() for text in texts) >= 8
        still = [text for text in texts if text not in axes.texts and text.axes is axes]
        boxes = {text: text.get_window_extent(renderer).padded(-1) for text in still}
        touching = [(a, b) for a, b in itertools.combinations(boxes, 2) if boxes[a].overlaps(boxes[b])]
        assert not touching


@pytest.mark.parametrize("before", [{}, {"code_size": 200, "holds": [0.1] * 30, "extent": (0.0, 9.0, 0.0, 9.0)}])
def test_an_explorer_frame_is_what_it_would_be_from_scratch(before):
    plot = explorer(title="something else", **before)
    plot.frame(quick=True, **explored(3, missed={"autoencoder": 9.9, "pca": 0.5}))
    assert np.array_equal(pixels(plot.frame(**explored())), pixels(ExplorerPlot().frame(**explored())))


@pytest.mark.parametrize("odd", [np.nan, np.inf, 1e18])
def test_odd_numbers_leave_the_explorer_with_a_picture(odd):
    plot, base = ExplorerPlot(), explored()
    shown = base | {
        "points": base["points"] * odd,
        "field": base["field"] * odd,
        "missed": {"autoencoder": odd, "pca": 0.5},
        "holds": [odd] * 256,
    }
    assert pixels(plot.frame(**shown)).shape == (540, 760, 3)
    text = explorer_alt("Title", shown["accuracy"], shown["missed"], shown["holds"], 16)
    assert text.endswith(".")
    assert "Share of the spread missed: through the autoencoder " in text
    assert np.array_equal(pixels(plot.frame(**base)), pixels(ExplorerPlot().frame(**base)))


def test_bars_and_points_of_the_explorer_are_where_the_numbers_say():
    shown = explored(accuracy={"direct": 0.9, "autoencoder": 0.5, "pca": 0.25})
    plot = ExplorerPlot()
    plot.frame(**shown)
    assert [bar.get_width() for bar, _ in plot._rows.values()] == [90, 50, 25]
    assert [text.get_text() for _, text in plot._rows.values()] == [" 90.0", " 50.0", " 25.0"]
    assert np.array_equal(plot._here.get_ydata(), shown["points"]["y"])
    assert np.array_equal(np.array(plot._ways.get_segments())[:, 1, 0], shown["points"]["x_back"])
    assert plot.picture("Seen.", pd.DataFrame({"a": [1]})).alt == "Seen."


RECORD = {
    "ebll": [
        {"step": 0, "feature_distance": 0.0, "accuracy": 0.9, "accuracy_new": 0.1, "loss_task": 2.0, "loss_code": 0.5},
        {"step": 10, "feature_distance": 4.0, "accuracy": 0.8, "accuracy_new": 0.5, "loss_task": 1.0, "loss_code": 0.2},
        {"step": 20, "feature_distance": 2.0, "accuracy": 0.85, "accuracy_new": 0.625},
    ],
    "finetune": [],
}


def test_lab_words_tell_the_course_and_both_accuracies():
    told = lab.lab_alt("letters → textures", RECORD, "letters", "textures", ["alpha is 3 from step 10"])
    assert told == (
        "letters → textures. Fine-tuning: nothing measured. EBLL: feature distance rises to 4.00 at step 10, then ends "
        "at 2.00 at step 20, 50 % of its peak; accuracy on letters 90.0 % to 85.0 %, on textures 10.0 % to 62.5 %. "
        "alpha is 3 from step 10."
    )


def test_lab_words_for_values_beyond_numbers():
    last = RECORD["ebll"][-1] | {"feature_distance": np.inf, "accuracy": np.nan}
    told = lab.lab_alt("Title", {"ebll": [*RECORD["ebll"][:2], last]}, "letters", "textures")
    assert "rises to 4.00 at the last step, 10, beyond all numbers at times" in told
    assert "accuracy on letters 90.0 % to not a number" in told


def test_lab_caption_legend_and_terms():
    assert lab.lab_caption("a", "b", 9) == "One run a method, no interval; 9 held-out images of a and of b."
    assert lab.lab_caption("a", "b", 9, ["x", "y"]).endswith("9 held-out images of a and of b. Faint: x and y.")
    assert lab.lab_legend(RECORD) == (METHOD["finetune"], METHOD["ebll"])
    assert [look.label for look in lab.lab_terms(RECORD, "ebll")] == ["task", "code"]
    assert lab.lab_terms(RECORD, "lwf") == ()


def test_lab_table_has_a_row_a_step_and_the_facts_in_front():
    table = lab.lab_table(RECORD, net="mlp", seed=3)
    assert list(table.columns[:4]) == ["net", "seed", "method", "step"]
    assert table["accuracy_new"].tolist() == [0.1, 0.5, 0.625]
    assert table["loss_code"].dropna().tolist() == [0.5, 0.2]
    assert set(table["net"]) == {"mlp"}
    assert "loss_distill" not in table
    assert lab.lab_table({"ebll": []}, net="mlp").empty


def test_lab_traces_are_the_columns_of_the_record():
    made = {(t.panel, t.name): t for t in lab.lab_traces(RECORD, terms_of="ebll", prefix="A: ", broken=["ebll"])}
    assert made["old", "A: EBLL"].y == [90.0, 80.0, 85.0]
    assert made["new", "A: EBLL"].y == [10.0, 50.0, 62.5]
    assert made["terms", "A: code"].x == [0, 10]
    assert made["distance", "A: EBLL"].cross
    assert not made["terms", "A: code"].cross
    assert made["distance", "A: Fine-tuning"].x == []


def test_the_word_of_a_mark_stands_beside_its_line():
    plot = fresh()
    plot.frame([], marks=[Mark(10, "alpha 0"), Mark(90, "alpha 3")])
    boxes = [text.get_window_extent() for text in plot._axes["distance"].texts]
    lines = [plot._axes["distance"].transData.transform((x, 0))[0] for x in (10, 90)]
    assert boxes[0].x0 >= lines[0]
    assert boxes[1].x1 <= lines[1]
