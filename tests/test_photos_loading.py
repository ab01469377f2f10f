"""A photo set as a task: who is in which split, where the bytes lie, and runs that are those of plain tensors."""

import io
import json
import os

import pandas as pd
import pytest
import tiny_photos
import torch
from messages import raises
from photo_rig import coded, decoded, stores, tinted, write_photos
from PIL import Image
from tiny import kept_up, method
from torch import nn

from ebll.checkpoints import Checkpoints
from ebll.data import Split, Task
from ebll.errors import DataMissing, InputError, RunStopped
from ebll.photos import PhotoSettings, load_photos, loading, skipped
from ebll.photos.crops import fixed_windows
from ebll.photos.loading import free_memory, held_out, photo_task
from ebll.photos.split import PhotoSplit, Resident, Streamed
from ebll.protocol import learn_first, run_sequence
from ebll.recording import Recorder
from ebll.seeds import derive_seed, generator
from ebll.training import TrainSettings

pytestmark = pytest.mark.paper

TINY = PhotoSettings(stored=12, size=8, versions=3)
TRAIN, TEST = torch.tensor([0] * 20 + [1] * 10 + [2] * 6), torch.tensor([0] * 3 + [1] * 2 + [2])
SQUARE = 12 * 12 * 3  # bytes of an image


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """36 training images, numbers 0 to 35, and 6 test images, 100 to 105, in three classes."""
    root = tmp_path_factory.mktemp("photos")
    write_photos(root, "own", train=(coded(range(36), 12), TRAIN), test=(coded(range(100, 106), 12), TEST))
    return root


def load(root, **options):
    changes = {name: options.pop(name) for name in list(options) if hasattr(TINY, name)}
    return load_photos("own", root, TINY.replace(**changes), workers=1, **options)


def numbers(task, name):
    """The numbers of the images in a split, and their windows, read off the restored pixels."""
    return decoded(255 * task.restored(getattr(task, name).inputs[:]))


def refuses(job, *named, kind=InputError):
    with raises(kind, *named):
        job()


# Who is in which split.


@pytest.mark.parametrize("augment", ["fixed", "random", "none"])
def test_the_three_splits_are_disjoint_and_complete_and_keep_their_labels(augment, root):
    task = load(root, augment=augment)
    times = 3 if augment == "fixed" else 1
    found = {name: numbers(task, name)[0] for name in ("train", "validation", "test")}
    assert len(found["validation"]) == 4  # a tenth of 36, from every class
    assert task.validation.labels.unique().tolist() == [0, 1, 2]
    kept = found["train"][::times]
    assert torch.equal(found["train"], kept.repeat_interleave(times))
    assert sorted([*kept.tolist(), *found["validation"].tolist()]) == list(range(36))
    assert found["test"].tolist() == list(range(100, 106))
    assert torch.equal(task.train.labels, TRAIN[found["train"]])
    assert torch.equal(task.validation.labels, TRAIN[found["validation"]])
    assert torch.equal(task.test.labels, TEST)


def test_the_fixed_windows_are_the_drawn_ones_and_all_others_are_central(root):
    task = load(root, augment="fixed", versions=4, split_seed=5)
    kept = len(task.train) // 4
    expected = fixed_windows(kept, 4, 12, 8, generator(5, "windows", "own"))
    for name, part in vars(numbers(task, "train")[1]).items():
        assert torch.equal(part, getattr(expected, name))
    for split in (task.validation, task.test, load(root, augment="none").train, load(root, augment="random").train):
        windows = decoded(255 * task.restored(split.inputs[:]))[1]
        assert windows.top.unique().tolist() == windows.left.unique().tolist() == [2]
        assert not windows.flip.any()


@pytest.mark.parametrize(
    ("augment", "anew", "count"), [("fixed", False, 96), ("random", True, 32), ("none", False, 32)]
)
def test_augment_decides_how_many_inputs_there_are_and_whether_they_are_cut_anew(augment, anew, count, root):
    task = load(root, augment=augment)
    assert isinstance(task.train, PhotoSplit)
    assert task.train.changing is anew
    assert len(task.train) == len(task.train.labels) == count
    assert not task.validation.changing
    assert not task.test.changing
    assert task.input_shape == (3, 8, 8)


def test_the_validation_images_are_the_same_for_every_run(root):
    first = numbers(load(root), "validation")[0]
    torch.manual_seed(17)  # what a run does to the global generator
    for options in ({"augment": "random"}, {"size": 10}, {"versions": 2}, {"room": 0}):
        assert torch.equal(numbers(load(root, **options), "validation")[0], first)
    others = [numbers(load(root, split_seed=seed), "validation")[0].tolist() for seed in (1, 2, 3)]
    assert others != [first.tolist()] * 3
    assert len(numbers(load(root, held_out=0.5), "validation")[0]) == 18


def test_held_out_rows_depend_on_the_name_and_the_seed_alone():
    labels = torch.arange(90) % 3
    kept, held = held_out(labels, TINY, ("a", "b", "c"), "own")
    assert torch.equal(torch.cat([kept, held]).sort().values, torch.arange(90))
    assert torch.bincount(labels[held]).tolist() == [3, 3, 3]
    assert torch.equal(held_out(labels, TINY.replace(size=9), ("a", "b", "c"), "own")[1], held)
    assert not torch.equal(held_out(labels, TINY, ("a", "b", "c"), "other")[1], held)
    assert not torch.equal(held_out(labels, TINY.replace(split_seed=1), ("a", "b", "c"), "own")[1], held)


def test_a_class_of_which_an_incomplete_set_has_no_image_is_passed_over(tmp_path):
    labels = torch.tensor([0] * 6 + [2] * 4)  # as of a download that was cut short
    kept, held = held_out(labels, TINY.replace(held_out=0.3), ("a", "b", "c"), "own")
    assert labels[held].tolist() == [0, 0, 2]
    assert len(kept) == 7
    refuses(lambda: held_out(torch.tensor([0, 0, 2]), TINY, ("a", "b", "c"), "own"), "class 'c'", "1 image", "2 are")
    tiny_photos.write_birds(tmp_path, train=5)
    for name in ("images", "train_test_split", "image_class_labels"):
        file = tmp_path / f"CUB_200_2011/{name}.txt"
        lines = file.read_text().splitlines()
        file.write_text("\n".join(line for line in lines if int(line.split()[0]) not in range(8, 15)))  # class 2 of 3
    settings = PhotoSettings(stored=16, size=12, augment="none", images=6)
    task = load_photos("birds", tmp_path, settings, workers=1, incomplete=True)
    assert task.class_count == 3
    assert torch.cat([task.train.labels, task.validation.labels]).bincount().tolist() == [3, 0, 3]


def test_a_class_with_one_image_cannot_be_held_out(root):
    refuses(lambda: load(root, images=3), "class 'class0'", "1 image", "2 are", "validation")


def test_some_images_are_taken_of_every_class_in_its_share(root):
    task = load(root, images=18, augment="none")
    found = torch.cat([numbers(task, name)[0] for name in ("train", "validation")])
    assert torch.bincount(TRAIN[found]).tolist() == [10, 5, 3]
    assert len(found.unique()) == 18
    assert torch.equal(task.train.labels, TRAIN[numbers(task, "train")[0]])
    assert numbers(task, "test")[0].tolist() == list(range(100, 106))
    again, other = load(root, images=18, augment="none"), load(root, images=18, augment="none", split_seed=1)
    assert torch.equal(numbers(again, "train")[0], numbers(task, "train")[0])
    assert set(numbers(other, "train")[0].tolist()) != set(numbers(task, "train")[0].tolist())


@pytest.mark.parametrize("images", [0, 36, 5_000])
def test_no_number_or_a_large_one_takes_all_images(images, root):
    task = load(root, images=images, augment="none")
    assert len(task.train) + len(task.validation) == 36


def test_fewer_images_than_classes_are_refused(root):
    refuses(lambda: load(root, images=2), "images", 2, "3 classes", "3 or more")


# Pixels.


def test_restored_inputs_are_the_pixels_from_0_to_1(root):
    task = load(root, mean=(0.5, 0.1, 0.2), deviation=(0.3, 0.2, 0.4))
    expected = coded(range(100, 106), 12)[:, 2:10, 2:10].permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(task.restored(task.test.inputs[:]), expected, rtol=0, atol=1e-6)
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ((0.5, 0.1, 0.2), (0.3, 0.2, 0.4)))
    torch.testing.assert_close(task.test.inputs[:], (expected - mean) / deviation, rtol=0, atol=1e-5)
    assert (task.offset, task.scale) == ((0.5, 0.1, 0.2), (0.3, 0.2, 0.4))


def test_the_usual_mean_and_deviation_are_those_that_torchvision_names_for_imagenet(root):
    from torchvision.models import AlexNet_Weights

    usual, task = AlexNet_Weights.IMAGENET1K_V1.transforms(), load(root)
    assert (list(task.offset), list(task.scale)) == (usual.mean, usual.std)


def test_the_task_says_what_it_is(root):
    task = load(root)
    assert (task.name, task.classes) == ("own", ("class0", "class1", "class2"))
    assert task.source == str(root / "own")
    assert task.licence == "the user's own images"
    black, white = min(-m / d for m, d in zip(task.offset, task.scale, strict=True)), (1 - 0.406) / 0.225
    assert repr(task).startswith("Task 'own': train 96, validation 4, test 6\n  3 classes: class0, class1, class2\n")
    assert f"one input: 3 x 8 x 8, training values {black:.2f} to {white:.2f}" in repr(task)


def test_a_subset_of_a_photo_task_is_one_with_every_class(root):
    task = load(root, augment="none").subset(9)
    found = numbers(task, "train")[0]
    assert len(found.unique()) == 9
    assert torch.equal(task.train.labels, TRAIN[found])
    assert set(task.train.labels.tolist()) == {0, 1, 2}


# Where the bytes lie.


def kinds(task):
    return [type(getattr(task, name).inputs.shelf) for name in ("train", "validation", "test")]


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (None, [Resident, Resident, Resident]),
        (42 * SQUARE, [Resident, Resident, Resident]),
        (42 * SQUARE - 1, [Resident, Resident, Streamed]),
        (36 * SQUARE, [Resident, Resident, Streamed]),
        (36 * SQUARE - 1, [Streamed, Streamed, Resident]),
        (0, [Streamed, Streamed, Streamed]),
    ],
)
def test_what_fits_into_the_room_is_held_and_the_rest_is_streamed(room, expected, root):
    task, held = load(root, room=room), load(root)
    assert kinds(task) == expected
    if expected[0] is Resident:
        assert task.train.inputs.shelf is task.validation.inputs.shelf  # their bytes are there once
    for name in ("train", "validation", "test"):
        assert torch.equal(getattr(task, name).inputs[:], getattr(held, name).inputs[:])
        assert torch.equal(getattr(task, name).labels, getattr(held, name).labels)


@pytest.mark.parametrize(("free", "expected"), [(84 * SQUARE, Resident), (84 * SQUARE - 2, Streamed)])
def test_half_of_what_is_free_may_be_held(free, expected, root, monkeypatch):
    monkeypatch.setattr(loading, "free_memory", lambda device: free)
    assert kinds(load(root)) == [Resident, Resident, expected]


def test_free_memory_is_what_the_system_calls_available(monkeypatch):
    lines = "MemTotal:       16000 kB\nMemFree:         100 kB\nMemAvailable:    3000 kB\n"
    monkeypatch.setattr(loading, "open", lambda *args, **options: io.StringIO(lines), raising=False)
    assert free_memory("cpu") == 3000 * 1024
    for broken in ("MemTotal: 5 kB\n", "MemAvailable: some kB\n"):
        monkeypatch.setattr(loading, "open", lambda *a, broken=broken, **o: io.StringIO(broken), raising=False)
        assert free_memory("cpu") == 4 * 2**30

    def refuse(*args, **options):
        raise FileNotFoundError("/proc/meminfo")

    monkeypatch.setattr(loading, "open", refuse, raising=False)
    assert free_memory(torch.device("cpu")) == 4 * 2**30


# Settings, files and messages.


def test_a_window_larger_than_what_is_stored_is_refused():
    refuses(lambda: PhotoSettings(stored=200, size=224), "size", "224 pixels", 200)
    assert PhotoSettings(stored=224, size=224).size == 224


def test_an_augmentation_that_is_none_is_refused():
    refuses(lambda: PhotoSettings(augment="sometimes"), "augment", "'sometimes'", "fixed, random, none")


def test_stores_of_another_size_than_the_settings_are_cut_where_their_own_middle_is(root):
    larger = stores(root, "own", 12)
    task = photo_task(*larger, TINY.replace(stored=9, augment="none"), "own")
    assert numbers(task, "test")[1].top.tolist() == [2] * 6
    refuses(lambda: photo_task(*larger, TINY.replace(stored=20, size=16), "own"), "16 pixels", "stored at 12")


def test_progress_is_told_of_each_part_and_of_each_image(root, tmp_path):
    told = {}

    def progress(name):
        told[name] = []
        return lambda done, total: told[name].append((done, total))

    load(root, cache=tmp_path / "cache", progress=progress)
    assert list(told) == ["own train", "own test"]
    assert {name: calls[-1] for name, calls in told.items()} == {"own train": (36, 36), "own test": (6, 6)}
    assert all(calls == sorted(calls) for calls in told.values())


def test_the_converted_images_lie_under_the_root_or_where_they_are_wanted(root, tmp_path):
    load(root)
    assert {"own-train-12", "own-test-12"} <= {path.name for path in (root / "ebll-cache").iterdir()}
    load(root, cache=tmp_path / "elsewhere", images=18)
    names = sorted(path.name for path in (tmp_path / "elsewhere").iterdir())
    assert names[0] == "own-test-12"
    assert names[1].startswith("own-train-12-")  # a part of the images has a folder of its own
    assert len(names) == 2


def test_an_unreadable_image_is_refused_or_left_out_with_its_label(tmp_path):
    write_photos(tmp_path, "own", train=(coded(range(36), 12), TRAIN), test=(coded(range(100, 106), 12), TEST))
    (tmp_path / "own/train/class0/0003.png").write_bytes(b"no image")
    refuses(lambda: load(tmp_path), "1 of 36 images", "train/class0/0003.png")
    task = load(tmp_path, skip_unreadable=True, augment="none")
    found = torch.cat([numbers(task, name)[0] for name in ("train", "validation")])
    assert sorted(found.tolist()) == [n for n in range(36) if n != 3]
    assert torch.equal(task.train.labels, TRAIN[numbers(task, "train")[0]])


def two_kinds(root, unreadable):
    """Three training and two test images of each of two classes, some of them no images."""
    numbers = {"train": torch.tensor([0, 0, 0, 1, 1, 1]), "test": torch.tensor([0, 0, 1, 1])}
    write_photos(root, "own", **{part: (coded(range(len(of)), 12), of) for part, of in numbers.items()})
    for path in unreadable:
        (root / "own" / path).write_bytes(b"no image")


def test_a_task_tells_which_unreadable_images_it_lacks(tmp_path, root):
    bad = ["train/class0/0001.png", "test/class1/0003.png"]
    two_kinds(tmp_path, bad)
    task = load(tmp_path, skip_unreadable=True)
    assert skipped(task) == bad
    assert skipped(load(tmp_path, skip_unreadable=True, room=0)) == bad  # converted before, and streamed
    assert skipped(task.to("cpu")) == skipped(task.subset(2)) == bad
    assert skipped(load(root)) == skipped(as_tensors(task)) == []
    refuses(lambda: skipped("own"), "skipped", "Task", "load_photos", "got str")


@pytest.mark.parametrize(
    ("bad", "part"),
    [
        (["train/class1/0003.png", "train/class1/0004.png", "train/class1/0005.png"], "training"),
        (["test/class0/0000.png", "test/class0/0001.png"], "test"),
    ],
)
def test_a_class_of_which_no_image_can_be_read_is_refused(tmp_path, bad, part):
    two_kinds(tmp_path, bad)
    kind = bad[0].split("/")[1]
    named = "'own'", f"class '{kind}'", f"{part} image", f"{len(bad)} files", bad[0]
    refuses(lambda: load(tmp_path, skip_unreadable=True), *named)


def test_a_folder_whose_name_is_no_text_is_learned_like_any_other(tmp_path):
    two_kinds(tmp_path, [])
    strange = os.fsdecode(b"le\xfflt")  # as a disk written with another encoding has it
    for part in ("train", "test"):
        (tmp_path / "own" / part / "class1").rename(tmp_path / "own" / part / f"class{strange}")
    (tmp_path / "own").rename(tmp_path / strange)
    task = load_photos(strange, tmp_path, TINY, workers=2)
    again = load_photos(strange, tmp_path, TINY, workers=1)
    assert (task.name, task.classes) == (strange, ("class0", f"class{strange}"))
    assert torch.equal(task.train.inputs[:], again.train.inputs[:])
    assert derive_seed(0, strange) != derive_seed(0, "lelt")


def test_a_published_set_is_found_by_its_name_whole_or_in_part(tmp_path, monkeypatch):
    classes, train, test = tiny_photos.write_flowers(tmp_path, train=6)
    settings = PhotoSettings(stored=16, size=12, augment="none")
    counts = "102 classes, 2,040 training images, 6,149 test images"
    refuses(lambda: load_photos("flowers", tmp_path, settings, workers=1), "'flowers'", counts)
    part = load_photos("flowers", tmp_path, settings, workers=1, incomplete=True)
    tiny_photos.counts(monkeypatch, "flowers", (classes, train, test))
    whole = load_photos("flowers", tmp_path, settings, workers=1)
    for task in (part, whole):
        assert (task.name, task.source) == ("flowers", "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/")
        assert (len(task.train) + len(task.validation), len(task.test)) == (train, test)
        assert task.train.labels.unique().tolist() == list(range(classes))


def test_without_settings_photographs_are_stored_at_256_and_cut_at_224(tmp_path):
    for part, count in (("train", 4), ("test", 1)):
        for i in range(2 * count):
            file = tmp_path / "own" / part / f"class{i % 2}" / f"{i}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (300, 260), (255, 0, 100 * (i % 2))).save(file)
    task = load_photos("own", tmp_path, workers=1)
    assert task.input_shape == (3, 224, 224)
    assert task.train.inputs.shelf.size == 256
    assert len(task.train) == 5 * (8 - len(task.validation))


def test_a_set_that_is_not_there_is_told_of(tmp_path):
    page = "https://www.vision.caltech.edu/datasets/cub_200_2011/"
    refuses(lambda: load_photos("birds", tmp_path, TINY), "'birds'", tmp_path, page, kind=DataMissing)
    refuses(lambda: load_photos("nothing", tmp_path, TINY), "'nothing'", tmp_path / "nothing", kind=DataMissing)


# Whole runs.


SETTINGS = TrainSettings(epochs=2, warmup_epochs=1, batch_size=8, learning_rate=0.02)


def net(input_shape):
    features = nn.Sequential(nn.Conv2d(3, 6, 5, stride=4), nn.ReLU())
    return features, nn.Sequential(nn.Linear(6 * 7 * 7, 12), nn.ReLU(), nn.Dropout(0.2))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """(training, test) of two sets of noisy squares in three classes, 40 by 40 pixels."""
    root, made = tmp_path_factory.mktemp("tinted"), {}
    for seed, name in enumerate(("first", "second")):
        labels = torch.arange(27 + 3 * seed) * 3 // (27 + 3 * seed)
        write_photos(root, name, train=(tinted(labels, 40, seed), labels), test=(tinted(labels, 40, 9 + seed), labels))
        made[name] = stores(root, name, 40)
    return made


def photo_tasks(photos, augment, room=None):
    settings = PhotoSettings(stored=40, size=32, augment=augment, versions=2, held_out=0.2)
    return [photo_task(*two, settings, name, room=room) for name, two in photos.items()]


def as_tensors(task):
    """The same task with its inputs in memory, as any other task's."""
    parts = {name: getattr(task, name) for name in ("train", "validation", "test")}
    plain = {name: Split(split.inputs[:], split.labels) for name, split in parts.items()}
    return Task(task.name, task.classes, **plain, offset=task.offset, scale=task.scale)


def chosen(name):
    return method(name, fisher_samples=9) if name == "ewc" else method(name)


def whole(name, tasks, start=None, net=net):
    recorder = Recorder(log_every=2, samples=5)
    return run_sequence(tasks, chosen(name), net=net, settings=SETTINGS, seed=3, recorder=recorder, start=start)


def assert_same_bits(one, other):
    assert one.net.state_dict().keys() == other.net.state_dict().keys()
    for key, weights in one.net.state_dict().items():
        assert torch.equal(weights, other.net.state_dict()[key]), key
    for rows in ("curve_rows", "accuracy_rows", "memory_rows"):
        # NaN is not equal to itself, but its text is.
        assert json.dumps(getattr(one.recorder, rows)) == json.dumps(getattr(other.recorder, rows))
    kept, others = (run.memory.tensors() if run.memory else {} for run in (one, other))
    assert kept.keys() == others.keys()
    assert all(torch.equal(kept[key], others[key]) for key in kept)


class Double(nn.Module):
    """The first layer of a network in double precision: photographs come as float32."""

    def forward(self, inputs):
        return inputs.double()


def double_net(input_shape):
    features, operator = net(input_shape)
    return nn.Sequential(Double(), features), operator


@pytest.fixture
def double():
    """Double precision for every weight that is made meanwhile."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def assert_close(one, other):
    """The same run up to rounding in double precision."""
    close = {"rtol": 1e-9, "atol": 1e-9, "equal_nan": True}
    torch.testing.assert_close(dict(one.net.state_dict()), dict(other.net.state_dict()), **close)
    for table in ("curves", "accuracy", "kept"):
        pd.testing.assert_frame_equal(getattr(one, table), getattr(other, table), rtol=1e-9, atol=1e-9)
    kept, others = (run.memory.tensors() if run.memory else {} for run in (one, other))
    torch.testing.assert_close(kept, others, **close)


@pytest.mark.parametrize("augment", ["none", "fixed"])
@pytest.mark.parametrize("name", ["lwf", "ebll", "ewc", "joint", "feature-extraction"])
def test_a_run_on_photographs_is_the_run_on_tensors(name, augment, photos, double):
    """Photographs lie channels last in memory and tensors channels first, for which torch has other convolutions."""
    tasks = photo_tasks(photos, augment)
    tensors = [as_tensors(task) for task in tasks]
    assert not any(isinstance(task.train, PhotoSplit) for task in tensors)
    plain, resident = (whole(name, several, net=double_net) for several in (tensors, tasks))
    assert_close(resident, plain)
    assert_same_bits(whole(name, photo_tasks(photos, augment, room=0), net=double_net), resident)
    assert len(plain.recorder.curve_rows) > 10


@pytest.mark.parametrize("name", ["lwf", "ebll", "ewc", "joint", "feature-extraction"])
def test_with_windows_cut_anew_streaming_changes_no_bit(name, photos):
    resident = whole(name, photo_tasks(photos, "random"))
    assert_same_bits(whole(name, photo_tasks(photos, "random", room=0)), resident)
    still = whole(name, photo_tasks(photos, "none"))
    weight = "features.0.0.weight"
    assert not torch.equal(still.net.state_dict()[weight], resident.net.state_dict()[weight])


@pytest.mark.parametrize("steps", [2, 3, 4, 6, 8])  # of 3 of the warm-up and 6 of the training, 3 an epoch
@pytest.mark.parametrize("name", ["lwf", "ebll", "joint"])
def test_a_run_stopped_mid_epoch_goes_on_to_the_same_bits_with_windows_cut_anew(name, steps, photos, tmp_path):
    tasks = photo_tasks(photos, "random")
    assert len(tasks[1].train) == 24
    start = learn_first(tasks, net=net, settings=SETTINGS, seed=3, recorder=Recorder(log_every=2, samples=5))
    options = {"start": start, "settings": SETTINGS, "seed": 3}

    def kept(tasks, **more):
        recorder = Recorder(log_every=2, samples=5)
        return kept_up(
            Checkpoints(tmp_path, {"method": name}), tasks, chosen(name), recorder=recorder, **options, **more
        )

    with pytest.raises(RunStopped):
        kept(tasks, stop_after=steps)
    others = photo_tasks(photos, "random", room=0)  # it may go on on a machine with less memory
    assert_same_bits(kept(others), whole(name, tasks, start))


def test_the_first_task_goes_on_mid_epoch_as_well(photos, tmp_path):
    tasks, options = photo_tasks(photos, "random"), {"net": net, "settings": SETTINGS, "seed": 3}

    def first(**more):
        kept, recorder = Checkpoints(tmp_path, {}), Recorder(log_every=2)
        return kept_up(kept, tasks[:1], "finetune", recorder=recorder, **options, **more)

    with pytest.raises(RunStopped):
        first(stop_after=4)
    again = first()
    plain = learn_first(tasks[:1], recorder=Recorder(log_every=2), **options)
    pairs = zip(again.net.parameters(), plain.net.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    assert again.recorder.curve_rows == plain.recorder.curve_rows


def test_a_photo_task_is_left_as_it_was(photos):
    tasks = photo_tasks(photos, "fixed")
    kept = [(task.train.inputs.shelf.images.clone(), *map(torch.clone, vars(task.train.inputs.windows).values()))
            for task in tasks]  # fmt: skip
    whole("ebll", tasks)
    for task, (images, *windows) in zip(tasks, kept, strict=True):
        assert torch.equal(task.train.inputs.shelf.images, images)
        assert all(map(torch.equal, vars(task.train.inputs.windows).values(), windows))


def test_a_learned_task_is_recognised(photos):
    """Colour tells the classes apart, so that a network whose labels do not belong to its inputs would guess."""
    tasks = photo_tasks(photos, "random")
    run = run_sequence(tasks[:1], "finetune", net=net, settings=SETTINGS.replace(epochs=12), seed=0)
    assert run.accuracy["accuracy"].item() > 0.8
