"""The controls of the widgets: a slider with a box to type in, a status line, lists, buttons.

ipywidgets' own slider has no name for screen readers and no logarithmic grid with a box, hence one of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets

from ebll.settings import Settings

__all__ = [
    "GRIDS",
    "NAMES",
    "Slider",
    "Status",
    "button",
    "checkbox",
    "choice",
    "code_line",
    "setting_slider",
    "source",
]


def source(name: str) -> str:
    """The text of a file: given a path, anywidget would hold on to every widget that was ever made of it."""
    return (Path(__file__).parent / "front" / name).read_text(encoding="utf-8")


CSS = source("widgets.css")
GRIDS: dict[str, tuple[float, ...]] = {
    "alpha": (0, *(m * 10.0**p for p in range(-2, 4) for m in (1, 2, 3, 5)), 1e4),
    "temperature": (0.05, 0.1, 0.2, 0.5, 0.8, 1, 1.5, 2, 3, 4, 5, 7, 10, 20),
    "distill_weight": (0, *(m * 10.0**p for p in range(-1, 2) for m in (1, 2, 3, 5)), 100),
    "ewc_strength": (0, *(m * 10.0**p for p in range(0, 4) for m in (1, 3)), 1e4, 1e5),
    "code_size": (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 224, 255, 300),
    "recon_weight": (0, *(10.0**p for p in range(-6, -2)), *(m * 10.0**p for p in range(-2, 1) for m in (1, 3)), 10),
    "learning_rate": (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
    "epochs": (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30),
    "seed": tuple(range(21)),
}
"""Setting -> the values its slider has, rising; any other can be typed."""

NAMES = {
    "distill_weight": "distillation weight",
    "ewc_strength": "EWC strength",
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

    @property
    def number(self) -> float:
        """The value, as an int where only whole numbers count and it is one."""
        return int(self.value) if self.whole and self.value.is_integer() else self.value


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


def setting_slider(name: str, config: Settings, listen: Callable) -> Slider:
    """The slider of one setting of a config; `listen` is called with each change."""
    rules = config.metadata()[name]
    made = Slider(
        value=float(getattr(config, name)),
        grid=[float(one) for one in GRIDS[name]],
        label=f"{NAMES.get(name, name)} {rules['symbol']}".strip(),
        tip=rules["doc"],
        whole=isinstance(rules["default"], int),
    )
    made.observe(listen, names="value")
    return made


def choice(
    text: str, options: Iterable[Any], value: Any, listen: Callable, *, tip: str, width: int = 190, name_width: int = 62
) -> ipywidgets.Dropdown:
    """A list to choose from; widths in pixels, the second that of its name."""
    made = ipywidgets.Dropdown(
        options=list(options),
        value=value,
        description=text,
        tooltip=tip,
        layout={"width": f"{width}px"},
        style={"description_width": f"{name_width}px"},
    )
    made.observe(listen, names="value")
    return made


def button(text: str, tip: str, press: Callable) -> ipywidgets.Button:
    """A button with a word on it."""
    made = ipywidgets.Button(description=text, tooltip=tip, layout={"width": "auto", "min_width": "58px"})
    made.on_click(press)
    return made


def checkbox(text: str, tip: str, value: bool, listen: Callable) -> ipywidgets.Checkbox:
    """A box to tick, as wide as its text."""
    layout = {"width": "auto", "margin": "0 12px 0 0"}
    made = ipywidgets.Checkbox(value=value, description=text, tooltip=tip, indent=False, layout=layout)
    made.observe(listen, names="value")
    return made


def code_line(listen: Callable) -> ipywidgets.Text:
    """The field that holds the widget's state as a line of code."""
    made = ipywidgets.Text(
        description="as code",
        tooltip="This setting as a line of Python: copy it, or paste another and press Enter.",
        continuous_update=False,
        layout={"width": "98%"},
        style={"description_width": "62px"},
    )
    made.observe(listen, names="value")
    return made
