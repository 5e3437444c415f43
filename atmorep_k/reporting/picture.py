"""Pictures that a page carries within itself."""

import base64
import dataclasses
import io
from pathlib import Path

from atmorep_k.errors import UserError
from atmorep_k.figures import plots

# Larger ones are made smaller, so that a page can be sent by mail.
MOST_PIXELS = 2400


@dataclasses.dataclass(frozen=True)
class Picture:
    """A PNG as a data URI.

    Args:
        uri: the picture itself.
        width: pixels.
        height: pixels.
        alt: what it shows, for those who do not see it.
        is_map: whether its colours are values, which must stay as they are on a dark page.
        caption: what stands below it.
    """

    uri: str
    width: int
    height: int
    alt: str
    is_map: bool = False
    caption: str = ""

    @classmethod
    def of_file(cls, path: Path, alt: str, **options) -> "Picture":
        """Returns the picture in a file, made smaller where it is larger than `MOST_PIXELS`.

        Raises:
            UserError: if it cannot be read.
        """
        try:
            return cls.of_bytes(Path(path).read_bytes(), alt, **options)
        except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for broken files
            raise UserError(f"{path} cannot be read as a picture: {error}.") from error

    @classmethod
    def of_figure(cls, figure, alt: str, **options) -> "Picture":
        """Returns a figure of matplotlib as a picture."""
        stream = io.BytesIO()
        plots.save_to(figure, stream)
        return cls.of_bytes(stream.getvalue(), alt, **options)

    @classmethod
    def of_bytes(cls, png: bytes, alt: str, **options) -> "Picture":
        """Returns the picture that the bytes of a PNG hold."""
        from PIL import Image

        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            image.load()
            if max(image.size) > MOST_PIXELS:
                image.thumbnail((MOST_PIXELS, MOST_PIXELS))
                stream = io.BytesIO()
                image.save(stream, "PNG", optimize=True)
                png = stream.getvalue()
            uri = "data:image/png;base64," + base64.b64encode(png).decode()
            return cls(uri, *image.size, alt, **options)
