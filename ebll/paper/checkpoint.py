"""Checkpoints of a run: stopped anywhere, by a signal or by a crash, it goes on to the same bits on a processor.

    resume = load_checkpoint(folder, run)
    for step in learn(run, tasks, settings, resume=resume):
        save_checkpoint(folder, run, step)

A run's folder holds two safetensors files at most: where the present stage (warm-up or training of a task) began, with
what the method keeps, and the newest step of it, with the optimiser's momentum. A stage that goes on begins again, as
targets and probes follow from its beginning; then the loop jumps to that step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ebll.errors import InputError, OutputError
from ebll.files import whole
from ebll.methods import Memory
from ebll.recording import Run
from ebll.seeds import seeded
from ebll.training import Resume, Step

__all__ = ["STAGE", "STEP", "load_checkpoint", "read_tensors", "save_checkpoint", "write_tensors"]

STAGE, STEP = "stage.safetensors", "step.safetensors"
ROWS = ("curve_rows", "accuracy_rows", "memory_rows", "prediction_rows")


def save_checkpoint(folder: Path, run: Run, step: Step | None = None) -> None:
    """Write where a run is: the beginning of a stage, a step within it, or, without a step, the end of the run.

    folder   for this run alone; made where it is missing
    raises   `OutputError` where it cannot be written; the files before it stay as they were
    """
    stage = [step.task, step.stage] if step else [run.learned, "end"]
    facts = {"stage": stage, "index": step.index if step else 0, "fitted": run.fitted}
    facts |= {"classes": run.net.classes} | {name: getattr(run.recorder, name) for name in ROWS}
    tensors = step.state() if step else {f"net.{name}": value for name, value in run.net.state_dict().items()}
    if facts["index"]:
        write_tensors(folder / STEP, tensors, facts)
        return
    tensors = {name: value for name, value in tensors.items() if name.startswith("net.")}
    if run.memory is not None:
        facts |= {"memory": type(run.memory).__name__, "report": run.memory.report()}
        tensors |= {f"memory.{name}": value for name, value in run.memory.tensors().items()}
    write_tensors(folder / STAGE, tensors, facts)
    (folder / STEP).unlink(missing_ok=True)  # it was of the stage before


def load_checkpoint(folder: Path, run: Run) -> Resume | None:
    """Restore a run, fresh from `begin` with the same arguments, to the beginning of its newest stage, or to its end.

    returns   where `learn` goes on within that stage; None where the run is to begin, or was finished
    raises    `InputError` for a file that cannot be read
    """
    if not (folder / STAGE).is_file():
        return None
    tensors, facts = read_tensors(folder / STAGE)
    (t, stage), weights = facts["stage"], _of(tensors, "net.")
    with seeded(0, "checkpoint"):  # new heads draw weights, which are then replaced
        for classes in facts["classes"][len(run.net.heads) :]:
            run.net.add_head(classes)
            if t and len(run.net.heads) == 1:
                run.method.prepare(run.net)
    run.net.load_state_dict(weights)
    run.learned, run.fitted = t, facts["fitted"]
    if t:
        run.net.freeze_statistics()
    if "memory" in facts:
        device = next(run.net.parameters()).device
        kept = {name: value.to(device) for name, value in _of(tensors, "memory.").items()}
        kinds = {cls.__name__: cls for cls in Memory.__subclasses__()}
        run.memory = kinds[facts["memory"]].from_tensors(kept, facts["report"])
    index, state = 0, {}
    if (folder / STEP).is_file():
        newer, step = read_tensors(folder / STEP)
        if step["stage"] == facts["stage"]:
            index, state, facts = step["index"], newer, step
    for name in ROWS:
        getattr(run.recorder, name)[:] = facts.get(name, [])  # an earlier version had fewer
    return None if stage == "end" else Resume(t, stage, index, state)


def _of(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def write_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors, and facts that JSON can hold, as one safetensors file, whole or not at all.

    raises   `OutputError` where it cannot be written, such as on a full disk; an older file stays as it was
    """
    there = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for half in path.parent.glob(f".{path.name}.*"):  # of a process that was killed
            half.unlink()
        with whole(path) as part:
            save_file(there, part, {"facts": json.dumps(dict(facts))})
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.") from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors on the processor and facts of a file that `write_tensors` wrote.

    raises   `InputError` for a file that is damaged or something else
    """
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file has no iterator
            return tensors, json.loads(file.metadata()["facts"])
    except (OSError, SafetensorError, TypeError, KeyError, ValueError) as error:
        raise InputError(f"{path} is damaged, or no checkpoint: {error}. Delete it to begin that run again.") from error
