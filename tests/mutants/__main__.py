"""`make mutants`: put faults into copies of the repository, one at a time, and see which fast test notices each.

    python -m tests.mutants                                # all of them, in as many processes as cores
    python -m tests.mutants -j 1                           # one after the other
    python -m tests.mutants ebll/networks.py weight-decay-off  # those of a file, and one by its id
    python -m tests.mutants --list                         # what there is

The faults stand in faults.toml. The test that noticed a fault last time runs first, then those that state the laws of
the broken file, then the rest of the fast tier, without the golden files. A run over all faults writes
tests/mutants/RESULTS.md. The exit code is 1 where a fault goes unnoticed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from tqdm import tqdm

ROOT = Path(__file__).parents[2]
TABLE, PAGE = (Path(__file__).with_name(name) for name in ("faults.toml", "RESULTS.md"))
LIMIT = 900  # seconds for a run of pytest: a fault that makes a loop endless is no proof of a law
LEFT_OUT = (".git", ".venv*", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", "build", "dist", "out", "handout")
# Golden files notice any change of a number, which is no law; and the table of faults does not apply to a broken tree.
IGNORED = ("tests/test_golden.py", "tests/test_mutants.py")
INTRODUCTION = """# Faults and the tests that notice them

Written by `make mutants`: each fault of `tests/mutants/faults.toml` is put into a copy of the repository, and the fast
tests run until the first one fails: first the one named here, then those that state the laws of the broken file, then
the rest; golden files do not count.

"""


class Fault(NamedTuple):
    """One mistake, as a replacement in one file.

    tests   files whose tests state the laws of that file, which are run first
    """

    file: str
    tests: list[str]
    id: str
    what: str
    old: str
    new: str

    @property
    def last_killer(self) -> list[str]:
        """The test that noticed it in the run that wrote the page, if it has one."""
        row = re.search(rf"\| `{re.escape(self.id)}` \|.*\| `(test_.*?::.*)` \|$", PAGE.read_text("utf-8"), re.M)
        return [f"tests/{row.group(1)}".replace(r"\|", "|")] if row else []

    def applied(self, source: str) -> str:
        """The file's source with the fault in it; its text must be there exactly once, and what comes out be Python."""
        count, made = source.count(self.old), source.replace(self.old, self.new)
        if count != 1:
            raise SystemExit(f"{self.file}: the text of fault {self.id} occurs {count} times; update {TABLE.name}.")
        try:
            compile(made, self.file, "exec")
        except SyntaxError as error:
            raise SystemExit(
                f"{self.file}: with fault {self.id} it is no Python ({error}); update {TABLE.name}."
            ) from None
        return made


def read() -> list[Fault]:
    """All faults of the table."""
    found = []
    for file, rows in tomllib.loads(TABLE.read_text("utf-8")).items():
        tests = [f"tests/test_{name}.py" for name in rows.pop("tests")]
        found += [Fault(file, tests, name, **row) for name, row in rows.items()]
    return found


def failing(root: Path, *arguments: str) -> str | None:
    """The test of a copy of the repository that fails first; None if all pass, a file if it cannot be imported."""
    # This copy of ebll, also in processes that a test starts elsewhere; and the same random examples every time.
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1", "CI": "1"}
    words = [sys.executable, "-m", "pytest", "-x", "-q", "-rfE", "--tb=no", "-p", "no:cacheprovider", *arguments]
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "errors": "replace"}
    try:
        done = subprocess.run(words, cwd=root, env=environment, timeout=LIMIT, check=False, **options)
    except subprocess.TimeoutExpired:
        return f"the time limit of {LIMIT} s was reached"
    if done.returncode in (0, 5):  # 5: no test of the fast tier in these files
        return None
    failed = re.search(r"^(?:FAILED|ERROR) (tests/.*?)(?: - .*)?$", done.stdout, re.M)
    if not failed:
        raise SystemExit(f"pytest stopped with exit code {done.returncode} and names no test:\n{done.stdout[-2000:]}")
    return failed.group(1)


def killer(fault: Fault, root: Path) -> str | None:
    """The first fast test that notices a fault in a copy of the repository."""
    path, ignored = root / fault.file, [f"--ignore={name}" for name in (*IGNORED, *fault.tests)]
    source = path.read_text(encoding="utf-8")
    path.write_text(fault.applied(source), encoding="utf-8")
    try:
        last = fault.last_killer and failing(root, *fault.last_killer)
        return last or failing(root, *fault.tests) or failing(root, "tests", *ignored)
    finally:
        path.write_text(source, encoding="utf-8")


def run(faults: Sequence[Fault], jobs: int) -> dict[str, str | None]:
    """Fault -> what noticed it."""
    found, trees = {}, SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="ebll-mutants-") as folder, ThreadPoolExecutor(jobs) as pool:
        for job in range(jobs):
            trees.put(shutil.copytree(ROOT, Path(folder, str(job)), ignore=shutil.ignore_patterns(*LEFT_OUT)))

        def of(fault: Fault) -> str | None:
            root = trees.get()
            try:
                return killer(fault, root)
            finally:
                trees.put(root)

        try:
            first = trees.get()
            if failed := failing(first, *sorted({name for fault in faults for name in fault.tests})):
                raise SystemExit(f"{failed} fails without any fault: the fast tests must pass first")
            trees.put(first)
            for fault, name in zip(faults, tqdm(pool.map(of, faults), total=len(faults), unit=""), strict=True):
                found[fault.id] = name
                tqdm.write(f"{fault.id}: {said(name)}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def noticed(killer: str | None) -> bool:
    """Whether a test failed; not an import, nor the time that was left."""
    return killer is not None and "::" in killer


def said(killer: str | None) -> str:
    """What became of a fault, in words."""
    if killer is None:
        return "NOT NOTICED by any fast test"
    return f"killed by {killer}" if noticed(killer) else f"NOT PROPERLY NOTICED: no test failed, but {killer}"


def page(faults: Sequence[Fault], found: dict[str, str | None]) -> str:
    """The table of faults as Markdown."""
    rows = ["| File | Fault | What goes wrong | Killed by |", "| --- | --- | --- | --- |"]
    for fault in faults:
        name = found[fault.id]
        shown = f"`{name.removeprefix('tests/')}`" if noticed(name) else f"**{said(name)}**"
        rows.append(" | ".join([f"| `{fault.file}`", f"`{fault.id}`", fault.what, shown.replace("|", r"\|") + " |"]))
    count = sum(map(noticed, found.values()))
    return INTRODUCTION + f"{len(found)} faults, {count} killed.\n\n" + "\n".join(rows) + "\n"


def main() -> int:
    """The command."""
    words, _, more = __doc__.partition("\n")
    parser = argparse.ArgumentParser("python -m tests.mutants", description=words, epilog=more)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="ids of faults or files of the library; all if none")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: cores)")
    parser.add_argument("--list", action="store_true", help="show the faults and run nothing")
    arguments = parser.parse_args()
    everything, names = read(), set(arguments.faults)
    if unknown := names - {name for fault in everything for name in (fault.id, fault.file)}:
        parser.error(f"no fault and no file with faults: {', '.join(sorted(unknown))}; --list shows them all")
    faults = [fault for fault in everything if not names or names & {fault.id, fault.file}]
    if arguments.list:
        print("\n".join(f"{fault.id:34}{fault.file:38}{fault.what}" for fault in faults))
        return 0
    found = run(faults, max(1, min(arguments.jobs, len(faults))))
    if len(found) == len(everything):
        PAGE.write_text(page(everything, found), encoding="utf-8")
    left = [f"{name}: {said(killer)}" for name, killer in found.items() if not noticed(killer)]
    print(f"{len(found)} faults, {len(found) - len(left)} killed.", *left, sep="\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
