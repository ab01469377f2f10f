"""The command line's surface: light to start, readable anywhere, clear about bad input. No network is trained here."""

import csv
import io
import os
import shlex
import subprocess
import sys

import pytest
from click.testing import CliRunner
from messages import raises, review

from ebll import METHODS, TASKS
from ebll.cli import cli
from ebll.cli.knobs import build, knobs
from ebll.errors import InputError

COMMANDS = ["backbones", "completion", "doctor", "export", "methods", "paper", "reproduce", "run", "sweep", "tasks"]


def invoke(*arguments):
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def python(code, **environ):
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environ, capture_output=True, timeout=60, check=False
    )


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["reproduce", "--help"], ["completion", "bash"]])
def test_help_waits_for_no_heavy_import(arguments):
    out = python(
        f"import sys, atexit; from ebll.cli import main\n"
        f"heavy = 'torch pandas numpy matplotlib scipy'.split()\n"
        f"atexit.register(lambda: print('LOADED', [m for m in heavy if m in sys.modules]))\n"
        f"main({arguments!r})"
    )
    assert out.returncode == 0, out.stderr
    assert out.stdout.decode().splitlines()[-1] == "LOADED []"


def test_python_m_ebll_is_the_same_command():
    out = subprocess.run([sys.executable, "-m", "ebll", "--version"], capture_output=True, text=True, check=True)
    assert out.stdout == invoke("--version").stdout == "ebll 0.1.0\n"


def test_alone_it_shows_its_help():
    assert invoke().stdout == invoke("--help").stdout
    assert invoke().exit_code == 0
    assert sorted(cli.commands) == COMMANDS


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_every_help_has_examples_that_parse(command):
    out = invoke(*([command] if command else []), "--help")
    assert out.exit_code == 0
    assert max(map(len, out.stdout.splitlines())) <= 100
    lines = out.stdout.partition("Examples:\n")[2].splitlines()
    assert lines
    for line in lines:
        words = shlex.split(line)
        if words[0] == "ebll" and ">" not in words:
            sub = cli.commands[words[1]]
            sub.make_context(words[1], words[2:], parent=cli.make_context("ebll", []))


def test_a_second_ctrl_c_does_not_break_into_the_end_of_the_program():
    late = "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))"
    out = python(f"import atexit, os, signal; {late}; from ebll.cli import main; main(['--version'])")
    assert (out.returncode, out.stdout, out.stderr) == (0, b"ebll 0.1.0\n", b"")


def test_tasks_are_listed_with_what_the_catalogue_knows():
    out = invoke("tasks")
    assert out.exit_code == 0
    assert max(map(len, out.stdout.splitlines())) <= 100
    told = " ".join(out.stdout.split())
    for info in TASKS.values():
        assert f"{info.name} {info.classes} {info.train:,} {info.validation:,} {info.test:,}" in told
        assert info.source in told
        assert info.licence in told


def test_tasks_as_csv(monkeypatch, tmp_path):
    monkeypatch.setenv("EBLL_DATA", str(tmp_path))
    monkeypatch.setattr("ebll.data.places.DEBIAN", tmp_path)
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(invoke("tasks", "--csv").stdout))}
    assert list(rows) == list(TASKS)
    assert rows["letters"]["train"] == "3536"
    assert (rows["mnist"]["available"], rows["fashion"]["available"]) == ("True", "False")
    assert "apt-get install dataset-fashion-mnist" in rows["fashion"]["note"]
    assert "dataset-fashion-mnist" in " ".join(invoke("tasks").stdout.split())


def test_methods_are_listed_with_every_setting():
    told = " ".join(invoke("methods").stdout.split())
    for name, cls in METHODS.items():
        assert f"{name}: {cls.label}" in told
        for field, rules in cls.metadata().items():
            assert f"--{field.replace('_', '-')}" in told
            assert rules["symbol"] in told
            assert rules["doc"] in told


def test_every_setting_is_an_option_of_its_own():
    command = cli.commands["run"]
    options = [option for param in command.get_params(command.make_context("run", [])) for option in param.opts]
    assert len(set(options)) == len(options)
    assert [knob.option for knob in knobs() if knob.option not in options] == []


def test_options_reach_the_settings():
    given = {"alpha": (2.0, 1.0), "code_size": 32, "autoencoder_epochs": 3, "epochs": 5, "temperature": 4}
    method, training = build("ebll", given, old_tasks=2)
    assert (method.alpha, method.temperature) == ((2.0, 1.0), 4.0)
    assert (method.autoencoder.code_size, method.autoencoder.epochs, training.epochs) == (32, 3, 5)
    assert build("ebll", {}, 1)[0] == METHODS["ebll"]()


def test_too_few_alphas_are_seen_before_anything_is_trained():
    with raises(InputError, "alpha", "1 entries", "2 old tasks"):
        build("ebll", {"alpha": (1.0,)}, old_tasks=2)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("reprodcue", ["'reprodcue'", "Did you mean 'reproduce'"]),
        ("reproduce --profile fats", ["Profile", "Did you mean 'fast'", "full, fast"]),
        ("reproduce --seeds 0", ["seeds", "at least 1", "got 0"]),
        ("reproduce --seeds three", ["seeds", "whole number", "'three'"]),
        ("reproduce --workers 1.5", ["workers", "whole number", "1.5"]),
        ("reproduce --first-seed -1", ["first_seed", "at least 0", "got -1"]),
        ("reproduce --methods lwf,ewcc", ["no 'ewcc'", "Did you mean 'ewc'"]),
        ("reproduce --methods ,", ["Method", "at least one", "got ','"]),
        ("reproduce --device gpu", ["Device", "auto, cpu, cuda"]),
        ("run --method lfw", ["Method", "Did you mean 'lwf'"]),
        ("run --tasks mnits,letters", ["Task", "Did you mean 'mnist'", "./leaves"]),
        ("run --tasks ./nowhere,mnist", ["nowhere", "<folder>/<class>/"]),
        ("run --tasks letters,letters", ["letters, letters"]),
        ("run --net mpl", ["Net", "Did you mean 'mlp'"]),
        ("run --alpha much", ["alpha", "a number", "'much'"]),
        ("run --alpha nan", ["alpha", "got nan"]),
        ("run --alpha -1", ["alpha", "at least 0", "got -1"]),
        ("run --alpha 1,", ["alpha", "entry 1", "''"]),
        ("run --tasks letters,mnist,digits --alpha 1,x", ["entry 1", "'x'"]),
        ("run --tasks letters,mnist --alpha 1,2,3", ["alpha", "3 entries", "1 old"]),
        ("run --tasks letters,letters --threads 1025", ["threads", "at most 1024", "got 1025"]),
        ("run --batch-size 99999999999999", ["batch_size", "at most 2147483648"]),
        ("run --seed 9223372036854775808", ["seed", "at most 9223372036854775807"]),
        ("run --temperature 0", ["temperature", "above 0", "got 0", "use 2"]),
        ("run --temperature inf", ["temperature", "got inf"]),
        ("run --recon-weight -0.1", ["recon_weight", "at least 0"]),
        ("run --epochs 1.5", ["epochs", "whole number"]),
        ("run --fisher exac --method ewc", ["Did you mean 'exact'"]),
        ("run --method lwf --alpha 1", ["--alpha", "lwf", "code-only, ebll, ebll-separate"]),
        ("run --seed x", ["seed", "whole number"]),
        ("completion tcsh", ["bash, zsh, fish"]),
    ],
)
def test_bad_input_is_one_line_with_the_way_on(line, named):
    out = invoke(*line.split())
    (told,) = out.stderr.splitlines()
    assert told.startswith("error: ")
    review(told, *named)
    assert out.exit_code == 2


def test_an_unknown_option_names_the_near_one():
    out = invoke("run", "--alhpa", 1)
    (told,) = out.stderr.splitlines()
    assert [part for part in ("error: ", "'--alhpa'", "'--alpha'", "ebll run --help") if part not in told] == []
    assert out.exit_code == 2


def test_absent_fashion_data_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("EBLL_DATA", str(tmp_path))
    for module in ("fashion", "places"):
        monkeypatch.setattr(f"ebll.data.{module}.DEBIAN", tmp_path)
    out = invoke("run", "--tasks", "letters,fashion")
    assert out.exit_code == 2
    review(out.stderr, tmp_path, "apt-get install dataset-fashion-mnist", "download=True")


@pytest.mark.parametrize("command", ["run", "reproduce"])
def test_a_folder_that_cannot_be_written_is_found_before_the_work(tmp_path, command):
    (tmp_path / "file").write_text("")
    out = invoke(command, "--out", tmp_path / "file" / "out")
    assert out.exit_code == 2
    assert out.stdout == ""
    review(out.stderr, tmp_path / "file", "--out")


def test_the_unforeseen_is_one_line_too_and_debug_shows_where(monkeypatch):
    def broken(*args, **options):
        raise RuntimeError("lost\nin space")

    monkeypatch.setattr("ebll.data.TASKS", type("Broken", (), {"values": broken})())
    plain, debug = invoke("tasks"), invoke("tasks", "--debug")
    assert plain.exit_code == debug.exit_code == 1
    assert plain.stderr.startswith("error: RuntimeError: lost in space")
    assert plain.stderr.count("\n") == 1
    assert "Traceback" in debug.stderr


def test_doctor_says_what_is_there(tmp_path):
    out = invoke("doctor", "--out", tmp_path / "new")
    assert out.exit_code == 0
    assert not (tmp_path / "new").exists()
    told = " ".join(out.stdout.split())
    assert [name for name in ("torch", "mnist available", "threads", "can be written") if name not in told] == []
    (tmp_path / "file").write_text("")
    assert invoke("doctor", "--out", tmp_path / "file" / "out").exit_code == 1
