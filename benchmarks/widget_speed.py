"""How soon the widgets answer in a real browser, and what it costs to watch a run.

    python -m benchmarks.widget_speed       # what `make bench-widgets` does; about three minutes

Writes docs/widget-speed.csv and docs/widget-speed.md. It needs a Chromium on this machine, and Playwright
(`pip install -e '.[browser]'`). Measured in JupyterLab, with the clock of the page: from a slider's event to the next
picture, from the click on Stop to the words on the status line, from the click on Run to those that it is done; and in
the kernel: a run in the widget, with the page open, against the same run without one, in turns.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import tempfile
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from tests.browser import lab

DOCS = Path(__file__).parents[1] / "docs"
ROUNDS = 12
BARS = {
    "slider to changed picture": ("ms", 100.0, "at most"),
    "slider to picture, explorer": ("ms", 100.0, "at most"),
    "slider to picture, sweep": ("ms", 100.0, "at most"),
    "Stop to stopped": ("ms", 100.0, "at most"),
    "default run, Run to done": ("s", 1.0, "about"),
    "pictures while training": ("a second", 10.0, "at least"),
    "watched run / unwatched run": ("ratio", 1.05, "at most"),
}

# A chart counts its pictures in `data-drawn`.
MOVE = """([slider, picture, value]) => new Promise(done => {
    const begun = performance.now(), end = () => done(performance.now() - begun);
    const drawn = new MutationObserver(() => { drawn.disconnect(); end(); });
    drawn.observe(picture, {attributeFilter: ['data-drawn']});
    slider.value = value;
    slider.dispatchEvent(new Event('input', {bubbles: true}));
})"""
UNTIL = """([button, status, word, picture]) => new Promise(done => {
    const begun = performance.now(), drawn = [];
    const pictures = new MutationObserver(() => drawn.push(performance.now() - begun));
    pictures.observe(picture, {attributeFilter: ['data-drawn']});
    new MutationObserver((_, watch) => {
        if (!status.textContent.startsWith(word)) return;
        watch.disconnect();
        pictures.disconnect();
        done([performance.now() - begun, drawn]);
    }).observe(status, {childList: true, characterData: true, subtree: true});
    button.click();
})"""
IN_KERNEL = """
import json as _json, time as _time
async def _watched():
    begun = _time.perf_counter(); lab.buttons["run"].click(); await lab.finished(); return _time.perf_counter() - begun
def _plain():
    begun = _time.perf_counter(); ebll.widgets.run(lab.config); return _time.perf_counter() - begun
await _watched(), _plain()
print("ratios", _json.dumps([(await _watched(), _plain()) for _ in range(ROUNDS)]))
""".replace("ROUNDS", str(ROUNDS))


def main() -> None:
    """Measure, and write both files."""
    if lab.chromium() is None:
        raise SystemExit(lab.HOW)
    rows = pd.DataFrame(measured(), columns=["what", "value"])
    rows.to_csv(DOCS / "widget-speed.csv", index=False, float_format="%.4g", lineterminator="\n")
    text = page(rows)
    (DOCS / "widget-speed.md").write_text(text, encoding="utf-8")
    print(text)


def measured():
    """(what, value) of every single measurement."""
    with tempfile.TemporaryDirectory() as folder:
        lab.write_notebook(
            Path(folder) / "widgets.ipynb",
            "import ebll\nlesson = ebll.course.setup()\nlab = ebll.widgets.forgetting_lab()\nlab",
            "explorer = ebll.widgets.submanifold_explorer()\nexplorer",
            "maps = ebll.widgets.sweep_explorer()\nmaps",
            IN_KERNEL,
        )
        with lab.jupyterlab(folder) as address, lab.browser() as browser:
            page = browser.new_page(viewport={"width": 1400, "height": 1200})
            book = lab.Book(page, address, "widgets.ipynb")
            book.run_all(timeout=300)
            said = page.locator(".jp-OutputArea-output", has_text="ratios").inner_text()
            for watched, plain in json.loads(re.search(r"\[\[.*\]\]", said)[0]):
                yield "watched run / unwatched run", watched / plain
            yield from pressed(page, book.widget(0))
            for what, place, name, values in (
                ("slider to changed picture", 0, "alpha α", range(3, 10)),
                ("slider to picture, explorer", 1, "code size", range(3, 10)),
                ("slider to picture, sweep", 2, "alpha α", range(5)),
            ):
                yield from moved(page, book.widget(place), what, name, values)


def pressed(page, widget):
    """Run to done with the pictures meanwhile, and Stop to stopped."""
    status, picture = (widget.locator(s).element_handle() for s in ("[role=status]", ".ebll-plot"))
    run, stop = (widget.get_by_role("button", name=n, exact=True).element_handle() for n in ("Run", "Stop"))
    for _ in range(ROUNDS):
        took, drawn = page.evaluate(UNTIL, [run, status, "Done", picture])
        yield "default run, Run to done", took / 1000
        yield "pictures while training", 1000 * len(drawn) / took
        page.wait_for_timeout(200)
    for i in range(ROUNDS):
        run.click()
        page.wait_for_timeout(120 + 50 * i)
        yield "Stop to stopped", page.evaluate(UNTIL, [stop, status, "Stopped", picture])[0]
        page.wait_for_timeout(200)


def moved(page, widget, what, name, values):
    """A slider's event to the next picture, from rest and from place to place among `values`."""
    slider, picture = (
        widget.get_by_role("slider", name=name).element_handle(),
        widget.locator(".ebll-plot, .ebll-sweep .plot").first.element_handle(),
    )
    for i in range(ROUNDS):
        yield what, page.evaluate(MOVE, [slider, picture, values[(i * 2) % len(values)]])
        widget.get_by_role("status").filter(has_text=re.compile("^(Done|EBLL with)")).wait_for(timeout=30_000)
        page.wait_for_timeout(300)


def page(rows: pd.DataFrame) -> str:
    """docs/widget-speed.md."""
    lines = [
        "# How soon the widgets answer",
        "",
        "Written by `make bench-widgets`, that is `python -m benchmarks.widget_speed`; each measurement is in",
        "`docs/widget-speed.csv`. JupyterLab and Chromium on one machine, with the clock of the page; see the top of",
        "`benchmarks/widget_speed.py`. `watched run` is the default run in the widget with the page open, `unwatched`",
        "the same by `ebll.widgets.run`, in turns: both measure as often, and only one sends pictures. The kernel is",
        "set up as in the course (`ebll.course.setup()`).",
        "",
        f"Measured on {platform.machine()}, {lab_facts()}. Median of {ROUNDS}, with the lowest and the highest.",
        "",
        "| what | bar | median (lowest to highest) | |",
        "| --- | --- | --- | --- |",
    ]
    for what, (unit, bar, sense) in BARS.items():
        told, middle = spread(rows, what, bar, unit)
        met = middle >= bar if sense == "at least" else middle <= bar * (1.1 if sense == "about" else 1.0)
        lines.append(f"| {what} | {sense} {bar:g} {unit} | {told} | {'met' if met else 'missed'} |")
    return "\n".join(lines) + "\n"


def spread(rows: pd.DataFrame, what: str, bar: float, unit: str) -> tuple[str, float]:
    """The median with its spread in words, and the median."""
    values = rows.loc[rows["what"] == what, "value"]
    middle, digits = statistics.median(values), 2 if bar < 10 else 0
    return f"{middle:.{digits}f} ({values.min():.{digits}f} to {values.max():.{digits}f}) {unit}", middle


def lab_facts() -> str:
    """Cores and versions, in words."""
    names = ("jupyterlab", "ipykernel", "ipywidgets", "anywidget", "torch")
    return f"{os.cpu_count()} cores, " + ", ".join(f"{n} {version(n).partition('+')[0]}" for n in names)


if __name__ == "__main__":
    main()
