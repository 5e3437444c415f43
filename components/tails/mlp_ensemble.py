"""An ensemble of tails with hidden layers."""

from keras import ops

from atmorep_k.components.blocks.mlp import gelu
from atmorep_k.components.tails.linear_ensemble import LinearEnsemble
from atmorep_k.registry import component


@component("tail")
class MLPEnsemble(LinearEnsemble):
    """Predicts the values of a token by an ensemble of small nets, all of the input's width.

    Each member: layer norm, then linear map and GELU for every hidden layer, then a linear map to
    the values (AtmoRep, arXiv:2308.13280). Always float32, as `LinearEnsemble`.

    Args:
        hidden_layers: number of hidden layers.
        num_members: size of the ensemble.
        token_values: values of a token; set by the model.

    Shapes:
        input: (batch, level, masked, channel)
        output: (batch, level, masked, member, value)
    """

    def __init__(
        self, hidden_layers: int = 1, num_members: int = 16, token_values: int = 1, **kwargs
    ):
        super().__init__(num_members=num_members, token_values=token_values, **kwargs)
        self.hidden_layers = hidden_layers

    def build(self, input_shape):
        """Makes each member's norm and linear maps, members drawn independently."""
        super().build(input_shape)
        channels = input_shape[-1]
        self.hidden = [
            self.add_member_map(channels, channels, f"hidden_{number}_")
            for number in range(self.hidden_layers)
        ]

    def call(self, x):
        """Returns the members' values."""
        maps = [*self.hidden, (self.kernel, self.bias)]
        x = self.first_map(self.norm(x), *maps[0])
        for kernel, bias in maps[1:]:
            x = ops.einsum("blkmc,cmv->blkmv", gelu(x), kernel) + bias
        return x
