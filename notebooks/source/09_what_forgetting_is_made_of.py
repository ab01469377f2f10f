# %% title [markdown] tags=["slide"]
# # What forgetting is made of: measures along the run
#
# The other notebooks ask how much is forgotten at the end. Here you look inside a run while it forgets: how deep accuracy falls on
# the way, which term pulls where, where the features go, what is lost, and whether there was a way without it.
#
# - **What for**: to find out *why* a method forgets, and not only that it does.
# - **For whom**: anyone who knows LwF, EBLL and EWC, and wants to analyse a method of their own.
# - **Before this**: `04_ebll.ipynb` for the code term, `06_ewc_and_parameter_constraints.ipynb` for the stability limit.
# - **Time**: {{read}} minutes to read and do; about {{run}} s to run on two cores.
#
# {{start}}
#
# After this notebook you can
#
# 1. **measure** a stability gap (M12), and **explain** why a harmless end does not mean a harmless way;
# 2. **test** by gradients (M13) and curvature (M11) whether terms compete, and whether steps are too long;
# 3. **split** a drift of features into what the code sees, what the head reads, and what is free (M14);
# 4. **separate** a lost readout from a lost representation by probes (M15) and CKA (M16);
# 5. **judge** by planes of weights (M17) and rank correlations what was avoidable, and what a learner could see.
#
# Ids such as M12 and E4 lead to formula, function and test: see [the equations](../docs/equations.md) and
# [the glossary](../docs/glossary.md).

# %% setup tags=["environment"]
import copy

import pandas as pd
import torch

import ebll

PROFILE = "fast"  # "full": ten seeds, every image, and the GPU where there is one
lesson = ebll.course.setup(PROFILE)

# %% gap [markdown] tags=["slide"]
# ## 1. Does a method that ends well forget nothing on the way?
#
# A network learns letters, then mnist. Accuracy on letters is $a_s$ at step $s$ of $S$. What is lost at the end is $a_0 - a_S$.
# The **stability gap** (M12) asks for the way there: the lowest reading, and how far below the *end* it lies,
#
# $$\min_s a_s \qquad\text{and}\qquad a_S - \min_s a_s$$
#
# **Exercise 1.** Write the second for several seeds. A case for paper: readings 0.90, 0.70, 0.80, 0.85 and 0.88, 0.84, 0.72,
# 0.81. The answer is 0.12.


# %% gap-exercise tags=["exercise"]
def my_stability_gap(readings):
    """Accuracies, an array (seeds, steps) -> the depth of M12, its mean over the seeds: a float."""
    # Are seeds lowest at the same step? What comes first, the minimum or the mean?
    # solution
    return (readings[:, -1] - readings.min(axis=1)).mean()


# %% gap-check tags=["check"]
ebll.course.checks.stability_gap(my_stability_gap)

# %% runs-text [markdown]
# All runs branch from the same networks that have learned letters. `dynamics.along` hands every tenth step of the library's loop
# to functions that measure; later sections read what they leave. Measuring changes no weight.

# %% along
from ebll import dynamics

ebll.course.source(dynamics.along)

# %% starts
letters, mnist = tasks = lesson.load("letters", "mnist")
starts = {seed: ebll.learn_first(tasks, seed=seed, device=lesson.device) for seed in lesson.seeds}
memories = {s: ebll.EBLL().consolidate(start.net, 0, letters, None, s) for s, start in starts.items()}
encoders = {seed: memory.encoder(0) for seed, memory in memories.items()}  # the code of letters, for all methods
some = [task.validation.take(task.validation.spread(128)) for task in tasks]  # evenly, as they are sorted by class


# %% learn
def learn(name, seed, *measures):
    """Learn mnist with a method: the run, a table of what was measured, and the weights at every tenth step."""
    recorder, path = ebll.Recorder(log_every=10, dense=0.1), []  # in the first tenth it reads accuracies at every step
    options = {"seed": seed, "start": starts[seed], "device": lesson.device}
    run = ebll.protocol.begin(tasks, name, recorder=recorder, **options)

    def keep(step):
        weights = dynamics.weights_of(step.net)
        path.append(weights.half())  # half precision takes half the memory
        return {"letters": dynamics.losses_at(step.net, [weights], {0: some[0]}).item()}

    table = dynamics.along(run, tasks, ebll.USUAL, [keep, *measures], every=10)
    return run, table.assign(method=name, seed=seed), path


# %% runs
shown, constrained = ["joint", "finetune", "lwf", "ewc", "ebll"], ["lwf", "ewc", "ebll"]
drifting = ["finetune", "lwf", "ebll"]
learned = letters.train.take(letters.train.spread(256))  # what the old task's own gradient is taken on
held_out = {"old": letters.validation.inputs, "new": mnist.validation.inputs}
runs, tables, paths, progress = {}, [], {}, ebll.course.progress()
pairs = [(name, seed) for seed in lesson.seeds for name in [*shown, "l2", "kfac", "ebll-separate"]]
for done, (name, seed) in enumerate(pairs, start=1):
    drift = [dynamics.drift(starts[seed].net, encoders[seed], held_out)] if name in drifting else []
    gradients = [] if name == "joint" else [dynamics.competition(learned)]
    runs[name, seed], table, way = learn(name, seed, *drift, *gradients)
    if name in shown:
        paths[name, seed] = way if seed == 0 else [way[0], way[-1]]
    tables.append(table)
    progress(done, len(pairs), name)
measured, curves = pd.concat(tables), pd.concat([run.curves for run in runs.values()])

# %% gap-predict [markdown] tags=["slide"]
# **Predict first.** Joint training sees letters in every step, and fine-tuning none. For joint training, fine-tuning, LwF, EWC and
# EBLL: sketch the accuracy on letters. Which dips deepest *below its own end*?

# %% gap-figure tags=["slide"]
ebll.plots.stability_gap(curves, methods=shown)


# %% gap-intervals tags=["hidden"]
def with_interval(values, unit=""):
    mean, low, high = ebll.metrics.confidence_interval(values)
    return f"{mean:.2f}{unit} ({low:.2f} to {high:.2f})".replace("-", "−")


def verdict(values):
    """In words, whether the interval over the seeds lies above 0."""
    _, low, high = ebll.metrics.confidence_interval(values)
    return "supported" if low > 0 else "not supported" if high < 0 else "undecided"


# %% gap-claim tags=["hidden"]
def dip(readings):
    return 100 * ebll.metrics.stability_gap(readings)[1]


gaps = curves.query("stage == 'train' and training == 'mnist'").sort_values("step").groupby(["method", "seed"])
dips = gaps["accuracy"].agg(dip).unstack("seed")
others = {ebll.METHODS[name].label: dips.loc["joint"] - dips.loc[name] for name in shown[1:]}
told = "; ".join(f"{label} {with_interval(difference)}, {verdict(difference)}" for label, difference in others.items())
ebll.course.say(
    f"Joint training's dip minus that of the others, points (mean and 95 % interval of these seeds): {told}."
)
for claim in ebll.course.main_job("claims").query("id == 'C10'").itertuples():
    ebll.course.say(f"With more seeds and pairs (claim C10): {claim.statement} **{claim.verdict.capitalize()}**.")

# %% gap-saw [markdown] tags=["slide"]
# **What we saw.** Joint training loses hardly anything, and yet it was several points lower on the way, although it never stopped
# seeing letters. LwF, EWC and EBLL dip, too, and recover. Fine-tuning falls most but hardly comes back: a gap is not
# forgetting. Seeds dip at different steps, so their mean dips less than they do. The least of noisy readings is biased downwards, so methods are compared at equal numbers of readings. And three
# seeds decide little: their intervals are wide, and *undecided* is no *no*.

# %% competition [markdown] tags=["slide"]
# ## 2. Do the terms compete, and when does each act?
#
# A common account of EBLL says: first the class loss acts and the old task suffers, later the constraints bring it back. A term acts
# on $F$ by the gradient $g_j$ of its weighted value in the weights of $F$. We measure (M13)
#
# $$\lVert g_j \rVert_2 \qquad\text{and}\qquad \frac{g_j^\top g_k}{\lVert g_j \rVert_2 \lVert g_k \rVert_2}$$
#
# between the terms, and with the gradient of the old task's own loss on training images of letters. That one is an **oracle**: no
# learner without old images has it. Below a cosine of 0 two terms pull against each other.

# %% competition-by-hand
net, batch = starts[0].net, letters.validation.inputs[:64]
features = list(net.features.parameters())
values = {"a": net(batch, 0).square().mean(), "b": net(batch, 0).mean()}
a, b = (torch.cat([g.flatten() for g in torch.autograd.grad(v, features, retain_graph=True)]) for v in values.values())
by_hand = (a @ b / (a.norm() * b.norm())).item()
by_library = dynamics.gradient_cosines(
    dynamics.term_gradients({name: ebll.methods.Term(value) for name, value in values.items()}, features)
)
assert abs(by_hand - by_library["cosine_a_b"]) < 1e-4

# %% competition-predict [markdown] tags=["slide"]
# **Predict first.** When are the constraints' gradients largest, early or late? When is their *share* largest? And does the class
# loss pull against the old task's gradient: cosine near −1, −0.3, 0? With EBLL, and with fine-tuning, which forgets ten times as
# much?

# %% competition-figure tags=["slide"]
ebll.plots.competition(measured.query("method == 'ebll'").dropna(axis=1, how="all"))

# %% competition-shares tags=["slide", "hidden"]
terms = measured[measured["method"].isin(constrained) & measured["norm_task"].notna()]
held = terms[["norm_distill", "norm_code", "norm_penalty"]].sum(axis=1)
terms = terms.assign(held=held, share=held / (held + terms["norm_task"]), at=terms["step"] / measured["step"].max())
early, late = (
    terms[part].groupby(["method", "seed"])["share"].mean() for part in (terms["at"] < 0.1, terms["at"] > 2 / 3)
)
growth = pd.DataFrame({"first tenth": early, "last third": late, "difference": late - early})
growth.groupby("method").mean().loc[constrained].round(2).rename_axis(
    columns="share of the constraints in the sum of norms"
)

# %% competition-claim tags=["hidden"]
grown = {name: growth["difference"][name] for name in constrained}
told = "; ".join(f"{ebll.METHODS[name].label} {with_interval(more)}, {verdict(more)}" for name, more in grown.items())
peak = terms.groupby(["method", "step"])["held"].mean().unstack("method").idxmax()
first = measured[measured["step"] < measured["step"].max() / 3]
first = {name: first[first["method"] == name].groupby("seed") for name in ("ebll", "finetune")}
pulls = {name: with_interval(first["ebll"][f"cosine_{name}_old"].mean()) for name in ("task", "distill", "code")}
ebll.course.say(
    f"That the constraints have the larger *share* later, last third minus first tenth: {told}. Yet the sum "
    "of their norms is largest "
    f"at {', '.join(f'step {at:g} ({ebll.METHODS[name].label})' for name, at in peak.items())} of "
    f"{measured['step'].max():g}. Cosine with the old task's gradient (EBLL, first third): "
    f"class loss {pulls['task']}, distillation {pulls['distill']}, code {pulls['code']}."
)

# %% competition-finetune tags=["hidden"]
whole = measured[measured["method"] == "finetune"]
against = {
    "first third": with_interval(first["finetune"]["cosine_task_old"].mean()),
    "whole run": with_interval(whole.groupby("seed")["cosine_task_old"].mean()),
}
grew = whole.groupby("step")["norm_old"].mean()
ebll.course.say(
    f"Fine-tuning's class loss: {'; '.join(f'{when} {value}' for when, value in against.items())}. The norm of the "
    f"old task's gradient is {grew.iloc[0]:.1f} before the first step and at most {grew.max():.1f} on the way."
)

# %% order [markdown] tags=["slide"]
# Do the steps climb, then? A step $\Delta$ changes the loss of letters by $g^\top \Delta$, the **first order**, and by a rest, which
# curvature gives. We add up both over all steps, on training images, from the start to where the loss of letters is highest.
#
# **Predict first.** Which share of this rise is of first order: with fine-tuning, joint training, EBLL?


# %% order-run tags=["hidden"]
def first_order(losses, orders, last=None):
    """A measure that adds up gradient of the letters' loss times step, over the steps."""

    def measure(step):
        nonlocal last
        net = copy.deepcopy(step.net).requires_grad_(True)
        loss, now = ebll.losses.class_loss(net(learned.inputs, 0), learned.labels), dynamics.weights_of(net)
        orders.append(orders[-1] + (last[0] @ (now - last[1])).item() if last else 0.0)
        gradient = torch.autograd.grad(loss, list(net.parameters()), materialize_grads=True)
        last = torch.cat([g.flatten() for g in gradient]), now
        losses.append(loss.item())
        return {}

    return measure


# %% order-rise tags=["hidden"]
def rise(name, seed):
    """How much the loss of letters rises up to its highest, and the part of first order, in nats."""
    losses, orders = [], []
    run = ebll.protocol.begin(tasks, name, recorder=ebll.Recorder(log_every=0), seed=seed, start=starts[seed])
    dynamics.along(run, tasks, ebll.USUAL, [first_order(losses, orders)], every=1)
    top = losses.index(max(losses))
    return losses[top] - losses[0], orders[top]


# %% order-table tags=["slide", "hidden"]
rows = {(name, seed): rise(name, seed) for name in ("finetune", "joint", "ebll") for seed in lesson.seeds}
orders = pd.DataFrame(rows, index=["rise", "first order"]).T.rename_axis(["method", "seed"])
orders["curvature"] = orders["rise"] - orders["first order"]
spread = orders.groupby("method").agg(with_interval).loc[["finetune", "joint", "ebll"]]
spread.rename_axis(columns="loss of letters, nats (mean, 95 % interval)")

# %% competition-saw [markdown] tags=["slide"]
# **What we saw.** Half of the account holds. At step 0 the class loss acts alone, and the constraints' share grows. But they do
# not wake up late: their gradients are largest early, and the share grows because the class loss fades sooner. At the start neither they
# nor the old task itself have a gradient to speak of, so nothing holds the first steps: De Lange et al. (2023) explain the stability
# gap by that.
#
# The cosines are the surprise: the class loss hardly pulls *against* the old task, not even with fine-tuning; noise of mini-batches
# draws a cosine to 0, too. With fine-tuning most of the rise is of first order. With joint training and EBLL hardly any is, in the mean,
# and yet the loss rises: by curvature, since steps have a length.

# %% curvature [markdown] tags=["slide"]
# ## 3. Are the first steps too long?
#
# For SGD with step size $\eta$ and momentum $\mu$ a term of curvature $h$ is stable while (notebook 06, M11)
#
# $$\eta h < 2\,(1 + \mu)$$
#
# Beyond it every step leads farther away. Below it a parameter may still *swing*: with momentum the error follows
# $e_{k+1} = (1 + \mu - \eta h) e_k - \mu e_{k-1}$, which overshoots for $\eta h > (1 - \sqrt\mu)^2$ and shrinks by $\sqrt\mu$ a step.
#
# **Predict first.** Is joint training's dip, around steps 20 to 50, a sign of steps beyond the limit? Where between $(1 - \sqrt\mu)^2$ and $2(1+\mu)$, on a
# logarithmic scale, will joint training's loss and EBLL's terms lie? With a quarter of the step size and four times the steps: the same dip, or less?

# %% curvature-run tags=["slide"]
rows = []
for seed in lesson.seeds:
    for name in ("joint", "ebll"):
        run = ebll.protocol.begin(tasks, name, seed=seed, start=starts[seed], device=lesson.device)
        table = dynamics.along(run, tasks, ebll.USUAL, [dynamics.curvatures], every=25)
        rows.append(table.drop(columns="training").melt("step", var_name="term", value_name="size"))
        rows[-1] = rows[-1].assign(seed=seed, term=f"{name}: " + rows[-1]["term"].str.removeprefix("curvature_"))
sizes = pd.concat(rows).dropna()
mu = ebll.USUAL.momentum
limits = {"unstable above": {"size": 2 * (1 + mu)}, "swings above": {"size": (1 - mu**0.5) ** 2}}
ebll.plots.over_setting(
    sizes, "step", {"size": "step size × curvature"}, by="term", xlabel="optimiser step", log=False, log_y=True,
    references=limits, title="Step size times curvature of weighted terms",
    caption="Mini-batches, those of joint training of both tasks",
)  # fmt: skip

# %% slow-run tags=["slide"]
slow = ebll.USUAL.replace(learning_rate=ebll.USUAL.learning_rate / 4, epochs=4 * ebll.USUAL.epochs)
options = lesson.options("mlp") | {"settings": slow, "starts": starts, "log_every": 40, "dense": 0.1}
slow_runs = ebll.compare(tasks, ["joint"], **options)
readings = slow_runs.curves.query("stage == 'train' and training == 'mnist' and step % 4 == 0")  # as many as before
dips.loc["joint, slow"] = readings.groupby("seed")["accuracy"].agg(dip)
slow_table = dips.loc[["joint", "joint, slow"]].rename(columns="seed {}".format)
slow_table.assign(mean=slow_table.mean(axis=1)).rename_axis(columns="dip of joint training, points").round(1)

# %% slow-claim tags=["hidden"]
usual = pd.concat([runs["joint", seed].accuracy for seed in lesson.seeds])
ends = [
    100 * table.query("after == 'mnist' and task == 'letters'")["accuracy"] for table in (usual, slow_runs.accuracy)
]
largest, saved = sizes["size"].max(), dips.loc["joint"] - dips.loc["joint, slow"]
ebll.course.say(
    f"The largest product is {largest:.2f}, {largest / limits['unstable above']['size']:.0%} of the limit. "
    "Smaller steps make the "
    f"dip smaller by {with_interval(saved, ' points')}: **{verdict(saved)}**. Letters at the end, test images: "
    f"{ends[0].mean():.1f} % with the usual steps, {ends[1].mean():.1f} % with the small ones."
)

# %% curvature-saw [markdown] tags=["slide"]
# **What we saw.** All terms stay well below the limit, and well above the point where they begin to swing: stable, and
# overshooting. When the step size falls in the last quarter, so does the product. Smaller steps, with as much training in sum, dip
# less in the mean of these seeds, as the part of curvature in section 2 leads one to expect (the end is a little lower, too, and a
# dip is measured from there). A small gap remains.

# %% drift [markdown] tags=["slide"]
# ## 4. In which directions do the features go?
#
# The feature distance (M2) says how far. Its square splits into parts (M14). With $v = F(x) - F^*(x)$, $P_c$ the projection onto the
# span of the encoder's rows, and $P_{ch}$ onto that of these rows and of those of $T$'s first layer together, through which the old head reads:
#
# $$\lVert v \rVert^2 = \underbrace{\lVert P_c v \rVert^2}_{\text{seen by the code}} +
# \underbrace{\lVert (P_{ch} - P_c) v \rVert^2}_{\text{read by the head}} + \underbrace{\lVert (I - P_{ch}) v \rVert^2}_{\text{free}}$$
#
# means over held-out images, of the old task and of the new one.
#
# **Predict first.** A movement in a random direction would be seen by the code in proportion to the directions it spans, 64 of
# 256: a quarter. With fine-tuning: more than that, or less? And with EBLL, on images of the new task, and of the old one?

# %% drift-figure tags=["slide"]
ebll.plots.drift_parts(measured[measured["method"].isin(drifting)])


# %% drift-table tags=["hidden"]
last = measured[measured["step"] == measured["step"].max()].groupby("method").mean(numeric_only=True)


def read_rows(seed):
    """Rows of the encoder, and those through which the old head reads."""
    return torch.cat([encoders[seed].weight, starts[seed].net.operator[0].weight])


seen_, read_ = (len(ebll.metrics.row_basis(rows.detach())) for rows in (encoders[0].weight, read_rows(0)))
chance = [seen_, read_ - seen_, read_rows(0).shape[1] - read_]
parts, shares, varied = ["code", "head", "free"], {}, {images: [] for images in held_out}
for seed, start in starts.items():
    bases = [ebll.metrics.row_basis(rows.detach()) for rows in (encoders[seed].weight, read_rows(seed))]
    for images, inputs in held_out.items():
        features = start.net.features(inputs).detach()
        varied[images].append(ebll.metrics.drift_parts(features, features.mean(dim=0), *bases))

# %% drift-shares tags=["slide", "hidden"]
for images in held_out:
    own = last.loc[drifting, [f"{part}_{images}" for part in parts]]
    own = own.set_axis(parts, axis=1)
    own.loc["by directions"] = chance  # as many as there are of each kind
    own.loc["by variance"] = [sum(kinds) / len(starts) for kinds in zip(*varied[images], strict=True)]
    shares[images] = 100 * own.div(own.sum(axis=1), axis=0)
pd.concat(shares, axis=1).rename_axis(columns=["images", "share, %"]).round()

# %% drift-saw [markdown] tags=["slide"]
# **What we saw.** Fine-tuning moves most where the code looks: more than such directions are many, though less than the features
# vary there. EBLL's movement is many times smaller in *all* parts, and its composition is another: the share that the code
# sees is smaller, on new images below that of a random direction. Old images were never shown, and there it is smaller as well: this is what
# an encoder fitted to letters was for. What is left is spread over the other two parts about as by directions; of it, the part that
# the head reads is left to distillation.

# %% probes [markdown] tags=["slide"]
# ## 5. What is lost, the readout or the representation?
#
# The old head may fail because the features no longer tell letters apart, or because they do so in other directions than the head
# reads. A **linear probe** (M15) separates the two: freeze the network, fit a *new* linear classifier on old training images,
# and test it on held-out ones. What the probe regains was lost in the **readout**, the rest in the **representation**. (It needs old
# images: a measuring device, no method.)
#
# The literature reads such a figure in two ways. Davari et al. (2022): in points of accuracy, representations forget little.
# Hess et al. (2024): compare it with what the network had *learned* about the task. For that we take the probe of an untrained
# network as zero.
#
# **Predict first.** Fine-tuning loses more than ten points of letters. How much of that does a probe of the last layer regain:
# a quarter, half, nearly all? And do the two readings disagree?

# %% probes-run tags=["hidden"]
last_layer = f"layer {len(dynamics.representations(starts[0].net, 0, letters.validation.inputs[:2])) - 1}"
readers = {last_layer: "probe of the last layer", "features": "probe of F"}
probing = ["joint", "finetune", "lwf", "ebll"]
rows, untrained = [], []
for seed, start in starts.items():
    torch.manual_seed(seed)
    fresh = ebll.build_network("mlp", letters.input_shape).to(lesson.device)
    fresh.add_head(letters.class_count)
    nets = {"before": start.net, "untrained": fresh} | {name: runs[name, seed].net for name in probing}
    for name, net in nets.items():
        found = {"its own head": ebll.recording.measure_accuracy(net, 0, letters.validation)}
        probed = dynamics.probes(net, 0, letters, list(readers))
        found |= {readers[layer]: right for layer, right in probed.items()}
        rows += [(name, seed, reader, 100 * right) for reader, right in found.items()]
probed = pd.DataFrame(rows, columns=["method", "seed", "reader", "accuracy"])

# %% probes-figure tags=["slide"]
ebll.plots.probes(probed[probed["method"] != "untrained"])

# %% cka-text [markdown]
# The representation may also be compared directly. **Linear CKA** (M16) takes the features $X$ and $Y$ of the same images, with
# columns centred, and says how alike they are up to rotation and scale:
#
# $$\frac{\lVert Y^\top X \rVert_F^2}{\lVert X^\top X \rVert_F\, \lVert Y^\top Y \rVert_F}$$
#
# **Exercise 2.** Write it. A case for paper: rows (0, 0), (4, 0), (2, 3) against 0, 2, 1: the answer is 0.8.


# %% cka-exercise tags=["exercise"]
def my_cka(x, y):
    """M16: two representations of the same images, (images, size) and (images, other size) -> a number."""
    # Which mean is taken off? Which of the three norms are of a product, and which is squared?
    # solution
    x, y = x - x.mean(dim=0), y - y.mean(dim=0)
    return (y.T @ x).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())


# %% cka-check tags=["check"]
ebll.course.checks.cka(my_cka)

# %% cka-table tags=["slide", "hidden"]
table = probed.pivot_table(index=["seed", "method"], columns="reader", values="accuracy")
before, zero = (table.xs(name, level="method") for name in ("before", "untrained"))
lost, probe = before.sub(table, level="seed"), "probe of the last layer"
parts = pd.DataFrame({"lost by the head": lost["its own head"], "in the representation": lost[probe]})
parts["in the readout"] = parts["lost by the head"] - parts["in the representation"]
learned = (before - zero)[probe]
parts["representation, % of what was learned"] = 100 * lost[probe].div(learned, level="seed")
for name in probing:
    for seed in lesson.seeds:
        now, was = (dynamics.representations(n, 0, held_out["old"]) for n in (runs[name, seed].net, starts[seed].net))
        for layer in list(now)[1:]:  # the images are the same
            parts.loc[(seed, name), f"CKA, {readers.get(layer, layer).removeprefix('probe of ')}"] = ebll.metrics.cka(
                now[layer], was[layer]
            )
parts.groupby("method").mean().loc[probing].round(2)

# %% probes-claim tags=["hidden"]
tuned = parts.xs("finetune", level="method")
regained = 100 * tuned["in the readout"] / tuned["lost by the head"]
floor = table.xs("untrained", level="method")
ebll.course.say(
    f"Fine-tuning: a probe of the last layer regains {with_interval(regained, ' %')} of what the old head has "
    "lost. Of what had "
    f"been learned above an untrained network ({floor[probe].mean():.0f} % there, {before[probe].mean():.0f} "
    "% before mnist), the "
    f"representation has lost {with_interval(tuned['representation, % of what was learned'], ' %')}."
)

# %% probes-saw [markdown] tags=["slide"]
# **What we saw.** Most of what fine-tuning has lost is lost in the *readout*: the letters can still be told apart, but not by the
# old head. On this pair both readings agree, as the representation has lost little by either. They would differ where little had
# been learned about a task in the first place, and a few points are then most of it; a longer sequence or a nearer task may show
# that. And CKA stays near 1 throughout: **likeness is not accuracy**; the directions of largest variance dominate it.
#
# EBLL holds the features so that the old readout still fits. With a few old images a method could repair the readout instead (notebook 05).

# %% plane [markdown] tags=["slide"]
# ## 6. Was there a way without forgetting?
#
# Joint training's end is good for both tasks. Is there a hill between the start and that end, so that any way over it must
# forget? Three points in the space of all weights span a plane (M17): *before* mnist, the end of joint training, and the end of
# fine-tuning. On a grid of weights $\theta^* + u e_1 + v e_2$ we compute both class losses (E1), and draw every run's path in: its
# shadow on the plane, a dot each ten steps. Below: the losses on the straight line from the start to each end.
#
# **Predict first.** Sketch the loss of letters along the straight line from *before* to joint training's end: a hill, a valley,
# flat? Does the path of joint training follow that line?

# %% plane-figure tags=["slide"]
first = {name: {10 * i: weights for i, weights in enumerate(paths[name, 0])} for name in shown}
structure = runs["joint", 0].net  # its layers alone count: the weights are those of the plane
surface, places, lines = dynamics.landscape(structure, first, ("joint", "finetune"), *some)
ebll.plots.landscape(surface, places, lines)

# %% lines-rises tags=["slide", "hidden"]
rows = []
for (name, seed), path in paths.items():
    straight = dynamics.line_between(path[0].float(), path[-1].float())
    line = dynamics.losses_at(structure, straight, {0: some[0]})[:, 0]
    walked = measured.query("method == @name and seed == @seed")["letters"].to_numpy()
    rises = {"its path, highest": walked.max(), "straight line, highest": line.max(), "its end": walked[-1]}
    rows.append({"method": name, "seed": seed} | {where: float(loss - walked[0]) for where, loss in rises.items()})
rises = pd.DataFrame(rows).set_index(["method", "seed"])
shift = {name: torch.stack(paths[name, 0]).float() for name in shown}
axes = dynamics.plane_through(shift["joint"][0], shift["joint"][-1], shift["finetune"][-1])
shift = {name: path[-1] - path[0] for name, path in shift.items()}
inside = {name: 100 * ((axes @ move).norm() / move.norm()).item() ** 2 for name, move in shift.items()}
rises.groupby("method").mean().loc[shown].assign(**{"in the plane, %": pd.Series(inside)}).rename_axis(
    columns="loss of letters above before, nats"
).round(3)

# %% lines-claim tags=["hidden"]
higher = (rises["its path, highest"] - rises["straight line, highest"]).unstack("seed")
told = "; ".join(f"{ebll.METHODS[name].label} {with_interval(higher.loc[name])}" for name in shown)
ebll.course.say(
    f"The loss of letters rises higher on the path than on the straight line to its end, nats: {told}. For joint "
    f"training: **{verdict(higher.loc['joint'])}**."
)

# %% plane-saw [markdown] tags=["slide"]
# **What we saw.** Along the straight line from the start to joint training's end the loss of letters changes little while mnist is
# learned: no hill is in the way. The path does not take that line. Every run sets out in nearly the same direction, where mnist falls
# steepest, up the side of the letters' valley; the constraints then bend the way, and only fine-tuning goes on. That a straight way
# between such ends has no hill is what Mirzadeh et al. (2021) report of networks that share their start (**mode connectivity**).
# A line without a hill is not yet a line without forgetting: fine-tuning's has none either, it only rises. These seeds suggest that
# the forgetting on the way is *avoidable*, a matter of the path and not of where one can go.
#
# **Open question.** Which change to the optimiser would keep joint training on the straight line: a learning rate that rises
# slowly, no momentum, larger batches, a projection of the first steps? Predict for one of them the path in this plane, the dip (M12)
# and the end on both tasks; then try it on ten seeds. What would make you give the idea up? There is no answer here.

# %% signals [markdown] tags=["slide"]
# ## 7. What could a learner see of all this?
#
# All measures so far need letters. A learner in sequence has new images, the old network, and what it keeps. It can compute
# before and after mnist, on images of mnist: the divergence of the old head's answers (M18),
#
# $$\operatorname{mean}_x \sum_k p^*_k(x)\,\big(\log p^*_k(x) - \log p_k(x)\big)$$
#
# the code distance (E4), the feature distance (M2); and how far the weights of $F$ have moved. A study of large language models
# (Shenfeld et al. 2025) finds that a divergence on the *new* task predicts forgetting, and weights do not. Does it here?
#
# **Predict first.** Order the seven methods without old data by forgetting. Which of the four quantities orders them best?

# %% signals-run tags=["slide"]
rows = []
for (name, seed), run in runs.items():
    if name == "joint":  # it has old data
        continue
    seen = dynamics.learner_signals(starts[seed].net, run.net, encoders[seed], held_out["new"])
    was, now = (ebll.recording.measure_accuracy(net, 0, letters.test) for net in (starts[seed].net, run.net))
    rows.append({"method": name, "seed": seed, "forgetting": 100 * (was - now), **seen})
seen = pd.DataFrame(rows)
ebll.plots.signals(seen)

# %% signals-by-hand tags=["slide"]
names = ["kl", "code", "features", "weights"]
ranks = seen.set_index(["method", "seed"]).groupby("seed").rank()
rho = pd.DataFrame({name: ranks[name].groupby("seed").corr(ranks["forgetting"]) for name in names})
by_hand, by_library = rho.mean(), ebll.plots.signals(seen).table.groupby("quantity")["mean"].first()
assert max(abs(by_hand[name] - by_library[name]) for name in names) < 1e-9

without = seen[seen["method"] != "finetune"].set_index("seed")
without = {name: without[[name, "forgetting"]].groupby("seed").corr("spearman").iloc[::2, 1].mean() for name in names}
pd.DataFrame({"all methods": rho.mean(), "without fine-tuning": without}).round(2)

# %% signals-claim tags=["slide", "hidden"]
order = rho.mean().sort_values(ascending=False).index
labels = dict(
    zip(names, ("the divergence", "the code distance", "the feature distance", "that of weights"), strict=True)
)
warns = [labels[name] for name in order if verdict(rho[name]) == "supported"]
ahead = rho[order[0]] - rho[order[1]]
ebll.course.say(
    f"**What we saw.** Intervals above 0: {', '.join(warns) or 'none'}. The best mean has {labels[order[0]]}; "
    "that it is ahead of "
    f"{labels[order[1]]} is **{verdict(ahead)}** ({with_interval(ahead)}). That the divergence is a better "
    "sign than the weights is "
    f"**{verdict(rho['kl'] - rho['weights'])}** here ({with_interval(rho['kl'] - rho['weights'])})."
)

# %% signals-saw [markdown]
# Much of each correlation is due to one method: fine-tuning is worst and has the largest value on every axis. Among methods that
# hold something, each looks good by what it holds: EBLL by the code distance, LwF by the divergence, L2 by the weights.
# **A quantity that a method minimises is no fair judge of that method.** So compare runs of *one* method by it, as notebook 07
# does with the code loss to choose $\alpha$.

# %% later [markdown] tags=["slide"]
# ## Where did the idea go?
#
# Large language models are now held in a similar way: a **sparse autoencoder** turns their activations into many features of which
# few are active, and is frozen. Two papers of 2026 are known here from their *abstracts only*: **SAE-FD**
# ([arXiv 2605.25525](https://arxiv.org/abs/2605.25525)) anchors a model's representations in such features; **SAE-guided activation
# regularisation** ([arXiv 2606.26629](https://arxiv.org/abs/2606.26629)) keeps a mask of them in place of old data, since a weight serves
# many features. The resemblance is plain: an encoder, frozen, its code held; so is a difference: theirs is over-complete, EBLL's
# narrow. Which share of the drift would such a code see, and how deep would the dip be?

# %% summary [markdown] tags=["slide"]
# ## Summary
#
# 1. **The stability gap** (M12): methods that end well, joint training among them, are worse on the way. Take each seed's own
#    minimum, and compare at equal numbers of readings.
# 2. **Competition**: the constraints' share of the gradients grows, yet their gradients are largest early. Cosines with the
#    old task's gradient are small; much of what is lost on the way comes by curvature. Steps are stable, and overshoot.
# 3. **Drift in parts** (M14): fine-tuning moves most where the code looks. EBLL takes that part away, and leaves the rest
#    to distillation.
# 4. **Readout or representation**: a refitted head regains most of what fine-tuning loses. Say whether you count points, or
#    the share of what had been learned. Likeness (M16) is not accuracy.
# 5. **The plane** shows a straight way that hardly forgets, which no run takes. What a learner sees without old data orders methods
#    roughly; a quantity that a method minimises is no fair judge of it.
#
# ## What to try next
#
# - Fewer steps with momentum: `ebll.USUAL.replace(momentum=0.0)`, with the same learning rate, and then with ten times that:
#   ```python
#   still = ebll.USUAL.replace(momentum=0.0)
#   again = ebll.compare(tasks, ["joint", "ebll"], settings=still, **options | {"settings": still, "log_every": 10})
#   ebll.plots.stability_gap(again.curves)
#   ```
# - A far task: `lesson.load("letters", "textures")`. Is the loss still one of the readout?
# - Next: `10_paper_scale.ipynb` is for runs of hours and the paper's own experiments.
#
# ## References
#
# - M. De Lange, G. van de Ven, T. Tuytelaars: Continual evaluation for lifelong learning: identifying the stability gap. ICLR
#   2023. [arXiv 2205.13452](https://arxiv.org/abs/2205.13452)
# - M. Davari, N. Asadi, S. Mudur, R. Aljundi, E. Belilovsky: Probing Representation Forgetting in Supervised and Unsupervised
#   Continual Learning. CVPR 2022. [arXiv 2203.13381](https://arxiv.org/abs/2203.13381)
# - T. Hess, E. Verwimp, G. van de Ven, T. Tuytelaars: Knowledge accumulation in continually learned representations and the
#   issue of feature forgetting. 2024. [arXiv 2304.00933](https://arxiv.org/abs/2304.00933)
# - S. Kornblith, M. Norouzi, H. Lee, G. Hinton: Similarity of Neural Network Representations Revisited. ICML 2019 (CKA).
#   [arXiv 1905.00414](https://arxiv.org/abs/1905.00414)
# - S. I. Mirzadeh, M. Farajtabar, D. Gorur, R. Pascanu, H. Ghasemzadeh: Linear Mode Connectivity in Multitask and Continual
#   Learning. ICLR 2021. [arXiv 2010.04495](https://arxiv.org/abs/2010.04495)
# - I. Shenfeld, J. Pari, P. Agrawal: RL's Razor: Why Online Reinforcement Learning Forgets Less. 2025.
#   [arXiv 2509.04259](https://arxiv.org/abs/2509.04259)
# - A. Rannen Triki, R. Aljundi, M. Blaschko, T. Tuytelaars: Encoder Based Lifelong Learning. ICCV 2017.
#   [arXiv 1704.01920](https://arxiv.org/abs/1704.01920)
