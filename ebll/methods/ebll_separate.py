"""EBLL with a task operator of its own for every task: nothing above F is shared, so the code term suffices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from ebll.methods.codes import CodeMethod
from ebll.networks import Network

__all__ = ["EBLLSeparate"]


@final
@dataclass(frozen=True)
class EBLLSeparate(CodeMethod):
    """E1 of the new task + sum over the old tasks of alpha_t * E4, with T empty and T_t all layers above F.

    The old tasks' operators and heads get no gradient from the new task and stay as they are (EBLL section 3.3.2). A
    new task's operator begins as a copy of the newest one.
    """

    name = "ebll-separate"
    label = "EBLL, separate operators"

    def prepare(self, net: Network) -> None:
        """Give the first head an operator of its own."""
        net.separate_operators()
