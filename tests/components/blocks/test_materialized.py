import keras
import numpy as np
import pytest
from keras import ops

from atmorep_k import components
from atmorep_k.components.blocks import transformer_block
from atmorep_k.components.blocks.materialized import materialized

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_it_is_the_value_and_its_type(dtype):
    x = ops.cast(np.random.default_rng(0).standard_normal((2, 3, 4)), dtype)
    found = materialized(x)
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    np.testing.assert_array_equal(
        *(ops.convert_to_numpy(ops.cast(a, "float32")) for a in (x, found))
    )


def test_nan_stays_nan():
    x = ops.convert_to_tensor(np.array([[np.nan, 1.0]], "float32"))
    assert np.isnan(ops.convert_to_numpy(materialized(x))[0, 0])


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="asks XLA for the compiled program")
def test_sums_are_not_added_up_again_for_each_use(monkeypatch):
    import jax

    encoder = components.encoders.Encoder(
        num_layers=4, block=components.blocks.TransformerBlock(num_heads=2)
    )
    encoder.build((None, 12, 16))
    values = [v.value for v in encoder.trainable_variables]
    fixed = [v.value for v in encoder.non_trainable_variables]

    def total(values, x):
        return encoder.stateless_call(values, fixed, x)[0][-1].sum()

    def additions():
        step = jax.jit(jax.grad(lambda *a: total(*a)))
        return (
            step.lower(values, np.zeros((2, 12, 16), "float32")).compile().as_text().count("add(")
        )

    kept = additions()
    monkeypatch.setattr(transformer_block, "materialized", lambda x: x)
    assert kept < 0.7 * additions()
