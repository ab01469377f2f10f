"""The keeper of a long run: files from which it goes on where it was stopped, to the last bit on a processor.

A file is written at the end of every stage, and within a stage every so many minutes. It holds weights and whatever the
method keeps as safetensors, and in its header the record so far and what the run is, so that no other run's file is
taken for it. Files are written beside their place and moved there; the last two of each kind stay. A run that goes on
begins the stage that it was stopped in anew: heads, recorded answers and probes come out as before, since all of them
follow from the end of the stage before; then the loop jumps to the step of the newest file.

This room knows files and runs; it trains nothing. Kept states of optimisers are those of SGD with momentum.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ebll.checkpoints.files import read_checkpoint, read_facts, reason, write_checkpoint
from ebll.errors import InputError, OutputError, RunStopped, check_number, expanded
from ebll.methods import Memory
from ebll.nets import Network
from ebll.runs import Keeper, Run
from ebll.seeds import seeded
from ebll.turns import Control

__all__ = ["Checkpoints"]

KEPT = 2  # files of each kind that stay: the newest may turn out to be damaged
_ROWS = ("curve_rows", "accuracy_rows", "memory_rows")


@dataclass
class _Kept:
    """A file's contents, read and found good."""

    path: Path
    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def of(self, prefix: str) -> dict[str, Tensor]:
        return {name[len(prefix) :]: value for name, value in self.tensors.items() if name.startswith(prefix)}


class Checkpoints(Keeper):
    """Keeps one run in a folder; handed to `run_sequence` as `keep`.

    folder    for this run alone; made where it is missing
    run       what the run is: whatever decides its result, as JSON can hold it. Files of another run are refused
    minutes   between two files within a stage
    say       told in words what could not be read or written; a run goes on without a file that cannot be written
    resume    False removes the checkpoints in the folder and begins anew

    `stop()` ends the run at its next step, once that is written: it raises `RunStopped`. Outside the loop it ends at
    the next turn of `controlled(keeper.control)`, and goes on from the end of the last stage. Call it from anywhere, a
    signal handler too.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        run: Mapping[str, Any],
        *,
        minutes: float = 10.0,
        say: Callable[[str], None] = print,
        resume: bool = True,
    ) -> None:
        self.folder, self.identity, self.say = expanded(folder, "folder"), _as_json(run), say
        self.seconds = 60 * check_number(minutes, "minutes", above=True)
        self.control = Control(on_turn=self._on_turn)
        self._stopping = self._in_loop = False
        self._run: Run | None = None
        self._stages: list[list[Any]] = []  # [t, stage] of all that are finished
        self._step: _Kept | None = None  # to be put back when the loop begins
        self._last = time.monotonic()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.folder} cannot be made: {reason(error)}. Choose another folder.") from error
        _clear(self.folder)
        if not resume:
            for path in self._files("stage") + self._files("step"):
                path.unlink(missing_ok=True)

    def stop(self) -> None:
        """End the run soon, keeping what it has done."""
        self._stopping = True

    @property
    def stages(self) -> list[tuple[int, str]]:
        """The finished stages, in their order."""
        return [(t, stage) for t, stage in self._stages]

    def begin(self, run: Run) -> None:
        """Put the newest kept state into a run that is about to begin."""
        self._run, self._stages, self._step, self._last = run, [], None, time.monotonic()
        newest = next(self._readable("stage"), None)
        if newest is not None:
            self._stages = newest.facts["stages"]
            _put_back(run, newest)
        for kept in self._readable("step"):
            if kept.facts["stages"] == self._stages:
                self._step = kept
                break

    def passed(self, t: int, stage: str) -> bool:
        """Whether that stage is among the finished ones."""
        return [t, stage] in self._stages

    def reached(self, t: int, stage: str) -> None:
        """Write the end of a stage; the files within it are not needed any more."""
        self._in_loop, self._step = False, None
        self._stages = [*self._stages, [t, stage]]
        if self._write("stage", len(self._stages), _state(self._run), {}):
            for path in self._mine("step"):
                path.unlink(missing_ok=True)

    def resumed(self, net: Network, optimizer: torch.optim.Optimizer) -> int:
        """Put weights, momentum, learning rate and random state back; returns the steps made in this stage."""
        self._in_loop, self._last, kept, self._step = True, time.monotonic(), self._step, None
        if kept is None:
            return 0
        net.load_state_dict(kept.of("net."))
        _restore_optimizer(optimizer, kept)
        _set_rows(self._run, kept.facts)
        if net.may_draw():
            _set_random_state(kept.of("random."))
        return kept.facts["step"]

    def step(self, made: int, net: Network, optimizer: torch.optim.Optimizer) -> None:
        """Write the state if it is time to, or if the run is told to stop."""
        if not self._stopping and time.monotonic() - self._last < self.seconds:
            return
        tensors = {f"net.{name}": value for name, value in net.state_dict().items()}
        tensors |= {f"momentum.{i}": s["momentum_buffer"] for i, s in optimizer.state_dict()["state"].items()
                    if s.get("momentum_buffer") is not None}  # fmt: skip
        if net.may_draw():
            tensors |= {f"random.{name}": value for name, value in _random_state().items()}
        self._write("step", made, tensors, {"step": made, "rate": optimizer.param_groups[0]["lr"]})
        self._last = time.monotonic()
        if self._stopping:
            self._in_loop = False
            raise RunStopped("The run was stopped; started again with the same folder, it goes on from here.")

    def _on_turn(self) -> None:
        if self._stopping and not self._in_loop:
            raise RunStopped("The run was stopped; started again with the same folder, it goes on from its last stage.")

    def _write(self, kind: str, number: int, tensors: Mapping[str, Tensor], more: Mapping[str, Any]) -> bool:
        facts = {"run": self.identity, "stages": self._stages, **more}
        facts |= {name: getattr(self._run.recorder, name) for name in _ROWS}
        facts |= _memory_facts(self._run.memory)
        path = self.folder / f"{kind}-{len(self._stages):03}-{number:08}.safetensors"
        try:
            write_checkpoint(path, tensors, facts)
        except OutputError as error:
            self.say(f"{error} The run goes on without this checkpoint; free some space.")
            return False
        mine = self._mine(kind)
        abandoned = [old for old in mine if old > path]  # of a stage that is being gone through once more
        for old in abandoned + [old for old in mine if old <= path][:-KEPT]:
            old.unlink(missing_ok=True)
        return True

    def _mine(self, kind: str) -> list[Path]:
        """This run's files of a kind, damaged ones included where their heads can still be read, the oldest first."""
        return [path for path in self._files(kind) if read_facts(path).get("run") == self.identity]

    def _files(self, kind: str) -> list[Path]:
        return sorted(path for path in self.folder.glob(f"{kind}-*.safetensors") if path.is_file())

    def _readable(self, kind: str) -> Iterator[_Kept]:
        """The files of a kind that can be used, the newest first; the others are told of."""
        for path in reversed(self._files(kind)):
            try:
                tensors, facts = read_checkpoint(path)
                _check(path, facts, kind)
                if facts["run"] != self.identity:
                    differing = sorted(k for k in {*facts["run"], *self.identity}
                                       if facts["run"].get(k) != self.identity.get(k))  # fmt: skip
                    raise InputError(f"{path} belongs to another run: it differs in {', '.join(differing)}.")
            except InputError as error:
                self.say(f"{error} The checkpoint before it is used, or the run begins anew.")
                continue
            yield _Kept(path, tensors, facts)


def _as_json(run: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(run, Mapping):
        raise InputError(f"run takes a dict that says what the run is, such as {{'seed': 0}}; got {run!r}.")
    try:
        return json.loads(json.dumps(dict(run), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(f"run takes what JSON can hold, without NaN; got {dict(run)!r} ({error}).") from error


def _check(path: Path, facts: Mapping[str, Any], kind: str) -> None:
    """Refuse a file that holds something else than a run's state."""
    kinds = {"run": dict, "stages": list} | dict.fromkeys(_ROWS, list) | ({"step": int} if kind == "step" else {})
    lacking = [name for name, wanted in kinds.items() if not isinstance(facts.get(name), wanted)]
    if kind == "stage" and not facts.get("stages"):
        lacking.append("stages")
    if "memory" in facts and facts["memory"] not in {cls.__name__ for cls in _subclasses(Memory)}:
        lacking.append(f"a memory of a kind that is known here ({facts['memory']!r} is not)")
    if lacking:
        raise InputError(f"{path} is not a checkpoint of a run: it lacks {', '.join(dict.fromkeys(lacking))}.")


def _clear(folder: Path) -> None:
    """Remove half files of processes that were killed while they wrote them."""
    for half in folder.glob(".st*.safetensors.*.*"):
        process = half.name.rsplit(".", 2)[1]
        if process.isdigit() and not _lives(int(process)):
            half.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True


def _state(run: Run) -> dict[str, Tensor]:
    tensors = {f"net.{name}": value for name, value in run.net.state_dict().items()}
    if run.memory is not None:
        tensors |= {f"memory.{name}": value for name, value in run.memory.tensors().items()}
    return tensors


def _memory_facts(memory: Memory | None) -> dict[str, Any]:
    return {} if memory is None else {"memory": type(memory).__name__, "report": memory.report()}


def _put_back(run: Run, kept: _Kept) -> None:
    """Weights, heads, memory and rows of a finished stage."""
    weights = kept.of("net.")
    device = next(run.net.parameters()).device
    tasks = 1 + max(t for t, _ in kept.facts["stages"])
    with seeded(0, "checkpoint"):  # the new heads draw weights, which are then replaced
        for t in range(len(run.net.heads), tasks):
            run.net.add_head(_classes(weights, t))
    run.net.load_state_dict(weights)
    if "memory" in kept.facts:
        known = {cls.__name__: cls for cls in _subclasses(Memory)}
        tensors = {name: value.to(device) for name, value in kept.of("memory.").items()}
        run.memory = known[kept.facts["memory"]].from_tensors(tensors, kept.facts["report"])
    _set_rows(run, kept.facts)


def _classes(weights: Mapping[str, Tensor], t: int) -> int:
    biases = [name for name in weights if name.startswith(f"heads.{t}.") and name.endswith("bias")]
    return len(weights[max(biases)])  # the last layer of a head with an operator of its own


def _subclasses(cls: type) -> list[type]:
    return [sub for direct in cls.__subclasses__() for sub in (direct, *_subclasses(direct))]


def _set_rows(run: Run, facts: Mapping[str, Any]) -> None:
    for name in _ROWS:
        getattr(run.recorder, name)[:] = facts[name]


def _restore_optimizer(optimizer: torch.optim.Optimizer, kept: _Kept) -> None:
    state = optimizer.state_dict()
    state["state"] = {int(i): {"momentum_buffer": value} for i, value in kept.of("momentum.").items()}
    state["param_groups"][0]["lr"] = kept.facts["rate"]
    optimizer.load_state_dict(state)
    for parameter, held in optimizer.state.items():
        # Read from a file it lies row by row; SGD's fused step takes it to lie as its weight does, maybe channels last.
        held["momentum_buffer"] = torch.empty_like(parameter).copy_(held["momentum_buffer"])


def _random_state() -> dict[str, Tensor]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), **{f"cuda{i}": state for i, state in enumerate(cuda)}}


def _set_random_state(state: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    cuda = [state[name] for name in sorted(state) if name.startswith("cuda")]
    if cuda and torch.cuda.is_available() and len(cuda) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(cuda)
