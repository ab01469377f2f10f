"""What a training step costs, method against method, as ratios measured side by side in one run.

    python -m benchmarks.step_cost                 # prints a table and writes benchmarks/step_cost.csv
    python -m benchmarks.step_cost --device cuda

Each method trains on the same recorded targets through `ebll.training.train`, as a user's run does, without measuring.
Rounds are interleaved: in each round every method takes the same number of steps, and its ratio is against fine-tuning
in that round, so that a slow moment of the machine falls on both.
"""

from __future__ import annotations

import argparse
import copy
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from benchmarks.section import write_section
from ebll.data import Task
from ebll.experiments.report import markdown
from ebll.methods import METHODS, Batch, EncoderMemory, Method, Term
from ebll.nets import NetSpec, Network
from ebll.protocol import learn_first
from ebll.record import Recorder
from ebll.terms import class_loss
from ebll.training import TrainSettings, train

METHODS_TIMED = ("finetune", "lwf", "ebll", "code-only", "ewc")


@dataclass(frozen=True)
class BareProducts(Method):
    """Fine-tuning, plus the matrix products that EBLL cannot do without and nothing of its terms: a floor."""

    name = "products alone"
    label = "Products alone"

    def loss_terms(self, net: Network, batches: Sequence[Batch], memory: EncoderMemory) -> dict[str, Term]:
        """The old head's and the encoder's product, summed so that gradients flow."""
        (batch,) = batches
        features = net.features(batch.inputs)
        hidden = net.operator(features)
        encoder = memory.encoder(0)
        code = torch.nn.functional.linear(features, encoder.weight, encoder.bias)
        task = class_loss(net.heads[batch.task](hidden), batch.labels)
        return {"task": Term(task), "products": Term(net.heads[0](hidden).sum() + code.sum(), 1e-9)}


def wide_mlp(input_shape: tuple[int, ...]) -> tuple[torch.nn.Module, torch.nn.Module]:
    """784-256-256, the net that other libraries' timings are compared on."""
    nn = torch.nn
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU()), nn.Sequential(nn.Linear(256, 256), nn.ReLU())


CASES: dict[str, tuple[NetSpec, int]] = {
    "mlp 784-256-128, batch 64": ("mlp", 64),
    "mlp 784-256-128, batch 128": ("mlp", 128),
    "mlp 784-256-256, batch 128": (wide_mlp, 128),
    "cnn, batch 64": ("cnn", 64),
    "cnn, batch 128": ("cnn", 128),
}


def random_task(name: str, classes: int, seed: int, images: int = 2048) -> Task:
    """Images of noise: the cost of a step does not depend on what they show."""
    draw = torch.Generator().manual_seed(seed)
    pixels = torch.rand(images + 200, 1, 28, 28, generator=draw)
    labels = torch.arange(images + 200) % classes
    return Task.from_tensors(
        name, (pixels[:images], labels[:images]), (pixels[images:], labels[images:]), validation_fraction=0.05
    )


def prepared(net: NetSpec, batch: int, device: str) -> dict[str, tuple[Method, Network, object, dict]]:
    """For each method: a network that has learned a task and is ready for the second, memory and recorded targets."""
    old, new = random_task("old", 26, 0).to(device), random_task("new", 10, 1).to(device)
    quick = TrainSettings(epochs=1, batch_size=batch, learning_rate=1e-3)
    start = learn_first([old], net=net, settings=quick, device=device, recorder=Recorder(log_every=0))
    ready = {}
    for name in METHODS_TIMED:
        method, network = METHODS[name](), copy.deepcopy(start.net)
        memory = method.after_task(network, 0, old, None, 0)
        network.add_head(new.class_count)
        ready[name] = (method, network, memory, method.before_task(network, 1, new.train.inputs, memory))
    ready["products alone"] = (BareProducts(), copy.deepcopy(ready["ebll"][1]), ready["ebll"][2], {})
    return ready | {"data": new}


def time_case(net: NetSpec, batch: int, device: str, rounds: int) -> pd.DataFrame:
    """Milliseconds a step of each method in each round."""
    ready = prepared(net, batch, device)
    new = ready.pop("data")
    settings = TrainSettings(epochs=3, batch_size=batch, learning_rate=1e-4)
    steps = settings.epochs * -(-len(new.train) // batch)
    times = []
    for _ in range(rounds + 1):
        row = {}
        for name, (method, network, memory, recorded) in ready.items():
            begun = time.perf_counter()
            train(network, method, 1, {1: new}, settings=settings, memory=memory, recorded=recorded)
            if device == "cuda":
                torch.cuda.synchronize()
            row[name] = 1e3 * (time.perf_counter() - begun) / steps
        times.append(row)
    return pd.DataFrame(times[1:])  # the first round warms up


def summary(times: pd.DataFrame) -> pd.DataFrame:
    """Median step, and median, lowest and highest ratio to fine-tuning over the rounds."""
    ratios = times.div(times["finetune"], axis=0)
    return pd.DataFrame(
        {"ms": times.median(), "ratio": ratios.median(), "low": ratios.min(), "high": ratios.max()}
    ).rename_axis("method")


PAGE = """## What a training step costs

Written by `make bench`, that is `python -m benchmarks.step_cost`; the figures are in `benchmarks/step_cost.csv`.

Every method trains on a second task through `ebll.training.train`, on targets recorded beforehand, with nothing
measured in between: 2,048 images of 28 x 28, an old task of 26 classes, a new one of 10, code size 64. In each of
{rounds} rounds every method takes the same number of steps, and its time is divided by fine-tuning's in that round, so
that a slow moment of the machine falls on both. The table gives the median milliseconds a step, and the median ratio
with its lowest and highest round. The bar for LwF and EBLL is a ratio of 1.10. `products alone` is fine-tuning plus the
two matrix products that EBLL cannot do without (old head, encoder), without its terms: what no code could undercut.

Measured on {machine}, device {device}, {threads} thread(s), torch {torch}, with other work {busy} on the machine.

"""


def page(result: pd.DataFrame, busy: str) -> str:
    """docs/performance.md: how it was measured, and the table."""
    first = result.iloc[0]
    rows = result.assign(
        median=[f"{r.ratio:.2f} ({r.low:.2f} to {r.high:.2f})" for r in result.itertuples()],
        step=[f"{ms:.2f}" for ms in result["ms"]],
    )
    table = rows.set_index("case")[["method", "step", "median"]]
    table.columns = ["method", "ms a step", "ratio to fine-tuning"]
    facts = {name: first[name] for name in ("rounds", "machine", "device", "threads", "torch")}
    return PAGE.format(**facts, busy=busy) + _met(result) + markdown(table, "net, batch") + "\n"


def _met(result: pd.DataFrame, bar: float = 1.10) -> str:
    """Which medians of LwF and EBLL are under the bar, and where the products alone are above it."""
    lines = []
    for method in ("lwf", "ebll", "products alone"):
        rows = result[result["method"] == method]
        met = rows[rows["ratio"] <= bar]["case"]
        missed = [f"{r.case} ({r.ratio:.2f})" for r in rows.itertuples() if r.ratio > bar]
        lines.append(f"- `{method}`: met on {'; '.join(met) or 'none'}; missed on {'; '.join(missed) or 'none'}.")
    return "\n".join(lines) + "\n\n"


def main() -> None:
    """Time all cases and write them down."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--busy", default="unknown", help="what else ran meanwhile, for the page: none, some")
    arguments.add_argument("--page", default=str(Path(__file__).parents[1] / "docs" / "performance.md"))
    arguments.add_argument("--out", default=str(Path(__file__).with_name("step_cost.csv")))
    chosen = arguments.parse_args()
    torch.set_num_threads(chosen.threads)
    parts = []
    for case, (net, batch) in CASES.items():
        table = summary(time_case(net, batch, chosen.device, chosen.rounds)).reset_index()
        table.insert(0, "case", case)
        parts.append(table)
        print(table.round(3).to_string(index=False), "\n", flush=True)
    where = {"device": chosen.device, "threads": chosen.threads, "torch": torch.__version__.partition("+")[0]}
    result = pd.concat(parts).assign(**where, machine=platform.machine(), rounds=chosen.rounds)
    result.to_csv(chosen.out, index=False, float_format="%.4f", lineterminator="\n")
    write_section(Path(chosen.page), "step cost", page(result, chosen.busy))


if __name__ == "__main__":
    main()
