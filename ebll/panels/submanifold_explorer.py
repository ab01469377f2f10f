"""The submanifold explorer: move code size and lambda, and see what an encoder keeps of a task's features.

Wiring only: `ebll.live.explore` fits and measures, `ebll.figures.explorer` draws.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, final

import ipywidgets

from ebll.data import Task
from ebll.errors import InputError, check_choice
from ebll.figures import Picture
from ebll.figures.explorer import ExplorerPlot, explorer_alt
from ebll.live import Explored, Handle, SubmanifoldConfig, Worker, explore, offered_tasks
from ebll.live.config import keywords_of
from ebll.live.offered import own_tasks
from ebll.panels import controls
from ebll.panels.base import Panel, guarded, written
from ebll.panels.report import explored
from ebll.panels.saving import folder_of, free_stem
from ebll.panels.widgets import Status, View

__all__ = ["SubmanifoldExplorer", "submanifold_explorer"]


def submanifold_explorer(
    config: SubmanifoldConfig | str = "",
    *,
    tasks: Iterable[Task] = (),
    hide: Iterable[str] = (),
    lock: Iterable[str] = (),
    folder: str | Path = "panel-results",
) -> SubmanifoldExplorer:
    """A panel on what the autoencoder of a task keeps: features, reconstructions, accuracy, and what alpha would hold.

    config   where it begins: a `SubmanifoldConfig`, or a line such as 'code_size=16, label="B"'
    tasks, hide, lock, folder   as in `forgetting_lab`; `SubmanifoldExplorer.controls` lists the controls
    returns  the panel; where nobody could use it, a picture of its default state
    """
    return SubmanifoldExplorer(config, tasks=tasks, hide=hide, lock=lock, folder=folder)


@final
class SubmanifoldExplorer(Panel):
    """See `submanifold_explorer`. `found` holds what was measured last; `wait()` waits for the fit that is on."""

    controls: ClassVar[tuple[str, ...]] = (
        "task", "net", "label", "code_size", "recon_weight", "seed", "reset", "code", "take",
    )  # fmt: skip

    def __init__(
        self,
        config: SubmanifoldConfig | str = "",
        *,
        tasks: Iterable[Task] = (),
        hide: Iterable[str] = (),
        lock: Iterable[str] = (),
        folder: str | Path = "panel-results",
    ) -> None:
        super().__init__(hide, lock)
        self.config = self._begin = SubmanifoldConfig.read(config)
        self.tasks, self.folder = own_tasks(tasks), folder_of(folder)
        self._offered = offered_tasks(self.tasks)
        self.worker, self._plot, self._begun = Worker(self._on_end), ExplorerPlot(), time.monotonic()
        self.found: Explored = explore(self.config, tasks=self.tasks)
        self._whole = self.found  # the last fit that came to its end
        if not self.static:
            self._build()
            self._draw(quick=False)
            self.tell(explored(self.found))
        self._ready()

    def picture(self) -> Picture:
        """What the panel shows now, as a picture with its text and its numbers."""
        with self.mutex:
            self._frame()
            return self._plot.picture(self._alt(), self.found.table)

    def wait(self, timeout: float | None = 60.0) -> Handle | None:
        """Wait for the fit that is on, and raise what it raised."""
        if self.worker.current is not None:
            self.worker.current.result(timeout)
        return self.worker.current

    def halt(self, timeout: float = 0.0) -> None:
        """Stop what is running, and wait for its end for so many seconds."""
        self.worker.stop()
        if self.worker.current is not None:
            self.worker.current.wait(timeout)

    def _widgets(self) -> Iterable[ipywidgets.Widget]:
        if self.root is None:
            return ()
        return [*self.choices.values(), *self.knobs.values(), self.reset, self.take, self.code]

    def _build(self) -> None:
        config = self.config
        self.status, self.view = Status(), View(hint="Picture of features and their reconstructions.")
        self.choices = {
            name: controls.choice(name, config, options, self._on_choice, name in self.locked)
            for name, options in (("task", self._offered), ("net", ("mlp", "cnn")), ("label", self._classes(config)))
        }
        self.knobs = {
            name: controls.knob(name, config, self._on_knob, name in self.locked)
            for name in ("code_size", "recon_weight", "seed")
        }
        self.reset = controls.button("Reset", "Everything as it was at first.", self._on_reset)
        self.take = controls.button("Take a figure", f"PNG, SVG, CSV and text, into {self.folder}/.", self._on_figure)
        for name, one in {"reset": self.reset, "take": self.take}.items():
            one.disabled = name in self.locked
        self.code = ipywidgets.Text(
            value=self._line(),
            description="as code",
            tooltip="This setting as a line of Python: copy it, or paste another and press Enter.",
            continuous_update=False,
            disabled="code" in self.locked,
            layout={"width": "98%"},
            style={"description_width": "62px"},
        )
        self.code.observe(self._on_code, names="value")
        wrap, buttons = {"flex_flow": "row wrap"}, {"reset": self.reset, "take": self.take}
        row = ipywidgets.Box([widget for name, widget in buttons.items() if name not in self.hidden], layout=wrap)
        left = ipywidgets.VBox(
            [*(widget for name, widget in self.knobs.items() if name not in self.hidden), row],
            layout={"flex": "1 1 330px", "min_width": "min(300px, 100%)", "max_width": "420px"},
        )
        right = ipywidgets.VBox([self.view, self.status], layout={"flex": "2 1 460px", "min_width": "min(300px, 100%)"})
        head = [widget for name, widget in self.choices.items() if name not in self.hidden]
        foot = [] if "code" in self.hidden else [self.code]
        self.root = ipywidgets.VBox(
            [ipywidgets.Box(head, layout=wrap), ipywidgets.Box([left, right], layout=wrap), *foot]
        )
        self.root.add_class("ebll-panel")

    def _classes(self, config: SubmanifoldConfig) -> tuple[str, ...]:
        return tuple(self._offered[config.task]().classes)

    def _line(self) -> str:
        return self.config.line("ebll.live.explore(ebll.live.SubmanifoldConfig({}))")

    # Drawing

    def _title(self) -> str:
        config = self.found.config
        return (
            f"{config.task} {config.label} ({config.net.upper()}, seed {config.seed}): code of {config.code_size}, "
            f"lambda {config.recon_weight:g}"
        )

    def _alt(self) -> str:
        found = self.found
        return explorer_alt(self._title(), found.accuracy, found.missed, found.holds, found.config.code_size)

    def _frame(self, quick: bool = False) -> bytes:
        found = self.found
        return self._plot.frame(
            points=found.points,
            others=found.others.numpy(),
            accuracy=found.accuracy,
            missed=found.missed,
            holds=found.holds,
            field=found.field.numpy(),
            extent=found.extent,
            code_size=found.config.code_size,
            title=self._title(),
            caption="Held-out images, one network and autoencoder. A line leads from features to their reconstruction. "
            "The darker a place, the larger the code term (E4) of a move there from the middle of the class.",
            quick=quick,
        )

    def _draw(self, quick: bool) -> None:
        with self.mutex:
            if self.root is None or self.closed:
                return
            self.view.show(self._frame(quick), **({} if quick else {"alt": self._alt()}))
            self.status.done = self.found.epoch / self.found.epochs

    def _on_found(self, found: Explored) -> None:
        """In the fit's own thread, after each epoch."""
        self.found = found
        if found.epoch == found.epochs:
            self._whole = found
        try:
            self._draw(quick=found.epoch < found.epochs)
        except Exception as error:  # a picture that fails must not end the fit
            self.fault(error)

    def _on_end(self, handle: Handle) -> None:
        if handle is not self.worker.current or self.closed:
            return
        if handle.error is not None:
            error = handle.error
            if isinstance(error, InputError):
                handle.state, handle.error = "done", None
            self.found = self._whole  # a fit that was on has been stopped half-way
            self.config = self.found.config
            self._write()
            self._draw(quick=False)
            self.tell(f"As before. {explored(self.found)}")
            what = str(error) if isinstance(error, InputError) else f"The fit failed: {type(error).__name__}: {error}"
            self.tell_wrong(f"{what} The setting is that of the picture again.")
        else:
            self.tell(f"Done after {time.monotonic() - self._begun:.1f} s. {explored(self.found)}")

    # What the user does

    def _change(self, config: SubmanifoldConfig) -> None:
        if config == self.config:
            return
        self.keep_locked(self.config, config)
        if config.label not in self._classes(config):
            config = config.replace(label=self._classes(config)[0])
        self.config = config
        self._write()
        self._begun = time.monotonic()
        self.tell("Fitting the autoencoder.")  # before it begins: a code that may not be is refused at once
        self.worker.start(lambda: explore(config, tasks=self.tasks, watch=self._on_found))

    def _write(self) -> None:
        with self._setting():
            self.choices["label"].options = self._classes(self.config)
            for name, widget in (*self.choices.items(), *self.knobs.items()):
                value = getattr(self.config, name)
                widget.value = value if isinstance(value, str) else float(value)
            self.code.value = self._line()

    def _try(self, **changes: Any) -> None:
        if self._writing:
            return
        try:
            self._change(self.config.replace(**changes))
        except InputError:
            self._write()
            raise

    @guarded
    def _on_knob(self, event: Any) -> None:
        name = next(name for name, widget in self.knobs.items() if widget is event["owner"])
        value = event["new"]
        self._try(**{name: int(value) if event["owner"].whole and value.is_integer() else value})

    @guarded
    def _on_choice(self, event: Any) -> None:
        name = next(name for name, widget in self.choices.items() if widget is event["owner"])
        self._try(**{name: event["new"]})

    @guarded
    def _on_code(self, event: Any) -> None:
        if self._writing:
            return
        try:
            config = SubmanifoldConfig.read(written(event["new"]))
            check_choice(config.task, self._offered, "Task")
            if "label" in keywords_of(event["new"], "SubmanifoldConfig"):
                check_choice(config.label, self._classes(config), f"Class of {config.task}")
            self._change(config)
            self._write()
        except InputError:
            self._write()
            raise

    @guarded
    def _on_reset(self, _: Any) -> None:
        self.tell(explored(self.found))  # takes a complaint back
        self._change(self._begin)

    @guarded
    def _on_figure(self, _: Any) -> None:
        files = self.picture().save(free_stem(self.folder, "submanifold"))
        self.tell(f"Written: {', '.join(str(path) for path in files.values())}")
