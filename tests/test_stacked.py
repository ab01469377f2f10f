"""Many runs as one program: a run in a stack is the run alone, for every method, and objects survive being stacked."""

import copy
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from messages import raises
from torch import nn

from ebll import METHODS, AutoencoderSettings, InputError, Recorder, TrainingDiverged, TrainSettings, load_task
from ebll.autoencoder import Encoder
from ebll.data import Split
from ebll.methods import Batch, Method, Term
from ebll.methods.codes import EncoderMemory
from ebll.protocol import learn_first, run_sequence
from ebll.settings import setting
from ebll.stacked import Branch, CannotStack, Member, learn_stacked, runs_at_once, train_stacked
from ebll.stacked.graph import EAGER, Replayed
from ebll.stacked.lifted import lift
from ebll.stacked.room import MOST, bytes_of_run, worth_it
from ebll.training import batches_of, train

CLOSE = {"rtol": 0, "atol": 1e-5}
SETTINGS = TrainSettings(epochs=3, warmup_epochs=1, batch_size=32, learning_rate=0.05)
SEEDS = (0, 1, 2, 0)


def small(shape):
    """784 - 32 (F) - 24 (T): quick, and of the kind that gains from a stack."""
    size = int(torch.Size(shape).numel())
    return nn.Sequential(nn.Flatten(), nn.Linear(size, 32), nn.ReLU()), nn.Sequential(nn.Linear(32, 24), nn.ReLU())


@dataclass(frozen=True)
class Own(Method):
    """A reader's own method: the new task's loss and a pull of all features towards zero, with a weight each."""

    name = "own"
    label = "Own"

    pull: float = setting(0.1, "Weight of the pull.")

    def loss_terms(self, net, batches, memory):
        (batch,) = batches
        features = net.features(batch.inputs)
        logits = net.heads[batch.task](net.operator(features))
        loss = nn.functional.cross_entropy(logits, batch.labels)
        return {"task": Term(loss), "pull": Term(features.square().mean(), self.pull)}


@pytest.fixture(scope="module")
def tasks():
    """Two tasks whose last batch is not whole, and a third."""
    digits, letters, mnist = (load_task(name) for name in ("digits", "letters", "mnist"))
    return [digits.subset(300), letters.subset(110), mnist.subset(90)]


@pytest.fixture(scope="module")
def starts(tasks):
    first = {"net": small, "settings": SETTINGS.replace(epochs=2)}
    return {s: learn_first(tasks[:1], seed=s, recorder=Recorder(log_every=0), **first) for s in set(SEEDS)}


def made(name, k):
    """A method whose numbers depend on k, and differ between any two."""
    if name == "own":
        return Own(pull=0.05 * (k + 1))
    fit = AutoencoderSettings(code_size=8, epochs=1, recon_weight=0.01 * (k + 1))
    numbers = {"alpha": 0.5 + k, "temperature": 1.5 + 0.5 * k, "distill_weight": 1.0 + 0.3 * k}
    numbers |= {"ewc_strength": 5.0 * (k + 1), "autoencoder": fit, "fisher_samples": 64}
    fields = METHODS[name].__dataclass_fields__
    return METHODS[name](**{name: value for name, value in numbers.items() if name in fields})


def branches(name, starts, tasks, settings=SETTINGS, **changes):
    rates = (0.05, 0.02, 0.05, 0.03)
    several = []
    for k, seed in enumerate(SEEDS):
        method, start = made(name, k).replace(**changes), copy.copy(starts[seed])
        start.memory = method.after_task(copy.deepcopy(start.net), 0, tasks[0], None, seed)
        rate = settings.replace(learning_rate=rates[k])
        several.append(Branch(method, seed, rate, start, Recorder(log_every=2)))
    return several


def alone(branch, tasks):
    options = {"settings": branch.settings, "seed": branch.seed, "start": branch.start, "look_back_last": False}
    return run_sequence(tasks, branch.method, recorder=Recorder(log_every=2), **options)


def agree(run, other):
    """Weights, accuracies and every number on the way."""
    for (name, weight), its in zip(run.net.named_parameters(), other.net.parameters(), strict=True):
        torch.testing.assert_close(weight, its, msg=lambda text, name=name: f"{name}: {text}", **CLOSE)
    assert run.recorder.accuracy_rows == other.recorder.accuracy_rows
    for kind in ("memory_rows", "curve_rows"):
        rows, its = getattr(run.recorder, kind), getattr(other.recorder, kind)
        assert [list(row) for row in rows] == [list(row) for row in its]
        for row, twin in zip(rows, its, strict=True):
            assert words_of(row) == words_of(twin)
            assert numbers_of(row) == pytest.approx(numbers_of(twin), rel=1e-3, abs=1e-5, nan_ok=True)


def words_of(row):
    return {name: value for name, value in row.items() if isinstance(value, str)}


def numbers_of(row):
    return {name: value for name, value in row.items() if not isinstance(value, str)}


@pytest.mark.parametrize("name", [*METHODS, "own"])
def test_a_run_in_a_stack_is_the_run_alone(name, tasks, starts):
    pair = tasks[:2]
    expected = [alone(branch, pair) for branch in branches(name, starts, pair)]
    found = learn_stacked(pair, branches(name, starts, pair)).runs
    for run, other in zip(found, expected, strict=True):
        agree(run, other)
    moved = [next(run.net.parameters()) - next(starts[run.seed].net.parameters()) for run in found]
    if name != "feature-extraction":
        assert min(change.abs().max() for change in moved) > 100 * CLOSE["atol"]  # what agrees has gone somewhere


@pytest.mark.parametrize(("name", "changes"), [("ebll", {}), ("ebll", {"alpha": (0.5, 2.0)}), ("ewc", {})])
def test_longer_sequences_too(name, changes, tasks, starts):
    for run, branch in zip(
        learn_stacked(tasks, branches(name, starts, tasks, **changes)).runs,
        branches(name, starts, tasks, **changes),
        strict=True,
    ):
        agree(run, alone(branch, tasks))


def test_an_alpha_for_each_old_task_and_run(tasks, starts):
    several = branches("code-only", starts, tasks)
    several = [
        Branch(b.method.replace(alpha=(0.5, 1.0 + k)), b.seed, b.settings, b.start) for k, b in enumerate(several)
    ]
    again = [Branch(b.method, b.seed, b.settings, b.start) for b in several]
    for run, branch in zip(learn_stacked(tasks, several).runs, again, strict=True):
        twin = alone(branch, tasks)
        torch.testing.assert_close(list(run.net.parameters()), list(twin.net.parameters()), **CLOSE)


@pytest.mark.parametrize("net", ["mlp", "cnn"])
def test_the_built_in_nets(net, tasks):
    starts = {s: learn_first(tasks[:1], net=net, seed=s, settings=SETTINGS) for s in set(SEEDS)}
    settings = SETTINGS.replace(epochs=1, learning_rate=0.01)
    pair = [tasks[0], tasks[1].subset(70)]
    expected = [alone(branch, pair) for branch in branches("ebll", starts, pair, settings)]
    for run, other in zip(learn_stacked(pair, branches("ebll", starts, pair, settings)).runs, expected, strict=True):
        torch.testing.assert_close(list(run.net.parameters()), list(other.net.parameters()), **CLOSE)


def test_one_that_diverges_says_so_as_alone_and_stops_no_other(tasks, starts):
    def several():
        made = branches("finetune", starts, tasks[:2])
        wild = made[1].settings.replace(learning_rate=1e20)
        return [made[0], Branch(made[1].method, 1, wild, made[1].start, Recorder(log_every=2)), *made[2:]]

    found = learn_stacked(tasks[:2], several()).runs
    with pytest.raises(TrainingDiverged) as caught:
        alone(several()[1], tasks[:2])
    assert isinstance(found[1], TrainingDiverged)
    assert str(found[1]) == str(caught.value)
    assert found[1].run.recorder.accuracy_rows == caught.value.run.recorder.accuracy_rows
    for k in (0, 2, 3):
        agree(found[k], alone(several()[k], tasks[:2]))


def test_a_stack_of_one_and_one_seed(tasks, starts):
    several = branches("lwf", starts, tasks[:2])
    one = [several[0]]
    same = [Branch(several[k].method, 0, several[k].settings, several[0].start) for k in (0, 3)]
    for stack in (one, same):
        twins = [alone(branch, tasks[:2]) for branch in stack]
        for run, twin in zip(learn_stacked(tasks[:2], stack).runs, twins, strict=True):
            torch.testing.assert_close(list(run.net.parameters()), list(twin.net.parameters()), **CLOSE)


def test_networks_are_free_of_the_stack_afterwards(tasks, starts):
    found = learn_stacked(tasks[:2], branches("lwf", starts, tasks[:2])).runs
    weights = [next(run.net.parameters()) for run in found]
    assert len({weight.untyped_storage().data_ptr() for weight in weights}) == len(weights)
    assert all(weight.untyped_storage().nbytes() == weight.nbytes for weight in weights)
    assert all(weight.requires_grad and weight.grad is None for weight in weights)


def test_starts_are_left_as_they_were(tasks, starts):
    before = copy.deepcopy(starts[0].net.state_dict())
    learn_stacked(tasks[:2], branches("ebll", starts, tasks[:2]))
    assert all(torch.equal(value, before[name]) for name, value in starts[0].net.state_dict().items())


def test_the_loop_alone_agrees_over_a_drop_of_the_learning_rate(tasks, starts):
    task = tasks[1]
    settings = SETTINGS.replace(drop_at=0.4)
    nets = [copy.deepcopy(starts[0].net) for _ in range(2)]
    for net in nets:
        torch.manual_seed(0)
        net.add_head(task.class_count)
    seen = [], []
    twin, member_net = nets
    watch = [lambda step, total, terms, rate, mine=mine: mine.append((step, total, list(terms), rate)) for mine in seen]
    train(twin, METHODS["finetune"](), 1, {1: task}, settings=settings, seed=5, observe=watch[0])
    member = Member(member_net, METHODS["finetune"](), 5, settings, observe=watch[1])
    assert train_stacked([member], 1, {1: task}, settings.epochs) == ""
    torch.testing.assert_close(list(member_net.parameters()), list(twin.parameters()), **CLOSE)
    assert seen[0] == seen[1]


class Exact:
    """A training split in double precision, which tasks never are."""

    versions, batches = Split.versions, Split.batches

    def __init__(self, split):
        self.inputs, self.labels = split.inputs.double(), split.labels

    def __len__(self):
        return len(self.labels)


@dataclass
class ExactTask:
    train: Exact


def test_in_double_precision_a_stack_is_the_lesson_to_the_last_digits(tasks, starts):
    """What single precision leaves open: without its rounding hardly a difference is left, over many steps."""
    data, members = {1: ExactTask(Exact(tasks[1].train))}, []
    for k, branch in enumerate(branches("ebll", starts, tasks[:2])):
        net = copy.deepcopy(branch.start.net)
        torch.manual_seed(k)
        net.add_head(tasks[1].class_count)
        encoders = tuple(copy.deepcopy(encoder).double() for encoder in branch.start.memory.encoders)
        memory, method = EncoderMemory(encoders, {}), branch.method.replace(distill_weight=1.0 + k, alpha=0.5 + k)
        net = net.double()
        recorded = method.before_task(net, 1, data[1].train.inputs, memory)
        members.append(Member(net, method, branch.seed, branch.settings.replace(epochs=20), memory, recorded))
    twins = [copy.deepcopy(member.net) for member in members]
    for member, net in zip(members, twins, strict=True):
        options = {"settings": member.settings, "memory": member.memory, "recorded": member.recorded}
        train(net, member.method, 1, data, seed=member.seed, **options)
    train_stacked(members, 1, data, 20)
    for member, net in zip(members, twins, strict=True):
        torch.testing.assert_close(list(member.net.parameters()), list(net.parameters()), rtol=0, atol=1e-12)
        assert next(net.parameters()).dtype == torch.float64


def test_a_start_without_memory_has_it_fitted(tasks, starts):
    """Else EBLL would be fine-tuning, without a word."""
    bare = [Branch(b.method, b.seed, b.settings, starts[b.seed]) for b in branches("ebll", starts, tasks[:2])]
    assert all(branch.start.memory is None for branch in bare)
    for run, branch in zip(learn_stacked(tasks[:2], bare).runs, branches("ebll", starts, tasks[:2]), strict=True):
        agree_in_weights(run, alone(branch, tasks[:2]))


def agree_in_weights(run, other):
    torch.testing.assert_close(list(run.net.parameters()), list(other.net.parameters()), **CLOSE)


def test_weights_come_back_in_the_usual_order_of_memory(tasks, starts):
    for run in learn_stacked(tasks[:2], branches("lwf", starts, tasks[:2])).runs:
        assert all(weight.is_contiguous() for weight in run.net.parameters())


# What cannot be stacked


def test_what_cannot_be_stacked_is_said(tasks, starts):
    def member(net, method=None, **changes):
        return Member(net, method or METHODS["finetune"](), 0, SETTINGS.replace(**changes))

    net = copy.deepcopy(starts[0].net)
    data = {0: tasks[0]}
    with raises(CannotStack, "alike"):
        train_stacked([member(net), member(copy.deepcopy(net), batch_size=16)], 0, data, 1)
    with raises(CannotStack, "Finetune and LwF"):
        train_stacked([member(net), member(copy.deepcopy(net), METHODS["lwf"]())], 0, data, 1)
    wide = learn_first(tasks[:1], settings=SETTINGS.replace(epochs=1)).net
    with raises(CannotStack, "shapes"):
        train_stacked([member(net), member(wide)], 0, data, 1)
    net.operator.append(nn.Dropout())
    with raises(CannotStack, "dropout"):
        train_stacked([member(net)], 0, data, 1)
    with raises(InputError, "at least one"):
        learn_stacked(tasks[:2], [])
    other = branches("lwf", starts, tasks[:2])
    uneven = [other[0], Branch(other[1].method, 1, other[1].settings.replace(threads=2), other[1].start)]
    with raises(CannotStack, "threads"):
        learn_stacked(tasks[:2], uneven)


def normed(eps=1e-5):
    return lambda shape: (nn.Sequential(nn.Flatten(), nn.Linear(784, 16), nn.BatchNorm1d(16, eps=eps)), nn.Identity())


def test_nets_that_would_silently_go_wrong_are_refused(tasks, starts):
    """Tied weights, layers of other settings, layers frozen in some, statistics that are still learned."""
    data, settings = {0: tasks[0]}, SETTINGS.replace(epochs=1)

    def members(*nets):
        return [Member(net, METHODS["finetune"](), 0, settings) for net in nets]

    def first(net):
        return learn_first(tasks[:1], net=net, settings=settings).net

    shared = nn.Linear(8, 8)
    tied = (nn.Sequential(nn.Flatten(), nn.Linear(784, 8), shared, nn.ReLU(), shared), nn.Identity())
    with raises(CannotStack, "share"):
        train_stacked(members(first(tied), first(tied)), 0, data, 1)
    with raises(CannotStack, "BatchNorm1d", "eps"):
        train_stacked(members(first(normed()), first(normed(0.5))), 0, data, 1)
    half = first(small)
    half.features[0][1].requires_grad_(False)
    with raises(CannotStack, "frozen"):
        train_stacked(members(first(small), half), 0, data, 1)
    same = first(small)
    with raises(CannotStack, "network of its own"):
        train_stacked(members(same, same), 0, data, 1)
    learning = copy.deepcopy(first(normed()))
    learning.statistics_frozen = False
    with raises(CannotStack, "statistics"):
        train_stacked(members(learning), 0, data, 1)


@pytest.mark.parametrize("net", [normed(), "frozen layer"])
def test_frozen_statistics_and_frozen_layers_are_stacked(net, tasks):
    spec = small if net == "frozen layer" else net
    starts = {s: learn_first(tasks[:1], net=spec, seed=s, settings=SETTINGS.replace(epochs=1)) for s in set(SEEDS)}
    if net == "frozen layer":
        for start in starts.values():
            start.net.features[0][1].requires_grad_(False)
    expected = [alone(branch, tasks[:2]) for branch in branches("ebll", starts, tasks[:2])]
    for run, other in zip(learn_stacked(tasks[:2], branches("ebll", starts, tasks[:2])).runs, expected, strict=True):
        agree_in_weights(run, other)


# Objects as one


@dataclass
class Odd:
    number: float
    pair: tuple
    tensors: list
    extra: dict = field(default_factory=dict)


@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=4), st.integers(1, 3))
def test_each_row_of_a_lifted_object_is_the_object(numbers, size):
    things = [Odd(x, (x, 1.0, "word"), [torch.full((size,), x), 2 * torch.ones(1)], {"a": x}) for x in numbers]
    lifted = lift(things)
    assert all(len(tensor) == len(things) for tensor in lifted.tensors)
    for k, thing in enumerate(things):
        back = lifted.build([tensor[k] for tensor in lifted.tensors])
        assert (float(back.number), float(back.pair[0]), back.pair[2]) == (thing.number, thing.number, "word")
        assert float(back.extra["a"]) == thing.number
        assert all(map(torch.equal, back.tensors, thing.tensors))


def test_modules_and_memories_survive():
    torch.manual_seed(0)
    memories = [EncoderMemory((Encoder(6, 2), Encoder(6, 2)), {"accuracy": 0.1 * k}) for k in range(3)]
    features, lifted = torch.rand(4, 6), lift(memories)
    for k, memory in enumerate(memories):
        back = lifted.build([tensor[k] for tensor in lifted.tensors])
        assert torch.equal(back.codes(features), memory.codes(features))
        assert len(back.encoders) == 2


def test_what_all_share_is_kept_once_unless_it_learns():
    net = nn.Linear(3, 2)
    shared = net.requires_grad_(False)
    assert lift([shared, shared]).tensors == []
    assert [t.shape for t in lift([net.requires_grad_(True)] * 2).tensors] == [(2, 2, 3), (2, 2)]


@pytest.mark.parametrize(
    ("things", "named"),
    [
        ([torch.ones(2), torch.ones(3)], "shapes"),
        ([[1.0], [1.0, 2.0]], "entries"),
        ([{"a": "x"}, {"a": "y"}], "a: 'x' and 'y'"),
        ([1.0, "x"], "float and str"),
        ([nn.Sequential(nn.ReLU()), nn.Sequential()], "parts"),
    ],
)
def test_structures_that_differ_are_refused(things, named):
    with raises(CannotStack, named):
        lift(things)


# How many at a time


def test_stacks_grow_with_memory_up_to_a_limit(tasks, starts):
    size = bytes_of_run(starts[0].net, tasks[1], 8, 32)
    weights = sum(p.numel() for p in starts[0].net.parameters())
    assert size > 4 * 4 * weights  # weights, gradient, momentum, and a copy
    assert runs_at_once(size, "cpu", free=0) == 1
    assert runs_at_once(size, "cpu", free=20 * size) == 10
    assert runs_at_once(size, "cpu", free=1e15) == MOST["cpu"]
    assert runs_at_once(size, "cuda", free=1e15) == MOST["cuda"]


def test_on_a_processor_only_small_nets_gain(starts, tasks):
    wide = learn_first(tasks[:1], settings=SETTINGS.replace(epochs=1)).net
    assert worth_it(starts[0].net, "cpu")
    assert not worth_it(wide, "cpu")
    assert worth_it(wide, "cuda")


# Recording; a stand-in for the GPU's part of it


class Tape:
    """Stands for a recording: replays by calling what it has recorded."""

    made = 0

    def __init__(self, inputs, answer, apply):
        Tape.made += 1
        self.replays, self._answer, self._apply = 0, answer, apply
        self.apply = self

    def replay(self, inputs=None):
        self.replays += 1
        return self._answer(inputs) if inputs is not None else self._apply()


def steps_of(replayed, shapes):
    """Takes a step for each shape; returns the answers."""
    found = []
    for n in shapes:
        found.append(replayed.answer([torch.ones(n)]))
        replayed.apply()
    return found


def test_a_step_is_recorded_once_a_shape_after_a_few_as_written(monkeypatch):
    monkeypatch.setattr("ebll.stacked.graph._Recorded", Tape)
    Tape.made, applied = 0, []
    replayed = Replayed(lambda inputs: inputs[0].sum().item(), lambda: applied.append(1), torch.device("cuda"))
    shapes = [4, 4, 2] * (EAGER + 2)
    assert steps_of(replayed, shapes) == shapes
    assert (Tape.made, len(applied), replayed.fault) == (2, len(shapes), "")


def test_where_recording_fails_the_step_runs_as_written_and_says_why(monkeypatch):
    def fails(*_):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr("ebll.stacked.graph._Recorded", fails)
    applied = []
    replayed = Replayed(lambda inputs: inputs[0].sum().item(), lambda: applied.append(1), torch.device("cuda"))
    assert steps_of(replayed, [3] * (EAGER + 3)) == [3] * (EAGER + 3)
    assert len(applied) == EAGER + 3
    assert replayed.fault == "no CUDA graph (RuntimeError: operation not permitted when stream is capturing)"


def test_on_a_processor_nothing_is_recorded(monkeypatch):
    monkeypatch.setattr("ebll.stacked.graph._Recorded", Tape)
    Tape.made = 0
    replayed = Replayed(lambda inputs: inputs[0].sum().item(), lambda: None, torch.device("cpu"))
    assert steps_of(replayed, [3] * (EAGER + 3)) == [3] * (EAGER + 3)
    assert Tape.made == 0


def test_batches_are_drawn_as_by_the_lesson(tasks):
    """Row by row: the order decides every number."""
    from ebll.seeds import generator
    from ebll.stacked.stage import _rows

    drawn = _rows(110, 1, 1, [3, 4], 32)
    for seed_at, seed in enumerate((3, 4)):
        plain = batches_of(tasks[1], 1, None, 32, generator(seed, "batches", 1, 1))
        own = _rows(110, 1, 1, [3, 4], 32)
        for _ in range(9):
            batch = next(plain)
            assert isinstance(batch, Batch)
            assert torch.equal(batch.inputs, tasks[1].train.inputs[next(own)[seed_at]])
    assert next(drawn).shape == (2, 32)
