"""The controls of the sweep explorer: lists, sliders that snap to the sweep's own values, and buttons."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import ipywidgets

from ebll.figures.sweep_words import value_words
from ebll.panels.sweep_scene import label_of
from ebll.panels.view import View
from ebll.plots import METHODS as LOOKS
from ebll.sweeps import RunConfig
from ebll.sweeps.maps import DATA, SweepIndex, SweepView
from ebll.widgets import controls
from ebll.widgets.controls import Slider, Status

__all__ = ["LISTS", "SweepWidgets"]

LISTS = {
    "tasks": ("tasks", "The tasks in the order in which they were learned."),
    "method": ("method", "The method whose settings the maps show."),
    "columns": ("columns", "The setting along the lower edge of the maps."),
    "rows": ("rows", "The setting along the left edge of the maps."),
    "data": ("data", "Settings are chosen on validation data; test data are for the end."),
}
"""List -> its name, and what it does."""


class SweepWidgets:
    """All widgets of one panel.

    turned   called with a setting and the value that its slider or list was given
    chosen   called with a list's name and what was chosen
    press    "reset" and "take" -> what their buttons do
    hidden   names of controls that are not shown
    locked   names of controls that are shown and cannot be used
    """

    def __init__(
        self, turned: Callable[[str, Any], None], chosen: Callable[[str, str], None],
        press: Mapping[str, Callable[[Any], None]], *, hidden: Collection[str], locked: Collection[str], folder: Path,
    ) -> None:  # fmt: skip
        self._turned, self._hidden, self._locked = turned, hidden, locked
        self.status = Status()
        self.view = View(
            hint="Picture of the maps and of the chosen cell. Arrow keys: left and right read values, up and down "
            "change the axes."
        )
        self.lists = {name: self._list(name, chosen) for name in LISTS}
        self.sliders: dict[str, Slider | ipywidgets.Dropdown] = {}
        self.reset = controls.button("Reset", "The view as it was at first.", press["reset"])
        self.take = controls.button("Take a figure", f"PNG, SVG, CSV and text, into {folder}/.", press["take"])
        self.code = ipywidgets.Text(
            description="as code",
            tooltip="This view as a line of Python: copy it, or paste another and press Enter.",
            continuous_update=False,
            disabled="code" in locked,
            layout={"width": "98%"},
            style={"description_width": "62px"},
        )
        wrap = {"flex_flow": "row wrap"}
        self._head, self._sliders = ipywidgets.Box(layout=wrap), ipywidgets.Box(layout=wrap)
        foot = {"reset": self.reset, "take": self.take}
        for name, one in foot.items():
            one.disabled = name in locked
        row = ipywidgets.Box([one for name, one in foot.items() if name not in hidden], layout=wrap)
        last = [] if "code" in hidden else [self.code]
        self.root = ipywidgets.VBox([self._head, self._sliders, self.view, self.status, row, *last])
        self.root.add_class("ebll-panel")

    @property
    def every(self) -> Iterable[ipywidgets.Widget]:
        """Also those that are not shown now."""
        return [*self.lists.values(), *self.sliders.values(), self.reset, self.take, self.code]

    def fit(self, index: SweepIndex, view: SweepView, line: str) -> None:
        """Bring every control in step with a view; whoever calls does not listen meanwhile."""
        axes = index.axes.get(view.method, {})
        options = {
            "tasks": [(name, name) for name in index.tasks],
            "method": [(LOOKS[name].label if name in LOOKS else name, name) for name in index.methods],
            "columns": [(label_of(name), name) for name in axes],
            "rows": [(label_of(name), name) for name in axes],
            "data": [(name, name) for name in DATA],
        }
        for name, one in self.lists.items():
            if list(one.options) != options[name]:
                one.options = options[name]
            if options[name] and (value := getattr(view, name)):
                one.value = value
        for name, values in axes.items():
            self._fit_knob(name, values, getattr(view, name))
        useful = {"tasks": 2, "method": 2, "columns": 2, "rows": 2, "data": 1}
        self._show(self._head, [self.lists[name] for name, least in useful.items()
                                if len(options[name]) >= least and name not in self._hidden])  # fmt: skip
        self._show(self._sliders, [self.sliders[name] for name in axes if name not in self._hidden])
        self.code.value = line

    @staticmethod
    def _show(box: ipywidgets.Box, children: list[ipywidgets.Widget]) -> None:
        if list(box.children) != children:
            box.children = children

    def _fit_knob(self, name: str, values: tuple[Any, ...], value: Any) -> None:
        texts = any(isinstance(one, str) for one in values)
        kind = ipywidgets.Dropdown if texts else Slider
        if not isinstance(self.sliders.get(name), kind):
            if name in self.sliders:
                self.sliders[name].close()
            self.sliders[name] = self._dropdown(name) if texts else self._knob(name, values)
        one = self.sliders[name]
        if texts:
            options = [(value_words(each), each) for each in values]
            if list(one.options) != options:
                one.options = options
            one.value = next(each for each in values if each == value)
        else:
            one.grid, one.value = [float(each) for each in values], float(value)

    def _list(self, name: str, chosen: Callable[[str, str], None]) -> ipywidgets.Dropdown:
        text, tip = LISTS[name]
        made = ipywidgets.Dropdown(
            description=text,
            tooltip=tip,
            disabled=name in self._locked,
            layout={"width": "270px"},
            style={"description_width": "58px"},
        )
        made.observe(lambda event: chosen(name, event["new"]), names="value")
        return made

    def _knob(self, name: str, values: tuple[Any, ...]) -> Slider:
        rules = RunConfig.metadata()[name]
        made = Slider(
            value=float(values[0]),
            grid=[float(one) for one in values],
            label=label_of(name),
            tip=f"{rules['doc']} One of: {', '.join(map(value_words, values))}.",
            locked=name in self._locked,
            layout={"flex": "1 1 380px", "min_width": "min(260px, 100%)", "max_width": "425px"},
        )
        made.observe(lambda event: self._turned(name, event["new"]), names="value")
        return made

    def _dropdown(self, name: str) -> ipywidgets.Dropdown:
        made = ipywidgets.Dropdown(
            description=label_of(name),
            tooltip=RunConfig.metadata()[name]["doc"],
            disabled=name in self._locked,
            layout={"width": "230px"},
            style={"description_width": "98px"},
        )
        made.observe(lambda event: self._turned(name, event["new"]), names="value")
        return made
