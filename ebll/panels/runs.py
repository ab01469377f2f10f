"""What the panels that train have in common: one run in the background, its picture, and words on it.

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
from ebll.figures import Picture
from ebll.live import Handle, LabConfig, offered_tasks
from ebll.live.cost import seconds_of, words
from ebll.live.offered import own_tasks
from ebll.live.session import Session
from ebll.panels.actions import Actions
from ebll.panels.controls import GRIDS
from ebll.panels.lab_widgets import LabWidgets
from ebll.panels.report import ended, going_on, progress_of, results_html
from ebll.panels.saving import folder_of
from ebll.panels.scene import Scene

__all__ = ["RunPanel"]

FRAME = 0.09  # seconds from one picture to the next
PATIENCE = 12.0  # seconds of cost up to which the cell itself makes the first run
SAID = 2.0  # seconds for which a sentence stays before the progress of a run takes its place


class RunPanel(Actions):
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
        tasks, self._begin, self.folder = own_tasks(tasks), begin, folder_of(folder)
        self.session = Session(begin, tasks, on_turn=self._on_turn, on_end=self._on_end, **session)
        self.offered = tuple(dict.fromkeys([*offered_tasks(tasks), begin.old, begin.new]))
        self.scene = Scene(self.session)
        self._drawn = self._told = 0.0
        self._begun = time.monotonic()
        dear = not self.static and seconds_of(begin) > PATIENCE
        if not dear:
            self.session.run_here()
        if not self.static:
            self._build()
            self._draw(quick=False)
            self._say_end("")
            if dear:
                self.tell(f"Nothing has been trained yet. {self._cost()} Press Run.")
        self._ready()

    @abstractmethod
    def _line(self) -> str:
        """The line of code that does what the panel does now."""

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

    def tell(self, text: str) -> None:
        """Say something that is to be read before a run that is on goes on telling how far it is."""
        super().tell(text)
        self._told = time.monotonic() + SAID - 1.0

    # Runs, and controls in step with them

    def _start(self, *, held: bool = False, reuse: bool = False) -> None:
        self._begun = time.monotonic()
        self._show_pause(held)
        self.tell(f"Training. {self._cost()}")  # before it begins: what is known already ends at once
        self._told = self._begun
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
