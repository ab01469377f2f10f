"""A picture that the kernel draws, with its text and the values under the pointer: for the sweep explorer."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from ebll.widgets.controls import CSS, source

__all__ = ["View"]


class View(anywidget.AnyWidget):
    """A picture that changes, its text, and the values under the pointer.

    picture   bytes of a PNG
    count     pictures shown so far
    alt       what is seen, in words
    hint      name of the picture, and how to read values by keyboard
    readout   one entry an axes: title, box, range, series with x, y and name; where an entry has `words`, they stand
              in the place of "step" (position -> text), and where its `pick` is true, a click there is told in `picked`
    picked    place of the last such click, as shares of the picture's width and of its height from above, and a time
    """

    _esm = source("view.js")
    _css = CSS
    picture = traitlets.Bytes().tag(sync=True)
    count = traitlets.Int(0).tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    hint = traitlets.Unicode("Picture. Arrow keys: left and right read values, up and down change the axes.").tag(
        sync=True
    )
    readout = traitlets.List().tag(sync=True)
    picked = traitlets.List(traitlets.Float()).tag(sync=True)

    def show(self, picture: bytes, **more: Any) -> None:
        """Show a picture, with other traits in the same message."""
        with self.hold_sync():
            self.count += 1
            self.picture = picture
            for name, value in more.items():
                setattr(self, name, value)
