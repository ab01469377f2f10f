"""What the user does in a panel that trains: one handler a control, each guarded.

Wiring only: a handler reads its control, and tells the session or its panel.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

from ebll.errors import InputError
from ebll.live import LabConfig
from ebll.live.session import Session
from ebll.panels.base import Panel, guarded, written
from ebll.panels.lab_widgets import LabWidgets
from ebll.panels.report import results_html
from ebll.panels.saving import free_stem
from ebll.panels.scene import Scene

__all__ = ["Actions"]


class Actions(Panel):
    """The handlers; `ebll.panels.runs.RunPanel` says what is shown."""

    session: Session
    scene: Scene
    widgets: LabWidgets
    folder: Path
    _begin: LabConfig

    @abstractmethod
    def _change(self, config: LabConfig) -> None:
        """Take another config."""

    @abstractmethod
    def _read(self, text: str) -> None:
        """Take a line of code; `InputError` where it cannot be read."""

    @abstractmethod
    def _start(self, *, held: bool = False, reuse: bool = False) -> None:
        """Run in the background."""

    @abstractmethod
    def _write(self) -> None:
        """Bring every control in step with the config."""

    @abstractmethod
    def _draw(self, quick: bool) -> None:
        """Show the picture of this moment."""

    @abstractmethod
    def _say_progress(self) -> None:
        """Say where the run is."""

    @abstractmethod
    def _show_pause(self, held: bool) -> None:
        """Say on the button what it would do."""

    def _try(self, **changes: Any) -> None:
        """Change the config; where that may not be, say why, and set the controls back."""
        if self._writing:
            return
        try:
            net = changes.pop("net", self.session.config.net)
            config = self.session.config.with_net(net).replace(**changes)
            self.keep_locked(self.session.config, config)
            self._change(config)
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
            self._read(written(event["new"]))
            self._write()
        except InputError:
            self._write()
            raise

    @guarded
    def _on_reset(self, _: Any) -> None:
        self.session.reset(self._begin)
        self.scene.terms_of, self.widgets.auto.value = "", True
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
