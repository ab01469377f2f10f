"""What is forgotten of an old task while a new one is trained: which classes, which images, and the new answers.

All take the predictions of a run or a comparison (`Recorder(log_predictions=True)`, columns in `ebll.recording`).
*Before* is the first logged step of the training, *after* the last; the warm-up moves no old answer and is left out.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from ebll.data import Task
from ebll.errors import InputError, check_choice

from . import words
from .figure import describe, label, new_figure
from .sheets import MOST, task_images
from .style import SOFT, drawing, styles
from .tables import Names, check, of_methods

RUN, PAIR = ["method", "seed"], ["sequence", "training", "task"]
IMAGE = [*RUN, "image"]
WIDE = 26  # classes side by side


def _one_task(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the training itself; refuse a table of several old or new tasks."""
    key = [*PAIR, *IMAGE, "stage", "step"]
    if isinstance(predictions, pd.DataFrame) and (predictions.empty or "predicted" not in predictions):
        raise InputError(
            "There are no predictions here: give `compare` or `Recorder` log_predictions=True, and pass `.predictions`."
        )
    rows = check(predictions, "predictions", [*key, "label", "predicted"], key)
    rows = rows[rows["stage"] == "train"]
    if len(pairs := rows[PAIR].drop_duplicates()) != 1:
        found = "; ".join(f"{one.task} while {one.training} is trained ({one.sequence})" for one in pairs.itertuples())
        raise InputError(
            f"The predictions must be of one old task and one training; got {found or 'none'}. Choose the rows of one, "
            "such as table.query('training == \"mnist\"')."
        )
    return rows.assign(right=rows["label"] == rows["predicted"]).sort_values("step", kind="stable")


def lost_images(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the images answered right before and wrong after, in the order in which they were lost for good.

    returns  method, seed, image, label, step (the first from which on all answers are wrong), predicted (at that step)
    """
    rows = _one_task(predictions)
    right = rows["step"].where(rows["right"]).groupby([rows[name] for name in IMAGE])
    known = right.transform("min") == rows.groupby(IMAGE)["step"].transform("min")
    lost = rows[known & (rows["step"] > right.transform("max"))].drop_duplicates(IMAGE)
    return lost[[*IMAGE, "label", "step", "predicted"]].reset_index(drop=True)


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return method, label, predicted, before and after: percent of that label's images, of all seeds."""
    rows, shares = _one_task(predictions), {}
    for name, end in {"before": "min", "after": "max"}.items():
        ended = rows[rows["step"] == rows.groupby(RUN)["step"].transform(end)]
        shares[name] = 100 * ended.groupby(["method", "label"])["predicted"].value_counts(normalize=True)
    return pd.DataFrame(shares).fillna(0.0).reset_index()


def _what(rows: pd.DataFrame) -> str:
    """Return which images these are, for a caption."""
    seeds = rows["seed"].nunique()
    which = f"mean of {seeds} seeds" if seeds > 1 else f"seed {rows['seed'].iloc[0]}"
    return f"Validation images of {rows['task'].iloc[0]} before and after {rows['training'].iloc[0]}, {which}"


@drawing()
def class_recall(predictions: pd.DataFrame, methods: Names = None) -> Figure:
    """Draw an arrow for each class of the old task, from its recall before to that after: a panel a method.

    At most 26 classes, by their loss, mean over the methods. Arrows: means over seeds; dots: each seed, after. The
    average in a heading is a macro average: each class counts alike, however many images it has.
    table: method, seed, label, before, after (percent)
    """
    rows = of_methods(_one_task(predictions), methods)
    steps = rows.groupby([*RUN, "label", "step"])["right"].mean().groupby([*RUN, "label"])
    table, looks = (100 * steps.agg(before="first", after="last")).reset_index(), styles(rows["method"].unique())
    means = table.groupby(["method", "label"])[["before", "after"]].mean()
    means["change"] = means["after"] - means["before"]
    names = list(means["change"].groupby("label").mean().sort_values(kind="stable").index[:WIDE])
    headings = []
    for method, look in looks.items():
        mean, changes = means.loc[method].mean().map(words.percent), means.loc[method, "change"]
        lost = changes[changes <= -0.5].sort_values(kind="stable").head(3)
        told = ", ".join(f"{name} −{-points:.0f}" for name, points in lost.items()) or "none"
        headings.append(f"{look.label}: macro average {mean['before']} → {mean['after']} %; lost most: {told}")
    note = f"{_what(rows)}; dash: before; arrow head: after; dot: a seed, after"
    title = f"Which classes of {rows['task'].iloc[0]} are forgotten"
    figure, axes = new_figure(table, title, note, headings, 1.3, sharex=True, sharey=True)
    for one, (method, look) in zip(axes, looks.items(), strict=True):
        shown = means.loc[method].loc[names]
        seeds = table[(table["method"] == method) & table["label"].isin(names)]
        one.plot(range(len(names)), shown["before"], "_", markersize=11, markeredgewidth=1.5, markeredgecolor=SOFT)
        arrows = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.003, "minlength": 0, "zorder": 3}
        one.quiver(range(len(names)), shown["before"], 0 * shown["change"], shown["change"], color=look.color, **arrows)
        one.plot(seeds["label"].map(names.index), seeds["after"], ".", color=look.color, markersize=5, alpha=0.45)
        one.set_xticks(range(len(names)), [words.shortened(name, 80 // len(names)) for name in names])
        one.set(xlim=(-0.7, len(names) - 0.3), ylim=(-4, 106), yticks=[0, 50, 100])
        one.grid(visible=False, axis="x")
    label(axes, "class, by its mean loss over the methods", "recall, %")
    return describe(figure, *headings)


def forgotten_images(predictions: pd.DataFrame, task: Task, methods: Names = None) -> Figure:
    """Draw the first images of the old task that were lost, in that order, at most ten in a row: a row a method.

    A method that has lost none is named in the caption.
    predictions   where it holds several seeds, its first counts
    task          the old one, of whose validation images they are
    table: method, seed, image, label, step, predicted of all images that were lost
    """
    rows = of_methods(_one_task(predictions), methods)
    old, own = rows["task"].iloc[0], rows[rows["seed"] == rows["seed"].iloc[0]]
    check_choice(task.name, [old], "old task")
    table, drawn, whole = lost_images(own), {}, []
    known = own["right"] & (own["step"] == own.groupby("method")["step"].transform("min"))
    for method, look in styles(own["method"].unique()).items():
        lost = table[table["method"] == method]
        name = f"{look.label}: {len(lost)} of {known[own['method'] == method].sum()} lost"
        if lost.empty:
            whole.append(name)
            continue
        images = task.restored(task.validation.inputs[lost["image"].head(MOST).tolist()]).cpu().movedim(1, -1)
        told = [f"{one.label} → {one.predicted} step {one.step}" for one in lost.head(MOST).itertuples()]
        drawn[name] = images.squeeze(-1).clamp(0, 1).numpy(), told
    if not drawn:
        raise InputError(f"No image of {old} was lost, so there is none to draw.")
    note = "; ".join([f"{_what(own)}: class → answer, and the step from which on it is wrong", *whole])
    figure = task_images(drawn, title=f"The first images of {old} that are forgotten", note=note)
    figure.table = table
    return figure


@drawing()
def confusion_matrix(predictions: pd.DataFrame, methods: Names = None, *, classes: int = 8) -> Figure:
    """Draw the answers to the most forgotten classes, in percent of a class: before, and after with each method.

    classes   rows of a panel: those that lose most, mean over the methods; columns: at most 26 answers, the most given
    table: that of `confusion`
    """
    import seaborn

    rows = of_methods(_one_task(predictions), methods)
    table, looks = confusion(rows), styles(rows["method"].unique())
    right = table[table["label"] == table["predicted"]].groupby("label")[["before", "after"]].sum()
    worst = list((right["after"] - right["before"]).sort_values(kind="stable").index[:classes])
    shown = table[table["label"].isin(worst)]
    answers = sorted(shown.groupby("predicted")[["before", "after"]].sum().sum(axis=1).nlargest(WIDE).index)
    names = [words.shortened(name, 80 // len(answers)) for name in answers]
    panels = [(next(iter(looks)), "before", "Before")]
    panels += [(method, "after", f"After, {look.label}") for method, look in looks.items()]
    title, headings = f"Answers to the most forgotten classes of {rows['task'].iloc[0]}", [name for *_, name in panels]
    note = f"{_what(rows)}; percent of the images of a class"
    figure, axes = new_figure(table, title, note, headings, 0.19 * len(worst) + 0.3, sharex=True, sharey=True)
    for one, (method, when, heading) in zip(axes, panels, strict=True):
        own = shown[shown["method"] == method]
        cells = own.pivot(index="label", columns="predicted", values=when).reindex(index=worst, columns=answers)
        texts = cells.map(lambda share: f"{share:.0f}" if share >= 5 else "")
        look = {"cmap": "Blues", "vmin": 0, "vmax": 100, "cbar": False, "annot_kws": {"size": 9}, "ax": one}
        seaborn.heatmap(cells, annot=texts, fmt="", xticklabels=names, yticklabels=True, **look)
        one.tick_params(rotation=0)
        one.grid(visible=False)
        one.set(xlabel="", ylabel="")
        most = own[(own["label"] != own["predicted"]) & (own[when] > 0)].nlargest(3, when)
        told = [f"{row.label} → {row.predicted} {getattr(row, when):.0f} %" for row in most.itertuples()]
        describe(figure, f"{heading}: confused most: {', '.join(told) or 'none'}")
    label(axes, "answer", "class")
    return figure
