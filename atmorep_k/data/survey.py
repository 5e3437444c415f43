"""What a check remembers of a variable while its blocks stream by in the order of time."""

from collections.abc import Sequence

import numpy as np

from atmorep_k.data.block_summary import BlockSummary
from atmorep_k.data.patches import Patch, merge

# On fewer points two steps may be equal by chance, or by rounding.
_FEW_POINTS = 32


class Survey:
    """The sum of all blocks of a variable: a few numbers for each level and month of the record.

    Args:
        time: `(time,)` datetime64 of the record.
        levels: number of levels.

    Attributes:
        low: `(level,)` smallest finite value.
        high: `(level,)` largest finite value.
        months: month since 1970 -> `(4, level)`, see `BlockSummary.moments`.
        ranges: month since 1970 -> `(2, level)` smallest and largest value.
        bad: values that are missing or infinite.
        beyond: values beyond the limits.
        frozen: steps and levels that are the same everywhere as the step before.
        uniform: steps and levels with one value everywhere.
        unread: blocks that could not be decoded.
    """

    def __init__(self, time: np.ndarray, levels: int):
        self.low, self.high = np.full(levels, np.inf), np.full(levels, -np.inf)
        self.months: dict[int, np.ndarray] = {}
        self.ranges: dict[int, np.ndarray] = {}
        self.bad: Patch | None = None
        self.beyond: Patch | None = None
        self.frozen: Patch | None = None
        self.uniform: Patch | None = None
        self.unread: Patch | None = None
        self._month = time.astype("datetime64[M]").astype(np.int64)
        self._ends: dict[tuple, np.ndarray] = {}

    def add(self, row: Sequence[BlockSummary]) -> None:
        """Takes in all blocks of one stretch of time that could be read."""
        if not row:
            self._ends = {}
            return
        start = min(of.block.start[0] for of in row)
        steps = max(of.block.stop[0] for of in row) - start
        shape = (steps, len(self.low))
        low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
        moments = np.zeros((4, *shape))
        for of in row:
            where = slice(of.block.start[0] - start, of.block.stop[0] - start)
            low[where] = np.minimum(low[where], of.low)
            high[where] = np.maximum(high[where], of.high)
            moments[:, where] += of.moments
        self.low = np.minimum(self.low, low.min(axis=0))
        self.high = np.maximum(self.high, high.max(axis=0))
        self._add_months(start, low, high, moments)
        self.bad = merge([self.bad, *(of.bad for of in row)])
        self.beyond = merge([self.beyond, *(of.beyond for of in row)])
        points = self._points(row, start, shape)
        self.uniform = merge([self.uniform, _steps((low == high) & (points >= _FEW_POINTS), start)])
        self.frozen = merge([self.frozen, _steps(self._frozen(row, start, shape), start)])

    def _add_months(self, start: int, low, high, moments) -> None:
        month = self._month[start : start + len(low)]
        for number in np.unique(month).tolist():
            where = month == number
            sums = self.months.setdefault(number, np.zeros((4, len(self.low))))
            sums += moments[:, where].sum(axis=1)
            ends = self.ranges.setdefault(number, np.stack([self._none, -self._none]))
            np.minimum(ends[0], low[where].min(axis=0), out=ends[0])
            np.maximum(ends[1], high[where].max(axis=0), out=ends[1])

    @property
    def _none(self) -> np.ndarray:
        return np.full(len(self.low), np.inf)

    def _points(self, row, start: int, shape) -> np.ndarray:
        points = np.zeros(shape, np.int64)
        for of in row:
            points[of.block.start[0] - start : of.block.stop[0] - start] += of.points
        return points

    def _frozen(self, row, start: int, shape) -> np.ndarray:
        """Returns where all blocks that can be compared with the step before are the same."""
        same, compared = np.ones(shape, bool), np.zeros(shape, np.int64)
        ends = {}
        for of in row:
            where = slice(of.block.start[0] - start, of.block.stop[0] - start)
            of_block, known = of.same.copy(), np.full(of.same.shape, of.points)
            place = (of.block.start[1:], of.block.stop[1:])
            before = self._ends.get((of.block.start[0], place))
            known[0] = 0 if before is None else of.points
            of_block[0] = True if before is None else before == of.ends[0]
            same[where] &= of_block
            compared[where] += known
            ends[of.block.stop[0], place] = of.ends[1]
        self._ends = ends
        return same & (compared >= _FEW_POINTS)

    def add_unread(self, patch: Patch) -> None:
        """Takes in a block that could not be decoded."""
        self.unread = merge([self.unread, patch])

    def mean(self, month: int) -> np.ndarray:
        """Returns the mean of each level in a month, `(level,)`; NaN without values."""
        weight, total, *_ = self.months[month]
        return _divide(total, weight)

    def mean_absolute(self, month: int) -> np.ndarray:
        """Returns the mean absolute value of each level in a month, `(level,)`."""
        weight, _, absolute, _ = self.months[month]
        return _divide(absolute, weight)

    def calendar(self, month: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and standard deviation `(level,)` of a calendar month of all years.

        NaN where the record has none.

        Args:
            month: 0 to 11.
        """
        return self._spread([m for m in self.months if m % 12 == month])

    def single(self, month: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and standard deviation `(level,)` of a month of one year."""
        return self._spread([month] if month in self.months else [])

    def _spread(self, months: list[int]) -> tuple[np.ndarray, np.ndarray]:
        sums = sum((self.months[m] for m in months), np.zeros((4, len(self.low))))
        mean = _divide(sums[1], sums[0])
        return mean, np.sqrt(np.maximum(_divide(sums[3], sums[0]) - mean**2, 0))


def _divide(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.divide(total, weight, out=np.full(total.shape, np.nan), where=weight > 0)


def _steps(mask: np.ndarray, start: int) -> Patch | None:
    """Returns steps and levels as a patch that lies everywhere."""
    return Patch.of(mask[:, :, None, None], (start, 0, 0, 0))
