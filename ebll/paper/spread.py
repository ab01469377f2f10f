"""The runs of the paper's protocol spread out: over the GPUs of this machine, or over whatever an executor runs on."""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from ebll.errors import RunStopped, TrainingDiverged
from ebll.paper.plan import PRETRAINED_ON, PaperSettings, Unit
from ebll.paper.runs import Brake, Result, prepare_start, run_units
from ebll.paper.start import Place
from ebll.sweeps.cluster import told
from ebll.sweeps.engines import Executor, handed_out, refuse_other
from ebll.workers import streamed

__all__ = ["on_devices", "on_executor", "prepare_starts"]

LOOK = 0.5  # seconds between two looks at whether a worker should stop


def prepare_starts(
    place: Place, settings: PaperSettings, units: Sequence[Unit], brake: Brake, on_step: Callable[[int], None] | None
) -> None:
    """Learn the first sets that no pretraining gives, once, so that the runs elsewhere find them in their files.

    One that diverges is left to its runs, which tell of it.
    """
    wanted = {(unit.experiment.tasks[0], unit.seed): unit for unit in units}
    for first, seed in wanted:
        if first != PRETRAINED_ON or settings.weights == "none":
            with contextlib.suppress(TrainingDiverged):
                prepare_start(place, settings, first, seed, brake, on_step=on_step)


def on_devices(
    place: Place, settings: PaperSettings, units: Sequence[Unit], devices: Sequence[str], stop: Callable[[], bool]
) -> Iterator[Result]:
    """Each device gets a process and every so-manieth run; results as they come.

    When it ends early, the processes write a checkpoint of what they are at, and end.
    """
    portions = [(device, list(units[i :: len(devices)])) for i, device in enumerate(devices)]
    work = functools.partial(_portion, place, settings)
    with contextlib.closing(streamed(work, [p for p in portions if p[1]], len(devices))) as results:
        for result in results:
            if result is not None:
                yield result
            if stop():
                return


def _portion(place: Place, settings: PaperSettings, portion: tuple[str, list[Unit]]) -> Iterator[Result]:
    """A worker's part; being terminated, it keeps what it is at."""
    device, units = portion
    brake = Brake()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda number, frame: brake.press())
    if torch.device(device).type == "cuda":
        torch.cuda.set_device(device)
    with contextlib.suppress(RunStopped):
        yield from run_units(place.elsewhere(device), settings, units, brake)


def on_executor(
    place: Place,
    settings: PaperSettings,
    units: Sequence[Unit],
    executor: Executor,
    workers: int,
    stop: Callable[[], bool],
) -> Iterator[Result]:
    """Run wherever an executor runs things, by the executor engine of the sweeps; all must see the place's folders.

    raises   as `ebll.sweeps.engines.handed_out`
    """
    chunks = [[unit] for unit in units]
    return handed_out(chunks, executor, workers, stop, run_elsewhere, place, settings)


def run_elsewhere(units: list[Unit], token: Any, code: str, place: Place, settings: PaperSettings) -> list[Result]:
    """A worker's part of a cluster: one run, until it is told to stop."""
    refuse_other(code)
    brake, asked, should_stop = Brake(), [time.monotonic()], told(token)

    def look() -> None:
        if time.monotonic() - asked[0] > LOOK:
            asked[0] = time.monotonic()
            if should_stop():
                brake.press()

    results: list[Result] = []
    if should_stop():  # told while it waited for its turn
        return results
    with contextlib.suppress(RunStopped):
        for result in run_units(place, settings, units, brake, on_step=lambda steps: look()):
            results.append(result)
    return results
