"""The fast tests of the notebooks: each solution copy runs with a few images, and all keep the rules of form.

One kernel runs them one after the other: offline, and with the smoke profile of `notebook_kernel`. At their real size
they run in test_notebooks_full.py. The rules of form are those of notebooks/source/README.md.
"""

import ast
import dataclasses
import io
import os
import platform
import re
import subprocess
import sys

import nbformat
import pytest
from exported import exported_images
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpecManager
from notebook_kernel import EQUALITY
from notebook_rig import FIND, PATHS, code_cells, each, read, results, said, tags, told_apart
from PIL import Image

import ebll
from ebll.site.render import TRY
from ebll.web import WebConfig
from ebll.widgets.chart import LIVE
from notebooks.source import build, diagrams, machine

FOLDER = build.FOLDER
SOURCES = build.sources()
COURSE = [path for path in PATHS if not path.name.startswith("00")]
ABSOLUTE = re.compile(r"(?<![\w.:/])/(?:home|root|work|tmp|Users|mnt|content|opt|var)/|\b[A-Z]:\\|file://")
MEASURED = re.compile(r"\d[\d.,]*\s*(?:%|points?\b|percent)")
MAY_FAIL = "raises-exception"
SHOWN = {"stream", "display_data", "execute_result", "error"}  # kinds of message that become an output

each_of_the_course = pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
each_source = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def small_kernel(tmp_path_factory):
    """Runs code in a kernel where everything is small: code -> (reply, outputs)."""
    environ = os.environ | {"IPYTHONDIR": str(tmp_path_factory.mktemp("ipython"))}  # not the settings of who runs this
    environ.pop("MPLBACKEND", None)  # the kernel's own shows pictures below a cell
    manager = KernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    manager.start_kernel(env=environ, cwd=str(FOLDER))
    client = manager.blocking_client()

    def run(code):
        messages = []
        options = {"allow_stdin": False, "timeout": 300, "output_hook": messages.append}
        reply = client.execute_interactive(code, **options)["content"]
        shown = [message for message in messages if message["header"]["msg_type"] in SHOWN]
        outputs = [nbformat.v4.output_from_msg(message) for message in shown]
        return reply, [output for output in outputs if output.get("name") != "stderr"]  # few images give warnings

    try:
        client.start_channels()
        client.wait_for_ready(timeout=120)
        reply, _ = run(f"{FIND}; import notebook_kernel; notebook_kernel.offline(); notebook_kernel.shrink()")
        assert reply["status"] == "ok", reply
        yield run
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@each
def test_the_solution_copy_runs_on_a_few_images_and_shows_outputs_of_the_committed_kinds(path, small_kernel):
    notebook = nbformat.read(build.SOLUTIONS / path.name, as_version=4)
    guards = build.guards(build.SOURCES / f"{path.stem}.py")
    small_kernel("%reset -f")
    for cell in code_cells(notebook):
        reply, outputs = small_kernel(cell.source)
        for after in (reply, small_kernel(guards.get(cell.id, ""))[0]):
            assert after["status"] == "ok", f"cell {cell.id}: {after['ename']}: {after['evalue']}"
        assert "check" not in tags(cell) or any(map(said, outputs)), f"cell {cell.id}: a check says what is right"
        cell.outputs = outputs
    assert kinds(notebook) == kinds(read(path))


def kinds(notebook):
    """(cell id, kind) of every output; what a cell prints in several pieces is one."""
    rows = [row[:2] for row in results(notebook)]
    return [row for i, row in enumerate(rows) if row[1] != "stream" or row not in rows[:i]]


def test_the_small_kernel_is_offline_with_one_seed_and_few_images_and_asserts_equality_alone(small_kernel):
    reply, _ = small_kernel("import urllib.request\nurllib.request.urlopen('http://example.org')")
    assert "the notebooks work offline" in reply["evalue"]
    code = "import ebll; lesson = ebll.course.setup(); tasks = lesson.load('letters', 'textures')"
    _, outputs = small_kernel(f"{code}; print(len(lesson.seeds), *[len(task.train) for task in tasks])")
    assert outputs[-1].text.splitlines()[-1] == "1 364 56"
    small_kernel("by_hand = 1.0")
    raised = [small_kernel(f"assert {test}")[0].get("ename") for test in ("by_hand == 2.0", "1.0 > 2.0", "nothing > 2")]
    assert raised == ["AssertionError", None, "NameError"]


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
    return build.START.sub("", cell.source)


@pytest.fixture
def guarded(tmp_path):
    """Writes a source and its guards: text of the guards -> path of the source."""
    source = tmp_path / "10_small.py"
    source.write_text('# %% one\nx = 2\n\n# %% hide tags=["hidden"]\nx\n\n# %% two [markdown]\n# Two.\n', "utf-8")
    (tmp_path / "guards").mkdir()

    def write(text):
        (tmp_path / "guards" / "10.py").write_text(text, encoding="utf-8")
        return source

    assert build.guards(source) == {}
    return write


def test_a_guard_runs_after_its_cell_leaves_no_name_and_is_not_counted_among_the_cells(guarded):
    source = guarded("# %% one\nfound = x + 1\nassert found == 3\n")
    notebook = build.make(source)
    notebook.cells.append(nbformat.v4.new_code_cell("{'found', 'guard'} & set(dir())"))
    build.execute(notebook, guarded=build.guards(source))
    assert [cell.execution_count for cell in code_cells(notebook)] == [1, 2, 3]
    assert [[said(output) for output in cell.outputs] for cell in code_cells(notebook)] == [[], ["2"], ["set()"]]
    wrong = build.guards(guarded("# %% one\nassert x == 3\n"))
    with pytest.raises(Exception, match="AssertionError"):
        build.execute(build.make(source), guarded=wrong)


@pytest.mark.parametrize("name", ["three", "two", "hide\nx\n\n# %% hide"])
def test_a_guard_of_a_cell_that_is_not_there_is_prose_or_has_one_is_refused(name, guarded):
    with pytest.raises(ValueError, match=re.escape(name.split("\n")[0])):
        build.guards(guarded(f"# %% {name}\nassert x == 2\n"))


def test_a_hidden_cell_shows_its_output_only_and_its_lines_are_not_read(guarded):
    notebook = build.make(guarded(""))
    one, hidden, two = notebook.cells
    assert hidden.metadata == {"tags": ["hidden", "hide-input"], "jupyter": {"source_hidden": True}}
    assert one.metadata == two.metadata == {}
    one.source = hidden.source = "x\n" * 12 * 5  # five minutes each, if they are read
    two.source = ""
    assert build.reading_minutes(notebook) == 5


@each_of_the_course
def test_stubs_say_what_to_write_and_fail_with_their_hint_and_nothing_else_fails(path):
    notebook = read(path)
    exercises = [cell for cell in code_cells(notebook) if "exercise" in tags(cell)]
    checks = [cell for cell in code_cells(notebook) if "check" in tags(cell)]
    assert len(exercises) == len(checks) >= 2
    assert [cell for cell in code_cells(notebook) if MAY_FAIL in tags(cell)] == checks
    hints = dict(errors(notebook))
    assert list(hints) == [cell.id for cell in checks]
    for stub, cell in zip(exercises, checks, strict=True):
        assert "NotImplementedError" in stub.source or "= ..." in stub.source
        assert re.search(r"^ *# \w+", stub.source, re.M), f"{path.name}, {stub.id}: a stub explains itself"
        assert "solution" not in stub.source
        names = {"ebll": ebll}
        exec(stub.source, names)
        with pytest.raises(ebll.course.checks.CheckFailed, match="not written yet") as failed:
            exec(cell.source, names)
        assert str(failed.value) == hints[cell.id]
        assert re.fullmatch(r"ebll\.course\.checks\.\w+\(.*\)", cell.source)
        folded = notebook.cells[notebook.cells.index(cell) + 1].source
        assert re.fullmatch(r"<details><summary>Solution</summary>\n\n```python\n.*\n```\n\n</details>", folded, re.S)


def test_a_diagram_travels_with_every_copy_of_its_cell_and_keeps_its_text(tmp_path):
    source = tmp_path / "10_small.py"
    source.write_text("# %% one [markdown]\n# Before.\n#\n# {{diagram:data-flow}}\n#\n# After.\n", encoding="utf-8")
    base = build.make(source)
    text = (diagrams.FOLDER / "data-flow.txt").read_text(encoding="utf-8").strip()
    for copied in (build.student(base), build.student(base, answers=False), build.solved(base)):
        build.write(copied, tmp_path / "elsewhere" / "10_small.ipynb")
        read_again = nbformat.read(tmp_path / "elsewhere" / "10_small.ipynb", as_version=4)
        ((alt, image),) = exported_images(cells=read_again.cells)
        assert alt == text
        assert Image.open(io.BytesIO(image)).width == 800 * diagrams.SCALE
        assert len(image) < 60_000
    assert build.reading_minutes(base) == 5  # its text is for those who cannot see it
    base.cells[0].source += " Read this." * 300  # 602 words: four minutes, and one for the diagram
    assert build.reading_minutes(base) == 10
    source.write_text("# %% one [markdown]\n# {{diagram:dataflow}}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"'dataflow'.*data-flow, networks, timeline"):
        build.make(source)


def test_stub_and_solution_of_a_function_and_of_a_value():
    function = "def f(x):\n    # Double it.\n    # solution\n    return 2 * x"
    assert build.student_cell(function) == (
        'def f(x):\n    # Double it.\n    raise NotImplementedError("write this function")',
        "def f(x):\n    # Double it.\n    return 2 * x",
    )
    assert build.student_cell("# Choose.\n# solution\nmine = 2.0") == ("# Choose.\nmine = ...", "# Choose.\nmine = 2.0")
    with pytest.raises(ValueError, match="# solution"):
        build.student_cell("def f(x):\n    return x")
    slip = nbformat.v4.new_code_cell("# solution\nx = 1", id="slip", metadata={"tags": ["exercize"]})
    with pytest.raises(ValueError, match="not tagged 'exercise'"):  # and would reach a student
        build.student(nbformat.v4.new_notebook(cells=[slip]))


@pytest.mark.parametrize(
    ("address", "slug"),
    [
        ("https://github.com/me/my.kit.git", "me/my.kit"),
        ("git@github.com:me/kit.git", "me/kit"),
        ("ssh://git@github.com/me/kit/", "me/kit"),
        ("https://notgithub.com/me/kit", None),
        ("../kit", None),
    ],
)
def test_links_are_those_of_the_fork_as_the_address_of_origin_says(address, slug):
    assert build.slug_of(address) == slug
    row = build.start(slug, "01_joint_training")
    assert build.START.fullmatch(row), "one line, which `make links` finds again"
    assert row.count(f"{slug}") == (4 if slug else 0)
    assert ("://" in row) == (slug is not None)
    page = f"colab.research.google.com/github/{slug}/blob/main/notebooks/01_joint_training.ipynb"
    assert (page in row) == (slug is not None)


def test_the_environment_cell_says_in_words_what_is_too_old():
    fake = "lambda name: '2.0.1' if name == 'torch' else real(name)"
    before = f"from importlib import metadata; real = metadata.version; metadata.version = {fake}"
    code = f"{before}\n{read(PATHS[0]).cells[1].source}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "torch is 2.0.1; ebll needs torch<3,>=2.6." in run.stderr
    assert "make lab" in run.stderr


@pytest.mark.parametrize(
    ("kind", "then", "alike", "other"),
    [
        ("image", "Accuracy, λ = 0.01. LwF, 8.8 at 1.", "Accuracy, λ = 0.02. LwF, 3.8 at 1, highest −9.9 at 3.",
         ["Accuracy of letters. LwF, 8.8 at 1.", "Accuracy, λ = 0.01. EBLL, 8.8 at 1."]),
        ("stream", "ewc lost 8.8 points at 1,000", "ewc lost -17.9e-05 points at 300",
         ["ewc won 8.8 points at 1,000", "ewc lost points at 1,000"]),
        ("sentence", "LwF keeps **3.1** more: *undecided*.", "LwF keeps **-3.1** less: *supported*.",
         ["LwF forgets **3.1** more: *undecided*.", "**3.1**"]),
        ("table", "<th>lwf</th><td>8.8</td>", "<th>lwf</th><td>ref.</td>",
         ["<th>lwf</th><td>no run</td>", "<th>ebll</th><td>8.8</td>"]),
    ],
)  # fmt: skip
def test_on_another_machine_words_are_compared_and_numbers_are_not(kind, then, alike, other):
    then, vocabulary = [("a", kind, then)], {"supported", "less"}
    assert told_apart(then, then, set()) == told_apart([("a", kind, alike)], then, vocabulary) == []
    others = [[("a", kind, text)] for text in other]
    assert [len(told_apart(now, then, vocabulary)) for now in (*others, [], [*then, *then])] == [1] * 4


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
    assert not re.search(r"[/\\]|name-of-a-host", machine.MADE_ON.read_text(encoding="utf-8"))
    monkeypatch.undo()
    assert [(name, set(facts)) for name, facts in machine.made_on().items()] == [
        (path.stem, set(here)) for path in PATHS
    ]


@each
def test_one_heading_and_all_parts(path):
    text = re.sub(r"```.*?```", "", prose(read(path)), flags=re.S)
    first = read(path).cells[0].source
    assert first.startswith("# ")
    assert len(re.findall(r"^# ", text, re.M)) == 1
    parts = "**What for**", "**For whom**", "**Before this**", "After this notebook you can", "\n**To run it**: `make"
    assert [part for part in parts if part not in first] == []
    assert re.search(r"\*\*Time\*\*: \d+ minutes to read and do; about \d+ s to run", first)
    assert "{{" not in text.replace("{{\\", "")
    objectives = re.findall(r"^(\d)\. \*\*\w+\*\*", first, re.M)
    assert len(objectives) in (3, 4, 5), "objectives are verbs, 3 to 5"
    summary = text.split("## Summary")[1].split("\n## ")[0]
    assert re.findall(r"^(\d)\. ", summary, re.M) == objectives, "each has its answer in the summary"
    last = ["Summary", "What to try next", "References"]
    assert re.findall(rf"^## ({'|'.join(last)})$", text, re.M) == last


@each
def test_the_environment_cell_is_the_same_everywhere_and_comes_second(path):
    def setup(path):
        cell = read(path).cells[1]
        assert (cell.id, tags(cell)) == ("setup", ["environment"])
        assert len([line for line in cell.source.splitlines() if line]) <= 8
        return re.sub(r"^((import|from) (?!ebll).*)?\n", "", cell.source, flags=re.M)

    assert setup(path) == setup(PATHS[0])
    assert 'PROFILE = "fast"' in setup(path)


@each
def test_a_section_has_equation_prediction_code_and_figure(path):
    found = sections(read(path))
    assert len(found) >= 3
    for cells in found:
        where = f"{path.name}: {cells[0].source.splitlines()[0]}"
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        code = [cell for cell in cells if cell.cell_type == "code"]
        lines = [sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in code]
        assert re.search(r"\b[EM]\d{1,2}a?\b", text), f"{where}: an equation or a measure, with its id"
        assert "**Predict first.**" in text, where
        assert any(5 <= count <= 15 for count in lines), where
        assert any(build.is_picture(output) for cell in code for output in cell.outputs), f"{where}: a figure"
    numbers = [re.match(r"## (\d+)", cells[0].source)[1] for cells in found]
    assert numbers == [str(n + 1) for n in range(len(found))]


@each
def test_a_section_asks_before_its_figure_and_answers_after_it(path):
    notebook = read(path)
    assert "**Claim.**" not in prose(notebook)
    assert "**Open question.**" in prose(notebook)
    for cells in sections(notebook):
        order = ""
        for cell in cells:  # what was seen may be a computed sentence, which stands in the code
            order += "p" * ("**Predict first.**" in cell.source) + "s" * ("**What we saw.**" in cell.source)
            order += "f" * any(build.is_picture(output) for output in cell.get("outputs", []))
        assert re.search("^p+f.*s", order), f"{path.name}: {cells[0].source.splitlines()[0]}: {order}"


@each
def test_an_assert_in_a_students_cell_says_that_two_ways_are_equal(path):
    cells = code_cells(build.make(build.SOURCES / f"{path.stem}.py"))
    asserts = [node for cell in cells for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Assert)]
    others = [ast.unparse(node) for node in asserts if not EQUALITY.search(ast.unparse(node.test))]
    assert others == [], "what guards the prose belongs into guards/"


@each
def test_code_is_short_shows_the_source_agrees_with_the_library_and_needs_nothing_that_a_stranger_lacks(path):
    notebook = read(path)
    sources = {cell.id: cell.source for cell in notebook.cells[2:] if cell.cell_type == "code"}
    for name, source in sources.items():
        count = sum(bool(line.strip()) for line in source.splitlines())
        assert count <= 15, f"{path.name}, cell {name}: {count} lines"
        assert not re.search(r"pyplot|matplotlib|seaborn|plt\.|^\s*[!%]", source, re.M)
    code = "\n".join(sources.values())
    assert code.count("assert ") >= 2
    assert "ebll.course.source(" in code
    assert path.stat().st_size < 500_000
    assert "widgets" not in notebook.metadata
    assert "widget-view+json" not in path.read_text(encoding="utf-8")
    assert notebook.metadata.kernelspec.name == "python3"
    texts = [cell.source for cell in notebook.cells]
    texts += [said(output) for cell in code_cells(notebook) for output in cell.outputs]
    assert [found.group() for text in texts for found in ABSOLUTE.finditer(text)] == []


@each
def test_cells_are_committed_as_run_from_top_to_bottom_and_every_image_has_alt_text(path):
    notebook = read(path)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    outputs = [(cell.id, output) for cell in cells for output in cell.outputs]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert outputs
    assert [cell for cell, output in outputs if output.get("name") == "stderr"] == []
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    for cell, output in outputs:
        for kind in [kind for kind in output.get("data", {}) if kind.startswith("image/")]:
            alt = output.metadata.get(kind, {}).get("alt", "")
            assert len(alt) > 20, f"{path.name}, cell {cell}: an image without alt text"
        for tag in re.findall(r"<img[^>]*>", output.get("data", {}).get("text/html", "")):
            assert re.search(r' alt="[^"]{20}', tag), f"{path.name}, cell {cell}: an image without alt text"
    assert re.findall(r"!\[\s*\]\(|<img(?![^>]*\balt=)", prose(notebook)) == []


@each
def test_a_page_that_unfolds_below_a_cell_is_one_of_the_sites_in_a_state_that_it_knows(path):
    for cell in code_cells(read(path)):
        page, _, state = cell.metadata.get("page", "").partition("#")
        assert page in {"", *TRY}
        asked = dict(part.split("=") for part in state.split("&") if part)
        if page == "lab.html":
            usual = dataclasses.asdict(WebConfig())
            assert set(asked) <= set(usual)
            assert all(float(text) == usual[name] for name, text in asked.items() if name != "new")
        assert all(LIVE in output.data for output in cell.outputs if page == "lab.html")


@each
def test_links_inside_the_repository_resolve_and_no_measured_number_stands_in_the_prose(path):
    text = prose(read(path))
    anchors = {re.sub(r"\s+", "-", line.strip()) for line in re.findall(r"^#+ (.+)$", text, re.M)}
    for link in re.findall(r"\]\((?!https?://|attachment:)([^)]+)\)", text):
        target, _, anchor = link.partition("#")
        assert (FOLDER / target).exists() if target else anchor in anchors, f"{path.name} links to {link}"
    plain = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|<details>.*?</details>", "", text, flags=re.S)
    assert MEASURED.findall(plain) == []
    assert MEASURED.findall("LwF loses 3.5 points, about 12 % of 26 classes in section 3.1") == ["3.5 points", "12 %"]


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
    assert (measured["peak_mb"] < 800).all(), "what a student has on a hub"


def test_the_run_sheet_fills_three_hours_without_a_gap():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d):(\d\d) \| (\d+) \| (\S+) \| *(\d*) *\|", text, re.M)
    begin = [60 * int(hour) + int(minute) for hour, minute, *_ in rows]
    minutes = [int(row[2]) for row in rows]
    assert [at + long for at, long in zip(begin, minutes, strict=True)] == [*begin[1:], 180]
    assert begin[0] == 0
    assert [row for row in rows if 3 * int(row[4] or 0) > int(row[2]) / 2] == [], "time to talk beside the predictions"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--links", "../.."], "OWNER/REPO"),
        (["--links", "me/kit", "--handout", "there"], "not allowed with"),
        (["--handout", ""], "an empty name"),
        (["--nbgrader"], "goes with --handout"),
        (["--handout", str(FOLDER.parent / "README.md" / "there")], "name a folder"),
        (["00", "zz"], "no notebook begins with zz"),
        (["--handout", str(FOLDER / "solutions")], "inside notebooks/"),
    ],
)
def test_the_builder_refuses_what_would_do_harm(arguments, words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["build", *arguments])
    with pytest.raises(SystemExit):
        build.main()
    assert words in capsys.readouterr().err


def test_a_handout_has_neither_outputs_nor_solutions(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["build", "--handout", str(tmp_path), "01", "03b"])
    build.main()
    details = "03b_autoencoder_details.ipynb"
    assert "One answer" in prose(read(FOLDER / details))
    assert "One answer" not in prose(read(tmp_path / details))
    assert "<details><summary>How" in prose(read(tmp_path / details)), "an aside is no solution"
    notebook = read(tmp_path / PATHS[1].name)
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))
    assert "<details>" not in prose(notebook)
    assert "Open in" not in prose(notebook), "the links would lead to copies with solutions"
    assert sum("NotImplementedError" in cell.source for cell in code_cells(notebook)) == 2


def test_nbgrader_finds_an_answer_and_a_locked_check_of_one_point_for_each_exercise():
    for source in SOURCES:
        plain = build.student(build.make(source), answers=False)
        marked = build.nbgrader(build.student(build.make(source), answers=False))
        for cell, before in zip(marked.cells, plain.cells, strict=True):
            kinds = {"exercise", "check"} & set(tags(before))
            assert bool(kinds) == ("nbgrader" in cell.metadata)
            assert re.sub(r"\n *### (BEGIN|END) SOLUTION", "", cell.source) == before.source
            if kinds == {"check"}:
                wanted = {"grade": True, "solution": False, "locked": True, "points": 1}
            elif kinds:
                wanted = {"grade": False, "solution": True, "locked": False}
                *kept, region = cell.source.split("### BEGIN SOLUTION\n")
                assert region.strip().endswith("### END SOLUTION")
                stays = "def " in kept[0] or (" = ..." in kept[0] and MAY_FAIL in tags(cell))
                assert stays, "what nbgrader puts there, a `raise`, may not stop Run All"
            if kinds:
                wanted |= {"grade_id": cell.id, "schema_version": 3, "task": False}
                assert cell.metadata["nbgrader"] == wanted
