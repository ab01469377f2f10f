"""The code term alone: EBLL without distillation, to see what each of the two does (an ablation)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from ebll.methods.codes import CodeMethod

__all__ = ["CodeOnly"]


@final
@dataclass(frozen=True)
class CodeOnly(CodeMethod):
    """E1 of the new task + sum over the old tasks of alpha_t * E4, with T shared.

    F is held where the codes are, but nothing holds T, which the old heads need too.
    """

    name = "code-only"
    label = "Code term alone"
