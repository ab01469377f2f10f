"""The paper's protocol from end to end: data made ready, every run, then tables, claims and pictures.

paper("data/", experiments=["flowers-birds"], out="out/paper")    # what `ebll paper --root data/ ...` calls
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ebll.backbones import BACKBONES
from ebll.errors import DataMissing, InputError, RunStopped, TrainingDiverged, check_choice, check_count, expanded
from ebll.methods import METHODS
from ebll.paper.estimate import steps_of
from ebll.paper.plan import PaperSettings, Unit, experiments_of, units_of
from ebll.paper.report import layout_text, layouts
from ebll.paper.resume import alone_in, keep_inputs, refuse_other_settings
from ebll.paper.runs import Brake, Result, begun, run_units
from ebll.paper.sizes import set_size
from ebll.paper.spread import on_devices, on_executor, prepare_starts
from ebll.paper.start import Place, cut_net
from ebll.photos import default_cache, find_photos
from ebll.photos.loading import converted
from ebll.photos.store import Store
from ebll.reproduce import Outcome, choose_device, conclude, versions
from ebll.reproduce.jobs import Tables
from ebll.reproduce.plan import Experiment
from ebll.reproduce.report import drop_conclusions, prepare_folder, write_table, write_tables, write_text
from ebll.sweeps.engines import Executor

__all__ = ["chosen_units", "paper", "prepare_data"]


def chosen_units(
    settings: PaperSettings,
    experiments: str | Sequence[str] | None = (),
    methods: str | Sequence[str] | None = None,
    seeds: int = 1,
    first_seed: int = 0,
) -> list[Unit]:
    """The runs that these words ask for; see `paper`.

    raises   `InputError` for a sequence, a method, a backbone or a number that cannot be
    """
    net, at, cut = settings.backbone.partition("@")
    check_choice(net, BACKBONES, "Backbone")
    if at:
        check_choice(cut, BACKBONES[net].stages, f"Cut of {net}")
    names = tuple(
        dict.fromkeys(check_choice(name, METHODS, "Method") for name in _several(methods, "methods") or METHODS)
    )
    seeds, first_seed = check_count(seeds, "seeds", high=1000), check_count(first_seed, "first_seed", low=0)
    found = experiments_of(_several(experiments, "experiments"), settings.backbone)
    return units_of(found, names, range(first_seed, first_seed + seeds))


def _several(given: Any, name: str) -> tuple[str, ...]:
    """One name or several as a tuple; none for None."""
    several = () if given is None else (given,) if isinstance(given, str) else given
    several = tuple(several) if isinstance(several, Iterable) else (None,)
    if not all(isinstance(one, str) for one in several):
        raise InputError(f"{name} takes a name, or several such as ['flowers-birds']; got {given!r}.")
    return several


def paper(
    root: str | os.PathLike,
    *,
    experiments: str | Sequence[str] | None = (),
    methods: str | Sequence[str] | None = None,
    seeds: int = 1,
    first_seed: int = 0,
    settings: PaperSettings | None = None,
    out: str | os.PathLike = "out/paper",
    device: str = "auto",
    devices: Sequence[str] = (),
    executor: Executor | None = None,
    workers: int = 1,
    resume: bool = False,
    brake: Brake | None = None,
    on_data: Callable[[str], Callable[[int, int], None]] | None = None,
    on_start: Callable[[Sequence[Unit], Sequence[int]], None] | None = None,
    on_step: Callable[[int], None] | None = None,
    on_result: Callable[[int, int, str], None] | None = None,
    say: Callable[[str], None] = print,
    **place: Any,
) -> Outcome:
    """Run the paper's sequences and write tables, claims, figures and the paper's table layout.

    root          the data root; `ebll.photos` says how the sets lie under it
    experiments   one or several, such as "imagenet-scenes", or sets joined by "-"; all of `SEQUENCES` for none
    methods       one name, or several; all for None
    seeds         how many, counted up from `first_seed`
    settings      `PaperSettings`
    out           folder for results, and for the checkpoints of what is not done
    device        "auto", "cpu" or "cuda"
    devices       several, such as ("cuda:0", "cuda:1"): each gets a process and its share of the runs
    executor      runs them elsewhere: whatever has submit(), such as a Dask Client; `workers` says how many at a time
    resume        go on with what an earlier call with this `out` has begun
    brake         pressed, it stops the run in work at its next step
    on_data, on_start, on_step, on_result   told of images converted, of the runs and about how many steps each takes,
                  of steps made, of runs done
    say           told in words of checkpoints that cannot be read or written
    place         cache, room, minutes, incomplete, skip_unreadable, download, keep_weights: see `Place`
    returns       an `Outcome`; where it is stopped, the tables so far are in `out` before the error goes on
    raises        `DataMissing`, `InputError`, `OutputError` in words; `RunStopped` once the brake is pressed;
                  `TrainingDiverged` where no run came to its end
    """
    settings, brake = settings or PaperSettings(), brake or Brake()
    if not isinstance(settings, PaperSettings):
        raise InputError(f"settings takes PaperSettings(...); got {type(settings).__name__}.")
    units = chosen_units(settings, experiments, methods, seeds, first_seed)
    folder = prepare_folder(expanded(out, "out"))
    here = Place(expanded(root, "root"), folder, device=_device(device, devices), **place)
    told = dict(on_data=on_data, on_start=on_start, on_step=on_step, on_result=on_result, say=say)
    with alone_in(folder):
        return _all_of(here, settings, units, devices, executor, workers, resume, brake, **told)


def _all_of(
    here: Place,
    settings: PaperSettings,
    units: list[Unit],
    devices: Sequence[str],
    executor: Executor | None,
    workers: int,
    resume: bool,
    brake: Brake,
    *,
    on_data: Callable[[str], Callable[[int, int], None]] | None,
    on_start: Callable[[Sequence[Unit], Sequence[int]], None] | None,
    on_step: Callable[[int], None] | None,
    on_result: Callable[[int, int, str], None] | None,
    say: Callable[[str], None],
) -> Outcome:
    """See `paper`; nobody else works in the folder."""
    folder, known = here.out, begun(here, settings, units)
    if known and not resume:
        raise InputError(
            f"{folder} holds {len(known)} of these {len(units)} runs, begun or done, such as {known[0].name}. Go on "
            "with them by --resume, or choose another folder with --out."
        )
    refuse_other_settings(here, settings, units)
    sequences = list(dict.fromkeys(unit.experiment for unit in units))
    if settings.weights != "none":
        cut_net(settings, units[0].seed)  # what is amiss with the weights is said before an hour of conversion
    stores = prepare_data(here, settings, sequences, on_data)
    left_out = {name: both[0].skipped + both[1].skipped for name, both in stores.items()}
    left_out = {name: list(files) for name, files in left_out.items() if files}
    for name, files in left_out.items():
        few = ", ".join(files[:3]) + f" and {len(files) - 3} more" * (len(files) > 3)
        say(f"{name}: {len(files)} unreadable image files are left out: {few}. All are named in run.json.")
    digests = {name: " ".join(store.digest for store in both) for name, both in stores.items()}
    keep_inputs(folder, digests | {"weights": _weights(settings)})
    results: list[Result] = []
    if on_start:
        sizes = {name: set_size(here, settings, name) for e in sequences for name in e.tasks}
        on_start(units, steps_of(units, settings, sizes))
    brake.ready = True
    try:
        for result in _results(here, settings, units, devices, executor, workers, brake, say, on_step):
            results.append(result)
            if on_result:
                on_result(len(results), len(units), f"{result.facts['sequence']} {result.facts['method']}")
        if len(results) < len(units):  # processes and executors end without an error when they are stopped
            raise RunStopped("Stopped; what was done is kept, and the same command with --resume goes on.")
        sequences = _learned(results, sequences)
    except BaseException:
        if results:
            write_tables(_tables(results).joined(sequences), folder)
            _drop_conclusions(folder)
        raise
    about = {
        "sequences": [e.id for e in sequences],
        "seeds": sorted({unit.seed for unit in units}),
        "settings": settings.as_dict(),
        "unreadable": left_out,
        "device": here.device,
        **versions(),
    }
    _drop_conclusions(folder)
    outcome = conclude(_tables(results), sequences, folder, about)
    tables = layouts(outcome.accuracy, sequences)
    write_text(layout_text(tables), folder / "paper-layout.md")
    for i, table in enumerate(tables.values(), 1):
        write_table(table.rename_axis("method").reset_index(), folder / f"paper-layout-{i}.csv")
    return outcome


def _tables(results: Sequence[Result]) -> Tables:
    tables = Tables(failures=[result.failure for result in results if result.failure])
    for result in results:
        for name in ("accuracy", "curves", "kept"):
            tables.parts[name].append(pd.DataFrame([result.facts | row for row in getattr(result, name)]))
    return tables


def _learned(results: Sequence[Result], sequences: Sequence[Experiment]) -> list[Experiment]:
    """The sequences that some run came to the end of: there is nothing to conclude from the others.

    raises   `TrainingDiverged` where no run did
    """
    ended = {result.facts["sequence"] for result in results if not result.failure}
    if not ended:
        failures = list(dict.fromkeys(result.failure for result in results))
        raise TrainingDiverged(f"All {len(results)} runs ended early. The first: {failures[0]}")
    return [e for e in sequences if e.id in ended]


def _drop_conclusions(folder: Path) -> None:
    drop_conclusions(folder)
    for path in folder.glob("paper-layout*"):
        path.unlink(missing_ok=True)


def prepare_data(
    place: Place,
    settings: PaperSettings,
    experiments: Sequence[Experiment],
    on_data: Callable[[str], Callable[[int, int], None]] | None = None,
) -> dict[str, tuple[Store, Store]]:
    """Find every set before anything is done, so that all that is missing is said at once; then convert them.

    returns  set -> its converted training and test images
    raises   `DataMissing` for all missing sets together; see `find_photos` and `convert`
    """
    if place.cache is not None and not str(place.cache).strip():
        raise InputError("The folder for converted images has an empty name. Name one with --cache.")
    names, listings, missing = list(dict.fromkeys(t for e in experiments for t in e.tasks)), {}, []
    for name in names:
        try:
            options = {"incomplete": place.incomplete, "download": place.download}
            listings[name] = find_photos(name, place.root, **options)
        except DataMissing as error:
            missing.append(str(error))
    if missing:
        raise DataMissing("\n".join(missing))
    cache = default_cache(place.root) if place.cache is None else place.cache
    options = {"progress": on_data, "skip_unreadable": place.skip_unreadable}
    return {name: converted(one, cache, settings.photos_of(name), **options) for name, one in listings.items()}


def _weights(settings: PaperSettings) -> str:
    """The name of the weights, or a hash of their file."""
    file = expanded(settings.weights, "weights")
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else settings.weights


def _device(device: str, devices: Sequence[str]) -> str:
    return devices[0] if devices else choose_device(device)


def _results(place, settings, units, devices, executor, workers, brake, say, on_step):
    if executor is None and len(devices) < 2:
        return run_units(place, settings, units, brake, say=say, on_step=on_step)
    prepare_starts(place, settings, units, brake, on_step)
    if executor is not None:
        return on_executor(place, settings, units, executor, workers, lambda: brake.pressed)
    return on_devices(place, settings, units, devices, lambda: brake.pressed)
