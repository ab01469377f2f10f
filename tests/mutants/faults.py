"""The faults: one- or two-line mistakes that could be made in the library, each of which the fast tests must notice.

A fault is an id, the file, what goes wrong, the text as it stands (it must occur exactly once in the file) and the text
that takes its place. Where the library has moved on, the text has to follow; `tests/test_mutants.py` says so at once.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FAULTS", "LIKELY", "DoesNotApply", "Fault"]


class DoesNotApply(Exception):
    """The text of a fault is not in its file exactly once, or what comes out is not Python."""


class Fault(NamedTuple):
    """One mistake, as a replacement in one file."""

    file: str
    id: str
    what: str
    old: str
    new: str

    def applied(self, source: str) -> str:
        """The file's source with the fault in it."""
        count = source.count(self.old)
        if count != 1:
            raise DoesNotApply(
                f"fault {self.id} does not apply: its text occurs {count} times in {self.file}; "
                "the code has moved, update tests/mutants/faults.py"
            )
        made = source.replace(self.old, self.new)
        try:
            compile(made, self.file, "exec")
        except SyntaxError as error:
            raise DoesNotApply(f"fault {self.id} does not apply: {self.file} no longer compiles ({error})") from None
        return made


#: File -> the tests that state its laws, which are run first.
LIKELY = {
    "ebll/losses.py": ["losses"],
    "ebll/metrics.py": ["metrics", "claims"],
    "ebll/methods/base.py": ["methods"],
    "ebll/methods/codes.py": ["methods"],
    "ebll/methods/ebll.py": ["methods"],
    "ebll/methods/ewc.py": ["methods"],
    "ebll/methods/baselines.py": ["methods"],
    "ebll/methods/lwf.py": ["methods"],
    "ebll/training.py": ["training", "steps", "paper_checkpoint"],
    "ebll/protocol.py": ["recording", "training", "methods", "steps"],
    "ebll/seeds.py": ["training"],
    "ebll/networks.py": ["networks"],
    "ebll/recording.py": ["recording", "training"],
    "ebll/autoencoder.py": ["autoencoder"],
    "ebll/fisher.py": ["fisher"],
    "ebll/comparison.py": ["comparison"],
    "ebll/widgets/lab.py": ["widgets_runs", "widgets_lab"],
    "ebll/widgets/submanifold.py": ["widgets_submanifold"],
    "ebll/data/arrays.py": ["data_task"],
    "ebll/data/splits.py": ["data_task", "data_builtin"],
    "ebll/data/task.py": ["data_task"],
    "ebll/data/builtin.py": ["data_builtin"],
    "ebll/data/folder.py": ["data_folder"],
    "ebll/reproduce/claims.py": ["claims"],
    "ebll/reproduce/jobs.py": ["jobs"],
    "ebll/reproduce/report.py": ["claims"],
    "ebll/reproduce/verdicts.py": ["claims"],
    "ebll/sweeps/choice.py": ["sweeps_choice"],
    "ebll/sweeps/runs.py": ["sweeps"],
}

_TABLE: dict[str, list[tuple[str, str, str, str]]] = {
    "ebll/losses.py": [
        (
            "reconstruction-no-half",
            "E2a without its factor 1/2",
            'return 0.5 * functional.mse_loss(reconstructed, features, reduction="sum")',
            'return functional.mse_loss(reconstructed, features, reduction="sum")',
        ),
        (
            "reconstruction-mean",
            "E2a as `MSELoss`: mean over the features where the sum is meant",
            'reconstructed, features, reduction="sum") / len(features)',
            'reconstructed, features, reduction="mean")',
        ),
        (
            "recon-weight-on-the-task",
            "lambda of E2 on the task term instead of the reconstruction",
            "return recon_weight * reconstruction_error(reconstructed, features) + class_loss(logits, labels)",
            "return reconstruction_error(reconstructed, features) + recon_weight * class_loss(logits, labels)",
        ),
        (
            "temperature-upside-down",
            "softening multiplies by the temperature",
            "torch.softmax(logits / temperature, dim=1)",
            "torch.softmax(logits * temperature, dim=1)",
        ),
        (
            "temperature-on-targets-only",
            "distillation forgets the temperature on the side of the present network",
            "_log_softmax(logits_now / temperature)",
            "_log_softmax(logits_now)",
        ),
        (
            "temperature-squared",
            "distillation scaled by the temperature squared, as Hinton's is and E3 is not",
            "return -(soft_targets * _log_softmax(",
            "return -(temperature**2) * (soft_targets * _log_softmax(",
        ),
        ("distillation-sign", "distillation with the sign turned", "return -(soft_targets", "return (soft_targets"),
        (
            "distillation-mean-over-classes",
            "distillation averaged over the classes where the sum is meant",
            ".sum(dim=-1).mean(dim=0)",
            ".mean(dim=-1).mean(dim=0)",
        ),
        (
            "log-softmax-over-the-batch",
            "the log-softmax of many heads normalised over the batch instead of the classes",
            "torch.log_softmax(logits.movedim(-1, 0), dim=0)",
            "torch.log_softmax(logits.movedim(-1, 0), dim=1)",
        ),
        ("code-no-half", "E4 without its factor 1/2", "/ (2 * len(code_now))", "/ len(code_now)"),
        ("code-sum-over-batch", "E4 summed over the batch where the mean is meant", "/ (2 * len(code_now))", "/ 2"),
        (
            "penalty-no-square",
            "EWC's penalty without the square",
            "(importance * (today - anchor).square()).sum()",
            "(importance * (today - anchor).abs()).sum()",
        ),
        ("penalty-no-half", "EWC's penalty without its factor 1/2", "return 0.5 * sum(parts", "return sum(parts"),
    ],
    "ebll/metrics.py": [
        ("one-sided-quantile", "the quantile 0.95 for 0.975", "- 1, 0.975)", "- 1, 0.95)"),
        ("deviation-divisor", "the interval's deviation with the divisor n", "values.std(ddof=1)", "values.std()"),
        (
            "degrees-of-freedom",
            "Student's t with n degrees of freedom",
            "stdtrit(len(values) - 1,",
            "stdtrit(len(values),",
        ),
        (
            "forgetting-against-last",
            "forgetting against the accuracy one task earlier instead of the best so far",
            "matrix[j:-1, j].max() - matrix[-1, j]",
            "matrix[-2, j] - matrix[-1, j]",
        ),
        (
            "forgetting-against-first",
            "forgetting against the accuracy just after learning instead of the best so far",
            "matrix[j:-1, j].max() - matrix[-1, j]",
            "matrix[j, j] - matrix[-1, j]",
        ),
        (
            "forgetting-best-includes-end",
            "the best accuracy so far taken over the last stage too, so that forgetting is never negative",
            "matrix[j:-1, j].max()",
            "matrix[j:, j].max()",
        ),
        (
            "transfer-sign",
            "backward transfer with the sign of forgetting",
            "(matrix[-1] - matrix.diagonal())",
            "(matrix.diagonal() - matrix[-1])",
        ),
        (
            "transfer-counts-newest",
            "backward transfer averaged over the newest task too",
            "(matrix[-1] - matrix.diagonal())[:-1].mean()",
            "(matrix[-1] - matrix.diagonal()).mean()",
        ),
        (
            "average-of-diagonal",
            "average accuracy from just after learning instead of from the end",
            "_square(matrix)[-1].mean()",
            "_square(matrix).diagonal().mean()",
        ),
        (
            "distance-squared",
            "feature distance as the mean of the squared norms",
            "vector_norm(features_now - features_before, dim=1).mean()",
            "vector_norm(features_now - features_before, dim=1).square().mean()",
        ),
        (
            "unexplained-against-one-mean",
            "the domain gap against one mean of all features instead of each feature's own",
            "features - features.mean(dim=0)",
            "features - features.mean()",
        ),
    ],
    "ebll/methods/base.py": [
        (
            "teacher-in-train-mode",
            "what the old network says of the new inputs is recorded in train mode",
            "with frozen(net), torch.no_grad():",
            "with torch.no_grad():",
        ),
        (
            "alpha-of-newest-tasks",
            "the last alphas of the list taken where there are fewer old tasks, instead of the first",
            "return value[:count] if",
            "return value[-count:] if",
        ),
        (
            "weight-ignored",
            "the weight of a term ignored where there is one old task",
            "if self.raw.ndim else self.weight * self.raw",
            "if self.raw.ndim else self.raw",
        ),
    ],
    "ebll/methods/codes.py": [
        (
            "autoencoder-of-another-method",
            "methods share the first task's encoder although their autoencoders' settings differ",
            "self.autoencoder.of_task(0)\n",
            "0\n",
        ),
        (
            "autoencoder-images-without-seed",
            "the fit looks at the same images for every seed",
            'generator(seed, "autoencoder images", t)',
            'generator(0, "autoencoder images", t)',
        ),
        (
            "autoencoder-without-seed",
            "the autoencoder starts from the same weights for every seed",
            'derive_seed(seed, "autoencoder", t)',
            'derive_seed(0, "autoencoder", t)',
        ),
        (
            "encoder-not-detached",
            "the encoder kept as it was fitted, so that the new task trains it",
            "encoder = stack_encoders([fit.autoencoder.encode])",
            "encoder = fit.autoencoder.encode",
        ),
        (
            "decoder-kept",
            "the decoder kept beside the encoder",
            "encoder = stack_encoders([fit.autoencoder.encode])",
            "encoder = stack_encoders([fit.autoencoder.encode])\n"
            "        encoder.decoder = fit.autoencoder.decode.requires_grad_(False)",
        ),
        (
            "autoencoder-on-validation",
            "the autoencoder fitted to the validation split",
            "settings.of_task(t), task.train",
            "settings.of_task(t), task.validation",
        ),
        (
            "autoencoder-tested-on-test",
            "the accuracy through the autoencoder measured on the test split",
            'held_out = record(net, task.validation.inputs, features=lambda f: f)["features"], task.validation.labels',
            'held_out = record(net, task.test.inputs, features=lambda f: f)["features"], task.test.labels',
        ),
        (
            "classifier-unfrozen-in-fit",
            "gradients of the autoencoder's fit pile up in the network",
            "    with frozen(net):\n        return fit_autoencoder(",
            "    from ebll.networks import evaluating\n\n    with evaluating(net):\n        return fit_autoencoder(",
        ),
        (
            "autoencoder-seed",
            "the same random numbers for every task's autoencoder",
            'seed=derive_seed(seed, "autoencoder", t)',
            'seed=derive_seed(seed, "autoencoder")',
        ),
        (
            "alpha-of-other-task",
            "the alphas of the old tasks in reverse order",
            'weights = per_old_task(alpha, len(sizes), "alpha")',
            'weights = per_old_task(alpha, len(sizes), "alpha")[::-1]',
        ),
        (
            "operators-not-separated",
            "EBLL with separate operators keeps the shared one",
            "        net.separate_operators()",
            "        return",
        ),
    ],
    "ebll/methods/ebll.py": [
        (
            "code-term-detached",
            "the code term's gradient stops before it reaches F",
            "code_term(batch, features, memory, self.alpha)",
            "code_term(batch, features.detach(), memory, self.alpha)",
        ),
    ],
    "ebll/methods/ewc.py": [
        (
            "fisher-of-another-method",
            "EWC's variants share the first task's Fisher information although its kind differs",
            "return self.replace(ewc_strength=0.0)",
            "return type(self)",
        ),
        (
            "decay-on-new-importance",
            "the new importance fades instead of the old",
            "self.fisher_decay * old + new",
            "old + self.fisher_decay * new",
        ),
        (
            "anchor-not-copied",
            "the anchors are the parameters themselves and move with them",
            "value.clone(memory_format=torch.contiguous_format)",
            "value",
        ),
        (
            "anchor-of-first-task",
            "the anchor stays at the first task's parameters",
            "kept = ([parameter.detach() for parameter in _shared(net)], fisher)",
            "kept = (memory.anchors if memory else [parameter.detach() for parameter in _shared(net)], fisher)",
        ),
        (
            "fisher-through-first-head",
            "the Fisher information always taken through the first head",
            "lambda inputs: net(inputs, t)",
            "lambda inputs: net(inputs, 0)",
        ),
        (
            "operator-not-anchored",
            "EWC's penalty on F only",
            "[*net.features.parameters(), *net.operator.parameters()]",
            "[*net.features.parameters()]",
        ),
        (
            "fisher-seed",
            "the same random numbers for the sampled labels of every task",
            'derive_seed(seed, "fisher", t)',
            'derive_seed(seed, "fisher")',
        ),
    ],
    "ebll/methods/baselines.py": [
        (
            "joint-mean",
            "joint training takes the mean over the tasks instead of the sum",
            "for batch in batches))}",
            "for batch in batches) / len(batches))}",
        ),
        (
            "joint-without-first",
            "joint training leaves the first task out from the third on",
            "return list(range(t + 1))",
            "return list(range(t + 1))[-2:]",
        ),
    ],
    "ebll/methods/lwf.py": [
        (
            "lwf-second-task-only",
            "LwF distils from the third task on only",
            "if batch.task:",
            "if batch.task > 1:",
        ),
        (
            "targets-of-new-head",
            "soft targets of the new head too",
            "for head in net.heads[:t]], dim=1)",
            "for head in net.heads[: t + 1]], dim=1)",
        ),
        (
            "temperature-on-answers-only",
            "soft targets recorded without the temperature",
            "soften(head(hidden), temperature)",
            "soften(head(hidden), 1.0)",
        ),
        (
            "distillation-detached",
            "distillation trains the old heads only, not T and F",
            "logits = old_logits(net, batch.task, hidden)",
            "logits = old_logits(net, batch.task, hidden.detach())",
        ),
    ],
    "ebll/training.py": [
        (
            "dropout-without-seed",
            "dropout's masks are the same for every seed",
            'GlobalStream(seed, "training", t)',
            'GlobalStream(0, "training", t)',
        ),
        (
            "last-batch-dropped",
            "the last, smaller batch of an epoch left out",
            "rows = torch.randperm(len(split), generator=order)",
            "rows = torch.randperm(len(split), generator=order)[: max(1, len(split) // batch_size) * batch_size]",
        ),
        (
            "steps-rounded-down",
            "the steps of a training counted without the last, smaller batches",
            "epochs * math.ceil(len(data[t].train) / settings.batch_size)",
            "epochs * (len(data[t].train) // settings.batch_size)",
        ),
        (
            "rate-not-dropped",
            "the learning rate stays as it is",
            "settings.learning_rate * (0.1 if step.index >= drop else 1.0)",
            "settings.learning_rate",
        ),
        ("weight-decay-off", "no weight decay", '"weight_decay": settings.weight_decay}', '"weight_decay": 0.0}'),
        (
            "momentum-kept",
            "the momentum of one stage carried into the next",
            "        optimizer = _sgd(parameters, settings)\n",
            "        optimizer = _sgd(parameters, settings)\n"
            '        optimizer.state.update(getattr(net, "momentum", {}))\n        net.momentum = optimizer.state\n',
        ),
        (
            "gradients-pile-up",
            "gradients of one step added to the next",
            "parameter.grad = None  # what",
            "pass  # what",
        ),
        (
            "labels-shifted",
            "every input with the label of its neighbour",
            "for column in (split.labels, *columns.values())]",
            "for column in (split.labels.roll(1), *columns.values())]",
        ),
        (
            "targets-not-shuffled",
            "recorded rows handed out in their order while the inputs are shuffled",
            "parts = [column.index_select(0, rows).split(batch_size) for column in (split.labels, *columns.values())]",
            "parts = [split.labels[rows].split(batch_size), *(c[rows.sort().values].split(batch_size) "
            "for c in columns.values())]",
        ),
        (
            "batches-seed",
            "the order of the batches does not depend on the seed",
            'generator(seed, "batches", t, i)',
            'generator(0, "batches", t, i)',
        ),
        (
            "batches-stream",
            "a task's batches come in the same order whichever task is being learned",
            'generator(seed, "batches", t, i)',
            'generator(seed, "batches", i)',
        ),
        (
            "dropout-unseeded",
            "dropout drawn from whatever the global generator holds",
            'dropout = GlobalStream(seed, "training", t) if net.may_draw() else None',
            "dropout = None",
        ),
        (
            "new-method-unheard",
            "a method that is put into the step in mid-run is not used",
            "            yield step\n            for parameter",
            "            yield step\n            step.method = method\n            for parameter",
        ),
        (
            "resume-draws-anew",
            "a run that goes on begins its batches anew",
            'generator(seed, "batches", t, i), step.index)',
            'generator(seed, "batches", t, i))',
        ),
    ],
    "ebll/protocol.py": [
        (
            "statistics-not-frozen",
            "BatchNorm's statistics go on moving after the first task",
            "        net.freeze_statistics()\n",
            "        net.eval()\n",
        ),
        (
            "warm-up-skipped",
            "no warm-up of the new head",
            "        if not epochs or (",
            '        if not epochs or stage == "warm-up" or (',
        ),
        (
            "warm-up-of-everything",
            "the warm-up trains the whole network",
            'stages = [("warm-up", FeatureExtraction(), ',
            'stages = [("warm-up", Finetune(), ',
        ),
        (
            "warm-up-full-length",
            "the warm-up takes as many epochs as the training",
            "FeatureExtraction(), settings.warmup_epochs)",
            "FeatureExtraction(), settings.epochs)",
        ),
        (
            "moving-teacher",
            "for inputs cut anew, the targets come from the network that is being trained",
            "teacher = copy.deepcopy(net)",
            "teacher = net",
        ),
        (
            "start-not-copied",
            "a run trains the snapshot that other runs branch from",
            "copy.deepcopy(start.net)",
            "start.net",
        ),
        (
            "memory-of-newest-task",
            "what was kept of the older tasks is lost after each task",
            "run.method.consolidate(run.net, t, task, run.memory, run.seed)",
            "run.method.consolidate(run.net, t, task, None, run.seed)",
        ),
        (
            "head-seed",
            "every new head starts from the first head's random numbers",
            'with seeded(run.seed, "head", t):',
            'with seeded(run.seed, "head", 0):',
        ),
        (
            "accuracy-before-training",
            "the row of the accuracy matrix measured before the task is trained",
            "        yield from _stage(run, tasks, t, stage, method, settings.replace(epochs=epochs), on)\n"
            "    run.recorder.add_accuracies(net, tasks, t)\n",
            '        if stage == "train":\n            run.recorder.add_accuracies(net, tasks, t)\n'
            "        yield from _stage(run, tasks, t, stage, method, settings.replace(epochs=epochs), on)\n",
        ),
    ],
    "ebll/seeds.py": [
        (
            "hash-of-the-process",
            "seeds from Python's own hash, which differs from process to process",
            'zlib.crc32(part.encode(errors="surrogateescape"))',
            "hash(part) % 2**32",
        ),
        (
            "streams-collide",
            "purposes added up, so that different ones can share a stream",
            "np.random.SeedSequence([seed, *words])",
            "np.random.SeedSequence([seed, sum(words)])",
        ),
    ],
    "ebll/networks.py": [
        (
            "frozen-part-in-train-mode",
            "dropout and BatchNorm of frozen parts run in train mode",
            "    part.train()\n",
            "    net.train()\n",
        ),
        (
            "statistics-move-in-a-head",
            "frozen statistics move again where one part is trained alone",
            "    part.train()\n    if net.statistics_frozen:\n",
            "    part.train()\n    if net.statistics_frozen and part is net:\n",
        ),
        (
            "frozen-layers-thawed",
            "a user's frozen layers are trained all the same",
            "{parameter for parameter in part.parameters() if parameter.requires_grad}",
            "set(part.parameters())",
        ),
        (
            "frozen-takes-gradient",
            "a part that should be frozen still takes gradients",
            "        module.requires_grad_(False)\n",
            "        module.eval()\n",
        ),
        (
            "operator-shared-by-new-head",
            "with separate operators, a new task trains the newest old operator itself",
            "nn.Sequential(copy.deepcopy(self.heads[-1][0]), head)",
            "nn.Sequential(self.heads[-1][0], head)",
        ),
    ],
    "ebll/recording.py": [
        (
            "curves-on-test",
            "the curves measured on the test split",
            "split = task.validation",
            "split = task.test",
        ),
        (
            "accuracy-on-validation",
            "the accuracy matrix measured on the validation split",
            "measure_accuracy(net, i, task.test)",
            "measure_accuracy(net, i, task.validation)",
        ),
        (
            "accuracy-of-newest-head",
            "every task's accuracy measured with the newest head",
            "measure_accuracy(net, i, task.test)",
            "measure_accuracy(net, t, task.test)",
        ),
        (
            "measured-in-train-mode",
            "measuring in train mode, which draws dropout and moves statistics",
            "with evaluating(net), torch.no_grad():\n            fresh",
            "with torch.no_grad():\n            fresh",
        ),
        (
            "stale-features",
            "features measured once and never again",
            "if self._said is None or (moved and not self.still):",
            "if self._said is None:",
        ),
        (
            "raw-terms-averaged",
            "the raw terms averaged over the old tasks instead of summed",
            "term.raw.sum().item()",
            "term.raw.mean().item()",
        ),
        (
            "first-rows-only",
            "curves measured on the first rows, which show the first classes where a split is sorted",
            "* len(split) // count",
            "",
        ),
    ],
    "ebll/autoencoder.py": [
        ("no-sigmoid", "a linear code", "torch.sigmoid(super().forward(features))", "super().forward(features)"),
        (
            "task-loss-past-the-autoencoder",
            "the task's loss taken of the features instead of their reconstruction",
            "logits = classify(reconstructed)",
            "logits = classify(batch) + 0 * reconstructed.sum()",
        ),
        (
            "autoencoder-weight-decay",
            "weight decay in the autoencoder's fit",
            "torch.optim.Adam(parameters, lr=rate)",
            "torch.optim.Adam(parameters, lr=rate, weight_decay=5e-4)",
        ),
        (
            "encoder-unfrozen",
            "kept encoders take gradients",
            "return encoder.requires_grad_(False).eval()",
            "return encoder.eval()",
        ),
        (
            "features-not-detached",
            "the autoencoder's fit sends gradients into F",
            "features = features.detach()",
            "features = features.clone()",
        ),
        (
            "accuracy-past-the-autoencoder",
            "the accuracy through the autoencoder measured without it",
            "through = accuracy(classify(autoencoder(held_features)), held_labels)",
            "through = accuracy(classify(held_features), held_labels)",
        ),
    ],
    "ebll/fisher.py": [
        (
            "labels-uniform",
            "every label counts alike in the exact Fisher information",
            'if kind == "exact":\n        return probabilities\n',
            'if kind == "exact":\n        return torch.ones_like(probabilities) / logits.shape[1]\n',
        ),
        (
            "batch-squared",
            "the batch's gradient squared instead of each sample's",
            "        weighted = weight[:, None] * gradient.square()\n"
            "        weight_part, bias_part = weighted.T @ prepared, weighted.sum(dim=0)\n",
            "        weighted = weight.sqrt()[:, None] * gradient\n"
            "        weight_part, bias_part = (weighted.T @ prepared.sqrt()).square(), weighted.sum(dim=0).square()\n",
        ),
        (
            "position-squared",
            "the gradient of a convolution's bias squared at each position instead of once a sample",
            "gradient.sum(dim=2).square()",
            "gradient.square().sum(dim=2)",
        ),
        (
            "fisher-sum",
            "the Fisher information summed over the samples where the mean is meant",
            "[totals[parameter] / len(inputs) for parameter in parameters]",
            "[totals[parameter] for parameter in parameters]",
        ),
        (
            "most-likely-label",
            "the sampled label is always the most likely one",
            'torch.multinomial(probabilities.cpu(), 1, generator=generator(seed, "fisher"))[:, 0]',
            "probabilities.argmax(dim=1)",
        ),
    ],
    "ebll/comparison.py": [
        (
            "alone-without-warm-up",
            "the reference network is trained for fewer epochs than the others see the task",
            "settings.replace(epochs=settings.epochs + settings.warmup_epochs)",
            "settings.replace(epochs=settings.epochs)",
        ),
    ],
    "ebll/data/arrays.py": [
        ("bytes-over-256", "grey values divided by 256", "floats /= 255", "floats /= 256"),
    ],
    "ebll/data/splits.py": [
        (
            "not-stratified",
            "held-out images drawn without regard to their class",
            "held = torch.cat([order[mixed == c][:number] for c, number in enumerate(take.tolist())])",
            "held = order[: int(take.sum())]",
        ),
        (
            "test-in-training",
            "test images stay in the training split",
            '"train": (inputs[kept], labels[kept])',
            '"train": (inputs, labels)',
        ),
        (
            "standard-deviation-divisor",
            "standard deviation with the divisor n - 1",
            ".sum(axis=(0, 2)) for p in parts) / number",
            ".sum(axis=(0, 2)) for p in parts) / (number - 1)",
        ),
    ],
    "ebll/data/task.py": [
        (
            "validation-in-training",
            "validation images stay in the training split",
            '{"train": given["train"].take(kept), "validation"',
            '{"train": given["train"], "validation"',
        ),
        (
            "validation-is-test",
            "the test split serves as validation split",
            '"validation": given["train"].take(held)}',
            '"validation": given["test"]}',
        ),
        (
            "standardised-by-itself",
            "each split standardised by its own mean and deviation",
            "apply_affine(part.inputs, mean, std)",
            "apply_affine(part.inputs, *channel_affine(part.inputs))",
        ),
    ],
    "ebll/data/builtin.py": [
        (
            "patches-of-all-tiles",
            "every split takes its patches from all tiles, so that pixels of test patches are trained on",
            "every = (own[:, None] + inside)",
            "every = (tiles[:, None] + inside)",
        ),
        (
            "letters-mislabelled",
            "labels of the letters dealt out in turn while the images come letter by letter",
            "torch.arange(len(LETTERS)).repeat_interleave(EACH)",
            "torch.arange(len(LETTERS)).repeat(EACH)",
        ),
    ],
    "ebll/data/folder.py": [
        (
            "folder-test-in-training",
            "a folder's test images stay in the training split",
            'pairs = split_off_test(*pairs["train"], number, generator, classes)',
            'pairs = split_off_test(*pairs["train"], number, generator, classes) | {"train": pairs["train"]}',
        ),
    ],
    "ebll/reproduce/jobs.py": [
        (
            "gap-on-test",
            "the domain gap measured on the test split",
            "new.train.inputs",
            "new.test.inputs",
        ),
        (
            "subset-seed",
            "the new tasks' images are the same for every seed",
            ".subset(NEW_TASK_IMAGES, seed=seed)",
            ".subset(NEW_TASK_IMAGES)",
        ),
    ],
    "ebll/reproduce/claims.py": [
        (
            "new-counts-first",
            "the accuracy on new tasks averaged over the first task too",
            "np.diag(matrix)[1:].mean()",
            "np.diag(matrix).mean()",
        ),
        (
            "unfinished-runs-count",
            "runs that ended early take part in the claims",
            "if len(order) < task_count[sequence]:",
            "if len(order) < 1:",
        ),
        (
            "warm-up-in-curve",
            "the shape of the distance curve read from warm-up and training together",
            '(curves["stage"] == "train") & (curves["task"] != "")',
            'curves["task"] != ""',
        ),
        (
            "unpaired",
            "differences between methods not paired by seed",
            "return tuple((more - less).dropna())",
            "return tuple((more - less.mean()).dropna())",
        ),
        (
            "claim-sign",
            "C4 decided by EBLL's forgetting minus LwF's",
            'Part("forgetting, LwF minus EBLL", diff("forgetting", "lwf", "ebll"))',
            'Part("forgetting, LwF minus EBLL", diff("forgetting", "ebll", "lwf"))',
        ),
        (
            "margin-sign",
            "C4's margin of one point on the wrong side",
            'diff("new", "ebll", "lwf"), above=-0.01)',
            'diff("new", "ebll", "lwf"), above=0.01)',
        ),
        (
            "summed-over-pairs",
            "differences summed over the pairs of tasks where the mean is meant",
            "table.dropna().mean(axis=1)",
            "table.dropna().sum(axis=1)",
        ),
        (
            "seeds-without-a-pair",
            "a seed whose run of one pair is missing is averaged over the others",
            "table.dropna().mean(axis=1)",
            "table.mean(axis=1)",
        ),
        (
            "method-left-out",
            "the claims about all methods leave EWC out",
            '("finetune", "lwf", "ewc", "code-only", "ebll", "ebll-separate")',
            '("finetune", "lwf", "code-only", "ebll", "ebll-separate")',
        ),
        (
            "far-before-near",
            "the pairs of tasks ordered from the farthest domain to the nearest",
            "key=lambda e: mean.get(e.id, 0.0)",
            "key=lambda e: -mean.get(e.id, 0.0)",
        ),
    ],
    "ebll/reproduce/report.py": [
        (
            "reference-at-the-end",
            "changes against fine-tuning at the end of the sequence instead of just after each task",
            '"finetune" if i else None, after=task, task=task)',
            '"finetune" if i else None, after=e.tasks[-1], task=task)',
        ),
    ],
    "ebll/widgets/lab.py": [
        (
            "known-run-for-a-changed-one",
            "a run that is changed at its first step is taken from known ones without the change",
            "reuse and not made.planned and not made.changes",
            "reuse and not made.planned",
        ),
        (
            "change-after-the-last-step",
            "a change that is asked for at the last step is noted, though nothing acts on it",
            'step.stage == "train" and step.index + 1 < step.total and now',
            'step.stage == "train" and now',
        ),
        (
            "change-a-step-early",
            "a change is noted a step before it acts",
            "made.at(step.index + 1):",
            "made.at(step.index):",
        ),
    ],
    "ebll/widgets/submanifold.py": [
        (
            "explorer-seed",
            "the explorer's autoencoder is the same for every seed",
            'derive_seed(config.seed, "autoencoder", 0)',
            'derive_seed(0, "autoencoder", 0)',
        ),
    ],
    "ebll/reproduce/verdicts.py": [
        (
            "verdict-by-estimate",
            "a claim supported by its estimate, whatever the interval",
            '"supported" if low > self.above',
            '"supported" if self.estimate > self.above',
        ),
        (
            "any-part-suffices",
            "a claim supported where one of its parts is",
            '("not supported", "undecided", "supported")',
            '("supported", "undecided", "not supported")',
        ),
    ],
    "ebll/sweeps/choice.py": [
        (
            "alpha-chosen-on-test",
            "alpha chosen by the new task's test accuracy",
            'whole[~grows & (whole["new_validation"] >=',
            'whole[~grows & (whole["new"] >=',
        ),
        (
            "oracle-sees-test",
            "the oracle chooses alpha by test accuracy",
            'whole["old_validation"] + whole["new_validation"]',
            'whole["old"] + whole["new"]',
        ),
    ],
    "ebll/sweeps/runs.py": [
        (
            "validation-column-of-test",
            "the column to choose by holds test accuracy",
            "measure_accuracy(run.net, t, task.validation)",
            "measure_accuracy(run.net, t, task.test)",
        ),
    ],
}

FAULTS = [Fault(file, *row) for file, rows in _TABLE.items() for row in rows]
