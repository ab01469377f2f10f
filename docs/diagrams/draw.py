"""Draw the diagrams of the method: `python -m docs.diagrams.draw`, which is `make diagrams`.

Each is written light and dark, `NAME-light.svg` and `NAME-dark.svg`, with its text alternative, `NAME.txt`. The README
shows them by files; in a source of a notebook `{{diagram:NAME}}` stands for one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.diagrams.sheet import LARGE, SMALL, TEXT, THEMES, WIDTH, Sheet, Theme, readable
from ebll.files import write_files
from ebll.plots.style import drawing, styles

__all__ = ["DIAGRAMS", "data_flow", "main", "networks", "timeline"]

FOLDER = Path(__file__).parent
CODES, TARGETS = "encoder, codes", "soft targets"

# Method: what its loss adds up, which parts are frozen, and what is kept, by what it serves.
PANELS: dict[str, tuple[str, str, dict[str, str]]] = {
    "finetune": ("class loss", "old", {}),
    "feature-extraction": ("class loss", "F T old", {}),
    "joint": ("class loss of all tasks", "", {"images": "all old\nimages"}),
    "replay": ("class loss of new and stored", "", {"images": "a few old\nimages"}),
    "lwf": ("class loss + distillation", "", {"old": TARGETS}),
    "ewc": ("class loss + penalty", "old", {"F T": "old weights, Fisher information"}),
    "ebll": ("class loss + distillation + code", "", {"F": CODES, "old": TARGETS}),
    "ebll-separate": ("class loss + code", "old", {"F": CODES}),
}


def networks(theme: Theme) -> Sheet:
    """What each method shares, trains, freezes and keeps from before, one small network a method."""
    sheet = Sheet("Which parts each method trains, and what it keeps", NETWORKS_ALT, 806, theme)
    for x, width, title, state in (
        (66, 104, "trained", "trained"),
        (192, 104, "frozen", "frozen"),
        (352, 160, "kept or recorded", "kept"),
    ):
        sheet.box(x, 30, width, 30, title, state, note="")
    sheet.text(786, 30, "F: features, T: operator, one head a task", SMALL, ha="right", color=theme.soft)
    for number, (method, (loss, frozen, kept)) in enumerate(PANELS.items()):
        _panel(sheet, 14 + 404 * (number % 2), 66 + 186 * (number // 2), method, loss, frozen.split(), kept)
    return sheet


def _panel(sheet: Sheet, x: float, y: float, method: str, loss: str, frozen: list[str], kept: dict[str, str]) -> None:
    """One method's network from its upper left corner, 368 by 170."""
    style, theme, separate = styles([method])[method], sheet.theme, method == "ebll-separate"
    color = readable(style.color, theme)
    sheet.area(x - 6, y - 4, 380, 176, fc=theme.band, ec="none", zorder=0)
    sheet.arrow((x - 6, y - 4), (x - 6, y + 172), color=color, head=False, width=5)
    label = "Replay" if method == "replay" else style.label
    sheet.text(x + 6, y + 12, label, LARGE, ha="left", weight="bold", color=color)
    sheet.text(x + 6, y + 34, f"loss: {loss}", SMALL, ha="left", color=theme.soft)
    middle, new, old = y + 94, y + 72, y + 116  # heights of F, of the new task's parts, and of the old ones

    def state(part: str) -> str:
        return "frozen" if part in frozen else "trained"

    images = kept.get("images")
    sheet.images(x + 46, y + 63 if images else middle, "new images")
    if images:
        sheet.images(x + 46, y + 119, images, kept=True, few="few" in images)
        sheet.arrow((x + 68, y + 68), (x + 104, middle - 10))
        sheet.arrow((x + 68, y + 119), (x + 104, middle + 10), kept=True)
    else:
        sheet.arrow((x + 66, middle), (x + 104, middle))
    sheet.box(x + 134, middle, 60, 64, "F", state("F"), size=LARGE)
    for which, height in {"new": new, "old": old}.items() if separate else {"": middle}.items():
        part = state(which or "T")
        sheet.arrow((x + 164, height), (x + 186, height), head=which != "old")
        sheet.box(x + 217, height, 62, 38 if which else 64, f"T {which}".strip(), part, size=TEXT if which else LARGE)
    for title, height in (("new head", new), ("old heads", old)):
        part = state(title.split()[0])
        sheet.arrow((x + 248, height), (x + 272, height), head=part == "trained")
        sheet.box(x + 320, height, 96, 38, title, part)
    places = {"F": (x + 134, 112, [(x + 134, middle + 32)]), "old": (x + 313, 110, [(x + 320, old + 19)])}
    places["F T"] = (x + 188, 256, [*places["F"][2], (x + 217, middle + 32)])
    for part, text in kept.items():
        if part in places:
            term = sheet.term({CODES: "code", TARGETS: "distill"}.get(text, "penalty"))
            center, width, ends = places[part]
            sheet.box(center, y + 157, width, 23, text, "kept", size=SMALL, color=term)
            for end in ends:
                sheet.arrow((end[0], y + 145), end, color=term, kept=True, width=1.8)
    if not kept:
        sheet.text(x + 6, y + 157, "nothing kept but the network", SMALL, ha="left", color=theme.soft)


NETWORKS_ALT = """
Eight small networks, one a method. In each, images enter the feature extractor F; F feeds the operator T; T feeds the
new head and the old heads. Fine-tuning: new images only; F, T and the new head are trained, the old heads stay frozen,
nothing else is kept. Feature extraction: new images only; just the new head is trained, F, T and the old heads are
frozen. Joint training: new images and all images of the old tasks; everything is trained. Replay: new images and a few
stored old ones; everything is trained. LwF: new images only; everything is trained; soft targets of the old heads are
kept and constrain these by distillation. EWC: new images only; F, T and the new head are trained, the old heads are
frozen; the old weights and their Fisher information are kept and constrain F and T by a penalty. EBLL: new images only;
everything is trained; soft targets constrain the old heads, and an encoder with its codes constrains F. EBLL with
separate operators: new images only; each task has an operator of its own; F, the new operator and the new head are
trained, the old operators and heads are frozen; an encoder with its codes constrains F.
"""


def data_flow(theme: Theme) -> Sheet:
    """EBLL's objective E5 for one new image: which arrows carry gradient, and which are recorded constants."""
    sheet = Sheet("EBLL's objective for one new image", DATA_FLOW_ALT, 494, theme)
    distill, code, task = (sheet.term(name) for name in ("distill", "code", "task"))
    sheet.area(92, 10, 700, 214, fc=theme.band, ec="none", zorder=0)
    sheet.area(92, 276, 700, 112, fc=theme.band, ec="none", zorder=0)
    sheet.text(104, 28, "The network in training", TEXT, ha="left", weight="bold")
    sheet.text(104, 374, "The network as it was before this task: recorded once", TEXT, ha="left", weight="bold")
    sheet.images(44, 240, "new image x", few=True)
    top, now, before, bottom = 72, 150, 222, 326  # heights of the new head, F, the two codes, and F*
    low = 278
    sheet.arrow((34, 222), (34, now), (104, now))
    sheet.arrow((34, 276), (34, bottom), (104, bottom), kept=True)
    sheet.box(140, now, 72, 56, "F", "trained", size=LARGE)
    sheet.box(140, bottom, 72, 56, "F*", "frozen", size=LARGE)
    sheet.arrow((176, now), (256, now))
    sheet.arrow((176, bottom), (256, bottom), kept=True)
    sheet.box(288, now, 64, 56, "T", "trained", size=LARGE)
    sheet.box(288, bottom, 64, 56, "T*", "frozen", size=LARGE)
    # E1
    sheet.arrow((320, now), (342, now), (342, top), (365, top))
    sheet.box(414, top, 98, 42, "new head", "trained")
    sheet.arrow((463, top), (668, top))
    sheet.text(560, top - 26, "label y", SMALL)
    sheet.arrow((586, top - 26), (640, top - 26), (640, top - 10), (668, top - 10), kept=True)
    sheet.box(726, top, 116, 46, "class loss", "", note="E1", color=task)
    # E3
    sheet.arrow((320, now), (365, now))
    sheet.box(414, now, 98, 42, "old heads", "trained")
    sheet.arrow((463, now), (488, now))
    sheet.box(548, now, 120, 42, "soften", "", note="temperature θ")
    sheet.arrow((608, now), (726, now), (726, 219), color=distill, width=2)
    sheet.arrow((320, bottom), (365, bottom), kept=True)
    sheet.box(414, bottom, 98, 42, "old heads*", "frozen")
    sheet.arrow((463, bottom), (488, bottom), kept=True)
    sheet.box(548, bottom, 120, 42, "soften", "", note="temperature θ")
    sheet.arrow((608, bottom), (726, bottom), (726, 281), color=distill, kept=True, width=2)
    sheet.text(666, now - 12, "soft answers", SMALL)
    sheet.text(666, bottom + 14, "soft targets", SMALL)
    sheet.box(726, 250, 116, 58, "distillation", "", note="E3, weight λo", color=distill)
    # E4
    sheet.arrow((216, now), (216, before), (246, before))
    sheet.arrow((216, bottom), (216, low), (246, low), kept=True)
    sheet.box(300, 250, 108, 84, "encoder", "frozen", note="frozen, kept")
    sheet.arrow((354, before), (466, before), (466, 236), (488, 236), color=code, width=2)
    sheet.arrow((354, low), (466, low), (466, 264), (488, 264), color=code, kept=True, width=2)
    sheet.text(412, before + 12, "code of F(x)", SMALL)
    sheet.text(412, low - 12, "code of F*(x)", SMALL)
    sheet.box(548, 250, 120, 58, "code distance", "", note="E4, weight α", color=code)
    sheet.text(104, 422, "E5  =", LARGE, ha="left", weight="bold")
    terms = (
        (214, 120, "class loss", task),
        (408, 160, "λo · distillation", distill),
        (618, 160, "α · code distance", code),
    )
    for x, width, text, color in terms:
        sheet.box(x, 422, width, 30, text, color=color)
    for x in (301, 513):
        sheet.text(x, 422, "+", LARGE, weight="bold")
    sheet.text(104, 454, "The last two are summed over the old tasks.", SMALL, ha="left", color=theme.soft)
    sheet.arrow((104, 478), (150, 478))
    sheet.text(160, 478, "gradient flows back along it", SMALL, ha="left")
    sheet.arrow((420, 478), (466, 478), kept=True)
    sheet.text(476, 478, "recorded constant, no gradient", SMALL, ha="left")
    return sheet


DATA_FLOW_ALT = """
Data flow of EBLL's objective E5 for one new image x, in two rows. Upper row, the network in training: x passes F and T,
then the new head, whose answer is compared with the label y by the class loss E1, and the old heads, whose answers are
softened with temperature theta. Lower row, the network as it was before this task, recorded once: x passes F*, T* and
the old heads*, and the softened answers are the soft targets. Distillation E3, with weight lambda_o, compares the two.
Between the rows one frozen encoder, kept from the old task, turns F(x) and F*(x) into codes, and the code distance E4,
with weight alpha, compares these. Solid arrows carry gradient back to F, T and the heads: all of the upper row, and the
way through the encoder. Dashed arrows are constants: the label and all of the lower row. E5 is the class loss plus
lambda_o times distillation plus alpha times the code distance, the last two summed over the old tasks.
"""


def timeline(theme: Theme) -> Sheet:
    """The stages of one task in EBLL, and what is in memory at each of them."""
    sheet = Sheet("The time line of one task", TIMELINE_ALT, 420, theme)
    left, step = 152, 128
    stages = (
        ("1  Warm up", "trained:\nthe new head"),
        ("2  Record", "trained:\nnothing"),
        ("3  Train (E5)", "trained:\nF, T, all heads"),
        ("4  Fit (E2)", "trained: encoder\nand decoder"),
        ("5  Drop", "decoder, images\nare thrown away"),
    )
    for number, (title, note) in enumerate(stages):
        x = left + step * number
        sheet.area(
            x + 3, 14, step - 6, 78, fc=theme.trained if number in (0, 2, 3) else theme.band, ec=theme.soft, lw=1
        )
        sheet.text(x + step / 2, 32, title, 13.5, weight="bold")
        sheet.text(x + step / 2, 66, note, SMALL)
        if number:
            sheet.arrow((x - 3, 53), (x + 3, 53), width=2)
    sheet.text(14, 53, "one task", LARGE, ha="left", weight="bold")
    sheet.text(14, 116, "in memory", TEXT, ha="left", weight="bold", color=theme.soft)
    code, distill = sheet.term("code"), sheet.term("distill")
    lanes = (  # name, bars: (from, to, text, colour, dashed)
        ("F, T, heads", ((0, 5, "the network", theme.ink, False),)),
        ("old encoders", ((0, 5, "one for each old task, frozen", code, False),)),
        ("task's images", ((0, 4, "inputs and labels of this task", theme.ink, False),)),
        (
            "recorded outputs",
            (
                (0, 1, "T(F(x))", theme.ink, True),
                (1, 3, "soft targets and codes", distill, True),
                (3, 4, "F(x)", theme.ink, True),
            ),
        ),
        ("decoder", ((3, 4, "decoder", theme.ink, False),)),
        ("new encoder", ((3, 5, "encoder, then kept frozen", code, False),)),
    )
    for row, (name, bars) in enumerate(lanes):
        y = 144 + 38 * row
        sheet.text(14, y, name, TEXT, ha="left")
        sheet.arrow((left, y + 19), (WIDTH - 8, y + 19), color=theme.hatch, head=False, width=0.8)
        for begin, end, text, color, dashed in bars:
            x, width = left + step * begin, step * (end - begin)
            dropped = 20 if end < len(stages) else 0
            sheet.box(
                x + (width - dropped) / 2,
                y,
                width - 8 - dropped,
                26,
                text,
                "kept" if dashed else "",
                size=SMALL,
                color=color,
            )
            if dropped:
                sheet.text(x + width - 11, y, "×", LARGE, weight="bold", color=sheet.term("penalty"))
            else:
                sheet.arrow((x + width - 4, y), (x + width + 6, y), color=color)  # on to the next task
    sheet.text(
        14,
        388,
        "The first task begins at 3, with the class loss alone: there is nothing old to record.",
        SMALL,
        ha="left",
    )
    sheet.text(
        14,
        406,
        "4 and 5 are needed only where another task follows. × means dropped.",
        SMALL,
        ha="left",
        color=theme.soft,
    )
    return sheet


TIMELINE_ALT = """
The time line of one task in EBLL, in five stages. 1, warm up: only the new head is trained. 2, record: the old
network's soft targets and codes for the new images are recorded; F, T and the old heads have not moved yet. 3, train
with E5: F, T and all heads. 4, fit the autoencoder with E2 on this task's features, the network frozen. 5, drop the
decoder and the images. In memory: the network and the encoders of the old tasks all the time; the images of this task
until the autoencoder is fitted; recorded outputs: T(F(x)) during the warm-up, soft targets and codes from recording to
the end of training, F(x) during the fit; the decoder only during the fit; the new encoder from the fit on, for the
tasks to come. The first task has no warm-up and nothing to record. Stages 4 and 5 are needed only where another task
follows.
"""

DIAGRAMS: dict[str, Callable[[Theme], Sheet]] = {"networks": networks, "data-flow": data_flow, "timeline": timeline}


def main(folder: Path = FOLDER) -> None:
    """Write all diagrams."""
    for name, draw in DIAGRAMS.items():
        with drawing():
            sheets = {kind: draw(theme) for kind, theme in THEMES.items()}
        files = {folder / f"{name}-{kind}.svg": sheet.svg() for kind, sheet in sheets.items()}
        write_files(files | {folder / f"{name}.txt": f"{sheets['light'].alt}\n"})


if __name__ == "__main__":
    main()
