"""A chart that the browser draws: data go there as bytes, and Vega makes the picture; a static twin without a browser.

    chart = Chart(lab_chart("letters", "mnist", ["ebll"]))
    chart.show(*lab_tables(made.curves), heading="letters → mnist")
    chart.save("figures/lab")                  # the same as PNG and SVG, its tables, its text

Nothing is asked of a network: Vega comes out of vl-convert, and a page loads it once for all its charts.
"""

from __future__ import annotations

import base64
import copy
import functools
import gzip
import html
import importlib.util
import io
import os
import re
import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import altair
import anywidget
import ipywidgets
import numpy as np
import pandas as pd
import traitlets
import vl_convert
from PIL import Image, PngImagePlugin

from ebll.errors import InputError, OutputError

from .look import CONFIG

__all__ = ["Chart"]


def _source(name: str) -> str:
    """The text of a file: given a path, anywidget would hold on to every widget that was ever made of it."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


class Runtime(anywidget.AnyWidget):
    """The JavaScript of Vega, as gzip; all charts of a kernel refer to this one model."""

    _esm = "export default {};"
    code = traitlets.Bytes().tag(sync=True)

    @classmethod
    def shared(cls) -> Runtime:
        """The one that is open, or a new one."""
        if getattr(cls, "_open", None) is None or cls._open.comm is None:
            cls._open = cls(code=gzip.compress(vl_convert.javascript_bundle("export { vegaEmbed };").encode(), mtime=0))
        return cls._open


class Chart(anywidget.AnyWidget):
    """A chart in a notebook, with hover, zoom, a slider over its moments, and export.

    alt      what is seen, in words, for those who cannot see it
    heading  a line above the chart
    caption  what the numbers are, below the heading
    moment   the step (or epoch) on show, where the reader or you have chosen one; None for the end
    data     the tables on show, by name
    """

    _esm = _source("chart.js")
    _css = _source("chart.css")
    runtime = traitlets.Instance(Runtime).tag(sync=True, **ipywidgets.widget_serialization)
    spec = traitlets.Dict().tag(sync=True)
    tables = traitlets.Dict().tag(sync=True)
    settings = traitlets.Dict().tag(sync=True)
    alt = traitlets.Unicode("Chart.").tag(sync=True)
    heading = traitlets.Unicode().tag(sync=True)
    caption = traitlets.Unicode().tag(sync=True)
    moment = traitlets.Float(None, allow_none=True).tag(sync=True)

    def __init__(self, chart: altair.TopLevelMixin, **traits: Any) -> None:
        self.data: dict[str, pd.DataFrame] = {}
        super().__init__(runtime=Runtime.shared(), spec=compiled(chart), **traits)

    def show(self, tables: Mapping[str, pd.DataFrame], settings: Mapping[str, Any] | None = None, **texts: str) -> None:
        """Replace data sets, settings and texts; what is not named stays.

        tables    name of a data set -> its rows
        settings  name of a parameter of the chart -> its value
        texts     alt, heading, caption
        raises    `InputError` where the chart has no such data set or parameter
        """
        for what, given, known in (
            ("data set", tables, {one["name"] for one in self.spec["data"] if not {"source", "values"} & one.keys()}),
            ("parameter", settings or {}, {one["name"] for one in self.spec["signals"]}),
        ):
            if unknown := sorted(set(given) - known):
                raise InputError(f"This chart has no {what} {unknown[0]!r}. It has: {', '.join(sorted(known))}.")
        self.data |= tables
        with self.hold_sync():
            self.tables = {**self.tables, **{name: packed(table) for name, table in tables.items()}}
            self.settings = {**self.settings, **(settings or {})}
            for name, text in texts.items():
                setattr(self, name, text)

    def svg(self) -> str:
        """The chart as SVG, with its text as title and description."""
        drawn = vl_convert.vega_to_svg(self._filled(), allowed_base_urls=[])
        text = html.escape(self.alt)
        return re.sub(r"<svg\b", f'<svg role="img" aria-label="{text}"', drawn, count=1).replace(
            ">", f"><desc>{text}</desc>", 1
        )

    def png(self, scale: float = 2.0) -> bytes:
        """The chart as PNG, `scale` pixels for each of the page's, with its text as its description."""
        _fonts()
        about = PngImagePlugin.PngInfo()
        about.add_itxt("Description", self.alt)
        buffer = io.BytesIO()
        drawn = vl_convert.vega_to_png(self._filled(), scale=scale, allowed_base_urls=[])
        few = Image.open(io.BytesIO(drawn)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
        few.save(buffer, "png", pnginfo=about, optimize=True)
        return buffer.getvalue()

    def save(self, stem: str | Path) -> dict[str, Path]:
        """Write `stem`.png, .svg, .txt (the alt text) and .csv (the main table; others as `stem`-name.csv).

        returns  their paths, by suffix or by name of the table
        raises   `OutputError` where a file cannot be written
        """
        stem, main = Path(stem), self.spec["usermeta"]["ebll"]["table"]
        contents = {"png": self.png(), "svg": self.svg().encode(), "txt": f"{self.alt.strip()}\n".encode()}
        files = {kind: stem.with_name(f"{stem.name}.{kind}") for kind in contents}
        for name, table in self.data.items():
            key = "csv" if name == main else name
            contents[key] = table.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()
            files[key] = stem.with_name(f"{stem.name}.csv" if name == main else f"{stem.name}-{name}.csv")
        try:
            stem.parent.mkdir(parents=True, exist_ok=True)
            for kind, path in files.items():
                _write(path, contents[kind])
        except OSError as error:
            raise OutputError(f"Cannot write {stem.name!r} into {str(stem.parent)!r}: {error.strerror}.") from error
        return files

    def _filled(self) -> dict[str, Any]:
        """The Vega specification with data, settings and texts: what the page shows now."""
        spec, reading = copy.deepcopy(self.spec), self.spec["usermeta"]["ebll"]
        times = self.data.get(reading["table"], pd.DataFrame(columns=[reading["time"]]))[reading["time"]]
        values = {**self.settings, "held": self.moment is not None}
        values["at"] = self.moment if self.moment is not None else (times.max() if len(times) else 0)
        values |= {name: textwrap.wrap(getattr(self, name), 125) or [""] for name in ("heading", "caption")}
        for one in spec["signals"]:
            if one["name"] in values:
                one["value"] = _plain(values[one["name"]])
        for one in spec["data"]:
            if one["name"] in self.data:
                rows = self.data[one["name"]]
                one["values"] = rows.astype(object).where(rows.notna(), None).to_dict("records")
        return spec

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        """The widget, and a picture for readers without a kernel."""
        shown = super()._repr_mimebundle_(**kwargs) or {}
        data, metadata = shown if isinstance(shown, tuple) else (shown, {})
        data = {**data, "image/png": base64.b64encode(self.png()).decode("ascii"), "text/plain": self.alt}
        return data, {**metadata, "image/png": {"alt": self.alt}}


def compiled(chart: altair.TopLevelMixin) -> dict[str, Any]:
    """The Vega specification of a chart, whose panels follow the width `available`."""
    spec = chart.to_dict()
    spec["config"] = CONFIG
    made = vl_convert.vegalite_to_vega(spec)
    made.pop("$schema", None)  # an address, and nobody is to ask there
    sizes = made["usermeta"]["ebll"].pop("sizes")
    for one in made["signals"]:
        if one["name"] in sizes:
            del one["value"]
            one["update"] = sizes[one["name"]]
    made["title"]["subtitle"] = {"signal": "caption"}
    _follow(made)
    return made


def _follow(part: dict[str, Any]) -> None:
    """Grids of two columns have as many as `across` says: a signal, which Vega-Lite has no place for."""
    if part.get("layout", {}).get("columns") == 2:
        part["layout"]["columns"] = {"signal": "across"}
    for mark in part.get("marks", ()):
        _follow(mark)


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


@functools.cache
def _fonts() -> None:
    """Letters from matplotlib's own typefaces, so that the static picture is the same on every machine."""
    home = Path(importlib.util.find_spec("matplotlib").origin).parent
    vl_convert.register_font_directory(str(home / "mpl-data" / "fonts" / "ttf"))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _write(path: Path, data: bytes) -> None:
    """Write beside the place and move it there: a reader never meets half a file."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
