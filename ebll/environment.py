"""Whether the packages that ebll needs are installed in the versions that it was made for."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement

from ebll.errors import EbllError

__all__ = ["check_environment"]


def check_environment() -> None:
    """Raise `EbllError` with what is missing or too old, and the command that mends it."""
    amiss = []
    for wanted in map(Requirement, metadata.requires("ebll") or []):
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            try:
                here = metadata.version(wanted.name)
            except metadata.PackageNotFoundError:
                here = "not installed"
            if here == "not installed" or not wanted.specifier.contains(here, prereleases=True):
                amiss.append(f"{wanted.name} is {here}; ebll needs {wanted}.")
    if amiss:
        listed = "\n  ".join(amiss)
        raise EbllError(
            f"This Python lacks something that the notebooks need:\n  {listed}\n"
            "In the folder of the kit, `make lab` sets up a Python that has it all; or install it into this one with "
            "`python -m pip install -e .` there, and restart the kernel."
        )
