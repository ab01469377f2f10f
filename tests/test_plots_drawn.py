"""What is drawn: styles that can be told apart, text that fits and does not overlap, marks where the numbers are."""

import itertools
import threading

import matplotlib
import numpy as np
import pandas as pd
import pytest
from golden import inputs
from matplotlib import pyplot
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from test_plots_dynamics import FIGURES as OF_DYNAMICS

from ebll import Task, plots
from ebll.plots import METHODS, TERMS, ordered, style, styles
from ebll.plots.figure import png
from ebll.plots.sheets import CLASSES
from ebll.widgets.charts import COLORS
from ebll.widgets.sweep_chart import PINNED

LONG = "cnn:handwritten_characters_of_the_alphabet-another_data_set_with_a_name"
SIX = ["mlp:a-b", "mlp:letters-mnist", "cnn:mnist-letters", "cnn:mnist-textures", "mlp:letters-textures", "cnn:a-b-c"]
FIVE = "cnn:mnist-digits-letters-fashion-textures"
YS = {"accuracy": "accuracy from the reconstruction, %", "share": "share of the spread missed"}


def accuracy(*sequences, methods=inputs.METHODS, seeds=2):
    table = inputs.accuracy(sequences)
    return table[table["method"].isin(methods) & (table["seed"] < seeds)]


def over(sizes, **options):
    """Figures of made-up numbers for the sizes, with level lines."""
    kinds = ("autoencoder", "PCA", "random projection")
    rows = [
        {"size": size, "kind": kind, "seed": seed, "share": 1 / (2 + i + j), "accuracy": 90 - 50 / (1 + i + j) + seed}
        for (i, size), (j, kind), seed in itertools.product(enumerate(sizes), enumerate(kinds), range(2))
    ]
    return plots.over_setting(pd.DataFrame(rows), "size", YS, xlabel="code size, units", title="Codes", **options)


def sheet(**rows):
    noise = np.random.default_rng(0)
    return {task: (noise.random((len(labels), 28, 28)), list(labels)) for task, labels in rows.items()}


CURVES = inputs.curves()
RENAMED = {"letters": "handwritten_characters_of_the_alphabet", "digits": "another_data_set_with_a_name"}
LEVELS = {"joint": {"accuracy": 92.0}, "the features themselves": {"accuracy": 91.0, "share": 0.0}}
CLOUD = pd.concat([inputs.points(), inputs.points().assign(panel=lambda p: p["panel"] + "0")])
GRID = pd.DataFrame(itertools.product((-3.6, 0.0, 3.6), (-2.7, 2.7)), columns=["x", "y"])
REGIONS = GRID.assign(label=["A", "B", "B", "?", "C", "A"])
PLACES = ["airport_terminal", "bakery", "church inside", "dining room", "elevator", "fast-food restaurant", "garage"]
PIXELS = np.random.default_rng(0).random((26 * 6, 28, 28)), np.arange(26 * 6) % 26
IMAGES = Task.from_tensors("letters", PIXELS, PIXELS, PIXELS)
CLAIMS = [claim | {"statement": 3 * claim["statement"]} for claim in inputs.claims()]
FIGURES = {
    "distance": lambda: plots.feature_distance(CURVES),
    "loss terms": lambda: plots.loss_terms(CURVES.assign(loss_code=CURVES["loss_code"] / 100)),
    "steps, long names": lambda: plots.accuracy_over_steps(CURVES.replace(RENAMED), warm_up=True),
    "matrix, nine": lambda: plots.accuracy_matrix(accuracy(SIX[4])),
    "matrix, long names, one seed": lambda: plots.accuracy_matrix(
        accuracy(LONG, methods=["lwf", "ewc", "ebll", "joint"], seeds=1).replace({"joint": "mine"})
    ),
    "forgetting, five": lambda: plots.forgetting_bars(accuracy(*SIX[1:], methods=["lwf", "ebll-separate"])),
    "plane, three": lambda: plots.stability_plasticity(accuracy(*SIX[:3])),
    "gap": lambda: plots.forgetting_by_gap(accuracy(*SIX[1:4]), dict(zip(SIX[1:4], (0.16, 0.18, 0.43), strict=True))),
    "sequence, five": lambda: plots.average_along_sequence(accuracy(FIVE), methods=["lwf", "ebll"]),
    "fronts": lambda: plots.stability_plasticity(inputs.accuracy_by_setting()),
    "submanifold": lambda: plots.submanifold(CLOUD),
    "submanifold, regions": lambda: plots.submanifold(
        inputs.points(), regions=REGIONS, axes=("from the mean of A to that of B", "towards the mean of C")
    ),
    "setting": lambda: over((0, 0.1, 0.3, 1, 3, 10, 30), references=LEVELS, caption="Test data of letters"),
    "setting, many, steps": lambda: over(range(1, 33), log=False),
    "images": lambda: plots.task_images(sheet(mnist="0123456789", letters="ABCDEFGHIJKL", textures=["astronaut"])),
    "recall": lambda: plots.class_recall(inputs.predictions()),
    "recall, long names, one method": lambda: plots.class_recall(inputs.predictions(PLACES, ["lwf"])),
    "images lost": lambda: plots.forgotten_images(inputs.predictions(), IMAGES),
    "images lost, long names": lambda: plots.forgotten_images(inputs.predictions(PLACES), IMAGES),
    "confusion": lambda: plots.confusion_matrix(inputs.predictions()),
    "confusion, long names": lambda: plots.confusion_matrix(inputs.predictions(PLACES)),
    "claims": lambda: plots.claims_overview([*CLAIMS, CLAIMS[0] | {"id": "C5", "unit": "ratio", "reference": 1}]),
} | OF_DYNAMICS


@pytest.fixture(scope="module")
def figures():
    made = {name: make() for name, make in FIGURES.items()}
    for figure in made.values():
        figure.draw_without_rendering()
    return made


def visible_texts(figure):
    """Texts but for tick labels beyond the limits of their axis, which exist and are not drawn."""
    beyond = set()
    for axis in (axis for one in figure.axes for axis in (one.xaxis, one.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
            beyond |= set() if low <= tick.get_loc() <= high else {tick.label1, tick.label2}
    shown = {text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()}
    return [text for text in shown - beyond if Text.get_window_extent(text).width > 0]


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_large_enough_inside_and_does_not_overlap_and_there_are_words_and_numbers(figures, name):
    figure = figures[name]
    assert type(figure) is Figure
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
    assert len(figure.table)
    assert figure.alt.endswith(".")
    assert not any(bad in figure.alt for bad in ("nan", "..", "None", "  ", "inf"))
    assert ("one seed" in figure.alt) == ("one seed" in name)
    names = [axis.get_label_text() for one in figure.axes for axis in (one.xaxis, one.yaxis) if axis.get_label_text()]
    assert len(set(names)) == len(names), "an axis is named once"


def test_a_line_per_method_in_its_style(figures):
    first, *panels = figures["distance"].axes
    table = figures["distance"].table.query("quantity == 'feature_distance'")
    means, names = [line for line in first.lines if line.get_alpha() is None], ["finetune", "lwf", "ewc", "ebll"]
    for line, name in zip(means, names, strict=True):
        look, rows = METHODS[name], table[table["method"] == name]
        assert (line.get_color(), line.get_marker()) == (look.color, look.marker)
        assert line.get_linestyle() == ("-" if look.line == "-" else "--")  # dashes answer as "--"
        assert np.allclose(line.get_ydata(), rows.groupby("step")["value"].mean())
        seeds = [line for line in first.lines if line.get_alpha() and line.get_color() == look.color]
        for thin, (_, own) in zip(seeds, rows.groupby("seed"), strict=True):
            assert thin.get_linewidth() < line.get_linewidth() / 2
            assert np.allclose(thin.get_ydata(), own["value"])
    assert [text.get_text() for text in first.get_legend().get_texts()] == [METHODS[name].label for name in names]
    assert [one.get_title(loc="left") for one in panels] == ["Fine-tuning", "LwF", "EBLL"]
    assert len({one.get_ylim() for one in panels}) == len({one.get_xlim() for one in (first, *panels)}) == 1
    assert first.get_yscale() == "linear"
    assert {one.get_yscale() for one in (*panels, *figures["loss terms"].axes)} == {"symlog"}
    assert first.get_ylim()[0] == 0


def test_marks_and_words_stand_where_the_numbers_are(figures):
    axes = figures["claims"].axes[0]
    (verdicts,) = axes.child_axes
    assert [text.get_text() for text in verdicts.get_yticklabels()] == [claim["verdict"] for claim in CLAIMS]
    marks, ends = axes.lines[::2], axes.lines[1::2]
    assert [line.get_marker() for line in marks] == ["o", "X", "D"]
    assert [list(line.get_xdata()) for line in ends] == [[claim["low"], claim["high"]] for claim in CLAIMS]
    assert min(line.get_markersize() for line in ends) > max(line.get_markersize() for line in marks)  # never hidden
    figure = figures["forgetting, five"]
    for axes, (_, rows) in zip(figure.axes, figure.table.groupby("sequence", sort=False), strict=True):
        widths = sorted(bar.get_width() for bar in axes.patches)
        assert widths == pytest.approx(sorted(rows.drop_duplicates("method")["mean"]))
    matrix, table = figures["matrix, nine"].axes[0], figures["matrix, nine"].table.query("method == 'joint'")
    alone, first, moved, last = (
        table.query("after == @after and task == @task")["value"].mean()
        for after, task in [("alone", "textures"), ("letters",) * 2, ("textures", "letters"), ("textures",) * 2]
    )
    told = [text.get_text() for text in matrix.texts]
    assert told[1:] == [f"{alone:.1f}", f"{first:.1f}", f"{moved:.1f}\n−{first - moved:.1f}", f"{last:.1f}"]
    assert [text.get_text() for text in matrix.get_yticklabels()] == ["alone", "letters", "textures"]
    assert [text.get_text() for text in figures["matrix, nine"].axes[-1].get_xticklabels()] == ["letters", "textures"]
    assert matrix.collections[0].get_clim() == (0, 100)
    names = [text.get_text() for text in figures["setting"].axes[-1].get_xticklabels()]
    assert names == ["0", "0.1", "0.3", "1", "3", "10", "30"]
    ticks = figures["setting, many, steps"].axes[-1].get_xticks()
    assert sum(1 <= tick <= 32 for tick in ticks) < 12
    axes = figures["submanifold"].axes
    assert len({(one.get_xlim(), one.get_ylim()) for one in axes}) == 1
    assert axes[0].get_title(loc="left") == "code of 2\nunexplained 50.0 %\naccuracy 40.0 %"
    axes = figures["submanifold, regions"].axes
    assert (axes[0].get_xlim(), axes[0].get_ylim()) == ((-3.6, 3.6), (-2.7, 2.7))
    (shades,) = [mesh for mesh in axes[0].collections if isinstance(mesh, QuadMesh)]
    shown = np.asarray(shades.get_array()).T.ravel()  # column by column, as the rows of the grid
    colors = [to_rgb(color) for color in CLASSES]
    wanted = [colors["ABC".index(label)] if label in "ABC" else (1, 1, 1) for label in REGIONS["label"]]
    assert np.allclose([shades.to_rgba(code)[:3] for code in shown], wanted)


def test_no_margin_leads_above_100_percent_and_a_value_above_it_is_not_cut_off():
    rows = pd.DataFrame({"kind": "a", "x": [1, 2, 1, 2], "seed": [0, 0, 1, 1], "share": [99.0, 40, 97, 50]})
    over_one = rows.assign(share=[140.0, 40, 97, 50])
    tops = [
        plots.over_setting(table, "x", {"share": "unexplained, %"}, xlabel="x", title="Shares").axes[0].get_ylim()[1]
        for table in (rows, over_one)
    ]
    assert tops[0] == 100
    assert tops[1] > 140


def test_a_line_leads_through_the_settings_of_a_method_from_weak_to_strong(figures):
    (axes,), table = figures["fronts"].axes, figures["fronts"].table.query("method == 'ebll'")
    (line,) = [line for line in axes.lines if line.get_color() == METHODS["ebll"].color and line.get_marker() == "o"]
    means = table.drop_duplicates("strength").sort_values("strength")[["new_mean", "old_mean"]]
    assert np.allclose(line.get_xydata(), means)
    assert len(means) == 3
    (arrow,) = [text for text in axes.texts if text.arrow_patch.get_edgecolor()[:3] == to_rgb(METHODS["ebll"].color)]
    assert np.allclose(arrow.xy, means.iloc[-1])


def test_zero_stands_left_of_a_break_in_a_logarithmic_axis(figures):
    for one in figures["setting"].axes:
        (gap,) = [line for line in one.lines if line.get_color() == "white"]
        assert list(gap.get_ydata()) == [0, 0]  # of the panel's height
        assert 0 < gap.get_xdata()[0] < gap.get_xdata()[1] < 0.1
        assert one.get_xscale() == "symlog"
    without = [over((0.1, 1, 10)), figures["setting, many, steps"]]
    assert not [line for figure in without for one in figure.axes for line in one.lines if line.get_color() == "white"]


def test_no_axis_of_accuracy_leads_beyond_100_percent():
    table = accuracy(SIX[4]).assign(accuracy=1.0)
    table.loc[table["seed"] == 1, "accuracy"] = 0.99
    curves = CURVES.assign(accuracy=1.0, accuracy_new=0.99)
    drawn = plots.stability_plasticity(table), plots.stability_plasticity(table.assign(strength=1.0))
    limits = [axis.get_view_interval() for figure in drawn for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis)]
    limits += [one.get_ylim() for one in plots.accuracy_over_steps(curves).axes]
    assert len(limits) == 6
    assert all(90 < low < 99.5 and high <= 100 for low, high in limits)


def test_names_with_dollars_stay_text():
    figure = plots.forgetting_bars(accuracy("mlp:a$b$-c_d", methods=["lwf"]))
    assert "a$b$ → c_d (MLP)" in figure.alt
    png(figure)


def test_themes_of_the_notebook_neither_leak_in_nor_out_and_threads_may_draw_at_the_same_time():
    theme = {"axes.facecolor": "black", "font.size": 30, "axes.grid": False, "xtick.labelsize": 40}
    plain, found = png(FIGURES["images"]()), []
    with matplotlib.rc_context(theme):
        assert png(FIGURES["images"]()) == plain
        assert {key: matplotlib.rcParams[key] for key in theme} == theme
    threads = [threading.Thread(target=lambda: found.append(png(FIGURES["images"]()))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [plain] * 2
    assert not pyplot.get_fignums()


# Styles: told apart without colour, seen on a projector, apart for the colour-blind.


SETTINGS = styles(["alpha 10", "alpha 0.3", "alpha 0", "alpha 3", "alpha 1"])


@pytest.mark.parametrize("looks", [METHODS, TERMS, styles("ABCDEFGH"), SETTINGS])
def test_styles_differ_without_colour_and_can_be_seen(looks):
    looks = list(looks.values())
    assert len({str(look.line) for look in looks}) == len({look.color for look in looks}) == len(looks)
    assert looks[0].marker == "" or len({look.marker for look in looks}) == len(looks)
    assert len(CLASSES) == len(set(CLASSES.values())) == 6
    assert min(map(contrast_to_white, [*CLASSES, *(look.color for look in looks)])) >= 3
    assert min(map(contrast_to_white, (style.INK, style.SOFT))) >= 4.5
    assert contrast_to_white("#000000") == pytest.approx(21)


def contrast_to_white(color):
    """WCAG: 3 is asked of lines, 4.5 of text."""
    return 1.05 / (linear(color) @ (0.2126, 0.7152, 0.0722) + 0.05)


def linear(color):
    value = np.array(to_rgb(color))
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


# Machado, Oliveira and Fernandes (2009), full deficiency; applied to linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
# Linear RGB to OKLab: through the responses of the cones, and their cube roots.
CONES = [[0.41222147, 0.53633254, 0.05144599], [0.2119035, 0.68069955, 0.10739696], [0.08830246, 0.28171884, 0.6299787]]
MIX = [[0.21045426, 0.7936178, -0.00407205], [1.9779985, -2.4285922, 0.4505937], [0.02590404, 0.78277177, -0.80867577]]


def oklab(color, deficiency="none"):
    seen = np.asarray(DEFICIENCIES[deficiency]) @ linear(color)
    return np.array(MIX) @ np.cbrt(np.array(CONES) @ np.clip(seen, 0, 1))


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("names", [("finetune", "lwf", "ebll"), ("finetune", "lwf", "ewc", "ebll"), tuple(TERMS)])
def test_colours_of_the_main_methods_stay_apart_for_everyone(deficiency, names):
    seen = [oklab((METHODS | TERMS)[name].color, deficiency) for name in names]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) >= 0.055


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_colours_of_a_setting_go_from_bright_to_dark_for_everyone(deficiency):
    assert list(SETTINGS) == ["alpha 0", "alpha 0.3", "alpha 1", "alpha 3", "alpha 10"]
    bright = [oklab(look.color, deficiency)[0] for look in SETTINGS.values()]
    assert min(-np.diff(bright)) >= 0.055
    assert ordered(["a 2, b 10", "a 10, b 1", "a 2, b 9"]) == ["a 2, b 9", "a 2, b 10", "a 10, b 1"]
    assert styles(["alpha 1", "a"])["alpha 1"].color in {look.color for look in style.SPARE}  # one alone has no order


def test_purple_is_distillation_and_nothing_else():
    """Hue and chroma in OKLab; below a chroma of 0.05 a colour is grey."""
    others = [look.color for look in (*METHODS.values(), *style.SPARE, *SETTINGS.values(), PINNED)]
    others += [*CLASSES, *COLORS.values(), *(look.color for name, look in TERMS.items() if name != "distill")]
    hues = {color: np.arctan2(*oklab(color)[:0:-1]) for color in (*others, TERMS["distill"].color)}
    away = {color: abs(np.angle(np.exp(1j * (hues[color] - hues[TERMS["distill"].color])), deg=True)) for color in hues}
    assert not [color for color in others if away[color] < 40 and np.hypot(*oklab(color)[1:]) > 0.05]
    assert np.rad2deg(hues[TERMS["distill"].color]) % 360 == pytest.approx(306, abs=2)


def test_a_loss_term_has_its_style_beside_methods():
    assert styles(["distill", "ebll", "code"]) == {
        "ebll": METHODS["ebll"], "code": TERMS["code"], "distill": TERMS["distill"],
    }  # fmt: skip


def test_a_readers_own_method_gets_a_style_of_its_own():
    found = styles(["mine", "ebll", "single-task", "theirs"])
    assert (
        list(found)
        == ordered(["theirs", "mine", "ebll", "single-task", "mine"])
        == ["single-task", "ebll", "mine", "theirs"]
    )
    assert found["mine"].label == "mine"
    assert len({(k.color, k.marker) for k in found.values()}) == 4
