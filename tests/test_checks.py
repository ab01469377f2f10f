"""How the exercise checks speak: stubs, slips, exceptions, shapes, gradients, and what they leave alone."""

import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from messages import raises, review

from ebll import checks, errors, losses
from ebll.checks import (
    anchors,
    codes,
    components,
    distilling,
    fronts,
    honest,
    matrices,
    memory,
    networks,
    objective,
    penalty,
    scaling,
    windows,
)
from ebll.checks.calls import call
from ebll.checks.core import CheckFailed, check
from ebll.checks.core import _numbers as numbers_of
from ebll.checks.core import _same as same

ROOMS = (
    *(matrices, networks, distilling, components, codes, objective, memory, anchors, penalty, fronts, honest),
    *(scaling, windows),
)
EXERCISES = [exercise for room in ROOMS for exercise in room.EXERCISES]
BY_NAME = {exercise.name: exercise for exercise in EXERCISES}
each = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
FAULTS = [
    pytest.param(exercise, fault, wrong, id=f"{exercise.name}-{i}-{j}")
    for exercise in EXERCISES
    for i, fault in enumerate((*exercise.slips, *exercise.habits))
    for j, wrong in enumerate((fault.wrong, *getattr(fault, "also", ())))
]


def hint(name, function):
    with pytest.raises(CheckFailed) as caught:
        getattr(checks, name)(function)
    return str(caught.value)


def test_every_public_check_has_an_exercise_and_the_front_lists_them():
    assert set(checks.__all__) == {*BY_NAME, "temperature", "CheckFailed"}
    assert issubclass(CheckFailed, errors.EbllError)
    assert issubclass(CheckFailed, AssertionError)


@each
def test_the_librarys_own_function_passes_with_one_line(exercise, capsys):
    getattr(checks, exercise.name)(exercise.right)
    out = capsys.readouterr().out
    assert out == f"{exercise.name}: correct. {exercise.verified}\n"
    assert exercise.equation in out or exercise.name in ("new_head_only", "pca_reconstruction")
    assert len(out) < 140


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("exercise", "fault", "wrong"), FAULTS)
def test_every_fault_of_the_tables_gets_its_own_hint(exercise, fault, wrong):
    assert hint(exercise.name, wrong) == f"{exercise.name} ({exercise.equation}): {fault.hint}"


@each
def test_slips_differ_from_the_answer_and_from_one_another(exercise):
    """On one case at least: otherwise the order of the table would decide which hint is given."""
    cases = exercise.cases()

    def answers(function):
        return [numbers_of(exercise, call(function, case, exercise.gradient)) for case in cases]

    found = [(None, answers(exercise.right))]
    found += [(slip, answers(wrong)) for slip in exercise.slips for wrong in (slip.wrong, *slip.also)]
    for n, (slip, mine) in enumerate(found):
        for other, theirs in found[n + 1 :]:
            alike = all(same(*pair) for pair in zip(mine, theirs, strict=True))
            assert not alike or slip is other, (slip and slip.hint, other.hint)


@each
def test_hints_are_two_or_three_sentences_and_each_its_own(exercise):
    hints = [fault.hint for fault in (*exercise.slips, *exercise.habits)]
    assert len(set(hints)) == len(hints)
    for text in hints:
        assert 40 < len(text) < 420
        assert text.endswith((".", ")"))
        assert text[0].islower(), "it follows the exercise's name and a colon"


@each
def test_the_cases_differ_in_size_and_are_the_same_each_time(exercise):
    first, second = exercise.cases(), exercise.cases()
    assert len(first) >= 2
    ours, theirs = ([numbers_of(exercise, call(exercise.right, c)) for c in cases] for cases in (first, second))
    assert all(all(torch.equal(a, b) for a, b in zip(*pair, strict=True)) for pair in zip(ours, theirs, strict=True))


@each
@pytest.mark.parametrize("value", [None, ..., NotImplemented], ids=str)
def test_an_unwritten_function_is_told_what_to_write(exercise, value):
    def stub(*arguments):
        raise NotImplementedError("your turn")

    wanted = hint(exercise.name, stub)
    assert wanted.startswith(f"{exercise.name} ({exercise.equation}): not written")
    assert wanted.endswith(exercise.task)
    assert hint(exercise.name, lambda *arguments: value) == wanted
    assert hint(exercise.name, lambda *arguments: 0.5 * ...) == wanted
    if value is not NotImplemented:
        assert hint(exercise.name, value) == wanted


@each
def test_an_unknown_wrong_answer_is_shown_a_case_for_paper(exercise):
    if exercise.name == "new_head_only":
        text = hint(exercise.name, lambda net, t: [net.heads[t].bias])
        assert "Came:   heads.1.bias\nWanted: heads.1.weight, heads.1.bias" in text
        return

    def off(*arguments):
        value = exercise.right(*arguments)
        return [part * 1.37 + 0.011 for part in value] if isinstance(value, list) else value * 1.37 + 0.011

    text = hint(exercise.name, off)
    assert "slips" in text
    assert "\nCame: " in text
    assert "\nWanted: " in text
    assert exercise.takes[0] in text
    assert len(text) < 700
    assert hint(exercise.name, off) == text


@each
def test_a_function_without_a_return_is_told(exercise):
    def mine(*arguments):
        value = exercise.right(*arguments)  # noqa: F841

    assert "None" in hint(exercise.name, mine)
    assert "`print(...)`" in hint(exercise.name, lambda *arguments: print())


def honest_rule(grown, enough):
    """A student's rule, from the largest alpha down: grown(code_loss, i), enough(reference, tolerance) -> at least."""

    def mine(alphas, code_loss, new_accuracy, reference, tolerance):
        for i in reversed(range(len(alphas))):
            if not grown(code_loss, i) and new_accuracy[i] >= enough(reference, tolerance):
                return alphas[i]
        return alphas[0]

    return mine


def share_kept(reference, tolerance):
    return (1 - tolerance) * reference


def test_an_honest_alpha_below_every_smaller_code_loss_is_another_rule():
    mine = honest_rule(lambda loss, i: loss[i] > loss[: i + 1].min(), share_kept)
    review(hint("honest_alpha", mine), "next smaller")


def test_an_honest_alpha_with_the_tolerance_for_what_is_kept_is_told_so():
    mine = honest_rule(lambda loss, i: i > 0 and loss[i] > loss[i - 1], lambda r, t: t * r)
    review(hint("honest_alpha", mine), "tolerance times")


def test_an_honest_alpha_may_compare_the_smallest_with_any_since_it_is_what_is_left(capsys):
    """At i = 0 the index wraps to the largest alpha: the smallest is taken where it passes, and where it does not."""
    checks.honest_alpha(honest_rule(lambda loss, i: loss[i] > loss[i - 1], share_kept))
    assert "correct" in capsys.readouterr().out


def test_what_torch_has_not_implemented_is_not_taken_for_a_stub():
    def mine(logits, temperature):
        return torch.softmax((logits / temperature).long(), dim=1)

    assert 'NotImplementedError: "softmax' in hint("soften", mine)


def test_a_stub_that_the_answer_calls_is_named_by_its_line():
    cell = {}  # of another exercise
    exec(compile("def my_error(r, v):\n    raise NotImplementedError('write this function')", "cell", "exec"), cell)

    def mine(reconstructed, features, logits, labels, recon_weight):
        error = cell["my_error"](reconstructed, features)
        return recon_weight * error + losses.class_loss(logits, labels)

    text = hint("autoencoder_loss", mine)
    assert "NotImplementedError: write this function" in text
    assert '`error = cell["my_error"](reconstructed, features)`' in text


def test_arguments_in_another_order_are_told_unless_it_does_not_matter(capsys):
    def mine(temperature, logits):
        return torch.softmax(logits / temperature, dim=1)

    review(hint("soften", mine), "(logits, temperature)", "(temperature, logits)")

    def stopped(features, reconstructed, logits, labels, recon_weight):
        raise IndexError

    review(hint("autoencoder_loss", stopped), "(features, reconstructed, logits, labels, recon_weight)")
    checks.code_distance(lambda code_before, code_now: losses.code_distance(code_before, code_now))
    assert "correct" in capsys.readouterr().out


@pytest.mark.parametrize(("later", "named"), [(lambda: 1 / 0, "ZeroDivisionError"), (lambda: "soft", "a str")])
def test_a_function_that_fails_at_its_second_call_is_told(later, named):
    count = len(BY_NAME["recorded_targets"].cases())
    calls = []

    def mine(net, inputs, t, temperature):
        calls.append(t)
        return BY_NAME["recorded_targets"].right(net, inputs, t, temperature) if len(calls) <= count else later()

    assert named in hint("recorded_targets", mine)


def test_the_case_for_paper_is_written_out():
    text = hint("code_distance", lambda now, before: (now - before).abs().max())
    assert "code_now = [[0.5, 0.2, 0.9], [0.1, 0.6, 0.4]], code_before = [[0.5, 0.4, 0.8], [0.3, 0.6, 0]]" in text
    assert text.endswith("Came:   0.4\nWanted: 0.0625")


def test_right_on_paper_but_wrong_elsewhere_shows_the_larger_case():
    text = hint("encoder_bytes", lambda f, c, n: 32 * f // 3 if f == 3 else 7)
    review(text, "feature_size = 256, code_size = 64")


def test_an_exception_is_worded_with_its_line_and_the_arguments():
    def mine(logits, temperature):
        return torch.softmax(logits / temperatur, dim=1)  # noqa: F821

    text = hint("soften", mine)
    assert "NameError: name 'temperatur' is not defined." in text
    assert "`return torch.softmax(logits / temperatur, dim=1)  # noqa: F821`" in text
    assert "logits of shape (2, 3), temperature = 2." in text

    def shapes(logits_now, soft_targets, temperature):
        return logits_now @ soft_targets

    assert "RuntimeError" in hint("distillation", shapes)
    assert "of shapes [(2,), (1,)]" in hint("quadratic_penalty", lambda now, before, fisher: now[7])
    assert "KeyError" in hint("forgetting", lambda matrix: {}[matrix.shape])


def test_the_cause_stays_with_the_hint_for_those_who_want_it():
    with pytest.raises(CheckFailed) as caught:
        checks.soften(lambda logits, temperature: 1 / 0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_stop_by_the_user_goes_through(stop):
    def mine(logits, temperature):
        raise stop

    with pytest.raises(stop):
        checks.soften(mine)


@pytest.mark.parametrize(
    ("name", "function", "named"),
    [
        ("soften", lambda logits: logits, ["(logits, temperature)", "(logits)"]),
        ("soften", torch.zeros(2), ["function", "a Tensor", "(logits, temperature)"]),
        ("forgetting", 0.25, ["function", "a float", "(matrix)"]),
        ("forgetting", lambda m: "0.3", ["single number", "a str"]),
        ("forgetting", lambda m: (0.3, 0.1), ["single number", "a tuple"]),
        ("forgetting", lambda m: m[-1], ["(2,)", "wanted ()"]),
        ("distillation", lambda z, p, t: -(p * torch.log_softmax(z / t, 1)).sum(1), ["(2,)", "wanted ()"]),
        ("soften", lambda z, t: {"z": z}, ["tensor", "a dict"]),
        ("soften", lambda z, t: torch.softmax(z / t, 1)[0], ["(3,)", "wanted (2, 3)"]),
        ("fisher_diagonal", lambda net, ps, x: torch.zeros(3), ["list of tensors", "a Tensor"]),
        ("fisher_diagonal", lambda net, ps, x: [torch.zeros(3)], ["(3,)", "wanted [(2, 1), (2,)]"]),
        ("new_head_only", lambda net, t: net.heads[t], ["list of parameters", "a module"]),
        ("new_head_only", lambda net, t: dict(net.heads[t].named_parameters()), ["list of parameters", "a dict"]),
        ("new_head_only", lambda net, t: list(net.heads[t].named_parameters()), ["list of parameters", "a tuple"]),
        ("new_head_only", lambda net, t: 3, ["list of parameters", "a int"]),
    ],
)
def test_wrong_types_and_shapes_are_told(name, function, named):
    review(hint(name, function), name, *named)


LOSSES = [exercise for exercise in EXERCISES if exercise.gradient]
each_loss = pytest.mark.parametrize("exercise", LOSSES, ids=lambda exercise: exercise.name)


def test_the_losses_are_checked_for_gradient():
    assert [e.name for e in LOSSES] == [
        *("distillation", "reconstruction_error", "autoencoder_loss", "code_distance", "ebll_objective"),
        "quadratic_penalty",
    ]


@each_loss
@pytest.mark.parametrize(
    ("cut", "reason"),
    [
        (lambda loss: loss.item(), "a float"),
        (lambda loss: float(loss.detach()), "a float"),
        (lambda loss: loss.detach().numpy(), "a ndarray"),
        (lambda loss: loss.detach(), "goes back"),
        (lambda loss: torch.tensor(loss.item()), "goes back"),
        (lambda loss: torch.tensor(loss.item(), requires_grad=True), "no gradient reaches"),
        (lambda loss: 0.5 * loss + 0.5 * loss.detach(), "part of it"),
    ],
    ids=["item", "float", "numpy", "detach", "rewrapped", "rewrapped with gradient", "half"],
)
def test_a_gradient_that_is_cut_off_is_told(exercise, cut, reason):
    text = hint(exercise.name, lambda *arguments: cut(exercise.right(*arguments)))
    assert reason in text
    assert "gradient" in text


@each_loss
def test_a_gradient_must_reach_every_argument_that_learns(exercise):
    for position in exercise.gradient:

        def mine(*arguments, position=position):
            arguments = list(arguments)
            given = arguments[position]
            arguments[position] = [p.data for p in given] if isinstance(given, list) else given.detach()
            return exercise.right(*arguments)

        assert f"`{exercise.takes[position]}" in hint(exercise.name, mine)


def test_no_grad_is_told():
    review(hint("code_distance", torch.no_grad()(losses.code_distance)), "torch.no_grad()")


@pytest.mark.parametrize(
    ("name", "function", "argument"),
    [
        ("soften", lambda z, t: torch.softmax(z.div_(t), dim=1), "logits"),
        ("code_distance", lambda now, before: 0.5 * now.sub_(before).square().sum(1).mean(), "code_now"),
        (
            "quadratic_penalty",
            lambda a, b, f: 0.5 * sum((f.pop() * (a.pop() - b.pop()) ** 2).sum() for _ in a[:]),
            "now",
        ),
        ("average_accuracy", lambda m: np.nan_to_num(m, copy=False)[-1].mean(), "matrix"),
        ("fisher_diagonal", lambda net, ps, x: BY_NAME["fisher_diagonal"].right(net.double(), ps, x.double()), "net"),
        (
            "quadratic_penalty",
            lambda a, b, f: (losses.quadratic_penalty(a, b, f), b.__setitem__(0, None))[0],
            "before",
        ),
    ],
)
def test_changing_an_argument_in_place_is_told(name, function, argument):
    review(hint(name, function), name, f"`{argument}`", "in place")


def test_a_global_switch_left_on_is_told_and_put_back():
    def mine(logits, temperature):
        torch.set_grad_enabled(False)
        return losses.soften(logits, temperature)

    review(hint("soften", mine), "gradients")
    assert torch.is_grad_enabled()

    def wide(logits, temperature):
        torch.set_default_dtype(torch.float64)
        return losses.soften(logits, temperature)

    review(hint("soften", wide), "default dtype")
    assert torch.get_default_dtype() == torch.float32


@each
def test_random_state_and_modes_are_left_alone(exercise):
    def noisy(*arguments):
        torch.manual_seed(5)
        torch.rand(3)
        random.seed(5)
        np.random.seed(5)  # noqa: NPY002
        return exercise.right(*arguments)

    torch.manual_seed(11)
    random.seed(11)
    np.random.seed(11)  # noqa: NPY002
    wanted = torch.rand(2).tolist(), random.random(), np.random.rand(2).tolist()  # noqa: NPY002
    torch.manual_seed(11)
    random.seed(11)
    np.random.seed(11)  # noqa: NPY002
    with torch.no_grad():
        check(exercise, noisy)
        hint(exercise.name, lambda *arguments: torch.rand(2).sum() / 0)
        assert not torch.is_grad_enabled()
    assert (torch.rand(2).tolist(), random.random(), np.random.rand(2).tolist()) == wanted  # noqa: NPY002


@each
def test_a_students_default_dtype_does_not_disturb(exercise):
    torch.set_default_dtype(torch.float64)
    try:
        check(exercise, exercise.right)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("value", [1.01, 2, 2.0, np.float32(2), np.array([2.0]), torch.tensor(3.0), 20])
def test_temperature_above_1_passes(value, capsys):
    checks.temperature(value)
    assert capsys.readouterr().out.startswith("temperature: correct.")


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (0.5, ["0.5", "below 1"]),
        (0.999, ["0.999", "below 1"]),
        (0.9999999, ["0.9999999", "below 1"]),
        (10**400, ["finite", "inf"]),
        (np.array([2.0, 3.0]), ["finite", "a ndarray"]),
        (1, ["1 changes nothing"]),
        (1.0, ["1 changes nothing"]),
        (0, ["0 cannot"]),
        (-2, ["-2 cannot"]),
        (20.5, ["20.5", "20 or less"]),
        (1e6, ["1e+06", "20 or less"]),
        (float("nan"), ["finite", "nan"]),
        (float("inf"), ["finite", "inf"]),
        ("2", ["finite", "a str"]),
        (True, ["finite", "a bool"]),
        (None, ["not written"]),
        (..., ["not written"]),
    ],
)
def test_temperature_is_told_what_it_would_do(value, named):
    with raises(CheckFailed, "temperature (E3a)", *named):
        checks.temperature(value)


@pytest.fixture
def shell():
    shell = InteractiveShell.instance()
    yield shell
    InteractiveShell.clear_instance()


def test_a_notebook_shows_the_hint_alone(shell, capsys):
    shell.run_cell("from ebll import checks\ndef mine(now, before):\n    return ((now - before) ** 2).mean()")
    result = shell.run_cell("checks.code_distance(mine)")
    assert isinstance(result.error_in_exec, CheckFailed)
    captured = capsys.readouterr()
    shown = captured.out + captured.err
    assert shown.startswith("code_distance (E4): your answer is `MSELoss`")
    assert " ".join(shown.split()) == str(result.error_in_exec)
    assert "Traceback" not in shown
    assert "File" not in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_a_notebook_shows_the_line_of_the_cell_that_stopped(shell, capsys):
    shell.run_cell("from ebll import checks\ndef mine(now, before):\n    both = now - before\n    return both.sqare()")
    shell.run_cell("checks.code_distance(mine)")
    captured = capsys.readouterr()
    shown = captured.out + captured.err
    assert "AttributeError: 'Tensor' object has no attribute 'sqare'" in " ".join(shown.split())
    assert "in line 4: `return both.sqare()`" in shown
    assert "Traceback" not in shown


@pytest.mark.slow
def test_importing_the_checks_needs_no_notebook():
    code = "import sys, ebll.checks; sys.exit('IPython' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
