"""What a check remembers of a variable while its blocks stream by in the order of time."""

from collections.abc import Iterable

import numpy as np

from atmorep_k.data.checking.block_summary import BlockSummary
from atmorep_k.data.checking.patches import Patch, merge

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

    def add(self, start: int, stop: int, summaries: Iterable[BlockSummary]) -> None:
        """Takes in a stretch of time, which follows the one before.

        Args:
            start: its first step.
            stop: the step after its last.
            summaries: of all its blocks that could be read, each is held only while it is summed.
        """
        row = _Row(start, (stop - start, len(self.low)), self._ends)
        for summary in summaries:
            row.add(summary)
        self._ends = row.ends
        self.low = np.minimum(self.low, row.low.min(axis=0))
        self.high = np.maximum(self.high, row.high.max(axis=0))
        self._add_months(row)
        self.bad = merge([self.bad, row.bad])
        self.beyond = merge([self.beyond, row.beyond])
        uniform = (row.low == row.high) & (row.points >= _FEW_POINTS)
        self.uniform = merge([self.uniform, _steps(uniform, start)])
        frozen = row.same & (row.compared >= _FEW_POINTS)
        self.frozen = merge([self.frozen, _steps(frozen, start)])

    def _add_months(self, row: "_Row") -> None:
        month = self._month[row.start : row.start + len(row.low)]
        none = np.full(len(self.low), np.inf)
        for number in np.unique(month).tolist():
            where = month == number
            sums = self.months.setdefault(number, np.zeros((4, len(self.low))))
            sums += row.moments[:, where].sum(axis=1)
            ends = self.ranges.setdefault(number, np.stack([none, -none]))
            np.minimum(ends[0], row.low[where].min(axis=0), out=ends[0])
            np.maximum(ends[1], row.high[where].max(axis=0), out=ends[1])

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


class _Row:
    """The sum of all blocks of one stretch of time, for each of its steps and levels.

    Args:
        start: first step.
        shape: number of steps and levels.
        ends: (step, place) -> hash of each level at the end of the blocks before.
    """

    def __init__(self, start: int, shape: tuple[int, int], ends: dict[tuple, np.ndarray]):
        self.start, self._before = start, ends
        self.ends: dict[tuple, np.ndarray] = {}
        self.low, self.high = np.full(shape, np.inf), np.full(shape, -np.inf)
        self.moments = np.zeros((4, *shape))
        self.points, self.compared = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self.same = np.ones(shape, bool)
        self.bad: Patch | None = None
        self.beyond: Patch | None = None

    def add(self, of: BlockSummary) -> None:
        """Takes in a block."""
        where = slice(of.block.start[0] - self.start, of.block.stop[0] - self.start)
        self.low[where] = np.minimum(self.low[where], of.low)
        self.high[where] = np.maximum(self.high[where], of.high)
        self.moments[:, where] += of.moments
        self.points[where] += of.points
        self.bad, self.beyond = merge([self.bad, of.bad]), merge([self.beyond, of.beyond])
        self._compare(of, where)

    def _compare(self, of: BlockSummary, where: slice) -> None:
        """Notes which steps are those before; the first is compared with the block before."""
        same, points = of.same.copy(), np.full(of.same.shape, of.points)
        place = (of.block.start[1:], of.block.stop[1:])
        before = self._before.get((of.block.start[0], place))
        if before is None:
            same[0], points[0] = True, 0
        else:
            same[0] = before == of.ends[0]
        self.same[where] &= same
        self.compared[where] += points
        self.ends[of.block.stop[0], place] = of.ends[1]
