"""What a notebook was made on: all that decides the last bit of a float, and nothing that names a machine or its user.

Training magnifies a last bit until it acts like another seed. So outputs are equal on an equal machine, and only there.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import torch

__all__ = ["MADE_ON", "PACKAGES", "made_on", "record", "this_machine"]

MADE_ON = Path(__file__).with_name("made_on.json")
# Those that compute, hold the images, draw or print.
PACKAGES = (
    "torch", "torchvision", "numpy", "scipy", "pandas", "scikit-learn", "scikit-image", "mlxtend", "pillow",
    "matplotlib", "seaborn", "ipython",
)  # fmt: skip
FACTS = ("vendor_id", "model name", "cpu family", "model", "stepping", "CPU implementer", "CPU part")


def this_machine() -> dict[str, str]:
    """Processor, system, and the versions of Python and of `PACKAGES`: where these are equal, outputs are."""
    return {
        "processor": _processor(),
        "vector unit": torch.backends.cpu.get_cpu_capability(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    } | {name: metadata.version(name) for name in PACKAGES}


def made_on() -> dict[str, dict[str, str]]:
    """Name of a notebook -> `this_machine()` as it was where that notebook was built."""
    return json.loads(MADE_ON.read_text(encoding="utf-8")) if MADE_ON.exists() else {}


def record(name: str) -> None:
    """Write down that a notebook was built here."""
    table = dict(sorted((made_on() | {name: this_machine()}).items()))
    MADE_ON.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8", newline="\n")


def _processor() -> str:
    """Maker, family, model and stepping, where the system tells them."""
    if Path("/proc/cpuinfo").is_file():
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
        told = {name.strip(): value.strip() for name, _, value in (row.partition(":") for row in first.splitlines())}
        if found := ", ".join(f"{name} {told[name]}" for name in FACTS if name in told):
            return found
    if sys.platform == "darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return platform.processor() or platform.machine()
