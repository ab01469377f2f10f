"""The paper's protocol from end to end: photo sets made ready, every run, then tables, claims and pictures.

    paper("data/", experiments=["flowers-birds"], out="out/paper")    # what `ebll paper --root data/ ...` calls

A run is a pure function of settings and unit. Its folder holds its checkpoint while it goes on and its rows when it is
done, and is locked while a process is at it: several processes, each with a GPU of its own, may share an output folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from filelock import FileLock, Timeout

from ebll.data import Task
from ebll.environment import choose_device
from ebll.errors import DataMissing, InputError, OutputError, RunStopped, TrainingDiverged, check_number, expanded
from ebll.files import prepare_folder, write_json, write_table, write_text
from ebll.paper.backbones import Backbone, load_backbone
from ebll.paper.checkpoint import (
    STAGE,
    STEP,
    load_checkpoint,
    read_tensors,
    refuse_other,
    save_checkpoint,
    write_tensors,
)
from ebll.paper.datasets import Photos, find_photos
from ebll.paper.photos import load_photos
from ebll.paper.plan import PRETRAINED_ON, PaperSettings, Unit, steps_of, units_of
from ebll.paper.report import layout_text, layouts
from ebll.protocol import begin, learn
from ebll.recording import Recorder, Run, Snapshot
from ebll.reproduce import Outcome, conclude, versions
from ebll.reproduce.jobs import Tables
from ebll.reproduce.report import drop_conclusions, write_tables
from ebll.seeds import cpu_threads, seeded

__all__ = ["Workspace", "paper"]

RESULT, NETWORK = "result.json", "network.safetensors"


@dataclass
class Result:
    """The rows of a run, as its recorder has them; `failure` says why it ended early."""

    facts: dict[str, Any]
    curves: list[dict[str, Any]]
    accuracy: list[dict[str, Any]]
    kept: list[dict[str, Any]]
    failure: str


def paper(
    root: str | os.PathLike,
    *,
    experiments: str | Sequence[str] = (),
    methods: str | Sequence[str] = (),
    seeds: int = 1,
    first_seed: int = 0,
    settings: PaperSettings | None = None,
    out: str | os.PathLike = "out/paper",
    device: str = "auto",
    resume: bool = False,
    **options: Any,
) -> Outcome:
    """Run the paper's sequences and write tables, claims, figures and the paper's table layout.

    root      the data root; `docs/paper-scale.md` says how the sets lie under it
    experiments, methods, seeds, first_seed   see `units_of`
    out       folder for results, and for the checkpoints of what is not done
    device    "auto", "cpu", "cuda" or "cuda:1"
    resume    go on with what was begun in `out`, or share it with another process
    options   the other fields of `Workspace`
    returns   an `Outcome`; where it is stopped, the tables so far are in `out` before the error goes on
    raises    `DataMissing`, `InputError`, `OutputError`; `RunStopped` once `stop()` says so, with a checkpoint written;
              `TrainingDiverged` where no run came to its end
    """
    settings = PaperSettings() if settings is None else settings
    if not isinstance(settings, PaperSettings):
        raise InputError(f"settings takes PaperSettings(...); got {type(settings).__name__}.")
    units = units_of(settings, experiments, methods, seeds, first_seed)
    device = device if ":" in device else choose_device(device)
    space = Workspace(expanded(root, "root"), prepare_folder(expanded(out, "out")), settings, device, **options)
    space.prepare(units, resume)
    sequences = list(dict.fromkeys(unit.experiment for unit in units))
    results: list[Result] = []
    try:
        for result in space.results(units):
            results.append(result)
        if len(results) < len(units):
            raise RunStopped("Another process is at the other runs. It writes the results, or --resume does so later.")
        ended = {result.facts["sequence"] for result in results if not result.failure}
        if not ended:
            raise TrainingDiverged(f"All {len(units)} runs ended early. The first: {results[0].failure}")
    except BaseException:
        if results:
            write_tables(_tables(results).joined(sequences), space.out)
            _drop_conclusions(space.out)
        raise
    sequences = [one for one in sequences if one.id in ended]  # there is nothing to conclude from the others
    about = {
        "sequences": [one.id for one in sequences],
        "seeds": sorted({unit.seed for unit in units}),
        "settings": dataclasses.asdict(settings),
        "unreadable": space.skipped(),
        "device": device,
        **versions(),
    }
    _drop_conclusions(space.out)
    outcome = conclude(_tables(results), sequences, space.out, about)
    tables = layouts(outcome.accuracy, sequences)
    write_text(layout_text(tables), space.out / "paper-layout.md")
    for i, table in enumerate(tables.values(), 1):
        write_table(table.rename_axis("method").reset_index(), space.out / f"paper-layout-{i}.csv")
    return outcome


def _tables(results: Sequence[Result]) -> Tables:
    tables = Tables(failures=[result.failure for result in results if result.failure])
    for result in results:
        for name in ("accuracy", "curves", "kept"):
            tables.parts[name].append(pd.DataFrame([result.facts | row for row in getattr(result, name)]))
    return tables


def _drop_conclusions(folder: Path) -> None:
    drop_conclusions(folder)
    for path in folder.glob("paper-layout*"):
        path.unlink(missing_ok=True)


@dataclass
class Workspace:
    """Where the runs of the protocol are made: data, output folder, device, and what may be used on the way.

    No number depends on it, but that a GPU works in bfloat16 where the settings leave it the choice.
    """

    root: Path
    out: Path
    settings: PaperSettings
    device: str = "cpu"
    cache: Path | None = None  #: for resized images; `ebll-cache` under the root if None
    minutes: float = 10.0  #: between two checkpoints
    incomplete: bool = False  #: accept fewer images than were published
    skip_unreadable: bool = False
    download: bool = False
    keep_weights: bool = False  #: keep the network of every finished run
    progress: Callable[[str, int, int], None] = lambda what, done, total: None  #: of resized images, then of steps
    stop: Callable[[], bool] = lambda: False  #: asked at every step
    say: Callable[[str], None] = print  #: told what cannot be written or is left out
    photos: dict[str, Photos] = field(default_factory=dict, init=False)
    tasks: dict[str, Task] = field(default_factory=dict, init=False)

    def __post_init__(self):
        check_number(self.minutes, "minutes", above=True)
        self.cache = self.root / "ebll-cache" if self.cache is None else expanded(self.cache, "cache")
        self._starts: dict[tuple[str, int], Snapshot | TrainingDiverged] = {}  # the newest alone

    # ---- before the runs

    def prepare(self, units: Sequence[Unit], resume: bool) -> None:
        """Find all sets, refuse what cannot be gone on with, and resize the images.

        raises   `DataMissing` for all missing sets together; `InputError`
        """
        backbone, missing = self.backbone(0), []  # what is amiss with weights is said before an hour of resizing
        for name in dict.fromkeys(name for unit in units for name in unit.experiment.tasks):
            try:
                self.photos[name] = find_photos(name, self.root, incomplete=self.incomplete, download=self.download)
            except DataMissing as error:
                missing.append(str(error))
        if missing:
            raise DataMissing("\n".join(missing))
        begun = {unit: identity for unit in units if (identity := _begun_with(self.folder(unit)))}
        if begun and not resume:
            raise InputError(
                f"{self.out} holds {len(begun)} of these {len(units)} runs, begun or done, such as "
                f"{next(iter(begun)).name}. Go on with them by --resume, or choose another folder with --out."
            )
        for unit, identity in begun.items():
            refuse_other(self.folder(unit), identity, self.identity(unit))
        for name, photos in self.photos.items():
            self.tasks[name] = load_photos(
                photos, self.root, self.settings.photos_of(name), mean=backbone.mean, std=backbone.std,
                device=self.device, cache=self.cache, progress=self._resized, skip_unreadable=self.skip_unreadable,
            )  # fmt: skip
        for name, files in self.skipped().items():
            some = ", ".join(files[:3]) + ", ..." * (len(files) > 3)
            self.say(f"{name}: {len(files)} unreadable image files are left out: {some}. run.json names all.")

    def _resized(self, what: str, done: int, total: int) -> None:
        self.progress(f"images of {what}", done, total)
        if self.stop():
            raise RunStopped("Stopped while images were resized; finished sets are kept.")

    def skipped(self) -> dict[str, list[str]]:
        """Set -> its files that were left out as unreadable; sets without any are not in it."""
        splits = {name: (task.train, task.test) for name, task in self.tasks.items()}
        files = {name: [file for one in both for file in one.skipped] for name, both in splits.items()}
        return {name: some for name, some in files.items() if some}

    def backbone(self, seed: int) -> Backbone:
        """The backbone; its weights come from `seed` where it is not pretrained."""
        chosen = self.settings
        with seeded(seed, "network"):
            return load_backbone(
                chosen.backbone, weights=chosen.weights, dropout=chosen.dropout, input_size=chosen.photos.size
            )

    @property
    def bfloat16(self) -> bool:
        """Whether F and T work in bfloat16."""
        if self.settings.precision == "auto":
            return torch.device(self.device).type == "cuda" and torch.cuda.is_bf16_supported()
        return self.settings.precision == "bfloat16"

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """Threads as in the settings; beside bfloat16, products of heads and encoders on a GPU in TF32."""
        before = torch.get_float32_matmul_precision()
        if self.bfloat16 and torch.device(self.device).type == "cuda":
            torch.set_float32_matmul_precision("high")
        try:
            with cpu_threads(self.settings.train.threads):
                yield
        finally:
            torch.set_float32_matmul_precision(before)

    # ---- names

    def identity(self, unit: Unit) -> dict[str, Any]:
        """What decides a run: a checkpoint or a result of anything else is not taken for it."""
        return self._decided_by(unit.name, unit.seed, unit.experiment.tasks)

    def _decided_by(self, name: str, seed: int, tasks: Sequence[str]) -> dict[str, Any]:
        weights, file = self.settings.weights, expanded(self.settings.weights, "weights")
        if file.is_file():
            weights = f"{file.name}, {file.stat().st_size:,} bytes"
        about = dataclasses.asdict(self.settings) | {"weights": weights}
        about |= {"precision": "bfloat16" if self.bfloat16 else "float32", "ebll": version("ebll")}
        files = {f"files of {task}": self.photos[task].digest for task in tasks}
        return {"name": name, "seed": seed, **about, **files}

    def folder(self, unit: Unit) -> Path:
        """Where a run's checkpoint and result are."""
        return self.out / "runs" / unit.name

    # ---- runs

    def results(self, units: Sequence[Unit]) -> Iterator[Result]:
        """The results of all runs but those that another process is at.

        raises   `RunStopped` once `stop()` says so; what is finished has then been given
        """
        crops = {name: len(task.train) for name, task in self.tasks.items()}
        steps = {unit: steps_of(unit, self.settings, crops) for unit in units}
        self._done, self._total = 0, sum(steps.values())
        for unit in units:
            if self.stop():
                raise RunStopped("Stopped between two runs; the same command with --resume goes on.")
            self.folder(unit).mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(Timeout), FileLock(self.folder(unit) / ".lock", timeout=0):
                yield self._finished(unit) or self._run(unit)
            self._done += steps[unit]
            self.progress("steps", self._done, self._total)

    def _finished(self, unit: Unit) -> Result | None:
        """The result of a run that came to its end."""
        if not (kept := _read_result(self.folder(unit))):
            return None
        refuse_other(self.folder(unit), kept["run"], self.identity(unit))
        return Result(**kept["result"])

    def _run(self, unit: Unit) -> Result:
        """One run from the network that has learned its first set; a divergence is told in its result."""
        tasks, folder = [self.tasks[name] for name in unit.experiment.tasks], self.folder(unit)
        method, recorder = self.settings.method(unit.method, unit.experiment.tasks), Recorder(self.settings.log_every)
        run, failure = None, ""
        try:
            start = self._start(unit)
            with self.computing():
                options = {"seed": unit.seed, "device": self.device, "recorder": recorder}
                run = begin(tasks, method, start=start, **options)
                self._learn(run, tasks, folder, self.identity(unit))
        except TrainingDiverged as error:
            failure = f"{unit.experiment.id}: {error}"
        result = Result(unit.facts, recorder.curve_rows, recorder.accuracy_rows, recorder.memory_rows, failure)
        if self.keep_weights and run is not None:
            write_tensors(folder / NETWORK, run.net.state_dict(), unit.facts)
        write_json({"run": self.identity(unit), "result": dataclasses.asdict(result)}, folder / RESULT)
        for path in (folder / STAGE, folder / STEP):
            path.unlink(missing_ok=True)
        return result

    def _start(self, unit: Unit) -> Snapshot:
        """The network that has learned a run's first set.

        raises   `TrainingDiverged`, for each run that would begin with it
        """
        if unit.start not in self._starts:
            self._starts.clear()  # runs that begin with the same network stand side by side
            try:
                self._starts[unit.start] = self._first(*unit.start)
            except TrainingDiverged as error:
                self._starts[unit.start] = error
        if isinstance(start := self._starts[unit.start], TrainingDiverged):
            raise start
        return start

    def _first(self, first: str, seed: int) -> Snapshot:
        """Learn a first set, once for all methods; a pretrained network has learned ImageNet and keeps its head."""
        task, backbone, recorder = self.tasks[first], self.backbone(seed), Recorder(self.settings.log_every)
        net = backbone.network(bfloat16=self.bfloat16, compile=self.settings.compile).to(self.device)
        with self.computing():
            if first == PRETRAINED_ON and backbone.pretrained:
                if backbone.head.out_features != task.class_count:
                    raise InputError(
                        f"{first} has {task.class_count} classes here, but the pretrained head of "
                        f"{self.settings.backbone} has {backbone.head.out_features}. Complete the set, or begin with "
                        "another set."
                    )
                with seeded(0, "head"):
                    net.add_head(task.class_count)
                net.heads[0].load_state_dict(backbone.head.state_dict())
                recorder.add_accuracies(net, [task], 0)
            else:
                folder, who = self.out / "starts" / f"{first}-{seed}", self._decided_by("start", seed, [first])
                run = begin([task], "finetune", net=net, seed=seed, device=self.device, recorder=recorder)
                folder.mkdir(parents=True, exist_ok=True)
                with FileLock(folder / ".lock"):  # another process may be learning it
                    self._learn(run, [task], folder, who)
                net = run.net
        return Snapshot(net, recorder, self.settings.backbone, task)

    def _learn(self, run: Run, tasks: Sequence[Task], folder: Path, identity: dict[str, Any]) -> None:
        """Take a run to its end, from its checkpoint if it has one, and keep that up to date.

        raises   `RunStopped` once the step is written; `TrainingDiverged`
        """
        written, made, last = time.monotonic(), 0, 0
        for step in learn(run, tasks, self.settings.train, resume=load_checkpoint(folder, run, identity)):
            made, last = made + max(0, step.index - last), step.index
            if run.learned:
                self.progress("steps", self._done + made, self._total)
            else:
                self.progress(f"steps of the first set, {tasks[0].name}", step.index, step.total)
            stopping = self.stop()
            if stopping or step.index == 0 or time.monotonic() - written > 60 * self.minutes:
                self._save(folder, run, step, identity)
                written = time.monotonic()
            if stopping:
                raise RunStopped("The run was stopped; the same command with --resume goes on from here.")
        if len(tasks) == 1:  # a first set, to be branched from; a run leaves its result
            self._save(folder, run, None, identity)

    def _save(self, folder: Path, *given: Any) -> None:
        try:
            save_checkpoint(folder, *given)
        except OutputError as error:
            self.say(f"{error} The run goes on without this checkpoint; free some space.")


def _begun_with(folder: Path) -> dict[str, Any] | None:
    """What decides the run that a folder holds the result or a checkpoint of; None where it holds none."""
    if kept := _read_result(folder):
        return kept["run"]
    return read_tensors(folder / STAGE)[1]["run"] if (folder / STAGE).exists() else None


def _read_result(folder: Path) -> dict[str, Any] | None:
    """What is in a run's result; None where it is not there, or damaged."""
    try:
        return json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
