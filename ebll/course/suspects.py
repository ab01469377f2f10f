"""The exercise "find the bug": four implementations of LwF that are known by their curves alone."""

from __future__ import annotations

from collections.abc import Mapping

from ebll.course.exercise import HINTS, fail

__all__ = ["SUSPECTS", "find_the_bug"]

SUSPECTS = {"teacher not frozen": "C", "mean squared error": "A", "targets in train mode": "D", "late warm-up": "B"}
"""What an implementation does otherwise -> its name in the figure."""


def find_the_bug(answer: Mapping[str, str]) -> None:
    """Check which curve is whose.

    answer  name of a curve -> what that implementation does, one of `SUSPECTS`; all four
    raises  `CheckFailed` with a hint on the first that is wrong
    """
    exercise, curves = "find_the_bug (E3)", sorted(SUSPECTS.values())
    if answer is None or answer is ...:
        fail(exercise, "unwritten")
    if not isinstance(answer, Mapping) or sorted(map(str, answer)) != curves:
        fail(exercise, "curves", came=answer)
    for curve in curves:
        if not isinstance(answer[curve], str) or answer[curve] not in SUSPECTS:
            fail(exercise, "no-such-bug", curve=curve, came=answer[curve], names="; ".join(SUSPECTS))
        if SUSPECTS[answer[curve]] != curve:
            fail(exercise, answer[curve], curve=curve)
    print("find_the_bug: correct.", HINTS[exercise]["correct"])
