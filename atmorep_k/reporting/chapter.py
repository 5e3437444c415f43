"""The parts of a page: chapters of sections."""

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


@dataclasses.dataclass(frozen=True)
class Chapter:
    """A title, a summary and sections.

    Args:
        kind: what it is about, in one word or two.
        title: its name.
        summary: one sentence.
        sections: what there is to show.
    """

    kind: str
    title: str
    summary: str
    sections: list[Section]
