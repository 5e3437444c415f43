"""A part of a chapter of a page."""

import dataclasses

from atmorep_k.reporting.blocks import Block


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading, and what stands below it.

    Args:
        title: the heading.
        blocks: what stands below it, see `blocks`.
    """

    title: str
    blocks: list[Block]
