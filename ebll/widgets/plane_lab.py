"""A world that fits on a page, to be moved: see `ebll.widgets.planes`."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, final

from .chart import Drawing
from .explorer import Explorer
from .planes import TRAIN, PlaneConfig, PlaneRun, plane_drawing, plane_training, plane_words

__all__ = ["Plane", "plane"]


@final
class Plane(Explorer):
    """A widget on the plane: three methods learn blobs after moons, and each moment of it can be looked at.

    config, hide, lock, folder, settings   as in `ForgettingLab`; `Plane.controls` lists the controls

    made   the runs on show
    """

    controls: ClassVar[tuple[str, ...]] = (*PlaneConfig.__dataclass_fields__, "reset", "code", "take")
    drawn = figure = "plane"
    kind = PlaneConfig

    def __init__(
        self, config: PlaneConfig | str = "", *, hide: Iterable[str] = (), lock: Iterable[str] = (),
        folder: str | Path = "widget-results", **settings: Any,
    ) -> None:  # fmt: skip
        super().__init__((), hide, lock, folder)
        self.config = self._begin = self._read(config, **settings)
        self.made = PlaneRun(self.config)
        self._open(lambda: self._start(here=True))

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
        if self.error is not None:
            self.tell("Failed.")
            self.complain(f"The run failed: {self.error}")
        else:
            self.tell(f"Done after {time.monotonic() - self._begun:.1f} s. {plane_words(self.made)}")

    def _drawing(self, with_alt: bool) -> Drawing:
        return plane_drawing(self.made, with_alt)

    def drawing(self) -> Drawing:
        """For a file: three moments side by side, or the one that was chosen."""
        chosen = self.chart.moment if self.root is not None else None
        made = plane_drawing(self.made, still=chosen is None)
        made.moment = chosen
        return made


plane = Plane
