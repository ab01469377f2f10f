"""The page of results, and that the benchmarks count, divide and attribute time rightly. Nothing is timed here."""

import functools
import re

import pandas as pd
import pytest
from tiny import SETTINGS, blobs
from tiny_plan import SEQUENCES, tiny

from benchmarks import fits, measuring, reproducing, results
from benchmarks.reproducing import FIRST, REST, SHARED, Clock
from benchmarks.results import check_outputs, read, verdict, write_part
from benchmarks.rounds import Figure, figure, interleaved
from ebll.fisher import FISHER_KINDS
from ebll.protocol import learn_first
from ebll.recording import Recorder
from ebll.reproduce import jobs

FACTS = {"machine": "a machine", "torch": "2", "python": "3", "threads": "1", "load": "0.0"}


def barred(figures):
    """(case, what) -> bar, of the figures that have one."""
    return {(one.case, one.what): one.bar for one in figures if one.bar is not None}


def test_a_figure_is_the_median_with_the_extremes_and_keeps_to_its_bar_on_the_right_side():
    assert figure("a", "b", "x", [3.0, 1.0, 2.0]) == Figure("a", "b", "x", 2.0, 1.0, 3.0, 3)
    assert figure("a", "b", "x", [1.0]).met is None
    for values, bar, most, words in [
        ([1.0], 1.1, True, "met"),
        ([80.0], 80, False, "met"),
        ([1.25], 1.1, True, "missed by 0.15"),
        ([3.5], 4.0, False, "missed by 0.50"),
        ([1.1004], 1.1, True, "missed by less than its last digit"),
        ([1.0, 1.2, 1.3], 1.1, True, "missed by 0.10, on both sides"),
    ]:
        made = figure("net", "to that", "x", values, bar, most=most)
        assert (made.met, verdict(made)) == (words == "met", words)


def test_cases_run_in_every_round_and_take_turns():
    called = []
    cases = {name: (lambda name=name: called.append(name)) for name in "abc"}
    times = interleaved(cases, 3, warm_up=1, ready=lambda: called.append("-"))
    assert times.shape == (3, 3)
    assert list(times.columns) == ["a", "b", "c"]
    assert "".join(called) == "a-b-c-b-c-a-c-a-b-a-b-c-"


def test_a_part_replaces_its_own_section_and_rows_only_and_keeps_its_place(tmp_path):
    where = {"page": tmp_path / "page.md", "table": tmp_path / "table.csv"}

    def write(part, value):
        figures = [figure("case", "ratio", "x", [value, 2 * value], 2.0), figure("case", "kept", "bytes", [70952.0])]
        write_part(part, f"Of {part}", f"Text of {part}.", figures, FACTS, **where)
        return figures, where["page"].read_text(encoding="utf-8")

    check_outputs(**where)
    write("one", 1.5)
    two, _ = write("two", 1.0)
    one, page = write("one", 1.25)
    assert "2 of 2 bars are met." in page
    assert read(where["table"]) == [(name, made) for name, part in (("one", one), ("two", two)) for made in part]
    assert page.count("## Of one") == page.count("Text of one.") == page.count("Text of two.") == 1
    assert page.index("| ratio") < page.index("## Of one") < page.index("## Of two")
    assert "70,952" not in page, "only what has a bar stands in the table at the top"


def test_the_committed_page_has_the_bars_of_the_committed_figures():
    assert results.PAGE.read_text(encoding="utf-8").startswith(results.top())


@pytest.fixture
def small_tasks(monkeypatch):
    """Small tasks in place of the real ones; a name -> its task."""

    def task(name):
        return blobs(name, seed=len(name), shape=(1, 28, 28))

    monkeypatch.setattr(fits, "SAMPLES", 8)
    monkeypatch.setattr(fits, "FEW", 4)
    for part in (measuring, fits):
        monkeypatch.setattr(part, "load_task", task)
        monkeypatch.setattr(part, "TrainSettings", lambda **changes: SETTINGS.replace(**changes))
    return task


def test_measuring_counts_in_the_records(small_tasks):
    tasks = [small_tasks("old"), small_tasks("newer")]
    begin = learn_first(tasks, settings=SETTINGS, recorder=Recorder(log_every=0))
    times, counts = measuring.timed(tasks, begin, SETTINGS, 1, "cpu")
    assert list(times.columns) == [measuring.NEVER, measuring.DEFAULT, measuring.ALWAYS]
    assert counts[measuring.NEVER] == (0, 0)
    measured, steps = counts[measuring.ALWAYS]
    assert measured == steps + 2  # in warm-up and training, before each step and after the last
    assert 0 < counts[measuring.DEFAULT][0] < measured
    assert counts[measuring.DEFAULT][1] == steps


def test_fits_compare_both_ways_to_the_same_fisher_information(small_tasks):
    text, figures = fits.run(1, "cpu")
    assert barred(figures) == {("mlp, Fisher, exact, 8 samples", "closed form to loop"): 0.1}
    cases = [one.case for one in figures]
    assert [kind for kind in FISHER_KINDS if f"mlp, Fisher, {kind}, 8 samples" not in cases] == []
    assert "cnn, Fisher, exact, 4 samples" in cases
    assert float(re.search(r"differ by at most (\S+)\.", " ".join(text.split()))[1]) < 1e-4


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
    jobs.load_cut.cache_clear()  # as in a process of its own
    with tiny():
        text, _ = reproducing.run(1, "cpu")
    parts = pd.read_csv(reproducing.CSV)
    assert {*reproducing.STAGES, FIRST, REST, "training", "warm-up"} <= {*parts["stage"]}
    assert {"mlp:letters", *(e.id for e in SEQUENCES)} <= {*parts["sequence"]}
    assert set(parts["method"]) == {"alone", "ebll", "ewc", SHARED}
    told = {name: float(share) for name, share in re.findall(r"(?:[:,] )([A-Za-z -]+?) ([\d.]+) %", text)}
    assert sum(told.values()) == pytest.approx(100, abs=1)
    training = parts.loc[parts["stage"] == "training", "seconds"].sum() / parts["seconds"].sum()
    assert told["training"] == pytest.approx(100 * training, abs=0.6)
