"""The parts of the benchmarks on tiny sizes: their cases, bars and words. No time is asserted."""

import json

import pandas as pd
import pytest
import torch

from benchmarks import elsewhere, fits, measuring, start
from benchmarks.panel_speed import BARS
from ebll.fisher import FISHER_KINDS
from tests.tiny import SETTINGS, blobs


def tiny_task(name):
    return blobs(name, seed=len(name), shape=(1, 28, 28))


def barred(figures):
    """(case, what) -> bar, of the figures that have one."""
    return {(one.case, one.what): one.bar for one in figures if one.bar is not None}


@pytest.fixture
def tiny(monkeypatch):
    for part in (measuring, fits):
        monkeypatch.setattr(part, "load_task", tiny_task)
        monkeypatch.setattr(part, "TrainSettings", lambda **changes: SETTINGS.replace(**changes))
    monkeypatch.setattr(fits, "SAMPLES", 8)
    monkeypatch.setattr(fits, "FEW", 4)


def test_measuring_compares_with_never_and_counts(tiny, monkeypatch):
    monkeypatch.setattr(measuring, "NETS", ("mlp",))
    monkeypatch.setattr(measuring, "EPOCHS", 1)
    text, figures = measuring.run(1, "cpu")
    assert [one.what for one in figures] == [
        "every 20 steps (default) to never",
        "every 10 steps to never",
        "share of a run spent measuring at the default",
        "every step to never",
    ]
    assert set(barred(figures).values()) == {10.0}
    assert figures[2].unit == "%"
    assert figures[2].most
    to_never = figures[0].value
    assert figures[2].value == pytest.approx(100 * (1 - 1 / to_never))
    # 51 images in batches of 16: 4 steps of warm-up, 4 an epoch; at every step, before each and after the last.
    rows = {line.split("|")[1].strip(): line.split("|")[2:4] for line in text.splitlines() if line.startswith("| mlp")}
    measured, steps = (int(cell) for cell in rows["mlp, every step, 1 epochs"])
    assert measured == steps + 2
    assert int(rows["mlp, every 20 steps (default)"][1]) > steps


def test_a_run_that_never_measures_leaves_no_rows(tiny):
    tasks = [tiny_task("old"), tiny_task("newer")]
    begin = measuring.learn_first(tasks, settings=SETTINGS, recorder=measuring.Recorder(log_every=0))
    names = (measuring.NEVER, measuring.DEFAULT)
    times, counts = measuring.timed(tasks, begin, SETTINGS, names, 2, "cpu")
    assert list(times.columns) == list(names)
    assert len(times) == 2
    assert counts[measuring.NEVER]["measurements"] == "0"
    assert counts[measuring.DEFAULT]["measurements"] != "0"


def test_fits_compares_values_first_and_has_its_bars(tiny):
    text, figures = fits.run(1, "cpu")
    assert barred(figures) == {
        ("mlp, Fisher, exact, 8 samples", "closed form to loop"): 0.1,
        ("784-256-256, Fisher, exact, 8 samples", "closed form to loop"): 0.1,
    }
    cases = [one.case for one in figures]
    assert all(f"mlp, Fisher, {kind}, 8 samples" in cases for kind in FISHER_KINDS)
    assert "cnn, Fisher, exact, 4 samples" in cases
    assert {one.unit for one in figures if one.what == "fit"} == {"s"}
    told = [float(line.split("|")[2]) for line in text.splitlines() if "exact" in line or "sampled" in line]
    assert len(told) == 4
    assert max(told) < 1e-4


@pytest.mark.parametrize("kind", FISHER_KINDS)
def test_both_ways_to_the_fisher_diagonal_agree(kind):
    task = tiny_task("some")
    net = fits.learn_first([task], settings=SETTINGS).net
    ways = fits.fisher_ways(net, task, kind, 8)
    assert fits.difference(ways["closed form"](), ways["loop"]()) < 1e-4


def test_difference_sees_a_wrong_entry():
    assert fits.difference([torch.tensor([1.0, 2.0])], [torch.tensor([1.0, 4.0])]) == 0.5


@pytest.fixture
def asked(monkeypatch):
    """Command lines in place of processes."""
    lines = []

    def python(*arguments):
        lines.append(arguments)
        return json.dumps([3.0, 2.0]) if start.LOAD in arguments else "0.5"

    monkeypatch.setattr(start, "python", python)
    monkeypatch.delenv("EBLL_BENCH_FULL", raising=False)
    return lines


def test_start_has_its_figures_and_bars(asked):
    text, figures = start.run(1, "cpu")
    assert barred(figures) == {
        (start.READY, "the same, by the clock of one process"): 0.1,
        (start.HELP, "whole process"): 0.3,
    }
    assert "EBLL_BENCH_FULL" in text
    found = {(one.case, one.what): one.value for one in figures}
    assert found[start.READY, "the same, by the clock of one process"] == 0.5
    assert found["load_task('letters')", "first time"] == 3.0
    assert found["load_task('letters')", "again"] == 2.0
    assert {line[-1] for line in asked if start.LOAD in line} == set(start.TASKS)


@pytest.mark.parametrize(
    ("rounds", "asks", "full"), [(1, None, False), (5, None, True), (1, "1", True), (5, "0", False)]
)
def test_the_full_profile_runs_once_where_it_is_asked_for(asked, monkeypatch, rounds, asks, full):
    if asks:
        monkeypatch.setenv("EBLL_BENCH_FULL", asks)
    text, figures = start.run(rounds, "cpu")
    jobs = [line[line.index("--profile") + 1] for line in asked if "reproduce" in line]
    assert jobs == ["fast"] * min(rounds, 2) + ["full"] * full
    assert [one.bar for one in figures if "full" in one.case] == [60.0] * full
    assert ("left out" in text) is not full


def test_processes_are_real_and_a_failed_one_says_why():
    assert start.python("-c", "print(7)") == "7\n"
    assert "reproduce" in start.python(*start.ebll("--help"))
    with pytest.raises(SystemExit, match="no such thing"):
        start.python("-c", "raise ValueError('no such thing')")


def test_sweeps_are_those_of_their_table(tmp_path, monkeypatch):
    monkeypatch.setattr(elsewhere, "DOCS", tmp_path)
    rows = "8 runs of a net: a stack,1.5,1.2,1.9,2.5,5\n9 runs: processes,2.0,1.5,2.5,1.9,3\n9 runs: all,1.7,1,2,,3\n"
    (tmp_path / "sweep-speed.csv").write_text("case,ratio,low,high,bar,rounds\n" + rows)
    _, figures = elsewhere.sweeps()
    assert [one.case for one in figures] == ["8 runs of a net", "9 runs", "9 runs"]
    assert [one.what for one in figures] == [f"times as fast, {what}" for what in ("a stack", "processes", "all")]
    assert [(one.value, one.low, one.high, one.met) for one in figures] == [
        (1.5, 1.2, 1.9, False),
        (2.0, 1.5, 2.5, True),
        (1.7, 1.0, 2.0, None),
    ]


def test_panels_are_the_medians_of_their_table():
    text, figures = elsewhere.panels()
    medians = pd.read_csv(elsewhere.DOCS / "panel-speed.csv").groupby("what")["value"].median()
    assert {one.what: one.value for one in figures} == medians.to_dict()
    assert all(one.most is (BARS[one.what][2] != "at least") for one in figures)
    assert all(name in text for name in BARS if name not in medians)


def test_panels_name_what_was_not_measured(monkeypatch, tmp_path):
    known = next(iter(BARS))
    pd.DataFrame({"what": [known] * 3, "value": [1.0, 5.0, 2.0]}).to_csv(tmp_path / "panel-speed.csv", index=False)
    monkeypatch.setattr(elsewhere, "DOCS", tmp_path)
    text, (one,) = elsewhere.panels()
    assert (one.value, one.low, one.high, one.rounds, one.met) == (2.0, 1.0, 5.0, 3, True)
    assert all(name in text for name in BARS if name != known)
