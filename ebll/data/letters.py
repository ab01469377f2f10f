"""Images of the capital letters A-Z, drawn in the typefaces that come with matplotlib."""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

__all__ = ["EACH", "FACES", "LETTERS", "draw_letter", "draw_letters", "typeface"]

LETTERS = tuple(string.ascii_uppercase)
EACH = 200  # images of one letter

# The faces with the plain alphabet; matplotlib's other files hold mathematical signs only, script capitals
# (cmsy10), or a box for every letter (LastResort).
FACES = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmb10", "cmmi10", "cmr10", "cmss10", "cmti10", "cmtt10"),
)

SIDE, FINE = 28, 2  # the picture's side; drawn twice as fine, then averaged
FINE_SIDE = SIDE * FINE
HEIGHT = (11.0, 20.0)  # pixels
SLANT = (-0.25, 0.35)  # sideways pixels a pixel of height; positive leans to the right
SHIFT = 4.0  # pixels off centre at most, in both directions
MARGIN = 1.0  # pixels that stay black around the letter


def draw_letters(fonts: Path, generator: torch.Generator) -> Tensor:
    """`EACH` images of each letter, A to Z, all different: uint8 (n, 1, 28, 28), white on black.

    `fonts` is the folder of the typefaces, which take turns; height, slant and shift are drawn from `generator`.
    """
    faces = [typeface(fonts, name) for name in FACES]
    images: dict[bytes, np.ndarray] = {}
    for letter in LETTERS:
        masters, before = [_ink(face, letter) for face in faces], len(images)
        chances = torch.rand(2 * EACH, 4, generator=generator).tolist()  # more than needed, as some images recur
        while (found := len(images) - before) < EACH:
            image = draw_letter(masters[found % len(masters)], chances.pop())
            images.setdefault(image.tobytes(), image)
    return torch.from_numpy(np.stack(list(images.values()))).unsqueeze(1)


def draw_letter(master: Image.Image, chance: Sequence[float]) -> np.ndarray:
    """`master` (the letter's ink, cut to its bounds) as uint8 (28, 28), never touching the border.

    `chance` holds four numbers in 0..1: height, slant, and the shift to the right and down. A letter too wide
    for the picture is made smaller, and shifts end where the letter would leave it.
    """
    height, slant, right, down = chance
    slant = SLANT[0] + slant * (SLANT[1] - SLANT[0])
    room = FINE_SIDE - 2 * MARGIN * FINE
    full_width = master.width + abs(slant) * master.height
    zoom = FINE * (HEIGHT[0] + height * (HEIGHT[1] - HEIGHT[0])) / master.height
    zoom = min(zoom, room / full_width)
    spare = (room - zoom * full_width) / 2, (room - zoom * master.height) / 2
    x, y = (FINE_SIDE / 2 + (2 * c - 1) * min(SHIFT * FINE, free) for c, free in zip((right, down), spare, strict=True))
    # Pillow wants the way back, from a pixel of the picture to one of the master.
    back = (
        *(1 / zoom, slant / zoom, master.width / 2 - (x + slant * y) / zoom),
        *(0.0, 1 / zoom, master.height / 2 - y / zoom),
    )
    fine = master.transform((FINE_SIDE, FINE_SIDE), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR)
    return np.asarray(fine.reduce(FINE))


def typeface(fonts: Path, name: str) -> ImageFont.FreeTypeFont:
    """One of the `FACES` at 60 pixels an em."""
    # The basic layout gives the same glyph with and without the optional raqm library.
    return ImageFont.truetype(str(fonts / f"{name}.ttf"), size=60, layout_engine=ImageFont.Layout.BASIC)


def _ink(font: ImageFont.FreeTypeFont, letter: str) -> Image.Image:
    """The letter in white on black, cut to its bounds."""
    canvas = Image.new("L", (180, 180))
    ImageDraw.Draw(canvas).text((60, 60), letter, fill=255, font=font)
    return canvas.crop(canvas.getbbox())
