"""Write the golden files, or compare with them.

With --check nothing is written: each part is computed and compared, and the largest difference is told as a share of
what is allowed.
"""

import argparse
import os
import sys

import torch

from golden.compare import OVERRIDES, GoldenError, compare, write
from golden.compute import PARTS

SHOWN = 20  # differences of one part


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.golden.make", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="part", help=f"any of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    options = parser.parse_args(arguments)
    if unknown := [part for part in options.parts if part not in PARTS]:
        parser.error(f"there is no part {', '.join(map(repr, unknown))}; choose from {', '.join(PARTS)}")
    set_here = [name for name in OVERRIDES if os.environ.get(name)]
    if set_here and not options.check:
        parser.error(f"golden files are made on a processor as it is; unset {', '.join(set_here)}")
    parts, failed = options.parts or list(PARTS), False
    for part in parts:
        content = PARTS[part]()
        if not options.check:
            print(f"{write(part, content)} written")
            continue
        try:
            report = compare(part, content)
        except GoldenError as error:
            print(error)
            failed = True
            continue
        how = "compared exactly" if report.exact else "compared within tolerances"
        far = f"; the largest difference is {report.worst[0]:.3g} of what is allowed, at {report.worst[1]}"
        moved = f"{report.moved} numbers differ, {report.images} of them accuracies{far if report.moved else ''}"
        print(f"{part}: {how}; {moved}")
        if report.problems:
            failed = True
            print(*report.problems[:SHOWN], *(["..."] if len(report.problems) > SHOWN else []), sep="\n  ")
    return int(failed)


if __name__ == "__main__":
    threads = os.environ.get("OMP_NUM_THREADS") if "--check" in sys.argv else None
    torch.set_num_threads(int(threads or 1))  # as under pytest; a check may ask for more
    sys.exit(main())
