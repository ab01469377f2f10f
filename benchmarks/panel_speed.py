"""How soon the panels answer in a real browser, and what it costs to watch a run.

    python -m benchmarks.panel_speed        # what `make bench-panels` does; about three minutes

Writes docs/panel-speed.csv and docs/panel-speed.md. It needs a Chromium on this machine, and Playwright
(`pip install -e '.[browser]'`). Measured in JupyterLab, with the clock of the page: from a slider's event to the next
picture that is loaded, from the click on Stop to the words on the status line, from the click on Run to those that it
is done; and in the kernel: a run in the panel, with the page open, against the same run without a panel, in turns.
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

MOVE = """([slider, image, value]) => new Promise(done => {
    const begun = performance.now();
    image.addEventListener('load', () => done(performance.now() - begun), {once: true});
    slider.value = value;
    slider.dispatchEvent(new Event('input', {bubbles: true}));
})"""
UNTIL = """([button, status, word, image]) => new Promise(done => {
    const begun = performance.now(), loads = [];
    const note = () => loads.push(performance.now() - begun);
    image.addEventListener('load', note);
    new MutationObserver((_, watch) => {
        if (!status.textContent.startsWith(word)) return;
        watch.disconnect();
        image.removeEventListener('load', note);
        done([performance.now() - begun, loads]);
    }).observe(status, {childList: true, characterData: true, subtree: true});
    button.click();
})"""
IN_KERNEL = """
import json as _json, time as _time
def _panel():
    begun = _time.perf_counter(); panel.session.start(); panel.wait(); return _time.perf_counter() - begun
def _plain():
    begun = _time.perf_counter(); ebll.live.run(panel.session.config); return _time.perf_counter() - begun
_panel(), _plain()
print("ratios", _json.dumps([(_panel(), _plain()) for _ in range(ROUNDS)]))
""".replace("ROUNDS", str(ROUNDS))


def main() -> None:
    """Measure, and write both files."""
    if lab.chromium() is None:
        raise SystemExit(lab.HOW)
    rows = pd.DataFrame(measured(), columns=["what", "value"])
    rows.to_csv(DOCS / "panel-speed.csv", index=False, float_format="%.4g", lineterminator="\n")
    (DOCS / "panel-speed.md").write_text(page(rows), encoding="utf-8")
    print(page(rows))


def measured():
    """(what, value) of every single measurement."""
    with tempfile.TemporaryDirectory() as folder:
        lab.write_notebook(
            Path(folder) / "panel.ipynb",
            "import ebll\nlesson = ebll.lesson.setup()\npanel = ebll.panels.forgetting_lab()\npanel",
            "explorer = ebll.panels.submanifold_explorer()\nexplorer",
            "maps = ebll.panels.sweep_explorer()\nmaps",
            IN_KERNEL,
        )
        with lab.jupyterlab(folder) as address, lab.browser() as browser:
            page = browser.new_page(viewport={"width": 1400, "height": 1200})
            book = lab.Book(page, address, "panel.ipynb")
            book.run_all(timeout=300)
            said = page.locator(".jp-OutputArea-output", has_text="ratios").inner_text()
            for watched, plain in json.loads(re.search(r"\[\[.*\]\]", said)[0]):
                yield "watched run / unwatched run", watched / plain
            yield from pressed(page, book.panel(0))
            for what, place, name, values in (
                ("slider to changed picture", 0, "alpha α", range(3, 10)),
                ("slider to picture, explorer", 1, "code size", range(3, 10)),
                ("slider to picture, sweep", 2, "alpha α", range(5)),
            ):
                yield from moved(page, book.panel(place), what, name, values)


def pressed(page, panel):
    """Run to done with the pictures meanwhile, and Stop to stopped."""
    status, image = (panel.locator(s).element_handle() for s in ("[role=status]", ".ebll-frame img"))
    run, stop = (panel.get_by_role("button", name=n, exact=True).element_handle() for n in ("Run", "Stop"))
    for _ in range(ROUNDS):
        took, loads = page.evaluate(UNTIL, [run, status, "Done", image])
        yield "default run, Run to done", took / 1000
        yield "pictures while training", 1000 * len(loads) / took
        page.wait_for_timeout(200)
    for i in range(ROUNDS):
        run.click()
        page.wait_for_timeout(120 + 50 * i)
        yield "Stop to stopped", page.evaluate(UNTIL, [stop, status, "Stopped", image])[0]
        page.wait_for_timeout(200)


def moved(page, panel, what, name, values):
    """A slider's event to the next picture, from rest and from place to place among `values`."""
    slider, image = (
        panel.get_by_role("slider", name=name).element_handle(),
        panel.locator(".ebll-frame img").element_handle(),
    )
    for i in range(ROUNDS):
        yield what, page.evaluate(MOVE, [slider, image, values[(i * 2) % len(values)]])
        panel.get_by_role("status").filter(has_text=re.compile("^(Done|Chosen)")).wait_for(timeout=30_000)
        page.wait_for_timeout(300)


def page(rows: pd.DataFrame) -> str:
    """docs/panel-speed.md."""
    lines = [
        "# How soon the panels answer",
        "",
        "Written by `make bench-panels`, that is `python -m benchmarks.panel_speed`; each measurement is in",
        "`docs/panel-speed.csv`. JupyterLab and Chromium on one machine, with the clock of the page; see the top of",
        "`benchmarks/panel_speed.py`. `watched run` is the default run in the panel with the page open, `unwatched`",
        "the same by `ebll.live.run`, in turns: both measure as often, and only one draws. The kernel is set up as in",
        "the course (`ebll.lesson.setup()`).",
        "",
        f"Measured on {platform.machine()}, {lab_facts()}. Median of {ROUNDS}, with the lowest and the highest.",
        "",
        "| what | bar | median (lowest to highest) | |",
        "| --- | --- | --- | --- |",
    ]
    for what, (unit, bar, sense) in BARS.items():
        values = rows.loc[rows["what"] == what, "value"]
        middle = statistics.median(values)
        met = middle >= bar if sense == "at least" else middle <= bar * (1.1 if sense == "about" else 1.0)
        number = (lambda v, bar=bar: f"{v:.2f}") if bar < 10 else (lambda v: f"{v:.0f}")
        spread = f"{number(middle)} ({number(values.min())} to {number(values.max())}) {unit}"
        lines.append(f"| {what} | {sense} {bar:g} {unit} | {spread} | {'met' if met else 'missed'} |")
    return "\n".join(lines) + "\n"


def lab_facts() -> str:
    """Cores and versions, in words."""
    names = ("jupyterlab", "ipykernel", "ipywidgets", "anywidget", "matplotlib", "torch")
    return f"{os.cpu_count()} cores, " + ", ".join(f"{n} {version(n).partition('+')[0]}" for n in names)


if __name__ == "__main__":
    main()
