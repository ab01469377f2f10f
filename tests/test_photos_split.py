"""Photographs as splits: pixels made on demand are a tensor's, and what is recorded belongs to those very pixels."""

import copy
import itertools
import threading

import pytest
import torch
from messages import raises
from photo_rig import coded, decoded, stores, tinted, write_photos
from tiny import method, small, trained
from torch import nn

import ebll
from ebll.data import Split, Task
from ebll.errors import InputError
from ebll.photos import convert as convert_room
from ebll.photos import split as split_room
from ebll.photos.crops import centre_windows, cut, drawn_windows, fixed_windows
from ebll.photos.loading import PhotoSettings, photo_task
from ebll.photos.split import AHEAD, PhotoSplit, Pixels, Resident, Streamed
from ebll.protocol import learn_first, run_sequence
from ebll.recording import Recorder
from ebll.seeds import generator
from ebll.training import TrainSettings, batches_of

pytestmark = pytest.mark.paper

STORED, SIZE, COUNT = 12, 8, 15
BYTES = ((0.0,) * 3, (1 / 255,) * 3)  # mean and deviation that leave the bytes as they are
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
KINDS = ("resident", "streamed")


def coded_store(root):
    part = coded(range(COUNT), STORED), torch.arange(COUNT) * 3 // COUNT
    write_photos(root, "coded", train=part, test=part)
    return stores(root, "coded", STORED)[0]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """15 coded squares in three shards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convert_room, "ROWS", 6)
        store = coded_store(tmp_path_factory.mktemp("photos"))
    assert torch.equal(store.whole(), coded(range(COUNT), STORED))
    assert len(store.shards) == 3
    return store


def shelf_of(kind, store):
    return Resident(store.whole()) if kind == "resident" else Streamed(store)


def pixels_of(shelf, rows, seed=0, mean=MEAN, deviation=DEVIATION):
    rows = torch.as_tensor(rows)
    windows = drawn_windows(len(rows), STORED, SIZE, torch.Generator().manual_seed(seed))
    return Pixels(shelf, rows, windows, SIZE, mean, deviation)


ROWS = [14, 3, 3, 0, 7, 12, 1, 9, 3, 5, 14, 2, 8]  # in no order, and some again


@pytest.fixture(params=KINDS)
def pair(request, store, monkeypatch):
    """Pixels, and the tensor that they stand for; portions are small, so that there are several."""
    monkeypatch.setattr(split_room, "PORTION", 4)
    made = pixels_of(shelf_of(request.param, store), ROWS)
    return made, cut(coded(ROWS, STORED), made.windows, SIZE, MEAN, DEVIATION)


# Pixels are the tensor that they stand for.


INDICES = [
    *(0, 7, -1, slice(None), slice(2, 11), slice(None, None, 3), slice(-3, None), slice(5, 5)),
    *(torch.tensor([4, 0, 12, 4, 4, -1]), torch.tensor(3), torch.tensor([], dtype=torch.int64), [2, 9]),
    *(torch.arange(13) % 3 == 0, torch.zeros(13, dtype=torch.bool), torch.tensor([[1, 2], [0, 12], [5, 5]])),
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_indexing_gives_what_indexing_the_tensor_gives(pair, index):
    pixels, tensor = pair
    assert torch.equal(pixels[index], tensor[index])
    assert pixels[index].shape == tensor[index].shape
    assert pixels[index].dtype == torch.float32


@pytest.mark.parametrize("index", [13, -14, torch.tensor([0, 13])])
def test_an_entry_that_is_not_there_is_an_index_error(pair, index):
    for of in pair:
        with pytest.raises(IndexError):
            of[index]


def test_shape_length_type_and_place_are_the_tensors(pair):
    pixels, tensor = pair
    for name in ("shape", "ndim", "dtype", "device"):
        assert getattr(pixels, name) == getattr(tensor, name)
    assert len(pixels) == len(tensor)


@pytest.mark.parametrize("size", [1, 3, 4, 13, 50])
def test_split_gives_the_tensors_portions_or_smaller_ones_where_they_are_large(pair, size):
    pixels, tensor = pair
    found, expected = list(pixels.split(size)), tensor.split(min(size, 4))
    assert [len(part) for part in found] == [len(part) for part in expected]
    assert torch.equal(torch.cat(found), tensor)
    assert all(part.is_contiguous(memory_format=torch.channels_last) for part in found)


def test_iterating_gives_one_entry_after_the_other(pair):
    pixels, tensor = pair
    found = list(pixels)
    assert [entry.shape for entry in found] == [(3, SIZE, SIZE)] * 13
    assert torch.equal(torch.stack(found), tensor)


def test_rows_are_taken_with_their_windows_and_taken_again(pair):
    pixels, tensor = pair
    for rows in (torch.tensor([12, 0, 5, 5]), torch.arange(13) % 2 == 0):
        taken = pixels.take(rows)
        assert torch.equal(taken[:], tensor[rows])
        assert torch.equal(taken.take(torch.tensor([1, 0]))[:], tensor[rows][[1, 0]])


def test_batches_of_rows_are_cut_from_their_own_windows_or_from_those_given(pair):
    pixels, tensor = pair
    rows = torch.tensor([9, 1, 2, 2, 12, 0, 4])
    found = list(pixels.batches(rows, 3))
    assert [len(part) for part in found] == [3, 3, 1]
    assert torch.equal(torch.cat(found), tensor[rows])
    others = drawn_windows(13, STORED, SIZE, torch.Generator().manual_seed(99))
    again = torch.cat(list(pixels.batches(rows, 3, others)))
    assert torch.equal(again, cut(coded(ROWS, STORED), others, SIZE, MEAN, DEVIATION)[rows])
    assert not torch.equal(again, tensor[rows])


def test_pixels_without_entries_are_an_empty_tensor(pair):
    nothing = pair[0].take(torch.tensor([], dtype=torch.int64))
    assert nothing[:].shape == nothing.shape == (0, 3, SIZE, SIZE)
    assert list(nothing) == list(nothing.split(3)) == []


def test_moving_to_where_they_are_changes_nothing(pair):
    assert torch.equal(pair[0].to("cpu")[:], pair[1])


def test_the_ends_of_the_scale_are_what_black_and_white_give():
    images = torch.stack([torch.zeros(4, 4, 3), torch.full((4, 4, 3), 255)]).to(torch.uint8)
    pixels = Pixels(Resident(images), torch.tensor([0, 1]), centre_windows(2, 4, 4), 4, MEAN, DEVIATION)
    torch.testing.assert_close(pixels.min(), pixels[:].min(), rtol=0, atol=1e-6)
    torch.testing.assert_close(pixels.max(), pixels[:].max(), rtol=0, atol=1e-6)


def test_the_splits_of_a_task_share_their_images_wherever_they_go(store):
    shelf = shelf_of("resident", store)
    one, other = pixels_of(shelf, [0, 1]), pixels_of(shelf, [2])
    assert one.to("cpu").shelf is shelf
    moved = one.to("meta")
    assert moved.shelf is other.to("meta").shelf
    assert {part.device.type for part in (moved, moved.rows, moved.windows.top, moved.windows.flip)} == {"meta"}


@pytest.mark.parametrize(
    ("images", "came"),
    [
        (torch.zeros(2, 4, 4, 3), "torch.float32 (2, 4, 4, 3)"),
        (torch.zeros(2, 4, 5, 3, dtype=torch.uint8), "torch.uint8 (2, 4, 5, 3)"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "torch.uint8 (2, 3, 4, 4)"),
        (torch.zeros(4, 4, 3, dtype=torch.uint8), "torch.uint8 (4, 4, 3)"),
    ],
)
def test_what_is_no_store_of_images_is_refused(images, came):
    with raises(InputError, "uint8 (n, size, size, 3)", f"got {came}"):
        Resident(images)


# Reading from disk.


class Watched:
    """A store that remembers which rows were read, and in which thread."""

    def __init__(self, store):
        self.store, self.size, self.asked, self.threads = store, store.size, [], set()

    def read(self, rows):
        self.asked.append(rows.tolist())
        self.threads.add(threading.get_ident())
        return self.store.read(rows)


def test_a_thread_of_its_own_reads_a_few_batches_ahead_and_none_is_left(store):
    watched, before = Watched(store), threading.enumerate()
    several = [torch.tensor([i, 14 - i]) for i in range(10)]
    reading = Streamed(watched).read(several)
    first = next(reading)
    assert torch.equal(first, coded([0, 14], STORED))
    reading.close()  # waits for what was under way
    assert watched.asked == [[i, 14 - i] for i in range(AHEAD + 1)]
    assert len(watched.threads) == 1
    assert threading.get_ident() not in watched.threads
    assert threading.enumerate() == before
    assert [part.tolist() for part in Streamed(store).read(several)] == [
        coded(rows, STORED).tolist() for rows in several
    ]
    assert threading.enumerate() == before


@pytest.mark.parametrize("several", [0, 1, AHEAD, AHEAD + 1, AHEAD + 2])
def test_few_batches_come_as_well_as_many(several, store):
    asked = [torch.tensor([i]) for i in range(several)]
    assert [part[0, 0, 0, 2].item() for part in Streamed(store).read(asked)] == list(range(several))


@pytest.fixture
def spoilt(tmp_path, monkeypatch):
    """(a store whose last shard is gone, the file of that shard)."""
    monkeypatch.setattr(convert_room, "ROWS", 6)
    store = coded_store(tmp_path)
    file = store.folder / store.shards[2].file
    file.unlink()
    return store, file


def test_an_error_in_reading_reaches_the_caller_and_leaves_no_thread(spoilt):
    store, file = spoilt
    before, pixels = threading.enumerate(), pixels_of(Streamed(store), range(COUNT), mean=BYTES[0], deviation=BYTES[1])
    came = []
    with raises(InputError, file, "No such file or directory"):
        came.extend(pixels.batches(torch.arange(COUNT), 2))
    assert threading.enumerate() == before
    assert torch.equal(decoded(pixels[:12])[0], torch.arange(12))  # what is there can be had still
    with raises(InputError, file, "No such file or directory"):
        pixels[12]
    assert threading.enumerate() == before


def test_an_error_in_reading_ends_a_training(spoilt):
    store, file = spoilt
    before, net = threading.enumerate(), ebll.build_network(small, (3, SIZE, SIZE))
    net.add_head(3)
    split = PhotoSplit(pixels_of(Streamed(store), range(COUNT)), store.labels)
    task = Task("spoilt", store.classes, split, split, split)
    with raises(InputError, file, "No such file or directory"):
        trained(net, method("finetune"), 0, {0: task}, settings=TrainSettings(epochs=1, batch_size=4))
    assert threading.enumerate() == before


@pytest.mark.parametrize("end", ["close", "drop"])
def test_a_training_that_ends_early_leaves_no_thread(end, store):
    before = threading.enumerate()
    stream = stream_of(photo_split("random", "streamed", store), 2)
    next(stream)
    assert threading.enumerate() != before
    if end == "close":
        stream.close()
    else:
        del stream
    assert threading.enumerate() == before


# Epochs.


def photo_split(augment, kind, store):
    """13 of the images as a training split, in bytes; "fixed" has three versions of each."""
    versions = 3 if augment == "fixed" else 1
    rows = torch.arange(13).repeat_interleave(versions)
    windows = fixed_windows(13, versions, STORED, SIZE, torch.Generator().manual_seed(8))
    return PhotoSplit(
        Pixels(shelf_of(kind, store), rows, windows, SIZE, *BYTES), store.labels[rows], augment == "random"
    )


def stream_of(split, batch_size, targets=None, skip=0, seed=4):
    task = Task("photos", ("a", "b", "c"), split, split, split)
    return batches_of(task, 1, targets, batch_size, generator(seed, "x"), skip)


def tensor_split(store):
    return Split(photo_split("fixed", "resident", store).inputs[:], store.labels[torch.arange(39) // 3])


@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_shows_every_image_once_with_its_label_and_the_next_cuts_it_anew(kind, store):
    stream, seen = stream_of(photo_split("random", kind, store), 5), []
    for _ in range(3):
        batches = [next(stream) for _ in range(3)]
        assert [len(batch.labels) for batch in batches] == [5, 5, 3]
        inputs, labels = (torch.cat([getattr(batch, name) for batch in batches]) for name in ("inputs", "labels"))
        numbers, windows = decoded(inputs)
        assert sorted(numbers.tolist()) == list(range(13))
        assert torch.equal(labels, store.labels[numbers])
        assert torch.equal(inputs, cut(coded(numbers, STORED), windows, SIZE, *BYTES))
        seen.append(torch.stack([*vars(windows).values()])[:, numbers.argsort()])
        assert windows.top.max() <= STORED - SIZE
    same = [(one == other).all(dim=0).sum() for one, other in itertools.combinations(seen, 2)]
    assert max(same) <= 3  # of 13 images, each with one window in 50


@pytest.mark.parametrize("kind", KINDS)
def test_the_fixed_windows_are_the_same_in_every_epoch(kind, store):
    split = photo_split("fixed", kind, store)
    stream, epochs = stream_of(split, 16), []
    for _ in range(2):
        numbers, windows = decoded(torch.cat([next(stream).inputs for _ in range(3)]))
        assert torch.bincount(numbers).tolist() == [3] * 13
        epochs.append(sorted(zip(numbers.tolist(), *(part.tolist() for part in vars(windows).values()), strict=True)))
    kept = split.inputs.windows
    assert (
        epochs[0]
        == epochs[1]
        == sorted(zip(split.inputs.rows.tolist(), *(part.tolist() for part in vars(kept).values()), strict=True))
    )


def sources(store):
    yield "tensors", tensor_split(store)
    for augment, kind in itertools.product(("fixed", "random"), KINDS):
        yield f"{augment} {kind}", photo_split(augment, kind, store)


@pytest.mark.parametrize("name", ["tensors", *(f"{a} {k}" for a in ("fixed", "random") for k in KINDS)])
@pytest.mark.parametrize("recording", ["nothing", "rows", "teacher"])
def test_batches_left_out_at_the_beginning_leave_those_that_follow(name, recording, store):
    split = dict(sources(store))[name]
    targets = {
        "nothing": None,
        "rows": {"row": torch.arange(len(split)), "twice": 2.0 * torch.arange(len(split))},
        "teacher": lambda inputs: {"mean": inputs.mean(dim=(1, 2, 3))},
    }[recording]
    size = len(split) * 4 // 13  # an epoch is three full batches and a rest
    whole = list(itertools.islice(stream_of(split, size, targets), 14))
    assert [len(batch.labels) for batch in whole[:8]] == 2 * [size, size, size, len(split) - 3 * size]
    for skip in (0, 1, 3, 4, 5, 8, 11):
        rest = itertools.islice(stream_of(split, size, targets, skip), 14 - skip)
        for expected, found in zip(whole[skip:], rest, strict=True):
            assert torch.equal(found.inputs, expected.inputs)
            assert torch.equal(found.labels, expected.labels)
            assert found.targets.keys() == expected.targets.keys()
            assert all(torch.equal(found.targets[key], expected.targets[key]) for key in expected.targets)


@pytest.mark.parametrize("augment", ["fixed", "random"])
def test_streamed_batches_are_the_resident_ones_to_the_last_bit(augment, store):
    streams = [stream_of(photo_split(augment, kind, store), 4) for kind in KINDS]
    for one, other in itertools.islice(zip(*streams, strict=True), 25):
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.labels, other.labels)


def test_a_photo_split_says_what_it_is_and_takes_rows(store):
    split = photo_split("random", "resident", store)
    assert repr(split) == "PhotoSplit(13 x 3 x 8 x 8, cut anew)"
    assert repr(photo_split("fixed", "resident", store)) == "PhotoSplit(39 x 3 x 8 x 8)"
    rows = torch.tensor([12, 0, 7])
    taken = split.take(rows).to("cpu")
    assert taken.changing
    assert torch.equal(decoded(taken.inputs[:])[0], rows)
    assert torch.equal(taken.labels, store.labels[rows])
    assert len(taken.versions(generator(0, "x"))) == 3
    assert not photo_split("fixed", "resident", store).changing
    assert photo_split("fixed", "resident", store).versions(generator(0, "x")) is None


# What is recorded belongs to the very pixels in the batch.


def net(input_shape):
    features = nn.Sequential(nn.Conv2d(3, 6, 5, stride=3), nn.ReLU())
    return features, nn.Sequential(nn.Linear(6 * 4 * 4, 10), nn.ReLU())


SETTINGS = TrainSettings(epochs=3, warmup_epochs=1, batch_size=8, learning_rate=0.02)


@pytest.fixture(scope="module")
def photo_stores(tmp_path_factory):
    """(training, test) of two sets of noisy squares, 24 by 24 pixels."""
    root, made = tmp_path_factory.mktemp("tinted"), []
    for seed, name in enumerate(("first", "second")):
        labels = torch.arange(18) // 6
        write_photos(root, name, train=(tinted(labels, 24, seed), labels), test=(tinted(labels, 24, 9 + seed), labels))
        made.append(stores(root, name, 24))
    return made


def photo_tasks(photo_stores, augment, room=None):
    settings = PhotoSettings(stored=24, size=16, augment=augment, versions=3, held_out=0.2)
    names = ("first", "second")
    return [photo_task(*two, settings, name, room=room) for two, name in zip(photo_stores, names, strict=True)]


def answers_of(name, before, encoder, inputs):
    """What a method holds a batch to, worked out here from the network of before the task."""
    with torch.no_grad():
        features = before.features(inputs)
        known = {
            "soft_targets": torch.softmax(before.heads[0](before.operator(features)) / 2, dim=1),
            "hidden": before.operator(features),
        }
        if encoder is not None:
            known["codes"] = torch.sigmoid(features @ encoder.weight.T + encoder.bias)
    wanted = {"lwf": ["soft_targets"], "ebll": ["soft_targets", "codes"], "feature-extraction": ["hidden"]}
    return {key: known[key] for key in wanted[name]}


@pytest.mark.parametrize("augment", ["fixed", "random"])
@pytest.mark.parametrize("name", ["lwf", "ebll", "feature-extraction"])
def test_targets_belong_to_the_very_pixels_in_the_batch(name, augment, photo_stores, monkeypatch):
    tasks = photo_tasks(photo_stores, augment)
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
    # A target recorded of the central window would have been found out, but for the central windows themselves.
    missed = (torch.cat(apart) < 1e-3).double().mean()
    assert missed < (0.4 if augment == "fixed" else 0.1)
    if name != "feature-extraction":  # whose features stand still
        batch, _, now = seen[-1]
        assert all((now[key] - batch.targets[key]).abs().max() > 1e-3 for key in now)
