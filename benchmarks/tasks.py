"""What the second, the fifth and the tenth task of a sequence cost: steps, and bytes kept."""

from __future__ import annotations

from functools import partial

import pandas as pd
import torch

from benchmarks.made import Ready, random_task
from benchmarks.rounds import Figure, figure, interleaved, ratio_of
from benchmarks.steps import operations
from ebll.autoencoder import Autoencoder, encoder_of
from ebll.data import Task
from ebll.experiments.report import markdown
from ebll.methods import METHODS, EncoderMemory, Memory, Method
from ebll.nets import Network, build_network
from ebll.seeds import seeded

__all__ = ["TITLE", "figures_of", "prepared", "run"]

TITLE = "What a further task costs"
METHODS_TIMED = ("finetune", "lwf", "ebll", "ewc")
OLD = {"2nd": 1, "5th": 4, "10th": 9}  # task of the sequence -> old tasks before it
NET, BATCH, CLASSES, IMAGES, STEPS, BAR = "mlp", 64, 10, 2048, 96, 1.25

TEXT = """The net is `{net}`, batch {batch}, every task of {classes} classes, {images:,} images of noise. The networks
have the heads, and the methods the memory, of {old} old tasks; encoders have random weights. Each takes {steps} steps
through `ebll.training.train` in a round, on targets recorded beforehand, and a ratio is taken within the round. Median
milliseconds a step:

{milliseconds}

A step's operations, in millions, as `torch.utils.flop_counter` counts them (products and convolutions only), and what
their number comes to beside that at the {first} task:

{operations}

EBLL's operations grow {grown} times from the {first} task to the {last}, since the objective asks for a code of every
old task; the ratio cannot fall much below that.

Bytes kept are those of the memory and of the head, for each further task; EWC keeps one set of anchors and importances
for all tasks, so that a further one adds its head. EBLL keeps {kept:,} a task, {share:.1f} % of
the {whole:,} of the network with its {heads} heads."""


def prepared(name: str, old: int, task: Task, device: str) -> Ready:
    """A method that has learned so many tasks, as far as a step can tell, and is about to learn one more."""
    method, net = METHODS[name](), build_network(NET, task.input_shape, 0).to(device)
    with seeded(0, "heads"):
        for _ in range(old + 1):
            net.add_head(CLASSES)
    memory = memory_of(method, net, old, task)
    return Ready(method, net, memory, method.before_task(net, old, task.train.inputs, memory), task, old)


def memory_of(method: Method, net: Network, old: int, task: Task) -> Memory | None:
    """What a method keeps of so many tasks; encoders are not fitted, which a step does not show."""
    if method.name == "ebll":
        with seeded(0, "encoders"):
            sizes = [method.autoencoder.of_task(t).code_size for t in range(old)]
            made = [Autoencoder(net.feature_size, size).encode.to(task.train.inputs.device) for size in sizes]
        return EncoderMemory(tuple(encoder_of(one.weight.detach(), one.bias.detach()) for one in made), {})
    memory = None
    for t in range(old):
        memory = method.after_task(net, t, task, memory, 0)
    return memory


def bytes_a_task(ready: dict[tuple[str, str], Ready], name: str) -> int:
    """What a method keeps of a further task: the growth of its memory from the first case to the last, and a head."""
    first, last = (ready[name, task] for task in (next(iter(OLD)), [*OLD][-1]))
    grown = (last.memory.bytes() - first.memory.bytes()) // (last.t - first.t) if last.memory else 0
    return grown + sum(parameter.nbytes for parameter in last.net.heads[0].parameters())


def bytes_in_all(ready: Ready) -> int:
    """Of the memory and of all old heads."""
    heads = sum(p.nbytes for head in [*ready.net.heads][: ready.t] for p in head.parameters())
    return heads + (ready.memory.bytes() if ready.memory else 0)


def figures_of(name: str, times: pd.DataFrame, kept: int, whole: int) -> list[Figure]:
    """Ratios to the first task of `OLD`, and bytes.

    times   seconds a step, columns (method, task)
    kept    bytes for each further task
    whole   bytes of the memory and the old heads at the last task of `OLD`
    """
    case, (first, *later) = f"{NET}, batch {BATCH}, {name}", OLD
    barred = later[-1] if name in ("lwf", "ebll") else None
    ratios = [
        ratio_of(times, (name, task), (name, first), case, f"{task} task to {first}", BAR if task == barred else None)
        for task in later
    ]
    return [
        *ratios,
        figure(case, "bytes kept for each further task", "bytes", [kept]),
        figure(case, f"bytes kept in all, {later[-1]} task", "bytes", [whole]),
    ]


def run(rounds: int, device: str) -> tuple[str, list[Figure]]:
    """Time all methods after few and many tasks."""
    task = random_task("new", CLASSES, 1, images=IMAGES).to(device)
    ready = {(name, nth): prepared(name, old, task, device) for name in METHODS_TIMED for nth, old in OLD.items()}
    cases = {key: partial(one.learn, STEPS, BATCH) for key, one in ready.items()}
    times = interleaved(cases, rounds, per=STEPS, ready=torch.cuda.synchronize if device == "cuda" else None)
    kept = {name: bytes_a_task(ready, name) for name in METHODS_TIMED}
    net = ready["ebll", [*OLD][-1]].net
    whole = sum(parameter.nbytes for parameter in net.parameters())
    middle = pd.DataFrame({nth: {name: 1e3 * times[name, nth].median() for name in METHODS_TIMED} for nth in OLD})
    counts = pd.DataFrame({nth: {name: operations(ready[name, nth], BATCH) for name in METHODS_TIMED} for nth in OLD})
    first = next(iter(OLD))
    grown = counts.div(counts[first], axis=0).map("{:.2f}".format)
    told = (counts / 1e6).map("{:.1f}".format) + " (" + grown + " x)"
    text = TEXT.format(
        net=NET, batch=BATCH, classes=CLASSES, images=IMAGES, steps=STEPS, old=", ".join(map(str, OLD.values())),
        milliseconds=markdown(middle.map("{:.2f}".format).add_suffix(" task"), "method"), first=first,
        operations=markdown(told.add_suffix(" task"), "method"), kept=kept["ebll"],
        grown=grown.loc["ebll", [*OLD][-1]], last=[*OLD][-1],
        share=100 * kept["ebll"] / whole, whole=whole, heads=len(net.heads),
    )  # fmt: skip
    return text, [
        one
        for name in METHODS_TIMED
        for one in figures_of(name, times, kept[name], bytes_in_all(ready[name, [*OLD][-1]]))
    ]
