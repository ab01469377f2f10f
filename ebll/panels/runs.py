"""What the panels that train have in common: one run in the background, its picture, its buttons, and words on both.

Wiring only: `ebll.live.Session` runs, `Scene` draws, `report` words it.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import ipywidgets

from ebll.data import Task
from ebll.errors import InputError
from ebll.figures import Picture
from ebll.live import Handle, LabConfig, offered_tasks
from ebll.live.cost import words
from ebll.live.session import Session
from ebll.panels.base import Panel, guarded
from ebll.panels.controls import GRIDS
from ebll.panels.lab_widgets import LabWidgets
from ebll.panels.report import ended, going_on, progress_of, results_html
from ebll.panels.saving import free_stem
from ebll.panels.scene import Scene

__all__ = ["RunPanel"]

FRAME = 0.09  # seconds from one picture to the next


class RunPanel(Panel):
    """A panel with a run. `session` holds the runs; `wait()` waits for the one that is on.

    Its leaves say what a changed setting does, and how a line of code is written and read.
    """

    controls: ClassVar[tuple[str, ...]] = (
        *("old", "new", "net", "methods", *GRIDS),
        *("buttons", "auto", "terms", "code", "take", "table"),
    )
    widgets: LabWidgets

    def __init__(
        self,
        begin: LabConfig,
        tasks: Iterable[Task],
        hide: Iterable[str],
        lock: Iterable[str],
        folder: str | Path,
        **session: Any,
    ) -> None:
        super().__init__(hide, lock)
        tasks, self._begin, self.folder = tuple(tasks), begin, Path(folder)
        self.session = Session(begin, tasks, on_turn=self._on_turn, on_end=self._on_end, **session)
        self.offered = tuple(dict.fromkeys([*offered_tasks(tasks), begin.old, begin.new]))
        self.scene = Scene(self.session)
        self._drawn = self._told = 0.0
        self._begun = time.monotonic()
        self.session.run_here()
        if not self.static:
            self._build()
            self._draw(quick=False)
            self._say_end("")
        self._ready()

    @abstractmethod
    def _line(self) -> str:
        """The line of code that does what the panel does now."""

    @abstractmethod
    def _change(self, config: LabConfig) -> None:
        """Take another config."""

    @abstractmethod
    def _read(self, text: str) -> None:
        """Take a line of code; `InputError` where it cannot be read."""

    def _unused(self) -> frozenset[str]:
        """Controls that this panel has no use for."""
        return frozenset()

    def _extra(self) -> dict[str, ipywidgets.Widget]:
        """Further controls, by name."""
        return {}

    # What is shown

    def _build(self) -> None:
        listen = {
            **{"knob": self._on_knob, "choice": self._on_choice, "methods": self._on_methods, "terms": self._on_terms},
            **{"run": self._on_run, "pause": self._on_pause, "step": self._on_step, "stop": self._on_stop},
            **{"reset": self._on_reset, "pin": self._on_pin, "code": self._on_code},
            **{"figure": self._on_figure, "data": self._on_data},
        }
        self.widgets = LabWidgets(
            *(self._begin, self.offered, listen, self._line()),
            **{"hidden": self.hidden | self._unused(), "locked": self.locked, "folder": f"{self.folder}/"},
            **{"methods": self.scene.methods, "extra": self._extra()},
        )
        self.root, self.status = self.widgets.root, self.widgets.status
        self._write()

    def picture(self) -> Picture:
        """What the panel shows now, as a picture with its text and its numbers."""
        with self.mutex:
            self.scene.frame()
            return self.scene.picture()

    def wait(self, timeout: float | None = 60.0) -> Handle | None:
        """Wait for the run that is on, and raise what it raised."""
        handle = self.session.worker.current
        if handle is not None:
            handle.result(timeout)
        return handle

    def halt(self, timeout: float = 0.0) -> None:
        """Stop what is running, and wait for its end for so many seconds."""
        self.session.worker.stop()
        if self.session.worker.current is not None:
            self.session.worker.current.wait(timeout)

    def _widgets(self) -> Iterable[ipywidgets.Widget]:
        return self.widgets.all if self.root is not None else ()

    def _on_turn(self) -> None:
        control, now = self.session.control, time.monotonic()
        held = control is not None and control.holding
        if now - self._drawn < FRAME and not held:
            return
        self._draw_or_tell(quick=not held)
        if held or now - self._told > 1.0:
            self._told = now
            self._say_progress()

    def _draw_or_tell(self, quick: bool) -> None:
        try:
            self._draw(quick)
        except Exception as error:  # a picture that fails must neither end a run nor keep it from beginning
            self.fault(error)

    def _draw(self, quick: bool) -> None:
        """Show the picture of this moment; `quick` while more will come."""
        with self.mutex:
            if self.root is None or self.closed:
                return
            self._drawn = time.monotonic()
            picture = self.scene.frame(quick)
            more = {} if quick else {"alt": self.scene.alt, "readout": self.scene.readout()}
            self.widgets.view.show(picture, **more)
            self.status.done = progress_of(self.session.current, self.scene.steps, len(self.scene.methods))

    def _on_end(self, handle: Handle) -> None:
        if handle is not self.session.worker.current or self.closed:
            return  # a newer one has taken its place
        self._show_pause(False)
        try:
            self._draw(quick=False)
            how = "Stopped" if handle.state == "stopped" else "Done"
            self._say_end(f"{how} after {time.monotonic() - self._begun:.1f} s. ")
        except Exception as error:  # shown in the panel: the run itself may have ended well
            self.fault(error)
        if handle.error is not None:
            self.tell_wrong(f"The run failed: {type(handle.error).__name__}: {handle.error}")

    def _say_end(self, how: str) -> None:
        made = self.session.current
        self.tell(f"{how}{ended(made)}" if how else f"{ended(made)} {self._cost()}")
        if made is not None and made.notes:
            self.tell_wrong("\n".join(made.notes))
        self.widgets.results.value = results_html(self.session.table())

    def _say_progress(self) -> None:
        control = self.session.control
        self.tell_on(going_on(self.session.current, self.scene.steps, control is not None and control.paused))

    def _show_pause(self, held: bool) -> None:
        self.widgets.buttons["pause"].description = "Resume" if held else "Pause"

    # What the user does

    def _start(self, *, held: bool = False, reuse: bool = False) -> None:
        self._begun = self._told = time.monotonic()
        self._show_pause(held)
        self.tell(f"Training. {self._cost()}")  # before it begins: what is known already ends at once
        self.session.start(held=held, reuse=reuse, ready=self._draw_soon)

    def _draw_soon(self) -> None:
        """A picture at once, if the last one is not as good as new; the table no longer tells of the run before."""
        self.widgets.results.value = results_html(self.session.table())
        if time.monotonic() - self._drawn >= FRAME:
            self._draw_or_tell(quick=True)

    def _cost(self) -> str:
        return f"A run costs {words(self.session.config)}."

    def _write(self) -> None:
        """Bring every control in step with the config."""
        with self._setting():
            self.widgets.write(self.session.config, self.scene.methods, self.scene.terms, self._line())

    def _try(self, **changes: Any) -> None:
        """Change the config; where that may not be, say why, and set the controls back."""
        if self._writing:
            return
        try:
            net = changes.pop("net", self.session.config.net)
            self._change(self.session.config.with_net(net).replace(**changes))
        except InputError:
            self._write()
            raise

    @guarded
    def _on_knob(self, event: Any) -> None:
        name = next(name for name, widget in self.widgets.knobs.items() if widget is event["owner"])
        value = event["new"]
        self._try(**{name: int(value) if event["owner"].whole and value.is_integer() else value})

    @guarded
    def _on_choice(self, event: Any) -> None:
        name = next(name for name, widget in self.widgets.choices.items() if widget is event["owner"])
        config, other = self.session.config, {"old": "new", "new": "old"}.get(name)
        swap = {other: getattr(config, name)} if other and event["new"] == getattr(config, other) else {}
        self._try(**{name: event["new"]}, **swap)

    @guarded
    def _on_methods(self, _: Any) -> None:
        self._try(methods=tuple(name for name, box in self.widgets.boxes.items() if box.value))

    @guarded
    def _on_terms(self, event: Any) -> None:
        if not self._writing and event["new"]:
            self.scene.terms_of = event["new"]
            self._draw(quick=False)

    @guarded
    def _on_code(self, event: Any) -> None:
        if self._writing:
            return
        try:
            self._read(event["new"])
            self._write()
        except InputError:
            self._write()
            raise

    @guarded
    def _on_reset(self, _: Any) -> None:
        self.session.reset(self._begin)
        self.scene.terms_of = ""
        self._write()
        self._start(reuse=True)

    @guarded
    def _on_run(self, _: Any) -> None:
        self._start()

    @guarded
    def _on_pause(self, _: Any) -> None:
        control = self.session.control
        if control is None:
            raise InputError("Nothing is running: press Run, or Step.")
        (control.resume if control.paused else control.pause)()
        self._show_pause(control.paused)
        self._say_progress()

    @guarded
    def _on_step(self, _: Any) -> None:
        if self.session.control is None:
            self._start(held=True)
        else:
            self.session.step()
            self._show_pause(True)

    @guarded
    def _on_stop(self, _: Any) -> None:
        if self.session.control is None:
            raise InputError("Nothing is running.")
        self.session.worker.stop()

    @guarded
    def _on_pin(self, _: Any) -> None:
        pinned = self.session.pin()
        self.widgets.results.value = results_html(self.session.table())
        self._draw(quick=False)
        self.tell(f"Pinned as {pinned.name}: it stays in the picture and in the table below.")

    @guarded
    def _on_figure(self, _: Any) -> None:
        if self.session.current is None or not self.session.current.measured:
            raise InputError("There is no picture to take yet: press Run, and let it come to its first measurement.")
        files = self.picture().save(free_stem(self.folder, "figure"))
        self.tell(f"Written: {', '.join(str(path) for path in files.values())}")

    @guarded
    def _on_data(self, _: Any) -> None:
        files = self.session.save_data(free_stem(self.folder, "data"))
        self.tell(f"Written: {', '.join(str(path) for path in files)}")
