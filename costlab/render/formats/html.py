"""HTML: a page for a browser, one file that is whole in itself."""

from __future__ import annotations

from costlab.render.document import Showable
from costlab.render.format import Format, Screen, writing


def _text(result: Showable, screen: Screen) -> str:
    from costlab.render.web.page import page  # with it comes the template engine

    return page(result, screen.made)


FORMAT = Format(
    "html", ("html", "htm"), "a browser", "page", writing(_text), package="jinja2", extra="pages"
)
