"""Each notebook runs once at its real size, offline, and shows what it is committed with.

What runs is the solution copy: no cell depends on what a student writes, so beside the checks it shows what the
student's copy does. That the stubs fail with their hints is tested in test_notebooks.py.
"""

import os

import nbformat
import pytest
from notebook_rig import FIND, code_cells, each, read, results, said, tags, told_apart, words_of

from notebooks.source import build, machine

pytestmark = pytest.mark.notebook
VERDICTS = {"supported", "not", "undecided"}  # of ebll.reproduce


@pytest.fixture(autouse=True)
def kernel_environment(tmp_path, monkeypatch):
    """The inline backend, no settings of the person who runs the tests, and no network."""
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-offline.py").write_text(f"{FIND}\n__import__('notebook_kernel').offline()\n", encoding="utf-8")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.delenv("MPLBACKEND", raising=False)


@each
def test_the_solution_copy_passes_every_check_and_shows_what_the_students_copy_is_committed_with(path):
    """On the machine that it was made on, everything is equal; on another one, everything but what was measured.

    Another processor or library rounds another last bit, and training magnifies it until it acts like another seed.
    So there a number may differ by as much as between seeds. No tolerance is wide enough for that and still means
    something, and none is needed: what the text says of a number has its guard in notebooks/source/guards, which has to
    hold everywhere, or is said by computed words. What must be the same there is the outputs, their kinds and words.
    """
    guards = build.guards(build.SOURCES / f"{path.stem}.py")
    notebook = build.execute(nbformat.read(build.SOLUTIONS / path.name, as_version=4), 600, guards)
    checks = [cell for cell in code_cells(notebook) if "check" in tags(cell)]
    assert [cell.id for cell in checks if not any(map(said, cell.outputs))] == [], "a check says what is right"
    run, committed = results(notebook), results(read(path))
    if machine.made_on().get(path.stem) == machine.this_machine():
        assert run == committed
    vocabulary = words_of("\n".join(cell.source for cell in code_cells(read(path)))) | VERDICTS
    assert told_apart(run, committed, vocabulary) == []


def test_a_cell_that_fails_stops_the_notebook_and_leaves_no_kernel():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import os; print(os.getpid()); 1 / 0")])
    with pytest.raises(Exception, match="ZeroDivisionError"):
        build.execute(notebook)
    with pytest.raises(ProcessLookupError):
        os.kill(int(notebook.cells[0].outputs[0].text), 0)
