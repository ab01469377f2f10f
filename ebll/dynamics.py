"""Measures along the run: what happens inside a network while it forgets.

`along` drives a run and asks functions of the loop's step at every few steps; some functions here make such measures,
others compare a network before a task with the one after it. Measuring changes no weight of it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils import vector_to_parameters

from ebll import metrics
from ebll.autoencoder import Encoder
from ebll.data import Split, Task
from ebll.errors import InputError, TrainingDiverged, check_choice, check_count
from ebll.losses import class_loss, code_distance
from ebll.methods import Term
from ebll.networks import Network, evaluating
from ebll.protocol import learn
from ebll.recording import Run
from ebll.seeds import cpu_threads
from ebll.settings import TrainSettings
from ebll.training import Step

if TYPE_CHECKING:  # pandas is imported where a table is made
    import pandas as pd

__all__ = [
    "Measure",
    "along",
    "competition",
    "curvatures",
    "drift",
    "gradient_cosines",
    "landscape",
    "learner_signals",
    "line_between",
    "losses_at",
    "plane_through",
    "probe_accuracy",
    "probes",
    "representations",
    "term_gradients",
    "weights_of",
]

Measure = Callable[[Step], Mapping[str, float]]
"""Column -> value, at a step of the loop before its update."""


def along(
    run: Run, tasks: Sequence[Task], settings: TrainSettings, measures: Iterable[Measure], every: int = 40
) -> pd.DataFrame:
    """Take a run that was begun to its end, and measure the training of its tasks after the first as it goes on.

    run       from `ebll.protocol.begin`, most often with a `start`
    measures  functions of the step; `competition` and `drift` make some
    every     steps between two measurements; the last step, which has no terms any more, is measured too. At the
              default, `competition` and `drift` each take less than a tenth of a run's time (benchmarks/RESULTS.md)
    returns   training (the task), step, and the columns of the measures
    raises    `InputError` for one task alone; `TrainingDiverged` for a bad loss: its `table` has the rows up to there
    """
    import pandas as pd

    check_count(every, "every")
    if len(tasks) < 2:
        raise InputError("along measures how tasks after the first are learned, beside old ones; it got one task.")
    rows, measures = [], list(measures)
    try:
        with cpu_threads(settings.threads):
            for step in learn(run, tasks, settings):
                if step.task and step.stage == "train" and (step.index % every == 0 or step.index == step.total):
                    values = {name: value for measure in measures for name, value in measure(step).items()}
                    rows.append({"training": tasks[step.task].name, "step": step.index, **values})
    except TrainingDiverged as error:
        error.table = pd.DataFrame(rows)
        raise
    return pd.DataFrame(rows)


# ---- competition of the terms, measured by their gradients


def term_gradients(terms: Mapping[str, Term], parameters: Sequence[Tensor]) -> dict[str, Tensor]:
    """Term -> gradient of its weighted value in some parameters, as one vector; zeros where it does not reach them.

    The graph is kept, so that the loop can still take its own step.
    """
    values = {name: term.weighted() for name, term in terms.items()}
    options = {"retain_graph": True, "materialize_grads": True}
    return {
        name: _vector(
            torch.autograd.grad(value, parameters, **options)
            if value.requires_grad
            else [torch.zeros_like(parameter) for parameter in parameters]
        )
        for name, value in values.items()
    }


def gradient_cosines(gradients: Mapping[str, Tensor]) -> dict[str, float]:
    r"""M13: norm of each gradient, and the cosine of each two.

    $\lVert g_j\rVert_2$ and $g_j^\top g_k / (\lVert g_j\rVert_2 \lVert g_k\rVert_2)$

    gradients  name -> (n,)
    returns    norm_NAME, and cosine_NAME_OTHER in -1..1: below 0 the two pull against each other; NaN where one is zero
    """
    vectors = torch.stack([*gradients.values()])
    products = vectors @ vectors.T
    norms = products.diagonal().sqrt()
    cosines = products / torch.outer(norms, norms)
    pairs = combinations(enumerate(gradients), 2)
    return {f"norm_{name}": norm for name, norm in zip(gradients, norms.tolist(), strict=True)} | {
        f"cosine_{a}_{b}": cosines[i, j].item() for (i, a), (j, b) in pairs
    }


def competition(old: Split, t: int = 0) -> Measure:
    """M13 on F: of the method's weighted terms, and of `old`, E1 on images of old task t.

    The gradient of the old task's own loss is an oracle: a learner without old data could not compute it. On training
    images it is that of what was learned; on held-out ones much of it is the gap of generalisation.
    """

    def measure(step: Step) -> dict[str, float]:
        if not step.terms or not (parameters := _learning(step.net.features)):
            return {}
        with evaluating(step.net):
            loss = class_loss(step.net(old.inputs, t), old.labels)
        return gradient_cosines(term_gradients({**step.terms, "old": Term(loss)}, parameters))

    return measure


def curvatures(step: Step) -> dict[str, float]:
    """Step size times M11 of each weighted term on F; where the curvature is positive, SGD diverges above 2 (1 + mu).

    Dear: 40 products with the Hessian a term.
    """
    parameters = _learning(step.net.features)
    values = {name: term.weighted() for name, term in step.terms.items()}
    return {
        f"curvature_{name}": step.learning_rate * metrics.largest_curvature(value, parameters)
        for name, value in values.items()
        if parameters and value.requires_grad
    }


def _learning(part: nn.Module) -> list[nn.Parameter]:
    """Parameters that are not frozen."""
    return [parameter for parameter in part.parameters() if parameter.requires_grad]


# ---- where the features go


def drift(before: Network, encoder: Encoder, inputs: Mapping[str, Tensor], t: int = 0) -> Measure:
    """M14 of task t's encoder and head, on several sets of inputs.

    before    the network as it was before the task; its features of the inputs are kept
    inputs    name -> (n, *input_shape), such as {"old": ..., "new": ...}
    measures  code_NAME, head_NAME, free_NAME, in squared units of the features
    """
    code, head = encoder.weight.detach(), _reader(before, t).weight.detach()
    code, both = metrics.row_basis(code), metrics.row_basis(torch.cat([code, head]))
    with evaluating(before), torch.no_grad():
        kept = {name: before.features(given) for name, given in inputs.items()}

    def measure(step: Step) -> dict[str, float]:
        with evaluating(step.net), torch.no_grad():
            now = {name: step.net.features(given) for name, given in inputs.items()}
        parts = {name: metrics.drift_parts(now[name], kept[name], code, both) for name in inputs}
        return {
            f"{part}_{name}": value
            for name, values in parts.items()
            for part, value in zip(("code", "head", "free"), values, strict=True)
        }

    return measure


def _reader(net: Network, t: int) -> nn.Linear:
    """The first linear layer after F on the way to a head."""
    return next(part for part in [*net.operator.modules(), *net.heads[t].modules()] if isinstance(part, nn.Linear))


# ---- readout or representation


def representations(net: Network, t: int, inputs: Tensor) -> dict[str, Tensor]:
    """What each linear or convolutional layer on the way to a head is given: name -> (n, size).

    The first are the images, the last is what the head reads. `features` are what the first linear layer after F is
    given, which is F(x) unless T begins with another layer; there are no `images` where F has none of these layers.
    """
    parts = dict.fromkeys(part for module in (net.features, net.operator, net.heads[t]) for part in module.modules())
    layers = [part for part in parts if isinstance(part, nn.Linear | nn.modules.conv._ConvNd)]
    given: dict[str, Tensor] = {}
    names = ["images", *(f"layer {i}" for i in range(1, len(layers)))]
    reader = layers.index(_reader(net, t))
    names[reader] = "features"
    hooks = [
        layer.register_forward_pre_hook(lambda _, arguments, name=name: given.update({name: arguments[0].flatten(1)}))
        for layer, name in zip(layers, names, strict=True)
    ]
    try:
        with evaluating(net), torch.no_grad():
            net(inputs, t)
    finally:
        for hook in hooks:
            hook.remove()
    return given


def probe_accuracy(known: Tensor, labels: Tensor, asked: Tensor, answers: Tensor, decay: float = 1e-3) -> float:
    """M15: accuracy of a linear classifier that is fitted to frozen features.

    known, labels    (n, size), (n,)  what it is fitted to, by E1 + decay / 2 * squared norm of its weight
    asked, answers   (m, size), (m,)  what it is tried on
    returns    0..1
    fit        L-BFGS from zero, cut at 100 iterations. Both sets are shifted by the mean of each column of `known` and
               divided by one number, the standard deviation of all its entries, so `decay` weighs the same at any scale
    raises     `InputError` for labels of one class
    source     probes: Alain and Bengio 2017 (arXiv 1610.01644); of forgetting: Davari et al. 2022 (arXiv 2203.13381)
    """
    if len(labels.unique()) < 2:
        raise InputError("A linear probe needs labels of two classes or more; all of these are of one class.")
    centre, scale = known.mean(dim=0), known.std()
    scale = scale if scale > 1e-6 * known.abs().max() else 1.0  # of features that are all one number
    known, asked = (known - centre) / scale, (asked - centre) / scale
    probe = nn.Linear(known.shape[1], int(labels.max()) + 1).to(known)
    nn.init.zeros_(probe.weight)
    nn.init.zeros_(probe.bias)
    optimizer = torch.optim.LBFGS(probe.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = class_loss(probe(known), labels) + 0.5 * decay * probe.weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        return metrics.accuracy(probe(asked), answers)


def probes(net: Network, t: int, task: Task, layers: Sequence[str] | None = None) -> dict[str, float]:
    """Layer -> M15 on old task t: fitted to its training split, tried on its validation split. Dear: seconds a layer.

    layers   names as in `representations`; all if None

    What a probe regains beside the old head was lost in the readout; what it does not regain, compared with a probe of
    the network before, was lost in the representation.
    """
    known, asked = representations(net, t, task.train.inputs), representations(net, t, task.validation.inputs)
    chosen = [check_choice(name, known, "Layer") for name in (known if layers is None else layers)]
    labels, answers = task.train.labels, task.validation.labels
    return {name: probe_accuracy(known[name], labels, asked[name], answers) for name in chosen}


# ---- the landscape of the losses


def plane_through(origin: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """M17: orthonormal axes (2, n) of the plane through three weight vectors (n,); the first leads to `one`.

    raises   `InputError` where they have different lengths or lie on a line: two are equal
    """
    if not len(origin) == len(one) == len(other):
        raise InputError(
            "A plane needs three networks of one structure; these have "
            f"{len(origin)}, {len(one)} and {len(other)} weights. Separate operators have more than a shared one."
        )
    first, second = one - origin, other - origin
    first = first / first.norm()
    second = second - (second @ first) * first
    if not second.norm() > 1e-5 * (other - origin).norm():  # also where one of them is not a number
        raise InputError(
            "A plane needs three ends that do not lie on a line; here two of them are equal, or all three."
        )
    return torch.stack([first, second / second.norm()])


def weights_of(net: Network) -> Tensor:
    """All weights of a network as one vector, a copy."""
    return _vector(net.parameters()).detach()


def losses_at(net: Network, weights: Iterable[Tensor], splits: Mapping[int, Split]) -> Tensor:
    """E1 of some tasks at other weights of a network, for M17.

    net      its structure and, where it has BatchNorm, its statistics; it is not changed
    weights  m times (n,), such as those of a plane, or of a straight line between two networks
    splits   task -> images and labels
    returns  (m, tasks)
    source   planes: Garipov et al. 2018; lines between the ends of joint and continual learning: Mirzadeh et al. 2021
             (arXiv 2010.04495)
    """
    probe, losses = copy.deepcopy(net), []
    with evaluating(probe), torch.no_grad():
        for point in weights:
            vector_to_parameters(point, probe.parameters())
            losses.append([class_loss(probe(split.inputs, t), split.labels) for t, split in splits.items()])
    return torch.tensor(losses)


def line_between(one: Tensor, other: Tensor, points: int = 15) -> Tensor:
    """Weights (points, n) on the straight line from one vector (n,) to another, both ends among them."""
    return torch.lerp(one, other, torch.linspace(0, 1, points, device=one.device)[:, None])


def landscape(
    net: Network, paths: Mapping[str, Mapping[int, Tensor]], through: Sequence[str], old: Split, new: Split,
    points: int = 15,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """M17 as tables for `ebll.plots.landscape`: both losses in a plane of weights, paths in it, losses on lines.

    net      as in `losses_at`; it has learned the old task as its first, and the new one as its second
    paths    method -> step -> weights (n,); all begin at one point
    through  two methods, whose ends are in the plane with that point
    points   along each side of the plane and each line
    returns  (x, y, old, new), (method, step, x, y: the nearest point of the plane), (method, share, old, new: on the
             straight line from the beginning of a path to its end)
    raises   as `plane_through`
    """
    import pandas as pd

    ways = {name: torch.stack([*path.values()]).float() for name, path in paths.items()}
    start, ends = ways[through[0]][0], [ways[name][-1] for name in through]
    axes, splits, names = plane_through(start, *ends), {0: old, 1: new}, ["old", "new"]
    at = {name: ((way - start) @ axes.T).tolist() for name, way in ways.items()}
    rows = [(name, step, *place) for name in ways for step, place in zip(paths[name], at[name], strict=True)]
    places = pd.DataFrame(rows, columns=["method", "step", "x", "y"])
    sides = [torch.linspace(places[axis].min() - 0.6, places[axis].max() + 0.6, points) for axis in "xy"]
    grid = torch.cartesian_prod(*sides)
    surface = pd.DataFrame(grid.numpy(), columns=["x", "y"])
    surface[names] = losses_at(net, (start + row.to(start) @ axes for row in grid), splits).numpy()
    lines = {name: losses_at(net, line_between(start, way[-1], points), splits) for name, way in ways.items()}
    share = torch.linspace(0, 1, points).numpy()
    lines = [pd.DataFrame(line.numpy(), columns=names).assign(method=n, share=share) for n, line in lines.items()]
    return surface, places, pd.concat(lines)


def _vector(tensors: Iterable[Tensor]) -> Tensor:
    """Tensors as one vector, row by row whatever their memory format."""
    return torch.cat([tensor.flatten() for tensor in tensors])


# ---- what a learner without old data could see


def learner_signals(before: Network, now: Network, encoder: Encoder, inputs: Tensor, t: int = 0) -> dict[str, float]:
    """How far a network has moved, by quantities that need no old data: on new inputs, and of the weights.

    before, now   the network before the new task and after it
    encoder       of old task t
    inputs        (n, *input_shape), of the new task
    returns       kl: M18 of the old head's answers, nats; code: E4; features: M2; weights: Euclidean distance of F
    """
    with evaluating(before), evaluating(now), torch.no_grad():
        features = [net.features(inputs) for net in (before, now)]
        answers = [net(inputs, t) for net in (before, now)]
        moved = _vector(now.features.parameters()) - _vector(before.features.parameters())
        return {
            "kl": metrics.kl_divergence(*answers),
            "code": code_distance(encoder(features[1]), encoder(features[0])).item(),
            "features": metrics.feature_distance(features[1], features[0]),
            "weights": moved.norm().item(),
        }
