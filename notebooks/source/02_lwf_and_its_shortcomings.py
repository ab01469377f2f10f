# %% title [markdown] tags=["slide"]
# # Learning without Forgetting, and where it fails
#
# Learning without Forgetting (LwF) is a regularisation-based method: it records the old head's soft predictions on the new
# images, and penalises deviations from them. You write that term, look at which letters are forgotten all the same, and find
# out why.
#
# - **What for**: distillation is part of many methods, EBLL included, and its shortcoming is why EBLL exists.
# - **For whom**: anyone who has trained a network in PyTorch once.
# - **Before this**: `01_joint_training.ipynb`, or the words task, head and forgetting (M5).
# - **Time**: {{read}} minutes to read and do; about {{run}} s to run on two cores.
#
# {{start}}
#
# After this notebook you can
#
# 1. **write** the distillation term (E3), and say what is recorded, when, and from which network;
# 2. **describe** what is forgotten, class by class and image by image;
# 3. **measure** the domain gap between two tasks, and **read** from a figure what it does to forgetting;
# 4. **find** by an ablation what limits LwF: its loss, or the images it is computed on;
# 5. **diagnose** a faulty implementation from its curves.
#
# Ids such as E3 and M8 stand in [the equations](../docs/equations.md), words in [the glossary](../docs/glossary.md).

# %% setup tags=["environment"]
import copy
import itertools

import pandas as pd
import torch
from torch.nn.utils import parameters_to_vector as vector

import ebll

PROFILE = "fast"  # "full": ten seeds, every image, and the GPU where there is one
lesson = ebll.course.setup(PROFILE)

# %% answers-text [markdown] tags=["slide"]
# ## 1. What does the old head say of new images?
#
# One network for each seed learns letters; all runs of a seed branch from it. The old head can be asked about any image: its
# answer is $Y$, a probability for each of the 26 letters.
#
# **Predict first.** Which letters will it see in a 0, a 2 and a 5? And in a photograph of bricks?

# %% start
letters, mnist, digits, textures = lesson.load("letters", "mnist", "digits", "textures")
starts = {seed: ebll.learn_first([letters], seed=seed, device=lesson.device) for seed in lesson.seeds}
old = starts[0].net  # knows letters, and nothing else


# %% seen-as tags=["hidden"]
def seen_as(task):
    """The first image of each class, with the letter that the old head sees in it."""
    images = torch.stack([task.train.inputs[task.train.labels == k][0] for k in range(min(10, task.class_count))])
    sure, letter = torch.softmax(old(images, 0), dim=1).max(dim=1)
    names = [f"{letters.classes[i]} {100 * p:.0f} %" for i, p in zip(letter, sure, strict=True)]
    return task.restored(images)[:, 0].cpu().numpy(), names


# %% answers tags=["slide"]
ebll.plots.task_images(
    {task.name: seen_as(task) for task in (mnist, digits, textures)},
    title="What a network that knows only letters says of other images",
)

# %% soften-text [markdown] tags=["slide"]
# **What we saw.** Some answers make sense: shapes that digits and letters share. Others are only what this network happens to
# say. LwF wants all of them to stay while the new task is learned. The hope: then the answers to letters stay, too.
#
# What is to be kept is the whole answer, softened so that small probabilities count. With a **temperature** $\theta$ above 1,
# the soft target (E3a) is
#
# $$Z_i = \frac{Y_i^{1/\theta}}{\sum_j Y_j^{1/\theta}}$$
#
# that is, the softmax of logits divided by $\theta$. The soft targets $Z^*$ of all new images are recorded once, before the new
# task is learned. While it is learned, they are compared with the present answers $\hat Z$, softened alike. That is the
# distillation term (E3), summed over the classes and averaged over the images:
#
# $$\ell_{dist} = -\langle Z^*, \log \hat Z\rangle$$
#
# LwF minimises E1 of the new task plus $\lambda_o$ times this term, here with the tuned $\lambda_o = 1$ and $\theta = 2$. The
# old network is the **teacher**; no old image is needed. (Temperature and warm-up are the subject of
# [02b](02b_distillation_details.ipynb).)
#
# {{diagram:timeline}}
#
# LwF does 1 to 3, and records soft targets alone; encoders, decoder and codes are EBLL's (notebook 04).
#
# **Exercise 1.** Write E3 for a batch.


# %% distillation-exercise tags=["exercise"]
def my_distillation(logits_now, soft_targets, temperature):
    """E3: logits and targets (batch, classes) -> a tensor with one number. Gradient must reach the logits."""
    # The answers come as logits, the targets as probabilities. Probabilities that round to 0 must not give NaN.
    # solution
    log_now = torch.log_softmax(logits_now / temperature, dim=1)
    return -(soft_targets * log_now).sum(dim=1).mean()


# %% distillation-check tags=["check"]
ebll.course.checks.distillation(my_distillation)

# %% floor-text [markdown]
# ### LwF by hand
#
# The loop of notebook 01, with a term of the loss to choose. It starts after the **warm-up**, in which the new head alone has
# learned for two epochs; F, T and the letters' head are still the teacher's.


# %% loop
def train(net, task, seed, regulariser):
    """Learn a second task after the warm-up, in place, with the library's batches and learning rates."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4, fused=True)
    order = ebll.seeds.generator(seed, "batches", 1, 1)
    for epoch in range(8):
        optimizer.param_groups[0]["lr"] = 0.02 if epoch < 6 else 0.002
        for rows in torch.randperm(len(task.train), generator=order).split(64):
            loss = torch.nn.functional.cross_entropy(net(task.train.inputs[rows], 1), task.train.labels[rows])  # E1
            loss = loss + regulariser(net, rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net


# %% lwf-by-hand
def recorded(net, images):
    """Soft targets of the letters' head, E3a at temperature 2."""
    with torch.no_grad():
        return torch.softmax(net(images, 0) / 2, dim=1)


def distilled(images, targets):
    """LwF's regulariser: E3 on a mini-batch of the images, whose targets were recorded."""
    return lambda net, rows: ebll.losses.distillation(net(images[rows], 0), targets[rows], 2.0)


# %% runs
warm_up = {"settings": ebll.TrainSettings(epochs=2, warmup_epochs=0), "seeds": lesson.seeds, "device": lesson.device}
options = {"log_predictions": True, "samples": len(letters.validation), **lesson.options("mlp")}
warm, runs = {}, {}
for task, methods in (mnist, ["finetune", "lwf", "replay"]), (textures, ["finetune", "lwf", "ebll", "replay"]):
    heads = ebll.compare([letters, task], ["feature-extraction"], starts=starts, **warm_up)
    warm |= {(task.name, seed): run.net for (_, seed), run in heads.runs.items()}
    runs[task.name] = ebll.compare([letters, task], methods, starts=starts, **options)

# %% lwf-check
images = mnist.train.inputs
before = warm["mnist", 0]
net_by_hand = train(copy.deepcopy(before), mnist, 0, distilled(images, recorded(before, images)))
weights_by_hand = vector(net_by_hand.parameters())
assert torch.allclose(weights_by_hand, vector(runs["mnist"].runs["lwf", 0].net.parameters()), atol=1e-4)

targets, now = recorded(before, images), net_by_hand(images, 0).detach()
term = ebll.losses.distillation(now, targets, 2.0)
entropy = -(targets * targets.log()).sum(dim=1).mean()
divergence = torch.nn.functional.kl_div(torch.log_softmax(now / 2, dim=1), targets, reduction="batchmean")
assert torch.isclose(term - entropy, divergence, atol=1e-5)
table = {"E3 before mnist": entropy.item(), "E3 after mnist": term.item(), "drift": divergence.item()}
pd.DataFrame(table, index=["nats"]).round(3)

# %% floor-saw [markdown]
# The loop ends at the library's weights. And E3 cannot fall to 0: where no answer has moved it equals the entropy of the
# targets. What lies above this floor is the Kullback-Leibler divergence between old and new answers; we call it their
# **drift**. The library's loss is as short:

# %% source
ebll.course.source(ebll.LwF.loss_terms)

# %% forgotten-text [markdown] tags=["slide"]
# ## 2. What is forgotten?
#
# Now textures are learned. Fine-tuning is the baseline, LwF adds E3, and EBLL adds E3 and the code term of notebook 04, all with
# tuned weights. Accuracy (M1) says *how much* is lost; **recall**, the share of a class that is answered correctly, says *what*.
#
# **Predict first.** Does LwF save every letter a little, or some entirely? Does it lose the letters that fine-tuning loses?

# %% recall-by-hand
predictions = runs["textures"].predictions  # a row for each method, seed, step and validation image
one = predictions.query("method == 'finetune' and seed == 0 and stage == 'train'")
after = one[one["step"] == one["step"].max()]
recall_by_hand = (after["label"] == after["predicted"]).groupby(after["label"]).mean()
library = ebll.plots.class_recall(one).table.set_index("label")["after"] / 100
assert all(abs(library[letter] - recall_by_hand[letter]) < 1e-9 for letter in letters.classes)

# %% forgotten-classes tags=["slide"]
ebll.plots.class_recall(predictions, ["finetune", "lwf", "ebll"])

# %% forgotten-images tags=["slide"]
ebll.plots.forgotten_images(predictions, letters, ["finetune", "lwf", "ebll"])

# %% forgotten-saw [markdown] tags=["slide"]
# **What we saw.** Forgetting is uneven: with fine-tuning some letters lose most of their recall, others nothing. LwF loses fewer
# images, EBLL fewer still, mostly of the same letters. Many new answers are letters of a similar shape: the features have moved
# across the decision boundaries of the letters' head.
#
# The lab shows the same step by step, where differences are large (a **demonstration**, not a ranking).
#
# **Predict first.** Choose LwF under *in detail* and raise the distillation weight. Which images come back first?

# %% lab tags=["slide"] page="lab.html#new=digits"
hidden = ["temperature", "ewc_strength", "code_size", "recon_weight"]
ebll.widgets.forgetting_lab(ebll.course.DEMONSTRATIONS["weights"], hide=hidden)

# %% gap-text [markdown] tags=["slide"]
# ## 3. Does LwF forget more, the farther the new task is?
#
# How near a task is can be measured before it is learned. Take the 64 directions in which the letters' features vary most
# (their principal components, PCA), reconstruct the new task's features $v = F(x)$ from these alone, and see how much is
# missed. This **fraction of variance unexplained** (FVU, M8) measures the **domain gap**:
#
# $$\frac{\text{mean}\,\lVert r(v) - v\rVert^2}{\text{mean}\,\lVert v - \bar v\rVert^2}$$
#
# **Predict first.** Put mnist, digits (blurred handwriting from another source, which fills the whole image) and textures in
# order, from near to far. Will LwF's forgetting follow that order? And fine-tuning's?

# %% gap-by-hand
rows = []
for task, (seed, start) in itertools.product((mnist, digits, textures), starts.items()):
    own, new = (start.net.features(split.inputs).detach() for split in (letters.train, task.train))
    mean = own.mean(dim=0)
    directions = torch.linalg.svd(own - mean, full_matrices=False).Vh[:64]
    reconstructed = mean + (new - mean) @ directions.T @ directions
    missed = (reconstructed - new).square().sum(dim=1).mean()
    gap_by_hand = (missed / (new - new.mean(dim=0)).square().sum(dim=1).mean()).item()
    assert abs(gap_by_hand - ebll.metrics.unexplained_variance(reconstructed, new)) < 1e-5
    rows.append({"task": task.name, "seed": seed, "gap": gap_by_hand})
gaps = pd.DataFrame(rows).pivot(index="seed", columns="task", values="gap")
gap = gaps.mean().sort_values()  # from near to far
gap.round(2).to_frame("gap").transpose()

# %% gap-figure-text [markdown]
# Forgetting (M5) is from the main job (`make reproduce`): tuned methods, five seeds or more.

# %% gap-figure tags=["slide"]
main_job = pd.read_csv("../figures/accuracy.csv")
ebll.plots.forgetting_by_gap(main_job, gap.rename("mlp:letters-{}".format))

# %% gap-claim tags=["hidden"]
claim = pd.read_csv("../figures/claims.csv").set_index("id").loc["C8"]
learned = ebll.plots.outcomes(main_job, [f"mlp:letters-{name}" for name in gap.index])
learned = learned.groupby(["sequence", "method"])["new"].mean().unstack("method")
price = (learned["lwf"] - learned["ebll"]).sort_values()
ebll.course.say(
    f"Claim C8 of the main job: {claim.statement} **{claim.verdict.capitalize()}**. EBLL pays for it: it learns these "
    f"new tasks {price.iloc[0]:.1f} to {price.iloc[-1]:.1f} points less well than LwF."
)

# %% gap-saw [markdown] tags=["slide"]
# **What we saw.** LwF forgets far less than fine-tuning at every gap, and on average more with each step from near to far,
# most with the smallest step: the gap gives the order, not the size. EBLL saves a part of it, at a price.
#
# But three tasks are three points, and they differ in more than their gap.

# %% drift-text [markdown] tags=["slide"]
# ## 4. Is it the loss, or the images?
#
# The new images on which LwF distils are **proxy data**: they stand in for the letters, which are gone. We measure the
# drift of the letters' head (E3 above its floor) on held-out images of both.
#
# **Predict first.** LwF makes the drift on new images smaller by some factor. Is the factor on letters about the same?


# %% drift
def drift(before, after, split):
    """E3 above its floor, of the letters' head."""
    targets, present = recorded(before, split.inputs), recorded(after, split.inputs)
    return (targets * (targets / present).log()).sum(dim=1).mean().item()


# %% drift-runs tags=["hidden"]
kinds = {"new images": lambda task: task.validation, "letters": lambda task: letters.validation}
rows = []
for task, name, seed in itertools.product((mnist, textures), ("finetune", "lwf"), lesson.seeds):
    after = runs[task.name].runs[name, seed].net
    for kind, split in kinds.items():
        nats = drift(starts[seed].net, after, split(task))
        rows.append({"task": task.name, "method": name, "seed": seed, "answers to": kind, "nats": nats})
drifts = pd.DataFrame(rows)

# %% drift-figure tags=["slide"]
lines = drifts.assign(gap=drifts["task"].map(gap.round(2)), line=drifts["method"] + ", " + drifts["answers to"])
ebll.plots.over_setting(
    lines, "gap", {"nats": "drift, nats"}, by="line", xlabel="gap of the new task (mnist, textures)", log=False,
    log_y=True, title="How far the answers of the letters' head drift", caption="Validation images",
)  # fmt: skip

# %% drift-factor tags=["slide", "hidden"]
means = drifts.groupby(["answers to", "task", "method"])["nats"].mean().unstack("method")
(means["finetune"] / means["lwf"]).unstack("task").round(1).rename_axis(columns="drift, times smaller with LwF")

# %% proxy-text [markdown] tags=["slide"]
# **What we saw.** LwF keeps its promise where it was given: on the new images it nearly stops the drift. On letters, which are
# what counts, it does so far less, the least with textures.
#
# An **ablation** exchanges one part and leaves the rest. Instead of the new images, E3 gets
#
# - as many *letters*, without labels, which no learner may have;
# - *five letters a class*, without labels: **replay** with soft targets (dark experience replay);
# - random *noise*.
#
# Beside them: Replay, which learns five stored letters a class with their labels (E1).
#
# **Predict first.** Put them in order, with fine-tuning and LwF among them. Does the same order hold for mnist and textures?

# %% proxy-runs
rows = []
for task, seed in itertools.product((mnist, textures), lesson.seeds):
    n, (net, teacher) = len(task.train), (warm[task.name, seed], starts[seed].net)
    stored = ebll.Replay().consolidate(teacher, 0, letters, None, seed).stored[0].inputs
    noise = torch.randn(task.train.inputs.shape, generator=ebll.seeds.generator(seed, "noise")).to(lesson.device)
    proxies = {"E3 on letters": letters.subset(n).train.inputs, "E3 on five a class": stored, "E3 on noise": noise}
    for name, proxy in proxies.items():
        proxy = proxy[torch.arange(n) % len(proxy)]  # from the start again where there are fewer
        learned = train(copy.deepcopy(net), task, seed, distilled(proxy, recorded(teacher, proxy)))
        right = [ebll.recording.measure_accuracy(learned, t, one.test) for t, one in enumerate([letters, task])]
        stages = runs[task.name].runs["lwf", seed].accuracy.assign(method=name)
        stages.loc[stages["after"] == task.name, "accuracy"] = right  # the row after letters is the same
        rows.append(stages)

# %% proxy-figure tags=["slide"]
library = [pair.accuracy.query("method != 'ebll'") for pair in runs.values()]
proxy_accuracy = pd.concat([*library, *rows])
ebll.plots.forgetting_bars(proxy_accuracy)

# %% proxy-table tags=["slide", "hidden"]
outcomes = ebll.plots.outcomes(proxy_accuracy)
new = outcomes.groupby(["method", "words"])["new"].mean().unstack("words").round(1)
new.rename(index=lambda name: ebll.METHODS[name].label if name in ebll.METHODS else name).rename_axis(
    index=None, columns="accuracy on the new task, %"
)

# %% proxy-saw [markdown] tags=["slide"]
# **What we saw.** On letters, without a single label, the same loss forgets next to nothing, and the new
# tasks are learned as well. The rest of the order differs: images of mnist are good proxies, better than five stored letters a
# class; those of textures are worse than these. **The proxy data is the bottleneck, not the loss.** And LwF cannot
# choose it: it comes with the new task.
#
# Of five stored images a class, soft targets protect more than labels do. Where none may be stored, EBLL keeps an encoder, which
# knows what the letters need of the features.
#
# **Open question.** Unlabelled images can be had without end. Any may serve as proxy data, and no letters are left to judge by.
# What would you measure, with the old network alone, to choose among them? How does your measure order mnist, digits, textures
# and noise? *What to try next* puts it to the test.

# %% bugs-text [markdown] tags=["slide"]
# ## 5. Which curve has which bug?
#
# Four colleagues have written LwF, and each does one thing in another way:
#
# - `"teacher not frozen"`: the targets are computed in every step, by the network that is being trained;
# - `"mean squared error"`: `MSELoss` between the soft answers in place of E3;
# - `"targets in train mode"`: their network has dropout, and it was on while the targets were recorded;
# - `"late warm-up"`: the targets were recorded first, and then the new head was warmed up.
#
# **Predict first.** Whose run will be that of fine-tuning, step by step? Whose logged term will look normal? And which
# is no bug at all?

# %% bug-dropout tags=["hidden"]
dropout = torch.nn.Sequential(copy.deepcopy(old.operator), torch.nn.Dropout(0.5))
noisy = ebll.Network(copy.deepcopy(old.features), dropout, letters.input_shape)
noisy.heads.append(copy.deepcopy(old.heads[0]))
with ebll.seeds.seeded(0, "dropout"):
    noisy_targets = recorded(noisy.train(), images)


# %% bugs
def not_frozen(net, rows):
    return ebll.losses.distillation(net(images[rows], 0), recorded(net, images[rows]), 2.0)


def squared(net, rows):
    return torch.nn.functional.mse_loss(torch.softmax(net(images[rows], 0) / 2, dim=1), targets[rows])


bugs = {
    "LwF": distilled(images, targets),
    "teacher not frozen": not_frozen,
    "mean squared error": squared,
    "targets in train mode": distilled(images, noisy_targets),
    "late warm-up": distilled(images, recorded(starts[0].net, images)),
}


# %% bug-runs tags=["hidden"]
def logged(term, curve):
    """The same term; every fifth step writes down its value and the accuracy on letters."""
    steps = itertools.count()

    def same(net, rows):
        value, step = term(net, rows), next(steps)
        if step % 5 == 0:
            right = 100 * ebll.recording.measure_accuracy(net, 0, letters.validation)
            log.append({"curve": curve, "seed": 0, "step": step, "term": value.item(), "letters": right})
        return value

    return same


log = []
for bug, term in bugs.items():
    train(copy.deepcopy(before), mnist, 0, logged(term, "lwf" if bug == "LwF" else ebll.course.curve_of(bug)))

# %% bug-figure tags=["slide"]
ebll.plots.over_setting(
    pd.DataFrame(log), "step", {"term": "term as logged", "letters": "letters, %"}, by="curve", xlabel="step",
    log=False,
    title="Four implementations beside LwF: letters, then mnist",
    caption="Above: the term on mini-batches of mnist. Below: validation images of letters",
)  # fmt: skip

# %% bug-exercise-text [markdown] tags=["slide"]
# **What we saw.** One curve lies on LwF's; three forget more, each in its own way.
#
# **Exercise 2.** Which curve is whose, and by what do you know it? At the first step no answer has moved: what must the term be?

# %% bug-exercise tags=["exercise"]
# A dict: the name of a curve -> what that colleague does, in the words above.
# solution
my_bugs = {
    # Near 0 from the first step on: probabilities are small, their squared differences smaller. So is the gradient.
    "A": "mean squared error",
    # LwF's own curve: the warm-up moves the new head alone, so the targets are the same before and after it.
    "B": "late warm-up",
    # It begins at the entropy, as LwF does, and looks normal. But targets that are always the present answers leave a
    # term at its minimum, without a gradient: these are the steps of fine-tuning.
    "C": "teacher not frozen",
    # Above the entropy at the first step, when nothing has moved: dropout has changed the targets. Letters are lost to
    # learn them.
    "D": "targets in train mode",
}

# %% bug-check tags=["check"]
ebll.course.checks.find_the_bug(my_bugs)

# %% summary [markdown] tags=["slide"]
# ## Summary
#
# 1. **Distillation** (E3) is the cross-entropy between the old head's soft targets on the new images, recorded from the
#    network before the task, and its present answers. It cannot fall below the targets' entropy.
# 2. **What is forgotten** is uneven: some classes lose most of their recall, others nothing.
# 3. **The domain gap**, measured as the FVU (M8) of the new features, orders LwF's mean forgetting.
# 4. **The proxy data is the bottleneck.** LwF nearly stops the drift of answers to new images, and far less that of answers to
#    letters. The same term on letters forgets next to nothing.
# 5. **Bugs** show at the first step, where the term must be the entropy of the old answers, and in the old accuracy: a term that
#    is logged need not have a gradient.
#
# ## What to try next
#
# - Distil on digits, or on mnist, while textures are learned. Does your measure from the open question foresee what is kept?
#   ```python
#   proxy = digits.train.inputs[torch.arange(len(textures.train)) % len(digits.train)]
#   net = train(copy.deepcopy(warm["textures", 0]), textures, 0, distilled(proxy, recorded(old, proxy)))
#   ebll.recording.measure_accuracy(net, 0, letters.validation)
#   ```
# - Next: `03_autoencoder_submanifold.ipynb` finds out what of the features a task needs.
#
# ## References
#
# - Li and Hoiem, LwF: [arXiv 1606.09282](https://arxiv.org/abs/1606.09282). Rannen Triki et al., EBLL:
#   [arXiv 1704.01920](https://arxiv.org/abs/1704.01920). Buzzega et al., dark experience replay:
#   [arXiv 2004.07211](https://arxiv.org/abs/2004.07211). Lee et al., distillation on unlabelled images:
#   [arXiv 1903.12648](https://arxiv.org/abs/1903.12648)
