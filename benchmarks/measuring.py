"""What it costs to log: the same run with measurements never, by default, at every step, and with gradients and drift.

A run is what a user starts: the second of two real tasks with EBLL's default settings, from a network that has learned
the first. What its text says of measurements is counted in the records that the runs leave.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import pandas as pd
import torch

from benchmarks.results import table_of
from benchmarks.rounds import Figure, figure, interleaved, ratio_of
from ebll.data import Task, load_task
from ebll.dynamics import along, competition, drift
from ebll.protocol import begin, learn_first, run_sequence
from ebll.recording import Recorder, Snapshot
from ebll.training import TrainSettings

__all__ = ["TITLE", "run", "timed"]

TITLE = "What it costs to log"
TASKS = ("letters", "mnist")
NETS = ("mlp", "cnn")
ROUNDS = 5  # at most
NEVER, DEFAULT, ALWAYS = "never", f"every {Recorder.log_every} steps (default)", "every step"
LOG_EVERY = {NEVER: 0, DEFAULT: Recorder.log_every, ALWAYS: 1}
EVERY = inspect.signature(along).parameters["every"].default
GRADIENTS, DRIFT = (f"{name}, every {EVERY} steps (default)" for name in ("gradients", "drift"))

TEXT = """A run of {tasks} with `ebll` and default settings, from the network that has learned {first}, with the
recorder's `log_every` at three values. It measures at every so many steps, five times as often at the beginning of each
stage, and after the last step: by default {default} times in {steps} steps, at every step {always} times; each time
{samples} held-out inputs of either task go through the network. *Gradients*: `ebll.dynamics.along` with
`competition` (M13), its old images as many as a batch has; *drift*: with `drift` (M14) on as many inputs as above; in
both nothing else is recorded.

{table}"""


def run(rounds: int, device: str) -> tuple[str, list[Figure]]:
    """Both nets: how many times as long a run takes with measurements, and their share of it."""
    tasks, settings = [load_task(name).to(device) for name in TASKS], TrainSettings(threads=torch.get_num_threads())
    figures = []
    for net in NETS:
        case = f"{net}, {' -> '.join(TASKS)}, ebll"
        options = {"settings": settings, "device": device, "recorder": Recorder(log_every=0)}
        start = learn_first(tasks, net=net, **options)
        times, counts = timed(tasks, start, settings, min(rounds, ROUNDS), device)
        for name in times.columns.drop(NEVER):
            bar = 1.1 if name in (GRADIENTS, DRIFT) else None
            figures.append(ratio_of(times, name, NEVER, case, f"{name} to {NEVER}", bar))
        share = 100 * (1 - times[NEVER] / times[DEFAULT])
        figures.append(figure(case, "share of a run spent measuring at the default", "%", share))
    words = {"tasks": " -> ".join(TASKS), "first": TASKS[0], "samples": Recorder.samples, "table": table_of(figures)}
    words |= {"default": counts[DEFAULT][0], "always": counts[ALWAYS][0], "steps": counts[DEFAULT][1]}
    return TEXT.format(**words), figures


def timed(
    tasks: Sequence[Task], start: Snapshot, settings: TrainSettings, rounds: int, device: str
) -> tuple[pd.DataFrame, dict[str, tuple[int, int]]]:
    """Seconds of a run in each round (names of `LOG_EVERY` in the columns), and (measurements, steps) of each."""
    made = {}

    def learn(name: str) -> None:
        made[name] = Recorder(log_every=LOG_EVERY[name])
        options = {"settings": settings, "device": device, "recorder": made[name]}
        run_sequence(tasks, "ebll", start=start, consolidate_last=False, **options)

    def look_inside(name: str) -> None:
        options = {"start": start, "recorder": Recorder(log_every=0), "device": device}
        old, new = (task.validation for task in tasks)
        if name == GRADIENTS:
            measure = competition(old.take(old.spread(settings.batch_size)))
        else:
            inputs = {"old": old.inputs[old.spread(Recorder.samples)], "new": new.inputs[new.spread(Recorder.samples)]}
            measure = drift(start.net, encoder, inputs)
        along(begin(tasks, "ebll", **options), tasks, settings, [measure])

    fitted = run_sequence(tasks, "ebll", start=start, settings=settings, recorder=Recorder(log_every=0), device=device)
    encoder = fitted.memory.encoder(0)
    cases = {name: lambda name=name: learn(name) for name in LOG_EVERY}
    cases |= {name: lambda name=name: look_inside(name) for name in (GRADIENTS, DRIFT)}
    times = interleaved(cases, rounds, ready=torch.cuda.synchronize if device == "cuda" else None)
    return times, {name: _counted(recorder.curves()) for name, recorder in made.items()}


def _counted(curves: pd.DataFrame) -> tuple[int, int]:
    """Of a record with one old task, and hence a row a measurement; the last one stands after the last step."""
    return len(curves), int(curves.groupby("stage", sort=False)["step"].max().sum())
