"""Looking at something again and again while a panel is open, in a thread of its own."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

__all__ = ["Follower"]


class Follower:
    """Calls a method every so many seconds, until `end`, or until nobody holds its object any more.

    look    a bound method; what it raises ends the following
    every   seconds
    """

    def __init__(self, look: Callable[[], None], every: float = 0.5) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=_follow, args=(weakref.WeakMethod(look), self._ended, every), name="ebll-follow", daemon=True
        )
        self._thread.start()

    def end(self, timeout: float = 0.0) -> None:
        """End it, and wait for that for so many seconds; it may be told from within."""
        self._ended.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)


def _follow(ref: weakref.WeakMethod, ended: threading.Event, every: float) -> None:
    while not ended.wait(every):
        look = ref()
        if look is None:
            return
        look()
        del look  # else this thread would keep its object alive while it waits
