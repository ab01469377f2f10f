"""The claims of the course on one page: what was estimated, how surely, and the verdict that the data gave.

This room knows claims as dicts; it judges nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ebll.errors import InputError, check_number

from . import alt, layout
from .picture import Picture
from .style import INK, Look, styled

__all__ = ["claims_overview", "claims_table"]

_FIELDS = ("id", "statement", "estimate", "low", "high", "verdict")
VERDICTS = {
    "supported": Look("supported", "#0173b2", "-", "o"),
    "not supported": Look("not supported", "#d55e00", "-", "X"),
}
_OPEN = Look("", "#5a5a5a", "-", "D")  # any other verdict, in its own words
_TEXT, _VERDICT = 3.15, 1.05  # inches for statement and verdict


def claims_table(claims: Iterable[Mapping]) -> pd.DataFrame:
    """Return what `claims_overview` draws: id, statement, estimate, low, high, verdict, unit (or ""), reference (or 0).

    A claim without `low` and `high` (None or NaN: one seed) stays without an interval.
    """
    claims = list(claims)
    if not claims:
        raise InputError(
            "There are no claims to draw. Check them first; each is a dict with " + ", ".join(_FIELDS) + "."
        )
    for place, claim in enumerate(claims):
        missing = [field for field in _FIELDS if field not in claim]
        if missing:
            raise InputError(f"Claim {claim.get('id', place)} lacks: {', '.join(missing)}.")
        check_number(claim["estimate"], f"Claim {claim['id']}: estimate", low=-np.inf)
    extra = [{"unit": claim.get("unit", ""), "reference": claim.get("reference", 0.0)} for claim in claims]
    rows = [{field: claim[field] for field in _FIELDS} | more for claim, more in zip(claims, extra, strict=True)]
    return pd.DataFrame(rows).astype(dict.fromkeys(("estimate", "low", "high", "reference"), float))


@styled
def claims_overview(claims: Iterable[Mapping]) -> Picture:
    """Draw each claim as a row: its statement, its estimate with interval, and its verdict as a word and a mark.

    claims  dicts {id, statement, estimate, low, high, verdict}; may also have `unit` (each unit gets an axis of its
            own) and `reference` (the value that the claim is held against, 0 if not given)

    The bar is the interval that came with the claim (95 %), the upright line its reference. Disc: supported; cross:
    not supported; diamond: anything else, such as undecided.
    """
    table = claims_table(claims)
    table["lines"] = [layout.wrap(f"{c.id}  {c.statement}", _TEXT) for c in table.itertuples(index=False)]
    groups = [rows for _, rows in table.groupby("unit", sort=False)]
    heights = [sum(_tall(lines) for lines in rows["lines"]) for rows in groups]
    title = "Claims and verdicts"
    caption = (
        "Mark: estimate; bar: 95 % interval over seeds; upright line: the value that the claim is held against "
        "(0: no difference). Disc: supported; cross: not supported; diamond: any other verdict."
    )
    picture = layout.compose(title, caption, height=sum(heights) + 0.5 * len(groups))
    axes = picture.subplots(len(groups), 1, height_ratios=heights, squeeze=False)[:, 0]
    for one, rows in zip(axes, groups, strict=True):
        _draw(one, rows)
    table = table.drop(columns="lines")
    return layout.finish(picture, table, alt.sentences(f"{title}, {len(table)} in all", *_words(table), caption))


def _tall(lines: str) -> float:
    return 0.16 * (1 + lines.count("\n")) + 0.14


def _draw(axes: Axes, rows: pd.DataFrame) -> None:
    edges = np.concatenate([[0], np.cumsum([_tall(lines) for lines in rows["lines"]])])
    centres = (edges[1:] + edges[:-1]) / 2
    for y, claim in zip(centres, rows.itertuples(index=False), strict=True):
        look = VERDICTS.get(str(claim.verdict).lower(), _OPEN)
        axes.plot([claim.low, claim.high], [y, y], color=look.color, linewidth=2, zorder=3)
        layout.draw_mark(axes, claim.estimate, y, look, zorder=4)
        verdict = layout.wrap(str(claim.verdict), _VERDICT, weight="bold")
        axes.text(1.03, y, verdict, transform=axes.get_yaxis_transform(), va="center", weight="bold")
    axes.vlines(rows["reference"], edges[:-1], edges[1:], color=INK, linewidth=1, zorder=1)
    axes.set_ylim(edges[-1], 0)
    axes.set_yticks(centres, rows["lines"], ha="left", linespacing=1.15)
    axes.tick_params(axis="y", length=0, pad=72 * (_TEXT + 0.08))
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.08)
    axes.set_xlabel(rows["unit"].iloc[0])


def _words(table: pd.DataFrame) -> list[str]:
    out = []
    for claim in table.itertuples(index=False):
        unit = f" {claim.unit}" if claim.unit else ""
        between = alt.span(claim.low, claim.high, alt.number)
        out.append(f"{claim.id}, {claim.verdict}: {claim.statement}: {alt.number(claim.estimate)}{unit} ({between})")
    return out
