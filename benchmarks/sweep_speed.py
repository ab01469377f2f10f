"""What sweeps gain: runs stacked in one program, and runs spread over cores, as ratios measured side by side.

    python -m benchmarks.sweep_speed                   # a few minutes; writes docs/sweep-speed.md and .csv
    python -m benchmarks.sweep_speed --device cuda     # a thousand runs in one stack; prints only

Stacked against one by one: the same runs, each with a seed, an alpha and a learning rate of its own, through
`ebll.stacked.train_stacked` and `ebll.training.train`, nothing measured on the way. Cores: the same grid through
`ebll.sweep` with one process and with as many as cores. Rounds alternate, and a ratio is taken in each.
"""

from __future__ import annotations

import argparse
import copy
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import torch
from torch import nn

import ebll
from benchmarks.step_cost import random_task
from ebll.autoencoder import AutoencoderSettings
from ebll.experiments.report import markdown
from ebll.methods import METHODS
from ebll.record import Recorder
from ebll.stacked import Member, train_stacked
from ebll.training import TrainSettings, learn_first, train

SEEDS, CODE = 4, 16


def small(shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """784-64-64."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU()), nn.Sequential(nn.Linear(64, 64), nn.ReLU())


CASES = [
    *(("784-64-64, batch 32", small, 32, name, runs, 2.5) for name in ("finetune", "ebll") for runs in (8, 32)),
    *(("784-256-128, batch 64", "mlp", 64, name, runs, None) for name in ("finetune", "ebll") for runs in (8,)),
]


class Stack:
    """Runs on a second task, to be trained again and again from where they begin."""

    def __init__(self, net: object, batch: int, name: str, runs: int, device: str, epochs: int) -> None:
        old, self.new = random_task("old", 26, 0).to(device), random_task("new", 10, 1, images=1190).to(device)
        quick = TrainSettings(epochs=1, batch_size=batch, learning_rate=1e-3)
        options = {"net": net, "settings": quick, "device": device}
        nets = [learn_first([old], seed=s, recorder=Recorder(log_every=0), **options).net for s in range(SEEDS)]
        self.settings, self.begin, kept = quick.replace(epochs=epochs), [], {}
        for k in range(runs):
            changes = (
                {"alpha": 0.5 + k / runs, "autoencoder": AutoencoderSettings(code_size=CODE)} if name == "ebll" else {}
            )
            seed, method = k % SEEDS, METHODS[name](**changes)
            if seed not in kept:
                kept[seed] = method.after_task(nets[seed], 0, old, None, seed)
            net = copy.deepcopy(nets[seed])
            net.add_head(self.new.class_count)
            recorded = method.before_task(net, 1, self.new.train.inputs, kept[seed])
            rate = self.settings.replace(learning_rate=1e-3 * (1 + k // (runs // 2)))
            self.begin.append(Member(net, method, seed, rate, kept[seed], recorded))

    def members(self, count: int | None = None) -> list[Member]:
        """The runs as they are before training."""
        return [
            Member(copy.deepcopy(m.net), m.method, m.seed, m.settings, m.memory, m.recorded) for m in self.begin[:count]
        ]

    def stacked(self) -> str:
        """All in one program; returns what a GPU objected to."""
        return train_stacked(self.members(), 1, {1: self.new}, self.settings.epochs)

    def alone(self, count: int | None = None) -> None:
        """One after the other."""
        for m in self.members(count):
            options = {"settings": m.settings, "memory": m.memory, "recorded": m.recorded, "seed": m.seed}
            train(m.net, m.method, 1, {1: self.new}, **options)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of a call, a GPU's work included."""
    begun = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def stacks(rounds: int) -> Iterator[dict]:
    """A row a case: how many times as fast the stack is, in one thread."""
    torch.set_num_threads(1)
    for case, net, batch, name, runs, bar in CASES:
        stack = Stack(net, batch, name, runs, "cpu", epochs=2)
        stack.stacked(), stack.alone(4)  # warm
        ratios = [seconds(stack.alone) / seconds(stack.stacked) for _ in range(rounds)]
        yield _row(f"{runs} runs of {case}, {name}: one stack against one by one, one thread", ratios, bar)


def cores(rounds: int, runs: int) -> Iterator[dict]:
    """A row: how many times as fast all cores are as one process."""
    count = os.cpu_count() or 1
    ratios = []
    for k in range(rounds):
        grid = {
            "tasks": ["letters", "mnist"],
            "alpha": [0.3 + i / 100 for i in range(runs)],
            "seed": k,
            "log_every": 20,
        }
        one, all_ = (seconds(lambda n=n, grid=grid: ebll.sweep(grid, workers=n)) for n in (1, count))
        ratios.append(one / all_)
    yield _row(f"{runs} runs of the MLP: {count} processes against one", ratios, 1.9 if count == 2 else None)


def _row(case: str, ratios: list[float], bar: float | None) -> dict:
    values = pd.Series(ratios)
    row = {"case": case, "ratio": values.median(), "low": values.min(), "high": values.max(), "bar": bar}
    print(f"{case}: {row['ratio']:.2f} ({row['low']:.2f} to {row['high']:.2f})", flush=True)
    return row


def gpu(runs: int) -> None:
    """Prints: a thousand runs of the MLP in one stack against the eager loop, and how long they take."""
    for name in ("finetune", "ebll"):
        stack = Stack("mlp", 64, name, runs, "cuda", epochs=21)  # 399 steps of 1,190 images
        fault = stack.stacked()
        together, few = seconds(stack.stacked), seconds(lambda stack=stack: stack.alone(4))
        print(f"{name}: {runs} runs in {together:.2f} s, {few / 4 * runs / together:.0f} x the eager loop. {fault}")


PAGE = """# What sweeps gain

Written by `make bench-sweeps`; the figures are in `sweep-speed.csv`. How many times as fast, median of
{rounds} rounds with the lowest and highest; a ratio is taken within each round. Measured on {machine}, {cores} cores,
torch {torch}, with other work {busy} on the machine. No GPU was used for this page.

A stack trains runs that differ in numbers only as one program ({seeds} seeds, an alpha each, two learning rates). It
saves calls, not arithmetic: nets of up to {small:,} weights gain on a processor, and only those are stacked there
unless `stack=True` asks for it. Larger ones are spread over the cores, one thread each.

"""


def main() -> None:
    """Time all cases and write them down."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument(
        "--runs", type=int, default=200, help="runs of the sweep over the cores, or of the GPU's stack"
    )
    arguments.add_argument("--busy", default="unknown", help="what else ran meanwhile, for the page: none, some")
    arguments.add_argument("--page", default=str(Path(__file__).parents[1] / "docs" / "sweep-speed.md"))
    chosen = arguments.parse_args()
    if chosen.device == "cuda":
        return gpu(max(chosen.runs, 1000))
    result = pd.DataFrame([*stacks(chosen.rounds), *cores(3, chosen.runs)])
    facts = {"rounds": chosen.rounds, "machine": platform.machine(), "cores": os.cpu_count(), "seeds": SEEDS}
    facts |= {"torch": torch.__version__.partition("+")[0], "busy": chosen.busy, "small": ebll.stacked.room.SMALL}
    told = [f"{r.ratio:.2f} ({r.low:.2f} to {r.high:.2f})" for r in result.itertuples()]
    bars = [
        "" if r.bar != r.bar else f"{r.bar:g}, {'met' if r.ratio >= r.bar else 'missed'}" for r in result.itertuples()
    ]
    table = pd.DataFrame({"times as fast": told, "bar": bars}, index=result["case"])
    page = Path(chosen.page)
    page.write_text(PAGE.format(**facts) + markdown(table, "what") + "\n", encoding="utf-8")
    result.to_csv(page.with_suffix(".csv"), index=False, float_format="%.3f", lineterminator="\n")


if __name__ == "__main__":
    main()
