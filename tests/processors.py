"""The numeric tests of the fast tier under the kernels of other processors: `make test-processors`.

    python -m tests.processors              # all settings
    python -m tests.processors all          # one of them, as CI does

PyTorch, oneDNN and MKL choose their kernels by the processor's vector unit, and other kernels round other last bits.
Environment variables make them choose as on an older x86 processor; elsewhere they change nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ATEN, ONEDNN, MKL = {"ATEN_CPU_CAPABILITY": "default"}, {"ONEDNN_MAX_CPU_ISA": "SSE41"}, {"MKL_CBWR": "COMPATIBLE"}
SETTINGS = {
    "aten": ATEN | {"EBLL_TEST_THREADS": "1"},
    "onednn": ONEDNN | {"EBLL_TEST_THREADS": "2"},
    "mkl": MKL | {"EBLL_TEST_THREADS": "2"},
    "all": ATEN | ONEDNN | MKL | {"EBLL_TEST_THREADS": "1"},
}
# Those in which a network is trained, or a number is computed in single precision.
FILES = (
    "autoencoder", "comparison", "course_answers", "fisher", "golden", "losses", "methods", "metrics", "networks",
    "recording", "replay", "steps", "sweeps", "training", "widgets_runs", "widgets_submanifold",
)  # fmt: skip


def main() -> int:
    """Run the tests under each setting; 1 if any fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*", metavar="SETTING", help=f"of {', '.join(SETTINGS)} (default: each)")
    parser.add_argument("-n", dest="processes", default="auto", help="test processes (default: auto)")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.settings if name not in SETTINGS]:
        parser.error(f"there is no setting {', '.join(unknown)}; choose of {', '.join(SETTINGS)}")
    files = [str(Path(__file__).with_name(f"test_{name}.py")) for name in FILES]
    failed = []
    for name in chosen.settings or SETTINGS:
        told = " ".join(f"{key}={value}" for key, value in SETTINGS[name].items())
        print(f"\n{name}: {told}", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "-n", chosen.processes, "--maxprocesses", "4"]
        ended = subprocess.run([*command, "--dist", "loadfile", *files], env=os.environ | SETTINGS[name], check=False)
        failed += [name] if ended.returncode else []
    print(f"\nfailed under: {', '.join(failed)}" if failed else "\nall settings pass")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
