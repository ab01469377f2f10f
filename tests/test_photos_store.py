"""Photographs are converted once: the pixels are right, what was made is kept, and what is damaged is told."""

import copy
import errno
import json
import os
import pickle
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from messages import raises
from PIL import Image, ImageOps
from tiny_photos import counts, photo, write_birds, write_folder, write_photo
from torchvision.transforms import functional as theirs

from ebll.errors import DataMissing, InputError, OutputError
from ebll.photos import convert as room
from ebll.photos import default_cache, find_photos, open_store
from ebll.photos import shards as shards_room
from ebll.photos.convert import convert
from ebll.photos.listing import Listing, Part
from ebll.photos.pixels import square
from ebll.photos.store import store_folder

pytestmark = pytest.mark.paper

SIZE = 12


def expected(file, size=SIZE):
    """The square by another way: torchvision's transforms of the upright picture."""
    with Image.open(file) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    return np.asarray(theirs.center_crop(theirs.resize(upright, size), size))


@pytest.fixture
def listing(tmp_path, monkeypatch):
    """18 training and 9 test images in 3 classes; shards of 4 images."""
    monkeypatch.setattr(room, "ROWS", 4)
    counts(monkeypatch, "birds", write_birds(tmp_path, train=6, test=3))
    return find_photos("birds", tmp_path)


def squares(listing, part="train"):
    return torch.from_numpy(np.stack([expected(listing.base / path) for path in listing.part(part).paths]))


def made(listing, part="train", **options):
    return convert(listing, part, listing.base.parent / "cache", **({"size": SIZE, "workers": 1} | options))


@pytest.fixture
def opened(monkeypatch):
    """The images that are read, as they are."""
    names = []
    monkeypatch.setattr(shards_room, "square", lambda file, size: names.append(file.name) or square(file, size))
    return names


def shard_files(store):
    return [store.folder / shard.file for shard in store.shards]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- pixels


def save(file, array, exif=None, **options):
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(file, **({"exif": exif} if exif is not None else {}), **options)
    return file


@pytest.mark.parametrize("shape", [(30, 40), (40, 30), (31, 31), (7, 9), (200, 33), (12, 12), (12, 13)])
def test_a_square_is_torchvisions_resized_and_central_crop(tmp_path, shape):
    file = save(tmp_path / "a.png", photo(1, 0, size=shape))
    found = square(file, SIZE)
    assert (found.shape, found.dtype) == ((SIZE, SIZE, 3), np.uint8)
    np.testing.assert_array_equal(found, expected(file))


def test_by_hand_the_middle_is_kept_and_neighbours_are_averaged(tmp_path):
    # 4 x 8: the middle square is white above and black below, its ends are grey. At half the size, the outer two of
    # the four rows that weigh in (1, 3, 3, 1 of 8, cut off at the edge: 3, 3, 1 of 7) mix the halves at 1 to 6.
    picture = np.full((4, 8, 3), 128, dtype=np.uint8)
    picture[:2, 1:7], picture[2:, 1:7] = 255, 0
    found = square(save(tmp_path / "a.png", picture), 2)
    assert found.shape == (2, 2, 3)
    assert set(found[0].ravel().tolist()) == {round(255 * 6 / 7)}
    assert set(found[1].ravel().tolist()) == {round(255 * 1 / 7)}


# Which corner of what the camera has written is the upper left one of the picture, and which the upper right one.
UPPER = {1: "AB", 2: "BA", 3: "DC", 4: "CD", 5: "AC", 6: "CA", 7: "DB", 8: "BD"}


@pytest.mark.parametrize("orientation", UPPER)
def test_photographs_are_turned_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    written = np.zeros((20, 30, 3), dtype=np.uint8)  # corners A B above, C D below
    written[:10, :15], written[:10, 15:], written[10:, :15] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    file = save(tmp_path / "a.png", written, exif)
    found = square(file, 10)
    corner = {(250, 0, 0): "A", (0, 250, 0): "B", (0, 0, 250): "C", (0, 0, 0): "D"}
    assert "".join(corner[tuple(found[1, column].tolist())] for column in (1, -2)) == UPPER[orientation]
    np.testing.assert_array_equal(found, expected(file, 10))


def test_a_note_of_the_camera_that_is_damaged_is_no_matter(tmp_path):
    plain = save(tmp_path / "plain.jpg", photo(0, 0))
    for number, note in enumerate([b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01", b"Exif\0\0"]):
        file = save(tmp_path / f"{number}.jpg", photo(0, 0), note)
        np.testing.assert_array_equal(square(file, SIZE), square(plain, SIZE))


def test_other_kinds_of_images_become_colour(tmp_path):
    grey = photo(0, 0)[..., 0]
    colour = Image.fromarray(photo(1, 0))
    clear = Image.fromarray(np.dstack([photo(1, 0), np.full((30, 40), 7, dtype=np.uint8)]))
    for file, image, same in [
        ("grey.png", grey, np.dstack([grey] * 3)),
        ("deep.png", grey.astype(np.uint16) * 256 + 99, np.dstack([grey] * 3)),
        ("deep.tif", grey.astype(np.int32) * 256 + 99, np.dstack([grey] * 3)),
        ("clear.png", clear, photo(1, 0)),
        ("palette.png", colour.quantize(16), np.asarray(colour.quantize(16).convert("RGB"))),
        ("inks.tif", colour.convert("CMYK"), np.asarray(colour.convert("CMYK").convert("RGB"))),
        ("bits.png", colour.convert("1"), np.asarray(colour.convert("1").convert("RGB"))),
    ]:
        plain = save(tmp_path / "plain.png", same)
        np.testing.assert_array_equal(square(save(tmp_path / file, image), SIZE), expected(plain), err_msg=file)
    inks = save(tmp_path / "inks.jpg", colour.convert("CMYK"), quality=95)
    assert np.abs(square(inks, SIZE).astype(int) - expected(save(tmp_path / "b.png", photo(1, 0)))).mean() < 6
    named = save(tmp_path / "png.jpg", photo(1, 0), format="PNG")
    np.testing.assert_array_equal(square(named, SIZE), expected(named))


def test_a_big_jpeg_is_decoded_at_a_fraction_and_looks_the_same(tmp_path):
    smooth = Image.fromarray(photo(2, 0, size=(20, 15))).resize((800, 600), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    file = save(tmp_path / "big.jpg", smooth, exif, quality=95)
    found = square(file, 40).astype(int)
    assert np.abs(found - expected(file, 40)).max() <= 4
    assert np.abs(found - np.rot90(found)).max() > 20  # the picture would show a wrong turn


@pytest.mark.parametrize("shape", [(20, 3000), (3000, 20), (1, 700), (9, 500), (2, 60), (1500, 13)])
def test_the_middle_of_a_long_strip_is_that_of_the_resized_strip_to_rounding(tmp_path, shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    file = save(tmp_path / "a.png", noise)
    found, whole = square(file, SIZE).astype(int), expected(file).astype(int)
    assert found.shape == (SIZE, SIZE, 3)
    assert np.abs(found - whole).max() <= 1
    assert whole.std() > 10  # the picture would show another place


@pytest.mark.parametrize("shape", [(1, 60_001), (2_000_001, 1)])
def test_a_strip_of_one_pixel_by_many_shows_the_pixel_in_its_middle(tmp_path, shape):
    # Resized as a whole, the first would take 15 GB. The bilinear rule looks at one neighbour to either side.
    strip = np.zeros((*shape, 3), dtype=np.uint8)
    middle = max(shape) // 2
    strip.reshape(-1, 3)[middle - 1 : middle + 2] = (9, 90, 200)
    found = square(save(tmp_path / "a.png", strip), 256)
    assert (found == np.array([9, 90, 200], dtype=np.uint8)).all()


# --- converting and reading


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_stored_is_what_the_files_show(listing, workers):
    told = []
    store = made(listing, workers=workers, progress=lambda done, total: told.append((done, total)))
    assert torch.equal(store.whole(), squares(listing))
    assert store.labels.tolist() == list(listing.train.labels)
    assert store.labels.dtype == torch.int64
    assert (len(store), store.size, store.classes, store.skipped) == (18, SIZE, listing.classes, ())
    assert (store.name, store.part, store.nbytes) == ("birds", "train", 18 * SIZE * SIZE * 3)
    assert store.folder == listing.base.parent / "cache" / f"birds-train-{SIZE}"
    assert [shard.rows for shard in store.shards] == [4, 4, 4, 4, 2]
    assert told == [(i, 18) for i in range(19)]
    assert store.check() == []
    # The files are plain numpy, and nothing else lies about.
    np.testing.assert_array_equal(np.load(shard_files(store)[4]), squares(listing)[16:])
    assert len(contents(store.folder)) == 5 + 5 + 1


def test_the_usual_folder():
    assert default_cache("data") == Path("data/ebll-cache")
    assert store_folder("c", "birds", "test", 256) == Path("c/birds-test-256")


def test_rows_are_read_in_the_order_asked_for(listing):
    store, all_of_them = made(listing), squares(listing)
    for rows in ([17, 0, 5, 5, 16, 3, 4], list(range(18)), [2], []):
        for kind in (list, np.array, lambda r: np.array(r, dtype=np.uint8), torch.tensor):
            found = store.read(kind(rows))
            assert found.dtype == torch.uint8
            assert torch.equal(found, all_of_them[torch.tensor(rows, dtype=torch.long)])


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([18], ["0..17", "got 18 to 18"]),
        ([3, -1], ["0..17", "got -1 to 3"]),
        ([1.0], ["(m,)", "got float64 of shape (1,)"]),
        ([True] * 18, ["(m,)", "got bool of shape (18,)"]),
        ([[1]], ["(m,)", "got int64 of shape (1, 1)"]),
        (3, ["(m,)", "got int64 of shape ()"]),
    ],
)
def test_rows_that_are_none_are_refused(listing, rows, named):
    store = made(listing)
    with raises(InputError, "rows", *named):
        store.read(rows)


def test_threads_and_copies_read_the_same_and_no_file_stays_open(listing):
    store, all_of_them = made(listing), squares(listing)
    wrong, before = [], len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None

    def read(seed, mine):
        for _ in range(20):
            rows = torch.randint(18, (30,), generator=torch.Generator().manual_seed(seed))
            if not torch.equal(mine.read(rows), all_of_them[rows]):
                wrong.append(seed)

    copies = [store, copy.deepcopy(store), pickle.loads(pickle.dumps(store)), open_store(store.folder)]
    threads = [threading.Thread(target=read, args=(seed, copies[seed % 4])) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert before is None or len(os.listdir("/proc/self/fd")) == before


def test_a_part_of_the_images_lies_in_a_folder_of_its_own(listing):
    everything = made(listing)
    rows = [16, 2, 9, 3, 0]
    for kind in (list, np.array, torch.tensor):
        store = made(listing, rows=kind(rows))
        assert store.folder.parent == everything.folder.parent
        assert store.folder.name.startswith(f"birds-train-{SIZE}-")
        assert torch.equal(store.whole(), squares(listing)[rows])
        assert store.labels.tolist() == [listing.train.labels[i] for i in rows]
    assert made(listing, rows=rows[::-1]).folder != store.folder
    assert made(listing, rows=range(18)).folder == everything.folder
    with raises(InputError, "rows", "once"):
        made(listing, rows=[1, 2, 1])
    with raises(InputError, "no image"):
        made(listing, rows=[])
    with raises(InputError, "size", "at least 4", "got 2"):
        made(listing, size=2)


# --- what was made is kept


def test_what_is_finished_is_not_made_again(listing, opened):
    first = made(listing)
    assert len(opened) == 18
    before, told = contents(first.folder), []
    second = made(listing, progress=lambda *numbers: told.append(numbers))
    assert len(opened) == 18
    assert told == [(18, 18)]
    assert contents(first.folder) == before
    assert second.digest == first.digest
    made(listing, "test")
    made(listing, size=SIZE + 4)
    assert len(opened) == 18 + 9 + 18


class Killed(BaseException):
    pass


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Killed])
def test_a_conversion_cut_short_leaves_whole_shards_and_goes_on_from_there(listing, opened, stop):
    def progress(done, total):
        if done == 11:
            raise stop

    with pytest.raises(stop):
        made(listing, progress=progress)
    folder = listing.base.parent / "cache" / f"birds-train-{SIZE}"
    left = sorted(path.name[:5] + "".join(path.suffixes) for path in folder.iterdir())
    assert left == ["00000.npy", "00000.npy.json", "00001.npy", "00001.npy.json"]
    with raises(DataMissing, folder, "manifest.json"):
        open_store(folder)
    opened.clear()
    told = []
    store = made(listing, progress=lambda done, total: told.append(done))
    assert told == list(range(8, 19))
    assert len(opened) == 10
    assert torch.equal(store.whole(), squares(listing))


def test_ctrl_c_ends_the_processes_and_leaves_whole_shards(listing):
    def progress(done, total):
        if done > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(listing, workers=2, progress=progress)
    folder = listing.base.parent / "cache" / f"birds-train-{SIZE}"
    for file in folder.glob("0*.npy"):
        assert np.load(file).shape[1:] == (SIZE, SIZE, 3)
    assert not (folder / "manifest.json").exists()
    assert torch.equal(made(listing).whole(), squares(listing))


DAMAGES = {
    "truncated shard": lambda f: f.write_bytes(f.read_bytes()[:-1]),
    "empty shard": lambda f: f.write_bytes(b""),
    "no shard": lambda f: f.unlink(),
    "no line": lambda f: (f.unlink(), f.with_name(f"{f.name}.json").unlink()),
}


@pytest.mark.parametrize("manifest", [True, False])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_shard_that_is_not_whole_is_made_again(listing, opened, damage, manifest):
    store = made(listing)
    before = contents(store.folder)
    if not manifest:
        (store.folder / "manifest.json").unlink()
    DAMAGES[damage](shard_files(store)[1])
    opened.clear()
    made(listing)
    assert opened == [os.path.basename(path) for path in listing.train.paths[4:8]]
    assert contents(store.folder) == before


@pytest.mark.parametrize("text", ["", "{}", '{"file": "x", "rows": 4}', "[]", "\x00"])
def test_a_damaged_line_of_a_shard_is_made_again(listing, opened, text):
    store = made(listing)
    before = contents(store.folder)
    (store.folder / "manifest.json").unlink()
    shard_files(store)[2].with_name(f"{store.shards[2].file}.json").write_text(text)
    opened.clear()
    made(listing)
    assert len(opened) == 4
    assert contents(store.folder) == before


def test_what_a_killed_process_left_half_written_is_passed_over_and_removed_when_old(listing):
    store = made(listing)
    (store.folder / "manifest.json").unlink()
    old, young = (store.folder / f".{store.shards[0].file}.{name}" for name in ("0a", "0b"))
    for file in (old, young):
        file.write_bytes(b"\x93NUMPY\x01")
    os.utime(old, (1, 1))
    assert torch.equal(made(listing).whole(), squares(listing))
    assert not old.exists()
    assert young.exists()  # it may be another process's, which is at work


def test_only_what_has_changed_is_made_again(listing, opened):
    first = made(listing)
    # An image is replaced by another one ...
    changed = listing.base / listing.train.paths[5]
    write_photo(changed, 2, 77, size=(50, 30))
    opened.clear()
    second = made(listing)
    assert len(opened) == 4
    assert second.digest != first.digest
    assert torch.equal(second.whole(), squares(listing))
    kept = {shard.file for shard in first.shards} & {shard.file for shard in second.shards}
    assert len(kept) == 4
    assert len(contents(second.folder)) == 5 + 5 + 1  # the former shard is gone
    # ... and another label needs no image.
    opened.clear()
    labels = (2, *listing.train.labels[1:])
    other = Listing("birds", listing.base, listing.classes, Part(listing.train.paths, labels), listing.test, "", "")
    assert made(other).labels.tolist() == list(labels)
    assert opened == []
    # Moving the whole set needs none either.
    listing.base.rename(listing.base.with_name("moved"))
    moved = Listing(
        "birds", listing.base.with_name("moved"), *(getattr(other, n) for n in ("classes", "train", "test")), "", ""
    )
    assert made(moved).labels.tolist() == list(labels)
    assert opened == []


# --- images that cannot be read


def spoil(listing, *numbers):
    for n in numbers:
        file = listing.base / listing.train.paths[n]
        file.write_bytes(file.read_bytes()[:300] if n % 2 else b"<html>")


def test_all_unreadable_images_are_named_and_the_rest_is_kept(listing, opened):
    spoil(listing, 0, 9)
    first, second = (re.escape(listing.train.paths[n]) for n in (0, 9))
    with pytest.raises(InputError, match=rf"^2 of 18 images .*{first} .*{second} .*--skip-unreadable"):
        made(listing)
    for n in (0, 9):
        write_photo(listing.base / listing.train.paths[n], 1, n)
    opened.clear()
    assert torch.equal(made(listing).whole(), squares(listing))
    assert len(opened) == 8  # two shards of four


def test_at_most_ten_are_named(listing):
    spoil(listing, *range(0, 18, 2), 1, 3, 5)
    with pytest.raises(InputError) as caught:
        made(listing)
    text = str(caught.value)
    assert text.startswith("12 of 18 images ")
    assert text.count("images/") == 10
    assert "2 more" in text


@pytest.mark.parametrize("workers", [1, 2])
def test_unreadable_images_can_be_left_out(listing, opened, workers):
    bad = (0, 9, 16, 17)  # of the last shard, nothing is left
    good = [n for n in range(18) if n not in bad]
    spoil(listing, *bad)
    (listing.base / listing.train.paths[0]).unlink()
    store = made(listing, skip_unreadable=True, workers=workers)
    assert store.skipped == tuple(listing.train.paths[n] for n in bad)
    assert store.labels.tolist() == [listing.train.labels[n] for n in good]
    assert [shard.rows for shard in store.shards] == [3, 4, 3, 4]
    paths = [listing.train.paths[n] for n in good]
    assert torch.equal(store.whole(), torch.from_numpy(np.stack([expected(listing.base / p) for p in paths])))
    assert torch.equal(store.read([13, 2, 3]), store.whole()[[13, 2, 3]])
    assert open_store(store.folder).skipped == store.skipped
    # Without that word they are refused again, and with it nothing is read again.
    opened.clear()
    assert made(listing, skip_unreadable=True).skipped == store.skipped
    assert opened == []
    with pytest.raises(InputError, match=r"^4 of 18 images .*No such file"):
        made(listing)
    for n in bad:
        write_photo(listing.base / listing.train.paths[n], 1, n)
    assert torch.equal(made(listing, skip_unreadable=True).whole(), squares(listing))


def test_a_set_without_one_readable_image_is_refused(listing):
    spoil(listing, *range(18))
    with raises(InputError, 18):
        made(listing, skip_unreadable=True)


@pytest.mark.parametrize("skip", [False, True])
def test_an_image_too_large_for_the_memory_counts_as_unreadable(listing, monkeypatch, skip):
    def too_large(file, size):
        if file.name == os.path.basename(listing.train.paths[5]):
            raise MemoryError
        return square(file, size)

    monkeypatch.setattr(shards_room, "square", too_large)
    large = [path for path in listing.train.paths if path.endswith(os.path.basename(listing.train.paths[5]))]
    if skip:
        assert made(listing, skip_unreadable=True).skipped == tuple(large)
    else:
        with raises(InputError, "3 of 18 images", "bird_0005.jpg", "memory"):
            made(listing)


# --- sets of one name


def own(*places):
    """Listings of own folders that are named by their paths, each of more images than the one before."""
    for count, place in enumerate(places, start=2):
        write_folder(place.parent, place.name, classes=2, train=count, test=1)
    return [find_photos(place, place.parents[1]) for place in places]


def test_own_folders_of_one_name_keep_their_converted_images_apart(tmp_path):
    listings = own(tmp_path / "x/leaves", tmp_path / "y/leaves", tmp_path / "z/flowers")
    first = [convert(one, "train", tmp_path / "c", size=SIZE) for one in listings]
    before = [contents(store.folder) for store in first]
    assert len({store.folder for store in first}) == 3
    for one, store in zip(listings, first, strict=True):
        again = convert(one, "train", tmp_path / "c", size=SIZE)
        assert again.folder == store.folder
        assert torch.equal(again.whole(), squares(one))
    assert [contents(store.folder) for store in first] == before
    # A set of that name under the root itself, and the published one, go by the name alone.
    names = {store.folder.name for store in first}
    assert not names & {f"leaves-train-{SIZE}", f"flowers-train-{SIZE}"}
    assert all(name.startswith(("leaves-", "flowers-")) and name.endswith(f"-train-{SIZE}") for name in names)


def test_an_own_folder_goes_by_its_name_alone_if_it_lies_right_under_the_root(tmp_path):
    write_folder(tmp_path, "leaves", classes=2)
    for name in ("leaves", tmp_path / "leaves", "./leaves/"):
        store = convert(find_photos(name, tmp_path), "test", tmp_path / "c", size=SIZE)
        assert store.folder == tmp_path / "c" / f"leaves-test-{SIZE}"
    # The folder and its converted images may be moved together.
    before = contents(store.folder)
    (tmp_path / "moved").mkdir()
    for name in ("leaves", "c"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    moved = convert(find_photos("leaves", tmp_path / "moved"), "test", tmp_path / "moved/c", size=SIZE)
    assert moved.folder == tmp_path / "moved/c" / f"leaves-test-{SIZE}"
    assert contents(moved.folder) == before


def test_folders_of_one_name_under_two_roots_share_a_cache_without_harm(tmp_path):
    stores = {}
    for _ in range(2):
        for count, root in enumerate((tmp_path / "one", tmp_path / "two"), start=2):
            # Uncompressed images of one size are all of one length: nothing but their place tells them apart.
            for label in range(2):
                for part in ("train", "test"):
                    file = root / f"leaves/{part}/kind {label}/0.bmp"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(photo(label, count)).save(file)
            listing = find_photos("leaves", root)
            store = convert(listing, "train", tmp_path / "c", size=SIZE)
            assert torch.equal(store.whole(), squares(listing))
            assert stores.setdefault(root, store.folder) == store.folder
    assert len(set(stores.values())) == 2


# --- stores that cannot be used


def refuses(folder, *named, kind=InputError):
    with raises(kind, *named):
        open_store(folder)


def test_a_folder_without_a_store(tmp_path):
    for folder in (tmp_path, tmp_path / "gone"):
        refuses(folder, folder, "manifest.json", kind=DataMissing)


def test_manifests_that_cannot_be_used(listing):
    store = made(listing)
    path = store.folder / "manifest.json"
    good = json.loads(path.read_text())
    path.write_text(json.dumps(good | {"what": "something"}))
    refuses(store.folder, path, "'photographs converted by ebll'")
    path.write_text(json.dumps(good | {"version": 99}))
    refuses(store.folder, path, "version 99", "version 1")
    shard, damaged = good["shards"][0], rf"^{re.escape(str(path))} is damaged: "  # then Python's words
    for change in (
        {"labels": good["labels"][:-1]},
        {"labels": [*good["labels"][:-1], 3]},
        {"labels": [*good["labels"][:-1], -1]},
        {"labels": [*good["labels"][:-1], 10**30]},
        {"labels": "many"},
        {"size": SIZE + 1},
        {"shards": []},
        {"shards": [{**shard, "file": "../../x.npy"}, *good["shards"][1:]]},
        {"shards": [{**shard, "rows": -4}, *good["shards"][1:]]},
        {"shards": [{**shard, "rows": "4"}, *good["shards"][1:]]},
        {"shards": [3]},
        {"classes": None},
    ):
        path.write_text(json.dumps(good | change))
        with pytest.raises(InputError, match=damaged):
            open_store(store.folder)
    for lacking in ("labels", "shards", "digest", "classes"):
        path.write_text(json.dumps({key: value for key, value in good.items() if key != lacking}))
        refuses(store.folder, path, f"KeyError('{lacking}')")
    for text in ("", "{", json.dumps(good)[:-20]):
        path.write_text(text)
        with pytest.raises(InputError, match=f"{damaged}JSONDecodeError"):
            open_store(store.folder)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=f"{damaged}UnicodeDecodeError"):
        open_store(store.folder)
    # Each of them is mended by converting again.
    assert torch.equal(made(listing).whole(), squares(listing))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"what": "leaves"}, ["'photographs converted by ebll'"]),
        ({"version": 2}, ["version 2", "version 1"]),
    ],
)
def test_a_manifest_of_another_program_or_version_is_not_overwritten(listing, opened, change, named):
    store = made(listing)
    path = store.folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    before = contents(store.folder)
    opened.clear()
    with raises(InputError, path, *named):
        made(listing)
    assert contents(store.folder) == before
    assert opened == []


@pytest.mark.parametrize("edit", ["labels", "classes", "skipped", "fewer"])
def test_a_manifest_that_was_edited_is_written_anew_from_the_source(listing, opened, edit):
    spoil(listing, 9)
    store = made(listing, skip_unreadable=True)
    path, before = store.folder / "manifest.json", contents(store.folder)
    held = json.loads(path.read_text())
    if edit == "labels":
        held["labels"] = held["labels"][::-1]
    elif edit == "classes":
        held["classes"] = held["classes"][::-1]
    elif edit == "skipped":
        held["skipped"] = [listing.train.paths[8]]
    else:
        held["labels"], held["shards"] = held["labels"][:15], held["shards"][:4]
    path.write_text(json.dumps(held))
    assert open_store(store.folder).digest == store.digest  # by itself it cannot be told
    opened.clear()
    again = made(listing, skip_unreadable=True)
    assert again.labels.tolist() == [label for n, label in enumerate(listing.train.labels) if n != 9]
    assert (again.classes, again.skipped) == (listing.classes, (listing.train.paths[9],))
    assert contents(store.folder) == before
    assert opened == []


@pytest.mark.parametrize("skipped", [[99], [1, 1], [-1]])
def test_a_line_that_leaves_out_images_its_shard_never_had_is_made_again(listing, opened, skipped):
    spoil(listing, 9)
    store = made(listing, skip_unreadable=True)
    before = contents(store.folder)
    (store.folder / "manifest.json").unlink()
    line = shard_files(store)[2].with_name(f"{store.shards[2].file}.json")
    line.write_text(json.dumps(json.loads(line.read_text()) | {"skipped": skipped, "rows": 4 - len(skipped)}))
    opened.clear()
    made(listing, skip_unreadable=True)
    assert len(opened) == 4
    assert contents(store.folder) == before


def test_a_shard_of_another_length_is_named(listing):
    store = made(listing)
    file = shard_files(store)[1]
    length = file.stat().st_size
    file.write_bytes(file.read_bytes()[:-100])
    named = file, f"{length - 100:,} bytes", f"{length:,}"
    refuses(store.folder, *named)
    # A store that was open before says so when it comes there.
    assert len(store.read([0, 3, 8])) == 3
    with raises(InputError, *named):
        store.read([0, 7])
    file.unlink()
    refuses(store.folder, file, "not there")
    with raises(InputError, file, "No such file or directory"):
        store.read([4])
    assert store.check() == [file.name]


@pytest.mark.parametrize("place", [0, 60, -1])
def test_a_byte_that_is_another_is_found_by_its_hash(listing, place):
    store = made(listing)
    file = shard_files(store)[2]
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)
    assert store.check() == [file.name]
    with raises(InputError, file, "damaged"):
        store.whole()
    file.unlink()  # what the words say
    assert torch.equal(made(listing).whole(), squares(listing))
    assert store.check() == []


def test_bytes_after_the_end_are_found(listing):
    store = made(listing)
    with shard_files(store)[4].open("ab") as stream:
        stream.write(b"x")
    assert store.check() == [store.shards[4].file]


# --- the disk


def test_room_is_asked_for_before_anything_is_made(listing, monkeypatch, opened):
    needed = 18 * SIZE * SIZE * 3
    usage = lambda free: lambda folder: type("Usage", (), {"free": free})  # noqa: E731
    monkeypatch.setattr(room.shutil, "disk_usage", usage(needed - 1))
    folder = listing.base.parent / "cache" / f"birds-train-{SIZE}"
    with raises(OutputError, folder, f"need {needed / 1e9:.3f} GB", f"{needed / 1e9:.3f} GB are free"):
        made(listing)
    assert opened == []
    monkeypatch.setattr(room.shutil, "disk_usage", usage(needed))
    assert len(made(listing)) == 18


def test_a_disk_that_fills_up_is_told_and_what_is_finished_stays(listing, monkeypatch, opened):
    real, written = np.save, []

    def fills_up(stream, pixels, **options):
        written.append(len(pixels))
        if len(written) == 3:
            stream.write(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        real(stream, pixels, **options)

    monkeypatch.setattr(np, "save", fills_up)
    folder = listing.base.parent / "cache" / f"birds-train-{SIZE}"
    written_and_free = r"No space left on device.* 0\.000 GB .* [\d.]+ GB are free"
    with pytest.raises(OutputError, match=rf"^{re.escape(str(folder))} .*{written_and_free}"):
        made(listing)
    assert sorted(path.name[:5] for path in folder.iterdir()) == ["00000", "00000", "00001", "00001"]
    monkeypatch.setattr(np, "save", real)
    opened.clear()
    assert torch.equal(made(listing).whole(), squares(listing))
    assert len(opened) == 10


def test_a_folder_that_cannot_be_made_is_told(listing):
    (listing.base.parent / "cache").write_text("in the way")
    with pytest.raises(OutputError, match=r"(File exists|Not a directory)"):
        made(listing)


# --- two at a time

SCRIPT = """
import sys
from ebll.photos import convert, find_photos
convert.ROWS = 4
store = convert.convert(find_photos("own", sys.argv[1]), "train", sys.argv[2], size=12, workers=1)
assert store.check() == [] and len(store) == 30
"""


def test_two_processes_converting_the_same_set_do_no_harm(tmp_path, monkeypatch):
    write_folder(tmp_path, train=10)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(tmp_path / "both")]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    monkeypatch.setattr(room, "ROWS", 4)
    alone = convert(find_photos("own", tmp_path), "train", tmp_path / "alone", size=12, workers=1)
    assert contents(tmp_path / "both" / alone.folder.name) == contents(alone.folder)


def test_conversions_that_write_the_same_shard_at_once_leave_it_whole(listing):
    found, barrier = [], threading.Barrier(4)

    def work():
        barrier.wait()
        found.append(made(listing).whole())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(torch.equal(pixels, squares(listing)) for pixels in found)
    assert not list((listing.base.parent / "cache").glob("*/.*"))
