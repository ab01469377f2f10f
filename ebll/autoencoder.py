"""The under-complete autoencoder that finds what a task needs of the features, and its own short fit loop (E2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ebll.errors import InputError, TrainingDiverged
from ebll.losses import autoencoder_loss, class_loss, reconstruction_error
from ebll.metrics import accuracy
from ebll.seeds import generator, seeded
from ebll.settings import AutoencoderSettings

__all__ = [
    "Autoencoder",
    "AutoencoderFit",
    "AutoencoderSettings",
    "Encoder",
    "encoder_of",
    "fit_autoencoder",
    "fit_epochs",
    "stack_encoders",
    "start_at_principal_components",
]


class Encoder(nn.Linear):
    r"""$\sigma(W_{enc} v + b)$: features (batch, features) -> code (batch, code), each entry in 0..1."""

    def forward(self, features: Tensor) -> Tensor:
        """Features (batch, features) -> code (batch, code)."""
        return torch.sigmoid(super().forward(features))


def check_code_size(feature_size: int, code_size: int) -> None:
    """Refuse a code that is not smaller than the features."""
    if not 0 < code_size < feature_size:
        raise InputError(
            f"code_size must be at least 1 and below the {feature_size} features, so that the autoencoder is "
            f"under-complete; got {code_size}."
        )


class Autoencoder(nn.Module):
    r"""$r(v) = W_{dec}\,\sigma(W_{enc} v + b) + c$: a sigmoid code and a linear decoder (EBLL section 3.3.1).

    feature_size  size of F(x)
    code_size     size of the code, below feature_size: otherwise nothing is left out
    """

    def __init__(self, feature_size: int, code_size: int):
        super().__init__()
        check_code_size(feature_size, code_size)
        self.encode = Encoder(feature_size, code_size)
        self.decode = nn.Linear(code_size, feature_size)

    def forward(self, features: Tensor) -> Tensor:
        """Features (batch, features) -> their reconstruction, same shape."""
        return self.decode(self.encode(features))


OPTIMIZERS: dict[str, Callable[[Iterable[nn.Parameter], float], torch.optim.Optimizer]] = {
    "adam": lambda parameters, rate: torch.optim.Adam(parameters, lr=rate),
    "adadelta": lambda parameters, rate: torch.optim.Adadelta(parameters, lr=rate, rho=0.9, eps=1e-8),
}


class AutoencoderFit(NamedTuple):
    """What a fit gives: the autoencoder, its losses by epoch, and the accuracies with and without it."""

    autoencoder: Autoencoder
    reconstruction: list[float]  #: E2a after each epoch, on up to 1,024 training features
    task_loss: list[float]  #: E1 through the reconstruction, likewise
    accuracy_direct: float  #: of the frozen classifier on held-out features
    accuracy_reconstructed: float  #: of the same classifier on their reconstructions


def fit_autoencoder(
    features: Tensor,
    labels: Tensor,
    classify: Callable[[Tensor], Tensor],
    settings: AutoencoderSettings | None = None,
    *,
    seed: int = 0,
    held_out: tuple[Tensor, Tensor] | None = None,
) -> AutoencoderFit:
    """Fit an autoencoder to features of one task with everything else frozen (E2).

    features   (n, features)  F(x) on the task's training inputs; constant
    labels     (n,)           int64
    classify   features (batch, features) -> logits; must not receive gradient itself (see `networks.frozen`)
    held_out   features and labels for the two accuracies; the training ones if None
    returns    an `AutoencoderFit`; weights come from `seed` alone and the global generators are left as they were
    raises     `TrainingDiverged` if the loss stops being finite
    """
    *_, (autoencoder, history) = fit_epochs(features, labels, classify, settings, seed=seed)
    held_features, held_labels = held_out or (features, labels)
    with torch.no_grad():
        direct = accuracy(classify(held_features), held_labels)
        through = accuracy(classify(autoencoder(held_features)), held_labels)
    return AutoencoderFit(autoencoder, [h[0] for h in history], [h[1] for h in history], direct, through)


def fit_epochs(
    features: Tensor,
    labels: Tensor,
    classify: Callable[[Tensor], Tensor],
    settings: AutoencoderSettings | None = None,
    *,
    seed: int = 0,
) -> Iterator[tuple[Autoencoder, list[tuple[float, float]]]]:
    """The fit of `fit_autoencoder`, epoch by epoch.

    yields  before the first epoch and after each: the autoencoder, which goes on changing, and (E2a, E1 through the
            reconstruction) after each epoch so far
    """
    settings = (settings or AutoencoderSettings()).of_task(0)
    features = features.detach()
    with seeded(seed, "autoencoder"):
        autoencoder = Autoencoder(features.shape[1], settings.code_size).to(features.device)
        if settings.start == "pca":
            start_at_principal_components(autoencoder, features)
    optimizer = OPTIMIZERS[settings.optimizer](autoencoder.parameters(), settings.learning_rate)
    order, history = generator(seed, "autoencoder batches"), []
    yield autoencoder, history
    for epoch in range(settings.epochs):
        permutation = torch.randperm(len(labels), generator=order).to(features.device)
        for rows in permutation.split(settings.batch_size):
            batch, batch_labels = features[rows], labels[rows]  # a batch at a time: all at once would double the memory
            reconstructed = autoencoder(batch)
            logits = classify(reconstructed)
            loss = autoencoder_loss(reconstructed, batch, logits, batch_labels, settings.recon_weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        history.append(_parts(autoencoder, features, labels, classify))
        if not all(map(math.isfinite, history[-1])):
            raise TrainingDiverged(
                f"The autoencoder's loss is not finite after epoch {epoch + 1} of {settings.epochs} "
                f"(reconstruction {history[-1][0]:g}, task {history[-1][1]:g}). Try a smaller learning_rate or "
                f"recon_weight than {settings.learning_rate:g} and {settings.recon_weight:g}."
            )
        yield autoencoder, history


def start_at_principal_components(autoencoder: Autoencoder, features: Tensor) -> None:
    r"""Set the encoder to the leading principal components, each scaled to unit variance, and the decoder to fit.

    A code entry then starts as $\sigma$ of a standard score, where the sigmoid is steep. Fitted from random weights
    instead, many entries end in its flat parts (notebook 03 counts them), the fit needs many more passes and misses
    more of the spread, and on `cnn` the head also reads its reconstructions worse. The decoder is the least-squares
    solution.

    The components are `torch.pca_lowrank`'s, close to the exact ones; it draws from torch's global generator, so call
    this inside `seeds.seeded` (as `fit_autoencoder` does) for a result that repeats.

    features  (n, features), n at least the code size; fewer leave the random start as it is
    """
    size = autoencoder.encode.out_features
    if len(features) <= size:
        return
    with torch.no_grad():
        mean = features.mean(dim=0)
        _, singular_values, directions = torch.pca_lowrank(features, q=size, niter=2)
        spread = (singular_values / math.sqrt(len(features))).clamp_min(1e-6 * singular_values.max().clamp_min(1e-12))
        weight = directions.T / spread[:, None]
        autoencoder.encode.weight.copy_(weight)
        autoencoder.encode.bias.copy_(-weight @ mean)
        # Centred, so that the bias drops out of the normal equations; the ridge keeps dead directions harmless.
        code = autoencoder.encode(features)
        centred = code - code.mean(dim=0)
        gram = centred.T @ centred + 1e-4 * len(features) * torch.eye(size, device=features.device)
        solution = torch.linalg.solve(gram, centred.T @ (features - mean))
        autoencoder.decode.weight.copy_(solution.T)
        autoencoder.decode.bias.copy_(mean - code.mean(dim=0) @ solution)


def _parts(
    autoencoder: Autoencoder, features: Tensor, labels: Tensor, classify: Callable[[Tensor], Tensor], rows: int = 1024
) -> tuple[float, float]:
    """E2a and E1 through the reconstruction, on evenly spread rows (they may be sorted by class)."""
    some = slice(None, None, math.ceil(len(labels) / rows))
    with torch.no_grad():
        reconstructed = autoencoder(features[some])
        task_loss = class_loss(classify(reconstructed), labels[some])
        return reconstruction_error(reconstructed, features[some]).item(), task_loss.item()


def stack_encoders(encoders: Sequence[Encoder]) -> Encoder:
    """Encoders of several tasks as one, their codes side by side: one matrix product instead of one a task.

    encoders  all on the same features
    returns   an `Encoder` (batch, features) -> (batch, sum of the codes), without gradients of its own
    """
    weights, biases = zip(*((encoder.weight.detach(), encoder.bias.detach()) for encoder in encoders), strict=True)
    return encoder_of(torch.cat(weights), torch.cat(biases))


def encoder_of(weight: Tensor, bias: Tensor) -> Encoder:
    """An encoder with these weights (code, features) and biases (code,), copied, and without gradients of its own."""
    # Without the usual initialisation, which would draw from the global generator.
    encoder = nn.utils.skip_init(Encoder, weight.shape[1], weight.shape[0], device=weight.device, dtype=weight.dtype)
    encoder.load_state_dict({"weight": weight, "bias": bias})
    return encoder.requires_grad_(False).eval()
