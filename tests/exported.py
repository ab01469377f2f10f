"""What nbconvert, which JupyterLab brings along, makes of a notebook without being told anything."""

import base64
from html.parser import HTMLParser

import nbformat
from nbconvert import HTMLExporter


class Images(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.found.append(dict(attrs))


def exported_images(*outputs, cells=()):
    """(alt text, bytes) of each PNG in the HTML of a notebook of these cells, and one with these outputs."""
    cell = nbformat.v4.new_code_cell("figure", outputs=list(outputs), execution_count=1)
    page, _ = HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[*cells, cell]))
    start = "data:image/png;base64,"
    return [(i["alt"], base64.b64decode(i["src"].removeprefix(start), validate=True)) for i in Images(page).found]
