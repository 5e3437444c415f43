"""The base of encoders: transformer blocks over the tokens of a field, one after the other."""

from collections.abc import Callable

import keras

from atmorep_k.components.blocks.recomputed import run_block
from atmorep_k.errors import UserError
from atmorep_k.registry import Configured


class Encoder(Configured, keras.layers.Layer):
    """Blocks that a model calls layer by layer, for all fields at once.

    So each field reads what the others were *before* the layer, and their order does not matter.
    A subclass gives `make_block`.

    Shapes:
        input: (batch, level, time, space, channel), or (batch, token, channel) where only visible
            tokens are encoded
        output: list of `num_layers` arrays, as the input
    """

    make_block: Callable[[str], keras.layers.Layer]

    def __init__(self, num_layers: int, remat: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.num_layers = num_layers
        self.remat = remat
        if num_layers < 1:
            raise UserError(
                f"{type(self).__name__}.num_layers must be at least 1, not {num_layers}."
            )

        self.couplings: tuple[dict[str, tuple], Callable[..., keras.layers.Layer]] | None = None

    def couple(self, others, make):
        """Says, before the encoder is built, which other fields each of its blocks attends to.

        Args:
            others: field -> shape of its tokens.
            make: returns a new coupler, with changes of its configuration as keywords.
        """
        self.couplings = (dict(others), make)

    def build(self, x_shape):
        """Makes the blocks."""
        self.blocks = []
        for number in range(self.num_layers):
            block = self.make_block(f"block_{number}")
            if self.couplings:
                block.couple(*self.couplings)
            block.build(x_shape)
            self.blocks.append(block)

    def couplers(self, other):
        """Returns the couplers of all blocks that attend to another field."""
        return [coupler for block in self.blocks for coupler in block.couplers(other)]

    def step(self, number, x, others, training=False):
        """Returns the output of block `number`; `others` {field: state before the layer}."""
        return run_block(self.blocks[number], self.remat, x, others=others, training=training)

    def call(self, x, training=False):
        """Returns the output of every block, the last one last, of a field without couplings."""
        outputs = []
        for number in range(self.num_layers):
            x = self.step(number, x, {}, training)
            outputs.append(x)
        return outputs
