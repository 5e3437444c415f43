"""The cost of a step, against what the backend does."""

import keras
import numpy as np
import pytest

from atmorep_k import components
from atmorep_k.costs.tracing.step import cost
from atmorep_k.model.declared import declared

pytestmark = pytest.mark.backend

BACKEND = keras.backend.backend()
WINDOW = (12, 12, 24)  # in tokens of (1, 2, 3): 576 at each of two levels


@pytest.fixture(scope="module")
def parts(make_model, make_field):
    """Function that returns two coupled fields of 1152 tokens each, a loss and a masking."""

    def make(**changes):
        options = {"window": WINDOW, "token_size": (1, 2, 3), "embed_dim": 96}
        fields = [
            make_field(name, couplings=[other], **options)
            for name, other in (("temperature", "vorticity"), ("vorticity", "temperature"))
        ]
        coupler = components.couplers.CrossFieldAttention(num_heads=1)
        encoder = components.encoders.Encoder(
            num_layers=2, block=components.blocks.TransformerBlock(num_heads=4, dropout=0.1)
        )
        decoder = components.decoders.UNetDecoder(
            num_layers=2, block=components.blocks.TransformerBlock(num_heads=4)
        )
        model = make_model(fields, coupler=coupler, encoder=encoder, decoder=decoder, **changes)
        masking = components.maskings.RandomTokens(ratio=(0.1, 0.5))
        return model, components.losses.AlmostFairKernelCRPS(), masking

    return make


def compiled(model, loss, masking, random_batch):
    """Returns forward and backward pass as XLA has compiled them."""
    import jax

    slots = masking.num_slots(model.fields[0].num_tokens)
    inputs, targets, weights = random_batch(model.fields, 1, slots)
    model.compile(optimizer=None, loss=loss)

    def value(trained, others):
        given = [*zip(model.trainable_variables, trained, strict=True)]
        given += zip(model.non_trainable_variables, others, strict=True)
        with keras.StatelessScope(given):
            predicted = model(inputs, training=True)
            return model.compute_loss(inputs, targets, predicted, weights)

    specs = [
        [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    ]
    return jax.jit(jax.value_and_grad(value)).lower(*specs).compile()


@pytest.mark.skipif(BACKEND != "jax", reason="XLA tells what it does on JAX")
@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": "mixed_bfloat16"},
        pytest.param({"encode": "visible"}, marks=pytest.mark.slow),
    ],
)
def test_xla_needs_what_is_foretold(parts, make_batch, changes):
    model, loss, masking = parts(**changes)
    found = cost(declared(model), loss, masking, 1)
    xla = compiled(declared(model), loss, masking, make_batch)
    temporary = xla.memory_analysis().temp_size_in_bytes
    assert found.activations == pytest.approx(temporary, rel=0.15)
    # XLA counts one round of each loop, those over blocks of attention.
    assert found.flops > 0.97 * xla.cost_analysis()["flops"]


@pytest.mark.skipif(BACKEND != "torch", reason="PyTorch tells what it holds")
def test_pytorch_needs_what_is_foretold(parts, make_batch):
    import torch
    from torch.profiler import ProfilerActivity, profile

    model, loss, masking = parts()
    found = cost(declared(model), loss, masking, 1)
    slots = masking.num_slots(model.fields[0].num_tokens)
    batch = make_batch(model.fields, 1, slots)
    inputs, targets, weights = keras.tree.map_structure(keras.ops.convert_to_tensor, batch)
    model.build()
    model.compile(optimizer=None, loss=loss)
    options = {"profile_memory": True, "acc_events": True}
    with profile(activities=[ProfilerActivity.CPU], **options) as profiler:
        predicted = model(inputs, training=True)
        value = model.compute_loss(inputs, targets, predicted, weights)
        del predicted
        torch.autograd.grad(value, [v.value for v in model.trainable_variables])
    events = profiler.profiler.kineto_results.events()
    changes = [(e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"]
    peak = np.cumsum([nbytes for _, nbytes in sorted(changes)]).max()
    assert found.activations == pytest.approx(peak, rel=0.15)


@pytest.mark.parametrize("encode", ["all", "visible"])
def test_operations_are_those_of_the_formula(parts, encode):
    model, loss, masking = parts(encode=encode)
    found = cost(declared(model), loss, masking, 2)
    products = [_products(model, field, masking, encode) for field in model.fields]
    linear, attention = (sum(part) for part in zip(*products, strict=True))
    # The backward pass has two products for each; fused and blockwise attention begin it with the
    # scores again. The plain one has a channel more, for the sum.
    least, most = 3 * (linear + attention), 3 * linear + 3.5 * attention
    assert 0.98 * least < found.flops / (2 * 2) < 1.02 * most


def _products(model, field, masking, encode):
    """Multiplications of a forward pass for one sample: of linear maps, of attention."""
    tokens, dim = len(field.levels) * field.tokens_per_level, field.embed_dim
    masked = len(field.levels) * masking.num_slots(field.num_tokens)
    seen = tokens - (masked if encode == "visible" else 0)
    encoder = seen * (4 * dim**2 + 4 * dim**2 + dim * dim)  # the last is the coupling's
    # Half the heads of the decoder attend to the encoder's tokens, of which they make keys, values.
    decoder = tokens * (3 * dim**2 + 4 * dim**2) + seen * dim**2
    tail = masked * dim * 3 * field.token_values
    embedding = tokens * (field.token_values * (dim - 4) + 12 * 4)
    attention = 2 * (2 * seen**2 * dim + seen**2 * dim // 2 + tokens**2 * dim + tokens * seen * dim)
    return 2 * encoder + 2 * decoder + tail + embedding, attention
