"""What the library gives for fixed inputs is what the golden files hold; see `tests/golden/__init__.py`."""

import pytest
from golden import compare, compute, make

HERE = {"right": [30, 40], "loss": [1.0, 0.25], "sha256": "a1", "labels": ["cat", "dog"]}


@pytest.mark.parametrize("part", compute.PARTS)
def test_the_library_gives_what_the_file_holds(part):
    report = compare.compare(part, compute.PARTS[part]())
    if report.problems:
        pytest.fail("\n".join(report.problems[:20]), pytrace=False)


def test_the_files_are_small_and_there_is_none_without_a_part():
    found = list(compare.FOLDER.glob("*.json"))
    assert {file.stem for file in found} == set(compute.PARTS)
    assert sum(file.stat().st_size for file in found) < 1_500_000


@pytest.mark.parametrize(
    ("now", "exact", "within"),
    [
        ({}, True, True),
        ({"loss": [1.0 + 4e-4, 0.25 - 4e-4]}, False, True),  # of the largest entry of the column
        ({"loss": [1.0 + 6e-4, 0.25]}, False, False),
        ({"loss": [1.0, None]}, False, False),
        ({"loss": [1.0]}, False, False),
        ({"right": [30, 41]}, False, True),
        ({"right": [30, 42]}, False, False),
        ({"right": [29, 41]}, False, False),  # one image, in too many entries
        ({"sha256": "b2"}, False, True),
        ({"labels": ["cat", "cow"]}, False, False),
        ({"more": 1}, False, False),
    ],
)
def test_exact_where_it_was_made_and_within_tolerances_elsewhere(tmp_path, monkeypatch, now, exact, within):
    monkeypatch.setattr(compare, "FOLDER", tmp_path)
    monkeypatch.setenv("MKL_CBWR", "")
    compare.write("runs", HERE)
    here = compare.compare("runs", HERE | now)
    assert (here.exact, not here.problems) == (True, exact)
    monkeypatch.setenv("MKL_CBWR", "another")  # the file was made on another processor: this one without emulation
    there = compare.compare("runs", HERE | now)
    assert (there.exact, not there.problems) == (False, within)


def test_a_difference_is_told_with_the_command_that_writes_the_part_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(compare, "FOLDER", tmp_path)
    monkeypatch.setitem(compute.PARTS, "page", lambda: {"runs": 3})
    compare.write("page", {"seeds": 3})
    assert make.main(["--check", "page"]) == 1
    told = capsys.readouterr().out
    assert "runs: here, and not in the file" in told
    assert "seeds: in the file, and no longer here" in told
    assert "`python -m tests.golden.make page`" in told
