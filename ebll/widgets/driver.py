"""Takes a generator to its end as a task of the kernel's event loop; it can be paused, stepped and stopped."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Generator
from typing import Any

from ebll.seeds import cpu_threads

__all__ = ["Driver"]

SLICE = 0.02  # seconds of work between two looks at the event loop
TURNS = 8  # of the event loop after each slice: a message passes through several before its handler is called


class Driver:
    """One run. There is no thread: while a cell is busy, it is held up.

    steps     what is iterated; it is closed at the end, also where it is stopped
    on_slice  called after each slice of work and when the run is held, with whether it is held
    on_end    called at the end with the driver; not where another run has taken its place
    loop      the event loop; without one the run is taken to its end here, and what it raises is raised
    threads   processor threads for torch
    pace      least seconds from one step to the next
    until     as in `step`: where to hold it first
    state     "running", "done", "stopped" or "failed"
    error     what it failed with, or None
    """

    def __init__(
        self, steps: Generator[Any, None, None], *, on_slice: Callable[[bool], None], on_end: Callable[[Driver], None],
        loop: asyncio.AbstractEventLoop | None, threads: int, pace: Callable[[], float] = lambda: 0.0,
        until: Callable[[], bool] | None = None,
    ) -> None:  # fmt: skip
        self._steps, self._on_slice, self._on_end, self._threads = steps, on_slice, on_end, threads
        self._pace, self._until, self._go = pace, until, asyncio.Event()
        self.state, self.error, self.paused, self.replaced = "running", None, until is not None, False
        self._go.set()
        self._last = time.monotonic()
        self.task = loop.create_task(self._run()) if loop else None
        if self.task is not None:
            self.task.add_done_callback(self._end)
        else:
            self._take_to_end()

    def pause(self) -> None:
        """Hold the run after the step that it is at."""
        self.paused, self._until = True, None
        self._go.clear()

    def resume(self) -> None:
        """Let a paused run go on."""
        self.paused, self._until = False, None
        self._go.set()

    def step(self, until: Callable[[], bool]) -> None:
        """Let the run go on until the first step at which `until()` says so, and hold it there."""
        self.paused, self._until = True, until
        self._go.set()

    def stop(self, replaced: bool = False) -> None:
        """End the run after the step that it is at.

        replaced   another run takes its place, so that nothing is told of this one's end
        """
        self.replaced |= replaced
        if self.task is not None:
            self.task.cancel()

    async def _run(self) -> None:
        with contextlib.closing(self._steps):
            while not self._work():
                self._on_slice(False)
                if self._until is not None and self._until():
                    self.pause()
                await self._wait()

    def _end(self, task: asyncio.Task[None]) -> None:
        self.error = None if task.cancelled() else task.exception()
        self.state = "stopped" if task.cancelled() else "failed" if self.error else "done"
        if not self.replaced:
            self._on_end(self)

    def _work(self) -> bool:
        """A slice of work, or a step where each may be the last for now; returns whether the run has ended."""
        end = time.monotonic() + (0.0 if self._until is not None or self._pace() else SLICE)
        with cpu_threads(self._threads):
            for _ in self._steps:
                if time.monotonic() >= end:
                    return False
        return True

    async def _wait(self) -> None:
        """Let messages be handled; then until the run may go on."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
        if self._pace() and not self.paused:
            await asyncio.sleep(max(0.0, self._last + self._pace() - time.monotonic()))
        self._last = time.monotonic()
        if not self._go.is_set():
            self._on_slice(True)
            await self._go.wait()

    def _take_to_end(self) -> None:
        with contextlib.closing(self._steps), cpu_threads(self._threads):
            for _ in self._steps:
                pass
        self.state = "done"
        self._on_end(self)
