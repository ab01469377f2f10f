"""What reaches the terminal: text that its encoding can show, wrapped lines, and progress with time left.

This room knows streams and widths; it knows nothing of tasks or methods, and imports neither torch nor pandas.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from typing import Any, TextIO

import click

__all__ = ["Progress", "clock", "facts", "readable", "say", "wrapped"]

# For terminals whose encoding lacks the symbol; the spaced ± keeps the width, and with it the columns of a table.
_PLAIN = {" ± ": "+/-", "±": "+/-", "α": "alpha", "λo": "lambda_o", "λ": "lambda", "θ": "theta", "γ": "gamma"}


def readable(text: str, encoding: str | None) -> str:
    """The text as this encoding can show it: symbols spelled out where it lacks them."""
    encoding = encoding or "utf-8"
    try:
        text.encode(encoding)
        return text
    except UnicodeEncodeError:
        for symbol, words in _PLAIN.items():
            text = text.replace(symbol, words)
        return text.encode(encoding, "replace").decode(encoding)


def say(text: str = "", *, error: bool = False) -> None:
    """Print to stdout, or to stderr."""
    stream = sys.stderr if error else sys.stdout
    click.echo(readable(text, getattr(stream, "encoding", None)), err=error)


def width() -> int:
    """Columns to fill: those of the terminal, at least 60 and at most 100."""
    return max(60, min(100, shutil.get_terminal_size((100, 24)).columns))


def wrapped(text: str, indent: str = "", first: str | None = None) -> str:
    """A paragraph that fits the terminal; `first` starts its first line in place of `indent`."""
    return textwrap.fill(
        text, width(), initial_indent=indent if first is None else first, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def facts(rows: Sequence[tuple[str, str]]) -> str:
    """Names and values in two columns, the values wrapped."""
    wide = 4 + max(len(name) for name, _ in rows)
    return "\n".join(wrapped(value, " " * wide, f"  {name}".ljust(wide)) for name, value in rows)


def clock(seconds: float) -> str:
    """Seconds as 0:07, 12:30 or 1:02:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Progress:
    """How far it is and how long it will still take: a bar on a terminal, elsewhere a line now and then.

    total    how many units there are in all
    unit     what they are called
    every    seconds between two lines where no bar can be drawn
    """

    def __init__(self, total: int, unit: str, *, every: float = 10.0, stream: TextIO | None = None):
        self.total, self.unit, self.every, self.done = total, unit, every, 0
        self._stream = stream or sys.stderr
        self._began = self._told = time.monotonic()
        self._bar: Any = None
        if self._stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=total, unit=f" {unit}", file=self._stream, dynamic_ncols=True, leave=False, smoothing=0.1
            )

    def step(self, note: str = "") -> None:
        """One more unit is done; `note` says which."""
        self.done += 1
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update()
        elif (now := time.monotonic()) - self._told >= self.every:
            self._told, spent = now, now - self._began
            left = clock(spent * (self.total - self.done) / self.done)
            words = f"{self.done} of {self.total} {self.unit} after {clock(spent)}, about {left} left"
            click.echo(readable(words + (f" ({note})" if note else ""), self._stream.encoding), file=self._stream)

    def close(self) -> None:
        """Take the bar away, so that what follows stands on a clean line."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
