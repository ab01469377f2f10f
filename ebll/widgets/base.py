"""What all widgets share: errors in words, one widget a cell, runs on the kernel's event loop, a picture instead."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import ipywidgets
from IPython import get_ipython

from ebll.errors import EbllError, InputError, check_choice
from ebll.settings import Settings

from .controls import Status
from .driver import Driver
from .place import cell_key, event_loop, is_static
from .saving import folder_of

__all__ = ["Widget"]

_alive: weakref.WeakValueDictionary[tuple[str, str], Widget] = weakref.WeakValueDictionary()


class Widget(ABC):
    """A widget: shows itself as the last value of a cell, or as a picture where nobody could use it.

    errors   faults of the widget itself, the newest last; empty if all is well
    root     the widget that holds it all, or None where only a picture is shown
    driver   the newest run, or None
    """

    controls: ClassVar[tuple[str, ...]] = ()  #: names that `hide` and `lock` take

    def __init__(self, hide: Iterable[str], lock: Iterable[str], folder: str | Path) -> None:
        self.errors: list[Exception] = []
        self.hidden, self.locked = (self._names(names, what) for names, what in ((hide, "hide"), (lock, "lock")))
        self.folder, self.static = folder_of(folder), is_static()
        self.root: ipywidgets.Widget | None = None
        self.status: Status | None = None
        self.driver: Driver | None = None
        self.closed = False
        self._loop = None if self.static else event_loop()
        self._thread = threading.get_ident()
        self._writer: int | None = None
        self._fault, self._stays = "", 0.0
        self._key = (type(self).__name__, cell_key() or "")
        if not self.static and (before := _alive.get(self._key)) is not None:
            before.close()

    def _ready(self) -> None:
        """The widget is complete, so that the next one of its cell can close it."""
        if not self.static and self._key[1]:
            _alive[self._key] = self
        if self._loop is not None and get_ipython() is not None:
            get_ipython().events.register("pre_run_cell", self._hold_up)

    def _hold_up(self, _: Any) -> None:
        """A cell begins: say why the run stands still until it has ended."""
        if self.running and not self.driver.paused and threading.get_ident() == self._thread:
            self.progress("Waiting: a cell is being run, and this run goes on after it.", self.status.done)

    @abstractmethod
    def _parts(self) -> Iterable[ipywidgets.Widget]:
        """All controls, also those that are hidden."""

    @abstractmethod
    def _picture(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the widget shows now as a picture with its text: a bundle of MIME types."""

    def halt(self) -> None:
        """Stop the run that is on, if any; nothing more is told of it."""
        if self.driver is not None:
            self.driver.stop(replaced=True)

    def close(self) -> None:
        """Stop what is running and take the controls away; a widget whose cell is run again is closed."""
        self.halt()
        self.closed = True
        with contextlib.suppress(ValueError, AttributeError):  # outside IPython, or before it was registered
            get_ipython().events.unregister("pre_run_cell", self._hold_up)
        for widget in _all_in(*([self.root] if self.root is not None else []), *self._parts()):
            widget.close()

    @property
    def running(self) -> bool:
        """Whether a run is on."""
        return self.driver is not None and self.driver.state == "running"

    async def finished(self) -> None:
        """Wait for the run that is on, and raise what it raised: `await widget.finished()`."""
        while self.running:
            await asyncio.wait([self.driver.task])
        if self.driver is not None and self.driver.error is not None:
            raise self.driver.error

    # Events

    def listener(self, act: Callable[[Any], None]) -> Callable[[Any], None]:
        """What a control calls when the user does something: `act`, whose errors are shown in words.

        All that a widget does happens in the thread in which it was made; a kernel may deliver events in another one.
        """

        def listen(event: Any) -> None:
            if self._loop is not None and threading.get_ident() != self._thread:
                self._loop.call_soon_threadsafe(self._attempt, act, event)
            elif self._writer != threading.get_ident():
                self._attempt(act, event)

        return listen

    def _attempt(self, act: Callable[[Any], None], event: Any) -> None:
        """Errors that ebll raises on purpose (a value that may not be) are only shown; others are kept in `errors`."""
        if self.closed:
            return
        self._fault = ""  # the user does something: an earlier complaint is taken back
        self.complain("")
        try:
            act(event)
        except EbllError as error:
            self.complain(str(error))
        except Exception as error:
            self.fault(error)

    @contextlib.contextmanager
    def _setting(self) -> Iterator[None]:
        """The controls are set by this thread: what they tell meanwhile is no wish of the user's."""
        before, self._writer = self._writer, threading.get_ident()
        try:
            yield
        finally:
            self._writer = before

    # Words

    def tell(self, text: str, seconds: float = 0.0) -> None:
        """Say what goes on; an earlier complaint is taken back, a fault only when the user does something.

        seconds   for which it stays, though a run tells how far it is
        """
        self._stays = time.monotonic() + seconds
        if self.status is not None and not self.closed:
            self.status.text, self.status.wrong = text, self._fault

    def progress(self, text: str, done: float) -> None:
        """Say how far a run is; a complaint stays."""
        if self.status is not None and not self.closed:
            with self.status.hold_sync():
                self.status.done = done
                if time.monotonic() >= self._stays:
                    self.status.text = text

    def complain(self, text: str) -> None:
        """Say what went wrong."""
        if self.status is not None and not self.closed:
            self.status.wrong = text

    def fault(self, error: Exception) -> None:
        """Keep a fault of the widget and show it."""
        self.errors.append(error)
        self._fault = (
            f"A fault in this widget, and none of yours: {type(error).__name__}: {error}. Run the cell again to go on; "
            "its .errors hold the details for a report."
        )
        self.complain(self._fault)

    def keep_locked(self, before: Settings, after: Settings) -> None:
        """Refuse to change a setting whose control is locked, in whichever way it was asked for."""
        for name in self.locked:
            if getattr(before, name, None) != getattr(after, name, None):
                raise InputError(
                    f"{name.replace('_', ' ')} is locked in this widget: it stays {getattr(before, name)!r}."
                )

    def _names(self, names: Iterable[str], what: str) -> frozenset[str]:
        if not isinstance(names, Iterable):
            raise InputError(f"{what}: a list of controls, such as ['seed', 'epochs']; got {names!r}.")
        names = (names,) if isinstance(names, str) else tuple(names)
        return frozenset(check_choice(name, self.controls, f"{what}, a control") for name in names)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        data, metadata = self._picture()
        if self.root is not None and not self.closed:
            bundle = self.root._repr_mimebundle_()
            data |= {kind: part for kind, part in (bundle[0] if isinstance(bundle, tuple) else bundle).items()
                     if kind.startswith("application/")}  # fmt: skip
        return data, metadata


def shown(widgets: dict[str, ipywidgets.Widget], hidden: Collection[str]) -> list[ipywidgets.Widget]:
    """Those that are not hidden."""
    return [widget for name, widget in widgets.items() if name not in hidden]


def arranged(
    head: Iterable[ipywidgets.Widget], left: Iterable[ipywidgets.Widget], right: Iterable[ipywidgets.Widget],
    foot: Iterable[ipywidgets.Widget],
) -> ipywidgets.VBox:  # fmt: skip
    """Rows on top, controls on the left beside the chart on the right, and below what is wide; narrow, a column."""
    left = ipywidgets.VBox(
        list(left), layout={"flex": "1 1 330px", "min_width": "min(300px, 100%)", "max_width": "420px"}
    )
    right = ipywidgets.VBox(list(right), layout={"flex": "2 1 460px", "min_width": "min(300px, 100%)"})
    root = ipywidgets.VBox([*head, ipywidgets.Box([left, right], layout={"flex_flow": "row wrap"}), *foot])
    root.add_class("ebll-panel")
    return root


def row(widgets: Iterable[ipywidgets.Widget]) -> ipywidgets.Box:
    """Widgets side by side, on several lines where there is little room."""
    return ipywidgets.Box(list(widgets), layout={"flex_flow": "row wrap", "align_items": "center"})


def _all_in(*widgets: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    """Widgets with their children, and with their layouts and styles, which are widgets too and stay otherwise."""
    for widget in widgets:
        yield from _all_in(*getattr(widget, "children", ()))
        yield from (part for name in ("layout", "style") if (part := getattr(widget, name, None)) is not None)
        yield widget
