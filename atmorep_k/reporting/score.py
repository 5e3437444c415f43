"""One score of a model or a baseline."""

from typing import NamedTuple


class Score(NamedTuple):
    """A score, whichever file it is from.

    Args:
        task: what was masked; of an evaluation the task of the prediction, or "".
        field: the field.
        level: the level in words, such as "500" or "surface".
        lead: hours after the last visible time; None: over all times.
        region: of an evaluation; "" for a run.
        model: "ensemble", "prediction", or a baseline.
        name: of the score, such as "rmse".
        value: NaN where it is not finite.
        low: end of the 95 % interval; NaN if it has no interval.
        high: likewise.
        units: of the value.
    """

    task: str
    field: str
    level: str
    lead: float | None
    region: str
    model: str
    name: str
    value: float
    low: float
    high: float
    units: str

    def differs(self, other: "Score") -> bool | None:
        """Returns whether the intervals of two scores have nothing in common; None without them."""
        ends = (self.low, self.high, other.low, other.high)
        if any(end != end for end in ends):
            return None
        return self.high < other.low or other.high < self.low
