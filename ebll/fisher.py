"""E7: the diagonal of the Fisher information, which tells EWC how much each parameter matters to a task.

Three labels can stand in the gradient of log p(label | x): every class weighted by its probability ("exact"), one class
drawn from the network's own answer ("sampled"), or the data's label ("empirical"). In all three the gradient is squared
per sample and only then averaged. Squaring a batch's mean gradient, a common slip, gives something else that also
depends on the batch size.

`fisher_diagonal` takes the closed form for linear and convolutional layers; `fisher_diagonal_loop` is the plain version
that takes one sample at a time, and serves any layer. They agree (tests/test_fisher.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import torch
from torch import Tensor, nn
from torch.nn import functional

from ebll.errors import InputError, check_choice
from ebll.networks import frozen
from ebll.seeds import generator
from ebll.settings import FISHER_KINDS

__all__ = ["FISHER_KINDS", "fisher_diagonal", "fisher_diagonal_loop"]

_VALUES = 2**22  # of inputs in a batch: AlexNet's patches and gradients of 27 images are about 0.6 GB


def fisher_diagonal_loop(
    network: nn.Module,
    forward: Callable[[Tensor], Tensor],
    parameters: list[nn.Parameter],
    inputs: Tensor,
    labels: Tensor,
    kind: str = "exact",
    seed: int = 0,
) -> list[Tensor]:
    r"""E7, one sample at a time.   $F_i = \frac1N\sum_n \sum_y w_n(y)\,(\partial_{\theta_i}\log p(y\mid x_n))^2$

    network      put in eval mode while measuring
    forward      inputs (batch, ...) -> logits (batch, classes) through that network
    parameters   those to measure; the gradient of any other is not taken
    inputs       (n, ...)
    labels       (n,)  read only for "empirical"
    kind         "exact": w_n(y) = p(y | x_n); "sampled": 1 for one y drawn from p; "empirical": 1 for the data's label
    returns      a list of tensors shaped like `parameters`; mean over the samples, at least 0
    source       EWC; the choice of labels after van de Ven, arXiv 2502.11756
    """
    totals = [torch.zeros_like(parameter) for parameter in parameters]
    with frozen(network):
        for parameter in parameters:
            parameter.requires_grad_(True)
        with torch.no_grad():
            weights = _label_weights(forward(inputs), labels, kind, seed)
        for sample, weight in zip(inputs, weights, strict=True):
            log_p = torch.log_softmax(forward(sample[None]), dim=1)[0]
            if not log_p.requires_grad:
                continue  # the answer depends on none of the parameters
            for label in weight.nonzero()[:, 0]:
                gradients = torch.autograd.grad(log_p[label], parameters, retain_graph=True, materialize_grads=True)
                for total, gradient in zip(totals, gradients, strict=True):
                    total += weight[label] * gradient.square()
    return [total / len(inputs) for total in totals]


def fisher_diagonal(
    network: nn.Module,
    forward: Callable[[Tensor], Tensor],
    parameters: list[nn.Parameter],
    inputs: Tensor,
    labels: Tensor,
    kind: str = "exact",
    seed: int = 0,
    batch_size: int | None = None,
) -> list[Tensor]:
    r"""E7 with one backward pass a class and batch: the same numbers as `fisher_diagonal_loop`, many times sooner.

    For a linear layer a sample's gradient is the outer product of the layer's output gradient d and its input a, so the
    sum of its squares over samples is (d^2)^T (a^2); a convolution is the same over unfolded patches, summed before
    squaring. Falls back to the loop where a parameter belongs to another kind of layer, or a layer runs more than once
    in a forward pass.

    Arguments and result as in `fisher_diagonal_loop`; `batch_size` bounds the memory only: 512 unless given, and fewer
    for large inputs, as a convolution's patches of all samples lie in memory at once. A compiled network is asked
    uncompiled, since compiled code passes the layers by.
    """
    if len(inputs) == 0:
        raise InputError("The Fisher information needs at least one sample; got none.")
    layers = _layers_of(network, parameters)
    if layers is None:
        return fisher_diagonal_loop(network, forward, parameters, inputs, labels, kind, seed)
    batch_size = batch_size or max(1, min(512, _VALUES // max(1, inputs[0].numel())))
    totals = {parameter: torch.zeros_like(parameter) for parameter in parameters}
    with frozen(network), torch.no_grad():
        logits = torch.cat([forward(part) for part in inputs.split(batch_size)])
        weights = _label_weights(logits, labels, kind, seed)
    for rows in torch.arange(len(inputs), device=inputs.device).split(batch_size):
        if not _add_batch(totals, network, forward, layers, inputs[rows], weights[rows]):
            return fisher_diagonal_loop(network, forward, parameters, inputs, labels, kind, seed)
    return [totals[parameter] / len(inputs) for parameter in parameters]


def _label_weights(logits: Tensor, labels: Tensor, kind: str, seed: int) -> Tensor:
    """How much each label's squared gradient counts, (n, classes)."""
    check_choice(kind, FISHER_KINDS, "Fisher")
    probabilities = torch.softmax(logits, dim=1)
    if kind == "exact":
        return probabilities
    if kind == "sampled":
        labels = torch.multinomial(probabilities.cpu(), 1, generator=generator(seed, "fisher"))[:, 0].to(logits.device)
    return functional.one_hot(labels, logits.shape[1]).to(logits.dtype)


def _layers_of(network: nn.Module, parameters: list[nn.Parameter]) -> list[nn.Module] | None:
    """The linear and convolutional layers that own the parameters, or None if another kind owns one of them."""
    wanted, layers, owned = set(parameters), [], 0
    for module in network.modules():
        own = wanted.intersection(module.parameters(recurse=False))
        if own:
            plain_conv = type(module) is nn.Conv2d and module.groups == 1 and module.padding_mode == "zeros"
            if not (plain_conv and not isinstance(module.padding, str)) and type(module) is not nn.Linear:
                return None
            if not own <= {module.weight, module.bias}:  # reparametrised: the weight is computed from others
                return None
            layers.append(module)
            owned += len(own)
    return layers if owned == len(wanted) else None  # fewer: not the network's own; more: two layers share one


def _add_batch(
    totals: dict[nn.Parameter, Tensor],
    network: nn.Module,
    forward: Callable[[Tensor], Tensor],
    layers: list[nn.Module],
    inputs: Tensor,
    weights: Tensor,
) -> bool:
    """Add one batch's weighted squared gradients; False if a layer ran twice, which the closed form does not cover."""
    seen: dict[nn.Module, tuple[Tensor, Tensor]] = {}
    repeated = []

    def remember(layer, arguments, output):
        repeated.extend([layer] if layer in seen else [])
        seen[layer] = (arguments[0].detach().to(layer.weight.dtype), output)  # autocast may have halved it
        return output.clone()  # so that an in-place activation after it leaves the remembered output alone

    with ExitStack() as stack:
        stack.enter_context(frozen(network))
        for layer in layers:
            layer.requires_grad_(True)
            hook = layer.register_forward_hook(remember)
            stack.callback(hook.remove)
        stack.enter_context(torch.compiler.set_stance("force_eager"))
        log_p = torch.log_softmax(forward(inputs), dim=1)
    used = [layer for layer in layers if layer in seen]
    if repeated or any(seen[layer][0].ndim != 2 for layer in used if type(layer) is nn.Linear):
        return False
    outputs = [seen[layer][1] for layer in used]
    if not log_p.requires_grad:
        return True  # the answer depends on none of them
    squares = [_input_squares(layer, seen[layer][0]) for layer in used]
    for answer, weight in _passes(log_p, weights):
        gradients = torch.autograd.grad(answer, outputs, retain_graph=True, materialize_grads=True)
        for layer, prepared, gradient in zip(used, squares, gradients, strict=True):
            _add_layer(totals, layer, prepared, gradient.to(layer.weight.dtype), weight)
    return True


def _passes(log_p: Tensor, weights: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """(what to take the gradient of, weight of each sample): once a class, or once in all if each has one label."""
    if bool(((weights == 0) | (weights == 1)).all()):
        yield (log_p * weights).sum(), weights.sum(dim=1)
        return
    for label in weights.any(dim=0).nonzero()[:, 0]:
        yield log_p[:, label].sum(), weights[:, label]


def _input_squares(layer: nn.Module, inputs: Tensor) -> Tensor:
    """What of a layer's input serves every label: a^2 for a linear layer, the patches for a convolution."""
    if isinstance(layer, nn.Linear):
        return inputs.square()
    return functional.unfold(inputs, layer.kernel_size, layer.dilation, layer.padding, layer.stride)


def _add_layer(
    totals: dict[nn.Parameter, Tensor], layer: nn.Module, prepared: Tensor, gradient: Tensor, weight: Tensor
) -> None:
    if isinstance(layer, nn.Linear):
        weighted = weight[:, None] * gradient.square()
        weight_part, bias_part = weighted.T @ prepared, weighted.sum(dim=0)
    else:
        gradient = gradient.flatten(2)  # (batch, out, positions); prepared is (batch, in * kernel, positions)
        per_sample = torch.bmm(gradient, prepared.transpose(1, 2)).square()
        weight_part = torch.einsum("n,noi->oi", weight, per_sample).reshape(layer.weight.shape)
        bias_part = (weight[:, None] * gradient.sum(dim=2).square()).sum(dim=0)
    for parameter, part in ((layer.weight, weight_part), (layer.bias, bias_part)):
        if parameter is not None and parameter in totals:
            totals[parameter] += part
