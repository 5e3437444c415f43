"""Steps of few samples whose gradients are added up are one step of many."""

import keras
import numpy as np
import pytest
from keras import ops

from atmorep_k import components, config


@pytest.fixture
def trained(make_model, make_batch, randomize):
    """Function (batches, accumulation) -> weights after a step for each of the batches."""

    def train(batches, accumulation=None):
        keras.utils.set_random_seed(0)
        model = make_model(
            encoder=components.encoders.Encoder(
                num_layers=1, block=components.blocks.TransformerBlock(num_heads=2)
            ),
            decoder=components.decoders.UNetDecoder(
                num_layers=1, block=components.blocks.TransformerBlock(num_heads=2)
            ),
        )
        model.build()
        randomize(model)
        before = model.get_weights()
        optimizer = keras.optimizers.AdamW(
            0.01,
            weight_decay=0.1,
            global_clipnorm=0.05,
            gradient_accumulation_steps=accumulation,
        )
        model.compile(optimizer, components.losses.KernelCRPS())
        for batch in batches:
            model.train_on_batch(*batch)
        return before, model.get_weights(), int(ops.convert_to_numpy(optimizer.iterations))

    return train


def _rows(batch, rows):
    return tuple({name: a[rows] for name, a in part.items()} for part in batch)


@pytest.mark.backend
def test_four_steps_of_two_samples_are_two_of_four(trained, make_batch, make_field):
    whole = [make_batch([make_field()], size=4, seed=seed) for seed in (0, 1)]
    halves = [_rows(batch, rows) for batch in whole for rows in (slice(0, 2), slice(2, 4))]
    before, expected, iterations = trained(whole)
    _, found, counted = trained(halves, accumulation=2)
    assert counted == iterations == 2
    # The norm that clips is that of the mean gradient, as of the whole batch.
    moved = max(np.abs(one - other).max() for one, other in zip(before, expected, strict=True))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-3 * moved)


def test_gin_sets_it(tiny_config, tmp_path):
    file = tmp_path / "accumulate.gin"
    file.write_text(tiny_config({"AdamW.gradient_accumulation_steps": 2}))
    optimizer = config.load([file]).build().optimizer
    assert optimizer.gradient_accumulation_steps == 2
