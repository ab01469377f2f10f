"""The submanifold explorer and the plane: each moved slider starts their one computation anew."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from ebll.errors import check_choice

from .chart import Drawing
from .config import SubmanifoldConfig
from .planes import PlaneConfig, PlaneRun, plane_drawing, plane_training, plane_words
from .settings_widget import SettingsWidget
from .submanifold import Explored, explored_drawing, explored_words, exploring

__all__ = ["Plane", "SubmanifoldExplorer", "plane", "submanifold_explorer"]


@final
class SubmanifoldExplorer(SettingsWidget):
    """A widget on what the autoencoder of a task keeps: features, reconstructions, accuracy, and what alpha would hold.

    As the last value of a cell it shows itself; without a front end, a picture of its first state.

    config   where it begins: a `SubmanifoldConfig`, or a line such as 'code_size=16, label="B"'; then what the controls
             say
    tasks, hide, lock, folder, settings   as in `ForgettingLab`; `SubmanifoldExplorer.controls` lists the controls

    history  what was found before the fit and after each of its epochs, the newest last
    """

    controls: ClassVar[tuple[str, ...]] = (*SubmanifoldConfig.__dataclass_fields__, "reset", "code", "take")
    drawn = figure = "submanifold"
    kind, lists, doing = SubmanifoldConfig, ("task", "net", "label"), "Fitting the autoencoder."
    history: Sequence[Explored] = ()
    _ended: Sequence[Explored] = ()  #: the history of the last fit that came to its end

    @property
    def found(self) -> Explored:
        """What was found last."""
        return self.history[-1]

    # The class that is shown is one of the task's

    def _options(self, name: str) -> Iterable[str]:
        return self._classes(self.config) if name == "label" else super()._options(name)

    def _classes(self, config: SubmanifoldConfig) -> tuple[str, ...]:
        return tuple(self.offered[config.task]().classes)

    def _show_config(self) -> None:
        if self.choices["label"].options != self._classes(self.config):
            self.choices["label"].options = self._classes(self.config)
        super()._show_config()

    def _with(self, settings: dict[str, Any]) -> SubmanifoldConfig:
        return self._with_class(self.config.replace(**settings))

    def _with_class(self, config: SubmanifoldConfig) -> SubmanifoldConfig:
        """The config with the first class of its task, where the task has no class of its label."""
        classes = self._classes(config)
        return config if config.label in classes else config.replace(label=classes[0])

    def _read(self, line: SubmanifoldConfig | str, **settings: Any) -> SubmanifoldConfig:
        """As a widget does; where a line names no class that the task has, its first one is meant."""
        config = super()._read(line, **settings)
        check_choice(config.task, self.offered, "Task")
        if isinstance(line, str) and "label" not in config.keywords(line) | settings:
            return self._with_class(config)
        check_choice(config.label, self._classes(config), f"Class of {config.task}")
        return config

    # Fits

    def _training(self, **_: Any) -> Generator[None, None, None]:
        """Fit, and put what is found into a history of its own once there is some."""
        self.history, history = self.history[-1:], []
        for found in exploring(self.config, self.tasks):
            if isinstance(found, Explored):
                history.append(found)
                self.history = history
            yield

    def _where(self) -> tuple[str, float]:
        return self.doing, self.found.epoch / self.found.epochs

    def _on_end(self) -> None:
        if self.error is not None:  # the setting is that of the picture again
            self.history, self.config = self._ended, self._ended[-1].config
        self._ended = self.history
        super()._on_end()

    def _words(self) -> str:
        return explored_words(self.found)

    def _drawing(self, with_alt: bool) -> Drawing:
        return explored_drawing(self.history, with_alt)


@final
class Plane(SettingsWidget):
    """A widget on the plane, see `ebll.widgets.planes`: three methods learn blobs after moons, moment by moment.

    config, hide, lock, folder, settings   as in `ForgettingLab`; `Plane.controls` lists the controls

    made   the runs on show
    """

    controls: ClassVar[tuple[str, ...]] = (*PlaneConfig.__dataclass_fields__, "reset", "code", "take")
    drawn = figure = "plane"
    kind, doing = PlaneConfig, "Learning the moons, then the blobs."
    made: PlaneRun

    def __init__(
        self, config: PlaneConfig | str = "", *, hide: Iterable[str] = (), lock: Iterable[str] = (),
        folder: str | Path = "widget-results", **settings: Any,
    ) -> None:  # fmt: skip
        super().__init__(config, hide=hide, lock=lock, folder=folder, **settings)

    def _training(self, **_: Any) -> Generator[Any, None, None]:
        self.made = PlaneRun(self.config)
        return plane_training(self.made)

    def _where(self) -> tuple[str, float]:
        return self.doing, self.made.share

    def _words(self) -> str:
        return plane_words(self.made)

    def _draw(self) -> None:
        if self.made.marks:  # until then, the picture before stays
            super()._draw()

    def _drawing(self, with_alt: bool) -> Drawing:
        return plane_drawing(self.made, with_alt)

    def drawing(self) -> Drawing:
        """For a file: three moments side by side, or the one that was chosen."""
        made = super().drawing()
        return made if made.moment is not None else plane_drawing(self.made, still=True)


submanifold_explorer, plane = SubmanifoldExplorer, Plane
