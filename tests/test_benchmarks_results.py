"""The page of all figures: words of the verdicts, tables, and files that cannot be used; and the peers' arithmetic."""

import subprocess
import sys

import pandas as pd
import pytest

from benchmarks.peers.against import BATCH, IMAGES, figures_of, products, told
from benchmarks.results import HEAD, check_outputs, number, read, table_of, verdict, write_part
from benchmarks.rounds import Figure
from benchmarks.section import write_section


def one(value, bar=None, most=True, low=None, high=None, case="net", what="to that", unit="x"):
    return Figure(case, what, unit, value, value if low is None else low, value if high is None else high, 3, bar, most)


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        (one(1.0), ""),
        (one(1.0, 1.1), "at most 1.1 x: met"),
        (one(1.25, 1.1), "at most 1.1 x: missed by 0.15"),
        (one(3.5, 4.0, most=False), "at least 4 x: missed by 0.50"),
        (one(4.0, 4.0, most=False), "at least 4 x: met"),
        (one(1.1004, 1.1), "at most 1.1 x: missed by less than its last digit"),
        (one(1.2, 1.1, low=1.0, high=1.3), "at most 1.1 x: missed by 0.10, rounds on both sides"),
        (one(1.0, 1.1, low=0.9, high=1.3), "at most 1.1 x: met, rounds on both sides"),
    ],
)
def test_a_verdict_says_the_bar_and_by_how_much(figure, words):
    assert verdict(figure) == words


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0213, "x", "0.021"),
        (1.234, "x", "1.23"),
        (123.4, "ms", "123"),
        (70952.0, "bytes", "70,952"),
        (79.96, "%", "80.0"),
    ],
)
def test_numbers_keep_the_digits_that_tell(value, unit, text):
    assert number(value, unit) == text


def test_a_table_has_a_row_a_case_where_all_cases_have_the_same_numbers_and_else_a_row_a_number():
    full = [
        one(k, case=case, what=what) for k, (case, what) in enumerate((c, w) for c in "abc" for w in ("to x", "to y"))
    ]
    lines = table_of(full).splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == ["case", "to x", "to y"]
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["a", "b", "c"]
    sparse = [one(1.0, case=case, what=f"of {case}") for case in "abc"]
    assert len(table_of(sparse).splitlines()) == 2 + 3


def test_a_section_that_does_not_end_is_refused_and_the_page_stays_as_it_was(tmp_path):
    page = tmp_path / "page.md"
    for name in ("one", "two"):
        write_section(page, name, f"text of {name}")
    whole = page.read_text()
    page.write_text(whole.replace("<!-- end of one -->", ""))
    broken = page.read_text()
    with pytest.raises(ValueError, match="'one' begins and does not end"):
        write_section(page, "one", "new")
    assert page.read_text() == broken
    page.write_text(whole)
    write_section(page, "one", "new")
    assert "text of one" not in page.read_text()
    assert "text of two" in page.read_text()


def test_figures_come_back_from_the_table_as_they_were_written(tmp_path):
    page, table = tmp_path / "R.md", tmp_path / "r.csv"
    figures = [one(1.5, 1.1, low=1.25, high=2.0), one(70952.0, unit="bytes", what="kept")]
    check_outputs(page, table)
    assert not page.exists()
    write_part("some", "Title", "Words.", figures, {"machine": "m", "torch": "2"}, page, table)
    assert read(table) == [("some", f) for f in figures]
    assert page.read_text().startswith(HEAD)
    assert "0 met, 1 missed;" in page.read_text()
    assert not list(tmp_path.glob("*.part"))


def test_files_that_cannot_be_used_are_refused_before_anything_is_measured(tmp_path):
    page, table = tmp_path / "new" / "R.md", tmp_path / "r.csv"
    with pytest.raises(SystemExit, match="give each a file of its own"):
        check_outputs(page, page)
    table.write_text("a,b\n1,2\n")
    with pytest.raises(SystemExit, match="its columns are others"):
        check_outputs(page, table)
    with pytest.raises(SystemExit, match="cannot be used"):
        check_outputs(tmp_path, tmp_path / "other.csv")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "no part 'nonsense'; the parts are steps"),
        (["--rounds", "0"], "must be at least 1"),
        (["sweeps", "--page", "{}/x", "--table", "{}/x"], "a file of its own"),
    ],
)
def test_the_command_says_what_was_wrong(arguments, words, tmp_path):
    command = [sys.executable, "-m", "benchmarks", *(a.format(tmp_path) for a in arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_ratios_of_peers_are_taken_round_by_round():
    rows = [
        {"round": r, "method": "lwf", "side": side, "threads": 1, "floor": 0.5, "seconds": s, "whole": 2 * s}
        for r, (ours, theirs) in enumerate([(1.0, 4.0), (2.0, 6.0), (1.0, 5.0)])
        for side, s in (("ebll", ours), ("avalanche", theirs))
    ]
    found, floors = figures_of(pd.DataFrame(rows))
    (ratio,) = [f for f in found if f.what == "Avalanche to ebll"]
    assert (ratio.value, ratio.low, ratio.high, ratio.bar, ratio.met) == (4.0, 3.0, 5.0, 4.0, True)
    assert [f.value for f in floors] == [10.0]
    (step,) = [f for f in found if f.what == "ebll, a step"]
    assert step.value == pytest.approx(1e3 / (IMAGES // BATCH))


def test_different_work_on_both_sides_is_refused():
    same = pd.DataFrame({"first loss": [0.0], "every loss": [2e-7], "weights": [3e-8]}, index=["lwf"])
    assert told(same, 1).startswith("- `lwf`, 1 thread: ")
    with pytest.raises(SystemExit, match="do not do the same work"):
        told(same.assign(weights=1e-3), 1)


def test_the_products_alone_are_as_many_operations_as_a_step_of_the_method(monkeypatch):
    from torch.utils.flop_counter import FlopCounterMode

    from benchmarks.peers import against

    monkeypatch.setattr(against, "IMAGES", BATCH)
    b = BATCH
    shared, head, code = 4 * b * 784 * 256 + 6 * b * 256 * 256, 6 * b * 256 * 10, 4 * b * 256 * 64
    for name, count in {"naive": shared + head, "lwf": shared + 2 * head, "ebll": shared + 2 * head + code}.items():
        epoch = products(name)
        with FlopCounterMode(display=False) as counter:
            epoch()
        assert counter.get_total_flops() == count
