"""A world that fits on a page, to be moved: see `ebll.widgets.planes`."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, final

from .base import SettingsWidget
from .chart import Drawing
from .controls import arranged, button, row
from .planes import TRAIN, PlaneConfig, PlaneRun, plane_drawing, plane_training, plane_words

__all__ = ["Plane", "plane"]


@final
class Plane(SettingsWidget):
    """A widget on the plane: three methods learn blobs after moons, and each moment of it can be looked at.

    config, hide, lock, folder, settings   as in `ForgettingLab`; `Plane.controls` lists the controls

    made   the runs on show
    """

    controls: ClassVar[tuple[str, ...]] = (*PlaneConfig.__dataclass_fields__, "reset", "code", "take")
    drawn = figure = "plane"

    def __init__(
        self, config: PlaneConfig | str = "", *, hide: Iterable[str] = (), lock: Iterable[str] = (),
        folder: str | Path = "widget-results", **settings: Any,
    ) -> None:  # fmt: skip
        super().__init__((), hide, lock, folder)
        self.config = self._begin = PlaneConfig.read(config, **settings)
        self.made = PlaneRun(self.config)
        self._open(lambda: self._start(here=True))

    def _build(self) -> None:
        self._add_settings({}, PlaneConfig.__dataclass_fields__)
        tip = f"PNG, SVG, CSV and text, into {self.folder}/."
        self.parts |= {
            "reset": button("Reset", "Everything as it was at first.", self.listener(self._reset)),
            "take": button("Take a figure", tip, self.listener(self._take_figure)),
        }
        self.root = arranged(
            head=[],
            left=[*self._shown(*self.sliders), row(self._shown("reset", "take"))],
            right=[self.chart, self.status],
            foot=self._shown("code"),
        )

    def _line(self) -> str:
        return self.config.line()

    def _start(self, here: bool = False) -> None:
        """Begin three runs; those that are on stop. `here`: take them to their end before anything else is done."""
        self._begun, self.made = time.monotonic(), PlaneRun(self.config)
        self.progress("Learning the moons, then the blobs.", 0.0)
        self._drive(plane_training(self.made), TRAIN.threads, here=here)

    def _on_slice(self) -> None:
        if self.made.marks:
            self._draw()

    def _on_end(self) -> None:
        self._draw()
        self._write()
        self.progress("", 1.0)
        self.tell(f"Done after {time.monotonic() - self._begun:.1f} s. {plane_words(self.made)}")
        if self.error is not None:
            self.complain(f"The run failed: {self.error}")

    def _drawing(self, with_alt: bool) -> Drawing:
        return plane_drawing(self.made, with_alt)

    def drawing(self) -> Drawing:
        """For a file: three moments side by side, or the one that was chosen."""
        chosen = self.chart.moment if self.root is not None else None
        made = plane_drawing(self.made, still=chosen is None)
        made.moment = chosen
        return made

    def _with(self, settings: dict[str, Any]) -> PlaneConfig:
        return self.config.replace(**settings)

    def _apply(self, config: PlaneConfig) -> None:
        self.config = config
        self._start()

    def _load(self, line: str) -> None:
        self._change(**vars(PlaneConfig.read(line)))

    def _reset(self, _: Any) -> None:
        self._change(**vars(self._begin))


plane = Plane
