"""Many alike objects as one: networks, memories, methods become a single one whose tensors have a row for each.

    lifted = lift(networks)                  # of equal structure
    lifted.build(rows)                       # one of them again, from a row of each of `lifted.tensors`

So that `torch.vmap` can run a method's own `loss_terms` for all of them at once. This room copies structures; it knows
nothing of training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ebll.errors import EbllError

__all__ = ["CannotStack", "Lifted", "lift"]


class CannotStack(EbllError):
    """Runs that cannot be one program; says why. They can still run one after the other."""


class _Hole(NamedTuple):
    """Where a tensor of `Lifted.tensors` belongs."""

    index: int


@dataclass
class Lifted:
    """Alike objects as one.

    tensors   with a row for each object: (objects, *shape of the tensor in one)
    sources   the tensors in the objects that each was stacked from; numbers have none
    """

    template: Any = None
    tensors: list[Tensor] = field(default_factory=list)
    sources: list[list[Tensor]] = field(default_factory=list)

    def build(self, tensors: Sequence[Tensor]) -> Any:
        """The object with these in the place of its tensors; what all have in common is shared, not copied."""
        return _filled(self.template, tensors)


def lift(things: Sequence[Any], device: torch.device | str | None = None) -> Lifted:
    """Stack objects of equal structure: tensors, numbers, lists, tuples, dicts, dataclasses and modules of these.

    A tensor or module that is the very same in all and does not learn is kept once, and so are equal texts and numbers.
    Numbers that differ become tensors.

    things   at least one
    device   where the numbers that differ go
    returns  a `Lifted`; its tensors are new, and take gradients where those that they were stacked from do
    raises   `CannotStack` where structures differ, in words
    """
    made = Lifted()
    made.template = _stacked(list(things), made, device, "")
    own = [id(sources[0]) for sources in made.sources if sources and sources[0].requires_grad]
    if len(set(own)) < len(own):
        raise CannotStack("weights that several layers share would come apart")
    return made


def _stacked(things: list[Any], made: Lifted, device: Any, where: str) -> Any:
    first = things[0]
    if isinstance(first, Tensor | nn.Module) and all(thing is first for thing in things) and not _learns(first):
        return first
    if any(type(thing) is not type(first) for thing in things):
        names = sorted({type(thing).__name__ for thing in things})
        raise CannotStack(f"{where or 'the objects'}: {' and '.join(names)} cannot be stacked")

    def inner(parts: list[Any], name: object) -> Any:
        return _stacked(parts, made, device, f"{where}.{name}".lstrip("."))

    if isinstance(first, Tensor):
        if any(thing.shape != first.shape for thing in things):
            raise CannotStack(f"{where}: tensors of shapes {sorted({tuple(thing.shape) for thing in things})}")
        return _hole(torch.stack([thing.detach() for thing in things]), things, made)
    if isinstance(first, nn.Module):
        return _of_module(things, inner)
    if isinstance(first, list | tuple):
        if any(len(thing) != len(first) for thing in things):
            raise CannotStack(f"{where}: lists of {sorted({len(thing) for thing in things})} entries")
        columns = list(zip(*things, strict=True))
        if all(isinstance(part, float) for part in first) and any(thing != first for thing in things):
            return type(first)([_number(list(parts), made, device) for parts in columns])  # all of them, or none
        return type(first)([inner(list(parts), i) for i, parts in enumerate(columns)])
    if isinstance(first, Mapping):
        return {name: inner([thing[name] for thing in things], name) for name in first}
    if dataclasses.is_dataclass(first):
        return _with(first, {name: inner([vars(thing)[name] for thing in things], name) for name in vars(first)})
    if all(thing == first for thing in things):
        return first
    if isinstance(first, float):
        return _number(things, made, device)
    raise CannotStack(f"{where}: {first!r} and {next(thing for thing in things if thing != first)!r} differ")


def _of_module(things: list[nn.Module], inner: Any) -> nn.Module:
    first = things[0]
    changes = {}
    for kind in ("_parameters", "_buffers", "_modules"):
        held = [getattr(thing, kind) for thing in things]
        if any(parts.keys() != held[0].keys() for parts in held):
            raise CannotStack(f"modules {type(first).__name__} of different parts")
        changes[kind] = {name: inner([parts[name] for parts in held], name) for name in held[0]}
    for name, value in vars(first).items():
        if name not in changes and any(_differ(vars(thing).get(name), value) for thing in things[1:]):
            raise CannotStack(f"modules {type(first).__name__} that differ in {name}")
    return _with(first, changes)


def _differ(one: Any, other: Any) -> bool:
    try:
        return bool(one != other)
    except Exception:  # tensors, and whatever else cannot say
        return one is not other


def _number(values: list[float], made: Lifted, device: Any) -> _Hole:
    return _hole(torch.tensor(values, dtype=torch.float32, device=device), [], made)


def _hole(stacked: Tensor, sources: list[Tensor], made: Lifted) -> _Hole:
    learns = [source.requires_grad for source in sources]
    if len(set(learns)) > 1:
        raise CannotStack("a weight that learns in some runs and is frozen in others")
    made.tensors.append(stacked.requires_grad_(all(learns)) if learns else stacked)
    made.sources.append(sources)
    return _Hole(len(made.tensors) - 1)


def _learns(thing: Tensor | nn.Module) -> bool:
    """Whether it must not be shared, since it will be changed."""
    return any(tensor.requires_grad for tensor in ([thing] if isinstance(thing, Tensor) else thing.parameters()))


def _with(thing: Any, changes: dict[str, Any]) -> Any:
    """A shallow copy with other attributes, past what forbids to set them; `copy.copy` would cost ten times as much."""
    other = object.__new__(type(thing))
    vars(other).update(vars(thing) | changes)
    return other


def _filled(template: Any, tensors: Sequence[Tensor]) -> Any:
    if isinstance(template, _Hole):
        return tensors[template.index]
    if isinstance(template, nn.Module):
        kinds = ("_parameters", "_buffers", "_modules")
        return _with(template, {kind: _filled(getattr(template, kind), tensors) for kind in kinds})
    if isinstance(template, list | tuple):
        return type(template)([_filled(part, tensors) for part in template])
    if isinstance(template, dict):
        return {name: _filled(part, tensors) for name, part in template.items()}
    if dataclasses.is_dataclass(template) and not isinstance(template, type):
        return _with(template, {name: _filled(part, tensors) for name, part in vars(template).items()})
    return template
