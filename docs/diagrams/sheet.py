"""A sheet to draw diagrams on: light or dark, in pixels of a picture 800 wide, with boxes, arrows and locks as SVG."""

from __future__ import annotations

import html
import io
import re
from dataclasses import dataclass, field

import matplotlib
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Arc, FancyArrowPatch, FancyBboxPatch, Rectangle

from ebll.plots.style import INK, SOFT, TERMS, drawing

WIDTH = 800
FAMILY = "'DejaVu Sans', Verdana, sans-serif"  # the first two have much the same widths
SMALL, TEXT, LARGE = 12.5, 13.5, 16.0  # pixels at that width


@dataclass(frozen=True)
class Theme:
    """Colours of one version: the ground of the page that it stands on, what is written, and what fills boxes."""

    ground: str
    ink: str
    soft: str
    trained: str
    frozen: str
    hatch: str
    band: str
    ratio: float  # contrast of coloured text; grey on black looks switched off where it is low


THEMES = {
    "light": Theme("#ffffff", INK, SOFT, "#d3e7f6", "#f4f4f4", "#cfcfcf", "#efefeb", 4.5),
    "dark": Theme("#0d1117", "#e6edf3", "#aab4be", "#164468", "#20262d", "#3f4852", "#151b23", 6.5),
}


def luminance(color: str) -> float:
    """Relative luminance of WCAG 2: 0 is black, 1 is white."""
    parts = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color))
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2, from 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def readable(color: str, theme: Theme) -> str:
    """`color`, mixed with as little of the ink as gives it the theme's contrast on every ground."""
    grounds = (theme.ground, theme.band)
    for share in range(101):
        mixed = [(1 - share / 100) * c + share / 100 * i for c, i in zip(to_rgb(color), to_rgb(theme.ink), strict=True)]
        tried = matplotlib.colors.to_hex(mixed)
        if min(contrast(tried, ground) for ground in grounds) >= theme.ratio:
            break
    return tried


@dataclass
class Sheet:
    """A drawing of 800 by `height` pixels, y downwards; `name` is its title, `alt` what is seen."""

    name: str
    alt: str
    height: int
    theme: Theme
    figure: Figure = field(init=False)

    def __post_init__(self):
        self.alt = " ".join(self.alt.split())
        self.figure = Figure(figsize=(WIDTH / 72, self.height / 72), dpi=72, facecolor=self.theme.ground)
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(self.height, 0))
        self.axes.set_axis_off()

    def term(self, name: str) -> str:
        """The colour of a loss term, as in the plots, readable here."""
        return readable(TERMS[name].color, self.theme)

    def text(self, x: float, y: float, text: str, size: float = TEXT, *, color: str = "", **options: object) -> None:
        """Lines of text in the middle of which (x, y) stands; `options` are matplotlib's."""
        lines, options = text.splitlines(), {"ha": "center", "va": "baseline", "zorder": 7} | options
        for number, line in enumerate(lines):
            base = y + (0.36 + 1.3 * (number - (len(lines) - 1) / 2)) * size  # capitals are 0.72 of the size high
            self.axes.text(x, base, line, fontsize=size, color=color or self.theme.ink, **options)

    def area(self, x: float, y: float, width: float, height: float, **options: object) -> None:
        """A rounded rectangle from its upper left corner."""
        shape = FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0,rounding_size=5", **options)
        self.axes.add_patch(shape)

    def box(
        self, x: float, y: float, width: float, height: float, title: str, state: str = "", *,
        size: float = TEXT, note: str | None = None, color: str = "",
    ) -> None:  # fmt: skip
        """A part around (x, y).

        state   "trained" (filled), "frozen" (hatched, with a lock), "kept" (dashed), or "" for what has no parameters
        note    a second, smaller line; the word of the state where there is one
        color   of edge and title
        """
        theme, left, top = self.theme, x - width / 2, y - height / 2
        fill = {"trained": theme.trained, "frozen": theme.frozen}.get(state, theme.ground)
        line, thick = (0, (4, 2)) if state == "kept" else "-", 2.0 if state == "trained" else 1.2
        edge = color or (theme.ink if state == "trained" else theme.soft)
        self.area(left, top, width, height, fc=fill, ec=edge, lw=thick, ls=line, zorder=2)
        note = {"trained": "trained", "frozen": "frozen"}.get(state, "") if note is None else note
        apart = 0.62 * size if note else 0
        self.text(x, y - apart, title, size, color=color, weight="bold")
        if note:
            self.text(x, y + apart, note, SMALL)
        if state == "frozen":
            inside = (left + 1, top + 1, width - 2, height - 2)
            self.area(*inside, fc="none", ec=theme.hatch, hatch="////", lw=0, zorder=2.1)
            self.lock(left + width + 1, top - 1)

    def lock(self, x: float, y: float) -> None:
        """A padlock on (x, y), the corner of a box."""
        ink = self.theme.ink
        self.axes.add_patch(Arc((x, y), 7, 9, theta1=180, theta2=360, color=ink, lw=1.6, zorder=6))
        self.axes.add_patch(Rectangle((x - 5.5, y), 11, 8, fc=ink, ec=self.theme.ground, lw=0.8, zorder=6))

    def images(self, x: float, y: float, text: str, *, kept: bool = False, few: bool = False) -> None:
        """A stack of pictures around (x, y); dashed where they were kept from before."""
        style = {"fc": self.theme.ground, "ec": self.theme.ink, "lw": 1.2, "ls": (0, (3, 1.5)) if kept else "-"}
        for place in range(2 if few else 4):
            shift = 3 * place
            self.axes.add_patch(Rectangle((x - 16 + shift, y - 16 + shift), 24, 24, zorder=2 + place / 10, **style))
        self.text(x, y + 28 + 0.65 * SMALL * text.count("\n"), text, SMALL)

    def arrow(
        self, *points: tuple[float, float], color: str = "", kept: bool = False, head: bool = True, width: float = 1.5
    ) -> None:
        """A line through the points; dashed for what is constant."""
        options = {"color": color or self.theme.ink, "lw": width, "ls": (0, (4, 2)) if kept else "-", "zorder": 1.5}
        *way, last = points
        if len(way) > 1:
            self.axes.plot(*zip(*way, strict=True), solid_capstyle="butt", **options)
        style = "-|>,head_length=5,head_width=2.6" if head else "-"
        tip = {"arrowstyle": style, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 1, "joinstyle": "miter"}
        self.axes.add_patch(FancyArrowPatch(way[-1], last, **tip, **options))

    def svg(self) -> str:
        """The drawing as SVG with its text as title and description: the same bytes each time."""
        buffer = io.StringIO()
        with drawing():
            self.figure.savefig(buffer, format="svg", facecolor=self.theme.ground, metadata={"Date": None})
        # Groups, comments and repeated properties would be half of the file.
        drawn = re.sub(
            r"<metadata>.*?</metadata>|<!--.*?-->|\s*clip-path=\"[^\"]*\"", "", buffer.getvalue(), flags=re.S
        )
        drawn = re.sub(r"</?g\b[^>]*>| transform=\"rotate\(-0 [^>]*\"|font-family: [^;]*; |\s*$", "", drawn, flags=re.M)
        drawn = re.sub(r"\s*\n\s*", " ", drawn).replace("> <", ">\n<")
        drawn = drawn.replace("*{", f"text{{font-family: {FAMILY}}} *{{", 1)
        drawn = drawn[drawn.index("<svg") :].replace(f'width="{WIDTH}pt" height="{self.height}pt"', "", 1)
        spoken = f"<title>{html.escape(self.name)}</title>\n <desc>{html.escape(self.alt)}</desc>"
        head = f'<svg role="img" width="{WIDTH}" height="{self.height}"'
        return drawn.replace("<svg", head, 1).replace(">", f">\n {spoken}", 1)
