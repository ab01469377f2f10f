"""The library's loop against a bare PyTorch loop of the same method (`benchmarks.bare`).

Both sides first do the same steps in double precision, and nothing is timed unless their losses and weights agree.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from benchmarks import bare, made
from benchmarks.made import Ready, prepared
from benchmarks.rounds import Figure, figure, interleaved, ratio_of
from ebll.seeds import generator
from ebll.training import Step

__all__ = ["TITLE", "bare_side", "difference", "run"]

TITLE = "The loop against bare PyTorch"
NETS, METHODS_TIMED, BAR = ("mlp", "cnn"), ("finetune", "lwf", "ebll"), 1.05
BATCH, EPOCHS, RATE = 64, 3, 0.01  # a rate at which every term soon counts
TOLERANCE = 1e-10  # of every loss and weight, in double precision
TO_BARE = "the library's loop to a bare one"

TEXT = """`ebll.training.train` against a loop written by hand in PyTorch alone ([bare.py](bare.py)): the same
initial weights, order of batches, recorded targets and fused SGD; in each round {steps} steps on either side. Before
they were timed both sides did the same steps in double precision; the largest difference between two losses or
weights was {difference:.0e} (at most {tolerance:.0e} is allowed)."""


def run(rounds: int, device: str) -> tuple[str, list[Figure]]:
    """Compare, then time, each method on each net."""
    figures, apart, steps = [], [], EPOCHS * made.IMAGES // BATCH
    for net in NETS:
        for name, ready in prepared(net, BATCH, device, METHODS_TIMED).items():
            case = f"{net}, batch {BATCH}, {name}"
            apart.append(checked(case, difference(ready.in_double(), net)))
            sides = {"library": partial(ready.learn, steps, BATCH, RATE), "bare": bare_side(ready, net)[0]}
            times = interleaved(sides, rounds, per=steps, ready=torch.cuda.synchronize if device == "cuda" else None)
            figures += [figure(case, f"{side}, a step", "ms", 1e3 * times[side]) for side in sides]
            figures.append(ratio_of(times, "library", "bare", case, TO_BARE, BAR))
    return TEXT.format(steps=steps, difference=max(apart), tolerance=TOLERANCE), figures


def bare_side(ready: Ready, net: str) -> tuple[Callable[[], list[Tensor]], list[Tensor]]:
    """The bare loop on copies of the weights, and these copies in the order of the network's parameters."""
    parameters = [parameter.detach().clone().requires_grad_() for parameter in ready.net.parameters()]
    weights, heads = parameters[:-4], parameters[-4:]
    options = {name: ready.targets[name] for name in ("soft_targets", "codes") if name in ready.targets}
    if "codes" in options:
        encoder = ready.memory.encoder(0)
        options["encoder"] = (encoder.weight, encoder.bias)
    split = ready.task.train

    def work() -> list[Tensor]:
        sgd = torch.optim.SGD(parameters, lr=RATE, momentum=0.9, weight_decay=5e-4, fused=True)
        order = generator(0, "batches", ready.t, ready.t)
        given = (bare.NETS[net], weights, heads[:2], heads[2:], split.inputs, split.labels, order)
        return bare.learn(*given, epochs=EPOCHS, batch=BATCH, optimizer=sgd, **options)

    return work, parameters


def difference(ready: Ready, net: str) -> float:
    """The largest difference between the losses of all steps, and between the weights after them."""
    work, weights = bare_side(ready, net)
    mine, theirs = replace(ready, net=copy.deepcopy(ready.net)), work()
    losses: list[Tensor] = []

    def observe(step: Step) -> None:
        if step.terms:
            losses.append(sum(term.weighted().detach() for term in step.terms.values()))

    mine.learn(len(theirs), BATCH, RATE, observe)
    pairs = [(torch.stack(losses), torch.stack(theirs)), *zip(mine.net.parameters(), weights, strict=True)]
    return max((one - other).abs().max().item() for one, other in pairs)


def checked(case: str, found: float) -> float:
    """The difference of both sides.

    raises   `SystemExit` where they do not do the same work
    """
    if not found <= TOLERANCE:
        raise SystemExit(f"{case}: the sides do not do the same work: they differ by {found}, tolerance {TOLERANCE}.")
    return found
