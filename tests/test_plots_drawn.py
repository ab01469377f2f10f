"""What is drawn: the style of each method, text that fits and does not overlap, words for those who cannot see it."""

import itertools
import threading

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from messages import raises
from plots_rig import (
    CLAIMS,
    CURVES,
    FIVE,
    FOUR,
    LONG,
    METHODS,
    PAIR,
    SIX,
    accuracy_table,
    cloud,
    curves_table,
    diverged,
    out_of_view,
    over,
    sheet,
    sizes,
    swept_accuracy,
)

from ebll import plots
from ebll.errors import InputError
from ebll.plots.figure import png
from ebll.plots.style import METHODS as STYLES

LEVELS = {"joint": {"accuracy": 92.0}, "the features themselves": {"accuracy": 91.0, "share": 0.0}}
FIGURES = {
    "distance": lambda: plots.feature_distance(curves_table(seeds=2, steps=40), CURVES),
    "loss terms": lambda: plots.loss_terms(
        curves_table(seeds=2, methods=["lwf", "ebll"], steps=60).assign(loss_code=lambda c: c["loss_code"] / 100),
        CURVES,
    ),
    "steps, long names": lambda: plots.accuracy_over_steps(
        curves_table(LONG.replace("cnn", "mlp"), seeds=2, methods=FOUR, steps=50), warm_up=True
    ),
    "matrix, nine": lambda: plots.accuracy_matrix(accuracy_table(seeds=2), PAIR),
    "matrix, long names, one seed": lambda: plots.accuracy_matrix(
        accuracy_table(LONG, seeds=1, methods=["lwf", "ewc", "ebll", "mine"]), LONG
    ),
    "forgetting, five": lambda: plots.forgetting_bars(
        accuracy_table(*SIX[1:], seeds=2, methods=["lwf", "ebll-separate"])
    ),
    "plane, three": lambda: plots.stability_plasticity(accuracy_table(*SIX[:3], seeds=2, methods=FOUR)),
    "gap": lambda: plots.forgetting_by_gap(accuracy_table(*SIX[1:4]), dict(zip("abc", SIX[1:4], strict=True))),
    "sequence, five": lambda: plots.average_along_sequence(accuracy_table(FIVE, seeds=2), FIVE, ["lwf", "ebll"]),
    "fronts": lambda: plots.tradeoff_fronts(diverged(swept_accuracy())),
    "submanifold": lambda: plots.submanifold(cloud([f"code of {n}" for n in (2, 5, 10, 100)], count=24)),
    "setting": lambda: over(
        sizes((0, 0.1, 0.3, 1, 3, 10, 30), seeds=2), references=LEVELS, caption="Test data of letters"
    ),
    "setting, many, steps": lambda: over(sizes(range(1, 33), ["PCA", "autoencoder"], seeds=2), log=False),
    "images": lambda: plots.task_images(sheet(mnist="0123456789", letters="ABCDEFGHIJKL", textures=["astronaut"])),
    "claims": lambda: plots.claims_overview([*CLAIMS, CLAIMS[0] | {"id": "C5", "unit": "ratio", "reference": 1}]),
}


@pytest.fixture(scope="module")
def figures():
    made = {name: make() for name, make in FIGURES.items()}
    for figure in made.values():
        figure.draw_without_rendering()
    return made


def visible_texts(figure):
    shown = {text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()}
    return [text for text in shown - out_of_view(figure) if Text.get_window_extent(text).width > 0]


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_large_enough_inside_and_does_not_overlap(figures, name):
    figure = figures[name]
    assert figure.get_figwidth() == 7
    edge, boxes = figure.bbox.padded(1), {}
    for text in visible_texts(figure):
        assert text.get_fontsize() >= 9, text
        box = boxes[text] = Text.get_window_extent(text)
        assert edge.x0 <= box.x0 and box.x1 <= edge.x1 and edge.y0 <= box.y0 and box.y1 <= edge.y1, text  # noqa: PT018
    for one, two in itertools.combinations(boxes, 2):
        assert not boxes[one].padded(-2).overlaps(boxes[two].padded(-2)), (one, two)
    panels = [axes.get_window_extent() for axes in figure.axes]
    for legend, panel in itertools.product([axes.get_legend() for axes in figure.axes], panels):
        assert legend is None or not legend.get_window_extent().overlaps(panel.padded(-2))


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_words_and_numbers(figures, name):
    figure = figures[name]
    assert type(figure) is Figure
    assert figure.alt.endswith(".")
    assert not any(bad in figure.alt for bad in ("nan", "..", "None", "  ", "inf"))
    assert len(figure.table)
    assert ("one seed, no interval" in figure.alt.lower()) == ("one seed" in name)


def test_a_line_per_method_in_its_style(figures):
    axes, table = figures["distance"].axes[0], figures["distance"].table
    drawn = [line for line in axes.lines if len(line.get_xdata())]
    assert len(drawn) == len(METHODS[2:])
    for line, name in zip(drawn, METHODS[2:], strict=True):
        style = STYLES[name]
        assert (line.get_color(), line.get_marker()) == (style.color, style.marker)
        assert line.get_linestyle() == ("-" if style.line == "-" else "--")  # dashes answer as "--"
        means = table[(table["quantity"] == "feature_distance") & (table["method"] == name)]["mean"]
        assert np.allclose(line.get_ydata(), means)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [STYLES[m].label for m in METHODS[2:]]


def test_panels_of_loss_terms_share_steps_and_scale(figures):
    axes = figures["distance"].axes
    assert [one.get_title(loc="left") for one in axes] == ["", "Fine-tuning", "LwF", "EBLL"]
    assert len({one.get_ylim() for one in axes[1:]}) == len({one.get_xlim() for one in axes}) == 1
    assert axes[1].get_yscale() == "linear"
    assert {one.get_yscale() for one in figures["loss terms"].axes} == {"log"}


def test_bars_have_the_means(figures):
    figure = figures["forgetting, five"]
    for axes, (_, rows) in zip(figure.axes, figure.table.groupby("sequence", sort=False), strict=True):
        widths = sorted(bar.get_width() for bar in axes.patches)
        assert widths == pytest.approx(sorted(rows.drop_duplicates("method")["mean"]))


def test_matrix_prints_percent_and_half_width(figures):
    row = figures["matrix, nine"].table.iloc[0]
    assert figures["matrix, nine"].axes[0].texts[0].get_text() == f"{row['mean']:.1f}\n±{row['high'] - row['mean']:.1f}"


def test_verdicts_are_words_and_shapes(figures):
    axes = figures["claims"].axes[0]
    (verdicts,) = axes.child_axes
    assert [text.get_text() for text in verdicts.get_yticklabels()] == [claim["verdict"] for claim in CLAIMS]
    assert [line.get_marker() for line in axes.lines if line.get_marker() != "None"] == ["o", "D", "X", "o"]


def test_ticks_stand_at_the_values(figures):
    names = [text.get_text() for text in figures["setting"].axes[-1].get_xticklabels()]
    assert names == ["0", "0.1", "0.3", "1", "3", "10", "30"]
    many = figures["setting, many, steps"].axes[-1]
    assert len([tick for tick in many.get_xticks() if 1 <= tick <= 32]) < 12


def test_panels_share_their_axes_and_say_what_is_missed(figures):
    axes = figures["submanifold"].axes
    assert len({(one.get_xlim(), one.get_ylim()) for one in axes}) == 1
    assert axes[0].get_title(loc="left") == "code of 2\nmisses 60.0 % of spread\naccuracy 30.0 %"


def test_the_front_is_filled_and_the_rest_hollow(figures):
    table = figures["fronts"].table.query("seeds > 0")
    marks = [line for line in figures["fronts"].axes[0].lines if line.get_linestyle() == "None" and line.get_marker()]
    filled = sum(len(mark.get_xdata()) for mark in marks if mark.get_markerfacecolor() not in ("white", "none"))
    hollow = sum(len(mark.get_xdata()) for mark in marks if mark.get_markerfacecolor() == "white")
    assert (filled, hollow) == (table["on_front"].sum(), (~table["on_front"]).sum())
    named = [text.get_text() for text in figures["fronts"].axes[0].get_legend().get_texts()]
    assert named[3:] == ["LwF\n0.1 to 10", "EWC\n1 to 3000", "EBLL\n0 to 100"]


def test_a_plot_of_one_panel_goes_into_the_readers_own_axes():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plots.forgetting_bars(accuracy_table(seeds=2), ax=left) is figure
    first = figure.alt
    assert plots.stability_plasticity(accuracy_table(seeds=2), ax=right) is figure
    assert left.patches and right.lines  # noqa: PT018
    assert figure.alt.startswith(first)
    assert len(figure.alt) > len(first)
    with raises(InputError, "ax", "2"):
        plots.forgetting_bars(accuracy_table(*SIX[:2], seeds=2), ax=left)


def test_themes_of_the_notebook_neither_leak_in_nor_out():
    theme = {"axes.facecolor": "black", "font.size": 30, "axes.grid": False, "xtick.labelsize": 40}
    plain = png(FIGURES["images"]())
    with matplotlib.rc_context(theme):
        assert png(FIGURES["images"]()) == plain
        assert {key: matplotlib.rcParams[key] for key in theme} == theme


def test_threads_may_draw_at_the_same_time():
    expected, found = png(FIGURES["images"]()), []
    threads = [threading.Thread(target=lambda: found.append(png(FIGURES["images"]()))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 2


def test_names_with_dollars_stay_text():
    figure = plots.forgetting_bars(accuracy_table("mlp:a$b$-c_d", seeds=2, methods=["lwf"]))
    assert "a$b$ → c_d (MLP)" in figure.alt
    png(figure)
