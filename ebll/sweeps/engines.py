"""Where the runs of a sweep are worked off: in this process, in a pool of processes, or on any executor.

An executor is whatever has `submit(function, *arguments)` that returns a future with `done()`, `result()` and
`cancel()`: those of `concurrent.futures`, and a Dask `Client`.
"""

from __future__ import annotations

import contextlib
import functools
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from pathlib import Path
from typing import Any, Protocol

from ebll.config import RunConfig
from ebll.errors import EbllError, InputError, RunStopped
from ebll.sweeps.cluster import Flag, is_dask, told, workers_of
from ebll.sweeps.single import RunResult, run_one
from ebll.sweeps.store import Store
from ebll.sweeps.version import code_version
from ebll.workers import streamed

__all__ = ["Executor", "chunks_of", "handed_out", "on_executor", "on_pool", "one_by_one", "refuse_other"]

LOOK = 0.05  # seconds between two looks at what has come
LARGEST = 8  # runs in one chunk: few, so that the workers finish together
SLICE = 2.0  # seconds after which a chunk elsewhere hands back what it has done: little is lost when a worker dies
RECOUNT = 2.0  # seconds between two counts of a cluster's workers, which come and go
PATIENCE = 0.7  # seconds that those who were told to stop have to hand back what they have done


class Executor(Protocol):
    """What takes a chunk of work."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any:
        """Begin a call somewhere, and return a future of it."""


def chunks_of(configs: Sequence[RunConfig], workers: int) -> list[list[RunConfig]]:
    """Runs in chunks: those of one chunk branch from the same network, which is then learned once.

    So many that all workers have something to do.
    """
    groups: dict[Any, list[RunConfig]] = {}
    for config in configs:
        groups.setdefault((config.tasks[0], config.net, config.seed), []).append(config)
    size = max(1, min(LARGEST, len(configs) // max(1, 2 * workers)))
    return [group[i : i + size] for group in groups.values() for i in range(0, len(group), size)]


def one_by_one(
    configs: Sequence[RunConfig], store: Store | None, stop: Callable[[], bool], device: str = "cpu"
) -> Iterator[RunResult]:
    """Run in this thread; ends early, between two runs or in the middle of one, once `stop()` says so.

    configs   to be run; what `store` holds is taken from there, since another process may have run some meanwhile.
              Nothing is written here
    """
    asked = _now_and_then(stop)
    for config in configs:
        if stop():
            return
        result = None if store is None else store.get(config)
        if result is None:
            try:
                result = run_one(config, device, asked)
            except RunStopped:
                return
        yield result


def on_pool(
    configs: Sequence[RunConfig], workers: int, store: Store | None, stop: Callable[[], bool], device: str = "cpu"
) -> Iterator[RunResult]:
    """Run in processes of one thread each, which write every result as soon as it is there.

    raises  `EbllError` where a worker was ended from outside; what had been finished has then been delivered
    """
    work = functools.partial(_portion, None if store is None else store.folder, device)
    with contextlib.closing(streamed(work, _turned(chunks_of(configs, workers), store), workers)) as results:
        for result in results:
            if result is not None:
                yield result
            if stop():
                return


def _portion(folder: Path | None, device: str, configs: Sequence[RunConfig]) -> Iterator[RunResult]:
    """A worker's part; it writes what it has done before it tells of it, so that a lost parent loses nothing."""
    store = None if folder is None else Store(folder)
    for result in one_by_one(configs, store, lambda: False, device):
        if store is not None and result.final:
            store.put(result)
        yield result


def _turned(chunks: list[list[RunConfig]], store: Store | None) -> list[list[RunConfig]]:
    """Begin anywhere, so that two processes that share a store and began together do not do the same runs."""
    by = random.SystemRandom().randrange(len(chunks)) if store is not None else 0
    return chunks[by:] + chunks[:by]


def on_executor(
    configs: Sequence[RunConfig], executor: Executor, workers: int, stop: Callable[[], bool], device: str = "cpu"
) -> Iterator[RunResult]:
    """Run wherever an executor runs things.

    What a Dask client or a thread pool has begun is told to stop, and hands back what it has done; others finish the
    chunk that they are at. A Dask worker that dies is made up for by the others.

    raises  `InputError` for what is no executor; `EbllError`, once all else is done, where chunks were lost, or at once
            where the executor is broken or the cluster has gone
    """
    return handed_out(chunks_of(configs, workers), executor, workers, stop, _run_chunk, device)


def handed_out(
    chunks: Sequence[list[Any]],
    executor: Executor,
    workers: int,
    stop: Callable[[], bool],
    run: Callable[..., list[Any]],
    *more: Any,
) -> Iterator[Any]:
    """What `run(chunk, token, code version, *more)` gives somewhere else for each chunk, as it comes.

    run   does as many of a chunk as it has time for, in their order, and returns a result each; `cluster.told(token)`
          says whether it should stop
    """
    if not callable(getattr(executor, "submit", None)):
        raise InputError(
            "executor: something with submit(function, *arguments), such as a ProcessPoolExecutor or a Dask Client; "
            f"got {type(executor).__name__}."
        )
    work = _Elsewhere(executor, workers, deque(chunks), run, more)
    try:
        while (work.chunks or work.waiting) and not stop():
            work.submit()
            came = work.come()
            yield from came
            if not came:
                time.sleep(LOOK)
            if work.broken:
                break
        if work.waiting and not work.broken:
            yield from work.stop()
    except KeyboardInterrupt:
        yield from work.stop()
        raise
    finally:
        work.drop()
    if work.faults and (work.broken or not stop()):
        raise work.words() from work.faults[0]


class _Elsewhere:
    """Chunks on their way to an executor and back."""

    def __init__(
        self, executor: Any, workers: int, chunks: deque[list[Any]], run: Callable[..., list[Any]], more: Sequence[Any]
    ) -> None:
        self.executor, self.workers, self.chunks, self.run, self.more = executor, workers, chunks, run, more
        self.waiting: list[tuple[Any, list[Any]]] = []
        self.faults: list[Exception] = []
        self.broken = False  # nothing more can come
        self.flag, self._counted = Flag(executor), time.monotonic()
        # Dask would take two calls with equal arguments for one.
        self._options = {"pure": False} if is_dask(executor) else {}

    def submit(self) -> None:
        """Give away as much as keeps the workers busy; the rest may still change."""
        if is_dask(self.executor) and time.monotonic() - self._counted > RECOUNT:
            with contextlib.suppress(EbllError):  # what is amiss will be told by the runs under way
                self.workers = workers_of(self.executor, self.workers)
            self._counted = time.monotonic()
        try:
            while self.chunks and len(self.waiting) < 2 * self.workers:
                given = (self.chunks[0], self.flag.token, code_version(), *self.more)
                self.waiting.append((self.executor.submit(self.run, *given, **self._options), self.chunks[0]))
                self.chunks.popleft()
        except Exception as error:
            self.faults, self.broken = [error], True

    def come(self) -> list[Any]:
        """What has been handed back since the last look."""
        ended = [pair for pair in self.waiting if pair[0].done()]
        self.waiting = [pair for pair in self.waiting if not any(pair is one for one in ended)]
        results: list[Any] = []
        for future, chunk in ended:
            try:
                done = future.result()
            except Exception as error:
                self.faults.append(error)
                # Dask calls off all that a client waits for when the scheduler has gone.
                self.broken |= isinstance(error, BrokenExecutor | CancelledError | EbllError)
                continue
            results += done
            if rest := chunk[len(done) :]:
                self.chunks.appendleft(rest)  # soon again, as long as its first network is at hand
        return results

    def stop(self) -> Iterator[Any]:
        """Tell those at work to stop, and wait a moment for what they have done."""
        until = time.monotonic() + PATIENCE
        heard = self.flag.raise_it()
        while self.waiting and heard and not self.broken and time.monotonic() < until:
            yield from self.come()
            time.sleep(LOOK / 5)
        yield from self.come()

    def drop(self) -> None:
        """Call off what has not begun."""
        if self.waiting:
            self.flag.raise_it()
        for future, _ in self.waiting:
            with contextlib.suppress(Exception):  # what cannot be called off is no reason to lose what has come
                future.cancel()

    def words(self) -> EbllError:
        """What went wrong."""
        first = self.faults[0]
        if isinstance(first, EbllError):
            return type(first)(str(first))
        what = f"{type(first).__name__}: {' '.join(str(first).split())}"
        if self.broken:
            where = "The Dask cluster has gone" if is_dask(self.executor) else "The executor takes no more work"
            return EbllError(
                f"{where} ({what}). What was finished is kept in the store, if there is one; the same sweep goes on "
                "from there."
            )
        return EbllError(
            f"{len(self.faults)} portions of the runs came to nothing, all others are done. The first: {what}. A "
            "worker that dies again and again most often lacks memory. The same sweep tries again what is missing."
        )


def _run_chunk(configs: Sequence[RunConfig], token: Any, code: str, device: str = "cpu") -> list[RunResult]:
    """A worker's part: runs one after the other, those for which there was time and until it is told to stop."""
    refuse_other(code)
    begun, done = time.monotonic(), []
    for result in one_by_one(configs, None, told(token), device):
        done.append(result)
        if time.monotonic() - begun > SLICE:
            break
    return done


def refuse_other(code: str) -> None:
    """In a worker: raise `EbllError` where its version is another than the one that asked."""
    if code != code_version():
        raise EbllError(
            "The workers have another version of ebll or of torch than this process, so that their numbers might "
            "differ. Install the same on both sides, and start the workers anew."
        )


def _now_and_then(stop: Callable[[], bool]) -> Callable[[], bool]:
    """`stop` is not ours and may take its time: however often a run asks, it is asked every `LOOK` seconds."""
    asked = time.monotonic()

    def look() -> bool:
        nonlocal asked
        if time.monotonic() - asked <= LOOK:
            return False
        asked = time.monotonic()
        return stop()

    return look
