"""What all panels share: errors in words, one panel a cell, a picture for those without a kernel.

This room knows widgets; nothing of runs.
"""

from __future__ import annotations

import functools
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import ipywidgets

from ebll.errors import EbllError, check_choice
from ebll.figures import Picture
from ebll.panels.place import cell_key, is_static
from ebll.panels.widgets import Status

__all__ = ["Panel", "guarded"]

_alive: weakref.WeakValueDictionary[tuple[str, str], Panel] = weakref.WeakValueDictionary()


def guarded(handler: Callable) -> Callable:
    """A handler of a widget's event: what it raises is shown in the panel, in words, and kept in `panel.errors`.

    Errors that ebll raises on purpose (a value that may not be) are the user's to mend and are only shown.
    """

    @functools.wraps(handler)
    def wrapped(self: Panel, *args: Any) -> Any:
        try:
            return handler(self, *args)
        except EbllError as error:
            self.tell_wrong(str(error))
        except Exception as error:
            self.fault(error)
        return None

    return wrapped


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
        key = cell_key()
        if not self.static and key:
            before = _alive.get((type(self).__name__, key))
            if before is not None:
                before.close()
            _alive[type(self).__name__, key] = self

    @abstractmethod
    def picture(self) -> Picture:
        """What the panel shows now, as a picture with its text and its numbers."""

    def close(self) -> None:
        """End what goes on and take the widgets away; a panel whose cell is run again is closed."""
        self.closed = True
        if self.root is not None:
            for widget in _all_in(self.root):
                widget.close()

    def tell(self, text: str) -> None:
        """Say what goes on; an earlier complaint is taken back."""
        if self.status is not None and not self.closed:
            with self.mutex:
                self.status.text, self.status.wrong = text, ""

    def tell_wrong(self, text: str) -> None:
        """Say what went wrong."""
        if self.status is not None and not self.closed:
            self.status.wrong = text

    def fault(self, error: Exception) -> None:
        """Keep a fault of the panel and show it."""
        self.errors.append(error)
        self.tell_wrong(
            f"A fault in this panel, and none of yours: {type(error).__name__}: {error}. Run the cell again to go on; "
            "panel.errors holds the details for a report."
        )

    def _names(self, names: Iterable[str], what: str) -> frozenset[str]:
        names = (names,) if isinstance(names, str) else tuple(names)
        return frozenset(check_choice(name, self.controls, f"{what}, a control") for name in names)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        data, metadata = self.picture()._repr_mimebundle_()
        if self.root is not None and not self.closed:
            bundle = self.root._repr_mimebundle_()
            data |= {kind: part for kind, part in (bundle[0] if isinstance(bundle, tuple) else bundle).items()
                     if kind.startswith("application/")}  # fmt: skip
        return data, metadata


def _all_in(widget: ipywidgets.Widget) -> list[ipywidgets.Widget]:
    inner = [part for child in getattr(widget, "children", ()) for part in _all_in(child)]
    return [*inner, widget]
