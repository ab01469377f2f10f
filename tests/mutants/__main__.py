"""`make mutants`: put faults into copies of the repository, one at a time, and see which fast test notices each.

    python -m tests.mutants                                # all of them, in as many processes as cores
    python -m tests.mutants -j 1                           # one after the other
    python -m tests.mutants ebll/networks.py weight-decay-off  # those of a file, and one by its id
    python -m tests.mutants --list                         # what there is

The tests that state the laws of the broken file run first, then the rest of the fast tier, without the golden files.
A run over all faults writes tests/mutants/RESULTS.md. The exit code is 1 where a fault goes unnoticed.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import difflib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from tqdm import tqdm

from .faults import FAULTS, LIKELY, DoesNotApply, Fault

ROOT = Path(__file__).parents[2]
PAGE = Path(__file__).with_name("RESULTS.md")
LIMIT = 900  # seconds for a run of pytest: a fault that makes a loop endless is no proof of a law
LEFT_OUT = (".git", ".venv*", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", "build", "dist", "out", "handout")
# Golden files notice any change of a number, which is no law; and the table of faults does not apply to a broken tree.
IGNORED = ("tests/test_golden.py", "tests/test_mutants.py")
INTRODUCTION = """# Faults and the tests that notice them

Written by `make mutants`: each fault of `tests/mutants/faults.py` is put into a copy of the repository, and the fast
tests run until the first one fails. Those that state the laws of the broken file run first; golden files do not count.

"""


class Problem(Exception):
    """Why nothing can be said of the faults, in a sentence."""


class Tree:
    """A copy of the repository, in which one fault at a time is tried."""

    def __init__(self, folder: str):
        self.root, self.scratch = Path(folder, "tree"), Path(folder, "tmp")
        self.scratch.mkdir()
        shutil.copytree(ROOT, self.root, ignore=shutil.ignore_patterns(*LEFT_OUT))

    async def pytest(self, *arguments: str) -> str | None:
        """The test that fails first, None if all pass; a file's name if it cannot even be imported."""
        words = ["-m", "pytest", "-x", "-q", "-rfE", "--tb=no", "-p", "no:cacheprovider", *arguments]
        environment = os.environ | {
            "PYTHONPATH": str(self.root),  # this copy of ebll, also in processes that a test starts elsewhere
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self.scratch),
            "CI": "1",  # the same random examples every time
        }
        told = self.scratch / "told.txt"
        with open(told, "wb") as file:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, *words),
                cwd=self.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        try:
            await asyncio.wait_for(child.wait(), LIMIT)
        except TimeoutError:
            return f"the time limit of {LIMIT} s was reached"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # with whatever processes the tests have started
            await child.wait()
        if child.returncode in (0, 5):  # 5: no test of the fast tier in these files
            return None
        text = told.read_text(encoding="utf-8", errors="replace")
        failed = re.search(r"^(?:FAILED|ERROR) (tests/.*?)(?: - .*)?$", text, re.M)
        if not failed:
            raise Problem(f"pytest stopped with exit code {child.returncode} and names no test:\n{text[-2000:]}")
        return failed.group(1)

    async def killer(self, fault: Fault) -> str | None:
        """The first fast test that notices a fault."""
        path, ignored = self.root / fault.file, [f"--ignore={name}" for name in IGNORED]
        source, likely = path.read_text(encoding="utf-8"), likely_tests(fault)
        path.write_text(fault.applied(source), encoding="utf-8")
        try:
            found = await self.pytest(*likely)
            if found is None:
                found = await self.pytest("tests", *ignored, *(f"--ignore={name}" for name in likely))
                path.write_text(source, encoding="utf-8")
                if found and "::" in found and await self.pytest(found):
                    raise Problem(f"{found} fails without any fault, too: the fast tests must pass first")
            return found
        finally:
            path.write_text(source, encoding="utf-8")


def likely_tests(fault: Fault) -> list[str]:
    """The files whose tests are run first."""
    return [f"tests/test_{name}.py" for name in LIKELY[fault.file]]


async def each(
    what: str, items: Iterable[str | Fault], trees: list[Tree], work: Callable[[Tree, str | Fault], Awaitable[None]]
) -> None:
    """Do the same with all items, one at a time in each tree."""
    waiting = collections.deque(items)
    with tqdm(total=len(waiting), desc=what, unit="") as bar:

        async def worker(tree: Tree) -> None:
            while waiting:
                await work(tree, waiting.popleft())
                bar.update()

        try:
            async with asyncio.TaskGroup() as group:
                for tree in trees:
                    group.create_task(worker(tree))
        except ExceptionGroup as several:
            raise several.exceptions[0] from None


async def run(faults: list[Fault], jobs: int) -> dict[str, str | None]:
    """Fault -> what noticed it."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    found: dict[str, str | None] = {}

    async def check(tree: Tree, name: str) -> None:
        if failed := await tree.pytest(name):
            raise Problem(f"{failed} fails without any fault: the fast tests must pass first")

    async def attempt(tree: Tree, fault: Fault) -> None:
        found[fault.id] = await tree.killer(fault)
        tqdm.write(f"{fault.id}: {said(found[fault.id])}")

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ebll-mutants-"))
        trees = []
        for i in range(min(jobs, len(faults))):
            (place := Path(folder, str(i))).mkdir()
            trees.append(Tree(str(place)))
        await each("tests without a fault", sorted({n for f in faults for n in likely_tests(f)}), trees, check)
        await each("faults", faults, trees, attempt)
    return found


def noticed(killer: str | None) -> bool:
    """Whether a test failed; not an import, nor the time that was left."""
    return killer is not None and "::" in killer


def said(killer: str | None) -> str:
    """What became of a fault, in words."""
    if killer is None:
        return "NOT NOTICED by any fast test"
    return f"killed by {killer}" if noticed(killer) else f"NOT PROPERLY NOTICED: no test failed, but {killer}"


def page(found: dict[str, str | None]) -> str:
    """The table of faults as Markdown."""
    rows = ["| File | Fault | What goes wrong | Killed by |", "| --- | --- | --- | --- |"]
    for fault in sorted(FAULTS, key=lambda fault: fault.file):
        killer = found[fault.id]
        shown = f"`{killer.removeprefix('tests/')}`" if noticed(killer) else f"**{said(killer)}**"
        rows.append(" | ".join([f"| `{fault.file}`", f"`{fault.id}`", fault.what, shown.replace("|", r"\|") + " |"]))
    count = sum(map(noticed, found.values()))
    return INTRODUCTION + f"{len(found)} faults, {count} killed.\n\n" + "\n".join(rows) + "\n"


def chosen(names: list[str]) -> list[Fault]:
    """The faults of these ids and files; all of them where none is named."""
    known = {fault.id for fault in FAULTS} | LIKELY.keys()
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
            meant = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise Problem(f"there is no fault and no file with faults {name!r}.{meant} --list shows them all.")
    return [fault for fault in FAULTS if not names or fault.id in names or fault.file in names]


def misfits(faults: list[Fault]) -> list[str]:
    """A sentence for each fault that does not apply to the library as it is."""
    sentences = []
    for fault in faults:
        try:
            fault.applied((ROOT / fault.file).read_text(encoding="utf-8"))
        except (DoesNotApply, OSError) as error:
            sentences.append(str(error))
    return sentences


def main() -> int:
    """The command."""
    words, _, more = __doc__.partition("\n")
    parser = argparse.ArgumentParser("python -m tests.mutants", description=words, epilog=more)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="ids of faults or files of the library; all if none")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: cores)")
    parser.add_argument("--list", action="store_true", help="show the faults and run nothing")
    arguments = parser.parse_args()
    try:
        if arguments.jobs < 1:
            raise Problem(f"--jobs must be at least 1; got {arguments.jobs}.")
        faults = chosen(arguments.faults)
        if arguments.list:
            print("\n".join(f"{fault.id:34}{fault.file:38}{fault.what}" for fault in faults))
            return 0
        if unfit := misfits(faults):
            raise Problem("\n".join(unfit))
        found = asyncio.run(run(faults, arguments.jobs))
    except Problem as error:
        print(error, file=sys.stderr)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("Stopped; nothing was written.", file=sys.stderr)
        return 130
    if len(found) == len(FAULTS):
        PAGE.write_text(page(found), encoding="utf-8")
    left = [f"{name}: {said(killer)}" for name, killer in found.items() if not noticed(killer)]
    print(f"{len(found)} faults, {len(found) - len(left)} killed.", *left, sep="\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
