"""Write the golden files, or compare with them.

With --check nothing is written: each part is computed and compared.
"""

import argparse
import os
import sys

import torch

from golden.compare import OVERRIDES, compare, write
from golden.compute import PARTS


def main(arguments=None):
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden.make", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"any of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    options = parser.parse_args(arguments)
    if unknown := [part for part in options.parts if part not in PARTS]:
        parser.error(f"there is no part {', '.join(map(repr, unknown))}; choose from {', '.join(PARTS)}")
    set_here = [name for name in OVERRIDES if os.environ.get(name)]
    if set_here and not options.check:
        parser.error(f"golden files are made on a processor as it is; unset {', '.join(set_here)}")
    failed = False
    for part in options.parts or PARTS:
        content = PARTS[part]()
        if not options.check:
            print(f"{write(part, content)} written")
            continue
        report = compare(part, content)
        how = "exactly" if report.exact else "within tolerances"
        print(f"{part}, compared {how}: {report.moved} numbers differ", *report.problems, sep="\n  ")
        failed |= bool(report.problems)
    return int(failed)


if __name__ == "__main__":
    threads = os.environ.get("OMP_NUM_THREADS") if "--check" in sys.argv else None
    torch.set_num_threads(int(threads or 1))  # as under pytest; a check may ask for more
    sys.exit(main())
