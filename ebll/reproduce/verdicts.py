"""How a claim is decided: an interval over seeds, against a margin. Nothing here knows which claims there are.

A claim is one or more parts; a part is a number a seed that the claim says is above zero (or above a stated margin).
Its 95 % Student-t interval over the seeds decides: wholly above, supported; wholly below, not supported; else
undecided. A claim is supported if all its parts are, not supported if one is not, else undecided; its printed estimate
and interval are those of the part that decided.

The interval is over training seeds with one test set; it says nothing of other test images. The parts are judged one by
one, without a correction for their number: "supported" needs all of them, "not supported" any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ebll.metrics import confidence_interval

__all__ = ["Claim", "Part", "interval", "parts_table"]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The interval of M9, of one number a seed; (NaN, NaN) below two seeds, or where one has no number."""
    whole = np.isfinite(np.asarray(values, dtype=float)).all()
    return confidence_interval(values)[1:] if whole else (float("nan"), float("nan"))


@dataclass(frozen=True)
class Part:
    """One number a seed, said to be above `above`; points are hundredths of an accuracy."""

    what: str
    values: tuple[float, ...]
    above: float = 0.0
    unit: str = "points"

    @property
    def estimate(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.values)) if self.values else float("nan")

    @property
    def bounds(self) -> tuple[float, float]:
        """95 % t-interval of the mean; a point if all seeds agree, NaN below two seeds."""
        return interval(self.values)

    @property
    def verdict(self) -> str:
        """Where the interval lies."""
        low, high = self.bounds
        return "supported" if low > self.above else "not supported" if high <= self.above else "undecided"


@dataclass(frozen=True)
class Claim:
    """A statement, where it was tried (a net and its tasks, and a remark on these), and what decides it."""

    id: str
    statement: str
    where: str
    parts: tuple[Part, ...]
    remark: str = ""

    @property
    def verdict(self) -> str:
        """Supported if every part is, not supported if one is not, else undecided."""
        verdicts = {part.verdict for part in self.parts}
        return next(v for v in ("not supported", "undecided", "supported") if v in verdicts)

    @property
    def deciding(self) -> Part:
        """Among the parts with the claim's verdict, the one whose interval reaches lowest.

        A part on which all seeds agree exactly, such as zero forgetting, is named only where there is no other.
        """
        candidates = [part for part in self.parts if part.verdict == self.verdict]
        candidates = [part for part in candidates if len(set(part.values)) > 1] or candidates
        return min(candidates, key=lambda part: np.nan_to_num(part.bounds[0] - part.above, nan=-np.inf))

    def as_dict(self) -> dict[str, Any]:
        """The entry of claims.json; numbers that cannot be had (one seed has no interval) are null."""
        part = self.deciding
        numbers = dict(zip(("estimate", "low", "high"), (part.estimate, *part.bounds), strict=True))
        return {
            "id": self.id,
            "statement": self.statement,
            "where": self.where + self.remark,
            "measured": part.what,
            **{name: None if np.isnan(value) else round(value, 4) for name, value in numbers.items()},
            "unit": part.unit,
            "above": part.above,
            "seeds": len(part.values),
            "verdict": self.verdict,
        }


def parts_table(claims: Sequence[Claim]) -> pd.DataFrame:
    """Every part of every claim: claim, what, estimate, low, high, unit, above, verdict, seeds, values (one a seed)."""
    return pd.DataFrame(
        {
            "claim": claim.id,
            "what": part.what,
            "estimate": part.estimate,
            "low": part.bounds[0],
            "high": part.bounds[1],
            "unit": part.unit,
            "above": part.above,
            "verdict": part.verdict,
            "seeds": len(part.values),
            "values": " ".join(f"{value:.4f}" for value in part.values),
        }
        for claim in claims
        for part in claim.parts
    )
