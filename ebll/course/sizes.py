"""Exercises on sizes: bytes of what is kept, and a weight that is to serve other features."""

from __future__ import annotations

import torch
from torch import Tensor

from ebll.course.exercise import Wrong, exercise, normal


def _encoders(feature_size: int, code_size: int, old_tasks: int) -> int:
    return 4 * old_tasks * (feature_size * code_size + code_size)


@exercise("E4", _encoders, lambda: [(3, 2, 1), (256, 64, 3), (1568, 100, 2)])
def encoder_bytes(f: int, k: int, n: int) -> Wrong:
    """How many bytes the encoders of all old tasks take in float32, weights and biases."""
    right, both = _encoders(f, k, n), 2 * f * k + k + f  # numbers in an encoder and its decoder
    return {
        "decoder": [4 * n * both, 8 * n * f * k, 4 * both, n * both, 4 * (n + 1) * both],
        "no-bias": [4 * n * f * k, 4 * (n + 1) * f * k, 4 * n * f * k / 1e6],
        "bits": [8 * right],
        "numbers": [n * (f * k + k), n * f * k, f * k + k],
        "one-task": [4 * (f * k + k), 4 * f * k],
        "unit": [right / 1e6, right // 2**10, right / 2**20, right / 1e3, right / 2**10],
    }


def _recorded(crops: int, classes: list[int], code_sizes: list[int]) -> int:
    return 4 * crops * (sum(classes) + sum(code_sizes))


@exercise("E5", _recorded, lambda: [(3, [2], [4]), (10, [5, 3], [2, 6]), (7, [1000, 102], [300, 100])])
def recorded_bytes(n: int, classes: list[int], sizes: list[int]) -> Wrong:
    """The bytes of the recorded answers, float32: for each crop every old head's and every old task's code."""
    heads, codes = sum(classes), sum(sizes)
    return {
        "numbers": [n * (heads + codes)],
        "no-codes": [4 * n * heads],
        "no-heads": [4 * n * codes],
        "single": [4 * n * (classes[i] + sizes[i]) for i in (0, -1)],
        "one-window": [4 * (heads + codes)],
    }


def _converted(weight: float, images: int, features: int, reduction: str) -> float:
    return 2 * weight / features if reduction == "mean" else 2 * weight * images


@exercise("E2a", _converted, lambda: [(0.3, 2, 4, "mean"), (0.3, 2, 4, "sum"), (0.1, 8, 256, "mean")])
def converted_weight(w: float, n: int, m: int, reduction: str) -> Wrong:
    """The lambda before E2a that weighs as much as the weight before MSELoss with this reduction."""
    right, mean = _converted(w, n, m, reduction), reduction == "mean"
    return {
        "no-half": [right / 2],
        "half-wrong-way": [right / 4],
        "inverse": [w**2 / right],
        "one-reduction": [2 * w / m, 2 * w * n],
        "other-way-round": [_converted(w, n, m, "sum" if mean else "mean")],
        "sum-per-image": [right if mean else 2 * w],
        "mean-of-rows": [2 * w if mean else right],
        "as-it-is": [w],
    }


def _weight(recon_weight: float, known: Tensor, other: Tensor) -> float:
    return recon_weight * (known.square().sum(dim=1).mean() / other.square().sum(dim=1).mean()).item()


def _features() -> list[tuple]:
    small = torch.tensor([[3.0, 4.0], [0.0, 1.0]]), torch.tensor([[1.0, 2.0, 2.0], [2.0, 4.0, 4.0], [0.0, 3.0, 4.0]])
    return [(0.1, *small), (0.01, normal(0, 6, 4), 5 * normal(1, 8, 9)), (1e-4, 3 * normal(2, 5, 7), normal(3, 4, 2))]


@exercise("E2", _weight, _features)
def recon_weight(weight: float, known: Tensor, other: Tensor) -> Wrong:
    """The lambda with which an all-zero reconstruction of the other features costs what it costs with the known."""
    squares = [v.square().sum(dim=1).mean().item() for v in (known, other)]
    norms = [v.norm(dim=1).mean().item() for v in (known, other)]
    entries = [v.square().mean().item() for v in (known, other)]
    return {
        "inverse": [weight * squares[1] / squares[0]],
        "as-it-is": [weight],
        "not-squared": [weight * norms[0] / norms[1]],
        "squared-mean": [weight * (norms[0] / norms[1]) ** 2],
        "per-entry": [weight * entries[0] / entries[1]],
    }
