"""Runs in one process take turns, and a run can be told to pause, to make a step, or to stop.

Whoever drives a run for a panel calls `turn()` after each step; a run in a cell has the process until it has ended.
This room knows threads; nothing of networks.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from ebll.errors import RunStopped

__all__ = ["PROCESS", "Control", "Turnstile", "controlled", "lent", "turn"]

SLICE = 0.02
"""Seconds that a run keeps the process when another one waits for it."""


class Turnstile:
    """A lock that its thread may take again, that serves threads in the order they came, and that can be lent.

    set_aside   called before the lock is lent; returns a function that is called once it is back
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: deque[object] = deque()
        self._owner: int | None = None
        self._depth = 0
        self._since = 0.0
        self.set_aside: Callable[[], Callable[[], None]] | None = None

    def __enter__(self) -> Turnstile:
        with self._condition:
            if self._owner == threading.get_ident():
                self._depth += 1
            else:
                self._take(1)
        return self

    def __exit__(self, *_: object) -> None:
        with self._condition:
            self._depth -= 1
            if not self._depth:
                self._leave()

    @property
    def mine(self) -> bool:
        """Whether this thread has the lock."""
        return self._owner == threading.get_ident()

    @property
    def wanted(self) -> bool:
        """Whether this thread has had the lock for a while and another one waits for it."""
        return bool(self._waiting) and self.mine and time.monotonic() - self._since > SLICE

    def lend(self, idle: Callable[[], None] = lambda: None) -> None:
        """Let go of the lock, call `idle`, and take the lock back when those who waited have had their turn."""
        if not self.mine:
            idle()
            return
        take_back = self.set_aside() if self.set_aside else None
        with self._condition:
            depth = self._depth
            self._leave()
        try:
            idle()
        finally:
            interrupt = self._take_back(depth)
            if take_back:
                take_back()
            if interrupt is not None:
                raise interrupt

    def _take_back(self, depth: int) -> KeyboardInterrupt | None:
        """Take the lock also if Ctrl-C comes meanwhile: the blocks that it goes through count on having it."""
        interrupt = None
        while not self.mine:
            try:
                with self._condition:
                    self._take(depth)
            except KeyboardInterrupt as error:
                interrupt = error
        return interrupt

    def _take(self, depth: int) -> None:
        ticket = object()
        self._waiting.append(ticket)
        try:
            self._condition.wait_for(lambda: self._owner is None and self._waiting[0] is ticket)
        finally:  # Ctrl-C while waiting
            self._waiting.remove(ticket)
            self._condition.notify_all()
        self._owner, self._depth, self._since = threading.get_ident(), depth, time.monotonic()

    def _leave(self) -> None:
        self._owner, self._depth = None, 0
        self._condition.notify_all()


PROCESS = Turnstile()
"""What belongs to the process and not to a thread: torch's random state, and its number of threads."""


class Control:
    """The reins of one run, for other threads to hold: the run obeys at its next turn.

    on_turn   called by the run itself, before each turn
    pace      least seconds from one turn to the next
    """

    def __init__(self, on_turn: Callable[[], None] | None = None, pace: float = 0.0) -> None:
        self.turns = 0  #: turns taken so far
        self.on_turn, self.pace = on_turn, pace
        self._changed = threading.Condition()
        self._stopped, self._paused = False, False
        self._until: Callable[[], bool] | None = None
        self._next = 0.0

    @property
    def stopped(self) -> bool:
        """Whether the run has been told to stop."""
        return self._stopped

    @property
    def paused(self) -> bool:
        """Whether the run has been told to pause, and not to go on."""
        return self._paused

    @property
    def holding(self) -> bool:
        """Whether the run stands still, or will at its next turn: paused, and not on a step."""
        until = self._until
        return self._paused and not self._stopped and (until is None or until())

    def stop(self) -> None:
        """End the run at its next turn."""
        self._tell(stopped=True)

    def pause(self) -> None:
        """Hold the run at its next turn."""
        self._tell(paused=True, until=None)

    def resume(self) -> None:
        """Let a paused run go on."""
        self._tell(paused=False)

    def step(self, until: Callable[[], bool] | None = None) -> None:
        """Let the run go on until the first turn at which `until()` says so, one turn if None, and hold it there."""
        begun = self.turns
        self._tell(paused=True, until=until or (lambda: self.turns > begun))

    def _tell(self, **what: object) -> None:
        with self._changed:
            for name, value in what.items():
                setattr(self, f"_{name}", value)
            self._changed.notify_all()

    def _obey(self) -> None:
        if self.on_turn:
            self.on_turn()
        if self.pace and not (self._stopped or self._paused):
            _lend(self._keep_pace)
        if self._held():
            _lend(self._wait)
        elif PROCESS.wanted:
            _lend()
        if self._stopped:
            raise RunStopped("The run was stopped.")
        self.turns += 1

    def _held(self) -> bool:
        until = self._until
        if not self._paused or self._stopped or not (until is None or until()):
            return False
        with self._changed:
            if self._until is until:  # and no other step was asked for meanwhile
                self._until = None
        return True

    def _wait(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or not self._paused or self._until is not None)

    def _keep_pace(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._paused, max(0.0, self._next - time.monotonic()))
        self._next = time.monotonic() + self.pace


_OWN = threading.local()


@contextlib.contextmanager
def controlled(control: Control) -> Iterator[Control]:
    """Runs of this thread obey `control` inside the block."""
    before = getattr(_OWN, "control", None)
    _OWN.control = control
    try:
        yield control
    finally:
        _OWN.control = before


def turn() -> None:
    """Let other runs of the process have their turn, and obey the control of this thread's run if there is one.

    raises  `RunStopped` when the run was told to stop
    """
    control = getattr(_OWN, "control", None)
    if control is not None:
        control._obey()
    elif PROCESS.wanted:
        _lend()


def lent() -> float:
    """Seconds for which this thread has been held, kept to its pace, or has waited for others' turns."""
    return getattr(_OWN, "lent", 0.0)


def _lend(idle: Callable[[], None] = lambda: None) -> None:
    begun = time.monotonic()
    try:
        PROCESS.lend(idle)
    finally:
        _OWN.lent = lent() + time.monotonic() - begun
