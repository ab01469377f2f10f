"""Capital letters A-Z, drawn in the typefaces that come with matplotlib."""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from ebll.data.catalog import TASKS
from ebll.data.splits import seeded, stratified_split
from ebll.data.task import Task

__all__ = ["FACES", "draw_letter", "load_letters"]

SEED = 0
LETTERS = tuple(string.ascii_uppercase)
EACH, TEST_EACH = 200, 40  # images of one letter, and how many of them are for test

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


def load_letters(**words: object) -> Task:
    """5,200 drawn capitals, 200 a letter: (n, 1, 28, 28), white on black, 0 to 1 before standardising.

    160 of each letter for training and validation, 40 for test; face, size, slant and shift are drawn by a fixed
    seed, and no image occurs twice. Another release of Pillow or FreeType may move single grey values.
    `words` go to `Task.from_tensors`.
    """
    generator, seen, fonts = seeded(SEED), set(), _fonts()
    images = []
    for letter in LETTERS:
        images += _distinct([_ink(font, letter) for font in fonts], generator, seen)
    inputs = torch.from_numpy(np.stack(images)).unsqueeze(1)
    labels = torch.arange(len(LETTERS)).repeat_interleave(EACH)
    held_out = TEST_EACH * len(LETTERS)
    kept, held = stratified_split(labels, held_out, generator, classes=LETTERS, what="a test set")
    pairs = {"train": (inputs[kept], labels[kept]), "test": (inputs[held], labels[held])}
    return Task.from_tensors("letters", **pairs, classes=LETTERS, seed=SEED, **words)


def _distinct(masters: list[Image.Image], generator: torch.Generator, seen: set[bytes]) -> Iterator[np.ndarray]:
    """`EACH` images of one letter, the faces in turn, none of them in `seen` already."""
    chances = torch.rand(2 * EACH, 4, generator=generator).tolist()  # twice as many as needed: some images recur
    found = 0
    while found < EACH:
        image = draw_letter(masters[found % len(masters)], chances.pop())
        if (key := image.tobytes()) not in seen:
            seen.add(key)
            found += 1
            yield image


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


def _fonts() -> list[ImageFont.FreeTypeFont]:
    """All faces at 60 pixels an em."""
    (sans,) = TASKS["letters"].files()
    files = [sans.with_name(f"{face}.ttf") for face in FACES]
    # The basic layout gives the same glyph with and without the optional raqm library.
    return [ImageFont.truetype(str(f), size=60, layout_engine=ImageFont.Layout.BASIC) for f in files]


def _ink(font: ImageFont.FreeTypeFont, letter: str) -> Image.Image:
    """The letter in white on black, cut to its bounds."""
    canvas = Image.new("L", (180, 180))
    ImageDraw.Draw(canvas).text((60, 60), letter, fill=255, font=font)
    return canvas.crop(canvas.getbbox())
