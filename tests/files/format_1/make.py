"""How the files beside this one were made, by the code of commit 48a8fd0 on JAX.

They are a model in format 1, a batch and what the model predicted for it. Not to be made again: a
later commit writes a later format.
"""

from pathlib import Path

import keras
import numpy as np
from keras import ops

from atmorep_k import components as c
from atmorep_k.batch import input_specs
from atmorep_k.fields import FieldSpec, Window
from atmorep_k.model import AtmoRep

FOLDER = Path(__file__).parent
SIZES = {"window": Window((4, 4, 8)), "token_size": (2, 2, 2), "embed_dim": 8}


def make_model():
    """Returns a model of two fields that attend to each other, one dense and one axial."""
    fields = [
        FieldSpec("temperature", [500, 850], couplings=["vorticity"], **SIZES),
        FieldSpec("vorticity", [500], couplings=["temperature"], loss_weight=0.5, **SIZES),
    ]
    dense = {"num_heads": 2, "mlp_ratio": 1.0, "dropout": 0.1}
    axial = {**dense, "mlp_layers": 3, "mlp_norm": False, "output_activation": True}
    vorticity = {
        "encoder": c.encoders.AxialEncoder(1, reserved_heads=2, **axial),
        "decoder": c.decoders.AxialUNetDecoder(
            2, self_attention=True, parallel=True, self_qk_norm="plain", **axial
        ),
    }
    return AtmoRep(
        fields,
        tokenizer=c.tokenizers.CuboidTokenizer(),
        token_info=c.tokenizers.TokenInfo(embed_dim=4),
        position=c.positions.HarmonicPosition(),
        encoder=c.encoders.DenseEncoder(2, qk_norm="plain", norm=False, remat=True, **dense),
        decoder=c.decoders.UNetDecoder(
            2, qk_norm="affine", self_qk_norm="plain", cross_rate=2.0, **dense
        ),
        tail=c.tails.LinearEnsemble(num_members=2),
        normalizer=c.normalizers.MonthlyNormalizer(),
        coupler=c.couplers.CrossFieldAttention(num_heads=1),
        first_guess=c.first_guesses.TemporalNeighbours(),
        parts={"vorticity": vorticity},
        freeze=["encoder/temperature/*", "!*coupled_vorticity/*"],
        provenance={"store": "a store", "steps": 0},
    )


def fill(model, rng):
    """Gives all weights random values, and each field statistics."""
    for weight in model.weights:
        if "seed" not in weight.path:
            weight.assign(0.3 * rng.standard_normal(weight.shape).astype("float32"))
    for number, field in enumerate(model.fields):
        shape = (12, len(field.levels))
        state = {
            "mean": 200 + rng.random(shape, "float32"),
            "std": 1 + number + rng.random(shape, "float32"),
            "latitude": np.linspace(70, -70, 8),
            "longitude": np.arange(0, 360, 22.5),
        }
        model.normalizers[field.name].load_state(state)


def make_batch(fields, rng, slots=3):
    """Returns inputs of two samples of which some tokens are masked."""
    inputs = {}
    for name, (shape, dtype) in input_specs(fields, {f.name: slots for f in fields}).items():
        inputs[name] = rng.standard_normal((2, *shape)).astype(dtype)
    for field in fields:
        info = inputs[f"{field.name}/token_info"]
        info[...] = [2020, 31, 6, 500, 40, 350, 500, 2.5]
        info[..., 2] += np.arange(info.shape[2])[:, None, None]
        shape = (2, len(field.levels), field.tokens_per_level)
        index = np.argsort(rng.random(shape), axis=-1)[..., :slots].astype("int32")
        inputs[f"{field.name}/masked_index"] = index
        tokens = inputs[f"{field.name}/tokens"].reshape(*shape, -1)
        np.put_along_axis(tokens, index[..., None], 0.0, axis=2)
    return inputs


def main():
    """Writes the three files."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    model = make_model()
    model.build()
    fill(model, rng)
    inputs = make_batch(model.fields, rng)
    model.save(FOLDER / "model.keras")
    np.savez_compressed(FOLDER / "inputs.npz", **inputs)
    members = model({k: ops.convert_to_tensor(v) for k, v in inputs.items()}, training=False)
    arrays = {name: ops.convert_to_numpy(values) for name, values in members.items()}
    np.savez_compressed(FOLDER / "members.npz", **arrays)


if __name__ == "__main__":
    main()
