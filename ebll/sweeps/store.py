"""A folder that holds the results of a sweep, a file a run, each written whole or not at all.

    folder/format.json       the version of the results, and the grid that was run last
    folder/runs/ab12….json   a result, named by a hash of its config

Several processes may write into one folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from ebll.config import RunConfig
from ebll.errors import InputError, OutputError
from ebll.files import write_whole
from ebll.sweeps.single import RunResult

__all__ = ["RESULTS_VERSION", "Store", "run_key"]

RESULTS_VERSION = 1
"""To be raised by hand when the same config gives other numbers, or the files change."""


def run_key(config: RunConfig) -> str:
    """A hash of the settings of a run that act, and of the version of the results."""
    text = json.dumps([config.canonical().as_dict(), RESULTS_VERSION], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Store:
    """The results in a folder; made where it is not there, unless `make` is False.

    damaged    names of the files that could not be read, since this object was made; their runs count as not done
    raises     `OutputError` where the folder cannot be written, `InputError` where it holds something else, or results
               of another version
    """

    def __init__(self, folder: str | Path, *, make: bool = True) -> None:
        self.folder, self.damaged = Path(folder), list[str]()
        self._about = self.folder / "format.json"
        try:
            if make and not self._about.exists():
                strange = [one.name for one in self.folder.glob("[!.]*") if one.name != "runs"]
                if strange:
                    raise InputError(f"{self.folder} is not empty and holds no sweep. Name another folder.")
                (self.folder / "runs").mkdir(parents=True, exist_ok=True)
                self.plan([])
            held = self._read_about()
        except FileNotFoundError:
            raise InputError(f"{self.folder} holds no sweep. Name the folder that a sweep had as its store.") from None
        except OSError as error:
            raise OutputError(
                f"The results cannot go to {self.folder}: {error.strerror or error}. Name a folder that you may "
                "write to."
            ) from error
        if held.get("results") != RESULTS_VERSION:
            raise InputError(
                f"{self.folder} holds results of version {held.get('results', 'unknown')}, which another ebll has "
                f"written; this one has version {RESULTS_VERSION}. Name another folder, or use that ebll."
            )

    def plan(self, configs: Iterable[RunConfig]) -> None:
        """Note which runs there will be, so that others can say how far the sweep is."""
        planned = [config.as_dict() for config in configs]
        write_whole(self._about, json.dumps({"results": RESULTS_VERSION, "planned": planned}))

    def planned(self) -> list[RunConfig]:
        """The runs of the sweep that was begun last."""
        return [RunConfig.from_dict(one) for one in self._read_about().get("planned", ())]

    def path(self, config: RunConfig) -> Path:
        """Where the result of a config is, or would be."""
        return self.folder / "runs" / f"{run_key(config)}.json"

    def put(self, result: RunResult) -> None:
        """Write a result.

        raises  `OutputError` where it cannot be written
        """
        held = asdict(result) | {"config": result.config.canonical().as_dict()}
        path = self.path(result.config)
        try:
            write_whole(path, json.dumps(held))
        except OSError as error:
            raise OutputError(
                f"A result cannot be written to {path}: {error.strerror or error}. What was written before is kept; "
                "make room, and the same sweep goes on."
            ) from error

    def get(self, config: RunConfig) -> RunResult | None:
        """The result of a config; None where there is none, or a damaged file."""
        path = self.path(config)
        return self._read(path) if path.exists() else None

    def read(self, but: Sequence[str] = ()) -> dict[str, RunResult]:
        """Name of a file -> the result in it, of all but those whose names are given."""
        names = sorted({path.name for path in (self.folder / "runs").glob("*.json")} - set(but))
        found = {name: self._read(self.folder / "runs" / name) for name in names}
        return {name: result for name, result in found.items() if result is not None}

    def _read(self, path: Path) -> RunResult | None:
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            result = RunResult(**held | {"config": RunConfig.from_dict(held["config"])})
            if run_key(result.config) != path.stem:
                raise ValueError("the result of another run")
            return result
        except (ValueError, TypeError, KeyError):  # InputError, for settings that this version does not know, is one
            self.damaged.append(path.name)
            return None

    def _read_about(self) -> dict:
        try:
            held = json.loads(self._about.read_text(encoding="utf-8"))
        except ValueError:
            held = None
        return held if isinstance(held, dict) else {}
