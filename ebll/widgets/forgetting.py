"""The forgetting lab: choose tasks, methods and weights, run, and watch the old task go or stay."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

import ipywidgets
import pandas as pd

from ebll.config import NEW_TASK_IMAGES
from ebll.data import Task
from ebll.errors import EbllError, InputError, OutputError, check_choice, check_number
from ebll.plots import METHODS as LOOKS

from . import controls, words
from .base import Widget, arranged, row, shown
from .chart import Chart, Drawing, spec_of
from .config import LAB_METHODS, MID_RUN, LabConfig, acts_on, checked_changes, line_of_run, read_run
from .controls import GRIDS, Slider, Status
from .driver import Driver
from .lab import LabRun, cost_of, seconds_of, steps_of, training, training_settings
from .saving import free_stem
from .starts import offered_tasks, own_tasks
from .tables import curves_of, lab_tables

__all__ = ["ForgettingLab", "forgetting_lab"]

STAYS = 2.5  # seconds for which a sentence about a change stays while a run goes on
FRAME = 0.09  # seconds from one picture to the next
QUICK, PATIENCE = 3.0, 12.0  # seconds of cost up to which a moved slider runs by itself, and the cell makes a first run
NAMES = "ABCDEFGH"  # of pinned runs: there can be as many
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


def forgetting_lab(
    config: LabConfig | str = "",
    changes: Iterable[Sequence[Any]] = (),
    *,
    mode: str = "run",
    speed: float | None = None,
    tasks: Iterable[Task] = (),
    hide: Iterable[str] = (),
    lock: Iterable[str] = (),
    folder: str | Path = "widget-results",
) -> ForgettingLab:
    """A widget that trains one task after another with any of the methods, live.

    config   where it begins: a `LabConfig`, or a line such as 'alpha=1.0, new="mnist"'
    changes  what is changed in mid-run in the first run: (step, name, value), such as (60, "alpha", 0.0)
    mode     what a moved slider does: "run" starts a run, "mid-run" acts at the next step of the run that is on, for
             the weights of the loss terms, "wait" waits for the button Run
    speed    optimiser steps a second, at most; 30 with "mid-run", as fast as it goes otherwise
    tasks    tasks of your own to choose from, beside those of the kit
    hide     controls to leave out, such as ["seed", "epochs"]; `ForgettingLab.controls` lists the names
    lock     controls to show, but not to be changed
    folder   where "Take a figure" and "Take the data" write
    returns  the widget; as the last value of a cell it shows itself, and where nobody could use it a picture of its
             first run
    """
    return ForgettingLab(config, changes, mode=mode, speed=speed, tasks=tasks, hide=hide, lock=lock, folder=folder)


@dataclass(frozen=True)
class Pinned:
    """A run that was kept to compare with."""

    name: str
    made: LabRun


@final
class ForgettingLab(Widget):
    """See `forgetting_lab`.

    config   what the controls say
    made     the run on show
    before   the run before it
    pinned   runs that were kept
    """

    controls: ClassVar[tuple[str, ...]] = (
        *("old", "new", "net", "methods", *GRIDS, "speed"),
        *("buttons", "mode", "terms", "code", "take", "table"),
    )

    def __init__(
        self, config: LabConfig | str, changes: Iterable[Sequence[Any]], *, mode: str, speed: float | None,
        tasks: Iterable[Task], hide: Iterable[str], lock: Iterable[str], folder: str | Path,
    ) -> None:  # fmt: skip
        super().__init__(hide, lock, folder)
        self.config, written = read_run(config)
        self.changes = checked_changes(self.config, changes) or written
        self.mode = check_choice(mode, MODES, "mode")
        speed = (WATCHED if mode == "mid-run" else FASTEST) if speed is None else speed
        self.speed = check_number(speed, "speed", low=0.5, high=1e6, hint="30 steps a second can be followed.")
        self._begin = (self.config, self.changes, self.mode, self.speed)
        self.tasks = own_tasks(tasks)
        self.offered = offered_tasks(self.tasks)
        for name in (self.config.old, self.config.new):
            check_choice(name, self.offered, "Task")
        self.made, self.before, self.pinned = LabRun(self.config, self.changes), None, []
        self.terms_of = ""
        self._drawn = self._begun = 0.0
        self._faint: tuple[list[tuple[str, LabRun]], pd.DataFrame | None] = ([], None)
        try:
            if not self.static:
                self._build()
            if self.static or not self._by_hand or seconds_of(self.config, self._images()) <= PATIENCE:
                self._start(here=True)
            else:
                self._draw()
                self.tell(f"Nothing has been trained yet. {self._cost()} Press Run.")
        except BaseException:  # the cell shows it, and nothing half-made stays
            self.close()
            raise
        self._ready()

    # The controls

    def _build(self) -> None:
        on, config, locked = self.listener, self.config, self.locked
        self.status, self.chart = Status(), Chart("lab")
        lists = {"old": ("old task", self.offered), "new": ("new task", self.offered), "net": ("net", ("mlp", "cnn"))}
        self.choices = {
            name: controls.choice(
                text, options, getattr(config, name), on(lambda event, name=name: self._choose(name, event["new"])),
                tip=config.metadata()[name]["doc"], locked=name in locked,
            )
            for name, (text, options) in lists.items()
        }  # fmt: skip
        self.boxes = {}
        for name in LAB_METHODS:
            self.boxes[name] = ipywidgets.Checkbox(
                value=name in config.methods, description=LOOKS[name].label, indent=False,
                tooltip=f"Train with {LOOKS[name].label}.", disabled="methods" in locked,
                layout={"width": "auto", "margin": "0 12px 0 0"},
            )  # fmt: skip
            self.boxes[name].observe(on(self._tick), names="value")
        self.sliders = {
            name: controls.setting_slider(name, config, on(lambda event, name=name: self._move(name, event["new"])))
            for name in GRIDS
        }
        self.pace = Slider(
            value=self.speed, grid=list(SPEEDS), label="speed, steps/s", locked="speed" in locked,
            tip=f"Optimiser steps a second, at most; {FASTEST:g} is as fast as it goes.",
        )  # fmt: skip
        self.pace.observe(on(lambda event: self._set_speed(event["new"])), names="value")
        press = {name: on(lambda _, name=name: getattr(self, f"_press_{name}")()) for name in BUTTONS}
        self.buttons = {n: controls.button(*BUTTONS[n], press[n], "buttons" in locked) for n in BUTTONS}
        self.mode_list = controls.choice(
            "on a move", [(text, name) for name, text in MODES.items()], self.mode,
            on(lambda event: self._set_mode(event["new"])), tip="What a moved slider does.", locked="mode" in locked,
            width=290, name_width=104,
        )  # fmt: skip
        self.terms = controls.choice(
            "loss terms of", [(LOOKS[name].label, name) for name in config.methods], config.methods[-1],
            on(self._choose_terms), tip="The method whose loss terms are drawn.", locked="terms" in locked,
            width=290, name_width=104,
        )  # fmt: skip
        self.code = controls.code_line(on(self._read), "code" in locked)
        self.take = [
            controls.button("Take a figure", f"PNG, SVG, CSV and text, into {self.folder}/.", on(self._take_figure)),
            controls.button("Take the data", f"CSV and the config, into {self.folder}/.", on(self._take_data)),
        ]
        self.results = ipywidgets.HTML()
        self.results.add_class("ebll-table")
        for one in self.take:
            one.disabled = "take" in locked
        rows = {"methods": row(self.boxes.values()), "buttons": row(self.buttons.values()), "take": row(self.take)}
        self._rows = tuple(rows.values())
        self.root = arranged(
            head=[row(shown(self.choices, self.hidden)), *shown({"methods": rows["methods"]}, self.hidden)],
            left=shown(
                {**self.sliders, "speed": self.pace, "buttons": rows["buttons"], "mode": self.mode_list}
                | {"terms": self.terms},
                self.hidden,
            ),
            right=[self.chart, self.status],
            foot=shown({"code": self.code, "take": rows["take"], "table": self.results}, self.hidden),
        )
        self._write()

    def _parts(self) -> Iterable[ipywidgets.Widget]:
        if self.root is None:
            return ()
        groups = (self.choices, self.boxes, self.sliders, self.buttons)
        single = (self.pace, self.mode_list, self.terms, self.code, self.results, *self.take)
        return (*(one for group in groups for one in group.values()), *single, *self._rows)

    def _write(self) -> None:
        """Bring every control in step with what the widget holds; sliders that act on no method cannot be moved."""
        if self.root is None:
            return
        with self._setting():
            for name, slider in self.sliders.items():
                slider.value = float(getattr(self.config, name))
                slider.locked = name in self.locked or not acts_on(name, self.config.methods)
            for name, one in self.choices.items():
                one.value = getattr(self.config, name)
            for name, box in self.boxes.items():
                box.value = name in self.config.methods
            options = tuple((LOOKS[name].label, name) for name in self.config.methods)
            if self.terms.options != options:
                self.terms.options = options
            self.terms.value = self.terms_of if self.terms_of in self.config.methods else self.config.methods[-1]
            self.mode_list.value, self.pace.value, self.code.value = self.mode, self.speed, self._line()

    def _line(self) -> str:
        """The line of code that does what the widget does now; in mid-run mode, that makes the run on show again."""
        made = self.made
        if self.mode == "mid-run" and made.steps:
            return line_of_run(made.config, [*made.changes, *(made.planned if self.running else ())])
        return line_of_run(self.config, self.changes)

    # Runs

    def _start(self, *, held: bool = False, reuse: bool = True, here: bool = False) -> None:
        """Begin a run; one that is on stops.

        held    stop at the first measurement
        reuse   take results that are known already, of methods on which a changed setting does not act
        here    take it to its end before anything else is done
        """
        self.halt()
        if self.made.measured:
            self.before = self.made
        made = self.made = LabRun(self.config, self.changes)
        self._begun = time.monotonic()
        self.tell(f"Training. {self._cost()}")
        if self.root is not None:
            self.results.value = words.results_html(self.table())
            self._show_pause(held)
        steps = training(made, self.tasks, reuse=reuse and self.mode != "mid-run")
        options = {"until": self._measured(made) if held else None, "threads": training_settings(made.config).threads}
        if not here:
            self._draw()  # at once: what is to be run, and the run before
        self.driver = Driver(
            steps, on_slice=self._on_slice, on_end=self._on_end, loop=None if here else self._loop, pace=self._pause_of,
            **options,
        )  # fmt: skip

    def _pause_of(self) -> float:
        """Seconds between two steps; the old task, the encoder and the warm-up are not watched."""
        return 1 / self.speed if self.speed < FASTEST and self.made.measured else 0.0

    @staticmethod
    def _measured(made: LabRun) -> Any:
        """Whether something was measured since now, as a function; until then every step is."""
        begun, made.every_step = made.measured, True

        def reached() -> bool:
            made.every_step = made.measured == begun
            return not made.every_step

        return reached

    def _on_slice(self, held: bool) -> None:
        now = time.monotonic()
        if held or now - self._drawn >= FRAME:
            self._draw()
            made = self.made
            self.progress(words.going_on(made, held), made.step / made.steps if made.steps else 0.0)

    def _on_end(self, driver: Driver) -> None:
        if self.closed:
            return
        self._draw()
        how = {"stopped": "Stopped", "failed": "Failed"}.get(driver.state, "Done")
        now = " The settings have changed since." if self.made.now != self.config else ""
        self.tell(f"{how} after {time.monotonic() - self._begun:.1f} s. {words.ended(self.made)}{now}")
        if driver.state == "failed":
            kind = "" if isinstance(driver.error, EbllError) else f"{type(driver.error).__name__}: "
            self.complain(f"The run failed: {kind}{driver.error}")
        elif self.made.notes:
            self.complain("\n".join(self.made.notes))
        if self.root is not None:
            self._show_pause(False)
            self.status.done = 1.0 if driver.state == "done" else self.status.done
            self.results.value = words.results_html(self.table())
            self._write()

    @property
    def _by_hand(self) -> bool:
        """Whether there is a button to press."""
        return not {"buttons"} & (self.hidden | self.locked)

    def _images(self) -> int:
        """Training images of the new task, where it is one of the user's own; those of the kit have enough."""
        own = {task.name: len(task.train) for task in self.tasks}
        return own.get(self.config.new, NEW_TASK_IMAGES)

    def _cost(self) -> str:
        if self.speed < FASTEST:
            steps = steps_of(self.config, self._images())[1]
            return f"A run has {steps} steps, about {steps / self.speed:.0f} s at this speed."
        return f"A run costs {cost_of(self.config, self._images())}."

    # What is shown

    def drawing(self) -> Drawing:
        """What the widget shows now, for a file."""
        tables, settings, texts = self._contents()
        moment = self.chart.moment if self.root is not None else None
        return Drawing(spec_of("lab"), tables, settings, words.lab_alt(self.made), moment=moment, **texts)

    def table(self) -> pd.DataFrame:
        """A row for each pinned run and method, and for the run on show: its results and what is set differently."""
        parts = []
        for one in self._listed():
            made = one.made.table().reset_index(names="method")
            made.insert(0, "run", one.name)
            different = [words.differences(one.made.config), *words.changes_in_words(one.made.changes)]
            parts.append(made.assign(settings=", ".join(different)))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def _listed(self) -> list[Pinned]:
        now = [] if any(one.made is self.made for one in self.pinned) else [Pinned("now", self.made)]
        return [*self.pinned, *now]

    def _picture(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.drawing().bundle()

    def _draw(self) -> None:
        if self.root is None or self.closed:
            return
        self._drawn = time.monotonic()
        try:
            tables, settings, texts = self._contents()
            text = {} if self.running else {"alt": words.lab_alt(self.made)}
            self.chart.show(tables, settings, **texts, **text)
        except Exception as error:  # a picture that fails must not end a run
            self.fault(error)

    def _contents(self) -> tuple[dict[str, pd.DataFrame], dict[str, Any], dict[str, str]]:
        """The chart's tables, settings and texts."""
        made, config = self.made, self.made.config
        beside = {one.name: one.made for one in self.pinned if one.made is not made}
        if self.before is not None and self.before not in beside.values():
            beside["before"] = self.before
        same = ("old", "new", "net")
        beside = {n: b for n, b in beside.items() if all(getattr(b.config, s) == getattr(config, s) for s in same)}
        if list(beside.items()) != self._faint[0]:  # made once, as these runs are over
            rows = [curves_of(one.rows).assign(run=name) for name, one in beside.items() if one.measured]
            self._faint = list(beside.items()), pd.concat(rows) if rows else None
        tables, settings = lab_tables(
            curves_of(made.rows), old=config.old, new=config.new, methods=config.methods,
            terms_of=self.terms_of if self.terms_of in config.methods else config.methods[-1],
            steps=made.steps or steps_of(config, self._images())[1], beside=self._faint[1],
            changes=[(c.step, f"{c.name} {c.value:g}".replace("_", " ")) for c in made.changes], diverged=made.diverged,
        )  # fmt: skip
        named = ["the run before" if name == "before" else f"pinned {name}" for name in beside]
        return tables, settings, {"heading": words.lab_title(made), "caption": words.lab_caption(made, named)}

    def _show_pause(self, held: bool) -> None:
        self.buttons["pause"].description = "Resume" if held else "Pause"

    # What the user does

    def _change(self, **settings: Any) -> None:
        """Change settings; where that may not be, say why, and set the controls back.

        In mid-run mode a change acts at the next step, otherwise it is run if that is quick; else say what it costs.
        """
        before = self.config, self.changes
        try:
            config = self.config.with_net(settings.pop("net", self.config.net)).replace(**settings)
            self.keep_locked(self.config, config)
            moved = [
                name for name in config.__dataclass_fields__ if getattr(self.config, name) != getattr(config, name)
            ]
            told, weights = ", ".join(moved).replace("_", " "), [name for name in moved if name in MID_RUN]
            if not moved:
                return
            self.config, self.changes = config, ()
            if self.mode == "mid-run" and self.running and weights == moved:
                for name in moved:
                    self.made.change(name, getattr(config, name))
                self.tell(f"From the next step on: {told} {getattr(config, moved[-1]):g}.", STAYS)
            elif self.mode == "mid-run" and self.running:
                self.tell(f"{told}: this cannot change in mid-run; it is set for the next one.", STAYS)
            elif not self._by_hand or (self.mode == "run" and seconds_of(config, self._images()) <= QUICK):
                self._start()
            else:
                self.tell(f"Set for the next run: {told}. {self._cost()} Press Run.", STAYS)
        except InputError:
            self.config, self.changes = before
            raise
        finally:
            self._write()

    def _move(self, name: str, value: float) -> None:
        whole = self.sliders[name].whole and float(value).is_integer()
        self._change(**{name: int(value) if whole else value})

    def _choose(self, name: str, value: str) -> None:
        other = {"old": "new", "new": "old"}.get(name)
        swap = {other: getattr(self.config, name)} if other and value == getattr(self.config, other) else {}
        self._change(**{name: value}, **swap)

    def _tick(self, _: Any) -> None:
        self._change(methods=tuple(name for name, box in self.boxes.items() if box.value))

    def _choose_terms(self, event: Any) -> None:
        if event["new"]:
            self.terms_of = event["new"]
            self._draw()

    def _set_mode(self, mode: str) -> None:
        self.mode = mode
        if mode == "mid-run" and self.speed >= FASTEST and "speed" not in self.locked:
            self.speed = WATCHED
        self.tell(f"On a move of a slider: {MODES[mode]}. {self._cost()}")
        self._write()

    def _set_speed(self, value: float) -> None:
        try:
            self.speed = check_number(value, "speed", low=0.5, high=1e6)
        finally:
            self._write()

    def _read(self, event: Any) -> None:
        try:
            if not event["new"].strip():
                raise InputError("The line of code is empty, so the setting stays. Reset goes back to the beginning.")
            config, changes = read_run(event["new"])
            for name in (config.old, config.new):
                check_choice(name, self.offered, "Task")
            self.keep_locked(self.config, config)
            for _, name, _ in set(changes) - set(self.changes):
                if name in self.locked:
                    raise InputError(f"{name.replace('_', ' ')} is locked in this widget: it cannot change in mid-run.")
            shown = (self.made.config, [*self.made.changes, *self.made.planned])
            self.config, self.changes = config, changes
            if (config, list(changes)) != shown:
                self._start()
        finally:
            self._write()

    def _press_run(self) -> None:
        self._start(reuse=False)

    def _press_pause(self) -> None:
        if not self.running:
            raise InputError("Nothing is running: press Run, or Step.")
        (self.driver.resume if self.driver.paused else self.driver.pause)()
        self.made.every_step = False
        self._show_pause(self.driver.paused)

    def _press_step(self) -> None:
        if not self.running:
            self._start(held=True, reuse=False)
        else:
            self.driver.step(self._measured(self.made))
            self._show_pause(True)

    def _press_stop(self) -> None:
        if not self.running:
            raise InputError("Nothing is running.")
        self.driver.stop()

    def _press_reset(self) -> None:
        self.halt()
        self.config, self.changes, self.mode, self.speed = self._begin
        self.made, self.before, self.pinned, self.terms_of = LabRun(self.config, self.changes), None, [], ""
        self.chart.moment = None
        self._start()
        self._write()

    def _press_pin(self) -> None:
        if self.running:
            raise InputError("The run is still on: wait until it has ended, or press Stop, and pin it then.")
        if not self.made.measured:
            raise InputError("There is no run to pin yet: press Run first.")
        if any(one.made is self.made for one in self.pinned):
            raise InputError("This run is pinned already: change something and run again.")
        self.pinned = self.pinned[-(len(NAMES) - 1) :]
        name = next(name for name in NAMES if name not in {one.name for one in self.pinned})
        self.pinned.append(Pinned(name, self.made))
        self.results.value = words.results_html(self.table())
        self._draw()
        self.tell(f"Pinned as {name}: it stays in the picture and in the table below.")

    def _take_figure(self, _: Any) -> None:
        if not self.made.measured:
            raise InputError("There is no picture to take yet: press Run, and let it come to its first measurement.")
        files = self.drawing().save(free_stem(self.folder, "figure"))
        self.tell(f"Written: {', '.join(str(path) for path in files.values())}")

    def _take_data(self, _: Any) -> None:
        files = self.save_data(free_stem(self.folder, "data"))
        self.tell(f"Written: {', '.join(map(str, files))}")

    def save_data(self, folder: str | Path) -> list[Path]:
        """Write what was recorded: curves and results as CSV, the configs as JSON; returns the files."""
        folder, listed = Path(folder), [one for one in self._listed() if one.made.measured]
        if not listed:
            raise InputError("There is nothing to take yet: press Run first.")
        curves = pd.concat([one.made.curves.assign(run=one.name) for one in listed], ignore_index=True)
        about = {
            "configs": {one.name: line_of_run(one.made.config, one.made.changes) for one in listed},
            "notes": {one.name: one.made.notes for one in listed if one.made.notes},
        }
        files = {
            "curves.csv": curves.to_csv(index=False, lineterminator="\n"),
            "results.csv": self.table().to_csv(index=False, lineterminator="\n"),
            "config.json": json.dumps(about, indent=2) + "\n",
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (folder / name).write_text(text, encoding="utf-8")
        except (OSError, ValueError) as error:
            what = getattr(error, "strerror", None) or error
            raise OutputError(
                f"Cannot write into the folder {str(folder)!r}: {what}. Choose one that you may write to: the widget's "
                "argument `folder`."
            ) from error
        return [folder / name for name in files]
