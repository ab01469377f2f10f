"""How the exercise checks speak: stubs, known mistakes, exceptions, shapes, gradients, and what they leave alone."""

import itertools
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from messages import refused

from ebll import errors, losses
from ebll.course import checks, curve_of
from ebll.course.exercise import HINTS, CheckFailed, _alike

OTHERS = ("CheckFailed", "find_the_bug", "least_alpha")  # they take no function, and have tests of their own
EXERCISES = {name: getattr(checks, name) for name in checks.__all__ if name not in OTHERS}
SECTIONS = {name: f"{name} ({exercise.equation})" for name, exercise in EXERCISES.items()}
each = pytest.mark.parametrize("name", EXERCISES)
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
# Keys of hints.ini that are no known mistakes: words for other keys, and what is seen of any exercise.
WORDS = {"correct", "weight", "columns", "distance", "nan", "random", "coordinates"}


def failed(name, function):
    with pytest.raises(CheckFailed) as caught:
        getattr(checks, name)(function)
    return caught.value


def test_every_exercise_has_hints_and_an_equation_and_no_shared_hint_is_left_over():
    assert set(HINTS.sections()) == {*SECTIONS.values(), "find_the_bug (E3)", "least_alpha (E5)"}
    equations = (Path(__file__).parents[1] / "docs/equations.md").read_text("utf-8")
    assert [name for name, exercise in EXERCISES.items() if f"| {exercise.equation} |" not in equations] == []
    assert issubclass(CheckFailed, errors.EbllError)
    assert issubclass(CheckFailed, AssertionError)
    used = {mistake for exercise in EXERCISES.values() for mistake in exercise.mistakes(*exercise.cases()[0])}
    source = (Path(checks.__file__).with_name("exercise.py")).read_text("utf-8")
    assert [key for key in HINTS.defaults() if key not in used and f'"{key}"' not in source] == []


BUGS = ("teacher not frozen", "mean squared error", "targets in train mode", "late warm-up")


def test_find_the_bug_takes_all_four_and_gives_the_hint_of_the_first_wrong_one(capsys):
    right = {curve_of(bug): bug for bug in BUGS}
    checks.find_the_bug(right)
    assert capsys.readouterr().out.startswith("find_the_bug: correct. ")
    for answer in itertools.permutations(BUGS):
        wrong = [(curve, bug) for curve, bug in zip("ABCD", answer, strict=True) if curve_of(bug) != curve]
        if wrong:
            with pytest.raises(CheckFailed) as caught:
                checks.find_the_bug(dict(zip("ABCD", answer, strict=True)))
            assert caught.value.mistake == wrong[0][1]
            assert f"not {wrong[0][0]}." in str(caught.value)
    refused(
        *(lambda answer=answer: checks.find_the_bug(answer) for answer in (None, "A", {"A": "late warm-up"})),
        lambda: checks.find_the_bug(right | {"B": "dropout"}),
    )


@each
def test_the_right_function_passes_with_one_line(name, capsys):
    EXERCISES[name](EXERCISES[name].right)
    out = capsys.readouterr().out
    assert out == f"{name}: correct. {HINTS[SECTIONS[name]]['correct']}\n"
    assert len(out) < 140


@each
def test_every_known_mistake_has_a_hint_and_gets_it_and_each_hint_is_of_a_mistake(name):
    exercise = EXERCISES[name]
    mistakes = exercise.mistakes(*exercise.cases()[0])
    assert mistakes.keys() - set(HINTS[SECTIONS[name]]) == set()
    assert set(HINTS[SECTIONS[name]]) - set(HINTS.defaults()) - mistakes.keys() - WORDS == set()
    known = [exercise.mistakes(*case) for case in exercise.cases()]
    for mistake in mistakes:
        answers = itertools.cycle(found[mistake][0] for found in known)  # the cases come in their order, twice
        error = failed(name, lambda *_, answers=answers: next(answers))
        assert error.mistake == mistake
        assert str(error).startswith(f"{SECTIONS[name]}: your answer ")
        assert 40 < len(str(error)) < 300


@each
def test_known_mistakes_differ_from_the_answer_and_from_one_another(name):
    """On one case at least: otherwise the order of the table would decide which hint is given."""
    exercise = EXERCISES[name]
    right, again = ([exercise.read(exercise.right(*case), case) for case in exercise.cases()] for _ in range(2))
    assert all(map(_alike, right, again)), "the cases are the same each time"
    tables = [(case, exercise.mistakes(*case)) for case in exercise.cases()]
    found = [("right", right)]
    for mistake, answers in tables[0][1].items():
        for i in range(len(answers)):
            found.append((mistake, [exercise.read(table[mistake][i], case) for case, table in tables]))
    for n, (mistake, mine) in enumerate(found):
        alike = {other for other, theirs in found[n + 1 :] if all(map(_alike, mine, theirs))}
        assert alike <= {mistake}


@each
def test_an_unwritten_function_is_told_what_to_write(name):
    def stub(*arguments):
        raise NotImplementedError("your turn")

    unwritten = [None, ..., stub, lambda *arguments: ..., lambda *arguments: NotImplemented]
    for function in (*unwritten, lambda *arguments: 0.5 * ..., lambda *arguments: print()):
        error = failed(name, function)
        assert error.mistake in ("unwritten", "nothing")
        assert str(error).endswith(EXERCISES[name].mistakes.__doc__)


@each
def test_an_unknown_wrong_answer_is_shown_a_case_for_paper(name):
    exercise = EXERCISES[name]

    def off(*arguments):
        value = exercise.right(*arguments)
        return [part * 1.37 + 0.011 for part in value] if isinstance(value, list) else value * 1.37 + 0.011

    error = failed(name, off)
    assert error.mistake == "unknown"
    # Weights say little to a reader.
    shown = () if name == "ebll_training" else (f"{exercise.takes[0]} = ", "\nCame: ", "\nWanted: ")
    assert [part for part in shown if part not in str(error)] == []
    assert len(str(error)) < 700


def switched(how, value):
    """An answer that leaves the session otherwise than it was."""

    def mine(logits, temperature):
        how(value)
        return losses.soften(logits, temperature)

    return mine


def list_emptied(fisher, learning_rate, momentum):
    largest = max(fisher.pop().max() for _ in fisher[:])
    return 2 * (1 + momentum) / (learning_rate * largest)


def first_replaced(fisher, learning_rate, momentum):
    strength = checks.largest_strength.right(fisher, learning_rate, momentum)
    fisher[0] = None
    return strength


def no_such_name(logits, temperature):
    return torch.softmax(logits / temperatur, dim=1)  # noqa: F821


def torch_has_not(logits, temperature):
    return torch.softmax((logits / temperature).long(), dim=1)


def other_stub(reconstructed, features, logits, labels, recon_weight):
    cell = {}  # of another exercise
    exec(compile("def other(r, v):\n    raise NotImplementedError('write this function')", "cell", "exec"), cell)
    return recon_weight * cell["other"](reconstructed, features)


def fails_later(net, inputs, t, temperature, calls=[]):  # noqa: B006 - it counts its calls
    calls.append(t)
    right = checks.recorded_targets.right(net, inputs, t, temperature)
    return right if len(calls) <= len(checks.recorded_targets.cases()) else "soft"


BEHAVIOUR = [
    ("soften", lambda temperature, logits: torch.softmax(logits / temperature, dim=1)),
    ("autoencoder_loss", lambda features, reconstructed, logits, labels, recon_weight: [][0]),
    ("soften", lambda logits: logits),
    ("soften", torch.zeros(2)),
    ("forgetting", 0.25),
    ("forgetting", lambda m: "0.3"),
    ("forgetting", lambda m: (0.3, 0.1)),
    ("soften", lambda z, t: {"z": z}),
    ("ebll_training", lambda net, encoder, x, y, alpha, weight, theta, rate: torch.zeros(3)),
    ("replay_loss", torch.no_grad()(checks.replay_loss.right)),
    ("forgetting", lambda m: m[-1]),
    ("distillation", lambda z, p, t: -(p * torch.log_softmax(z / t, 1)).sum(1)),
    ("ebll_training", lambda net, encoder, x, y, alpha, weight, theta, rate: [torch.zeros(3)]),
    ("code_distance", torch.no_grad()(losses.code_distance)),
    ("code_distance", lambda a, b: 0.5 * a.sub_(b).square().sum(1).mean()),
    ("largest_strength", list_emptied),
    ("forgetting", lambda m: checks.forgetting.right(np.nan_to_num(m, copy=False))),
    ("recorded_targets", lambda net, x, t, theta: checks.recorded_targets.right(net.double(), x.double(), t, theta)),
    ("largest_strength", first_replaced),
    ("soften", switched(torch.set_grad_enabled, False)),
    ("soften", switched(torch.set_default_dtype, torch.float64)),
    ("recorded_targets", fails_later),
    ("code_distance", lambda now, before: (now - before).abs().max()),  # a case for paper
    ("encoder_bytes", lambda f, c, n: 32 * f // 3 if f == 3 else 7),
]


def test_what_is_wrong_beside_the_values_is_told():
    """Arguments, types, shapes, gradients, changes in place or of the session, and a case for paper."""
    refused(*(lambda name=name, answer=answer: getattr(checks, name)(answer) for name, answer in BEHAVIOUR))
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
    for stop in (KeyboardInterrupt, SystemExit):  # a stop by the user goes through
        with pytest.raises(stop):
            checks.soften(lambda logits, temperature, stop=stop: (_ for _ in ()).throw(stop))


@pytest.mark.parametrize(
    ("name", "function", "named"),
    [
        ("soften", no_such_name, ["NameError", "`return torch.softmax(logits / temperatur,", "shape (2, 3)", "= 2."]),
        ("soften", torch_has_not, ["NotImplementedError", "softmax"]),
        ("autoencoder_loss", other_stub, ["NotImplementedError", '`return recon_weight * cell["other"](recon']),
        ("distillation", lambda z, p, t: z @ p, ["RuntimeError"]),
        ("largest_strength", lambda f, rate, momentum: f[7], ["IndexError", "[1, 5]", "0.1"]),
    ],
)
def test_an_exception_is_told_with_its_line_and_the_arguments(name, function, named):
    error = failed(name, function)
    assert error.mistake == "stopped"
    assert [word for word in named if word not in str(error)] == []


LOSSES = [name for name, exercise in EXERCISES.items() if exercise.gradient]
assert len(LOSSES) == 5


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("cut", "mistake"),
    [
        (lambda loss: loss.item(), "no-gradient"),
        (lambda loss: float(loss.detach()), "no-gradient"),
        (lambda loss: loss.detach().numpy(), "no-gradient"),
        (lambda loss: loss.detach(), "no-gradient"),
        (lambda loss: torch.tensor(loss.item()), "no-gradient"),
        (lambda loss: torch.tensor(loss.item(), requires_grad=True), "no-gradient"),
        (lambda loss: 0.5 * loss + 0.5 * loss.detach(), "part-of-gradient"),
    ],
    ids=["item", "float", "numpy", "detach", "rewrapped", "rewrapped with gradient", "half"],
)
def test_a_gradient_that_is_cut_off_is_told(name, cut, mistake):
    assert failed(name, lambda *arguments: cut(EXERCISES[name].right(*arguments))).mistake == mistake


@pytest.mark.parametrize(("name", "learns"), [(name, part) for name in LOSSES for part in EXERCISES[name].gradient])
def test_a_gradient_must_reach_every_argument_that_learns(name, learns):
    exercise = EXERCISES[name]

    def mine(*arguments):
        given = dict(zip(exercise.takes, arguments, strict=True))
        one = given[learns]
        given[learns] = [part.data for part in one] if isinstance(one, list) else one.detach()
        return exercise.right(*given.values())

    error = failed(name, mine)
    assert error.mistake == "no-gradient"
    assert f"`{learns}`" in str(error)


@each
def test_random_state_modes_and_a_students_default_dtype_are_left_alone(name):
    def drawn():
        return torch.rand(2).tolist(), random.random(), np.random.rand(2).tolist()  # noqa: NPY002

    def noisy(*arguments):
        drawn()
        random.seed(5)
        return EXERCISES[name].right(*arguments)

    wanted = drawn()
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            EXERCISES[name](noisy)
            failed(name, lambda *arguments: torch.rand(2).sum() / 0)
            assert not torch.is_grad_enabled()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert drawn() == wanted


def test_another_order_of_arguments_passes_where_it_does_not_matter(capsys):
    checks.code_distance(lambda code_before, code_now: losses.code_distance(code_before, code_now))
    assert "correct" in capsys.readouterr().out


def test_a_notebook_shows_the_hint_alone_with_the_line_of_the_cell_that_stopped(capsys):
    shell = InteractiveShell.instance()

    def shown(body):
        shell.run_cell(f"from ebll.course import checks\ndef mine(now, before):\n    {body}")
        result = shell.run_cell("checks.code_distance(mine)")
        captured = capsys.readouterr()
        lines = (captured.out + captured.err).splitlines()
        text = " ".join(" ".join(lines).split())
        assert text == str(result.error_in_exec)
        assert "Traceback" not in text
        assert max(map(len, lines)) <= 100
        return text

    try:
        assert shown("return ((now - before) ** 2).mean()").startswith(
            "code_distance (E4): your answer takes `MSELoss`"
        )
        text = shown("both = now - before\n    return both.sqare()")
        assert "AttributeError: 'Tensor' object has no attribute 'sqare'" in text
        assert "in line 4: `return both.sqare()`" in text
    finally:
        InteractiveShell.clear_instance()
