"""What the second, the fifth and the tenth task of a sequence cost: steps, and bytes kept."""

from __future__ import annotations

from functools import partial

import pandas as pd
import torch

from benchmarks.made import IMAGES, Ready, random_task
from benchmarks.results import table_of
from benchmarks.rounds import Figure, figure, interleaved, ratio_of
from benchmarks.steps import operations
from ebll.autoencoder import Autoencoder, encoder_of
from ebll.data import Task
from ebll.methods import METHODS, EncoderMemory, Memory, Method
from ebll.networks import Network, build_network
from ebll.seeds import seeded

__all__ = ["TITLE", "figures_of", "prepared", "run"]

TITLE = "What a further task costs"
METHODS_TIMED = ("finetune", "lwf", "ebll", "ewc")
OLD = {"2nd": 1, "5th": 4, "10th": 9}  # task of the sequence -> old tasks before it
FIRST, LAST = "2nd", "10th"
NET, BATCH, CLASSES, STEPS, BAR = "mlp", 64, 10, 96, 1.05
GROWTH, OPERATIONS = f"growth of a step, {FIRST} to {LAST} task", "growth of its operations"
TO_OPERATIONS = f"{GROWTH}, to that of its operations"
KEPT = "kept for each further task"

TEXT = """`{net}`, batch {batch}, every task of {classes} classes; the networks have the heads, and the methods the
memory, of {old} old tasks, and encoders have random weights. Operations are products and convolutions, as
`torch.utils.flop_counter` counts them: EBLL's grow, since the objective asks for a code of every old task. Kept are the
memory and the head; EWC has one set of anchors and importances for all tasks.

{table}"""


def prepared(name: str, old: int, task: Task, device: str) -> Ready:
    """A method that has learned so many tasks, as far as a step can tell, and is about to learn one more."""
    method, net = METHODS[name](), build_network(NET, task.input_shape, 0).to(device)
    with seeded(0, "heads"):
        for _ in range(old + 1):
            net.add_head(CLASSES)
    memory = memory_of(method, net, old, task)
    return Ready(method, net, memory, method.record_targets(net, old, task.train.inputs, memory), task, old)


def memory_of(method: Method, net: Network, old: int, task: Task) -> Memory | None:
    """What a method keeps of so many tasks; encoders are not fitted, which a step does not show."""
    if method.name == "ebll":
        with seeded(0, "encoders"):
            sizes = [method.autoencoder.of_task(t).code_size for t in range(old)]
            made = [Autoencoder(net.feature_size, size).encode.to(task.train.inputs.device) for size in sizes]
        return EncoderMemory(tuple(encoder_of(one.weight.detach(), one.bias.detach()) for one in made), {})
    memory = None
    for t in range(old):
        memory = method.consolidate(net, t, task, memory, 0)
    return memory


def bytes_a_task(first: Ready, last: Ready) -> int:
    """What a method keeps of a further task: the growth of its memory from one case to another, and a head."""
    grown = (last.memory.bytes() - first.memory.bytes()) // (last.t - first.t) if last.memory else 0
    return grown + sum(parameter.nbytes for parameter in last.net.heads[0].parameters())


def figures_of(name: str, times: pd.DataFrame, counts: dict[str, int], kept: int) -> list[Figure]:
    """Steps, their growth beside that of their operations, and bytes.

    times    seconds a step, columns (method, task)
    counts   task -> operations a step
    kept     bytes for each further task
    """
    case, grown = f"{NET}, batch {BATCH}, {name}", counts[LAST] / counts[FIRST]
    growth = times[name, LAST] / times[name, FIRST]
    return [
        *(figure(case, f"a step of the {nth} task", "ms", 1e3 * times[name, nth]) for nth in OLD),
        ratio_of(times, (name, LAST), (name, FIRST), case, GROWTH),
        figure(case, OPERATIONS, "x", [grown]),
        figure(case, TO_OPERATIONS, "x", growth / grown, BAR if name == "ebll" else None),
        figure(case, KEPT, "bytes", [kept]),
    ]


def run(rounds: int, device: str) -> tuple[str, list[Figure]]:
    """Time all methods after few and many tasks."""
    task = random_task("new", CLASSES, 1, images=IMAGES).to(device)
    ready = {(name, nth): prepared(name, old, task, device) for name in METHODS_TIMED for nth, old in OLD.items()}
    cases = {key: partial(one.learn, STEPS, BATCH) for key, one in ready.items()}
    times = interleaved(cases, rounds, per=STEPS, ready=torch.cuda.synchronize if device == "cuda" else None)
    figures = []
    for name in METHODS_TIMED:
        counts = {nth: operations(ready[name, nth], BATCH) for nth in OLD}
        figures += figures_of(name, times, counts, bytes_a_task(ready[name, FIRST], ready[name, LAST]))
    old = ", ".join(map(str, OLD.values()))
    shown = [one for one in figures if one.what in (f"a step of the {FIRST} task", GROWTH, OPERATIONS, KEPT)]
    return TEXT.format(net=NET, batch=BATCH, classes=CLASSES, old=old, table=table_of(shown)), figures
