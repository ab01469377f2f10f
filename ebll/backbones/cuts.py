"""A pretrained net cut in two at one of its stages: F up to it, T from there to the head, and the head.

Together the three give the net's own answers.
"""

from __future__ import annotations

import math
import os
from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import nn
from torchvision.ops import StochasticDepth

from ebll.backbones.chains import Chain, chain_of, checked_size, shapes
from ebll.backbones.listing import BACKBONES
from ebll.backbones.weights import net_with_weights
from ebll.errors import InputError, check_choice, check_number
from ebll.networks import Network

__all__ = ["CutNet", "load_backbone"]


@dataclass(frozen=True)
class CutNet:
    """A net as F, T and the head that it was trained with: head(operator(flatten(features(x)))) are its logits.

    features           `nn.Module`, images (batch, 3, size, size) -> the output of stage `cut`; not flattened
    operator           `nn.Module`, (batch, features) -> (batch, size); `nn.Identity()` where F reaches to the head
    head               `nn.Linear` from there to the classes of the pretraining, 1,000 unless the file has others
    mean, std          what images in [0, 1] are standardised by, one value a channel
    input_shape        (3, size, size)
    name, cut          of the net and of F's last stage
    weights_from       where the weights come from, in words
    note               what is particular to this net, in words; "" for nothing
    feature_size       how many features F gives of one image
    keeps_statistics   whether BatchNorm's statistics are pretrained and to be kept from the start, as `network()` does
    """

    features: nn.Module
    operator: nn.Module
    head: nn.Linear
    mean: tuple[float, ...]
    std: tuple[float, ...]
    input_shape: tuple[int, int, int]
    feature_size: int
    name: str
    cut: str
    weights_from: str
    note: str
    keeps_statistics: bool

    def network(self, operator: nn.Module | None = None) -> Network:
        """F and T as a `Network` without heads, pretrained statistics frozen.

        operator   another T in place of what stood between F and the head: `nn.Module`, (batch, features) -> (batch,
                   size). Modules are taken over, not copied
        """
        net = Network(self.features, self.operator if operator is None else operator, self.input_shape)
        if self.keeps_statistics:
            net.freeze_statistics()
        return net


def load_backbone(
    name: str,
    cut: str | None = None,
    weights: str | os.PathLike = "default",
    dropout: float = 0.0,
    input_size: int = 224,
) -> CutNet:
    """One of `BACKBONES` with its weights, cut.

    name         of the net, or net@cut, as in "resnet50@layer3"
    cut          F's last stage; None for the usual one
    weights      "default" for torchvision's (fetched once, into torch's cache), "none" for a random start drawn from
                 torch's global generator, or a .pth or .safetensors file with torchvision's names
    dropout      probability in every dropout layer. 0 as in the authors' own fine-tuning; more is drawn anew in each
                 pass, so that F or T of one image differs from pass to pass
    input_size   height and width of an image, at most 4,096; another than 224 changes the number of features at most
                 cuts
    raises       `InputError` for a name, a cut, a size or a file that does not fit; `DataMissing` where the weights
                 are not there and cannot be fetched
    """
    name, cut = _named(name, cut)
    rate = check_number(dropout, "dropout", high=0.99)
    size = checked_size(name, input_size)
    sizes = shapes(name, size)
    model, weights_from = net_with_weights(name, weights)
    skips = _set_chances(model, rate)
    chain = chain_of(name, model)
    published, pretrained = BACKBONES[name].weights, weights != "none"
    return CutNet(
        features=_features(chain, cut),
        operator=_operator(chain, cut, sizes[cut]),
        head=chain.head,
        mean=published.mean,
        std=published.std,
        input_shape=(3, size, size),
        feature_size=math.prod(sizes[cut]),
        name=name,
        cut=cut,
        weights_from=weights_from,
        note=_note(BACKBONES[name].batch_norm, pretrained, skips),
        keeps_statistics=BACKBONES[name].batch_norm and pretrained,
    )


def _named(name: str, cut: str | None) -> tuple[str, str]:
    """Net and cut, from "net", "net@cut", or the two apart."""
    net, at, within = name.partition("@") if isinstance(name, str) else (name, "", "")
    check_choice(net, BACKBONES, "Backbone")
    if cut is not None:
        check_choice(cut, BACKBONES[net].stages, f"Cut of {net}")
    if at and cut is not None and cut != within:
        raise InputError(f"Two cuts of {net} were asked for, {within!r} in its name and {cut!r}. Give one of them.")
    wanted = within if at else BACKBONES[net].cut if cut is None else cut
    return net, check_choice(wanted, BACKBONES[net].stages, f"Cut of {net}")


def _set_chances(model: nn.Module, dropout: float) -> bool:
    """Set every dropout, and let no block be left out at random; whether the net has blocks that would be."""
    skips = [part for part in model.modules() if isinstance(part, StochasticDepth)]
    for part in skips:
        part.p = 0.0
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = dropout
    return bool(skips)


def _row(stages: dict[str, list[nn.Module]]) -> nn.Sequential:
    return nn.Sequential(OrderedDict((name, nn.Sequential(*parts)) for name, parts in stages.items()))


def _features(chain: Chain, cut: str) -> nn.Sequential:
    names = list(chain.stages)
    return _row({name: chain.stages[name] for name in names[: names.index(cut) + 1]})


def _operator(chain: Chain, cut: str, shape: tuple[int, ...]) -> nn.Module:
    """What stands between the flattened features and the head."""
    names = list(chain.stages)
    stages = {name: chain.stages[name] for name in names[names.index(cut) + 1 :]}
    first = next(iter(stages.values()), [])
    if first and isinstance(first[0], nn.Flatten):
        stages[next(iter(stages))] = first[1:]
    elif first and len(shape) > 1:
        stages = {"shape": [nn.Unflatten(1, torch.Size(shape))]} | stages
    if any(part.p > 0 for part in chain.before_head):
        stages["before_head"] = chain.before_head
    return _row(stages) if stages else nn.Identity()


def _note(batch_norm: bool, pretrained: bool, skips: bool) -> str:
    notes = []
    if batch_norm and pretrained:
        notes.append("BatchNorm statistics stay as they were pretrained")
    elif batch_norm:
        notes.append("BatchNorm statistics are learned on the first task")
    if skips:
        notes.append("no block is left out at random, as some were while it was pretrained")
    return "; ".join(notes)
