"""How the command line shows a prediction: progress, maps, a table of scores."""

import dataclasses
from pathlib import Path
from typing import Any

import click

from atmorep_k.console import bar, print_table
from atmorep_k.inference.output import plots_of
from atmorep_k.inference.request import Answer


def show_prediction(findings: Any, output: Path) -> list[Path]:
    """Prints scores to stderr and draws maps into `<stem of output>_plots`.

    Args:
        findings: has a `table()`, or a `remark` in its place, and `draw(directory)`.
        output: where the prediction was written to.

    Returns:
        The paths of the prediction and the maps.
    """
    if findings.remark:
        click.echo(findings.remark, err=True)
    else:
        print_table(findings.table(), stderr=True)
    return [output, *findings.draw(plots_of(output))]


def watched(question: Any, words: str, unit: str) -> Answer:
    """Returns the answer to a question, with a progress bar meanwhile.

    Args:
        question: a dataclass with `progress` and `answer()`.
        words: what is being done.
        unit: what it counts.
    """
    with bar(words, f"{unit}/s") as shown:
        return dataclasses.replace(question, progress=shown.advance).answer()
