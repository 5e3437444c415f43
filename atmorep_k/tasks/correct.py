"""Another model's fields seen through a model: all of a window predicted from the rest of it."""

from typing import TYPE_CHECKING, Any, Literal

from atmorep_k.tasks.question import (
    Blended,
    FieldsQuestion,
    function_of,
    option,
    question_dataclass,
    store_option,
    store_pairs,
)

if TYPE_CHECKING:
    from atmorep_k.inference.request import Answer, Task


@question_dataclass
class Correct(Blended, FieldsQuestion):
    """Reconstruct the fields of another model from their neighbourhood.

    TIME is the first hour of a window. STORE holds the fields of the other model, on levels and a
    grid spacing that the model knows. Every token is masked in one of several passes over the same
    window and predicted from those that are visible then (`ComplementaryTokens`); the result
    consists of these predictions only. What the model has not learnt to expect from the
    neighbourhood does not come back.

    Returns:
        As `forecast`, all hours of the window; beside each `<field>`, `<field>_input` is what the
        store has and `<field>_difference` the mean of the members less that.

    Raises:
        UserError: if something does not fit; checked before work begins.
    """

    name = "correct"
    example = (
        "runs/pretrain_field --store other.zarr --time 2000-01-18T00 --truth demo "
        "--output corrected.zarr"
    )

    passes: int = option(
        "Passes over each window; each masks about 1 / PASSES of the tokens.", default=4
    )
    statistics: Literal["model", "store"] = option(
        "Source of the mean and standard deviation that normalise the input: model takes those of "
        "its training; store removes differences in each month's mean and variability. "
        "Predictions are always denormalised with those of the model.",
        default="model",
    )
    truth: str | None = store_option(
        "--truth",
        "Store, or 'demo', to compare both with; checked before work begins.",
        default=None,
    )

    def findings(self, answer: "Answer") -> Any:
        """Returns the correction beside its input and the truth."""
        from atmorep_k.tasks.correct_report import judge

        return judge(answer.prediction, answer.model, answer.stores)

    def _task(self) -> "Task":
        from atmorep_k.tasks.passes import Passes, correcting

        passes = Passes(self.store, store_pairs(self.stores), self.passes, self.statistics)
        return correcting(passes, self.truth)


correct = function_of(Correct)
