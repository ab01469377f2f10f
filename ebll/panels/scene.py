"""What a panel of runs shows: the runs of a session, in the words and lines of `ebll.figures.lab`.

This room reads a session and draws; it knows nothing of widgets.
"""

from __future__ import annotations

from typing import Any

from ebll.figures import Picture, lab
from ebll.figures.live import LivePlot, Mark
from ebll.live import LabConfig
from ebll.live.cost import main_steps_of
from ebll.live.lab import SAMPLES
from ebll.live.session import Session, differences, rows_of

__all__ = ["Scene"]


class Scene:
    """The picture of a session, drawn again and again.

    terms_of   the method whose loss terms are drawn; "" for the last of the methods
    """

    def __init__(self, session: Session) -> None:
        self.session, self.terms_of = session, ""
        self._plot: LivePlot | None = None
        self._about: Any = None
        self._made: Any = None
        self._known: dict[str, tuple[Any, ...]] = {}

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that a run of the session has."""
        return (self.session.live,) if self.session.live else self.session.config.methods

    @property
    def terms(self) -> str:
        """The method whose loss terms are chosen."""
        return self.terms_of if self.terms_of in self.methods else self.methods[-1]

    @property
    def shown(self) -> LabConfig:
        """The config of the run on show, which is not the session's once a setting has changed and nothing was run."""
        return self.session.current.config if self.session.current else self.session.config

    @property
    def shown_terms(self) -> str:
        """The method whose loss terms are drawn: the chosen one, or the last that the run on show has."""
        has = self._drawn_methods()
        return self.terms_of if self.terms_of in has else has[-1]

    @property
    def steps(self) -> int:
        """Optimiser steps of one method, where the horizontal axis ends."""
        made = self.session.current
        return made.steps if made is not None and made.steps else main_steps_of(self.shown)

    def frame(self, quick: bool = False) -> bytes:
        """The picture of this moment."""
        session, config, terms = self.session, self.shown, self.shown_terms
        about = (config.old, config.new, terms, self.steps)
        if self._plot is None or about != self._about:
            self._about = about
            self._plot = LivePlot(lab.lab_panels(*about[:3]), self.steps, f"optimiser step on {config.new}")
        if session.current is not self._made:  # another run: the axes need not be as long as for the last one
            self._made = session.current
            self._plot.loosen()
        made, rows, pinned = session.current, session.record(), [one for one in session.pinned if self._beside(one)]
        traces = [t for one in pinned for t in lab.lab_traces(rows_of(one.made), prefix=f"{one.name}: ", pale=True)]
        compared = [f"pinned {one.name}" for one in pinned]
        if session.before is not None and self._comparable(session.before) and not self._pinned(session.before):
            traces += lab.lab_traces(rows_of(session.before), terms_of=terms, prefix="before: ", pale=True)
            compared.append("the run before")
        traces += lab.lab_traces(rows, terms_of=terms, broken=made.diverged if made else ())
        return self._plot.frame(
            traces,
            title=self.title,
            caption=lab.lab_caption(config.old, config.new, SAMPLES, compared),
            legend=lab.lab_legend(self._drawn_methods()),
            inner={"terms": self._inner(rows, terms)},
            marks=[
                Mark(change.step, f"{change.name} {change.value:g}".replace("_", " ")) for change in self._changes()
            ],
            quick=quick,
        )

    def picture(self) -> Picture:
        """What `frame` drew last, as a picture with its text and its numbers."""
        if self._plot is None:
            self.frame()
        config = self.shown
        facts = {"old": config.old, "new": config.new, "net": config.net, "seed": config.seed}
        return self._plot.picture(self.alt, lab.lab_table(self.session.record(), **facts))

    def readout(self) -> list[dict[str, Any]]:
        """The values under the pointer."""
        return self._plot.readout() if self._plot is not None else []

    @property
    def title(self) -> str:
        """Tasks, net, seed and settings of the run on show."""
        config = self.shown
        told = [
            differences(config, title=True, methods=self._drawn_methods()),
            *(["changed in mid-run"] if self._changes() else ()),
        ]
        return lab.lab_title(config.old, config.new, config.net, config.seed, ", ".join(told))

    @property
    def alt(self) -> str:
        """What is seen, in words."""
        config, made = self.shown, self.session.current
        changes = [f"{c.name.replace('_', ' ')} is {c.value:g} from step {c.step}" for c in self._changes()]
        notes = [*changes, *(made.notes if made else ())]
        return lab.lab_alt(self.title, self.session.record(), config.old, config.new, notes)

    def _drawn_methods(self) -> tuple[str, ...]:
        """All methods of the run on show, also those that have not begun."""
        made, live = self.session.current, self.session.live
        return ((tuple(made.recorders) if made else ()) or (live,)) if live else self.shown.methods

    def _inner(self, rows: Any, method: str) -> tuple[Any, ...]:
        """The legend of the loss terms; once they are known it stays, so that a run does not begin with another one."""
        self._known[method] = lab.lab_terms(rows, method) or self._known.get(method, ())
        return self._known[method]

    def _changes(self) -> list[Any]:
        return list(self.session.current.changes) if self.session.current is not None else []

    def _pinned(self, made: Any) -> bool:
        return any(one.made is made for one in self.session.pinned)

    def _beside(self, one: Any) -> bool:
        """Whether a pinned run is drawn faintly: not where it is the run on show, or about other tasks."""
        return one.made is not self.session.current and self._comparable(one.made)

    def _comparable(self, made: Any) -> bool:
        return all(getattr(made.config, name) == getattr(self.shown, name) for name in ("old", "new", "net"))
