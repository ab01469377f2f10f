"""Plots of measures along the run: how an old task is forgotten, by what, and what is left of it."""

from __future__ import annotations

import dataclasses
from itertools import combinations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ebll import metrics

from . import tables, words
from .figure import describe, label, legend_beside, new_figure
from .lines import Panel, draw_lines, in_words, over_setting, over_steps, steps_of
from .style import HEAT, INK, PALE, Style, drawing, styles
from .tables import Names

PARTS = {"code": "seen by the code", "head": "read by the head", "free": "free"}
SHADES = ("#a87800", "#1f4e5f", "#b9c2c6")  # of the parts
SIGNALS = {"kl": "KL of answers", "code": "code distance", "features": "feature distance", "weights": "weight distance"}

# A scale on which small values beside a large one are told apart, and 0 and negative ones have a place.
ROOT = (lambda v: np.sign(v) * np.abs(v) ** 0.5, lambda v: np.sign(v) * v**2)


def _dots(axes: Axes, table: pd.DataFrame, looks: dict[str, Style], what: str) -> None:
    """Draw a row for each method, from above: its mean, and its seeds as dots below that."""
    told = []
    for place, (name, look) in enumerate(looks.items()):
        own = table[table["method"] == name]
        axes.plot(own["value"], [place + 0.28] * len(own), ".", color=look.color, markersize=4)
        axes.plot(own["mean"].iloc[0], place, color=look.color, marker=look.marker)
        told.append(f"{look.label} {words.spread(own['value'])}")
    axes.set_yticks(range(len(looks)), [look.label for look in looks.values()])
    axes.set_ylim(len(looks) - 0.5, -0.5)
    describe(axes.figure, f"{what}: {words.listed(told)}")


@drawing()
def stability_gap(curves: pd.DataFrame, sequence: str | None = None, methods: Names = None, **which: object) -> Figure:
    """Draw accuracy on an old task over the steps; below, what is lost at the end, and how far below that it has been.

    which  training, task as in `feature_distance`
    table: a row per seed: quantity (accuracy, in percent, lost or dip), method, step, seed, value, mean, seeds
    """
    rows, training, task, net = steps_of(curves, sequence, ("accuracy",), "accuracy on an old task", methods, **which)
    tables.check_fractions(rows["value"], "The column accuracy of the curves table")
    lines, looks = over_steps(rows.assign(value=100 * rows["value"])), styles(rows["method"])
    runs = lines.groupby(["method", "seed"])["value"]
    gaps = {"lost": runs.first() - runs.last(), "dip": runs.agg(lambda run: metrics.stability_gap(run)[1])}
    gaps = pd.DataFrame(gaps).reset_index().melt(["method", "seed"], var_name="quantity")
    gaps = tables.by_seed(gaps, ["quantity", "method"], "value", quantity=["lost", "dip"])
    headings = ["", "Lost at the end, points", "Dip: how far below its end it has been, points (M12)"]
    title, note = (
        f"Accuracy on {task} while {training} is learned ({net})",
        "Held-out inputs; circles: the lowest of each seed",
    )
    figure, axes = new_figure(pd.concat([lines, gaps]), title, note, headings, [2.4, *[0.2 * len(looks) + 0.2] * 2])
    draw_lines(axes[0], panel := Panel(f"accuracy on {task}, %", lines, looks), "step")
    axes[0].set(xlabel="optimiser step", ylabel=panel.ylabel)
    legend_beside(axes[0], looks.values())
    describe(figure, in_words(panel, "step"))
    lowest = lines.loc[lines.groupby(["method", "seed"])["value"].idxmin()]
    edges = [looks[name].color for name in lowest["method"]]
    axes[0].scatter("step", "value", 30, data=lowest, facecolors="none", edgecolors=edges, linewidths=1.2, zorder=4)
    for one, heading, (_, own) in zip(axes[1:], headings[1:], gaps.groupby("quantity", sort=False), strict=True):
        _dots(one, own, looks, heading)
        one.set_xlim(min(0, one.get_xlim()[0]))
    return figure


def competition(table: pd.DataFrame) -> Figure:
    """Draw M13: norms of the terms' gradients, their cosines with the old task's gradient, and those between the terms.

    table  of `ebll.dynamics.along` with `competition`, for one method, with a column `seed`
    table: as `over_setting` has it: quantity (norm, with_old or between), term, step, seed, value, mean, seeds
    """
    key = ["seed", "step"]
    table = tables.check(table, "given", (*key, "norm_old"), key)
    terms = [name.removeprefix("norm_") for name in table if name.startswith("norm_") and name != "norm_old"]
    rows = [table[key].assign(term=t, norm=table[f"norm_{t}"], with_old=table[f"cosine_{t}_old"]) for t in terms]
    rows += [table[key].assign(term="old task, an oracle", norm=table["norm_old"])]
    for a, b in combinations(terms, 2):
        pair = " and ".join(look.label for look in styles([a, b]).values())
        rows += [table[key].assign(term=pair, between=table[f"cosine_{a}_{b}"])]
    ys = {"norm": "norm", "with_old": "cosine with the old task's", "between": "cosine between terms"}
    title, caption = "Gradients of the weighted terms in the weights of F", "Mini-batches of the new task"
    names = {"by": "term", "xlabel": "optimiser step", "title": title, "caption": caption}
    return over_setting(pd.concat(rows), "step", ys if len(terms) > 1 else dict([*ys.items()][:2]), log=False, **names)


@drawing()
def drift_parts(table: pd.DataFrame) -> Figure:
    """Draw M14 over the steps as a stack of means, a row a method, a column a set of images; thin: sums of the seeds.

    table  of `ebll.dynamics.along` with `drift`, with columns `method` and `seed`
    table: a row per seed: method, images, part, step, seed, value, mean, seeds
    """
    key = ["method", "seed", "step"]
    table = tables.check(table, "given", key, key)
    images = [column.removeprefix("code_") for column in table if column.startswith("code_")]
    rows = [table[key].assign(images=i, part=part, value=table[f"{part}_{i}"]) for i in images for part in PARTS]
    made = tables.by_seed(pd.concat(rows), ["method", "images", "part", "step"], "value", images=images, part=PARTS)
    panels = {f"{look.label}: {i} images": (name, i) for name, look in styles(made["method"]).items() for i in images}
    layout = {"columns": len(images), "sharex": True, "sharey": "row"}
    title, note = "Where the features go", "Held-out images; each row has its own scale"
    figure, axes = new_figure(made, title, note, list(panels), 1.2, **layout)
    for one, (heading, (name, shown)) in zip(axes, panels.items(), strict=True):
        own = made[(made["method"] == name) & (made["images"] == shown)]
        means = own.pivot_table(index="step", columns="part", values="mean")[[*PARTS]]
        one.stackplot(means.index, means.T, colors=SHADES)
        one.plot(own.pivot_table(index="step", columns="seed", values="value", aggfunc="sum"), color=INK, **PALE)
        one.margins(0)
        told = words.listed(f"{part} {words.course(means[name])}" for name, part in PARTS.items())
        describe(figure, f"{heading}, over the steps: {told}")
    label(axes, "optimiser step", "squared feature distance", middle=0.45)
    looks = [Style(part, shade, "", "s") for part, shade in zip(PARTS.values(), SHADES, strict=True)]
    legend_beside(axes[len(images) - 1], looks[::-1])
    return figure


@drawing()
def probes(table: pd.DataFrame) -> Figure:
    """Draw accuracy on the old task, a panel for each reader of it, such as its own head and probes (M15) of layers.

    table  method, seed, reader, accuracy in percent; the method "before" is the network before the new task, a line
    table: a row per seed: reader, method, seed, value, mean, seeds
    """
    key = ("method", "seed", "reader")
    table = tables.check(table, "given", (*key, "accuracy"), key)
    readers = list(table["reader"].unique())
    made = tables.by_seed(table, ["reader", "method"], "accuracy", reader=readers)
    looks, layout = styles(set(made["method"]) - {"before"}), {"columns": len(readers), "sharex": True, "sharey": True}
    title, note = "What a refitted readout regains", "Validation images; dashed: before the new task"
    figure, axes = new_figure(made, title, note, readers, 0.28 * len(looks) + 0.3, **layout)
    for one, reader in zip(axes, readers, strict=True):
        own = made[made["reader"] == reader]
        before = own.loc[own["method"] == "before", "mean"].mean()
        one.axvline(before, color=INK, linestyle=(0, (5, 2)), linewidth=1.2, zorder=1)
        _dots(one, own, looks, f"{reader}, before the new task {words.percent(before)} %, after it")
    label(axes, "accuracy on the old task, %", "", middle=0.5)
    return figure


@drawing()
def landscape(surface: pd.DataFrame, paths: pd.DataFrame, lines: pd.DataFrame) -> Figure:
    """Draw the losses of two tasks in a plane of weights (M17), with the paths of methods; below, on straight lines.

    surface  x, y in a plane of weights, and the losses `old` and `new` there (all three: `ebll.dynamics.landscape`)
    paths    method, step, x, y: a dot each; the figure's table
    lines    method, share of the straight line from the start to the method's end, `old` and `new` there
    """
    looks, columns = styles(paths["method"]), {"old": "Loss of the old task, nats", "new": "Loss of the new task, nats"}
    headings, title = (
        [*columns.values(), "Straight to each end, loss over the share of the way", ""],
        "Paths in a plane of the weights",
    )
    note = "Held-out images; a path shows the nearest points of the plane; large marks: ends"
    figure, axes = new_figure(paths, title, note, headings, [3.0, 1.1], columns=2)
    for one, loss in zip(axes[2:], columns, strict=True):
        for name, look in looks.items():
            one.plot("share", loss, data=lines[lines["method"] == name], color=look.color, linestyle=look.line)
        one.set_ylim(bottom=0)
    for one, (loss, heading) in zip(axes[:2], columns.items(), strict=True):
        grid = surface.pivot(index="y", columns="x", values=loss)
        top = max(surface[loss].max(), 1e-9)  # a loss may be 0 somewhere, or all over
        levels = np.geomspace(np.clip(surface[loss].min(), 1e-3 * top, 0.9 * top), top, 13)
        filled = one.contourf(grid.columns, grid.index, grid, levels, cmap=HEAT, extend="min")
        figure.colorbar(filled, ax=one, ticks=levels[2::4], format="%.2g", location="bottom", aspect=30)
        one.tick_params(pad=6)  # names in a corner stand apart
        for name, look in looks.items():
            x, y = paths.loc[paths["method"] == name, ["x", "y"]].to_numpy().T
            one.plot(x, y, ".-", color="white", markeredgecolor=look.color, linewidth=1)
            one.plot(x[-1], y[-1], look.marker, color=look.color, markersize=9, markeredgecolor="white")
            describe(figure, f"{look.label} ends at ({x[-1]:.1f}, {y[-1]:.1f})" if loss == "new" else "")
        describe(figure, f"{heading}: {words.number(levels[0])} to {words.number(levels[-1])} in the plane")
    legend_beside(axes[1], [dataclasses.replace(look, line="") for look in looks.values()])
    return figure


@drawing()
def signals(table: pd.DataFrame) -> Figure:
    """Draw forgetting against quantities that need no old data, a dot a run, with Spearman's rank correlation.

    table  method, seed, forgetting in points, and columns of `ebll.dynamics.learner_signals`
    table: a row per run: quantity, method, seed, value, forgetting; mean, low, high: M9 of the seeds' correlations
    """
    rows, looks = table.melt(["method", "seed", "forgetting"], [*SIGNALS], "quantity", "value"), styles(table["method"])
    ranks = rows.groupby(["quantity", "seed"], sort=False)[["value", "forgetting"]].corr("spearman").iloc[::2, 1]
    means = {name: metrics.confidence_interval(own) for name, own in ranks.groupby("quantity", sort=False)}
    rows[["mean", "low", "high"]] = [means[quantity] for quantity in rows["quantity"]]
    bounded = np.clip([*means.values()], -1, 1)  # which an interval of t need not be
    headings = [f"ρ = {words.between(*mean, '{:.2f}'.format)}".replace("-", "−") for mean in bounded]
    title = "Which quantity warns of forgetting?"
    note = "Rank correlation ρ over methods, 95 % interval over seeds; axes by square roots"
    figure, axes = new_figure(rows, title, note, headings, 2.0, columns=2, sharey=True)
    for one, heading, (quantity, own) in zip(axes, headings, rows.groupby("quantity", sort=False), strict=True):
        for name, look in looks.items():
            one.plot("value", "forgetting", look.marker or "o", data=own[own["method"] == name], color=look.color)
        one.set(xlabel=SIGNALS[quantity])
        one.set_xscale("function", functions=ROOT)
        one.set_yscale("function", functions=ROOT)
        describe(figure, f"{SIGNALS[quantity]}: {heading}")
    figure.supylabel("forgetting, points")
    legend_beside(axes[1], [dataclasses.replace(look, line="") for look in looks.values()])
    return figure
