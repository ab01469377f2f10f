"""Photo sets are found in their published layouts, checked against what is published, and refused otherwise."""

import os
import pickle
import re
import tarfile
import urllib.error

import numpy as np
import pytest
import scipy.io
import torch
import torchvision
from messages import raises, review
from PIL import Image
from tiny_photos import NAMES, WNIDS, WRITERS, colour, counts, write_folder, write_photo, write_scenes

from ebll.errors import DataMissing, InputError
from ebll.photos import PHOTO_SETS, find_photos, photos_table

pytestmark = pytest.mark.paper

each_set = pytest.mark.parametrize("name", WRITERS)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Write a tiny set under `tmp_path`, whose numbers count as published; returns its folder."""

    def written(name, **options):
        counts(monkeypatch, name, WRITERS[name](tmp_path, **options))
        return PHOTO_SETS[name].look(tmp_path)[0]

    return written


def refuses(name, root, *named, kind=InputError, **options):
    with raises(kind, *named):
        find_photos(name, root, **options)


def edit(file, change):
    file.write_text(change(file.read_text()))


def resave(file, **changes):
    scipy.io.savemat(file, {k: v for k, v in scipy.io.loadmat(file).items() if k[0] != "_"} | changes)


def pairs(part):
    return set(zip(part.paths, part.labels, strict=True))


# --- what is published


def test_the_published_numbers():
    numbers = {name: (info.classes, info.train, info.test) for name, info in PHOTO_SETS.items()}
    assert numbers == {
        "flowers": (102, 2040, 6149),
        "scenes": (67, 5360, 1340),
        "birds": (200, 5994, 5794),
        "imagenet": (1000, 1281167, 50000),
    }


# --- the layouts


@each_set
def test_every_layout_is_found_with_the_class_that_each_image_shows(tiny, tmp_path, name):
    base = tiny(name)
    listing = find_photos(name, tmp_path)
    assert (listing.name, listing.base, len(listing.classes)) == (name, base, 3)
    assert (listing.source, listing.licence) == (PHOTO_SETS[name].source, PHOTO_SETS[name].licence)
    assert (len(listing.train.paths), len(listing.test.paths)) == (12, 6)
    assert not set(listing.train.paths) & set(listing.test.paths)
    for part in (listing.train, listing.test):
        assert part == listing.part("train" if part is listing.train else "test")
        for path, label in zip(part.paths, part.labels, strict=True):
            mean = np.asarray(Image.open(base / path)).mean(axis=(0, 1))
            assert min(range(3), key=lambda c: abs(mean - colour(c)).sum()) == label, path


def test_flowers_are_torchvisions(tiny, tmp_path, monkeypatch):
    base = tiny("flowers")
    monkeypatch.setattr(
        torchvision.datasets.Flowers102, "_check_integrity", lambda self: True
    )  # the hashes of the real ones
    theirs = {s: torchvision.datasets.Flowers102(tmp_path, s) for s in ("train", "val", "test")}
    listing = find_photos("flowers", tmp_path)

    def as_pairs(*splits):
        return [
            (f.relative_to(base).as_posix(), label)
            for s in splits
            for f, label in zip(theirs[s]._image_files, theirs[s]._labels, strict=True)
        ]

    assert list(zip(*listing.train, strict=True)) == as_pairs("train", "val")
    assert list(zip(*listing.test, strict=True)) == as_pairs("test")
    assert listing.classes == ("pink primrose", "hard-leaved pocket orchid", "canterbury bells")


def test_birds_by_hand(tiny, tmp_path):
    base = tiny("birds", classes=2, train=1, test=1)
    # Numbers in another order and with a gap: only the numbers tie the files together.
    (base / "classes.txt").write_text("7 007.Long_tailed_Tit\n3 003.Wren\n")
    (base / "images.txt").write_text("9 002.Tiny_bird_1/bird_0000.jpg\n4 001.Tiny_bird_0/bird_0000.jpg\n")
    edit(base / "images.txt", lambda t: t + "5 001.Tiny_bird_0/bird_0001.jpg\n6 002.Tiny_bird_1/bird_0001.jpg\n")
    (base / "image_class_labels.txt").write_text("4 7\n5 7\n6 3\n9 3\n")
    (base / "train_test_split.txt").write_text("4 1\n5 0\n6 0\n9 1\n")
    listing = find_photos("birds", tmp_path)
    assert listing.classes == ("Wren", "Long tailed Tit")
    assert listing.train == (("images/002.Tiny_bird_1/bird_0000.jpg", "images/001.Tiny_bird_0/bird_0000.jpg"), (0, 1))
    assert listing.test == (("images/001.Tiny_bird_0/bird_0001.jpg", "images/002.Tiny_bird_1/bird_0001.jpg"), (1, 0))


@pytest.mark.parametrize("folder", ["indoorCVPR_09", "scenes"])
def test_scenes_may_lie_in_folders_of_other_names_and_lists_may_come_from_windows(tiny, tmp_path, folder):
    tiny("scenes", folder=folder)
    edit(tmp_path / folder / "TestImages.txt", lambda t: t.replace("bar/", "bar\\"))
    listing = find_photos("scenes", tmp_path)
    assert listing.classes == ("airport_inside", "bar", "winecellar")
    assert listing.test.paths[2] == "Images/bar/view 4.jpg"


def test_a_mark_of_the_byte_order_is_no_part_of_a_name(tiny, tmp_path):
    base = tiny("scenes")
    edit(base / "TrainImages.txt", lambda t: "\ufeff" + t)
    assert find_photos("scenes", tmp_path).classes == ("airport_inside", "bar", "winecellar")


def test_imagenet_is_torchvisions(tiny, tmp_path):
    base = tiny("imagenet", classes=4)
    (base / "train" / WNIDS[0] / "notes.txt").write_text("no image")
    listing = find_photos("imagenet", tmp_path)
    for part, split in ((listing.train, "train"), (listing.test, "val")):
        theirs = torchvision.datasets.ImageNet(base, split)
        assert [(str(base / path), label) for path, label in zip(*part, strict=True)] == theirs.imgs
        assert [names[0] for names in theirs.classes] == [c.split(" (")[0] for c in listing.classes]
    assert listing.classes == ("tench", "crane (n02012849)", "crane (n03126707)", "wool")


def test_imagenet_without_names_is_called_by_its_folders(tiny, tmp_path):
    tiny("imagenet", meta=False)
    assert find_photos("imagenet", tmp_path).classes == WNIDS[:3]


def test_imagenet_takes_its_names_from_the_devkit_and_writes_nothing(tiny, tmp_path, monkeypatch):
    base = tiny("imagenet", meta=False)
    data = tmp_path / "ILSVRC2012_devkit_t12" / "data"
    data.mkdir(parents=True)
    rows = [(i + 1, w, ", ".join(n), "gloss", 0) for i, (w, n) in enumerate(zip(WNIDS, NAMES, strict=True))]
    kinds = [
        ("ILSVRC2012_ID", object),
        ("WNID", object),
        ("words", object),
        ("gloss", object),
        ("num_children", object),
    ]
    scipy.io.savemat(data / "meta.mat", {"synsets": np.array([*rows, (9, "n0", "inner", "gloss", 2)], dtype=kinds)})
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n2\n")
    archive = base / "ILSVRC2012_devkit_t12.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(data.parent, arcname="ILSVRC2012_devkit_t12")
    with pytest.raises(InputError, match=r"meta\.bin.*ILSVRC2012_devkit_t12\.tar\.gz"):  # then torchvision's words
        find_photos("imagenet", tmp_path)
    md5 = torchvision.datasets.utils.calculate_md5(archive)
    monkeypatch.setitem(torchvision.datasets.imagenet.ARCHIVE_META, "devkit", (archive.name, md5))
    assert find_photos("imagenet", tmp_path).classes == ("tench", "crane (n02012849)", "crane (n03126707)")
    assert not (base / "meta.bin").exists()


def test_a_folder_of_ones_own_with_two_parts(tmp_path):
    write_folder(tmp_path, "mushrooms")
    write_photo(tmp_path / "mushrooms/train/.hidden/0.jpg", 0, 0)
    for name in ("mushrooms", tmp_path / "mushrooms", str(tmp_path / "mushrooms")):
        listing = find_photos(name, tmp_path)
        assert (listing.name, listing.classes) == ("mushrooms", ("kind 0", "kind 1", "kind 2"))
        assert pairs(listing.train) == {(f"train/kind {c}/{i}.jpg", c) for c in range(3) for i in range(4)}
        assert pairs(listing.test) == {(f"test/kind {c}/{i}.jpg", c) for c in range(3) for i in (4, 5)}
    for c in range(3):
        write_photo(tmp_path / f"mushrooms/validation/kind {c}/9.jpg", c, 9)
    more = find_photos("mushrooms", tmp_path)
    assert pairs(more.train) == pairs(listing.train) | {(f"validation/kind {c}/9.jpg", c) for c in range(3)}
    assert more.test == listing.test


def test_class_folders_alone_are_divided_by_a_seeded_choice(tmp_path):
    write_folder(tmp_path, parts=False, train=7, test=3)
    one, same, other = (find_photos("own", tmp_path, test_fraction=0.3, seed=s) for s in (0, 0, 1))
    assert one == same
    assert one.test != other.test
    everything = {(f"kind {c}/{i}.jpg", c) for c in range(3) for i in range(10)}
    assert pairs(one.train) | pairs(one.test) == everything
    assert [one.test.labels.count(c) for c in range(3)] == [3, 3, 3]
    assert [one.train.labels.count(c) for c in range(3)] == [7, 7, 7]


def test_a_listing_is_printed_short_and_has_two_parts(tiny, tmp_path):
    base = tiny("birds")
    listing = find_photos("birds", tmp_path)
    assert repr(listing) == f"Listing('birds', 3 classes, 12 train and 6 test images in {base})"
    with raises(InputError, "part", "'val'"):
        listing.part("val")
    assert pickle.loads(pickle.dumps(listing)) == listing


# --- what is missing


@each_set
def test_a_set_that_is_not_there_is_answered_with_its_page_and_its_layout(tmp_path, name):
    info = PHOTO_SETS[name]
    by_itself = ["download=True (--download)"] if name == "flowers" else []
    named = f"'{name}'", info.label, tmp_path, f"{tmp_path / info.folders[0]}/", info.source, "--root DIR", info.layout
    refuses(name, tmp_path, *named, *by_itself, kind=DataMissing)


@each_set
def test_a_missing_file_of_the_layout_is_named(tiny, tmp_path, name):
    base = tiny(name)
    for need in PHOTO_SETS[name].needs:
        (base / need).rename(base / "away")
        refuses(name, tmp_path, f"{base}/{need} missing", kind=DataMissing)
        (base / "away").rename(base / need)
    find_photos(name, tmp_path)


def test_a_name_that_is_no_set_and_no_folder(tmp_path):
    named = "'flower'", "flowers, scenes, birds, imagenet", "did you mean 'flowers'", f"{tmp_path}/flower", "--root DIR"
    refuses("flower", tmp_path, *named, kind=DataMissing)
    refuses("", tmp_path, kind=DataMissing)


def test_flowers_are_fetched_when_asked(tmp_path, monkeypatch):
    asked = []
    counts(monkeypatch, "flowers", (3, 12, 6))

    class Theirs:
        classes = ("a", "b", "c")

        def __init__(self, root, download):
            asked.append((root, download))
            WRITERS["flowers"](tmp_path)

    monkeypatch.setattr(torchvision.datasets, "Flowers102", Theirs)
    for _ in range(2):
        assert len(find_photos("flowers", tmp_path, download=True).train.paths) == 12
    assert asked == [(str(tmp_path), True)]


@pytest.mark.parametrize("error", [urllib.error.URLError("no route"), RuntimeError("File not found or corrupted.")])
def test_a_download_that_fails_is_told_in_words(tmp_path, monkeypatch, error):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(torchvision.datasets.flowers102, "download_and_extract_archive", fails)
    refuses("flowers", tmp_path, "Flowers-102", tmp_path, error, kind=DataMissing, download=True)
    # Of the others there is none.
    refuses("birds", tmp_path, PHOTO_SETS["birds"].source, kind=DataMissing, download=True)


# --- numbers


@each_set
def test_fewer_images_than_published_need_a_word(tiny, tmp_path, monkeypatch, name):
    base = tiny(name)
    counts(monkeypatch, name, (3, 13, 6))
    wanted, came = "3 classes, 13 training images, 6 test images", "3 classes, 12 training images, 6 test images"
    source, way = PHOTO_SETS[name].source, "incomplete=True (--incomplete)"
    refuses(name, tmp_path, f"'{name}'", base, f"wanted {wanted}", f"came {came}", source, way)
    assert len(find_photos(name, tmp_path, incomplete=True).train.paths) == 12


@pytest.mark.parametrize("name", ["birds", "scenes", "imagenet"])
def test_fewer_classes_than_published_need_a_word(tiny, tmp_path, monkeypatch, name):
    tiny(name)
    counts(monkeypatch, name, (4, 12, 6))
    refuses(name, tmp_path, "wanted 4 classes, 12 training images, 6 test images", "came 3 classes, 12 training images")
    assert len(find_photos(name, tmp_path, incomplete=True).classes) == 3


@each_set
@pytest.mark.parametrize("numbers", [(3, 11, 6), (3, 12, 5)])
def test_more_images_than_published_are_refused_in_any_case(tiny, tmp_path, monkeypatch, name, numbers):
    tiny(name)
    counts(monkeypatch, name, numbers)
    for incomplete in (False, True):
        refuses(name, tmp_path, "wanted 3 classes", "more", incomplete=incomplete)


def test_a_part_without_images_is_refused_in_any_case(tiny, tmp_path):
    base = tiny("scenes")
    (base / "TestImages.txt").write_text("\n")
    refuses("scenes", tmp_path, "came 3 classes, 12 training images, 0 test images", incomplete=True)


@pytest.mark.parametrize("name", ["flowers", "birds", "scenes"])
def test_images_that_are_named_and_not_there_are_refused_in_any_case(tiny, tmp_path, name):
    base = tiny(name)
    paths = find_photos(name, tmp_path).train.paths
    (base / paths[3]).unlink()
    file = {"flowers": "setid.mat", "birds": "images.txt", "scenes": "TrainImages.txt"}[name]
    refuses(name, tmp_path, base, "1 image", file, "not there", paths[3], incomplete=True)
    for path in paths:
        (base / path).unlink(missing_ok=True)
    refuses(name, tmp_path, base, "12 images", file, "not there", "7 more", incomplete=True)


# --- split files that cannot be used


@pytest.mark.parametrize("file", ["imagelabels.mat", "setid.mat"])
@pytest.mark.parametrize("damage", ["text", "empty", "cut"])
def test_a_mat_file_that_is_none_is_named(tiny, tmp_path, file, damage):
    base = tiny("flowers")
    data = (base / file).read_bytes()
    (base / file).write_bytes({"text": b"<html>not found</html>" * 20, "empty": b"", "cut": data[:150]}[damage])
    with pytest.raises(InputError, match=rf"^{re.escape(str(base / file))} cannot be read.*\.mat"):  # SciPy's words
        find_photos("flowers", tmp_path, incomplete=True)


def test_numbers_of_flowers_that_are_out_of_range_are_named(tiny, tmp_path):
    base = tiny("flowers")
    good = {file: (base / file).read_bytes() for file in ("imagelabels.mat", "setid.mat")}
    for file, changes, named in [
        ("setid.mat", {"valid": [3, 19]}, ["'valid'", "1..18", "18 labels", "got 19"]),
        ("setid.mat", {"tstid": [0, 1]}, ["'tstid'", "1..18", "18 labels", "got 0"]),
        ("setid.mat", {"trnid": [1.5]}, ["'trnid'", "got float64, 1"]),
        ("setid.mat", {"trnid": "abc"}, ["'trnid'", "got <U3, 1"]),
        ("setid.mat", {"trnid": []}, ["'trnid'", "got float64, 0"]),
        ("imagelabels.mat", {"labels": [1, 4]}, ["'labels'", "1..3", "3 classes", "got 4"]),
    ]:
        resave(base / file, **changes)
        refuses("flowers", tmp_path, base / file, *named, "--download", incomplete=True)
        (base / file).write_bytes(good[file])
    scipy.io.savemat(base / "setid.mat", {"trnid": [1]})
    refuses("flowers", tmp_path, base / "setid.mat", "'valid'", "--download")


@pytest.mark.parametrize(
    ("file", "line", "named"),
    [
        ("classes.txt", "Wren", ["'Wren'"]),
        ("images.txt", "7", ["'7'"]),
        ("images.txt", "2 ../../x.jpg", ["'../../x.jpg'", "images/"]),
        ("images.txt", "1 a/b.jpg", ["number 1", "line 1"]),
        ("image_class_labels.txt", "2 4", ["classes.txt", "'4'"]),
        ("image_class_labels.txt", "2 Wren", ["classes.txt", "'Wren'"]),
        ("train_test_split.txt", "2 2", ["0 (test)", "1 (train)", "'2'"]),
        ("train_test_split.txt", "99 1", ["image 99", "images.txt"]),
    ],
)
def test_a_line_of_the_birds_that_cannot_be_used_is_named(tiny, tmp_path, file, line, named):
    base = tiny("birds")
    lines = (base / file).read_text().splitlines()
    (base / file).write_text("\n".join([lines[0], line, *lines[2:]]))
    refuses("birds", tmp_path, f"{base / file}, line 2", *named, incomplete=True)


def test_a_bird_without_a_label_is_named(tiny, tmp_path):
    base = tiny("birds")
    edit(base / "image_class_labels.txt", lambda t: t.replace("5 1\n", "", 1))
    refuses("birds", tmp_path, base / "image_class_labels.txt", "image 5")


@pytest.mark.parametrize("line", ["bar", "bar/", "/x.jpg", "a/bar/x.jpg", "../x.jpg", "bar\\..", "12"])
def test_a_line_of_the_scenes_that_cannot_be_used_is_named(tiny, tmp_path, line):
    base = tiny("scenes")
    edit(base / "TestImages.txt", lambda t: f"\n{line}\n{t}")
    refuses(
        "scenes", tmp_path, f"{base / 'TestImages.txt'}, line 2", "class/file.jpg", f"got {line!r}", incomplete=True
    )


def test_a_scene_of_a_class_without_training_images_is_named(tiny, tmp_path):
    base = tiny("scenes")
    edit(base / "TestImages.txt", lambda t: f"{t}\nzoo/view 1.jpg")
    refuses("scenes", tmp_path, "class 'zoo'", "TrainImages.txt", incomplete=True)


def test_a_list_that_is_no_text_is_named(tiny, tmp_path):
    base = tiny("scenes")
    (base / "TrainImages.txt").write_bytes(b"\xff\xfe\x00bar")
    refuses("scenes", tmp_path, base / "TrainImages.txt", "text")


def test_an_image_in_both_parts_is_refused_in_any_case(tiny, tmp_path):
    def refused(name, *named):
        refuses(name, tmp_path, *named, incomplete=True)

    base = tiny("flowers")
    splits = scipy.io.loadmat(base / "setid.mat", squeeze_me=True)
    shared = int(splits["tstid"][0])
    path = f"jpg/image_{shared:05d}.jpg"
    resave(base / "setid.mat", valid=[*splits["valid"], shared])
    refused("flowers", base, "1 image", "train and test", path)
    resave(base / "setid.mat", trnid=[*splits["trnid"], int(splits["valid"][0])], valid=splits["valid"])
    refused("flowers", "1 image", "trnid and valid")

    base = tiny("birds")
    edit(base / "images.txt", lambda t: t.replace("bird_0005", "bird_0003"))
    refused("birds", base, "3 images", "train and test", "images/001.Tiny_bird_0/bird_0003.jpg")

    base = tiny("scenes")
    edit(base / "TestImages.txt", lambda t: f"bar/view 0.jpg\n{t}")
    refused("scenes", base, "1 image", "train and test", "Images/bar/view 0.jpg")

    base = tiny("imagenet")
    write_photo(base / f"val/{WNIDS[1]}/{WNIDS[1]}_0.JPEG", 1, 0)
    refused("imagenet", base, "1 image", "train and test", f"{WNIDS[1]}/{WNIDS[1]}_0.JPEG")

    write_folder(tmp_path)
    (tmp_path / "own/test/kind 1/5.jpg").unlink()
    (tmp_path / "own/test/kind 1/5.jpg").symlink_to(tmp_path / "own/train/kind 0/0.jpg")
    refuses("own", tmp_path, tmp_path / "own/test/kind 1/5.jpg", "same file", tmp_path / "own/train/kind 0/0.jpg")


def test_an_image_that_is_named_twice_in_one_part_is_refused_with_its_file(tiny, tmp_path):
    def refused(name, *named):
        refuses(name, tmp_path, *named, incomplete=True)

    base = tiny("flowers")
    splits = scipy.io.loadmat(base / "setid.mat", squeeze_me=True)
    for key in ("trnid", "valid", "tstid"):
        number = int(splits[key][0])
        resave(
            base / "setid.mat", **{k: splits[k] for k in ("trnid", "valid", "tstid")} | {key: [*splits[key], number]}
        )
        refused("flowers", base / "setid.mat", "1 image", f"jpg/image_{number:05d}.jpg")

    base = tiny("birds")
    edit(base / "images.txt", lambda t: t.replace("bird_0001", "bird_0000").replace("1/bird_0000", "1/./bird_0000"))
    refused("birds", base / "images.txt", "3 images", "images/001.Tiny_bird_0/bird_0000.jpg")

    base = tiny("scenes")
    for file, view in (("TrainImages.txt", 1), ("TestImages.txt", 5)):
        good = (base / file).read_text()
        edit(base / file, lambda t, view=view: f"bar\\view {view}.jpg\n{t}")
        refused("scenes", base / file, "1 image", f"Images/bar/view {view}.jpg")
        (base / file).write_text(good)
    find_photos("scenes", tmp_path)


LISTED = ("flowers", "birds", "scenes")  # a folder in a class folder of one's own holds more of its images
NO_FILES = [*((name, kind) for name in LISTED for kind in ("pipe", "folder", "link")), ("own", "pipe"), ("own", "link")]


@pytest.mark.parametrize(("name", "kind"), NO_FILES)
def test_what_is_named_as_an_image_and_is_no_file_is_refused(tiny, tmp_path, name, kind):
    if name == "own":
        write_folder(tmp_path)
    base = tmp_path / "own" if name == "own" else tiny(name)
    path = find_photos(name, tmp_path).train.paths[1]
    (base / path).unlink()
    {"pipe": os.mkfifo, "folder": os.mkdir, "link": lambda file: file.symlink_to("nowhere")}[kind](base / path)
    refuses(name, tmp_path, base, "1 image", path, incomplete=True)


@pytest.mark.parametrize("file", ["images.txt", "classes.txt", "image_class_labels.txt", "train_test_split.txt"])
def test_a_number_of_thousands_of_digits_is_refused_with_the_start_of_its_line(tiny, tmp_path, file):
    base = tiny("birds")
    edit(base / file, lambda t: f"{'9' * 5000} x.jpg\n{t}")
    refuses("birds", tmp_path, f"{base / file}, line 1", f"got '{'9' * 80}'", incomplete=True)


@pytest.mark.parametrize("file", ["image_class_labels.txt", "train_test_split.txt"])
def test_a_value_of_thousands_of_digits_is_refused_with_its_line(tiny, tmp_path, file):
    base = tiny("birds")
    edit(base / file, lambda t: t.replace("1 1\n", f"1 {'1' * 5000}\n", 1))
    refuses("birds", tmp_path, f"{base / file}, line 1", incomplete=True)


HELD = {
    "an empty tuple": (),
    "an empty list": [],
    "a number": 5,
    "a tensor of no dimension": torch.tensor(1.0),
    "an empty tensor": torch.tensor([]),
    "a tensor": torch.ones(2, 3),
    "no names": ({}, []),
    "a name that is a text": ({"n01440764": "tench"}, []),
    "a name that is a number": ({"n01440764": (5,)}, []),
    "a class without a name": ({"n01440764": ()}, []),
    "numbers by class": ({1: ("tench",)}, []),
}


@pytest.mark.parametrize("held", HELD)
def test_a_list_of_names_that_holds_something_else_is_refused(tiny, tmp_path, held):
    base = tiny("imagenet")
    torch.save(HELD[held], base / "meta.bin")
    named = base, "meta.bin", "ILSVRC2012_devkit_t12.tar.gz", "no names", "torchvision.datasets.ImageNet"
    refuses("imagenet", tmp_path, *named)


@pytest.mark.parametrize("data", [b"", b"\x00" * 50, b"PK\x03\x04", pickle.dumps({1: os.getcwd}), b"no pickle at all"])
def test_a_list_of_names_that_is_damaged_is_refused_without_torchs_advice(tiny, tmp_path, data):
    base = tiny("imagenet")
    (base / "meta.bin").write_bytes(data)
    with pytest.raises(InputError, match=r"meta\.bin.*damaged") as told:  # and torch's error by name
        find_photos("imagenet", tmp_path)
    assert "weights_only" not in str(told.value)
    assert "\n" not in str(told.value)


def test_folders_of_imagenet_that_cannot_be_used(tiny, tmp_path, monkeypatch):
    base = tiny("imagenet")

    def refused(*named):
        refuses("imagenet", tmp_path, *named, incomplete=True)

    write_photo(base / "val/n09999999/0.JPEG", 0, 0)
    refused(base, "val", "train", "n09999999")
    write_photo(base / "train/n09999999/1.JPEG", 0, 0)
    refused(f"{base}/train", "ImageNet", "n09999999")
    (base / "train/n09999999/1.JPEG").unlink()
    refused(base / "train", "without images", "n09999999")
    (base / "val").rename(base / "sorted")
    write_photo(base / "val/ILSVRC2012_val_00000001.JPEG", 0, 0)  # as the archive unpacks
    (base / "train/n09999999").rmdir()
    refused(base / "val", "torchvision.datasets.ImageNet(folder, split)")


@each_set
def test_a_folder_that_may_not_be_read_is_told(tiny, tmp_path, monkeypatch, name):
    tiny(name, **({"meta": False} if name == "imagenet" else {}))

    def closed(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", closed)
    refuses(name, tmp_path, "Permission denied")


def test_a_list_of_names_that_is_damaged_or_could_run_code_is_refused(tiny, tmp_path):
    base = tiny("imagenet")
    ran = tmp_path / "ran"

    class Harm:
        def __reduce__(self):
            return ran.write_text, ("x",)

    for damage in ("cut", "harm", "other"):
        if damage == "cut":
            (base / "meta.bin").write_bytes((base / "meta.bin").read_bytes()[:100])
        elif damage == "harm":
            (base / "meta.bin").write_bytes(pickle.dumps(Harm(), protocol=2))
        else:
            torch.save([1, 2], base / "meta.bin")
        with pytest.raises(InputError, match=rf"^{re.escape(str(base))}: .*meta\.bin"):
            find_photos("imagenet", tmp_path)
    assert not ran.exists()


# --- the table


def test_the_table_says_what_is_there_and_what_is_missing(tiny, tmp_path):
    base = tiny("scenes", folder="indoorCVPR_09")
    flowers = tiny("flowers")
    (flowers / "setid.mat").unlink()
    table = photos_table(tmp_path).set_index("name")
    assert list(table.index) == list(PHOTO_SETS)
    assert list(table.columns) == ["label", "classes", "train", "test", "found", "note", "source", "licence"]
    assert table.found.to_dict() == {"flowers": False, "scenes": True, "birds": False, "imagenet": False}
    assert table.note["scenes"] == f"in {base}"
    source = PHOTO_SETS["flowers"].source
    review(table.note["flowers"], f"{flowers}/setid.mat", source)
    assert table.loc["imagenet", ["label", "classes", "train", "test"]].tolist() == [
        "ImageNet ILSVRC-2012",
        1000,
        1281167,
        50000,
    ]


def test_the_table_opens_no_image(tiny, tmp_path):
    base = tiny("scenes")
    for file in base.rglob("*.jpg"):
        file.write_bytes(b"")
    assert photos_table(tmp_path).found.sum() == 1
    write_scenes(tmp_path)


def test_an_own_folder_called_like_a_published_set_is_pointed_to_its_path(tmp_path):
    for name in ("train", "test"):
        for label in ("rose", "tulip"):
            (tmp_path / "flowers" / name / label).mkdir(parents=True)
    refuses("flowers", tmp_path, tmp_path / "flowers", kind=DataMissing)


def test_a_root_that_does_not_exist_is_told(tmp_path):
    refuses("birds", tmp_path / "none", tmp_path / "none", "not exist", kind=DataMissing)
