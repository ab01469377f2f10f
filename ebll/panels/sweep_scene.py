"""What the sweep explorer shows: a view of a sweep's runs, in the words and tables of `ebll.figures.sweep`."""

from __future__ import annotations

from typing import Any

from ebll.figures import Picture
from ebll.figures.sweep import SweepPlot, SweepSheet
from ebll.figures.sweep_words import cell_words, sweep_alt, value_words
from ebll.plots import METHODS as LOOKS
from ebll.sweeps import RunConfig, maps
from ebll.sweeps.maps import SweepIndex, SweepView
from ebll.widgets.controls import NAMES

__all__ = ["SweepScene", "label_of", "name_of"]

_LONGEST = 60  # letters of a name in the title
_SHORT = {"recon_weight": "lambda", "distill_weight": "lambda_o"}


class SweepScene:
    """The picture of one view, drawn again and again."""

    def __init__(self, index: SweepIndex) -> None:
        self.index, self._plot = index, SweepPlot()
        self._sheet: SweepSheet | None = None

    def frame(self, view: SweepView) -> bytes:
        """The picture of a settled view."""
        index = self.index
        self._sheet = SweepSheet(
            cells=maps.map_cells(index, view),
            curves=maps.distance_curves(index, view),
            lines=maps.seed_distances(index, view),
            seeds=maps.seed_spread(index, view),
            references=maps.reference_points(index, view),
            ranges=maps.quantity_ranges(index, view),
            method=view.method,
            column=label_of(view.columns),
            row=label_of(view.rows),
            data=view.data,
            title=self._title(view),
            note=self.note,
        )
        return self._plot.frame(self._sheet)

    def picture(self) -> Picture:
        """What `frame` drew last, as a picture with its text and its numbers."""
        return self._plot.picture()

    def cell_at(self, x: float, y: float) -> tuple[Any, Any] | None:
        """Column and row of the cell at a place of the picture, or None."""
        return self._plot.cell_at(x, y)

    def readout(self) -> list[dict[str, Any]]:
        """The values under the pointer."""
        return self._plot.readout()

    @property
    def alt(self) -> str:
        """What is seen, in words."""
        return sweep_alt(self._sheet)

    @property
    def note(self) -> str:
        """How far a sweep is that is not at its end; empty for others."""
        index = self.index
        if not index.planned:
            return "No run has begun"
        done = len(index.runs)
        if done == index.planned:
            return ""
        return f"{done:,} of {index.planned:,} runs " + ("when the sweep was stopped" if index.stopped else "so far")

    @property
    def done(self) -> float:
        """Share of the runs that are there."""
        return len(self.index.runs) / self.index.planned if self.index.planned else 0.0

    def said(self) -> str:
        """The chosen cell in a sentence."""
        cell = self._sheet.chosen
        if cell is None or not cell["ended"]:
            return f"Chosen cell: {cell_words(cell, 'old') if cell else 'no run'}. {self._counted()}"
        old, new, lost = (cell_words(cell, name) for name in maps.QUANTITIES)
        return (
            f"Chosen cell, {self._sheet.data} data, in %: old task {old}, new task {new}, forgotten {lost}. "
            f"{self._counted()}"
        )

    def _counted(self) -> str:
        return f"{self.note}." if self.note else f"{(n := len(self.index.runs)):,} run{'s' if n != 1 else ''}."

    def _title(self, view: SweepView) -> str:
        if not view.method:
            return "A sweep without a run so far"
        label = LOOKS[view.method].label if view.method in LOOKS else view.method
        told = [f"{name_of(name)} {value_words(value)}" for name, value in view.at.items()]
        about = f"{_cut(view.tasks)}, {_cut(label)}"
        return f"{about}: {', '.join(told)}" if told else about


def _cut(name: str) -> str:
    """A name that leaves room for the rest of a title."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def name_of(name: str) -> str:
    """A setting in as few words as a title has room for."""
    return _SHORT.get(name, NAMES.get(name, name))


def label_of(name: str) -> str:
    """A setting with its symbol; "" for none."""
    return f"{NAMES.get(name, name)} {RunConfig.metadata()[name]['symbol']}".strip() if name else ""
