"""Is everything here that ebll asks for? Versions of its packages, in words that say what to do."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from ebll.errors import EbllError

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

__all__ = ["check_environment", "problems", "versions"]


def versions(*names: str) -> str:
    """`torch 2.4.1, numpy 2.1.0` for the packages named, with Python last; what is missing is said to be."""
    return ", ".join([*(f"{name} {_version(name) or '(not installed)'}" for name in names), _python()])


def problems(requirements: list[str] | None = None) -> list[str]:
    """A sentence for each package that is missing or outside the range that ebll is made for; none if all is well.

    requirements   in pip's notation; those of ebll if None
    """
    if tuple(map(int, platform.python_version_tuple()[:2])) < (3, 11):
        return [f"{_python()} is running; ebll needs 3.11 or newer."]
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:
        return ["packaging is not installed; ebll needs it to compare the versions of all other packages."]
    if requirements is None:
        requirements = _requirements()
    wanted = [Requirement(line) for line in requirements]
    found = (_problem(one) for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""}))
    return [sentence for sentence in found if sentence]


def check_environment(requirements: list[str] | None = None) -> None:
    """Raise `EbllError` with what is missing or too old, and the command that mends it."""
    amiss = problems(requirements)
    if amiss:
        listed = "\n  ".join(amiss)
        raise EbllError(
            f"This Python lacks something that the notebooks need:\n  {listed}\n"
            "In the folder of the kit, `make lab` sets up a Python that has it all; or install it into this one with "
            "`python -m pip install -e .` there, and restart the kernel."
        )


def _requirements() -> list[str]:
    """What ebll asks for: as it was installed, or by the pyproject.toml beside it where it runs from its folder."""
    import tomllib  # not before Python 3.11

    try:
        return metadata.requires("ebll") or []
    except metadata.PackageNotFoundError:
        beside = Path(__file__).parents[1] / "pyproject.toml"
        return tomllib.loads(beside.read_text("utf-8"))["project"]["dependencies"] if beside.is_file() else []


def _problem(wanted: Requirement) -> str:
    here = _version(wanted.name)
    if not here:
        return f"{wanted.name} is not installed; ebll needs {wanted}."
    if not wanted.specifier.contains(here, prereleases=True):
        return f"{wanted.name} {here} is installed; ebll needs {_range(wanted.specifier)}."
    return ""


def _range(specifier: SpecifierSet) -> str:
    return ", ".join(sorted((str(part) for part in specifier), key=lambda part: not part.startswith(">")))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _python() -> str:
    return f"Python {platform.python_version()}"
