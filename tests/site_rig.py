"""A kit of two notebooks, and what has to hold of every page of a site, read by a parser of our own."""

import base64
import posixpath
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag

import nbformat

from ebll.widgets.chart import LIVE

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
EMBEDDED = f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"
WAYS = {"href", "src", "srcset"}
LONE = {"meta", "link", "img", "br", "hr", "input", "source"}
LARGEST = 2_000_000  # bytes of a page beside what all share


class Read(HTMLParser):
    """A page's tags with their attributes and those that they stand in, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(text)
        self.text = "".join(self.texts)
        self.ids = [given["id"] for _, given, _ in self.tags if "id" in given]

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs), tuple(self.open)))
        if tag not in LONE:
            self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, name):
        return [given for tag, given, _ in self.tags if tag == name]


def faults(folder):
    """What is wrong with the pages of a site, a line each."""
    paths = [path for path in sorted(folder.rglob("*.html")) if path.name != "sweep.html"]  # that one has its own tests
    pages = {path.relative_to(folder).as_posix(): Read(path.read_text(encoding="utf-8")) for path in paths}
    for name, page in pages.items():
        if (size := (folder / name).stat().st_size) > LARGEST:
            yield f"{name}: {size} bytes"
        if len(page.all("h1")) != 1 or page.all("html") != [{"lang": "en"}] or len(page.all("title")) != 1:
            yield f"{name}: title, language or first heading"
        if len(set(page.ids)) != len(page.ids):
            yield f"{name}: an id twice"
        yield from (f"{name}: a picture without words" for given in page.all("img") if not given.get("alt"))
        for tag, given, _ in page.tags:
            for address in (given[way] for way in WAYS & set(given)):
                if address.startswith(("http:", "https:", "//")):
                    yield from [f"{name}: {tag} loads {address}"] * (tag != "a")
                elif not address.startswith(("data:", "mailto:")):
                    yield from unresolved(folder, pages, name, address)


def unresolved(folder, pages, name, address):
    path, anchor = urldefrag(address)
    target = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(path))) if path else name
    if not (folder / target).is_file():
        yield f"{name}: {address} is not there"
    elif anchor and target in pages and target != "lab.html" and unquote(anchor) not in pages[target].ids:
        yield f"{name}: {address} has no such place"


def markdown(source, **more):
    return nbformat.v4.new_markdown_cell(source, **more)


def code(source, *outputs, tags=(), **metadata):
    return nbformat.v4.new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags), **metadata})


def display(**data):
    return nbformat.v4.new_output("display_data", {f"text/{kind}": text for kind, text in data.items()})


def write(path, *cells):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), path)


TABLE = """<div><style scoped>th { top: 0 }</style><table border="1" class="dataframe"><thead><tr><th></th>
<th>moons</th></tr></thead><tbody><tr><th>EBLL</th><td>0.86</td></tr></tbody></table></div>"""


SLIDE = {"tags": ["slide"]}
LAB = display(html=f'<img alt="A lab." src="{EMBEDDED}">')
LAB["data"][LIVE] = {"chart": "lab", "content": "H4sI"}


def kit(root):
    """Two notebooks with each kind of cell and output, a glossary, equations and a README."""
    write(
        root / "notebooks" / "00_first.ipynb",
        markdown(
            "# A first look: what is lost\n\nWords stand in [the glossary](../docs/glossary.md#words-of-the-field).",
            metadata=SLIDE,
        ),
        code("shown = 'a < b'\nprint(shown)", nbformat.v4.new_output("stream", text="a < b\n")),
        markdown(
            "## What moves?\n\n![One image passes F.](attachment:flow.png)\n\nThe features $F(x)_i < 2$ move:\n\n"
            "$$\\tfrac12\\lVert F - F^*\\rVert_2^2$$\n\nGo on with `01b_second.ipynb`.",
            metadata=SLIDE,
            attachments={"flow.png": {"image/png": base64.b64encode(PIXEL).decode()}},
        ),
        code(
            "secret_figure()",
            display(html=f'<img alt="A &lt; B in 3 of 5 seeds." src="{EMBEDDED}">'),
            tags=["slide", "hidden"],
        ),
        code("frame", nbformat.v4.new_output("execute_result", {"text/html": TABLE, "text/plain": "moons"}), **SLIDE),
        code(
            "say()", display(markdown="**What we saw.** $F$ moves, see [04](01b_second.ipynb).", plain="What"), **SLIDE
        ),
        code("frame", nbformat.v4.new_output("execute_result", {"text/html": TABLE, "text/plain": "moons"})),
        code(
            "check()", nbformat.v4.new_output("error", ename="E", evalue="no", traceback=["not \x1b[31mwritten\x1b[0m"])
        ),
        markdown("<details><summary>Solution</summary>\n\n```python\nanswer = 42\n```\n\n</details>"),
    )
    write(
        root / "notebooks" / "01b_second.ipynb",
        markdown(
            "# The second\n\n## Twice\n\n## Twice\n\nBack to [the first](00_first.ipynb#what-moves), and [out](https://arxiv.org)."
        ),
        code("1 + 1", nbformat.v4.new_output("execute_result", {"text/plain": "2"})),
    )
    texts = {
        "notebooks/README.md": "# The notebooks\n\n| notebook | what it teaches |\n| --- | --- |\n"
        "| [`00_first.ipynb`](00_first.ipynb) | a look |\n| [`01b_second.ipynb`](01b_second.ipynb) | more |\n\n"
        "Guards are in [`source/`](source).\n\n| | later |\n| --- | --- |\n| 1 | 2 |\n",
        "docs/glossary.md": "# Glossary\n\n## Words of the field\n\n| word | meaning |\n| --- | --- |\n"
        "| head $`T_t`$ | reads $`a_{\\text{b}}`$ |\n\n[Numbers](numbers.csv), [code](../ebll/losses.py).\n",
        "docs/equations.md": "# Equations: all\n\n```math\nx^2\n```\n\nSee [above](#equations-all),"
        " [words](glossary.md).\n",
        "docs/numbers.csv": "a\n1\n",
        "notebooks/source/x.py": "",
        "README.md": "# kit\n\nThe first paragraph, [words](docs/glossary.md).\n\n<picture>\n  "
        '<source media="(prefers-color-scheme: dark)" srcset="docs/dark.png">\n  <img src="docs/light.png" '
        'alt="Flow.">\n</picture>\n\nThe second paragraph.\n',
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    for name in ("dark", "light"):
        (root / "docs" / f"{name}.png").write_bytes(PIXEL)
    return root
