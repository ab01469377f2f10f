"""`make bench`: time every part, or those that are named, and write RESULTS.md and results.csv anew as far as they go.

    python -m benchmarks                       # all parts, about half an hour on two quiet cores
    python -m benchmarks steps tasks           # these two; the other sections stay as they are
    python -m benchmarks steps --rounds 3      # sooner and rougher
    python -m benchmarks steps --device cuda --page out/gpu.md --table out/gpu.csv

Close what else runs first: the load of the minute before is written beside the figures.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from benchmarks import elsewhere, fits, measuring, start, steps, tasks
from benchmarks.results import PAGE, TABLE, table_of, write_part
from benchmarks.rounds import machine

MEASURED = {"steps": steps, "tasks": tasks, "measuring": measuring, "fits": fits, "start": start}
TAKEN_OVER = {
    "sweeps": ("Many runs at once", elsewhere.sweeps),
    "panels": ("Panels in a browser", elsewhere.panels),
    "alexnet": ("AlexNet", elsewhere.alexnet),
}


def main() -> None:
    """Run the parts that are asked for, one after the other; each is written as soon as it is done."""
    words, _, more = __doc__.partition("\n")
    arguments = argparse.ArgumentParser("python -m benchmarks", description=words, epilog=more)
    arguments.formatter_class = argparse.RawDescriptionHelpFormatter
    names = [*MEASURED, *TAKEN_OVER]
    arguments.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(names)}; all of them if none")
    arguments.add_argument("--rounds", type=int, default=15, help="times that every case is run (default: 15)")
    arguments.add_argument("--threads", type=int, default=1, help="torch threads (default: 1)")
    arguments.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    arguments.add_argument("--page", type=Path, default=PAGE, help="Markdown to write sections of")
    arguments.add_argument("--table", type=Path, default=TABLE, help="CSV to write rows of")
    chosen = arguments.parse_args()
    if unknown := [name for name in chosen.parts if name not in names]:
        arguments.error(f"no part {', '.join(map(repr, unknown))}; the parts are {', '.join(names)}")
    if chosen.rounds < 1 or chosen.threads < 1:
        arguments.error("--rounds and --threads must be at least 1")
    if chosen.device == "cuda" and not torch.cuda.is_available():
        arguments.error("--device cuda was asked for, but torch sees no GPU here")
    torch.set_num_threads(chosen.threads)
    for name in chosen.parts or names:
        begun, facts = time.perf_counter(), machine()
        if name in MEASURED:
            title, (text, figures) = MEASURED[name].TITLE, MEASURED[name].run(chosen.rounds, chosen.device)
        else:
            title, make = TAKEN_OVER[name]
            text, figures = make()
            facts = {}
        write_part(name, title, text, figures, facts, chosen.page, chosen.table)
        print(f"{table_of(figures)}\n{name}: {time.perf_counter() - begun:.0f} s, in {chosen.page}\n", flush=True)


if __name__ == "__main__":
    main()
