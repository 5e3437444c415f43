"""Chapters as one HTML page without anything outside it."""

import functools
from collections.abc import Sequence
from typing import Any

from atmorep_k._version import __version__
from atmorep_k.reporting.chapter import Chapter


def render(chapters: Sequence[Chapter], made: str) -> str:
    """Returns the page.

    Args:
        chapters: what it tells.
        made: when, in words.
    """
    title = f"{chapters[0].kind}: {chapters[0].title}"
    if len(chapters) > 1:
        title = f"{title} and {len(chapters) - 1} more"
    page = _templates().get_template("page.html")
    return page.render(chapters=chapters, title=title, made=made, version=__version__)


@functools.cache
def _templates() -> Any:
    import jinja2

    # All text is escaped; a name that a template misspells is an error, not an empty place.
    return jinja2.Environment(
        loader=jinja2.PackageLoader("atmorep_k.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
