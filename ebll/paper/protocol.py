"""The paper's protocol from end to end: photo sets made ready, every run, then tables, claims and pictures.

    paper("data/", experiments=["flowers-birds"], out="out/paper")    # what `ebll paper --root data/ ...` calls

A run is a pure function of settings, images and unit, and its folder is named by a hash of them: the same call goes on
where it was stopped, with other settings runs begin from the start. The folder holds a checkpoint while the run goes on
and its rows when it is done, and is locked while a process is at it: several processes may share an output folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import signal
import sys
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
from ebll.errors import DataMissing, InputError, RunStopped, TrainingDiverged, check_number, choose_device, expanded
from ebll.files import prepare_folder, write_json, write_table, write_text
from ebll.paper.backbones import Backbone, load_backbone
from ebll.paper.checkpoint import STAGE, STEP, load_checkpoint, save_checkpoint, write_tensors
from ebll.paper.datasets import PHOTO_SETS, find_photos, fingerprint
from ebll.paper.photos import load_photos
from ebll.paper.plan import PRETRAINED_ON, PaperSettings, Unit, steps_of, units_of
from ebll.paper.report import layout_text, layouts
from ebll.protocol import begin, learn
from ebll.recording import Recorder, Run, Snapshot
from ebll.reproduce import Outcome, conclude, versions
from ebll.reproduce.jobs import Tables
from ebll.reproduce.report import write_unfinished
from ebll.seeds import cpu_threads, seeded
from ebll.training import Step

__all__ = ["Workspace", "dry_run", "paper"]

RESULT, NETWORK = "result.json", "network.safetensors"
ROWS = ("accuracy", "curves", "kept")


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
    **options: Any,
) -> Outcome:
    """Run the paper's sequences and write tables, claims, figures and the paper's table layout.

    root      the data root; `docs/paper-scale.md` says how the sets lie under it
    experiments, methods, seeds, first_seed   see `units_of`
    out       folder for results, and for the checkpoints of what is not done
    device    "auto", "cpu", "cuda" or "cuda:1"
    options   the other fields of `Workspace`
    returns   an `Outcome`; if interrupted, a checkpoint is written, the tables of finished runs are in the folder
              `unfinished` of `out`, and what an earlier call has left in `out` stays
    raises    `DataMissing`, `InputError`, `OutputError`; `RunStopped` where other processes are at runs of it;
              `TrainingDiverged` where a first set diverges, or no run came to its end
    """
    settings = PaperSettings() if settings is None else settings
    units = units_of(settings, experiments, methods, seeds, first_seed)
    device, folder = choose_device(device), prepare_folder(expanded(out, "out"))
    space = Workspace(expanded(root, "root"), folder, settings, device, **options)
    sequences = list(dict.fromkeys(unit.experiment for unit in units))
    space.prepare(units)
    try:
        space.run(units)
        results = space.results(units)
        if len(results) < len(units):
            raise RunStopped(
                "Another process is at some of the runs. When it has ended, this command writes the results."
            )
        ended = {result["facts"]["sequence"] for result in results if not result["failure"]}
        if not ended:
            raise TrainingDiverged(f"All {len(units)} runs ended early. The first: {results[0]['failure']}")
    except BaseException as error:
        if results := space.results(units):
            unfinished = write_unfinished(_tables(results).joined(sequences), space.out)
            error.add_note(f"The tables of the {len(results)} finished runs are in {unfinished}.")
        raise
    sequences = [one for one in sequences if one.id in ended]  # there is nothing to conclude from the others
    about = {
        "sequences": [one.id for one in sequences],
        "seeds": sorted({unit.seed for unit in units}),
        "settings": dataclasses.asdict(settings),
        "device": device,
        **versions(),
    }
    outcome = conclude(_tables(results), sequences, space.out, about)
    for path in space.out.glob("paper-layout*"):  # of an earlier call, which may have had more tables
        path.unlink()
    tables = layouts(outcome.accuracy, sequences)
    write_text(layout_text(tables), space.out / "paper-layout.md")
    for i, table in enumerate(tables.values(), 1):
        write_table(table.rename_axis("method").reset_index(), space.out / f"paper-layout-{i}.csv")
    return outcome


def _tables(results: Sequence[dict[str, Any]]) -> Tables:
    tables = Tables(failures=[result["failure"] for result in results if result["failure"]])
    for result in results:
        for name in ROWS:
            tables.parts[name].append(pd.DataFrame([result["facts"] | row for row in result[name]]))
    return tables


def dry_run(
    units: Sequence[Unit],
    settings: PaperSettings,
    *,
    root: str | os.PathLike,
    cache: str | os.PathLike | None = None,
    incomplete: bool = False,
) -> dict[str, list[tuple[str, str]]]:
    """What `paper` would take with the same arguments, nothing being fetched: headline -> lines of (name, words).

    A set counts as it was published where a run would refuse it, with the words of the run.

    raises   for a folder of one's own, `DataMissing` where it is not there, `InputError` where a run would refuse it
    """
    images, crops, stored = [], {}, 0
    for name in dict.fromkeys(name for unit in units for name in unit.tasks):
        photos, info, note = settings.photos_of(name), PHOTO_SETS.get(name), ""
        try:
            found = find_photos(name, root, incomplete=incomplete)
            classes, train, test = len(found.classes), len(found.train.files), len(found.test.files)
            present = len(set(found.train.labels))
        except (DataMissing, InputError) as error:
            if info is None:
                raise
            classes, train, test, present, note = info.classes, info.train, info.test, info.classes, f". {error}"
        train = min(train, photos.images or train)
        validation = max(present, round(photos.held_out * train))
        if validation >= train:
            raise InputError(
                f"{name}: of {train:,} training images {validation:,} would be held out for validation, and none is "
                "left. Take more images."
            )
        crops[name] = (train - validation) * (photos.versions if photos.augment == "fixed" else 1)
        stored += (train + test) * 3 * photos.stored**2
        sizes = f"{crops[name]:,} training crops an epoch, {validation:,} validation and {test:,} test images"
        images.append((name, f"{classes:,} classes; {sizes}{note}"))
    runs = [steps_of(unit, settings, crops) for unit in units]
    learned = {unit.start for unit in units if unit.start[0] != PRETRAINED_ON or settings.weights == "none"}
    epochs = sum(settings.train.stages(0).values())
    first = sum(epochs * math.ceil(crops[name] / settings.train.batch_size) for name, _ in learned)
    steps = [
        ("first sets", f"{first:,}" if first else "none: the pretrained network is taken over"),
        ("runs", f"{sum(runs):,} in {len(runs)} runs, {min(runs):,} to {max(runs):,} each"),
    ]
    place = expanded(root, "root") / "ebll-cache" if cache is None else expanded(cache, "cache")
    size = f"{stored / 1e9:.3g} GB" if stored >= 1e8 else f"{stored / 1e6:.3g} MB"
    return {"Images": images, "Optimiser steps": steps, "Bytes": [("resized images", f"{size} in {place}")]}


@dataclass(eq=False)
class Workspace:
    """Where the runs of the protocol are made: data, output folder, device, and what may be used on the way.

    No number depends on it, but that a GPU works in bfloat16 where the settings leave it the choice.
    """

    root: Path
    out: Path
    settings: PaperSettings
    device: str = "cpu"
    cache: str | Path | None = None  #: for resized images; `ebll-cache` under the root if None
    minutes: float = 10.0  #: between two checkpoints
    incomplete: bool = False  #: accept other numbers of images than were published
    download: bool = False
    keep_weights: bool = False  #: keep the network of every finished run
    progress: Callable[[str, int, int], None] = lambda what, done, total: None  #: of resized images, then of steps
    tasks: dict[str, Task] = field(default_factory=dict, init=False)
    fingerprints: dict[str, str] = field(default_factory=dict, init=False)  #: of the files of each set

    def __post_init__(self):
        check_number(self.minutes, "minutes", above=True)

    def prepare(self, units: Sequence[Unit]) -> None:
        """Find all sets and resize the images.

        raises   `DataMissing` for all missing sets together; `InputError`
        """
        backbone = self.backbone(0)  # what is amiss with weights is said before an hour of resizing
        found, missing = {}, []
        for name in dict.fromkeys(name for unit in units for name in unit.tasks):
            try:
                found[name] = find_photos(name, self.root, incomplete=self.incomplete, download=self.download)
            except DataMissing as error:
                missing.append(str(error))
        if missing:
            raise DataMissing("\n".join(missing))
        self.fingerprints = {name: fingerprint(one.base, one.train, one.test) for name, one in found.items()}
        for name, photos in found.items():
            self.tasks[name] = load_photos(
                photos, self.root, self.settings.photos_of(name), mean=backbone.mean, std=backbone.std,
                device=self.device, cache=self.cache,
                progress=lambda what, done, total: self.progress(f"images of {what}", done, total),
            )  # fmt: skip

    def run(self, units: Sequence[Unit]) -> None:
        """Make all runs that are not done, but those that another process is at.

        raises   `KeyboardInterrupt` on Ctrl-C or SIGTERM, with a checkpoint of the step that a run was at
        """
        crops = {name: len(task.train) for name, task in self.tasks.items()}
        steps = {unit: steps_of(unit, self.settings, crops) for unit in units}
        done, total, start = 0, sum(steps.values()), None
        for unit in units:
            with contextlib.suppress(Timeout), FileLock(self.folder(unit) / ".lock", timeout=0):
                if not self.results([unit]):
                    if start is None or start[0] != unit.start:
                        start = unit.start, self._first(*unit.start)
                    self._run(unit, start[1], done, total)
            done += steps[unit]
            self.progress("steps", done, total)

    def _run(self, unit: Unit, start: Snapshot, done: int, total: int) -> None:
        """One run from the network that has learned its first set; a divergence is told in its result.

        done, total   optimiser steps before it, and of all runs
        """
        tasks, method = [self.tasks[name] for name in unit.tasks], self.settings.method(unit.method, unit.tasks)
        folder, recorder, failure = self.folder(unit), Recorder(self.settings.log_every), ""
        run = begin(tasks, method, start=start, seed=unit.seed, device=self.device, recorder=recorder)

        def progress(step: Step) -> None:
            nonlocal done
            done += step.index > 0
            self.progress("steps", done, total)

        try:
            self._learn(run, tasks, folder, progress)
        except TrainingDiverged as error:
            failure = f"{unit.experiment.id}: {error}"
        if self.keep_weights:
            write_tensors(folder / NETWORK, run.net.state_dict(), unit.facts)
        rows = zip(ROWS, (recorder.accuracy_rows, recorder.curve_rows, recorder.memory_rows), strict=True)
        write_json({"facts": unit.facts, "failure": failure, **dict(rows)}, folder / RESULT)
        for path in (folder / STAGE, folder / STEP):
            path.unlink(missing_ok=True)

    def _first(self, first: str, seed: int) -> Snapshot:
        """Learn a first set, once for all methods; a pretrained network has learned ImageNet and keeps its head."""
        task, backbone, recorder = self.tasks[first], self.backbone(seed), Recorder(self.settings.log_every)
        net = backbone.network(bfloat16=self.bfloat16, compile=self.settings.compile).to(self.device)
        if first != PRETRAINED_ON or not backbone.pretrained:
            folder = self._folder(f"starts/{first}-{seed}", [first])
            run = begin([task], "finetune", net=net, seed=seed, device=self.device, recorder=recorder)

            def progress(step: Step) -> None:
                self.progress(f"steps of the first set, {first}", step.index, step.total)

            with FileLock(folder / ".lock"):  # another process may be learning it
                self._learn(run, [task], folder, progress)
                save_checkpoint(folder, run)  # its end, for other calls to branch from
            return Snapshot(run.net, recorder, self.settings.backbone, task)
        if backbone.head.out_features != task.class_count:
            raise InputError(
                f"{first} has {task.class_count} classes here, but the pretrained head of {self.settings.backbone} has "
                f"{backbone.head.out_features}. Complete the set, or begin with another set."
            )
        with seeded(0, "head"):
            net.add_head(task.class_count)
        net.heads[0].load_state_dict(backbone.head.state_dict())
        with self.computing():
            recorder.add_accuracies(net, [task], 0)
        return Snapshot(net, recorder, self.settings.backbone, task)

    def _learn(self, run: Run, tasks: Sequence[Task], folder: Path, progress: Callable[[Step], None]) -> None:
        """Take a run to its end, from its checkpoint if it has one, and keep that up to date.

        raises   `KeyboardInterrupt` once the step is written; `TrainingDiverged`
        """
        resume, written = load_checkpoint(folder, run), time.monotonic()
        with self.computing(), _stop_signals() as stopped:
            for step in learn(run, tasks, self.settings.train, resume=resume):
                progress(step)
                if stopped or step.index == 0 or time.monotonic() - written > 60 * self.minutes:
                    save_checkpoint(folder, run, step)
                    written = time.monotonic()
                if stopped:
                    raise _stopped()
            if stopped:  # while accuracy was measured at the end, from which the last checkpoint is not far
                raise _stopped()

    def results(self, units: Sequence[Unit]) -> list[dict[str, Any]]:
        """facts, failure and rows of the runs that came to their end; one with a damaged file did not."""
        found = []
        for unit in units:
            with contextlib.suppress(OSError, ValueError):
                found.append(json.loads((self.folder(unit) / RESULT).read_text(encoding="utf-8")))
        return found

    def folder(self, unit: Unit) -> Path:
        """Where a run's checkpoint and result are."""
        return self._folder(f"runs/{unit.name}", unit.tasks)

    def _folder(self, name: str, tasks: Sequence[str]) -> Path:
        weights, file = self.settings.weights, expanded(self.settings.weights, "weights")
        if file.is_file():
            weights = f"{file.name}, {file.stat().st_size:,} bytes"
        decided_by = dataclasses.asdict(self.settings) | {"weights": weights, "bfloat16": self.bfloat16}
        decided_by |= {"ebll": version("ebll"), "files": [self.fingerprints[task] for task in tasks]}
        folder = self.out / f"{name}-{hashlib.sha256(json.dumps(decided_by).encode()).hexdigest()[:12]}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

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


def _stopped() -> KeyboardInterrupt:
    stop = KeyboardInterrupt()
    stop.add_note("A checkpoint was written; the same command goes on from it.")
    return stop


@contextlib.contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """A list that the first Ctrl-C or SIGTERM enters, so that no step is cut in two; a second one ends at once."""
    stopped: list[int] = []

    def note(number: int, frame: Any) -> None:
        stopped.append(number)
        for one, handler in before.items():
            signal.signal(one, handler)
        print("\nStopping, with a checkpoint of the step that it is at. Once more ends at once.", file=sys.stderr)

    before = {}
    with contextlib.suppress(ValueError):  # not in the main thread, where no signal arrives
        heeded = [one for one in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(one) is not signal.SIG_IGN]
        before = {one: signal.signal(one, note) for one in heeded}
    try:
        yield stopped
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
