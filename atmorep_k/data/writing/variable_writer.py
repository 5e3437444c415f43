"""Writing one variable of a store from blocks of any length, which wait for a full time shard."""

import numpy as np

from atmorep_k.data.writing.blocks import BlockWriter
from atmorep_k.errors import UserError


class VariableWriter:
    """One variable being written, the time steps in their order.

    Args:
        blocks: writes whole time shards.
        shard: time steps of a shard.
    """

    def __init__(self, blocks: BlockWriter, shard: int):
        self.name, self.statistics = blocks.name, blocks.statistics
        self.end = 0  # time steps taken in
        self.checksums: list[np.ndarray] = []
        self._blocks, self._shard = blocks, shard
        self._waiting: list[np.ndarray] = []

    def add(self, values: np.ndarray) -> None:
        """Takes in the next time steps, `(time, level, latitude, longitude)`.

        Raises:
            UserError: if the shape differs, a value is missing, or there are too many.
        """
        values, shape = np.asarray(values, np.float32), self._blocks.shape
        if values.ndim != 4 or values.shape[1:] != shape:
            raise UserError(
                f"a block of {self.name!r} has shape {values.shape}, not (time, level, latitude, "
                f"longitude) with {shape} after time."
            )
        record = len(self._blocks.time)
        if self.end + len(values) > record:
            raise UserError(f"{self.name!r} has more than {record} time steps.")
        self._waiting.append(values)
        self.end += len(values)
        ready = self.end if self.end == record else self.end - self.end % self._shard
        if ready > self._begin:
            self._write(ready)

    @property
    def _begin(self) -> int:
        """The first time step that waits."""
        return self.end - sum(map(len, self._waiting))

    def _write(self, stop: int) -> None:
        start = self._begin
        values = self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
        checksums = self._blocks.write(
            start,
            start,
            stop,
            lambda first, last: values[first - start : last - start],
            steps=stop - start,
            in_memory=True,
        )
        self.checksums.append(checksums)
        self._blocks.merge(start, start, stop)
        rest = values[stop - start :]
        self._waiting = [rest.copy()] if len(rest) else []

    def finish(self) -> None:
        """Checks that all time steps have come.

        Raises:
            UserError: if they have not.
        """
        record = len(self._blocks.time)
        if self.end < record:
            raise UserError(f"{self.name!r} ends after {self.end} of {record} time steps.")
