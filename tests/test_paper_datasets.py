"""Photo sets are found in their published layouts, checked against what is published, and refused otherwise."""

import numpy as np
import pytest
from messages import raises
from PIL import Image
from tiny_photos import WNIDS, WRITERS, colour, counts, write_folder, write_photo
from torchvision.datasets import Flowers102

from ebll.errors import DataMissing, InputError
from ebll.paper import PHOTO_SETS, find_photos
from ebll.paper.datasets import fingerprint

pytestmark = pytest.mark.paper


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Write a tiny set under `tmp_path`, whose numbers count as published; returns its folder."""

    def written(name, **options):
        counts(monkeypatch, name, WRITERS[name](tmp_path, **options))
        return tmp_path / PHOTO_SETS[name].folder

    return written


def refuses(name, root, *named, kind=InputError, **options):
    with raises(kind, *named):
        find_photos(name, root, **options)


def pairs(part):
    return set(zip(*part, strict=True))


def shows_its_class(found):
    """The colour of every image is that of its label."""
    for file, label in [*pairs(found.train), *pairs(found.test)]:
        mean = np.asarray(Image.open(found.base / file)).mean(axis=(0, 1))
        assert min(range(3), key=lambda c: abs(mean - colour(c)).sum()) == label, file


# --- the layouts


def test_the_published_numbers():
    numbers = {name: (info.classes, info.train, info.test) for name, info in PHOTO_SETS.items()}
    assert numbers.pop("imagenet") == (1000, 1281167, 50000)
    assert numbers == {"flowers": (102, 2040, 6149), "scenes": (67, 5360, 1340), "birds": (200, 5994, 5794)}


@pytest.mark.parametrize("name", WRITERS)
def test_every_layout_is_found_with_the_class_that_each_image_shows(tiny, tmp_path, name):
    base = tiny(name)
    found = find_photos(name, tmp_path)
    assert (found.name, found.base, found.source) == (name, base, PHOTO_SETS[name].source)
    assert (len(found.train.files), len(found.test.files)) == (12, 6)
    shows_its_class(found)
    if name == "flowers":
        assert found.classes[:2] == ("pink primrose", "hard-leaved pocket orchid")
    if name == "imagenet":
        assert found.classes == ("tench", "crane (n02012849)", "crane (n03126707)")
        (base / "meta.bin").unlink()  # torchvision's list of names
        assert find_photos(name, tmp_path).classes == WNIDS[:3]
        shows_its_class(find_photos(name, tmp_path))


def test_birds_by_hand(tiny, tmp_path):
    base = tiny("birds", classes=2, train=1, test=1)
    # Numbers in another order and with a gap: only the numbers tie the files together.
    (base / "classes.txt").write_text("7 007.Long_tailed_Tit\n3 003.Wren\n")
    images = "9 002.Tiny_bird_1/bird_0000.jpg\n4 001.Tiny_bird_0/bird_0000.jpg\n"
    (base / "images.txt").write_text(f"{images}5 001.Tiny_bird_0/bird_0001.jpg\n6 002.Tiny_bird_1/bird_0001.jpg\n")
    (base / "image_class_labels.txt").write_text("4 7\n5 7\n6 3\n9 3\n")
    (base / "train_test_split.txt").write_text("4 1\n5 0\n6 0\n9 1\n")
    found = find_photos("birds", tmp_path)
    assert found.classes == ("Wren", "Long tailed Tit")
    assert found.train == (("images/002.Tiny_bird_1/bird_0000.jpg", "images/001.Tiny_bird_0/bird_0000.jpg"), (0, 1))
    assert found.test == (("images/001.Tiny_bird_0/bird_0001.jpg", "images/002.Tiny_bird_1/bird_0001.jpg"), (1, 0))


def test_lists_of_scenes_may_come_from_windows(tiny, tmp_path):
    file = tiny("scenes") / "TestImages.txt"
    file.write_text("\ufeff" + file.read_text().replace("bar/", "bar\\"))
    assert find_photos("scenes", tmp_path).test.files[2] == "Images/bar/view 4.jpg"


def test_a_folder_of_ones_own_has_two_parts_or_a_fifth_is_drawn_as_the_test_part(tmp_path):
    write_folder(tmp_path, "mushrooms")
    write_photo(tmp_path / "mushrooms/train/.hidden/0.jpg", 0, 0)
    write_photo(tmp_path / "mushrooms/validation/kind 0/9.jpg", 0, 9)
    for c in (1, 2):
        write_photo(tmp_path / f"mushrooms/validation/kind {c}/9.jpg", c, 9)
    for name in ("mushrooms", tmp_path / "mushrooms", str(tmp_path / "mushrooms")):
        found = find_photos(name, tmp_path)
        assert (found.name, found.classes) == ("mushrooms", ("kind 0", "kind 1", "kind 2"))
        validation = {(f"validation/kind {c}/9.jpg", c) for c in range(3)}
        assert pairs(found.train) == {(f"train/kind {c}/{i}.jpg", c) for c in range(3) for i in range(4)} | validation
        assert pairs(found.test) == {(f"test/kind {c}/{i}.jpg", c) for c in range(3) for i in (4, 5)}
    write_folder(tmp_path, parts=False, train=7, test=3)
    found = find_photos("own", tmp_path)
    assert found == find_photos("own", tmp_path)
    assert pairs(found.train) | pairs(found.test) == {(f"kind {c}/{i}.jpg", c) for c in range(3) for i in range(10)}
    assert [found.test.labels.count(c) for c in range(3)] == [2, 2, 2]


def test_the_fingerprint_tells_other_files_and_not_another_place(tiny, tmp_path):
    base, away = tiny("birds"), tmp_path / "elsewhere"
    found = find_photos("birds", tmp_path)
    before = fingerprint(base, found.train, found.test)
    base.rename(away)
    assert fingerprint(away, found.train, found.test) == before
    write_photo(away / found.train.files[0], 2, 77, size=(50, 30))
    assert fingerprint(away, found.train, found.test) != before


# --- what is missing or not as published


@pytest.mark.parametrize(
    ("name", "file"),
    [("flowers", "setid.mat"), ("birds", "images.txt"), ("scenes", "TestImages.txt"), ("imagenet", "val")],
)
def test_a_set_or_a_list_that_is_not_there_is_answered_with_its_page(tiny, tmp_path, name, file):
    info = PHOTO_SETS[name]
    named = [f"'{name}'", info.label, info.source, "--root DIR", *(["--download"] if name == "flowers" else [])]
    with pytest.raises(DataMissing) as error:  # with torchvision's or Python's words
        find_photos(name, tmp_path / "none")
    assert [word for word in named if word not in str(error.value)] == []
    (tiny(name, **({"meta": False} if name == "imagenet" else {})) / file).rename(tmp_path / "away")
    with pytest.raises(DataMissing, match=("flowers-102" if name == "flowers" else file)):
        find_photos(name, tmp_path)


def test_a_name_that_is_no_set_and_no_folder(tmp_path):
    named = "'flower'", "flowers, scenes, birds, imagenet", f"{tmp_path}/flower", "--root DIR"
    refuses("flower", tmp_path, *named, kind=DataMissing)
    refuses(5, tmp_path, "photos", "got 5")


def test_flowers_are_fetched_when_asked(tmp_path, monkeypatch):
    counts(monkeypatch, "flowers", (3, 12, 6))
    monkeypatch.setattr(Flowers102, "download", lambda self: WRITERS["flowers"](tmp_path))
    assert len(find_photos("flowers", tmp_path, download=True).train.files) == 12


def test_other_numbers_than_published(tiny, tmp_path, monkeypatch):
    base = tiny("scenes")
    counts(monkeypatch, "scenes", (3, 13, 6))
    wanted, got = (f"3 classes, {n} training images, 6 test images" for n in (13, 12))
    refuses("scenes", tmp_path, "'scenes'", base, f"wanted {wanted}", f"got {got}", "--incomplete")
    assert len(find_photos("scenes", tmp_path, incomplete=True).train.files) == 12
    (base / "TestImages.txt").write_text("\n")
    refuses("scenes", tmp_path, "got 3 classes, 12 training images, 0 test images", incomplete=True)


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        ("flowers", "setid.mat", "<html>not found</html>" * 20),
        ("birds", "classes.txt", "Wren"),
        ("scenes", "TrainImages.txt", "a/bar/x.jpg"),
        ("imagenet", "meta.bin", "half of it"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_with_its_set(tiny, tmp_path, name, file, text):
    base = tiny(name)
    (base / file).write_text(text)
    with pytest.raises(InputError, match=rf"{PHOTO_SETS[name].label}\) cannot be read in {base}"):  # and Python's words
        find_photos(name, tmp_path, incomplete=True)


def test_folders_of_imagenet_that_differ_are_refused(tiny, tmp_path):
    base = tiny("imagenet", meta=False)
    write_photo(base / "val/n09999999/0.JPEG", 0, 0)
    refuses("imagenet", tmp_path, base, "other class folders", incomplete=True)
