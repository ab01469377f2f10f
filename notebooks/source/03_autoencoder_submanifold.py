# %% title [markdown]
# # Features near a submanifold, and what a task needs of them
#
# A network describes a letter by 256 numbers. You find out how many of them it needs: first by principal components,
# then by a linear autoencoder, which turns out to be the same thing, and then by the autoencoder of EBLL, which is told
# what the task is and keeps something else. Along the way lie two traps: flat sigmoids, and a weight that means nothing
# without its scale.
#
# - **What for**: the autoencoder is what EBLL keeps of an old task. Here you see what it keeps, before the next notebook
#   uses it.
# - **For whom**: anyone who has trained a network in PyTorch once and has met the singular value decomposition.
# - **Before this**: `01_joint_training.ipynb` for the parts $F$, $T$ and $T_t$ of the network.
# - **Time**: {{read}} minutes to read and do; about {{run}} s to run on two cores.
#
# {{start}}
#
# After this notebook you can
#
# 1. **measure** how near features lie to a flat submanifold, and what the frozen head makes of their reconstruction;
# 2. **show** that a linear autoencoder finds PCA's subspace, and **say** which part of PCA it does not find;
# 3. **write** the objective of the task-aware autoencoder, and **explain** what its weight $\lambda$ trades for what;
# 4. **recognise** flat sigmoids, and **choose** where a fit starts;
# 5. **convert** a weight from one spelling of a squared error into another.
#
# Ids such as E2 and M8 lead to formula, function and test: see [the equations](../docs/equations.md) and
# [the glossary of columns](../docs/glossary.md).

# %% setup tags=["environment"]
import copy
import math

import pandas as pd
import torch

import ebll

PROFILE = "fast"  # "full": ten seeds, every image, and the GPU where there is one
lesson = ebll.course.setup(PROFILE)

# %% pca [markdown]
# ## 1. Few directions, most of the spread
#
# **Claim.** The features of letters lie near a flat piece of far fewer dimensions than they have numbers, and the head
# reads that piece nearly as well as the features themselves.
#
# Take a network that has learned letters, and freeze it. $F$ gives 256 features for each image. Principal component
# analysis (PCA) finds the directions in which they spread most: centre the features, take the singular value
# decomposition, keep the first $k$ right singular vectors $V_k$. Back from these $k$ numbers to 256, a feature vector $v$
# becomes its reconstruction
#
# $$r(v) = \bar v + V_k V_k^\top (v - \bar v)$$
#
# Two numbers tell how good that is. The **unexplained share** (M8) is the part of the spread that it misses, and the
# **accuracy** (M1) is that of the frozen $T$ and $T_1$ when they are given $r(v)$ in place of $v$:
#
# $$\frac{\operatorname{mean}\lVert r(v) - v\rVert_2^2}{\operatorname{mean}\lVert v - \bar v\rVert_2^2}
# \;\text{(M8)} \qquad\qquad \arg\max_j T_1(T(r(v)))_j = y \;\text{(M1)}$$
#
# Directions and autoencoders are found on training images. All that is reported is measured on held-out ones, which here
# means all validation images; test images are not touched in this notebook.
#
# **Predict first.** Keep 32 of the 256 directions, one in eight. How much of the spread is left, and how much of the
# accuracy? And if the 32 directions are drawn at random?

# %% features
letters, mnist = lesson.load("letters", "mnist")  # mnist is for section 4
held_out = letters.validation
starts = {seed: ebll.learn_first([letters], seed=seed, device=lesson.device) for seed in lesson.seeds}
nets = {seed: copy.deepcopy(start.net).eval().requires_grad_(False) for seed, start in starts.items()}
features = {s: (net.features(letters.train.inputs), net.features(held_out.inputs)) for s, net in nets.items()}
print(
    f"features: {tuple(features[0][0].shape)} in training, {tuple(features[0][1].shape)} held out, a set for each seed"
)


# %% read
def read(seed, back):
    """What a reconstruction of the held-out features is worth, in percent."""
    logits = nets[seed].heads[0](nets[seed].operator(back))
    accuracy = ebll.metrics.accuracy(logits, held_out.labels)
    return {"accuracy": 100 * accuracy, "missed": 100 * ebll.metrics.unexplained_variance(back, features[seed][1])}


direct = sum(read(seed, held)["accuracy"] for seed, (_, held) in features.items()) / len(features)
print(f"given the features themselves, the head reads {direct:.1f} % of the held-out letters")

# %% pca-by-hand
train, held = features[0]
mean = train.mean(dim=0)
directions = torch.linalg.svd(train - mean, full_matrices=False).Vh  # a row a direction, largest spread first
code = (held - mean) @ directions[:32].T  # 32 numbers an image
back = mean + code @ directions[:32]  # r(v)

missed = (back - held).square().sum(dim=1).mean() / (held - held.mean(dim=0)).square().sum(dim=1).mean()
assert abs(missed - ebll.metrics.unexplained_variance(back, held)) < 1e-5  # M8
with ebll.seeds.seeded(0, "pca"):  # torch's own PCA is quick and draws random numbers; a few more directions help it
    quick = torch.pca_lowrank(train, q=48, niter=4)[2][:, :32].T
assert torch.allclose(mean + (held - mean) @ quick.T @ quick, back, atol=0.1 * float(held.std()))
print(f"seed 0: 256 features -> {code.shape[1]} numbers -> 256; missed {100 * missed:.1f} % of the spread")

# %% pca-exercise-text [markdown]
# **Exercise 1.** Write the cell above as one function, without looking. The check knows the usual slips.


# %% pca-exercise tags=["exercise"]
def my_pca_reconstruction(features, size):
    """Features (n, d) -> (n, d): centred, projected on their `size` directions of largest spread, and back."""
    # Centre; singular value decomposition; the first rows of Vh; project and go back; the mean again.
    # solution
    mean = features.mean(dim=0)
    directions = torch.linalg.svd(features - mean, full_matrices=False).Vh[:size]
    return mean + (features - mean) @ directions.T @ directions


# %% pca-check tags=["check"]
ebll.course.checks.pca_reconstruction(my_pca_reconstruction)

# %% pca-curve
rows = []
for seed, (train, held) in features.items():
    mean = train.mean(dim=0)
    noise = torch.randn(256, 256, generator=ebll.seeds.generator(seed, "random directions")).to(lesson.device)
    kinds = {
        "PCA": torch.linalg.svd(train - mean, full_matrices=False).Vh,
        "random directions": torch.linalg.qr(noise).Q.T,
    }
    for kind, directions in kinds.items():
        for size in (4, 8, 16, 32, 64, 128):
            back = mean + (held - mean) @ directions[:size].T @ directions[:size]
            rows.append({"kind": kind, "size": size, "seed": seed} | read(seed, back))
pca = pd.DataFrame(rows)

# %% pca-figure
MEASURES = {"accuracy": "accuracy through the reconstruction, %", "missed": "share of the spread missed, %"}
LEVEL = {"features themselves": {"accuracy": direct}}
NOTE = "MLP, letters, held-out images."
title = "Held-out letters, reconstructed from few directions"
ebll.plots.over_setting(pca, "size", MEASURES, xlabel="directions kept", title=title, references=LEVEL, caption=NOTE)

# %% pca-read
at = pca.groupby(["kind", "size"])[["accuracy", "missed"]].mean()
few, more, drawn = at.loc["PCA", 32], at.loc["PCA", 64], at.loc["random directions", 64]
ebll.course.say(
    f"With **32** of 256 directions PCA misses {few['missed']:.0f} % of the spread, and the head reads "
    f"{few['accuracy']:.1f} % of the letters; with **64** it is {more['missed']:.0f} % and {more['accuracy']:.1f} %. "
    f"The features themselves give {direct:.1f} %. 64 random directions miss {drawn['missed']:.0f} % and leave "
    f"{drawn['accuracy']:.0f} %. The curve is smooth: no size stands out as *the* dimension of the submanifold."
)
assert more["missed"] < 12 and more["accuracy"] > direct - 5  # the claim: a quarter of the directions will do
assert drawn["missed"] > 60 and drawn["accuracy"] < 50  # and not because any directions would

# %% plane-text [markdown]
# ### To look at
#
# What a projection does can be seen in a plane. With one direction every letter falls onto a line; with two it lies in the
# plane that is drawn, and nothing seems lost. But the plane is all that we see. What is missed sticks out of it, and no
# two-dimensional picture of 256 features shows that. The number above each panel does. Where a marker has no open dot, the
# dot is hidden under it: no distance in this plane.


# %% plane
def in_plane(panels, seed=0, shown=tuple(letters.classes[:4]), each=7):
    """Features and reconstructions of a few images in the plane of the first two principal components."""
    train, held = features[seed]
    mean, names = train.mean(dim=0), [letters.classes[label] for label in held_out.labels]
    across = torch.linalg.svd(train - mean, full_matrices=False).Vh[:2].T
    rows = [i for one in shown for i in [i for i, name in enumerate(names) if name == one][:each]]
    parts = []
    for panel, back in panels.items():
        (x, y), (x_back, y_back) = (((v - mean) @ across)[rows].T.tolist() for v in (held, back))
        facts = {name: value / 100 for name, value in read(seed, back).items()}
        points = {"panel": panel, "label": [names[i] for i in rows], "share": facts["missed"]}
        points |= {"accuracy": facts["accuracy"], "x": x, "y": y, "x_back": x_back, "y_back": y_back}
        parts.append(pd.DataFrame(points))
    return pd.concat(parts)


# %% plane-figure
train, held = features[0]
mean = train.mean(dim=0)
first = torch.linalg.svd(train - mean, full_matrices=False).Vh
panels = {
    "PCA, 1 direction": mean + (held - mean) @ first[:1].T @ first[:1],
    "PCA, 2 directions": mean + (held - mean) @ first[:2].T @ first[:2],
}
ebll.plots.submanifold(in_plane(panels))

# %% plane-read
one, two = (read(0, back)["accuracy"] for back in panels.values())
chance = 100 / letters.class_count
assert max(one, two) < direct / 4  # the claim speaks of a quarter of the directions, not of one or two
ebll.course.say(
    f"From these the head reads {one:.1f} % (1 direction) and {two:.1f} % (2 directions) of the letters; "
    f"guessing would give {chance:.1f} %."
)

# %% linear [markdown]
# ## 2. A linear autoencoder is PCA
#
# **Claim.** Trained by gradient descent on nothing but its reconstruction error, a linear autoencoder comes down to PCA's
# error, which it cannot beat, and turns into PCA's subspace, as far as the error can tell subspaces apart.
#
# An **autoencoder** squeezes $v$ into a code of $k$ numbers and goes back: $r(v) = W_{dec}W_{enc}v$, here with centred $v$,
# so that it needs no bias. It is *under-complete*, because $k$ is below the number of features. What it minimises is the
# **reconstruction error** (E2a), a mean over the rows and a sum over the features:
#
# $$\tfrac12\lVert r(v) - v\rVert_2^2$$
#
# All its reconstructions lie in a flat piece of $k$ dimensions, whatever the weights. Of all such pieces PCA's has the
# smallest squared error (the theorem of Eckart and Young), namely $\tfrac1{2n}\sum_{j>k} s_j^2$ with the singular values
# $s_j$ that are cut off. So the error of any linear autoencoder comes down to that number from above.
#
# **Exercise 2.** Write E2a.


# %% error-exercise tags=["exercise"]
def my_reconstruction_error(reconstructed, features):
    """E2a: both (batch, features) -> one number."""
    # Half the squared distance of each row, then the mean over the rows.
    # solution
    return 0.5 * (reconstructed - features).square().sum(dim=1).mean()


# %% error-check tags=["check"]
ebll.course.checks.reconstruction_error(my_reconstruction_error)

# %% linear-predict [markdown]
# Below is the whole training. The encoder and the decoder start at random, and nothing ties one to the other. A trick makes
# it quick. With the centred features $X = U S V^\top$, the squared error summed over all $n$ images is the same for the 256
# rows of $S V^\top$, since the columns of $U$ are orthonormal. Divided by $\sqrt n$ (`s[:, None] * v / len(train) ** 0.5`
# below), these rows give the mean over the images as a plain sum, so `train_linear` sums.
#
# The figure shows how far the error is above PCA's, and the **principal angles** between the two subspaces, $k$ of them:
# all 0 where the subspaces are the same, the largest 90° where one has a direction at right angles to the whole of the
# other. Angles cost error: with angles $\varphi_i$ it is above PCA's by at least
#
# $$\frac{s_k^2 - s_{k+1}^2}{\sum_{j>k} s_j^2}\,\sum_i \sin^2 \varphi_i$$
#
# of PCA's. Where the spreads on both sides of the cut are nearly equal, this is next to nothing, and so is the pull.
#
# <details><summary>How the angles are computed</summary>
#
# Take orthonormal columns $Q$ that span the decoder, and subtract their projection on PCA's subspace:
# $Q - V_k V_k^\top Q$. The singular values of what is left are the sines of the angles.
#
# </details>
#
# **Predict first.** Which of these will the trained autoencoder share with PCA: the error, the subspace, the directions?


# %% linear-train
def train_linear(rows, size, seed):
    """Minimise E2a of a linear autoencoder; yields step, error, (encoder, decoder)."""
    start = torch.randn(2, 256, size, generator=ebll.seeds.generator(seed, "linear")).to(rows.device) / 16
    encode, decode = (part.clone().requires_grad_() for part in start)
    optimizer = torch.optim.Adam([encode, decode], lr=1e-2)
    for step in range(1, 1001):
        if step == 751:
            optimizer.param_groups[0]["lr"] = 1e-3
        error = 0.5 * (rows @ encode @ decode.T - rows).square().sum()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        yield step, error.item(), (encode.detach(), decode.detach())


# %% linear-run
rows, SIZE = [], 16
for seed, (train, _) in features.items():
    mean, (_, s, v) = train.mean(dim=0), torch.linalg.svd(train - train.mean(dim=0), full_matrices=False)
    floor = 0.5 * s[SIZE:].square().sum().item() / len(train)  # E2a of PCA
    cut = ((s[SIZE - 1].square() - s[SIZE].square()) / s[SIZE:].square().sum()).item()
    for step, error, parts in train_linear(s[:, None] * v / len(train) ** 0.5, SIZE, seed):
        if step in (20, 50, 100, 200, 500, 1000):
            q = torch.linalg.qr(parts[1]).Q
            sines = torch.linalg.svdvals(q - v[:SIZE].T @ (v[:SIZE] @ q)).clamp(max=1)
            found = {"excess": 100 * (error / floor - 1), "least": 100 * cut * sines.square().sum().item()}
            found |= {"angle": sines.arcsin().rad2deg().mean().item(), "sine": sines.max().item(), "cut": 100 * cut}
            rows.append({"kind": "linear autoencoder", "seed": seed, "step": step} | found)
    back = mean + (train - mean) @ parts[0] @ parts[1].T  # all images, not the 256 rows
    assert abs(ebll.losses.reconstruction_error(back, train).item() / floor - 1) < 2e-3  # PCA's error, by the library
linear = pd.DataFrame(rows)

# %% linear-figure
shown = {"excess": "error above PCA's, %", "angle": "angle to PCA's subspace, degrees, mean of 16"}
title = "A linear autoencoder on its way to PCA"
zero = {"PCA": {"excess": 0.0, "angle": 0.0}}
note = "MLP, letters, training images, code of 16."
ebll.plots.over_setting(linear, "step", shown, xlabel="training step", title=title, references=zero, caption=note)

# %% linear-read
end, early = linear[linear["step"] == 1000], linear[linear["step"] == 100]
columns = parts[1] / torch.linalg.vector_norm(parts[1], dim=0)  # of the decoder
oblique = (columns.T @ columns - torch.eye(SIZE, device=columns.device)).abs().max().item()
assert linear["excess"].min() > -0.01 and (linear["excess"] > linear["least"] - 1e-3).all()  # up to rounding
assert end["excess"].max() < 0.2 and end["angle"].max() < 10  # PCA's error; the subspace, but for a direction or so
assert oblique > 0.1  # but not PCA's directions: those are at right angles to each other
last, late = end.loc[end["sine"].idxmax()], [math.degrees(math.asin(sine)) for sine in early["sine"]]
turned = "every direction is there" if last["sine"] < 0.1 else "one is still on its way, as it costs next to nothing"
ebll.course.say(
    f"After 1,000 steps the error is within **{end['excess'].abs().max():.3f} %** of PCA's, and the largest angle of "
    f"{len(end)} seeds is **{math.degrees(math.asin(last['sine'])):.2f}°**: {turned}. (A whole right angle would cost "
    f"{last['cut']:.1g} % of the error there.) The error is there first: after 100 steps it is "
    f"{early['excess'].mean():.1f} % too large on average, the largest angle {min(late):.0f}° to {max(late):.0f}°. "
    f"The directions differ: two columns of the decoder have a cosine of {oblique:.2f}."
)

# %% linear-why [markdown]
# The trained autoencoder shares the error with PCA, and the subspace where the spreads at the cut differ; not the
# directions. Why? Multiply the code by any invertible matrix and the decoder by its inverse: no reconstruction
# changes, so the error cannot tell the two apart. Only the subspace is decided. And why is the angle late? Turning the
# subspace from one direction towards another of nearly the same spread hardly changes the error, so the gradient is small.
#
# **Think.** EBLL keeps the encoder and drops the decoder. When a code moves by 0.1, how far does its reconstruction move at
# most? Which number would you have to keep of the decoder to say so?
#
# <details><summary>One answer</summary>
#
# The largest singular value of $W_{dec}$: a code that moves by 0.1 moves its reconstruction by at most 0.1 times that value.
#
# </details>

# %% aware [markdown]
# ## 3. An autoencoder that knows the task
#
# **Claim.** For the same size of code, an autoencoder that is told of the task keeps far more of the accuracy than PCA, and
# pays with a worse reconstruction.
#
# PCA keeps what spreads most. Is that what the head reads? Split the spread in two: that of the classes' mean features
# about the overall mean, which tells letters apart, and that of the letters about the mean of their own class: typeface,
# weight, slant.

# %% between
shares = []
for train, _ in features.values():
    centres = torch.stack([train[letters.train.labels == c].mean(dim=0) for c in range(letters.class_count)])
    between = (centres[letters.train.labels] - train.mean(dim=0)).square().sum()
    shares.append((between / (train - train.mean(dim=0)).square().sum()).item())
assert max(shares) < 0.3  # most of the spread is within the classes
ebll.course.say(f"Only **{100 * sum(shares) / len(shares):.0f} %** of the features' spread lies between the classes.")

# %% objective [markdown]
# EBLL's autoencoder has a sigmoid code and a linear decoder, $r(v) = W_{dec}\,\sigma(W_{enc}v + b) + c$. It is fitted right
# after a task, on that task's training features, with $F^*$, $T^*$ and $T_t^*$ frozen (the star says so). Its objective
# (E2) adds to the reconstruction error, weighted by $\lambda$, the task's own loss (E1) *through* the reconstruction:
#
# $$\lambda\,\tfrac12\lVert r(F^*(x)) - F^*(x)\rVert_2^2 + \ell\big(T_t^*(T^*(r(F^*(x)))), y\big)$$
#
# In code, $\lambda$ is `recon_weight`.
#
# **Exercise 3.** Write E2. The logits of the reconstruction are given.


# %% objective-exercise tags=["exercise"]
def my_autoencoder_loss(reconstructed, features, logits, labels, recon_weight):
    """E2: recon_weight times the reconstruction error (E2a), plus the task loss of the logits (E1) -> one number."""
    # E2a as in exercise 2; torch.nn.functional.cross_entropy is E1.
    # solution
    error = 0.5 * (reconstructed - features).square().sum(dim=1).mean()
    return recon_weight * error + torch.nn.functional.cross_entropy(logits, labels)


# %% objective-check tags=["check"]
ebll.course.checks.autoencoder_loss(my_autoencoder_loss)

# %% objective-text [markdown]
# The fit by hand, one pass over the training features after the other, with E2 written out. The last cell compares it with
# the library's own fit, weight by weight.


# %% fit-by-hand
def fit_by_hand(autoencoder, seed, passes, learning_rate=1e-3, recon_weight=0.01):
    """Minimise E2; F, T and the head take no gradient. Yields the number of passes made."""
    train, labels, net = features[seed][0], letters.train.labels, nets[seed]
    optimizer = torch.optim.Adam(autoencoder.parameters(), lr=learning_rate)
    order = ebll.seeds.generator(seed, "autoencoder batches")
    for done in range(1, passes + 1):
        for rows in torch.randperm(len(labels), generator=order).split(128):
            back = autoencoder(train[rows])
            logits = net.heads[0](net.operator(back))
            error = 0.5 * (back - train[rows]).square().sum(dim=1).mean()
            loss = recon_weight * error + torch.nn.functional.cross_entropy(logits, labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield done


# %% fit-by-library
def fit(seed, **settings):
    """The library's fit of E2, and what it gives on held-out features."""
    train, held = features[seed]
    settings = ebll.AutoencoderSettings(**settings)
    frozen_head = lambda v: nets[seed].heads[0](nets[seed].operator(v))  # noqa: E731
    made = ebll.fit_autoencoder(train, letters.train.labels, frozen_head, settings, seed=seed)
    with torch.no_grad():
        return made, read(seed, made.autoencoder(held))


# %% fit-compare
with ebll.seeds.seeded(0, "autoencoder"):
    mine = ebll.Autoencoder(256, 16).to(lesson.device)
    ebll.autoencoder.start_at_principal_components(mine, features[0][0])
passes = list(fit_by_hand(mine, seed=0, passes=8))
theirs, _ = fit(0, code_size=16)
for ours, library in zip(mine.parameters(), theirs.autoencoder.parameters(), strict=True):
    assert torch.allclose(ours, library, atol=1e-3)
ebll.course.source(ebll.losses.autoencoder_loss)

# %% aware-predict [markdown]
# **Predict first.** PCA and this autoencoder get 8 numbers each. Which of the two misses less of the spread? With which of
# the two will the head read more letters, and by how much?

# %% aware-sizes
rows, fits = [], {}
for size in (4, 8, 16, 32, 64):
    for seed, (train, _) in features.items():
        fits[size, seed], measured = fit(seed, code_size=size, recon_weight=0.01)
        rows.append({"kind": "task-aware", "size": size, "seed": seed} | measured)
        s = torch.linalg.svdvals(train - train.mean(dim=0))
        with torch.no_grad():
            error = ebll.losses.reconstruction_error(fits[size, seed].autoencoder(train), train)
        assert error > 0.5 * s[size:].square().sum() / len(train)  # the decoder is linear: never below PCA
aware = pd.concat([pca[(pca["kind"] == "PCA") & (pca["size"] <= 64)], pd.DataFrame(rows)], ignore_index=True)

# %% aware-figure
title = "Held-out letters, reconstructed from a code"
ebll.plots.over_setting(
    aware, "size", MEASURES, xlabel="numbers in the code", title=title, references=LEVEL, caption=NOTE
)

# %% aware-read
table = aware.pivot_table(index=["size", "seed"], columns="kind", values=["accuracy", "missed"])
gain = table["accuracy"]["task-aware"] - table["accuracy"]["PCA"]
more = table["missed"]["task-aware"] - table["missed"]["PCA"]
assert gain[8].min() > 15 and gain[16].min() > 8 and more.loc[[8, 16]].min() > 3  # the claim, for every seed
ebll.course.say(
    f"With a code of **8** the task-aware autoencoder keeps **{gain[8].mean():.0f} points** more of the accuracy than "
    f"PCA and misses {more[8].mean():.0f} points more of the spread; with 16 it is {gain[16].mean():.0f} and "
    f"{more[16].mean():.0f} points, with 64 it is {gain[64].mean():.1f} and {more[64].mean():.1f}. Means over "
    f"{len(lesson.seeds)} seeds. On training images PCA's share is its floor: a linear decoder gives flat pieces."
)

# %% aware-plane-text [markdown]
# Two remarks. With a linear decoder the "submanifold" is a piece of a flat subspace, and the sigmoids only
# bound it. And the accuracy through the reconstruction may come out *above* that of the features themselves: the
# autoencoder has been fitted to the labels, so it is a small trained layer of its own between $F$ and $T$.
#
# **Predict first.** Below, 8 numbers each: PCA, E2 with $\lambda = 0.01$, and E2 with $\lambda = 0$, where nobody asks for a
# reconstruction. Which panel looks best? Which one can the head read best?

# %% aware-plane
train, held = features[0]
mean = train.mean(dim=0)
first = torch.linalg.svd(train - mean, full_matrices=False).Vh[:8]
blind, _ = fit(0, code_size=8, recon_weight=0.0)
with torch.no_grad():
    panels = {
        "PCA": mean + (held - mean) @ first.T @ first,
        "E2, λ = 0.01": fits[8, 0].autoencoder(held),
        "E2, λ = 0": blind.autoencoder(held),
    }
points = in_plane(panels)
found = points.groupby("panel", sort=False)[["share", "accuracy"]].first()
assert found["share"].is_monotonic_increasing and found.loc["PCA", "accuracy"] < found["accuracy"][1:].min() - 0.15
ebll.plots.submanifold(points)

# %% weight [markdown]
# PCA's panel looks best: in this plane its reconstructions lie on the features (the open dots are hidden), since the first
# two components are among the 8. But the head reads it worst; both fits of E2 are read far better. The head needs other
# directions, too.
#
# ### The weight $\lambda$
#
# $\lambda$ says how much the reconstruction counts beside the task's loss.
#
# **Predict first.** Code of 16. At $\lambda = 0$: how much of the spread is missed, and how is the accuracy? At
# $\lambda = 1$: which known method should it resemble?

# %% weight-run
rows = []
for weight in (0.0, 1e-6, 1e-4, 1e-2, 1e-1, 1.0):
    for seed in lesson.seeds:
        made, measured = fit(seed, code_size=16, recon_weight=weight)
        losses = {"weighted": weight * made.reconstruction[-1], "task": made.task_loss[-1]}
        rows.append({"kind": "task-aware", "weight": weight, "seed": seed} | measured | losses)
weights = pd.DataFrame(rows)

# %% weight-figure
level = pca[(pca["kind"] == "PCA") & (pca["size"] == 16)].merge(weights[["weight"]].drop_duplicates(), how="cross")
both = pd.concat([weights, level], ignore_index=True)
title = "What the weight of the reconstruction trades"
note = NOTE.replace("images", "images, 16 numbers each; PCA knows no λ")
ebll.plots.over_setting(both, "weight", MEASURES, xlabel="λ", title=title, caption=note)

# %% weight-read
by = weights.groupby("weight").mean(numeric_only=True)
assert by.loc[0, "missed"] > by.loc[0.01, "missed"] + 5 > by.loc[1, "missed"] + 5  # more weight, better reconstruction
assert by.loc[0.01, "accuracy"] > by.loc[1, "accuracy"] + 10  # too much weight, and the task is forgotten
assert by.loc[0, "accuracy"] - by.loc[0.01, "accuracy"] < 8  # the middle costs little beside that
ebll.course.say(
    f"From λ = 0 to 0.01 the missed share falls from {by.loc[0, 'missed']:.0f} % to {by.loc[0.01, 'missed']:.0f} % "
    f"and the accuracy changes by {by.loc[0.01, 'accuracy'] - by.loc[0, 'accuracy']:+.1f} points. From 0.01 to 1 the "
    f"share falls by another {by.loc[0.01, 'missed'] - by.loc[1, 'missed']:.0f} points and the accuracy drops to "
    f"{by.loc[1, 'accuracy']:.0f} %, towards PCA's {at.loc['PCA', 16]['accuracy']:.0f} %."
)

# %% explorer [markdown]
# ### Move it yourself
#
# The widget fits the autoencoder again as soon as you move a control. On the left are the features of one letter with
# their reconstructions, in the plane of section 1. The curve on the right looks ahead: it says how large EBLL's code term
# (E4, notebook 04) gets when the features of that letter move by one standard deviation along each principal direction.
# Where it is high, the term would hold them; where it is low, it would leave them free. Without a kernel you see the widget
# as a picture, as it opens.
#
# **Predict first.** The code shrinks from 64 to 8. Where does the curve fall off then? Which loses more accuracy, the
# autoencoder or PCA of that size?

# %% explorer-panel
ebll.widgets.submanifold_explorer()

# %% explorer-answer [markdown]
# <details><summary>One answer</summary>
#
# The curve falls off where the code ends: past the first 64 directions, and past the first few with a code of 8. Both lose
# accuracy, PCA by far more: it spends its eight numbers on what spreads most, the autoencoder on what tells letters apart.
#
# </details>

# %% start [markdown]
# ## 4. Where the fit starts
#
# **Claim.** Started at random weights, the fit drives many sigmoids into their flat parts and needs many passes. Started at
# the principal components it does neither.
#
# A code entry $c = \sigma(z)$ changes with $z$ at the rate $c\,(1 - c)$, at most 1/4. Where $c$ is below 0.05 or above 0.95
# the rate is less than a fifth of that: the sigmoid is **flat** there, or *saturated*. Gradients through it are small.
#
# The authors' code starts at random weights. This kit departs from it: the encoder starts at the principal components,
# each scaled to unit variance, so that $z$ is a standard score, and the decoder at the least-squares solution; then E2 is
# fitted as before. The random start gets a larger step size here, as it needs
# one; at the smaller one it makes fewer flat sigmoids at first and catches up with more passes.
#
# **Predict first.** Code of 64, after 16 passes from random weights: what share of the entries is flat: one in a
# hundred, one in ten, one in three?

# %% start-run
rows, codes = [], {}
for seed, (train, held) in features.items():
    for kind, rate in {"principal components": 1e-3, "random weights": 3e-3}.items():
        with ebll.seeds.seeded(seed, "autoencoder"):
            ae = ebll.Autoencoder(256, 64).to(lesson.device)
            if kind != "random weights":
                ebll.autoencoder.start_at_principal_components(ae, train)
        for done in fit_by_hand(ae, seed, passes=16, learning_rate=rate):
            with torch.no_grad():
                code, back = ae.encode(held), ae(held)
            flat = 100 * ((2 * code - 1).abs() > 0.9).double().mean().item()
            rows.append({"kind": kind, "passes": done, "seed": seed, "flat": flat} | read(seed, back))
        codes[kind, seed] = ae.encode.requires_grad_(False)
begun = pd.DataFrame(rows)

# %% start-figure
shown = {"flat": "flat code entries, %", "accuracy": MEASURES["accuracy"]}
title = "Two starts of the same fit"
some = begun[begun["passes"].isin([1, 2, 4, 8, 16])]
ebll.plots.over_setting(some, "passes", shown, xlabel="passes over the training features", title=title, caption=NOTE)

# %% start-read
first, last = (begun[begun["passes"] == n].groupby("kind").mean(numeric_only=True) for n in (1, 16))
pc, rand = last.loc["principal components"], last.loc["random weights"]
assert rand["flat"] > 20 and pc["flat"] < 5 and rand["missed"] > pc["missed"] + 10
assert first.loc["principal components", "accuracy"] > first.loc["random weights", "accuracy"] + 15
assert abs(rand["accuracy"] - pc["accuracy"]) < 4  # "hardly suffers in the end"
ebll.course.say(
    f"After 16 passes **{rand['flat']:.0f} %** of the entries are flat from random weights, {pc['flat']:.0f} % from "
    f"the principal components; the missed shares are {rand['missed']:.0f} % and {pc['missed']:.0f} %. "
    f"After the *first* pass the accuracies were {first.loc['random weights', 'accuracy']:.0f} % and "
    f"{first.loc['principal components', 'accuracy']:.0f} %, after 16 they are {rand['accuracy']:.1f} % and "
    f"{pc['accuracy']:.1f} %: what the head reads hardly suffers in the end."
)

# %% start-myth [markdown]
# ### Does a flat code notice less?
#
# It sounds plausible: flat sigmoids hide how the features move. EBLL will hold the code in place (E4, the next notebook),
# so this would matter, and it can be measured. Fine-tune each network on mnist, which moves the features of the held-out
# letters, and see how far the two codes move: half the squared distance, summed over the code (E4).
#
# **Predict first.** Which code moves further, the one with flat entries or the other?

# %% start-moves
rows = []
for seed, (_, held) in features.items():
    run = ebll.run_sequence([letters, mnist], "finetune", seed=seed, start=starts[seed], device=lesson.device)
    with torch.no_grad():
        moved = run.net.features(held_out.inputs)
    for kind in ("principal components", "random weights"):
        encode = codes[kind, seed]
        distance = ebll.losses.code_distance(encode(moved), encode(held)).item()
        rows.append({"start": kind, "seed": seed, "code distance (E4)": distance})
moves = pd.DataFrame(rows).pivot(index="start", columns="seed", values="code distance (E4)")
moves.round(2)

# %% start-verdict
pc, rand = moves.loc["principal components"], moves.loc["random weights"]
verdict = "more" if (rand > pc).all() else "less" if (rand < pc).all() else "not clearly more or less"
ebll.course.say(
    f"For the same movement of the features, the code fitted from random weights moved **{verdict}**: "
    f"{rand.mean():.2f} against {pc.mean():.2f}, means over {len(lesson.seeds)} seeds."
)

# %% start-think [markdown]
# **Think.** A sigmoid is flat at both ends. What does E4 measure when the features move far enough to carry an entry from
# one end to the other? And when they move a little?
#
# <details><summary>One answer</summary>
#
# An entry that goes from one end to the other changes by nearly 1, so it counts for nearly 1/2 in E4. No entry can count
# for more, however far the features move. After a small movement a flat entry has hardly changed, and E4 hardly notices.
# What E4 says in the end depends on how many entries cross. That a few large crossings make up for many entries that
# hardly move is a conjecture; the cell above does not separate the two.
#
# </details>

# %% scale [markdown]
# ## 5. The scale trap
#
# **Claim.** The same number in front of two spellings of "squared error" is two different methods.
#
# E2a sums over the features and halves. `torch.nn.MSELoss` takes the mean over the features and does not halve. With $m$
# features, a weight $w$ in front of `MSELoss` is therefore, in our spelling,
#
# $$\lambda = \frac{2w}{m}$$
#
# For codes it is the same with the size of the code in place of $m$ (E4).
#
# **Predict first.** Someone ports E2 with its $\lambda = 0.01$ and types `MSELoss`. There are 256 features. How many times
# weaker is the reconstruction term now, and which end of the figure of $\lambda$ is that?

# %% scale-by-hand
held = features[0][1]
with torch.no_grad():
    back = fits[16, 0].autoencoder(held)
ours, theirs = ebll.losses.reconstruction_error(back, held), torch.nn.functional.mse_loss(back, held)
assert torch.isclose(ours, 256 / 2 * theirs)
print(f"half the sum (E2a): {ours:.2f}; MSELoss: {theirs:.3f}; ratio {ours / theirs:.0f}")
as_written = [("authors' PyTorch notebooks; CLsurvey", 0.1, 9216), ("CLsurvey", 0.01, 9216)]
as_written += [("authors' PyTorch notebooks, a default", 1e-6, 9216)]
as_written += [("this kit's λ = 0.01, converted", 1.28, 256), ("λ = 0.01, not converted", 0.01, 256)]
converted = pd.DataFrame(as_written, columns=["from", "weight before MSELoss", "features"])
equal = 2 * converted["weight before MSELoss"] / converted["features"]
converted.assign(**{"equal λ of E2": equal.map("{:.2g}".format)}).astype(str)

# %% scale-table [markdown]
# CLsurvey is the code of a later survey of such methods. The last row is the port of the prediction: the term is 256/2
# times weaker, and its $\lambda$ lies at the left end of the figure in section 3, next to 1e-4.

# %% scale-run
rows = []
for written in (1e-4, 1e-2, 1.0):
    for seed in lesson.seeds:
        _, measured = fit(seed, code_size=16, recon_weight=2 * written / 256)
        rows.append({"kind": "before MSELoss", "weight": written, "seed": seed} | measured)
summed = weights[weights["weight"].isin([1e-4, 1e-2, 1.0])].assign(kind="before half the sum (E2)")
scale = pd.concat([summed, pd.DataFrame(rows)], ignore_index=True)

# %% scale-figure
title = "The same weight before two spellings of the error"
note = NOTE.replace("images", "images, code of 16")
missed = {"missed": MEASURES["missed"]}
ebll.plots.over_setting(scale, "weight", missed, xlabel="weight as written", title=title, caption=note)

# %% scale-read
port = scale[scale["weight"] == 0.01].groupby("kind")["missed"].mean()
assert port["before MSELoss"] > port["before half the sum (E2)"] + 5
ebll.course.say(
    f"The port with 0.01 misses {port['before MSELoss']:.0f} % of the spread, E2 with 0.01 "
    f"{port['before half the sum (E2)']:.0f} %; without any reconstruction term it is {by.loc[0, 'missed']:.0f} %."
)

# %% scale-copy [markdown]
# ### Copying a weight to another net
#
# A common slip is to copy $\lambda = 10^{-6}$ to any other net: summaries of the paper give this value, for a net with 9,216
# features. (A default in the authors' PyTorch notebooks has the same digits before `MSELoss`, where they mean far less: see
# the table.) The reconstruction error is a sum of squares: it grows with the number of features and with the square of
# their size. Neither carries over to another net.
#
# **Predict first.** Take $\lambda = 10^{-6}$ for our 256 features. What will the fit look like?

# %% scale-copy-read
tiny, off = by.loc[1e-6], by.loc[0]
assert tiny["weighted"] < 0.01 * tiny["task"] and abs(tiny["missed"] - off["missed"]) < 0.5  # the term is off
ebll.course.say(
    f"At the end of the fit the two terms of E2 are {tiny['weighted']:.1g} (reconstruction, weighted) and "
    f"{tiny['task']:.2f} (task). The missed share is {tiny['missed']:.1f} %, without the term {off['missed']:.1f} %: "
    f"the reconstruction is **switched off**. With λ = 0.01 the terms are {by.loc[0.01, 'weighted']:.2f} and "
    f"{by.loc[0.01, 'task']:.2f}: both count. To carry a weight over, look at both terms."
)

# %% scale-square [markdown]
# ### The missing square
#
# Another common slip is to write the reconstruction term as the bare norm $\lVert r(v) - v\rVert_2$, without square and
# half. The authors' code squares. It is not the same thing: the gradient of half the square is the residual itself, so the pull fades
# as the reconstruction gets better. The gradient of the bare norm has length 1, however small the residual is: weaker where
# the residual is longer than 1, stronger where it is shorter, and without a direction at 0.

# %% scale-square-run
residual = (back - held)[:1]
rows = []
for factor in (1.0, 0.1, 0.01):
    short = (factor * residual).requires_grad_()
    squared = torch.autograd.grad(0.5 * short.square().sum(), short)[0].norm().item()
    bare = torch.autograd.grad(short.square().sum().sqrt(), short)[0].norm().item()
    assert abs(squared - short.norm().item()) < 1e-4 and abs(bare - 1) < 1e-4
    rows.append({"length of the residual": squared, "pull, squared (E2a)": squared, "pull, bare norm": bare})
pd.DataFrame(rows).round(3)

# %% summary [markdown]
# ## Summary
#
# 1. **Near a flat submanifold.** A quarter of the directions holds nearly all of the spread (M8) and of the head's accuracy
#    (M1). There is no sharp dimension, and random directions will not do.
# 2. **A linear autoencoder** trained on E2a comes down to PCA's error and turns into PCA's subspace, the error first, the
#    angle late, later the less the spreads at the cut differ. The directions in it are arbitrary.
# 3. **The task-aware objective** (E2) adds the task's loss through the reconstruction. At equal size it misses more of the
#    spread than PCA and keeps more accuracy, far more with a small code. $\lambda = 0$: only the task; large $\lambda$: like PCA.
# 4. **Flat sigmoids** are code entries near 0 or 1. A random start makes many; the start at the principal components few,
#    and it is ready after a pass. In the end the accuracy hardly suffers from either.
# 5. **Scale.** $\lambda = 2w/m$ between `MSELoss` and half the sum over $m$ features. A weight carries over to another net
#    or another spelling only when both terms of the loss have been looked at.
#
# ## What to try next
#
# - Fit with $\lambda = 0$ for 80 passes, `fit(0, code_size=16, recon_weight=0.0, epochs=80)[1]`: can the missed share
#   exceed the whole? What does that mean (M8)?
# - Another task: exchange the two names in `lesson.load("letters", "mnist")`, so that `letters` is mnist, and run section 1
#   again up to the first figure (the asserts after it are about letters). Is the accuracy kept by fewer numbers?
# - More passes from random weights: `ae = ebll.Autoencoder(256, 64)`, `list(fit_by_hand(ae, 0, 60, learning_rate=3e-3))`,
#   then `((2 * ae.encode(features[0][1]) - 1).abs() > 0.9).double().mean()`. Do all flat entries stay flat?
# - A net with 1,568 features: put `net="cnn"` into `learn_first` and 1568 in place of 256 into the first cell of section 4.
#   Run the cell with `learn_first`, those that define `read` and `fit_by_hand`, and that first cell, then
#   `begun[begun["passes"] == 16].groupby("kind")["accuracy"].mean()`. Are the two starts still level?
# - Next: `04_ebll.ipynb` holds the code while a new task is learned. The sigmoid matters there: it bounds the code, so that
#   each entry can count for at most 1/2 in E4.
#
# ## References
#
# - A. Rannen Triki, R. Aljundi, M. Blaschko, T. Tuytelaars: Encoder Based Lifelong Learning. ICCV 2017, section 3.3.1.
#   [arXiv 1704.01920](https://arxiv.org/abs/1704.01920)
# - P. Baldi, K. Hornik: Neural networks and principal component analysis: learning from examples without local minima.
#   Neural Networks 2, 1989.
# - C. Eckart, G. Young: The approximation of one matrix by another of lower rank. Psychometrika 1, 1936.
