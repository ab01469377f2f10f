"""Three ways to show a run while it trains, on the same content: which one should the widgets use?

    python -m benchmarks.chart_trial        # about four minutes; writes docs/charts.csv and the table in docs/charts.md

Measured in JupyterLab and a headless Chromium: altair.JupyterChart (offline), the chart of `ebll.widgets`, and
matplotlib's blitted picture in an image widget. Content: four panels, five methods. The rounds take turns.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks.panel_speed import lab_facts
from tests.browser import lab

DOCS = Path(__file__).parents[1] / "docs"
ROUNDS = 30
KINDS = {
    "jupyter": "altair.JupyterChart, offline",
    "chart": "a view of our own on Vega",
    "matplotlib": "matplotlib, blitted, as JPEG",
}
WHAT = {
    "latency": ("event to changed picture, ms", "{:.0f}"),
    "cpu": ("kernel's processor time a picture, ms", "{:.1f}"),
    "bytes": ("bytes to the page a picture, kB", "{:.0f}"),
    "pictures": ("pictures a second while it trains", "{:.1f}"),
    "watched": ("watched run / unwatched run", "{:.2f}"),
    "opening": ("bytes to the page for a chart: the first, kB", "{:.0f}"),
    "second": ("bytes to the page for a chart: a second, kB", "{:.0f}"),
}
KERNEL = r"""
import asyncio, json, time
import altair, ipywidgets, numpy as np, pandas as pd, torch
from ebll.figures import lab as before
from ebll.figures.live import LivePlot
from ebll.panels.widgets import View
from ebll.widgets import Chart, lab_chart, lab_tables
from ebll.widgets.look import CONFIG

METHODS = ["finetune", "lwf", "ewc", "ebll", "ebll-separate"]
TERMS = ["loss_task", "loss_distill", "loss_code", "loss_penalty"]
STEPS = 1000
torch.set_num_threads(1)
noise = np.random.default_rng(0)

def record(points):
    "method -> rows as the recorder makes them"
    made = {}
    for place, method in enumerate(METHODS):
        wave = noise.uniform(0.5, 1.0, (points, 7))
        steps = np.linspace(0, STEPS, points).astype(int)
        made[method] = [
            {"step": int(step), "feature_distance": (place + 1) * row[0] * (1 + step / 200), "accuracy": row[1],
             "accuracy_new": row[2], **dict(zip(TERMS, row[3:].tolist()))}
            for step, row in zip(steps, wave)
        ]
    return made

def tables(rows):
    columns = ["step", "feature_distance", "accuracy", "accuracy_new", *TERMS]
    table = pd.DataFrame({name: [row[name] for part in rows.values() for row in part] for name in columns})
    table["method"] = np.repeat(list(rows), [len(part) for part in rows.values()])
    return lab_tables(table, terms_of="ebll", steps=STEPS)

class OfJupyter:
    def __init__(self):
        altair.JupyterChart.enable_offline()
        spec = lab_chart("letters", "mnist", METHODS).to_dict()
        self.spec = {**spec, "config": CONFIG}
        self.widget = altair.JupyterChart(altair.Chart(altair.InlineData([{}])).mark_point())
        self.show(record(30))
    def show(self, rows):
        data, settings = tables(rows)
        values = {**settings, "at": STEPS}
        params = [one | {"value": values[one["name"]]} if one["name"] in values else one for one in self.spec["params"]]
        sets = {name: one.astype(object).where(one.notna(), None).to_dict("records") for name, one in data.items()}
        self.widget.spec = {**self.spec, "params": params, "datasets": sets}

class OfOurs:
    def __init__(self):
        self.widget = Chart(lab_chart("letters", "mnist", METHODS))
        self.show(record(30))
    def show(self, rows):
        self.widget.show(*tables(rows))

class OfMatplotlib:
    def __init__(self):
        self.widget = View()
        self.plot = LivePlot(before.lab_panels("letters", "mnist", "ebll"), STEPS, "optimiser step")
        self.show(record(30))
    def show(self, rows):
        traces = before.lab_traces(rows, terms_of="ebll")
        self.widget.show(self.plot.frame(traces, legend=before.lab_legend(METHODS), quick=True))

makers = {"jupyter": OfJupyter, "chart": OfOurs, "matplotlib": OfMatplotlib}
ways = {}
def button(name, act):
    made = ipywidgets.Button(description=name)
    made.on_click(lambda _: act())
    return made
"""
WAY = """
def more():
    ways["KIND"].show(record(30))
ways["KIND"] = makers["KIND"]()
ipywidgets.VBox([button("KIND once", more), ways["KIND"].widget])
"""
SECOND = """
second = makers["KIND"]()
ipywidgets.VBox([second.widget])
"""
CPU = """
async def spent(kind, count=20):
    rows = [record(30) for _ in range(count)]
    await asyncio.sleep(0.5)
    begun = time.process_time()
    for one in rows:
        ways[kind].show(one)
        await asyncio.sleep(0.05)  # what sends the message has its turn
    both = time.process_time() - begun
    begun = time.process_time()
    for one in rows:
        await asyncio.sleep(0.05)
    return 1000 * (both - (time.process_time() - begun)) / count
print("cpu", json.dumps({kind: [await spent(kind) for _ in range(5)] for kind in ways}))
"""
TRAIN = """
from torch.nn import Linear, ReLU
net = torch.nn.Sequential(Linear(784, 256), ReLU(), Linear(256, 256), ReLU(), Linear(256, 26))
inputs, labels = torch.rand(64, 784), torch.randint(0, 26, (64,))
descent = torch.optim.SGD(net.parameters(), lr=0.01)
async def train(kind, steps=2000, every=0.06):
    "Seconds for so many steps, with a picture every `every` seconds, and turns of the event loop every 10 ms."
    kept = record(150)
    begun = shown = turned = time.perf_counter()
    for step in range(steps):
        descent.zero_grad()
        torch.nn.functional.cross_entropy(net(inputs), labels).backward()
        descent.step()
        now = time.perf_counter()
        if now - turned > 0.01:
            for _ in range(8):
                await asyncio.sleep(0)
            turned = time.perf_counter()
        if kind and now - shown > every:
            upto = max(2, 150 * step // steps)
            ways[kind].show({method: rows[:upto] for method, rows in kept.items()})
            shown = now
    return time.perf_counter() - begun
async def trained(kind):
    return await train(kind)
"""
RUN = """
print("run", json.dumps([KIND, await trained(KIND)]))
"""
WATCH = """
window.drawn = {}; window.stamps = {};
window.watch = (kind, root) => {
  const note = () => { (window.stamps[kind] ??= []).push(performance.now()); };
  window.stamps[kind] = [];
  if (kind === "matplotlib") root.querySelector(".ebll-frame img").addEventListener("load", note);
  else new MutationObserver((changes) => {
    const done = kind === "chart" ? changes.some((c) => c.attributeName === "data-drawn")
      : changes.some((c) => [...c.addedNodes].some((n) => n.nodeName === "DETAILS"));
    if (done) note();
  }).observe(root, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-drawn"] });
};
window.once = (kind, button) => new Promise((done) => {
  const begun = performance.now(), seen = window.stamps[kind].length;
  button.click();
  const look = () => {
    const all = window.stamps[kind];
    if (all.length > seen) done(all[seen] - begun); else setTimeout(look, 1);
  };
  look();
});
"""


def main() -> None:
    """Measure, and write both files."""
    if lab.chromium() is None:
        raise SystemExit(lab.HOW)
    rows = pd.DataFrame(measured(), columns=["what", "kind", "value"])
    rows.to_csv(DOCS / "charts.csv", index=False, float_format="%.4g", lineterminator="\n")
    page = (DOCS / "charts.md").read_text(encoding="utf-8")
    place = re.compile(r"<!-- trial -->.*<!-- /trial -->", re.S)
    made = place.sub(lambda _: f"<!-- trial -->\n{table(rows)}\n<!-- /trial -->", page)
    (DOCS / "charts.md").write_text(made, encoding="utf-8")
    print(table(rows))


def measured():
    """(what, kind, value) of every single measurement."""
    kinds = list(KINDS)
    order = [kind for i in range(5) for one in [*kinds[i % 3 :], *kinds[: i % 3]] for kind in ("", one)]
    with tempfile.TemporaryDirectory() as folder:
        cells = [KERNEL, *(cell.replace("KIND", kind) for cell in (WAY, SECOND) for kind in kinds)]
        cells += [CPU, TRAIN, *(RUN.replace("KIND", repr(kind)) for kind in order)]
        lab.write_notebook(Path(folder) / "trial.ipynb", *cells)
        with lab.jupyterlab(folder) as address, lab.browser() as browser:
            page = browser.new_page(viewport={"width": 1300, "height": 1200})
            received = []
            page.on("websocket", lambda socket: socket.on("framereceived", lambda data: received.append(len(data))))
            book = lab.Book(page, address, "trial.ipynb")
            step = Steps(page, received)
            step.run()
            for what in ("opening", "second"):
                for kind in kinds:
                    yield what, kind, step.run(wait=3000) / 1000
            page.evaluate(f"() => {{ {WATCH} }}")
            buttons = {kind: page.get_by_role("button", name=f"{kind} once").element_handle() for kind in kinds}
            for kind in kinds:
                root = page.locator(".jp-OutputArea-child", has=page.get_by_role("button", name=f"{kind} once")).last
                page.evaluate("([kind, root]) => window.watch(kind, root)", [kind, root.element_handle()])
            for _ in range(ROUNDS):
                for kind in kinds:
                    before = sum(received)
                    took = page.evaluate("([kind, button]) => window.once(kind, button)", [kind, buttons[kind]])
                    yield "latency", kind, took
                    page.wait_for_timeout(250)
                    yield "bytes", kind, (sum(received) - before) / 1000
            step.run(wait=500)
            for kind, values in json.loads(re.search(r"\{.*\}", step.output("cpu"))[0]).items():
                yield from (("cpu", kind, value) for value in values)
            step.run(wait=500)
            plain = None
            for kind in order:
                counts = {one: len(page.evaluate("kind => window.stamps[kind]", one)) for one in kinds}
                step.run(wait=700)
                _, took = json.loads(re.search(r"\[.*\]", step.output("run"))[0])
                if not kind:
                    plain = took
                    continue
                yield "watched", kind, took / plain
                yield "pictures", kind, (len(page.evaluate("kind => window.stamps[kind]", kind)) - counts[kind]) / took
            assert not book.errors(), book.errors()


class Steps:
    """Runs the cells of the open notebook one after the other."""

    def __init__(self, page, received):
        self.page, self.received, self.place = page, received, 0

    def run(self, wait=0):
        """Run the next cell to its end; returns the bytes that came meanwhile, and for `wait` ms after."""
        cell = self.page.locator(".jp-CodeCell").nth(self.place)
        self.place += 1
        before = sum(self.received)
        cell.locator(".jp-InputPrompt").click()
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_function(
            "e => /\\[\\d+\\]/.test(e.innerText)", arg=cell.locator(".jp-InputPrompt").element_handle(), timeout=120_000
        )
        self.page.wait_for_timeout(wait)
        return sum(self.received) - before

    def output(self, word):
        """What the last cell printed."""
        cell = self.page.locator(".jp-CodeCell").nth(self.place - 1)
        return cell.locator(".jp-OutputArea-output", has_text=word).inner_text()


def table(rows: pd.DataFrame) -> str:
    """Median and p90 of each, as Markdown."""
    lines = [
        f"{os.cpu_count()} cores, {lab_facts().partition(', ')[2]}. Median (p90).",
        "",
        "| what | " + " | ".join(KINDS.values()) + " |",
        "| --- |" + " --- |" * len(KINDS),
    ]
    for what, (name, form) in WHAT.items():
        cells = []
        for kind in KINDS:
            values = rows.loc[(rows["what"] == what) & (rows["kind"] == kind), "value"]
            many = f" ({form.format(values.quantile(0.9))})" if len(values) > 1 else ""
            cells.append(form.format(values.median()) + many)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
