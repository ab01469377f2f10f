"""python -m ebll.web lab.html: write the page."""

import sys

from ebll.errors import EbllError
from ebll.web import write_page


def main() -> None:
    """Write the file that is named."""
    if len(sys.argv) != 2:
        sys.exit("Name one file for the page: python -m ebll.web lab.html.")
    try:
        path = write_page(sys.argv[1])
    except EbllError as error:
        sys.exit(str(error))
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
