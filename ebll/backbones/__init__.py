"""Pretrained nets cut into F, T and the head they were trained with: AlexNet as in the paper, and fifteen others.

    cut = load_backbone("alexnet")                   # F = conv1 ... pool5 (9,216 features), T = fc6 and fc7
    cut = load_backbone("resnet18@layer3")           # F ends elsewhere; what follows it, up to the head, is T
    net = Network(cut.features, cut.operator, cut.input_shape)
    quick = accelerated(cut.features, precision="bfloat16", channels_last=True)

A net is a chain of named stages that ends in one linear layer, and a cut is the name of F's last stage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# Which nets there are.
from ebll.backbones.listing import BACKBONES, Backbone

if TYPE_CHECKING:
    # A net, cut, with its weights.
    from ebll.backbones.cuts import CutNet, load_backbone

    # What makes its parts quicker.
    from ebll.backbones.fast import Fast, accelerated

__all__ = ["BACKBONES", "Backbone", "CutNet", "Fast", "accelerated", "load_backbone"]


def __getattr__(name: str) -> object:
    # A list of the nets needs no torch, whose import takes longer than everything else here.
    if name in ("CutNet", "load_backbone"):
        from ebll.backbones import cuts

        return getattr(cuts, name)
    if name in ("Fast", "accelerated"):
        from ebll.backbones import fast

        return getattr(fast, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
