"""Fixed harmonic code of a token's place among the tokens of its window."""

import keras
import numpy as np
from keras import ops

from atmorep_k.registry import Configured, component


@component("position")
class HarmonicPosition(Configured, keras.layers.Layer):
    """Adds a code of a token's level, time, lat and lon index to its embedding.

    With angles a_k = 2 pi 2k / D for channels 2k and 2k + 1 of D (AtmoRep, arXiv:2308.13280):

        channel 2k:     sin(8 lat a_k) / 2 + sin(time a_k)
        channel 2k + 1: cos(8 lon a_k) / 2 + cos(level a_k)

    The code of lon repeats after D / 16 tokens, that of lat after as many, with tokens 0 and D / 32
    alike: a window of many tokens needs a wide embedding.

    Args:
        original_rows: count lat rows as the released AtmoRep code does, floor(j / num_lat) for
            the row-major index j in (lat, lon), where floor(j / num_lon) is meant; only for
            weights trained with it.

    Shapes:
        input and output: (batch, level, time, lat, lon, channel)
    """

    def __init__(self, original_rows: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.original_rows = original_rows

    def build(self, input_shape):
        """Computes the code once: it depends on the shape alone."""
        self._code = harmonic_code(tuple(input_shape[1:]), self.original_rows)

    def call(self, embedded):
        """Returns the embedding with the code added."""
        return embedded + ops.convert_to_tensor(self._code, dtype=embedded.dtype)


def harmonic_code(shape: tuple[int, ...], original_rows: bool = False) -> np.ndarray:
    """Returns the code (level, time, lat, lon, channel), in float32 throughout.

    Released weights were trained with float32 angles, so double precision would be *less* exact.
    """
    levels, times, lats, lons, channels = shape
    level, time, lat, lon = np.indices((levels, times, lats, lons))
    if original_rows:
        row_major = lat * lons + lon
        lat, lon = row_major // lats, row_major % lons
    even = np.arange(0, channels, 2, dtype=np.float32)
    angle = (np.float32(2 * np.pi) * even / np.float32(channels)).astype(np.float32)

    def turns(index, factor=1):
        return index[..., None].astype(np.float32) * np.float32(factor) * angle

    code = np.zeros(shape, np.float32)
    code[..., 0::2] = np.sin(turns(lat, 8)) / 2 + np.sin(turns(time))
    odd = channels // 2
    code[..., 1::2] = (np.cos(turns(lon, 8)) / 2 + np.cos(turns(level)))[..., :odd]
    return code
