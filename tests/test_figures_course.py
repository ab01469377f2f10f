"""The pictures of the course's notebooks, looked at: text that fits and does not touch, looks, words, and weight."""

import io
import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from PIL import Image
from test_figures_data import METHODS, accuracy_table, curves_table
from test_figures_pictures import CURVES, FIVE, LONG, PAIR, out_of_view, visible_texts

from ebll import figures
from ebll.figures import picture as pictures_room
from ebll.figures import style

pytestmark = pytest.mark.slow  # how pictures look; what they show is in the tests of their tables
THREE = "cnn:mnist-digits-letters"
FOUR = ["finetune", "lwf", "ewc", "ebll"]
SWEEP = {"alone": [np.nan], "joint": [np.nan], "finetune": [0], "lwf": [0.1, 1, 10],
         "ewc": [1, 10, 100, 1000, 3000, 10000], "ebll": [0, 0.1, 0.3, 1, 3, 10, 30, 100]}  # fmt: skip


def knob_accuracy(sequence=PAIR, seeds=3, sweep=SWEEP):
    """Accuracies of methods whose strength is swept: the stronger, the more is kept and the less is learned."""
    parts = []
    for method, knobs in sweep.items():
        for place, knob in enumerate(knobs):
            turn = (place + 0.5) / len(knobs)
            part = accuracy_table(sequence, seeds=seeds, methods=[method])
            new = (part["after"] == part["task"]) & (part["task"] != part["task"].iloc[0])
            change = np.where(new, -0.2 * turn**3, 0.1 * np.sqrt(turn)) if len(knobs) > 1 else 0
            parts.append(part.assign(knob=float(knob), accuracy=(part["accuracy"] + change).clip(0, 1)))
    return pd.concat(parts, ignore_index=True)


def diverged(table):
    """One seed of EWC at 3000 reached the end, and none at 10000."""
    late = (table["method"] == "ewc") & (table["after"] == "textures")
    return table[~(late & ((table["knob"] == 10000) | ((table["knob"] == 3000) & (table["seed"] > 0))))]


def cloud(panels=("code of 2", "code of 10", "code of 100"), classes="ABCDEF", count=60, facts=True):
    rng = np.random.default_rng(0)
    labels = np.arange(count) % len(classes)
    x, y = (rng.normal(0, 4, (2, len(classes)))[:, labels] + rng.normal(0, 1, (2, count))) * [[1.5], [1]]
    parts = []
    for place, panel in enumerate(panels):
        share = 0.6 / (1 + 3 * place)
        back = {"x_back": x * (1 - share), "y_back": y * (1 - share)}
        part = pd.DataFrame({"panel": panel, "x": x, "y": y, **back, "label": [classes[i] for i in labels]})
        parts.append(part.assign(share=share, accuracy=0.9 - share) if facts else part)
    return pd.concat(parts, ignore_index=True)


def sizes(xs=(2, 4, 8, 16, 32, 64, 128), kinds=("autoencoder", "PCA", "random projection"), seeds=4):
    rng = np.random.default_rng(0)
    rows = [
        (x, kind, seed, 90 - 50 / (1 + i + j) + rng.normal(), 1 / (2 + i + j))
        for (i, x), (j, kind), seed in itertools.product(enumerate(xs), enumerate(kinds), range(seeds))
    ]
    return pd.DataFrame(rows, columns=["code", "kind", "seed", "accuracy", "share"])


def over(table, ys=("accuracy", "share"), **options):
    names = {"accuracy": "accuracy from the reconstruction, %", "share": "share of the spread missed"}
    words = {"xlabel": "code size, units", "title": "What a code of few units keeps"} | options
    return figures.over_knob(table, "code", {y: names[y] for y in ys}, **words)


def sheet(**rows):
    rng = np.random.default_rng(0)
    return {task: (rng.random((len(labels), 28, 28)), list(labels)) for task, labels in rows.items()}


LEVELS = {"joint": {"accuracy": 92.0}, "the features themselves": {"accuracy": 91.0, "share": 0.0}}
ZERO = {"xs": (0, 0.1, 0.3, 1, 3, 10, 30), "kinds": ("lwf", "ebll")}
PICTURES = {
    "progress": lambda: figures.accuracy_over_steps(curves_table(), CURVES),
    "progress, warm-up": lambda: figures.accuracy_over_steps(curves_table(), CURVES, methods=FOUR, warm_up=True),
    "progress, one seed": lambda: figures.accuracy_over_steps(curves_table(seeds=1), CURVES, methods="ebll"),
    "progress, long names": lambda: figures.accuracy_over_steps(
        curves_table(LONG.replace("cnn", "mlp"), seeds=2, methods=FOUR)
    ),
    "progress, one point": lambda: figures.accuracy_over_steps(curves_table(seeds=2, steps=0), CURVES),
    "sequence": lambda: figures.average_along_sequence(accuracy_table(THREE), THREE),
    "sequence, five": lambda: figures.average_along_sequence(accuracy_table(FIVE, seeds=2), FIVE, FOUR),
    "sequence, one seed, long names": lambda: figures.average_along_sequence(accuracy_table(LONG, seeds=1), LONG, FOUR),
    "fronts": lambda: figures.tradeoff_fronts(diverged(knob_accuracy())),
    "fronts, two": lambda: figures.tradeoff_fronts(knob_accuracy(), PAIR, ["ewc", "ebll"]),
    "fronts, no knobs, one seed": lambda: figures.tradeoff_fronts(accuracy_table(seeds=1).assign(knob=np.nan)),
    "submanifold": lambda: figures.submanifold(cloud()),
    "submanifold, two": lambda: figures.submanifold(cloud(("an autoencoder with a long name, code of 10", "PCA"))),
    "submanifold, one": lambda: figures.submanifold(cloud(["code of 10"], facts=False)),
    "submanifold, five": lambda: figures.submanifold(cloud([f"code of {n}" for n in (2, 5, 10, 50, 100)])),
    "knob": lambda: over(sizes(), references=LEVELS, caption="Test data of letters"),
    "knob, zero": lambda: over(sizes(**ZERO), ["accuracy"]),
    "knob, many": lambda: over(sizes(range(1, 33), [f"kind {i}" for i in range(8)])),
    "knob, steps": lambda: over(sizes([*range(0, 40, 4), *range(40, 160, 20), 152]), log=False),
    "knob, one value, one seed": lambda: over(sizes([10], ["ebll"], seeds=1), log=False),
    "images": lambda: figures.task_images(sheet(mnist="0123456789", letters="ABCDEFGHIJKL", textures=["astronaut"])),
    "images, plain": lambda: figures.task_images(sheet(a="01"), labels=False),
}


@pytest.fixture(scope="module")
def pictures():
    made = {name: make() for name, make in PICTURES.items()}
    for picture in made.values():
        picture.draw_without_rendering()
    return made


def shown(picture):
    return [t for t in set(visible_texts(picture)) - out_of_view(picture)]


@pytest.mark.parametrize("name", PICTURES)
def test_text_is_large_enough_inside_and_does_not_touch(pictures, name):
    picture = pictures[name]
    assert picture.get_figwidth() == 7
    edge, boxes = picture.bbox.padded(1), {}
    for text in shown(picture):
        assert text.get_fontsize() >= 9, text
        box = boxes[text] = Text.get_window_extent(text)
        assert edge.x0 <= box.x0 and box.x1 <= edge.x1 and edge.y0 <= box.y0 and box.y1 <= edge.y1, text  # noqa: PT018
    for one, two in itertools.combinations(boxes, 2):
        assert not boxes[one].padded(-1).overlaps(boxes[two].padded(-1)), (one, two)


@pytest.mark.parametrize("name", PICTURES)
def test_heading_legend_and_caption_have_room_of_their_own(pictures, name):
    picture = pictures[name]
    panels = [axes.get_tightbbox() for axes in picture.axes if axes.get_visible()]
    outside = [text.get_window_extent() for text in [*picture.texts, *picture.legends] if text.get_visible()]
    outside = [box for box in outside if box.width > 1]
    for one, two in itertools.chain(itertools.combinations(outside, 2), itertools.product(outside, panels)):
        assert not one.overlaps(two.padded(-2))


@pytest.mark.parametrize("name", PICTURES)
def test_words_numbers_and_repeated_bytes(pictures, name):
    picture = pictures[name]
    assert picture.alt.endswith(".")
    assert not any(bad in picture.alt for bad in ("nan", "..", "None", "  ", "inf"))
    assert len(picture.table)
    assert ("one seed, no interval" in picture.alt.lower()) == ("one seed" in name)
    png = picture._repr_png_()
    assert png == PICTURES[name]()._repr_png_()
    assert len(png) < 80_000


@pytest.mark.parametrize("name", ["progress", "fronts", "submanifold", "knob"])
def test_the_light_png_looks_like_the_full_one(pictures, name):
    full = io.BytesIO()
    pictures[name].savefig(full, format="png")
    light = Image.open(io.BytesIO(pictures[name]._repr_png_()))
    assert light.mode == "P"
    before, after = (np.asarray(image.convert("RGB")).astype(int) for image in (Image.open(full), light))
    assert before.shape == after.shape
    away = np.abs(before - after).max(axis=2)
    assert away.max() <= 32
    assert np.quantile(away, 0.99) <= 12
    assert (after[0, 0] == 255).all()


def test_few_colours_are_kept_exactly():
    image = np.zeros((20, 20, 3), np.uint8)
    image[:, :, 1] = np.arange(20) * 12
    png = io.BytesIO()
    Image.fromarray(image).save(png, format="png")
    light = Image.open(io.BytesIO(pictures_room._with_palette(png)))
    assert np.array_equal(np.asarray(light.convert("RGB")), image)


def test_lines_have_the_looks_of_their_methods(pictures):
    for axes in pictures["progress"].axes:
        assert [line.get_label() for line in axes.lines] == [style.METHODS[m].label for m in METHODS[2:]]
        assert [line.get_color() for line in axes.lines] == [style.METHODS[m].color for m in METHODS[2:]]
    ends = [text.get_text() for text in pictures["knob"].axes[0].texts]
    assert ends == ["PCA", "autoencoder", "random projection", "Joint training", "the features\nthemselves"]
    lines = {line.get_label(): line for line in pictures["knob, zero"].axes[0].lines}
    assert {label: line.get_color() for label, line in lines.items()} == {
        style.METHODS[m].label: style.METHODS[m].color for m in ("lwf", "ebll")
    }


def test_eight_kinds_differ_without_colour():
    looks = style.looks([f"kind {i}" for i in range(8)]).values()
    assert len({k.color for k in looks}) == len({k.marker for k in looks}) == len({str(k.line) for k in looks}) == 8
    assert min(style.contrast_to_white(k.color) for k in looks) >= 3


def test_classes_differ_in_colour_and_marker():
    looks = style.class_looks("ABCDEF").values()
    assert len({k.color for k in looks}) == len({k.marker for k in looks}) == 6
    assert min(style.contrast_to_white(k.color) for k in looks) >= 3
    assert all(style.contrast_to_white(style.text_color(k.color)) >= 4.5 for k in style.METHODS.values())


def test_ticks_stand_at_the_values(pictures):
    axes = pictures["knob"].axes[-1]
    assert axes.get_xscale() == "log"
    assert axes.get_xticks().tolist() == [2, 4, 8, 16, 32, 64, 128]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["2", "4", "8", "16", "32", "64", "128"]
    assert not len(axes.get_xticks(minor=True))
    zero = pictures["knob, zero"].axes[-1]
    assert [t.get_text() for t in zero.get_xticklabels()] == ["0", "0.1", "0.3", "1", "3", "10", "30"]
    assert 0 < zero.get_xticks()[0] < 0.1
    assert "On the horizontal axis, 0 stands left of the logarithmic scale." in pictures["knob, zero"].alt


def test_a_crowded_linear_axis_has_round_ticks_with_equal_steps(pictures):
    axes = pictures["knob, steps"].axes[-1]
    pictures["knob, steps"].canvas.draw()
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert ticks == [0, 20, 40, 60, 80, 100, 120, 140]
    assert all(tick.label1.get_text() for tick in axes.xaxis.get_major_ticks() if low <= tick.get_loc() <= high)


def test_the_front_is_filled_and_the_rest_hollow(pictures):
    table = pictures["fronts"].table.query("seeds > 0")
    marks = [line for line in pictures["fronts"].axes[0].lines if line.get_linestyle() == "None"]
    assert [mark.get_markerfacecolor() != "white" for mark in marks] == table["on_front"].tolist()
    small = [text.get_text() for text in pictures["fronts"].axes[0].texts]
    assert {"0.1", "10", "1", "3000", "0", "100"} <= set(small)  # the ends of LwF, EWC and EBLL


def test_panels_share_their_axes_and_say_what_is_missed(pictures):
    picture = pictures["submanifold"]
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in picture.axes}) == 1
    titles = [axes.get_title(loc="left") for axes in picture.axes]
    assert titles[0] == "code of 2\nmisses 60.0 % of the spread\naccuracy 30.0 %"
    assert [axes.get_title(loc="left") for axes in pictures["submanifold, one"].axes] == ["code of 10"]
