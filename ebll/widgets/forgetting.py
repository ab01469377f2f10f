"""The forgetting lab: choose tasks, methods and weights, run, and watch the old task go or stay."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable
from pathlib import Path
from string import ascii_uppercase
from typing import Any, ClassVar, final

import ipywidgets
import pandas as pd

from ebll import plots
from ebll.data import Task
from ebll.errors import InputError, check_choice, check_number
from ebll.plots import METHODS as LOOKS
from ebll.plots.figure import picture, png

from . import lab_view
from .chart import Drawing, free_stem
from .config import LAB_METHODS, MID_RUN, LabConfig, acts_on
from .controls import GRIDS, Slider, arranged, button, choice, listening, row
from .lab import LabRun, steps_of, training
from .settings_widget import SettingsWidget

__all__ = ["ForgettingLab", "forgetting_lab"]

SLIDERS = tuple(name for name in GRIDS if name in LabConfig.__dataclass_fields__)
STAYS = 2.5  # seconds for which a sentence about a change stays while a run goes on
PATIENCE = 2000  # optimiser steps of all methods up to which the cell itself makes the first run
MODES = {"run": "start a run", "mid-run": "act in mid-run", "wait": "wait for Run"}
FASTEST, WATCHED = 1000.0, 30.0  # steps a second
SPEEDS = (5.0, 10.0, 20.0, WATCHED, 50.0, 100.0, FASTEST)
BUTTONS = {
    "run": ("Run", "Train the new task with each method."),
    "pause": ("Pause", "Hold the run, or let it go on."),
    "step": ("Step", "Go on by one optimiser step, measure, and hold there."),
    "stop": ("Stop", "End the run; what it has measured stays."),
    "reset": ("Reset", "Everything as it was at first; pinned runs go."),
    "pin": ("Pin", "Keep this run to compare others with."),
}


@final
class ForgettingLab(SettingsWidget):
    """A widget that trains one task after another with any of the methods, live.

    As the last value of a cell it shows itself; without a front end, a picture of its first run.

    config   where it begins: a `LabConfig`, or a line such as 'alpha=1.0, new="mnist"'; then what the controls say
    mode     what a moved slider does: "run" starts a run, "mid-run" acts at the next step of the run that is on, for
             the weights of the loss terms, "wait" waits for the button Run
    speed    optimiser steps a second, at most; 30 with "mid-run", as fast as it goes otherwise
    tasks    tasks of your own to choose from, beside those of the kit
    hide     controls to leave out, such as ["seed", "epochs"]; `ForgettingLab.controls` lists the names
    lock     controls to show, but not to be changed
    folder   where "Take a figure" and "Take the data" write
    settings   any of `LabConfig` by name, such as alpha=1.0; its changes in mid-run are those of the first run

    made, before   the run on show, and the run before it
    pinned         name -> run that was kept
    landscape      the figure below the table, or None
    """

    controls: ClassVar[tuple[str, ...]] = (
        *("old", "new", "net", "methods", *SLIDERS, "speed"),
        *("buttons", "mode", "terms", "code", "take", "table", "landscape"),
    )
    drawn, figure = "lab", "figure"
    kind, lists = LabConfig, ("old", "new", "net")

    def __init__(
        self, config: LabConfig | str = "", *, mode: str = "run",
        speed: float | None = None, tasks: Iterable[Task] = (), hide: Iterable[str] = (), lock: Iterable[str] = (),
        folder: str | Path = "widget-results", **settings: Any,
    ) -> None:  # fmt: skip
        self.mode = check_choice(mode, MODES, "mode")
        speed = (WATCHED if mode == "mid-run" else FASTEST) if speed is None else speed
        self.speed = check_number(speed, "speed", low=0.5, high=1e6, hint="30 steps a second can be followed.")
        self._opened = self.mode, self.speed
        self._clear(self.kind.read(config, **settings))
        super().__init__(self.made.config, tasks=tasks, hide=hide, lock=lock, folder=folder)

    def _clear(self, config: LabConfig) -> None:
        """Nothing has been run."""
        self.made, self.before, self.pinned, self.terms_of = LabRun(config), None, {}, ""
        self.landscape: Any = None  # a matplotlib Figure

    def _first_run(self) -> None:
        steps = self.made.steps = self._steps()
        if self.static or not self._by_hand or steps * len(self.config.methods) <= PATIENCE:
            super()._first_run()
        else:
            self._draw()
            self.tell(f"Nothing has been trained yet. A run has {steps} steps a method: press Run.")

    # The controls

    def _build(self) -> None:
        on = self.listener
        self._add_settings()
        self.boxes = {name: self._box(name) for name in LAB_METHODS}
        tip = f"Optimiser steps a second, at most; {FASTEST:g} is as fast as it goes."
        self.pace = listening(Slider(grid=list(SPEEDS), label="speed, steps/s", tip=tip), on(self._set_speed))
        press = {name: on(lambda _, name=name: getattr(self, f"_press_{name}")()) for name in BUTTONS}
        self.buttons = {name: button(*BUTTONS[name], press[name]) for name in BUTTONS}
        modes = [(text, name) for name, text in MODES.items()]
        self.mode_list = choice("on a move", modes, on(self._set_mode), "What a moved slider does.", wide=True)
        tip = "The method whose loss terms are drawn, and its answers to images of the old task."
        self.terms = choice("in detail", [], on(self._choose_terms), tip, wide=True)
        self.take = [
            button("Take a figure", f"PNG, SVG, CSV and text, into {self.folder}/.", on(self._take_figure)),
            button("Take the data", f"CSV and the config, into {self.folder}/.", on(self._take_data)),
        ]
        self.results = ipywidgets.HTML()
        self.results.add_class("ebll-table")
        tip = (
            "Losses of both tasks in the plane of weights through the start, joint training's end, and the end of the "
        )
        self.buttons["landscape"] = button("Landscape", f"{tip}method in detail.", on(self._press_landscape))
        self.scene = ipywidgets.HTML()
        self.scene.add_class("ebll-scene")
        self.parts |= {
            "methods": row(self.boxes.values()),
            "speed": self.pace,
            "buttons": row(self.buttons[name] for name in BUTTONS),
            "mode": self.mode_list,
            "terms": self.terms,
            "take": row(self.take),
            "table": self.results,
            "landscape": ipywidgets.VBox([row([self.buttons["landscape"]]), self.scene]),
        }
        self.root = arranged(
            head=[row(self._shown(*self.choices)), *self._shown("methods")],
            left=self._shown(*self.sliders, "speed", "buttons", "mode", "terms"),
            right=[self.chart, self.status],
            foot=self._shown("code", "take", "table", "landscape"),
        )

    def _box(self, name: str) -> ipywidgets.Checkbox:
        """A box to tick for a method, as wide as its text."""
        label, layout = LOOKS[name].label, {"width": "auto", "margin": "0 12px 0 0"}
        made = ipywidgets.Checkbox(description=label, tooltip=f"Train with {label}.", indent=False, layout=layout)
        return listening(made, self.listener(lambda event: self._tick(name, event["new"])))

    def _show_config(self) -> None:
        """Set every control to what the widget holds; sliders that act on no ticked method are hidden."""
        super()._show_config()
        for name, slider in self.sliders.items():
            acts = acts_on(name, self.config.methods)
            slider.locked, slider.layout.display = name in self.locked or not acts, "" if acts else "none"
        for name, box in self.boxes.items():
            box.value = name in self.config.methods
        options = tuple((LOOKS[name].label, name) for name in self.config.methods)
        if self.terms.options != options:
            self.terms.options = options
        self.terms.value = self._terms_method(self.config)
        self.mode_list.value, self.pace.value = self.mode, self.speed

    def _terms_method(self, config: LabConfig) -> str:
        """The method whose loss terms are drawn."""
        return self.terms_of if self.terms_of in config.methods else config.methods[-1]

    def _line(self) -> str:
        """The line of code that does what the widget does now; in mid-run mode, that makes the run on show again."""
        in_mid_run = self.mode == "mid-run" and self.made.measured
        return (self.made.made_again if in_mid_run else self.config).line()

    # Runs

    def _training(self, *, held: bool = False, reuse: bool = True) -> Generator[Any, None, None]:
        """A run of all methods.

        reuse   take results that are known already, of methods on which a changed setting does not act
        """
        self._show_landscape(None)
        if self.made.measured:
            self.before = self.made
        self.made = LabRun(self.config, steps=self._steps(), every_step=held)
        self._show_state(held)
        self._draw()  # at once: what is to be run, and the run before
        return training(self.made, self.tasks, reuse=reuse and self.mode != "mid-run")

    def _pace(self) -> float:
        """Seconds between two steps; the old task, the encoder and the warm-up are not watched."""
        return 1 / self.speed if self.speed < FASTEST and self.made.measured else 0.0

    def _where(self) -> tuple[str, float]:
        return lab_view.going_on(self.made, self.held), self.made.step / self.made.steps

    def _words(self) -> str:
        now = " The settings have changed since." if self.made.now != self.config.replace(changes=()) else ""
        return f"{lab_view.ended(self.made)}{now}"

    def _on_end(self) -> None:
        self._show_state(False)
        super()._on_end()
        if self.error is None and self.made.notes:
            self.complain("\n".join(self.made.notes))

    @property
    def _by_hand(self) -> bool:
        """Whether there is a button to press."""
        return not {"buttons"} & (self.hidden | self.locked)

    def _steps(self) -> int:
        return steps_of(self.config, self.offered[self.config.new]())

    # What is shown

    def table(self) -> pd.DataFrame:
        """A row for each pinned run and method, and for the run on show: its results and what is set differently."""
        return lab_view.results_table(self._listed())

    def _listed(self) -> dict[str, LabRun]:
        return self.pinned | ({} if self.made in self.pinned.values() else {"now": self.made})

    def _drawing(self, with_alt: bool) -> Drawing:
        def same(one: LabRun) -> tuple[str, ...]:
            return one.config.old, one.config.new, one.config.net

        beside = {name: one for name, one in self.pinned.items() if one is not self.made}
        if self.before is not None and self.before not in beside.values():
            beside["before"] = self.before
        beside = {name: one for name, one in beside.items() if same(one) == same(self.made) and one.measured}
        return lab_view.lab_drawing(self.made, self._terms_method(self.made.config), beside, with_alt)

    def _show_state(self, held: bool) -> None:
        """Show the table of results, and what the button Pause does now."""
        if self.root is not None:
            self.buttons["pause"].description = "Resume" if held else "Pause"
            self.results.value = lab_view.results_html(self.table())

    def _show_landscape(self, figure: Any) -> None:
        """Show the landscape of the run on show below the table, or take away that of another."""
        self.landscape = figure
        if self.root is not None:
            self.scene.value = picture(png(figure), figure.alt)["text/html"] if figure is not None else ""

    # What the user does

    def _apply(self, config: LabConfig) -> None:
        """In mid-run mode a change acts at the next step, otherwise it starts a run, or waits for the button."""
        moved = [name for name in config.__dataclass_fields__ if getattr(self.config, name) != getattr(config, name)]
        text = ", ".join(moved).replace("_", " ")
        in_mid_run = self.mode == "mid-run" and self.running
        acts = in_mid_run and set(moved) <= set(MID_RUN)
        for name in moved if acts else ():
            self.made.change(name, getattr(config, name))
        self.config = config.replace(changes=())
        if acts:
            self.tell(f"From the next step on: {text} {getattr(config, moved[-1]):g}.", STAYS)
        elif in_mid_run:
            self.tell(f"{text}: this cannot change in mid-run; it is set for the next one.", STAYS)
        elif self.mode == "run" or not self._by_hand:
            self._start()
        else:
            self.tell(f"Set for the next run: {text}. Press Run.", STAYS)

    def _choose(self, name: str, value: str) -> None:
        other = {"old": "new", "new": "old"}.get(name)
        swap = {other: getattr(self.config, name)} if other and value == getattr(self.config, other) else {}
        self._change(**{name: value}, **swap)

    def _tick(self, name: str, ticked: bool) -> None:
        wanted = {*self.config.methods, name} if ticked else {*self.config.methods} - {name}
        self._change(methods=tuple(one for one in self.boxes if one in wanted))

    def _choose_terms(self, event: Any) -> None:
        if event["new"]:
            self.terms_of = event["new"]
            self._show_landscape(None)  # that of another method
            self._draw()

    def _set_mode(self, event: Any) -> None:
        self.mode = event["new"]
        if self.mode == "mid-run" and self.speed >= FASTEST and "speed" not in self.locked:
            self.speed = WATCHED
        self.tell(f"On a move of a slider: {MODES[self.mode]}.")

    def _set_speed(self, event: Any) -> None:
        self.speed = check_number(event["new"], "speed", low=0.5, high=1e6)

    def _read(self, line: LabConfig | str, **settings: Any) -> LabConfig:
        config = super()._read(line, **settings)
        for name in (config.old, config.new):
            check_choice(name, self.offered, "Task")
        return config

    def _load(self, line: str) -> None:
        config = self._read(line)
        self.keep_locked(config)
        for _, name, _ in set(config.changes) - set(self.config.changes):
            if name in self.locked:
                raise InputError(f"{name.replace('_', ' ')} is locked in this widget: it cannot change in mid-run.")
        self.config = config
        if config != self.made.made_again:
            self._start()

    def _press_run(self) -> None:
        self._start(reuse=False)

    def _press_pause(self) -> None:
        if not self.running:
            raise InputError("Nothing is running: press Run, or Step.")
        self._let_go(math.inf if self.paused else 0)
        self.made.every_step = False
        self._show_state(self.paused)

    def _press_step(self) -> None:
        if not self.running:
            self._start(held=True, reuse=False)
        else:
            self.made.every_step = True
            self._let_go(self._to_go + 1 if self.paused else 1)
            self._show_state(True)

    def _press_stop(self) -> None:
        if not self.running:
            raise InputError("Nothing is running.")
        self.task.cancel()

    def _press_reset(self) -> None:
        self.config, (self.mode, self.speed) = self._begin, self._opened
        self._clear(self.config)
        self.chart.moment = None
        self._start()

    def _press_pin(self) -> None:
        if self.running:
            raise InputError("The run is still on: wait until it has ended, or press Stop, and pin it then.")
        if not self.made.measured:
            raise InputError("There is no run to pin yet: press Run first.")
        if self.made in self.pinned.values():
            raise InputError("This run is pinned already: change something and run again.")
        round_, letter = divmod(len(self.pinned), len(ascii_uppercase))
        name = ascii_uppercase[letter] + (str(round_ + 1) if round_ else "")
        self.pinned[name] = self.made
        self._show_state(False)
        self._draw()
        self.tell(f"Pinned as {name}: it stays in the picture and in the table below.")

    def _press_landscape(self, _: Any) -> None:
        if self.running:
            raise InputError("The run is still on: wait until it has ended, and look around then.")
        method = self._terms_method(self.made.config)
        self.tell("Training on both tasks, then asking for losses all over the plane.")
        self._show_landscape(plots.landscape(*self.made.landscape(method)))
        self.tell(f"Below: the plane through the start, joint training's end and that of {LOOKS[method].label}.")

    def _take_figure(self, event: Any) -> None:
        if not self.made.measured:
            raise InputError("There is no picture to take yet: press Run, and let it come to its first measurement.")
        super()._take_figure(event)
        if self.landscape is not None:
            plots.save(self.landscape, free_stem(self.folder, "landscape"))

    def _take_data(self, _: Any) -> None:
        files = lab_view.save_results(self._listed(), free_stem(self.folder, "data"))
        self.tell(f"Written: {', '.join(map(str, files))}")


forgetting_lab = ForgettingLab
