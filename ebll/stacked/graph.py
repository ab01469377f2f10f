"""A step of training recorded as CUDA graphs: the processor then gives one order a step in place of hundreds.

On a processor, and where recording is not possible, the step runs as it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["Replayed"]

EAGER = 3  # steps as written before recording, so that all that is made once is made

Answer = Callable[[Sequence[Tensor]], Any]


class Replayed:
    """A step in two halves, each recorded once for every shape of its inputs.

    answer   the first half: tensors -> what is to be looked at between the halves, tensors in lists and dicts
    apply    the second half
    fault    in words, why a GPU runs it as written; "" otherwise
    """

    def __init__(self, answer: Answer, apply: Callable[[], None], device: torch.device) -> None:
        self._answer, self._apply, self.fault = answer, apply, ""
        self._records = device.type == "cuda"
        self._made: dict[Any, _Recorded | int] = {}
        self._next: Callable[[], None] = apply

    def answer(self, inputs: Sequence[Tensor]) -> Any:
        """The first half; the inputs' shapes say which recording serves. What it returns holds until the next call."""
        self._next = self._apply
        if not self._records:
            return self._answer(inputs)
        shapes = tuple(tensor.shape for tensor in inputs)
        made = self._made.get(shapes, 0)
        if isinstance(made, int) and made == EAGER:
            made = self._recorded(inputs)
        if made is None or isinstance(made, int):
            self._made[shapes] = 0 if made is None else made + 1
            return self._answer(inputs)
        self._made[shapes], self._next = made, made.apply.replay
        return made.replay(inputs)

    def apply(self) -> None:
        """The second half of the same step."""
        self._next()

    def _recorded(self, inputs: Sequence[Tensor]) -> _Recorded | None:
        try:
            return _Recorded(inputs, self._answer, self._apply)
        except Exception as error:  # whatever a layer or a driver objects to, the step itself still runs
            self._records = False
            self.fault = f"no CUDA graph ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
            return None


class _Recorded:
    """Both halves as graphs over memory of their own."""

    def __init__(self, inputs: Sequence[Tensor], answer: Answer, apply: Callable[[], None]) -> None:
        torch.cuda.synchronize()
        self.inputs, self.first, self.apply = [tensor.clone() for tensor in inputs], *_graphs()
        with torch.cuda.graph(self.first):
            self.outputs = answer(self.inputs)
        with torch.cuda.graph(self.apply, pool=self.first.pool()):
            apply()

    def replay(self, inputs: Sequence[Tensor]) -> Any:
        for mine, given in zip(self.inputs, inputs, strict=True):
            mine.copy_(given)
        self.first.replay()
        return self.outputs


def _graphs() -> tuple[Any, Any]:
    return torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
