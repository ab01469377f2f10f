"""What is fitted after a task: EWC's Fisher diagonal, closed form against loop, and EBLL's autoencoder.

The two ways to the Fisher diagonal are compared before they are timed: the text says how far their numbers differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from benchmarks.results import table_of
from benchmarks.rounds import Figure, figure, interleaved, ratio_of
from ebll.data import Task, load_task
from ebll.fisher import FISHER_KINDS, fisher_diagonal, fisher_diagonal_loop
from ebll.methods import EBLL
from ebll.methods.ebll import fit_to_task
from ebll.networks import Network
from ebll.protocol import begin, complete, learn_first
from ebll.recording import Recorder, Snapshot
from ebll.seeds import cpu_threads
from ebll.training import TrainSettings

__all__ = ["TITLE", "difference", "fisher_ways", "run"]

TITLE = "What the fits after a task cost"
TASKS = ("mnist", "letters")
BAR = 0.1  # of the loop's time
ROUNDS = 5  # at most, of the loop
SAMPLES, FEW = 512, 64
NETS = ("mlp", "cnn")
CASES: dict[tuple[str, str], float | None] = {
    **{("mlp", kind): BAR if kind == "exact" else None for kind in FISHER_KINDS},
    ("cnn", "exact"): None,
}
TEXT = """The Fisher diagonal of F and T in a network that has learned {first}: `fisher_diagonal`, the closed form,
against `fisher_diagonal_loop`, one sample and label at a time. Before they were timed their numbers were compared:
relative to the largest entry of a parameter they differ by at most {apart:.0e}. The autoencoder is fitted to the
features of {first}, in turns with a run of the second task ({second}, `ebll`, default settings) from which that fit is
left out.

{table}"""


def run(rounds: int, device: str) -> tuple[str, list[Figure]]:
    """Closed form to loop for each net and kind; the autoencoder's fit in seconds, and to a run of the second task."""
    tasks = [load_task(name).to(device) for name in TASKS]
    quiet = {"device": device, "recorder": Recorder(log_every=0)}
    starts = {net: learn_first(tasks[:1], net=net, **quiet) for net in NETS}
    ready = torch.cuda.synchronize if device == "cuda" else None
    figures, apart = [], []
    with cpu_threads(torch.get_num_threads()):
        for (net, kind), bar in CASES.items():
            samples = FEW if net == "cnn" else SAMPLES
            ways = fisher_ways(starts[net].net, tasks[0], kind, samples)
            apart.append(difference(ways["closed form"](), ways["loop"]()))  # the first call of both
            times = interleaved(ways, min(rounds, ROUNDS), warm_up=0, ready=ready)
            case = f"{net}, Fisher, {kind}, {samples} samples"
            figures.append(ratio_of(times, "closed form", "loop", case, "closed form to loop", bar))
    for net in NETS:
        times = interleaved(fit_and_run(tasks, starts[net], device), rounds, ready=ready)
        case = f"{net}, autoencoder of {TASKS[0]}"
        figures.append(figure(case, "fit", "s", times["fit"]))
        figures.append(ratio_of(times, "fit", "run", case, "fit to one run of the second task"))
    fits = table_of([one for one in figures if "autoencoder" in one.case])
    return TEXT.format(first=TASKS[0], second=TASKS[1], apart=max(apart), table=fits), figures


def fisher_ways(net: Network, task: Task, kind: str, samples: int) -> dict[str, Callable[[], list[Tensor]]]:
    """The closed form and the loop on the same images of a task that the network has learned first."""
    shared = [*net.features.parameters(), *net.operator.parameters()]
    rows = torch.randperm(len(task.train), generator=torch.Generator().manual_seed(0))[:samples]
    some = task.train.take(rows.to(task.train.labels.device))
    given = (net, lambda inputs: net(inputs, 0), shared, some.inputs, some.labels, kind)
    return {"closed form": lambda: fisher_diagonal(*given), "loop": lambda: fisher_diagonal_loop(*given)}


def difference(some: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    """The largest difference between entries, over the largest entry of the same parameter among `others`."""
    pairs = zip(some, others, strict=True)
    return max(((one - other).abs().max() / other.abs().max()).item() for one, other in pairs)


def fit_and_run(tasks: Sequence[Task], start: Snapshot, device: str) -> Mapping[str, Callable[[], object]]:
    """The first task's autoencoder, and the second task with one that is already there."""
    method, settings = EBLL(), TrainSettings(threads=torch.get_num_threads())

    def fit() -> None:
        with cpu_threads(settings.threads):
            fit_to_task(start.net, 0, tasks[0], method.autoencoder, 0)

    def learn() -> None:
        options = {"device": device, "recorder": Recorder(log_every=0)}
        complete(begin(tasks, method, start=start, **options), tasks, settings)

    learn()  # fits the autoencoder, which later runs find in `start.memories`
    return {"fit": fit, "run": learn}
