import keras
import numpy as np
import pytest
from keras import ops

from atmorep_k import components
from atmorep_k.components.blocks import MLP

pytestmark = pytest.mark.backend

BLOCKS = {"dense": components.blocks.TransformerBlock, "axial": components.blocks.AxialBlock}


@pytest.fixture
def train(make_model, make_field, make_batch, randomize):
    """Function (kind, remat, dtype) -> loss, and the model after a step with dropout."""

    def run(kind, remat, dtype):
        keras.utils.set_random_seed(0)
        block = BLOCKS[kind](num_heads=2, dropout=0.5)
        dense = BLOCKS["dense"](num_heads=2, dropout=0.5)
        decoder = components.decoders.UNetDecoder
        fields = [make_field("vorticity", predicted=False)] if kind == "dense" else []
        fields.append(make_field(couplings=[f.name for f in fields]))
        model = make_model(
            fields,
            encoder=components.encoders.Encoder(1, block, remat),
            decoder=decoder(1, block, dense, self_attention=True, remat=remat),
            coupler=components.couplers.CrossFieldAttention(num_heads=1),
            dtype=dtype,
        )
        model.build()
        randomize(model)
        model.compile(keras.optimizers.SGD(0.1), components.losses.KernelCRPS())
        return model.train_on_batch(*make_batch(fields))[0], model

    return run


@pytest.fixture
def calls(monkeypatch):
    """List that grows with each call of a block's net: on compiled backends, each trace."""
    found, call = [], MLP.call
    monkeypatch.setattr(MLP, "call", lambda *a, **k: found.append(1) or call(*a, **k))
    return found


@pytest.mark.parametrize(
    ("kind", "dtype", "tolerance"),
    [
        ("dense", None, 1e-5),
        pytest.param("axial", "mixed_bfloat16", 1e-2, marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # the last layer of what is only read
def test_a_step_is_that_of_the_plain_path(train, calls, kind, dtype, tolerance):
    loss, plain = train(kind, False, dtype)
    once = len(calls)
    found, model = train(kind, True, dtype)
    assert len(calls) == 3 * once  # those of the plain path, and twice as many
    np.testing.assert_allclose(found, loss, rtol=tolerance)
    # Weights tell of the gradients, the states of random draws are among the variables.
    for weight, other in zip(model.variables, plain.variables, strict=True):
        found, expected = (
            ops.convert_to_numpy(ops.cast(v.value, "float32")) for v in (weight, other)
        )
        np.testing.assert_allclose(found, expected, atol=tolerance, err_msg=weight.path)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="XLA tells what a step will take")
def test_memory_falls_on_a_processor_too():
    import jax

    def temporary(remat):
        encoder = components.encoders.Encoder(
            num_layers=4, remat=remat, block=components.blocks.TransformerBlock(num_heads=2)
        )
        encoder.build((None, 64, 64))
        values = [v.value for v in encoder.trainable_variables]
        fixed = [v.value for v in encoder.non_trainable_variables]

        def loss(values, x):
            outputs, _ = encoder.stateless_call(values, fixed, x, training=True)
            return outputs[-1].sum()

        lowered = jax.jit(jax.grad(loss)).lower(values, np.zeros((8, 64, 64), "float32"))
        return lowered.compile().memory_analysis().temp_size_in_bytes

    plain, remat = temporary(False), temporary(True)
    print(f"{plain / 2**20:.1f} MB, recomputed {remat / 2**20:.1f} MB")
    assert remat < 0.6 * plain
