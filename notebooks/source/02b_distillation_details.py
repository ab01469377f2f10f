# %% title [markdown] tags=["slide"]
# # Distillation in detail: mode, temperature, warm-up
#
# An appendix to `02_lwf_and_its_shortcomings.ipynb`, for whoever implements distillation or compares implementations. Three
# details of LwF look like matters of taste, and each of them changes the method: the mode in which the teacher answers, the
# temperature with its weight, and the warm-up of the new head.
#
# - **What for**: to write distillation without the usual bugs, and to port a setting from one implementation to another.
# - **For whom**: anyone who has met the distillation term (E3) and its soft targets (E3a).
# - **Before this**: `02_lwf_and_its_shortcomings.ipynb`. The course goes on without this appendix.
# - **Time**: {{read}} minutes to read and do; about {{run}} s to run on two cores.
#
# {{start}}
#
# After this notebook you can
#
# 1. **record** soft targets in the right mode, and say what goes wrong in the other one;
# 2. **explain** what the temperature does to soft targets and to their gradient, and **match** the weight when you change it;
# 3. **judge** when it helps to train the new head alone first.
#
# Ids such as E3 and M1 lead to formula, function and test: see [the equations](../docs/equations.md), and
# [the glossary](../docs/glossary.md) for words of the field.

# %% setup tags=["environment"]
import copy
import math

import pandas as pd
import torch

import ebll

PROFILE = "fast"  # "full": ten seeds, every image, and the GPU where there is one
lesson = ebll.course.setup(PROFILE)

# %% mode-text [markdown] tags=["slide"]
# ## 1. In which mode does the teacher answer?
#
# Some implementations record the soft targets (E3a) once before the task, others keep a frozen copy of the old network and ask
# it in every step. With the same images, and nothing random inside the network, these are the same numbers:

# %% recorded
letters, mnist, textures = lesson.load("letters", "mnist", "textures")
starts = {seed: ebll.learn_first([letters], seed=seed, device=lesson.device) for seed in lesson.seeds}
old, images = starts[0].net, mnist.train.inputs

teacher = copy.deepcopy(old)
recorded = ebll.LwF().record_targets(old, 1, images, None)["soft_targets"]  # what the library does, once
for rows in torch.randperm(len(images), generator=ebll.seeds.generator(0, "steps")).split(64):
    assert torch.allclose(recorded[rows], ebll.losses.soften(teacher(images[rows], 0), 2.0), atol=1e-6)

# %% mode-predict [markdown] tags=["slide"]
# The nets of this kit have nothing random inside, but many have dropout. We put one before the heads of the old network, and
# leave it on, as in train mode. The drift is E3 above its floor, between two answers to the same images.
#
# **Predict first.** At a dropout rate of one half, for how many images of mnist do two answers name different letters: a
# tenth, a third, or more than half?

# %% mode-run
rows = []
for rate, (seed, start) in ((rate, pair) for rate in (0.0, 0.1, 0.3, 0.5, 0.7) for pair in starts.items()):
    operator = torch.nn.Sequential(start.net.operator, torch.nn.Dropout(rate))
    noisy = ebll.Network(start.net.features, operator, letters.input_shape)
    noisy.heads.append(start.net.heads[0])
    with ebll.seeds.seeded(seed, "dropout"), torch.no_grad():
        once, again = (noisy.train()(images, 0) for _ in range(2))
    targets = ebll.losses.soften(once, 2.0)
    drift = ebll.losses.distillation(again, targets, 2.0) - ebll.losses.distillation(once, targets, 2.0)
    differ = (once.argmax(dim=1) != again.argmax(dim=1)).double().mean()
    rows.append(
        {"rate": rate, "seed": seed, "kind": "dropout on", "differ": 100 * differ.item(), "drift": drift.item()}
    )
    noisy.eval()
modes = pd.DataFrame(rows)

# %% mode-figure tags=["slide"]
ebll.plots.over_setting(
    modes, "rate", {"differ": "another letter, %", "drift": "drift, nats"}, log=False, xlabel="dropout rate",
    title="Two answers of one teacher in train mode", caption="The letters' head on training images of mnist",
)  # fmt: skip

# %% mode-half tags=["slide", "hidden"]
half = modes[modes["rate"] == 0.5]["differ"].mean()
ebll.course.say(
    f"**What we saw.** At a rate of one half two answers name different letters for {half:.0f} % of the images. (This "
    "network never learned with dropout; one that did would contradict itself less.)"
)

# %% mode-saw [markdown]
# A teacher in train mode contradicts itself, more with every unit that is dropped. Recorded once, its targets
# are noise that LwF then learns by heart; asked in every step, it says something else each time. So it answers in eval mode. The
# network in training may keep its dropout. (Notebook 02 shows what the bug costs.)
#
# **Exercise 1.** Record soft targets. The network comes in train mode and has dropout. Leave the network as you found it.


# %% recorded-exercise tags=["exercise"]
def my_recorded_targets(net, inputs, t, temperature):
    """E3a of the old head t on all inputs: (n, classes of head t). net(inputs, t) gives logits."""
    # Training goes on with the same network afterwards.
    # solution
    was = net.training
    net.eval()
    with torch.no_grad():
        soft = torch.softmax(net(inputs, t) / temperature, dim=1)
    net.train(was)
    return soft


# %% recorded-check tags=["check"]
ebll.course.checks.recorded_targets(my_recorded_targets)

# %% source-text [markdown]
# Inside `with ebll.networks.frozen(net):` a network is in eval mode and its parameters take no gradient, and afterwards all
# is as before:

# %% source
ebll.course.source(ebll.networks.frozen)

# %% temperature-text [markdown] tags=["slide"]
# ## 2. What does the temperature change?
#
# The gradient of E3 with respect to an image's logits is short:
#
# $$\frac{\partial\,\ell_{dist}}{\partial\,\text{logits}} = \frac{\hat Z - Z^*}{\theta}$$
#
# Hinton's distillation multiplies the loss by $\theta^2$. E3 does not, and neither do LwF nor EBLL. Some descriptions of EBLL
# ask for a temperature below 1, in order to make the small probabilities larger.
#
# **Predict first.** Does a temperature below 1 make them larger? And from temperature 8 to 16, by what factor does the
# gradient shrink: 1.4, 2 or 4?

# %% temperature-gradient
methods = {"finetune": ebll.Finetune(), "lwf": ebll.LwF()}
runs = ebll.compare([letters, mnist], methods, starts=starts, **lesson.options("mlp"))
rows = []
for theta, seed in ((theta, seed) for theta in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0) for seed in lesson.seeds):
    before, after = (net(images, 0).detach() for net in (starts[seed].net, runs.runs["finetune", seed].net))
    targets = ebll.losses.soften(before, theta)
    by_hand = (ebll.losses.soften(after, theta) - targets) / theta
    now = after.clone().requires_grad_()
    ebll.losses.distillation(now, targets, theta).backward()
    assert torch.allclose(by_hand, now.grad * len(images), atol=1e-5)  # the term is a mean over the images
    others, length = 100 * (1 - targets.amax(dim=1).mean().item()), by_hand.norm(dim=1).mean().item()
    for kind, factor in (("E3", 1.0), ("E3 times θ²", theta**2)):
        rows.append({"theta": theta, "seed": seed, "kind": kind, "others": others, "gradient": factor * length})
strength = pd.DataFrame(rows)

# %% temperature-figure tags=["slide"]
ebll.plots.over_setting(
    strength, "theta", {"gradient": "length of the gradient"}, log_y=True, xlabel="temperature θ",
    title="Gradient of distillation on an image's logits",
    caption="Letters' head on mnist, after fine-tuning on mnist",
)  # fmt: skip

# %% temperature-table tags=["slide", "hidden"]
mean = strength.query("kind == 'E3'").groupby("theta")[["others", "gradient"]].mean()
table = mean.rename(columns={"others": "not on the first choice, %", "gradient": "length of the gradient"}).T
table.rename_axis(columns="temperature θ").map("{:.4g}".format)

# %% temperature-saw [markdown] tags=["slide"]
# **What we saw.** A temperature below 1 sharpens: what the old network knows of the other classes is lost, so asking for one is a
# mistake. Above 1 the small probabilities count. And the gradient of E3 falls with the temperature, in the end about as
# $1/\theta^2$: besides the $\theta$ in the denominator, the difference $\hat Z - Z^*$ shrinks like $1/\theta$. Hinton's factor
# makes up for just that.
#
# **Exercise 2.** Write E3a for logits, without any `softmax` of PyTorch. Logits may be as large as 3,000, of either sign.


# %% soften-exercise tags=["exercise"]
def my_soften(logits, temperature):
    """E3a: logits (batch, classes) -> softened probabilities (batch, classes)."""
    # float32 holds no number above 3e38, and takes e^-110 for 0. What may be added to all logits of an image?
    # solution
    powers = torch.exp((logits - logits.amax(dim=1, keepdim=True)) / temperature)
    return powers / powers.sum(dim=1, keepdim=True)


# %% soften-check tags=["check"]
ebll.course.checks.soften(my_soften)

# %% matched-text [markdown] tags=["slide"]
# ### The same temperature, another weight
#
# A plain sweep over $\theta$ mixes two things, the shape of the targets and the strength of the term. So LwF is trained twice:
# with its weight $\lambda_o$ left at 1, and with a weight that gives the term the gradient that it has at temperature 2.
#
# **Predict first.** Of the seven settings (temperature 0.5, 1 or 8 with the weight fixed or matched, and temperature 2), which
# will keep fewest letters?

# %% matched-run
gradient = strength.query("kind == 'E3'").groupby("theta")["gradient"].mean()
settings = {}
for theta in (0.5, 1.0, 2.0, 8.0):
    settings |= {("weight 1", theta): 1.0, ("matched weight", theta): gradient[2.0] / gradient[theta]}
variants = {f"{kind}, θ {theta:g}": ebll.LwF(temperature=theta, distill_weight=round(weight, 2))
            for (kind, theta), weight in settings.items() if theta != 2.0}  # fmt: skip
sweep = ebll.compare([letters, mnist], variants, starts=starts, **lesson.options("mlp"))


# %% matched-rows tags=["hidden"]
def both_right(net):  # on validation images: this explores a setting
    pair = {"old": letters, "new": mnist}
    right = [ebll.recording.measure_accuracy(net, t, task.validation) for t, task in enumerate(pair.values())]
    return {name: 100 * share for name, share in zip(pair, right, strict=True)}


rows = []
for kind, theta in settings:
    for seed in lesson.seeds:
        run = runs.runs["lwf", seed] if theta == 2.0 else sweep.runs[f"{kind}, θ {theta:g}", seed]
        rows.append({"theta": theta, "kind": kind, "seed": seed} | both_right(run.net))
temperatures = pd.DataFrame(rows)
unprotected = pd.DataFrame([both_right(runs.runs["finetune", seed].net) for seed in lesson.seeds]).mean()

# %% matched-figure tags=["slide"]
ebll.plots.over_setting(
    temperatures, "theta", {"old": "letters (old), %", "new": "mnist (new), %"}, xlabel="temperature θ of LwF",
    title="Accuracy with LwF over the temperature: letters, then mnist", references={"finetune": dict(unprotected)},
    caption="Validation images; at θ = 2 both weights are the same",
)  # fmt: skip

# %% matched-saw [markdown] tags=["slide"]
# **What we saw.** Sharp targets keep fewer letters even where the term is as strong. For soft ones the differences are
# small, even at a fixed weight, where their term is many times weaker. And temperature 0.5 at weight 1 keeps fewer than
# fine-tuning: its gradient is several times as large, and weight 1 is near the limit above which the steps overshoot (notebook
# 07), which is probably the reason. The lower panel spans few points, and its differences are noise. Whoever copies a temperature
# without its weight, or a weight from code that multiplies by $\theta^2$, changes the method.

# %% warmup-text [markdown] tags=["slide"]
# ## 3. Does it help to train the new head alone first?
#
# At the first step the new head is random, so its loss (E1) is large, and its gradient reaches $F$ and $T$ before there is
# anything worth learning there. LwF therefore begins with a **warm-up**: a few epochs in which only the new head learns. The
# library does this for every method, two epochs by default. First the gradient of E1 on F at the first step:

# %% warmup-gradient tags=["slide"]
rows = []
for task, seed in ((task, seed) for task in (mnist, textures) for seed in lesson.seeds):
    two = ebll.TrainSettings(epochs=2, warmup_epochs=0)  # the warm-up alone: feature extraction for two epochs
    options = {"start": starts[seed], "seed": seed, "device": lesson.device, "consolidate_last": False}
    warm = ebll.run_sequence([letters, task], "feature-extraction", settings=two, **options).net
    fresh = copy.deepcopy(starts[seed].net)
    with ebll.seeds.seeded(seed, "head", 1):
        fresh.add_head(task.class_count)  # the head that a run of this seed begins with
    for head, net in (("random", fresh), ("warmed up", warm)):
        loss = ebll.losses.class_loss(net(task.train.inputs, 1), task.train.labels)
        gradient = torch.autograd.grad(loss, list(net.features.parameters()))
        length = math.hypot(*(part.norm().item() for part in gradient))
        rows.append({"task": task.name, "head": head, "seed": seed, "E1": loss.item(), "gradient on F": length})
gradients = pd.DataFrame(rows)
gradients.groupby(["task", "head"])[["E1", "gradient on F"]].mean().round(2)

# %% warmup-predict [markdown] tags=["slide"]
# **Predict first.** Without the warm-up, which method keeps fewer letters than with it: fine-tuning, LwF, or both? And does it
# matter more before textures, where the first gradient is larger?

# %% warmup-runs
cold = ebll.TrainSettings(warmup_epochs=0)
pairs = {}
for task in (mnist, textures):
    named = {f"{method.label}, no warm-up": method for method in methods.values()}
    with_it = runs if task is mnist else ebll.compare([letters, task], methods, starts=starts, **lesson.options("mlp"))
    without = ebll.compare([letters, task], named, settings=cold, starts=starts, **lesson.options("mlp"))
    pairs[task.name] = ebll.Comparison(with_it.runs | without.runs)

# %% warmup-figure tags=["slide"]
ebll.plots.accuracy_over_steps(pairs["mnist"].curves)

# %% warmup-table tags=["slide", "hidden"]
rows = [
    {"new task": task, "method": name, "seed": f"seed {seed}",
     "letters": 100 * ebll.recording.measure_accuracy(run.net, 0, letters.validation)}
    for task, pair in pairs.items() for (name, seed), run in pair.runs.items()
]  # fmt: skip
kept = pd.DataFrame(rows).pivot(index=["new task", "seed"], columns="method", values="letters")
gain = {method.label: kept[name] - kept[f"{method.label}, no warm-up"] for name, method in methods.items()}
table = pd.DataFrame(gain).stack().unstack("seed").rename_axis(["new task", "method"])
table.assign(mean=table.mean(axis=1)).rename_axis(columns="letters kept with warm-up minus without, points").round(1)

# %% warmup-count tags=["slide", "hidden"]
count = {name: f"{(points > 0).to_numpy().sum()} of {points.size}" for name, points in table.groupby("method")}
ebll.course.say(
    f"**What we saw.** The warm-up keeps more letters in {count['LwF']} runs of LwF and in {count['Fine-tuning']} of "
    "fine-tuning."
)

# %% warmup-saw [markdown]
# Fine-tuning before mnist gains most: nothing else protects its letters. Before textures its seeds lie far apart, although the
# first gradient is even larger there. So the first gradient alone does not say what will be forgotten. LwF gains less, perhaps
# because its own gradient sets in as soon as the answers move.
#
# A run with warm-up has also seen its task for two more epochs. Are they the reason? Fine-tuning for ten epochs, cold:

# %% warmup-longer tags=["slide"]
ten = ebll.TrainSettings(warmup_epochs=0, epochs=10)
longer = ebll.compare([letters, mnist], ["finetune"], settings=ten, starts=starts, **lesson.options("mlp"))
right = [100 * ebll.recording.measure_accuracy(run.net, 0, letters.validation) for run in longer.runs.values()]
table = {"ten epochs, no warm-up": right, "eight epochs after the warm-up": kept["finetune"]["mnist"].tolist()}
pd.DataFrame(table, index=[f"seed {seed}" for seed in lesson.seeds]).T.rename_axis(columns="letters kept, %").round(1)

# %% open [markdown] tags=["slide"]
# It is not the epochs.
#
# **Open question.** A warm-up learns a head for features that are about to move. What would happen to old and new accuracy if it
# lasted until the head has converged? And if the learning rate of F and T rose slowly from 0 instead, with no warm-up of the
# head? Write down a prediction for fine-tuning and for LwF, then try the first with `ebll.TrainSettings(warmup_epochs=20)`.

# %% summary [markdown] tags=["slide"]
# ## Summary
#
# 1. **Recording.** The teacher answers in eval mode and without gradient; in train mode its targets are noise. Recorded once or
#    asked in every step, the numbers are the same.
# 2. **Temperature.** Above 1 the small probabilities count; below 1 it sharpens, and keeps less at an equal gradient. The gradient
#    is $(\hat Z - Z^*)/\theta$ and falls about as $1/\theta^2$; E3 has no factor to make up for it, so the weight must be matched.
# 3. **Warm-up** takes away the first gradient of a random head. LwF keeps a little more with it, fine-tuning before mnist much
#    more; before textures the seeds of fine-tuning disagree.
#
# ## What to try next
#
# - LwF at temperature 0.5 and weight 1 with a smaller step: does it still spoil the letters, and what does the smaller step cost the
#   new task?
#   ```python
#   slow = ebll.TrainSettings(learning_rate=0.005)
#   sharp = {"sharp": ebll.LwF(temperature=0.5, distill_weight=1.0)}
#   ebll.compare([letters, mnist], sharp, settings=slow, starts=starts, **lesson.options("mlp")).accuracy
#   ```
# - Raise the weight before textures: `ebll.LwF(distill_weight=2.0)`. Does more weight protect more? And 5?
# - Next: `03_autoencoder_submanifold.ipynb` finds out what of the features a task needs.
#
# ## References
#
# - G. Hinton, O. Vinyals, J. Dean: Distilling the Knowledge in a Neural Network. 2015 (temperature, the factor
#   $\theta^2$). [arXiv 1503.02531](https://arxiv.org/abs/1503.02531)
# - Z. Li, D. Hoiem: Learning without Forgetting. ECCV 2016 (warm-up). [arXiv 1606.09282](https://arxiv.org/abs/1606.09282)
# - N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov: Dropout: A Simple Way to Prevent Neural Networks from
#   Overfitting. JMLR 2014
