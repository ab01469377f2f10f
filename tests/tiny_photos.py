"""Tiny photo sets in exactly the published layouts: JPEGs of 40 x 30, whose colour tells their class.

numbers = write_flowers(tmp_path)                  # (classes, training images, test images)
counts(monkeypatch, "flowers", numbers)            # ... which now count as the published ones
listing = find_photos("flowers", tmp_path)
"""

import colorsys
import dataclasses

import numpy as np
import scipy.io
import torch
from PIL import Image
from torchvision.datasets import Flowers102

from ebll.paper.datasets import PHOTO_SETS

SIZE = (40, 30)  # width, height
WNIDS = ("n01440764", "n02012849", "n03126707", "n04599235")
NAMES = (("tench", "Tinca tinca"), ("crane",), ("crane",), ("wool", "woolen"))


def counts(monkeypatch, name, numbers):
    """Let (classes, training images, test images) be the published numbers of a set."""
    classes, train, test = numbers
    if name == "flowers":  # torchvision has names for the published classes, and the hashes of the published lists
        classes = 102
        monkeypatch.setattr(Flowers102, "_check_integrity", lambda self: True)
    changed = dataclasses.replace(PHOTO_SETS[name], classes=classes, train=train, test=test)
    monkeypatch.setitem(PHOTO_SETS, name, changed)


def colour(label):
    """The colour of a class, RGB 0 to 255: hues far from each other."""
    return np.array([round(255 * v) for v in colorsys.hsv_to_rgb(label * 0.381966 % 1, 0.8, 0.8)])


def photo(label, number, size=SIZE):
    """Image `number` of a class: its colour with noise, uint8 (height, width, 3)."""
    noise = np.random.default_rng([label, number]).normal(0, 20, (size[1], size[0], 3))
    return (colour(label) + noise).clip(0, 255).astype(np.uint8)


def write_photo(file, label, number, size=SIZE):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photo(label, number, size)).save(file, "JPEG", quality=90)


def write_flowers(root, classes=3, train=4, test=2):
    """`train` (half of them in trnid, half in valid) and `test` images of each class, in mixed order."""
    base, each = root / "flowers-102", train + test
    order = np.random.default_rng(0).permutation(classes * each) + 1  # the published numbers are in no order of classes
    labels, splits = np.zeros(classes * each, dtype=np.uint8), {"trnid": [], "valid": [], "tstid": []}
    for i, number in enumerate(order.tolist()):
        label, place = divmod(i, each)
        labels[number - 1] = label + 1
        splits["trnid" if place < train // 2 else "valid" if place < train else "tstid"].append(number)
        write_photo(base / f"jpg/image_{number:05d}.jpg", label, place)
    scipy.io.savemat(base / "imagelabels.mat", {"labels": labels})
    scipy.io.savemat(base / "setid.mat", {key: np.array(numbers, dtype=np.uint16) for key, numbers in splits.items()})
    return classes, classes * train, classes * test


def write_birds(root, classes=3, train=4, test=2):
    base, lines = root / "CUB_200_2011", {"images": [], "image_class_labels": [], "train_test_split": []}
    names = [f"{c + 1:03d}.Tiny_bird_{c}" for c in range(classes)]
    for label, name in enumerate(names):
        for i in range(train + test):
            number = len(lines["images"]) + 1
            write_photo(base / f"images/{name}/bird_{i:04d}.jpg", label, i)
            lines["images"].append(f"{number} {name}/bird_{i:04d}.jpg")
            lines["image_class_labels"].append(f"{number} {label + 1}")
            lines["train_test_split"].append(f"{number} {int(i < train)}")
    lines["classes"] = [f"{c + 1} {name}" for c, name in enumerate(names)]
    for file, text in lines.items():
        (base / f"{file}.txt").write_text("\n".join(text) + "\n")
    return classes, classes * train, classes * test


def write_scenes(root, classes=3, train=4, test=2):
    """With the line ends of Windows, blank lines, and blanks at the ends of lines."""
    base, lines = root / "indoor67", {"Train": [], "Test": []}
    for label, name in enumerate(["airport_inside", "bar", "winecellar", "zoo"][:classes]):
        for i in range(train + test):
            write_photo(base / f"Images/{name}/view {i}.jpg", label, i)
            lines["Train" if i < train else "Test"].append(f"{name}/view {i}.jpg  ")
    for part, found in lines.items():
        (base / f"{part}Images.txt").write_bytes("\r\n".join([*found, "", " "]).encode())
    return classes, classes * train, classes * test


def write_imagenet(root, classes=3, train=4, test=2, meta=True):
    base = root / "imagenet"
    for label, wnid in enumerate(WNIDS[:classes]):
        for i in range(train):
            write_photo(base / f"train/{wnid}/{wnid}_{i}.JPEG", label, i)
        for i in range(test):
            write_photo(base / f"val/{wnid}/ILSVRC2012_val_{label * test + i + 1:08d}.JPEG", label, train + i)
    if meta:
        wnids = [wnid for wnid in WNIDS[:classes] for _ in range(test)]
        torch.save((dict(zip(WNIDS, NAMES, strict=True)), wnids), base / "meta.bin")
    return classes, classes * train, classes * test


def write_folder(root, name="own", classes=3, train=4, test=2, parts=True):
    """A user's own: train/<class>/ and test/<class>/, or with parts=False all of them in <class>/."""
    for label in range(classes):
        for i in range(train + test):
            part = (("train" if i < train else "test") + "/") if parts else ""
            write_photo(root / name / f"{part}kind {label}/{i}.jpg", label, i)
    return classes, classes * train, classes * test


WRITERS = {"flowers": write_flowers, "birds": write_birds, "scenes": write_scenes, "imagenet": write_imagenet}
