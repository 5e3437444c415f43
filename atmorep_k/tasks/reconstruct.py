"""Reconstruction: random tokens are masked and predicted."""

from typing import TYPE_CHECKING

from atmorep_k.tasks.question import FieldsQuestion, function_of, option, question_dataclass

if TYPE_CHECKING:
    from atmorep_k.inference.request import Task


@question_dataclass
class Reconstruct(FieldsQuestion):
    """Mask random tokens and predict them from the others.

    This is what models are trained for. TIME is the first hour of a window. Windows do not share
    points: where the last one would, its tokens count only outside the one before it.

    Returns:
        As `forecast`, all hours of the window: NaN where nothing was masked; `<field>_hidden`
        tells where something was.

    Raises:
        UserError: if something does not fit; checked before work begins.
    """

    name = "reconstruct"
    heading = "Random tokens masked"
    example = "runs/pretrain_field --store demo --time 2000-01-18T00 --ratio 0.7 --output masked.nc"

    ratio: float = option("Share of the tokens to mask.", default=0.5)
    seed: int = option("Seed of the choice, which depends on time and place too.", default=0)

    def _task(self) -> "Task":
        from atmorep_k.inference.request import Task
        from atmorep_k.tasks.masked_parts import random_tokens

        masking_for = random_tokens(self.ratio, self.seed)
        title = "Reconstruction of random tokens"
        return Task("reconstruct", title, masking_for, at_random=True, seed=self.seed)


reconstruct = function_of(Reconstruct)
