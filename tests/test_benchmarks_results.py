"""The page of results: verdicts, tables, and files that cannot be used; and the arithmetic of the peers."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import __main__ as command, results
from benchmarks.peers import against, sides
from benchmarks.results import check_outputs, number, read, spread, table_of, verdict, write_part
from benchmarks.rounds import Figure, figure
from benchmarks.section import write_section

FACTS = {"machine": "a machine", "torch": "2", "python": "3", "threads": "1", "load": "0.0"}


def one(value, bar=None, most=True, low=None, high=None, case="net", what="to that", unit="x"):
    return Figure(case, what, unit, value, value if low is None else low, value if high is None else high, 3, bar, most)


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        (one(1.0, 1.1), "met"),
        (one(1.25, 1.1), "missed by 0.15"),
        (one(3.5, 4.0, most=False), "missed by 0.50"),
        (one(4.0, 4.0, most=False), "met"),
        (one(1.1004, 1.1), "missed by less than its last digit"),
        (one(1.2, 1.1, low=1.0, high=1.3), "missed by 0.10, on both sides"),
        (one(1.0, 1.1, low=0.9, high=1.3), "met, on both sides"),
    ],
)
def test_a_verdict_says_by_how_much_a_bar_is_missed(figure, words):
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


def test_a_table_has_a_row_a_case_and_a_column_a_number():
    figures = [one(k, case=case, what=what) for k, (case, what) in enumerate(["ax", "ay", "bx"])]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table_of(figures).splitlines()]
    assert rows[0] == ["case", "x", "y"]
    assert rows[2:] == [["a", spread(figures[0]), spread(figures[1])], ["b", spread(figures[2]), ""]]


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
    write_part("some", "Title", "Words. " * 40, figures, FACTS, page, table)
    assert read(table) == [("some", f) for f in figures]
    assert page.read_text().startswith("# How fast it is")
    assert "0 of 1 bars are met." in page.read_text()
    assert "Measured on a machine, torch 2, python 3, threads 1, load 0.0, in 3 rounds." in page.read_text()
    assert max(map(len, page.read_text().split("## Title")[1].splitlines())) <= 120
    assert not list(tmp_path.glob("*.part"))


def test_a_part_replaces_its_own_section_and_rows_only_and_keeps_its_place(tmp_path):
    where = {"page": tmp_path / "page.md", "table": tmp_path / "table.csv"}

    def write(part, value):
        figures = [figure("case", "ratio", "x", [value], 1.1), figure("case", "share", "%", [90.0])]
        write_part(part, f"Of {part}", f"Text of {part}.", figures, FACTS, **where)
        return where["page"].read_text(encoding="utf-8")

    assert "0 of 1 bars are met." in write("one", 1.5)
    assert "1 of 2 bars are met." in write("two", 1.05)
    page = write("one", 1.02)
    assert "2 of 2 bars are met." in page
    assert [(part, f.value) for part, f in read(where["table"])] == [
        ("one", 1.02),
        ("one", 90),
        ("two", 1.05),
        ("two", 90),
    ]
    assert page.count("## Of one") == page.count("Text of one.") == page.count("Text of two.") == 1
    assert page.index("| ratio") < page.index("## Of one") < page.index("## Of two")
    assert "1.50" not in page


def test_only_figures_with_a_bar_stand_in_the_table_at_the_top(tmp_path):
    where = {"page": tmp_path / "page.md", "table": tmp_path / "table.csv"}
    write_part("plain", "Plain", "Text.", [figure("case", "step", "ms", [1.0, 2.0, 4.0])], FACTS, **where)
    assert read(where["table"]) == [("plain", Figure("case", "step", "ms", 2.0, 1.0, 4.0, 3))]
    page = where["page"].read_text(encoding="utf-8")
    assert "0 of 0 bars are met." in page
    assert "2.00" not in page


def test_the_page_is_short_and_its_table_is_that_of_the_figures():
    page = results.PAGE.read_text(encoding="utf-8")
    assert page.startswith(results.top())
    assert sum(f.bar is not None for _, f in read()) <= 20
    assert len(page.splitlines()) <= 150


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
        (["nonsense"], "no part 'nonsense'; the parts are loop"),
        (["--rounds", "0"], "must be at least 1"),
        (["panels", "--page", "{}/x", "--table", "{}/x"], "a file of its own"),
    ],
)
def test_the_command_says_what_was_wrong(arguments, words, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        command.main([argument.format(tmp_path) for argument in arguments])
    assert words in f"{stop.value}{capsys.readouterr().err}"


def test_the_ratios_of_peers_are_taken_round_by_round():
    rows = [
        {"round": r, "method": "lwf", "side": side, "threads": 1, "floor": 0.5, "seconds": s, "whole": 2 * s}
        for r, (ours, theirs) in enumerate([(1.0, 4.0), (2.0, 6.0), (1.0, 5.0)])
        for side, s in (("ebll", ours), ("avalanche", theirs))
    ]
    found = against.figures_of(pd.DataFrame(rows))
    by_name = {f.what: f for f in found}
    ratio = by_name[against.RATIO]
    assert (ratio.value, ratio.low, ratio.high, ratio.bar, ratio.met) == (4.0, 3.0, 5.0, 4.0, True)
    assert [f.what for f in found if f.bar is not None] == [against.RATIO]
    assert by_name[against.POSSIBLE].value == 10.0
    assert by_name["products alone, of a step of ebll"].value == 50.0
    assert by_name["ebll, a step"].value == pytest.approx(1e3 / (against.IMAGES // against.BATCH))
    text = against.told(found, [figure("case", "profile, calls", "%", [12.0])], 3e-13, "0.6.0")
    assert "take\n50 %" in text
    assert "calls 12.0 %" in text


def test_different_work_on_both_sides_is_refused():
    assert sides.checked("lwf", {"first loss": 0.0, "weights": 3e-13}) == 3e-13
    for wrong in (1e-5, float("nan")):
        with pytest.raises(SystemExit, match="do not do the same work"):
            sides.checked("lwf", {"first loss": 0.0, "weights": wrong})


@pytest.fixture
def few_images(monkeypatch):
    """One batch in place of an epoch."""
    for part in (sides, against):
        monkeypatch.setattr(part, "IMAGES", sides.BATCH)


@pytest.mark.parametrize("name", ["naive", "lwf", "ewc"])
def test_our_side_learns_in_either_precision(few_images, name):
    data, losses, ends = sides.made_data(), {}, {}
    for precision, arrays in {"double": data, "single": sides.in_single(data)}.items():
        ready = sides.targets(sides.begun(name, arrays))
        losses[precision] = []
        sides.epoch(ready, losses[precision])
        ends[precision] = next(ready.net.parameters()).detach()
    assert ends["double"].dtype == torch.float64
    assert ends["single"].dtype == torch.float32
    assert len(losses["single"]) == 1
    assert losses["single"] == pytest.approx(losses["double"], abs=1e-4)  # rounding of single precision
    torch.testing.assert_close(ends["single"].double(), ends["double"], atol=1e-4, rtol=0)


def test_the_other_side_gets_the_data_in_the_order_of_our_loop(few_images):
    data = sides.made_data()
    moved = sides.in_our_order(data)
    assert not np.array_equal(moved["x1"], data["x1"])
    seen = []
    ready = sides.begun("naive", data)
    ready.net.features.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    sides.epoch(ready)
    assert np.array_equal(torch.cat(seen).numpy(), moved["x1"])


def test_the_products_alone_are_as_many_operations_as_a_step_of_the_method(few_images):
    b = against.BATCH
    shared, head, code = 4 * b * 784 * 256 + 6 * b * 256 * 256, 6 * b * 256 * 10, 4 * b * 256 * 64
    for name, count in {"naive": shared + head, "lwf": shared + 2 * head, "ebll": shared + 2 * head + code}.items():
        epoch = against.products(name)
        with FlopCounterMode(display=False) as counter:
            epoch()
        assert counter.get_total_flops() == count
