"""Write the scores of a prediction into a directory."""

from pathlib import Path

import xarray as xr

from atmorep_k.evaluation.predictions.figures import draw_scores
from atmorep_k.evaluation.predictions.tables import write_tables
from atmorep_k.files import check_output, writing_whole

_MARK = "scores.csv"


def check_directory(directory: Path, overwrite: bool) -> None:
    """Check that scores may be written into a directory, before any work.

    Raises:
        UserError: if it exists and is not to be replaced, or holds anything but scores.
    """
    check_output(
        directory, overwrite, kind="an evaluation", is_ours=lambda p: (p / _MARK).is_file()
    )


def write_scores(scores: xr.Dataset, directory: Path) -> Path:
    """Write tables and pictures into a directory, which appears when it is complete.

    Args:
        scores: as `evaluate` gives them.
        directory: where to.

    Raises:
        UserError: if it cannot be written.
    """
    with writing_whole(directory) as partial:
        partial.mkdir()
        write_tables(scores, partial)
        draw_scores(scores, partial)
    return directory
