"""Plots of the accuracy table: the matrix, and forgetting as bars or over the gap between domains."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ebll.errors import InputError

from . import tables, words
from .figure import finish, label, legend_beside, new_figure, t_interval
from .style import INK, SOFT, Style, drawing, styles

__all__ = [
    "accuracy_matrix", "accuracy_matrix_table", "forgetting_bars", "forgetting_by_gap", "forgetting_by_gap_table",
    "forgetting_table",
]  # fmt: skip


def accuracy_matrix_table(
    accuracy: pd.DataFrame, sequence: str | None = None, methods: str | Iterable[str] | None = None
) -> pd.DataFrame:
    """Return what `accuracy_matrix` draws, in percent: method, after, task, mean, low, high, seeds."""
    rows = tables.of_sequence(tables.check_accuracy(accuracy), sequence)
    tasks, by = tables.task_order(rows), ["method", "after", "task"]
    rows = rows[rows["method"].isin(tables.chosen(rows, methods))]
    return tables.in_order(tables.intervals(rows, by, "percent"), by, after=tasks, task=tasks)


@drawing()
def accuracy_matrix(
    accuracy: pd.DataFrame, sequence: str | None = None, methods: str | Iterable[str] | None = None
) -> Figure:
    """Draw accuracy in percent after each learned task (rows) on each task so far (columns), a heat map per method.

    Below the mean stands the half-width of the interval, where cells are wide enough; the caption has the widest.
    'One network per task' has its diagonal only.
    """
    import seaborn

    table = accuracy_matrix_table(accuracy, sequence, methods)
    rows = tables.of_sequence(tables.check_accuracy(accuracy), sequence)
    tasks, names, half = tables.task_order(rows), styles(table["method"]), table["high"] - table["mean"]
    columns = min(len(names), 3)
    wide = columns * len(tasks) <= 9
    widest = f", at most ±{words.percent(half.max())} points" if half.notna().any() else ""
    title = f"Accuracy after each task: {tables.sequence_words(rows)}"
    caption = f"{words.seeds_words(table['seeds'])}{widest}; test data; rows: just learned; columns: measured."
    height = len(tasks) * (0.42 if wide else 0.28) + 0.3
    ticks = [words.shortened(task, 14) for task in tasks]
    longest = 0.085 * max(map(len, ticks))
    turned = longest > 5.4 / columns / len(tasks)
    hanging = 2 if len(names) > columns and len(names) % columns else 1  # rows of panels with names below
    margin = 0.85 + (hanging * longest if turned else 0)
    figure, axes = new_figure(title, caption, height, columns=columns, count=len(names), margin=margin)
    light = seaborn.light_palette("#2f94d1", as_cmap=True)  # black reads well on all of it
    shared = {"vmin": 10 * (table["mean"].min() // 10), "vmax": 100, "cmap": light, "cbar": False, "fmt": ""}
    shared |= {"annot_kws": {"color": "black", "size": 9}, "linewidths": 1}
    numbers = table["mean"].map(f"{{:.{1 if wide else 0}f}}".format)
    told = table.assign(text=numbers + half.map("\n±{:.1f}".format).where(half.notna() & wide, ""))
    for place, (one, name) in enumerate(zip(axes, names, strict=True)):
        own = told[told["method"] == name].set_index(["after", "task"])
        means, text = (own[what].unstack().reindex(index=tasks, columns=tasks) for what in ("mean", "text"))
        across = ticks if place + columns >= len(names) else False
        up = ticks if place % columns == 0 else False
        seaborn.heatmap(means, annot=text, ax=one, xticklabels=across, yticklabels=up, **shared)
        one.set(xlabel="", ylabel="", title=names[name].label)
        one.grid(visible=False)
        one.tick_params("x", length=0, rotation=90 if turned else 0)
        one.tick_params("y", length=0, rotation=0)
    return finish(figure, table, title, *_matrix_words(table, tasks, names), caption)


def _matrix_words(table: pd.DataFrame, tasks: list[str], names: Mapping[str, Style]) -> list[str]:
    """Return a sentence per method: each task when just learned, and at the end."""
    out = []
    for name, style in names.items():
        means = table[table["method"] == name].set_index(["after", "task"])["mean"]
        parts = [f"{task} {words.percent(means.get((task, task), math.nan))}" for task in tasks]
        for place, task in enumerate(tasks[:-1]):
            if (tasks[-1], task) in means:
                parts[place] += f", at the end {words.percent(means[tasks[-1], task])}"
        out.append(f"{style.label}: {'; '.join(parts)}")
    return out


def forgetting_table(
    accuracy: pd.DataFrame, sequences: str | Iterable[str] | None = None, methods: str | Iterable[str] | None = None
) -> pd.DataFrame:
    """Return what `forgetting_bars` draws, a row per seed: sequence, method, seed, value, mean, low, high, seeds.

    `value` is the forgetting of that seed, mean and interval are over seeds; all in percentage points.
    """
    rows = tables.outcomes(accuracy, sequences)
    kept = rows[rows["method"].isin(tables.chosen(rows, methods)) & rows["forgetting"].notna()]
    if kept.empty:
        raise InputError(
            "There is no forgetting to draw: no method was measured both just after a task and at the end."
        )
    by = ["sequence", "method"]
    return tables.in_order(tables.with_intervals(kept, by, "forgetting"), by, sequence=rows["sequence"].unique())


@drawing()
def forgetting_bars(
    accuracy: pd.DataFrame, sequences: str | Iterable[str] | None = None,
    methods: str | Iterable[str] | None = None, *, ax: Axes | None = None,
) -> Figure:  # fmt: skip
    """Draw the forgetting of the old tasks: one panel per sequence, one bar per method, in percentage points.

    Forgetting is the best accuracy before the last task minus accuracy at the end, mean over the old tasks; below zero
    a task has gained. Dots are seeds.
    """
    import seaborn

    table = forgetting_table(accuracy, sequences, methods)
    names, titles = styles(table["method"]), tables.titles(accuracy, table["sequence"])
    columns = {1: 1, 2: 2, 4: 2}.get(len(titles), 3)
    title = "Forgetting of the old tasks"
    caption = f"{words.seeds_words(table['seeds'])}; dots: seeds; test data; best accuracy so far minus at the end."
    share = {"columns": columns, "count": len(titles), "sharex": True, "sharey": True}
    figure, axes = new_figure(title, caption, 0.28 * len(names) + 0.5, ax=ax, **share)
    labels = {name: textwrap.fill(style.label, 18) for name, style in names.items()}
    colors = {labels[name]: style.color for name, style in names.items()}
    for one, (sequence, heading) in zip(axes, titles.items(), strict=True):
        part = table[table["sequence"] == sequence].replace({"method": labels}).astype({"seed": str})
        bars = {"x": "value", "y": "method", "order": list(colors), "legend": False, "ax": one}
        interval = {"errorbar": t_interval, "err_kws": {"color": INK, "linewidth": 1.4}}
        dots = {"hue": "seed", "palette": [INK] * part["seed"].nunique(), "dodge": True, "jitter": False, "size": 3}
        seaborn.barplot(part, **bars, hue="method", palette=colors, alpha=0.5, **interval)
        seaborn.stripplot(part, **bars, **dots)
        one.axvline(0, color=SOFT, linewidth=0.8)
        one.grid(visible=False, axis="y")
        one.tick_params("y", length=0)
        one.set_title(textwrap.fill(heading, 75 // columns))
    label(axes, columns, "forgetting, points", "")
    text = [f"{heading}: {_means_words(table[table['sequence'] == s])}" for s, heading in titles.items()]
    return finish(figure, table, f"{title}, in percentage points", *text, caption)


def _means_words(table: pd.DataFrame) -> str:
    """Return each method's mean and interval."""
    rows = table.drop_duplicates("method")
    names = styles(rows["method"])
    return words.listed(
        f"{names[m.method].label} {words.with_interval(m.mean, m.low, m.high)}" for m in rows.itertuples()
    )


def forgetting_by_gap_table(
    accuracy: pd.DataFrame, order: Iterable[str] | Mapping[str, str], *,
    methods: Iterable[str] = ("finetune", "lwf", "ebll"), better: str = "ebll", than: str = "lwf",
) -> pd.DataFrame:  # fmt: skip
    """Return what `forgetting_by_gap` draws, a row per seed, in percentage points.

    panel         'forgetting', or 'gain': old-task accuracy at the end of `better` minus that of `than`, same seed
    place         0 for the nearest pair, then 1, 2, ...
    sequence, method, seed, value; mean, low, high (over seeds); seeds
    """
    sequences = list(order.values() if isinstance(order, Mapping) else [order] if isinstance(order, str) else order)
    if len(set(sequences)) != len(sequences):
        raise InputError(f"order: each sequence has one place from near to far; got {', '.join(sequences)}.")
    rows, by = tables.outcomes(accuracy, sequences), ["sequence", "method"]
    drawn, _ = tables.chosen(rows, methods), tables.chosen(rows, [better, than])
    lost = tables.with_intervals(rows[rows["method"].isin(drawn)], by, "forgetting")
    old = rows.pivot(index=["sequence", "seed"], columns="method", values="old")
    gain = (old[better] - old[than]).rename("gain").dropna().reset_index()
    if gain.empty:
        raise InputError(f"The gain of {better} over {than} is paired by seed, and they share no seed.")
    gain = tables.with_intervals(gain.assign(method=f"{better} minus {than}"), by, "gain")
    table = pd.concat([lost.assign(panel="forgetting"), gain.assign(panel="gain")], ignore_index=True)
    table["place"] = table["sequence"].map(sequences.index)
    return table[["panel", "place", *gain.columns]]


@drawing()
def forgetting_by_gap(
    accuracy: pd.DataFrame, order: Iterable[str] | Mapping[str, str], *,
    methods: Iterable[str] = ("finetune", "lwf", "ebll"), better: str = "ebll", than: str = "lwf",
) -> Figure:  # fmt: skip
    """Draw forgetting from the nearest to the farthest pair of tasks, and below it what `better` gives back.

    order         ids of the sequences from near to far, or a dict from a word to an id: {"near": "mlp:letters-mnist"}
    methods       whose forgetting is drawn above
    better, than  the two methods whose old-task accuracy at the end is compared below, seed by seed

    Dots are seeds (below: one difference each). Lines between pairs lead the eye: there is nothing in between.
    """
    table = forgetting_by_gap_table(accuracy, order, methods=methods, better=better, than=than)
    titles = tables.titles(accuracy, table.sort_values("place")["sequence"])
    lost, gain = table[table["panel"] == "forgetting"], table[table["panel"] == "gain"]
    names, pair = styles(lost["method"]), {gain["method"].iloc[0]: styles([better])[better]}
    difference = " minus ".join(styles([name])[name].label for name in (better, than))
    title = "Forgetting from the nearest to the farthest pair of tasks"
    caption = f"{words.seeds_words(table['seeds'])}; dots: seeds (below: the same seed with both methods); test data."
    figure, (above, below) = new_figure(title, caption, [2.5, 1.7], sharex=True)
    _draw_pairs(above, lost, names, len(titles))
    _draw_pairs(below, gain, pair, len(titles))
    above.set(xlabel="", ylabel="forgetting, points")
    below.set(ylabel=textwrap.fill(f"{difference}, old tasks, points", 22))
    below.set_xlabel("pair of tasks, from near (left) to far (right)")
    legend_beside(above, [style.handle() for style in names.values()])
    lead = [f"{word}\n" for word in order] if isinstance(order, Mapping) else [""] * len(titles)
    ticks = [a + textwrap.fill(b, max(12, 72 // len(titles))) for a, b in zip(lead, titles.values(), strict=True)]
    below.set_xticks(range(len(ticks)), ticks)
    text = []
    for sequence, name in titles.items():
        here = [part[part["sequence"] == sequence] for part in (lost, gain)]
        means = [_means_words(part) for part in here if len(part)]
        text.append(f"{name}: forgetting {'; '.join(means).replace(next(iter(pair)), difference)}")
    return finish(figure, table, title, *text, caption)


def _draw_pairs(axes: Axes, rows: pd.DataFrame, names: Mapping[str, Style], count: int) -> None:
    import seaborn

    shared = {"x": "place", "y": "value", "hue": "method", "hue_order": list(names), "legend": False, "ax": axes}
    shared |= {"order": list(range(count)), "palette": [style.color for style in names.values()]}
    lines = {"linestyles": [style.line for style in names.values()], "linewidth": 1.3, "err_kws": {"linewidth": 1.3}}
    apart = 0.8 - 0.8 / len(names)  # as far as the dots of the strips
    seaborn.stripplot(rows, **shared, dodge=True, jitter=False, size=3, alpha=0.6)
    seaborn.pointplot(
        rows, **shared, **lines, markers=[style.marker for style in names.values()], dodge=apart or False,
        errorbar=t_interval, markersize=7, markeredgecolor="white", markeredgewidth=0.5,
    )  # fmt: skip
    axes.axhline(0, color=SOFT, linewidth=0.8, zorder=1)
    axes.grid(visible=False, axis="x")
