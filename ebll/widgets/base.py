"""What all widgets share: one a cell, runs on the kernel's event loop, errors in words, a picture without a kernel."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import ipywidgets
from IPython import get_ipython

from ebll.data import Task
from ebll.errors import EbllError, InputError, check_choice, expanded
from ebll.seeds import cpu_threads
from ebll.settings import Settings

from .chart import Chart, Drawing, free_stem, spec_of
from .config import offered_tasks, own_tasks
from .controls import NAMES, Status, all_in, choice, listening, setting_slider
from .kernel import cell_key, event_loop, is_static

__all__ = ["SettingsWidget", "Widget", "free_stem"]

SLICE = 0.02  # seconds of work between two looks at the event loop
TURNS = 8  # of the event loop after each slice: a message passes through several before its handler is called

_alive: weakref.WeakValueDictionary[tuple[str, str], Widget] = weakref.WeakValueDictionary()


class Widget(ABC):
    """A widget: shows itself as the last value of a cell, or as a picture without a front end.

    errors   faults of the widget itself, the newest last; empty if all is well
    root     the widget that holds it all, or None where only a picture is shown
    """

    controls: ClassVar[tuple[str, ...]] = ()  #: names that `hide` and `lock` take

    def __init__(self, hide: Iterable[str], lock: Iterable[str], folder: str | Path) -> None:
        self.errors: list[Exception] = []
        self.hidden, self.locked = self._names(hide, "hide"), self._names(lock, "lock")
        self.folder, self.static = expanded(folder, "folder"), is_static()
        self.root: ipywidgets.Widget | None = None
        self.status: Status | None = None
        self.closed = False
        self._loop = None if self.static else event_loop()
        self._thread = threading.get_ident()
        self._events: deque[tuple[Callable[[Any], None], Any]] = deque()  # from another thread, not acted on yet
        self._writing = False
        self._stays = 0.0
        self._key = (type(self).__name__, cell_key())
        if not self.static and (before := _alive.get(self._key)) is not None:
            before.close()

    def _ready(self) -> None:
        """The widget is complete, so that the next one of its cell can close it."""
        if not self.static and self._key[1]:
            _alive[self._key] = self

    @abstractmethod
    def drawing(self) -> Drawing:
        """What the widget shows now, for a file."""

    @abstractmethod
    def halt(self) -> None:
        """Stop what is going on, if anything, without a word about its end."""

    def close(self) -> None:
        """Stop what is running and take the controls away; a widget whose cell is run again is closed."""
        self.halt()
        self.closed = True
        for widget in all_in(*([self.root] if self.root is not None else [])):
            widget.close()

    # Events

    def listener(self, act: Callable[[Any], None]) -> Callable[[Any], None]:
        """What a control calls when the user does something: `act`, whose errors are shown in words.

        A kernel may deliver events in another thread; `act` is always called in that in which the widget was made.
        """

        def listen(event: Any) -> None:
            if self._loop is not None and threading.get_ident() != self._thread:
                self._events.append((act, event))
                self._loop.call_soon_threadsafe(lambda: self._attempt(*self._events.popleft()))
            elif not self._writing:
                self._attempt(act, event)

        return listen

    def _attempt(self, act: Callable[[Any], None], event: Any) -> None:
        """Errors that ebll raises on purpose (a value that may not be) are only shown; others are kept in `errors`."""
        if self.closed:
            return
        self.complain("")  # the user does something: an earlier complaint is taken back
        try:
            act(event)
        except EbllError as error:
            self.complain(str(error))
        except Exception as error:
            self.fault(error)

    @contextlib.contextmanager
    def _setting(self) -> Iterator[None]:
        """The controls are set by the program: what changes meanwhile is not the user's doing."""
        before, self._writing = self._writing, True
        try:
            yield
        finally:
            self._writing = before

    # Words

    def tell(self, text: str, seconds: float = 0.0) -> None:
        """Write into the status line.

        seconds   for which it stays, though the progress of a run is shown there too
        """
        self._stays = time.monotonic() + seconds
        if self.status is not None and not self.closed:
            self.status.text = text

    def progress(self, text: str, done: float) -> None:
        """Show how far a run is, a share."""
        if self.status is not None and not self.closed:
            with self.status.hold_sync():
                self.status.done = done
                if time.monotonic() >= self._stays:
                    self.status.text = text

    def complain(self, text: str) -> None:
        """Show what went wrong, until the user does something."""
        if self.status is not None and not self.closed:
            self.status.wrong = text

    def fault(self, error: Exception) -> None:
        """Keep a fault of the widget and show it."""
        self.errors.append(error)
        self.complain(
            f"Internal error in this widget: {type(error).__name__}: {error}. Run the cell again to go on; "
            "its .errors hold the details for a report."
        )

    def _names(self, names: Iterable[str], what: str) -> frozenset[str]:
        if not isinstance(names, Iterable):
            raise InputError(f"{what}: a list of controls, such as ['seed', 'epochs']; got {names!r}.")
        names = (names,) if isinstance(names, str) else tuple(names)
        return frozenset(check_choice(name, self.controls, f"{what}, a control") for name in names)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        data, metadata = self.drawing()._repr_mimebundle_()
        if self.root is not None and not self.closed:
            bundle = self.root._repr_mimebundle_()
            data |= {kind: part for kind, part in (bundle[0] if isinstance(bundle, tuple) else bundle).items()
                     if kind.startswith("application/")}  # fmt: skip
        return data, metadata


class SettingsWidget(Widget):
    """A widget with a chart of what its settings give: a list or a slider for each, a line of code, runs, files.

    A subclass has `_build()`, which makes `parts` and `root`, `_drawing(with_alt)`, what is shown, `_line()`, the code
    that does what the widget does now, `_load(line)`, `_with(settings)`, the config with some settings changed,
    `_apply(config)`, which does what another config asks for, `_on_slice()`, called after each slice of a run and when
    it is held, and `_on_end()`, called at its end unless another run has replaced it.

    config   what the controls say
    parts    name of a control, as `hide` and `lock` take it -> its widget
    state    of the newest run: "none", "running", "done", "stopped" or "failed"; a cell that is busy holds a run up
    error    the exception of a failed run, or None
    """

    drawn: ClassVar[str]  #: name of its chart
    figure: ClassVar[str]  #: what the files of its figures are called
    config: Any

    def __init__(self, tasks: Iterable[Task], hide: Iterable[str], lock: Iterable[str], folder: str | Path) -> None:
        super().__init__(hide, lock, folder)
        self.parts: dict[str, ipywidgets.Widget] = {}
        self.tasks = own_tasks(tasks)
        self.offered = offered_tasks(self.tasks)
        self.state, self.error, self.task = "none", None, None
        self._go, self._to_go, self._last = asyncio.Event(), math.inf, 0.0

    def _open(self, begin: Callable[[], None]) -> None:
        """Build the controls and begin; where that fails, the cell shows the error and nothing half-made stays."""
        try:
            if not self.static:
                self.status, self.chart = Status(), Chart(Drawing(spec_of(self.drawn)))
                self._build()
                for part in all_in(*(self.parts[name] for name in self.locked)):
                    for trait in {"locked", "disabled"} & set(part.traits()):
                        setattr(part, trait, True)
                self._write()
            begin()
        except BaseException:
            self.close()
            raise
        self._ready()
        if self._loop is not None and get_ipython() is not None:
            get_ipython().events.register("pre_run_cell", self._wait_for_cell)

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
            task.cancel()

    def _drive(self, steps: Generator[Any, None, None], threads: int, *, here: bool, held: bool = False) -> None:
        """Begin a run; one that is on stops.

        steps    yields True after a step that may hold the run; it is closed at the end, also where the run is stopped
        threads  processor threads for torch
        here     take it to its end before anything else is done, and raise its errors
        held     hold it at the first such step
        """
        self.halt()
        self.error = None
        self._let_go(1 if held else math.inf)
        if not here and self._loop is not None:
            self.state, self.task = "running", self._loop.create_task(self._run(steps, threads))
            self.task.add_done_callback(self._end)
            return
        with contextlib.closing(steps), cpu_threads(threads):
            for _ in steps:
                pass
        self.state = "done"
        self._on_end()

    def _let_go(self, steps: float) -> None:
        """Let the run go on for so many of the steps that may hold it; infinity lets it go, and 0 holds it."""
        self._to_go = steps
        (self._go.set if steps else self._go.clear)()

    async def _run(self, steps: Generator[Any, None, None], threads: int) -> None:
        with contextlib.closing(steps):
            while not self._work(steps, threads):
                self._on_slice()
                for _ in range(TURNS):  # messages are handled
                    await asyncio.sleep(0)
                if self._pace() and not self.paused:
                    await asyncio.sleep(max(0.0, self._last + self._pace() - time.monotonic()))
                self._last = time.monotonic()
                if self.held:
                    self._on_slice()
                    await self._go.wait()

    def _work(self, steps: Generator[Any, None, None], threads: int) -> bool:
        """A slice of work, or one step where each may be the last for now; returns whether the run has ended."""
        end = time.monotonic() + (0.0 if self.paused or self._pace() else SLICE)
        with cpu_threads(threads):
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

    def _pace(self) -> float:
        """The least seconds from one step to the next."""
        return 0.0

    def _wait_for_cell(self, _: Any) -> None:
        """A cell begins: say why the run stands still until it has ended."""
        if self.running and not self.paused and threading.get_ident() == self._thread:
            self.progress("Waiting: a cell is being run, and this run goes on after it.", self.status.done)

    # Controls

    def _attempt(self, act: Callable[[Any], None], event: Any) -> None:
        """As a `Widget`; then every control shows what the widget holds, also where a value was refused."""
        super()._attempt(act, event)
        try:
            self._write()
        except Exception as error:
            self.fault(error)

    def _add_settings(self, lists: Mapping[str, Iterable[str]], sliders: Iterable[str]) -> None:
        """Add a list or a slider for each of these settings, and the field with the line of code."""
        on, rules = self.listener, self.config.metadata()
        self.choices = {
            name: choice(NAMES.get(name, name), options, on(lambda event, name=name: self._choose(name, event["new"])),
                         tip=rules[name]["doc"])
            for name, options in lists.items()
        }  # fmt: skip
        self.sliders = {
            name: setting_slider(
                name, rules[name], on(lambda event, n=name: self._change(**{n: self.sliders[n].number(event["new"])}))
            )
            for name in sliders
        }
        tip = "This setting as a line of Python: copy it, or paste another and press Enter."
        made = ipywidgets.Text(
            description="as code", tooltip=tip, continuous_update=False, layout={"width": "98%"},
            style={"description_width": "62px"},
        )  # fmt: skip
        self.code = listening(made, on(self._on_code))
        self.parts |= {**self.choices, **self.sliders, "code": self.code}

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

    def keep_locked(self, wanted: Settings) -> None:
        """Refuse to change a setting whose control is locked, in whichever way it was asked for."""
        for name in self.locked:
            if getattr(self.config, name, None) != getattr(wanted, name, None):
                text = f"{name.replace('_', ' ')} is locked in this widget: it stays {getattr(self.config, name)!r}."
                raise InputError(text)

    def _on_code(self, event: Any) -> None:
        """A line of code was entered: `_load(line)` takes it over."""
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
