"""A folder that holds the results of a sweep, a file a run, each written whole or not at all.

    folder/format.json             what the files are, for those who come later
    folder/runs/ab/ab12….json      a result: the text of its content, and a hash of that text
    folder/damaged/                files that do not hold what they should, set aside

Several processes may write into one folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ebll.config import RunConfig
from ebll.errors import EbllError, InputError, OutputError
from ebll.files import write_whole
from ebll.sweeps.single import RunResult
from ebll.sweeps.version import key_of, run_key

__all__ = ["Store"]

FORMAT = 1
_OWN = ("runs", "damaged", "format.json")
_KEPT = ("figures", "curves", "failure", "seconds")


class Store:
    """The results in a folder.

    write      make the folder if it is not there, and set damaged files aside; False changes nothing on the disk
    damaged    names of the files that did not hold what they should, since this object was made
    unknown    names of the files whose settings this version of ebll does not know; they stay where they are
    raises     `OutputError` where the folder cannot be written, `InputError` where it is no store or another version's
    """

    def __init__(self, folder: str | Path, *, write: bool = True) -> None:
        self.folder, self.damaged, self.unknown, self._writes = Path(folder), list[str](), list[str](), write
        about = self.folder / "format.json"
        if not write and not about.exists():
            raise InputError(
                f"{self.folder} holds no results of a sweep: name the folder that a sweep had as its store."
            )
        try:
            if write:
                self._make(about)
            found = json.loads(about.read_text(encoding="utf-8"))
        except OSError as error:
            raise OutputError(
                f"The results cannot go to {self.folder}: {error.strerror or error}. Name a folder that you may "
                "write to."
            ) from error
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise InputError(f"{about} is damaged: put back {_about()}, if that is so.") from None
        number = found.get("format") if isinstance(found, dict) else None
        if number != FORMAT:
            raise InputError(
                f"{self.folder} has results in format {number!r}; this version of ebll reads format {FORMAT}. Name "
                "another folder, or use the version that wrote it."
            )

    def _make(self, about: Path) -> None:
        if self.folder.exists() and not about.exists():
            # Another process may be making this very store; hidden files are its parts, or a file manager's.
            strange = [p.name for p in self.folder.iterdir() if p.name[0] != "." and p.name not in _OWN]
            if strange:
                raise InputError(f"{self.folder} is not empty and holds no sweep: name another folder for the results.")
        (self.folder / "runs").mkdir(parents=True, exist_ok=True)
        if not about.exists():
            write_whole(about, _about())

    def path(self, key: str) -> Path:
        """Where the result of a key is, or would be."""
        return self.folder / "runs" / key[:2] / f"{key}.json"

    def __contains__(self, config: RunConfig) -> bool:
        return self.path(run_key(config)).exists()

    def put(self, result: RunResult) -> None:
        """Write a result; one that is there already stays.

        raises  `OutputError` where it cannot be written
        """
        settings = result.config.canonical().as_dict()
        path = self.path(key_of(settings, result.code))
        if path.exists():
            return
        body = json.dumps({"config": settings, "code": result.code, **{name: getattr(result, name) for name in _KEPT}})
        try:
            path.parent.mkdir(exist_ok=True)
            write_whole(path, json.dumps({"sha256": _hash(body), "body": body}))
        except OSError as error:
            if path.exists():  # Windows refuses to replace a file that another process has just written and reads
                return
            raise OutputError(
                f"A result cannot be written to {path}: {error.strerror or error}. What was written before is kept; "
                "make room, and the same sweep goes on."
            ) from error

    def get(self, config: RunConfig) -> RunResult | None:
        """The result of a config, or None where there is none that holds what it should."""
        held = self._read(self.path(run_key(config)))
        return None if held is None else _result(config, held)

    def all(self) -> Iterator[RunResult]:
        """Every result that is here, also of other versions of the code, the latest written first."""
        dated = [(path.stat().st_mtime_ns, path) for path in self.folder.glob("runs/*/*.json")]
        for _, path in sorted(dated, reverse=True):
            held = self._read(path)
            if held is None:
                continue
            try:
                config = RunConfig.from_dict(held["config"])
            except EbllError:  # written by a version with other settings
                self.unknown.append(path.name)
                continue
            yield _result(config, held)

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            outer = json.loads(path.read_text(encoding="utf-8"))
            if outer["sha256"] != _hash(outer["body"]):
                raise ValueError("the hash is another one")
            held = json.loads(outer["body"])
            if key_of(held["config"], held["code"]) != path.stem:
                raise ValueError("it is the result of another run")
            return {name: held[name] for name in ("config", "code", *_KEPT)}
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(
                f"{path} cannot be read: {error.strerror or error}. Mend that, or name another store."
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError):
            self._set_aside(path)
            return None

    def _set_aside(self, path: Path) -> None:
        self.damaged.append(path.name)
        if self._writes:
            aside = self.folder / "damaged" / path.name
            aside.parent.mkdir(exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # another process has done so
                os.replace(path, aside)


def _result(config: RunConfig, held: dict[str, Any]) -> RunResult:
    return RunResult(config, *(held[name] for name in _KEPT), code=held["code"])


def _about() -> str:
    return json.dumps({"what": "results of ebll.sweep", "format": FORMAT})


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
