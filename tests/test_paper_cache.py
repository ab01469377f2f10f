"""Photographs are resized once: the pixels are right, what is there is kept, and what cannot be read is told."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from tiny_photos import photo, write_birds, write_photo
from torchvision.transforms import v2

from ebll.errors import InputError, OutputError
from ebll.paper import find_photos, photos as module
from ebll.paper.photos import cached, square

pytestmark = pytest.mark.paper

SIZE = 12


def expected(file, size=SIZE):
    """The square by another way: torchvision's transforms of the upright picture."""
    with Image.open(file) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    return np.asarray(v2.Compose([v2.Resize(size), v2.CenterCrop(size)])(upright))


def save(file, image, **options):
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(file, **options)
    return file


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """18 training images in 3 classes; progress every 4."""
    monkeypatch.setattr(module, "CHUNK", 4)
    write_birds(tmp_path, train=6, test=1)
    return find_photos("birds", tmp_path, incomplete=True)


@pytest.fixture
def opened(monkeypatch):
    """The images that are read, as they are."""
    names = []
    monkeypatch.setattr(module, "square", lambda file, size: names.append(file) or square(file, size))
    return names


def made(photos, part=None, **options):
    part = photos.train if part is None else part
    return cached(photos.base, part, photos.base.parent / "cache", "birds-train", SIZE, **options)


def squares(photos):
    return torch.from_numpy(np.stack([expected(photos.base / file) for file in photos.train.files]))


def test_a_square_is_torchvisions_resized_and_central_crop_in_colour_and_upright(tmp_path):
    for shape in ((30, 40), (31, 31), (7, 9), (200, 33)):
        file = save(tmp_path / "a.png", photo(1, 0, size=shape))
        found = square(file, SIZE)
        assert (found.shape, found.dtype) == ((SIZE, SIZE, 3), np.uint8)
        np.testing.assert_array_equal(found, expected(file))
    written = np.zeros((20, 30, 3), dtype=np.uint8)  # corners A B above, C D below
    written[:10, :15], written[:10, 15:], written[10:, :15] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    corner = {(250, 0, 0): "A", (0, 250, 0): "B", (0, 0, 250): "C", (0, 0, 0): "D"}
    # Which corner of what the camera has written is the upper left one of the picture, and which the upper right one.
    for orientation, upper in ((1, "AB"), (6, "CA"), (5, "AC")):
        exif = Image.Exif()
        exif[0x0112] = orientation
        found = square(save(tmp_path / "a.png", written, exif=exif), 10)
        assert "".join(corner[tuple(found[1, column].tolist())] for column in (1, -2)) == upper
    grey, colour = photo(0, 0)[..., 0], Image.fromarray(photo(1, 0))
    for name, image, same in [
        ("grey.png", grey, np.dstack([grey] * 3)),
        ("deep.png", grey.astype(np.uint16) * 256 + 99, np.dstack([grey] * 3)),
        ("clear.png", np.dstack([photo(1, 0), np.full((30, 40), 7, dtype=np.uint8)]), photo(1, 0)),
        ("inks.tif", colour.convert("CMYK"), np.asarray(colour.convert("CMYK").convert("RGB"))),
    ]:
        plain = save(tmp_path / "plain.png", same)
        np.testing.assert_array_equal(square(save(tmp_path / name, image), SIZE), expected(plain), err_msg=name)


def test_a_big_jpeg_is_decoded_at_a_fraction_and_looks_the_same(tmp_path):
    smooth = Image.fromarray(photo(2, 0, size=(20, 15))).resize((800, 600), Image.Resampling.BICUBIC)
    file = save(tmp_path / "big.jpg", smooth, quality=95)
    assert np.abs(square(file, 40).astype(int) - expected(file, 40)).max() <= 4


def test_what_is_stored_is_what_the_files_show_and_is_made_again_for_other_files_alone(photos, opened):
    told = []
    for _ in range(2):
        assert torch.equal(made(photos, progress=lambda *numbers: told.append(numbers)), squares(photos))
    assert told == [(done, 18) for done in (0, 4, 8, 12, 16, 18)]
    assert len(opened) == 18
    assert sorted(path.suffix for path in (photos.base.parent / "cache").iterdir()) == [".bin", ".lock"]
    write_photo(photos.base / photos.train.files[5], 2, 77, size=(50, 30))
    assert torch.equal(made(photos), squares(photos))
    part = type(photos.train)(photos.train.files[:4], photos.train.labels[:4])
    assert torch.equal(made(photos, part), squares(photos)[:4])
    assert len(opened) == 18 + 18 + 4


def test_a_stop_leaves_nothing_and_what_a_killed_process_left_is_removed(photos):
    def stop(done, total):
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(photos, progress=stop)
    folder = photos.base.parent / "cache"
    (lock,) = folder.iterdir()
    (folder / f".{lock.stem}.bin.0a").write_bytes(b"half")
    assert torch.equal(made(photos), squares(photos))
    assert not list(folder.glob(".*"))


def test_all_images_that_cannot_be_read_are_named_and_nothing_is_kept(photos):
    bad = [photos.train.files[n] for n in (0, 9, 16)]
    (photos.base / bad[0]).write_bytes(b"<html>")
    (photos.base / bad[1]).unlink()
    (photos.base / bad[2]).write_bytes(b"\xff\xd8\xff\xe0 half a JPEG")
    for _ in range(2):
        with pytest.raises(InputError, match="3 of 18 images .*" + ".*".join(bad)):  # with Pillow's words
            made(photos)
    for file in bad:
        write_photo(photos.base / file, 1, 5)
    assert torch.equal(made(photos), squares(photos))


def test_a_folder_that_cannot_be_made_is_told(photos):
    (photos.base.parent / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"file cannot be written.*--cache"):
        cached(photos.base, photos.train, photos.base.parent / "file", "birds", SIZE)
