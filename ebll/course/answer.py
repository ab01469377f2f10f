"""One submitted answer in a process of its own: what it needs of its notebook, then the check.

This module is imported before any answer runs, so it imports all that checks need.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import symtable
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import torch
import torch._dynamo  # the first optimizer of a process would, for seconds

from ebll import widgets  # noqa: F401 - for `least_alpha`
from ebll.course import checks
from ebll.course.exercise import CheckFailed, Exercise
from ebll.course.limits import restrict

__all__ = ["program", "run"]

NOT_READ = SyntaxError, ValueError, RecursionError, MemoryError
"""What reading a cell may raise that is no Python, or nested too deep."""
WRONG = dict.fromkeys("ABCD", "late warm-up")
"""An answer that is wrong in every exercise that is no function."""


def program(cells: Sequence[str], name: str) -> ast.Module | None:
    """The last cell that defines a name, and before it the statements of earlier cells that it depends on.

    cells    sources of the code cells; lines that begin with % or ! are left out
    returns  None if no cell defines it at module level, in the branch of an `if` or the like included
    """
    cells = [re.sub(r"^[%!].*$", "", cell, flags=re.M) for cell in cells]
    at = next((i for i in reversed(range(len(cells))) if _defines(cells[i], name)), None)
    if at is None:
        return None
    body = ast.parse(cells[at]).body
    (_, wanted), statements = _names(cells[at]), []
    for cell in cells[:at]:
        with contextlib.suppress(*NOT_READ):  # of another exercise, perhaps
            statements += [(statement, *_names(ast.unparse(statement))) for statement in ast.parse(cell).body]
    for statement, bound, used in reversed(statements):
        if bound & wanted or (isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*"):
            body.insert(0, statement)
            wanted |= used
    return ast.Module(body, [])


def _defines(cell: str, name: str) -> bool:
    try:
        return name in _names(cell)[0]
    except NOT_READ:  # by its text, so that the fault is told
        return bool(re.search(rf"^(?:async )?def {name}\b|^{name}\s*[:=](?!=)", cell, re.M))


def _names(source: str) -> tuple[set[str], set[str]]:
    """The names of a notebook that a piece of it binds, and those that it uses, inside functions too."""
    top = symtable.symtable(source, "answer", "exec")

    def used(table: symtable.SymbolTable) -> set[str]:
        own = {s.get_name() for s in table.get_symbols() if s.is_referenced() and (table is top or s.is_global())}
        return own.union(*map(used, table.get_children()))

    bound = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    for node in ast.walk(ast.parse(source)):  # settings["a"] = 1 changes what a name stands for
        if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
            bound |= {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)}
    return bound, used(top)


def run(
    pipe: Connection, folder: str, nonce: str, seconds: float, cells: Sequence[str], exercise: str, name: str
) -> None:
    """Write b"+" when the answer begins, and [nonce, verdict, mistake, detail] as a line of JSON when it has ended."""
    torch.set_num_threads(1)
    check, told = getattr(checks, exercise), pipe.fileno()
    restrict(folder, told, seconds)
    os.write(told, b"+")
    verdict = [part[:200] for part in _verdict(check, cells, name)]
    os.write(told, json.dumps([nonce, *verdict]).encode() + b"\n")
    os._exit(0)


def _verdict(check: Callable[[Any], None], cells: Sequence[str], name: str) -> tuple[str, str, str]:
    sound = _control(check)
    try:
        made = program(cells, name)
        if made is None:
            return "no such cell", "", ""
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(ast.fix_missing_locations(made), "<answer>", "exec"), names)
        check(names[name])
    except CheckFailed as error:
        if error.mistake == "stopped" and error.__cause__:
            return "error", "", _told(error.__cause__)
        return ("not attempted", "", "") if error.mistake == "unwritten" else ("wrong", error.mistake, "")
    except NotImplementedError:  # nbgrader's placeholder
        return "not attempted", "", ""
    except BaseException as error:
        return "error", "", _told(error)
    return ("right", "", "") if sound() else ("error", "", "the answer changes the check")


def _told(error: BaseException) -> str:
    return traceback.format_exception_only(error)[-1].strip()


def _control(check: Callable[[Any], None]) -> Callable[[], bool]:
    """Whether the check still tells right from wrong, whatever an answer has put in the place of its parts."""
    right = check.right if isinstance(check, Exercise) else None

    def off(*arguments: Any) -> Any:
        value = right(*arguments)
        return [part * 1.37 + 0.011 for part in value] if isinstance(value, list) else value * 1.37 + 0.011

    def sound() -> bool:
        try:
            if right:
                check(right)
        except CheckFailed:
            return False
        try:
            check(off if right else WRONG)
        except CheckFailed:
            return True
        return False

    return sound
