"""Converting a set of photographs once into squares of bytes, several processes at a time.

A shard's name says what is in it, so one that is there is kept however often the work was cut short, and two
conversions of one set cannot harm each other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from ebll.errors import DataMissing, InputError, OutputError, check_count, expanded
from ebll.photos.arguments import check_function
from ebll.photos.listing import Listing, Part, shown, some
from ebll.photos.shards import ROOM, Job, Made, Shard, gigabytes, in_words, make
from ebll.photos.store import VERSION, OthersStore, Store, open_store, row_numbers, store_folder, write_manifest
from ebll.workers import default_workers, streamed

__all__ = ["convert"]

ROWS = 512  # images a shard: 100 MB at 256 pixels
_OLD = 3600  # seconds after which a file half written must be a dead process's
_SHOWN = 10  # unreadable images named in one error


def convert(
    listing: Listing,
    part: str,
    folder: str | os.PathLike,
    *,
    size: int = 256,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    rows: Tensor | np.ndarray | Sequence[int] | None = None,
    skip_unreadable: bool = False,
) -> Store:
    """The photographs of a part of a set as squares of `size` pixels, made where they are not there yet.

    They go to `store_folder(folder, listing.name, part, size, rows)`, or, where another folder of that name could have
    its own there, to one with the listing's mark in its name. What an earlier conversion has made of the same files
    stays; a file counts as the same while its path and its length are.

    Args:
        listing: which files.
        part: "train" or "test".
        folder: for all converted sets; see `default_cache`.
        size: height and width of a square, in pixels.
        workers: processes; by default as many as there are cores, at most eight. A single shard is made in this one.
        progress: called as (images done, of how many) while they come.
        rows: positions in the part, to convert only those, in that order.
        skip_unreadable: leave out images that cannot be read, and list them, rather than refuse.

    Raises:
        InputError: images that cannot be read, all of them counted; the other shards have been made then. Converted
            images of another version of ebll, or another program's files, where these would go.
        OutputError: the folder cannot be written, or the disk has too little room; what was finished stays.
    """
    size = check_count(size, "size", low=4)
    workers = default_workers() if workers is None else check_count(workers, "workers")
    check_function(progress, "progress", "images done and of how many")
    progress = progress or (lambda done, total: None)
    images, rows = _chosen(listing.part(part), rows)
    origin = _origin(listing.base, expanded(folder, "cache"))
    target, before = _place(listing, origin, lambda name: store_folder(folder, name, part, size, rows))
    jobs = _jobs(listing.base, images.paths, target, size, skip_unreadable)
    digest = _digest([listing.classes, images.labels, [job.file for job in jobs]])
    done = before is not None and before.digest == digest and _says(before, listing.classes, images, jobs)
    if done and (skip_unreadable or not before.skipped):
        progress(len(images.paths), len(images.paths))
        return before
    made = _all_made(jobs, workers, progress)
    about = {"name": listing.name, "part": part, "size": size, "digest": digest, "classes": listing.classes}
    about |= {"origin": origin}
    _finish(target, images, made, about)
    _tidy(target, before, {job.file for job in jobs})
    return open_store(target)


def _chosen(part: Part, rows: Tensor | np.ndarray | Sequence[int] | None) -> tuple[Part, np.ndarray | None]:
    """The images at `rows`; all rows in their own order are no choice."""
    count = len(part.paths)
    numbers = np.arange(count) if rows is None else row_numbers(rows, count)
    if not len(numbers):
        raise InputError("there is no image to convert: give at least one row.")
    if np.array_equal(numbers, np.arange(count)):
        return part, None
    if len(np.unique(numbers)) < len(numbers):
        raise InputError("rows must name each image once; some come twice. Leave those out.")
    chosen = numbers.tolist()
    return Part(tuple(part.paths[i] for i in chosen), tuple(part.labels[i] for i in chosen)), numbers


def _jobs(base: Path, paths: tuple[str, ...], target: Path, size: int, skip: bool) -> list[Job]:
    jobs = []
    for number, start in enumerate(range(0, len(paths), ROWS)):
        mine = paths[start : start + ROWS]
        key = _digest([VERSION, size, [(path, _length(base, path)) for path in mine]])[:16]
        jobs.append(Job(base, mine, target, f"{number:05d}-{key}.npy", size, skip))
    return jobs


def _length(base: Path, path: str) -> int:
    try:
        return os.stat(f"{base}/{path}").st_size
    except OSError:
        return -1  # reading it will fail, and say why


def _digest(held: object) -> str:
    return hashlib.sha256(json.dumps(held).encode()).hexdigest()


def _origin(base: Path, cache: Path) -> str:
    """Where a set lies as seen from the folder of converted sets, so that both may be moved together."""
    try:
        return os.path.relpath(base.resolve(), cache.resolve())
    except ValueError:  # another drive
        return str(base.resolve())


def _place(listing: Listing, origin: str, folder_of: Callable[[str], Path]) -> tuple[Path, Store | None]:
    """(the folder for a set's squares, the store that is there already).

    A folder of one's own goes by its name alone where it lies right under the data root, unless those of a folder of
    the same name under another root are there.
    """
    if not listing.mark or listing.usual:
        target = folder_of(listing.name)
        before = _before(target)
        if not listing.mark or before is None or before.origin in ("", origin):
            return target, before
    target = folder_of(f"{listing.name}-{listing.mark}")
    return target, _before(target)


def _before(target: Path) -> Store | None:
    try:
        return open_store(target)
    except OthersStore:
        raise
    except (InputError, DataMissing):
        return None


def _says(store: Store, classes: tuple[str, ...], images: Part, jobs: list[Job]) -> bool:
    """Whether a store's manifest says of its images what the listing says: someone may have edited it."""
    held = {shard.file: shard for shard in store.shards}
    # A shard without one readable image stands in no manifest.
    shards = [held.get(job.file) or Shard(job.file, 0, 0, "", tuple(range(len(job.paths)))) for job in jobs]
    if store.classes != classes or not all(job.fits(shard) for job, shard in zip(jobs, shards, strict=True)):
        return False
    said = (store.labels.tolist(), list(store.skipped), list(store.shards))
    return said == (*_kept(images, shards), [shard for shard in shards if shard.rows])


def _kept(images: Part, shards: Sequence[Shard]) -> tuple[list[int], list[str]]:
    """(labels of the images that are in the shards, paths of those that were left out)."""
    skipped = {i * ROWS + position for i, shard in enumerate(shards) for position in shard.skipped}
    labels = [label for i, label in enumerate(images.labels) if i not in skipped]
    return labels, [images.paths[i] for i in sorted(skipped)]


def _all_made(jobs: list[Job], workers: int, progress: Callable[[int, int], None]) -> list[Made]:
    """What came of each job, in their order."""
    made = {job.file: Made(job.file, job.kept()) for job in jobs}
    todo = [job for job in jobs if made[job.file].shard is None]
    total = sum(len(job.paths) for job in jobs)
    done = total - sum(len(job.paths) for job in todo)
    progress(done, total)
    if todo:
        _make_room(todo)
    with contextlib.closing(_results(todo, min(workers, len(todo)))) as results:
        for result in results:
            if isinstance(result, Made):
                made[result.file] = result
            elif result is not None:
                done += result
                progress(done, total)
    return list(made.values())


def _results(jobs: list[Job], workers: int) -> Generator[Made | int | None, None, None]:
    if workers > 1:
        with contextlib.closing(streamed(make, jobs, workers)) as results:
            yield from results
    else:
        for job in jobs:
            yield from make(job)


def _make_room(jobs: list[Job]) -> None:
    """Make the folder, and see that there is room for all that is to come."""
    folder, needed = jobs[0].folder, sum(job.bytes for job in jobs)
    with in_words(folder, needed):
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    if free < needed:
        raise OutputError(
            f"{folder}: the converted photographs need {gigabytes(needed)}, {gigabytes(free)} are free. {ROOM}"
        )


def _finish(target: Path, images: Part, made: list[Made], about: dict[str, object]) -> None:
    """Write the manifest, or refuse."""
    bad = [(images.paths[i * ROWS + position], why) for i, m in enumerate(made) for position, why in m.unreadable]
    if bad:
        raise InputError(
            f"{len(bad):,} of {some(images.paths, 'image')} cannot be read: "
            f"{shown([f'{path} ({why})' for path, why in bad], _SHOWN)}. Delete them or fetch them again; "
            "skip_unreadable=True (--skip-unreadable) leaves them out."
        )
    shards = [m.shard for m in made if m.shard is not None]
    labels, skipped = _kept(images, shards)
    if not labels:
        raise InputError(f"none of {some(images.paths, 'image')} can be read. Fetch the set again.")
    about = {**about, "labels": labels, "skipped": skipped}
    with in_words(target, 0):
        write_manifest(target, [shard for shard in shards if shard.rows], about)


def _tidy(target: Path, before: Store | None, now: set[str]) -> None:
    """Remove the shards of a former listing, and what processes that were killed have left."""
    former = {shard.file for shard in before.shards} - now if before else set()
    with contextlib.suppress(OSError):
        old = [path for path in target.glob(".*.npy*") if time.time() - path.stat().st_mtime > _OLD]
        for path in [*old, *(target / name for file in former for name in (file, f"{file}.json"))]:
            path.unlink(missing_ok=True)
