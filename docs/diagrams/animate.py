"""The plane as a short animation: `python -m docs.diagrams.animate` writes plane.gif and its text.

Three methods learn blobs after moons; a frame for each moment that was measured.
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from PIL import Image

import ebll

FOLDER = Path(__file__).parent
COLORS = 48
FIRST, EACH, LAST = 1200, 250, 3000  # milliseconds


def main() -> None:
    """Write the animation and its alternative text."""
    whole = ebll.widgets.plane_drawing(ebll.widgets.plane_run())
    marks, frames = whole.data["marks"], []
    for step in sorted(marks["step"].unique()):
        now = replace(whole, data={**whole.data, "marks": marks[marks["step"] == step]}, moment=float(step))
        frames.append(Image.open(io.BytesIO(now.png(scale=1))).convert("RGB"))
    palette = frames[-1].quantize(COLORS)  # one for all, so that what stands still does not flicker
    drawn = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    times = [FIRST, *[EACH] * (len(drawn) - 2), LAST]
    drawn[0].save(FOLDER / "plane.gif", save_all=True, append_images=drawn[1:], duration=times, loop=0, optimize=True)
    (FOLDER / "plane.txt").write_text(f"{whole.alt.strip()}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
