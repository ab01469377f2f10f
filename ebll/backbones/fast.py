"""Three ways to run a net's part quicker, around a module that stays as it is: bfloat16, channels last, compiled.

The weights stay in float32, and so do outputs and gradients.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ebll.errors import InputError, check_choice

__all__ = ["Fast", "accelerated"]

PRECISIONS = ("float32", "bfloat16")
# Torch compiles one function so often and then never again, in silence, and all wrappers count together: F and T, each
# training, frozen and at rest, and for two sizes of batch.
VARIANTS = 64


def accelerated(
    module: nn.Module,
    *,
    precision: str = "float32",
    channels_last: bool = False,
    compile: bool = False,  # the name that torch gives it
    backend: str | Callable[..., Any] = "inductor",
) -> nn.Module:
    """The module, made quicker; it is kept, not copied, and comes back unchanged where nothing is asked for.

    precision       "bfloat16": matrix products and convolutions in it (torch's autocast), about 3 correct digits
    channels_last   images and the weights of convolutions in the order that graphics cards, and most processors, prefer
    compile         by `torch.compile` at the first forward pass, which takes up to minutes; where it fails, one
                    warning says so and the module runs as it is
    backend         of the compiler, as in `torch.compile`
    raises          `InputError` for an unknown precision, or for something other than a module
    """
    if not isinstance(module, nn.Module):
        raise InputError(f"accelerated takes an nn.Module; got {type(module).__name__}.")
    check_choice(precision, PRECISIONS, "Precision")
    if (precision == "float32" and not channels_last and not compile) or type(module) is nn.Identity:
        return module
    return Fast(module, precision, bool(channels_last), backend if compile else None)


class Fast(nn.Module):
    """A module that runs quicker. In a state dict its names are the module's own, as if the wrapper were not there.

    inner           the module
    precision       "float32" or "bfloat16"
    channels_last   whether images are reordered
    backend         what compiles it, or None; a copy compiles itself anew, and a batch of one, which is how a
                    `Network` learns its sizes, runs as it is: the compiler would want a pass of its own for it
    """

    def __init__(self, inner: nn.Module, precision: str, channels_last: bool, backend: str | Callable | None):
        super().__init__()
        self.inner = inner.to(memory_format=torch.channels_last) if channels_last else inner
        self.precision, self.channels_last, self.backend = precision, channels_last, backend
        self._compiled: Callable[[Tensor], Tensor] | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """As the module's own; outputs are contiguous, and float32 where the work was done in bfloat16."""
        if self.backend is None or len(inputs) == 1:
            return self._plain(inputs)
        if self._compiled is None:
            limits = torch._dynamo.config
            limits.cache_size_limit = max(limits.cache_size_limit, VARIANTS)
            self._compiled = torch.compile(self._plain, backend=self.backend)
        try:
            return self._compiled(inputs)
        except Exception as error:
            outputs = self._plain(inputs)  # if the fault is the module's or the input's, it is raised here
            self._give_up(error)
            return outputs

    def _plain(self, inputs: Tensor) -> Tensor:
        if self.channels_last and inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        if self.precision == "float32":
            return self.inner(inputs).contiguous()
        with torch.autocast(inputs.device.type, dtype=torch.bfloat16):
            outputs = self.inner(inputs)
        return outputs.float().contiguous()

    def _give_up(self, error: Exception) -> None:
        self.backend = self._compiled = None
        error = getattr(error, "inner_exception", error)  # what the backend said, inside what torch makes of it
        reason = next(iter(str(error).strip().splitlines()), "")
        warnings.warn(
            f"This part of the net runs uncompiled, since compiling it failed ({type(error).__name__}: {reason}). The "
            "results are the same, only slower. torch.compile needs a C++ compiler, and Triton on a GPU.",
            RuntimeWarning,
            stacklevel=2,
        )

    def __getstate__(self) -> dict[str, Any]:
        # What is compiled is bound to this object's weights, and cannot be pickled: a copy makes its own.
        return {**super().__getstate__(), "_compiled": None}

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The module's own, under its own names."""
        return self.inner.state_dict(*args, **kwargs)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # torch goes on to this module's children, of which it has one, with the same dict.
        mine = [key for key in state_dict if key.startswith(prefix)]
        state_dict |= {f"{prefix}inner.{key.removeprefix(prefix)}": state_dict.pop(key) for key in mine}
        super()._load_from_state_dict(state_dict, prefix, *args)
