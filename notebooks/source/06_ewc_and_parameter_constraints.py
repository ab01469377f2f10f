# %% title [markdown]
# # EWC: regularising parameters, and the stability limit of a penalty
#
# LwF and EBLL penalise changes of what the network computes. Elastic Weight Consolidation (EWC) penalises changes of its
# parameters, each by how much it mattered. You build its two formulas, derive how strong such a penalty may be, compare both
# kinds of **regularisation** at many strengths, and take them apart by two **ablations**.
#
# - **What for**: to compare regularisers fairly, and to know why the strength in a paper is not yours.
# - **For whom**: anyone who knows forgetting and the code term (E4), and can take a gradient in PyTorch.
# - **Before this**: `01_joint_training.ipynb`, and `04_ebll.ipynb` for EBLL's objective.
# - **Time**: {{read}} minutes to read and do; about {{run}} s to run on two cores.
#
# {{start}}
#
# After this notebook you can
#
# 1. **compute** the diagonal of the Fisher information, and **say** what an entry means and which labels it needs;
# 2. **spot** the bug of squaring a batch's gradient, and say how wrong the result is;
# 3. **derive** the strength at which training with a penalty diverges;
# 4. **compare** methods by their Pareto fronts, at equal accuracy on the old task;
# 5. **extend** the kit by a method of your own, and use it as an ablation.
#
# Ids such as E6 and E7 lead to formula, function and test: see [the equations](../docs/equations.md) and
# [the glossary](../docs/glossary.md).

# %% setup tags=["environment"]
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

import ebll

PROFILE = "fast"  # "full": ten seeds, every image, and the GPU where there is one
lesson = ebll.course.setup(PROFILE)

# %% fisher [markdown]
# ## 1. Which parameters matter, and by how much?
#
# Take the probability $p(y \mid x)$ that the network gives to a class, and ask how steeply its logarithm rises with a
# parameter $\theta_i$. Square that, weigh each class by its own probability, and average over the images (E7):
#
# $$F_i = \frac1N \sum_{n=1}^N \sum_y p(y \mid x_n)\,\Big(\frac{\partial \log p(y \mid x_n)}{\partial \theta_i}\Big)^2$$
#
# If $\theta_i$ alone moves by a small $\delta$, the answers change by
# $\mathrm{KL}\big(p_\theta \,\|\, p_{\theta+\delta}\big) \approx \tfrac12 F_i\,\delta^2$: it is a curvature, the diagonal of
# the **Fisher information** matrix. ($F_i$, with an index, is not the feature extractor $F$.)
#
# In sections 1 and 2 the network is small and learns for half as long, so that estimates need few images. First E7 for one.
#
# **Predict first.** Do the parameters of the first layer matter about equally, or do they differ by factors of ten and more?


# %% small-net
def mlp_of_width(width):
    """The kit's MLP with another number of features: what `net=` takes is a function from shape to (F, T)."""

    def make(shape):
        first = torch.nn.Linear(torch.Size(shape).numel(), width)
        features = torch.nn.Sequential(torch.nn.Flatten(), first, torch.nn.ReLU())
        return features, torch.nn.Sequential(torch.nn.Linear(width, width // 2), torch.nn.ReLU())

    return make


letters, textures = lesson.load("letters", "textures")
half = ebll.USUAL.replace(first_epochs=ebll.USUAL.first_epochs // 2)
small = {"net": mlp_of_width(64), "settings": half, "device": lesson.device}
nets = [ebll.learn_first([letters], seed=seed, **small).net for seed in lesson.seeds]


# %% one-image
def shared(net):
    return [*net.features.parameters(), *net.operator.parameters()]


def flat(tensors):
    return torch.cat([tensor.flatten() for tensor in tensors])


net, image, label = nets[0], letters.train.inputs[:1], letters.train.labels[:1]
log_p, by_hand = torch.log_softmax(net(image, 0), dim=1)[0], 0
for y, p in enumerate(log_p.detach().exp()):
    gradient = flat(torch.autograd.grad(log_p[y], shared(net), retain_graph=True))
    by_hand = by_hand + p * gradient.square()
by_library = ebll.fisher.fisher_diagonal(net, lambda x: net(x, 0), shared(net), image, label)
assert torch.allclose(by_hand, flat(by_library), rtol=1e-3, atol=1e-6)

# %% nudge [markdown]
# Now the meaning. Move one parameter of the first layer by 0.1, and measure how much the answers to all training letters change.
# *Rank* 1 has the largest $F_i$.

# %% nudge-run
weight, images = net.features[0][1].weight, letters.train.inputs
(fisher,) = ebll.fisher.fisher_diagonal(net, lambda x: net(x, 0), [weight], images, letters.train.labels)
rows = []
with torch.no_grad():
    before = torch.log_softmax(net(images, 0), dim=1)
    for rank in (1, 100, 1_000, 10_000, 40_000):
        place = divmod(int(fisher.flatten().argsort(descending=True)[rank - 1]), weight.shape[1])
        value = weight[place].clone()
        weight[place] += 0.1
        after = torch.log_softmax(net(images, 0), dim=1)
        weight[place] = value
        change = (before.exp() * (before - after)).sum(dim=1).mean().item()
        rows.append({"rank": rank, "half F δ²": 0.5 * fisher[place].item() * 0.01, "measured change": change})
pd.DataFrame(rows).set_index("rank").map("{:.2e}".format)

# %% nudge-saw [markdown]
# Importances of one layer differ by more than a factor of ten, and the formula predicts the measured change closely. One image
# is not enough, of course.
#
# **Exercise 1.** Write E7 for a batch: for each image and each class the squared gradient of $\log p$, weighted by $p$; then
# the mean over the images.


# %% fisher-exercise tags=["exercise"]
def my_fisher(net, parameters, inputs):
    """E7 with exact weights: net(inputs) -> logits (n, classes); returns a list of tensors shaped like `parameters`."""
    # What is squared: before or after the weight, and the mean? May one backward pass serve several classes, or images?
    # solution
    totals = [torch.zeros_like(parameter) for parameter in parameters]
    for image in inputs:
        log_p = torch.log_softmax(net(image[None]), dim=1)[0]
        for value in log_p:
            gradients = torch.autograd.grad(value, parameters, retain_graph=True)
            totals = [t + value.detach().exp() * g.square() for t, g in zip(totals, gradients, strict=True)]
    return [total / len(inputs) for total in totals]


# %% fisher-check tags=["check"]
ebll.course.checks.fisher_diagonal(my_fisher)

# %% kinds [markdown]
# ### Which labels?
#
# The *exact* version weighs every class by its probability and takes a backward pass for each. Two shortcuts take one pass: a
# label drawn from the network's own answer (*sampled*), or the label of the data (*empirical*). An estimate's error is its
# distance from the exact version over all training letters, divided by the norm of that. Will more images bring all three
# there?


# %% kinds-figure
def fisher_of(net, rows, kind, seed=0):
    images, labels = letters.train.inputs[rows], letters.train.labels[rows]
    return flat(ebll.fisher.fisher_diagonal(net, lambda x: net(x, 0), shared(net), images, labels, kind, seed))


rows, exact = [], [fisher_of(net, slice(None), "exact") for net in nets]
for seed, net, right in zip(lesson.seeds, nets, exact, strict=True):
    order = torch.randperm(len(letters.train), generator=ebll.seeds.generator(seed, "lesson")).to(lesson.device)
    for kind in ebll.fisher.FISHER_KINDS:
        for count in (16, 64, 256, 1024):
            error = (fisher_of(net, order[:count], kind, seed) - right).norm() / right.norm()
            rows.append({"kind": kind, "images": count, "seed": seed, "error": error.item()})
errors = pd.DataFrame(rows)
axes = {"x": "images", "ys": {"error": "relative error"}, "xlabel": "images that the estimate is made from"}
ebll.plots.over_setting(errors, **axes, title="Three estimates of the Fisher information (MLP with 64 features)")

# %% kinds-table tags=["hidden"]
empirical = [fisher_of(net, slice(None), "empirical") for net in nets]
alike = pd.DataFrame(
    {
        "cosine": [torch.cosine_similarity(a, b, dim=0).item() for a, b in zip(empirical, exact, strict=True)],
        "ratio of the sums": [(a.sum() / b.sum()).item() for a, b in zip(empirical, exact, strict=True)],
    },
    index=[f"seed {seed}" for seed in lesson.seeds],
)
alike.rename_axis(columns="empirical and exact, all letters").round(2)

# %% kinds-saw [markdown]
# **What we saw.** Exact and sampled estimates converge, the sampled one with more noise. The empirical one converges to
# something else: the network has fitted its training labels, so gradients towards them are small. Its *pattern* over the
# parameters is nearly the same, its *size* too small: a larger strength makes up for much of that.

# %% batch [markdown]
# ## 2. Square first, or average first?
#
# Much code calls `loss.backward()` on a batch and squares what it finds: a common bug, which swaps the square and the mean of
# E7.
#
# $$\underbrace{\frac1b \sum_{n=1}^b g_n^2}_{\text{E7}} \qquad\text{becomes}\qquad
# \underbrace{\Big(\frac1b \sum_{n=1}^b g_n\Big)^2}_{\text{the bug}}
# \qquad\text{with}\quad g_n = \frac{\partial \log p(y_n \mid x_n)}{\partial \theta_i}$$
#
# **Predict first.** With batches of 128, how large is the total of the second, as a share of the first: about the same, a
# tenth, a hundredth? And why? (If $y$ is drawn from the network's own answer, the mean of $g_n$ is zero:
# $\sum_y p\,\partial \log p = \partial \sum_y p = 0$.)


# %% batch-squared
def batch_squared(net, images, labels, size):
    """The total over all parameters if each batch's mean gradient is squared: size 1 is right."""
    total, batches = 0.0, list(zip(images.split(size), labels.split(size), strict=True))
    for x, y in batches:
        loss = torch.nn.functional.cross_entropy(net(x, 0), y)
        total += flat(torch.autograd.grad(loss, shared(net))).square().sum().item()
    return total / len(batches)


# %% batch-run
rows, sizes = [], (1, 4, 16, 64, 128, 256)
for seed, net in zip(lesson.seeds, nets, strict=True):
    some = torch.randperm(len(letters.train), generator=ebll.seeds.generator(seed, "lesson"))[:512].to(lesson.device)
    images, answers = letters.train.inputs[some], torch.softmax(net(letters.train.inputs[some], 0), dim=1)
    drawn = torch.multinomial(answers.cpu(), 1, generator=ebll.seeds.generator(seed, "fisher"))[:, 0].to(lesson.device)
    for kind, labels in {"sampled labels": drawn, "the data's labels": letters.train.labels[some]}.items():
        totals = [batch_squared(net, images, labels, size) for size in sizes]
        rows += [(kind, size, seed, total / totals[0]) for size, total in zip(sizes, totals, strict=True)]
shares = pd.DataFrame(rows, columns=["kind", "size", "seed", "share"])

# %% batch-figure
expected = {"1 / batch size": {"share": {size: 1 / size for size in sizes}}}
ebll.plots.over_setting(
    shares, "size", {"share": "share of the right total"}, xlabel="batch size", log_y=True, references=expected,
    title="Squaring the gradient of a batch's mean (MLP with 64 features)",
)  # fmt: skip

# %% batch-saw [markdown]
# **What we saw.** The share is one over the batch size: of the $b^2$ products in the square, only the $b$ of a sample with
# itself survive on average. With the data's labels it is about the same, since training has brought the mean of their
# gradients near to zero. So the bug is only a factor; but then a strength means something else for every batch size.

# %% penalty [markdown]
# ## 3. How strong may the penalty be?
#
# EWC minimises the new task's loss (E1) plus a **quadratic penalty** (E6) around the old parameters, its **anchor** $\theta^*$:
#
# $$\ell(\hat y, y) + \lambda \cdot \tfrac12 \sum_i F_i\,(\theta_i - \theta_i^*)^2$$
#
# This $\lambda$ is `ewc_strength` in code; those of EBLL are others. Some summaries print the penalty without its square. Then
# its gradient does not vanish at $\theta^*$: it has no minimum, and drives every parameter away, important ones fastest.

# %% penalty-by-hand
net = nets[0]
memory = ebll.EWC().consolidate(net, 0, letters, None, seed=0)
now = [anchor + 0.01 * torch.randn_like(anchor) for anchor in memory.anchors]
parts = zip(now, memory.anchors, memory.fisher, strict=True)
by_hand = 0.5 * sum((f * (a - before).square()).sum() for a, before, f in parts)
assert torch.isclose(by_hand, ebll.losses.quadratic_penalty(now, memory.anchors, memory.fisher))
ebll.course.source(ebll.EWC.loss_terms)

# %% stable [markdown]
# ### The stability limit
#
# Along parameter $i$ the penalty is a parabola of curvature $h = \lambda F_i$. A step of SGD with learning rate $\eta$
# multiplies the error $e = \theta_i - \theta_i^*$ by $1 - \eta h$: for $\eta h > 2$ each step lands farther away, on the other
# side. With momentum $\mu$ the error follows
#
# $$e_{k+1} = (1 + \mu - \eta h)\,e_k - \mu\,e_{k-1}$$
#
# **Exercise 2.** Derive the limit of $\eta h$ with momentum. At the limit the error changes its sign at every step and keeps
# its size. From that, write the largest strength that a penalty with these importances may have. A case for paper: importances
# 1, 5, 2, 0, learning rate 0.1, momentum 0.5: strength 6.


# %% stable-exercise tags=["exercise"]
def my_largest_strength(fisher, learning_rate, momentum):
    """Importances, a list of tensors, and two numbers -> the largest strength that is stable: a float."""
    # Which of all parameters diverges first? Does momentum raise the limit, or lower it?
    # solution
    return 2 * (1 + momentum) / (learning_rate * max(part.max().item() for part in fisher))


# %% stable-check tags=["check"]
ebll.course.checks.largest_strength(my_largest_strength)

# %% stable-limit [markdown]
# Put $e_k = (-1)^k$ into the recursion: $-1 = (1 + \mu - \eta h) + \mu$, so
#
# $$\eta h < 2\,(1 + \mu) \qquad\text{and therefore}\qquad \lambda < \frac{2\,(1 + \mu)}{\eta\,\max_i F_i}$$
#
# The most important parameter alone decides. The limit holds for any term and its largest curvature (M11); the loss of the task
# comes on top, so expect it roughly.
#
# **Predict first.** Two MLPs, one with 64 features and one with 256. Will the larger one be stable up to a larger or a smaller
# $\lambda$? About the same, twice as much, ten times?

# %% stable-run
ewc = {f"ewc at {s:g}": ebll.EWC(ewc_strength=s) for s in (100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0)}
some = {name: ewc[name] for name in ("ewc at 100", "ewc at 300", "ewc at 1000", "ewc at 3000")}
settings, options = ebll.USUAL, lesson.options("mlp") | {"log_every": 0}
ewc_runs = ebll.compare([letters, textures], ewc, **options)
narrow_runs = ebll.compare([letters, textures], some, **options | {"net": mlp_of_width(64)})


# %% stable-measure tags=["hidden"]
def on_validation(runs):
    """Final accuracies on validation images, %, a row a run; `strength` is what was varied. NaN: the run diverged."""
    rows = []
    for run in runs.runs.values():
        facts, ended = dict(run.facts), textures.name in set(run.accuracy["after"])
        names = ("ewc_strength", "alpha", "strength")
        facts["strength"] = next((getattr(run.method, name) for name in names if hasattr(run.method, name)), 0.0)
        for t, task in enumerate([letters, textures]):
            accuracy = ebll.recording.measure_accuracy(run.net, t, task.validation) if ended else float("nan")
            facts[task.name] = 100 * accuracy
        rows.append(facts)
    return pd.DataFrame(rows)


wide, narrow = on_validation(ewc_runs), on_validation(narrow_runs)

# %% stable-figure
table = pd.concat([narrow.assign(kind="64 features"), wide.assign(kind="256 features")])
diverged = table[table["letters"].isna()].groupby(["kind", "strength"]).size()
whole = table.groupby(["kind", "strength"]).filter(lambda rows: rows["letters"].notna().all())
ebll.plots.over_setting(
    whole, "strength", {"letters": "letters, %", "textures": "textures, %"}, xlabel="strength λ of EWC",
    title="EWC at rising strength, until it diverges (letters, then textures)",
    caption="Validation data. A line ends before the strength at which a run diverges",
)  # fmt: skip

# %% stable-table tags=["hidden"]
limit, rows = 2 * (1 + settings.momentum) / settings.learning_rate, []  # of the curvature
for kind, runs in {"64 features": narrow_runs, "256 features": ewc_runs}.items():
    for run in runs.runs.values():
        largest = limit / max(part.max().item() for part in run.memory.fisher)
        ended, strength = textures.name in set(run.accuracy["after"]), run.method.ewc_strength
        near = 0.8 < strength / largest < 1.2  # may go either way
        right = not near and ended == (strength < largest)
        rows.append((kind, largest, near, right))
forecasts = pd.DataFrame(rows, columns=["net", "limit", "near", "right"])
limits = forecasts.groupby("net").agg(
    **{"largest stable strength, lowest seed": ("limit", "min"), "highest seed": ("limit", "max")},
    runs=("right", "size"),
    **{"outcome as forecast": ("right", "sum"), "within a fifth of the limit": ("near", "sum")},
)
limits.round().astype(int)

# %% stable-saw [markdown]
# **What we saw.** The formula says beforehand which runs diverge. And the limit differs between networks by far more than a
# factor of four: in these two MLPs, the more parameters share the work, the less each single one matters. So a strength
# from a paper does not transfer: it belongs to its network, optimiser and labels in E7, and to its batch size if the code has
# the bug of section 2.
#
# ### Cross the limit yourself
#
# The widget opens below the limit of the 256 features. Where a run diverges, its line ends early, at a large thin cross.
#
# **Predict first.** Which of these will cross the limit: strength 24,000, learning rate 0.04, or 16 epochs? And how far may
# the strength rise at a learning rate of 0.005? (Type such values into the box beside a slider.)

# %% limit-widget
ebll.widgets.forgetting_lab(
    'methods="ewc", ewc_strength=12000.0',
    hide=["methods", "alpha", "temperature", "distill_weight", "code_size", "recon_weight"],
)

# %% limit-answer [markdown]
# <details><summary>One answer</summary>
#
# Strength and learning rate enter the limit as a product, so doubling either one crosses it; the number of epochs does not
# enter, and more of them are harmless. At a quarter of the learning rate the strength may be four times as large.
#
# </details>

# %% fronts [markdown]
# ## 4. EWC or EBLL: which learns more where both keep as much?
#
# EBLL (E5) adds distillation (E3) and $\alpha$ times the code term (E4) to the new task's loss. At $\alpha = 0$ it is LwF. To
# compare two methods at one strength each is to compare two strengths. So we vary each, and draw the **stability-plasticity
# trade-off**: accuracy (M1) on the old against the new task. A setting is on the **Pareto front** of its method if no other is
# at least as good on both axes and better on one. The method whose front lies above is better there.
#
# **Predict first.** Fine-tuning and feature extraction lie at the two ends. When $\alpha$ grows tenfold and tenfold again, will
# EBLL move along a curve towards feature extraction, as EWC does with $\lambda$?

# %% fronts-run
ours, ends = ebll.EBLL(), {"finetune": ebll.Finetune(), "feature-extraction": ebll.FeatureExtraction()}
methods = ends | {f"ebll at {alpha:g}": ours.replace(alpha=alpha) for alpha in (0.0, 1.0, 3.0, 10.0, 30.0)}
ebll_runs = ebll.compare([letters, textures], methods, starts=ewc_runs.starts, **options)  # from the same networks
measured = pd.concat([wide, on_validation(ebll_runs)], ignore_index=True)


# %% fronts-long tags=["hidden"]
def for_fronts(table):
    """The accuracy table that `stability_plasticity` takes: a row a task; without alpha 30, which is far below."""
    facts = ["sequence", "net", "method", "seed", "strength"]
    table = table[~((table["method"] == "ebll") & (table["strength"] == 30))]
    rows = table.melt(facts, ["letters", "textures"], "task", "accuracy")
    return rows.assign(accuracy=rows["accuracy"] / 100, after="textures")


# %% fronts-figure
ebll.plots.stability_plasticity(for_fronts(measured), split="validation")

# %% fronts-table tags=["hidden"]
by_alpha = measured.query("method == 'ebll'").groupby("strength")[["letters", "textures"]].mean()
by_alpha.rename_axis("alpha").rename_axis(columns="EBLL, mean of the seeds, %").round(1)

# %% fronts-saw [markdown]
# **What we saw.** EWC goes on to keep more letters as its strength grows. EBLL turns back: at $\alpha = 30$, left out of the
# figure, most letters are lost, and the new task does not show it. Where both keep as many letters, their fronts lie within the
# scatter of the seeds; section 5 looks closer.
#
# ### Why does EBLL turn back?
#
# By the limit of section 3. What counts is the largest curvature of a term along *any* direction (M11). For EWC's penalty, which
# has no mixed terms, that is $\lambda \max_i F_i$. For the code term a few steps of **power iteration** find it: multiply a
# direction by the matrix of second derivatives, normalise, repeat.

# %% turn-source
ebll.course.source(ebll.metrics.largest_curvature)

# %% turn-limit
largest_alphas = {}
for seed in lesson.seeds:
    start = ebll_runs.runs["feature-extraction", seed].net  # its F is still that of letters
    code = ebll_runs.runs["ebll at 3", seed].memory.encoder(0)(start.features(textures.train.inputs))
    term = ebll.losses.code_distance(code, code.detach())
    curvature = ebll.metrics.largest_curvature(term, list(start.features.parameters()))
    largest_alphas[f"seed {seed}"] = limit / curvature
pd.DataFrame({"largest stable alpha": largest_alphas}).T.round(1)

# %% turn-test [markdown]
# A code lies between 0 and 1, so the term stays finite and, unlike EWC's, no run is reported as diverged. If the limit is the
# reason, then smaller steps must move the turn: once more from the same networks, with a quarter of the learning rate
# and twice as many epochs.

# %% turn-run
slower = settings.replace(learning_rate=settings.learning_rate / 4, epochs=2 * settings.epochs)
methods = {f"ebll at {alpha:g}": ours.replace(alpha=alpha) for alpha in (0.0, 3.0, 30.0)}
slow_runs = ebll.compare([letters, textures], methods, starts=ewc_runs.starts, **options | {"settings": slower})
slow = on_validation(slow_runs).groupby("strength")["letters"].mean()
pd.DataFrame({"usual steps": by_alpha["letters"][slow.index], "smaller steps": slow}).rename_axis("alpha").round(1)

# %% turn-saw [markdown]
# **What we saw.** With smaller steps $\alpha = 30$ protects. (LwF, $\alpha = 0$, tells what small steps do by themselves.) Such
# a failure shows only in the old task's accuracy, which a learner cannot measure, and in the code term itself, which it can:
# notebook 07 uses that.

# %% question [markdown]
# ## 5. What does each method owe to *what* it protects?
#
# Two **ablations** answer: each takes one choice away and keeps the rest.
#
# - **L2-SP**: EWC's penalty (E6) with every $F_i$ replaced by their mean. What it lacks of EWC is what the Fisher
#   information knows of single parameters.
# - **Feature distillation**: EBLL with the identity as its encoder: distillation (E3), and E4 between all features now and
#   before. What it lacks of EBLL is the choice of what to protect.
#
# **Predict first.** Four fronts in one figure. Which reaches furthest up? And where they keep as many letters as EBLL does, in
# which order will they lie, from left to right?


# %% question-l2sp
@dataclass(frozen=True)
class L2SP(ebll.methods.Method):
    """E1 + strength * E6, where every parameter has the mean importance."""

    name, label = "L2-SP", "L2-SP"
    strength: float = 300.0

    def consolidate(self, net, t, task, memory, seed):
        ewc = ebll.EWC().consolidate(net, t, task, memory, seed)
        mean = flat(ewc.fisher).mean()  # one number, which E6 spreads over all parameters
        return ebll.methods.EWCMemory(ewc.anchors, [mean] * len(ewc.anchors))

    def loss_terms(self, net, batches, memory):
        return ebll.EWC(ewc_strength=self.strength).loss_terms(net, batches, memory)


# %% question-features
@dataclass(frozen=True)
class FeatureDistillation(ebll.methods.Method):
    """LwF + strength * E4 with the features in place of codes."""

    name, label = "feature distillation", "Feature distillation"
    strength: float = 0.1
    lwf: ebll.LwF = field(default_factory=ebll.LwF)

    def record_targets(self, net, t, inputs, memory):
        features = ebll.methods.base.record(net, inputs, features=lambda f: f)
        return self.lwf.record_targets(net, t, inputs, memory) | features

    def loss_terms(self, net, batches, memory):
        distance = ebll.losses.code_distance(net.features(batches[0].inputs), batches[0].targets["features"])
        return self.lwf.loss_terms(net, batches, memory) | {"features": ebll.methods.Term(distance, self.strength)}


# %% question-run
ablations = {f"L2-SP at {s:g}": L2SP(strength=s) for s in (300.0, 1000.0, 3000.0, 10_000.0)}
ablations |= {f"feature distillation at {s:g}": FeatureDistillation(strength=s) for s in (0.03, 0.1)}
ablation_runs = ebll.compare([letters, textures], ablations, starts=ewc_runs.starts, **options)
measured = pd.concat([measured, on_validation(ablation_runs)], ignore_index=True)
ebll.plots.stability_plasticity(for_fronts(measured[~measured["method"].isin(ends)]), split="validation")

# %% question-equal [markdown]
# Fine-tuning and feature extraction are left out, so that the fronts fill the figure. Now at equal height: for each setting
# of the other three, its textures minus those of EWC where EWC keeps as many letters. Between two strengths of EWC we go in a
# straight line.


# %% question-difference tags=["hidden"]
def beyond_ewc(table):
    """Textures of each setting minus EWC's at as many letters, points: a row a setting and seed."""
    reference = table[table["method"] == "ewc"].pivot(index="strength", columns="seed").dropna()
    letters_of_ewc = reference["letters"].mean(axis=1)
    letters_of_ewc = letters_of_ewc.loc[: letters_of_ewc.idxmax()].cummax()
    rows, others = [], table[~table["method"].isin(["ewc", *ends])]
    for (method, strength), own in others.groupby(["method", "strength"]):
        height = own["letters"].mean()
        place = np.interp(height, letters_of_ewc, range(len(letters_of_ewc)), left=np.nan, right=np.nan)
        for seed, learned in own.set_index("seed")["textures"].items():
            line = reference["textures"][seed]
            rows.append((method, strength, seed, height, learned - np.interp(place, range(len(line)), line)))
    rows = pd.DataFrame(rows, columns=["method", "strength", "seed", "letters", "beyond"]).dropna()
    return rows.groupby(["method", "letters", "seed"], as_index=False)["beyond"].mean()  # if two settings are level


differences = beyond_ewc(measured)

# %% question-figure
ebll.plots.over_setting(
    differences, "letters", {"beyond": "textures beyond EWC's, points"}, by="method", log=False,
    xlabel="letters that the setting keeps, mean of the seeds, %", references={"ewc": {"beyond": 0.0}},
    title="At equal accuracy on letters: new task compared with EWC", caption="Validation data",
)  # fmt: skip

# %% question-test [markdown]
# All this was on validation images. Now, once, test images: EBLL at its defaults, each other method at the strength that kept
# most nearly as many letters on validation images.

# %% question-test-run tags=["hidden"]
mean = measured.groupby(["method", "strength"])[["letters", "textures"]].mean()
level = mean.loc[("ebll", ours.alpha), "letters"]
chosen = (mean["letters"].dropna() - level).abs().groupby("method").idxmin()  # (method, strength)
chosen = {method: f"{method} at {at:g}" for method, (_, at) in chosen.items() if method not in ends}
tests = pd.concat([ewc_runs.accuracy, ebll_runs.accuracy, ablation_runs.accuracy]).query("after == 'textures'")
tests = tests.set_index(["method", "task", "seed"])["accuracy"] * 100
minus_ewc = {name: tests[key] - tests[chosen["ewc"]] for name, key in chosen.items() if name != "ewc"}

# %% question-test-table tags=["hidden"]
table = pd.concat(minus_ewc, names=["test images, points"]).unstack("seed").rename(columns="seed {}".format)
labels = {name: key.replace("ebll", "EBLL").replace("ewc", "EWC") for name, key in chosen.items()}
table = table.rename(index={name: f"{labels[name]} minus {labels['ewc']}" for name in minus_ewc})
table.assign(mean=table.mean(axis=1)).round(1)

# %% question-saw [markdown]
# **What we saw.** The two methods that penalise parameters reach further up than EBLL, for the reason of section 4. At equal
# accuracy on letters the differences are small: where three seeds disagree in sign they decide nothing, and where they agree,
# see whether the other images agree, too, since all seeds share their images. L2-SP, without any knowledge of single
# parameters, is not far from EWC: *how much* to protect matters more here than *what*. The same must be asked of EBLL's
# encoder; on this pair its plain advantage over all features is its size. (In the plane of notebook 00 the choice can be seen.)
# All this is of one pair, one net and one learning rate.
#
# **Open question.** Can a regulariser do as well as EWC that is *not* made per parameter, at every height of the front? Name
# one experiment that would convince you, with its number of seeds and its pairs of tasks, and one result of it that would change
# your mind. There is no answer here; *What to try next* has two beginnings.

# %% summary [markdown]
# ## Summary
#
# 1. **Fisher information** (E7): the mean squared gradient of $\log p(y \mid x)$ over labels weighted by $p$. An entry is the
#    curvature of the answers along one parameter. Sampled labels are right on average; the data's labels give too little.
# 2. **Square first.** Squaring a batch's mean gradient divides the result by the batch size, on average.
# 3. **The stability limit** of a term of curvature $h$ is $\eta h = 2(1+\mu)$; for EWC $h = \lambda \max_i F_i$. It belongs
#    to one network and one optimiser, so a strength does not transfer.
# 4. **Fronts.** One strength each compares strengths. Fronts are compared at the same height, on validation images; EBLL's turns
#    back where its steps cross the limit, silently.
# 5. **Your own method** is a frozen dataclass with one to three methods. As an ablation it takes one choice away: the
#    importances from EWC, the encoder from EBLL.
#
# ## What to try next
#
# - The data's labels in E7. Is this front worse, or only at other strengths?
#   ```python
#   tried = {f"{s:g}": ebll.EWC(ewc_strength=s, fisher="empirical") for s in (100.0, 1000.0, 10_000.0)}
#   tried = on_validation(ebll.compare([letters, textures], tried, **options))
#   ebll.plots.stability_plasticity(for_fronts(tried), split="validation")
#   ```
# - The smaller learning rate for both, from the same networks: put `settings=slower` and `starts=ewc_runs.starts` into
#   `ebll.compare`, with the methods `ewc | methods`. Which front reaches further up now?
# - Both methods in the lab: `ebll.widgets.forgetting_lab('methods=("ewc", "ebll")')`. Pin a run of each that keeps about as many
#   letters as the other's, and compare their textures.
# - Next: `07_hyperparameter_explorer.ipynb` reads maps of thousands of runs, and asks what a best setting is worth.
#
# ## References
#
# - J. Kirkpatrick et al.: Overcoming catastrophic forgetting in neural networks. PNAS 2017, equation 3.
#   [arXiv 1612.00796](https://arxiv.org/abs/1612.00796)
# - G. van de Ven: On the Computation of the Fisher Information in Continual Learning. 2025.
#   [arXiv 2502.11756](https://arxiv.org/abs/2502.11756)
# - X. Li, Y. Grandvalet, F. Davoine: Explicit Inductive Bias for Transfer Learning with Convolutional Networks. ICML 2018
#   (L2-SP). [arXiv 1802.01483](https://arxiv.org/abs/1802.01483)
# - A. Rannen Triki, R. Aljundi, M. Blaschko, T. Tuytelaars: Encoder Based Lifelong Learning. ICCV 2017.
#   [arXiv 1704.01920](https://arxiv.org/abs/1704.01920)
