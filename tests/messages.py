"""`raises` tests an error by its type and the values it must name; the full wording is kept in messages.txt.

Each section of messages.txt is a test with the different messages it saw. After rewording some, run their tests with
`UPDATE_MESSAGES=1 python -m pytest tests/test_it.py::test_that` (in one process) and review the diff of messages.txt.
"""

import os
import re
from contextlib import contextmanager
from pathlib import Path

import pytest

from ebll.errors import EbllError

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

    Where a test sees several messages, a word of the reason is a value too: it tells which of them must come.
    """
    with pytest.raises(kind) as caught:
        yield caught
    name_each(str(caught.value), values)
    review(own_words(caught.value))


def refused(*calls):
    """That each call raises the error whose kind and text stand at its place in the snapshot of this test."""
    told = []
    for call in calls:
        try:
            call()
            told.append("NOT REFUSED")
        except EbllError as error:
            told.append(f"{type(error).__name__}: {own_words(error)}")
    review("\n".join(told))


def own_words(error):
    """The text of an error without that of the error it was raised from, which is another library's."""
    text, cause = str(error), error.__cause__
    return text.replace(str(cause), f"<{type(cause).__name__}>") if str(cause or "") else text


def name_each(text, values):
    for value in values:
        assert re.search(rf"(?<!\w){re.escape(str(value))}(?!\w)", text), f"{value!r} is not named in: {text}"


def review(text, *values):
    """Fail unless `text` names each of `values` and is among the messages that the snapshot has for this test."""
    name_each(text, values)
    test = re.match(r"[^\s[]+", os.environ["PYTEST_CURRENT_TEST"]).group()
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
