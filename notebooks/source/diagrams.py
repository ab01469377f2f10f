"""Put the diagrams of docs/diagrams into notebooks: `{{diagram:NAME}}` in a Markdown cell stands for one.

A cell carries its diagram as an attachment, so that it is seen wherever the notebook goes: in JupyterLab, on GitHub, in
a handout, in nbconvert's HTML. It is a PNG made of the light version, since JupyterLab shows no other kind of
attachment but pixels; its text alternative is that of the diagram.
"""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import matplotlib
import vl_convert
from nbformat import NotebookNode

from ebll.plots.figure import with_palette

__all__ = ["attach", "png"]

FOLDER = Path(__file__).parents[2] / "docs" / "diagrams"
MARK = re.compile(r"\{\{diagram:([^}]*)\}\}")
SCALE, COLORS = 1.5, 64  # pixels for each of the diagram's


def attach(notebook: NotebookNode) -> NotebookNode:
    """The notebook, its Markdown cells with the diagrams that they name.

    raises  `ValueError` for a name of which there is no diagram
    """
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (names := MARK.findall(cell.source)):
            cell.source = MARK.sub(lambda found: f"![{_text(found[1])}](attachment:{found[1]}.png)", cell.source)
            cell.attachments = {f"{name}.png": {"image/png": base64.b64encode(png(name)).decode()} for name in names}
    return notebook


def _text(name: str) -> str:
    """A diagram's text, as Markdown that stands for just this text."""
    known = sorted(path.stem.removesuffix("-light") for path in FOLDER.glob("*-light.svg"))
    if name not in known:
        raise ValueError(f"There is no diagram {name!r}; there are: {', '.join(known)}.")
    return re.sub(r"([\\*_\[\]<>`$&~])", r"\\\1", (FOLDER / f"{name}.txt").read_text(encoding="utf-8").strip())


def png(name: str) -> bytes:
    """A diagram's light version in few colours, which makes a small file."""
    vl_convert.register_font_directory(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf"))
    svg = (FOLDER / f"{name}-light.svg").read_text(encoding="utf-8")
    buffer = io.BytesIO()
    with_palette(vl_convert.svg_to_png(svg, scale=SCALE), COLORS).save(buffer, "png", optimize=True)
    return buffer.getvalue()
