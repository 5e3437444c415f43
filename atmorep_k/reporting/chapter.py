"""What a page tells of one run, evaluation or prediction."""

import dataclasses

from atmorep_k.reporting.section import Section


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
