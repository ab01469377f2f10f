"""What a photo set is on the disk: its files in two parts, with labels, and what is published about them."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ebll.errors import InputError, check_choice

__all__ = [
    "PARTS",
    "Listing",
    "Part",
    "PhotoSet",
    "image_names",
    "quoted",
    "read_lines",
    "refuse_absent",
    "refuse_both",
    "refuse_no_files",
    "refuse_repeated",
    "shown",
    "some",
    "whole_number",
]

PARTS = ("train", "test")
_SHOWN = 5  # names in one error before it says "and more"
_DIGITS = 18  # of the largest number that is read
_LETTERS = 80  # of a line that an error quotes


class Part(NamedTuple):
    """The images of one part of a set.

    paths    of the files, relative to the set's folder, with "/" between
    labels   whole numbers from 0, one an image: positions in the set's class names
    """

    paths: tuple[str, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, repr=False)
class Listing:
    """Which files a set consists of.

    Attributes:
        name: what the set is called, also in the names of converted files.
        base: the folder that all paths start from.
        classes: class names; a label is a position in them.
        train, test: the two parts.
        source, licence: of the images, in words.
        mark: tells a folder of one's own from others of its name, by where it lies; empty for a published set.
        usual: whether it lies right under the data root, so that its name alone is enough.
    """

    name: str
    base: Path
    classes: tuple[str, ...]
    train: Part
    test: Part
    source: str
    licence: str
    mark: str = ""
    usual: bool = True

    def part(self, name: str) -> Part:
        """The part called `name`; raises `InputError` for any other than "train" and "test"."""
        return getattr(self, check_choice(name, PARTS, "part"))

    def __repr__(self) -> str:
        # A million paths are nothing to print.
        return (
            f"Listing({self.name!r}, {len(self.classes)} classes, {len(self.train.paths)} train and "
            f"{len(self.test.paths)} test images in {self.base})"
        )


@dataclass(frozen=True)
class PhotoSet:
    """What is published about a set, and how it must lie on the disk.

    Attributes:
        name: what `find_photos` takes.
        label: what the set is called elsewhere.
        classes: published number of classes.
        train, test: published numbers of images.
        source: address of the official page.
        licence: terms of use, in words.
        folders: names that the set's folder may have under the data root; the first is the usual one.
        needs: what must be in that folder; a name that ends in "/" is a folder's.
        layout: the same in words, for errors.
        read: (folder, what is published) -> Listing; raises `InputError` for split files that cannot be used.
        fetch: downloads the set into a data root, where that is possible; raises `DataMissing`.
        remark: what a reader of results should know, in words.
    """

    name: str
    label: str
    classes: int
    train: int
    test: int
    source: str
    licence: str
    folders: tuple[str, ...]
    needs: tuple[str, ...]
    layout: str
    read: Callable[[Path, PhotoSet], Listing]
    fetch: Callable[[Path], None] | None = None
    remark: str = ""

    def look(self, root: Path) -> tuple[Path, tuple[str, ...]]:
        """(the set's folder under `root`, paths that are missing there); lists no files."""
        names = [name for name in self.folders if (root / name).is_dir()]
        base = root / (names or self.folders)[0]
        if not names:
            return base, (f"{base}/",)
        return base, tuple(f"{base}/{need}" for need in self.needs if not _is_there(base, need))


def _is_there(base: Path, need: str) -> bool:
    return (base / need).is_dir() if need.endswith("/") else (base / need).is_file()


def read_lines(file: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, text without blanks at its ends) of each line of a text file that is not blank.

    Raises:
        InputError: the file cannot be read, or holds no text.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as text: {error}. Fetch it again.") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, line.strip()


def image_names(folder: Path) -> list[str]:
    """Names of the image files right in `folder`, in order; hidden files are passed over, and none is opened."""
    from torchvision.datasets.folder import IMG_EXTENSIONS

    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.name.lower().endswith(IMG_EXTENSIONS) and not entry.name.startswith(".") and entry.is_file()
        )


def refuse_absent(base: Path, paths: Iterable[str], named_in: str) -> None:
    """Raise `InputError` where a path of `paths` is not under `base`, or no file; each folder is looked into once.

    named_in   the file that names the paths, for the error
    """
    wanted: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        wanted[os.path.dirname(path)].append(path)
    absent, strange = [], []
    for folder, inside in wanted.items():
        here = _files_by_name(base / folder)
        absent += [path for path in inside if os.path.basename(path) not in here]
        strange += [path for path in inside if not here.get(os.path.basename(path), True)]
    if absent:
        raise InputError(
            f"{base}: {some(absent, 'image')} named in {named_in} {'is' if len(absent) == 1 else 'are'} not there: "
            f"{shown(absent)}. Unpack or fetch the set again."
        )
    refuse_no_files(base, strange)


def _files_by_name(folder: Path) -> dict[str, bool]:
    """Name -> whether it is a file, of what is right in `folder`; nothing where there is no such folder."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: entry.is_file() for entry in entries}


def refuse_no_files(base: Path, strange: Sequence[str]) -> None:
    """Raise `InputError` if there are paths that are named as images and are no files: reading a pipe waits forever."""
    if strange:
        raise InputError(
            f"{base}: {some(strange, 'image')} {'is' if len(strange) == 1 else 'are'} no file, but a folder, a pipe or "
            f"a link that leads nowhere: {shown(strange)}. Put the image there, or take the name away."
        )


def refuse_repeated(file: Path, paths: Iterable[str]) -> None:
    """Raise `InputError` where `file` names an image twice: it could come into training and validation both."""
    repeated = [path for path, count in Counter(paths).items() if count > 1]
    if repeated:
        raise InputError(
            f"{file} names {some(repeated, 'image')} more than once: {shown(repeated)}. Fetch it again, or take out "
            "what is there twice."
        )


def refuse_both(base: Path, one: Iterable[str], other: Iterable[str], names: tuple[str, str] = PARTS) -> None:
    """Raise `InputError` where an image stands in two parts, which are called `names`."""
    both = sorted(set(one) & set(other))
    if both:
        raise InputError(
            f"{base}: {some(both, 'image')} in both {names[0]} and {names[1]}: {shown(both)}. Fetch the set again, or "
            "take them out of one of the two."
        )


def some(items: Sequence[object], what: str) -> str:
    """How many there are: "1 image", "7 images"."""
    return f"{len(items)} {what}{'' if len(items) == 1 else 's'}"


def whole_number(text: str) -> int | None:
    """The whole number from 0 that a text says in digits, or None; those too long to be one are none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def quoted(text: str) -> str:
    """A text from a file in quotes, cut off where it is long."""
    return repr(text) if len(text) <= _LETTERS else f"{text[:_LETTERS]!r}..."


def shown(items: Sequence[object], limit: int = _SHOWN) -> str:
    """The first few items, comma separated, and how many more there are."""
    more = len(items) - limit
    return ", ".join(str(item) for item in items[:limit]) + (f" and {more} more" if more > 0 else "")
