"""Layers for the net `cnn`: what a step costs, what is learned, whether the paper's curve appears; on validation data.

    python -m benchmarks.layers           # writes docs/layers.csv and the section "layers" of docs/settings.md

What the net is for: each task alone within a point of what the first layers of this kit reached, and the feature
distance of letters while mnist is learned, which with EBLL rises and falls to under half of its peak, and with LwF ends
above half of its own. Of the candidates that do it, the cheapest is taken; `ebll.networks.cnn` has it.
"""

from __future__ import annotations

import contextlib
import itertools
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from benchmarks.choose_settings import told
from benchmarks.rounds import interleaved
from benchmarks.section import write_section
from ebll.config import NEW_TASK_IMAGES
from ebll.data.catalog import load_cut
from ebll.executors import completed
from ebll.files import write_table
from ebll.methods import Finetune
from ebll.networks import build_network
from ebll.protocol import learn_first, run_sequence
from ebll.recording import Recorder, measure_accuracy
from ebll.reproduce.claims import curve_shapes
from ebll.reproduce.report import markdown
from ebll.settings import TrainSettings
from ebll.training import train

DOCS = Path(__file__).parents[1] / "docs"
SEEDS = range(100, 105)
TASKS = ("letters", "mnist", "digits", "textures")
FIRST = "16 and 32 channels, both 5 x 5 of stride 2"
LAYERS = {
    FIRST: [(16, 5, 2), (32, 5, 2)],
    "8 and 32 channels, both 5 x 5 of stride 2": [(8, 5, 2), (32, 5, 2)],
    "8 and 32 channels, 5 x 5 and 3 x 3, both of stride 2": [(8, 5, 2), (32, 3, 2)],
    "16 and 32 channels, 5 x 5 of stride 3 and 3 x 3 of stride 2": [(16, 5, 3), (32, 3, 2)],
}
"""Name -> channels, kernel and stride of each convolution; T stays one layer of 128."""

TEXT = """## Layers of `cnn`

Written by `python -m benchmarks.layers`; rows in `layers.csv`. *A step* is the time of a step of fine-tuning against
that with the first row's layers, which the kit began with (median of {rounds} rounds, in turns). Then the validation
accuracy in % of each task where it is learned alone, and the feature distance of letters while mnist is learned: on
how many of the {seeds} seeds it rises with EBLL, in the first half of the training, and falls to under half of its
peak, and on how many it ends above half of its peak with LwF. The kit has the cheapest layers that are within a point
of the first ones on each task and show both on every seed: {taken}.

"""


def net_of(name: str, input_shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """F and T with the layers of this name."""
    layers, channels = [], input_shape[0]
    for width, kernel, stride in LAYERS[name]:
        layers += [nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2), nn.ReLU()]
        channels = width
    features = nn.Sequential(*layers)
    size = features(torch.zeros(1, *input_shape)).numel()
    return features, nn.Sequential(nn.Linear(size, 128), nn.ReLU())


def measure(name: str, seed: int) -> list[dict]:
    """Accuracy of each task alone, and the shape of the curve with EBLL and with LwF."""
    torch.set_num_threads(1)
    net, rows = partial(net_of, name), []
    facts, options, starts = {"layers": name, "seed": seed}, {"seed": seed}, {}
    tasks = {one: load_cut(one, NEW_TASK_IMAGES if one != TASKS[0] else 0) for one in TASKS}
    for one, task in tasks.items():
        starts[one] = learn_first([task], net=net, recorder=Recorder(log_every=0), **options)
        rows.append(facts | {"what": one, "value": measure_accuracy(starts[one].net, 0, task.validation)})
    for method in ("ebll", "lwf"):
        recorder = Recorder(log_every=10)
        pair = [tasks["letters"], tasks["mnist"]]
        run = run_sequence(pair, method, recorder=recorder, start=starts["letters"], consolidate_last=False, **options)
        (shape,) = curve_shapes(run.curves).to_dict("records")
        rows += [facts | {"what": f"{method} {key}", "value": shape[key]} for key in ("ratio", "when")]
    return rows


def measured(candidate: tuple[str, int]) -> list[dict]:
    """`measure`, for a process."""
    return measure(*candidate)


def costs(rounds: int) -> pd.DataFrame:
    """Seconds of 20 steps of fine-tuning, a row a round and a column a candidate."""
    torch.set_num_threads(1)
    task = load_cut("mnist", 1280)

    def steps(name: str) -> None:
        net = build_network(partial(net_of, name), task.input_shape)
        net.add_head(task.class_count)
        for _ in train(net, Finetune(), 0, {0: task}, settings=TrainSettings(epochs=1)):
            pass

    return interleaved({name: partial(steps, name) for name in LAYERS}, rounds)


def page(rows: pd.DataFrame) -> str:
    """The section of docs/settings.md."""
    seeds, lines = rows.loc[rows["what"] != "cost", "seed"].nunique(), {}
    first = rows[rows["layers"] == FIRST].groupby("what")["value"].mean()
    suitable = {}
    for name in LAYERS:
        of = rows[rows["layers"] == name].pivot_table(index="seed", columns="what", values="value")
        cost = rows[(rows["layers"] == name) & (rows["what"] == "cost")]["value"]
        cells = {"a step": f"{cost.median():.2f} x"}
        for task in TASKS:
            cells[task] = told(of[task].dropna())
        curve = (of["ebll ratio"] < 0.5) & (of["ebll when"] < 0.5)
        held = of["lwf ratio"] > 0.5
        cells |= {"EBLL's curve": f"{int(curve.sum())} of {seeds}", "LwF's": f"{int(held.sum())} of {seeds}"}
        lines[name] = cells
        if curve.sum() == held.sum() == seeds and all(of[task].mean() >= first[task] - 0.01 for task in TASKS):
            suitable[name] = cost.median()
    rounds = len(rows[(rows["layers"] == FIRST) & (rows["what"] == "cost")])
    taken = min(suitable, key=lambda name: suitable[name], default="none of these")
    rows_told = markdown(pd.DataFrame.from_dict(lines, orient="index"), "layers")
    return TEXT.format(rounds=rounds, seeds=seeds, taken=taken) + rows_told


def main(rounds: int = 15) -> None:
    """Measure, keep the rows, write the section."""
    times = costs(rounds)
    rows = [
        {"layers": name, "seed": i, "what": "cost", "value": value}
        for name in LAYERS
        for i, value in enumerate(times[name] / times[FIRST])
    ]
    with contextlib.closing(completed(measured, itertools.product(LAYERS, SEEDS))) as results:
        for _, part in results:
            rows += part
    table = pd.DataFrame(rows)
    write_table(table, DOCS / "layers.csv")
    write_section(DOCS / "settings.md", "layers", page(table))
    print(page(table))


if __name__ == "__main__":
    main()
