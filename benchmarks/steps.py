"""What a training step costs, method against method.

Each method trains on the same recorded targets through `ebll.training.train`, as a user's run does, without measuring.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import pandas as pd
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.made import Ready, prepared, wide_mlp
from benchmarks.profiled import shares
from benchmarks.results import table_of
from benchmarks.rounds import Figure, figure, interleaved, ratio_of
from ebll.losses import class_loss
from ebll.methods import Batch, EncoderMemory, Method, Term
from ebll.networks import NetSpec, Network, training_only
from ebll.seeds import generator
from ebll.training import batches_of

__all__ = ["CASES", "TITLE", "BareProducts", "figures_of", "operations", "run", "with_products"]

TITLE = "What a training step costs"
METHODS_TIMED = ("finetune", "lwf", "ebll", "code-only", "ewc", "l2", "input-moments", "kfac")
CASES: dict[str, tuple[NetSpec, int]] = {
    "mlp, batch 64": ("mlp", 64),
    "784-256-256, batch 128": (wide_mlp, 128),
    "cnn, batch 64": ("cnn", 64),
}
BAR, STEPS = 1.08, 96  # whole epochs only, so that every step has the same operations
TO_PRODUCTS, PROFILE = "to fine-tuning plus its bare products", "profile, "

TEXT = """Every method trains on a second task through `ebll.training.train`, on targets recorded beforehand, with
nothing measured in between: {steps} steps in each round. `{floor}` is fine-tuning plus the two products that EBLL
cannot do without, the old head's and the encoder's, each summed up, with nothing of EBLL's terms. To fine-tuning:

{table}

A step of EBLL, in percent of the processor's time under a profiler, which slows small calls down:

{profile}"""


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
        code = functional.linear(features, encoder.weight, encoder.bias)
        task = class_loss(net.heads[batch.task](hidden), batch.labels)
        return {"task": Term(task), "products": Term(net.heads[0](hidden).sum() + code.sum(), 1e-9)}


def with_products(ready: Mapping[str, Ready]) -> dict[str, Ready]:
    """The methods, and fine-tuning plus bare products on EBLL's network and encoder."""
    of_ebll = ready["ebll"]
    floor = replace(of_ebll, method=BareProducts(), net=copy.deepcopy(of_ebll.net), targets={})
    return {**ready, BareProducts.name: floor}


def operations(ready: Ready, batch: int) -> int:
    """Floating-point operations of one step's products and convolutions, forwards and backwards."""
    t, method, order = ready.t, ready.method, generator(0, "batches")
    drawn = next(batches_of(ready.task, t, ready.targets, batch, order))
    with training_only(ready.net, method.trained_parts(ready.net, t)), FlopCounterMode(display=False) as counter:
        terms = method.loss_terms(ready.net, [drawn], ready.memory)
        sum(term.weighted() for term in terms.values()).backward()
    ready.net.zero_grad()
    return counter.get_total_flops()


def figures_of(case: str, times: pd.DataFrame, counts: Mapping[str, int]) -> list[Figure]:
    """Step, ratios and operations of each method.

    times    seconds a step, a method a column
    counts   method -> operations a step
    """
    figures = []
    for name, count in counts.items():
        what = f"{case}, {name}"
        figures.append(figure(what, "a step", "ms", 1e3 * times[name]))
        figures.append(figure(what, "operations of a step", "million", [count / 1e6]))
        if name != "finetune":
            figures.append(ratio_of(times, name, "finetune", what, "to fine-tuning"))
        if name == "ebll":
            figures.append(ratio_of(times, name, BareProducts.name, what, TO_PRODUCTS, BAR))
    return figures


def run(rounds: int, device: str) -> tuple[str, list[Figure]]:
    """Time, count and profile all cases."""
    figures, profiles = [], []
    for case, (net, batch) in CASES.items():
        ready = with_products(prepared(net, batch, device, METHODS_TIMED))
        cases = {name: partial(one.learn, STEPS, batch) for name, one in ready.items()}
        times = interleaved(cases, rounds, per=STEPS, ready=torch.cuda.synchronize if device == "cuda" else None)
        figures += figures_of(case, times, {name: operations(one, batch) for name, one in ready.items()})
        parts = shares(cases["ebll"])
        profiles += [figure(f"{case}, ebll", PROFILE + group, "%", [100 * part]) for group, part in parts.items()]
    to_finetune = [one for one in figures if one.what == "to fine-tuning"]
    words = {"steps": STEPS, "floor": BareProducts.name, "table": table_of([*map(by_method, to_finetune)])}
    return TEXT.format(**words, profile=table_of([*map(by_group, profiles)])), figures + profiles


def by_method(one: Figure) -> Figure:
    """A figure of a table with a column a method."""
    case, _, name = one.case.rpartition(", ")
    return replace(one, case=case, what=name)


def by_group(one: Figure) -> Figure:
    """A figure of a table with a column a kind of operator."""
    return replace(one, what=one.what.removeprefix(PROFILE))
