# %% title [markdown]
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
# 5. **judge** by planes of weights (M17) and rank correlations (M18) what was avoidable, and what a learner could see.
#
# Ids such as M12 and E4 lead to formula, function and test: see [the equations](../docs/equations.md) and
# [the glossary](../docs/glossary.md).

# %% setup tags=["environment"]
import pandas as pd
import torch

import ebll

PROFILE = "fast"  # "full": ten seeds, every image, and the GPU where there is one
lesson = ebll.course.setup(PROFILE)

# %% gap [markdown]
# ## 1. Does a method that ends well forget nothing on the way?
#
# A network learns letters, then mnist. Accuracy on letters is $a_s$ at step $s$ of $S$. What is lost at the end is $a_0 - a_S$.
# The **stability gap** (M12) asks for the way there: the lowest reading, and how far below the *end* it lies,
#
# $$\min_s a_s \qquad\text{and}\qquad a_S - \min_s a_s$$
#
# **Exercise 1.** Write the second for several seeds. A case for paper: readings 90, 70, 80, 85 and 88, 84, 72, 81 per cent. The
# answer is 0.12.


# %% gap-exercise tags=["exercise"]
def my_stability_gap(readings):
    """Accuracies, an array (seeds, steps) -> the depth of M12, its mean over the seeds: a float."""
    # Are seeds lowest at the same step? What comes first, the minimum or the mean?
    # solution
    return (readings[:, -1] - readings.min(axis=1)).mean()


# %% gap-check tags=["check"]
ebll.course.checks.stability_gap(my_stability_gap)

# %% runs-text [markdown]
# All runs branch from the same networks that have learned letters, and are measured as they go. `dynamics.along` hands every
# tenth step of the library's loop to functions that measure; later sections read what they leave. Measuring changes no weight.

# %% along
from ebll import dynamics

ebll.course.source(dynamics.along)

# %% starts
letters, mnist = tasks = lesson.load("letters", "mnist")
starts = {seed: ebll.learn_first(tasks, seed=seed, device=lesson.device) for seed in lesson.seeds}
memories = {s: ebll.EBLL().consolidate(start.net, 0, letters, None, s) for s, start in starts.items()}
encoders = {seed: memory.encoder(0) for seed, memory in memories.items()}  # the code of letters, for all methods


# %% learn
def learn(name, seed, *measures):
    """Learn mnist with a method: the run, a table of what was measured, and the weights at every tenth step."""
    recorder, path = ebll.Recorder(log_every=10, dense=0.1), []  # in the first tenth it reads accuracies at every step
    options = {"seed": seed, "start": starts[seed], "device": lesson.device}
    run = ebll.protocol.begin(tasks, name, recorder=recorder, **options)

    def keep(step):
        path.append(dynamics.weights_of(step.net).half())  # half precision takes half the memory
        return {}

    table = dynamics.along(run, tasks, ebll.USUAL, [keep, *measures], every=10)
    return run, table.assign(method=name, seed=seed), path


# %% runs
shown, constrained = ["joint", "finetune", "lwf", "ewc", "ebll"], ["lwf", "ewc", "ebll"]
drifting = ["finetune", "lwf", "ebll"]
held_out = {"old": letters.validation.inputs, "new": mnist.validation.inputs}
runs, tables, paths, progress = {}, [], {}, ebll.course.progress()
pairs = [(name, seed) for seed in lesson.seeds for name in [*shown, "l2", "kfac", "ebll-separate"]]
for done, (name, seed) in enumerate(pairs, start=1):
    drift = [dynamics.drift(starts[seed].net, encoders[seed], held_out)] if name in drifting else []
    gradients = [dynamics.competition(letters.validation)] if name in constrained else []
    runs[name, seed], table, way = learn(name, seed, *drift, *gradients)
    if name in shown:
        paths[name, seed] = way if seed == 0 or name == "joint" else [way[0], way[-1]]
    tables.append(table)
    progress(done, len(pairs), name)
measured, curves = pd.concat(tables), pd.concat([run.curves for run in runs.values()])

# %% gap-predict [markdown]
# **Predict first.** Joint training sees letters in every step, and fine-tuning none. For joint training, fine-tuning, LwF, EWC and
# EBLL: sketch the accuracy on letters. Which dips deepest *below its own end*?

# %% gap-figure
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

# %% gap-saw [markdown]
# **What we saw.** Joint training loses hardly anything, and yet it was several points lower on the way, although it never stopped
# seeing letters. LwF, EWC and EBLL dip, too, and recover. Fine-tuning falls most but hardly comes back: a gap is not
# forgetting. The least of noisy readings is biased downwards, so methods are compared at equal numbers of readings. And three
# seeds decide little: their intervals are wide, and *undecided* is no *no*.

# %% competition [markdown]
# ## 2. Do the terms compete, and when does each act?
#
# A common account of EBLL says: first the class loss acts and the old task suffers, later the constraints bring it back. A term acts
# on $F$ by the gradient $g_j$ of its weighted value in the weights of $F$. We measure (M13)
#
# $$\lVert g_j \rVert_2 \qquad\text{and}\qquad \frac{g_j^\top g_k}{\lVert g_j \rVert_2 \lVert g_k \rVert_2}$$
#
# between the terms, and with the gradient of the old task's own loss on letters. That one is an **oracle**: no learner without old
# images has it. Below a cosine of 0 two terms pull against each other.

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

# %% competition-predict [markdown]
# **Predict first.** When are the constraints' gradients largest, early or late? When is their *share* largest? And does the class
# loss pull against the old task's gradient: cosine near −1, −0.3, 0?

# %% competition-figure
ebll.plots.competition(measured.query("method == 'ebll'").dropna(axis=1, how="all"))

# %% competition-shares tags=["hidden"]
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
first = terms[(terms["at"] < 1 / 3) & (terms["method"] == "ebll")].groupby("seed")
pulls = {name: with_interval(first[f"cosine_{name}_old"].mean()) for name in ("task", "distill", "code")}
ebll.course.say(
    f"That the constraints have the larger *share* later, last third minus first tenth: {told}. Yet the sum "
    "of their norms is largest "
    f"at {', '.join(f'step {at:g} ({ebll.METHODS[name].label})' for name, at in peak.items())} of "
    f"{measured['step'].max():g}. Cosine with the old task's gradient (EBLL, first third): "
    f"class loss {pulls['task']}, distillation {pulls['distill']}, code {pulls['code']}."
)

# %% competition-saw [markdown]
# **What we saw.** Half of the account holds. At step 0 the class loss acts alone, and the constraints' share grows. But they do
# not wake up late: their gradients are largest early, and the share grows because the class loss fades sooner.
#
# The cosines are the surprise. The class loss hardly pulls *against* the old task: in many dimensions two gradients are nearly
# orthogonal, and here they are. Distillation and code point some way along the old task's gradient at first, and later not at
# all. So conflict of first order explains little of the forgetting. But a step of finite length along an orthogonal direction
# still costs, by curvature.

# %% curvature [markdown]
# ## 3. Are the first steps too long?
#
# For SGD with step size $\eta$ and momentum $\mu$ a term of curvature $h$ is stable while (notebook 06, M11)
#
# $$\eta h < 2\,(1 + \mu)$$
#
# Beyond it every step leads farther away. Below it a parameter may still *swing*: with momentum the error follows
# $e_{k+1} = (1 + \mu - \eta h) e_k - \mu e_{k-1}$, which overshoots for $\eta h > (1 - \sqrt\mu)^2$ and shrinks by $\sqrt\mu$ a step.
#
# **Predict first.** Is joint training's dip a sign of steps beyond the limit? Where between $(1 - \sqrt\mu)^2$ and $2(1+\mu)$, on a
# logarithmic scale, will EBLL's terms lie? With a quarter of the step size and four times the steps: the same dip, or less?

# %% curvature-run
rows = []
for seed in lesson.seeds:
    run = ebll.protocol.begin(tasks, "ebll", seed=seed, start=starts[seed], device=lesson.device)
    rows.append(dynamics.along(run, tasks, ebll.USUAL, [dynamics.curvatures], every=50).assign(seed=seed))
sizes = pd.concat(rows).melt(
    ["seed", "step"], ["curvature_task", "curvature_distill", "curvature_code"], "term", "size"
)
sizes["term"] = sizes["term"].str.removeprefix("curvature_")
mu = ebll.USUAL.momentum
limits = {"unstable above": {"size": 2 * (1 + mu)}, "swings above": {"size": (1 - mu**0.5) ** 2}}
ebll.plots.over_setting(
    sizes, "step", {"size": "step size × curvature"}, by="term", xlabel="optimiser step", log=False, log_y=True,
    references=limits, title="Step size times curvature of EBLL's weighted terms", caption="Mini-batches of mnist",
)  # fmt: skip

# %% slow-run
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

# %% curvature-saw [markdown]
# **What we saw.** All terms stay well below the limit, and well above the point where they begin to swing: stable, and
# overshooting. When the step size falls in the last quarter, so does the product. Smaller steps, with as much training in sum, dip
# less on average: part of the stability gap looks like the length of the steps. It is not all: a small gap remains.

# %% drift [markdown]
# ## 4. In which directions do the features go?
#
# The feature distance (M2) says how far. Its square splits into parts (M14). With $v = F(x) - F^*(x)$, $P_c$ the projection onto the
# span of the encoder's rows, and $P_{ch}$ onto that of the encoder's and the old readout's rows together (those of $T$'s first layer):
#
# $$\lVert v \rVert^2 = \underbrace{\lVert P_c v \rVert^2}_{\text{seen by the code}} +
# \underbrace{\lVert (P_{ch} - P_c) v \rVert^2}_{\text{read by the head}} + \underbrace{\lVert (I - P_{ch}) v \rVert^2}_{\text{free}}$$
#
# means over held-out images, of the old task and of the new one.
#
# **Predict first.** A movement in a random direction would be seen by the code in proportion to the directions it spans, 64 of
# 256: a quarter. With fine-tuning: more than that, or less? And with EBLL, on images of the new task, and of the old one?

# %% drift-figure
ebll.plots.drift_parts(measured[measured["method"].isin(drifting)])

# %% drift-table tags=["hidden"]
last = measured[measured["step"] == measured["step"].max()].groupby("method").mean(numeric_only=True)
code, head = encoders[0].weight, starts[0].net.operator[0].weight
seen_, read_ = (torch.linalg.matrix_rank(rows).item() for rows in (code, torch.cat([code, head])))
chance = [seen_, read_ - seen_, code.shape[1] - read_]
parts = ["code", "head", "free"]
shares = {}
for images in held_out:
    own = last.loc[drifting, [f"{part}_{images}" for part in parts]]
    own = own.set_axis(parts, axis=1)
    own.loc["by chance"] = chance  # as many as there are such directions
    shares[images] = 100 * own.div(own.sum(axis=1), axis=0)
pd.concat(shares, axis=1).rename_axis(columns=["images", "share, %"]).round()

# %% drift-saw [markdown]
# **What we saw.** Fine-tuning moves most where the code looks: learning digits changes the directions that letters vary in, far
# more than chance. EBLL's movement is many times smaller in *all* parts, and its composition is another: the share that the code
# sees shrinks as training goes on, on new images below chance. Old images were never shown, and there it shrinks as well: this is what
# an encoder fitted to letters was for. What moves instead is read by the head: which distillation has to hold.

# %% probes [markdown]
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

# %% probes-run
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

# %% probes-figure
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

# %% cka-table tags=["hidden"]
table = probed.pivot_table(index=["seed", "method"], columns="reader", values="accuracy")
before, zero = (table.xs(name, level="method") for name in ("before", "untrained"))
lost, probe = before.sub(table, level="seed"), "probe of the last layer"
parts = pd.DataFrame({"lost by the head": lost["its own head"], "in the representation": lost[probe]})
parts["in the readout"] = parts["lost by the head"] - parts["in the representation"]
learned = (before - zero)[probe]
parts["representation, % of what was learned"] = 100 * lost[probe].div(learned, level="seed")
for name in probing:
    for seed in lesson.seeds:
        features = [net.features(held_out["old"]).detach() for net in (runs[name, seed].net, starts[seed].net)]
        parts.loc[(seed, name), "CKA of F"] = ebll.metrics.cka(*features)
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

# %% probes-saw [markdown]
# **What we saw.** Most of what fine-tuning has lost is lost in the *readout*: the letters can still be told apart, but not by the
# old head. On this pair both readings agree, as the representation has lost little by either. They would differ where little had
# been learned about a task in the first place, and a few points are then most of it; a longer sequence or a nearer task may show
# that. And CKA stays near 1 throughout: **likeness is not accuracy**; the directions of largest variance dominate it.
#
# EBLL holds the features so that the old readout still fits. With a few old images a method may as well repair the readout.

# %% plane [markdown]
# ## 6. Was there a way without forgetting?
#
# Joint training's end is good for both tasks. Is there a hill between the start and that end, so that any way over it must
# forget? Three points in the space of all weights span a plane (M17): *before* mnist, the end of joint training, and the end of
# fine-tuning. On a grid of weights $\theta^* + u e_1 + v e_2$ we compute both class losses (E1), and draw every run's path in: its
# shadow on the plane, a dot each ten steps.
#
# **Predict first.** Sketch the loss of letters along the straight line from *before* to joint training's end: a hill, a valley,
# flat? Does the path of joint training follow that line?

# %% plane-run
ways = {name: paths[name, 0] for name in shown}
corners = (ways["joint"][0], ways["joint"][-1], ways["finetune"][-1])
plane = dynamics.plane_through(*(corner.float() for corner in corners))
rows = [(name, 10 * i, *plane.place(point.float())) for name, way in ways.items() for i, point in enumerate(way)]
places = pd.DataFrame(rows, columns=["method", "step", "x", "y"])
sides = [torch.linspace(places[axis].min() - 0.6, places[axis].max() + 0.6, 15) for axis in "xy"]
grid = torch.cartesian_prod(*sides).to(lesson.device)
few = {t: ebll.data.Split(task.validation.inputs[:128], task.validation.labels[:128]) for t, task in enumerate(tasks)}
structure = runs["joint", 0].net  # its layers alone count: the weights are those of the grid
losses = torch.cat([dynamics.losses_at(structure, plane.weights(row), few) for row in grid.split(15)])
surface = pd.DataFrame(torch.cat([grid.cpu(), losses], dim=1), columns=["x", "y", "old", "new"])
ebll.plots.landscape(surface, places)


# %% lines-run tags=["hidden"]
def along_line(one, other, count=11):
    """Both losses on the straight line between two points: rows of share, old, new."""
    one, other = one.float(), other.float()
    points = torch.stack([one + share * (other - one) for share in torch.linspace(0, 1, count)])
    table = dynamics.losses_at(structure, points, few)
    return pd.DataFrame(table, columns=["old", "new"]).assign(share=[i / (count - 1) for i in range(count)])


rows = [along_line(way[0], way[-1]).assign(method=name, seed=seed) for (name, seed), way in paths.items()]
lines = pd.concat(rows)
ebll.plots.over_setting(
    lines, "share", {"old": "loss of\nletters, nats", "new": "loss of\nmnist, nats"}, by="method", log=False,
    xlabel="share of the straight way from before mnist to each end", title="Straight lines from the start to the ends",
    caption="128 validation images of each task",
)  # fmt: skip


# %% lines-hills tags=["hidden"]
def hill(old):
    """How far the losses of letters on a way rise above the higher of its ends."""
    return max(old) - max(old[0], old[-1])


joint = {seed: paths["joint", seed] for seed in lesson.seeds}
hills = {"the straight line": [hill([*along_line(way[0], way[-1])["old"]]) for way in joint.values()]}
hills["the path"] = [
    hill(dynamics.losses_at(structure, torch.stack(way).float(), few)[:, 0].tolist()) for way in joint.values()
]
for name in shown[1:]:
    ends = [(way[-1], paths[name, seed][-1]) for seed, way in joint.items()]
    hills[f"from there straight to that of {ebll.METHODS[name].label}"] = [
        hill([*along_line(*pair)["old"]]) for pair in ends
    ]
hills = pd.DataFrame(hills, index=[f"seed {seed}" for seed in lesson.seeds]).T
hills.assign(mean=hills.mean(axis=1)).rename_axis(columns="hill on the way to joint training's end, nats").round(3)

# %% lines-claim tags=["hidden"]
higher = hills.loc["the path"] - hills.loc["the straight line"]
ebll.course.say(
    "(A hill: how far the loss of letters rises above the higher of the two ends.) Joint training's path "
    "rises higher than its "
    f"straight line, by {with_interval(higher, ' nats')}: **{verdict(higher)}**."
)

# %% plane-saw [markdown]
# **What we saw.** Between the start and joint training's end there is no hill: along the straight line the loss of letters changes
# little while mnist is learned. The path does not take it. Every run sets out in nearly the same direction, where mnist falls steepest,
# up the side of the letters' valley; the constraints then bend the way. Only fine-tuning goes on.
#
# The ends of joint training and of the methods that hold something are joined by straight lines with hardly a hill, as Mirzadeh et al. (2021)
# report of networks that share their start (**mode connectivity**). So the forgetting on the way was *avoidable*: a matter of the
# path, not of where one can go.
#
# **Open question.** Which change to the optimiser would keep joint training on the straight line: a learning rate that rises
# slowly, no momentum, larger batches, a projection of the first steps? Predict for one of them the path in this plane, the dip (M12)
# and the end on both tasks; then try it on ten seeds. What would make you give the idea up? There is no answer here.

# %% signals [markdown]
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

# %% signals-run
rows = []
for (name, seed), run in runs.items():
    if name == "joint":  # it has old data
        continue
    seen = dynamics.learner_signals(starts[seed].net, run.net, encoders[seed], held_out["new"])
    was, now = (ebll.recording.measure_accuracy(net, 0, letters.test) for net in (starts[seed].net, run.net))
    rows.append({"method": name, "seed": seed, "forgetting": 100 * (was - now), **seen})
seen = pd.DataFrame(rows)
ebll.plots.signals(seen)

# %% signals-by-hand
names = ["kl", "code", "features", "weights"]
ranks = seen.set_index(["method", "seed"]).groupby("seed").rank()
rho = pd.DataFrame({name: ranks[name].groupby("seed").corr(ranks["forgetting"]) for name in names})
by_hand, by_library = rho.mean(), ebll.plots.signals(seen).table.groupby("quantity")["mean"].first()
assert max(abs(by_hand[name] - by_library[name]) for name in names) < 1e-9

without = seen[seen["method"] != "finetune"].set_index("seed")
without = {name: without[[name, "forgetting"]].groupby("seed").corr("spearman").iloc[::2, 1].mean() for name in names}
pd.DataFrame({"all methods": rho.mean(), "without fine-tuning": without}).round(2)

# %% signals-claim tags=["hidden"]
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

# %% later [markdown]
# ## Where did the idea go?
#
# EBLL fits an encoder to what the old task needs, freezes it, and holds the code on new data. Nine years on, networks of another
# kind are held in the same way: large language models, whose activations a **sparse autoencoder** turns into many features of
# which few are active at a time. Two papers of 2026 are known here from their *abstracts only*, not read and not run:
#
# - **SAE-FD** ([arXiv 2605.25525](https://arxiv.org/abs/2605.25525)) anchors a model's representations in the features of a frozen
#   sparse autoencoder, and reports to beat other regularisers on two benchmarks.
# - **SAE-guided activation regularisation** ([arXiv 2606.26629](https://arxiv.org/abs/2606.26629)) argues that importances of
#   single weights are too coarse, as a weight serves many features; EWC is a special case of its loss, and it keeps a mask of features in
#   place of old data.
#
# The resemblance is plain: an encoder, frozen, its code held; and so is a difference: sparse autoencoders are over-complete, EBLL's
# is narrow. What this notebook asks can be asked of them: which share of the drift does the code see, and how deep is the dip?

# %% summary [markdown]
# ## Summary
#
# 1. **The stability gap** (M12): methods that end well, joint training among them, are worse on the way. Take each seed's own
#    minimum, and compare at equal numbers of readings.
# 2. **Competition**: the constraints' share of the gradients grows, yet their gradients are largest early; first-order conflict
#    with the old task is small. Steps are stable, and overshoot; smaller ones dip less.
# 3. **Drift in parts** (M14): fine-tuning moves most where the code looks. EBLL takes that part away, and leaves what the head
#    reads to distillation.
# 4. **Readout or representation**: a refitted head regains most of what fine-tuning loses. Say whether you count points, or
#    the share of what had been learned. Likeness (M16) is not accuracy.
# 5. **The plane** shows a straight way without forgetting, which no run takes. What a learner sees without old data orders methods
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
