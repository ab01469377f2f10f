"""`raises` tests an error by its type and the values it must name; the full wording is kept in messages.txt.

Each section of messages.txt is a test with the different messages it saw. After rewording some, run their tests with
`UPDATE_MESSAGES=1 python -m pytest tests/test_it.py::test_that` (in one process) and review the diff of messages.txt.
"""

import os
import re
from contextlib import contextmanager
from pathlib import Path

import pytest

SNAPSHOT = Path(__file__).with_name("messages.txt")
UPDATE = "UPDATE_MESSAGES" in os.environ
TEMPORARY = re.compile(r"/[^\s'\"]*/pytest-\d+/(popen-gw\d+/)?[\w-]+")  # tmp_path, of whatever run and process
DIGEST = re.compile(r"\b(?=\d*[a-f])[0-9a-f]{16,}\b")  # in the names of files


def read():
    """The messages of each test: indented by four spaces, their further lines by six."""
    sections = (re.split(r"\n(?=    \S)", section) for section in SNAPSHOT.read_text("utf-8").strip().split("\n\n"))
    return {test: messages for test, *messages in sections if messages}


kept, renewed = read(), set()


@contextmanager
def raises(kind, *values):
    """`pytest.raises(kind)`, for a message that names each of `values` and reads as in the snapshot.

    The text of an error that it was raised from is another library's, and left out of the snapshot.
    Where a test sees several messages, a word of the reason is a value too: it tells which of them must come.
    """
    with pytest.raises(kind) as caught:
        yield caught
    review(str(caught.value), *values, cause=caught.value.__cause__)


def review(text, *values, cause=None):
    """Fail unless `text` names each of `values` and is among the messages that the snapshot has for this test."""
    for value in values:
        assert re.search(rf"(?<!\w){re.escape(str(value))}(?!\w)", text), f"{value!r} is not named in: {text}"
    test = re.match(r"[^\s[]+", os.environ["PYTEST_CURRENT_TEST"]).group()
    if str(cause or ""):
        text = text.replace(str(cause), f"<{type(cause).__name__}>")
    text = DIGEST.sub("DIGEST", TEMPORARY.sub("TMP", text.strip()))
    message = "    " + text.replace("\n", "\n      ")
    if UPDATE and test not in renewed:
        assert "PYTEST_XDIST_WORKER" not in os.environ, "update the messages in one process, without -n"
        renewed.add(test)
        kept.pop(test, None)
    if message in kept.get(test, ()):
        return
    if not UPDATE:
        command = f"UPDATE_MESSAGES=1 python -m pytest {test}"
        pytest.fail(f"{SNAPSHOT.name} has no such message for {test}:\n{message}\nIf it reads well: {command}")
    kept.setdefault(test, []).append(message)
    sections = ("\n".join([test, *messages]) for test, messages in sorted(kept.items()))
    SNAPSHOT.write_text("\n\n".join(sections) + "\n", "utf-8")
