"""What all panels share: errors in words, one panel a cell, a picture for those without a kernel.

This room knows widgets; nothing of runs.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import ipywidgets

from ebll.errors import EbllError, InputError, check_choice
from ebll.figures import Picture
from ebll.panels.place import cell_key, is_static
from ebll.panels.widgets import Status
from ebll.settings import Settings

__all__ = ["Panel", "guarded", "written"]

_alive: weakref.WeakValueDictionary[tuple[str, str], Panel] = weakref.WeakValueDictionary()
_all: weakref.WeakSet[Panel] = weakref.WeakSet()


@atexit.register
def _end() -> None:
    """Stop all runs before Python goes: torch aborts the process where a thread is cut off inside it."""
    for panel in list(_all):
        panel.closed = True  # nothing more is sent: nobody listens, and the kernel's sockets may be gone
    for seconds in (0.0, 5.0):
        for panel in list(_all):
            panel.halt(seconds)


def guarded(handler: Callable) -> Callable:
    """A handler of a widget's event: what it raises is shown in the panel, in words, and kept in `panel.errors`.

    Errors that ebll raises on purpose (a value that may not be) are the user's to mend and are only shown.
    """

    @functools.wraps(handler)
    def wrapped(self: Panel, *args: Any) -> Any:
        if not self._writing:  # the user does something: an earlier complaint is taken back
            self._fault = ""
            self.tell_wrong("")
        try:
            return handler(self, *args)
        except EbllError as error:
            self.tell_wrong(str(error))
        except Exception as error:
            self.fault(error)
        return None

    return wrapped


def written(line: str) -> str:
    """A line of code that was typed; one that was emptied is no wish for the kit's defaults."""
    if not line.strip():
        raise InputError("The line of code is empty, so the setting stays. Reset goes back to the beginning.")
    return line


class Panel(ABC):
    """A panel: shows itself as the last value of a cell, or as a picture where nobody could use it.

    errors   faults of the panel itself, the newest last; empty if all is well
    root     the widget that holds it all, or None where only a picture is shown
    """

    controls: ClassVar[tuple[str, ...]] = ()  #: names that `hide` and `lock` take

    def __init__(self, hide: Iterable[str], lock: Iterable[str]) -> None:
        self.errors: list[Exception] = []
        self.hidden, self.locked = (self._names(names, what) for names, what in ((hide, "hide"), (lock, "lock")))
        self.static = is_static()
        self.root: ipywidgets.Widget | None = None
        self.status: Status | None = None
        self.closed = False
        self.mutex = threading.RLock()
        self._writer: int | None = None
        self._fault = ""
        self._key = (type(self).__name__, cell_key() or "")
        if not self.static and (before := _alive.get(self._key)) is not None:
            before.close()

    def _ready(self) -> None:
        """The panel is complete, so that the next one of its cell can close it."""
        _all.add(self)
        if not self.static and self._key[1]:
            _alive[self._key] = self

    @abstractmethod
    def picture(self) -> Picture:
        """What the panel shows now, as a picture with its text and its numbers."""

    @abstractmethod
    def halt(self, timeout: float = 0.0) -> None:
        """Stop what is running, and wait for its end for so many seconds."""

    def close(self) -> None:
        """Stop what is running and take the widgets away; a panel whose cell is run again is closed."""
        self.halt()
        with self.mutex:
            self.closed = True
            for widget in _all_in(*([self.root] if self.root is not None else []), *self._widgets()):
                widget.close()

    def _widgets(self) -> Iterable[ipywidgets.Widget]:
        """Widgets that may stand outside the root, because they are hidden."""
        return ()

    @contextlib.contextmanager
    def _setting(self) -> Iterator[None]:
        """The controls are being set by this thread: what they tell meanwhile is no wish of the user's."""
        with self.mutex:
            before, self._writer = self._writer, threading.get_ident()
            try:
                yield
            finally:
                self._writer = before

    @property
    def _writing(self) -> bool:
        """Whether this very thread is setting the controls; what a user does meanwhile comes in another one."""
        return self._writer == threading.get_ident()

    def tell(self, text: str) -> None:
        """Say what goes on; an earlier complaint is taken back, a fault only when the user does something."""
        if self.status is not None and not self.closed:
            with self.mutex:
                self.status.text, self.status.wrong = text, self._fault

    def tell_on(self, text: str) -> None:
        """Say how a run goes on; a complaint stays."""
        if self.status is not None and not self.closed:
            self.status.text = text

    def tell_wrong(self, text: str) -> None:
        """Say what went wrong."""
        if self.status is not None and not self.closed:
            self.status.wrong = text

    def fault(self, error: Exception) -> None:
        """Keep a fault of the panel and show it."""
        self.errors.append(error)
        self._fault = (
            f"A fault in this panel, and none of yours: {type(error).__name__}: {error}. Run the cell again to go on; "
            "panel.errors holds the details for a report."
        )
        self.tell_wrong(self._fault)

    def keep_locked(self, before: Settings, after: Settings) -> None:
        """Refuse to change a setting whose control is locked, in whichever way it was asked for."""
        for name in self.locked:
            if getattr(before, name, None) != getattr(after, name, None):
                raise InputError(
                    f"{name.replace('_', ' ')} is locked in this panel: it stays {getattr(before, name)!r}."
                )

    def _names(self, names: Iterable[str], what: str) -> frozenset[str]:
        if not isinstance(names, Iterable):
            raise InputError(f"{what}: a list of controls, such as ['seed', 'epochs']; got {names!r}.")
        names = (names,) if isinstance(names, str) else tuple(names)
        return frozenset(check_choice(name, self.controls, f"{what}, a control") for name in names)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        data, metadata = self.picture()._repr_mimebundle_()
        if self.root is not None and not self.closed:
            bundle = self.root._repr_mimebundle_()
            data |= {kind: part for kind, part in (bundle[0] if isinstance(bundle, tuple) else bundle).items()
                     if kind.startswith("application/")}  # fmt: skip
        return data, metadata


def _all_in(*widgets: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    """Widgets with their children, and with their layouts and styles, which are widgets too and stay otherwise."""
    for widget in widgets:
        yield from _all_in(*getattr(widget, "children", ()))
        yield from (part for name in ("layout", "style") if (part := getattr(widget, name, None)) is not None)
        yield widget
