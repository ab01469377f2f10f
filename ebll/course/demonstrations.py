"""The settings at which the course demonstrates an effect, and the exercise on one of them.

    ebll.widgets.forgetting_lab(ebll.course.DEMONSTRATIONS["weights"])
    ebll.widgets.run(ebll.course.DEMONSTRATIONS["weights"], seed=3)

They were chosen so that an effect is seen in one run (docs/demonstrations.md): they rank no method.
"""

from __future__ import annotations

from ebll.course.exercise import HINTS, fail
from ebll.errors import InputError

__all__ = ["DEMONSTRATIONS", "TARGET", "least_alpha"]

DEMONSTRATIONS = {
    "weights": 'new="digits", distill_weight=0.5, learning_rate=0.03',
    "code-term": 'new="digits", methods=["finetune", "ebll"], distill_weight=0.0, learning_rate=0.03',
    "alpha": 'new="digits", methods=["finetune", "ebll"], alpha=1.0, distill_weight=0.0, learning_rate=0.03',
    "lambda": 'new="digits", methods=["finetune", "ebll"], alpha=10.0, distill_weight=0.0, code_size=16, '
    "recon_weight=0.0, learning_rate=0.03",
    "what-if": 'new="digits", methods="ebll", alpha=10.0, distill_weight=0.0, learning_rate=0.03, '
    'changes=[(60, "alpha", 0.0)]',
}
"""Regime of docs/demonstrations.md -> the line that the forgetting lab opens with."""

TARGET = 'new="mnist", alpha=10.0, distill_weight=0.5, learning_rate=0.03'
"""The line that `least_alpha` begins from: here seeds differ so little that one target serves them all."""
KEPT, LEARNED = 81.0, 89.0
"""What it asks for: % of the validation images of the old and of the new task."""


def least_alpha(line: str) -> None:
    """Check a line of the forgetting lab, in which EBLL is to reach `KEPT` and `LEARNED` with little alpha.

    Only alpha, the seed and the ticked methods may differ from `TARGET`, and half of that alpha must
    keep too little. So wherever some alpha reaches the target, one that passes is among its halves.

    line    as the field "as code" shows it; nothing in it is executed, EBLL is run twice
    raises  `CheckFailed` with a hint
    """
    from ebll.widgets import LabConfig, run  # the other checks do without widgets

    exercise = "least_alpha (E5)"
    if line is None or line is ...:
        fail(exercise, "unwritten")
    try:
        config = LabConfig.read(line)
    except InputError as error:
        fail(exercise, "line", error=error)
    free = {one: getattr(config, one) for one in ("alpha", "seed", "methods")}
    wanted = LabConfig.read(TARGET, **free)
    if names := [one for one in config.__dataclass_fields__ if getattr(config, one) != getattr(wanted, one)]:
        fail(exercise, "settings", names=", ".join(names).replace("_", " "))
    words = {"old_task": config.old, "new_task": config.new, "least": KEPT, "learned": LEARNED, "alpha": config.alpha}
    for part, alpha in {"": config.alpha, "_half": config.alpha / 2}.items():
        shares = run(config, methods=("ebll",), alpha=alpha).validation.get("ebll", (0.0, 0.0))  # none if it diverged
        words |= {f"old{part}": 100 * shares[0], f"new{part}": 100 * shares[1]}
    lost, too_much = words["old"] < KEPT, words["old_half"] >= KEPT
    missed = {"forgotten": lost, "not-learned": words["new"] < LEARNED, "too-much": too_much}
    for mistake in [name for name, made in missed.items() if made]:
        fail(exercise, mistake, **words)
    print("least_alpha: correct.", HINTS[exercise]["correct"].format(**words))
