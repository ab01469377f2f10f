"""A net's weights: torchvision's own, those inside a package, or a file; checked before they are used."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ebll.backbones.chains import build, build_empty, head_name
from ebll.backbones.listing import BACKBONES
from ebll.backbones.lite0 import packaged_weights, renamed
from ebll.errors import DataMissing, InputError, expanded

__all__ = ["net_with_weights", "to_fetch"]

CLASSES = 1000  # of a pretrained head
_COUNTER = ".num_batches_tracked"  # absent from files older than it; only BatchNorm without momentum reads it
_SHOWN = 3


def net_with_weights(name: str, weights: str | os.PathLike) -> tuple[nn.Module, str]:
    """The whole net `name` with its weights in float32, and in words where they come from.

    weights   "default", "none" (drawn from torch's global generator, which the other two leave alone), or a file
    raises    `DataMissing` where there is no file and none can be fetched; `InputError` for one that does not fit
    """
    if not isinstance(weights, str | os.PathLike) or isinstance(os.fspath(weights), bytes):
        raise InputError(f"weights must be 'default', 'none' or a file; got {type(weights).__name__}.")
    if weights == "none":
        return build(name), "random initialisation"
    if weights == "default":
        net = BACKBONES[name]
        path = packaged_weights() if name == "efficientnet_lite0" else _fetched(name)
        source = f"pretrained: {net.weights.source}"
    else:
        path = expanded(weights, "weights")
        if not os.path.isfile(path):  # Path.is_file raises for a name that is too long
            what = "a folder" if os.path.isdir(path) else "not there"
            raise DataMissing(
                f"no file of weights at {path}: it is {what}. Give 'default', 'none', or a .pth or .safetensors file "
                f"with the names of {_whose(name)}."
            )
        source = f"the file {path}"
    return _filled(name, _tensors(_read(path), path), path), source


def to_fetch(name: str) -> str:
    """In words what `net_with_weights(name, "default")` would fetch first; "" where it is here. Fetches nothing."""
    path, published = _cached(name), BACKBONES[name].weights
    if name == "efficientnet_lite0" or path.is_file():
        return ""
    return (
        f"not here yet. The run fetches {published.megabytes:.0f} MB from {published.url} before all else. Where there "
        f"is no network, put that file at {path}, or name where it lies: --weights FILE, as in --weights {path.name}."
    )


def _cached(name: str) -> Path:
    """Where torch keeps torchvision's file, whether it is there or not."""
    return Path(torch.hub.get_dir()) / "checkpoints" / BACKBONES[name].weights.url.rpartition("/")[2]


def _fetched(name: str) -> Path:
    """torchvision's file in torch's cache, downloaded if it is not there yet."""
    url, path = BACKBONES[name].weights.url, _cached(name)
    file = path.name
    if path.is_file():
        return path
    stem, _, digest = file.removesuffix(".pth").rpartition("-")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), digest if stem else None)
    except (OSError, RuntimeError) as error:  # no network, no space, or not the bytes that were published
        raise DataMissing(
            f"The weights of {name} are not here, and fetching them failed ({error}). Get {url} on a machine with a "
            f"network and put the file at {path}, or name where it lies: --weights FILE, as in --weights {file}."
        ) from error
    return path


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise anything
        # What torch advises in its text, to load the file without care, is left out.
        raise InputError(
            f"{path} cannot be read as weights: it is damaged, or holds more than tensors "
            f"({type(error).__name__}). Fetch it again, or save the net's tensors alone: "
            "torch.save(net.state_dict(), FILE)."
        ) from error


def _tensors(found: Any, path: Path) -> dict[str, Tensor]:
    """Names and tensors, out of the checkpoint around them and without DataParallel's prefix."""
    for wrapper in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not found:
        raise InputError(f"{path} must hold a state dict, names and tensors; it holds {_kind(found)}.")
    strange = [
        name
        for name, value in found.items()
        if not (isinstance(name, str) and isinstance(value, Tensor)) or value.is_nested  # which has no shape to compare
    ]
    if strange:
        raise InputError(
            f"{path} must hold a state dict, names and tensors; under {_some(strange)} it holds "
            f"{_kind(found[strange[0]])}."
        )
    if all(name.startswith("module.") for name in found):
        found = {name.removeprefix("module."): value for name, value in found.items()}
    return dict(found)


def _filled(name: str, state: dict[str, Tensor], path: Path) -> nn.Module:
    """The net with these tensors for its own; its head takes as many classes as the file's."""
    state = _today(name, state)
    net = build_empty(name)
    head = head_name(net)
    last = state.get(f"{head}.weight")
    if last is not None and last.ndim == 2 and len(last) not in (0, CLASSES):
        net = build_empty(name, len(last))
    wanted = net.state_dict()
    uncounted = (key for key in wanted if key.endswith(_COUNTER) and key not in state)
    state |= {key: torch.tensor(0) for key in uncounted if key.replace(_COUNTER, ".running_mean") in state}
    _check(name, wanted, state, path)
    net.load_state_dict({key: _own(key, value) for key, value in state.items()}, assign=True)
    return net


def _today(name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names as they are now: torchvision's published DenseNet has older ones, the package's Lite0 others."""
    if name.startswith("densenet"):
        return {re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)\.", r"\1\2.", key): v for key, v in state.items()}
    return renamed(state) if name == "efficientnet_lite0" else state


def _own(key: str, value: Tensor) -> Tensor:
    """The values in memory of their own: a file may spread one number over a tensor, or keep two in one place."""
    dtype = torch.int64 if key.endswith(_COUNTER) else torch.float32
    return value.detach().to(dtype, copy=True, memory_format=torch.contiguous_format)


def _amiss(key: str, value: Tensor) -> str:
    """What a tensor holds in words, where nothing can be computed or learned with it; "" where something can."""
    if value.is_meta:
        return "no numbers but only their shape (it lies on the device meta)"
    if value.layout is not torch.strided:
        return f"a tensor of the layout {_short(value.layout)}"
    whole = not (value.is_floating_point() or value.is_complex() or value.is_quantized or value.dtype == torch.bool)
    if whole and key.endswith(_COUNTER):
        return ""
    if not value.is_floating_point():
        return f"numbers of the type {_short(value.dtype)}"
    numbers = value.detach().float()
    bad = numbers.numel() - int(numbers.isfinite().sum())
    if bad:
        return f"{bad:,} of {numbers.numel():,} numbers that are NaN or infinite in float32"
    lowest = numbers.min().item() if key.endswith(".running_var") else 0.0
    return f"a variance of {lowest:g}" if lowest < 0 else ""


def _short(kind: torch.dtype | torch.layout) -> str:
    return str(kind).removeprefix("torch.")


def _check(name: str, wanted: Mapping[str, Tensor], came: Mapping[str, Tensor], path: Path) -> None:
    missing, unknown = [key for key in wanted if key not in came], [key for key in came if key not in wanted]
    faults = [f"{len(missing)} of {len(wanted)} are missing ({_some(missing)})"] if missing else []
    faults += [f"{len(unknown)} are not of this net ({_some(unknown)})"] if unknown else []
    other = [key for key in wanted if key in came and came[key].shape != wanted[key].shape]
    if other:
        first = other[0]
        faults.append(
            f"{len(other)} have another shape ({first}: wanted {tuple(wanted[first].shape)}, came "
            f"{tuple(came[first].shape)})"
        )
    if faults:
        raise InputError(
            f"{path} does not hold the weights of {name}: {'; '.join(faults)}. Give the net that the file was made "
            f"with, or a file with the names of {_whose(name)}."
        )
    amiss = {key: words for key, value in came.items() if (words := _amiss(key, value))}
    if amiss:
        (first, words), *more = amiss.items()
        also = f"; {len(more)} more are amiss ({_some([key for key, _ in more])})" if more else ""
        raise InputError(
            f"{path} cannot be used as the weights of {name}: {first} holds {words}{also}. Wanted are finite "
            "floating-point numbers on the processor, dense and not quantized, and no variance below 0. Save such a "
            "net anew: torch.save(net.state_dict(), FILE)."
        )


def _whose(name: str) -> str:
    return BACKBONES[name].weights.source if name == "efficientnet_lite0" else f"torchvision's {name}"


def _some(names: list[Any]) -> str:
    return ", ".join(map(str, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")


def _kind(thing: Any) -> str:
    if isinstance(thing, Tensor) and thing.is_nested:
        return "a nested tensor"
    return "nothing" if isinstance(thing, Mapping) and not thing else type(thing).__name__
