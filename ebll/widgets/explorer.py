"""The submanifold explorer: move code size and lambda, and see what an encoder keeps of a task's features."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, ClassVar, final

import ipywidgets

from ebll.config import PRESETS
from ebll.data import Task
from ebll.errors import InputError, check_choice

from . import controls, words
from .base import Widget, arranged, row, shown
from .chart import Chart, Drawing, spec_of
from .config import SubmanifoldConfig, keywords_of
from .controls import Status
from .driver import Driver
from .saving import free_stem
from .starts import offered_tasks, own_tasks
from .submanifold import Explored, exploring
from .tables import submanifold_tables

__all__ = ["SubmanifoldExplorer", "submanifold_explorer"]

CAPTION = (
    "Held-out images, one network and autoencoder. A line leads from features to their reconstruction. The darker a "
    "place, the larger the code term (E4) of a move there from the middle of the class."
)


def submanifold_explorer(
    config: SubmanifoldConfig | str = "",
    *,
    tasks: Iterable[Task] = (),
    hide: Iterable[str] = (),
    lock: Iterable[str] = (),
    folder: str | Path = "widget-results",
) -> SubmanifoldExplorer:
    """A widget on what the autoencoder of a task keeps: features, reconstructions, accuracy, and what alpha would hold.

    config   where it begins: a `SubmanifoldConfig`, or a line such as 'code_size=16, label="B"'
    tasks, hide, lock, folder   as in `forgetting_lab`; `SubmanifoldExplorer.controls` lists the controls
    returns  the widget; where nobody could use it, a picture of its first state
    """
    return SubmanifoldExplorer(config, tasks=tasks, hide=hide, lock=lock, folder=folder)


@final
class SubmanifoldExplorer(Widget):
    """See `submanifold_explorer`.

    config   what the controls say
    history  what was found before the fit and after each of its epochs, the newest last
    """

    controls: ClassVar[tuple[str, ...]] = (
        "task", "net", "label", "code_size", "recon_weight", "seed", "reset", "code", "take",
    )  # fmt: skip

    def __init__(
        self, config: SubmanifoldConfig | str, *, tasks: Iterable[Task], hide: Iterable[str], lock: Iterable[str],
        folder: str | Path,
    ) -> None:  # fmt: skip
        super().__init__(hide, lock, folder)
        self.tasks = own_tasks(tasks)
        self.offered = offered_tasks(self.tasks)
        self.config = self._begin = self._parsed(config)
        self.history: list[Explored] = []
        self._ended: list[Explored] = []  # the history of the last fit that came to its end
        self._begun = time.monotonic()
        try:
            if not self.static:
                self._build()
            self._start(here=True)
        except BaseException:  # the cell shows it, and nothing half-made stays
            self.close()
            raise
        self._ready()

    @property
    def found(self) -> Explored:
        """What was found last."""
        return self.history[-1]

    # The controls

    def _build(self) -> None:
        on, config, locked = self.listener, self.config, self.locked
        self.status, self.chart = Status(), Chart("submanifold")
        lists = {
            "task": ("task", self.offered),
            "net": ("net", ("mlp", "cnn")),
            "label": ("class", self._classes(config)),
        }
        self.choices = {
            name: controls.choice(
                text, options, options and getattr(config, name),
                on(lambda event, name=name: self._try(**{name: event["new"]})),
                tip=config.metadata()[name]["doc"], locked=name in locked,
            )
            for name, (text, options) in lists.items()
        }  # fmt: skip
        self.sliders = {
            name: controls.setting_slider(
                name, config, on(lambda event, name=name: self._move(name, event["new"])), name in locked
            )
            for name in ("code_size", "recon_weight", "seed")
        }
        self.buttons = {
            "reset": controls.button("Reset", "Everything as it was at first.", on(self._reset), "reset" in locked),
            "take": controls.button(
                "Take a figure",
                f"PNG, SVG, CSV and text, into {self.folder}/.",
                on(self._take_figure),
                "take" in locked,
            ),
        }
        self.code = controls.code_line(on(self._read), "code" in locked)
        self.root = arranged(
            head=[row(shown(self.choices, self.hidden))],
            left=[*shown(self.sliders, self.hidden), row(shown(self.buttons, self.hidden))],
            right=[self.chart, self.status],
            foot=shown({"code": self.code}, self.hidden),
        )
        self._write()

    def _parts(self) -> Iterable[ipywidgets.Widget]:
        if self.root is None:
            return ()
        return [*self.choices.values(), *self.sliders.values(), *self.buttons.values(), self.code]

    def _classes(self, config: SubmanifoldConfig) -> tuple[str, ...]:
        return tuple(self.offered[config.task]().classes)

    def _write(self) -> None:
        """Bring every control in step with the config."""
        with self._setting():
            if self.choices["label"].options != self._classes(self.config):
                self.choices["label"].options = self._classes(self.config)
            for name, one in self.choices.items():
                one.value = getattr(self.config, name)
            for name, slider in self.sliders.items():
                slider.value = float(getattr(self.config, name))
            self.code.value = self.config.line("ebll.widgets.explore(ebll.widgets.SubmanifoldConfig({}))")

    # Fits

    def _start(self, here: bool = False) -> None:
        """Begin a fit; one that is on stops. `here`: take it to its end before anything else is done."""
        self.halt()
        self._begun, self.history = time.monotonic(), self.history[-1:]
        self.progress("Fitting the autoencoder.", 0.0)
        threads = PRESETS[self.config.net].train.threads
        self.driver = Driver(
            self._collecting(), on_slice=self._on_slice, on_end=self._on_end, loop=None if here else self._loop,
            threads=threads,
        )  # fmt: skip

    def _collecting(self) -> Generator[None, None, None]:
        """Fit, and put what is found into a history of its own once there is some."""
        history: list[Explored] = []
        for found in exploring(self.config, self.tasks):
            if isinstance(found, Explored):
                history.append(found)
                self.history = history
            yield

    def _on_slice(self, held: bool) -> None:
        try:
            self._draw()
        except Exception as error:  # a picture that fails must not end the fit
            self.fault(error)
        if self.root is not None and self.history:
            self.status.done = self.found.epoch / self.found.epochs

    def _on_end(self, driver: Driver) -> None:
        if self.closed:
            return
        error = driver.error
        if error is not None:
            self.history = self._ended
            self.config = self.found.config
        self._ended = self.history
        if self.root is None:
            return
        self._draw()
        self._write()
        self.status.done = 1.0
        if error is None:
            self.tell(f"Done after {time.monotonic() - self._begun:.1f} s. {words.explored(self.found)}")
            return
        self.tell(f"As before. {words.explored(self.found)}")
        what = str(error) if isinstance(error, InputError) else f"The fit failed: {type(error).__name__}: {error}"
        self.complain(f"{what} The setting is that of the picture again.")

    # What is shown

    def drawing(self) -> Drawing:
        """What the widget shows now, for a file."""
        tables, settings = submanifold_tables(self.history)
        moment = self.chart.moment if self.root is not None else None
        texts = {"alt": words.explored_alt(self.found), "heading": words.explored_title(self.found), "caption": CAPTION}
        return Drawing(spec_of("submanifold"), tables, settings, moment=moment, **texts)

    def _picture(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.drawing().bundle()

    def _draw(self) -> None:
        if self.root is None or self.closed or not self.history:
            return
        made = self.drawing()
        self.chart.show(made.data, made.settings, alt=made.alt, heading=made.heading, caption=made.caption)

    # What the user does

    def _try(self, **settings: Any) -> None:
        """Change the config; where that may not be, say why, and set the controls back."""
        try:
            self._change(self.config.replace(**settings))
        except InputError:
            self._write()
            raise

    def _change(self, config: SubmanifoldConfig) -> None:
        if config == self.config:
            return
        if config.label not in self._classes(config):
            config = config.replace(label=self._classes(config)[0])
        self.keep_locked(self.config, config)
        self.config = config
        self._write()
        self._start()

    def _parsed(self, line: SubmanifoldConfig | str) -> SubmanifoldConfig:
        """The config of a line, or a config; where a line names no class that the task has, its first one is meant."""
        config = SubmanifoldConfig.read(line)
        check_choice(config.task, self.offered, "Task")
        if isinstance(line, str) and "label" not in keywords_of(line, "SubmanifoldConfig"):
            return config if config.label in self._classes(config) else config.replace(label=self._classes(config)[0])
        check_choice(config.label, self._classes(config), f"Class of {config.task}")
        return config

    def _move(self, name: str, value: float) -> None:
        whole = self.sliders[name].whole and float(value).is_integer()
        self._try(**{name: int(value) if whole else value})

    def _read(self, event: Any) -> None:
        try:
            if not event["new"].strip():
                raise InputError("The line of code is empty, so the setting stays. Reset goes back to the beginning.")
            self._change(self._parsed(event["new"]))
        finally:
            self._write()

    def _reset(self, _: Any) -> None:
        self.tell(words.explored(self.found))  # takes a complaint back
        self._change(self._begin)

    def _take_figure(self, _: Any) -> None:
        files = self.drawing().save(free_stem(self.folder, "submanifold"))
        self.tell(f"Written: {', '.join(str(path) for path in files.values())}")
