"""E7: the diagonal of the Fisher information of a task, for EWC; and its Kronecker factors of layers (E9), for K-FAC.

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

__all__ = [
    "FISHER_KINDS",
    "fisher_diagonal",
    "fisher_diagonal_loop",
    "kronecker_factors",
    "linear_layers",
    "traced",
    "weight_matrix",
]

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
    usual, layers = _batch_size(inputs), _layers_of(network, parameters)
    if layers is None:
        return fisher_diagonal_loop(network, forward, parameters, inputs, labels, kind, seed)
    totals = {parameter: torch.zeros_like(parameter) for parameter in parameters}
    try:
        for seen, passes in _batches(network, forward, layers, inputs, labels, kind, seed, batch_size or usual):
            squares = [_input_squares(layer, given) for layer, (given, _) in seen.items()]
            for gradients, weight in passes:
                for layer, prepared, gradient in zip(seen, squares, gradients, strict=True):
                    _add_layer(totals, layer, prepared, gradient, weight)
    except InputError:  # a layer is used as the closed form does not cover
        return fisher_diagonal_loop(network, forward, parameters, inputs, labels, kind, seed)
    return [totals[parameter] / len(inputs) for parameter in parameters]


def kronecker_factors(
    network: nn.Module,
    forward: Callable[[Tensor], Tensor],
    layers: list[nn.Module],
    inputs: Tensor,
    labels: Tensor,
    kind: str = "exact",
    seed: int = 0,
) -> tuple[list[Tensor], list[Tensor]]:
    r"""E9: second moments of each layer's input and of its output gradient.   $A = E[h h^\top]$, $G = E[g g^\top]$

    $g$ is the gradient of $\log p(y\mid x)$ at the layer's output. The layer's Fisher information is about
    $A \otimes G$, and exactly that at a linear layer for one sample.

    layers       from `linear_layers`
    inputs       (n, ...)
    labels       (n,)  read only for "empirical"
    kind         which labels count in G, as in `fisher_diagonal_loop`
    returns      A (in, in) and G (out, out) of each layer; means over the samples. Where a layer has a bias, 1 is
                 appended to its input. For a convolution the inputs are patches, in = channels * kernel: A is a mean
                 over the positions of an image too, G a sum over them
    raises       `InputError` without samples, or if a layer is used otherwise than `traced` can tell
    source       Martens and Grosse 2015 (linear layers), Grosse and Martens 2016 (convolutions)
    """
    size, share = _batch_size(inputs), 1 / len(inputs)
    of_inputs = {layer: layer.weight.new_zeros(2 * [weight_matrix(layer).shape[1]]) for layer in layers}
    of_gradients = {layer: layer.weight.new_zeros(2 * [len(layer.weight)]) for layer in layers}
    for seen, passes in _batches(network, forward, layers, inputs, labels, kind, seed, size):
        for layer, (given, _) in seen.items():
            columns = given[:, :, None] if isinstance(layer, nn.Linear) else _patches(layer, given)
            if layer.bias is not None:
                columns = torch.cat([columns, torch.ones_like(columns[:, :1])], dim=1)
            of_inputs[layer] += share / columns.shape[2] * torch.einsum("nip,njp->ij", columns, columns)
        for gradients, weight in passes:
            for layer, gradient in zip(seen, gradients, strict=True):
                gradient = gradient.flatten(2) if gradient.ndim > 2 else gradient[:, :, None]
                of_gradients[layer] += share * torch.einsum("n,nop,nqp->oq", weight, gradient, gradient)
    return list(of_inputs.values()), list(of_gradients.values())


def linear_layers(*modules: nn.Module) -> list[nn.Module]:
    """The linear and convolutional layers inside, each once, in their order.

    raises   `InputError` if there are none, or one of a kind that the factors of `kronecker_factors` do not cover
    """
    parts = dict.fromkeys(part for module in modules for part in module.modules())
    layers = [part for part in parts if isinstance(part, nn.Linear | nn.modules.conv._ConvNd)]
    odd = [type(layer).__name__ for layer in layers if not _is_plain(layer)]
    if odd or not layers:
        raise InputError(
            "Kronecker factors are built for nn.Linear and nn.Conv2d (one group, zeros as padding) in F and T; "
            f"this network has {', '.join(dict.fromkeys(odd)) or 'none of them'}."
        )
    return layers


def weight_matrix(layer: nn.Module, root: Tensor | None = None) -> Tensor:
    """[W | b] of a layer of `linear_layers`, times R of E8 if given: what the layer answers to its columns as inputs.

    returns   (out, in) or (out, rank); for a convolution in = channels * kernel, and plus 1 with a bias
    """
    weight, bias = layer.weight.flatten(1), layer.bias
    if root is None:
        return weight if bias is None else torch.cat([weight, bias[:, None]], dim=1)
    return weight @ root if bias is None else torch.addr(weight @ root[:-1], bias, root[-1])


def _batch_size(inputs: Tensor) -> int:
    if len(inputs) == 0:
        raise InputError("The Fisher information needs at least one sample; got none.")
    return max(1, min(512, _VALUES // max(1, inputs[0].numel())))


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
            if not _is_plain(module):
                return None
            if not own <= {module.weight, module.bias}:  # reparametrised: the weight is computed from others
                return None
            layers.append(module)
            owned += len(own)
    return layers if owned == len(wanted) else None  # fewer: not the network's own; more: two layers share one


def _is_plain(module: nn.Module) -> bool:
    """Whether a module is a linear layer, or a convolution that `unfold` can write as one."""
    if type(module) is nn.Conv2d:
        return module.groups == 1 and module.padding_mode == "zeros" and not isinstance(module.padding, str)
    return type(module) is nn.Linear


_Seen = dict[nn.Module, tuple[Tensor, Tensor]]


def traced(
    network: nn.Module, forward: Callable[[Tensor], Tensor], layers: list[nn.Module], inputs: Tensor
) -> tuple[Tensor, _Seen]:
    """log p(label | x) of a batch, with gradient, and each layer's input and output on the way.

    raises   `InputError` for a layer that runs twice, or a linear one on other than (batch, size)
    """
    seen: _Seen = {}

    def remember(layer, arguments, output):
        if layer in seen or (type(layer) is nn.Linear and arguments[0].ndim != 2):
            how = "was used a second time" if layer in seen else f"was given {tuple(arguments[0].shape)}"
            wanted = "Kronecker factors need layers that run once in a forward pass, linear ones on (batch, size)"
            raise InputError(f"{wanted}; {layer} {how}.")
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
    return log_p, {layer: seen[layer] for layer in layers if layer in seen}


def _batches(
    network: nn.Module, forward: Callable[[Tensor], Tensor], layers: list[nn.Module], inputs: Tensor, labels: Tensor,
    kind: str, seed: int, size: int,
) -> Iterator[tuple[_Seen, Iterator[tuple[list[Tensor], Tensor]]]]:  # fmt: skip
    """Of each batch what `traced` has seen, and the passes of `_output_gradients` through it."""
    with frozen(network), torch.no_grad():
        weights = _label_weights(torch.cat([forward(part) for part in inputs.split(size)]), labels, kind, seed)
    for rows in torch.arange(len(inputs), device=inputs.device).split(size):
        log_p, seen = traced(network, forward, layers, inputs[rows])
        yield seen, _output_gradients(log_p, seen, weights[rows])


def _output_gradients(log_p: Tensor, seen: _Seen, weights: Tensor) -> Iterator[tuple[list[Tensor], Tensor]]:
    """For each label that counts: the gradient of its log p at each layer's output, and the weight of each sample."""
    outputs = [output for _, output in seen.values()]
    for answer, weight in _passes(log_p, weights) if log_p.requires_grad else ():
        gradients = torch.autograd.grad(answer, outputs, retain_graph=True, materialize_grads=True)
        yield [g.to(layer.weight.dtype) for layer, g in zip(seen, gradients, strict=True)], weight


def _passes(log_p: Tensor, weights: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """(what to take the gradient of, weight of each sample): once a class, or once in all if each has one label."""
    if bool(((weights == 0) | (weights == 1)).all()):
        yield (log_p * weights).sum(), weights.sum(dim=1)
        return
    for label in weights.any(dim=0).nonzero()[:, 0]:
        yield log_p[:, label].sum(), weights[:, label]


def _input_squares(layer: nn.Module, inputs: Tensor) -> Tensor:
    """What of a layer's input serves every label: a^2 for a linear layer, the patches for a convolution."""
    return inputs.square() if isinstance(layer, nn.Linear) else _patches(layer, inputs)


def _patches(layer: nn.Conv2d, inputs: Tensor) -> Tensor:
    """(batch, in * kernel, positions): the convolution is its weight times these."""
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
