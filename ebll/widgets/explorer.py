"""The submanifold explorer: move code size and lambda, and see what an encoder keeps of a task's features."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, ClassVar, final

from ebll.data import Task
from ebll.errors import InputError, check_choice
from ebll.settings import NET_NAMES, USUAL

from .base import SettingsWidget
from .chart import Drawing
from .config import SubmanifoldConfig, WidgetConfig, keywords_of
from .controls import arranged, button, row
from .submanifold import Explored, explored_drawing, explored_words, exploring

__all__ = ["Explorer", "SubmanifoldExplorer", "submanifold_explorer"]


class Explorer(SettingsWidget):
    """A widget in which every move starts its one computation anew: controls on the left, the chart on the right.

    A subclass has `_start(here)` in place of `_line`, `_load`, `_with` and `_apply`; and `_read(line)`, where it
    takes more than its config to read a line.
    """

    kind: ClassVar[type[WidgetConfig]]  #: of its config
    lists: ClassVar[
        tuple[str, ...]
    ] = ()  #: settings with a list, whose options `_options` has; the others have sliders

    @abstractmethod
    def _start(self, here: bool = False) -> None:
        """Begin; what is on stops. `here`: take it to its end before anything else is done."""

    def _options(self) -> dict[str, Iterable[str]]:
        return {}

    def _build(self) -> None:
        sliders = [name for name in self.kind.__dataclass_fields__ if name not in self.lists]
        self._add_settings(self._options(), sliders)
        tip = f"PNG, SVG, CSV and text, into {self.folder}/."
        self.buttons = {
            "reset": button("Reset", "Everything as it was at first.", self.listener(self._reset)),
            "take": button("Take a figure", tip, self.listener(self._take_figure)),
        }
        self.parts |= self.buttons
        self.root = arranged(
            head=[row(self._shown(*self.lists))],
            left=[*self._shown(*sliders), row(self._shown(*self.buttons))],
            right=[self.chart, self.status],
            foot=self._shown("code"),
        )

    def _line(self) -> str:
        return self.config.line()

    def _read(self, line: Any, **settings: Any) -> Any:
        return self.kind.read(line, **settings)

    def _with(self, settings: dict[str, Any]) -> Any:
        return self.config.replace(**settings)

    def _apply(self, config: Any) -> None:
        self.config = config
        self._start()

    def _load(self, line: str) -> None:
        self._change(**vars(self._read(line)))

    def _reset(self, _: Any) -> None:
        self._change(**vars(self._begin))


@final
class SubmanifoldExplorer(Explorer):
    """A widget on what the autoencoder of a task keeps: features, reconstructions, accuracy, and what alpha would hold.

    As the last value of a cell it shows itself; without a front end, a picture of its first state.

    config   where it begins: a `SubmanifoldConfig`, or a line such as 'code_size=16, label="B"'; then what the controls
             say
    tasks, hide, lock, folder, settings   as in `ForgettingLab`; `SubmanifoldExplorer.controls` lists the controls

    history  what was found before the fit and after each of its epochs, the newest last
    """

    controls: ClassVar[tuple[str, ...]] = (
        "task", "net", "label", "code_size", "recon_weight", "seed", "reset", "code", "take",
    )  # fmt: skip
    drawn = figure = "submanifold"
    kind, lists = SubmanifoldConfig, ("task", "net", "label")

    def __init__(
        self, config: SubmanifoldConfig | str = "", *, tasks: Iterable[Task] = (), hide: Iterable[str] = (),
        lock: Iterable[str] = (), folder: str | Path = "widget-results", **settings: Any,
    ) -> None:  # fmt: skip
        super().__init__(tasks, hide, lock, folder)
        self.config = self._begin = self._read(config, **settings)
        self.history: list[Explored] = []
        self._ended: list[Explored] = []  # the history of the last fit that came to its end
        self._begun = time.monotonic()
        self._open(lambda: self._start(here=True))

    @property
    def found(self) -> Explored:
        """What was found last."""
        return self.history[-1]

    # The controls

    def _options(self) -> dict[str, Iterable[str]]:
        return {"task": self.offered, "net": NET_NAMES, "label": self._classes(self.config)}

    def _classes(self, config: SubmanifoldConfig) -> tuple[str, ...]:
        return tuple(self.offered[config.task]().classes)

    def _show_config(self) -> None:
        """Set every control to the config."""
        if self.choices["label"].options != self._classes(self.config):
            self.choices["label"].options = self._classes(self.config)
        super()._show_config()

    # Fits

    def _start(self, here: bool = False) -> None:
        """Begin a fit; one that is on stops. `here`: take it to its end before anything else is done."""
        self._begun, self.history = time.monotonic(), self.history[-1:]
        self.progress("Fitting the autoencoder.", 0.0)
        self._drive(self._collecting(), USUAL.threads, here=here)

    def _collecting(self) -> Generator[None, None, None]:
        """Fit, and put what is found into a history of its own once there is some."""
        history: list[Explored] = []
        for found in exploring(self.config, self.tasks):
            if isinstance(found, Explored):
                history.append(found)
                self.history = history
            yield

    def _on_slice(self) -> None:
        self._draw()
        self.status.done = self.found.epoch / self.found.epochs

    def _on_end(self) -> None:
        error = self.error
        if error is not None:
            self.history = self._ended
            self.config = self.found.config
        self._ended = self.history
        self._draw()
        self._write()
        self.progress("", 1.0)
        how = f"Done after {time.monotonic() - self._begun:.1f} s." if error is None else "As before."
        self.tell(f"{how} {explored_words(self.found)}")
        if error is not None:
            what = str(error) if isinstance(error, InputError) else f"The fit failed: {type(error).__name__}: {error}"
            self.complain(f"{what} The setting is that of the picture again.")

    def _drawing(self, with_alt: bool) -> Drawing:
        return explored_drawing(self.history, with_alt)

    # What the user does

    def _with(self, settings: dict[str, Any]) -> SubmanifoldConfig:
        return self._with_class(self.config.replace(**settings))

    def _with_class(self, config: SubmanifoldConfig) -> SubmanifoldConfig:
        """The config with the first class of its task, where the task has no class of its label."""
        classes = self._classes(config)
        return config if config.label in classes else config.replace(label=classes[0])

    def _read(self, line: SubmanifoldConfig | str, **settings: Any) -> SubmanifoldConfig:
        """The config of a line, or a config; where a line names no class that the task has, its first one is meant."""
        config = SubmanifoldConfig.read(line, **settings)
        check_choice(config.task, self.offered, "Task")
        if (
            isinstance(line, str)
            and "label" not in keywords_of(line, config.call, config.widget, "SubmanifoldConfig") | settings
        ):
            return self._with_class(config)
        check_choice(config.label, self._classes(config), f"Class of {config.task}")
        return config


submanifold_explorer = SubmanifoldExplorer
