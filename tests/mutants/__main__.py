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
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

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


class Problem(Exception):
    """Why nothing can be said of the faults, in a sentence."""


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
        """The file's source with the fault in it.

        raises  `Problem` unless the text is there exactly once, and what comes out is Python
        """
        count = source.count(self.old)
        if count != 1:
            raise Problem(f"{self.file}: the text of fault {self.id} occurs {count} times; update {TABLE.name}.")
        made = source.replace(self.old, self.new)
        try:
            compile(made, self.file, "exec")
        except SyntaxError as error:
            raise Problem(
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


class Tree:
    """A copy of the repository, in which one fault at a time is tried."""

    def __init__(self, folder: Path):
        self.root, self.scratch = folder / "tree", folder / "tmp"
        self.scratch.mkdir(parents=True)
        self.child: subprocess.Popen | None = None
        shutil.copytree(ROOT, self.root, ignore=shutil.ignore_patterns(*LEFT_OUT))

    def pytest(self, *arguments: str) -> str | None:
        """The test that fails first, None if all pass; a file's name if it cannot even be imported."""
        environment = os.environ | {
            "PYTHONPATH": str(self.root),  # this copy of ebll, also in processes that a test starts elsewhere
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self.scratch),
            "CI": "1",  # the same random examples every time
        }
        words = [sys.executable, "-m", "pytest", "-x", "-q", "-rfE", "--tb=no", "-p", "no:cacheprovider", *arguments]
        told = self.scratch / "told.txt"
        with told.open("wb") as out:
            options = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out, "start_new_session": True}
            self.child = subprocess.Popen(words, cwd=self.root, env=environment, **options)
        try:
            code = self.child.wait(LIMIT)
        except subprocess.TimeoutExpired:
            return f"the time limit of {LIMIT} s was reached"
        finally:
            self.stop()
        if code in (0, 5):  # 5: no test of the fast tier in these files
            return None
        text = told.read_text(encoding="utf-8", errors="replace")
        failed = re.search(r"^(?:FAILED|ERROR) (tests/.*?)(?: - .*)?$", text, re.M)
        if not failed:
            raise Problem(f"pytest stopped with exit code {code} and names no test:\n{text[-2000:]}")
        return failed.group(1)

    def stop(self) -> None:
        """End pytest with whatever processes the tests have started."""
        if self.child:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()

    def check(self, name: str) -> None:
        """Refuse to go on where tests fail without any fault."""
        if failed := self.pytest(name):
            raise Problem(f"{failed} fails without any fault: the fast tests must pass first")

    def killer(self, fault: Fault) -> str | None:
        """The first fast test that notices a fault."""
        path, ignored = self.root / fault.file, [f"--ignore={name}" for name in (*IGNORED, *fault.tests)]
        source = path.read_text(encoding="utf-8")
        path.write_text(fault.applied(source), encoding="utf-8")
        try:
            found = (fault.last_killer and self.pytest(*fault.last_killer)) or self.pytest(*fault.tests)
            rest = found is None
            if rest:
                found = self.pytest("tests", *ignored)
        finally:
            path.write_text(source, encoding="utf-8")
        if rest and found and "::" in found:
            self.check(found)
        tqdm.write(f"{fault.id}: {said(found)}")
        return found


def run(faults: Sequence[Fault], jobs: int) -> dict[str, str | None]:
    """Fault -> what noticed it."""
    jobs = min(jobs, len(faults))
    with tempfile.TemporaryDirectory(prefix="ebll-mutants-") as folder, ThreadPoolExecutor(jobs) as pool:
        trees, free = [Tree(Path(folder, str(i))) for i in range(jobs)], SimpleQueue()
        for tree in trees:
            free.put(tree)

        def each(what: str, work: Callable[[Tree, Any], Any], items: Sequence) -> list:
            def in_a_tree(item: Any) -> Any:
                tree = free.get()
                try:
                    return work(tree, item)
                finally:
                    free.put(tree)

            return list(tqdm(pool.map(in_a_tree, items), desc=what, total=len(items), unit=""))

        try:
            each("tests without a fault", Tree.check, sorted({name for fault in faults for name in fault.tests}))
            killers = each("faults", Tree.killer, faults)
        except BaseException:  # the threads wait for their children
            pool.shutdown(wait=False, cancel_futures=True)
            for tree in trees:
                tree.stop()
            raise
    return {fault.id: killer for fault, killer in zip(faults, killers, strict=True)}


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
        killer = found[fault.id]
        shown = f"`{killer.removeprefix('tests/')}`" if noticed(killer) else f"**{said(killer)}**"
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
    everything = read()
    names = set(arguments.faults)
    if unknown := names - {name for fault in everything for name in (fault.id, fault.file)}:
        parser.error(f"no fault and no file with faults: {', '.join(sorted(unknown))}; --list shows them all")
    faults = [fault for fault in everything if not names or names & {fault.id, fault.file}]
    if arguments.list:
        print("\n".join(f"{fault.id:34}{fault.file:38}{fault.what}" for fault in faults))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        found = run(faults, max(1, arguments.jobs))
    except Problem as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; nothing was written.", file=sys.stderr)
        return 130
    if len(found) == len(everything):
        PAGE.write_text(page(everything, found), encoding="utf-8")
    left = [f"{name}: {said(killer)}" for name, killer in found.items() if not noticed(killer)]
    print(f"{len(found)} faults, {len(found) - len(left)} killed.", *left, sep="\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
