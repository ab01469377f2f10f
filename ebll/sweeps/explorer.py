"""The sweep explorer: maps of a finished or growing sweep in a notebook; nothing is trained.

Controls, chart and words are `front/explorer.js`, the same as in the page of `ebll export`.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, final

import anywidget
import ipywidgets
import traitlets

from ebll.errors import InputError
from ebll.sweeps.content import content
from ebll.sweeps.maps import KNOBS, maps_of
from ebll.sweeps.runs import Store
from ebll.sweeps.sweep import Sweep, load_sweep
from ebll.sweeps.view import alt_of, caption_of, heading_of, settled, view_tables
from ebll.widgets.base import Widget, free_stem
from ebll.widgets.chart import Drawing, Runtime, spec_of
from ebll.widgets.config import keywords_of

__all__ = ["SweepExplorer", "front", "sweep_explorer"]

EVERY = 1.0  # seconds between two looks at a folder that grows


def front(name: str) -> str:
    """The text of a file of the front end."""
    return (Path(__file__).parent / "front" / name).read_text(encoding="utf-8").strip()


def sweep_explorer(
    sweep: Any = None,
    view: Mapping[str, Any] | str = "",
    *,
    hide: Iterable[str] = (),
    lock: Iterable[str] = (),
    folder: str | Path = "widget-results",
) -> SweepExplorer:
    """A widget on the tables of a sweep: maps of old and new accuracy and forgetting, and all that hangs on a cell.

    sweep    what `ebll.sweep` returned, or anything with `.table` and `.curves`; the folder of a store, which may still
             be filled by another process; None for the precomputed sweep
    view     where it begins: settings by name, or a line such as 'tasks="letters-mnist", alpha=10.0'
    hide, lock, folder   as in `forgetting_lab`; `SweepExplorer.controls` lists the controls
    returns  the widget; where nobody could use it, a picture of its first state
    """
    return SweepExplorer(sweep, view, hide=hide, lock=lock, folder=folder)


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
    """See `sweep_explorer`. `maps` holds the cells, `view` says which are looked at."""

    controls: ClassVar[tuple[str, ...]] = (
        "tasks", "method", "data", "columns", "rows", *KNOBS, "pin", "near", "config", "reset", "code", "take",
    )  # fmt: skip

    def __init__(
        self, sweep: Any, view: Mapping[str, Any] | str, *, hide: Iterable[str], lock: Iterable[str], folder: str | Path
    ) -> None:
        super().__init__(hide, lock, folder)
        self._source = sweep
        self._sweep = load_sweep(sweep) if isinstance(sweep, str | Path) else sweep
        self.maps = maps_of(self._sweep)
        self._view = settled(self.maps, _read(view))
        self._follower: asyncio.Task | None = None
        if not self.static:
            self._build()
        self._ready()

    @property
    def view(self) -> dict[str, Any]:
        """What is looked at: tasks, method, data, columns, rows, and the value of each setting that varies."""
        return dict(self._view)

    def drawing(self) -> Drawing:
        """What the widget shows now, for a file."""
        tables, settings = view_tables(self.maps, self._view, self.root.pinned if self.root is not None else None)
        texts = {name: of(self.maps, self._view)
                 for name, of in (("alt", alt_of), ("heading", heading_of), ("caption", caption_of))}  # fmt: skip
        return Drawing(spec_of("sweep"), tables, settings, **texts)

    def halt(self) -> None:
        """Look for new runs no more."""
        if getattr(self, "_follower", None) is not None:
            self._follower.cancel()

    def _picture(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.drawing().bundle()

    def _build(self) -> None:
        source = f"{str(self._source)!r}, " if isinstance(self._source, str | Path) else ""
        self.root = self.status = _Front(
            runtime=Runtime.shared(), content=content(self.maps), spec=spec_of("sweep"), view=self._view,
            hidden=sorted(self.hidden), locked=sorted(self.locked),
            source=source or ("" if self._source is None else "found, "),
        )  # fmt: skip
        self.root.observe(self.listener(self._on_view), names="view")
        self.root.on_msg(lambda _, message, buffers: self.listener(self._on_message)(message))
        if isinstance(self._source, str | Path) and self._sweep.missing and self._loop is not None:
            self._follower = self._loop.create_task(self._follow())

    async def _follow(self) -> None:
        """Show what another process puts into the folder, until all that was planned is there."""
        took = 0.0
        while not self.closed and self._sweep.missing:
            await asyncio.sleep(max(EVERY, 10 * took))  # reading a large sweep must not keep the kernel busy
            begun = time.monotonic()
            try:
                self.look()
            except Exception as error:
                self.fault(error)
                return
            took = time.monotonic() - begun

    def look(self) -> bool:
        """Take what has come into the folder since; whether there was anything. What the reader has chosen stays."""
        inner = Path(self._source, "store")
        store = Store(inner if inner.exists() else self._source, make=False)
        new = {result.config: result for result in store.read(but=map(store.path, self._sweep.results))}
        planned = dict.fromkeys([*self._sweep.configs, *store.planned(), *new])
        if not new and len(planned) == len(self._sweep.configs):
            return False
        self._sweep = Sweep(list(planned), self._sweep.results | new)
        self.maps = maps_of(self._sweep)
        self._view = _kept(self.maps, self._view)
        with self._setting(), self.root.hold_sync():
            self.root.content, self.root.view = content(self.maps), self._view
        return True

    # What the user does

    def _on_view(self, event: Any) -> None:
        self._view = settled(self.maps, event["new"])

    def _on_message(self, message: dict[str, Any]) -> None:
        if "take" in message:
            files = self.drawing().save(free_stem(self.folder, "sweep"))
            self.tell(f"Written: {', '.join(str(path) for path in files.values())}")
            return
        if not message["line"].strip():
            raise InputError("The line of code is empty, so the view stays. Reset goes back to the beginning.")
        wanted = settled(self.maps, _read(message["line"]))
        for name in self.locked:
            if wanted.get(name) != self._view.get(name):
                raise InputError(f"{name} is locked in this widget: it stays {self._view.get(name)!r}.")
        self._view = wanted
        with self._setting():
            self.root.view = wanted


def _read(view: Mapping[str, Any] | str) -> Mapping[str, Any]:
    """Settings by name from a line of code, such as the widget writes; nothing in it is executed."""
    if not isinstance(view, str) or not view.strip():
        return view or {}
    inside = re.search(r"view='(.*)'", view)
    return keywords_of(inside[1] if inside else view, "sweep_explorer")


def _kept(maps: Any, view: dict[str, Any]) -> dict[str, Any]:
    """The view as it was, as far as the sweep still has it."""
    try:
        return settled(maps, view)
    except InputError:
        return settled(maps)
