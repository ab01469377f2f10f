# %% title [markdown] tags=["slide"]
# # Joint training, fine-tuning, replay: forgetting and its extremes
#
# A network learns letters, then digits. With the images of both it masters both; with digits alone it forgets letters:
# which, when, and in favour of what?
#
# - **What for**: to see and measure forgetting, and know families of methods.
# - **For whom**: anyone who has trained a network in PyTorch.
# - **Before this**: nothing; `00_first_look.ipynb` helps.
# - **Time**: {{read}} minutes to read and do; about {{run}} s to run on two cores.
#
# {{start}}
#
# After this notebook you can
#
# 1. **name** the scenarios of continual learning, and **say** what joint training is a reference for;
# 2. **write** the fine-tuning loop, and **measure** what it forgets;
# 3. **find** which classes are forgotten, when, and in favour of which answers;
# 4. **place** methods on the stability-plasticity trade-off.
#
# Ids such as E1 and M5 stand in [the equations](../docs/equations.md), words in [the glossary](../docs/glossary.md).

# %% setup tags=["environment"]
import copy

import pandas as pd
import torch
from torch.nn.functional import cross_entropy

import ebll

PROFILE = "fast"  # "full": ten seeds, every image, and the GPU where there is one
lesson = ebll.course.setup(PROFILE)

# %% parts [markdown] tags=["slide"]
# ## 1. Two tasks, one network: what is the best to hope for?
#
# In **continual learning** tasks come one after the other: here 26 letters, then 10 digits. They share the feature extractor
# $F$ and the operator $T$; the head $T_t$ of task $t$ gives a number for each class, the logits. With $p$ their softmax, the
# loss is (E1)
#
# $$\ell\big(T_t(T(F(x))), y\big) = -\log p_y$$
#
# | scenario | what is known at test time |
# | --- | --- |
# | **task-incremental** | the task: its own head answers. So it is in this kit, as in the paper |
# | domain-incremental | not the task; but all tasks have the same classes: digits by pen, then by scanner |
# | class-incremental | nothing: one head must tell all 36 classes apart, `O` from `0` too |
#
# **Joint training** adds up the losses (E1) of all tasks. It needs the old images for ever, so it is no rival but a reference,
# often called the **upper bound**. (Here, after letters, it takes as many steps as the others.)
#
# **Predict first.** Will the joint network be better, worse or as good as one network for each task?

# %% load tags=["slide"]
tasks = letters, mnist = lesson.load("letters", "mnist")
ebll.plots.task_images(ebll.course.examples(letters, mnist))

# %% joint-run tags=["slide"]
methods = ["joint", "finetune", "feature-extraction", "replay", "single-task"]  # all go on from the same network
runs = ebll.compare(tasks, methods, log_predictions=True, samples=1000, **lesson.options("mlp"))
accuracy, predictions = runs.accuracy, runs.predictions  # tables: M1 after each task; each answer along the way
ebll.plots.accuracy_matrix(accuracy, methods=["single-task", "joint"])

# %% shared tags=["slide"]
net = runs.runs["joint", 0].net
by_hand = net.heads[0](net.operator(net.features(letters.test.inputs)))  # T_1(T(F(x)))
assert torch.equal(by_hand, net(letters.test.inputs, 0))  # the library's forward pass
parts = {"F": net.features, "T": net.operator, "head of letters": net.heads[0], "head of digits": net.heads[1]}
pd.Series({name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}, name="weights").to_frame()

# %% joint-saw [markdown] tags=["slide"]
# **What we saw.** Joint training is about as good as networks of their own (upper rows), though nearly all weights are
# shared. (It has trained longer, so small differences prove nothing.)

# %% finetune [markdown] tags=["slide"]
# ## 2. Fine-tuning: how fast is the old task forgotten?
#
# **Fine-tuning**, the plainest **baseline**, minimises the new task's loss (E1) alone. $F$ and $T$ move, and the head of
# letters still expects the old features. This is all of it:

# %% finetune-by-hand
plain = ebll.TrainSettings(warmup_epochs=0, drop_at=1.0)  # no warm-up (notebook 02b), no drop of the learning rate
start = ebll.learn_first([letters], settings=plain, seed=0, device=lesson.device)
net = copy.deepcopy(start.net)
with ebll.seeds.seeded(0, "head", 1):
    net.add_head(mnist.class_count)
optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4, fused=True)
order = ebll.seeds.generator(0, "batches", 1, 1)
for _ in range(plain.epochs):
    for rows in torch.randperm(len(mnist.train), generator=order).split(plain.batch_size):
        loss = cross_entropy(net(mnist.train.inputs[rows], 1), mnist.train.labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

# %% finetune-by-library
run = ebll.run_sequence(tasks, "finetune", settings=plain, seed=0, start=start, device=lesson.device)
for mine, theirs in zip(net.state_dict().values(), run.net.state_dict().values(), strict=True):
    assert torch.allclose(mine, theirs, atol=1e-4)

# %% finetune-predict [markdown] tags=["slide"]
# **Predict first.** How many of the eight epochs does it take to forget half of what will be forgotten: one, four, all? And
# will joint training lose letters on the way?

# %% finetune-curve tags=["slide"]
ebll.plots.accuracy_over_steps(runs.curves, methods=["joint", "finetune"])

# %% finetune-saw tags=["slide", "hidden"]
curve = runs.curves.query("method == 'finetune' and stage == 'train' and task == 'letters'")
curve = 100 * curve.groupby("step")["accuracy"].mean()
lost = curve.iloc[0] - curve
half = lost.index[lost >= lost.iloc[-1] / 2][0]
joint = runs.curves.query("method == 'joint' and stage == 'train' and task == 'letters'").groupby("seed")["accuracy"]
dip = 100 * joint.agg(lambda readings: ebll.metrics.stability_gap(readings)[1]).mean()
ebll.course.say(
    f"**What we saw.** On letters fine-tuning falls from {curve.iloc[0]:.1f} to {curve.iloc[-1]:.1f} % (validation "
    "images: the matrices of this notebook have test images, so their numbers differ a little), and "
    f"half of that is lost after **{8 * half / curve.index[-1]:.1f} of eight** epochs. Joint training dips, too, "
    f"{dip:.1f} points below its own end (M12), and recovers, since it has letters in every batch: the **stability "
    f"gap** "
    "([notebook 09](09_what_forgetting_is_made_of.ipynb)). Fine-tuning cannot. (Digits begin far above "
    "guessing because of the warm-up: before step 0, their head alone has been trained for two epochs.)"
)

# %% forgetting [markdown]
# In the **accuracy matrix** $A$, $A_{ij}$ is the accuracy (M1) on task $j$ once task $i$ has been learned. **Forgetting**
# (M5) is an old task's best accuracy before the last stage minus that at the end; then the mean over the old of $N$ tasks:
#
# $$\frac{1}{N-1}\sum_{j<N}\Big(\max_{j\le i<N} A_{ij} - A_{Nj}\Big)$$
#
# **Exercise 1.** Write it, for a numpy array. Entries above the diagonal may be NaN.


# %% forgetting-exercise tags=["exercise"]
def my_forgetting(matrix):
    """M5 of an accuracy matrix: (N, N) -> a float. Positive where the old tasks got worse."""
    # Which rows count for old task j, and which of them is the end?
    # solution
    drops = [matrix[j:-1, j].max() - matrix[-1, j] for j in range(len(matrix) - 1)]
    return sum(drops) / len(drops)


# %% forgetting-check tags=["check"]
ebll.course.checks.forgetting(my_forgetting)

# %% matrix-by-hand tags=["slide"]
before, after = runs.starts[0].net, runs.runs["finetune", 0].net
answers = [(net(tasks[t].test.inputs, t).argmax(dim=1), t) for net, t in [(before, 0), (after, 0), (after, 1)]]
by_hand = [float((predicted == tasks[t].test.labels).double().mean()) for predicted, t in answers]  # M1
matrix = runs.runs["finetune", 0].accuracy_matrix()
assert by_hand == matrix.stack().dropna().tolist()
assert by_hand[0] - by_hand[1] == ebll.metrics.forgetting(matrix)  # M5 of two tasks: a single difference
(100 * matrix).round(1)

# %% what [markdown] tags=["slide"]
# ## 3. What is forgotten?
#
# The **recall** of a class is M1 on the images of that class alone.
#
# **Predict first.** Do all 26 letters lose about the same? What will an `E` be taken for?

# %% recall-by-hand tags=["slide"]
one = predictions.query("label == 'E' and method == 'finetune' and seed == 0 and stage == 'train'")
by_hand = 100 * (one["predicted"] == "E").groupby(one["step"]).mean()
assert ebll.plots.class_recall(one).table[["before", "after"]].values.tolist() == [[by_hand.iloc[0], by_hand.iloc[-1]]]
ebll.plots.class_recall(predictions, ["joint", "finetune"])

# %% confusion tags=["slide"]
ebll.plots.confusion_matrix(predictions, "finetune")

# %% images tags=["slide"]
ebll.plots.forgotten_images(predictions, letters, "finetune")

# %% what-saw tags=["slide", "hidden"]
recalls = ebll.plots.class_recall(predictions, "finetune").table.groupby("label")[["before", "after"]].mean()
change = (recalls["after"] - recalls["before"]).sort_values()
answers = ebll.plots.confusion(predictions.query("method == 'finetune'")).query("label != predicted")
answers = answers.set_index(["label", "predicted"])
pairs = (answers["after"] - answers["before"]).sort_values(ascending=False)
shown = change.index[:8]  # the rows of the figure
most = ", ".join([f"{old} → {new}" for old, new in pairs.index if old in shown][:3])
drawn_to = pairs.groupby("predicted").sum().nlargest(2).index
ebll.course.say(
    f"**What we saw.** {change.index[0]} and {change.index[1]} lose most ({change.iloc[0]:+.0f} and "
    f"{change.iloc[1]:+.0f} points of recall, mean of all 26: {change.mean():+.0f}). The first images go within a few "
    f"steps. The answers that gain most are {most}: what do the two letters of a pair share? In sum, answers drift "
    f"towards {drawn_to[0]} and {drawn_to[1]}, so these letters themselves keep more than others: "
    f"{change[drawn_to[0]]:+.0f} and {change[drawn_to[1]]:+.0f} points."
)

# %% methods [markdown] tags=["slide"]
# ## 4. What do methods trade for what?
#
# {{diagram:networks}}
#
# The opposite extreme is **feature extraction**: $F$, $T$ and the old heads are frozen, so forgetting (M5) is zero. All
# that differs is which part is trained:

# %% source-code
ebll.course.source(ebll.FeatureExtraction.trained_parts)

# %% families [markdown] tags=["slide"]
# Between the extremes lie three families:
#
# - **Regularisation-based** methods, those of this course, penalise change: of answers (LwF), of weights (EWC), of answers
#   and features (EBLL). No old image is kept.
# - **Replay** stores a few images of each class, **exemplars**, and adds their loss (E1) at every step.
# - **Architectural** methods give tasks parameters of their own: here the heads, with *separate operators* $T$ too.
#
# **Predict first.** Draw a plane: accuracy on digits to the right (**plasticity**), on letters upwards (**stability**).
# Where do joint training, fine-tuning, feature extraction and replay of 5 images per letter lie?

# %% plane tags=["slide"]
ebll.plots.stability_plasticity(accuracy)

# %% replay-run
exemplars = {f"replay {count}": ebll.Replay(images_per_class=count) for count in (1, 5, 12)}  # edit me
replay_runs = ebll.compare(tasks, exemplars, starts=runs.starts, **lesson.options("mlp"))

# %% replay-table tags=["slide", "hidden"]
ends = pd.concat([accuracy, replay_runs.accuracy]).query("after == 'mnist' and method != 'replay'")
table = 100 * ends.pivot_table(index="method", columns="task", values="accuracy")
table = table.loc[["finetune", *exemplars, "joint"]].rename(columns="{} at the end, %".format)
stored = [0, *(26 * method.images_per_class for method in exemplars.values()), len(letters.train)]
each = (letters.train.inputs[:1].nbytes + letters.train.labels[:1].nbytes) / 1000
table.insert(0, "stored letters", stored)
table.insert(1, "kB", [round(count * each) for count in stored])
table.rename_axis(columns=None).round(1)

# %% plane-saw tags=["slide", "hidden"]
network = sum(p.nbytes for p in before.parameters()) / 1000
end = 100 * ends.groupby(["task", "method"])["accuracy"].mean()
old, new = end["letters"], end["mnist"]
ebll.course.say(
    "**What we saw.** Fine-tuning learns digits best and loses "
    f"{old['feature-extraction'] - old['finetune']:.1f} points of letters; feature extraction keeps them all and "
    f"learns digits {new['finetune'] - new['feature-extraction']:.1f} points worse. This is the **stability-plasticity "
    "trade-off**. Joint training is best on neither axis, but it has the best mean of both tasks, "
    f"{(old['joint'] + new['joint']) / 2:.1f} %: in this sense it is an upper bound. "
    f"Replay with {stored[2]} letters gets back "
    f"{100 * (old['replay 5'] - old['finetune']) / (old['joint'] - old['finetune']):.0f} % of what joint training "
    f"saves, for {stored[2] * each:.0f} kB; the network itself takes {network:.0f} kB. Means over {len(lesson.seeds)} "
    "seeds, test images. (Pixels stored as bytes would take a quarter.)"
)

# %% replay-exercise-text [markdown]
# **Exercise 2.** Write the loss of a step of replay. `net(inputs, t)` gives the logits of head `t`; old tasks have the
# numbers 0 to t - 1.


# %% replay-exercise tags=["exercise"]
def my_replay_loss(net, t, inputs, labels, old_inputs, old_labels, weight):
    """E1 of a batch of task t, and weight times E1 of the stored images: lists, one tensor for each old task."""
    # Through which head does an image go? What becomes of a task with few images beside one with many?
    # solution
    loss = cross_entropy(net(inputs, t), labels)
    for i, (images, answers) in enumerate(zip(old_inputs, old_labels, strict=True)):
        loss = loss + weight * cross_entropy(net(images, i), answers)
    return loss


# %% replay-check tags=["check"]
ebll.course.checks.replay_loss(my_replay_loss)

# %% open [markdown] tags=["slide"]
# **Open question.** Make it class-incremental: nobody says whether an image is a letter or a digit, and the head with the
# larger top probability decides. Which of the four methods would suffer most, and why?
#
# ## Summary
#
# 1. **Scenarios**: task-, domain-, class-incremental; here the task is known. **Joint training** has all images:
#    a reference, best in the mean of both.
# 2. **Fine-tuning** minimises the new task's loss; the old task falls in the first epochs. Forgetting is M5.
# 3. **What is forgotten**: a few classes lose most, in favour of a few answers, from the first steps.
# 4. **Trade-off**: fine-tuning is plastic, feature extraction stable; replay pays with memory.
#
# ## What to try next
#
# - Half the learning rate or twice the epochs: which saves letters?
#   `ebll.widgets.forgetting_lab('new="mnist", methods=["finetune", "replay"]')`
# - Next: `02_lwf_and_its_shortcomings.ipynb` keeps the old answers without the old images.
#
# ## References
#
# - A. Rannen Triki et al., EBLL: [arXiv 1704.01920](https://arxiv.org/abs/1704.01920). G. van de Ven, A. Tolias, scenarios:
#   [arXiv 1904.07734](https://arxiv.org/abs/1904.07734). M. De Lange et al., families:
#   [arXiv 1909.08383](https://arxiv.org/abs/1909.08383). Forgetting, replay: see the equations.
