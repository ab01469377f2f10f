"""The runs of the paper's protocol, one after the other; each can be stopped and goes on where it was.

A run is a pure function of settings and unit; its folder holds its checkpoints while it goes on and its rows when it is
done.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ebll.checkpoints import Checkpoints, write_checkpoint
from ebll.data import Task
from ebll.errors import OutputError, RunStopped, TrainingDiverged
from ebll.files import write_whole
from ebll.methods import METHODS, Memory
from ebll.paper.plan import PRETRAINED_ON, PaperSettings, Unit
from ebll.paper.start import (
    Place,
    bfloat16,
    first_memory,
    first_network,
    load_task,
    network_of,
    quick_products,
)
from ebll.protocol import begin, learn
from ebll.recording import Recorder
from ebll.runs import Run, Snapshot
from ebll.seeds import cpu_threads

__all__ = ["Brake", "begun", "finished", "folder_of", "identity", "prepare_start", "run_unit", "run_units"]

OnStep = Callable[[int], None]
"""Called with the number of steps made since the last call."""

RESULT = "result.json"
NETWORK = "network.safetensors"


class Brake:
    """Stops whatever runs at the next step, and all that would follow; pressed from a signal handler, say."""

    def __init__(self) -> None:
        self.pressed = False
        self.ready = False  #: whether there is something that it would stop

    def press(self) -> None:
        """Stop soon, keeping what was done."""
        self.pressed = True

    def look(self) -> None:
        """Raise `RunStopped` once it is pressed: between two runs, and before what a method keeps is fitted."""
        if self.pressed:
            raise RunStopped("Stopped between two runs; the same command with --resume goes on.")


def kept_up(
    run: Run, tasks: Sequence[Task], settings: PaperSettings, kept: Checkpoints, brake: Brake, on_step: OnStep | None
) -> Run:
    """Take a run to its end, saving its steps; one that was stopped goes on where it was.

    raises   `RunStopped` once the brake is pressed and the step is written; `TrainingDiverged`
    """
    made = 0
    with cpu_threads(settings.train.threads):
        for step in learn(run, tasks, settings.train, resume=kept.resume(run)):
            if on_step and step.index > made:  # the first step of a run that goes on counts those before it
                on_step(step.index - made)
            made = step.index
            kept.save(run, step, stop=brake.pressed)
        kept.finish(run)
    return run


def folder_of(place: Place, unit: Unit) -> Path:
    """Where a run's checkpoints and result are."""
    return place.out / "runs" / unit.name


def start_folder(place: Place, settings: PaperSettings, first: str, seed: int) -> Path:
    """Where the network that has learned a first set with these settings is, and what methods keep of that set."""
    which = hashlib.sha256(json.dumps(identity(place, settings, first, seed), sort_keys=True).encode()).hexdigest()[:8]
    return place.out / "starts" / f"{first}-{seed}-{which}"


@dataclass
class Result:
    """The rows of one method on one sequence with one seed; `failure` says why a run ended early."""

    facts: dict[str, Any]
    curves: list[dict[str, Any]] = field(default_factory=list)
    accuracy: list[dict[str, Any]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    failure: str = ""


def finished(place: Place, settings: PaperSettings, unit: Unit) -> Result | None:
    """The result of a run that came to its end with these settings, or None."""
    try:
        kept = json.loads((folder_of(place, unit) / RESULT).read_text(encoding="utf-8"))
        same = kept["run"] == _as_json(identity(place, settings, unit.name, unit.seed, unit.experiment.tasks))
        return Result(**kept["result"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):  # not there, or damaged: it is made once more
        return None


def begun(place: Place, settings: PaperSettings, units: Sequence[Unit]) -> list[Unit]:
    """Runs of which there is anything in the output folder, done or not, their first set included."""

    def anything(folder: Path) -> bool:
        return folder.is_dir() and any(folder.iterdir())

    return [
        unit
        for unit in units
        if anything(folder_of(place, unit))
        or anything(start_folder(place, settings, unit.experiment.tasks[0], unit.seed))
    ]


def prepare_start(
    place: Place,
    settings: PaperSettings,
    first: str,
    seed: int,
    brake: Brake,
    say: Callable[[str], None] = print,
    on_step: OnStep | None = None,
) -> tuple[Snapshot, dict[Any, Memory | None]]:
    """The network that has learned a first set, from its file where there is one, and an empty place for memories.

    raises   `RunStopped`, `TrainingDiverged`, and what loading the set raises
    """
    brake.look()
    task, recorder = load_task(place, settings, first), Recorder(log_every=settings.log_every)
    who = identity(place, settings, f"start {first}", seed)
    kept = Checkpoints(start_folder(place, settings, first, seed), who, minutes=place.minutes, say=say)
    with quick_products(settings, place.device):
        network, made = network_of(settings, seed, place.device)
        if task.name == PRETRAINED_ON and settings.weights != "none":
            return first_network(network, made, task, settings, recorder), {}
        run = begin([task], "finetune", net=network, seed=seed, device=place.device, recorder=recorder)
        kept_up(run, [task], settings, kept, brake, on_step)
    return Snapshot(run.net, recorder, settings.backbone), {}


def run_unit(
    place: Place,
    settings: PaperSettings,
    unit: Unit,
    start: Snapshot,
    memories: dict[Any, Memory | None],
    brake: Brake,
    *,
    say: Callable[[str], None] = print,
    on_step: OnStep | None = None,
) -> Result:
    """One run from a network that has learned the first set; a divergence is told in the result.

    memories  of that network, shared by the methods that keep the same; filled here
    raises    `RunStopped` once the brake is pressed
    """
    tasks, names = [load_task(place, settings, name) for name in unit.experiment.tasks], unit.experiment.tasks
    method, folder, recorder = settings.method(unit.method, names), folder_of(place, unit), Recorder(settings.log_every)
    who = identity(place, settings, unit.name, unit.seed, names)
    facts = _facts(unit)
    result, run = Result(facts), None
    try:
        kept_in = start_folder(place, settings, names[0], unit.seed)
        quick = quick_products(settings, place.device)
        brake.look()
        with cpu_threads(settings.train.threads), quick:
            first_memory(kept_in, method, start, tasks[0], unit.seed, memories)
        kept = Checkpoints(folder, who, minutes=place.minutes, say=say)
        with quick_products(settings, place.device):
            options = {"start": start, "memories": memories, "seed": unit.seed, "device": place.device}
            run = begin(tasks, method, recorder=recorder, **options)
            kept_up(run, tasks, settings, kept, brake, on_step)
    except TrainingDiverged as error:
        result.failure = f"{unit.experiment.id}: {error}"
    result.curves, result.accuracy, result.kept = recorder.curve_rows, recorder.accuracy_rows, recorder.memory_rows
    if place.keep_weights and run is not None:
        write_checkpoint(folder / NETWORK, run.net.state_dict(), {"run": who, **facts})
    _write_result(folder, who, result)
    for path in folder.glob("*.safetensors"):
        if path.name != NETWORK:
            path.unlink(missing_ok=True)
    return result


def run_units(
    place: Place,
    settings: PaperSettings,
    units: Sequence[Unit],
    brake: Brake,
    *,
    say: Callable[[str], None] = print,
    on_step: OnStep | None = None,
) -> Iterator[Result]:
    """Run one after the other, those that are done excepted, and give each result as it comes.

    A first set that cannot be learned is told in the result of every run that would begin with it; the others go on.

    raises   `RunStopped` once the brake is pressed; what is finished has then been given
    """
    lost: dict[tuple[str, int], str] = {}
    ready: dict[tuple[str, int], tuple[Snapshot, dict[Any, Memory | None]]] = {}
    for unit in units:
        done = finished(place, settings, unit)
        if done is not None and place.keep_weights and not (folder_of(place, unit) / NETWORK).exists():
            say(f"{unit.name} was done before, without --keep-weights: its network is not there to be kept.")
        if done is None:
            key = (unit.experiment.tasks[0], unit.seed)
            if key not in ready and key not in lost:
                ready.clear()  # a network and its memories at a time
                try:
                    ready[key] = prepare_start(place, settings, *key, brake, say, on_step)
                except TrainingDiverged as error:
                    lost[key] = str(error)
            if key in lost:
                who = f"{unit.experiment.id}, {METHODS[unit.method].label}"
                done = Result(_facts(unit), failure=f"{who}: {lost[key]}")
            else:
                done = run_unit(place, settings, unit, *ready[key], brake, say=say, on_step=on_step)
        yield done


def _facts(unit: Unit) -> dict[str, Any]:
    e = unit.experiment
    return {"sequence": e.id, "net": e.net, "method": unit.method, "seed": unit.seed}


def identity(place: Place, settings: PaperSettings, name: str, seed: int, tasks: Sequence[str] = ()) -> dict[str, Any]:
    """What decides a run, for its files: those of another run, or of other settings, are not taken for it.

    A file of weights goes by its name: what is in it is noted once for the whole folder.
    """
    from importlib.metadata import version

    weights = settings.weights if settings.weights in ("default", "none") else Path(settings.weights).name
    precision = "bfloat16" if bfloat16(settings, place.device) else "float32"
    own = {"name": name, "tasks": list(tasks), "seed": seed, "ebll": version("ebll")}
    return own | settings.as_dict() | {"precision": precision, "weights": weights}


def _as_json(value: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(value))


def _write_result(folder: Path, who: Mapping[str, Any], result: Result) -> None:
    path = folder / RESULT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps({"run": who, "result": dataclasses.asdict(result)}))
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}. Free some space; --resume goes on.") from error
