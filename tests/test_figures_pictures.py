"""What is drawn: the style of each method, text that fits and does not overlap, words for those who cannot see it."""

import itertools
import threading

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from test_figures_data import CLAIMS, METHODS, accuracy_table, curves_table

from ebll import figures
from ebll.figures import alt, layout, style

pytestmark = pytest.mark.slow  # how pictures look; what they show is in the tests of their tables
PAIR, CURVES = "mlp:letters-textures", "cnn:letters-textures"
LONG = "cnn:handwritten_characters_of_the_alphabet-another_data_set_with_a_name"
SIX = ["mlp:a-b", "mlp:letters-mnist", "cnn:mnist-letters", "cnn:mnist-textures", PAIR, "cnn:mnist-digits-letters"]
FIVE = "cnn:mnist-digits-letters-fashion-textures"
PICTURES = {
    "distance": lambda: figures.feature_distance(curves_table(), CURVES),
    "distance, one seed": lambda: figures.feature_distance(curves_table(seeds=1), CURVES, methods=["lwf", "ebll"]),
    "distance, one point": lambda: figures.feature_distance(curves_table(seeds=2, steps=0), CURVES),
    "loss terms": lambda: figures.loss_terms(curves_table(), CURVES),
    "loss terms, log": lambda: figures.loss_terms(
        curves_table(seeds=2).assign(loss_code=lambda c: c["loss_code"] / 100), CURVES, "ebll"
    ),
    "matrix, nine": lambda: figures.accuracy_matrix(accuracy_table(), PAIR),
    "matrix, five tasks": lambda: figures.accuracy_matrix(accuracy_table(FIVE, seeds=2), FIVE),
    "matrix, long names": lambda: figures.accuracy_matrix(
        accuracy_table(LONG, seeds=1, methods=["lwf", "ewc", "ebll", "mine"]), LONG
    ),
    "forgetting, one": lambda: figures.forgetting_bars(accuracy_table()),
    "forgetting, five": lambda: figures.forgetting_bars(accuracy_table(*SIX[1:])),
    "forgetting, long names": lambda: figures.forgetting_bars(accuracy_table(LONG, PAIR, seeds=1)),
    "trade-off, one": lambda: figures.stability_plasticity(accuracy_table(), PAIR),
    "trade-off, six": lambda: figures.stability_plasticity(accuracy_table(*SIX)),
    "gap": lambda: figures.forgetting_by_gap(accuracy_table(*SIX[1:4]), SIX[1:4]),
    "gap, six, one seed": lambda: figures.forgetting_by_gap(accuracy_table(*SIX, seeds=1), SIX),
    "gap, words": lambda: figures.forgetting_by_gap(accuracy_table(*SIX[:2]), {"near": SIX[1], "far": SIX[0]}),
    "claims": lambda: figures.claims_overview([*CLAIMS, CLAIMS[0] | {"id": "C5", "unit": "ratio", "reference": 1}]),
}


@pytest.fixture(scope="module")
def pictures():
    return {name: make() for name, make in PICTURES.items()}


def visible_texts(picture):
    shown = [t for t in picture.findobj(matplotlib.text.Text) if t.get_visible() and t.get_text().strip()]
    hidden = [axes for axes in picture.axes if not axes.get_visible()]
    return [t for t in shown if t.axes not in hidden and t.get_window_extent().width > 0]


@pytest.mark.parametrize("name", PICTURES)
def test_text_is_large_enough_and_inside(pictures, name):
    picture = pictures[name]
    assert picture.get_figwidth() == 7
    picture.draw_without_rendering()
    edge = picture.bbox.padded(1)
    for text in set(visible_texts(picture)) - out_of_view(picture):
        assert text.get_fontsize() >= 9, text
        box = text.get_window_extent()
        assert edge.x0 <= box.x0 and box.x1 <= edge.x1 and edge.y0 <= box.y0 and box.y1 <= edge.y1, text  # noqa: PT018


def out_of_view(picture):
    """Return tick labels beyond the limits of their axis: they exist, but are not drawn."""
    axes = [axis for one in picture.axes for axis in (one.xaxis, one.yaxis)]
    beyond = [tick for axis in axes for tick in axis.get_major_ticks() if not within(tick.get_loc(), axis)]
    return {label for tick in beyond for label in (tick.label1, tick.label2)}


def within(value, axis):
    low, high = sorted(axis.get_view_interval())
    return low <= value <= high


@pytest.mark.parametrize("name", PICTURES)
def test_heading_legend_and_caption_have_room_of_their_own(pictures, name):
    picture = pictures[name]
    picture.draw_without_rendering()
    panels = [axes.get_tightbbox() for axes in picture.axes if axes.get_visible()]
    outside = [text.get_window_extent() for text in picture.texts]
    outside += [legend.get_window_extent() for legend in picture.legends]
    for one, two in itertools.combinations(outside, 2):
        assert not one.overlaps(two.padded(-1))
    for one, panel in itertools.product(outside, panels):
        assert not one.overlaps(panel.padded(-2))


@pytest.mark.parametrize("name", ["distance", "distance, one point", "loss terms", "loss terms, log"])
def test_end_labels_do_not_touch(pictures, name):
    picture = pictures[name]
    picture.draw_without_rendering()
    for axes in picture.axes:
        boxes = [matplotlib.text.Text.get_window_extent(label).padded(-1) for label in axes.texts]
        assert not any(one.overlaps(two) for one, two in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_has_words_and_numbers(pictures, name):
    picture = pictures[name]
    assert isinstance(picture, Figure)
    assert picture.alt.endswith(".")
    assert not any(bad in picture.alt for bad in ("nan", "..", "None", "  "))
    assert len(picture.table)
    assert ("one seed, no interval" in picture.alt.lower()) == ("one seed" in name or name.endswith("long names"))


def test_a_line_per_method_in_its_style(pictures):
    lines = {line.get_label(): line for line in pictures["distance"].axes[0].lines}
    assert list(lines) == [style.METHODS[m].label for m in METHODS[2:]]
    for look in list(style.METHODS.values())[2:]:
        line = lines[look.label]
        assert (line.get_color(), line.get_marker()) == (look.color, look.marker)
        assert line.get_linestyle() == ("-" if look.line == "-" else "--")  # dashes answer as "--"
    table = pictures["distance"].table
    ebll = table[(table.quantity == "feature_distance") & (table.method == "ebll")]
    assert np.array_equal(lines["EBLL"].get_ydata(), ebll["mean"])
    bands = pictures["distance"].axes[0].collections
    assert [to_hex(band.get_facecolor()[0]) for band in bands] == [k.color for k in list(style.METHODS.values())[2:]]


def test_panels_of_loss_terms_share_steps_and_scale(pictures):
    picture = pictures["distance"]
    assert [axes.get_title(loc="left") for axes in picture.axes] == ["", "Fine-tuning", "LwF", "EBLL"]
    assert len({axes.get_ylim() for axes in picture.axes[1:]}) == 1
    assert len({axes.get_xlim() for axes in picture.axes}) == 1
    assert [line.get_label() for line in picture.axes[3].lines] == ["task", "distillation", "code"]
    assert pictures["loss terms"].axes[0].get_yscale() == "linear"
    assert pictures["loss terms, log"].axes[0].get_yscale() == "log"


def test_bars_start_at_zero_and_have_the_means(pictures):
    picture = pictures["forgetting, one"]
    means = picture.table.drop_duplicates("method")["mean"]
    widths = [bar.get_width() for bar in picture.axes[0].patches if bar.get_height() < 1]
    assert widths == pytest.approx(list(means))
    assert all(bar.get_x() == 0 or bar.get_width() < 0 for bar in picture.axes[0].patches)


def test_matrix_prints_percent_and_half_width(pictures):
    picture = pictures["matrix, nine"]
    row = picture.table.iloc[0]
    assert picture.axes[0].texts[0].get_text() == f"{row['mean']:.1f}\n±{row['high'] - row['mean']:.1f}"
    widest = (picture.table["high"] - picture.table["mean"]).max()
    assert f"the widest is ±{widest:.1f} points" in picture.alt


def test_verdicts_are_words_and_shapes(pictures):
    axes = pictures["claims"].axes[0]
    assert [t.get_text() for t in axes.texts] == [c["verdict"] for c in CLAIMS]
    assert [line.get_marker() for line in axes.lines if line.get_marker() != "None"] == ["o", "D", "X", "o"]


def test_alt_text_tells_the_course_of_the_curve():
    curves = curves_table(seeds=1, methods=["ebll"], steps=20)
    curves["feature_distance"] = curves["step"].map({0: 0.0, 10: 17.2, 20: 3.1}).where(curves["stage"] == "train")
    picture = figures.feature_distance(curves, CURVES)
    assert "EBLL: rises to 17.2 at step 10, then ends at 3.10 at step 20, 18 % of its peak." in picture.alt
    assert (
        "One seed, no interval; held-out inputs of letters (top), training batches of textures (below)." in picture.alt
    )
    assert "Mean feature norm: 79.0 at the start; at the end 79.2 (EBLL)." in picture.alt


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0, 2, 4], "rises to 4.00 at the last step, 2"),
        ([4, 2, 1], "starts at its peak, 4.00, then ends at 1.00 at step 2, 25 % of its peak"),
        ([0, 0, 0], "stays at 0"),
        ([np.nan, np.nan, np.nan], "not measured"),
    ],
)
def test_course_in_words(values, words):
    assert alt.course([0, 1, 2], values) == words


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (18.23, "18.2"), (1234.5, "1234"), (-0.5, "−0.500"), (0.00001, "1.00e-05")]
)
def test_numbers_in_words(value, text):
    assert alt.number(value) == text


def test_alt_text_of_the_gap_has_the_paired_gain(pictures):
    gain = pictures["gap"].table.query("panel == 'gain' and place == 2").iloc[0]
    words = f"EBLL minus LwF {gain['mean']:+.1f} ({gain['low']:.1f} to {gain['high']:.1f})"
    assert words in pictures["gap"].alt


def test_themes_of_the_notebook_neither_leak_in_nor_out(pictures):
    theme = {
        "axes.facecolor": "black",
        "font.size": 30,
        "axes.grid": False,
        "xtick.labelsize": 40,
        "text.color": "white",
    }
    plain = PICTURES["forgetting, one"]()._repr_png_()
    with matplotlib.rc_context(theme):
        themed = PICTURES["forgetting, one"]()._repr_png_()
        assert {key: matplotlib.rcParams[key] for key in theme} == theme
    assert themed == plain


def test_threads_may_draw_at_the_same_time():
    expected = PICTURES["forgetting, one"]()._repr_png_()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(PICTURES["forgetting, one"]()._repr_png_())) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 3


def test_names_with_dollars_stay_text():
    accuracy = accuracy_table("mlp:a$b$-c_d", seeds=2, methods=["lwf"])
    assert "a$b$ → c_d (MLP)" in figures.forgetting_bars(accuracy).alt


def test_wrap_and_shorten():
    assert layout.wrap("one two", 10) == "one two"
    assert layout.wrap("one two", 0.1) == "one\ntwo"
    assert layout.text_width(layout.shorten("a" * 50, 1.0)) <= 1.0
    assert layout.shorten("letters", 1.0) == "letters"


def test_pooling_keeps_order_and_mean():
    assert layout._monotone(np.array([3.0, 1.0, 2.0])).tolist() == [2, 2, 2]
    assert layout._monotone(np.array([1.0, 2.0, 3.0])).tolist() == [1, 2, 3]


def test_table_is_what_the_table_function_returns(pictures):
    pd.testing.assert_frame_equal(pictures["forgetting, one"].table, figures.forgetting_table(accuracy_table()))
    drawn = pictures["trade-off, six"].table
    pd.testing.assert_frame_equal(drawn, figures.stability_plasticity_table(accuracy_table(*SIX)))
