"""A folder of images as a task: layouts, resizing, broken files and links."""

import re

import numpy as np
import pytest
import torch
from messages import raises
from PIL import Image

from ebll.data import Task
from ebll.errors import InputError


def fill(root, counts, suffix="png"):
    """`counts` images a class; class number c in grey 60 * c + its own number."""
    for c, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.new("L", (40, 30), 60 * c + i).save(root / name / f"{i:02}.{suffix}")


def everywhere(root, image, **options):
    """A task of the same image four times in each of two classes."""
    for file in (root / name / f"{i}.png" for name in ("a", "b") for i in range(4)):
        file.parent.mkdir(exist_ok=True)
        image.save(file, **options)
    return Task.from_folder(root, size=8, channels=len(image.getbands()), standardise=False)


def greys(*splits):
    return [round(255 * grey) for split in splits for grey in split.inputs[:, 0, 0, 0].tolist()]


def all_of(task):
    return task.train, task.validation, task.test


def test_class_folders_are_split_into_three_by_the_seed(tmp_path):
    fill(tmp_path / "leaves", {"oak": 20, "ash": 10})
    before = torch.get_rng_state()
    task, again, other = (Task.from_folder(tmp_path / "leaves", size=8, standardise=False, seed=s) for s in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert (task.name, task.classes, task.source) == ("leaves", ("ash", "oak"), str(tmp_path / "leaves"))
    assert task.input_shape == (1, 8, 8)
    assert [len(part) for part in all_of(task)] == [20, 4, 6]
    assert greys(task.test) == greys(again.test) != greys(other.test)
    # Every picture lies in one split, with the label of its folder ("oak" was painted 0..19, "ash" 60..69).
    assert sorted(greys(*all_of(task))) == [*range(20), *range(60, 70)]
    for part in all_of(task):
        assert [grey < 60 for grey in greys(part)] == (part.labels == 1).tolist()
    standard = Task.from_folder(tmp_path / "leaves", "named", size=4)
    assert standard.name == "named"
    assert abs(standard.train.inputs.mean()) < 1e-5


@pytest.mark.parametrize("validation", ["val", "validation", None])
def test_split_folders_are_used_as_they_are(tmp_path, validation):
    parts = {"train": 10, "test": 4} | ({validation: 3} if validation else {})
    for part, count in parts.items():
        fill(tmp_path / part, {"a": count, "b": count}, suffix="jpg")
    task = Task.from_folder(tmp_path, size=6)
    sizes = (len(task.train), len(task.validation), len(task.test))
    assert sizes == ((20, 6, 8) if validation else (17, 3, 8))


def test_hidden_files_and_folders_and_other_files_are_passed_over_and_a_class_may_be_called_train(tmp_path):
    fill(tmp_path, {"bus": 5, "train": 5, ".ipynb_checkpoints": 5})
    (tmp_path / "bus" / "notes.txt").write_text("not an image")
    (tmp_path / "bus" / "._00.png").write_text("left by a file manager")
    task = Task.from_folder(tmp_path)
    assert task.classes == ("bus", "train")
    assert sum(map(len, all_of(task))) == 10


def test_colour_central_crop_sixteen_bits_and_photographs_turned_upright(tmp_path):
    middle = (10, 20, 30)
    image = Image.new("RGB", (60, 20), middle)
    image.paste((250, 0, 0), (0, 0, 15, 20))  # outside the central square
    task = everywhere(tmp_path, image)
    assert task.input_shape == (3, 8, 8)
    expected = torch.tensor(middle).view(1, 3, 1, 1).expand(len(task.test), 3, 8, 8) / 255
    torch.testing.assert_close(task.test.inputs, expected)
    deep = Image.fromarray(np.full((12, 12), 200 * 256 + 200, dtype=np.uint16))
    assert set(greys(everywhere(tmp_path, deep).train)) == {200}
    tall = np.zeros((8, 8), dtype=np.uint8)
    tall[:4] = 255  # white above
    exif = Image.Exif()
    exif[0x0112] = 3  # taken upside down
    image = everywhere(tmp_path, Image.fromarray(tall), exif=exif).train.inputs[0, 0]
    assert image[:4].max() == 0
    assert image[4:].min() == 1


@pytest.mark.parametrize("damage", ["text", "cut"])
def test_a_broken_image_is_named(tmp_path, damage):
    fill(tmp_path, {"a": 4, "b": 4})
    broken = tmp_path / "b" / "02.png"
    noise = np.random.default_rng(0).integers(0, 255, (40, 40), dtype=np.uint8)
    Image.fromarray(noise).save(broken)
    broken.write_bytes(b"no image" if damage == "text" else broken.read_bytes()[:400])
    with pytest.raises(InputError, match=rf"^{re.escape(str(broken))} .*: .*PNG or JPEG"):  # in it the words of Pillow
        Task.from_folder(tmp_path)


def test_a_class_may_be_a_link_to_a_folder_elsewhere_and_no_image_comes_twice(tmp_path):
    fill(tmp_path / "store", {"x": 5, "y": 5})
    (tmp_path / "leaves").mkdir()
    for name, kept in [("ash", "x"), ("oak", "y")]:
        (tmp_path / "leaves" / name).symlink_to(tmp_path / "store" / kept, target_is_directory=True)
    task = Task.from_folder(tmp_path / "leaves", size=4, standardise=False)
    assert sorted(greys(*all_of(task))) == [*range(5), *range(60, 65)]
    for number, aim in enumerate(["..", "../..", "../../ash"]):
        root = tmp_path / f"twice{number}"
        fill(root, {"ash": 5, "oak": 5})
        (root / "oak" / "more").mkdir()
        (root / "oak" / "more" / "link").symlink_to(aim, target_is_directory=True)
        with raises(InputError, "same file"):  # which of the two comes first is the file system's choice
            Task.from_folder(root, size=4)


def test_a_link_from_test_to_train_is_refused(tmp_path):
    for part in ("train", "test"):
        fill(tmp_path / part, {"ash": 5, "oak": 5})
    file = next((tmp_path / "test" / "oak").iterdir())
    file.unlink()
    file.symlink_to(next((tmp_path / "train" / "oak").iterdir()))
    with raises(InputError, file, "link"):
        Task.from_folder(tmp_path, size=4)
