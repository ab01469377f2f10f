"""Files from which a long run goes on where it was stopped, to the last bit on a processor.

A file is written at the beginning of every stage, and within a stage every so many minutes. It holds weights and what
the method keeps as safetensors, and in its header the record so far and what the run is, so that no other run's file is
taken for it. Files are written beside their place and moved there; the last two of each kind stay. A run that goes on
begins the stage that it was stopped in anew: recorded answers and probes come out as before, since they follow from the
beginning of the stage; then the loop jumps to the step of the newest file. The optimiser is SGD
with momentum; buffers of layers other than BatchNorm are as after the batch that was cut off.
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
from ebll.runs import Run
from ebll.seeds import seeded
from ebll.training import Resume, Step

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


class Checkpoints:
    """Keeps one run in a folder: `resume` says where it goes on, `save` takes each of its steps, `finish` its end.

        kept = Checkpoints("runs/ebll-0", {"method": "ebll", "seed": 0})
        run = begin(tasks, method, start=start, seed=0)
        with cpu_threads(settings.threads):
            for step in learn(run, tasks, settings, resume=kept.resume(run)):
                kept.save(run, step)
            kept.finish(run)

    folder    for this run alone; made where it is missing
    run       what the run is: whatever decides its result, as JSON can hold it. Files of another run are refused
    minutes   between two files within a stage
    say       told in words what could not be read or written; a run goes on without a file that cannot be written
    resume    False removes the checkpoints in the folder and begins anew
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
        self._last = time.monotonic()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.folder} cannot be made: {reason(error)}. Choose another folder.") from error
        _clear(self.folder)
        if not resume:
            for path in self._files("stage") + self._files("step"):
                path.unlink(missing_ok=True)

    def resume(self, run: Run) -> Resume | None:
        """Restore a run, fresh from `begin`, to the beginning of its newest stage, or to its end if it was finished.

        returns   where `learn` goes on within that stage; None where the run is to begin, or at its end
        """
        self._last = time.monotonic()
        newest = next(self._readable("stage"), None)
        if newest is None:
            return None
        (t, stage), index, tensors = newest.facts["stage"], 0, {}
        _put_back(run, newest)
        if stage == "done":
            return None
        for kept in self._readable("step"):
            if kept.facts["stage"] == [t, stage]:
                index, tensors = kept.facts["index"], kept.tensors
                _set_rows(run, kept.facts)
                break
        return Resume(t, stage, index, tensors)

    def save(self, run: Run, step: Step, stop: bool = False) -> None:
        """Write the beginning of a stage, and a step of it if it is time to, or if the run is to stop here.

        raises   `RunStopped` if `stop`, once the step is written
        """
        stage = [step.task, step.stage]
        if step.index == 0:
            self._begin(stage, run, step.state())
        if stop or time.monotonic() - self._last > self.seconds:
            self._write("step", stage, step.index, step.state(), run)
            self._last = time.monotonic()
        if stop:
            raise RunStopped("The run was stopped; started again with the same folder, it goes on from here.")

    def finish(self, run: Run) -> None:
        """Write the end of a run: resumed, it makes no step."""
        weights = {f"net.{name}": value for name, value in run.net.state_dict().items()}
        self._begin([len(run.net.heads), "done"], run, weights)

    def _begin(self, stage: list[Any], run: Run, state: Mapping[str, Tensor]) -> None:
        """Write the beginning of a stage; the files of steps before it are not needed any more."""
        tensors = {name: value for name, value in state.items() if name.startswith("net.")}
        if run.memory is not None:
            tensors |= {f"memory.{name}": value for name, value in run.memory.tensors().items()}
        if self._write("stage", stage, 0, tensors, run):
            for path in self._mine("step"):
                path.unlink(missing_ok=True)

    def _write(self, kind: str, stage: list[Any], index: int, tensors: Mapping[str, Tensor], run: Run) -> bool:
        facts = {"run": self.identity, "stage": stage, "index": index, "fitted": run.fitted}
        facts |= _memory_facts(run.memory)
        facts |= {name: getattr(run.recorder, name) for name in _ROWS}
        number = 2 * stage[0] + (stage[1] == "train")
        path = self.folder / f"{kind}-{number:03}-{index:08}.safetensors"
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
    kinds = {"run": dict, "stage": list, "index": int, "fitted": int} | dict.fromkeys(_ROWS, list)
    lacking = [name for name, wanted in kinds.items() if not isinstance(facts.get(name), wanted)]
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


def _memory_facts(memory: Memory | None) -> dict[str, Any]:
    return {} if memory is None else {"memory": type(memory).__name__, "report": memory.report()}


def _put_back(run: Run, kept: _Kept) -> None:
    """Weights, heads, memory and rows as they were when a stage began."""
    weights = kept.of("net.")
    device, learned = next(run.net.parameters(), torch.empty(0)).device, kept.facts["stage"][0]
    with seeded(0, "checkpoint"):  # the new heads draw weights, which are then replaced
        while any(name.startswith(f"heads.{len(run.net.heads)}.") for name in weights):
            run.net.add_head(_classes(weights, len(run.net.heads)))
            if learned and len(run.net.heads) == 1:
                run.method.prepare(run.net)
    run.net.load_state_dict(weights)
    run.learned, run.fitted = learned, kept.facts["fitted"]
    if learned:
        run.net.freeze_statistics()
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
