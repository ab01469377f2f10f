"""Made-up tables in the shape of the real ones, for all tests of `ebll.plots`; nothing is trained."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from ebll import plots

METHODS = ["alone", "joint", "finetune", "feature-extraction", "lwf", "ewc", "code-only", "ebll", "ebll-separate"]
FORGET = dict(zip(METHODS, [0.0, 0.01, 0.3, 0.0, 0.1, 0.14, 0.08, 0.05, 0.02], strict=True))


def accuracy_table(*sequences: str, seeds: int = 5, methods: list[str] = METHODS, gap: float = 1.0) -> pd.DataFrame:
    rng, rows = np.random.default_rng(0), []
    for place, sequence in enumerate(sequences or ["mlp:letters-textures"]):
        net, tasks = sequence.split(":")[0], sequence.split(":")[1].split("-")
        best = {task: 0.9 - 0.15 * (i % 4) for i, task in enumerate(tasks)}
        for method in methods:
            for seed in range(seeds):
                for i, after in enumerate(tasks):
                    for j in [i] if method == "alone" else range(i + 1):
                        lost = FORGET.get(method, 0.2) * (i - j) * (0.4 + 0.3 * gap * place) / (1 + 0.4 * (i - j))
                        value = best[tasks[j]] - lost - (0.03 if method == "feature-extraction" and j else 0)
                        value += rng.normal(0, 0.008)
                        rows.append((sequence, net, method, seed, after, tasks[j], float(np.clip(value, 0, 1))))
    return pd.DataFrame(rows, columns=["sequence", "net", "method", "seed", "after", "task", "accuracy"])


def curves_table(
    sequence: str = "cnn:letters-textures", seeds: int = 5, methods: list[str] = METHODS[2:], steps: int = 500
) -> pd.DataFrame:
    rng, rows = np.random.default_rng(1), []
    net, tasks = sequence.split(":")[0], sequence.split(":")[1].split("-")
    end = dict(zip(METHODS, [0, 20, 33, 0, 23, 28, 6, 3, 1.5], strict=True))
    when = [("warm-up", s) for s in range(0, 60, 10)] + [("train", s) for s in range(0, steps + 1, 10)]
    for training in tasks[1:]:
        for method in methods:
            for seed in range(seeds):
                size = 1 + 0.1 * rng.normal()
                for stage, step in when:
                    t = 0 if stage == "warm-up" else step
                    rise = end[method] * (1 - np.exp(-t / 30)) + 0.6 * (end[method] > 0) * t * np.exp(1 - t / 40)
                    distance = size * rise
                    terms = {"task": 2.3 * np.exp(-t / 120) + 0.2 + 0.03 * rng.normal()}
                    if method in ("lwf", "ebll", "ebll-separate"):
                        terms["distill"] = 0.3 + 0.01 * distance
                    if method in ("code-only", "ebll", "ebll-separate"):
                        terms["code"] = 0.02 * distance + 0.001 * (t > 0)
                    if method == "ewc":
                        terms["penalty"] = 0.01 * distance
                    for task in tasks[: tasks.index(training)]:
                        row = dict(sequence=sequence, net=net, method=method, seed=seed, training=training)
                        row |= dict(
                            stage=stage, step=step, task=task, feature_distance=distance, feature_norm=79 + 0.01 * t
                        )
                        row |= dict(code_distance=distance / 10, accuracy=0.9 - 0.003 * distance, learning_rate=0.02)
                        row |= dict(accuracy_new=0.8 - 0.6 * size * np.exp(-(step + 20 * (stage == "train")) / 120))
                        for term in ("task", "distill", "code", "penalty"):
                            row |= {f"loss_{term}": terms.get(term, np.nan), f"raw_{term}": terms.get(term, np.nan)}
                        rows.append(row)
    return pd.DataFrame(rows)


_FAR = "On the far pair EBLL keeps more of the old task than LwF, by at least one point"
_GROWS = "The gain of EBLL over LwF grows with the distance between the domains, in the order near, middle, far"
_FIELDS = ("id", "statement", "estimate", "low", "high", "verdict")
CLAIMS = [
    dict(zip(_FIELDS, values, strict=True))
    for values in (
        ("C1", _FAR, 5.2, 3.9, 6.5, "supported"),
        ("C2", "On the near pair EBLL is better than LwF", 0.4, -0.3, 1.1, "undecided"),
        ("C3", "EBLL costs less than one point on the new task", -2.4, -3.1, -1.7, "not supported"),
        ("C4", _GROWS, 2.4, 1.2, 3.6, "supported"),
    )
]


PAIR, CURVES = "mlp:letters-textures", "cnn:letters-textures"
LONG = "cnn:handwritten_characters_of_the_alphabet-another_data_set_with_a_name"
SIX = ["mlp:a-b", "mlp:letters-mnist", "cnn:mnist-letters", "cnn:mnist-textures", PAIR, "cnn:mnist-digits-letters"]
FIVE = "cnn:mnist-digits-letters-fashion-textures"
FOUR = ["finetune", "lwf", "ewc", "ebll"]
SWEEP = {"alone": [np.nan], "joint": [np.nan], "finetune": [0], "lwf": [0.1, 1, 10],
         "ewc": [1, 10, 100, 1000, 3000, 10000], "ebll": [0, 0.1, 0.3, 1, 3, 10, 30, 100]}  # fmt: skip


def swept_accuracy(sequence=PAIR, seeds=3, sweep=SWEEP):
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


def sheet(**rows):
    rng = np.random.default_rng(0)
    return {task: (rng.random((len(labels), 28, 28)), list(labels)) for task, labels in rows.items()}


def out_of_view(figure):
    """Return tick labels beyond the limits of their axis: they exist, but are not drawn."""
    axes = [axis for one in figure.axes for axis in (one.xaxis, one.yaxis)]
    ticks = [(axis, tick) for axis in axes for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]]
    beyond = [tick for axis, tick in ticks if not within(tick.get_loc(), axis)]
    return {label for tick in beyond for label in (tick.label1, tick.label2)}


def within(value, axis):
    low, high = sorted(axis.get_view_interval())
    return low <= value <= high


NAMES = {"accuracy": "accuracy from the reconstruction, %", "share": "share of the spread missed"}
HEADS = {"xlabel": "code size, units", "title": "What a code of few units keeps"}


def over(table, ys=("accuracy", "share"), **options):
    return plots.over_setting(table, "code", {y: NAMES[y] for y in ys}, **HEADS | options)
