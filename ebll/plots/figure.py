"""A figure with its caption, table and alt text: begun and finished, saved, and shown in a notebook."""

from __future__ import annotations

import base64
import html
import io
import math
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from ebll.errors import InputError
from ebll.files import write_files

from .style import SOFT, Style, drawing
from .words import seeds_words, sentences

WIDTH, DPI = 7.0, 144  # inches; 9 points are 14 pixels of a figure that is shown 800 pixels wide


def new_figure(
    table: pd.DataFrame, title: str, note: str, headings: Sequence[str], heights: float | Sequence[float], *,
    columns: int = 1, **shared: object,
) -> tuple[Figure, list[Axes]]:  # fmt: skip
    """Return a Figure of `table` and one Axes under each of `headings`, in rows of `columns`.

    note     which data; with the number of seeds it makes the caption, one sentence
    heights  inches of every row, or of each
    shared   `sharex` and `sharey`, as in `Figure.subplots`

    Title and caption begin the alt text; `describe` adds what is seen.
    """
    seeds = seeds_words(table["seeds"].dropna()) if "seeds" in table else ""
    seeds += " and their mean" if seeds.endswith("seeds") else ""
    caption = sentences("; ".join(part for part in (note.rstrip("."), seeds) if part))
    caption = caption[:1].upper() + caption[1:]
    heights = [heights] * math.ceil(len(headings) / columns) if isinstance(heights, float) else heights
    lines = textwrap.wrap(caption, 100)  # of letters of usual width
    height = sum(heights) + 0.75 + 0.16 * len(lines)
    below = (0.06 + 0.16 * len(lines)) / height  # the share of the caption
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06, rect=(0, below, 1, 1 - below))
    figure.suptitle(title, x=0.01, ha="left", wrap=True)
    figure.text(0.01, 0.04 / height, "\n".join(lines), color=SOFT, va="bottom")
    grid = figure.subplots(len(heights), columns, height_ratios=heights, squeeze=False, **shared).ravel()
    for spare in grid[len(headings) :]:
        spare.remove()
    axes = list(grid[: len(headings)])
    for one, heading in zip(axes, headings, strict=True):
        one.set_title("\n".join(textwrap.fill(line, 75 // columns) for line in heading.splitlines()))
    for one in axes[-columns:]:  # nothing is below it
        one.tick_params(labelbottom=True)
    figure.table = table
    return describe(figure, title, caption), axes


def describe(figure: Figure, *text: str) -> Figure:
    """Add sentences to the alt text."""
    figure.alt = sentences(getattr(figure, "alt", ""), *text)
    return figure


def label(axes: Sequence[Axes], xlabel: str, ylabel: str, *, middle: float = 0.5) -> None:
    """Name the axes of a single panel, or once those of all panels; `middle` of the panels, as a share of the width."""
    single = len(axes) == 1
    for one in axes:
        one.set(xlabel=xlabel if single else "", ylabel=ylabel if single else "")
    if not single:
        figure = axes[0].figure
        engine, line = figure.get_layout_engine(), 0.2 / figure.get_figheight()
        below = engine.get()["rect"][1]
        engine.set(rect=(0, below + line, 1, 1 - below - line))  # a line above the caption
        figure.text(middle, below + 0.3 * line, xlabel, ha="center")
        figure.supylabel(ylabel)


def legend_beside(axes: Axes, styles: Iterable[Style]) -> None:
    """Name lines and marks at the right of a panel."""
    handles = [Line2D([], [], color=s.color, ls=s.line, marker=s.marker, mew=0, label=s.label) for s in styles]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, labelspacing=0.6)


def save(figure: Figure, stem: str | Path) -> dict[str, Path]:
    """Write `stem`.png, .svg, .csv (the table) and .txt (the alt text), each whole or not at all; return their paths.

    figure   any Figure with attributes `table` and `alt`, which those of this package have
    stem     folder and name without suffix; missing folders are made
    """
    stem, table, alt = Path(stem), getattr(figure, "table", None), getattr(figure, "alt", "").strip()
    if not alt or table is None or table.empty:
        raise InputError(f"{stem}: a figure is saved with its table and its alt text. Set figure.table and figure.alt.")
    if stem.name in ("", ".."):
        raise InputError(f"A figure is saved under a name, such as 'figures/forgetting'; got {str(stem)!r}.")
    svg = _render(figure, "svg", metadata={"Date": None, "Creator": None, "Description": alt})
    contents = {
        "png": _render(figure, "png", dpi=200, metadata={"Software": None}),
        "svg": _with_counted_clips(svg),
        "csv": table.to_csv(index=False, float_format="%.6g", lineterminator="\n"),
        "txt": f"{alt}\n",
    }
    paths = {suffix: stem.with_name(f"{stem.name}.{suffix}") for suffix in contents}
    write_files({path: contents[suffix] for suffix, path in paths.items()})
    return paths


def _render(figure: Figure, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    with drawing():
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def _with_counted_clips(svg: bytes) -> bytes:
    """Name clip paths by number: matplotlib hashes their corners, whose last bits the layout leaves to chance."""
    names = dict.fromkeys(re.findall(rb'<clipPath id="(\w+)">', svg))
    for number, name in enumerate(names):
        svg = svg.replace(name, b"clip%d" % number)
    return svg


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG of 256 colours, as notebooks show it."""
    buffer = io.BytesIO()
    with_palette(_render(figure, "png"), 256).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def with_palette(picture: bytes, colors: int) -> Image.Image:
    """A picture from its file, with few colours, which makes a small PNG.

    They are chosen by an octree, which keeps the colours of thin lines; the usual median cut spends nearly all of them
    on large areas.
    """
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    few = image.quantize(colors, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.putpalette([255 if value >= 252 else value for value in few.getpalette()])  # white comes out as 254
    return few


def picture(image: bytes, alt: str) -> dict[str, str]:
    """A PNG by MIME type, as a notebook's output with alt text.

    As HTML, since neither JupyterLab nor nbconvert's default template reads the text of an "image/png" anywhere.
    """
    source = f"data:image/png;base64,{base64.b64encode(image).decode('ascii')}"
    return {"text/html": f'<img alt="{html.escape(alt)}" src="{source}">', "text/plain": alt}


def register(formatter) -> None:
    """Have IPython's display formatter show figures with their alt text, where screen readers look for it."""
    formatter.ipython_display_formatter.for_type(Figure, _show)


def _show(figure: Figure) -> None:
    from IPython.display import display

    alt = getattr(figure, "alt", "")
    if not alt:
        raise NotImplementedError("IPython then shows the figure in its usual way")
    display(picture(png(figure), alt), raw=True)


if "IPython" in sys.modules and (shell := sys.modules["IPython"].get_ipython()) is not None:
    register(shell.display_formatter)
