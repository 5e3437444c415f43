import numpy as np
import pytest
from keras import ops

from atmorep_k.components.tokenizers import CuboidTokenizer

pytestmark = pytest.mark.backend


def test_each_token_is_embedded_by_the_same_linear_map(randomize):
    tokens = np.random.default_rng(0).standard_normal((2, 3, 2, 2, 4, 6)).astype("float32")
    layer = CuboidTokenizer(embed_dim=5)
    layer(tokens)
    found = ops.convert_to_numpy(randomize(layer)(tokens))
    kernel, bias = layer.get_weights()
    assert kernel.shape == (6, 5)
    for place in np.ndindex(tokens.shape[:-1]):
        np.testing.assert_allclose(found[place], tokens[place] @ kernel + bias, atol=1e-5)
