"""What an output folder was begun with, and whether a run may go on there: settings, images, weights, one process."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ebll.checkpoints import read_facts
from ebll.errors import InputError, OutputError
from ebll.paper.plan import PaperSettings, Unit
from ebll.paper.runs import RESULT, folder_of, identity
from ebll.paper.start import Place
from ebll.reproduce.report import write_json

__all__ = ["alone_in", "keep_inputs", "refuse_other_settings"]

INPUTS = "inputs.json"


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Inside the block no other process works in this folder.

    raises   `OutputError` where one does already
    """
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise OutputError(
            f"Another process works in {folder}. Wait for its end, or choose another folder with --out."
        ) from None


def refuse_other_settings(place: Place, settings: PaperSettings, units: Sequence[Unit]) -> None:
    """Go on with no run that was begun with other settings: it would be begun anew, and what it has left overwritten.

    raises   `InputError` with the first run and all that differs, then and now
    """
    for unit in units:
        now = _flat(identity(place, settings, unit.name, unit.seed, unit.experiment.tasks))
        for then in _left(folder_of(place, unit)):
            before = _flat(then)
            differing = [name for name in now if name in before and before[name] != now[name]]
            if differing:
                words = ", ".join(f"{name} was {before[name]}, now it is {now[name]}" for name in differing)
                raise InputError(
                    f"{folder_of(place, unit)} was begun with other settings: {words}. Go on with those, or choose "
                    "another folder with --out."
                )


def keep_inputs(folder: Path, inputs: Mapping[str, str]) -> None:
    """Note which images and weights the runs of a folder are of; refuse to go on with others.

    inputs   set, or "weights" -> a hash
    raises   `InputError` where one has changed, or where it cannot be read which it was
    """
    path, before = folder / INPUTS, {}
    if path.exists() and ((folder / "runs").exists() or (folder / "starts").exists()):
        before = _read(path)
        if before is None:
            raise InputError(
                f"{path} is damaged: it says which images and weights the runs there were begun with. Delete it if "
                "they are the same, or choose another folder with --out."
            )
    changed = [name for name, which in inputs.items() if before.get(name, which) != which]
    if changed:
        raise InputError(
            f"{', '.join(changed)}: other files than those that the runs in {folder} were begun with. Bring them back, "
            "or choose another folder with --out."
        )
    write_json({**before, **inputs}, path)


def _left(folder: Path) -> Iterator[dict[str, Any]]:
    """What the result and the checkpoints in a run's folder say of their run; damaged ones say nothing."""
    result = _read(folder / RESULT)
    told = [result] if result else [read_facts(path) for path in sorted(folder.glob("*.safetensors"))]
    yield from (one["run"] for one in told if isinstance(one.get("run"), dict))


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON object in a file; None for anything else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _flat(value: Mapping[str, Any]) -> dict[str, Any]:
    """Settings within settings one after the other, as JSON gives them back."""
    plain = json.loads(json.dumps(value))
    inner = {name: one for part in plain.values() if isinstance(part, dict) for name, one in part.items()}
    return {name: one for name, one in plain.items() if not isinstance(one, dict)} | inner
