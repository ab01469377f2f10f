"""The page of results, and that the benchmarks count, divide and attribute time rightly. Nothing is timed here."""

import functools
import json
import re

import pandas as pd
import pytest
from tiny import SETTINGS, blobs
from tiny_plan import SEQUENCES, tiny

from benchmarks import elsewhere, fits, measuring, reproducing, results, start
from benchmarks.reproducing import FIRST, REST, SHARED, Clock
from benchmarks.results import check_outputs, read, verdict, write_part
from benchmarks.rounds import Figure, figure, interleaved
from benchmarks.section import write_section
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
    assert figure("a", "b", "x", [1.0, 1.1, 1.4], 1.1).met
    assert not figure("a", "b", "x", [1.0, 1.2, 1.4], 1.1).met
    assert figure("a", "b", "%", [80.0], 80, most=False).met
    assert not figure("a", "b", "%", [79.0], 80, most=False).met
    assert figure("a", "b", "x", [1.0]).met is None


def test_cases_run_in_every_round_and_take_turns():
    called = []
    cases = {name: (lambda name=name: called.append(name)) for name in "abc"}
    times = interleaved(cases, 3, warm_up=1, ready=lambda: called.append("-"))
    assert times.shape == (3, 3)
    assert list(times.columns) == ["a", "b", "c"]
    assert "".join(called) == "a-b-c-b-c-a-c-a-b-a-b-c-"


@pytest.mark.parametrize(
    ("values", "bar", "most", "words"),
    [
        ([1.0], 1.1, True, "met"),
        ([1.25], 1.1, True, "missed by 0.15"),
        ([3.5], 4.0, False, "missed by 0.50"),
        ([1.1004], 1.1, True, "missed by less than its last digit"),
        ([1.0, 1.2, 1.3], 1.1, True, "missed by 0.10, on both sides"),
    ],
)
def test_a_verdict_says_by_how_much_a_bar_is_missed(values, bar, most, words):
    assert verdict(figure("net", "to that", "x", values, bar, most=most)) == words


def test_a_part_replaces_its_own_section_and_rows_only_and_keeps_its_place(tmp_path):
    where = {"page": tmp_path / "page.md", "table": tmp_path / "table.csv"}

    def write(part, value):
        figures = [figure("case", "ratio", "x", [value, 2 * value], 2.0), figure("case", "kept", "bytes", [70952.0])]
        write_part(part, f"Of {part}", f"Text of {part}.", figures, FACTS, **where)
        return figures, where["page"].read_text(encoding="utf-8")

    check_outputs(**where)
    assert "0 of 1 bars are met." in write("one", 1.5)[1]
    two, page = write("two", 1.0)
    assert "1 of 2 bars are met." in page
    one, page = write("one", 1.25)
    assert "2 of 2 bars are met." in page
    assert read(where["table"]) == [(name, made) for name, part in (("one", one), ("two", two)) for made in part]
    assert page.count("## Of one") == page.count("Text of one.") == page.count("Text of two.") == 1
    assert page.index("| ratio") < page.index("## Of one") < page.index("## Of two")
    assert "70,952" not in page, "only what has a bar stands in the table at the top"
    assert not list(tmp_path.glob("*.part"))


def test_a_section_that_does_not_end_is_refused_and_the_page_stays_as_it_was(tmp_path):
    page = tmp_path / "page.md"
    for name in ("one", "two"):
        write_section(page, name, f"text of {name}")
    broken = page.read_text().replace("<!-- end of one -->", "")
    page.write_text(broken)
    with pytest.raises(ValueError, match="'one' begins and does not end"):
        write_section(page, "one", "new")
    assert page.read_text() == broken


def test_files_that_cannot_be_used_are_refused_before_anything_is_measured(tmp_path):
    page, table = tmp_path / "new" / "R.md", tmp_path / "r.csv"
    table.write_text("a,b\n1,2\n")
    for files, words in {(page, page): "of its own", (page, table): "others", (tmp_path, page): "cannot be"}.items():
        with pytest.raises(SystemExit, match=words):
            check_outputs(*files)


def test_the_committed_page_has_the_bars_of_the_committed_figures():
    assert results.PAGE.read_text(encoding="utf-8").startswith(results.top())


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


def test_start_has_its_figures_and_bars(monkeypatch):
    printed = {start.LOAD: json.dumps([3.0, 2.0])}
    monkeypatch.setattr(
        start, "python", lambda *given: next((printed[word] for word in given if word in printed), "0.5")
    )
    _, figures = start.run(1, "cpu")
    assert barred(figures) == {(start.EBLL, start.BEYOND): 0.1, (start.HELP, start.WHOLE): 0.3}
    found = {(one.case, one.what): one.value for one in figures}
    assert found[start.EBLL, start.BEYOND] == 0.5
    assert found["load_task('letters')", "first time"] == 3.0
    assert found["load_task('letters')", "again"] == 2.0


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
    assert set(parts["method"]) == {"single-task", "ebll", "ewc", SHARED}
    told = {name: float(share) for name, share in re.findall(r"(?:[:,] )([A-Za-z -]+?) ([\d.]+) %", text)}
    assert sum(told.values()) == pytest.approx(100, abs=1)
    training = parts.loc[parts["stage"] == "training", "seconds"].sum() / parts["seconds"].sum()
    assert told["training"] == pytest.approx(100 * training, abs=0.6)


def test_the_first_lines_are_those_of_the_command_or_it_says_what_came(monkeypatch, tmp_path):
    script = "import sys; sys.stderr.write({!r})"
    lines = "full: 9 runs in 2 processes, results to out\n0 of 9 runs (...): 1 % after 00:01, about 00:09 left\n"
    monkeypatch.setattr(reproducing, "ebll", lambda *given: ("-c", script.format(lines)))
    first, second = reproducing.first_lines(str(tmp_path))
    assert 0 < first <= second
    monkeypatch.setattr(reproducing, "ebll", lambda *given: ("-c", script.format("Error: no such thing\n")))
    with pytest.raises(SystemExit, match="no such thing"):
        reproducing.first_lines(str(tmp_path))
