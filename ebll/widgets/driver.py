"""Runs a generator to its end as a task of the kernel's event loop; it can be paused, stepped and stopped."""

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
    """One run, without a thread: while a cell is busy, the run stands still.

    steps     yields True where `step` holds the run; it is closed at the end, also where the run is stopped
    on_slice  called after each slice of work, and when the run is held
    on_end    called with the driver at the end, unless another run has replaced this one
    loop      the event loop; without one the run is taken to its end here, and its errors are raised
    threads   processor threads for torch
    pace      gives the least seconds from one step to the next
    held      begin as after `step()`
    state     "running", "done", "stopped" or "failed"
    error     the exception of a failed run, or None
    """

    def __init__(
        self, steps: Generator[Any, None, None], *, on_slice: Callable[[], None],
        on_end: Callable[[Driver], None], loop: asyncio.AbstractEventLoop | None, threads: int,
        pace: Callable[[], float] = lambda: 0.0, held: bool = False,
    ) -> None:  # fmt: skip
        self._steps, self._on_slice, self._on_end, self._threads = steps, on_slice, on_end, threads
        self._pace, self._go, self._to_go = pace, asyncio.Event(), int(held)
        self.state, self.error, self.paused, self.replaced = "running", None, held, False
        self._go.set()
        self._last = time.monotonic()
        self.task = loop.create_task(self._run()) if loop else None
        if self.task is not None:
            self.task.add_done_callback(self._end)
            return
        with contextlib.closing(steps):
            while not self._work():
                pass
        self.state = "done"
        on_end(self)

    @property
    def held(self) -> bool:
        """Whether the run stands still."""
        return not self._go.is_set()

    def pause(self) -> None:
        """Hold the run after the step that it is at."""
        self.paused, self._to_go = True, 0
        self._go.clear()

    def resume(self) -> None:
        """Let a paused run go on."""
        self.paused, self._to_go = False, 0
        self._go.set()

    def step(self) -> None:
        """Let the run go on to the next step that holds it; called several times, by as many of those."""
        self.paused, self._to_go = True, self._to_go + 1
        self._go.set()

    def stop(self, replaced: bool = False) -> None:
        """End the run after the step that it is at; with `replaced`, `on_end` is not called."""
        self.replaced |= replaced
        if self.task is not None:
            self.task.cancel()

    async def _run(self) -> None:
        with contextlib.closing(self._steps):
            while not self._work():
                self._on_slice()
                await self._wait()

    def _end(self, task: asyncio.Task[None]) -> None:
        self.error = None if task.cancelled() else task.exception()
        self.state = "stopped" if task.cancelled() else "failed" if self.error else "done"
        if not self.replaced:
            self._on_end(self)

    def _work(self) -> bool:
        """A slice of work, or one step where each may be the last for now; returns whether the run has ended."""
        end = time.monotonic() + (0.0 if self._to_go or self._pace() else SLICE)
        with cpu_threads(self._threads):
            for place in self._steps:
                if self._to_go and place is True:
                    self._to_go -= 1
                    if not self._to_go:
                        self.pause()
                if time.monotonic() >= end:
                    return False
        return True

    async def _wait(self) -> None:
        """Let messages be handled; then wait until the run may go on."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
        if self._pace() and not self.paused:
            await asyncio.sleep(max(0.0, self._last + self._pace() - time.monotonic()))
        self._last = time.monotonic()
        if self.held:
            self._on_slice()
            await self._go.wait()
