"""What blocks have in common that attend to other fields."""

from collections.abc import Callable

import keras

from atmorep_k.components.blocks.mlp import MLP, plain_norm
from atmorep_k.registry import Configured


class CoupledBlock(Configured, keras.layers.Layer):
    """Base of blocks; a subclass makes its couplers where it is built.

    A subclass has the options `mlp_ratio`, `mlp_layers`, `mlp_norm`, `dropout` and
    `output_activation` of its net.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.coupled: dict[str, tuple] = {}
        self._make_coupler: Callable[..., keras.layers.Layer] | None = None
        self._coupler_names: list[str] = []

    def couple(self, others, make):
        """Says, before the block is built, which other fields it attends to.

        Args:
            others: field -> shape of its tokens.
            make: returns a new coupler, with changes of its configuration as keywords.
        """
        # Sorted, so that results are bit for bit the same in whatever order fields are named.
        self.coupled, self._make_coupler = dict(sorted(others.items())), make

    def add_coupler(self, attribute, x_shape, other_shape, **changes):
        """Makes a new coupler, as an attribute that carries the other field's name.

        A list would be saved by position, and couplings in another order would swap their weights.
        """
        assert self._make_coupler is not None, "call couple() first"
        layer = self._make_coupler(name=attribute, dtype=self.dtype_policy, **changes)
        layer.build(x_shape, other_shape)
        setattr(self, attribute, layer)
        self._coupler_names.append(attribute)

    def couplers(self, other):
        """Returns the couplers that attend to another field: one, or one for each axis."""
        names = [name for name in self._coupler_names if name.endswith(f"coupled_{other}")]
        return [getattr(self, name) for name in names]

    def built_norm(self, name, shape, affine=False):
        """Returns a layer norm for inputs of a shape, see `plain_norm`."""
        norm = plain_norm(name, self.dtype_policy, affine)
        norm.build(shape)
        return norm

    def built_mlp(self, shape):
        """Returns the net behind the attention, None where it has no layers."""
        if not self.mlp_layers:
            return None
        mlp = MLP(
            ratio=self.mlp_ratio,
            dropout=self.dropout,
            num_layers=self.mlp_layers,
            norm=self.mlp_norm,
            output_activation=self.output_activation,
            dtype=self.dtype_policy,
            name="mlp",
        )
        mlp.build(shape)
        return mlp
