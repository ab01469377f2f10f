"""What the terminal gets: completion, symbols that its encoding lacks, progress."""

import io
import os
import re
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from ebll.cli import cli
from ebll.cli.terminal import Progress, clock, readable

LETTERED = {"α": "alpha", "λ": "lambda", "θ": "theta", "±": "+/-"}


def python(code, **environ):
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environ, capture_output=True, timeout=60, check=False
    )


def completions(line):
    *words, last = line.split(" ")
    return {item.value for item in ShellComplete(cli, {}, "ebll", "_EBLL_COMPLETE").get_completions(words, last)}


@pytest.mark.parametrize(
    ("line", "among"),
    [
        ("re", {"reproduce"}),
        ("reproduce --profile ", {"fast", "full"}),
        ("reproduce --methods lwf,eb", {"lwf,ebll", "lwf,ebll-separate"}),
        ("run --device c", {"cpu", "cuda"}),
        ("run --net ", {"mlp", "cnn"}),
        ("run --method l", {"lwf"}),
        ("run --tasks letters,d", {"letters,digits"}),
        ("run --fisher ", {"exact", "sampled", "empirical"}),
        ("run --code", {"--code-size"}),
        ("completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_values_complete(line, among):
    assert completions(line) == among


def test_the_shell_script_asks_this_very_command():
    for shell in ("bash", "zsh", "fish"):
        assert f"_EBLL_COMPLETE={shell}_complete" in CliRunner().invoke(cli, ["completion", shell]).stdout
    asked = python(
        "from ebll.cli import main; main()",
        _EBLL_COMPLETE="bash_complete", COMP_WORDS="ebll reproduce --device c", COMP_CWORD="3",
    )  # fmt: skip
    assert asked.stdout.decode().split() == ["plain,cpu", "plain,cuda"]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_any_terminal_can_show_the_symbols(encoding):
    out = python("from ebll.cli import main; main(['methods'])", PYTHONIOENCODING=encoding)
    assert out.returncode == 0, out.stderr
    told = out.stdout.decode(encoding)
    assert "?" not in told
    assert f"--alpha ({'alpha' if encoding != 'utf-8' else 'α'}) = 3" in told


def test_plain_symbols_keep_the_columns():
    assert readable("| 80.1 ± 2.0 |", "ascii") == "| 80.1+/-2.0 |"
    assert readable("| 80.1 ± 2.0 |", "utf-8") == "| 80.1 ± 2.0 |"
    assert all(readable(symbol, "ascii") == words for symbol, words in LETTERED.items())


def test_progress_in_a_pipe_is_a_few_lines_and_on_a_terminal_a_bar():
    pipe = io.StringIO()
    with Progress(100, "runs", every=1e6, stream=pipe) as silent:
        silent.step()
    assert pipe.getvalue() == ""
    with Progress(4, "runs", every=0, stream=pipe) as progress:
        progress.step("mlp:a-b lwf")
    assert pipe.getvalue() == "1 of 4 runs after 0:00, about 0:00 left (mlp:a-b lwf)\n"
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    with Progress(4, "runs", stream=terminal) as bar:
        bar.step("mlp:a-b lwf")
    assert "0/4" in terminal.getvalue()
    assert [clock(s) for s in (7, 750, 3723)] == ["0:07", "12:30", "1:02:03"]


@pytest.fixture
def at(monkeypatch):
    """Set the clock to so many seconds."""
    now = [0.0]
    monkeypatch.setattr("ebll.cli.terminal.time.monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, seconds)


def lines(stream):
    told = stream.getvalue().splitlines()
    stream.seek(0)
    stream.truncate()
    return told


def test_units_that_cost_alike_are_the_measure_of_the_time_left(at):
    pipe = io.StringIO()
    progress = Progress(4, "runs", stream=pipe)
    for seconds, told in ((9.9, []), (20, ["2 of 4 runs after 0:20, about 0:20 left"]), (25, [])):
        at(seconds)
        progress.step()
        assert lines(pipe) == told


def test_the_time_left_is_that_of_the_work_left_whatever_the_number_of_units(at):
    pipe = io.StringIO()
    at(100)
    progress = Progress(10, "runs", share=0.2, stream=pipe)  # done in an unknown time, so that it counts for nothing
    at(100.4)
    progress.at(0, share=0.201)
    assert lines(pipe) == []  # too soon
    at(101)
    progress.at(0, "letters", share=0.22)  # 0.02 a second, and 0.78 to go
    assert lines(pipe) == ["0 of 10 runs after 0:01, about 0:39 left (letters)"]
    at(110.9)
    progress.at(5, share=0.4)
    assert lines(pipe) == []
    at(115)
    progress.at(9, share=0.5)  # 0.3 in 15 seconds
    assert lines(pipe) == ["9 of 10 runs after 0:15, about 0:25 left"]
    at(130)
    progress.at(10, share=0.4)  # nothing that was done is undone
    assert lines(pipe) == ["10 of 10 runs after 0:30, about 0:50 left"]


def test_no_time_left_is_told_of_work_that_has_not_moved(at):
    pipe = io.StringIO()
    progress = Progress(10, "runs", share=0.2, every=0, stream=pipe)
    at(1)
    progress.at(0, share=0.2)
    assert lines(pipe) == []


def test_the_bar_counts_units_and_fills_with_the_work():
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    progress = Progress(10, "runs", share=0.25, stream=terminal)
    progress.at(3, "mlp:a-b lwf", share=0.5)
    progress._bar.refresh()
    assert re.search(r" 50%\|.*\| 3/10 runs \[\d\d:\d\d<\d\d:\d\d, mlp:a-b lwf\]", terminal.getvalue())
    progress.close()
