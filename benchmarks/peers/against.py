"""The same net, data, batches and threads under ebll and under Avalanche, timed in turns.

    python -m benchmarks.peers.against --python .venv-peers/bin/python      # what `make bench-peers` does

Both begin at the same weights and see the same batches in the same order; first the losses of every step and the
weights at the end are compared, so that the same work is timed. Then rounds: in each, every method runs once on either
side. Timed is one epoch on the second of two tasks, and beside it the whole of it with what either side does before
and after (recording answers, a loader's set-up, importances).
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

from benchmarks.peers.sides import BATCH, CLASSES, IMAGES, METHODS, PEERS, SIZES, agreement, made_data, ours, peer
from benchmarks.results import PAGE, TABLE, check_outputs, table_of, write_part
from benchmarks.rounds import Figure, figure, machine
from ebll.autoencoder import AutoencoderSettings
from ebll.seeds import cpu_threads

BARS = {"lwf": 4.0, "ebll": 3.5}
TOLERANCE = 1e-5  # of losses and weights on both sides, in single precision over all steps
TITLE = "Against Avalanche"

TEXT = """ebll and Avalanche {avalanche} learn the second of two tasks: the same {sizes} net with a head a task, the
same weights at the start, {images:,} random inputs in batches of {batch} in the same order, SGD with momentum, no
metrics and no logger on either side. In each of {rounds} rounds every method runs once on either side, in turns.
"Avalanche to ebll" is how many times as long Avalanche's epoch takes; "with all around it" adds what either side does
before and after the epoch: recording answers, a loader's set-up, importances over all images, and for ebll's EBLL the
fit of the second task's autoencoder, to which nothing corresponds on the other side. Avalanche has no EBLL, so its LwF
stands against ours; what EBLL costs in all is the column with all around it. `naive` is fine-tuning.

That the same work is timed: largest difference of the class losses over all steps, and of F's weights after them.
EWC's importances differ by definition (Avalanche squares the mean gradient of a batch), so there only the first step
can agree. Our EBLL is compared with nothing.

{agreement}

"Avalanche to the products alone" is the ratio that a step would have whose matrix products (forward, backward, and
recorded answers in place of a teacher) ran as they are called here, one after the other, and in which nothing else took
any time. What the rest of a step is made of, for this net, stands in the profile of the section on steps.

{floors}
"""


def products(name: str) -> Callable[[], None]:
    """The matrix products of one epoch of ours, and nothing else."""
    code = AutoencoderSettings().code_size if name == "ebll" else 0
    old = 0 if name in ("naive", "ewc") else 1
    inputs, first, second = SIZES
    x, h1, h2, out = (torch.rand(BATCH, size) for size in (inputs, first, second, CLASSES))
    w1, w2, head = (torch.rand(*shape) for shape in ((first, inputs), (second, first), (CLASSES, second)))
    encoder, codes = torch.rand(code, first), torch.rand(BATCH, code)

    def epoch() -> None:
        for _ in range(IMAGES // BATCH):
            x @ w1.T, h1 @ w2.T, h2.T @ h1, h2 @ w2, h1.T @ x
            for _ in range(1 + old):
                h2 @ head.T, out.T @ h2, out @ head
            if code:
                h1 @ encoder.T, codes @ encoder

    return epoch


def measured(python: str, threads: int, rounds: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row a round, method and side; and a row a method of how far both sides agree."""
    data, rows, agreements = made_data(), [], {}
    with peer(python, threads, data) as other, cpu_threads(threads):
        for name in METHODS:
            if name != "ebll":
                agreements[name] = agreement(name, data, other)
        told(pd.DataFrame.from_dict(agreements, orient="index"), threads)  # stops here if the work is not the same
        for number in tqdm(range(rounds + 1), desc=f"rounds, {threads} thread(s)", leave=False):
            for name in METHODS:
                bare = products(name)
                begun = time.perf_counter()
                bare()
                floor = time.perf_counter() - begun
                sides = {"ebll": lambda n: ours(n, data, False), "avalanche": lambda n: other.run(n, False)}
                for side in list(sides) if number % 2 else list(sides)[::-1]:
                    answer = sides[side](name)
                    if number:  # the first round warms up
                        facts = {"round": number, "method": name, "side": side, "threads": threads, "floor": floor}
                        rows.append(facts | {key: answer[key] for key in ("seconds", "whole")})
    return pd.DataFrame(rows), pd.DataFrame.from_dict(agreements, orient="index")


def figures_of(times: pd.DataFrame) -> tuple[list[Figure], list[Figure]]:
    """How many times as long Avalanche takes, and how many times as long as our matrix products alone."""
    found, floors = [], []
    for (threads, name), rows in times.groupby(["threads", "method"], sort=False):
        case = f"{'-'.join(map(str, SIZES))}, batch {BATCH}, {threads} thread{'s' * (threads > 1)}, {name}"
        case += "" if PEERS[name] == name else f" against {PEERS[name]}"
        wide = rows.pivot(index="round", columns="side", values=["seconds", "whole", "floor"])
        steps = IMAGES // BATCH
        for side in ("ebll", "avalanche"):
            found.append(figure(case, f"{side}, a step", "ms", 1e3 * wide["seconds"][side] / steps))
        epoch = wide["seconds"]["avalanche"] / wide["seconds"]["ebll"]
        found.append(figure(case, "Avalanche to ebll", "x", epoch, BARS.get(name), most=False))
        whole = wide["whole"]["avalanche"] / wide["whole"]["ebll"]
        found.append(figure(case, "Avalanche to ebll, with all around it", "x", whole))
        floor = wide["seconds"]["avalanche"] / wide["floor"]["ebll"]
        floors.append(figure(case, "Avalanche to the products alone", "x", floor))
    return found, floors


def told(agreements: pd.DataFrame, threads: int) -> str:
    """How far both sides agree, a line a method.

    raises   `SystemExit` where they do not do the same work
    """
    lines = []
    for name, row in agreements.iterrows():
        found = row[["first loss"]] if name == "ewc" else row
        if not (found < TOLERANCE).all():
            raise SystemExit(f"{name}: the sides do not do the same work: {found.to_dict()}, tolerance {TOLERANCE}.")
        parts = ", ".join(f"{what} {value:.0e}" for what, value in found.items())
        lines.append(f"- `{name}`, {threads} thread{'s' * (threads > 1)}: {parts}.")
    return "\n".join(lines)


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
    version = version_of(chosen.python)
    facts: dict[str, Any] = machine() | {"threads": " and ".join(map(str, chosen.threads))}
    parts = {threads: measured(chosen.python, threads, chosen.rounds) for threads in chosen.threads}
    found, floors = figures_of(pd.concat([times for times, _ in parts.values()]))
    agreed = "\n".join(told(agreements, threads) for threads, (_, agreements) in parts.items())
    words = {"avalanche": version, "sizes": "-".join(map(str, SIZES)), "images": IMAGES, "batch": BATCH}
    words |= {"rounds": chosen.rounds, "agreement": agreed, "floors": table_of(floors)}
    write_part("peers", TITLE, TEXT.format(**words), found, facts, chosen.page, chosen.table)
    print(table_of(found), table_of(floors), agreed, sep="\n\n")


if __name__ == "__main__":
    main()
