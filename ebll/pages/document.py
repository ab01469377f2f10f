"""The page as one text: its parts in a frame, with the content of a sweep between them.

The same sweep gives the same text to the last letter: no date, no path, nothing of this machine.
"""

from __future__ import annotations

import functools
import html
import json
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ebll.pages import charts
from ebll.pages.content import MOST_STEPS, content, kinds_of
from ebll.sweeps.indexed import SweepIndex

__all__ = ["TITLE", "document"]

TITLE = "What is kept of an old task, setting by setting"
FRONT = Path(__file__).parent / "front"


def document(index: SweepIndex, title: str = TITLE, source: str = "a sweep") -> str:
    """The whole page as HTML.

    title   headline of the page, and of its tab
    source  what the runs are, in words
    raises  `InputError` where there is nothing to show, or too much
    """
    held = content(index)
    held["kinds"] = {name: {"label": look.label, **charts.drawn(look)} for name, look in kinds_of(index).items()}
    held["charts"] = charts.charts()
    return _filled(
        _front("page.html"),
        {
            "title": html.escape(title),
            "version": version("ebll"),
            "lead": html.escape(_lead(held, source)),
            "about": _items(_about(held, source)),
            "css": _front("page.css"),
            "licences": _front("licences.txt"),
            "runtime": _runtime(),
            "content": _json(held),
            "script": "(() => {\n'use strict';\n" + _front("views.js") + "\n" + _front("page.js") + "\n})();",
        },
    )


def _front(name: str) -> str:
    return (FRONT / name).read_text(encoding="utf-8").strip()


@functools.cache
def _runtime() -> str:
    return charts.runtime().replace("</script", "<\\/script")


def _filled(frame: str, parts: Mapping[str, str]) -> str:
    """The frame with its places filled, in one pass: what a part says is not a place."""
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], frame) + "\n"


def _json(value: Any) -> str:
    """JSON that may stand between the tags of a script."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _items(sentences: Iterable[str]) -> str:
    return "\n".join(f"        <li>{html.escape(sentence)}</li>" for sentence in sentences)


def _lead(held: Mapping[str, Any], source: str) -> str:
    open_runs = held["planned"] - held["runs"]
    unfinished = f" {open_runs:,} more are not done yet." if open_runs > 0 else ""
    return (
        "A network that has learned one task learns another. What does it keep? Every setting below was trained "
        f"beforehand, so nothing is awaited and nothing is interpolated: {_counted(held['runs'], 'run')} of {source}, "
        f"{_counted(held['seeds'], 'seed')}, by ebll {version('ebll')}.{unfinished}"
    )


def _about(held: Mapping[str, Any], source: str) -> list[str]:
    """What a reader should know who wants to use the numbers."""
    pairs = ", ".join(task["name"] for task in held["tasks"])
    failed = f"; {held['failed']:,} of them failed (diverged, or could not begin)" if held["failed"] else ""
    thinned = f"Curves show {MOST_STEPS} of their measurements, evenly spread." if held["thinned"] else ""
    return [
        f"Data: {_counted(held['runs'], 'run')} of {source}{failed}. Tasks in the order learned: {pairs}. Images come "
        "in training, validation and test parts; the page shows one of the latter two.",
        *(_constant(method) for method in held["methods"] if method["constant"]),
        "Accuracy: share of images that are classified right, after the last task. Forgetting: the best accuracy of an "
        "old task before a training, minus that at the end. On validation images it is measured on those of the "
        "curves, a few hundred a task at most.",
        "± is one standard deviation over the seeds. With few seeds, neighbouring cells often differ by less. "
        + thinned,
        "LwF and fine-tuning stand beside the chosen cell where the sweep has them with the same settings.",
        "Keys: Tab goes from control to control; arrow keys, Home and End move a slider.",
        "The address of this page holds the settings after its #: bookmark it, or send it, to come back to them.",
        "Method: Rannen Triki, Aljundi, Blaschko, Tuytelaars, Encoder Based Lifelong Learning, ICCV 2017. The numbers "
        f"are those of the kit ebll {version('ebll')}, not the paper's.",
        "Everything is in this one file; it asks the network for nothing. Charts: Vega, built with Altair; notices of "
        "its authors stand in the file's source.",
    ]


def _constant(method: Mapping[str, Any]) -> str:
    told = ", ".join(f"{name} {value}" for name, value in method["constant"].items())
    return f"The same in all runs of {method['label']}: {told}."


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
