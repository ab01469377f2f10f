"""What callers hand to the photo sets is taken in every usual form, and anything else refused."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from messages import raises
from photo_rig import coded, write_photos

from ebll.errors import InputError
from ebll.paper.plan import PaperSettings
from ebll.photos import PhotoSettings, default_cache, find_photos, load_photos, open_store, photos_table
from ebll.photos.arguments import check_channels, check_device
from ebll.photos.convert import convert

pytestmark = pytest.mark.paper

TINY = PhotoSettings(stored=12, size=8, versions=2)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    write_photos(root, "own", train=(coded(range(6), 12), labels), test=(coded(range(6), 12), labels))
    return root


def refuses(job, *named):
    with raises(InputError, *named):
        job()


def refusal(job):
    """What is said, for tests that try many values; the wording is reviewed in others."""
    with pytest.raises(InputError) as caught:
        job()
    return str(caught.value)


def load(root, **options):
    return load_photos(**{"name": "own", "root": root, "settings": TINY, "workers": 1, **options})


@pytest.mark.parametrize("name", [None, 5, b"own", ["own"]])
def test_a_name_that_is_no_text_and_no_path_is_refused(root, name):
    for job in (lambda: load(root, name=name), lambda: find_photos(name, root)):
        refuses(job, "photos", "flowers, scenes, birds, imagenet", f"got {name!r} of type {type(name).__name__}")


@pytest.mark.parametrize("place", [None, 5, b"data", ["data"], ""])
def test_a_folder_that_is_no_path_is_refused_wherever_one_is_named(root, place):
    listing = find_photos("own", root)
    for argument, job in (
        ("root", lambda: load(place)),
        ("root", lambda: find_photos("own", place)),
        ("root", lambda: photos_table(place)),
        ("root", lambda: default_cache(place)),
        ("folder", lambda: open_store(place)),
        ("cache", lambda: convert(listing, "train", place, size=12)),
    ):
        assert refusal(job).startswith(argument)
        assert repr(place) in refusal(job)
    if place is not None:
        refuses(lambda: load(root, cache=place), "cache", f"got {place!r}")


def test_the_home_of_somebody_who_is_not_known_is_refused_wherever_a_folder_is_named(root):
    place = "~nosuch/x"
    for argument, job in (
        ("root", lambda: load(place)),
        ("root", lambda: photos_table(Path(place))),
        ("photos", lambda: load(root, name=place)),
        ("cache", lambda: load(root, cache=place)),
        ("folder", lambda: open_store(place)),
    ):
        refuses(job, argument, "'~nosuch/x'")


@pytest.mark.parametrize("settings", [{}, {"size": 8}, PaperSettings(), "tiny", 0])
def test_settings_of_another_kind_are_refused(root, settings):
    refuses(lambda: load(root, settings=settings), "settings", "PhotoSettings", f"got {type(settings).__name__}")


USUAL = (0.5, 0.1, 0.2)
NO_CHANNELS = [
    *(None, 0.5, "abc", {1, 2, 3}, (), (0.5, 0.1), USUAL * 2, torch.ones(2, 3), np.array(0.5)),
    *((math.nan, 0.1, 0.2), (0.5, math.inf, 0.2), ("a", "b", "c"), (True, 0.1, 0.2), (0.5, None, 0.2), (10**400, 0, 0)),
]


@pytest.mark.parametrize("values", NO_CHANNELS, ids=repr)
def test_mean_and_deviation_that_are_not_three_finite_numbers_are_refused(root, values):
    assert f"got {values!r} and (" in refusal(lambda: load(root, mean=values))
    assert refusal(lambda: load(root, deviation=values)).endswith(f" and {values!r}.")


@pytest.mark.parametrize("values", [(0, 1, 1), (1, -1, 1)])
def test_a_deviation_that_is_not_above_0_is_refused(root, values):
    refuses(lambda: load(root, deviation=values), "deviation", "above 0", f"and {values!r}")


@pytest.mark.parametrize("form", [tuple, list, np.array, lambda v: torch.tensor(v, dtype=torch.float64)])
def test_three_numbers_may_come_as_a_tuple_a_list_an_array_or_a_tensor(form):
    assert check_channels(form(USUAL), form((1, 2, 3))) == (USUAL, (1.0, 2.0, 3.0))


@pytest.mark.parametrize("device", ["nonsense", "", "cuda:x", "\ud800"])
def test_a_device_that_torch_does_not_know_is_refused(root, device):
    refuses(lambda: load(root, device=device), "device", repr(device), "'cpu'", "'cuda'")


@pytest.mark.parametrize("device", [None, 0, 1.5, b"cpu", ["cpu"]])
def test_a_device_that_is_no_name_is_refused(root, device):
    refuses(lambda: load(root, device=device), "device", f"got {device!r} of type {type(device).__name__}")


@pytest.mark.parametrize("device", ["meta", "cuda:77", "hpu", torch.device("meta")])
def test_a_device_that_is_not_here_is_refused_before_anything_is_converted(root, device, tmp_path):
    said = refusal(lambda: load(root, device=device, cache=tmp_path / "cache"))
    assert said.startswith(f"device {str(device)!r} ")  # then torch's own words
    assert "'cpu'" in said
    assert "\n" not in said
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_the_processor_is_always_there(device):
    assert check_device(device) == torch.device("cpu")


@pytest.mark.parametrize("room", [-1, "all", 1e9, True, math.nan])
def test_room_that_is_no_number_of_bytes_is_refused(root, room):
    refuses(lambda: load(root, room=room), "room", "at least 0", f"got {room!r}", "bytes")


@pytest.mark.parametrize("progress", [5, "told", []])
def test_progress_that_cannot_be_called_is_refused(root, progress):
    named = "progress", f"got {progress!r} of type {type(progress).__name__}"
    refuses(lambda: load(root, progress=progress), *named, "part")
    for job in (
        lambda: load(root, progress=lambda name: progress),
        lambda: convert(find_photos("own", root), "train", root / "cache", size=12, progress=progress),
    ):
        refuses(job, *named, "images")
