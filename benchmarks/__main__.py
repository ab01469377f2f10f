"""`make bench`: time every part, or those that are named, and write RESULTS.md and results.csv anew as far as they go.

    python -m benchmarks                       # all parts
    python -m benchmarks steps tasks           # these two; the other sections stay as they are
    python -m benchmarks steps --rounds 3      # sooner and rougher
    python -m benchmarks steps --device cuda   # to RESULTS-cuda.md and results-cuda.csv

Close what else runs first: the load of the minute before is written beside the figures.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks import elsewhere, fits, loop, measuring, reproducing, start, steps, tasks
from benchmarks.results import PAGE, TABLE, check_outputs, write_part
from benchmarks.rounds import Figure, machine

MEASURED = {
    "loop": loop, "steps": steps, "tasks": tasks, "fits": fits, "measuring": measuring, "start": start,
    "reproducing": reproducing,
}  # fmt: skip
TAKEN_OVER = {"panels": ("Panels in a browser", elsewhere.panels), "alexnet": ("AlexNet", elsewhere.alexnet)}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the parts that are asked for, one after the other; each is written as soon as it is done."""
    words, _, more = __doc__.partition("\n")
    arguments = argparse.ArgumentParser("python -m benchmarks", description=words, epilog=more)
    arguments.formatter_class = argparse.RawDescriptionHelpFormatter
    names = [*MEASURED, *TAKEN_OVER]
    known = f"of {', '.join(names)} (the last two measure nothing: they are taken over); all of them if none"
    arguments.add_argument("parts", nargs="*", metavar="PART", help=known)
    arguments.add_argument("--rounds", type=int, default=15, help="times that every case is run (default: 15)")
    arguments.add_argument("--threads", type=int, default=1, help="torch threads (default: 1)")
    arguments.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    files = "(default: beside this module, with -cuda in its name on a GPU)"
    arguments.add_argument("--page", type=Path, help=f"Markdown to write sections of {files}")
    arguments.add_argument("--table", type=Path, help=f"CSV to write rows of {files}")
    chosen = arguments.parse_args(argv)
    if unknown := [name for name in chosen.parts if name not in names]:
        arguments.error(f"no part {', '.join(map(repr, unknown))}; the parts are {', '.join(names)}")
    if chosen.rounds < 1 or chosen.threads < 1:
        arguments.error("--rounds and --threads must be at least 1")
    if chosen.device == "cuda" and not torch.cuda.is_available():
        arguments.error("--device cuda was asked for, but torch sees no GPU here")
    page, table = (
        given or (default.with_stem(f"{default.stem}-cuda") if chosen.device == "cuda" else default)
        for given, default in ((chosen.page, PAGE), (chosen.table, TABLE))
    )
    check_outputs(page, table)
    torch.set_num_threads(chosen.threads)
    wanted = list(dict.fromkeys(chosen.parts or names))
    for place, name in enumerate(wanted):
        print(f"{name} ({place + 1} of {len(wanted)}) ...", file=sys.stderr, flush=True)
        begun = time.perf_counter()
        try:
            title, text, figures, facts = measured(name, chosen.rounds, chosen.device)
        except KeyboardInterrupt:
            done = ", ".join(wanted[:place]) or "none"
            print(f"\nStopped in {name}, of which nothing is kept. Written before: {done}.", file=sys.stderr)
            raise SystemExit(130) from None
        write_part(name, title, text, figures, facts, page, table)
        print(f"{text}\n\n{name}: {time.perf_counter() - begun:.0f} s, in {page}\n", flush=True)


def measured(name: str, rounds: int, device: str) -> tuple[str, str, list[Figure], dict[str, str]]:
    """Title, text and figures of a part, and what it was measured on."""
    if name in TAKEN_OVER:
        title, make = TAKEN_OVER[name]
        return title, *make(), {}
    part, facts = MEASURED[name], machine(device)
    facts["threads"] = getattr(part, "THREADS", facts["threads"])
    return part.TITLE, *part.run(rounds, device), facts


if __name__ == "__main__":
    main()
