# %% title [markdown] tags=["slide"]
# # Encoder Based Lifelong Learning: a regulariser on the features, and its curve
#
# LwF penalises changes of the old answers. EBLL also penalises changes of the features, though not of all of them: only of
# what a small encoder makes of them. You write EBLL's training step, see which term dominates the gradient and when, read
# the curve that the method is known for, and find what the code term cannot hold.
#
# - **What for**: to know what each term of EBLL holds, and to read its curve without being misled by it.
# - **For whom**: anyone who has trained a network in PyTorch once.
# - **Before this**: `02_lwf_and_its_shortcomings.ipynb` for distillation (E3), `03_autoencoder_submanifold.ipynb` for the
#   autoencoder (E2).
# - **Time**: {{read}} minutes to read and do; about {{run}} s to run on two cores.
#
# {{start}}
#
# After this notebook you can
#
# 1. **compute** the code term (E4), and tell the movement that it penalises from the movement that is free (M10);
# 2. **implement** EBLL's training step (E5), and explain which term dominates its gradient at first;
# 3. **interpret** the curve of the feature distance (M2), and say what it does not show;
# 4. **distinguish** forgetting in $F$ from forgetting in $T$, and choose between shared and separate operators;
# 5. **judge** what alpha buys, and what the autoencoder is for, by an ablation.
#
# Ids such as E4 and M10 lead to formula, function and test: see [the equations](../docs/equations.md) and
# [the glossary](../docs/glossary.md).

# %% setup tags=["environment"]
import pandas as pd
import torch

import ebll

PROFILE = "fast"  # "full": ten seeds, every image, and the GPU where there is one
lesson = ebll.course.setup(PROFILE)

# %% code [markdown] tags=["slide"]
# ## 1. What does the code term hold, and what does it leave free?
#
# After a task has been learned, a task-aware autoencoder is fitted to its features (E2, notebook 03). The encoder is kept,
# frozen; the decoder is dropped. While the next task is learned, its images are encoded twice: with the features as they are,
# $F$, and as they were before, $F^*$. The code term (E4) is half the squared distance of the two codes, summed over the
# code, averaged over the batch:
#
# $$\tfrac12\,\lVert \sigma(W_{enc} F(x) + b) - \sigma(W_{enc} F^*(x) + b) \rVert_2^2$$
#
# **Exercise 1.** Write E4 for a batch. A case for paper: codes $(0.5, 0.4)$ and $(0.2, 0.8)$ now, $(0.5, 0.2)$ and $(0.2, 0.4)$
# before. It is 0.05.


# %% code-exercise tags=["exercise"]
def my_code_distance(code_now, code_before):
    """E4: codes (batch, code) -> a tensor with one number. Gradient must reach code_now."""
    # Which of the two, code or batch, is summed over, and which averaged?
    # solution
    return 0.5 * (code_now - code_before).square().sum(dim=1).mean()


# %% code-check tags=["check"]
ebll.course.checks.code_distance(my_code_distance)

# %% plane-text [markdown] tags=["slide"]
# ### Which movements does it see?
#
# Each entry of the code looks at the features through one row of $W_{enc}$. So a movement $\delta = F(x) - F^*(x)$ has two
# parts. Let $P$ project orthogonally onto the span of the rows. $P\delta$ lies **across** the code's level sets and changes
# the code; $\delta - P\delta$ lies **along** them and changes nothing. M10, which you
# wrote in notebook 03, is the mean length of each:
#
# $$\operatorname{mean}_x \lVert P\,(F(x) - F^*(x)) \rVert_2 \qquad\text{and}\qquad
# \operatorname{mean}_x \lVert (I - P)\,(F(x) - F^*(x)) \rVert_2$$
#
# In the plane of notebook 00 there are two features and a code of one: one direction across the level lines, one along
# them. LwF and EBLL there differ in the code term alone. It is computed on blobs; we measure the movement of the moons.
#
# **Predict first.** By how much does a term on blobs reduce the movement of the moons across the level lines: to nothing, to
# half, not at all? And along the lines, do they move less than with LwF, as far, or farther?

# %% plane tags=["slide"]
plane_runs = [ebll.widgets.plane_run(seed=seed) for seed in range(5)]
plane_curves = pd.concat([run.curves for run in plane_runs]).query("method != 'finetune'")
ebll.plots.over_setting(
    plane_curves, "step", {"across": "across the level\nlines", "along": "along them"}, by="method", log=False,
    xlabel="step while the blobs are learned", title="Movement of the moons' features, with and without the code term",
    caption="M10, held-out moons",
)  # fmt: skip

# %% plane-saw [markdown] tags=["slide"]
# **What we saw.** On average the features move less *across* with the code term. *Along* the level lines it penalises nothing,
# and there they move farther than without it. The length of the whole movement (M2) mixes the two.
#
# ### The same with 256 features
#
# Now images: an MLP learns capital letters, then digits. What this notebook trains is a **demonstration**: distillation is weak
# and the steps are long, so that an effect is large in one run. Demonstrations rank no methods; claims rest on weights that
# were tuned for each method, in `make reproduce`.
#
# A code of 64 in 256 dimensions leaves 192 directions free. Below, the features of validation letters are pushed by the same
# length in two ways: along random directions within the span of the rows, or orthogonal to all of them.

# %% starts
line = ebll.course.DEMONSTRATIONS["weights"]  # as the lab's field "as code" shows it
config = ebll.widgets.LabConfig.read(line)
letters, digits = tasks = lesson.load(config.old, config.new)
method, starts, memories = config.run("ebll").made_method(), {}, {}
for seed in lesson.seeds:  # a network that has learned letters, and the encoder of letters
    starts[seed] = ebll.learn_first([letters], seed=seed, device=lesson.device)
    memories[seed] = method.consolidate(starts[seed].net, 0, letters, None, seed)  # fits the autoencoder (E2)

images, labels = letters.validation.inputs, letters.validation.labels
before = starts[0].net.features(images).detach()
print(f"features: {before.shape[1]} numbers, mean length {ebll.metrics.feature_norm(before):.1f}")

# %% push-predict [markdown]
# The mean length of the features is printed above. After a push of 8, how much accuracy on letters is lost in each case?

# %% push tags=["slide"]
rows = []
for seed, start in starts.items():
    encoder, features = memories[seed].encoder(0), start.net.features(images).detach()
    span = torch.linalg.svd(encoder.weight).Vh  # its first 64 rows span what the code sees, the others the rest
    draw, size = ebll.seeds.generator(seed, "pushes"), len(encoder.weight)
    for kind, basis in {"the code sees": span[:size], "the code cannot see": span[size:]}.items():
        push = torch.randn(len(features), len(basis), generator=draw).to(basis) @ basis
        for length in (0, 1, 2, 4, 8, 16):
            pushed = features + length * push / push.norm(dim=1, keepdim=True)
            assert kind == "the code sees" or torch.allclose(encoder(pushed), encoder(features), atol=1e-3)
            right = ebll.metrics.accuracy(start.net.heads[0](start.net.operator(pushed)), labels)
            rows.append({"directions": kind, "length": length, "seed": seed, "accuracy": 100 * right})
pushes = pd.DataFrame(rows)
table = pushes.pivot_table(index="length", columns="directions", values="accuracy")
table.rename_axis(index="length of the push", columns="% of letters right, mean over seeds").round(1)

# %% push-saw [markdown] tags=["slide"]
# **What we saw.** A push that the code sees costs letters early; one of the same length that it cannot see costs little, and
# the code stays what it was (the `assert` in the cell). Little is not nothing: the old head reads the features and not their
# reconstruction, and the largest push shows it. A larger code sees more directions, and leaves fewer to the new task.

# %% objective [markdown] tags=["slide"]
# ## 2. Which term dominates the gradient of F?
#
# EBLL learns task $\mathcal T$ by minimising three terms, all on images of the new task (E5):
#
# $$\ell(T_{\mathcal T} T F(x), y) + \lambda_o \sum_{t<\mathcal T} \ell_{dist}(T_t T F,\, T_t^* T^* F^*) +
# \sum_{t<\mathcal T} \tfrac{\alpha_t}{2}\lVert \sigma(W_{enc,t} F) - \sigma(W_{enc,t} F^*)\rVert_2^2$$
#
# The first (E1) learns the new task. The second (E3, weight $\lambda_o$, in code `distill_weight`) penalises deviations from
# the old heads' soft targets, the third (E4, weight $\alpha_t$, in words alpha) deviations from the recorded codes. The star
# is the network just before the new task.
#
# Three symbols look alike: the plain $T$ is the operator, $T_t$ is the head of task $t$, and the curly $\mathcal T$ is no part of
# the network but a number, that of the new task. (The temperature is $\theta$.)
#
# {{diagram:data-flow}}
#
# The old network's answers and codes are recorded once for each new image; then it is not needed any more. The order matters:
#
# {{diagram:timeline}}
#
# Here is the whole of it on one mini-batch, from $F$, $T$, heads and encoder. The network has made ten steps on digits, so
# that something has moved:


# %% some-steps
def begin(seed):
    """A run of EBLL on digits, and its steps, not made yet: a new head, its warm-up, recording, then training."""
    options = {"seed": seed, "start": starts[seed], "device": lesson.device}
    run = ebll.protocol.begin(tasks, method, recorder=ebll.Recorder(log_every=1), **options)
    run.memory = memories[seed]
    return run, ebll.protocol.learn_task(run, tasks, 1, config.train)


run, steps = begin(seed=0)
for step in steps:
    if step.stage == "train" and step.index == 10:
        break
net, old, encoder = run.net, starts[0].net, run.memory.encoder(0)

# %% by-hand
x, y, theta = digits.train.inputs[:64], digits.train.labels[:64], method.temperature
with torch.no_grad():
    features_before = old.features(x)  # F*(x)
    soft_targets = torch.softmax(old.heads[0](old.operator(features_before)) / theta, dim=1)
    codes = encoder(features_before)

features = net.features(x)
hidden = net.operator(features)
task = torch.nn.functional.cross_entropy(net.heads[1](hidden), y)  # E1
distill = -(soft_targets * torch.log_softmax(net.heads[0](hidden) / theta, dim=1)).sum(dim=1).mean()  # E3
code = 0.5 * (encoder(features) - codes).square().sum(dim=1).mean()  # E4
by_hand = task + method.distill_weight * distill + method.alpha * code  # E5

# %% by-library
batch = ebll.methods.Batch(1, x, y, method.record_targets(old, 1, x, run.memory))
terms = method.loss_terms(net, [batch], run.memory)
assert torch.isclose(by_hand, sum(term.weighted() for term in terms.values()))
parts = pd.DataFrame({"value": {name: term.raw.item() for name, term in terms.items()}})
parts.assign(weight=[term.weight for term in terms.values()]).eval("weighted = value * weight").round(3)

# %% library-text [markdown]
# In the library the objective is these lines; its two helpers sum over the old tasks:

# %% library
ebll.course.source(ebll.EBLL.loss_terms)

# %% training-text [markdown]
# **Exercise 2.** Write EBLL's training: some steps on a second task, from $F$, $T$, heads and encoder. You get a network that
# has learned task 0 and has a head for task 1, the encoder of task 0, and a mini-batch for each step. The check compares all
# weights, after five steps, with those of the library. The loop is that of notebook 00; the terms stand above. What remains is
# the part that goes wrong in practice: which network answers what, when, and what carries gradient.


# %% training-exercise tags=["exercise"]
def my_training(net, encoder, inputs, labels, alpha, distill_weight, temperature, learning_rate):
    """Steps of EBLL with plain SGD, without momentum. Returns the list of the weights of `net`, after the last step.

    inputs (steps, batch, ...), labels (steps, batch): a mini-batch of task 1 for each step
    """
    # Which network is F*, and from which moment on? Which weights learn? What is a constant?
    # solution
    from copy import deepcopy

    old, optimizer = deepcopy(net), torch.optim.SGD(net.parameters(), lr=learning_rate)
    old_head, new_head = net.heads
    for x, y in zip(inputs, labels, strict=True):
        with torch.no_grad():
            targets, codes = torch.softmax(old(x, 0) / temperature, dim=1), encoder(old.features(x))
        features = net.features(x)
        hidden = net.operator(features)
        loss = torch.nn.functional.cross_entropy(new_head(hidden), y)
        answers = torch.log_softmax(old_head(hidden) / temperature, dim=1)
        loss = loss - distill_weight * (targets * answers).sum(dim=1).mean()
        loss = loss + alpha * 0.5 * (encoder(features) - codes).square().sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return list(net.parameters())


# %% training-check tags=["check"]
ebll.course.checks.ebll_training(my_training)

# %% gradient-text [markdown] tags=["slide"]
# ### The first thirty steps
#
# How strongly a term acts on $F$ is the norm of its gradient with respect to the weights of $F$. The library's loop hands out
# every step before it is made, with its terms, so we can look on; leaving the `for` stops the run.
#
# **Predict first.** At step 0, order the three weighted terms by the norm of that gradient. And will accuracy on the
# *new* task rise from the first step on?

# %% gradient
rows = []
for seed in lesson.seeds:
    run, steps = begin(seed)
    for step in steps:
        if step.stage == "train" and step.index == 30:
            break
        for name, term in step.terms.items() if step.stage == "train" else ():
            parts = torch.autograd.grad(term.weighted(), list(run.net.features.parameters()), retain_graph=True)
            norm = torch.cat([part.flatten() for part in parts]).norm().item()
            rows.append({"kind": name, "seed": seed, "step": step.index, "norm": norm})
    curves = run.curves.query("stage == 'train' and training == 'digits'")
    first = pd.DataFrame({"kind": "ebll", "seed": seed, "step": curves["step"], "digits": 100 * curves["accuracy_new"]})
    rows += first.to_dict("records")
first_steps = pd.DataFrame(rows)

# %% gradient-figure tags=["slide"]
ys = {"norm": "norm of the gradient of F", "digits": "accuracy on digits, %"}
ebll.plots.over_setting(
    first_steps, "step", ys, xlabel="steps made while digits are learned", log=False,
    title="The weighted terms of EBLL in its first steps, and the new task (MLP)",
    caption="One mini-batch of 64 a step; accuracy on 256 validation images",
)  # fmt: skip

# %% gradient-saw [markdown] tags=["slide"]
# **What we saw.** At step 0 the new task alone acts on $F$: both regularisers are inactive. The code distance is zero, and so
# is its gradient. Distillation is not zero, it cannot be less than the entropy of its targets; but its gradient for the
# logits, the difference of the soft answers now and before over $\theta$, is. A term at its minimum has no gradient. So the
# first step of EBLL and of LwF is the one that fine-tuning makes, and the regularisers answer what it has moved. Later the
# code term has the largest gradient.
#
# A common account of EBLL says: the loss of the new task falls first, at the old task's expense, then the regularisers pull
# the features back. Half of it holds. The new task acts first; but its own accuracy falls at first, too. These steps seem to
# be too long even for the task that asks for them: they overshoot.

# %% curve [markdown] tags=["slide"]
# ## 3. What does the curve of the feature distance show?
#
# The feature distance (M2) is the mean length of the movement, over held-out images of the old task:
#
# $$\operatorname{mean}_x \lVert F(x) - F^*(x) \rVert_2$$
#
# It needs images of the old task, so no learner in sequence could compute it: it is an **oracle**, for us to look on.
# Its curve is what EBLL is known for. Below are five seeds of the convolutional network (1,568 features) with the tuned
# weights, from the tables of `make reproduce` (in the kit's folder `figures`).
#
# **Predict first.** Sketch the curves of fine-tuning, joint training (which sees the letters all the time), LwF, EWC and EBLL.
# Which of them come down again, and which comes down furthest?

# %% curve-figure tags=["slide"]
main = {name: ebll.course.main_job(name).query("sequence == 'cnn:letters-mnist'") for name in ("curves", "accuracy")}
shown = ["finetune", "joint", "lwf", "ewc", "ebll"]
ebll.plots.feature_distance(main["curves"], methods=shown, panels=[])

# %% curve-table tags=["slide"]
by = main["curves"].query("stage == 'train' and task == 'letters'").sort_values("step")
by = by.groupby(["method", "seed"])["feature_distance"]
shape = pd.DataFrame({"peak": by.max(), "end": by.last(), "end / peak": by.last() / by.max()})
curve_table = shape.groupby("method").mean().loc[shown]
curve_table.round(2)

# %% curve-saw [markdown] tags=["slide"]
# **What we saw.** EBLL's features come most of the way back. But EWC's do, too, and even joint training's rise and fall: the
# **shape alone is no sign of the code term**. LwF's and fine-tuning's fall a little, with nothing to bring the features back.
# What the code term does shows beside LwF, which is EBLL without it: a lower peak, and a lower end. (*peak* in the table is the
# mean of the seeds' own peaks. They come at different steps, so the mean line in the figure peaks a little lower.)
#
# Summaries of the paper quote a distance that goes from 18 up to 83, and then down. Ours starts at exactly 0, since at step 0
# the network *is* $F^*$. A first reading of 18 must have been taken after some steps, perhaps an epoch, and a later one may
# miss the peak. The units are those of the features of one network, so 83 there and a number here cannot be compared. Compare
# shapes, and how often they were read.
#
# ### Does a larger distance mean more forgetting?
#
# LwF's features end several times as far away as EBLL's. Has it forgotten more letters, and how many?

# %% accuracy-table tags=["slide"]
end = main["accuracy"].query("after == 'mnist'").groupby(["method", "task"])["accuracy"].agg(["mean", "std"])
end = (100 * end).unstack("task").swaplevel(axis=1).sort_index(axis=1)
end["distance", "end"] = curve_table["end"]
end.loc[shown].round(1)

# %% accuracy-saw [markdown] tags=["slide"]
# **What we saw.** LwF has forgotten hardly any more: **distance is not forgetting**. LwF holds the answers, and lets the features
# go wherever the answers stay: section 1's free directions, found by gradient descent. The curve shows that the code term does
# its job. It does not show that the job matters for accuracy on this pair of tasks, with weights that were tuned for each method.

# %% price tags=["hidden"]
pairs = [f"mlp:letters-{new}" for new in ("mnist", "digits", "textures")]
outcomes = ebll.plots.outcomes(ebll.course.main_job("accuracy"), pairs).groupby(["sequence", "method"])
outcomes = outcomes[["forgetting", "new"]].mean().unstack("method")
saved, price = ((outcomes[name]["lwf"] - outcomes[name]["ebll"]).sort_values() for name in ("forgetting", "new"))
behind = end["mnist", "mean"]["lwf"] - end["mnist", "mean"]["ebll"]
ebll.course.say(
    f"Nor is the code term free: EBLL learns mnist {behind:.1f} points less well than LwF. With the MLP, over three "
    f"pairs of "
    f"tasks and more seeds, it forgets {saved.iloc[0]:.1f} to {saved.iloc[-1]:.1f} points less than LwF, and learns "
    f"the new "
    f"task {price.iloc[0]:.1f} to {price.iloc[-1]:.1f} points less well."
)

# %% curve-open [markdown] tags=["slide"]
# **Open question.** With the MLP on the same tasks the distance falls less (the lab of section 5 opens there). A hypothesis: the
# rise is an overshoot of the first, long steps, which are made while the regularisers are inactive. Which experiment would test
# it, with which control, and what would you see in letters kept? There is no answer here: write down a prediction, then move
# the learning rate in that lab.
#
# ### Change alpha in mid-run
#
# Back to the demonstration, letters and digits. In the widget below the weights act *while* EBLL trains. Alpha is high up to
# where the shade begins, and 0 from there on; distillation is off. A change is marked in the curves, and the line of code at the bottom
# holds it.
#
# **Predict first.** What do the distance and the letters do once alpha is 0? And if you set it back some steps later, will the
# features come back?

# %% what-if tags=["slide"]
ebll.widgets.forgetting_lab(ebll.course.DEMONSTRATIONS["what-if"], mode="mid-run")

# %% what-if-saw [markdown] tags=["slide"]
# **What we saw.** Letters are lost before the shade, too: nothing holds $T$. From there on nothing holds $F$ either: the
# features drift away, and more letters are lost.
#
# <details><summary>One answer to the second question</summary>
#
# No: in the runs that we tried the distance even grows. What comes back is the code, and with it some letters; along the
# directions that the code does not see, nothing leads back. Distance is not forgetting, once more.
#
# </details>

# %% operators [markdown] tags=["slide"]
# ## 4. Which part of the forgetting sits in F, and which in T?
#
# The code term looks at $F$, but the old heads need the operator $T$ as well. EBLL with a shared operator adds distillation.
# EBLL with **separate operators** gives each task its own $T$, and the old ones get no gradient:
#
# $$\ell(T_{\mathcal T} F) + \sum_{t<\mathcal T} \tfrac{\alpha_t}{2}\lVert \sigma(W_{enc,t} F) - \sigma(W_{enc,t}
# F^*)\rVert_2^2 \qquad\text{(E5 without E3, } T_t \text{ all layers above } F)$$
#
# The code term alone with a shared $T$ is neither: an **ablation**.
#
# **Predict first.** Which keeps more letters by itself, distillation (LwF) or the code term? And which of EBLL's two forms?

# %% operators-run tags=["slide"]
methods = {name: config.run(name).made_method() for name in ("finetune", "lwf", "ebll", "ebll-separate")}
methods["code-only"] = ebll.CodeOnly(alpha=config.alpha)
demo = lesson.demonstrate(line, methods, starts)
ebll.plots.stability_plasticity(demo.accuracy)

# %% operators-saw [markdown] tags=["slide"]
# **What we saw.** The axes have different scales: all learn digits nearly equally well, so the height is what matters.
# Distillation alone and the code term alone each lose many letters; both together, EBLL keeps clearly more, and with separate
# operators hardly any letter is lost.
#
# ### Put the old T back
#
# Is it $F$ that has forgotten, or what stands above it? We take the features of each network after digits, and classify them with
# the old $T$ and the old head, which belong together; we say $T$ for both. Nobody could ship this; it is a measurement. With
# which methods does much of the lost accuracy come back?

# %% old-operator tags=["slide"]
rows = []
for (name, seed), run in demo.runs.items():
    old, row = starts[seed].net, {"method": name, "seed": seed}
    features = run.net.features(images).detach()
    row["as learned"] = 100 * ebll.recording.measure_accuracy(run.net, 0, letters.validation)
    row["old T put back"] = 100 * ebll.metrics.accuracy(old.heads[0](old.operator(features)), labels)
    for task in (letters, digits):
        now, before = (net.features(task.validation.inputs).detach() for net in (run.net, old))
        across, along = ebll.metrics.feature_shift(now, before, memories[seed].encoder(0).weight)
        row |= {f"across, {task.name}": across, f"along, {task.name}": along}
    rows.append(row)
operators = pd.DataFrame(rows).set_index(["method", "seed"])
operators.groupby("method").mean().loc[["finetune", "lwf", "code-only", "ebll", "ebll-separate"]].round(1)

# %% old-operator-saw [markdown] tags=["slide"]
# **What we saw.** (Validation letters that are classified correctly, in per cent, and M10.) With the code term alone, most of
# the loss is the operator's: the features still serve the old $T$. With fine-tuning nearly nothing comes back: its features
# have left the old $T$. Where separate operators are used the two columns are equal, as the old $T$ has not moved.
#
# Has LwF's $T$ followed its features? Then the old $T$ would do worse on them than the new one. It does not.
#
# The code term looks at the new images only, and there it holds what the code sees: compare *across* for the new task
# with LwF's. On letters, which it never looks at, the hold is weaker.

# %% old-operator-probe tags=["hidden"]
from ebll import dynamics

few = letters.subset(1500)
probes = [dynamics.probes(demo.runs["finetune", s].net, 0, few, ["features"])["features"] for s in lesson.seeds]
back = operators.xs("finetune")["old T put back"].mean()
ebll.course.say(
    f"And fine-tuning's features, which serve the old $T$ for only {back:.0f} % of the letters? A *new* linear head, "
    f"fitted to them with "
    f"letters (M15), gets {100 * sum(probes) / len(probes):.0f} % right: see [notebook "
    f"09](09_what_forgetting_is_made_of.ipynb)."
)

# %% operators-cost tags=["hidden"]
operator, encoder = starts[0].net.operator, memories[0].encoder(0)
sizes = {"operator": operator, "encoder": encoder}
counts = {name: sum(part.numel() for part in module.parameters()) for name, module in sizes.items()}
ebll.course.say(
    f"Separate operators have a price: {counts['operator']:,} weights for every task, beside the "
    f"{counts['encoder']:,} of its "
    "encoder. And tasks can no longer share what they have learned above $F$."
)

# %% alpha [markdown] tags=["slide"]
# ## 5. What does alpha buy, and what is the autoencoder for?
#
# In E5, alpha weighs what the old task needs of the features against what the new one wants. At alpha 0 EBLL is LwF, or
# fine-tuning where there is no distillation, as in this demonstration.
#
# **Predict first.** Alpha goes up from 0 over a decade. Draw the accuracy on letters, and that on digits.

# %% alpha-run
alpha_line = ebll.course.DEMONSTRATIONS["alpha"]
alphas, alpha_config = (0.0, 0.3, 1.0, 3.0), ebll.widgets.LabConfig.read(alpha_line)  # edit me
alpha_methods = {f"{alpha:g}": alpha_config.replace(alpha=alpha).run("ebll").made_method() for alpha in alphas}
alpha_runs = lesson.demonstrate(alpha_line, alpha_methods, starts)
rows = []
for (alpha, seed), run in alpha_runs.runs.items():
    row = {"alpha": float(alpha), "seed": seed, "method": "ebll"}
    for t, task in enumerate(tasks):
        row[task.name] = 100 * ebll.recording.measure_accuracy(run.net, t, task.validation)
    rows.append(row)
alpha_table = pd.DataFrame(rows)

# %% alpha-figure tags=["slide"]
untouched = [ebll.recording.measure_accuracy(start.net, 0, letters.validation) for start in starts.values()]
ebll.plots.over_setting(
    alpha_table, "alpha", {"letters": "accuracy on letters, %", "digits": "accuracy on digits, %"}, by="method",
    xlabel="α", title="What α buys and costs: letters → digits (MLP)", caption="Validation data",
    references={"before digits": {"letters": 100 * sum(untouched) / len(untouched)}},
)  # fmt: skip

# %% alpha-saw [markdown] tags=["slide"]
# **What we saw.** More alpha, more letters; the new task hardly pays in this demonstration. Seeds differ by more than neighbouring
# alphas do, so follow one thin line at a time. With a much larger alpha the steps overshoot;
# [notebook 06](06_ewc_and_parameter_constraints.ipynb) derives the limit.
#
# ### Move it yourself
#
# The lab opens on the tasks of section 3, letters and mnist, with the MLP and the tuned weights. It trains again as soon as you
# move a control. Pin a run to compare others with it.
#
# **Predict first.** Move alpha from its tuned value to 0, and then far up. Does it matter for letters as much as above?

# %% lab tags=["slide"] page="lab.html#new=mnist&alpha=30&distill_weight=3&learning_rate=0.02"
ebll.widgets.forgetting_lab('new="mnist"')

# %% lab-answer [markdown]
# <details><summary>One answer</summary>
#
# Down to 0, no: it is then LwF, and the tuned distillation keeps most letters by itself. What alpha adds is less than one run on a
# few images can show: the main job takes many seeds for it. Far up, yes: the steps overshoot, and letters are lost.
#
# </details>

# %% identity-text [markdown]
# ### Ablation: would the features themselves do?
#
# Why an autoencoder at all? Replace $\sigma(W_{enc}\,\cdot)$ by the identity, and E4 becomes
# half the squared distance of the *features*: **feature distillation**. It holds all directions alike and needs no
# autoencoder. In the library that is a method of a few lines. With the best of three strengths, will it keep fewer letters than
# EBLL, as many, or more? And in the plane, where there are just two directions?


# %% identity
from dataclasses import dataclass


@dataclass(frozen=True)
class FeatureDistillation(ebll.LwF):
    """LwF, and strength * E4 with the features in place of codes."""

    strength: float = 0.1

    def record_targets(self, net, t, inputs, memory):
        features = ebll.methods.base.record(net, inputs, features=lambda features: features)
        return super().record_targets(net, t, inputs, memory) | features

    def loss_terms(self, net, batches, memory):
        change = ebll.losses.code_distance(net.features(batches[0].inputs), batches[0].targets["features"])
        return super().loss_terms(net, batches, memory) | {"features": ebll.methods.Term(change, self.strength)}


# %% identity-run tags=["slide"]
strengths = {f"feature distillation {s:g}": s for s in (0.03, 0.1, 0.3)}
weight = config.distill_weight
identity = {name: FeatureDistillation(distill_weight=weight, strength=s) for name, s in strengths.items()}
identity_runs = lesson.demonstrate(line, identity, starts)
runs = {pair: run for pair, run in demo.runs.items() if pair[0] in ("lwf", "ebll")} | identity_runs.runs
rows = []
for (name, _), run in runs.items():
    right = {
        task.name: 100 * ebll.recording.measure_accuracy(run.net, t, task.validation) for t, task in enumerate(tasks)
    }
    rows.append({"method": name, **right})
on_images = pd.DataFrame(rows).groupby("method", sort=False).agg(["mean", "min", "max"])
on_images.round(1)

# %% identity-plane tags=["slide"]
from functools import partial

train = ebll.TrainSettings(epochs=20, first_epochs=40, learning_rate=0.03)
fit = ebll.AutoencoderSettings(code_size=1, recon_weight=0.1, epochs=40, learning_rate=0.01)
plane_methods = {"ebll": ebll.EBLL(alpha=10.0, distill_weight=0.5, autoencoder=fit)}
plane_methods |= {
    f"feature distillation {s:g}": FeatureDistillation(distill_weight=0.5, strength=s) for s in (0.1, 0.3)
}
parts = []
for count, seed in [(count, seed) for count in (2, 3) for seed in range(5)]:
    net, moons_blobs = partial(ebll.networks.toy, features=count), ebll.plane_tasks(seed=seed)
    plane = ebll.compare(moons_blobs, plane_methods, net=net, settings=train, seeds=[seed], log_every=0)
    parts.append(plane.accuracy.query("after == 'blobs'").assign(features=count))
in_plane = 100 * pd.concat(parts).groupby(["features", "method", "task"])["accuracy"].mean().unstack("task")
in_plane[["moons", "blobs"]].round(1)

# %% identity-saw [markdown] tags=["slide"]
# **What we saw.** On images feature distillation, at its better strengths, keeps as many letters as EBLL, at no cost that we
# can see. So on this pair the autoencoder is not what protects the letters; holding features is.
#
# In the plane with two features it is otherwise. Feature distillation strong enough to keep the moons holds both directions,
# and the blobs pay for it. EBLL holds one direction and leaves the other free. With three features there is room for all,
# and feature distillation keeps *more* moons. So the choice of what to hold seems to pay **where free directions are
# scarce**, where the new task needs what the old one does not; a demonstration suggests that, it proves nothing.
# Ask for such an ablation whenever a method has a component more.
#
# One check remains: that EBLL without its term is LwF.

# %% alpha-zero
options = {"settings": config.train, "start": starts[0], "device": lesson.device, "consolidate_last": False}
without = ebll.run_sequence(tasks, methods["ebll"].replace(alpha=0.0), seed=0, **options).net.state_dict()
assert all(torch.equal(without[name], value) for name, value in demo.runs["lwf", 0].net.state_dict().items())
print("EBLL with alpha 0 ends with LwF's weights, to the last bit.")

# %% summary [markdown] tags=["slide"]
# ## Summary
#
# 1. **The code term** (E4) penalises movement across the level sets of the code, in the span of the rows of $W_{enc}$.
#    Movement along them is free, and costs the old task little as long as it stays moderate. M10 measures both.
# 2. **The training step** (E5): codes and soft targets come from the network as it was before the first step, are constants,
#    and are compared on new images alone. At the first step both regularisers are inactive: only the new task acts.
# 3. **The curve** (M2) rises and falls, with EBLL to well below half of its peak. So do those of EWC and joint training: the
#    shape is no sign of the code term, and a small distance is not the same as a kept task. EBLL pays with the new task.
# 4. **$F$ and $T$.** The code term holds $F$; with a shared operator, $T$ drifts unless distillation holds it. Separate
#    operators need no distillation, and cost memory.
# 5. **Alpha** buys stability. Holding all features alike does as well where free directions abound; the autoencoder's choice
#    pays where they are scarce.
#
# ## What to try next
#
# - A code of 16 or 128. After these lines, run the cell of section 1 again that pushes the features: how far do the two
#   columns lie apart?
#   ```python
#   smaller = method.replace(autoencoder=ebll.AutoencoderSettings(code_size=16))
#   memories = {seed: smaller.consolidate(start.net, 0, letters, None, seed) for seed, start in starts.items()}
#   ```
# - The curve of section 3 with smaller and with longer steps: `ebll.USUAL.replace(learning_rate=0.005)`, and 0.03.
#   ```python
#   settings = ebll.USUAL.replace(learning_rate=0.03)
#   again = ebll.compare(lesson.load("letters", "mnist"), ["lwf", "ebll"], settings=settings, **lesson.options("mlp"))
#   ebll.plots.feature_distance(again.curves, panels=[])
#   ```
# - Next: `05_long_sequences.ipynb` goes on to several tasks, where each old one has an encoder of its own.
#
# ## References
#
# - A. Rannen Triki, R. Aljundi, M. Blaschko, T. Tuytelaars: Encoder Based Lifelong Learning. ICCV 2017, sections 3.3
#   and 4. [arXiv 1704.01920](https://arxiv.org/abs/1704.01920)
# - Z. Li, D. Hoiem: Learning without Forgetting. ECCV 2016. [arXiv 1606.09282](https://arxiv.org/abs/1606.09282)
# - M. De Lange, G. van de Ven, T. Tuytelaars: Continual evaluation for lifelong learning: identifying the stability gap. ICLR
#   2023 (the old task's accuracy in the first steps). [arXiv 2205.13452](https://arxiv.org/abs/2205.13452)
