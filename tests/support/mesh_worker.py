"""A small training of two coupled fields on a mesh, for tests; run as a program in each process.

    python mesh_worker.py FOLDER MESH [MESH ...]

with each MESH the options of a `Mesh` in JSON. In the folder, process 0 leaves what `train` returns
as `NUMBER.npz` for each of them.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

STEPS, BATCH = 30, 4


class Batches:
    """A dataset of random windows, some of which count for nothing."""

    def __init__(self, fields, random_batch):
        self.fields = fields
        self.random_batch = random_batch

    def open(self, fields, normalizers):
        """Does nothing."""

    def provenance(self):
        """Returns nothing."""
        return {}

    def batches(self, split, batch_size, masking, seed, start_step=0, num_steps=1, part=(0, 1)):
        """Yields the rows of one part of each batch."""
        rows = slice(part[0] * batch_size // part[1], (part[0] + 1) * batch_size // part[1])
        for step in range(start_step, start_step + num_steps):
            arrays = self.random_batch(self.fields, batch_size, seed=step)
            for weight in arrays[2].values():
                weight[0] = 0  # so that replicas differ in the sum of weights
            yield tuple({k: a[rows] for k, a in array.items()} for array in arrays)


def make_training(random_batch, mesh=None, **options):
    """Returns a `Pretraining` of a small model on a mesh.

    Args:
        random_batch: of tests/conftest.py.
        mesh: options of `Mesh`.
        options: `dropout`, and of `AdamW`.
    """
    import keras

    from atmorep_k import components as c
    from atmorep_k.fields import FieldSpec, Window
    from atmorep_k.model import AtmoRep
    from atmorep_k.training import Pretraining, TrainingSchedule

    def field(name, other):
        tokens = {"token_size": (2, 2, 2), "embed_dim": 16}
        return FieldSpec(name, [500, 850], window=Window((4, 4, 8)), couplings=(other,), **tokens)

    fields = [field("temperature", "vorticity"), field("vorticity", "temperature")]
    dropout = options.pop("dropout", 0.0)
    model = AtmoRep(
        fields,
        tokenizer=c.tokenizers.CuboidTokenizer(),
        token_info=c.tokenizers.TokenInfo(embed_dim=4),
        position=c.positions.HarmonicPosition(),
        encoder=c.encoders.Encoder(
            num_layers=1, block=c.blocks.TransformerBlock(num_heads=2, dropout=dropout)
        ),
        decoder=c.decoders.UNetDecoder(num_layers=1, block=c.blocks.TransformerBlock(num_heads=4)),
        tail=c.tails.LinearEnsemble(num_members=4),
        normalizer=c.normalizers.MonthlyNormalizer(),
        coupler=c.couplers.CrossFieldAttention(num_heads=2),
    )
    settings = {"weight_decay": 0.05, "global_clipnorm": 0.1, **options}
    return Pretraining(
        model,
        Batches(fields, random_batch),
        c.maskings.RandomTokens(),
        c.losses.KernelCRPS(),
        keras.optimizers.AdamW(1e-2, **settings),
        TrainingSchedule(STEPS, batch_size=BATCH),
        mesh=c.distributions.Mesh(**mesh) if mesh else None,
    )


def fit(training, steps=STEPS):
    """Trains; returns the losses of the steps."""
    import keras

    class Losses(keras.callbacks.Callback):
        found: list = []  # noqa: RUF012

        def on_train_batch_end(self, batch, logs=None):
            self.found.append(float(logs["batch_loss"]))

    losses = Losses()
    losses.found = []
    batches = training.dataset.batches(
        "train", BATCH, training.masking, 0, num_steps=steps, part=training.engine.part
    )
    with training.engine.scope():
        training.model.fit(
            training.engine.feed(batches),
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
            callbacks=[losses],
        )
    return losses.found


def predicting(training):
    """Returns a callback that predicts windows, fewer than fill the mesh, at each end of an epoch.

    In the end `check` asks that the model predicts the same on one device.
    """
    import keras

    inputs = next(training.dataset.batches("validation", 3, None, seed=0, part=(0, 1)))[0]

    class Predicting(keras.callbacks.Callback):
        predict = None

        def on_epoch_end(self, epoch, logs=None):
            model = self.model or training.model  # asking for it puts its values in their places
            self.predict = self.predict or training.engine.predictor(model)
            self.members = self.predict(inputs)

        def check(self):
            for field, values in training.model(inputs).items():
                expected = keras.ops.convert_to_numpy(values)
                np.testing.assert_allclose(self.members[field], expected, rtol=1e-4, atol=1e-5)

    return Predicting()


def train(training, folder=None):
    """Trains, takes all values to pieces, puts them together again, and ends the distribution.

    Args:
        training: as `make_training` makes it.
        folder: where processes leave their pieces for the others; None for one process.

    Returns:
        `losses` (step); the value of every weight and slot by its path; `bytes` that a device
        holds of weights and of slots.
    """
    from atmorep_k.backend.weight_paths import path_in_model

    training.prepare()
    engine, model = training.engine, training.model
    losses = fit(training)
    seen = predicting(training)
    with engine.scope():
        seen.on_epoch_end(0)
    variables = [*model.trainable_variables, *model.optimizer.variables]
    names = [f"{number} {path_in_model(v.path)}" for number, v in enumerate(variables)]
    held = engine.held_bytes(model.weights), engine.held_bytes(model.optimizer.variables)
    values = _exchanged(engine, dict(zip(names, variables, strict=True)), folder)
    for name, variable in zip(names, variables, strict=True):
        engine.fill(variable, np.zeros_like(values[name]).__getitem__)
        engine.fill(variable, values[name].__getitem__)
    trained = len(model.trainable_variables)
    engine.collect(model)
    seen.check()
    for name, variable in zip(names[:trained], variables[:trained], strict=True):
        np.testing.assert_array_equal(np.asarray(variable), values[name])
    return {"losses": losses, "bytes": held, **values}


def _exchanged(engine, variables, folder):
    """Returns whole values, put together of the pieces of all processes: each part comes once."""
    pieces = {
        f"{name}@{json.dumps([[s.start, s.stop] for s in block])}": value
        for name, variable in variables.items()
        for block, value in engine.pieces(variable)
    }
    everyone = [pieces]
    if folder is not None:
        np.savez(Path(folder, f"pieces_{engine.process}.npz"), **pieces)
        engine.barrier()
        files = [Path(folder, f"pieces_{n}.npz") for n in range(engine.num_processes)]
        everyone = [dict(np.load(file)) for file in files]
        engine.barrier()
    values = {name: np.zeros(v.shape) for name, v in variables.items()}
    times = {name: np.zeros(v.shape) for name, v in variables.items()}
    for found in everyone:
        for key, value in found.items():
            name, _, block = key.rpartition("@")
            block = tuple(slice(*ends) for ends in json.loads(block))
            values[name][block] = value
            times[name][block] += 1
    assert all(np.all(t == 1) for t in times.values())
    return values


def _random_batch():
    import importlib.util

    path = Path(__file__).parents[1] / "conftest.py"
    spec = importlib.util.spec_from_file_location("shared_fixtures", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.random_batch


if __name__ == "__main__":
    port = int(os.environ["MASTER_PORT"])
    for number, mesh in enumerate(map(json.loads, sys.argv[2:])):
        # `torchrun` has one address for all; otherwise each group of processes gets its own.
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            os.environ["MASTER_PORT"] = str(port + number)
        training = make_training(_random_batch(), mesh)
        result = train(training, sys.argv[1])
        if training.engine.is_main:
            np.savez(Path(sys.argv[1], f"{number}.npz"), **result)
        training.engine.stop()
