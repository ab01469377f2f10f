"""Make the notebooks from their sources: run them, measure them, write them with outputs.

    python -m notebooks.source.build                  # all, a few minutes; what `make notebooks` does
    python -m notebooks.source.build 03 04            # those whose names begin so
    python -m notebooks.source.build --links OWNER/REPO       # only the web links, for a fork
    python -m notebooks.source.build --handout FOLDER         # student copies without outputs and without solutions
    python -m notebooks.source.build --handout FOLDER --nbgrader   # with the metadata of nbgrader

A source is a Python file in jupytext's percent format. `# %% name [markdown]` begins a cell, and the name becomes its
id. In a cell tagged "exercise" all lines after `# solution` are replaced in the student's copy, and shown folded after
the next cell tagged "check", which may fail there and nowhere else. Of a cell tagged "hidden" JupyterLab shows only the
output; cells tagged "slide" make the slides, and the site unfolds the page that a cell has as `page` below its output.
`{{read}}`, `{{run}}` and `{{start}}` in the first cell are filled in here; `{{diagram:networks}}` in any stands
for that diagram of docs/diagrams. `guards/NN.py` holds the asserts on what the prose says of the results: a section
`# %% name` runs right after the cell of that name, and is not written.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import jupytext
import nbformat
import pandas as pd
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from notebooks.source import diagrams, machine

__all__ = [
    "build", "execute", "guards", "make", "number", "reading_minutes", "sources", "start", "student", "student_cell",
    "timings",
]  # fmt: skip

SOURCES = Path(__file__).parent
FOLDER = SOURCES.parent
SOLUTIONS = FOLDER / "solutions"
TIMINGS = SOURCES / "timings.csv"
MARK = re.compile(r"^(?P<indent> *)# solution *$")
PLACEHOLDER = re.compile(r"^( +)raise NotImplementedError\(.*\)$", re.M)
FOLDED = re.compile(r"\s*<details><summary>[^<]*\b[Aa]nswer\b.*?</details>", re.S)  # of a question to think about
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# Appended for the measurement and taken out again.
PEAK = "import resource as _r; print(_r.getrusage(_r.RUSAGE_SELF).ru_maxrss)"


def sources() -> list[Path]:
    """The sources in the order of the course."""
    return sorted(SOURCES.glob("[0-9]*.py"))


def number(source: Path) -> str:
    """What a name begins with: 02, or 02b of an appendix to 02."""
    return source.stem.split("_")[0]


def make(source: Path) -> NotebookNode:
    """The notebook of a source with all solutions in place, not run, what is measured not filled in."""
    parsed = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    notebook = nbformat.v4.new_notebook(metadata=copy.deepcopy(METADATA))
    for number, cell in enumerate(parsed.cells):
        new = nbformat.v4.new_markdown_cell if cell.cell_type == "markdown" else nbformat.v4.new_code_cell
        tags = cell.metadata.get("tags", [])
        name = cell.metadata.get("title") or f"cell-{number}"
        metadata = {"tags": tags} if tags else {}
        if "hidden" in tags:  # for JupyterLab; and the tag by which Jupyter Book, and nbconvert if told so, hide code
            metadata = {"tags": [*tags, "hide-input"], "jupyter": {"source_hidden": True}}
        if "page" in cell.metadata:
            metadata["page"] = cell.metadata["page"]
        notebook.cells.append(new(cell.source, id=name.strip(), metadata=metadata))
    return diagrams.attach(notebook)


def guards(source: Path) -> dict[str, str]:
    """Name of a cell -> the code that runs right after it, as a function, so that no later cell can use its names."""
    path = source.parent / "guards" / f"{number(source)}.py"
    cells = make(path).cells if path.exists() else []
    names = [cell.id for cell in cells]
    if wrong := set(names) - {cell.id for cell in make(source).cells if cell.cell_type == "code"}:
        raise ValueError(f"{source.name} has no code cell named {', '.join(sorted(wrong))}; mend guards/{path.name}")
    if len(set(names)) < len(names):
        raise ValueError(f"guards/{path.name} may guard a cell once; its sections: {', '.join(names)}")
    return {cell.id: f"def guard():\n{textwrap.indent(cell.source, '    ')}\n\nguard()\ndel guard" for cell in cells}


def student_cell(code: str) -> tuple[str, str]:
    """(stub, solution) of an exercise: the lines above `# solution` with a placeholder, and all lines without it."""
    lines = code.splitlines()
    at = next((i for i, line in enumerate(lines) if MARK.match(line)), None)
    if at is None:
        raise ValueError(f"an exercise needs a line '# solution'; got:\n{code}")
    indent = MARK.match(lines[at])["indent"]
    if indent:
        stub = [f'{indent}raise NotImplementedError("write this function")']
    else:
        stub = [re.sub(r"=.*", "= ...", line) for line in lines[at + 1 :] if re.match(r"\w+ = ", line)]
    return "\n".join(lines[:at] + stub), "\n".join(lines[:at] + lines[at + 1 :])


def solved(notebook: NotebookNode) -> NotebookNode:
    """The solution copy: exercises as the author wrote them, without the marks."""
    made = copy.deepcopy(notebook)
    for cell in made.cells:
        if "exercise" in cell.metadata.get("tags", []):
            cell.source = student_cell(cell.source)[1]
    return made


def student(notebook: NotebookNode, answers: bool = True) -> NotebookNode:
    """The student's copy: stubs and checks that may fail; solutions and answers stay, folded, only if `answers`."""
    made, cells, waiting = copy.deepcopy(notebook), [], ""
    for cell in made.cells:
        tags = cell.metadata.get("tags", [])
        cells.append(cell)
        if cell.cell_type == "markdown" and not answers:
            cell.source = FOLDED.sub("", cell.source)
        if "exercise" in tags:
            cell.source, waiting = student_cell(cell.source)
        elif cell.cell_type == "code" and any(map(MARK.match, cell.source.splitlines())):
            raise ValueError(f"cell {cell.id} has a solution but is not tagged 'exercise'; its tags: {tags}")
        if "check" in tags:
            cell.metadata["tags"] = [*tags, "raises-exception"]
            if answers and waiting:
                text = f"<details><summary>Solution</summary>\n\n```python\n{waiting}\n```\n\n</details>"
                cells.append(nbformat.v4.new_markdown_cell(text, id=f"{cell.id}-solution"))
            waiting = ""
    made.cells = cells
    return made


def nbgrader(notebook: NotebookNode) -> NotebookNode:
    """Mark, in place, each exercise of a student's copy as an answer to be graded by its check, a point each.

    nbgrader writes its own placeholder between the marks of a solution, which raises an exception when it runs.
    """
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "exercise" in tags:
            marks = r"\1### BEGIN SOLUTION\n\g<0>\n\1### END SOLUTION"
            cell.source, functions = PLACEHOLDER.subn(marks, cell.source)
            if not functions:
                cell.source += "\n### BEGIN SOLUTION\n### END SOLUTION"
                cell.metadata["tags"] = [*tags, "raises-exception"]
        if {"exercise", "check"} & set(tags):
            check = "check" in tags
            kind = {"grade": check, "solution": not check, "locked": check, "task": False}
            points = {"points": 1} if check else {}
            cell.metadata["nbgrader"] = {"grade_id": cell.id, "schema_version": 3, **kind, **points}
    return notebook


class Client(NotebookClient):
    """Runs a cell's guard after it, outside the history, so that the cells' numbers stay those of a student."""

    def __init__(self, notebook: NotebookNode, guards: dict[str, str], **options: object) -> None:
        super().__init__(notebook, **options)
        self.guards = guards

    async def async_execute_cell(self, cell, cell_index, *arguments, **options) -> NotebookNode:
        done = await super().async_execute_cell(cell, cell_index, *arguments, **options)
        if cell.id in self.guards:
            guard = nbformat.v4.new_code_cell(self.guards[cell.id], id=f"guard-{cell.id}")
            await super().async_execute_cell(guard, cell_index, store_history=False)
            self.code_cells_executed -= 1
            self.nb.cells[cell_index] = done
        return done


def execute(notebook: NotebookNode, timeout: int = 120, guarded: dict[str, str] | None = None) -> NotebookNode:
    """Run a notebook in a fresh kernel of this very interpreter, in the folder of the notebooks.

    guarded  the notebook's `guards`; one that fails stops the run
    """
    specs = KernelSpecManager(kernel_dirs=[])  # leaves the native kernel alone, whatever else is installed
    client = Client(
        notebook,
        guarded or {},
        km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs),
        timeout=timeout,
        record_timing=False,
        coalesce_streams=True,  # else a busy machine decides into how many outputs the lines of a cell are cut
        resources={"metadata": {"path": str(FOLDER)}},
    )
    environ = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    return client.execute(env=environ, cleanup_kc=True)  # else the kernel lives as long as this process


def measure(notebook: NotebookNode, guarded: dict[str, str]) -> tuple[NotebookNode, float, float]:
    """(run notebook, seconds from start to end of its kernel, peak memory of the kernel in MB)."""
    notebook.cells.append(nbformat.v4.new_code_cell(PEAK))
    begun = time.monotonic()
    execute(notebook, guarded=guarded)
    seconds = time.monotonic() - begun
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    peak = float(notebook.cells.pop().outputs[0].text) / unit
    return notebook, seconds, peak


def is_picture(output: NotebookNode) -> bool:
    """Whether an output of a cell is a figure, or the static twin of a widget."""
    data = output.get("data", {})
    return "image/png" in data or data.get("text/html", "").startswith("<img ")


def reading_minutes(notebook: NotebookNode) -> int:
    """Minutes to read and do, rounded up to five: 150 words or 12 lines of code that is not hidden a minute, a
    minute a figure and a prediction, eight an exercise.
    """  # fmt: skip
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    unread = r"<details>.*?</details>|!\[.*?\]\(attachment:"  # what is folded, and the texts of diagrams
    words = len(re.findall(r"\w+", re.sub(unread, "", "\n".join(prose), flags=re.S)))
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    lines = sum(len(cell.source.splitlines()) for cell in code if "hidden" not in cell.metadata.get("tags", []))
    figures = sum(is_picture(output) for cell in code for output in cell.outputs)
    figures += sum("attachments" in cell for cell in notebook.cells)
    predictions = sum(text.count("**Predict first.**") for text in prose)
    exercises = sum("exercise" in cell.metadata.get("tags", []) for cell in code)
    return 5 * math.ceil((words / 150 + lines / 12 + figures + predictions + 8 * exercises) / 5)


START = re.compile(r"^\*\*To run it\*\*: .*$", re.M)


def start(slug: str | None, name: str) -> str:
    """The line on how to run one notebook; for a repository on GitHub it has web links, too."""
    row = (
        "**To run it**: `make lab` in the kit's folder. A kernel without `ebll` needs `pip install -e .` there, and a "
        "restart."
    )
    if not slug:
        return row
    path = f"{slug}/blob/main/notebooks/{name}.ipynb"
    return (
        f"{row} Open in: [Colab](https://colab.research.google.com/github/{path}), where "
        f"`%pip install git+https://github.com/{slug}` comes first · "
        f"[Binder](https://mybinder.org/v2/gh/{slug}/main?urlpath=lab/tree/notebooks/{name}.ipynb) · "
        f"[nbviewer](https://nbviewer.org/github/{path})"
    )


def github_slug() -> str | None:
    """OWNER/REPO of the checkout's origin if that is on GitHub."""
    told = os.environ.get("GITHUB_REPOSITORY")
    if told:
        return told
    asked = subprocess.run(
        ["git", "remote", "get-url", "origin"], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    return slug_of(asked.stdout.strip())


def slug_of(address: str) -> str | None:
    """OWNER/REPO of a repository's address if that is on GitHub."""
    found = re.search(r"(?:^|[/@.])github\.com[/:]([\w.-]+/[\w.-]+?)(?:\.git)?/?$", address)
    return found[1] if found else None


def timings() -> pd.DataFrame:
    """notebook, read_minutes, run_seconds (rounded up to five), peak_mb (rounded up to ten), as last measured."""
    return pd.read_csv(TIMINGS) if TIMINGS.exists() else pd.DataFrame(columns=["notebook", *_COLUMNS])


_COLUMNS = ["read_minutes", "run_seconds", "peak_mb"]


def fill(notebook: NotebookNode, slug: str | None, name: str, read: int, run: int) -> NotebookNode:
    """Fill in the placeholders of the first cell."""
    first = notebook.cells[0]
    for mark, value in {"{{start}}": start(slug, name), "{{read}}": str(read), "{{run}}": str(run)}.items():
        first.source = first.source.replace(mark, value)
    return notebook


def build(source: Path, slug: str | None = None) -> None:
    """Write a notebook with outputs, its solution copy without, its row of timings.csv, and what it was made on."""
    base = make(source)
    notebook, seconds, peak = measure(student(base), guards(source))
    row = [reading_minutes(notebook), 5 * math.ceil(seconds / 5), 10 * math.ceil(peak / 10)]
    table = timings().set_index("notebook")
    table.loc[source.stem, _COLUMNS] = row
    table.sort_index().astype(int).to_csv(TIMINGS, lineterminator="\n")
    write(fill(notebook, slug, source.stem, *row[:2]), FOLDER / f"{source.stem}.ipynb")
    SOLUTIONS.mkdir(exist_ok=True)
    write(fill(solved(base), slug, source.stem, *row[:2]), SOLUTIONS / f"{source.stem}.ipynb")
    machine.record(source.stem)
    print(f"{source.stem}: {seconds:.1f} s, {peak:.0f} MB, {row[0]} minutes to read")


def retime() -> None:
    """Put the measured times into the table of notebooks/README.md."""
    path = FOLDER / "README.md"
    text = path.read_text(encoding="utf-8")
    for row in timings().itertuples():
        old = rf"(\| \[`{row.notebook}\.ipynb`\].*\|) \d+ min \| \d+ s \|$"
        text = re.sub(old, rf"\1 {row.read_minutes} min | {row.run_seconds} s |", text, flags=re.M)
    path.write_text(text, encoding="utf-8")


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook with nothing in it that differs from run to run."""
    notebook.metadata = nbformat.from_dict(copy.deepcopy(METADATA))
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    nbformat.validate(notebook)
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def main() -> None:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="notebooks whose names begin so (default: all)")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--links", nargs="?", const="", metavar="OWNER/REPO", help="only rewrite the web links")
    only.add_argument("--handout", type=str.strip, metavar="FOLDER", help="only write student copies there")
    parser.add_argument("--nbgrader", action="store_true", help="with --handout: add the metadata of nbgrader")
    options = parser.parse_args()
    chosen = [s for s in sources() if not options.names or s.stem.startswith(tuple(options.names))]
    if not chosen:
        parser.error(
            f"no notebook begins with {', '.join(options.names)}; there are: {', '.join(s.stem for s in sources())}"
        )
    options.links = options.links and (slug_of(options.links) or options.links)
    if options.links and not re.fullmatch(r"\w[\w-]*/(?!\.+$)[\w.-]+", options.links):
        parser.error(f"--links takes OWNER/REPO; got {options.links!r}")
    for name in options.names:
        if not any(source.stem.startswith(name) for source in chosen):
            parser.error(f"no notebook begins with {name}; there are: {', '.join(s.stem for s in sources())}")
    handout = None if options.handout is None else Path(options.handout)
    if options.nbgrader and handout is None:
        parser.error("--nbgrader goes with --handout FOLDER")
    if handout:
        if not options.handout:
            parser.error("--handout takes a folder; got an empty name")
        if FOLDER.resolve() in (handout.resolve(), *handout.resolve().parents):
            parser.error(f"--handout: {handout} is inside notebooks/, where it would replace what is kept there")
        if any(path.exists() and not path.is_dir() for path in (handout, *handout.parents)):
            parser.error(f"--handout: {handout} is a file, or would be inside one; name a folder")
    slug = options.links or github_slug()
    for source in chosen:
        if handout:
            row = timings().set_index("notebook").loc[source.stem].astype(int)
            copied = student(make(source), answers=False)
            if options.nbgrader:
                nbgrader(copied)
            # Without links: those to the kept copies would lead to the solutions.
            fill(copied, None, source.stem, row.iloc[0], row.iloc[1])
            write(copied, handout / f"{source.stem}.ipynb")
        elif options.links is not None:
            relink(source.stem, slug)
        else:
            build(source, slug)
            retime()
    if handout:
        print(f"{len(chosen)} student copies are in {handout}")
    elif options.links is not None:
        print(f"{len(chosen)} notebooks have links to {slug}" if slug else "links removed: origin is not on GitHub")


def relink(name: str, slug: str | None) -> None:
    """Put the links for `slug` in the place of those that are there."""
    for path in (FOLDER / f"{name}.ipynb", SOLUTIONS / f"{name}.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[0].source = START.sub(start(slug, name), notebook.cells[0].source)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
