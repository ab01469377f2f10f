"""A torchvision classifier taken apart into named stages in a row, and the one linear layer at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import nn

from ebll.backbones.listing import BACKBONES
from ebll.backbones.lite0 import Lite0
from ebll.errors import check_count

__all__ = ["Chain", "build", "build_empty", "chain_of", "checked_size", "head_name", "parameters", "shapes"]

Stages = dict[str, list[nn.Module]]

LARGEST = 4096  # pixels a side; as photographs may be kept. The first maps of VGG then take 4.3 GB of a single image


@dataclass(frozen=True)
class Chain:
    """A net in a row: every stage's modules, then `before_head` (dropout, or nothing), then `head`.

    A stage that takes flat inputs after one that gives maps begins with `nn.Flatten`.
    """

    stages: Stages
    head: nn.Linear
    before_head: list[nn.Module] = field(default_factory=list)


def build(name: str, classes: int = 1000) -> nn.Module:
    """The whole net, its weights drawn as its authors do, from torch's global generator."""
    if name == "efficientnet_lite0":
        return Lite0(classes)
    from torchvision.models import get_model

    return get_model(name, weights=None, num_classes=classes)


def build_empty(name: str, classes: int = 1000) -> nn.Module:
    """As `build`, but on the "meta" device: shapes without memory, and the global generator left alone."""
    try:
        with torch.device("meta"):
            return build(name, classes)
    except NotImplementedError:  # RegNet computes its widths with tensors, and needs their values
        with torch.random.fork_rng(devices=[]):
            return build(name, classes).to("meta")


def chain_of(name: str, model: nn.Module) -> Chain:
    """The net that `build(name)` made, taken apart; the modules are shared with it, not copied."""
    return _FAMILIES[name.partition("_")[0].rstrip("0123456789")](model)


def head_name(model: nn.Module) -> str:
    """The name of the last linear layer within a whole net, such as `classifier.6`."""
    return [name for name, part in model.named_modules() if isinstance(part, nn.Linear)][-1]


def shapes(name: str, input_size: int | None = None) -> dict[str, tuple[int, ...]]:
    """What each stage gives for one image: (channels, height, width), or (size,) where it is flat.

    Nothing is computed: the net is built without memory. Raises `InputError` as `checked_size` does.
    """
    return dict(_shapes(name, checked_size(name, BACKBONES[name].input_size if input_size is None else input_size)))


def checked_size(name: str, input_size: object) -> int:
    """Height and width of an image for the net `name`; raises `InputError` for what is none, too small or too large."""
    low = BACKBONES[name].weights.min_size
    size = check_count(input_size, "input_size", low=low, hint=f"{name} takes no smaller images.")
    hint = "Beyond it the maps of a single image may take many gigabytes. Make the images smaller."
    return check_count(size, "input_size", low=low, high=LARGEST, hint=hint)


@cache
def _shapes(name: str, size: int) -> dict[str, tuple[int, ...]]:
    model = build_empty(name).eval()
    values, found = torch.empty(1, 3, size, size, device="meta"), {}
    with torch.no_grad():
        for stage, parts in chain_of(name, model).stages.items():
            values = nn.Sequential(*parts)(values)
            found[stage] = tuple(values.shape[1:])
    return found


@cache
def parameters(name: str) -> dict[str, int]:
    """How many numbers each stage learns; those of the head are not among them."""
    stages = chain_of(name, build_empty(name)).stages
    return {stage: sum(p.numel() for part in parts for p in part.parameters()) for stage, parts in stages.items()}


def _convolutions(features: Iterable[nn.Module], name: Callable[[int, int, int], str]) -> Stages:
    """A stage for each convolution, with what follows it, and for each pooling.

    name   (convolutions so far, poolings so far, convolutions since the last pooling) -> name of a convolution
    """
    stages: Stages = {}
    total = poolings = since = 0
    for part in features:
        if isinstance(part, nn.Conv2d):
            total, since = total + 1, since + 1
            stages[name(total, poolings, since)] = []
        elif isinstance(part, nn.MaxPool2d):
            poolings, since = poolings + 1, 0
            last = next(reversed(stages)).removeprefix("conv").partition("_")[0]
            stages[f"pool{last}"] = []
        stages[next(reversed(stages))].append(part)
    return stages


def _classifier(parts: Iterable[nn.Module], names: Iterable[str], first: list[nn.Module]) -> Chain:
    """A stage for each linear layer, with the dropout in front of it and the activation behind; the last is the head.

    first   what stands before the first of them
    """
    stages: Stages = {}
    waiting, given = list(first), iter(names)
    *hidden, head = parts
    for part in hidden:
        if isinstance(part, nn.Dropout):
            waiting.append(part)
        elif isinstance(part, nn.Linear):
            stages[next(given)] = [*waiting, part]
            waiting = []
        else:
            stages[next(reversed(stages))].append(part)
    return Chain(stages, head, waiting)


def _behind(stages: Stages, end: Chain) -> Chain:
    return Chain(stages | end.stages, end.head, end.before_head)


def _alexnet(model: nn.Module) -> Chain:
    stages = _convolutions(model.features, lambda total, poolings, since: f"conv{total}")
    stages["pool5"].append(model.avgpool)
    return _behind(stages, _classifier(model.classifier, ("fc6", "fc7"), [nn.Flatten()]))


def _vgg(model: nn.Module) -> Chain:
    stages = _convolutions(model.features, lambda total, poolings, since: f"conv{poolings + 1}_{since}")
    stages["pool5"].append(model.avgpool)
    return _behind(stages, _classifier(model.classifier, ("fc6", "fc7"), [nn.Flatten()]))


def _resnet(model: nn.Module) -> Chain:
    stages: Stages = {"stem": [model.conv1, model.bn1, model.relu, model.maxpool]}
    stages |= {name: [getattr(model, name)] for name in ("layer1", "layer2", "layer3", "layer4")}
    return Chain(stages | {"pool": [model.avgpool, nn.Flatten()]}, model.fc)


def _densenet(model: nn.Module) -> Chain:
    parts = dict(model.features.named_children())
    stages: Stages = {"stem": [parts[name] for name in ("conv0", "norm0", "relu0", "pool0")]}
    for i in (1, 2, 3):
        stages |= {f"dense{i}": [parts[f"denseblock{i}"]], f"down{i}": [parts[f"transition{i}"]]}
    stages["dense4"] = [parts["denseblock4"], parts["norm5"], nn.ReLU()]
    return Chain(stages | {"pool": [nn.AdaptiveAvgPool2d(1), nn.Flatten()]}, model.classifier)


def _mobilenet(model: nn.Module) -> Chain:
    stem, *blocks, last = model.features
    stages: Stages = {"stem": [stem]}
    width = None
    for block in blocks:  # neighbours of equal width make a stage
        if block.out_channels != width:
            stages[f"stage{len(stages)}"] = []
        stages[next(reversed(stages))].append(block)
        width = block.out_channels
    stages |= {"last": [last], "pool": [nn.AdaptiveAvgPool2d(1), nn.Flatten()]}
    return _behind(stages, _classifier(model.classifier, ("fc1",), []))


def _efficientnet(model: nn.Module) -> Chain:
    stem, *blocks, last = model.features
    stages: Stages = {"stem": [stem]} | {f"stage{i}": [block] for i, block in enumerate(blocks, 1)}
    stages |= {"last": [last], "pool": [model.avgpool, nn.Flatten()]}
    return _behind(stages, _classifier(model.classifier, (), []))


def _regnet(model: nn.Module) -> Chain:
    stages: Stages = {"stem": [model.stem]} | {name: [part] for name, part in model.trunk_output.named_children()}
    return Chain(stages | {"pool": [model.avgpool, nn.Flatten()]}, model.fc)


def _convnext(model: nn.Module) -> Chain:
    stages: Stages = {"stem": [model.features[0]]}
    for i, part in enumerate(model.features[1:]):
        stages[f"{('stage', 'down')[i % 2]}{i // 2 + 1}"] = [part]
    norm, flatten, head = model.classifier
    return Chain(stages | {"pool": [model.avgpool, norm, flatten]}, head)


_FAMILIES: dict[str, Callable[[nn.Module], Chain]] = {
    "alexnet": _alexnet,
    "vgg": _vgg,
    "resnet": _resnet,
    "densenet": _densenet,
    "mobilenet": _mobilenet,
    "efficientnet": _efficientnet,
    "regnet": _regnet,
    "convnext": _convnext,
}
