"""The command line's surface: light to start, completing, clear about bad input. No network is trained here."""

import csv
import io
import os
import shlex
import signal
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from messages import review

from ebll import TASKS, RunConfig
from ebll.cli import COMMANDS, cli, options
from ebll.cli.options import Progress


def invoke(*arguments):
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def python(code, **environ):
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environ, capture_output=True, timeout=60, check=False
    )


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["reproduce", "--help"]])
def test_help_waits_for_no_heavy_import_and_any_terminal_can_show_it(arguments):
    code = (
        f"import sys, atexit; from ebll.cli import main\n"
        f"heavy = 'torch pandas numpy matplotlib scipy'.split()\n"
        f"atexit.register(lambda: print('LOADED', [m for m in heavy if m in sys.modules]))\n"
        f"main({arguments!r})"
    )
    out = python(code, PYTHONIOENCODING="ascii")
    assert out.returncode == 0, out.stderr
    assert out.stdout.decode().splitlines()[-1] == "LOADED []"


def test_python_m_ebll_is_the_same_command():
    out = subprocess.run([sys.executable, "-m", "ebll", "--version"], capture_output=True, text=True, check=True)
    assert out.stdout == invoke("--version").stdout == "ebll 0.1.0\n"


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_every_help_has_examples_that_parse(command):
    out = invoke(*([command] if command else []), "--help")
    assert out.exit_code == 0
    lines = out.stdout.partition("Examples:\n")[2].splitlines()
    assert lines
    for line in lines:
        words = shlex.split(line)
        if words[0] == "ebll" and ">" not in words:
            sub = cli.get_command(None, words[1])
            sub.make_context(words[1], words[2:], parent=cli.make_context("ebll", ["tasks"]))


def test_a_second_ctrl_c_does_not_break_into_the_end_of_the_program():
    late = "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))"
    out = python(f"import atexit, os, signal; {late}; from ebll.cli import main; main(['--version'])")
    assert (out.returncode, out.stdout, out.stderr) == (0, b"ebll 0.1.0\n", b"")


@pytest.mark.parametrize(
    ("line", "among"),
    [
        ("re", {"reproduce"}),
        ("run --device c", {"cpu", "cuda"}),
        ("run --method l", {"lwf"}),
        ("run --tasks letters,d", {"letters,digits"}),
        ("run --code", {"--code-size"}),
    ],
)
def test_values_complete(line, among):
    *words, last = line.split(" ")
    found = ShellComplete(cli, {}, "ebll", "_EBLL_COMPLETE").get_completions(words, last)
    assert {item.value for item in found} == among


def test_tasks_are_listed_with_what_the_catalogue_knows():
    told = " ".join(invoke("tasks").stdout.split())
    for info in TASKS.values():
        assert f"{info.name} {info.classes} {info.train} {info.validation} {info.test}" in told
        assert info.source in told
        assert info.licence in told
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(invoke("tasks", "--csv").stdout))}
    assert list(rows) == list(TASKS)
    assert rows["letters"]["train"] == "3536"


def test_every_setting_of_a_run_is_an_option():
    names = {param.name for param in cli.get_command(None, "run").params}
    assert set(RunConfig.metadata()) | {"tasks", "out", "device"} == names


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("reprodcue", ["'reprodcue'"]),
        ("reproduce --profile fats", ["Profile", "Did you mean 'fast'", "full, fast"]),
        ("reproduce --seeds 0", ["seeds", "at least 1", "got 0"]),
        ("reproduce --methods lwf,ewcc", ["no 'ewcc'", "Did you mean 'ewc'"]),
        ("run --alhpa 1", ["--alhpa", "--alpha"]),
        ("run --tasks mnits,letters", ["Task", "Did you mean 'mnist'", "./leaves"]),
        ("run --tasks ./nowhere,mnist", ["nowhere", "<folder>/<class>/"]),
        ("run --tasks letters,letters", ["letters, letters"]),
        ("run --alpha much", ["--alpha", "'much'", "3,1"]),
        ("run --alpha -1", ["alpha", "at least 0", "got -1"]),
        ("run --tasks letters,mnist --alpha 1,2,3", ["alpha", "(1.0, 2.0, 3.0)", "needs 1"]),
        ("run --epochs 1.5", ["--epochs", "'1.5'"]),
        ("run --method lwf --alpha 1", ["alpha", "lwf"]),
    ],
)
def test_bad_input_is_told_with_the_way_on(line, named):
    out = invoke(*line.split())
    told = out.stderr.splitlines()[-1]
    assert told.startswith("Error: ")
    review(told, *named)
    assert out.exit_code == 2


def test_absent_fashion_data_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("EBLL_DATA", str(tmp_path))
    monkeypatch.setattr("ebll.data.catalog.DEBIAN", tmp_path)
    out = invoke("run", "--tasks", "letters,fashion")
    assert out.exit_code == 2
    review(out.stderr, tmp_path, "apt-get install dataset-fashion-mnist", "download=True")


@pytest.mark.parametrize("command", ["run", "reproduce"])
def test_a_folder_that_cannot_be_written_is_found_before_the_work(tmp_path, command):
    (tmp_path / "file").write_text("")
    out = invoke(command, "--out", tmp_path / "file" / "out")
    assert (out.exit_code, out.stdout) == (2, "")
    review(out.stderr, tmp_path / "file")


def test_kill_ends_a_command_as_ctrl_c_does_but_not_where_it_is_ignored():
    code = "import os, signal, time; from ebll.cli import cli, main\n{}\n"
    code += "cli.callback = lambda: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(0.2))\nmain(['tasks', '--csv'])"
    assert python(code.format("")).returncode == 130
    assert python(code.format("signal.signal(signal.SIGTERM, signal.SIG_IGN)")).returncode == 0
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL  # only `main` changes it


def test_progress_in_a_pipe_is_a_line_now_and_then_with_the_time_left(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(options.time, "monotonic", lambda: now[0])
    told = []
    with Progress() as progress:
        for seconds, share in ((0.5, 0.1), (2, 0.2), (11.9, 0.5), (20, 0.5), (40, 1.0)):
            now[0] = 100 + seconds
            progress.at(share, "3 of 4 runs")
            told.append(capsys.readouterr().err)
    line = "3 of 4 runs: {} % after {}, about {} left\n".format
    # The clock begins where something is done first: at 0.5 s with a tenth.
    assert told == ["", line(20, "00:01", "00:12"), "", line(50, "00:19", "00:24"), line(100, "00:39", "00:00")]
