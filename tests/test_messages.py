"""The snapshot of messages holds what tests see, no more; a message that reads otherwise fails until it is reviewed."""

import re

import messages
import pytest
from messages import SNAPSHOT, raises, read, review


def test_each_section_is_a_test():
    """A test that was renamed or removed leaves its section behind: delete that."""
    gone = []
    for test in read():
        file, name = test.split("::")
        source = SNAPSHOT.parent.parent / file
        if not source.is_file() or not re.search(rf"^def {name}\(", source.read_text("utf-8"), re.MULTILINE):
            gone.append(test)
    assert gone == []


def test_what_is_not_in_the_snapshot_fails_with_the_way_to_take_it_over(monkeypatch):
    monkeypatch.setattr(messages, "UPDATE", False)
    command = r"UPDATE_MESSAGES=1 python -m pytest tests/test_messages\.py"
    with pytest.raises(pytest.fail.Exception, match=command), raises(ValueError, "alpha"):
        raise ValueError("alpha is new")
    with pytest.raises(AssertionError, match="'alph' is not named"):
        review("alpha is new", "alph")


def test_an_update_renews_the_messages_of_its_test_alone(monkeypatch, tmp_path):
    here = "tests/test_messages.py::test_an_update_renews_the_messages_of_its_test_alone"
    for name, value in {"UPDATE": True, "SNAPSHOT": tmp_path / "messages.txt", "renewed": set()}.items():
        monkeypatch.setattr(messages, name, value)
    monkeypatch.setattr(messages, "kept", {"tests/test_a.py::test_b": ["    other"], here: ["    old"]})
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    review(f"new in {tmp_path}.\nIn two lines.\n")
    with raises(ValueError, 404):
        raise ValueError("Elsewhere: 404") from OSError("404")
    own = ["    new in TMP.\n      In two lines.", "    Elsewhere: <OSError>"]
    assert read() == {"tests/test_a.py::test_b": ["    other"], here: own}
