"""What all widgets share: one a cell, events in the thread of the kernel, errors in words, a picture without one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import ipywidgets
from IPython import get_ipython

from ebll.errors import EbllError, InputError, check_choice, expanded

from .chart import Drawing, with_picture
from .controls import Status, all_in

__all__ = ["Widget"]

_alive: weakref.WeakValueDictionary[tuple[str, str], Widget] = weakref.WeakValueDictionary()


class Widget(ABC):
    """A widget: shows itself as the last value of a cell, or as a picture without a front end.

    errors   faults of the widget itself, the newest last; empty if all is well
    root     the widget that holds it all, or None where only a picture is shown
    """

    controls: ClassVar[tuple[str, ...]] = ()  #: names that `hide` and `lock` take

    def __init__(self, hide: Iterable[str], lock: Iterable[str], folder: str | Path) -> None:
        self.errors: list[Exception] = []
        self.hidden, self.locked = self._names(hide, "hide"), self._names(lock, "lock")
        self.folder, self.static = expanded(folder, "folder"), is_static()
        self.root: ipywidgets.Widget | None = None
        self.status: Status | None = None
        self.closed = False
        self._loop = None if self.static else event_loop()
        self._thread = threading.get_ident()
        self._events: deque[tuple[Callable[[Any], None], Any]] = deque()  # from another thread, not acted on yet
        self._writing = False
        self._stays = 0.0
        cell = "" if self.static else cell_key()
        if cell and (before := _alive.get((type(self).__name__, cell))) is not None:
            before.close()
        if cell:
            _alive[type(self).__name__, cell] = self

    @abstractmethod
    def drawing(self) -> Drawing:
        """What the widget shows now, for a file."""

    def halt(self) -> None:  # noqa: B027 - some have nothing to stop
        """Stop what is going on, if anything, without a word about its end."""

    def close(self) -> None:
        """Stop what is running and take the controls away; a widget whose cell is run again is closed."""
        self.halt()
        self.closed = True
        for widget in all_in(*([self.root] if self.root is not None else [])):
            widget.close()

    # Events

    def listener(self, act: Callable[[Any], None]) -> Callable[[Any], None]:
        """What a control calls when the user does something: `act`, whose errors are shown in words.

        A kernel may deliver events in another thread; `act` is always called in that in which the widget was made.
        """

        def listen(event: Any) -> None:
            if self._loop is not None and threading.get_ident() != self._thread:
                self._events.append((act, event))
                self._loop.call_soon_threadsafe(lambda: self._attempt(*self._events.popleft()))
            elif not self._writing:
                self._attempt(act, event)

        return listen

    def _attempt(self, act: Callable[[Any], None], event: Any) -> None:
        """Errors that ebll raises on purpose (a value that may not be) are only shown; others are kept in `errors`.

        Then every control shows what the widget holds, also where a value was refused.
        """
        if self.closed:
            return
        self.complain("")  # the user does something: an earlier complaint is taken back
        for go in (lambda: act(event), self._write):
            try:
                go()
            except EbllError as error:
                self.complain(str(error))
            except Exception as error:
                self.fault(error)

    def _write(self) -> None:  # noqa: B027 - a widget may have no controls of its own
        """Bring every control in step with what the widget holds."""

    @contextlib.contextmanager
    def _setting(self) -> Iterator[None]:
        """The controls are set by the program: what changes meanwhile is not the user's doing."""
        before, self._writing = self._writing, True
        try:
            yield
        finally:
            self._writing = before

    # Words

    def tell(self, text: str, seconds: float = 0.0) -> None:
        """Write into the status line.

        seconds   for which it stays, though the progress of a run is shown there too
        """
        self._stays = time.monotonic() + seconds
        self._say(text=text)

    def progress(self, text: str, done: float) -> None:
        """Show how far a run is, a share."""
        self._say(done=done, **({"text": text} if time.monotonic() >= self._stays else {}))

    def complain(self, text: str) -> None:
        """Show what went wrong, until the user does something."""
        self._say(wrong=text)

    def _say(self, **words: Any) -> None:
        if self.status is not None and not self.closed:
            with self.status.hold_sync():
                for name, value in words.items():
                    setattr(self.status, name, value)

    def fault(self, error: Exception) -> None:
        """Keep a fault of the widget and show it."""
        self.errors.append(error)
        self.complain(
            f"Internal error in this widget: {type(error).__name__}: {error}. Run the cell again to go on; "
            "its .errors hold the details for a report."
        )

    def _names(self, names: Iterable[str], what: str) -> frozenset[str]:
        if not isinstance(names, Iterable):
            raise InputError(f"{what}: a list of controls, such as ['seed', 'epochs']; got {names!r}.")
        names = (names,) if isinstance(names, str) else tuple(names)
        return frozenset(check_choice(name, self.controls, f"{what}, a control") for name in names)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        live = self.root._repr_mimebundle_() if self.root is not None and not self.closed else {}
        return with_picture(live, self.drawing())


# Where a widget is shown


def is_static() -> bool:
    """Whether to leave a picture in place of a widget; the environment variable EBLL_STATIC, 1 or 0, decides first.

    True without a kernel, and when a notebook is executed by a program (nbconvert, nbclient, papermill): those number
    their messages in a way that front ends for people do not.
    """
    switch = os.environ.get("EBLL_STATIC", "").strip()
    if switch not in {"", "0", "1"}:
        raise InputError(f"EBLL_STATIC is 1 (pictures only) or 0 (widgets always); got {switch!r}.")
    request = _request()
    program = re.fullmatch(r".+_\d+_\d+", str(request.get("header", {}).get("msg_id", "")))
    return switch == "1" if switch else not request or bool(program and not _cell_id(request))


def event_loop() -> asyncio.AbstractEventLoop | None:
    """The kernel's event loop, on which runs go on between cells; None outside a kernel."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def cell_key() -> str:
    """What tells the cell that is being executed from others, the same when it is executed again; "" without one."""
    request = _request()
    return _cell_id(request) or request.get("content", {}).get("code", "")


def _request() -> dict[str, Any]:
    """The message that asked for the cell's execution; empty outside a kernel."""
    kernel = getattr(get_ipython(), "kernel", None)
    try:
        return dict(kernel.get_parent("shell")) if kernel is not None else {}
    except (AttributeError, LookupError, TypeError):
        return {}


def _cell_id(request: dict[str, Any]) -> str:
    return str((request.get("metadata") or {}).get("cellId", ""))
