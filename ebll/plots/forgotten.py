"""What is forgotten of an old task: classes as a strip of arrows, images in the order of their loss, confusion."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ebll.data import Task
from ebll.errors import InputError, check_count

from . import predictions as logged, words
from .figure import describe, label, new_figure
from .sheets import draw_images
from .style import SOFT, drawing, styles
from .tables import Names, of_methods

MOST = 26  # classes side by side
TELL = 3  # classes, and pairs of classes, that are named
TOLD = 5  # percentage points: smaller changes are coloured only
CHANGE = "RdBu_r"  # red: more, blue: less, white: as before


def _points(change: float) -> str:
    """Return a change in percentage points with its sign."""
    return f"{change:+.0f}".replace("-", "−")


def _pair(rows: pd.DataFrame) -> str:
    """Return which old and new task the rows are of."""
    return f"validation images of {rows['task'].iloc[0]} before and after {rows['training'].iloc[0]}"


def _seeds(rows: pd.DataFrame) -> str:
    count = rows["seed"].nunique()
    return f"mean of {count} seeds" if count > 1 else "one seed"


@drawing()
def class_recall(predictions: pd.DataFrame, methods: Names = None) -> Figure:
    """Draw an arrow for each class of the old task, from its recall before the new task to that after it.

    A panel a method; at most 26 classes, by their loss, mean over the methods. Arrows: means over seeds; dots: each
    seed, after.
    table: method, seed, label, before, after (percent)
    """
    rows = of_methods(logged.of_one_task(predictions), methods)
    recalls = logged.recall(rows).assign(percent=lambda found: 100 * found["recall"])
    ends = recalls.groupby(["method", "seed", "label"])["percent"].agg(before="first", after="last")
    table, mean = ends.reset_index(), ends.groupby(["method", "label"]).mean()
    loss = (mean["before"] - mean["after"]).groupby("label").mean().sort_values(ascending=False, kind="stable")
    names, looks = list(loss.index[:MOST]), styles(table["method"].unique())
    note = f"{_pair(rows)}: {_seeds(rows)}; dash: before; arrow head: after; dot: a seed, after"
    title = f"Which classes of {rows['task'].iloc[0]} are forgotten"
    means = {method: mean.loc[method] for method in looks}
    headings, told = [], []
    for method, look in looks.items():
        change = (means[method]["after"] - means[method]["before"]).sort_values(kind="stable")
        worst = ", ".join(f"{name} {_points(change[name])}" for name in change.index[:TELL])
        before, after = (words.percent(means[method][end].mean()) for end in ("before", "after"))
        headings.append(f"{look.label}: {before} → {after} %. Most lost, points: {worst}")
        told.append(f"{look.label}: recall {before} % before, {after} % after; most lost, in points: {worst}")
    figure, axes = new_figure(table, title, note, headings, 1.3, sharex=True, sharey=True)
    for one, (method, look) in zip(axes, looks.items(), strict=True):
        for x, name in enumerate(names):
            before, after = means[method].loc[name]
            one.plot(x, before, "_", color=SOFT, markersize=11, markeredgewidth=1.5, markeredgecolor=SOFT)
            if after == before:
                continue
            size = min(1, abs(after - before) / 7)  # the head of a short arrow is not longer than the arrow
            arrow = {"color": look.color, "linewidth": 1.8 * size, "mutation_scale": 10 * size, "arrowstyle": "-|>"}
            one.annotate("", (x, after), (x, before), arrowprops={**arrow, "shrinkA": 0, "shrinkB": 0})
        seeds = table[(table["method"] == method) & table["label"].isin(names)]
        places = seeds["label"].map(names.index)
        one.plot(places, seeds["after"], ".", color=look.color, markersize=5, alpha=0.45, markeredgewidth=0)
        wide = max(1, 80 // len(names))
        one.set_xticks(range(len(names)), [words.shortened(name, wide) for name in names])
        one.set(xlim=(-0.7, len(names) - 0.3), ylim=(-4, 106), yticks=[0, 50, 100])
        one.grid(visible=False, axis="x")
    label(axes, "class, by its mean loss over the methods", "recall, %")
    return describe(figure, *told)


@drawing()
def forgotten_images(
    predictions: pd.DataFrame, task: Task, methods: Names = None, *, seed: int | None = None, count: int = 10
) -> Figure:
    """Draw the first images of the old task that were lost, in the order in which they were lost, a row a method.

    task    the old one, whose validation images were looked at
    seed    the first of the table if None
    count   images in a row, at most; below each its class, the new answer, and the step from which on it was wrong
    table: method, seed, image, label, step, predicted of all images lost, not of those drawn alone
    """
    rows, count = of_methods(logged.of_one_task(predictions), methods), check_count(count, "count")
    seed = rows["seed"].iloc[0] if seed is None else seed
    rows = rows[rows["seed"] == seed]
    if rows.empty or task.name != rows["task"].iloc[0] or rows["image"].max() >= len(task.validation):
        seeds = words.listed(map(str, predictions["seed"].unique()))
        raise InputError(
            f"The predictions are of {predictions['task'].iloc[0]}, seeds {seeds}; got the task {task.name} and the "
            f"seed {seed}. Give the old task itself, and one of these seeds."
        )
    if len(task.input_shape) != 3:
        raise InputError(f"Only images can be drawn; an input of {task.name} has the shape {task.input_shape}.")
    table, looks = logged.lost_images(rows), styles(rows["method"].unique())
    right = rows[(rows["label"] == rows["predicted"]) & (rows["step"] == rows["step"].min())]
    lost = {method: table[table["method"] == method] for method in looks}
    right = right.groupby("method").size().reindex(list(looks), fill_value=0)
    headings = [f"{look.label}: {len(lost[name])} of {right[name]} lost" for name, look in looks.items()]
    cell = min(6.6 / count, 1.2)
    note = f"{_pair(rows)}; class → answer, and the step from which on it is wrong; seed {seed}"
    title = f"The first images of {task.name} that are forgotten"
    figure, axes = new_figure(table, title, note, headings, cell + 0.5)
    for one, (name, heading) in zip(axes, zip(looks, headings, strict=True), strict=True):
        first = lost[name].head(count)
        images = task.restored(task.validation.inputs[first["image"].tolist()]).clamp(0, 1).cpu().numpy()
        images = images.transpose(0, 2, 3, 1) if task.input_shape[0] > 1 else images[:, 0]
        answers = [f"{image.label} → {image.predicted}" for image in first.itertuples()]
        below = [f"{answer}\nstep {step}" for answer, step in zip(answers, first["step"], strict=True)]
        draw_images(one, images, below, count, cell)
        told = [f"{answer} at step {step}" for answer, step in zip(answers, first["step"], strict=True)]
        describe(figure, ": ".join([heading.replace(":", ","), ", ".join(told)]) if told else heading)
    return figure


@drawing()
def confusion_change(predictions: pd.DataFrame, methods: Names = None, *, classes: int = 8) -> Figure:
    """Draw how the answers to the most forgotten classes change, in percentage points: a panel a method.

    classes   rows of a panel: those classes that lose most recall, mean over the methods. Columns: the answers that
              change most, at most 26
    table: method, label, predicted, before, after, change (percent and points, mean over seeds)
    """
    rows, classes = of_methods(logged.of_one_task(predictions), methods), check_count(classes, "classes")
    runs = rows.groupby("method")["seed"].nunique()
    sums = 100 * logged.confusion(rows).groupby(["method", "label", "predicted"])[["before", "after"]].sum()
    table = sums.div(runs, level="method", axis=0).reset_index()  # a pair that a seed lacks counts as 0
    table["change"] = table["after"] - table["before"]
    same = table["label"] == table["predicted"]
    worst = list(table[same].groupby("label")["change"].sum().sort_values(kind="stable").index[:classes])
    shown = table[table["label"].isin(worst)]
    answers = shown["change"].abs().groupby(shown["predicted"]).sum().sort_values(ascending=False, kind="stable")
    columns, looks = sorted(answers.index[:MOST]), styles(runs.index)
    note = f"{_pair(rows)}: {_seeds(rows)}; percentage points; red: answered more, blue: less; frame: the right answer"
    headings, told = [], []
    for name, look in looks.items():
        gains = table[(table["method"] == name) & ~same].nlargest(TELL, "change")
        most = ", ".join(f"{one.label} → {one.predicted} {_points(one.change)}" for one in gains.itertuples())
        headings.append(f"{look.label}: {most}")
        told.append(f"{look.label}: new answers that gain most, in points: {most}")
    title = f"What is answered in place of the forgotten classes of {rows['task'].iloc[0]}"
    figure, axes = new_figure(table, title, note, headings, 0.19 * len(worst) + 0.3, sharex=True, sharey=True)
    most = shown["change"].abs().max()
    for one, name in zip(axes, looks, strict=True):
        own = shown[shown["method"] == name].pivot(index="label", columns="predicted", values="change")
        change = own.reindex(index=worst, columns=columns).fillna(0.0).to_numpy()
        one.imshow(np.where(change, change, np.nan), cmap=CHANGE, vmin=-most, vmax=most, aspect="auto")
        for y, x in zip(*np.nonzero(np.abs(change) >= TOLD), strict=True):
            ink = "white" if abs(change[y, x]) > 0.6 * most else "black"
            one.text(x, y, f"{abs(change[y, x]):.0f}", ha="center", va="center_baseline", color=ink)
        for y, x in ((worst.index(name), columns.index(name)) for name in worst if name in columns):
            one.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, edgecolor=SOFT, linewidth=1))
        wide = max(1, 80 // len(columns))
        one.set_xticks(range(len(columns)), [words.shortened(name, wide) for name in columns])
        one.set_yticks(range(len(worst)), [words.shortened(name, 14) for name in worst])
        one.grid(visible=False)
        one.spines[:].set_visible(False)
    label(axes, "answer", "class")
    return describe(figure, *told)
