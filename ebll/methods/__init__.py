"""The methods, one final class a file, all run by the one loop in `ebll.training`.

`METHODS` is a plain dictionary from the name used on the command line, in tables and in file names to the class; its
order is the order of every table and legend.
"""

from __future__ import annotations

from ebll.methods.base import Batch, Memory, Method, Recorded, Term
from ebll.methods.code_only import CodeOnly
from ebll.methods.codes import EncoderMemory
from ebll.methods.ebll import EBLL
from ebll.methods.ebll_separate import EBLLSeparate
from ebll.methods.ewc import EWC, EWCMemory
from ebll.methods.feature_extraction import FeatureExtraction
from ebll.methods.finetune import Finetune
from ebll.methods.joint import Joint
from ebll.methods.lwf import LwF

__all__ = [
    "EBLL",
    "EWC",
    "METHODS",
    "Batch",
    "CodeOnly",
    "EBLLSeparate",
    "EWCMemory",
    "EncoderMemory",
    "FeatureExtraction",
    "Finetune",
    "Joint",
    "LwF",
    "Memory",
    "Method",
    "Recorded",
    "Term",
]

METHODS: dict[str, type[Method]] = {
    "joint": Joint,
    "finetune": Finetune,
    "feature-extraction": FeatureExtraction,
    "lwf": LwF,
    "ewc": EWC,
    "code-only": CodeOnly,
    "ebll": EBLL,
    "ebll-separate": EBLLSeparate,
}
