"""The table of faults (`make mutants`) fits the library as it is, and the page of results fits the table."""

import re
from pathlib import Path

import pytest
from mutants.__main__ import Fault, read

ROOT = Path(__file__).parents[1]
FAULTS = read()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_a_fault_applies_in_one_place_and_leaves_python(fault):
    source = (ROOT / fault.file).read_text(encoding="utf-8")
    assert fault.applied(source) != source


@pytest.mark.parametrize(
    ("source", "reason"),
    [("x = 1\n", "occurs 0 times"), ("x = 0.5 + 0.5\n", "occurs 2 times"), ("x = (0.5)\n", "no Python")],
)
def test_a_fault_that_does_not_apply_says_so(source, reason):
    with pytest.raises(SystemExit, match=reason):
        Fault("ebll/losses.py", ["losses"], "half", "no half", "0.5", "(1.0").applied(source)


def test_ids_are_unique_and_every_file_names_its_tests():
    assert len({fault.id for fault in FAULTS}) == len(FAULTS) >= 45
    assert [name for fault in FAULTS for name in fault.tests if not (ROOT / name).exists()] == []


def test_the_page_shows_every_fault_killed_by_a_test_that_exists():
    page = (ROOT / "tests" / "mutants" / "RESULTS.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\S+)` \| `(\S+)` \| .* \| `(\w+\.py)::(\w+).*` \|$", page, re.M)
    assert {(file, fault) for file, fault, *_ in rows} == {(fault.file, fault.id) for fault in FAULTS}
    for _, _, file, test in rows:
        assert f"def {test}(" in (ROOT / "tests" / file).read_text("utf-8"), f"{file}::{test}: run `make mutants` again"
