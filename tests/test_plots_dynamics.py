"""Plots of measures along the run: what is drawn are the numbers of the table, and the words tell them."""

import itertools

import numpy as np
import pandas as pd
import pytest
from golden import inputs
from messages import raises

from ebll import InputError, plots
from ebll.metrics import stability_gap

CURVES = inputs.curves()
METHODS, SEEDS, STEPS = ("joint", "finetune", "ebll"), range(3), (0, 10, 20)
RUNS = pd.DataFrame(itertools.product(METHODS, SEEDS), columns=["method", "seed"])


def moving(**columns):
    """A row per method, seed and step; each column is a number times the step, a little more for later seeds."""
    rows = RUNS.merge(pd.DataFrame({"step": STEPS}), how="cross")
    return rows.assign(**{name: slope * rows["step"] + 0.1 * rows["seed"] for name, slope in columns.items()})


NORMS = {"norm_task": 0.2, "norm_distill": 0.1, "norm_old": 0.3, "cosine_task_old": 0.01, "cosine_distill_old": 0.02}
TERMS = moving(**NORMS, cosine_task_distill=-0.01).query("method == 'ebll'").drop(columns="method")
PARTS = moving(code_old=1.0, head_old=0.5, free_old=0.1, code_new=2.0, head_new=0.6, free_new=0.2)
READERS = pd.DataFrame(
    [
        {"method": name, "seed": seed, "reader": reader, "accuracy": 90 - 10 * i * j + seed}
        for (i, name), seed, (j, reader) in itertools.product(
            enumerate(("before", *METHODS)), SEEDS, enumerate(("probe", "head"))
        )
    ]
)
GRID = pd.DataFrame(itertools.product(np.linspace(-1, 2, 7), np.linspace(-1, 1, 5)), columns=["x", "y"])
SURFACE = GRID.assign(old=0.5 + GRID["x"] ** 2 + GRID["y"] ** 2, new=0.2 + (GRID["x"] - 2) ** 2 + GRID["y"] ** 2)
PATHS = moving(x=0.05, y=0.01).query("seed == 0").drop(columns="seed")
LINES = pd.DataFrame(itertools.product(METHODS, (0.0, 0.5, 1.0)), columns=["method", "share"])
LINES = LINES.assign(old=LINES["share"] ** 2, new=1 - LINES["share"])
SEEN = RUNS.assign(forgetting=[3, 4, 5, 9, 8, 7, 1, 2, 2.5], kl=RUNS.index, code=[2, 2, 2, 3, 3, 3, 1, 1, 1])
SEEN = SEEN.assign(features=-SEEN["code"], weights=[1, 2, 1, 2, 3, 3, 3, 1, 2])
FIGURES = {
    "gap": lambda: plots.stability_gap(CURVES, methods=["finetune", "lwf", "ewc", "ebll"]),
    "competition": lambda: plots.competition(TERMS),
    "drift": lambda: plots.drift_parts(PARTS),
    "probes": lambda: plots.probes(READERS),
    "landscape": lambda: plots.landscape(SURFACE, PATHS, LINES),
    "signals": lambda: plots.signals(SEEN),
}


def points(line):
    return np.column_stack(line.get_data()).tolist()


def test_dip_and_loss_are_those_of_each_seed_whose_lowest_reading_is_marked():
    figure = plots.stability_gap(CURVES, methods=["lwf", "ebll"])
    rows = CURVES.query("stage == 'train' and training == 'digits' and method == 'ebll'").sort_values("step")
    each = [run["accuracy"].to_numpy() for _, run in rows.groupby("seed")]
    wanted = {
        "lost": [100 * (run[0] - run[-1]) for run in each],
        "dip": [100 * stability_gap(run)[1] for run in each],
    }
    for axes, (name, values) in zip(figure.axes[1:], wanted.items(), strict=True):
        own = figure.table[figure.table["quantity"] == name].query("method == 'ebll'")
        assert own["value"].tolist() == pytest.approx(values)
        dots, mark = axes.lines[-2:]  # EBLL stands below
        assert dots.get_xdata() == pytest.approx(values)
        assert mark.get_xdata() == pytest.approx([np.mean(values)])
        assert [text.get_text() for text in axes.get_yticklabels()] == ["LwF", "EBLL"]
        assert f"EBLL {np.mean(values):.1f}".replace("-", "−") in figure.alt
    lowest = rows.loc[rows.groupby("seed")["accuracy"].idxmin(), ["step", "accuracy"]].to_numpy() * (1, 100)
    (circles,) = figure.axes[0].collections
    assert np.allclose(circles.get_offsets()[: len(lowest)], lowest)


def test_norms_and_cosines_are_drawn_apart():
    figure = plots.competition(TERMS)
    norm, with_old, between = figure.axes
    means = {tuple(line.get_ydata()) for line in norm.lines if line.get_alpha() is None}
    wanted = {tuple(TERMS.groupby("step")[f"norm_{term}"].mean()) for term in ("task", "distill", "old")}
    assert {tuple(np.round(line, 9)) for line in means if line} == {tuple(np.round(line, 9)) for line in wanted}
    assert set(figure.table.query("quantity == 'with_old'")["term"]) == {"task", "distill"}
    assert set(figure.table.query("quantity == 'between'")["term"]) == {"distillation and task"}
    assert norm.get_ylim()[0] == 0
    assert between.get_ylim()[0] < 0 < with_old.get_ylim()[1]
    assert "distillation and task 0.100 at 0" in figure.alt
    alone = plots.competition(TERMS[["seed", "step", "norm_task", "norm_old", "cosine_task_old"]])
    assert len(alone.axes) == 2, "a term alone has no other"


def test_a_stack_of_parts_adds_up_to_the_whole():
    figure = plots.drift_parts(PARTS)
    assert [axes.get_title(loc="left") for axes in figure.axes][-2:] == ["EBLL: old images", "EBLL: new images"]
    for axes, images in zip(figure.axes[-2:], ("old", "new"), strict=True):
        columns = [f"{part}_{images}" for part in ("code", "head", "free")]
        own = PARTS.query("method == 'ebll'").assign(whole=lambda p, c=columns: p[c].sum(axis=1))
        top = max(path.vertices[:, 1].max() for area in axes.collections for path in area.get_paths())
        assert top == pytest.approx(own.groupby("step")["whole"].mean().max())
        for line, (_, run) in zip(axes.lines, own.groupby("seed"), strict=True):
            assert np.allclose(line.get_ydata(), run["whole"])
    assert "EBLL: new images, over the steps: seen by the code 0.100 at 0, 40.1 at 20" in figure.alt


def test_each_reader_has_the_accuracies_of_every_method_and_the_level_from_before():
    figure = plots.probes(READERS)
    for axes, (_, own) in zip(figure.axes, READERS.groupby("reader", sort=False), strict=True):
        level, *marks = axes.lines
        means = own.groupby("method")["accuracy"].mean()
        assert set(level.get_xdata()) == {means["before"]}
        assert [mark.get_xdata()[0] for mark in marks[1::2]] == [means[name] for name in METHODS]
        assert sorted(marks[0].get_xdata()) == sorted(own.query("method == 'joint'")["accuracy"])
    assert "head, before the new task 91.0 %, after it: Joint training 81.0 (80.0 to 82.0), " in figure.alt


def test_paths_lead_to_their_ends_over_the_losses():
    figure = plots.landscape(SURFACE, PATHS, LINES)
    old, new = figure.axes[:2]
    for axes, loss in ((old, "old"), (new, "new")):
        for name, path, end in zip(METHODS, axes.lines[::2], axes.lines[1::2], strict=True):
            wanted = PATHS.loc[PATHS["method"] == name, ["x", "y"]].to_numpy().tolist()
            assert points(path) == wanted
            assert points(end) == wanted[-1:]
        levels = axes.collections[0].levels
        assert levels[[0, -1]] == pytest.approx(SURFACE[loss].agg(["min", "max"]))
    for axes, loss in zip(figure.axes[2:4], ("old", "new"), strict=True):
        for name, line in zip(METHODS, axes.lines, strict=True):
            assert points(line) == LINES.loc[LINES["method"] == name, ["share", loss]].to_numpy().tolist()
    assert "EBLL ends at (1.0, 0.2)." in figure.alt
    assert "Loss of the old task, nats: 0.500 to 5.50 in the plane." in figure.alt


@pytest.mark.parametrize("loss", [0.0, 2.0])
def test_a_loss_that_is_the_same_all_over_has_a_picture(loss):
    assert plots.landscape(SURFACE.assign(new=loss), PATHS, LINES).axes[1].collections


def test_a_signal_is_ranked_against_forgetting_seed_by_seed():
    figure = plots.signals(SEEN)
    found = figure.table.drop_duplicates("quantity").set_index("quantity")
    assert found.loc["code", ["mean", "low", "high"]].tolist() == pytest.approx([1, 1, 1])
    assert found["mean"]["features"] == pytest.approx(-1)
    assert found["mean"]["kl"] == pytest.approx(-0.5)  # ranks 2, 3, 1 beside 1, 2, 3
    assert found["low"]["weights"] < found["mean"]["weights"] < found["high"]["weights"]
    assert found["mean"]["weights"] == pytest.approx(np.mean([-0.5, 0.5, np.sqrt(0.75)]), abs=0.6)
    for axes, (quantity, own) in zip(figure.axes, figure.table.groupby("quantity", sort=False), strict=True):
        drawn = sorted(point for line in axes.lines for point in points(line))
        assert drawn == sorted(own[["value", "forgetting"]].astype(float).to_numpy().tolist())
        assert drawn == sorted(SEEN[[quantity, "forgetting"]].astype(float).to_numpy().tolist())
    assert "code distance: ρ = 1.00." in figure.alt
    assert "feature distance: ρ = −1.00." in figure.alt


def test_a_table_that_lacks_something_or_says_it_twice_is_refused():
    with raises(InputError, "norm_old"):
        plots.competition(TERMS.drop(columns="norm_old"))
    with raises(InputError, "joint", "10"):
        plots.drift_parts(pd.concat([PARTS, PARTS.query("method == 'joint' and step == 10")]))
    with raises(InputError, "accuracy"):
        plots.probes(READERS.drop(columns="accuracy"))
    with raises(InputError, "80"):
        plots.stability_gap(CURVES.assign(accuracy=80.0))
