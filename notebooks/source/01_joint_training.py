# %% title [markdown]
# # Joint training, and what happens without it
#
# A network learns two tasks, first together and then one after the other. Together it masters both. One after the other
# it loses part of the first: you watch the old task's accuracy fall, step by step. The opposite extreme, changing nothing
# that is shared, loses nothing and learns less.
#
# - **What for**: to see forgetting, measure it, and know the two extremes that every method of the course lies between.
# - **For whom**: anyone who has trained a network in PyTorch once.
# - **Before this**: nothing; `00_first_look.ipynb` is a shorter tour.
# - **Time**: {{read}} minutes to read and do; about {{run}} s to run on two cores.
#
# {{start}}
#
# After this notebook you can
#
# 1. **name** the parts $F$, $T$ and $T_t$ of the network, and say which of them two tasks share;
# 2. **explain** why joint training is the reference from above, and what it needs that a learner in sequence lacks;
# 3. **write** the fine-tuning loop, and **measure** what it forgets;
# 4. **place** feature extraction and fine-tuning at the two ends of stability and plasticity.
#
# Ids such as E1 and M5 lead to formula, function and test: see [the equations](../docs/equations.md) and
# [the glossary of columns](../docs/glossary.md).

# %% setup tags=["environment"]
import copy

import pandas as pd
import torch

import ebll

PROFILE = "fast"  # "full": ten seeds, every image, and the GPU where there is one
lesson = ebll.course.setup(PROFILE)

# %% parts [markdown]
# ## 1. Two tasks, one network
#
# **Claim.** Two tasks can share most of a network and still have answers of their own.
#
# A **task** is a set of images with labels: here capital letters in many typefaces (26 classes), and handwritten digits
# (10 classes). The network has three parts. The feature extractor $F$ turns an image into features, the operator $T$ works
# on them, and each task $t$ has a head $T_t$ that turns the result into one number per class, its logits:
#
# $$\hat y = T_t(T(F(x))) \qquad\text{and its loss (E1)}\qquad \ell(\hat y, y) = -\log p_y$$
#
# At test time we are told which task an image belongs to, and ask that task's head.
#
# **Predict first.** Of all weights of the network below, what share do the two tasks have in common: half, or nearly all?

# %% load
letters, mnist = lesson.load("letters", "mnist")
ebll.plots.task_images(ebll.course.examples(letters, mnist))

# %% forward
net = ebll.build_network("mlp", letters.input_shape, seed=0).to(lesson.device)
with ebll.seeds.seeded(0, "heads"):  # the same heads at every run
    net.add_head(letters.class_count)
    net.add_head(mnist.class_count)

images = letters.test.inputs[:5]
features = net.features(images)  # F(x)
hidden = net.operator(features)  # T(F(x))
logits = net.heads[0](hidden)  # T_1(T(F(x))), the head of letters
assert torch.equal(logits, net(images, 0))  # the library's own forward pass
print("features", tuple(features.shape), "-> hidden", tuple(hidden.shape), "-> logits", tuple(logits.shape))

# %% count
parts = {"F": net.features, "T": net.operator, "head of letters": net.heads[0], "head of mnist": net.heads[1]}
weights = pd.Series({name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}, name="weights")
shared = weights[["F", "T"]].sum() / weights.sum()
ebll.course.say(f"The two tasks share **{100 * shared:.1f} %** of the network's weights: all of $F$ and $T$.")
weights.to_frame()

# %% joint [markdown]
# ## 2. Joint training: the reference from above
#
# **Claim.** With the images of both tasks at hand, one network learns both, each about as well as a network of its own.
#
# Joint training adds up the losses of all tasks (E1), each on its own images through its own head:
#
# $$\ell\big(T_1(T(F(x_1))), y_1\big) + \ell\big(T_2(T(F(x_2))), y_2\big)$$
#
# It needs the old images for as long as the network lives. A learner in sequence does not have them: they were private,
# or too many, or another laboratory's. So joint training is not a competitor but the reference from above that the others
# are measured against. Here it goes on from the network that has learned letters, for as many steps as the methods that
# follow: what it reaches is a reference for that budget, not the best that joint training can do.
#
# **Predict first.** Compared with one network per task, will the shared network be better, worse or the same?

# %% joint-by-hand
net = copy.deepcopy(net)
batches = [(task.train.inputs[:64], task.train.labels[:64]) for task in (letters, mnist)]
by_hand = sum(
    torch.nn.functional.cross_entropy(net.heads[t](net.operator(net.features(x))), y)
    for t, (x, y) in enumerate(batches)
)
terms = ebll.Joint().loss_terms(net, [ebll.methods.Batch(t, x, y, {}) for t, (x, y) in enumerate(batches)], None)
by_library = sum(term.weighted() for term in terms.values())
assert torch.isclose(by_hand, by_library)
print(f"joint loss of an untrained network: {by_hand:.3f}, by the library {by_library:.3f}")

# %% joint-run
methods = ["joint", "finetune", "feature-extraction", "single-task"]
made = ebll.compare([letters, mnist], methods, **lesson.options("mlp"))
ebll.plots.accuracy_matrix(made.accuracy, methods=["single-task", "joint"])

# %% joint-read
end = 100 * made.accuracy[made.accuracy["after"] == "mnist"].groupby(["method", "task"])["accuracy"].mean().unstack()
before = 100 * made.accuracy[made.accuracy["after"] == "letters"]["accuracy"].mean()
joint, alone = end.loc["joint"], end.loc["single-task"]
ebll.course.say(
    f"Joint training ends at **{joint['letters']:.1f} %** on letters, where the network that has learned only letters "
    f"had {before:.1f} %, and at **{joint['mnist']:.1f} %** on digits, where a network of its own has "
    f"{alone['mnist']:.1f} %. Means over {len(lesson.seeds)} seeds. (The joint network began with letters and has "
    "trained longer: do not read small differences as help or harm from sharing.)"
)
assert joint["letters"] > before - 5 and joint["mnist"] > alone["mnist"] - 5  # the claim

# %% finetune [markdown]
# ## 3. Fine-tuning: forgetting, seen for the first time
#
# **Claim.** Trained on the new task alone, the same network forgets the old one, and half of what it will forget is gone
# within the first third of the training.
#
# Fine-tuning goes on from the network that has learned letters and minimises only the new task's loss (E1). Nobody asks
# for the letters to be answered badly. But $F$ and $T$ move, and the head for letters still expects the old features.
#
# The loop below is all there is to it. The cell after it compares it with the library's run, weight by weight. In the
# figure two more things happen, to all methods alike: before step 0 the new head alone is trained for two passes (the
# warm-up of notebook 02), so digits do not begin at guessing; and the learning rate falls near the end.
#
# **Predict first.** After the warm-up, fine-tuning makes eight passes over the digits with all weights free. After how many
# of them will it have lost half of what it is going to lose: one, four, or all eight?

# %% finetune-by-hand
plain = ebll.TrainSettings(warmup_epochs=0, drop_at=1.0)  # no warm-up, no drop of the learning rate
start = ebll.learn_first([letters], settings=plain, seed=0, device=lesson.device)

net = copy.deepcopy(start.net)
with ebll.seeds.seeded(0, "head", 1):
    net.add_head(mnist.class_count)
optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4, fused=True)
order = ebll.seeds.generator(0, "batches", 1, 1)
for _ in range(plain.epochs):
    for rows in torch.randperm(len(mnist.train), generator=order).split(plain.batch_size):
        loss = torch.nn.functional.cross_entropy(net(mnist.train.inputs[rows], 1), mnist.train.labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

# %% finetune-by-library
run = ebll.run_sequence([letters, mnist], "finetune", settings=plain, seed=0, start=start, device=lesson.device)
for mine, theirs in zip(net.state_dict().values(), run.net.state_dict().values(), strict=True):
    assert torch.allclose(mine, theirs, atol=1e-4)

# %% finetune-curve
ebll.plots.accuracy_over_steps(made.curves, methods=["joint", "finetune"])

# %% finetune-dip [markdown]
# Joint training dips as well: the first large steps disturb the letters of both. But it has letters in every batch and
# repairs the damage; fine-tuning cannot.

# %% finetune-read
curve = made.curves.query("method == 'finetune' and stage == 'train' and task == 'letters'")
curve = 100 * curve.groupby("step")["accuracy"].mean()
lost = curve.iloc[0] - curve
half = curve.index[lost >= lost.iloc[-1] / 2][0]
assert half < curve.index[-1] / 3  # "most of it early", says the claim
ebll.course.say(
    f"On held-out letters fine-tuning falls from {curve.iloc[0]:.1f} % to {curve.iloc[-1]:.1f} %. Half of that loss is "
    f"there after **{half} of {curve.index[-1]}** steps, that is after {8 * half / curve.index[-1]:.1f} of eight "
    "passes."
)

# %% lab [markdown]
# ### Move it yourself
#
# The widget trains digits again as soon as you move a control, and keeps the run before as a faint line. Pause it in the
# middle, or go step by step. Without a kernel you see it as a picture, as it opens.
#
# **Predict first.** A learning rate of 0.005, a quarter of what it is: what becomes of the letters, and what of the
# digits? And with twice as many epochs? (Sixteen is not on the slider: type it into the box beside it.)

# %% lab-panel
weights = ["alpha", "temperature", "distill_weight", "ewc_strength", "code_size", "recon_weight"]
ebll.widgets.forgetting_lab('new="mnist", methods="finetune"', hide=weights)

# %% lab-answer [markdown]
# <details><summary>One answer</summary>
#
# Small steps forget less and learn a little less: they go less far from where the letters left the features. Twice as many
# epochs change little, because most of the loss comes early.
#
# </details>

# %% forgetting [markdown]
# ### Measuring it
#
# An **accuracy matrix** $A$ has a row for each stage of learning and a column for each task: $A_{ij}$ is the accuracy on
# task $j$ after task $i$ was learned. **Forgetting** (M5) is, for each old task, the best accuracy it had at any stage
# before the last, minus its accuracy after the last; then the mean over the old tasks. With $N$ tasks:
#
# $$\frac{1}{N-1}\sum_{j<N}\Big(\max_{j\le i<N} A_{ij} - A_{Nj}\Big)$$
#
# **Exercise 1.** Write it. The matrix is a numpy array; entries above the diagonal (tasks not yet seen) may be NaN and
# must not be read. The check knows the usual slips and will tell you which one it sees.


# %% forgetting-exercise tags=["exercise"]
def my_forgetting(matrix):
    """M5 of an accuracy matrix: (N, N) -> a float. Positive where the old tasks got worse."""
    # For each old task j: the best entry of its column from row j to the last but one, minus the entry in the last row.
    # Then the mean over the old tasks; the newest task is not an old one.
    # solution
    drops = [matrix[j:-1, j].max() - matrix[-1, j] for j in range(len(matrix) - 1)]
    return sum(drops) / len(drops)


# %% forgetting-check tags=["check"]
ebll.course.checks.forgetting(my_forgetting)

# %% forgetting-run
matrix = made.runs["finetune", 0].accuracy_matrix()
by_hand = matrix.loc["letters", "letters"] - matrix.loc["mnist", "letters"]  # two tasks: a single difference
assert abs(by_hand - ebll.metrics.forgetting(matrix)) < 1e-12
print(f"seed 0: fine-tuning forgets {100 * by_hand:.1f} points of letters")
(100 * matrix).round(1)

# %% extraction [markdown]
# ## 4. Feature extraction: the other extreme
#
# **Claim.** What does not move is not forgotten; but a new task that may not move anything learns less.
#
# Feature extraction freezes $F$, $T$ and the old heads. Only the new head is trained, on features made for letters. Its
# forgetting (M5) is exactly zero, whatever the seed. The price is paid by the new task.
#
# Drawn in one plane, what is kept (stability) against what is learned (plasticity), the two extremes lie in opposite
# corners, and joint training shows where one would like to get. The other notebooks are about methods that try to get
# there without the old images.
#
# **Predict first.** Sketch that plane: where do fine-tuning, feature extraction and joint training lie?

# %% extraction-plane
ebll.plots.stability_plasticity(made.accuracy)

# %% extraction-assert
frozen, moved = made.runs["feature-extraction", 0].net, made.runs["finetune", 0].net
start = ebll.learn_first([letters], seed=0, device=lesson.device).net
assert all(torch.equal(a, b) for a, b in zip(start.features.parameters(), frozen.features.parameters(), strict=True))
assert not torch.equal(next(start.features.parameters()), next(moved.features.parameters()))

paid = end.loc["finetune", "mnist"] - end.loc["feature-extraction", "mnist"]
ebll.course.say(
    f"Feature extraction forgets nothing and ends **{paid:.1f} points** below fine-tuning on digits; fine-tuning loses "
    f"**{before - end.loc['finetune', 'letters']:.1f} points** of letters. Means over {len(lesson.seeds)} seeds."
)
assert paid > 0 and end.loc["finetune", "letters"] < end.loc["joint", "letters"]  # the summary says so

# %% extraction-exercise-text [markdown]
# **Exercise 2.** Which parameters may feature extraction train while task `t` is learned? Write a function that returns
# them as a list. The network has `net.features`, `net.operator` and one entry of `net.heads` for each task.


# %% extraction-exercise tags=["exercise"]
def my_trained(net, t):
    """The parameters that feature extraction may change while task t is learned: a list of nn.Parameter."""
    # Everything that task t shares with another task must stay as it is, and so must the other tasks' own parts.
    # solution
    return list(net.heads[t].parameters())


# %% extraction-check tags=["check"]
ebll.course.checks.new_head_only(my_trained)

# %% source [markdown]
# This is the whole method as the library has it; the loop asks it which part may move and what to minimise:

# %% source-code
ebll.course.source(ebll.FeatureExtraction)

# %% summary [markdown]
# ## Summary
#
# 1. **Parts.** $F$ and $T$ are shared and hold nearly all weights; each task has a head $T_t$ of its own.
# 2. **Joint training** adds up the losses of all tasks and is about as good as separate networks here. It needs all images
#    at once, which a learner in sequence does not have: a reference from above, not a competitor.
# 3. **Fine-tuning** minimises the new task's loss alone. The old task falls at once, in the first passes; forgetting (M5)
#    is the best accuracy so far minus the accuracy at the end.
# 4. **Two ends.** Fine-tuning: learns, forgets. Feature extraction: forgets nothing, learns less.
#
# ## What to try next
#
# - Swap the tasks: `ebll.compare([mnist, letters], ["finetune"], **lesson.options("mlp")).accuracy`. Which way round is the
#   forgetting larger?
# - Fine-tune for one pass only: `ebll.compare([letters, mnist], ["finetune"], **lesson.options("mlp") | {"settings":
#   ebll.TrainSettings(epochs=1, first_epochs=16)}).accuracy`. Has fine-tuning forgotten less than in eight passes?
# - Next: `02_lwf_and_its_shortcomings.ipynb` keeps the old answers without the old images.
#
# ## References
#
# - A. Rannen Triki, R. Aljundi, M. Blaschko, T. Tuytelaars: Encoder Based Lifelong Learning. ICCV 2017, section 3.1.
#   [arXiv 1704.01920](https://arxiv.org/abs/1704.01920)
# - A. Chaudhry, P. Dokania, T. Ajanthan, P. Torr: Riemannian Walk for Incremental Learning. ECCV 2018 (forgetting).
#   [arXiv 1801.10112](https://arxiv.org/abs/1801.10112)
# - M. McCloskey, N. Cohen: Catastrophic interference in connectionist networks: the sequential learning problem.
#   Psychology of Learning and Motivation 24, 1989.
