"""What reaches the terminal: text that its encoding can show, wrapped lines, and progress with time left."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from typing import Any, TextIO

import click

__all__ = ["Progress", "clock", "facts", "readable", "say", "wrapped"]

FIRST = 0.5  # seconds until the first line of progress that has begun already

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
    share    of the work that was done before, at a pace that says nothing of the rest; then the first line comes soon,
             and the mean pace counts, as work is known to be uneven
    """

    def __init__(self, total: int, unit: str, *, every: float = 10.0, share: float = 0.0, stream: TextIO | None = None):
        self.total, self.unit, self.every, self.done, self.share = total, unit, every, 0, share
        self._stream = stream or sys.stderr
        self._began, self._before = time.monotonic(), share
        self._next = self._began + (min(every, FIRST) if share else every)
        self._bar: Any = None
        if self._stream.isatty():
            from tqdm import tqdm

            form = "{percentage:3.0f}%|{bar}| {desc} [{elapsed}<{remaining}{postfix}]"
            self._bar = tqdm(
                desc=f"0/{total} {unit}", total=1.0, initial=share, file=self._stream, dynamic_ncols=True, leave=False,
                smoothing=0 if share else 0.1, bar_format=form,
            )  # fmt: skip

    def step(self, note: str = "") -> None:
        """One more unit is done; `note` says which."""
        self.at(self.done + 1, note)

    def at(self, done: int, note: str = "", share: float | None = None) -> None:
        """So many units are done, and with them a share of the work: `done` of `total`, unless units cost unlike."""
        self.done, self.share = done, max(self.share, done / self.total if share is None else share)
        if self._bar is not None:
            self._bar.set_description_str(f"{done}/{self.total} {self.unit}", refresh=False)
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(self.share - self._bar.n)
        elif (now := time.monotonic()) >= self._next and self.share > self._before:
            self._next, spent = now + self.every, now - self._began
            left = clock(spent * (1 - self.share) / (self.share - self._before))
            words = f"{done} of {self.total} {self.unit} after {clock(spent)}, about {left} left"
            click.echo(readable(words + (f" ({note})" if note else ""), self._stream.encoding), file=self._stream)

    def close(self) -> None:
        """Take the bar away, so that what follows stands on a clean line."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
