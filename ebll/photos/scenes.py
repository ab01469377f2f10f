"""MIT's 67 kinds of indoor scenes, from the two lists that divide them."""

from __future__ import annotations

from pathlib import Path

from ebll.errors import InputError
from ebll.photos.listing import Listing, Part, PhotoSet, quoted, read_lines, refuse_absent, refuse_both, refuse_repeated

__all__ = ["read_scenes"]

Entry = tuple[int, str, str]  # number of the line, class, file


def read_scenes(base: Path, info: PhotoSet) -> Listing:
    """The listing of the scenes in `base`, in the order of the two lists; classes are in alphabetical order.

    Raises:
        InputError: a line that is no `class/file`, or has a class without training images, with its file and number;
            an image in both lists, or twice in one; an image that is not there.
    """
    lists = [base / "TrainImages.txt", base / "TestImages.txt"]
    train, test = (_entries(file) for file in lists)
    classes = tuple(sorted({kind for _, kind, _ in train}))
    order = {kind: label for label, kind in enumerate(classes)}
    for line, kind, _ in test:
        if kind not in order:
            raise InputError(
                f"{lists[1]}, line {line}: class {quoted(kind)} is not in {lists[0].name}. Fetch both again."
            )
    parts = [
        Part(tuple(f"Images/{kind}/{file}" for _, kind, file in found), tuple(order[kind] for _, kind, _ in found))
        for found in (train, test)
    ]
    refuse_both(base, parts[0].paths, parts[1].paths)
    for part, file in zip(parts, lists, strict=True):
        refuse_repeated(file, part.paths)
        refuse_absent(base, part.paths, file.name)
    return Listing(info.name, base, classes, *parts, source=info.source, licence=info.licence)


def _entries(file: Path) -> list[Entry]:
    found = []
    for line, text in read_lines(file):
        parts = text.replace("\\", "/").split("/")  # lists that went through Windows
        if len(parts) != 2 or not all(parts) or {".", ".."} & set(parts):
            raise InputError(f"{file}, line {line}: wanted class/file.jpg; got {quoted(text)}. Fetch it again.")
        found.append((line, *parts))
    return found
