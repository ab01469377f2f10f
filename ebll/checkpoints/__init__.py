"""Long runs that survive being stopped: checkpoints within and between their stages."""

from __future__ import annotations

from ebll.checkpoints.files import read_checkpoint, read_facts, write_checkpoint
from ebll.checkpoints.keeper import Checkpoints

__all__ = ["Checkpoints", "read_checkpoint", "read_facts", "write_checkpoint"]
