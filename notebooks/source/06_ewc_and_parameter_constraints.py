# %% title [markdown] tags=["slide"]
# # EWC and the ladder of constraints on parameters
#
# Elastic Weight Consolidation (EWC) penalises changes of parameters, each by how much it mattered. May a constraint that is
# **not per parameter** do as well, or better? You climb a ladder of **quadratic penalties** that differ in one thing a rung,
# compare them with LwF and EBLL at many strengths, count what each keeps and costs, and derive how strong a penalty may be.
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
# 1. **explain** what an entry of the Fisher information means, and **spot** the bug of squaring a batch's gradient;
# 2. **write** the penalty of each rung from two small matrices, and **count** what it keeps and costs;
# 3. **compare** methods by their Pareto fronts, and **distrust** a choice that one set of images made;
# 4. **forecast** the strength at which training with a penalty diverges;
# 5. **judge** a claim of one method over another by its interval over seeds.
#
# Ids such as E6 and E8 lead to formula, function and test: see [the equations](../docs/equations.md) and
# [the glossary](../docs/glossary.md).

# %% setup tags=["environment"]
import pandas as pd
import torch

import ebll

PROFILE = "fast"  # "full": ten seeds, every image, and the GPU where there is one
lesson = ebll.course.setup(PROFILE)

# %% fisher [markdown] tags=["slide"]
# ## 1. Which parameters matter, and by how much?
#
# Take the probability $p(y \mid x)$ that the network gives to a class, and ask how steeply its logarithm rises with a
# parameter $\theta_i$. ($\theta$ alone was the temperature until now; from here on it is the parameters.) Square that, weigh
# each class by its own probability, and average over the images (E7):
#
# $$F_i = \frac1N \sum_{n=1}^N \sum_y p(y \mid x_n)\,\Big(\frac{\partial \log p(y \mid x_n)}{\partial \theta_i}\Big)^2$$
#
# If $\theta_i$ alone moves by a small $\delta$, the answers change by
# $\mathrm{KL}\big(p_\theta \,\|\, p_{\theta+\delta}\big) \approx \tfrac12 F_i\,\delta^2$: it is a curvature, the diagonal of
# the **Fisher information** matrix. ($F_i$, with an index, is not the feature extractor $F$.) EWC adds a penalty (E6) around
# the old parameters, its **anchor** $\theta^*$, to the loss of the new task (E1):
#
# $$\ell(\hat y, y) + \lambda \cdot \tfrac12 \sum_i F_i\,(\theta_i - \theta_i^*)^2$$
#
# Now the meaning: move one parameter of the first layer by 0.1, and measure how much the answers to training letters
# change. *Rank* 1 has the largest $F_i$.
#
# **Predict first.** Do the parameters of one layer matter about equally, or do they differ by factors of ten and more?

# %% starts
letters, textures = lesson.load("letters", "textures")
starts = {seed: ebll.learn_first([letters], seed=seed, device=lesson.device) for seed in lesson.seeds}


# %% by-hand
def fisher_of(net, parameters, rows=slice(None, None, 4), kind="exact"):  # every fourth letter will do
    images, labels = letters.train.inputs[rows], letters.train.labels[rows]
    return ebll.fisher.fisher_diagonal(net, lambda x: net(x, 0), parameters, images, labels, kind)


net = starts[0].net
weight, log_p = next(net.features.parameters()), torch.log_softmax(net(letters.train.inputs[:1], 0), dim=1)[0]
parts = [torch.autograd.grad(value, weight, retain_graph=True)[0].square() for value in log_p]
by_hand = sum(p * square for p, square in zip(log_p.detach().exp(), parts, strict=True))
assert torch.allclose(by_hand, fisher_of(net, [weight], slice(1))[0], rtol=1e-3, atol=1e-6)

# %% nudge-run tags=["hidden"]
images, rows = letters.train.inputs[::4], []
for seed, start in starts.items():
    net, weight = start.net, next(start.net.features.parameters())
    (fisher,) = fisher_of(net, [weight])
    order = fisher.flatten().argsort(descending=True)
    with torch.no_grad():
        before = torch.log_softmax(net(images, 0), dim=1)
        for rank in (1, 10, 100, 1_000, 10_000, 100_000):
            place = divmod(int(order[rank - 1]), weight.shape[1])
            value = weight[place].clone()
            weight[place] += 0.1
            change = (before.exp() * (before - torch.log_softmax(net(images, 0), dim=1))).sum(dim=1).mean().item()
            weight[place] = value
            rows += [(rank, seed, "measured", change), (rank, seed, "half F δ²", 0.005 * fisher[place].item())]

# %% nudge-figure tags=["slide"]
nudges = pd.DataFrame(rows, columns=["rank", "seed", "kind", "change"])
ebll.plots.over_setting(
    nudges, "rank", {"change": "change of the answers (KL)"}, xlabel="rank of the parameter", log_y=True,
    title="One parameter moves by 0.1: forecast and measurement (MLP)", caption="Training letters",
)  # fmt: skip

# %% kinds [markdown]
# **Which labels?** The *exact* version takes a backward pass a class. Two shortcuts take one pass: a label drawn from the
# network's own answer (*sampled*), or the label of the data (*empirical*). Below they are compared with the exact version, over
# all shared parameters.

# %% kinds-table tags=["slide", "hidden"]
rows = []
for start in starts.values():
    shared = [*start.net.features.parameters(), *start.net.operator.parameters()]
    made = {
        kind: torch.cat([part.flatten() for part in fisher_of(start.net, shared, slice(None), kind)])
        for kind in ebll.fisher.FISHER_KINDS
    }
    for kind in ("sampled", "empirical"):
        cosine = torch.cosine_similarity(made[kind], made["exact"], dim=0).item()
        rows.append((kind, cosine, (made[kind].sum() / made["exact"].sum()).item()))
kinds = pd.DataFrame(rows, columns=["labels", "cosine", "ratio of the sums"])
kinds.groupby("labels", sort=False).mean().round(2).rename_axis(index=None, columns="mean of the seeds")

# %% bug-run tags=["hidden"]
images, generator = letters.train.inputs[:: len(letters.train) // 256][:256], ebll.seeds.generator(0, "fisher")
labels = torch.multinomial(net(images, 0).softmax(dim=1).detach().cpu(), 1, generator=generator)[:, 0]
labels, totals = labels.to(lesson.device), {}
for size in (1, 128):
    batches = zip(images.split(size), labels.split(size), strict=True)
    losses = [torch.nn.functional.cross_entropy(net(x, 0), y) for x, y in batches]
    squares = [torch.autograd.grad(loss, weight)[0].square().sum().item() for loss in losses]
    totals[size] = sum(squares) / len(squares)

# %% bug-say tags=["hidden"]
ebll.course.say(
    "A common bug calls `loss.backward()` on a batch and squares what it finds: average first, square then. With "
    "sampled "
    f"labels and batches of 128 the first layer's total is then **{totals[1] / totals[128]:.0f} times** too small."
)

# %% kinds-saw [markdown] tags=["slide"]
# **What we saw.** The forecast lies on the measurement. The most important thousand are much alike; over the layer importances
# differ by far more than a factor of ten. Labels of the data give nearly the same *pattern*, but too small a *size*: the
# network has fitted them, so their gradients are small. The bug divides by about the batch size: of the $b^2$ products in the
# square of a sum, only the $b$ of a sample with itself survive on average. Another strength makes up for such a factor; but
# then a strength means something else for each kind of label and each batch size.

# %% ladder [markdown] tags=["slide"]
# ## 2. One formula: which products of two parameters are kept?
#
# E6 holds each parameter for itself. But parameters act together: a layer answers $W h$ to its input $h$, and two changes
# of $W$ may cancel. Write $\Delta W = W - W^*$ for all that has moved in a layer, its bias as one column more, and (E8)
#
# $$\tfrac12 \operatorname{tr}(G\,\Delta W A\,\Delta W^\top) \qquad\text{with (E9)}\qquad
# A = \mathbb E[h h^\top], \quad G = \mathbb E[g g^\top]$$
#
# summed over the layers. $A$ is the second moment of the layer's input over *old* images, with a 1 appended for the bias; $G$
# that of $g$, the gradient of $\log p(y \mid x)$ at its output, each $y$ weighed as in E7. Each rung of the ladder changes one thing:
#
# | rung | in the kit | $A$ | $G$ | it asks |
# | --- | --- | --- | --- | --- |
# | one number | `l2` | 1 | 1 | how far has a weight moved? |
# | diagonal | `ewc` | E6: no products of two parameters | | ... weighted by how much it mattered |
# | input moments | `input-moments` | measured | 1 | how far have a layer's outputs for old inputs moved? |
# | Kronecker | `kfac` | measured | measured | ... weighted by what the old classes feel of it |
#
# The last takes $A \otimes G$ (every entry of one times all of the other) for a layer's whole Fisher information, as if inputs and
# gradients were independent. Beside the ladder stand methods that hold *answers* (LwF), *features* or a *code* (EBLL) on the new
# images. The third rung holds a layer's outputs for old inputs, and needs no old image for it: with $G = 1$, E8 *is* half their mean
# squared change, as long as the layers before stay.

# %% moments-by-hand
names = {"lwf": "distill_weight", "ebll": "alpha", "l2": "l2_strength", "ewc": "ewc_strength"}
names |= {"input-moments": "moments_strength", "kfac": "kfac_strength"}
usual = {name: ebll.METHODS[name]() for name in names}


def factors_of(net):
    layers = ebll.fisher.linear_layers(net.features, net.operator)
    return ebll.fisher.kronecker_factors(net, lambda x: net(x, 0), layers, letters.train.inputs, letters.train.labels)


(A, *_), (G, *_) = factors_of(starts[0].net)  # of the first layer
read = torch.nn.functional.pad(letters.train.inputs.flatten(1), (0, 1), value=1.0)
moved = 0.01 * torch.randn(len(G), len(A), device=lesson.device)
by_hand = 0.5 * (read @ moved.T).square().sum(dim=1).mean()
assert torch.isclose(by_hand, ebll.losses.kronecker_penalty(moved @ ebll.losses.moment_root(A, rank=len(A))), rtol=1e-3)

# %% layer-text [markdown]
# **Exercise 1.** Write E8 for one layer from what a hook sees of $n$ images: the layer's inputs, and the gradients at its output.
# A case for paper: $\Delta W$ is 1 in the first row and 0 in the second, the biases have moved by 1 and 2; inputs 1 and 3,
# gradients (1, 0) and (1, 2). The penalty is 15.


# %% layer-exercise tags=["exercise"]
def my_layer_penalty(weight, bias, inputs, gradients):
    """Changes of weight (out, in) and bias (out,), inputs (n, in), gradients (n, out) -> E8, a tensor with gradient."""
    # Which of A and G has the size of the outputs? Does the formula know of a bias?
    # solution
    moved = torch.cat([weight, bias[:, None]], dim=1)
    read = torch.cat([inputs, torch.ones_like(inputs[:, :1])], dim=1)
    A, G = read.T @ read / len(read), gradients.T @ gradients / len(gradients)
    return 0.5 * (G @ moved @ A @ moved.T).trace()


# %% layer-check tags=["check"]
ebll.course.checks.layer_penalty(my_layer_penalty)

# %% spectrum [markdown] tags=["slide"]
# ### How many directions do old inputs use?
#
# A constraint that knows $A$ can leave free what old inputs do not use. The eigenvalues of $A$ say how much of the second
# moment lies in each direction; where they are small, a layer may move.
#
# **Predict first.** An image has 784 pixels. How many directions cover nine tenths of the letters' second moment in the first
# layer: about 10, 100, or 500?

# %% spectrum-figure tags=["slide"]
rows = []
for seed, start in starts.items():
    for place, moment in zip(("first layer", "second layer"), factors_of(start.net)[0], strict=True):
        values = torch.linalg.eigvalsh(moment).flip(0)
        left = 100 * (1 - values.cumsum(0) / values.sum())
        for kept in (1, 2, 4, 8, 16, 32, 64, 128, 256):
            rows.append({"kept": kept, "seed": seed, "kind": place, "left": left[kept - 1].item()})
spectrum = pd.DataFrame(rows)
ebll.plots.over_setting(
    spectrum, "kept", {"left": "second moment left out, %"}, xlabel="directions kept, the strongest ones",
    title="What letters use of a layer's input (MLP)", caption=f"The kit keeps {usual['kfac'].rank} of each layer",
)  # fmt: skip

# %% spectrum-saw [markdown] tags=["slide"]
# **What we saw.** A hundred, or somewhat fewer; in the second layer, whose inputs the network has made itself, fewer still. The
# kit keeps the strongest directions of $A$ alone (`rank`), and $W^*$ only along them: *less* than EWC's anchor and importances,
# as the next section's table shows.

# %% fronts [markdown] tags=["slide"]
# ## 3. Which rung learns more where all keep as much?
#
# To compare two methods at one strength each is to compare two strengths. So we take of each a tenth, once and ten times the
# kit's default, and draw the **stability-plasticity trade-off**: accuracy (M1) on the old against the new task. A setting is on the
# **Pareto front** of its method if no other is at least as good on both axes and better on one.
#
# **Predict first.** Which of the six reaches furthest up, to the most letters? Which will turn back, that is, lose letters when
# it gets stronger? And in which order will the four rungs lie, from left to right?

# %% fronts-run
options = lesson.options("mlp") | {"log_every": 0, "starts": starts}
grid = {"finetune": ebll.Finetune(), "feature-extraction": ebll.FeatureExtraction()}
for name, method in usual.items():
    for factor in (0.1, 1.0, 10.0):
        weight = {names[name]: factor * getattr(method, names[name])}
        grid[f"{name} x {factor:g}"] = method.replace(**weight)
runs = ebll.compare([letters, textures], grid, **options)


# %% fronts-measure tags=["hidden"]
def on_validation(runs):
    """Final accuracies on validation images, %, a row a run; `strength` is what was varied. NaN: the run diverged."""
    rows = []
    for (key, seed), run in runs.runs.items():
        ended = textures.name in set(run.accuracy["after"])
        strength = getattr(run.method, names[run.method.name]) if run.method.name in names else 0.0
        row = {"key": key, "method": run.method.name, "seed": seed, "strength": strength}
        for t, task in enumerate([letters, textures]):
            accuracy = ebll.recording.measure_accuracy(run.net, t, task.validation) if ended else float("nan")
            row[task.name] = 100 * accuracy
        rows.append(row)
    return pd.DataFrame(rows)


# %% fronts-means tags=["hidden"]
def whole(table):
    """Means of the settings of which no run diverged."""
    own = table.groupby(["key", "method", "strength"], sort=False)[["letters", "textures"]]
    return own.agg(lambda values: values.mean(skipna=False)).dropna().reset_index("key")


measured = on_validation(runs)
mean = whole(measured)
shown = mean[mean["letters"] >= mean["letters"]["finetune"].item()].drop(columns="key").reset_index()

# %% fronts-figure tags=["slide"]
table = shown.melt(["method", "strength"], ["letters", "textures"], "task", "accuracy")
table = table.assign(sequence="mlp:letters-textures", net="mlp", seed=None, after="textures")  # means of the seeds
ebll.plots.stability_plasticity(table.assign(accuracy=table["accuracy"] / 100), split="validation")

# %% fronts-table tags=["slide", "hidden"]
cells = mean.assign(factor=mean["key"].str.extract(r"x (.*)")[0].values).dropna().reset_index()
cells["both"] = cells["letters"].map("{:.1f}".format) + " | " + cells["textures"].map("{:.1f}".format)
cells = cells.pivot(index="method", columns="factor", values="both").reindex(columns=["0.1", "1", "10"])
cells.loc[list(names)].fillna("diverged").rename_axis(columns="letters | textures, %; factor of the default")

# %% fronts-saw [markdown] tags=["slide"]
# **What we saw.** The figure has the means of the seeds; settings that lose more letters than fine-tuning are in the table alone.
# The four rungs reach further up than LwF and EBLL, towards feature extraction. LwF and EBLL turn back: at a large weight most
# letters are lost; section 4 says why. At a tenth EWC keeps the fewest letters of the four. The upper ends lie so
# close together, in a figure that is but a few points wide, that the order from left to right is no answer yet. K-FAC at ten times
# its default diverged: equal factors are not equal distances from a limit (section 4).
#
# ### What does a rung keep, and what does a step cost?
#
# *Products a step* are operations in matrix products, relative to fine-tuning: counted, not timed. (L2 and EWC add none; their
# passes over all parameters cost time all the same.)

# %% price-run tags=["hidden"]
from torch.utils.flop_counter import FlopCounterMode

rows = {}
for name, key in ({"finetune": "finetune"} | {name: f"{name} x 1" for name in names}).items():
    run = runs.runs[key, lesson.seeds[0]]
    inputs, labels = textures.train.inputs[:64], textures.train.labels[:64]
    targets = run.method.record_targets(run.net, 1, inputs, run.memory)
    batch = ebll.methods.Batch(1, inputs, labels, targets)
    with FlopCounterMode(display=False) as counter:
        sum(term.weighted() for term in run.method.loss_terms(run.net, [batch], run.memory).values()).backward()
    run.net.zero_grad()
    kept = run.memory.bytes() / 1000 if run.memory else 0
    rows[name] = (kept, sum(part.shape[1] for part in targets.values()), counter.get_total_flops())

# %% price-table tags=["slide", "hidden"]
price = pd.DataFrame(rows, index=["kept between tasks, kB", "recorded, numbers an image", "products a step"]).T
price["products a step"] /= price.loc["finetune", "products a step"]
price.round({"kept between tasks, kB": 0, "products a step": 2}).astype(dict.fromkeys(price.columns[:2], int))

# %% price-saw [markdown] tags=["slide"]
# EWC keeps two numbers a parameter, the anchor and its importance. Input moments and K-FAC keep less, for $W^* R$ with $A \approx
# R R^\top$ is all that E8 needs, and double the products of a step. LwF keeps nothing, EBLL its encoder; both record targets, which
# are gone after the task. Feature distillation, the ablation of [notebook 04](04_ebll.ipynb), would keep nothing between tasks
# either: a code saves nothing over it but the length of the recorded rows.
#
# ### Choose on validation images, test once
#
# For each method we take the strength with the best mean of both tasks on validation images, then test it once.
#
# **Predict first.** By how many points will the differences to EWC change from validation to test images: 0.1, 1, or 3?

# %% choose-run tags=["hidden"]
score = mean[mean.index.get_level_values("method").isin(names)]
best = score[["letters", "textures"]].mean(axis=1).groupby("method").idxmax()
keys = {name: score.loc[best[name], "key"] for name in names}
test = runs.accuracy.query("after == 'textures'").set_index(["method", "seed", "task"])["accuracy"] * 100
splits = {"validation": measured.set_index(["key", "seed"])[["letters", "textures"]].stack(), "test": test}
rows = []
for name in [name for name in names if name != "ewc"]:
    for split, values in splits.items():
        minus = values[keys[name]] - values[keys["ewc"]]
        rows += [(name, task, split, value) for (_, task), value in minus.items()]
beyond = pd.DataFrame(rows, columns=["method", "task", "images", "points"])

# %% choose-table tags=["slide", "hidden"]
cells = beyond.groupby(["method", "task", "images"], sort=False)["points"]
cells = cells.agg(lambda points: f"{points.mean():+.1f} ({', '.join(f'{point:+.1f}' for point in points)})")
cells = cells.unstack(["task", "images"]).rename(index=keys)
cells.rename_axis(index=f"minus {keys['ewc']}, points: mean (each seed)", columns=["", ""])

# %% choose-say tags=["hidden"]
on_textures = beyond[beyond["task"] == "textures"].groupby(["images", "method"])["points"].mean()
low, high = (on_textures.groupby("images").agg(how).map("{:+.1f}".format) for how in ("min", "max"))
level, count = mean.loc["ewc", "textures"].mean() / 100, len(textures.validation)
ebll.course.say(
    "Textures, means of the seeds: the others lie "
    f"{low['validation']} to {high['validation']} points beside EWC on validation images, {low['test']} to "
    f"{high['test']} "
    f"on test images. The standard error of one accuracy on {count} images is "
    f"**{100 * (level * (1 - level) / count) ** 0.5:.1f}** points."
)

# %% choose-saw [markdown] tags=["slide"]
# **What we saw.** On the images that chose the strengths, no method learns textures better or worse than EWC by more than that
# error. On other images they fall apart. What looked free on the images that chose may have a price. The
# seeds could not warn: all share their images, so seeds that agree do not tell what other images would say. And these windows are
# cut from a few places in four photographs: they are worth fewer independent images than their number, and the standard error
# above is too small. An order of the rungs needs other tasks and more seeds: section 5.

# %% penalty [markdown] tags=["slide"]
# ## 4. How strong may a penalty be?
#
# Along one parameter E6 is a parabola of curvature $h = \lambda F_i$. A step of SGD with learning rate $\eta$
# multiplies the error $e = \theta_i - \theta_i^*$ by $1 - \eta h$: for $\eta h > 2$ each step lands farther away, on the other
# side. With momentum $\mu$ the error follows
#
# $$e_{k+1} = (1 + \mu - \eta h)\,e_k - \mu\,e_{k-1}$$
#
# **Exercise 2.** Derive the limit of $\eta h$: there the error changes its sign at every step and keeps its size. Write the
# largest strength that a penalty with these importances may have. A case for paper: importances 1, 5, 2, 0, learning rate 0.1,
# momentum 0.5: strength 6.


# %% stable-exercise tags=["exercise"]
def my_largest_strength(fisher, learning_rate, momentum):
    """Importances, a list of tensors, and two numbers -> the largest strength that is stable: a float."""
    # Which of all parameters diverges first? Does momentum raise the limit, or lower it?
    # solution
    return 2 * (1 + momentum) / (learning_rate * max(part.max().item() for part in fisher))


# %% stable-check tags=["check"]
ebll.course.checks.largest_strength(my_largest_strength)

# %% stable-limit [markdown] tags=["slide"]
# Put $e_k = (-1)^k$ into the recursion: $-1 = (1 + \mu - \eta h) + \mu$, so $\eta h < 2\,(1 + \mu)$. For E6 the largest $h$ is
# $\lambda \max_i F_i$, for E8 that of the largest eigenvalues:
#
# $$\eta\,\lambda\,a_{\max}\,g_{\max} < 2\,(1 + \mu)$$
#
# with $a_{\max}$ that of $A$ and $g_{\max}$ that of $G$, in the layer where their product is largest; 1 where nothing is
# measured. The loss of the task comes on top, so expect it roughly.
#
# **Predict first.** The network has learned letters as usual, or for a quarter of the epochs. Which rung has the same limit in
# both, which the most different ones? And will every run at 0.7 of its own limit end, and every run at 1.4 diverge?


# %% stable-run
def largest_stable(curvatures, settings=ebll.USUAL):
    return 2 * (1 + settings.momentum) / (settings.learning_rate * max(h.max().item() for h in curvatures))


def curvatures_of(name, memory):
    """What decides at strength 1: the entries of F in E6, the largest eigenvalues of each layer in E8."""
    if name in ("l2", "ewc"):
        return memory.fisher or [torch.ones(())]  # L2 measures nothing
    of_inputs = [torch.linalg.matrix_norm(R, 2) ** 2 for R in memory.roots]  # A = R R^T
    of_gradients = [torch.linalg.matrix_norm(G, 2) for G in memory.outputs] or [torch.ones(())] * len(of_inputs)
    return [a * g for a, g in zip(of_inputs, of_gradients, strict=True)]


# %% forecast-run tags=["hidden"]
rungs, rows, forecasts = ("l2", "ewc", "input-moments", "kfac"), [], ebll.Comparison()
brief = ebll.USUAL.replace(first_epochs=ebll.USUAL.first_epochs // 4)
for seed in lesson.seeds:
    short, tried = ebll.learn_first([letters], settings=brief, seed=seed, device=lesson.device), {}
    for name in rungs:
        memories = runs.runs[f"{name} x 1", seed].memory, usual[name].consolidate(short.net, 0, letters, None, seed)
        limit, of_short = (largest_stable(curvatures_of(name, memory)) for memory in memories)
        rows.append((name, seed, limit, of_short))
        tried |= {f"{name} at {share:g}": usual[name].replace(**{names[name]: share * limit}) for share in (0.7, 1.4)}
    ebll.compare([letters, textures], tried, into=forecasts, **options | {"seeds": [seed], "progress": None})
limits = pd.DataFrame(rows, columns=["rung", "seed", "usual", "a quarter of the training"])

# %% forecast-table tags=["slide", "hidden"]
diverged = {key: textures.name not in set(run.accuracy["after"]) for key, run in forecasts.runs.items()}
table = limits.groupby("rung", sort=False)[["usual", "a quarter of the training"]].mean()
table = table.map(lambda limit: f"{limit:,.0f}" if limit >= 10 else f"{limit:.2g}")
for share in (0.7, 1.4):
    counts = {name: sum(diverged[f"{name} at {share:g}", seed] for seed in lesson.seeds) for name in rungs}
    table[f"diverged at {share:g} of the limit"] = pd.Series(counts).map(f"{{}} of {len(lesson.seeds)}".format)
table.rename_axis(index=None, columns="largest stable strength, mean of the seeds")

# %% forecast-saw [markdown] tags=["slide"]
# The formula says beforehand which runs diverge. L2's limit belongs to the optimiser alone, and that of input moments depends on
# what the layers read, which changes little. EWC and K-FAC weigh by gradients, which shrink as the letters are fitted: the
# longer trained network bears several times the strength. So a strength from a paper does not transfer: it belongs to its network,
# its optimiser and its estimate of the Fisher information.
#
# ### Cross the limit yourself
#
# The widget opens below EWC's limit. Where a run diverges, its line ends early, at a large thin cross.
#
# **Predict first.** Which of these will cross the limit: strength 24,000, learning rate 0.04, or 16 epochs? And how far may
# the strength rise at a learning rate of 0.005? (Type them into the box beside a slider.)

# %% limit-widget tags=["slide"]
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

# %% turn [markdown] tags=["slide"]
# ### Why does EBLL turn back?
#
# At ten times their weights LwF and EBLL lost most letters. Were the steps too long? What counts is the largest curvature
# of a term along *any* direction (M11). For the code term a few steps of **power iteration** find it: multiply a direction by the
# matrix of second derivatives, normalise, repeat.
#
# **Predict first.** Training goes well at $\alpha = 3$ and fails at 30. Where is the limit, and what is it at a quarter of the
# learning rate?

# %% turn-source
ebll.course.source(ebll.metrics.largest_curvature)

# %% turn-limit tags=["slide"]
largest_alphas = {}
for seed in lesson.seeds:
    start = runs.runs["feature-extraction", seed].net  # its F is still that of letters
    code = runs.runs["ebll x 1", seed].memory.encoder(0)(start.features(textures.train.inputs))
    term = ebll.losses.code_distance(code, code.detach())
    curvature = ebll.metrics.largest_curvature(term, list(start.features.parameters()))
    largest_alphas[f"seed {seed}"] = largest_stable([torch.tensor(curvature)])
pd.DataFrame({"largest stable alpha": largest_alphas}).T.round(1)

# %% turn-test [markdown]
# A code lies between 0 and 1, so the term stays finite and no run breaks off. If the limit is the reason, smaller steps must move
# the turn: a quarter of the learning rate and twice as many epochs, with an $\alpha$ near the limit as well. At $\alpha = 0$, LwF
# tells what small steps do by themselves.

# %% turn-run
near = {"ebll x 3": usual["ebll"].replace(alpha=3 * usual["ebll"].alpha)}
ebll.compare([letters, textures], near, into=runs, **options)
slower = ebll.USUAL.replace(learning_rate=ebll.USUAL.learning_rate / 4, epochs=2 * ebll.USUAL.epochs)
turned = {key: runs.runs[key, 0].method for key in ("lwf x 1", "ebll x 1", "ebll x 3", "ebll x 10")}
slow_runs = ebll.compare([letters, textures], turned, **options | {"settings": slower})

# %% turn-measure tags=["hidden"]
rows = []
for kind, made in {"usual steps": runs, "a quarter of the learning rate": slow_runs}.items():
    own = on_validation(made).set_index(["key", "seed"])["letters"]
    for key, seed in [(key, seed) for key in turned for seed in lesson.seeds]:
        encoder, images = runs.runs["ebll x 1", seed].memory.encoder(0), textures.train.inputs
        with torch.no_grad():
            codes = [encoder(net.features(images)) for net in (made.runs[key, seed].net, starts[seed].net)]
        row = {"kind": kind, "seed": seed, "alpha": getattr(turned[key], "alpha", 0.0), "letters": own[key, seed]}
        rows.append(row | {"code": ebll.losses.code_distance(*codes).item()})
turns = pd.DataFrame(rows)

# %% turn-figure tags=["slide"]
ebll.plots.over_setting(
    turns, "alpha", {"letters": "letters, %", "code": "code term (E4)\non textures"}, xlabel="α of EBLL",
    title="Smaller steps move the turn (MLP, letters, then textures)", caption="Letters: validation images",
)  # fmt: skip

# %% turn-saw [markdown] tags=["slide"]
# **What we saw.** With smaller steps the largest $\alpha$ protects. About the limit the codes move farther than with small
# steps, but not yet so far that letters are lost: a bounded term swings wider, where E6 would break off. The failure need not
# show in the new task's accuracy. It shows in the code term, which a learner can measure:
# [notebook 07](07_hyperparameter_explorer.ipynb) uses that.

# %% verdict [markdown] tags=["slide"]
# ## 5. May a constraint do without single parameters?
#
# The main job has the methods at the kit's strengths, which were chosen on validation images of several pairs and on other seeds;
# it reads test images once, with more seeds. Below is its average accuracy at the end (M4), minus EWC's of the same seed, over the
# pairs that begin with letters: the mean, and its interval over the seeds (M9), which says nothing of other tasks.
#
# **Predict first.** Which methods will lie above EWC by more than their interval, and which of all will be the highest?

# %% verdict-figure tags=["slide"]
outcomes = ebll.course.main_job("outcomes")
pairs = outcomes[outcomes["sequence"].str.fullmatch("mlp:letters-[a-z]+")]
pairs = 100 * pairs.pivot(index="seed", columns=["method", "sequence"], values="average")
rows = []
for name in [name for name in [*names, "ebll-separate"] if name != "ewc" and name in set(outcomes["method"])]:
    differences = (pairs[name] - pairs["ewc"]).dropna().mean(axis=1)
    estimate, low, high = ebll.metrics.confidence_interval(differences)
    verdict = "above" if low > 0 else "below" if high < 0 else "undecided"
    row = {"id": ebll.METHODS[name].label, "statement": f"minus EWC, {len(differences)} seeds", "unit": "points"}
    rows.append(row | {"estimate": estimate, "low": low, "high": high, "verdict": verdict})
ebll.plots.claims_overview(rows)

# %% verdict-claims tags=["hidden"]
claims = ebll.course.main_job("claims").set_index("id")
told = [
    f"Claim {name} of the main job: {claims.statement[name]} **{claims.verdict[name].capitalize()}.**"
    for name in ("C11", "C12")
    if name in claims.index
]
parts = ebll.course.main_job("claims-parts")
parts = parts[parts["claim"].str.startswith("C11 (") & parts["what"].str.startswith("forgetting")]
told += [f"{part.claim}: {part.what} {part.estimate:+.1f} points, {part.verdict}." for part in parts.itertuples()]
absent = (
    "The tables in `figures` were made without L2, input moments and K-FAC, and lack the two claims about K-FAC, C11 "
    "and C12. `ebll reproduce --out figures` writes them."
)

# %% verdict-say tags=["hidden"]
above = ", ".join(row["id"] for row in rows if row["verdict"] == "above") or "none"
highest = max(rows, key=lambda row: row["estimate"])["id"]
ebll.course.say(f"Above EWC: {above}. Highest mean: {highest}. {' '.join(told) or absent}")

# %% verdict-saw [markdown] tags=["slide"]
# **What we saw.** A constraint need not hold each parameter for itself: where the claims above are supported, holding a layer's
# outputs for old inputs forgets less than holding its weights one by one, and keeps fewer bytes than EWC. L2, which measures nothing,
# is level with EWC on these pairs: the gain begins with $A$. On the CNN no gain over EWC is seen.
#
# Mind section 3: there EWC, at ten times its default, came level with K-FAC. The main job has *one* strength a method for pairs and
# for sequences, and the sequence of four bears no stronger EWC ([settings](../docs/settings.md)); part of EWC's distance is that.
# *How much* is held matters as much as *what*.
#
# The ladder goes on, in methods that the kit does not build. **OWM** and **GPM** (projected gradients) let a layer move only where
# old inputs are not: the limit of the third rung for an endless strength, by projecting the gradient. **FROMP** holds the
# answers to a few stored old images, which the setting of this course forbids.
#
# **Open question.** Factors measured at the old network say what a *small* step costs. The rungs differ most at weak strengths,
# where steps are large. Which of them would you trust after ten tasks, when its factors have been added up ten times? Name an
# experiment, its seeds and tasks, and a result that would change your mind.

# %% summary [markdown] tags=["slide"]
# ## Summary
#
# 1. **Fisher information** (E7): the mean squared gradient of $\log p(y \mid x)$ over labels weighted by $p$. An entry is the
#    curvature of the answers along one parameter. Sampled labels are right on average; the data's labels give too little, and
#    squaring a batch's mean gradient far too little.
# 2. **The ladder** (E8): $\tfrac12 \operatorname{tr}(G\,\Delta W A\,\Delta W^\top)$, with $A$ of a layer's inputs, $G$ of its
#    output gradients. Input moments are half the mean squared change of its answers to old inputs. Kept along the strongest
#    directions of $A$, these penalties keep less than EWC and double the products of a step.
# 3. **Fronts** compare methods over strengths, with equal grids. Seeds that agree share their images, so a choice on one
#    validation set may not hold on another.
# 4. **The stability limit** of a term of curvature $h$ is $\eta h = 2(1+\mu)$, with $h = \lambda \max_i F_i$ for E6 and
#    $\lambda\,a_{\max}\,g_{\max}$ for E8. It belongs to one network and one optimiser. A bounded term crosses it silently.
# 5. **A verdict** needs paired differences, an interval over seeds, several tasks, and strengths chosen elsewhere.
#
# ## What to try next
#
# - A lower or higher `rank`. How few directions does K-FAC need, and how many bytes does it keep then?
#   ```python
#   tried = {f"kfac x 1, rank {rank}": usual["kfac"].replace(rank=rank) for rank in (4, 16, 256)}
#   whole(on_validation(ebll.compare([letters, textures], tried, **options)))
#   ```
# - The data's labels in E7. Is EWC worse, or only at other strengths?
#   ```python
#   tried = {f"{s:g}": ebll.EWC(ewc_strength=s, fisher="empirical") for s in (100.0, 1000.0, 10_000.0)}
#   whole(on_validation(ebll.compare([letters, textures], tried, **options)))
#   ```
# - The chosen strengths on another new task. Which order do the methods have on these test images?
#   ```python
#   again = ebll.compare(lesson.load("letters", "mnist"), {key: grid[key] for key in keys.values()}, **options)
#   ebll.plots.stability_plasticity(again.accuracy)
#   ```
# - Next: `07_hyperparameter_explorer.ipynb` reads maps of thousands of runs, and asks what a best setting is worth.
#
# ## References
#
# - J. Kirkpatrick et al.: Overcoming catastrophic forgetting in neural networks. PNAS 2017, equation 3.
#   [arXiv 1612.00796](https://arxiv.org/abs/1612.00796)
# - G. van de Ven: On the Computation of the Fisher Information in Continual Learning. 2025.
#   [arXiv 2502.11756](https://arxiv.org/abs/2502.11756)
# - J. Martens, R. Grosse: Optimizing Neural Networks with Kronecker-factored Approximate Curvature. ICML 2015.
#   [arXiv 1503.05671](https://arxiv.org/abs/1503.05671)
# - H. Ritter, A. Botev, D. Barber: Online Structured Laplace Approximations for Overcoming Catastrophic Forgetting. NeurIPS
#   2018. [arXiv 1805.07810](https://arxiv.org/abs/1805.07810)
# - X. Li, Y. Grandvalet, F. Davoine: Explicit Inductive Bias for Transfer Learning with Convolutional Networks. ICML 2018.
#   [arXiv 1802.01483](https://arxiv.org/abs/1802.01483)
# - Named, not built: G. Zeng et al., OWM, [arXiv 1810.01256](https://arxiv.org/abs/1810.01256); G. Saha et al., GPM,
#   [arXiv 2103.09762](https://arxiv.org/abs/2103.09762); P. Pan et al., FROMP,
#   [arXiv 2004.14070](https://arxiv.org/abs/2004.14070).
