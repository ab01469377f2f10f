"""What callers hand to the photo sets is taken in every usual form, and anything else refused in words."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from photo_rig import coded, write_photos

from ebll.errors import InputError
from ebll.paper.plan import PaperSettings
from ebll.photos import PhotoSettings, default_cache, find_photos, load_photos, open_store, photos_table
from ebll.photos.arguments import check_channels, check_device
from ebll.photos.convert import convert

TINY = PhotoSettings(stored=12, size=8, versions=2)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    write_photos(root, "own", train=(coded(range(6), 12), labels), test=(coded(range(6), 12), labels))
    return root


def refusal(job):
    with pytest.raises(InputError) as caught:
        job()
    return str(caught.value)


def load(root, **options):
    return load_photos(**{"name": "own", "root": root, "settings": TINY, "workers": 1, **options})


@pytest.mark.parametrize("name", [None, 5, b"own", ["own"]])
def test_a_name_that_is_no_text_and_no_path_is_refused(root, name):
    for job in (lambda: load(root, name=name), lambda: find_photos(name, root)):
        assert refusal(job) == (
            "photos are called by a name (flowers, scenes, birds, imagenet) or by a folder's path; got "
            f"{name!r} of type {type(name).__name__}."
        )


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
        assert refusal(job) == f"{argument} takes a path; got {place!r}."
    if place is not None:
        assert refusal(lambda: load(root, cache=place)) == f"cache takes a path; got {place!r}."


def test_the_home_of_somebody_who_is_not_known_is_refused_wherever_a_folder_is_named(root):
    place = "~nosuch/x"
    for argument, job in (
        ("root", lambda: load(place)),
        ("root", lambda: photos_table(Path(place))),
        ("photos", lambda: load(root, name=place)),
        ("cache", lambda: load(root, cache=place)),
        ("folder", lambda: open_store(place)),
    ):
        assert refusal(job).startswith(f"{argument}: there is no home directory for '~nosuch/x'.")


@pytest.mark.parametrize("settings", [{}, {"size": 8}, PaperSettings(), "tiny", 0])
def test_settings_of_another_kind_are_refused(root, settings):
    said = refusal(lambda: load(root, settings=settings))
    assert said == f"settings takes PhotoSettings(...); got {type(settings).__name__}."


USUAL = (0.5, 0.1, 0.2)
NO_CHANNELS = [
    *(None, 0.5, "abc", {1, 2, 3}, (), (0.5, 0.1), USUAL * 2, torch.ones(2, 3), np.array(0.5)),
    *((math.nan, 0.1, 0.2), (0.5, math.inf, 0.2), ("a", "b", "c"), (True, 0.1, 0.2), (0.5, None, 0.2), (10**400, 0, 0)),
]


@pytest.mark.parametrize("values", NO_CHANNELS, ids=repr)
def test_mean_and_deviation_that_are_not_three_finite_numbers_are_refused(root, values):
    begin = "mean and deviation are three numbers each, a deviation above 0; got "
    assert refusal(lambda: load(root, mean=values)).startswith(f"{begin}{values!r} and (")
    assert refusal(lambda: load(root, deviation=values)).endswith(f" and {values!r}.")


@pytest.mark.parametrize("values", [(0, 1, 1), (1, -1, 1)])
def test_a_deviation_that_is_not_above_0_is_refused(root, values):
    assert refusal(lambda: load(root, deviation=values)).endswith(f" and {values!r}.")


@pytest.mark.parametrize("form", [tuple, list, np.array, lambda v: torch.tensor(v, dtype=torch.float64)])
def test_three_numbers_may_come_as_a_tuple_a_list_an_array_or_a_tensor(form):
    assert check_channels(form(USUAL), form((1, 2, 3))) == (USUAL, (1.0, 2.0, 3.0))


@pytest.mark.parametrize("device", ["nonsense", "", "cuda:x", "\ud800"])
def test_a_device_that_torch_does_not_know_is_refused(root, device):
    said = refusal(lambda: load(root, device=device))
    assert said == f"device: torch knows none called {device!r}. Name 'cpu', or 'cuda' for a GPU."


@pytest.mark.parametrize("device", [None, 0, 1.5, b"cpu", ["cpu"]])
def test_a_device_that_is_no_name_is_refused(root, device):
    said = refusal(lambda: load(root, device=device))
    assert said == f"device takes a name such as 'cpu' or 'cuda'; got {device!r} of type {type(device).__name__}."


@pytest.mark.parametrize("device", ["meta", "cuda:77", "hpu", torch.device("meta")])
def test_a_device_that_is_not_here_is_refused_before_anything_is_converted(root, device, tmp_path):
    said = refusal(lambda: load(root, device=device, cache=tmp_path / "cache"))
    assert said.startswith(f"device {str(device)!r} cannot be used here: ")
    assert said.endswith(". Use 'cpu'.")
    assert "\n" not in said
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_the_processor_is_always_there(device):
    assert check_device(device) == torch.device("cpu")


@pytest.mark.parametrize("room", [-1, "all", 1e9, True, math.nan])
def test_room_that_is_no_number_of_bytes_is_refused(root, room):
    said = refusal(lambda: load(root, room=room))
    assert said.startswith(f"room must be a whole number of at least 0; got {room!r}")
    assert said.endswith("It is a number of bytes; None takes half of what is free.")


@pytest.mark.parametrize("progress", [5, "told", []])
def test_progress_that_cannot_be_called_is_refused(root, progress):
    words = f"or None; got {progress!r} of type {type(progress).__name__}."
    assert refusal(lambda: load(root, progress=progress)) == f"progress takes a function of a part's name, {words}"
    for job in (
        lambda: load(root, progress=lambda name: progress),
        lambda: convert(find_photos("own", root), "train", root / "cache", size=12, progress=progress),
    ):
        assert refusal(job) == f"progress takes a function of images done and of how many, {words}"
