"""Forecasts beyond a window: each forecast becomes what the next one sees."""

from typing import TYPE_CHECKING, Literal, get_args

from atmorep_k.errors import UserError, unknown
from atmorep_k.tasks.question import Blended, GridQuestion, function_of, option, question_dataclass

if TYPE_CHECKING:
    from atmorep_k.inference.request import Answer, Task

Feed = Literal["members", "random", "mean"]


@question_dataclass
class Rollout(Blended, GridQuestion):
    """Forecast further than a window reaches.

    Each forecast becomes part of what the next one sees. TIME is the last hour that the model sees.
    Fields that are input only must be in their store for all hours. Memory holds one time: for each
    member, 4 bytes for every hour of a window, level and point, and for every hour forecast.

    Returns:
        As `forecast`, without a choice of fields; `number` numbers trajectories.

    Raises:
        UserError: if something does not fit; checked before work begins.
    """

    name = "rollout"
    heading = "Forecast, fed back"
    unit = "forecasts"
    example = (
        "runs/pretrain_field --store demo --time 2000-01-18T06 --hours 48 --overlap 1 1 "
        "--output rollout.zarr"
    )

    hours: float = option("How many hours to forecast, at least.")
    tokens: int = option("Time tokens to forecast at once.", default=1)
    feed: Feed = option(
        "What is fed back. members: each member is a trajectory, fed with what the same member "
        "forecasts; random: likewise, but members are drawn again each time; mean: all see the "
        "mean, so that the spread is that of a single forecast.",
        default="members",
    )
    seed: int = option("Seed of the draws.", default=0)

    def answer(self) -> "Answer":
        """Returns the trajectories, the model and the stores."""
        from atmorep_k.tasks.trajectories import Rounds, rolled_out

        if self.feed not in get_args(Feed):
            raise unknown("feed", self.feed, get_args(Feed))
        if not self.hours > 0:
            raise UserError(f"the hours to forecast must be more than 0, not {self.hours:g}.")
        rounds = Rounds(self.hours, self.feed, self.seed, self.overlap)
        return rolled_out(self.plan(), self._output(), rounds, self.progress)

    def _task(self) -> "Task":
        from atmorep_k.inference.request import Task
        from atmorep_k.tasks.masked_parts import last_tokens

        masking_for = last_tokens(self.tokens, further="")
        title = "Forecast by a model that is fed with its own forecasts"
        return Task("rollout", title, masking_for, after_hours=self.hours)


rollout = function_of(Rollout)
