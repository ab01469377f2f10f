"""The network of the paper: a feature extractor F, a shared task operator T, and one head T_t per task.

F and T are any two `nn.Module`s; two small pairs are built in.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from ebll.errors import InputError, check_choice, check_count
from ebll.seeds import seeded

__all__ = ["NETS", "NetSpec", "Network", "build_network", "cnn", "evaluating", "frozen", "mlp", "toy", "training_only"]

NetSpec: TypeAlias = (
    "str | Callable[[tuple[int, ...]], tuple[nn.Module, nn.Module]] | tuple[nn.Module, nn.Module] | Network"
)


# Modules that draw no random numbers while they learn.
_QUIET = {
    *(nn.Sequential, nn.ModuleList, nn.Identity, nn.Flatten, nn.Linear, nn.Conv2d, nn.ReLU, nn.Sigmoid, nn.Tanh),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.BatchNorm1d, nn.BatchNorm2d),
}


class Network(nn.Module):
    """F, T and the heads.

    features      `nn.Module`, inputs (batch, *input_shape) -> (batch, ...); what comes out is flattened
    operator      `nn.Module`, (batch, feature_size) -> (batch, operator_size); `nn.Identity()` for none
    input_shape   shape of one input; one zero example is sent through in eval mode to learn the sizes
    heads         empty at first; `add_head(classes)` adds a linear head for the next task
    classes       classes of each head

    Normalisation layers with running statistics (BatchNorm) learn them on the first task only: after
    `freeze_statistics()` they stay in eval mode, since otherwise the old tasks' answers would drift with the statistics
    even where no weight moves.
    """

    def __init__(self, features: nn.Module, operator: nn.Module, input_shape: Sequence[int]):
        super().__init__()
        self.features = nn.Sequential(features, nn.Flatten())
        _not_in_place(self.features)
        _not_in_place(operator)
        self.operator = operator
        self.heads = nn.ModuleList()
        self.classes: list[int] = []
        self.input_shape = tuple(input_shape)
        self.statistics_frozen = False
        self.feature_size, self.operator_size = self._probe_sizes()

    @property
    def operators_are_separate(self) -> bool:
        """True once `separate_operators` has moved T into the heads."""
        return len(self.heads) > 0 and isinstance(self.heads[0], nn.Sequential)

    def forward(self, inputs: Tensor, task: int) -> Tensor:
        """T_t(T(F(x))): inputs (batch, *input_shape) -> logits (batch, classes of the task)."""
        return self.heads[task](self.operator(self.features(inputs)))

    def add_head(self, classes: int) -> None:
        """Add the next task's head: linear and freshly initialised, from torch's global generator.

        With separate operators the head begins with a copy of the newest operator, as a pretrained one would be reused.
        """
        check_count(classes, "classes of a head", low=2)
        head: nn.Module = nn.Linear(self.operator_size, classes)
        if self.operators_are_separate:
            head = nn.Sequential(copy.deepcopy(self.heads[-1][0]), head)
        self.classes.append(classes)
        self.heads.append(head.to(next(self.parameters(), torch.empty(0)).device))

    def separate_operators(self) -> None:
        """Move T into every head, so that nothing is shared above F (EBLL section 3.3.2); outputs do not change."""
        if not self.heads:
            raise InputError("separate_operators needs at least one head; call add_head(classes) first.")
        if not self.operators_are_separate:
            self.heads = nn.ModuleList(nn.Sequential(copy.deepcopy(self.operator), head) for head in self.heads)
            self.operator = nn.Identity()

    def needs_batches(self) -> bool:
        """Whether a layer refuses a batch of one input while it learns, as BatchNorm does on one value a channel."""
        net = copy.deepcopy(self).train()
        example = torch.zeros(1, *self.input_shape, device=next(self.parameters(), torch.empty(0)).device)
        try:
            with torch.no_grad(), seeded(0, "probe"):
                net(example, 0)
        except ValueError:
            return True
        return False

    def may_draw(self) -> bool:
        """Whether a layer may draw random numbers while it learns, as dropout does; an unknown one counts as such."""
        return not all(type(part) in _QUIET for part in self.modules() if part is not self)

    def running_statistics(self) -> dict[str, Tensor]:
        """Name -> buffer that changes while it learns, until statistics are frozen; the net's own, not copies."""
        if self.statistics_frozen:
            return {}
        saved = self.state_dict().keys()
        return {name: value for name, value in self.named_buffers() if name in saved}

    def freeze_statistics(self) -> None:
        """From now on keep running statistics (BatchNorm and its kin) as they are, also in train mode."""
        self.statistics_frozen = True
        for module in self.modules():
            if isinstance(module, _NormBase) and module.track_running_stats:
                module.eval()

    def train(self, mode: bool = True) -> Network:
        """As `nn.Module.train`, but frozen statistics stay frozen."""
        super().train(mode)
        if self.statistics_frozen:
            self.freeze_statistics()
        return self

    def _probe_sizes(self) -> tuple[int, int]:
        reference = next(self.parameters(), torch.empty(0))
        try:
            with evaluating(self), torch.no_grad():
                inputs = torch.zeros(1, *self.input_shape, device=reference.device)
                features = self.features(inputs)
                in_place = "features" if inputs._version else ""
                version = features._version
                outputs = self.operator(features)
        except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise InputError(
                f"The network does not take inputs of shape {self.input_shape}: {error}. "
                "`features` must map (batch, *input_shape) to (batch, ...), "
                "and `operator` (batch, features) to (batch, size)."
            ) from error
        if in_place or features._version != version:
            raise InputError(
                f"`{in_place or 'operator'}` changes its input in place, which would change the task's own data, or "
                "the features under the code term. Let its first operation return a new tensor."
            )
        if not isinstance(outputs, Tensor):
            raise InputError(f"`operator` must return a tensor (batch, size); it returned {type(outputs).__name__}.")
        if outputs.ndim != 2:
            raise InputError(
                f"`operator` must return (batch, size); it returned {tuple(outputs.shape)}. End it with nn.Flatten()."
            )
        return features.shape[1], outputs.shape[1]


def _not_in_place(module: nn.Module) -> None:
    """Switch in-place activations off: F and T must not change what they are given, since it is read again."""
    for part in module.modules():
        if getattr(part, "inplace", False) is True:
            part.inplace = False


def mlp(input_shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """Inputs - 256 (F) - 128 (T): the small network of most figures; 256 features."""
    size = int(torch.Size(input_shape).numel())
    features = nn.Sequential(nn.Flatten(), nn.Linear(size, 256), nn.ReLU())
    return features, nn.Sequential(nn.Linear(256, 128), nn.ReLU())


def cnn(input_shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """Convolutions of 5 x 5 with 8 channels and 3 x 3 with 32, both of stride 2 (F), one layer of 128 (T).

    28 x 28 images give 32 x 7 x 7 = 1,568 features. `docs/settings.md` has what else was compared.
    Strides in place of pooling keep the work in matrix products, where the processor is quick.
    """
    if len(input_shape) != 3:
        raise InputError(f"The net 'cnn' takes images (channels, height, width); got inputs of shape {input_shape}.")
    channels, height, width = input_shape
    size = 32 * ((height + 3) // 4) * ((width + 3) // 4)
    features = nn.Sequential(
        nn.Conv2d(channels, 8, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(8, 32, 3, stride=2, padding=1), nn.ReLU()
    )
    return features, nn.Sequential(nn.Linear(size, 128), nn.ReLU())


def toy(input_shape: tuple[int, ...], features: int = 2) -> tuple[nn.Module, nn.Module]:
    """Inputs - 32 - features (F), 16 (T), with tanh between them: for points of the plane, to be drawn whole.

    The features themselves have no tanh after them, so that they may move anywhere in their plane.
    """
    inside = nn.Sequential(nn.Flatten(), nn.Linear(int(torch.Size(input_shape).numel()), 32), nn.Tanh())
    return inside.append(nn.Linear(32, features)), nn.Sequential(nn.Tanh(), nn.Linear(features, 16), nn.Tanh())


NETS: dict[str, Callable[[tuple[int, ...]], tuple[nn.Module, nn.Module]]] = {"mlp": mlp, "cnn": cnn}


def build_network(net: NetSpec, input_shape: Sequence[int], seed: int = 0) -> Network:
    """A `Network` without heads, its weights drawn from `seed`.

    net   "mlp" or "cnn"; a function input_shape -> (features, operator); a pair of modules, which is copied and keeps
          its weights; or a `Network` without heads, likewise, whose statistics may have been frozen
    """
    input_shape = tuple(input_shape)
    if isinstance(net, Network):
        if net.heads:
            raise InputError(
                f"A Network given as net must have no heads, as each task gets one of its own; this one has "
                f"{len(net.heads)}. Give it as it was before it learned anything."
            )
        if net.input_shape != input_shape:
            raise InputError(
                f"The network takes inputs of shape {net.input_shape}, the tasks have {input_shape}. Give both one "
                "size: load_backbone(..., input_size=...) for a backbone, PhotoSettings(size=...) for photographs."
            )
        return copy.deepcopy(net)
    with seeded(seed, "network"):
        if _is_pair(net):
            features, operator = copy.deepcopy(net)
        elif callable(net) and not isinstance(net, nn.Module):
            made = net(input_shape)
            if not _is_pair(made):
                raise InputError(
                    "A function given as net must return a pair of nn.Modules (features, operator); it returned "
                    f"{type(made).__name__}."
                )
            features, operator = made
        elif isinstance(net, str):
            pretrained = "A pretrained one is given as ebll.paper.load_backbone(name).network()."
            features, operator = NETS[check_choice(net, NETS, "Network", pretrained)](input_shape)
        else:
            raise InputError(
                f"net must be one of {', '.join(map(repr, NETS))}, a function input_shape -> (features, operator), "
                "a pair of nn.Modules (features, operator), or a Network, such as load_backbone(name).network(); got "
                f"{type(net).__name__}."
            )
        return Network(features, operator, input_shape)


def _is_pair(net: object) -> bool:
    return isinstance(net, tuple) and len(net) == 2 and all(isinstance(part, nn.Module) for part in net)


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[nn.Module]:
    """Eval mode inside the block, and the modes as they were after it."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield module
    finally:
        for part, mode in modes:
            part.training = mode


@contextlib.contextmanager
def frozen(module: nn.Module) -> Iterator[nn.Module]:
    """Eval mode and no gradients to the module's parameters inside the block, everything as it was after it.

    Gradients still flow *through* the module to what comes before it.
    """
    flags = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    with evaluating(module):
        module.requires_grad_(False)
        try:
            yield module
        finally:
            for parameter, flag in flags:
                parameter.requires_grad_(flag)


@contextlib.contextmanager
def training_only(net: Network, part: nn.Module) -> Iterator[list[nn.Parameter]]:
    """Train mode and gradients for one part of a network, the rest in eval mode without gradients.

    Yields the part's parameters that take gradient; those switched off before (a user's frozen layers) stay so.
    Leaves the network in eval mode with its flags as they were.
    """
    flags = [(parameter, parameter.requires_grad) for parameter in net.parameters()]
    trained = {parameter for parameter in part.parameters() if parameter.requires_grad}
    for parameter, _ in flags:
        parameter.requires_grad_(parameter in trained)
    net.eval()
    part.train()
    if net.statistics_frozen:
        net.freeze_statistics()
    try:
        yield [parameter for parameter in net.parameters() if parameter in trained]
    finally:
        net.eval()
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
