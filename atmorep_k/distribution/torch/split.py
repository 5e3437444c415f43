"""Which part of a variable a process holds, where PyTorch spreads a training over processes."""

import dataclasses

from atmorep_k.distribution.engine import Block, whole


@dataclasses.dataclass(frozen=True)
class Split:
    """The dimensions of a variable that are split over the axes of a mesh.

    Attributes:
        shape: of the whole variable.
        model: dimension split over the axis of the model; None where it is whole there.
        samples: dimension (further) split over the axis of samples; None where it is whole there.
    """

    shape: tuple[int, ...]
    model: int | None = None
    samples: int | None = None

    def block(self, size: tuple[int, int], place: tuple[int, int]) -> Block:
        """Returns what a process holds of the variable.

        Args:
            size: devices along the axes of samples and model.
            place: the process's place on both.
        """
        block = list(whole(self.shape))
        for axis, dimension in ((1, self.model), (0, self.samples)):
            if dimension is not None:
                around = block[dimension]
                length = (around.stop - around.start) // size[axis]
                start = around.start + place[axis] * length
                block[dimension] = slice(start, start + length)
        return tuple(block)

    def is_first(self, place: tuple[int, int]) -> bool:
        """Returns whether no process with lower places holds the same block."""
        return all(
            dimension is not None or number == 0
            for dimension, number in zip((self.samples, self.model), place, strict=True)
        )

    def shared(self, size: tuple[int, int]) -> "Split":
        """Return the split with its first dimension that divides also split over the samples."""
        local = [block.stop for block in self.block(size, (0, 0))]
        found = [number for number, length in enumerate(local) if length % size[0] == 0]
        return dataclasses.replace(self, samples=found[0]) if found else self
