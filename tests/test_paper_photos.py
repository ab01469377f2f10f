"""Photographs as a task: crops are cut right, splits keep their labels, targets belong to a batch's very pixels."""

import copy
import itertools

import numpy as np
import pandas as pd
import pytest
import tiny_photos
import torch
from messages import raises
from paper_rig import coded, decoded, write_photos
from tiny import method
from torch import nn
from torchvision.models import AlexNet_Weights

from ebll.data import Split, Task
from ebll.errors import InputError
from ebll.paper import Crops, PhotoSettings, PhotoSplit, load_photos, photos as module
from ebll.paper.photos import Pixels, cut, fixed_crops, random_crops
from ebll.protocol import learn_first, run_sequence
from ebll.recording import Recorder
from ebll.seeds import generator
from ebll.training import TrainSettings, batches_of

pytestmark = pytest.mark.paper

TINY = PhotoSettings(stored=12, size=8, versions=3)
TRAIN, TEST = torch.tensor([0] * 20 + [1] * 10 + [2] * 6), torch.tensor([0] * 3 + [1] * 2 + [2])
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
SCALE, SHIFT = 1 / (255 * STD), -MEAN / STD
AS_BYTES = {"mean": (0.0,) * 3, "std": (1 / 255,) * 3}  # leaves the bytes as they are
BYTES = torch.ones(3), torch.zeros(3)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """36 training images, numbers 0 to 35, and 6 test images, 100 to 105, in three classes."""
    root = tmp_path_factory.mktemp("photos")
    write_photos(root, "own", train=(coded(range(36), 12), TRAIN), test=(coded(range(100, 106), 12), TEST))
    return root


def load(root, **options):
    changes = {name: options.pop(name) for name in list(options) if hasattr(TINY, name)}
    return load_photos("own", root, TINY.replace(**changes), **options)


def numbers(task, name):
    """The numbers of the images in a split, and their crops, read off the restored pixels."""
    return decoded(255 * task.restored(getattr(task, name).inputs[:]))


def refuses(job, *named):
    with raises(InputError, *named):
        job()


# ---- crops


def one_at_a_time(images, crops, size):
    """Slice, mirror, standardise: numpy, one image after the other, in double precision."""
    made = []
    for image, top, left, flip in zip(images.numpy(), *(part.tolist() for part in crops), strict=True):
        piece = image[top : top + size, left : left + size].astype(np.float64)
        piece = piece[:, ::-1] if flip else piece
        made.append(((piece / 255 - MEAN.numpy()) / STD.numpy()).transpose(2, 0, 1))
    return torch.from_numpy(np.stack(made))


@pytest.mark.parametrize(("stored", "size"), [(9, 5), (6, 6)])
def test_cut_is_slicing_mirroring_and_standardising_one_image_at_a_time(stored, size):
    corners = torch.arange(stored - size + 1)
    top, left, flip = torch.cartesian_prod(corners, corners, torch.arange(2)).T
    crops = Crops(top, left, flip.bool())  # every one that there is
    images = torch.randint(256, (len(top), stored, stored, 3)).to(torch.uint8)
    found = cut(images, crops, size, SCALE, SHIFT)
    assert (found.shape, found.dtype) == ((len(top), 3, size, size), torch.float32)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found.double(), one_at_a_time(images, crops, size), rtol=0, atol=1e-6)


def test_random_crops_are_uniform_over_all_that_there_are_and_seeded():
    count = 18_000
    crops = random_crops(count, 12, 10, torch.Generator().manual_seed(5))
    found = torch.bincount((crops.top * 3 + crops.left) * 2 + crops.flip, minlength=18)
    assert len(found) == 18  # rows and columns 0 to 2, mirrored or not, and no other
    chi_square = ((found - count / 18).square() / (count / 18)).sum()
    assert chi_square < 40.8  # 17 degrees of freedom: one seed in a thousand is above
    again = random_crops(count, 12, 10, torch.Generator().manual_seed(5))
    assert all(map(torch.equal, crops, again))


def test_fixed_crops_begin_with_the_centre_and_keep_each_images_versions_side_by_side():
    count, versions = 30, 4
    crops = fixed_crops(count, versions, 256, 224, torch.Generator().manual_seed(3))
    rows = torch.arange(count * versions)
    central = (crops.top == 16) & (crops.left == 16) & ~crops.flip
    # Of 2 * 33 * 33 crops one is central, so among these 90 drawn ones it does not come up.
    assert torch.equal(central, rows % versions == 0)
    kinds = torch.stack([crops.top, crops.left, crops.flip.long()], dim=1)
    assert len(kinds[~central].unique(dim=0)) > 80  # neither the images nor the versions share theirs


# ---- who is in which split


@pytest.mark.parametrize(("augment", "times"), [("fixed", 3), ("random", 1), ("none", 1)])
def test_the_three_splits_are_disjoint_and_complete_and_keep_their_labels(augment, times, root):
    task = load(root, augment=augment, split_seed=5)
    splits = {name: getattr(task, name) for name in ("train", "validation", "test")}
    found = {name: numbers(task, name) for name in splits}
    rows = {name: images for name, (images, _) in found.items()}
    assert len(rows["validation"]) == 4  # a tenth of 36, from every class
    assert task.validation.labels.unique().tolist() == [0, 1, 2]
    kept = rows["train"][::times]
    assert torch.equal(rows["train"], kept.repeat_interleave(times))
    assert sorted([*kept.tolist(), *rows["validation"].tolist()]) == list(range(36))
    assert rows["test"].tolist() == list(range(100, 106))
    assert torch.equal(task.train.labels, TRAIN[rows["train"]])
    assert torch.equal(task.validation.labels, TRAIN[rows["validation"]])
    assert torch.equal(task.test.labels, TEST)
    assert {name: split.changing for name, split in splits.items() if split.changing} == (
        {"train": True} if augment == "random" else {}
    )
    if augment == "fixed":
        expected = fixed_crops(len(kept), 3, 12, 8, generator(5, "windows", "own"))
        assert all(map(torch.equal, found.pop("train")[1], expected))
    for _, (top, left, flip) in found.values():  # all others are central
        assert top.unique().tolist() == left.unique().tolist() == [2]
        assert not flip.any()
    torch.manual_seed(17)  # what a run does to the global generator
    assert torch.equal(numbers(load(root, size=10, split_seed=5), "validation")[0], rows["validation"])
    assert not torch.equal(numbers(load(root), "validation")[0], rows["validation"])


def test_some_images_are_taken_of_every_class_in_its_share(root):
    task = load(root, images=18, augment="none")
    found = torch.cat([numbers(task, name)[0] for name in ("train", "validation")])
    assert torch.bincount(TRAIN[found]).tolist() == [10, 5, 3]
    assert len(found.unique()) == 18
    assert torch.equal(task.train.labels, TRAIN[numbers(task, "train")[0]])
    refuses(lambda: load(root, images=2), "images", 2, "3 classes")
    refuses(lambda: load(root, images=3), "class 'class0'", "1 image", "2 are", "validation")


def test_a_class_of_which_an_incomplete_set_has_no_image_is_passed_over(tmp_path):
    tiny_photos.write_birds(tmp_path, train=5)
    file = tmp_path / "CUB_200_2011/images.txt"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:7] + lines[14:]))  # without class 2 of 3
    settings = PhotoSettings(stored=16, size=12, augment="none", images=6)
    task = load_photos("birds", tmp_path, settings, incomplete=True)
    assert (task.name, task.class_count) == ("birds", 3)
    assert torch.cat([task.train.labels, task.validation.labels]).bincount().tolist() == [3, 0, 3]


# ---- tasks


def test_restored_inputs_are_the_pixels_from_0_to_1(root):
    task = load(root, mean=(0.5, 0.1, 0.2), std=(0.3, 0.2, 0.4))
    expected = coded(range(100, 106), 12)[:, 2:10, 2:10].permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(task.restored(task.test.inputs[:]), expected, rtol=0, atol=1e-6)


def test_without_settings_photographs_are_cut_at_224_and_standardised_as_for_imagenet(root):
    usual, task = AlexNet_Weights.IMAGENET1K_V1.transforms(), load_photos("own", root)
    assert (list(task.offset), list(task.scale)) == (usual.mean, usual.std)
    assert (task.input_shape, len(task.train)) == ((3, 224, 224), 5 * 32)
    low, high = min(-MEAN / STD).item(), max((1 - MEAN) / STD).item()
    assert f"one input: 3 x 224 x 224, training values {low:.2f} to {high:.2f}" in repr(task)


def test_what_cannot_be_is_refused(root):
    refuses(lambda: load(root, mean=(0.5, 0.1)), "mean", "three numbers")
    refuses(lambda: load(root, std=(0.5, 0.0, 0.1)), "std", "above 0")
    refuses(lambda: load(root, cache=5), "cache", "got 5")
    refuses(lambda: PhotoSettings(stored=200, size=224), "size", "224 pixels", 200)


# ---- pixels are the tensor that they stand for

ROWS = [14, 3, 3, 0, 7, 12, 1, 9, 3, 5, 14, 2, 8]  # in no order, and some again


@pytest.fixture
def pair(monkeypatch):
    """Pixels, and the tensor that they stand for; portions are small, so that there are several."""
    monkeypatch.setattr(module, "PORTION", 4)
    images, crops = coded(range(15), 12), random_crops(13, 12, 8, torch.Generator().manual_seed(0))
    made = Pixels(images, torch.tensor(ROWS), crops, 8, SCALE, SHIFT)
    return made, cut(images[ROWS], crops, 8, SCALE, SHIFT)


INDICES = [-1, slice(2, 11), slice(5, 5), torch.tensor([4, 0, 12, 4, 4, -1]), torch.arange(13) % 3 == 0]


def test_pixels_have_the_tensors_shape_portions_rows_and_ends(pair):
    pixels, tensor = pair
    assert [getattr(pixels, n) == getattr(tensor, n) for n in ("shape", "ndim", "dtype", "device")] == [True] * 4
    assert len(pixels) == len(tensor)
    for index in INDICES:
        assert torch.equal(pixels[index], tensor[index])
    for size in (1, 3, 50):
        found = list(pixels.split(size))
        assert [len(part) for part in found] == [len(part) for part in tensor.split(min(size, 4))]
        assert torch.equal(torch.cat(found), tensor)
    rows = torch.tensor([12, 0, 5, 5])
    assert torch.equal(pixels.take(rows).take(torch.tensor([1, 0]))[:], tensor[[0, 12]])
    others = random_crops(13, 12, 8, torch.Generator().manual_seed(99))
    again = torch.cat(list(pixels.batches(rows, 3, others)))
    assert torch.equal(again, cut(coded(ROWS, 12), others, 8, SCALE, SHIFT)[rows])
    assert pixels.min() == (0 * SCALE + SHIFT).min()
    assert pixels.max() == (255 * SCALE + SHIFT).max()
    moved = pixels.to("meta")  # cut there, from images that stay where they are
    assert (moved.device.type, moved.images.device.type, moved.crops.top.device.type) == ("meta", "cpu", "meta")


# ---- epochs


def stream_of(task, batch_size, targets=None, skip=0):
    return batches_of(task, 1, targets, batch_size, generator(4, "x"), skip)


def test_an_epoch_shows_every_image_once_with_its_label_and_the_next_cuts_it_anew(root):
    task = load(root, augment="random", **AS_BYTES)
    stream, seen = stream_of(task, 10), []
    for _ in range(3):
        batches = [next(stream) for _ in range(4)]
        assert [len(batch.labels) for batch in batches] == [10, 10, 10, 2]
        inputs, labels = (torch.cat([getattr(batch, name) for batch in batches]) for name in ("inputs", "labels"))
        found, crops = decoded(inputs)
        assert len(found.unique()) == 32
        assert torch.equal(labels, TRAIN[found])
        torch.testing.assert_close(inputs, cut(coded(found, 12), crops, 8, *BYTES), rtol=0, atol=1e-4)
        seen.append(torch.stack([*crops])[:, found.argsort()])
    same = [(one == other).all(dim=0).sum() for one, other in itertools.combinations(seen, 2)]
    assert max(same) <= 5  # of 32 images, each with one crop in 50


# ---- whole runs


SETTINGS = TrainSettings(epochs=3, warmup_epochs=1, batch_size=8, learning_rate=0.02)


def net(input_shape):
    features = nn.Sequential(nn.Conv2d(3, 6, 5, stride=3), nn.ReLU())
    return features, nn.Sequential(nn.Linear(6 * 4 * 4, 10), nn.ReLU())


def tinted(labels, seed):
    """Noise of 24 x 24 with the colour of its class, so that a class can be learned and every crop looks different."""
    images = torch.randint(0, 176, (len(labels), 24, 24, 3), generator=torch.Generator().manual_seed(seed))
    images[torch.arange(len(labels)), :, :, labels % 3] += 80
    return images.to(torch.uint8)


@pytest.fixture(scope="module")
def photo_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("tinted")
    for seed, name in enumerate(("first", "second")):
        labels = torch.arange(18 + 3 * seed) * 3 // (18 + 3 * seed)
        write_photos(root, name, train=(tinted(labels, seed), labels), test=(tinted(labels, 9 + seed), labels))
    return root


def photo_tasks(root, augment):
    settings = PhotoSettings(stored=24, size=16, augment=augment, versions=3, held_out=0.2)
    return [load_photos(name, root, settings) for name in ("first", "second")]


def answers_of(name, before, encoder, inputs):
    """What a method holds a batch to, worked out here from the network of before the task."""
    with torch.no_grad():
        features = before.features(inputs)
        hidden = before.operator(features)
        known = {"soft_targets": torch.softmax(before.heads[0](hidden) / 2, dim=1), "hidden": hidden}
        if encoder is not None:
            known["codes"] = torch.sigmoid(features @ encoder.weight.T + encoder.bias)
    wanted = {"lwf": ["soft_targets"], "ebll": ["soft_targets", "codes"], "feature-extraction": ["hidden"]}
    return {key: known[key] for key in wanted[name]}


@pytest.mark.parametrize("augment", ["fixed", "random"])
@pytest.mark.parametrize("name", ["lwf", "ebll", "feature-extraction"])
def test_targets_belong_to_the_very_pixels_in_the_batch(name, augment, photo_root, monkeypatch):
    tasks = photo_tasks(photo_root, augment)
    start = learn_first(tasks[:1], net=net, settings=SETTINGS)
    before, chosen, seen = copy.deepcopy(start.net), method(name), []
    original = type(chosen).loss_terms

    def watching(self, net, batches, memory):
        (batch,) = batches
        encoder = memory.encoder(0) if memory else None
        # What the student says of the same pixels by now.
        seen.append((batch, encoder, answers_of(name, net, encoder, batch.inputs)))
        return original(self, net, batches, memory)

    monkeypatch.setattr(type(chosen), "loss_terms", watching)
    run_sequence(tasks, chosen, start=start, settings=SETTINGS, recorder=Recorder(log_every=0), consolidate_last=False)

    split, order = tasks[1].train, generator(0, "batches", 1, 1)
    steps = -(-len(split) // 8)
    epochs = []
    for _ in range(3):
        rows = torch.randperm(len(split), generator=order)
        epochs += zip(rows.split(8), [split.versions(order)] * steps, strict=True)
    seen = seen[-len(epochs) :]  # feature extraction has a warm-up, which is more of the same
    centre = torch.arange(len(split)) // 3 * 3 if augment == "fixed" else torch.arange(len(split))
    apart = []
    for (rows, _), (batch, encoder, _) in zip(epochs, seen, strict=True):
        assert torch.equal(batch.labels, split.labels[rows])
        expected = answers_of(name, before, encoder, batch.inputs)
        central = answers_of(name, before, encoder, split.inputs[centre[rows]])
        assert batch.targets.keys() == expected.keys()
        for key, answer in expected.items():
            if augment == "random":  # asked of this very batch, so that no bit may differ
                assert torch.equal(batch.targets[key], answer)
            torch.testing.assert_close(batch.targets[key], answer, rtol=1e-5, atol=1e-6)
            apart.append((central[key] - batch.targets[key]).abs().amax(dim=1))
    # A target recorded of the central crop would have been found out, but for the central crops themselves.
    missed = (torch.cat(apart) < 1e-3).double().mean()
    assert missed < (0.4 if augment == "fixed" else 0.1)
    if name != "feature-extraction":  # whose features stand still
        batch, _, now = seen[-1]
        assert all((now[key] - batch.targets[key]).abs().max() > 1e-3 for key in now)


class Double(nn.Module):
    """The first layer of a network in double precision: photographs come as float32."""

    def forward(self, inputs):
        return inputs.double()


def as_tensors(task):
    """The same task with its inputs in memory, as any other task's."""
    parts = {name: getattr(task, name) for name in ("train", "validation", "test")}
    plain = {name: Split(split.inputs[:], split.labels) for name, split in parts.items()}
    return Task(task.name, task.classes, **plain, offset=task.offset, scale=task.scale)


@pytest.mark.parametrize("name", ["ebll", "ewc", "joint"])
def test_a_run_on_photographs_is_the_run_on_tensors(name, photo_root):
    """Photographs lie channels last in memory and tensors channels first, for which torch has other convolutions."""
    tasks = photo_tasks(photo_root, "fixed")
    assert all(isinstance(task.train, PhotoSplit) for task in tasks)
    chosen = method(name, fisher_samples=9) if name == "ewc" else method(name)
    torch.set_default_dtype(torch.float64)  # of every weight that is made meanwhile
    try:
        first, second = (
            run_sequence(
                several, chosen, net=lambda shape: (nn.Sequential(Double(), net(shape)[0]), net(shape)[1]),
                settings=SETTINGS, seed=3, recorder=Recorder(log_every=2, samples=5),
            )
            for several in (tasks, [as_tensors(task) for task in tasks])
        )  # fmt: skip
    finally:
        torch.set_default_dtype(torch.float32)
    close = {"rtol": 1e-9, "atol": 1e-9, "equal_nan": True}
    torch.testing.assert_close(dict(first.net.state_dict()), dict(second.net.state_dict()), **close)
    for table in ("curves", "accuracy", "kept"):
        pd.testing.assert_frame_equal(getattr(first, table), getattr(second, table), rtol=1e-9, atol=1e-9)
    assert len(first.recorder.curve_rows) > 10
