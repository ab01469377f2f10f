"""Pages of the public API, from the docstrings as they stand: aligned text, with their mathematics."""

from __future__ import annotations

import contextlib
import html
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from nbconvert.filters.markdown_mistune import markdown2html_mistune
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

__all__ = ["contents", "modules"]

EBLL = importlib.import_module("ebll")

INTERNAL = {"cli", "files", "site"}  # of no use in a program of one's own


def modules() -> dict[str, ModuleType]:
    """name -> module, of those that a program of one's own may use; without the packages that one of them lacks."""
    names = [made.name for made in pkgutil.iter_modules(EBLL.__path__) if not made.name.startswith("_")]
    return {name: importlib.import_module(f"ebll.{name}") for name in names if name not in INTERNAL}


def contents(modules: dict[str, ModuleType]) -> Iterator[str]:
    """HTML of the page on all of ebll, then of one page a module."""
    yield _overview(modules)
    for name, module in modules.items():
        yield _of_module(name, module)


def _overview(modules: dict[str, ModuleType]) -> str:
    rows = "".join(
        f'<tr><td><a href="ebll/{name}.py"><code>ebll.{name}</code></a></td><td>{_text(_first(module))}</td></tr>'
        for name, module in modules.items()
    )
    head = "<thead><tr><th>module</th><th>what it holds</th></tr></thead>"
    return f"<h1>The library</h1>{_doc(EBLL)}<table>{head}<tbody>{rows}</tbody></table>"


def _of_module(name: str, module: ModuleType) -> str:
    """Each public name with its signature, its docstring and its folded source."""
    parts, elsewhere = [f"<h1><code>ebll.{name}</code></h1>", _doc(module)], []
    for key in getattr(module, "__all__", ()):
        value = getattr(module, key)
        home = str(getattr(value, "__module__", "")).split(".")
        if home[0] == "ebll" and home[1:2] not in ([], [name]):
            elsewhere.append(f'<a href="ebll/{home[1]}.py">{key}</a>')
        elif not inspect.ismodule(value):
            parts.extend(_entry(2, key, value))
            for inner, method in _methods(value):
                parts.extend(_entry(3, f"{key}.{inner}", method))
    if elsewhere:
        parts.append(f"<p>Also to be had from here: {', '.join(elsewhere)}.</p>")
    return "".join(parts)


def _methods(value: Any) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class defines and describes itself."""
    for key, member in vars(value).items() if inspect.isclass(value) else ():
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if not key.startswith("_") and inspect.isfunction(function) and function.__doc__:
            yield key, function


def _entry(level: int, name: str, value: Any) -> Iterator[str]:
    yield f'<h{level} id="{name}"><code>{name}</code></h{level}>'
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        listed = ", ".join(map(str, value)) if isinstance(value, dict | tuple | list | frozenset) else ""
        yield f'<div class="doc">{type(value).__name__}{": " if listed else ""}{_text(listed)}</div>'
        return
    with contextlib.suppress(ValueError):  # no signature, such as that of an exception
        shown = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(value)))  # no quotes around types
        yield f'<div class="signature">{_code(name.rpartition(".")[2] + shown)}</div>'
    yield _doc(value)
    yield f"<details><summary>Source of <code>{name}</code></summary>{_code(inspect.getsource(value))}</details>"


def _code(source: str) -> str:
    source = re.sub(r"<(?:function|class|object) (\S+)[^>]*>", r"\1", source)  # no address of this process's memory
    return highlight(source, PythonLexer(), HtmlFormatter(cssclass="highlight"))


def _doc(value: Any) -> str:
    """A docstring: prose as Markdown, and what is aligned in columns, or indented, as it stands."""
    parts = []
    text = re.sub(r" {2,}(?=\$)", " ", inspect.getdoc(value) or "")
    text = re.sub(r"\$[^$]+\$", lambda formula: " ".join(formula[0].split()), text)  # each on a line
    for block in re.split(r"\n{2,}", text):
        aligned = re.search(r"\S {2,}\S|^ {3}", block, re.M)
        parts.append(f'<div class="doc">{_text(block)}</div>' if aligned else markdown2html_mistune(block))
    return "".join(parts)


def _first(value: Any) -> str:
    return (inspect.getdoc(value) or "").partition("\n\n")[0]


def _text(text: str) -> str:
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", html.escape(text, quote=False))
