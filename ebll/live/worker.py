"""One run at a time in a thread of its own, for panels: the newest asked for runs, older ones stop.

This room knows threads and `ebll.turns`; nothing of networks or widgets.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ebll.errors import RunStopped
from ebll.turns import Control, controlled

__all__ = ["Handle", "Worker"]


class Handle:
    """One run that was asked for: to wait for, and to know how it ended.

    state   "waiting", "running", "done", "stopped" or "failed"
    error   what it failed with, or None
    """

    def __init__(self, job: Callable[[], None], control: Control) -> None:
        self.control, self._job = control, job
        self.state, self.error = "waiting", None
        self._ended = threading.Event()

    @property
    def alive(self) -> bool:
        """Whether it waits or runs."""
        return not self._ended.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended; False if it has not within `timeout` seconds."""
        return self._ended.wait(timeout)

    def result(self, timeout: float | None = None) -> None:
        """Wait for the end, and raise what the run raised."""
        if not self.wait(timeout):
            raise TimeoutError(f"The run has not ended within {timeout:g} s.")
        if self.error is not None:
            raise self.error

    def _run(self, on_end: Callable[[Handle], None] | None = None) -> None:
        try:
            if not self.control.stopped:
                self.state = "running"
                with controlled(self.control):
                    self._job()
            self.state = "stopped" if self.control.stopped else "done"
        except RunStopped:
            self.state = "stopped"
        except BaseException as error:  # kept for whoever waits: a thread has nobody to raise it to
            self.state, self.error = "failed", error
        try:
            if on_end is not None:
                on_end(self)
        except Exception as error:
            self.state, self.error = "failed", error
        finally:
            self._ended.set()


class Worker:
    """Runs jobs one at a time. There is a thread only as long as there is a run.

    on_end   called in that thread at the end of each run with its `Handle`, before those who wait for it are woken
    """

    def __init__(self, on_end: Callable[[Handle], None] | None = None) -> None:
        self._on_end = on_end
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._next: Handle | None = None
        self.current: Handle | None = None  #: the newest run asked for

    def start(self, job: Callable[[], None], control: Control | None = None) -> Handle:
        """Run `job` as soon as the one before has stopped, which it is told to do now."""
        handle = Handle(job, control or Control())
        with self._lock:
            if self.current is not None:
                self.current.control.stop()
            skipped, self.current, self._next = self._next, handle, handle
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="ebll-run", daemon=True)
                self._thread.start()
        if skipped is not None:
            skipped._run()  # it never began: only says so
        return handle

    def stop(self) -> None:
        """Stop the run there is, if any."""
        with self._lock:
            if self.current is not None:
                self.current.control.stop()

    @property
    def busy(self) -> bool:
        """Whether there is a run that has not ended."""
        return self.current is not None and self.current.alive

    def _loop(self) -> None:
        while True:
            with self._lock:
                handle, self._next = self._next, None
                if handle is None:
                    self._thread = None
                    return
            handle._run(self._on_end)
