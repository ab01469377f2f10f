"""The paper's protocol around the loop: tasks in sequence, with warm-up, recorded targets and consolidation.

`learn_task` warms up the new head, records what the old network says of the new inputs and trains; `learn` does that
for every later task, and lets the method consolidate after each. Both are generators of steps, as the loop is;
`learn_first` and `run_sequence` run them to their end. Nothing is printed here and no picture is drawn.
"""

from __future__ import annotations

import contextlib
import copy
from collections import OrderedDict
from collections.abc import Generator, Hashable, Iterator, Sequence
from typing import Any

import torch

from ebll.data import Task
from ebll.errors import InputError, TrainingDiverged, check_choice
from ebll.methods import METHODS, FeatureExtraction, Finetune, Memory, Method, Targets
from ebll.networks import NetSpec, Network, build_network
from ebll.recording import Recorder, Run, Snapshot
from ebll.seeds import cpu_threads, seeded
from ebll.settings import USUAL, TrainSettings
from ebll.training import Resume, Step, Teacher, train

__all__ = [
    "begin",
    "check_start",
    "checked_tasks",
    "complete",
    "first_task",
    "learn",
    "learn_first",
    "learn_task",
    "method_of",
    "refuse_batch_of_one",
    "run_sequence",
    "shared_key",
    "targets_of",
]


KEPT = 8
_starts: OrderedDict[Any, Snapshot] = OrderedDict()


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
    run = begin(tasks, Finetune(), net=net, seed=seed, device=device, recorder=recorder)
    return Snapshot(complete(run, tasks[:1], settings).net, run.recorder, run.net_name, tasks[0])


def first_task(
    task: Task, net: NetSpec, settings: TrainSettings, seed: int, *, device: str = "cpu", log_every: int = 0
) -> Generator[Step, None, Snapshot]:
    """Learn a task first; yields the loop's steps, none where the same was done before.

    task        the very object, of which the cache keeps the newest `KEPT`
    log_every   optimiser steps between two measurements, 0 for none
    """
    key = (id(task), net, settings, seed, device, log_every)
    if key not in _starts:
        recorder = Recorder(log_every=log_every)
        run = begin([task], "finetune", net=net, seed=seed, device=device, recorder=recorder)
        yield from learn(run, [task], settings)
        _starts[key] = Snapshot(run.net, recorder, run.net_name, task)  # with the task, so that its id stays its own
        while len(_starts) > KEPT:
            _starts.popitem(last=False)
    _starts.move_to_end(key)
    return _starts[key]


def run_sequence(
    tasks: Sequence[Task],
    method: Method | str,
    *,
    net: NetSpec | None = None,
    settings: TrainSettings | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    recorder: Recorder | None = None,
    start: Snapshot | None = None,
    consolidate_last: bool = True,
) -> Run:
    """Learn tasks one after the other with one method.

    tasks      of the same input shape and different names
    method     an object from `ebll.methods`, or its name for the default settings
    net        "mlp", "cnn", a pair (features, operator) of modules, or a function input_shape -> such a pair; that of
               `start` or else "mlp" unless given
    seed       decides everything that is random; on one machine and thread count the weights repeat to the last bit
    recorder   collects the tables as the run goes on: pass your own to keep them if the run is interrupted
    start      a `Snapshot` to branch from instead of learning the first task again; it is copied
    consolidate_last   whether the method also fits what it keeps (autoencoder, Fisher) after the last task; only a
               longer sequence needs it
    raises     `InputError` for tasks that do not fit together, `TrainingDiverged` (with the run so far) for a bad loss
    """
    run = begin(tasks, method, net=net, seed=seed, device=device, recorder=recorder, start=start)
    return complete(run, tasks, settings, consolidate_last=consolidate_last)


def complete(
    run: Run, tasks: Sequence[Task], settings: TrainSettings | None = None, *, consolidate_last: bool = False
) -> Run:
    """Take a run that was begun to its end."""
    settings = _checked(settings, TrainSettings, "settings", "epochs")
    with cpu_threads(settings.threads):
        for _ in learn(run, tasks, settings, consolidate_last=consolidate_last):
            pass
    return run


def begin(
    tasks: Sequence[Task],
    method: Method | str,
    *,
    net: NetSpec | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    recorder: Recorder | None = None,
    start: Snapshot | None = None,
) -> Run:
    """A run that `learn` takes on; the arguments are those of `run_sequence`.

    raises   `InputError` where tasks, method and network do not fit together
    """
    given, tasks, method = tasks, checked_tasks(tasks, device), method_of(method)
    method.check_tasks(tasks)
    recorder = _checked(recorder, Recorder, "recorder", "log_every")
    if recorder.accuracy_rows or recorder.curve_rows:
        raise InputError("recorder: this one has recorded a run. Give each run a Recorder of its own.")
    names, net_name = tuple(task.name for task in tasks), net if isinstance(net, str) else "own"
    if start is None:
        net_name = net_name if net is not None else "mlp"
        network = build_network("mlp" if net is None else net, tasks[0].input_shape, seed)
        run = Run(method, names, net_name, seed, network, None, recorder)
        method.check(run.net, len(tasks))
    else:
        check_start(start, tasks[0], None if net is None else net_name)
        method.check(start.net, len(tasks))
        recorder.extend(start.recorder)
        run = Run(method, names, start.net_name, seed, copy.deepcopy(start.net), None, recorder, learned=1)
        method.prepare(run.net)
        if given[0] is start.task:
            run.memories = start.memories
    run.net.to(device)
    return run


def learn(
    run: Run,
    tasks: Sequence[Task],
    settings: TrainSettings,
    *,
    consolidate_last: bool = False,
    resume: Resume | None = None,
) -> Iterator[Step]:
    """Learn the tasks that a run has not learned yet; the method consolidates after each: it fits what it keeps.

    tasks    those that the run was begun with, or the first of them
    settings   their number of threads is for the caller to set, with `ebll.seeds.cpu_threads`
    resume   where `ebll.paper.load_checkpoint` has put the run
    yields   the loop's steps, those of all tasks and stages
    raises   `TrainingDiverged` (with the run so far) for a bad loss; `InputError` for a run that was left in mid-task
    """
    settings = _checked(settings, TrainSettings, "settings", "epochs")
    device = next(run.net.parameters(), torch.empty(0)).device
    tasks, last = checked_tasks(tasks, device), len(tasks) - 1
    names = tuple(task.name for task in tasks)
    if names != run.tasks[: len(names)]:
        raise InputError(f"The run was begun with {', '.join(run.tasks)}; got {', '.join(names)}.")
    for t, task in enumerate(tasks):
        who = run.method.label if t else f"{task.name} as the first task"
        try:
            if run.learned <= t:
                yield from learn_task(run, tasks, t, settings, resume if resume and resume.task == t else None)
            if run.fitted <= t and (t < last or consolidate_last):
                who = run.method.label
                key = shared_key(run.method, run.seed, device)
                shared = run.memories if t == 0 and key[0] is not None else {}
                if key not in shared:
                    shared[key] = run.method.consolidate(run.net, t, task, run.memory, run.seed)
                run.memory = shared[key]
                run.fitted = t + 1
                run.recorder.add_memory(task.name, run.memory)
        except TrainingDiverged as error:
            raise TrainingDiverged(f"{who}, seed {run.seed}: {error}", run) from error


def shared_key(method: Method, seed: int, device: torch.device) -> tuple[Hashable, ...]:
    """Under which the memories of a `Snapshot` hold what a method keeps of its task.

    What the threads and the device compute differs in the last bits.
    """
    return method.memory_key, seed, device, torch.get_num_threads()


def learn_task(
    run: Run, tasks: Sequence[Task], t: int, settings: TrainSettings, resume: Resume | None = None
) -> Iterator[Step]:
    """The protocol for one task: new head, warm-up, what to keep of the old network, training; its steps are yielded.

    Nothing but the new head moves during the warm-up, so that what is recorded after it is still the old network's.
    The first task has no warm-up, and is learned in the same way by all methods; after it, statistics of BatchNorm stay
    as they are.
    """
    net = run.net
    if len(net.heads) > t and not resume:
        raise InputError(
            f"The run was left while {tasks[t].name} was learned. Begin a new one, or resume a checkpoint."
        )
    if len(net.heads) == t:
        with seeded(run.seed, "head", t):
            net.add_head(tasks[t].class_count)
    if t == 0:
        refuse_batch_of_one(net, tasks[0].name, len(tasks[0].train), settings)
    for stage, epochs in settings.stages(t).items():
        if not epochs or (resume and resume.stage == "train" and stage == "warm-up"):
            continue
        method = FeatureExtraction() if stage == "warm-up" else run.method if t else Finetune()
        on = resume if resume and resume.stage == stage else None
        yield from _stage(run, tasks, t, stage, method, settings.replace(epochs=epochs), on)
    run.recorder.add_accuracies(net, tasks, t)
    if t == 0:
        net.freeze_statistics()
        run.method.prepare(net)
    run.learned = t + 1


def _stage(
    run: Run, tasks: Sequence[Task], t: int, stage: str, method: Method, settings: TrainSettings, resume: Resume | None
) -> Iterator[Step]:
    """Record what the method asks for, then run the loop and measure where it is due."""
    net, memory = run.net, run.memory
    observe = run.recorder.watching(net, tasks, t, memory, stage, method.trained_parts(net, t))
    data = {i: tasks[i] for i in method.tasks_for(t, tasks)}
    targets = targets_of(net, method, tasks[t], t, memory)
    options = {"settings": settings, "seed": run.seed, "resume": resume if resume and resume.state else None}
    with contextlib.closing(train(net, method, t, data, memory=memory, targets=targets, **options)) as steps:
        for step in steps:
            step.stage = stage
            if not resume or step.index > resume.index:  # where it goes on, it was measured before it was stopped
                observe(step)
            yield step


def refuse_batch_of_one(network: Network, name: str, inputs: int, settings: TrainSettings) -> None:
    """Raise `InputError` where a task's last batch would hold one input, and the network cannot learn from one.

    network   with a head; name and inputs, of the training split, are the task's
    """
    if (inputs % settings.batch_size or settings.batch_size) == 1 and network.needs_batches():
        raise InputError(
            f"The last batch of {name} would hold one input ({inputs} in batches of {settings.batch_size}), and "
            "BatchNorm needs more while it learns. Choose another batch_size."
        )


def targets_of(net: Network, method: Method, task: Task, t: int, memory: Memory | None) -> Targets | Teacher:
    """What the network of before task t says of its training inputs: rows, or a function that gives them.

    The method records rows, one an input. Where inputs are cropped again in each epoch, a frozen copy of the network is
    asked about each batch instead, so that what a batch is held to belongs to the very pixels in it.
    """
    if t == 0 or not task.train.changing or type(method).record_targets is Method.record_targets:
        return method.record_targets(net, t, task.train.inputs, memory)
    teacher = copy.deepcopy(net)
    return lambda inputs: method.record_targets(teacher, t, inputs, memory)


def method_of(method: Method | str) -> Method:
    """A method, or the one of that name with its default settings."""
    if isinstance(method, str):
        return METHODS[check_choice(method, METHODS, "Method")]()
    if not isinstance(method, Method):
        raise InputError(
            f"method must be one of {', '.join(map(repr, METHODS))}, or an object such as ebll.EBLL(alpha=1.0); "
            f"got {method!r}."
        )
    return method


def _checked(given: Any, kind: type, name: str, example: str) -> Any:
    if not isinstance(given, kind | None):
        raise InputError(f"{name} takes {kind.__name__}({example}=..., ...); got {type(given).__name__}.")
    if given is None:
        return USUAL if kind is TrainSettings else kind()
    return given


def checked_tasks(tasks: Sequence[Task], device: str | torch.device) -> list[Task]:
    """The tasks of a sequence on their device, if they fit together: different names, one input shape."""
    tasks = list(tasks) if isinstance(tasks, Sequence) and not isinstance(tasks, str) else []
    if not tasks or not all(isinstance(task, Task) for task in tasks):
        raise InputError(
            "tasks must be a list of at least one Task; load_task('mnist') or Task.from_folder(...) make one."
        )
    names = [task.name for task in tasks]
    if len(set(names)) < len(names):
        raise InputError(f"Tasks of one sequence need different names; got {', '.join(names)}.")
    shapes = {task.name: task.input_shape for task in tasks}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InputError(f"Tasks of one sequence need inputs of one shape, since they share F; got {listed}.")
    return [task.to(device) for task in tasks]


def check_start(start: Snapshot, first: Task, net_name: str | None = None) -> None:
    """Refuse a snapshot that has not learned the first task of the sequence, or with another network."""
    if not isinstance(start, Snapshot):
        raise InputError(f"start takes a Snapshot, such as learn_first(...) returns; got {type(start).__name__}.")
    learned = start.recorder.accuracy_rows[-1]["task"] if start.recorder.accuracy_rows else first.name
    has, wants = (start.net.input_shape, start.net.classes), (first.input_shape, [first.class_count])
    if learned != first.name or has != wants:
        raise InputError(
            f"start has learned {learned} (inputs {has[0]}, classes of its heads {has[1]}), but the sequence begins "
            f"with {first.name} (inputs {wants[0]}, classes {wants[1]}). Branch from learn_first([{first.name}, ...])."
        )
    if net_name is not None and start.net_name != net_name:
        raise InputError(f"start: a network {start.net_name!r} has learned the first task, but net is {net_name!r}.")
