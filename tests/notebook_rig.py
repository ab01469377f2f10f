"""Reading notebooks, and comparing what they show: for the notebooks' tests of both tiers."""

import re
from pathlib import Path

import nbformat
import pytest

from notebooks.source import build

PATHS = [build.FOLDER / f"{source.stem}.ipynb" for source in build.sources()]
# "ref." is what a table in the paper's layout shows for a difference of exactly 0, which seeds may give.
NUMBER = re.compile(r"(?<![\w.])(?:[+\-−]?(?:\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?|nan\b|inf\b)|ref\.)")
TURNS = {"lowest", "highest", "to", "and"}  # with which an alt text tells the course of a line
KINDS = {"sentence": "text/markdown", "table": "text/html", "value": "text/plain"}
# The first line of a kernel: it can import `notebook_kernel`, and gains no name that a notebook could miss elsewhere.
FIND = f"__import__('sys').path.append({str(Path(__file__).parent)!r})"

each = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def said(output):
    """An output as text: what is printed, the plain form of what is shown, or the message of a failed check."""
    data = output.get("data", {})
    if build.is_picture(output):
        return data["text/plain"]  # its alt text
    # A table in HTML has all its columns; the plain form leaves some out, by the width of the numbers.
    return output.get("text") or output.get("evalue") or data.get("text/html") or data.get("text/plain", "")


def kind_of(output):
    data = output.get("data", {})
    if build.is_picture(output):
        return "image"
    return next((kind for kind, form in KINDS.items() if form in data), output.output_type)


def results(notebook):
    """(cell id, kind, text) of every output but those of checks, and those that tell versions apart."""
    return [
        (cell.id, kind_of(output), said(output))
        for cell in code_cells(notebook)
        if not {"check", "environment"} & set(tags(cell))
        for output in cell.outputs
    ]


def worded(text):
    return NUMBER.sub("#", text).split()


def words_of(text):
    """Without single letters: the classes of a task, say, of which a network may take another one."""
    return set(re.findall(r"[^\W\d_]{2,}", NUMBER.sub(" ", text)))


def told_apart(now, then, vocabulary):
    """What a run on another machine prints that is not of the same kind with the same words: a sentence each.

    now, then   `results` of the run and of the committed notebook
    vocabulary  what a computed verdict may be made of: the words of the notebook's own code
    """
    if [row[:2] for row in now] != [row[:2] for row in then]:
        return [f"other outputs: {[row[:2] for row in now]}, not {[row[:2] for row in then]}"]
    found = []
    for (cell, kind, new), (_, _, old) in zip(now, then, strict=True):
        if kind == "image":  # the alt text: a title, then what is drawn, with numbers and where they turn
            same = worded(title(new)) == worded(title(old)) and words_of(new) ^ words_of(old) <= TURNS
        elif kind == "sentence":  # a verdict may turn with the numbers, into other words that the notebook knows
            same = set() < words_of(new) <= words_of(old) | vocabulary
        else:
            same = worded(new) == worded(old)
        if not same:
            found.append(f"cell {cell}: {new!r} instead of {old!r}")
    return found


def title(alt):
    return re.split(r"\.(?:\s|$)", alt)[0]
