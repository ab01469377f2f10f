"""Windows of stored images: where they lie is drawn fairly, and what they show is what slicing one image shows."""

import numpy as np
import pytest
import torch
from messages import raises
from photo_rig import coded, tinted

from ebll.errors import InputError
from ebll.photos.crops import Windows, centre_windows, cut, drawn_windows, fixed_windows

pytestmark = pytest.mark.paper

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BYTES = ((0.0,) * 3, (1 / 255,) * 3)  # mean and deviation that leave the bytes as they are


def one_at_a_time(images, windows, size, mean, deviation):
    """Slice, mirror, standardise: numpy, one image after the other, in double precision."""
    made = []
    places = zip(windows.top.tolist(), windows.left.tolist(), windows.flip.tolist(), strict=True)
    for image, (top, left, flip) in zip(images.numpy(), places, strict=True):
        piece = image[top : top + size, left : left + size].astype(np.float64)
        piece = piece[:, ::-1] if flip else piece
        made.append(((piece / 255 - np.array(mean)) / np.array(deviation)).transpose(2, 0, 1))
    return torch.from_numpy(np.stack(made))


def every_window(stored, size):
    """Each window that there is, mirrored and not."""
    corners = torch.arange(stored - size + 1)
    top, left, flip = torch.cartesian_prod(corners, corners, torch.arange(2)).T
    return Windows(top, left, flip.bool())


@pytest.mark.parametrize(("stored", "size"), [(9, 5), (8, 7), (6, 6), (4, 1)])
def test_cut_is_slicing_mirroring_and_standardising_one_image_at_a_time(stored, size):
    windows = every_window(stored, size)
    images = tinted(range(len(windows)), stored)
    kept = images.clone()
    found = cut(images, windows, size, MEAN, DEVIATION)
    assert found.shape == (2 * (stored - size + 1) ** 2, 3, size, size)
    assert found.dtype == torch.float32
    expected = one_at_a_time(images, windows, size, MEAN, DEVIATION)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-6)
    assert torch.equal(images, kept)


def test_the_four_corners_by_hand():
    image = torch.arange(9, dtype=torch.uint8).reshape(1, 3, 3, 1).expand(4, 3, 3, 3)  # 0 1 2 / 3 4 5 / 6 7 8
    top, left = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    plain = [[[0, 1], [3, 4]], [[1, 2], [4, 5]], [[3, 4], [6, 7]], [[4, 5], [7, 8]]]
    mirrored = [[[1, 0], [4, 3]], [[2, 1], [5, 4]], [[4, 3], [7, 6]], [[5, 4], [8, 7]]]
    for flip, expected in ((False, plain), (True, mirrored)):
        found = cut(image, Windows(top, left, torch.full((4,), flip)), 2, *BYTES)
        for channel in range(3):
            assert found[:, channel].round().int().tolist() == expected


def test_each_channel_has_its_own_mean_and_deviation_and_a_second_network_its_own():
    images = torch.tensor([0, 0, 0, 255, 255, 255, 51, 102, 153], dtype=torch.uint8).reshape(3, 1, 1, 3)
    first = cut(images, centre_windows(3, 1, 1), 1, (0.2, 0.4, 0.5), (0.1, 0.2, 0.5)).flatten(1)
    expected = torch.tensor([[-2.0, -2.0, -1.0], [8.0, 3.0, 1.0], [0.0, 0.0, 0.2]])
    torch.testing.assert_close(first, expected, rtol=0, atol=1e-6)
    second = cut(images, centre_windows(3, 1, 1), 1, (0.0,) * 3, (1.0,) * 3).flatten(1)
    torch.testing.assert_close(second, images.flatten(1) / 255, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [2, 5, 6])
def test_windows_come_channels_last_in_memory(size):
    found = cut(tinted(range(4), 6), drawn_windows(4, 6, size, torch.Generator()), size, MEAN, DEVIATION)
    assert found.stride() == (3 * size * size, 1, 3 * size, 3)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_no_images_give_no_windows():
    found = cut(torch.empty(0, 6, 6, 3, dtype=torch.uint8), centre_windows(0, 6, 4), 4, MEAN, DEVIATION)
    assert found.shape == (0, 3, 4, 4)


@pytest.mark.parametrize(("stored", "size", "corner"), [(256, 224, 16), (9, 4, 2), (7, 7, 0), (8, 7, 0)])
def test_the_central_window_leaves_as_much_on_either_side(stored, size, corner):
    windows = centre_windows(3, stored, size)
    assert windows.top.tolist() == windows.left.tolist() == [corner] * 3
    assert windows.flip.tolist() == [False] * 3
    assert len(windows) == 3
    assert abs(corner - (stored - size - corner)) <= 1


def test_drawn_windows_are_uniform_over_all_that_there_are():
    count, rooms = 18_000, 3
    windows = drawn_windows(count, 12, 10, torch.Generator().manual_seed(5))
    cells = (windows.top * rooms + windows.left) * 2 + windows.flip
    found = torch.bincount(cells, minlength=18)
    assert len(found) == 18  # rows and columns 0 to 2, mirrored or not, and no other
    chi_square = ((found - count / 18).square() / (count / 18)).sum()
    assert chi_square < 40.8  # 17 degrees of freedom: one seed in a thousand is above
    assert abs(windows.flip.double().mean() - 0.5) < 4 * 0.5 / count**0.5


def test_drawn_windows_are_seeded_and_go_on_with_their_generator():
    def draw(generator):
        return torch.stack([*vars(drawn_windows(50, 40, 32, generator)).values()])

    one = torch.Generator().manual_seed(1)
    first, second = draw(one), draw(one)
    assert torch.equal(first, draw(torch.Generator().manual_seed(1)))
    assert not torch.equal(first, second)
    assert not torch.equal(first, draw(torch.Generator().manual_seed(2)))


def test_an_image_as_large_as_the_window_is_only_mirrored():
    windows = drawn_windows(40, 6, 6, torch.Generator().manual_seed(0))
    assert windows.top.tolist() == windows.left.tolist() == [0] * 40
    assert set(windows.flip.tolist()) == {False, True}


def test_fixed_windows_begin_with_the_centre_and_keep_each_images_versions_side_by_side():
    count, versions = 30, 4
    windows = fixed_windows(count, versions, 256, 224, torch.Generator().manual_seed(3))
    assert len(windows) == count * versions
    rows = torch.arange(count * versions)
    central = (windows.top == 16) & (windows.left == 16) & ~windows.flip
    # Of 2 * 33 * 33 windows one is central, so among these 90 drawn ones it does not come up.
    assert torch.equal(central, rows % versions == 0)
    kinds = torch.stack([windows.top, windows.left, windows.flip.long()], dim=1)
    assert len(kinds[~central].unique(dim=0)) > 80  # neither the images nor the versions share theirs
    assert kinds[:, :2].min() >= 0
    assert kinds[:, :2].max() <= 32


def test_the_versions_of_an_image_are_cut_from_that_image():
    versions = 3
    windows = fixed_windows(5, versions, 12, 8, torch.Generator().manual_seed(3))
    images = coded(range(5), 12).repeat_interleave(versions, dim=0)
    found = cut(images, windows, 8, *BYTES).round()
    assert found[:, 2, 0, 0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    assert torch.equal(found[::versions, 0, 0, 0], torch.full((5,), 2.0))
    assert torch.equal(found[::versions, 1, 0], torch.arange(2.0, 10.0).expand(5, 8))


def test_fixed_windows_are_seeded_and_one_version_is_the_centre_alone():
    one, again = (fixed_windows(9, 3, 40, 32, torch.Generator().manual_seed(3)) for _ in range(2))
    other = fixed_windows(9, 3, 40, 32, torch.Generator().manual_seed(4))
    assert torch.equal(one.top, again.top)
    assert torch.equal(one.flip, again.flip)
    assert not torch.equal(one.top, other.top)
    alone, centre = fixed_windows(9, 1, 40, 32, torch.Generator().manual_seed(3)), centre_windows(9, 40, 32)
    for name in ("top", "left", "flip"):
        assert torch.equal(getattr(alone, name), getattr(centre, name))


def test_windows_are_taken_by_row_and_keep_their_three_parts_together():
    windows = Windows(torch.tensor([5, 6, 7]), torch.tensor([1, 2, 3]), torch.tensor([True, False, True]))
    taken = windows.take(torch.tensor([2, 0, 2])).to("cpu")
    assert (taken.top.tolist(), taken.left.tolist()) == ([7, 5, 7], [3, 1, 3])
    assert taken.flip.tolist() == [True, True, True]


@pytest.mark.parametrize("size", [13, 0, -1])
def test_a_window_that_does_not_fit_is_refused(size):
    draw = torch.Generator()
    for make in (
        lambda: centre_windows(3, 12, size),
        lambda: drawn_windows(3, 12, size, draw),
        lambda: fixed_windows(3, 2, 12, size, draw),
    ):
        with raises(InputError, f"{size} pixels", 12):
            make()
