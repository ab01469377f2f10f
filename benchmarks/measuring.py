"""What it costs to log: the same run with measurements never, as often as is default, more often, and at every step.

A run is what a user starts: the second of two real tasks with EBLL's default settings, from a network that has learned
the first. What its text says of measurements is counted in the records that the runs leave.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import steps
from benchmarks.made import Ready
from benchmarks.rounds import Figure, figure, interleaved, ratio_of
from ebll.data import Task, load_task
from ebll.experiments.report import markdown
from ebll.methods import EBLL
from ebll.nets import Network
from ebll.protocol import learn_first, run_sequence
from ebll.record import Probe, Recorder
from ebll.runs import Snapshot
from ebll.training import TrainSettings

__all__ = ["TITLE", "run", "timed"]

TITLE = "What it costs to log"
TASKS = ("letters", "mnist")
NETS = ("mlp", "cnn")
BAR = 10.0  # % of a run
EPOCHS = 2  # where every step is measured
NEVER, DEFAULT, OFTEN, ALWAYS = (
    "never",
    f"every {Recorder.log_every} steps (default)",
    "every 10 steps",
    "every step",
)
LOG_EVERY = {NEVER: 0, DEFAULT: Recorder.log_every, OFTEN: 10, ALWAYS: 1}

TEXT = """A run of {tasks} with `ebll` and default settings, from the network that has learned {first}: the fit of the
old task's autoencoder, {warmup} epochs of warm-up, {epochs} of training, and the test accuracies at the end, which are
taken in every case. Only the recorder's `log_every` differs between the cases, which take turns: it measures at every
so many steps, five times as often at the beginning of each stage, and after the last step. A measurement looks at
{samples} held-out inputs of either task. Where every step is measured, both sides train for {few} epochs after the
warm-up, so that this takes less time. The share is what of a run with the default goes if nothing is measured.

Measurements in a run, and the steps of the optimiser:

{counted}

What is in the way is arithmetic. A measurement sends {samples} inputs of either task through the network, forwards
only, and a step a batch of {batch}, forwards and backwards; in millions of operations (products and convolutions), as
`torch.utils.flop_counter` counts them:

{operations}

In the warm-up F and T stand still: its steps run through a head only, and they are asked once for all its measurements.
"""


def run(rounds: int, device: str) -> tuple[str, list[Figure]]:
    """Both nets: how many times as long a run takes with measurements, and their share of it."""
    tasks, settings = [load_task(name).to(device) for name in TASKS], TrainSettings(threads=torch.get_num_threads())
    few = settings.replace(epochs=min(EPOCHS, settings.epochs))
    figures, counted, asked = [], {}, {}
    for net in NETS:
        case = f"{net}, {' -> '.join(TASKS)}, ebll"
        options = {"settings": settings, "device": device, "recorder": Recorder(log_every=0)}
        start = learn_first(tasks, net=net, **options)
        asked[net] = operations(tasks, start.net, settings.batch_size)
        times, counts = timed(tasks, start, settings, (NEVER, DEFAULT, OFTEN), rounds, device)
        figures += [ratio_of(times, name, NEVER, case, f"{name} to never") for name in (DEFAULT, OFTEN)]
        share = 100 * (1 - times[NEVER] / times[DEFAULT])
        figures.append(figure(case, "share of a run spent measuring at the default", "%", share, BAR))
        counted |= {(net, name): count for name, count in counts.items() if name != NEVER}
        times, counts = timed(tasks, start, few, (NEVER, ALWAYS), rounds, device)
        figures.append(ratio_of(times, ALWAYS, NEVER, f"{case}, {few.epochs} epochs", f"{ALWAYS} to never"))
        counted[net, f"{ALWAYS}, {few.epochs} epochs"] = counts[ALWAYS]
    rows = pd.DataFrame(counted.values(), index=[f"{net}, {name}" for net, name in counted])
    text = TEXT.format(
        tasks=" -> ".join(TASKS),
        first=TASKS[0],
        warmup=settings.warmup_epochs,
        epochs=settings.epochs,
        samples=Recorder.samples,
        few=few.epochs,
        counted=markdown(rows, "run"),
        batch=settings.batch_size,
        operations=markdown(pd.DataFrame(asked), "one of"),
    )
    return text, figures


def operations(tasks: Sequence[Task], net: Network, batch: int) -> dict[str, str]:
    """Millions of floating-point operations of a measurement with one old task, and of a step of EBLL."""
    method, net = EBLL(), copy.deepcopy(net)
    memory = method.after_task(net, 0, tasks[0], None, 0)
    net.add_head(tasks[1].class_count)
    some = tasks[1].train.take(torch.arange(batch))
    recorded = method.before_task(net, 1, some.inputs, memory)
    drawn = Ready(method, net, memory, recorded, dataclasses.replace(tasks[1], train=some))
    seen, probe = Recorder(), [Probe.of(net, t, task, Recorder.samples) for t, task in enumerate(tasks)]
    with FlopCounterMode(display=False) as counter:
        seen.measure(net, probe[:1], probe[1], memory, {}, step=1)
    counts = {"measurement": counter.get_total_flops(), "step": steps.operations(drawn, batch)}
    return {name: f"{count / 1e6:,.1f}" for name, count in counts.items()}


def timed(
    tasks: Sequence[Task], start: Snapshot, settings: TrainSettings, names: Sequence[str], rounds: int, device: str
) -> tuple[pd.DataFrame, dict[str, dict[str, str]]]:
    """Seconds of a run in each round (names of `LOG_EVERY` in the columns), and what each one's record holds."""
    made = {}

    def learn(name: str) -> None:
        made[name] = Recorder(log_every=LOG_EVERY[name])
        options = {"settings": settings, "device": device, "recorder": made[name]}
        run_sequence(tasks, "ebll", start=start, look_back_last=False, **options)

    cases = {name: lambda name=name: learn(name) for name in names}
    times = interleaved(cases, rounds, ready=torch.cuda.synchronize if device == "cuda" else None)
    return times, {name: _counted(recorder.curves()) for name, recorder in made.items()}


def _counted(curves: pd.DataFrame) -> dict[str, str]:
    """Of a record with one old task, and hence a row a measurement; the last one stands after the last step."""
    steps = curves.groupby("stage", sort=False)["step"].max().sum()
    return {"measurements": f"{len(curves):,}", "steps": f"{steps:,}"}
