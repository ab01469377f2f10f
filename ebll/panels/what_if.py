"""What if, in mid-run: one method trains slowly enough to watch, and its weights act while it does.

Wiring only, as in `forgetting_lab`; the changes are made and kept by `ebll.live.LiveKnobs`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import ipywidgets

from ebll.data import Task
from ebll.errors import InputError, check_choice, check_number
from ebll.live import LAB_METHODS, LIVE, LabConfig
from ebll.live.config import check_tasks
from ebll.live.cost import main_steps_of
from ebll.live.knobs import live_line, read_live
from ebll.live.session import line_of_run
from ebll.panels.base import guarded
from ebll.panels.controls import SPEEDS
from ebll.panels.runs import RunPanel
from ebll.panels.widgets import Knob
from ebll.plots import METHODS as LOOKS

__all__ = ["WhatIf", "what_if"]


def what_if(
    config: LabConfig | str = "",
    method: str = "ebll",
    changes: Iterable[Sequence[Any]] = (),
    *,
    speed: float = 30.0,
    tasks: Iterable[Task] = (),
    hide: Iterable[str] = (),
    lock: Iterable[str] = (),
    folder: str | Path = "panel-results",
) -> WhatIf:
    """A panel in which alpha, lambda and the other weights act while training goes on.

    config   where it begins: a `LabConfig`, or a line; one of `ebll.live.run_live` also gives method and changes
    method   which method is trained
    changes  what is changed in the first run: (step, name, value), such as (60, "alpha", 0.0)
    speed    optimiser steps a second
    tasks, hide, lock, folder   as in `forgetting_lab`
    returns  the panel; where nobody could use it, a picture of the run with these changes
    """
    return WhatIf(config, method, changes, speed=speed, tasks=tasks, hide=hide, lock=lock, folder=folder)


@final
class WhatIf(RunPanel):
    """See `what_if`. `session.current.changes` holds what was changed, and at which step."""

    controls: ClassVar[tuple[str, ...]] = (*RunPanel.controls, "method", "speed")

    def __init__(
        self,
        config: LabConfig | str = "",
        method: str = "ebll",
        changes: Iterable[Sequence[Any]] = (),
        *,
        speed: float = 30.0,
        tasks: Iterable[Task] = (),
        hide: Iterable[str] = (),
        lock: Iterable[str] = (),
        folder: str | Path = "panel-results",
    ) -> None:
        begin, named, planned = read_live(config)
        if not isinstance(changes, Iterable):
            raise InputError(f"changes: a list such as [(60, 'alpha', 0.0)]; got {changes!r}.")
        self._first = (named or check_choice(method, LAB_METHODS, "Method"), planned or tuple(changes))
        self._speed = check_number(speed, "speed", low=0.5, high=1e6, hint="30 steps a second can be followed.")
        self._speed_at_first = self._speed
        live, planned = self._first
        super().__init__(begin, tasks, hide, lock, folder, live=live, changes=planned)

    def _unused(self) -> frozenset[str]:
        return frozenset({"methods", "auto", "terms"})

    def _extra(self) -> dict[str, ipywidgets.Widget]:
        self._method = ipywidgets.Dropdown(
            options=[(LOOKS[name].label, name) for name in LAB_METHODS],
            value=self.session.live,
            description="method",
            tooltip="The method that is trained.",
            disabled="method" in self.locked,
            layout={"width": "270px"},
            style={"description_width": "84px"},
        )
        self._method.observe(self._on_method, names="value")
        self._pace = Knob(
            value=self._speed,
            grid=list(SPEEDS),
            label="speed, steps/s",
            tip="Optimiser steps a second, at most; 1000 is as fast as it goes.",
            locked="speed" in self.locked,
        )
        self._pace.observe(self._on_speed, names="value")
        self.session.pace = 1 / self._speed
        return {"speed": self._pace, "method": self._method}

    def _line(self) -> str:
        made = self.session.current
        return line_of_run(made) if made is not None and made.live else live_line(self._begin, *self._first)

    def _read(self, text: str) -> None:
        config, method, changes = read_live(text)
        check_tasks(config, self.offered)
        self.keep_locked(self.session.config, config)
        if "method" in self.locked and method not in ("", self.session.live):
            raise InputError(f"The method is locked in this panel: it stays {self.session.live!r}.")
        self.session.config, self.session.changes = config, changes
        self.session.live = method or self.session.live
        self._start()
        self._write()

    def _change(self, config: LabConfig) -> None:
        """A weight acts at the next step of the run that is on; anything else begins with the next run."""
        before, self.session.config = self.session.config, config
        self.session.changes = ()
        changed = [name for name in LabConfig.knobs() if getattr(before, name) != getattr(config, name)]
        if not changed:
            return
        live = [name for name in changed if name in LIVE]
        if self.session.control is None:
            self.tell(f"Set for the next run: {', '.join(changed).replace('_', ' ')}. {self._cost()} Press Run.")
        elif len(live) < len(changed):
            later = ", ".join(name for name in changed if name not in LIVE).replace("_", " ")
            self.tell(f"{later}: this cannot change in mid-run; it is set for the next one.")
        else:
            for name in live:
                self.session.knobs.set(name, getattr(config, name))
            self.tell(f"From the next step on: {', '.join(live).replace('_', ' ')} {getattr(config, live[-1]):g}.")
        self._write()

    def _on_turn(self) -> None:
        control, made = self.session.control, self.session.current
        if control is not None and made is not None:  # the old task, the encoder and the warm-up are not watched
            control.pace = self.session.pace if made.measured else 0.0
        super()._on_turn()

    def _cost(self) -> str:
        steps = main_steps_of(self.session.config)
        return f"A run has {steps} steps, and takes about {steps * self.session.pace:.0f} s at this speed."

    def _say_end(self, how: str) -> None:
        super()._say_end(how)
        made = self.session.current
        now = (self.session.config, self.session.live)
        if how and self.status is not None and made is not None and (made.config, made.live) != now:
            self.status.text += " Settings have changed since: Run begins with them."
        self._write()  # the line of code now holds the changes that were made

    @guarded
    def _on_reset(self, _: Any) -> None:
        self.session.live, self.session.changes = self._first
        self._pace.value = self._speed_at_first
        self.session.reset(self._begin)
        self._write()
        self._start()

    @guarded
    def _on_method(self, event: Any) -> None:
        if self._writing or event["new"] == self.session.live:
            return
        self.session.worker.stop()
        self.session.live, self.session.changes = event["new"], ()
        self._write()
        self.tell(f"{LOOKS[self.session.live].label} is set for the next run. {self._cost()} Press Run.")

    @guarded
    def _on_speed(self, event: Any) -> None:
        try:
            speed = check_number(event["new"], "speed", low=0.5, high=1e6)
        except InputError:
            self._pace.value = self._speed
            raise
        self._speed, self.session.pace = speed, 1 / speed
        if self.session.control is not None:
            self.session.control.pace = self.session.pace

    def _write(self) -> None:
        super()._write()
        self._method.value = self.session.live
