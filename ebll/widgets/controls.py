"""The controls of the widgets: a slider with a box to type in, a status line, lists, buttons.

ipywidgets' own slider has no name for screen readers and no logarithmic grid with a box, hence one of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets

__all__ = ["GRIDS", "NAMES", "Slider", "Status", "all_in", "arranged", "button", "choice", "listening", "row"]


FRONT = Path(__file__).parent / "front"


def source(name: str) -> str:
    """The text of a file: given a path, anywidget would hold on to every widget that was ever made of it."""
    return (FRONT / name).read_text(encoding="utf-8")


CSS = source("widgets.css")
GRIDS: dict[str, tuple[float, ...]] = {
    "alpha": (0, *(float(f"{m}e{p}") for p in range(-2, 4) for m in (1, 2, 3, 5)), 1e4),
    "temperature": (0.05, 0.1, 0.2, 0.5, 0.8, 1, 1.5, 2, 3, 4, 5, 7, 10, 20),
    "distill_weight": (0, *(float(f"{m}e{p}") for p in range(-1, 2) for m in (1, 2, 3, 5)), 100),
    "l2_strength": (0, *(float(f"{m}e{p}") for p in range(-2, 1) for m in (1, 3)), 10.0),
    "ewc_strength": (0, *(float(f"{m}e{p}") for p in range(0, 4) for m in (1, 3)), 1e4, 1e5),
    "moments_strength": (0, *(float(f"{m}e{p}") for p in range(-4, 0) for m in (1, 3)), 1.0),
    "kfac_strength": (0, *(float(f"{m}e{p}") for p in range(-1, 3) for m in (1, 3)), 1e3),
    "replay_weight": (0, *(float(f"{m}e{p}") for p in range(-1, 1) for m in (1, 3)), 10.0),
    "code_size": (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 224, 255, 300),
    "recon_weight": (0, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
    "learning_rate": (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
    "epochs": (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30),
    "features": (2, 3),
    "distance": (0, 0.5, 1, 1.5, 2, 2.4, 3, 4, 5),
    "seed": tuple(range(21)),
}
"""Setting -> the values its slider has, rising; any other can be typed."""

NAMES = {
    "distill_weight": "distillation weight",
    "l2_strength": "L2 strength",
    "ewc_strength": "EWC strength",
    "moments_strength": "input moments strength",
    "kfac_strength": "K-FAC strength",
    "replay_weight": "replay weight",
    "code_size": "code size",
    "recon_weight": "reconstruction weight",
    "learning_rate": "learning rate",
    "warmup_epochs": "warm-up epochs",
    "log_every": "measured every",
    "old": "old task",
    "new": "new task",
    "label": "class",
}
"""Setting -> its name beside a control, where that is another."""


class Slider(anywidget.AnyWidget):
    """A number: a slider that snaps to `grid`, and a box that takes any value.

    value    the number; what may not be is refused by whoever listens, and set back
    grid     the slider's values, rising
    label    the name with its symbol
    tip      what it does, shown on hover
    whole    whether only whole numbers count
    locked   shown, but not to be changed
    """

    _esm = source("slider.js")
    _css = CSS
    value = traitlets.Float().tag(sync=True)
    grid = traitlets.List(traitlets.Float()).tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    tip = traitlets.Unicode().tag(sync=True)
    whole = traitlets.Bool(False).tag(sync=True)
    locked = traitlets.Bool(False).tag(sync=True)

    def number(self, value: float) -> float:
        """A value of it, as an int where only whole numbers count and it is one."""
        return int(value) if self.whole and value.is_integer() else value


class Status(anywidget.AnyWidget):
    """What goes on, in words.

    text    a sentence
    wrong   what went wrong, in words; empty if nothing
    done    share of the run that is done, 0 to 1
    """

    _esm = source("status.js")
    _css = CSS
    text = traitlets.Unicode().tag(sync=True)
    wrong = traitlets.Unicode().tag(sync=True)
    done = traitlets.Float(0.0).tag(sync=True)


def setting_slider(name: str, rules: Mapping[str, Any], act: Callable) -> Slider:
    """The slider of a setting with these rules, see `Settings.metadata`; `act` is called with each change."""
    made = Slider(
        grid=[float(one) for one in GRIDS[name] if rules["low"] <= one <= rules["high"]],
        label=f"{NAMES.get(name, name)} {rules['symbol']}".strip(),
        tip=rules["doc"],
        whole=isinstance(rules["default"], int),
    )
    return listening(made, act)


def listening(made: ipywidgets.Widget, act: Callable) -> Any:
    """The same control, which calls `act` with each change of its value."""
    made.observe(act, names="value")
    return made


def choice(text: str, options: Iterable[Any], act: Callable, tip: str, wide: bool = False) -> ipywidgets.Dropdown:
    """A list to choose from, with its name on the left."""
    width, name_width = ("290px", "104px") if wide else ("190px", "62px")
    style = {"description_width": name_width}
    made = ipywidgets.Dropdown(
        options=list(options), description=text, tooltip=tip, layout={"width": width}, style=style
    )
    return listening(made, act)


def button(text: str, tip: str, press: Callable) -> ipywidgets.Button:
    """A button with a word on it."""
    made = ipywidgets.Button(description=text, tooltip=tip, layout={"width": "auto", "min_width": "58px"})
    made.on_click(press)
    return made


# Layout


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


def all_in(*widgets: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    """Widgets with their children, and with their layouts and styles, which are widgets too and stay otherwise."""
    for widget in widgets:
        yield from all_in(*getattr(widget, "children", ()))
        yield from (part for name in ("layout", "style") if (part := getattr(widget, name, None)) is not None)
        yield widget
