"""What a training step costs, method against method, and how near it comes to what the machine can do.

Each method trains on the same recorded targets through `ebll.training.train`, as a user's run does, without measuring.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.made import Ready, random_task, wide_mlp
from benchmarks.profiled import PRODUCTS, shares
from benchmarks.results import spread
from benchmarks.rounds import Figure, figure, interleaved, ratio_of
from ebll.experiments.report import markdown
from ebll.methods import METHODS, Batch, EncoderMemory, Method, Term
from ebll.nets import NetSpec, Network, training_only
from ebll.protocol import learn_first
from ebll.record import Recorder
from ebll.seeds import generator
from ebll.terms import class_loss
from ebll.training import TrainSettings, batches_of

__all__ = ["CASES", "TITLE", "figures_of", "operations", "prepared", "run"]

TITLE = "What a training step costs"
METHODS_TIMED = ("finetune", "lwf", "ebll", "code-only", "ewc")
CASES: dict[str, tuple[NetSpec, int]] = {
    "mlp 784-256-128, batch 64": ("mlp", 64),
    "mlp 784-256-128, batch 128": ("mlp", 128),
    "mlp 784-256-256, batch 128": (wide_mlp, 128),
    "cnn, batch 64": ("cnn", 64),
    "cnn, batch 128": ("cnn", 128),
}
RATIO_BAR, SHARE_BAR = 1.10, 80
SHARE_CASES = ("mlp 784-256-256, batch 128", "cnn, batch 64")
IMAGES, STEPS = 2048, 96  # whole batches only, so that every step has the same operations
PRODUCT, SIZE, REPEATS = "matrix product", 2048, 3

TEXT = """Every method trains on a second task through `ebll.training.train`, on targets recorded beforehand, with
nothing measured in between: {images:,} images of 28 x 28, an old task of 26 classes, a new one of 10, code size {code}.
In each round every method takes {steps} steps, and its time is divided by fine-tuning's in that round. `{floor}` is
fine-tuning plus two plain products, the old head's and the encoder's, without the terms that EBLL makes of them.

In the same round, in the same threads, a product of two {size:,} x {size:,} float32 matrices tells how many
floating-point operations a second the machine reaches then. The share is a step's operations, divided by its time and
by that number: of operations a second, not of time. A step's operations, in millions, as `torch.utils.flop_counter`
counts one forward and backward pass (products and convolutions only):

{operations}

What the profile shows: percent of the processor's time over {steps} steps, by kind of operator, with the profiler
running, which slows small calls down. What no operator accounts for is in the last column.

{profile}

What is in the way of a share: products and convolutions run about as fast here as the large product, and take

{parts}

of the time of fine-tuning's step, with the profiler running. What is in the way of EBLL's ratio: the two products that
it cannot do without, called one by one, and then its elementwise operations and calls. With these products alone, the
ratio to fine-tuning would be

{floors}"""


@dataclass(frozen=True)
class BareProducts(Method):
    """Fine-tuning, plus the old head's and the encoder's product as plain calls, and nothing of EBLL's terms."""

    name = "products alone"
    label = "Products alone"

    def loss_terms(self, net: Network, batches: Sequence[Batch], memory: EncoderMemory) -> dict[str, Term]:
        """Both products are summed so that gradients flow."""
        (batch,) = batches
        features = net.features(batch.inputs)
        hidden = net.operator(features)
        encoder = memory.encoder(0)
        code = torch.nn.functional.linear(features, encoder.weight, encoder.bias)
        task = class_loss(net.heads[batch.task](hidden), batch.labels)
        return {"task": Term(task), "products": Term(net.heads[0](hidden).sum() + code.sum(), 1e-9)}


def prepared(net: NetSpec, batch: int, device: str) -> dict[str, Ready]:
    """Every method with a network that has learned a task, and what it has kept and recorded for the second."""
    old, new = (random_task(*facts, images=IMAGES).to(device) for facts in (("old", 26, 0), ("new", 10, 1)))
    quick = TrainSettings(epochs=1, batch_size=batch, learning_rate=1e-3)
    start = learn_first([old], net=net, settings=quick, device=device, recorder=Recorder(log_every=0))
    ready = {}
    for name in METHODS_TIMED:
        method, network = METHODS[name](), copy.deepcopy(start.net)
        memory = method.after_task(network, 0, old, None, 0)
        network.add_head(new.class_count)
        recorded = method.before_task(network, 1, new.train.inputs, memory)
        ready[name] = Ready(method, network, memory, recorded, new)
    floor = Ready(BareProducts(), copy.deepcopy(ready["ebll"].net), ready["ebll"].memory, {}, new)
    return ready | {BareProducts.name: floor}


def operations(ready: Ready, batch: int) -> int:
    """Floating-point operations of one step's products and convolutions, forwards and backwards."""
    t, method, order = ready.t, ready.method, generator(0, "batches")
    drawn = next(batches_of(ready.task, t, ready.recorded, batch, order))
    with training_only(ready.net, method.trained_parts(ready.net, t)), FlopCounterMode(display=False) as counter:
        terms = method.loss_terms(ready.net, [drawn], ready.memory)
        sum(term.weighted() for term in terms.values()).backward()
    ready.net.zero_grad()
    return counter.get_total_flops()


def timed(ready: Mapping[str, Ready], batch: int, device: str, rounds: int) -> pd.DataFrame:
    """Seconds a step of each method in each round, and seconds of a matrix product."""
    square = torch.randn(SIZE, SIZE, device=device)

    def products() -> None:
        for _ in range(REPEATS):
            square @ square

    cases = {name: partial(one.learn, STEPS, batch) for name, one in ready.items()} | {PRODUCT: products}
    times = interleaved(cases, rounds, ready=torch.cuda.synchronize if device == "cuda" else None)
    return times / pd.Series({name: REPEATS if name == PRODUCT else STEPS for name in cases})


def limit_of(times: pd.DataFrame) -> pd.Series:
    """Floating-point operations a second of the matrix product, round by round."""
    return 2 * SIZE**3 / times[PRODUCT]


def figures_of(case: str, times: pd.DataFrame, counts: Mapping[str, int]) -> list[Figure]:
    """Step, ratio and share of each method.

    times    of `timed`
    counts   method -> operations a step
    """
    figures = []
    for name, count in counts.items():
        what = f"{case}, {name}"
        figures.append(figure(what, "step", "ms", 1e3 * times[name]))
        if name != "finetune":
            bar = RATIO_BAR if name == "ebll" else None
            figures.append(ratio_of(times, name, "finetune", what, "to fine-tuning", bar))
        bar = SHARE_BAR if name == "finetune" and case in SHARE_CASES else None
        share = 100 * count / times[name] / limit_of(times)
        figures.append(figure(what, f"share of the {PRODUCT}", "%", share, bar, most=False))
    return figures


def run(rounds: int, device: str) -> tuple[str, list[Figure]]:
    """Time, count and profile all cases."""
    figures, counts, limits, profiles, ready = [], {}, [], {}, {}
    for case, (net, batch) in CASES.items():
        ready[case] = prepared(net, batch, device)
        counts[case] = {name: operations(one, batch) for name, one in ready[case].items()}
        times = timed(ready[case], batch, device, rounds)
        figures += figures_of(case, times, counts[case])
        limits.append(limit_of(times) / 1e9)
    figures.append(figure("the machine, in the rounds of all cases", PRODUCT, "GFLOP/s", pd.concat(limits)))
    for case, (_, batch) in CASES.items():  # EBLL has a bar in all of them
        for name in ("finetune", "lwf", "ebll"):
            work = partial(ready[case][name].learn, STEPS, batch)
            profiles[f"{case}, {name}"] = {group: f"{100 * part:.1f}" for group, part in shares(work).items()}
    millions = pd.DataFrame.from_dict(counts, orient="index").map(lambda count: f"{count / 1e6:,.1f}")
    return TEXT.format(
        images=IMAGES, steps=STEPS, size=SIZE, code=METHODS["ebll"]().autoencoder.code_size, floor=BareProducts.name,
        operations=markdown(millions, "net, batch"),
        profile=markdown(pd.DataFrame.from_dict(profiles, orient="index"), "net, batch, method"),
        floors="\n".join(floors(figures)),
        parts="\n".join(
            f"- {case}: {profiles[f'{case}, finetune'][PRODUCTS]} %" for case in SHARE_CASES if case in ready
        ),
    ), figures  # fmt: skip


def floors(figures: Sequence[Figure]) -> list[str]:
    """For each case, the ratio of the products alone beside EBLL's, and on which side of the bar it is."""
    ratios = {one.case: one for one in figures if one.what == "to fine-tuning"}
    lines = []
    for case in CASES:
        floor, whole = (ratios[f"{case}, {name}"] for name in (BareProducts.name, "ebll"))
        side = "above" if floor.value > RATIO_BAR else "below"
        lines.append(f"- {case}: {spread(floor)}, {side} the bar; EBLL as it is: {spread(whole)}.")
    return lines
