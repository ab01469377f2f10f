"""The three widgets of ours: a knob (slider and box), a view (picture with values), a status line.

ipywidgets has sliders and images too, but its slider has no name for screen readers and its image no alt text. This
room knows traits and the files in `front/`; nothing of runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

__all__ = ["Knob", "Status", "View"]


def _source(name: str) -> str:
    """The text of a file: given a path, anywidget would hold on to every widget that was ever made of it."""
    return (Path(__file__).parent / "front" / name).read_text(encoding="utf-8")


_CSS = _source("panels.css")


class Knob(anywidget.AnyWidget):
    """A number: a slider that snaps to `grid`, and a box that takes any value.

    value    the number; what may not be is refused by whoever listens, and set back
    grid     the slider's values, rising
    label    the name with its symbol
    tip      what it does, shown on hover
    whole    whether only whole numbers count
    locked   shown, but not to be changed
    """

    _esm = _source("knob.js")
    _css = _CSS
    value = traitlets.Float().tag(sync=True)
    grid = traitlets.List(traitlets.Float()).tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    tip = traitlets.Unicode().tag(sync=True)
    whole = traitlets.Bool(False).tag(sync=True)
    locked = traitlets.Bool(False).tag(sync=True)


class View(anywidget.AnyWidget):
    """A picture that changes, its text, and the values under the pointer.

    picture   bytes of a PNG or JPEG
    count     pictures shown so far
    alt       what is seen, in words
    hint      name of the picture, and how to read values by keyboard
    readout   as `ebll.figures.live.LivePlot.readout` gives it; where an entry has `words`, they stand in the place of
              "step" (position -> text), and where its `pick` is true, a click there is told in `picked`
    picked    place of the last such click, as shares of the picture's width and of its height from above, and a time
    """

    _esm = _source("view.js")
    _css = _CSS
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


class Status(anywidget.AnyWidget):
    """What goes on, in words.

    text    a sentence
    wrong   what went wrong, in words; empty if nothing
    done    share of the run that is done, 0 to 1
    """

    _esm = _source("status.js")
    _css = _CSS
    text = traitlets.Unicode().tag(sync=True)
    wrong = traitlets.Unicode().tag(sync=True)
    done = traitlets.Float(0.0).tag(sync=True)
