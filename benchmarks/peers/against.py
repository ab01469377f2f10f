"""The same net, data, batches and threads under ebll and under Avalanche, timed in turns.

    python -m benchmarks.peers.against --python .venv-peers/bin/python      # what `make bench-peers` does

Both begin at the same weights and see the same batches in the same order; first the losses of every step and the
weights at the end are compared, so that the same work is timed. Then rounds: in each, every method runs once on either
side. Timed is one epoch on the second of two tasks, and beside it the whole of it with what either side does before
and after (recording answers, a loader's set-up, importances).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from benchmarks.section import write_section
from ebll.data import Split, Task
from ebll.experiments.report import markdown
from ebll.methods import EBLL, EWC, Finetune, LwF, Method
from ebll.nets import Network
from ebll.seeds import cpu_threads, generator
from ebll.training import TrainSettings, train

SIZES, CLASSES, BATCH = [784, 256, 256], 10, 128
IMAGES = 100 * BATCH
SETTINGS = TrainSettings(epochs=1, batch_size=BATCH, learning_rate=0.01, momentum=0.9, weight_decay=0.0, drop_at=1.0)
METHODS: dict[str, Method] = {
    "naive": Finetune(),
    "lwf": LwF(distill_weight=1.0, temperature=2.0),
    "ewc": EWC(ewc_strength=2.0, fisher="empirical"),
    "ebll": EBLL(distill_weight=1.0, temperature=2.0),
}
PEERS = {"naive": "naive", "lwf": "lwf", "ewc": "ewc", "ebll": "lwf"}  # Avalanche has no EBLL: LwF stands against it
BARS = {"lwf": 4.0, "ebll": 3.5}


def made_data(seed: int = 0) -> dict[str, np.ndarray]:
    """Two tasks of random inputs whose labels a net can learn, and the weights that both sides begin with."""
    draw = np.random.default_rng(seed)
    data: dict[str, np.ndarray] = {}
    for t in range(2):
        data[f"x{t}"] = draw.normal(size=(IMAGES, SIZES[0])).astype("float32")
        teacher = draw.normal(size=(SIZES[0], CLASSES)).astype("float32")
        data[f"y{t}"] = (data[f"x{t}"] @ teacher).argmax(axis=1).astype("int64")
    shapes = {"f": SIZES[1::-1], "o": SIZES[2:0:-1], "h0": [CLASSES, SIZES[2]], "h1": [CLASSES, SIZES[2]]}
    for name, (out, size) in shapes.items():
        data[f"{name}w"] = (draw.normal(size=(out, size)) / np.sqrt(size)).astype("float32")
        data[f"{name}b"] = np.zeros(out, dtype="float32")
    return data


def in_our_order(data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The data in the order in which our loop will draw it, for a loader that does not shuffle."""
    moved = dict(data)
    for t in range(2):
        order = torch.randperm(IMAGES, generator=generator(0, "batches", t, t)).numpy()
        moved |= {f"x{t}": data[f"x{t}"][order], f"y{t}": data[f"y{t}"][order]}
    return moved


def ours(name: str, data: dict[str, np.ndarray], losses: bool) -> dict[str, Any]:
    """Both tasks by ebll; seconds of the second one's epoch, and of all that belongs to it."""
    method, tasks = METHODS[name], [_task(data, t) for t in range(2)]
    net, seen = _network(data), []

    def observe(step: int, total: int, terms: Any, rate: float) -> None:
        if terms:
            seen.append(terms["task"].weighted().item())

    _add_head(net, data, 0)
    train(net, Finetune(), 0, {0: tasks[0]}, settings=SETTINGS)
    memory = method.after_task(net, 0, tasks[0], None, 0)
    _add_head(net, data, 1)
    begun = time.perf_counter()
    recorded = method.before_task(net, 1, tasks[1].train.inputs, memory)
    middle = time.perf_counter()
    options = {"settings": SETTINGS, "memory": memory, "recorded": recorded, "observe": observe if losses else None}
    train(net, method, 1, {1: tasks[1]}, **options)
    end = time.perf_counter()
    return {"seconds": end - middle, "whole": end - begun, "losses": seen, "net": net}


def _task(data: dict[str, np.ndarray], t: int) -> Task:
    whole = Split(torch.from_numpy(data[f"x{t}"]), torch.from_numpy(data[f"y{t}"]))
    few = whole.take(torch.arange(64))
    return Task(f"task{t}", tuple(map(str, range(CLASSES))), whole, few, few)


def _network(data: dict[str, np.ndarray]) -> Network:
    first, second = nn.Linear(*SIZES[:2]), nn.Linear(*SIZES[1:])
    for layer, name in ((first, "f"), (second, "o")):
        _set(layer, data, name)
    return Network(nn.Sequential(first, nn.ReLU()), nn.Sequential(second, nn.ReLU()), (SIZES[0],))


def _add_head(net: Network, data: dict[str, np.ndarray], t: int) -> None:
    net.add_head(CLASSES)
    _set(net.heads[t], data, f"h{t}")


def _set(layer: nn.Linear, data: dict[str, np.ndarray], name: str) -> None:
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(data[f"{name}w"]))
        layer.bias.copy_(torch.from_numpy(data[f"{name}b"]))


class Peer:
    """The process of the other side."""

    def __init__(self, python: str, threads: int, folder: Path):
        worker = Path(__file__).with_name("avalanche_worker.py")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        self.process = subprocess.Popen([python, str(worker), str(threads)], **pipes)
        self.folder, ready = folder, self.process.stdout.readline()
        if not ready:
            raise SystemExit(f"{python} could not start Avalanche's side. Make its environment: make bench-peers")

    def run(self, name: str, losses: bool) -> dict[str, Any]:
        """One order, one answer."""
        order = {
            "method": PEERS[name], "data": str(self.folder / "data.npz"), "out": str(self.folder / "out.npz"),
            "sizes": SIZES, "classes": CLASSES, "batch": BATCH, "rate": SETTINGS.learning_rate,
            "momentum": SETTINGS.momentum, "decay": SETTINGS.weight_decay, "weight": 1.0, "temperature": 2.0,
            "losses": losses,
        }  # fmt: skip
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def weights(self) -> np.ndarray:
        """F's weights at the end of the last order."""
        return np.load(self.folder / "out.npz")["features.0.weight"]


@contextmanager
def peer(python: str, threads: int, data: dict[str, np.ndarray]) -> Iterator[Peer]:
    """The other side, ready to take orders."""
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "data.npz", **in_our_order(data))
        other = Peer(python, threads, Path(folder))
        try:
            yield other
        finally:
            other.process.stdin.close()
            other.process.wait()


def agreement(name: str, data: dict[str, np.ndarray], other: Peer) -> dict[str, float]:
    """Largest difference of the class losses over the second task's steps, and of F's weights at the end.

    EWC's importances differ by definition (Avalanche squares the mean gradient of a batch), so there only the first
    step can agree.
    """
    mine, theirs = ours(name, data, True), other.run(name, True)
    first = abs(mine["losses"][0] - theirs["losses"][0])
    every = max(abs(a - b) for a, b in zip(mine["losses"], theirs["losses"], strict=True))
    weights = mine["net"].features[0][0].weight.detach().numpy()
    return {"first loss": first, "every loss": every, "weights": float(np.abs(weights - other.weights()).max())}


def measured(python: str, threads: int, rounds: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row a round, method and side; and a row a method of how far both sides agree."""
    data, rows, agreements = made_data(), [], {}
    with peer(python, threads, data) as other, cpu_threads(threads):
        for name in METHODS:
            if name != "ebll":
                agreements[name] = agreement(name, data, other)
        for number in range(rounds + 1):
            for name in METHODS:
                for side, run in (
                    ("ebll", lambda n: ours(n, data, False)),
                    ("avalanche", lambda n: other.run(n, False)),
                ):
                    answer = run(name)
                    if number:  # the first round warms up
                        facts = {"round": number, "method": name, "side": side}
                        rows.append(facts | {key: answer[key] for key in ("seconds", "whole")})
    return pd.DataFrame(rows), pd.DataFrame.from_dict(agreements, orient="index")


def summary(times: pd.DataFrame) -> pd.DataFrame:
    """How many times quicker ebll is in each round: median, lowest, highest, of the epoch and of all around it."""
    table = []
    for name in METHODS:
        rows = times[times["method"] == name].pivot(index="round", columns="side", values=["seconds", "whole"])
        row: dict[str, Any] = {"method": name, "against": PEERS[name]}
        for what in ("seconds", "whole"):
            ratio = rows[what]["avalanche"] / rows[what]["ebll"]
            row |= {f"{what}": ratio.median(), f"{what}_low": ratio.min(), f"{what}_high": ratio.max()}
        row |= {side: 1e3 * rows["seconds"][side].median() for side in ("ebll", "avalanche")}
        table.append(row)
    return pd.DataFrame(table)


PAGE = """## Against Avalanche {avalanche}

Written by `make bench-peers`, that is `python -m benchmarks.peers.against`; figures in `benchmarks/peers.csv`. The
same 784-256-256 net with a head a task, the same weights at the start, batches of {batch} in the same order, SGD with
momentum, {threads} thread(s), no metrics and no logger on either side. One epoch of 100 steps on the second task, in
{rounds} rounds in which both sides take turns. "Times quicker" is Avalanche's time over ebll's in the same round; "with
all around it" adds what either side does before and after the epoch. Avalanche has no EBLL: its LwF stands there.

{table}

That the same work is timed: largest difference of the class losses over the 100 steps, and of F's weights after them,
{agreement}. EWC's importances differ by definition, so there only the first step is compared.

{verdicts}

Measured on {machine}, torch {torch} on both sides, with other work {busy} on the machine.
"""


def page(result: pd.DataFrame, agreements: pd.DataFrame, facts: dict[str, Any]) -> str:
    """The section of benchmarks/RESULTS.md."""

    def spread(what: str) -> list[str]:
        return [
            f"{row[what]:.2f} ({row[f'{what}_low']:.2f} to {row[f'{what}_high']:.2f})" for _, row in result.iterrows()
        ]

    rows = pd.DataFrame(
        {
            "against": result["against"],
            "ms an epoch, ebll": [f"{v:.1f}" for v in result["ebll"]],
            "Avalanche": [f"{v:.1f}" for v in result["avalanche"]],
            "times quicker": [
                f"{r.seconds:.2f} ({r.seconds_low:.2f} to {r.seconds_high:.2f})" for r in result.itertuples()
            ],
            "with all around it": [
                f"{r.whole:.2f} ({r.whole_low:.2f} to {r.whole_high:.2f})" for r in result.itertuples()
            ],
        }
    ).set_axis(result["method"])
    said = "; ".join(
        f"{name}: {row['first loss']:.0e} (first step)" if name == "ewc" else
        f"{name}: {row['every loss']:.0e} and {row['weights']:.0e}" for name, row in agreements.iterrows()
    )  # fmt: skip
    lines = []
    for name, bar in BARS.items():
        ratio = result.set_index("method").loc[name, "seconds"]
        lines.append(
            f"- `{name}`: {ratio:.2f} x, bar {bar}: {'met' if ratio >= bar else f'missed by {bar - ratio:.2f}'}."
        )
    return PAGE.format(table=markdown(rows, "method"), agreement=said, verdicts="\n".join(lines), **facts)


def main() -> None:
    """Compare, time, write down."""
    root = Path(__file__).parents[2]
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--python", default=str(root / ".venv-peers/bin/python"), help="of Avalanche's environment")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--busy", default="unknown", help="what else ran meanwhile, for the page: none, some")
    arguments.add_argument("--page", default=str(root / "benchmarks" / "RESULTS.md"))
    arguments.add_argument("--out", default=str(root / "benchmarks" / "peers.csv"))
    chosen = arguments.parse_args()
    times, agreements = measured(chosen.python, chosen.threads, chosen.rounds)
    result = summary(times)
    asked = "import importlib.metadata as m; print(m.version('avalanche-lib'))"
    version = subprocess.run([chosen.python, "-c", asked], capture_output=True, text=True, check=True).stdout.strip()
    facts = {
        "avalanche": version, "batch": BATCH, "threads": chosen.threads, "rounds": chosen.rounds, "busy": chosen.busy,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores", "torch": torch.__version__.partition("+")[0],
    }  # fmt: skip
    print(result.round(3).to_string(index=False), "\n", agreements, flush=True)
    result.assign(**facts).to_csv(chosen.out, index=False, float_format="%.4f", lineterminator="\n")
    write_section(Path(chosen.page), "peers", page(result, agreements, facts))


if __name__ == "__main__":
    main()
