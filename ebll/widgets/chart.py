"""A chart that the browser draws: data go there as bytes, and Vega makes the picture; a static twin without a browser.

    drawing = lab_drawing(made)                # of what `run` has made
    chart = Chart(drawing)                     # the last value of a cell
    drawing.save("figures/lab")                # the same as PNG and SVG, its tables, its text

Nothing is asked of a network: Vega comes out of vl-convert, and a page loads it once for all its charts.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import functools
import gzip
import html
import importlib.util
import io
import json
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import numpy as np
import pandas as pd
import traitlets

from ebll.errors import InputError, OutputError
from ebll.files import write_files, write_whole

from .controls import source

__all__ = ["LIVE", "Chart", "Drawing", "spec_of"]

LIVE = "application/vnd.ebll.chart+json"
"""MIME type of what a chart shows: the site draws it again, with hover and zoom, in place of the picture."""


@functools.cache
def spec_of(name: str) -> dict[str, Any]:
    """The Vega specification of a chart, by its name in `ebll.widgets.charts.CHARTS`; that module writes the files."""
    return json.loads(source(f"{name}.json"))


@dataclass
class Drawing:
    """A chart and what it shows: in a notebook by `Chart`, for files, and for readers without a kernel.

    spec      see `spec_of`
    data      name of a data set -> its rows; the chart's others are empty
    settings  name of a parameter of the chart -> its value
    alt       what is seen, in words, for those who cannot see it
    heading   a line above the chart
    caption   what the numbers are, below the heading
    moment    the step (or epoch) on show; None for the end
    raises    `InputError` where the chart has no such data set or parameter
    """

    spec: dict[str, Any]
    data: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    alt: str = "Chart."
    heading: str = ""
    caption: str = ""
    moment: float | None = None

    def __post_init__(self):
        for what, given, known in (
            ("data set", self.data, [one for one in self.spec["data"] if not {"source", "values"} & one.keys()]),
            ("parameter", self.settings, self.spec["signals"]),
        ):
            if unknown := sorted(given.keys() - (names := {one["name"] for one in known})):
                raise InputError(f"This chart has no {what} {unknown[0]!r}. It has: {', '.join(sorted(names))}.")

    def svg(self) -> str:
        """The chart as SVG, with its text as title and description."""
        drawn, text = _converted(self._filled(), "svg").decode(), html.escape(self.alt)
        tagged = drawn.replace("<svg", f'<svg role="img" aria-label="{text}"', 1)
        return tagged.replace(">", f"><desc>{text}</desc>", 1)

    def png(self, scale: float = 1.4) -> bytes:
        """The chart as PNG, `scale` pixels for each of the page's, with its text as its description."""
        from PIL import PngImagePlugin

        from ebll.plots.figure import with_palette

        about = PngImagePlugin.PngInfo()
        about.add_itxt("Description", self.alt)
        buffer = io.BytesIO()
        with_palette(_converted(self._filled(), "png", scale), 64).save(buffer, "png", pnginfo=about, optimize=True)
        return buffer.getvalue()

    def save(self, stem: str | Path) -> dict[str, Path]:
        """Write `stem`.png, .svg, .txt (the alt text) and .csv (the main table; others as `stem`-name.csv).

        returns  their paths, by suffix or by name of the table
        raises   `OutputError` where a file cannot be written
        """
        stem, main = Path(stem), self.spec["usermeta"]["ebll"]["table"]
        contents = {"png": self.png(), "svg": self.svg(), "txt": f"{self.alt.strip()}\n"}
        files = {kind: stem.with_name(f"{stem.name}.{kind}") for kind in contents}
        for name in self.data.keys() - {"methods"}:  # which has the names of the bars alone
            key, end = ("csv", "") if name == main else (name, f"-{name}")
            contents[key] = self.data[name].to_csv(index=False, float_format="%.6g", lineterminator="\n")
            files[key] = stem.with_name(f"{stem.name}{end}.csv")
        write_files({path: contents[kind] for kind, path in files.items()})
        return files

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The picture and its text, by MIME type, and metadata; of a chart that `Chart` can show, `LIVE` too."""
        from ebll.plots.figure import picture

        name = self.spec["usermeta"]["ebll"].get("chart")
        return picture(self.png(), self.alt) | ({LIVE: {"chart": name, "content": self._content()}} if name else {}), {}

    def _content(self) -> str:
        """What `Chart` shares with the browser as JSON, by gzip, in base64; numbers have five digits."""
        tables = {
            table: {
                "count": len(rows),
                "columns": {str(name): [_short(value) for value in column] for name, column in rows.items()},
            }
            for table, rows in self.data.items()
        }
        texts = {name: getattr(self, name) for name in ("alt", "heading", "caption", "moment")}
        told = json.dumps(texts | {"tables": tables, "settings": dict(self.settings)}, separators=(",", ":"))
        return base64.b64encode(gzip.compress(told.encode(), mtime=0)).decode("ascii")

    def _filled(self) -> dict[str, Any]:
        """The Vega specification with data, settings and texts."""
        spec, reading = copy.deepcopy(self.spec), self.spec["usermeta"]["ebll"]
        rows = self.data.get(reading["table"], pd.DataFrame(columns=[reading["time"]]))
        times = rows[rows["run"] == ""][reading["time"]] if "run" in rows else rows[reading["time"]]
        end = float(times.max()) if len(times) else 0.0
        values = {**self.settings, "held": self.moment is not None, "at": end if self.moment is None else self.moment}
        values |= {name: textwrap.wrap(getattr(self, name), 110) or [""] for name in ("heading", "caption")}
        for one in spec["signals"]:
            if one["name"] in values:
                one["value"] = values[one["name"]]
        for one in spec["data"]:
            if one["name"] in self.data:
                rows = self.data[one["name"]]
                one["values"] = rows.astype(object).where(rows.notna(), None).to_dict("records")
        return spec


class Runtime(anywidget.AnyWidget):
    """The JavaScript of Vega, as gzip; all charts of a kernel refer to this one model."""

    _esm = "export default {};"
    code = traitlets.Bytes().tag(sync=True)

    @classmethod
    def shared(cls) -> Runtime:
        """The one that is open, or a new one."""
        if getattr(cls, "_open", None) is None or cls._open.comm is None:
            cls._open = cls(code=_vega())
        return cls._open


class Chart(anywidget.AnyWidget):
    """A drawing in a notebook, with hover, zoom, a slider over its moments, and export.

    moment   the step (or epoch) on show, where the reader or you have chosen one; None for the end
    """

    _esm = source("chart.js")
    _css = source("chart.css")
    runtime = traitlets.Instance(Runtime).tag(sync=True, **ipywidgets.widget_serialization)
    spec = traitlets.Dict().tag(sync=True)
    tables = traitlets.Dict().tag(sync=True)
    settings = traitlets.Dict().tag(sync=True)
    alt = traitlets.Unicode("Chart.").tag(sync=True)
    heading = traitlets.Unicode().tag(sync=True)
    caption = traitlets.Unicode().tag(sync=True)
    moment = traitlets.Float(None, allow_none=True).tag(sync=True)

    def __init__(self, drawing: Drawing) -> None:
        super().__init__(runtime=Runtime.shared(), spec=drawing.spec, moment=drawing.moment)
        self.show(drawing)

    def show(self, drawing: Drawing) -> None:
        """Show other numbers and texts in the same picture; an empty text leaves the one before."""
        self._drawing = drawing
        with self.hold_sync():
            self.tables = {name: packed(table) for name, table in drawing.data.items()}
            self.settings = dict(drawing.settings)
            self.heading, self.caption = drawing.heading, drawing.caption
            self.alt = drawing.alt or self.alt

    @property
    def drawing(self) -> Drawing:
        """What is on show now, with the moment that was chosen."""
        return replace(self._drawing, alt=self.alt, moment=self.moment)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        """The widget, and a picture for readers without a kernel."""
        return with_picture(super()._repr_mimebundle_(**kwargs), self.drawing)


def with_picture(live: Any, drawing: Drawing) -> tuple[dict, dict]:
    """What a widget's `_repr_mimebundle_` gave (nothing without a front end), beside a picture for other readers."""
    data = (live[0] if isinstance(live, tuple) else live) or {}
    own = {kind: part for kind, part in data.items() if kind.startswith("application/")}
    return own | drawing._repr_mimebundle_()[0], {}


def _short(value: Any) -> Any:
    """A text as it is, a number with five digits, None for what is no finite number."""
    if isinstance(value, str):
        return value
    return float(f"{value:.5g}") if value is not None and np.isfinite(value) else None


def free_stem(folder: Path, kind: str) -> Path:
    """folder/kind-1, or the first number after it of which nothing is there yet."""
    number = 1
    try:
        while any(folder.glob(f"{kind}-{number}*")):
            number += 1
    except (OSError, ValueError) as error:
        raise OutputError(f"Nothing can be written into {str(folder)[:80]!r}: {error}. Name another folder.") from error
    return folder / f"{kind}-{number}"


def packed(table: pd.DataFrame) -> dict[str, Any]:
    """A table as bytes: numbers as float32 (no number becomes NaN), texts as int16 places in a list of words.

    returns  {"count": rows, "columns": {name: {"numbers": ...} or {"codes": ..., "words": ...}}}
    """
    columns: dict[str, Any] = {}
    for name, column in table.items():
        if pd.api.types.is_numeric_dtype(column):
            columns[str(name)] = {"numbers": column.to_numpy(np.float32, na_value=np.nan).tobytes()}
        else:
            codes, words = pd.factorize(column)
            columns[str(name)] = {"codes": codes.astype(np.int16).tobytes(), "words": [str(word) for word in words]}
    return {"count": len(table), "columns": columns}


def _vega() -> bytes:
    """Vega's JavaScript, gzipped. Putting it together takes seconds, so it is kept beside Jupyter's own files."""
    import vl_convert
    from jupyter_core.paths import jupyter_data_dir

    path = Path(jupyter_data_dir()) / "ebll" / f"vega-{vl_convert.__version__}.js.gz"
    try:
        return path.read_bytes()
    except OSError:
        code = gzip.compress(vl_convert.javascript_bundle("export { vegaEmbed };").encode(), mtime=0)
    with contextlib.suppress(OSError):  # a home that nobody may write to: then it is made again in each kernel
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, code)
    return code


_CONVERT = """
import json, sys, vl_convert
given = json.load(sys.stdin)
vl_convert.register_font_directory(given["fonts"])
if given["kind"] == "svg":
    made = vl_convert.vega_to_svg(given["spec"], allowed_base_urls=[]).encode()
else:
    made = vl_convert.vega_to_png(given["spec"], scale=given["scale"], allowed_base_urls=[])
sys.stdout.buffer.write(made)
"""


def _converted(spec: dict[str, Any], kind: str, scale: float = 1.0) -> bytes:
    """A specification as SVG or PNG, in matplotlib's own typefaces, so that it is the same on every machine.

    By a process of its own: a kernel would keep more than 100 MB of a JavaScript engine.
    """
    fonts = Path(importlib.util.find_spec("matplotlib").origin).parent / "mpl-data" / "fonts" / "ttf"
    given = {"spec": spec, "kind": kind, "scale": scale, "fonts": str(fonts)}
    command = [sys.executable, "-c", _CONVERT]
    return subprocess.run(command, input=json.dumps(given).encode(), stdout=subprocess.PIPE, check=True).stdout
