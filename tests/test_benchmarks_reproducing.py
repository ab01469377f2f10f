"""The profile of the main job: whose time a nested call is, and that a tiny main job's time is told apart."""

import functools
import re

import pandas as pd
import pytest
from tiny_plan import SEQUENCES, tiny

from benchmarks import reproducing
from benchmarks.reproducing import FIRST, REST, SHARED, Clock
from ebll.reproduce import jobs


def test_time_belongs_to_the_innermost_block():
    ticks = iter(range(100))
    clock = Clock(lambda: next(ticks))  # each change of place takes one second
    with clock.at(sequence="a-b", method="lwf"), clock.at(stage="training"):
        with pytest.raises(ValueError, match="stop"), clock.at(stage="measuring"):
            raise ValueError("stop")
        with clock.at(stage="measuring"):
            pass
    assert clock.spent == {
        (SHARED, SHARED, REST): 1,
        ("a-b", "lwf", REST): 2,
        ("a-b", "lwf", "training"): 3,
        ("a-b", "lwf", "measuring"): 2,
    }


def test_the_time_of_a_main_job_is_told_apart(monkeypatch, tmp_path):
    monkeypatch.setattr(reproducing, "CSV", tmp_path / "main_job.csv")
    monkeypatch.setattr(reproducing, "PROFILE", "tiny")
    monkeypatch.setattr(reproducing, "first_lines", lambda folder: [2.0, 4.0])
    monkeypatch.setattr(reproducing, "reproduce", functools.partial(reproducing.reproduce, methods=("ewc", "ebll")))
    monkeypatch.setattr("ebll.reproduce.report.draw", lambda *given: [])
    jobs._task.cache_clear()  # as in a process of its own
    with tiny():
        text, figures = reproducing.run(1, "cpu")
    parts = pd.read_csv(reproducing.CSV)
    assert {*reproducing.STAGES, FIRST, REST, "training", "warm-up"} <= {*parts["stage"]}
    assert {"mlp:letters", *(e.id for e in SEQUENCES)} <= {*parts["sequence"]}
    assert set(parts["method"]) == {"alone", "ebll", "ewc", SHARED}
    told = {name: float(share) for name, share in re.findall(r"(?:[:,] )([A-Za-z -]+?) ([\d.]+) %", text)}
    assert sum(told.values()) == pytest.approx(100, abs=1)
    training = parts.loc[parts["stage"] == "training", "seconds"].sum() / parts["seconds"].sum()
    assert told["training"] == pytest.approx(100 * training, abs=0.6)
    assert [(one.what, one.value, one.bar) for one in figures] == [
        ("to the first line of progress", 2.0, 5.0),
        ("to the first line with the time left", 4.0, None),
    ]


def test_the_first_lines_are_those_of_the_command_or_it_says_what_came(monkeypatch, tmp_path):
    script = "import sys; sys.stderr.write({!r})"
    lines = "full: 9 runs in 2 processes, results to out\n0 of 9 runs (...): 1 % after 00:01, about 00:09 left\n"
    monkeypatch.setattr(reproducing, "ebll", lambda *given: ("-c", script.format(lines)))
    first, second = reproducing.first_lines(str(tmp_path))
    assert 0 < first <= second
    monkeypatch.setattr(reproducing, "ebll", lambda *given: ("-c", script.format("Error: no such thing\n")))
    with pytest.raises(SystemExit, match="no such thing"):
        reproducing.first_lines(str(tmp_path))
