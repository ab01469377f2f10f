"""Pages without a kernel: a sweep as one HTML file with sliders, for a course site, a memory stick or a lecture hall.

    ebll.pages.export("page.html")                   # the sweep that comes with the kit
    ebll.pages.export("page.html", "out/alphas")     # what `ebll sweep alphas.toml` left

`content` asks the sweep, `charts` says how it is drawn, `document` puts the page together, `writing` writes it. That
needs the extra: pip install "ebll[page]".
"""

from __future__ import annotations

from ebll.pages.writing import MOST_BYTES, export, size_words

__all__ = ["MOST_BYTES", "export", "size_words"]
