"""A sweep as one HTML file that needs neither a kernel nor the network: for a course site, or a memory stick.

    ebll.sweeps.export("page.html")                   # the sweep that comes with the kit
    ebll.sweeps.export("page.html", "out/alphas")     # what `ebll sweep alphas.toml` left

The same sweep gives the same text to the last letter: no date, no path, nothing of this machine.
"""

from __future__ import annotations

import functools
import html
import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ebll.errors import InputError, expanded
from ebll.files import write_files
from ebll.sweeps.explorer import front
from ebll.sweeps.maps import Maps, maps_of
from ebll.sweeps.sweep import plain
from ebll.sweeps.view import content
from ebll.widgets.chart import spec_of

__all__ = ["document", "export", "vega"]

TITLE = "What is kept of an old task, setting by setting"


def export(path: str | Path, sweep: Any = None, title: str = "") -> Path:
    """Write a page that shows a sweep without a kernel, from disk or from any web server, and needs no network.

    path     the file, which ends in .html; one that is there is replaced, and missing folders are made
    sweep    a `Sweep` or its tables; a folder: a store, or the output of `ebll sweep` that holds one; None for the
             precomputed sweep
    title    headline of the page
    returns  the file
    raises   `InputError` where there is no sweep, or nothing in it to show; `OutputError` where the file cannot be
             written
    """
    if not isinstance(path, str | Path) or Path(path).suffix.lower() not in (".html", ".htm"):
        raise InputError(f"A page is written to a file that ends in .html, such as 'page.html'; got {str(path)!r}.")
    path = expanded(path, "The page")
    source = "the sweep that comes with the kit" if sweep is None else "a sweep"
    data = document(maps_of(sweep), title.strip() or TITLE, source).encode(errors="replace")
    write_files({path: data})
    return path


def document(maps: Maps, title: str = TITLE, source: str = "a sweep") -> str:
    """The whole page as HTML: `front/page.html` with its places filled.

    raises  `InputError` where no run has ended
    """
    runs, failed, held = len(maps.runs), int((maps.runs["failure"] != "").sum()), content(maps)
    missing = maps.planned - runs
    if runs == failed:
        first = next(iter(maps.runs["failure"]), "")
        told = f"all {runs} runs failed, the first with: {first}" if runs else "no run is done yet"
        raise InputError(f"There is nothing to show: {told}")
    same = [
        f"The same in all runs of {method['label']}: "
        f"{', '.join(f'{name} {plain(value)}' for name, value in method['constant'].items())}."
        for method in held["methods"].values()
    ]
    inside = json.dumps({"content": held, "spec": spec_of("sweep")}, ensure_ascii=False, separators=(",", ":"))
    texts = {
        "title": title, "version": version("ebll"), "source": source, "runs": f"{runs:,}", "failed": f"{failed:,}",
        "seeds": str(maps.runs["seed"].nunique()), "missing": f" {missing:,} more are not done yet." if missing else "",
        "tasks": ", ".join(maps.tasks),
    }  # fmt: skip
    parts = {name: html.escape(text) for name, text in texts.items()} | {
        "same": "\n".join(f"    <li>{html.escape(sentence)}</li>" for sentence in same),
        "css": front("explorer.css"),
        "licences": front("licences.txt"),
        "runtime": vega(),
        "content": inside.replace("<", "\\u003c"),  # so that it may stand between the tags of a script
        "script": front("explorer.js"),
    }
    # In one pass: what a part says is not a place.
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], front("page.html")) + "\n"


@functools.cache
def vega() -> str:
    """The JavaScript of Vega as a plain script: it sets `window.vegaEmbed`, and asks the network for nothing."""
    import vl_convert  # here, as it brings a JavaScript engine

    # The bundle is a module; as a plain script its thousand names would be global.
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return f"(() => {{\n{bundle}\n}})();".replace("</script", "<\\/script")
