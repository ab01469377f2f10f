"""Which knobs there are: the values that a slider snaps to, and names and sentences from the settings themselves.

This room knows settings and widgets; nothing of runs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import ipywidgets

from ebll.live.config import LAB_METHODS
from ebll.panels.widgets import Knob
from ebll.plots import METHODS as LOOKS
from ebll.settings import Settings

__all__ = ["GRIDS", "SPEEDS", "button", "choice", "knob", "method_boxes"]

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
SPEEDS = (5.0, 10.0, 20.0, 30.0, 50.0, 100.0, 1000.0)
"""Setting -> the values its slider has, rising; any other can be typed."""

NAMES = {
    "alpha": "alpha",
    "temperature": "temperature",
    "distill_weight": "distillation weight",
    "ewc_strength": "EWC strength",
    "code_size": "code size",
    "recon_weight": "reconstruction weight",
    "learning_rate": "learning rate",
    "epochs": "epochs",
    "warmup_epochs": "warm-up epochs",
    "images": "images",
    "log_every": "measured every",
    "seed": "seed",
    "old": "old task",
    "new": "new task",
    "net": "net",
    "task": "task",
    "label": "class",
}


def knob(name: str, config: Settings, listen: Callable, locked: bool = False) -> Knob:
    """The knob of one setting of a config; `listen` is called with each change."""
    rules = config.knobs()[name]
    value = getattr(config, name)
    made = Knob(
        value=float(value),
        grid=[float(one) for one in GRIDS[name]],
        label=f"{NAMES[name]} {rules['symbol']}".strip(),
        tip=rules["doc"],
        whole=isinstance(rules["default"], int),
        locked=locked,
    )
    made.observe(listen, names="value")
    return made


def choice(
    name: str,
    config: Settings,
    options: Iterable[str],
    listen: Callable,
    locked: bool = False,
) -> ipywidgets.Dropdown:
    """A list to choose from."""
    made = ipywidgets.Dropdown(
        options=list(options),
        value=getattr(config, name),
        description=NAMES[name],
        tooltip=config.knobs()[name]["doc"],
        disabled=locked,
        layout={"width": "190px"},
        style={"description_width": "62px"},
    )
    made.observe(listen, names="value")
    return made


def method_boxes(chosen: Collection[str], listen: Callable, locked: bool = False) -> dict[str, ipywidgets.Checkbox]:
    """A box to tick for each method."""
    boxes = {
        name: ipywidgets.Checkbox(
            value=name in chosen,
            description=LOOKS[name].label,
            tooltip=f"Train with {LOOKS[name].label}.",
            disabled=locked,
            indent=False,
            layout={"width": "auto", "margin": "0 12px 0 0"},
        )
        for name in LAB_METHODS
    }
    for box in boxes.values():
        box.observe(listen, names="value")
    return boxes


def button(text: str, tip: str, press: Callable) -> ipywidgets.Button:
    """A button with a word on it."""
    made = ipywidgets.Button(description=text, tooltip=tip, layout={"width": "auto", "min_width": "58px"})
    made.on_click(press)
    return made
