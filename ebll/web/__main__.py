"""python -m ebll.web lab.html: the page; python -m ebll.web data.json: its data alone."""

import sys
from pathlib import Path

from ebll.errors import InputError
from ebll.web import write_data, write_page

WRITERS = {".html": write_page, ".json": write_data}


def main() -> None:
    """Write the file that is named."""
    path = Path(*sys.argv[1:2])
    if len(sys.argv) != 2 or path.suffix not in WRITERS:
        raise InputError("Name one file: lab.html for the page, data.json for its data alone.")
    print(f"{WRITERS[path.suffix](path)}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
