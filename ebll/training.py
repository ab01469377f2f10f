"""The one training loop: tasks in sequence, any method, any network.

`train` is the loop itself. `learn_task` is the paper's protocol around it: warm up the new head, record what the old
network says of the new inputs, train, let the method look back. `run_sequence` does that for every task. Nothing is
printed here and no picture is drawn.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ebll.data import Task
from ebll.errors import InputError, TrainingDiverged, check_choice
from ebll.methods import METHODS, Batch, FeatureExtraction, Memory, Method, Recorded, Term
from ebll.nets import NetSpec, Network, build_network, training_only
from ebll.record import Recorder
from ebll.runs import Run, Snapshot, check_start, checked_tasks
from ebll.seeds import cpu_threads, generator, seeded
from ebll.settings import Settings, setting
from ebll.turns import turn

__all__ = ["TrainSettings", "batches_of", "check_finite", "learn_first", "learn_task", "run_sequence", "train"]

Observer = Callable[[int, int, Mapping[str, Term], float], None]
"""Called before each step, and once after the last, with: steps made, steps in all, terms, learning rate."""


@dataclass(frozen=True)
class TrainSettings(Settings):
    """How every task is trained; the same for all methods, so that they differ in their objective only."""

    epochs: int = setting(8, "Passes over a task's training inputs.", low=1)
    warmup_epochs: int = setting(2, "Passes in which only the new head learns, before the rest moves.", low=0)
    batch_size: int = setting(64, "Inputs per step.", low=1, high=2**31)
    learning_rate: float = setting(0.02, "Step size of SGD.", above=True, hint="0.02 suits the built-in nets.")
    momentum: float = setting(0.9, "Share of the last step carried into the next.", high=0.999)
    weight_decay: float = setting(5e-4, "Pull of every trained weight towards zero.")
    threads: int = setting(
        1,
        "Processor threads; 1 is quickest for small nets, and numbers repeat for one count only. 0: torch's own.",
        low=0,
        high=1024,
    )
    drop_at: float = setting(0.75, "Share of the steps after which the learning rate falls to a tenth.", high=1.0)


def train(
    net: Network,
    method: Method,
    t: int,
    data: Mapping[int, Task],
    *,
    settings: TrainSettings,
    memory: Memory | None = None,
    recorded: Recorded | None = None,
    epochs: int | None = None,
    seed: int = 0,
    observe: Observer | None = None,
) -> None:
    """The loop: draw a batch, add up the method's terms, step. Changes `net` in place.

    data       index -> task whose training split may be used; an epoch is one pass over task t, beside which the others
               are drawn from as often as needed
    recorded   rows belonging to task t's training inputs, from `method.before_task`
    epochs     in place of `settings.epochs`, for the warm-up
    seed       decides the order of the batches, and dropout where a network has it
    raises     `TrainingDiverged` at the first step whose loss is not finite
    """
    epochs = settings.epochs if epochs is None else epochs
    streams = [
        batches_of(task, i, recorded if i == t else None, settings.batch_size, generator(seed, "batches", t, i))
        for i, task in data.items()
    ]
    total = epochs * math.ceil(len(data[t].train) / settings.batch_size)
    drop = round(settings.drop_at * total)
    with training_only(net, method.trained_parts(net, t)) as parameters, _dropout(net, seed, t):
        optimizer = torch.optim.SGD(
            parameters,
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        for step in range(total):
            turn()  # here a run can be paused or stopped
            if step == drop:
                optimizer.param_groups[0]["lr"] = 0.1 * settings.learning_rate
            terms = method.loss_terms(net, [next(stream) for stream in streams], memory)
            loss = functools.reduce(torch.add, [term.weighted() for term in terms.values()])
            # Reading a number back makes a GPU wait, so there only every 50th step is looked at.
            if loss.device.type == "cpu" or step % 50 == 0:
                check_finite(loss, terms, step, total, settings)
            if observe:
                observe(step, total, terms, optimizer.param_groups[0]["lr"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        optimizer.zero_grad()  # a finished network need not carry its last gradient along
        check_finite(sum(parameter.sum() for parameter in parameters), {}, total, total, settings)
        if observe:
            observe(total, total, {}, optimizer.param_groups[0]["lr"])


def batches_of(
    task: Task, index: int, recorded: Recorded | None, batch_size: int, order: torch.Generator
) -> Iterator[Batch]:
    """Endless seeded batches of a task's training split, with the recorded rows that belong to them.

    An epoch is shuffled at once and its batches are views of it: cheaper than gathering each, and than a DataLoader.
    """
    recorded = recorded or {}
    while True:
        rows = torch.randperm(len(task.train), generator=order).to(task.train.labels.device)
        columns = (task.train.inputs, task.train.labels, *recorded.values())
        for inputs, labels, *answers in zip(*(column[rows].split(batch_size) for column in columns), strict=True):
            yield Batch(index, inputs, labels, dict(zip(recorded, answers, strict=True)))


def learn_first(
    tasks: Sequence[Task],
    *,
    net: NetSpec = "mlp",
    settings: TrainSettings | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    recorder: Recorder | None = None,
) -> Snapshot:
    """Learn the first task, which is plain training for every method, and keep the network to branch from."""
    tasks, (settings, recorder) = checked_tasks(tasks, device), _checked_options(settings, recorder)
    network = build_network(net, tasks[0].input_shape, seed).to(device)
    with seeded(seed, "head", 0):
        network.add_head(tasks[0].class_count)
    last = len(tasks[0].train) % settings.batch_size or settings.batch_size
    if last == 1 and network.needs_batches():
        raise InputError(
            f"The last batch of {tasks[0].name} would hold one input ({len(tasks[0].train)} in batches of "
            f"{settings.batch_size}), and BatchNorm needs more while it learns. Choose another batch_size."
        )
    method = METHODS["finetune"]()
    try:
        with cpu_threads(settings.threads):
            _learn(network, method, tasks, 0, None, settings, seed, recorder)
    except TrainingDiverged as error:
        names, name = tuple(task.name for task in tasks), net if isinstance(net, str) else "own"
        run = Run(method, names, name, seed, network, None, recorder)
        raise TrainingDiverged(f"First task, seed {seed}: {error}", run) from error
    network.freeze_statistics()
    recorder.add_accuracies(network, tasks, 0)
    return Snapshot(network, recorder, net if isinstance(net, str) else "own")


def run_sequence(
    tasks: Sequence[Task],
    method: Method | str,
    *,
    net: NetSpec = "mlp",
    settings: TrainSettings | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    recorder: Recorder | None = None,
    start: Snapshot | None = None,
    look_back_last: bool = True,
) -> Run:
    """Learn tasks one after the other with one method.

    tasks      of the same input shape and different names
    method     an object from `ebll.methods`, or its name for the default settings
    net        "mlp", "cnn", a pair (features, operator) of modules, or a function input_shape -> such a pair
    seed       decides everything that is random; on one machine and thread count the weights repeat to the last bit
    recorder   collects the tables as the run goes on: pass your own to keep them if the run is interrupted
    start      a `Snapshot` to branch from instead of learning the first task again; it is copied
    look_back_last   whether the method also fits what it keeps (autoencoder, Fisher) after the last task; only a longer
               sequence needs it
    raises     `InputError` for tasks that do not fit together, `TrainingDiverged` (with the run so far) for a bad loss
    """
    tasks = checked_tasks(tasks, device)
    if isinstance(method, str):
        method = METHODS[check_choice(method, METHODS, "Method")]()
    if not isinstance(method, Method):
        raise InputError(
            f"method must be one of {', '.join(map(repr, METHODS))}, or an object such as ebll.EBLL(alpha=1.0); "
            f"got {method!r}."
        )
    settings, recorder = _checked_options(settings, recorder)
    if start is None:
        method.check(build_network(net, tasks[0].input_shape, seed), len(tasks))
        start = learn_first(tasks, net=net, settings=settings, seed=seed, device=device, recorder=recorder)
    else:
        check_start(start, tasks[0])
        method.check(start.net, len(tasks))
        recorder.extend(start.recorder)
    names = tuple(task.name for task in tasks)
    run = Run(method, names, start.net_name, seed, copy.deepcopy(start.net).to(device), None, recorder)
    method.prepare(run.net)
    try:
        with cpu_threads(settings.threads):
            for t in range(len(tasks)):
                if t:
                    learn_task(run.net, method, tasks, t, run.memory, settings=settings, seed=seed, recorder=recorder)
                if t == 0 and start.memory is not None:
                    run.memory = start.memory
                elif t < len(tasks) - 1 or look_back_last:
                    run.memory = method.after_task(run.net, t, tasks[t], run.memory, seed)
                else:
                    break  # what is kept is still that of the task before
                recorder.add_memory(tasks[t].name, run.memory)
    except TrainingDiverged as error:
        raise TrainingDiverged(f"{method.label}, seed {seed}: {error}", run) from error
    return run


def learn_task(
    net: Network,
    method: Method,
    tasks: Sequence[Task],
    t: int,
    memory: Memory | None,
    *,
    settings: TrainSettings,
    seed: int,
    recorder: Recorder,
) -> None:
    """The protocol for one task after the first: new head, warm-up, what to keep of the old network, training.

    Nothing but the new head moves during the warm-up, so that what is recorded after it is still the old network's.
    """
    with seeded(seed, "head", t):
        net.add_head(tasks[t].class_count)
    if settings.warmup_epochs:
        _learn(net, FeatureExtraction(), tasks, t, memory, settings, seed, recorder, warm_up=True)
    _learn(net, method, tasks, t, memory, settings, seed, recorder)
    recorder.add_accuracies(net, tasks, t)


def _learn(
    net: Network,
    method: Method,
    tasks: Sequence[Task],
    t: int,
    memory: Memory | None,
    settings: TrainSettings,
    seed: int,
    recorder: Recorder,
    warm_up: bool = False,
) -> None:
    """One stage of a task: set up the measuring, record what the method asks for, run the loop."""
    observe = recorder.watching(net, tasks, t, memory, "warm-up" if warm_up else "train")
    train(
        net,
        method,
        t,
        {i: tasks[i] for i in method.tasks_for(t, tasks)},
        settings=settings,
        memory=memory,
        recorded=method.before_task(net, t, tasks[t].train.inputs, memory),
        epochs=settings.warmup_epochs if warm_up else settings.epochs,
        seed=seed,
        observe=observe,
    )


def _dropout(net: Network, seed: int, t: int) -> contextlib.AbstractContextManager[None]:
    """Seeds torch's global generators for layers that draw; without such layers those generators are left alone."""
    return seeded(seed, "training", t) if net.may_draw() else contextlib.nullcontext()


def _checked_options(settings: TrainSettings | None, recorder: Recorder | None) -> tuple[TrainSettings, Recorder]:
    if not isinstance(settings, TrainSettings | None):
        raise InputError(f"settings takes TrainSettings(epochs=..., ...); got {type(settings).__name__}.")
    if not isinstance(recorder, Recorder | None):
        raise InputError(f"recorder takes a Recorder(log_every=..., ...); got {type(recorder).__name__}.")
    return settings or TrainSettings(), Recorder() if recorder is None else recorder


def check_finite(value: Tensor, terms: Mapping[str, Term], step: int, total: int, settings: TrainSettings) -> None:
    """Raise `TrainingDiverged`, with what to try, if a loss with these terms, or a sum of weights, is not finite."""
    if math.isfinite(value.item()):
        return
    bad = [f"{name} = {term.weighted().item():g}" for name, term in terms.items() if not term.weighted().isfinite()]
    what = f"the loss is not finite ({', '.join(bad) or 'the sum of its terms'})" if terms else "weights are not finite"
    raise TrainingDiverged(
        f"training diverged: {what} at step {step} of {total}. Try a learning_rate below {settings.learning_rate:g}, "
        "or a smaller weight (alpha, distill_weight, ewc_strength) on the term that grew."
    )
