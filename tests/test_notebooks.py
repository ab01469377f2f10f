"""Every notebook runs offline from top to bottom, gives its committed numbers, and keeps the rules of form."""

import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
ABSOLUTE = re.compile(r"(?<![\w.:/])/(?:home|root|work|tmp|Users|mnt|content|opt|var)/|\b[A-Z]:\\|file://")

# Runs in the kernel before the notebook: whatever looks up or connects to another machine stops it.
OFFLINE = """
import socket as _socket

def _guard(real, host_of):
    def guarded(*args, **kwargs):
        host = host_of(args)
        host = host.decode() if isinstance(host, bytes) else host
        if host not in (None, "", "localhost", "::1") and not str(host).startswith("127."):
            raise RuntimeError(f"the network was asked for {host!r}; the notebooks work offline")
        return real(*args, **kwargs)
    return guarded

def _peer(args):
    return args[1][0] if isinstance(args[1], tuple) else None

_socket.socket.connect = _guard(_socket.socket.connect, _peer)
_socket.socket.connect_ex = _guard(_socket.socket.connect_ex, _peer)
_socket.getaddrinfo = _guard(_socket.getaddrinfo, lambda args: args[0])
del _guard, _peer, _socket
"""

each = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


@pytest.fixture
def kernel_environment(tmp_path, monkeypatch):
    """The inline backend, no settings of the person who runs the tests, and no network."""
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-offline.py").write_text(OFFLINE, encoding="utf-8")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.delenv("MPLBACKEND", raising=False)


def execute(notebook):
    """Run a notebook in a fresh kernel of this very interpreter; any error in a cell is raised."""
    specs = KernelSpecManager(kernel_dirs=[])  # leaves the native kernel alone, whatever else is installed
    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs),
        timeout=120,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    return client.execute(env=dict(os.environ))


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def said(output):
    """An output as text: what is printed, or the plain form of what is shown."""
    return output.get("text") or output.get("data", {}).get("text/plain", "")


def results(notebook):
    """(cell id, kind, text) of every output but those that tell versions apart."""
    return [
        (cell.id, "image" if "image/png" in output.get("data", {}) else "text", said(output))
        for cell in code_cells(notebook)
        if "environment" not in cell.metadata.get("tags", [])
        for output in cell.outputs
    ]


def near(one, other):
    """The same words, and numbers that another processor's rounding may have led to: percent points, mostly."""
    if NUMBER.sub("#", one).split() != NUMBER.sub("#", other).split():
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    return all(abs(float(a) - float(b)) <= 2 + 0.05 * abs(float(a)) for a, b in pairs)


@each
def test_a_notebook_runs_offline_and_gives_the_numbers_it_is_committed_with(path, kernel_environment):
    committed, run = results(read(path)), results(execute(read(path)))
    if run == committed:
        return
    # Another machine: training magnifies the last bit, so numbers may differ a little, but not from run to run.
    assert [row[:2] for row in run] == [row[:2] for row in committed]
    for (cell, kind, now), (_, _, then) in zip(run, committed, strict=True):
        assert kind == "image" or near(now, then), f"{path.name}, cell {cell}: {now!r} is not near {then!r}"
    assert results(execute(read(path))) == run


def test_the_kernel_of_the_tests_is_this_interpreter_and_cannot_reach_the_network(kernel_environment):
    cells = [
        "import sys; print(sys.executable)",
        "import urllib.request\nurllib.request.urlopen('http://example.org')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    with pytest.raises(Exception, match="the notebooks work offline"):
        execute(notebook)
    assert os.path.realpath(notebook.cells[0].outputs[0].text.strip()) == os.path.realpath(sys.executable)


def test_numbers_are_compared_and_words_too():
    assert near("lost 8.8 points", "lost 7.9 points")
    assert not near("lost 8.8 points", "lost 18.8 points")
    assert not near("lost 8.8 points", "won 8.8 points")


@each
def test_one_heading_and_all_parts(path):
    text = re.sub(r"```.*?```", "", prose(read(path)), flags=re.S)
    first = read(path).cells[0]
    assert len(re.findall(r"^# ", text, re.M)) == 1
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    for part in ("For whom", "Before this", "After this notebook you can"):
        assert part in first.source, part
    assert re.search(r"\*\*Time\*\*: .*\d+ minutes to read; about \d+ s to run", first.source)
    assert len(re.findall(r"^\d\. \*\*\w+\*\* ", first.source, re.M)) in (3, 4, 5), "objectives are verbs, 3 to 5"
    assert "**Predict first.**" in text
    assert re.findall(r"^## (Summary|What to try next|References)$", text, re.M) == [
        "Summary",
        "What to try next",
        "References",
    ]


@each
def test_every_objective_has_its_answer_in_the_summary(path):
    text = prose(read(path))
    objectives = re.findall(r"^(\d)\. ", read(path).cells[0].source, re.M)
    summary = text.split("## Summary")[1].split("\n## ")[0]
    assert re.findall(r"^(\d)\. ", summary, re.M) == objectives


@each
def test_cells_are_committed_as_run_from_top_to_bottom(path):
    notebook = read(path)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert [o for cell in cells for o in cell.outputs if o.output_type == "error" or o.get("name") == "stderr"] == []
    assert all(len(cell.source.splitlines()) <= 25 for cell in cells)
    assert any(cell.outputs for cell in cells)


@each
def test_every_image_has_alt_text(path):
    for cell in code_cells(read(path)):
        for output in cell.outputs:
            for kind in [kind for kind in output.get("data", {}) if kind.startswith("image/")]:
                alt = output.metadata.get(kind, {}).get("alt", "")
                assert len(alt) > 20, f"{path.name}, cell {cell.id}: an image without alt text"
    assert re.findall(r"!\[\s*\]\(|<img(?![^>]*\balt=)", prose(read(path))) == []


@each
def test_small_and_nothing_that_a_stranger_cannot_use(path):
    notebook = read(path)
    assert path.stat().st_size < 500_000
    assert "widgets" not in notebook.metadata
    assert "widget-view+json" not in path.read_text(encoding="utf-8")
    assert notebook.metadata.kernelspec.name == "python3"
    texts = [cell.source for cell in notebook.cells]
    texts += [said(output) for cell in code_cells(notebook) for output in cell.outputs]
    assert [found.group() for text in texts for found in ABSOLUTE.finditer(text)] == []
    assert [cell.source for cell in code_cells(notebook) if re.search(r"^\s*[!%]", cell.source, re.M)] == []


@each
def test_links_inside_the_repository_resolve(path):
    text = prose(read(path))
    anchors = {re.sub(r"\s+", "-", line.strip()) for line in re.findall(r"^#+ (.+)$", text, re.M)}
    for link in re.findall(r"\]\((?!https?://)([^)]+)\)", text):
        target, _, anchor = link.partition("#")
        assert (FOLDER / target).exists() if target else anchor in anchors, f"{path.name} links to {link}"


def test_the_list_of_notebooks_is_complete():
    assert PATHS
    listed = re.findall(r"\[`(\w+\.ipynb)`\]\(\1\)", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert listed == [path.name for path in PATHS]
