"""The sweep explorer: maps of a finished or still growing sweep; move alpha and lambda, and nothing is trained.

Wiring only: `ebll.sweeps.maps` reads the tables, `ebll.figures.sweep` draws.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, final

import ipywidgets

from ebll.errors import InputError, check_choice
from ebll.figures import Picture
from ebll.panels.follow import Follower
from ebll.panels.sweep_scene import SweepScene, label_of
from ebll.panels.sweep_widgets import LISTS, SweepWidgets
from ebll.sweeps import Sweep
from ebll.sweeps.maps import KNOBS, SweepView, index_of, kept, nearest, settled
from ebll.widgets.base import Widget, free_stem
from ebll.widgets.config import keywords_of, line_of

__all__ = ["SweepExplorer", "sweep_explorer"]


def sweep_explorer(
    sweep: Any = None,
    view: SweepView | str = "",
    *,
    hide: Iterable[str] = (),
    lock: Iterable[str] = (),
    folder: str | Path = "widget-results",
) -> SweepExplorer:
    """A panel on the tables of a sweep: maps of old and new accuracy and forgetting, and all that hangs on a cell.

    sweep    what `ebll.sweep` returned; a `Sweep` that is still filled (`ebll.sweep(..., into=found)` in a thread or in
             another cell); anything with `.table` and `.curves`; the folder of a store; None for the ready-made sweep
    view     where it begins: a `SweepView`, or a line such as 'tasks="letters-mnist", alpha=10.0'
    hide, lock, folder   as in `forgetting_lab`; `SweepExplorer.controls` lists the controls
    returns  the panel; where nobody could use it, a picture of its default state
    """
    return SweepExplorer(sweep, view, hide=hide, lock=lock, folder=folder)


@final
class SweepExplorer(Widget):
    """See `sweep_explorer`. `view` is what is looked at; `index` holds the runs."""

    controls: ClassVar[tuple[str, ...]] = (*LISTS, *KNOBS, "reset", "code", "take")

    def __init__(
        self,
        sweep: Any = None,
        view: SweepView | str = "",
        *,
        hide: Iterable[str] = (),
        lock: Iterable[str] = (),
        folder: str | Path = "widget-results",
    ) -> None:
        super().__init__(hide, lock, folder)
        self.index, self.mutex = index_of(sweep), threading.RLock()
        self._begin, self._source = _read(view), sweep
        self.view = settled(self.index, self._begin)
        self.scene = SweepScene(self.index)
        self.follower: Follower | None = None
        if not self.static:
            self._build()
            self._show()
            if isinstance(sweep, Sweep):
                self.follower = Follower(self._look)
        self._ready()

    def picture(self) -> Picture:
        """What the panel shows now, as a picture with its text and its numbers."""
        with self.mutex:
            self.scene.frame(self.view)
            return self.scene.picture()

    def halt(self) -> None:
        """Look for new runs no more."""
        if getattr(self, "follower", None) is not None:
            self.follower.end()

    def _picture(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.picture()._repr_mimebundle_()

    def _parts(self) -> Iterable[ipywidgets.Widget]:
        return self.widgets.every if self.root is not None else ()

    def _build(self) -> None:
        on = self.listener
        press = {"reset": on(self._on_reset), "take": on(self._on_figure)}
        turned = on(lambda event: self._on_turned(*event))
        chosen = on(lambda event: self._on_chosen(*event))
        where = {"hidden": self.hidden, "locked": self.locked, "folder": self.folder}
        made = SweepWidgets(lambda *event: turned(event), lambda *event: chosen(event), press, **where)
        self.widgets, self.root, self.status = made, made.root, made.status
        made.code.observe(on(self._on_code), names="value")
        made.view.observe(on(self._on_picked), names="picked")

    def _line(self) -> str:
        source = "" if self._source is None else "found, "
        if isinstance(self._source, str | Path):
            source = f"{str(self._source)!r}, "
        return line_of(self.view, f"ebll.panels.sweep_explorer({source}view=ebll.sweeps.maps.SweepView({{}}))")

    def _show(self) -> None:
        """Bring controls, picture and words in step with the view."""
        with self.mutex:
            if self.root is None or self.closed:
                return
            self._write()
            picture = self.scene.frame(self.view)
            self.widgets.view.show(picture, alt=self.scene.alt, readout=self.scene.readout())
            self.progress(self.scene.said(), self.scene.done)

    def _write(self) -> None:
        with self._setting():
            self.widgets.fit(self.index, self.view, self._line())

    def _look(self) -> None:
        """In the follower's thread: show what has come; what the reader has chosen stays."""
        try:
            with self.mutex:
                if self.closed or not self.index.refresh():
                    return
                empty = not self.view.method
                self.view = kept(self.index, self._begin if empty else self.view)
                self._show()
        except Exception as error:  # a fault is told once, not twice a second
            self.follower.end()
            self.fault(error)

    # What the user does

    def _change(self, view: SweepView) -> None:
        with self.mutex:
            view = settled(self.index, view)
            self.keep_locked(self.view, view)
            self.view = view
            self._show()

    def _try(self, **changes: Any) -> None:
        try:
            self._change(self.view.replace(**changes))
        except InputError:
            self._write()
            raise

    def _on_turned(self, name: str, value: Any) -> None:
        values = self.index.axes[self.view.method][name]
        snapped = value if isinstance(value, str) or value in values else nearest(values, value)
        self._try(**{name: snapped})
        if snapped != value:
            self.complain(f"{label_of(name)}: this sweep has no {value:g}; the nearest value is {snapped:g}.")

    def _on_chosen(self, name: str, value: str) -> None:
        if name in ("columns", "rows"):
            other = {"columns": "rows", "rows": "columns"}[name]
            swap = {other: getattr(self.view, name)} if getattr(self.view, other) == value else {}
            self._try(**{name: value}, **swap)
        elif name == "method":  # another one varies other settings
            self._change(kept(self.index, self.view.replace(method=value)))
        else:
            self._try(**{name: value})

    def _on_picked(self, event: Any) -> None:
        if len(event["new"]) < 2:
            return
        with self.mutex:
            cell = self.scene.cell_at(*event["new"][:2])
            edges = zip((self.view.columns, self.view.rows), cell or (), strict=False)
            self._try(**{name: value for name, value in edges if name})

    def _on_code(self, event: Any) -> None:
        try:
            if not event["new"].strip():
                raise InputError("The line of code is empty, so the setting stays. Reset goes back to the beginning.")
            self._change(_read(event["new"]))
        except InputError:
            self._write()
            raise

    def _on_reset(self, _: Any) -> None:
        self._change(kept(self.index, self._begin))

    def _on_figure(self, _: Any) -> None:
        files = self.picture().save(free_stem(self.folder, "sweep"))
        self.tell(f"Written: {', '.join(str(path) for path in files.values())}")


def _read(view: SweepView | str) -> SweepView:
    """A view from a line of code; nothing in it is executed."""
    if isinstance(view, SweepView):
        return view
    given = keywords_of(view, "SweepView")
    for name in given:
        check_choice(name, SweepView.__dataclass_fields__, "Setting of SweepView")
    return SweepView(**given)
