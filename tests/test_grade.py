"""`ebll grade`: what an answer needs of its notebook, whose it is, and that a hostile one costs its own line only."""

import ast
import contextlib
import errno
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from messages import raises, refused, review

from ebll.cli import cli
from ebll.course import checks
from ebll.course.answer import program
from ebll.course.grade import EXERCISES, graded, submissions, summary
from ebll.course.limits import enforced
from ebll.errors import DataMissing, InputError
from notebooks.source import build


def hand_in(path, *cells):
    """A notebook of these code cells, with text between them."""
    told = [{"cell_type": "code", "source": cell.splitlines(keepends=True), "outputs": []} for cell in cells]
    text = {"cell_type": "markdown", "source": "def my_forgetting: see above"}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": [text, *told, text], "nbformat": 4}), "utf-8")
    return path


def test_the_exercises_are_those_of_the_sources():
    found = {}
    for source in build.sources():
        cells = [cell for cell in build.make(source).cells if "check" in cell.metadata.get("tags", [])]
        calls = [re.fullmatch(r"ebll\.course\.checks\.(\w+)\((\w+)\)", cell.source.strip()).groups() for cell in cells]
        found[source.stem] = dict(calls)
    assert found == EXERCISES
    assert sorted(name for names in EXERCISES.values() for name in names) == sorted(
        set(checks.__all__) - {"CheckFailed"}
    )


@pytest.mark.parametrize(
    ("cells", "kept"),
    [
        (["import a, b\nimport c", "x = 1", "def my(a):\n    x = a\n    return b.sum(x)"], "import a, b"),
        (["k = 2\nn = k", "n += 1", "train()", "my = lambda m: n * m"], "k = 2; n = k; n += 1"),
        (["runs = train()", "def my(runs):\n    return [k for k in runs for runs in k]"], ""),
        (
            ["import t\ndef one():\n    return t", "def one(:", "class Two(one): pass", "my = Two"],
            "import t; def; class",
        ),
        (["from t import *", "%pip install t\n!ls", "%%time\nmy = sin"], "from t import *"),
        (["a = 1\nmy = a", "my = a + 1", "my == 3\nprint(my)\na = 7", "ebll.course.checks.one(my)"], "a = 1"),
        (["def my(a): return 0", "my = cached(my)"], "def"),
        (["t = {}", 't["a"] = 1\nt.b = 2\nu["a"] = t', "my = t"], "t = {}; t['a'] = 1; t.b = 2"),
        (["k = 1", "def twice(m, m): pass", "-" * 20_000 + "1", "my = k"], "k = 1"),
        (["k = 1", "if k:\n    def my(): return k", "def other():\n    my = 2", "class Other:\n    my = 3"], "k = 1"),
        (["k = 1", "try:\n    with k:\n        my = k\nfinally:\n    pass"], "k = 1"),
        (["k = 1", "for my in k: pass", "-" * 20_000 + "1", "[my for my in k]\nprint(my)"], "k = 1"),
    ],
    ids=[
        "imports",
        "dependencies",
        "parameters",
        "definitions",
        "magics",
        "last",
        "wrapped",
        "parts",
        "not Python",
        "if",
        "try",
        "for",
    ],
)
def test_of_earlier_cells_stays_what_the_answer_depends_on(cells, kept):
    made = [ast.unparse(statement).split("\n")[0] for statement in program(cells, "my").body]
    short = [re.sub(r"^(def|class) .*", r"\1", line) for line in made[:-1]]
    assert "; ".join(short) == kept
    assert program(cells, "yours") is None


def test_a_student_is_the_folder_or_what_the_files_name_adds_and_a_renamed_notebook_is_known_by_its_cells(tmp_path):
    hand_in(tmp_path / "ada" / "week 1" / "01_joint_training.ipynb", "my_forgetting = ...")
    hand_in(tmp_path / "bob_02b_distillation_details-1.ipynb")
    hand_in(tmp_path / "=cmd()" / "homework.ipynb", "def my_cka(x, y):\n    pass")
    hand_in(tmp_path / "00_first_look.ipynb")
    hand_in(tmp_path / "eve" / "notes.ipynb", "x = 1")
    hand_in(tmp_path / "eve" / ".ipynb_checkpoints" / "01_joint_training.ipynb")
    hand_in(tmp_path / "__MACOSX" / "eve" / "._01_joint_training.ipynb")
    (tmp_path / "eve" / "04_ebll.ipynb").symlink_to("/dev/zero")
    rows = [line.row("right") for line in submissions(tmp_path)]
    assert [(row["student"], row["exercise"]) for row in rows] == [
        ("00_first_look", "least_alpha"), ("'=cmd()", "stability_gap"), ("'=cmd()", "cka"), ("ada", "forgetting"),
        ("ada", "replay_loss"), ("bob_-1", "recorded_targets"), ("bob_-1", "soften"), ("eve", ""),
    ]  # fmt: skip


def test_a_line_is_one_line_of_plain_text_whatever_an_answer_says(tmp_path):
    hand_in(tmp_path / "a" / "04_ebll.ipynb")
    row = submissions(tmp_path)[0].row("error", "", "@SUM(A1)\r\n\x1b[2J\udce9 x")
    assert row["detail"] == "'@SUM(A1) [2J x"


def test_refusals(tmp_path):
    lines = submissions(hand_in(tmp_path / "a" / "04_ebll.ipynb").parent)
    (tmp_path / "empty").mkdir()
    with raises(DataMissing, tmp_path / "none"):
        submissions(tmp_path / "none")
    with raises(InputError, tmp_path / "empty"):
        submissions(tmp_path / "empty")
    refused(lambda: list(graded(lines, seconds=0)), lambda: list(graded(lines, workers=0)))


def command(monkeypatch, *arguments):
    """What `ebll grade` prints; no process is started."""
    monkeypatch.setattr("ebll.cli.commands.preload", lambda *given, **more: None)
    monkeypatch.setattr("ebll.course.grade.preload", lambda *given, **more: None)
    return CliRunner().invoke(cli, ["grade", *map(str, arguments)]).output


def test_a_folder_as_the_result_is_refused_before_grading_and_the_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    hand_in(tmp_path / "in" / "eve" / "notes.ipynb", "x = 1")
    review(command(monkeypatch, tmp_path / "in", "--out", tmp_path))
    command(monkeypatch, tmp_path / "in", "--out=~/new/g.csv")
    assert (tmp_path / "new" / "g.csv").is_file()


def test_the_command_says_what_the_kernel_lacks(tmp_path, monkeypatch):
    hand_in(tmp_path / "in" / "eve" / "notes.ipynb", "x = 1")
    monkeypatch.setattr("ebll.course.limits.enforced", lambda: {"seccomp": 0, "Landlock": 0})
    review(command(monkeypatch, tmp_path / "in", "--out", tmp_path / "g.csv").splitlines()[0])


def test_the_summary_counts_by_exercise_in_the_order_of_the_course():
    verdicts = [
        ("cka", "wrong", "b"), ("forgetting", "right", ""), ("cka", "wrong", "a"), ("cka", "not attempted", ""),
        ("cka", "wrong", "a"), ("cka", "time limit", ""),
    ]  # fmt: skip
    counted = summary(pd.DataFrame(verdicts, columns=["exercise", "verdict", "mistake"]))
    assert counted.values.tolist() == [["forgetting", 1, 1, 0, 0, 0, ""], ["cka", 5, 0, 3, 1, 1, "a (2)"]]


RIGHT = """def my_forgetting(m):
    return float(sum(m[j:-1, j].max() - m[-1, j] for j in range(len(m) - 1)) / (len(m) - 1))"""
WRONG = RIGHT.replace("m[j:-1, j]", "m[j:, j]")
REPLAY = """def my_replay_loss(net, t, inputs, labels, old_inputs, old_labels, weight):
    old = [cross_entropy(net(x, i), y) for i, (x, y) in enumerate(zip(old_inputs, old_labels))]
    return cross_entropy(net(inputs, t), labels) + weight * sum(old)"""
ERROR = "error", ""
FORKED = f"ebll-{secrets.token_hex(4)}"
FORKS = f"""import ctypes, os, time
for _ in range(20):
    if ctypes.CDLL(None).fork() == 0:
        os.setsid()
        ctypes.CDLL(None).prctl(15, b"{FORKED}", 0, 0, 0)  # the name of the process
        time.sleep(120)
        os._exit(0)"""
ANSWERS = {
    "right": (RIGHT, "right", "", ""),
    "sklearn": (f"import sklearn.cluster\nsklearn.cluster.KMeans(2).fit([[0.0], [1.0]])\n{RIGHT}", "right", "", ""),
    "mistake": (WRONG, "wrong", "last-stage", ""),
    "stub": ('def my_forgetting(m):\n    raise NotImplementedError("write this function")', "not attempted", "", ""),
    "deleted": ("my_forgettin = 1", "no such cell", "", ""),
    "syntax": ("def my_forgetting(m):\nreturn 0", *ERROR, "IndentationError"),
    "raises": ("def my_forgetting(m):\n    return 1 / 0", *ERROR, "ZeroDivisionError: division by zero"),
    "exit": (f"{WRONG}\nexit(0)", *ERROR, "SystemExit|NameError"),
    "os-exit": (f"{WRONG}\nimport os\nos._exit(0)", *ERROR, "without a verdict"),
    "crash": (f"{WRONG}\nimport ctypes\nctypes.string_at(0)", *ERROR, "without a verdict"),
    "prints": (f"{WRONG}\nprint('right' * 10**7)\nimport os\nos.write(1, b'x' * 10**7)", "wrong", "last-stage", ""),
    "replaces": (f"{WRONG}\nebll.course.checks.forgetting = print", "wrong", "last-stage", ""),
    "patches": (f"{WRONG}\nimport torch\ntorch.allclose = lambda *a, **k: True", *ERROR, "changes the check"),
    "own-right": (
        f"{WRONG}\nobject.__setattr__(ebll.course.checks.forgetting, 'right', my_forgetting)",
        *ERROR, "changes the check",
    ),
    "passes-all": (f"{WRONG}\ntype(ebll.course.checks.forgetting).__call__ = print", *ERROR, "changes the check"),
    "forges": (
        f"{WRONG}\nimport os\nfor fd in range(3, 99):\n    try:\n"
        """        os.write(fd, b'["", "right", "", ""]\\n')\n    except OSError:\n        pass""",
        *ERROR, "without a verdict",
    ),
    "floods": (
        f"{WRONG}\nimport os\nfor fd in range(3, 99):\n    try:\n        os.write(fd, b'\\xff' * 10**6)\n"
        "    except OSError:\n        pass",
        *ERROR, "without a verdict",
    ),
    "memory": (f"{RIGHT}\nx = bytearray(10**11)", *ERROR, "MemoryError"),
    "kills": (f"{RIGHT}\nimport os\nos.kill(os.getppid(), 9)", *ERROR, "PermissionError"),
    "program": (f"{RIGHT}\nimport subprocess\nsubprocess.run(['touch', 'TMP/touched'])", *ERROR, "PermissionError"),
    "forks": (f"{FORKS}\n{RIGHT}", "right", "", ""),
    "writes": (f"{RIGHT}\nopen('TMP/written', 'w')", *ERROR, "PermissionError"),
    "removes": (f"{RIGHT}\nimport shutil\nshutil.rmtree('TMP/kept')", *ERROR, "PermissionError"),
    "torch-file": (f"{RIGHT}\nimport torch\ntorch.save([1], 'TMP/saved')", *ERROR, "Permission denied|PermissionError"),
    "fills": (f"{RIGHT}\nopen('here', 'wb').write(bytes(10**8))", *ERROR, "OSError|without a verdict"),
    "keeps": (f"open('here', 'w').write('2')\n{RIGHT}", "right", "", ""),
    "socket": (f"{RIGHT}\nimport socket\nsocket.create_connection(('127.0.0.1', PORT))", *ERROR, "PermissionError"),
    "torch-socket": (
        f"{RIGHT}\nfrom torch.distributed import TCPStore\nimport datetime\n"
        "TCPStore('127.0.0.1', PORT, is_master=False, timeout=datetime.timedelta(seconds=1))",
        *ERROR, "Error",
    ),
    "secrets": (
        f"import os, glob\nassert 'EBLL_SECRET' not in os.environ and not os.read(0, 1)\n"
        f"assert not any('hunter2' in open(file).read() for file in glob.glob('/proc/self/environ'))\n{RIGHT}",
        "right", "", "",
    ),
    "deep": (
        f"import ctypes\nkernel = ctypes.CDLL(None)\n"
        f"for _ in range(1300): kernel.mkdir(b'd', 511), kernel.chdir(b'd')\n{RIGHT}",
        "right", "", "",
    ),
    "unreadable": (f"import os\nos.umask(0o477)\nos.mkdir('d')\nopen('d/here', 'w')\n{RIGHT}", "right", "", ""),
    "temporary": (
        f"import tempfile\nwith tempfile.TemporaryDirectory() as d: open(d + '/a', 'w')\n{RIGHT}", "right", "", "",
    ),
    "fchmod": (f"{RIGHT}\nimport os\nos.fchmod(os.open('TMP/kept/thesis', 0), 0o777)", *ERROR, "PermissionError"),
    "dir_fd": (
        f"{RIGHT}\nimport os\nos.chmod('thesis', 0o777, dir_fd=os.open('TMP/kept', 0))", *ERROR, "PermissionError",
    ),
    "setxattr": (
        f"{RIGHT}\nimport os\nos.setxattr('TMP/kept', 'user.x', b'1')", *ERROR, "PermissionError|AttributeError",
    ),
    "nested": ("my_forgetting = " + "(" * 5000 + ")" * 5000, *ERROR, "MemoryError|SyntaxError|RecursionError|without"),
    "=1+1": ("raise ValueError('=1+1\\n,,right')\nmy_forgetting = 1", *ERROR, r"ValueError: =1\+1"),
}  # fmt: skip


KERNEL = all(enforced().values())
"""Whether this kernel takes part: elsewhere C++ code passes the limits."""


def ebll(folder, *arguments, **more):
    """The command, whose process has imported torch before any answer is run, with no modules of the folder."""
    script = "import sys; del sys.path[0]; from ebll.cli import main; main()"
    command = [sys.executable, "-c", script, "grade", *arguments]
    path = {"PYTHONPATH": str(build.FOLDER.parent)}
    return subprocess.Popen(command, cwd=folder, env=os.environ | path | more, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """(rows by student and exercise, the same as a table, what the answers were to reach)."""
    folder, reached = tmp_path_factory.mktemp("submitted"), tmp_path_factory.mktemp("outside")
    (reached / "kept").mkdir()
    (reached / "kept" / "thesis").write_text("done")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        for student, (cell, *_) in ANSWERS.items():
            cell = cell.replace("TMP", str(reached)).replace("PORT", str(server.getsockname()[1]))
            head = "import ebll\nfrom torch.nn.functional import cross_entropy\nruns = ebll.train_for_hours()"
            hand_in(folder / student / "01_joint_training.ipynb", head, cell, REPLAY)
        (folder / "zip").mkdir()
        (folder / "zip" / "01_joint_training.ipynb").write_bytes(b"PK\x03\x04")
        for module in ("signal", "symtable", "traceback"):
            (folder / f"{module}.py").write_text(f"open({str(reached / module)!r}, 'w')")
        with tempfile.TemporaryDirectory() as short:  # the path of a socket has 107 letters at most
            run = ebll(folder, ".", "--seconds", "60", "--workers", "2", EBLL_SECRET="hunter2", TMPDIR=short)
            told = run.communicate()[1]
            assert run.returncode == 0, told
            assert not list(Path(short).glob("ebll-answer-*"))
        assert ("This system has no" in told) != KERNEL
        with pytest.raises(BlockingIOError) if KERNEL else contextlib.nullcontext():
            server.accept()
    made = pd.read_csv(folder / "grades.csv", keep_default_na=False)
    return {(row["student"], row["exercise"]): row for _, row in made.iterrows()}, made, reached


@pytest.mark.slow
@pytest.mark.parametrize("student", ANSWERS)
def test_an_answer_gets_its_verdict_and_costs_its_own_line_only(student, results):
    if student in ("memory", "torch-file", "torch-socket") and not KERNEL:
        pytest.skip("no seccomp on this processor, or no Landlock in this kernel")
    rows, _, reached = results
    _, verdict, mistake, detail = ANSWERS[student]
    row = rows[f"'{student}" if student[0] == "=" else student, "forgetting"]
    assert (row["verdict"], row["mistake"]) == (verdict, mistake), row["detail"]
    assert re.search(detail, row["detail"]), row["detail"]
    assert bool(detail) == bool(row["detail"])
    assert rows[row["student"], "replay_loss"]["verdict"] == "right"
    assert {path.name for path in reached.rglob("*")} - {"" if KERNEL else "saved"} == {"kept", "thesis"}


@pytest.mark.slow
@pytest.mark.skipif(not KERNEL, reason="needs Linux's filter of system calls")
def test_no_process_is_left_of_an_answer_that_forks_in_sessions_of_their_own(results):
    alive = []
    for process in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):  # it has ended
            alive.append(process.read_text().strip())
    assert alive
    assert FORKED not in alive


RESTRICTED = """import ctypes, json, os, resource, sys, threading
from ebll.course.limits import restrict
told = os.dup(1)
restrict(sys.argv[1], told, 60)
kernel = ctypes.CDLL(None, use_errno=True)
here, place = sys.argv[1].encode(), os.open(".", os.O_RDONLY)
calls = [("fork",), ("vfork",), ("kill", os.getpid(), 0), ("sigqueue", os.getpid(), 0, None), ("socket", 1, 1, 0),
         ("socketpair", 1, 1, 0, ctypes.create_string_buffer(8)), ("shmget", 0, 4096, 0o1600), ("semget", 0, 1, 0o1600),
         ("msgget", 0, 0o1600), ("mq_open", b"/ebll", 0), ("chmod", here, 0o755), ("fchmod", place, 0o755),
         ("fchmodat", place, b".", 0o755, 0), ("syscall", 452, place, b".", 0o755, 0), ("chown", here, -1, -1),
         ("lchown", here, -1, -1), ("fchown", place, -1, -1), ("fchownat", place, b".", -1, -1, 0),
         ("utime", here, None), ("utimes", here, None), ("futimesat", place, b".", None), ("futimens", place, None),
         ("utimensat", place, b".", None, 0), ("prlimit", os.getppid(), resource.RLIMIT_NOFILE, None, None)]
calls += [(f"{one}setxattr", at, b"user.x", b"1", 1, 0) for one, at in (("", here), ("l", here), ("f", place))]
calls += [(f"{one}removexattr", at, b"user.x") for one, at in (("", here), ("l", here), ("f", place))]
calls += [("syscall", number, place, b".", 0, b"user.x", None, 0) for number in (463, 466, 469)]
answers = {str(call[:2]): [getattr(kernel, call[0])(*call[1:]), ctypes.get_errno()] for call in calls}
resource.getrlimit(resource.RLIMIT_NOFILE)  # its own
thread = threading.Thread(target=lambda: os.write(told, json.dumps(answers).encode()))
thread.start()
thread.join()"""


@pytest.mark.slow
@pytest.mark.skipif(not KERNEL, reason="needs Linux's filter of system calls")
def test_c_code_makes_threads_but_no_process_socket_signal_shared_memory_or_change_of_metadata(tmp_path):
    done = subprocess.run([sys.executable, "-c", RESTRICTED, tmp_path], capture_output=True, check=True)
    denied = json.loads(done.stdout)
    assert denied == {name: [-1, errno.ENOSYS] for name in denied}


@pytest.mark.slow
def test_rows_are_in_order_and_a_file_that_is_no_notebook_has_a_line_for_each_exercise(results):
    rows, made, _ = results
    assert made["student"].tolist() == sorted(made["student"], key=lambda name: name.lstrip("'"))
    assert made["exercise"].tolist() == ["forgetting", "replay_loss"] * (len(ANSWERS) + 1)
    assert {rows["zip", exercise]["verdict"] for exercise in EXERCISES["01_joint_training"]} == {"error"}


ENDLESS = {
    "loop": "while True: pass",
    "stubborn": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "half": "import os\nfor fd in range(3, 99):\n    try: os.write(fd, b'\\x00')\n    except OSError: pass\n"
    "os.read(os.pipe()[0], 1)",
}


@pytest.mark.slow
def test_an_endless_answer_ends_at_its_limit(tmp_path):
    for student, cell in ENDLESS.items():
        hand_in(tmp_path / student / "04_ebll.ipynb", f"{cell}\nmy_training = 1")
    assert ebll(tmp_path, ".", "--seconds", "0.5").wait() == 0
    made = pd.read_csv(tmp_path / "grades.csv")
    assert made["verdict"].tolist() == ["no such cell", "time limit"] * len(ENDLESS)


@pytest.mark.slow
def test_ctrl_c_keeps_the_lines_so_far_and_leaves_no_answer_running(tmp_path):
    begun = "open('begun', 'w')\nwhile True: pass\nmy_training = 1"
    hand_in(tmp_path / "in" / "eve" / "04_ebll.ipynb", "my_code_distance = 1", begun)
    with tempfile.TemporaryDirectory() as short:  # the path of a socket has 107 letters at most
        run = ebll(tmp_path, "in", "--out", "new/out.csv", "--workers", "1", "--seconds", "500", TMPDIR=short)
        while not list(Path(short).glob("ebll-answer-*/begun")):
            assert run.poll() is None, run.communicate()[1]
            time.sleep(0.02)
        run.send_signal(signal.SIGINT)
        told = run.communicate()[1]
        review("\n".join(told.splitlines()[-2:]))
        assert (run.returncode, list(Path(short).glob("ebll-answer-*"))) == (130, [])
    kept = pd.read_csv(tmp_path / "new" / "out.csv")
    assert kept[["exercise", "verdict", "mistake"]].values.tolist() == [["code_distance", "wrong", "not-a-function"]]
