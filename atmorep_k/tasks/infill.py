"""Gaps in a record filled with predictions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from atmorep_k.tasks.question import FieldsQuestion, function_of, option, question_dataclass

if TYPE_CHECKING:
    from atmorep_k.inference.request import Task


@question_dataclass
class Infill(FieldsQuestion):
    """Fill gaps in a record from what is known around them.

    TIME is the first hour of a window. The tokens in which a value of a predicted field is missing
    (NaN or infinite) are masked and predicted, each level for itself; known values stay as they
    are. Windows without gaps are not predicted. Where so much is missing that a model would see
    nothing of a window, the gap stays; a warning says so. Fields that are input only must have no
    gaps.

    Returns:
        As `forecast`, all hours of the window. Where a value is known all members have it; where
        it is missing, they are predicted and `<field>_hidden` is true. NaN where nothing could be
        predicted.

    Raises:
        UserError: if something does not fit or nothing is missing; checked before work begins.
    """

    name = "infill"
    heading = "Infilling of missing values"
    example = (
        "runs/pretrain_field --store demo --time 2000-01-18T00 --block 30 60 0 60 "
        "--output filled.nc"
    )

    block: Sequence[float] | None = option(
        "South, north, west and east in degrees: known values of all predicted fields to mask as "
        "well, for comparison.",
        default=None,
        metavar="S N W E",
        count=4,
    )
    hours: Sequence[float] | None = option(
        "First and last hour of the block, counted from TIME.",
        default=None,
        metavar="A B",
        count=2,
        default_text="the whole window",
    )

    def _task(self) -> "Task":
        from atmorep_k.tasks.gaps import filling

        return filling(self.block, self.hours)


infill = function_of(Infill)
