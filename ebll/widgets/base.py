"""What all widgets share: one a cell, runs on the kernel's event loop, errors in words, a picture without a kernel."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import ipywidgets
from IPython import get_ipython

from ebll.data import Task
from ebll.errors import EbllError, InputError, OutputError, check_choice, expanded
from ebll.settings import Settings

from . import controls
from .chart import Chart, Drawing, spec_of
from .controls import NAMES, Status
from .driver import Driver
from .tasks import offered_tasks, own_tasks

__all__ = ["SettingsWidget", "Widget", "arranged", "cell_key", "event_loop", "free_stem", "is_static", "row"]

_alive: weakref.WeakValueDictionary[tuple[str, str], Widget] = weakref.WeakValueDictionary()


class Widget(ABC):
    """A widget: shows itself as the last value of a cell, or as a picture without a front end.

    errors   faults of the widget itself, the newest last; empty if all is well
    parts    name of a control, as `hide` and `lock` take it -> its widget
    root     the widget that holds it all, or None where only a picture is shown
    driver   the newest run, or None
    """

    controls: ClassVar[tuple[str, ...]] = ()  #: names that `hide` and `lock` take

    def __init__(self, hide: Iterable[str], lock: Iterable[str], folder: str | Path) -> None:
        self.errors: list[Exception] = []
        self.hidden, self.locked = self._names(hide, "hide"), self._names(lock, "lock")
        self.folder, self.static = expanded(folder, "folder"), is_static()
        self.parts: dict[str, ipywidgets.Widget] = {}
        self.root: ipywidgets.Widget | None = None
        self.status: Status | None = None
        self.driver: Driver | None = None
        self.closed = False
        self._loop = None if self.static else event_loop()
        self._thread = threading.get_ident()
        self._writing = False
        self._stays = 0.0
        self._key = (type(self).__name__, cell_key())
        if not self.static and (before := _alive.get(self._key)) is not None:
            before.close()

    def _ready(self) -> None:
        """The widget is complete, so that the next one of its cell can close it."""
        if not self.static and self._key[1]:
            _alive[self._key] = self
        if self._loop is not None and get_ipython() is not None:
            get_ipython().events.register("pre_run_cell", self._wait_for_cell)

    def _wait_for_cell(self, _: Any) -> None:
        """A cell begins: say why the run stands still until it has ended."""
        if self.running and not self.driver.paused and threading.get_ident() == self._thread:
            self.progress("Waiting: a cell is being run, and this run goes on after it.", self.status.done)

    @abstractmethod
    def drawing(self) -> Drawing:
        """What the widget shows now, for a file."""

    def halt(self) -> None:
        """Stop the run that is on, if any, without a word about its end."""
        if self.driver is not None:
            self.driver.stop(replaced=True)

    def close(self) -> None:
        """Stop what is running and take the controls away; a widget whose cell is run again is closed."""
        self.halt()
        self.closed = True
        with contextlib.suppress(ValueError, AttributeError):  # outside IPython, or before it was registered
            get_ipython().events.unregister("pre_run_cell", self._wait_for_cell)
        for widget in _all_in(*([self.root] if self.root is not None else []), *self.parts.values()):
            widget.close()

    @property
    def running(self) -> bool:
        """Whether a run is on."""
        return self.driver is not None and self.driver.state == "running"

    async def finished(self) -> None:
        """Wait for the run that is on, and raise what it raised: `await widget.finished()`."""
        while self.running:
            await asyncio.wait([self.driver.task])
        if self.driver is not None and self.driver.error is not None:
            raise self.driver.error

    # Events

    def listener(self, act: Callable[[Any], None]) -> Callable[[Any], None]:
        """What a control calls when the user does something: `act`, whose errors are shown in words.

        A kernel may deliver events in another thread; `act` is always called in that in which the widget was made.
        """

        def listen(event: Any) -> None:
            if self._loop is not None and threading.get_ident() != self._thread:
                self._loop.call_soon_threadsafe(self._attempt, act, event)
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
        data, metadata = self.drawing().bundle()
        if self.root is not None and not self.closed:
            bundle = self.root._repr_mimebundle_()
            data |= {kind: part for kind, part in (bundle[0] if isinstance(bundle, tuple) else bundle).items()
                     if kind.startswith("application/")}  # fmt: skip
        return data, metadata


class SettingsWidget(Widget):
    """A widget with a chart of what its settings give: a list or a slider for each, a line of code, files.

    A subclass has `_build()`, which makes `parts` and `root`, `_contents()`, the chart's tables, settings, heading and
    caption, `_alt()`, its text alternative, `_line()`, the code that does what the widget does now, `_load(line)`,
    `_with(settings)`, the config with some settings changed, and `_apply(config)`, which does what another config asks
    for.

    config   what the controls say
    """

    drawn: ClassVar[str]  #: name of its chart
    figure: ClassVar[str]  #: what the files of its figures are called
    config: Any

    def __init__(self, tasks: Iterable[Task], hide: Iterable[str], lock: Iterable[str], folder: str | Path) -> None:
        super().__init__(hide, lock, folder)
        self.tasks = own_tasks(tasks)
        self.offered = offered_tasks(self.tasks)

    def _open(self, begin: Callable[[], None]) -> None:
        """Build the controls and begin; where that fails, the cell shows the error and nothing half-made stays."""
        try:
            if not self.static:
                self.status, self.chart = Status(), Chart(self.drawn)
                self._build()
                for part in _all_in(*(self.parts[name] for name in self.locked)):
                    for trait in {"locked", "disabled"} & set(part.traits()):
                        setattr(part, trait, True)
                self._write()
            begin()
        except BaseException:
            self.close()
            raise
        self._ready()

    def _add_settings(self, lists: Mapping[str, Iterable[str]], sliders: Iterable[str]) -> None:
        """Add a list or a slider for each of these settings, and the field with the line of code."""
        on, rules = self.listener, self.config.metadata()
        self.choices = {
            name: controls.choice(
                NAMES.get(name, name), options, getattr(self.config, name),
                on(lambda event, name=name: self._choose(name, event["new"])), tip=rules[name]["doc"],
            )
            for name, options in lists.items()
        }  # fmt: skip
        self.sliders = {
            name: controls.setting_slider(
                name, self.config, on(lambda _, name=name: self._change(**{name: self.sliders[name].number}))
            )
            for name in sliders
        }
        self.code = controls.code_line(on(self._on_code))
        self.parts |= {**self.choices, **self.sliders, "code": self.code}

    def _shown(self, *names: str) -> list[ipywidgets.Widget]:
        """The controls of these names that are not hidden."""
        return [self.parts[name] for name in names if name not in self.hidden]

    def _choose(self, name: str, value: str) -> None:
        self._change(**{name: value})

    def _change(self, **settings: Any) -> None:
        """Change settings; where that may not be, the error is shown and the controls are set back."""
        try:
            config = self._with(settings)
            self.keep_locked(self.config, config)
            if config != self.config:
                self._apply(config)
        finally:
            self._write()

    def keep_locked(self, before: Settings, after: Settings) -> None:
        """Refuse to change a setting whose control is locked, in whichever way it was asked for."""
        for name in self.locked:
            if getattr(before, name, None) != getattr(after, name, None):
                text = f"{name.replace('_', ' ')} is locked in this widget: it stays {getattr(before, name)!r}."
                raise InputError(text)

    def _on_code(self, event: Any) -> None:
        """A line of code was entered: `_load(line)` takes it over, or else `_write()` sets the field back."""
        try:
            if not event["new"].strip():
                raise InputError("The line of code is empty, so the setting stays. Reset goes back to the beginning.")
            self._load(event["new"])
        finally:
            self._write()

    def _write(self) -> None:
        """Bring every control in step with what the widget holds."""
        if self.root is None:
            return
        with self._setting():
            for name, control in (self.choices | self.sliders).items():
                control.value = getattr(self.config, name)
            self.code.value = self._line()

    def drawing(self) -> Drawing:
        """What the widget shows now, for a file."""
        tables, settings, heading, caption = self._contents()
        moment = self.chart.moment if self.root is not None else None
        return Drawing(spec_of(self.drawn), tables, settings, self._alt(), heading, caption, moment)

    def _draw(self) -> None:
        """Show what there is; its text waits for the end of a run."""
        if self.root is None or self.closed:
            return
        try:
            tables, settings, heading, caption = self._contents()
            alt = {} if self.running else {"alt": self._alt()}
            self.chart.show(tables, settings, heading=heading, caption=caption, **alt)
        except Exception as error:  # a picture that fails must not end a run
            self.fault(error)

    def _take_figure(self, _: Any) -> None:
        files = self.drawing().save(free_stem(self.folder, self.figure))
        self.tell(f"Written: {', '.join(map(str, files.values()))}")


def free_stem(folder: Path, kind: str) -> Path:
    """folder/kind-1, or the first number after it of which nothing is there yet."""
    number = 1
    try:
        while any(folder.glob(f"{kind}-{number}*")):
            number += 1
    except (OSError, ValueError) as error:
        raise OutputError(f"Nothing can be written into {str(folder)[:80]!r}: {error}. Name another folder.") from error
    return folder / f"{kind}-{number}"


def arranged(
    head: Iterable[ipywidgets.Widget], left: Iterable[ipywidgets.Widget], right: Iterable[ipywidgets.Widget],
    foot: Iterable[ipywidgets.Widget],
) -> ipywidgets.VBox:  # fmt: skip
    """Rows on top, controls on the left beside the chart on the right, and below what is wide; narrow, a column."""
    left = ipywidgets.VBox(
        list(left), layout={"flex": "1 1 330px", "min_width": "min(300px, 100%)", "max_width": "420px"}
    )
    right = ipywidgets.VBox(list(right), layout={"flex": "2 1 460px", "min_width": "min(300px, 100%)"})
    root = ipywidgets.VBox([*head, ipywidgets.Box([left, right], layout={"flex_flow": "row wrap"}), *foot])
    root.add_class("ebll-panel")
    return root


def row(widgets: Iterable[ipywidgets.Widget]) -> ipywidgets.Box:
    """Widgets side by side, on several lines where there is little room."""
    return ipywidgets.Box(list(widgets), layout={"flex_flow": "row wrap", "align_items": "center"})


def _all_in(*widgets: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    """Widgets with their children, and with their layouts and styles, which are widgets too and stay otherwise."""
    for widget in widgets:
        yield from _all_in(*getattr(widget, "children", ()))
        yield from (part for name in ("layout", "style") if (part := getattr(widget, name, None)) is not None)
        yield widget


# Where a widget is shown: in a front end, or as a picture


def is_static() -> bool:
    """Whether to leave a picture in place of a widget; the environment variable EBLL_STATIC, 1 or 0, decides first.

    True without a kernel, and when a notebook is executed by a program (nbconvert, nbclient, papermill): those number
    their messages in a way that front ends for people do not.
    """
    switch = os.environ.get("EBLL_STATIC", "").strip()
    if switch not in {"", "0", "1"}:
        raise InputError(f"EBLL_STATIC is 1 (pictures only) or 0 (widgets always); got {switch!r}.")
    request = _request()
    program = re.fullmatch(r".+_\d+_\d+", str(request.get("header", {}).get("msg_id", "")))
    return switch == "1" if switch else not request or bool(program and not _cell_id(request))


def event_loop() -> asyncio.AbstractEventLoop | None:
    """The kernel's event loop, on which runs go on between cells; None outside a kernel."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def cell_key() -> str:
    """What tells the cell that is being executed from others, the same when it is executed again; "" without one."""
    request = _request()
    return _cell_id(request) or request.get("content", {}).get("code", "")


def _request() -> dict[str, Any]:
    """The message that asked for the cell's execution; empty outside a kernel."""
    kernel = getattr(get_ipython(), "kernel", None)
    try:
        return dict(kernel.get_parent("shell")) if kernel is not None else {}
    except (AttributeError, LookupError, TypeError):
        return {}


def _cell_id(request: dict[str, Any]) -> str:
    return str((request.get("metadata") or {}).get("cellId", ""))
