"""The forgetting lab: choose tasks, methods and weights, run, and watch the old task go or stay.

Wiring only: `ebll.live.Session` runs, `Scene` draws, and here they meet the widgets.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import final

from ebll.data import Task
from ebll.errors import InputError
from ebll.live import LabConfig
from ebll.live.config import calls_in, check_tasks
from ebll.live.cost import seconds_of
from ebll.panels.runs import RunPanel

__all__ = ["ForgettingLab", "forgetting_lab"]

QUICK = 3.0  # seconds of cost up to which a moved control runs by itself


def forgetting_lab(
    config: LabConfig | str = "",
    *,
    tasks: Iterable[Task] = (),
    hide: Iterable[str] = (),
    lock: Iterable[str] = (),
    folder: str | Path = "panel-results",
) -> ForgettingLab:
    """A panel that trains one task after another with any of the methods, live.

    config   where it begins: a `LabConfig`, or a line such as 'alpha=1.0, new="mnist"'
    tasks    tasks of your own to choose from, beside those of the kit
    hide     controls to leave out, such as ["seed", "epochs"]; `ForgettingLab.controls` lists the names
    lock     controls to show, but not to be changed
    folder   where "Take a figure" and "Take the data" write
    returns  the panel; as the last value of a cell it shows itself, and where nobody could use it a picture of its
             default state
    """
    return ForgettingLab(config, tasks=tasks, hide=hide, lock=lock, folder=folder)


@final
class ForgettingLab(RunPanel):
    """See `forgetting_lab`. `session` holds the runs; `wait()` waits for the one that is on."""

    def __init__(
        self,
        config: LabConfig | str = "",
        *,
        tasks: Iterable[Task] = (),
        hide: Iterable[str] = (),
        lock: Iterable[str] = (),
        folder: str | Path = "panel-results",
    ) -> None:
        super().__init__(LabConfig.read(config), tasks, hide, lock, folder)

    def _line(self) -> str:
        return self.session.config.line("ebll.live.run(ebll.LabConfig({}))")

    def _read(self, text: str) -> None:
        if calls_in(text, "run_live"):
            raise InputError("This is a line of what_if: paste it there, or leave only its LabConfig(...).")
        config = check_tasks(LabConfig.read(text), self.offered)
        self.keep_locked(self.session.config, config)
        self._change(config)

    def _say_end(self, how: str) -> None:
        super()._say_end(how)
        made = self.session.current
        if self.status is not None and made is not None and made.config != self.session.config:
            self.status.text += f" The settings have changed since. {self._cost()} Press Run."

    def _change(self, config: LabConfig) -> None:
        """Take another config: run it if that is quick, or say what it will cost."""
        if config == self.session.config:
            return
        self.session.config = config
        self._write()
        if "buttons" in self.hidden or (self.widgets.auto.value and seconds_of(config) <= QUICK):
            self._start(reuse=True)
        else:
            self.session.worker.stop()
            self.tell(f"The settings have changed; the picture is that of the last run. {self._cost()} Press Run.")
            self._draw(quick=False)
