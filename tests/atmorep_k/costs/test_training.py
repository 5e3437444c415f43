"""What a training takes on each device: from shapes, against arrays and sums."""

import keras
import pytest

from atmorep_k import components
from atmorep_k.costs.training import estimate, sample_bytes
from atmorep_k.errors import UserError
from atmorep_k.training import Pretraining, TrainingSchedule


@pytest.fixture
def make_task(make_model, make_field, tiny_store):
    def make(optimizer=None, mesh=None, fields=("temperature",), batch_size=4):
        tail = components.tails.LinearEnsemble(num_members=4)
        encoder = components.encoders.Encoder(
            num_layers=2, block=components.blocks.TransformerBlock(num_heads=2, dropout=0.1)
        )
        decoder = components.decoders.UNetDecoder(
            num_layers=2, block=components.blocks.TransformerBlock(num_heads=4)
        )
        parts = {"tail": tail, "encoder": encoder, "decoder": decoder}
        model = make_model([make_field(name) for name in fields], **parts)
        return Pretraining(
            model,
            dataset=components.datasets.WindowDataset(str(tiny_store)),
            masking=components.maskings.RandomTokens(),
            loss=components.losses.EnsembleMSE(),
            optimizer=optimizer or keras.optimizers.AdamW(1e-3),
            schedule=TrainingSchedule(batch_size=batch_size),
            mesh=mesh,
        )

    return make


def test_bytes_of_a_sample_are_those_of_the_dataset(make_task):
    task = make_task()
    task.dataset.open(task.model.fields)
    batch = next(task.dataset.batches("train", 4, task.masking, 0, num_steps=1))
    assert 4 * sample_bytes(task) == sum(a.nbytes for part in batch for a in part.values())


@pytest.mark.backend
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.AdamW(1e-3, gradient_accumulation_steps=2),
        lambda: keras.optimizers.SGD(1e-3, momentum=0.9),
    ],
)
def test_bytes_are_those_of_what_is_built(make_task, optimizer):
    task = make_task(optimizer())
    found = estimate(task)
    task.prepare()
    # The states of dropout, the step and the rate are a few bytes.
    weights = sum(4 * keras.ops.size(w) for w in task.model.weights)
    trained = sum(4 * keras.ops.size(w) for w in task.model.trainable_variables)
    slots = sum(4 * keras.ops.size(v) for v in task.model.optimizer.variables if len(v.shape))
    assert found.weights == int(weights)
    assert found.gradients == int(trained)
    assert int(slots) <= found.slots <= int(slots) + 32
    assert 4 * found.trained == found.gradients


def test_samples_divide_all_but_the_model(make_task):
    one = estimate(make_task())
    two = estimate(make_task(mesh=components.distributions.Mesh((2, 1))))
    assert (two.weights, two.slots) == (one.weights, one.slots)
    assert 2 * two.batch == one.batch
    # Products of weights with weights are computed by all.
    assert two.flops == 2 * two.device_flops == pytest.approx(one.flops, rel=1e-3)
    assert two.activations == pytest.approx(one.activations / 2, rel=0.1)


def test_the_axis_of_the_model_divides_weights_and_what_they_make(make_task):
    one = estimate(make_task())
    two = estimate(make_task(mesh=components.distributions.Mesh((1, 2))))
    assert two.is_split
    split = 2 * (one.weights - two.weights)  # bytes of what is split in two
    assert 0.7 * one.weights < split < one.weights
    assert 2 * (one.slots - two.slots) == pytest.approx(2 * split, rel=1e-3)
    assert 0.5 * one.flops < two.device_flops < 0.75 * one.flops
    assert two.flops == one.flops
    assert two.batch == one.batch


def test_a_sharded_optimizer_is_divided_by_both_axes(make_task):
    plain, sharded = (
        estimate(make_task(mesh=components.distributions.Mesh((2, 2), shard_optimizer=flag)))
        for flag in (False, True)
    )
    assert sharded.weights == plain.weights
    assert sharded.slots == pytest.approx(plain.slots / 2, rel=0.05)


def test_fields_on_places_divide_by_the_fullest(make_task):
    fields = ("temperature", "vorticity")
    one = estimate(make_task(fields=fields))
    mesh = components.distributions.Mesh((1, 2), fields="spread")
    two = estimate(make_task(mesh=mesh, fields=fields))
    assert 2 * two.weights == one.weights
    assert two.device_flops == pytest.approx(one.flops / 2)
    assert two.activations == pytest.approx(one.activations / 2, rel=0.01)


def test_heads_that_do_not_divide_stay_whole(make_task):
    one, two, four = (
        estimate(make_task(mesh=components.distributions.Mesh((1, n)))) for n in (1, 2, 4)
    )
    # Four devices share neither the encoder's two heads nor the decoder's two of each kind.
    assert four.is_split
    assert four.weights < two.weights
    assert two.device_flops < four.device_flops < one.device_flops


def test_what_cannot_be_traced_in_parts_counts_as_whole(make_task):
    layout = {"tokenizer/*/kernel": (None, "model")}
    mesh = components.distributions.Mesh((1, 2), layout=layout)
    one, two = estimate(make_task()), estimate(make_task(mesh=mesh))
    assert not two.is_split
    assert two.device_flops == one.flops
    assert two.weights < one.weights


def test_a_batch_that_does_not_divide_is_refused(make_task):
    with pytest.raises(UserError, match="cannot be spread over 3 devices"):
        estimate(make_task(mesh=components.distributions.Mesh((3, 1))))
