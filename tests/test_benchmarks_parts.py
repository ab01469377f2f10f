"""The other parts of the benchmarks: their cases, bars and words. Nothing is timed."""

import json

import pandas as pd
import pytest
import torch

from benchmarks import elsewhere, fits, measuring, start
from ebll.data import Split
from ebll.fisher import FISHER_KINDS
from ebll.protocol import learn_first
from ebll.recording import Recorder
from tests.tiny import SETTINGS, blobs


def tiny_task(name):
    return blobs(name, seed=len(name), shape=(1, 28, 28))


def barred(figures):
    """(case, what) -> bar, of the figures that have one."""
    return {(one.case, one.what): one.bar for one in figures if one.bar is not None}


def untimed(cases, rounds, **options):
    """In place of `interleaved`: the first case takes a second, the next one two."""
    return pd.DataFrame({name: [k + 1.0] * rounds for k, name in enumerate(cases)})


@pytest.fixture
def tiny(monkeypatch):
    """Small tasks in place of the real ones."""
    monkeypatch.setattr(fits, "SAMPLES", 8)
    monkeypatch.setattr(fits, "FEW", 4)
    for part in (measuring, fits):
        monkeypatch.setattr(part, "load_task", tiny_task)
        monkeypatch.setattr(part, "TrainSettings", lambda **changes: SETTINGS.replace(**changes))


def test_measuring_counts_in_the_records(tiny):
    tasks = [tiny_task("old"), tiny_task("newer")]
    begin = learn_first(tasks, settings=SETTINGS, recorder=Recorder(log_every=0))
    times, counts = measuring.timed(tasks, begin, SETTINGS, 1, "cpu")
    assert list(times.columns) == [measuring.NEVER, measuring.DEFAULT, measuring.ALWAYS]
    assert counts[measuring.NEVER] == (0, 0)
    measured, steps = counts[measuring.ALWAYS]
    assert measured == steps + 2  # in warm-up and training, before each step and after the last
    assert 0 < counts[measuring.DEFAULT][0] < measured
    assert counts[measuring.DEFAULT][1] == steps


def test_measuring_tells_its_share_of_a_run(tiny, monkeypatch):
    times = pd.DataFrame({measuring.NEVER: [1.0, 1.0], measuring.DEFAULT: [1.25, 1.25], measuring.ALWAYS: [2.0, 3.0]})
    monkeypatch.setattr(
        measuring, "timed", lambda *a: (times, {measuring.DEFAULT: (3, 40), measuring.ALWAYS: (42, 40)})
    )
    monkeypatch.setattr(measuring, "learn_first", lambda *a, **options: None)
    text, figures = measuring.run(2, "cpu")
    assert [one.value for one in figures] == [1.25, 2.5, pytest.approx(20)] * 2
    assert not barred(figures)
    assert "3 times in 40 steps" in " ".join(text.split())


def test_fits_compares_values_first_and_has_its_bar(tiny, monkeypatch):
    monkeypatch.setattr(fits, "interleaved", untimed)
    text, figures = fits.run(1, "cpu")
    assert barred(figures) == {("mlp, Fisher, exact, 8 samples", "closed form to loop"): 0.1}
    cases = [one.case for one in figures]
    assert all(f"mlp, Fisher, {kind}, 8 samples" in cases for kind in FISHER_KINDS)
    assert "cnn, Fisher, exact, 4 samples" in cases
    assert {one.unit for one in figures if one.what == "fit"} == {"s"}
    assert "differ by at most" in " ".join(text.split())


@pytest.mark.parametrize("kind", FISHER_KINDS)
def test_both_ways_to_the_fisher_diagonal_agree(kind):
    task = tiny_task("some")
    net = fits.learn_first([task], settings=SETTINGS).net
    ways = fits.fisher_ways(net, task, kind, 8)
    assert fits.difference(ways["closed form"](), ways["loop"]()) < 1e-4


def test_difference_sees_a_wrong_entry():
    assert fits.difference([torch.tensor([1.0, 2.0])], [torch.tensor([1.0, 4.0])]) == 0.5


def test_start_has_its_figures_and_bars(monkeypatch):
    asked = []

    def python(*arguments):
        asked.append(arguments)
        return json.dumps([3.0, 2.0]) if start.LOAD in arguments else "0.5"

    monkeypatch.setattr(start, "python", python)
    _, figures = start.run(1, "cpu")
    assert barred(figures) == {(start.EBLL, start.BEYOND): 0.1, (start.HELP, start.WHOLE): 0.3}
    found = {(one.case, one.what): one.value for one in figures}
    assert found[start.EBLL, start.BEYOND] == 0.5
    assert found["load_task('letters')", "first time"] == 3.0
    assert found["load_task('letters')", "again"] == 2.0
    assert {line[-1] for line in asked if start.LOAD in line} == set(start.TASKS)


def test_processes_are_real_and_a_failed_one_says_why():
    assert start.python("-c", "print(7)") == "7\n"
    with pytest.raises(SystemExit, match="no such thing"):
        start.python("-c", "raise ValueError('no such thing')")


def test_panels_are_the_medians_of_their_table(monkeypatch, tmp_path):
    rows = [(name, value) for name in elsewhere.PANELS[:2] for value in (1.0, 5.0, 2.0)]
    pd.DataFrame([*rows, ("another", 9.0)], columns=["what", "value"]).to_csv(
        tmp_path / "widget-speed.csv", index=False
    )
    monkeypatch.setattr(elsewhere, "DOCS", tmp_path)
    _, figures = elsewhere.panels()
    assert [one.what for one in figures] == list(elsewhere.PANELS[:2])
    assert {(one.value, one.low, one.high, one.rounds, one.bar) for one in figures} == {(2.0, 1.0, 5.0, 3, 100)}


@pytest.mark.parametrize(
    ("device", "bars"), [("cpu", {}), ("cuda", {"to fine-tuning": 1.05, "images a second": 39_000})]
)
def test_alexnet_has_bars_on_a_gpu_only(monkeypatch, tmp_path, device, bars):
    heads = "method,windows,images,ratio,low,high,share,rounds,batch,precision,machine,device,threads,torch"
    rows = [f"{name},{kind},40000,1.04,1.0,1.1,,9,256,bfloat16,m,{device},2,2" for name, kind in (
        ("finetune", "fixed"), ("ebll", "random"), ("ebll", "fixed"))]  # fmt: skip
    (tmp_path / "paper.csv").write_text("\n".join([heads, *rows]))
    monkeypatch.setattr(elsewhere, "PAPER", tmp_path / "paper.csv")
    _, figures = elsewhere.alexnet()
    assert {one.what: one.bar for one in figures if one.bar is not None} == bars
    assert [one.met for one in figures] == [True if bars else None] * 2


def test_a_split_in_double_precision_stays_one():
    from benchmarks.made import DoubleSplit

    split = DoubleSplit(torch.zeros(3, 2, dtype=torch.float64), torch.zeros(3, dtype=torch.int64))
    assert split.take(torch.tensor([0, 2])).inputs.dtype == torch.float64
    assert isinstance(split, Split)
