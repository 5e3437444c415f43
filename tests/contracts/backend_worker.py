"""A process on one backend that does what test_backends.py asks: one JSON command a line.

It imports nothing of the tests and of `atmorep_k` only the package, as a user's script would.
"""

import json
import sys

import numpy as np


def open_model(path):
    """Opens a saved model, in the way that the package promises."""
    import keras

    import atmorep_k  # noqa: F401

    return keras.saving.load_model(path)


def resave(source, target, seed):
    """Opens a model, gives it other weights and saves it."""
    model = open_model(source)
    rng = np.random.default_rng(seed)
    shapes = [w.shape for w in model.get_weights()]
    model.set_weights([0.3 * rng.standard_normal(s).astype("float32") for s in shapes])
    model.save(target)
    return True


def predict(path, batch, output):
    """Writes the predictions of a saved model."""
    import keras

    predicted = open_model(path)(dict(np.load(batch)))
    np.savez(output, **{n: keras.ops.convert_to_numpy(a) for n, a in predicted.items()})
    return keras.backend.backend()


def train(path, batch, targets, weights, steps):
    """Returns the losses of some training steps."""
    import keras

    from atmorep_k import components

    model = open_model(path)
    optimizer = keras.optimizers.AdamW(1e-2, weight_decay=0.05, global_clipnorm=1.0)
    model.compile(optimizer=optimizer, loss=components.losses.AlmostFairKernelCRPS())
    arrays = [dict(np.load(file)) for file in (batch, targets, weights)]
    logs = [model.train_on_batch(*arrays, return_dict=True) for _ in range(steps)]
    return [float(entry["batch_loss"]) for entry in logs]


COMMANDS = {"resave": resave, "predict": predict, "train": train}

if __name__ == "__main__":
    for line in sys.stdin:
        command, arguments = json.loads(line)
        print(json.dumps({"result": COMMANDS[command](**arguments)}), flush=True)
