"""How soon the lab in the page answers, in a Chromium, with the clock of the page.

    python -m benchmarks.web_speed                    # writes the section "speed" of docs/web.md
    python -m benchmarks.web_speed --against lab.js   # with another lab.js beside it, in turns; writes nothing

From a slider's event: until the panels are drawn anew, until the table has values of all methods of the new run, until
it has those of a later step than 0, and until the run is done.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import tempfile
from pathlib import Path

import pandas as pd

import ebll
from benchmarks.section import write_section
from benchmarks.web_regime import DOCS
from ebll.reproduce.report import markdown
from tests.browser import lab

WHAT = {
    "picture": "panels drawn anew", "values": "values of all methods, bar 50 ms",
    "dragged": "the same, after a drag of 2 s", "beyond": "values of a later step than 0",
    "done": "end of the run, bar 1500 ms",
}  # fmt: skip
# Alpha leaves the warm-up as it was; the first time that a learning rate is chosen it needs one of its own.
SLIDERS = ("alpha α", "learning rate")
IDLE = "document.querySelector('[role=status]').textContent.includes('are done')"
MOVE = """([slider, value]) => new Promise(done => {
    const begun = performance.now(), took = {}, get = selector => document.querySelector(selector);
    const before = get('.values').dataset.run;
    const seen = new MutationObserver(() => {
        const now = performance.now() - begun, whole = get('.values').dataset.run !== before;
        took.picture ??= now;
        if (whole) took.values ??= now;
        if (whole && !get('caption').textContent.startsWith('Step 0 ')) took.beyond ??= now;
        if (!get('[role=status]').textContent.includes('are done')) return;
        seen.disconnect();
        done({...took, done: now});
    });
    for (const place of ['.panels', '.values']) seen.observe(get(place), {childList: true, subtree: true});
    slider.value = value;
    slider.dispatchEvent(new Event('input', {bubbles: true}));
})"""
# A slider that is dragged for two seconds: what was begun meanwhile must not keep the last run waiting.
DRAG = """async ([slider]) => {
    for (let i = 0; i < 100; i++) {
        slider.value = i % 9 + 1;
        slider.dispatchEvent(new Event('input', {bubbles: true}));
        await new Promise(done => setTimeout(done, 20));
    }
}"""
TEXT = """## How soon it answers

Written by `python -m benchmarks.web_speed`: ms from a slider's event, median and lowest to highest of {rounds} moves. A
run is 152 steps of each of the four methods. On {machine}, {cores} cores, load of the minute before {load:.1f}.

{table}"""


def main() -> None:
    """Measure; print the table, and write it unless another lab.js was measured too."""
    arguments = argparse.ArgumentParser("python -m benchmarks.web_speed", description=__doc__.partition("\n")[0])
    arguments.add_argument("--against", type=Path, help="another lab.js")
    arguments.add_argument("--rounds", type=int, default=8, help="moves of each slider (default: 8)")
    given = arguments.parse_args()
    if lab.chromium() is None:
        raise SystemExit(lab.HOW)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        pages = {"this": ebll.web.write_page(Path(folder) / "this.html")}
        if given.against:
            mine = Path(ebll.web.__file__).with_name("lab.js")
            old, new = (path.read_text("utf-8").partition("\nexport default")[0] for path in (given.against, mine))
            pages["other"] = Path(folder) / "other.html"
            pages["other"].write_text(pages["this"].read_text("utf-8").replace(new, old), "utf-8")
        rows = measured(pages, given.rounds)
    table = markdown(rows.groupby(["what", "case"], sort=False)["ms"].apply(spread).unstack(), "until")
    print(table)
    if not given.against:
        facts = {"machine": platform.machine(), "cores": os.cpu_count(), "load": load, "rounds": given.rounds}
        write_section(DOCS / "web.md", "speed", TEXT.format(table=table, **facts))


def measured(files: dict[str, Path], rounds: int) -> pd.DataFrame:
    """A row for each page, slider, move and thing that was waited for: case, what, ms."""
    found = []
    with lab.browser() as browser:
        pages = {name: browser.new_page(viewport={"width": 1300, "height": 1000}) for name in files}
        for name, page in pages.items():
            page.goto(files[name].as_uri())
            page.wait_for_function(IDLE)
        for i, (slider, (name, page)) in itertools.product(range(rounds), itertools.product(SLIDERS, pages.items())):
            page.bring_to_front()
            page.wait_for_timeout(200)
            handle = page.get_by_label(slider).element_handle()
            page.evaluate(DRAG, [handle])
            dragged = page.evaluate(MOVE, [handle, (i + 4) % 9 + 1])["values"]
            took = page.evaluate(MOVE, [handle, i % 9 + 1]) | {"dragged": dragged}
            case = slider if len(pages) == 1 else f"{slider}, {name}"
            found += [(case, words, took[key]) for key, words in WHAT.items()]
    return pd.DataFrame(found, columns=["case", "what", "ms"])


def spread(ms: pd.Series) -> str:
    """Median with lowest and highest."""
    return f"{ms.median():.0f} ({ms.min():.0f} to {ms.max():.0f})"


if __name__ == "__main__":
    main()
