"""The lab that trains in a web page, and the same in the kit.

    ebll.web.write_page("lab.html")               # one file, for a browser: no kernel, no server, no network
    ebll.web.Lab(state="new=mnist&alpha=1")       # a widget, for a notebook
    ebll.web.run(new="mnist", alpha=1.0)          # what the page does, in the kit

`lab.js` is one ES module (`export default { render }`), for a page, a slide or anywidget; `lab_data` is what it needs.
"""

from __future__ import annotations

from .export import lab_data, write_page
from .setting import WebConfig, run
from .widget import Lab

__all__ = ["Lab", "WebConfig", "lab_data", "run", "write_page"]
