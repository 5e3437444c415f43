"""TensorFlow stays out of processes on other backends, and keeps quiet on its own."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Not by an import, which tests/support/without_tensorflow.py prevents.
PACKAGES = {d.metadata["Name"] for d in importlib.metadata.distributions()}
pytestmark = [
    pytest.mark.slow,  # each starts a process
    pytest.mark.skipif("tensorflow" not in PACKAGES, reason="TensorFlow is not installed"),
]

ROOT = Path(__file__).parents[3]

# A tiny model is seeded, trained, saved, opened and asked, as a user does it with Keras alone.
PROGRAM = """
import sys
import numpy as np
import atmorep_k, keras
from atmorep_k import components
from atmorep_k.batch import batch_specs
from atmorep_k.fields import FieldSpec, Window
from atmorep_k.model import AtmoRep

keras.utils.set_random_seed(0)
field = FieldSpec("temperature", [500], window=Window((4, 4, 8)), token_size=(2, 2, 2), embed_dim=8)
BLOCK = components.blocks.TransformerBlock(num_heads=2)
model = AtmoRep(
    [field],
    tokenizer=components.tokenizers.CuboidTokenizer(),
    token_info=components.tokenizers.TokenInfo(embed_dim=4),
    position=components.positions.HarmonicPosition(),
    encoder=components.encoders.Encoder(num_layers=1, block=BLOCK),
    decoder=components.decoders.UNetDecoder(num_layers=1, block=BLOCK),
    tail=components.tails.LinearEnsemble(num_members=2),
    normalizer=components.normalizers.MonthlyNormalizer(),
)
rows = tuple(
    {name: np.ones((2, *shape), dtype) for name, (shape, dtype) in part.items()}
    for part in batch_specs([field], {"temperature": 4})
)
model.compile("adamw", components.losses.KernelCRPS())
model.fit((row for row in [rows]), steps_per_epoch=1, verbose=0)
model.save(sys.argv[1])
opened = keras.saving.load_model(sys.argv[1])
predicted = opened.predict_on_batch(rows[0])["temperature"]
assert np.isfinite(predicted).all()
print("tensorflow" in sys.modules, keras.backend.backend())
"""


def run(backend, path, **environment):
    kept = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    kept |= {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT), **environment}
    process = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, path], env=kept, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return process


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_tensorflow_is_not_imported(tmp_path, backend):
    process = run(backend, tmp_path / "model.keras")
    assert process.stdout.split() == ["False", backend]
    assert "absl" not in process.stderr and "oneDNN" not in process.stderr


def test_tensorflow_logs_nothing(tmp_path):
    process = run("tensorflow", tmp_path / "model.keras")
    assert process.stdout.split() == ["True", "tensorflow"]
    assert not [
        line for line in process.stderr.splitlines() if "0000 00:" in line or "absl" in line
    ]


def test_who_asks_for_logs_gets_them(tmp_path):
    process = run("tensorflow", tmp_path / "model.keras", TF_CPP_MIN_LOG_LEVEL="0")
    assert "oneDNN" in process.stderr
