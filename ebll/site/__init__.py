"""The course as a static site: every notebook with its outputs, the documents and the API, without server or network.

ebll.site.build("site")  # in the folder of the kit; the same as `ebll site site`
"""

from __future__ import annotations

from ebll.site.build import Site, build

__all__ = ["Site", "build"]
