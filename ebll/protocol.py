"""The paper's protocol around the loop: tasks in sequence, with warm-up, recorded answers and a look back.

`learn_task` warms up the new head, records what the old network says of the new inputs and trains; `run_sequence` does
that for every task, and lets the method look back after each. Nothing is printed here and no picture is drawn.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from ebll.data import Task
from ebll.errors import InputError, TrainingDiverged, check_choice
from ebll.methods import METHODS, FeatureExtraction, Memory, Method, Recorded
from ebll.nets import NetSpec, Network, build_network
from ebll.record import Recorder
from ebll.runs import NOTHING_KEPT, Keeper, Run, Snapshot, check_start, checked_tasks
from ebll.seeds import cpu_threads, seeded
from ebll.training import Teacher, TrainSettings, train

__all__ = ["learn_first", "learn_task", "old_answers", "refuse_batch_of_one", "run_sequence"]


def learn_first(
    tasks: Sequence[Task],
    *,
    net: NetSpec = "mlp",
    settings: TrainSettings | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    recorder: Recorder | None = None,
    keep: Keeper = NOTHING_KEPT,
) -> Snapshot:
    """Learn the first task, which is plain training for every method, and keep the network to branch from."""
    tasks, (settings, recorder) = checked_tasks(tasks, device), _checked_options(settings, recorder)
    network = build_network(net, tasks[0].input_shape, seed).to(device)
    with seeded(seed, "head", 0):
        network.add_head(tasks[0].class_count)
    refuse_batch_of_one(network, tasks[0].name, len(tasks[0].train), settings)
    method, name = METHODS["finetune"](), net if isinstance(net, str) else "own"
    run = Run(method, tuple(task.name for task in tasks), name, seed, network, None, recorder)
    keep.begin(run)
    if not keep.passed(0, "train"):
        try:
            with cpu_threads(settings.threads):
                _learn(network, method, tasks, 0, None, settings, seed, recorder, keep)
        except TrainingDiverged as error:
            raise TrainingDiverged(f"First task, seed {seed}: {error}", run) from error
        recorder.add_accuracies(network, tasks, 0)
        keep.reached(0, "train")
    network.freeze_statistics()
    return Snapshot(network, recorder, name)


def refuse_batch_of_one(network: Network, name: str, inputs: int, settings: TrainSettings) -> None:
    """Raise `InputError` where a task's last batch would hold one input, and the network cannot learn from one.

    network   with a head; name and inputs, of the training split, are the task's
    """
    if (inputs % settings.batch_size or settings.batch_size) == 1 and network.needs_batches():
        raise InputError(
            f"The last batch of {name} would hold one input ({inputs} in batches of {settings.batch_size}), and "
            "BatchNorm needs more while it learns. Choose another batch_size."
        )


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
    keep: Keeper = NOTHING_KEPT,
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
    keep       what lets a long run go on where it was stopped, such as `ebll.checkpoints.Checkpoints`
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
    keep.begin(run)
    try:
        with cpu_threads(settings.threads):
            for t in range(len(tasks)):
                if t:
                    options = {"settings": settings, "seed": seed, "recorder": recorder, "keep": keep}
                    learn_task(run.net, method, tasks, t, run.memory, **options)
                if keep.passed(t, "look back"):
                    continue
                if t == 0 and start.memory is not None:
                    run.memory = start.memory
                elif t < len(tasks) - 1 or look_back_last:
                    run.memory = method.after_task(run.net, t, tasks[t], run.memory, seed)
                else:
                    break  # what is kept is still that of the task before
                recorder.add_memory(tasks[t].name, run.memory)
                keep.reached(t, "look back")
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
    keep: Keeper = NOTHING_KEPT,
) -> None:
    """The protocol for one task after the first: new head, warm-up, what to keep of the old network, training.

    Nothing but the new head moves during the warm-up, so that what is recorded after it is still the old network's.
    """
    if keep.passed(t, "train"):
        return
    if not keep.passed(t, "warm-up"):
        with seeded(seed, "head", t):
            net.add_head(tasks[t].class_count)
        if settings.warmup_epochs:
            _learn(net, FeatureExtraction(), tasks, t, memory, settings, seed, recorder, keep, warm_up=True)
        keep.reached(t, "warm-up")
    _learn(net, method, tasks, t, memory, settings, seed, recorder, keep)
    recorder.add_accuracies(net, tasks, t)
    keep.reached(t, "train")


def _learn(
    net: Network,
    method: Method,
    tasks: Sequence[Task],
    t: int,
    memory: Memory | None,
    settings: TrainSettings,
    seed: int,
    recorder: Recorder,
    keep: Keeper = NOTHING_KEPT,
    warm_up: bool = False,
) -> None:
    """One stage of a task: set up the measuring, record what the method asks for, run the loop."""
    stage, trained = "warm-up" if warm_up else "train", method.trained_parts(net, t)
    observe = recorder.watching(net, tasks, t, memory, stage, trained)
    train(
        net,
        method,
        t,
        {i: tasks[i] for i in method.tasks_for(t, tasks)},
        settings=settings,
        memory=memory,
        recorded=old_answers(net, method, tasks[t], t, memory),
        epochs=settings.warmup_epochs if warm_up else settings.epochs,
        seed=seed,
        observe=observe,
        keep=keep,
    )


def old_answers(net: Network, method: Method, task: Task, t: int, memory: Memory | None) -> Recorded | Teacher:
    """What the network of before task t says of its training inputs: rows, or a function that gives them.

    The method records rows, one an input. Where inputs are cut anew in each epoch, a frozen copy of the network is
    asked about each batch instead, so that what a batch is held to belongs to the very pixels in it.
    """
    if t == 0 or not task.train.changing or type(method).before_task is Method.before_task:
        return method.before_task(net, t, task.train.inputs, memory)
    teacher = copy.deepcopy(net)
    return lambda inputs: method.before_task(teacher, t, inputs, memory)


def _checked_options(settings: TrainSettings | None, recorder: Recorder | None) -> tuple[TrainSettings, Recorder]:
    if not isinstance(settings, TrainSettings | None):
        raise InputError(f"settings takes TrainSettings(epochs=..., ...); got {type(settings).__name__}.")
    if not isinstance(recorder, Recorder | None):
        raise InputError(f"recorder takes a Recorder(log_every=..., ...); got {type(recorder).__name__}.")
    return settings or TrainSettings(), Recorder() if recorder is None else recorder
