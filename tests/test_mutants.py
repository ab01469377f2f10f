"""The table of faults (`make mutants`) fits the library as it is, and the page of results fits the table."""

import re
from pathlib import Path

import pytest
from mutants.__main__ import Problem, chosen
from mutants.faults import FAULTS, LIKELY, DoesNotApply, Fault

TESTS = Path(__file__).parent
ROOT = TESTS.parent


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_a_fault_applies_in_one_place_and_leaves_python(fault):
    source = (ROOT / fault.file).read_text(encoding="utf-8")
    assert fault.applied(source) != source


def test_a_fault_that_does_not_apply_says_so():
    fault = Fault("ebll/losses.py", "half", "no half", "0.5", "1.0")
    for source, count in (("x = 1\n", 0), ("x = 0.5 + 0.5\n", 2)):
        with pytest.raises(DoesNotApply) as caught:
            fault.applied(source)
        assert str(caught.value) == (
            f"fault half does not apply: its text occurs {count} times in ebll/losses.py; "
            "the code has moved, update tests/mutants/faults.py"
        )
    with pytest.raises(DoesNotApply, match=r"ebll/losses\.py no longer compiles"):
        fault._replace(new="(").applied("x = 0.5\n")


def test_ids_are_unique_and_every_file_names_its_tests():
    assert len({fault.id for fault in FAULTS}) == len(FAULTS) >= 45
    assert {fault.file for fault in FAULTS} == LIKELY.keys()
    assert [name for names in LIKELY.values() for name in names if not (TESTS / f"test_{name}.py").exists()] == []


def test_faults_are_chosen_by_id_and_by_file_and_an_unknown_one_names_its_neighbour():
    assert chosen([]) == FAULTS
    assert [fault.id for fault in chosen(["penalty-no-square"])] == ["penalty-no-square"]
    assert {fault.file for fault in chosen(["ebll/losses.py"])} == {"ebll/losses.py"}
    with pytest.raises(Problem, match=r"no file with faults 'penalty-square'\. Did you mean 'penalty-no-square'"):
        chosen(["penalty-square"])


def test_the_page_shows_every_fault_killed_by_a_test_that_exists():
    page = (TESTS / "mutants" / "RESULTS.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\S+)` \| `(\S+)` \| .* \| `(\w+\.py)::(\w+).*` \|$", page, re.M)
    assert {(file, fault) for file, fault, *_ in rows} == {(fault.file, fault.id) for fault in FAULTS}
    for _, _, file, test in rows:
        assert f"def {test}(" in (TESTS / file).read_text(encoding="utf-8"), f"{file}::{test}: run `make mutants` again"
