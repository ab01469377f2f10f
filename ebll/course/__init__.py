"""What the notebooks of the course need: set-up, prose with computed numbers, and `checks` of the exercises.

lesson = ebll.course.setup("fast")
letters, mnist = lesson.load("letters", "mnist")
made = ebll.compare([letters, mnist], ["lwf", "ebll"], **lesson.options("mlp"))
made = lesson.demonstrate(ebll.course.DEMONSTRATIONS["weights"])
ebll.course.checks.forgetting(my_forgetting)
"""

from ebll.course import checks
from ebll.course.demonstrations import DEMONSTRATIONS, TARGET
from ebll.course.notebook import PROFILES, Lesson, examples, main_job, progress, say, setup, source
from ebll.course.targets import curve_of

__all__ = [
    "DEMONSTRATIONS", "PROFILES", "TARGET", "Lesson", "checks", "curve_of", "examples", "main_job", "progress", "say",
    "setup", "source",
]  # fmt: skip
