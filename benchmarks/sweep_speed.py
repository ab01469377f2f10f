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
from benchmarks.made import random_task
from ebll.autoencoder import AutoencoderSettings
from ebll.experiments.report import markdown
from ebll.methods import METHODS
from ebll.protocol import learn_first
from ebll.record import Recorder
from ebll.stacked import Member, train_stacked
from ebll.training import TrainSettings, train

SEEDS, CODE, EPOCHS, CORE_ROUNDS = 4, 16, 4, 3


def small(shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """784-64-64."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU()), nn.Sequential(nn.Linear(64, 64), nn.ReLU())


CASES = [
    *(("784-64-64, batch 32", small, 32, name, runs, 2.5) for name in ("finetune", "ebll") for runs in (8, 32, 128)),
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

    def stacked(self, members: list[Member]) -> str:
        """All in one program; returns what a GPU objected to."""
        return train_stacked(members, 1, {1: self.new}, self.settings.epochs)

    def alone(self, members: list[Member]) -> None:
        """One after the other."""
        for m in members:
            options = {"settings": m.settings, "memory": m.memory, "recorded": m.recorded, "seed": m.seed}
            train(m.net, m.method, 1, {1: self.new}, **options)

    def ratio(self) -> float:
        """How many times as fast the stack is, the preparation of both left out."""
        one, other = self.members(), self.members()
        return seconds(lambda: self.alone(one)) / seconds(lambda: self.stacked(other))


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
        stack = Stack(net, batch, name, runs, "cpu", epochs=EPOCHS)
        ratios = [stack.ratio() for _ in range(rounds + 1)][1:]  # the first warms up
        yield _row(f"{runs} runs of {case}, {name}: one stack against one by one, one thread", ratios, bar)


def cores(rounds: int, runs: int) -> Iterator[dict]:
    """Two rows: how many times as fast all cores are as one process, in all, and once they have begun."""
    count, whole, begun = os.cpu_count() or 1, [], []
    for k in range(rounds):
        grid = {"tasks": ["letters", "mnist"], "alpha": [0.3 + i / 100 for i in range(runs)], "seed": k}
        (one, slow), (other, quick) = (_timed(grid, workers) for workers in (1, count))
        whole.append(one / other)
        begun.append(quick / slow)
    bar = 1.9 if count == 2 else None
    what = f"{runs} runs of the MLP: {count} processes against one"
    yield _row(f"{what}, runs a second from the first result on", begun, bar)
    yield _row(f"{what}, with the start of the processes", whole, None)


def _timed(grid: dict, workers: int) -> tuple[float, float]:
    """Seconds of a sweep, and its runs a second from the first result to the last."""
    marks: list[float] = []
    begun = time.perf_counter()
    ebll.sweep(grid, workers=workers, progress=lambda done, total: marks.append(time.perf_counter()))
    return time.perf_counter() - begun, (len(marks) - 2) / (marks[-1] - marks[1])


def _row(case: str, ratios: list[float], bar: float | None) -> dict:
    values = pd.Series(ratios)
    row = {"case": case, "ratio": values.median(), "low": values.min(), "high": values.max(), "bar": bar}
    row["rounds"] = len(values)
    print(f"{case}: {row['ratio']:.2f} ({row['low']:.2f} to {row['high']:.2f})", flush=True)
    return row


def gpu(runs: int) -> None:
    """Prints: a thousand runs of the MLP in one stack against the eager loop, and how long they take."""
    for name in ("finetune", "ebll"):
        stack = Stack("mlp", 64, name, runs, "cuda", epochs=21)  # 399 steps of 1,190 images
        stack.stacked(stack.members())
        many, few = stack.members(), stack.members(4)
        fault = ""

        def together(stack: Stack = stack, many: list[Member] = many) -> None:
            nonlocal fault
            fault = stack.stacked(many)

        all_, four = seconds(together), seconds(lambda stack=stack, few=few: stack.alone(few))
        print(f"{name}: {runs} runs in {all_:.2f} s, {four / 4 * runs / all_:.0f} x the eager loop. {fault}")


PAGE = """# What sweeps gain

Written by `make bench-sweeps`; the figures are in `sweep-speed.csv`. How many times as fast, median
with the lowest and highest; a ratio is taken within each round. Measured on {machine}, {cores} cores, torch {torch};
other work on the machine meanwhile: {busy}. No GPU was used. A bar is what the project aims for.

A stack trains runs that differ in numbers only as one program ({seeds} seeds, an alpha each, two learning rates). It
saves calls, not arithmetic: nets of up to {small:,} weights gain on a processor, and only those are stacked there
unless `stack=True` asks for it. Larger ones are spread over the cores, one thread each.

"""


def main() -> None:
    """Time what is asked for, and write it down beside what was measured before."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    arguments.add_argument("--part", default="all", choices=("all", "stacks", "cores"), help="the rest stays as it is")
    arguments.add_argument("--rounds", type=int, default=5, help="of the stacks")
    arguments.add_argument("--runs", type=int, default=120, help="runs of the cores' sweep, or of the GPU's stack")
    arguments.add_argument("--busy", default="unknown", help="what else ran meanwhile, for the page: none, some")
    arguments.add_argument("--page", default=str(Path(__file__).parents[1] / "docs" / "sweep-speed.md"))
    chosen = arguments.parse_args()
    if chosen.device == "cuda":
        return gpu(max(chosen.runs, 1000))
    rows = [*(stacks(chosen.rounds) if chosen.part != "cores" else ())]
    rows += [*(cores(CORE_ROUNDS, chosen.runs) if chosen.part != "stacks" else ())]
    file = Path(chosen.page).with_suffix(".csv")
    result = pd.DataFrame(rows)
    if file.exists() and chosen.part != "all":
        before = pd.read_csv(file)
        kept = before[~before["case"].isin(result["case"])]
        result = pd.concat([kept, result] if chosen.part == "cores" else [result, kept], ignore_index=True)
    result.to_csv(file, index=False, float_format="%.3f", lineterminator="\n")
    Path(chosen.page).write_text(page(result, chosen.busy), encoding="utf-8")


def page(result: pd.DataFrame, busy: str) -> str:
    """docs/sweep-speed.md: how it was measured, and the table."""
    facts = {"machine": platform.machine(), "cores": os.cpu_count(), "seeds": SEEDS, "busy": busy}
    facts |= {"torch": torch.__version__.partition("+")[0], "small": ebll.stacked.room.SMALL}
    met = {True: "met", False: "missed"}
    told = [
        (
            f"{r.ratio:.2f} ({r.low:.2f} to {r.high:.2f})",
            f"{r.rounds}",
            f"{r.bar:g}, {met[r.ratio >= r.bar]}" if r.bar == r.bar else "",
        )
        for r in result.itertuples()
    ]
    table = pd.DataFrame(told, columns=["times as fast", "rounds", "bar"], index=result["case"])
    return PAGE.format(**facts) + markdown(table, "what") + "\n"


if __name__ == "__main__":
    main()
