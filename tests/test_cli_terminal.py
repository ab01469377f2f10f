"""What the terminal gets: completion, symbols that its encoding lacks, progress."""

import io
import os
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
