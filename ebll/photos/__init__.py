"""The paper's photo sets: found and checked where they lie, converted once into squares of bytes, and read by row.

    photos_table("data/")                                       # what is there, what is missing, where to get it
    flowers = find_photos("flowers", "data/")                   # which files, checked against what is published
    store = open_store("data/ebll-cache/flowers-train-256")     # squares that `ebll.photos.convert` has made
    store.read([5, 3])                                          # uint8 (2, 256, 256, 3)
    task = load_photos("flowers", "data/")                      # all of that, as a task to learn
    skipped(task)                                               # files that were left out as unreadable

None of the sets comes with ebll, and some ask for registration; a missing one is answered with its official page.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ebll.photos.listing import Listing, Part, PhotoSet
    from ebll.photos.loading import PhotoSettings, load_photos
    from ebll.photos.sets import PHOTO_SETS, find_photos, photos_table
    from ebll.photos.split import PhotoSplit, skipped
    from ebll.photos.store import Store, default_cache, open_store

__all__ = [
    "PHOTO_SETS",
    "Listing",
    "Part",
    "PhotoSet",
    "PhotoSettings",
    "PhotoSplit",
    "Store",
    "default_cache",
    "find_photos",
    "load_photos",
    "open_store",
    "photos_table",
    "skipped",
]

# A list of the sets needs neither torch nor Pillow.
_ROOMS = {
    "Listing": "listing",
    "Part": "listing",
    "PhotoSet": "listing",
    "PHOTO_SETS": "sets",
    "find_photos": "sets",
    "photos_table": "sets",
    "Store": "store",
    "default_cache": "store",
    "open_store": "store",
    "PhotoSplit": "split",
    "skipped": "split",
    "PhotoSettings": "loading",
    "load_photos": "loading",
}


def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return getattr(importlib.import_module(f"ebll.photos.{_ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
