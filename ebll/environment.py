"""What this machine has: the packages that ebll needs, and a GPU."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement

from ebll.errors import EbllError, InputError, check_choice

__all__ = ["check_environment", "choose_device"]


def check_environment() -> None:
    """Raise `EbllError` with what is missing or too old, and the command that installs it."""
    problems = []
    for wanted in map(Requirement, metadata.requires("ebll") or []):
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            try:
                here = metadata.version(wanted.name)
            except metadata.PackageNotFoundError:
                here = "not installed"
            if here == "not installed" or not wanted.specifier.contains(here, prereleases=True):
                problems.append(f"{wanted.name} is {here}; ebll needs {wanted}.")
    if problems:
        listed = "\n  ".join(problems)
        raise EbllError(
            f"This Python lacks something that the notebooks need:\n  {listed}\n"
            "In the folder of the kit, `make lab` sets up a Python that has it all; or install it into this one with "
            "`python -m pip install -e .` there, and restart the kernel."
        )


def choose_device(name: str) -> str:
    """ "auto" is the GPU where torch sees one, else the processor; "cuda", or "cuda:1", without a GPU is refused."""
    kind = name if name.startswith("auto") else name.partition(":")[0]
    check_choice(kind, ("auto", "cpu", "cuda"), "Device")
    import torch

    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError("Device: 'cuda' was asked for, but torch sees no GPU here. Use 'cpu', or 'auto'.")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
