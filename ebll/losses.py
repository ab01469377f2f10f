"""The equations of the lesson, one pure function each: tensors in, one number out.

`docs/equations.md` lists the ids (E1 ...), and the
method files add the terms up. Every reduction is written in the docstring, because the weights (alpha, lambda) mean
nothing without it.

Sources: Rannen Triki, Aljundi, Blaschko, Tuytelaars, "Encoder Based Lifelong Learning", ICCV 2017 (arXiv 1704.01920);
Li and Hoiem, "Learning without Forgetting", ECCV 2016 (arXiv 1606.09282); Kirkpatrick et al., "Overcoming catastrophic
forgetting in neural networks", PNAS 2017 (arXiv 1612.00796).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "autoencoder_loss",
    "class_loss",
    "code_distance",
    "distillation",
    "kronecker_penalty",
    "moment_root",
    "quadratic_penalty",
    "reconstruction_error",
    "soften",
]


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    r"""E1: cross-entropy of one task's head, the task term of every method.

    $\ell(T_t(T(F(x))), y) = -\log p_y$ ; joint training adds it up over all tasks.

    logits   (batch, classes)  carry gradient
    labels   (batch,)          int64 class indices
    returns  ()                factor 1, mean over the batch
    source   EBLL section 3.1
    """
    return functional.cross_entropy(logits, labels)


def reconstruction_error(reconstructed: Tensor, features: Tensor) -> Tensor:
    r"""E2a: how far an autoencoder's output is from the features.   $\tfrac12\|r(F^*(x)) - F^*(x)\|_2^2$

    reconstructed  (batch, features)  carries gradient to the autoencoder
    features       (batch, features)  constant
    returns        ()                 factor 1/2, sum over the features, mean over the batch
    source         EBLL section 3.3.1; squared and halved as in the authors' code, where the text has the bare norm
    note           with `MSELoss` instead (mean over the features), its weight w equals recon_weight = 2 * w / features
    """
    return 0.5 * functional.mse_loss(reconstructed, features, reduction="sum") / len(features)


def autoencoder_loss(
    reconstructed: Tensor, features: Tensor, logits: Tensor, labels: Tensor, recon_weight: float
) -> Tensor:
    r"""E2: the task-aware autoencoder's objective.

    $\lambda\,\tfrac12\|r(F^*(x)) - F^*(x)\|_2^2 + \ell(T_t^*(T^*(r(F^*(x)))), y)$

    reconstructed  (batch, features)  r(F*(x)), carries gradient
    features       (batch, features)  F*(x), constant
    logits         (batch, classes)   of the reconstruction through the frozen operator and head, carry gradient
    labels         (batch,)           int64
    recon_weight   lambda, at least 0
    returns        ()                 mean over the batch; reductions as in E1 and E2a
    source         EBLL section 3.3.1
    """
    return recon_weight * reconstruction_error(reconstructed, features) + class_loss(logits, labels)


def soften(logits: Tensor, temperature: float) -> Tensor:
    r"""E3a: probabilities raised to 1/theta and normalised, which is the softmax of logits / theta.

    $Z_i = Y_i^{1/\theta} / \sum_j Y_j^{1/\theta}$

    logits       (batch, classes)
    temperature  theta, above 0; above 1 it lifts the small probabilities, below 1 it sharpens
    returns      (batch, classes)  rows sum to 1
    source       LwF equation for y'; EBLL section 3.3.3
    """
    return torch.softmax(logits / temperature, dim=1)


def distillation(logits_now: Tensor, soft_targets: Tensor, temperature: float) -> Tensor:
    r"""E3: keep an old head's answers to the new inputs.   $-\langle Z^*, \log \hat Z\rangle$

    logits_now    (batch, classes)  the old head today; carry gradient to that head, T and F
    soft_targets  (batch, classes)  `soften` of its logits before this task, at the same temperature; constant
    temperature   theta, above 0
    returns       ()                factor 1 (no theta squared), sum over the classes, mean over the batch
    source        LwF; EBLL section 3.3.3
    note          the gradient is (Z - Z*) / theta, so raising theta also weakens the term; KL differs by a constant
    many tasks    (batch, tasks, classes) for both gives (tasks,), one value an old head of as many classes
    """
    return -(soft_targets * torch.log_softmax(logits_now / temperature, dim=-1)).sum(dim=-1).mean(dim=0)


def code_distance(code_now: Tensor, code_before: Tensor) -> Tensor:
    r"""E4: how far an old task's code has moved.   $\tfrac12\|\sigma(W F(x)) - \sigma(W F^*(x))\|_2^2$

    code_now     (batch, code)  carries gradient: it reaches F; the encoder itself is frozen
    code_before  (batch, code)  constant, from the network as it was before this task
    returns      ()             factor 1/2, sum over the code, mean over the batch
    source       EBLL section 3.3.3; alpha is its weight
    note         with `MSELoss` instead (mean over the code), its weight w equals alpha = 2 * w / code
    many tasks   (batch, tasks, code) for both gives (tasks,), one value an old task's code of the same size
    """
    return (code_now - code_before).square().sum(dim=(0, -1)) / (2 * len(code_now))


def quadratic_penalty(now: Iterable[Tensor], before: Iterable[Tensor], fisher: Iterable[Tensor]) -> Tensor:
    r"""E6: the pull of EWC towards the old parameters.   $\tfrac12\sum_i F_i\,(\theta_i - \theta_i^*)^2$

    now      tensors of any shape, carry gradient
    before   the same shapes, constant: the parameters after the last task
    fisher   the same shapes, at least 0, constant: importance of each parameter (E7)
    returns  ()  factor 1/2, sum over all parameters; `ewc_strength` is its weight
    source   EWC equation 3
    """
    parts = (
        (importance * (today - anchor).square()).sum()
        for today, anchor, importance in zip(now, before, fisher, strict=True)
    )
    return 0.5 * sum(parts, start=torch.zeros(()))


def kronecker_penalty(moved: Tensor, outputs: Tensor | None = None) -> Tensor:
    r"""E8: a penalty on one layer as a whole.

    $\tfrac12 \operatorname{tr}(G\,\Delta W A\,\Delta W^\top)$, $A = R R^\top$

    moved    (out, rank)  (W - W*) R, carries gradient, with R from `moment_root`; W - W* itself where A is the identity
    outputs  (out, out)   G, symmetric, constant: second moment of its output gradient (E9); the identity if None
    returns  ()           factor 1/2, sum over the layer; add it up over the layers
    source   Martens and Grosse 2015; as a penalty against forgetting: Ritter et al. 2018
    note     A = G = 1 is L2 regularisation towards the old weights; with G = 1 it is half the mean squared change of
             the layer's answers to the inputs (patches of a convolution) that A is the second moment of
    """
    return 0.5 * (moved * (moved if outputs is None else outputs @ moved)).sum()


def moment_root(moment: Tensor, rank: int) -> Tensor:
    r"""R of E8: the leading eigenvectors of a second moment A, each times the root of its eigenvalue.

    moment   (size, size)  symmetric, at least 0
    rank     columns to keep at most
    returns  (size, min(rank, size))  R R^T is the nearest matrix of this rank; what is left out is at most the next
                                      eigenvalue, and E8 is never larger than with all of A
    """
    values, vectors = torch.linalg.eigh(moment)
    return (vectors[:, -rank:] * values[-rank:].clamp(min=0).sqrt()).contiguous()  # as it is read from a file
