"""The settings of a widget: a frozen object that becomes a line of code, and is read back from one; and its tasks.

config = LabConfig(new="mnist", alpha=1.0)
config.line()                        # 'ebll.widgets.run(new="mnist", alpha=1.0)'
LabConfig.read(config.line()) == config
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

from ebll.config import NEW_TASK_IMAGES, RunConfig
from ebll.data import TASKS, Task
from ebll.data.catalog import load_cut
from ebll.errors import InputError, check_choice, check_count
from ebll.methods import METHODS, settings_of
from ebll.settings import Settings, TrainSettings, as_in, setting

__all__ = ["LAB_METHODS", "MID_RUN", "Change", "LabConfig", "SubmanifoldConfig", "WidgetConfig"]

LAB_METHODS = (
    *("finetune", "feature-extraction", "lwf", "l2", "ewc", "input-moments", "kfac", "replay", "ebll", "ebll-separate"),
)
"""The methods that the forgetting lab offers: those that learn without the old data, or with a few images of it."""
MID_RUN = (
    *("alpha", "distill_weight", "l2_strength", "ewc_strength", "moments_strength", "kfac_strength", "replay_weight"),
)
"""The settings that may change in mid-run: the weights of the loss terms."""


class Change(NamedTuple):
    """One setting changed in mid-run: from this optimiser step on it has this value."""

    step: int
    name: str
    value: float


class WidgetConfig(Settings):
    """Settings that a line of code holds."""

    call: ClassVar[str]  #: the function that does without a widget what the widget does with these settings
    widget: ClassVar[str]  #: the function that makes the widget

    @property
    def changed(self) -> list[str]:
        """Names of the settings that are not at their defaults."""
        usual = type(self)()
        names = [field.name for field in dataclasses.fields(self)]
        return [name for name in names if getattr(self, name) != getattr(usual, name)]

    def line(self) -> str:
        """A call of `call` with these settings; those at their defaults are left out."""
        return f"{self.call}({', '.join(f'{name}={_literal(getattr(self, name))}' for name in self.changed)})"

    @classmethod
    def read(cls, text: str | Self, **settings: Any) -> Self:
        """A config from a line such as `line` writes, or from just `name=value, ...`; nothing in it is executed.

        settings   by name, in place of those of the line
        raises   `InputError` where it cannot be read
        """
        if isinstance(text, cls):
            return text.replace(**settings) if settings else text
        given = cls.keywords(text) | settings
        for name in given:
            check_choice(name, cls.__dataclass_fields__, f"Setting of {cls.__name__}")
        return cls(**given)

    @classmethod
    def keywords(cls, text: str) -> dict[str, Any]:
        """What a line gives by name."""
        return keywords_of(text, cls.call, cls.widget, cls.__name__)


@dataclass(frozen=True)
class LabConfig(WidgetConfig):
    """What the forgetting lab runs: two tasks, a net, methods and their weights; each method is one `RunConfig`.

    The old task is always learned with the usual settings. `learning_rate` and `epochs` are those of the new task.
    `changes` are made in mid-run: each (step, name, value), such as (60, "alpha", 0.0), in the order of their steps.
    """

    call, widget = "ebll.widgets.run", "forgetting_lab"

    old: str = setting("letters", "Task that is learned first, and that may be forgotten.", free=True)
    new: str = setting("textures", "Task that is learned second.", free=True)
    net: str = as_in(RunConfig, "net")
    methods: tuple[str, ...] = ("finetune", "lwf", "ebll")
    alpha: float = as_in(RunConfig, "alpha", high=1e6)
    temperature: float = as_in(RunConfig, "temperature", high=1e3)
    distill_weight: float = as_in(RunConfig, "distill_weight", high=1e6)
    l2_strength: float = as_in(RunConfig, "l2_strength", high=1e6)
    ewc_strength: float = as_in(RunConfig, "ewc_strength", high=1e9)
    moments_strength: float = as_in(RunConfig, "moments_strength", high=1e6)
    kfac_strength: float = as_in(RunConfig, "kfac_strength", high=1e9)
    replay_weight: float = as_in(RunConfig, "replay_weight", high=1e6)
    code_size: int = as_in(RunConfig, "code_size", high=100_000)
    recon_weight: float = as_in(RunConfig, "recon_weight", high=1e6)
    learning_rate: float = as_in(RunConfig, "learning_rate", high=1e3)
    epochs: int = as_in(RunConfig, "epochs", high=1000)
    seed: int = as_in(RunConfig, "seed")
    changes: tuple[Change, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        names = (self.methods,) if isinstance(self.methods, str) else self.methods
        if not isinstance(names, Iterable) or not (names := tuple(names)):
            raise InputError(f"methods: name at least one of {', '.join(LAB_METHODS)}; got {self.methods!r}.")
        chosen = {check_choice(name, LAB_METHODS, "Method") for name in names}
        object.__setattr__(self, "methods", tuple(name for name in METHODS if name in chosen))
        if self.old == self.new:
            raise InputError(f"old and new must be different tasks; both are {self.old!r}.")
        object.__setattr__(self, "changes", self._checked(self.changes))

    def _checked(self, changes: Any) -> tuple[Change, ...]:
        try:
            listed = [(step, name, value) for step, name, value in changes]
        except (TypeError, ValueError):
            raise InputError(f"changes: a list such as [(60, 'alpha', 0.0)]; got {changes!r}.") from None
        made = []
        for step, name, value in listed:
            check_count(step, "step of a change", low=0)
            check_choice(name, MID_RUN, "A setting that may change in mid-run")
            made.append(Change(int(step), name, getattr(self.replace(changes=(), **{name: value}), name)))
        return tuple(sorted(made, key=lambda change: change.step))

    def run(self, method: str) -> RunConfig:
        """The run of one method."""
        shared = RunConfig.__dataclass_fields__.keys() & self.__dataclass_fields__.keys()
        own = {name: getattr(self, name) for name in shared}
        return RunConfig(tasks=(self.old, self.new), method=check_choice(method, LAB_METHODS, "Method"), **own)

    @property
    def train(self) -> TrainSettings:
        """How the new task is learned, the same for all methods."""
        return self.run(self.methods[0]).train


@dataclass(frozen=True)
class SubmanifoldConfig(WidgetConfig):
    """What the submanifold explorer shows; the defaults are those of docs/settings.md."""

    call, widget = "ebll.widgets.explore", "submanifold_explorer"

    task: str = setting("letters", "Task whose features are looked at.", free=True)
    net: str = as_in(RunConfig, "net")
    label: str = setting("A", "Class whose features are shown.", free=True)
    code_size: int = as_in(RunConfig, "code_size", high=100_000)
    recon_weight: float = as_in(RunConfig, "recon_weight", high=1e6)
    seed: int = as_in(RunConfig, "seed")


def acts_on(name: str, methods: Iterable[str]) -> bool:
    """Whether a setting changes anything for one of these methods."""
    return not any(name in settings_of(one) for one in METHODS) or any(name in settings_of(one) for one in methods)


def keywords_of(text: str, call: str, *others: str) -> dict[str, Any]:
    """What a line of code such as 'run(seed=1)' gives by name; the line may be just 'seed=1'.

    call, others   functions that the line may call; the first is the example of an error
    """
    if not isinstance(text, str):
        raise InputError(f"config: a line such as '{call}(seed=1)', or just 'seed=1'; got {type(text).__name__}.")
    known = {name.rpartition(".")[2] for name in (call, *others)}
    made = _called(text, known) or _called(f"settings({text})", {"settings"})
    if made is None or made.args or any(keyword.arg is None for keyword in made.keywords):
        shown = text if len(text) <= 80 else f"{text[:79]}…"
        raise InputError(f"config: a line such as {call}(seed=1), or just seed=1; got {shown!r}.")
    names = [keyword.arg for keyword in made.keywords]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"config: {twice[0]} comes more than once.")
    try:
        return {keyword.arg: ast.literal_eval(keyword.value) for keyword in made.keywords}
    except (ValueError, TypeError):  # the latter for a key that cannot be one
        raise InputError("config: every value must be a number, a text in quotes, or a list of these.") from None


def _called(text: str, names: Collection[str]) -> ast.Call | None:
    """The call of one of these functions that a line consists of, if it does; what it is assigned to is passed over."""
    try:
        (line,) = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    found = line.value if isinstance(line, ast.Expr | ast.Assign) else None
    function = getattr(found, "func", None)
    name = getattr(function, "attr", None) or getattr(function, "id", None)
    return found if isinstance(found, ast.Call) and name in names else None


def _literal(value: Any) -> str:
    if isinstance(value, tuple):
        listed = ", ".join(map(_literal, value))
        return f"({listed})" if isinstance(value, Change) else f"[{listed}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


# Tasks


def own_tasks(tasks: Task | Iterable[Task]) -> tuple[Task, ...]:
    """The user's own tasks, of which there may be just one."""
    listed = (tasks,) if isinstance(tasks, Task) or not isinstance(tasks, Iterable) else tuple(tasks)
    for task in listed:
        if not isinstance(task, Task):
            raise InputError(f"tasks: a list of ebll.Task, such as Task.from_folder(...); got {type(task).__name__}.")
    names = [task.name for task in listed]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"tasks: each needs a name of its own; {twice[0]!r} comes more than once.")
    return listed


def offered_tasks(own: Iterable[Task] = ()) -> dict[str, Callable[[], Task]]:
    """Name -> how to load it: the tasks that are on this machine, and the user's own."""
    known = {name: functools.partial(load_cut, name) for name, info in TASKS.items() if info.available()[0]}
    return known | {task.name: lambda task=task: task for task in own_tasks(own)}


def offered_task(name: str, own: Iterable[Task] = ()) -> Task:
    """A task that is offered, by its name."""
    offered = offered_tasks(own)
    return offered[check_choice(name, offered, "Task")]()


@functools.lru_cache(maxsize=8)
def cut(task: Task) -> Task:
    """With as many training images as later tasks have in the course, evenly spread over the classes."""
    return task.subset(NEW_TASK_IMAGES) if len(task.train) > NEW_TASK_IMAGES else task
