"""The command line's surface: light to start, completing, clear about bad input. No network is trained here."""

import csv
import io
import os
import re
import shlex
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from messages import review

from ebll import METHODS, TASKS, RunConfig
from ebll.autoencoder import OPTIMIZERS
from ebll.cli import cli, options
from ebll.paper import PaperSettings
from ebll.settings import METHOD_NAMES, AutoencoderSettings

COMMANDS = list(cli.commands)


def invoke(*arguments):
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def python(code, **environ):
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environ, capture_output=True, timeout=60, check=False
    )


def test_help_completion_and_refusals_wait_for_no_heavy_import():
    code = """
import sys
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from ebll.cli import cli
runner = CliRunner()
codes = [runner.invoke(cli, [*name, "--help"]).exit_code for name in [[], *([n] for n in cli.commands)]]
completion = ShellComplete(cli, {}, "ebll", "_EBLL_COMPLETE")
found = [item.value for words in (["run", "--method"], ["paper", "--experiment"])
         for item in completion.get_completions(words, "e")]
for line in ("run --alpha -1", "run --tasks mnits,letters", "paper --root x --methods lwff", "run --net rnn"):
    codes.append(runner.invoke(cli, line.split()).exit_code)
print(codes, found, {"torch", "pandas", "numpy", "matplotlib", "scipy"} & set(sys.modules))
"""
    out = python(code)
    assert out.stdout.decode() == f"{[0] * 9 + [2] * 4} ['ewc', 'ebll', 'ebll-separate'] set()\n", out.stderr


def test_names_that_need_no_torch_are_those_of_what_they_stand_for():
    assert tuple(METHODS) == METHOD_NAMES
    assert AutoencoderSettings.metadata()["optimizer"]["choices"] == tuple(OPTIMIZERS)


def test_python_m_ebll_is_the_same_command_on_any_terminal():
    for arguments, words in (("--version", b"ebll 0.1.0\n"), ("tasks", b"Your own images")):
        command = [sys.executable, "-m", "ebll", arguments]
        out = subprocess.run(command, env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, check=True)
        assert words in out.stdout


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_every_help_has_examples_that_parse(command):
    out = invoke(*([command] if command else []), "--help")
    lines = out.stdout.partition("Examples:\n")[2].splitlines()
    assert lines
    for line in lines:
        words = shlex.split(line)
        if words[0] == "ebll" and ">" not in words:
            sub = cli.get_command(None, words[1])
            sub.make_context(words[1], words[2:], parent=cli.make_context("ebll", ["tasks"]))


@pytest.mark.parametrize("command", ["run", "paper"])
def test_every_setting_is_an_option_with_its_default_in_the_help(command):
    text = "".join(invoke(command, "--help").stdout.split())  # however the lines are broken
    paper = PaperSettings()
    for settings in [RunConfig()] if command == "run" else [paper, paper.photos, paper.train]:
        for field in settings.metadata():
            option, value = field.replace("_", "-"), getattr(settings, field)
            form = rf"--{option}(?:/--no-{option})?(?:N|X|TEXT|A\[,B...\]|\[[^\]]*\])?[^\[]*\[default:([^\],]*)"
            told = re.search(form, text)
            assert told, option
            assert told[1] == (f"{value:g}" if isinstance(value, float) else str(value)), option


@pytest.mark.parametrize(
    ("line", "among"),
    [
        ("re", {"reproduce"}),
        ("run --device c", {"cpu", "cuda"}),
        ("run --tasks letters,d", {"letters,digits"}),
        ("reproduce --methods lwf,ew", {"lwf,ewc"}),
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
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(invoke("tasks", "--csv").stdout))}
    assert list(rows) == list(TASKS)
    assert rows["letters"]["train"] == "3536"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("reproduce --profile fats", ["Profile", "Did you mean 'fast'", "full, fast"]),
        ("reproduce --methods lwf,ewcc", ["no 'ewcc'", "Did you mean 'ewc'"]),
        ("run --alhpa 1", ["--alhpa", "--alpha"]),
        ("run --tasks mnits,letters", ["Task", "Did you mean 'mnist'", "./leaves"]),
        ("run --tasks ./nowhere,mnist", ["nowhere", "<folder>/<class>/"]),
        ("run --alpha much", ["--alpha", "'much'", "3,1"]),
        ("run --alpha -1", ["alpha", "at least 0", "got -1"]),
        ("run --tasks letters,mnist --alpha 1,2,3", ["alpha", "(1.0, 2.0, 3.0)", "needs 1"]),
        ("run --epochs 1.5", ["--epochs", "'1.5'"]),
        ("run --method lwf --alpha 1", ["alpha", "lwf"]),
        ("paper --seeds 1", ["'--root'"]),
        ("paper --root x --methods lwff", ["Method", "'lwff'", "lwf"]),
        ("paper --root x --augment fxed", ["'fxed'", "fixed"]),
        ("paper --root x --out OUT --device gpu", ["Device", "'gpu'", "cuda"]),
        ("paper --root x --out OUT --device cpu --minutes 0", ["minutes", "above 0"]),
    ],
)
def test_bad_input_is_told_with_the_way_on(line, named, tmp_path):
    out = invoke(*line.replace("OUT", str(tmp_path)).split())
    told = out.stderr.splitlines()[-1]
    assert told.startswith("Error: ")
    review(told, *named)
    assert out.exit_code == 2


@pytest.mark.parametrize("command", ["run", "reproduce"])
def test_a_folder_that_cannot_be_written_is_found_before_the_work(tmp_path, command):
    (tmp_path / "file").write_text("")
    out = invoke(command, "--out", tmp_path / "file" / "out")
    assert (out.exit_code, out.stdout) == (2, "")
    review(out.stderr, tmp_path / "file")


def test_kill_ends_a_command_as_ctrl_c_does_and_a_second_one_does_not_break_into_its_end():
    code = "import atexit, os, signal, time; from ebll.cli import cli, main\n{}\nmain(['tasks', '--csv'])"
    kill = "cli.callback = lambda: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(0.2))"
    late = "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))"
    ended = python(code.format(f"{kill}\n{late}"))
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"Stopped.\n")
    assert python(code.format(f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{kill}")).returncode == 0


def test_the_time_left_follows_from_the_share_done_since_the_beginning(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    with options.Progress() as progress:
        for seconds, share in ((0, 0.125), (11, 0.25), (22, 0.5), (30, 0.6), (30, 0.6), (31, 0.0), (43, 0.25)):
            now[0] = 100 + seconds
            progress.at(share, "runs")
    told = re.findall(r"(\d+)%\|.*?\| runs \[(\S+)<(\S+)\]\n", capsys.readouterr().err)
    # In a file every 10 seconds: an eighth in 11 s leaves 66 s, three in 22 s 29 s; a smaller share begins anew.
    assert told == [("25", "00:11", "01:06"), ("50", "00:22", "00:29"), ("25", "00:12", "00:36")]
