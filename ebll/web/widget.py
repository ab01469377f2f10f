"""The lab in the page as a widget for notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ebll.widgets.base import is_static

from .export import lab_data

__all__ = ["Lab"]


class Lab(anywidget.AnyWidget):
    """The lab in Jupyter, marimo or whatever shows an anywidget; it trains in the browser, not in the kernel.

    state    settings as in the page's address, "new=mnist&alpha=1"; follows what the reader sets
    """

    _esm = Path(__file__).with_name("lab.js")
    data = traitlets.Dict().tag(sync=True)
    state = traitlets.Unicode().tag(sync=True)

    def __init__(self, state: str = "") -> None:
        super().__init__(data=lab_data(), state=state)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        """The widget, where there is a front end, and a sentence in its place."""
        live, about = ({}, {}) if is_static() else super()._repr_mimebundle_(**kwargs)
        text = "The lab trains in the browser: open this notebook there. In the kit: ebll.web.run(new='mnist').curves"
        return live | {"text/plain": text}, about
