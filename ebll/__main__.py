"""Makes `python -m ebll` the same as `ebll`."""

from ebll.cli import main

if __name__ == "__main__":
    main()
