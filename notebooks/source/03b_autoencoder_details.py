# %% title [markdown] tags=["slide"]
# # Details of the autoencoder: linear, where the fit starts, and the scale of lambda
#
# An appendix to `03_autoencoder_submanifold.ipynb`, with what one needs to know before fitting autoencoders of one's own. It
# is not needed for the notebooks that follow.
#
# - **What for**: to port EBLL to another net, or to read another implementation of it.
# - **For whom**: anyone who is about to change the autoencoder, its start, or its $\lambda$.
# - **Before this**: `03_autoencoder_submanifold.ipynb` for PCA, the bottleneck, and the objective E2.
# - **Time**: {{read}} minutes to read and do; about {{run}} s to run on two cores.
#
# {{start}}
#
# After this notebook you can
#
# 1. **show** that a linear autoencoder finds PCA's subspace, and say which part of PCA it does not find;
# 2. **recognise** saturated sigmoids, and choose where a fit starts;
# 3. **convert** a weight from one spelling of a squared error into another, and from one net to another.
#
# Ids such as E2 and M8 lead to formula, function and test: see [the equations](../docs/equations.md) and
# [the glossary](../docs/glossary.md).

# %% setup tags=["environment"]
import copy

import pandas as pd
import torch

import ebll

PROFILE = "fast"  # "full": ten seeds, every image, and the GPU where there is one
lesson = ebll.course.setup(PROFILE)

# %% features-text [markdown]
# Throughout: a network that has learned letters, frozen. Autoencoders are fitted to its training features; what is reported is
# measured on validation images unless a caption says otherwise. FVU, the fraction of variance unexplained (M8), is the squared
# error of a reconstruction over the variance of the features.

# %% features
letters, mnist = lesson.load("letters", "mnist")  # mnist is for section 2
labels, held_out_labels = letters.train.labels, letters.validation.labels
starts = {seed: ebll.learn_first([letters], seed=seed, device=lesson.device) for seed in lesson.seeds}
nets = {seed: copy.deepcopy(start.net).eval().requires_grad_(False) for seed, start in starts.items()}
features = {s: (net.features(letters.train.inputs), net.features(letters.validation.inputs)) for s, net in nets.items()}


def measure(seed, reconstructed):
    """Accuracy of the frozen head and FVU of reconstructed validation features, in percent."""
    logits = nets[seed].heads[0](nets[seed].operator(reconstructed))
    fvu = ebll.metrics.unexplained_variance(reconstructed, features[seed][1])
    return {"accuracy": 100 * ebll.metrics.accuracy(logits, held_out_labels), "fvu": 100 * fvu}


# %% linear [markdown] tags=["slide"]
# ## 1. What does a linear autoencoder find?
#
# Leave the sigmoid out: $r(v) = W_{dec}W_{enc}v$, with centred $v$, so that it needs no bias. It minimises the reconstruction
# error (E2a), a mean over the rows and a sum over the features:
#
# $$\tfrac12\lVert r(v) - v\rVert_2^2$$
#
# All its reconstructions lie in a subspace of $k$ dimensions, whatever the weights. Of all such subspaces PCA's has the
# smallest squared error (the theorem of Eckart and Young), namely $\tfrac1{2n}\sum_{j>k} s_j^2$ with the singular values
# $s_j$ that are cut off. So the error cannot get below that number.
#
# **Exercise 1.** PCA, with the eigenvectors of the covariance matrix (`torch.linalg.eigh`) in place of the singular value
# decomposition.


# %% pca-exercise tags=["exercise"]
def my_pca_reconstruction(features, size):
    """Features (n, d) -> (n, d): through the `size` directions of largest variance, and back."""
    # In which order does eigh list the eigenvalues, and are eigenvectors rows or columns?
    # solution
    mean = features.mean(dim=0)
    centred = features - mean
    vectors = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -size:]
    return mean + centred @ vectors @ vectors.T


# %% pca-check tags=["check"]
ebll.course.checks.pca_reconstruction(my_pca_reconstruction)

# %% linear-predict [markdown] tags=["slide"]
# Below is the whole training. Encoder and decoder start at random, and nothing ties one to the other. A trick makes
# it quick. The centred features are $X = U S V^\top$, and the columns of $U$ are orthonormal. So $X$, with a row an image, and
# $S V^\top$, with 256 rows, have the same summed squared error, and the smaller of the two is trained on.
#
# The figure shows how far the error is above PCA's, and the mean of the $k$ **principal angles** between the two subspaces:
# 0 where they are the same, 90° for a direction at right angles to all of the other subspace.
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
    """Minimise E2a, summed, of a linear autoencoder; yields step, error, (encoder, decoder)."""
    generator = ebll.seeds.generator(seed, "linear")
    encode, decode = (torch.randn(256, size, generator=generator).to(rows) / 16 for _ in range(2))
    optimizer = torch.optim.Adam([encode.requires_grad_(), decode.requires_grad_()], lr=1e-2)
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
    centred = (train - train.mean(dim=0)).double()
    _, s, v = torch.linalg.svd(centred, full_matrices=False)
    floor = 0.5 * s[SIZE:].square().sum().item() / len(train)  # E2a of PCA
    for step, error, weights in train_linear(s[:, None] * v / len(train) ** 0.5, SIZE, seed):
        if step in (20, 50, 100, 200, 300, 1000):
            q = torch.linalg.qr(weights[1]).Q
            angles = torch.linalg.svdvals(q - v[:SIZE].T @ (v[:SIZE] @ q)).clamp(max=1).arcsin().rad2deg()
            found = {"excess": 100 * (error / floor - 1), "angle": angles.mean().item()}
            rows.append({"kind": "linear autoencoder", "seed": seed, "step": step, **found})
by_hand = (
    0.5 * (centred @ weights[0] @ weights[1].T - centred).square().sum(dim=1).mean()
)  # all images, not the 256 rows
assert torch.isclose(by_hand, torch.tensor(error).to(by_hand), rtol=1e-3)

# %% linear-figure tags=["slide"]
linear_runs = pd.DataFrame(rows)
axes = {"excess": "error above PCA's, %", "angle": "principal angle,\nmean of 16, degrees"}
title, note = "A linear autoencoder on its way to PCA", "MLP, letters, training images, code of 16."
ebll.plots.over_setting(linear_runs, "step", axes, xlabel="step", title=title, log_y=True, caption=note)

# %% linear-saw tags=["slide", "hidden"]
columns = torch.nn.functional.normalize(weights[1], dim=0)
oblique = (columns.T @ columns - torch.eye(SIZE).to(columns)).abs().max().item()
last = linear_runs[linear_runs["step"] == 1000].max(numeric_only=True)
excess, angle = (f"less than {least}" if last[key] < least else f"{last[key]:.2g}" for key, least in
                 {"excess": 0.001, "angle": 0.1}.items())  # fmt: skip
ebll.course.say(
    f"**What we saw.** At the end the error is {excess} % above PCA's, and the subspace is PCA's: the mean angle is "
    f"{angle}°. The directions differ: two columns of the decoder have a cosine of {oblique:.2f}, those of PCA are "
    "orthogonal."
)

# %% linear-why [markdown]
# Why not the directions? Multiply the code by any invertible matrix and the decoder by its inverse: no reconstruction
# changes, so the error cannot tell the two apart. And why does the excess fall about twice as many decades as the angle? It goes
# with the *square* of small angles, times the difference of two variances. So a subspace that is still turned costs little, and
# the gradient that turns it is small. (That training gets
# there is a theorem of Baldi and Hornik: the error has no other minima.)

# %% start [markdown] tags=["slide"]
# ## 2. Where should the fit start?
#
# A code entry $c = \sigma(z)$ changes with $z$ at the rate $c\,(1 - c)$, at most 1/4. Where $c$ is below 0.05 or above 0.95
# the rate is less than a fifth of that: the sigmoid is **saturated**, and gradients through it are small.
#
# The authors' code starts at random weights. This kit departs from it: the encoder starts at the principal components,
# each scaled to unit variance, so that $z$ is a standard score, and the decoder at the least-squares solution; then E2 is
# fitted as before, both at the larger learning rate that the random start needs.
#
# **Predict first.** Code of 64, after 16 epochs from random weights: what share of the entries is saturated: one in a
# hundred, one in ten, one in three?


# %% fit
def fit_by_epoch(autoencoder, seed, epochs, learning_rate=3e-3, recon_weight=0.01):
    """Minimise E2; F, T and the head take no gradient. Yields the number of epochs made."""
    train, net = features[seed][0], nets[seed]
    optimizer = torch.optim.Adam(autoencoder.parameters(), lr=learning_rate)
    order = ebll.seeds.generator(seed, "autoencoder batches")
    for epoch in range(1, epochs + 1):
        for rows in torch.randperm(len(labels), generator=order).split(128):
            reconstructed = autoencoder(train[rows])
            logits = net.heads[0](net.operator(reconstructed))
            loss = ebll.losses.autoencoder_loss(reconstructed, train[rows], logits, labels[rows], recon_weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield epoch


# %% start-run
rows, encoders = [], {}
for kind in ("principal components", "random weights"):
    for seed, (train, held_out) in features.items():
        with ebll.seeds.seeded(seed, "autoencoder"):
            autoencoder = ebll.Autoencoder(256, 64).to(lesson.device)
            if kind == "principal components":
                ebll.autoencoder.start_at_principal_components(autoencoder, train)
        for epoch in fit_by_epoch(autoencoder, seed, 16):
            with torch.no_grad():
                code, reconstructed = autoencoder.encode(held_out), autoencoder(held_out)
            saturated = 100 * ((code < 0.05) | (code > 0.95)).double().mean().item()
            found = {"saturated": saturated, **measure(seed, reconstructed)}
            rows.append({"kind": kind, "epoch": epoch, "seed": seed, **found})
        encoders[kind, seed] = autoencoder.encode.requires_grad_(False)

# %% start-figure tags=["slide"]
start_runs = pd.DataFrame(rows).query("epoch in (1, 2, 4, 8, 16)")
axes = {
    "saturated": "saturated code\nentries, %",
    "fvu": "FVU, %",
    "accuracy": "accuracy through the\nreconstruction, %",
}
title, note = "Two starts of the same fit", "MLP, letters, validation images, code of 64."
ebll.plots.over_setting(start_runs, "epoch", axes, xlabel="epochs", title=title, caption=note)

# %% start-saw [markdown] tags=["slide"]
# **What we saw.** From random weights many sigmoids end saturated, FVU falls but is still higher, and it takes many epochs until
# the head reads the reconstructions; in the end its accuracy hardly suffers. From the principal components the
# first epoch gets most of the way.
#
# ### Does a saturated code notice less?
#
# It sounds plausible: saturated sigmoids hide how the features move. EBLL penalises movement of the code (E4), so this would
# matter. Fine-tune each network on mnist, which moves the features of the letters, and see how far the two codes move.
#
# **Predict first.** Which code moves farther, the one with saturated entries or the other?

# %% moves tags=["slide"]
rows = []
for seed, (_, held_out) in features.items():
    run = ebll.run_sequence([letters, mnist], "finetune", seed=seed, start=starts[seed], device=lesson.device)
    with torch.no_grad():
        features_now = run.net.features(letters.validation.inputs)
    for kind in ("principal components", "random weights"):
        codes = [encoders[kind, seed](v) for v in (features_now, held_out)]
        rows.append({"start": kind, "seed": seed, "distance": ebll.losses.code_distance(*codes).item()})
moves = pd.DataFrame(rows).pivot(index="start", columns="seed", values="distance")
moves.rename(columns="seed {}".format).round(2).rename_axis(columns="code distance (E4)")

# %% moves-saw tags=["hidden"]
pca_moves, random_moves = moves.loc["principal components"], moves.loc["random weights"]
verdict = (
    "more"
    if (random_moves > pca_moves).all()
    else "less"
    if (random_moves < pca_moves).all()
    else "neither more nor less"
)
ebll.course.say(
    f"For the same movement of the features, the code fitted from random weights moves **{verdict}**: "
    f"{random_moves.mean():.2f} against {pca_moves.mean():.2f}, means over {len(lesson.seeds)} seeds."
)

# %% moves-think [markdown] tags=["slide"]
# **Open question.** A sigmoid is flat at both ends. What does E4 measure when features move far enough to carry an entry from
# one end to the other? And when they move a little?
#
# <details><summary>One answer</summary>
#
# An entry that goes from one end to the other changes by nearly 1, so it counts for nearly 1/2 in E4, and no entry can count
# for more. After a small movement a saturated entry has hardly changed, and E4 hardly notices. That a few large crossings
# make up for many entries that hardly move is a conjecture; the cells above do not separate the two.
#
# </details>

# %% scale [markdown] tags=["slide"]
# ## 3. Is a weight of 0.01 always the same weight?
#
# E2a sums over the features, halves, and takes the mean over the images. `torch.nn.MSELoss` squares as well, but takes one mean
# over all entries, or with `reduction="sum"` their sum, and does not halve. So a weight $w$ in front of it is another $\lambda$.
#
# **Exercise 2.** Which one? A case for paper: a batch of 2 images with 4 features, and a weight of 0.3: 0.15 for the mean, 1.2 for
# the sum.


# %% weight-exercise tags=["exercise"]
def my_converted_weight(weight, images, features, reduction):
    """A weight before MSELoss of tensors (images, features); "mean" or "sum" -> the lambda before E2a, a float."""
    # Write both losses as a factor times the sum of all squared entries, and set the weighted factors equal.
    # solution
    return 2 * weight / features if reduction == "mean" else 2 * weight * images


# %% weight-check tags=["check"]
ebll.course.checks.converted_weight(my_converted_weight)

# %% scale-predict [markdown] tags=["slide"]
# **Predict first.** Someone ports E2 with its $\lambda$ of 0.01 and types `MSELoss`. There are 256 features. How many times
# weaker is the reconstruction term now, and what becomes of FVU with a code of 16?


# %% scale-run
def fit(seed, **settings):
    """The library's fit of E2, and what it gives on validation features."""
    classify = lambda v: nets[seed].heads[0](nets[seed].operator(v))  # noqa: E731
    settings = ebll.AutoencoderSettings(code_size=16, **settings)
    made = ebll.fit_autoencoder(features[seed][0], labels, classify, settings, seed=seed)
    weighted = settings.recon_weight * made.reconstruction[-1]
    with torch.no_grad():
        reconstructed = made.autoencoder(features[seed][1])
    return {"seed": seed, **measure(seed, reconstructed), "weighted": weighted, "task": made.task_loss[-1]}


spellings = {"half the sum (E2a)": 1, "MSELoss": 2 / 256}
rows = [
    {"kind": kind, "weight": weight} | fit(seed, recon_weight=factor * weight)
    for kind, factor in spellings.items() for weight in (1e-4, 1e-2, 1.0) for seed in lesson.seeds
]  # fmt: skip
scale_runs = pd.DataFrame(rows)

# %% scale-figure tags=["slide"]
axes = {"fvu": "FVU, %", "accuracy": "accuracy through the\nreconstruction, %"}
title, note = "The same weight before two spellings of the error", "MLP, letters, validation images, code of 16."
ebll.plots.over_setting(scale_runs, "weight", axes, xlabel="weight as written", title=title, caption=note)

# %% scale-library
held_out = features[0][1]
with torch.no_grad():
    reconstructed = held_out + torch.randn(held_out.shape, generator=ebll.seeds.generator(0, "residual")).to(held_out)
ours, theirs = (
    ebll.losses.reconstruction_error(reconstructed, held_out),
    torch.nn.functional.mse_loss(reconstructed, held_out),
)
assert torch.isclose(ours, 256 / 2 * theirs)
ebll.course.source(ebll.losses.reconstruction_error)

# %% scale-saw [markdown] tags=["slide"]
# **What we saw.** $\lambda = 2w/m$ with $m$ features, so the term is 256/2 times weaker. The curve of `MSELoss` is that of
# E2a, moved to the right by this factor: at 0.01 the port has a higher FVU. At weight 1 its accuracy is higher, which is no
# merit: there E2a outweighs the task's loss, and its code no longer keeps what the head reads; the port has yet to get there.
# For codes it is the same, with the size of the code for $m$ (E4). Weights in other code, converted:

# %% scale-table tags=["slide", "hidden"]
as_written = [("authors' PyTorch notebooks; CLsurvey", 0.1, 9216), ("CLsurvey", 0.01, 9216)]
as_written += [("authors' PyTorch notebooks, a default", 1e-6, 9216)]
as_written += [("this kit's λ = 0.01, converted", 1.28, 256), ("λ = 0.01, not converted", 0.01, 256)]
converted = pd.DataFrame(as_written, columns=["from", "weight before MSELoss", "features"])
equal = 2 * converted["weight before MSELoss"] / converted["features"]
converted.assign(**{"equal λ of E2": equal.map("{:.2g}".format)}).astype(str)

# %% copy [markdown] tags=["slide"]
# CLsurvey is the code of a later survey of such methods.
#
# ### Copying a weight to another net
#
# A common mistake is to copy $\lambda = 10^{-6}$ to any other net: summaries of the paper give this value, for a net with 9,216
# features. The reconstruction error is a sum of squares: it grows with the number of features and with the square of
# their size. Neither carries over. (`08_your_own_data.ipynb` has the exercise.)
#
# **Predict first.** Take $\lambda = 10^{-6}$ for our 256 features. How large are the two terms of E2 after the fit?

# %% copy-run tags=["slide"]
lambdas = {"λ = 0": 0.0, "λ = 1e-6": 1e-6, "λ = 0.01": 1e-2}
terms = pd.DataFrame({name: fit(0, recon_weight=weight) for name, weight in lambdas.items()}).T
names = {"weighted": "λ · E2a", "task": "E1", "fvu": "FVU, %", "accuracy": "accuracy, %"}
terms[list(names)].rename(columns=names).map("{:.2g}".format)

# %% copy-saw [markdown] tags=["slide"]
# **What we saw.** With $10^{-6}$ the reconstruction is switched off: its term is negligible beside the other, and FVU is that of
# $\lambda = 0$. With 0.01 both count. To carry a weight over, look at both terms.
#
# ### The missing square
#
# Another common mistake is to write the reconstruction term as the bare norm $\lVert r(v) - v\rVert_2$, without square and half.
# The gradient of half the square is the residual itself, so it fades as the reconstruction gets better. The
# gradient of the bare norm has length 1, however small the residual is, and no direction at 0.

# %% square tags=["slide"]
residual = (reconstructed - held_out)[:1]
rows = []
for factor in (1.0, 0.1, 0.01):
    short = (factor * residual).requires_grad_()
    squared = torch.autograd.grad(0.5 * short.square().sum(), short)[0].norm().item()
    bare = torch.autograd.grad(short.square().sum().sqrt(), short)[0].norm().item()
    rows.append({"length of the residual": short.norm().item(), "gradient, E2a": squared, "gradient, bare norm": bare})
pd.DataFrame(rows).round(3)

# %% summary [markdown] tags=["slide"]
# ## Summary
#
# 1. **A linear autoencoder** trained on E2a comes down to PCA's error and turns into PCA's subspace; what it is above PCA's goes
#    with the square of the angle. The directions in it are arbitrary.
# 2. **Saturated sigmoids** are code entries near 0 or 1. A random start makes many; the start at the principal components
#    few, and gets most of the way in the first epoch.
# 3. **Scale.** $\lambda = 2w/m$ between `MSELoss` and half the sum over $m$ features. A weight carries over to another net
#    only when both terms of the loss have been looked at.
#
# ## What to try next
#
# - More epochs from random weights: `autoencoder = ebll.Autoencoder(256, 64)`, then
#   `list(fit_by_epoch(autoencoder, 0, 60))`. Do all saturated entries stay so?
# - `SIZE` in section 1: where two neighbouring variances at the cut are nearly equal, how late is the largest angle?
#
# ## References
#
# - P. Baldi, K. Hornik: Neural networks and principal component analysis: learning from examples without local minima.
#   Neural Networks 2, 1989.
# - C. Eckart, G. Young: The approximation of one matrix by another of lower rank. Psychometrika 1, 1936.
# - A. Rannen Triki, R. Aljundi, M. Blaschko, T. Tuytelaars: Encoder Based Lifelong Learning. ICCV 2017, section 3.3.1.
#   [arXiv 1704.01920](https://arxiv.org/abs/1704.01920)
