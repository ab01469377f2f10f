"""A widget with a chart of what its settings give, and runs that the kernel's event loop takes on, without a thread."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from abc import abstractmethod
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, ClassVar

import ipywidgets
from IPython import get_ipython

from ebll.data import Task
from ebll.errors import EbllError, InputError
from ebll.seeds import cpu_threads
from ebll.settings import NET_NAMES, USUAL, Settings

from .base import Widget
from .chart import Chart, Drawing, free_stem, spec_of
from .config import WidgetConfig, offered_tasks, own_tasks
from .controls import GRIDS, NAMES, Status, all_in, arranged, button, choice, listening, row, setting_slider

__all__ = ["SettingsWidget"]

SLICE = 0.02  # seconds of work between two looks at the event loop
FRAME = 0.09  # seconds from one picture of a run to the next
TURNS = 8  # of the event loop after each slice: a message passes through several before its handler is called


class SettingsWidget(Widget):
    """A widget with a chart of what its settings give: a list or a slider for each, a line of code, runs, files.

    A subclass has `_training()`, the generator of a run of its config, `_where()`, how far it is, `_words()`, what was
    found, and `_drawing(with_alt)`, what is shown.

    config   what the controls say
    parts    name of a control, as `hide` and `lock` take it -> its widget
    state    of the newest run: "none", "running", "done", "stopped" or "failed"; a cell that is busy holds a run up
    error    the exception of a failed run, or None
    """

    kind: ClassVar[type[WidgetConfig]]  #: of its config
    lists: ClassVar[tuple[str, ...]] = ()  #: settings with a list to choose from
    drawn: ClassVar[str]  #: name of its chart
    figure: ClassVar[str]  #: what the files of its figures are called
    doing: ClassVar[str] = "Training."
    config: Any
    state: str = "none"
    error: BaseException | None = None
    task: asyncio.Task[None] | None = None

    def __init__(
        self, config: Any = "", *, tasks: Iterable[Task] = (), hide: Iterable[str] = (), lock: Iterable[str] = (),
        folder: str | Path = "widget-results", **settings: Any,
    ) -> None:  # fmt: skip
        super().__init__(hide, lock, folder)
        self.parts: dict[str, ipywidgets.Widget] = {}
        self.tasks = own_tasks(tasks)
        self.offered = offered_tasks(self.tasks)
        self.config = self._begin = self._read(config, **settings)
        self._go, self._to_go = asyncio.Event(), math.inf
        self._last = self._drawn = self._begun = 0.0
        try:  # where it fails, the cell shows the error and nothing half-made stays
            if not self.static:
                self.status, self.chart = Status(), Chart(Drawing(spec_of(self.drawn)))
                self._build()
                for part in all_in(*(self.parts[name] for name in self.locked)):
                    for trait in {"locked", "disabled"} & set(part.traits()):
                        setattr(part, trait, True)
                self._write()
            self._first_run()
        except BaseException:
            self.close()
            raise
        if self._loop is not None and get_ipython() is not None:
            get_ipython().events.register("pre_run_cell", self._wait_for_cell)

    def _first_run(self) -> None:
        self._start(here=True)

    @abstractmethod
    def _training(self, **options: Any) -> Generator[Any, None, None]:
        """A run of the config: yields True after a step that may hold it; it is closed at the end, however that comes.

        options   those of `_start`
        """

    @abstractmethod
    def _where(self) -> tuple[str, float]:
        """How far the run is, in words and as a share."""

    @abstractmethod
    def _words(self) -> str:
        """What was found."""

    @abstractmethod
    def _drawing(self, with_alt: bool) -> Drawing:
        """What is shown, its text only if asked for."""

    def close(self) -> None:
        """As a `Widget`; the controls that are hidden go too."""
        super().close()
        with contextlib.suppress(ValueError, AttributeError):  # outside IPython, or before it was registered
            get_ipython().events.unregister("pre_run_cell", self._wait_for_cell)
        for widget in all_in(*self.parts.values()):
            widget.close()

    # Runs: a generator that the event loop takes on, without a thread

    @property
    def running(self) -> bool:
        """Whether a run is on."""
        return self.state == "running"

    @property
    def paused(self) -> bool:
        """Whether the run is held, or will be soon."""
        return self._to_go < math.inf

    @property
    def held(self) -> bool:
        """Whether the run stands still."""
        return self.running and not self._to_go

    async def finished(self) -> None:
        """Wait for the run that is on, and raise what it raised: `await widget.finished()`."""
        while self.running:
            await asyncio.wait([self.task])
        if self.error is not None:
            raise self.error

    def halt(self) -> None:
        """End the run that is on, if any, after the step that it is at, without a word about its end."""
        task, self.task = self.task, None
        if self.running:
            self.state = "stopped"
        if task is not None:
            task.cancel()

    def _start(self, *, here: bool = False, held: bool = False, **options: Any) -> None:
        """Begin a run; one that is on stops.

        here      take it to its end before anything else is done, and raise its errors
        held      hold it at the first step that may hold it
        options   of the widget's own runs
        """
        self.halt()
        self.state, self.error, self._begun = "running", None, time.monotonic()
        self._let_go(1 if held else math.inf)
        self.tell(self.doing)
        steps = self._training(held=held, **options)
        if not here and self._loop is not None:
            self.task = self._loop.create_task(self._run(steps))
            self.task.add_done_callback(self._end)
            return
        with contextlib.closing(steps), cpu_threads(USUAL.threads):
            for _ in steps:
                pass
        self.state = "done"
        self._on_end()

    def _let_go(self, steps: float) -> None:
        """Let the run go on for so many of the steps that may hold it; infinity lets it go, and 0 holds it."""
        self._to_go = steps
        (self._go.set if steps else self._go.clear)()

    async def _run(self, steps: Generator[Any, None, None]) -> None:
        with contextlib.closing(steps):
            while not self._work(steps):
                self._on_slice()
                for _ in range(TURNS):  # messages are handled
                    await asyncio.sleep(0)
                if self._pace() and not self.paused:
                    await asyncio.sleep(max(0.0, self._last + self._pace() - time.monotonic()))
                self._last = time.monotonic()
                if self.held:
                    self._on_slice()
                    await self._go.wait()

    def _work(self, steps: Generator[Any, None, None]) -> bool:
        """A slice of work, or one step where each may be the last for now; returns whether the run has ended."""
        end = time.monotonic() + (0.0 if self.paused or self._pace() else SLICE)
        with cpu_threads(USUAL.threads):
            for place in steps:
                if place is True and self._to_go:
                    self._let_go(self._to_go - 1)
                if time.monotonic() >= end:
                    return False
        return True

    def _end(self, task: asyncio.Task[None]) -> None:
        if task is self.task:
            self.error = None if task.cancelled() else task.exception()
            self.state = "stopped" if task.cancelled() else "failed" if self.error else "done"
            self._on_end()

    def _on_slice(self) -> None:
        """Called after each slice of a run, and when it is held."""
        if self.held or time.monotonic() - self._drawn >= FRAME:
            self._drawn = time.monotonic()
            self._draw()
            self.progress(*self._where())

    def _on_end(self) -> None:
        """Called at the end of a run, unless another has replaced it."""
        self._draw()
        how = {"stopped": "Stopped", "failed": "Failed"}.get(self.state, "Done")
        self.tell(f"{how} after {time.monotonic() - self._begun:.1f} s. {self._words()}")
        if self.error is not None:
            kind = "" if isinstance(self.error, EbllError) else f"{type(self.error).__name__}: "
            self.complain(f"The run failed: {kind}{self.error}")
        if self.state == "done":
            self._say(done=1.0)
        self._write()

    def _pace(self) -> float:
        """The least seconds from one step to the next."""
        return 0.0

    def _wait_for_cell(self, _: Any) -> None:
        """A cell begins: say why the run stands still until it has ended."""
        if self.running and not self.paused and threading.get_ident() == self._thread:
            self.progress("Waiting: a cell is being run, and this run goes on after it.", self.status.done)

    # Controls

    def _build(self) -> None:
        """Make the controls and put those that are not hidden around the chart."""
        self._add_settings()
        tip = f"PNG, SVG, CSV and text, into {self.folder}/."
        self.buttons = {
            "reset": button("Reset", "Everything as it was at first.", self.listener(self._reset)),
            "take": button("Take a figure", tip, self.listener(self._take_figure)),
        }
        self.parts |= self.buttons
        self.root = arranged(
            head=[row(self._shown(*self.lists))],
            left=[*self._shown(*self.sliders), row(self._shown(*self.buttons))],
            right=[self.chart, self.status],
            foot=self._shown("code"),
        )

    def _add_settings(self) -> None:
        """Add a list or a slider for each setting, and the field with the line of code."""
        on, rules = self.listener, self.config.metadata()
        self.choices = {
            name: choice(NAMES.get(name, name), self._options(name),
                         on(lambda event, name=name: self._choose(name, event["new"])), tip=rules[name]["doc"])
            for name in self.lists
        }  # fmt: skip
        self.sliders = {
            name: setting_slider(
                name, rules[name], on(lambda event, n=name: self._change(**{n: self.sliders[n].number(event["new"])}))
            )
            for name in rules
            if name in GRIDS
        }
        tip = "This setting as a line of Python: copy it, or paste another and press Enter."
        made = ipywidgets.Text(
            description="as code", tooltip=tip, continuous_update=False, layout={"width": "98%"},
            style={"description_width": "62px"},
        )  # fmt: skip
        self.code = listening(made, on(self._on_code))
        self.parts |= {**self.choices, **self.sliders, "code": self.code}

    def _options(self, name: str) -> Iterable[str]:
        """What the list of a setting offers."""
        return NET_NAMES if name == "net" else self.offered

    def _shown(self, *names: str) -> list[ipywidgets.Widget]:
        """The controls of these names that are not hidden."""
        return [self.parts[name] for name in names if name not in self.hidden]

    def _choose(self, name: str, value: str) -> None:
        self._change(**{name: value})

    def _change(self, **settings: Any) -> None:
        """Change settings."""
        config = self._with(settings)
        self.keep_locked(config)
        if config != self.config:
            self._apply(config)

    def _with(self, settings: dict[str, Any]) -> Any:
        """The config with some settings changed."""
        return self.config.replace(**settings)

    def _apply(self, config: Any) -> None:
        """Do what another config asks for."""
        self.config = config
        self._start()

    def _reset(self, _: Any) -> None:
        self._change(**vars(self._begin))

    def keep_locked(self, wanted: Settings) -> None:
        """Refuse to change a setting whose control is locked, in whichever way it was asked for."""
        for name in self.locked:
            if getattr(self.config, name, None) != getattr(wanted, name, None):
                text = f"{name.replace('_', ' ')} is locked in this widget: it stays {getattr(self.config, name)!r}."
                raise InputError(text)

    def _line(self) -> str:
        """The line of code that does what the widget does now."""
        return self.config.line()

    def _read(self, line: Any, **settings: Any) -> Any:
        """A config, or that of a line of code."""
        return self.kind.read(line, **settings)

    def _load(self, line: str) -> None:
        """Do what a line of code does."""
        self._change(**vars(self._read(line)))

    def _on_code(self, event: Any) -> None:
        if not event["new"].strip():
            raise InputError("The line of code is empty, so the setting stays. Reset goes back to the beginning.")
        self._load(event["new"])

    def _write(self) -> None:
        """Bring every control in step with what the widget holds.

        Not while an event waits: its control shows a newer value than the widget holds, and would jump back to it.
        """
        if self.root is not None and not self.closed and not self._events:
            with self._setting():
                self._show_config()

    def _show_config(self) -> None:
        """Set every control to what the widget holds."""
        for name, control in (self.choices | self.sliders).items():
            control.value = getattr(self.config, name)
        self.code.value = self._line()

    # The chart

    def drawing(self) -> Drawing:
        """What the widget shows now, for a file."""
        made = self._drawing(with_alt=True)
        made.moment = self.chart.moment if self.root is not None else None
        return made

    def _draw(self) -> None:
        """Show what there is; its text waits for the end of a run."""
        if self.root is None or self.closed:
            return
        try:
            self.chart.show(self._drawing(with_alt=not self.running))
        except Exception as error:  # a picture that fails must not end a run
            self.fault(error)

    def _take_figure(self, _: Any) -> None:
        files = self.drawing().save(free_stem(self.folder, self.figure))
        self.tell(f"Written: {', '.join(map(str, files.values()))}")
