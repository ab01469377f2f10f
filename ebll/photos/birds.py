"""Caltech's 200 kinds of birds, from the four text files that name, label and divide them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ebll.errors import InputError
from ebll.photos.listing import (
    Listing,
    Part,
    PhotoSet,
    quoted,
    read_lines,
    refuse_absent,
    refuse_both,
    refuse_repeated,
    whole_number,
)

__all__ = ["read_birds"]

Numbered = dict[int, tuple[int, str]]  # number at a line's start: (number of the line, rest of it)


def read_birds(base: Path, info: PhotoSet) -> Listing:
    """The listing of the birds in `base`, in the order of images.txt.

    Raises:
        InputError: a line that cannot be used, with its file and number; an image that is there twice, or not at all.
    """
    classes, images = _numbered(base / "classes.txt"), _numbered(base / "images.txt")
    labels = _column(base / "image_class_labels.txt", images, classes, "a class of classes.txt")
    chosen = _column(base / "train_test_split.txt", images, (0, 1), "0 (test) or 1 (train)")
    order = {number: label for label, number in enumerate(sorted(classes))}
    parts: tuple[list[tuple[str, int]], ...] = ([], [])
    for number, (line, path) in images.items():
        inside = PurePosixPath(path)  # "a//b" and "a/./b" are the same file as "a/b"
        if inside.is_absolute() or ".." in inside.parts:
            raise InputError(
                f"{base / 'images.txt'}, line {line}: {quoted(path)} leads out of images/. Fetch it again."
            )
        parts[chosen[number]].append((f"images/{inside}", order[labels[number]]))
    test, train = (_part(pairs) for pairs in parts)
    refuse_both(base, train.paths, test.paths)
    refuse_repeated(base / "images.txt", (*train.paths, *test.paths))
    refuse_absent(base, (*train.paths, *test.paths), "images.txt")
    names = tuple(_plain(classes[number][1]) for number in order)
    return Listing(info.name, base, names, train, test, source=info.source, licence=info.licence)


def _part(pairs: list[tuple[str, int]]) -> Part:
    return Part(tuple(path for path, _ in pairs), tuple(label for _, label in pairs))


def _plain(name: str) -> str:
    """`001.Black_footed_Albatross` -> `Black footed Albatross`."""
    number, _, rest = name.partition(".")
    return (rest if number.isdigit() and rest else name).replace("_", " ")


def _numbered(file: Path) -> Numbered:
    found: Numbered = {}
    for line, text in read_lines(file):
        head, _, rest = text.partition(" ")
        number = whole_number(head)
        if number is None or not rest.strip():
            raise InputError(
                f"{file}, line {line}: wanted a number, a blank and a text; got {quoted(text)}. Fetch it again."
            )
        if number in found:
            raise InputError(f"{file}, line {line}: number {head} stands in line {found[number][0]} already.")
        found[number] = line, rest.strip()
    return found


def _column(file: Path, images: Numbered, allowed: Numbered | tuple[int, ...], what: str) -> dict[int, int]:
    """The whole number that `file` gives each image."""
    column = {}
    for number, (line, text) in _numbered(file).items():
        if number not in images:
            raise InputError(f"{file}, line {line}: image {number} is not in images.txt. Fetch both again.")
        value = whole_number(text)
        if value is None or value not in allowed:
            raise InputError(f"{file}, line {line}: wanted {what}; got {quoted(text)}. Fetch it again.")
        column[number] = value
    without = next((number for number in images if number not in column), None)
    if without is not None:
        raise InputError(f"{file} says nothing of image {without} of images.txt. Fetch both again.")
    return column
