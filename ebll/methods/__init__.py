"""The methods, final classes all run by the one loop in `ebll.training`.

`METHODS` is a plain dictionary from the name used on the command line, in tables and in file names to the class; its
order is the order of every table and legend.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from ebll.errors import check_choice
from ebll.methods.base import Batch, Memory, Method, Targets, Term
from ebll.methods.baselines import FeatureExtraction, Finetune, Joint
from ebll.methods.ebll import EBLL, CodeOnly, EBLLSeparate, EncoderMemory
from ebll.methods.ewc import EWC, L2, EWCMemory
from ebll.methods.kronecker import KFAC, InputMoments, KroneckerMemory
from ebll.methods.lwf import LwF
from ebll.methods.replay import Replay, ReplayMemory
from ebll.settings import AutoencoderSettings

__all__ = [
    "EBLL", "EWC", "KFAC", "L2", "METHODS", "Batch", "CodeOnly", "EBLLSeparate", "EWCMemory", "EncoderMemory",
    "FeatureExtraction", "Finetune", "InputMoments", "Joint", "KroneckerMemory", "LwF", "Memory", "Method", "Replay",
    "ReplayMemory", "Targets", "Term", "method_from", "settings_of",
]  # fmt: skip

# In the order of `METHOD_NAMES`.
_ALL = (Joint, Finetune, FeatureExtraction, LwF, L2, EWC, InputMoments, KFAC, Replay, CodeOnly, EBLL, EBLLSeparate)
METHODS: dict[str, type[Method]] = {method.name: method for method in _ALL}


@functools.cache
def settings_of(name: str) -> frozenset[str]:
    """Names of the settings that a method has, those of its autoencoder among them."""
    kind = METHODS[check_choice(name, METHODS, "Method")]
    has_autoencoder = "autoencoder" in kind.__dataclass_fields__
    return frozenset(kind.metadata()) | (_OF_AUTOENCODER if has_autoencoder else frozenset())


def method_from(name: str, settings: Mapping[str, Any]) -> Method:
    """A method by its name, with those of these settings that it has; for the rest, its defaults."""
    given = {key: value for key, value in settings.items() if key in settings_of(name)}
    inner = {key: given.pop(key) for key in _OF_AUTOENCODER if key in given}
    autoencoder = {"autoencoder": AutoencoderSettings(**inner)} if inner else {}
    return METHODS[name](**given, **autoencoder)


_OF_AUTOENCODER = frozenset({"code_size", "recon_weight"})  # its other settings have names that training has, too
