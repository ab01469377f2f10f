"""Text measured in inches, wrapped and shortened."""

from __future__ import annotations

import functools

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from .style import FONT, SMALL

__all__ = ["LINE", "shorten", "text_width", "wrap"]

LINE = 1.25 / 72  # height of a line of text in inches, for each point of its size


@functools.lru_cache(maxsize=4096)
def text_width(text: str, size: float = SMALL, weight: str = "normal") -> float:
    """Return the width of one line of text in inches."""
    font = FontProperties(family=FONT, size=size, weight=weight)
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 72


def wrap(text: str, width: float, size: float = SMALL, weight: str = "normal") -> str:
    """Break text between words into lines of at most `width` inches; a longer word keeps a line of its own."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size, weight) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def shorten(text: str, width: float, size: float = SMALL) -> str:
    """Return text of at most `width` inches: the end of a longer one becomes an ellipsis."""
    if text_width(text, size) <= width:
        return text
    fits = [cut for cut in range(1, len(text)) if text_width(f"{text[:cut]}…", size) <= width]
    return f"{text[: max(fits, default=1)]}…"
