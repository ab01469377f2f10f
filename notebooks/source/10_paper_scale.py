# %% title [markdown] tags=["slide"]
# # Paper scale: augmentation, checkpoints, and the paper's protocol
#
# What changes when a run takes hours instead of seconds? Images are augmented, so the old network's answers have to belong to
# the very crop that is learned. A run is interrupted, and has to resume from a checkpoint as if nothing had happened. And the
# paper's own experiments need photo sets that do not come with the kit.
#
# - **What for**: to run EBLL on photographs and AlexNet where you have them, and to trust what comes out.
# - **For whom**: anyone who has run EBLL on a pretrained backbone.
# - **Before this**: `08_your_own_data.ipynb` for folders, cuts and BatchNorm.
# - **Time**: {{read}} minutes to read and do; about {{run}} s to run on two cores.
#
# {{start}}
#
# After this notebook you can
#
# 1. **compute** targets that belong to the very pixels that are learned;
# 2. **weigh** recorded targets against a frozen teacher, in bytes and in operations;
# 3. **resume** a long run from a checkpoint, bit for bit, and say what the checkpoint has to contain;
# 4. **read** the plan of the paper's experiments, and say what of them is verified here.
#
# Ids such as E3a and M2 lead to formula, function and test: see [the equations](../docs/equations.md) and
# [the glossary of columns](../docs/glossary.md).

# %% setup tags=["environment"]
from pathlib import Path

import pandas as pd
import torch

import ebll

PROFILE = "fast"  # "full": ten seeds, every image, and the GPU where there is one
lesson = ebll.course.setup(PROFILE)

# %% data [markdown]
# The data and the backbone are those of notebook 08, in small: two folders of images, which two folded cells write, and the
# first stages of a pretrained EfficientNet-Lite0 (or a random start, where the package of its weights is missing).

# %% data-pictures tags=["hidden"]
import tempfile

import numpy as np
import skimage
from PIL import Image

root, draw = Path(tempfile.mkdtemp()), np.random.default_rng(0)
files = {"astronaut": "astronaut.png", "cat": "chelsea.png", "coffee": "coffee.png"}
for name, file in (files | {"tissue": "ihc.png", "stars": "hubble_deep_field.jpg"}).items():
    photograph = Image.open(Path(skimage.__file__).parent / "data" / file).convert("RGB")
    places = [(x, y) for y in range(0, photograph.height - 55, 56) for x in range(0, photograph.width - 55, 56)]
    places = draw.permutation(places).tolist()  # patches do not overlap
    for part, chosen in {"train": places[:20], "test": places[20:40]}.items():
        (root / "pictures" / part / name).mkdir(parents=True)
        for i, (x, y) in enumerate(chosen):
            photograph.crop((x, y, x + 56, y + 56)).save(root / "pictures" / part / name / f"{i:02}.png")

# %% data-letters tags=["hidden"]
(grey,) = lesson.load("letters")
for part, split in {"train": grey.train, "test": grey.test}.items():
    pixels = (255 * grey.restored(split.inputs)[:, 0].cpu()).round().byte().numpy()
    for label, name in enumerate("ABCDE"):
        (root / "letters" / part / name).mkdir(parents=True)
        for i, row in enumerate((split.labels.cpu() == label).nonzero()[:20, 0].tolist()):
            Image.fromarray(pixels[row]).convert("RGB").save(root / "letters" / part / name / f"{i:02}.png")

# %% data-backbone
CUT, SIZE = "efficientnet_lite0@features.5", 32
try:
    backbone = ebll.paper.load_backbone(CUT, input_size=SIZE)
except ebll.InputError:  # the package of its weights is not installed
    backbone = ebll.paper.load_backbone(CUT, weights="none", input_size=SIZE)
photos = ebll.paper.PhotoSettings(stored=40, size=SIZE, augment="none")
options = {"mean": backbone.mean, "std": backbone.std, "device": lesson.device}
pictures, letters = tasks = [ebll.paper.load_photos(name, root, photos, **options) for name in ("pictures", "letters")]

# %% data-runs
torch.manual_seed(0)  # of T
layers = torch.nn.LayerNorm(backbone.feature_size), torch.nn.Linear(backbone.feature_size, 128), torch.nn.ReLU()
net = backbone.network(torch.nn.Sequential(*layers))
settings = ebll.TrainSettings(epochs=4, batch_size=16, learning_rate=0.01)
ours = ebll.EBLL(alpha=1.0, autoencoder=ebll.AutoencoderSettings(code_size=32, recon_weight=1e-4, epochs=4))
methods = {"finetune": ebll.Finetune(), "ebll": ours, "feature-extraction": ebll.FeatureExtraction()}
options = {"settings": settings, "seeds": lesson.seeds, "device": lesson.device, "log_every": 0}
results = ebll.compare(tasks, methods, net=net, **options)
starts, memory = results.starts, results.runs["ebll", 0].memory  # networks that know the pictures, and their encoder

# %% pixels [markdown] tags=["slide"]
# ## 1. To which image do recorded targets belong?
#
# LwF and EBLL penalise the change of the old answers to each new image: its soft targets (E3a) and codes (E4) are recorded
# once, before the task. With **data augmentation** the learner sees another crop of the image in each epoch. Recorded on the
# central crop and compared with a random one, the old network's answers would be those to another image.
#
# **Predict first.** The stored squares have 40 pixels, the crops 32: a crop is at most 4 pixels off the centre. How
# much of the old answers' probability goes to other classes by that (half the sum of all changes, at temperature 2), and how
# much by mirroring? To compare: what fine-tuning on the letters does to the same answers.


# %% pixels-answers
def answers(net, top, mirrored):
    """The old head's soft targets for all new training images, from crops with that corner."""
    count, inputs = len(letters.train), letters.train.inputs
    corner = torch.full((count,), top)
    crops = ebll.paper.Crops(corner, corner, torch.full((count,), mirrored))
    windows = torch.cat(list(inputs.batches(torch.arange(count), 64, crops)))
    return ebll.losses.soften(torch.cat([net(part, 0) for part in windows.split(64)]), 2.0)


# %% pixels-measure
rows, finetuned = [], []
with torch.no_grad():
    for seed, start in starts.items():
        centre = answers(start.net.eval(), 4, False)
        after = answers(results.runs["finetune", seed].net.eval(), 4, False)
        finetuned.append(50 * (after - centre).abs().sum(dim=1).mean().item())
        for kind, mirrored in {"shifted": False, "shifted and mirrored": True}.items():
            for off in (0, 1, 2, 4):
                changed = 50 * (answers(start.net, 4 - off, mirrored) - centre).abs().sum(dim=1).mean().item()
                rows.append({"kind": kind, "seed": seed, "pixels": off, "changed": changed})
changes = pd.DataFrame(rows)

# %% pixels-figure tags=["slide"]
ebll.plots.over_setting(
    changes, "pixels", {"changed": "probability that goes\nto other classes, %"}, log=False,
    xlabel="pixels up and left of the central crop",
    references={"by fine-tuning": {"changed": sum(finetuned) / len(finetuned)}},
    title="How far soft targets change when the crop moves (E3a)",
    caption="Training images of letters, answers of the head of pictures at temperature 2",
)  # fmt: skip

# %% pixels-saw [markdown] tags=["slide"]
# **What we saw.** A shift of a few pixels changes the old answers by a good part of what fine-tuning does to them, and
# mirroring does as well: with targets of the central crop, so much of the penalty is about the wrong image. So targets have
# to belong to the very crop, and there are two ways, each a word in `PhotoSettings`:
#
# - `augment="fixed"`: a few crops of each image (`versions=5`, as the authors do) are drawn once and for all. Each has
#   rows of recorded targets, and the old network is not needed any more.
# - `augment="random"`: other crops in every epoch. Then a frozen copy of the old network stays as a **teacher** and answers
#   each batch.
#
# The kit records, unless the inputs change from epoch to epoch:

# %% pixels-source
ebll.course.source(ebll.protocol.targets_of)

# %% pixels-exercise-text [markdown]
# **Exercise 1.** Write what the teacher does, for whole stored images and the upper left corner of each one's crop: with crops of 4
# pixels and the corner (0, 1), rows 0 to 3 and columns 1 to 4 are the crop.


# %% pixels-exercise tags=["exercise"]
def my_targets(teacher, stored, top, left, size, temperature):
    """A network with a head, images (n, 3, side, side), corners (n,), numbers -> soft targets (n, classes)."""
    # What does the learner see of each image? The teacher comes in train mode; `ebll.networks.frozen` may help.
    # solution
    corners = zip(stored, top.tolist(), left.tolist(), strict=True)
    crops = torch.stack([image[:, y : y + size, x : x + size] for image, y, x in corners])
    with ebll.networks.frozen(teacher), torch.no_grad():
        return ebll.losses.soften(teacher(crops, 0), temperature)


# %% pixels-check tags=["check"]
ebll.course.checks.window_targets(my_targets)

# %% cost [markdown] tags=["slide"]
# ## 2. Record the targets, or ask a teacher?
#
# A fixed set of crops costs memory: for every crop a row with the soft targets of every old head (E3a) and the code of every
# old task (E4), in float32. A teacher costs the memory of a network, and a forward pass through it in every step.
#
# **Exercise 2.** How many bytes? A case for paper: 3 crops, one old head of 2 classes, a code of 4: 72 bytes.


# %% cost-exercise tags=["exercise"]
def my_recorded_bytes(crops, classes, code_sizes):
    """How many crops, lists of the old heads' classes and of the old tasks' code sizes -> bytes."""
    # What does one crop's row hold when there are several old tasks?
    # solution
    return 4 * crops * (sum(classes) + sum(code_sizes))


# %% cost-check tags=["check"]
ebll.course.checks.recorded_bytes(my_recorded_bytes)

# %% cost-predict [markdown] tags=["slide"]
# **Predict first.** ImageNet has been learned (1,000 classes, a code of 300), and the network is AlexNet, whose copy takes 244
# MB. How many crops of each image of Flowers can be recorded before the rows take more: 2, 20 or 200? And by what share does
# asking a teacher lengthen a training step?

# %% cost-recorded
recorded = ours.record_targets(starts[0].net, 1, letters.train.inputs, memory)
by_hand = 4 * len(letters.train) * (pictures.class_count + memory.encoder(0).out_features)
assert by_hand == sum(rows.nbytes for rows in recorded.values())

rows = []
for name in ("flowers", "birds", "scenes"):
    photo_set = ebll.paper.PHOTO_SETS[name]
    for crops in (1, 2, 5, 10, 20, 50, 100):
        size = 4 * crops * photo_set.train * (1000 + 300)
        rows.append({"kind": photo_set.label, "seed": None, "crops": crops, "MB": size / 1e6})
sizes = pd.DataFrame(rows)

# %% cost-figure tags=["slide"]
ebll.plots.over_setting(
    sizes, "crops", {"MB": "recorded, MB"}, xlabel="crops of each training image", log_y=True,
    references={"a copy of AlexNet": {"MB": 244.4}}, title="What recording takes after ImageNet",
    caption="Soft targets of 1,000 classes and codes of 300, float32",
)  # fmt: skip

# %% cost-crossing tags=["slide", "hidden"]
most = {row.kind: int(244.4 // (row.MB / row.crops)) for row in sizes.itertuples()}
pd.DataFrame({"most crops of each image": most}).rename_axis("rows take no more than a copy of AlexNet")

# %% cost-operations tags=["slide"]
from torch.utils.flop_counter import FlopCounterMode

with torch.device("meta"):  # shapes without memory
    alexnet, image = ebll.paper.load_backbone("alexnet", "none").network(), torch.zeros(1, 3, 224, 224)
    alexnet.add_head(102)
with FlopCounterMode(display=False) as asking, torch.no_grad():
    alexnet(image, 0)
with FlopCounterMode(display=False) as step:
    alexnet(image, 0).sum().backward()
counts = {"asking the teacher": asking, "a step, forward and backward": step}
operations = pd.DataFrame({"billions of operations": {name: c.get_total_flops() / 1e9 for name, c in counts.items()}})
operations["share of a step, %"] = 100 * operations / operations.loc["a step, forward and backward"]
operations.round(1)

# %% cost-saw [markdown] tags=["slide"]
# **What we saw.** Recording pays for some crops of each image: with twenty or so of Flowers, and fewer of the larger sets, the
# rows outgrow the teacher. The teacher costs a forward pass, by counting about a third of a step of AlexNet. What operations take
# on your machine is a matter of measurement.
#
# **Think.** Random crops show the network more. Why might the authors have recorded all the same?
#
# <details><summary>One answer</summary>
#
# In 2017 a third of a step was hours, and a second network took memory that a GPU did not have. A recorded row is a few kB.
#
# </details>

# %% long [markdown] tags=["slide"]
# ## 3. What does a checkpoint have to contain?
#
# At paper scale a run takes hours, and machines are taken away. `save_checkpoint` keeps a run in a folder: a file of the
# beginning of its stage, and one of its newest step. The same lines, with the same folder, resume it.
#
# **Predict first.** What has to be in such a file beside the weights, if not a bit of weights and feature distances (M2) may
# differ after resuming? And what happens if it holds all of that but the momentum of the optimiser?


# %% long-run
short = settings.replace(epochs=2, warmup_epochs=1)


def learn(folder, recorder, stop_at=None, momentum=True):
    """Two epochs of EBLL on the letters, measured at every step, with checkpoints in a folder."""
    run = ebll.protocol.begin(tasks, ours, start=starts[0], recorder=recorder, device=lesson.device)
    resume = ebll.paper.load_checkpoint(folder, run)
    for value in () if momentum else resume.of("momentum").values():
        value.zero_()  # as if the file did not have it
    for step in ebll.protocol.learn(run, tasks, short, resume=resume):
        stopped = step.stage == "train" and step.index == stop_at
        if step.index == 0 or stopped:  # `ebll paper` saves a step every ten minutes as well
            ebll.paper.save_checkpoint(folder, run, step)
        if stopped:
            break
    return run


# %% long-stop tags=["slide"]
import shutil

folder, names = Path(tempfile.mkdtemp()), ("uninterrupted", "stopped", "resumed", "resumed without momentum")
recorders = {name: ebll.Recorder(log_every=1) for name in names}
options = {"start": starts[0], "consolidate_last": False, "device": lesson.device, "settings": short}
uninterrupted = ebll.run_sequence(tasks, ours, recorder=recorders["uninterrupted"], **options)
learn(folder, recorders["stopped"], stop_at=4)
files = {file.name: round(file.stat().st_size / 1e6) for file in sorted(folder.glob("*.safetensors"))}
shutil.copytree(folder, folder / "again")
learn(folder / "again", recorders["resumed without momentum"], momentum=False)
resumed = learn(folder, recorders["resumed"])
pd.DataFrame({"MB": files}).rename_axis("files of the checkpoint")

# %% long-equal
ours_now, theirs = resumed.net.state_dict(), uninterrupted.net.state_dict()
if lesson.device == "cpu":  # on a GPU sums may come in another order
    assert all(torch.equal(value, theirs[name]) for name, value in ours_now.items())
    equal = recorders["resumed"].curve_rows == recorders["uninterrupted"].curve_rows
    assert equal

# %% long-figure tags=["slide"]
curves = {}
for name, recorder in recorders.items():
    table = recorder.curves().query("stage == 'train' and task == 'pictures'")
    curves[name] = table[["step", "feature_distance"]].assign(run=name, seed=0)
last = curves.pop("stopped")["step"].max()
for name in names[2:]:
    curves[name] = curves[name][curves[name]["step"] >= last]  # earlier rows it has from the file
    apart = curves[name].set_index("step")["feature_distance"] - curves[names[0]].set_index("step")["feature_distance"]
    curves[name]["apart"] = apart.loc[curves[name]["step"]].to_numpy()
ys = {"feature_distance": "feature distance (M2)", "apart": "minus that of the\nuninterrupted run"}
ebll.plots.over_setting(
    pd.concat(curves.values()), "step", ys, by="run", log=False, xlabel="steps made while letters is learned",
    title="Uninterrupted run, and run resumed from a checkpoint", caption="Held-out pictures",
)  # fmt: skip

# %% long-saw [markdown] tags=["slide"]
# **What we saw.** The resumed run follows the uninterrupted one, and ends with its weights and its record, bit for bit: on a
# processor, with the same number of threads. Without the momentum nothing fails and no message appears, but it is another run
# from its first step on.
#
# <details><summary>What the checkpoint contains: one answer</summary>
#
# The file of a step is twice as large as that of a stage: the momentum of the optimiser, the steps made, the state of the
# random generators where a layer draws, and the record. The file of a stage also has the encoders. The order of the batches
# is in neither: it follows from the seed, and the batches that have been seen are passed over. Nor are recorded targets: they
# are made again from the network at the beginning of the stage.
#
# </details>
#
# **Open question.** The checkpoint leaves out all that can be computed again. With a teacher and random crops, what would
# have to be added or computed, and what could go wrong unnoticed? Which measurement would show it?
#
# ### The paper's protocol
#
# `ebll paper --root DIR` runs the paper's sequences on the photo sets that lie under a folder, with these checkpoints, and
# the same command resumes. Before a night is spent, `--dry-run` says what it would take, in images, steps and bytes. We ask for
# a pair of the paper and for the two folders written above, with small images. An epoch sees five crops of each image that
# is not held out; of ImageNet 100,000 images are used unless told otherwise.
#
# **Predict first.** Will the plan stop at the sets that are missing, or can it count their steps all the same?

# %% paper-plan tags=["environment"]
from click.testing import CliRunner

from ebll.cli import cli

words = "--dry-run --experiment imagenet-flowers,pictures-letters --methods finetune,lwf,ebll --size 32 --stored 40"
words += f" --backbone efficientnet_lite0@features.5 --root {root}"
plan = CliRunner().invoke(cli, ["paper", *words.split()])
print(plan.output.replace(str(root), "DIR"))

# %% paper-settings tags=["slide", "hidden"]
usual = ebll.paper.PaperSettings()
rows = {"backbone": usual.backbone, "alpha (ImageNet)": f"{usual.alpha:g} ({usual.alpha_imagenet:g})"}
rows |= {"lambda": f"{usual.recon_weight:g}", "code (ImageNet)": f"{usual.code_size} ({usual.code_size_imagenet})"}
rows |= {"epochs": usual.train.epochs, "learning rate": f"{usual.train.learning_rate:g}"}
pd.DataFrame({"without further options": rows})

# %% paper-saw [markdown]
# The plan goes on without ImageNet and Flowers, as it reads published numbers of images; a run would stop and name the place
# to get them. *First sets* are the steps on the first task of a sequence, made once for all methods (ImageNet's weights come
# pretrained). Without `--size` and the like, everything is as in the paper, or else in its authors' code.
#
# ### What we do not know
#
# `ebll paper` writes its results in the paper's layout: beside each measured column stands an empty one. The paper's own
# numbers could not be verified for this kit, so none is printed: fill the column in from your own copy. Nor has the kit run
# AlexNet on the paper's sets, which do not come with it; its settings there are the published ones and were not tuned by us.
# Here is that layout with the runs of this notebook. A pair goes by its new task: *old* is the accuracy on pictures once
# letters was learned, *new* that on letters. In brackets stands the difference to the best that the column can have (ref.):
# feature extraction for the old task, fine-tuning for the new one. After ± stands half of an
# interval (M9), wide with three seeds, in places beyond the scale: what EBLL loses to the reference is undecided.

# %% unknown-layout tags=["slide"]
pair = ebll.reproduce.plan.Experiment("own", ("pictures", "letters"))
(layout,) = ebll.paper.layouts(results.accuracy, [pair]).values()
layout.transpose().rename(lambda row: row.replace("old", "old (pictures)").replace("new", "new (letters)"))

# %% summary [markdown] tags=["slide"]
# ## Summary
#
# 1. **Targets** belong to the very crop: recorded with a fixed set of crops, or asked of a frozen teacher in every step.
# 2. **Recording** takes a row per crop, a probability for each class of each old head and each old task's code; it outgrows the
#    teacher at some crops per image, fewer the larger the set. A teacher takes about a third of a step.
# 3. **A checkpoint** resumes a run bit for bit on a processor: weights, momentum, generators, encoders and the record; what
#    follows from the seed is computed again.
# 4. **The paper's protocol**: `ebll paper --root DIR --dry-run` names what is missing, and what a run would take. The paper's
#    numbers are not verified here, and none is printed.
#
# ## What to try next
#
# - `augment="random"` and then `"fixed"` where `photos` is made, with three times the epochs: is the difference larger than
#   the spread over the seeds?
# - With the photo sets at hand: `ebll paper --root DIR --experiment flowers-birds --methods finetune,lwf,ebll`; see
#   [docs/paper-scale.md](../docs/paper-scale.md).
# - This is the last notebook of the course; from here on it is your data.
#
# ## References
#
# - A. Rannen Triki, R. Aljundi, M. Blaschko, T. Tuytelaars: Encoder Based Lifelong Learning. ICCV 2017.
#   [arXiv 1704.01920](https://arxiv.org/abs/1704.01920)
# - M. De Lange et al.: A continual learning survey: defying forgetting in classification tasks. TPAMI 2021.
#   [arXiv 1909.08383](https://arxiv.org/abs/1909.08383)
