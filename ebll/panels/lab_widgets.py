"""The widgets of the forgetting lab and where they stand; what they do is said in `forgetting_lab`.

This room knows widgets; nothing of runs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import ipywidgets

from ebll.live import LabConfig
from ebll.live.config import acts_on
from ebll.panels import controls
from ebll.panels.widgets import Status, View
from ebll.plots import METHODS as LOOKS

__all__ = ["BUTTONS", "LabWidgets", "term_options"]

BUTTONS = {
    "run": ("Run", "Train the new task with each method."),
    "pause": ("Pause", "Hold the run, or let it go on."),
    "step": ("Step", "Go on to the next measurement, one optimiser step away, and hold there."),
    "stop": ("Stop", "End the run; what it has measured stays."),
    "reset": ("Reset", "Everything as it was at first; pinned runs go."),
    "pin": ("Pin", "Keep this run to compare others with."),
}
_WRAP = {"flex_flow": "row wrap", "align_items": "center"}


class LabWidgets:
    """All widgets of the panel by name, in `all`, and in `root`, which holds those that are not hidden.

    listen   name -> what is called when a control is used: knob, choice, methods, terms, code, and the buttons' names
    line     the setting as a line of code
    extra    further controls, by name, put below the knobs
    """

    def __init__(
        self,
        config: LabConfig,
        tasks: Sequence[str],
        listen: Mapping[str, Callable],
        line: str,
        *,
        hidden: Collection[str],
        locked: Collection[str],
        folder: str,
        methods: Sequence[str],
        extra: Mapping[str, ipywidgets.Widget],
    ) -> None:
        self.status, self.view, self._locked = Status(), View(), frozenset(locked)
        lists = {"old": tasks, "new": tasks, "net": ("mlp", "cnn")}
        self.choices = {
            name: controls.choice(name, config, options, listen["choice"], name in locked)
            for name, options in lists.items()
        }
        self.boxes = controls.method_boxes(config.methods, listen["methods"], "methods" in locked)
        self.knobs = {name: controls.knob(name, config, listen["knob"], name in locked) for name in controls.GRIDS}
        self.buttons = {name: controls.button(*BUTTONS[name], listen[name]) for name in BUTTONS}
        for one in self.buttons.values():
            one.disabled = "buttons" in locked
        self.auto = ipywidgets.Checkbox(
            value=True,
            description="run when a control is moved",
            tooltip="As long as a run is quick; otherwise press Run.",
            disabled="auto" in locked,
            indent=False,
            layout={"width": "auto"},
        )
        self.terms = ipywidgets.Dropdown(
            options=term_options(methods),
            value=methods[-1],
            description="loss terms of",
            tooltip="The method whose loss terms are drawn.",
            disabled="terms" in locked,
            layout={"width": "270px"},
            style={"description_width": "84px"},
        )
        self.terms.observe(listen["terms"], names="value")
        self.code = ipywidgets.Text(
            value=line,
            description="as code",
            tooltip="This setting as a line of Python: copy it, or paste another and press Enter.",
            continuous_update=False,
            disabled="code" in locked,
            layout={"width": "98%"},
            style={"description_width": "62px"},
        )
        self.code.observe(listen["code"], names="value")
        self.take = {
            "figure": controls.button("Take a figure", f"PNG, SVG, CSV and text, into {folder}.", listen["figure"]),
            "data": controls.button("Take the data", f"CSV and the config, into {folder}.", listen["data"]),
        }
        self.results = ipywidgets.HTML()
        self.results.add_class("ebll-table")
        for one in self.take.values():
            one.disabled = "take" in locked
        self.extra = dict(extra)
        groups = (self.choices, self.boxes, self.knobs, self.buttons, self.take, self.extra)
        single = (self.auto, self.terms, self.code, self.results)
        self.all = (*(one for group in groups for one in group.values()), *single)
        self.root = self._arranged(hidden)

    def write(self, config: LabConfig, methods: Sequence[str], terms: str, line: str) -> None:
        """Bring every control in step with a config; knobs that act on none of the methods cannot be moved."""
        for name, widget in self.knobs.items():
            widget.value = float(getattr(config, name))
            widget.locked = name in self._locked or not acts_on(name, methods)
        for name, choice in self.choices.items():
            choice.value = getattr(config, name)
        for name, box in self.boxes.items():
            box.value = name in config.methods
        if [value for _, value in self.terms.options] != list(methods):
            self.terms.options = term_options(methods)
        self.terms.value, self.code.value = terms, line

    def _arranged(self, hidden: Collection[str]) -> ipywidgets.VBox:
        def shown(widgets: Mapping[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
            return [widget for name, widget in widgets.items() if name not in hidden]

        def box(name: str, widgets: Mapping[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
            return [] if name in hidden else [ipywidgets.Box(list(widgets.values()), layout=_WRAP)]

        left = ipywidgets.VBox(
            [
                *shown(self.knobs),
                *shown(self.extra),
                *box("buttons", self.buttons),
                *shown({"auto": self.auto, "terms": self.terms}),
            ],
            layout={"flex": "1 1 330px", "min_width": "min(300px, 100%)", "max_width": "420px"},
        )
        right = ipywidgets.VBox([self.view, self.status], layout={"flex": "2 1 460px", "min_width": "min(300px, 100%)"})
        root = ipywidgets.VBox(
            [
                ipywidgets.Box(shown(self.choices), layout=_WRAP),
                *box("methods", self.boxes),
                ipywidgets.Box([left, right], layout={"flex_flow": "row wrap"}),
                *shown({"code": self.code}),
                *box("take", self.take),
                *shown({"table": self.results}),
            ]
        )
        root.add_class("ebll-panel")
        return root


def term_options(methods: Sequence[str]) -> list[tuple[str, str]]:
    """Label and name of each method."""
    return [(LOOKS[name].label, name) for name in methods]
