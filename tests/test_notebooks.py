"""Every notebook runs offline from top to bottom, gives what it is committed with, and keeps the rules of form.

The student's copies are executed with their stubs, which may fail in cells tagged so and nowhere else; the solution
copies must run without any error. The rules of form are those of notebooks/source/README.md.
"""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from notebooks.source import build, machine

FOLDER = Path(__file__).parents[1] / "notebooks"
SOURCES = build.sources()
PATHS = [FOLDER / f"{source.stem}.ipynb" for source in SOURCES]
COURSE = [path for path in PATHS if not path.name.startswith("00")]
NUMBER = re.compile(r"(?<![\w.])[+\-−]?(?:\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?|nan\b|inf\b)")
TURNS = {"lowest", "highest", "to", "and"}  # with which an alt text tells the course of a line
VERDICTS = {"supported", "not", "undecided"}  # of ebll.experiments
ABSOLUTE = re.compile(r"(?<![\w.:/])/(?:home|root|work|tmp|Users|mnt|content|opt|var)/|\b[A-Z]:\\|file://")
MEASURED = re.compile(r"\d[\d.,]*\s*(?:%|points?\b|percent)")
MAY_FAIL = "raises-exception"
KINDS = {"image": "image/png", "sentence": "text/markdown", "table": "text/html", "value": "text/plain"}

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
each_of_the_course = pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
each_source = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


@pytest.fixture
def kernel_environment(tmp_path, monkeypatch):
    """The inline backend, no settings of the person who runs the tests, and no network."""
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-offline.py").write_text(OFFLINE, encoding="utf-8")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.delenv("MPLBACKEND", raising=False)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def errors(notebook):
    """(cell id, message) of every cell that failed."""
    return [(c.id, o.evalue) for c in code_cells(notebook) for o in c.outputs if o.output_type == "error"]


def sections(notebook):
    """The numbered sections, each a list of cells."""
    found, current = [], None
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (heading := re.match(r"## (\d+)?", cell.source)):
            current = [] if heading[1] else None
            if current is not None:
                found.append(current)
        if current is not None:
            current.append(cell)
    return found


def prose(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def said(output):
    """An output as text: what is printed, the plain form of what is shown, or the message of a failed check."""
    data = output.get("data", {})
    # A table in HTML has all its columns; the plain form leaves some out, by the width of the numbers.
    return output.get("text") or output.get("evalue") or data.get("text/html") or data.get("text/plain", "")


def kind_of(output):
    data = output.get("data", {})
    return next((kind for kind, form in KINDS.items() if form in data), output.output_type)


def results(notebook):
    """(cell id, kind, text) of every output but those that tell versions apart."""
    return [
        (cell.id, kind_of(output), said(output))
        for cell in code_cells(notebook)
        if "environment" not in tags(cell)
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


@each
def test_the_students_copy_runs_offline_and_gives_what_it_is_committed_with(path, kernel_environment):
    """On the machine that it was made on, everything is equal; on another one, everything but what was measured.

    Another processor or library rounds another last bit, and training magnifies it until it acts like another seed.
    So there a number may differ by as much as between seeds. No tolerance is wide enough for that and still means
    something, and none is needed: what the text says of a number is guarded by an assert in the notebook, which has to
    hold everywhere, or is said by computed words. What must be the same there is the outputs, their kinds and words;
    and a second run must repeat the first to the last digit.
    """
    committed, run = results(read(path)), results(build.execute(fresh(path)))
    if machine.made_on().get(path.stem) == machine.this_machine():
        assert run == committed
        return
    vocabulary = words_of("\n".join(cell.source for cell in code_cells(read(path)))) | VERDICTS
    assert told_apart(run, committed, vocabulary) == []
    assert results(build.execute(fresh(path))) == run


@each
def test_the_solution_copy_runs_offline_without_an_error_and_passes_every_check(path, kernel_environment):
    notebook = nbformat.read(build.SOLUTIONS / path.name, as_version=4)
    checks = [cell for cell in code_cells(notebook) if "check" in tags(cell)]
    assert [cell.id for cell in code_cells(notebook) if MAY_FAIL in tags(cell)] == []
    build.execute(notebook)
    assert errors(notebook) == []
    assert [cell.id for cell in checks if not any(map(said, cell.outputs))] == [], "a check says what is right"


def fresh(path):
    """A notebook as it is committed, without its outputs."""
    notebook = read(path)
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    return notebook


def test_the_kernel_of_the_tests_is_this_interpreter_and_cannot_reach_the_network(kernel_environment):
    cells = [
        "import sys; print(sys.executable)",
        "import urllib.request\nurllib.request.urlopen('http://example.org')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    with pytest.raises(Exception, match="the notebooks work offline"):
        build.execute(notebook)
    assert os.path.realpath(notebook.cells[0].outputs[0].text.strip()) == os.path.realpath(sys.executable)


def test_a_cell_that_is_not_tagged_may_not_fail():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    with pytest.raises(Exception, match="ZeroDivisionError"):
        build.execute(notebook)


@each_source
def test_both_copies_come_from_the_source(source):
    base, name = build.make(source), source.stem
    row = build.timings().set_index("notebook").loc[name].astype(int)
    for made, path in [
        (build.student(base), FOLDER / f"{name}.ipynb"),
        (build.solved(base), build.SOLUTIONS / f"{name}.ipynb"),
    ]:
        written = nbformat.read(path, as_version=4)
        wanted = build.fill(made, None, name, row["read_minutes"], row["run_seconds"])
        wanted.cells[0].source, written.cells[0].source = unlinked(wanted.cells[0]), unlinked(written.cells[0])
        assert [(c.id, c.source, c.metadata) for c in written.cells] == [
            (c.id, c.source, c.metadata) for c in wanted.cells
        ], f"{path.name} is older than its source: make notebooks"


def unlinked(cell):
    return re.sub(r"^Open in: .*$", "", cell.source, flags=re.M)


@each_of_the_course
def test_stubs_fail_with_their_hint_and_nothing_else_fails(path):
    notebook = read(path)
    exercises = [cell for cell in code_cells(notebook) if "exercise" in tags(cell)]
    checks = [cell for cell in code_cells(notebook) if "check" in tags(cell)]
    assert len(exercises) == len(checks) >= 2
    assert [cell for cell in code_cells(notebook) if MAY_FAIL in tags(cell)] == checks
    assert [cell for cell, _ in errors(notebook)] == [cell.id for cell in checks]
    assert all("not written yet" in message for _, message in errors(notebook))
    for cell in checks:
        assert re.fullmatch(r"ebll\.checks\.\w+\(.*\)", cell.source)
        folded = notebook.cells[notebook.cells.index(cell) + 1].source
        assert re.fullmatch(r"<details><summary>Solution</summary>\n\n```python\n.*\n```\n\n</details>", folded, re.S)


@each_of_the_course
def test_a_stub_says_what_to_write(path):
    for cell in code_cells(read(path)):
        if "exercise" in tags(cell):
            assert "NotImplementedError" in cell.source or "= ..." in cell.source
            assert re.search(r"^ *# \w+", cell.source, re.M), f"{path.name}, {cell.id}: a stub explains itself"
            assert "solution" not in cell.source


def test_stub_and_solution_of_a_function_and_of_a_value():
    function = "def f(x):\n    # Double it.\n    # solution\n    return 2 * x"
    assert build.student_cell(function) == (
        'def f(x):\n    # Double it.\n    raise NotImplementedError("write this function")',
        "def f(x):\n    # Double it.\n    return 2 * x",
    )
    assert build.student_cell("# Choose.\n# solution\nmine = 2.0") == ("# Choose.\nmine = ...", "# Choose.\nmine = 2.0")
    with pytest.raises(ValueError, match="# solution"):
        build.student_cell("def f(x):\n    return x")


def test_the_links_are_those_of_the_fork():
    row = build.links("someone/fork", "01_joint_training")
    assert row.count("someone/fork") == 3
    assert "colab.research.google.com/github/someone/fork/blob/main/notebooks/01_joint_training.ipynb" in row
    assert "make links" in build.links(None, "01_joint_training")


@pytest.mark.parametrize(
    ("address", "slug"),
    [
        ("https://github.com/me/my.kit.git", "me/my.kit"),
        ("https://github.com/me/kit/", "me/kit"),
        ("git@github.com:me/kit.git", "me/kit"),
        ("ssh://git@github.com/me/kit", "me/kit"),
        ("https://notgithub.com/me/kit", None),
        ("https://gitlab.com/me/kit", None),
        ("../kit", None),
        ("", None),
    ],
)
def test_the_repository_is_read_from_the_address_of_origin(address, slug):
    assert build.slug_of(address) == slug


@pytest.mark.parametrize("version", [None, "2.0.1"], ids=["no ebll", "old torch"])
def test_the_environment_cell_says_in_words_what_is_missing(version):
    if version:
        fake = f"lambda name: {version!r} if name == 'torch' else real(name)"
        before = f"from importlib import metadata; real = metadata.version; metadata.version = {fake}"
        words = "torch 2.0.1 is installed; ebll needs >=2.6, <3."
    else:
        before, words = "import sys; sys.modules['ebll'] = None", "This kernel has no ebll."
    code = f"{before}\n{read(PATHS[0]).cells[1].source}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert words in run.stderr
    assert "make lab" in run.stderr


def test_on_another_machine_words_are_compared_and_numbers_are_not():
    then = [
        ("a", "image", "Accuracy, λ = 0.01. LwF, 8.8 at 1."),
        ("b", "stream", "ewc lost 8.8 points at 1,000"),
        ("c", "sentence", "LwF keeps **3.1** more (-0.2 to +6.4): *undecided*."),
        ("d", "table", "<th>lwf</th><td>8.8</td>"),
    ]

    def told(place, text, kind=None):
        cell, usual, _ = then[place]
        now = [*then[:place], (cell, kind or usual, text), *then[place + 1 :]]
        return len(told_apart(now, then, {"supported", "less"}))

    assert told_apart(then, then, set()) == []
    assert told(0, "Accuracy, λ = 0.02. LwF, 3.8 at 1, highest −9.9 at 3.") == 0
    assert told(0, "Accuracy of letters. LwF, 8.8 at 1.") == told(0, "Accuracy, λ = 0.01. EBLL, 8.8 at 1.") == 1
    assert told(1, "ewc lost -17.9e-05 points at 300") == told(1, "ewc lost nan points at 3") == 0
    assert told(1, "ewc won 8.8 points at 1,000") == told(1, "ewc lost points at 1,000") == 1
    assert told(2, "LwF keeps **-3.1** less (-6.4 to -0.2): *supported*.") == 0
    assert told(2, "LwF forgets **3.1** more (-0.2 to +6.4): *undecided*.") == told(2, "**3.1**") == 1
    assert told(3, "<th>lwf</th><td>-1.25</td>") == 0
    assert told(3, "<th>lwf</th><td>no run</td>") == told(3, "<th>ebll</th><td>8.8</td>") == 1
    assert told(3, "8.8", kind="value") == 1
    assert len(told_apart(then[:-1], then, set())) == len(told_apart([*then, then[-1]], then, set())) == 1


def test_a_build_says_what_it_was_made_on_and_names_no_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "MADE_ON", tmp_path / "made_on.json")
    monkeypatch.setattr(platform, "node", lambda: "name-of-a-host")
    assert machine.made_on() == {}
    machine.record("b")
    machine.record("a")
    here = machine.this_machine()
    assert list(machine.made_on().items()) == [("a", here), ("b", here)]
    assert {"processor", "vector unit", "system", "python", *machine.PACKAGES} == set(here)
    assert all(here.values())
    text = machine.MADE_ON.read_text(encoding="utf-8")
    assert not re.search(r"[/\\]|name-of-a-host", text)


def test_every_notebook_has_been_made_on_a_machine_that_is_known():
    known = machine.made_on()
    assert list(known) == [path.stem for path in PATHS]
    assert all(set(facts) == set(machine.this_machine()) for facts in known.values())


@each
def test_one_heading_and_all_parts(path):
    text = re.sub(r"```.*?```", "", prose(read(path)), flags=re.S)
    first = read(path).cells[0]
    assert len(re.findall(r"^# ", text, re.M)) == 1
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    for part in ("**What for**", "**For whom**", "**Before this**", "After this notebook you can"):
        assert part in first.source, part
    assert re.search(r"\*\*Time\*\*: \d+ minutes to read and do; about \d+ s to run", first.source)
    assert re.search(r"^Open in: \[Colab\]", first.source, re.M)
    assert "{{" not in text.replace("{{\\", "")
    assert len(re.findall(r"^\d\. \*\*\w+\*\*", first.source, re.M)) in (3, 4, 5), "objectives are verbs, 3 to 5"
    assert re.findall(r"^## (Summary|What to try next|References)$", text, re.M) == [
        "Summary",
        "What to try next",
        "References",
    ]


@each
def test_the_environment_cell_is_the_same_everywhere_and_comes_second(path):
    def setup(notebook):
        cell = notebook.cells[1]
        assert cell.id == "setup"
        assert tags(cell) == ["environment"]
        lines = cell.source.splitlines()
        own = [line for line in lines if re.match(r"(import|from) (?!ebll)", line)]
        return [line for line in lines if line and line not in own]

    assert setup(read(path)) == setup(read(PATHS[0]))
    assert 'PROFILE = "fast"' in read(path).cells[1].source


@each
def test_a_section_has_claim_equation_prediction_code_and_figure(path):
    found = sections(read(path))
    assert len(found) >= 3
    for cells in found:
        where = f"{path.name}: {cells[0].source.splitlines()[0]}"
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        code = [cell for cell in cells if cell.cell_type == "code"]
        lines = [sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in code]
        assert len(re.findall(r"\*\*Claim\.\*\*", text)) == 1, where
        assert re.search(r"\b[EM][1-8]a?\b", text), f"{where}: an equation or a measure, with its id"
        assert "**Predict first.**" in text, where
        assert any(5 <= count <= 15 for count in lines), where
        assert any("image/png" in o.get("data", {}) for cell in code for o in cell.outputs), f"{where}: a figure"
    numbers = [re.match(r"## (\d+)", cells[0].source)[1] for cells in found]
    assert numbers == [str(n + 1) for n in range(len(found))]


@each
def test_from_scratch_and_by_library_agree_and_the_source_is_shown(path):
    code = "\n".join(cell.source for cell in code_cells(read(path)))
    assert code.count("assert ") >= 2
    assert "ebll.lesson.source(" in code


@each
def test_no_measured_number_stands_in_the_prose(path):
    text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|<details>.*?</details>", "", prose(read(path)), flags=re.S)
    assert MEASURED.findall(text) == []


def test_a_measured_number_is_seen():
    assert MEASURED.search("LwF loses 3.5 points")
    assert MEASURED.search("about 12 % of it")
    assert not MEASURED.search("26 classes, 10 seeds, section 3.1")


@each
def test_code_is_short_and_made_of_the_kits_own_figures(path):
    for cell in read(path).cells[2:]:
        if cell.cell_type == "code":
            count = sum(bool(line.strip()) for line in cell.source.splitlines())
            assert count <= 15, f"{path.name}, cell {cell.id}: {count} lines"
            assert not re.search(r"pyplot|matplotlib|seaborn|plt\.", cell.source)


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
    assert [o for cell in cells for o in cell.outputs if o.get("name") == "stderr"] == []
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
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


def test_the_list_of_notebooks_is_complete_with_the_times_that_were_measured():
    assert sorted(FOLDER.glob("*.ipynb")) == PATHS
    assert sorted(build.SOLUTIONS.glob("*.ipynb")) == [build.SOLUTIONS / path.name for path in PATHS]
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[`(\w+)\.ipynb`\]\(\1\.ipynb\) .*\| (\d+) min \| (\d+) s \|$", text, re.M)
    measured = build.timings()
    assert [(name, int(read), int(run)) for name, read, run in rows] == [
        (m.notebook, m.read_minutes, m.run_seconds) for m in measured.itertuples()
    ]
    assert [name for name, _, _ in rows] == [path.stem for path in PATHS]


def test_each_is_within_its_budget_as_measured_when_it_was_made():
    measured = build.timings()
    assert (measured["run_seconds"] <= 60).all()
    assert measured["run_seconds"].sum() <= 300
    assert (measured["peak_mb"] < 800).all()


def test_a_solution_whose_cell_is_not_tagged_never_reaches_a_student():
    cell = nbformat.v4.new_code_cell("# solution\nx = 1", id="slip", metadata={"tags": ["exercize"]})
    with pytest.raises(ValueError, match="not tagged 'exercise'"):
        build.student(nbformat.v4.new_notebook(cells=[cell]))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--links", "00"], "OWNER/REPO"),
        (["--links", "../.."], "OWNER/REPO"),
        (["--links", "me/kit", "--handout", "there"], "not allowed with"),
        (["--handout", ""], "an empty name"),
        (["--handout", str(FOLDER.parent / "README.md")], "name a folder"),
        (["--handout", str(FOLDER.parent / "README.md" / "there")], "name a folder"),
        (["00", "zz"], "no notebook begins with zz"),
        (["--handout", str(FOLDER)], "inside notebooks/"),
        (["--handout", str(FOLDER / "solutions")], "inside notebooks/"),
    ],
)
def test_the_builder_refuses_in_words(arguments, words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["build", *arguments])
    with pytest.raises(SystemExit):
        build.main()
    assert words in capsys.readouterr().err


def test_a_handout_has_neither_outputs_nor_solutions(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["build", "--handout", str(tmp_path), "01", "03"])
    build.main()
    assert "One answer" in prose(read(PATHS[3]))
    assert "One answer" not in prose(read(tmp_path / PATHS[3].name))
    assert "<details><summary>How" in prose(read(tmp_path / PATHS[3].name)), "an aside is no solution"
    notebook = read(tmp_path / PATHS[1].name)
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))
    assert "<details>" not in prose(notebook)
    assert "Open in" not in prose(notebook), "the links would lead to copies with solutions"
    assert sum("NotImplementedError" in cell.source for cell in code_cells(notebook)) == 2
