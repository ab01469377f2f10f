"""The same net, data, batches and threads under ebll and under Avalanche, timed in turns.

    python -m benchmarks.peers.against --python .venv-peers/bin/python      # what `make bench-peers` does

Both begin at the same weights and see the same batches in the same order; first the losses of every step and the
weights at the end are compared in double precision, so that the same work is timed. Then rounds, in single precision:
in each, every method runs once on either side. Timed is one epoch on the second of two tasks, and beside it the whole
of it with what either side does before and after (recording targets, a loader's set-up, importances).
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

from benchmarks.peers.sides import (
    BATCH,
    CLASSES,
    IMAGES,
    METHODS,
    PEERS,
    SIZES,
    TOLERANCE,
    Arrays,
    agreement,
    begun,
    epoch,
    in_single,
    made_data,
    ours,
    peer,
    targets,
)
from benchmarks.profiled import shares
from benchmarks.results import PAGE, TABLE, check_outputs, number, table_of, write_part
from benchmarks.rounds import Figure, figure, machine
from ebll.autoencoder import AutoencoderSettings
from ebll.seeds import cpu_threads

BARS = {"lwf": 4.0}
TITLE = "Against Avalanche"
RATIO, AROUND, POSSIBLE = "Avalanche to ebll", "the same with all around it", "Avalanche to the products alone"

TEXT = """ebll and Avalanche {avalanche} learn the second of two tasks: the same {sizes} net with a head a task, the
same initial weights, {images:,} random inputs in batches of {batch} in the same order, SGD with momentum, no metrics
and no logger. Before they were timed both sides did it in double precision: losses of all steps and weights after them
differ by at most {apart:.0e} (at most {tolerance:.0e} is allowed; of EWC, whose importances Avalanche defines
otherwise, only the first loss is compared). "{around}" adds what either side does before and after the epoch: recording
targets, a loader's set-up, importances, the fit of an autoencoder. `naive` is fine-tuning; Avalanche has no EBLL, so
its LwF stands in.

{table}

What is left on our side: "{possible}" is the ratio that we should have if a step were its matrix products, forwards
and backwards, and took no other time. Of a step of our LwF in one thread, these products called alone take
{products:.0f} %. The profiler, which slows small calls down, divides the step into {parts}."""


def products(name: str) -> Callable[[], None]:
    """The matrix products of one epoch of ours, and nothing else."""
    code = AutoencoderSettings().code_size if name == "ebll" else 0
    old = 0 if name in ("naive", "ewc") else 1
    inputs, first, second = SIZES
    x, h1, h2, out = (torch.rand(BATCH, size) for size in (inputs, first, second, CLASSES))
    w1, w2, head = (torch.rand(*shape) for shape in ((first, inputs), (second, first), (CLASSES, second)))
    encoder, codes = torch.rand(code, first), torch.rand(BATCH, code)

    def work() -> None:
        for _ in range(IMAGES // BATCH):
            x @ w1.T, h1 @ w2.T, h2.T @ h1, h2 @ w2, h1.T @ x
            for _ in range(1 + old):
                h2 @ head.T, out.T @ h2, out @ head
            if code:
                h1 @ encoder.T, codes @ encoder

    return work


def measured(python: str, threads: int, rounds: int, data: Arrays) -> tuple[pd.DataFrame, float]:
    """A row a round, method and side; and how far both sides are apart in double precision."""
    rows, single = [], in_single(data)
    with peer(python, threads, data) as other, cpu_threads(threads):
        apart = max(agreement(name, data, other) for name in METHODS if name != "ebll")
        for number_of_round in tqdm(range(rounds + 1), desc=f"rounds, {threads} thread(s)", leave=False):
            for name in METHODS:
                bare = products(name)
                start = perf_counter()
                bare()
                floor = perf_counter() - start
                sides = {"ebll": partial(ours, name, single), "avalanche": partial(other.run, name)}
                for side in list(sides) if number_of_round % 2 else list(sides)[::-1]:
                    answer = sides[side]()
                    if number_of_round:  # the first round warms up
                        facts = {"round": number_of_round, "method": name, "side": side, "threads": threads}
                        times = {key: answer[key] for key in ("seconds", "whole")}
                        rows.append(facts | times | {"floor": floor})
    return pd.DataFrame(rows), apart


def figures_of(times: pd.DataFrame) -> list[Figure]:
    """How many times as long Avalanche takes as ebll, and as our matrix products alone."""
    found = []
    for (threads, name), rows in times.groupby(["threads", "method"], sort=False):
        case = case_of(name, threads)
        wide = rows.pivot(index="round", columns="side", values=["seconds", "whole", "floor"])
        steps = IMAGES // BATCH
        epochs, wholes, floor = wide["seconds"], wide["whole"], wide["floor"]["ebll"]
        found += [
            *(figure(case, f"{side}, a step", "ms", 1e3 * epochs[side] / steps) for side in ("ebll", "avalanche")),
            figure(case, RATIO, "x", epochs["avalanche"] / epochs["ebll"], BARS.get(name), most=False),
            figure(case, AROUND, "x", wholes["avalanche"] / wholes["ebll"]),
            figure(case, POSSIBLE, "x", epochs["avalanche"] / floor),
            figure(case, "products alone, of a step of ebll", "%", 100 * floor / epochs["ebll"]),
        ]
    return found


def case_of(name: str, threads: int) -> str:
    """How a case is called."""
    case = f"{'-'.join(map(str, SIZES))}, batch {BATCH}, {threads} thread{'s' * (threads > 1)}, {name}"
    return case if PEERS[name] == name else f"{case} against {PEERS[name]}"


def profile(data: Arrays) -> list[Figure]:
    """Where the time of a step of our LwF goes, in one thread."""
    with cpu_threads(1):
        ready = targets(begun("lwf", in_single(data)))
        epoch(ready)  # warms up
        parts = shares(partial(epoch, ready))
    return [figure(case_of("lwf", 1), f"profile, {group}", "%", [100 * part]) for group, part in parts.items()]


def told(found: list[Figure], parts: list[Figure], apart: float, version: str) -> str:
    """The section's text."""
    alone = [one for one in found if one.case == case_of("lwf", 1) and one.what.startswith("products alone")]
    names = ", ".join(f"{one.what.removeprefix('profile, ')} {number(one.value, '%')} %" for one in parts)
    words = {"avalanche": version, "sizes": "-".join(map(str, SIZES)), "images": IMAGES, "batch": BATCH}
    words |= {"apart": apart, "tolerance": TOLERANCE, "around": AROUND, "possible": POSSIBLE, "parts": names}
    table = table_of([one for one in found if not one.what.startswith("products alone")])
    return TEXT.format(**words, table=table, products=alone[0].value if alone else float("nan"))


def version_of(python: str) -> str:
    """Of Avalanche in that environment."""
    asked = "import importlib.metadata as m; print(m.version('avalanche-lib'))"
    try:
        return subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"No Avalanche to be had from {python}: `make bench-peers` makes its environment.") from error


def main() -> None:
    """Compare, time, write down."""
    root = Path(__file__).parents[2]
    arguments = argparse.ArgumentParser("python -m benchmarks.peers.against", description=__doc__.partition("\n")[0])
    arguments.add_argument("--python", default=str(root / ".venv-peers/bin/python"), help="of Avalanche's environment")
    arguments.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="on both sides (default: 1 2)")
    arguments.add_argument("--rounds", type=int, default=15, help="(default: 15)")
    arguments.add_argument("--page", type=Path, default=PAGE)
    arguments.add_argument("--table", type=Path, default=TABLE)
    chosen = arguments.parse_args()
    if min(chosen.rounds, *chosen.threads) < 1:
        arguments.error("--rounds and --threads must be at least 1")
    check_outputs(chosen.page, chosen.table)
    version, data = version_of(chosen.python), made_data()
    facts: dict[str, Any] = machine() | {"threads": " and ".join(map(str, chosen.threads))}
    runs = [measured(chosen.python, threads, chosen.rounds, data) for threads in chosen.threads]
    found, parts = figures_of(pd.concat([times for times, _ in runs])), profile(data)
    text = told(found, parts, max(apart for _, apart in runs), version)
    write_part("peers", TITLE, text, [*found, *parts], facts, chosen.page, chosen.table)
    print(text)


if __name__ == "__main__":
    main()
