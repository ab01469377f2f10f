"""The command that lists the pretrained nets, where each can be cut, and what a cut leaves to F and to T.

No weights are loaded or fetched for it, and torchvision's record of them is read only when it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import click

from ebll.cli.params import Name, examples
from ebll.cli.terminal import facts, say, wrapped

if TYPE_CHECKING:
    from ebll.backbones import Backbone

__all__ = ["backbones"]


def backbone_names() -> Mapping[str, Any]:
    """The pretrained nets by name."""
    from ebll.backbones import BACKBONES

    return BACKBONES


@click.command(
    short_help="List the pretrained nets and where they can be cut.",
    epilog=examples("ebll backbones", "ebll backbones resnet18"),
)
@click.argument("name", type=Name("Backbone", backbone_names), metavar="[NET]", required=False)
def backbones(name: str | None) -> None:
    """List the pretrained nets: size, weights, and the stages where F can end; or all cuts of one NET.

    F is the net up to the cut, T what follows it up to the last layer, which is the head.
    """
    if name is None:
        _all_nets()
    else:
        _one_net(backbone_names()[name])


def _all_nets() -> None:
    row = "{:<20} {:>10} {:>9}  {:<11} {}"
    say(row.format("name", "parameters", "features", "T", "weights (top-1 on ImageNet)"))
    nets = backbone_names().values()
    usual = next(iter(nets)).weights.way
    for net in nets:
        operator = " ".join(net.operator_stages) or "none"
        sizes = (_millions(net.weights.parameters), f"{net.features:,}")
        say("\n" + row.format(net.name, *sizes, operator, _published(net)))
        about = [("cuts", " ".join(f"[{stage}]" if stage == net.cut else stage for stage in net.stages))]
        say(facts(about + ([] if net.weights.way == usual else [("weights", net.weights.way)])))
    way = (
        "In brackets: where F ends unless you say otherwise; features and T are those of that cut. Another is named "
        "behind the net, as in --backbone resnet18@layer3; `ebll backbones resnet18` shows what each gives. Weights "
        f"are {usual}, or read from a file with --weights FILE."
    )
    say("\n" + wrapped(way))


def _one_net(net: Backbone) -> None:
    from ebll.backbones.chains import parameters, shapes

    given, learnt, size = shapes(net.name), parameters(net.name), net.input_size
    after, weights = sum(learnt.values()), net.weights
    head = weights.parameters - after
    say(f"{net.name}: {_millions(weights.parameters)} parameters, of which {head:,} in the head of 1,000 classes")
    say(facts([("weights", f"{_published(net)}, {weights.source}; {weights.way}"), ("from", weights.url)]))
    row = "  {:<8} {:>15} {:>9} {:>13}  {}"
    say("\n" + row.format("cut", "F gives", "features", "T learns", "to be named"))
    for stage in net.stages:
        after -= learnt[stage]
        shape = " x ".join(f"{side:,}" for side in given[stage])
        named = net.name if stage == net.cut else f"{net.name}@{stage}"
        say(row.format(stage, shape, f"{prod(given[stage]):,}", f"{after:,}", f"--backbone {named}"))
    say("\n" + wrapped(f"F gives so many values for an image of {size} x {size}; T learns so many parameters."))
    if net.batch_norm:
        words = (
            f"{net.name} has BatchNorm: its statistics stay as they were pretrained, in every method, since otherwise "
            "the old tasks' answers would drift with them even where no weight moves."
        )
        say(wrapped(words))


def _published(net: Backbone) -> str:
    return f"{net.weights.megabytes:,.0f} MB, {net.weights.top1:.1f} %"


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M"
