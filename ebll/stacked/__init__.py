"""Many runs as one program: runs that differ in numbers only are trained with a row for each, on the same pure terms.

    learn_stacked(tasks, [Branch(EBLL(alpha=a), seed, settings, start) for a in (0.3, 1.0, 3.0)])

`lifted` makes one object of many, `stage` is the loop, `graph` records its step on a GPU, `sequence` is the protocol
around it, `room` says how many fit. Each run takes the steps that it takes in `ebll.run_sequence`, but for rounding.
"""

from __future__ import annotations

from ebll.stacked.lifted import CannotStack
from ebll.stacked.room import runs_at_once
from ebll.stacked.sequence import Branch, Learned, learn_stacked
from ebll.stacked.stage import Member, train_stacked

__all__ = ["Branch", "CannotStack", "Learned", "Member", "learn_stacked", "runs_at_once", "train_stacked"]
