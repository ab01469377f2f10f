"""The sweep explorer: maps of a sweep in a notebook; nothing is trained.

Controls, chart and words are `front/explorer.js`, the same as in the page of `ebll export`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, final

import anywidget
import ipywidgets
import traitlets

from ebll.errors import InputError
from ebll.sweeps.maps import CELL_SETTINGS, maps_of
from ebll.sweeps.sweep import load_sweep
from ebll.sweeps.view import VIEW, complete_view, content, drawing_of
from ebll.widgets.base import Widget
from ebll.widgets.chart import Drawing, Runtime, free_stem, spec_of
from ebll.widgets.config import keywords_of

__all__ = ["SweepExplorer", "front", "sweep_explorer"]


def front(name: str) -> str:
    """The text of a file of the front end."""
    return (Path(__file__).parent / "front" / name).read_text(encoding="utf-8").strip()


class _Front(anywidget.AnyWidget):
    """The front end; as a status line it has `text`, `wrong` and `done`."""

    _esm = front("explorer.js")
    _css = front("explorer.css")
    runtime = traitlets.Instance(Runtime).tag(sync=True, **ipywidgets.widget_serialization)
    content = traitlets.Dict().tag(sync=True)
    spec = traitlets.Dict().tag(sync=True)
    view = traitlets.Dict().tag(sync=True)
    pinned = traitlets.Int(None, allow_none=True).tag(sync=True)
    hidden = traitlets.List().tag(sync=True)
    locked = traitlets.List().tag(sync=True)
    source = traitlets.Unicode().tag(sync=True)
    wrong = traitlets.Unicode().tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
    done = traitlets.Float().tag(sync=True)


@final
class SweepExplorer(Widget):
    """A widget on the tables of a sweep: maps of old and new accuracy and forgetting, and all that hangs on a cell.

    As the last value of a cell it shows itself; without a front end, a picture of its first state.

    sweep    what `ebll.sweep` returned, or anything with `.table` and `.curves`; the folder of a store, with what is in
             it by now; None for the precomputed sweep
    view     where it begins: settings by name, or a line such as 'tasks="letters-mnist", alpha=10.0'; then what is
             looked at: tasks, method, data, columns, rows, and the value of each setting that varies
    hide, lock, folder   as in `ForgettingLab`; `SweepExplorer.controls` lists the controls

    maps     the cells, see `ebll.sweeps.Maps`
    """

    controls: ClassVar[tuple[str, ...]] = (*VIEW, *CELL_SETTINGS, "pin", "config", "reset", "code", "take")

    def __init__(
        self, sweep: Any = None, view: Mapping[str, Any] | str = "", *, hide: Iterable[str] = (),
        lock: Iterable[str] = (), folder: str | Path = "widget-results",
    ) -> None:  # fmt: skip
        super().__init__(hide, lock, folder)
        stored = isinstance(sweep, str | Path)
        self._source = f"{str(sweep)!r}, " if stored else "" if sweep is None else "found, "
        self.maps = maps_of(load_sweep(sweep) if stored else sweep)
        self.view = complete_view(self.maps, _read(view))
        if not self.static:
            self._build()

    def drawing(self) -> Drawing:
        """What the widget shows now, for a file."""
        return drawing_of(self.maps, self.view, self.root.pinned if self.root is not None else None)

    def _build(self) -> None:
        self.root = self.status = _Front(
            runtime=Runtime.shared(), content=content(self.maps), spec=spec_of("sweep"), view=self.view,
            hidden=sorted(self.hidden), locked=sorted(self.locked), source=self._source,
        )  # fmt: skip
        self.root.observe(self.listener(lambda event: setattr(self, "view", event["new"])), names="view")
        self.root.on_msg(lambda _, message, buffers: self.listener(self._on_message)(message))

    def _on_message(self, message: dict[str, Any]) -> None:
        """A figure is taken, or a line of code was entered."""
        if "take" in message:
            files = self.drawing().save(free_stem(self.folder, "sweep"))
            self.tell(f"Written: {', '.join(map(str, files.values()))}")
            return
        if not message["line"].strip():
            raise InputError("The line of code is empty, so the view stays. Reset goes back to the beginning.")
        wanted = complete_view(self.maps, _read(message["line"]))
        for name in self.locked:
            if wanted.get(name) != self.view.get(name):
                raise InputError(f"{name} is locked in this widget: it stays {self.view.get(name)!r}.")
        self.view = wanted
        with self._setting():
            self.root.view = wanted


sweep_explorer = SweepExplorer


def _read(view: Mapping[str, Any] | str) -> Mapping[str, Any]:
    """Settings by name from a line of code, such as the widget writes; nothing in it is executed."""
    if not isinstance(view, str) or not view.strip():
        return view or {}
    inside = re.search(r"view='(.*)'", view)
    return keywords_of(inside[1] if inside else view, "sweep_explorer")
