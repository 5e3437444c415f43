"""Pictures that no test looks at are not rendered, which takes a second or two for each map."""

from contextlib import contextmanager

import pytest
from matplotlib.figure import Figure
from PIL import Image


@contextmanager
def blank_pictures():
    """Makes figures save white pictures of their size; all that draws into them runs."""
    rendered = Figure.savefig

    def save(figure, target, *arguments, **options):
        if options.get("format") != "png":
            return rendered(figure, target, *arguments, **options)
        size = (round(options["dpi"] * inches) for inches in figure.get_size_inches())
        Image.new("RGB", tuple(size), "white").save(target, "PNG")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        yield
