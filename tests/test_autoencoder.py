"""The autoencoder (E2): its form, its fit against a loop written here, and what the fit must leave alone."""

import pytest
import torch
from hypothesis import given, strategies as st
from messages import raises
from tiny import AUTOENCODER, FEATURES, blobs, same, small, state
from torch import nn

from ebll import Autoencoder, TrainingDiverged, build_network, fit_autoencoder
from ebll.autoencoder import Encoder, fit_epochs, stack_encoders, start_at_principal_components
from ebll.losses import autoencoder_loss
from ebll.networks import frozen
from ebll.seeds import derive_seed, generator

SETTINGS = AUTOENCODER.replace(recon_weight=0.3)
RANDOM = SETTINGS.replace(start="random", learning_rate=0.02)


@pytest.fixture
def fitted():
    """A network with one head, its features of a task, and how to classify them."""
    net, task = build_network(small, (12,)), blobs("a", 1)
    net.add_head(3)
    features = net.features(task.train.inputs).detach()
    return net, features, task.train.labels, lambda f: net.heads[0](net.operator(f))


def fit(fitted, settings=SETTINGS, seed=0, **options):
    net, features, labels, classify = fitted
    with frozen(net):
        return fit_autoencoder(features, labels, classify, settings, seed=seed, **options)


def test_a_sigmoid_code_and_a_linear_decoder_by_hand():
    model, v = Autoencoder(4, 2).double(), torch.randn(3, 4, dtype=torch.float64)
    code = 1 / (1 + torch.exp(-(v @ model.encode.weight.T + model.encode.bias)))
    torch.testing.assert_close(model.encode(v), code)
    torch.testing.assert_close(model(v), code @ model.decode.weight.T + model.decode.bias)


@pytest.mark.parametrize("start", ["random", "pca"])
def test_E2_the_fit_equals_adam_on_the_autoencoder_loss_written_out(fitted, start):
    _, features, labels, classify = fitted
    settings = SETTINGS.replace(start=start)
    torch.manual_seed(derive_seed(5, "autoencoder"))
    expected = Autoencoder(FEATURES, settings.code_size)
    if start == "pca":
        start_at_principal_components(expected, features)
    optimizer = torch.optim.Adam(expected.parameters(), lr=settings.learning_rate)
    order, rebuilding, task = generator(5, "autoencoder batches"), [], []
    for _ in range(settings.epochs):
        for rows in torch.randperm(len(labels), generator=order).split(settings.batch_size):
            rebuilt = expected(features[rows])
            loss = autoencoder_loss(rebuilt, features[rows], classify(rebuilt), labels[rows], settings.recon_weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        rebuilt = expected(features)
        rebuilding.append((rebuilt - features).square().sum(dim=1).mean().item() / 2)
        task.append(nn.functional.cross_entropy(classify(rebuilt), labels).item())
    found = fit(fitted, settings, seed=5)
    for one, other in zip(found.autoencoder.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    assert found.reconstruction == pytest.approx(rebuilding, rel=1e-4)
    assert found.task_loss == pytest.approx(task, rel=1e-4)


def test_E2_lambda_trades_reconstruction_against_the_task(fitted):
    faithful = fit(fitted, RANDOM.replace(epochs=60, recon_weight=10.0))
    useful = fit(fitted, RANDOM.replace(epochs=60, recon_weight=0.0))
    assert faithful.reconstruction[-1] < useful.reconstruction[-1]
    assert useful.task_loss[-1] < faithful.task_loss[-1]


def test_the_pca_start_gives_standard_scores_along_the_principal_axes_and_decodes_by_least_squares():
    axes, model = torch.linalg.qr(torch.randn(6, 6)).Q, Autoencoder(6, 3)
    features = 30 + torch.randn(200, 6) * torch.tensor([50.0, 20.0, 5.0, 1.0, 0.3, 0.1]) @ axes.T
    start_at_principal_components(model, features)
    centred = features - features.mean(dim=0)
    scores = torch.logit(model.encode(features).detach().double())
    torch.testing.assert_close(scores.mean(dim=0), torch.zeros(3).double(), atol=1e-3, rtol=0)
    torch.testing.assert_close(scores.T @ scores / len(scores), torch.eye(3).double(), atol=1e-2, rtol=0)
    directions = nn.functional.normalize(model.encode.weight.detach(), dim=1)
    principal = torch.linalg.svd(centred).Vh[:3]
    torch.testing.assert_close((directions * principal).sum(dim=1).abs(), torch.ones(3), atol=1e-3, rtol=0)
    with torch.no_grad():
        code, left = model.encode(features), (model(features) - features).square().sum()
    inputs = torch.cat([code, torch.ones(len(code), 1)], dim=1)
    least = (inputs @ torch.linalg.lstsq(inputs, features).solution - features).square().sum()
    assert left < 1.01 * least  # the ridge costs next to nothing
    assert left < 0.2 * centred.square().sum()


def test_the_pca_start_survives_directions_without_spread_and_too_few_rows():
    constant, model = torch.zeros(20, 6), Autoencoder(6, 3)
    start_at_principal_components(model, constant)
    assert model(constant).isfinite().all()
    model = Autoencoder(6, 3)
    kept = state(model)
    start_at_principal_components(model, torch.randn(3, 6))
    assert same(model, kept)


@pytest.mark.parametrize("settings", [SETTINGS, RANDOM])
def test_before_the_first_epoch_a_fit_is_its_start_and_after_each_one_of_so_many_epochs(fitted, settings):
    torch.manual_seed(derive_seed(5, "autoencoder"))
    start = Autoencoder(FEATURES, settings.code_size)
    if settings.start == "pca":
        start_at_principal_components(start, fitted[1])
    with frozen(fitted[0]):
        for epoch, (autoencoder, history) in enumerate(fit_epochs(*fitted[1:], settings, seed=5)):
            short = fit(fitted, settings.replace(epochs=epoch), seed=5) if epoch else None
            assert same(autoencoder, short.autoencoder if short else start)
            assert history == (list(zip(short.reconstruction, short.task_loss, strict=True)) if short else [])
    assert epoch == settings.epochs


def test_fits_that_take_turns_give_what_each_gives_alone_and_one_that_is_left_changes_none(fitted):
    before = torch.get_rng_state()
    with frozen(fitted[0]):
        left, one, other = (fit_epochs(*fitted[1:], RANDOM, seed=seed) for seed in (3, 1, 2))
        next(left)
        next(left)
        left.close()
        assert torch.equal(torch.get_rng_state(), before)
        for both in zip(one, other, strict=True):
            torch.rand(3)
            last = [autoencoder for autoencoder, _ in both]
    assert all(same(made, fit(fitted, RANDOM, seed=seed).autoencoder) for made, seed in zip(last, (1, 2), strict=True))


def test_accuracies_with_and_without_the_reconstruction_on_held_out_features(fitted):
    net, features, labels, classify = fitted
    split = blobs("a", 1).test
    held = net.features(split.inputs).detach(), split.labels
    for options, (inputs, answers) in [({"held_out": held}, held), ({}, (features, labels))]:
        found = fit(fitted, **options)
        with torch.no_grad():
            direct = torch.tensor([classify(row[None]).argmax() for row in inputs])
            through = torch.tensor([classify(found.autoencoder(row[None])).argmax() for row in inputs])
        assert found.accuracy_direct == (direct == answers).double().mean()
        assert found.accuracy_reconstructed == (through == answers).double().mean()
        assert not torch.equal(direct, through)


@given(st.integers(3, 10), st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 6))
def test_stacked_encoders_give_the_codes_side_by_side(features, codes, batch):
    encoders, inputs = [Encoder(features, code) for code in codes], torch.randn(batch, features)
    stacked = stack_encoders(encoders)
    torch.testing.assert_close(stacked(inputs), torch.cat([encoder(inputs) for encoder in encoders], dim=1))
    assert not any(parameter.requires_grad for parameter in stacked.parameters())
    with torch.no_grad():
        encoders[0].weight += 1  # the stack is a copy
    assert not torch.equal(stacked.weight[: codes[0]], encoders[0].weight)


def test_a_fit_that_diverges_says_so_and_what_to_try(fitted):
    with raises(TrainingDiverged, "epoch 1 of 4", "learning_rate", "recon_weight"):
        fit(fitted, SETTINGS.replace(learning_rate=1e30))


def test_features_that_carry_gradient_are_taken_as_constants_and_the_classifier_stays_as_it_was(fitted):
    net, _, labels, classify = fitted
    net.operator[0].bias.requires_grad_(False)
    net.train()
    kept, flags = state(net), [parameter.requires_grad for parameter in net.parameters()]
    features = net.features(blobs("a", 1).train.inputs)
    assert features.requires_grad
    with frozen(net):
        fit_autoencoder(features, labels, classify, SETTINGS)
    assert same(net, kept)
    assert [parameter.requires_grad for parameter in net.parameters()] == flags
    assert all(parameter.grad is None for parameter in net.parameters())
    assert net.training


def test_the_losses_of_a_large_fit_are_taken_over_all_classes_where_the_rows_are_sorted():
    features, labels = torch.randn(4096, 3), torch.arange(4096) // 2048
    always_the_first = torch.tensor([10.0, 0.0])  # costs next to nothing on class 0, and 10 on class 1
    settings = SETTINGS.replace(code_size=2, epochs=1, batch_size=4096)
    found = fit_autoencoder(features, labels, lambda f: always_the_first + 0 * f[:, :2], settings)
    assert found.task_loss == pytest.approx([5.0], abs=0.01)
