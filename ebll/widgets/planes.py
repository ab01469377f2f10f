"""A world that fits on a page: two tasks in the plane, three methods side by side, and everything that moves.

    made = ebll.widgets.plane_run(alpha=3.0)
    made.curves                     # a row per method and step; across and along the encoder's level lines too

Fine-tuning, LwF and EBLL learn blobs after moons, from one network with two or three features, a step of each in turn.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import contourpy
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ebll.autoencoder import Autoencoder, Encoder, check_code_size
from ebll.data import Task, plane_tasks
from ebll.methods import METHODS, method_from
from ebll.methods.ebll import fit_to_task
from ebll.metrics import feature_shift
from ebll.networks import Network, toy
from ebll.plots.words import sentences
from ebll.protocol import begin, first_task, learn, shared_key
from ebll.recording import CURVE_COLUMNS, Recorder, Run
from ebll.seeds import cpu_threads
from ebll.settings import AutoencoderSettings, MethodSettings, TrainSettings, as_in, setting
from ebll.training import Step

from .chart import Drawing, spec_of
from .config import WidgetConfig

__all__ = ["PlaneConfig", "PlaneRun", "plane_drawing", "plane_run", "plane_training", "plane_words"]

SHOWN = ("finetune", "lwf", "ebll")
"""The methods, a row each."""
TRAIN = TrainSettings(epochs=20, first_epochs=40, learning_rate=0.03)
LOG_EVERY = 20
POINTS = 40
"""Held-out points of each task that are drawn; what is measured is measured on all of them."""
CELLS = 26, 20
"""Of the input plane, across and up."""
LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
STILL = (0.0, 0.2, 1.0)
"""Shares of the steps, of the moments that stand side by side where nothing moves."""
MEASURED = ("accuracy", "accuracy_new", "feature_distance", "across", "along")
MARKS = ["kind", "x", "y", "x2", "y2", "value", "group", "method", "step"]
CAPTION = (
    "Left, inputs: shaded, the moons' head now; dotted, its border before the blobs; numbers, % right. Right, moons' "
    "features, turned so that the code sees up and down: lines from where they were; grey, level lines of the code; "
    "thick, all that the decoder can make. Dark edge: wrong now."
)


@dataclass(frozen=True)
class PlaneConfig(WidgetConfig):
    """What the plane shows; the same weights serve all methods that have them."""

    call, widget = "ebll.widgets.plane_run", "plane"

    alpha: float = as_in(MethodSettings, "alpha", 10.0, high=1e6)
    distill_weight: float = as_in(MethodSettings, "distill_weight", 0.25, high=1e6)
    recon_weight: float = as_in(AutoencoderSettings, "recon_weight", 0.1, high=1e6)
    code_size: int = as_in(AutoencoderSettings, "code_size", 1, high=2)
    features: int = setting(2, "Features of a point.", low=2, high=3, hint="More than three cannot be drawn.")
    distance: float = setting(2.4, "Of the blobs from the moons, whose width is 3.", high=100)
    seed: int = setting(0, "Of points, weights and the order of batches.", high=10**9)

    def __post_init__(self):
        super().__post_init__()
        check_code_size(self.features, self.code_size)


@dataclass(eq=False)
class PlaneRun:
    """Three runs of a config, as far as they have come."""

    config: PlaneConfig
    runs: dict[str, Run] = field(default_factory=dict)
    marks: list[pd.DataFrame] = field(default_factory=list)  #: what is drawn, for each method and step
    scene: Scene | None = None
    share: float = 0.0  #: of the steps, how many have been made

    @property
    def curves(self) -> pd.DataFrame:
        """The curves table (see `ebll.recording`) with `across` and `along`, M10 of the moons' held-out features."""
        parts = [run.curves.query("stage == 'train'") for run in self.runs.values() if self.marks]
        columns = ["method", *CURVE_COLUMNS, "across", "along"]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def plane_run(config: PlaneConfig | str = "", **settings: Any) -> PlaneRun:
    """Learn moons and then blobs with each of the three methods.

    config, settings   a `PlaneConfig` or a line that makes one, and any of its settings by name
    raises   `InputError` for a code that is not smaller than the features
    """
    made = PlaneRun(PlaneConfig.read(config, **settings))
    with cpu_threads(TRAIN.threads):
        for _ in plane_training(made):
            pass
    return made


def plane_training(made: PlaneRun) -> Iterator[Step | bool]:
    """As `plane_run`, step by step: the loop's steps for the moons, then whether what was made next was measured."""
    config = made.config
    tasks = plane_tasks(config.distance, seed=config.seed)
    start = yield from first_task(tasks[0], NETS[config.features], TRAIN, config.seed)
    names = ("alpha", "distill_weight", "code_size", "recon_weight")
    methods = {name: method_from(name, {one: getattr(config, one) for one in names}) for name in SHOWN}
    ebll = methods["ebll"] = methods["ebll"].replace(autoencoder=methods["ebll"].autoencoder.replace(**FIT))
    fit = fit_to_task(start.net, 0, tasks[0], ebll.autoencoder, config.seed)
    start.memories[shared_key(ebll, config.seed, torch.device("cpu"))] = ebll.keep(fit)
    scene = made.scene = Scene(start.net, fit.autoencoder, tasks)
    with contextlib.ExitStack() as stack:
        for name, method in methods.items():
            recorder = Recorder(LOG_EVERY, samples=len(tasks[0].validation))
            made.runs[name] = begin(tasks, method, seed=config.seed, recorder=recorder, start=start)
        going = [stack.enter_context(contextlib.closing(learn(run, tasks, TRAIN))) for run in made.runs.values()]
        for step, *_ in zip(*going, strict=True):
            measured = step.stage == "train" and recorder.due(step.index, step.total)
            if measured:
                made.share = step.index / step.total
                for name, run in made.runs.items():
                    made.marks.append(scene.marks(run).assign(method=name, step=step.index))
            yield measured


FIT = {"epochs": 40, "learning_rate": 1e-2}
NETS = {count: partial(toy, features=count) for count in (2, 3)}  # the very objects find a first task again


class Scene:
    """What stands still in a picture, and the axes of its feature plane.

    Upward is the direction that the code sees in which the moons' features vary most; to the right, one that it does
    not see.
    """

    def __init__(self, net: Network, autoencoder: Autoencoder, tasks: list[Task]) -> None:
        self.start, self.encoder, (moons, blobs) = net, autoencoder.encode, tasks
        self.inputs, self.labels = moons.validation.inputs, moons.validation.labels
        with torch.no_grad():
            self.before = net.features(self.inputs)
            self.middle = self.before.mean(dim=0)
            self.axes = _axes(self.before - self.middle, self.encoder)
            everything = torch.cat([self.inputs, blobs.validation.inputs])
            low, high = everything.min(dim=0).values - 0.25, everything.max(dim=0).values + 0.25
            self.x, self.y = (torch.linspace(float(low[i]), float(high[i]), CELLS[i]) for i in (0, 1))
            self.grid = torch.cartesian_prod(self.x, self.y)
            lines = contourpy.contour_generator(self.x, self.y, self._divided(net).T).lines(0.5)
            border = np.concatenate([np.hstack([line[:-1], line[1:]]) for line in lines])
            names = np.array([*moons.classes, "blob"])
            new = _rows("new", blobs.validation.inputs[:POINTS], group=names[2])
            self.classes = names[self.labels[:POINTS]]
            self.still = pd.concat([new, _rows("border", border), self._levels(), self._made(autoencoder)])

    def _divided(self, net: Network) -> Tensor:
        """The moons' head on the grid: how sure it is of the second class, (across, up)."""
        return torch.softmax(net(self.grid, 0), dim=1)[:, 1].reshape(CELLS)

    def _placed(self, features: Tensor) -> Tensor:
        return (features - self.middle) @ self.axes.T

    def _levels(self) -> pd.DataFrame:
        """Lines in the plane of features on which an entry of the code has one value."""
        slope = self.encoder.weight @ self.axes.T  # (code, 2): an entry is sigmoid(slope x + offset)
        offset = self.encoder(self.middle[None])[0].logit()
        foot = (torch.tensor(LEVELS).logit()[:, None] - offset)[..., None] * slope / slope.square().sum(1, keepdim=True)
        along = FAR * torch.stack([-slope[:, 1], slope[:, 0]], dim=1) / slope.norm(dim=1, keepdim=True)
        ends = torch.cat([foot - along, foot + along], dim=2).transpose(0, 1).reshape(-1, 4)
        return _rows("level", ends, value=np.tile(LEVELS, len(slope)))

    def _made(self, autoencoder: Autoencoder) -> pd.DataFrame:
        """The edges of all that the decoder can make: a line for a code of one, a patch for a code of two."""
        count = self.encoder.out_features
        corners = torch.tensor([[0.0], [1.0]] if count == 1 else [[0.0, 0], [0, 1], [1, 1], [1, 0], [0, 0]])
        places = self._placed(autoencoder.decode(corners))
        return _rows("made", torch.cat([places[:-1], places[1:]], dim=1))

    def marks(self, run: Run) -> pd.DataFrame:
        """All that is drawn of a run: kind, x, y, x2, y2, value, group; M10 goes into its newest curve row."""
        net, measured, some = run.net, run.recorder.curve_rows[-1], slice(POINTS)
        with torch.no_grad():
            features = net.features(self.inputs)
            across, along = feature_shift(features, self.before, self.encoder.weight)
            measured |= {"across": across, "along": along}
            right = (net.heads[0](net.operator(features[some])).argmax(dim=1) == self.labels[some]).float()
            moves = torch.cat([self._placed(self.before[some]), self._placed(features[some])], dim=1)
            half = torch.stack([self.x[1] - self.x[0], self.y[1] - self.y[0]]) / 2
            cells = torch.cat([self.grid - half, self.grid + half], dim=1)
            points = {"value": right, "group": self.classes}
            corner = [float(self.x[0]), float(self.y[0]), measured["accuracy_new"], 0.0]
            return pd.concat([
                _rows("cell", cells, value=self._divided(net).flatten()), self.still,
                _rows("old", self.inputs[some], **points), _rows("move", moves, **points),
                _rows("read", [corner], value=[measured["accuracy"]]),
            ])  # fmt: skip


FAR = 100.0


def _axes(centred: Tensor, encoder: Encoder) -> Tensor:
    """(2, features): to the right and upward."""
    code, basis = encoder.out_features, torch.linalg.qr(encoder.weight.T, mode="complete").Q
    parts = basis[:, code:], basis[:, :code]  # free, and seen by the code
    made = torch.stack([part @ torch.linalg.svd(centred @ part, full_matrices=False).Vh[0] for part in parts])
    return made * made.gather(1, made.abs().argmax(dim=1, keepdim=True)).sign()  # whatever the sign of a basis


def _rows(kind: str, places: Any, **columns: Any) -> pd.DataFrame:
    """Rows of one kind at (n, 2) places, or from and to, (n, 4)."""
    places = np.asarray(places, dtype=np.float32)
    table = pd.DataFrame(places, columns=["x", "y", "x2", "y2"][: places.shape[1]])
    return table.assign(kind=kind, **{name: np.asarray(column) for name, column in columns.items()})


# As a drawing, and in words


def plane_drawing(made: PlaneRun, with_alt: bool = True, still: bool = False) -> Drawing:
    """Both planes of each method, and accuracy and movement over steps.

    with_alt   whether to put into words what is seen
    still      show the moments `STILL` beside each other, for a picture that nobody moves
    """
    curves = made.curves
    steps = sorted(curves["step"].unique().tolist())
    moments = [float(min(steps, key=lambda step: abs(step - share * steps[-1]))) for share in STILL if still and steps]
    marks = pd.concat(made.marks) if made.marks else pd.DataFrame(columns=MARKS)
    marks = marks[marks["step"].isin(moments)] if moments else marks
    settings: dict[str, Any] = {"moments": moments, "steps": max([1, *steps])}
    cells, moves = marks[marks["kind"] == "cell"], marks[marks["kind"].isin(["move", "made"])]
    for axis, rows, column in (("x", cells, "x"), ("y", cells, "y"), ("free", moves, "x"), ("held", moves, "y")):
        columns = [column, f"{column}2"]
        low, high = (float(rows[columns].min().min()), float(rows[columns].max().max())) if len(rows) else (0.0, 1.0)
        settings[f"{axis}_range"] = [low - 0.04 * (high - low), high + 0.04 * (high - low)]
    tables = {"marks": marks, "curves": curves[["method", "step", *MEASURED]]}
    title = plane_title(made.config)
    alt = sentences(title, plane_words(made)) if with_alt else ""
    return Drawing(spec_of("plane"), tables, settings, alt=alt, heading=title, caption=CAPTION)


def plane_title(config: PlaneConfig) -> str:
    """The settings of a picture."""
    return (
        f"Moons, then blobs at distance {config.distance:g} (seed {config.seed}): alpha {config.alpha:g}, distillation "
        f"weight {config.distill_weight:g}, {config.features} features, code of {config.code_size}"
    )


def plane_words(made: PlaneRun) -> str:
    """Accuracies and movement of each method at its last step."""
    last = made.curves.groupby("method", sort=False)[list(MEASURED)].last()
    return " ".join(
        f"{METHODS[name].label}: {100 * row.accuracy:.0f} % of the moons, {100 * row.accuracy_new:.0f} % of the blobs; "
        f"the moons' features moved {row.across:.1f} across the level lines, {row.along:.1f} along them."
        for name, row in last.iterrows()
    )
