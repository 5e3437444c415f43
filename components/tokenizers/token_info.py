"""Embedding of what is known about a token besides its values: when and where it is."""

from collections.abc import Sequence
from typing import Literal

import keras
import numpy as np
from keras import ops

from atmorep_k.batch import TOKEN_INFO
from atmorep_k.registry import Configured, component

_DAYS = 365.25


@component("token_info")
class TokenInfo(Configured, keras.layers.Layer):
    """Embeds the eight numbers that tell a token's time, level, place and resolution.

    The last linear map starts at zero, so that an untrained model does not see the information.
    Always float32: half precision does not hold a year.

    Args:
        embed_dim: channels of the result.
        hidden: widths of layers (with GELU) before the last linear map.
        features: `"harmonic"` turns cyclic numbers (day of year, hour, longitude) into sine and
            cosine and scales the others to about one. `"raw"` hands the numbers over as they are,
            as the released AtmoRep weights expect.

    Shapes:
        input: (..., 8), see `atmorep_k.batch.TOKEN_INFO`
        output: (..., embed_dim)
    """

    def __init__(
        self,
        embed_dim: int = 16,
        hidden: Sequence[int] = (),
        features: Literal["harmonic", "raw"] = "harmonic",
        **kwargs,
    ):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.embed_dim = embed_dim
        self.hidden = tuple(hidden)
        self.features = features

    def build(self, input_shape):
        """Makes the small net."""
        width = len(TOKEN_INFO) if self.features == "raw" else _NUM_HARMONIC
        self.net = []
        for number, units in enumerate(self.hidden):
            layer = keras.layers.Dense(
                units, activation="gelu", dtype=self.dtype_policy, name=f"hidden_{number}"
            )
            self.net.append(layer)
        self.net.append(
            keras.layers.Dense(
                self.embed_dim,
                kernel_initializer="zeros",
                dtype=self.dtype_policy,
                name="linear",
            )
        )
        for layer in self.net:
            layer.build((*input_shape[:-1], width))
            width = layer.units

    def call(self, info):
        """Returns the embedded information."""
        x = info if self.features == "raw" else harmonic_features(info)
        for layer in self.net:
            x = layer(x)
        return x


def harmonic_features(info):
    """Turns raw token information (..., 8) into (..., 12) numbers of about one.

    Cyclic numbers become sine and cosine, levels and years are scaled.
    """
    year, day, hour, level, colatitude, longitude, _, resolution = (
        info[..., i] for i in range(len(TOKEN_INFO))
    )
    angles = [
        day * (2 * np.pi / _DAYS),
        hour * (2 * np.pi / 24),
        colatitude * (np.pi / 180),
        longitude * (np.pi / 180),
    ]
    cyclic = [function(a) for a in angles for function in (ops.sin, ops.cos)]
    # Resolutions differ by factors, not by sums: 0.03 degrees for a regional model, 4 for a demo.
    plain = [(year - 2000) / 20, level / 500 - 1, level / 50, ops.log(resolution + 1e-3)]
    return ops.stack([*cyclic, *plain], axis=-1)


_NUM_HARMONIC = 12
